"""Quadlet's `.container` files (podman-systemd.unit(5)), as a document of ours: run without systemd and without Podman.

Every setting either has an equal, or is one that says nothing here, or is refused at its place. The tables say which is
which; what becomes of those that are no plain word is in quadletvalue.py.
"""

from __future__ import annotations

import os
from functools import partial

from mydocker.record import TYPE_CHECKING
from mydocker.spec.later import nearest
from mydocker.spec.node import Mapping, Node, Scalar, list_at, text_at
from mydocker.spec.quadletcontext import Context, boolean, resolve, resolve_words, time_span
from mydocker.spec.quadletvalue import SPECIAL, name_of_unit
from mydocker.spec.reading import unknown_key
from mydocker.spec.source import UNIT_SUFFIX
from mydocker.spec.specifier import Unit
from mydocker.spec.unitfile import Setting, parse_unit, split_words
from mydocker.spec.values import data_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.spec.reading import Reading

    Entry = tuple[str, Node]
    Given = dict[str, list[Setting]]


_LAST = {
    **{"HostName": "hostname", "WorkingDir": "working_dir", "ContainerName": "name", "Pull": "pull_policy"},
    **{"Memory": "mem_limit", "PidsLimit": "pids_limit", "ShmSize": "shm_size", "UserNS": "userns_mode"},
    **{"StopSignal": "stop_signal", "StopTimeout": "stop_grace_period", "Network": "network_mode"},
}
_EACH = {
    **{"AddHost": "extra_hosts", "DNS": "dns", "GroupAdd": "group_add", "Tmpfs": "tmpfs", "Ulimit": "ulimits"},
}
_WORDS = {
    **{"AddCapability": "cap_add", "DropCapability": "cap_drop", "Sysctl": "sysctls"},
    **{"Environment": "environment", "Label": "labels"},
}
_SWITCHES = {"RunInit": "init"}
# for other programs than the container's: systemd's reloading and start-up messages, and documentation
_IDLE = ("ExposeHostPort", "Notify", "ReloadCmd", "ReloadSignal", "StartWithPod")
_OFF = ("EnvironmentHost", "SecurityLabelNested")  # accepted when they are switched off
_NO_EQUAL = """
    Annotation CgroupsMode ContainersConfModule DNSOption DNSSearch GIDMap GlobalArgs HealthLogDestination
    HealthMaxLogCount HealthMaxLogSize HealthOnFailure HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout IP IP6 LogOpt Mask NetworkAlias Pod Retry RetryDelay
    Secret SecurityLabelFileType SubGIDMap SubUIDMap UIDMap
"""
CONTAINER = frozenset((*_LAST, *_EACH, *_WORDS, *_SWITCHES, *_IDLE, *_OFF, *SPECIAL, *_NO_EQUAL.split()))

# what concerns only the unit's place among others, where there are no others
_UNIT_IDLE = """
    Description Documentation After Before SourcePath DefaultDependencies IgnoreOnIsolate RefuseManualStart
    RefuseManualStop AllowIsolate CollectMode StopWhenUnneeded
"""
_UNIT_WEAK = ("Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds")  # say nothing of targets
_UNIT_ON = {"Requires": True, "Requisite": True, "BindsTo": True, "Wants": False, "After": False}  # whether it must be
_INSTALL_IDLE = ("Alias", "Also", "DefaultInstance", "RequiredBy", "UpheldBy", "WantedBy")
_SERVICE_IDLE = """
    Delegate Environment ExecReload KillMode NotifyAccess RemainAfterExit Slice SyslogIdentifier TimeoutStartSec Type
"""
_SERVICE_LIMITS = {"MemoryMax": "mem_limit", "TasksMax": "pids_limit"}


def document(raw: bytes, path: str, reading: Reading) -> Mapping | None:
    """The document that the file at the absolute PATH stands for; None if it is no unit at all."""
    settings, problems = parse_unit(raw)
    reading.problems.extend(problems)
    top = Scalar(line=1, column=1, text="", plain=False)
    if os.path.isdir(f"{path}.d"):
        reading.refuse(top, f"{os.path.basename(path)}.d: drop-ins are not supported yet")
    sections: dict[str, Given] = {}
    heads = {setting.section: setting for setting in reversed(settings)}
    for setting in settings:
        _add(sections.setdefault(setting.section, {}), setting)
    if "Container" not in sections:
        reading.refuse(top, "there is no [Container] section")
        return None
    unit = _unit(path, sections, reading)
    context = Context(unit=unit, reading=reading, given=sections["Container"])
    entries: list[tuple[Setting | None, Entry]] = [(None, ("name", text_at(top, unit.name)))]
    entries += _dependencies(sections.get("Unit", {}), context)
    for section, given in sections.items():
        read = _SECTIONS.get(section)
        if read is None and not section.startswith("X-"):
            reading.refuse(heads[section].key, f"section [{section}] is not supported")
        for key, each in given.items():
            if read and each and not key.startswith("X-"):
                entries += [(each[-1], entry) for entry in read(key, each, context)]
    return Mapping(line=1, column=1, entries=tuple(_joined(entries, top)))


def _add(given: Given, setting: Setting) -> None:
    """An empty value forgets those before it."""
    before = given.setdefault(setting.key.text, [])
    if setting.value.text:
        before.append(setting)
    else:
        before.clear()


def _unit(path: str, sections: dict[str, Given], reading: Reading) -> Unit:
    """The unit, an instance of a template if its name has one; what it may use are our variables, then its own."""
    name = os.path.basename(path).removesuffix(UNIT_SUFFIX)
    prefix, at, instance = name.partition("@")
    default = sections.get("Install", {}).get("DefaultInstance")
    if at and not instance and default:
        instance = default[-1].value.text
    elif at and not instance:
        top = Scalar(line=1, column=1, text="", plain=False)
        reading.refuse(
            top, f"{name}{UNIT_SUFFIX} is a template: link {name}INSTANCE{UNIT_SUFFIX} to it, or give DefaultInstance"
        )
    variables = dict(reading.place.environ)
    for setting in sections.get("Service", {}).get("Environment", ()):
        pairs = reading.attempt(setting.value, partial(split_words, setting.value.text)) or []
        variables |= {word.partition("=")[0]: word.partition("=")[2] for word in pairs}
    return Unit(path=path, prefix=prefix, instance=instance, variables=variables)


def _joined(entries: list[tuple[Setting | None, Entry]], top: Node) -> Iterator[tuple[Scalar, Node]]:
    """One entry for each key: the items of what is a list, the members of what is a mapping, else the last."""
    nodes: dict[str, list[tuple[Node, Node]]] = {}
    for setting, (key, node) in entries:
        nodes.setdefault(key, []).append((setting.key if setting else top, node))
    for key, found in nodes.items():
        place, value = found[-1]
        if key in _LISTED:
            value = list_at(found[0][1], [each for _, each in found])
        elif isinstance(value, Mapping):
            value = value.replace(entries=tuple(entry for _, each in found for entry in getattr(each, "entries", ())))
        yield Scalar(line=place.line, column=place.column, text=key, plain=True), value


_LISTED = frozenset(
    (*_EACH.values(), *_WORDS.values(), "volumes", "devices", "env_file", "security_opt", "inject", "ports")
)


def _container(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    last, reading = settings[-1], context.reading
    if key in SPECIAL:
        yield from SPECIAL[key](settings, context)
    elif key in _LAST:
        if key == "Network" and len(settings) > 1:
            reading.refuse(last.key, "several networks are not supported yet")
        yield _LAST[key], text_at(last.value, resolve(last, context))
    elif key in _EACH:
        yield from ((_EACH[key], text_at(each.value, resolve(each, context))) for each in settings)
    elif key in _WORDS:
        for each in settings:
            yield from ((_WORDS[key], text_at(each.value, word)) for word in resolve_words(each, context))
    elif key in _SWITCHES:
        yield _SWITCHES[key], data_at(last.value, boolean(last, context))
    elif key not in _IDLE and not (key in _OFF and not boolean(last, context)):
        _refuse(key, last, context, CONTAINER, supported=key not in CONTAINER)


def _refuse(key: str, setting: Setting, context: Context, known: frozenset[str], *, supported: bool) -> None:
    message = unknown_key(key, nearest(key, known)) if supported else f"{key} is not supported"
    context.reading.refuse(setting.key, message)


def _dependencies(given: Given, context: Context) -> Iterator[tuple[Setting | None, Entry]]:
    """Other containers that this one names: they begin before it, if they are among those to run."""
    found: dict[str, tuple[Setting, bool]] = {}
    for key, is_required in _UNIT_ON.items():
        for setting in given.get(key, ()):
            for word in setting.value.text.split():
                if word.endswith(UNIT_SUFFIX):
                    found.setdefault(name_of_unit(word, setting, context), (setting, is_required))
    for name, (setting, is_required) in found.items():
        condition = {"condition": "service_started", "required": is_required}
        yield setting, ("depends_on", data_at(setting.value, {name: condition}))


def _idle_unit(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    words = [word for each in settings for word in each.value.text.split()]
    if key in _UNIT_ON:
        words = [word for word in words if not word.endswith(UNIT_SUFFIX)]
    other = next((word for word in words if word.endswith(UNIT_SUFFIX)), None)
    if other or not (
        key in _UNIT_IDLE.split() or (key in _UNIT_WEAK and all(word.endswith(".target") for word in words))
    ):
        about = f" of {other}" if other else ""
        context.reading.refuse(settings[-1].key, f"{key}{about} is not supported: there is no systemd to see to it")
    yield from ()


def _idle_install(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key not in _INSTALL_IDLE:
        context.reading.refuse(settings[-1].key, unknown_key(key, nearest(key, _INSTALL_IDLE)))
    yield from ()


def _service(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """What systemd would do with the process, where we can: limits, a time limit, another try."""
    last = settings[-1]
    if key == "Restart":
        yield "restart", text_at(last.value, last.value.text)
    elif key == "RuntimeMaxSec":
        if last.value.text != "infinity":
            yield "timeout", text_at(last.value, time_span(last, context))
    elif key in _SERVICE_LIMITS:
        if last.value.text != "infinity":
            yield _SERVICE_LIMITS[key], text_at(last.value, resolve(last, context))
    elif key == "CPUQuota":
        share = last.value.text.removesuffix("%")
        if not share.isascii() or not share.isdigit():
            context.reading.refuse(last.value, f"{last.value.text!r}: want a percentage, such as 50%")
        else:
            yield "cpus", text_at(last.value, f"{int(share) / 100:g}")
    elif key not in _SERVICE_IDLE.split():
        context.reading.refuse(last.key, f"{key} is not supported: there is no systemd to see to it")


def _quadlet(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    if key != "DefaultDependencies":
        context.reading.refuse(settings[-1].key, unknown_key(key, nearest(key, ("DefaultDependencies",))))
    yield from ()


_SECTIONS: dict[str, Callable[[str, list[Setting], Context], Iterator[Entry]]] = {
    "Container": _container,
    "Unit": _idle_unit,
    "Install": _idle_install,
    "Service": _service,
    "Quadlet": _quadlet,
}
