"""`mydocker port`: where the ports of a container that runs are published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command

pytestmark = pytest.mark.root


@contextmanager
def _running(mydocker: Command, *options: str) -> Iterator[None]:
    """A container that waits for the end of its input, and has written by then."""
    words = ("run", "-i", *options, "--rootfs", "/", "sh", "-c", "echo up; read line")
    with mydocker.start(*words) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"up\n"
        yield
        process.stdin.close()
    assert process.returncode == 1


def test_all_ports_and_one(mydocker: Command) -> None:
    with _running(mydocker, "--name", "web", "-p", "80", "-p", "127.0.0.1::53/udp", "-p", "[::1]:0:80"):
        lines = mydocker("port", "web").stdout.decode().splitlines()
        [number] = set(re.findall(r"80/tcp -> (?:0\.0\.0\.0|\[::\]):(\d+)", "\n".join(lines)))
        assert lines[:2] == [f"80/tcp -> 0.0.0.0:{number}", f"80/tcp -> [::]:{number}"]
        assert re.fullmatch(r"53/udp -> 127\.0\.0\.1:\d+", lines[2])
        assert re.fullmatch(r"80/tcp -> \[::1\]:\d+", lines[3])
        assert mydocker("port", "web", "53/udp").stdout.decode() == lines[2].partition(" -> ")[2] + "\n"
        assert mydocker("port", "web", "80/tcp").stdout.decode().splitlines()[:2] == [
            f"0.0.0.0:{number}",
            f"[::]:{number}",
        ]
        missing = mydocker("port", "web", "81")
        assert (missing.stdout, missing.code) == (b"", 1)
        assert missing.stderr == b"mydocker: port 81/tcp of web is not published\n"
    gone = mydocker("port", "web")
    assert (gone.stdout, gone.code) == (b"", 1) and gone.stderr.startswith(b"mydocker: no such container: web\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("web", "80/icmp"), 2, b"port '80/icmp': expected a number, or one such as 53/udp"),
        (("web", "x"), 2, b"port 'x': expected a number"),
        (("web", "-1"), 2, b"-1"),
        ((), 2, b"CONTAINER"),
    ],
)
def test_bad_words(mydocker: Command, words: tuple[str, ...], code: int, message: bytes) -> None:
    done = mydocker("port", *words)
    assert (done.stdout, done.code) == (b"", code)
    assert message in done.stderr and b"Traceback" not in done.stderr
