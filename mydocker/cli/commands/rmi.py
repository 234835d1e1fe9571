"""`mydocker rmi IMAGE...`: remove names, and images that have no name left."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import ImageNotFoundError
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import ImageName
from mydocker.reference import Platform


def rmi_command(argv: list[str]) -> int:
    """Remove what ARGV names, or nothing if one of them is not there; 0."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    gone: dict[str, ImageName] = {}
    for name in options.images:
        for image in _found(store, name, platform, known, force=options.force):
            gone |= {entry.path: entry for entry in catalog.entries_of(image, name, environ=os.environ)}
    removed = catalog.untag(store, [*gone.values()])
    for entry in removed:
        print(f"Untagged: {entry.reference.familiar}")
    left = {entry.ref.config for entry in catalog.entries(store)} if removed else set()
    for config in dict.fromkeys(entry.ref.config for entry in removed):
        if config not in left:
            print(f"Deleted: {config}")
    return 0


def _found(
    store: Store, name: str, platform: Platform | None, known: catalog.Known, *, force: bool
) -> list[catalog.NamedImage]:
    """What NAME means; with FORCE, none if there is no such image."""
    try:
        return catalog.find(store, name, environ=os.environ, platform=platform, known=known)
    except ImageNotFoundError:
        if force:
            return []
        raise


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "rmi",
        text="A name is removed; with its last name the image is removed.",
        exits=(("0", "all are removed"), ("1", "an image does not exist: nothing is removed")),
        examples=(("mydocker rmi alpine:3.19", "remove a name"), ("mydocker prune", "free the space of its layers")),
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID: all its names")
    parser.add_argument("-f", "--force", action="store_true", help="ignore images that do not exist")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    return parser
