"""The name of a container in the foreground: no other container has it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mydocker.errors import StoreError, hint_for
from mydocker.image.store import Store
from mydocker.services.containers import directory


@contextmanager
def reserved(name: str, container_id: str) -> Iterator[None]:
    """For the length of the `with`, NAME means the container with CONTAINER_ID. Raises UsageError if another one has
    it."""
    store = Store.open(os.environ)
    with ExitStack() as reservation:
        try:
            reservation.enter_context(directory.reserving(store, name, container_id))
        except OSError as error:
            raise StoreError(f"cannot reserve the name {name!r}: {error.strerror}", hint=hint_for(error)) from None
        yield
