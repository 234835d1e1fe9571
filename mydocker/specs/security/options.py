"""`--security-opt NAME[=VALUE]` and the entries of `security_opt`, as in Docker.

`:` is accepted instead of `=`, as Compose files write it. This module reads the files, so that a Security is complete.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model import Security, SelinuxLabel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from mydocker.specs.values import Scope

_KNOWN = "seccomp, no-new-privileges, apparmor, label, systempaths, mask and unmask"


def parse_option(text: str, scope: Scope) -> dict[str, Any]:
    """The fields of Security that one option sets; `label` is a mapping of its parts, to be joined."""
    name, separator, value = text.partition("=")
    if not separator:
        name, separator, value = text.partition(":")
    if text == "no-new-privileges":
        return {"no_new_privileges": True}
    if name not in _PARSERS:
        raise UsageError(f"unknown security option {name!r}", hint=f"known are {_KNOWN}")
    if not value:
        raise UsageError(f"security option {name!r} needs a value: {name}=VALUE")
    return _PARSERS[name](value, scope)


def combine(options: Iterable[Mapping[str, Any]]) -> Security:
    """Combine all options of a container: the last of repeated ones counts, the parts of a label add up."""
    fields: dict[str, Any] = {}
    for option in options:
        label = {**(fields.get("label") or {}), **option["label"]} if option.get("label") else option.get("label")
        paths = {name: (*fields.get(name, ()), *option[name]) for name in ("mask", "unmask") if name in option}
        fields = {**fields, **option, **({"label": label} if "label" in option else {}), **paths}
    if fields.get("label") is not None:
        fields["label"] = SelinuxLabel(**fields["label"])
    return Security(**fields)


def _seccomp(value: str, scope: Scope) -> dict[str, Any]:
    if value == "unconfined":
        return {"seccomp": None}
    if value == "builtin":
        return {"seccomp": "default"}
    from mydocker.specs.security.seccomp import read_profile

    return {"seccomp": read_profile(values.path(value, scope))}


def _no_new_privileges(value: str, scope: Scope) -> dict[str, Any]:
    return {"no_new_privileges": values.boolean(value, scope)}


def _apparmor(value: str, scope: Scope) -> dict[str, Any]:
    if not value.isprintable() or " " in value:
        raise UsageError(f"{value!r} is not the name of an AppArmor profile")
    return {"apparmor": None if value == "unconfined" else value}


def _label(value: str, scope: Scope) -> dict[str, Any]:
    if value == "disable":
        return {"label": None}
    part, _, text = value.partition(":")
    if part not in SelinuxLabel.fields:
        raise UsageError(f"label {value!r}: expected disable, or one of user, role, type and level, as type:NAME")
    if not text or not text.isprintable() or " " in text or (part != "level" and ":" in text):
        raise UsageError(f"label {value!r}: {text!r} is not an SELinux {part}")
    return {"label": {part: text}}


def _systempaths(value: str, scope: Scope) -> dict[str, Any]:
    if value != "unconfined":
        raise UsageError(f"systempaths {value!r}: the only one is unconfined")
    return {"masked_paths": False}


def _mask(value: str, scope: Scope) -> dict[str, Any]:
    """Podman's: absolute paths, joined by colons."""
    return {"mask": tuple(_paths(value))}


def _unmask(value: str, scope: Scope) -> dict[str, Any]:
    """Podman's: ALL, or absolute paths, in which `*` stands for any text, joined by colons."""
    return {"masked_paths": False} if value.upper() == "ALL" else {"unmask": tuple(_paths(value))}


def _paths(value: str) -> list[str]:
    found = value.split(":")
    for path in found:
        if not path.startswith("/") or ".." in path.split("/"):
            raise UsageError(f"{path!r}: expected an absolute path without '..'")
    return found


_PARSERS = {
    "seccomp": _seccomp,
    "no-new-privileges": _no_new_privileges,
    "apparmor": _apparmor,
    "label": _label,
    "systempaths": _systempaths,
    "mask": _mask,
    "unmask": _unmask,
}


def format_options(security: Security) -> list[str]:
    """The options that make SECURITY; a profile of the user's by the path of its file."""
    options = []
    if security.seccomp != "default":
        profile = security.seccomp
        options.append(f"seccomp={'unconfined' if profile is None else getattr(profile, 'origin', profile)}")
    if security.no_new_privileges:
        options.append("no-new-privileges")
    if security.apparmor:
        options.append(f"apparmor={security.apparmor}")
    if security.label:
        options += [f"label={part}:{value}" for part, value in security.label.as_dict().items()]
    if security.mask:
        options.append(f"mask={':'.join(security.mask)}")
    if security.unmask:
        options.append(f"unmask={':'.join(security.unmask)}")
    return options if security.masked_paths else [*options, "systempaths=unconfined"]
