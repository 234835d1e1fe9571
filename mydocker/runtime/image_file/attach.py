"""The container's side of an image that is a file: mounting it where the overlay finds its only layer.

Runs in the child, in its mount and user namespaces, before the root changes.
"""

from __future__ import annotations

import os
import socket
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.runtime.plan.operations import IMAGE


def attach(source: int, scratch: str) -> None:
    """Mount the image of SOURCE, see ImageMount, on directory `image` of SCRATCH. Raises LaunchError, OSError."""
    place = f"{scratch}/{IMAGE}"
    os.makedirs(place, exist_ok=True)
    tree = tree_of(source)
    target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.attach(tree, target)
    finally:
        os.close(tree)
        os.close(target)
    try:
        os.listdir(place)  # a FUSE program that has failed says it at the first question
    except OSError as error:
        hint = "the file may be damaged"
        raise LaunchError(f"the program that reads the image's file has failed: {error.strerror}", hint=hint) from None


def tree_of(source: int) -> int:
    """A descriptor of the mount, attached nowhere. OSError."""
    if not stat.S_ISSOCK(os.fstat(source).st_mode):
        return os.dup(source)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)  # in this user namespace, to which the mount belongs
    try:
        options: list[tuple[str, str | None]] = [
            ("fd", str(device)),
            ("rootmode", f"{stat.S_IFDIR:o}"),
            ("user_id", str(os.getuid())),
            ("group_id", str(os.getgid())),
        ]
        attributes = kernel.ATTR_RDONLY | kernel.ATTR_NODEV
        tree = kernel.new_filesystem("fuse", options, attributes=attributes, source="image")
        with socket.socket(fileno=os.dup(source)) as channel:
            socket.send_fds(channel, [b"f"], [device])
        return tree
    finally:
        os.close(device)  # once the program ends, nothing waits for it
