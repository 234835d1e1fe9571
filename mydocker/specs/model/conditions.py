"""Conditions: what must hold on a machine for a service to be started (systemd.unit(5), "Conditions and Asserts")."""

from __future__ import annotations

import os

from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LIMIT = 2**32 - 2  # of a group's number
_MACHINES = {"x86_64": "x86-64", "aarch64": "arm64", "i686": "x86", "armv7l": "arm"}  # uname's, and systemd's


class Condition(Record):
    """That the `kind` of thing called `value` is so, or with `is_negated` is not. Of those with `is_trigger`, one must
    hold; of others, all. Where one with `is_assert` does not hold, that is a failure."""

    kind: str
    value: str
    is_negated: bool = False
    is_trigger: bool = False
    is_assert: bool = False

    def __str__(self) -> str:
        marks = "|" * self.is_trigger + "!" * self.is_negated
        return f"{'Assert' if self.is_assert else 'Condition'}{self.kind}={marks}{self.value}"


def unmet(conditions: Sequence[Condition], environ: Mapping[str, str]) -> Condition | None:
    """The first of CONDITIONS that keeps the service from starting, asserts first; None if nothing does."""
    for is_assert in (True, False):
        same = [each for each in conditions if each.is_assert == is_assert]
        failed = [each for each in same if not _holds(each, environ)]
        plain = [each for each in failed if not each.is_trigger]
        triggers = [each for each in same if each.is_trigger]
        if plain:
            return plain[0]
        if triggers and all(each in failed for each in triggers):
            return triggers[0]
    return None


def _holds(condition: Condition, environ: Mapping[str, str]) -> bool:
    return _TESTS[condition.kind](condition.value, environ) != condition.is_negated


def _has_match(pattern: str) -> bool:
    import glob

    return bool(glob.glob(pattern))


def _is_filled(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def _has_content(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _is_writable_system(path: str) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _is_user(text: str) -> bool:
    """A name or a number; `@system` are the users below 1000."""
    import pwd

    number = os.geteuid()
    if text == "@system":
        return number < 1000 or number == 65534
    try:
        return text in (str(number), pwd.getpwuid(number).pw_name)
    except KeyError:
        return False


def _is_in_group(text: str) -> bool:
    import grp

    numbers = {os.getegid(), *os.getgroups()}
    try:
        number = whole_number(text, _LIMIT)
        return (grp.getgrnam(text).gr_gid if number is None else number) in numbers
    except KeyError:
        return False


def _has_variable(text: str, environ: Mapping[str, str]) -> bool:
    name, equals, value = text.partition("=")
    return environ.get(name) == value if equals else name in environ


def _is_machine(text: str) -> bool:
    own = os.uname().machine
    return text in ("native", own, _MACHINES.get(own, own))


def _is_host(text: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(os.uname().nodename.lower(), text.lower())


def _has_parameter(text: str) -> bool:
    try:
        with open("/proc/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().split()
    except OSError:
        return False
    return text in words or (("=" not in text) and any(word.startswith(f"{text}=") for word in words))


_TESTS: dict[str, Callable[[str, Mapping[str, str]], bool]] = {
    "PathExists": lambda path, environ: os.path.exists(path),
    "PathExistsGlob": lambda pattern, environ: _has_match(pattern),
    "PathIsDirectory": lambda path, environ: os.path.isdir(path),
    "PathIsSymbolicLink": lambda path, environ: os.path.islink(path),
    "PathIsMountPoint": lambda path, environ: os.path.ismount(path),
    "PathIsReadWrite": lambda path, environ: _is_writable_system(path),
    "DirectoryNotEmpty": lambda path, environ: _is_filled(path),
    "FileNotEmpty": lambda path, environ: _has_content(path),
    "FileIsExecutable": lambda path, environ: os.path.isfile(path) and os.access(path, os.X_OK),
    "User": lambda text, environ: _is_user(text),
    "Group": lambda text, environ: _is_in_group(text),
    "Environment": _has_variable,
    "Architecture": lambda text, environ: _is_machine(text),
    "Host": lambda text, environ: _is_host(text),
    "KernelCommandLine": lambda text, environ: _has_parameter(text),
}
KINDS = (*_TESTS,)
