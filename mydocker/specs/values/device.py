"""`--device SRC[:DST][:PERMISSIONS]` and the key `devices`: device files of the host, in the container."""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.devices.gpus import is_qualified
from mydocker.specs.model import CdiDevice, Device
from mydocker.specs.mounts.volume import clean_target

if TYPE_CHECKING:
    from mydocker.specs.values import Scope

_PERMISSIONS = frozenset("rwm")


def parse_device(text: str, scope: Scope) -> Device | CdiDevice:
    """As `docker run` takes it: what follows the first colon is the target if it begins with a slash. A name such as
    vendor.com/class=name is that of a CDI device."""
    if not text.startswith("/") and is_qualified(text):
        return CdiDevice(name=text)
    source, _, rest = text.partition(":")
    target, _, permissions = rest.partition(":")
    if rest and not permissions and not target.startswith("/"):
        target, permissions = "", target
    return device(source, target or source, permissions or "rwm")


def device(source: str, target: str, permissions: str) -> Device:
    """Without a controller for devices on all hosts, reading or writing cannot be denied to root in a container."""
    if not source.startswith("/"):
        raise UsageError(f"device {source!r} is not an absolute path")
    if not permissions or not _PERMISSIONS.issuperset(permissions) or len(set(permissions)) < len(permissions):
        raise UsageError(f"device permissions {permissions!r}: expected rw or rwm")
    if not {"r", "w"} <= set(permissions):
        raise UsageError(
            f"device permissions {permissions!r} cannot be enforced: the device's own mode decides",
            hint="write rw, or leave it out",
        )
    return Device(source="/" + os.path.normpath(source).lstrip("/"), target=clean_target(target))
