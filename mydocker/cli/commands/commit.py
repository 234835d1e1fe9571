"""`mydocker commit CONTAINER NAME`: what a container changed becomes a layer over its image."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable

from mydocker.cli.common.parser import Parser
from mydocker.errors import LaunchError, UsageError
from mydocker.image.pull import pull
from mydocker.image.rebuild.commit import Committed, Remarks, parse_change
from mydocker.image.store import Store, catalog
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Digest, Platform, Reference
from mydocker.runtime.copy.written import write_layer
from mydocker.services.containers import described, look, start, trees
from mydocker.services.listing.stored import Foreground

if TYPE_CHECKING:
    from typing import Any


def commit_command(argv: list[str]) -> int:
    """Make the image that ARGV describes, and print its ID; 0."""
    options = parser().parse_args(argv)
    name = catalog.in_store(Reference.parse(options.name), options.name)
    if name.digest:
        raise UsageError(f"{options.name}: a new name has a tag, not a digest")
    changes = tuple(parse_change(text) for text in options.change)
    store = Store.open(os.environ)
    store.prepare()
    with (
        trees.view(store, options.container, environ=os.environ) as view,
        tempfile.TemporaryFile(dir=store.incoming) as file,
    ):
        if not view.plan.image_digest:
            raise LaunchError(f"container {options.container} has no image: it runs on a directory")
        if view.plan.image_file:
            hint = "'mydocker export' writes all of its tree"
            raise LaunchError(f"the image of container {options.container} is a file without layers", hint=hint)
        write_layer(view, file.fileno())
        remarks = Remarks(
            author=options.author,
            message=options.message,
            created_by=shlex.join(view.plan.argv),
            changes=(_settings(store, options.container), *changes),
        )
        source = Committed(store, Digest.parse(view.plan.image_digest), file.fileno(), remarks)
        pull(name, platform=Platform.host(), store=store, environ=os.environ, source=source)
    print(f"sha256:{source.config_digest.hex}")
    return 0


def _settings(store: Store, text: str) -> Callable[[dict[str, Any]], None]:
    """What gives an image the settings of the container that TEXT means: those of its image, and what it was started
    with. Of one in the foreground, only its image's are known."""
    container = look.find_any(store, text)
    if isinstance(container, Foreground):
        return lambda config: None
    image = start.image_of(container, store=store, environ=os.environ)
    return lambda config: config.update(described.image_settings(container, image.config if image else None))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "commit",
        text="The layer has what 'mydocker diff' lists; what is in volumes stays there. The image has the settings of "
        "the container, changed by --change; of a foreground run, those of its image.",
        exits=(("0", "done"), ("1", "the container does not exist"), ("2", "wrong usage")),
        examples=(
            ("mydocker commit web team/web:patched", "make an image of what container web has become"),
            ("mydocker commit -c 'CMD [\"sh\"]' -m 'with tools' web tools", "with another command"),
        ),
    )
    add = parser.add_argument
    add("-m", "--message", default="", metavar="TEXT", help="what was done, for the image's history")
    add("-a", "--author", default="", metavar="TEXT", help="who did it")
    add(
        "-c", "--change", action="append", default=[], metavar="LINE", help="a line of a Dockerfile, such as 'USER app'"
    )
    add("-p", "--pause", action="store_true", help="accepted for compatibility")
    add("container", metavar="CONTAINER", help="the name or ID of a container")
    add("name", metavar="NAME", help="the name of the image, such as team/app:1.2")
    return parser
