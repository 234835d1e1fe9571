"""`mydocker volume ls | create | inspect | rm | prune`: the named volumes."""

from __future__ import annotations

import argparse
import os
import time

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common import complain
from mydocker.cli.common.confirm import confirmed
from mydocker.cli.common.filters import add_filter, filters_of, matching
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_template_format, show, show_json
from mydocker.cli.output.go_types import MAP, with_unset
from mydocker.errors import MydockerError
from mydocker.image.store import Store
from mydocker.runtime.volume import store as volumestore
from mydocker.runtime.volume.store import Volume
from mydocker.specs.mounts.volume import volume_name

_HEADINGS = {"Name": "VOLUME NAME"}


def volume_command(argv: list[str]) -> int:
    """0; 1 if a volume does not exist, or is to be removed and in use. The others are removed nevertheless."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    options.volumes = f"{store.root}/volumes"
    options.names = [volume_name(name) for name in getattr(options, "names", [])]
    if options.action is _create:
        store.prepare()
    status: int = options.action(options)
    return status


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "volume",
        text="`mydocker run -v NAME:/path` creates and uses one.",
        exits=(
            ("0", "done"),
            ("1", "a volume does not exist, or is in use"),
            ("2", "wrong usage"),
        ),
        examples=(
            ("mydocker volume ls", "list the volumes"),
            ("mydocker volume prune -f", "remove those that no container is using"),
        ),
    )
    listing = parser.add_command("ls", _list, "[OPTIONS]", "List the volumes", aliases=("list",))
    listing.add_argument("-q", "--quiet", action="store_true", help="print names only")
    add_filter(listing, ("dangling", "driver", "label", "name"), "-f")
    add_template_format(listing)
    create = parser.add_command(
        "create", _create, "[VOLUME...]", "Create empty volumes, or one with a random name; existing ones are kept"
    )
    create.add_argument("names", nargs="*", metavar="VOLUME", help="the name of a volume")
    inspect = parser.add_command("inspect", _inspect, "[OPTIONS] VOLUME...", "Describe volumes, as JSON")
    inspect.add_argument("-f", "--format", metavar="FORMAT", help="a template of Go's, filled in for each")
    remove = parser.add_command(
        "rm", _remove, "[OPTIONS] VOLUME...", "Remove volumes and what is in them", aliases=("remove",)
    )
    remove.add_argument("-f", "--force", action="store_true", help="ignore volumes that do not exist")
    for each in (inspect, remove):
        each.add_argument("names", nargs="+", metavar="VOLUME", help="the name of a volume")
    prune = parser.add_command("prune", _prune, "[OPTIONS]", "Remove all volumes that no container is using")
    prune.add_argument("-a", "--all", action="store_true", help="accepted for compatibility: includes named volumes")
    prune.add_argument("-f", "--force", action="store_true", help="do not prompt")
    return parser


def _list(options: argparse.Namespace) -> int:
    volumes = matching(volumestore.listed(options.volumes), filters_of(options), _has)
    if options.quiet:
        print(*(volume.name for volume in volumes), sep="\n", end="\n" if volumes else "")
    elif options.format == "json":
        show_json([{**volume.as_dict(), "created": _date(volume)} for volume in volumes])
    elif options.format != "table":
        from mydocker.cli.output.go_template import render_all

        print(render_all(options.format, [_row(volume) for volume in volumes], headings=_HEADINGS), end="")
    else:
        rows = [["local", volume.name, _date(volume)[:19], "yes" if volume.in_use else "no"] for volume in volumes]
        show(("DRIVER", "VOLUME NAME", "CREATED", "IN USE"), rows)
    return 0


def _row(volume: Volume) -> dict[str, str]:
    """What a template may name (docker volume ls --format)."""
    labels = {"Labels": "", "Links": "N/A", "Size": "N/A"}
    return {"Driver": "local", **labels, "Mountpoint": volume.path, "Name": volume.name, "Scope": "local"}


def _has(volume: Volume, key: str, value: str) -> bool:
    if key == "dangling":
        return volume.in_use is (value == "false")
    if key in ("label", "label!"):  # none has labels
        return key == "label!"
    return value in volume.name if key == "name" else value == "local"


def _create(options: argparse.Namespace) -> int:
    for name in options.names or [os.urandom(32).hex()]:
        volumestore.create(options.volumes, name)
        print(name)
    return 0


def _inspect(options: argparse.Namespace) -> int:
    found = [(name, volumestore.find(options.volumes, name)) for name in options.names]
    described = [_described(volume) for _, volume in found if volume]
    if options.format is None:
        show_json(described)
    else:
        from mydocker.cli.output.go_template import render_all

        maps = {"Labels": MAP, "Options": MAP}
        print(render_all(options.format, [with_unset(each, maps) for each in described]), end="")
    return _none_missing([name for name, volume in found if volume is None])


def _remove(options: argparse.Namespace) -> int:
    missing, used = [], []
    for name in options.names:
        if not volumestore.find(options.volumes, name):
            missing += [] if options.force else [name]
        elif volumestore.remove(options.volumes, name):
            print(name)
        else:
            used.append(name)
            complain(MydockerError(f"volume {name} is in use by a container"))
    return _none_missing(missing) or (NEGATIVE if used else 0)


def _prune(options: argparse.Namespace) -> int:
    volumes = [volume for volume in volumestore.listed(options.volumes) if not volume.in_use]
    names = [volume.name for volume in volumes]
    if names and not options.force and not confirmed(names, what="volumes", loss=" with their contents"):
        return NEGATIVE
    for volume in volumes:
        if volumestore.remove(options.volumes, volume.name):
            print(volume.name)
    return 0


def _none_missing(names: list[str]) -> int:
    for name in names:
        complain(MydockerError(f"there is no volume {name}", hint="see 'mydocker volume ls'"))
    return NEGATIVE if names else 0


def _described(volume: Volume) -> dict[str, object]:
    """With the keys of `docker volume inspect`."""
    return {
        "CreatedAt": _date(volume),
        "Driver": "local",
        "Labels": None,
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": None,
        "Scope": "local",
    }


def _date(volume: Volume) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(volume.created))
