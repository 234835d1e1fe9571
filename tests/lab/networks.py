"""A host with a network of its own, on which the command runs, and the containers that it has there.

Several hosts on one machine have interfaces, routes, firewalls and mounts of their own, and share the rest.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from lab.command import Command, command
from lab.machines import Machine, link
from lab.processes import wait_for

ADDRESS, ADDRESS6 = "192.0.2.1", "2001:db8::1"  # the host's
OUTSIDE, OUTSIDE6 = "192.0.2.9", "2001:db8::9"
READY = "echo ready; trap exit TERM; while :; do sleep 1000 & wait; done"


class Host(Machine):
    """A machine with mounts of its own as well; `command` runs on it, with the store of the one that it was made of."""

    def __init__(self, command: Command) -> None:
        super().__init__("--mount")
        self._plain = command

    def __enter__(self) -> Host:
        super().__enter__()
        enter = [f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", f"--wd={self._plain.directory}"]
        self.enter = ["nsenter", *enter, "--"]
        self.command = replace(self._plain, prefix=self.enter)
        return self

    def do(self, script: str) -> str:
        """What SCRIPT of sh prints, in the host's mounts as well."""
        done = subprocess.run([*self.enter, "sh", "-euc", script], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def container(self, *options: str, image: str = "alpine", script: str = READY) -> Container:
        """A running container; SCRIPT prints `ready` and goes on."""
        return Container(self.command, *options, image, "sh", "-c", script)

    def traces(self) -> dict[str, list[str]]:
        """What mydocker has in the kernel of this host: interfaces, tables, and rules in chains of others."""
        rules = self._rules()
        links = re.findall(r"^\d+: (md[^:@]*|mydocker[^:@]*)", self.run("ip", "-o", "link"), flags=re.MULTILINE)
        tables = re.findall(r"^table (\w+ mydocker\S*)", rules, flags=re.MULTILINE)
        foreign = [line.strip() for line in re.sub(r"(?ms)^table \w+ mydocker.*?^}", "", rules).splitlines()]
        return {"links": links, "tables": tables, "rules": [line for line in foreign if re.search(r'"m(d|y)', line)]}

    def _rules(self) -> str:
        """All of them; the kernel may change them meanwhile, and nft warns of tables that are iptables'."""
        return subprocess.run(
            [*self.enter, "nft", "list", "ruleset"], check=True, capture_output=True, text=True
        ).stdout

    def wait_until_clean(self) -> None:
        """Until nothing of mydocker's is left in the kernel."""
        wait_for(lambda: not any(self.traces().values()))

    def leases(self) -> list[str]:
        """The addresses that are taken in all networks of the store."""
        return sorted(path.name for path in (self.command.store / "networks").glob("*/leases/*"))


class Container(Machine):
    """Context manager: a container that has begun. `pid` is that of its first process; `run` runs programs of the
    host in the container's network."""

    def __init__(self, command: Command, *words: str) -> None:
        self.process = command.start("run", *words, stdin=subprocess.DEVNULL)
        stdout = self.process.stdout
        assert stdout
        first = stdout.readline()
        if first != b"ready\n":
            raise AssertionError((first, *self.process.communicate(timeout=240)))
        while not (inside := [pid for pid in children(self.process.pid) if self._is_inside(pid)]):
            time.sleep(0.02)  # the list of the kernel may be short while a child ends (proc(5))
        self.pid = inside[0]

    def _is_inside(self, pid: int) -> bool:
        """Whether the network of PID is not that of mydocker."""
        try:
            return os.readlink(f"/proc/{pid}/ns/net") != os.readlink(f"/proc/{self.process.pid}/ns/net")
        except OSError:  # it has ended
            return False

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> tuple[bytes, bytes]:
        """End it as a user does; what it has written."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=240)

    @property
    def helpers(self) -> dict[str, int]:
        """The processes of mydocker for it, by their titles."""
        found: dict[str, int] = {}
        for pid in children(self.process.pid):
            with suppress(OSError):  # it has ended
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
                found |= {title: pid} if title and pid != self.pid else {}  # a zombie has none
        return found

    def helper(self, title: str) -> int:
        """The one with TITLE, once it has that."""
        wait_for(lambda: title in self.helpers)
        return self.helpers[title]

    @property
    def address(self) -> str:
        """Its IPv4 address in its first network."""
        return self.addresses("eth0")[0]

    def addresses(self, interface: str, family: str = "inet") -> list[str]:
        """Those of INTERFACE that are not for the link alone."""
        text = self.run("ip", "-o", f"-{'6' if family == 'inet6' else '4'}", "address", "show", "dev", interface)
        return re.findall(rf"{family} ([^/ ]+)/\d+.* scope global", text)

    def sh(self, script: str) -> str:
        """What SCRIPT, run by the container's own shell, prints."""
        words = self._enter("--net", "--mount", "--pid", "--uts", "--root", "/bin/sh", "-c", script)
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout

    def succeeds(self, *words: str) -> bool:
        """Whether WORDS, a program of the host in the container's network, succeed."""
        return subprocess.run(self._enter("--net", *words), capture_output=True).returncode == 0

    def _enter(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), *words]


def children(pid: int) -> list[int]:
    """The child processes of the main thread of PID."""
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(frozen=True)
class Site:
    """A host, and a machine outside of it that its default route leads to."""

    host: Host
    outside: Machine


def with_image(directory: pathlib.Path, alpine: Command) -> Command:
    """The command with a store in DIRECTORY, in which alpine is present as in that of ALPINE, and no network is."""
    subprocess.run(["cp", "-a", alpine.store, directory / "store"], check=True)
    subprocess.run(["rm", "-rf", directory / "store/networks"], check=True)
    return command(directory, forks=alpine.forks)


@contextmanager
def made_site(ready: Command) -> Iterator[Site]:
    """A site on whose host READY runs."""
    with Host(ready) as host, Machine() as outside:
        addresses = {"ones": (f"{ADDRESS}/24", f"{ADDRESS6}/64"), "others": (f"{OUTSIDE}/24", f"{OUTSIDE6}/64")}
        link(host, outside, "uplink", **addresses)
        host.run("ip", "route", "add", "default", "via", OUTSIDE)
        host.run("ip", "-6", "route", "add", "default", "via", OUTSIDE6)
        yield Site(host, outside)
