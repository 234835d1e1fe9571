"""`mydocker save -o FILE IMAGE...`: images as a file or a directory, for Docker, Podman, skopeo and `mydocker load`."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.errors import StoreError, UsageError
from mydocker.image.files.write import DirectoryOutput, TarOutput, save
from mydocker.image.store import Store, catalog, remove_tree
from mydocker.image.store.catalog import NamedImage
from mydocker.paths import stream, usable
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform

if TYPE_CHECKING:
    from typing import NoReturn


def save_command(argv: list[str]) -> int:
    """Write the images that ARGV names to one archive; 0. A file appears whole or not at all, whatever ends
    mydocker."""
    options = parser().parse_args(argv)
    is_directory = options.format == "oci-dir"
    if is_directory and options.output in (None, "-"):
        raise UsageError("expected a name for the directory", hint="set it with -o")
    if options.output in (None, "-") and sys.stdout.isatty():
        raise _for_a_terminal()
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
    write = _write_directory if is_directory else _write
    for note in write(store, unique, options.output):
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


def _for_a_terminal() -> UsageError:
    return UsageError("an archive is nothing for a terminal", hint="name a file with -o, or redirect the output")


def _write(store: Store, images: list[NamedImage], path: str | None) -> list[str]:
    if path is None or path == "-":
        return save(store, images, TarOutput(sys.stdout.buffer))
    try:
        descriptor = stream(path)
        mode = None if descriptor is not None else _mode_of_file(path)
        if mode is not None:
            return _replace(store, images, os.path.realpath(path), mode=mode)
        target = path if descriptor is None else descriptor
        # a device or a FIFO is written to, and stays what it is
        with open(target, "wb", closefd=descriptor is None) as output:
            if output.isatty():
                raise _for_a_terminal()
            return save(store, images, TarOutput(output))
    except OSError as error:
        raise _refused(path, error) from None


def _write_directory(store: Store, images: list[NamedImage], path: str) -> list[str]:
    try:
        with _unfinished(os.path.realpath(path)) as unfinished:  # rename(2): it replaces one that is empty
            return save(store, images, DirectoryOutput(unfinished))
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: str, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror}")


def _mode_of_file(path: str) -> int | None:
    """The permissions of the file PATH, 0 if there is none yet; None if that is something else."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return 0
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _replace(store: Store, images: list[NamedImage], path: str, *, mode: int) -> list[str]:
    """Write the file PATH. One that was there keeps its MODE."""
    with _unfinished(path) as unfinished, open(unfinished, "xb") as output:
        if mode:
            os.fchmod(output.fileno(), mode)
        notes = save(store, images, TarOutput(output))
        os.fsync(output.fileno())
    return notes


@contextmanager
def _unfinished(path: str) -> Iterator[str]:
    """A name in the directory of PATH for a file that is renamed to PATH at the end of the `with`, and removed if
    anything ends it."""
    unfinished = f"{path}.{os.getpid()}.part"
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        yield unfinished
        os.rename(unfinished, path)
    finally:
        remove_tree.remove(unfinished)


def _end(number: int, frame: object) -> NoReturn:
    """End by signal NUMBER, but after what is unfinished has been removed."""
    sys.exit(128 + number)
