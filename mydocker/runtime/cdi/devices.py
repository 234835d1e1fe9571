"""Devices by the files of the host that describe them, as the Container Device Interface specification has it (SPEC.md,
"CDI JSON Specification"): device files, mounts, variables and hooks, for a device such as vendor.com/class=name.

Files are those of /etc/cdi and /var/run/cdi; one of the latter overrides the former. They are the administrator's.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.cdi.hook import Hook
from mydocker.specs.devices.gpus import ALL
from mydocker.specs.model import BindMount, CdiDevice, Device
from mydocker.specs.model.parts import DeviceRequest
from mydocker.specs.nodes.node import Mapping, Scalar, Sequence
from mydocker.specs.nodes.yaml import parse_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mydocker.runtime.plan.operations import Operation
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.nodes.node import Node

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
_HOOKS = ("createRuntime", "createContainer", "prestart")
_VISIBLE = "NVIDIA_VISIBLE_DEVICES"  # which the runtime `nvidia` obeys
_SIZE_LIMIT = 16 << 20
_HINT = "see /etc/cdi and /var/run/cdi; for NVIDIA: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


class CdiFile(Record):
    """One file: the devices of `kind`, by name, and what all of them need (`edits`)."""

    path: str
    kind: str
    devices: dict[str, dict[str, Any]]
    edits: dict[str, Any]


def with_devices(
    spec: ContainerSpec, environment: Iterable[str], *, directories: Iterable[str] = DIRECTORIES
) -> tuple[ContainerSpec, tuple[Operation, ...]]:
    """SPEC, with what the devices that it names by CDI need, and their hooks. ENVIRONMENT is the image's. Raises
    LaunchError for a device that no file describes."""
    files = _files(directories)
    names = [device.name for device in spec.devices if isinstance(device, CdiDevice)]
    for request in (*spec.gpus, *_of_runtime(spec, environment)):
        names += _chosen(request, files)
    edits: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        file = _of(name, files)
        edits += [file.edits] if file.edits not in edits else []
        edits.append(file.devices[name.partition("=")[2]])
    devices = [device for device in spec.devices if isinstance(device, Device)]
    spec = spec.replace(devices=tuple(devices), gpus=(), runtime="")
    for each in edits:
        spec = _edited(spec, each)
    return spec, tuple(hook for each in edits for hook in _hooks(each))


def _of_runtime(spec: ContainerSpec, environment: Iterable[str]) -> tuple[DeviceRequest, ...]:
    """The GPUs that a container gets by the runtime `nvidia`: those that a variable of it or of its image lists."""
    if spec.runtime != "nvidia":
        return ()
    variables = {**dict(entry.partition("=")[::2] for entry in environment), **spec.environment}
    listed = variables.get(_VISIBLE) or ""
    if listed in ("", "void", "none"):
        return ()
    which: dict[str, Any] = {"count": ALL} if listed == "all" else {"ids": tuple(listed.split(","))}
    return (DeviceRequest(kind="nvidia.com/gpu", **which),)


def _chosen(request: DeviceRequest, files: list[CdiFile]) -> list[str]:
    if request.ids:
        return [each if "=" in each else f"{request.kind}={each}" for each in request.ids]
    here = list(dict.fromkeys(name for file in files if file.kind == request.kind for name in file.devices))
    if not here:
        raise LaunchError(f"no file of this host describes devices {request.kind}", hint=_HINT)
    if request.count == ALL:
        return [f"{request.kind}=all"] if "all" in here else [f"{request.kind}={name}" for name in here]
    single = [name for name in here if name.isdecimal()] or [name for name in here if name != "all"]
    if request.count > len(single):
        raise LaunchError(f"{request.count} devices {request.kind} are more than the {len(single)} of this host")
    return [f"{request.kind}={name}" for name in single[: request.count]]


def _of(name: str, files: list[CdiFile]) -> CdiFile:
    """The file that describes the device NAME, of the directory with the highest priority. Raises LaunchError if there
    is none, or if that has several."""
    kind, _, device = name.partition("=")
    found = [file for file in files if file.kind == kind and device in file.devices]
    if not found:
        raise LaunchError(f"no file of this host describes the device {name}", hint=_HINT)
    last = os.path.dirname(found[-1].path)
    same = [file.path for file in found if os.path.dirname(file.path) == last]
    if len(same) > 1:
        raise LaunchError(f"device {name} is in several files: {', '.join(same)}")
    return found[-1]


def _files(directories: Iterable[str]) -> list[CdiFile]:
    """The files, those of the directory with the highest priority last. A file that cannot be read is an error: the
    device that it describes may be the one that is needed."""
    found = []
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            if name.endswith((".json", ".yaml")):
                found.append(_read(f"{directory}/{name}"))
    return found


def _read(path: str) -> CdiFile:
    try:
        with open(path, "rb") as file:
            raw = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}") from None
    documents, problems = parse_documents(raw.replace(b"\t", b" "))
    if problems or len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise LaunchError(f"{path} is no CDI file" + (f": {problems[0].message}" if problems else ""))
    whole = _plain(documents[0])
    try:
        devices = {str(device["name"]): dict(device.get("containerEdits") or {}) for device in whole["devices"]}
        return CdiFile(
            path=path, kind=str(whole["kind"]), devices=devices, edits=dict(whole.get("containerEdits") or {})
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise LaunchError(f"{path} is no CDI file: expected kind, and devices with names") from None


def _plain(node: Node) -> Any:
    """NODE as mappings, lists and texts."""
    if isinstance(node, Mapping):
        return {key.text: _plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return "" if isinstance(node, Scalar) and node.is_null else getattr(node, "text", "")


def _edited(spec: ContainerSpec, edits: dict[str, Any]) -> ContainerSpec:
    try:
        variables = dict(str(entry).partition("=")[::2] for entry in edits.get("env") or ())
        devices = tuple(_device(each) for each in edits.get("deviceNodes") or ())
        mounts = tuple(_mount(each) for each in edits.get("mounts") or ())
        groups = tuple(int(each) for each in edits.get("additionalGids") or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaunchError(f"a CDI file is not understood: {error!r}") from None
    taken = {mount.target for mount in spec.volumes}
    return spec.replace(
        environment={**spec.environment, **variables},
        devices=tuple({each.target: each for each in (*spec.devices, *devices) if isinstance(each, Device)}.values()),
        volumes=(*spec.volumes, *(mount for mount in mounts if mount.target not in taken)),
        group_add=(*spec.group_add, *groups),
    )


def _device(node: dict[str, Any]) -> Device:
    return Device(source=str(node.get("hostPath") or node["path"]), target=str(node["path"]))


def _mount(node: dict[str, Any]) -> BindMount:
    options = node.get("options") or ()
    source, target = str(node["hostPath"]), str(node["containerPath"])
    return BindMount(source=source, target=target, read_only="ro" in options, recursive="rbind" in options)


def _hooks(edits: dict[str, Any]) -> Iterator[Hook]:
    for node in edits.get("hooks") or ():
        kind, path = str(node.get("hookName", "")), str(node.get("path", ""))
        if kind not in _HOOKS:
            raise LaunchError(f"a CDI file has a hook {kind!r}, {path}, which is not supported")
        argv = tuple(str(word) for word in node.get("args") or (path,))
        yield Hook(target="/", path=path, argv=argv, environment=tuple(str(word) for word in node.get("env") or ()))
