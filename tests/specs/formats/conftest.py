"""Here the commands are tested, not their start."""

from lab.forked import alpine, mydocker, second_user

__all__ = ["alpine", "mydocker", "second_user"]
