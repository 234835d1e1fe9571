"""Cases that need others: the order they run in, what stays running for them, and what becomes of them if it fails."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import time

import pytest
from lab import busybox
from lab.command import Command, Result
from lab.processes import within
from lab.registry import Registry

root = pytest.mark.root

SPEC = "name: {}\nimage: alpine\nvolumes: ['.:/srv']\ncommand: [sh, -c, '{}']\n"
LOG = "echo {0} >> /srv/log"
SERVER = 'trap "echo {0} ends >> /srv/log; exit 0" TERM; ' + LOG + " ; {1} while :; do sleep 0.05; done"


def _spec(name: str, script: str, **more: str) -> str:
    return SPEC.format(name, script) + "".join(f"{key}: {value}\n" for key, value in more.items())


def _server(name: str, ready: str = "", **more: str) -> str:
    return _spec(name, SERVER.format(name, ready), **more)


def _test(mydocker: Command, directory: pathlib.Path, *texts: str, options: tuple[str, ...] = ()) -> Result:
    (directory / "x.smoke.yaml").write_text("---\n".join(texts))
    done = mydocker("test", *options, "x.smoke.yaml", cwd=directory)
    assert os.listdir(mydocker.store / "containers") == []
    return done


def _marks(done: Result) -> list[str]:
    found = re.findall(r"^(passed|FAILED|ERROR|skipped) +(\S+)", done.stdout.decode(), re.MULTILINE)
    return [" ".join(pair) for pair in found]


def _log(directory: pathlib.Path) -> list[str]:
    return (directory / "log").read_text().splitlines()


HEALTHY = "{db: {condition: service_healthy}}"
COMPLETED = "{dep: {condition: service_completed_successfully}}"
HEALTH = "{test: test -e /tmp/up, interval: 30s}"


@root
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_classic(alpine: Command, tmp_path: pathlib.Path, jobs: str) -> None:
    """A data base, a migration that it must be up for, and two tests after that, in the wrong order in the file."""
    both = "{db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}"
    texts = [
        _spec("web", LOG.format("web"), depends_on=both),
        _spec("api", LOG.format("api"), depends_on=both),
        _spec("migrate", "sleep 0.2; " + LOG.format("migrate"), depends_on=HEALTHY),
        _server("db", "sleep 0.3; echo up >> /srv/log; touch /tmp/up;", healthcheck=HEALTH),
    ]
    done = _test(alpine, tmp_path, *texts, options=("-j", jobs))
    assert (_marks(done), done.code) == (["passed web", "passed api", "passed migrate", "passed db"], 0)
    log = _log(tmp_path)
    assert (log[:3], sorted(log[3:5]), log[5:]) == (["db", "up", "migrate"], ["api", "web"], ["db ends"])


@root
def test_a_service_is_judged_by_its_own_run(alpine: Command, tmp_path: pathlib.Path) -> None:
    texts = [
        _server("db", "echo hi > /tmp/f;", expect="{files: [{path: /tmp/f, contents: bye}]}"),
        _spec("web", LOG.format("web"), depends_on="[db]"),
        _server("late", "sleep 0.3; echo ready;", expect="{within: 200s, stdout: [ready], exit_code: 0}"),
        _spec("early", LOG.format("early"), depends_on="[late]"),
        _server("never", expect="{within: 500ms, stdout: [ready]}"),
        _spec("user", LOG.format("user"), depends_on="[never]"),
        _spec("falls", "mkfifo /srv/held; exec 9> /srv/held; exit 3"),  # it has that to its end
        _spec("long", "until [ -p /srv/held ]; do sleep 0.05; done; cat /srv/held; sleep 0.5", depends_on="[falls]"),
    ]
    done = _test(alpine, tmp_path, *texts)
    marks = ["FAILED db", "passed web", "passed late", "passed early", "FAILED never", "passed user"]
    assert _marks(done) == [*marks, "FAILED falls", "passed long"]
    assert b"contents of /tmp/f\n" in done.stdout and b'expected: text with "ready", within 0.5 s' in done.stdout
    assert b"exit_code\n      expected: 0\n      actual:   3\n" in done.stdout


REFUSED = [
    (_spec("dep", "exit 3", expect="{exit_code: 3}"), COMPLETED, "ERROR", "which ended with exit code 3"),
    (_spec("dep", "true", skip="not today"), "[dep]", "skipped", "which is skipped"),
    ("name: dep\nimage: 'nonesuch:1'\npull_policy: never\n", "[dep]", "ERROR", "which did not begin"),
    (_spec("dep", "exit 4", healthcheck="{test: 'false'}", expect="{exit_code: 4}"),
     "{dep: {condition: service_healthy}}", "ERROR", "which ended before it was healthy, with exit code 4"),
    (_server("dep", healthcheck="{test: 'echo no; exit 7', interval: 200ms, retries: 2}"),
     "{dep: {condition: service_healthy}}", "ERROR", "which is not healthy (exit code 7: no)"),
    (_server("dep", healthcheck="{test: [CMD, nonesuch], interval: 200ms, retries: 1}"),
     "{dep: {condition: service_healthy}}", "ERROR", "which is not healthy (exit code 127: 'nonesuch': executable"),
    (_server("dep", healthcheck="{test: sleep 60, interval: 200ms, timeout: 300ms, retries: 1}"),
     "{dep: {condition: service_healthy}}", "ERROR", "which is not healthy (no end within 0.3 s)"),
    (_server("dep", healthcheck="{test: 'true'}", cap_add="[SYS_PTRACE]"),
     "{dep: {condition: service_healthy}}", "ERROR", "which is not healthy (no command is executed in a container"),
    (_server("dep"), "{dep: {condition: service_healthy}}", "ERROR", "which did not begin"),
]  # fmt: skip  # a table reads best with a case on a line


@root
def test_what_cannot_begin_says_why(alpine: Command, tmp_path: pathlib.Path) -> None:
    texts, marks, reasons = [], [], []
    for number, (dep, depends_on, verdict, reason) in enumerate(REFUSED):
        name = f"dep{number}"
        needy = depends_on.replace("dep", name)
        texts.append(dep.replace("dep", name))
        texts.append(_spec(f"two{number}", "true", depends_on=needy))
        texts.append(_spec(f"three{number}", "true", depends_on=needy.replace("}}", ", required: false}}"))
                     if "{" in needy else _spec(f"three{number}", "true"))  # fmt: skip
        marks += [f"{verdict} two{number}", f"passed three{number}"]
        reasons.append(f"not run: it needs {name}, {reason}")
    done = _test(alpine, tmp_path, *texts, options=("-j", "4"))
    assert [mark for mark in _marks(done) if " dep" not in mark] == marks
    said = [line.strip() for line in done.stdout.decode().splitlines() if line.startswith("    not run: it needs")]
    assert [line[: len(reason)] for line, reason in zip(said, reasons, strict=True)] == reasons
    assert re.search(rb"x\.smoke\.yaml:\d+:\d+: no healthcheck says when it is healthy", done.stdout)


@root
def test_the_healthcheck_of_an_image_and_its_user(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    """It runs as the container's user, in its directory, with its variables and its rights; not as ours."""
    test = "id -un; pwd; echo $V; grep -c ^CapEff.*0000$ /proc/self/status; hostname; test -e up || exit 1"
    check = {"Test": ["CMD-SHELL", test], "Interval": 10**9, "Retries": 600}
    settings = {"user": "nobody", "working_dir": "/srv", "env": ["V=w"], "healthcheck": check}
    registry.push(busybox.alpine(**settings), "library/checked")
    base = "name: db\nimage: checked\nhostname: box\nnetwork_mode: none\n"
    texts = [
        base + "command: [sh, -c, 'sleep 0.3; touch /srv/up || true; while :; do sleep 1; done']\nuser: root\n",
        "name: web\nimage: checked\ndepends_on: {db: {condition: service_healthy}}\ncommand: ['true']\n",
    ]
    assert _marks(_test(mydocker, tmp_path, *texts)) == ["passed db", "passed web"]
    texts[0] = base + "command: [sleep, '60']\nhealthcheck: {interval: 200ms, retries: 1}\n"
    done = _test(mydocker, tmp_path, *texts)
    words = " ".join(done.stdout.decode().split())
    assert "needs db, which is not healthy (exit code 1: nobody /srv w 1 box) again:" in words


@pytest.mark.rootless
@pytest.mark.parametrize("more", ["", "init: true\n"])
def test_an_ordinary_user(second_user: Command, more: str) -> None:
    spec = second_user.directory / "needs.smoke.yaml"
    server = f"{more}name: db\nimage: alpine\ncommand: [sh, -c, 'sleep 0.2; touch /tmp/up; exec sleep 1000']\n"
    text = f"{server}healthcheck: {HEALTH}\n---\nname: web\nimage: alpine\ndepends_on: {HEALTHY}\ncommand: ['true']\n"
    spec.write_text(text)
    spec.chmod(0o644)
    done = second_user("test", str(spec))
    assert (_marks(done), done.code) == (["passed db", "passed web"], 0), done


@root
def test_who_may_never_end_brings_one_who_needs_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    """So the command that runs a failed service again does so."""
    texts = [
        _server("db", expect="{stdout: no}"),
        _server("api", depends_on="[db]"),
        _spec("web", "true", depends_on="[api]"),
        _spec("more", "true", depends_on="[db]"),
        _server("ready", expect="{within: 200s, stdout: [begins]}").replace("echo ready", "echo begins"),
        _spec("user", "true", depends_on="[ready]"),
    ]
    done = _test(alpine, tmp_path, *texts, options=("-k", "db"))
    assert _marks(done) == ["FAILED db", "passed api", "passed web"]
    again = re.findall(r"again: +mydocker (.*)", done.stdout.decode())
    assert [_marks(alpine(*line.split(), cwd=tmp_path)) for line in again] == [_marks(done)]
    texts[4] = texts[4].replace("begins >> /srv/log", "begins")
    assert _marks(_test(alpine, tmp_path, *texts, options=("-k", "ready"))) == ["passed ready"]


@root
def test_a_healthcheck_does_not_repeat_what_came_before(alpine: Command, tmp_path: pathlib.Path) -> None:
    prepared = {"pre_start": "[[sh, -c, 'echo prepared >> /srv/log']]", "healthcheck": HEALTH}
    texts = [_server("db", "sleep 0.3; touch /tmp/up;", **prepared), _spec("web", "true", depends_on=HEALTHY)]
    assert _marks(_test(alpine, tmp_path, *texts)) == ["passed db", "passed web"]
    assert _log(tmp_path) == ["prepared", "db", "db ends"]


@root
@pytest.mark.parametrize("init", ["false", "true"])
def test_what_is_started_has_begun(alpine: Command, tmp_path: pathlib.Path, init: str) -> None:
    """What `pre_start` does is over by then."""
    prepared = {"pre_start": "[[sh, -c, 'sleep 0.5; echo prepared >> /srv/log']]", "init": init}
    texts = [_server("db", **prepared), _spec("web", LOG.format("web"), depends_on="[db]")]
    assert _marks(_test(alpine, tmp_path, *texts)) == ["passed db", "passed web"]
    assert _log(tmp_path)[0] == "prepared" and "web" in _log(tmp_path)


@root
def test_files_that_are_included(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Their cases are run as well, unless one line of the other is asked for; mistakes name their own file."""
    (tmp_path / "base.yaml").write_text(
        _server("db") + "---\n" + _spec("base", "echo hi; exit 3", expect="{stdout: bye}")
    )
    texts = [
        "include: base.yaml\n",
        _spec("web", "true", depends_on="[db]", extends="{file: base.yaml, service: base}"),
    ]
    done = _test(alpine, tmp_path, *texts)
    assert _marks(done) == ["passed db", "FAILED base", "FAILED web"]
    assert done.stdout.count(b"base.yaml:10:18: stdout") == 2
    assert _marks(alpine("test", "x.smoke.yaml:3", cwd=tmp_path)) == ["passed db", "FAILED web"]


@root
@pytest.mark.parametrize("options", [("-k", "web"), ("x.smoke.yaml:6",), ("--tags", "t")])
def test_what_is_chosen_brings_what_it_needs(alpine: Command, tmp_path: pathlib.Path, options: tuple[str, ...]) -> None:
    texts = [_server("db"), _spec("web", "true", depends_on="[db]", tags="[t]"), _spec("other", "true")]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(texts))
    paths = () if "smoke" in options[0] else ("x.smoke.yaml",)
    assert _marks(alpine("test", *options, *paths, cwd=tmp_path)) == ["passed db", "passed web"]


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopping_leaves_nothing(alpine: Command, tmp_path: pathlib.Path, number: int) -> None:
    """In the middle of a healthcheck, and of a container that needs another."""
    texts = [
        _server("db", healthcheck="{test: 'echo asked >> /srv/log; sleep 60'}"),
        _spec("web", "true", depends_on=HEALTHY),
        _server("cache"),
        _spec("user", SERVER.format("user", ""), depends_on="[cache]"),
    ]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(texts))
    process = alpine.start("test", "-j", "2", "x.smoke.yaml", cwd=tmp_path)
    while not (tmp_path / "log").exists() or not {"asked", "user"} <= {*_log(tmp_path)}:
        time.sleep(0.01)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=240)
    assert process.returncode == (130 if number == signal.SIGINT else -9)
    assert len(re.findall(rb"^ERROR ", stdout, re.MULTILINE)) == (3 if number == signal.SIGINT else 0)
    assert (b"\n1 not run: interrupted: web\n" in stdout) == (number == signal.SIGINT)
    while os.listdir(alpine.store / "containers"):
        time.sleep(0.01)


@root
def test_times_longer_than_poll_takes(alpine: Command, tmp_path: pathlib.Path) -> None:
    """poll(2) takes 24 days at most; a grace and a time limit may be longer."""
    db = _server("db", stop_grace_period="99999h")
    done = _test(alpine, tmp_path, db, _spec("web", "true", depends_on="[db]"), options=("--timeout", "99999h"))
    assert (_marks(done), done.stderr, done.code) == (["passed db", "passed web"], b"", 0)
    (tmp_path / "x.yaml").write_text(db + "---\n" + _spec("web", "true", depends_on="[db]"))
    done = alpine("up", "x.yaml", cwd=tmp_path)
    said = [line.partition(" (")[0] for line in done.stderr.decode().splitlines()]
    assert (said, done.code) == (["web: exit code 0", "db: stopped"], 0)


CRASHES = "echo start >> /srv/log; [ -e /srv/again ] || { touch /srv/again; exit 3; }; touch /tmp/up; exec sleep 1000"


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_a_service_that_is_started_again(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    """By its restart policy, before another one sees it healthy. `post_start` is executed each time, once it has."""
    more = {"restart": "on-failure", "post_start": "[{command: [sh, -c, 'sleep 0.1; echo hook >> /srv/log']}]"}
    db = _spec("db", CRASHES, healthcheck="{test: test -e /tmp/up, interval: 1s, retries: 600}", **more)
    web = _spec("web", "cat /srv/log; echo end >> /srv/log", depends_on=HEALTHY)
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{web}")
    done = alpine(command, "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0, done
    assert _log(tmp_path) == ["start", "start", "hook", "end"]


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_a_service_that_ends_at_once_again_and_again(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    """It has begun, though nobody sees it run; and the pause before its next start does not keep anybody."""
    db, web = _spec("db", "true", restart="always"), _spec("web", "sleep 1", depends_on="[db]")
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{web}")
    done = alpine(command, "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0, done
    assert os.listdir(alpine.store / "containers") == []


@root
def test_a_service_that_fails_too_often(alpine: Command, tmp_path: pathlib.Path) -> None:
    db = _spec("db", "echo start >> /srv/log; exit 3", restart="on-failure:2", healthcheck=HEALTH)
    done = _test(alpine, tmp_path, db, _spec("web", "true", depends_on=HEALTHY))
    assert (_marks(done), done.code) == (["FAILED db", "ERROR web"], 1)
    assert b"it needs db, which ended before it was healthy, with exit code 3" in done.stdout
    assert _log(tmp_path) == ["start"] * 3


@root
def test_a_hook_that_fails(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Of a case of its own, and of a service."""
    hook = "[{command: [sh, -c, 'exit 7']}]"
    texts = [_server("db", post_start=hook), _spec("web", "true", depends_on="[db]"), _server("one", post_start=hook)]
    done = _test(alpine, tmp_path, *texts)
    assert (_marks(done), done.code) == (["ERROR db", "ERROR web", "ERROR one"], 3)
    assert done.stdout.count(b"post_start: sh -c 'exit 7': exited with code 7") >= 2, done


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_the_pause_before_a_restart_ends_with_mydocker(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    db = _spec("db", "echo start >> /srv/log", restart="{condition: any, delay: 1h}", healthcheck=HEALTH)
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{_spec('web', 'true', depends_on=HEALTHY)}")
    with alpine.start(command, "x.smoke.yaml", cwd=tmp_path) as process:
        assert within(200, (tmp_path / "log").exists)
        assert within(200, lambda: os.listdir(alpine.store / "containers") == [])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=240)
    assert process.returncode in (130, -signal.SIGTERM)
    assert (tmp_path / "log").read_text() == "start\n"


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_what_is_done_before_a_service_is_stopped(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    """While it still runs, once nobody needs it any more; as long as that takes."""
    hooks = "[[sh, -c, 'sleep 1.5; echo first >> /srv/log'], [sh, -c, 'test -e /tmp/up && echo second >> /srv/log']]"
    db = _server("db", "touch /tmp/up;", pre_stop=hooks, healthcheck=HEALTH)
    web = _spec("web", LOG.format("web"), depends_on=HEALTHY)
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{web}")
    done = alpine(command, "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0 and b"pre_stop" not in done.stdout + done.stderr, done
    assert _log(tmp_path) == ["db", "web", "first", "second", "db ends"]
    assert os.listdir(alpine.store / "containers") == []


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_what_fails_before_a_service_is_stopped(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    """It is a warning, as with services in the background, and leaves out the rest."""
    hooks = "[[sh, -c, 'echo first >> /srv/log; exit 7'], [sh, -c, 'echo second >> /srv/log']]"
    db, one = _server("db", pre_stop=hooks), _server("one", pre_stop="[[/nonesuch]]")
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{one}---\n{_spec('web', 'true', depends_on='[db, one]')}")
    done = alpine(command, "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0, done
    for name, why in (("db", "sh -c 'echo first >> /srv/log; exit 7': exited with code 7"), ("one", "/nonesuch: ")):
        assert re.search(rf"warning: \S*{name}\S*: pre_stop: {re.escape(why)}", done.stderr.decode()), done
    log = _log(tmp_path)
    assert "first" in log and "second" not in log and {"db ends", "one ends"} <= {*log}


@root
def test_what_is_done_before_a_case_is_stopped_whose_expectations_hold(alpine: Command, tmp_path: pathlib.Path) -> None:
    more = {
        "pre_stop": "[[sh, -c, 'echo before >> /srv/log']]",
        "expect": "{within: 200s, files: [{path: /tmp/up}]}",
    }
    done = _test(alpine, tmp_path, _server("db", "touch /tmp/up;", **more))
    assert (_marks(done), _log(tmp_path)) == (["passed db"], ["db", "before", "db ends"])


@root
def test_a_batch_that_is_interrupted_before_a_service_is_stopped(alpine: Command, tmp_path: pathlib.Path) -> None:
    """It does not wait for a command that may never end."""
    db = _server("db", pre_stop="[[sh, -c, 'touch /srv/parting; sleep 1000']]")
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{_spec('web', 'true', depends_on='[db]')}")
    with alpine.start("test", "x.smoke.yaml", cwd=tmp_path) as process:
        assert within(200, (tmp_path / "parting").exists)
        process.send_signal(signal.SIGINT)
        assert within(200, lambda: process.poll() is not None)
    assert process.returncode == 130 and os.listdir(alpine.store / "containers") == []


@root
@pytest.mark.parametrize("command", ["test", "up"])
def test_a_service_that_ends_while_it_is_to_be_stopped(alpine: Command, tmp_path: pathlib.Path, command: str) -> None:
    """By its own `pre_stop`, with and without a restart policy."""
    more = {"pre_stop": "[[sh, -c, 'while :; do kill 1; sleep 0.1; done']]"}
    db, one = _server("db", **more), _server("one", restart="always", **more)
    (tmp_path / "x.smoke.yaml").write_text(f"{db}---\n{one}---\n{_spec('web', 'true', depends_on='[db, one]')}")
    done = alpine(command, "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0, done
    assert {"db ends", "one ends"} <= {*_log(tmp_path)} and os.listdir(alpine.store / "containers") == []
