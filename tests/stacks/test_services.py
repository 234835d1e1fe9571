"""Servers that a Python program starts, as tests do that people write: a client in another container of the network
writes and reads. The idea is that of the tests that the images of docker-library have.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from lab.command import Command

import mydocker

as_root = pytest.mark.parametrize("loaded", ["as root"], indirect=True, scope="session")  # which this process is
pytestmark = [pytest.mark.root, pytest.mark.stacks, pytest.mark.timeout(600), as_root]  # the first one makes the images

NETWORK = "lan"


@pytest.fixture(autouse=True)
def network(loaded: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in loaded.environment.items():
        monkeypatch.setenv(name, value)
    assert loaded("network", "create", NETWORK).code == 0
    yield
    assert loaded("network", "rm", NETWORK).code == 0
    assert loaded("ps", "-aq").stdout == b""


def client(image: str, *words: str, environment: dict[str, str] | None = None) -> str:
    """What a client prints, in a container of its own in the same network."""
    result = mydocker.run(image, *words, networks=[NETWORK], environment=environment or {}, check=True)
    return result.stdout


def test_postgresql() -> None:
    environment = {"POSTGRES_PASSWORD": "secret", "POSTGRES_DB": "shop"}
    with mydocker.start("postgres:15", networks=[NETWORK], name="db", environment=environment, ports=[5432]) as db:
        db.wait_for(log="init process complete", port=5432)

        def psql(statement: str) -> str:
            words = ("-h", "db", "-U", "postgres", "-d", "shop", "-tAc", statement)
            return client("postgres:15", "psql", *words, environment={"PGPASSWORD": "secret"})

        psql("CREATE TABLE test (a int, b text); INSERT INTO test VALUES (1, 'one'), (2, 'two')")
        assert psql("SELECT sum(a), string_agg(b, ',') FROM test") == "3|one,two\n"
        assert db.exec("psql", "-U", "postgres", "-tAc", "SHOW data_directory").stdout == "/var/lib/postgresql/data\n"
        db.restart()
        db.wait_for(port=5432)
        assert psql("SELECT count(*) FROM test") == "2\n"


def test_mariadb() -> None:
    environment = {"MARIADB_ROOT_PASSWORD": "root", "MARIADB_DATABASE": "shop", "MARIADB_USER": "shop"}
    environment["MARIADB_PASSWORD"] = "secret"
    with mydocker.start("mariadb:10", networks=[NETWORK], name="db", environment=environment) as db:
        db.wait_for(log="init process done", port=3306)

        def sql(statement: str) -> str:
            words = ("-h", "db", "-u", "shop", "-psecret", "-N", "-e", statement, "shop")
            return client("mariadb:10", "mariadb", *words)

        sql("CREATE TABLE test (a int, b varchar(99)); INSERT INTO test VALUES (1, 'one'), (2, 'two')")
        assert sql("SELECT sum(a), group_concat(b ORDER BY a) FROM test") == "3\tone,two\n"


def test_redis() -> None:
    with mydocker.start("redis:7", networks=[NETWORK], name="cache", ports=[6379]) as cache:
        cache.wait_for(log="Ready to accept connections", port=6379)
        assert client("redis:7", "redis-cli", "-h", "cache", "set", "key", "value") == "OK\n"
        assert cache.exec("redis-cli", "get", "key").stdout == "value\n"
        with socket.create_connection(cache.endpoint(6379), 10) as connection:
            connection.sendall(b"GET key\r\nQUIT\r\n")
            assert connection.makefile("rb").read() == b"$5\r\nvalue\r\n+OK\r\n"
        assert cache.exec("id", "-un").stdout == "root\n"
        assert cache.exec("sh", "-c", "stat -c %U /proc/1 /data").stdout == "redis\nredis\n"


def test_memcached() -> None:
    with mydocker.start("memcached:1", "memcached", "-m", "16", networks=[NETWORK], name="cache") as cache:
        cache.wait_for(port=11211)
        script = "printf 'set key 0 60 5\\r\\nvalue\\r\\nget key\\r\\nquit\\r\\n' | curl -s telnet://cache:11211"
        assert client("memcached:1", "sh", "-c", script) == "STORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\n"


def test_nginx_stops_at_once() -> None:
    """By its own stop signal, SIGQUIT, which its image sets."""
    with mydocker.start("nginx", networks=[NETWORK], name="web", ports=[80]) as web:
        web.wait_for(port=80)
        assert "Welcome to nginx" in client("nginx", "curl", "-sS", "http://web/index.nginx-debian.html")
        began = time.monotonic()
        web.stop()
        assert time.monotonic() - began < 5
        assert (web.status, web.exit_code) == ("exited", 0)
