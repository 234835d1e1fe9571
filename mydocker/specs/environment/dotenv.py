"""Compose's file of variables: the text of `.env` or of an `env_file` becomes a mapping.

Docker's manual, "Syntax for environment files in Docker Compose": `NAME=VALUE` or `NAME: VALUE`, perhaps after
`export`; quotes; comments; `NAME` alone, which copies. Quoted values may go over several lines.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.interpolate import interpolate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lookup = Callable[[str], str | None]

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "$": "$$"}  # "$$" survives interpolation


def parse_dotenv(text: str, *, origin: str, lookup: Lookup, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Parse TEXT into variables, in addition to those BEFORE it. Values may use those of LOOKUP, then those further up
    in TEXT, then those before.

    Raises UsageError, its message beginning with ORIGIN and a line number.
    """
    values: dict[str, str] = dict(before or {})
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        line, number = lines[at].strip(), at + 1
        at += 1
        if not line or line.startswith("#"):
            continue
        try:
            name, value = _split(line)
            while value and value[0] in "'\"" and _end_of_quote(value) < 0 and at < len(lines):
                value, at = f"{value}\n{lines[at]}", at + 1
            _set(values, name, value, lookup)
        except UsageError as error:
            raise UsageError(f"{origin}:{number}: {error.message}", hint=error.hint) from None
    return values


def _split(line: str) -> tuple[str, str | None]:
    """NAME and its raw value, which is None for a NAME alone."""
    entry = line.removeprefix("export").lstrip() if line.startswith(("export ", "export\t")) else line
    ends = [end for end in (entry.find("="), entry.find(":")) if end >= 0]
    name = (entry[: min(ends)] if ends else entry.partition(" #")[0]).rstrip()
    if not name or any(letter.isspace() or letter in "'\"$" for letter in name):
        raise UsageError(f"{name!r} is not the name of a variable")
    return name, entry[min(ends) + 1 :].lstrip() if ends else None


def _set(values: dict[str, str], name: str, raw: str | None, lookup: Lookup) -> None:
    def known(variable: str) -> str | None:
        found = lookup(variable)
        return values.get(variable) if found is None else found

    if raw is None:
        copied = lookup(name)
        if copied is not None:
            values[name] = copied
    elif raw[:1] in ("'", '"'):
        values[name] = _quoted(raw, known)
    else:
        values[name] = interpolate(_without_comment(raw), known, bare_dollar=True)


def _quoted(raw: str, known: Lookup) -> str:
    """The value in quotes: literal in single ones, but for `\\'`; escapes and variables in double ones."""
    end = _end_of_quote(raw)
    if end < 0:
        raise UsageError("a quote without its end")
    rest = raw[end + 1 :].strip()
    if rest and not rest.startswith("#"):
        raise UsageError(f"{rest!r} follows the closing quote")
    inner = raw[1:end]
    if raw[0] == "'":
        return inner.replace("\\'", "'")
    return interpolate(_unescape(inner), known, bare_dollar=True)


def _end_of_quote(raw: str) -> int:
    """Where the quote that RAW begins with closes, or -1; a backslash takes the next character along."""
    here = 1
    while here < len(raw):
        if raw[here] == raw[0]:
            return here
        here += 2 if raw[here] == "\\" else 1
    return -1


def _unescape(text: str) -> str:
    parts, rest = [], text
    while rest:
        before, backslash, rest = rest.partition("\\")
        parts.append(before)
        if backslash:
            parts.append(_ESCAPES.get(rest[:1], f"\\{rest[:1]}"))
            rest = rest[1:]
    return "".join(parts)


def _without_comment(raw: str) -> str:
    """An unquoted value; a `#` begins a comment only after white space."""
    if raw.startswith("#"):
        return ""
    ends = [end for end in (raw.find(" #"), raw.find("\t#")) if end >= 0]
    return (raw[: min(ends)] if ends else raw).rstrip()
