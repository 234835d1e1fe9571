"""`mydocker df`: the disk space that the store uses, and how much of it could be freed."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show, show_json
from mydocker.image.maintain.prune import Busy, prune
from mydocker.image.model.progress import megabytes
from mydocker.image.store import Store, catalog
from mydocker.image.tar import tarsplit
from mydocker.record import Record
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.volume import store as volumestore

HEADINGS = ("TYPE", "TOTAL", "SIZE", "RECLAIMABLE")


class _Row(Record):
    """The number of things of a type, the bytes that they take, and the bytes that could be freed."""

    type: str
    total: int
    size: int
    reclaimable: int


def df_command(argv: list[str]) -> int:
    """Print a line for each type of what the store holds; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    rows = [_images(store), _volumes(store), _kept(store)]
    if options.format == "json":
        show_json([row.as_dict() for row in rows])
    else:
        show(HEADINGS, [(row.type, str(row.total), megabytes(row.size), megabytes(row.reclaimable)) for row in rows])
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "df",
        text="RECLAIMABLE is what 'mydocker prune' and 'mydocker volume prune' would free. Images have the size of "
        "their unpacked layers, each counted once.",
        examples=(("mydocker df", "show what the store uses"), ("mydocker system df", "the same, as with Docker")),
    )
    add_format(parser)
    return parser


def _images(store: Store) -> _Row:
    size = free = 0
    if store.is_there():
        size = sum(tarsplit.unpacked_size(f"{store.skeletons}/{name}") for name in os.listdir(store.layers))
        try:
            free = sum(removal.size for removal in prune(store, dry_run=True))
        except Busy:
            say("a pull is under way: what can be freed is not known")
    return _Row(type="images", total=len(catalog.images(store)), size=size, reclaimable=free)


def _volumes(store: Store) -> _Row:
    volumes = volumestore.listed(f"{store.root}/volumes")
    sizes = {volume.name: kept_container.size_of(volume.path) for volume in volumes}
    free = sum(sizes[volume.name] for volume in volumes if not volume.in_use)
    return _Row(type="volumes", total=len(volumes), size=sum(sizes.values()), reclaimable=free)


def _kept(store: Store) -> _Row:
    paths = kept_container.all_paths(store.root)
    size = sum(kept_container.size_of(path) for path in paths)
    return _Row(type="kept containers", total=len(paths), size=size, reclaimable=size)
