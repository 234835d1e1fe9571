"""Specifiers of unit files (systemd.unit(5), "Specifiers"), and the variables of command lines (systemd.service(5)).

Without systemd, their values come from the unit's name, the caller and the host.
"""

from __future__ import annotations

import os
import pwd

from mydocker import paths
from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_HEX = frozenset("0123456789abcdefABCDEF")
_SYSTEM = {"t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc"}
_OWN = {  # of an ordinary user: a variable, and where in the home it is without one (XDG Base Directory)
    "S": ("XDG_STATE_HOME", ".local/state"),
    "C": ("XDG_CACHE_HOME", ".cache"),
    "E": ("XDG_CONFIG_HOME", ".config"),
}


class Unit(Record):
    """A unit by the name of its file. `variables` are those that a command line may use."""

    path: str  # absolute, of the file
    instance: str  # of NAME@INSTANCE, else empty
    prefix: str  # of that, or the whole name
    variables: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.prefix}@{self.instance}" if self.instance else self.prefix


def expand(value: str, unit: Unit) -> str:
    """VALUE with its specifiers replaced. Raises UsageError for one that has no value without systemd."""
    before, *rest = value.split("%")
    parts, literal = [before], False
    for text in rest:
        if literal or not text:  # the second of two percent signs, or the first
            parts.append(f"%{text}" if literal else "")
            literal = not literal
        else:
            parts.append(_value(text[0], unit) + text[1:])
    if literal:
        raise UsageError(f"a '%' without its letter in {value!r}", hint="write %% for a percent sign")
    return "".join(parts)


def _value(letter: str, unit: Unit) -> str:
    if letter in _OF_UNIT:
        return _OF_UNIT[letter](unit)
    if letter in "tSCLE":
        return _directory(letter, unit.variables)
    if letter in _OF_HOST:
        return _OF_HOST[letter]()
    raise UsageError(f"specifier '%{letter}' is not supported", hint="write %% for a percent sign")


def _directory(letter: str, environ: Mapping[str, str]) -> str:
    if os.geteuid() == 0:
        return _SYSTEM[letter]
    if letter == "t":
        return paths.xdg(environ, "XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    if letter == "L":
        return f"{_directory('S', environ)}/log"
    return paths.xdg_or_home(environ, *_OWN[letter])


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise UsageError(f"there is no user {os.geteuid()} in /etc/passwd") from None


def _unescaped(text: str) -> str:
    r"""systemd-escape(1), the other way round: `-` is a slash, `\x2d` a character."""
    before, *rest = text.replace("-", "/").split("\\x")
    return before + "".join(_character(part) for part in rest)


def _character(part: str) -> str:
    if len(part) < 2 or not _HEX.issuperset(part[:2]):
        raise UsageError(f"'\\x{part[:2]}' in the name of the unit is no character")
    return chr(int(part[:2], 16)) + part[2:]


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip().replace("-", "")
    except (OSError, ValueError):
        raise UsageError(f"this machine has no {path}") from None


_OF_UNIT: dict[str, Callable[[Unit], str]] = {
    "n": lambda unit: f"{unit.name}.service",
    "N": lambda unit: unit.name,
    "p": lambda unit: unit.prefix,
    "P": lambda unit: _unescaped(unit.prefix),
    "i": lambda unit: unit.instance,
    "I": lambda unit: _unescaped(unit.instance),
    "j": lambda unit: unit.prefix.rpartition("-")[2],
    "J": lambda unit: _unescaped(unit.prefix.rpartition("-")[2]),
    "y": lambda unit: unit.path,
    "Y": lambda unit: os.path.dirname(unit.path),
    "h": lambda unit: paths.home(unit.variables),
}
_OF_HOST: dict[str, Callable[[], str]] = {
    "u": lambda: _user().pw_name,
    "U": lambda: str(os.geteuid()),
    "G": lambda: str(os.getegid()),
    "s": lambda: _user().pw_shell,
    "H": lambda: os.uname().nodename,
    "l": lambda: os.uname().nodename.partition(".")[0],
    "v": lambda: os.uname().release,
    "m": lambda: _first_line("/etc/machine-id"),
    "b": lambda: _first_line("/proc/sys/kernel/random/boot_id"),
    "T": lambda: "/tmp",
    "V": lambda: "/var/tmp",
}


def replace_variables(text: str, variables: Mapping[str, str]) -> list[str]:
    """The words that one word of a command line becomes (systemd.service(5), "Command lines").

    `${V}` may stand anywhere and is one word, `$V` is a separate word that is split into words, `$$` is a dollar sign.
    Raises UsageError for a variable that is not set: systemd would replace it with nothing.
    """
    if len(text) > 1 and text[0] == "$" and _NAME.issuperset(text[1:]):
        return _variable(text[1:], variables).split()
    parts, rest = [], text
    while rest:
        before, dollar, rest = rest.partition("$")
        parts.append(before)
        if rest.startswith("$"):
            parts.append("$")
            rest = rest[1:]
        elif rest.startswith("{") and "}" in rest:
            name, _, rest = rest[1:].partition("}")
            parts.append(_variable(name, variables))
        else:
            parts.append(dollar)
    return ["".join(parts)]


def unset_variables(text: str, variables: Mapping[str, str]) -> list[str]:
    """The variables that TEXT, a command line, uses and that are not set."""
    found: list[str] = []

    class Seen(dict[str, str]):
        def __contains__(self, name: object) -> bool:
            return True

        def __getitem__(self, name: str) -> str:
            if name not in variables:
                found.append(name)
            return variables.get(name, "x")

    for word in text.split():
        replace_variables(word, Seen())
    return found


def _variable(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        raise UsageError(f"variable {name} is not set", hint="write $$ for a dollar sign")
    return variables[name]
