"""A store that another machine has filled, where the same user has other ids."""

from __future__ import annotations

import pwd

import pytest
from lab.command import Command, granted, registries_conf

pytestmark = pytest.mark.root


def test_image_of_other_ids(second_user: Command, user: pwd.struct_passwd) -> None:
    with granted(user, 3_000_000):
        assert second_user("pull", "-q", "alpine").code == 0
        assert second_user("run", "--pull", "never", "--network", "none", "alpine", "true").code == 0
    done = second_user("run", "--pull", "never", "alpine", "true")
    assert done.code == 125 and b"hint: the store has it for other ids than this machine's" in done.stderr, done
    configuration = second_user.directory / "config" / "containers" / "registries.conf"
    usual = configuration.read_text()
    configuration.write_text(registries_conf("127.0.0.1:9"))
    gone = second_user("run", "alpine", "true")
    configuration.write_text(usual)
    assert gone.code == 125 and b"hint: the store has it for other ids than this machine's" in gone.stderr, gone
    other = second_user("run", "--pull", "never", "alpine:3", "true")
    assert other.code == 125 and b"pulling is off" in other.stderr, other
    assert second_user("run", "--network", "none", "alpine", "true").code == 0
