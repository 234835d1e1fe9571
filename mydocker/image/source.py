"""Where an image comes from: its registry, or the files that its name says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from mydocker.image.blob import Source
from mydocker.image.files import Archive, Directory, Files
from mydocker.image.layout import DirectoryLayout, DockerArchive, Layout, OciLayout
from mydocker.image.registry import Registry
from mydocker.reference import Location, Reference


def open_source(reference: Reference, *, environ: Mapping[str, str], warn: Callable[[str], None]) -> Source:
    """What has REFERENCE, ready to be asked; see Registry for WARN. Close it, or use it with `with`."""
    if reference.location is None:
        return Registry(reference, environ=environ, warn=warn)
    return open_location(reference.location)


def open_location(location: Location) -> Layout:
    """The files at LOCATION. ImageNotFoundError if they are not there."""
    kinds: dict[str, tuple[Callable[[str], Files], type[Layout]]] = {
        "oci": (Directory, OciLayout),
        "oci-archive": (Archive, OciLayout),
        "docker-archive": (Archive, DockerArchive),
        "dir": (Directory, DirectoryLayout),
    }
    files, layout = kinds[location.transport]
    return layout(files(location.path), where=location.path, selector=location.selector)


def guess(path: str) -> Layout:
    """What is at PATH, whichever of the formats it has: an archive (`-` is stdin) or a directory."""
    files: Files = Directory(path) if os.path.isdir(path) else Archive(path)
    for name, layout in (("index.json", OciLayout), ("manifest.json", DockerArchive)):
        try:
            files.open(name).close()
            kind: type[Layout] = layout
            break
        except FileNotFoundError:
            kind = OciLayout
    if kind is DockerArchive and isinstance(files, Directory):
        kind = DirectoryLayout
    return kind(files, where="standard input" if path == "-" else path)
