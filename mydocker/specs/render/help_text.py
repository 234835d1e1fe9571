"""Help texts from the table of fields: the line for a flag, and the reference."""

from __future__ import annotations

from mydocker.specs.fields import FIELDS, Field
from mydocker.specs.render.expect_reference import expect_reference

_INTRODUCTION = """\
# Reference

The keys of a spec file, the flags of `mydocker run` that mean the same, and the keys of `expect`.
`mydocker schema --format markdown` prints this page.
"""


def reference() -> str:
    """The keys of a spec file, with the flags of `run`, and the keywords of `expect`: the page docs/reference.md."""
    parts = [_INTRODUCTION]
    for group in dict.fromkeys(field.group for field in FIELDS):
        lines = [f"## {group.capitalize()}", "", "| key | `run` | |", "|---|---|---|"]
        for key in dict.fromkeys(field.key for field in FIELDS if field.group == group):
            rows = [field for field in FIELDS if field.key == key]
            flags = ", ".join(f"`{flag}`" for row in rows for flag in row.flags)
            text = flag_help(rows[0]) if flags else rows[0].help
            lines.append(f"| `{key}` | {flags} | {text.replace('|', chr(92) + '|')} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join([*parts, expect_reference()])


def flag_help(field: Field) -> str:
    """The row's line of help, with the default."""
    more = " (repeatable)" if field.repeatable else ""
    return field.help + (f" (default: {field.default})" if isinstance(field.default, str) else more)
