"""Which container a command enters, found without a look at all of them, and what its run directory says."""

from __future__ import annotations

import marshal
import os
import pathlib
from collections.abc import Iterator

import pytest
from lab.command import Command

from mydocker.errors import LaunchError
from mydocker.image.store import Store
from mydocker.runtime.command import Stack
from mydocker.runtime.enter.container import FACTS, NotRunningError, open_container, running_named

pytestmark = pytest.mark.root


@pytest.fixture
def store(alpine: Command) -> Store:
    return Store(str(alpine.store))


@pytest.fixture
def kept(alpine: Command, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container that runs in the background."""
    name = f"kept{abs(hash(request.node.name)) % 10**8}"
    started = alpine("run", "-d", "--network", "none", "--name", name, "alpine", "sleep", "600")
    assert started.code == 0, started
    yield name
    alpine("rm", "-f", name)


def _run_directory(store: Store, name: str) -> pathlib.Path:
    return pathlib.Path(store.containers, os.readlink(f"{store.names}/{name}")[:12])


def test_a_name_is_found_without_the_others(store: Store, kept: str) -> None:
    expected = str(_run_directory(store, kept))
    assert running_named(store, kept) == running_named(store, f"/{kept}") == expected
    for other in ("", "/", ".lock", f"../names/{kept}", f"{kept}x", kept[:-1], os.path.basename(expected)):
        assert running_named(store, other) is None


def test_what_takes_a_look_at_all_works_too(alpine: Command, store: Store, kept: str) -> None:
    container_id = os.readlink(f"{store.names}/{kept}")
    for text in (container_id, container_id[:12], container_id[:7]):
        assert alpine("exec", text, "echo", "hi").stdout == b"hi\n"
    assert alpine("exec", kept[:-1], "true").code == 1


def test_a_container_in_another_state(alpine: Command, store: Store, kept: str) -> None:
    assert alpine("pause", kept).code == 0
    assert running_named(store, kept) is None
    paused = alpine("exec", kept, "true")
    assert (paused.code, b"is paused" in paused.stderr) == (1, True), paused
    assert alpine("unpause", kept).code == 0
    assert alpine("rename", kept, f"{kept}-new").code == 0
    assert alpine("exec", f"{kept}-new", "echo", "hi").stdout == b"hi\n"
    assert alpine("exec", kept, "true").code == 1
    assert alpine("rename", f"{kept}-new", kept).code == 0
    assert alpine("stop", "-t", "0", kept).code == 0
    assert running_named(store, kept) is None
    ended = alpine("exec", kept, "true")
    assert (ended.code, b"is not running" in ended.stderr, b"mydocker start" in ended.stderr) == (1, True, True)
    assert alpine("start", kept).code == 0
    assert alpine("exec", kept, "echo", "hi").stdout == b"hi\n"


def test_two_of_one_name_are_distinguished(alpine: Command, store: Store, kept: str) -> None:
    """A container in the foreground need not have reserved its name: nor may it be taken for the other one."""
    other = pathlib.Path(store.containers, "0123456789ab")
    other.mkdir()
    (other / "name").symlink_to(kept)
    (other / "process").symlink_to("1")
    try:
        assert running_named(store, kept) is None
    finally:
        for link in other.iterdir():
            link.unlink()
        other.rmdir()
    assert running_named(store, kept) is not None


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, LaunchError, "is missing"),
        (b"", NotRunningError, "is not running"),
        (marshal.dumps({"pid": 1})[:-3], NotRunningError, "is not running"),
        (marshal.dumps({"pid": 1}), LaunchError, "cannot read"),
        (marshal.dumps([1]), LaunchError, "cannot read"),
    ],
)
def test_a_file_that_says_something_else(
    store: Store, kept: str, content: bytes | None, error: type[LaunchError], message: str
) -> None:
    file = _run_directory(store, kept) / FACTS
    whole = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    try:
        with pytest.raises(LaunchError, match=message) as raised, Stack() as opened:
            open_container(str(file.parent), opened)
        assert type(raised.value) is error
    finally:
        file.write_bytes(whole)


def test_a_number_that_is_another_process_s_by_now(store: Store, kept: str) -> None:
    file = _run_directory(store, kept) / FACTS
    facts = marshal.loads(file.read_bytes())
    file.write_bytes(marshal.dumps({**facts, "start_time": facts["start_time"] + 1}))
    with pytest.raises(NotRunningError), Stack() as opened:
        open_container(str(file.parent), opened)
    file.write_bytes(marshal.dumps(facts))
    with Stack() as opened:
        found = open_container(str(file.parent), opened)
        assert {*found.namespaces} == {"mount", "pid", "uts", "ipc", "net", "cgroup"}
        assert os.readlink(f"/proc/self/fd/{found.namespaces['net']}") == os.readlink(f"/proc/{facts['pid']}/ns/net")
