"""What entries become on disk: as GNU tar has it, where that is right, and as a container would see it else."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import holes, oci, trees
from lab.command import Command, Result
from lab.oci import DIR, OPAQUE, WHITEOUT, Dir, Entries, Fifo, File, Hardlink, Link, compress, layer
from lab.processes import within
from lab.recorder import Careful
from lab.registry import Registry
from lab.trees import Tree

from mydocker.errors import ImageError
from mydocker.image.layer import whiteout
from mydocker.image.layer.extract import Extraction
from mydocker.image.layer.scan import Scan
from mydocker.image.layer.workers import Task, Unpacker
from mydocker.image.model.limits import Limits
from mydocker.image.rebuild import compare, moved_files, tar_rebuild
from mydocker.image.tar.tarsplit import Writer
from mydocker.reference import Digest

pytestmark = pytest.mark.root

OLD = 1_234_567_890
NOW = 1_750_000_000  # seconds; what these tests state is before that
GNU = ["--extract", "--preserve-permissions", "--same-owner", "--numeric-owner", "--delay-directory-restore"]
GNU += ["--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability", "--file=-"]


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return trees.build(tmp_path_factory.mktemp("dump"))


def extract(
    archive: bytes, directory: pathlib.Path, *, chunk: int = 100_000, owned: bool = True, kind: type[Scan] = Scan
) -> None:
    directory.mkdir()
    root = os.open(directory, os.O_RDONLY)
    try:
        tree = Extraction(root, what="layer x", owned=owned)
        scan = kind(tree, what="layer x", devices=True)
        scan.read(archive[start : start + chunk] for start in range(0, len(archive), chunk))
        tree.finish()
    finally:
        os.close(root)


ALIKE: dict[str, Entries] = {
    "modes and owners": [
        ("d", Dir(mode=0o2775, uid=5, gid=6, mtime=OLD)),
        ("d/su", File(b"x", mode=0o6755, uid=7, gid=8, mtime=OLD)),
        ("d/plain", File(b"", mode=0o000, uid=9)),  # not the group of the directory
        ("sticky", Dir(mode=0o1777, mtime=OLD)),
        ("fifo", Fifo(mode=0o4620, uid=3, mtime=OLD)),
        ("link", Link("d", uid=11, gid=12, mtime=OLD)),
        ("null", oci.CharDevice(1, 3, mode=0o666, uid=4, mtime=OLD)),
    ],
    "owners one after the other": [
        ("d", Dir(mode=0o2770, gid=6, mtime=OLD)),
        *((f"d/{gid}{mode}", File(b"x", gid=gid, mode=mode)) for gid in (0, 6, 7, 6, 0) for mode in (0o644, 0o4711)),
        ("d", Dir(mode=0o770, gid=5, mtime=OLD)),
        *((f"d/late{gid}", File(b"x", gid=gid)) for gid in (0, 5, 6)),
        *((f"d/link{gid}", Link("x", gid=gid)) for gid in (0, 5, 6)),
    ],
    "attributes": [
        ("d", Dir(xattrs={"user.d": b"1"}, mtime=OLD)),
        ("d/f", File(b"x", mode=0o444, uid=5, xattrs={"user.x": b"\0\xff", "user.empty": b""})),
        ("f", Fifo(xattrs={"user.x": b"none of these"})),
    ],
    "directories keep their times": [
        ("a", Dir(mtime=OLD)),
        ("a/b", Dir(mtime=OLD + 1, mode=0o500)),
        ("a/b/c", File(b"1")),
        ("a/b", Dir(mtime=OLD + 2, mode=0o700)),
        ("a/d", b"2"),
        ("", Dir(mtime=OLD + 3, mode=0o711)),
    ],
    "closed directories": [("a", Dir(mode=0)), ("a/b", Dir(mode=0)), ("a/b/c", b"1"), ("a/b/l", Hardlink("a/b/c"))],
    "directories after what is in them": [("a/b/c", b"1"), ("a/b", Dir(mode=0o710, uid=7, mtime=OLD)), ("a", DIR)],
    "hard links": [
        ("f", File(b"one", uid=3, mode=0o640)),
        ("g", Hardlink("./f")),
        ("s", Link("nowhere", uid=5, mtime=OLD)),
        ("t", Hardlink("s")),
        ("f", b"another"),
        ("g", Hardlink("g")),
    ],
    "the last of a name": [
        ("f", b"1"),
        ("f", b"22"),
        ("l", Link("f")),
        ("l", b"3"),
        ("d", DIR),
        ("d", b"empty, so it may go"),
        ("x", b"4"),
        ("x", DIR),
        ("x/y", b"5"),
        ("p", Fifo()),
        ("p", Link("x")),
        ("w", Link("x")),
        ("w", Dir(mtime=OLD)),
        ("w/in", b"6"),
    ],
    "links in the way": [
        ("d", DIR),
        ("l", Link("d")),
        ("l/f", b"1"),
        ("l/s", DIR),
        ("l/s/x", b"2"),
        ("h", Hardlink("l/f")),
    ],
    "empty and large": [("e", b""), ("l", b"0123456789" * 100_000), ("m", b"x" * 511), ("n", b"x" * 512)],
    "names": [("n" * 250, b"1"), ("d" * 200 + "/" + "e" * 200 + "/f", b"2"), (os.fsdecode(b"\xff\xfe"), b"3")],
}
FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("chunk", "kind"), [(1000, Careful), (1000, Scan), (100_000, Scan)])
def test_as_gnu_tar(
    dump: pathlib.Path, tmp_path: pathlib.Path, name: str, format: str, chunk: int, kind: type[Scan]
) -> None:
    """Read in haste or with care."""
    archive = layer(ALIKE[name], format=FORMATS[format])
    extract(archive, tmp_path / "ours", chunk=chunk, kind=kind)
    _gnu(archive, tmp_path / "theirs")
    assert _stated(dump, tmp_path / "ours") == _stated(dump, tmp_path / "theirs")


def _gnu(archive: bytes, directory: pathlib.Path) -> None:
    directory.mkdir()
    subprocess.run(["tar", *GNU, "-C", directory], input=archive, check=True, stderr=subprocess.DEVNULL)


def _stated(program: pathlib.Path, directory: pathlib.Path) -> Tree:
    """The tree, without times that no entry states: those of directories that none is about."""
    found = trees.read(program, directory)
    return {path: node if float(node.mtime) < NOW else replace(node, mtime="") for path, node in found.items()}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1234567890.123456789", OLD * 10**9 + 123_456_789),
        ("1234567890.5", OLD * 10**9 + 500_000_000),
        ("1234567890.", OLD * 10**9),
        ("-1.25", -1_250_000_000),
        ("0", 0),
    ],
)
def test_times_of_pax(tmp_path: pathlib.Path, text: str, nanoseconds: int) -> None:
    entries = {
        "f": File(b"1", headers={"mtime": text}),
        "d": Dir(headers={"mtime": text}),
        "l": Link("f", headers={"mtime": text}),
    }
    extract(layer(entries), tmp_path / "x")
    assert {path.lstat().st_mtime_ns for path in (tmp_path / "x").iterdir()} == {nanoseconds}


@pytest.mark.parametrize("seconds", [-1, -86_400 * 365, 8**11, 1 << 32])
def test_times_that_have_no_digits(tmp_path: pathlib.Path, seconds: int) -> None:
    """In base 256, as GNU tar writes what is negative or large."""
    extract(layer({"f": File(b"1", mtime=seconds)}, format=tarfile.GNU_FORMAT), tmp_path / "x")
    assert (tmp_path / "x" / "f").stat().st_mtime == seconds


@pytest.mark.parametrize("text", ["x", "", "1e9", "--1", "1.2.3", "9" * 30])
def test_a_time_that_is_none_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    if text:
        with pytest.raises(ImageError, match="layer x: entry 'f': .* is not a time"):
            extract(layer({"f": File(b"1", headers={"mtime": text})}), tmp_path / "x")
    header = bytearray(layer({"f": b""}, format=tarfile.GNU_FORMAT))
    header[136:148] = b"12345678z01\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with pytest.raises(ImageError, match="layer x: entry 'f': .* is not a number"):
        extract(bytes(header), tmp_path / "y")


@pytest.mark.parametrize("format", holes.FORMATS)
@pytest.mark.parametrize("size", [9_000_000, 5_950_010], ids=["ends-with-a-hole", "ends-with-data"])
def test_sparse_files(tmp_path: pathlib.Path, format: str, size: int) -> None:
    source = holes.make(tmp_path / "source", size=size)
    (source / "nothing").touch()
    os.truncate(source / "nothing", 1 << 30)
    extract(holes.archive(source, format), tmp_path / "x", chunk=5000)
    assert (tmp_path / "x" / "holes").read_bytes() == (source / "holes").read_bytes()
    assert (tmp_path / "x" / "nothing").stat().st_size == 1 << 30
    assert sum(path.stat().st_blocks for path in (tmp_path / "x").iterdir()) * 512 < 2_000_000


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "5,6"}, b"123456"),  # beyond its end
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,-1"}, b""),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0"}, b""),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "x,y"}, b""),
        ({"GNU.sparse.size": "10"}, b""),
        (
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "10"},
            b"1\n0\nx\n".ljust(512, b"\0"),
        ),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "10"}, b"7" * 5120),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}, b"0\n".ljust(512, b"\0")),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,9"}, b"123"),  # fewer than it says
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "5,1,0,1"}, b"ab"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,5,4,1"}, b"abcdef"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "1_0,0"}, b""),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(tmp_path: pathlib.Path, headers: dict[str, str], data: bytes) -> None:
    with pytest.raises(ImageError, match="sparse file|is not a number"):
        extract(layer({"f": File(data, headers=headers)}), tmp_path / "x")


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([("lib", Link("/usr/lib")), ("usr/lib", DIR), ("lib/x", b"1")], "usr/lib/x"),
        ([("a/up", Link("../../../../b")), ("b", DIR), ("a/up/x", b"1")], "b/x"),
        ([("here", Link(".")), ("here/here/x", b"1")], "x"),
        ([("top", Link("/")), ("top/x", b"1")], "x"),
        ([("p/q", DIR), ("p/y", DIR), ("y", DIR), ("x", Link("p/q")), ("a", Link("x/../y")), ("a/x", b"1")], "p/y/x"),
        ([("d", DIR), ("a", Link(".")), ("a/1", b"0"), ("a/a", Link("d")), ("a/x", b"1")], "d/x"),
        ([("d", DIR), ("l", Link("d")), ("l", Hardlink("l")), ("l/x", b"1")], "d/x"),
        ([("d/x", b"1"), ("a", Link("d")), ("a", Hardlink("a/x"))], "a"),
        ([("usr/bin", DIR), ("bin", Link("usr/bin")), ("usr/bin/f", b"0"), ("bin/f", b""), ("x", b"1")], "x"),
        ([("usr/bin", DIR), ("bin", Link("usr/bin")), ("usr/bin/f", b"0"), ("bin/f", Link("../x")), ("x", b"1")], "x"),
        ([("f", b"0"), ("c", Link("..")), ("c/f", Link("/c")), ("x", b"1")], "x"),
    ],
)
def test_a_link_in_the_way_is_followed_as_in_a_container(
    mydocker: Command, registry: Registry, entries: Entries, found: str
) -> None:
    """What knows the layer by its archive follows it to the same place."""
    tar = layer(entries)
    registry.push(oci.image([tar]), "extraction/links")
    assert mydocker("pull", "-q", "extraction/links").code == 0
    [top] = (mydocker.store / "layers").iterdir()
    assert (top / found).read_bytes() == b"1"
    assert mydocker("fsck") == Result(b"", b"", 0)
    assert mydocker("save", "-o", "/dev/null", "extraction/links").code == 0


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("f", b"1"), ("f/x", b"2")], "entry 'f/x': cannot be unpacked: Not a directory"),
        ([("d", DIR), ("d/x", b"1"), ("d", b"2")], "entry 'd': cannot be unpacked: Directory not empty"),
        ([("a", Link("a")), ("a/x", b"1")], "entry 'a/x': cannot be unpacked: Too many levels of symbolic links"),
        ([("a", Link("nowhere")), ("a/x", b"1")], "entry 'a/x': cannot be unpacked: a link above it leads nowhere"),
        ([("c/a", DIR), ("c", Hardlink("c"))], "entry 'c': cannot be unpacked: Directory not empty"),
        ([("a", Hardlink("b")), ("b", b"1")], "entry 'a': cannot be unpacked: No such file or directory"),
        ([("d", DIR), ("e", Hardlink("d"))], "entry 'e': cannot be unpacked: Operation not permitted"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: pathlib.Path, entries: Entries, words: str) -> None:
    for kind in (Careful, Scan):
        with pytest.raises(ImageError) as caught:
            extract(layer(entries), tmp_path / kind.__name__, kind=kind)
        assert words in caught.value.message and "openat2" not in caught.value.message


def test_a_directory_that_something_has_replaced_gives_it_no_time(tmp_path: pathlib.Path) -> None:
    entries = [("a", Dir(mtime=OLD)), ("a", Link("b")), ("b", Dir(mtime=OLD + 5)), ("c", Dir(mtime=OLD)), ("c", b"1")]
    extract(layer(entries), tmp_path / "x")
    assert [(tmp_path / "x" / name).lstat().st_mtime for name in "bc"] == [OLD + 5, 1_700_000_000]


def test_an_implied_directory_has_nothing_of_the_one_above(tmp_path: pathlib.Path) -> None:
    extract(layer([("d", Dir(mode=0o2755, uid=9, gid=50)), ("d/sub/f", b"1")]), tmp_path / "x")
    found = (tmp_path / "x" / "d" / "sub").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o755, 0, 0)


def test_a_default_acl_of_the_store_says_nothing_of_modes(tmp_path: pathlib.Path) -> None:
    """acl(5): what is made below has the rights that both its maker and the default state, whatever the umask is."""
    # owner rwx, group r-x, mask rwx, others ---: tag, rights, number of each (linux/posix_acl_xattr.h)
    entries = [(0x01, 7, -1), (0x04, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    default = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(tmp_path, "system.posix_acl_default", default)
    modes = {"a": 0o644, "b": 0o644, "c": 0o666, "d": 0o777, "e": 0o600, "f": 0o640}
    extract(layer({"x": DIR} | {f"x/{name}": File(b"1", mode=mode) for name, mode in modes.items()}), tmp_path / "t")
    found = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "t" / "x").iterdir()}
    assert found == modes
    assert (tmp_path / "t" / "x").stat().st_mode & 0o7777 == 0o755


def test_rights_come_when_the_contents_are_there(tmp_path: pathlib.Path) -> None:
    """Nobody can run the beginning of a program that is to run as its owner."""
    archive = layer({"f": File(os.urandom(1 << 20), mode=0o4755)})
    seen = []

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(archive), 100_000):
            yield archive[start : start + 100_000]
            seen.extend(path.stat().st_mode & 0o7777 for path in (tmp_path / "x").iterdir())

    (tmp_path / "x").mkdir()
    root = os.open(tmp_path / "x", os.O_RDONLY)
    tree = Extraction(root, what="layer x", owned=True)
    Scan(tree, what="layer x", devices=True).read(chunks())
    tree.finish()
    os.close(root)
    assert set(seen[:-1]) == {0o600} and (tmp_path / "x" / "f").stat().st_mode & 0o7777 == 0o4755


def test_an_old_directory(tmp_path: pathlib.Path) -> None:
    """Before there was a type for it, a directory was a file whose name ends in a slash."""
    extract(layer([("d", File(type=b"\0", mode=0o711, headers={"path": "d/"})), ("d/f", b"1")]), tmp_path / "x")
    assert (tmp_path / "x" / "d").stat().st_mode & 0o7777 == 0o711


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (oci.CharDevice(1, 3, headers={"SCHILY.devmajor": "4096"}), "no device has the numbers 4096:3"),
        (oci.BlockDevice(1, 3, headers={"SCHILY.devminor": "9999999999"}), "no device has the numbers 1:9999999999"),
        (File(b"", headers={"SCHILY.xattr.user.a\0b": "1"}), "null"),
    ],
)
def test_numbers_and_names_that_there_are_not(tmp_path: pathlib.Path, entry: oci.Entry, words: str) -> None:
    with pytest.raises(ImageError, match=f"entry 'x': .*{words}"):
        extract(layer({"x": entry}), tmp_path / "x")


def test_while_something_is_renamed(tmp_path: pathlib.Path) -> None:
    """openat2(2), EAGAIN: the kernel does not resolve `..` meanwhile."""
    entries: list[tuple[str, oci.Content]] = [("usr/lib", DIR), ("opt", DIR), ("opt/l", Link("../usr/lib"))]
    entries += [(name, b"1") for number in range(3000) for name in (f"opt/l/f{number}", f"usr/g{number}")]
    (tmp_path / "a").mkdir()
    script = "import os\nwhile True: os.rename('a', 'b'); os.rename('b', 'a')"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path) as renaming:
        try:
            extract(layer(entries), tmp_path / "x")
        finally:
            renaming.kill()
    assert len(os.listdir(tmp_path / "x" / "usr" / "lib")) == 3000


def test_without_owners(tmp_path: pathlib.Path) -> None:
    extract(layer({"f": File(b"1", uid=5, mode=0o4755), "l": Link("f", uid=6)}), tmp_path / "x", owned=False)
    found = [(path.lstat().st_uid, path.lstat().st_mode & 0o7777) for path in sorted((tmp_path / "x").iterdir())]
    assert found == [(0, 0o4755), (0, 0o777)]


def test_descriptors_and_memory_do_not_grow(tmp_path: pathlib.Path) -> None:
    gc.collect()  # of what other tests have left open
    before = len(os.listdir("/proc/self/fd"))
    entries: dict[str, object] = {}
    for number in range(600):
        entries |= {f"d{number}": DIR, f"d{number}/f": b"1", f"d{number}/l": Link("f"), f"i{number}/x/y": b"2"}
        entries |= {f"d{number}/h": Hardlink(f"d{number}/f"), f"d{number}/p": Fifo(), f"i{number}/x": DIR}
    extract(layer(entries), tmp_path / "x")
    assert len(os.listdir("/proc/self/fd")) == before


PARTS = st.sampled_from("abc")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
STEPS = st.lists(PARTS | st.just(".."), min_size=1, max_size=3).map("/".join)
TARGETS = st.builds("{}{}".format, st.sampled_from(["", "", "/"]), STEPS)
CONTENTS: st.SearchStrategy[oci.Content] = st.one_of(
    st.binary(max_size=2),
    st.builds(Dir, mode=st.sampled_from([0o755, 0o700]), mtime=st.integers(0, 9)),
    st.builds(Link, TARGETS),
    st.builds(Hardlink, PATHS),
    st.sampled_from([Fifo(), WHITEOUT, OPAQUE]),
)


@given(st.lists(st.tuples(PATHS, CONTENTS), max_size=7), st.sampled_from([Careful, Scan]))
@settings(max_examples=300, deadline=None)
def test_what_is_known_of_a_layer_is_what_it_is(entries: Entries, kind: type[Scan]) -> None:
    """Whatever leads where, and replaces what: nothing is found to be wrong, and the archive can be had again."""
    tar = layer(entries)
    with tempfile.TemporaryDirectory() as place:
        top, skeleton = f"{place}/layer", f"{place}/skeleton"
        os.mkdir(top)
        root, file = os.open(top, os.O_RDONLY), os.open(skeleton, os.O_RDWR | os.O_CREAT)
        try:
            tree, writer = Extraction(root, what="layer x", owned=True), Writer(file)
            scan = kind(tree, what="layer x", devices=True, skeleton=writer)
            scan.read([tar])
            tree.finish()
            writer.finish()
            whiteout.apply(root, hidden=scan.hidden, opaque=scan.opaque, space="trusted.overlay")
        except (ImageError, OSError):  # of a whiteout; what there cannot be is refused
            return
        finally:
            os.close(root)
            os.close(file)
        assert list(tar_rebuild.compare(top, skeleton)) == []
        assert list(compare.compare(top, skeleton, owned=True, space="trusted.overlay")) == []
        moved = moved_files.moved(skeleton)
        if None not in moved.values():
            assert b"".join(tar_rebuild.tar(top, skeleton, moved)) == tar


def _unpacker(directory: pathlib.Path, archive: bytes) -> Iterator[Unpacker]:
    """One that unpacks ARCHIVE, once it gets it, into `layer` in DIRECTORY."""
    (directory / "layer").mkdir()
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT)
    task = Task(
        what="layer x",
        diff_id=Digest.parse(oci.digest(archive)),
        compression="gzip",
        directory=str(directory / "layer"),
        lock=lock,
        ids=None,
        devices=True,
        limits=Limits(),
    )
    started = Unpacker(task)
    try:
        yield started
    finally:
        started.abort()
        os.close(lock)


@pytest.fixture
def unpacker(tmp_path: pathlib.Path) -> Iterator[Unpacker]:
    """One that waits for its archive, of which it has got the first half."""
    archive = layer({"d": DIR, "d/f": os.urandom(400_000), "g": os.urandom(400_000)})
    for started in _unpacker(tmp_path, archive):
        started.write(compress(archive, "gzip")[:500_000])
        yield started


def _descendants() -> list[int]:
    """Our child and grandchild."""
    found: list[int] = []
    pending = [os.getpid()]
    while pending:
        for children in pathlib.Path(f"/proc/{pending.pop()}/task").glob("*/children"):
            with suppress(OSError):  # it has just ended
                more = [int(pid) for pid in children.read_text().split()]
                pending += more
                found += more
    return found


def _wait_for(path: pathlib.Path) -> None:
    until = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)


def test_who_writes_can_do_little_else(unpacker: Unpacker, tmp_path: pathlib.Path) -> None:
    _wait_for(tmp_path / "layer" / "g")
    writer = next(pid for pid in _descendants() if _capabilities(pid) == {0, 1, 3, 4, 27, 31})  # capabilities(7)
    for kind in ("mnt", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{writer}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    mounts = [line.split() for line in pathlib.Path(f"/proc/{writer}/mountinfo").read_text().splitlines()]
    writable = {fields[4] for fields in mounts if "ro" not in fields[5].split(",")}
    assert writable == {str(tmp_path / "layer")}
    held = {os.readlink(f"/proc/{writer}/fd/{number}") for number in os.listdir(f"/proc/{writer}/fd")}
    files = {path for path in held if path.startswith("/") and not path.startswith("/dev/null")}
    assert files <= {str(tmp_path / name) for name in ("lock", "layer", "layer/d", "layer/g")}


def _capabilities(pid: int) -> set[int]:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    permitted, effective = (
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("CapPrm", "CapEff"))
    )
    assert effective & ~permitted == 0
    return {number for number in range(64) if permitted >> number & 1}


@pytest.mark.parametrize("which", [0, -1], ids=["the-one-that-waits", "the-one-that-writes"])
def test_one_that_is_killed(unpacker: Unpacker, tmp_path: pathlib.Path, which: int) -> None:
    """As by a kernel that is out of memory."""
    _wait_for(tmp_path / "layer" / "g")
    own = [pid for pid in _descendants() if _is_confined(pid)]
    assert len(own) == 2
    os.kill(own[which], signal.SIGKILL)
    with pytest.raises(ImageError, match="layer x: the unpacking process was killed"):
        unpacker.wait()
    assert not any(_is_confined(pid) for pid in _descendants())


def test_one_that_is_killed_while_it_tells_what_is_hidden(tmp_path: pathlib.Path) -> None:
    """What it has reported by then counts as no more than that."""
    archive = layer({f"{'d' * 200}/{'n' * 200}{number}": WHITEOUT for number in range(3000)})  # no pipe has room for it
    for started in _unpacker(tmp_path, archive):
        assert within(100, lambda: sum(map(_is_confined, _descendants())) == 2)
        waiting, writing = [pid for pid in _descendants() if _is_confined(pid)]
        os.kill(waiting, signal.SIGSTOP)
        started.write(compress(archive, "gzip"))
        started.complete()
        assert within(100, partial(_waits_to_write, writing))
        os.kill(writing, signal.SIGKILL)
        os.kill(waiting, signal.SIGCONT)
        with pytest.raises(ImageError, match="layer x: the unpacking process was killed"):
            started.wait()


def _waits_to_write(pid: int) -> bool:
    """Whether PID waits until a pipe has room (proc(5), "wchan")."""
    return "pipe_write" in pathlib.Path(f"/proc/{pid}/wchan").read_text()


def _is_confined(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def test_abort_leaves_nobody_who_writes(unpacker: Unpacker, tmp_path: pathlib.Path) -> None:
    _wait_for(tmp_path / "layer" / "g")
    assert any(_is_confined(pid) for pid in _descendants())
    unpacker.abort()
    assert not any(_is_confined(pid) for pid in _descendants())


@pytest.mark.parametrize("entries", [[("d/a", WHITEOUT)], [("d", DIR), ("d", OPAQUE)]], ids=["hidden", "opaque"])
def test_a_file_system_without_attributes(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path, entries: Entries
) -> None:
    """On ramfs a directory cannot be opaque; what fails there is said, by the process that is to say it."""
    registry.push(oci.image([layer(entries)]), "extraction/marks")
    (tmp_path / "ramfs").mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", tmp_path / "ramfs"], check=True)
    try:
        done = mydocker("pull", "-q", "extraction/marks", env={"MYDOCKER_ROOT": str(tmp_path / "ramfs" / "store")})
        assert done.code == 125 and b"Operation not supported" in done.stderr and b"killed" not in done.stderr
        assert list((tmp_path / "ramfs" / "store" / "incoming").iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path / "ramfs"], check=True)


def test_no_room_for_what_is_known_of_a_layer(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    """The skeleton grows with what is not unpacked."""
    registry.push(oci.image([layer({".wh..wh.aufs": os.urandom(3_500_000)})]), "extraction/aufs")
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", tmp_path / "small"], check=True)
    try:
        done = mydocker("pull", "-q", "extraction/aufs", env={"MYDOCKER_ROOT": str(tmp_path / "small" / "store")})
        assert done.code == 125 and b"No space left on device" in done.stderr, done
        assert b"hint: free some space, or set MYDOCKER_ROOT" in done.stderr
        assert list((tmp_path / "small" / "store" / "incoming").iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path / "small"], check=True)


def test_it_takes_no_program_of_the_host(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    registry.push(oci.image([layer({"d": DIR, "d/f": b"1", "l": Link("d")})]), "extraction/plain")
    strace = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", str(tmp_path / "trace")]
    command = [*strace, *mydocker.argv("pull", "-q", "extraction/plain")]
    subprocess.run(command, env=dict(mydocker.environment), check=True, stdout=subprocess.DEVNULL)
    programs = [line for line in (tmp_path / "trace").read_text().splitlines() if " = 0" in line]
    assert len(programs) == 1 and "mydocker" in programs[0]
    assert mydocker("fsck") == Result(b"", b"", 0)
