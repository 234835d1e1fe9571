"""`mydocker config`: our normal form of any file, which read again means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.command import Command, command
from lab.documents import EVERYTHING
from lab.places import ROOT

from mydocker.record import Record
from mydocker.specs.expect.keywords import EXPECT
from mydocker.specs.fields import FIELDS
from mydocker.specs.load.load import load_files
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.normal_form import normal_form

ENVIRON = {"HOME": "/home/me", "V": "v"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _without_places(value: object) -> object:
    """VALUE with nothing in it of where it was written, nor of which form of an image's name was."""
    if isinstance(value, Record):
        left_out = ("origin", "line", "column", "service", "written")
        kept = {name: getattr(value, name) for name in value.fields if name not in left_out}
        if "volumes" in kept:  # parents are mounted first, whatever their order here
            kept["volumes"] = tuple(sorted(kept["volumes"], key=lambda mount: mount.target))
        return type(value).__name__, {name: _without_places(each) for name, each in kept.items()}
    if isinstance(value, tuple):
        return [_without_places(each) for each in value]
    return value


def _again(specs: list[CaseSpec]) -> list[CaseSpec]:
    Path("again.yaml").write_text(write_documents([normal_form(spec) for spec in specs]))
    return load_files(["again.yaml"], environ={**ENVIRON, "V": "other", "D": "other"})


def test_read_again_it_means_the_same(here: Path) -> None:
    (here / "profile.json").write_text('{"defaultAction":"SCMP_ACT_ALLOW"}')
    Path("spec.yaml").write_text("---\n".join(EVERYTHING))
    specs = load_files(["spec.yaml"], environ=ENVIRON)
    again = _again(specs)
    assert len(again) == len(specs) > 15
    for one, other in zip(specs, again, strict=True):
        assert _without_places(one) == _without_places(other)
    assert [normal_form(spec) for spec in again] == [normal_form(spec) for spec in specs]


def test_the_table_has_every_key() -> None:
    """So a new key, or a new kind of expectation, cannot be forgotten here."""
    elsewhere = ("image", "rootfs", "env_file", "expect", "uts", "extends", "include")
    for row in FIELDS:
        assert row.key in elsewhere or any(f"\n{row.key}:" in text for text in EVERYTHING), row.key
    for key in EXPECT:
        assert any(f"\n  {key}:" in text for text in EVERYTHING), key


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: str(path.name))
def test_the_examples_mean_the_same(path: Path) -> None:
    specs = load_files([str(path)], environ=ENVIRON)
    assert [_without_places(spec) for spec in specs] == [_without_places(spec) for spec in _again(specs)]


@pytest.mark.parametrize("image", ["alpine", "a/b:1", "h:5000/x@sha256:" + "a" * 64, "oci:/srv/d:tag", "dir:/srv/d"])
def test_images_mean_the_same(image: str) -> None:
    Path("spec.yaml").write_text(f"image: {image}\n")
    specs = load_files(["spec.yaml"], environ={})
    assert _again(specs)[0].container.image == specs[0].container.image


def test_files_of_other_people_mean_the_same(here: Path) -> None:
    (here / "compose.yaml").write_text(
        "services:\n  db: {image: a, volumes: ['d:/x']}\n  web: {image: b, depends_on: [db]}\nvolumes: {d: }\n"
    )
    (here / "cst.yaml").write_text(
        "schemaVersion: 2.0.0\n"
        "commandTests: [{name: x, command: sh, args: [-c, 'echo $A'], expectedOutput: ['^b$'], excludedError: [e]}]\n"
        "fileExistenceTests: [{name: y, path: /x, permissions: drwxr-xr-x, isExecutableBy: any, uid: 0}]\n"
        "metadataTest: {envVars: [{key: A, value: ^b, isRegex: true}], unexposedPorts: [80], entrypoint: []}\n"
    )
    (here / "web.container").write_text("[Container]\nImage=a\nExec=echo 100%%\nReadOnly=true\n")
    specs = load_files(["compose.yaml", "cst.yaml", "web.container"], environ=ENVIRON, image="alpine")
    assert len(specs) == 6
    assert [_without_places(spec) for spec in specs] == [_without_places(spec) for spec in _again(specs)]


def test_it_prints_yaml_or_json(tmp_path: Path) -> None:
    mydocker: Command = command(tmp_path, forks=True)
    (tmp_path / "a.yaml").write_text("image: alpine\nenvironment: {A: no, B: $$x}\ntty: false\nmem_limit: 65536k\n")
    done = mydocker("config", "a.yaml", cwd=tmp_path)
    expected = b"image: alpine:latest\nenvironment:\n  A: 'no'\n  B: $$x\nmem_limit: 64m\n"
    assert (done.stdout, done.stderr, done.code) == (expected, b"", 0)
    done = mydocker("config", "--format", "json", "a.yaml", cwd=tmp_path)
    assert json.loads(done.stdout) == [
        {"image": "alpine:latest", "environment": {"A": "no", "B": "$$x"}, "mem_limit": "64m"}
    ]
    (tmp_path / "b.yaml").write_text("image: alpine\nenvironment: [A]\n")
    done = mydocker("config", "b.yaml", cwd=tmp_path, env={"A": "\udcff"})
    assert (done.stdout, done.stderr.split(b"\n")[0], done.code) == (
        b"",
        b"mydocker: a value is not UTF-8, so no file can hold it",
        2,
    )
    (tmp_path / "c.yaml").write_text("imag: alpine\n")
    done = mydocker("config", "c.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 125) and done.stderr.startswith(b"c.yaml:1:1: ")


TOP = "\nservices: {web: {image: a, KIND: [{source: x, GRANT}]}}\nKIND: {x: {SOURCE}}\n"


@pytest.mark.parametrize("form", ["image: a\nKIND: [{source: x, SOURCE, GRANT}]\n", TOP], ids=["ours", "compose"])
@pytest.mark.parametrize("grant", ["target: /etc/x", "uid: 5, gid: 6, mode: 0400"])
@pytest.mark.parametrize(
    ("kind", "source", "printed"),
    [
        ("secrets", "environment: TOKEN", {"environment": "TOKEN"}),
        ("secrets", "environment: $NAME", {"environment": "TOKEN"}),
        ("configs", "environment: TOKEN", {"environment": "TOKEN"}),
        ("secrets", "file: ./token", {"file": "HERE/token"}),
        ("configs", "file: ./token", {"file": "HERE/token"}),
        ("secrets", "content: 'a ${TOKEN} $$b'", {"content": "a ${TOKEN} $$b"}),
        ("secrets", "content: 'plain $$b'", {"content": "plain $$b"}),
    ],
)
def test_where_a_secret_comes_from_is_printed_and_not_the_secret(
    here: Path, form: str, kind: str, source: str, grant: str, printed: dict[str, str]
) -> None:
    """Docker Compose prints the reference, too. What it leads to is found again when what was printed is read."""
    mydocker = command(here, forks=True)
    environ = {"TOKEN": "hush-hush", "NAME": "TOKEN"}
    (here / "token").write_text("hush-hush")
    (here / "spec.yaml").write_text(form.replace("KIND", kind).replace("SOURCE", source).replace("GRANT", grant))
    for style in ("yaml", "json"):
        done = mydocker("config", "--format", style, "spec.yaml", cwd=here, env=environ)
        assert done.code == 0 and b"hush-hush" not in done.stdout + done.stderr, done
    if "target" not in grant or "file" not in source:  # a plain file is a volume
        [entry] = json.loads(done.stdout)[0][kind]
        assert entry.items() >= {name: text.replace("HERE", str(here)) for name, text in printed.items()}.items()
    (here / "again.yaml").write_bytes(mydocker("config", "spec.yaml", cwd=here, env=environ).stdout)
    one, other = (load_files([name], environ=environ) for name in ("spec.yaml", "again.yaml"))
    assert _without_places(one[0]) == _without_places(other[0])
