"""Help as text: usage, a sentence, arguments, options in groups, exit codes, and examples at the end."""

from __future__ import annotations

import textwrap

from mydocker.cli.manual.page import Group
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mydocker.cli.manual.page import Entry, Page

WIDTH = 100
_COLUMN = 34  # where explanations begin, at most
_HELP = "-h, --help"


def rendered(page: Page, *, everything: bool = False) -> str:
    """The help of a command. With EVERYTHING, also what is rarely needed."""
    groups = [*page.groups, *page.more] if everything else _common(page)
    parts = [_usage(page.usage), *(textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in page.text)]
    if page.subcommands:
        rows = [(_short(sub), _first(sub.text)) for sub in page.subcommands]
        parts.append(section("commands", rows))
    if any(argument.help for argument in page.arguments):
        parts.append(section("arguments", [(argument.usage, argument.help) for argument in page.arguments]))
    parts += [section(group.title, [(shown(entry), entry.help) for entry in group.entries]) for group in groups]
    if has_more(page) and not everything:
        parts.append(f"All {_what(page)}: mydocker {page.name} --help all")
    if page.exits:
        parts.append(section("exit codes", page.exits))
    if page.examples:
        parts.append(section("examples", page.examples))
    return "\n\n".join(part for part in parts if part)


def has_more(page: Page) -> bool:
    """Whether the short help leaves something out."""
    return bool(page.more) or any(not entry.common for entry in page.options)


def section(title: str, entries: Iterable[tuple[str, str]], *, column: int = 0) -> str:
    """ENTRIES in two columns under TITLE; nothing, if there are none. COLUMN, if it is not 0, is that of the second."""
    rows = list(entries)
    if not rows:
        return ""
    column = column or min(_COLUMN, max(len(left) for left, _ in rows) + 4)
    lines = [f"{title[0].upper()}{title[1:]}:"]
    for left, right in rows:
        lines += _row(f"  {left}", right, column)
    return "\n".join(lines)


def shown(entry: Entry) -> str:
    """`-e, --env NAME[=VALUE]`, the long flags in one column."""
    first = entry.flags[0]
    indent = "    " if first.startswith("--") else ""
    return f"{indent}{', '.join(entry.flags)} {entry.metavar}".rstrip()


def _row(head: str, right: str, column: int) -> list[str]:
    above = []
    if len(head) > column - 2:
        above, head = [head], ""
    return above + textwrap.wrap(
        right, WIDTH, initial_indent=head.ljust(column), subsequent_indent=" " * column, break_on_hyphens=False
    )


def _usage(lines: Sequence[str]) -> str:
    return "\n".join(f"{'Usage:' if not number else '      '} mydocker {line}" for number, line in enumerate(lines))


def _common(page: Page) -> list[Group]:
    """The groups, or what is common in them under one heading."""
    if all(entry.common for entry in page.options):
        return [*page.groups]
    return [Group(title="common options", entries=tuple(entry for entry in page.options if entry.common))]


def _what(page: Page) -> str:
    return "options" if any(not entry.common for entry in page.options) else " and ".join(_titles(page))


def _titles(page: Page) -> list[str]:
    return list(dict.fromkeys(group.title.partition(",")[0] for group in page.more))


def _short(page: Page) -> str:
    """The usage of a command of a command, without the words that all of them have."""
    return page.usage[0].partition(" ")[2]


def _first(text: Sequence[str]) -> str:
    return text[0].partition(". ")[0].removesuffix(".")
