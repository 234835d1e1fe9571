"""Which containers a project has, their names, and the order in which they start."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.errors import MydockerError
from mydocker.services.containers import NUMBER, PROJECT, SERVICE
from mydocker.services.project import Project
from mydocker.services.project.plan import chosen, followers, instances, is_project, project_of
from mydocker.specs.load.load import load_files

SHOP = """
name: shop
services:
  web: {image: x, depends_on: [api], scale: 2}
  api: {image: x, depends_on: {db: {condition: service_started}, extra: {condition: service_started, required: false}}}
  db: {image: x, container_name: store}
  side: {image: x, network_mode: "service:db"}
  extra: {image: x, profiles: [debug]}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _project(text: str = SHOP, *profiles: str) -> Project:
    Path("compose.yaml").write_text(text)
    return project_of(load_files(["compose.yaml"], environ={}), active=frozenset(profiles))


def _names(project: Project, *names: str, deps: bool = True) -> list[str]:
    return [str(case.name) for case in chosen(project, names, with_dependencies=deps)]


@pytest.mark.parametrize(
    ("names", "profiles", "expected"),
    [
        ((), (), ["db", "api", "side", "web"]),
        ((), ("debug",), ["db", "extra", "api", "side", "web"]),
        ((), ("*",), ["db", "extra", "api", "side", "web"]),
        (("api",), (), ["db", "api"]),
        (("side", "api"), (), ["db", "api", "side"]),
        (("web",), (), ["db", "api", "web"]),
        (("extra",), (), ["extra"]),
        (("extra", "api"), (), ["db", "extra", "api"]),
    ],
)
def test_what_starts_and_in_which_order(names: tuple[str, ...], profiles: tuple[str, ...], expected: list[str]) -> None:
    assert _names(_project(SHOP, *profiles), *names) == expected


@pytest.mark.parametrize(
    ("names", "profiles", "expected"),
    [
        (("mock",), (), ["db", "mock"]),
        (("admin",), ("dev",), ["db", "admin"]),
        (("admin", "mock"), (), ["db", "mock", "admin"]),
        (("web",), ("debug",), ["web"]),
        (("admin",), (), "'db' takes part only with --profile dev"),
        ((), ("debug",), "'db' takes part only with --profile dev"),
        ((), (), ["web"]),
    ],
)
def test_a_name_makes_the_profiles_of_its_service_active(
    names: tuple[str, ...], profiles: tuple[str, ...], expected: list[str] | str
) -> None:
    """What else is not there does not matter to it (docs.docker.com, "Using profiles with Compose")."""
    project = _project(
        "services:\n  web: {image: x}\n  mock: {image: x, profiles: [dev, more], depends_on: [db]}\n"
        "  db: {image: x, profiles: [dev]}\n  admin: {image: x, profiles: [debug], depends_on: [db]}\n",
        *profiles,
    )
    if isinstance(expected, list):
        assert _names(project, *names) == expected
        return
    with pytest.raises(MydockerError, match=expected):
        chosen(project, names)


def test_what_follows_a_service() -> None:
    restart = "{condition: service_started, restart: true}"
    project = _project(
        f"services:\n  a: {{image: x}}\n  b: {{image: x, depends_on: {{a: {restart}}}}}\n"
        f"  c: {{image: x, depends_on: {{b: {restart}, a: {{condition: service_started}}}}}}\n"
        "  d: {image: x, depends_on: [a]}\n"
    )
    assert [followers(project, names) for names in (["a"], ["b"], ["d"], ["b", "c"])] == [["b", "c"], ["c"], [], []]
    assert followers(None, ["a"]) == []


def test_without_what_they_need() -> None:
    project = _project()
    assert _names(project, "web", "api", deps=False) == ["web", "api"]
    web, api = chosen(project, ("web", "api"), with_dependencies=False)
    assert ([each.name for each in web.depends_on], api.depends_on) == (["api"], ())


def test_each_container_has_its_name_and_its_labels() -> None:
    project = _project()
    found = instances(project, chosen(project))
    assert [(each.name, each.title) for each in found] == [
        ("store", "store"),
        ("shop-api-1", "api-1"),
        ("shop-side-1", "side-1"),
        ("shop-web-1", "web-1"),
        ("shop-web-2", "web-2"),
    ]
    assert dict(found[-1].labels) == {PROJECT: "shop", SERVICE: "web", NUMBER: "2"}
    assert found[2].spec.network_mode == "container:store"
    scaled = instances(project, chosen(project), scale={"web": 0, "api": 2})
    assert [each.name for each in scaled] == ["store", "shop-api-1", "shop-api-2", "shop-side-1"]


@pytest.mark.parametrize(
    ("text", "names", "scale", "message"),
    [
        (SHOP, ("wb",), {}, "no such service: wb\ndid you mean 'web'?"),
        (SHOP, ("zzzzz",), {}, "no such service: zzzzz\nthe services are web, api, db, side, extra"),
        (SHOP, (), {"nope": 2}, "--scale: no such service: nope"),
        (SHOP, (), {"db": 2}, "service 'db' has a container_name, which is for one container"),
        ("services: {a: {image: x, profiles: [p]}}", (), {}, "compose.yaml: no container takes part without --profile"),
        (
            "services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}",
            ("a",),
            {},
            "compose.yaml:1:39: 'b' takes part only with --profile p",
        ),
    ],
)
def test_what_cannot_start(text: str, names: tuple[str, ...], scale: dict[str, int], message: str) -> None:
    project = _project(text)
    with pytest.raises(MydockerError) as caught:
        instances(project, chosen(project, names), scale=scale)
    assert str(caught.value).startswith(message)


def test_files_of_several_projects_do_not_run_together() -> None:
    Path("a.yaml").write_text("name: one\nservices: {web: {image: x}}")
    Path("b.yaml").write_text("name: two\nservices: {db: {image: x}}")
    with pytest.raises(MydockerError, match="b.yaml:2: service 'db' belongs to project 'two', and others to 'one'"):
        project_of(load_files(["a.yaml", "b.yaml"], environ={}))
    both = load_files(["a.yaml", "b.yaml"], environ={"COMPOSE_PROJECT_NAME": "all"})
    assert project_of(both).name == "all"


def test_what_is_a_project() -> None:
    Path("own.yaml").write_text("image: x")
    Path("compose.yaml").write_text("services: {web: {image: x}}")
    Path("unit.container").write_text("[Container]\nImage=x\n")
    assert is_project(load_files(["compose.yaml", "unit.container"], environ={}))
    assert not is_project(load_files(["own.yaml", "compose.yaml"], environ={}))
    [unit] = project_of(load_files(["unit.container"], environ={"COMPOSE_PROJECT_NAME": "p"})).services
    assert unit.service and (unit.service.name, unit.service.container_name) == ("unit", "unit")
