"""`mydocker load -i FILE`: all images of an archive, or of a layout directory, into the store."""

from __future__ import annotations

import os
import sys

from mydocker.cli.parser import Parser
from mydocker.cli.progress import plain
from mydocker.errors import ImageNotFoundError, UsageError
from mydocker.image.progress import silence
from mydocker.image.pull import pull
from mydocker.image.source import guess
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference


def load_command(argv: list[str]) -> int:
    """Take over every image of the archive that ARGV names, or stdin has; print their names; 0."""
    parser = Parser("load", description="Read images from what docker save, podman save, skopeo or umoci have written.")
    parser.add_argument("-i", "--input", metavar="FILE", default="-", help="an archive or a directory (default: stdin)")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing unless something fails")
    options = parser.parse_args(argv)
    if options.input == "-" and sys.stdin.isatty():
        raise UsageError("an archive does not come from a terminal", hint="name a file with -i, or redirect the input")
    platform = Platform.parse(options.platform) if options.platform else Platform.host()
    store = Store.open(os.environ)
    progress = silence if options.quiet else plain
    layout = guess(options.input)
    try:
        names = list(dict.fromkeys(layout.names()))
        if not names:
            raise ImageNotFoundError(f"{options.input}: has no images")
        for name in names:
            reference = _reference(name, options.input)
            source = layout.select(name)
            pull(reference, platform=platform, store=store, environ=os.environ, progress=progress, source=source)
            print(f"loaded {reference.familiar}")
    finally:
        layout.close()
    return 0


def _reference(name: str, path: str) -> Reference:
    """What NAME, as the archive has it, is called here. A mere tag, or nothing, goes with the file's own name."""
    if "/" in name or ":" in name:
        return Reference.parse(f"docker://{name}")
    found = Reference.parse(f"dir:{'image' if path == '-' else os.path.abspath(path)}").replace(location=None)
    return found.replace(tag=name) if name else found
