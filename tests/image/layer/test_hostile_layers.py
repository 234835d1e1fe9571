"""Layers that are too much of something, pulled as a user pulls them: refused in words, or taken, in little memory.

Whatever a layer tries, `canary` outside the store stays as it is, and what is refused leaves nothing.
"""

from __future__ import annotations

import io
import json
import pathlib
import shutil
import tarfile
from collections.abc import Callable

import pytest
from lab import oci
from lab.command import Command, Result
from lab.oci import DIR, WHITEOUT, File, Hardlink, compress, layer

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("canary")]

MEMORY = 150 << 20  # bytes of the largest process: twice what an ordinary pull takes
GIB = 1 << 30

Pull = Callable[..., Result]


@pytest.fixture
def pull(mydocker: Command, tmp_path: pathlib.Path) -> Pull:
    def pull(blob: bytes, *, tar: bytes = b"", compression: str = "gzip", **limits: int) -> Result:
        """Pull an image of one layer, BLOB, which is TAR compressed, with MYDOCKER_LAYER_* variables as LIMITS say."""
        rootfs = {"type": "layers", "diff_ids": [oci.digest(tar)]}
        config = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": rootfs}).encode()
        shutil.rmtree(tmp_path / "hostile", ignore_errors=True)
        layout = oci.write_layout(tmp_path / "hostile", oci.assemble(config, [blob], compression=compression))
        env = {f"MYDOCKER_LAYER_{name.upper()}": str(value) for name, value in limits.items()}
        done, memory = mydocker.measured("pull", f"oci:{layout}", env=env)
        assert b"Traceback" not in done.stderr and memory < MEMORY, (done, memory)
        if done.code:
            assert mydocker("images", "--format", "json").stdout == b"[]\n"
            assert [list((mydocker.store / part).iterdir()) for part in ("incoming", "layers", "skeletons")] == [[]] * 3
        return done

    return pull


@pytest.fixture
def take(pull: Pull, mydocker: Command) -> Callable[..., None]:
    def take(tar: bytes, *, blob: bytes = b"", **limits: int) -> None:
        """Pull TAR as a layer, with success, find the store whole, and remove the image again."""
        done = pull(blob or compress(tar, "gzip"), tar=tar, **limits)
        assert done.code == 0, done
        assert mydocker("fsck") == Result(b"", b"", 0)
        assert mydocker("save", "-o", "/dev/null", "localhost/hostile").code == 0
        assert mydocker("rmi", "localhost/hostile").code == mydocker("prune").code == 0
        assert list((mydocker.store / "layers").iterdir()) == []

    return take


def _header(name: str, *, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("begin", [_header("zeros", size=10 * GIB), bytes(1024)], ids=["file", "after-the-end"])
def test_ten_gibibytes_of_zeros(pull: Pull, compression: str, begin: bytes) -> None:
    """As a thousand members, to boot."""
    member = compress(bytes(10 << 20), compression)
    done = pull(compress(begin, compression) + member * 1024, compression=compression)
    assert done.code == 125 and b"expands more than 200 times" in done.stderr
    assert b"MYDOCKER_LAYER_EXPANSION" in done.stderr


def _sparse(size: int) -> bytes:
    return layer({"holes": File(b"", headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": str(size)})})


def _old_sparse(size: int) -> bytes:
    """GNU tar manual, "Basic Tar Format": no piece has data; the size in base 256 if there is no room for digits."""
    header = bytearray(_header("holes", size=0, kind=b"S"))
    header[483:495] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def _two_sizes(size: int) -> bytes:
    headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.realsize": "1",
        "GNU.sparse.size": str(size),
        "GNU.sparse.map": "0,0",
    }
    return layer({"holes": File(b"", headers=headers)})


@pytest.mark.parametrize("made", [_sparse, _old_sparse, _two_sizes])
def test_eight_exbibytes_of_nothing(pull: Pull, made: Callable[[int], bytes]) -> None:
    done = pull(compress(made((8 << 60) - 1), "gzip"))
    assert done.code == 125 and b"more than 256 GiB" in done.stderr and b"MYDOCKER_LAYER_GIB" in done.stderr


def test_a_window_of_two_gibibytes(pull: Pull) -> None:
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, (31 - 10) << 3]) + bytes.fromhex("010000")  # RFC 8878, 3.1.1
    done = pull(frame, compression="zstd")
    assert done.code == 125 and b"damaged" in done.stderr


def test_global_headers_without_end(take: Callable[..., None]) -> None:
    many = tarfile.TarInfo.create_pax_global_header({"comment": "x" * 1_000_000}) * 120  # of which MEMORY has no room
    take(many + layer({"a": b"1", "b": Hardlink("a")}))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_gibibytes(pull: Pull, kind: bytes) -> None:
    member = compress(bytes(10 << 20), "gzip")
    done = pull(compress(_header("x", size=3 * GIB, kind=kind), "gzip") + member * 50)
    assert done.code == 125 and b"extended headers too large" in done.stderr


def test_more_entries_than_are_allowed(pull: Pull, take: Callable[..., None]) -> None:
    tar = layer({f"f{number}": b"" for number in range(2000)})
    take(tar, entries=2000)
    done = pull(compress(tar, "gzip"), tar=tar, entries=1999)
    assert done.code == 125 and b"more than 1999 entries" in done.stderr and b"MYDOCKER_LAYER_ENTRIES" in done.stderr


def test_deeper_than_is_allowed(pull: Pull, take: Callable[..., None]) -> None:
    """As deep as a path can be; what is deeper has a longer name than any path."""
    tar = layer({"d/" * 2000 + "f": b"1"})
    take(tar, depth=3000)
    done = pull(compress(tar, "gzip"), tar=tar)
    assert done.code == 125 and b"directories deep" in done.stderr and b"MYDOCKER_LAYER_DEPTH" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d/" * 3000 + "f", b"name is too long"),
        ("n" * 5000, b"name is too long"),
        ("n" * 256, b"longer than 255 bytes"),
    ],
    ids=["deep", "long", "part"],
)
def test_names_that_no_file_can_have(pull: Pull, name: str, words: bytes) -> None:
    done = pull(compress(layer({name: b"1"}), "gzip"))
    assert done.code == 125 and words in done.stderr


def test_names_that_are_no_text(take: Callable[..., None]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for name in (b"\xff\xfe", b"d/\xe9\x1b[2J", b"\n"):
            archive.addfile(tarfile.TarInfo(name.decode(errors="surrogateescape")))
    take(stream.getvalue())


def test_whiteouts_of_long_names(pull: Pull) -> None:
    """Those that take 70 MB together: more than any limit on what has to be remembered until the end."""
    deep = "/".join(["n" * 200] * 19)
    done = pull(compress(layer({f"{deep}/{number}": WHITEOUT for number in range(18_500)}), "gzip"))
    assert done.code == 125 and b"its whiteouts" in done.stderr and b"take more than" in done.stderr


@pytest.mark.parametrize("cut", [100, 512, 512 + 1000, 2048 + 200])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_ends_early(pull: Pull, cut: int, compressed: bool) -> None:
    tar = layer({"a": b"1" * 1500, "b": b"2"})
    blob = compress(tar, "gzip")[: -cut // 100] if compressed else compress(tar[:cut], "gzip")
    done = pull(blob, tar=tar)
    assert done.code == 125 and (b"ends in the middle" in done.stderr or b"forged" in done.stderr)


def test_what_goes_on_after_its_end(take: Callable[..., None]) -> None:
    tar = layer({"d": DIR, "d/a": b"1"}) + b"junk" * 1000
    take(tar, blob=b"".join(compress(tar[start : start + 20], "gzip") for start in range(0, len(tar), 20)))
