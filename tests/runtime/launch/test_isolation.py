"""What processes of mydocker's hold in a container's namespaces: tried from inside, with SYS_PTRACE.

docs/isolation.md lists these processes, and the test for each.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
from collections.abc import Callable

import pytest
from lab import busybox
from lab.command import Command, Result
from lab.oci import DIR, Program, layer
from lab.processes import mentioning, within, within_a_second
from lab.registry import Registry

from mydocker.runtime.inspect.helper_process import settle

root = pytest.mark.root

SECRET = "xyzzySECRETofthehost"
HALVES = f"{SECRET[:9]},{SECRET[9:]}"
FORGED = '\n{"outcome": {"exit_code": 0}, "problem": null}\n'
STANDARD = {"0", "1", "2"}  # which the command gets as well
TABLE = {
    "pre_start": "pre_start: [{take}]\ncommand: 'true'\n",
    "pre_start, and init": "pre_start: [{take}]\ninit: true\ncommand: 'true'\n",
    "init": "init: true\ncommand: {take}\n",
    "init after pre_start": "init: true\npre_start: ['true']\ncommand: {take}\n",
    "pre_start on a terminal": "pre_start: [{take}]\ntty: true\ncommand: 'true'\n",
    "init on a terminal": "init: true\ntty: true\ncommand: {take}\n",
    "pre_start with limits": "pre_start: [{take}]\npids_limit: 50\ncommand: 'true'\n",
    "pre_start with volumes": "pre_start: [{take}]\ncommand: 'true'\nvolumes: ['named:/data', '/anonymous']\n",
    "pre_start with an input": "pre_start: [{take}]\ncommand: 'true'\nstdin: text\n",
    "pre_start without a filter": "pre_start: [{take}]\ncommand: 'true'\nsecurity_opt: ['seccomp=unconfined']\n",
    "pre_start with everything": "pre_start: [{take}]\ncommand: 'true'\nprivileged: true\n",
    "init with everything": "init: true\ncommand: {take}\nprivileged: true\n",
}
ROWS = pytest.mark.parametrize("row", TABLE)


@pytest.fixture
def hostile(alpine: Command, registry: Registry, taker: pathlib.Path) -> Command:
    _push(registry, taker)
    return alpine


def _push(registry: Registry, taker: pathlib.Path) -> None:
    registry.push(busybox.alpine(layer({"take-over": Program(taker.read_bytes()), "out": DIR})), "hostile/taker")


def _spec(row: str, out: pathlib.Path, *, more: str = "") -> str:
    """What is taken is written to the host's directory OUT."""
    take = f"[sh, -c, '/take-over {HALVES} > /out/taken 2>&1']"
    text = TABLE[row].format(take=take).replace("volumes: [", f"volumes: ['{out}:/out', ")
    volumes = "" if "volumes:" in text else f"volumes: ['{out}:/out']\n"
    rights = "" if "privileged" in text else "cap_add: [SYS_PTRACE]\n"
    return f"image: hostile/taker\n{rights}{volumes}{text}{more}"


def _taken(out: pathlib.Path) -> list[list[str]]:
    """The lines that the program has printed of process 1."""
    lines = (out / "taken").read_text().splitlines()
    assert lines[-1] == "done"
    return [line.split(" ", 3)[1:] for line in lines if line.startswith("1 ")]


def _check(taken: list[list[str]], *, privileged: bool = False) -> None:
    """Nothing of the host's is reachable: at most pipes of its own, and the container's own root."""
    assert [each for each in taken if each[0] in ("escape", "memory", "environment")] == []
    assert ["command", "mydocker-init"] in taken
    written = {path for kind, path, *_ in taken if kind == "writable"}
    assert written <= {"/proc/1/mem"} or privileged, written
    assert not any(path.endswith("/exe") for path in written)
    kinds = {
        what
        for kind, number, *rest in taken
        if kind in ("descriptor", "fd") and number not in STANDARD
        for what in [re.sub(r"\d+", "N", " ".join(rest))]
    }
    assert kinds <= {"pipe:[N]", "/", "anon_inode:[pidfd]", "anon_inode:[signalfd]"}, kinds


@root
@ROWS
def test_nothing_of_the_host_s_is_taken(hostile: Command, tmp_path: pathlib.Path, row: str) -> None:
    (tmp_path / "a.yaml").write_text(_spec(row, tmp_path))
    done = hostile("up", "a.yaml", cwd=tmp_path, env={"TOKEN": SECRET})
    assert done.code == 0, done
    _check(_taken(tmp_path), privileged="everything" in row)


@root
@pytest.mark.parametrize("row", ["pre_start", "init", "pre_start with limits"])
@pytest.mark.parametrize("keep", [(), ("--on-failure", "keep")])
def test_nor_in_a_batch_which_holds_more(
    hostile: Command, tmp_path: pathlib.Path, row: str, keep: tuple[str, ...]
) -> None:
    """Other specs, and the pipes by which workers report: to files, to what is watched, to what is kept."""
    expect = "expect: {files: [{path: /etc/passwd}], changes: {any: ['/none']}}\n"
    other = f"---\nname: other\nimage: alpine\ncommand: 'true'\nenvironment: {{PASSWORD: {SECRET}}}\n"
    (tmp_path / "x.smoke.yaml").write_text(
        "name: taker\n" + _spec(row, tmp_path, more=expect.replace(", changes: {any: ['/none']}", "")) + other
    )
    done = hostile("test", *keep, "-j", "1", "x.smoke.yaml", cwd=tmp_path, env={"TOKEN": SECRET})
    assert done.code == 0, done
    _check(_taken(tmp_path))


@root
@pytest.mark.parametrize("row", ["pre_start", "init"])
@pytest.mark.parametrize("watched", ["", "within: 1s, ports: {'tcp:80': closed}, "])
def test_a_verdict_cannot_be_forged(hostile: Command, tmp_path: pathlib.Path, row: str, watched: str) -> None:
    """Whatever is written to all that can be taken: a case that does not hold has not passed."""
    text = _spec(row, tmp_path, more=f"expect: {{{watched}files: [{{path: /nonesuch}}]}}\n")
    text = text.replace("/take-over", "FORGE=$FORGED /take-over")
    (tmp_path / "x.smoke.yaml").write_text(
        f"{text}environment: {{FORGED: {FORGED!r}}}\n".replace("$FORGED", '"$$FORGED"')
    )
    done = hostile("test", "x.smoke.yaml", cwd=tmp_path)
    assert done.code in (1, 3) and b"Traceback" not in done.stderr, done
    assert (tmp_path / "taken").read_text().endswith("done\n")


@pytest.mark.rootless
@pytest.mark.parametrize("row", ["pre_start", "init"])
def test_an_ordinary_user_s_container_reads_nothing_at_all(
    second_user: Command, registry: Registry, taker: pathlib.Path, user_directory: Callable[[], pathlib.Path], row: str
) -> None:
    """Memory of a fork belongs to the user namespace of the host, where no container has a right."""
    _push(registry, taker)
    out = user_directory()
    (second_user.directory / "a.yaml").write_text(_spec(row, out))
    done = second_user("up", "a.yaml", env={"TOKEN": SECRET})
    assert done.code == 0, done
    assert {kind for kind, *_ in _taken(out)} <= {"command", "capabilities"}


@root
@pytest.mark.parametrize(("row", "rights"), [("pre_start", ""), ("init", ""), ("init after pre_start", "")])
def test_who_stands_by_has_no_more_rights_than_the_command(
    hostile: Command, tmp_path: pathlib.Path, row: str, rights: str
) -> None:
    """It loads the system call filter, which takes SYS_ADMIN, and could be made to use that."""
    (tmp_path / "a.yaml").write_text(_spec(row, tmp_path))
    assert hostile("up", "a.yaml", cwd=tmp_path).code == 0
    [[shown]] = [rest for kind, *rest in _taken(tmp_path) if kind == "capabilities"]
    words = ("run", "--cap-add", "SYS_PTRACE", "alpine", "grep", "CapEff", "/proc/self/status")
    assert shown == hostile(*words).stdout.decode().split()[1]


@root
def test_a_filter_that_forbids_to_give_up_rights_is_named(alpine: Command, tmp_path: pathlib.Path) -> None:
    profile = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_ERRNO"}]}'
    (tmp_path / "profile.json").write_text(profile)
    options = ("--security-opt", f"seccomp={tmp_path}/profile.json")
    assert alpine("run", *options, "alpine", "true") == Result(b"", b"", 0)
    done = alpine("run", "--init", *options, "alpine", "true")
    assert done.code == 125 and b"the system call filter forbids capset(2)" in done.stderr


@root
@pytest.mark.parametrize("options", [(), ("-u", "nobody"), ("--init",), ("--pid", "host"), ("--cap-drop", "ALL")])
def test_a_command_has_no_parent_death_signal(alpine: Command, options: tuple[str, ...]) -> None:
    """As with Docker: it would be killed when a thread of its parent's ends."""
    setpriv = shutil.which("setpriv")
    assert setpriv
    done = alpine("run", *options, "--rootfs", "/", setpriv, "--dump")
    assert b"Parent death signal: [none]" in done.stdout, done


@root
@pytest.mark.parametrize("options", [(), ("-u", "nobody"), ("--init",), ("--pid", "host")])
def test_and_is_killed_all_the_same(alpine: Command, options: tuple[str, ...]) -> None:
    mark = f"7{os.getpid()}{len(options)}{len(''.join(options))}"
    process = alpine.start("run", *options, "alpine", "sh", "-c", f"sleep {mark}; true")
    assert within(100, lambda: bool(mentioning(f"sleep\0{mark}")))
    process.kill()
    process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(mark))


@root
def test_a_healthcheck_shows_nothing_of_the_command_line(hostile: Command, tmp_path: pathlib.Path) -> None:
    """Whatever its container sees of processes that come into it."""
    watch = "cat /proc/[0-9]*/cmdline 2>/dev/null | grep -q smoke[.]yaml && touch /out/seen"
    server = f"while :; do {watch}; done"
    (tmp_path / "x.smoke.yaml").write_text(
        f"name: web\nimage: alpine\nvolumes: ['{tmp_path}:/out']\ncommand: [sh, -c, '{server}']\n"
        "healthcheck: {test: 'false', interval: 300ms, retries: 3}\n---\n"
        "name: test\nimage: alpine\ncommand: 'true'\ndepends_on: {web: {condition: service_healthy}}\n"
    )
    done = hostile("test", "x.smoke.yaml", cwd=tmp_path)
    assert b"which is not healthy (exit code 1)" in done.stdout, done
    assert not (tmp_path / "seen").exists()


@pytest.mark.parametrize("orphaned", [True, False])
def test_a_helper_keeps_nobody_waiting(orphaned: bool) -> None:
    """One whose parent was killed before it could ask for a signal has closed what others wait for, and ends."""
    reader, writer = os.pipe()
    others, kept = os.pipe()
    parent = 1 if orphaned else os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            settle(parent, (kept,))
            os.write(kept, b"still here")
            signal.pause()
        finally:
            os._exit(0)
    os.close(writer)
    os.close(kept)
    assert os.read(reader, 1) == b""
    assert os.read(others, 100) == (b"" if orphaned else b"still here")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(others)
