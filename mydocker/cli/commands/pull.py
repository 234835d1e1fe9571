"""`mydocker pull IMAGE...`: fetch images into the store."""

from __future__ import annotations

import argparse
import os

from mydocker.cli.common.image_options import add_supply
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.progress import add_progress, shown
from mydocker.errors import UsageError
from mydocker.image import lock_file
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference


def pull_command(argv: list[str]) -> int:
    """Fetch what the images that ARGV names mean now, and of that only what the store lacks; 0."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else Platform.host()
    references = _references(options, platform)
    store = Store.open(os.environ)
    with shown(options) as progress:
        for reference in references:
            policy = "never" if options.offline else options.policy
            resolve(reference, platform=platform, policy=policy, store=store, environ=os.environ, progress=progress)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "pull",
        text="Only what the store lacks is downloaded.",
        exits=(("0", "all are there"), ("1", "an image does not exist"), ("2", "wrong usage")),
        examples=(
            ("mydocker pull alpine:3.20 ghcr.io/team/app", "pull images"),
            ("mydocker pull --frozen", "pull all images of mydocker.lock"),
        ),
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="a name, as for 'docker pull'; with --frozen: all")
    add_supply(parser)
    parser.add_argument(
        "--policy", choices=("always", "missing"), default="always", help="missing: only what the store does not have"
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    add_progress(parser)
    return parser


def _pulled(text: str) -> Reference:
    reference = Reference.parse(text)
    if reference.is_file_system:
        raise UsageError(f"{text} is used where it is, and never in the store", hint=f"mydocker run {text}")
    return reference


def _references(options: argparse.Namespace, platform: Platform) -> list[Reference]:
    """The images that are named; with --frozen, as the lock file has them, and all of it if none is named."""
    references = [_pulled(name) for name in options.images]
    if options.frozen:
        lock = lock_file.read(options.lock_file)
        chosen = references or [Reference.parse(name) for name in lock.images]
        return [lock_file.pinned(lock, reference, platform, environ=os.environ) for reference in chosen]
    if not references:
        raise UsageError("expected an IMAGE, or --frozen for all that are locked", hint="see 'mydocker pull --help'")
    return references
