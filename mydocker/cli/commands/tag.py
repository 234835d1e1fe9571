"""`mydocker tag IMAGE NAME`: give an image one more name."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.store import Store, catalog
from mydocker.reference import Platform, Reference, looks_like_id


def tag_command(argv: list[str]) -> int:
    """Give the image that the first word of ARGV names the name that is the second; 0."""
    options = parser().parse_args(argv)
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


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "tag",
        text="If NAME is the name of another image, it is taken from that.",
        exits=(("0", "done"), ("1", "the image does not exist")),
        examples=(("mydocker tag alpine:3.20 team/base", "name an image team/base:latest"),),
    )
    parser.add_argument("image", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("name", metavar="NAME", help="the new name, such as team/app:1.2")
    parser.add_argument("--platform", metavar="OS/ARCH", help="only this one (default: all that are here)")
    return parser
