"""Containers in the background, from their start to their removal."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from lab.command import Command, Result
from lab.processes import wait_for, within

root = pytest.mark.root
rootless = pytest.mark.rootless

STAYS = ("sh", "-c", "trap 'exit 7' TERM; echo begun; while :; do sleep 0.1; done")


def run(mydocker: Command, *arguments: str) -> str:
    """Start a container in the background: its ID."""
    done = mydocker("run", "-d", *arguments)
    assert (done.code, done.stderr) == (0, b""), done
    assert re.fullmatch(rb"[0-9a-f]{64}\n", done.stdout)
    return done.stdout.decode().strip()


def inspected(mydocker: Command, name: str) -> dict[str, Any]:
    done = mydocker("inspect", "--type", "container", name)
    assert done.code == 0, done
    [document] = json.loads(done.stdout)
    return dict(document)


def state(mydocker: Command, name: str) -> dict[str, Any]:
    return dict(inspected(mydocker, name)["State"])


def is_in(mydocker: Command, name: str, status: str) -> Callable[[], bool]:
    return lambda: state(mydocker, name)["Status"] == status


def output(mydocker: Command, *arguments: str) -> bytes:
    done = mydocker(*arguments)
    assert done.code == 0, done
    return done.stdout


def _whole_life(mydocker: Command) -> None:
    id_ = run(mydocker, "--name", "life", "alpine", *STAYS)
    assert output(mydocker, "ps", "-q", "--no-trunc").decode() == f"{id_}\n"
    assert within(200, lambda: output(mydocker, "logs", "life") == b"begun\n")
    running = state(mydocker, "life")
    assert (running["Status"], running["Running"], running["ExitCode"]) == ("running", True, 0)
    assert pathlib.Path(f"/proc/{running['Pid']}").exists()
    assert output(mydocker, "exec", "life", "sh", "-c", "echo kept > /file; echo executed") == b"executed\n"
    assert output(mydocker, "stop", "life") == b"life\n"
    stopped = state(mydocker, "life")
    assert (stopped["Status"], stopped["ExitCode"], stopped["Pid"]) == ("exited", 7, 0)
    assert stopped["StartedAt"] < stopped["FinishedAt"]
    assert output(mydocker, "ps", "-q") == b"" and output(mydocker, "ps", "-aq").decode() == f"{id_[:12]}\n"
    assert output(mydocker, "wait", "life") == b"7\n"
    assert output(mydocker, "start", "life") == b"life\n"
    assert output(mydocker, "exec", "life", "cat", "/file") == b"kept\n"
    assert within(200, lambda: output(mydocker, "logs", "life") == b"begun\n" * 2)
    assert output(mydocker, "restart", "life") == b"life\n"
    assert output(mydocker, "exec", "life", "cat", "/file") == b"kept\n"
    assert within(200, lambda: output(mydocker, "logs", "life") == b"begun\n" * 3)
    refused = mydocker("rm", "life")
    assert (refused.code, refused.stdout) == (1, b"") and b"container life is running" in refused.stderr
    assert output(mydocker, "kill", "life") == b"life\n"
    assert (state(mydocker, "life")["Status"], state(mydocker, "life")["ExitCode"]) == ("exited", 137)
    assert output(mydocker, "wait", "life") == b"137\n"
    assert output(mydocker, "rm", "life") == b"life\n"
    assert output(mydocker, "ps", "-aq") == b""
    assert sorted((mydocker.store / "background").iterdir()) == [mydocker.store / "background" / "names"]
    assert not list((mydocker.store / "containers").iterdir())


@root
def test_the_life_of_a_container(kept: Command) -> None:
    _whole_life(kept)


@rootless
def test_the_life_of_an_ordinary_user_s(kept_by_user: Command) -> None:
    _whole_life(kept_by_user)


@root
def test_one_that_is_not_there_is_removed_by_force(kept: Command) -> None:
    """As with Docker, that is no failure, and it is not printed as removed."""
    run(kept, "--name", "there", "alpine", *STAYS)
    refused = kept("rm", "nonesuch")
    assert (refused.code, refused.stdout) == (1, b"") and b"no such container: nonesuch\n" in refused.stderr
    done = kept("rm", "-f", "nonesuch", "there")
    assert done == Result(b"there\n", b"warning: no such container: nonesuch\n", 0)


@root
def test_each_command_is_followed_by_the_next_at_once(kept: Command) -> None:
    """When a command returns, what it did is done: no keeper is left that is about to end."""
    run(kept, "--name", "quick", "alpine", *STAYS)
    for _ in range(5):
        output(kept, "stop", "-t", "0", "quick")
        output(kept, "start", "quick")
        assert output(kept, "ps", "--format", "{{.Names}} {{.State}}") == b"quick running\n"
        output(kept, "restart", "-t", "0", "quick")
        assert state(kept, "quick")["Status"] == "running"
    output(kept, "stop", "-t", "0", "quick")
    output(kept, "rm", "quick")


@root
def test_nothing_happens_to_one_that_runs_or_has_ended_already(kept: Command) -> None:
    run(kept, "--name", "again", "alpine", *STAYS)
    before = state(kept, "again")["Pid"]
    assert output(kept, "start", "again") == b"again\n" and state(kept, "again")["Pid"] == before
    assert output(kept, "stop", "again") == b"again\n" == output(kept, "stop", "again")
    killed = kept("kill", "again")
    assert killed.code == 1 and b"container again is not running" in killed.stderr


@root
def test_what_is_killed_can_be_removed_at_once(kept: Command) -> None:
    """Whatever its restart policy is, and though it is paused."""
    for options in ((), ("--restart", "always")):
        run(kept, "--name", "at-once", *options, "alpine", *STAYS)
        output(kept, "pause", "at-once")
        output(kept, "kill", "at-once")
        output(kept, "rm", "at-once")


@root
@pytest.mark.parametrize(
    ("options", "command", "arguments", "code"),
    [
        ((), STAYS, (), 7),
        ((), STAYS, ("-s", "KILL"), 137),
        ((), ("sleep", "3600"), (), 137),  # PID 1 has no handler
        (("--stop-signal", "USR1"), ("sh", "-c", "trap 'exit 9' USR1; echo begun; while :; do sleep 0.1; done"), (), 9),
        ((), ("sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done"), ("-t", "0"), 137),
        ((), ("sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done"), ("-t", "1"), 137),
        (("--stop-timeout", "1"), ("sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done"), (), 137),
        ((), ("sh", "-c", "trap 'sleep 2; exit 3' TERM; echo begun; while :; do sleep 0.1; done"), ("-t", "-1"), 3),
        ((), ("sh", "-c", "trap 'sleep 2; exit 3' TERM; echo begun; while :; do sleep 0.1; done"), ("-t", "1e15"), 3),
        (("--init",), ("sh", "-c", "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done"), (), 3),
        (("--restart", "always"), STAYS, (), 7),
    ],
)
def test_stopping(
    kept: Command, options: tuple[str, ...], command: tuple[str, ...], arguments: tuple[str, ...], code: int
) -> None:
    run(kept, "--name", "stopped", *options, "alpine", *command)
    assert command[0] != "sh" or within(200, lambda: output(kept, "logs", "stopped") == b"begun\n")  # its trap is set
    assert output(kept, "stop", *arguments, "stopped") == b"stopped\n"
    found = state(kept, "stopped")
    assert (found["Status"], found["ExitCode"]) == ("exited", code)


@root
def test_a_second_stop_may_be_sooner(kept: Command) -> None:
    run(kept, "--name", "slow", "alpine", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    assert within(200, lambda: kept("logs", "slow").stdout == b"ready\n")
    first = kept.start("stop", "-t", "-1", "slow")
    time.sleep(0.5)
    assert first.poll() is None
    assert output(kept, "stop", "-t", "1", "slow") == b"slow\n"
    assert first.communicate(timeout=240) == (b"slow\n", b"")


@root
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("alpine", "/nothing"), 127, b"/nothing"),
        (("alpine", "/etc"), 126, b"/etc"),
        (("-w", "/etc/passwd", "alpine", "true"), None, b"/etc/passwd"),
        (("-u", "nobody-here", "alpine", "true"), None, b"nobody-here"),
    ],
)
def test_a_start_that_fails(kept: Command, arguments: tuple[str, ...], code: int | None, words: bytes) -> None:
    """Docker's exit codes; the container stays, as with Docker, unless it was to be removed."""
    foreground = kept("run", "--rm", *arguments)
    failed = kept("run", "-d", "--name", "fails", *arguments)
    assert failed.stdout == b"" and words in failed.stderr and failed.stderr == foreground.stderr
    assert failed.code == foreground.code == (code or foreground.code)
    found = state(kept, "fails")
    assert (found["Status"], found["ExitCode"], found["Running"]) == ("created", failed.code, False)
    assert words.decode() in found["Error"]
    again = kept("start", "fails")
    assert (again.code, again.stdout) == (1, b"") and words in again.stderr
    output(kept, "rm", "fails")
    assert kept("run", "-d", "--rm", *arguments).code == failed.code and output(kept, "ps", "-aq") == b""


@root
def test_an_image_that_does_not_exist_leaves_no_container(kept: Command) -> None:
    failed = kept("run", "-d", "--name", "none", "nothing-there")
    assert failed.code == 125 and failed.stdout == b"" and output(kept, "ps", "-aq") == b""
    run(kept, "--name", "none", "alpine", "true")


@root
def test_the_container_removes_itself(kept: Command) -> None:
    run(kept, "--rm", "--name", "gone", "alpine", "true")
    assert within(200, lambda: kept("ps", "-aq").stdout == b"")
    run(kept, "--rm", "--name", "gone", "alpine", *STAYS)
    output(kept, "stop", "gone")
    assert output(kept, "ps", "-aq") == b""


@root
def test_the_container_that_removes_itself_can_be_restarted(kept: Command) -> None:
    run(kept, "--rm", "--name", "again", "alpine", *STAYS)
    output(kept, "exec", "again", "touch", "/there")
    output(kept, "restart", "again")
    output(kept, "exec", "again", "ls", "/there")
    output(kept, "stop", "again")
    assert output(kept, "ps", "-aq") == b""


@root
def test_created_and_started(kept: Command) -> None:
    created = kept("create", "--name", "later", "alpine", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert created.code == 0
    assert output(kept, "ps", "-a", "--format", "{{.Status}}") == b"Created\n" and output(kept, "logs", "later") == b""
    attached = kept("start", "-a", "later")
    assert (attached.stdout, attached.stderr, attached.code) == (b"out\n", b"err\n", 3)
    logged = kept("logs", "later")
    assert (logged.stdout, logged.stderr, logged.code) == (b"out\n", b"err\n", 0)
    assert state(kept, "later")["ExitCode"] == 3


@root
def test_a_name_is_had_once(kept: Command) -> None:
    run(kept, "--name", "mine", "alpine", "true")
    for arguments in (("run", "-d"), ("run", "--rm"), ("create",)):
        refused = kept(*arguments, "--name", "mine", "alpine", "true")
        assert refused.code in (2, 125) and b"the name 'mine' is in use by container" in refused.stderr
    run(kept, "--name", "other", "alpine", "true")
    refused = kept("rename", "other", "mine")
    assert refused.code != 0 and b"the name 'mine' is in use" in refused.stderr
    output(kept, "rm", "mine")
    output(kept, "rename", "other", "mine")
    assert output(kept, "ps", "-a", "--format", "{{.Names}}") == b"mine\n"
    run(kept, "--name", "other", "alpine", "true")


@root
@pytest.mark.parametrize("arguments", [("run", "-d"), ("create",), ("run",)])
def test_a_race_for_a_name_has_one_winner(kept: Command, arguments: tuple[str, ...]) -> None:
    racing = [kept.start(*arguments, "--name", "race", "alpine", "sleep", "1000") for _ in range(12)]
    wait_for(lambda: sum(process.poll() is not None for process in racing) >= 11)
    if arguments == ("run",):
        [winner] = [process for process in racing if process.poll() is None]
        winner.terminate()
    results = [(process.communicate(timeout=240), process.returncode) for process in racing]
    losers = [err for (_, err), code in results if b"the name 'race' is in use" in err and code != 0]
    assert len(losers) == 11 and (arguments == ("run",) or [code for _, code in results].count(0) == 1), results


@root
def test_a_container_that_was_renamed_has_its_new_name_everywhere(kept: Command) -> None:
    run(kept, "--name", "old", "-p", "127.0.0.1::80", "alpine", *STAYS)
    output(kept, "rename", "old", "new")
    assert output(kept, "exec", "new", "echo", "x") == b"x\n"
    assert output(kept, "port", "new", "80").startswith(b"127.0.0.1:")
    assert b"sleep" in output(kept, "top", "new") and kept("exec", "old", "true").code == 1
    assert output(kept, "run", "--network", "container:new", "alpine", "echo", "y") == b"y\n"
    output(kept, "restart", "new")
    assert output(kept, "exec", "new", "echo", "x") == b"x\n"
    assert state(kept, "new")["Running"] and kept("inspect", "old").code == 1


@root
@pytest.mark.parametrize(
    ("policy", "script", "status", "count", "code"),
    [
        ("on-failure:2", "echo run; exit 3", "exited", 3, 3),
        ("on-failure", "echo run; exit 0", "exited", 1, 0),
        ("on-failure:5", "echo run; [ -e /x ] && exit 0; touch /x; exit 1", "exited", 2, 0),
        ("no", "echo run; exit 3", "exited", 1, 3),
    ],
)
def test_restart_policies_that_end(kept: Command, policy: str, script: str, status: str, count: int, code: int) -> None:
    run(kept, "--name", "policy", "--restart", policy, "alpine", "sh", "-c", script)
    assert output(kept, "wait", "policy").decode() == f"{code}\n", state(kept, "policy")
    found = inspected(kept, "policy")
    assert (found["State"]["Status"], found["RestartCount"]) == (status, count - 1)
    assert output(kept, "logs", "policy") == b"run\n" * count


@root
@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_stopped_during_the_pause_before_the_next_start(kept: Command, policy: str) -> None:
    run(kept, "--name", "loop", "--restart", policy, "alpine", "sh", "-c", "echo run; exit 1")
    assert within(200, lambda: inspected(kept, "loop")["RestartCount"] >= 5)  # the pause is 3.2 s and more
    pattern = re.compile(rb"Restarting \(1\) .* ago\n")
    assert within(200, lambda: bool(pattern.fullmatch(output(kept, "ps", "--format", "{{.Status}}"))))
    assert output(kept, "stop", "loop") == b"loop\n"
    found = state(kept, "loop")
    assert (found["Status"], found["ExitCode"], found["Restarting"]) == ("exited", 1, False)
    lines = output(kept, "logs", "loop")
    time.sleep(2)
    assert output(kept, "logs", "loop") == lines


@root
def test_restarts_leave_nothing_open(kept: Command) -> None:
    run(kept, "--name", "leak", "--restart", "always", "alpine", "sh", "-c", "sleep 0.01")
    keeper = pathlib.Path("/proc", str(_keeper(kept, "leak")))

    def open_files() -> int:
        """The fewest: it may just have been started again."""
        return min(len(list((keeper / "fd").iterdir())) for _ in range(200) if not time.sleep(0.01))

    assert within(200, lambda: inspected(kept, "leak")["RestartCount"] >= 2)
    before = open_files()
    assert within(200, lambda: inspected(kept, "leak")["RestartCount"] >= 6)
    assert open_files() == before


def _keeper(mydocker: Command, name: str) -> int:
    directory = mydocker.store / "background" / inspected(mydocker, name)["Id"][:12]
    return int(json.loads((directory / "state").read_text())["keeper"])


@root
def test_the_image_stays_as_long_as_a_container_needs_it(mydocker: Command) -> None:
    output(mydocker, "pull", "alpine")
    run(mydocker, "--name", "user", "alpine", "sh", "-c", "echo here")
    output(mydocker, "wait", "user")
    output(mydocker, "rmi", "alpine")
    output(mydocker, "prune")
    started = mydocker("start", "-a", "user", env={"XDG_CONFIG_HOME": "/nonexistent"})
    assert (started.stdout, started.code) == (b"here\n", 0), started
    output(mydocker, "rm", "user")


@root
def test_a_volume_and_a_published_port_are_there_after_a_restart(kept: Command, tmp_path: pathlib.Path) -> None:
    run(kept, "--name", "web", "-p", "127.0.0.1::80", "-v", f"{tmp_path}:/data", "alpine", *STAYS)
    output(kept, "exec", "web", "touch", "/data/file")
    output(kept, "restart", "web")
    output(kept, "exec", "web", "ls", "/data/file")
    place = output(kept, "port", "web", "80").decode().strip()
    [bound] = inspected(kept, "web")["NetworkSettings"]["Ports"]["80/tcp"]
    assert f"{bound['HostIp']}:{bound['HostPort']}" == place
    assert (tmp_path / "file").exists()
    assert output(kept, "run", "--network", "container:web", "alpine", "cat", "/etc/hostname").strip()


@root
def test_a_shell_gets_the_id_and_its_pipe_closes(kept: Command) -> None:
    script = f"id=$({kept.program} run -d --name piped alpine sleep 3600); echo got $id"
    done = subprocess.run(["sh", "-c", script], capture_output=True, env=dict(kept.environment), timeout=240)
    assert re.fullmatch(rb"got [0-9a-f]{64}\n", done.stdout), done


@root
def test_paused(kept: Command) -> None:
    run(kept, "--name", "still", "alpine", *STAYS)
    output(kept, "pause", "still")
    assert state(kept, "still")["Paused"] and b"(Paused)" in output(kept, "ps", "--format", "{{.Status}}")
    assert output(kept, "ps", "-q", "--filter", "status=paused") != b""
    output(kept, "unpause", "still")
    assert state(kept, "still")["Status"] == "running"
    output(kept, "pause", "still")
    output(kept, "rm", "-f", "still")


@root
def test_a_healthcheck_of_the_command_line(mydocker: Command) -> None:
    often = ("--health-interval", "100ms", "--health-retries", "2", "--network", "none")
    run(mydocker, "--name", "checked", *often, "--health-cmd", "test -e /srv/well || exit 7", "alpine", "sleep", "1000")
    run(mydocker, "--name", "unchecked", "--no-healthcheck", "--network", "none", "alpine", "sleep", "1000")
    assert within(200, lambda: state(mydocker, "checked")["Health"]["Status"] == "unhealthy")
    assert state(mydocker, "checked")["Health"]["Log"] == [{"ExitCode": 7, "Output": "exit code 7"}]
    assert output(mydocker, "exec", "checked", "touch", "/srv/well") == b""
    assert within(200, lambda: state(mydocker, "checked")["Health"]["Status"] == "healthy")
    assert state(mydocker, "checked")["Health"]["Log"] == [{"ExitCode": 0, "Output": ""}]
    assert "Health" not in state(mydocker, "unchecked")
    output(mydocker, "rm", "-f", "checked", "unchecked")
