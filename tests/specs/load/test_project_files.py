"""The files of a project: where they are found, and what the environment and `.env` say about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.errors import UsageError
from mydocker.specs.load.project_files import ProjectOptions, find_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop" / "sub"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("compose.yaml", ("compose.yaml",)),
        ("docker-compose.yml docker-compose.yaml", ("docker-compose.yaml",)),
        ("compose.yml docker-compose.yml", ("compose.yml",)),
        ("compose.yaml compose.override.yml", ("compose.yaml", "compose.override.yml")),
        ("compose.yml docker-compose.override.yml", ("compose.yml", "docker-compose.override.yml")),
        ("../compose.yml ../compose.override.yaml", ("../compose.yml", "../compose.override.yaml")),
        ("../compose.yaml docker-compose.yml", ("docker-compose.yml",)),
        ("compose.override.yaml", None),
        ("", None),
    ],
)
def test_the_default_file(here: Path, files: str, expected: tuple[str, ...] | None) -> None:
    for name in files.split():
        Path(name).touch()
    found = find_project(ProjectOptions(), {})
    assert (found and tuple(str(Path(path).absolute().resolve()) for path in found.paths)) == (
        expected and tuple(str((here / path).resolve()) for path in expected)
    )


@pytest.mark.parametrize(
    ("environ", "dotenv", "expected"),
    [
        ({"COMPOSE_FILE": "a.yaml:b.yaml"}, "", ("a.yaml", "b.yaml")),
        ({"COMPOSE_FILE": "a.yaml;b.yaml", "COMPOSE_PATH_SEPARATOR": ";"}, "", ("a.yaml", "b.yaml")),
        ({}, "COMPOSE_FILE=a.yaml\n", ("a.yaml",)),
        ({"COMPOSE_FILE": "b.yaml"}, "COMPOSE_FILE=a.yaml\n", ("b.yaml",)),
    ],
)
def test_files_of_a_variable(environ: dict[str, str], dotenv: str, expected: tuple[str, ...]) -> None:
    Path("compose.yaml").touch()
    Path(".env").write_text(dotenv)
    found = find_project(ProjectOptions(), environ)
    assert found and found.paths == expected
    named = find_project(ProjectOptions(files=("c.yaml",)), environ)
    assert named and named.paths == ("c.yaml",)


def test_variables_come_from_the_directory_of_the_project(here: Path) -> None:
    (here.parent / ".env").write_text("A=above\nCOMPOSE_PROFILES=one\n")
    Path(".env").write_text("A=here\n")
    Path("more").write_text("A=more\nB=$A-b\n")
    above = find_project(ProjectOptions(files=("../compose.yaml",)), {})
    assert above and (above.scope.directory, above.scope.environ["A"]) == (str(here.parent), "above")
    assert above.profiles == {"one"}
    stays = find_project(ProjectOptions(files=("../compose.yaml",), directory="."), {})
    assert stays and (stays.scope.directory, stays.scope.environ["A"]) == (str(here), "here")
    files = find_project(ProjectOptions(files=("x",), env_files=(".env", "more"), profiles=("p", "q")), {"C": "c"})
    assert files and files.scope.environ == {"A": "more", "B": "more-b", "C": "c"}
    assert files.profiles == {"p", "q"}
    outer = find_project(ProjectOptions(files=("x",)), {"A": "outside"})
    assert outer and outer.scope.environ["A"] == "outside"


def test_the_name_of_a_project() -> None:
    found = find_project(ProjectOptions(files=("x",), name="shop"), {"COMPOSE_PROJECT_NAME": "other"})
    assert found and found.scope.environ["COMPOSE_PROJECT_NAME"] == "shop"
    with pytest.raises(UsageError, match="project name 'My Shop'"):
        find_project(ProjectOptions(name="My Shop"), {})
    with pytest.raises(UsageError, match="env file 'gone'"):
        find_project(ProjectOptions(env_files=("gone",)), {})
