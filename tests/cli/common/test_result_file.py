"""`--result FILE`: how each container ended, for programs, whatever went wrong and wherever."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from lab.command import Command
from lab.networks import Host

pytestmark = pytest.mark.root


def _lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _run(mydocker: Command, path: pathlib.Path, *words: str, code: int) -> dict[str, Any]:
    """The one line that `run` leaves; what it left before is replaced."""
    path.write_text("old\n")
    done = mydocker("run", "--result", str(path), *words)
    assert done.code == code, done
    [line] = _lines(path)
    assert line["status"] == code
    assert sorted(os.listdir(path.parent)) == [path.name]
    return line


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "results"
    directory.mkdir()
    return directory / "r.json"


def test_all_that_is_known_of_a_run(alpine: Command, path: pathlib.Path) -> None:
    line = _run(alpine, path, "--name", "web", "alpine", "sh", "-c", "hostname; exit 3", code=3)
    manifests = [ref.read_text() for ref in (alpine.store / "refs").rglob("*") if ref.is_file()]
    assert any(line["image_digest"] in text for text in manifests)
    assert len(line["container_id"]) == 64
    assert 0 < line["wall"] < 60
    assert 0 < line["cpu"] < 60
    assert 100_000 < line["max_rss"] < 1 << 30
    varying = ("image_digest", "container_id", "wall", "cpu", "max_rss")
    assert {key: value for key, value in line.items() if key not in varying} == {
        "name": "web",
        "origin": "command line",
        "image": "docker.io/library/alpine:latest",
        "network": "bridge",
        "network_reason": None,
        "ports": [],
        "phase": "run",
        "status": 3,
        "exit_code": 3,
        "signal": None,
        "timed_out": False,
        "oom_killed": False,
        "killed_by": None,
        "error": None,
        "hint": None,
    }


@pytest.mark.parametrize(
    ("words", "network"),
    [("--network none", "none"), ("--network host", "host"), ("--network front --network back", "front,back")],
)
def test_which_network_it_had(alpine: Command, path: pathlib.Path, words: str, network: str) -> None:
    for name in ("front", "back"):
        alpine("network", "create", name)
    line = _run(alpine, path, *words.split(), "alpine", "true", code=0)
    assert (line["network"], line["network_reason"]) == (network, None)


def test_why_it_had_the_hosts_network(alpine: Command, path: pathlib.Path) -> None:
    limited = replace(alpine, prefix=["setpriv", "--bounding-set", "-net_admin"])
    line = _run(limited, path, "alpine", "true", code=0)
    assert (line["network"], line["network_reason"]) == ("host", "CAP_NET_ADMIN is missing")


def test_the_ports_that_were_published(alpine: Command, path: pathlib.Path) -> None:
    """With the numbers that were chosen; also of a sequence, whose containers are run by workers."""
    number = 8080  # of a host of its own, so that nobody else can have taken it
    words = ["-p", f"{number}:80", "-p", "127.0.0.1::81/udp", "-p", "[::1]:0:82"]
    with Host(alpine) as host:
        ports = _run(host.command, path, *words, "alpine", "true", code=0)["ports"]
    assert ports[0] == {"host_ip": None, "port": number, "target": 80, "protocol": "tcp"}
    assert [(each["host_ip"], each["target"], each["protocol"]) for each in ports[1:]] == [
        ("127.0.0.1", 81, "udp"),
        ("::1", 82, "tcp"),
    ]
    assert all(0 < each["port"] < 1 << 16 for each in ports)
    (path.parent.parent / "s.yaml").write_text("image: alpine\ncommand: 'true'\nports: [80]\n")
    assert alpine("up", "--result", str(path), str(path.parent.parent / "s.yaml")).code == 0
    [line] = _lines(path)
    assert [each["target"] for each in line["ports"]] == [80] and line["ports"][0]["port"] > 0


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("alpine", "true"), 0, {"phase": "run", "exit_code": 0, "timed_out": False, "oom_killed": False}),
        (("--timeout", "200ms", "--stop-timeout", "0", "alpine", "sleep", "60"), 124, {"timed_out": True, "signal": 9}),
        (("-m", "16m", "alpine", "tail", "/dev/zero"), 137, {"oom_killed": True, "signal": 9, "exit_code": None}),
        (("-m", "64m", "alpine", "sh", "-c", "exit 137"), 137, {"oom_killed": False, "exit_code": 137}),
        (("alpine", "/nonexistent"), 127, {"phase": "setup", "exit_code": None, "wall": None}),
        (("alpine", "/etc"), 126, {"phase": "setup"}),
        (("-u", "nosuchuser", "alpine", "true"), 125, {"phase": "setup"}),
        (("--pull", "never", "absent"), 125, {"phase": "image", "image": "docker.io/library/absent:latest"}),
        (("--bogus", "alpine"), 125, {"phase": "spec", "image": None, "hint": "see 'mydocker run --help'"}),
        (("--cpuset-cpus", "4000", "alpine", "true"), 125, {"phase": "setup"}),
    ],
)
def test_every_end(
    alpine: Command, path: pathlib.Path, words: tuple[str, ...], code: int, expected: dict[str, Any]
) -> None:
    line = _run(alpine, path, *words, code=code)
    assert {key: line[key] for key in expected} == expected
    assert (line["error"] is None) == (line["phase"] == "run")


def test_memory_and_time_of_a_limited_container_are_those_of_all_its_processes(
    alpine: Command, path: pathlib.Path
) -> None:
    """Two processes of 20 MB each at once: the largest alone would be less than both, which a cgroup has counted."""
    both = "touch /tmp/$i; until [ -e /tmp/1 ] && [ -e /tmp/2 ]; do sleep 0.05; done"
    script = f"for i in 1 2; do (x=$(head -c 20000000 /dev/zero | tr '\\0' x); {both}) & done; wait"
    line = _run(alpine, path, "-m", "256m", "alpine", "sh", "-c", script, code=0)
    assert line["max_rss"] >= 40_000_000


def test_a_sequence_leaves_a_line_for_each(alpine: Command, path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: one\nimage: alpine\ncommand: 'true'\n---\nname: two\nimage: absent\npull_policy: never\n"
        "---\nname: three\nimage: alpine\ncommand: sh -c 'exit 4'\n"
    )
    assert alpine("up", "--result", str(path), str(tmp_path / "s.yaml")).code == 125
    assert [(line["name"], line["phase"], line["status"]) for line in _lines(path)] == [
        ("one", "run", 0),
        ("two", "image", 125),
    ]
    assert alpine("up", "--keep-going", "--result", str(path), str(tmp_path / "s.yaml")).code == 125
    assert [(line["name"], line["status"]) for line in _lines(path)] == [("one", 0), ("two", 125), ("three", 4)]
    assert [line["origin"] for line in _lines(path)] == [f"{tmp_path}/s.yaml:{number}" for number in (1, 5, 9)]


def test_a_file_with_mistakes_is_a_result_too(alpine: Command, path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.yaml").write_text("image: alpine\nqqqqq: 1\n")
    assert alpine("up", "--result", str(path), str(tmp_path / "s.yaml")).code == 125
    [line] = _lines(path)
    assert (line["phase"], line["status"], line["exit_code"]) == ("spec", 125, None)
    assert "s.yaml:2:1: unknown key 'qqqqq'" in line["error"]


@pytest.mark.parametrize("name", ["", "/nonexistent/r.json", "/"])
def test_a_place_for_no_file_is_refused_before_anything_runs(
    alpine: Command, tmp_path: pathlib.Path, name: str
) -> None:
    done = alpine("run", "--result", name, "-v", f"{tmp_path}:/mnt", "alpine", "touch", "/mnt/started")
    assert done.stderr.startswith(b"mydocker: --result ")
    assert (done.stdout, done.code) == (b"", 125)
    assert not (tmp_path / "started").exists()


def test_a_descriptor_is_written_to(alpine: Command) -> None:
    words = " ".join(alpine.argv("run", "--result", "/dev/fd/3", "alpine", "echo", "x"))
    done = subprocess.run(
        ["sh", "-c", f"{words} 3>&1 >/dev/null | cat"], env=dict(alpine.environment), capture_output=True, timeout=30
    )
    assert json.loads(done.stdout)["exit_code"] == 0


def test_a_full_disk_is_an_error(alpine: Command) -> None:
    done = alpine("run", "--result", "/dev/full", "alpine", "echo", "x")
    assert done.stdout == b"x\n"
    assert done.stderr == b"mydocker: cannot write the result to /dev/full: No space left on device\n"
    assert done.code == 125
