"""`mydocker save -o FILE IMAGE...`: images as a file or a directory, for Docker, Podman, skopeo and `mydocker load`; or
one image as a file system, to be run as it is."""

from __future__ import annotations

import argparse
import os

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.output.archives import refuse_terminal, refused, unfinished, write_archive, write_file
from mydocker.errors import UsageError
from mydocker.image.files.write import DirectoryOutput, TarOutput, save
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import ImageName, NamedImage
from mydocker.paths import usable
from mydocker.reference import FILE_SYSTEMS, Digest, Platform
from mydocker.runtime.image_file.create import create


def save_command(argv: list[str]) -> int:
    """Write the images that ARGV names to one archive; 0. A file appears whole or not at all, whatever ends
    mydocker."""
    options = parser().parse_args(argv)
    is_directory = options.format == "oci-dir"
    if is_directory and options.output in (None, "-"):
        raise UsageError("expected a name for the directory", hint="set it with -o")
    is_file_system = options.format in FILE_SYSTEMS
    if is_file_system and options.output in (None, "-"):
        raise UsageError("a file system is not written to standard output", hint="name a file with -o")
    refuse_terminal(options.output)
    if options.output is not None:
        usable(options.output)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    found: dict[Digest, NamedImage] = {}
    chosen: dict[Digest, set[str]] = {}  # the paths of the names that each image keeps
    for name in options.images:
        for image in catalog.find(store, name, environ=os.environ, platform=platform, known=known):
            found[image.ref.manifest] = image
            chosen.setdefault(image.ref.manifest, set()).update(entry.path for entry in _meant(image, name))
    for note in _write(store, [_named(image, chosen[digest]) for digest, image in found.items()], options):
        say(note)
    return 0


def _meant(image: NamedImage, name: str) -> list[ImageName]:
    """The name of IMAGE that NAME is, by which alone it is loaded; all of them if NAME is an ID or a digest."""
    named = catalog.named(image, name, environ=os.environ)
    return [entry for entry in named if entry.reference.tag] or [*image.entries]


def _named(image: NamedImage, paths: set[str]) -> NamedImage:
    return NamedImage(entries=tuple(entry for entry in image.entries if entry.path in paths))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "save",
        text="An archive is an oci-archive and a docker-archive at the same time. A file system has one image, without "
        "layers: 'mydocker run squashfs:FILE' mounts it, and unpacks nothing.",
        exits=(("0", "written"), ("1", "an image does not exist")),
        examples=(
            ("mydocker save -o app.tar team/app:2", "write an archive"),
            ("mydocker save alpine | docker load", "hand an image to Docker"),
            ("mydocker save --format squashfs -o app.sqfs team/app:2", "write one file for many machines to run"),
        ),
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: -, standard output)")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument(
        "--format",
        choices=("oci-archive", "docker-archive", "oci-dir", *FILE_SYSTEMS),
        help="oci-dir: a directory that is an OCI image layout; squashfs, erofs: a file system; else it is always both",
    )
    return parser


def _write(store: Store, images: list[NamedImage], options: argparse.Namespace) -> list[str]:
    """Write IMAGES where and as OPTIONS say; what to know about it."""
    if options.format == "oci-dir":
        return _write_directory(store, images, options.output)
    if options.format in FILE_SYSTEMS:
        if len(images) > 1:
            raise UsageError("a file system has one image", hint="save them one by one")
        return write_file(options.output, lambda path: create(store, images[0], path, kind=options.format))
    return write_archive(options.output, lambda file: save(store, images, TarOutput(file)))


def _write_directory(store: Store, images: list[NamedImage], path: str) -> list[str]:
    try:
        with unfinished(os.path.realpath(path)) as temporary:  # rename(2): it replaces one that is empty
            return save(store, images, DirectoryOutput(temporary))
    except OSError as error:
        raise refused(path, error) from None
