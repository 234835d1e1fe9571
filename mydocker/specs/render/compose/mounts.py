"""The mounts of a container as entries of a Compose service, and the volumes, configs and secrets at the top of the
file that they refer to (compose-spec, "Services top-level elements", volumes, tmpfs, configs and secrets)."""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BindMount, FileMount, FilesystemMount, TmpfsMount, VolumeMount
from mydocker.specs.nodes.node import AsWritten, Bare
from mydocker.specs.render.normal_form import mount_data
from mydocker.specs.render.run_options import of_docker, tmpfs_options

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model import ContainerSpec, Mount
    from mydocker.specs.render.compose.top import Top
    from mydocker.specs.render.run_options import Notes

_SECRETS = "/run/secrets/"


def mount_entries(spec: ContainerSpec, top: Top, notes: Notes) -> dict[str, list[Any]]:
    """The keys of a service for the mounts of SPEC."""
    found: dict[str, list[Any]] = {}
    for mount in spec.volumes:
        if entry := _entry(mount, top, notes):
            found.setdefault(entry[0], []).append(entry[1])
    return found


def _entry(mount: Mount, top: Top, notes: Notes) -> tuple[str, Any] | None:
    if isinstance(mount, FileMount):
        return _file(mount, top, notes)
    if isinstance(mount, TmpfsMount):
        return _tmpfs(mount, notes)
    if isinstance(mount, FilesystemMount):
        return "volumes", _filesystem(mount, top)
    assert isinstance(mount, BindMount | VolumeMount)
    mount = of_docker(mount, notes)
    if isinstance(mount, VolumeMount) and mount.volume:
        external = {"external": True} if mount.external else {}
        key = top.key("volumes", mount.volume, {"name": mount.volume, **external})
        mount = mount.replace(volume=key, external=False)
    if isinstance(mount, BindMount):
        return _bind(mount)
    return mount_data(mount)


def _bind(mount: BindMount) -> tuple[str, Any]:
    """Compose creates a missing source unless the file says otherwise."""
    key, data = mount_data(mount.replace(create=False))
    if not mount.create and not isinstance(data, str):
        data["bind"] = {**data.get("bind", {}), "create_host_path": False}
    return key, data


def _filesystem(mount: FilesystemMount, top: Top) -> dict[str, Any]:
    """A volume that Docker's driver `local` mounts."""
    options = {"type": mount.fstype, "device": mount.device}
    options |= {"o": ",".join(mount.options)} if mount.options else {}
    key = top.key("volumes", os.path.basename(mount.target), {"driver_opts": options})
    read_only = {"read_only": True} if mount.read_only else {}
    return {"type": "volume", "source": key, "target": mount.target, **read_only}


def _tmpfs(mount: TmpfsMount, notes: Notes) -> tuple[str, Any]:
    """The short form, which has all options; a path with a colon takes the long one."""
    if ":" not in mount.target:
        return "tmpfs", ":".join(filter(None, (mount.target, ",".join(tmpfs_options(mount)))))
    lost = tmpfs_options(mount.replace(size=None, mode=None, read_only=False))
    notes += [f"tmpfs {mount.target}: {option}: Compose has it only for a path without a colon" for option in lost]
    size = {} if mount.size is None else {"size": mount.size}
    mode = {} if mount.mode is None else {"mode": Bare(f"0{mount.mode:o}")}
    read_only = {"read_only": True} if mount.read_only else {}
    return "volumes", {"type": "tmpfs", "target": mount.target, **read_only, "tmpfs": {**size, **mode}}


def _file(mount: FileMount, top: Top, notes: Notes) -> tuple[str, Any] | None:
    """A config or a secret, which is defined at the top of the file."""
    source, text = mount.reference or ("content", mount.content)
    kind = "secrets" if mount.secret else "configs"
    if source == "podman":
        notes.append(
            f"{kind} {mount.target}: Compose cannot read Podman's secret {text}: write it to a file, and define a "
            "secret with that"
        )
        return None
    if source == "content" and mount.secret:
        notes.append(f"secrets {mount.target}: Compose takes no content of a secret, so it is a config here")
        kind = "configs"
    written = AsWritten(text) if mount.reference and source == "content" else text
    wanted = mount.target.removeprefix(_SECRETS) if mount.secret else os.path.basename(mount.target)
    key = top.key(kind, wanted, {source: written})
    owner = {name: str(getattr(mount, name)) for name in ("uid", "gid") if getattr(mount, name)}
    mode = {} if mount.mode == FileMount.mode else {"mode": Bare(f"0{mount.mode:o}")}
    return kind, {"source": key, "target": mount.target, **owner, **mode}
