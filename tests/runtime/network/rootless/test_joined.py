"""An ordinary user's container in the network of another one: `--network container:NAME`, `service:NAME` in files."""

from __future__ import annotations

import os
import pwd

import pytest
from lab.command import Command
from lab.networks import Host

pytestmark = [pytest.mark.root, pytest.mark.rootless]

SERVE = "mkdir /w; echo hello > /w/index.html; httpd -p 80 -h /w; echo ready; trap exit TERM; sleep 1000 & wait"


def test_it_has_the_other_s_addresses_names_and_loopback(owned: Host) -> None:
    assert owned.command("network", "create", "lan").code == 0
    options = ("--network", "lan", "--name", "one", "--add-host", "far:10.0.0.7")
    with owned.container(*options, script=SERVE) as one:
        [run_dir] = (owned.command.store / "containers").iterdir()
        script = (
            "ip -4 -o address show eth0; cat /etc/hosts /etc/resolv.conf; wget -q -O - http://127.0.0.1; "
            "ls /sys/class/net; nc -l -p 81 -e true & ping -c 1 -w 100 -W 100 127.0.0.1 > /dev/null; id -u"
        )
        for other in ("one", run_dir.name, run_dir.name[:5]):
            done = owned.command("run", "--network", f"container:{other}", "alpine", "sh", "-euc", script)
            assert done.code == 0, done
            lines = done.stdout.decode().splitlines()
            assert f" {one.address}/" in lines[0]
            assert {"10.0.0.7\tfar", "nameserver 127.0.0.11", "hello", "eth0", "lo"} <= set(lines)
            assert lines[-1] == "0"
        refused = owned.command("run", "--network", "container:one", "-p", "80:80", "alpine", "true")
        assert refused.code == 125 and b"the other container has" in refused.stderr
        done = owned.command(
            "run", "--network", "container:one", "--privileged", "alpine", "ip", "link", "set", "eth0", "mtu", "1400"
        )
        assert done.code == 0, done


def test_below_an_init_into_which_only_root_may_look(owned: Host) -> None:
    with owned.container("--init", "--name", "one", "--add-host", "far:10.0.0.7") as one:
        done = owned.command("run", "--network", "container:one", "alpine", "cat", "/etc/hosts")
        assert done.code == 0 and b"10.0.0.7\tfar" in done.stdout, done
        assert one.address.encode() in done.stdout


@pytest.mark.parametrize("network", ["bridge", "none"])
def test_other_networks(owned: Host, network: str) -> None:
    with owned.container("--network", network, "--name", "one") as one:
        net, user, *interfaces = _seen(owned.command)
        assert net == os.readlink(f"/proc/{one.pid}/ns/net") and user == os.readlink(f"/proc/{one.pid}/ns/user")
        assert ("eth0" in interfaces, "lo" in interfaces) == (network == "bridge", True)


def test_that_of_one_that_has_the_host_s(owned: Host) -> None:
    words = ("run", "-i", "--network", "host", "--name", "one", "alpine", "sh", "-c", "echo ready; read line")
    with owned.command.start(*words) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        net, _, *interfaces = _seen(owned.command)
        assert net == os.readlink(f"/proc/{process.pid}/ns/net") and "uplink" in interfaces
        process.communicate(b"\n", timeout=240)


def _seen(command: Command) -> list[str]:
    script = "for kind in net user; do readlink /proc/self/ns/$kind; done; cut -s -d: -f1 /proc/net/dev"
    done = command("run", "--network", "container:one", "alpine", "sh", "-euc", script)
    assert done.code == 0, done
    return done.stdout.decode().split()


def test_it_is_as_separate_as_others_but_for_the_network(owned: Host) -> None:
    with owned.container("--name", "one") as one:
        script = "for kind in mnt pid uts ipc net user cgroup; do echo $kind $(readlink /proc/self/ns/$kind); done; "
        script += "ls /proc | grep -c '^[0-9]'"
        done = owned.command("run", "--network", "container:one", "alpine", "sh", "-euc", script)
        *kinds, processes = done.stdout.decode().splitlines()
        pairs = [line.split() for line in kinds]
        shared = {kind for kind, link in pairs if link == os.readlink(f"/proc/{one.pid}/ns/{kind}")}
        assert shared == {"net", "user"} and int(processes) < 6
        done = owned.command("run", "--network", "container:one", "alpine", "sh", "-c", "grep Cap /proc/self/status")
        plain = owned.command("run", "alpine", "sh", "-c", "grep Cap /proc/self/status")
        assert done == plain and done.code == 0


def test_one_that_outlives_the_other(owned: Host) -> None:
    with owned.container("--name", "one") as one, owned.container("--network", "container:one", "--name", "two") as two:
        assert two.address == one.address
        one.end()
        assert two.sh("ip -4 -o address show eth0").split()[3].partition("/")[0]
        with owned.container("--network", "container:two") as three:
            assert three.sh("echo here") == "here\n"


def test_other_ids(owned: Host, ids: bool, user: pwd.struct_passwd) -> None:
    with owned.container("--name", "one", "--userns", "keep-id"):
        done = owned.command("run", "--network", "container:one", "alpine", "true")
        assert done.code == 125 and b"has other user and group IDs" in done.stderr, done
        done = owned.command("run", "--network", "container:one", "--userns", "keep-id", "alpine", "id", "-u")
        assert (done.stdout, done.code) == (f"{user.pw_uid}\n".encode(), 0), done


def test_nobody_of_that_name(owned: Host) -> None:
    done = owned.command("run", "--network", "container:nobody", "alpine", "true")
    assert done.code == 125 and done.stderr.startswith(b"mydocker: no container nobody runs\nhint: ")


def test_a_service_of_the_same_file(owned: Host) -> None:
    """Its healthcheck and the requests of a test are in that network as well."""
    place = owned.command.directory / "case.yaml"
    place.write_text(
        f"name: web\nimage: alpine\ncommand: [sh, -c, '{SERVE}']\n---\n"
        "name: side\nimage: alpine\nnetwork_mode: service:web\ndepends_on: [web]\ncommand: sleep 1000\n"
        "healthcheck: {test: 'wget -q -O - http://127.0.0.1', interval: 200ms, retries: 1000}\n---\n"
        "name: last\nimage: alpine\ndepends_on: {side: {condition: service_healthy}}\ncommand: echo done\n"
    )
    done = owned.command("up", str(place))
    assert done.code == 0 and b"done\n" in done.stdout, done


def test_a_healthcheck_of_root_s_is_in_that_network(alpine: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("joined") / "case.yaml"
    place.write_text(
        f"name: web\nimage: alpine\ncommand: [sh, -c, '{SERVE}']\n---\n"
        "name: side\nimage: alpine\nnetwork_mode: service:web\ndepends_on: [web]\ncommand: sleep 1000\n"
        "healthcheck: {test: 'wget -q -O - http://127.0.0.1 | grep -q hello', interval: 200ms, retries: 1000}\n---\n"
        "name: last\nimage: alpine\ndepends_on: {side: {condition: service_healthy}}\ncommand: echo done\n"
    )
    done = alpine("up", str(place))
    assert done.code == 0 and b"done\n" in done.stdout, done


def test_processes_and_shared_memory_go_with_the_network(owned: Host) -> None:
    """An ordinary user's container is in the user namespace of one other container, which owns all that is shared."""
    with owned.container("--name", "one") as one:
        shared = ("--pid", "container:one", "--ipc", "container:one")
        script = (
            "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc; tr '\\0' ' ' < /proc/1/cmdline; : > /dev/shm/x"
        )
        done = owned.command("run", "--network", "container:one", *shared, "alpine", "sh", "-euc", script)
        assert done.code == 0, done
        pid, ipc, command = done.stdout.decode().splitlines()
        assert [pid, ipc] == [os.readlink(f"/proc/{one.pid}/ns/{kind}") for kind in ("pid", "ipc")]
        assert command.startswith("sh ")
        assert owned.command("exec", "one", "ls", "/dev/shm").stdout == b"x\n"
        refused = owned.command("run", *shared, "alpine", "true")
        assert refused.code == 125 and b"only together with its network" in refused.stderr
