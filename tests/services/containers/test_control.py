"""What a client learns of a keeper that ends meanwhile."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import LaunchError
from mydocker.services.containers import control


@pytest.mark.parametrize(
    "moment", ["before it is reached", "before it accepts", "before it reads", "before it answers"]
)
def test_a_keeper_that_ends(tmp_path: pathlib.Path, moment: str) -> None:
    with control.listen(str(tmp_path)) as listener:
        if moment == "before it is reached":
            listener.close()
            with pytest.raises(LaunchError, match="the container is not running"):
                control.connect(str(tmp_path))
            return
        with control.connect(str(tmp_path)) as connection:
            if moment != "before it accepts":
                accepted, _ = listener.accept()
                if moment == "before it answers":
                    connection.send(b"{}")
                accepted.close()
            listener.close()
            with pytest.raises(LaunchError, match="the container has ended, and its keeper with it"):
                control.request(connection, "wait")
