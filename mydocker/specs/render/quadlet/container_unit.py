"""A container as a `.container` unit, and the container that holds the network of a pod as a `.pod` unit."""

from __future__ import annotations

import json
import shlex

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.field_types import written_image
from mydocker.specs.formats.quadlet.pod_file import LABEL, OF_NETWORK, OF_USERS
from mydocker.specs.formats.quadlet.unit_files import CONTAINER, POD, service_name
from mydocker.specs.model import BRIDGE, BindMount, ContainerSpec, FileMount, FilesystemMount
from mydocker.specs.model.parts import COMPLETED, HEALTHY, NetworkDefinition
from mydocker.specs.render import run_options
from mydocker.specs.render.docker_run import known_hosts
from mydocker.specs.render.quadlet.resources import build_unit, network_unit, of_mount
from mydocker.specs.render.quadlet.settings import podman_args, setting, setting_lines
from mydocker.specs.render.quadlet.systemd import conditions_note, install_lines, service_lines, unit_lines
from mydocker.specs.render.run_options import NAMESPACE_FLAGS, PODMAN, case_rows, injected
from mydocker.specs.render.unit_syntax import command_line, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mydocker.specs.model import Mount
    from mydocker.specs.model.parts import NetworkAttachment
    from mydocker.specs.render.names import Named
    from mydocker.specs.render.quadlet.resources import Resources
    from mydocker.specs.render.run_options import Notes, Option

_HERE = ("name", "restart", "timeout", "read_only")  # of ContainerSpec, written apart from the others
_DECIDED_ELSEWHERE = ("build", "depends_on")  # of CaseSpec
_INFRA = "-infra"  # after the name of a pod: its container
_DEFAULT_POD = "systemd-"  # before that of a unit: its pod
_POLICIES = ("missing", "always", "never")
_NETWORK_OPTIONS = {"address": "ip", "address6": "ip6", "mac": "mac", "interface": "interface_name"}


class Unit(Record):
    """A container, the `stem` of its file, and its `container`, the name in Podman."""

    named: Named
    stem: str
    container: str
    awaited: frozenset[str] = frozenset()  # the conditions for which others wait
    is_referred_to: bool = False  # whether others name its container

    @property
    def is_pod(self) -> bool:
        return bool(self.named.case.service and self.named.case.service.is_pod)

    @property
    def file(self) -> str:
        return f"{self.stem}{POD if self.is_pod else CONTAINER}"

    @property
    def service(self) -> str:
        return f"{service_name(self.file)}.service"


class Writer:
    """What writes one unit: those that its container depends on, by what it calls them, and the `resources` of all."""

    def __init__(self, unit: Unit, others: Mapping[str, Unit], resources: Resources, networks: Definitions) -> None:
        self.unit, self.others, self.resources, self.definitions = unit, others, resources, networks
        self.case, self.spec = unit.named.case, unit.named.case.container
        self.notes: Notes = []
        mode, _, name = self.spec.network_mode.partition(":")
        other = others.get(name) if mode == "service" else None
        self.pod = other if other and other.is_pod else None

    def text(self) -> str:
        """The unit, whose notes are in `notes` afterwards."""
        own = self._pod() if self.unit.is_pod else self._container()
        services = {name: other.service for name, other in self.others.items() if other is not self.pod}
        section = (POD if self.unit.is_pod else CONTAINER)[1:].capitalize()
        return sections(
            [
                ("Unit", unit_lines(self.case, self.unit.stem, services, self.notes)),
                (section, own),
                ("Service", service_lines(self.case, self.unit.awaited, self.notes)),
                ("Install", install_lines(self.case)),
            ]
        )

    def _container(self) -> list[str]:
        self._note_case()
        lines = self._names()
        lines += self._image()
        lines += [f"Pod={self.pod.file}"] if self.pod else []
        spec = self._plain_spec()
        options = [*run_options.options_before_networks(spec, PODMAN, self.notes)]
        options += self._networks()
        options += run_options.options_after_networks(spec, PODMAN, self.notes)
        options += run_options.options_of_parts(spec, PODMAN, self.notes)
        options += [("--read-only", None)] if self.spec.read_only else []
        lines += setting_lines(options)
        if HEALTHY in self.unit.awaited and COMPLETED not in self.unit.awaited:
            lines.append("Notify=healthy")
        return [*lines, *self._process()]

    def _note_case(self) -> None:
        service = self.case.service
        for row in case_rows(self.case):
            if row.name not in _DECIDED_ELSEWHERE:
                self.notes.append(f"{row.key}: {PODMAN.lacks(row)}")
        if service and service.replicas != 1:
            self.notes.append(f"scale: {service.replicas}: a unit is one container")
        if service and not service.attach and not service.is_pod:
            self.notes.append("attach: the journal has the output of every unit")
        if self.spec.pull_policy not in _POLICIES:
            self.notes.append(f"pull_policy: {self.spec.pull_policy}: Podman has {', '.join(_POLICIES)} and newer")
        if self.spec.stop_grace_period % 1:
            self.notes.append("stop_grace_period: Podman has whole seconds")
        for each in self.case.depends_on:
            if (other := self.others.get(each.name)) and other is not self.pod:
                note = conditions_note(each.name, each.condition, other.awaited)
                self.notes += [note] if note else []

    def _names(self) -> list[str]:
        if self.unit.named.is_renamed:
            self.notes.append(f"name: {self.case.name!r} cannot be the name of a unit")
        is_set = bool(self.unit.named.container_name)
        needed = is_set or self.unit.is_referred_to or self.unit.container != self.unit.stem
        return [f"ContainerName={self.unit.container}"] if needed else []

    def _image(self) -> list[str]:
        spec = self.spec
        if spec.image is None:
            return [setting("Rootfs", f"{spec.rootfs}:O") or podman_args("--rootfs", f"{spec.rootfs}:O")]
        if self.case.build:
            file = build_unit(self.case.build, spec.image, self.unit.stem, self.resources, self.notes)
            return [f"Image={file}"]
        text = written_image(spec.image) if spec.image.location else str(spec.image)
        return [setting("Image", text) or f"Image={text}"]

    def _plain_spec(self) -> ContainerSpec:
        """The spec without what is written apart from its options."""
        spec = self.spec
        labels = {name: value for name, value in spec.labels.items() if name != LABEL or not self.pod}
        joined = {name: self._joined(mode) for name, mode in spec.joined_namespaces.items()}
        if self.pod and joined.get("ipc") == f"container:{self.pod.container}":
            del joined["ipc"]
        apart = {name: getattr(ContainerSpec, name) for name in _HERE}
        if self.pod:  # all in it share its user namespace
            pod = self.pod.named.case.container
            same = (name for name in OF_USERS.values() if getattr(pod, name) == getattr(spec, name))
            apart |= {name: getattr(ContainerSpec, name) for name in same}
        shared = tuple(name for name in NAMESPACE_FLAGS if name in spec.joined_namespaces and name not in joined)
        return spec.replace(
            **apart,
            labels=labels,
            namespaces=(*spec.namespaces, *shared),
            joined_namespaces=joined,
            extra_hosts=known_hosts(spec),
            volumes=tuple(self._mounts()),
            pull_policy=spec.pull_policy if spec.pull_policy in _POLICIES else _nearest_policy(spec.pull_policy),
        )

    def _joined(self, mode: str) -> str:
        kind, _, name = mode.partition(":")
        return f"container:{self.others[name].container}" if kind == "service" and name in self.others else mode

    def _mounts(self) -> Iterator[Mount]:
        """The mounts that Podman has an option for; a secret of Podman's own is none of them."""
        created = [mount.source for mount in self.spec.volumes if isinstance(mount, BindMount) and mount.create]
        if created:
            self.notes.append(f"volumes: Podman creates no directory of the host: mkdir -p {shlex.join(created)}")
        for mount in injected(self.spec):
            if isinstance(mount, FilesystemMount) and ":" in mount.target:
                self.notes.append(f"volume {mount.target}: a unit has no such volume where the path has a colon")
                continue
            if not isinstance(mount, FileMount):
                yield of_mount(mount, self.resources)
                continue
            key = f"{'secrets' if mount.secret else 'configs'} {mount.target}"
            kind, text = mount.reference or ("content", "")
            if kind == "file":
                self.notes.append(f"{key}: it has the owner and the mode of {text}")
                yield BindMount(source=text, target=mount.target, read_only=True)
            elif kind != "podman":
                self.notes.append(
                    f"{key}: a unit holds no text: podman secret create NAME FILE, and set Secret=NAME,"
                    f"target={mount.target},mode={mount.mode:04o}"
                )

    def _networks(self) -> Iterator[Option]:
        """The networks, and secrets of Podman, which have keys of their own."""
        for mount in self.spec.volumes:
            if isinstance(mount, FileMount) and mount.reference and mount.reference[0] == "podman":
                yield "--secret", _secret(mount)
        mode = self.spec.network_mode
        if self.pod:
            return
        if mode.startswith("service:") and (other := self.others.get(mode.partition(":")[2])):
            yield "--network", other.file
        elif not self.spec.networks and mode != "default":
            yield "--network", mode
        for each in self.spec.networks:
            if each.gateway_priority:
                self.notes.append(f"networks: {each.name}: gw_priority: Podman has none")
            yield "--network", self._attachment(each)

    def _attachment(self, attachment: NetworkAttachment) -> str:
        options = [f"alias={name}" for name in attachment.aliases]
        texts = {key: getattr(attachment, name) for name, key in _NETWORK_OPTIONS.items()}
        options += [f"{key}={text}" for key, text in texts.items() if text]
        return ":".join(filter(None, (self._network(attachment.name), ",".join(options))))

    def _network(self, name: str) -> str:
        definition = self.definitions.get(name)
        if name == BRIDGE or definition is None or definition.external:
            return name
        return network_unit(name, definition, self.resources, self.notes)

    def _process(self) -> list[str]:
        spec, lines = self.spec, []
        if spec.entrypoint is not None:
            text = spec.entrypoint[0] if len(spec.entrypoint) == 1 else ""
            if spec.entrypoint and (not text or text.startswith("[") or setting("Entrypoint", text) is None):
                text = json.dumps(spec.entrypoint, ensure_ascii=False)
            lines += [setting("Entrypoint", text) or podman_args("--entrypoint", text)]
        if spec.command:
            lines.append(f"Exec={command_line(spec.command)}")
        elif spec.command == () and spec.entrypoint is None:
            self.notes.append("command []: podman run would run the image's own command")
        return lines

    def _pod(self) -> list[str]:
        """The lines of [Pod]."""
        self._note_case()
        name = self.unit.container.removesuffix(_INFRA)
        spec = self.spec.replace(labels={key: text for key, text in self.spec.labels.items() if key != LABEL})
        spec = spec.replace(name=None, restart=None, timeout=None, rootfs=None)
        options = [*run_options.options_before_networks(spec, PODMAN, self.notes), *self._networks()]
        options += run_options.options_after_networks(spec, PODMAN, self.notes)
        lines = setting_lines(options)
        known = (*OF_NETWORK, *OF_USERS, "Network", "Label")
        self.notes += [f"{line}: a pod has no such setting" for line in lines if line.partition("=")[0] not in known]
        return [f"PodName={name}", *(line for line in lines if line.partition("=")[0] in known)]


Definitions = dict[str, NetworkDefinition]


def pod_stem(container: str) -> str:
    """The name of the file of a pod, by its CONTAINER."""
    return container.removesuffix(_INFRA).removeprefix(_DEFAULT_POD)


def _nearest_policy(policy: str) -> str:
    return "missing" if policy == "build" else "always"


def _secret(mount: FileMount) -> str:
    assert mount.reference
    words = [mount.reference[1], f"target={mount.target}", f"mode={mount.mode:04o}"]
    words += [f"{name}={getattr(mount, name)}" for name in ("uid", "gid") if getattr(mount, name)]
    return ",".join(words)
