"""The Context in which a Quadlet setting is read, and its value as a word, as words, as a switch or a time."""

from __future__ import annotations

import os
import re

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet.specifiers import Unit, expand, replace_variables
from mydocker.specs.formats.quadlet.units import drop_ins
from mydocker.specs.nodes.unit_file import Setting, parse_unit, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.errors import Problem
    from mydocker.specs.nodes.reader import Reader

_BOOLEANS = {  # parse_boolean of systemd
    **dict.fromkeys(("1", "yes", "y", "true", "t", "on"), True),
    **dict.fromkeys(("0", "no", "n", "false", "f", "off"), False),
}
_SPANS = {  # systemd.time(7), the units of its examples; seconds
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("us", "usec"), 1e-6),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}


class Context(Record):
    """The unit, the reader of its file, and the settings of [Container]."""

    unit: Unit
    reader: Reader
    settings: Mapping[str, list[Setting]]


def resolve(setting: Setting, context: Context) -> str:
    """A value as one word."""
    return " ".join(_resolved(setting, setting.text, context))


def resolve_words(setting: Setting, context: Context) -> list[str]:
    """A value as words: split, and then its specifiers and variables replaced, as systemd does it."""
    text = setting.value.text
    found = context.reader.attempt(setting.value, lambda: split_words(text)) or []
    return [word for each in found for word in _resolved(setting, each, context)]


def _resolved(setting: Setting, text: str, context: Context) -> list[str]:
    def replaced() -> list[str]:
        return replace_variables(expand(text, context.unit), context.unit.variables)

    return context.reader.attempt(setting.value, replaced) or []


def boolean(setting: Setting, context: Context) -> bool:
    text = setting.text.lower()
    if text not in _BOOLEANS:
        context.reader.refuse(setting.value, f"expected true or false, not {setting.text!r}")
    return _BOOLEANS.get(text, False)


def time_span(setting: Setting, context: Context) -> str:
    """`5min 20s` of systemd.time(7), or a bare number of seconds, as a duration of a spec file."""
    text = setting.text
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?) *([a-z]*) *", text)
    unknown = [unit for _, unit in parts if unit not in _SPANS]
    if "".join(re.split(r"\s", text)) != "".join(number + unit for number, unit in parts) or not parts:
        context.reader.refuse(setting.value, f"{text!r}: expected a time such as 90 or 5min 20s")
    elif unknown:
        context.reader.refuse(setting.value, f"{text!r}: {unknown[0]!r} is no unit of time")
    else:
        return f"{sum(float(number) * _SPANS[unit] for number, unit in parts):.6f}s"
    return "1s"  # one mistake is enough


def read_neighbour(setting: Setting, name: str, context: Context) -> tuple[list[Setting], list[Problem]]:
    """The settings of the unit NAME, in the same directory."""
    path = os.path.join(os.path.dirname(context.unit.path), name)
    for directory in drop_ins(path):
        context.reader.refuse(setting.value, f"{directory}: drop-ins are not supported yet")
    try:
        with open(path, "rb") as file:
            return parse_unit(file.read(1 << 20))
    except OSError as error:
        context.reader.refuse(setting.value, f"cannot read {name}: {(error.strerror or '').lower()}")
        return [], []
