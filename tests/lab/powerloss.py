"""What a power loss may take: the system calls of a command, and a disk that forgets whatever was not synced."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lab.command import Command

_CALLS = """
openat write writev pwrite64 ftruncate setxattr lsetxattr fsetxattr mkdir mkdirat symlink symlinkat mknodat link linkat
rename renameat renameat2 fsync fdatasync syncfs
"""
_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. )?(?P<call>\w+)(?P<resumed> resumed>)?(?P<rest>.*)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OPEN = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")


@dataclass(frozen=True)
class Event:
    """`call` on absolute paths. A sync is two events: what is written after it `began` may not be safe when it ends."""

    call: str
    paths: tuple[str, ...]
    began: bool = False


def trace(command: Command, *words: str, log: pathlib.Path) -> list[Event]:
    """What `command(*words)`, which must succeed, asks of the disk."""
    options = ["-f", "-y", "-s", "4096", "-e", f"trace={','.join(_CALLS.split())}", "-o", str(log)]
    done = subprocess.run(
        ["strace", *options, *command.argv(*words)], env=dict(command.environment), capture_output=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return list(_events(log.read_text(errors="replace").splitlines()))


def _events(lines: Sequence[str]) -> Iterator[Event]:
    begun: dict[str, Event] = {}
    failed = _failed(lines)
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if not found or found["call"] not in _CALLS.split():
            continue
        rest = found["rest"]
        if found["resumed"]:
            event = begun.pop(found["pid"], None)
            if event and " = -1 " not in rest:
                yield event
            continue
        event = Event(found["call"], tuple(_paths(found["call"], rest)))
        is_sync = "sync" in event.call
        if event.call == "openat" and "O_CREAT" not in rest or " = -1 " in rest or number in failed:
            continue
        if is_sync:
            yield replace(event, began=True)
        if "<unfinished" in rest and is_sync:
            begun[found["pid"]] = event
        else:
            yield event


def _failed(lines: Sequence[str]) -> set[int]:
    """The numbers of those LINES whose call goes on in another one, and fails there."""
    begun: dict[str, int] = {}
    failed = set()
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found and "<unfinished" in found["rest"]:
            begun[found["pid"]] = number
        elif found and found["resumed"] and " = -1 " in found["rest"]:
            failed.add(begun.get(found["pid"], -1))
    return failed


def _paths(call: str, rest: str) -> list[str]:
    names = [] if "write" in call else _QUOTED.findall(rest)
    places = _OPEN.findall(rest.partition(" = ")[0])
    if call in ("fsync", "fdatasync", "syncfs", "ftruncate", "fsetxattr") or "write" in call:
        return places[:1]
    if call in ("symlink", "symlinkat"):
        names = names[1:]
    names = names[: 2 if "link" in call or "rename" in call else 1]
    return [os.path.normpath(os.path.join((places or ["/"])[0], name)) for name in names]


@dataclass
class Disk:
    """What would be lost: `contents` of files that have not been synced, and `names` whose directory has not; since
    when, in events."""

    root: str
    contents: dict[str, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    _begun: dict[Event, int] = field(default_factory=dict)
    _now: int = 0

    def apply(self, event: Event) -> None:
        """AssertionError if EVENT makes something visible that a power loss would leave half."""
        self._now += 1
        if not event.paths or not all(path.startswith(os.path.dirname(self.root)) for path in event.paths):
            return
        path = event.paths[-1]
        if event.began:
            self._begun[event] = self._now
        elif "sync" in event.call:
            self._sync(path, whole=event.call == "syncfs", since=self._begun[replace(event, began=True)])
        elif "rename" in event.call or event.call in ("link", "linkat"):
            self._publish(event.paths[0], path)
        elif event.call.startswith(("mkdir", "symlink", "mknod", "openat")):
            self.names[path] = self._now
        else:
            self.contents[path] = self._now

    def _sync(self, path: str, *, whole: bool, since: int) -> None:
        """All before event SINCE is safe: of the file or directory PATH, or WHOLE, of what is below it."""
        safe_contents = self._below(path) if whole else {path}
        safe_names = self._below(path) if whole else {name for name in self.names if os.path.dirname(name) == path}
        self.contents = {name: at for name, at in self.contents.items() if at > since or name not in safe_contents}
        self.names = {name: at for name, at in self.names.items() if at > since or name not in safe_names}

    def lost(self) -> set[str]:
        """What would be lost after the command has ended, leftovers aside."""
        return (
            (self.contents.keys() | self.names.keys())
            - self._below(f"{self.root}/incoming")
            - {f"{self.root}/containers", f"{self.root}/layers.lock"}
        )

    def _below(self, *tops: str) -> set[str]:
        prefixes = tuple(f"{top}/" for top in tops)
        return {path for path in self.contents.keys() | self.names.keys() if path.startswith(prefixes)}

    def _publish(self, source: str, target: str) -> None:
        name = os.path.relpath(target, self.root)
        if name.startswith("incoming/"):
            return
        half = self._below(source) | ({source} & self.contents.keys())
        assert not half, f"{name} is made of what is not on disk: {half}"
        room, _, rest = name.partition("/")
        missing: set[str] = set()
        if room == "layers":
            missing = {f"{self.root}/skeletons/{rest}"} & self.names.keys()
        elif room == "refs":
            missing = self._below(*(f"{self.root}/{other}" for other in ("layers", "skeletons", "blobs")))
        assert not missing, f"{name} needs what is not on disk: {missing}"
        self.names[target] = self._now
