"""Stacks of real servers on a host of their own: a copy of a folder, and what `mydocker` does with it, as root and as
an ordinary user."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from lab import debian
from lab.command import Command, await_end_of_processes, command, granted
from lab.compose import Stack
from lab.machines import Machine, link, open_to_all
from lab.networks import Host

FIRST = 400_000  # of the user's ids


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The images. $MYDOCKER_STACKS is their file system, kept from an earlier session; it is made there if missing."""
    directory = tmp_path_factory.mktemp("stacks")
    base = pathlib.Path(os.environ.get("MYDOCKER_STACKS") or directory / "base.tar")
    if not base.exists():
        debian.build_base(base)
    debian.write_layout(base, directory / "layout")
    directory.chmod(0o755)
    return directory / "layout"


@pytest.fixture(scope="session", params=["as root", "rootless"])
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, layout: pathlib.Path
) -> Iterator[Command]:
    """The command of root and of an ordinary user, with the images in their store."""
    with ExitStack() as stack:
        if request.param == "as root":
            ready = command(tmp_path_factory.mktemp("root"))
        else:
            user: pwd.struct_passwd = request.getfixturevalue("user")
            stack.enter_context(granted(user, FIRST))
            ready = request.getfixturevalue("make_second_user")()
            stack.enter_context(open_to_all("/dev/net/tun", ready.directory))
        done = ready("load", "-q", "-i", _visible(layout, ready.directory), timeout=240)
        assert done.code == 0, done
        yield ready


def _visible(layout: pathlib.Path, directory: pathlib.Path) -> str:
    """LAYOUT, where whoever owns DIRECTORY can read it."""
    target = directory / "layout"
    shutil.copytree(layout, target, copy_function=debian.link)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return str(target)


@pytest.fixture
def stack(
    request: pytest.FixtureRequest, loaded: Command, user_directory: Callable[[], pathlib.Path]
) -> Iterator[Callable[..., Stack]]:
    """Makes the stack of a folder of this one, on a host that has a default route. Nothing of it is left at the end."""
    made: list[Stack] = []
    with Host(loaded) as host, Machine() as other:
        link(host, other, "uplink", ones=("192.168.77.1/24",), others=("192.168.77.2/24",))
        host.run("ip", "route", "add", "default", "via", "192.168.77.2")
        resolvers = user_directory() / "resolv.conf"
        resolvers.write_text("nameserver 127.0.0.1\n")  # where nobody answers, and nobody waits for an answer
        resolvers.chmod(0o644)
        host.do(f"mount --bind {resolvers} /etc/resolv.conf")
        host.command = replace(loaded, prefix=(*host.enter, *loaded.prefix))

        def make(name: str, project: str = "") -> Stack:
            folder = user_directory() / name
            shutil.copytree(pathlib.Path(__file__).parent / name, folder)
            made.append(Stack(host, folder, project or name))
            return made[-1]

        yield make
        for each in made:
            each.mydocker("down", "-v", "-t", "1", timeout=240)
        if loaded.prefix:
            assert not await_end_of_processes(request.getfixturevalue("user"))
