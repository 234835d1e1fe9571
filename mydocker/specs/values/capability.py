"""Capabilities by name and as bit masks (capabilities(7)), and the set that a container gets by default."""

from __future__ import annotations

from mydocker.errors import LaunchError, UsageError

ALL = "ALL"
NAMES = (  # the position is the number
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)


def mask(*names: str) -> int:
    """The bit mask of the capabilities NAMES."""
    return sum(1 << NAMES.index(name) for name in {*names})


EVERYTHING = (1 << len(NAMES)) - 1


def names(bits: int) -> list[str]:
    """The names of the capabilities in a bit mask, in the order of their numbers."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


DEFAULT = mask(  # what `docker run` grants
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)


def parse_capability(text: str) -> str:
    """A name of NAMES, or ALL; in any case of letters, with or without `CAP_`. Raises UsageError."""
    name = text.upper().removeprefix("CAP_")
    if name != ALL and name not in NAMES:
        from mydocker.nearest import did_you_mean

        raise UsageError(f"unknown capability {text!r}" + did_you_mean(name, NAMES))
    return name


def granted(add: tuple[str, ...], drop: tuple[str, ...], *, held: int) -> int:
    """The mask that `docker run` grants for these names, within HELD, the capabilities of mydocker itself, which ALL
    means.

    Raises LaunchError for a named capability that is not HELD.
    """
    added, dropped = mask(*({*add} - {ALL})), mask(*({*drop} - {ALL}))
    if added & ~held:
        lacking = ", ".join(names(added & ~held))
        raise LaunchError(f"cap_add: {lacking}: mydocker itself does not have it, so it cannot grant it")
    if ALL in add:
        return held & ~dropped | added
    return (0 if ALL in drop else DEFAULT & held & ~dropped) | added
