"""The store in bad times: power that fails, places that cannot be written, users who share a machine."""

from __future__ import annotations

import os
import pathlib

import pytest
from lab import oci
from lab.command import Command
from lab.oci import DIR, layer
from lab.powerloss import Disk, Event, trace
from lab.registry import Registry

root = pytest.mark.root


def _replay(events: list[Event], store: pathlib.Path) -> set[str]:
    disk = Disk(str(store))
    for event in events:
        disk.apply(event)
    return disk.lost()


@root
def test_a_power_loss_leaves_nothing_half(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    """All contents are on disk before their name, and all that an image needs before the image's name; and not one
    of the calls that see to it could be left out."""
    tars = [layer({"etc": DIR, "etc/a": os.urandom(5000)}), layer({"b": os.urandom(5000)})]
    registry.push(oci.image(tars), "faults/power")
    events = trace(mydocker, "pull", "-q", "faults/power", log=tmp_path / "trace")
    assert _replay(events, mydocker.store) == set()
    synced = {event.paths for event in events if "sync" in event.call and _is_near(event, mydocker.store)}
    assert len(synced) > 12
    assert [paths for paths in synced if not _is_missed(events, paths, mydocker.store)] == []


def _is_near(event: Event, store: pathlib.Path) -> bool:
    return event.paths[0].startswith(str(store.parent))


def _is_missed(events: list[Event], paths: tuple[str, ...], store: pathlib.Path) -> bool:
    """Whether anything is wrong if PATHS are never synced."""
    rest = [event for event in events if not ("sync" in event.call and event.paths == paths)]
    try:
        return bool(_replay(rest, store))
    except AssertionError:
        return True
