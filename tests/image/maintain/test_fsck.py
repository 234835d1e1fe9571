"""The skeleton of a layer, `fsck` and `prune`: what is damaged is named, what is not needed goes, and no more."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import pathlib
import pwd
import random
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import holes, oci
from lab.command import Command, Result, command, granted
from lab.oci import DIR, OPAQUE, WHITEOUT, CharDevice, Dir, Fifo, File, Hardlink, Link, layer
from lab.registry import Registry

from mydocker.image.rebuild import export
from mydocker.image.resolve import resolve
from mydocker.image.store import Store, remove_tree
from mydocker.reference import Digest, Platform, Reference

root = pytest.mark.root
NAMES = ["a", "d/", "d/b", "d/c", "e", "l" * 200]
NOISE = random.Random(2).randbytes(70_000)
CONTENTS = st.sampled_from([b"", b"x", NOISE[:511], NOISE[:512], bytes(3000), NOISE])


def _pull(registry: Registry, store: pathlib.Path, *layers: bytes, name: str = "fsck/image") -> Store:
    registry.push(oci.image(list(layers)), name)
    there = Store(str(store))
    reference = Reference.parse(f"{registry.address}/{name}")
    resolve(reference, platform=Platform.parse("amd64"), policy="always", store=there, environ={"HOME": "/nonexistent"})
    return there


def _rebuilt(store: Store, tar: bytes) -> bytes:
    diff_id = Digest.parse(oci.digest(tar))
    return b"".join(export.layer(store, diff_id).chunks())


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
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(st.sampled_from(NAMES), CONTENTS), max_size=12))
def test_whatever_the_archive_its_last_files_are_there(
    registry: Registry, tmp_path: pathlib.Path, entries: list[tuple[str, bytes]]
) -> None:
    """Of several entries of one path the last counts, and what the others had are zeros in what is rebuilt."""
    tar = layer([("d", DIR), *((name, DIR if name.endswith("/") else data) for name, data in entries)])
    store = _pull(registry, tmp_path / "store", tar, name="fsck/random")
    wanted = {name: data for name, data in entries if not name.endswith("/")}
    with tarfile.open(fileobj=io.BytesIO(_rebuilt(store, tar))) as found:
        files = {member.name: found.extractfile(member).read() for member in found if member.isreg()}  # type: ignore[union-attr]
    assert files == wanted
    if len(wanted) == len([name for name, _ in entries if not name.endswith("/")]):
        assert hashlib.sha256(_rebuilt(store, tar)).hexdigest() == hashlib.sha256(tar).hexdigest()


def _copy_of(store: pathlib.Path, mydocker: Command) -> Command:
    """The command, which has a copy of STORE."""
    subprocess.run(["cp", "-a", store, mydocker.store], check=True)
    return mydocker


def _whole(mydocker: Command, *names: str) -> pathlib.Path:
    """The store of the command, into which it has pulled NAMES; it is whole."""
    assert mydocker("pull", "-q", *names).code == 0
    assert mydocker("fsck") == Result(b"", b"", 0)
    return mydocker.store


@pytest.fixture(scope="module")
def images(registry: Registry) -> dict[str, oci.Image]:
    """Two that share a layer, and their names in the registry."""
    shared = layer({"etc": DIR, "etc/shared": os.urandom(5000)})
    made = {f"fsck/{name}": oci.image([shared, layer({name: os.urandom(5000)})]) for name in ("one", "two")}
    for name, image in made.items():
        registry.push(image, name)
    return made


@pytest.fixture(scope="module")
def both(images: dict[str, oci.Image], registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A store that has them."""
    return _whole(command(tmp_path_factory.mktemp("both"), registry=registry.address, forks=True), *images)


@pytest.fixture
def pulled(both: pathlib.Path, mydocker: Command) -> Command:
    """A store with two images that share a layer; it is whole."""
    return _copy_of(both, mydocker)


@pytest.fixture
def renew(registry: Registry, images: dict[str, oci.Image]) -> Iterator[Callable[[], object]]:
    """Makes `fsck/one` mean another image for the rest of the test."""
    yield lambda: registry.push(oci.image([layer({"newer": b"1"})]), "fsck/one")
    registry.push(images["fsck/one"], "fsck/one")


@root
def test_a_byte_flipped_anywhere_is_named_and_repaired(pulled: Command) -> None:
    files = sorted(path for path in pulled.store.rglob("*") if path.is_file() and not path.is_symlink())
    chooser = random.Random(1)
    assert len(files) > 12
    before = _listed(pulled)
    for path in files:
        data = bytearray(path.read_bytes()) if path.exists() else bytearray()
        if not data:
            continue  # removed by an earlier repair: those of its layer
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        path.write_bytes(data)
        found = pulled("fsck")
        assert found.code == 1 and found.stdout and not found.stderr, path
        repaired = pulled("fsck", "--repair")
        assert repaired.code == 1 and b"(removed)" in repaired.stdout and not repaired.stderr
        assert pulled("fsck").code == 0
        if b"is damaged" in repaired.stdout:  # the name itself, and with it what it meant
            assert pulled("pull", "-q", "fsck/one", "fsck/two").code == 0
        assert _listed(pulled) == before, path


STRAYS: dict[str, Callable[[pathlib.Path], object]] = {
    "file": lambda path: path.write_bytes(b"x"),
    "directory": lambda path: (path / "d").mkdir(parents=True),
    "FIFO": os.mkfifo,
    "link": lambda path: path.symlink_to("/"),
}
PLACES = [
    "incoming/tmpx",
    "incoming/x.lock",
    "incoming/.lock",
    "incoming/...lock",
    "incoming/x.part",
    "incoming/" + "n" * 255,
    "layers/x",
    "layers/" + "n" * 255,
    "layers/sha256-" + "0" * 64,
    "layers/sha256-" + "0" * 64 + "-" + "n" * 183,
    "blobs/sha256/x",
    "skeletons/x",
    "refs/x",
    "refs/localhost/x/:1/linux-amd64",
    "refs/@sha256/" + "0" * 64 + "/linux-amd64",
    "containers/x",
    "kept/x",
]


@root
@pytest.mark.parametrize("kind", STRAYS)
def test_what_does_not_belong_there_stops_nobody(pulled: Command, registry: Registry, kind: str) -> None:
    """Wherever it lies: pulls and prunes go on, and a repair, or they, remove it."""
    before = _listed(pulled)
    for first in (["images"], ["fsck", "--repair"], ["prune"], ["prune", "--dry-run"]):
        for place in PLACES:
            path = pulled.store / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(path):  # one of the round before, which only a repair removes
                STRAYS[kind](path)
        done = pulled(*first)
        assert done.code in (0, 1) and not done.stderr, (first, done)
        registry.push(oci.image([layer({"new": first[-1].encode()})]), "fsck/new")
        assert pulled("pull", "-q", "fsck/new") == Result(b"", b"", 0), first
        for words in (["rmi", "fsck/new"], ["fsck", "--repair"], ["prune"]):
            done = pulled(*words)
            assert done.code in (0, 1) and not done.stderr, (first, words, done)
        assert pulled("fsck") == Result(b"", b"", 0) and _listed(pulled) == before, first
        left = {place for place in PLACES if (pulled.store / place).is_file()}
        assert left <= {"containers/x"}, first


@root
@pytest.mark.parametrize("kind", ["file", "directory", "FIFO"])
@pytest.mark.parametrize("what", ["layers/*", "blobs/sha256/*", "skeletons/*", "refs/*/*/*/*/linux-amd64"])
def test_something_else_in_place_of_a_stored_file_is_healed(pulled: Command, what: str, kind: str) -> None:
    before = _listed(pulled)
    for path in sorted(pulled.store.glob(what)):
        remove_tree.remove(str(path))
        STRAYS[kind](path)
        assert pulled("images").code == 0
        assert pulled("fsck").code == 1
        assert pulled("fsck", "--repair").code == 1
        pulled("pull", "-q", "fsck/one", "fsck/two")
        assert pulled("fsck") == Result(b"", b"", 0) and _listed(pulled) == before, path


def _listed(command: Command) -> list[dict[str, object]]:
    """All names and what they mean."""
    rows = json.loads(command("images", "--format", "json").stdout)
    return [{key: row[key] for key in ("repository", "tag", "id", "digest")} for row in rows]


@root
def test_a_repair_that_cannot_fetch_says_so(pulled: Command, registry: Registry) -> None:
    """The registry is gone, so is the image; what it shares with the other one too, and both are named."""
    pulled("tag", "fsck/one", "mine:1")
    [path] = pulled.store.glob("layers/*/etc/shared")
    path.write_bytes(b"damaged")
    conf = pulled.directory / "config" / "containers" / "registries.conf"
    conf.write_text(conf.read_text().replace(registry.address, "127.0.0.1:1"))
    done = pulled("fsck", "--repair")
    assert done.code == 1 and not done.stderr
    for line, name in zip(done.stdout.decode().splitlines()[-2:], ("fsck/one", "fsck/two"), strict=True):
        start = f"image {name}:latest (linux/amd64): cannot be fetched again: image {name}@sha256:"
        assert line.startswith(start) and line.endswith(": registry 127.0.0.1:1: connection refused"), line
    assert _listed(pulled) == [] and pulled("fsck").code == 0


@root
def test_a_repair_says_what_came_from_files(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """Which no registry has."""
    layout = oci.write_layout(tmp_path / "app", oci.image([layer({"a": b"1"})]))
    assert mydocker("pull", "-q", f"oci:{layout}").code == 0
    [path] = mydocker.store.glob("layers/*/a")
    path.write_bytes(b"2")
    said = mydocker("fsck", "--repair").stdout
    assert b"image localhost/app:latest (linux/amd64): cannot be fetched again: it came from files, from which" in said
    assert mydocker("pull", "-q", f"oci:{layout}").code == 0 and mydocker("fsck") == Result(b"", b"", 0)


@root
def test_a_repair_fetches_what_the_names_meant_not_what_they_mean_now(
    pulled: Command, renew: Callable[[], object]
) -> None:
    pulled("tag", "fsck/one", "mine:1")
    before = _listed(pulled)
    renew()
    [path] = pulled.store.glob("layers/*/one")
    path.unlink()
    done = pulled("fsck", "--repair")
    assert done.code == 1 and b"fsck/one:latest (linux/amd64): fetched again" in done.stdout
    assert _listed(pulled) == before and path.exists() and pulled("fsck").code == 0


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


CAPABILITY = b"\1\0\0\2\0\4" + bytes(14)
VARIETY: dict[str, object] = {
    "./": Dir(mode=0o711),
    "d": Dir(mode=0o1777, uid=1),
    "d/file": File(b"1", mode=0o4755, uid=5, gid=6, xattrs={"user.note": b"here", "user.overlay.opaque": b"y"}),
    "d/capable": File(b"2", xattrs={"security.capability": CAPABILITY}),
    "d/other": Hardlink("d/file"),
    "d/empty": b"",
    "d/link": Link("file", xattrs={"user.note": b"which no link can have"}),
    "link": Link("d/file", uid=3),
    "to-link": Hardlink("link"),
    "fifo": Fifo(mode=0o600, gid=9, xattrs={"user.note": b"nor a FIFO"}),
    "null": CharDevice(1, 3, mode=0o666),
    "gone": WHITEOUT,
    "implied/gone": WHITEOUT,
    "own": DIR,
    "own/": WHITEOUT,
    "opaque": DIR,
    "opaque/": OPAQUE,
    "n" * 200 + "/" + "m" * 200: File(b"3"),
}


def _relink(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("d/other")


def _replace(path: pathlib.Path) -> None:
    path.unlink()
    path.write_bytes(b"a file")


def _remake(path: pathlib.Path) -> None:
    path.unlink()
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))


def _copy(path: pathlib.Path) -> None:
    twin = path.with_name("twin")
    shutil.copy2(path, twin)
    os.chown(twin, path.stat().st_uid, path.stat().st_gid)
    twin.chmod(0o4755)
    twin.rename(path)


TAMPERED: dict[str, tuple[str, Callable[[pathlib.Path], object], str]] = {
    "mode": ("d/file", lambda path: path.chmod(0o755), "has mode 0755 instead of 4755"),
    "mode of a directory": ("d", lambda path: path.chmod(0o777), "has mode 0777 instead of 1777"),
    "mode of the root": ("", lambda path: path.chmod(0o700), "has mode 0700 instead of 0711"),
    "owner": ("fifo", lambda path: os.chown(path, 7, 9), "belongs to 7:9 instead of 0:9"),
    "group": ("d", lambda path: os.chown(path, 1, 8), "belongs to 1:8 instead of 1:0"),
    "owner of a link": ("link", lambda path: os.lchown(path, 0, 0), "belongs to 0:0 instead of 3:0"),
    "attribute": ("d/file", lambda path: os.setxattr(path, "user.note", b"x"), "has another attribute 'user.note'"),
    "no attribute": ("d/file", lambda path: os.removexattr(path, "user.note"), "has lost its attribute 'user.note'"),
    "no capability": (
        "d/capable",
        lambda path: os.removexattr(path, "security.capability"),
        "has lost its attribute 'security.capability'",
    ),
    "target": ("link", _relink, "points elsewhere"),
    "kind": ("fifo", lambda path: (path.unlink(), path.mkdir()), "is not a FIFO any more"),
    "no link": ("link", lambda path: path.unlink(), "is missing"),
    "device": ("null", _remake, "is another device"),
    "whiteout": ("gone", lambda path: path.unlink(), "'.wh.gone': does not hide that name any more"),
    "whiteout of another kind": ("gone", _replace, "'.wh.gone': does not hide that name any more"),
    "directory of a whiteout": (
        "implied",
        lambda path: shutil.rmtree(path),
        "'implied/.wh.gone': does not hide that name any more",
    ),
    "mark of a directory with a whiteout": (
        "",
        lambda path: os.removexattr(path, "trusted.overlay.origin"),
        "'.wh.gone': does not hide that name any more",
    ),
    "mark of a directory that hides": (
        "opaque",
        lambda path: os.removexattr(path, "trusted.overlay.opaque"),
        "'opaque/.wh..wh..opq': does not hide what lower layers have there any more",
    ),
    "mark of a directory that a whiteout hides": (
        "own",
        lambda path: os.removexattr(path, "trusted.overlay.opaque"),
        "'.wh.own': does not hide that name any more",
    ),
    "forged mark": (
        "d",
        lambda path: os.setxattr(path, "trusted.overlay.opaque", b"y"),
        "'d': has the attribute 'trusted.overlay.opaque', which was not in the archive",
    ),
    "forged mark of what the archive does not mention": (
        "implied",
        lambda path: os.setxattr(path, "trusted.overlay.opaque", b"y"),
        "'implied': has the attribute 'trusted.overlay.opaque', which was not in the archive",
    ),
    "forged capability": (
        "d/file",
        lambda path: os.setxattr(path, "security.capability", CAPABILITY),
        "has the attribute 'security.capability', which was not in the archive",
    ),
    "contents of an empty file": ("d/empty", lambda path: path.write_bytes(b"x"), "has 1 bytes instead of 0"),
    "file that was added": (
        "d/evil",
        lambda path: (path.write_bytes(b"x"), path.chmod(0o4755)),
        "'d/evil': was not in the archive",
    ),
    "directory that was added": (
        "opaque/deep/er",
        lambda path: path.mkdir(parents=True),
        "'opaque/deep': was not in the archive",
    ),
    "whiteout that was added": (
        "d/hidden",
        lambda path: os.mknod(path, stat.S_IFCHR, 0),
        "'d/hidden': was not in the archive",
    ),
    "name of a file": ("d/other", _copy, "is not the same file as its other names any more"),
}


@pytest.fixture(scope="module")
def variety(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A store with an image of a VARIETY of files."""
    registry.push(oci.image([layer(VARIETY)]), "fsck/variety")
    return _whole(command(tmp_path_factory.mktemp("variety"), registry=registry.address, forks=True), "fsck/variety")


@root
@pytest.mark.parametrize("case", TAMPERED)
def test_what_is_no_content_is_compared_too(mydocker: Command, variety: pathlib.Path, case: str) -> None:
    name, tamper, said = TAMPERED[case]
    _copy_of(variety, mydocker)
    [top] = mydocker.store.glob("layers/*")
    tamper(top / name)
    found = mydocker("fsck", "--repair")
    assert found.code == 1 and said in found.stdout.decode() and b"(removed)" in found.stdout, found
    assert mydocker("pull", "-q", "fsck/variety").code == 0 == mydocker("fsck").code


def _write_at(place: int, data: bytes) -> Callable[[pathlib.Path], object]:
    def write(path: pathlib.Path) -> None:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(data)

    return write


@root
@pytest.mark.parametrize("format", holes.FORMATS)
def test_a_sparse_file_is_compared(mydocker: Command, registry: Registry, tmp_path: pathlib.Path, format: str) -> None:
    """Of which the archive has some pieces only."""
    tar = holes.archive(holes.make(tmp_path / "source", size=9_000_000), format)
    registry.push(oci.image([tar]), "fsck/sparse")
    assert mydocker("pull", "-q", "fsck/sparse").code == 0 and mydocker("fsck") == Result(b"", b"", 0)
    tampered = [_write_at(5_050_000, b"x"), _write_at(0, b"x"), _write_at(30_000, b"x"), _write_at(8_999_999, b"x")]
    for tamper in (*tampered, lambda path: os.truncate(path, 8_000_000), lambda path: path.write_bytes(b"")):
        [path] = mydocker.store.glob("layers/*/holes")
        tamper(path)
        found = mydocker("fsck", "--repair")
        assert found.code == 1 and b"'holes': " in found.stdout and mydocker("fsck") == Result(b"", b"", 0)


def test_a_variety_of_files_is_whole_for_everybody(second_user: Command, registry: Registry) -> None:
    """With one id only, where no file has its owner and no device can be made."""
    registry.push(oci.image([layer(VARIETY)]), "fsck/variety")
    assert second_user("pull", "-q", "fsck/variety").code == 0
    assert second_user("fsck") == Result(b"", b"", 0)


@root
def test_a_user_with_ids_of_their_own_keeps_what_the_archive_says(
    second_user: Command, user: pwd.struct_passwd, registry: Registry
) -> None:
    registry.push(oci.image([layer(VARIETY)]), "fsck/variety")
    with granted(user, 700_000):
        assert second_user("pull", "-q", "fsck/variety").code == 0
        assert second_user("fsck") == Result(b"", b"", 0)
        [path] = second_user.store.glob("layers/*/fifo")
        os.chown(path, 700_100, 700_100)
        assert b"belongs to 101:101 instead of 0:9" in second_user("fsck").stdout


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
    assert dry[0].startswith("blob ") and dry[-1].startswith("would free 6.")
    assert dry[1].startswith("layer sha256-") and dry[1].endswith(": 5 kB")
    assert _layers(pulled) == 3
    done = pulled("prune").stdout.decode().splitlines()
    assert done[:-1] == dry[:-1] and done[-1] == dry[-1].replace("would free", "freed")
    assert _layers(pulled) == 2 == len(list((pulled.store / "skeletons").iterdir()))
    assert pulled("fsck").code == 0
    pulled("rmi", "fsck/two")
    pulled("prune")
    files = [path.name for path in pulled.store.rglob("*") if not path.is_dir()]
    assert files == ["layers.lock"] and _layers(pulled) == 0


@root
def test_prune_takes_images_whose_name_means_another_now(pulled: Command, renew: Callable[[], object]) -> None:
    renew()
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
def test_prune_during_a_run_and_a_pull(mydocker: Command) -> None:
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


@root
def test_names_come_and_go_during_pulls(pulled: Command) -> None:
    """Pulls of what is present, `tag` and `rmi` at once: nobody fails, and what stays is whole."""
    for _ in range(5):
        pulls = [pulled.start("pull", "-q", "fsck/one") for _ in range(3)]
        others = [pulled.start("rmi", "fsck/one"), pulled.start("tag", "fsck/two", "fsck/one"), pulled.start("prune")]
        assert [(*each.communicate(timeout=240), each.returncode) for each in pulls] == [(b"", b"", 0)] * 3
        for each in others:
            _, said = each.communicate(timeout=240)
            assert each.returncode in (0, 1) and b"hint: see" not in said, said
        assert pulled("fsck") == Result(b"", b"", 0)


def test_an_empty_store_is_whole(mydocker: Command) -> None:
    for words in (("fsck",), ("fsck", "--repair")):
        assert mydocker(*words).code == 0
    assert mydocker("prune").stdout == b"freed 0 B\n"
