"""The file of `--cidfile`: a container's ID, for scripts, written before the container starts; it stays."""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.paths import usable


def refuse_existing(path: str) -> None:
    """Raise UsageError, before anything is pulled, if there is a file at PATH."""
    if os.path.lexists(usable(path)):
        raise _is_there(path)


def write_id(path: str, container_id: str) -> None:
    """Write the ID to a new file at PATH. Raises UsageError."""
    try:
        with open(path, "x") as file:
            file.write(container_id)
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise UsageError(f"failed to create the container ID file {path}: {error.strerror}") from None


def _is_there(path: str) -> UsageError:
    return UsageError(f"container ID file found, make sure the other container isn't running or delete {path}")
