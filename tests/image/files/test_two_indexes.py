"""What files with images may have besides, and how they say the same thing twice: index.json and manifest.json."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pathlib
import tarfile
from typing import Any

import pytest
from lab import oci
from lab.command import Command
from lab.oci import layer
from lab.registry import Registry

from mydocker.errors import ImageError, ImageNotFoundError
from mydocker.image.files.layouts import FULL_NAME, REF_NAME
from mydocker.image.open_source import guess, open_location
from mydocker.reference import Location

ONE, TWO = (oci.image([layer({name: b"1"}), layer({name: b"2"})], compression="none") for name in ("one", "two"))


def entry(image: oci.Image | oci.Index, name: str = "", **more: Any) -> dict[str, Any]:
    """IMAGE in an index.json; NAME is full, or a mere tag."""
    key = FULL_NAME if "/" in name else REF_NAME
    return oci.descriptor(image.media_type, image.manifest, annotations={key: name} if name else {}, **more)


def listed(image: oci.Image, *names: str) -> dict[str, Any]:
    """IMAGE in a manifest.json, with the files of a layout."""
    files = [f"blobs/sha256/{oci.digest(data).removeprefix('sha256:')}" for data in (image.config, *image.layers)]
    return {"Config": files[0], "RepoTags": list(names) or None, "Layers": files[1:]}


def write(directory: pathlib.Path, *images: oci.Image | oci.Index | bytes, **documents: object) -> pathlib.Path:
    """DIRECTORY with all blobs of IMAGES, and DOCUMENTS as JSON: `index=…` is index.json."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    data: list[bytes] = []
    for image in images:
        inner = image.images if isinstance(image, oci.Index) else [image]
        for each in inner:
            data += [each] if isinstance(each, bytes) else [each.manifest, *each.blobs.values()]
        data += [image.manifest] if isinstance(image, oci.Index) else []
    for each in data:
        (blobs / oci.digest(each).removeprefix("sha256:")).write_bytes(each)
    for name, document in documents.items():
        (directory / f"{name}.json").write_text(json.dumps(document))
    return directory


def archive(path: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def configs(path: pathlib.Path) -> list[str]:
    """The config of every image that `load` finds at PATH, in order."""
    found = []
    with guess(str(path)) as layout:
        for name in layout.names():
            raw, _ = layout.select(name).manifest("")
            found.append(json.loads(raw)["config"]["digest"])
    return found


def _without_layers(image: oci.Image) -> oci.Image:
    return image.with_manifest(layers=[])


def _turned(image: oci.Image) -> oci.Image:
    return image.with_manifest(layers=json.loads(image.manifest)["layers"][::-1])


NAMED = "docker.io/library/one:1"
AMISS = {
    "null": ([ONE], {"manifests": None}, [listed(ONE)]),
    "empty": ([ONE], {"manifests": []}, [listed(ONE, "one:1")]),
    "no member": ([ONE], {}, [listed(ONE)]),
    "only one of two": ([ONE, TWO], {"manifests": [entry(ONE, NAMED)]}, [listed(ONE, "one:1"), listed(TWO)]),
    "no layers": ([ONE, _without_layers(ONE)], {"manifests": [entry(_without_layers(ONE))]}, [listed(ONE)]),
    "layers in another order": ([ONE, _turned(ONE)], {"manifests": [entry(_turned(ONE))]}, [listed(ONE)]),
    "without the names": ([ONE], {"manifests": [entry(ONE)]}, [listed(ONE, "one:1")]),
    "no JSON object": ([ONE], [], [listed(ONE)]),
    "a manifest is missing": ([ONE], {"manifests": [entry(TWO)]}, [listed(ONE)]),
}


@pytest.mark.parametrize("amiss", AMISS)
def test_what_index_json_lacks_comes_from_manifest_json(amiss: str, tmp_path: pathlib.Path) -> None:
    images, index, listing = AMISS[amiss]
    path = write(tmp_path / "x", *images, index=index, manifest=listing)
    assert configs(path) == [oci.digest(image.config) for image in ((ONE, TWO) if len(listing) == 2 else (ONE,))]
    with guess(str(path)) as layout:
        assert layout.names()[0] == ("one:1" if listing[0]["RepoTags"] else "@0")


def test_an_index_that_has_all_is_preferred(tmp_path: pathlib.Path) -> None:
    """It also has other platforms, whose manifests need not be here."""
    arm = oci.image([layer({"a": b"arm"})], architecture="arm64")
    both = oci.index([ONE, arm])
    path = write(tmp_path / "x", both, index={"manifests": [entry(both, NAMED)]}, manifest=[listed(ONE, "one:1")])
    for here in (True, False):
        with guess(str(path)) as layout:
            assert layout.names() == [NAMED] and layout.manifest("")[0] == both.manifest, here
        (path / "blobs" / "sha256" / arm.digest.removeprefix("sha256:")).unlink(missing_ok=True)


@pytest.mark.root
@pytest.mark.parametrize("amiss", ["null", "no layers"])
def test_such_an_archive_is_loaded(mydocker: Command, tmp_path: pathlib.Path, amiss: str) -> None:
    images, index, listing = AMISS[amiss]
    directory = write(tmp_path / "x", *images, index=index, manifest=listing)
    files = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    path = archive(tmp_path / "saved.tar", files)
    loaded = mydocker("load", "-q", "-i", str(path))
    assert (loaded.stdout, loaded.code) == (b"Loaded image: localhost/saved-tar:latest\n", 0), loaded
    [found] = json.loads(mydocker("inspect", "localhost/saved-tar").stdout)
    assert found["Id"] == oci.digest(ONE.config)
    pulled = mydocker("pull", "-q", f"oci-archive:{path}")  # the transports find what load finds
    assert (pulled.stdout, pulled.code) == (b"", 0), pulled
    [again] = json.loads(mydocker("inspect", "localhost/saved-tar").stdout)
    assert {**again, "Pulled": ""} == {**found, "Pulled": ""}


def test_what_holds_no_image_in_its_index_says_who_reads_the_rest(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "x", ONE, index={"manifests": None}, manifest=[listed(ONE)])
    with open_location(Location(transport="oci", path=str(path))) as layout, pytest.raises(ImageError) as caught:
        layout.manifest("")
    assert caught.value.message.endswith("no images") and "docker-archive:" in (caught.value.hint or "")


# Layers


COMPRESSIONS = {
    "none": lambda tar: tar,
    "gzip": lambda tar: gzip.compress(tar),
    "zstd": lambda tar: oci.compress(tar, "zstd"),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.root
def test_a_docker_archive_may_compress_its_layers_as_it_likes(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    tars = [layer({f"{number}": f"{number}".encode() * 3000}) for number in range(len(COMPRESSIONS))]
    config = oci.image(tars).config
    names = [f"{number}/layer.tar" for number in range(len(tars))]
    listing = [{"Config": "c.json", "RepoTags": ["packed:1"], "Layers": names}]
    packed = [pack(tar) for pack, tar in zip(COMPRESSIONS.values(), tars, strict=True)]
    files = {"c.json": config, "manifest.json": json.dumps(listing).encode(), **dict(zip(names, packed, strict=True))}
    path = archive(tmp_path / "x.tar", files)
    loaded = mydocker("load", "-q", "-i", str(path))
    assert (loaded.stdout, loaded.code) == (b"Loaded image: packed:1\n", 0), loaded
    [found] = json.loads(mydocker("inspect", "packed:1").stdout)
    assert found["RootFS"]["Layers"] == [oci.digest(tar) for tar in tars]
    assert mydocker("push", "-q", f"docker-archive:{path}", "--to", f"{registry.address}/layouts/packed:1").code == 0
    assert mydocker("rmi", "packed:1").code == 0
    assert mydocker("pull", "-q", f"{registry.address}/layouts/packed:1").code == 0


def test_a_directory_of_a_docker_archive_is_read(tmp_path: pathlib.Path) -> None:
    assert configs(write(tmp_path / "x", ONE, manifest=[listed(ONE, "one:1")])) == [oci.digest(ONE.config)]


# What is no image


SBOM = b"<bom/>"
ARTIFACT = oci.assemble(b"{}", [SBOM]).with_manifest(
    artifactType="application/spdx+json",
    config=oci.descriptor("application/vnd.oci.empty.v1+json", b"{}"),
    layers=[oci.descriptor("application/spdx+json", SBOM)],
)
SIGNATURE = oci.assemble(ONE.config, [SBOM]).with_manifest(
    layers=[oci.descriptor("application/vnd.dev.cosign.simplesigning.v1+json", SBOM)]
)
REFERRERS = oci.index([ARTIFACT])
OTHERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "xml": (SBOM, oci.descriptor("application/xml", SBOM)),
    "xml with a name": (SBOM, oci.descriptor("application/xml", SBOM, annotations={REF_NAME: "sbom"})),
    "json": (b"{}", oci.descriptor("application/json", b"{}")),
    "of a digest that is not supported": (SBOM, {"mediaType": "text/x", "digest": f"sha512:{'0' * 128}", "size": 1}),
    "that is not here": (SBOM, oci.descriptor("application/xml", b"elsewhere")),
    "artifact": (ARTIFACT, entry(ARTIFACT)),
    "artifact by its descriptor": (ARTIFACT, entry(ARTIFACT, artifactType="application/spdx+json")),
    "signature": (SIGNATURE, entry(SIGNATURE, "sha256-0123.sig")),
    "attestation": (ARTIFACT, entry(ARTIFACT, platform={"os": "unknown", "architecture": "unknown"})),
    "referrers": (REFERRERS, entry(REFERRERS)),
}

HERE = [descriptor for name, (_, descriptor) in OTHERS.items() if name in ("xml", "json", "artifact", "signature")]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_image_is_passed_over(other: str, first: bool, tmp_path: pathlib.Path) -> None:
    data, descriptor = OTHERS[other]
    entries = [descriptor, entry(ONE)] if first else [entry(ONE), descriptor]
    path = write(tmp_path / "x", ONE, data, index={"schemaVersion": 2, "manifests": entries})
    with guess(str(path)) as layout:
        assert layout.names() == [f"@{int(first)}"]
        assert layout.manifest("")[0] == ONE.manifest
        assert layout.select(f"@{int(first)}").manifest("")[0] == ONE.manifest


@pytest.mark.root
def test_load_and_push_pass_over_it_as_well(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    entries = [descriptor for _, descriptor in OTHERS.values()]
    index = {"schemaVersion": 2, "manifests": [*entries[:3], entry(ONE, "v1"), *entries[3:], entry(TWO, "v2")]}
    path = write(tmp_path / "x", ONE, TWO, *(data for data, _ in OTHERS.values()), index=index)
    loaded = mydocker("load", "-q", "-i", str(path))
    assert (loaded.stdout, loaded.stderr, loaded.code) == (
        b"Loaded image: localhost/x:v1\nLoaded image: localhost/x:v2\n",
        b"",
        0,
    )
    inner = json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [*HERE, entry(ONE)]}).encode()
    nested = {"schemaVersion": 2, "manifests": [oci.descriptor(oci.OCI_INDEX, inner)]}
    path = write(tmp_path / "y", ONE, inner, *(data for data, _ in OTHERS.values()), index=nested)
    assert mydocker("pull", "-q", f"oci:{path}").code == 0
    name = f"{registry.address}/layouts/more:1"
    pushed = mydocker("push", "-q", f"oci:{path}", "--to", name, "--format", "json")
    assert pushed.code == 0 and json.loads(pushed.stdout)[0]["digest"] == oci.digest(inner), pushed
    assert mydocker("pull", "-q", name).code == 0


@pytest.mark.parametrize(
    "changes",
    [{"digest": f"sha512:{'0' * 128}"}, {"size": -1}, {"annotations": {REF_NAME: "b"}, "size": None}],
)
def test_an_image_that_cannot_be_read_keeps_nobody_from_another(
    changes: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    entries = [{**entry(TWO, "b"), **changes}, entry(ONE, "a")]
    path = write(tmp_path / "x", ONE, TWO, index={"manifests": entries})
    with guess(str(path)) as layout:
        assert layout.names() == ["b", "a"]
        assert layout.select("a").manifest("")[0] == ONE.manifest
        with pytest.raises(ImageError, match="index.json: "):
            layout.select("b").manifest("")


def test_what_holds_nothing_else_is_named(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "x", ARTIFACT, index={"manifests": [entry(ARTIFACT)]})
    with guess(str(path)) as layout:
        assert json.loads(layout.manifest("")[0])["artifactType"] == "application/spdx+json"
    with pytest.raises(ImageNotFoundError, match="no image '@1'"), guess(str(path)) as layout:
        layout.select("@1").manifest("")


# Names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("v1", "v1"),
        ("docker.io/library/a:1", "docker.io/library/a:1"),
        (f"docker.io/library/a@{ONE.digest}", f"docker.io/library/a@{ONE.digest}"),
        (f"docker.io/library/a@{TWO.digest}", "@0"),
        ("v1.0+build5", "@0"),
        ("my tag", "@0"),
        ("-v1", "@0"),
        ("v" * 129, "@0"),
        ("@7", "@0"),
        ("\u00fc", "@0"),
        ("docker.io/Library/a:1", "@0"),
        ("docker.io/library/a:my tag", "@0"),
        ("<none>:<none>", "@0"),
        ("../../etc:1", "@0"),
        ("a//b:1", "@0"),
        (f"sha256:{'a' * 64}", "@0"),
        ("sha256:abc", "@0"),
        ("docker.io/library/sha256:abc", "@0"),
        ("\n", "@0"),
    ],
)
def test_names_that_no_command_takes_are_none(name: str, shown: str, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "x", ONE, index={"manifests": [entry(ONE, name)]})
    with guess(str(path)) as layout:
        assert layout.names() == [shown]
        assert layout.select(shown).manifest("")[0] == ONE.manifest
        if not name.startswith("@"):
            assert layout.select(name).manifest("")[0] == ONE.manifest
    listing = write(tmp_path / "y", ONE, manifest=[listed(ONE, name)])
    with guess(str(listing)) as layout:
        assert layout.names() == ["@0" if "@sha256" in shown else shown]


ARM, ARM7 = (oci.image([layer({variant: b"1"})], architecture="arm", variant=variant) for variant in ("v6", "v7"))


def _for(image: oci.Image, name: str = "a/b:1") -> dict[str, Any]:
    return entry(image, name, platform=dict(image.platform))


@pytest.mark.parametrize(
    ("entries", "selector", "manifests"),
    [
        ([entry(ONE, "a"), entry(ONE, "a")], "a", [ONE]),
        ([entry(ONE, "a"), entry(ONE, "a")], "", [ONE]),
        ([entry(ONE, "a/b:1"), entry(ONE, "a/b:1"), entry(TWO, "c")], "a/b:1", [ONE]),
        ([entry(ONE, "a"), entry(ONE, "b")], "", [ONE]),
        ([_for(ARM), _for(ARM7)], "a/b:1", [ARM, ARM7]),
        ([_for(ARM), _for(ARM7)], "", [ARM, ARM7]),
        ([_for(ARM), _for(ARM7), _for(ARM)], "a/b:1", [ARM, ARM7]),
        ([_for(ARM), _for(ARM7)], "@1", [ARM7]),
        ([_for(ARM), _for(ARM7, "other")], "", []),
        ([_for(ARM, ""), _for(ARM7, "")], "", []),
        ([entry(ONE, "a"), entry(TWO, "a")], "a", []),
        ([_for(ONE), _for(TWO)], "a/b:1", []),
        ([], "", []),
    ],
)
def test_a_name_that_stands_more_than_once(
    entries: list[dict[str, Any]], selector: str, manifests: list[oci.Image], tmp_path: pathlib.Path
) -> None:
    """For one digest, or for several platforms, it is one image; else nobody knows which."""
    path = write(tmp_path / "x", ONE, TWO, ARM, ARM7, index={"manifests": entries})
    with open_location(Location(transport="oci", path=str(path), selector=selector)) as layout:
        if not manifests:
            with pytest.raises(ImageNotFoundError) as caught:
                layout.manifest("")
            assert "a, a" not in (caught.value.hint or "")
            assert ("@0 is the first" in (caught.value.hint or "")) == bool(entries)
        elif len(manifests) == 1:
            assert layout.manifest("")[0] == manifests[0].manifest
        else:
            found = json.loads(layout.manifest("")[0])["manifests"]
            assert [each["digest"] for each in found] == [image.digest for image in manifests]


def test_a_tag_that_stands_twice_in_a_docker_archive(tmp_path: pathlib.Path) -> None:
    twice = write(tmp_path / "x", ONE, manifest=[listed(ONE, "one:1", "one:1"), listed(ONE, "one:1")])
    assert set(configs(twice)) == {oci.digest(ONE.config)}
    both = write(tmp_path / "y", ONE, TWO, manifest=[listed(ONE, "one:1"), listed(TWO, "one:1")])
    with pytest.raises(ImageNotFoundError, match="several images 'one:1'"):
        configs(both)


@pytest.mark.root
def test_names_that_no_command_takes_are_loaded_without(mydocker: Command, tmp_path: pathlib.Path) -> None:
    alone = write(tmp_path / "alone", ONE, index={"manifests": [entry(ONE, "v1.0+build5")]})
    assert mydocker("load", "-q", "-i", str(alone)).stdout == b"Loaded image: localhost/alone:latest\n"
    assert mydocker("rmi", "localhost/alone").code == 0
    several = [entry(ONE, "my tag"), entry(TWO, "v2"), entry(ARM7, "docker.io/library/B:1"), entry(TWO, "v2")]
    path = write(tmp_path / "several", ONE, TWO, ARM7, index={"manifests": several})
    loaded = mydocker("load", "-q", "-i", str(path))
    names = [f"localhost/several@{ONE.digest}", "localhost/several:v2", f"localhost/several@{ARM7.digest}"]
    assert loaded.stdout.decode().splitlines() == [f"Loaded image: {name}" for name in names] and loaded.code == 0
    for image in (ONE, TWO, ARM7):
        assert mydocker("rmi", oci.digest(image.config)).code == 0
    assert json.loads(mydocker("images", "--format", "json").stdout) == []


def test_a_name_with_several_platforms_is_saved_and_loaded(mydocker: Command, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "x", ARM, ARM7, index={"manifests": [_for(ARM), _for(ARM7)]})
    assert mydocker("load", "-q", "--platform", "linux/arm/v6", "-i", str(path)).stdout == b"Loaded image: a/b:1\n"
    assert mydocker("load", "-q", "--platform", "linux/arm/v7", "-i", str(path)).stdout == b"Loaded image: a/b:1\n"
    assert mydocker("save", "-o", str(tmp_path / "saved.tar"), "a/b:1").code == 0
    assert mydocker("rmi", "a/b:1").code == 0
    for platform, image in (("linux/arm/v6", ARM), ("linux/arm/v7", ARM7)):
        assert mydocker("load", "-q", "--platform", platform, "-i", str(tmp_path / "saved.tar")).code == 0
        [found] = json.loads(mydocker("inspect", "--platform", platform, "a/b:1").stdout)
        assert found["Id"] == oci.digest(image.config)
