"""Which cases of a batch are selected: by words of their names, by their tags, by how they ended the last time."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from mydocker.errors import UsageError
from mydocker.kernel.disk import replace_file
from mydocker.record import TYPE_CHECKING
from mydocker.services.case import Case, JudgedCase
from mydocker.verdict.finding import ERROR, FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Condition = Callable[[str], bool]

_WORD = re.compile(r"\s*(?:([()])|([^\s()]+))")


def parse_expression(text: str) -> Condition:
    """`web and not (slow or big)`: words, each part of a name in any case, with and, or, not and brackets."""
    tokens = [bracket or word for bracket, word in _WORD.findall(text)]
    try:
        condition = _either(tokens)
    except IndexError:
        raise UsageError(f"-k {text!r} ends too early") from None
    if tokens:
        raise UsageError(f"-k {text!r}: {tokens[0]!r} is one too many")
    return condition


def _either(tokens: list[str]) -> Condition:
    choices = [_both(tokens)]
    while tokens[:1] == ["or"]:
        del tokens[0]
        choices.append(_both(tokens))
    return lambda name: any(choice(name) for choice in choices)


def _both(tokens: list[str]) -> Condition:
    parts = [_single(tokens)]
    while tokens[:1] == ["and"]:
        del tokens[0]
        parts.append(_single(tokens))
    return lambda name: all(part(name) for part in parts)


def _single(tokens: list[str]) -> Condition:
    token = tokens.pop(0)
    if token == "not":
        inner = _single(tokens)
        return lambda name: not inner(name)
    if token == "(":
        inner = _either(tokens)
        if tokens.pop(0) != ")":
            raise UsageError("-k: expected ')'")
        return inner
    if token in (")", "and", "or"):
        raise UsageError(f"-k: expected a word, not {token!r}")
    return lambda name: token.lower() in name.lower()


def by_name(cases: Iterable[Case], expression: str) -> list[Case]:
    """Those whose file and title match EXPRESSION."""
    condition = parse_expression(expression)
    return [case for case in cases if condition(f"{case.file} {case.title}")]


def by_tags(cases: Iterable[Case], words: str) -> list[Case]:
    """WORDS are tags, separated by commas: those with any of them, and with none that has a `!` before it."""
    tags = [word.strip() for word in words.split(",") if word.strip()]
    included = {tag for tag in tags if not tag.startswith("!")}
    excluded = {tag[1:] for tag in tags if tag.startswith("!")}
    if not tags:
        raise UsageError("--tags: expected tags, separated by commas")
    return [
        case
        for case in cases
        if (not included or included.intersection(case.spec.tags)) and not excluded.intersection(case.spec.tags)
    ]


class Memory:
    """What failed the last time, in a file: a list of their lasting keys. One that cannot be read is empty."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.failed: set[tuple[str, str, str, str]] = set()
        try:
            with open(path, encoding="utf-8") as file:
                self.failed = {(str(f), str(n), str(o), str(v)) for f, n, o, v in json.load(file)}
        except (OSError, ValueError, TypeError):
            pass

    def select(self, cases: Sequence[Case]) -> list[Case]:
        """Those that failed the last time they ran; all, if none of them did."""
        return [case for case in cases if case.lasting_key in self.failed] or [*cases]

    def keep(self, results: Iterable[JudgedCase]) -> None:
        """Write down how these ended; what did not run now stays as it was. A failure to write is ignored."""
        for result in results:
            if result.verdict in (FAILED, ERROR):
                self.failed.add(result.case.lasting_key)
            elif result.attempts:
                self.failed.discard(result.case.lasting_key)
        with suppress(OSError):
            replace_file(self.path, json.dumps(sorted(self.failed)), synced=False)
