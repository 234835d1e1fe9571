"""The FUSE program that reads the file of an image: what it may, which is nothing but that."""

from __future__ import annotations

import os
import pathlib

import pytest
from lab.command import Command

pytestmark = [pytest.mark.root, pytest.mark.rootless]

ALLOWED = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "image"}


def test_it_sees_and_may_nothing_else(ordinary: Command, squashfs: pathlib.Path) -> None:
    script = "echo ready; read x; cat /t/again; ps | grep -c '_ll -f [/]image'"
    process = ordinary.start("run", "-i", "--network", "none", f"squashfs:{squashfs}", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    [server] = [each for each in _children(process.pid) if _name(each) == "squashfuse_ll"]
    try:
        status = (server / "status").read_text()
        assert [
            line for line in status.splitlines() if line.startswith(("CapPrm", "CapEff", "CapAmb", "NoNewPrivs"))
        ] == [
            f"CapPrm:\t{0:016x}",
            f"CapEff:\t{0:016x}",
            f"CapAmb:\t{0:016x}",
            "NoNewPrivs:\t1",
        ]
        for kind in ("user", "mnt", "net", "ipc", "uts"):
            assert os.readlink(server / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")
        assert {*os.listdir(server / "root")} <= ALLOWED and os.listdir(server / "root" / "etc") == ["ld.so.cache"]
        mounts = [line.split() for line in (server / "mountinfo").read_text().splitlines()]
        writable = [words[4] for words in mounts if "ro" not in words[5].split(",")]
        assert writable == ["/"]  # which is in memory, of 1 MiB
        opened = {os.readlink(each) for each in (server / "fd").iterdir()}
        assert opened <= {"/null", "/dev/null", "/fuse", "/dev/fuse", "/image", "/dev/image"} | {
            each for each in opened if each.startswith(("anon_inode:", "pipe:"))
        }, opened
        assert process.stdin
    finally:
        out, _ = process.communicate(b"go on\n")
    assert out == b"2" + b"0\n"  # no process of the container sees it
    assert not server.exists()


def _children(parent: int) -> list[pathlib.Path]:
    found = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pathlib.Path(f"/proc/{each}") for each in found]


def _name(process: pathlib.Path) -> str:
    return (process / "comm").read_text().strip()
