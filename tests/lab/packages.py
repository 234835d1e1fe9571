"""What is handed on of this repository, built as pip and build do it, but without the network."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable

from lab.places import ROOT

MADE = re.compile(r"PKG-INFO|setup\.cfg|mydocker\.egg-info/.*")  # by setuptools
_BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def tracked() -> set[str]:
    """The files of the repository; of an archive of it, the files that are there."""
    if not (ROOT / ".git").exists():
        names = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()}
        return {
            name for name in names if not MADE.fullmatch(name) and "__pycache__" not in name and name[:5] != ".venv"
        }
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def copy(names: Iterable[str], source: pathlib.Path) -> None:
    """Put the files NAMES of the repository into the folder SOURCE."""
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)


def build(kind: str, source: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Build the `sdist`, `wheel` or `editable` of the folder SOURCE in the folder PLACE; the file."""
    words = [sys.executable, "-c", _BUILD, f"build_{kind}", str(place)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / done.stdout.splitlines()[-1]
