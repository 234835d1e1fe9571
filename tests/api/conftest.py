"""What the tests of the Python API share: a store with alpine."""

from __future__ import annotations

import pytest
from lab.command import Command


@pytest.fixture(autouse=True)
def environment(alpine: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in alpine.environment.items():
        monkeypatch.setenv(name, value)
