"""The process above the command: as PID 1 with --init, and as the outer init where there is no pid namespace."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from lab.command import Command, Result
from lab.overtime import enough
from lab.processes import mentioning, sleeping, within, within_a_second
from lab.terminal import screen

pytestmark = pytest.mark.root

INIT = ("run", "--init", "alpine")
HOST_PID = ("run", "--pid", "host", "alpine")
CHROOT = ("run", "--namespaces", "", "--rootfs", "/")


@pytest.fixture
def marker() -> str:
    return f"{time.monotonic_ns() % 10**8:08}"  # of seconds to sleep: more digits would overflow, and sleep end at once


def test_the_command_comes_second(alpine: Command) -> None:
    script = "echo $$ $PPID; cut -d' ' -f5,6 /proc/2/stat; ls /proc/1/fd"
    done = alpine(*INIT, "sh", "-c", script)
    assert done.stdout.decode().splitlines() == ["2 1", "2 1", "0"]  # its signals' is the only one of PID 1
    assert (done.stderr, done.code) == (b"", 0)


@pytest.mark.parametrize("what", ["exe", "fd/0", "mem", "environ"])
def test_nobody_looks_into_it(alpine: Command, what: str) -> None:
    """CVE-2019-5736: its program is our interpreter, and its memory ours."""
    done = alpine(*INIT, "sh", "-c", f"cat /proc/1/{what}; readlink /proc/1/exe; true")
    assert done.stdout == b""
    assert b"ermission denied" in done.stderr


@pytest.mark.parametrize("right", ["--cap-add=SYS_PTRACE", "--privileged"])
def test_what_is_shown_to_those_who_may_look(alpine: Command, right: str) -> None:
    """Whoever may trace it, and with SYS_PTRACE all may in there, finds no word of the host's."""
    look = "strings /proc/1/environ /proc/1/cmdline"
    done = alpine("run", "--init", right, "alpine", "sh", "-c", look, env={"SECRET": "of the host"})
    assert done == Result(b"mydocker-init\n", b"", 0)


@pytest.mark.parametrize("options", [(), ("-u", "nobody"), ("--cap-drop", "ALL")])
def test_a_thousand_orphans(alpine: Command, options: Sequence[str]) -> None:
    """All are collected: none is left as a zombie, though their parents never waited."""
    script = """
    i=0; while [ $i -lt 1000 ]; do (true & ) ; i=$((i+1)); done
    for try in $(seq 500); do
        left=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); [ $left = 0 ] && break; sleep 0.2
    done
    echo $left"""
    assert alpine("run", "--init", *options, "alpine", "sh", "-c", script) == Result(b"0\n", b"", 0)


@pytest.mark.parametrize("run", [INIT, HOST_PID, CHROOT], ids=["init", "host-pid", "chroot"])
@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("kill -SEGV $$", 139), ("exec nonesuch", 127)],
)
def test_the_exit_code_is_the_commands(alpine: Command, run: Sequence[str], script: str, code: int) -> None:
    assert alpine(*run, "sh", "-c", script).code == code


@pytest.mark.parametrize("run", [INIT, HOST_PID, CHROOT], ids=["init", "host-pid", "chroot"])
def test_what_cannot_start(alpine: Command, run: Sequence[str]) -> None:
    done = alpine(*run, "nonesuch")
    assert (done.stdout, done.code) == (b"", 127)
    assert done.stderr == b"mydocker: 'nonesuch': executable file not found in the container's $PATH\n"


TRAP = "trap 'echo got it; exit 3' %s; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("run", [INIT, HOST_PID], ids=["init", "host-pid"])
@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "INT", "WINCH"])
def test_signals_arrive(alpine: Command, run: Sequence[str], name: str) -> None:
    process = alpine.start(*run, "sh", "-c", TRAP % name)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, error = process.communicate(timeout=120)
    assert (out, error, process.returncode) == (b"got it\n", b"", 3)


def test_a_command_without_handlers_ends_at_once(alpine: Command) -> None:
    """What --init is for: PID 1 itself would ignore TERM."""
    assert alpine("run", "--init", "--timeout", "300ms", "--stop-timeout", "1h", "alpine", "sleep", "60").code == 124


@pytest.mark.parametrize(
    "start",
    [
        "sleep 7{m} & ",
        "setsid sleep 7{m} & ",
        "(setsid sh -c 'setsid sleep 7{m} & sleep 8{m}' &) ; ",
        "(trap '' HUP TERM INT; sleep 7{m} & sleep 8{m} &) ; ",
    ],
)
@pytest.mark.parametrize("end", ["exits", "is killed", "we are killed", "time is over"])
@pytest.mark.parametrize("run", [HOST_PID, CHROOT], ids=["host-pid", "chroot"])
def test_no_process_is_left_without_a_pid_namespace(
    alpine: Command, marker: str, run: Sequence[str], start: str, end: str
) -> None:
    last = {"exits": "read x", "is killed": "read x; kill -9 $$"}.get(end, "trap '' TERM; sleep 9{m}; true")
    script = f"{start}echo ready; {last}".replace("{m}", marker)

    def attempt(seconds: int) -> tuple[subprocess.Popen[bytes], bytes]:
        options = ("--timeout", f"{seconds}s", "--stop-timeout", "0") if end == "time is over" else ()
        process = alpine.start(run[0], *options, "-i", *run[1:], "sh", "-c", script)
        assert process.stdout
        return process, process.stdout.readline()

    process, first = enough(attempt, lambda started: started[1] != b"")
    assert first == b"ready\n"
    assert within(100, lambda: bool(sleeping(f"7{marker}")) or process.poll() is not None)
    if end == "we are killed":
        process.kill()
    process.communicate(b"\n", timeout=120)
    assert within_a_second(lambda: not mentioning(marker)), mentioning(marker)
    assert within_a_second(lambda: os.listdir(alpine.store / "containers") == [])


DAEMONS = [
    "sleep 7{m} & ",
    "setsid sleep 7{m} & ",
    "(setsid sh -c 'setsid sleep 7{m} & sleep 8{m}' &) ; ",
    "(trap '' HUP TERM INT; sleep 7{m} & sleep 8{m} &) ; ",
]


def _kill_outer_init(mydocker: Command, mark: str, words: Sequence[str], daemon: str, *, all_of_us: bool) -> None:
    """The command tells who the outer init is: its parent, in the host's pid namespace."""
    script = f"{daemon}echo $PPID; sleep 9{{m}}; true".replace("{m}", mark)
    process = mydocker.start(*words, "sh", "-c", script)
    assert process.stdout
    outer_init = int(process.stdout.readline())
    assert within(100, lambda: bool(sleeping(f"7{mark}")))
    if all_of_us:
        os.kill(process.pid, signal.SIGSTOP)  # so that it cannot see to it before it is killed itself
    os.kill(outer_init, signal.SIGKILL)
    if all_of_us:
        process.kill()
    process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(mark)), mentioning(mark)
    assert within_a_second(lambda: os.listdir(mydocker.store / "containers") == [])


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("all_of_us", [False, True], ids=["the outer init", "the outer init and mydocker"])
@pytest.mark.parametrize("run", [HOST_PID, CHROOT], ids=["host-pid", "chroot"])
def test_no_process_is_left_when_outer_init_is_killed(
    alpine: Command, marker: str, run: Sequence[str], daemon: str, all_of_us: bool
) -> None:
    _kill_outer_init(alpine, marker, run, daemon, all_of_us=all_of_us)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_nor_where_there_is_no_cgroup(alpine: Command, marker: str, daemon: str) -> None:
    """The host's cgroups are read-only there, as inside another container: orphans are adopted."""
    script = 'for c in /sys/fs/cgroup/* /sys/fs/cgroup; do mount -o bind,ro $c $c; done; exec "$@"'
    lesser = replace(alpine, prefix=("unshare", "-m", "sh", "-c", script, "sh"))
    _kill_outer_init(lesser, marker, HOST_PID, daemon, all_of_us=False)


@pytest.mark.parametrize("options", [(), ("-m", "64m")])
def test_a_stopped_outer_init_does_not_block(alpine: Command, marker: str, options: Sequence[str]) -> None:
    """By a process of the container's, which may signal whoever has the same user."""
    limits = ("--timeout", "1s", "--stop-timeout", "0", *options)
    script = f"sleep 7{marker} & kill -STOP $PPID; sleep 8{marker}"
    done = alpine(HOST_PID[0], *limits, *HOST_PID[1:], "sh", "-c", script)
    assert done.code == 124
    assert within_a_second(lambda: not mentioning(marker)), mentioning(marker)


def test_a_terminal_belongs_to_the_command(alpine: Command) -> None:
    """Ctrl-C goes to the command, which is in the foreground of its terminal."""
    script = "trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    words = ("run", "--init", "-it", "alpine", "sh", "-c", script)
    with screen() as at:
        process = alpine.start(*words, stdin=at.slave, stdout=at.slave, stderr=at.slave, start_new_session=True)
        at.until(b"ready\r\n")
        at.type(b"\x03")
        assert process.wait(timeout=100) == 3


@pytest.mark.parametrize("text", ["", "hello\n", "\N{SNOWMAN}", "x" * 1_000_000])
def test_a_text_as_standard_input(alpine: Command, tmp_path: pathlib.Path, text: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(f"image: alpine\nuser: nobody\ncommand: cat /dev/stdin\nstdin: {json.dumps(text)}\n")
    assert alpine("up", str(file)) == Result(text.encode(), b"", 0)
    assert alpine("run", "--stdin", text[:100_000], "alpine", "cat") == Result(text[:100_000].encode(), b"", 0)


@pytest.mark.parametrize("option", ["-i", "-t"])
def test_two_standard_inputs(alpine: Command, option: str) -> None:
    done = alpine("run", option, "--stdin", "x", "alpine", "cat")
    assert (done.stdout, done.code) == (b"", 125)
    assert b"stdin is a text" in done.stderr


def test_lines_of_the_hosts_resolver_stay_unless_they_are_replaced(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Of the same file on this machine's tree, each kind of line on its own; `domain` is an older word for search."""
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text("# manually\ndomain old\nsearch h\n nameserver 1.1.1.1\noptions use-vc\nnameservers x")
    inner = ["unshare", "--mount", "sh", "-ec", f'mount --bind {resolvers} /etc/resolv.conf; exec "$0" "$@"']
    run = Command(alpine.program, alpine.environment, alpine.directory, inner, alpine.store)

    def lines(*options: str) -> list[str]:
        return run("run", *options, "alpine", "cat", "/etc/resolv.conf").stdout.decode().splitlines()

    assert lines() == resolvers.read_text().splitlines()
    rest = ["# manually", " nameserver 1.1.1.1", "options use-vc", "nameservers x"]
    assert lines("--dns-search", "a.example") == ["search a.example", *rest]
    assert lines("--dns-search", ".") == rest
    old = ["# manually", "domain old", "search h"]
    assert lines("--dns", "9.9.9.9") == [*old, "options use-vc", "nameservers x", "nameserver 9.9.9.9"]
    assert lines("--dns-option", "a", "--dns-opt", "b:1") == [*old, rest[1], rest[3], "options a b:1"]
    assert lines("--dns-option", "") == lines()


def test_names_and_name_servers(alpine: Command) -> None:
    options = ["--add-host", "db:10.0.0.7", "--add-host", "six=[::1]", "--add-host=seven:fe80::1"]
    options += ["--dns", "10.0.0.53", "--dns=::1", "--network", "none"]
    done = alpine("run", *options, "alpine", "sh", "-c", "cat /etc/hosts; grep nameserver /etc/resolv.conf")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert (done.stderr, done.code) == (b"", 0)
    assert lines[-6:-3] == [["10.0.0.7", "db"], ["::1", "six"], ["fe80::1", "seven"]]
    assert lines[-2:] == [["nameserver", "10.0.0.53"], ["nameserver", "::1"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--add-host", "db"], b"'db': expected NAME:ADDRESS"),
        (["--add-host", "db:300.0.0.1"], b"'300.0.0.1' is not an IP address"),
        (["--add-host", "d\nb:1.1.1.1"], b"is not a host name"),
        (["--dns", "one"], b"'one' is not an IP address"),
    ],
)
def test_bad_names(alpine: Command, options: list[str], message: bytes) -> None:
    done = alpine("run", *options, "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert message in done.stderr and b"Traceback" not in done.stderr
