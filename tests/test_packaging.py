"""What is handed on: the wheel, the archive of sources, and what CI services and editors take from the repository."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from lab import busybox, packages
from lab.command import Command, Result, command
from lab.packages import MADE, tracked
from lab.places import ROOT
from lab.registry import Registry

from mydocker import __version__

HOME = "https://github.com/mydocker/mydocker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNPACKED = f"mydocker-{__version__}"
NOT_SHIPPED = {".gitignore"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pathlib.Path]:
    """Builds `sdist` or `wheel` of a copy of the repository, as pip and build do, but for the network."""
    source = tmp_path_factory.mktemp("source")
    packages.copy(tracked(), source)
    return lambda kind: packages.build(kind, source, tmp_path_factory.mktemp(kind))


def test_the_archive_of_sources_is_the_repository_and_its_tests_run(
    built: Callable[[str], pathlib.Path], tmp_path: pathlib.Path
) -> None:
    # not by Python, whose 3.11.2 has no filters
    subprocess.run(["tar", "-xf", built("sdist"), "--no-same-owner", "-C", tmp_path], check=True)
    top = tmp_path / UNPACKED
    names = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    shipped = {name for name in names if not MADE.fullmatch(name)}
    assert shipped == tracked() - NOT_SHIPPED
    unlike = [name for name in shipped if (top / name).read_bytes() != (ROOT / name).read_bytes()]
    assert unlike == []
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/specs/values"]
    environment = {**os.environ, "PYTHONPATH": str(top)}
    done = subprocess.run(words, cwd=top, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_the_package_and_the_manual_page_and_nothing_else(built: Callable[[str], pathlib.Path]) -> None:
    with zipfile.ZipFile(built("wheel")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        page = wheel.read(f"mydocker-{__version__}.data/data/share/man/man1/mydocker.1")
        metadata = wheel.read(f"mydocker-{__version__}.dist-info/METADATA").decode()
    package = {name for name in tracked() if name.startswith("mydocker/")}
    assert names == package | {f"mydocker-{__version__}.data/data/share/man/man1/mydocker.1"}
    assert page == (ROOT / "docs" / "mydocker.1").read_bytes()
    assert "Author: The mydocker authors" in metadata and f"Project-URL: Homepage, {HOME}\n" in metadata


def test_an_editable_install_is_a_path_and_no_import_hook(built: Callable[[str], pathlib.Path]) -> None:
    """A hook is imported by each start of this environment's Python, which it makes take twice as long."""
    with zipfile.ZipFile(built("editable")) as wheel:
        [added] = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert added.endswith(".pth") and os.path.isdir(wheel.read(added).rstrip(b"\n"))


def test_addresses_are_of_the_project() -> None:
    for url in PROJECT["project"]["urls"].values():
        assert url == HOME or url.startswith(f"{HOME}/")
        path = url.removeprefix(HOME).partition("/main/")[2]
        assert not path or (ROOT / path).exists(), url
    assert PROJECT["project"]["keywords"] and PROJECT["project"]["authors"]


def test_the_manual_page_is_there_for_the_image_too() -> None:
    [page] = PROJECT["tool"]["setuptools"]["data-files"]["share/man/man1"]
    assert f"COPY {page} {os.path.dirname(page)}/" in (ROOT / "Dockerfile").read_text()


@pytest.fixture
def world(tmp_path: pathlib.Path, registry: Registry) -> Command:
    """A shell where a job runs: two tests, one of which fails, and `mydocker` in PATH."""
    registry.push(busybox.alpine(), "library/alpine")
    ready = command(tmp_path, registry=registry.address)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "good.smoke.yaml").write_text("name: it is good\nimage: alpine\ncommand: [echo, a]\n")
    (tmp_path / "tests" / "bad.smoke.yaml").write_text("name: it is bad\nimage: alpine\ncommand: ['false']\n")
    (tmp_path / "two words.yaml").write_text("name: it is apart\nimage: alpine\ncommand: ['true']\n")
    path = f"{ready.program.parent}:{ready.environment['PATH']}"
    more = {"PATH": path, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    return Command(pathlib.Path("/bin/bash"), {**ready.environment, **more}, tmp_path, store=ready.store)


def _action() -> dict[str, Any]:
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return action


def _step(name: str) -> dict[str, Any]:
    [step] = [step for step in _action()["runs"]["steps"] if step.get("name") == name]
    return step


def _run_step(world: Command, **inputs: str) -> Result:
    """The step `test` of the action, as a runner executes it: bash with these options, inputs in the environment."""
    step, known = _step("test"), _action()["inputs"]
    values = {name: inputs.get(name, each["default"]) for name, each in known.items()}
    environment = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)
        for name, text in step["env"].items()
    }
    return world("--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], env=environment)


def test_the_action_is_one() -> None:
    action = _action()
    assert action["runs"]["using"] == "composite" and {"paths", "args", "report"} <= set(action["inputs"])
    for step in action["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "an input would be a part of the script"
        for name in re.findall(r"inputs\.([\w-]+)", str(step)):
            assert name in action["inputs"]
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


@pytest.mark.root
def test_the_action_runs_tests_and_writes_reports(world: Command) -> None:
    done = _run_step(world)
    reports = world.directory / "mydocker-report"
    assert done.code == 1 and b"1 passed, 1 failed" in done.stdout + done.stderr, done
    assert b"::error file=tests/bad.smoke.yaml,line=1" in done.stdout
    assert {path.name for path in reports.iterdir()} == {"junit.xml", "report.html"}
    assert "it is bad" in (reports / "junit.xml").read_text()
    assert "it is bad" in (world.directory / "summary.md").read_text()


@pytest.mark.root
@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"paths": "tests/good.smoke.yaml", "report": ""}, 0, b"1 passed"),
        ({"args": "-k 'good and not bad' --durations 1"}, 0, b"1 passed"),
        ({"paths": "'two words.yaml'\n  tests/good.smoke.yaml\n"}, 0, b"2 passed"),
        ({"paths": "$(touch owned)", "args": "; touch owned"}, 2, b"mydocker: ;: no such file or folder"),
        ({"args": "-k 'open"}, 1, b"quote"),
        ({"paths": "", "report": ""}, 2, b"no paths"),
    ],
)
def test_the_inputs_of_the_action_are_data(world: Command, inputs: dict[str, str], code: int, said: bytes) -> None:
    done = _run_step(world, **inputs)
    assert done.code == code and said in done.stdout + done.stderr, done
    assert not (world.directory / "owned").exists()
    assert (world.directory / "mydocker-report").exists() == (inputs.get("report") != "" and code != 1)


@pytest.mark.root
def test_parts_of_the_action_and_of_gitlab(world: Command) -> None:
    template = yaml.safe_load((ROOT / "docs" / "mydocker.gitlab-ci.yml").read_text())
    assert template[".mydocker-report"]["when"] == "always", "what is lost would not be reported"
    merge = "\n".join(template[".mydocker-report"]["script"])
    reports = world.directory / "parts"
    codes = {_run_step(world, shard=f"{number}/2", report="parts").code for number in (1, 2)}
    assert codes == {0, 1} and {"part-1-of-2.jsonl", "part-2-of-2.jsonl"} < {path.name for path in reports.iterdir()}
    done = world("-euc", merge.replace("part-*", "parts/part-*"))
    assert done.code == 1 and b"1 passed, 1 failed" in done.stdout, done
    job = template[".mydocker"]
    for number in (1, 2):
        words = {"MYDOCKER_ARGS": f"--shard auto --report jsonl=part-{number}.jsonl", "MYDOCKER_PATHS": "tests"}
        world("-euc", "\n".join(job["script"]), env={**words, "CI_NODE_INDEX": str(number), "CI_NODE_TOTAL": "2"})
    assert [*world.directory.glob(job["artifacts"]["paths"][0])] != []
    assert b"1 passed, 1 failed" in world("-uc", merge).stdout


@pytest.mark.root
def test_the_job_of_gitlab(world: Command) -> None:
    job = yaml.safe_load((ROOT / "docs" / "mydocker.gitlab-ci.yml").read_text())[".mydocker"]
    assert job["artifacts"]["reports"] == {"junit": "report.xml"}
    variables = {name: value for name, value in job["variables"].items() if name != "MYDOCKER_PACKAGE"}
    assert f"{HOME}/" in f"{job['variables']['MYDOCKER_PACKAGE']}/"
    script = "\n".join(job["script"])
    assert world("-euc", script, env=variables).code not in (0, 125)
    assert "it is bad" in (world.directory / "report.xml").read_text()
    done = world("-euc", script, env={**variables, "MYDOCKER_ARGS": "-k 'good and not bad'"})
    assert done.code == 0 and b"1 passed" in done.stdout + done.stderr, done


def test_the_hook_of_pre_commit(world: Command) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python" and hook["id"] == "mydocker-check"
    files = ["tests/good.smoke.yaml", "tests/bad.smoke.yaml", "two words.yaml", "a.smoke.yml", "smoke.yaml.txt"]
    chosen = [name for name in files if re.search(hook["files"], name)]
    assert chosen == [files[0], files[1], files[3]]
    assert world("-c", f'{hook["entry"]} "$@"', "bash", *chosen[:2]) == Result(b"", b"", 0)
    (world.directory / "tests" / "bad.smoke.yaml").write_text("imge: x\n")
    assert world("-c", f'{hook["entry"]} "$@"', "bash", *chosen[:2]).code == 1
