"""Archives that commands write: a file appears whole or not at all, whatever ends mydocker."""

from __future__ import annotations

import os
import signal
import stat
import sys
from contextlib import contextmanager
from typing import TypeVar

from mydocker.errors import StoreError, UsageError
from mydocker.image.store import remove_tree
from mydocker.paths import stream
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, NoReturn

_T = TypeVar("_T")


def refuse_terminal(path: str | None) -> None:
    """Raise UsageError if PATH, None or - for standard output, is a terminal."""
    if path in (None, "-") and sys.stdout.isatty():
        raise _for_a_terminal()


def _for_a_terminal() -> UsageError:
    return UsageError("an archive is nothing for a terminal", hint="name a file with -o, or redirect the output")


def write_archive(path: str | None, write: Callable[[BinaryIO], _T]) -> _T:
    """Call WRITE with the file PATH, None or - for standard output; what it returns. Raises StoreError, and UsageError
    for a terminal."""
    if path is None or path == "-":
        return write(sys.stdout.buffer)
    try:
        descriptor = stream(path)
        mode = None if descriptor is not None else _mode_of_file(path)
        if mode is not None:
            return _replace(os.path.realpath(path), write, mode=mode)
        target = path if descriptor is None else descriptor
        # a device or a FIFO is written to, and stays what it is
        with open(target, "wb", closefd=descriptor is None) as output:
            if output.isatty():
                raise _for_a_terminal()
            return write(output)
    except OSError as error:
        raise refused(path, error) from None


def write_file(path: str, write: Callable[[str], _T]) -> _T:
    """Call WRITE with a path at which it makes a new file, which is renamed to PATH then; what it returned. Raises
    StoreError, and UsageError where PATH is something else than a file."""
    try:
        mode = _mode_of_file(path)
        if mode is None:
            raise UsageError(f"{path} is not a regular file", hint="a pipe or a device cannot take a file system")
        with unfinished(os.path.realpath(path)) as temporary:
            result = write(temporary)
            if mode:
                os.chmod(temporary, mode)
        return result
    except OSError as error:
        raise refused(path, error) from None


def refused(path: str, error: OSError) -> StoreError:
    """That PATH cannot be written."""
    return StoreError(f"cannot write {path}: {error.strerror}")


def _mode_of_file(path: str) -> int | None:
    """The permissions of the file PATH, 0 if there is none yet; None if that is something else."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return 0
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _replace(path: str, write: Callable[[BinaryIO], _T], *, mode: int) -> _T:
    """Write the file PATH. One that was there keeps its MODE."""
    with unfinished(path) as temporary, open(temporary, "xb") as output:
        if mode:
            os.fchmod(output.fileno(), mode)
        result = write(output)
        output.flush()
        os.fsync(output.fileno())
    return result


@contextmanager
def unfinished(path: str) -> Iterator[str]:
    """A name in the directory of PATH for a file that is renamed to PATH at the end of the `with`, and removed if
    anything ends it."""
    temporary = f"{path}.{os.getpid()}.part"
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        yield temporary
        os.rename(temporary, path)
    finally:
        remove_tree.remove(temporary)


def _end(number: int, frame: object) -> NoReturn:
    """End by signal NUMBER, but after what is unfinished has been removed."""
    sys.exit(128 + number)
