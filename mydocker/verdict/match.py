"""Whether a value matches, and the matcher in words, for a report.

A matcher that cannot be applied to a value, such as `gjson` to what is not JSON or `gt` to a word, neither holds nor
fails to hold: InapplicableError passes through `not`, `and` and `or`, as the errors of goss's matchers do.
"""

from __future__ import annotations

import functools
import json
import operator
import re

from mydocker.record import TYPE_CHECKING, Record
from mydocker.verdict.convert import InapplicableError, as_list, as_number, as_text, is_same
from mydocker.verdict.gjson import MISSING, find
from mydocker.verdict.glob import matches_glob
from mydocker.verdict.semver import is_version, satisfies

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.model.expect import Matcher

_DIGITS = 4000  # of a whole number, at most: int() refuses more than 4300


def holds(matcher: Matcher, value: Any) -> bool:
    """Whether MATCHER holds for VALUE. Raises InapplicableError if MATCHER cannot be applied to it."""
    return _OPERATIONS[matcher.op].holds(matcher.want, value)


def _text(want: str, value: Any) -> bool:
    return bool(value == want or (want and value == f"{want}\n"))


def _equal(want: Any, value: Any) -> bool:
    """Compare as JSON does: a boolean is not a number, and a tuple is an array."""
    if isinstance(want, bool) or isinstance(value, bool):
        return want is value
    if isinstance(want, tuple) and isinstance(value, list):
        return len(want) == len(value) and all(map(_equal, want, value))
    if isinstance(want, dict) and isinstance(value, dict):
        return want.keys() == value.keys() and all(_equal(want[key], value[key]) for key in want)
    return bool(want == value)


def _and(want: tuple[Matcher, ...], value: Any) -> bool:
    """Every matcher is tried, so that one that cannot be applied is not hidden by an earlier one that does not hold."""
    outcomes = [holds(matcher, value) for matcher in want]
    return all(outcomes)


def _has_element(want: Matcher, value: Any, *, lines: bool = True) -> bool:
    return _has_elements((want,), value, lines=lines)


def _has_elements(want: tuple[Matcher, ...], value: Any, *, lines: bool = True) -> bool:
    """Whether each of WANT matches a different element. A matcher does not match an element that it cannot be applied
    to; if it matches no other either, that error is raised."""
    elements = as_list(value, lines=lines)
    trouble: InapplicableError | None = None
    candidates: list[list[int]] = []
    known: dict[str, list[int]] = {}  # of matchers that are wanted several times
    for matcher in want:
        if (same := known.get(repr(matcher))) is not None:
            candidates.append(same)
            continue
        mine = known[repr(matcher)] = []
        for number, element in enumerate(elements):
            try:
                mine += [number] if holds(matcher, element) else []
            except InapplicableError as error:
                trouble = error
            if len(mine) == len(want):  # with so many, one is left whichever the others take
                break
        candidates.append(mine)
    if _can_be_assigned(candidates):
        return True
    if trouble:
        raise trouble
    return False


def _can_be_assigned(candidates: list[list[int]]) -> bool:
    """Whether each can have one of its CANDIDATES that no other has (a matching in a bipartite graph)."""
    owners: dict[int, int] = {}
    return all(_assign(number, candidates, owners) for number in range(len(candidates)))


def _assign(number: int, candidates: list[list[int]], owners: dict[int, int]) -> bool:
    """Assign an element to NUMBER, for which other OWNERS move to another of their candidates if needed."""
    claimants: dict[int, int] = {}
    owned = {owner: element for element, owner in owners.items()}
    queue = [number]
    for owner in queue:
        for element in candidates[owner]:
            if element in claimants:
                continue
            claimants[element] = owner
            if element in owners:
                queue.append(owners[element])
                continue
            claimed: int | None = element
            while claimed is not None:
                owners[claimed] = claimants[claimed]
                claimed = owned.get(claimants[claimed])
            return True
    return False


def _has_length(want: float, value: Any) -> bool:
    if not isinstance(value, str | list | dict):
        raise InapplicableError(f"{shown(value)} has no length")
    return len(value) == want


def _version(want: str, value: Any) -> bool:
    versions = value if isinstance(value, list) and value else [value]
    for version in versions:
        if not isinstance(version, str) or not is_version(version.strip()):
            raise InapplicableError("not a version" if isinstance(value, str) else f"{shown(version)} is not a version")
    return all(satisfies(version.strip(), want) for version in versions)


def _gjson(want: tuple[tuple[str, Matcher], ...], value: Any) -> bool:
    document = value
    if isinstance(value, str):
        try:
            document = json_document(value)
        except ValueError as error:
            raise InapplicableError(f"no JSON, {error}") from None
    elif not isinstance(value, list | dict):
        raise InapplicableError(f"{shown(value)} has no members")
    outcomes = [_at(document, path, matcher) for path, matcher in want]
    return all(outcomes)


def _at(document: Any, path: str, matcher: Matcher) -> bool:
    found = find(document, path)
    if found is MISSING:
        raise InapplicableError(f"{path}: nothing is there", whole=True)
    try:
        return holds(matcher, found)
    except InapplicableError as error:
        raise InapplicableError(f"{path}: {error}", whole=True) from None


@functools.lru_cache(maxsize=1)
def json_document(text: str) -> Any:
    """TEXT parsed as JSON, not to be changed; cached, as many checks query one text in a row.

    Raises ValueError if it is not JSON.
    """
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("too deep") from None


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _refuse_constant(name: str) -> Any:
    """RFC 8259, section 6: NaN and infinities are not permitted."""
    raise ValueError(f"{name} is not JSON")


def _globs(want: tuple[str, ...], value: list[str]) -> bool:
    return not outside(want, value)


def outside(globs: tuple[str, ...], paths: list[str]) -> list[str]:
    """Those of PATHS that match none of GLOBS."""
    return [path for path in paths if not any(matches_glob(path, glob) for glob in globs)]


def _some(want: tuple[str, ...], value: list[str]) -> bool:
    return all(any(matches_glob(path, glob) for path in value) for glob in want)


def _none(want: tuple[str, ...], value: list[str]) -> bool:
    return len(outside(want, value)) == len(value)


def describe(matcher: Matcher) -> str:
    """MATCHER in words, on one line."""
    return _OPERATIONS[matcher.op].phrase(matcher.want)


def shown(value: Any) -> str:
    """A value for a report; text in quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _not_phrase(want: Matcher) -> str:
    inner = describe(want)
    return f"no {inner.removeprefix('a ')}" if inner.startswith(("a ", "text ")) else f"not {inner}"


def _each_phrase(want: tuple[Matcher, ...]) -> str:
    return "elements that are " + ", ".join(describe(inner) for inner in want)


class _Operation(Record):
    """What a word of a Matcher means: whether it holds for (what is expected, a value), and what is expected in
    words."""

    holds: Callable[[Any, Any], bool]
    phrase: Callable[[Any], str]


def _order(compare: Callable[[float, float], bool], words: str) -> _Operation:
    return _Operation(
        holds=lambda want, value: compare(as_number(value), want), phrase=lambda want: f"{words} {shown(want)}"
    )


_OPERATIONS = {
    "not": _Operation(holds=lambda want, value: not holds(want, value), phrase=_not_phrase),
    "and": _Operation(holds=_and, phrase=lambda want: " and ".join(describe(inner) for inner in want)),
    "or": _Operation(
        holds=lambda want, value: any(holds(matcher, value) for matcher in want),
        phrase=lambda want: " or ".join(describe(inner) for inner in want),
    ),
    "gt": _order(operator.gt, "more than"),
    "ge": _order(operator.ge, "at least"),
    "lt": _order(operator.lt, "less than"),
    "le": _order(operator.le, "at most"),
    "text": _Operation(holds=_text, phrase=lambda want: shown(want) if want else "nothing"),
    "equal": _Operation(holds=_equal, phrase=shown),
    "same": _Operation(holds=is_same, phrase=shown),
    "called": _Operation(holds=lambda want, value: want in value, phrase=str),
    "contain-substring": _Operation(
        holds=lambda want, value: want in as_text(value), phrase=lambda want: f"text with {shown(want)}"
    ),
    "contain-element": _Operation(holds=_has_element, phrase=lambda want: f"an element that is {describe(want)}"),
    "contain-elements": _Operation(holds=_has_elements, phrase=_each_phrase),
    "each": _Operation(holds=functools.partial(_has_elements, lines=False), phrase=_each_phrase),
    "match-regexp": _Operation(
        holds=lambda want, value: re.search(want, as_text(value), re.MULTILINE) is not None,
        phrase=lambda want: f"a match of /{want}/",
    ),
    "have-len": _Operation(holds=_has_length, phrase=lambda want: f"a length of {want}"),
    "have-prefix": _Operation(
        holds=lambda want, value: as_text(value).startswith(want),
        phrase=lambda want: f"text that begins with {shown(want)}",
    ),
    "have-suffix": _Operation(
        holds=lambda want, value: as_text(value).removesuffix("\n").endswith(want),
        phrase=lambda want: f"text that ends with {shown(want)}",
    ),
    "semver-constraint": _Operation(holds=_version, phrase=lambda want: f"a version {want}"),
    "gjson": _Operation(
        holds=_gjson,
        phrase=lambda want: "JSON with " + ", ".join(f"{path} {describe(inner)}" for path, inner in want),
    ),
    "globs": _Operation(holds=_globs, phrase=lambda want: f"nothing but {', '.join(want)}" if want else "nothing"),
    "some-glob": _Operation(holds=_some, phrase=", ".join),
    "no-glob": _Operation(holds=_none, phrase=lambda want: f"nothing like {', '.join(want)}"),
}
