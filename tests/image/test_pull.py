"""Pulling from a real registry: what must arrive, what must not, and what is left after each failure."""

from __future__ import annotations

import gzip
import itertools
import os
import pathlib
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from lab import oci
from lab.oci import DIR, layer
from lab.processes import other_threads
from lab.registry import Registry

from mydocker.errors import ImageError, ImageNotFoundError, MydockerError, RegistryError, StoreError
from mydocker.image.maintain import fsck
from mydocker.image.model import StoredImage
from mydocker.image.resolve import resolve
from mydocker.image.store import Store, catalog, remove_tree
from mydocker.reference import Digest, Platform, Reference

HOST = Platform(os="linux", architecture="amd64")
ENVIRON = {"HOME": "/nonexistent"}

Pull = Callable[..., StoredImage]


@pytest.fixture
def pull(registry: Registry, store: pathlib.Path) -> Pull:
    def pull(
        name: str, *, policy: str = "missing", into: pathlib.Path = store, age: float | None = None
    ) -> StoredImage:
        reference = Reference.parse(f"{registry.address}/{name}")
        return resolve(reference, platform=HOST, policy=policy, store=Store(str(into)), environ=ENVIRON, age=age)

    return pull


def refused(call: Callable[[], object], store: pathlib.Path) -> MydockerError:
    """The error of CALL, after which nothing of the image is in the store."""
    with pytest.raises(MydockerError) as caught:
        call()
    assert other_threads() == []
    assert [path for name in ("incoming", "layers", "refs") for path in (store / name).glob("*")] == []
    return caught.value


def _children() -> str:
    return pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def contents(image: StoredImage) -> dict[str, bytes]:
    """Every file of the image's layers, by its path; of equal paths the highest layer's."""
    found = {}
    for top in map(pathlib.Path, image.lowerdirs):
        found |= {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    return found


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_every_kind_of_image_arrives(registry: Registry, pull: Pull, docker: bool, compression: str) -> None:
    layers = [layer({"a": b"1", "b": os.urandom(300_000)}), layer({}), layer({"a": b"2"})]
    built = oci.image(layers, env=["A=1"], compression=compression, docker=docker)
    digest = registry.push(built, "pull/kinds")
    image = pull("pull/kinds", policy="always")
    assert (image.manifest, image.config.env) == (Digest.parse(digest), ("A=1",))
    assert contents(image)["a"] == b"2" and len(contents(image)["b"]) == 300_000
    assert other_threads() == []


def test_no_request_for_what_is_here(registry: Registry, pull: Pull) -> None:
    base, top = layer({"base": os.urandom(100)}), layer({"top": os.urandom(100)})
    first, second = oci.image([base]), oci.image([base, top])
    registry.push(first, "pull/shared")
    pull("pull/shared")
    before = registry.requests()
    pull("pull/shared")
    assert registry.requests() == before
    registry.push(second, "pull/shared")
    assert len(pull("pull/shared").lowerdirs) == 1
    assert len(pull("pull/shared", policy="always").lowerdirs) == 2
    assert [registry.blob_fetches(oci.digest(blob)) for blob in second.layers] == [1, 1]


@pytest.mark.parametrize("of_many", [False, True])
def test_always_asks_once_what_a_name_means_now(
    registry: Registry, pull: Pull, store: pathlib.Path, of_many: bool
) -> None:
    """And no more if that is here, under whatever name; then the name means that."""
    images = [oci.image([layer({"a": os.urandom(9)})], env=[f"N={n}"]) for n in range(2)]
    tops = [oci.index([image]) if of_many else image for image in images]
    for tag, top in zip(("moving", "other"), tops, strict=True):
        registry.push(top, "pull/once", tag=tag)
        assert pull(f"pull/once:{tag}").config.env
    registry.push(tops[1], "pull/once", tag="moving")
    before = registry.requests()
    for _ in range(2):
        assert pull("pull/once:moving", policy="always").config.env == ("N=1",)
    assert registry.requests()[len(before) :] == [("GET", "/v2/pull/once/manifests/moving", 200)] * 2
    assert pull("pull/once:moving", policy="never").config.env == ("N=1",)
    (path,) = (store / "layers").glob(f"*{oci.digest(_inflated(images[1])).removeprefix('sha256:')}*")
    remove_tree.remove(str(path))
    assert contents(pull("pull/once:moving", policy="always"))


def _inflated(image: oci.Image) -> bytes:
    return gzip.decompress(image.layers[0])


def test_an_image_is_found_as_fast_among_five_hundred(
    registry: Registry, pull: Pull, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """By the same calls: what they ask of the store is counted."""
    registry.push(oci.image([layer({"a": b"1"})]), "pull/many")
    one = pull("pull/many")
    alone = _asked_of(store, registry, "pull/many", tmp_path / "trace")
    there = Store(str(store))
    config = next(catalog.entries(there)).ref.config
    for number in range(500):
        name = Reference.parse(f"{registry.address}/{'pull' if number % 2 else f'p{number}'}/many:{number}")
        there.record_ref(name, HOST, manifest=one.manifest, config=config, origin=name)
    assert len(catalog.images(there)) > 0 and len(list(catalog.entries(there))) > 500
    assert _asked_of(store, registry, "pull/many", tmp_path / "trace") == alone
    assert 3 < len(alone) < 20


def _asked_of(store: pathlib.Path, registry: Registry, name: str, trace: pathlib.Path) -> list[str]:
    """The system calls on STORE that resolving NAME takes, without what they return."""
    command = [sys.executable, "-c", PULL, f"{registry.address}/{name}", str(store)]
    subprocess.run(["strace", "-f", "-y", "-qq", "-o", str(trace), *command], check=True)
    lines = [line.split(maxsplit=1)[1] for line in trace.read_text(errors="replace").splitlines()]
    return [re.sub(r" = .*|0x\w+|\{.*\}", "", line) for line in lines if str(store) in line and "execve" not in line]


def test_never_asks_nobody(pull: Pull, store: pathlib.Path) -> None:
    error = refused(lambda: pull("pull/absent", policy="never"), store)
    assert isinstance(error, ImageNotFoundError) and error.hint and "--pull missing" in error.hint
    assert list(store.iterdir()) == []


def test_an_image_that_does_not_exist(pull: Pull, store: pathlib.Path) -> None:
    assert isinstance(refused(lambda: pull("pull/absent"), store), ImageNotFoundError)


def test_another_architecture_is_said_to_be_one(registry: Registry, pull: Pull, store: pathlib.Path) -> None:
    registry.push(oci.image([layer({"a": b""})], architecture="s390x"), "pull/foreign")
    error = refused(lambda: pull("pull/foreign"), store)
    assert "no image for platform linux/amd64" in error.message and "s390x" in (error.hint or "")


def _flip(blob: bytes) -> bytes:
    return blob[: len(blob) // 2] + bytes([blob[len(blob) // 2] ^ 1]) + blob[len(blob) // 2 + 1 :]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip, "expected {digest}, found sha256:"),
        (
            lambda blob: oci.compress(layer({"evil": b"1"}), "gzip").ljust(len(blob), b"\0"),
            "expected {digest}, found sha256:",
        ),
        (lambda blob: blob + b"\0", "{digest}"),
        (lambda blob: blob[:-1], "{digest}"),
        (lambda blob: b"", "{digest}"),
    ],
)
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_damaged_layer_is_named_and_not_stored(
    registry: Registry,
    pull: Pull,
    store: pathlib.Path,
    damage: Callable[[bytes], bytes],
    words: str,
    compression: str,
) -> None:
    built = oci.image([layer({"a": os.urandom(400_000)})], compression=compression)
    digest = oci.digest(built.layers[0])
    registry.push(built, "pull/damaged")
    hex = digest.removeprefix("sha256:")
    stored = registry.storage / "docker/registry/v2/blobs/sha256" / hex[:2] / hex / "data"
    stored.write_bytes(damage(stored.read_bytes()))
    error = refused(lambda: pull("pull/damaged"), store)
    assert isinstance(error, ImageError)
    assert words.format(digest=digest) in error.message


@pytest.mark.parametrize(
    ("rootfs", "words"),
    [
        ({"type": "layers", "diff_ids": [oci.digest(b"something else")]}, "diff ID: is damaged or forged"),
        ({"type": "layers", "diff_ids": []}, "0 diff IDs for 1 layers"),
        ({"type": "layers", "diff_ids": ["sha256:../../x"]}, "diff_ids"),
        ({"type": "other", "diff_ids": []}, "rootfs"),
    ],
)
def test_a_config_that_does_not_match(
    registry: Registry, pull: Pull, store: pathlib.Path, rootfs: dict[str, object], words: str
) -> None:
    registry.push(oci.image([layer({"a": b"1"})], rootfs=rootfs), "pull/lying")
    assert words in refused(lambda: pull("pull/lying"), store).message


def test_one_bad_layer_among_good_ones(registry: Registry, pull: Pull, store: pathlib.Path) -> None:
    """The good ones may stay; the image may not, and no thread, process or staging does."""
    good = [layer({f"f{n}": os.urandom(500_000)}) for n in range(6)]
    before = _children()
    registry.push(oci.image([*good[:3], layer({"../x": b"1"}), *good[3:]]), "pull/mixed")
    with pytest.raises(ImageError, match=r"contains \.\."):
        pull("pull/mixed")
    assert other_threads() == []
    assert list((store / "incoming").iterdir()) == [] == list((store / "refs").iterdir())
    assert _children() == before


def test_a_registry_that_is_gone(store: pathlib.Path) -> None:
    reference = Reference.parse("127.0.0.1:1/x")
    error = refused(
        lambda: resolve(reference, platform=HOST, policy="missing", store=Store(str(store)), environ=ENVIRON), store
    )
    assert isinstance(error, RegistryError)
    assert error.message == "image 127.0.0.1:1/x:latest: registry 127.0.0.1:1: connection refused"


def test_layers_used_twice_are_one(registry: Registry, pull: Pull) -> None:
    same = layer({"a": os.urandom(10)})
    built = oci.image([same, layer({"b": b""}), same])
    registry.push(built, "pull/twice")
    image = pull("pull/twice")
    assert [os.listdir(path) for path in image.lowerdirs] == [["b"], ["a"]]  # overlayfs takes a directory once
    assert registry.blob_fetches(oci.digest(built.layers[0])) == 1


def test_a_hundred_layers(registry: Registry, pull: Pull) -> None:
    registry.push(oci.image([layer({f"f{n}": b"%d" % n}) for n in range(100)]), "pull/hundred")
    assert len(contents(pull("pull/hundred"))) == 100


PULL = """
import os, sys
from mydocker.image.maintain import fsck
from mydocker.image.store import catalog, remove_tree
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference
resolve(Reference.parse(sys.argv[1]), platform=Platform.parse("amd64"), policy="missing", store=Store(sys.argv[2]),
        environ={"HOME": "/nonexistent"})
"""

# a process for each line of its input, whose number it prints; all have what one has imported
PULLS = f"""
import os, sys
from mydocker.image.registry import client
started = 0
for line in sys.stdin:
    started += 1
    if (process := os.fork()) == 0:
        sys.argv[1:] = line.split()
        exec({PULL!r})
        os._exit(0)
    print(process, flush=True)
sys.exit(sum(os.wait()[1] != 0 for _ in range(started)))
"""


def _pulls() -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", PULLS], text=True, **pipes)


def test_twenty_pulls_at_once_fetch_each_layer_once(registry: Registry, store: pathlib.Path, pull: Pull) -> None:
    built = oci.image([layer({f"f{n}": os.urandom(3_000_000)}) for n in range(3)])
    registry.push(built, "pull/rush")
    with _pulls() as pulls:
        out, errors = pulls.communicate(f"{registry.address}/pull/rush {store}\n" * 20, timeout=240)
    assert (len(out.split()), errors, pulls.returncode) == (20, "", 0)
    assert [registry.blob_fetches(oci.digest(blob)) for blob in built.layers] == [1, 1, 1]
    assert len(contents(pull("pull/rush", policy="never"))) == 3
    assert list((store / "incoming").iterdir()) == []


def _is_underway(store: pathlib.Path, *, since: float) -> bool:
    """Whether there is a layer that is not complete, and that a pull has begun SINCE then."""
    with suppress(FileNotFoundError):  # it is complete now
        return any(path.stat().st_mtime > since for path in (store / "incoming").glob("?" * 64 + ".lock"))
    return False


def _begun(pulls: subprocess.Popen[str], line: str) -> int:
    """A descriptor of the process that pulls what LINE says; its parent does not wait for it before the end."""
    assert pulls.stdin and pulls.stdout
    pulls.stdin.write(line)
    pulls.stdin.flush()
    return os.pidfd_open(int(pulls.stdout.readline()))


def _has_ended(process: int, *, seconds: float = 0) -> bool:
    return bool(select.select([process], [], [], seconds)[0])


def test_killed_at_any_moment_the_next_pull_is_as_if_nothing_had_been(
    registry: Registry, store: pathlib.Path, pull: Pull
) -> None:
    files = {f"d{n}/f{m}": os.urandom(20_000) for n in range(4) for m in range(60)}
    layers = [layer({name: data for name, data in files.items() if name.startswith(f"d{n}/")}) for n in range(4)]
    registry.push(oci.image(layers), "pull/killed")
    chooser = random.Random(4)
    caught = 0
    with _pulls() as pulls:
        for number in itertools.count():
            if number >= 50 and caught > 10:
                break
            started = time.time()
            process = _begun(pulls, f"{registry.address}/pull/killed {store}\n")
            while number % 5 and not _has_ended(process) and not _is_underway(store, since=started):
                time.sleep(0.002)
            time.sleep(chooser.uniform(0, 0.08 if number % 5 else 0.2))
            signal.pidfd_send_signal(process, signal.SIGKILL)
            assert _has_ended(process, seconds=60)
            os.close(process)
            caught += _is_underway(store, since=started)
            for complete in (store / "layers").glob("*"):
                assert len(list(complete.rglob("f*"))) == 60
            if catalog.images(Store(str(store))):
                remove_tree.remove(str(store))  # it was too late: begin again
        pulls.communicate(timeout=240)
    assert contents(pull("pull/killed", policy="always")) == files
    assert list(fsck.check(Store(str(store)))) == []
    assert list((store / "incoming").iterdir()) == []


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 5 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.root
def test_a_full_disk_is_said_to_be_full_and_gets_its_space_back(
    registry: Registry, pull: Pull, small: pathlib.Path
) -> None:
    registry.push(oci.image([layer({"big": os.urandom(7_500_000)})], compression="none"), "pull/big")
    registry.push(oci.image([layer({"etc": DIR, "etc/x": os.urandom(2_500_000)})]), "pull/fits")
    error = refused(lambda: pull("pull/big", into=small), small)
    full = ("big: Wrote only", "No space left on device")  # tar's words, or ours
    assert isinstance(error, StoreError) and any(words in error.message for words in full) and error.hint
    assert len(contents(pull("pull/fits", into=small))) == 1


def test_a_store_that_cannot_be_written(registry: Registry, pull: Pull, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    registry.push(oci.image([layer({"a": b"1"})]), "pull/nowhere")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="store"):
            pull("pull/nowhere", into=place)


def test_by_age(registry: Registry, pull: Pull, store: pathlib.Path) -> None:
    """An image is pulled again when it was last pulled longer ago: what counts is the last time, not the first."""
    registry.push(oci.image([layer({"a": b"1"})]), "pull/age")
    pull("pull/age")
    refs = [path for path in (store / "refs").rglob("*") if path.is_file()]
    before = len(registry.requests())
    pull("pull/age", age=3600)
    assert len(registry.requests()) == before, "it is a moment old"
    for ref in refs:
        ref.write_text(re.sub(r"(?m)^when \d{4}", "when 2001", ref.read_text()))
    pull("pull/age", age=3600)
    after = len(registry.requests())
    assert after > before, "it was asked for, though it is here"
    pull("pull/age", age=3600)
    assert len(registry.requests()) == after
