"""A host with a network of its own, and a machine outside of it that its default route leads to."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from lab.command import Command
from lab.networks import Host, Site, made_site, with_image


@pytest.fixture
def ready(tmp_path: pathlib.Path, alpine: Command) -> Command:
    return with_image(tmp_path, alpine)


@pytest.fixture
def site(ready: Command) -> Iterator[Site]:
    with made_site(ready) as site:
        yield site


@pytest.fixture
def host(site: Site) -> Host:
    return site.host
