"""Results, reports, specs and archives that go to `/dev/stdout` and its like: the caller's open file, as it is.

Opened by its name, it would be another open file: over what is there already, or not at all (proc(5)).
"""

from __future__ import annotations

import os
import pathlib
import shlex
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

SPEC = "{image: alpine, command: [echo, said]}"
# what writes to FILE, and some of what it writes
WRITERS = {
    "a result": ("run --result FILE alpine echo said", b'"exit_code": 0'),
    "the results of several": ("up --result FILE s.yaml", b'"exit_code": 0'),
    **{
        f"a report as {format}": (f"test --report {format}=FILE s.yaml", text)
        for format, text in {
            "text": b"1 passed",
            "tap": b"1..1",
            "junit": b"<testsuite",
            "json": b'"version": 1',
            "jsonl": b'"verdict": "passed"',
            "html": b"<!doctype html>",
            "markdown": b"1 passed",
        }.items()
    },
    "a spec": ("record -o FILE alpine echo said", b"recorded by"),
    "a lock file": ("lock --lock-file FILE s.yaml", b'"version": 1'),
    "an archive": ("save -o FILE alpine", b"oci-layout"),
}
NAMES = ["/dev/stdout", "/dev/fd/3", "/dev/fd/1", "/proc/self/fd/3", "link"]
# one of each place that opens a file; what the others hand to the same places differs in the descriptor at most
EACH_NAME = ("a result", "a report as json", "a spec", "a lock file", "an archive")
PAIRS = [(writer, name) for writer in WRITERS for name in (NAMES if writer in EACH_NAME else NAMES[:2])]


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "s.yaml").write_text(SPEC)
    (tmp_path / "link").symlink_to("/dev/stdout")
    return tmp_path


def _shell(command: Command, words: str, name: str) -> str:
    """The shell's words for COMMAND with WORDS; descriptors 1 and 3 are the same."""
    return f"{shlex.join(command.argv())} {words.replace('FILE', name)} 3>&1"


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_what_a_log_holds_stays_there(alpine: Command, place: pathlib.Path, writer: str, name: str) -> None:
    words, expected = WRITERS[writer]
    script = f"{{ echo before; {_shell(alpine, words, name)}; echo after; }} > log"
    environment = dict(alpine.environment)
    done = subprocess.run(["sh", "-c", script], cwd=place, env=environment, capture_output=True, timeout=240)
    log = (place / "log").read_bytes()
    assert (log[:7], log[-6:], done.stdout) == (b"before\n", b"after\n", b""), done.stderr
    assert expected in log
    assert os.readlink(place / "link") == "/dev/stdout"


@pytest.fixture(scope="module")
def ordinary(make_second_user: Callable[[], Command]) -> Command:
    """The command of an ordinary user, whose image is there already."""
    made = make_second_user()
    (made.directory / "s.yaml").write_text(SPEC)
    assert made("pull", "alpine").code == 0
    return made


@pytest.mark.parametrize("writer", WRITERS)
def test_a_pipe_of_somebody_else_is_written_to(ordinary: Command, writer: str) -> None:
    """The pipe is root's, who has passed it on to an ordinary user."""
    words, expected = WRITERS[writer]
    script = _shell(ordinary, words, "/dev/stdout")
    environment = dict(ordinary.environment)
    done = subprocess.run(
        ["sh", "-c", script], cwd=ordinary.directory, env=environment, capture_output=True, timeout=60
    )
    assert expected in done.stdout, done.stderr


@pytest.mark.parametrize("writer", WRITERS)
def test_a_descriptor_that_is_not_open_is_an_error(alpine: Command, place: pathlib.Path, writer: str) -> None:
    words, _ = WRITERS[writer]
    done = replace(alpine, forks=True)(*words.replace("FILE", "/dev/fd/7").split(), cwd=place)
    assert done.code == (125 if words.startswith(("run", "up", "record")) else 2)
    assert b"cannot write /dev/fd/7: no such descriptor is open" in done.stderr


def test_a_device_is_not_replaced(alpine: Command, place: pathlib.Path) -> None:
    """As root, a new file would take the place of /dev/null for all."""
    device, forking = place / "null", replace(alpine, forks=True)
    for writer, (words, _) in WRITERS.items():
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        done = forking(*words.replace("FILE", str(device)).split(), cwd=place)
        assert done.code == 0, (writer, done)
        assert stat.S_ISCHR(device.lstat().st_mode), writer
        device.unlink()
