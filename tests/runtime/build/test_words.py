"""What a builder gets for a Build, and what is refused or named because it has no option for it."""

from __future__ import annotations

import shlex

import pytest

from mydocker.errors import HostError, UsageError
from mydocker.reference import Platform
from mydocker.runtime.build import builders, words
from mydocker.specs.model.build import Build, BuildSecret

BUILDAH, PODMAN, DOCKER = (builders._BUILDERS[name] for name in builders.NAMES)
FULL = Build(
    context="/c",
    args={"A": "1 2", "B": ""},
    target="t",
    labels={"l": "m"},
    secrets=(BuildSecret(id="s", file="/f"), BuildSecret(id="v", variable="V", value="hidden")),
    ssh={"default": "", "k": "/id"},
    extra_hosts=(("h", "10.0.0.1"),),
    shm_size=1024,
    ulimits={"nofile": (5, 6)},
    additional_contexts={"x": "/y", "i": "docker-image://a"},
    network="none",
    pull=True,
)
COMMON = (
    "--build-arg 'A=1 2' --build-arg B= --label l=m --target t {}--secret id=s,src=/f "
    "--secret id=v,env=MYDOCKER_SECRET_1 --ssh default --ssh k=/id --add-host h:10.0.0.1 --shm-size 1024b "
    "--ulimit nofile=5:6 --build-context x=/y --build-context i=docker-image://a "
)


def _options(build: Build, builder: builders.Builder, platform: str = "") -> tuple[str, list[str]]:
    warnings: list[str] = []
    chosen = Platform.parse(platform) if platform else None
    return shlex.join(words.options(build, builder, platform=chosen, warn=warnings.append)), warnings


@pytest.mark.parametrize(
    ("builder", "platform", "expected"),
    [
        (BUILDAH, "", COMMON.format("--layers ") + "--pull-always --network none"),
        (PODMAN, "linux/arm64", COMMON.format("") + "--platform linux/arm64 --pull-always --network none"),
        (DOCKER, "", COMMON.format("") + "--pull --network none"),
    ],
)
def test_each_value_is_an_option(builder: builders.Builder, platform: str, expected: str) -> None:
    assert _options(FULL, builder, platform) == (expected, [])
    assert words.variables(FULL) == {"MYDOCKER_SECRET_1": "hidden"}


def test_without_the_cache_no_layers_are_kept() -> None:
    """Of the two options, buildah takes one alone."""
    assert _options(Build(context="/c", no_cache=True), BUILDAH) == ("--no-cache", [])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (Build(context="/c", privileged=True, entitlements=("network.host",)),
         "--allow network.host --allow security.insecure"),
        (Build(context="/c", cache_from=("a:1", "type=gha"), cache_to=("type=inline",)),
         "--cache-from a:1 --cache-from type=gha --cache-to type=inline"),
        (Build(context="/c", provenance="false", sbom="true"), "--provenance false --sbom true"),
        (Build(context="/c", isolation="default", extra_hosts=(("h", "host-gateway"),)), "--add-host h:host-gateway"),
    ],
)  # fmt: skip
def test_buildkit_gets_what_the_others_have_not(build: Build, expected: str) -> None:
    assert _options(build, DOCKER) == (expected, [])


@pytest.mark.parametrize(
    ("build", "builder", "expected"),
    [
        (Build(context="/c", privileged=True), BUILDAH, "privileged cannot be handed on to buildah"),
        (Build(context="/c", entitlements=("x",)), PODMAN, "entitlements cannot be handed on to podman"),
        (Build(context="/c", network="front"), BUILDAH, "network 'front' cannot be handed on to buildah"),
        (Build(context="/c", isolation="hyperv"), BUILDAH, "isolation 'hyperv' cannot be handed on to buildah"),
        (Build(context="/c", isolation="chroot"), DOCKER, "isolation 'chroot' cannot be handed on to docker buildx"),
        (Build(context="/c", extra_hosts=(("h", "host-gateway"),)), BUILDAH,
         "extra_hosts h: host-gateway cannot be handed on to buildah"),
        (Build(context="/c", additional_contexts={"x": "oci-layout://l"}), BUILDAH,
         "additional context x: oci-layout://l cannot be handed on to buildah"),
        (Build(context="/c", additional_contexts={"x": "service:no"}), DOCKER,
         "additional context x: service:no: there is no such service in this file"),
    ],
)  # fmt: skip
def test_what_the_image_depends_on_is_refused(build: Build, builder: builders.Builder, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        _options(build, builder)
    assert caught.value.message == expected


def test_caches_and_attestations_that_it_has_not_are_named() -> None:
    """Compose's specification has unsupported caches ignored."""
    build = Build(
        context="/c",
        cache_from=("example.org:5/a", "type=registry,ref=r/b", "a:1", "type=gha"),
        cache_to=("type=inline",),
        provenance="mode=max",
        sbom="false",
    )
    given, warnings = _options(build, BUILDAH)
    assert given == "--layers --cache-from example.org:5/a --cache-from r/b"
    why = "buildah has caches in repositories alone, without a tag"
    assert warnings == [
        f"cache_from a:1: {why}",
        f"cache_from type=gha: {why}",
        f"cache_to type=inline: {why}",
        "provenance: buildah writes none",
    ]


def test_docker_without_its_plugin_is_no_builder(tmp_path: object) -> None:
    with pytest.raises(HostError, match="none of buildah, podman and docker buildx") as caught:
        builders.find({"PATH": str(tmp_path)})
    assert caught.value.hint == "install the package buildah"
    with pytest.raises(HostError, match="the program podman is not installed") as caught:
        builders.find({"PATH": str(tmp_path)}, name="podman")
    assert caught.value.hint == "install the package podman"
    with pytest.raises(UsageError, match="builder 'kaniko': expected buildah, podman, docker"):
        builders.find({}, name="kaniko")
