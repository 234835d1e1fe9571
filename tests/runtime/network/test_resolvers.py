"""/etc/resolv.conf of a container: servers of the host that it can reach, or others that the user sets."""

from __future__ import annotations

import pytest
from lab.networks import Host

pytestmark = pytest.mark.root

PUBLIC = ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]
STUB = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp.example\n"


def lines(host: Host, own: str, *options: str, upstream: str | None = None) -> list[str]:
    """What a container finds on HOST, whose file is OWN, and that of systemd-resolved UPSTREAM, if it has one."""
    place = host.command.directory
    (place / "own").write_text(own)
    script = f"mount --bind {place}/own /etc/resolv.conf; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/resolve"
    if upstream is not None:
        (place / "upstream").write_text(upstream)
        script += f"; cp {place}/upstream /run/systemd/resolve/resolv.conf"
    host.do(script)
    done = host.command("run", *options, "alpine", "cat", "/etc/resolv.conf")
    assert (done.code, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("own", "upstream", "expected"),
    [
        ("nameserver 192.0.2.9\nsearch a b\n", None, ["nameserver 192.0.2.9", "search a b"]),
        (STUB, None, ["options edns0 trust-ad", "search corp.example", *PUBLIC]),
        (
            STUB,
            "# of resolved\nnameserver 192.0.2.9\nnameserver 192.0.2.10\nsearch other\n",
            ["nameserver 192.0.2.9", "nameserver 192.0.2.10", "options edns0 trust-ad", "search corp.example"],
        ),
        (STUB, "nameserver 127.0.0.1\n", ["options edns0 trust-ad", "search corp.example", *PUBLIC]),
        (STUB, "", ["options edns0 trust-ad", "search corp.example", *PUBLIC]),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.9\n", None, ["nameserver 192.0.2.9"]),
        ("nameserver ::1\nnameserver 0.0.0.0\n", None, PUBLIC),
        ("", None, PUBLIC),
        ("nameserver 127.0.0.53\nsearch unended", None, ["search unended", *PUBLIC]),
        ("nameserver 192.0.2.9\nnameserver fe80::1%eth0\n", None, ["nameserver 192.0.2.9"]),
        ("; a comment\n\tnameserver\t192.0.2.9  \n", None, ["; a comment", "\tnameserver\t192.0.2.9  "]),
    ],
)
def test_servers_of_the_host(host: Host, own: str, upstream: str | None, expected: list[str]) -> None:
    assert lines(host, own, upstream=upstream) == expected


def test_a_network_of_the_hosts_keeps_them(host: Host) -> None:
    assert lines(host, STUB, "--network", "host") == STUB.splitlines()


def test_those_of_the_user(host: Host) -> None:
    """They are taken as they are, loopback included, as with Docker."""
    words = ("--dns", "192.0.2.7", "--dns", "127.0.0.1", "--dns-search", "x.example", "--dns-option", "ndots:3")
    assert lines(host, STUB, *words) == [
        "search x.example",
        "nameserver 192.0.2.7",
        "nameserver 127.0.0.1",
        "options ndots:3",
    ]
    assert lines(host, "nameserver 192.0.2.9\nsearch old\n", "--dns-search", ".") == ["nameserver 192.0.2.9"]


@pytest.mark.parametrize(
    ("own", "options", "expected"),
    [
        (STUB, (), ["search corp.example", "options edns0 trust-ad ndots:0"]),
        ("nameserver fe80::1%eth0\nnameserver 192.0.2.9\n", (), ["options ndots:0"]),
        ("", (), ["options ndots:0"]),
        ("options ndots:2 rotate\n options attempts:1", (), ["options ndots:2 rotate attempts:1"]),
        ("options ndots:2\n", ("--dns-option", "ndots:5"), ["options ndots:5"]),
        ("options ndots:2\n", ("--dns-option", "rotate"), ["options rotate ndots:0"]),
        (
            STUB,
            ("--dns", "192.0.2.7", "--dns-search", "x.example"),
            ["search x.example", "options edns0 trust-ad ndots:0"],
        ),
        (STUB, ("--dns-search", "."), ["options edns0 trust-ad ndots:0"]),
    ],
)
def test_a_network_with_names_has_its_own(host: Host, own: str, options: tuple[str, ...], expected: list[str]) -> None:
    """With IPv6 or without; the servers of the host, or of `--dns`, are those that it asks."""
    assert host.command("network", "create", "--ipv6", "six").code == 0
    assert lines(host, own, "--network", "six", *options) == ["nameserver 127.0.0.11", *expected]
    assert "nameserver 127.0.0.11" not in lines(host, own, *options)
