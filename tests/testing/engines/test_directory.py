"""Files of results, read while others write them."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import UsageError
from mydocker.testing.engines.directory import Directory, State


def _read(directory: Directory, *, torn: bool = False) -> list[tuple[int, str, int, bytes]]:
    return [
        (part, pathlib.Path(path).name, number, line) for part, path, number, line in directory.new_lines(torn=torn)
    ]


def test_lines_as_they_come(tmp_path: pathlib.Path) -> None:
    directory = Directory(str(tmp_path))
    assert _read(directory) == []
    for name in ("batch.jsonl", "1.log", "1.0.log", "x.0.jsonl", "0.0.jsonl"):
        (tmp_path / name).write_bytes(b"no result\n")
    file = tmp_path / "12.0.jsonl"
    file.write_bytes(b"o\rne\ntw")
    assert _read(directory) == [(12, "12.0.jsonl", 1, b"o\rne\n")]
    assert _read(directory) == []
    with file.open("ab") as opened:
        opened.write(b"o\nthree\nfou")
    (tmp_path / "12.1.jsonl").write_bytes(b"again\n")
    expected = [(12, "12.0.jsonl", 2, b"two\n"), (12, "12.0.jsonl", 3, b"three\n"), (12, "12.1.jsonl", 1, b"again\n")]
    assert _read(directory) == expected
    assert _read(directory, torn=True) == [(12, "12.0.jsonl", 4, b"fou")]
    assert _read(directory, torn=True) == []


def test_last_line_of_the_newest_log(tmp_path: pathlib.Path) -> None:
    directory = Directory(str(tmp_path))
    assert directory.last_line(1) == ("", "")
    (tmp_path / "1.log").write_text("")
    (tmp_path / "11.0.log").write_text("of another part\n")
    assert directory.last_line(1) == ("", "")
    (tmp_path / "1.0.log").write_text("x" * 5000 + "\nfirst\n\x1b[1mlast\n\n")
    assert directory.last_line(1) == (f"{tmp_path}/1.0.log", "\\x1b[1mlast")


def test_only_a_directory_of_ones_own(tmp_path: pathlib.Path) -> None:
    used, file, link, deep = (tmp_path / name for name in ("used", "file", "link", "no/such"))
    used.mkdir()
    (used / "x").touch()
    file.touch()
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    link.symlink_to(empty)
    for path in (used, file, link, deep):
        with pytest.raises(UsageError):
            Directory(str(path)).make([], parts=1)
    made = Directory(str(empty))
    made.make([], parts=1)
    assert empty.stat().st_mode & 0o777 == 0o700
    made.remove()
    assert not empty.exists()


def test_what_cannot_be_written_leaves_nothing(tmp_path: pathlib.Path) -> None:
    made = Directory(str(tmp_path / "parts"))
    made.make([], parts=1)
    made.write("job.sh", "x")
    (tmp_path / "parts" / "job.sh").unlink()
    (tmp_path / "parts" / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        made.write("taken", "x")
    assert sorted(each.name for each in (tmp_path / "parts").iterdir()) == ["batch.jsonl", "taken"]
    (tmp_path / "parts" / "taken").rmdir()
    made.remove()
    assert not (tmp_path / "parts").exists()


BROKEN = (
    "",
    "{",
    "[]",
    '{"engine": "slurm", "parts": 2, "id": "7"}',
    '{"engine": "slurm", "parts": "x", "id": "7", "reasons": null}',
    '{"engine": "slurm", "parts": 1e999, "id": "7", "reasons": null}',
    '{"engine": "slurm", "parts": 0, "id": "7", "reasons": null}',
    "[" * 100_000,
)


def test_state(tmp_path: pathlib.Path) -> None:
    directory = Directory(str(tmp_path))
    assert directory.state() is None
    for reasons in (None, {}, {1: "its node was lost"}):
        state = State(engine="slurm", parts=2, id="7", reasons=reasons)
        directory.keep(state)
        assert directory.state() == state
    for text in BROKEN:
        (tmp_path / "batch.json").write_text(text)
        assert directory.state() is None, text
