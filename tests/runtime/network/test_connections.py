"""A run in its networks: several at once, that of another container, and those that a Compose file defines."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command, Result
from lab.processes import within

pytestmark = pytest.mark.root

ONE, TWO, INSIDE = "10.222.1.0/24", "10.222.2.0/24", "10.222.3.0/24"


@contextmanager
def _networks(mydocker: Command) -> Iterator[None]:
    for name, subnet, more in (("one", ONE, ()), ("two", TWO, ()), ("inside", INSIDE, ("--internal",))):
        assert mydocker("network", "create", "--subnet", subnet, *more, name).code == 0
    yield
    for name in ("one", "two", "inside"):
        assert mydocker("network", "rm", name).code == 0


@pytest.mark.parametrize(
    ("options", "route"),
    [
        (("one", "two"), "via 10.222.1.1 dev eth0"),
        (("two", "one"), "via 10.222.2.1 dev eth0"),
        (("inside", "one"), "via 10.222.1.1 dev eth1"),
        (("one", "name=two,gw-priority=1"), "via 10.222.2.1 dev eth1"),
        (("inside",), ""),
        (("name=one,driver-opt=com.docker.network.endpoint.ifname=wan0",), "via 10.222.1.1 dev wan0"),
    ],
)
def test_the_default_route(mydocker: Command, options: tuple[str, ...], route: str) -> None:
    words = [word for option in options for word in ("--network", option)]
    with _networks(mydocker):
        done = mydocker("run", *words, "--rootfs", "/", "ip", "route", "show", "default")
    assert (done.stderr, done.code) == (b"", 0)
    assert done.stdout.decode().strip() == (f"default {route}" if route else "")


_GET = 'import urllib.request; urllib.request.urlopen("http://127.0.0.1")'


def test_it_has_the_other_s_addresses_names_and_loopback(mydocker: Command, tmp_path: pathlib.Path) -> None:
    id_file = tmp_path / "id"
    serve = "hostname -I; exec python3 -m http.server 80"
    words = ("run", "--name", "one", "--cidfile", str(id_file), "--add-host", "db:10.0.0.7", "--rootfs", "/")
    with mydocker.start(*words, "sh", "-c", serve) as process:
        try:
            assert process.stdout
            [address] = process.stdout.readline().decode().split()
            script = f"hostname -I; cat /etc/hosts; until python3 -c '{_GET}'; do sleep 0.1; done 2>/dev/null"
            for other in ("one", id_file.read_text().strip(), id_file.read_text()[:12], id_file.read_text()[:5]):
                done = mydocker("run", "--network", f"container:{other}", "--rootfs", "/", "sh", "-c", script)
                assert (done.stderr, done.code) == (b"", 0)
                first, *hosts = done.stdout.decode().splitlines()
                assert first.split() == [address]
                assert f"{address}\t{id_file.read_text()[:12]}" in hosts and "10.0.0.7\tdb" in hosts
            refused = mydocker("run", "--network", "container:one", "-p", "80:80", "--rootfs", "/", "true")
            assert refused.code == 125 and b"exclude each other" in refused.stderr
        finally:
            process.kill()


@pytest.mark.parametrize("network", ["bridge", "none"])
def test_it_has_the_other_s_host_name_and_name_servers(mydocker: Command, network: str) -> None:
    words = ("run", "-i", "--network", network, "--name", "one", "-h", "box", "--dns", "10.1.2.3", "--rootfs", "/")
    with mydocker.start(*words, "sh", "-c", "echo up; read line") as process:
        assert process.stdout and process.stdout.readline() == b"up\n"
        script = 'hostname; echo "$HOSTNAME"; cat /etc/hostname; grep -c 10.1.2.3 /etc/resolv.conf'
        done = mydocker("run", "--network", "container:one", "--rootfs", "/", "sh", "-c", script)
        assert done == Result(b"box\nbox\nbox\n1\n", b"", 0)
        process.communicate(b"\n", timeout=240)


def test_a_name_means_one_container(mydocker: Command) -> None:
    words = ("run", "-i", "--name", "twin", "--network", "none", "--rootfs", "/", "sh", "-c", "echo up; read line")
    with mydocker.start(*words) as one:
        assert one.stdout and one.stdout.readline() == b"up\n"
        again = mydocker(*words)
        assert (again.stdout, again.code) == (b"", 125)
        assert again.stderr.startswith(b"mydocker: the name 'twin' is in use by container ")
        assert mydocker("run", "--network", "container:twin", "--rootfs", "/", "true").code == 0
        assert one.stdin
        one.stdin.close()


def test_one_that_does_not_run(mydocker: Command) -> None:
    done = mydocker("run", "--network", "container:nobody", "--rootfs", "/", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.startswith(b"mydocker: no container nobody runs\nhint: ")


FILE = """
name: shop
services:
  web:
    rootfs: /
    command: python3 -m http.server 80
    networks: {front: {aliases: [www]}}
    healthcheck:
      test: [CMD, python3, -c, 'import urllib.request; urllib.request.urlopen("http://127.0.0.1")']
      interval: 200ms
      retries: 300
  app:
    rootfs: /
    command:
    - python3
    - -c
    - 'import urllib.request as u; print([u.urlopen("http://" + name).status for name in ("web", "www")])'
    networks: [front, back]
    depends_on: {web: {condition: service_healthy}}
networks:
  front: {ipam: {config: [{subnet: 10.223.1.0/24}]}}
  back: {internal: true}
"""


def test_they_reach_each_other_by_name_and_nothing_is_left(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILE)
    done = mydocker("up", "--exit-code-from", "app", "--no-log-prefix", "compose.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"[200, 200]\n", 0), done.stderr
    assert within(200, lambda: _left(mydocker) == [])


def _left(mydocker: Command) -> list[str]:
    names = [path.name for path in (mydocker.store / "networks").iterdir()]
    addresses = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, text=True, check=True).stdout
    return [*names, *(line for line in addresses.splitlines() if "10.223.1." in line)]


def test_one_that_was_created_stays(mydocker: Command, tmp_path: pathlib.Path) -> None:
    assert mydocker("network", "create", "shop_front").code == 0
    (tmp_path / "compose.yaml").write_text(FILE.replace("front: {ipam", "front: {external: true, name: shop_front} #"))
    assert mydocker("up", "--exit-code-from", "app", "compose.yaml", cwd=tmp_path).code == 0
    time.sleep(1)
    assert within(100, lambda: mydocker("network", "rm", "shop_front").code == 0)  # its last one may still leave it
