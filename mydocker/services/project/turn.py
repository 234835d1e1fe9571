"""Turns: of several `up` of one project at once, one creates and starts its containers, and the others wait.

The turn is a lock file, names/.project-NAME, held through flock(2): it ends with the process, however that ends.
"""

from __future__ import annotations

from mydocker.errors import StoreError
from mydocker.image.store import flock
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers.directory import make_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.store import Store


class Turn:
    """The turn of a process on the project NAME."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._path = store, f"{store.names}/.project-{name}"
        self._descriptor: int | None = None

    def take(self, say: Callable[[str], None]) -> None:
        """Wait until it is this process's turn; SAY gets a line if that is not at once. Raises StoreError."""
        try:
            make_private(self._store)
            self._descriptor = flock.acquire(self._path, wait=False)
            if self._descriptor is None:
                say("waiting for another 'up' of this project to start its containers")
                self._descriptor = flock.acquire(self._path)
        except OSError as error:
            raise StoreError(f"cannot lock {self._path}: {error.strerror}") from None

    def end(self) -> None:
        """Let the next one begin."""
        if self._descriptor is not None:
            flock.release(self._descriptor, self._path)
            self._descriptor = None
