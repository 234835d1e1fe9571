"""A seccomp profile as values, and how to read one from a file in Docker's JSON format.

The format is that of moby's `profiles/seccomp` (documented as "Seccomp security profiles for Docker"), itself the OCI
runtime-spec's `linux.seccomp` with conditions added. Unlike Docker, mydocker refuses keys that the format does not
have: a misspelt `excludes` would silently widen the filter.
"""

from __future__ import annotations

from mydocker.errors import MydockerError, UsageError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

EPERM = 1

ACTIONS = {  # the kernel's return values, linux/seccomp.h
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")  # their low 16 bits are errnoRet
OPERATORS = {  # enum scmp_compare, seccomp.h
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
FLAGS = {  # linux/seccomp.h; the child has one thread, so that TSYNC changes nothing
    "SECCOMP_FILTER_FLAG_TSYNC": 0,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
SPEC_ALLOW = FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]  # runc's default when a profile sets none

_ARCHITECTURE = "SCMP_ARCH_"


class Comparison(Record):
    """A condition on one argument. With MASKED_EQ, `value` is the mask, and `value_two` the value after masking."""

    index: int
    operator: str
    value: int
    value_two: int = 0


class Conditions(Record):
    """When a rule counts: the container's capabilities (without CAP_), Go's names of the machine, the kernel."""

    capabilities: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    kernel: tuple[int, int] | None = None


class Rule(Record):
    """The action for these system calls. All of `includes` must hold, and none of `excludes`."""

    names: tuple[str, ...]
    action: str = "SCMP_ACT_ALLOW"
    errno: int = EPERM
    comparisons: tuple[Comparison, ...] = ()
    includes: Conditions = Conditions()
    excludes: Conditions = Conditions()


class Profile(Record):
    """`architectures` maps each native one to those that run on it too, in libseccomp's names ("x86_64")."""

    origin: str
    default_action: str
    default_errno: int = EPERM
    architectures: Mapping[str, tuple[str, ...]] = {}
    rules: tuple[Rule, ...] = ()
    flags: int = SPEC_ALLOW


def read_profile(path: str) -> Profile:
    """The profile in the file at absolute PATH. Raises UsageError, naming the file and the invalid member."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"cannot read seccomp profile {path}: {error.strerror}") from None
    return parse_profile(raw, path)


_LIMIT = 4 << 20  # bytes; Docker's own profile has 16 thousand


def parse_profile(raw: bytes, origin: str) -> Profile:
    """RAW as a Profile; UsageError names ORIGIN and the invalid member."""
    import json

    what = f"seccomp profile {origin}"
    if len(raw) > _LIMIT:
        raise UsageError(f"{what}: larger than {_LIMIT >> 20} MiB")
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        raise UsageError(f"{what}: nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are both
        raise UsageError(f"{what}: not JSON: {error}") from None
    try:
        return _profile(value, origin)
    except MydockerError as error:
        raise UsageError(f"{what}: {error.message}", hint=error.hint) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")  # RFC 8259, section 6


def _profile(value: Any, origin: str) -> Profile:
    members = _members(
        value, "the profile", "defaultAction defaultErrnoRet architectures archMap flags syscalls comment $schema"
    )
    if members.get("architectures") and members.get("archMap"):
        raise UsageError("architectures and archMap exclude each other")
    flags = [_one_of(x, FLAGS, "a flag") for x in _array(members.get("flags"), "flags")]
    return Profile(
        origin=origin,
        default_action=_one_of(members.get("defaultAction"), ACTIONS, "defaultAction"),
        default_errno=_natural(members.get("defaultErrnoRet", EPERM), "defaultErrnoRet", 0xFFFF),
        architectures=_architectures(members),
        rules=tuple(
            _rule(rule, f"syscalls[{number}]")
            for number, rule in enumerate(_array(members.get("syscalls"), "syscalls"))
        ),
        flags=sum({FLAGS[name] for name in flags}) if flags else SPEC_ALLOW,
    )


def _architectures(members: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """`architectures` apply to every machine, which the key "" stands for."""
    plain = _array(members.get("architectures"), "architectures")
    if plain:
        return {"": tuple(_architecture(name) for name in plain)}
    found = {}
    for number, entry in enumerate(_array(members.get("archMap"), "archMap")):
        what = f"archMap[{number}]"
        names = _members(entry, what, "architecture subArchitectures")
        more = _array(names.get("subArchitectures"), f"{what}.subArchitectures")
        found[_architecture(names.get("architecture"))] = tuple(_architecture(name) for name in more)
    return found


def _architecture(name: Any) -> str:
    if not isinstance(name, str) or not name.startswith(_ARCHITECTURE) or not name.isascii():
        raise UsageError(f"architecture {name!r}: expected a name such as SCMP_ARCH_X86_64")
    return name.removeprefix(_ARCHITECTURE).lower()


def _rule(value: Any, what: str) -> Rule:
    members = _members(value, what, "name names action errnoRet args comment includes excludes")
    names = _strings(members.get("names"), f"{what}.names")
    if members.get("name"):
        if names:
            raise UsageError(f"{what}: name and names exclude each other")
        names = _strings([members["name"]], f"{what}.name")
    if not names:
        raise UsageError(f"{what}: names is missing")
    errno = members.get("errnoRet")
    return Rule(
        names=names,
        action=_one_of(members.get("action"), ACTIONS, f"{what}.action"),
        errno=EPERM if errno is None else _natural(errno, f"{what}.errnoRet", 0xFFFF),
        comparisons=tuple(_comparison(x, f"{what}.args") for x in _array(members.get("args"), f"{what}.args")),
        includes=_conditions(members.get("includes"), f"{what}.includes"),
        excludes=_conditions(members.get("excludes"), f"{what}.excludes"),
    )


def _comparison(value: Any, what: str) -> Comparison:
    members = _members(value, what, "index value valueTwo op")
    return Comparison(
        index=_natural(members.get("index", 0), f"{what}.index", 5),
        operator=_one_of(members.get("op"), OPERATORS, f"{what}.op"),
        value=_natural(members.get("value", 0), f"{what}.value", (1 << 64) - 1),
        value_two=_natural(members.get("valueTwo", 0), f"{what}.valueTwo", (1 << 64) - 1),
    )


def _conditions(value: Any, what: str) -> Conditions:
    members = _members(value or {}, what, "caps arches minKernel")
    names = _strings(members.get("caps"), f"{what}.caps")
    return Conditions(
        capabilities=tuple(name.removeprefix("CAP_") for name in names),
        machines=_strings(members.get("arches"), f"{what}.arches"),
        kernel=_kernel(members.get("minKernel"), f"{what}.minKernel"),
    )


def _kernel(value: Any, what: str) -> tuple[int, int] | None:
    if value is None or value == "":
        return None
    numbers = value.split(".") if isinstance(value, str) else []
    if len(numbers) != 2 or not all(x.isascii() and x.isdigit() and len(x) < 6 for x in numbers):
        raise UsageError(f"{what}: expected a kernel version such as 4.8")
    return int(numbers[0]), int(numbers[1])


def _members(value: Any, what: str, known: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{what}: expected an object")
    for name in value:
        if name not in known.split():
            raise UsageError(f"{what}: unknown member {name!r}", hint=f"known are {', '.join(known.split())}")
    return value


def _array(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"{what}: expected an array")
    return value


def _strings(value: Any, what: str) -> tuple[str, ...]:
    items = _array(value, what)
    if not all(isinstance(x, str) and x.isascii() and "\0" not in x for x in items):
        raise UsageError(f"{what}: expected names")
    return tuple(items)


def _natural(value: Any, what: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise UsageError(f"{what}: expected a number from 0 to {most}")
    return value


def _one_of(value: Any, known: Mapping[str, object], what: str) -> str:
    if not isinstance(value, str) or value not in known:
        if value in ("SCMP_ACT_NOTIFY", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"):
            raise UsageError(f"{what}: {value} needs an agent that listens, which mydocker does not have")
        raise UsageError(f"{what}: {value!r} is not one of {', '.join(known)}")
    return value
