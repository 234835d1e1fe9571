"""Starting and removing a container of a Python program: functions for services/workers/call.py."""

from __future__ import annotations

import os

from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.launch import open_store
from mydocker.services.containers import directory, start, stop

if TYPE_CHECKING:
    from mydocker.specs.model import ContainerSpec


class Placed(Record):
    """Where a container is: its directory in the store, and its run directory while it runs."""

    id: str
    title: str
    directory: str
    run_dir: str


def begin(spec: ContainerSpec, *, owner: str) -> Placed:
    """Start a container for SPEC, which ends with OWNER unless that is empty; once its command has been executed.

    It is removed if that fails. Raises MydockerError.
    """
    store = open_store(os.environ)
    directory.listed(store)  # removes what programs have left that were killed
    container, image = start.create(spec, store=store, environ=os.environ, owner=owner)
    try:
        start.begin(container, store=store, environ=os.environ, image=image).wait()
    except BaseException:
        stop.remove(store, container, force=True)
        raise
    config = container.config
    run_dir = f"{store.containers}/{config.short_id}"
    return Placed(id=config.id, title=config.title, directory=container.directory, run_dir=run_dir)


def begin_again(placed: Placed) -> None:
    """Start the container anew, unless it runs. Raises MydockerError."""
    start.begin(directory.read(placed.directory), store=open_store(os.environ), environ=os.environ).wait()


def remove(placed: Placed) -> None:
    """Remove the container, which is killed if it runs; nothing happens if it is gone. Raises MydockerError."""
    if os.path.exists(placed.directory):
        store = Store.open(os.environ)
        stop.remove(store, directory.read(placed.directory), force=True)
