"""Help in words: the text of `mydocker run --help` and the list of a spec file's keys, from the table."""

from __future__ import annotations

import textwrap

from mydocker.record import TYPE_CHECKING
from mydocker.specs.render.expect_reference import expect_reference
from mydocker.specs.table.fields import FIELDS, SWITCHES, Field, Switch

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH = 100
_COLUMN = 34

_USAGE = """\
Usage: mydocker run [OPTIONS] IMAGE [COMMAND [ARG...]]
       mydocker run [OPTIONS] --rootfs DIR COMMAND [ARG...]

Run a command in a new container, with no daemon. Options end at IMAGE, or at --.
The exit code is the command's own; 124 it timed out, 125 mydocker failed, 126 the command
cannot be executed, 127 it does not exist, 128+N signal N ended it.
"""

_INTRODUCTION = """\
# Reference

The keys of a spec file, the flags of `mydocker run` that mean the same, and the keys of `expect`.
`mydocker schema --format markdown` prints this page.
"""


def run_help() -> str:
    """The text of `mydocker run --help`."""
    parts = [_USAGE]
    flagged = [field for field in FIELDS if field.flags]
    for group in dict.fromkeys(field.group for field in flagged):
        rows = [field for field in flagged if field.group == group]
        parts.append(_section(group, ((_flags(row), _text(row)) for row in rows)))
    parts.append(_section("other", ((_flags(row), row.help) for row in SWITCHES)))
    return "\n".join(parts)


def key_help() -> str:
    """The keys of a spec file, a line each, for `mydocker up --help`."""
    parts = []
    for group in dict.fromkeys(field.group for field in FIELDS):
        rows = {field.key: field for field in reversed(FIELDS) if field.group == group}  # of one key, the first
        parts.append(_section(f"keys, {group}", ((f"{key}:", row.help) for key, row in reversed(rows.items()))))
    return "\n".join(parts)


def reference() -> str:
    """The keys of a spec file, with the flags of `run`, and the keywords of `expect`: the page docs/reference.md."""
    parts = [_INTRODUCTION]
    for group in dict.fromkeys(field.group for field in FIELDS):
        lines = [f"## {group.capitalize()}", "", "| key | `run` | |", "|---|---|---|"]
        for key in dict.fromkeys(field.key for field in FIELDS if field.group == group):
            rows = [field for field in FIELDS if field.key == key]
            flags = ", ".join(f"`{flag}`" for row in rows for flag in row.flags)
            text = _text(rows[0]) if flags else rows[0].help
            lines.append(f"| `{key}` | {flags} | {text.replace('|', chr(92) + '|')} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join([*parts, expect_reference()])


def _section(title: str, entries: Iterable[tuple[str, str]]) -> str:
    lines = [f"{title.capitalize()}:"]
    for left, right in entries:
        head = f"  {left}"
        if len(head) > _COLUMN - 2:
            lines.append(head)
            head = ""
        lines += textwrap.wrap(
            right,
            _WIDTH,
            initial_indent=head.ljust(_COLUMN),
            subsequent_indent=" " * _COLUMN,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def _flags(row: Field | Switch) -> str:
    """`-e, --env NAME[=VALUE]`, the long flags in one column."""
    joined = ", ".join(row.flags)
    indent = "" if not row.flags[0].startswith("--") else "    "
    return f"{indent}{joined} {row.metavar}".rstrip()


def _text(field: Field) -> str:
    """The row's line of help, with what is true when nothing is said."""
    more = " (repeatable)" if field.repeatable else ""
    return field.help + (f" (default: {field.default})" if isinstance(field.default, str) else more)
