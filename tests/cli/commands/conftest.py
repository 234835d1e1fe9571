"""A builder for the tests of commands that build images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.builder import storage
from lab.command import Command


@pytest.fixture(scope="session")
def builder_store() -> Iterator[dict[str, str]]:
    """The variables that name the store of the builders, whose layers the tests share."""
    with storage() as variables:
        yield variables


@pytest.fixture(scope="session")
def builds(alpine: Command, builder_store: dict[str, str]) -> Command:
    """`mydocker` with a builder that has a store of its own, and knows alpine from the registry."""
    return replace(alpine, environment={**alpine.environment, **builder_store})
