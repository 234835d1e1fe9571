"""`--device-cgroup-rule` and `device_cgroup_rules`: which devices of the host may be opened, by their numbers.

The notation is that of the cgroup v1 controller for devices (kernel documentation "cgroup-v1", devices): `c 189:* rmw`.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.specs.model.parts import DeviceRule

_KINDS = ("a", "b", "c")
_PERMISSIONS = frozenset("rwm")
_NUMBER_LIMIT = 2**20 - 1  # of a minor number, include/linux/kdev_t.h


def parse_rule(text: str) -> DeviceRule:
    """One rule. Raises UsageError, also for permissions that cannot be enforced."""
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    if len(numbers) != 2 or words[0] not in _KINDS or not _PERMISSIONS.issuperset(words[2]):
        raise UsageError(f"device rule {text!r}: expected KIND MAJOR:MINOR PERMISSIONS, such as 'c 189:* rmw'")
    if not {"r", "w"} <= set(words[2]):
        raise UsageError(
            f"device rule {text!r}: permissions {words[2]!r} cannot be enforced: the device's own mode decides",
            hint="write rw or rwm",
        )
    return DeviceRule(kind=words[0], major=_number(numbers[0], text), minor=_number(numbers[1], text))


def _number(word: str, text: str) -> int | None:
    number = None if word == "*" else whole_number(word, _NUMBER_LIMIT)
    if number is None and word != "*":
        raise UsageError(f"device rule {text!r}: {word!r} is neither a number nor *")
    return number
