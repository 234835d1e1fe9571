"""`mydocker compose …` on the containers of a project that is up."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import subprocess

import pytest
from lab.command import Command
from lab.processes import within

from mydocker.cli.project.commands import COMMANDS

pytestmark = pytest.mark.root

FILE = """
name: p
services:
  web:
    image: alpine
    command: [sh, -c, 'echo web; while :; do sleep 0.1; done']
    environment: {A: "1", B: "2"}
    depends_on: {db: {condition: service_healthy}}
    ports: ["80"]
    scale: 2
  db:
    image: alpine
    command: [sh, -c, 'echo db; sleep 0.3; echo end >&2; touch /srv/ok; exec sleep 1000']
    healthcheck: {test: test -e /srv/ok, interval: 100ms, retries: 3000}
  tool:
    image: alpine
    profiles: [tools]
    command: [sh, -c, 'echo "$$0 $$A $$# $$(pwd) $$(id -u)"', zero, one]
    entrypoint: []
    environment: {A: "1"}
    depends_on: {db: {condition: service_healthy}}
"""


@pytest.fixture
def shop(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "compose.yaml").write_text(FILE)
    return tmp_path


def _compose(alpine: Command, shop: pathlib.Path, *words: str, code: int = 0) -> list[str]:
    """The lines that it prints."""
    done = alpine("compose", *words, cwd=shop)
    assert done.code == code, done
    return done.stdout.decode().splitlines()


def _states(alpine: Command, shop: pathlib.Path) -> dict[str, str]:
    rows = map(json.loads, _compose(alpine, shop, "ps", "-a", "--format", "json"))
    return {row["Name"]: row["State"] for row in rows}


def test_a_project_from_up_to_down(alpine: Command, shop: pathlib.Path) -> None:
    _compose(alpine, shop, "up", "-d", "--wait")
    try:
        _listed(alpine, shop)
        _logged(alpine, shop)
        _executed(alpine, shop)
        _stopped_and_started(alpine, shop)
    finally:
        _compose(alpine, shop, "down", "-t", "0")
    assert _compose(alpine, shop, "ps", "-aq") == [] and "p" not in _compose(alpine, shop, "ls", "-aq")


def _listed(alpine: Command, shop: pathlib.Path) -> None:
    heading, *rows = _compose(alpine, shop, "ps")
    assert heading.split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert [row.split()[0] for row in rows] == ["p-db-1", "p-web-1", "p-web-2"] and "(healthy)" in rows[0]
    assert len(_compose(alpine, shop, "ps", "-q", "web")) == 2
    assert _compose(alpine, shop, "ps", "--services") == ["db", "web"]
    assert _compose(alpine, shop, "ps", "--status", "exited", "--format", "{{.Service}}") == []
    assert _compose(alpine, shop, "-p", "p", "ps", "--format", "{{.Service}}", "db") == ["db"]
    assert any(row.split() == ["p", "running(3)"] for row in _compose(alpine, shop, "ls"))
    assert any(row["Name"] == "p" for row in json.loads(_compose(alpine, shop, "ls", "--format", "json")[0]))
    assert _compose(alpine, shop, "ls", "-q", "--filter", "name=nope") == []
    [place] = _compose(alpine, shop, "port", "--index", "2", "web", "80")  # one, of several addresses
    assert place == alpine("port", "p-web-2", "80").stdout.decode().splitlines()[0]
    row = json.loads(_compose(alpine, shop, "ps", "--format", "json", "web")[1])
    number = int(place.rpartition(":")[2])
    published = {"URL": "0.0.0.0", "TargetPort": 80, "PublishedPort": number, "Protocol": "tcp"}
    assert (row["ExitCode"], row["Publishers"][0]) == (0, published)
    assert [row.split()[:3] for row in _compose(alpine, shop, "images", "db")[1:]] == [["p-db-1", "alpine", "latest"]]
    [image] = json.loads(_compose(alpine, shop, "images", "--format", "json", "db")[0])
    assert _compose(alpine, shop, "images", "-q") == [image["ID"].removeprefix("sha256:")]
    assert within(200, lambda: any("sleep 1000" in line for line in _compose(alpine, shop, "top", "db")))
    assert "p-db-1" in _compose(alpine, shop, "stats", "--no-stream", "db")[1]


def _logs(alpine: Command, shop: pathlib.Path) -> list[bytes]:
    done = alpine("compose", "logs", cwd=shop)
    return (done.stdout + done.stderr).splitlines()


def _logged(alpine: Command, shop: pathlib.Path) -> None:
    assert within(200, lambda: len(_logs(alpine, shop)) == 4)  # what is there and healthy may not have been read yet
    done = alpine("compose", "logs", cwd=shop)
    assert sorted(done.stdout.splitlines()) == [b"db-1   | db", b"web-1  | web", b"web-2  | web"]
    assert done.stdout.startswith(b"db-1") and done.stderr == b"db-1   | end\n"
    assert _compose(alpine, shop, "logs", "--no-log-prefix", "-n", "1", "web") == ["web", "web"]
    assert _compose(alpine, shop, "--ansi", "never", "logs", "--index", "2", "web") == ["web-2  | web"]
    [line] = _compose(alpine, shop, "logs", "-t", "--no-log-prefix", "db")
    assert line.endswith("Z db") and line.startswith("20")
    following = alpine.start("compose", "logs", "-f", "web", cwd=shop)
    assert following.stdout and sorted(following.stdout.readline() for _ in range(2)) == [
        b"web-1  | web\n",
        b"web-2  | web\n",
    ]
    _compose(alpine, shop, "stop", "-t", "0", "web")
    assert following.communicate(timeout=240)[0] == b"" and following.returncode == 0
    _compose(alpine, shop, "start", "web")


def _executed(alpine: Command, shop: pathlib.Path) -> None:
    assert _compose(alpine, shop, "exec", "-T", "-e", "C=3", "web", "sh", "-c", "echo $A$B$C; exit 4", code=4) == [
        "123"
    ]
    assert _compose(alpine, shop, "exec", "--index=2", "-w", "/srv", "web", "sh", "-c", "touch two; pwd") == ["/srv"]
    assert alpine("exec", "p-web-2", "ls", "/srv").stdout == b"two\n"
    (shop / "given").write_text("given")
    _compose(alpine, shop, "cp", "given", "db:/srv/given")
    _compose(alpine, shop, "cp", "db:/srv/given", "back")
    assert (shop / "back").read_text() == "given"
    assert _compose(alpine, shop, "run", "--rm", "tool") == ["zero 1 1 / 0"]
    words = ("-e", "A=7", "-u", "5", "-w", "/srv", "tool", "sh", "-c", "echo $A $(id -u) $(pwd); exit 3")
    assert _compose(alpine, shop, "run", "--no-deps", *words, code=3) == ["7 5 /srv"]
    words = ("--no-deps", "--entrypoint", "echo", "tool", "--rm", "-v", "/a")  # its own options end at the service
    assert _compose(alpine, shop, "run", *words) == ["--rm -v /a"]
    words = ("--quiet-pull", "--pull", "never", "--no-deps", "--entrypoint", "sh -c", "tool", "echo one")
    assert _compose(alpine, shop, "run", *words) == ["one"]
    asked = alpine("compose", "run", "-T", "tool", "cat", cwd=shop, input=b"typed")
    assert asked.stdout == b"typed"
    assert [name for name in _states(alpine, shop) if "run" in name] == []


def _stopped_and_started(alpine: Command, shop: pathlib.Path) -> None:
    assert _compose(alpine, shop, "stop", "-t", "0", "web") == ["p-web-2", "p-web-1"]
    assert _states(alpine, shop) == {"p-db-1": "running", "p-web-1": "exited", "p-web-2": "exited"}
    assert _compose(alpine, shop, "kill", "web") == []
    assert _compose(alpine, shop, "start") == ["p-web-1", "p-web-2"]
    assert _compose(alpine, shop, "restart", "-t", "0") == ["p-db-1", "p-web-1", "p-web-2"]
    assert _compose(alpine, shop, "kill", "-s", "KILL", "web") == ["p-web-2", "p-web-1"]
    assert within(200, lambda: set(_states(alpine, shop).values()) == {"running", "exited"})
    assert _compose(alpine, shop, "rm", "-f") == ["p-web-2", "p-web-1"]
    assert _compose(alpine, shop, "rm", "--stop", "-f", "db")[-1:] == ["p-db-1"]
    assert _states(alpine, shop) == {}


def test_what_a_command_needs_is_started_and_awaited(alpine: Command, shop: pathlib.Path) -> None:
    assert _compose(alpine, shop, "run", "tool", "echo", "done") == ["done"]
    assert _compose(alpine, shop, "ps", "--format", "{{.Name}} {{.Health}}") == ["p-db-1 healthy"]
    [name] = _compose(alpine, shop, "run", "-d", "--name", "once", "tool")
    assert name == "once" and alpine("wait", "once").stdout == b"0\n"
    assert alpine("logs", "once").stdout == b"zero 1 1 / 0\n"
    _compose(alpine, shop, "down", "-t", "0")
    assert _compose(alpine, shop, "ps", "-aq") == []


def test_a_terminal_if_there_is_one(alpine: Command, shop: pathlib.Path) -> None:
    _compose(alpine, shop, "up", "-d", "db")
    main, terminal = pty.openpty()
    shell = "[ -t 0 ] && echo terminal || echo none"
    for words in (("exec", "db"), ("run", "--no-deps", "tool")):
        for option, expected in (((), b"terminal"), (("-T",), b"none")):
            argv = alpine.argv("compose", words[0], *option, *words[1:], "sh", "-c", shell)
            with subprocess.Popen(argv, env=alpine.environment, cwd=shop, stdin=terminal, stdout=terminal) as process:
                assert process.wait(240) == 0
            shown = b""
            while not shown.endswith(b"\n"):
                shown += os.read(main, 100)
            assert shown.strip() == expected, (words, option)
    os.close(main)
    os.close(terminal)
    _compose(alpine, shop, "down", "-t", "0")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("stop", "nope"), 125, b"no such service: nope"),
        (("exec", "nope", "true"), 125, b"no such service: nope"),
        (("exec", "web", "true"), 125, b"service web has no container"),
        (("exec",), 125, b"no service"),
        (("exec", "--index", "x", "web", "true"), 125, b"--index 'x': expected a number"),
        (("attach", "--index=0", "web"), 125, b"--index '0': expected a number"),
        (("exec", "--index", "3", "web", "true"), 125, b"service web has no container"),
        (("run",), 125, b"no service"),
        (("run", "nope"), 125, b"no such service: nope"),
        (("run", "-p", "x", "web"), 125, b"invalid argument 'x' for -p"),
        (("logs", "-n", "x"), 125, b"invalid value 'x' for --tail"),
        (("port", "web"), 125, b"PORT"),
        (("pss",), 125, b"did you mean 'ps'?"),
        (("-f", "gone.yaml", "ps"), 125, b"gone.yaml: cannot read it"),
        (("inspect",), 125, b"'mydocker inspect' is one, and not about a project"),
        (("events", "web"), 125, b"'compose events' is not a mydocker command"),
        (("images", "nope"), 125, b"no such service: nope"),
        (("scale", "web"), 125, b"--scale 'web': expected SERVICE=NUMBER"),
        (("ls", "--filter", "x=y"), 125, b"--filter 'x=y': expected name=TEXT"),
        (("run", "--entrypoint", "a 'b", "web"), 125, b"no closing quotation"),
        (("--ignore",), 125, b"option --ignore needs a value"),
        (("watch",), 125, b"up -d --build SERVICE"),
    ],
)
def test_wrong_usage(alpine: Command, shop: pathlib.Path, words: tuple[str, ...], code: int, message: bytes) -> None:
    done = alpine("compose", *words, cwd=shop)
    assert (message in done.stderr, done.code) == (True, code), done


def test_keys_that_are_passed_over(alpine: Command, shop: pathlib.Path) -> None:
    """With the files, commands on containers have to read what `up` has read."""
    (shop / "compose.yaml").write_text(FILE.replace("scale: 2", "scale: 2\n    cgroup_parent: x"))
    refused = alpine("compose", "ps", cwd=shop)
    assert refused.code == 125 and b"cgroup_parent" in refused.stderr
    assert alpine("compose", "--ignore", "cgroup_parent", "ps", "-q", cwd=shop).code == 0


@pytest.mark.parametrize("command", [*COMMANDS])
def test_help_needs_no_project(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    done = alpine("compose", command, "--help", cwd=tmp_path)
    assert done.code == 0 and command in done.stdout.decode().splitlines()[0], done


def test_a_project_that_has_no_containers(alpine: Command, shop: pathlib.Path) -> None:
    for command in ("stop", "start", "restart", "kill", "rm", "pause", "logs", "top"):
        assert alpine("compose", command, cwd=shop).code == 0
    assert alpine("compose", "-p", "nothing", "ps", "-q", cwd="/").stdout == b""
