"""The section [Service] of a Quadlet file: what systemd would do with the process, as far as mydocker can: limits, time
limits, restarts, commands before and after.

What it says about the process of Podman, which there is none of here, has no effect.
"""

from __future__ import annotations

from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, boolean, resolve, resolve_words, time_span
from mydocker.specs.formats.quadlet.unit_files import last
from mydocker.specs.model.parts import HostCommand, HostCommands
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at
from mydocker.specs.values.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.nodes.unit_file import Setting

_IDLE_WORDS = """
    BusName Delegate Environment EnvironmentFile ExecReload GuessMainPID KillMode KillSignal LogLevelMax
    ManagedOOMSwap ManagedOOMMemoryPressure MemoryAccounting CPUAccounting IOAccounting TasksAccounting
    NotifyAccess OOMPolicy PassEnvironment PIDFile RemainAfterExit RestartKillSignal SendSIGHUP SendSIGKILL Slice
    StandardError StandardInput StandardOutput SyslogFacility SyslogIdentifier SyslogLevel TTYPath TimeoutAbortSec
    TimeoutStartSec TimeoutStopFailureMode TimeoutStartFailureMode Type UMask WatchdogSec WorkingDirectory Restart
    RestartSec StartLimitInterval StartLimitIntervalSec StartLimitBurst StartLimitAction ExecStartPre ExecStartPost
    ExecStopPost
"""
_IDLE = frozenset(_IDLE_WORDS.split())
_REFUSED = {
    **dict.fromkeys(("ExecStart", "ExecStop", "ExecCondition"), "there is no systemd to execute it"),
    **dict.fromkeys(("User", "Group", "DynamicUser"), "run mydocker as that user, or set User in [Container]"),
    **dict.fromkeys(("RootDirectory", "RootImage"), "the container has its own root"),
    **dict.fromkeys(
        ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted", "ImportCredential"),
        "expected Secret in [Container]",
    ),
    **dict.fromkeys(
        ("RestartSteps", "RestartMaxDelaySec", "RestartMode", "RestartPreventExitStatus", "RestartForceExitStatus"),
        "a container that failed is run again after RestartSec",
    ),
    "SuccessExitStatus": "exit code 0 is success",
}
_SUCCESS = "SuccessExitStatus"
_LIMITS = {"MemoryMax": "mem_limit", "TasksMax": "pids_limit", "OOMScoreAdjust": "oom_score_adj"}
_TIMES_TO_STOP = ("TimeoutStopSec", "TimeoutSec")
_POLICIES = ("no", "on-failure", "always")  # of Restart
_NEVER = ("on-abnormal", "on-abort", "on-watchdog")  # Podman's own process passes on exit codes alone
_PODMANS_GRACE = 10.0  # seconds, podman-stop(1)
_PERCENT_LIMIT = 10**7
_BURST_LIMIT = 10**6
_DELAY, _INTERVAL, _BURST = 0.1, 10.0, 5  # systemd-system.conf(5), "DefaultRestartSec=", "DefaultStartLimitBurst="
_FOREVER = "876000h"  # a hundred years
START_TIME = 90.0  # seconds for the commands before a start: systemd-system.conf(5), "DefaultTimeoutStartSec="


def service_section(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Entries for limits on time, memory and processes."""
    setting = settings[-1]
    if key == "RuntimeMaxSec":
        if setting.text != "infinity":
            yield "timeout", text_at(setting.value, time_span(setting, context))
    elif key in _TIMES_TO_STOP:
        yield from _time_to_stop(setting, context)
    elif key in _LIMITS:
        if setting.text != "infinity":
            yield _LIMITS[key], text_at(setting.value, resolve(setting, context))
    elif key == "CPUQuota":
        yield from _cpus(setting, context)
    elif key == _SUCCESS and not _minds_failure(context):
        context.warn(setting.key, f"{key} has no effect: exit code 0 alone is success")
    elif key in _REFUSED:
        if key != "DynamicUser" or boolean(setting, context):
            context.reader.refuse(setting.key, f"{key} is not supported: {_REFUSED[key]}")
    elif key not in _IDLE:
        context.warn(setting.key, f"{key} has no effect on the container: there is no systemd to see to it")


def _minds_failure(context: Context) -> bool:
    """Whether something is done where the container fails, and not where it succeeds: it is restarted, or nothing that
    waits for its end starts."""
    service = context.sections.get("Service", {})
    return last(service, "Restart") == "on-failure" or last(service, "Type") == "oneshot"


def time_limit(context: Context) -> Iterator[tuple[Setting | None, Entry]]:
    """A unit of the type oneshot is starting for as long as it runs, so TimeoutStartSec limits that."""
    service = context.sections.get("Service", {})
    limit = service.get("TimeoutStartSec")
    if last(service, "Type") == "oneshot" and limit and limit[-1].text not in ("infinity", "0"):
        yield limit[-1], ("timeout", text_at(limit[-1].value, time_span(limit[-1], context)))


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


def restarts(context: Context) -> Iterator[tuple[Setting | None, Entry]]:
    """When systemd would restart the service, if it ever would, and how often at most."""
    service = context.sections.get("Service", {})
    restart = service.get("Restart")
    if not restart or restart[-1].text == "no":
        return
    setting, pauses = restart[-1], service.get("RestartSec", [])
    if setting.text == "unless-stopped":
        context.warn(
            setting.value, "Restart=unless-stopped is none of systemd's, which ignores it: did you mean always?"
        )
        return
    if setting.text in _NEVER:
        context.warn(setting.value, f"Restart={setting.text} never restarts a container: its process ends by itself")
        return
    if setting.text not in _POLICIES:
        why = f"Restart={setting.text} is not supported: expected {', '.join(_POLICIES)}"
        context.reader.refuse(setting.value, why)
        return
    policy: dict[str, str] = {"condition": setting.text, "delay": f"{_DELAY:g}s"}
    if pauses:
        policy["delay"] = time_span(pauses[-1], context)
    yield setting, ("restart", data_at(setting.value, policy | _start_limit(context)))


def _start_limit(context: Context) -> dict[str, str]:
    """So many starts within so much time are the last ones (systemd.unit(5), "StartLimitIntervalSec=")."""
    found: dict[str, Setting] = {}
    for section in ("Service", "Unit"):
        for key, settings in context.sections.get(section, {}).items():
            if settings and key.startswith("StartLimit"):
                found[key.replace("IntervalSec", "Interval")] = settings[-1]
    interval, burst, is_forever = f"{_INTERVAL:g}s", str(_BURST), False
    if setting := found.get("StartLimitInterval"):
        is_forever = setting.text == "infinity"
        interval = _FOREVER if is_forever else time_span(setting, context)
    if setting := found.get("StartLimitBurst"):
        burst = setting.text
        if whole_number(burst, _BURST_LIMIT) is None:
            context.reader.refuse(setting.value, f"{burst!r}: expected a number of starts")
            burst = str(_BURST)
    if parse_duration(interval) == 0 or burst == "0":
        return {}
    if is_forever and int(burst) > 1:  # the first start is none of the attempts
        return {"max_attempts": str(int(burst) - 1)}
    return {"burst": burst, "interval": interval}


def host_commands(context: Context) -> HostCommands | None:
    """The commands of the host that go with a start of the container (systemd.service(5), "ExecStartPre=")."""
    service = context.sections.get("Service", {})
    lists = {
        name: tuple(command for each in service.get(key, ()) if (command := _command(each, context)))
        for key, name in (("ExecStartPre", "before"), ("ExecStartPost", "begun"), ("ExecStopPost", "after"))
    }
    if not any(lists.values()):
        return None
    limit = service.get("TimeoutStartSec") or service.get("TimeoutSec")
    seconds: float | None = START_TIME
    if limit:
        seconds = None if limit[-1].text in ("infinity", "0") else parse_duration(time_span(limit[-1], context))
    return HostCommands(**lists, timeout=seconds, environment=dict(context.service_environment))


def _command(setting: Setting, context: Context) -> HostCommand | None:
    """One command line. `-` before it: it may fail; `:`: no variables are replaced; `@`, `+` and `!` are not supported,
    for there is one user and one name."""
    words = resolve_words(setting, context)
    if not words:
        return None
    prefix = words[0][: len(words[0]) - len(words[0].lstrip("-:@+!"))]
    if set(prefix) & set("@:"):
        context.reader.refuse(setting.value, f"{prefix!r} before a command is not supported")
    program = words[0][len(prefix) :]
    if not program.startswith("/") and "/" in program:
        context.reader.refuse(setting.value, f"{program!r}: expected an absolute path, or the name of a program")
    return HostCommand(words=(program, *words[1:]), may_fail="-" in prefix)
