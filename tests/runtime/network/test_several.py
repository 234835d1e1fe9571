"""A container in several networks: the names of its interfaces, and which one has the default route."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

ONE, TWO, INSIDE = "10.222.1.0/24", "10.222.2.0/24", "10.222.3.0/24"


@contextmanager
def _networks(mydocker: Command) -> Iterator[None]:
    for name, subnet, more in (("one", ONE, ()), ("two", TWO, ()), ("inside", INSIDE, ("--internal",))):
        assert mydocker("network", "create", "--subnet", subnet, *more, name).code == 0
    yield
    for name in ("one", "two", "inside"):
        assert mydocker("network", "rm", name).code == 0


@pytest.mark.parametrize(
    ("options", "route"),
    [
        (("one", "two"), "via 10.222.1.1 dev eth0"),
        (("two", "one"), "via 10.222.2.1 dev eth0"),
        (("inside", "one"), "via 10.222.1.1 dev eth1"),
        (("one", "name=two,gw-priority=1"), "via 10.222.2.1 dev eth1"),
        (("inside",), ""),
        (("name=one,driver-opt=com.docker.network.endpoint.ifname=wan0",), "via 10.222.1.1 dev wan0"),
    ],
)
def test_the_default_route(mydocker: Command, options: tuple[str, ...], route: str) -> None:
    words = [word for option in options for word in ("--network", option)]
    with _networks(mydocker):
        done = mydocker("run", *words, "--rootfs", "/", "ip", "route", "show", "default")
    assert (done.stderr, done.code) == (b"", 0)
    assert done.stdout.decode().strip() == (f"default {route}" if route else "")
