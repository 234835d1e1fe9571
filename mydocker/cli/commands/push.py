"""`mydocker push IMAGE...`: send images of the store, or of an archive, to a registry."""

from __future__ import annotations

import argparse
import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.progress import add_progress, shown
from mydocker.cli.common.table import show_json
from mydocker.errors import UsageError
from mydocker.image.files.layouts import Layout
from mydocker.image.open_source import open_location
from mydocker.image.push import Pushed, Tell, push_files, push_stored
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.reference import Platform, Reference


def push_command(argv: list[str]) -> int:
    """Send what ARGV names to the registries in their names, or under another name; 0."""
    options = parser().parse_args(argv)
    if options.to and len(options.images) > 1:
        raise UsageError("--to is for one image", hint="push them one by one")
    platform = Platform.parse(options.platform) if options.platform else None
    with shown(options) as progress:
        pushed = [_push(text, options, platform, progress) for text in options.images]
    if options.format == "json":
        show_json([_row(each) for each in pushed])
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "push",
        text="Only what the registry lacks is uploaded.",
        examples=(
            ("mydocker push team/app:2", "push an image of the store"),
            ("mydocker push --to ghcr.io/team/app:2 oci-archive:app.tar", "push an archive"),
        ),
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a name in the store, or oci-archive:FILE and the like"
    )
    parser.add_argument("--to", metavar="NAME", help="the name in the registry, if it is another one")
    parser.add_argument("--platform", metavar="OS/ARCH", help="only this one (default: all that are here)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: print names and digests")
    add_progress(parser)
    return parser


def _push(text: str, options: argparse.Namespace, platform: Platform | None, progress: Tell) -> Pushed:
    location = None if _is_id(text) else Reference.parse(text).location
    if location is None:
        store = Store.open(os.environ)
        images = _images(store, text, platform)
        name = _name(options.to or _in_registry(images, text))
        return push_stored(store, images, name, environ=os.environ, progress=progress)
    with open_location(location) as files:
        name = _name(options.to or _own_name(files, location.selector, text))
        return push_files(files, name, platform=platform, environ=os.environ, progress=progress)


def _is_id(text: str) -> bool:
    return text.startswith("sha256:")


def _images(store: Store, text: str, platform: Platform | None) -> list[NamedImage]:
    """The images that the store has under a name, one for each platform."""
    found = catalog.of_platforms(store, text, platform, environ=os.environ)
    return list({image.platform: image for image in found}.values())


def _in_registry(images: list[NamedImage], text: str) -> str:
    """The name that TEXT is in a registry, or the ID of IMAGES that it is the beginning of."""
    entries = [entry for image in images for entry in catalog.named(image, text, environ=os.environ)]
    return str(entries[0].reference) if entries else f"sha256:{text.removeprefix('sha256:')}"


def _name(text: str) -> Reference:
    """The name in a registry that TEXT is."""
    if _is_id(text):
        raise UsageError(f"{text} has no name in a registry", hint="set one with --to")
    name = Reference.parse(text)
    if name.location or name.digest:
        raise UsageError(f"{text!r} is no name with a tag, as a push needs", hint="set one with --to")
    return name


def _own_name(files: Layout, selector: str, text: str) -> str:
    """The one full name that the image in FILES has: a mere tag has no registry."""
    names = [selector] if selector else list(dict.fromkeys(files.names()))
    full = [name for name in names if "/" in name or ":" in name]
    if len(names) != 1 or not full:
        known = ", ".join(ascii(name)[1:-1] for name in names if not name.startswith("@")) or "no name"
        raise UsageError(f"{text}: where to push it to? it has {known}", hint="choose one with --to")
    return f"docker://{full[0]}"


def _row(pushed: Pushed) -> dict[str, object]:
    return {
        "name": str(pushed.name),
        "digest": str(pushed.digest),
        "exact": pushed.exact,
        "sent": pushed.sent,
    }
