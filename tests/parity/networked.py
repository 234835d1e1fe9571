"""The command under test on a host with a network of its own, and a machine outside that reaches its containers."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.command import Command, Result
from lab.machines import Machine
from lab.networks import Host, Site

IMAGE = "docker.io/library/alpine:latest"
MTU = 1400  # bytes, of the host's way to the outside
SERVERS = "nameserver 192.0.2.53\nsearch lab.example\n"  # the host's resolv.conf, unless a test changes it
_WAIT = "echo $(readlink /proc/self/ns/net); trap exit TERM; while :; do sleep 1000 & wait; done"


class Server(Machine):
    """A container that runs, as a machine; `name` is that of its --name."""

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self.pid = min(pid for pid in map(int, _numbers()) if _namespace(pid) == namespace)


@dataclass(frozen=True)
class Networked:
    """`networked.run("-p", "80", argv=["true"])` waits for a Result."""

    name: str
    command: Command
    site: Site
    resolv_conf: pathlib.Path  # the host's

    @property
    def host(self) -> Host:
        return self.site.host

    def run(self, *options: str, argv: tuple[str, ...]) -> Result:
        return self.command("run", "--rm", *options, IMAGE, *argv, timeout=120)

    def sh(self, script: str, *options: str) -> str:
        """The output of SCRIPT, which must succeed silently."""
        done = self.run(*options, argv=("sh", "-c", script))
        assert (done.stderr, done.code) == (b"", 0), done
        return done.stdout.decode()

    @contextmanager
    def server(self, *options: str, name: str = "") -> Iterator[Server]:
        """A container with OPTIONS that runs meanwhile."""
        name = name or f"server-{uuid.uuid4().hex[:8]}"
        words = ["run", "--rm", "--name", name, *options, IMAGE, "sh", "-c", _WAIT]
        with self.command.start(*words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                assert process.stdout
                namespace = process.stdout.readline().decode().strip()
                if not namespace:
                    raise AssertionError(process.communicate(timeout=240))
                yield Server(name, namespace)
            finally:
                if self.name == "mydocker":  # there is no daemon to ask
                    process.send_signal(signal.SIGTERM)
                else:
                    self.command("stop", "-t", "20", name)
                process.communicate(timeout=240)

    @contextmanager
    def network(self, *options: str) -> Iterator[str]:
        """The name of a network that is there meanwhile."""
        name = f"net-{uuid.uuid4().hex[:8]}"
        done = self.command("network", "create", *options, name)
        assert done.code == 0, done
        try:
            yield name
        finally:
            done = self.command("network", "rm", name)
        assert done.code == 0, done


def _numbers() -> list[str]:
    return [path.name for path in pathlib.Path("/proc").iterdir() if path.name.isdecimal()]


def _namespace(pid: int) -> str:
    try:
        return str(pathlib.Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:  # it has just ended
        return ""
