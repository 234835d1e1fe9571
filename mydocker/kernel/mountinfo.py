"""What is mounted where in this mount namespace: /proc/self/mountinfo, read (proc(5)). Not on the warm path."""

from __future__ import annotations

from mydocker.record import Record

ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\"))  # the backslash last


class Mount(Record):
    """One line: directory `root` of a file system is mounted at `path`. `peers`: `shared:1`, `master:2`, …."""

    number: int
    root: str
    path: str
    peers: tuple[str, ...]
    fstype: str
    source: str
    options: tuple[str, ...]  # of the file system, not of the mount


def mounts() -> list[Mount]:
    """All mounts, the latest last."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        return [_parse(line.rstrip("\n")) for line in lines]


def mount_of(descriptor: int) -> Mount | None:
    """The mount on which the file open at DESCRIPTOR is (proc_pid_fdinfo(5), mnt_id); None if that is not in this mount
    namespace."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
        facts = dict(line.split(":", 1) for line in lines)
    number = int(facts["mnt_id"])
    return next((each for each in mounts() if each.number == number), None)


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    number, _, _, root, path, _, *peers = before.split(" ")
    fstype, source, options = after.split(" ", 2)
    return Mount(
        number=int(number),
        root=_plain(root),
        path=_plain(path),
        peers=tuple(peers),
        fstype=fstype,
        source=_plain(source),
        options=tuple(options.split(",")),
    )


def _plain(field: str) -> str:
    """FIELD with its octal escapes decoded."""
    for octal, character in ESCAPES:
        field = field.replace(octal, character)
    return field
