"""The handlers that the kernel has for programs of other processors (kernel documentation "binfmt-misc.rst")."""

from __future__ import annotations

import os

from mydocker.runtime.command.executable import machine_name

DIRECTORY = "/proc/sys/fs/binfmt_misc"


def handled_machines() -> set[tuple[str, bool]]:
    """The architectures whose programs a handler runs, and whether it does so in any root, which is its flag F."""
    machines = set()
    try:
        names = [name for name in os.listdir(DIRECTORY) if name not in ("register", "status")]
    except OSError:
        return set()
    for name in names:
        with open(f"{DIRECTORY}/{name}", encoding="ascii", errors="replace") as file:
            machine = _parse(file.read())
        if machine:
            machines.add(machine)
    return machines


def _parse(text: str) -> tuple[str, bool] | None:
    """None if TEXT, a handler as the kernel shows it, is not one of ELF files of another machine, or is disabled."""
    first, *lines = text.splitlines() or [""]
    facts = dict(line.partition(" ")[::2] for line in lines)
    try:
        magic = bytes.fromhex(facts.get("magic", ""))
    except ValueError:
        return None
    machine = machine_name(magic) if facts.get("offset") == "0" and len(magic) >= 20 else ""
    return (machine, "F" in facts.get("flags:", "")) if machine and first == "enabled" else None
