"""Whatever a batch waits for, it comes to an end: workers that are stopped, watchers that fail, a host without room."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from lab import forking
from lab.command import Command
from lab.processes import sleeping, wait_for

from mydocker.runtime.inspect.container_view import ContainerView
from mydocker.services.workers.messages import WatcherEnded
from mydocker.services.workers.watcher import Watcher
from mydocker.specs.load.load import load_files

root = pytest.mark.root
CASE = "name: {0}\nimage: alpine\nnetwork_mode: none\ncommand: [sh, -c, '{1}']\n"


def _parent(pid: int) -> int:
    [parent] = re.findall(r"^PPid:\t(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(parent)


def _children(pid: int) -> list[int]:
    return [int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*") if _is_child(path, pid)]


def _is_child(path: pathlib.Path, pid: int) -> bool:
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()[1] == str(pid)
    except OSError:
        return False


def _kill_watcher(container: int) -> None:
    """Of a worker's children, the one that is neither the container nor the cleanup process, which has one
    descriptor."""
    for child in _children(_parent(container)):
        with suppress(OSError):  # a helper that has just ended
            if child != container and len(os.listdir(f"/proc/{child}/fd")) > 3:
                os.kill(child, signal.SIGKILL)


def _is_under_way(lines: pathlib.Path, mark: str) -> bool:
    """Whether one case has passed, by the report in LINES, and the other one runs."""
    return bool(sleeping(mark)) and lines.exists() and b'"passed"' in lines.read_bytes()


@root
@pytest.mark.parametrize("way", ["--timeout", "SIGTERM", "SIGINT"])
def test_a_worker_that_is_stopped_is_killed(alpine: Command, tmp_path: pathlib.Path, way: str) -> None:
    """Once the batch is to end. What others had found is reported, and nothing is left."""
    mark = f"34{os.getpid()}"
    report = tmp_path / "report.json"
    (tmp_path / "x.smoke.yaml").write_text(CASE.format("a", "true") + "---\n" + CASE.format("b", f"exec sleep {mark}"))
    lines = tmp_path / "lines"
    words = ("test", "-j", "2", "--report", f"json={report}", "--report", f"jsonl={lines}", "x.smoke.yaml")
    for seconds in (3, 12, 50):  # a time in which this machine begins what is to be under way when it is over
        began, options = time.monotonic(), (f"{way}={seconds}s",) if way == "--timeout" else ()
        process = alpine.start(*words, *options, cwd=tmp_path)
        wait_for(lambda process=process: _is_under_way(lines, mark) or process.poll() is not None)
        if way != "--timeout" or time.monotonic() - began < seconds / 2:
            break
        process.communicate(timeout=240)
    os.kill(_parent(sleeping(mark)[0]), signal.SIGSTOP)
    if way != "--timeout":
        process.send_signal(signal.Signals[way])
    stdout, _ = process.communicate(timeout=240)
    assert process.returncode == (3 if way == "--timeout" else 130)
    [first, second] = json.loads(report.read_text())["cases"]
    assert (first["verdict"], second["verdict"]) == ("passed", "error")
    assert second["reason"].endswith("its worker did not end when it was stopped, and was killed"), stdout
    wait_for(lambda: not sleeping(mark) and not os.listdir(alpine.store / "containers"))


@root
def test_a_watcher_that_is_killed_is_named(alpine: Command, tmp_path: pathlib.Path) -> None:
    """And is not waited for until the time of `within` has passed."""
    mark = f"35{os.getpid()}"
    text = CASE.format("a", f"exec sleep {mark}") + "expect: {within: 1h, files: [{path: /nonesuch}]}\n"
    (tmp_path / "x.smoke.yaml").write_text(text)
    process = alpine.start("test", "x.smoke.yaml", cwd=tmp_path)
    wait_for(lambda: bool(sleeping(mark)))
    _kill_watcher(sleeping(mark)[0])
    stdout, _ = process.communicate(timeout=240)
    assert process.returncode == 3 and b"the watcher of the container was killed" in stdout


def test_a_watcher_that_fails_says_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yaml").write_text("image: x\nexpand: true\nexpect: {within: 1s, files: [{path: /x}]}\n")
    [spec] = load_files([str(tmp_path / "x.yaml")], environ={})
    begun, writer = os.pipe()
    os.close(writer)
    view = ContainerView(root=-1, scratch=-1, process=begun, begun=begun, namespaces={}, plan=None)  # type: ignore[arg-type]
    reports: list[object] = []
    Watcher(spec.container, reports.append, expect=spec.expect).watch(view)
    assert reports[-1] == WatcherEnded(), "a pipe at its end is readable, as a pidfd whose process has ended is"
    view = view.replace(process=os.pidfd_open(os.getpid()))
    Watcher(spec.container, reports.append, expect=spec.expect).watch(
        view
    )  # the plan, which is none, is asked for what only a plan has
    failed = reports[-1]
    assert isinstance(failed, WatcherEnded) and failed.failure.startswith("the watcher of the container failed: ")


@root
def test_a_service_whose_watcher_is_lost_keeps_nobody_waiting(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark = f"36{os.getpid()}"
    text = (
        CASE.format("db", f"exec sleep {mark}")
        + "stop_grace_period: 100ms\nhealthcheck: {test: [CMD, 'false'], interval: 1h}\n---\n"
    )
    text += CASE.format("app", "true") + "depends_on: {db: {condition: service_healthy}}\n"
    (tmp_path / "x.smoke.yaml").write_text(text)
    for command in ("test", "up"):
        process = alpine.start(command, "x.smoke.yaml", cwd=tmp_path)
        wait_for(lambda: bool(sleeping(mark)))
        _kill_watcher(sleeping(mark)[0])
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == {"test": 3, "up": 125}[command], (stdout, stderr)
        assert b"the watcher of the container was killed" in stdout + stderr
        wait_for(lambda: not sleeping(mark))


@pytest.mark.rootless
@pytest.mark.parametrize("limit", [8, 40])
def test_fewer_at_once_where_the_host_has_no_more_processes(second_user: Command, limit: int) -> None:
    """Neither the batch nor a case fails for that; not even one whose own command could not fork for it."""
    count = 12
    spec = second_user.directory / "x.smoke.yaml"
    spec.write_text("---\n".join(CASE.format(f"n{n}", "sleep 0.05; true") for n in range(count)))
    spec.chmod(0o644)
    assert second_user("run", "alpine", "true").code == 0
    forking.end_servers_of_users()  # they count too
    limited = replace(second_user, prefix=[*second_user.prefix, "prlimit", f"--nproc={limit}:{limit}", "--"])
    done = limited("test", "-j", "30", str(spec))
    assert (done.code, done.stderr) == (0, b""), done
    assert re.findall(rb"^passed +(n\d+)", done.stdout, re.MULTILINE) == [b"n%d" % n for n in range(count)]


@pytest.mark.rootless
def test_an_error_where_not_one_can_start(second_user: Command) -> None:
    """With its words; and all reports are there."""
    spec = second_user.directory / "x.smoke.yaml"
    spec.write_text("---\n".join(CASE.format(f"n{n}", "true") for n in range(3)))
    spec.chmod(0o644)
    assert second_user("run", "alpine", "true").code == 0
    forking.end_servers_of_users()
    limited = replace(second_user, prefix=[*second_user.prefix, "prlimit", "--nproc=1:1", "--"])
    reports = {
        format: second_user.directory / f"report.{format}" for format in ("text", "tap", "junit", "json", "html")
    }
    words = [word for format, path in reports.items() for word in ("--report", f"{format}={path}")]
    done = limited("test", *words, str(spec))
    assert done.code == 3 and b"3 errors" in done.stdout, done
    assert done.stdout.count(b"    the host refuses: Resource temporarily unavailable") == 3
    assert all(b"Resource temporarily unavailable" in path.read_bytes() for path in reports.values())


@root
def test_reports_are_written_though_there_is_nothing_to_test(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(CASE.format("a", "true"))
    done = alpine("test", "-k", "nonesuch", "--report", "junit=j.xml", "--report", "json=j.json", cwd=tmp_path)
    assert done.code == 2, "no path"
    words = ["--report", "junit=j.xml", "--report", "json=j.json", "x.smoke.yaml"]
    done = alpine("test", "-k", "nonesuch", *words, cwd=tmp_path)
    assert done.code == 5
    assert json.loads((tmp_path / "j.json").read_text())["cases"] == []
    assert b'tests="0"' in (tmp_path / "j.xml").read_bytes()


@root
def test_a_report_that_cannot_be_opened_leaves_the_others_alone(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(CASE.format("a", "true"))
    (tmp_path / "old").write_text("what it was")
    words = ["--report", "text=old", "--report", "json=new", "--report", "tap=none/such"]
    done = alpine("test", *words, "x.smoke.yaml", cwd=tmp_path)
    assert (done.code, done.stdout) == (2, b"")
    assert (tmp_path / "old").read_text() == "what it was" and not (tmp_path / "new").exists()
    done = alpine("test", *words[:4], "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0 and "what it was" not in (tmp_path / "old").read_text()
