"""`mydocker network`: what it makes, lists and removes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from typing import Any

import pytest
from lab.command import Command, Result

HEADINGS = b"NETWORK ID   NAME      DRIVER    SUBNET    CONTAINERS\n"


@pytest.fixture
def box(mydocker: Command) -> Command:
    """The command with three networks."""
    assert mydocker("network", "create", "web").code == 0
    assert mydocker("network", "create", "--internal", "--label", "tier=db", "--label", "x", "db").code == 0
    assert mydocker("network", "create", "--ipv6", "--label=tier=cache", "cache").code == 0
    return mydocker


def test_there_are_none(mydocker: Command) -> None:
    assert mydocker("network", "ls") == Result(HEADINGS, b"", 0)
    assert mydocker("network", "ls", "-q") == Result(b"", b"", 0)
    assert json.loads(mydocker("network", "ls", "--format", "json").stdout) == []
    assert mydocker("network", "prune") == Result(b"", b"", 0)
    for word in ("rm", "inspect"):
        done = mydocker("network", word, "web")
        assert done.code == 1 and b"there is no network web" in done.stderr
    assert not mydocker.store.joinpath("networks").exists()


def test_create_prints_the_id(mydocker: Command) -> None:
    done = mydocker("network", "create", "web")
    assert re.fullmatch(rb"[0-9a-f]{64}\n", done.stdout) and (done.stderr, done.code) == (b"", 0)
    assert _inspect(mydocker, "web")["Id"] == done.stdout.decode().strip()
    again = mydocker("network", "create", "web")
    assert (again.stdout, again.code) == (b"", 1) and b"there is already a network web" in again.stderr


def test_inspect_has_the_keys_of_docker(mydocker: Command) -> None:
    words = "--subnet 10.217.0.0/24 --subnet fd00:217::/64 --gateway fd00:217::9 --gateway 10.217.0.254"
    words += " --ip-range 10.217.0.128/25 --internal --label a=b=c --label d -o com.docker.network.driver.mtu=1400"
    done = mydocker("network", "create", "--driver", "bridge", *words.split(), "db")
    assert done.code == 0, done
    found = _inspect(mydocker, "db")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("Created"))
    network_id = found.pop("Id")
    assert found == {
        "Name": "db",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": True,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [
                {"Subnet": "10.217.0.0/24", "IPRange": "10.217.0.128/25", "Gateway": "10.217.0.254"},
                {"Subnet": "fd00:217::/64", "Gateway": "fd00:217::9"},
            ],
        },
        "Internal": True,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.bridge.name": f"md-{network_id[:10]}",
        },
        "Labels": {"a": "b=c", "d": ""},
    }


def test_what_is_not_set_is_chosen(box: Command) -> None:
    pools = [pool for name in ("web", "db", "cache") for pool in _inspect(box, name)["IPAM"]["Config"]]
    subnets = [pool["Subnet"] for pool in pools]
    assert len(set(subnets)) == 4 and all(re.match(r"10\.|172\.|192\.168\.|fd", subnet) for subnet in subnets)
    assert [_inspect(box, name)["EnableIPv6"] for name in ("web", "db", "cache")] == [False, False, True]


def test_inspect_names_what_is_missing(box: Command) -> None:
    done = box("network", "inspect", "web", "nonesuch", "db")
    assert [each["Name"] for each in json.loads(done.stdout)] == ["web", "db"]
    assert done.code == 1 and b"there is no network nonesuch" in done.stderr
    assert b"when a container starts in it" in box("network", "inspect", "bridge").stderr


def test_ls(box: Command) -> None:
    lines = box("network", "ls").stdout.decode().splitlines()
    rows = [re.split("  +", line) for line in lines]
    assert rows[0] == ["NETWORK ID", "NAME", "DRIVER", "SUBNET", "CONTAINERS"]
    assert [(row[1], row[2], row[4]) for row in rows[1:]] == [
        ("cache", "bridge", "0"),
        ("db", "bridge", "0"),
        ("web", "bridge", "0"),
    ]
    found = json.loads(box("network", "list", "--format", "json").stdout)
    assert [each["name"] for each in found] == ["cache", "db", "web"]
    assert found[1]["labels"] == {"tier": "db", "x": ""} and found[1]["internal"] is True
    ids = [each["id"] for each in found]
    assert box("network", "ls", "-q", "--no-trunc").stdout.decode().split() == ids
    assert box("network", "ls", "--quiet").stdout.decode().split() == [each[:12] for each in ids]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["name=e"], ["cache", "web"]),
        (["name=web", "name=db"], ["db", "web"]),
        (["label=tier"], ["cache", "db"]),
        (["label=tier=db"], ["db"]),
        (["label=tier", "label=x"], ["db"]),
        (["label!=tier=db"], ["cache", "web"]),
        (["label!=tier"], ["web"]),
        (["driver=bridge"], ["cache", "db", "web"]),
        (["driver=overlay"], []),
        (["type=custom"], ["cache", "db", "web"]),
        (["type=builtin"], []),
        (["name=e", "label=tier"], ["cache"]),
    ],
)
def test_ls_filters(box: Command, filters: list[str], expected: list[str]) -> None:
    words = [word for each in filters for word in ("--filter", each)]
    found = json.loads(box("network", "ls", *words, "--format", "json").stdout)
    assert [each["name"] for each in found] == expected


def test_formats(box: Command) -> None:
    """Templates as Docker's commands take them; parity's tests have more of them."""
    names = box("network", "ls", "--format", "{{.Name}}").stdout
    assert names.splitlines() == [line.split()[1] for line in box("network", "ls").stdout.splitlines()[1:]] != []
    table = box("network", "ls", "--format", "table {{.ID}}\t{{.Name}}", "--no-trunc").stdout.splitlines()
    assert table[0].split() == [b"NETWORK", b"ID", b"NAME"]
    assert [line.split() for line in table[1:]] == [
        [each["id"].encode(), each["name"].encode()]
        for each in json.loads(box("network", "ls", "--format", "json").stdout)
    ]
    for action, format, message in (
        ("ls", "{{.Nonesuch}}", b"there is no field Nonesuch"),
        ("ls", "{{.Name", b"has no end"),
    ):
        done = box("network", action, "--format", format)
        assert (done.stdout, done.code) == (b"", 2) and message in done.stderr, done


def test_ids_stand_for_names(box: Command) -> None:
    web, db = _inspect(box, "web")["Id"], _inspect(box, "db")["Id"]
    assert _inspect(box, web[:12])["Name"] == "web" and _inspect(box, db)["Name"] == "db"
    assert json.loads(box("network", "ls", "--filter", f"id={web[:9]}", "--format=json").stdout)[0]["name"] == "web"
    assert box("network", "rm", web[:12], db) == Result(f"{web[:12]}\n{db}\n".encode(), b"", 0)
    assert os.listdir(box.store / "networks") == ["cache"]


def test_rm(box: Command) -> None:
    done = box("network", "rm", "web", "nonesuch", "db")
    assert (done.stdout, done.code) == (b"web\ndb\n", 1) and b"there is no network nonesuch" in done.stderr
    assert box("network", "remove", "-f", "nonesuch", "cache") == Result(b"cache\n", b"", 0)
    assert os.listdir(box.store / "networks") == []


def test_prune_asks(box: Command) -> None:
    done = box("network", "prune")
    assert (done.stdout, done.code) == (b"", 2) and b"--force" in done.stderr
    assert _on_a_terminal(box, "n") == 1 and len(os.listdir(box.store / "networks")) == 3
    assert _on_a_terminal(box, "y") == 0 and os.listdir(box.store / "networks") == []


def test_prune_filters(box: Command) -> None:
    assert box("network", "prune", "-f", "--filter", "label!=tier") == Result(b"web\n", b"", 0)
    assert box("network", "prune", "--force", "--filter", "label=x") == Result(b"db\n", b"", 0)
    assert box("network", "prune", "-f") == Result(b"cache\n", b"", 0)


@pytest.mark.root
def test_one_in_use_stays(box: Command) -> None:
    with _using(box, "web", "--name", "server") as address:
        web = _inspect(box, "web")
        [(container_id, endpoint)] = web["Containers"].items()
        prefix = web["IPAM"]["Config"][0]["Subnet"].rpartition("/")[2]
        assert re.fullmatch("[0-9a-f]{12}", container_id) and endpoint["Name"] == "server"
        assert (endpoint["IPv4Address"], endpoint["IPv6Address"]) == (f"{address}/{prefix}", "")
        assert re.fullmatch("02:42(:[0-9a-f]{2}){4}", endpoint["MacAddress"])
        assert [row.split()[-1] for row in box("network", "ls").stdout.splitlines()[1:]] == [b"0", b"0", b"1"]
        done = box("network", "rm", "web", "db")
        assert (done.stdout, done.code) == (b"db\n", 1)
        assert done.stderr == f"mydocker: network web is in use\nhint: by containers {container_id}\n".encode()
        assert box("network", "prune", "--force") == Result(b"cache\n", b"", 0)
    interface = web["Options"]["com.docker.network.bridge.name"]
    assert box("network", "rm", "web") == Result(b"web\n", b"", 0)
    # no later than its network
    assert not os.path.exists(f"/sys/class/net/{interface}") and interface not in _firewall()
    assert os.listdir(box.store / "networks") == []


@pytest.mark.root
def test_the_default_network_stays(mydocker: Command) -> None:
    assert mydocker("run", "--network", "bridge", "alpine", "true").code == 0
    assert mydocker("network", "ls").stdout.splitlines()[1].split()[1:3] == [b"bridge", b"bridge"]
    assert _inspect(mydocker, "bridge")["Created"] == ""
    [each] = json.loads(mydocker("network", "ls", "--filter", "type=builtin", "--format", "json").stdout)
    assert each["name"] == "bridge" and mydocker("network", "ls", "--filter", "type=custom", "-q").stdout == b""
    assert mydocker("network", "prune", "-f") == Result(b"", b"", 0)
    done = mydocker("network", "rm", "bridge")
    assert done.code == 1 and b"is the default one, which cannot be removed" in done.stderr


def test_a_damaged_network_is_named_and_can_be_removed(box: Command) -> None:
    (box.store / "networks/db/network.json").write_text("{")
    done = box("network", "ls", "-q")
    assert len(done.stdout.split()) == 2 and done.code == 0
    assert b"network db is damaged" in done.stderr and b"hint: remove it: mydocker network rm db" in done.stderr
    assert box("network", "inspect", "db").code == 125
    assert box("network", "rm", "db") == Result(b"db\n", b"", 0)
    assert box("network", "ls", "-q").stderr == b""


WRONG = [
    ("", "required: COMMAND"),
    ("nonesuch", "unknown command: nonesuch"),
    ("creat x", "unknown command: creat; did you mean 'create'?"),
    ("rm", "required: NETWORK"),
    ("rm -rf", "unknown option: -r"),
    ("inspect", "required: NETWORK"),
    ("ls x", "unrecognized arguments: x"),
    ("ls --filter nmae=x", "unknown key 'nmae'; did you mean 'name'?"),
    ("ls --filter name", "unknown key 'name'"),
    ("ls --filter type=x", "expected type=custom or type=builtin"),
    ("prune --filter until=24h", "unknown key 'until'"),
    ("create", "required: NAME"),
    ("create a b", "unrecognized arguments: b"),
    ("create a/b", "network name 'a/b'"),
    ("create host", "it is reserved"),
    ("create bridge", "it is reserved"),
    ("create --subent 10.0.0.0/24 x", "unknown option: --subent; did you mean '--subnet'?"),
    ("create -d macvlan x", "network driver 'macvlan' is not supported"),
    ("create --driver=overlay x", "network driver 'overlay' is not supported"),
    ("create -o com.docker.network.bridge.enable_icc=false x", "enable_icc' is not supported"),
    ("create --ipam-driver dhcp x", "--ipam-driver is not supported"),
    ("create --config-only x", "--config-only is not supported"),
    ("create --subnet 10.0.0.0 x", "expected a network"),
    ("create --subnet 10.0.0.0/24 --subnet 10.1.0.0/24 x", "one of IPv4 and one of IPv6 at most"),
    ("create --gateway 10.0.0.1 x", "one for each --subnet at most"),
    ("create --subnet fd00::/64 --gateway 10.0.0.1 x", "one for each --subnet at most"),
    ("create --subnet 10.0.0.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2 x", "one for each --subnet at most"),
    ("create --subnet 10.0.0.0/24 --gateway 10.0.1.1 x", "gateway 10.0.1.1"),
    ("create --ip-range 10.0.0.0/24 x", "expected an IPv4 --subnet, too"),
    ("create --subnet 10.0.0.0/24 --ip-range 10.0.1.0/24 x", "IP range 10.0.1.0/24"),
    ("connect web", "required: CONTAINER"),
    ("disconnect", "required: NETWORK, CONTAINER"),
    ("connect --gw-priority 1 web x", "--gw-priority is not supported"),
    ("create --label =x x", "label '=x': it has no name"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_command_line(mydocker: Command, words: str, message: str) -> None:
    done = mydocker("network", *words.split())
    assert (done.stdout, done.code) == (b"", 2) and b"Traceback" not in done.stderr
    assert message in done.stderr.decode()
    assert not mydocker.store.joinpath("networks").exists() or not os.listdir(mydocker.store / "networks")


def test_subnets_of_one_store_do_not_overlap(mydocker: Command) -> None:
    assert mydocker("network", "create", "--subnet", "10.217.0.0/16", "web").code == 0
    done = mydocker("network", "create", "--subnet", "10.217.4.0/24", "db")
    assert done.code == 2 and b"subnet 10.217.4.0/24 overlaps that of network web" in done.stderr


def test_a_store_of_another_user_is_refused(mydocker: Command, tmp_path: pathlib.Path) -> None:
    done = mydocker("network", "create", "x", env={"MYDOCKER_ROOT": "/proc/nonesuch"})
    assert done.code == 125 and b"Traceback" not in done.stderr


class _using:
    """A container in a network, with what `ip` says of its address, that lives as long as the `with`."""

    def __init__(self, mydocker: Command, network: str, *words: str) -> None:
        script = "ip -4 -o addr show eth0; cat"
        self.run = mydocker.start("run", "-i", "--network", network, *words, "alpine", "sh", "-c", script)

    def __enter__(self) -> str:
        assert self.run.stdout
        line = self.run.stdout.readline().decode()
        found = re.search(r"inet ([0-9.]+)/", line)
        assert found, (line, self.run.stderr and self.run.stderr.read())
        return found[1]

    def __exit__(self, *_: object) -> None:
        assert self.run.communicate(timeout=240) == (b"", b"") and self.run.returncode == 0


def _firewall() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def _inspect(mydocker: Command, name: str) -> dict[str, Any]:
    done = mydocker("network", "inspect", name)
    assert (done.stderr, done.code) == (b"", 0)
    [found] = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _on_a_terminal(mydocker: Command, answer: str) -> int:
    master, slave = os.openpty()
    with os.fdopen(master, "wb", buffering=0) as ours:
        run = mydocker.start("network", "prune", stdin=slave, stdout=subprocess.DEVNULL)
        os.close(slave)
        ours.write(f"{answer}\n".encode())
        run.communicate(timeout=240)
    return run.returncode
