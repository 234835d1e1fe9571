"""`mydocker load -i FILE`: all images of an archive, or of a layout directory, into the store."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.progress import plain
from mydocker.errors import ImageNotFoundError, UsageError
from mydocker.image.files.layouts import Layout
from mydocker.image.model.digest import digest_of
from mydocker.image.model.progress import silence
from mydocker.image.open_source import guess
from mydocker.image.platforms import own_platform
from mydocker.image.pull import pull
from mydocker.image.store import Store
from mydocker.paths import absolute
from mydocker.reference import Digest, Platform, Reference


def load_command(argv: list[str]) -> int:
    """Load every image of the archive that ARGV names, or of stdin; print their names; 0."""
    options = parser().parse_args(argv)
    if options.input == "-" and sys.stdin.isatty():
        raise UsageError("an archive does not come from a terminal", hint="name a file with -i, or redirect the input")
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    progress = silence if options.quiet else plain
    with guess(options.input) as layout:
        names = list(dict.fromkeys(layout.names()))
        if not names:
            raise ImageNotFoundError(f"{options.input}: has no images")
        for name in names:
            source = layout.select(name)
            reference = _reference(name, options.input)
            if name.startswith("@") and len(names) > 1:
                reference = reference.replace(tag=None, digest=_digest(source))
            meant = platform or own_platform(source, reference)
            pull(reference, platform=meant, store=store, environ=os.environ, progress=progress, source=source)
            print(f"Loaded image: {reference.familiar}")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "load",
        text="It reads what docker save, podman save, skopeo, umoci and 'mydocker save' write.",
        examples=(
            ("mydocker load -i app.tar", "read the images of an archive"),
            ("docker save app | mydocker load", "read them from a pipe"),
        ),
    )
    parser.add_argument("-i", "--input", metavar="FILE", default="-", help="an archive or a directory (default: stdin)")
    parser.add_argument("--platform", metavar="OS/ARCH", help="which of several (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress, only what was loaded")
    return parser


def _reference(name: str, path: str) -> Reference:
    """The name in the store for NAME of the archive. A mere tag, or nothing, is joined to the file's own name."""
    if "/" in name or ":" in name:
        return Reference.parse(f"docker://{name}")
    found = Reference.parse(f"dir:{'image' if path == '-' else absolute(path)}").replace(location=None)
    return found if name.startswith("@") else found.replace(tag=name)


def _digest(source: Layout) -> Digest:
    """The digest, by which alone an image is known if several have no name: none of them can have the file's name."""
    return digest_of(source.manifest("")[0])
