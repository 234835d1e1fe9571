"""What a container says of itself while it runs: its healthcheck, and commands that are executed inside it."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from lab import busybox
from lab.command import Command, Result
from lab.oci import DIR, Program, image, layer
from lab.registry import Registry

root = pytest.mark.root
SERVER = """\
name: '{0}'
image: alpine
network_mode: none
command: [sh, -c, 'trap "exit 0" TERM; sleep 0.2; touch /tmp/up; while :; do sleep 0.1; done']
{1}
expect: {{within: {2}, {3}}}
"""
# the time of `within` begins when this has ended
UP_FIRST = "post_start: [{command: [sh, -c, 'until test -e /tmp/up; do sleep 0.05; done']}]\n"
HEALTHY = "healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 1s, retries: 600}"
SICK = "healthcheck: {test: [CMD-SHELL, 'echo sick; exit 3'], interval: 1s}"
SHORT = "healthcheck: {test: [CMD, 'false'], interval: 100ms, retries: 1}"

# (another key, what holds, what does not, about what the report complains, what came instead)
BOTH_WAYS = [
    (HEALTHY, "health: healthy", "health: unhealthy", "health", "healthy"),
    (SHORT, "health: unhealthy", "health: healthy", "health", "unhealthy: exit code 1"),
    ("", "exec: [{command: [echo, hi]}]", "exec: [{command: ['false']}]", "exit_code of false", "1"),
    ("", "exec: [{command: [sh, -c, exit 3], exit_code: 3}]", "exec: [{command: [sh, -c, exit 3], exit_code: {lt: 3}}]",
     "exit_code of sh -c 'exit 3'", "3"),
    ("", "exec: [{command: echo 'a  b', stdout: a  b, stderr: ''}]", "exec: [{command: [echo, a], stdout: [b]}]",
     "stdout of echo a", "a"),
    ("", "exec: [{command: [ls, /x], exit_code: {gt: 0}, stderr: ['!/^x/', such]}]",
     "exec: [{command: [ls, /x], exit_code: 1, stderr: ''}]", "stderr of ls /x", "ls: /x: No such file or directory"),
    ("", "exec: [{command: [echo, '{\"a\": 1}'], stdout: {gjson: {a: 1}}}]",
     "exec: [{command: [echo, x], stdout: {not: {gjson: {a: 1}}}}]", "stdout of echo x",
     "no JSON, Expecting value: line 1 column 1 (char 0):"),
    ("", "exec: [{command: [sleep, '60'], timeout: 100ms, timed_out: true}]",
     "exec: [{command: [sleep, '60'], timeout: 100ms}]", "timed_out of sleep 60", "it was killed after"),
    ("", "exec: [{command: ['true'], duration: {lt: 100s}}]", "exec: [{command: ['true'], duration: {gt: 100s}}]",
     "duration of true", "0."),
    ("", "exec: [{command: [nonesuch], exit_code: 127, stderr: [not found]}]", "exec: [{command: [nonesuch]}]",
     "exit_code of nonesuch", "127"),
    ("", "exec: [{command: [sh, -c, kill -9 $$$$], exit_code: SIGKILL}]", "exec: [{command: [sh, -c, kill -9 $$$$]}]",
     "exit_code of sh -c 'kill -9 $$'", "137"),
    ("", "exec: [{command: [test, -e, /tmp/up]}, {command: [rm, /tmp/up]}]",
     "exec: [{command: [echo, a]}, {command: [test, -e, /x]}]", "exit_code of test -e /x", "1"),
    ("", "exec: [{command: [sh, -c, 'yes | head -c 1000000'], stdout: {have-len: 1000000}}]",
     "exec: [{command: [sh, -c, 'yes | head -c 1100000'], stdout: [y]}]",
     "stdout of sh -c 'yes | head -c 1100000'", "more output than is kept"),
]  # fmt: skip  # a table reads best with a case on a line


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    (directory / "x.smoke.yaml").write_text(text)
    return mydocker("test", *options, "x.smoke.yaml", cwd=directory)


def _marks(done: Result) -> list[str]:
    found = re.findall(r"^(passed|FAILED|ERROR|skipped) +(\S+)", done.stdout.decode(), re.MULTILINE)
    return [" ".join(pair) for pair in found]


@root
def test_both_ways(alpine: Command, tmp_path: pathlib.Path) -> None:
    texts = [
        SERVER.format(number, key, within, expect)
        for number, (key, good, bad, *_) in enumerate(BOTH_WAYS)
        for within, expect in (("200s", good), ("3s", bad))
    ]
    texts = [text + UP_FIRST * ("within: 3s" in text) for text in texts]
    done = _test(alpine, tmp_path, "---\n".join(texts), "-j", "8")
    assert (done.stderr, done.code) == (b"", 1)
    expected = [f"{mark} {number}" for number in range(len(BOTH_WAYS)) for mark in ("passed", "FAILED")]
    assert _marks(done) == expected, done.stdout.decode()
    pattern = r"^    x\.smoke\.yaml:\d+:\d+: (.*)\n      expected: .*, within 3 s\n      actual:   (.*)$"
    failures = re.findall(pattern, done.stdout.decode(), re.MULTILINE)
    assert [about for about, _ in failures] == [about for *_, about, _ in BOTH_WAYS]
    for (_, actual), (*_, expected) in zip(failures, BOTH_WAYS, strict=True):
        assert actual.startswith(expected)


@root
def test_only_a_later_command_waits_for_another(alpine: Command, tmp_path: pathlib.Path) -> None:
    texts = [
        SERVER.format("first", "", "500ms", "exec: [{command: [sleep, '60'], timeout: 1m}]"),
        SERVER.format("second", "", "500ms", "exec: [{command: ['false']}, {command: ['true']}]"),
    ]
    shown = _test(alpine, tmp_path, "---\n".join(texts)).stdout.decode()
    assert re.findall(r"actual: +(it has not ended.*)", shown) == [
        "it has not ended",
        "it has not ended, or not begun: each command waits until the one before it is as expected",
    ]


INSIDE = (
    "id -u; id -g; pwd; umask; echo $A $HOSTNAME; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; "
    "cat /proc/self/cgroup; readlink /proc/self/ns/*; ulimit -n; cat /proc/self/oom_score_adj; echo end"
)


@root
@pytest.mark.parametrize(
    "more",
    [
        "user: root",
        "{user: '1000:12', working_dir: /srv, umask: 0077, environment: {A: b}, ulimits: {nofile: 99}}",
        "{cap_drop: [ALL], security_opt: [no-new-privileges]}",
        "{cap_add: [SYS_ADMIN], privileged: true}",
        "{mem_limit: 64m, pids_limit: 50}",
        "{init: true}",
        "{pid: host}",
        "{namespaces: [mount, pid]}",
        "{read_only: true, tmpfs: [/tmp]}",
    ],
)
def test_it_is_confined_as_the_container_is(alpine: Command, tmp_path: pathlib.Path, more: str) -> None:
    """User, rights, limits and namespaces are those of its first process."""
    spec = {"name": "a", "image": "alpine", "stop_grace_period": "100ms", **_yaml(more)}
    spec["command"] = ["sh", "-c", f"{INSIDE}; exec sleep 1000"]
    spec["expect"] = {"stdout": ["end"], "exec": [{"command": ["sh", "-c", INSIDE]}]}
    done = _test(alpine, tmp_path, json.dumps(spec).replace("$A", "$$A").replace("$H", "$$H"), "--report", "json=-")
    [case] = json.loads(done.stdout)["cases"]
    assert case["verdict"] == "passed", case
    [executed] = case["exec"]
    assert executed["stdout"] == case["stdout"] and len(case["stdout"].splitlines()) > 10


def _yaml(text: str) -> dict[str, object]:
    import yaml

    found: dict[str, object] = yaml.safe_load(text)
    return found


@root
def test_one_that_has_held_is_not_executed_again(alpine: Command, tmp_path: pathlib.Path) -> None:
    """They run in their order, and those that do not hold again and again."""
    text = SERVER.format(
        "a",
        "",
        "200s",
        "exec: [{command: [mkdir, /tmp/once]}, {command: [sh, -c, 'echo >> /tmp/n; test $$(wc -l < /tmp/n) -ge 3']}, "
        '{command: [rmdir, /tmp/once]}], files: [{path: /tmp/n, contents: "\\n\\n\\n"}]',
    )
    assert _marks(_test(alpine, tmp_path, text)) == ["passed a"]


@root
def test_what_has_come_stays_when_the_container_ends_by_itself(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = "while [ ! -e /tmp/x ]; do sleep 0.05; done; sleep 1; echo done"
    text = f"name: a\nimage: alpine\ncommand: [sh, -c, '{script}']\n"
    text += "expect: {stdout: [done], exec: [{command: [touch, /tmp/x]}]}\n---\n"
    text += "{name: b, image: alpine, command: ['true'], expect: {exec: [{command: ['true']}]}}"
    done = _test(alpine, tmp_path, text)
    assert _marks(done) == ["passed a", "FAILED b"]
    assert b"the container has ended" in done.stdout


@root
def test_the_images_own_healthcheck(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    for name, test in (("well", ["CMD", "true"]), ("ill", ["CMD-SHELL", "echo ill; false"])):
        healthcheck = {"Test": test, "Interval": 100_000_000, "Retries": 1}
        registry.push(busybox.alpine(healthcheck=healthcheck), f"library/{name}")
    case = "name: {0}\nimage: {0}\nstop_grace_period: 100ms\ncommand: [sleep, '60']\nexpect: {{health: {1}}}\n"
    texts = [case.format("well", "healthy"), case.format("ill", "unhealthy"), case.format("alpine", "healthy")]
    done = _test(mydocker, tmp_path, "---\n".join(texts))
    assert _marks(done) == ["passed well", "passed ill", "ERROR alpine"]
    assert b"no healthcheck says when it is healthy" in done.stdout


@root
def test_an_image_of_nothing_but_one_program(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    program = Program(pathlib.Path("/bin/busybox").read_bytes())
    registry.push(image([layer({"sleep": program, "cat": program, "f": b"text\n", "d": DIR})]), "library/bare-exec")
    text = "name: a\nimage: bare-exec\nstop_grace_period: 100ms\ncommand: [/sleep, '60']\n"
    text += "expect: {exec: [{command: [/cat, /f], stdout: text}]}"
    assert _marks(_test(mydocker, tmp_path, text)) == ["passed a"]


@root
def test_all_reports_say_what_failed(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = SERVER.format("a", "", "3s", "exec: [{command: [sh, -c, 'echo out; exit 9']}]") + UP_FIRST
    formats = ("text", "tap", "junit", "json", "jsonl", "github", "html")
    words = [word for format in formats for word in ("--report", f"{format}={format}")]
    assert _test(alpine, tmp_path, text, *words).code == 1
    for format in formats:
        written = (tmp_path / format).read_text()
        assert "exit_code of sh -c" in written and "9" in written and "out" in written, format
    [case] = json.loads((tmp_path / "json").read_text())["cases"]
    assert (case["exec"][0]["exit_code"], case["exec"][0]["stdout"]) == (9, "out\n")


@pytest.mark.rootless
def test_of_an_ordinary_user(second_user: Command) -> None:
    text = "name: a\nimage: alpine\nstop_grace_period: 100ms\ncommand: [sleep, '60']\n"
    text += "healthcheck: {test: [CMD, 'true']}\n"
    text += "expect: {health: healthy, exec: [{command: [id, -u], stdout: '0'}, {command: [cat, /proc/1/comm]}]}"
    spec = second_user.directory / "x.smoke.yaml"
    spec.write_text(text)
    spec.chmod(0o644)
    done = second_user("test", str(spec))
    assert _marks(done) == ["passed a"], done
