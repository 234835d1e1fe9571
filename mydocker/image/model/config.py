"""An image's config blob (OCI image-spec "config.md", Docker image specification 1.2): untrusted JSON, typed here.

Go's decoder, which wrote most of these files, leaves null and missing as the same thing; so does this.
"""

from __future__ import annotations

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.model import ImageConfig, json_input
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Digest, Platform

if TYPE_CHECKING:
    from typing import Any

    from mydocker.reference import Reference

_WHAT = "image config"


def parse_config(raw: bytes) -> tuple[ImageConfig, tuple[Digest, ...]]:
    """What a run needs of the config RAW, and the diff IDs of its layers, the lowest first. ImageError if malformed."""
    document = json_input.mapping(json_input.loads(raw, _WHAT), _WHAT)
    inner = json_input.mapping(document.get("config"), f"{_WHAT}: config")
    config = ImageConfig(
        platform=Platform.normal(
            _string(document, "os"), _string(document, "architecture"), _string(document, "variant")
        ),
        entrypoint=_words(inner, "Entrypoint"),
        cmd=_words(inner, "Cmd"),
        env=_strings(inner, "Env"),
        user=_string(inner, "User"),
        working_dir=_string(inner, "WorkingDir"),
        exposed_ports=_keys(inner, "ExposedPorts"),
        labels=_labels(inner),
        volumes=_keys(inner, "Volumes"),
        stop_signal=_string(inner, "StopSignal"),
        healthcheck=json_input.mapping(inner.get("Healthcheck"), f"{_WHAT}: Healthcheck"),
    )
    return config, _diff_ids(document)


def runs_on(has: Platform, platform: Platform) -> bool:
    """Whether what a config says, if it does, is the system and the architecture of PLATFORM."""
    return not has.architecture or (has.os or platform.os, has.architecture) == (platform.os, platform.architecture)


def check_platform(config: ImageConfig, reference: Reference, platform: Platform) -> None:
    """Raise ImageNotFoundError unless CONFIG, of the image REFERENCE, is for PLATFORM."""
    if not runs_on(config.platform, platform):
        raise ImageNotFoundError(
            f"image {reference.familiar}: no image for platform {platform}",
            hint=f"it exists for {str(config.platform)!r:.100}",
        )


def _diff_ids(document: dict[str, Any]) -> tuple[Digest, ...]:
    rootfs = json_input.mapping(document.get("rootfs"), f"{_WHAT}: rootfs")
    if rootfs.get("type") not in ("layers", "", None):  # what says nothing is read as layers by Docker and Podman
        raise ImageError(f"{_WHAT}: its rootfs is of type {rootfs.get('type')!r:.80}, not 'layers'")
    try:
        return tuple(Digest.parse(text) for text in _strings(rootfs, "diff_ids"))
    except UsageError as error:
        raise ImageError(f"{_WHAT}: diff_ids: {error.message:.200}") from None


def _string(document: dict[str, Any], key: str) -> str:
    return json_input.string(document.get(key), f"{_WHAT}: {key}")


def _strings(document: dict[str, Any], key: str) -> tuple[str, ...]:
    what = f"{_WHAT}: {key}"
    return tuple(json_input.string(item, what) for item in json_input.array(document.get(key), what))


def _words(inner: dict[str, Any], key: str) -> tuple[str, ...]:
    """A command. A string is its only word (Docker, api/types/strslice)."""
    value = inner.get(key)
    return _strings({key: [value]} if isinstance(value, str) else inner, key)


def _keys(document: dict[str, Any], key: str) -> tuple[str, ...]:
    what = f"{_WHAT}: {key}"
    return tuple(json_input.string(name, what) for name in json_input.mapping(document.get(key), what))


def _labels(inner: dict[str, Any]) -> dict[str, str]:
    what = f"{_WHAT}: Labels"
    found = json_input.mapping(inner.get("Labels"), what).items()
    return {json_input.string(name, what): json_input.string(text, what) for name, text in found}
