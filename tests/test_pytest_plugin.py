"""The pytest plugin, in pytests of its own: what it collects, what it says, and that nobody else notices it."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from lab.command import NO_OTHER_PLUGINS, Command
from lab.processes import sleeping, wait_for

from mydocker import pytest_plugin
from mydocker.testing.cases.collect import SUFFIXES

root = pytest.mark.root

SPECS = """\
name: fine
image: alpine
command: [echo, hello]
tags: [quick, skip, a-b]
expect: {stdout: hello}
---
name: "broken :: <b>"
image: alpine
command: [sh, -c, "echo 8081; exit 3"]
tags: [slow]
expect: {stdout: ["8080"]}
---
image: alpine
command: ["false"]
skip: not today
---
name: each
image: alpine
matrix: {N: [1, 2]}
command: [sh, -c, "test $N = 1"]
---
name: no image
image: nonesuch
pull_policy: never
"""


def _pytest(directory: pathlib.Path, *words: str, env: dict[str, str] | None = None) -> tuple[str, int]:
    """What a pytest in DIRECTORY says, and its exit code."""
    options = ["--rootdir=.", "-p", "no:cacheprovider", "-rA", "--strict-markers", *NO_OTHER_PLUGINS]
    command = [sys.executable, "-m", "pytest", *options, *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, env={**environment, "COLUMNS": "200", **(env or {})}
    )
    assert done.stderr == ""
    return done.stdout, done.returncode


def _verdicts(text: str) -> list[str]:
    """`PASSED name`, … of the summary, sorted."""
    return sorted(re.findall(r"^((?:PASSED|FAILED|ERROR) \S+?::.*?)(?: - .*)?$", text, re.MULTILINE))


@root
def test_a_spec_file_is_a_file_of_tests(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SPECS)
    (tmp_path / "plain.yaml").write_text("image: alpine\n")
    text, code = _pytest(tmp_path, env={**alpine.environment})
    file = "x.smoke.yaml"
    assert _verdicts(text) == [
        f"FAILED {file}::broken : <b>",
        f"FAILED {file}::each (N=2)",
        f"FAILED {file}::no image",
        f"PASSED {file}::each (N=1)",
        f"PASSED {file}::fine",
    ]
    assert code == 1
    assert "3 failed, 2 passed, 1 skipped" in text and "not today" in text
    assert "Traceback" not in text and "\x1b" not in text
    assert '\nx.smoke.yaml:11:19: stdout\n  expected: text with "8080"\n  actual:   8081\n' in text
    assert "\nagain:    mydocker test x.smoke.yaml:7\n" in text
    assert re.search(r"^FAILED x\.smoke\.yaml::broken : <b> - x\.smoke\.yaml:7: exit_code$", text, re.MULTILINE)
    assert "image nonesuch:latest for linux/" in text


@root
@pytest.mark.parametrize(
    ("words", "passed"),
    [
        (("-m", "quick"), ["fine"]),
        (("-m", "a-b"), ["fine"]),
        (("-k", "each and not 2"), ["each (N=1)"]),
        (("x.smoke.yaml::fine",), ["fine"]),
        (("-p", "no:mydocker"), []),
    ],
)
def test_cases_are_chosen_as_tests_are(
    alpine: Command, tmp_path: pathlib.Path, words: tuple[str, ...], passed: list[str]
) -> None:
    (tmp_path / "x.smoke.yaml").write_text(SPECS)
    text, _ = _pytest(tmp_path, *words, env={**alpine.environment})
    assert re.findall(r"^PASSED .*?::(.*)$", text, re.MULTILINE) == passed, text


@root
def test_retries_and_what_comes_true_while_it_runs(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = "echo x >> /srv/count; test $$(wc -l < /srv/count) = 2"
    text = f"name: a\nimage: alpine\ncommand: [sh, -c, '{script}']\nvolumes: ['.:/srv']\nretries: 1\n---\n"
    server = "trap exit TERM; echo up; while :; do sleep 0.1; done"
    text += f"name: b\nimage: alpine\ncommand: [sh, -c, '{server}']\nexpect: {{within: 200s, stdout: [up]}}\n"
    (tmp_path / "x.smoke.yml").write_text(text)
    said, code = _pytest(tmp_path, env={**alpine.environment})
    assert (_verdicts(said), code) == (["PASSED x.smoke.yml::a", "PASSED x.smoke.yml::b"], 0)


NEEDS = """\
name: store
image: alpine
command: [sh, -c, "trap exit TERM; while :; do sleep 0.05; done"]
---
name: filled
image: alpine
command: [sh, -c, "exit {0}"]
depends_on: [store]
---
name: read
image: alpine
command: ["true"]
depends_on: {{filled: {{condition: service_completed_successfully}}}}
"""


@root
@pytest.mark.parametrize(
    ("code", "words", "verdicts"),
    [
        (0, (), ["PASSED filled", "PASSED read", "PASSED store"]),
        (0, ("-k", "read"), ["PASSED read"]),
        (3, (), ["FAILED filled", "FAILED read", "PASSED store"]),
        (3, ("-k", "read"), ["FAILED read"]),
    ],
)
def test_cases_that_need_each_other(
    alpine: Command, tmp_path: pathlib.Path, code: int, words: tuple[str, ...], verdicts: list[str]
) -> None:
    """As in `mydocker test`: what a chosen case needs runs too, and a case that lacks what it needs does not run."""
    (tmp_path / "x.smoke.yaml").write_text(NEEDS.format(code))
    text, _ = _pytest(tmp_path, *words, env={**alpine.environment})
    found = re.findall(r"^(PASSED|FAILED|SKIPPED) \S+?::(\w+)", text, re.MULTILINE)
    assert sorted(" ".join(pair) for pair in found) == verdicts
    assert ("not run: it needs filled" in text) == (code == 3)
    assert os.listdir(alpine.store / "containers") == []


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_session_that_ends_takes_its_containers_along(
    alpine: Command, tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    mark = f"38{os.getpid()}"
    (tmp_path / "x.smoke.yaml").write_text(f"image: alpine\ncommand: [sh, -c, 'sleep {mark}']\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *NO_OTHER_PLUGINS]
    environment = {**os.environ, **alpine.environment}
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment)
    wait_for(lambda: bool(sleeping(mark)))
    process.send_signal(number)
    said, _ = process.communicate(timeout=240)
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)
    wait_for(lambda: not os.listdir(alpine.store / "containers") and not sleeping(mark))


def test_all_mistakes_of_a_file_are_reported_when_it_is_collected(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text("imge: alpine\ntimeout: x\n")
    text, code = _pytest(tmp_path)
    assert code == 2
    assert "x.smoke.yaml:1:1: unknown key 'imge'; did you mean 'image'?\nx.smoke.yaml:2:10: " in text
    assert "Traceback" not in text


TESTS = """
import mydocker
import pytest

def test_good(container):
    outcome = container("alpine", "cat", stdin="x")
    assert isinstance(outcome, mydocker.Outcome) and outcome.stdout == "x"

def test_bad(container):
    assert container("alpine", "sh", "-c", "echo the reason >&2; exit 4").exit_code == 0

def test_raises(container):
    with pytest.raises(mydocker.CommandNotFoundError):
        container("alpine", "nonesuch")

@pytest.mark.parametrize("words,keys", [
    (("alpine", ["echo", "a b"]), {}),
    (("alpine",), {"command": ["echo", "c d"]}),
    ((), {"image": "alpine", "command": "echo e"}),
])
def test_ways(container, words, keys):
    container(*words, **keys)
    assert False
"""


@root
def test_the_fixture_runs_containers_and_shows_what_they_wrote(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_x.py").write_text(TESTS)
    text, code = _pytest(tmp_path, env={**alpine.environment})
    assert _verdicts(text) == [
        "FAILED test_x.py::test_bad",
        "FAILED test_x.py::test_ways[words0-keys0]",
        "FAILED test_x.py::test_ways[words1-keys1]",
        "FAILED test_x.py::test_ways[words2-keys2]",
        "PASSED test_x.py::test_good",
        "PASSED test_x.py::test_raises",
    ]
    assert re.search(r"-+ Captured stderr of alpine sh -c 'echo the reason >&2; exit 4' call -+\nthe reason\n", text)
    headings = re.findall(r"-+ Captured stdout of (.*) call -+\n", text)
    assert headings == ["alpine echo 'a b'", "alpine echo 'c d'", "alpine 'echo e'", "alpine cat"]
    assert code == 1


def test_it_collects_what_a_folder_has_for_the_command() -> None:
    assert pytest_plugin.SUFFIXES == SUFFIXES


def test_other_projects_pay_two_modules(tmp_path: pathlib.Path) -> None:
    """And a fixture of their own of that name is theirs."""
    (tmp_path / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef container(): return 1\n")
    report = "def test_x(container):\n    import sys\n    assert container == 1\n"
    report += "    print('loaded', *sorted(name for name in sys.modules if name.startswith('mydocker')))\n"
    (tmp_path / "test_x.py").write_text(report)
    text, code = _pytest(tmp_path)
    assert ("loaded mydocker mydocker.pytest_plugin\n" in text, code) == (True, 0)
    text, code = _pytest(tmp_path, "-p", "no:mydocker")
    assert ("loaded\n" in text, code) == (True, 0)


NEEDY = """\
name: db
image: alpine
command: [sh, -c, "sleep 0.2; touch /tmp/up; exec sleep 1000"]
healthcheck: {test: test -e /tmp/up}
---
name: web
image: alpine
command: [echo, hello]
depends_on: {db: {condition: service_healthy}}
expect: {stdout: bye}
"""


@root
def test_cases_that_need_each_other_run_together(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "needy.smoke.yaml").write_text(NEEDY)
    text, code = _pytest(tmp_path, env={**alpine.environment})
    assert (_verdicts(text), code) == (["FAILED needy.smoke.yaml::web", "PASSED needy.smoke.yaml::db"], 1)
    assert 'expected: "bye"' in text
    assert os.listdir(alpine.store / "containers") == []
