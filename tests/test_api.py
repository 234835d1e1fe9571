"""The Python API: real containers from a program, also one with threads, and what it raises."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lab.command import Command

import mydocker

root = pytest.mark.root


@pytest.fixture(autouse=True)
def environment(alpine: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in alpine.environment.items():
        monkeypatch.setenv(name, value)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until CONDITION holds, for as long as a test may take."""
    while not condition():
        time.sleep(0.01)


# (words, keys, what is to be seen of the outcome)
RUNS: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (("echo", "hello"), {}, {"exit_code": 0, "stdout": "hello\n", "stderr": "", "status": 0}),
    (("sh", "-c", "echo no >&2; exit 3"), {}, {"exit_code": 3, "stdout": "", "stderr": "no\n"}),
    ((), {"command": "echo 'a b'"}, {"stdout": "a b\n"}),
    ((), {"command": ["echo"], "args": ["a", "b"]}, {"stdout": "a b\n"}),
    ((), {"entrypoint": ["echo"], "command": ["x"]}, {"stdout": "x\n"}),
    (("sh", "-c", "echo $A $B"), {"environment": {"A": "$A${B}", "B": 1}}, {"stdout": "$A${B} 1\n"}),
    (("sh", "-c", "echo $A"), {"environment": ["A=b"], "user": None}, {"stdout": "b\n"}),
    (("cat",), {"stdin": "text\n"}, {"stdout": "text\n"}),
    (("cat",), {}, {"stdout": ""}),
    (("id", "-u"), {"user": 8}, {"stdout": "8\n"}),
    (("cat", "/m/in"), {"volumes": ["./m:/m:ro"]}, {"stdout": "mounted\n"}),
    (("cat", "/m/in"), {"volumes": [{"type": "bind", "source": "m", "target": "/m"}]}, {"stdout": "mounted\n"}),
    (("sh", "-c", "kill -9 $$"), {"pid": "host"}, {"exit_code": None, "signal": 9, "status": 137}),
    (("sleep", "60"), {"timeout": 0.2, "stop_grace_period": "100ms"}, {"timed_out": True, "status": 124}),
    (("printf", r"\377\n"), {}, {"stdout": "\udcff\n"}),
    (("sh", "-c", "yes | head -c 9000000"), {}, {"stdout": "y\n" * 4_500_000}),
    (("true",), {"read_only": True, "init": False, "cap_drop": ["ALL"], "ulimits": {"nofile": 64}}, {"exit_code": 0}),
    (("tty",), {"tty": True}, {"stdout": "/dev/pts/0\r\n"}),
]


@root
@pytest.mark.parametrize(("words", "keys", "seen"), RUNS)
def test_a_run_and_its_outcome(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    keys: dict[str, Any],
    seen: dict[str, Any],
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "in").write_text("mounted\n")
    monkeypatch.chdir(tmp_path)
    outcome = mydocker.run("alpine", *words, **keys)
    assert isinstance(outcome, mydocker.Outcome)
    assert {name: getattr(outcome, name) for name in seen} == seen
    assert outcome.wall > 0 and outcome.max_rss > 0


# (image, words, keys, what is raised, its message or the beginning of it)
REFUSALS: list[tuple[Any, tuple[str, ...], dict[str, Any], type[mydocker.MydockerError], str]] = [
    ("alpine", ("nonesuch",), {}, mydocker.CommandNotFoundError, "'nonesuch': executable file not found"),
    ("alpine", ("/etc",), {}, mydocker.CommandNotExecutableError, "/etc"),
    ("alpine", ("true",), {"user": "nonesuch"}, mydocker.LaunchError, ""),
    ("nonesuch", (), {"pull_policy": "never"}, mydocker.ImageNotFoundError, "image nonesuch:latest for linux/"),
    ("nonesuch.invalid/x", (), {}, mydocker.RegistryError, "registry nonesuch.invalid"),
    ("Alpine", (), {}, mydocker.SpecError, "image: invalid image reference 'Alpine'"),
    (None, ("true",), {}, mydocker.SpecError, "no image: one of image and rootfs is needed"),
    ("alpine", (), {"timout": 3}, mydocker.SpecError, "timout: unknown key 'timout'; did you mean 'timeout'?"),
    ("alpine", (), {"timeout": "x", "tty": 3}, mydocker.SpecError, "timeout: duration 'x': want"),
    ("alpine", (), {"timeout": [1]}, mydocker.SpecError, "timeout: want text, not a list"),
    ("alpine", (), {"user": b"root"}, mydocker.UsageError, "user: want text, a number, True or False"),
    ("alpine", (), {"expect": {"exit_code": 3}}, mydocker.SpecError, "expect: is for files"),
    ("alpine", (), {"depends_on": ["a"]}, mydocker.SpecError, "depends_on: is for files"),
    ("alpine", ("a\0b",), {}, mydocker.UsageError, "command: a NUL character cannot be part of any value"),
    ("alpine", ("a",), {"command": "b"}, mydocker.UsageError, "the command is given twice"),
    (mydocker.ContainerSpec(), ("a",), {}, mydocker.UsageError, "a loaded spec says everything"),
]


@root
@pytest.mark.parametrize(("image", "words", "keys", "kind", "message"), REFUSALS)
def test_what_goes_wrong_is_raised(
    image: Any, words: tuple[str, ...], keys: dict[str, Any], kind: type[mydocker.MydockerError], message: str
) -> None:
    with pytest.raises(mydocker.MydockerError) as caught:
        mydocker.run(image, *words, **keys)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(message)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(mydocker.SpecError) as caught:
        mydocker.run("Alpine", **{"timeout": "x", "tty": 3})  # type: ignore[arg-type]  # a program without a type checker
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["image", "timeout", "tty"]


@root
def test_loaded_specs(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "image: alpine\ncommand: [echo, one]\nexpect: {exit_code: 7}\n---\nimage: alpine\ncommand: echo 2\n"
    )
    specs = mydocker.load(file, str(file))
    assert [spec.origin for spec in specs] == [f"{file}:1", f"{file}:5"] * 2
    assert [mydocker.run(spec).stdout for spec in specs[:2]] == ["one\n", "2\n"]
    assert mydocker.run(specs[0].replace(command=("echo", "other"))).stdout == "other\n"
    file.write_text("image: alpine\nimge: x\n---\ntimeout: x\n")
    with pytest.raises(mydocker.SpecError) as caught:
        mydocker.load(file)
    assert len(caught.value.problems) == 3
    assert caught.value.problems[0].startswith(f"{file}:2:1: unknown key 'imge'")


def test_the_names_are_loaded_when_they_are_used() -> None:
    code = "import sys, mydocker; a = set(sys.modules); mydocker.MydockerError; b = set(sys.modules); mydocker.run\n"
    code += "print(*(name for name in b - a if 'mydocker' in name), 'mydocker.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("mydocker.errors True\n", "")
    assert set(mydocker.__all__) <= set(dir(mydocker))
    assert all(getattr(mydocker, name) for name in mydocker.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonesuch'"):
        mydocker.nonesuch  # type: ignore[attr-defined]  # noqa: B018  # there is none


@root
def test_many_threads_at_once(alpine: Command) -> None:
    """While another thread holds a lock that a fork of us would inherit locked, for ever."""
    held, done = threading.Lock(), threading.Event()

    def hold() -> None:
        with held, contextlib.suppress(KeyError):
            done.wait()

    os.register_at_fork(after_in_child=lambda: held.acquire() if not done.is_set() else None)
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda n: mydocker.run("alpine", "echo", str(n)), range(16)))
    finally:
        done.set()
        holder.join()
    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n" for n in range(16)]
    assert os.listdir(alpine.store / "containers") == []


PROGRAM = """
import os, signal, sys, time
import mydocker
os.dup2(1, 9, inheritable=True)  # what a container must not get
def children():
    # one that nobody waits for is listed for a moment longer than its pidfd says that it has ended
    until = time.monotonic() + 30
    while (found := open(f"/proc/self/task/{os.getpid()}/children").read()) and time.monotonic() < until:
        time.sleep(0.01)
    return found
try:
    print(mydocker.run("alpine", *sys.argv[1:], capture=False, stdin_open=True).status, flush=True)
except BaseException as error:
    print(type(error).__name__, children(), flush=True)
"""


@root
def test_streams_that_are_passed_on() -> None:
    script = "cat; echo err >&2; ls /proc/self/fd"
    done = subprocess.run([sys.executable, "-c", PROGRAM, "sh", "-c", script], input=b"in\n", capture_output=True)
    assert (done.stdout, done.stderr) == (b"in\n0\n1\n2\n3\n0\n", b"err\n")  # 3 is the directory that ls lists


@root
@pytest.mark.parametrize("way", ["interrupted", "killed", "children are not waited for"])
def test_a_program_that_ends_takes_its_container_along(alpine: Command, way: str) -> None:
    mark = f"35{os.getpid()}"
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)} if "children" in way else {}
    command = ["sh", "-c", f"echo begun; sleep {mark}"]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *command], stdout=subprocess.PIPE, **ignoring)  # type: ignore[call-overload]  # one option
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGKILL if way == "killed" else signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert said == (b"" if way == "killed" else b"KeyboardInterrupt \n")
    wait_for(lambda: not os.listdir(alpine.store / "containers"))
    assert [path for path in pathlib.Path("/proc").glob("[0-9]*") if mark in _words(path)] == []


def _words(process: pathlib.Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().split("\0")
    except OSError:  # it has just ended
        return []


@root
def test_modules_beside_the_program_are_not_taken_for_the_standard_library(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "x.py").write_text("import mydocker, sys\nprint(mydocker.run('alpine', 'echo', 'fine').stdout)\n")
    program = "import sys, pickle; sys.path.insert(0, '.'); import x"
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fine\n\n", "")


@root
def test_the_worker_is_told_apart_from_any_child(alpine: Command) -> None:
    """Nothing of it is left for the program to wait for, and no descriptor is open that was not before."""
    before = os.listdir("/proc/self/fd")
    mydocker.run("alpine", "true")
    with pytest.raises(mydocker.CommandNotFoundError):
        mydocker.run("alpine", "nonesuch")
    assert os.listdir("/proc/self/fd") == before


@root
def test_the_example() -> None:
    program = pathlib.Path(__file__).parent.parent / "examples" / "from_python.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        r"exit code 3, stdout 'hello\n', stderr 'oops\n'",
        "timed out",
        "not run: 'nonesuch': executable file not found in the container's $PATH",
        "squares: 1 4 9 16",
    ]
