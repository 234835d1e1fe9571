"""What nft loads for a network, by the tables that are there already."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from lab.machines import Machine

from mydocker.programs import Running
from mydocker.runtime.network import Network, Subnet
from mydocker.runtime.network.firewall import ruleset, table_of

pytestmark = pytest.mark.root

NETWORK = Network(
    name="web",
    id="0" * 64,
    interface="md-0123456789",
    subnet=Subnet(network="10.88.0.0/16", gateway="10.88.0.1"),
)


@pytest.fixture
def place() -> Iterator[Machine]:
    """This thread is there meanwhile."""
    with Machine() as machine, machine.inside():
        yield machine


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What nft has been called for, as text, from now on."""
    texts: list[str] = []

    class Recorded(Running):
        def __init__(self, commands: list[tuple[str, ...]]) -> None:
            texts.extend(text for _, text in commands)
            super().__init__(commands)

    monkeypatch.setattr(ruleset, "Running", Recorded)
    return texts


def test_what_is_not_there_is_not_deleted(place: Machine, loaded: list[str]) -> None:
    """The kernel would let nft end ten milliseconds later."""
    ruleset.load(NETWORK)
    assert ["delete" in text for text in loaded] == [False]
    assert ruleset.is_complete(NETWORK.interface)


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_what_is_there_is_replaced(place: Machine, loaded: list[str], family: str) -> None:
    """Also by half: a table of another tool's, or of a version before."""
    table = table_of(NETWORK.interface)
    place.run("nft", f"table {family} {table} {{ set old {{ type ipv4_addr; }}; }}")
    ruleset.load(NETWORK)
    assert [text.count("delete table") for text in loaded] == [1]
    assert ruleset.is_complete(NETWORK.interface)
    assert "set old" not in place.run("nft", "list", "ruleset")


def test_rules_are_loaded_again(place: Machine, loaded: list[str]) -> None:
    """Once, whatever of them was there."""
    ruleset.load(NETWORK)
    before = place.run("nft", "list", "ruleset")
    ruleset.load(NETWORK, again=True)
    assert place.run("nft", "list", "ruleset") == before
    assert [text.count("delete table") for text in loaded] == [0, 2]


def test_rules_in_chains_of_others_come_and_go_without_sh(place: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import takes longer than the start of a container, and there is such a chain wherever Docker is."""
    place.run("nft", "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }")
    monkeypatch.setitem(sys.modules, "sh", None)
    ruleset.load(NETWORK)
    assert ruleset.is_complete(NETWORK.interface)
    assert place.run("nft", "list", "chain", "ip", "filter", "FORWARD").count(NETWORK.interface) == 2
    ruleset.remove(NETWORK.interface)
    assert NETWORK.interface not in place.run("nft", "list", "ruleset")
