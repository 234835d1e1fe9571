"""The FUSE program that reads the file of an image: what it may, which is nothing but that."""

from __future__ import annotations

import os
import pathlib
from contextlib import suppress
from dataclasses import replace

import pytest
from lab.command import Command
from lab.processes import within

pytestmark = [pytest.mark.root, pytest.mark.rootless]

HANGING = """\
#!/usr/bin/python3 -IS
import os, struct
while True:
    _, operation, unique = struct.unpack_from("<IIQ", os.read(3, 1 << 20))
    if operation == 26:  # FUSE_INIT (linux/fuse.h)
        body = struct.pack("<IIIIHHI", 7, 31, 65536, 0, 12, 9, 65536).ljust(64, b"\\0")
        os.write(3, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
"""
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
        for kind in ("user", "mnt", "net", "ipc", "uts", "pid"):
            assert os.readlink(server / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")
        assert {*os.listdir(server / "root")} <= ALLOWED and os.listdir(server / "root" / "etc") == ["ld.so.cache"]
        mounts = [line.split() for line in (server / "mountinfo").read_text().splitlines()]
        writable = [words[4] for words in mounts if "ro" not in words[5].split(",")]
        assert writable == ["/"]  # which is in memory, of 1 MiB
        opened = {_opened(each) for each in (server / "fd").iterdir()}
        assert opened <= {"device 1:3", "device 10:229", "/image", "/dev/image"} | {  # null, fuse
            each for each in opened if each.startswith(("anon_inode:", "pipe:"))
        }, opened
        assert process.stdin
    finally:
        out, _ = process.communicate(b"go on\n")
    assert out == b"2" + b"0\n"  # no process of the container sees it
    assert not server.exists()


def _opened(descriptor: pathlib.Path) -> str:
    number = descriptor.stat().st_rdev
    return f"device {os.major(number)}:{os.minor(number)}" if descriptor.is_char_device() else os.readlink(descriptor)


def _children(parent: int) -> list[pathlib.Path]:
    found = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pathlib.Path(f"/proc/{each}") for each in found]


def _name(process: pathlib.Path) -> str:
    with suppress(OSError):  # it has just ended
        return (process / "comm").read_text().strip()
    return ""


@pytest.fixture
def hanging(ordinary: Command, tmp_path: pathlib.Path) -> Command:
    """`mydocker` of a user, whose FUSE program takes requests and never answers them, as a hostile file may make it."""
    (tmp_path / "program").write_text(HANGING)
    place = "/usr/local/sbin"
    script = f"""
        mount -t tmpfs none {place} && install -m 755 {tmp_path}/program {place}/squashfuse_ll || exit 9
        exec "$@"
    """
    return replace(ordinary, prefix=["unshare", "--mount", "sh", "-c", script, "sh", *ordinary.prefix])


def test_one_that_hangs_ends_with_the_time(hanging: Command, squashfs: pathlib.Path) -> None:
    done = hanging("run", "--network", "none", "--timeout", "0.5", f"squashfs:{squashfs}", "true", timeout=200)
    assert done.code == 124 and b"Traceback" not in done.stderr, done
    assert os.listdir(hanging.store / "containers") == []


def test_one_that_hangs_ends_with_mydocker(hanging: Command, squashfs: pathlib.Path) -> None:
    process = hanging.start("run", "--network", "none", f"squashfs:{squashfs}", "true")
    assert within(100, lambda: any(map(_waits, _children(process.pid))))
    children = _children(process.pid)
    process.kill()
    process.communicate()
    assert within(100, lambda: not any(each.exists() for each in children))
    assert within(100, lambda: os.listdir(hanging.store / "containers") == [])


def _waits(process: pathlib.Path) -> bool:
    """Whether PROCESS waits for the answer to a request."""
    with suppress(OSError):  # it has just ended
        return "request_wait_answer" in (process / "wchan").read_text()
    return False
