"""`mydocker run` as a script uses it: what the command gets, what comes back, which exit code."""

from __future__ import annotations

import os
import pathlib

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result
from lab.oci import DIR, OPAQUE, WHITEOUT, Link, Program, layer
from lab.registry import Registry

pytestmark = pytest.mark.root


def _run(mydocker: Command, *words: str) -> Result:
    return mydocker("run", *words)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("false",), 1),
        (("sh", "-c", "exit 27"), 27),
        (("sh", "-c", "exit 255"), 255),
        (("sh", "-c", "kill -9 $$; sleep 1; exit 3"), 3),  # PID 1 is safe from its own signals
        (("/bin/busybox", "ash", "-c", "exit 42"), 42),
    ],
)
def test_the_commands_own_exit_code(alpine: Command, command: tuple[str, ...], code: int) -> None:
    assert _run(alpine, "alpine", *command) == Result(b"", b"", code)


FAILURES = {
    "no such command": (("alpine", "nonesuch"), 127, "nonesuch"),
    "no such path": (("alpine", "/bin/nonesuch"), 127, "/bin/nonesuch"),
    "a directory": (("alpine", "/etc"), 126, "/etc"),
    "not executable": (("alpine", "/etc/passwd"), 126, "/etc/passwd"),
    "no such flag": (("--nonesuch", "alpine"), 125, "--nonesuch"),
    "no image": ((), 125, "image"),
    "a bad name": (("Alpine", "true"), 125, "Alpine"),
    "an unknown user": (("-u", "nonesuch", "alpine", "true"), 125, "nonesuch"),
    "an unknown group": (("-u", "root:nonesuch", "alpine", "true"), 125, "nonesuch"),
    "a missing volume": (("-v", "/nonesuch:/x", "alpine", "true"), 125, "/nonesuch"),
    "a bad timeout": (("--timeout", "soon", "alpine", "true"), 125, "soon"),
    "a bad network": (("--network", "moon", "alpine", "true"), 125, "moon"),
    "no such image": (("--pull", "never", "nonesuch:1", "true"), 125, "nonesuch"),
    "no such platform": (("--pull", "always", "--platform", "linux/s390x", "alpine", "true"), 125, "s390x"),
    "a missing env file": (("--env-file", "/nonesuch", "alpine", "true"), 125, "/nonesuch"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_our_own_failures(alpine: Command, name: str) -> None:
    words, code, about = FAILURES[name]
    done = _run(alpine, *words)
    assert (done.stdout, done.code) == (b"", code), done
    first, *_ = done.stderr.decode().splitlines()
    assert first.startswith("mydocker: ")
    assert about in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (("-e", "A=1", "-e", "A=2"), "echo $A", "2\n"),
        (("-e", "A=a b=c"), "echo $A", "a b=c\n"),
        (("-e", "FROM_HOST"), "echo $FROM_HOST", "yes\n"),
        (("-e", "NOT_ON_HOST"), "echo ${NOT_ON_HOST-unset}", "unset\n"),
        (("-e", "HOME=/h"), "echo $HOME", "/h\n"),
        (("-u", "nobody"), "id -un; id -gn; echo $HOME", "nobody\nnobody\n/\n"),
        (("-u", "mail"), "id -u; id -g; id -G; echo $HOME", "8\n12\n12\n/var/mail\n"),
        (("-u", "daemon"), "id -G", "2 1\n"),
        (("-u", "8:0"), "id -u; id -g; id -G", "8\n0\n0\n"),
        (("-u", "mail:users"), "id -u; id -g", "8\n100\n"),
        (("-u", "4242"), "id -u; id -g; echo $HOME", "4242\n0\n/\n"),
        (("-u", "4242:4243"), "id -u; id -g; id -G", "4242\n4243\n4243\n"),
        (("-w", "/new/dir"), "pwd; stat -c '%a %u' /new/dir", "/new/dir\n755 0\n"),
        (("-w", "/etc"), "pwd; cat hostname | wc -l", "/etc\n1\n"),
        (("--rm", "--name", "x", "-l", "a=b"), "echo ok", "ok\n"),
        (("--",), "echo ok", "ok\n"),
    ],
)
def test_options(alpine: Command, options: tuple[str, ...], script: str, expected: str) -> None:
    done = alpine("run", *options, "alpine", "sh", "-c", script, env={"FROM_HOST": "yes"})
    assert done == Result(expected.encode(), b"", 0)


def test_options_end_at_the_image(alpine: Command) -> None:
    assert _run(alpine, "alpine", "echo", "x", "-e", "--help", "--") == Result(b"x -e --help --\n", b"", 0)


@pytest.mark.parametrize(
    ("options", "arguments", "expected"),
    [
        ((), (), "entry one two"),
        ((), ("three",), "entry three"),
        (("--entrypoint", "/bin/echo"), (), ""),
        (("--entrypoint", "/bin/echo"), ("three",), "three"),
        (("--entrypoint", ""), ("echo", "four"), "four"),
    ],
)
def test_entrypoint_and_command(
    mydocker: Command, registry: Registry, options: tuple[str, ...], arguments: tuple[str, ...], expected: str
) -> None:
    registry.push(image(entrypoint=["echo", "entry"], cmd=["one", "two"]), "lab/entry")
    assert _run(mydocker, *options, "lab/entry", *arguments) == Result(f"{expected}\n".encode(), b"", 0)


def test_what_the_image_says_is_heeded(mydocker: Command, registry: Registry) -> None:
    """Environment, user and working directory; the command line goes before."""
    settings = {"env": ["A=image", "B=image", "PATH=/bin"], "user": "mail:users", "working_dir": "/srv/app"}
    registry.push(image(cmd=["sh", "-c", "echo $A $B; id -un; id -gn; pwd"], **settings), "lab/settings")
    assert _run(mydocker, "-e", "B=flag", "lab/settings") == Result(b"image flag\nmail\nusers\n/srv/app\n", b"", 0)


def test_a_program_that_only_the_image_names_is_not_lent(
    mydocker: Command, registry: Registry, explorer: pathlib.Path
) -> None:
    registry.push(image(entrypoint=[str(explorer)]), "lab/borrower")
    assert _run(mydocker, "lab/borrower", "mypid").code == 127
    assert _run(mydocker, "--entrypoint", str(explorer), "lab/borrower", "mypid").stdout == b"1\n"


def test_nothing_to_run(mydocker: Command, registry: Registry) -> None:
    registry.push(image(cmd=None), "lab/nothing")
    done = _run(mydocker, "lab/nothing")
    assert (done.stdout, done.code) == (b"", 125)
    assert b"no command" in done.stderr


def test_a_script_without_interpreter_is_not_executable(mydocker: Command, registry: Registry) -> None:
    registry.push(image(layer({"bin/text": Program(b"just text\n"), "bin/lost": Link("/nowhere")})), "lab/text")
    assert _run(mydocker, "lab/text", "/bin/text").code == 126
    assert _run(mydocker, "lab/text", "/bin/lost").code == 127


def test_upper_layers_hide_lower_ones(mydocker: Command, registry: Registry) -> None:
    first = layer({"data": DIR, "data/gone": b"1", "data/kept": b"1", "full": DIR, "full/old": b"1"})
    second = layer([("data/gone", WHITEOUT), ("data/new", b"2"), ("full", DIR), ("full", OPAQUE), ("full/new", b"2")])
    registry.push(image(first, second), "lab/layers")
    expected = Result(b"/data:\nkept\nnew\n\n/full:\nnew\n", b"", 0)
    assert _run(mydocker, "lab/layers", "ls", "/data", "/full") == expected


def test_env_file(alpine: Command, tmp_path: pathlib.Path) -> None:
    """docker's format: quotes are literal, a name alone is copied."""
    file = tmp_path / "env"
    file.write_text("\ufeff# comment\n\nA=1\nB=\"quoted\"\nFROM_HOST\nA=2\n", encoding="utf-8")  # fmt: skip
    done = alpine(
        "run", "--env-file", str(file), "-e", "C=3", "alpine", "sh", "-c", "echo $A $B $C $FROM_HOST",
        env={"FROM_HOST": "yes"},
    )  # fmt: skip
    assert done == Result(b'2 "quoted" 3 yes\n', b"", 0)


def test_volumes(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    share = f"{tmp_path}:/mnt/deep/er"
    assert _run(alpine, "-v", share, "alpine", "cat", "/mnt/deep/er/in") == Result(b"hello\n", b"", 0)
    assert _run(alpine, "-v", share, "alpine", "sh", "-c", "echo out > /mnt/deep/er/out").code == 0
    assert (tmp_path / "out").read_text() == "out\n"
    done = _run(alpine, "-v", f"{share}:ro", "alpine", "touch", "/mnt/deep/er/no")
    assert done == Result(b"", b"touch: /mnt/deep/er/no: Read-only file system\n", 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in", "out"]


def test_a_file_as_a_volume(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conf").write_text("x\n")
    mounted = _run(alpine, "-v", f"{tmp_path}/conf:/etc/new/conf:ro", "alpine", "cat", "/etc/new/conf")
    assert mounted == Result(b"x\n", b"", 0)


def test_a_relative_volume(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    done = alpine("run", "-v", ".:/mnt", "alpine", "cat", "/mnt/in", cwd=tmp_path)
    assert done == Result(b"hello\n", b"", 0)


def test_dry_run_starts_nothing(alpine: Command, tmp_path: pathlib.Path) -> None:
    done = _run(alpine, "--dry-run", "-v", f"{tmp_path}:/mnt", "alpine", "touch", "/mnt/x")
    assert (done.stderr, done.code) == (b"", 0)
    assert b"/mnt" in done.stdout and b"touch" in done.stdout
    assert list(tmp_path.glob("x")) == []
    assert os.listdir(alpine.store / "containers") == []


@pytest.mark.rootless
def test_a_store_of_somebody_else_is_an_error_of_one_line(second_user: Command, tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "store").mkdir(mode=0o700)
    result = second_user("run", "--rootfs", "/", "true", env={"MYDOCKER_ROOT": f"{tmp_path}/store"})
    assert result.code == 125
    assert b"Traceback" not in result.stderr
    assert result.stderr.startswith(b"mydocker: ")
