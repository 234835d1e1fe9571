"""`mydocker up` and `mydocker check`: spec files from the first line to the exit code, and the other commands."""

from __future__ import annotations

import pathlib
import re
import signal
from dataclasses import replace

import pytest
from lab.command import Command, Result
from lab.places import EXAMPLES

from mydocker.specs.fields import FIELDS

root = pytest.mark.root


def _write(directory: pathlib.Path, text: str, *, name: str = "spec.yaml") -> str:
    (directory / name).write_text(text)
    return name


def _up(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    return mydocker("up", *options, _write(directory, text), cwd=directory)


@root
def test_the_first_example_needs_no_image(mydocker: Command) -> None:
    assert mydocker("up", str(EXAMPLES / "hello.yaml")) == Result(b"hello from a container\n", b"", 0)
    files = [path.relative_to(mydocker.store) for path in mydocker.store.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in files} == {"networks", "seccomp"}, "something was downloaded"


@root
def test_an_example_with_an_image(alpine: Command) -> None:
    done = alpine("up", str(EXAMPLES / "args-and-env.yaml"), env={"USER": "reader"})
    assert done == Result(b"hello, reader\n", b"", 0)


@root
def test_an_example_of_a_sequence(mydocker: Command) -> None:
    done = mydocker("up", str(EXAMPLES / "sequence.yaml"))
    assert (done.stdout, done.code) == (b"draft\nclean\n", 0)
    assert _summary(done) == ["write: exit code 0", "look again: exit code 0"]


@root
def test_an_example_of_what_lies_over_another(mydocker: Command) -> None:
    done = mydocker("up", str(EXAMPLES / "extends.yaml"))
    assert (done.stdout, done.code) == (b"hello, world\ngood night, world\n", 0)


def test_all_examples_are_valid(mydocker: Command) -> None:
    for example in sorted(EXAMPLES.rglob("*.yaml")):
        assert mydocker("check", str(example)) == Result(b"", b"", 0)


def _summary(done: Result) -> list[str]:
    """Our lines on stderr, without the seconds they end with."""
    return [re.sub(r" \([\d.]+ s\)$", "", line) for line in done.stderr.decode().splitlines()]


@root
def test_what_a_spec_can_say(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "in").write_text("shared\n")
    (tmp_path / "more.env").write_text('FILE="from a file"\n')
    text = """\
        name: everything
        image: alpine
        command: [sh, -c]
        args: ['hostname; pwd; id -un; echo "$$VALUE $$FILE $$NAME"; cat /mnt/in; cat; touch /mnt/x']
        environment: {VALUE: no, NAME: "${NAME:-default}"}
        env_file: more.env
        user: nobody
        working_dir: /srv/here
        hostname: box
        volumes: ["./share:/mnt:ro"]
        network_mode: none
        timeout: 200s
        labels: {a: b}
        x-anything: {at: all}
    """
    done = _up(alpine, tmp_path, text)
    expected = "box\n/srv/here\nnobody\nno from a file default\nshared\n"
    assert done.stdout.decode() == expected
    assert (done.stderr, done.code) == (b"touch: /mnt/x: Read-only file system\n", 1)


THREE = """\
{name: one, image: alpine, command: [echo, "1"]}
---
{name: two, image: alpine, command: [sh, -c, "exit 7"]}
---
{name: three, image: alpine, command: [echo, "3"]}
"""


@root
@pytest.mark.parametrize(
    ("options", "stdout", "summary"),
    [
        ((), b"1\n", ["one: exit code 0", "two: exit code 7"]),
        (("--keep-going",), b"1\n3\n", ["one: exit code 0", "two: exit code 7", "three: exit code 0"]),
    ],
)
def test_the_first_failure_decides(
    alpine: Command, tmp_path: pathlib.Path, options: tuple[str, ...], stdout: bytes, summary: list[str]
) -> None:
    done = _up(alpine, tmp_path, THREE, *options)
    assert (done.stdout, done.code, _summary(done)) == (stdout, 7, summary)


@root
@pytest.mark.parametrize(("policy", "runs", "code"), [("no", 1, 1), ("on-failure:1", 2, 1), ("on-failure", 3, 0)])
def test_restart(alpine: Command, tmp_path: pathlib.Path, policy: str, runs: int, code: int) -> None:
    """A volume counts; the third run is the one that succeeds."""
    script = "echo x >> /srv/count; test $$(wc -l < /srv/count) = 3"
    text = f"image: alpine\nrestart: {policy}\nvolumes: ['.:/srv']\ncommand: [sh, -c, '{script}']\n"
    assert _up(alpine, tmp_path, text).code == code
    assert (tmp_path / "count").read_text() == "x\n" * runs


@root
@pytest.mark.parametrize("policy", ["always", "unless-stopped", "{condition: any, delay: 0s}"])
def test_a_container_that_always_runs_is_started_again_until_it_is_stopped(
    alpine: Command, tmp_path: pathlib.Path, policy: str
) -> None:
    """Also after a success; nothing after it is run."""
    script = 'trap "exit 3" TERM; echo run; test -e /srv/second && while :; do sleep 0.05; done; touch /srv/second'
    text = f"image: alpine\nrestart: {policy}\nvolumes: ['.:/srv']\ncommand: [sh, -c, '{script}']\n---\n" + THREE
    process = alpine.start("up", _write(tmp_path, text), cwd=tmp_path)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"run\n"] * 2
    process.terminate()
    stdout, _ = process.communicate(timeout=240)
    assert (stdout, process.returncode) == (b"", 3)


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_asked_to_end_does_not_go_on(alpine: Command, tmp_path: pathlib.Path, number: int) -> None:
    """Neither with the next try, nor with the next container."""
    script = 'trap "exit 3" INT TERM; echo ready; while :; do sleep 0.05; done'
    text = f"image: alpine\nrestart: on-failure\ncommand: [sh, -c, '{script}']\n---\n" + THREE
    process = alpine.start("up", "--keep-going", _write(tmp_path, text), cwd=tmp_path)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=240)
    assert (stdout, process.returncode, len(stderr.splitlines())) == (b"", 3, 1)


@root
def test_profiles(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "---\n".join(f"{{image: alpine, command: [echo, {n}], profiles: [{n}]}}\n" for n in "abc")
    assert _up(alpine, tmp_path, text, "--profile", "c", "--profile", "a").stdout == b"a\nc\n"
    done = alpine("up", _write(tmp_path, text), cwd=tmp_path, env={"COMPOSE_PROFILES": "b"})
    assert done.stdout == b"b\n"
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=a,c\n")
    assert _up(alpine, tmp_path, text).stdout == b"a\nc\n"
    assert alpine("test", "spec.yaml", cwd=tmp_path).stdout.count(b"passed ") == 2 + 1
    done = alpine("up", "spec.yaml", cwd=tmp_path, env={"COMPOSE_PROFILES": "b"})
    assert done.stdout == b"b\n", "the environment lies over the file"
    (tmp_path / ".env").unlink()
    done = _up(alpine, tmp_path, text)
    why = b"spec.yaml: no container takes part without --profile: the profiles are a, b, c\n"
    assert (done.stderr, done.code) == (why, 125)
    done = _up(alpine, tmp_path, text, "--profile", "z", "--profile", "y")
    why = b"spec.yaml: no container takes part with --profile y --profile z: the profiles are a, b, c\n"
    assert (done.stderr, done.code) == (why, 125)
    done = alpine("test", "spec.yaml", cwd=tmp_path)
    assert done.code == 5 and b"no container takes part without --profile: the profiles are a, b, c" in done.stderr


@root
def test_an_unset_variable_is_warned_of(alpine: Command, tmp_path: pathlib.Path) -> None:
    """As Compose does; and one of another file, which has it from a matrix there."""
    (tmp_path / "base.yaml").write_text("{image: alpine, command: [echo, 'b$V'], matrix: {V: [1]}}\n")
    text = "image: alpine\ncommand: [echo, 'a${TAG}$TAG', '${U:-}']\n---\nextends: {file: base.yaml}\n"
    done = _up(alpine, tmp_path, text)
    warnings = ["spec.yaml:2:17: variable TAG is", "base.yaml:1:33: variable V is"]
    lines = "".join(f"warning: {line} not set, and so empty\n" for line in warnings)
    assert (done.stdout, done.stderr.decode()[: len(lines)]) == (b"a \nb\n", lines)
    for command in (["check"], ["config"], ["explain"], ["test"]):
        done = alpine(*command, "spec.yaml", cwd=tmp_path)
        assert (done.stderr.decode(), done.code) == (lines, 0), command


@root
@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("{image: alpine, command: [nonesuch]}", 127),
        ("{image: alpine, command: [/etc]}", 126),
        ('{image: "nonesuch:1", command: [x], pull_policy: never}', 125),
        ("{image: alpine, command: [sleep, '60'], timeout: 200ms, stop_grace_period: 200ms}", 124),
        ("{image: alpine, command: [sh, -c, 'sh -c \"kill -9 0\"; exit 3']}", 3),
    ],
)
def test_one_container_gives_its_own_exit_code(alpine: Command, tmp_path: pathlib.Path, spec: str, code: int) -> None:
    done = _up(alpine, tmp_path, spec)
    assert done.code == code
    assert b"Traceback" not in done.stderr


@root
def test_several_files_in_order(alpine: Command, tmp_path: pathlib.Path) -> None:
    names = [
        _write(tmp_path, f"{{name: {name}, image: alpine, command: [echo, {name}]}}", name=f"{name}.yaml")
        for name in ("b", "a", "c")
    ]
    done = alpine("up", *names, cwd=tmp_path)
    assert (done.stdout, done.code) == (b"b\na\nc\n", 0)


@root
def test_a_file_that_is_named_twice_runs_twice(alpine: Command, tmp_path: pathlib.Path) -> None:
    name = _write(tmp_path, "{name: a, image: alpine, command: [echo, a]}")
    assert alpine("up", name, name, cwd=tmp_path).stdout == b"a\na\n"


@root
def test_inject(alpine: Command, explorer: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A program of the host, for `up` only where the spec asks for it."""
    plain = f"{{image: alpine, command: ['{explorer}', mypid]}}"
    assert _up(alpine, tmp_path, plain).code == 127
    assert _up(alpine, tmp_path, plain[:-1] + f", inject: ['{explorer}']}}") == Result(b"1\n", b"", 0)


BAD = """\
image: alpine
comand: [echo]
hostname: "a b c"
environment: {A: {B: C}}
image: twice
timeout: never
"""


@pytest.mark.parametrize("command", ["up", "check"])
def test_all_mistakes_come_at_once(mydocker: Command, tmp_path: pathlib.Path, command: str) -> None:
    done = mydocker(command, _write(tmp_path, BAD), cwd=tmp_path)
    lines = done.stderr.decode().splitlines()
    assert [line.split(": ")[0] for line in lines if line.startswith("spec.yaml:")] == sorted(
        line.split(": ")[0] for line in lines
    )
    assert {line.split(":")[1] for line in lines} == {"2", "3", "4", "5", "6"}
    assert "did you mean 'command'?" in lines[0]
    assert (done.stdout, done.code) == (b"", 125 if command == "up" else 1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0",
        b"\xff\xfe\x00",
        b"[" * 5000,
        b"{",
        b"a: &a [*a]",
        b"- x",
        b"5",
        b"!!python/object:os.system x",
        b"? [a]\n: b",
        b"image: alpine\nx-a: &a [x,x,x,x,x,x,x,x,x]\nx-b: [*a,*a]\n---\n---\n",
        b"\t- x",
        b"image: *gone",
    ],
)
def test_no_file_ends_in_a_traceback(mydocker: Command, tmp_path: pathlib.Path, text: bytes) -> None:
    (tmp_path / "spec.yaml").write_bytes(text)
    done = mydocker("check", "spec.yaml", cwd=tmp_path)
    assert b"Traceback" not in done.stderr
    assert done.code in (0, 1) and bool(done.stderr) == bool(done.code)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check",), 2),
        (("check", "/nonesuch.yaml"), 1),
        (("up",), 125),
        (("up", "/nonesuch.yaml"), 125),
        (("up", "--nonesuch"), 125),
        (("nonesuch",), 125),
        (("run", "--nonesuch"), 125),
    ],
)
def test_usage_errors(mydocker: Command, arguments: tuple[str, ...], code: int) -> None:
    done = mydocker(*arguments)
    assert (done.stdout, done.code) == (b"", code)
    assert done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("up", "--help"), ("check", "--help"), ()])
def test_help(mydocker: Command, arguments: tuple[str, ...]) -> None:
    done = mydocker(*arguments)
    assert done.stdout.lower().startswith(b"usage: mydocker")
    assert (done.stderr, done.code) == (b"", 0)


def test_version(mydocker: Command) -> None:
    done = mydocker("--version")
    assert re.fullmatch(rb"mydocker \d+\.\d+\.\d+\n", done.stdout)
    assert (done.stderr, done.code) == (b"", 0)


@pytest.mark.rootless
def test_an_ordinary_user_on_the_machines_own_tree(second_user: Command, tmp_path: pathlib.Path) -> None:
    spec = second_user.directory / "hello.yaml"
    spec.write_text((EXAMPLES / "hello.yaml").read_text())
    spec.chmod(0o644)
    assert second_user("up", str(spec)) == Result(b"hello from a container\n", b"", 0)


@pytest.mark.rootless
@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        ((), "echo $$; id -u", "1\n0\n"),
        ((), "touch /usr/x /etc/x /x && echo written", "written\n"),
        (("--network", "none"), "ls /sys/class/net", "lo\n"),
        ((), "echo x > /dev/null; stat -c %a /dev; ls /proc/1/fd; true", "755\n0\n1\n2\n"),
    ],
)
def test_an_ordinary_user_on_a_directory_or_the_machine(
    second_user: Command, options: tuple[str, ...], script: str, expected: str
) -> None:
    done = second_user("run", *options, "--rootfs", "/", "sh", "-c", script)
    assert done == Result(expected.encode(), b"", 0)


@pytest.mark.rootless
def test_an_ordinary_user_with_an_image(second_user: Command) -> None:
    for _ in range(2):
        assert second_user("run", "alpine", "sh", "-c", "echo $$; id -u") == Result(b"1\n0\n", b"", 0)


@pytest.mark.rootless
def test_an_ordinary_user_gains_nothing(second_user: Command) -> None:
    """Root in the container is the user outside: the host's secrets stay closed."""
    assert second_user("run", "--rootfs", "/", "cat", "/etc/shadow").code != 0
    missing = replace(second_user, environment={**second_user.environment, "MYDOCKER_ROOT": "/proc/nonesuch"})
    done = missing("run", "alpine", "true")
    assert done.code == 125 and b"Traceback" not in done.stderr


def test_help_says_what_a_file_may_hold(mydocker: Command) -> None:
    short = mydocker("up", "--help")
    assert (short.code, short.stderr) == (0, b"") and b"mydocker up --help all" in short.stdout
    done = mydocker("up", "--help", "all")
    assert (done.code, done.stderr) == (0, b"") and b"--keep-going" in done.stdout
    missing = [field.key for field in FIELDS if f"\n  {field.key}: ".encode() not in done.stdout]
    assert missing == []


@root
@pytest.mark.parametrize("form", ["image: alpine\nCOMMAND\n", "services: {one: {image: alpine, COMMAND}}\n"])
def test_a_file_may_ask_for_a_terminal_where_there_is_none(alpine: Command, tmp_path: pathlib.Path, form: str) -> None:
    """Then nobody types in it. On the command line, `run -it` is a mistake there, as for Docker."""
    command = 'sh -c "test -t 0 && test -t 1 && echo terminal"'
    separator = "\n" if "COMMAND\n" in form and "services" not in form else ", "
    keys = separator.join(["tty: true", "stdin_open: true", f"command: {command!r}"])
    done = _up(alpine, tmp_path, form.replace("COMMAND", keys))
    shown = b"one-1  | terminal\n" if "services" in form else b"terminal\r\n"
    assert (done.stdout, done.code) == (shown, 0), done
    assert alpine("run", "-it", "alpine", "true").code == 125


@root
def test_an_image_on_the_command_line(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "command: [echo, hello]\nexpect: {stdout: hello}\n"
    assert _up(alpine, tmp_path, text, "--image", "alpine").stdout == b"hello\n"
    assert alpine("test", "--image", "alpine", "spec.yaml", cwd=tmp_path).code == 0
    assert b"image: alpine" in alpine("config", "--image", "alpine", "spec.yaml", cwd=tmp_path).stdout
    assert alpine("check", "spec.yaml", cwd=tmp_path).code == 1


@root
def test_what_is_for_a_batch_is_not_for_up(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Neither of its own containers nor of those that others need: `up` skips none, stops none early and inspects none,
    so one that has no command is refused, planned or run."""
    batch = "skip: not in a batch\nretries: 3\ntags: [a]\nexpect: {exit_code: 5, stdout: nothing, within: 1ms}\n"
    service = f"name: db\nimage: alpine\ncommand: [sleep, '1000']\ninit: true\n{batch}"
    user = f"name: app\nimage: alpine\ndepends_on: [db]\ncommand: [sh, -c, 'sleep 1; echo hello']\n{batch}"
    done = _up(alpine, tmp_path, f"{service}---\n{user}")
    assert (done.stdout, done.code) == (b"hello\n", 0), done
    none = "image: alpine\nentrypoint: []\ncommand: []\nexpect: {files: [{path: /bin/sh}]}\n"
    for options in ((), ("--dry-run",)):
        done = _up(alpine, tmp_path, none, *options)
        assert (done.code, b"no command to run" in done.stderr) == (125, True), done
    assert alpine("test", "spec.yaml", cwd=tmp_path).code == 0
    assert b"nothing for a shell script to run" in alpine("explain", "--shell", "spec.yaml", cwd=tmp_path).stderr
