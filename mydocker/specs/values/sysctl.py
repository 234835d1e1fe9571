"""Kernel parameters that belong to a namespace, and so to a container: NAME=VALUE (sysctl(8), namespaces(7))."""

from __future__ import annotations

from mydocker.errors import UsageError

_IPC = ("fs.mqueue.", "kernel.msg", "kernel.shm")  # starts of names; the list is that of docker run --sysctl
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")


def parse_sysctl(text: str) -> dict[str, str]:
    """NAME=VALUE as a mapping. Raises UsageError for a parameter of the whole machine."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r}: expected NAME=VALUE")
    if not _LETTERS.issuperset(name) or "" in name.split("."):
        raise UsageError(f"{name!r} is not the name of a kernel parameter")
    if namespace_of(name) is None:
        raise UsageError(
            f"{name} belongs to the whole machine, not to a container",
            hint="a container can have its own kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* and net.*",
        )
    return {name: value}


def namespace_of(name: str) -> str | None:
    """The namespace whose own value parameter NAME has; None if the machine has one value."""
    if name.startswith("net."):
        return "net"
    return "ipc" if name == "kernel.sem" or name.startswith(_IPC) else None
