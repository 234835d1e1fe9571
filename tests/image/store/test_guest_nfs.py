"""A store on NFS, which two machines see. Run in the machine of test_qemu_cgroup2.py, whose kernel is its server
and both of its clients."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from lab import nfs, oci
from lab.command import Command, Result

from mydocker.image.store import file_system

pytestmark = [pytest.mark.root, pytest.mark.guest]

NONE = ("run", "--network", "none")
PRIVATE = 'mkdir -p /run/mydocker; mount -t tmpfs -o mode=700 none /run/mydocker; exec "$@"'
OTHER_MACHINE = ("unshare", "-m", "sh", "-c", PRIVATE, "sh")  # one that sees no run directories of this one
CASE = "image: alpine\nnetwork_mode: none\ncommand: sh -c 'echo hey > /x; cat /x'\nexpect: {stdout: hey}\n"


@dataclass(frozen=True)
class Nodes:
    """The store by way of one machine, by way of another that may only read, and on the server."""

    writer: Command
    reader: Command
    server: Command


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image in files, of which a layer hides a directory of the other one."""
    path = tmp_path_factory.mktemp("opaque")
    layers = [oci.layer({"d": oci.Dir(), "d/old": b"1"}), oci.layer({"d": oci.Dir(), "d/": oci.OPAQUE, "d/new": b"2"})]
    oci.write_layout(path, oci.image(layers), tag="opaque")
    return f"oci:{path}:opaque"


@pytest.fixture(scope="module")
def nodes(alpine: Command, layout: str) -> Iterator[Nodes]:
    export = pathlib.Path("/run/export")
    export.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", export], check=True)
    assert alpine("pull", "-q", layout).code == 0
    subprocess.run(["cp", "-a", alpine.store, export / "store"], check=True)
    with nfs.exported(export), nfs.mounted(version="4.1") as first, nfs.mounted(version="4.2", options="ro") as second:

        def there(top: pathlib.Path, *prefix: str) -> Command:
            environment = {**alpine.environment, "MYDOCKER_ROOT": str(top / "store")}
            return replace(alpine, environment=environment, store=top / "store", prefix=prefix, forks=False)

        yield Nodes(there(first, *OTHER_MACHINE), there(second), there(export))


def test_containers_run_from_both(nodes: Nodes, tmp_path: pathlib.Path) -> None:
    assert nodes.writer(*NONE, "alpine", "sh", "-c", "echo hey > /x; cat /x") == Result(b"hey\n", b"", 0)
    (tmp_path / "a.smoke.yaml").write_text(CASE)
    done = nodes.reader("test", str(tmp_path / "a.smoke.yaml"))
    assert done.code == 0 and b"1 passed" in done.stdout, done


def test_what_the_file_system_is(nodes: Nodes) -> None:
    for node, is_read_only in ((nodes.writer, False), (nodes.reader, True)):
        found = file_system.inspect(str(node.store))
        assert (found.type, found.is_upper, found.is_read_only, found.unseen) == ("nfs4", False, is_read_only, "")


def test_nobody_takes_what_another_machine_uses(nodes: Nodes) -> None:
    running = nodes.reader.start(*NONE, "-i", "alpine", "sh", "-c", "echo up; read x; ls /bin | wc -l")
    assert running.stdout and running.stdout.readline() == b"up\n"
    assert nodes.writer("rmi", "alpine").code == 0
    assert nodes.writer("prune").code == 0
    server = replace(nodes.server, prefix=OTHER_MACHINE)
    assert server("prune").code == 0
    printed, complaint = running.communicate(b"\n")
    assert (int(printed or 0) > 20, complaint, running.returncode) == (True, b"", 0)
    assert b"layer sha256-" in nodes.writer("prune").stdout
    assert len([*(nodes.server.store / "layers").iterdir()]) == 2  # those of the other image


def test_opaque_directories_do_not_let_files_appear_again(nodes: Nodes, layout: str) -> None:
    """NFS has no attribute trusted.overlay.opaque."""
    done = nodes.writer("pull", "-q", layout, env={"MYDOCKER_ROOT": f"{nodes.writer.store}-new"})
    assert done.code == 125 and b"Operation not supported" in done.stderr, done
    [found] = nodes.server("images", "-q").stdout.decode().split()
    done = nodes.reader(*NONE, "--pull", "never", found.removeprefix("sha256:")[:12], "true")
    assert done.code == 125 and b"hides directories of lower layers" in done.stderr, done
