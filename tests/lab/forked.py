"""`mydocker`, `alpine` and `second_user` for tests of what the commands do, not of how they start. See lab.forking."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.command import Command


@pytest.fixture
def mydocker(mydocker: Command) -> Command:
    return replace(mydocker, forks=True)


@pytest.fixture(scope="session")
def alpine(alpine: Command) -> Command:
    return replace(alpine, forks=True)


@pytest.fixture(scope="session")
def make_second_user(make_second_user: Callable[[], Command]) -> Callable[[], Command]:
    return lambda: replace(make_second_user(), forks="USER_PROGRAM" not in os.environ)
