"""A CaseSpec as plain data, in the normal form: variables replaced, defaults left out, long forms.

The result is for a YAML or JSON writer: text, numbers, true and false, lists and mappings. Reading it again returns
the same CaseSpec, but for the project that a service belongs to.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.field_types import plain, written_networks
from mydocker.specs.fields import FIELDS
from mydocker.specs.model import (
    BRIDGE,
    NAMESPACES,
    PRIVATE_MODES,
    BindMount,
    ContainerSpec,
    FileMount,
    FilesystemMount,
    TmpfsMount,
    VolumeMount,
)
from mydocker.specs.nodes.node import AsWritten
from mydocker.specs.render.normal_expect import expect_data

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model import Mount
    from mydocker.specs.model.case import CaseSpec


def normal_form(case: CaseSpec) -> dict[str, Any]:
    """The document of CASE, its keys in the order of the table of fields."""
    spec = case.container
    found: dict[str, Any] = {**_process(spec), **_mounts(spec), **_isolation(spec), **_networks(spec)}
    if case.expect:
        found["expect"] = expect_data(case.expect)
    for row in FIELDS:
        value = getattr(case if row.is_of_case else spec, row.name)
        if row.name not in _APART and row.key == row.name and value != row.default:
            found[row.key] = (row.normal or plain)(value)
    return {row.key: found[row.key] for row in FIELDS if row.key in found}


_APART = ("entrypoint", "command", "volumes", "namespaces", "network_mode", "networks", "aliases", "expect")


def _process(spec: ContainerSpec) -> dict[str, Any]:
    found = {} if spec.entrypoint is None else {"entrypoint": [*spec.entrypoint]}
    # an entrypoint without a command drops the image's, so that an empty one is not written
    if spec.command is not None and (spec.command or spec.entrypoint is None):
        found["command"] = [*spec.command]
    return found


def _isolation(spec: ContainerSpec) -> dict[str, Any]:
    joined = dict(spec.joined_namespaces)
    usual = tuple(name for name in NAMESPACES if name != "net" or spec.network_mode in PRIVATE_MODES)
    if spec.namespaces == tuple(name for name in usual if name not in joined):
        return joined
    if spec.network_mode in ("none", "host"):  # which follow from a list
        return {"namespaces": [*spec.namespaces], **joined}
    shared = [name for name in usual if name not in spec.namespaces and name not in joined]
    return {"namespaces": dict.fromkeys(shared, "host"), **joined}


def _networks(spec: ContainerSpec) -> dict[str, Any]:
    """A list of namespaces implies a mode, and so do networks."""
    usual = tuple(name for name in NAMESPACES if name != "net" or spec.network_mode in PRIVATE_MODES)
    aliases = spec.aliases.own if spec.aliases else ()
    mode, networks = spec.network_mode, spec.networks
    if mode in ("none", "host"):
        found: dict[str, Any] = {"network_mode": mode} if spec.namespaces == usual else {}
    elif networks and (mode != ContainerSpec.network_mode or networks[0].name != BRIDGE):
        found = {"network_mode": mode} if mode == ContainerSpec.network_mode else {}
        found["networks"] = written_networks(networks)
    else:
        found = {} if mode == ContainerSpec.network_mode else {"network_mode": mode}
        aliases = tuple(dict.fromkeys(name for each in networks for name in (*aliases, *each.aliases))) or aliases
    return found | ({"aliases": [*aliases]} if aliases else {})


def _mounts(spec: ContainerSpec) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for mount in spec.volumes:
        key, data = mount_data(mount)
        found.setdefault(key, []).append(data)
    return found


def mount_data(mount: Mount) -> tuple[str, Any]:
    """The key that a mount belongs under, and its entry there: the long form, where that can express all of it."""
    data: dict[str, Any] = {"target": mount.target} | ({"read_only": True} if mount.read_only else {})
    if isinstance(mount, FileMount):
        return _file(mount)
    if isinstance(mount, BindMount):
        if mount.copy_on_write:
            return "volumes", f"{mount.source}:{mount.target}:O"
        if mount.idmap is not None:
            return "volumes", _idmapped(mount, mount.source)
        own: dict[str, Any] = {} if mount.propagation == "rprivate" else {"propagation": mount.propagation}
        own |= {} if mount.recursive else {"recursive": "disabled"}
        own |= {"create_host_path": True} if mount.create else {}
        return "volumes", {"type": "bind", "source": mount.source, **data, **({"bind": own} if own else {})}
    if isinstance(mount, VolumeMount):
        return _volume(mount, data)
    if isinstance(mount, FilesystemMount):
        options = {"type": mount.fstype, "device": mount.device} | (
            {"o": ",".join(mount.options)} if mount.options else {}
        )
        return "volumes", {"type": "volume", **data, "volume": {"driver_opts": options}}
    assert isinstance(mount, TmpfsMount)
    return _tmpfs(mount, data)


def _idmapped(mount: BindMount | VolumeMount, source: str) -> str:
    """The short form, which alone has idmap."""
    options = [f"idmap={mount.idmap}" if mount.idmap else "idmap", *(["ro"] if mount.read_only else [])]
    if isinstance(mount, BindMount) and mount.propagation != "rprivate":
        options.append(mount.propagation)
    if isinstance(mount, VolumeMount) and not mount.copy:
        options.append("nocopy")
    return f"{source}:{mount.target}:{','.join(options)}"


def _file(mount: FileMount) -> tuple[str, Any]:
    owner = {name: getattr(mount, name) for name in ("uid", "gid") if getattr(mount, name)}
    mode = {} if mount.mode == FileMount.mode else {"mode": f"{mount.mode:04o}"}
    source, text = mount.reference or ("content", mount.content)
    written = AsWritten(text) if mount.reference and source == "content" else text
    return "secrets" if mount.secret else "configs", {"target": mount.target, source: written, **owner, **mode}


def _volume(mount: VolumeMount, data: dict[str, Any]) -> tuple[str, Any]:
    if mount.copy_on_write:
        return "volumes", f"{mount.volume}:{mount.target}:O{'' if mount.copy else ',nocopy'}"
    if mount.idmap is not None:
        return "volumes", _idmapped(mount, mount.volume or "")
    own: dict[str, Any] = {} if mount.copy else {"nocopy": True}
    own |= {"subpath": mount.subpath} if mount.subpath else {}
    own |= {"external": True} if mount.external else {}
    source = {"source": mount.volume} if mount.volume else {}
    return "volumes", {"type": "volume", **source, **data, **({"volume": own} if own else {})}


def _tmpfs(mount: TmpfsMount, data: dict[str, Any]) -> tuple[str, Any]:
    """The long form knows only size and mode."""
    options = [] if mount.size is None else [f"size={mount.size}"]
    options += [] if mount.mode is None else [f"mode={mount.mode:04o}"]
    short_only = (mount.inodes, mount.uid, mount.gid, mount.executable, mount.setuid, mount.access_times)
    if short_only == (None, None, None, False, False, ""):
        own = dict(option.split("=") for option in options)
        return "volumes", {"type": "tmpfs", **data, **({"tmpfs": own} if own else {})}
    for name, value in (("nr_inodes", mount.inodes), ("uid", mount.uid), ("gid", mount.gid)):
        options += [] if value is None else [f"{name}={value}"]
    switches = (("ro", mount.read_only), ("exec", mount.executable), ("suid", mount.setuid))
    options += [name for name, is_on in switches if is_on]
    options += [mount.access_times] if mount.access_times else []
    return "tmpfs", f"{mount.target}:{','.join(options)}"
