"""`mydocker rename CONTAINER NAME`."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import StoreError, UsageError, hint_for
from mydocker.image.store import Store
from mydocker.runtime.network.upkeep.renamed import rename as rename_running
from mydocker.services.containers import directory
from mydocker.services.containers.find import find_kept
from mydocker.specs.values import Scope, name


def rename_command(argv: list[str]) -> int:
    """Give a container in the background another name; 0."""
    options = parser().parse_args(argv)
    new = name(options.name, Scope(directory="", environ=os.environ)) or ""
    store = Store.open(os.environ)
    container = find_kept(store, options.container)
    with directory.changing(container.directory):
        config = directory.read(container.directory).config
        if new == config.name:
            raise UsageError(f"container {config.title} has this name already")
        try:
            directory.take_name(store, new, config.id)
            directory.write_config(container.directory, config.replace(name=new, spec=config.spec.replace(name=new)))
        except OSError as error:
            directory.drop_name(store, new, config.id)
            raise StoreError(f"cannot rename {config.title}: {error.strerror}", hint=hint_for(error)) from None
        directory.drop_name(store, config.name, config.id)
        aliases = {each.name: each.aliases for each in config.attachments}
        rename_running(store.networks, f"{store.containers}/{config.short_id}", new, aliases)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser("rename", examples=(("mydocker rename web old-web", "give it another name"),))
    parser.add_argument("container", metavar="CONTAINER", help="a name or an ID")
    parser.add_argument("name", metavar="NAME", help="the new name, which no other container has")
    return parser
