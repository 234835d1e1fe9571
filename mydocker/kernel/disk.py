"""syncfs(2): making durable what was written; not on the warm path."""

from __future__ import annotations

from mydocker.kernel import _call


def syncfs(descriptor: int) -> None:
    """Write out what is cached of the file system on which DESCRIPTOR is (syncfs(2)); reports lost writes."""
    _call("syncfs", descriptor)
