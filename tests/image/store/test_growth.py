"""What a store of many images costs: ten times as much for ten times as many, counted in calls."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from lab.counting import growth

from mydocker.cli.commands.images import images_command
from mydocker.cli.commands.inspect import inspect_command
from mydocker.cli.commands.prune import prune_command
from mydocker.cli.commands.rmi import rmi_command
from mydocker.image.store import Store
from mydocker.reference import Digest, Platform, Reference

SMALL = 5
TEN_TIMES = 15.0  # in calls: what is linear has less, what is quadratic a hundred


def _blob(store: Store, document: object) -> tuple[Digest, int]:
    raw = json.dumps(document).encode()
    digest = Digest(hex=hashlib.sha256(raw).hexdigest())
    Path(store.blob_path(digest)).write_bytes(raw)
    return digest, len(raw)


def _fill(root: Path, count: int) -> None:
    """A store at ROOT with COUNT images of no layers, each with a name and a digest."""
    store = Store.open({**os.environ, "MYDOCKER_ROOT": str(root)})
    for directory in (store.blobs, store.layers, store.skeletons, store.refs, store.incoming, store.containers):
        Path(directory).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        layers = {"type": "layers", "diff_ids": []}
        about = {"architecture": "amd64", "os": "linux", "rootfs": layers, "config": {"Env": [f"A={number}"]}}
        config, size = _blob(store, about)
        kind = "application/vnd.oci.image"
        described = {"mediaType": f"{kind}.config.v1+json", "digest": str(config), "size": size}
        manifest, _ = _blob(
            store, {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": described, "layers": []}
        )
        name = Reference.parse(f"image{number}:1")
        for each in (name, name.replace(tag=None, digest=manifest)):
            store.record_ref(each, Platform.host(), manifest=manifest, config=config, origin=name)


@pytest.mark.parametrize("command", ["images", "prune", "inspect", "rmi"])
def test_ten_times_the_images_are_ten_times_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    stores = {SMALL: [tmp_path / "a", tmp_path / "b"], SMALL * 10: [tmp_path / "c"]}
    for count, roots in stores.items():
        for root in roots:
            _fill(root, count)

    def run(count: int) -> None:
        root = stores[count].pop() if command == "rmi" else stores[count][0]
        monkeypatch.setenv("MYDOCKER_ROOT", str(root))
        names = [f"image{number}:1" for number in range(count)]
        commands = {
            "images": lambda: images_command([]),
            "prune": lambda: prune_command(["--dry-run"]),
            "inspect": lambda: inspect_command(names),
            "rmi": lambda: rmi_command(names),
        }
        assert commands[command]() == 0
        assert capsys.readouterr().out.count("image") >= count * (command != "prune")

    assert growth(run, SMALL, 10) < TEN_TIMES
