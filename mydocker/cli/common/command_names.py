"""What the first words of a command line mean: a command, one of Docker's that has another name here, or neither."""

from __future__ import annotations

from mydocker.cli.common.docker_commands import GROUPS, INSTEAD, RENAMED
from mydocker.cli.manual.catalogue import NAMES
from mydocker.errors import UsageError
from mydocker.nearest import nearest, suggested

FLAGS = {"-h": "help", "--help": "help", "-v": "version", "--version": "version"}
HINT = "see 'mydocker --help'"


def meant(words: list[str]) -> list[str]:
    """WORDS with the name of a command of mydocker at their beginning. Raises UsageError, with the nearest name or with
    what to do instead."""
    name, rest = (words[0], words[1:]) if words else ("help", [])
    if name in NAMES:
        return words or [name]
    if name in FLAGS:
        return [FLAGS[name], *rest]
    if name in RENAMED:
        return [RENAMED[name], *rest]
    if name in GROUPS:
        return _in_group(name, rest)
    if name.startswith("-"):
        near = nearest(name, [flag for flag in FLAGS if flag.startswith("--")])
        raise UsageError(_unknown(f"unknown option: {name}", near), hint=HINT)
    raise _refusal(name, name, (*NAMES, *GROUPS, *RENAMED))


def _in_group(group: str, rest: list[str]) -> list[str]:
    """`image ls -q` is `images -q`."""
    if not rest or rest[0] in FLAGS:
        return ["help", group]
    commands = GROUPS[group]
    if rest[0] in commands:
        return [commands[rest[0]], *rest[1:]]
    raise _refusal(f"{group} {rest[0]}", rest[0], commands, hint=f"see 'mydocker {group} --help'")


def _refusal(shown: str, name: str, known: tuple[str, ...] | dict[str, str], *, hint: str = HINT) -> UsageError:
    message = f"{shown!r} is not a mydocker command"
    if name in INSTEAD:
        return UsageError(message, hint=INSTEAD[name])
    near = nearest(name, known)
    before = shown.removesuffix(name)
    return UsageError(_unknown(message, near and before + near), hint=hint)


def _unknown(message: str, near: str | None) -> str:
    return message + suggested(near)
