"""`mydocker up` of containers that need each other."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import time

import pytest
from lab.command import Command, Result

pytestmark = pytest.mark.root

SAY = "echo {0} | tee -a /srv/log"
SERVER = 'trap "echo {0} ends | tee -a /srv/log; exit 5" TERM; echo {0} begins | tee -a /srv/log; {1} '
SERVER += "while :; do sleep 0.05; done"
HELD = "mkfifo /srv/held; exec 9> /srv/held"  # until its process ends, which the other one waits for
LET_GO = "until [ -p /srv/held ]; do sleep 0.05; done; cat /srv/held"
HEALTHY, COMPLETED = "{condition: service_healthy}", "{condition: service_completed_successfully}"
HEALTH = "{test: test -e /tmp/up, interval: 30s}"


def _spec(name: str, script: str, **more: str) -> str:
    keys = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"name: {name}\nimage: alpine\nvolumes: ['.:/srv']\ncommand: [sh, -c, '{script}']\n{keys}"


def _server(name: str, ready: str = "", **more: str) -> str:
    return _spec(name, SERVER.format(name, ready), **more)


def _up(mydocker: Command, directory: pathlib.Path, *texts: str, options: tuple[str, ...] = ()) -> Result:
    (directory / "spec.yaml").write_text("---\n".join(texts))
    done = mydocker("up", *options, "spec.yaml", cwd=directory)
    assert os.listdir(mydocker.store / "containers") == []
    return done


def _said(done: Result) -> list[str]:
    return [re.sub(r" \([\d.]+ s\)$", "", line) for line in done.stderr.decode().splitlines()]


def test_what_is_needed_runs_as_long_as_it_is(alpine: Command, tmp_path: pathlib.Path) -> None:
    """In the wrong order in the file; the exit code of what we stop is of no matter."""
    texts = [
        _spec("web", SAY.format("web"), depends_on=f"{{db: {HEALTHY}, migrate: {COMPLETED}}}"),
        _spec("migrate", SAY.format("migrate"), depends_on=f"{{db: {HEALTHY}}}"),
        _server("db", f"sleep 0.3; {SAY.format('up')}; touch /tmp/up;", healthcheck=HEALTH),
        _spec("last", SAY.format("last")),
    ]
    done = _up(alpine, tmp_path, *texts, options=("--result", "result"))
    expected = ["db begins", "up", "migrate", "web", "db ends", "last"]
    assert (tmp_path / "log").read_text().splitlines() == expected
    shown = done.stdout.decode().splitlines()  # what a service writes and what is run meanwhile may come in any order
    assert sorted(shown) == sorted(expected) and shown[-1] == "last"
    assert [line for line in shown if line in ("db begins", "up", "db ends")] == ["db begins", "up", "db ends"]
    assert (_said(done), done.code) == (
        ["migrate: exit code 0", "web: exit code 0", "db: stopped", "last: exit code 0"], 0,
    )  # fmt: skip
    results = [json.loads(line) for line in (tmp_path / "result").read_text().splitlines()]
    assert [(result["name"], result["exit_code"]) for result in results] == [
        ("migrate", 0), ("web", 0), ("db", 5), ("last", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "options", "said", "code"),
    [
        ([_server("db"), _spec("web", "exit 3", depends_on="[db]"), _spec("x", "true")], (),
         ["web: exit code 3", "db: stopped"], 3),
        ([_server("db"), _spec("web", "exit 3", depends_on="[db]"), _spec("x", "true")], ("--keep-going",),
         ["web: exit code 3", "db: stopped", "x: exit code 0"], 3),
        ([_spec("one", "exit 4"), _spec("two", "true", depends_on=f"{{one: {COMPLETED}}}")], ("--keep-going",),
         ["one: exit code 4", "mydocker: not run: it needs one, which ended with exit code 4", "two: not started"], 4),
        ([_spec("db", "exit 6", healthcheck=HEALTH), _spec("web", "true", depends_on=f"{{db: {HEALTHY}}}")], (),
         ["db: exit code 6"], 6),
        ([_server("db", healthcheck="{test: 'echo no; false', interval: 200ms, retries: 1}"),
          _spec("web", "true", depends_on=f"{{db: {HEALTHY}}}")], (),
         ["mydocker: not run: it needs db, which is not healthy (exit code 1: no)", "web: not started", "db: stopped"],
         125),
        ([_server("db"), _spec("web", "true", depends_on=f"{{db: {HEALTHY}}}")], (),
         ["mydocker: spec.yaml:10:14: no healthcheck says when it is healthy: neither its file nor its image has one",
          "hint: set healthcheck: {test: COMMAND}", "db: not started"], 125),
        ([_spec("db", f"{HELD}; exit 7"), _spec("web", f"{LET_GO}; sleep 1", depends_on="[db]"),
          _spec("x", "true")], (),
         ["web: exit code 0", "db: exit code 7"], 7),
        (["name: db\nimage: 'nonesuch:1'\npull_policy: never\n", _spec("web", "true", depends_on="[db]")], (),
         ["mydocker: image nonesuch:1 for linux/amd64 is not in the store",
          "hint: pulling is off (--pull never, --offline); --pull missing fetches it", "db: not started"], 125),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_failures(
    alpine: Command, tmp_path: pathlib.Path, texts: list[str], options: tuple[str, ...], said: list[str], code: int
) -> None:
    done = _up(alpine, tmp_path, *texts, options=options)
    assert ([re.sub("linux/arm64", "linux/amd64", line) for line in _said(done)], done.code) == (said, code)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("when", ["waiting", "running"])
def test_stopping_leaves_nothing(alpine: Command, tmp_path: pathlib.Path, number: int, when: str) -> None:
    """While a service is not healthy yet; and next to one that is."""
    ready = "touch /tmp/up;" if when == "running" else ""
    texts = [_server("db", ready, healthcheck=HEALTH), _server("web", depends_on=f"{{db: {HEALTHY}}}")]
    (tmp_path / "spec.yaml").write_text("---\n".join([*texts, _spec("x", "echo x")]))
    process = alpine.start("up", "--keep-going", "spec.yaml", cwd=tmp_path)
    assert process.stdout is not None
    last = {b"web begins\n", b"db begins\n"} if when == "running" else {b"db begins\n"}
    while last:
        line = process.stdout.readline()
        assert line, process.communicate()
        last.discard(line)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=240)
    assert b"x\n" not in stdout
    if when == "running" and number == signal.SIGTERM:
        assert (stdout, process.returncode) == (b"web ends\ndb ends\n", 5), stderr
    while os.listdir(alpine.store / "containers"):
        time.sleep(0.01)
    assert b"Traceback" not in stderr


@pytest.mark.root
def test_services_that_stand_in_one_line_are_not_taken_for_each_other(alpine: Command, tmp_path: pathlib.Path) -> None:
    services = "a: {image: alpine, command: echo a, depends_on: [b]}, b: {image: alpine, command: echo b}"
    (tmp_path / "compose.yaml").write_text(f"services: {{{services}}}")
    done = alpine("up", "compose.yaml", cwd=tmp_path)
    assert (sorted(done.stdout.splitlines()), done.code) == ([b"a-1  | a", b"b-1  | b"], 0), done
