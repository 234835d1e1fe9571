"""What templates find in `inspect` where JSON has null or nothing: Docker's structures have every field, and one
that is not set prints as its type does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Nil:
    """A value of Go that is not set: `text` is how it prints. It is false, and empty; as JSON it is null."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return iter(())


LIST, MAP, POINTER = Nil("[]"), Nil("map[]"), Nil("<nil>")
_CONFIG: dict[str, object] = {
    **dict.fromkeys(("Cmd", "Entrypoint", "Env", "OnBuild", "Shell"), LIST),
    **dict.fromkeys(("ExposedPorts", "Labels", "Volumes"), MAP),
    **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "StopSignal", "MacAddress"), ""),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), False),
    **dict.fromkeys(("Healthcheck", "StopTimeout"), POINTER),
}
_HOST_CONFIG: dict[str, object] = {
    **dict.fromkeys(
        ("Binds", "CapAdd", "CapDrop", "Devices", "DeviceRequests", "ExtraHosts", "GroupAdd", "Links"), LIST
    ),
    **dict.fromkeys(("SecurityOpt", "Ulimits", "VolumesFrom"), LIST),
    **dict.fromkeys(("PortBindings", "StorageOpt", "Sysctls", "Tmpfs"), MAP),
    **dict.fromkeys(("Init", "MemorySwappiness", "OomKillDisable", "PidsLimit"), POINTER),
    **dict.fromkeys(("CgroupParent", "Isolation", "VolumeDriver"), ""),
}
_CONTAINER = {**dict.fromkeys(("AppArmorProfile", "MountLabel", "ProcessLabel"), ""), "ExecIDs": LIST}
_IMAGE = dict.fromkeys(("Comment", "Container", "DockerVersion", "Parent"), "")
_PARTS: dict[str, Mapping[str, Any]] = {"Config": _CONFIG, "HostConfig": _HOST_CONFIG, "State": {"Health": POINTER}}


class Typed(dict[str, Any]):
    """A document of `inspect`, or a part of one; `unset` has the fields that it lacks, or that are null."""

    unset: Mapping[str, Any] = {}


def typed(document: Mapping[str, Any]) -> Typed:
    """DOCUMENT, of a container or an image, for templates."""
    is_container = "State" in document
    found = with_unset(document, _CONTAINER if is_container else {**_IMAGE, "VirtualSize": document.get("Size")})
    for name, unset in _PARTS.items():
        if isinstance(found.get(name), Mapping):
            found[name] = with_unset(found[name], unset)
    return found


def with_unset(part: Mapping[str, Any], unset: Mapping[str, Any]) -> Typed:
    """PART, and what it prints for the fields of UNSET that it lacks, or that are null."""
    found = Typed(part)
    found.unset = unset
    return found
