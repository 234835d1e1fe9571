"""A host with a network that has names, and name servers on its own loopback."""

from __future__ import annotations

import pytest
from lab.networks import Host


@pytest.fixture
def lan(host: Host) -> Host:
    """With the network `lan`, and a file of its own in place of /etc/resolv.conf: see `use_servers`."""
    assert host.command("network", "create", "--subnet", "10.98.0.0/24", "lan").code == 0
    own = host.command.directory / "resolv.conf"
    own.write_text("nameserver 127.0.0.1\n")
    host.do(f"mount --bind {own} /etc/resolv.conf")
    return host
