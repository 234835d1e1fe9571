"""`mydocker pull IMAGE...`: fetch images into the store."""

from __future__ import annotations

import os

from mydocker.cli.parser import Parser
from mydocker.cli.progress import add_progress, shown
from mydocker.image.pull import pull
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference


def pull_command(argv: list[str]) -> int:
    """Fetch what the images that ARGV names mean now, and of that only what the store lacks; 0."""
    parser = Parser("pull", description="Fetch images from their registries, and of each only what is not here yet.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, as for 'docker pull'")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    add_progress(parser)
    options = parser.parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else Platform.host()
    references = [Reference.parse(name) for name in options.images]
    store = Store.open(os.environ)
    with shown(options) as progress:
        for reference in references:
            pull(reference, platform=platform, store=store, environ=os.environ, progress=progress)
    return 0
