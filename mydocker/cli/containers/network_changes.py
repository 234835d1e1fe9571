"""Connecting containers to networks and disconnecting them, in a way that lasts: one in the background is in the same
networks when it starts again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from mydocker.errors import LaunchError, MydockerError, NetworkError, StoreError, hint_for
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import networks
from mydocker.runtime.network.upkeep import reconnect
from mydocker.services.containers import PAUSED, RUNNING, Container, directory
from mydocker.services.containers.find import find
from mydocker.specs.model.parts import NetworkAttachment

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.store import Store
    from mydocker.runtime.network.upkeep.reconnect import Endpoint


def connect(store: Store, name: str, text: str, endpoint: Endpoint) -> None:
    """Let the container that TEXT means join network NAME: now if it runs, else when it starts. Raises
    LaunchError, UsageError if there is no such container, NetworkError if it cannot join, HostError, StoreError."""
    found = _kept(store, text)
    if not found:
        reconnect.connect(store.networks, store.containers, name, text, endpoint)
        return
    with directory.changing(found.directory):
        container = directory.read(found.directory)
        network = networks.load(store.networks, name).name
        attachment = NetworkAttachment(
            name=network, aliases=endpoint.aliases, address=endpoint.address, address6=endpoint.address6
        )
        config = container.config
        if not _runs(container):
            if config.networks is None and not config.attachments:
                raise reconnect.has_none(text)
            if any(each.name == network for each in config.attachments):
                raise NetworkError(f"container {text} is in network {network} already")
        others = tuple(each for each in config.attachments if each.name != network)
        join = partial(reconnect.connect, store.networks, store.containers, network, config.short_id, endpoint)
        _change(container, (*others, attachment), join)


def disconnect(store: Store, name: str, text: str) -> None:
    """Let the container that TEXT means leave network NAME. Raises as `connect` does."""
    found = _kept(store, text)
    if not found:
        reconnect.disconnect(store.networks, store.containers, name, text)
        return
    with directory.changing(found.directory):
        container = directory.read(found.directory)
        network = networks.resolve_name(store.networks, name)
        config = container.config
        left = tuple(each for each in config.attachments if each.name != network)
        if not _runs(container) and len(left) == len(config.attachments):
            raise NetworkError(f"container {text} is not in network {network}")
        leave = partial(reconnect.disconnect, store.networks, store.containers, network, config.short_id)
        _change(container, left, leave)


def _kept(store: Store, text: str) -> Container | None:
    """The container in the background that TEXT means; None if there is none."""
    try:
        found = find(store, text)
    except LaunchError:
        return None
    return found if isinstance(found, Container) else None


def _runs(container: Container) -> bool:
    return container.state.status in (RUNNING, PAUSED)


def _change(container: Container, attachments: tuple[NetworkAttachment, ...], now: Callable[[], None]) -> None:
    """Write that CONTAINER has ATTACHMENTS, and do NOW if it runs; if that fails, nothing has changed."""
    try:
        directory.write_config(container.directory, container.config.replace(networks=attachments))
    except OSError as error:
        raise StoreError(f"cannot change {container.config.title}: {error.strerror}", hint=hint_for(error)) from None
    if not _runs(container):
        return
    try:
        now()
    except MydockerError:
        with suppress(OSError):
            directory.write_config(container.directory, container.config)
        raise
