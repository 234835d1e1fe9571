"""`mydocker` and `alpine` for tests of what the commands do, not of how they start. See lab.forking."""

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
