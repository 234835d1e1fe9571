"""libseccomp, which knows the numbers of the system calls and compiles rules to a BPF program.

Rules in, a program out, in plain values; no policy is decided here. Loaded on first use, so that the warm path
does without. Raises OSError, with ENOENT where the library is missing. Functions and constants are those of seccomp.h
and of its manual pages (seccomp_init(3), seccomp_rule_add(3), …).
"""

from __future__ import annotations

import ctypes
import errno
import os

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIBRARY = "libseccomp.so.2"

_LIMIT = 1 << 20  # bytes of a program; the kernel takes 4096 instructions of 8
_ATTRIBUTE_OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE, since 2.5.0
_BINARY_TREE = 2
_NO_SUCH_NAME = -1  # __NR_SCMP_ERROR


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Library:
    """The library, open. `path` is the file that it came from."""

    def __init__(self) -> None:
        try:
            self._functions = ctypes.PyDLL(LIBRARY)
        except OSError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), LIBRARY) from None
        self._functions.seccomp_init.restype = ctypes.c_void_p
        self.path = _where_loaded()

    def number(self, name: str, *, architecture: str = "") -> int | None:
        """The number of system call NAME; negative where only another architecture has it; None if it is unknown."""
        raw = name.encode()
        if architecture:
            resolved: int = self._functions.seccomp_syscall_resolve_name_arch(self._token(architecture), raw)
        else:
            resolved = self._functions.seccomp_syscall_resolve_name(raw)
        return None if resolved == _NO_SUCH_NAME else resolved

    def compile(
        self,
        *,
        default: int,
        architectures: Iterable[str],
        rules: Iterable[tuple[int, int, Sequence[tuple[int, int, int, int]]]],
    ) -> bytes:
        """The program, struct sock_filter one after another.

        DEFAULT and the first of each rule are actions (SECCOMP_RET_… with data), the second is a number from `number`,
        the third are comparisons, all of which must hold: (argument, operator, a, b). The machine's own
        architecture is always one of ARCHITECTURES.
        """
        context = ctypes.c_void_p(self._functions.seccomp_init(ctypes.c_uint32(default)))
        if not context:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL) + " (seccomp_init)")
        try:
            # an older library has no such attribute, and makes a slower program
            self._functions.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, ctypes.c_uint32(_BINARY_TREE))
            for name in architectures:
                self._check("seccomp_arch_add", context, self._token(name), accept=errno.EEXIST)
            for action, number, comparisons in rules:
                array = (_Comparison * len(comparisons))(*(_Comparison(*each) for each in comparisons))
                arguments = (ctypes.c_uint32(action), number, len(comparisons), array)
                self._check("seccomp_rule_add_array", context, *arguments)
            return self._export(context)
        finally:
            self._functions.seccomp_release(context)

    def _token(self, architecture: str) -> ctypes.c_uint32:
        token: int = self._functions.seccomp_arch_resolve_name(architecture.encode())
        if not token:
            raise OSError(errno.EINVAL, f"unknown architecture {architecture!r} (seccomp_arch_resolve_name)")
        return ctypes.c_uint32(token)

    def _export(self, context: ctypes.c_void_p) -> bytes:
        file = os.memfd_create("seccomp")
        try:
            self._check("seccomp_export_bpf", context, file)
            return os.pread(file, _LIMIT, 0)
        finally:
            os.close(file)

    def _check(self, function: str, *arguments: object, accept: int = 0) -> None:
        """libseccomp's functions return a negated errno."""
        result: int = getattr(self._functions, function)(*arguments)
        if result < 0 and result != -accept:
            raise OSError(-result, f"{os.strerror(-result)} ({function})")


def _where_loaded() -> str:
    """The path of the library as the kernel has mapped it (proc(5), /proc/pid/maps)."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            path = line.rstrip("\n").partition("/")
            if path[2].rpartition("/")[2].startswith("libseccomp.so."):
                return "/" + path[2]
    return ""
