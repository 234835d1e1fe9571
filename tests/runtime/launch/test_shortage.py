"""A host that is short of something, at every step of a start: processes, open files, memory, space, quota.

Each limit is lowered one by one. Whatever it is that cannot be had then, the words name it, and say what helps.
"""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab import forking
from lab.command import Command, Result

from mydocker.errors import hint_for, is_limit_of_host, refused_by_host

pytestmark = pytest.mark.rootless

PROCESSES = b"no more processes may be started"
FILES = b"too few files may be open at once"
KINDS = {  # the first one has a network where this machine gives an ordinary user one
    "run": ("run", "alpine", "true"),
    "init": ("run", "--network", "none", "--init", "alpine", "true"),
    "outer init": ("run", "--network", "none", "--pid", "host", "alpine", "true"),
    "pre_start": ("up", "before.yaml"),
    "a file": ("test", "file.smoke.yaml"),
    "watched": ("test", "watched.smoke.yaml"),
}
SPECS = {
    "before.yaml": "image: alpine\nnetwork_mode: none\npre_start: ['true']\ncommand: 'true'\n",
    "file.smoke.yaml": "image: alpine\nnetwork_mode: none\ncommand: 'true'\n"
    "expect: {files: [{path: /etc/passwd, contents: [root]}]}\n",
    "watched.smoke.yaml": "image: alpine\nnetwork_mode: none\ncommand: sleep 1000\n"
    "expect: {within: 200s, process: {sleep: running}}\n",
}


@pytest.fixture
def short(second_user: Command) -> Command:
    """An ordinary user, whose image is there already."""
    plain = replace(second_user, forks=False)  # a server would be a process of the user's too
    forking.end_servers_of_users()
    assert plain("run", "--network", "none", "alpine", "true").code == 0  # a network has processes for a while
    for name, text in SPECS.items():
        (plain.directory / name).write_text(text)
    return plain


def _limited(mydocker: Command, option: str, number: int) -> Command:
    return replace(mydocker, prefix=("prlimit", f"--{option}={number}", *mydocker.prefix))


def _said(done: Result) -> bytes:
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_processes(short: Command, kind: str) -> None:
    """RLIMIT_NPROC (getrlimit(2)); those that have ended count until somebody has waited for them."""
    seen = set()
    for number in range(1, 40):
        done = _limited(short, "nproc", number)(*KINDS[kind])
        if done.stderr.startswith(b"setpriv: failed to execute"):  # of this test's own
            continue
        seen.add(done.code)
        if done.code == 0:
            break
        said = _said(done)
        assert done.code in (3, 125) and b"Traceback" not in said and b"was killed" not in said, (number, done)
        assert b"Resource temporarily unavailable" in said and PROCESSES in said, (number, done)
    assert 0 in seen and len(seen) > 1
    assert os.listdir(short.store / "containers") == []


@pytest.mark.parametrize("kind", ["run", "init", "outer init", "pre_start", "a file"])
def test_too_few_open_files(short: Command, kind: str) -> None:
    """RLIMIT_NOFILE; Python itself does not start with less than 5."""
    seen = set()
    for number in range(6, 60):
        done = _limited(short, "nofile", number)(*KINDS[kind])
        seen.add(done.code)
        if done.code == 0:
            break
        said = _said(done)
        assert done.code in (3, 125) and b"Traceback" not in said and b"was killed" not in said, (number, done)
        assert b"Too many open files" in said and FILES in said, (number, done)
    assert 0 in seen and len(seen) > 1
    assert os.listdir(short.store / "containers") == []


@pytest.fixture
def full(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A small file system, of few inodes."""
    place = tmp_path / "full"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=700", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.root
def test_a_full_disk(alpine: Command, full: pathlib.Path) -> None:
    """For the run directory, for what is in it, and for what a container writes down for a volume."""
    store = [path for path in alpine.store.iterdir() if path.name != "kept"]  # by other tests, and large
    subprocess.run(["cp", "-a", *store, full], check=True)
    full.chmod(0o700)
    mydocker = replace(alpine, environment={**alpine.environment, "MYDOCKER_ROOT": str(full)}, store=full)
    assert mydocker("run", "alpine", "true").code == 0
    seen, count = set(), 0
    for left in range(24, -1, -2):
        while _free(full) > left:
            (full / f"filler-{count}").touch()
            count += 1
        done = mydocker("run", "-v", "/anonymous", "alpine", "true")
        seen.add(done.code)
        if done.code:
            assert done.code == 125 and b"No space left on device" in done.stderr, (left, done)
            assert b"hint: the disk is full" in done.stderr, (left, done)
    assert seen == {0, 125}
    assert os.listdir(full / "containers") == []


def _free(place: pathlib.Path) -> int:
    return os.statvfs(place).f_favail


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EAGAIN, "ulimit -u"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.ENOMEM, "memory.max"),
        (errno.ENOSPC, "mydocker prune"),
        (errno.EDQUOT, "quota(1)"),
        (errno.EACCES, ""),
    ],
)
def test_what_helps(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number), "/some/file")
    refusal = refused_by_host(error)
    assert refusal.message == f"the host refuses: {os.strerror(number)}: /some/file"
    assert words in (refusal.hint or "") and bool(refusal.hint) == bool(words) == is_limit_of_host(error)
    assert hint_for(error) == refusal.hint


def test_no_memory_for_python_itself() -> None:
    assert refused_by_host(MemoryError()).message == "the host refuses: Cannot allocate memory"
