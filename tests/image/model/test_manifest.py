"""Manifests and indexes: both families are read alike, anything that could be read in two ways is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mydocker.errors import ImageError, ImageNotFoundError, UsageError
from mydocker.image.model.config import parse_config
from mydocker.image.model.manifest import (
    LAYER_LIMIT,
    MANIFEST_LIMIT,
    Descriptor,
    Index,
    Manifest,
    choose,
    compression,
    parse_manifest,
)
from mydocker.reference import Digest, Platform

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER = "application/vnd.docker.distribution.manifest"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def blob(media_type: str, *, fill: str = "a", size: int = 7, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": "sha256:" + fill * 64, "size": size, **more}


def manifest(**changes: object) -> dict[str, Any]:
    """An OCI manifest; a change to None removes the field."""
    base = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(OCI_CONFIG),
        "layers": [blob(f"{OCI_LAYER}+gzip", fill="b")],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def index(*platforms: str | None, **changes: object) -> dict[str, Any]:
    """An OCI index whose entries have the digests 1…, 2…, in order."""
    entries = []
    for number, name in enumerate(platforms, 1):
        fields = dict(zip(("os", "architecture", "variant"), (name or "").split("/"), strict=False))
        more = {} if name is None else {"platform": fields}
        entries.append(blob(OCI_MANIFEST, fill=f"{number:x}", **more))
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **changes}


def parse(document: object, content_type: str | None = None) -> Manifest | Index:
    return parse_manifest(json.dumps(document).encode(), content_type=content_type)


def chosen(document: dict[str, Any], platform: str) -> str:
    parsed = parse(document)
    assert isinstance(parsed, Index)
    return choose(parsed, Platform.parse(platform)).digest.hex[0]


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (manifest(), OCI_MANIFEST),
        (manifest(), f"{OCI_MANIFEST}; charset=utf-8"),
        (manifest(), None),
        (manifest(), "application/json"),
        (manifest(mediaType=None), OCI_MANIFEST),
        (manifest(mediaType=None), "text/plain"),
        (manifest(mediaType=None), None),
    ],
)
def test_oci_manifest(document: dict[str, Any], content_type: str | None) -> None:
    assert parse(document, content_type) == Manifest(
        media_type=OCI_MANIFEST,
        config=Descriptor(media_type=OCI_CONFIG, digest=Digest(hex="a" * 64), size=7),
        layers=(Descriptor(media_type=f"{OCI_LAYER}+gzip", digest=Digest(hex="b" * 64), size=7),),
    )


def test_docker_manifest_keeps_its_layers_in_order() -> None:
    layers = [blob(f"{DOCKER_LAYER}.gzip", fill=fill) for fill in "cab"]
    parsed = parse(manifest(mediaType=f"{DOCKER}.v2+json", config=blob(DOCKER_CONFIG), layers=layers))
    assert isinstance(parsed, Manifest)
    assert [layer.digest.hex[0] for layer in parsed.layers] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (f"{DOCKER_LAYER}.gzip", "gzip"),
        (OCI_LAYER, "none"),
        (f"{OCI_LAYER}+gzip", "gzip"),
        (f"{OCI_LAYER}+zstd", "zstd"),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"),
    ],
)
def test_compression(media_type: str, expected: str) -> None:
    layer = blob(media_type, urls=["http://169.254.169.254/latest/meta-data"])
    parsed = parse(manifest(layers=[layer]))
    assert isinstance(parsed, Manifest)
    assert compression(parsed.layers[0]) == expected
    assert "urls" not in parsed.layers[0].fields


@pytest.mark.parametrize(
    ("document", "content_type", "reason"),
    [
        (manifest(manifests=[]), None, "both layers and manifests"),
        (index("linux/amd64", layers=[]), OCI_INDEX, "both layers and manifests"),
        (manifest(), OCI_INDEX, "served as"),
        (manifest(), f"{DOCKER}.v2+json", "served as"),
        (manifest(), "text/html", "served as"),
        (manifest(mediaType=OCI_INDEX), None, "has layers, which"),
        (manifest(mediaType=None), OCI_INDEX, "has layers, which"),
        (index("linux/amd64", mediaType=OCI_MANIFEST), OCI_MANIFEST, "has manifests, which"),
        (manifest(schemaVersion=1, mediaType=None), f"{DOCKER}.v1+prettyjws", "schema 1"),
        (manifest(mediaType=None), f"{DOCKER}.v1+json", "schema 1"),
        ({"schemaVersion": 1, "fsLayers": []}, None, "schema 1"),
        (manifest(schemaVersion=3), None, "schemaVersion"),
        (manifest(layers=None), None, "neither layers nor manifests"),
        (manifest(mediaType="application/vnd.oci.artifact.manifest.v1+json"), None, "not a container image"),
        (manifest(config=blob("application/vnd.cncf.helm.config.v1+json")), None, "not a container image.*helm"),
        (manifest(config=blob(OCI_CONFIG, size=5 << 20)), None, "config: larger"),
        (manifest(config=None), None, "config: digest"),
        (manifest(layers=[blob("application/vnd.oci.image.layer.v1.tar+encrypted")]), None, "unknown media type"),
        (manifest(layers=[blob(OCI_LAYER, size=-1)]), None, "layer 1: size: negative"),
        (manifest(layers=[blob(OCI_LAYER, size=True)]), None, "layer 1: size: expected an integer"),
        (manifest(layers=[7]), None, "layer 1: expected an object"),
        (manifest(layers={}), None, "layers: expected an array"),
        (manifest(layers=[blob(OCI_LAYER)] * (LAYER_LIMIT + 1)), None, "more than"),
        (index(*["linux/amd64"] * (MANIFEST_LIMIT + 1)), None, "more than"),
        ([], None, "expected an object"),
        ("x", None, "expected an object"),
    ],
)
def test_refusals(document: object, content_type: str | None, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        parse(document, content_type)


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../" + "a" * 58, "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256:" + "a" * 63, "", None, 5],
)
def test_only_the_grammar_of_a_digest_passes(digest: object) -> None:
    with pytest.raises(ImageError, match="layer 1: .*digest"):
        parse(manifest(layers=[{"mediaType": OCI_LAYER, "size": 1, "digest": digest}]))


@pytest.mark.parametrize(
    ("platforms", "wanted", "expected"),
    [
        (["linux/386", "linux/amd64"], "amd64", "2"),
        (["linux/amd64/v3", "linux/amd64"], "amd64", "2"),
        (["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3", "2"),
        (["linux/amd64", "linux/amd64/v2"], "linux/amd64/v4", "2"),
        (["linux/arm/v7", "linux/arm64/v8"], "arm64", "2"),
        (["linux/arm64"], "linux/arm64/v8", "1"),
        (["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm", "3"),
        (["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v6", "2"),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v8", "2"),
        (["linux/arm"], "linux/arm/v7", "1"),
        (["windows/amd64", "linux/amd64", "linux/amd64"], "amd64", "2"),
        (["linux/s390x", None], "amd64", "2"),
        ([None, "linux/amd64"], "amd64", "2"),
    ],
)
def test_choice(platforms: list[str | None], wanted: str, expected: str) -> None:
    assert chosen(index(*platforms), wanted) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": f"sha512:{'a' * 128}"}, "only sha256"),
        ({"digest": None}, "digest"),
        ({"size": -1}, "size: negative"),
        ({"platform": "linux"}, "platform: expected an object"),
        ({"annotations": []}, "annotations: expected an object"),
        ({"mediaType": 5}, "mediaType: expected a string"),
    ],
)
def test_an_entry_that_cannot_be_read_matters_to_who_may_want_it(changes: dict[str, object], reason: str) -> None:
    document = index("linux/s390x", "linux/amd64", "linux/arm64")
    document["manifests"][0].update(changes)
    assert (chosen(document, "amd64"), chosen(document, "arm64")) == ("2", "3")
    with pytest.raises(ImageError, match=f"index: manifest 1: .*{reason}"):
        chosen(document, "s390x")


def test_attestations_are_never_chosen() -> None:
    document = index("unknown/unknown", "linux/amd64", None)
    document["manifests"][1]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    assert chosen(document, "amd64") == "3"


def test_no_match_names_the_platforms_that_exist() -> None:
    with pytest.raises(ImageNotFoundError, match="linux/s390x") as caught:
        chosen(index("linux/arm/v7", "linux/amd64", "windows/amd64", "linux/\x1b[2J"), "s390x")
    assert caught.value.hint == "it exists for linux/amd64, linux/arm/v7, windows/amd64"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/AMD64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("x86-64", "linux/amd64"),
        ("linux/X86-64", "linux/amd64"),
        ("i386", "linux/386"),
        ("linux/i686", "linux/386"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/8.0", "linux/arm64"),
        ("linux/aarch64/v8", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm64/v9.0", "linux/arm64/v9"),
        ("armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/armel/v7", "linux/arm/v6"),
        ("linux/armhf/v6", "linux/arm/v7"),
        ("linux/arm/V5", "linux/arm/v5"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/5", "linux/arm/v5"),
        ("linux/i586", "linux/386"),
        ("riscv64", "linux/riscv64"),
        ("Linux", str(Platform.host())),
    ],
)
def test_platforms_have_one_name(text: str, meaning: str) -> None:
    assert str(Platform.parse(text)) == meaning


@pytest.mark.parametrize(
    ("platform", "wanted"),
    [
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("Linux/AMD64/V1", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/aarch64/v8", "linux/arm64/v8"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armhf", "linux/arm"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/i386", "linux/386"),
        ("linux/i686", "linux/386"),
    ],
)
def test_an_image_s_platform_may_have_any_of_its_names(platform: str, wanted: str) -> None:
    """In an index, and in its config (containerd/platforms, Normalize)."""
    assert chosen(index("linux/riscv64", platform), wanted) == "2"
    names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    config, _ = parse_config(json.dumps({**names, "rootfs": {"type": "layers", "diff_ids": []}}).encode())
    assert (config.platform.os, config.platform.architecture) == ("linux", Platform.parse(wanted).architecture)


@pytest.mark.parametrize("text", ["", "/", "linux/", "windows/amd64", "linux/arm/v7/x", "linux/a-b", "linux/../x"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(UsageError):
        Platform.parse(text)
