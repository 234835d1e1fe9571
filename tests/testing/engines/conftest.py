"""Here the commands are tested, not their start."""

from lab.forked import alpine, mydocker

__all__ = ["alpine", "mydocker"]
