"""The `expect` key: what is wrong in it is found before anything runs, each mistake at its place."""

from __future__ import annotations

import pathlib

import pytest
from lab.places import ROOT

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files


def _problems(tmp_path: pathlib.Path, expect: str) -> list[str]:
    path = tmp_path / "x.yaml"
    path.write_text(f"image: x\nexpect: {expect}\n")
    with pytest.raises(SpecError) as caught:
        load_files([str(path)], environ={})
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


@pytest.mark.parametrize(
    ("expect", "place", "words"),
    [
        ("5", "2:9", "expected a mapping of expectations"),
        ("{}", "2:9", "expected a mapping of expectations"),
        ("{exitcode: 0}", "2:10", "did you mean 'exit_code'?"),
        ("{max_memory: {lt: much}}", "2:27", "size 'much'"),
        ("{metadata: x}", "2:20", "expected a mapping with"),
        ("{metadata: {envs: {}}}", "2:21", "did you mean 'env'?"),
        ("{metadata: {env: [A]}}", "2:26", "expected a mapping of names to values"),
        ("{metadata: {cmd: sh}}", "2:26", "expected a list of words"),
        ("{metadata: {exposed_ports: [http]}}", "2:37", "expected a port"),
        ("{metadata: {volumes: []}}", "2:30", "expected a list"),
        ("{stdout: []}", "2:18", "an empty list asserts nothing"),
        ("{stdout: }", "2:10", "stdout is empty, which asserts nothing"),
        ("{stdout: ['']}", "2:19", "an empty pattern is in every text"),
        ("{stdout: ['!']}", "2:19", "rules out nothing"),
        ("{stdout: ['/a(/']}", "2:19", "not a regular expression"),
        ("{stdout: ['/[[:digit:]]/']}", "2:19", "possible nested set at position 1: write \\d for [[:digit:]]"),
        ("{stdout: {}}", "2:18", "an empty mapping asserts nothing"),
        ("{stdout: {contains: x}}", "2:19", "unknown matcher 'contains'"),
        ("{stdout: {lt: many}}", "2:23", "expected a number"),
        ("{stdout: {lt: 1e400}}", "2:23", "expected a number below 1.8e308"),
        (f"{{stdout: {{gt: -{'9' * 5000}}}}}", "2:23", "expected a number below 1.8e308"),
        (f"{{stdout: {{have-len: {'9' * 5000}}}}}", "2:29", "expected a number below 1.8e308"),
        ("{stdout: {gjson: {a: 1e400}}}", "2:30", "expected a number below 1.8e308"),
        (f"{{stdout: {{gjson: {{a: {{equal: [{'9' * 5000}]}}}}}}}}", "2:39", "expected a number below 1.8e308"),
        (f"{{stdout: {{match-regexp: 'x{{{'9' * 5000}}}'}}}}", "2:33", "a number in it is too large"),
        (f"{{stdout: ['/x{{{'9' * 5000}}}/']}}", "2:19", "a number in it is too large"),
        ("{stdout: {and: x}}", "2:24", "and: expected a list of matchers"),
        ("{stdout: {gjson: x}}", "2:26", "gjson: expected a mapping"),
        ('{stdout: {not: {gjson: {"a.#(n==1).v": 1}}}}', "2:33", "'#(n==1)' is a query, which is not supported"),
        ("{stdout: {gjson: {'a.#x': 1}}}", "2:27", "write \\# for a name with a #"),
        ("{stdout: {gjson: {'a.b*': 1}}}", "2:27", "'*' is a wildcard, which is not supported; write \\*"),
        ("{stdout: {gjson: {'a.?': 1}}}", "2:27", "'?' is a wildcard"),
        ("{stdout: {gjson: {'a|b': 1}}}", "2:27", "'|' is a pipe"),
        ("{stdout: {gjson: {'a.@reverse:{}.0': 1}}}", "2:27", "'@reverse:{}' is a modifier"),
        ("{stdout: {gjson: {'{a,b}': 1}}}", "2:27", "'{a,b}' is a multipath"),
        ("{stdout: {gjson: {'a.!x': 1}}}", "2:27", "'!x' is a literal"),
        ("{stdout: {gjson: {a..b: 1}}}", "2:27", "a name is missing"),
        ("{stdout: {gjson: {'': 1}}}", "2:27", "a name is missing"),
        ("{stdout: {gjson: {'a\\': 1}}}", "2:27", "a backslash at the end"),
        ("{stdout: {semver-constraint: newest}}", "2:38", "expected a version constraint"),
        ("{stdout: {semver-constraint: 1.x.2}}", "2:38", "expected a version constraint"),
        ("{stdout: {semver-constraint: x}}", "2:38", "expected a version constraint"),
        ("{stdout: {semver-constraint: '=!1.2'}}", "2:38", "expected a version constraint"),
        ("{exit_code: many}", "2:21", "expected a number, or the name of a signal"),
        ("{exit_code: 256}", "2:21", "expected a number from 0 to 255"),
        ("{exit_code: []}", "2:21", "an empty list asserts nothing"),
        ("{exit_code: {match-regexp: x}}", "2:22", "unknown matcher 'match-regexp'"),
        ("{timed_out: maybe}", "2:21", "expected true or false"),
        ("{duration: {lt: soon}}", "2:25", "duration 'soon'"),
        ("{within: 0}", "2:18", "a timeout must be more than 0"),
        (
            "{within: 1s, exit_code: 0}",
            "2:9",
            "within waits for stdout, stderr, files, ports, http, process, health, exec",
        ),
        ("{ports: [80]}", "2:17", "expected a mapping of ports such as tcp:80"),
        ("{ports: {}}", "2:17", "expected a mapping of ports"),
        ("{ports: {sctp:80: listening}}", "2:18", "expected a port such as tcp:80"),
        ("{ports: {80: open}}", "2:22", "'open': expected listening or closed"),
        ("{ports: {0: listening}}", "2:18", "expected a port, a number from 1 to 65535"),
        ("{ports: {80: {ipp: x}}}", "2:23", "did you mean 'ip'?"),
        ("{ports: {80: }}", "2:21", "expected listening or closed, not null"),
        ("{process: nginx}", "2:19", "expected a mapping of names of programs"),
        ("{process: {/usr/bin/x: running}}", "2:20", "expected the name of a program"),
        ("{process: {x: dead}}", "2:23", "'dead': expected running or absent"),
        ("{process: {x: {}}}", "2:23", "expected running or absent"),
        ("{http: http://x}", "2:16", "expected a mapping of URLs"),
        ("{http: {http://x: 200}}", "2:27", "expected a mapping with status, headers, body"),
        ("{http: {http://x: {method: PUT}}}", "2:27", "nothing is expected of the response"),
        ("{http: {http://x: {stauts: 200}}}", "2:28", "did you mean 'status'?"),
        ("{http: {http://x: {status: ok}}}", "2:36", "expected a number"),
        ("{http: {http://x: {body: []}}}", "2:34", "an empty list asserts nothing"),
        ("{http: {ftp://x: {status: 200}}}", "2:17", "expected a URL such as"),
        ("{http: {'http://x:99999': {status: 200}}}", "2:17", "expected a URL such as"),
        ("{http: {'http://a b': {status: 200}}}", "2:17", "expected a URL such as"),
        ("{http: {'http://me:pw@x': {status: 200}}}", "2:17", "expected username and password"),
        ("{http: {http://x: {status: 1, timeout: 0}}}", "2:48", "a timeout must be more than 0"),
        ("{http: {http://x: {status: 1, request-headers: [x]}}}", "2:57", "expected a header, such as"),
        ('{http: {http://x: {status: 1, request-headers: {A: "b\\nC: d"}}}}', "2:57", "control characters"),
        ("{http: {http://x: {status: 1, method: 'G T'}}}", "2:47", "expected a method"),
        ("{files: /x}", "2:17", "expected a list of files"),
        ("{files: [/x]}", "2:18", "expected a mapping"),
        ("{files: [{mode: 644}]}", "2:18", "a file needs its path"),
        ("{files: [{path: x}]}", "2:25", "expected an absolute path"),
        ("{files: [{path: $$A/b}]}", "2:1", "'$A/b': expected an absolute path in the container, or expand: true"),
        ("{files: [{path: /a/../b}]}", "2:25", "expected an absolute path"),
        ("{files: [{path: /x, mode: rw}]}", "2:35", "expected a mode in octal"),
        ("{files: [{path: /x, type: dir}]}", "2:35", "expected file, directory"),
        ("{files: [{path: /x, sha256: abc}]}", "2:37", "64 hexadecimal digits"),
        ("{files: [{path: /x, exists: false, mode: 644}]}", "2:50", "mode of a file that is not to exist"),
        ("{files: [{path: /x, moed: 644}]}", "2:29", "did you mean 'mode'?"),
        ("{changes: [/x]}", "2:19", "expected a mapping"),
        ("{health: well}", "2:18", "'well': expected healthy or unhealthy"),
        ("{health: [healthy]}", "2:18", "not a list"),
        ("{exec: app}", "2:16", "expected a list of commands"),
        ("{exec: []}", "2:16", "expected a list of commands"),
        ("{exec: [app]}", "2:17", "expected a mapping, such as"),
        ("{exec: [{stdout: x}]}", "2:17", "expected a command, such as [app, --version]"),
        ("{exec: [{command: []}]}", "2:27", "expected a command"),
        ("{exec: [{command: a, rc: 3}]}", "2:30", "did you mean 'exit_code'? (known: command, exit_code, stdout"),
        ("{exec: [{command: a, output: x}]}", "2:30", "did you mean 'stdout'?"),
        ("{exec: [{command: a, duration: 1s}]}", "2:40", "write {lt: 1s}"),
        ("{exec: [{command: a, timeout: 0}]}", "2:39", "a timeout must be more than 0"),
        ("{exec: [{command: a, stdout: []}]}", "2:38", "an empty list asserts nothing"),
        ("{changes: {onyl: [/x]}}", "2:20", "did you mean 'only'?"),
        ("{changes: {include: []}}", "2:29", "expected a list of patterns"),
        ("{changes: {only: [tmp]}}", "2:27", "expected an absolute path"),
    ],
)
def test_a_mistake_has_its_place(tmp_path: pathlib.Path, expect: str, place: str, words: str) -> None:
    [problem] = _problems(tmp_path, expect)
    assert problem.startswith(f"{place}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("expect", "within"),
    [
        ("{ports: {80: listening}}", 10),
        ("{process: {x: running}}", 10),
        ("{health: healthy}", 10),
        ("{exec: [{command: a}]}", 10),
        ("{exec: [{command: a, timeout: 10s}]}", 10),
        ("{exec: [{command: a, timeout: 30s}, {command: a}]}", 40),
        ("{exec: [{command: a, timeout: 30s}], within: 5s}", 5),
        ("{http: {http://x/: {status: 200}}}", 10),
        ("{http: {http://x/: {status: 200}}, within: 1m}", 60),
        ("{files: [{path: /x}], within: 500ms}", 0.5),
        ("{files: [{path: /x}], stdout: [x]}", None),
    ],
)
def test_how_long_is_waited(tmp_path: pathlib.Path, expect: str, within: float | None) -> None:
    (tmp_path / "x.yaml").write_text(f"image: x\nexpect: {expect}\n")
    [spec] = load_files([str(tmp_path / "x.yaml")], environ={})
    assert spec.expect and spec.expect.within == within


@pytest.mark.parametrize(
    ("expect", "hint"),
    [
        ("duration: 5s", "no measurement is exactly 5s; write {lt: 5s}"),
        ("duration: 5", "write {lt: 5}"),
        ("duration: [5s]", "write {lt: 5s}"),
        ("duration: {equal: 5s}", "write {lt: 5s}"),
        ("duration: {not: 5s}", "write {lt: 5s}"),
        ("duration: {or: [{lt: 1s}, 5s]}", "write {lt: 5s}"),
        ("duration: soon", "duration 'soon'"),
        ("duration: []", "an empty list"),
        ("max_memory: [{lt: 1m}, [64m]]", "write {lt: 64m}"),
        ("max_memory: 64m", "no measurement is exactly 64m; write {lt: 64m}"),
        ("max_memory: {equal: 64m}", "write {lt: 64m}"),
        ("logs: [ready]", "unknown key 'logs'; did you mean 'stdout'? (known: exit_code, timed_out, "),
        ("output: x", "'stdout'"),
        ("expectedOutput: x", "'stdout'"),
        ("err: x", "'stderr'"),
        ("expectedError: [x]", "'stderr'"),
        ("status: 0", "'exit_code'"),
        ("exit-status: 0", "'exit_code'"),
        ("exitcode: 0", "'exit_code'"),
        ("exitCode: 0", "'exit_code'"),
        ("rc: 0", "'exit_code'"),
        ("time: {lt: 5s}", "'duration'"),
        ("memory: {lt: 5m}", "'max_memory'"),
        ("timeout: 5s", "'timed_out'"),
        ("wait: 5s", "'within'"),
        ("file: [{path: /x}]", "'files'"),
        ("port: {80: listening}", "'ports'"),
        ("processes: {x: running}", "'process'"),
        ("urls: {http://x: {status: 200}}", "'http'"),
        ("labels: {a: b}", "'metadata'"),
        ("nonesuch_at_all: 1", "unknown key 'nonesuch_at_all' (known: exit_code, "),
        ("http: {http://x: {code: 200}}", "'status'? (known: status, headers, body, method"),
        ("http: {http://x: {status_code: 200}}", "'status'"),
        ("http: {http://x: {content: [a]}}", "'body'"),
        ("http: {http://x: {header: [a]}}", "'headers'"),
        ("files: [{name: /x}]", "'path'"),
        ("files: [{path: /x, permissions: '0644'}]", "'mode'"),
        ("files: [{path: /x, contains: [a]}]", "'contents'"),
        ("files: [{path: /x, checksum: a}]", "'sha256'"),
        ("files: [{path: /x, shouldExist: true}]", "'exists'"),
        ("files: [{path: /x, filetype: file}]", "'type'"),
        ("changes: {allowed: [/x]}", "'only'"),
        ("metadata: {environment: {A: b}}", "'env'"),
        ("metadata: {ports: [80]}", "'exposed_ports'"),
        ("metadata: {working_dir: /x}", "'workdir'"),
        ("stdout: {contains: x}", "unknown matcher 'contains'; did you mean 'contain-substring'? (known: equal, "),
        ("stdout: {includes: x}", "'contain-substring'"),
        ("stdout: {matches: x}", "'match-regexp'"),
        ("stdout: {regex: x}", "'match-regexp'"),
        ("stdout: {equals: x}", "'equal'"),
        ("stdout: {startswith: x}", "'have-prefix'"),
        ("stdout: {starts_with: x}", "'have-prefix'"),
        ("stdout: {endsWith: x}", "'have-suffix'"),
        ("stdout: {length: 3}", "'have-len'"),
        ("stdout: {jsonpath: {a: 1}}", "'gjson'"),
        ("stdout: {version: '1'}", "'semver-constraint'"),
        ("stdout: {have-patterns: [a]}", "'contain-elements'"),
        ("exit_code: {max: 3}", "'le'"),
        ("exit_code: {greater_than: 3}", "'gt'"),
        ("exit_code: {'>=': 3}", "'ge'"),
        ("exit_code: {any_of: [3]}", "'or'"),
        ("exit_code: {is_not: 3}", "'not'"),
    ],
)
def test_what_is_meant_by_words_of_others(tmp_path: pathlib.Path, expect: str, hint: str) -> None:
    problems = [problem for problem in _problems(tmp_path, f"{{{expect}}}") if "a file needs its path" not in problem]
    [problem] = [problem for problem in problems if "nothing is expected of the response" not in problem]
    assert (hint if " " in hint else f"did you mean {hint}?") in problem


def test_all_mistakes_come_at_once(tmp_path: pathlib.Path) -> None:
    assert len(_problems(tmp_path, "{stdout: [], stderr: {}, exit_code: x, files: [{path: y}, {}]}")) == 5


@pytest.mark.parametrize("pattern", ["/^v[0-9]+$/", "!/^v$/", "/(a$|b$)/", "/^$/", "/a$", "ends with $", "/^$HOME$/"])
def test_a_dollar_of_a_pattern(tmp_path: pathlib.Path, pattern: str) -> None:
    """Where a pattern may stand, it needs no second one; a variable is still one."""
    wherever = (
        "stdout: ['{}']",
        "stderr: {{not: ['{}']}}",
        "http: {{http://x: {{body: ['{}'], headers: ['{}']}}}}",
        "files: [{{path: /x, contents: ['{}']}}]",
        "metadata: {{labels: {{a: ['{}']}}}}",
    )
    for text in wherever:
        (tmp_path / "x.yaml").write_text(f"image: x\nexpect: {{{text.format(pattern, pattern)}}}\n")
        [spec] = load_files([str(tmp_path / "x.yaml")], environ={"HOME": "/root"})
        assert "$" in str(spec.expect) and "$HOME" not in str(spec.expect)
    (tmp_path / "x.yaml").write_text("image: x\ncommand: [echo, 'a$']\n")
    with pytest.raises(SpecError, match="without a variable"):
        load_files([str(tmp_path / "x.yaml")], environ={})


def test_the_examples_of_the_readme(tmp_path: pathlib.Path) -> None:
    """Each block of YAML with an image is a spec file as it stands."""
    text = (ROOT / "README.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    blocks = [block for block in blocks if "image: " in block]
    assert any("expect:" in block for block in blocks)
    for block in blocks:
        (tmp_path / "x.yaml").write_text(block)
        load_files([str(tmp_path / "x.yaml")], environ={"HOME": "/root"})
