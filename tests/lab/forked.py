"""`mydocker`, `alpine` and `second_user` for tests of what the commands do, not of how they start. See lab.forking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.command import Command


@pytest.fixture
def mydocker(mydocker: Command) -> Command:
    return replace(mydocker, forks=True)


@pytest.fixture(scope="session")
def alpine(alpine: Command) -> Command:
    return replace(alpine, forks=True)


@pytest.fixture
def second_user(second_user: Command) -> Command:
    return replace(second_user, forks=True)
