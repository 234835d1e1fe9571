"""How large a layer may be: what is refused, and what an environment variable allows in spite of that."""

from __future__ import annotations

import pathlib
import tarfile
import tracemalloc

import pytest
from lab import oci
from lab.command import Command
from lab.oci import DIR, Dir, File, Link, layer
from lab.places import ROOT
from lab.recorder import Nowhere
from lab.registry import Registry

from mydocker.errors import ImageError, UsageError
from mydocker.image.layer.scan import Scan
from mydocker.image.model.limits import Limits
from mydocker.image.rebuild import compare
from mydocker.image.tar import tarsplit

SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
DEEP = "/".join("abcdef")
# a variable, the entries of a layer, what is too little for them and what is enough
CASES = {
    "entries": ("ENTRIES", {"a": DIR, "a/b": b"1", "c": b"2"}, 2, 3, "has more than 2 entries"),
    "entries, long names": ("ENTRIES", {"l" * 200: b"1", "m" * 200: b"2"}, 1, 2, "has more than 1 entries"),
    "depth": ("DEPTH", {DEEP: b"1"}, 5, 6, "more than 5 directories deep"),
    "depth, long names": ("DEPTH", {f"{DEEP}/{'l' * 200}": b"1"}, 6, 7, "more than 6 directories deep"),
    "size": (
        "GIB",
        {"x": File(b"0\n" + bytes(510), headers={**SPARSE, "GNU.sparse.realsize": str(2 << 30)})},
        1,
        3,
        "the layer has more than 1 GiB",
    ),
}


@pytest.mark.root
@pytest.mark.parametrize("case", CASES)
def test_a_limit_refuses_and_its_variable_allows(mydocker: Command, registry: Registry, case: str) -> None:
    name, entries, little, enough, said = CASES[case]
    registry.push(oci.image([layer(entries)]), "limits/app")
    variable = f"MYDOCKER_LAYER_{name}"
    refused = mydocker("pull", "-q", "limits/app", env={variable: str(little)})
    assert refused.code == 125 and said in refused.stderr.decode(), refused
    assert f"hint: if you trust the image, {variable} allows more" in refused.stderr.decode()
    assert list(mydocker.store.glob("layers/*")) == [] == list(mydocker.store.glob("incoming/*"))
    assert mydocker("pull", "-q", "limits/app", env={variable: str(enough)}).code == 0


def test_the_length_of_names_costs_no_memory(tmp_path: pathlib.Path) -> None:
    """Neither while a layer is unpacked nor when it is compared."""
    deep = "/".join("d" * 250 for _ in range(15))
    tar = layer({f"{deep}/{n:0200}": b"x" for n in range(2500)})
    peaks = []
    with (tmp_path / "skeleton").open("wb") as file:
        tracemalloc.start()
        writer = tarsplit.Writer(file.fileno())
        chunks = (tar[start : start + 100_000] for start in range(0, len(tar), 100_000))
        Scan(Nowhere(), what="layer", devices=True, skeleton=writer).read(chunks)
        writer.finish()
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.reset_peak()
    (tmp_path / "layer").mkdir()
    damage = compare.compare(str(tmp_path / "layer"), str(tmp_path / "skeleton"), owned=True, space="trusted.overlay")
    assert sum(line.endswith(": is missing") for line in damage) == 2500
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert max(peaks) < 6 << 20, peaks


def test_links_that_point_far_are_limited() -> None:
    """Whoever reads the layer later has to follow them."""
    tar = layer({f"l{n}": Link("t" * 4000) for n in range(20_000)})
    with pytest.raises(ImageError, match="symbolic links and directories take more than 64 MiB"):
        Scan(Nowhere(), what="layer", devices=True).read([tar])


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT], ids=["in haste", "with care"])
def test_names_of_directories_are_limited(format: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their times come last, so that they are kept until then; whatever else their headers say."""
    deep = "/".join("d" * 70 for _ in range(3))
    tar = layer({f"{deep}/{number}": Dir(link="y") for number in range(10_000)}, format=format)
    Scan(Nowhere(), what="layer", devices=True).read([tar])
    monkeypatch.setattr("mydocker.image.layer.scan.NAMES_LIMIT", 2 << 20)
    with pytest.raises(ImageError, match="symbolic links and directories take more than 2 MiB"):
        Scan(Nowhere(), what="layer", devices=True).read([tar])


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1g", " 1", "\u0661"])
def test_a_variable_that_is_no_number(mydocker: Command, text: str) -> None:
    done = mydocker("pull", "-q", "alpine", env={"MYDOCKER_LAYER_DEPTH": text})
    assert done.code == 2 and b"MYDOCKER_LAYER_DEPTH=" in done.stderr and b"above 0" in done.stderr
    with pytest.raises(UsageError):
        Limits.of({"MYDOCKER_LAYER_GIB": text})


def test_an_empty_variable_is_none() -> None:
    assert Limits.of({"MYDOCKER_LAYER_GIB": "", "MYDOCKER_LAYER_ENTRIES": "7"}) == Limits(entries=7)


def test_the_page_states_what_holds() -> None:
    text = (ROOT / "docs" / "images.md").read_text()
    for name, value in (("ENTRIES", "1000000"), ("GIB", "256"), ("DEPTH", "256"), ("EXPANSION", "200")):
        assert f"| `MYDOCKER_LAYER_{name}` | {value} |" in text
        assert str(getattr(Limits(), name.lower())) == value
