"""Limits that a host cannot apply."""

from __future__ import annotations

from mydocker.runtime.cgroup.enforceable import LIMITS
from mydocker.specs.model import ContainerSpec


def test_no_limit_is_left_out() -> None:
    """Each field that takes a cgroup can be dropped where there is none."""
    plain = ContainerSpec(image=None, rootfs="/")
    assert {name for name in ContainerSpec.fields if plain.replace(**{name: 1}).limited} == {*LIMITS}
