"""Manifest and Index: what a registry says an image is made of, raw bytes turned into checked values.

Docker image manifest version 2 schema 2 and its list; OCI image-spec "manifest.md", "image-index.md" and
"descriptor.md". A descriptor's `urls` are never used: a layer comes from its registry or not at all.
"""

from __future__ import annotations

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.model import json_input
from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Digest, Platform

if TYPE_CHECKING:
    from typing import Any

LAYER_LIMIT = 500  # the kernel stacks no more (OVL_MAX_STACK, fs/overlayfs/super.c)
MANIFEST_LIMIT = 1000  # entries of an index; the largest official images have about 40

_DOCKER = "application/vnd.docker.distribution.manifest"
_OCI = "application/vnd.oci.image"
MANIFEST_TYPES = (f"{_OCI}.manifest.v1+json", f"{_DOCKER}.v2+json")
INDEX_TYPES = (f"{_OCI}.index.v1+json", f"{_DOCKER}.list.v2+json")
_SCHEMA_1 = (f"{_DOCKER}.v1+json", f"{_DOCKER}.v1+prettyjws")
# what servers say that know nothing of manifests: the body decides
_GENERIC = ("", "application/json", "application/octet-stream", "text/plain", "binary/octet-stream")

# Besides the two right ones, those that old registries wrote by mistake and that `docker pull` still takes
# (distribution/distribution issue 1621).
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
)
_COMPRESSIONS = {
    "application/vnd.docker.image.rootfs.diff.tar": "none",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar": "none",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
    f"{_OCI}.layer.v1.tar": "none",
    f"{_OCI}.layer.v1.tar+gzip": "gzip",
    f"{_OCI}.layer.v1.tar+zstd": "zstd",
    f"{_OCI}.layer.nondistributable.v1.tar": "none",
    f"{_OCI}.layer.nondistributable.v1.tar+gzip": "gzip",
    f"{_OCI}.layer.nondistributable.v1.tar+zstd": "zstd",
}
_LAYERS = (f"{_OCI}.layer.", "application/vnd.docker.image.rootfs.")  # with what others add, such as +encrypted

# The variant that an empty one stands for, and the lowest that a later processor still runs.
_VARIANTS = {"arm": ("v7", 5), "arm64": ("v8", 8), "amd64": ("v1", 1)}


class Descriptor(Record):
    """A blob by content: `size` in bytes and `digest` of the blob as stored."""

    media_type: str
    digest: Digest
    size: int


class Manifest(Record):
    """An image for one platform; `layers` from the lowest to the highest."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(Record):
    """The manifests of one image for several platforms, without attestations; an entry may name no platform. `refused`
    says of others why they cannot be read."""

    media_type: str
    manifests: tuple[tuple[Descriptor, Platform | None], ...]
    refused: tuple[str, ...] = ()


class ArtifactError(ImageError):
    """A manifest of something else than an image: an SBOM, a signature, a chart."""


def parse_manifest(raw: bytes, *, content_type: str | None = None) -> Manifest | Index:
    """RAW as served with CONTENT_TYPE, or as read from the store. ImageError for anything but an image."""
    document = json_input.mapping(json_input.loads(raw, "manifest"), "manifest")
    media_type = _media_type(document, (content_type or "").partition(";")[0].strip().lower())
    if media_type in INDEX_TYPES:
        return _index(document, media_type)
    config = descriptor(document.get("config"), "manifest: config")
    if config.media_type not in _CONFIG_TYPES:
        raise ArtifactError(f"not a container image: its config is of type {config.media_type!r:.100}")
    if config.size > json_input.LIMIT:
        raise ImageError(f"manifest: config: larger than {json_input.LIMIT >> 20} MiB")
    hint = "overlayfs stacks no more; build the image with fewer instructions, or squash it"
    layers = _bounded(document["layers"], "manifest: layers", LAYER_LIMIT, hint=hint)
    described = tuple(descriptor(layer, f"manifest: layer {n}") for n, layer in enumerate(layers, 1))
    if described and not any(layer.media_type.startswith(_LAYERS) for layer in described):
        raise ArtifactError(f"not a container image: its layers are of type {described[0].media_type!r:.100}")
    for layer in described:
        compression(layer)
    return Manifest(media_type=media_type, config=config, layers=described)


class ManifestContents(Record):
    """All that a manifest or index names, whatever it is for: what a registry must have before it takes it."""

    media_type: str
    blobs: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]


def contents(raw: bytes, *, content_type: str | None = None) -> ManifestContents:
    """What RAW, served with CONTENT_TYPE, names. Signatures and attestations too, which are no images: for whoever
    copies them. ImageError if it is no manifest."""
    document = json_input.mapping(json_input.loads(raw, "manifest"), "manifest")
    media_type = _media_type(document, (content_type or "").partition(";")[0].strip().lower())
    if media_type in INDEX_TYPES:
        entries = _bounded(document["manifests"], "index: manifests", MANIFEST_LIMIT)
        named = tuple(descriptor(entry, f"index: manifest {n}") for n, entry in enumerate(entries, 1))
        return ManifestContents(media_type=media_type, blobs=(), manifests=named)
    layers = _bounded(document["layers"], "manifest: layers", LAYER_LIMIT)
    blobs = [descriptor(layer, f"manifest: layer {n}") for n, layer in enumerate(layers, 1)]
    config = descriptor(document.get("config"), "manifest: config")
    return ManifestContents(media_type=media_type, blobs=(*blobs, config), manifests=())


def compression(descriptor: Descriptor) -> str:
    """`gzip`, `zstd` or `none`, how a layer is compressed by its media type. ImageError if it is no layer."""
    try:
        return _COMPRESSIONS[descriptor.media_type]
    except KeyError:
        raise ImageError(f"layer {descriptor.digest}: unknown media type {descriptor.media_type!r:.100}") from None


def choose(index: Index, platform: Platform) -> Descriptor:
    """The entry of INDEX that runs on PLATFORM best; failing that, the first that names no platform."""
    return choices(index, platform)[0]


def choices(index: Index, platform: Platform) -> list[Descriptor]:
    """The entry of INDEX that runs on PLATFORM best, alone; failing that, all that name no platform.

    The choice of containerd's `platforms.Only` within one architecture: the newest variant that is not newer than
    PLATFORM's. Raises ImageNotFoundError with the platforms that there are, ImageError if an entry that cannot be read
    may be for this one.
    """
    named = [(found, descriptor) for descriptor, found in index.manifests if found]
    for wanted in _acceptable(platform):
        for found, descriptor in named:
            if _normal(found) == wanted:
                return [descriptor]
    if unnamed := [descriptor for descriptor, found in index.manifests if found is None]:
        return unnamed
    if index.refused:
        raise ImageError(index.refused[0])
    known = sorted({str(found) for found, _ in named if str(found).isprintable()})
    raise ImageNotFoundError(
        f"no image for platform {platform}", hint=f"it exists for {', '.join(known)}" if known else "its index is empty"
    )


def _media_type(document: dict[str, Any], served: str) -> str:
    """The type of DOCUMENT, on which its own word, the server's and its fields must agree (CVE-2021-41190)."""
    own = json_input.string(document.get("mediaType"), "manifest: mediaType")
    served = "" if served in _GENERIC else served
    if own and served and own != served:
        raise ImageError(f"manifest: its mediaType is {own!r:.100}, but it was served as {served!r:.100}")
    declared = own or served
    if document.get("schemaVersion") == 1 or declared in _SCHEMA_1:
        raise ImageError("manifest: schema 1 is not supported", hint="push the image again with a current tool")
    if document.get("schemaVersion") != 2:
        raise ImageError("manifest: its schemaVersion is not 2")
    layers, manifests = "layers" in document, "manifests" in document
    if layers and manifests:
        raise ImageError("manifest: has both layers and manifests, so it could be read in two ways")
    if declared and declared not in MANIFEST_TYPES + INDEX_TYPES:
        raise ArtifactError(f"not a container image: its manifest is of type {declared!r:.100}")
    if not (layers or manifests):
        raise ImageError("manifest: has neither layers nor manifests")
    fitting = MANIFEST_TYPES if layers else INDEX_TYPES
    if declared and declared not in fitting:
        raise ImageError(f"manifest: has {'layers' if layers else 'manifests'}, which {declared!r:.100} has not")
    return declared or fitting[0]


def _index(document: dict[str, Any], media_type: str) -> Index:
    entries = _bounded(document["manifests"], "index: manifests", MANIFEST_LIMIT)
    manifests, refused = [], []
    for number, entry in enumerate(entries, 1):
        what = f"index: manifest {number}"
        try:
            if may_be_image(entry, what):
                described = descriptor(entry, what)
                manifests.append((described, _platform(entry.get("platform"), what)))
        except ImageError as error:  # which whoever wants another platform need not know
            refused.append(error.message)
    return Index(media_type=media_type, manifests=tuple(manifests), refused=tuple(refused))


def may_be_image(value: object, what: str) -> bool:
    """Whether VALUE, an entry of an index, says nothing to the contrary. An index may list anything, and what is
    unknown must be passed over (OCI image-spec "image-index.md"); BuildKit keeps provenance and SBOMs there, as
    manifests."""
    entry = json_input.mapping(value, what)
    annotations = json_input.mapping(entry.get("annotations"), f"{what}: annotations")
    platform = _platform(entry.get("platform"), what)
    unknown = platform is not None and (platform.os, platform.architecture) == ("unknown", "unknown")
    if unknown or "vnd.docker.reference.type" in annotations or entry.get("artifactType"):
        return False
    return is_manifest(json_input.string(entry.get("mediaType"), f"{what}: mediaType"))


def is_manifest(media_type: str) -> bool:
    """Whether a descriptor with MEDIA_TYPE is of a manifest or an index, perhaps of one that is not supported."""
    return media_type in (*MANIFEST_TYPES, *INDEX_TYPES, *_SCHEMA_1, "")


def descriptor(value: object, what: str) -> Descriptor:
    """VALUE, a JSON object, as a descriptor. ImageError, naming WHAT."""
    fields = json_input.mapping(value, what)
    try:
        digest = Digest.parse(json_input.string(fields.get("digest"), f"{what}: digest"))
    except UsageError as error:
        raise ImageError(f"{what}: {error.message:.200}") from None
    return Descriptor(
        media_type=json_input.string(fields.get("mediaType"), f"{what}: mediaType"),
        digest=digest,
        size=json_input.natural(fields.get("size"), f"{what}: size"),
    )


def members(descriptor: Descriptor, platform: Platform | None = None) -> dict[str, Any]:
    """DESCRIPTOR as the JSON object that `descriptor` reads; with PLATFORM, as an entry of an index."""
    found = {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
    if platform is None:
        return found
    named = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return {**found, "platform": {key: value for key, value in named.items() if value}}


def _platform(value: object, what: str) -> Platform | None:
    if value is None:
        return None
    fields = json_input.mapping(value, f"{what}: platform")
    system, architecture, variant = (
        json_input.string(fields.get(key), f"{what}: platform: {key}") for key in ("os", "architecture", "variant")
    )
    return Platform.normal(system, architecture, variant)


def _bounded(value: object, what: str, limit: int, *, hint: str | None = None) -> list[Any]:
    found = json_input.array(value, what)
    if len(found) > limit:
        raise ImageError(f"{what}: {len(found)} of them, more than {limit}", hint=hint)
    return found


def _normal(platform: Platform) -> Platform:
    """PLATFORM with its variant written out where an empty one has a meaning."""
    usual, _ = _VARIANTS.get(platform.architecture, ("", 0))
    return platform if platform.variant else platform.replace(variant=usual)


def _acceptable(platform: Platform) -> list[Platform]:
    """The platforms whose programs PLATFORM runs, the best first."""
    wanted = _normal(platform)
    _, lowest = _VARIANTS.get(wanted.architecture, ("", 0))
    level = wanted.variant[1:]
    if not lowest or wanted.variant[:1] != "v" or not is_whole_number(level) or len(level) > 2:
        return [wanted]
    return [wanted, *(wanted.replace(variant=f"v{n}") for n in range(int(level) - 1, lowest - 1, -1))]
