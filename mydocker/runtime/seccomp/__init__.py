"""The system call filter of a container: which one the plan sets, and its program, compiled or read from the store.

    <root>/seccomp/<key>    `<sum> <size> <mtime> <path>` of the libseccomp that compiled it, a newline, the program

That is a cache of the default profile for each set of capabilities. A file that is damaged, or whose libseccomp has
changed since, is compiled anew. A warm start reads this one file and never loads libseccomp.
"""

from __future__ import annotations

import os

from mydocker.image.store import Store
from mydocker.image.store_root import checksum
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from mydocker.kernel.libseccomp import Library
    from mydocker.specs.security.seccomp import Profile

FINGERPRINT = 0xB3DE55A6  # of the default profile in default_profile.py: a new profile never gets an old program
SPEC_ALLOW = 4  # SECCOMP_FILTER_FLAG_SPEC_ALLOW, linux/seccomp.h: as runc, do not slow the container down
_LIMIT = 1 << 16  # bytes; a program has at most 4096 instructions of 8
_programs: dict[str, bytes] = {}  # of this process's earlier containers, by where they are in the cache


class SyscallFilter(Record):
    """The filter that a plan sets: the default profile, or the user's."""

    capabilities: int  # which the container can ever have: the profile allows more where there are more
    profile: Profile | None = None

    @property
    def flags(self) -> int:
        """Those of seccomp(2)."""
        return self.profile.flags if self.profile else SPEC_ALLOW


def program(syscall_filter: SyscallFilter, *, store: Store) -> bytes:
    """The BPF program of SYSCALL_FILTER. Raises HostError if it must be compiled and libseccomp is missing."""
    if syscall_filter.profile:
        from mydocker.runtime.seccomp.compile import compile_profile, open_library

        return compile_profile(syscall_filter.profile, capabilities=syscall_filter.capabilities, library=open_library())
    name = f"seccomp/{os.uname().machine}-{FINGERPRINT:08x}-{syscall_filter.capabilities:x}"
    path = f"{store.root}/{name}"
    if path not in _programs:
        _programs[path] = _find(path) or _compile_default(syscall_filter.capabilities, name, store)
    return _programs[path]


def _find(path: str) -> bytes | None:
    """The program in the cache, if it is whole and of the libseccomp that is installed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head, _, program = os.read(descriptor, _LIMIT).partition(b"\n")
    finally:
        os.close(descriptor)
    try:
        total, library = head.split(b" ", 1)
        whole = total.decode() == checksum(library, program)
        return program if whole and library == _stamp(os.fsdecode(library.split(b" ", 2)[2])) else None
    except (ValueError, IndexError, OSError):
        return None


def _stamp(path: str) -> bytes:
    """What distinguishes one build of libseccomp from another, in one system call."""
    status = os.stat(path)
    return os.fsencode(f"{status.st_size} {status.st_mtime_ns} {path}")


def _compile_default(capabilities: int, name: str, store: Store) -> bytes:
    from mydocker.runtime.seccomp.compile import compile_profile, open_library
    from mydocker.runtime.seccomp.default_profile import default_profile

    library = open_library()
    compiled = compile_profile(default_profile(), capabilities=capabilities, library=library)
    _keep(compiled, library, name, store)
    return compiled


def _keep(compiled: bytes, library: Library, name: str, store: Store) -> None:
    """Put the program into the cache. A failure to write it does not stop the container."""
    stamp = _stamp(library.path)
    total = checksum(stamp, compiled).encode()
    try:
        store.keep(name, b"%b %b\n%b" % (total, stamp, compiled))
    except OSError:
        return
