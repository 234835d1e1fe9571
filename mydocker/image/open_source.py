"""Where an image comes from: its registry, or the files that its name says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from mydocker.errors import ImageError, RegistryError
from mydocker.image.files.blobs import Files, FilesOfArchive, FilesOfDirectory
from mydocker.image.files.file_system import kind_of
from mydocker.image.files.layouts import DirectoryLayout, DockerArchive, Layout, OciLayout, reference_of
from mydocker.image.layer.blob import Source
from mydocker.image.model.digest import digest_of
from mydocker.paths import usable
from mydocker.reference import Location, Reference


def open_source(reference: Reference, *, environ: Mapping[str, str], warn: Callable[[str], None]) -> Source:
    """The source of REFERENCE, ready to be queried; see Registry for WARN. Close it, or use it with `with`."""
    if reference.location is None:
        from mydocker.image.registry.client import Registry  # its library takes as long to import as Python to start

        return Registry(reference, environ=environ, warn=warn)
    return open_location(reference.location)


@contextmanager
def named_errors(reference: Reference) -> Iterator[None]:
    """Let what is wrong with a manifest or a config name the image REFERENCE, or its files: there may be many."""
    where = reference.location.path if reference.location else f"image {reference.familiar}"
    try:
        yield
    except RegistryError:
        raise
    except ImageError as error:
        if error.message.startswith(where):
            raise
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from error


def open_location(location: Location) -> Layout:
    """The files at LOCATION. ImageNotFoundError if they are not there."""
    where, selector = location.path, location.selector
    if location.is_file_system:
        hint = "run, up, test and inspect read it where it is; 'mydocker save' of the image itself writes an archive"
        raise ImageError(f"{where}: a file system has no layers that could be copied", hint=hint)
    if location.transport == "dir":
        return DirectoryLayout(FilesOfDirectory(usable(where)), where=where, selector=selector)
    files: Files = FilesOfDirectory(usable(where)) if location.transport == "oci" else _archive(usable(where))
    if not _has(files, "index.json") and not _has(files, "manifest.json"):
        raise _foreign(files, where)
    try:
        index = OciLayout(files, where=where, selector=selector)
        if location.transport == "oci":
            return index
        listing = DockerArchive(files, where=where, selector=selector)
        return _either(files, index, listing, prefer_index=location.transport == "oci-archive")
    except BaseException:
        files.close()
        raise


def _either(files: Files, index: OciLayout, listing: DockerArchive, *, prefer_index: bool) -> Layout:
    """The form of the archive FILES that is preferred, or the other one where only that is there, or complete: what
    `load` finds in an archive, the transports find, too."""
    if not _has(files, "manifest.json") or not _is_listing(listing):
        return index if prefer_index or _has(files, "index.json") else listing
    return index if prefer_index and _has(files, "index.json") and _covers(index, listing) else listing


_ROOTS = frozenset(("bin", "dev", "etc", "home", "lib", "opt", "proc", "root", "sbin", "sys", "tmp", "usr", "var"))
_TYPICAL = 2  # of these at the top make a root file system


def guess(path: str) -> Layout:
    """What is at PATH, whichever of the formats it has: an archive (`-` is stdin) or a directory."""
    files: Files = FilesOfDirectory(path) if os.path.isdir(usable(path)) else _archive(path)
    where = "standard input" if path == "-" else path
    index, listing = OciLayout(files, where=where), DockerArchive(files, where=where)
    if not _has(files, "manifest.json"):
        if not _has(files, "index.json"):
            raise _foreign(files, where)
        return index
    if not _is_listing(listing):
        return index if _has(files, "index.json") else _other(files, where)
    return index if _has(files, "index.json") and _covers(index, listing) else listing


def _archive(path: str) -> FilesOfArchive:
    """The archive at PATH, `-` for stdin."""
    try:
        return FilesOfArchive(path)
    except ImageError as error:
        kind = None if path == "-" else kind_of(path)
        if kind is None:
            raise
        message = f"{path}: not an archive but a file system, {kind}"
        raise ImageError(
            message, hint=f"'mydocker run {kind}:FILE' mounts it, if 'mydocker save' has written it"
        ) from error


def _foreign(files: Files, where: str) -> ImageError:
    """What FILES are that hold no image."""
    names = files.top()
    files.close()
    if len(names & _ROOTS) >= _TYPICAL:
        message = f"{where}: a root file system, as 'docker export' writes, and no image"
        return ImageError(message, hint="unpack it into a directory, and run that: mydocker run --rootfs DIRECTORY …")
    message = f"{where}: no image archive or layout: it has neither index.json nor manifest.json"
    return ImageError(message, hint="'docker save', 'podman save', skopeo and umoci write one")


def _has(files: Files, name: str) -> bool:
    try:
        files.open(name).close()
    except FileNotFoundError:
        return False
    return True


def _other(files: Files, where: str) -> Layout:
    kind = DirectoryLayout if isinstance(files, FilesOfDirectory) else DockerArchive
    return kind(files, where=where)


def _is_listing(archive: DockerArchive) -> bool:
    """Whether manifest.json is what `docker save` writes; in a `dir:` it is an image's own manifest."""
    try:
        return bool(archive.items)
    except ImageError:
        return False


def _covers(index: OciLayout, listing: DockerArchive) -> bool:
    """Whether all that LISTING has is in INDEX, too, whole and by its names. `docker save` writes both, and `docker
    load` long read the listing alone: some versions have left the index without images that have no name
    (moby/moby#47210), without layers (#47065), or with its layers in another order."""
    try:
        whole, names = index.configs(), {reference_of(name) for name in index.names()}
        return all(digest_of(listing.config(item)) in whole for item in listing.items) and all(
            name.startswith("@") or reference_of(name) in names for name in listing.names()
        )
    except ImageError:
        return False
