"""`mydocker top` and `mydocker stats`: what runs in containers, and what that uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command
from lab.processes import within
from lab.terminal import screen, start_at

root = pytest.mark.root
rootless = pytest.mark.rootless


@contextmanager
def working(mydocker: Command, name: str, *options: str) -> Iterator[None]:
    """A container with three processes, one of which works for a moment five times a second, and starts no other."""
    work = "while :; do n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; read -t 0.2 x <> /tmp/never; done"
    executed = "until read -r name < /proc/$!/comm && [ $name = sleep ]; do :; done"
    script = f"mkfifo /tmp/never; {work} & sleep 3601 & {executed}; : > /tmp/begun; wait"
    process = mydocker.start("run", "--name", name, *options, "alpine", "sh", "-c", script)
    try:
        begun = ("exec", name, "test", "-e", "/tmp/begun")
        assert within(200, lambda: process.poll() is not None or mydocker(*begun).code == 0), mydocker(*begun)
        assert process.poll() is None, process.communicate()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=240)


def _top(mydocker: Command, name: str) -> None:
    lines = mydocker("top", name).stdout.decode().splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    commands = [line.split(maxsplit=7)[7] for line in lines[1:]]
    assert len(commands) >= 3 and "sleep 3601" in commands and not [each for each in commands if "exec" in each]
    chosen = mydocker("top", name, "-eo", "pid,comm").stdout.decode().splitlines()
    assert chosen[0].split() == ["PID", "COMMAND"] and len(chosen) == len(lines)


OPTIONS = [(), ("--init",), ("--pid", "host"), ("--network", "host")]


@root
@pytest.mark.parametrize("options", OPTIONS)
def test_the_processes_of_a_container(alpine: Command, options: tuple[str, ...]) -> None:
    name = f"top-{OPTIONS.index(options)}"
    with working(alpine, name, *options):
        _top(alpine, name)


@rootless
@pytest.mark.parametrize("options", [(), ("--init",)])
def test_and_of_an_ordinary_user_s(second_user: Command, options: tuple[str, ...]) -> None:
    with working(second_user, "top", *options):
        _top(second_user, "top")
        _stats(second_user, "top")


def _stats(mydocker: Command, name: str) -> None:
    def works() -> bool:  # on a busy machine, not in each time that is looked at
        [line] = mydocker("stats", "--no-stream", "--format", "json", name).stdout.splitlines()
        row.update(json.loads(line))
        return float(row["CPUPerc"].rstrip("%")) > 0

    row: dict[str, str] = {}
    assert within(200, works), row
    assert row["Name"] == name and int(row["PIDs"]) >= 3
    assert re.fullmatch(r"[\d.]+[KMG]?i?B / [\d.]+[MG]iB", row["MemUsage"]) and not row["MemUsage"].startswith("0B")
    table = mydocker("stats", "--no-stream", name).stdout.decode().splitlines()
    assert len(table) == 2 and table[0].startswith("CONTAINER ID   NAME") and name in table[1]
    assert mydocker("stats", "--no-stream", "--format", "{{.Name}}", name).stdout == f"{name}\n".encode()


@root
@pytest.mark.parametrize("options", [(), ("--memory", "300m"), ("--network", "host"), ("--pid", "host")])
def test_what_a_container_uses(alpine: Command, options: tuple[str, ...]) -> None:
    name = f"stats-{len(''.join(options))}"
    with working(alpine, name, *options):
        _stats(alpine, name)
        row = json.loads(alpine("stats", "--no-stream", "--format", "json", name).stdout)
        assert ("/ 300MiB" in row["MemUsage"]) == ("--memory" in options)
        assert (row["NetIO"] == "--") == ("--network" in options)


@root
def test_a_live_table_ends_with_its_containers(alpine: Command) -> None:
    with screen() as at:
        with working(alpine, "live"):
            process = start_at(at, alpine, "stats", "live")
            for _ in range(2):
                at.until(rb"\x1b\[H\x1b\[J")
                at.until(rb"live +[\d.]+%")
        assert process.wait(240) == 0


@root
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("top", "none-such"), 1, b"no such container: none-such"),
        (("stats", "--no-stream", "none-such"), 1, b"no such container: none-such"),
        (("pause", "none-such"), 1, b"no such container: none-such"),
        (("unpause", "none-such"), 1, b"no such container: none-such"),
        (("top",), 2, b"CONTAINER"),
        (("pause",), 2, b"CONTAINER"),
    ],
)
def test_what_does_not_run(alpine: Command, words: tuple[str, ...], code: int, message: bytes) -> None:
    done = alpine(*words)
    assert (done.stdout, done.code) == (b"", code) and message in done.stderr, done
