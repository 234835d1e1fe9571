"""`python nopivot.py PROGRAM [ARGUMENT…]` runs PROGRAM where pivot_root(2) and keyctl(2) are EPERM, as in Docker."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

PIVOT_ROOT, KEYCTL = {"x86_64": (155, 250), "aarch64": (41, 219)}[platform.machine()]
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_FILTER_MODE = 2
# seccomp(2), as classic BPF (code, if true, if false, value): load the number; is it one of these; EPERM; allow
_INSTRUCTIONS = [(0x20, 0, 0, 0), (0x15, 1, 0, PIVOT_ROOT), (0x15, 0, 1, KEYCTL)]
_INSTRUCTIONS += [(0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]


def refuse_both(*, root: bool) -> None:
    """For this process and all that it starts. Without ROOT's privileges, new ones must be given up for that."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _INSTRUCTIONS)
    buffer = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(_INSTRUCTIONS), ctypes.addressof(buffer)))
    if not root:
        assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, header, 0, 0) == 0, os.strerror(ctypes.get_errno())


if __name__ == "__main__":
    refuse_both(root=os.geteuid() == 0)
    os.execv(sys.argv[1], sys.argv[1:])
