"""`mydocker ps` and `logs`, on containers that were put on disk in different states."""

from __future__ import annotations

import json
import pathlib

import pytest
from lab.command import Command

from mydocker.image.store import Store
from mydocker.services.containers import ContainerConfig, ContainerState, directory
from mydocker.services.containers.log_files import LogFiles
from mydocker.specs.argv import parse_run
from mydocker.specs.model.parts import Logging

CONTAINERS = {
    "web": (ContainerState(status="exited", exit_code=0, finished=1e9), "nginx:1.27", {"tier": "front"}, "-v data:/x"),
    "web-2": (ContainerState(status="exited", exit_code=3, finished=1e9), "localhost:5000/nginx", {"tier": "back"}, ""),
    "db": (ContainerState(), "postgres:17", {"tier": "back", "com.docker.compose.project": "shop"}, ""),
    "sick": (ContainerState(status="exited", exit_code=1, finished=1e9, health="unhealthy"), "alpine", {}, ""),
}


@pytest.fixture
def listing(mydocker: Command) -> Command:
    store = Store.open({"MYDOCKER_ROOT": str(mydocker.store)})
    mydocker.store.mkdir(mode=0o700, exist_ok=True)
    for number, (name, (state, image, labels, options)) in enumerate(CONTAINERS.items()):
        spec = parse_run([*options.split(), "alpine"], environ={}, cwd="/").spec
        config = ContainerConfig(
            id=f"a{number}" * 32,
            name=name,
            created=1e9 + number,
            spec=spec,
            image=image,
            image_digest=f"sha256:{number}{'b' * 63}",
            labels=labels,
            command=("sh",),
        )
        directory.write_state(directory.create(store, config).directory, state)
    return mydocker


def names(mydocker: Command, *arguments: str) -> list[str]:
    done = mydocker("ps", "--format", "{{.Names}}", *arguments)
    assert (done.code, done.stderr) == (0, b""), done
    return done.stdout.decode().split()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", []),
        ("-a", ["sick", "db", "web-2", "web"]),
        ("-l", ["sick"]),
        ("-n 2", ["sick", "db"]),
        ("-n -1 -a", ["sick", "db", "web-2", "web"]),
        ("-f status=exited", ["sick", "web-2", "web"]),
        ("-f status=exited -f status=created", ["sick", "db", "web-2", "web"]),
        ("-f status=dead", []),
        ("-a -f exited=3", ["web-2"]),
        ("-a -f name=web", ["web-2", "web"]),
        ("-a -f name=^web$", ["web"]),
        ("-a -f name=^/web$", ["web"]),
        ("-a -f name=b -f label=tier=back", ["db", "web-2"]),
        ("-a -f label=tier", ["db", "web-2", "web"]),
        ("-a -f label=tier=back -f label=com.docker.compose.project=shop", ["db"]),
        ("-a -f id=a1", ["web-2"]),
        ("-a -f ancestor=nginx", ["web"]),
        ("-a -f ancestor=nginx:1.27", ["web"]),
        ("-a -f ancestor=localhost:5000/nginx", ["web-2"]),
        ("-a -f ancestor=localhost", []),
        ("-a -f ancestor=nginx:1.28", []),
        ("-a -f ancestor=docker.io/library/nginx:1.27", ["web"]),
        ("-a -f ancestor=alpine", ["sick"]),
        ("-a -f ancestor=alpine:latest", ["sick"]),
        ("-a -f ancestor=library/alpine", ["sick"]),
        ("-a -f ancestor=alpine:3", []),
        ("-a -f ancestor=", []),
        ("-a -f ancestor=sha", []),
        ("-a -f ancestor=sha256:", []),
        ("-a -f ancestor=1bb", ["web-2"]),
        ("-a -f ancestor=sha256:1" + "b" * 63, ["web-2"]),
        ("-a -f health=unhealthy", ["sick"]),
        ("-a -f health=none -f status=created", ["db"]),
        ("-a -f volume=data", ["web"]),
        ("-a -f volume=/x", ["web"]),
        ("-a -f network=nothing", []),
        ("-a -f since=web-2", ["sick", "db"]),
        ("-a -f before=db", ["web-2", "web"]),
        ("-a -f since=a0 -f before=/db", ["web-2"]),
        ("-a -f since=sick", []),
    ],
)
def test_which_are_listed(listing: Command, arguments: str, expected: list[str]) -> None:
    assert names(listing, *arguments.split()) == expected


@pytest.mark.parametrize("text", ["x", "x=1", "status=foo", "name=(", "=", "status"])
def test_filters_that_are_none(listing: Command, text: str) -> None:
    refused = listing("ps", "-a", "-f", text)
    assert refused.code != 0 and refused.stdout == b"" and b"invalid filter" in refused.stderr
    assert b"Traceback" not in refused.stderr


def test_forms(listing: Command) -> None:
    table = listing("ps", "-a").stdout.decode().splitlines()
    assert table[0].split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert len(table) == 5 and table[1].startswith("a3a3a3a3a3a3   alpine")
    rows = [json.loads(line) for line in listing("ps", "-a", "--format", "json").stdout.splitlines()]
    assert [row["Names"] for row in rows] == ["sick", "db", "web-2", "web"] and rows[1]["Status"] == "Created"
    chosen = listing("ps", "-a", "--format", "table {{.Names}}\t{{.State}}").stdout.decode().splitlines()
    assert chosen[0].split() == ["NAMES", "STATE"] and chosen[1].split() == ["sick", "exited"]
    labels = listing("ps", "-a", "--format", '{{.Names}}={{.Label "tier"}}{{.Label `none`}}').stdout.decode().split()
    assert labels == ["sick=", "db=back", "web-2=back", "web=front"]
    assert listing("ps", "-a", "-f", "since=nonesuch").code == 2
    assert listing("ps", "-aq").stdout.split() == [b"a3" * 6, b"a2" * 6, b"a1" * 6, b"a0" * 6]
    assert listing("ps", "-aq", "--no-trunc").stdout.split()[0] == b"a3" * 32


def test_logs(listing: Command) -> None:
    path = next(pathlib.Path(listing.store, "background").glob("a0a0*")) / "logs"
    log = LogFiles(str(path), Logging())
    for number in range(5):
        log.add("stderr" if number % 2 else "stdout", b"line %d\n" % number)
    log.add("stdout", b"x" * 40_000 + b"\nlast\n")
    log.end()
    done = listing("logs", "web")
    assert (
        done.stdout == b"line 0\nline 2\nline 4\n" + b"x" * 40_000 + b"\nlast\n" and done.stderr == b"line 1\nline 3\n"
    )
    assert listing("logs", "-n", "1", "web").stdout == b"last\n" and listing("logs", "-n", "0", "web").stdout == b""
    stamped = listing("logs", "-t", "web").stdout.splitlines()
    assert len(stamped) == 5 and all(line[:4].isdigit() and line[29:31] == b"Z " for line in stamped)
    assert listing("logs", "--since", "1h", "web").stdout == done.stdout
    assert (
        listing("logs", "--until", "1h", "web").stdout == b"" == listing("logs", "--since", "2100-01-01", "web").stdout
    )
    assert listing("logs", "-f", "--until", "1h", "web").stdout == b""
    assert listing("logs", "-f", "web").stdout == done.stdout
    for wrong in (("-n", "x"), ("--since", "x"), ("--until", "9" * 30)):
        assert listing("logs", *wrong, "web").code == 2
