"""The skeleton of a layer, `fsck` and `prune`: what is damaged is named, what is not needed goes, and no more."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import pathlib
import random
import subprocess
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import oci
from lab.command import Command
from lab.oci import DIR, WHITEOUT, Fifo, File, Hardlink, Link, layer
from lab.registry import Registry

from mydocker.image import rebuild
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.reference import Digest, Platform, Reference

root = pytest.mark.root
NAMES = ["a", "d/", "d/b", "d/c", "e", "l" * 200]
CONTENTS = st.sampled_from([b"", b"x", os.urandom(511), os.urandom(512), bytes(3000), os.urandom(70_000)])


def _pull(registry: Registry, store: pathlib.Path, *layers: bytes, name: str = "fsck/image") -> Store:
    registry.push(oci.image(list(layers)), name)
    there = Store(str(store))
    reference = Reference.parse(f"{registry.address}/{name}")
    resolve(reference, platform=Platform.parse("amd64"), policy="always", store=there, environ={"HOME": "/nonexistent"})
    return there


def _rebuilt(store: Store, tar: bytes) -> bytes:
    diff_id = Digest.parse(oci.digest(tar))
    return b"".join(rebuild.tar(store.layer_path(diff_id), store.skeleton_path(diff_id)))


@root
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_layer_is_rebuilt_byte_for_byte(registry: Registry, store: pathlib.Path, format: int) -> None:
    entries = {
        "d": DIR,
        "d/" + "n" * 90: os.urandom(700),
        "d/.wh.gone": b"contents of a whiteout",
        "d/old": WHITEOUT,
        "empty": b"",
        "one": File(b"1", mode=0o4711, uid=7, gid=8),
        "two": Hardlink("one"),
        "three": Link("../nowhere"),
        "fifo": Fifo(),
        "big": os.urandom(3_000_000),
    }
    tar = layer(entries, format=format) + os.urandom(1000)
    assert _rebuilt(_pull(registry, store, tar), tar) == tar


@root
def test_an_archive_of_gnu_tar_is_rebuilt(registry: Registry, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    with (source / "deep" / "holes").open("wb") as file:
        file.seek(1_000_000)
        file.write(b"end")
    (source / ("long" * 40)).write_bytes(b"long")
    for options in (["--sparse", "--format=gnu"], ["--sparse", "--format=posix"]):
        tar = subprocess.run(["tar", "-C", source, *options, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
        assert _rebuilt(_pull(registry, store, tar), tar) == tar


@root
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(NAMES), CONTENTS), max_size=12))
def test_whatever_the_archive_its_last_files_are_there(
    registry: Registry, tmp_path: pathlib.Path, entries: list[tuple[str, bytes]]
) -> None:
    """Of several entries of one path the last counts, and the others are left out of what is rebuilt."""
    tar = layer([("d", DIR), *((name, DIR if name.endswith("/") else data) for name, data in entries)])
    store = _pull(registry, tmp_path / "store", tar, name="fsck/random")
    wanted = {name: data for name, data in entries if not name.endswith("/")}
    with tarfile.open(fileobj=io.BytesIO(_rebuilt(store, tar))) as found:
        files = {member.name: found.extractfile(member).read() for member in found if member.isreg()}  # type: ignore[union-attr]
    assert files == wanted
    if len(wanted) == len([name for name, _ in entries if not name.endswith("/")]):
        assert hashlib.sha256(_rebuilt(store, tar)).hexdigest() == hashlib.sha256(tar).hexdigest()


@pytest.fixture
def pulled(mydocker: Command, registry: Registry) -> Command:
    """A store with two images that share a layer; it is whole."""
    shared = layer({"etc": DIR, "etc/shared": os.urandom(5000)})
    registry.push(oci.image([shared, layer({"one": os.urandom(5000)})]), "fsck/one")
    registry.push(oci.image([shared, layer({"two": os.urandom(5000)})]), "fsck/two")
    assert mydocker("pull", "-q", "fsck/one", "fsck/two").code == 0
    done = mydocker("fsck")
    assert (done.stdout, done.stderr, done.code) == (b"", b"", 0)
    return mydocker


@root
def test_a_byte_flipped_anywhere_is_named_and_repaired(pulled: Command) -> None:
    files = sorted(path for path in pulled.store.rglob("*") if path.is_file() and not path.is_symlink())
    chooser = random.Random(1)
    assert len(files) > 12
    for path in files:
        data = bytearray(path.read_bytes()) if path.exists() else bytearray()
        if not data:
            continue  # removed by an earlier repair: those of its layer
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        path.write_bytes(data)
        found = pulled("fsck")
        if b"when" in data and found.code == 0:
            continue  # the date of a name is nobody's concern
        assert found.code == 1 and found.stdout and not found.stderr, path
        repaired = pulled("fsck", "--repair")
        assert repaired.code == 1 and b"(removed)" in repaired.stdout and not repaired.stderr
        assert pulled("fsck").code == 0
        assert pulled("pull", "-q", "fsck/one", "fsck/two").code == 0
        assert pulled("fsck").code == 0


@root
@pytest.mark.parametrize("damage", ["missing file", "truncated", "fifo", "no skeleton", "bad skeleton", "no layer"])
def test_what_is_gone_or_of_another_kind_is_named(pulled: Command, damage: str) -> None:
    [path] = pulled.store.glob("layers/*/etc/shared")
    top = path.parent.parent
    skeleton = pulled.store / "skeletons" / top.name
    if damage == "missing file":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif damage == "no skeleton":
        skeleton.unlink()
    elif damage == "bad skeleton":
        skeleton.write_bytes(skeleton.read_bytes()[:96] + gzip.compress(b"b\xff\xff\xff\xff"))
    else:
        top.rename(pulled.store / "elsewhere")
    found = pulled("fsck")
    assert found.code == 1 and b"Traceback" not in found.stderr
    assert (b"image fsck/one" in found.stdout) if damage == "no layer" else (top.name[7:].encode() in found.stdout)
    assert pulled("fsck", "--repair").code == 1 and pulled("fsck").code == 0
    assert pulled("pull", "-q", "fsck/one", "fsck/two").code == 0 == pulled("fsck").code


def test_an_ordinary_user_s_store_is_checked_too(second_user: Command, registry: Registry) -> None:
    files = {"d": DIR, "d/secret": File(b"x" * 5000, mode=0, uid=33, gid=33)}
    registry.push(oci.image([layer(files)]), "fsck/owned")
    assert second_user("pull", "-q", "fsck/owned").code == 0
    done = second_user("fsck")
    assert (done.stdout, done.stderr, done.code) == (b"", b"", 0)
    if os.geteuid() == 0:
        [path] = second_user.store.glob("layers/*/d/secret")
        path.write_bytes(b"x" * 4999 + b"y")
        found = second_user("fsck", "--repair")
        assert found.code == 1 and b"d/secret': its contents have changed (removed)" in found.stdout
        assert second_user("fsck").code == 0


def _layers(command: Command) -> int:
    return len(list((command.store / "layers").iterdir()))


@root
def test_prune_frees_what_no_image_needs(pulled: Command) -> None:
    assert pulled("prune").stdout == b"freed 0 B\n" and _layers(pulled) == 3
    pulled("rmi", "fsck/one")
    dry = pulled("prune", "--dry-run").stdout.decode().splitlines()
    assert dry[0].startswith("layer sha256-") and dry[0].endswith(": 5 kB") and dry[-1].startswith("would free 6.")
    assert _layers(pulled) == 3
    done = pulled("prune").stdout.decode().splitlines()
    assert done[:-1] == dry[:-1] and done[-1] == dry[-1].replace("would free", "freed")
    assert _layers(pulled) == 2 == len(list((pulled.store / "skeletons").iterdir()))
    assert pulled("fsck").code == 0
    pulled("rmi", "fsck/two")
    pulled("prune")
    assert not [path for path in pulled.store.rglob("*") if not path.is_dir()] and _layers(pulled) == 0


@root
def test_prune_takes_images_whose_name_means_another_now(pulled: Command, registry: Registry) -> None:
    registry.push(oci.image([layer({"new": b"1"})]), "fsck/one")
    [old] = [line.split()[2] for line in pulled("images").stdout.decode().splitlines() if "fsck/one" in line]
    pulled("pull", "-q", "fsck/one")
    assert f"fsck/one <none> {old}" in " ".join(pulled("images").stdout.decode().split())
    assert b"which has no name" in pulled("prune").stdout and _layers(pulled) == 3
    assert old not in pulled("images").stdout.decode()


@root
def test_what_was_asked_for_by_digest_is_no_garbage(pulled: Command, registry: Registry) -> None:
    digest = registry.push(oci.image([layer({"by": b"digest"})]), "fsck/digest")
    assert pulled("pull", "-q", f"fsck/digest@{digest}").code == 0
    assert pulled("prune").stdout == b"freed 0 B\n" and _layers(pulled) == 4


@root
def test_prune_beside_a_running_container_and_a_pull(mydocker: Command) -> None:
    running = mydocker.start("run", "-i", "--network", "none", "alpine", "sh", "-c", "echo up; cat; ls /bin/sh")
    assert running.stdin and running.stdout
    assert running.stdout.readline() == b"up\n"
    mydocker("rmi", "alpine")
    assert mydocker("prune").stdout == b"freed 0 B\n"
    layers = os.open(mydocker.store / "layers", os.O_RDONLY)
    fcntl.flock(layers, fcntl.LOCK_SH)  # as a pull does
    running.stdin.close()
    assert running.stdout.read() == b"/bin/sh\n" and running.wait() == 0
    done = mydocker("prune")
    assert (done.stdout, done.stderr) == (
        b"freed 0 B\n",
        b"a pull is under way: layers and blobs were left alone\n",
    )
    assert mydocker("fsck", "--repair").code == 125
    os.close(layers)
    running.stdout.close()
    if running.stderr:
        running.stderr.close()
    assert b"layer sha256-" in mydocker("prune").stdout and _layers(mydocker) == 0


def test_an_empty_store_is_whole(mydocker: Command) -> None:
    for words in (("fsck",), ("fsck", "--repair")):
        assert mydocker(*words).code == 0
    assert mydocker("prune").stdout == b"freed 0 B\n"
