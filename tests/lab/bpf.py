"""A machine for classic BPF, as the kernel runs seccomp filters: what would a program answer to a system call?

Only the instructions that libseccomp and mydocker use (linux/filter.h); any other is an error.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

AUDIT = {"x86": 0x40000003, "x86_64": 0xC000003E, "x32": 0xC000003E, "arm": 0x40000028, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0
_ARGUMENTS = 16  # where they begin in struct seccomp_data


def errno(number: int) -> int:
    return 0x00050000 | number


def answer(program: bytes, *, architecture: str, number: int, arguments: Sequence[int] = ()) -> int:
    """The program's return value for struct seccomp_data of these."""
    return _run(program, architecture=architecture, number=number, arguments=arguments)[0]


def answers(program: bytes, *, architecture: str, number: int, values: Sequence[int]) -> list[int]:
    """The program's return value for each of VALUES as the first argument. It runs once for all of them where it does
    not look at an argument: then it cannot tell them apart."""
    found: list[int] = []
    for value in values:
        returned, has_looked = _run(program, architecture=architecture, number=number, arguments=(value,))
        if not has_looked:
            return [returned] * len(values)
        found.append(returned)
    return found


@functools.lru_cache(maxsize=4)
def _instructions(program: bytes) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("<HBBI", program))


def _run(program: bytes, *, architecture: str, number: int, arguments: Sequence[int]) -> tuple[int, bool]:
    """The return value, and whether the program has looked at an argument."""
    six = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    seccomp_data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, AUDIT[architecture], 0, *six)
    instructions = _instructions(program)
    accumulator, at, has_looked = 0, 0, False
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            [accumulator] = struct.unpack_from("<I", seccomp_data, k)
            has_looked = has_looked or k >= _ARGUMENTS
        elif code == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= k
        elif code == 0x05:  # BPF_JMP | BPF_JA
            at += k
        elif code == 0x06:  # BPF_RET | BPF_K
            return int(k), has_looked
        else:
            tests = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: accumulator & k}
            at += yes if tests[code] else no
