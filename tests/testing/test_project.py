"""`mydocker test --project`: cases next to the services of a project that is up."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from lab.command import Command, Result

pytestmark = pytest.mark.root

CHECK = "healthcheck: {test: test -e /ready, interval: 1s, start_interval: 100ms, start_period: 5m}"
FILE = f"""\
name: shop
services:
  web:
    image: alpine
    init: true
    command: sh -c 'mkdir /w; echo hello > /w/index.html; sleep 0.5; touch /ready; exec httpd -f -p 80 -h /w'
    {CHECK}
  plain: {{image: alpine, init: true, command: sleep 1000}}
  sick:
    image: alpine
    init: true
    command: sleep 1000
    healthcheck: {{test: 'echo sick; exit 1', interval: 100ms, retries: 1}}
  job: {{image: alpine, network_mode: none, command: sh -c 'exit 3'}}
  done: {{image: alpine, network_mode: none, command: 'true'}}
"""
FETCH = "{image: alpine, command: [wget, -q, -O, '-', 'http://web'], expect: {stdout: hello}"


@pytest.fixture(scope="module")
def project(alpine: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "compose.yaml").write_text(FILE)
    done = alpine("up", "-d", cwd=folder)
    assert done.code == 0, done
    yield alpine
    assert alpine("down", "-t", "0", cwd=folder).code == 0


def _test(mydocker: Command, directory: pathlib.Path, *documents: str, options: tuple[str, ...] = ()) -> Result:
    (directory / "x.smoke.yaml").write_text("\n---\n".join(documents))
    words = ("--project", "shop", "--report", "json=found.json", *options, "x.smoke.yaml")
    return mydocker("test", *words, cwd=directory)


def test_cases_reach_the_services_by_name(project: Command, tmp_path: pathlib.Path) -> None:
    client = (
        FETCH + ", depends_on: {web: {condition: service_healthy}, done: {condition: service_completed_successfully}}}"
    )
    done = _test(project, tmp_path, client, "{image: alpine, network_mode: none, command: 'true'}")
    assert done.code == 0, done
    assert b"2 passed" in done.stdout


# (what the case depends on, the verdict, its reason)
MISSING = [
    ("{plain: {condition: service_healthy}}", "plain of project shop, which has no healthcheck"),
    ("{sick: {condition: service_healthy}}", "sick of project shop, which is unhealthy (exit code 1: sick)"),
    ("{job: {condition: service_completed_successfully}}", "job of project shop, which ended with exit code 3"),
    ("{job: {condition: service_started}}", "job of project shop, which ended with exit code 3"),
]


def test_what_a_case_needs_of_the_project(project: Command, tmp_path: pathlib.Path) -> None:
    """Those that cannot run are errors, and the others run."""
    cases = [f"{{image: alpine, command: 'true', depends_on: {depends_on}}}" for depends_on, _ in MISSING]
    cases.append("{image: alpine, command: 'true', depends_on: {job: {condition: service_started, required: false}}}")
    done = _test(project, tmp_path, *cases)
    found = json.loads((tmp_path / "found.json").read_text())["cases"]
    reasons = [f"not run: it needs {reason}" for _, reason in MISSING]
    assert [case.get("reason", "") for case in found] == [*reasons, ""]
    assert [case["verdict"] for case in found] == ["error"] * len(MISSING) + ["passed"]
    assert done.code == 3
    assert b"mydocker test --project shop" in done.stdout


def test_the_time_to_wait_is_that_of_the_batch(project: Command, tmp_path: pathlib.Path) -> None:
    case = "{image: alpine, command: 'true', depends_on: {plain: {condition: service_completed_successfully}}}"
    done = _test(project, tmp_path, case, options=("--timeout", "300ms"))
    assert (done.code, b"plain of project shop, which has not ended" in done.stdout) == (3, True)


def test_a_container_of_the_files_comes_first(project: Command, tmp_path: pathlib.Path) -> None:
    own = "{name: web, image: alpine, command: 'exit 1', expect: {exit_code: 1}}".replace(
        "'exit 1'", "[sh, -c, exit 1]"
    )
    user = "{image: alpine, command: 'true', depends_on: {web: {condition: service_completed_successfully}}}"
    done = _test(project, tmp_path, own, user)
    assert (done.code, b"it needs web, which ended with exit code 1" in done.stdout) == (3, True)


def test_mistakes(project: Command, tmp_path: pathlib.Path) -> None:
    done = _test(project, tmp_path, "image: alpine\ncommand: 'true'\ndepends_on: [wbe]")
    assert (done.code, done.stderr) == (
        2,
        b"x.smoke.yaml:3:14: there is no container called 'wbe'; did you mean 'web'?\n",
    )
    done = project("test", "--project", "nonesuch", "x.smoke.yaml", cwd=tmp_path)
    assert (done.code, b"project 'nonesuch' is not up" in done.stderr) == (2, True)
