"""`mydocker pull IMAGE...`: fetch images into the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mydocker.cli.parser import Parser
from mydocker.cli.progress import plain
from mydocker.image.progress import Step, silence
from mydocker.image.pull import pull
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference


def pull_command(argv: list[str]) -> int:
    """Fetch what the images that ARGV names mean now, and of that only what the store lacks; 0."""
    parser = Parser("pull", description="Fetch images from their registries, and of each only what is not here yet.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, as for 'docker pull'")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing unless something fails")
    parser.add_argument("--progress", choices=("auto", "plain"), default="auto", help="bars, or lines of text")
    options = parser.parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else Platform.host()
    references = [Reference.parse(name) for name in options.images]
    store = Store.open(os.environ)
    with _shown(quiet=options.quiet, style=options.progress) as progress:
        for reference in references:
            pull(reference, platform=platform, store=store, environ=os.environ, progress=progress)
    return 0


@contextmanager
def _shown(*, quiet: bool, style: str) -> Iterator[Callable[[Step], None]]:
    """What to tell the progress to, while it is shown on stderr."""
    if quiet:
        yield silence
    elif style == "plain" or sys.stderr is None or not sys.stderr.isatty():
        yield plain
    else:
        from mydocker.cli.bars import bars

        with bars() as progress:
            yield progress
