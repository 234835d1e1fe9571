"""`mydocker diff` against a comparison of the whole tree before and after, for random changes of many layers."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import shutil
import stat
import subprocess
from typing import Any

import pytest
from lab import busybox
from lab.command import Command
from lab.oci import OPAQUE, WHITEOUT, Content, Dir, Fifo, File, Link, layer
from lab.places import LAB
from lab.registry import Registry

MUTATE = LAB / "mutate.py"
NAMES = ["f", "g", "h", "e f", "ü", "-x", "\\x41"]
SEEDS = range(6)


def _layers(seed: int) -> list[bytes]:
    """Five layers with /top, the upper ones with whiteouts and opaque directories at random."""
    chosen, layers = random.Random(seed), []
    directories = ["top", *(f"top/{one}" for one in "ab"), *(f"top/{one}/{two}" for one in "ab" for two in "abc")]
    for number in range(5):
        entries: list[tuple[str, Content]] = []
        gone = [path for path in directories[1:] if number and chosen.random() < 0.15]
        for directory in directories:
            if any(f"{directory}/".startswith(f"{path}/") for path in gone):
                entries += [(directory, WHITEOUT)] if directory in gone else []
                continue
            if number == 0 or chosen.random() < 0.6:
                entries.append((directory, Dir(mode=chosen.choice([0o755, 0o700, 0o1777]))))
                entries += [(directory, OPAQUE)] if number and directory != "top" and chosen.random() < 0.2 else []
            entries += [(f"{directory}/{name}", _content(number, chosen)) for name in NAMES if chosen.random() < 0.4]
        layers.append(layer(entries))
    return layers


def _content(number: int, chosen: random.Random) -> Content:
    if number and chosen.random() < 0.3:
        return WHITEOUT
    return chosen.choice([File(b"%d" % number, uid=chosen.choice([0, 3])), Link("a"), Dir(), Fifo()])


def _check(mydocker: Command, seed: int, directory: pathlib.Path) -> None:
    """Run random changes on image `random:SEED`, and compare."""
    python = os.path.realpath("/usr/bin/python3")
    bound = [word for path in ("/usr", "/lib", "/lib64") for word in ("-v", f"{path}:{path}:ro")]
    words = ["-v", f"{directory}:/mnt", f"random:{seed}", python, "/mnt/mutate.py"]
    done = mydocker("run", "--keep", *bound, *words, str(seed), "/top", "/mnt/seen")
    [kept] = re.findall(rb"^mydocker: kept: mydocker diff ([0-9a-f]{12})$", done.stderr, re.MULTILINE)
    assert done.code == 0, done
    listed = json.loads(mydocker("diff", kept.decode(), "--format", "json").stdout)
    found = {each["path"]: each["kind"] for each in listed if each["path"].startswith("/top")}
    before, after = json.loads((directory / "seen").read_text())
    assert found == _expected(before, after)


def _expected(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """As `docker diff` lists it: what is gone with the directory that it was in is not listed for itself."""
    kinds = dict.fromkeys(after.keys() - before.keys(), "A")
    kinds |= {path: "C" for path in after.keys() & before.keys() if after[path] != before[path]}
    for path in before.keys() - after.keys():
        above = os.path.dirname(path)
        if above in after and stat.S_ISDIR(after[above][0]):
            kinds[path] = "D"
    for path in [*kinds]:
        while (path := os.path.dirname(path)) != "/":
            kinds.setdefault(path, "C")
    return {os.fsencode(path).decode(errors="backslashreplace"): kind for path, kind in kinds.items()}


@pytest.mark.root
@pytest.mark.parametrize("seed", SEEDS)
def test_random_changes(mydocker: Command, registry: Registry, tmp_path: pathlib.Path, seed: int) -> None:
    registry.push(busybox.alpine(*_layers(seed)), "library/random", tag=str(seed))
    shutil.copy(MUTATE, tmp_path)
    _check(mydocker, seed, tmp_path)


@pytest.mark.rootless
@pytest.mark.parametrize("seed", SEEDS)
def test_random_changes_of_an_ordinary_user(second_user: Command, registry: Registry, seed: int) -> None:
    registry.push(busybox.alpine(*_layers(seed)), "library/random", tag=str(seed))
    here = second_user.directory / "here"
    subprocess.run(["install", "-d", "-m", "777", here], check=True)
    shutil.copy(MUTATE, here)
    _check(second_user, seed, here)
