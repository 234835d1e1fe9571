"""The store on disk: names, privacy, and what damage does. Images come from a real registry."""

from __future__ import annotations

import os
import pathlib
import subprocess
import threading

import pytest
from lab import oci
from lab.command import Command, command
from lab.oci import DIR, layer
from lab.registry import Registry

from mydocker.image.model import StoredImage
from mydocker.image.resolve import resolve
from mydocker.image.store import Store, catalog, flock, read_ref, remove_tree
from mydocker.image.store_root import is_held
from mydocker.reference import Digest, Platform, Reference

HOST = Platform(os="linux", architecture="amd64")
ARM = Platform(os="linux", architecture="arm64")


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"MYDOCKER_ROOT": "/x/y"}, "/x/y"),
        ({"MYDOCKER_ROOT": "x"}, f"{pathlib.Path.cwd()}/x"),
        ({"MYDOCKER_ROOT": "", "HOME": "/h"}, "/var/lib/mydocker"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d"}, "/var/lib/mydocker"),
    ],
)
@pytest.mark.root
def test_where_root_s_store_is(environ: dict[str, str], root: str) -> None:
    assert Store.open(environ).root == root


def test_no_two_names_share_a_path() -> None:
    store = Store("/s")
    digest = "sha256:" + "a" * 64
    names = ["a", "a:b", "a/b", "a/b:c", "host:5000/a", "host:5000/a:b", f"a@{digest}", "localhost/a"]
    paths = {store.ref_path(Reference.parse(name), platform) for name in names for platform in (HOST, ARM)}
    assert len(paths) == 2 * len(names)
    assert not any(one != two and one.startswith(f"{two}/") for one in paths for two in paths)


@pytest.fixture
def image(registry: Registry, store: pathlib.Path) -> tuple[Store, Reference, StoredImage]:
    built = oci.image([layer({"etc": DIR, "etc/motd": b"hello\n"})], cmd=["/bin/true"])
    registry.push(built, "store/plain")
    reference = Reference.parse(f"{registry.address}/store/plain")
    there = Store(str(store))
    return there, reference, _resolve(there, reference)


def _resolve(store: Store, reference: Reference, *, platform: Platform = HOST, policy: str = "missing") -> StoredImage:
    environ = {"HOME": "/nonexistent"}
    return resolve(reference, platform=platform, policy=policy, store=store, environ=environ)


def test_found_again_by_tag_and_by_digest(image: tuple[Store, Reference, StoredImage]) -> None:
    store, reference, pulled = image
    assert store.find(reference, HOST) == pulled
    by_digest = reference.replace(tag=None, digest=pulled.manifest)
    assert store.find(by_digest, HOST) == pulled.replace(reference=by_digest)
    assert store.find(reference, ARM) is None
    assert store.find(reference.replace(tag="other"), HOST) is None


def test_another_platform_does_not_displace_ours(registry: Registry, store: pathlib.Path) -> None:
    files = [layer({"ours": b"1"})], [layer({"theirs": b"1"})]
    index = oci.index([oci.image(files[0]), oci.image(files[1], architecture="arm64")])
    digest = registry.push(index, "store/both")
    there, reference = Store(str(store)), Reference.parse(f"{registry.address}/store/both")
    ours, theirs = _resolve(there, reference), _resolve(there, reference, platform=ARM)
    assert os.listdir(ours.lowerdirs[0]) == ["ours"] and os.listdir(theirs.lowerdirs[0]) == ["theirs"]
    assert there.find(reference, HOST) == ours
    by_index = reference.replace(tag=None, digest=Digest.parse(digest))
    assert (found := there.find(by_index, ARM)) and found.lowerdirs == theirs.lowerdirs


def test_nobody_else_can_look_inside(image: tuple[Store, Reference, StoredImage]) -> None:
    """Layers hold setuid programs of strangers."""
    root = image[0].root
    directories = dict.fromkeys(["blobs", "containers", "incoming", "layers", "refs", "skeletons"], 0o700)
    found = {name: os.stat(f"{root}/{name}").st_mode & 0o777 for name in os.listdir(root)}
    assert found == directories | {"layers.lock": 0o600}
    assert os.listdir(f"{root}/incoming") == []


def test_any_flipped_byte_of_ref_and_config_is_noticed(image: tuple[Store, Reference, StoredImage]) -> None:
    store, reference, pulled = image
    ref = pathlib.Path(store.ref_path(reference, HOST))
    config = next(line.split()[1] for line in ref.read_text().splitlines() if line.startswith("config "))
    for path in (ref, pathlib.Path(store.blob_path(Digest.parse(config)))):
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
            assert store.find(reference, HOST) is None, place
        path.write_bytes(whole[: len(whole) // 2])
        assert store.find(reference, HOST) is None
        path.write_bytes(whole)
    assert store.find(reference, HOST) == pulled


def test_a_name_is_given_while_others_take_it_away(image: tuple[Store, Reference, StoredImage]) -> None:
    """`rmi` removes directories that are empty for a moment."""
    store, reference, pulled = image
    path = store.ref_path(reference, HOST)
    ref = read_ref(path)
    given = threading.Event()

    def remove() -> None:
        while not given.is_set():
            catalog.unlink(store, path)

    removing = threading.Thread(target=remove)
    removing.start()
    try:
        for _ in range(200):
            store.record_ref(reference, HOST, manifest=ref.manifest, config=ref.config, origin=reference)
    finally:
        given.set()
        removing.join()
    store.record_ref(reference, HOST, manifest=ref.manifest, config=ref.config, origin=reference)
    assert store.find(reference, HOST) == pulled


@pytest.mark.parametrize("damage", ["gone", "another"])
def test_a_pull_of_what_is_there_heals_its_manifest(image: tuple[Store, Reference, StoredImage], damage: str) -> None:
    """Which no container needs, but `images`, `inspect` and `save` do."""
    store, reference, pulled = image
    path = pathlib.Path(store.blob_path(pulled.manifest))
    whole = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(whole + b" ")
    assert _resolve(store, reference, policy="always") == pulled
    assert path.read_bytes() == whole


@pytest.mark.parametrize("what", ["layers/*", "blobs/sha256/*", "refs/*/*/*/*/*"])
def test_what_is_missing_is_fetched_again(image: tuple[Store, Reference, StoredImage], what: str) -> None:
    store, reference, pulled = image
    lost = list(pathlib.Path(store.root).glob(what))
    assert lost
    for path in lost:
        remove_tree.remove(str(path)) if path.is_dir() else path.unlink()
    assert store.find(reference, HOST) is None
    assert _resolve(store, reference) == pulled
    assert pathlib.Path(pulled.lowerdirs[0], "etc/motd").read_bytes() == b"hello\n"


def test_a_tree_of_any_depth_is_removed(tmp_path: pathlib.Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "canary").write_bytes(b"1")
    (top / "link").symlink_to(tmp_path)
    (top / "0").mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        os.symlink(tmp_path, "l", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.chmod(here, 0)
        os.close(here)
        here = below
    os.close(here)
    remove_tree.remove(str(top))
    remove_tree.remove(str(top))
    assert [path.name for path in tmp_path.iterdir()] == ["canary"]


def test_a_longer_stage_of_a_killed_process_leaves_no_tail(store: pathlib.Path) -> None:
    """Its number may be ours by now."""
    there = Store(str(store))
    there.prepare()
    (store / "incoming" / f"name-{os.getpid()}.lock").write_bytes(b"x" * 400)
    there.keep("refs/name", b"short")
    assert (store / "refs" / "name").read_bytes() == b"short" and os.listdir(store / "incoming") == []


def test_a_lock_is_one_holder_s_and_goes_with_its_file(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "x.lock")
    held = flock.acquire(path)
    assert held is not None and flock.acquire(path, wait=False) is None
    flock.release(held, path)
    assert os.listdir(tmp_path) == []
    again = flock.acquire(path, wait=False)
    assert again is not None
    flock.release(again, path)


LINKED = "rmdir {store}; mkdir -p {disk}/store; ln -s {disk}/store {store}; "  # a store on another disk
DIRECTORIES = ["containers", "layers", "blobs", "refs", "skeletons", "incoming", "kept", "volumes", "seccomp"]


@pytest.mark.root
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("chown 4242 {store}", "{store} belongs to user 4242, so mydocker keeps no images there"),
        ("chown 4242 {above}", "{above} belongs to user 4242, so mydocker keeps no images there"),
        ("chmod o+w {store}", "{store} can be written by others, so mydocker keeps no images there"),
        ("chmod 1777 {store}", "{store} can be written by others, so mydocker keeps no images there"),
        (
            "chgrp 4242 {store}; chmod g+w {store}",
            "{store} can be written by others, so mydocker keeps no images there",
        ),
        ("chmod 0777 {above}", "{above} can be written by others, so mydocker keeps no images there"),
        (
            "chgrp 4242 {above}; chmod g+w {above}",
            "{above} can be written by others, so mydocker keeps no images there",
        ),
        (LINKED + "chown 4242 {disk}", "{disk} belongs to user 4242, so mydocker keeps no images there"),
        (LINKED + "chown 4242 {disk}/store", "{disk}/store belongs to user 4242, so mydocker keeps no images there"),
        (LINKED + "chown 4242 {above}", "{above} belongs to user 4242, so mydocker keeps no images there"),
        (LINKED + "chmod 0777 {disk}", "{disk} can be written by others, so mydocker keeps no images there"),
    ],
)
@pytest.mark.parametrize(
    "words", [("run", "alpine", "true"), ("pull", "alpine"), ("images",), ("prune",), ("volume", "ls")]
)
def test_a_store_of_somebody_else_is_refused(
    registry: Registry, tmp_path: pathlib.Path, script: str, message: str, words: tuple[str, ...]
) -> None:
    names = {"above": tmp_path / "above", "store": tmp_path / "above" / "store", "disk": tmp_path / "disk"}
    names["store"].mkdir(parents=True)
    mydocker = command(tmp_path, registry=registry.address, store=names["store"], forks=True)
    subprocess.run(["sh", "-ec", script.format(**names)], check=True)
    done = mydocker(*words)
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.decode().startswith(f"mydocker: {message.format(**names)}\n")
    assert list(names["store"].iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize("name", [*DIRECTORIES, "blobs/sha256"])
@pytest.mark.parametrize(
    "words", [("run", "--keep", "-v", "named:/x", "alpine", "true"), ("pull", "alpine"), ("prune",)]
)
def test_no_directory_of_a_store_is_a_link(
    mydocker: Command, canary: pathlib.Path, name: str, words: tuple[str, ...]
) -> None:
    (mydocker.store / name).parent.mkdir(parents=True, exist_ok=True)
    (mydocker.store / name).symlink_to(canary)
    done = mydocker(*words)
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.decode().startswith(
        f"mydocker: {mydocker.store}/{name} is a symbolic link, which a store does not"
    )


@pytest.mark.root
@pytest.mark.parametrize("name", [*DIRECTORIES, "blobs/sha256"])
@pytest.mark.parametrize(("owner", "mode", "fault"), [(4242, 0o755, "belongs to user 4242"), (0, 0o777, "can be")])
def test_no_directory_of_a_store_is_another_s(
    mydocker: Command, canary: pathlib.Path, name: str, owner: int, mode: int, fault: str
) -> None:
    """A store that was handed over may still have directories of the one before, with links in them."""
    path = mydocker.store / name
    path.mkdir(parents=True)
    (path / "0123456789ab").symlink_to(canary)
    path.chmod(mode)
    os.chown(path, owner, owner)
    done = mydocker("run", "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr.decode().startswith(f"mydocker: {path} {fault}")


@pytest.mark.root
@pytest.mark.parametrize(
    "name", ["containers/0123456789ab", "containers/0123456789ab.lock", "kept/0123456789ab", "incoming/x", "layers/x"]
)
def test_no_link_below_is_followed(mydocker: Command, canary: pathlib.Path, name: str) -> None:
    """Not even one of the caller's own."""
    assert mydocker("run", "alpine", "true").code == 0
    path = mydocker.store / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(canary)
    assert mydocker("run", "alpine", "true").code == 0
    mydocker("prune")


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_a_store_of_one_s_own_may_have_any_of_these_modes(mydocker: Command, mode: int) -> None:
    mydocker.store.mkdir(exist_ok=True)
    mydocker.store.chmod(mode)
    assert mydocker("run", "alpine", "true").code == 0


@pytest.mark.root
def test_a_store_may_be_a_link_itself(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "disk").mkdir()
    mydocker.store.symlink_to(tmp_path / "disk")
    assert mydocker("run", "alpine", "true").code == 0
    assert (tmp_path / "disk" / "layers").is_dir()


@pytest.mark.rootless
def test_an_ordinary_user_refuses_another_s_store(second_user: Command) -> None:
    second_user.store.mkdir(exist_ok=True)
    os.chown(second_user.store, 4242, 4242)
    done = second_user("images")
    assert done.code == 125 and b"belongs to user 4242" in done.stderr


def test_whether_a_directory_is_locked(tmp_path: pathlib.Path) -> None:
    """By whoever it is, and however: containers have theirs exclusively, who adds to one shares it."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert not is_held(str(tmp_path)) and not is_held(str(tmp_path / "missing"))
    with flock.shared(str(tmp_path)):
        assert is_held(str(tmp_path)) and not is_held(str(tmp_path / "link")) and not is_held(str(tmp_path / "file"))
    with flock.exclusive(str(tmp_path)):
        assert is_held(str(tmp_path))
    assert not is_held(str(tmp_path))
