"""The command under test: `RUNTIME=docker pytest tests/parity`, or podman, or mydocker, which is what runs unasked.

Each command gets a store, or a daemon, of the suite's own, and images that it has pulled from the tests' registry.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from known import DEPENDS, KNOWN
from lab import busybox, dockerd, oci, stacks
from lab.command import PATH, Command, command, registries_conf
from lab.networks import Host, made_site
from lab.processes import mentioning, within
from lab.registry import Registry
from networked import MTU, SERVERS, Networked
from peer import Peer

NAME = os.environ.get("RUNTIME", "mydocker")
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=10000:10000", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""


USERS = ("mail:", ":100", ":", "8:")  # of images, with an empty part


def _changed() -> oci.Image:
    """What test_parity_diff.py changes: three layers, with names that a higher one hides."""
    file = oci.File(b"abc")
    tree = {
        **{f"opt/{name}": oci.DIR for name in ("d", "empty", "man", "man/man1", "man/man5", "l", "l/tree", "op")},
        **{f"opt/man/{name}": file for name in ("README", "man1/a", "man1/b", "man5/c")},
        **{"opt/d/f": file, "opt/d/g": oci.Hardlink("opt/d/f"), "opt/d/l": oci.Link("f")},
        **{"opt/d/null": oci.CharDevice(1, 3, mode=0o644), "opt/op/old": file},
        **{f"opt/l/{name}": file for name in ("under", "both", "gone", "tree/x")},
    }
    middle = {"opt/l/both": oci.File(b"b"), "opt/l/over": file, "opt/l/gone": oci.WHITEOUT, "opt/l/tree": oci.WHITEOUT}
    top = {"opt/op": oci.OPAQUE, "opt/op/new": file}
    return busybox.alpine(*(oci.layer(entries) for entries in (tree, middle, top)))


def _images() -> dict[str, oci.Image]:
    closed = oci.layer({".": oci.Dir(mode=0o700, uid=8, gid=12), "srv/kept": oci.Dir(mode=0o700, uid=8)})
    text = oci.layer(
        {
            **{"bin/text": oci.Program(b"just text\n"), "bin/lost": oci.Link("/nowhere"), "bin/loop": oci.Link("loop")},
            **{"bin/plain": oci.File(b"#!/bin/sh\n"), "bin/folder": oci.DIR},
        }
    )
    own = {
        "bin": oci.DIR,
        "bin/busybox": oci.Link("/bin/busybox"),
        "run": oci.Program(b'#!bin/busybox sh\necho "$0 $1"\n'),
    }
    script = oci.layer({"srv/app": oci.DIR, **{f"srv/app/{name}": entry for name, entry in own.items()}})
    numbered = oci.layer(
        {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n7:x:50:60::/seven:/bin/sh\n8:x:7:70::/eight:/bin/sh\n"}
    )
    settings = {"env": ["A=image", "B=image", "PATH=/bin"], "user": "mail:users", "working_dir": "/srv/app"}
    return {
        "library/alpine": busybox.alpine(),
        "lab/entry": busybox.alpine(entrypoint=["echo", "entry"], cmd=["one", "two"]),
        "lab/settings": busybox.alpine(**settings, stop_signal="SIGQUIT"),
        "lab/nothing": busybox.alpine(cmd=None),
        "lab/changes": _changed(),
        "lab/text": busybox.alpine(text),
        "lab/closed": busybox.alpine(closed, volumes=["/data/deep", "/data", "/srv/kept"], env=["HOME="]),
        "lab/mtab": busybox.alpine(oci.layer({"etc/mtab": oci.Link("/proc/self/mounts")})),
        "lab/script": busybox.alpine(script, working_dir="/srv/app", cmd=["./run", "cmd"]),
        "lab/numbered": busybox.alpine(numbered),
        "lab/reset": busybox.alpine(entrypoint=[""], cmd=["echo", "cmd"]),
        "lab/blank": busybox.alpine(cmd=[""]),
        **{f"lab/user{number}": busybox.alpine(user=user) for number, user in enumerate(USERS)},
        **{f"lab/stack{number}": stacks.image(stack) for number, stack in enumerate(stacks.samples(4))},
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A difference that is known is expected, strictly: when it is gone, its line must go too."""
    folder = pathlib.Path(__file__).parent
    here = [item for item in items if item.path.parent == folder]
    for item in here:
        for table, strict in ((KNOWN, True), (DEPENDS, False)):
            if reason := table.get(NAME, {}).get(item.name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=strict))


@pytest.fixture(scope="session")
def peer(registry: Registry) -> Iterator[Peer]:
    """The command, with Alpine's image. Its directory has a short name: sockets lie below it (unix(7))."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="parity-"))
    try:
        images = _images()
        for name, image in images.items():
            registry.push(image, name)
        start = {"mydocker": _mydocker, "docker": _docker, "podman": _podman}[NAME]
        for ready in start(directory, registry):
            ready.to_pull.update(images)
            ready.pull("library/alpine")
            yield ready
    finally:
        shutil.rmtree(directory)


def _mydocker(directory: pathlib.Path, registry: Registry) -> Iterator[Peer]:
    yield Peer("mydocker", command(directory, registry=registry.address, forks=True), registry.address)


def _docker(directory: pathlib.Path, registry: Registry) -> Iterator[Peer]:
    with dockerd.daemon(directory) as running:
        yield Peer("docker", _docker_command(directory, running), registry.address)


def _docker_command(directory: pathlib.Path, daemon: dockerd.Docker) -> Command:
    environment = {"PATH": PATH, "HOME": str(directory), "DOCKER_HOST": f"unix://{daemon.socket}"}
    return Command(_program("docker"), environment, directory)


def _podman(directory: pathlib.Path, registry: Registry) -> Iterator[Peer]:
    with _podman_command(directory, registries_conf(registry.address)) as podman:
        yield Peer("podman", podman, registry.address)


@contextmanager
def _podman_command(directory: pathlib.Path, registries: str, *, prefix: Sequence[str] = ()) -> Iterator[Command]:
    """Podman with its storage in DIRECTORY, entered by the words of PREFIX."""
    conf = f'{CONTAINERS_CONF}[network]\nnetwork_config_dir = "{directory}/networks"\n'
    environment = {"PATH": PATH, "HOME": str(directory)}
    for name, text in {"CONTAINERS_CONF": conf, "CONTAINERS_REGISTRIES_CONF": registries}.items():
        (directory / name).write_text(text)
        environment[name] = str(directory / name)
    places = {"--root": "root", "--runroot": "run", "--tmpdir": "tmp"}
    words = [str(_program("podman")), *(f"{option}={directory / place}" for option, place in places.items())]
    wrapper = directory / "podman"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
    wrapper.chmod(0o755)
    podman = Command(wrapper, environment, directory, prefix)
    try:
        yield podman
    finally:
        podman("rm", "--all", "--force", "--time", "0")
        within(100, lambda: not mentioning(str(directory)))  # one that cleans up mounts it again
        for mounted in ("root/overlay", "root/overlay-containers"):
            subprocess.run([*prefix, "umount", "--lazy", directory / mounted], stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def networked(alpine: Command) -> Iterator[Networked]:
    """The command on a host of its own, with an image that has no other source than a file."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="parity-"))
    try:
        archive = directory / "alpine.tar"
        assert alpine("save", "--output", str(archive), "alpine").code == 0
        (directory / "resolv.conf").write_text(SERVERS)
        with made_site(alpine) as site, ExitStack() as stack:
            site.host.do(f"mount --bind {directory}/resolv.conf /etc/resolv.conf; ip link set uplink mtu {MTU}")
            site.outside.run("ip", "link", "set", "eth0", "mtu", str(MTU))
            on_host = {"mydocker": _mydocker_there, "docker": _docker_there, "podman": _podman_there}[NAME]
            ready = stack.enter_context(on_host(directory, site.host))
            done = ready("load", "--input", str(archive))
            assert done.code == 0, done
            yield Networked(NAME, ready, site, directory / "resolv.conf")
    finally:
        shutil.rmtree(directory)


@contextmanager
def _mydocker_there(directory: pathlib.Path, host: Host) -> Iterator[Command]:
    yield replace(command(directory, forks=True), prefix=host.enter)


@contextmanager
def _docker_there(directory: pathlib.Path, host: Host) -> Iterator[Command]:
    with dockerd.daemon(directory, enter=host.enter) as running:
        yield _docker_command(directory, running)


@contextmanager
def _podman_there(directory: pathlib.Path, host: Host) -> Iterator[Command]:
    host.do("mkdir -p /var/lib/cni; mount -t tmpfs none /var/lib/cni")  # the addresses that the plugins gave out
    with _podman_command(directory, "", prefix=host.enter) as podman:
        yield podman


def _program(name: str) -> pathlib.Path:
    """Debian's, should a local one come first."""
    found = shutil.which(name, path=f"/usr/bin:{PATH}")
    assert found, f"{name} is missing"
    return pathlib.Path(found)
