"""`mydocker down`: stop and remove what `mydocker up -d` has left running."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.options import add_project, project_options
from mydocker.errors import NetworkError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store
from mydocker.runtime.network import lifecycle
from mydocker.runtime.network.bridge import take_down_if_up
from mydocker.runtime.volume import store as volumes
from mydocker.services.containers import SERVICE
from mydocker.services.project.down import containers_of, in_order, take_down
from mydocker.services.project.plan import chosen, project_of, service_of
from mydocker.specs.load.load import load_project
from mydocker.specs.load.project_files import find_project
from mydocker.specs.model import VolumeMount
from mydocker.specs.values.duration import parse_duration

if TYPE_CHECKING:
    from mydocker.image.store import Store
    from mydocker.services.project import Project


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
        take_down(store, in_order(containers_of(store, wanted.name), ()), say=say, timeout=timeout)
        return 0
    project = project_of(load_project(files), active=frozenset("*"))
    services = [service_of(case).name for case in chosen(project)]
    groups = in_order(containers_of(store, project.name), services)
    if not options.remove_orphans:
        groups = [group for group in groups if group[0].config.labels.get(SERVICE) in services]
    take_down(store, groups, say=say, timeout=timeout)
    _remove_networks(store, project)
    if options.volumes:
        _remove_volumes(store, project)
    return 0


def _remove_networks(store: Store, project: Project) -> None:
    """Those that the project's files declare, if nothing else is in them."""
    attachments = [each for case in project.services for each in case.container.networks]
    own = {each.name for each in attachments if each.definition and not each.definition.external}
    for name in sorted(own):
        if os.path.isdir(f"{store.root}/networks/{name}"):
            try:
                lifecycle.remove(f"{store.root}/networks", name, down=take_down_if_up)
            except NetworkError as error:
                say(f"warning: {error.message}")


def _remove_volumes(store: Store, project: Project) -> None:
    """Those that have the project's name before theirs: others are shared."""
    mounts = (mount for case in project.services for mount in case.container.volumes)
    names = {mount.volume for mount in mounts if isinstance(mount, VolumeMount) and mount.volume}
    for name in sorted(names):
        is_own = name.startswith(f"{project.name}_") and volumes.find(f"{store.root}/volumes", name)
        if is_own and not volumes.remove(f"{store.root}/volumes", name):
            say(f"warning: volume {name} is in use")


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "down",
        text="Containers are stopped in the opposite order of their start. Named volumes stay, unless -v is set.",
        exits=(("0", "done"), ("2", "wrong usage")),
        examples=(
            ("mydocker down", "stop and remove the services of compose.yaml"),
            ("mydocker down -v", "remove the volumes of the project, too"),
            ("mydocker down -p shop", "remove the containers of a project whose file is gone"),
        ),
    )
    add_project(parser)
    parser.add_argument("-v", "--volumes", action="store_true", help="remove the volumes of the project, too")
    parser.add_argument(
        "-t", "--timeout", metavar="DURATION", help="time until a container is killed (default: its own)"
    )
    parser.add_argument(
        "--remove-orphans", action="store_true", help="also containers of services that the file no longer has"
    )
    return parser
