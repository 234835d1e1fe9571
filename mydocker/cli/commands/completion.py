"""`mydocker completion SHELL`: the completions of command lines for bash, zsh and fish."""

from __future__ import annotations

import argparse
import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.manual.shells import SCRIPTS
from mydocker.errors import MydockerError, printable

_WORDS = "--words"


def completion_command(argv: list[str]) -> int:
    """Print the script for a shell; or, for that script, what may follow the words of ARGV; 0."""
    if argv[:2] == [_WORDS, "--"]:
        _print_words(argv[2:])
        return 0
    print(SCRIPTS[parser().parse_args(argv).shell], end="")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "completion",
        text="Commands, options and their values are completed, and the names of images, volumes, networks and spec "
        "files.",
        examples=(
            ("source <(mydocker completion bash)", "complete in this bash; in ~/.bashrc, in each"),
            ("source <(mydocker completion zsh)", "the same for zsh, after compinit in ~/.zshrc"),
            ("mydocker completion fish > ~/.config/fish/completions/mydocker.fish", "complete in each fish"),
        ),
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help="bash, zsh or fish")
    parser.add_argument(_WORDS, action="store_true", help=argparse.SUPPRESS)
    return parser


def _print_words(words: list[str]) -> None:
    from mydocker.cli.manual.complete import complete

    found = complete(words, _names)
    for word, meaning in found.words:
        if printable(word) == word:
            print(f"{word}\t{printable(meaning)}")
    if found.files:
        print(f":{found.files}")


def _names(kind: str) -> list[str]:
    """The names of KIND that the store has; none, if it cannot be read."""
    try:
        return _stored_names(kind)
    except (MydockerError, OSError):
        return []


def _stored_names(kind: str) -> list[str]:
    from mydocker.image.store import Store

    store = Store.open(os.environ)
    if kind == "image":
        from mydocker.image.store import catalog

        return sorted({tag.familiar for image in catalog.images(store) for tag in image.tags})
    if kind == "volume":
        from mydocker.runtime.volume import store as volumestore

        return [volume.name for volume in volumestore.listed(f"{store.root}/volumes")]
    if kind == "network":
        from mydocker.runtime.network import networks

        return networks.names(store.networks)
    if kind == "container":
        from mydocker.runtime.inspect import kept_container
        from mydocker.services.containers import directory
        from mydocker.services.listing.stored import as_listed, foreground

        containers = [*directory.listed(store), *map(as_listed, foreground(store))]
        kept = [each.id for each in kept_container.listed(store.root)]
        return [*(each.config.title for each in containers), *kept]
    return []
