"""The network of another container: --network container:NAME."""

from __future__ import annotations

import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root


def test_it_has_the_other_s_addresses_names_and_loopback(mydocker: Command, tmp_path: pathlib.Path) -> None:
    id_file = tmp_path / "id"
    serve = "hostname -I; exec python3 -m http.server 80"
    words = ("run", "--name", "one", "--cidfile", str(id_file), "--add-host", "db:10.0.0.7", "--rootfs", "/")
    with mydocker.start(*words, "sh", "-c", serve) as process:
        try:
            assert process.stdout
            [address] = process.stdout.readline().decode().split()
            script = "hostname -I; cat /etc/hosts; until curl -sf -o /dev/null http://127.0.0.1; do sleep 0.1; done"
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


def test_of_two_with_a_name_none_is_chosen(mydocker: Command) -> None:
    words = ("run", "-i", "--name", "twin", "--network", "none", "--rootfs", "/", "sh", "-c", "echo up; read line")
    with mydocker.start(*words) as one, mydocker.start(*words) as two:
        for each in (one, two):
            assert each.stdout and each.stdout.readline() == b"up\n"
        done = mydocker("run", "--network", "container:twin", "--rootfs", "/", "true")
        assert done.code == 125
        assert done.stderr.startswith(b"mydocker: several containers are called twin\nhint: use an ID: ")
        for each in (one, two):
            assert each.stdin
            each.stdin.close()


def test_one_that_does_not_run(mydocker: Command) -> None:
    done = mydocker("run", "--network", "container:nobody", "--rootfs", "/", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.startswith(b"mydocker: no container nobody runs\nhint: ")
