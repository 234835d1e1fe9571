"""Loop devices (loop(4)): a file as a block device, for file systems that the kernel mounts from nothing else."""

from __future__ import annotations

import errno
import fcntl
import os

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A  # since Linux 5.8
_READ_ONLY, _AUTOCLEAR = 1, 4  # LO_FLAGS_…
_ATTEMPTS = 64  # other processes take free devices, too


def open_loop(file: int, size: int) -> tuple[int, str]:
    """A device that has the first SIZE bytes of the file open at FILE, read-only: its descriptor, and its path.

    It is free again once nothing has it open or mounted, whatever ends this process. Raises OSError: there may be no
    loop devices, as in a container.
    """
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, _configuration(file, size))
                return device, path
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), "/dev/loop-control")


def _configuration(file: int, size: int) -> bytes:
    """struct loop_config (linux/loop.h): fd, block_size, a struct loop_info64 of 232 bytes, 64 bytes for later."""
    information = bytes(24) + bytes(8) + size.to_bytes(8, "little") + bytes(12)  # …, lo_offset, lo_sizelimit, …
    information += (_READ_ONLY | _AUTOCLEAR).to_bytes(4, "little")  # lo_flags
    return file.to_bytes(4, "little") + bytes(4) + information.ljust(232, b"\0") + bytes(64)
