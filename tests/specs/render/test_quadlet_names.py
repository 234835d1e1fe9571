"""Names of Quadlet's units, each of which becomes a service of systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.specs.formats.quadlet.unit_files import service_name
from mydocker.specs.load.load import load_files
from mydocker.specs.render.quadlet.units import quadlet_units

VOLUME = """
name: data-volume
image: a
volumes: [data:/data]
---
name: data-volume-2
image: a
"""
PROJECT = """
name: shop
services:
  shop_lan-network: {image: a, networks: [lan]}
  web-build: {image: a, networks: [lan]}
  web: {build: ., networks: [lan]}
networks: {lan: }
"""


@pytest.mark.parametrize(("text", "count"), [(VOLUME, 3), (PROJECT, 5)])
def test_no_two_units_are_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: int) -> None:
    """Quadlet writes one over the other."""
    monkeypatch.chdir(tmp_path)
    Path("compose.yaml").write_text(text)
    units = quadlet_units(load_files(["compose.yaml"], environ={}))
    assert len(units) == len({service_name(name) for name in units}), units.keys()
