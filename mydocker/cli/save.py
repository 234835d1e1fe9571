"""`mydocker save -o FILE IMAGE...`: images as one file, for Docker, Podman, skopeo and `mydocker load`."""

from __future__ import annotations

import os
import sys

from mydocker.cli.output import say
from mydocker.cli.parser import Parser
from mydocker.errors import StoreError, UsageError
from mydocker.image import catalog
from mydocker.image.archive import save
from mydocker.image.catalog import Image
from mydocker.image.store import Store
from mydocker.reference import Platform


def save_command(argv: list[str]) -> int:
    """Write the images that ARGV names to one archive; 0. A file appears whole or not at all."""
    parser = Parser(
        "save",
        description="Write images to one archive, which is an oci-archive and a docker-archive at the same time.",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    parser.add_argument(
        "--format", choices=("oci-archive", "docker-archive"), help="accepted, and makes no difference: it is both"
    )
    options = parser.parse_args(argv)
    if not options.output and sys.stdout.isatty():
        raise UsageError("an archive is nothing for a terminal", hint="name a file with -o, or redirect the output")
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    found = [image for name in options.images for image in catalog.find(store, name, platform=platform)]
    unique = list({image.ref.manifest: image for image in found}.values())
    for note in _write(store, unique, options.output):
        say(note)
    return 0


def _write(store: Store, images: list[Image], path: str | None) -> list[str]:
    if not path:
        return save(store, images, sys.stdout.buffer)
    unfinished = f"{path}.{os.getpid()}.part"
    try:
        with open(unfinished, "xb") as output:
            notes = save(store, images, output)
            os.fsync(output.fileno())
        os.rename(unfinished, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
    return notes
