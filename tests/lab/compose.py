"""A stack: a folder with a Compose file on a host, and what `mydocker` does with it."""

from __future__ import annotations

import json
import os
import pathlib
import urllib.request
from collections.abc import Callable
from dataclasses import replace

from lab.command import Command
from lab.networks import Host
from lab.processes import mentioning, within

PATIENCE = 240  # seconds; others use the machine, too


class Stack:
    """A folder with a Compose file on HOST."""

    def __init__(self, host: Host, folder: pathlib.Path, project: str) -> None:
        self.host, self.folder, self.project = host, folder, project
        enter = [word if not word.startswith("--wd=") else f"--wd={folder}" for word in host.enter]
        own = host.command.prefix[len(host.enter) :]
        self.mydocker = replace(host.command, prefix=(*enter, *own))

    @property
    def is_users(self) -> bool:
        """Whether an ordinary user has it."""
        return "setpriv" in self.mydocker.prefix

    def __call__(self, *words: str, input: bytes = b"") -> str:
        """What the command WORDS prints, once it has succeeded."""
        done = self.mydocker(*words, input=input, timeout=PATIENCE)
        assert done.code == 0, f"{words}: {done.stdout.decode()}{done.stderr.decode()}\n{self.story()}"
        return done.stdout.decode()

    def story(self) -> str:
        """What the containers have written, for whoever reads why a test has failed."""
        names = self.mydocker("ps", "-a", "--format", "{{.Names}}").stdout.decode().split()
        parts = [self.mydocker("ps", "-a").stdout]
        parts += [_log(self.mydocker, name) for name in names]
        return b"\n".join(parts).decode(errors="replace")

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def port(self, container: str, port: int) -> int:
        """Where PORT of CONTAINER is on the host."""
        return int(self("port", container, str(port)).split()[0].rpartition(":")[2])

    def fetch(self, container: str, port: int, path: str = "/") -> str:
        """What an HTTP server in CONTAINER returns by its published port."""
        number = self.port(container, port)
        with self.host.inside(), urllib.request.urlopen(f"http://127.0.0.1:{number}{path}", timeout=100) as response:
            text: str = response.read().decode()
            return text

    def inspect(self, container: str) -> dict[str, dict[str, object]]:
        [found] = json.loads(self("inspect", container))
        return dict(found)

    def kill(self, container: str) -> None:
        """Kill the first process of CONTAINER, as the kernel may; wait until it has been started again, and is as it
        was before."""
        before = self.inspect(container)
        os.kill(int(str(before["State"]["Pid"])), 9)

        def is_back() -> bool:
            now = self.inspect(container)
            return now["RestartCount"] != before["RestartCount"] and _health(now) == _health(before)

        assert within(PATIENCE, is_back), self.story()

    def eventually(self, check: Callable[[], bool]) -> bool:
        """Whether CHECK holds within the time that a test has; refused connections are no."""

        def holds() -> bool:
            try:
                return check()
            except OSError:
                return False

        return within(PATIENCE, holds)

    def leftovers(self) -> list[str]:
        """What is there of the stack, but for its images."""
        store = self.mydocker.store
        found = [f"store: {path.relative_to(store)}" for name in _LIVING for path in (store / name).glob("[!.]*")]
        found = [each for each in found if each != "store: background/names"]
        found += [f"name: {path.name}" for path in (store / "background/names").glob("[!.]*")]
        found += [f"mount: {line}" for line in self.host.do("cat /proc/self/mounts").splitlines() if str(store) in line]
        found += [f"process: {pid}" for pid in mentioning(f"mydocker-keeper {self.project}")]
        return found + [f"{kind}: {each}" for kind, all in self.host.traces().items() for each in all]


_LIVING = ("background", "containers", "kept", "networks", "volumes", "incoming")


def _log(mydocker: Command, name: str) -> bytes:
    done = mydocker("logs", name)
    return f"== {name}\n".encode() + done.stdout + done.stderr


def _health(document: dict[str, dict[str, object]]) -> object:
    state = document["State"]
    health = state.get("Health")
    return state["Status"], health["Status"] if isinstance(health, dict) else ""
