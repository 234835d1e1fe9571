"""Layouts and archives as others write them: what is passed over, what names mean, what a wrong file is called."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pathlib
import shutil
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from lab import busybox, oci
from lab.command import Command, Result
from lab.oci import DIR, File, layer

root = pytest.mark.root

PLAIN = layer({"BZh": b"a name like the first bytes of bzip2", "a": b"1" * 5000})
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
SBOM = "application/xml"


def archive(path: pathlib.Path, files: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


def docker_files(
    image: oci.Image, *, tags: object = ("mine:1",), layers: list[bytes] | None = None, **more: Any
) -> dict[str, bytes]:
    """What `docker save` wrote before version 25."""
    blobs = layers or list(image.layers)
    names = [f"{number}/layer.tar" for number in range(len(blobs))]
    listed = {"Config": "config.json", "RepoTags": tags, "Layers": names, **more}
    manifest = {key: value for key, value in listed.items() if value != ()}
    return {
        **dict(zip(names, blobs, strict=True)),
        "config.json": image.config,
        "manifest.json": json.dumps([manifest]).encode(),
    }


def layout(directory: pathlib.Path, *entries: tuple[oci.Image, dict[str, Any]]) -> pathlib.Path:
    """A layout whose index.json lists each image with more members of its entry."""
    (directory / "blobs" / "sha256").mkdir(parents=True)
    listed = []
    for image, more in entries:
        for digest, data in {**image.blobs, image.digest: image.manifest}.items():
            (directory / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        listed.append({**oci.descriptor(image.media_type, image.manifest), **more})
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    return directory


def named(name: str, *, key: str = REF_NAME) -> dict[str, Any]:
    return {"annotations": {key: name}}


def image(text: bytes = b"1", **more: Any) -> oci.Image:
    return oci.image([layer({"a": text})], **more)


def images(mydocker: Command) -> list[str]:
    listed = json.loads(mydocker("images", "--format", "json").stdout)
    return sorted(f"{each['repository']}:{each['tag']}" for each in listed if each["tag"] not in ("", "<none>", None))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda tar: tar,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda tar: oci.compress(tar, "zstd"),
}


@root
@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("whole", ["none", "gzip", "zstd"])
def test_layers_of_a_docker_archive_in_any_compression(
    mydocker: Command, tmp_path: pathlib.Path, kind: str, whole: str
) -> None:
    built = oci.image([PLAIN, layer({"b": b"2"})])
    files = docker_files(built, layers=[COMPRESSIONS[kind](tar) for tar in (PLAIN, layer({"b": b"2"}))])
    path = pathlib.Path(archive(tmp_path / "saved", files))
    path.write_bytes(COMPRESSIONS[whole](path.read_bytes()))
    assert mydocker("load", "-q", "-i", str(path)) == Result(b"Loaded image: mine:1\n", b"", 0)
    assert mydocker("fsck").code == 0
    [found] = json.loads(mydocker("inspect", "mine:1").stdout)
    assert (
        pathlib.Path(next(d for d in found["LayerDirs"] if (pathlib.Path(d) / "a").exists())) / "a"
    ).read_bytes() == b"1" * 5000


def _docker_25(built: oci.Image, index: object, **more: Any) -> dict[str, bytes]:
    """What Docker 25 writes: a layout with a manifest.json, whose manifest is as MORE says."""
    broken = built.with_manifest(**more) if more else built
    blobs = {f"blobs/sha256/{digest.removeprefix('sha256:')}": data for digest, data in built.blobs.items()}
    blobs[f"blobs/sha256/{broken.digest.removeprefix('sha256:')}"] = broken.manifest
    listed = {
        "Config": f"blobs/sha256/{oci.digest(built.config).removeprefix('sha256:')}",
        "RepoTags": None if index is None else ["mine:1"],
        "Layers": [f"blobs/sha256/{oci.digest(data).removeprefix('sha256:')}" for data in built.layers],
    }
    entries = index
    if index == "one":
        names = {"annotations": {FULL_NAME: "docker.io/library/mine:1", REF_NAME: "1"}}
        entries = [{**oci.descriptor(broken.media_type, broken.manifest), **names}]
    return {
        **blobs,
        "index.json": json.dumps({"schemaVersion": 2, "manifests": entries}).encode(),
        "manifest.json": json.dumps([listed]).encode(),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
    }


@root
@pytest.mark.parametrize(
    ("index", "more", "name"),
    [
        ("one", {}, "mine:1"),
        (None, {}, "localhost/saved:latest"),  # docker save ID, of 25.0: no names, and no manifests
        ("one", {"layers": None}, "mine:1"),  # of 25.0.0: no layers
        ("one", {"layers": []}, "mine:1"),
        ([], {}, "mine:1"),
    ],
)
def test_of_the_two_forms_in_one_archive_the_complete_one_counts(
    mydocker: Command, tmp_path: pathlib.Path, index: object, more: dict[str, Any], name: str
) -> None:
    built = oci.image([busybox.base_layer(), layer({"b": b"2"})], compression="none")
    path = archive(tmp_path / "saved", _docker_25(built, index, **more))
    assert mydocker("load", "-q", "-i", path) == Result(f"Loaded image: {name}\n".encode(), b"", 0)
    for transport in ("oci-archive", "docker-archive"):
        done = mydocker("run", "--network", "none", f"{transport}:{path}", "cat", "/b")
        assert done == Result(b"2", b"", 0)
    [found] = json.loads(mydocker("inspect", name).stdout)
    assert found["Id"] == oci.digest(built.config)


@pytest.mark.parametrize("tags", [None, [], ()])
def test_a_docker_archive_without_names(mydocker: Command, tmp_path: pathlib.Path, tags: object) -> None:
    path = archive(tmp_path / "My Image.tar", docker_files(image(compression="none"), tags=tags))
    assert mydocker("load", "-q", "-i", path) == Result(b"Loaded image: localhost/my-image-tar:latest\n", b"", 0)


@root
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_either_transport_reads_an_archive_that_has_the_other_form_alone(
    mydocker: Command, tmp_path: pathlib.Path, transport: str
) -> None:
    docker = archive(tmp_path / "docker", docker_files(image(compression="none")))
    directory = layout(tmp_path / "layout", (image(), {}))
    with tarfile.open(tmp_path / "oci", "w") as tar:
        tar.add(directory, arcname=".")
    for path in (docker, tmp_path / "oci"):
        assert mydocker("pull", "-q", f"{transport}:{path}").code == 0


NAMES = [  # what an annotation says, under which key, and what the image is called then
    ("v1", REF_NAME, "localhost/layout:v1"),
    ("v1.0+build5", REF_NAME, None),
    ("my tag", REF_NAME, None),
    ("-x", REF_NAME, None),
    ("x" * 129, REF_NAME, None),
    ("a/CASE:1", REF_NAME, None),
    ("a/b:c+d", REF_NAME, None),
    ("docker.io/library/a:1", REF_NAME, "a:1"),
    ("registry.example:5000/a/b:1", REF_NAME, "registry.example:5000/a/b:1"),
    ("a\n\x1b[2J", REF_NAME, None),
    ("<none>:<none>", FULL_NAME, None),
    ("docker.io/library/a:1", FULL_NAME, "a:1"),
    (f"docker.io/library/a:1@sha256:{'0' * 64}", FULL_NAME, None),
    (f"docker.io/library/a@sha256:{'0' * 64}", FULL_NAME, None),
    ("../../etc/passwd", REF_NAME, None),
    ("", REF_NAME, "localhost/layout:latest"),
]


@root
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("name", "key", "called"), NAMES)
def test_a_name_that_no_command_takes_is_no_name(
    mydocker: Command, tmp_path: pathlib.Path, name: str, key: str, called: str | None, several: bool
) -> None:
    first, second = image(b"1"), image(b"2")
    entries = [(first, named(name, key=key)), (second, named("second"))]
    path = layout(tmp_path / "layout", *entries[: 1 + several])
    done = mydocker("load", "-q", "-i", str(path))
    assert done.code == 0 and b"\x1b" not in done.stdout + done.stderr, done
    nameless = f"localhost/layout@{first.digest}" if several else "localhost/layout:latest"
    if several and not name:
        called = None
    assert done.stdout.decode().splitlines()[0] == f"Loaded image: {called or nameless}"
    short = oci.digest(first.config).removeprefix("sha256:")[:12]
    for word in (*([called] if called else []), short):
        assert mydocker("inspect", word).code == 0
    assert mydocker("rmi", short).code == 0 and images(mydocker) == ["localhost/layout:second"] * several


@root
def test_the_first_usable_name_counts(mydocker: Command, tmp_path: pathlib.Path) -> None:
    both = {"annotations": {FULL_NAME: "not a name", REF_NAME: "v2"}}
    path = layout(tmp_path / "layout", (image(), both))
    assert mydocker("load", "-q", "-i", str(path)) == Result(b"Loaded image: localhost/layout:v2\n", b"", 0)


@root
def test_repo_tags_that_are_no_names(mydocker: Command, tmp_path: pathlib.Path) -> None:
    files = docker_files(image(compression="none"), tags=["<none>:<none>", "fine:1", "Bad/Name:1"])
    done = mydocker("load", "-q", "-i", archive(tmp_path / "saved", files))
    assert done.code == 0 and b"Loaded image: fine:1\n" in done.stdout
    assert images(mydocker) == ["fine:1"]


@root
def test_a_name_that_stands_twice_for_one_image(mydocker: Command, tmp_path: pathlib.Path) -> None:
    built = image(b"1")
    path = layout(tmp_path / "layout", (built, named("a")), (built, named("a")), (image(b"2"), named("b")))
    assert mydocker("pull", "-q", f"oci:{path}:a").code == 0
    assert mydocker("load", "-q", "-i", str(path)).stdout.splitlines() == [
        b"Loaded image: localhost/layout:a",
        b"Loaded image: localhost/layout:b",
    ]
    files = docker_files(built)
    files["0/layer.tar"] = layer({"a": b"1"})
    [item] = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps([item, item]).encode()
    path = pathlib.Path(archive(tmp_path / "saved", files))
    assert mydocker("pull", "-q", f"docker-archive:{path}:mine:1").code == 0


def test_a_name_that_means_two_images(mydocker: Command, tmp_path: pathlib.Path) -> None:
    path = layout(tmp_path / "layout", (image(b"1"), named("a")), (image(b"2"), named("a")))
    done = mydocker("pull", f"oci:{path}:a")
    assert done.code == 1 and b"several images 'a'" in done.stderr
    assert mydocker("pull", "-q", f"oci:{path}:@1").code == 0


@root
def test_one_name_for_several_platforms_is_one_image(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """The specification allows that next to the layout's own index."""
    own, other = image(b"1"), image(b"2", architecture="riscv64")
    entries = [(each, {**named("a"), "platform": dict(each.platform)}) for each in (other, own)]
    path = layout(tmp_path / "layout", *entries)
    assert mydocker("load", "-q", "-i", str(path)) == Result(b"Loaded image: localhost/layout:a\n", b"", 0)
    assert json.loads(mydocker("inspect", "localhost/layout:a").stdout)[0]["Id"] == oci.digest(own.config)
    assert mydocker("load", "-q", "--platform", "linux/riscv64", "-i", str(path)).code == 0


_ARTIFACT = image(b"9").with_manifest(
    config={"mediaType": "application/vnd.oci.empty.v1+json", "digest": oci.digest(b"{}"), "size": 2}
)
_SIGNATURE = image(b"8").with_manifest(
    layers=[oci.descriptor("application/vnd.dev.cosign.simplesigning.v1+json", b"{}")]
)
_ATTESTATIONS = oci.Image(
    json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": oci.OCI_INDEX,
            "manifests": [
                oci.descriptor(oci.OCI_MANIFEST, b"{}", platform={"os": "unknown", "architecture": "unknown"})
            ],
        }
    ).encode(),
    oci.OCI_INDEX,
    b"",
    (),
    {},
)
OTHERS: dict[str, tuple[oci.Image, dict[str, Any]]] = {
    "an SBOM": (image(b"7"), {"mediaType": SBOM}),
    "a media type of tomorrow": (image(b"7"), {"mediaType": "application/vnd.oci.image.manifest.v9+json"}),
    "an artifact": (_ARTIFACT, {}),
    "a signature": (_SIGNATURE, named("sha256-0.sig")),
    "an attestation": (image(b"6"), {"platform": {"os": "unknown", "architecture": "unknown"}}),
    "a reference": (image(b"6"), {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
    "an index of attestations": (_ATTESTATIONS, {}),
}


@root
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("first", [False, True])
def test_what_is_no_image_is_passed_over(mydocker: Command, tmp_path: pathlib.Path, other: str, first: bool) -> None:
    entries = [(image(), named("v1")), OTHERS[other]]
    path = layout(tmp_path / "layout", *(reversed(entries) if first else entries))
    assert mydocker("pull", "-q", f"oci:{path}").code == 0  # the only image
    assert mydocker("load", "-q", "-i", str(path)) == Result(b"Loaded image: localhost/layout:v1\n", b"", 0)
    done = mydocker("push", f"oci:{path}")
    assert b"it has v1" in done.stderr  # the hint of a push, which would need a name


TREE = dict.fromkeys(("bin", "dev", "etc", "proc", "sys", "usr"), DIR)


@pytest.mark.parametrize(
    ("data", "said", "hint"),
    [
        (layer({**TREE, "etc/hosts": File()}), "a root file system", "--rootfs DIRECTORY"),
        (gzip.compress(layer(TREE)), "a root file system", "--rootfs DIRECTORY"),
        (layer({"a.txt": b"1", "b": DIR}), "it has neither", "docker save"),
        (layer({"saved": DIR, "saved/index.json": b"{}"}), "it has neither", ""),
        (layer({"repositories": b"{}", "0": DIR, "0/json": b"{}"}), "it has neither", ""),
        (b"", "it is empty", ""),
        (b"text\n", "not a tar archive", ""),
        (b"text\n" * 1000, "not a tar archive", ""),
        (gzip.compress(b"text\n" * 1000), "not a tar archive", ""),
        (gzip.compress(b""), "it is empty", ""),
        (gzip.compress(b"text")[:10], "ends in the middle of its compressed data", ""),
        (bytes(10240), "it has neither", "docker save"),
        (b"PK\3\4" + bytes(600), "not a tar archive", ""),
        (b"\x7fELF" + bytes(600), "not a tar archive", ""),
    ],
    ids=range(14),
)
def test_a_file_that_is_no_archive_of_images_is_called_what_it_is(
    mydocker: Command, tmp_path: pathlib.Path, data: bytes, said: str, hint: str
) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    for words, input in ((("-i", str(tmp_path / "x.tar")), b""), ((), data)):
        done = mydocker("load", *words, input=input)
        text = done.stderr.decode()
        assert (done.stdout, done.code) == (b"", 125) and said in text and "Traceback" not in text, text
        assert hint in text.partition("hint: ")[2]
    for transport in ("oci-archive", "docker-archive"):
        done = mydocker("pull", f"{transport}:{tmp_path / 'x.tar'}")
        assert done.code == 125 and said in done.stderr.decode()


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        (list(TREE), "a root file system", "--rootfs DIRECTORY"),
        (["a", "b"], "neither index.json nor manifest.json", "docker save"),
        ([], "neither index.json nor manifest.json", "docker save"),
        (["oci-layout", "blobs"], "it has neither", ""),
    ],
)
def test_a_directory_that_is_no_layout_is_called_what_it_is(
    mydocker: Command, tmp_path: pathlib.Path, names: list[str], said: str, hint: str
) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    for name in names:
        (directory / name).mkdir()
    for words in (("load", "-i", str(directory)), ("pull", f"oci:{directory}")):
        text = mydocker(*words).stderr.decode()
        assert said in text and hint in text.partition("hint: ")[2] and "Traceback" not in text
    shutil.rmtree(directory)


@root
@pytest.mark.parametrize("architecture", ["x86_64", "x86-64", "X86_64", "AMD64", ""])
@pytest.mark.parametrize("system", ["linux", "Linux", ""])
def test_an_image_may_call_its_platform_by_another_name(
    mydocker: Command, tmp_path: pathlib.Path, architecture: str, system: str
) -> None:
    if busybox.ARCHITECTURE != "amd64":
        architecture = {"x86_64": "aarch64", "x86-64": "AArch64", "X86_64": "ARM64", "AMD64": "arm64"}.get(
            architecture, ""
        )
    built = oci.image([busybox.base_layer()], config={"architecture": architecture, "os": system})
    path = layout(tmp_path / "layout", (built, named("v1")))
    assert mydocker("load", "-q", "-i", str(path)) == Result(b"Loaded image: localhost/layout:v1\n", b"", 0)
    assert mydocker("run", "--network", "none", "localhost/layout:v1", "echo", "hey") == Result(b"hey\n", b"", 0)
    platform = {"os": system or "linux", "architecture": architecture or busybox.ARCHITECTURE}
    listed = oci.index([built]).manifest
    listed = listed.replace(json.dumps(dict(built.platform)).encode(), json.dumps(platform).encode())
    whole = oci.Image(listed, oci.OCI_INDEX, built.manifest, (), {})
    path = layout(tmp_path / "indexed", (built, named("x")), (whole, named("v2")))
    assert mydocker("run", "--network", "none", f"oci:{path}:v2", "echo", "hey").stdout == b"hey\n"
