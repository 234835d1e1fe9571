"""Hosts whose own firewall drops what is forwarded: containers reach the outside, and are reached, all the same."""

from __future__ import annotations

import re
import socket

import pytest
from lab.machines import udp_server
from lab.networks import ADDRESS, OUTSIDE, OUTSIDE6, Container, Host, Site
from lab.processes import wait_for

from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.lifecycle import Addresses
from mydocker.runtime.network.subnets import parse_subnet

pytestmark = pytest.mark.root

# what Docker 26 has made at its start, without a container
DOCKER = """
iptables -P FORWARD DROP
for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do iptables -N $chain; done
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -o docker0 -j DOCKER
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT
iptables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN
iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
iptables -A DOCKER-ISOLATION-STAGE-2 -j RETURN
iptables -A DOCKER-USER -j RETURN
"""
# what ufw makes of `ufw enable`, as far as it concerns containers
UFW = """
for iptables in iptables ip6tables; do
    $iptables -P INPUT DROP
    $iptables -P FORWARD DROP
    for chain in ufw-before-input ufw-before-forward ufw-reject-forward; do $iptables -N $chain; done
    $iptables -A INPUT -j ufw-before-input
    $iptables -A ufw-before-input -i lo -j ACCEPT
    $iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $iptables -A FORWARD -j ufw-before-forward
    $iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $iptables -A FORWARD -j ufw-reject-forward
done
ip6tables -A ufw-before-input -p icmpv6 -j ACCEPT
"""
PLAIN = """
nft add table inet own
nft add chain inet own through '{ type filter hook forward priority 0; policy drop; }'
nft add rule inet own through ct state established accept
nft add table ip6 more
nft add chain ip6 more through '{ type filter hook forward priority 10; policy drop; }'
"""
FIREWALLD = """
nft -f - <<END
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_FORWARD_ZONES
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_ZONES { iifname "uplink" return; }
}
END
"""


def rules_of_others(host: Host) -> str:
    """All rules but those of mydocker's tables, without what counts packets."""
    rules = re.sub(r"(?ms)^table \w+ mydocker.*?^}\n", "", host.run("nft", "list", "ruleset"))
    return re.sub(r"packets \d+ bytes \d+", "", rules)


def send_both_ways(site: Site, container: Container, family: socket.AddressFamily, address: str) -> None:
    """A datagram to the outside at ADDRESS, and its answer; it is sent again as a resolver does (RFC 1035, 4.2.1)."""
    with container.inside():
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client, udp_server(site.outside, family=family) as server:
        client.settimeout(100)
        server.settimeout(20)
        client.connect((address, server.getsockname()[1]))
        for attempt in range(3):
            client.send(b"question")
            try:
                data, peer = server.recvfrom(100)
                break
            except TimeoutError:
                assert attempt < 2, "nothing arrives outside"
        server.sendto(b"answer", peer)
        assert (data, client.recv(100)) == (b"question", b"answer")


@pytest.mark.parametrize("bridge_filter", ["0", "1"], ids=["", "br_netfilter"])
@pytest.mark.parametrize("rules", [DOCKER, UFW, PLAIN, FIREWALLD], ids=["Docker", "ufw", "nftables", "firewalld"])
def test_a_host_with_a_firewall(site: Site, rules: str, bridge_filter: str) -> None:
    """Out, in and among each other, IPv4 and IPv6; afterwards its rules are as they were before."""
    host = site.host
    host.do(f"echo {bridge_filter} | tee /proc/sys/net/bridge/bridge-nf-call-ip*tables >/dev/null")
    host.do(rules)
    before = rules_of_others(host)
    subnets = parse_subnet("10.99.0.0/24"), parse_subnet("fd99::/64")
    addresses = Addresses(subnet=subnets[0], subnet6=subnets[1])
    lifecycle.create(f"{host.command.store}/networks", "both", addresses=addresses)
    with (
        host.container("--network", "both", "-p", "7000:80") as container,
        host.container("--network", "both") as other,
    ):
        send_both_ways(site, container, socket.AF_INET, OUTSIDE)
        send_both_ways(site, container, socket.AF_INET6, OUTSIDE6)
        with container.inside(), socket.create_server(("", 80)) as server:
            server.settimeout(100)
            for place, *target in (
                (site.outside, ADDRESS, 7000),
                (other, ADDRESS, 7000),
                (other, container.address, 80),
            ):
                with place.inside(), socket.create_connection((target[0], target[1]), timeout=100):
                    server.accept()[0].close()
    host.wait_until_clean()
    assert rules_of_others(host) == before


def test_a_firewall_that_is_opened_meanwhile(site: Site) -> None:
    """The rules go all the same."""
    host = site.host
    host.do(UFW)
    with host.container():
        assert len(host.traces()["rules"]) == 4
        host.do("iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT")
    host.wait_until_clean()


def test_a_rule_of_the_users_own(site: Site) -> None:
    """It stays, also if it is about the bridge."""
    host = site.host
    host.do(DOCKER)
    with host.container():
        [bridge, _] = host.traces()["links"]
        host.do(f"iptables -A FORWARD -i {bridge} -p tcp --dport 25 -j DROP")
    wait_for(lambda: not host.traces()["links"] and not host.traces()["tables"])
    own = f"-A FORWARD -i {bridge} -p tcp -m tcp --dport 25 -j DROP"
    wait_for(lambda: host.do("iptables -S FORWARD").splitlines()[-1] == own)


def test_two_networks(site: Site) -> None:
    """Each has its own rules, and takes away no others."""
    host = site.host
    host.do(DOCKER)
    host.command("network", "create", "other")
    with host.container() as first:
        with host.container("--network", "other"):
            assert len(host.traces()["rules"]) == 4
        wait_for(lambda: len(host.traces()["rules"]) == 2)
        send_both_ways(site, first, socket.AF_INET, OUTSIDE)
    host.wait_until_clean()
