"""The label that AppArmor or SELinux gives a container's command, where the host has one of them and the spec sets it.

Takes effect at the next execve(2); written into /proc/self/attr of the host, because the container may have no
/proc (runc does the same).
"""

from __future__ import annotations

import errno
import os

from mydocker.errors import HostError, LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.plan.host import read_setting

if TYPE_CHECKING:
    from mydocker.specs.model import Security

APPARMOR = "/sys/module/apparmor/parameters/enabled"  # `Y` where it is on
SELINUX = "/sys/fs/selinux/enforce"  # exists where it is on, whatever it contains


class ExecLabel(Record):
    """An AppArmor profile's name, or a whole SELinux context."""

    apparmor: str | None = None
    selinux: str | None = None

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return "an AppArmor profile" if self.apparmor else "an SELinux label"


def exec_label(security: Security) -> ExecLabel:
    """The label that SECURITY sets."""
    label = security.label
    context = f"{label.user}:{label.role}:{label.type}:{label.level}" if label else None
    return ExecLabel(apparmor=security.apparmor, selinux=context)


def check_host(label: ExecLabel) -> None:
    """HostError if the security module of LABEL is not enabled on this host."""
    if label.apparmor and read_setting(APPARMOR) != "Y":
        raise HostError(
            f"apparmor profile {label.apparmor!r}: AppArmor is not enabled on this host",
            hint="leave out --security-opt apparmor=…",
        )
    if label.selinux and not os.path.exists(SELINUX):
        raise HostError(
            f"label {label.selinux!r}: SELinux is not enabled on this host",
            hint="leave out --security-opt label=…",
        )


def open_attributes() -> int:
    """A descriptor of this process's own /proc/self/attr; to be opened before the root changes."""
    return os.open("/proc/self/attr", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def apply(label: ExecLabel, attributes: int) -> None:
    """Set LABEL for the next execve(2). LaunchError if the host does not know it."""
    if label.apparmor:
        path = "apparmor/exec" if _exists("apparmor", attributes) else "exec"  # the former since Linux 5.8
        _write(path, f"exec {label.apparmor}", attributes, f"apparmor profile {label.apparmor!r}")
    if label.selinux:
        _write("exec", label.selinux, attributes, f"label {label.selinux!r}")


def _write(path: str, text: str, attributes: int, title: str) -> None:
    """Opened only now: the kernel refuses a write with other credentials than those at the opening."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=attributes)
        try:
            os.write(file, os.fsencode(text))
        finally:
            os.close(file)
    except OSError as error:
        known = "it is not loaded on this host" if error.errno in (errno.ENOENT, errno.EINVAL) else error.strerror
        raise LaunchError(f"{title} cannot be applied: {known}") from None


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory)
    except OSError:
        return False
    return True
