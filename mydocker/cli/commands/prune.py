"""`mydocker prune`: free the space of what is not needed any more."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.image.maintain import in_use
from mydocker.image.maintain.prune import Busy, prune
from mydocker.image.model.progress import megabytes
from mydocker.image.store import Store
from mydocker.runtime.inspect import kept_container
from mydocker.runtime.launch import run_directory
from mydocker.runtime.network.upkeep import strays


def prune_command(argv: list[str]) -> int:
    """Remove layers and blobs of no image, what killed runs and pulls left, and what tests have kept. Print it; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    if not (options.dry_run or options.force):
        in_use.check_known(store)
    if not options.dry_run and os.path.isdir(store.containers):
        run_directory.sweep(store.containers)
    _prune_strays(store.networks, dry_run=options.dry_run)
    freed = 0
    for path in kept_container.all_paths(store.root):
        size = kept_container.size_of(path)
        print(f"kept container {os.path.basename(path).lstrip('.')}: {megabytes(size)}")
        freed += size
        if not options.dry_run:
            kept_container.remove(path)
    try:
        for removal in prune(store, dry_run=options.dry_run):
            print(f"{removal.what}: {megabytes(removal.size)}" if removal.size else removal.what)
            freed += removal.size
    except Busy:
        say("a pull is under way: layers and blobs were left alone")
    print(f"{'would free' if options.dry_run else 'freed'} {megabytes(freed)}")
    return 0


def _prune_strays(networks: str, *, dry_run: bool) -> None:
    """Remove what is left of networks that no container uses; the networks themselves stay."""
    found = strays.find_removable(networks)
    for stray in found if dry_run else strays.remove(networks, found):
        print(stray)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "prune",
        text="What a running container or a name of an image needs is left alone. Networks and volumes stay as well; "
        "'mydocker network prune' and 'mydocker volume prune' remove those that no container uses.",
        examples=(("mydocker prune --dry-run", "show what would be removed"), ("mydocker prune", "remove it")),
        instead={
            **dict.fromkeys(("-a", "--all"), "'mydocker rmi IMAGE' removes images that have a name, before a prune"),
            "--volumes": "'mydocker volume prune' removes volumes",
            "--filter": "'mydocker rmi IMAGE' removes single images",
        },
    )
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="also where it is not known what containers on other machines use; there is no prompt",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    return parser
