"""Random stacks of layers, as a container sees them, compared with a model of what the specification says."""

from __future__ import annotations

import itertools
import os
import pathlib
import pwd
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lab import oci, stacks, trees
from lab.command import Command, granted
from lab.stacks import STACKS, Stack
from lab.trees import Tree

pytestmark = pytest.mark.root

DEEP = settings(
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    database=None,
    phases=[Phase.generate],  # a failure is small as it is, and each try takes a third of a second
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Look = Callable[[Command, Stack, bool], Tree]


@pytest.fixture(scope="session")
def dump(user_directory: Callable[[], pathlib.Path]) -> pathlib.Path:
    program = trees.build(user_directory())
    program.chmod(0o755)
    return program


@pytest.fixture
def look(dump: pathlib.Path, user_directory: Callable[[], pathlib.Path]) -> Look:
    """What a container of an image made of a stack sees below `t`."""
    directory, numbers = user_directory(), itertools.count()

    def look(command: Command, stack: Stack, marks_last: bool) -> Tree:
        layout = oci.write_layout(directory / str(next(numbers)), stacks.image(stack, marks_last=marks_last))
        done = command("run", "--network", "none", f"oci:{layout}", str(dump), f"/{stacks.TOP}")
        assert (done.code, b"Traceback" in done.stderr) == (0, False), done
        return trees.parse(done.stdout)

    return look


@settings(DEEP, max_examples=25)
@given(stack=STACKS)
def test_a_container_sees_what_the_specification_says(mydocker: Command, look: Look, stack: Stack) -> None:
    assert look(mydocker, stack, len(stack) % 2 == 0) == stacks.result(stack)


@pytest.fixture
def ranges(user: pwd.struct_passwd) -> Iterator[None]:
    with granted(user, 300_000):
        yield


@pytest.mark.rootless
@settings(DEEP, max_examples=8)
@given(stack=STACKS)
def test_an_ordinary_user_sees_it_too(second_user: Command, ranges: None, look: Look, stack: Stack) -> None:
    """But for devices, which they cannot make."""
    assert look(second_user, stack, len(stack) % 2 == 0) == stacks.result(stack, devices=False)
