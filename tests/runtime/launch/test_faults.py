"""Faults and loads: many runs at once, endless output, sudden deaths, and a terminal that is not the container's."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest
from lab.command import Command, Result
from lab.processes import mentioning, within, within_a_second

pytestmark = pytest.mark.root


@pytest.fixture
def marker() -> str:
    return f"{time.monotonic_ns() % 10**8:08}"  # of seconds to sleep: more digits would overflow, and sleep end at once


def test_two_hundred_at_once(alpine: Command) -> None:
    """Each has its own layer, and nothing is left."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    words = ["run", "--network", "none", "alpine", "sh", "-c", "echo $$ > /only; cat /only"]
    assert alpine.at_once(*words, count=200) == [Result(b"1\n", b"", 0)] * 200
    assert os.listdir(alpine.store / "containers") == []
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts


def test_a_gigabyte_of_output(alpine: Command) -> None:
    """To the byte, and without passing through us: our memory stays what it was."""
    reader, writer = os.pipe()
    words = ("run", "alpine", "sh", "-c", "dd if=/dev/zero bs=1M count=1024 2>/dev/null")
    process = alpine.start(*words, stdout=writer)
    os.close(writer)
    total, most = 0, 0
    while data := os.read(reader, 1 << 20):
        total += len(data)
        if total % (1 << 26) < len(data):
            most = max(most, _peak_memory(process.pid))
    os.close(reader)
    assert process.communicate(timeout=120) == (None, b"")
    assert (total, process.returncode) == (1 << 30, 0)
    assert 0 < most < 40_000


def _peak_memory(process: int) -> int:
    """VmHWM in KiB; 0 once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("count", [1, 2])
def test_killed_whatever_the_user(alpine: Command, marker: str, user: str, count: int) -> None:
    """Changing the user clears the parent-death signal (prctl(2)); two mydockers do not get in each other's way."""
    script = f"setsid sleep 7{marker} & echo ready; sleep 8{marker}; true"
    started = [alpine.start("run", "-u", user, "alpine", "sh", "-c", script) for _ in range(count)]
    for process in started:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    for process in started:
        process.kill()
    for process in started:
        process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(marker))
    assert within_a_second(lambda: os.listdir(alpine.store / "containers") == [])


def test_killed_after_the_command_became_another_user(alpine: Command, marker: str) -> None:
    """The command itself changes its user, as su does: then only the cleanup process is left to end it."""
    script = f"echo ready; exec su -s /bin/sh nobody -c 'sleep 7{marker}; true'"
    process = alpine.start("run", "alpine", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    assert within(100, lambda: bool(mentioning(f"sleep\0007{marker}")))
    process.kill()
    process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(marker))
    assert within_a_second(lambda: os.listdir(alpine.store / "containers") == [])


def _cleanup_process(process: subprocess.Popen[bytes]) -> int:
    """The one child of PROCESS that is a fork of it."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    name = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
    [found] = [int(child) for child in children if pathlib.Path(f"/proc/{child}/cmdline").read_bytes() == name]
    return found


def test_a_living_container_is_left_to_its_cleanup_process(alpine: Command, marker: str) -> None:
    """Its mydocker is dead, and its cleanup process slow: nobody else takes its directory for one left behind."""
    script = f"echo ready; exec su -s /bin/sh nobody -c 'sleep 7{marker}; true'"
    process = alpine.start("run", "alpine", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    assert within(100, lambda: bool(mentioning(f"sleep\0007{marker}")))
    cleanup_process = _cleanup_process(process)
    os.kill(cleanup_process, signal.SIGSTOP)
    process.kill()
    process.wait(100)
    [directory] = os.listdir(alpine.store / "containers")
    try:
        assert alpine("run", "alpine", "true").code == alpine("prune").code == 0  # which sweep
        assert os.path.isdir(alpine.store / "containers" / directory / "scratch" / "upper")
    finally:
        os.kill(cleanup_process, signal.SIGCONT)
    process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(marker))
    assert within_a_second(lambda: os.listdir(alpine.store / "containers") == [])


def test_a_killed_cleanup_process_leaves_nothing_behind(alpine: Command) -> None:
    process = alpine.start("run", "-i", "alpine", "sh", "-c", "echo ready; read line; exit 7")
    assert process.stdout and process.stdout.readline() == b"ready\n"
    os.kill(_cleanup_process(process), signal.SIGKILL)
    out, error = process.communicate(b"go\n", timeout=120)
    assert (out, error, process.returncode) == (b"", b"", 7)
    assert os.listdir(alpine.store / "containers") == []


# of each kind of container, by what part of the time that a start takes has passed: the interpreter needs the first
# third, in which there is nothing to clean up yet
KILLS = [*(step / 9 for step in range(3)), *(1 / 3 + step / 36 for step in range(24))]


def _cgroups() -> set[str]:
    return {directory for directory, _, _ in os.walk("/sys/fs/cgroup") if "/mydocker-" in directory}


def _has_no_process(cgroup: str) -> bool:
    try:
        return not pathlib.Path(cgroup, "cgroup.procs").read_text()
    except OSError:  # gone meanwhile
        return False


def _kill_while_starting(mydocker: Command, marker: str, options: list[str]) -> None:
    """Kill a start at the moments KILLS, and see that within a second nothing is there that was not before."""
    words = ["run", *options, "alpine", "sleep", f"7{marker}"]
    assert mydocker("run", *options, "alpine", "true").code == 0  # pulls the image, compiles the filter
    cgroups, began = _cgroups(), time.monotonic()
    whole = mydocker.start("run", *options, "alpine", "true")
    whole.communicate(timeout=120)
    takes = time.monotonic() - began
    assert whole.returncode == 0
    for passed in KILLS:
        process = mydocker.start(*words)
        time.sleep(takes * passed)
        process.kill()
        process.communicate(timeout=120)
    assert within_a_second(lambda: not mentioning(marker))
    assert within_a_second(lambda: os.listdir(mydocker.store / "containers") == [])
    new = _cgroups() - cgroups  # those of other tests' containers as well, which are empty for a moment only
    assert within_a_second(lambda: not any(_has_no_process(cgroup) for cgroup in new))


@pytest.mark.parametrize(
    "options",
    [
        *("", "--init", "-t", "-u nobody", "--memory 64m -u nobody", "--pid host --pids-limit 50", "--pid host"),
        *("--uidmap 0:700000:70000", "--uidmap 0:700000:5000 --pid host"),
    ],
)
def test_killed_at_any_moment_of_a_start(alpine: Command, marker: str, options: str) -> None:
    """From its first instruction on: what there is to clean up is always somebody's to clean up."""
    _kill_while_starting(alpine, marker, options.split())


@pytest.mark.rootless
@pytest.mark.parametrize("options", ["", "--pid host"])
def test_an_ordinary_user_s_start_killed_at_any_moment(second_user: Command, marker: str, options: str) -> None:
    _kill_while_starting(second_user, marker, options.split())


def _on_a_terminal(words: list[str], environment: dict[str, str]) -> tuple[bytes, bytes]:
    """What WORDS print, run by a session whose controlling terminal is their standard input."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        words,
        env=environment,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    printed = process.communicate(timeout=120)
    os.close(master)
    return printed


def test_what_is_typed_for_us_cannot_come_from_inside(alpine: Command) -> None:
    """TIOCSTI (CVE-2016-2568 and its kin): a container without -t has no descriptor of the caller's terminal."""
    words = alpine.argv("run", "-i", "alpine", "sh", "-c", "test -t 0 || echo none; : > /dev/tty")
    out, error = _on_a_terminal(words, dict(alpine.environment))
    assert out == b"none\n"
    assert b"/dev/tty: No such device or address" in error  # ENXIO: there is no controlling terminal


@pytest.mark.parametrize("options", [[], ["-u", "nobody"], ["--security-opt", "seccomp=unconfined"]])
def test_the_kernel_types_nothing_for_a_container(alpine: Command, ask: pathlib.Path, options: list[str]) -> None:
    legacy = pathlib.Path("/proc/sys/dev/tty/legacy_tiocsti")  # Linux 6.2: off, nobody may
    allowed = not legacy.exists() or legacy.read_text() == "1\n"
    assert (_on_a_terminal([str(ask), "tiocsti"], {})[0] == b"ok\n") == allowed
    words = alpine.argv("run", "-i", *options, "-v", f"{ask}:/ask", "alpine", "/ask", "tiocsti")
    assert _on_a_terminal(words, dict(alpine.environment)) == (b"Inappropriate ioctl for device\n", b"")


PRELOADED = '#include <unistd.h>\n__attribute__((constructor)) void load(void) { write(2, "loaded\\n", 7); }\n'


def test_what_the_caller_loads_is_not_loaded_inside(alpine: Command, tmp_path: pathlib.Path) -> None:
    """LD_PRELOAD and PYTHONPATH act on us, as on any program, and not on the command, though it could load them too."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stderr.write('customized\\n')\n")
    library = tmp_path / "loaded.so"
    compiler = ["gcc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(compiler, input=PRELOADED.encode(), check=True)
    env = {"LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    python = os.path.realpath(sys.executable)
    inside = f"env | grep -E '^(LD_|PYTHON)'; /usr/bin/env true; {python} -c 'print(1)'"
    done = alpine("run", "--rootfs", "/", "sh", "-c", inside, env={**env, "PYTHONSTARTUP": "/x"})
    assert done == Result(b"1\n", b"loaded\ncustomized\n", 0)
