"""What a container has of a network: interfaces, routes, name servers, names; and networks that the user creates."""

from __future__ import annotations

import pathlib
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from lab.command import Result
from lab.machines import refused
from lab.networks import ADDRESS, OUTSIDE
from networked import MTU, SERVERS, Networked

pytestmark = pytest.mark.root

PLAIN = r"sed -E 's/([0-9]+\.){3}[0-9]+/A/g' | tr -s ' \t' ' ' | sed 's/ $//'"  # every IPv4 address becomes A
OWN = "$(ip -4 -o address show eth0 | sed -E 's/.* inet ([0-9.]+).*/\\1/')"
GATEWAY = "$(ip route | sed -nE 's/^default via ([0-9.]+) .*/\\1/p')"
SEEN = {
    "routes": ((), f"ip route | {PLAIN}", "default via A dev eth0\nA/16 dev eth0 scope link src A"),
    "interfaces": ((), "ip -o link show up | cut -d: -f2 | cut -d@ -f1 | sort | tr -d ' '", "eth0\nlo"),
    "no IPv6": ((), "ip -6 -o address show eth0 | wc -l", "0"),
    "the largest packet": ((), "cat /sys/class/net/eth0/mtu", str(MTU)),
    "the host name has the address": ((), f'[ "$(hostname -i)" = "{OWN}" ] && echo ok', "ok"),
    "names": (("-h", "box"), f"grep -w box /etc/hosts | {PLAIN}", "A box"),
    "--hostname": (("--hostname", "box"), "hostname; cat /etc/hostname", "box\nbox"),
    "--domainname": (
        ("-h", "box", "--domainname", "lab.example"),
        f"hostname -f; grep -w box /etc/hosts | {PLAIN}",
        "box.lab.example\nA box.lab.example box",
    ),
    "--add-host": (("--add-host", "there:10.1.2.3"), "grep -w there /etc/hosts | tr '\t' ' '", "10.1.2.3 there"),
    "--add-host host-gateway": (
        ("--add-host", "machine:host-gateway"),
        f'[ "$(grep -w machine /etc/hosts | cut -f1)" = "{GATEWAY}" ] && echo ok',
        "ok",
    ),
    "--mac-address": (("--mac-address", "02:42:0a:01:02:03"), "cat /sys/class/net/eth0/address", "02:42:0a:01:02:03"),
    "--network none": (("--network", "none"), f"ip -4 -o address | {PLAIN}; ip route", r"1: lo inet A/8 scope host lo"),
    "the outside": ((), f"ping -c 1 -w 100 -W 100 {OUTSIDE} > /dev/null && echo ok", "ok"),
    "the host": ((), f"ping -c 1 -w 100 -W 100 {ADDRESS} > /dev/null && echo ok", "ok"),
}


@pytest.mark.parametrize("name", SEEN)
def test_network(networked: Networked, name: str) -> None:
    options, script, expected = SEEN[name]
    assert networked.sh(f"{script} || true", *options).split("\\")[0].strip() == expected


def test_the_gateway_is_the_first_address(networked: Networked) -> None:
    found = networked.sh(f'echo "{GATEWAY}"; ip route | grep -v default').split()
    assert found[0] == re.sub(r"0/16$", "1", found[1])


def test_the_hosts_loopback_is_not_reached(networked: Networked) -> None:
    """Neither from a container by the gateway, nor by its own loopback."""
    with networked.server() as one:
        gateway = one.run("ip", "route", "show", "default").split()[2]
        with networked.host.inside():
            service = socket.create_server(("127.0.0.1", 0))
        with service:
            port = service.getsockname()[1]
            assert not refused(networked.host, "127.0.0.1", port)
            assert refused(one, gateway, port) and refused(one, "127.0.0.1", port)


RESOLVERS = {  # resolv.conf of the host, options -> that of the container
    "the host's": (SERVERS, (), SERVERS),
    "options": (
        "nameserver 192.0.2.53\noptions ndots:3 rotate\n",
        (),
        "nameserver 192.0.2.53\noptions ndots:3 rotate\n",
    ),
    "on loopback": ("nameserver 127.0.0.1\n", (), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
    "on loopback, and a search domain": (
        "search a.example\nnameserver 127.0.0.2\n",
        (),
        "search a.example\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n",
    ),
    "one of two on loopback": ("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", (), "nameserver 192.0.2.53\n"),
    "one of two by IPv6": ("nameserver 2001:db8::53\nnameserver 192.0.2.53\n", (), "nameserver 192.0.2.53\n"),
    "on loopback by IPv6": ("nameserver ::1\n", (), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
    "none": ("search a.example\n", (), "search a.example\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
    "--dns": (SERVERS, ("--dns", "10.1.2.3"), "nameserver 10.1.2.3\nsearch lab.example\n"),
    "--dns twice": (
        SERVERS,
        ("--dns", "10.1.2.3", "--dns", "10.1.2.4"),
        "nameserver 10.1.2.3\nnameserver 10.1.2.4\nsearch lab.example\n",
    ),
    "--dns on loopback": (SERVERS, ("--dns", "127.0.0.1"), "nameserver 127.0.0.1\nsearch lab.example\n"),
    "--dns-search": (SERVERS, ("--dns-search", "b.example"), "nameserver 192.0.2.53\nsearch b.example\n"),
    "--dns-search, none": (SERVERS, ("--dns-search", "."), "nameserver 192.0.2.53\n"),
    "--dns-option": (SERVERS, ("--dns-option", "ndots:2"), f"{SERVERS}options ndots:2\n"),
    "--dns on loopback of the host": ("nameserver 127.0.0.1\n", ("--dns", "10.1.2.3"), "nameserver 10.1.2.3\n"),
}


@pytest.fixture
def resolv_conf(networked: Networked) -> Iterator[pathlib.Path]:
    yield networked.resolv_conf
    networked.resolv_conf.write_text(SERVERS)


@pytest.mark.parametrize("name", RESOLVERS)
def test_name_servers(networked: Networked, resolv_conf: pathlib.Path, name: str) -> None:
    """In the order of servers; that of other lines is of no importance."""
    text, options, expected = RESOLVERS[name]
    resolv_conf.write_text(text)
    found = networked.sh("cat /etc/resolv.conf", *options)
    lines = [line.strip() for line in found.splitlines() if line.strip() and line[0] != "#"]
    assert sorted(lines, key=_kind) == sorted(expected.splitlines(), key=_kind)


def _kind(line: str) -> str:
    return line.split()[0]


ERRORS = {
    "no such network": ("--network", "nonesuch"),
    "the network of no such container": ("--network", "container:nonesuch"),
    "an address without a network": ("--network", "none", "--ip", "10.1.2.3"),
    "an address in the host's network": ("--network", "host", "--ip", "10.1.2.3"),
    "no hardware address": ("--mac-address", "nonesuch"),
    "no address of a name": ("--add-host", "there"),
    "no address of a server": ("--dns", "nonesuch"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(networked: Networked, name: str) -> None:
    done = networked.run(*ERRORS[name], argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"", 125), done


def test_the_network_of_another_container(networked: Networked) -> None:
    """Interfaces, names, name servers and the host name are the same."""
    look = 'readlink /proc/self/ns/net; hostname; echo "$HOSTNAME"; cat /etc/hostname; grep -cw box /etc/hosts'
    with networked.server("-h", "box", "--dns", "10.1.2.3") as one:
        found = networked.sh(f"{look}; grep -c 10.1.2.3 /etc/resolv.conf", "--network", f"container:{one.name}")
        assert found.split() == [str(pathlib.Path(f"/proc/{one.pid}/ns/net").readlink()), *["box"] * 3, "1", "1"]


CONFLICTS = ("-h box", "-p 80", "-P", "--mac-address 02:42:0a:01:02:03", "--ip 10.1.2.3", "--dns 10.1.2.3")
CONFLICTS += ("--add-host there:10.1.2.3", "--expose 80", "--network-alias x")


@pytest.mark.parametrize("words", CONFLICTS)
def test_a_setting_of_the_other_containers_network(networked: Networked, words: str) -> None:
    with networked.server() as one:
        done = networked.run(*words.split(), "--network", f"container:{one.name}", argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"", 125), done


@pytest.mark.parametrize("network", ["none", "host"])
def test_ports_without_a_network_of_its_own(networked: Networked, network: str) -> None:
    done = networked.run("--network", network, "-p", "7090:80", argv=("echo", "started"))
    assert (done.stdout, done.code) == (b"started\n", 0), done


IMPATIENT = ("--dns-option", "timeout:1", "--dns-option", "attempts:1")  # nobody answers for other names here


def test_names_of_a_network(networked: Networked) -> None:
    """By name and alias, not by those of other networks."""
    with ExitStack() as stack:
        network, other = (stack.enter_context(networked.network()) for _ in range(2))
        with networked.server("--network", network, "--network-alias", "db", name="first-one") as one:
            address = one.run("ip", "-4", "-o", "address", "show", "eth0").split()[3].partition("/")[0]
            for name in ("first-one", "db"):
                script = f"ping -c 1 -w 100 -W 100 {name} | head -1"
                assert f"({address})" in networked.sh(script, "--network", network), name
            done = networked.run("--network", other, *IMPATIENT, argv=("ping", "-c", "1", "-w", "5", "first-one"))
            assert done.code == 1 and b"bad address" in done.stderr


def test_the_default_network_has_no_names(networked: Networked) -> None:
    with networked.server(name="second-one"):
        done = networked.run(*IMPATIENT, argv=("ping", "-c", "1", "-w", "5", "second-one"))
        assert done.code == 1 and b"bad address" in done.stderr


def test_containers_of_one_network_reach_each_other(networked: Networked) -> None:
    with networked.server() as one:
        address = one.run("ip", "-4", "-o", "address", "show", "eth0").split()[3].partition("/")[0]
        assert networked.sh(f"ping -c 1 -w 100 -W 100 {address} > /dev/null && echo ok") == "ok\n"


CHOSEN = {  # network, options -> script, what it prints
    "--ip": ("--subnet 10.217.0.0/24", "--ip 10.217.0.9", f"echo {OWN}", "10.217.0.9"),
    "the first address": ("--subnet 10.217.0.0/24", "", f"echo {OWN} {GATEWAY}", "10.217.0.2 10.217.0.1"),
    "--gateway": (
        "--subnet 10.217.0.0/24 --gateway 10.217.0.254",
        "",
        f"echo {OWN} {GATEWAY}",
        "10.217.0.1 10.217.0.254",
    ),
    "--ip-range": (
        "--subnet 10.217.0.0/24 --ip-range 10.217.0.64/26",
        "",
        f"echo {OWN} | grep -cE '[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])$'",
        "1",
    ),
    "the largest packet": ("-o com.docker.network.driver.mtu=1300", "", "cat /sys/class/net/eth0/mtu", "1300"),
    "--internal": (
        "--internal",
        "",
        f"ip route | grep -c default; ping -c 1 -w 1 -W 1 {OUTSIDE} >&- 2>&-; echo $?",
        "0\n1",
    ),
    "--ip6": (
        "--ipv6 --subnet fd00:217::/64",
        "--ip6 fd00:217::9",
        "ip -6 -o address show eth0 | grep -c 'fd00:217::9/64'; ip -6 route | grep -c '^default via fd00:217::1 '",
        "1\n1",
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_network(networked: Networked, name: str) -> None:
    words, options, script, expected = CHOSEN[name]
    with networked.network(*words.split()) as network:
        assert networked.sh(script, "--network", network, *options.split()).strip() == expected


def test_an_address_of_the_default_network(networked: Networked) -> None:
    network = networked.sh("ip route | grep -v default").split()[0]
    address = network.replace("0.0/16", "200.9")
    assert networked.sh(f"echo {OWN}", "--ip", address) == f"{address}\n"


REFUSED = {  # options in a network 10.217.0.0/24, in which 10.217.0.9 is in use
    "an address of another network": ("--ip", "10.218.0.9"),
    "the gateway's": ("--ip", "10.217.0.1"),
    "an address in use": ("--ip", "10.217.0.9"),
    "no address": ("--ip", "nonesuch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_address_that_is_refused(networked: Networked, name: str) -> None:
    with networked.network("--subnet", "10.217.0.0/24") as network:
        with networked.server("--network", network, "--ip", "10.217.0.9"):
            done = networked.run("--network", network, *REFUSED[name], argv=("echo", "started"))
        assert (done.stdout, done.code) == (b"", 125), done


FORMATS = {  # words after `network` -> what is printed of network NAME with a container SERVER in it
    "a field": ("inspect -f {{.Name}} NAME", "NAME"),
    "a nested field": ("inspect --format {{with~index~.IPAM.Config~0}}{{.Subnet}}{{end}} NAME", "10.217.0.0/24"),
    "a range": ("inspect -f {{range~.IPAM.Config}}{{.Gateway}}{{end}} NAME", "10.217.0.1"),
    "containers": ("inspect -f {{range~.Containers}}{{.Name}}:{{.IPv4Address}}{{end}} NAME", "SERVER:10.217.0.9/24"),
    "a label": ("inspect -f {{.Labels.a}} NAME", "b"),
    "JSON": ("inspect -f {{json~.Labels}} NAME", '{"a":"b"}'),
    "two networks": ("inspect -f {{.Driver}} NAME NAME", "bridge\nbridge"),
    "names": ("ls --filter name=NAME --format {{.Name}}:{{.Driver}}", "NAME:bridge"),
    "names by a label": ("ls -f name=NAME -f label=a=b --format {{.Name}}", "NAME"),
    "none": ("ls -q -f name=NAME -f label=a=c", ""),
    "a table": ("ls -f name=NAME --format table~{{.Name}}", "NAME"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(networked: Networked, name: str) -> None:
    words, expected = FORMATS[name]
    words_of_network = ("--subnet", "10.217.0.0/24", "--gateway", "10.217.0.1", "--label", "a=b")
    with networked.network(*words_of_network) as network:
        with networked.server("--network", network, "--ip", "10.217.0.9") as server:
            done = networked.command(
                "network", *(word.replace("~", " ") for word in words.replace("NAME", network).split())
            )
        printed = done.stdout.decode().strip().splitlines()
        expected = expected.replace("NAME", network).replace("SERVER", server.name)
        assert ("\n".join(printed[-1:] if name == "a table" else printed), done.code) == (expected, 0), done


def test_networks_of_the_user(networked: Networked) -> None:
    """What the commands print, and with which code they end."""
    name = f"net-{uuid.uuid4().hex[:8]}"
    made = networked.command("network", "create", "--label", "a=b", name)
    assert re.fullmatch(rb"[0-9a-f]{64}\n", made.stdout) and made.code == 0
    again = networked.command("network", "create", name)
    assert (again.stdout, again.code) == (b"", 1), again
    with networked.server("--network", name):
        used = networked.command("network", "rm", name)
        assert (used.stdout, used.code) == (b"", 1), used
    gone = networked.command("network", "rm", name)
    assert gone == Result(name.encode() + b"\n", b"", 0)
    for action in ("rm", "inspect"):
        missing = networked.command("network", action, name)
        assert missing.code == 1 and missing.stdout.strip() in (b"", b"[]"), missing
