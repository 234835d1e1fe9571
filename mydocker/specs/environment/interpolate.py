"""Variables in text: `$V`, `${V}`, `${V:-default}`, `${V-default}`, `${V:?message}`, `${V?message}`, `${V:+x}`,
`${V+x}`, nested, and `$$` for a dollar sign. Compose specification, "Interpolation".

A variable that is not set and has no default is empty, as for Compose, and is reported to the caller.
"""

from __future__ import annotations

from mydocker.errors import OutsideError, UsageError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Lookup = Callable[[str], str | None]
    Report = Callable[[str], None]

NESTING_LIMIT = 32

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_REST = _FIRST | frozenset("0123456789")
_AFTER_DOLLAR = _FIRST | {"{", "$"}


def interpolate(
    text: str, lookup: Lookup, *, unset: Report | None = None, nesting: int = 0, bare_dollar: bool = False
) -> str:
    """TEXT with its variables replaced. LOOKUP returns a variable's value, or None. UNSET is called with the name of
    each variable that is empty because it is not set. With BARE_DOLLAR, a `$` before what can begin no variable is a
    dollar sign, as in the regular expression `^a$`. Raises UsageError; OutsideError for a variable that is needed."""
    if nesting > NESTING_LIMIT:
        raise UsageError(f"variables are nested more than {NESTING_LIMIT} deep")
    before, *_ = text.partition("$")
    parts, here = [before], len(before)
    while here < len(text):  # at a "$"
        if bare_dollar and text[here + 1 : here + 2] not in _AFTER_DOLLAR:
            value, end = "$", here + 1
        else:
            value, end = _variable(text, here + 1, lookup, unset, (nesting, bare_dollar))
        following = text.find("$", end)
        following = len(text) if following < 0 else following
        parts += [value, text[end:following]]
        here = following
    return "".join(parts)


def _variable(text: str, start: int, lookup: Lookup, unset: Report | None, nested: tuple[int, bool]) -> tuple[str, int]:
    """The value of what follows the `$` before START, and where it ends. NESTED: how deep it is, and BARE_DOLLAR."""
    if text.startswith("$", start):
        return "$", start + 1
    if text.startswith("{", start):
        end = _closing(text, start)
        return _braced(text[start + 1 : end], lookup, unset, nested), end + 1
    name = _name(text, start)
    if not name:
        raise UsageError("a '$' without a variable", hint="write $$ for a dollar sign")
    return _plain(name, lookup, unset), start + len(name)


def _plain(name: str, lookup: Lookup, unset: Report | None) -> str:
    value = lookup(name)
    if value is None and unset:
        unset(name)
    return value or ""


class Variable(Record):
    """A use of a variable: whether it must be set, what stands for it where it is not, and where it is."""

    name: str
    is_needed: bool = False
    default: str = ""
    alternate: str = ""

    @property
    def says_something(self) -> bool:
        """Whether it is more than a name."""
        return self != Variable(name=self.name)


def variables_in(text: str) -> Iterator[Variable]:
    """The variables of TEXT, those in defaults of others, too, as they are used. What is none is left out."""
    here = text.find("$")
    while 0 <= here < len(text):
        end = here + 2
        if text.startswith("${", here):
            try:
                end = _closing(text, here + 1) + 1
                name, operator, word = _parts(text[here + 2 : end - 1])
            except UsageError:
                return
            kinds = {"-": "default", "+": "alternate"}
            shown = {kinds[operator[-1]]: word} if operator[-1:] in kinds else {}
            yield Variable(name=name, is_needed=operator.endswith("?"), **shown)
            yield from variables_in(word)
        elif name := _name(text, here + 1):
            yield Variable(name=name)
        here = text.find("$", end)


def _parts(inner: str) -> tuple[str, str, str]:
    """The name of a variable in braces, the operator after it, and the word after that. Raises UsageError."""
    name = _name(inner, 0)
    operator = inner[len(name) : len(name) + 2]
    operator = operator if operator in (":-", ":?", ":+") else operator[:1]
    if not name or operator not in ("", "-", "?", "+", ":-", ":?", ":+"):
        shown = inner if len(inner) < 40 else f"{inner[:40]}..."
        raise UsageError(f"'${{{shown}}}' is not a variable", hint="write $$ for a dollar sign")
    return name, operator, inner[len(name) + len(operator) :]


def _braced(inner: str, lookup: Lookup, unset: Report | None, nested: tuple[int, bool]) -> str:
    name, operator, word = _parts(inner)
    if not operator:
        return _plain(name, lookup, unset)
    value = lookup(name)
    is_set = bool(value) if operator.startswith(":") else value is not None
    if is_set != operator.endswith("+"):
        return value if value is not None and not operator.endswith("+") else ""
    nesting, bare_dollar = nested
    word = interpolate(word, lookup, unset=unset, nesting=nesting + 1, bare_dollar=bare_dollar)
    if operator.endswith("?"):
        raise OutsideError(f"variable {name} is needed and not set" + (f": {word}" if word else ""))
    return word


def _name(text: str, start: int) -> str:
    end = start
    while end < len(text) and text[end] in (_REST if end > start else _FIRST):
        end += 1
    return text[start:end]


def _closing(text: str, opening: int) -> int:
    """Where the brace at OPENING closes; nested braces, whatever they belong to, are counted, as Compose does."""
    depth = 0
    for here in range(opening, len(text)):
        depth += (text[here] == "{") - (text[here] == "}")
        if depth == 0:
            return here
    raise UsageError("a '${' without its '}'", hint="write $$ for a dollar sign")
