"""`--filter KEY=VALUE` of the commands that list images, networks and volumes, as Docker has it."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import TypeVar

    Item = TypeVar("Item")
    Filters = Sequence[tuple[str, str]]

_TRUTHS = {**dict.fromkeys(("true", "1", "t"), True), **dict.fromkeys(("false", "0", "f"), False)}
_CHOICES = {"dangling": ("true", "false"), "type": ("custom", "builtin")}
_ALL_NEEDED = ("label", "label!")


def add_filter(parser: argparse.ArgumentParser, keys: Sequence[str], *flags: str) -> None:
    """The option, for KEYS; FLAGS are other spellings."""
    parser.set_defaults(filter_keys=keys)
    text = f"only those that match: {', '.join(keys)}; may be repeated"
    parser.add_argument(*flags, "--filter", action="append", default=[], metavar="KEY=VALUE", help=text)


def filters_of(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The key and the value of each filter; of a truth, `true` or `false`. Raises UsageError."""
    return [_parsed(word, options.filter_keys) for word in options.filter]


def matching(items: Sequence[Item], filters: Filters, has: Callable[[Item, str, str], bool]) -> list[Item]:
    """Those of ITEMS that each key of FILTERS lets pass, by what an item HAS. Of several values of one key one
    suffices; labels are all needed."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for key, value in filters:
        wanted.setdefault((key, value if key in _ALL_NEEDED else ""), []).append(value)
    return [
        item for item in items if all(any(has(item, key, one) for one in values) for (key, _), values in wanted.items())
    ]


def has_label(labels: Mapping[str, str], value: str) -> bool:
    """Whether LABELS have that of `label=VALUE`, which is a name, or a name and its text."""
    name, equals, text = value.partition("=")
    return name in labels and (not equals or labels[name] == text)


def _parsed(word: str, keys: Collection[str]) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if key == "label!" and "label" in keys:
        return key, value
    if not equals or key not in keys:
        raise UsageError(
            f"--filter {word!r}: unknown key {key!r}" + did_you_mean(key, keys),
            hint=f"expected KEY=VALUE, with one of the keys {', '.join(keys)}",
        )
    if key == "dangling" and value.lower() in _TRUTHS:
        value = str(_TRUTHS[value.lower()]).lower()
    if key in _CHOICES and value not in _CHOICES[key]:
        raise UsageError(f"--filter {word!r}: expected {' or '.join(f'{key}={each}' for each in _CHOICES[key])}")
    return key, value
