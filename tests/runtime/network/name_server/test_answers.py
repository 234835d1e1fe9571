"""Names of a network, as a program of a container that asks DNS itself gets them."""

from __future__ import annotations

import pytest
from lab import dns
from lab.networks import Container, Host

pytestmark = pytest.mark.root


def client(container: Container) -> dns.Client:
    return dns.Client(container.inside)


@pytest.fixture
def lan(host: Host) -> Host:
    assert host.command("network", "create", "lan").code == 0
    return host


def test_names(lan: Host) -> None:
    with lan.container("--network", "lan", "--name", "db", "--network-alias", "base") as db:
        with lan.container("--network", "lan", "--name", "web") as web:
            print(web.sh("cat /etc/resolv.conf; cat /etc/hosts; nslookup db"))
            print(web.helpers)
            print(client(web).ask("db"), client(web).ask_by_stream("base"))
