"""`mydocker up` of the services of a Compose file: together, followed, stopped, or left in the background."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import pytest
from lab.command import Command, Result
from lab.processes import within

pytestmark = pytest.mark.root

WAIT = 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
SLEEP = "sleep 1000"
LONG = "stop_grace_period: 5m"
SLEEPER = f"{{image: alpine, network_mode: none, {LONG}, command: [sh, -c, {json.dumps(WAIT)}]}}"


def _service(script: str, more: str = "") -> str:
    escaped = json.dumps(script).replace("$", "$$")
    return f"{{image: alpine, network_mode: none, command: [sh, -c, {escaped}]{more}}}"


def _write(directory: pathlib.Path, name: str = "compose.yaml", **services: str) -> None:
    lines = [f"  {service}: {text}\n" for service, text in services.items()]
    (directory / name).write_text(f"name: p\nservices:\n{''.join(lines)}")


@pytest.fixture
def shop(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def _containers(mydocker: Command) -> dict[str, str]:
    """The names of the containers of the project, and their IDs."""
    names = mydocker.store / "background" / "names"
    return {path.name: str(path.readlink()) for path in names.glob("p-*") if path.is_symlink()}


def _remove(mydocker: Command) -> None:
    assert mydocker("down", "-p", "p", "-t", "0", cwd="/").code == 0
    assert _containers(mydocker) == {}


def _read_until(process: subprocess.Popen[bytes], *ends: bytes) -> list[bytes]:
    """The lines of stdout until each of ENDS has ended one."""
    assert process.stdout
    lines: list[bytes] = []
    while not all(any(line.endswith(end) for line in lines) for end in ends):
        line = process.stdout.readline()
        assert line, lines
        lines.append(line.removesuffix(b"\n"))
    return lines


def test_services_run_together_in_their_order(alpine: Command, shop: pathlib.Path) -> None:
    _write(
        shop,
        web=_service("echo web; echo wrong >&2", ", depends_on: {init: {condition: service_completed_successfully}}"),
        longer=_service("printf 'no end'", ", depends_on: [web]"),
        init=_service("sleep 0.3; echo init"),
    )
    done = alpine("up", cwd=shop)
    assert done.stdout.splitlines()[0] == b"init-1    | init"
    assert sorted(done.stdout.splitlines()[1:]) == [b"longer-1  | no end", b"web-1     | web"]
    assert b"web-1     | wrong" in done.stderr.splitlines()
    assert (done.code, _containers(alpine)) == (0, {})


def test_ctrl_c_stops_all_in_the_opposite_order(alpine: Command, shop: pathlib.Path) -> None:
    needs = SLEEPER.removesuffix("}") + ", depends_on: [db]}"
    _write(shop, web=needs, db=SLEEPER)
    process = alpine.start("up", cwd=shop)
    _read_until(process, b"web-1  | ready", b"db-1   | ready")
    process.send_signal(2)
    stdout, stderr = process.communicate(timeout=240)
    assert stdout.splitlines() == [b"web-1  | bye", b"db-1   | bye"]
    assert b"web-1 exited with code 3\ndb-1 exited with code 3\n" in stderr
    assert (process.returncode, _containers(alpine)) == (0, {})


def test_a_second_ctrl_c_kills(alpine: Command, shop: pathlib.Path) -> None:
    deaf = 'trap "echo deaf" TERM; echo ready; while :; do sleep 0.1; done'
    _write(shop, web=_service(deaf, ", stop_grace_period: 1h"))
    process = alpine.start("up", cwd=shop)
    _read_until(process, b"ready")
    process.send_signal(2)
    _read_until(process, b"deaf")
    process.send_signal(2)
    _, stderr = process.communicate(timeout=240)
    assert b"web-1 exited with code 137" in stderr
    assert (process.returncode, _containers(alpine)) == (0, {})


def test_killed_it_leaves_nothing(alpine: Command, shop: pathlib.Path) -> None:
    _write(shop, web=SLEEPER, db=SLEEPER)
    process = alpine.start("up", cwd=shop)
    _read_until(process, b"web-1  | ready", b"db-1   | ready")
    process.kill()
    process.communicate(timeout=240)
    assert within(200, lambda: _containers(alpine) == {} == _running(alpine))


def _running(mydocker: Command) -> dict[str, str]:
    """The run directories of the project's containers, and their names."""
    links = (mydocker.store / "containers").glob("*/name")
    return {link.parent.name: name for link in links if (name := os.readlink(link)).startswith("p-")}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--abort-on-container-exit",), 5),
        (("--abort-on-container-failure",), 5),
        (("--exit-code-from", "wait"), 3),
        (("--exit-code-from", "ends"), 5),
        (("ends",), 0),
        (("--no-deps", "ends"), 0),
    ],
)
def test_the_exit_code(alpine: Command, shop: pathlib.Path, options: tuple[str, ...], code: int) -> None:
    waits = "--exit-code-from" in options or "--abort" in "".join(options)
    here = f", volumes: ['{shop}:/srv'], {LONG}"
    begun = WAIT.replace("echo ready", "touch /srv/ready")
    end = "until [ -e /srv/ready ]; do sleep 0.05; done; exit 5"  # before that, the other one would not hear its signal
    _write(
        shop,
        ends=_service(end if waits else "exit 5", here),
        wait=_service(begun if waits else "echo ready", here),
    )
    done = alpine("up", *options, cwd=shop)
    assert (done.code, _containers(alpine)) == (code, {}), done


def test_a_service_that_fails_stops_those_that_wait_for_it(alpine: Command, shop: pathlib.Path) -> None:
    _write(
        shop,
        web=_service("echo web", ", depends_on: {init: {condition: service_completed_successfully}}"),
        init=_service("exit 4"),
        other=SLEEPER,
    )
    done = alpine("up", cwd=shop)
    assert b"mydocker: web cannot start: init-1, which it needs, exited with code 4" in done.stderr
    assert (b"web" in done.stdout, done.code, _containers(alpine)) == (False, 125, {})


def test_without_its_file_a_project_goes_with_its_volumes(alpine: Command, shop: pathlib.Path) -> None:
    _write(shop, db=f"{{image: alpine, init: true, command: {SLEEP}, volumes: ['data:/srv']}}")
    with (shop / "compose.yaml").open("a") as file:
        file.write("volumes: {data: }\n")
    assert alpine("up", "-d", cwd=shop).code == 0
    assert alpine("down", "-p", "p", "-t", "0", cwd="/").code == 0
    assert (alpine.store / "volumes" / "p_data").exists() and not (alpine.store / "networks" / "p_default").exists()
    assert alpine("up", "-d", cwd=shop).code == 0
    assert alpine("down", "-p", "p", "-t", "0", "-v", cwd="/").code == 0
    assert not (alpine.store / "volumes" / "p_data").exists()


def _address(mydocker: Command, name: str) -> str:
    [found] = json.loads(mydocker("inspect", name).stdout)
    return str(found["NetworkSettings"]["Networks"]["p_default"]["IPAddress"])


def test_a_container_keeps_its_address(alpine: Command, shop: pathlib.Path) -> None:
    """From start to start, and so does the one that replaces it: others may have looked it up once."""
    _write(shop, **dict.fromkeys(("one", "two", "three"), f"{{image: alpine, init: true, command: {SLEEP}}}"))
    assert alpine("up", "-d", cwd=shop).code == 0
    before = _address(alpine, "p-one-1")
    assert alpine("restart", "-t", "0", "p-one-1").code == 0
    assert _address(alpine, "p-one-1") == before
    assert alpine("up", "-d", "--force-recreate", "--no-deps", "one", cwd=shop).code == 0
    assert _address(alpine, "p-one-1") == before
    assert len({_address(alpine, f"p-{name}-1") for name in ("one", "two", "three")}) == 3
    _remove(alpine)


def test_a_success_that_comes_early_has_to_last(alpine: Command, shop: pathlib.Path) -> None:
    """As with images of databases, whose first start has a server that only sets things up."""
    test = "echo >> /tests; case $$(wc -l < /tests) in [13]) exit 1;; 4) touch /real;; esac"
    check = f", init: true, healthcheck: {{test: '{test}', interval: 5m, start_period: 5m, start_interval: 5m}}"
    _write(shop, db=_service("sleep 1000", check))
    done = alpine("up", "--wait", "--wait-timeout", "9999h", cwd=shop)  # longer than one call of poll(2) can wait
    assert done.code == 0, done
    assert alpine("exec", "p-db-1", "test", "-e", "/real").code == 0
    _remove(alpine)


@pytest.mark.parametrize(
    ("script", "state", "why"),
    [
        ("exit 5", b"restarting", "db-1 is restarting (exit code 5)"),
        ("sleep 1000", b"starting", "db-1 is starting (exit code 1: not yet); web-1 has not started"),
    ],
)
def test_the_time_to_wait_is_limited(alpine: Command, shop: pathlib.Path, script: str, state: bytes, why: str) -> None:
    """What there is of them stays as it is."""
    more = ", init: true, healthcheck: {test: 'echo not yet; exit 1', interval: 1h}"
    more += ", deploy: {restart_policy: {condition: any, delay: 1h}}"
    _write(shop, db=_service(script, more), web=_service("true", ", depends_on: {db: {condition: service_healthy}}"))
    assert alpine("up", "--no-start", cwd=shop).code == 0 == alpine("up", "-d", "db", cwd=shop).code
    look = ("inspect", "-f", "{{.State.Status}} {{with .State.Health}}{{.Status}}{{json .Log}}{{end}}", "p-db-1")
    assert within(200, lambda: state in (found := alpine(*look).stdout) and (script == "exit 5" or b"not yet" in found))
    done = alpine("up", "--wait", "--wait-timeout", "500ms", cwd=shop)
    assert b"not all services are there within 0.5 s: " in done.stderr and why.encode() in done.stderr, done
    assert (done.code, sorted(_containers(alpine))) == (125, ["p-db-1", "p-web-1"])
    health = json.loads(alpine("inspect", "p-db-1").stdout)[0]["State"].get("Health")
    assert script == "exit 5" or health["Log"] == [{"ExitCode": 1, "Output": "exit code 1: not yet"}]
    _remove(alpine)


def test_a_service_starts_when_another_one_is_healthy(alpine: Command, shop: pathlib.Path) -> None:
    check = ", healthcheck: {test: test -e /ready, interval: 1s, start_interval: 100ms, start_period: 5m}"
    _write(
        shop,
        web=_service("echo web", ", depends_on: {db: {condition: service_healthy}}"),
        db=_service("sleep 0.5; echo healthy; touch /ready; sleep 1000", check),
    )
    done = alpine("up", "--exit-code-from", "web", cwd=shop)
    assert (done.stdout.splitlines(), done.code) == ([b"db-1   | healthy", b"web-1  | web"], 0), done


def test_in_the_background(alpine: Command, shop: pathlib.Path) -> None:
    """What is there and has not changed stays; what has changed is made anew; less replicas are fewer containers."""
    _write(shop, web=SLEEPER, db=SLEEPER)
    try:
        assert alpine("up", "-d", "--scale", "web=2", cwd=shop) == Result(b"", b"", 0)
        before = _containers(alpine)
        assert sorted(before) == ["p-db-1", "p-web-1", "p-web-2"]
        assert alpine("up", "-d", cwd=shop) == Result(b"", b"", 0)
        assert _containers(alpine) == {name: before[name] for name in ("p-db-1", "p-web-1")}
        _write(shop, web=SLEEPER.replace("image", "init: true, image"), db=SLEEPER)
        assert alpine("compose", "-f", "compose.yaml", "up", "--detach", cwd=shop).code == 0
        changed = _containers(alpine)
        assert (changed["p-db-1"] == before["p-db-1"], changed["p-web-1"] == before["p-web-1"]) == (True, False)
        _write(shop, web=SLEEPER.replace("image", "init: true, image"))
        done = alpine("up", "-d", cwd=shop)
        assert b"p-db-1 is of no service of project p" in done.stderr
        assert alpine("up", "-d", "--remove-orphans", cwd=shop) == Result(b"", b"", 0)
        assert _containers(alpine) == {"p-web-1": changed["p-web-1"]}
        assert alpine("up", "-d", "--force-recreate", cwd=shop).code == 0
        assert _containers(alpine)["p-web-1"] != changed["p-web-1"]
    finally:
        _remove(alpine)


def test_services_that_are_named_are_followed_and_end_the_run(alpine: Command, shop: pathlib.Path) -> None:
    """What they depend on is there for them, and ends with them; it is printed if asked for."""
    here = f", volumes: ['{shop}:/srv']"
    web = "until [ -e /srv/ready ]; do sleep 0.05; done; echo web"
    db = "echo db; touch /srv/ready; exec sleep 1000"
    _write(shop, web=_service(web, f", depends_on: [db]{here}"), db=_service(db, here))
    both = {b"web-1  | web", b"db-1   | db"}
    for words, expected in (
        (("web",), {b"web-1  | web"}),
        (("--attach-dependencies", "web"), both),
        (("--attach", "db", "web"), {b"db-1  | db"}),
        (("--attach-dependencies", "--no-attach", "web", "web"), {b"db-1  | db"}),
    ):
        (shop / "ready").unlink(missing_ok=True)
        done = alpine("up", "-t", "0", *words, cwd=shop)
        assert ({*done.stdout.splitlines()}, done.code, _containers(alpine)) == (expected, 0, {}), (words, done)
    assert alpine("up", "-d", "db", cwd=shop).code == 0
    assert alpine("up", "web", cwd=shop).stdout == b"web-1  | web\n"
    assert alpine("compose", "ps", "--services", cwd=shop).stdout == b"db\n"  # as it was there before
    _remove(alpine)
    done = alpine("up", "-t", "0", "--timestamps", "--no-log-prefix", "web", cwd=shop)
    assert re.fullmatch(rb"20\d\d-\d\d-\d\dT[0-9:.]+Z web\n", done.stdout), done


def test_what_is_made_anew(alpine: Command, shop: pathlib.Path) -> None:
    """With --force-recreate the services that are named, or all; with --no-recreate, none."""
    _write(shop, web=SLEEPER.replace("}", ", depends_on: [db]}"), db=SLEEPER)
    try:
        assert alpine("up", "--no-start", cwd=shop) == Result(b"", b"", 0)
        assert alpine("compose", "create", cwd=shop) == Result(b"", b"", 0)
        assert alpine("ps", "-q", "--filter", "name=p-").stdout == b""
        before = _containers(alpine)
        for words, renewed in (
            ((), set()),
            (("--force-recreate", "web"), {"p-web-1"}),
            (("--always-recreate-deps", "web"), {"p-db-1"}),
            (("--force-recreate",), {"p-web-1", "p-db-1"}),
        ):
            assert alpine("up", "-d", "-t", "0", *words, cwd=shop).code == 0
            found = _containers(alpine)
            assert {name for name in found if found[name] != before[name]} == renewed, words
            before = found
        _write(shop, web=SLEEPER, db=SLEEPER.replace("image", "init: true, image"))
        assert alpine("up", "-d", "--no-recreate", cwd=shop).code == 0
        assert _containers(alpine) == before
        assert alpine("compose", "scale", "--no-deps", "web=2", cwd=shop).code == 0
        assert sorted(_containers(alpine)) == ["p-db-1", "p-web-1", "p-web-2"]
    finally:
        _remove(alpine)


@pytest.mark.parametrize(
    ("script", "check", "code"),
    [("sleep 1000", "true", 0), ("sleep 1000", "echo bad; false", 125), ("exit 7", "true", 125), ("exit 0", "true", 0)],
)
def test_waiting_for_health(alpine: Command, shop: pathlib.Path, script: str, check: str, code: int) -> None:
    more = f", healthcheck: {{test: '{check}', interval: 200ms, retries: 1}}"
    _write(shop, web=_service(script, more))
    try:
        done = alpine("up", "--wait", cwd=shop)
        assert done.code == code, done
    finally:
        _remove(alpine)


@pytest.mark.parametrize("code", [0, 7])
@pytest.mark.parametrize("check", ["", "HealthCmd=true\nHealthStartPeriod=5m\n"])
def test_waiting_for_one_that_ends_at_once(alpine: Command, shop: pathlib.Path, code: int, check: str) -> None:
    """It has started, or was healthy once, and still is no service that runs: it ends while another one starts, which
    waits for that, and mydocker does not look."""
    ask = f"MYDOCKER_ROOT={alpine.store} {alpine.program}"
    healthy = f"until {ask} inspect -f {{{{.State.Health.Status}}}} ends | grep -q healthy$; do sleep 0.1; done; "
    late = f"{healthy * bool(check)}touch {shop}/over; {ask} wait ends; sleep 0.6"  # it would count as settled by now
    end = f"until rm /srv/over; do sleep 0.05; done 2> /dev/null; exit {code}"
    common = "[Container]\nImage=alpine\nNetwork=none\nRunInit=true\n"
    (shop / "ends.container").write_text(f"{common}Volume={shop}:/srv\nExec=sh -c '{end}'\n{check}")
    before = f"[Service]\nTimeoutStartSec=240\nExecStartPre=/bin/sh -c '{late}'\n"
    (shop / "late.container").write_text(f"{common}Exec=true\n{before}")
    try:
        for _ in range(2):
            done = alpine("up", "-d", "--wait", "ends.container", "late.container", cwd=shop)
            failed = b"ends exited with code 7" in done.stderr
            assert (done.code, failed) == ((125, True) if code else (0, False)), done
            assert json.loads(alpine("inspect", "ends").stdout)[0]["State"]["Status"] == "exited"
            assert alpine("rm", "-f", "late").code == 0
    finally:
        alpine("rm", "-f", "ends", "late")


def test_waiting_for_one_that_ends_again_and_again(alpine: Command, shop: pathlib.Path) -> None:
    """As with Docker, it is there as soon as it stays: half a second, so it ends as soon as it can, without a fork."""
    script = "n=0; [ -e /count ] && read n < /count; echo $((n+1)) > /count; [ $n -lt 3 ] && exit 3; exec sleep 1000"
    _write(shop, web=_service(script, ", init: true, restart: always"))
    try:
        assert alpine("up", "-d", "--wait", cwd=shop).code == 0
        [found] = json.loads(alpine("inspect", "p-web-1").stdout)
        assert (found["State"]["Status"], found["RestartCount"]) == ("running", 3)
    finally:
        _remove(alpine)


def test_waiting_for_what_runs_already_takes_no_time(alpine: Command, shop: pathlib.Path) -> None:
    _write(shop, web=SLEEPER)
    try:
        assert alpine("up", "-d", "--wait", cwd=shop).code == 0
        assert alpine("up", "-d", "--wait", "--wait-timeout", "200s", cwd=shop).code == 0
        done = alpine("up", "-d", "--wait", "--wait-timeout", "100ms", "--force-recreate", cwd=shop)
        assert (done.code, b"web-1 has just started" in done.stderr) == (125, True), done
    finally:
        _remove(alpine)


def test_restarts_belong_to_the_service(alpine: Command, shop: pathlib.Path) -> None:
    """The files of a container stay from start to start."""
    script = "echo x >> /count; echo run $(wc -l < /count); test $(wc -l < /count) = 3"
    _write(shop, web=_service(script, ", restart: on-failure"))
    done = alpine("up", cwd=shop)
    assert (done.stdout, done.code) == (b"web-1  | run 1\nweb-1  | run 2\nweb-1  | run 3\n", 0), done


def test_which_files_and_services_are_meant(alpine: Command, shop: pathlib.Path) -> None:
    _write(shop, web=_service("echo web"), db=_service("echo db", ", attach: false"))
    _write(shop, "compose.override.yaml", web="{command: [echo, over]}")
    (shop / "below").mkdir()
    assert alpine("up", cwd=shop / "below").stdout == b"web-1  | over\n"
    assert alpine("up", "--no-log-prefix", "web", cwd=shop).stdout == b"over\n"
    assert alpine("up", "compose.yaml", cwd=shop).stdout == b"web-1  | web\n"
    assert alpine("compose", "-p", "other", "--file=compose.yaml", "up", cwd=shop).stdout == b"web-1  | web\n"
    (shop / "own.yaml").write_text("image: alpine\nnetwork_mode: none\ncommand: [echo, own]\n")
    assert alpine("up", "own.yaml", cwd=shop).stdout == b"own\n"
    done = alpine("up", "-d", "own.yaml", cwd=shop)
    assert (done.code, b"--detach is for services" in done.stderr) == (125, True)


def test_down_stops_in_the_opposite_order_and_leaves_nothing(alpine: Command, shop: pathlib.Path) -> None:
    """But for a named volume, unless -v is set."""
    script = 'trap "echo $0 >> /srv/order; exit" TERM; echo ready; while :; do sleep 0.1; done'
    more = f", {LONG}, volumes: ['data:/srv']"
    command = [_service(script, more).replace("]", f", {name}]", 1) for name in ("web", "db")]
    _write(shop, web=command[0].replace("}", ", depends_on: [db]}"), db=command[1])
    with (shop / "compose.yaml").open("a") as file:
        file.write("volumes: {data: }\n")
    assert alpine("up", "-d", "--wait", cwd=shop).code == 0
    assert sorted(_containers(alpine)) == ["p-db-1", "p-web-1"]
    assert within(200, lambda: all(alpine("logs", each).stdout == b"ready\n" for each in _containers(alpine)))
    assert alpine("down", cwd=shop) == Result(b"", b"", 0)
    assert _containers(alpine) == {}
    [order] = (alpine.store / "volumes").glob("p_data/data/order")
    assert order.read_text() == "web\ndb\n"
    assert alpine("down", "-v", cwd=shop) == Result(b"", b"", 0)
    assert not order.exists()
    done = alpine("down", cwd=shop.parent)
    assert (done.code, b"name the project with -p" in done.stderr) == (2, True)


def test_what_down_removes_of_volumes(alpine: Command, shop: pathlib.Path) -> None:
    """Those that the file declares, under whatever name; not those that are external."""
    _write(shop, web=_service("true", ", volumes: ['data:/d', 'named:/n', 'ext:/e']"))
    with (shop / "compose.yaml").open("a") as file:
        file.write("volumes: {data: , named: {name: named-otherwise}, ext: {external: true}}\n")
    assert alpine("volume", "create", "ext").code == 0
    before = alpine("volume", "ls", "-q").stdout.split()  # other tests have theirs in this store
    assert alpine("up", cwd=shop).code == 0
    assert len(alpine("volume", "ls", "-q").stdout.split()) == len(before) + 2
    assert alpine("down", "-v", cwd=shop) == Result(b"", b"", 0)
    assert alpine("volume", "ls", "-q").stdout.split() == before and b"ext" in before
    assert alpine("volume", "rm", "ext").code == 0


def test_what_is_there_is_reached_without_what_it_was_made_with(alpine: Command, shop: pathlib.Path) -> None:
    """Files of variables and secrets are for `up` alone."""
    (shop / "site.env").write_text("A=1\n")
    secrets = "secrets: {s: {environment: TOKEN}}\n"
    _write(shop, web=SLEEPER.replace("}", ", env_file: site.env, secrets: [s]}"))
    with (shop / "compose.yaml").open("a") as file:
        file.write(secrets)
    assert alpine("up", "-d", cwd=shop, env={"TOKEN": "x"}).code == 0
    (shop / "site.env").unlink()
    done = alpine("up", "-d", cwd=shop)
    assert (done.code, b"no such file" in done.stderr, b"TOKEN is needed" in done.stderr) == (125, True, True), done
    assert alpine("compose", "exec", "web", "cat", "/run/secrets/s", cwd=shop) == Result(b"x", b"", 0)
    assert alpine("compose", "ps", "--services", cwd=shop) == Result(b"web\n", b"", 0)
    assert alpine("down", "-t", "0", cwd=shop) == Result(b"", b"", 0)
    assert _containers(alpine) == {}


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (", user: nobody-here", 125, b"mydocker: web-1: unable to find user 'nobody-here'"),
        (
            ", volumes: [{type: bind, source: ./gone, target: /x, bind: {create_host_path: false}}]",
            125,
            b"mydocker: web-1: bind source ",
        ),
        (", image: nope/nope, pull_policy: never", 125, b"mydocker: web-1: image nope/nope:latest for "),
        (", entrypoint: [nope]", 127, b"mydocker: web-1: 'nope': executable file not found"),
    ],
)
def test_what_cannot_start_is_named(alpine: Command, shop: pathlib.Path, more: str, code: int, message: bytes) -> None:
    service = _service("true", more)
    _write(shop, db=_service("true"), web=service.replace("image: alpine, ", "") if "image: n" in more else service)
    done = alpine("up", cwd=shop)
    assert (done.code, message in done.stderr) == (code, True), done


@pytest.mark.parametrize("options", [(), ("-p", "p")], ids=["by its file", "by its name"])
def test_down_of_some_services(alpine: Command, shop: pathlib.Path, options: tuple[str, ...]) -> None:
    """The other ones stay, and so does what they share: their network, and those that web depends on."""
    _write(shop, web=_service("sleep 1000").replace("}", ", depends_on: [db]}"), db=_service("sleep 1000"))
    assert alpine("up", "-d", cwd=shop).code == 0
    try:
        done = alpine("down", *options, "nope", cwd=shop)
        assert (done.code, b"no such service: nope" in done.stderr) == (2, True)
        assert alpine("down", "-t", "0", *options, "web", cwd=shop) == Result(b"", b"", 0)
        assert sorted(_containers(alpine)) == ["p-db-1"]
    finally:
        assert alpine("down", "-t", "0", cwd=shop) == Result(b"", b"", 0)
    assert _containers(alpine) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("up", "nope"), b"no such service: nope"),
        (("up", "--exit-code-from", "nope"), b"--exit-code-from: no such service: nope"),
        (("up", "-d", "--exit-code-from", "web"), b"leave the containers running"),
        (("up", "--scale", "web"), b"--scale 'web': expected SERVICE=NUMBER"),
        (("up", "--no-recreate", "--force-recreate"), b"--no-recreate excludes --force-recreate"),
        (("up", "-t", "x"), b"'x'"),
        (("compose", "--ansi", "x", "up"), b"option --ansi: expected never, always, auto"),
        (("compose", "--progress"), b"option --progress: it needs a value"),
        (("up", "-f", "gone.yaml"), b"gone.yaml: cannot read it"),
        (("compose", "-x", "up"), b"unknown option: -x"),
        (("compose", "-f"), b"option -f needs a value"),
        (("compose", "upp"), b"'compose upp' is not a mydocker command; did you mean 'up'?"),
    ],
)
def test_wrong_usage(alpine: Command, shop: pathlib.Path, words: tuple[str, ...], message: bytes) -> None:
    _write(shop, web=_service("true"))
    done = alpine(*words, cwd=shop)
    assert (message in done.stderr, done.code) == (True, 125), done


def test_without_a_compose_file(mydocker: Command, tmp_path: pathlib.Path) -> None:
    done = mydocker("up", cwd=tmp_path)
    assert (done.code, b"no Compose file in this directory or above it: compose.yaml, " in done.stderr) == (125, True)
    for command in ("check", "config", "explain"):
        assert mydocker(command, cwd=tmp_path).code == 2
