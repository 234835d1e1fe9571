"""`mydocker check`: folders, and mistakes as text, as JSON and as annotations of GitHub."""

from __future__ import annotations

import json
import pathlib

import pytest
from lab.command import Command, Result

WRONG = "image: alpine\nimge: x\n---\nimage: alpine\nenvironment: 3\n"


@pytest.fixture
def here(mydocker: Command) -> Command:
    (mydocker.directory / "tests" / "deep").mkdir(parents=True)
    (mydocker.directory / "empty").mkdir()
    (mydocker.directory / "tests" / "deep" / "one.smoke.yaml").write_text("image: alpine\n")
    (mydocker.directory / "tests" / "other.yaml").write_text("image: 1\nimge: x\n")
    (mydocker.directory / "wrong.yaml").write_text(WRONG)
    return mydocker


def test_a_folder_is_its_tests(here: Command) -> None:
    assert here("check", "tests") == Result(b"", b"", 0)
    (here.directory / "tests" / "two.smoke.yaml").write_text(WRONG)
    done = here("check", "tests", "wrong.yaml")
    lines = done.stderr.decode().splitlines()
    assert (
        done.code == 1 and [line.split(":")[0] for line in lines] == ["tests/two.smoke.yaml"] * 2 + ["wrong.yaml"] * 2
    )


def test_a_folder_without_tests_is_a_mistake(here: Command) -> None:
    done = here("check", "empty")
    assert done.code == 2 and b"empty: no *.smoke.yaml files in this folder" in done.stderr


def test_json(here: Command) -> None:
    done = here("check", "--format", "json", "wrong.yaml")
    found = json.loads(done.stdout)
    assert (done.stderr, done.code) == (b"", 1)
    assert [(each["file"], each["line"], each["column"]) for each in found] == [
        ("wrong.yaml", 2, 1),
        ("wrong.yaml", 5, 14),
    ]
    assert found[0]["message"] == "unknown key 'imge'; did you mean 'image'?"
    assert here("check", "--format=json", "tests") == Result(b"[]\n", b"", 0)


def test_json_of_a_file_that_cannot_be_read(here: Command) -> None:
    done = here("check", "--format", "json", "nonesuch.yaml", "wrong.yaml")
    found = json.loads(done.stdout)
    assert done.code == 1 and len(found) == 3
    assert {key: found[0][key] for key in ("file", "line", "column")} == {
        "file": "nonesuch.yaml",
        "line": None,
        "column": None,
    }


def test_github(here: Command) -> None:
    done = here("check", "--format", "github", "wrong.yaml")
    first, second = done.stdout.decode().splitlines()
    assert (done.stderr, done.code) == (b"", 1)
    assert first == "::error file=wrong.yaml,line=2,col=1::unknown key 'imge'; did you mean 'image'?"
    assert second.startswith("::error file=wrong.yaml,line=5,col=14::")
    assert here("check", "--format", "github", "tests") == Result(b"", b"", 0)


def test_github_finds_the_file_from_the_top_of_the_checkout(here: Command) -> None:
    below = here.directory / "tests"
    done = here("check", "--format=github", "other.yaml", cwd=below, env={"GITHUB_WORKSPACE": str(here.directory)})
    assert done.stdout.startswith(b"::error file=tests/other.yaml,line=")


@pytest.mark.parametrize("form", ["github", "json", "text"])
def test_what_a_file_says_commands_no_runner(here: Command, tmp_path: pathlib.Path, form: str) -> None:
    (tmp_path / "x.yaml").write_text('image: alpine\n"a\\n::error::owned\\n##[error]owned": 1\n')
    done = here("check", "--format", form, "x.yaml", cwd=tmp_path)
    lines = (done.stdout + done.stderr).decode().splitlines()
    assert done.code == 1 and sum(line.startswith("::error") for line in lines) == (1 if form == "github" else 0)
    assert not any(line.lstrip().startswith("::error::") or "##[error]" in line for line in lines), lines


@pytest.mark.parametrize(
    ("name", "text", "keys"),
    [
        ("x.container", "[Container]\nImage=alpine\nGlobalArgs=--x\n", "GlobalArgs"),
        ("x.container", "[Container]\nImage=alpine\nNope=1\n", "Nope"),
        ("x.container", "[Container]\nImage=alpine\n[Service]\nExecStart=/x\nUser=x\n", "ExecStart,User"),
        ("x.container", "[Container]\nImage=alpine\n[Unit]\nDefaultDependencies=x\n[Quadlet]\nFoo=1\n", "Foo"),
        ("x.network", "[Network]\nGlobalArgs=--x\n", "GlobalArgs"),
        ("x.yaml", "image: alpine\ncgroup_parent: x\n", "cgroup_parent"),
        ("compose.yaml", "services: {web: {image: alpine, storage_opt: {size: 1G}}}\n", "storage_opt"),
    ],
)
def test_keys_to_pass_over(here: Command, tmp_path: pathlib.Path, name: str, text: str, keys: str) -> None:
    (tmp_path / name).write_text(text)
    assert here("check", name, cwd=tmp_path).code == 1
    done = here("check", "--ignore", keys, name, cwd=tmp_path)
    assert (done.code, done.stderr.count(b": ignored: ")) == (0, len(keys.split(","))), done
    done = here("check", "--ignore", "imgae", name, cwd=tmp_path)
    assert done.code == 1 and b"warning: --ignore: no file has a key 'imgae'; did you mean 'image'?" in done.stderr
