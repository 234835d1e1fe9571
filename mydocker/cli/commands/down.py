"""`mydocker down`: stop and remove what `mydocker up -d` has left running."""

from __future__ import annotations

import os
from contextlib import suppress

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.members import Members
from mydocker.cli.project.options import add_project, project_options
from mydocker.errors import ImageNotFoundError, NetworkError, UsageError
from mydocker.image.store import catalog
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store
from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.rootless.connections import take_down_if_up
from mydocker.runtime.volume import store as volumes
from mydocker.services.containers import SERVICE
from mydocker.services.project.down import containers_of, in_order, take_down
from mydocker.services.project.plan import chosen, project_of, service_of
from mydocker.specs.formats.quadlet.unit_files import kind_of
from mydocker.specs.load.load import load_project
from mydocker.specs.load.project_files import find_project
from mydocker.specs.model import VolumeMount
from mydocker.specs.model.build import default_name
from mydocker.specs.values.duration import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from mydocker.image.store import Store
    from mydocker.specs.model import ContainerSpec


def down_command(argv: list[str]) -> int:
    """Remove the containers and networks of the project that ARGV means; 0. Raises UsageError if it means none."""
    options = parser().parse_args(argv)
    timeout = None if options.timeout is None else parse_duration(options.timeout)
    store = open_store(os.environ)
    wanted = project_options(options)
    files = find_project(wanted, os.environ)
    if files is None:
        if not wanted.name:
            raise UsageError("no Compose file in this directory or above it", hint="name the project with -p")
        members = Members(name=wanted.name, containers=tuple(containers_of(store, wanted.name)), project=None)
        found = members.of(options.services)
        take_down(store, in_order(found, ()), say=say, timeout=timeout)
        specs = {each.config.labels.get(SERVICE, ""): each.config.spec for each in found}
        _remove_rest(store, wanted.name, specs, options, of_compose=False)
        return 0
    project = project_of(load_project(files, starts_nothing=True), active=frozenset("*"))
    services = [service_of(case).name for case in chosen(project, options.services, with_dependencies=False)]
    groups = in_order(containers_of(store, project.name), services)
    if options.services or not options.remove_orphans:
        groups = [group for group in groups if group[0].config.labels.get(SERVICE) in services]
    take_down(store, groups, say=say, timeout=timeout)
    specs = {service_of(case).name: case.container for case in project.services}
    ended = {name: specs[name] for name in specs if name in services}
    _remove_rest(store, project.name, ended, options, of_compose=not any(map(kind_of, files.paths)))
    return 0


def _remove_rest(
    store: Store, project: str, specs: Mapping[str, ContainerSpec], options: argparse.Namespace, *, of_compose: bool
) -> None:
    """The networks, and as OPTIONS say the volumes and images, of PROJECT, which has SPECS by the names of services.
    OF_COMPOSE: whether they are from Compose files."""
    _remove_networks(store, specs.values(), is_part=bool(options.services))
    if options.volumes:
        _remove_volumes(store, project, specs.values(), of_compose=of_compose)
    if options.rmi:
        _remove_images(store, project, specs, everything=options.rmi == "all")


def _remove_images(store: Store, project: str, specs: Mapping[str, ContainerSpec], *, everything: bool) -> None:
    """Those of all services, or of those that are called by the service's own name, as images are that were built."""
    known = catalog.Known(store)
    names = {spec.image: default_name(project, service) for service, spec in specs.items() if spec.image}
    for image, own in names.items():
        if not everything and image != own:
            continue
        with suppress(ImageNotFoundError):
            for each in catalog.find(store, image.familiar, environ=os.environ, known=known):
                catalog.untag(store, catalog.entries_of(each, image.familiar, environ=os.environ))


def _remove_networks(store: Store, specs: Iterable[ContainerSpec], *, is_part: bool) -> None:
    """Those that the project's files declare, if nothing else is in them; IS_PART: other services may well be."""
    attachments = [each for spec in specs for each in spec.networks]
    own = {each.name for each in attachments if each.definition and not each.definition.external}
    for name in sorted(own):
        if os.path.isdir(f"{store.networks}/{name}"):
            try:
                lifecycle.remove(store.networks, name, down=take_down_if_up)
            except NetworkError as error:
                if not is_part:
                    say(f"warning: {error.message}")


def _remove_volumes(store: Store, project: str, specs: Iterable[ContainerSpec], *, of_compose: bool) -> None:
    """Those that have the project's name before theirs, and in Compose files those with a name of their own that are
    not external: others are shared."""
    mounts = (mount for spec in specs for mount in spec.volumes)
    names = {
        mount.volume
        for mount in mounts
        if isinstance(mount, VolumeMount) and mount.volume and not mount.external
        if of_compose or mount.volume.startswith(f"{project}_")
    }
    for name in sorted(names):
        is_own = volumes.find(f"{store.root}/volumes", name)
        if is_own and not volumes.remove(f"{store.root}/volumes", name):
            say(f"warning: volume {name} is in use")


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "down",
        text="Containers are stopped in the opposite order of their start. Named volumes stay, unless -v is set. With "
        "names of services, only theirs are removed, and their networks if no others are in them.",
        exits=(("0", "done"), ("2", "wrong usage")),
        examples=(
            ("mydocker down", "stop and remove the services of compose.yaml"),
            ("mydocker down -v", "remove the volumes of the project, too"),
            ("mydocker down web", "stop and remove the containers of one service"),
            ("mydocker down -p shop", "remove the containers of a project whose file is gone"),
        ),
    )
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="a service of the project (default: all)")
    add_project(parser)
    parser.add_argument("-v", "--volumes", action="store_true", help="remove the volumes of the project, too")
    parser.add_argument(
        "--rmi",
        choices=("local", "all"),
        help="remove the images of the services, too; local: those that were built and have no name of their own",
    )
    parser.add_argument(
        "-t", "--timeout", metavar="DURATION", help="time until a container is killed (default: its own)"
    )
    parser.add_argument(
        "--remove-orphans", action="store_true", help="also containers of services that the file no longer has"
    )
    return parser
