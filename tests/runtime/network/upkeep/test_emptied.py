"""Networks in use while somebody empties the host's firewall, as it is done where nftables is restarted."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from lab.networks import ADDRESS, OUTSIDE, Container, Host, Site

pytestmark = pytest.mark.root

_DROPPING = """
nft add table inet own
nft add chain inet own through '{ type filter hook forward priority 0; policy drop; }'
"""


def _found(host: Host) -> dict[str, Any]:
    """What `doctor` says of firewalls that were emptied; empty if nothing."""
    done = host.command("doctor", "--format", "json")
    assert done.code == 0, done
    return next((each for each in json.loads(done.stdout)["findings"] if each["name"] == "firewall"), {})


def _reaches_outside(container: Container) -> bool:
    return container.succeeds("busybox", "ping", "-c", "1", "-w", "100", "-W", "100", OUTSIDE)


def _serves(site: Site, container: Container) -> None:
    """Another machine reaches what the container publishes as port 7000, and its address is seen."""
    with container.inside(), socket.create_server(("", 80)) as server:
        server.settimeout(100)
        with site.outside.inside(), socket.create_connection((ADDRESS, 7000), timeout=100):
            connection, client = server.accept()
            connection.close()
    assert client[0] == OUTSIDE


@pytest.mark.parametrize(
    "command",
    [
        "nft flush ruleset",
        "nft flush ruleset inet",
        "nft flush ruleset bridge",
        "nft list tables | grep inet.mydocker | while read table; do nft flush $table; done",
    ],
)
def test_doctor_restores_it(site: Site, command: str) -> None:
    host = site.host
    with host.container("-p", "7000:80") as container, host.container() as other:
        assert _found(host) == {}
        before = host.run("nft", "list", "ruleset")
        host.do(command)
        found = _found(host)
        assert found["state"] == "weaker" and found["detail"].endswith("in place again: bridge") and found["hint"]
        assert _lines(host.run("nft", "list", "ruleset")) == _lines(before)
        assert _found(host) == {}
        assert _reaches_outside(container) and _reaches_outside(other)
        _serves(site, container)
    host.wait_until_clean()


@pytest.mark.parametrize("family", ["", "inet", "bridge"])
def test_the_next_container_restores_it(site: Site, family: str) -> None:
    """Also where the table is left to which it adds an element."""
    host = site.host
    with host.container("-p", "7000:80") as container:
        before = host.run("nft", "list", "ruleset")
        host.do(f"nft flush ruleset {family}")
        with host.container() as other:
            assert _reaches_outside(container) and _reaches_outside(other)
            _serves(site, container)
        assert {*_lines(before)} <= {*_lines(host.run("nft", "list", "ruleset"))}
    host.wait_until_clean()


def test_a_container_that_joins_restores_it(site: Site) -> None:
    host = site.host
    assert host.command("network", "create", "web").code == 0
    with host.container("--network", "web", "-p", "7000:80") as container, host.container("--name", "other"):
        host.do("nft flush ruleset inet")
        assert host.command("network", "connect", "web", "other").code == 0
        _serves(site, container)
    host.wait_until_clean()


def test_a_firewall_that_is_loaded_again(site: Site) -> None:
    """Without what lets packets from and to containers pass; other rules stay as they are, and none is there twice."""
    host = site.host
    host.do(_DROPPING)
    with host.container() as container:
        before = host.traces()["rules"]
        assert len(before) == 2 and _reaches_outside(container)
        host.do("nft flush chain inet own through; nft add rule inet own through ct state invalid drop")
        assert _found(host)["state"] == "weaker"
        assert _reaches_outside(container)
        host.do("nft list tables | grep mydocker | while read table; do nft delete $table; done")
        assert _found(host)["state"] == "weaker"
        assert len(host.traces()["rules"]) == 2
        assert "ct state invalid drop" in host.run("nft", "list", "ruleset")
    host.wait_until_clean()


def _lines(ruleset: str) -> list[str]:
    """Each element and rule of RULESET, whatever their order."""
    lines = ruleset.replace("elements = {", "").splitlines()
    return sorted(word.strip(" \t}") for line in lines for word in line.split(","))
