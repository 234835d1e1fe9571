"""Images of many layers: as many as overlayfs stacks, under options of a page, as root and as an ordinary user."""

from __future__ import annotations

import json
import pathlib
import pwd
import subprocess
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from lab import busybox, oci
from lab.command import Command, Result, granted
from lab.oci import DIR, OPAQUE, WHITEOUT, Entries, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

LIMIT = 500  # OVL_MAX_STACK
# the lowest and the highest, what each replaces, and what hides something far below it
LOOK = "cat /all /first /last; ls /d; ls / | grep -c own-"


def _tall(layers: int) -> oci.Image:
    """An image of so many LAYERS, the lowest of which is alpine's."""
    above: list[Entries] = [{f"own-{n}": b"", "all": f"{n} ".encode()} for n in range(layers - 1)]
    above[0] = {**above[0], "first": b"first ", "gone": b"", "d": DIR, "d/old": b"", "own-x": b""}  # type: ignore[dict-item]  # they are mappings
    above[-1] = {**above[-1], "last": b"last\n", "own-x": WHITEOUT, "d": DIR, "d/": OPAQUE, "d/new": b""}  # type: ignore[dict-item]  # as above
    return busybox.alpine(*[layer(entries) for entries in above])


def _expected(layers: int, more: bytes = b"") -> Result:
    return Result(f"{layers - 2} first last\nnew\n{layers - 1}\n".encode() + more, b"", 0)


@pytest.fixture
def tall(user_directory: Callable[[], pathlib.Path]) -> Callable[[int], str]:
    """Makes an image of so many layers, in files, and gives its name."""
    return lambda layers: f"oci:{oci.write_layout(user_directory() / 'tall', _tall(layers))}"


def test_as_many_layers_as_the_kernel_stacks(mydocker: Command, tall: Callable[[int], str]) -> None:
    done = mydocker("run", "--network", "none", tall(LIMIT), "sh", "-c", f"{LOOK}; echo 2 > /first; cat /first /last")
    assert done == _expected(LIMIT, b"2\nlast\n")
    [found] = json.loads(mydocker("inspect", "localhost/tall").stdout)
    assert len(found["LayerDirs"]) == LIMIT


def test_more_than_the_kernel_stacks(mydocker: Command, tall: Callable[[int], str]) -> None:
    image = tall(LIMIT + 1)
    done = mydocker("run", image, "true")
    assert (done.code, done.stdout) == (125, b"")
    first, second = done.stderr.decode().splitlines()
    path = image.partition(":")[2]
    assert first == f"mydocker: {path}: manifest: layers: 501 of them, more than 500" and "overlayfs" in second
    assert not list((mydocker.store / "layers").iterdir())


@pytest.mark.rootless
@pytest.mark.parametrize(("layers", "has_ranges"), [(127, False), (128, True)])
def test_an_ordinary_user_has_many_too(
    second_user: Command, tall: Callable[[int], str], user: pwd.struct_passwd, layers: int, has_ranges: bool
) -> None:
    with granted(user, 300_000) if has_ranges else nullcontext():
        done = second_user("run", "--network", "none", tall(layers), "sh", "-c", LOOK)
    assert done == _expected(layers)


def test_the_shell_script_has_them_too(mydocker: Command, tall: Callable[[int], str]) -> None:
    name = tall(70)
    assert mydocker("pull", "-q", name).code == 0
    script = mydocker("explain", "--shell", "run", "--network", "none", "localhost/tall", "sh", "-c", LOOK).stdout
    done = subprocess.run(["sh", "-c", script.decode()], capture_output=True, timeout=240)
    assert Result(done.stdout, done.stderr, done.returncode) == _expected(70)


@pytest.mark.parametrize(
    "order",
    ["aa", "aba", "abab", "bab", "eaebe"],  # e is empty, as the layers of an instruction that changes no file
)
def test_the_same_layer_again(mydocker: Command, registry: Registry, order: str) -> None:
    """Overlayfs takes no directory twice."""
    contents: dict[str, Entries] = {
        "a": {"d": DIR, "d/x": b"a", "kind": b"a", "only-a": b""},
        "b": [("d/x", WHITEOUT), ("kind", DIR), ("kind/b", b"b"), ("only-a", WHITEOUT)],
        "e": {},
    }
    script = "cat /d/x /kind /kind/b; ls /only-a"
    registry.push(busybox.alpine(*[layer(contents[name]) for name in order]), f"stack/{order}")
    seen = mydocker("run", "--network", "none", f"stack/{order}", "sh", "-c", f"({script}) 2>/dev/null").stdout
    assert seen == (b"aa/only-a\n" if order.strip("e")[-1] == "a" else b"b")
    assert mydocker("load", "-q", input=mydocker("save", f"stack/{order}").stdout).code == 0
    assert mydocker("fsck").code == 0
