"""Names of containers in /etc/hosts: those of one network find each other, as long as they are in it.

The file stands in the run directory, where other runs write to it, and is mounted into the container. It is changed in
place, as a mount shows one inode; lines that the container's own programs have added stay. Its lock is that of a
directory next to it, which no container can open: the lock of the file itself, a container might keep.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, HOSTS, leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mydocker.runtime.network import Lease
    from mydocker.runtime.plan import LaunchPlan

LOCKED = "memory"  # in the run directory
_LIMIT = 1 << 20  # bytes of a file that is still changed: what a container has made of it is its own affair


def introduce(plan: LaunchPlan, joined: tuple[Lease, ...], listed: Callable[[str], Iterable[Lease]]) -> None:
    """Write /etc/hosts of PLAN's container, which is in the networks of JOINED, and its names into the files of others.

    LISTED gives the leases of the run with a directory. Containers of the default network do not know each other's
    names, as with Docker: anyone's are there.
    """
    with open(f"{plan.run_dir}/{HOSTS}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(plan.network_hosts(joined))
    os.rename(f"{plan.run_dir}/{HOSTS}.new", f"{plan.run_dir}/{HOSTS}")  # others write to it from now on
    for lease in joined:
        if lease.network.name == DEFAULT:
            continue
        others = _others(lease, plan.run_dir)
        _change(plan.run_dir, add=[*_lines_for(lease), *_lines_of(others, lease, listed)])
        for run_dir in others:
            _change(run_dir, add=_lines_for(lease))


def join(lease: Lease, run_dir: str, listed: Callable[[str], Iterable[Lease]]) -> None:
    """Make the container with RUN_DIR, which runs, and the others in the network of LEASE known to each other."""
    others = _others(lease, run_dir)
    _change(run_dir, add=[*_lines_for(lease), *_lines_of(others, lease, listed)])
    for each in others:
        _change(each, add=_lines_for(lease))


def leave(lease: Lease, run_dir: str, hostname: str, listed: Callable[[str], Iterable[Lease]]) -> None:
    """Remove what its file says of the network of LEASE, which the container with RUN_DIR leaves: the others there, and
    its own names, HOSTNAME among them. What the others' files say is for `withdraw`."""
    own = (os.path.basename(run_dir), hostname)
    others = {*_lines_of(_others(lease, run_dir), lease, listed)}
    _change(run_dir, remove=lambda line: line in others or _is_of(line, lease, own))


def rename(old: Lease, new: Lease, run_dir: str) -> None:
    """Write the names of NEW in place of those of OLD, the same lease of the container with RUN_DIR, for all in that
    network."""
    id_only, lines = (os.path.basename(run_dir),), {*_lines_for(old)}
    _change(run_dir, add=_lines_for(new), remove=lines.__contains__)
    for other in _others(new, run_dir):
        _change(other, add=_lines_for(new), remove=lambda line: _is_of(line, old, id_only))


def _lines_of(run_dirs: list[str], lease: Lease, listed: Callable[[str], Iterable[Lease]]) -> list[str]:
    known = [each for run_dir in run_dirs for each in listed(run_dir) if each.directory == lease.directory]
    return [line for each in known for line in _lines_for(each)]


def withdraw(lease: Lease, run_dir: str) -> None:
    """Remove the lines of LEASE from the files of the others."""
    container = (os.path.basename(run_dir),)  # it may have been renamed meanwhile, but it always has its ID
    for other in _others(lease, run_dir):
        _change(other, remove=lambda line: _is_of(line, lease, container))


def _is_of(line: str, lease: Lease, names: tuple[str, ...]) -> bool:
    """Whether LINE has an address of LEASE, and one of NAMES."""
    words = line.split()
    return words[:1] in ([lease.address], [lease.address6]) and any(name in words[1:] for name in names)


def _others(lease: Lease, run_dir: str) -> list[str]:
    """The run directories of the others that are in the network of LEASE."""
    return [owner for _, owner in leases.live(lease.directory) if owner != run_dir]


def _lines_for(lease: Lease) -> list[str]:
    """A line for each address; none for a container that has no names."""
    names = " ".join(lease.aliases)
    return [f"{address}\t{names}\n" for address in (lease.address, lease.address6) if address and names]


def _change(run_dir: str, *, add: Sequence[str] = (), remove: Callable[[str], bool] | None = None) -> None:
    """Change the lines of the file in RUN_DIR: those go for which REMOVE is true. Nothing if it is not there."""
    try:
        lock = os.open(f"{run_dir}/{LOCKED}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # the container has ended
        return
    try:
        kernel.lock(lock)
        file = os.open(f"{run_dir}/{HOSTS}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # it has ended, or is about to write what it finds itself
        os.close(lock)
        return
    try:
        before = os.read(file, _LIMIT)
        lines = [line for line in _lines(before) if not (remove and remove(line))]
        lines += [line for line in add if line not in lines]
        after = "".join(lines).encode("utf-8", "surrogateescape")
        if after != before and len(before) < _LIMIT:
            os.pwrite(file, after, 0)
            os.ftruncate(file, len(after))
    finally:
        os.close(file)
        os.close(lock)


def _lines(content: bytes) -> list[str]:
    """The lines of CONTENT, each with its end, which a container may have left out of the last one."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    return [f"{line}\n" for line in (lines if lines[-1] else lines[:-1])]
