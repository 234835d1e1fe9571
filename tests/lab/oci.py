"""Images built in memory: `image([layer({"etc/x": b"hi", "old": WHITEOUT})], cmd=["/bin/sh"])`.

Nothing is checked here: whatever a test asks for, broken or hostile, is what it gets. Media types and
members are those of OCI image-spec 1.1 and Docker's image manifest schema 2.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import pathlib
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
OCI_MANIFEST = f"{OCI}.manifest.v1+json"
OCI_INDEX = f"{OCI}.index.v1+json"
DOCKER_MANIFEST = f"{DOCKER}.distribution.manifest.v2+json"
DOCKER_LIST = f"{DOCKER}.distribution.manifest.list.v2+json"

_LARGE = 8 << 20  # bytes of a tar that is not kept
_SUFFIXES = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


@dataclass(frozen=True)
class Entry:
    """One member of a layer's tar. `xattrs` become SCHILY.xattr records, `headers` any other pax records."""

    type: bytes = tarfile.REGTYPE
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    mtime: int = 1_700_000_000
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def tarinfo(self, name: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = self.type, len(self.data), self.link
        info.mode, info.uid, info.gid, info.mtime = self.mode, self.uid, self.gid, self.mtime
        info.uname, info.gname = self.uname, self.gname
        info.devmajor, info.devminor = self.major, self.minor
        values = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in self.xattrs.items()}
        info.pax_headers = {**values, **self.headers}
        return info


def File(data: bytes = b"", *, mode: int = 0o644, **more: Any) -> Entry:
    return Entry(data=data, mode=mode, **more)


def Program(data: bytes) -> Entry:
    return Entry(data=data, mode=0o755)


def Dir(*, mode: int = 0o755, **more: Any) -> Entry:
    return Entry(type=tarfile.DIRTYPE, mode=mode, **more)


def Link(target: str, **more: Any) -> Entry:
    """A symbolic link."""
    return Entry(type=tarfile.SYMTYPE, link=target, mode=0o777, **more)


def Hardlink(target: str, **more: Any) -> Entry:
    """TARGET is the name of another member."""
    return Entry(type=tarfile.LNKTYPE, link=target, **more)


def CharDevice(major: int, minor: int, **more: Any) -> Entry:
    return Entry(type=tarfile.CHRTYPE, major=major, minor=minor, **more)


def BlockDevice(major: int, minor: int, **more: Any) -> Entry:
    return Entry(type=tarfile.BLKTYPE, major=major, minor=minor, **more)


def Fifo(**more: Any) -> Entry:
    return Entry(type=tarfile.FIFOTYPE, **more)


DIR = Dir()
WHITEOUT = object()  # {"etc/old": WHITEOUT} writes etc/.wh.old
OPAQUE = object()  # {"etc": OPAQUE} writes etc/.wh..wh..opq; the directory itself is another entry

Content = bytes | Entry | tarfile.TarInfo | object
Entries = Mapping[str, Content] | Iterable[tuple[str, Content]]


def layer(entries: Entries, *, format: int = tarfile.PAX_FORMAT) -> bytes:
    """An uncompressed tar of ENTRIES in their order; pairs instead of a mapping allow a name twice.

    A value is a file's bytes, an Entry, WHITEOUT, OPAQUE, or a TarInfo used as it is. Parents are not
    added. `"d/": DIR` and `"d": DIR` are the same: tar writes a directory's name with a slash.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
        for name, content in entries.items() if isinstance(entries, Mapping) else entries:
            _add(tar, name, content)
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: Content) -> None:
    if content is WHITEOUT or content is OPAQUE:
        name, content = _mark(name, opaque=content is OPAQUE), Entry()
    if isinstance(content, tarfile.TarInfo):
        tar.addfile(content)
        return
    entry = Entry(data=content) if isinstance(content, bytes) else content
    assert isinstance(entry, Entry), f"{name}: {content!r} is no content of a layer"
    tar.addfile(entry.tarinfo(name.rstrip("/") or name), io.BytesIO(entry.data))


def _mark(name: str, *, opaque: bool) -> str:
    """OCI image-spec, "Layer", Whiteouts."""
    name = name.rstrip("/")
    if opaque:
        return f"{name}/.wh..wh..opq" if name else ".wh..wh..opq"
    parent, slash, last = name.rpartition("/")
    return f"{parent}{slash}.wh.{last}"


def compress(tar: bytes, compression: str) -> bytes:
    """TAR as a layer blob stores it: `none`, `gzip` (no time stamp, so equal tars are equal blobs) or `zstd`."""
    if compression == "gzip":
        return _gzip_again(tar) if len(tar) < _LARGE else _gzip(tar)
    if compression == "zstd":
        return _zstd(tar)
    assert compression == "none", compression
    return tar


def _gzip(tar: bytes) -> bytes:
    return gzip.compress(tar, 6, mtime=0)


_gzip_again = functools.lru_cache(maxsize=16)(_gzip)  # of the layer that most images have


def _zstd(tar: bytes) -> bytes:
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    compressed: bytes = zstd.compress(tar)
    return compressed


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


@dataclass(frozen=True)
class Image:
    """A manifest and its blobs (`digest -> bytes`: the config and the layers), as they lie in a registry."""

    manifest: bytes
    media_type: str
    config: bytes
    layers: tuple[bytes, ...]
    platform: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def blobs(self) -> dict[str, bytes]:
        return {digest(data): data for data in (self.config, *self.layers)}

    @property
    def diff_ids(self) -> list[str]:
        ids: list[str] = json.loads(self.config)["rootfs"]["diff_ids"]
        return ids

    def with_manifest(self, **changes: Any) -> Image:
        """The same blobs under a manifest in which top-level members are replaced."""
        return replace(self, manifest=_json({**json.loads(self.manifest), **changes}))


@dataclass(frozen=True)
class Index:
    """An OCI index or a Docker manifest list over IMAGES."""

    manifest: bytes
    media_type: str
    images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def image(
    layers: Sequence[bytes] = (),
    *,
    entrypoint: Sequence[str] | None = None,
    cmd: Sequence[str] | None = None,
    env: Sequence[str] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
    user: str = "",
    working_dir: str = "",
    labels: Mapping[str, str] | None = None,
    exposed_ports: Sequence[str] = (),
    volumes: Sequence[str] = (),
    stop_signal: str = "",
    healthcheck: Mapping[str, Any] | None = None,
    architecture: str = "amd64",
    variant: str = "",
    compression: str = "gzip",
    docker: bool = False,
    config: Mapping[str, Any] | None = None,
    rootfs: Mapping[str, Any] | None = None,
) -> Image:
    """An image of uncompressed LAYERS, the lowest first, with OCI media types or, with `docker`, schema 2's.

    CONFIG replaces top-level members of the config, ROOTFS its `rootfs`, with whatever a test wants there.
    """
    wanted = {
        "User": user,
        "ExposedPorts": {port: {} for port in exposed_ports},
        "Volumes": {path: {} for path in volumes},
        "Env": list(env),
        "Entrypoint": None if entrypoint is None else list(entrypoint),
        "Cmd": None if cmd is None else list(cmd),
        "WorkingDir": working_dir,
        "Labels": dict(labels or {}),
        "StopSignal": stop_signal,
        "Healthcheck": dict(healthcheck or {}),
    }
    platform = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    members = {
        **platform,
        "created": "2024-01-01T00:00:00Z",
        "config": {name: value for name, value in wanted.items() if value not in (None, "", {})},
        "rootfs": rootfs or {"type": "layers", "diff_ids": [digest(tar) for tar in layers]},
        "history": [{"created_by": "lab"} for _ in layers],
        **(config or {}),
    }
    return assemble(
        _json(members),
        [compress(tar, compression) for tar in layers],
        compression=compression,
        docker=docker,
        platform=platform,
    )


def assemble(
    config: bytes,
    layers: Sequence[bytes],
    *,
    compression: str = "gzip",
    docker: bool = False,
    platform: Mapping[str, str] | None = None,
) -> Image:
    """An image of a ready CONFIG and ready layer blobs."""
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    config_type = f"{DOCKER}.container.image.v1+json" if docker else f"{OCI}.config.v1+json"
    layer_type = layer_media_type(compression, docker=docker)
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config_type, config),
        "layers": [descriptor(layer_type, data) for data in layers],
    }
    platform = platform or {"os": "linux", "architecture": "amd64"}
    return Image(_json(manifest), media_type, config, tuple(layers), platform)


def layer_media_type(compression: str, *, docker: bool = False) -> str:
    """Docker has names for plain and gzip layers only; zstd ones carry OCI's even there."""
    if docker and compression != "zstd":
        return f"{DOCKER}.image.rootfs.diff.tar" + (".gzip" if compression == "gzip" else "")
    return f"{OCI}.layer.v1.tar{_SUFFIXES[compression]}"


def index(images: Sequence[Image], *, docker: bool = False) -> Index:
    """One index of IMAGES, each under its own platform."""
    media_type = DOCKER_LIST if docker else OCI_INDEX
    manifests = [descriptor(each.media_type, each.manifest, platform=dict(each.platform)) for each in images]
    return Index(
        _json({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}), media_type, tuple(images)
    )


def write_layout(directory: pathlib.Path, image: Image, *, tag: str = "") -> pathlib.Path:
    """DIRECTORY as an OCI image layout (image-layout.md) with IMAGE alone, under no name or as TAG."""
    (directory / "blobs" / "sha256").mkdir(parents=True)
    for blob, data in {**image.blobs, image.digest: image.manifest}.items():
        (directory / "blobs" / "sha256" / blob.removeprefix("sha256:")).write_bytes(data)
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
    entry = descriptor(image.media_type, image.manifest, **named)
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return directory


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
