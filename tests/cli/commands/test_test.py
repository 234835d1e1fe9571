"""`mydocker test`: real containers, from spec files to verdicts, reports and exit codes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import signal
from dataclasses import replace

import junitparser
import pytest
import tap.parser
import yaml
from lab import busybox
from lab.command import Command, Result
from lab.processes import sleeping, wait_for
from lab.registry import Registry

root = pytest.mark.root


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    (directory / "x.smoke.yaml").write_text(text)
    return mydocker("test", *options, "x.smoke.yaml", cwd=directory)


def _marks(done: Result) -> list[str]:
    """`passed one`, … of each case, without the seconds."""
    found = re.findall(r"^(passed|FAILED|ERROR|skipped) +(.*?)(?:  +[\d.]+ s.*)?$", done.stdout.decode(), re.MULTILINE)
    return [" ".join(pair) for pair in found]


SCRIPT = (
    "umask 022; echo hi > /tmp/f; chmod 640 /tmp/f; chown daemon:mail /tmp/f; mkfifo /srv/p; ln -s /tmp/f /srv/l; "
    "mkdir /opt/empty /opt/full; touch /opt/full/x; rm /etc/alpine-release; echo /etc/passwd > /etc/new"
)

# (what holds, what does not, about what the report complains)
CHECKS = [
    ("files: [{path: /tmp/f}]", "files: [{path: /tmp/g}]", "/tmp/g"),
    ("files: [{path: /etc/alpine-release, exists: false}]", "files: [{path: /tmp/f, exists: false}]", "/tmp/f"),
    ("files: [{path: /tmp/f, type: file}]", "files: [{path: /srv/l, type: file}]", "type of /srv/l"),
    ("files: [{path: /srv/l, type: symlink, mode: '0640'}]", "files: [{path: /srv/l, mode: 777}]", "mode of /srv/l"),
    ("files: [{path: /srv/p, type: fifo}]", "files: [{path: /srv/p, contents: [x]}]", "contents of /srv/p"),
    ("files: [{path: /tmp/f, owner: daemon, group: 12}]", "files: [{path: /tmp/f, owner: root}]", "owner of /tmp/f"),
    ("files: [{path: /tmp/f, contents: hi}]", "files: [{path: /tmp/f, contents: ['/^i/']}]", "contents of /tmp/f"),
    ("files: [{path: /tmp/f, size: 3}]", "files: [{path: /tmp/f, size: 4}]", "size of /tmp/f"),
    ("files: [{path: /dev/null, type: character-device}]", "files: [{path: /dev/nil}]", "/dev/nil"),
    ("files: [{path: /srv/v/in, contents: from the host}]", "files: [{path: /srv/v/out}]", "/srv/v/out"),
    ("changes: {only: [/tmp/f, /srv/p, /srv/l, /etc/new, /etc/alpine-release, /opt/**]}",
     "changes: {only: [/tmp/**, /srv/**, /etc/**, /opt/empty]}", "changes"),
    ("changes: {include: [/opt/empty, /opt/full/x, /etc/alpine*]}", "changes: {include: [/opt/full]}", "changes"),
    ("changes: {exclude: [/usr/**, /etc/hosts, /proc/**]}", "changes: {exclude: [/etc/new]}", "changes"),
]  # fmt: skip  # a table reads best with a case on a line


@root
def test_checks_from_outside_both_ways(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "in").write_text("from the host\n")
    case = "name: {}\nimage: alpine\ncommand: [sh, -c, '" + SCRIPT + "']\nvolumes: ['./v:/srv/v']\nexpect: {{{}}}\n"
    texts = [case.format(f"{number}", check) for number, pair in enumerate(CHECKS) for check in pair[:2]]
    done = _test(alpine, tmp_path, "---\n".join(texts))
    assert (done.stderr, done.code) == (b"", 1)
    assert _marks(done) == [f"{mark} {number}" for number in range(len(CHECKS)) for mark in ("passed", "FAILED")]
    about = re.findall(r"^    x\.smoke\.yaml:\d+:\d+: (.*)$", done.stdout.decode(), re.MULTILINE)
    assert about == [check[2] for check in CHECKS]


@pytest.mark.rootless
def test_an_ordinary_user_sees_files_and_changes(second_user: Command, tmp_path: pathlib.Path) -> None:
    text = """\
image: alpine
command: [sh, -c, 'echo hi > /etc/f; chmod 600 /etc/f; mkdir -m 700 /srv/d; echo x > /srv/d/x; rm /etc/profile']
expect:
  files: [{path: /etc/f, owner: root, mode: "0600", contents: hi}, {path: /srv/d/x, contents: x}]
  changes: {only: [/etc/f, /srv/d/x, /etc/profile]}
"""
    spec = second_user.directory / "x.smoke.yaml"
    spec.write_text(text.replace("; rm /etc/profile", "").replace(", /etc/profile]", "]"))
    spec.chmod(0o644)
    done = second_user("test", str(spec))
    assert (done.stderr, done.code) == (b"", 0), done
    spec.write_text(spec.read_text().replace("/srv/d/x]", "/srv/d/y]"))
    done = second_user("test", str(spec))
    assert done.code == 1 and b"actual:   /srv/d/x changed" in done.stdout


@root
@pytest.mark.parametrize("jobs", ["1", "2", "20"])
def test_reports_are_in_file_order_and_outputs_never_mix(alpine: Command, tmp_path: pathlib.Path, jobs: str) -> None:
    """The first ones end last; each writes its own number, over and over."""
    case = "name: n{0}\nimage: alpine\ncommand: [sh, -c, 'for i in $$(seq 200); do echo {0}; done; sleep 0.{1}']\n"
    case += "expect: {{stdout: {{not: {{match-regexp: '[^{0}\\n]'}}, have-len: 400}}}}\n"
    done = _test(alpine, tmp_path, "---\n".join(case.format(n, 9 - n) for n in range(10)), "-j", jobs)
    assert (_marks(done), done.code) == ([f"passed n{n}" for n in range(10)], 0)


SIMPLE = "name: '{0}'\nimage: alpine\ncommand: [sh, -c, '{1}']\n"


def _simple(*scripts: str) -> str:
    """Specs called a, b, c…, each with a script."""
    return "---\n".join(SIMPLE.format(chr(ord("a") + n), script) for n, script in enumerate(scripts))


@root
@pytest.mark.parametrize(
    ("text", "options", "marks", "code"),
    [
        (_simple("true", "true"), (), ["passed a", "passed b"], 0),
        (_simple("true", "exit 1"), (), ["passed a", "FAILED b"], 1),
        ("{image: 'nonesuch:1', name: a, pull_policy: never}", (), ["ERROR a"], 3),
        ("{image: alpine, name: a, command: [nonesuch]}\n---\n" + _simple("false"), (), ["ERROR a", "FAILED a"], 1),
        ("{image: alpine, nmae: a}", (), [], 2),
        (_simple("true"), ("--nonesuch",), [], 2),
        (_simple("true"), ("-j", "0"), [], 2),
        (_simple("true"), ("--report", "xml=-"), [], 2),
        (_simple("true"), ("--report", "junit=/nonesuch/x"), [], 2),
        (_simple("true"), ("-k", "nonesuch"), [], 5),
        (_simple("true"), ("-k", "not (a"), [], 2),
        (_simple("true", "true", "true"), ("-k", "smoke and not (C or q)"), ["passed a", "passed b"], 0),
        (_simple("exit 1", "exit 1", "true"), ("--maxfail", "1", "-j", "1"), ["FAILED a"], 1),
        (_simple("true", "exit 1", "true"), ("-x", "-j", "1"), ["passed a", "FAILED b"], 1),
        (_simple("true", "exit 1", "true"), ("-q",), ["FAILED b"], 1),
        (_simple("true") + "profiles: [p]\n---\n" + _simple("true"), (), ["passed a"], 0),
        (_simple("true") + "profiles: [p]\n---\n" + _simple("true"), ("--profile", "p"), ["passed a"] * 2, 0),
        (_simple("true") + "skip: not today\n", (), ["skipped a"], 0),
        (_simple("true") + "skip: false\n", (), ["passed a"], 0),
        (_simple("true") + "tags: [x, y]\n---\n" + _simple("false"), ("--tags", "y"), ["passed a"], 0),
        (_simple("false") + "tags: [x, y]\n---\n" + _simple("true") + "tags: z", ("--tags", "!x"), ["passed a"], 0),
    ],
)
def test_verdicts_and_exit_codes(
    alpine: Command, tmp_path: pathlib.Path, text: str, options: tuple[str, ...], marks: list[str], code: int
) -> None:
    done = _test(alpine, tmp_path, text, *options)
    assert (_marks(done), done.code) == (marks, code)
    assert bool(done.stderr) == (code in (2, 5))
    assert b"Traceback" not in done.stderr


@root
def test_a_matrix_makes_several_of_one(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "name: a\nimage: alpine\nmatrix: {X: [1, 2], Y: [p]}\ncommand: [echo, $X$Y]\nexpect: {stdout: 1p}\n"
    done = _test(alpine, tmp_path, text)
    assert _marks(done) == ["passed a (X=1, Y=p)", "FAILED a (X=2, Y=p)"]
    [again] = re.findall(r"again: +mydocker (.*)", done.stdout.decode())
    assert _marks(alpine(*shlex.split(again), cwd=tmp_path)) == ["FAILED a (X=2, Y=p)"]


def _again(done: Result) -> list[list[str]]:
    """The words of each command that a report names to run a case again."""
    return [shlex.split(line) for line in re.findall(r"again: +mydocker (.*)", done.stdout.decode())]


@root
def test_the_command_to_run_it_again_does(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = _test(alpine, tmp_path, _simple("true", "exit 1", "true"))
    [again] = _again(done)
    assert _marks(alpine(*again, cwd=tmp_path)) == ["FAILED b"]


@root
def test_one_of_a_matrix_runs_again_alone_whatever_its_values_are(alpine: Command, tmp_path: pathlib.Path) -> None:
    values = ["3.1", "3.11", "", "(x)", "a and b", "a,b", "a]", "%41", "'\"\\", "a\nb", "\u65e5", "or=or", "$$"]
    text = f"name: a\nimage: alpine\nmatrix: {{V: {json.dumps(values)}, W: ['1', '2']}}\ncommand: ['false']\n"
    done = _test(alpine, tmp_path, text)
    names = re.findall(r"^FAILED +(a \(V=.*?)  ", done.stdout.decode(), re.MULTILINE)
    assert len({*names}) == len(names) == 2 * len(values)
    for number, (name, again) in enumerate(zip(names, _again(done), strict=True)):
        if number % 2 != number // 2 % 2:
            continue  # of each value of V one: W is 1 and 2 in turn
        alone = alpine(*again, cwd=tmp_path)
        assert re.findall(r"^FAILED +(a \(V=.*?)  ", alone.stdout.decode(), re.MULTILINE) == [name]
    some = alpine("test", "x.smoke.yaml:3[W=2]", "x.smoke.yaml:3[V=,W=1]", cwd=tmp_path)
    assert _marks(some)[:3] == ["FAILED a (V=3.1, W=2)", "FAILED a (V=3.11, W=2)", "FAILED a (V=, W=1)"]
    assert len(_marks(some)) == len(values) + 1
    for wrong, message in (("[V=none]", b"no spec there has these variables"), ("[V]", b"no such file or folder")):
        done = alpine("test", f"x.smoke.yaml:1{wrong}", cwd=tmp_path)
        assert done.code == 2 and message in done.stderr, done


@root
@pytest.mark.parametrize("name", ["-", "-x.smoke.yaml", "a[V=1].smoke.yaml", "a b:1"])
def test_files_with_odd_names_run_again_as_well(alpine: Command, tmp_path: pathlib.Path, name: str) -> None:
    text = _simple("true", "exit 1")
    (tmp_path / name).write_text(text)
    done = alpine("test", "--", name, cwd=tmp_path, input=text.encode())
    [again] = _again(done)
    assert _marks(alpine(*again, cwd=tmp_path, input=text.encode())) == ["FAILED b"]


@root
def test_retries(alpine: Command, tmp_path: pathlib.Path) -> None:
    """A volume counts: the third attempt is the one that passes."""
    script = "echo x >> /srv/count; test $$(wc -l < /srv/count) = 3"
    text = f"{SIMPLE.format('a', script)}volumes: ['.:/srv']\nretries: "
    assert _marks(_test(alpine, tmp_path, f"{text}1\n")) == ["FAILED a"]
    (tmp_path / "count").unlink()
    done = _test(alpine, tmp_path, f"{text}2\n")
    assert (done.code, b"attempt 3" in done.stdout) == (0, True)


@root
def test_last_failed(mydocker: Command, tmp_path: pathlib.Path) -> None:
    text = _simple("true", "exit 1", "true")
    for _ in range(2):
        assert _test(mydocker, tmp_path, text).code == 1
        assert _marks(_test(mydocker, tmp_path, text, "--last-failed")) == ["FAILED b"]
    fixed = _simple("true", "exit 0", "true")
    assert _marks(_test(mydocker, tmp_path, fixed, "--last-failed")) == ["passed b"]
    assert len(_marks(_test(mydocker, tmp_path, fixed, "--last-failed"))) == 3


@root
def test_last_failed_knows_what_failed_from_others_and_from_anywhere(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Of two that have one name, of those without a name, of a matrix; from elsewhere, and after the file has grown."""
    same = [SIMPLE.format("a", script) for script in ("exit 1", "true", "exit 2")]
    nameless = [f"image: alpine\ncommand: [sh, -c, '{script}']\n" for script in ("true", "exit 3", "exit $V")]
    nameless[2] += "matrix: {V: ['0', '4']}\n"
    text = "---\n".join([*same, *nameless])
    assert [mark.split()[0] for mark in _marks(_test(alpine, tmp_path, text))].count("FAILED") == 4
    (tmp_path / "x.smoke.yaml").write_text(f"# more\n\n{SIMPLE.format('b', 'true')}---\n{text}")
    (tmp_path / "other").mkdir()
    done = alpine("test", "--last-failed", "../x.smoke.yaml", cwd=tmp_path / "other")
    codes = re.findall(r"^      actual:   (\d)$", done.stdout.decode(), re.MULTILINE)
    assert (codes, len(_marks(done))) == (["1", "2", "3", "4"], 4)


@root
def test_last_failed_knows_a_spec_whatever_profiles_there_are(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "image: alpine\ncommand: ['true']\nprofiles: [p]\n---\nimage: alpine\ncommand: ['false']\n"
    assert _test(alpine, tmp_path, text + "---\nimage: alpine\ncommand: ['true']\n", "--profile", "p").code == 1
    assert _marks(_test(alpine, tmp_path, text, "--last-failed")) == ["FAILED x.smoke.yaml:5"]


@root
def test_what_is_no_file_is_none_of_a_folder_s_tests(alpine: Command, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "a.smoke.yaml")
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.smoke.yaml").symlink_to("nonesuch")
    assert b"c.smoke.yaml" in alpine("test", ".", cwd=tmp_path).stderr, "that is a mistake"
    (tmp_path / "nonesuch").write_text(_simple("true"))
    assert _marks(alpine("test", "--image", "alpine", ".", cwd=tmp_path)) == ["passed a"]


SERVER = """\
name: a
image: alpine
command: [sh, -c, 'trap "echo bye; exit 0" TERM; echo ready; {0} > /tmp/up; while :; do sleep 0.05; done']
expect: {{within: {1}, {2}}}
"""


@root
@pytest.mark.parametrize(
    ("script", "within", "expect", "complaints"),
    [
        ("echo x", "200s", "stdout: [ready], files: [{path: /tmp/up, contents: x}], exit_code: 0", []),
        ("echo x", "200s", "stdout: [ready], exit_code: 7", ["exit_code"]),
        ("echo x", "200s", "files: [{path: /tmp/up, contents: x}], changes: {only: []}", ["changes"]),
        ("echo x", "1s", "stdout: [ready, never], exit_code: SIGKILL", ["stdout"]),
        ("echo x", "1s", "files: [{path: /etc/hostname, contents: /^$/}]", ["contents of /etc/hostname"]),
        ("exit 4", "200s", "stdout: [never]", ["exit_code", "stdout"]),
        ("sleep 0.3; echo x", "200s", "files: [{path: /tmp/up, contents: x}]", []),
    ],
)
def test_what_comes_true_while_it_runs(
    alpine: Command, tmp_path: pathlib.Path, script: str, within: str, expect: str, complaints: list[str]
) -> None:
    """The server never ends by itself; it is ended once all holds, or the time is over."""
    text = SERVER.format(script, within, expect)
    if within == "1s":  # by then the shell may not have set its trap, and would not hear of TERM
        text += "stop_signal: KILL\n"
    done = _test(alpine, tmp_path, text)
    assert re.findall(r"^    x\.smoke\.yaml:\d+(?::\d+)?: (.*)$", done.stdout.decode(), re.MULTILINE) == complaints
    assert (done.code, done.stderr) == (bool(complaints), b"")
    assert os.listdir(alpine.store / "containers") == []


@root
def test_a_watched_container_that_does_not_end_is_killed(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark = f"33{os.getpid()}"
    expect = "{within: 200s, files: [{path: /etc/passwd}]}"
    text = f"name: a\nimage: alpine\ncommand: [sleep, '{mark}']\nexpect: {expect}\n"
    done = _test(alpine, tmp_path, text)
    assert (_marks(done), done.code, sleeping(mark)) == (["passed a"], 0, [])


@root
def test_a_pattern_that_is_never_done_holds_up_nobody(alpine: Command, tmp_path: pathlib.Path) -> None:
    """One looks at it again and again while it runs, one in the end; others have their verdicts."""
    slow = SIMPLE.format("{}", f"echo {'a' * 60}b; {{}}") + "expect: {{stdout: ['/^(a+)+$$/']{}}}\n"
    texts = [slow.format("a", "true", ""), slow.format("b", "sleep 60", ", within: 50s"), _simple("true")]
    done = _test(alpine, tmp_path, "---\n".join(texts))
    assert (_marks(done), done.stderr, done.code) == (["ERROR a", "ERROR b", "passed a"], b"", 3)
    reasons = re.findall(rb"^    x\.smoke\.yaml:[\d:]+ (.*)$", done.stdout, re.MULTILINE)
    assert reasons == [b"stdout: it takes more than 2 s to look for a match of /^(a+)+$/"] * 2


@root
def test_no_more_at_once_than_there_are_descriptors_for(alpine: Command, tmp_path: pathlib.Path) -> None:
    cases = [SIMPLE.format(n, "sleep 1") for n in range(20)]
    service = SIMPLE.format("db", "sleep 1000") + "---\n" + SIMPLE.format("web", "true") + "depends_on: [db]\n"
    text = "---\n".join([*cases, service])
    limited = replace(alpine, prefix=["prlimit", "--nofile=90:90", "--"])
    done = _test(limited, tmp_path, text, "-j", "9999")
    assert (done.stderr, done.code, done.stdout.count(b"passed  ")) == (b"", 0, 22)


@root
def test_descriptors_beyond_those_that_select_knows(alpine: Command, tmp_path: pathlib.Path) -> None:
    """select(2) knows 1024; ours are counted from those that our caller has left open."""
    many = 'ulimit -n 4096; for n in {3..1100}; do eval "exec $n</dev/null"; done; exec "$@"'
    crowded = replace(alpine, prefix=["bash", "-c", many, "-"])
    assert _marks(_test(crowded, tmp_path, _simple("true", "true"), "-j", "1")) == ["passed a", "passed b"]


@root
@pytest.mark.parametrize("way", ["signal", "timeout"])
def test_a_batch_that_is_stopped_still_reports(alpine: Command, tmp_path: pathlib.Path, way: str) -> None:
    """PID 1 of a container takes no notice of SIGINT."""
    mark = f"31{os.getpid()}"
    text = _simple("echo begun", *[f"sleep {mark}"] * 3)
    (tmp_path / "x.smoke.yaml").write_text(text)
    words = ("test", "-j", "2", "--report", "junit=x.xml", "x.smoke.yaml")
    for seconds in (3, 12, 50):  # a time in which this machine begins what is to be under way when it is over
        options = ("--timeout", f"{seconds}s") if way == "timeout" else ()
        process = alpine.start(*words, *options, cwd=tmp_path)
        assert process.stdout is not None
        first = process.stdout.readline()
        wait_for(lambda process=process: len(sleeping(mark)) == 2 or process.poll() is not None)
        if process.poll() is None and first.startswith(b"passed  a"):
            break
        process.communicate(timeout=240)
    if way == "signal":
        process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=240)
    assert (process.returncode, stderr) == (130 if way == "signal" else 3, b"")
    assert len(re.findall(rb"^ERROR ", stdout, re.MULTILINE)) == 2
    assert len(re.findall(rb"^1 not run: .*: d$", stdout, re.MULTILINE)) == stdout.count(b"not run: ") == 1
    assert sleeping(mark) == []
    assert os.listdir(alpine.store / "containers") == []
    report = junitparser.JUnitXml.fromfile(str(tmp_path / "x.xml"))
    assert (report.tests, report.errors, report.skipped) == (4, 2, 1)


@root
def test_killing_a_batch_leaves_nothing(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark = f"32{os.getpid()}"
    (tmp_path / "x.smoke.yaml").write_text(_simple(f"sleep {mark}", f"sleep {mark}"))
    process = alpine.start("test", "-j", "2", "x.smoke.yaml", cwd=tmp_path)
    wait_for(lambda: len(sleeping(mark)) == 2)
    process.kill()
    process.communicate()
    wait_for(lambda: not sleeping(mark) and not os.listdir(alpine.store / "containers"))


HOSTILE = SIMPLE.format("a # <b>", 'printf "\\033[31mred\\000\\377 <&>]]>\\n"; exit 1') + "---\n"
HOSTILE += _simple("true", "exit 2") + "skip: 'later # on'\n---\n{name: e, image: alpine, command: [nonesuch]}"


@root
def test_junit(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = _test(alpine, tmp_path, HOSTILE, "--report", "junit=-")
    (tmp_path / "x.xml").write_bytes(done.stdout)
    report = junitparser.JUnitXml.fromfile(str(tmp_path / "x.xml"))
    assert (report.tests, report.failures, report.errors, report.skipped) == (4, 1, 1, 1)
    [suite] = report
    assert (suite.name, suite.tests) == ("x.smoke.yaml", 4)
    cases = list(suite)
    assert [(case.classname, case.name) for case in cases] == [("x", name) for name in ("a # <b>", "a", "b", "e")]
    kinds = [[type(result).__name__ for result in case.result] for case in cases]
    assert kinds == [["Failure"], [], ["Skipped"], ["Error"]]
    assert cases[0].system_out == "\\x1b[31mred\\x00\ufffd <&>]]>\n"
    assert "exit_code: expected 0, found 1" in cases[0].result[0].message


@root
def test_tap(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = _test(alpine, tmp_path, HOSTILE, "--report", "tap=-")
    lines = [line for line in tap.parser.Parser().parse_text(done.stdout.decode()) if line.category in ("test", "plan")]
    assert lines[0].expected_tests == 4
    assert [(line.ok, line.skip) for line in lines[1:]] == [(False, False), (True, False), (True, True), (False, False)]
    blocks = re.findall(r"^  ---\n(.*?)^  \.\.\.\n", done.stdout.decode(), re.MULTILINE | re.DOTALL)
    assert [yaml.safe_load(block)["severity"] for block in blocks] == ["fail", "error"]


@root
def test_json_and_json_lines(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = _test(alpine, tmp_path, HOSTILE, "--report", "json=-", "--report", "jsonl=lines", "--report", "text=text")
    report = json.loads(done.stdout)
    assert report["counts"] == {"passed": 1, "failed": 1, "error": 1, "skipped": 1}
    verdicts = {case["name"]: case["verdict"] for case in report["cases"]}
    assert verdicts == {"a # <b>": "failed", "a": "passed", "b": "skipped", "e": "error"}
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    further = {"number", "of", "batch", "part", "node", "time", "case", "rest"}  # see testing/parts/line.py
    assert all(further < line.keys() for line in lines)
    shared = [{key: line[key] for key in line.keys() - further} for line in lines]
    assert sorted(shared, key=lambda case: case["line"]) == report["cases"]
    assert (tmp_path / "text").read_text().endswith("s\n")
    assert "\x1b" not in (tmp_path / "text").read_text()


@root
def test_github(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Exec what people read, not in its place."""
    done = _test(alpine, tmp_path, HOSTILE, "--report", "github=-")
    assert _marks(done) == ["FAILED a # <b>", "passed a", "skipped b", "ERROR e"]
    lines = [line for line in done.stdout.decode().splitlines() if line.startswith("::")]
    assert lines[0] == "::error file=x.smoke.yaml,line=1,title=a # <b>::exit_code: expected 0, found 1"
    assert lines[1].startswith("::error file=x.smoke.yaml,line=14,title=e::'nonesuch'")


@root
def test_folders_and_several_paths(alpine: Command, tmp_path: pathlib.Path) -> None:
    for name in ("b/z.smoke.yaml", "b/a.smoke.yml", "b/c/x.smoke.yaml", ".git/n.smoke.yaml", "b/plain.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{{name: {name}, image: alpine, command: ['true']}}")
    assert _marks(alpine("test", ".", cwd=tmp_path)) == [
        f"passed b/{n}" for n in ("a.smoke.yml", "z.smoke.yaml", "c/x.smoke.yaml")
    ]
    assert _marks(alpine("test", "b/plain.yaml", "b/*.smoke.yaml", "b/z.smoke.yaml", cwd=tmp_path)) == [
        "passed b/plain.yaml",
        "passed b/z.smoke.yaml",
    ]
    assert alpine("test", "nonesuch", cwd=tmp_path).code == 2


@root
def test_metadata_of_the_image(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    settings = {"env": ["A=b"], "labels": {"v": "1.2"}, "user": "nobody", "working_dir": "/srv", "cmd": ["true"]}
    registry.push(busybox.alpine(**settings), "library/described")
    text = "name: a\nimage: described\nexpect: {metadata: {env: {A: b, B: null}, labels: {v: '1.2'}, user: nobody, "
    text += "workdir: /srv, cmd: ['true'], entrypoint: [], exposed_ports: ['!80']}}\n"
    assert _marks(_test(mydocker, tmp_path, text)) == ["passed a"]
    done = _test(mydocker, tmp_path, text.replace("A: b", "A: c"))
    assert b'env of A\n      expected: "c"\n      actual:   "b"\n' in done.stdout
