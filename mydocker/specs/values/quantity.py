"""Limits as text: amounts of memory, numbers and sets of processors, numbers of processes.

The notations, the smallest and the special values (0, -1: no limit) are those of `docker run`.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MEMORY_LEAST = 6 * 2**20  # Docker's rule: with less, a container dies before it starts
CPUS_LEAST = 0.01  # the kernel takes no quota below a millisecond in its period of a tenth of a second
UNLIMITED = -1
SHARES = (2, 262_144)  # runc's and Docker's limits
PERIODS = (1_000, 1_000_000)  # the kernel's: "CFS Bandwidth Control"
OOM_SCORE_LIMIT = 1000  # include/uapi/linux/oom.h

_DIGITS = frozenset("0123456789")
_QUOTAS = (1_000, 2**44)  # microseconds
_COUNTS = (1, 2**22)  # of processes; the kernel's PID_MAX_LIMIT
_CPU_LIMIT = 8192  # processors that a kernel may be built for (CONFIG_NR_CPUS)


def parse_memory(text: str) -> int | None:
    """Bytes; None for 0, which is no limit."""
    size = parse_size(text)
    if 0 < size < MEMORY_LEAST:
        raise UsageError(f"a memory limit of {text!r} is too small: expected at least 6m")
    return size or None


def parse_swap(text: str) -> int | None:
    """Bytes of memory and swap together; UNLIMITED for -1, None for 0."""
    if text == "-1":
        return UNLIMITED
    return parse_size(text) or None


def parse_cpus(text: str) -> float | None:
    """A number of CPUs, which may be a fraction; None for 0."""
    whole, _, fraction = text.partition(".")
    if not (whole or fraction) or not _DIGITS.issuperset(whole + fraction) or len(text) > 20:
        raise UsageError(f"{text!r}: expected a number of processors, such as 0.5 or 2")
    count = float(text)
    if 0 < count < CPUS_LEAST:
        raise UsageError(f"{text!r} processors are too few: expected at least {CPUS_LEAST}")
    return count or None


def number_between(text: str, limits: tuple[int, int], expected: str) -> int:
    """The number that TEXT is: from the first of LIMITS to the second, or 0. UsageError, with EXPECTED, in whose braces
    the limits are put."""
    low, high = limits
    number = whole_number(text, high)
    if number is None or 0 < number < low:
        raise UsageError(f"{text!r}: expected {expected.format(low, high)}")
    return number


def parse_shares(text: str) -> int | None:
    """A share of processor time, from 2 to 262144; None for 0."""
    return number_between(text, SHARES, "a share of processor time from {} to {}, such as 1024") or None


def parse_period(text: str) -> int | None:
    """Microseconds, from 1000 to 1000000; None for 0."""
    return number_between(text, PERIODS, "microseconds from {} to {}") or None


def parse_quota(text: str) -> int | None:
    """Microseconds of each period, at least 1000; None for 0 and -1, which are no limit."""
    if text == "-1":
        return None
    return number_between(text, _QUOTAS, "microseconds of processor time, at least {}, or -1") or None


def parse_swappiness(text: str) -> int | None:
    """From 0 to 100; None for -1."""
    if text == "-1":
        return None
    return number_between(text, (0, 100), "a number from {} to {}, or -1")


def parse_processes(text: str) -> int | None:
    """A number of processes and threads; None for 0 and -1."""
    if text == "-1":
        return None
    return number_between(text, _COUNTS, "a number of processes from {} to {}, or -1 for no limit") or None


def parse_oom_score_adj(text: str) -> int:
    """From -OOM_SCORE_LIMIT to OOM_SCORE_LIMIT; it may have a sign."""
    number = whole_number(text[1:] if text[:1] in ("+", "-") else text, OOM_SCORE_LIMIT)
    if number is None:
        raise UsageError(f"{text!r}: expected a number from -{OOM_SCORE_LIMIT} to {OOM_SCORE_LIMIT}")
    return -number if text.startswith("-") else number


def parse_cpuset(text: str) -> tuple[int, ...] | None:
    """The numbers of the processors in a list such as `0-2,5`, sorted; empty text is no limit."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.strip().partition("-")
        begin = whole_number(first, _CPU_LIMIT - 1)
        end = whole_number(last, _CPU_LIMIT - 1) if dash else begin
        if begin is None or end is None or end < begin:
            raise UsageError(f"{text!r}: expected numbers of processors, such as 0,2 or 0-3")
        found |= set(range(begin, end + 1))
    return tuple(sorted(found)) or None


PARSERS: dict[str, Callable[[str], Any]] = {
    "memory": parse_memory,
    "swap": parse_swap,
    "cpus": parse_cpus,
    "cpuset": parse_cpuset,
    "processes": parse_processes,
    "oom_score_adj": parse_oom_score_adj,
    "shares": parse_shares,
    "period": parse_period,
    "quota": parse_quota,
    "swappiness": parse_swappiness,
}
