"""The `docker run` line that is equivalent to a ContainerSpec, and notes on what Docker has no option for.

Docker's client and daemon accept the line: a note names each value that they would refuse.
"""

from __future__ import annotations

import shlex

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.field_types import docker_network, docker_networks
from mydocker.specs.model import BRIDGE
from mydocker.specs.model.parts import LOOPBACK, NetworkDefinition
from mydocker.specs.render import run_options
from mydocker.specs.render.run_options import DOCKER, ROWS, case_rows, flag_of, repeated, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mydocker.reference import Location
    from mydocker.specs.fields import Field
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import NetworkAttachment
    from mydocker.specs.render.run_options import Notes, Option

MOST_NAMES = 10  # of other containers, in each line
ROOTFS = "rootfs"  # the image that the note about a directory makes


def docker_lines(cases: Iterable[CaseSpec]) -> Iterator[str]:
    """The line of each container, followed by its notes as comments. Names that many containers share are written once,
    before the first line, as the shell's "$@": repeated in each line, a thousand services would have a million
    names."""
    shared: tuple[str, ...] = ()
    for case in cases:
        spec, service = case.container, case.service
        if service and service.container_name:
            spec = spec.replace(name=service.container_name)
        names = spec.aliases.known if spec.aliases and spec.network_mode == "host" else ()
        are_many = len(names) > MOST_NAMES
        if are_many and names is not shared:
            shared = names
            hosts = words_of(repeated(flag_of(ROWS["extra_hosts"]), [f"{name}:{LOOPBACK}" for name in names]))
            yield '# the names that the containers below share, as "$@"'
            yield shlex.join(["set", "--", *hosts])
        line, notes = docker_line(spec, shares_names=are_many, lacks=case_rows(case))
        if service and service.replicas != 1:
            notes.append(f"scale: {service.replicas} containers, each by a line with another --name")
        yield line
        yield from (f"# {note}" for note in notes)


def docker_line(
    spec: ContainerSpec, *, shares_names: bool = False, lacks: Iterable[Field] = ()
) -> tuple[str, list[str]]:
    """The line, quoted for a shell, and notes on what it lacks, also of the fields LACKS, which are no container's.
    `shares_names`: "$@" adds the names that it shares with others; the first line of /etc/hosts that has a name counts,
    so they are after its own."""
    notes: list[str] = []
    spec = spec if shares_names else spec.replace(extra_hosts=known_hosts(spec))
    options: list[Option] = [] if spec.restart else [("--rm", None)]  # which exclude each other
    options += run_options.options_before_networks(spec, DOCKER, notes)
    options += _networks(spec, notes)
    options += run_options.options_after_networks(spec, DOCKER, notes)
    notes += [f"{row.name}: {DOCKER.lacks(row)}" for row in lacks]
    options += run_options.options_of_parts(spec, DOCKER, notes)
    entrypoint, command = _process(spec, notes)
    end = shlex.join([*entrypoint, image_of(spec, notes), *command])
    words = shlex.join(["docker", "run", *words_of(options)])
    line = " ".join([words, *(['"$@"'] if shares_names else []), end])
    return line, [printable(note) for note in notes]


def known_hosts(spec: ContainerSpec) -> tuple[tuple[str, str], ...]:
    """In a network, the resolver knows the names of the others, and Docker itself the address of the host."""
    return spec.extra_hosts if spec.network_mode != "host" else spec.hosts


def _networks(spec: ContainerSpec, notes: Notes) -> list[Option]:
    """Docker has aliases only in networks that were created, and so has a container there that asks for an address."""
    if not spec.networks:
        return repeated("--network", docker_network(spec.network_mode))
    if spec.networks[0].name == BRIDGE:
        return _on_bridge(spec.networks[0], notes)
    for each in spec.networks:
        if each.definition and not each.definition.external:
            notes.append(f"network {each.name}: {_creation(each)}")
        if each.gateway_priority or each.interface:
            notes.append(f"network {each.name}: gw-priority and ifname take Docker 28 or later")
    if len(spec.networks) > 1:
        notes.append("networks: several take Docker 25 or later")
    return repeated("--network", docker_networks(spec.networks))


def _on_bridge(attachment: NetworkAttachment, notes: Notes) -> list[Option]:
    refused = {"aliases": attachment.aliases, "ip": attachment.address, "ip6": attachment.address6}
    notes += [f"{name}: docker run takes it only in a network that was created" for name in refused if refused[name]]
    return [("--network", BRIDGE), *([("--mac-address", attachment.mac)] if attachment.mac else [])]


def _creation(attachment: NetworkAttachment) -> str:
    """The line that makes a network."""
    definition = attachment.definition or NetworkDefinition()
    words = ["docker", "network", "create"]
    words += [flag for flag, is_on in (("--internal", definition.internal), ("--ipv6", definition.ipv6)) if is_on]
    texts = (
        *(("--subnet", definition.subnet), ("--gateway", definition.gateway), ("--ip-range", definition.ip_range)),
        *(("--subnet", definition.subnet6), ("--gateway", definition.gateway6)),
        *(("--label", f"{name}={value}") for name, value in definition.labels.items()),
        *(("--opt", f"{name}={value}") for name, value in definition.options.items()),
    )
    words += [word for flag, text in texts if text for word in (flag, text)]
    return shlex.join([*words, attachment.name])


def image_of(spec: ContainerSpec, notes: Notes, *, rootfs: str = ROOTFS) -> str:
    """The image as Docker names it; a note says how to import one that Docker cannot pull, or to make that which is
    called ROOTFS."""
    if spec.image is None:
        tree = shlex.quote(spec.rootfs or "/")
        notes.append(f"rootfs {spec.rootfs}: make an image of it: tar -C {tree} -c . | docker import - {rootfs}")
        return rootfs
    if spec.image.location is None:
        return spec.image.familiar
    if spec.image.location.is_file_system:
        notes.append(f"image {_source(spec.image.location)}: Docker reads no file systems; 'mydocker save' the image")
        return spec.image.familiar
    notes.append(f"image: skopeo copy {shlex.quote(_source(spec.image.location))} docker-daemon:{spec.image.familiar}")
    return spec.image.familiar


def _source(location: Location) -> str:
    """As containers-transports(5) writes it."""
    return f"{location.transport}:{location.path}" + (f":{location.selector}" if location.selector else "")


def _process(spec: ContainerSpec, notes: Notes) -> tuple[list[str], list[str]]:
    """The option --entrypoint, which takes one word, and what follows the image."""
    command = [*(spec.command or ())]
    if spec.entrypoint is None:
        if spec.command == ():
            notes.append("command []: docker run would run the image's own command")
        return [], command
    return ["--entrypoint", *(spec.entrypoint[:1] or ("",))], [*spec.entrypoint[1:], *command]
