"""Here it is what the commands do that is tested, not how they start."""

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
