"""The parser of the commands that are not on the warm path: argparse, with mydocker's help and errors."""

from __future__ import annotations

import argparse
import re

from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.errors import UsageError
from mydocker.nearest import did_you_mean
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.flags import unknown_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from mydocker.cli.manual.page import Argument, Entry, Group, Page
    from mydocker.specs.flags import Flag

_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
_ALL = "all"  # the word after --help that selects the full text
Pairs = tuple[tuple[str, str], ...]


def number_up_to(most: int, *, least: int = 1, called: str = "number") -> Callable[[str], int]:
    """The type of an argument that is a whole number from LEAST to MOST; what it is CALLED if it is another one."""

    def parse(text: str) -> int:
        found = whole_number(text, most)
        if found is None or found < least:
            raise ValueError
        return found

    parse.__name__ = called  # by which argparse names it
    return parse


class _Formatter(argparse.HelpFormatter):
    """One that does not ask how wide the terminal is, for which it imports a tenth of a command's start: the help is
    `Parser.page`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError where it would print and exit, and that takes no abbreviated options.

    The first sentence of its help is that of the catalogue, or SUMMARY; TEXT follows. EXITS are exit codes and
    EXAMPLES command lines with their meaning. MORE makes what `--help all` shows besides. INSTEAD has, by option, what
    to do in place of one that other tools have.
    """

    def __init__(
        self,
        command: str,
        *,
        summary: str = "",
        usage: str = "",
        text: str = "",
        exits: Pairs = (),
        examples: Pairs = (),
        more: Callable[[], tuple[Group, ...]] | None = None,
        instead: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prog=f"mydocker {command}", allow_abbrev=False, add_help=False, formatter_class=_Formatter)
        self.command, self.text, self.exits, self.examples, self.more = command, text, exits, examples, more
        self.summary = summary or COMMANDS[command].summary
        self.usage_lines = (usage,) if summary else COMMANDS[command].usage
        self.instead = instead or {}
        self.actions: list[argparse.Action] = []
        self.subparsers: dict[str, Parser] = {}  # by name, and not by their other names
        self.subcommands: set[str] = set()
        self._commands: argparse._SubParsersAction[_SubParser] | None = None
        self.add_argument("-h", "--help", action=_Help, help="print this text")

    def add_argument(self, *words: str, **options: Any) -> argparse.Action:
        action = super().add_argument(*words, **options)
        self.actions.append(action)
        return action

    def add_flags(self, table: tuple[Flag, ...]) -> None:
        """The options of TABLE, which flags.py reads: here for the help alone."""
        for row in table:
            if row.metavar:
                action = "append" if row.repeatable else "store"
                self.add_argument(*row.flags, action=action, metavar=row.metavar, help=row.help)
            else:
                self.add_argument(*row.flags, action="store_true", help=row.help)

    def add_command(
        self,
        name: str,
        action: Callable[[argparse.Namespace], int],
        usage: str,
        summary: str,
        *,
        text: str = "",
        aliases: tuple[str, ...] = (),
        instead: Mapping[str, str] | None = None,
    ) -> Parser:
        """A command NAME of this command, as `ls` is of `volume`; the namespace has ACTION as `action`."""
        if self._commands is None:
            self._commands = self.add_subparsers(required=True, metavar="COMMAND", parser_class=_SubParser)
        parser = self._commands.add_parser(
            name, aliases=aliases, summary=summary, usage=usage, text=text, instead=instead
        )
        parser.set_defaults(action=action)
        self.subparsers[name] = parser
        self.subcommands |= {name, *aliases}
        return parser

    def add_profiles(self) -> None:
        """The option --profile, as `docker compose` has it."""
        self.add_argument(
            "--profile",
            action="append",
            default=[],
            metavar="NAME",
            help="include the containers of this profile, * for all; may be repeated",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it; an unknown option is refused before anything else is."""
        self._check_options(args or [])
        return super().parse_known_args(args, namespace)

    def _check_options(self, words: Sequence[str]) -> None:
        known = {flag for action in self.actions for flag in action.option_strings}
        for word in words:
            if word == "--" or word in self.subcommands:  # whose options are its own
                return
            flag = word.partition("=")[0]
            is_option = word.startswith("-") and word != "-" and " " not in word
            if not is_option or flag in known or _NEGATIVE_NUMBER.fullmatch(word):
                continue
            if flag.startswith("--") or flag[:2] not in known or flag in self.instead:
                self._refuse(flag, known)

    def _refuse(self, flag: str, known: set[str]) -> NoReturn:
        raise unknown_option(flag, known, command=self.prog.removeprefix("mydocker "), instead=self.instead)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Before Python 3.12.5, argparse takes -- out of `--option=--` as well, and leaves an empty list as the
        value."""
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in self.subcommands:
            self.error(f"unknown command: {value}" + did_you_mean(value, self.subcommands))
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see '{self.prog} --help'")

    def format_help(self) -> str:
        from mydocker.cli.manual.text import rendered

        return rendered(self.page()) + "\n"

    def page(self) -> Page:
        """The description of the command."""
        from mydocker.cli.manual.page import Group, Page

        shown = [action for action in self.actions if action.help != argparse.SUPPRESS]
        options = [_entry(action) for action in shown if action.option_strings]
        options.sort(key=lambda entry: "--help" in entry.flags)  # the last one
        return Page(
            name=self.command,
            usage=tuple(f"{self.command} {line}".rstrip() for line in self.usage_lines),
            text=tuple(filter(None, (f"{self.summary}.", self.text))),
            arguments=tuple(_argument(action) for action in shown if not action.option_strings),
            groups=(Group(title="options", entries=tuple(options)),),
            more=self.more() if self.more else (),
            exits=self.exits,
            examples=self.examples,
            subcommands=tuple(parser.page() for parser in self.subparsers.values()),
        )


class _SubParser(Parser):
    """As argparse makes one: with the whole name, for instance `mydocker volume ls`."""

    def __init__(self, *, prog: str, summary: str, usage: str, text: str, instead: Mapping[str, str] | None) -> None:
        super().__init__(prog.removeprefix("mydocker "), summary=summary, usage=usage, text=text, instead=instead)


class _Help(argparse.Action):
    """--help, and --help all."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs="?", default=argparse.SUPPRESS, help=help)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: object, option: object = None
    ) -> None:
        from mydocker.cli.manual.text import rendered

        assert isinstance(parser, Parser)
        print(rendered(parser.page(), everything=values == _ALL))
        parser.exit()


def _entry(action: argparse.Action) -> Entry:
    from mydocker.cli.manual.page import Entry

    takes_value = action.nargs != 0 and not isinstance(action, _Help)
    choices = tuple(str(choice) for choice in action.choices or ())
    metavar = (str(action.metavar or "|".join(choices)) or action.dest.upper()) if takes_value else ""
    return Entry(flags=tuple(action.option_strings), metavar=metavar, help=_sentence(action), choices=choices)


def _argument(action: argparse.Action) -> Argument:
    from mydocker.cli.manual.page import Argument

    metavar = str(action.metavar or action.dest.upper())
    forms = {"+": f"{metavar}...", "*": f"[{metavar}...]", "?": f"[{metavar}]"}
    choices = tuple(str(choice) for choice in action.choices or ())
    usage = forms.get(str(action.nargs), metavar)
    return Argument(metavar=metavar, usage=usage, help=_sentence(action), choices=choices)


def _sentence(action: argparse.Action) -> str:
    """The help of ACTION with a capital letter, unless its first word is to be typed like that."""
    help = action.help or ""
    is_word = help.partition(":")[0] in [str(choice) for choice in action.choices or ()]
    return help if is_word else f"{help[:1].upper()}{help[1:]}"
