"""Units of systemd that run mydocker: a service for a container or for files, a target for a project.

Pure text: which command line runs, the caller says. systemd.service(5), systemd.unit(5), systemd.kill(5).
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.render.unit_syntax import assignment, command_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mydocker.specs.model.parts import RestartPolicy

HEAD = "# Written by 'mydocker unit'; it is overwritten by 'mydocker unit --install'."
_SECONDS_TO_START = 900  # a pull may take long
_SECONDS_TO_STOP = 10  # more than the container's own grace
_WATCHDOG = 60


class ServiceUnit(Record):
    """What a service does. `command` is its command line, those `before` may fail; times are seconds.

    `notifies`: mydocker says when it is ready, and that it lives; else with `is_job`, it has started when it has ended.
    `needs` and `after` are names of units; `part_of` is the target that it belongs to, or what wants it at boot; empty:
    nothing starts it by itself. `environment`: its variables. `is_check`: it runs, and then it may be started again.
    `restarts_itself`: what it runs has a restart policy of its own, so that systemd restarts it only if it was killed.
    `source`: the file that it is for.
    """

    name: str
    description: str
    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    stop: tuple[str, ...] = ()
    notifies: bool = True
    is_job: bool = False
    is_check: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    target: str = ""
    wanted_by: str = "multi-user.target"
    grace: float = 10.0
    stop_time: float = _SECONDS_TO_STOP  # more than the grace
    restart: RestartPolicy | None = None
    restarts_itself: bool = False
    notes: tuple[str, ...] = ()
    source: str = ""


def service_text(unit: ServiceUnit, *, is_users: bool) -> str:
    """The text of a `.service` file; IS_USERS: for a user's manager."""
    network = [] if is_users else ["network-online.target"]
    lines = [HEAD, *(f"# {note}" for note in unit.notes), "", "[Unit]", f"Description={plain(unit.description)}"]
    lines += source_lines(unit.source)
    lines += _words("Requires", unit.needs)
    lines += _words("Wants", network)
    lines += _words("After", (*network, *unit.after))
    lines += [f"PartOf={unit.target}"] if unit.target else []
    lines += start_limit(unit.restart)
    lines += ["", "[Service]", *_type(unit), *(f"Environment={assignment(*each)}" for each in unit.environment)]
    lines += [f"ExecStartPre=-{command_line(words)}" for words in unit.before]
    lines.append(f"ExecStart={command_line(unit.command)}")
    lines += [f"ExecStop={command_line(unit.stop)}"] if unit.stop else []
    lines += [
        f"TimeoutStartSec={'infinity' if unit.is_job or unit.is_check else _SECONDS_TO_START}",
        f"TimeoutStopSec={span(unit.grace + unit.stop_time)}",
        # the signal is for mydocker, which stops the containers by their own signals; what is left is killed
        "KillMode=mixed",
        *([] if unit.is_check else ["SuccessExitStatus=143"]),
        "Delegate=yes",
        "TasksMax=infinity",
        "OOMPolicy=continue",
        "KeyringMode=private",
    ]
    lines += ["Restart=on-abnormal", "RestartSec=1"] if unit.restarts_itself else restart_lines(unit.restart)
    wanted_by = unit.target or unit.wanted_by
    lines += ["", "[Install]", f"WantedBy={wanted_by}"] if wanted_by else []
    return "\n".join(lines) + "\n"


def timer_text(description: str, calendar: Iterable[str]) -> str:
    """The text of a `.timer` file, which starts the service of the same name at the times of CALENDAR, each an
    expression of systemd.time(7)."""
    lines = [HEAD, "", "[Unit]", f"Description={plain(description)}", "", "[Timer]"]
    lines += [f"OnCalendar={each.replace('%', '%%')}" for each in calendar]
    # what was missed while the machine was off is made up for
    return "\n".join([*lines, "Persistent=true", "", "[Install]", "WantedBy=timers.target"]) + "\n"


def source_lines(path: str) -> list[str]:
    """The setting that names the file that a unit is for."""
    return [f"SourcePath={plain(path)}"] if path.isprintable() and path else []


def target_text(description: str, services: Iterable[str], *, wanted_by: str, source: str = "") -> str:
    """The text of a `.target` file, which starts SERVICES."""
    lines = [HEAD, "", "[Unit]", f"Description={plain(description)}", *source_lines(source)]
    lines += _words("Wants", [*services])
    return "\n".join([*lines, "", "[Install]", f"WantedBy={wanted_by}"]) + "\n"


def _words(key: str, words: Sequence[str]) -> list[str]:
    return [f"{key}={' '.join(words)}"] if words else []


def _type(unit: ServiceUnit) -> list[str]:
    if unit.is_check:
        return ["Type=oneshot"]
    if unit.is_job:
        return ["Type=oneshot", "RemainAfterExit=yes"]
    # an unhealthy container still has its own signal and grace period to end; what does not is killed
    watchdog = [f"WatchdogSec={_WATCHDOG}", "WatchdogSignal=TERM"]
    return ["Type=notify", "NotifyAccess=main", *watchdog] if unit.notifies else ["Type=exec"]


def start_limit(policy: RestartPolicy | None) -> list[str]:
    """How often systemd starts it again: as for Docker without end, unless the policy says otherwise."""
    if policy is None:
        return []
    if policy.burst:
        return [f"StartLimitIntervalSec={span(policy.interval)}", f"StartLimitBurst={policy.burst}"]
    if policy.attempts:
        return ["StartLimitIntervalSec=infinity", f"StartLimitBurst={policy.attempts + 1}"]
    return ["StartLimitIntervalSec=0"]


def restart_lines(policy: RestartPolicy | None) -> list[str]:
    """The settings of [Service] for POLICY."""
    if policy is None:
        return []
    word = "on-failure" if policy.name == "on-failure" else "always"
    return [f"Restart={word}", f"RestartSec={span(1.0 if policy.delay is None else policy.delay)}"]


def span(seconds: float) -> str:
    """SECONDS as systemd.time(7) has them."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s" if seconds % 1 or seconds < 1 else str(int(seconds))
