"""Images carried by other programs and back, and the container's tree in the end, compared with what umoci unpacks.

What we save they read, and what they write we read: docker, skopeo and umoci always; podman and buildah where they are
installed, so where they are not there is no test of them rather than one that is skipped.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from lab import dockerd, oci, trees
from lab.busybox import ARCHITECTURE
from lab.command import Command, command
from lab.oci import DIR, OPAQUE, WHITEOUT, Dir, File, Hardlink, Link, layer
from lab.trees import Tree

pytestmark = pytest.mark.root

NAME = "docker.io/test/carried:7"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, linux/capability.h
TAR = ["tar", "--create", "--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
UPPER = layer(
    [
        ("t", Dir(mode=0o751, uid=9, mtime=1_500_000_000)),
        ("t/gone", WHITEOUT),
        ("t/emptied", Dir(uid=1)),
        ("t/emptied", OPAQUE),
        ("t/emptied/new", File(b"new", uid=1, gid=2)),
        ("t/file", Link("hard")),  # of two names of one file, the other stays
        ("t/link", DIR),
        ("t/link/in", b"1"),
        ("t/again", WHITEOUT),
        ("t/again", File(b"2", mode=0o600)),
        ("t/other", Hardlink("t/again", mode=0o600)),  # which Docker gives the file
    ]
)


def _run(*arguments: str | os.PathLike[str], **more: object) -> bytes:
    done = subprocess.run(arguments, capture_output=True, **more)  # type: ignore[call-overload]  # options as run has them
    assert done.returncode == 0, done.stderr
    out: bytes = done.stdout
    return out


def _make_tree(top: pathlib.Path) -> None:
    """Something of all that a tar can carry."""
    top.mkdir()
    for name in ("gone", "emptied", "closed", "again"):
        (top / name).mkdir()
    (top / "gone" / "x").write_bytes(b"x")
    (top / "emptied" / "x").write_bytes(b"x")
    (top / "file").write_bytes(b"file")
    for name in ("hard", "closed/hard"):
        os.link(top / "file", top / name)
    (top / "link").symlink_to("../../somewhere/" + "long/" * 30)
    (top / ("n" * 250)).write_bytes(b"long")
    (top / os.fsdecode(b"\xff\xfe")).write_bytes(b"no text")
    (top / "program").write_bytes(b"x" * 70_000)
    os.setxattr(top / "program", "user.note", b"\x00\xff")
    os.mkfifo(top / "fifo", 0o620)
    os.mknod(top / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(top / "disk", 0o660 | stat.S_IFBLK, os.makedev(259, 1000))
    with (top / "sparse").open("wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"data")
    for number, path in enumerate(sorted(top.rglob("*"))):
        os.chown(path, number, 70_000 + number, follow_symlinks=False)
        os.utime(path, ns=(0, 1_234_567_890_000_000_001 + number), follow_symlinks=False)
    for name, mode in {"program": 0o6755, "closed": 0, "fifo": 0o620, "null": 0o666, "disk": 0o660}.items():
        (top / name).chmod(mode)
    os.setxattr(top / "program", "security.capability", CAPABILITY)  # chown(2) takes it away


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return trees.build(tmp_path_factory.mktemp("dump"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("tree")
    _make_tree(directory / "t")
    return directory


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, tree: pathlib.Path) -> pathlib.Path:
    """An image as an OCI layout, with the tag `it`."""
    return _layout(tmp_path_factory.mktemp("interop") / "layout", tree, "--sparse")


def _layout(directory: pathlib.Path, tree: pathlib.Path, *options: str) -> pathlib.Path:
    image = oci.image([_run(*TAR, *options, "t", cwd=tree), UPPER], architecture=ARCHITECTURE, cmd=["/x"])
    return oci.write_layout(directory, image, tag="it")


@pytest.fixture(scope="module")
def expected(dump: pathlib.Path, layout: pathlib.Path) -> Tree:
    """What umoci unpacks."""
    _run("umoci", "unpack", "--image", f"{layout}:it", layout.parent / "bundle")
    return trees.read(dump, layout.parent / "bundle" / "rootfs" / "t")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, layout: pathlib.Path) -> Command:
    """The command, with the image in its store as NAME."""
    return _with_image(tmp_path_factory.mktemp("ours"), layout)


def _with_image(directory: pathlib.Path, layout: pathlib.Path) -> Command:
    ready = command(directory)
    assert ready("load", "-q", "-i", str(layout)).code == 0
    assert ready("tag", "localhost/layout:it", NAME).code == 0
    return ready


@pytest.fixture(scope="module")
def saved(ours: Command) -> pathlib.Path:
    return _save(ours)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, tree: pathlib.Path) -> pathlib.Path:
    """The same image, saved, with zeros for holes in its archive. Docker, Podman and buildah load the other as well,
    but cannot save it then: "could not verify layer data"; their tar-split does not know sparse files."""
    layout = _layout(tmp_path_factory.mktemp("plain") / "layout", tree)
    return _save(_with_image(tmp_path_factory.mktemp("full"), layout))


def _save(mydocker: Command) -> pathlib.Path:
    path = mydocker.directory / "saved.tar"
    done = mydocker("save", "-o", str(path), NAME)
    assert (done.code, done.stderr) == (0, b"")
    return path


def _tree(mydocker: Command, dump: pathlib.Path, image: str) -> Tree:
    done = mydocker("run", "--network", "none", "-v", f"{dump}:/dump-tree:ro", image, "/dump-tree", "/t")
    assert done.code == 0, done
    return trees.parse(done.stdout)


def _without_holes(tree: Tree) -> Tree:
    """umoci writes them out."""
    return {path: replace(node, what=node.what.removesuffix("s")) for path, node in tree.items()}


def test_the_tree_is_what_umoci_unpacks(ours: Command, dump: pathlib.Path, expected: Tree) -> None:
    found = _tree(ours, dump, NAME)
    assert _without_holes(found) == _without_holes(expected)
    assert found["sparse"].what.endswith("s") and found["hard"].same == {"hard", "closed/hard"}
    assert found["program"].xattrs == {"user.note": "00ff", "security.capability": CAPABILITY.hex()}
    assert found["null"].what == "1:3" and found["file"].what == "hard" and "gone" not in found
    assert found["program"].mtime.startswith("1234567890.0000000") and len(found) == len(expected) == 18


def test_what_we_save_umoci_unpacks_as_before(
    ours: Command, saved: pathlib.Path, dump: pathlib.Path, expected: Tree, tmp_path: pathlib.Path
) -> None:
    _skopeo(f"oci-archive:{saved}:{NAME}", f"oci:{tmp_path}/layout:it")
    _run("umoci", "unpack", "--image", f"{tmp_path}/layout:it", tmp_path / "bundle")
    assert trees.read(dump, tmp_path / "bundle" / "rootfs" / "t") == expected


def _skopeo(source: str, target: str, *options: str) -> None:
    _run("skopeo", "--insecure-policy", "copy", *options, source, target)


Carrier = Callable[[pathlib.Path, pathlib.Path], str]


def _by_skopeo(target: str, *options: str) -> Carrier:
    def carry(saved: pathlib.Path, directory: pathlib.Path) -> str:
        _skopeo(f"docker-archive:{saved}:{NAME}", target.format(directory), *options)
        return target.format(directory)

    return carry


@contextmanager
def _storage(program: str) -> Iterator[list[str]]:
    """PROGRAM with a store of its own. Podman wants a path of at most 50 letters."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="interop-"))
    tmp = [f"--tmpdir={directory}/tmp"] if program == "podman" else []
    try:
        yield [program, f"--root={directory}/root", f"--runroot={directory}/run", *tmp]
    finally:
        subprocess.run(["umount", "--lazy", directory / "root" / "overlay"], stderr=subprocess.DEVNULL)
        shutil.rmtree(directory)


def _by_podman(kind: str) -> Carrier:
    def carry(saved: pathlib.Path, directory: pathlib.Path) -> str:
        with _storage("podman") as words:
            assert NAME in _run(*words, "load", "-i", saved).decode()
            _run(*words, "save", "--format", kind, "-o", directory / "theirs", NAME)
        return f"{'dir' if kind == 'docker-dir' else kind}:{directory}/theirs"

    return carry


def _by_buildah(saved: pathlib.Path, directory: pathlib.Path) -> str:
    with _storage("buildah") as words:
        image = _run(*words, "pull", "--quiet", f"docker-archive:{saved}:{NAME}").decode().strip()
        _run(*words, "push", "--quiet", image, f"oci-archive:{directory}/theirs:{NAME}")
    return f"oci-archive:{directory}/theirs"


CARRIERS: dict[str, Carrier] = {
    "skopeo oci": _by_skopeo("oci:{}/there:tag"),
    "skopeo oci zstd": _by_skopeo("oci:{}/there:tag", "--dest-compress-format", "zstd"),
    "skopeo oci-archive": _by_skopeo("oci-archive:{}/there:tag"),
    "skopeo docker-archive": _by_skopeo(f"docker-archive:{{}}/there:{NAME}"),
    "skopeo dir": _by_skopeo("dir:{}/there"),
    "skopeo dir compressed": _by_skopeo("dir:{}/there", "--dest-compress"),
}
if shutil.which("podman"):
    CARRIERS |= {f"podman {kind}": _by_podman(kind) for kind in ("oci-archive", "docker-archive", "docker-dir")}
if shutil.which("buildah"):
    CARRIERS["buildah"] = _by_buildah


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_image_that_others_have_carried(
    mydocker: Command,
    saved: pathlib.Path,
    plain: pathlib.Path,
    dump: pathlib.Path,
    expected: Tree,
    tmp_path: pathlib.Path,
    carrier: str,
) -> None:
    source = saved if carrier.startswith("skopeo") else plain
    found = _tree(mydocker, dump, CARRIERS[carrier](source, tmp_path))
    assert _without_holes(found) == _without_holes(expected)


@pytest.fixture(scope="module")
def docker() -> Iterator[dockerd.Docker]:
    """Its directory has a short name: sockets lie below it (unix(7))."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="interop-"))
    try:
        with dockerd.daemon(directory) as running:
            yield running
    finally:
        shutil.rmtree(directory)


def test_docker_loads_runs_and_saves_it(
    docker: dockerd.Docker,
    mydocker: Command,
    plain: pathlib.Path,
    dump: pathlib.Path,
    expected: Tree,
    tmp_path: pathlib.Path,
) -> None:
    docker.must("load", "-i", plain)
    words = ("run", "--rm", "--network", "none", "-v", f"{dump}:/dump-tree:ro", NAME, "/dump-tree", "/t")
    assert _without_holes(trees.parse(docker.must(*words))) == _without_holes(expected)
    docker.must("save", "-o", tmp_path / "theirs", NAME)
    found = _tree(mydocker, dump, f"docker-archive:{tmp_path}/theirs")
    assert _without_holes(found) == _without_holes(expected)


def test_a_layer_that_umoci_makes(
    mydocker: Command, layout: pathlib.Path, dump: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Of what has changed in an unpacked tree."""
    shutil.copytree(layout, tmp_path / "layout")
    _run("umoci", "unpack", "--image", f"{tmp_path}/layout:it", tmp_path / "bundle")
    top = tmp_path / "bundle" / "rootfs" / "t"
    shutil.rmtree(top / "emptied")
    (top / "fifo").unlink()
    (top / "fifo").mkdir(mode=0o711)
    (top / "fifo" / "new").write_bytes(b"new")
    (top / "program").chmod(0o700)
    os.chown(top / "sparse", 1, 2)
    for changed_now in (top / "fifo" / "new", top / "fifo", top):
        os.utime(changed_now, (0, 1_600_000_000))  # a whole second, to which umoci rounds
    _run("umoci", "repack", "--image", f"{tmp_path}/layout:new", tmp_path / "bundle")
    changed = _in_seconds(trees.read(dump, top))
    assert "emptied" not in changed and "fifo/new" in changed
    assert _without_holes(_in_seconds(_tree(mydocker, dump, f"oci:{tmp_path}/layout:new"))) == _without_holes(changed)


def _in_seconds(tree: Tree) -> Tree:
    """The times in umoci's layers have no parts of them."""
    return {path: replace(node, mtime=node.mtime.partition(".")[0]) for path, node in tree.items()}
