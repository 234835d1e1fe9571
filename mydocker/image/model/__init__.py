"""StoredImage: what `image` gives and `runtime` takes, an image that is on disk, verified and unpacked."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Digest, Platform, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping


class ImageConfig(Record):
    """The part of an OCI image config (image-spec "config.md") that a run or a check looks at.

    Strings are as the image has them: untrusted. `env` may hold anything, `NAME=value` or not.
    """

    platform: Platform
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    volumes: tuple[str, ...] = ()  # paths that the image says hold data
    stop_signal: str = ""
    healthcheck: Mapping[str, object] = {}  # as it stands


class ImageFile(Record):
    """A file that is a file system, `squashfs` or `erofs` (`kind`), of SIZE bytes, at the absolute `path`.

    `identity` is what stat(2) says of the file: another one in its place is noticed.
    """

    kind: str
    path: str
    size: int
    identity: tuple[int, ...]


class StoredImage(Record):
    """`lowerdirs` are absolute paths of unpacked layers, the lowest first, as the manifest lists them; there are none
    if the image is a `file`."""

    reference: Reference
    manifest: Digest
    config: ImageConfig
    lowerdirs: tuple[str, ...]
    file: ImageFile | None = None
