"""Units that containers refer to: volumes, networks and builds (podman-systemd.unit(5), "Volume units [Volume]",
"Network units [Network]", "Build units [Build]")."""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.unit_files import BUILD, NETWORK, VOLUME, names_of_services
from mydocker.specs.model import FilesystemMount, VolumeMount
from mydocker.specs.model.build import Build, is_remote
from mydocker.specs.render.names import Names
from mydocker.specs.render.unit_syntax import sections, whole, word

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mydocker.reference import Reference
    from mydocker.specs.model import Mount
    from mydocker.specs.model.parts import NetworkDefinition
    from mydocker.specs.render.run_options import Notes

_OF_A_BUILD = (  # attributes that a .build unit has a key for
    *("context", "dockerfile", "args", "target", "labels", "tags", "platforms", "pull", "secrets", "network", "origin"),
)


class Resources:
    """The units so far: `texts` by the names of their files. STEMS are those of the containers' units."""

    def __init__(self, stems: Collection[str] = ()) -> None:
        self.stems = stems
        self.texts: dict[str, str] = {}
        self._files: dict[tuple[str, str], str] = {}  # (suffix, text) -> file
        self._names: dict[str, Names] = {}  # by suffix

    def name(self, suffix: str, wanted: str, lines: Iterable[str]) -> str:
        """The file whose section has LINES; a new one is called like WANTED."""
        text = sections([(suffix[1:].capitalize(), lines)])
        if (suffix, text) not in self._files:
            if suffix not in self._names:
                self._names[suffix] = Names(names_of_services(self.stems, suffix))
            file = f"{self._names[suffix].free(wanted)}{suffix}"
            self._files[suffix, text] = file
            self.texts[file] = text
        return self._files[suffix, text]


def of_mount(mount: Mount, resources: Resources) -> Mount:
    """MOUNT, with the unit of its volume in place of the volume's name."""
    if isinstance(mount, FilesystemMount):
        lines = [f"{key}={_value(text)}" for key, text in (("Type", mount.fstype), ("Device", mount.device))]
        lines += [f"Options={_value(','.join(mount.options))}"] if mount.options else []
        name = resources.name(VOLUME, os.path.basename(mount.target), lines)
        return VolumeMount(target=mount.target, read_only=mount.read_only, volume=name)
    if not isinstance(mount, VolumeMount) or not mount.volume or mount.external:
        return mount
    name = resources.name(VOLUME, mount.volume, [f"VolumeName={mount.volume}"])
    return mount.replace(volume=name)


def network_unit(name: str, definition: NetworkDefinition, resources: Resources, notes: Notes) -> str:
    """The unit of the network called NAME."""
    lines = [f"NetworkName={_value(name)}"]
    lines += ["Internal=true"] if definition.internal else []
    lines += ["IPv6=true"] if definition.ipv6 else []
    six = {"Subnet": definition.subnet6, "Gateway": definition.gateway6}
    four = {"Subnet": definition.subnet, "Gateway": definition.gateway, "IPRange": definition.ip_range}
    # gateways belong to subnets in their order, so that a subnet without one is the last
    for pool in sorted((four, six), key=lambda pool: len([text for text in pool.values() if text]), reverse=True):
        lines += [f"{key}={text}" for key, text in pool.items() if text]
    lines += [f"Label={word(f'{key}={text}')}" for key, text in definition.labels.items()]
    for key, text in definition.options.items():
        if "," in text or (line := whole(f"{key}={text}")) is None:
            notes.append(f"network {name}: driver_opts {key}: no unit can have this value")
        else:
            lines.append(f"Options={line}")
    return resources.name(NETWORK, name, lines)


def build_unit(build: Build, image: Reference, wanted: str, resources: Resources, notes: Notes) -> str:
    """The unit that makes IMAGE."""
    lines = [f"ImageTag={each}" for each in (image, *build.tags)]
    lines.append(f"SetWorkingDirectory={_value(build.context)}")
    if build.dockerfile:
        is_here = not is_remote(build.context)
        file = os.path.normpath(os.path.join(build.context, build.dockerfile)) if is_here else build.dockerfile
        lines.append(f"File={_value(file)}")
    for key, pairs in (("BuildArg", build.args), ("Label", build.labels)):
        lines += _pairs(key, pairs)
    lines += [f"{key}={_value(text)}" for key, text in (("Target", build.target), ("Network", build.network)) if text]
    lines += [] if build.pull is None else [f"Pull={'always' if build.pull else 'missing'}"]
    for secret in build.secrets:
        source = f"src={secret.file}" if secret.file else f"env={secret.variable}"
        lines.append(f"Secret={_value(f'id={secret.id},{source}')}")
    if build.platforms:
        platform = build.platforms[0]
        parts = (("OS", platform.os), ("Arch", platform.architecture), ("Variant", platform.variant))
        lines += [f"{key}={text}" for key, text in parts if text]
    notes += [f"build: platforms: {each}: a unit builds for one" for each in build.platforms[1:]]
    lost = [name for name in Build.fields if name not in _OF_A_BUILD and getattr(build, name) != getattr(Build, name)]
    notes += [f"build: {name}: a .build unit has no key for it" for name in lost]
    return resources.name(BUILD, wanted, lines)


def _pairs(key: str, pairs: Mapping[str, str]) -> list[str]:
    return [f"{key}={word(f'{name}={text}')}" for name, text in pairs.items()]


def _value(text: str) -> str:
    """TEXT as a whole value; a word in quotes where it cannot be that."""
    return whole(text) or word(text)
