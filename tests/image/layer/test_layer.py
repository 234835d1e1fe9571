"""Layers on disk: what real and hostile archives become, seen through a real overlay mount.

Whatever a layer tries, a canary outside the store keeps its bytes, mode and link count, and no mount is left.
"""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
from collections.abc import Callable, Iterator

import pytest
from lab import oci
from lab.command import Command
from lab.oci import (
    DIR,
    OPAQUE,
    WHITEOUT,
    BlockDevice,
    CharDevice,
    Dir,
    Entries,
    Fifo,
    File,
    Hardlink,
    Link,
    layer,
)
from lab.registry import Registry

from mydocker.errors import ImageError
from mydocker.image.model import StoredImage
from mydocker.image.resolve import resolve
from mydocker.image.store import Store
from mydocker.reference import Platform, Reference

pytestmark = pytest.mark.root
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, linux/capability.h

Pull = Callable[..., StoredImage]


@pytest.fixture
def pull(registry: Registry, store: pathlib.Path, canary: pathlib.Path) -> Pull:
    def pull(*layers: Entries | bytes) -> StoredImage:
        tars = [each if isinstance(each, bytes) else layer(each) for each in layers]
        digest = registry.push(oci.image(tars), "layer/tried")
        reference = Reference.parse(f"{registry.address}/layer/tried@{digest}")
        platform = Platform(os="linux", architecture="amd64")
        return resolve(reference, platform=platform, policy="missing", store=Store(str(store)), environ={"HOME": "/"})

    return pull


@pytest.fixture
def merged(tmp_path: pathlib.Path) -> Iterator[Callable[[StoredImage], pathlib.Path]]:
    """Mounts an image as a container gets it."""
    place = tmp_path / "merged"
    place.mkdir()

    def mount(image: StoredImage) -> pathlib.Path:
        lower = ":".join(reversed(image.lowerdirs))
        if len(image.lowerdirs) == 1:
            lower += f":{tmp_path / 'store' / 'containers'}"  # overlay wants two
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower}", place], check=True)
        return place

    yield mount
    subprocess.run(["umount", place], check=False)


def tree(top: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


LOWER: Entries = {"d": DIR, "d/old": b"1", "d/sub": DIR, "d/sub/x": b"1", "file": b"1", "link": Link("d")}


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ({"file": WHITEOUT}, ["d", "d/old", "d/sub", "d/sub/x", "link"]),
        ({"d": WHITEOUT}, ["file", "link"]),
        ({"d/sub": WHITEOUT}, ["d", "d/old", "file", "link"]),
        ({"absent": WHITEOUT}, ["d", "d/old", "d/sub", "d/sub/x", "file", "link"]),
        ({"d": DIR, "d/": OPAQUE, "d/new": b"2"}, ["d", "d/new", "file", "link"]),
        ([("d/new", b"2"), ("d", OPAQUE)], ["d", "d/new", "file", "link"]),
        ([("d", WHITEOUT), ("d/new", b"2")], ["d", "d/new", "file", "link"]),
        ([("d/new", b"2"), ("d", WHITEOUT)], ["d", "d/new", "file", "link"]),
        ([("file", b"2"), ("file", WHITEOUT)], ["d", "d/old", "d/sub", "d/sub/x", "file", "link"]),
        ([("link", DIR), ("link/y", b"2")], ["d", "d/old", "d/sub", "d/sub/x", "file", "link", "link/y"]),
        ({"": OPAQUE, "only": b"2"}, ["only"]),
        ({"new": DIR, "new/x": WHITEOUT, "d": DIR}, ["d", "d/old", "d/sub", "d/sub/x", "file", "link", "new"]),
        ([("file", DIR), ("file/x", WHITEOUT), ("file/y", b"2"), ("d", WHITEOUT)], ["file", "file/y", "link"]),
    ],
)
def test_whiteouts_as_the_specification_has_them(
    pull: Pull, merged: Callable[[StoredImage], pathlib.Path], upper: Entries, expected: list[str]
) -> None:
    assert tree(merged(pull(LOWER, upper))) == expected


def test_everything_that_a_file_has(pull: Pull, merged: Callable[[StoredImage], pathlib.Path]) -> None:
    top = merged(
        pull(
            {
                "./": Dir(mode=0o711, uid=3),
                "ping": File(b"x", mode=0o755, xattrs={"security.capability": CAPABILITY, "user.note": b"hi"}),
                "su": File(b"x", mode=0o4755, uid=7, gid=8),
                "closed": Dir(mode=0),
                "closed/in": b"1",
                "null": CharDevice(1, 3, mode=0o666),
                "disk": BlockDevice(8, 0),
                "fifo": Fifo(mode=0o600),
                "hard": Hardlink("su"),
                "dangling": Link("../../../nowhere"),
                "implied/by/a/file": b"1",
                "huge-id": File(b"", uid=2_000_000_000),
                "n" * 250: b"long",
                os.fsdecode(b"\xff\xfe"): b"no text",
                "é": b"text",
                "touched": File(b"", mtime=5),
            }
        )
    )
    found = {name: os.lstat(top / name) for name in os.listdir(top)}
    modes = {name: stat.S_IMODE(found[name].st_mode) for name in ("su", "closed", "null", "fifo", "implied")}
    assert modes == {"su": 0o4755, "closed": 0, "null": 0o666, "fifo": 0o600, "implied": 0o755}
    assert (stat.S_IMODE(top.stat().st_mode), top.stat().st_uid) == (0o711, 3)
    assert (found["su"].st_uid, found["su"].st_gid, found["su"].st_nlink) == (7, 8, 2)
    assert os.getxattr(top / "ping", "security.capability") == CAPABILITY
    assert os.getxattr(top / "ping", "user.note") == b"hi"
    assert stat.S_ISCHR(found["null"].st_mode) and found["null"].st_rdev == os.makedev(1, 3)
    assert stat.S_ISBLK(found["disk"].st_mode) and stat.S_ISFIFO(found["fifo"].st_mode)
    assert os.readlink(top / "dangling") == "../../../nowhere"
    assert (found["touched"].st_mtime, found["huge-id"].st_uid) == (5, 2_000_000_000)
    assert {"é", os.fsdecode(b"\xff\xfe"), "n" * 250} <= set(found)


def test_overlay_s_own_signs_cannot_be_forged(pull: Pull) -> None:
    forged = {f"{space}.overlay.{name}": b"y" for space in ("trusted", "user") for name in ("opaque", "redirect")}
    image = pull({"d": Dir(xattrs={**forged, "user.kept": b"1"}), "f": File(xattrs=forged)})
    [top] = image.lowerdirs
    assert os.listxattr(f"{top}/d") == ["user.kept"] and os.listxattr(f"{top}/f") == []


def test_of_duplicates_the_last_counts(pull: Pull) -> None:
    image = pull(
        [
            ("f", b"1"),
            ("f", b"2"),
            ("becomes-dir", b"1"),
            ("becomes-dir", DIR),
            ("becomes-dir/x", b"1"),
            ("was-link", Link("f")),
            ("was-link", b"3"),
            ("d", DIR),
            ("d/x", b"1"),
            ("d", Dir(mode=0o700)),
        ]
    )
    top = pathlib.Path(image.lowerdirs[0])
    assert tree(top) == ["becomes-dir", "becomes-dir/x", "d", "d/x", "f", "was-link"]
    assert ((top / "f").read_bytes(), (top / "was-link").read_bytes()) == (b"2", b"3")
    assert stat.S_IMODE((top / "d").stat().st_mode) == 0o700


ATTACKS: list[Callable[[str], Entries]] = [
    lambda canary: [("a", Link(canary)), ("a/new", b"evil")],
    lambda canary: [("a", Link(canary)), ("a/file", b"evil")],
    lambda canary: [("a", Link("../" * 40 + canary)), ("a/file", b"evil")],
    lambda canary: [("a", Link(f"{canary}/file")), ("a", b"evil")],
    lambda canary: [("a", Link("/")), (f"a{canary}/file", b"evil")],
    lambda canary: [("a", Link(".")), ("a/b", Link("..")), ("b/c", Link("..")), ("c/x", b"evil")],
    lambda canary: [("a", Hardlink(f"{canary}/file")), ("a", File(b"evil", mode=0o777))],
    lambda canary: [("a", Link(f"{canary}/file")), ("b", Hardlink("a")), ("b", b"evil")],
    lambda canary: [("a", Link(canary)), ("b", Hardlink("a/file")), ("b", b"evil")],
    lambda canary: [("a", Link(canary)), ("a/file", WHITEOUT)],
    lambda canary: [("a", Link(canary)), ("a", OPAQUE)],
    lambda canary: [("a", Link(canary)), ("a/sub/x", WHITEOUT)],
    lambda canary: [("a", Link(canary)), ("a", Dir(mode=0o777)), ("a/file", b"mine")],
    lambda canary: [(f"{canary}/file", b"below the root of the layer")],
    lambda canary: [("a", BlockDevice(254, 0, mode=0o666)), ("a", b"evil")],
    lambda canary: [("a", Fifo()), ("a", b"evil")],
    lambda canary: [("a", Hardlink("b")), ("b", b"later")],
    lambda canary: [("a", Hardlink("a"))],
    lambda canary: [("a", File(b"1", headers={"path": f"../../../../../..{canary}/file"}))],
    lambda canary: [("a", File(b"1", headers={"linkpath": f"{canary}/file"}))],
]


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("across", [False, True], ids=["one-layer", "two-layers"])
def test_nothing_is_written_outside(
    pull: Pull, canary: pathlib.Path, store: pathlib.Path, attack: Callable[[str], Entries], across: bool
) -> None:
    """Refused, or harmless: `canary` looks after the rest."""
    entries = list(attack(str(canary)))  # type: ignore[arg-type]  # all of them are lists of pairs
    layers = [entries[:1], entries[1:]] if across else [entries]
    try:
        image = pull(*layers)
    except ImageError as error:
        assert error.message.startswith("layer sha256:") and "\n" not in error.message
        assert list((store / "refs").iterdir()) == []
    else:
        assert len(image.lowerdirs) == len(layers)
    assert list((store / "incoming").iterdir()) == []


def test_a_link_to_a_directory_of_its_own_layer_is_followed_there_only(pull: Pull) -> None:
    [top] = pull([("d", DIR), ("l", Link("d")), ("l/x", b"1")]).lowerdirs
    assert os.readlink(f"{top}/l") == "d" and os.listdir(f"{top}/d") == ["x"]


def test_an_empty_layer(pull: Pull) -> None:
    for empty in (b"", bytes(1024)):
        [top] = pull(empty).lowerdirs
        assert os.listdir(top) == []


@pytest.mark.rootless
def test_an_ordinary_user_runs_an_image(second_user: Command) -> None:
    done = second_user("run", "--network", "none", "alpine", "/bin/sh", "-c", "cat /etc/alpine-release; id -u")
    assert (done.code, done.stdout.splitlines()[-1:]) == (0, [b"0"]), done


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user.huge", b"x" * 70_000),  # more than the kernel takes
        ("user." + "n" * 300, b"1"),
        ("security.capability", b"junk"),
    ],
)
def test_an_attribute_that_would_be_lost_is_refused(pull: Pull, store: pathlib.Path, key: str, value: bytes) -> None:
    entries: dict[str, object] = {f"l{n}": Link("x", xattrs={"user.note": b"1"}) for n in range(50)}  # links have none
    with pytest.raises(ImageError, match=f"entry 'late': cannot be unpacked: its extended attribute '{key[:80]}"):
        pull({**entries, "late": File(b"1", xattrs={key: value})})
    assert os.listdir(store / "layers") == []
