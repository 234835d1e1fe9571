"""Loop devices (loop(4)): a file as a block device, for file systems that the kernel mounts from nothing else."""

from __future__ import annotations

import errno
import fcntl
import os

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_CONFIGURE = 0x4C0A  # since Linux 5.8
_READ_ONLY, _AUTOCLEAR = 1, 4  # LO_FLAGS_…
_ATTEMPTS = 64  # other processes take free devices, too


def open_loop(file: int, size: int) -> tuple[int, str]:
    """A device that has the first SIZE bytes of the file open at FILE, read-only: its descriptor, and its path.

    It is free again once nothing has it open or mounted, whatever ends this process. One that has the file already is
    taken: what is mounted of it is the same file system then, and what was read of that is in memory once. Raises
    OSError: there may be no loop devices, as in a container.
    """
    if found := _of_file(file, size):
        return found
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


def _of_file(file: int, size: int) -> tuple[int, str] | None:
    """The device that has the first SIZE bytes of FILE, read-only, if there is one. While it is open, it stays so."""
    status = os.fstat(file)
    minor = os.minor(status.st_dev)
    encoded = (minor & 0xFF) | os.major(status.st_dev) << 8 | (minor & ~0xFF) << 12  # new_encode_dev, linux/kdev_t.h
    wanted = (encoded, status.st_ino, 0, size)
    for name in _bound():
        try:
            device = os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found = fcntl.ioctl(device, _LOOP_GET_STATUS64, bytes(232))
            numbers = [int.from_bytes(found[at : at + 8], "little") for at in (0, 8, 24, 32)]
            if tuple(numbers) == wanted and int.from_bytes(found[52:56], "little") & _READ_ONLY:
                return os.dup(device), f"/dev/{name}"
        except OSError:  # it has no file any more
            pass
        finally:
            os.close(device)
    return None


def _bound() -> list[str]:
    """The names of the loop devices that have a file."""
    try:
        names = [name for name in os.listdir("/sys/block") if name.startswith("loop")]
    except OSError:
        return []
    return [name for name in names if os.path.exists(f"/sys/block/{name}/loop/backing_file")]


def _configuration(file: int, size: int) -> bytes:
    """struct loop_config (linux/loop.h): fd, block_size, a struct loop_info64 of 232 bytes, 64 bytes for later."""
    information = bytes(24) + bytes(8) + size.to_bytes(8, "little") + bytes(12)  # …, lo_offset, lo_sizelimit, …
    information += (_READ_ONLY | _AUTOCLEAR).to_bytes(4, "little")  # lo_flags
    return file.to_bytes(4, "little") + bytes(4) + information.ljust(232, b"\0") + bytes(64)
