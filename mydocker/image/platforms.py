"""What a registry has under a name: the digest of a manifest for each platform. Nothing is fetched but descriptions."""

from __future__ import annotations

from mydocker.errors import ImageError, UsageError
from mydocker.image.layer import blob
from mydocker.image.layer.blob import Source
from mydocker.image.model.config import parse_config
from mydocker.image.model.digest import digest_of
from mydocker.image.model.manifest import ArtifactError, Descriptor, Index, Manifest, choose, parse_manifest
from mydocker.image.open_source import named_errors
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Digest, Platform, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping


def digests_of(reference: Reference, source: Source) -> dict[str, Digest]:
    """The manifests that REFERENCE means, by `str(platform)`: those for Linux. Raises ImageError or RegistryError."""
    with named_errors(reference):
        return _digests(reference, source)


def _digests(reference: Reference, source: Source) -> dict[str, Digest]:
    raw, content_type = source.manifest(str(reference.digest or reference.tag))
    parsed = parse_manifest(raw, content_type=content_type)
    if isinstance(parsed, Manifest):
        digest = digest_of(raw)
        if reference.digest and digest != reference.digest:
            raise ImageError(f"image {reference.familiar}: the registry returned another manifest, {digest}")
        return _named([(digest, _platform_of(parsed, source))])
    found = []
    for descriptor, platform in parsed.manifests:
        if platform is None:
            try:
                inner = parse_manifest(blob.manifest(source, descriptor)[0])
            except ArtifactError:
                continue
            platform = _platform_of(inner, source) if isinstance(inner, Manifest) else None
        found.append((descriptor.digest, platform))
    if parsed.refused and not found:
        raise ImageError(parsed.refused[0])
    return _named(found)


def digest_at(reference: Reference, source: Source) -> Digest:
    """The digest of the manifest or index that REFERENCE means. Raises ImageError or RegistryError."""
    with named_errors(reference):
        return digest_of(source.manifest(str(reference.digest or reference.tag))[0])


def own_platform(source: Source, reference: Reference) -> Platform:
    """This machine's platform, unless the image in SOURCE is for another one alone."""
    found = digests_of(reference, source)
    return Platform.parse(next(iter(found))) if len(found) == 1 else Platform.host()


def chosen(digests: Mapping[str, Digest], platform: Platform) -> Digest:
    """That of DIGESTS which a pull for PLATFORM would take. ImageNotFoundError if there is none."""
    entries = [(Descriptor(media_type="", digest=digest, size=0), Platform.parse(n)) for n, digest in digests.items()]
    return choose(Index(media_type="", manifests=tuple(entries)), platform).digest


def _named(found: list[tuple[Digest, Platform | None]]) -> dict[str, Digest]:
    """By the names of platforms that can run here; of several manifests for one, the first, as in a pull."""
    named: dict[str, Digest] = {}
    for digest, platform in found:
        try:
            named.setdefault(str(Platform.parse(str(platform))), digest)
        except UsageError:  # not Linux, or no name at all
            continue
    return dict(sorted(named.items()))


def _platform_of(manifest: Manifest, source: Source) -> Platform:
    """What the config says; this machine's if it does not, as in Docker."""
    found = parse_config(blob.whole(source, manifest.config, "config"))[0].platform
    return found if found.architecture else Platform.host()
