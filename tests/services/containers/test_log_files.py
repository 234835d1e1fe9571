"""The log of a container: written, rotated, read from either end, followed, and what a full disk does to it."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import threading

import pytest

from mydocker.services.containers import log_files
from mydocker.services.containers.log_files import LogFiles, read_log, timestamp
from mydocker.specs.model.parts import Logging

FILE = Logging()


def texts(directory: pathlib.Path, tail: int | None = None) -> list[bytes]:
    return [entry.text for entry in read_log(str(directory), tail=tail)]


def written(directory: pathlib.Path, *chunks: bytes, rule: Logging = FILE) -> LogFiles:
    log = LogFiles(str(directory), rule)
    for chunk in chunks:
        log.add("stdout", chunk)
    log.end()
    return log


@pytest.mark.parametrize(
    ("chunks", "entries"),
    [
        ([b"a\nb\n"], [b"a\n", b"b\n"]),
        ([b"a", b"b\nc", b"\n"], [b"ab\n", b"c\n"]),
        ([b"no end"], [b"no end"]),
        ([b"\n\n"], [b"\n", b"\n"]),
        ([b"\r\n\x0b\x0c\x85\n"], [b"\r\n", b"\x0b\x0c\x85\n"]),
        ([b"\xff\xfe\xc3\n\x00\x1b[2J\n"], [b"\xff\xfe\xc3\n", b"\x00\x1b[2J\n"]),
        (["ä€😀\n".encode()], ["ä€😀\n".encode()]),
        ([b"x" * 16384 + b"\n"], [b"x" * 16384, b"\n"]),
        ([b"x" * 16383 + b"\n"], [b"x" * 16383 + b"\n"]),
        ([b"x" * 40000], [b"x" * 16384, b"x" * 16384, b"x" * 7232]),
        ([b"x" * 16384, b"y\n"], [b"x" * 16384, b"y\n"]),
        ([b"x" * 16383 + "é".encode() + b"\n"], [b"x" * 16383 + b"\xc3", b"\xa9\n"]),
    ],
)
def test_lines_and_parts(tmp_path: pathlib.Path, chunks: list[bytes], entries: list[bytes]) -> None:
    written(tmp_path, *chunks)
    assert texts(tmp_path) == entries
    for count in range(len(entries) + 2):
        assert texts(tmp_path, count) == (entries[-count:] if count else [])


def test_random_bytes_of_both_streams_come_back(tmp_path: pathlib.Path) -> None:
    chance, log = random.Random(1), LogFiles(str(tmp_path), Logging(max_size=100_000, max_file=1000))
    sent = {"stdout": b"", "stderr": b""}
    for _ in range(200):
        stream, data = chance.choice([*sent]), chance.randbytes(chance.randrange(20_000))
        sent[stream] += data
        log.add(stream, data)
    log.end()
    found = {"stdout": b"", "stderr": b""}
    for entry in read_log(str(tmp_path)):
        found[entry.stream] += entry.text
    assert found == sent and len(os.listdir(tmp_path)) > 20


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("size", "files"), [(1000, 3), (1000, 1), (200, 5)])
def test_rotation(tmp_path: pathlib.Path, size: int, files: int, at_once: bool) -> None:
    lines = [b"line %05d\n" % number for number in range(200)]
    written(tmp_path, *([b"".join(lines)] if at_once else lines), rule=Logging(max_size=size, max_file=files))
    assert len(os.listdir(tmp_path)) == files
    assert all(path.stat().st_size <= size for path in tmp_path.iterdir())
    found = texts(tmp_path)
    assert found and found == lines[-len(found) :]
    assert [texts(tmp_path, count) for count in (1, 3, 500)] == [found[-1:], found[-3:], found]


def test_an_entry_that_is_larger_than_a_file(tmp_path: pathlib.Path) -> None:
    written(tmp_path, b"a\n", b"x" * 3000 + b"\n", b"b\n", rule=Logging(max_size=200, max_file=3))
    assert texts(tmp_path) == [b"a\n", b"x" * 3000 + b"\n", b"b\n"]


def test_a_gap_in_the_numbers(tmp_path: pathlib.Path) -> None:
    """As a keeper leaves it that is killed while it rotates."""
    lines = [b"%d\n" % number for number in range(40)]
    written(tmp_path, *lines, rule=Logging(max_size=500, max_file=9))
    found = texts(tmp_path)
    for number in range(8, 0, -1):
        if (tmp_path / f"container.log.{number}").exists():
            (tmp_path / f"container.log.{number}").rename(tmp_path / f"container.log.{number + 1}")
    assert texts(tmp_path) == found == lines and texts(tmp_path, 30) == lines[-30:]


def test_no_log(tmp_path: pathlib.Path) -> None:
    written(tmp_path, b"a\n", rule=Logging(driver="none"))
    assert not os.listdir(tmp_path) and not texts(tmp_path) and not texts(tmp_path, 3)


def test_the_driver_local_has_docker_s_limits(tmp_path: pathlib.Path) -> None:
    log = LogFiles(str(tmp_path), Logging(driver="local"))
    assert (log.max_size, log.max_file) == (20_000_000, 5)


def test_one_writes_where_another_has_stopped(tmp_path: pathlib.Path) -> None:
    written(tmp_path, b"first\n")
    written(tmp_path, b"second\n")
    assert texts(tmp_path) == [b"first\n", b"second\n"]


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: pathlib.Path) -> None:
    written(tmp_path, b"first\n")
    path = tmp_path / "container.log"
    path.write_bytes(path.read_bytes() + b'{"log": "cut o')
    written(tmp_path, b"second\n")
    assert texts(tmp_path) == [b"first\n", b"second\n"] and texts(tmp_path, 1) == [b"second\n"]


@pytest.mark.parametrize("line", [b"[]", b"1", b'"x"', b"{}", b'{"log": 1, "stream": "stdout", "time": ""}', b"\xff"])
def test_what_is_no_entry_is_left_out(tmp_path: pathlib.Path, line: bytes) -> None:
    written(tmp_path, b"a\n")
    path = tmp_path / "container.log"
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n")
    assert texts(tmp_path) == [b"a\n"]


def test_the_end_of_a_long_log_is_read_from_the_end(tmp_path: pathlib.Path) -> None:
    """A hole of 10 GB is before it."""
    written(tmp_path, b"old\n")
    path = tmp_path / "container.log"
    entry = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(10 << 30)
        file.write(b"\n" + entry * 3)
    assert texts(tmp_path, 2) == [b"old\n"] * 2


@pytest.mark.parametrize("tail", [None, 0, 2, 1000])
@pytest.mark.parametrize("rule", [FILE, Logging(max_size=2000, max_file=40)])
def test_following_misses_and_repeats_nothing(tmp_path: pathlib.Path, rule: Logging, tail: int | None) -> None:
    log, alive = LogFiles(str(tmp_path), rule), [True]
    lines = [b"%06d\n" % number for number in range(600)]
    for line in lines[:10]:
        log.add("stdout", line)

    def write() -> None:
        for line in lines[10:]:
            log.add("stdout", line)
        log.end()
        alive[0] = False

    writer = threading.Thread(target=write)
    reading = read_log(str(tmp_path), tail=tail, follow=lambda: alive[0])
    first = [] if tail == 0 else [next(reading)]
    writer.start()
    found = [entry.text for entry in (*first, *reading)]
    writer.join()
    assert found == lines[len(lines) - len(found) :]  # none of them, if all were written before it is read
    assert len(found) == (600 if tail in (None, 1000) else 592 if tail == 2 else len(found))


def test_following_what_is_rotated_away_goes_on_with_what_is_left(tmp_path: pathlib.Path) -> None:
    log, alive = LogFiles(str(tmp_path), Logging(max_size=300, max_file=1)), [True]
    log.add("stdout", b"first\n")
    reading = read_log(str(tmp_path), follow=lambda: alive[0])
    assert next(reading).text == b"first\n"
    for number in range(100):
        log.add("stdout", b"%03d\n" % number)
    log.end()
    alive[0] = False
    found = [entry.text for entry in reading]
    assert found[-1] == b"099\n" and found == sorted(found)


def test_a_log_that_does_not_exist_yet_is_followed(tmp_path: pathlib.Path) -> None:
    answers = iter([True, True, False])

    def goes_on() -> bool:
        answer = next(answers)
        if not answer:
            written(tmp_path, b"late\n")
        return answer

    assert [entry.text for entry in read_log(str(tmp_path), follow=goes_on)] == [b"late\n"]


@pytest.mark.root
def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: pathlib.Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    try:
        log = LogFiles(str(disk), FILE)
        lines = [b"%06d %s\n" % (number, b"x" * 500) for number in range(200)]
        for line in lines:
            log.add("stdout", line)
        assert log.lost > 0
        kept = texts(disk)
        assert 50 < len(kept) < 200 and kept == lines[: len(kept)]
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        log.add("stdout", b"again\n")
        log.end()
        assert texts(disk) == [*kept, b"again\n"] and texts(disk, 1) == [b"again\n"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_directory_that_is_gone_costs_lines_and_nothing_else(tmp_path: pathlib.Path) -> None:
    log = written(tmp_path / "gone", b"a\n")
    assert log.lost > 0 and texts(tmp_path / "gone") == []


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z"),
        (1_709_208_000_999_999_999, "2024-02-29T12:00:00.999999999Z"),
    ],
)
def test_timestamps(nanoseconds: int, text: str) -> None:
    assert timestamp(nanoseconds) == text


def test_a_clock_that_jumps_back_keeps_the_order_of_lines(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([2_000_000_000, 1_000_000_000, 3_000_000_000, 3_000_000_000])
    monkeypatch.setattr(log_files.time, "time_ns", lambda: next(times))
    written(tmp_path, b"a\n", b"b\n", b"c\n")
    assert texts(tmp_path) == [b"a\n", b"b\n", b"c\n"]
