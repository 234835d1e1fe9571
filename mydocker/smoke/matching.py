"""Does a value match? And the same matcher in words, for a report. Nothing here raises: what cannot match does not."""

from __future__ import annotations

import functools
import json
import operator
import re

from mydocker.record import TYPE_CHECKING
from mydocker.smoke.gjson import MISSING, find
from mydocker.smoke.glob import matches_glob
from mydocker.smoke.semver import satisfies

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.spec.expect import Matcher

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_WORDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def holds(matcher: Matcher, value: Any) -> bool:
    """Whether VALUE is what MATCHER wants."""
    op, want = matcher.op, matcher.want
    if op in _LOGIC:
        return _LOGIC[op](want, value)
    if op in _ORDER:
        number = as_number(value)
        return number is not None and _ORDER[op](number, want)
    return _RULES[op](want, value)


def _text(want: str, value: Any) -> bool:
    return bool(value == want or (want and value == f"{want}\n"))


def _equal(want: Any, value: Any) -> bool:
    """As JSON compares: a boolean is no number, and a tuple of ours is an array."""
    if isinstance(want, bool) or isinstance(value, bool):
        return want is value
    if isinstance(want, tuple) and isinstance(value, list):
        return len(want) == len(value) and all(map(_equal, want, value))
    if isinstance(want, dict) and isinstance(value, dict):
        return want.keys() == value.keys() and all(_equal(want[key], value[key]) for key in want)
    return bool(want == value)


def _contains(want: str, value: Any) -> bool:
    return isinstance(value, str) and want in value


def _has_element(want: Matcher, value: Any) -> bool:
    return any(holds(want, element) for element in _elements(value))


def _has_elements(want: tuple[Matcher, ...], value: Any) -> bool:
    return all(_has_element(matcher, value) for matcher in want)


def _elements(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.splitlines()
    return value if isinstance(value, list) else []


def _has_length(want: float, value: Any) -> bool:
    return isinstance(value, str | list | dict) and len(value) == want


def _found(want: str, value: Any) -> bool:
    return isinstance(value, str) and re.search(want, value, re.MULTILINE) is not None


def _version(want: str, value: Any) -> bool:
    return isinstance(value, str) and satisfies(value.strip(), want)


def _gjson(want: tuple[tuple[str, Matcher], ...], value: Any) -> bool:
    document = value
    if isinstance(value, str):
        try:
            document = json_document(value)
        except ValueError:
            return False
    found = [(find(document, path), matcher) for path, matcher in want]
    return all(item is not MISSING and holds(matcher, item) for item, matcher in found)


@functools.lru_cache(maxsize=1)
def json_document(text: str) -> Any:
    """What TEXT is as JSON, not to be changed; one text is often asked for one thing after the other.

    Raises ValueError if it is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None


def _globs(want: tuple[str, ...], value: list[str]) -> bool:
    return not outside(want, value)


def outside(globs: tuple[str, ...], paths: list[str]) -> list[str]:
    """Those of PATHS that match none of GLOBS."""
    return [path for path in paths if not any(matches_glob(path, glob) for glob in globs)]


def _some(want: tuple[str, ...], value: list[str]) -> bool:
    return all(any(matches_glob(path, glob) for path in value) for glob in want)


def _none(want: tuple[str, ...], value: list[str]) -> bool:
    return len(outside(want, value)) == len(value)


_LOGIC: dict[str, Callable[[Any, Any], bool]] = {
    "not": lambda want, value: not holds(want, value),
    "and": lambda want, value: all(holds(matcher, value) for matcher in want),
    "or": lambda want, value: any(holds(matcher, value) for matcher in want),
}
_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "text": _text,
    "equal": _equal,
    "called": lambda want, value: want in value,
    "contain-substring": _contains,
    "contain-element": _has_element,
    "contain-elements": _has_elements,
    "match-regexp": _found,
    "have-len": _has_length,
    "have-prefix": lambda want, value: isinstance(value, str) and value.startswith(want),
    "have-suffix": lambda want, value: isinstance(value, str) and value.removesuffix("\n").endswith(want),
    "semver-constraint": _version,
    "gjson": _gjson,
    "globs": _globs,
    "some-glob": _some,
    "no-glob": _none,
}


def as_number(value: Any) -> float | None:
    """VALUE as a number: one, or a text that is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def describe(matcher: Matcher) -> str:
    """MATCHER in words, on one line."""
    op, want = matcher.op, matcher.want
    if op in ("and", "or"):
        return f" {op} ".join(describe(inner) for inner in want)
    if op == "not":
        inner = describe(want)
        return f"no {inner.removeprefix('a ')}" if inner.startswith(("a ", "text ")) else f"not {inner}"
    if op in _WORDS:
        return f"{_WORDS[op]} {shown(want)}"
    if op == "gjson":
        return "JSON with " + ", ".join(f"{path} {describe(inner)}" for path, inner in want)
    return _PHRASES[op](want)


def shown(value: Any) -> str:
    """A value as a reader would write it; text in quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


_PHRASES: dict[str, Callable[[Any], str]] = {
    "text": lambda want: shown(want) if want else "nothing",
    "equal": shown,
    "called": str,
    "contain-substring": lambda want: f"text with {shown(want)}",
    "contain-element": lambda want: f"an element that is {describe(want)}",
    "contain-elements": lambda want: "elements that are " + ", ".join(describe(inner) for inner in want),
    "match-regexp": lambda want: f"a match of /{want}/",
    "have-len": lambda want: f"a length of {want}",
    "have-prefix": lambda want: f"text that begins with {shown(want)}",
    "have-suffix": lambda want: f"text that ends with {shown(want)}",
    "semver-constraint": lambda want: f"a version {want}",
    "globs": lambda want: f"nothing but {', '.join(want)}" if want else "nothing",
    "some-glob": lambda want: ", ".join(want),
    "no-glob": lambda want: f"nothing like {', '.join(want)}",
}
