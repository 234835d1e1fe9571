"""Signals by name: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, as `docker run --stop-signal` takes them."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    import signal as signal
else:
    import _signal as signal  # the standard module wraps these in enums, which costs start-up time

_REAL_TIME = (34, 64)  # SIGRTMIN and SIGRTMAX of glibc and of Docker's table
_NUMBERS = {
    name[3:]: value
    for name, value in vars(signal).items()
    if name.startswith("SIG") and not name.startswith("SIG_") and isinstance(value, int)
}


def parse_signal(text: str) -> int:
    """The number of the signal that TEXT names. Raises UsageError."""
    if by_number := whole_number(text, _REAL_TIME[1]):
        return by_number
    name = text.upper().removeprefix("SIG")
    if name in _NUMBERS:
        return int(_NUMBERS[name])
    for start, base, sign in (("RTMIN+", _REAL_TIME[0], 1), ("RTMAX-", _REAL_TIME[1], -1)):
        offset = whole_number(name.removeprefix(start), _REAL_TIME[1]) if name.startswith(start) else None
        if offset is not None:
            number = base + sign * offset
            if _REAL_TIME[0] <= number <= _REAL_TIME[1]:
                return number
    raise UsageError(f"unknown signal {text!r}", hint="names are as in `kill -l`: TERM, SIGINT, RTMIN+3, or a number")


def parse_signal_or_none(text: str) -> int | None:
    """The same; empty text is the image's own signal, as for Docker."""
    return parse_signal(text) if text else None


def signal_of_image(text: str) -> int:
    """The number of an image's StopSignal; TERM for an invalid one, for which an image must not fail."""
    try:
        return parse_signal(text)
    except UsageError:
        return int(signal.SIGTERM)


def name_of(number: int) -> str:
    """`SIGTERM`, or `SIGRTMIN+3`."""
    name = next((name for name, value in _NUMBERS.items() if value == number), None)
    return f"SIG{name}" if name and number < 32 else f"SIGRTMIN+{number - 34}"
