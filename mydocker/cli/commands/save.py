"""`mydocker save -o FILE IMAGE...`: images as a file or a directory, for Docker, Podman, skopeo and `mydocker load`."""

from __future__ import annotations

import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.output.archives import refuse_terminal, refused, unfinished, write_archive
from mydocker.errors import UsageError
from mydocker.image.files.write import DirectoryOutput, TarOutput, save
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.paths import usable
from mydocker.reference import Platform


def save_command(argv: list[str]) -> int:
    """Write the images that ARGV names to one archive; 0. A file appears whole or not at all, whatever ends
    mydocker."""
    options = parser().parse_args(argv)
    is_directory = options.format == "oci-dir"
    if is_directory and options.output in (None, "-"):
        raise UsageError("expected a name for the directory", hint="set it with -o")
    refuse_terminal(options.output)
    if options.output is not None:
        usable(options.output)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    found = [
        image
        for name in options.images
        for image in catalog.find(store, name, environ=os.environ, platform=platform, known=known)
    ]
    unique = list({image.ref.manifest: image for image in found}.values())
    notes = (
        _write_directory(store, unique, options.output)
        if is_directory
        else write_archive(options.output, lambda file: save(store, unique, TarOutput(file)))
    )
    for note in notes:
        say(note)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "save",
        text="An archive is an oci-archive and a docker-archive at the same time.",
        exits=(("0", "written"), ("1", "an image does not exist")),
        examples=(
            ("mydocker save -o app.tar team/app:2", "write an archive"),
            ("mydocker save alpine | docker load", "hand an image to Docker"),
        ),
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: -, standard output)")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument(
        "--format",
        choices=("oci-archive", "docker-archive", "oci-dir"),
        help="oci-dir: a directory that is an OCI image layout; else it is always both",
    )
    return parser


def _write_directory(store: Store, images: list[NamedImage], path: str) -> list[str]:
    try:
        with unfinished(os.path.realpath(path)) as temporary:  # rename(2): it replaces one that is empty
            return save(store, images, DirectoryOutput(temporary))
    except OSError as error:
        raise refused(path, error) from None
