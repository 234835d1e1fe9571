"""A pull that was cut off goes on where it stopped, in another process, and ends as if nothing had been."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from lab import hub as lab
from lab.command import Command, command
from lab.hub import Hub
from lab.oci import compress, layer

from mydocker.image.layer import blob
from mydocker.image.store import partial_download
from mydocker.image.store.partial_download import PartialDownload

CONTENT = random.Random(1).randbytes(3_000_000)
TAR = layer({"big": CONTENT})
BLOB = compress(TAR, "gzip")
CHUNK = 256 << 10


def _add_image(hub: Hub, *tars: bytes, tag: str = "latest") -> None:
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [lab.digest_of(tar) for tar in tars]},
    }
    hub.tag(
        {
            "schemaVersion": 2,
            "mediaType": lab.MANIFEST,
            "config": hub.add(json.dumps(config).encode(), lab.CONFIG),
            "layers": [hub.add(BLOB if tar is TAR else compress(tar, "gzip")) for tar in tars],
        },
        tag,
    )


@pytest.fixture
def hub() -> Iterator[Hub]:
    with lab.serve() as running:
        _add_image(running, TAR)
        yield running


@pytest.fixture
def here(hub: Hub, tmp_path: pathlib.Path) -> Command:
    """The command with an empty store; docker.io is the hub."""
    return command(tmp_path, registry=hub.address, forks=True)


def _parts(here: Command) -> list[pathlib.Path]:
    return sorted(here.store.glob("incoming/*.part"))


def _ranges(hub: Hub) -> list[str | None]:
    """What has been asked for of the layer, request by request."""
    return [seen.headers.get("Range") for seen in hub.seen("cdn", lab.digest_of(BLOB))]


def _stalling(body: bytes, *, after: int, release: threading.Event) -> lab.Answer:
    """AFTER bytes of BODY, and silence until RELEASE."""

    def send(handler: lab.Handler) -> None:
        lab.reply(body[:after], {"Content-Length": str(len(body))})(handler)
        release.wait(250)
        handler.close_connection = True

    return send


def _kill_at_half(here: Command, hub: Hub) -> None:
    """kill -9 of a pull that has got half of the layer."""
    release = threading.Event()
    hub.answer("cdn", lab.digest_of(BLOB), _stalling(BLOB, after=len(BLOB) // 2, release=release), times=1)
    pull = here.start("pull", "-q", "alpine")
    enough = len(BLOB) // 2 - CHUNK // 2  # of which what is being written now may be lost
    while not _parts(here) or _parts(here)[0].stat().st_size < enough:
        assert pull.poll() is None
        time.sleep(0.01)
    pull.kill()
    pull.communicate()
    release.set()


def _assert_whole(here: Command) -> None:
    assert here("pull", "-q", "alpine").code == 0
    [path] = here.store.glob("layers/*/big")
    assert path.read_bytes() == CONTENT and here("fsck").code == 0
    assert list(here.store.glob("incoming/*")) == []


def test_a_killed_pull_is_resumed_by_the_next(here: Command, hub: Hub) -> None:
    _kill_at_half(here, hub)
    _assert_whole(here)
    first, second = _ranges(hub)
    assert first is None and second
    start = int(second.removeprefix("bytes=").partition("-")[0])
    assert len(BLOB) // 2 - CHUNK <= start <= len(BLOB) // 2 and second.endswith(f"-{len(BLOB) - 1}")


def _flip(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _forge(path: pathlib.Path) -> None:
    path.unlink()
    forged = PartialDownload(str(path))
    assert list(forged.kept()) == []
    forged.add(b"\0" * 100_000, waited=1)
    forged.close()


def _link(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent.parent / "canary")


DAMAGE: dict[str, Callable[[pathlib.Path], object]] = {
    "a flipped bit": _flip,
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 1000),
    "zeros at its end": lambda path: os.truncate(path, path.stat().st_size + 100_000),
    "noise": lambda path: path.write_bytes(os.urandom(300_000)),
    "empty": lambda path: path.write_bytes(b""),
    "of another blob": _forge,
    "a link": _link,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_part_that_is_damaged_is_not_believed(here: Command, hub: Hub, tmp_path: pathlib.Path, damage: str) -> None:
    (tmp_path / "canary").write_bytes(b"canary")
    _kill_at_half(here, hub)
    DAMAGE[damage](_parts(here)[0])
    _assert_whole(here)
    assert (tmp_path / "canary").read_bytes() == b"canary"


def test_what_has_arrived_whole_is_not_asked_for_again(here: Command, hub: Hub) -> None:
    _kill_at_half(here, hub)
    whole = PartialDownload(str(_parts(here)[0]))
    have = sum(map(len, whole.kept()))
    for start in range(have, len(BLOB), CHUNK):
        whole.add(BLOB[start : start + CHUNK], waited=1)
    whole.close()
    hub.requests.clear()
    _assert_whole(here)
    assert _ranges(hub) == []


def test_after_a_failure_of_the_network_the_part_stays(here: Command, hub: Hub) -> None:
    hub.answer("cdn", lab.digest_of(BLOB), lab.broken_off(BLOB, after=len(BLOB) // 2), times=1)
    hub.answer("cdn", lab.digest_of(BLOB), lab.refusal(404, "GONE"), times=blob.RESTARTS)
    assert here("pull", "-q", "alpine").code == 125
    assert len(_parts(here)) == 1 and here("images", "--format", "json").stdout.strip() == b"[]"
    hub.requests.clear()
    _assert_whole(here)
    assert _ranges(hub)[0]


def test_a_token_that_ends_on_the_way_is_renewed_and_the_layer_resumed(here: Command, hub: Hub) -> None:
    def cut(handler: lab.Handler) -> None:
        hub.expire()
        lab.broken_off(BLOB, after=len(BLOB) // 2)(handler)

    hub.answer("cdn", lab.digest_of(BLOB), cut, times=1)
    _assert_whole(here)
    assert [bool(asked) for asked in _ranges(hub)] == [False, True] and len(hub.seen("auth")) == 2


def test_after_a_wrong_digest_no_part_stays(here: Command, hub: Hub) -> None:
    hub.answer("cdn", lab.digest_of(BLOB), lab.reply(BLOB[:-20] + b"\0" * 20))
    done = here("pull", "-q", "alpine")
    assert done.code == 125 and b"expected sha256:" in done.stderr
    assert list(here.store.glob("incoming/*")) == []


def test_prune_clears_parts_and_a_pull_only_old_ones(here: Command, hub: Hub) -> None:
    _add_image(hub, layer({"other": b"1"}), tag="other")
    _kill_at_half(here, hub)
    [found] = _parts(here)
    assert here("pull", "-q", "alpine:other").code == 0 and found.exists()
    week = time.time() - 8 * 24 * 3600
    os.utime(found, (week, week))
    assert here("pull", "-q", "alpine:other").code == 0 and not found.exists()
    hub.requests.clear()
    _kill_at_half(here, hub)
    assert b"interrupted download" in here("prune").stdout and _parts(here) == []
    _assert_whole(here)


# The part alone


def test_what_comes_fast_is_kept_up_to_a_limit(tmp_path: pathlib.Path) -> None:
    data = os.urandom(CHUNK)
    for seconds, stays in ((0.0, False), (3600.0, True)):
        kept = PartialDownload(str(tmp_path / f"{stays}.part"))
        assert list(kept.kept()) == []
        for _ in range(partial_download.FREE // CHUNK):
            kept.add(data, waited=0.0)
        assert (tmp_path / f"{stays}.part").exists()
        kept.add(data, waited=seconds)
        kept.add(data, waited=seconds)
        kept.close()
        assert (tmp_path / f"{stays}.part").exists() == stays
    again = PartialDownload(str(tmp_path / "True.part"))
    found = hashlib.sha256(b"".join(again.kept())).digest()
    again.close()
    assert found == hashlib.sha256(data * (partial_download.FREE // CHUNK + 2)).digest()


@pytest.mark.root
def test_a_full_disk_ends_a_part_and_nothing_else(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
    try:
        kept = PartialDownload(str(place / "x.part"))
        assert list(kept.kept()) == []
        for _ in range(8):
            kept.add(os.urandom(CHUNK), waited=3600.0)
        assert list(place.iterdir()) == []
        (place / "room").write_bytes(b"1" * 900_000)
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_part_that_was_closed_takes_nothing_more(tmp_path: pathlib.Path) -> None:
    """As a thread that is stuck in a read may want to add, when the pull has been interrupted."""
    kept = PartialDownload(str(tmp_path / "x.part"))
    assert list(kept.kept()) == []
    kept.add(b"1", waited=1.0)
    kept.close()
    kept.add(b"2", waited=1.0)
    again = PartialDownload(str(tmp_path / "x.part"))
    assert list(again.kept()) == [b"1"]
    again.close()
