"""Whose turn it is to create the containers of a project."""

from __future__ import annotations

import pathlib
import stat

from mydocker.image.store import Store
from mydocker.services.project.turn import Turn


def test_the_directories_that_it_makes_are_closed(tmp_path: pathlib.Path) -> None:
    store = Store.open({"MYDOCKER_ROOT": str(tmp_path / "store")})
    turn = Turn(store, "shop")
    turn.take(lambda _: None)
    turn.end()
    for path in (store.background, store.names):
        assert stat.S_IMODE(pathlib.Path(path).stat().st_mode) == 0o700
