"""A seccomp profile becomes a BPF program for one machine and one set of capabilities.

As runc does with Docker's profile: conditions are decided now, names that libseccomp does not know
are skipped, and calls newer than any that the profile names fail with ENOSYS, so that programs fall back to older ones.
Cold: run once for each filter, whose program is then kept (filter.py).
"""

from __future__ import annotations

import os
import struct

from mydocker.errors import HostError, LaunchError
from mydocker.kernel.libseccomp import LIBRARY, Library
from mydocker.record import TYPE_CHECKING
from mydocker.specs.security.seccomp import ACTIONS, OPERATORS, WITH_DATA, Conditions, Profile, Rule
from mydocker.specs.values.capability import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}  # libseccomp's name of a machine, which is uname's: Go's name
ENOSYS = 38
_LENIENT = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
INSTRUCTION_LIMIT = 4096  # BPF_MAXINSNS, linux/bpf_common.h

_AUDIT = {  # linux/audit.h; x32 has the number of x86_64, and a bit in the numbers of its calls
    "x86": 0x40000003,
    "x86_64": 0xC000003E,
    "arm": 0x40000028,
    "aarch64": 0xC00000B7,
}
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _GREATER, _BITS, _JUMP, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x05, 0x06  # linux/filter.h: BPF_LD|BPF_W|…
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data


def open_library() -> Library:
    """libseccomp; HostError names the package that has it."""
    try:
        return Library()
    except FileNotFoundError:
        raise HostError(
            f"{LIBRARY} is missing, which compiles the system call filter",
            hint="install the package libseccomp2, or run without a filter: --security-opt seccomp=unconfined",
        ) from None


def compile_profile(profile: Profile, *, capabilities: int, library: Library) -> bytes:
    """The program for PROFILE on this machine, in a container whose capabilities are the mask CAPABILITIES."""
    machine = os.uname().machine
    rules = [rule for rule in profile.rules if _counts(rule, capabilities, machine)]
    architectures = (machine, *profile.architectures.get(machine, profile.architectures.get("", ())))
    default = _action(profile.default_action, profile.default_errno)
    if profile.default_action not in _LENIENT:
        _check_execve(profile, rules)
    try:
        program = library.compile(
            default=default, architectures=architectures, rules=_library_rules(rules, default, library)
        )
    except OSError as error:
        raise LaunchError(f"seccomp profile {profile.origin}: libseccomp refuses it: {error.strerror}") from None
    if profile.default_action not in _LENIENT:
        program = _unknown_is_enosys(rules, architectures, library) + program
    if len(program) > INSTRUCTION_LIMIT * 8:
        raise LaunchError(f"seccomp profile {profile.origin}: the filter is longer than the kernel takes")
    return program


def _check_execve(profile: Profile, rules: list[Rule]) -> None:
    """The filter is loaded before the command is executed, and would end it without a message."""
    if not any("execve" in rule.names and rule.action in _LENIENT for rule in rules):
        raise LaunchError(
            f"seccomp profile {profile.origin}: it does not allow execve, so that no command can start",
            hint="a rule with the action SCMP_ACT_ALLOW and the names that the command needs, execve among them",
        )


def _counts(rule: Rule, capabilities: int, machine: str) -> bool:
    """Whether the conditions of RULE hold here; a condition that is not set holds."""
    required, refused = rule.includes, rule.excludes
    return (
        all(_has(capabilities, name) for name in required.capabilities)
        and not any(_has(capabilities, name) for name in refused.capabilities)
        and (not required.machines or NATIVE.get(machine) in required.machines)
        and NATIVE.get(machine) not in refused.machines
        and _is_new_enough(required)
        and not (refused.kernel and _is_new_enough(refused))
    )


def _has(capabilities: int, name: str) -> bool:
    return name in NAMES and bool(capabilities >> NAMES.index(name) & 1)


def _is_new_enough(conditions: Conditions) -> bool:
    if conditions.kernel is None:
        return True
    major, minor = os.uname().release.split("-")[0].split(".")[:2]
    return (int(major), int(minor)) >= conditions.kernel


def _action(name: str, errno: int) -> int:
    return ACTIONS[name] | (errno if name in WITH_DATA else 0)


def _library_rules(
    rules: list[Rule], default: int, library: Library
) -> Iterator[tuple[int, int, list[tuple[int, int, int, int]]]]:
    """The rules as libseccomp takes them, one for each name; it refuses one whose action is the default."""
    for rule in rules:
        action = _action(rule.action, rule.errno)
        if action == default:
            continue
        comparisons = [(x.index, OPERATORS[x.operator], x.value, x.value_two) for x in rule.comparisons]
        indexes = [x.index for x in rule.comparisons]
        # two comparisons of one argument are alternatives, as runc has it: libseccomp takes only one for each
        alternatives = [comparisons] if len(set(indexes)) == len(indexes) else [[x] for x in comparisons]
        for name in rule.names:
            number = library.number(name)
            if number is not None:
                yield from ((action, number, alternative) for alternative in alternatives)


def _unknown_is_enosys(rules: list[Rule], architectures: tuple[str, ...], library: Library) -> bytes:
    """The program's first instructions: a number above every call that RULES name fails with ENOSYS.

    EPERM would mean that the call exists: C libraries then do not try the older one (runc's patchbpf; glibc bug 27319).
    """
    numbers = {name: _last_number(rules, name, library) for name in architectures}
    last = {name: number for name, number in numbers.items() if number is not None}
    program: list[tuple[int, int, int, int]] = []
    for name in sorted(_AUDIT.keys() & last):
        block = [*_above(last[name], last.get("x32") if name == "x86_64" else None), (_JUMP, 0, 0, len(program))]
        program = [(_EQUAL, 0, len(block), _AUDIT[name]), *block, *program]
    return b"".join(struct.pack("<HBBI", *each) for each in ((_LOAD, 0, 0, _ARCHITECTURE), *program))


def _above(last: int, last_x32: int | None) -> list[tuple[int, int, int, int]]:
    """Instructions for one architecture; they leave it either by returning or past their end."""
    enosys = ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS
    if last_x32 is None:
        return [(_LOAD, 0, 0, _NUMBER), (_GREATER, 0, 1, last), (_RETURN, 0, 0, enosys)]
    return [
        (_LOAD, 0, 0, _NUMBER),
        (_BITS, 0, 2, _X32_BIT),
        (_GREATER, 2, 0, last_x32),
        (_JUMP, 0, 0, 2),
        (_GREATER, 0, 1, last),
        (_RETURN, 0, 0, enosys),
    ]


def _last_number(rules: list[Rule], architecture: str, library: Library) -> int | None:
    numbers = (library.number(name, architecture=architecture) for rule in rules for name in rule.names)
    return max((number for number in numbers if number is not None and number >= 0), default=None)
