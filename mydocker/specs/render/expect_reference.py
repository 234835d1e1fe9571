"""The words of `expect` as tables in Markdown: a part of the reference in README.md."""

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
    "globs": "list of paths, `[]` too",
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
A list of patterns says what is found in a text: a part of it, or between slashes, as in `/^v[0-9]+$/`, a regular
expression. After a `!` it must not be found. A backslash before a first `!` or `/` makes it an ordinary character.
Regular expressions are Python's, and `^` and `$` match at each line. A list of other values stands for any one of them.

What `within` waits for has come true when it is so once, be it at the first look. Of what is *not* to be, such as
`"!error"` or `absent`, that may be soon; expect with it what comes last.
"""
_INAPPLICABLE = """\
A matcher that cannot be applied to a value fails, under `not` as well: `gjson` to what is not JSON or has no such path,
`gt` to what is not a number, `semver-constraint` to what is not a version.
"""
_EXEC = """\
A command whose expectations do not hold is executed again until they do, or `within` has passed; then the next one
begins. One whose expectations have held is not executed again.
"""
_GLOBS = (
    "`changes` has, with `*`, `?` and `[a-z]` for what stays between two slashes, and `**` for any number of them:\n"
)


def expect_reference() -> str:
    """All words that `expect` may hold."""
    return "\n".join(
        [
            "### Expectations\n\nWhat `expect` may hold:\n",
            _table("key", "takes", EXPECT),
            _PATTERNS,
            "A matcher is a mapping with one of these words, or several, which must all hold:\n",
            _table("matcher", "for", MATCHERS, is_matcher=True),
            _INAPPLICABLE,
            "Each of `files` has:\n",
            _table("key", "takes", FILE),
            _GLOBS,
            _table("key", "takes", CHANGES),
            "Each of `exec` has:\n",
            _table("key", "takes", EXEC),
            _EXEC,
            "`metadata` has:\n",
            _table("key", "takes", METADATA),
            f"Each of `ports`, such as 80, tcp:80 or udp6:53, {_states('ports', ', ip: [127.0.0.1]')}",
            f"Each of `process`, the name of a program, {_states('process')}\n",
            "Each of `http`, a URL as it is seen from within the container, has one of these at least:\n",
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
