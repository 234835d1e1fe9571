"""What the scan lets through to the disk, what it collects, and what it refuses."""

from __future__ import annotations

import io
import itertools
import tarfile
import tempfile
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab.oci import (
    DIR,
    OPAQUE,
    WHITEOUT,
    CharDevice,
    Dir,
    Entries,
    Entry,
    Fifo,
    File,
    Hardlink,
    Link,
    layer,
)
from lab.recorder import Careful, Recorder

from mydocker.errors import ImageError
from mydocker.image.layer.scan import Scan
from mydocker.image.model.limits import Limits
from mydocker.image.tar import header as tarheader
from mydocker.image.tar import tarsplit
from mydocker.image.tar.tarsplit import Piece

FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]


def scan(
    archive: bytes,
    *,
    devices: bool = True,
    chunk: int = 1000,
    skeleton: tarsplit.Writer | None = None,
    kind: type[Scan] = Scan,
) -> tuple[Scan, bytes]:
    tree = Recorder()
    found = kind(tree, what="layer x", devices=devices, skeleton=skeleton)
    found.read(archive[start : start + chunk] for start in range(0, len(archive), chunk))
    return found, tree.archive


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def refusal(archive: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        scan(archive)
    return caught.value.message


EVERYTHING: Entries = {
    "./": DIR,
    "a/": Dir(mode=0o711),
    "a/" + "n" * 200: b"x" * 1500,
    "a/é": File(b"1", xattrs={"user.x": b"\xff\0y"}),
    "a/link": Link("t" * 300),
    "a/hard": Hardlink("a/é"),
    "a/fifo": Fifo(),
    "a/null": CharDevice(1, 3),
    "/absolute": b"2",
    "big-owner": File(b"", uid=5_000_000),
}


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_right_passes_unchanged(format: int) -> None:
    archive = layer(EVERYTHING, format=format)
    found, passed = scan(archive)
    assert archive.startswith(passed[:-1024]) and passed.endswith(bytes(1024))
    assert names(passed) == names(archive)
    assert (found.hidden, found.opaque) == ([], [])


PLAIN: Entries = {f"d{n}/": DIR for n in range(5)} | {f"d{n % 5}/f{n}": b"x" * (n * 97) for n in range(40)}
MIXED: Entries = {"first": b"1", **EVERYTHING, **PLAIN, "d1/gone": WHITEOUT, "d2/f2/": b"a directory now", "d3": OPAQUE}


@given(st.integers(1, 5000), st.sampled_from(FORMATS))
def test_the_size_of_the_chunks_does_not_matter(chunk: int, format: int) -> None:
    archive = layer(EVERYTHING, format=format)
    assert scan(archive, chunk=chunk)[1] == scan(archive, chunk=len(archive))[1]


@given(st.integers(1, 70_000), st.sampled_from([tarfile.USTAR_FORMAT, *FORMATS]))
@settings(max_examples=30, deadline=None)
def test_entries_are_read_alike_in_haste_and_with_care(chunk: int, format: int) -> None:
    """However an entry lies across the chunks, of which small ones are put together."""
    archive = layer(PLAIN if format == tarfile.USTAR_FORMAT else MIXED, format=format)
    assert _seen(archive, chunk=chunk) == _seen(archive, chunk=100_000, kind=Careful)


def test_a_large_file_is_read_in_pieces() -> None:
    archive = layer({"a": b"1" * 300_000, "b": b"2" * 200_000, "c": b"3"}, format=tarfile.USTAR_FORMAT)
    assert _seen(archive, chunk=100_000) == _seen(archive, chunk=7_000, kind=Careful)
    with pytest.raises(ImageError, match="ends in the middle"):
        scan(archive[:400_000], chunk=1000)


def _seen(archive: bytes, *, chunk: int, kind: type[Scan] = Scan) -> tuple[object, ...]:
    with tempfile.TemporaryFile() as file:
        writer = tarsplit.Writer(file.fileno())
        found, passed = scan(archive, chunk=chunk, skeleton=writer, kind=kind)
        writer.finish()
        records = list(tarsplit.records(f"/proc/self/fd/{file.fileno()}"))
    kinds = itertools.groupby(records, lambda record: record[0])
    merged = [(kind, b"".join(body for _, body in group)) for kind, group in kinds]  # literal bytes come in any pieces
    return found.hidden, found.opaque, passed, merged


@given(st.integers(0, 511), st.binary(min_size=1, max_size=9))
def test_what_is_read_in_haste_means_the_same_with_care(place: int, noise: bytes) -> None:
    """A header with something else in it, and its checksum right again."""
    header = bytearray(_raw("dir/name", File(b"x" * 700)))
    header[place : place + len(noise)] = noise[: max(0, 512 - place)]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    if found := tarheader.plain(memoryview(header)[:512]):
        entry = tarheader.decode(bytes(header[:512]), {})
        assert (b"/".join(tarheader.components(entry.name)), entry.size, entry.extent) == (*found, found[1])
        assert entry.is_plain or entry.type == tarheader.DIRECTORY


def test_a_global_header_belongs_to_no_entry() -> None:
    own = _raw("x", File(b"1", headers={"comment": "own"}))
    shared = tarfile.TarInfo.create_pax_global_header({"comment": "shared"})
    assert scan(shared + own)[1] == own + bytes(1024)
    assert "a global header among" in refusal(own[:1024] + shared + own[1024:])


def test_any_number_of_global_headers_takes_little_memory() -> None:
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x" * 500_000})
    many = itertools.chain(itertools.repeat(header, 100), [layer({"a": b"1"})])
    tracemalloc.start()
    try:
        with tempfile.TemporaryFile() as file:
            writer = tarsplit.Writer(file.fileno())
            tree = Recorder()
            Scan(tree, what="layer x", devices=True, skeleton=writer).read(many)
            writer.finish()
            records = tarsplit.records(f"/proc/self/fd/{file.fileno()}")
            size = sum(len(body) for kind, body in records if kind in (tarsplit.BYTES, tarsplit.HEADERS))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert names(tree.archive) == ["a"] and size > 100 * len(header)


@pytest.mark.parametrize("chunk", [100, 100_000])
def test_the_last_padding_may_be_missing(chunk: int) -> None:
    archive = layer({"a": b"x" * 700})
    assert scan(archive[: 512 + 700], chunk=chunk)[1] == archive[:1536] + bytes(1024)


@given(st.binary(max_size=3000), st.integers(0, 4000))
def test_damage_is_an_image_error(noise: bytes, place: int) -> None:
    archive = layer(EVERYTHING)
    damaged = archive[:place] + noise + archive[place + len(noise) :]
    try:
        scan(damaged)
    except ImageError as error:
        assert error.message.startswith("layer x: ")


@pytest.mark.parametrize("archive", [b"", bytes(512), bytes(1024), bytes(10240), layer({})], ids=len)
def test_an_empty_layer_is_a_layer(archive: bytes) -> None:
    assert scan(archive)[1] == bytes(1024)


def test_what_follows_the_end_is_read_and_dropped() -> None:
    archive = layer({"a": b"1"})
    assert scan(archive + b"junk" * 1000)[1] == scan(archive)[1]


def test_whiteouts_are_collected_and_dropped() -> None:
    archive = layer(
        [
            ("d", DIR),
            ("d", OPAQUE),
            ("d/old", WHITEOUT),
            ("old", WHITEOUT),
            ("", OPAQUE),
            ("kept", b"1"),
            (".wh..wh.plnk/1.2", b"data of AUFS"),
        ]
    )
    found, passed = scan(archive)
    assert found.hidden == [b"d/old", b"old"]
    assert found.opaque == [b"d", b""]
    assert names(passed) == ["d", "kept"]


def test_a_whiteout_s_long_name_goes_with_it() -> None:
    long = "n" * 240
    found, passed = scan(layer({f"{'d' * 200}/{long}": WHITEOUT, "kept": b"1"}))
    assert found.hidden == [f"{'d' * 200}/{long}".encode()]
    assert names(passed) == ["kept"]


def test_devices_are_dropped_where_they_cannot_be_made() -> None:
    archive = layer({"null": CharDevice(1, 3), "fifo": Fifo(), "file": b"1"})
    found, left = scan(archive, devices=False)
    assert names(left) == ["fifo", "file"]
    assert found.hidden and not set(found.hidden) & {b"fifo", b"file"}  # what lower layers have there stays unseen
    assert scan(archive)[0].hidden == []


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("../x", File(), "contains .."),
        ("a/../../x", File(), "contains .."),
        ("a/..", DIR, "contains .."),
        ("x", Hardlink("../../etc/passwd"), "contains .."),
        ("x", Hardlink("/"), "a hard link to nothing"),
        ("x", Link(""), "a symbolic link to nothing"),
        (".", Link("/etc"), "root can only be a directory"),
        ("/", Hardlink("x"), "root can only be a directory"),
        (".wh.", File(), "not a valid whiteout"),
        ("a/.wh..", File(), "not a valid whiteout"),
        ("a/.wh...", File(), "not a valid whiteout"),
        (".wh.a/b", File(), "not a valid whiteout"),
        ("null", CharDevice(0, 0), "device 0:0"),
        ("null", CharDevice(1, 3, headers={"SCHILY.devmajor": "0", "SCHILY.devminor": "0"}), "device 0:0"),
        ("a/" * (Limits().depth + 1) + "x", File(), "directories deep"),
        ("a/" * 2500 + "x", File(), "too long"),
        ("a" * 256, File(), "longer than 255 bytes"),
        ("x", File(headers={"path": "a\0b"}), "NUL"),
        ("x", File(headers={"path": "../y"}), "contains .."),
        ("x", File(headers={"GNU.sparse.size": "0", "GNU.sparse.name": "../y"}), "contains .."),
        ("x", File(headers={"size": "-1"}), "not a number"),
        ("x", File(headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 62)}), f"{Limits().gib} GiB"),
        ("x", File(headers={"uid": "--1"}), "not a number"),
        ("x", File(headers={"uid": "-"}), "not a number"),
        ("x", File(headers={"gid": "+-1"}), "not a number"),
        ("x", File(headers={"uid": str(-(1 << 31) - 1)}), "no user or group has number -2147483649"),
        ("x", File(headers={"gid": "4294967296"}), "no user or group has number 4294967296"),
        ("x", File(uid=4294967295), "no user or group has number 4294967295"),  # chown(2) would leave it to root
        ("x", Entry(type=b"V"), "unknown type"),
        ("x", Entry(type=b"D"), "unknown type"),
        ("x/", Entry(type=tarfile.REGTYPE, data=b"data"), "only a file can have contents"),
    ],
)
def test_refused(name: str, entry: Entry, words: str) -> None:
    assert words in refusal(_raw(name, entry))


@pytest.mark.parametrize("place", [100, 108, 116], ids=["mode", "user", "group"])
@pytest.mark.parametrize("field", [b"\x81" * 8, b"rwxrwxr\0", b"12 4567\0", b"0000888\0"])
def test_a_field_that_tar_reads_in_its_own_way_is_refused(place: int, field: bytes) -> None:
    """Also where entries are read in haste."""
    header = bytearray(_raw("x", File()))
    header[place : place + 8] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert "entry 'x': " in refusal(bytes(header) + bytes(2048))


HEADER_ONLY = {b"1": Hardlink("other"), b"2": Link("other"), b"3": CharDevice(1, 3), b"4": CharDevice(1, 3)}
HEADER_ONLY |= {b"5": DIR, b"6": Fifo()}


@pytest.mark.parametrize("kind", HEADER_ONLY)
@pytest.mark.parametrize("size", [1, 4096, 0o77777777777])
def test_what_has_no_contents_may_state_a_size(kind: bytes, size: int) -> None:
    """An allocation hint, or the size of a link's target: no contents follow (POSIX.1-2017 pax, "size")."""
    first = HEADER_ONLY[kind]
    header = bytearray(_raw("x", first if isinstance(first, Entry) else Dir()))
    header[124:136], header[156:157] = b"%011o\0" % size, kind
    assert _paths(_summed(header) + _raw("y", File(data=b"data")) + bytes(1024)) == ["x", "y"]


def _summed(header: bytearray) -> bytes:
    """HEADER with its checksum."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("key", ["path", "size", "uid", "gid", "mtime", "uname", "gname", "SCHILY.devmajor"])
def test_a_record_without_a_value_leaves_it_to_the_header(key: str) -> None:
    entry = File(data=b"data", uid=7, gid=8, headers={key: ""})
    assert _paths(_raw("x", entry) + _raw("y", File()) + bytes(1024)) == ["x", "y"]


class Paths:
    """A tree that knows where its entries would be."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def plain(self, block: Piece, path: bytes, contents: Piece) -> None:
        self.paths.append(path.decode())

    def entry(self, entry: tarheader.Entry, path: bytes, headers: bytes, contents: Iterator[Piece]) -> None:
        self.paths.append(path.decode())


def _paths(archive: bytes) -> list[str]:
    tree = Paths()
    Scan(tree, what="layer", devices=True).read([archive])
    return tree.paths


def _extended(kind: bytes, body: bytes) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, len(body)
    return info.tobuf(tarfile.GNU_FORMAT) + body.ljust(-(-len(body) // 512) * 512, b"\0")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([(b"x", b"10 path=a\n"), (b"x", b"10 path=b\n")], "b"),
        ([(b"x", b"10 path=a\n"), (b"x", b"9 uid=77\n")], "own"),  # the last header of a kind replaces those before
        ([(b"x", b"13 path=long\n"), (b"L", b"long\0")], "long"),  # not if they differ: readers disagree
        ([(b"L", b"one\0"), (b"L", b"two\0")], "two"),
        ([(b"K", b"one\0"), (b"L", b"two\0"), (b"K", b"three\0")], "two"),
        ([(b"x", b"7 L=hid\n".replace(b"7", b"8"))], "own"),  # a record cannot pass for a long name
        ([(b"L", b"long\0"), (b"x", b"9 uid=77\n")], "long"),
    ],
)
def test_of_several_extended_headers_the_last_counts(headers: list[tuple[bytes, bytes]], name: str) -> None:
    archive = b"".join(_extended(kind, body) for kind, body in headers) + _raw("own", File(data=b"data")) + bytes(1024)
    assert _paths(archive) == [name]


def test_extended_headers_before_one_entry_have_a_limit() -> None:
    many = _extended(b"x", b"9 uid=77\n") * 17
    assert "too many extended headers" in refusal(many + _raw("x", File()))


@pytest.mark.parametrize(
    ("number", "found"),
    [(-1, 0), (-2, 4294967294), (-(1 << 31), 1 << 31), (-(1 << 31) - 1, None), (1 << 32, None), (5, 5)],
)
def test_ids_in_base_256(number: int, found: int | None) -> None:
    header = bytearray(_raw("x", File()))
    raw = number.to_bytes(8, "big", signed=True)
    header[108:116] = raw if number < 0 else b"\x80" + raw[1:]
    archive = _summed(header)
    if found is None:
        assert "no user or group has number" in refusal(archive + bytes(1024))
        return
    assert tarheader.owner(archive, {}) == (found, 0)
    assert names(scan(archive + bytes(1024))[1]) == ["x"]


def test_a_negative_size_is_refused() -> None:
    header = bytearray(_raw("x", File()))
    header[124:136] = (-4).to_bytes(12, "big", signed=True)
    assert "its size is negative" in refusal(_summed(header) + bytes(1024))


def _raw(name: str, entry: Entry) -> bytes:
    """One entry with everything as stated, which tarfile's `add` would put right."""
    info = entry.tarinfo(name)
    return info.tobuf(tarfile.PAX_FORMAT) + entry.data.ljust(-(-len(entry.data) // 512) * 512, b"\0")


@pytest.mark.parametrize("cut", [1, 511, 512 + 10, 1024 + 5])
def test_truncated(cut: int) -> None:
    archive = layer({"a": b"x" * 2000})
    assert "in the middle of an entry" in refusal(archive[:cut])


def test_a_lone_block_of_zeros_hides_nothing() -> None:
    archive = layer({"a": b"1"})
    assert "a lone block of zeros" in refusal(bytes(512) + archive)


def test_names_in_messages_cannot_command_a_terminal() -> None:
    assert "\x1b" not in refusal(layer({"../\x1b[2J": b""}))


def test_old_sparse_files_pass() -> None:
    """Type S with a map of more pieces than its header has room for, as GNU tar --format=gnu --sparse writes it."""
    info = tarfile.TarInfo("sparse")
    info.type, info.size = b"S", 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[483:495] = b"00000100000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive = bytes(header) + bytes(512) + b"d" * 512 + layer({"next": b"1"})
    assert scan(archive)[1].startswith(archive[:1536])
    assert b"next" in scan(archive)[1]
