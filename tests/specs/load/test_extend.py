"""`extends` and `include`: what a container takes from others, and where the mistakes in those are."""

from __future__ import annotations

import pathlib
import re

import pytest
from lab.counting import growth

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.expect import Expect
from mydocker.specs.model.parts import Healthcheck

BASE = """\
name: base
image: alpine:${TAG:-1}
command: [serve, --all]
environment: {A: base, B: base}
volumes: ['./data:/data', './log:/log']
cap_add: [NET_ADMIN]
labels: [a=1]
healthcheck: {test: 'true', retries: 5}
tags: [slow]
timeout: 9s
profiles: [p]
user: nobody
expect: {exit_code: 3, stdout: [hello], within: 3s}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    return tmp_path


def _load(**files: str) -> list[CaseSpec]:
    """The containers of main.yaml; `__` in a name is a slash."""
    for name, text in files.items():
        pathlib.Path(f"{name.replace('__', '/')}.yaml").write_text(text)
    return load_files(["main.yaml"], environ={})


def _problems(**files: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        _load(**files)
    return [*caught.value.problems]


def _over(text: str) -> CaseSpec:
    """A container that says TEXT over BASE, which is in another folder."""
    [spec] = _load(sub__base=BASE, main=f"extends: {{file: sub/base.yaml, service: base}}\n{text}")
    return spec


def test_nothing_said_is_as_the_base_says(here: pathlib.Path) -> None:
    spec = _over("")
    assert (str(spec.container.image), spec.name, str(spec.origin)) == (
        "docker.io/library/alpine:1",
        None,
        "main.yaml:1",
    )
    assert [mount.source for mount in spec.container.volumes] == [f"{here}/sub/data", f"{here}/sub/log"]  # type: ignore[attr-defined]
    assert (spec.container.timeout, spec.container.command, spec.profiles) == (9.0, ("serve", "--all"), ("p",))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("command: [x]", "command", ("x",)),
        ("args: [y]", "entrypoint", ("serve", "--all")),
        ("environment: {B: own, C: own}", "environment", {"A": "base", "B": "own", "C": "own"}),
        ("environment: [C=own]", "environment", {"A": "base", "B": "base", "C": "own"}),
        ("cap_add: [NET_RAW, NET_ADMIN]", "cap_add", ("NET_RAW", "NET_ADMIN")),
        ("labels: {b: 2}", "labels", {"a": "1", "b": "2"}),
        (
            "healthcheck: {interval: 2s}",
            "healthcheck",
            Healthcheck(test=("CMD-SHELL", "true"), interval=2.0, retries=5),
        ),
        ("healthcheck: {disable: true}", "healthcheck", Healthcheck(test=("NONE",), retries=5)),
        ("timeout: 5s", "timeout", 5.0),
        ("timeout: ", "timeout", 9.0),
        ("rootfs: /", "image", None),
        ("name: own", "name", "own"),
        ("user: root:root", "user", None),
    ],
)
def test_what_lies_over_what(text: str, field: str, value: object) -> None:
    spec = _over(text)
    found = getattr(spec if field in CaseSpec.fields else spec.container, field)
    assert found == value if value is not None or field == "image" else found is not None


def test_volumes_by_their_targets_and_expectations_by_what_they_are_about(here: pathlib.Path) -> None:
    spec = _over("volumes: ['./own:/log', './more:/more']\nexpect: {stdout: [bye], stderr: ''}")
    mounts = {mount.target: mount.source for mount in spec.container.volumes}  # type: ignore[attr-defined]
    assert mounts == {"/data": f"{here}/sub/data", "/log": f"{here}/own", "/more": f"{here}/more"}
    assert spec.expect is not None and spec.expect.within == 3.0
    checks = {check.about[0]: (check.origin.file, check.origin.line, check.matcher.op) for check in spec.expect.checks}
    assert checks["exit_code"] == ("sub/base.yaml", 13, "equal")
    assert checks["stdout"][:2] == ("", 3) and checks["stderr"][:2] == ("", 3)


def test_what_a_base_waits_is_the_last_word_only_if_nothing_is_said(here: pathlib.Path) -> None:
    for base, own, within in [("3s", "5s", 5.0), ("3s", None, 3.0), (None, "5s", 5.0), (None, None, None)]:
        said = ["{stdout: [a]" + (f", within: {time}}}" if time else "}") for time in (base, own)]
        specs = _load(main="{{name: a, image: x, expect: {}}}\n---\nextends: a\nexpect: {}\n".format(*said))
        assert specs[1].expect and specs[1].expect.within == within


def test_given_files_by_their_targets(here: pathlib.Path) -> None:
    for key, folder in (("configs", ""), ("secrets", "/run/secrets")):
        base = f"{key}: [{{source: a, content: base}}, {{source: b, content: base}}]"
        own = f"{key}: [{{source: c, content: own}}, {{target: {folder}/a, content: own}}]"
        specs = _load(main=f"name: base\nimage: x\n{base}\n---\nextends: base\n{own}\n")
        given = {mount.target: mount.content for mount in specs[1].container.volumes}  # type: ignore[attr-defined]
        assert given == {f"{folder}/a": "own", f"{folder}/b": "base", f"{folder}/c": "own"}


def test_name_and_matrix_are_not_for_others(here: pathlib.Path) -> None:
    base = "name: base\nimage: x\nmatrix: {N: [1, 2]}\nenvironment: {N: '${N:-none}'}\n"
    specs = _load(main=f"{base}---\nextends: base\n---\nextends: base\nmatrix: {{N: [7]}}\n")
    assert [(spec.name, spec.matrix, spec.container.environment["N"]) for spec in specs] == [
        ("base", {"N": "1"}, "1"), ("base", {"N": "2"}, "2"), (None, {}, "none"), (None, {"N": "7"}, "7")
    ]  # fmt: skip


def test_in_one_file_and_over_several(here: pathlib.Path) -> None:
    main = "{name: a, image: x, tags: [a], environment: {N: '${N:-}'}}\n---\n{name: b, extends: a, tags: [b]}\n---\n"
    main += "{name: c, extends: {service: b}, tags: [c], matrix: {N: [1, 2]}}\n"
    specs = _load(main=main)
    assert [spec.tags for spec in specs] == [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c")]
    assert [spec.container.environment["N"] for spec in specs] == ["", "", "1", "2"]


def test_a_service_of_a_compose_file(here: pathlib.Path) -> None:
    compose = "services:\n  base: {image: alpine, init: true, volumes: ['./d:/d']}\n  web: {extends: base, tty: true}\n"
    [spec] = _load(sub__compose=compose, main="extends: {file: sub/compose.yaml, service: web}\nhostname: h\n")
    assert (spec.container.init, spec.container.tty, spec.container.hostname, spec.container.volumes[0].target) == (
        True,
        True,
        "h",
        "/d",
    )
    inner = "include: [sub/compose.yaml]\nservices:\n  app: {extends: {file: sub/compose.yaml, service: base}}\n"
    assert [spec.name for spec in _load(main=inner)] == ["base", "web", "app"]


def test_dependencies_of_a_base(here: pathlib.Path) -> None:
    base = "{name: base, image: x, depends_on: [db]}\n"
    main = "include: sub/base.yaml\nname: own\nextends: {file: sub/base.yaml}\n---\n{name: db, image: x}\n"
    assert [spec.name for spec in _load(sub__base=base, main=main)] == ["base", "own", "db"]
    [problem] = _problems(sub__base=base, main="extends: {file: sub/base.yaml}\n")
    assert problem == "sub/base.yaml:1:37: there is no container called 'db'"


@pytest.mark.parametrize(
    ("base", "main", "expected"),
    [
        (BASE, "extends: nonesuch", ["main.yaml:1:10: main.yaml has no container called 'nonesuch'"]),
        (BASE, "extends: nonesuch\nrootfs: /x", ["main.yaml:1:10: main.yaml has no container called 'nonesuch'"]),
        (BASE, "extends: {file: sub/base.yaml, service: bas}",
         ["main.yaml:1:10: sub/base.yaml has no container called 'bas'; did you mean 'base'?"]),
        (BASE, "extends: {file: gone.yaml}", ["main.yaml:1:10: gone.yaml: cannot read it: no such file or directory"]),
        (BASE, "extends: {}", ["main.yaml:1:10: expected a mapping with service and file"]),
        (BASE, "extends: [a]", ["main.yaml:1:10: expected a name, or a mapping with service and file, not a list"]),
        (BASE, "extends: {fiel: x}", ["main.yaml:1:11: unknown key 'fiel'; did you mean 'file'?",
                                      "main.yaml:1:10: expected a mapping with service and file"]),
        (BASE + "---\n" + BASE, "extends: {file: sub/base.yaml}",
         ["main.yaml:1:10: sub/base.yaml has more than one container; name one"]),
        (BASE.replace("timeout: 9s", "timeout: soon\nnope: 1"), "extends: {file: sub/base.yaml}\nuser: '-1'",
         ["main.yaml:2:7:", "sub/base.yaml:10:10:", "sub/base.yaml:11:1: unknown key 'nope'"]),
        ("- x", "extends: {file: sub/base.yaml}", ["main.yaml:1:10: sub/base.yaml has no container"]),
        ("a: [", "extends: {file: sub/base.yaml}",
         ["sub/base.yaml:1:5: not YAML", "main.yaml:1:10: sub/base.yaml has no container"]),
        (BASE, "{name: a, extends: b, image: x}\n---\n{name: b, extends: a, image: x}",
         ["main.yaml:1:20: a circle", "main.yaml:3:20: a circle"]),
        ("{name: base, extends: {file: ../main.yaml}}", "{name: a, extends: {file: sub/base.yaml}}",
         ["sub/base.yaml:1:23: a circle"]),
        (BASE, "include: gone.yaml", ["main.yaml:1:10: gone.yaml: cannot read it: no such file or directory"]),
        (BASE, "include: [{paths: x}]", ["main.yaml:1:12: unknown key 'paths'; did you mean 'path'?",
                                         "main.yaml:1:11: expected a path"]),
        (BASE, "{name: base, image: x}\n---\ninclude: sub/base.yaml",
         ["main.yaml:3:10: sub/base.yaml has a container called 'base', and so has main.yaml"]),
        ("{name: a, image: x}\n---\n{name: a, image: y}",
         "include: {path: [sub/base.yaml, main.yaml]}\nimage: z\nname: a",
         ["main.yaml:1:18: sub/base.yaml has a container called 'a', and so has main.yaml"]),
        ("{image: x, nope: 1}", "include: [{path: sub/base.yaml}]", ["sub/base.yaml:1:12: unknown key 'nope'"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_every_mistake_has_its_place(base: str, main: str, expected: list[str]) -> None:
    found = _problems(sub__base=base, main=main)
    missing = [want for want in expected if not any(line.startswith(want) for line in found)]
    assert (missing, len([line for line in found if "no image" not in line])) == ([], len(expected)), found


@pytest.mark.parametrize(
    "value",
    ["volumes: [x]", "tmpfs: [x]", "configs: [x]", "networks: {x: 5}", "healthcheck: 5", "logging: 5", "ports: [x]",
     "env_file: gone.env", "environment: 5", "labels: 5", "security_opt: [x]", "expect: 5", "command: {a: b}",
     "namespaces: 5", "build: [x]", "image: ':'", "depends_on: 5", "blkio_config: 5", "pid: 'x:y'", "restart: x"],
)  # fmt: skip
def test_a_mistake_of_a_base_in_another_file_is_reported(value: str) -> None:
    """And is the only one: whatever could not be read is not read again for the container that extends it."""
    document = f"name: base\nimage: x\n{value}\n".replace("image: x\nimage", "image")
    [problem] = _problems(sub__base=document, main="extends: {file: sub/base.yaml}\n")
    assert problem.startswith("sub/base.yaml:")


def test_what_is_included_comes_first_and_once(here: pathlib.Path) -> None:
    files = {
        "sub__a": "include: [b.yaml]\n---\n{name: a, image: x}\n",
        "sub__b": "include: a.yaml\nname: b\nimage: x\nvolumes: ['./d:/d']\n",
        "main": "x-note: 1\ninclude: [sub/a.yaml, sub/b.yaml]\n---\n{name: main, image: x}\n",
    }
    specs = _load(**files)
    assert [spec.name for spec in specs] == ["b", "a", "main"]
    assert specs[0].container.volumes[0].source == f"{here}/sub/d"  # type: ignore[attr-defined]
    both = load_files(["main.yaml", "sub/b.yaml"], environ={})
    assert [spec.name for spec in both] == ["b", "a", "main"]
    again = load_files(["sub/b.yaml", "sub/b.yaml"], environ={})
    assert [spec.name for spec in again] == ["a", "b", "b"]


@pytest.mark.parametrize("line", ["extends: {{file: f{}.yaml}}", "include: f{}.yaml\n---\n{{image: x}}"])
def test_a_chain_of_files_has_an_end(line: str) -> None:
    """Those that one file has opened before are no shorter way for another."""
    files = {f"f{number}": line.format(number + 1) for number in range(200)} | {"f200": "image: x"}
    [problem] = _problems(main=line.format(0), **files)
    assert re.fullmatch(r"f6[34]\.yaml:1:10: a chain of more than 64 .* each other", problem)
    opened = "\n---\n".join(f"extends: {{file: f{number}.yaml, service: n}}" for number in range(201))
    found = _problems(main=f"{opened}\n---\n{line.format(0)}", **files)
    assert any("a chain of more than 64" in line for line in found)


def test_a_chain_within_one_file_has_an_end(here: pathlib.Path) -> None:
    """And is refused by work that grows as the file does."""
    documents = ["{name: n0, image: x}", *(f"{{name: n{n}, extends: n{n - 1}}}" for n in range(1, 500))]
    assert _load(main="\n---\n".join(documents[:60]))[-1].container.image

    def refuse(size: int) -> None:
        problems = _problems(main="\n---\n".join(documents[:size]))
        assert problems and all("a chain of more than 64 containers" in problem for problem in problems)

    assert growth(refuse, 100, 5) < 10  # what is quadratic has 25


def test_a_chain_of_dependencies_has_an_end(here: pathlib.Path) -> None:
    chain = "\n---\n".join(f"{{name: n{n}, image: x, depends_on: [n{n + 1}]}}" for n in range(250))
    [problem] = _problems(main=f"{chain}\n---\n{{name: n250, image: x}}")
    assert problem == "main.yaml:1:35: a chain of more than 100 containers that depend on others"


def test_files_of_one_include_do_not_lie_over_each_other_unnoticed(here: pathlib.Path) -> None:
    """Compose would put the two together; we take them as they are, and so their names must differ."""
    files = {"a": "services: {web: {image: x}, db: {image: x}}", "b": "services: {web: {image: x, tty: true}}"}
    [problem] = _problems(**files, main="include: [{path: [a.yaml, b.yaml]}]")
    assert problem.startswith(
        "main.yaml:1:27: b.yaml has a container called 'web', and so has a.yaml: expected different"
    )
    main = "include: a.yaml\n---\nimage: x\ninclude: b.yaml"
    [problem] = _problems(**files, main=main)
    assert problem.startswith("main.yaml:4:10: b.yaml has a container called 'web', and so has a.yaml")
    assert len(_load(**files | {"b": "{name: app, image: x}"}, main="include: [{path: [a.yaml, b.yaml]}]")) == 3


def test_an_expectation_of_a_base_is_reported_where_it_stands(here: pathlib.Path) -> None:
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.services.case import Case, JudgedCase
    from mydocker.testing.report.formats import github
    from mydocker.verdict.finding import Finding
    from mydocker.verdict.judge import judge

    spec = _over("expect: {stdout: [bye]}")
    assert isinstance(spec.expect, Expect)
    verdict = judge(spec, Finding(outcome=Outcome(exit_code=0), stdout="bye"))
    result = JudgedCase(case=Case(number=0, spec=spec, file="main.yaml", line=1), **verdict.as_dict())
    assert [str(failure.origin) for failure in result.failures] == ["sub/base.yaml:13:21"]
    assert github([result], seconds=0).startswith("::error file=sub/base.yaml,line=13,")
