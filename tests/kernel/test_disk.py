"""Files that are replaced as a whole."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest

from mydocker.kernel.disk import replace_file

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("mode", "kept"), [(None, 0o640), (0o600, 0o600)])
def test_a_file_keeps_its_mode_unless_another_is_set(tmp_path: pathlib.Path, mode: int | None, kept: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    replace_file(str(path), "new \udcff", mode=mode)
    assert path.read_bytes() == b"new \xff" and stat.S_IMODE(path.stat().st_mode) == kept
    assert os.listdir(tmp_path) == ["file"]


def test_a_new_file_takes_the_place_of_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        replace_file(str(tmp_path / "file"), "x", is_new=True)
    assert os.listdir(tmp_path) == ["file"]
    replace_file(str(tmp_path / "other"), "x", is_new=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "other"] and (tmp_path / "other").read_text() == "x"


def test_what_cannot_be_written_leaves_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(str(tmp_path / "directory"), "x")
    with pytest.raises(FileNotFoundError):
        replace_file(str(tmp_path / "gone" / "file"), "x")
    assert os.listdir(tmp_path) == ["directory"]
