"""The sections of a Quadlet file for systemd: [Unit], [Service] and [Install], as far as they apply without systemd.

Dependencies on other containers, time limits and limits on memory, processes and CPUs apply; settings that concern only
the order among other units have no effect. Everything else is refused by name.
"""

from __future__ import annotations

from functools import partial

from mydocker.errors import MydockerError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, resolve, resolve_words, time_span
from mydocker.specs.formats.quadlet.units import UNIT_SUFFIX, Units
from mydocker.specs.model.unsupported import nearest
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import Scalar, text_at
from mydocker.specs.nodes.reader import unknown_key
from mydocker.specs.values.duration import parse_duration
from mydocker.specs.values.quantity import parse_cpus, parse_memory, parse_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.specs.formats.quadlet.units import Neighbour
    from mydocker.specs.nodes.node import Node
    from mydocker.specs.nodes.unit_file import Setting

    Entry = tuple[str, Node]
    Settings = dict[str, list[Setting]]
    Found = tuple[Setting | None, Node]

# settings that concern only the order among other units, where there are none
_UNIT_IDLE = """
    Description Documentation After Before SourcePath DefaultDependencies IgnoreOnIsolate RefuseManualStart
    RefuseManualStop AllowIsolate CollectMode StopWhenUnneeded
"""
_UNIT_WEAK = ("Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds")  # no effect for targets
_UNIT_ON = {
    "Requires": True,
    "Requisite": True,
    "BindsTo": True,
    "Wants": False,
    "After": False,
}  # whether the other unit is required
_INSTALL_IDLE = ("Alias", "Also", "DefaultInstance", "RequiredBy", "UpheldBy", "WantedBy")
_SERVICE_IDLE = """
    Delegate Environment ExecReload KillMode NotifyAccess RemainAfterExit Slice SyslogIdentifier TimeoutStartSec Type
"""
_LIMITS = {"MemoryMax": "mem_limit", "TasksMax": "pids_limit", "OOMScoreAdjust": "oom_score_adj"}
_TIMES_TO_STOP = ("TimeoutStopSec", "TimeoutSec")
_RESTARTS = """
    RestartSec RestartSteps RestartMaxDelaySec RestartMode RestartPreventExitStatus RestartForceExitStatus
    StartLimitInterval StartLimitIntervalSec StartLimitBurst StartLimitAction
"""
_POLICIES = ("no", "on-failure", "always")  # of Restart
_PODMANS_GRACE = 10.0  # seconds, podman-stop(1)
_PERCENT_LIMIT = 10**7


def dependencies(settings: Settings, context: Context, top: Node) -> Iterator[tuple[Setting | None, Entry]]:
    """Other containers that start before this one: those that it names, and those to run that name it."""
    units = _units(context)
    followers = {unit.container for _, _, unit in _named("Before", settings, units, context) if unit}
    found: dict[str, tuple[Setting | None, bool]] = {}
    for key, is_required in _UNIT_ON.items():
        for setting, word, unit in _named(key, settings, units, context):
            if unit is None and word.endswith(UNIT_SUFFIX):
                context.reader.refuse(setting.value, f"cannot read {word}: no such file or directory")
            if unit and (key == "After" or unit.container not in followers):
                found.setdefault(unit.container, (setting, is_required))
    for unit in units.first(context.unit.name):
        found.setdefault(unit.container, (None, False))
    for name, (asking, is_required) in found.items():
        condition = {"condition": "service_started", "required": is_required}
        yield asking, ("depends_on", data_at(asking.value if asking else top, {name: condition}))


def _units(context: Context) -> Units:
    """The units among the loaded files, for their references to each other."""
    source = context.reader.file
    if source is None:
        return Units(())
    units = source.cache.get("units")
    if not isinstance(units, Units):
        units = source.cache["units"] = Units(source.paths)
    return units


def _named(
    key: str, settings: Settings, units: Units, context: Context
) -> Iterator[tuple[Setting, str, Neighbour | None]]:
    """Each word of the settings KEY, and the container that it means, if it means one."""
    for setting in settings.get(key, ()):
        for word in resolve_words(setting, context):
            yield setting, word, units.find(word, context.reader.scope.directory)


def unit_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key in _RESTARTS.split():
        return
    words = [
        word
        for _, word, unit in _named(key, {key: settings}, _units(context), context)
        if key not in _UNIT_ON or not (unit or word.endswith(UNIT_SUFFIX))  # which are dependencies, see there
    ]
    other = next((word for word in words if word.endswith(UNIT_SUFFIX)), None) if key in _UNIT_WEAK else None
    is_weak = key in _UNIT_WEAK and all(word.endswith(".target") for word in words)
    if other or not (key in _UNIT_IDLE.split() or is_weak):
        about = f" of {other}" if other else ""
        context.reader.refuse(settings[-1].key, f"{key}{about} is not supported: there is no systemd to see to it")
    yield from ()


def install_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key not in _INSTALL_IDLE:
        context.reader.refuse(settings[-1].key, unknown_key(key, nearest(key, _INSTALL_IDLE)))
    yield from ()


def service_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """What systemd would do with the process, as far as mydocker can: limits, time limits, restarts."""
    last = settings[-1]
    if key == "RuntimeMaxSec":
        if last.text != "infinity":
            yield "timeout", text_at(last.value, time_span(last, context))
    elif key in _TIMES_TO_STOP:
        yield from _time_to_stop(last, context)
    elif key in _LIMITS:
        if last.text != "infinity":
            yield _LIMITS[key], text_at(last.value, resolve(last, context))
    elif key == "CPUQuota":
        yield from _cpus(last, context)
    elif key != "Restart" and key not in _SERVICE_IDLE.split() and key not in _RESTARTS.split():
        context.reader.refuse(last.key, f"{key} is not supported: there is no systemd to see to it")


def _cpus(setting: Setting, context: Context) -> Iterator[Entry]:
    share = whole_number(setting.text.removesuffix("%"), _PERCENT_LIMIT) if setting.text.endswith("%") else None
    if share is None:
        context.reader.refuse(setting.value, f"{setting.text!r}: expected a percentage, such as 50%")
    else:
        yield "cpus", text_at(setting.value, f"{share / 100:.2f}")


def _time_to_stop(setting: Setting, context: Context) -> Iterator[Entry]:
    """systemd kills what Podman has not ended by then; without StopTimeout, Podman takes ten seconds."""
    seconds = "" if setting.text in ("infinity", "0") else time_span(setting, context)
    if seconds and (context.settings.get("StopTimeout") or parse_duration(seconds) < _PODMANS_GRACE):
        yield "stop_grace_period", text_at(setting.value, seconds)


def restarts(sections: dict[str, Settings], context: Context) -> Iterator[tuple[Setting | None, Entry]]:
    """When systemd would restart the service, if it ever would; settings that change how often it tries are refused."""
    service = sections.get("Service", {})
    restart = service.get("Restart")
    if not restart or restart[-1].text == "no":
        return
    last, pauses = restart[-1], service.get("RestartSec", [])
    if last.text not in _POLICIES:
        context.reader.refuse(last.value, f"Restart={last.text} is not supported: expected {', '.join(_POLICIES)}")
        return
    policy = {"condition": last.text} | ({"delay": time_span(pauses[-1], context)} if pauses else {})
    yield last, ("restart", data_at(last.value, policy))
    for section in ("Unit", "Service"):
        for key, settings in sections.get(section, {}).items():
            if key != "RestartSec" and key in _RESTARTS.split() and settings:
                why = "a container that failed is run again after RestartSec, or the pauses that Docker makes"
                context.reader.refuse(settings[-1].key, f"{key} is not supported: {why}")


def _least(result: list[Found], parse: Callable[[str], float | None]) -> Found:
    """Of what Podman limits, and what systemd limits, what is less; None and what cannot be read are no limit."""
    lasts = {setting.section if setting else "": (setting, node) for setting, node in result}

    def amount(each: Found) -> float:
        try:
            value = parse(each[1].text.replace("$$", "$")) if isinstance(each[1], Scalar) else None
        except MydockerError:  # which the loader reports when it reads this
            return -1.0
        return float("inf") if value is None else value

    return min(lasts.values(), key=amount)


LEAST: dict[str, Callable[[list[Found]], Found]] = {
    "mem_limit": partial(_least, parse=parse_memory),
    "pids_limit": partial(_least, parse=parse_processes),
    "cpus": partial(_least, parse=parse_cpus),
    "stop_grace_period": partial(_least, parse=parse_duration),
}
