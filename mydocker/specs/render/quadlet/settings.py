"""Options of `podman run` as settings of [Container]: by the key that has the same meaning, else by PodmanArgs, which
takes any flag (podman-systemd.unit(5), "Container units [Container]").

This is the inverse of formats/quadlet/values.py. A key whose value is taken as it is cannot have every text, such as
one with a line break; PodmanArgs can.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.fields import FIELDS
from mydocker.specs.formats.quadlet.container_file import SPLIT
from mydocker.specs.render.run_options import flag_of
from mydocker.specs.render.unit_syntax import whole, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.specs.render.run_options import Option

_KEYS = {flag_of(row): row.quadlet for row in FIELDS if row.quadlet and row.flags} | {
    "--volume": "Volume",
    "--mount": "Mount",
    "--tmpfs": "Tmpfs",
    "--device": "AddDevice",
    "--gpus": "AddDevice",  # by CDI's names, see run_options
    "--publish": "PublishPort",
    "--network": "Network",
    "--log-driver": "LogDriver",
    "--log-opt": "LogOpt",
    "--health-cmd": "HealthCmd",
    "--health-interval": "HealthInterval",
    "--health-timeout": "HealthTimeout",
    "--health-retries": "HealthRetries",
    "--health-start-period": "HealthStartPeriod",
    "--health-on-failure": "HealthOnFailure",
    "--entrypoint": "Entrypoint",
    "--secret": "Secret",
}
_WORDS = frozenset((*SPLIT, "AddDevice", "Mount"))  # keys whose values are split into words
_SECURITY = {
    "seccomp=": "SeccompProfile",
    "apparmor=": "AppArmor",
    "label=type:": "SecurityLabelType",
    "label=level:": "SecurityLabelLevel",
    "mask=": "Mask",
}


def setting_lines(options: Iterable[Option]) -> list[str]:
    """The lines for OPTIONS, those that PodmanArgs has last, as Podman has them."""
    lines = [line for flag, value in options for line in _lines(flag, value)]
    return sorted(lines, key=lambda line: line.startswith("PodmanArgs="))


def setting(key: str, text: str) -> str | None:
    """The line that gives KEY the value TEXT; None if no such line can."""
    written = word(text) if key in _WORDS else whole(text)
    return None if written is None else f"{key}={written}"


def podman_args(flag: str, value: str | None = None) -> str:
    """The line for a flag that has no key, or whose value no key can have."""
    return f"PodmanArgs={word(flag if value is None else f'{flag}={value}')}"


def _lines(flag: str, value: str | None) -> Iterator[str]:
    if flag in _SPECIAL:
        yield from _SPECIAL[flag](value or "")
    elif flag not in _KEYS:
        yield podman_args(flag, value)
    elif value is None:
        yield f"{_KEYS[flag]}=true"
    else:
        yield setting(_KEYS[flag], value) or podman_args(flag, value)


def _user(text: str) -> Iterator[str]:
    user, colon, group = text.partition(":")
    lines = [setting("User", user), *([setting("Group", group)] if colon else [])]
    if None in lines:
        yield podman_args("--user", text)
    else:
        yield from filter(None, lines)


def _read_only(_: str) -> Iterator[str]:
    """Without the directories that Podman leaves writable, as Docker has it."""
    yield from ("ReadOnly=true", "ReadOnlyTmpfs=false")


def _no_healthcheck(_: str) -> Iterator[str]:
    yield "HealthCmd=none"


def _security_option(text: str) -> Iterator[str]:
    prefix = next((each for each in _SECURITY if text.startswith(each)), "")
    if text == "no-new-privileges":
        yield "NoNewPrivileges=true"
    elif text.startswith("unmask="):
        yield f"Unmask={word(text.removeprefix('unmask='))}"
    else:
        line = setting(_SECURITY[prefix], text.removeprefix(prefix)) if prefix else None
        yield line or podman_args("--security-opt", text)


_SPECIAL: dict[str, Callable[[str], Iterator[str]]] = {
    "--user": _user,
    "--read-only": _read_only,
    "--no-healthcheck": _no_healthcheck,
    "--security-opt": _security_option,
}
