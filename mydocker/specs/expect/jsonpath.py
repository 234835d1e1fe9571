"""Paths into JSON in the notation of GJSON (its SYNTAX.md): names and indices joined by dots, `#` for a length or for
each item, a backslash before a character that is only itself.

The other notations of GJSON (queries, wildcards, modifiers, pipes, …) are refused by name: a path that is misread
leads to nothing, and a check of nothing may pass when it should fail.
"""

from __future__ import annotations

from mydocker.errors import UsageError

_MODIFIERS = (
    *("@reverse", "@ugly", "@pretty", "@this", "@valid", "@flatten", "@join", "@keys", "@values", "@tostr"),
    *("@fromstr", "@group", "@dig"),
)
_FIRST = {"{": "a multipath", "[": "a multipath", "!": "a literal"}
_ANYWHERE = {"*": "a wildcard", "?": "a wildcard", "|": "a pipe"}


def read_path(path: str) -> tuple[str | None, ...]:
    """The steps of PATH: names, of which some are indices, and None for `#`. Raises UsageError."""
    steps: list[str | None] = []
    for written, name in _parts(path):
        if not name:
            raise UsageError(f"{path!r}: a name is missing; expected a path such as items.0.name")
        if written.startswith("#") and written != "#":
            raise UsageError(f"{path!r}: {written!r} is a query, which is not supported; write \\# for a name with a #")
        if written[0] in _FIRST or written.partition(":")[0] in _MODIFIERS:
            what = _FIRST.get(written[0], "a modifier")
            raise UsageError(f"{path!r}: {written!r} is {what}, which is not supported; write \\{written} for a name")
        steps.append(None if written == "#" else name)
    return tuple(steps)


def _parts(path: str) -> list[tuple[str, str]]:
    """Each step, as it is written and as the name that it means."""
    parts = [("", "")]
    letters = iter(path)
    for letter in letters:
        written, name = parts[-1]
        if letter == ".":
            parts.append(("", ""))
        elif letter == "\\":
            escaped = next(letters, "")
            if not escaped:
                raise UsageError(f"{path!r}: a backslash at the end")
            parts[-1] = (written + letter + escaped, name + escaped)
        elif letter in _ANYWHERE and not written.startswith("#"):
            what = _ANYWHERE[letter]
            raise UsageError(
                f"{path!r}: {letter!r} is {what}, which is not supported; write \\{letter} for the character"
            )
        else:
            parts[-1] = (written + letter, name + letter)
    return parts
