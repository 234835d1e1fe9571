"""`--tmpfs DST[:OPTIONS]` and the key `tmpfs`: OPTIONS are those of mount(8) for tmpfs, joined by commas."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import TmpfsMount
from mydocker.specs.mounts.volume import clean_target
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.values import Scope

_ID_LIMIT = 2**31 - 1
_MODE_LIMIT = 0o7777
_PERCENT_LIMIT = 999

_SWITCHES: dict[str, dict[str, Any]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "exec": {"executable": True},
    "noexec": {"executable": False},
    "suid": {"setuid": True},
    "nosuid": {"setuid": False},
    "noatime": {"access_times": "noatime"},
    "strictatime": {"access_times": "strictatime"},
    **dict.fromkeys(("relatime", "atime", "nostrictatime"), {"access_times": ""}),
    # no file system in memory differs by these
    **dict.fromkeys(("nodev", "async", "sync", "dirsync", "diratime", "nomand"), {}),
}


def parse_tmpfs(text: str, scope: Scope) -> TmpfsMount:
    """Without options noexec, nosuid and nodev, as for Docker."""
    target, _, options = text.partition(":")
    values: dict[str, Any] = {}
    for option in options.split(",") if options else []:
        values |= _option(option)
    return TmpfsMount(target=clean_target(target), **values)


def _option(option: str) -> dict[str, Any]:
    if option in _SWITCHES:
        return _SWITCHES[option]
    if option == "dev":
        raise UsageError("tmpfs option 'dev': a container opens no device files but those in /dev")
    key, _, value = option.partition("=")
    if key == "size":
        return {"size": parse_share(value) if value.endswith("%") else parse_size(value)}
    if key == "nr_inodes":
        return {"inodes": parse_size(value)}
    if key == "mode":
        return {"mode": parse_mode(value)}
    if key in ("uid", "gid"):
        return {key: _id(key, value)}
    raise UsageError(f"unknown tmpfs option {option!r}")


def parse_share(text: str) -> int:
    """`50%` of this machine's memory, in bytes (tmpfs(5))."""
    import os

    number = whole_number(text.removesuffix("%"), _PERCENT_LIMIT)
    if number is None:
        raise UsageError(f"size {text!r}: expected a size such as 64m, or a percentage of the memory")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * number // 100


def parse_mode(text: str) -> int:
    """The permission bits of an octal number, with or without `0o`."""
    digits = text.removeprefix("0o")
    if not digits or len(digits) > 6 or not set("01234567").issuperset(digits) or int(digits, 8) > _MODE_LIMIT:
        raise UsageError(f"mode {text!r}: expected an octal number such as 1777 or 0755")
    return int(digits, 8)


def _id(key: str, text: str) -> int:
    number = whole_number(text, _ID_LIMIT)
    if number is None:
        raise UsageError(f"tmpfs option {key}={text}: expected a number up to {_ID_LIMIT}")
    return number
