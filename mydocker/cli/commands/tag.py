"""`mydocker tag IMAGE NAME`: give an image one more name."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.store import catalog
from mydocker.image.store.store import Store
from mydocker.reference import Platform, Reference, looks_like_id


def tag_command(argv: list[str]) -> int:
    """Let the second word of ARGV mean the image that the first one means; 0."""
    parser = Parser("tag", description="Give an image one more name. A name that is taken changes its meaning.")
    parser.add_argument("image", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("name", metavar="NAME", help="the new name, such as team/app:1.2")
    parser.add_argument("--platform", metavar="OS/ARCH", help="only this one (default: all that are here)")
    options = parser.parse_args(argv)
    name = catalog.in_store(Reference.parse(options.name), options.name)
    if name.digest:
        raise UsageError(f"{options.name}: a new name has a tag, not a digest")
    if looks_like_id(name):
        raise UsageError(f"{options.name}: a new name must not look like an image's ID")
    store = Store.open(os.environ)
    platform = Platform.parse(options.platform) if options.platform else None
    for image in catalog.of_platforms(store, options.image, platform, environ=os.environ):
        catalog.tag(store, image, name)
    return 0
