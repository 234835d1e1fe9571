"""Directories of runs that were killed: who removes them, and what else may have their path by then."""

from __future__ import annotations

import pathlib

import pytest

from mydocker import kernel
from mydocker.runtime.launch.run_directory import reclaim


def test_the_directory_of_a_new_run_is_not_taken_for_an_old_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening of what is left and its lock, another process removes it, and a run makes it again."""
    path = tmp_path / "0123456789ab"
    path.mkdir()
    lock = kernel.lock

    def lock_late(descriptor: int, **options: bool) -> None:
        path.rmdir()
        (path / "memory").mkdir(parents=True)
        lock(descriptor, **options)

    monkeypatch.setattr(kernel, "lock", lock_late)
    assert reclaim(str(path), wait=False) == []
    assert (path / "memory").is_dir()


def test_what_is_left_is_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "0123456789ab"
    (path / "memory").mkdir(parents=True)
    assert reclaim(str(path)) == []
    assert not path.exists()
