"""Reports that cannot be written, and a standard output that nobody reads: no verdict and no other report is lost."""

from __future__ import annotations

import json
import pathlib
import subprocess

import junitparser
import pytest
from lab.command import Command

pytestmark = pytest.mark.root

FULL = "No space left on device"


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """It has a file of three cases, each of which leaves a mark when it runs."""
    case = "name: n{0}\nimage: alpine\nvolumes: ['.:/srv']\ncommand: [touch, /srv/ran{0}]\n"
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(case.format(number) for number in range(3)))
    return tmp_path


def _ran(directory: pathlib.Path) -> int:
    return len([*directory.glob("ran*")])


@pytest.mark.parametrize("format", ["text", "tap", "junit", "json", "jsonl", "html"])
def test_a_report_that_cannot_be_written_is_named_and_the_others_are_whole(
    alpine: Command, directory: pathlib.Path, format: str
) -> None:
    options = [f"--report={format}=/dev/full", "--report=junit=x.xml", "--report=jsonl=lines"]
    done = alpine("test", *options, "x.smoke.yaml", cwd=directory)
    assert (done.stderr, done.code) == (f"mydocker: cannot write the report /dev/full: {FULL}\n".encode(), 3)
    assert b"3 passed in" in done.stdout
    assert junitparser.JUnitXml.fromfile(str(directory / "x.xml")).tests == 3
    assert len((directory / "lines").read_text().splitlines()) == 3


def test_a_verdict_is_worth_more_than_a_report(alpine: Command, directory: pathlib.Path) -> None:
    (directory / "x.smoke.yaml").write_text("image: alpine\ncommand: ['false']\n")
    assert alpine("test", "--report=json=/dev/full", "x.smoke.yaml", cwd=directory).code == 1


@pytest.mark.parametrize("reader", ["none", "full", "closed", "one line"])
def test_a_batch_needs_nobody_who_reads_it(alpine: Command, directory: pathlib.Path, reader: str) -> None:
    words = alpine.argv("test", "-j1", "--report=json=x.json", "x.smoke.yaml")
    ends = {"none": "| true", "full": "> /dev/full", "closed": ">&-", "one line": "| head -n 1"}
    script = f'set -o pipefail; "$@" {ends[reader]}'
    done = subprocess.run(
        ["bash", "-c", script, "-", *words], cwd=directory, env=alpine.environment, capture_output=True, timeout=60
    )
    complaint = f"mydocker: cannot write to standard output: {FULL}\n" if reader == "full" else ""
    assert (done.stderr.decode(), done.returncode) == (complaint, 3 if reader == "full" else 0)
    assert json.loads((directory / "x.json").read_text())["counts"]["passed"] == _ran(directory) == 3


def test_a_report_to_a_closed_standard_output_is_refused(alpine: Command, directory: pathlib.Path) -> None:
    words = alpine.argv("test", "--report=json=-", "x.smoke.yaml")
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "-", *words], cwd=directory, env=alpine.environment, capture_output=True, timeout=60
    )
    assert (done.returncode, _ran(directory)) == (2, 0)
    assert done.stderr == b"mydocker: cannot write the report json=-: standard output is closed\n"


@pytest.mark.parametrize("format", ["text", "tap", "junit", "json", "jsonl", "github", "html", ""])
def test_names_in_a_locale_without_them(alpine: Command, directory: pathlib.Path, format: str) -> None:
    """A report is UTF-8 everywhere; on a terminal that has no such letters they are escaped."""
    (directory / "x.smoke.yaml").write_text("{name: \u65e5\u672c, image: alpine, command: ['false']}", "utf-8")
    options = [f"--report={format}=-"] if format else []
    ascii = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = alpine("test", *options, "x.smoke.yaml", cwd=directory, env=ascii)
    assert (done.stderr, done.code) == (b"", 1)
    text = done.stdout.decode("utf-8" if format else "ascii")
    shown = "\\u65e5\\u672c" if format in ("", "json", "jsonl") else "\u65e5\u672c"
    assert shown in text
