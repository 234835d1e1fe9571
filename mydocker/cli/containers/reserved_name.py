"""The name of a container in the foreground: no other container has it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mydocker.errors import StoreError
from mydocker.image.store import Store
from mydocker.services.containers import directory


@contextmanager
def reserved(name: str, container_id: str) -> Iterator[None]:
    """For the length of the `with`, NAME means the container with CONTAINER_ID. Raises UsageError if another one has
    it. In a store that is read-only, names are as they are."""
    store = Store.open(os.environ)
    try:
        os.makedirs(f"{directory.base(store)}/names", mode=0o700, exist_ok=True)
        directory.take_name(store, name, container_id)
    except OSError as error:
        if not os.access(store.root, os.W_OK):
            yield
            return
        raise StoreError(f"cannot reserve the name {name!r}: {error.strerror}") from None
    try:
        yield
    finally:
        directory.drop_name(store, name, container_id)
