"""A host in a namespace of its own, a machine that it reaches, and an ordinary user on it."""

from __future__ import annotations

import os
import pathlib
import pwd
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from lab.command import Command, await_end_of_processes, granted
from lab.machines import Machine, link, open_to_all
from lab.networks import Host

from mydocker import idmap, kernel

FIRST = 300_000
OUTSIDE = "192.168.77.2"  # the other machine's address


@pytest.fixture
def tun(tmp_path: pathlib.Path) -> Iterator[None]:
    with open_to_all("/dev/net/tun", tmp_path):
        yield


@pytest.fixture
def other() -> Iterator[Machine]:
    """A machine that the host, in whose network the test then is, has its default route to."""
    with Machine() as host, Machine() as machine:
        link(host, machine, "uplink", ones=("192.168.77.1/24",), others=(f"{OUTSIDE}/24",))
        host.run("ip", "route", "add", "default", "via", OUTSIDE)
        with host.inside():
            yield machine


@pytest.fixture(params=["ranges", "one id"])
def ids(request: pytest.FixtureRequest, user: pwd.struct_passwd) -> Iterator[bool]:
    """Whether the user has ranges of ids."""
    with ExitStack() as stack:
        if request.param == "ranges":
            stack.enter_context(granted(user, FIRST))
        yield request.param == "ranges"


@pytest.fixture
def ranges(user: pwd.struct_passwd) -> Iterator[None]:
    with granted(user, FIRST):
        yield


@pytest.fixture
def directory(user_directory: Callable[[], pathlib.Path], user: pwd.struct_passwd, tun: None) -> Iterator[str]:
    """Where the user's networks are. Nothing of them is left a moment later."""
    yield str(user_directory())
    assert not await_end_of_processes(user)


@pytest.fixture
def as_user(user: pwd.struct_passwd) -> Callable[[Callable[[], None]], None]:
    """Does something in a process of the user's; raises what that raises."""

    def perform(action: Callable[[], None]) -> None:
        def become_and_act() -> None:
            os.setgroups([])
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # as for a process that has executed its program as that user
            action()

        idmap.perform(None, become_and_act, limit=240)

    return perform


@pytest.fixture
def owned(second_user: Command, user: pwd.struct_passwd, ids: bool, tun: None) -> Iterator[Host]:
    """A host on which `command` is the user's, with an image, and with its own /etc/resolv.conf. Nothing of the user's
    is left a moment after the end."""
    assert second_user("pull", "-q", "alpine").code == 0
    with Host(second_user) as host, Machine() as machine:
        link(host, machine, "uplink", ones=("192.168.77.1/24",), others=(f"{OUTSIDE}/24",))
        host.run("ip", "route", "add", "default", "via", OUTSIDE)
        host.command = replace(second_user, prefix=(*host.enter, *second_user.prefix))
        own = second_user.directory / "resolv.conf"
        own.write_text("nameserver 127.0.0.1\n")
        own.chmod(0o644)
        host.do(f"mount --bind {own} /etc/resolv.conf")
        yield host
        assert not await_end_of_processes(user)
