"""What a container does while it runs, seen from outside: its ports, its processes, its answers."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest
from lab.command import Command, Result
from lab.oci import DIR, Program, image, layer
from lab.processes import sleeping
from lab.registry import Registry

root = pytest.mark.root

SERVER = """\
name: '{0}'
image: alpine
network_mode: none
command: [sh, -c, 'mkdir /w; echo Welcome > /w/index.html; {1}exec httpd -f -p 127.0.0.1:80 -h /w']
expect: {{within: {2}, {3}}}
"""
HTTP = "http: {{'http://localhost/{}': {{{}}}}}"
UP = HTTP.format("", "status: 200")  # together with what is true as long as the server is not up
# the time of `within` begins when this has ended: the server is up
UP_FIRST = "post_start: [{{command: [sh, -c, 'until nc 127.0.0.1 {} < /dev/null; do sleep 0.05; done']}}]\n"
GOOD, BAD = "200s", "2s"  # the time that is needed, and a time that is over soon

# (what holds, what does not, about what the report complains, what came instead)
BOTH_WAYS = [
    ("ports: {'tcp:80': listening}", "ports: {'tcp:81': listening}", "tcp:81", "closed; listening: tcp:80"),
    ("ports: {80: listening, 81/tcp: closed}", UP + ", ports: {80/tcp: closed}", "tcp:80", "listening on 127.0.0.1"),
    ("ports: {'udp:80': closed}", "ports: {'udp:80': listening}", "udp:80", "closed; listening: tcp:80"),
    ("ports: {'tcp:80': {ip: [127.0.0.1]}}", "ports: {'tcp:80': {listening: true, ip: [0.0.0.0]}}", "ip of tcp:80",
     '["127.0.0.1"]'),
    ("process: {httpd: running, nginx: absent}", "process: {nginx: running}", "process nginx",
     "absent; running: httpd"),
    ("process: {busybox: running}", UP + ", process: {httpd: {running: false}}", "process httpd", "running"),
    (HTTP.format("", "status: 200"), HTTP.format("x", "status: 200"), "status of http://localhost/x", "404"),
    (HTTP.format("", "body: [Welcome, '!404']"), HTTP.format("", "body: [Hello]"), "body of http://localhost/",
     "Welcome"),
    (HTTP.format("", "headers: ['Content-Type: text/html']"), HTTP.format("", "headers: ['!/^Content-L/']"),
     "headers of http://localhost/", "7: Content-Length: 8"),
    (HTTP.format("", "status: [200, 204], body: Welcome"), HTTP.format("", "status: {gt: 400}"),
     "status of http://localhost/", "200"),
    ("ports: {'tcp:80': listening}, files: [{path: /w/index.html}]", "files: [{path: /w/x}]", "/w/x",
     "there is none"),
]  # fmt: skip  # a table reads best with a case on a line


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    (directory / "x.smoke.yaml").write_text(text)
    return mydocker("test", *options, "x.smoke.yaml", cwd=directory)


def _marks(done: Result) -> list[str]:
    found = re.findall(r"^(passed|FAILED|ERROR|skipped) +(\S+)", done.stdout.decode(), re.MULTILINE)
    return [" ".join(pair) for pair in found]


def _failures(done: Result) -> list[tuple[str, str]]:
    """(about, the first line of what came instead) of each failure."""
    pattern = r"^    x\.smoke\.yaml:\d+:\d+: (.*)\n      expected: .*\n      actual:   (.*)$"
    return re.findall(pattern, done.stdout.decode(), re.MULTILINE)


@root
def test_both_ways(alpine: Command, tmp_path: pathlib.Path) -> None:
    """With a server that comes up after a while."""
    texts = [
        SERVER.format(f"{number}", "sleep 0.2; ", within, expect)
        for number, pair in enumerate(BOTH_WAYS)
        for within, expect in ((GOOD, pair[0]), (BAD, pair[1]))
    ]
    texts = [text + UP_FIRST.format(80) * (BAD in text) for text in texts]
    done = _test(alpine, tmp_path, "---\n".join(texts), "-j", "8")
    assert (done.stderr, done.code) == (b"", 1)
    expected = [f"{mark} {number}" for number in range(len(BOTH_WAYS)) for mark in ("passed", "FAILED")]
    assert _marks(done) == expected, done.stdout.decode()
    assert _failures(done) == [pair[2:] for pair in BOTH_WAYS]
    assert os.listdir(alpine.store / "containers") == []


@root
def test_an_image_of_nothing_but_the_server(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    """No shell, no agent, no /etc: what is looked at is the kernel's."""
    program = Program(pathlib.Path("/bin/busybox").read_bytes())
    registry.push(image([layer({"httpd": program, "w": DIR, "w/index.html": b"bare\n"})]), "library/bare")
    text = """\
        name: web
        image: bare
        command: [/httpd, -f, -p, "80", -h, /w]
        ports: ["127.0.0.1:8080:80"]
        expect:
          ports: {"tcp:80": listening}
          process: {httpd: running}
          http: {"http://localhost:8080/": {status: 200, body: bare}}
    """
    assert _marks(_test(mydocker, tmp_path, text)) == ["passed web"]
    done = _test(
        mydocker,
        tmp_path,
        text.replace('"127.0.0.1:8080:80"', "8080").replace("expect:", "expect:\n          within: 1s"),
    )
    assert _failures(done) == [("status of http://localhost:8080/", "no response: Connection refused")]


@root
@pytest.mark.parametrize("more", ["init: true", "namespaces: {pid: host}", "namespaces: {pid: host, net: private}"])
def test_other_namespaces(alpine: Command, tmp_path: pathlib.Path, more: str) -> None:
    """The process of mydocker's that stays in a container is not part of it, and the host's processes and ports are
    not."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        # the second one is below those that the kernel gives to whoever asks for any: ip(7), ip_local_port_range
        ports = other.getsockname()[1], 19877
        name = pathlib.Path(os.path.realpath("/proc/self/exe")).name  # a Python, as the tests and mydocker are
        text = f"""\
name: a
image: alpine
{more}
command: [sh, -c, 'httpd -p 127.0.0.1:{ports[1]}; exec sleep 1000']
expect:
  within: WITHIN
  ports: {{'tcp:{ports[1]}': listening, 'tcp:{ports[0]}': PORT}}
  process: {{httpd: running, sleep: running, {name}: PROCESS}}
"""
        good = text.replace("WITHIN", "200s").replace("PORT", "closed").replace("PROCESS", "absent")
        assert _marks(_test(alpine, tmp_path, good)) == ["passed a"]
        bad = text.replace("WITHIN", "2s").replace("PORT", "listening").replace("PROCESS", "running")
        done = _test(alpine, tmp_path, bad + UP_FIRST.format(ports[1]))
        assert [about for about, _ in _failures(done)] == [f"tcp:{ports[0]}", f"process {name}"]


@root
def test_without_namespaces_nothing_tells_processes_apart(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "name: a\nrootfs: /\nnamespaces: []\ncommand: [sleep, '60']\n"
    done = _test(alpine, tmp_path, text + "expect: {within: 1s, process: {sleep: running}}\n")
    [(about, actual)] = _failures(done)
    assert (about, actual[:39]) == ("process sleep", "without a pid or a mount namespace, not"), done


@root
def test_what_has_ended_is_not_there(alpine: Command, tmp_path: pathlib.Path) -> None:
    """An end before all holds is an end like any other, and its exit code counts."""
    text = (
        "name: a\nimage: alpine\ncommand: [sh, -c, 'exit 3']\nexpect: {ports: {80: listening}, process: {x: running}}\n"
    )
    done = _test(alpine, tmp_path, text)
    assert b": exit_code\n      expected: 0\n      actual:   3\n" in done.stdout
    assert _failures(done) == [("tcp:80", "the container has ended"), ("process x", "the container has ended")]


@root
def test_the_exit_code_of_a_container_that_was_stopped(alpine: Command, tmp_path: pathlib.Path) -> None:
    """It counts only where it is said."""
    server = SERVER.replace("exec httpd -f", 'trap "exit 7" TERM; httpd')
    server = server.replace("-h /w'", "-h /w; while :; do sleep 0.05; done'")
    texts = [server.format(n, "", GOOD, f"ports: {{80: listening}}{code}") for n, code in
             (("none", ""), ("right", ", exit_code: 7"), ("wrong", ", exit_code: 0"))]  # fmt: skip
    done = _test(alpine, tmp_path, "---\n".join(texts))
    assert _marks(done) == ["passed none", "passed right", "FAILED wrong"]
    assert _failures(done) == [("exit_code", "7")]


@pytest.mark.rootless
@pytest.mark.parametrize("more", ["", "init: true\n", "pre_start: [[sleep, '0.2']]\n"])
def test_an_ordinary_user(second_user: Command, more: str) -> None:
    """Who may not look at process 1 where that is one of mydocker's: as --init, or while others run before the
    command."""
    spec = second_user.directory / "live.smoke.yaml"
    live = "ports: {80: {}}, process: {httpd: running}, files: [{path: /w/index.html}], "
    text = more + SERVER.format("a", "", "{}", live + "http: {'http://localhost/': {status: 200}}")
    for within, state, code in (("200s", "listening", 0), ("2s", "closed", 1)):
        first = UP_FIRST.format(80) if code else ""
        spec.write_text(text.replace("{}", within, 1).replace("{}", state, 1) + first)
        spec.chmod(0o644)
        done = second_user("test", str(spec))
        assert done.code == code, done
    assert b"actual:   listening on 127.0.0.1\n" in done.stdout


@pytest.mark.rootless
def test_an_ordinary_user_does_not_judge_before_the_command_runs(second_user: Command) -> None:
    spec = second_user.directory / "early.smoke.yaml"
    text = "image: alpine\npre_start: [[sleep, '2']]\ncommand: [sh, -c, 'echo begun; exec sleep 1000']\n"
    spec.write_text(text + "expect: {within: 200s, process: {nginx: absent}, stdout: ['!nginx']}\n")
    spec.chmod(0o644)
    done = second_user("test", "--report", "json=-", str(spec))
    [case] = json.loads(done.stdout)["cases"]
    assert (case["verdict"], case["stdout"]) == ("passed", "begun\n")


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_server_that_never_answers_leaves_nothing(alpine: Command, tmp_path: pathlib.Path, number: int) -> None:
    """A request is under way when the batch is asked to end, or killed."""
    (tmp_path / "seen").mkdir()
    text = "name: a\nimage: alpine\nnetwork_mode: none\nvolumes: ['./seen:/seen']\n"
    text += "command: [nc, -l, -p, '80', -e, sh, -c, 'touch /seen/asked; exec sleep 1000']\n"
    text += "expect: {within: 200s, http: {'http://localhost/': {status: 200, timeout: 200s}}}\n"
    (tmp_path / "x.smoke.yaml").write_text(text)
    process = alpine.start("test", str(tmp_path / "x.smoke.yaml"), cwd=tmp_path)
    _wait_until(lambda: (tmp_path / "seen" / "asked").exists())
    assert len(_processes(tmp_path / "x.smoke.yaml")) > 3, "the batch, the worker, the watcher and the request"
    process.send_signal(number)
    process.communicate(timeout=240)
    assert process.returncode == (130 if number == signal.SIGINT else -9)
    _wait_until(lambda: not _processes(tmp_path / "x.smoke.yaml") and not os.listdir(alpine.store / "containers"))


@pytest.mark.rootless
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopping_what_an_ordinary_user_watches_leaves_nothing(second_user: Command, number: int) -> None:
    """The watcher has entered the container's user namespace, and must still end with its parent."""
    spec = second_user.directory / f"watched{number}.smoke.yaml"
    text = (
        "name: a\nimage: alpine\nnetwork_mode: none\ncommand: [sh, -c, 'echo begun; exec nc -l -p 80 -e sleep 1000']\n"
    )
    text += "expect: {within: 200s, stdout: [never], http: {'http://localhost/': {status: 200, timeout: 200s}}}\n"
    mark = f"60{os.getpid()}"
    text += f"---\nname: b\nimage: alpine\ncommand: [sleep, '60']\nhealthcheck: {{test: sleep {mark}}}\n"
    text += "---\nname: c\nimage: alpine\ncommand: ['true']\ndepends_on: {b: {condition: service_healthy}}\n"
    spec.write_text(text)
    spec.chmod(0o644)
    process = second_user.start("test", "-j", "2", str(spec))
    # the batch, two workers with their cleanup processes and watchers, and a request; the healthcheck's has no words of
    # mydocker's
    _wait_until(lambda: len(_processes(spec)) >= 8 and bool(sleeping(mark)))
    process.send_signal(number)
    process.communicate(timeout=240)
    _wait_until(lambda: not _processes(spec) and not sleeping(mark))
    _wait_until(lambda: not os.listdir(second_user.store / "containers"))


def _wait_until(condition: object) -> None:
    until = time.monotonic() + 240  # a busy machine has all the time that it needs; what never comes is a failure
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def _processes(file: pathlib.Path) -> list[str]:
    """The processes of mydocker's that test FILE, and their forks."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"\0{file}\0".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:  # it has just ended
            pass
    return found
