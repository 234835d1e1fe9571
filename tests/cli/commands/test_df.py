"""`mydocker df`: what the store uses, and what of it could be freed."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from lab import oci
from lab.command import Command
from lab.oci import layer
from lab.registry import Registry

SIZE = 5_000_000


def _rows(mydocker: Command, *words: str) -> dict[str, dict[str, Any]]:
    done = mydocker(*(words or ("df",)), "--format", "json")
    assert (done.stderr, done.code) == (b"", 0)
    return {row.pop("type"): row for row in json.loads(done.stdout)}


def test_an_empty_store(mydocker: Command) -> None:
    empty = {"total": 0, "size": 0, "reclaimable": 0}
    assert _rows(mydocker) == dict.fromkeys(("images", "volumes", "kept containers"), empty)
    assert mydocker("df").stdout.decode().splitlines()[0].split() == ["TYPE", "TOTAL", "SIZE", "RECLAIMABLE"]


def test_layers_count_once_and_are_free_when_no_image_has_them(mydocker: Command, registry: Registry) -> None:
    shared = layer({"base": os.urandom(SIZE)})
    for name in ("one", "two"):
        registry.push(oci.image([shared, layer({name: b"x"})]), f"df/{name}")
    assert mydocker("pull", "-q", "df/one", "df/two").code == 0
    images = _rows(mydocker)["images"]
    assert images["total"] == 2 and SIZE < images["size"] < 2 * SIZE and images["reclaimable"] == 0
    mydocker("rmi", "df/one")
    assert _rows(mydocker)["images"]["reclaimable"] < SIZE  # the other image has the large layer
    mydocker("rmi", "df/two")
    images = _rows(mydocker, "system", "df")["images"]
    assert images["total"] == 0 and images["reclaimable"] > SIZE
    freed = mydocker("prune").stdout.decode()
    assert _rows(mydocker)["images"] == {"total": 0, "size": 0, "reclaimable": 0}, freed


@pytest.mark.root
def test_volumes_and_kept_containers(mydocker: Command) -> None:
    fill = f"head -c {SIZE} /dev/zero > $1"
    assert mydocker("run", "--keep", "-v", "data:/data", "alpine", "sh", "-c", fill, "x", "/data/x").code == 0
    assert mydocker("run", "--keep", "alpine", "sh", "-c", fill, "x", "/x").code == 0
    rows = _rows(mydocker)
    assert rows["volumes"]["total"] == 1 and rows["volumes"]["reclaimable"] == rows["volumes"]["size"] >= SIZE
    assert rows["kept containers"]["total"] == 2 and rows["kept containers"]["reclaimable"] >= SIZE


@pytest.mark.root
def test_a_volume_in_use_is_not_reclaimable(mydocker: Command) -> None:
    assert mydocker("pull", "-q", "alpine").code == 0
    script = f"head -c {SIZE} /dev/zero > /data/x; echo ready; cat"
    process = mydocker.start("run", "-i", "-v", "data:/data", "alpine", "sh", "-c", script)
    with process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"ready\n"
        volumes = _rows(mydocker)["volumes"]
        process.stdin.close()
    assert volumes["size"] >= SIZE and volumes["reclaimable"] == 0
