"""The keywords of `expect` as tables in Markdown: a part of docs/reference.md."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.keywords import ANSWER, CHANGES, EXEC, EXPECT, FILE, MATCHERS, METADATA, REQUEST, STATES

if TYPE_CHECKING:
    from mydocker.specs.expect.keywords import Table

KINDS = {  # what a word takes
    "exit": "number, signal, list of these, matcher",
    "number": "number, list of these, matcher",
    "duration": "matcher of a time",
    "size": "matcher of a size",
    "boolean": "`true`, `false`",
    "text": "text, list of patterns, matcher",
    "word": "text",
    "mode": "text, matcher",
    "type": "text",
    "switch": "`true`, `false`",
    "time": "time",
    "globs": "list of paths, which may be empty",
    "some-glob": "list of paths",
    "no-glob": "list of paths",
    "named": "mapping: names to `null`, or what a text takes",
    "words": "list, as a whole",
    "members": "list",
    "headers": "list, or mapping",
    "files": "list of mappings",
    "commands": "list of mappings",
    "command": "list, or text",
    "health": "text",
    "mapping": "mapping",
}
_PATTERNS = """\
### Texts and patterns

A list of patterns describes what a text contains: each is a part of the text or, between slashes, a regular expression,
such as `/^v[0-9]+$/`. After a `!`, the text must not contain it. A backslash before a first `!` or `/` makes that a
plain character. Regular expressions are Python's, and `^` and `$` match at each line. A list of other values stands for
any one of them.

What `within` waits for holds as soon as it is true once, even at the first check. What must *not* be, such as
`"!error"` or `absent`, may be true from the beginning: combine it with what comes last.

### Matchers

A matcher is a mapping with one of these words, or several, which must all hold:
"""
_INAPPLICABLE = """\
A matcher that cannot be applied to a value fails, under `not` as well: `gjson` to text that is not JSON or has no such
path, `gt` to text that is not a number, `semver-constraint` to text that is not a version.
"""
_EXEC = """\
A command whose expectations do not hold is executed again until they do, or `within` has passed; then the next one
begins. One whose expectations have held is not executed again.
"""
_CHANGES = """\
### changes

In these paths, `*`, `?` and `[a-z]` match within one name, and `**` matches any number of names:
"""


def expect_reference() -> str:
    """All keywords that `expect` may hold."""
    return "\n".join(
        [
            "## Expectations\n\nThe keys of `expect`:\n",
            _table("key", "takes", EXPECT),
            _PATTERNS,
            _table("matcher", "for", MATCHERS, is_matcher=True),
            _INAPPLICABLE,
            "### files\n\nEach of `files` has:\n",
            _table("key", "takes", FILE),
            _CHANGES,
            _table("key", "takes", CHANGES),
            "### exec\n\nEach of `exec` has:\n",
            _table("key", "takes", EXEC),
            _EXEC,
            "### metadata\n",
            _table("key", "takes", METADATA),
            "### ports and process\n",
            f"Each of `ports`, such as 80, tcp:80 or udp6:53, {_states('ports', ', ip: [127.0.0.1]')}",
            f"Each of `process`, the name of a program, {_states('process')}\n",
            "### http\n\nEach URL, as it is reached from within the container, has at least one of these:\n",
            _table("key", "takes", ANSWER),
            "and may have, for the request:\n",
            _table("key", "takes", REQUEST),
        ]
    )


def _states(kind: str, more: str = "") -> str:
    yes, no = STATES[kind]
    return f"is `{yes}` or `{no}`; or, as in goss, `{{{yes}: true{more}}}`."


def _table(first: str, second: str, table: Table, *, is_matcher: bool = False) -> str:
    rows = [
        f"| `{word}` | {row.kind if is_matcher else KINDS[row.kind]} | {row.help.replace('|', chr(92) + '|')} |"
        for word, row in table.items()
    ]
    return "\n".join([f"| {first} | {second} | |", "|---|---|---|", *rows, ""])
