"""The file that a command names: what is said of one that cannot be executed."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from mydocker.errors import CommandNotExecutableError, CommandNotFoundError, LaunchError
from mydocker.runtime.command.executable import find_command

FILES = {
    "bin/sh": "#!/bin/true\n",
    "bin/true": "program",
    "bin/run": "#!/bin/sh -e\n",
    "bin/lost": "#!/nonesuch/sh\n",
    "bin/windows": "#!/bin/sh\r\n",
    "bin/below": "#!/bin/lost\n",
    "bin/itself": "#!/bin/itself\n",
    "usr/lost": "#!/bin/sh\n",
}


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Iterator[int]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin/closed").write_text("#!/bin/sh\n")
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("run", "/usr:/bin", "/bin/run"),
        ("/bin/run", "", "/bin/run"),
        ("lost", "/nonesuch:/bin:/usr", "/usr/lost"),  # as execvp(3), which goes on
    ],
)
def test_found(root: int, name: str, path: str, expected: str) -> None:
    assert find_command(root, name, path) == expected


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint"),
    [
        ("nonesuch", CommandNotFoundError, "'nonesuch': executable file not found in the container's $PATH", None),
        ("/bin/none", CommandNotFoundError, "/bin/none: no such file or directory", None),
        ("lost", CommandNotFoundError, "/bin/lost: there is no '/nonesuch/sh', which runs it", None),
        ("/bin/lost", CommandNotFoundError, "/bin/lost: there is no '/nonesuch/sh', which runs it", None),
        ("below", CommandNotFoundError, "/bin/lost: there is no '/nonesuch/sh', which runs it", None),
        (
            "windows",
            CommandNotFoundError,
            r"/bin/windows: there is no '/bin/sh\r', which runs it",
            r"its lines end in \r\n, as on Windows",
        ),
        ("closed", CommandNotFoundError, "/bin/closed: permission denied", None),
        ("/bin/closed", CommandNotExecutableError, "/bin/closed: permission denied", None),
        ("itself", CommandNotExecutableError, "/bin/itself: too many interpreters", None),
    ],
)
def test_refused(root: int, name: str, kind: type[LaunchError], message: str, hint: str | None) -> None:
    with pytest.raises(LaunchError) as caught:
        find_command(root, name, "/nonesuch:/bin")
    assert (type(caught.value), caught.value.message, caught.value.hint) == (kind, message, hint)
