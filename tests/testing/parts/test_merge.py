"""The results of parts, put together: the same as of one run, or an error for what is missing."""

from __future__ import annotations

import json
import pathlib
import random
import re

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

SPECS = """
image: alpine
command: [sh, -c, 'echo "out $$NAME"; printf "\\303\\244\\377\\033[1m"; exit 3']
environment: {NAME: a}
expect: {exit_code: 3}
---
name: exits wrong
image: alpine
command: [sh, -c, 'echo one; echo two >&2; exit 4']
expect: {exit_code: 3, stdout: "one\\ntwo\\n", stderr: {contain-substring: three}}
---
name: never runs
image: alpine
command: nonesuch
---
name: put off
image: alpine
command: "true"
skip: later
---
name: of a matrix
image: alpine
matrix: {V: [1, 2, 3]}
command: [sh, -c, 'exit ${V}']
expect: {exit_code: {lt: 3}}
---
name: again
image: alpine
command: [sh, -c, 'echo no; exit 1']
retries: 1
---
name: looks inside
image: alpine
command: [sh, -c, 'echo in > /srv/x; sleep 1000']
expect: {within: 200s, exec: [{command: cat /srv/x, stdout: "in\\n"}]}
"""
SERVICES = """
name: db
image: alpine
command: [sh, -c, 'touch /srv/ready; exec sleep 1000']
healthcheck: {test: test -e /srv/ready, interval: 100ms, retries: 3000}
---
name: first
image: alpine
command: "true"
depends_on: {db: {condition: service_healthy}}
---
name: second
image: alpine
command: "false"
depends_on: {db: {condition: service_healthy}}
"""
TIMES = re.compile(r'time="[^"]*"|in \d+(\.|&#46;)\d\d s$|  +\d+\.\d\d s|timestamp="[^"]*"', re.MULTILINE)


@pytest.fixture
def folder(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    for name, text in (("a", SPECS), ("b", SERVICES)):
        (tmp_path / f"{name}.smoke.yaml").write_text(text)
    return tmp_path


FORMATS = ("junit", "tap", "markdown", "github", "text")


def _reports(folder: pathlib.Path, name: str) -> tuple[list[str], dict[str, pathlib.Path]]:
    paths = {format: folder / f"{name}.{format}" for format in FORMATS}
    return [word for format, path in paths.items() for word in ("--report", f"{format}={path}")], paths


def _run_part(alpine: Command, folder: pathlib.Path, part: str, file: str, *words: str) -> int:
    return alpine("test", *words, "--shard", part, "--report", f"jsonl={folder / file}", ".", cwd=folder).code


def test_parts_are_the_whole(alpine: Command, folder: pathlib.Path) -> None:
    words, whole = _reports(folder, "whole")
    json_words = ["--report", f"json={folder / 'whole.json'}"]
    done = alpine("test", *words, *json_words, ".", cwd=folder)
    assert done.code == 1
    codes = [_run_part(alpine, folder, f"{number}/3", f"{number}.jsonl") for number in (1, 2, 3)]
    assert set(codes) <= {0, 1, 3} and 1 in codes
    files = [f"{number}.jsonl" for number in (1, 2, 3)]
    random.shuffle(files)
    words, merged = _reports(folder, "merged")
    again = alpine("report", *words, "--report", f"json={folder / 'merged.json'}", *files, cwd=folder)
    assert (again.code, again.stderr) == (1, b""), again
    for format in FORMATS:
        texts = [TIMES.sub("", path.read_text()) for path in (whole[format], merged[format])]
        assert texts[0] == texts[1], format
    assert TIMES.sub("", again.stdout.decode()) == TIMES.sub("", done.stdout.decode())
    cases = [json.loads((folder / f"{name}.json").read_text())["cases"] for name in ("whole", "merged")]
    for one, other in zip(*cases, strict=True):
        for each in (one, other):
            each["exec"] = [{**command, "seconds": 0} for command in each["exec"]]
        for key in one.keys() - {"began", "seconds", "slot", "outcome"}:
            assert one[key] == other[key], key
    names = [case["name"] for case in cases[1] if case["verdict"] in ("failed", "error")]
    listed = alpine("test", "--last-failed", "--list", ".", cwd=folder)
    assert all(name in listed.stdout.decode() for name in names)


def test_what_is_lost_is_an_error(alpine: Command, folder: pathlib.Path) -> None:
    words = ("-k", "not wrong and not second and not runs and not again and not 3")
    for number in (1, 2):
        assert _run_part(alpine, folder, f"{number}/2", f"{number}.jsonl", *words) == 0
    assert alpine("report", "1.jsonl", "2.jsonl", cwd=folder).code == 0
    lost = alpine("report", "2.jsonl", "--report", "junit=x.xml", "--report", "jsonl=lost.jsonl", cwd=folder)
    assert lost.code == 3 and b"part 1/2 has not reported it" in lost.stdout, lost
    assert b"ERROR   put off" in lost.stdout or b"ERROR   of a matrix" in lost.stdout
    assert "part 1/2 has not reported it" in (folder / "x.xml").read_text()
    assert alpine("report", "1.jsonl", "lost.jsonl", cwd=folder).code == 0, "a result counts more than its lack"
    raw = (folder / "1.jsonl").read_bytes()
    (folder / "torn.jsonl").write_bytes(raw[: raw.index(b"\n") + 100])
    torn = alpine("report", "torn.jsonl", "2.jsonl", cwd=folder)
    assert torn.code == 3 and re.search(rb"torn\.jsonl:\d+: this line is torn", torn.stderr), torn
    (folder / "other.txt").write_bytes(b"a\nb\nc\n")
    other = alpine("report", "other.txt", cwd=folder)
    assert (other.code, other.stderr.count(b"left out, as are 2 others")) == (2, 1), other
    (folder / "headless.jsonl").write_bytes(b"".join(raw.splitlines(keepends=True)[2:]))
    headless = alpine("report", "headless.jsonl", cwd=folder)
    assert headless.code == 3 and re.search(rb"ERROR   case \d+ of \d+\n", headless.stdout), headless


def test_a_part_without_cases(alpine: Command, folder: pathlib.Path) -> None:
    assert _run_part(alpine, folder, "2/2", "2.jsonl", "-k", "off") == 0
    assert _run_part(alpine, folder, "1/2", "1.jsonl", "-k", "off") == 0
    assert alpine("report", ".", cwd=folder).code == 0
    assert _run_part(alpine, folder, "1/2", "3.jsonl", "-k", "nosuch") == 5


def test_several_results_of_a_case(alpine: Command, folder: pathlib.Path) -> None:
    """Of two attempts of a part the later one counts, of two parts the worse, and one that has run."""
    assert _run_part(alpine, folder, "1/1", "1.jsonl", "-k", "first or matrix") == 1
    heading, *lines = map(json.loads, (folder / "1.jsonl").read_text().splitlines())

    def merged(*changes: dict[str, object]) -> bytes:
        for number, change in enumerate(changes):
            rows = [
                heading,
                *({**line, "failures": [], "rest": {**line["rest"], "origins": []}, **change} for line in lines),
            ]
            (folder / f"{number}.part").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return alpine("report", *(f"{number}.part" for number in range(len(changes))), cwd=folder).stdout

    passed, failed = {"verdict": "passed"}, {"verdict": "failed", "reason": "bad"}
    assert b"5 passed in" in merged({"time": 10, **failed}, {"time": 11, **passed})
    assert b"5 failed in" in merged({"time": 11, **failed}, {"time": 10, **passed})
    assert b"5 failed in" in merged({"part": "1/2", "time": 10, **failed}, {"part": "2/2", "time": 11, **passed})
    unbegun = {"verdict": "skipped", "rest": {"origins": [], "spans": [], "cut": [], "not_kept": "", "unbegun": True}}
    assert b"5 passed in" in merged({"time": 10, **passed}, {"time": 11, **unbegun})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.jsonl", "b.jsonl"], b"b.jsonl is of another batch than the reports before it"),
        (["gone.jsonl"], b"cannot read gone.jsonl: No such file"),
        (["empty"], b"there is no result in these files"),
        (["rubbish"], b"there is no result in these files"),
        (["nothing/"], b"nothing/ has no files *.jsonl"),
        (["--report", "x=y", "a.jsonl"], b"expected one of"),
    ],
)
def test_wrong_files(alpine: Command, folder: pathlib.Path, files: list[str], message: bytes) -> None:
    (folder / "empty").write_text("")
    (folder / "rubbish").write_bytes(b"{}\n[]\nx\n\xff\n" + b"[" * 100_000 + b"\n" + b'{"batch": 1, "of": -1}\n')
    (folder / "nothing").mkdir()
    for name, words in (("a", "off"), ("b", "off or first")):
        assert _run_part(alpine, folder, "1/1", f"{name}.jsonl", "-k", words) == 0
    done = alpine("report", *files, cwd=folder)
    assert (done.code, message in done.stderr, b"Traceback" in done.stderr) == (2, True, False), done


def test_names_of_networks_do_not_depend_on_which_cases_are_chosen(alpine: Command, folder: pathlib.Path) -> None:
    """What a case needs was numbered among all."""
    assert alpine("test", "-k", "first", ".", cwd=folder).code == 0


def test_shard_is_wrong(alpine: Command, folder: pathlib.Path) -> None:
    for words in (("--shard", "0/4"), ("--shard", "auto")):
        done = alpine("test", *words, ".", cwd=folder, env={"CI_NODE_INDEX": None})
        assert done.code == 2 and b"--shard" in done.stderr, done


def test_a_part_of_an_engine_that_ran_another_batch(alpine: Command, folder: pathlib.Path) -> None:
    """It is left out, as while the batch is followed: what others have found is not lost."""
    for part in ("1/2", "2/2"):
        _run_part(alpine, folder, part, f"{part[0]}.0.jsonl", "-k", "put and off")
    _run_part(alpine, folder, "1/1", "other.jsonl", "-k", "wrong")
    parts = folder / "parts"
    parts.mkdir()
    (parts / "batch.jsonl").write_bytes((folder / "1.0.jsonl").read_bytes().splitlines(keepends=True)[0])
    (parts / "1.0.jsonl").write_bytes((folder / "other.jsonl").read_bytes())
    (parts / "2.0.jsonl").write_bytes((folder / "2.0.jsonl").read_bytes())
    done = alpine("report", "parts", cwd=folder)
    assert done.code == 3 and b"part 1/2 has not reported it" in done.stdout, done
    assert b"1.0.jsonl is of another batch than the reports before it, and left out" in done.stderr
