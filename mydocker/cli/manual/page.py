"""The description of one command, as a value: help, the man page and completions are made of it."""

from __future__ import annotations

from mydocker.record import Record


class Entry(Record):
    """An option, or a key of a file. Without a metavar an option is a switch."""

    flags: tuple[str, ...]
    metavar: str = ""
    help: str
    choices: tuple[str, ...] = ()
    common: bool = True  # whether the short help has it, too


class Argument(Record):
    """A positional argument. `usage` is how the line of usage has it, such as `[IMAGE...]`."""

    metavar: str
    usage: str
    help: str
    choices: tuple[str, ...] = ()


class Group(Record):
    """Entries under a heading."""

    title: str
    entries: tuple[Entry, ...]


class Page(Record):
    """`text` is a sentence and perhaps more paragraphs; `more` is what the full help alone has. With `command_follows`,
    options end at the first argument: the words after it are another command line."""

    name: str
    usage: tuple[str, ...]
    text: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    groups: tuple[Group, ...] = ()
    more: tuple[Group, ...] = ()
    exits: tuple[tuple[str, str], ...] = ()
    examples: tuple[tuple[str, str], ...] = ()  # (command line, what it does)
    subcommands: tuple[Page, ...] = ()
    command_follows: bool = False

    @property
    def options(self) -> tuple[Entry, ...]:
        return tuple(entry for group in self.groups for entry in group.entries)
