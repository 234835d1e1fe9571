"""`mydocker record`: what it writes passes at once, notices each change, and says nothing of what is not stable."""

from __future__ import annotations

import os
import pathlib
import re
import signal
from typing import Any

import pytest
import yaml
from lab.command import Command
from lab.processes import sleeping, wait_for

from mydocker.runtime.command.outcome import Outcome
from mydocker.testing.cases.record import questions, recorded
from mydocker.verdict.finding import Finding

root = pytest.mark.root


def _recorded(alpine: Command, directory: pathlib.Path, *words: str) -> tuple[dict[str, Any], str]:
    """(what is expected of the container that WORDS run, the comments); the spec, which passes, is in x.yaml."""
    done = alpine("record", *words, cwd=directory)
    assert (done.code, done.stderr) == (0, b""), done
    (directory / "x.yaml").write_bytes(done.stdout)
    tested = alpine("test", "x.yaml", cwd=directory)
    assert (tested.code, tested.stderr) == (0, b""), tested
    comments = "".join(line for line in done.stdout.decode().splitlines(keepends=True) if line.startswith("#"))
    return yaml.safe_load(done.stdout)["expect"], comments


NOTHING = {"stdout": "", "stderr": "", "changes": {"only": []}}
OURS = {"owner": "root", "group": "root"}

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SILENT = {"exit_code": 0, **NOTHING}
UUID = "cat /proc/sys/kernel/random/uuid"


def _but(name: str) -> dict[str, Any]:
    return {key: value for key, value in SILENT.items() if key != name}


# (the script, what is expected, what is said to be left out)
SCRIPTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("true", SILENT, []),
    ("exit 3", {**SILENT, "exit_code": 3}, []),
    ("echo a; echo b >&2", {**SILENT, "stdout": {"equal": "a\n"}, "stderr": {"equal": "b\n"}}, []),
    (r"""printf '!/x$H: "#\t\033[m\n\n  é'""", {**SILENT, "stdout": {"equal": '!/x$$H: "#\t\x1b[m\n\n  é'}}, []),
    (r"printf '\377'", _but("stdout"), ["stdout: it is not text that a file can hold"]),
    (r"printf 'a\000b' >&2", _but("stderr"), ["stderr: it is not text that a file can hold"]),
    (
        f"{UUID}; echo '!no'; echo '/yes/'; echo same",
        {**SILENT, "stdout": [r"\!no", r"\/yes/", "same"]},
        ["stdout: 1 of 4 lines"],
    ),
    (UUID, _but("stdout"), ["stdout: no line of it is always the same"]),
    (
        "umask 027; echo hi > /etc/x; chown daemon:mail /etc/x; rm /etc/group; ln -s x /srv/l; mkdir -m 750 /opt/d",
        {
            **SILENT,
            "changes": {"only": ["/etc/group", "/etc/x", "/opt/d", "/srv/l"]},
            "files": [
                {"path": "/etc/group", "exists": False},
                {
                    "path": "/etc/x",
                    "type": "file",
                    "mode": "0640",
                    "owner": "daemon",
                    "group": "12",
                    "contents": {"equal": "hi\n"},
                },
                {"path": "/opt/d", "type": "directory", "mode": "0750", "owner": "root", "group": "0"},
                {"path": "/srv/l", "type": "symlink"},
            ],
        },
        [],
    ),
    (
        f"{UUID} > /etc/x; d=/tmp/d$(cat /etc/x); mkdir $d; touch $d/y /tmp/always '/srv/*[?'",
        {
            **SILENT,
            "changes": {"only": ["/etc/x", "/srv/[*][[][?]", "/tmp/always", "/tmp/**"]},
            "files": [
                {"path": "/etc/x", "type": "file", "mode": "0644", **OURS},
                {"path": "/srv/*[?", "type": "file", "mode": "0644", **OURS, "sha256": EMPTY},
                {"path": "/tmp/always", "type": "file", "mode": "0644", **OURS, "sha256": EMPTY},
            ],
        },
        ["files: contents of /etc/x", "changes: the names of 3 files that were not there each time"],
    ),
]


@root
@pytest.mark.parametrize(("script", "expect", "remarks"), SCRIPTS, ids=range(len(SCRIPTS)))
def test_what_holds_each_time_is_expected(
    alpine: Command, tmp_path: pathlib.Path, script: str, expect: dict[str, Any], remarks: list[str]
) -> None:
    found, comments = _recorded(alpine, tmp_path, "alpine", "sh", "-c", script)
    assert found == expect
    head, *left = comments.splitlines()
    assert head.startswith("# recorded by: mydocker record alpine sh -c ")
    assert [line.removeprefix("#   ") for line in left[1:]] == remarks


CHANGES = [
    ("echo one", "echo two", "stdout"),
    ("echo one", "echo one; echo two >&2", "stderr"),
    ("true", "exit 1", "exit_code"),
    ("true", "touch /etc/new", "changes"),
    ("echo a > /etc/x", "echo b > /etc/x", "contents of /etc/x"),
    ("head -c 5000 /dev/zero > /etc/x", "head -c 5001 /dev/zero > /etc/x", "sha256 of /etc/x"),
    ("echo a > /etc/x", "echo a > /etc/x; chmod 600 /etc/x", "mode of /etc/x"),
    ("rm /etc/group", "true", "/etc/group"),
    ("date +%N; echo same", "date +%N; echo other", "stdout"),
    ("seq 2000", "seq 2001", "stdout"),
]


@root
@pytest.mark.parametrize(("before", "after", "about"), CHANGES)
def test_it_notices_what_has_changed_since(
    alpine: Command, tmp_path: pathlib.Path, before: str, after: str, about: str
) -> None:
    _recorded(alpine, tmp_path, "alpine", "sh", "-c", before)
    text = (tmp_path / "x.yaml").read_text()
    changed = yaml.safe_load(text)
    changed["command"] = ["sh", "-c", after]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(changed))
    done = alpine("test", "x.yaml", cwd=tmp_path)
    assert done.code == 1
    assert about in re.findall(r"^    x\.yaml:\d+:\d+: (.*)$", done.stdout.decode(), re.MULTILINE)


@root
def test_the_container_is_as_the_options_say(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "v").mkdir()
    words = ["-e", "A=$x", "-v", "./v:/v:ro", "--network", "none", "--timeout", "200ms", "--stop-timeout", "100ms"]
    expect, _ = _recorded(alpine, tmp_path, *words, "--name", "mine", "alpine", "sleep", "60")
    assert expect == {**NOTHING, "timed_out": True}
    spec = yaml.safe_load((tmp_path / "x.yaml").read_text())
    assert list(spec)[:2] == ["name", "image"] and spec["name"] == "mine"
    assert spec["environment"] == {"A": "$$x"} and spec["network_mode"] == "none"
    assert spec["volumes"] == [{"type": "bind", "source": f"{tmp_path}/v", "target": "/v", "read_only": True}]


@root
def test_into_a_file(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = alpine("record", "-o", "x.smoke.yaml", "--rootfs", "/", "true", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 0)
    assert done.stderr == b"x.smoke.yaml: 'mydocker test x.smoke.yaml' tests it\n"
    assert alpine("test", ".", cwd=tmp_path).code == 0


@root
@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ((), 125, "no image: 'mydocker run' needs an IMAGE"),
        (("-o",), 125, "flag needs an argument: -o"),
        (("--dry-run", "alpine"), 125, "record takes only options that describe the container"),
        (("alpine", "nonesuch"), 127, "'nonesuch': executable file not found"),
        (("alpine", "/etc"), 126, "/etc"),
        (("--pull", "never", "nonesuch"), 125, "image nonesuch:latest"),
        (("-o", "/nonesuch/x", "alpine", "true"), 125, "cannot write /nonesuch/x"),
        (("-e", "A=\udcff", "alpine", "true"), 125, "a value is not UTF-8, so no file can hold it"),
    ],
)
def test_refusals(alpine: Command, words: tuple[str, ...], code: int, complaint: str) -> None:
    done = alpine("record", *words)
    assert (done.stdout, done.code) == (b"", code)
    assert complaint in done.stderr.decode() and b"Traceback" not in done.stderr


def test_help(mydocker: Command) -> None:
    done = mydocker("record", "--help")
    assert done.code == 0 and b"-o, --output FILE" in done.stdout


@pytest.mark.rootless
def test_an_ordinary_user_records(second_user: Command) -> None:
    done = second_user("record", "alpine", "sh", "-c", "echo hi > /etc/x; date +%N > /tmp/$$(date +%N)")
    assert done.code == 0, done
    spec = second_user.directory / "x.yaml"
    spec.write_bytes(done.stdout)
    spec.chmod(0o644)
    assert second_user("test", str(spec)).code == 0


@root
def test_interrupted_it_writes_nothing(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark = f"37{os.getpid()}"
    process = alpine.start("record", "-o", "x.yaml", "alpine", "sleep", mark, cwd=tmp_path)
    wait_for(lambda: bool(sleeping(mark)))
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=240) == (b"", b"") and process.returncode == 130
    assert not (tmp_path / "x.yaml").exists()


def _finding(changes: list[str], exit_code: int = 0, **more: Any) -> Finding:
    facts = {"changes": changes, **{f"files {path}": {"exists": True, "type": "directory"} for path in changes}}
    return Finding(outcome=Outcome(exit_code=exit_code), facts=facts, **more)


def test_exit_codes_that_vary_are_all_allowed() -> None:
    expect, remarks = recorded([_finding([], code) for code in (0, 2, 0)])
    assert expect["exit_code"] == [0, 2]
    assert remarks == ["exit_code: it was one of 0, 2"]


def test_very_many_changes_are_listed_by_directory() -> None:
    paths = [f"/usr/lib/{number}/x" for number in range(50)] + ["/opt/y", "/new"]
    expect, remarks = recorded([_finding(paths)] * 3)
    assert expect["changes"] == {"only": ["/new", "/opt/**", "/usr/lib/**"]}
    assert len(expect["files"]) == 20
    assert "files: what the other 32 that changed are like" in remarks


def test_large_files_are_not_read_whole() -> None:
    facts = {"changes": ["/a", "/b"], "files /a": {"size": 10}, "files /b": {"size": 10**6}}
    asked = questions([Finding(facts=facts), Finding(facts=facts)])
    assert ("files", "/a", "contents") in {check.about for check in asked.checks}
    assert ("files", "/b", "contents") not in {check.about for check in asked.checks}


def test_output_beyond_what_is_kept_is_left_out() -> None:
    expect, remarks = recorded([_finding([], stdout="x", cut=("stdout",))] * 3)
    assert "stdout" not in expect and remarks == ["stdout: there is more of it than is kept"]
