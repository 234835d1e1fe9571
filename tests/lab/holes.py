"""Sparse files, and the archives that GNU tar makes of them."""

from __future__ import annotations

import pathlib
import subprocess

FORMATS = {
    "gnu": ("--format=gnu",),
    **{f"pax {version}": ("--format=posix", f"--sparse-version={version}") for version in ("0.0", "0.1", "1.0")},
}


def make(directory: pathlib.Path, *, size: int) -> pathlib.Path:
    """The new DIRECTORY with the file `holes`: SIZE bytes, all zeros but for sixty short pieces, too many for a header.
    There is one every 100,000 bytes, the first at 50,000, the last at 5,950,000.
    """
    directory.mkdir()
    with (directory / "holes").open("wb") as file:
        for number in range(60):
            file.seek(number * 100_000 + 50_000)
            file.write(b"piece %4d" % number)
        file.truncate(size)
    return directory


def archive(directory: pathlib.Path, format: str) -> bytes:
    """What is in DIRECTORY as an archive in one of the FORMATS, much shorter than the files."""
    argv = ["tar", "-C", str(directory), "--sparse", *FORMATS[format], "--create", "."]
    made = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
    assert len(made) < 900_000
    return made
