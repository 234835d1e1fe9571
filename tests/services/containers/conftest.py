"""Containers in the background, which are gone after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab.command import Command


@pytest.fixture
def kept(alpine: Command) -> Iterator[Command]:
    """The command, with a store that has the image alpine, and no containers before and after."""
    yield alpine
    remove_all(alpine)


@pytest.fixture
def kept_by_user(second_user: Command) -> Iterator[Command]:
    """The same for an ordinary user, whose store is empty."""
    yield second_user
    remove_all(second_user)


def remove_all(mydocker: Command) -> None:
    ids = mydocker("ps", "-aq").stdout.decode().split()
    if ids:
        removed = mydocker("rm", "-f", *ids, timeout=240)
        assert removed.code == 0, removed
    assert mydocker("ps", "-aq").stdout == b""
