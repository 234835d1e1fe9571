"""The sections of a unit that are for systemd: [Unit], [Service] and [Install].

See systemd.unit(5) and systemd.service(5).
"""

from __future__ import annotations

import math

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.service import START_TIME
from mydocker.specs.model.parts import COMPLETED, HEALTHY, STARTED
from mydocker.specs.render.systemd_unit import restart_lines, span, start_limit
from mydocker.specs.render.unit_syntax import assignment, command_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import Dependency, HostCommand, HostCommands, RestartPolicy
    from mydocker.specs.render.run_options import Notes

_USUAL_TIME_TO_STOP = 90.0  # seconds after which systemd kills: systemd-system.conf(5), "DefaultTimeoutStopSec="
_MARGIN = 10  # seconds more than the container's own grace
_LASTING = ("always", "unless-stopped")


def unit_lines(case: CaseSpec, name: str, services: Mapping[str, str], notes: Notes) -> list[str]:
    """The lines of [Unit] of the unit NAME. SERVICES: those of the containers that it depends on, by what it calls
    them."""
    service = case.service
    of_project = f" of {service.project}" if service and service.project else ""
    lines = [f"Description={plain(f'Container {name}{of_project}')}"]
    for key, others in _needs(case.depends_on, services).items():
        lines += [f"{key}={' '.join(others)}"] if others else []
    for each in case.depends_on:
        if each.restart and each.name in services:
            notes.append(f"depends_on: restart: systemd restarts it with {each.name!r} whenever that is restarted")
    lines += [str(each).replace("%", "%%") for each in service.conditions] if service else []
    return [*lines, *start_limit(case.container.restart)]


def _needs(dependencies: Iterable[Dependency], services: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"Requires": [], "BindsTo": [], "Wants": [], "After": []}
    for each in dependencies:
        if each.name in services:
            key = "BindsTo" if each.bound else "Requires" if each.required else "Wants"
            found[key].append(services[each.name])
            found["After"].append(services[each.name])
    return found


def service_lines(case: CaseSpec, awaited: frozenset[str], notes: Notes) -> list[str]:
    """The lines of [Service]. AWAITED: the conditions for which others wait."""
    spec, host = case.container, case.service.host_commands if case.service else None
    is_job = COMPLETED in awaited
    lines = ["Type=oneshot", "RemainAfterExit=yes"] if is_job else []
    lines += _host_lines(host) if host else []
    if spec.timeout is not None:
        lines.append(f"{'TimeoutStartSec' if is_job else 'RuntimeMaxSec'}={span(spec.timeout)}")
    if spec.stop_grace_period + _MARGIN > _USUAL_TIME_TO_STOP:
        lines.append(f"TimeoutStopSec={math.ceil(spec.stop_grace_period) + _MARGIN}")
    policy = spec.restart
    if policy is None:
        return lines
    if is_job and policy.name in _LASTING:
        notes.append(f"restart: {policy.name}: others wait for its end, so systemd does not start it again")
        return lines
    if lost := "; ".join(_lost(policy)):
        notes.append(f"restart: {lost}")
    return [*lines, *restart_lines(policy)]


def _lost(policy: RestartPolicy) -> Iterator[str]:
    """What systemd has not of POLICY."""
    if policy.name == "unless-stopped":
        yield "systemd has always for unless-stopped, and starts it at boot although it was stopped"
    if policy.delay is None:
        yield "its pauses are of one second, and do not grow"
    if policy.window is not None:
        yield "there is no window after which attempts count anew"
    if policy.burst and policy.attempts:
        yield f"of two limits there is that of {policy.burst} starts, not that of {policy.attempts} attempts"


def _host_lines(commands: HostCommands) -> list[str]:
    lines = [f"Environment={assignment(name, value)}" for name, value in commands.environment.items()]
    lists = (("ExecStartPre", commands.before), ("ExecStartPost", commands.begun), ("ExecStopPost", commands.after))
    lines += [f"{key}={_host_command(each)}" for key, found in lists for each in found]
    if commands.timeout != START_TIME:
        lines.append(f"TimeoutStartSec={'infinity' if commands.timeout is None else span(commands.timeout)}")
    return lines


def _host_command(command: HostCommand) -> str:
    return f"{'-' if command.may_fail else ''}{command_line(command.words)}"


def install_lines(case: CaseSpec) -> list[str]:
    """The lines of [Install]: what is to run always starts with the machine, as with Docker."""
    restart = case.container.restart
    return ["WantedBy=multi-user.target default.target"] if restart and restart.name in _LASTING else []


def conditions_note(name: str, own: str, awaited: frozenset[str]) -> str:
    """What is lost if one waits for OWN of the container NAME, and others wait for other conditions; empty if nothing
    is. Of a unit there is one moment at which it has started."""
    reached = next((each for each in (COMPLETED, HEALTHY) if each in awaited), STARTED)
    return (
        "" if own == reached else f"depends_on: {name}: {own}: for systemd it has started at {reached}, as others need"
    )
