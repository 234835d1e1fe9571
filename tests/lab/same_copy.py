"""Whether the mydocker that the tests run is the one of this repository.

An editable install is; so is a copy that `pip install .` made, until a file is edited. A copy that differs would be
judged in place of the edited one.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import mydocker

_WHERE = "import mydocker, os; print(os.path.dirname(mydocker.__file__))"


def complaint(edited: pathlib.Path) -> str | None:
    """Why the tests cannot judge the package in the directory EDITED; None if they can.

    Looked at are the package that this process imports and the one that the installed command does: -I leaves out the
    current directory and PYTHONPATH.
    """
    done = subprocess.run([sys.executable, "-I", "-c", _WHERE], capture_output=True, text=True)
    if done.returncode != 0:
        return "mydocker is not installed in this environment: pip install -e '.[test]'"
    for used in (pathlib.Path(mydocker.__file__).parent, pathlib.Path(done.stdout.strip())):
        if differing := difference(used, edited):
            names = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if len(differing) > 3 else "")
            return (
                f"the tests would run {used}, which differs from {edited} in {names}\n"
                "install this copy: pip install -e '.[test]' (or pip install '.[test]' again after each change)"
            )
    return None


def difference(used: pathlib.Path, edited: pathlib.Path) -> list[str]:
    """The files of the package EDITED that the package USED lacks, or has with other contents.

    What USED has besides does not count: `pip install .` also installs what an earlier one has left in build/.
    """
    if used.resolve() == edited.resolve():
        return []
    names = sorted(str(path.relative_to(edited)) for path in edited.rglob("*.py"))
    return [name for name in names if not _is_same(used / name, edited / name)]


def _is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()
