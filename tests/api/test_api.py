"""The Python API: real containers from a program, also one with threads, and what it raises."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import pytest
from lab.command import Command
from lab.places import ROOT
from lab.processes import sleeping
from lab.registry import Registry

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


@root
def test_all_of_a_large_output(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, seen = ("sh", "-c", "yes | head -c 9000000"), {"stdout": "y\n" * 4_500_000}
    test_a_run_and_its_outcome(tmp_path, monkeypatch, words, {}, seen)


# (image, words, keys, what is raised, its message or the beginning of it)
REFUSALS: list[tuple[Any, tuple[str, ...], dict[str, Any], type[mydocker.MydockerError], str]] = [
    ("alpine", ("nonesuch",), {}, mydocker.CommandNotFoundError, "'nonesuch': executable file not found"),
    ("alpine", ("/etc",), {}, mydocker.CommandNotExecutableError, "/etc"),
    ("alpine", ("true",), {"user": "nonesuch"}, mydocker.LaunchError, ""),
    ("nonesuch", (), {"pull_policy": "never"}, mydocker.ImageNotFoundError, "image nonesuch:latest for linux/"),
    (
        "nonesuch.invalid/x",
        (),
        {},
        mydocker.RegistryError,
        "image nonesuch.invalid/x:latest: registry nonesuch.invalid",
    ),
    ("Alpine", (), {}, mydocker.SpecError, "image: invalid image reference 'Alpine'"),
    (None, ("true",), {}, mydocker.SpecError, "no image: one of image and rootfs is needed"),
    (
        "alpine",
        (),
        {"timout": 3},
        mydocker.UnknownArgumentError,
        "timout: unknown key 'timout'; did you mean 'timeout'?",
    ),
    ("alpine", (), {"timeout": "x", "tty": 3}, mydocker.SpecError, "timeout: duration 'x': expected"),
    ("alpine", (), {"timeout": [1]}, mydocker.SpecError, "timeout: expected text, not a list"),
    ("alpine", (), {"user": b"root"}, mydocker.ArgumentTypeError, "user: expected text, a number, True or False"),
    ("alpine", (), {"expect": {"exit_code": 3}}, mydocker.SpecError, "expect: is for files"),
    ("alpine", (), {"depends_on": ["a"]}, mydocker.SpecError, "depends_on: is for files"),
    ("alpine", ("a\0b",), {}, mydocker.UsageError, "command: a NUL character cannot be part of any value"),
    ("alpine", ("a",), {"command": "b"}, mydocker.UsageError, "the command is set twice"),
    (mydocker.ContainerSpec(), ("a",), {}, mydocker.UsageError, "a loaded spec is complete"),
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
    assert [str(spec.origin) for spec in specs] == [f"{file}:1", f"{file}:5"] * 2
    assert [mydocker.run(spec).stdout for spec in specs[:2]] == ["one\n", "2\n"]
    assert mydocker.run(specs[0].replace(command=("echo", "other"))).stdout == "other\n"
    file.write_text("image: alpine\nimge: x\n---\ntimeout: x\n")
    with pytest.raises(mydocker.SpecError) as caught:
        mydocker.load(file)
    assert len(caught.value.problems) == 3
    assert caught.value.problems[0].startswith(f"{file}:2:1: unknown key 'imge'")


def test_the_names_are_loaded_when_they_are_used() -> None:
    code = "import sys, mydocker; a = set(sys.modules); mydocker.MydockerError; b = set(sys.modules); mydocker.run\n"
    code += "print(*sorted(name for name in b - a if 'mydocker' in name), 'mydocker.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("mydocker.errors mydocker.record True\n", "")
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
    until = time.monotonic() + 240
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
    said = process.communicate(timeout=240)[0]
    assert said == (b"" if way == "killed" else b"KeyboardInterrupt \n")
    wait_for(lambda: not os.listdir(alpine.store / "containers"))
    assert [path for path in pathlib.Path("/proc").glob("[0-9]*") if mark in _words(path)] == []


def _words(process: pathlib.Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().split("\0")
    except OSError:  # it has just ended
        return []


@root
def test_modules_next_to_the_program_do_not_hide_the_standard_library(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "x.py").write_text("import mydocker, sys\nprint(mydocker.run('alpine', 'echo', 'fine').stdout)\n")
    program = "import sys, pickle; sys.path.insert(0, '.'); import x"
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("fine\n\n", "")


@root
def test_the_worker_is_distinguished_from_other_children(alpine: Command) -> None:
    """Nothing of it is left for the program to wait for, and no descriptor is open that was not before."""
    gc.collect()  # of what other tests have left open
    before = os.listdir("/proc/self/fd")
    mydocker.run("alpine", "true")
    with pytest.raises(mydocker.CommandNotFoundError):
        mydocker.run("alpine", "nonesuch")
    assert os.listdir("/proc/self/fd") == before


# what is passed as the command, and what the container prints
COMMANDS: list[tuple[Any, str]] = [
    ((["echo", "a b", "c"],), "a b c\n"),
    ((("echo", "x"),), "x\n"),
    ((iter(["echo", "x"]),), "x\n"),
    (([pathlib.Path("/bin/echo"), "x"],), "x\n"),
    ((pathlib.Path("/bin/echo"), "x"), "x\n"),
]


@root
@pytest.mark.parametrize(("words", "printed"), COMMANDS)
def test_a_command_as_words_or_as_a_list(words: Any, printed: str) -> None:
    assert mydocker.run("alpine", *words).stdout == printed


@root
@pytest.mark.parametrize("words", [(3,), (["echo", 3],), (["echo", ["x"]],), (b"echo",), ("echo", ["x"])])
def test_a_word_that_is_none(words: Any) -> None:
    with pytest.raises(TypeError, match="a word of the command is expected to be a str or a path"):
        mydocker.run("alpine", *words)


@root
@pytest.mark.parametrize(
    "input", ["text\n", b"text\n", b"\0\xff\n" * 100_000, ""], ids=["text", "bytes", "many bytes", "nothing"]
)
def test_input_and_outputs_as_bytes(input: str | bytes) -> None:
    outcome = mydocker.run("alpine", ["sh", "-c", "tee /dev/stderr"], input=input, text=False)
    raw = input.encode() if isinstance(input, str) else input
    assert (outcome.stdout, outcome.stderr) == (raw, raw)


# how the texts of a run are encoded, and what comes of UTF-8, Latin-1 and what is neither
ENCODINGS: list[tuple[dict[str, Any], Any]] = [
    ({}, "é\udce9"),
    ({"text": False}, b"\xc3\xa9\xe9"),
    ({"encoding": "latin-1"}, "Ã©é"),
    ({"errors": "replace"}, "é\ufffd"),
    ({"encoding": "ascii", "errors": "ignore"}, ""),
]


@root
@pytest.mark.parametrize(("keys", "printed"), ENCODINGS)
def test_encodings(keys: dict[str, Any], printed: str | bytes) -> None:
    command = ["printf", r"\303\251\351"]
    assert mydocker.run("alpine", command, **keys).stdout == printed
    assert asyncio.run(mydocker.run_async("alpine", command, **keys)).stdout == printed


@root
def test_the_encoding_of_input() -> None:
    assert mydocker.run("alpine", ["cat"], input="é", encoding="latin-1").stdout == "é"
    assert mydocker.run("alpine", ["wc", "-c"], input="é", encoding="utf-16-le").stdout.encode("utf-16-le") == b"2\n"
    assert mydocker.run("alpine", ["cat"], input=bytearray(b"x")).stdout == "x"
    with pytest.raises(UnicodeDecodeError):
        mydocker.run("alpine", ["printf", r"\351"], encoding="utf-8")


# a call that cannot be meant, what it raises, and the message
MISTAKES: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda x: x.run(3), TypeError, "image: expected a str, a ContainerSpec or None, not int"),
    (lambda x: x.run(b"alpine"), TypeError, "image: expected a str, a ContainerSpec or None, not bytes"),
    (lambda x: x.run(["alpine", "ls"]), TypeError, "image: expected a str, a ContainerSpec or None, not list"),
    (lambda x: x.run("alpine", {"ls": 1}), TypeError, "a word of the command is expected to be a str or a path"),
    (lambda x: x.run("alpine", {"ls"}), TypeError, "a word of the command is expected to be a str or a path"),
    (lambda x: x.run("alpine", ["ls", "\ud800"]), mydocker.UsageError, "command: half of a surrogate pair"),
    (lambda x: x.run("alpine", user=b"x"), TypeError, "user: expected text, a number"),
    (lambda x: x.run("alpine", env={}), TypeError, "env: unknown key 'env'; did you mean 'environment'"),
    (lambda x: x.run("alpine", timout=3), mydocker.SpecError, "timout: unknown key"),
    (lambda x: x.run("alpine", check="yes"), TypeError, "check: expected True or False, not str"),
    (lambda x: x.run("alpine", capture=None), TypeError, "capture: expected True or False, not NoneType"),
    (lambda x: x.run("alpine", text=1), TypeError, "text: expected True or False, not int"),
    (lambda x: x.run("alpine", input=3), TypeError, "input: expected a str or bytes, not int"),
    (lambda x: x.run("alpine", input="\ud800"), mydocker.UsageError, "input: surrogates not allowed"),
    (lambda x: x.run("alpine", input="é", encoding="ascii"), mydocker.UsageError, "input: ordinal not in range"),
    (lambda x: x.run("alpine", encoding="nonesuch"), mydocker.UsageError, "unknown encoding: nonesuch"),
    (lambda x: x.run("alpine", errors="nonesuch"), mydocker.UsageError, "unknown error handler name 'nonesuch'"),
    (lambda x: x.run("alpine", encoding=3), TypeError, "encoding: expected a str or None, not int"),
    (lambda x: x.run("alpine", text=False, errors="strict"), mydocker.UsageError, "text=False returns bytes"),
    (lambda x: asyncio.run(x.run_async("alpine", check=3)), TypeError, "check: expected True or False, not int"),
    (lambda x: x.pull(3), TypeError, "name: expected a str, not int"),
    (lambda x: x.pull("alpine", platform=3), TypeError, "platform: expected a str or None, not int"),
    (lambda x: x.load(3), TypeError, "expected a path, not int"),
    (lambda x: x.test(3), TypeError, "paths: expected a path or a list of them, not int"),
    (lambda x: x.test(b"x"), TypeError, "paths: expected a path or a list of them, not bytes"),
    (lambda x: x.test(".", jobs="4"), TypeError, "jobs: expected an int or None, not str"),
    (lambda x: x.test(".", jobs=True), TypeError, "jobs: expected an int or None, not bool"),
    (lambda x: x.test(".", jobs=0), mydocker.UsageError, "jobs: expected 1 or more, not 0"),
    (lambda x: x.test(".", tags=["a"]), TypeError, "tags: expected a str or None, not list"),
    (lambda x: x.test(".", timeout=-1), mydocker.UsageError, "duration '-1'"),
    (lambda x: x.test(".", job=3), TypeError, "unexpected keyword argument 'job'"),
    (lambda x: x.test([], check=True), mydocker.BatchError, "there is nothing to test"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES)
def test_a_mistake_is_reported_before_anything_runs(
    call: Callable[[Any], object],
    kind: type[Exception],
    message: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        call(mydocker)
    assert isinstance(caught.value, TypeError) == (kind is TypeError or "unknown key" in message)


@root
def test_what_can_be_read_once() -> None:
    outcome = mydocker.run("alpine", (x for x in ["env"]), environment=(f"A{x}={x}" for x in "bc"))  # type: ignore[arg-type]
    assert "Ab=b\nAc=c\n" in outcome.stdout


@root
def test_types() -> None:
    """mypy compares them, as for a program that uses mydocker."""
    flag = bool(os.environ)
    assert_type(mydocker.run("alpine", ["true"]), mydocker.Outcome)
    assert_type(mydocker.run("alpine", "true", text=True, encoding="utf-8"), mydocker.Outcome)
    assert_type(mydocker.run("alpine", pathlib.Path("/bin/true"), text=False), mydocker.BytesOutcome)
    assert_type(mydocker.run("alpine", ["true"], text=flag), mydocker.Outcome | mydocker.BytesOutcome)
    assert_type(asyncio.run(mydocker.run_async("alpine", ["true"], timeout=10)), mydocker.Outcome)
    assert_type(asyncio.run(mydocker.run_async("alpine", ["true"], text=False)), mydocker.BytesOutcome)
    assert_type(mydocker.run("alpine", ["true"], check=True).check().stdout, str)
    assert_type(mydocker.run("alpine", ["true"], text=False).check().stdout, bytes)


def test_input_is_set_once() -> None:
    for keys in ({"stdin": "x"}, {"stdin_open": True}):
        with pytest.raises(mydocker.UsageError, match="the standard input is set twice"):
            mydocker.run("alpine", "cat", input="x", **keys)  # type: ignore[call-overload]  # one of two


@root
@pytest.mark.parametrize(
    ("script", "keys", "code", "message"),
    [
        ("echo out; echo why >&2; exit 3", {}, 3, "the container's command ended with exit code 3\nwhy"),
        ("kill -9 $$", {"pid": "host"}, 137, "the container's command was killed by signal 9"),
        ("sleep 60", {"timeout": 0.2, "stop_grace_period": 0.1}, 124, "the container timed out"),
        ("seq 100 >&2; exit 1", {}, 1, "the container's command ended with exit code 1\n91\n92"),
    ],
)
@pytest.mark.parametrize("text", [True, False])
def test_a_failure_that_is_checked(script: str, keys: Any, code: int, message: str, text: bool) -> None:
    with pytest.raises(mydocker.ContainerError) as caught:
        mydocker.run("alpine", ["sh", "-c", script], check=True, text=text, **keys)
    error = caught.value
    assert isinstance(error, mydocker.MydockerError)
    assert (error.exit_code, error.outcome.status) == (code, code)
    assert str(error).startswith(message)
    assert (error.stdout, error.stderr) == (error.outcome.stdout, error.outcome.stderr)
    assert mydocker.run("alpine", "echo", "fine", check=True).stdout == "fine\n"


def test_an_error_says_its_hint_also_when_it_was_pickled() -> None:
    with pytest.raises(mydocker.UsageError) as caught:
        mydocker.run(mydocker.ContainerSpec(), "a")
    assert str(caught.value).endswith("\nsee spec.replace()")
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (str(again), again.hint, type(again)) == (str(caught.value), caught.value.hint, mydocker.UsageError)


@root
def test_a_pull(mydocker_store: Command, registry: Registry) -> None:
    image = mydocker.pull("alpine")
    assert (image.name, image.digest[:7]) == ("alpine:latest", "sha256:")
    assert b"alpine" in mydocker_store("images").stdout
    with pytest.raises(mydocker.ImageNotFoundError, match="nonesuch"):
        mydocker.pull("library/nonesuch")
    with pytest.raises(mydocker.UsageError):
        mydocker.pull("UPPER")
    with pytest.raises(mydocker.ImageNotFoundError, match="no image for platform linux/x"):
        mydocker.pull("alpine", platform="x")
    with ThreadPoolExecutor(4) as pool:
        assert {each.digest for each in pool.map(mydocker.pull, ["alpine"] * 4)} == {image.digest}


@pytest.fixture
def mydocker_store(mydocker: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """With an empty store, which is this program's as well."""
    for name, value in mydocker.environment.items():
        monkeypatch.setenv(name, value)
    return mydocker


CASES = (
    "name: good\nimage: alpine\ncommand: echo hi\nexpect: {stdout: [hi]}\ntags: [quick]\n---\n"
    "name: bad\nimage: alpine\ncommand: echo ho\nexpect: {stdout: [hi]}\n---\n"
    "name: none\nimage: alpine\nskip: not today\n---\nname: late\nimage: alpine\ncommand: nonesuch\n"
)


@root
def test_a_batch(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.smoke.yaml").write_text(CASES)
    result = mydocker.test(tmp_path)
    assert [(case.name, case.verdict) for case in result.cases] == [
        ("good", "passed"),
        ("bad", "failed"),
        ("none", "skipped"),
        ("late", "error"),
    ]
    assert (result.passed, result.counts["passed"], result.counts["failed"]) == (False, 1, 1)
    good, bad, none, late = result.cases
    assert (good.stdout, good.file, good.line, bad.line) == ("hi\n", str(tmp_path / "a.smoke.yaml"), 1, 7)
    assert [(each.about, each.place) for each in bad.failures] == [
        ("stdout", f"{good.file}:10:19")
    ] and not good.failures
    assert "ho" in bad.text and none.reason == "not today" and "nonesuch" in late.reason
    with pytest.raises(mydocker.BatchError, match=r"2 of 4 cases did not pass(.|\n)*FAILED +bad") as caught:
        mydocker.test([str(tmp_path)], check=True)
    assert caught.value.result.counts == result.counts
    chosen = [mydocker.test(tmp_path, tags="quick"), mydocker.test(tmp_path, keyword="good", check=True, jobs=1)]
    assert [[case.name for case in each.cases] for each in chosen] == [["good"], ["good"]]
    with pytest.raises(mydocker.UsageError):
        mydocker.test(tmp_path / "nonesuch")


@root
def test_a_cancelled_task_ends_its_container(alpine: Command) -> None:
    mark = f"36{os.getpid()}"

    async def work() -> list[str]:
        outcomes = await asyncio.gather(*(mydocker.run_async("alpine", ["echo", str(n)]) for n in range(3)))
        task = asyncio.create_task(mydocker.run_async("alpine", ["sleep", mark]))
        while not sleeping(mark):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not sleeping(mark)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mydocker.run_async("alpine", ["sleep", mark]), timeout=1)
        assert not sleeping(mark)
        with pytest.raises(mydocker.ContainerError):
            await mydocker.run_async("alpine", "false", check=True)
        return [outcome.stdout for outcome in outcomes]

    gc.collect()  # of what other tests have left open
    before = os.listdir("/proc/self/fd")
    assert asyncio.run(work()) == ["0\n", "1\n", "2\n"]
    assert os.listdir("/proc/self/fd") == before
    assert os.listdir(alpine.store / "containers") == []


@root
def test_a_task_that_is_cancelled_again_ends_its_container_first(
    alpine: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a time-out within a program that is interrupted does."""
    mark = f"37{os.getpid()}"

    async def work() -> None:
        for _ in range(3):
            task = asyncio.create_task(mydocker.run_async("alpine", ["sleep", mark]))
            while not sleeping(mark):
                await asyncio.sleep(0.01)
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not sleeping(mark)

    gc.collect()  # of what other tests have left open
    before = os.listdir("/proc/self/fd")
    asyncio.run(work())
    gc.collect()
    assert capfd.readouterr().err == ""
    assert os.listdir("/proc/self/fd") == before


@root
def test_a_task_that_waits_for_a_thread_is_cancelled_at_once(alpine: Command) -> None:
    mark = f"38{os.getpid()}"

    async def work() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        running = asyncio.create_task(mydocker.run_async("alpine", ["sleep", mark]))
        while not sleeping(mark):
            await asyncio.sleep(0.01)
        queued = asyncio.create_task(mydocker.run_async("alpine", "true"))
        await asyncio.sleep(0)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        assert sleeping(mark)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    gc.collect()  # of what other tests have left open
    before = os.listdir("/proc/self/fd")
    asyncio.run(work())
    assert os.listdir("/proc/self/fd") == before


@root
def test_tasks_have_threads_of_their_own(alpine: Command) -> None:
    """More than the executor of a loop has; one that is cancelled, even twice, waits for no other."""
    mark = f"37{os.getpid()}"
    usual = min(32, (os.cpu_count() or 1) + 4)  # as ThreadPoolExecutor has it

    async def work() -> None:
        tasks = [asyncio.create_task(mydocker.run_async("alpine", ["sleep", mark])) for _ in range(usual + 3)]
        while len(sleeping(mark)) < len(tasks):
            await asyncio.sleep(0.05)
        tasks[-1].cancel()
        await asyncio.sleep(0)
        tasks[-1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[-1]
        assert len(sleeping(mark)) == len(tasks) - 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not sleeping(mark)

    gc.collect()  # of what other tests have left open
    before = os.listdir("/proc/self/fd")
    asyncio.run(work())
    assert os.listdir("/proc/self/fd") == before
    assert os.listdir(alpine.store / "containers") == []


@root
@pytest.mark.parametrize(
    "call",
    [
        "mydocker.run('alpine', ['sleep', '{}'])",
        "asyncio.run(mydocker.run_async('alpine', ['sleep', '{}']))",
        "mydocker.test('x.smoke.yaml')",
    ],
)
def test_an_interrupt_ends_the_container(alpine: Command, tmp_path: pathlib.Path, call: str) -> None:
    mark = f"38{os.getpid()}"
    (tmp_path / "x.smoke.yaml").write_text(f"image: alpine\ncommand: [sleep, '{mark}']\n")
    code = f"import asyncio, mydocker\ntry: {call.format(mark)}\nexcept KeyboardInterrupt: print('interrupted')"
    environment = {**os.environ, **alpine.environment}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    wait_for(lambda: bool(sleeping(mark)))
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=240) == (b"interrupted\n", None)
    assert not sleeping(mark)
    assert os.listdir(alpine.store / "containers") == []


@root
def test_the_example() -> None:
    program = ROOT / "examples" / "from_python.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        r"exit code 3, stdout 'hello\n', stderr 'oops\n'",
        "timed out",
        "not run: 'nonesuch': executable file not found in the container's $PATH",
        "failed with 4: what it reads",
        "squares: 1 4 9 16",
    ]
