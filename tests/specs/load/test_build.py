"""The key `build`: each form of each part, what lies over another one, and what is wrong at its place."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import SpecError
from mydocker.reference import Platform, Reference
from mydocker.specs.load.load import load_files, load_project
from mydocker.specs.load.project_files import ProjectOptions, find_project
from mydocker.specs.model.build import Build, BuildSecret
from mydocker.specs.model.case import CaseSpec

ENVIRON = {"A": "from the environment", "TOKEN": "t"}


@pytest.fixture(autouse=True)
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> list[CaseSpec]:
    pathlib.Path("compose.yaml").write_text(f"name: shop\n{text}")
    return load_files(["compose.yaml"], environ=ENVIRON)


def build_of(text: str) -> Build:
    """The build of the service, whose keys TEXT are in one line."""
    [case] = load(f"services:\n  web: {{build: {text}}}\nsecrets: {{f: {{file: ./s}}, v: {{environment: TOKEN}}}}\n")
    assert case.build
    return case.build


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dir", {"context": "{here}/dir"}),
        ("/srv/x", {"context": "/srv/x"}),
        ("https://example.org/x.git#main:sub", {"context": "https://example.org/x.git#main:sub"}),
        ("git@example.org:x.git", {"context": "git@example.org:x.git"}),
        ("{dockerfile_inline: FROM a}", {"context": "{here}", "dockerfile_inline": "FROM a"}),
        ("{context: ., dockerfile: ../D}", {"dockerfile": "../D"}),
        ("{args: {A: , B: b, C: , N: 5}}", {"args": {"A": "from the environment", "B": "b", "N": "5"}}),
        ("{args: [A, B=b=c, C, D=]}", {"args": {"A": "from the environment", "B": "b=c", "D": ""}}),
        ("{labels: [a=b]}", {"labels": {"a": "b"}}),
        ("{tags: ['x:1', y]}", {"tags": (Reference.parse("x:1"), Reference.parse("y"))}),
        ("{platforms: [linux/arm64, wasi/wasm]}", {"platforms": (Platform.parse("arm64"),
                                                               Platform(os="wasi", architecture="wasm"))}),
        ("{secrets: [f, {source: v, target: name}]}", {"secrets": (
            BuildSecret(id="f", file="{here}/s"), BuildSecret(id="name", variable="TOKEN", value="t"))}),
        ("{ssh: default}", {"ssh": {"default": ""}}),
        ("{ssh: [default, k=id]}", {"ssh": {"default": "", "k": "{here}/id"}}),
        ("{additional_contexts: {a: ../b, c: 'docker-image://d', e: 'service:f'}}",
         {"additional_contexts": {"a": "{parent}/b", "c": "docker-image://d", "e": "service:f"}}),
        ("{shm_size: 1m, ulimits: {nproc: 5}, extra_hosts: ['h=1.2.3.4']}",
         {"shm_size": 1 << 20, "ulimits": {"nproc": (5, 5)}, "extra_hosts": (("h", "1.2.3.4"),)}),
        ("{no_cache: yes, pull: false, privileged: true}", {"no_cache": True, "pull": False, "privileged": True}),
        ("{provenance: true, sbom: no}", {"provenance": "true", "sbom": "no"}),
    ],
)  # fmt: skip
def test_what_its_parts_become(text: str, expected: dict[str, object], here: pathlib.Path) -> None:
    build = build_of(text)
    for name, value in expected.items():
        shown = repr(value).replace("{here}", str(here)).replace("{parent}", str(here.parent))
        assert repr(getattr(build, name)) == shown


def test_an_image_without_a_name_is_called_after_its_service() -> None:
    named = load("services:\n  Web_1: {build: .}\n  db: {build: ., image: 'x:1'}\n")
    assert [str(case.container.image) for case in named] == [
        "docker.io/library/shop-web_1:latest",
        "docker.io/library/x:1",
    ]


def test_it_extends_that_of_another_file(here: pathlib.Path) -> None:
    (here / "base").mkdir()
    (here / "base" / "b.yaml").write_text(
        "services:\n  b: {image: from-base, build: {context: ctx, args: {A: '1', B: '2'}, dockerfile: D, tags: [x]}}\n"
    )
    text = "{file: base/b.yaml, service: b}"
    [case] = load(
        f"services:\n  web: {{extends: {text}, build: {{args: [B=3], dockerfile_inline: FROM y, context: .}}}}\n"
    )
    build = case.build
    assert build and build.args == {"A": "1", "B": "3"} and build.context == str(here)
    assert (build.dockerfile, build.dockerfile_inline) == ("", "FROM y")
    assert [tag.familiar for tag in build.tags] == ["x:latest"]
    assert case.container.image == Reference.parse("from-base")
    [inherits] = load(f"services:\n  web: {{extends: {text}}}\n")
    assert inherits.build and inherits.build.context == str(here / "base" / "ctx")
    assert str(inherits.build.origin).startswith("base/b.yaml:2:")
    [partly] = load(f"services:\n  web: {{extends: {text}, build: {{target: t}}}}\n")
    assert partly.build and (partly.build.context, partly.build.target) == (str(here / "base" / "ctx"), "t")


def test_a_file_lies_over_another_one(here: pathlib.Path) -> None:
    (here / "a.yaml").write_text("services:\n  web: {build: first}\n  db: {build: {args: [A=1, B=2], context: x}}\n")
    (here / "b.yaml").write_text("services:\n  web: {build: {target: t}}\n  db: {build: {args: {B: '3'}}}\n")
    project = find_project(ProjectOptions(files=("a.yaml", "b.yaml"), name="p"), {})
    assert project
    web, db = (case.build for case in load_project(project))
    assert web and (web.context, web.target) == (str(here / "first"), "t")
    assert db and (db.args, db.context) == ({"A": "1", "B": "3"}, str(here / "x"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{contxt: .}", ["3:17: unknown key 'contxt'; did you mean 'context'?"]),
        ("[a]", ["3:16: expected text, not a list"]),
        ("{args: 5}", ["3:23: expected a mapping, or a list of NAME=VALUE"]),
        ("{tags: x, secrets: y}", ["3:23: expected a list", "3:35: expected a list of secrets"]),
        ("{tags: [X]}", ["3:24: invalid image reference 'X': 'X': a repository name is lower-case"]),
        ("{secrets: [no]}", ["3:27: 'no' is not declared under secrets at the top of the file"]),
        ("{no_cache: perhaps}", ["3:27: expected true or false, not 'perhaps'"]),
        ("{dockerfile: a, dockerfile_inline: b}", ["3:51: dockerfile and dockerfile_inline exclude each other"]),
        ("{additional_contexts: [x]}", ["3:39: additional context 'x': expected NAME=CONTEXT"]),
        ("{shm_size: x, platforms: [a/b/c/d]}", None),
    ],
)
def test_each_mistake_has_its_place(text: str, expected: list[str] | None) -> None:
    with pytest.raises(SpecError) as caught:
        build_of(text)
    found = [problem.removeprefix("compose.yaml:") for problem in caught.value.problems]
    assert found == expected if expected else len(found) == 2


def test_a_platform_that_is_not_linux_is_no_mistake_in_a_file() -> None:
    """`docker compose config` takes it, and the runtime that it needs."""
    [case] = load("services:\n  w: {image: x, platform: wasi/wasm, runtime: io.containerd.wasmedge.v1}\n")
    assert str(case.container.platform) == "wasi/wasm"


def test_a_policy_that_builds_needs_something_to_build() -> None:
    with pytest.raises(
        SpecError, match="pull_policy: build is for a container of a file, with the key build|key build"
    ):
        load("services:\n  w: {image: x, pull_policy: build}\n")
    [case] = load("services:\n  w: {build: ., pull_policy: build}\n")
    assert case.container.pull_policy == "build"
