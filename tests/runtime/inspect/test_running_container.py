"""Containers of other processes: what their run directories say, and what is opened by that."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command
from lab.processes import within

from mydocker.errors import LaunchError
from mydocker.image.store import Store
from mydocker.runtime.enter.container import NotRunningError
from mydocker.runtime.inspect.running_container import open_running
from mydocker.runtime.inspect.running_plan import parse, read
from mydocker.runtime.launch import plan_launch, prepare
from mydocker.runtime.plan import LaunchPlan
from mydocker.specs.argv import parse_run

root = pytest.mark.root
rootless = pytest.mark.rootless

PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "includes": {"caps": ["CAP_CHOWN"]}},
    ],
}
PLANS = [
    (),
    ("--init", "-t", "-i", "--name", "n"),
    ("--privileged", "--pid", "host", "--network", "host"),
    ("--read-only", "--tmpfs", "/t:size=1m", "-v", "named:/v", "-v", "/tmp:/w:ro", "-v", "/anonymous"),
    ("--mount", "type=bind,source=/tmp,target=/b,bind-propagation=rslave", "--device", "/dev/null:/dev/x"),
    ("--memory", "100m", "--pids-limit", "9", "--cpus", "0.5", "--ulimit", "nofile=5:6", "--oom-score-adj", "7"),
    ("-e", "A='\"\\\n\t\u00e9", "-e", "B=\udcff", "--env", "C=", "-w", "/w w", "--hostname", "h", "--domainname", "d"),
    ("--user", "app:staff", "--group-add", "7", "--group-add", "audio", "--umask", "077"),
    (
        "--add-host",
        "a:1.2.3.4",
        "--dns",
        "1.1.1.1",
        "--dns-search",
        "x",
        "--dns-option",
        "ndots:1",
        "--sysctl",
        "net.ipv4.ip_forward=1",
    ),
    (
        "-p",
        "80",
        "-p",
        "127.0.0.1:81-83:81-83/udp",
        "--network-alias",
        "z",
        "--stop-timeout",
        "3",
        "--stop-signal",
        "INT",
    ),
    ("--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges", "--timeout", "1.5s"),
]


@root
@pytest.mark.parametrize("options", PLANS, ids=range(len(PLANS)))
def test_a_plan_is_read_as_it_was(alpine: Command, options: tuple[str, ...]) -> None:
    environ = dict(alpine.environment)
    request = parse_run([*options, "alpine", "sh", "-c", "'\"\n"], environ=environ, cwd="/")
    plan = prepare(request.spec, environ=environ)
    assert parse(repr(plan)) == plan and isinstance(plan, LaunchPlan)


@root
@pytest.mark.parametrize("words", [("--rootfs", "/"), ("--rootfs", "/", "--read-only"), ("--rootfs", "{}")])
def test_so_is_one_of_a_directory(alpine: Command, words: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    (tmp_path / "profile").write_text(json.dumps(PROFILE))
    argv = [*(word.format(tmp_path) for word in words), "--security-opt", f"seccomp={tmp_path}/profile", "true"]
    request = parse_run(argv, environ=dict(alpine.environment), cwd="/")
    plan = plan_launch(request.spec, None, store=Store.open(alpine.environment))
    assert parse(repr(plan)) == plan


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "open('x')",
        "1 + 1",
        "LaunchPlan(1)",
        "x",
        "[y for y in ()]",
        "User",
        "f'{1}'",
        "Store(root='')",
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises((ValueError, TypeError, SyntaxError)):
        parse(text)


@contextmanager
def _running(mydocker: Command, name: str, script: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = mydocker.start("run", "--name", name, *options, "alpine", "sh", "-c", script)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith(b"ready"), line
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=240)


def _run_dir(mydocker: Command, name: str) -> str:
    top = mydocker.store / "containers"
    paths = [f"{top}/{each}" for each in os.listdir(top)]
    [run_dir] = [path for path in paths if os.path.lexists(f"{path}/name") and os.readlink(f"{path}/name") == name]
    assert within(100, lambda: read(run_dir) is not None)
    return run_dir


@root
def test_a_number_of_another_process_is_no_container(alpine: Command) -> None:
    with _running(alpine, "reused", "echo ready; sleep 3600"):
        run_dir = _run_dir(alpine, "reused")
        with open_running(run_dir) as view:
            assert sorted(os.listdir(f"/proc/self/fd/{view.root}"))[:2] == ["bin", "dev"]
            assert {*view.namespaces} == {"mount", "pid", "uts", "ipc", "net", "cgroup"}
        plan = pathlib.Path(run_dir) / "plan"
        text = plan.read_text()
        _, _, rest = text.partition("\n")
        for head in (f"{os.getpid()} {read(run_dir).start_time}", f"{os.getpid()} 0", "4194303 1"):  # type: ignore[union-attr]
            plan.write_text(f"{head}\n{rest}")
            with pytest.raises(NotRunningError), open_running(run_dir):
                pass
        for bad in ("", "x", "1 2", f"1 2\n{rest[:-5]}\n", "1 2\nprint()\n"):
            plan.write_text(bad)
            with pytest.raises(LaunchError), open_running(run_dir):
                pass
        plan.write_text(text)
    with pytest.raises(NotRunningError), open_running(run_dir):
        pass


@root
def test_a_container_that_ends_is_not_entered(alpine: Command) -> None:
    """Whatever the moment: an error of mydocker's, with the code of a container that does not run, or of a killed
    command."""
    for _ in range(12):
        with alpine.start("run", "--name", "brief", "alpine", "sleep", "0.3") as process:
            codes = set()
            while process.poll() is None:
                done = alpine("exec", "brief", "true")
                codes.add(done.code)
                assert b"Traceback" not in done.stderr, done
            assert codes <= {0, 1, 125, 137}, codes
            process.communicate()


@root
def test_a_new_root_of_a_program_changes_nothing(alpine: Command) -> None:
    script = "mkdir -p /other/bin; cp /bin/busybox /other/bin/sleep; echo ready; exec chroot /other /bin/sleep 3600"
    with _running(alpine, "chrooted", script):
        assert alpine("exec", "chrooted", "cat", "/etc/alpine-release").code == 0
        assert alpine("exec", "chrooted", "ls", "/").stdout.split()[:2] == [b"bin", b"dev"]


@root
def test_a_plan_has_no_contents_of_files(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = (
        "image: alpine\ncommand: [sh, -c, 'cat /run/secrets/s; sleep 3600']\nsecrets: [{target: s, content: xyzzy}]\n"
    )
    (tmp_path / "a.yaml").write_text(f"name: hidden\n{text}")
    with alpine.start("up", "a.yaml", cwd=tmp_path) as process:
        try:
            assert process.stdout and process.stdout.read(5) == b"xyzzy"
            path = pathlib.Path(_run_dir(alpine, "hidden")) / "plan"
            assert "xyzzy" not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
        finally:
            process.terminate()
            process.communicate(timeout=240)


@rootless
@pytest.mark.parametrize("options", [(), ("--init",), ("--network", "host"), ("--pid", "host")])
def test_a_new_user_namespace_of_a_program_is_not_entered(second_user: Command, options: tuple[str, ...]) -> None:
    script = "echo ready $(readlink /proc/self/ns/user); exec unshare -U sleep 3600"
    with _running(second_user, "nested", script, "--security-opt", "seccomp=unconfined", *options):
        own = second_user("exec", "nested", "sh", "-c", "id -u; readlink /proc/self/ns/user")
        assert own.stdout.startswith(b"0\nuser:["), own
        other = ("exec", "nested", "sh", "-c", "readlink /proc/1/ns/user || echo none")
        assert within(100, lambda: second_user(*other).stdout.strip() != own.stdout.split()[1])  # it has made its own
