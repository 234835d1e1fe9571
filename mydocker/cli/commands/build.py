"""`mydocker build [OPTIONS] CONTEXT`: an image is built by the builder that the host has, and is in the store then."""

from __future__ import annotations

import os
import sys

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common import complain, say
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.build import add_making
from mydocker.errors import BuildError, MydockerError, Origin, UsageError
from mydocker.image.store import Store
from mydocker.paths import current_directory, usable
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform, Reference
from mydocker.runtime.build.image import build_image, id_of
from mydocker.specs import field_types, values
from mydocker.specs.load import build as keys
from mydocker.specs.model.build import STDIN, Build

if TYPE_CHECKING:
    import argparse

    from mydocker.image.model import StoredImage

_INSTEAD = {
    "--push": "'mydocker push' does it, once the image is built",
    "--output": "'mydocker save' writes the image to an archive or a directory",
    "-o": "'mydocker save' writes the image to an archive or a directory",
}


def build_command(argv: list[str]) -> int:
    """Build what ARGV describes; 0, or 1 if the build has failed."""
    options = parser().parse_args(argv)
    build = _build(options)
    names = [Reference.parse(text) for text in options.tag]
    listed = [Platform.parse(text) for word in options.platform for text in word.split(",")]
    platforms: list[Platform | None] = [*listed] or [None]
    if build.context == STDIN and len(platforms) > 1:
        raise UsageError("several platforms need a context that can be read more than once")
    store = Store.open(os.environ)
    lines: list[str] = []
    images: list[StoredImage] = []
    try:
        for platform in platforms:
            images.append(
                build_image(
                    build.replace(tags=tuple(names[1:])),
                    names[0] if names else None,
                    store=store,
                    environ=os.environ,
                    platform=platform,
                    builder=options.builder,
                    output=lines.append if options.quiet else say,
                )
            )
    except BuildError as error:
        for line in lines:
            say(line)
        complain(error)
        return NEGATIVE
    _report(options, images, store)
    return 0


def _report(options: argparse.Namespace, images: list[StoredImage], store: Store) -> None:
    image_id = str(id_of(images[-1], store))
    if options.iidfile:
        try:
            with open(usable(options.iidfile), "w") as file:
                file.write(image_id)
        except OSError as error:
            raise MydockerError(f"cannot write the image ID to {options.iidfile}: {error.strerror}") from None
    if options.quiet:
        print(image_id)
    else:
        say(f"built {images[-1].reference.familiar}: {image_id}")


def _build(options: argparse.Namespace) -> Build:
    scope = values.Scope(directory=current_directory(), environ=os.environ)
    if STDIN in (options.context, options.file) and sys.stdin.isatty():
        raise UsageError("a Dockerfile or an archive does not come from a terminal", hint="redirect the input")
    inline = ""
    if options.file == STDIN:
        if options.context == STDIN:
            raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
        inline = sys.stdin.buffer.read().decode(errors="surrogateescape")
    file = "" if options.file in (None, STDIN) else options.file
    context = keys.context(options.context, scope)
    return Build(
        context=context,
        # as for Docker, the path of a Dockerfile counts from here
        dockerfile=values.path(file, scope) if file and context.startswith("/") else file,
        dockerfile_inline=inline,
        args=keys.joined(options.build_arg, values.variable, scope),
        target=options.target,
        labels=keys.joined(options.label, values.label, scope),
        no_cache=options.no_cache,
        pull=options.pull,
        cache_from=tuple(options.cache_from),
        cache_to=tuple(options.cache_to),
        additional_contexts=keys.joined(options.build_context, keys.named_context, scope),
        secrets=tuple(keys.parse_secret(text, scope) for text in options.secret),
        ssh=keys.joined(options.ssh, keys.ssh, scope),
        network=options.network,
        extra_hosts=tuple(field_types.extra_host(text, scope) for text in options.add_host),
        shm_size=field_types.shm_size(options.shm_size, scope) if options.shm_size else None,
        ulimits=keys.joined(options.ulimit, field_types.ulimit, scope),
        origin=Origin(file="command line"),
    )


_LISTS = (
    (("-t", "--tag"), "NAME", "name of the image, such as app:1.0; may be repeated"),
    (("--build-arg",), "NAME=VALUE", "value of an ARG of the Dockerfile; NAME alone: that of the environment"),
    (("--label",), "NAME=VALUE", "label of the image"),
    (("--secret",), "id=ID,src=FILE", "file that RUN --mount=type=secret may read; or id=ID,env=NAME, a variable"),
    (("--ssh",), "default|ID=PATH", "agent or key that RUN --mount=type=ssh may use"),
    (("--platform",), "OS/ARCH", "platform to build for (default: that of this machine)"),
    (("--cache-from",), "PLACE", "take layers from this cache"),
    (("--cache-to",), "PLACE", "add layers to this cache"),
    (("--build-context",), "NAME=CONTEXT", "further context, for COPY --from=NAME"),
    (("--add-host",), "NAME:ADDRESS", "add a line to /etc/hosts while commands run"),
    (("--ulimit",), "NAME=SOFT[:HARD]", "limit for the commands that run"),
)
_TEXTS = (
    (("--target",), "STAGE", "stage of the Dockerfile to build"),
    (("--network",), "MODE", "network of commands that run, such as none or host"),
    (("--shm-size",), "SIZE", "size of /dev/shm"),
    (("--iidfile",), "FILE", "write the ID of the image to FILE"),
)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "build",
        text="buildah, podman or docker buildx, the first that the host has, does the work, and the image is loaded "
        "into the store of mydocker. 'mydocker compose build' builds the images of a Compose file.",
        exits=(("0", "the image is in the store"), ("1", "the build failed"), ("125", "there is no builder")),
        examples=(
            ("mydocker build -t app .", "build the Dockerfile of this directory"),
            ("mydocker build -t app -f Dockerfile.test --target tests .", "build a stage of another file"),
            ("mydocker build - < Dockerfile", "build a Dockerfile that needs no other files"),
        ),
        instead=_INSTEAD,
    )
    parser.add_argument("context", metavar="CONTEXT", help="a directory, a repository's address, or - for stdin")
    parser.add_argument(
        "-f", "--file", metavar="FILE", help="the Dockerfile, - for stdin (default: CONTEXT/Dockerfile)"
    )
    for flags, metavar, text in _LISTS:
        parser.add_argument(*flags, action="append", default=[], metavar=metavar, help=text)
    for flags, metavar, text in _TEXTS:
        parser.add_argument(*flags, default="", metavar=metavar, help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the ID of the image")
    add_making(parser)
    return parser
