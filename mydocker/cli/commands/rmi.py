"""`mydocker rmi IMAGE...`: remove names, and images that have no name left."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.image.store import catalog
from mydocker.image.store.catalog import ImageName
from mydocker.image.store.store import Store
from mydocker.reference import Platform


def rmi_command(argv: list[str]) -> int:
    """Remove what ARGV names, or nothing if one of them is not there; 0."""
    parser = Parser("rmi", description="Remove images. A name is removed; with its last name an image goes.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID: all its names")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    options = parser.parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    gone: dict[str, ImageName] = {}
    for name in options.images:
        for image in catalog.find(store, name, environ=os.environ, platform=platform, known=known):
            gone |= {entry.path: entry for entry in catalog.entries_of(image, name, environ=os.environ)}
    for entry in catalog.untag(store, [*gone.values()]):
        print(f"removed {entry.reference.familiar} ({entry.platform})")
    return 0
