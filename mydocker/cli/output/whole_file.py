"""Files that are replaced as a whole: written under another name next to it, synced to disk, and renamed."""

from __future__ import annotations

import os
import stat

from mydocker.errors import HostError
from mydocker.paths import stream, usable


def replace_file(path: str, text: str, *, is_new: bool = False) -> None:
    """Put TEXT into the file at PATH, which keeps its mode; with IS_NEW it must not exist. Raises OSError; then nothing
    has changed."""
    directory, name = os.path.split(path)
    staged = os.path.join(directory, f".{name}.{os.getpid()}")
    try:
        with open(staged, "w", encoding="utf-8") as file:
            if os.path.isfile(path):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            os.link(staged, path)  # unlike a rename, not over another file
        else:
            os.rename(staged, path)
    finally:
        if os.path.lexists(staged):
            os.unlink(staged)


def write_output(path: str, text: str) -> None:
    """Put TEXT into the file of an option `--output`; what is no regular file, such as a pipe, is written to. Raises
    HostError."""
    try:
        descriptor = stream(usable(path))
        if descriptor is not None or (os.path.exists(path) and not os.path.isfile(path)):
            with open(path if descriptor is None else descriptor, "w", closefd=descriptor is None) as file:
                file.write(text)
        else:
            replace_file(os.path.realpath(path), text)
    except OSError as error:
        raise HostError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
