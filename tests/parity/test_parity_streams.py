"""The standard streams of `docker run`: pipes of the container's own, without a terminal unless -t asks for one."""

from __future__ import annotations

import subprocess

import pytest
from lab.command import Result
from lab.terminal import screen, start_at
from peer import Peer

pytestmark = pytest.mark.root

ANEW = "echo one; echo two > /dev/stdout; echo three >&2; echo four > /dev/stderr"
USERS = {
    "root": (),
    "a user": ("-u", "1000"),
    "a name": ("-u", "nobody"),
    "no capabilities": ("--cap-drop", "ALL"),
    "init": ("--init", "-u", "1000"),
}


@pytest.mark.parametrize("name", USERS)
def test_the_streams_open_anew(peer: Peer, name: str) -> None:
    assert peer.run(*USERS[name], argv=("sh", "-c", ANEW)) == Result(b"one\ntwo\n", b"three\nfour\n", 0)


@pytest.mark.parametrize("name", USERS)
def test_standard_input_opens_anew(peer: Peer, name: str) -> None:
    assert peer.run("-i", *USERS[name], argv=("cat", "/dev/stdin"), input=b"in\n") == Result(b"in\n", b"", 0)


def test_the_streams_are_pipes(peer: Peer) -> None:
    script = "for n in 1 2; do test -p /proc/self/fd/$n && echo pipe; done; ls /proc/1/fd; true"
    assert peer.run(argv=("sh", "-c", script)).stdout == b"pipe\npipe\n0\n1\n2\n"


def test_no_terminal_without_t(peer: Peer) -> None:
    words = ["run", "--rm", "--network", "none", "-i", f"{peer.registry}/library/alpine", "sh", "-c"]
    script = "for n in 0 1 2; do test -t $n && echo terminal; done; echo seen"
    with screen() as at:
        process = start_at(at, peer.command, *words, script)
        at.until(b"seen\r\n")
        assert b"terminal" not in at.shown
        assert process.wait(timeout=100) == 0


def test_a_closed_stdin_is_the_end_of_input(peer: Peer) -> None:
    with peer.start("-i", argv=("cat",), stdin=subprocess.DEVNULL) as process:
        assert process.wait(timeout=100) == 0


def test_what_is_written_last_is_not_lost(peer: Peer) -> None:
    done = peer.run(argv=("sh", "-c", "seq 30000; seq 30000 >&2"))
    numbers = b"".join(b"%d\n" % number for number in range(1, 30_001))
    assert done == Result(numbers, numbers, 0)


def test_a_background_process_does_not_keep_it(peer: Peer) -> None:
    assert peer.run(argv=("sh", "-c", "sleep 1000 & echo done")) == Result(b"done\n", b"", 0)
