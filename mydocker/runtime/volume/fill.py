"""Filling a volume with what the image has at its target, files and owners and modes and all, once.

The image's device files are left out, since no container could open them. A volume on disk:

    <name>/          flock: shared by those who use the volume, exclusive to remove it
      data/          what containers see
      lock           flock: who fills it; its time of change is when the volume was made
      filling/       a copy under way; worthless if no process holds the lock
      filled/        a complete copy, on its way into data/, entry by entry: other containers may use data/ already
"""

from __future__ import annotations

import fcntl
import os

from mydocker.errors import LaunchError, hint_for
from mydocker.image.store import remove_tree
from mydocker.runtime.volume.copy_tree import copy_metadata, copy_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def fill(source: int, volume: str) -> None:
    """Copy the directory that SOURCE stands for into the volume at path VOLUME, unless that has something in it.

    After a kill at any moment the next call completes the copy or starts again. Raises LaunchError.
    """
    lock = os.open(f"{volume}/lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_tree.remove(f"{volume}/filling")
        if not os.path.isdir(f"{volume}/filled"):
            if os.listdir(f"{volume}/data"):
                return
            _copy_aside(source, volume)
        _move_in(volume)
    except OSError as error:
        name = os.path.basename(volume)
        message = f"cannot fill volume {name} with the image's files: {error.strerror}"
        raise LaunchError(message, hint=hint_for(error)) from None
    finally:
        os.close(lock)


def _copy_aside(source: int, volume: str) -> None:
    aside = f"{volume}/filling"
    os.mkdir(aside, 0o700)
    try:
        copy_tree(os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), aside)
        os.rename(aside, f"{volume}/filled")
    except OSError:
        remove_tree.remove(aside)
        raise


def _move_in(volume: str) -> None:
    filled, data = f"{volume}/filled", f"{volume}/data"
    for name in os.listdir(filled):
        os.rename(f"{filled}/{name}", f"{data}/{name}")
    before, after = os.open(filled, _DIRECTORY), os.open(data, _DIRECTORY)
    try:
        copy_metadata(before, after)
    finally:
        os.close(before)
        os.close(after)
    os.rmdir(filled)
