"""Here the commands are tested, not their start."""

from lab.forked import alpine, make_second_user, mydocker

__all__ = ["alpine", "make_second_user", "mydocker"]
