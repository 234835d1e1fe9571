"""The sections [Unit] and [Install] of a Quadlet file, as far as they apply without systemd: which other units come
first, and the conditions under which the unit is started.

Settings that concern only the order among units of other kinds have no effect. systemd passes over settings that it
does not know, with a warning, and so does this.
"""

from __future__ import annotations

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, resolve, resolve_words
from mydocker.specs.formats.quadlet.unit_files import kind_of
from mydocker.specs.model.conditions import KINDS, Condition
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.reader import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.formats.quadlet.unit_files import Settings
    from mydocker.specs.formats.quadlet.units import Neighbour
    from mydocker.specs.nodes.unit_file import Setting

# settings that concern only units of other kinds, or how systemd itself is used
_IDLE_WORDS = """
    AllowIsolate Before CollectMode DefaultDependencies Description Documentation IgnoreOnIsolate
    JobRunningTimeoutSec JobTimeoutSec OnFailureJobMode OnSuccessJobMode RebootArgument RefuseManualStart
    RefuseManualStop RequiresMountsFor SourcePath StartLimitAction StartLimitBurst StartLimitInterval
    StartLimitIntervalSec StopWhenUnneeded SuccessAction FailureAction SurviveFinalKillSignal WantsMountsFor
"""
_IDLE = frozenset(_IDLE_WORDS.split())
_ON = {"Requires": True, "BindsTo": True, "Requisite": True, "Upholds": False, "Wants": False, "After": False}
_STARTING = ("Requires", "BindsTo", "Upholds", "Wants")  # which start the other unit as well
_TOGETHER = ("PartOf", "PropagatesStopTo", "StopPropagatedFrom", "PropagatesReloadTo", "ReloadPropagatedFrom")
_ELSEWHERE = ("Conflicts", "JoinsNamespaceOf", "OnFailure", "OnSuccess")
_ALL = (*_IDLE, *_ON, *_TOGETHER, *_ELSEWHERE)
_INSTALL = ("Alias", "Also", "DefaultInstance", "RequiredBy", "UpheldBy", "WantedBy")


def dependencies(context: Context) -> Iterator[tuple[Setting | None, Entry]]:
    """Other containers that start before this one: those that it names, and those to run that name it. Those that it
    starts, if they are in its directory, are loaded as well."""
    settings = context.sections.get("Unit", {})
    followers = {unit.container for _, _, unit in named("Before", settings, context) if unit}
    found: dict[str, tuple[Setting | None, bool, str]] = {}
    bound: set[str] = set()
    for key, is_required in _ON.items():
        for setting, word, unit in named(key, settings, context):
            _know(key, setting, word, unit, context)
            if not unit or not unit.container or unit.path == context.unit.path:
                continue
            if key in _STARTING:
                need(unit, context)
            if key == "BindsTo":
                bound.add(unit.container)
            if key == "After" or (unit.container not in followers and not _is_mutual(unit, context)):
                found.setdefault(unit.container, (setting, is_required, unit.condition))
    for unit in context.units.first(context.unit.name, context.unit.path.rpartition("/")[2]):
        found.setdefault(unit.container, (None, False, unit.condition))
    for name, (asking, is_required, reached) in found.items():
        condition: dict[str, object] = {"condition": reached, "required": is_required}
        condition |= {"bound": True} if name in bound else {}
        yield asking, ("depends_on", data_at(asking.value if asking else context.top, {name: condition}))


def _is_mutual(unit: Neighbour, context: Context) -> bool:
    """Whether UNIT refers to this one as well. Then only After makes one the first, as it does for systemd."""
    own = context.unit
    return not {f"{own.name}.service", own.path.rpartition("/")[2]}.isdisjoint(unit.refers)


def _know(key: str, setting: Setting, word: str, unit: Neighbour | None, context: Context) -> None:
    """A unit of Quadlet's must be there. Any other one is not started here, which matters where it is required."""
    if unit is None and kind_of(word):
        context.reader.refuse(setting.value, f"cannot read {word}: no such file or directory")
    elif unit is None and _ON[key] and not word.endswith(".target"):
        context.warn(setting.value, f"{key}={word}: there is no such Quadlet here, so it is not started")


def need(unit: Neighbour, context: Context) -> None:
    """UNIT takes part as well, if it is not among those that were named."""
    if context.reader.file is not None and unit.path not in context.reader.file.needed:
        context.reader.file.needed.append(unit.path)


def named(key: str, settings: Settings, context: Context) -> Iterator[tuple[Setting, str, Neighbour | None]]:
    """Each word of the settings KEY, and the unit that it means, if it means one of Quadlet's."""
    for setting in settings.get(key, ()):
        for word in resolve_words(setting, context):
            yield setting, word, context.units.find(word, context.directory)


def unit_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Refuse what mydocker cannot see to; dependencies and conditions are read by functions of their own."""
    if key in _ELSEWHERE or key in _TOGETHER:
        for setting, word, unit in named(key, {key: settings}, context):
            if unit is None and kind_of(word):
                context.reader.refuse(setting.value, f"cannot read {word}: no such file or directory")
            elif unit is not None and key in _ELSEWHERE:
                context.reader.refuse(
                    setting.key, f"{key} of {word} is not supported: there is no systemd to see to it"
                )
    elif _condition_kind(key) is not None:
        if _condition_kind(key) not in KINDS:
            context.reader.refuse(settings[-1].key, f"{key} is not supported: expected one of {', '.join(KINDS)}")
    elif key not in _ALL:
        context.warn(settings[-1].key, f"{unknown_key(key, nearest(key, _ALL))}, which has no effect")
    yield from ()


def _condition_kind(key: str) -> str | None:
    for prefix in ("Condition", "Assert"):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return None


def conditions(context: Context) -> tuple[Condition, ...]:
    """What must hold for the unit to be started (systemd.unit(5), "Conditions and Asserts")."""
    return tuple(
        _condition(kind, each, context)
        for key, settings in context.sections.get("Unit", {}).items()
        if (kind := _condition_kind(key)) in KINDS
        for each in settings
    )


def _condition(kind: str, setting: Setting, context: Context) -> Condition:
    """`[|][!]VALUE`."""
    text = resolve(setting, context)
    negated = text.removeprefix("|").lstrip()
    value = negated.removeprefix("!").lstrip()
    if kind.startswith(("Path", "Directory", "File")) and not value.startswith("/"):
        context.reader.refuse(setting.value, f"{value!r}: expected an absolute path")
    return Condition(
        kind=kind,
        value=value,
        is_negated=negated.startswith("!"),
        is_trigger=text.startswith("|"),
        is_assert=setting.key.text.startswith("Assert"),
    )


def install_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """What systemd does when the unit is enabled has no effect here."""
    if key not in _INSTALL:
        context.warn(settings[-1].key, f"{unknown_key(key, nearest(key, _INSTALL))}, which has no effect")
    yield from ()
