"""Every matcher and every check, both ways: what holds passes, and what does not fails for the right reason."""

from __future__ import annotations

import pathlib
import signal

import pytest

import mydocker.verdict.judge as judging
from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.specs.load.load import load_files
from mydocker.verdict.finding import Finding, Verdict
from mydocker.verdict.glob import matches_glob
from mydocker.verdict.judge import judge
from mydocker.verdict.semver import satisfies

LINES = "alpha\nbeta 1.2.3\ngamma\n"
JSON = '{"items": [{"name": "a.b", "n": 1}, {"name": "c"}], "x.y": true, "none": null, "pi": 3.5, '
JSON += '"#k": {"a*": [0]}, "@type": "t"}\n'
FILE = {"exists": True, "type": "file", "mode": "0644", "size": 3, "owner": ["root", "0"], "group": ["0"]}
FILE |= {"contents": "hi\n", "sha256": "ab" * 32}
FACTS = {
    "files /f": FILE,
    "files /e": {"exists": True, "contents": ""},
    "files /n": {"exists": True, "contents": "\n"},
    "files /no": {"exists": False},
    "files /p": {"exists": True, "type": "fifo", "mode": "0600", "problem": "it is no regular file"},
    "changes": ["/etc/new", "/tmp/a/b", "/tmp/c"],
    "ports": {"tcp:80": ["0.0.0.0"], "tcp6:443": ["::"], "udp:53": ["127.0.0.1"]},
    "processes": [["nginx", "nginx-debug"], ["sh", "busybox"]],
    "http http://h/": {"status": 200, "headers": "A: b\nC: d", "body": "hello\nworld\n", "cut": False},
    "http http://no/": {"problem": "no response: Connection refused"},
    "http http://big/": {"status": 200, "headers": "", "body": "x", "cut": True},
    "metadata": {
        "env": {"PATH": "/bin"},
        "labels": {"v": "1.2"},
        "entrypoint": [],
        "cmd": ["sh", "-c"],
        "user": "app",
        "workdir": "",
        "exposed_ports": ["80/tcp"],
        "volumes": ["/data"],
    },
}


def _judge(tmp_path: pathlib.Path, expect: str, **finding: object) -> Verdict:
    (tmp_path / "x.yaml").write_text(f"image: x\nexpect: {expect}\n")
    (spec,) = load_files([str(tmp_path / "x.yaml")], environ={})
    found = {"outcome": Outcome(exit_code=0, wall=0.5, max_rss=1 << 20), "stdout": LINES, "facts": FACTS, **finding}
    return judge(spec.replace(container=spec.container.replace(origin=Origin(file="x.yaml", line=1))), Finding(**found))


# (what is expected, what would not hold, what the report says came instead)
BOTH_WAYS = [
    ("stdout: 'alpha\n\n  beta 1.2.3\n\n  gamma'", "stdout: 'alpha\n\n  beta\n\n  gamma'", "2: beta 1.2.3\n3: gamma"),
    ("stderr: ''", "stderr: x", "nothing"),
    ("files: [{path: /e, contents: ''}]", "files: [{path: /e, contents: x}]", "nothing"),
    ("files: [{path: /n, contents: ['!x']}]", "files: [{path: /n, contents: x}]", "an empty line"),
    ("stderr: {not: x}", "stdout: ''", "1: alpha\n2: beta 1.2.3\n3: gamma"),
    ("stdout: [alpha, gamma]", "stdout: [alpha, delta]", "1: alpha\n2: beta 1.2.3\n3: gamma"),
    ("stdout: ['!delta']", "stdout: ['!gamma']", "3: gamma"),
    (r"stdout: ['/^beta \d/']", "stdout: ['/^eta/']", "1: alpha\n2: beta 1.2.3\n3: gamma"),
    ("stdout: ['!/^eta/']", "stdout: ['!/^b.t/']", "2: beta 1.2.3"),
    (r"stdout: ['!/\Abeta/']", r"stdout: ['!/\A[ab]/']", "1: alpha"),
    ("stdout: ['!/a$$z/']", r"stdout: ['!/3\ngam/']", "2: beta 1.2.3\n3: gamma"),
    ("stdout: ['!/^$$x/']", "stdout: ['!/$$/']", "1: alpha\n2: beta 1.2.3\n3: gamma"),
    ("stdout: {equal: \"alpha\\nbeta 1.2.3\\ngamma\\n\"}", "stdout: {equal: alpha}", "2: beta 1.2.3\n3: gamma"),
    ("stdout: {contain-element: gamma}", "stdout: {contain-element: gam}", "1: alpha\n2: beta 1.2.3\n3: gamma"),
    ("stdout: {contain-elements: [gamma, {have-prefix: bet}]}", "stdout: {contain-elements: [x]}", "1: alpha"),
    ("stdout: {contain-substring: eta}", "stdout: {contain-substring: zeta}", "1: alpha"),
    ("stdout: {match-regexp: 'a\\sb'}", "stdout: {match-regexp: '^b$$'}", "1: alpha"),
    ("stdout: {have-len: 23}", "stdout: {have-len: 22}", "1: alpha"),
    ("stdout: {have-prefix: al}", "stdout: {have-prefix: be}", "1: alpha"),
    ("stdout: {have-suffix: gamma}", "stdout: {have-suffix: beta}", "1: alpha"),
    ("stdout: {and: [[alpha], [beta]]}", "stdout: {and: [[alpha], [delta]]}", "1: alpha"),
    ("stdout: {or: [[delta], [beta]]}", "stdout: {or: [[delta], [zeta]]}", "1: alpha"),
    ("stdout: {have-prefix: a, have-suffix: a}", "stdout: {have-prefix: a, have-suffix: b}", "1: alpha"),
    ("exit_code: 0", "exit_code: 1", "0"),
    ("exit_code: [1, 0]", "exit_code: [1, SIGTERM]", "0"),
    ("exit_code: {lt: 1}", "exit_code: {gt: 0}", "0"),
    ("exit_code: {le: 0}", "exit_code: {not: {le: 0}}", "0"),
    ("exit_code: {ge: 0}", "exit_code: {ge: 1}", "0"),
    ("duration: {le: 0.5}", "duration: {le: 0.4}", "0.500 seconds"),
    ("duration: {ge: 0.5}", "duration: {lt: 0.5}", "0.500 seconds"),
    ("max_memory: {le: 1m}", "max_memory: {le: 1023k}", "1048576 bytes"),
    ("max_memory: {ge: 1m, gt: 1023k}", "max_memory: {gt: 1m}", "1048576 bytes"),
    ("files: [{path: /f, size: {le: 3}}]", "files: [{path: /f, size: {le: 2}}]", "3"),
    ("files: [{path: /f, size: {ge: 3, lt: 4}}]", "files: [{path: /f, size: {lt: 3}}]", "3"),
    ("exit_code: {not: 1}", "exit_code: {not: 0}", "0"),
    ("timed_out: false", "timed_out: true", "it ended by itself"),
    ("duration: {lt: 1s}", "duration: {lt: 400ms}", "0.500 seconds"),
    ("duration: [{lt: 1ms}, {gt: 400ms}]", "duration: [{lt: 400ms}]", "0.500 seconds"),
    ("max_memory: [{lt: 2m}]", "max_memory: [[{lt: 1k}], {gt: 2m}]", "1048576 bytes"),
    ("duration: {ge: 0.5}", "duration: {gt: 0.5, lt: 1m}", "0.500 seconds"),
    ("files: [{path: /f}]", "files: [{path: /no}]", "there is none"),
    ("files: [{path: /no, exists: false}]", "files: [{path: /f, exists: false}]", "there is one"),
    ("files: [{path: /f, type: file}]", "files: [{path: /f, type: directory}]", '"file"'),
    ("files: [{path: /f, mode: 0644}]", "files: [{path: /f, mode: '0600'}]", '"0644"'),
    ("files: [{path: /f, owner: root}]", "files: [{path: /f, owner: daemon}]", 'root (0)'),
    ("files: [{path: /f, owner: 0, group: 0}]", "files: [{path: /f, group: 5}]", "0"),
    ("files: [{path: /f, size: 3}]", "files: [{path: /f, size: {gt: 3}}]", "3"),
    ("files: [{path: /f, contents: [h, '!x']}]", "files: [{path: /f, contents: [h, '!i']}]", "hi"),
    (f"files: [{{path: /f, sha256: {'AB' * 32}}}]", f"files: [{{path: /f, sha256: {'0' * 64}}}]", f'"{"ab" * 32}"'),
    ("files: [{path: /p, type: fifo}]", "files: [{path: /p, contents: x}]", "it is no regular file"),
    ("max_memory: {lt: 2m}", "max_memory: {lt: 1m}", "1048576 bytes"),
    ("oom_killed: false", "oom_killed: true", "false"),
    ("metadata: {env: {PATH: /bin}}", "metadata: {env: {PATH: /sbin}}", "\"/bin\""),
    ("metadata: {env: {HOME: null}}", "metadata: {env: {PATH: null}}", "\"/bin\""),
    ("metadata: {env: {PATH: {have-prefix: /}}}", "metadata: {env: {HOME: {have-prefix: /}}}", "null"),
    ("metadata: {labels: {v: {semver-constraint: ^1}}}", "metadata: {labels: {v: [3]}}", "\"1.2\""),
    ("metadata: {entrypoint: []}", "metadata: {entrypoint: [sh]}", "[]"),
    ("metadata: {cmd: [sh, -c]}", "metadata: {cmd: [sh]}", "[\"sh\", \"-c\"]"),
    ("metadata: {exposed_ports: [80, '!443']}", "metadata: {exposed_ports: [80/udp]}", "[\"80/tcp\"]"),
    ("metadata: {volumes: [/data]}", "metadata: {volumes: ['!/data']}", "[\"/data\"]"),
    ("metadata: {user: app, workdir: ''}", "metadata: {user: root}", "\"app\""),
    ("ports: {80: listening}", "ports: {80: closed}", "listening on 0.0.0.0"),
    ("ports: {'tcp:443': listening}", "ports: {'tcp6:80': listening}", "closed; listening: tcp6:443, tcp:80, udp:53"),
    ("ports: {53/udp: listening}", "ports: {'tcp:53': listening}", "closed; listening: tcp6:443, tcp:80, udp:53"),
    ("ports: {443: {ip: ['::']}}", "ports: {443: {ip: [0.0.0.0]}}", '["::"]'),
    ("ports: {81: {listening: false}}", "ports: {81: {listening: true}}", "closed; listening: tcp6:443, tcp:80"),
    ("process: {nginx: running}", "process: {nginx: absent}", "running"),
    ("process: {nginx-debug: running}", "process: {nginx-: running}", "absent; running: nginx, sh"),
    ("process: {x: {running: false}}", "process: {x: {running: true}}", "absent; running: nginx, sh"),
    ("http: {http://h/: {status: 200}}", "http: {http://h/: {status: [404, 500]}}", "200"),
    ("http: {http://h/: {headers: ['A: b', '!X']}}", "http: {http://h/: {headers: ['!C: d']}}", "2: C: d"),
    ("http: {http://h/: {body: [hello, '/^w/']}}", "http: {http://h/: {body: bye}}", "1: hello\n2: world"),
    ("http: {http://big/: {status: 200}}", "http: {http://big/: {body: [x]}}", "more than is read"),
    ("http: {http://h/: {status: 200}}", "http: {http://no/: {status: 200, headers: [a], body: [b]}}", "no response: "),
    ("changes: {only: [/tmp/**, /etc/new]}", "changes: {only: [/tmp/*]}", "/etc/new changed\n/tmp/a/b changed"),
    ("changes: {include: [/etc/*]}", "changes: {include: [/var/*]}", "/etc/new changed\n/tmp/a/b changed\n"),
    ("changes: {exclude: [/usr/**]}", "changes: {exclude: [/tmp/**]}", "/tmp/a/b changed\n/tmp/c changed"),
]  # fmt: skip  # a table reads best with a case on a line


@pytest.mark.parametrize(("good", "bad", "actual"), BOTH_WAYS)
def test_both_ways(tmp_path: pathlib.Path, good: str, bad: str, actual: str) -> None:
    passed = _judge(tmp_path, f"{{{good}}}")
    assert (passed.verdict, passed.failures) == ("passed", ())
    failed = _judge(tmp_path, f"{{{bad}}}")
    assert failed.verdict == "failed"
    [failure] = failed.failures
    assert failure.actual.startswith(actual)
    assert str(failure.origin).startswith("x.yaml:2:")


@pytest.mark.parametrize(
    ("expect", "failures"),
    [
        ("{gjson: {none: null, pi: 3, items.#: 2}}", [("pi", "JSON with pi 3", "pi: 3.5")]),
        ("{gjson: {items.0.n: {gt: 1}, a.b: x}}",
         [("items.0.n", "JSON with items.0.n more than 1", "items.0.n: 1"),
          ("a.b", 'JSON with a.b "x"', "a.b: nothing is there")]),
        ("{and: [{have-prefix: '{'}, [pi, nope, '!none'], {gjson: {'pi': {not: 3.5}}}]}",
         [("nope", 'text with "nope"', "{"), ("'!none'", 'no text with "none"', "{"),
          ("'pi'", "JSON with pi not 3.5", "pi: 3.5")]),
        ("[pi, {gjson: {items.#: 3}}]", [("items", "JSON with items.# 3", "items.#: 2")]),
        ("{have-prefix: '{', have-suffix: '{'}", [("have-suffix", 'text that ends with "{"', "{")]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_each_thing_that_must_hold_fails_by_itself(
    tmp_path: pathlib.Path, expect: str, failures: list[tuple[str, str, str]]
) -> None:
    """With its own place, and what was found there; what holds is not named."""
    found = _judge(tmp_path, f"{{stdout: {expect}}}", stdout=JSON).failures
    assert len(found) == len(failures)
    for failure, (word, expected, actual) in zip(found, failures, strict=True):
        column = len("expect: {stdout: ") + expect.index(word) + 1
        assert (str(failure.origin), failure.expected) == (f"x.yaml:2:{column}", expected)
        assert failure.actual.startswith(actual)


def test_what_is_no_json_says_why(tmp_path: pathlib.Path) -> None:
    for text, words in [
        ("one\ntwo\n", "no JSON, Expecting value: line 1 column 1 (char 0):\n1: one\n2: two"),
        ("[" * 10**5, "too deep"),
    ]:
        [failure] = _judge(tmp_path, "{stdout: {gjson: {a: 1}}}", stdout=text).failures
        assert words in failure.actual


def test_numbers_are_shown_as_they_are_written(tmp_path: pathlib.Path) -> None:
    for expect, words in [
        ("stdout: {have-len: 1234567}", "a length of 1234567"),
        ("stdout: {gt: 1234567.25}", "more than 1234567.25"),
        ("duration: {lt: 100ms}", "less than 0.1 seconds"),
        ("duration: {gt: 20m}", "more than 1200 seconds"),
    ]:
        [failure] = _judge(tmp_path, f"{{{expect}}}").failures
        assert failure.expected == words


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("{items.#: 2}", "{items.#: 3}"),
        ("{items.0.name: a.b}", "{items.0.name: a}"),
        ("{items.#.name: [c, a.b]}", "{items.#.name: [a.b, d]}"),
        ("{items.#.name: {equal: [a.b, c]}}", "{items.#.name: {equal: [a.b]}}"),
        ("{items.#.name: {contain-element: c}}", "{items.#.name: {contain-element: d}}"),
        ("{items.#.name: {contain-elements: [c, a.b]}}", "{items.#.name: {contain-elements: [c, x]}}"),
        ("{items.#.name: {have-len: 2}}", "{items.#.name: {have-len: 1}}"),
        (r"{x\.y: true}", r"{x\.y: 'yes'}"),
        (r"{\#k.a\*: [0]}", r"{\#k.a\*: [1]}"),
        ("{'@type': t}", "{'@type.0': t}"),
        ("{items.#.n: [1]}", "{pi.#: 1}"),
        ("{none: null}", "{none: false}"),
        ("{pi: {gt: 3}}", "{pi: {gt: 3.5}}"),
        ("{pi: {ge: 3.5}}", "{pi: {ge: 3.6}}"),
        ("{pi: {le: 3.5}}", "{pi: {le: 3.4}}"),
        ("{pi: {lt: 3.6}}", "{pi: {lt: 3.5}}"),
        ("{items.0.name: {have-prefix: a}}", "{items.0.name: {have-prefix: b}}"),
        ("{items.0.name: {have-suffix: b}}", "{items.0.name: {have-suffix: a}}"),
        ("{items.0.name: {contain-substring: .}}", "{items.0.name: {contain-substring: c}}"),
        ("{items.0.name: {not: {equal: a}}}", "{items.0.name: {not: {equal: a.b}}}"),
        ("{pi: 3.5}", "{pi: {equal: '3.5'}}"),
        ("{items.1: {equal: {name: c}}}", "{items.1: {equal: {name: d}}}"),
        ("{items.0.n: {and: [{ge: 1}, {not: 2}]}}", "{items.0.n: {or: [2, 3]}}"),
        ("{items.1.name: {match-regexp: c}}", "{items.2.name: {match-regexp: ''}}"),
        ("{items.1.name: c}", f"{{? items.{'9' * 5000} : c}}"),
    ],
)
def test_json_both_ways(tmp_path: pathlib.Path, good: str, bad: str) -> None:
    assert _judge(tmp_path, f"{{stdout: {{gjson: {good}}}}}", stdout=JSON).verdict == "passed"
    assert _judge(tmp_path, f"{{stdout: {{gjson: {bad}}}}}", stdout=JSON).verdict == "failed"
    assert _judge(tmp_path, f"{{stdout: {{gjson: {good}}}}}", stdout=JSON[1:]).verdict == "failed", "no JSON"


@pytest.mark.parametrize(
    ("version", "constraint", "expected"),
    [
        ("1.2.3", ">=1.2 <2", True),
        ("2.0.0", ">=1.2 <2", False),
        ("v1.2.3", "1.2.3", True),
        ("1.2.3", "!=1.2.3", False),
        ("1.4.9", "~1.4", True),
        ("1.5.0", "~1.4", False),
        ("1.4.9", "~1.4.2", True),
        ("1.9.0", "^1.4", True),
        ("2.0.0", "^1.4", False),
        ("0.3.0", "^0.2.1", False),
        ("4.1.0", "^3 || ^4", True),
        ("5.0.0", "^3 || ^4", False),
        ("1.0.0-rc.1", "<1.0.0", True),
        ("1.0.0-rc.2", ">1.0.0-rc.10", False),
        ("1.0.0-rc.1", ">1.0.0-beta", True),
        ("1.0.0+build", "1.0.0", True),
        ("one", ">0", False),
        ("1.2.3", ">=1.2, <1.2.3", False),
        ("1.2.3", "<=1.2.3", True),
        ("1.2.4", "<=1.2.3", False),
        ("1.2.3", ">=1.2.3", True),
        ("1.2.2", ">=1.2.3", False),
        ("1.2.3", ">1.2.3", False),
        ("1.2.4", ">1.2.3", True),
        ("1.2.3", "<1.2.3", False),
        ("1.2.3", "=1.2.3", True),
        ("1.2.4", "=1.2.3", False),
        ("1.2.4", "!=1.2.3", True),
        ("1.2.4-rc.1", "^1.2.4", False),
        ("9" * 5000, ">0", False),
        ("1.2.3", "==1.2.3", True),
        ("1.2.4", "== 1.2.3", False),
        ("1.2.4", "!1.2.3", True),
        ("1.2.3", ">1.0.0 <2.0.0 !1.2.3", False),
        ("1.2.3", "! 1.x", False),
        ("2.0.0", "!=1.x.x", True),
        ("1.9.0", "1.x", True),
        ("2.0.0", "1.x", False),
        ("2.0.0-rc.1", "1.x", False),
        ("0.9.0", "=1.x.x", False),
        ("1.2.9", "1.2.x", True),
        ("v1.3.0", "v1.2.x", False),
        ("1.3.0", ">1.2.x", True),
        ("1.2.9", ">1.2.x", False),
        ("1.2.0", ">=1.2.x", True),
        ("1.2.9", "<=1.2.x", True),
        ("1.3.0", "<=1.2.x", False),
        ("1.2.0", "<1.2.x", False),
        ("1.1.9", "<1.2.x", True),
        ("1.3.0", "^1.2.x", True),
        ("1.3.0", "~1.2.x", False),
        ("1.0.0-rc.x", "1.0.0-rc.x", True),
        ("2.0.0-rc.x", "2.0.x", False),
    ],
)
def test_versions(version: str, constraint: str, expected: bool) -> None:
    assert satisfies(version, constraint) is expected


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("/tmp/**", ["/tmp", "/tmp/a", "/tmp/a/b"], ["/tmpx", "/"]),
        ("/tmp/*", ["/tmp/a"], ["/tmp", "/tmp/a/b"]),
        ("/**/x", ["/x", "/a/x", "/a/b/x"], ["/ax", "/x/y"]),
        ("/a?c", ["/abc"], ["/a/c", "/ac"]),
        ("/[a-c]x", ["/ax"], ["/dx"]),
        ("/[!a]x", ["/bx"], ["/ax"]),
        ("/[z-a]", ["/[z-a]"], ["/z"]),
        ("/a.b", ["/a.b"], ["/axb"]),
        ("/[", ["/["], ["/a"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes + no if matches_glob(path, glob)] == yes


@pytest.mark.parametrize(
    ("expect", "finding", "verdict", "abouts"),
    [
        (None, {}, "passed", []),
        (None, {"outcome": Outcome(exit_code=3)}, "failed", ["exit_code"]),
        (None, {"outcome": Outcome(signal=15, timed_out=True)}, "failed", ["timed_out"]),
        ("{timed_out: true}", {"outcome": Outcome(signal=15, timed_out=True)}, "passed", []),
        ("{exit_code: SIGKILL}", {"outcome": Outcome(signal=9)}, "passed", []),
        ("{exit_code: term}", {"outcome": Outcome(signal=9)}, "failed", ["exit_code"]),
        ("{exit_code: 137}", {"outcome": Outcome(signal=9)}, "passed", []),
        ("{stdout: x}", {"outcome": Outcome(exit_code=1)}, "failed", ["exit_code", "stdout"]),
        (None, {"outcome": None, "problem": "no such image"}, "error", []),
        (None, {"outcome": None, "problem": "not there", "exit_code": 127}, "error", []),
        ("{exit_code: 127}", {"outcome": None, "problem": "not there", "exit_code": 127, "stdout": ""}, "passed", []),
        ("{exit_code: 0}", {"outcome": None, "problem": "not there", "exit_code": 127}, "failed", ["exit_code"]),
        ("{exit_code: 125}", {"outcome": None, "problem": "no such image"}, "error", []),
        ("{stdout: [alpha]}", {"cut": ("stdout",)}, "failed", ["stdout"]),
        ("{files: [{path: /no, mode: 644, contents: x}]}", {}, "failed", ["/no"]),
        ("{changes: {only: []}}", {"facts": {"changes": []}}, "passed", []),
        ("{changes: {only: []}}", {"facts": {"changes": ["/x"]}}, "failed", ["changes"]),
        ("{changes: {only: []}}", {"facts": {"changes problem": "unknown"}}, "failed", ["changes"]),
    ],
)
def test_verdicts(
    tmp_path: pathlib.Path, expect: str | None, finding: dict[str, object], verdict: str, abouts: list[str]
) -> None:
    result = _judge(tmp_path, expect or "null", **finding)
    assert (result.verdict, [failure.about for failure in result.failures]) == (verdict, abouts)
    assert bool(result.reason) == (verdict == "error")


@pytest.mark.parametrize("expect", ["stdout: ['/^(a+)+$$/']", "stdout: {not: {match-regexp: ^(a+)+$$}}"])
def test_a_pattern_that_is_never_done_is_given_up(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, expect: str
) -> None:
    """Neither matched nor not: that is no failure of the container's."""
    monkeypatch.setattr(judging, "LIMIT", 0.2)
    result = _judge(tmp_path, f"{{{expect}}}", stdout=f"{'a' * 60}b")
    assert (result.verdict, result.failures) == ("error", ())
    assert result.reason.startswith("x.yaml:2:") and "it takes more than 0.2 s to look for " in result.reason
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL
    assert _judge(tmp_path, f"{{{expect}}}", stdout="b").verdict in ("passed", "failed")
