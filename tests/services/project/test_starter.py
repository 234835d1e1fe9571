"""Services that do not need each other start at the same time."""

from __future__ import annotations

import json
import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

SLEEPER = "[Container]\nImage=alpine\nNetwork=none\nRunInit=true\nExec=sleep 1000\n"
COMPOSE_SLEEPER = "image: alpine, network_mode: none, init: true, command: sleep 1000"


def _states(alpine: Command) -> dict[str, str]:
    found = alpine("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout.decode().splitlines()
    return dict(line.split() for line in found)


def test_two_start_at_the_same_time(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Each waits, before its container begins, for what the other one does then."""
    for own, other in ("ab", "ba"):
        wait = f"touch {tmp_path}/{own}; until [ -e {tmp_path}/{other} ]; do sleep 0.05; done"
        text = f'{SLEEPER}[Service]\nTimeoutStartSec=200\nExecStartPre=/bin/sh -c "{wait}"\n'
        (tmp_path / f"{own}.container").write_text(text)
    done = alpine("up", "-d", "a.container", "b.container", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0)
    assert set(_states(alpine).values()) == {"running"} and len(_states(alpine)) == 2
    assert alpine("rm", "-f", *_states(alpine)).code == 0


@pytest.mark.parametrize("bad", [0, 1, 3])
@pytest.mark.parametrize("options", [("-d",), ()])
def test_one_that_cannot_start(alpine: Command, tmp_path: pathlib.Path, bad: int, options: tuple[str, ...]) -> None:
    """Those that were under way have started; with `-d` they stay, as with Compose, and else nothing is left."""
    lines = [f"  s{number}: {{{COMPOSE_SLEEPER}}}\n" for number in range(4)]
    lines[bad] = lines[bad].replace("command: sleep", "command: /nonesuch")
    (tmp_path / "compose.yaml").write_text("name: p\nservices:\n" + "".join(lines))
    done = alpine("up", *options, cwd=tmp_path)
    assert done.code == 127 and f"mydocker: s{bad}-1: /nonesuch: no such file" in done.stderr.decode(), done
    states = _states(alpine)
    assert alpine("down", "-t", "0", cwd=tmp_path).code == 0
    assert _states(alpine) == {}
    if not options:
        assert states == {}
    else:
        running = {name for name, state in states.items() if state == "running"}
        assert {f"p-s{number}-1" for number in range(bad)} <= running
        assert f"p-s{bad}-1" not in running


def test_one_that_names_another_waits_for_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Also where the file names its container, which is no dependency."""
    (tmp_path / "compose.yaml").write_text(
        "name: p\nservices:\n"
        f"  a: {{{COMPOSE_SLEEPER}, container_name: first, ipc: shareable}}\n"
        f"  b: {{{COMPOSE_SLEEPER.replace('none', 'container:first')}}}\n"
        f"  c: {{{COMPOSE_SLEEPER}, pid: 'container:first'}}\n"
    )
    done = alpine("up", "-d", cwd=tmp_path)
    [first, *others] = [json.loads(alpine("inspect", name).stdout)[0] for name in ("first", "p-b-1", "p-c-1")]
    links = [[_namespace(each, name) for name in ("net", "pid")] for each in (first, *others)]
    assert alpine("down", "-t", "0", cwd=tmp_path).code == 0
    assert (done.stderr, done.code) == (b"", 0)
    assert links[1][0] == links[0][0] and links[2][1] == links[0][1]


def _namespace(inspected: dict[str, dict[str, int]], name: str) -> tuple[int, int]:
    state = pathlib.Path(f"/proc/{inspected['State']['Pid']}/ns/{name}").stat()
    return state.st_dev, state.st_ino
