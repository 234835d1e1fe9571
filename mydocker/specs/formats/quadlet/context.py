"""The Context in which a Quadlet setting is read, and its value as a word, as words, as a switch or a time."""

from __future__ import annotations

import os
import re

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet import unit_files
from mydocker.specs.formats.quadlet.specifiers import Unit, expand, replace_variables
from mydocker.specs.formats.quadlet.units import Units, unit_of
from mydocker.specs.nodes.node import Scalar
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.nodes.unit_file import Setting, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import TypeVar

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.formats.quadlet.unit_files import Settings
    from mydocker.specs.nodes.node import Node
    from mydocker.specs.nodes.reader import Reader

    T = TypeVar("T")

_SPANS = {  # systemd.time(7), the units of its examples; seconds
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("us", "usec"), 1e-6),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_REFUSED = ("ContainersConfModule", "GlobalArgs", "PodmanArgs")  # what is for Podman itself


class Context(Record):
    """The unit, the reader of its file, and its `settings`, those of the section of its kind; `sections` are all.

    `service_environment` are the variables that [Service] sets. `file` is the file's name in messages, empty for the
    one that is being read.
    """

    unit: Unit
    reader: Reader
    settings: Settings
    sections: Mapping[str, Settings]
    service_environment: Mapping[str, str] = {}
    file: str = ""

    @property
    def top(self) -> Scalar:
        """Where the file begins."""
        return Scalar(line=1, column=1, file=self.file, text="", plain=False)

    @property
    def directory(self) -> str:
        return os.path.dirname(self.unit.path)

    @property
    def units(self) -> Units:
        """The units among the loaded files, for their references to each other."""
        source = self.reader.file
        if source is None:
            return Units(())
        units = source.cache.get("units")
        if not isinstance(units, Units):
            units = source.cache["units"] = Units(source.paths)
        return units

    @property
    def only_check(self) -> bool:
        """Whether the unit is checked, perhaps on another machine than the one that it is for."""
        return self.reader.file is not None and self.reader.file.only_check

    def warn(self, node: Node, message: str) -> None:
        if self.reader.file is not None:
            self.reader.file.warnings.append(node.problem(message))

    def lack(self, node: Node, message: str) -> None:
        """This machine lacks something that the unit needs: a problem, unless the unit is only checked."""
        if self.only_check:
            self.warn(node, message)
        else:
            self.reader.refuse(node, message)


def resolve(setting: Setting, context: Context) -> str:
    """A value as one word."""
    return " ".join(_resolved(setting, setting.text, context))


def resolve_words(setting: Setting, context: Context) -> list[str]:
    """A value as words: split, and then its specifiers and variables replaced, as systemd does it."""
    text, relaxed = setting.value.text, setting.section in unit_files.SECTIONS.values()
    found = context.reader.attempt(setting.value, lambda: split_words(text, relaxed=relaxed)) or []
    return [word for each in found for word in _resolved(setting, each, context)]


def _resolved(setting: Setting, text: str, context: Context) -> list[str]:
    def replaced() -> list[str]:
        return replace_variables(expand(text, context.unit), context.unit.variables)

    return context.reader.attempt(setting.value, replaced) or []


def boolean(setting: Setting, context: Context) -> bool:
    text = setting.text.lower()
    if text not in unit_files.BOOLEANS:
        context.reader.refuse(setting.value, f"expected true or false, not {setting.text!r}")
    return unit_files.BOOLEANS.get(text, False)


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


def refuse_keys(context: Context, *, accepted: Collection[str], refused: Collection[str] = ()) -> None:
    """Refuse the settings of CONTEXT that are not ACCEPTED: those to be REFUSED by their names, others as unknown. What
    units of all kinds have is known here."""
    accepted, refused = {*accepted, "ServiceName"}, {*refused, *_REFUSED}
    for key, settings in context.settings.items():
        if settings and key not in accepted and not key.startswith("X-"):
            is_known = key in refused
            message = f"{key} is not supported" if is_known else unknown_key(key, nearest(key, accepted | refused))
            before = len(context.reader.problems)
            context.reader.refuse(settings[-1].key, message)
            context.reader.passes_over(key, before)


def unless_ignored(key: str, entries: Iterator[Entry], context: Context) -> list[Entry]:
    """ENTRIES of the settings KEY; none if these are refused, and are to be passed over."""
    before = len(context.reader.problems)
    found = [*entries]
    return [] if context.reader.passes_over(key, before) else found


def neighbour_of(setting: Setting, name: str, context: Context) -> Context | None:
    """The context of the unit NAME, which SETTING refers to, in the same directory or among those that were named. None
    if it cannot be read, which is refused."""
    found = context.units.find(name, context.directory)
    path = found.path if found else os.path.join(context.directory, name)
    try:
        settings, problems = unit_files.read_unit(path)
    except OSError as error:
        context.reader.refuse(setting.value, f"cannot read {name}: {(error.strerror or '').lower()}")
        return None
    context.reader.problems.extend(problems)
    sections = unit_files.by_section(settings)
    section = unit_files.SECTIONS[unit_files.kind_of(path)]
    if section not in sections:
        context.reader.refuse(setting.value, f"{name}: there is no [{section}] section")
    own = sections.get(section, {})
    service = unit_files.service_name(path, unit_files.last(own, "ServiceName"))
    unit = unit_of(path, service, context.unit.instance if unit_files.stem(path).endswith("@") else "")
    unit = unit.replace(variables=context.unit.variables)
    file = unit_files.shown(unit_files.file_of_unit(path))
    return Context(unit=unit, reader=context.reader, settings=own, sections=sections, file=file)


def default_name(context: Context) -> str:
    """What Podman calls a network or a volume whose unit sets no name."""
    prefix, at, instance = unit_files.stem(context.unit.path).partition("@")
    return f"systemd-{prefix}" + (f"-{instance or context.unit.instance}" if at else "")


def described(setting: Setting, name: str, context: Context, read: Callable[[Context], T]) -> T | None:
    """What READ makes of the unit NAME, which SETTING refers to; None if that cannot be read, which is refused."""
    other = neighbour_of(setting, name, context)
    return once(other, read) if other else None


def once(context: Context, read: Callable[[Context], T]) -> T:
    """The result of READ for the unit of CONTEXT, which is read once for all files that refer to it."""
    source = context.reader.file
    if source is None:
        return read(context)
    name = f"{read.__qualname__}\0{context.unit.path}\0{context.unit.instance}"
    if name not in source.cache:
        source.cache[name] = read(context)
    return source.cache[name]  # type: ignore[return-value]  # what READ has returned before
