"""Completions: what may follow, and the scripts in the shells that are here."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Iterable

import pytest
from lab.command import Command, Result

from mydocker.cli.common.docker_commands import GROUPS
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.complete import KINDS, complete
from mydocker.cli.manual.pages import all_pages
from mydocker.cli.manual.shells import SCRIPTS
from mydocker.specs.fields import FIELDS
from mydocker.testing.report.formats import FORMATS

NAMES = {"image": ["alpine:3.20", "team/app:1"], "volume": ["data"], "container": ["0123456789ab"]}


def _names(kind: str) -> Iterable[str]:
    return NAMES.get(kind, ())


def _words(*line: str) -> list[str]:
    return [word for word, _ in complete(line, _names).words]


@pytest.mark.parametrize(
    ("line", "words", "files"),
    [
        (("pul",), ["pull"], ""),
        (("im",), ["images", "image"], ""),
        (("--v",), ["--version"], ""),
        (("image", "p"), ["prune", "pull", "push"], ""),
        (("container", ""), [*GROUPS["container"]], ""),
        (("help", "expl"), ["explain"], ""),
        (("volume", "r"), ["rm"], ""),
        (("volume", "rm", ""), ["data"], ""),
        (("volume", "rm", "--f"), ["--force"], ""),
        (("volume", "nonesuch", ""), [], ""),
        (("pull", "al"), ["alpine:3.20"], ""),
        (("image", "rm", "x", "t"), ["team/app:1"], ""),
        (("images", "t"), ["team/app:1"], ""),
        (("history", "alpine", ""), [], ""),
        (("tag", "alpine", ""), [], ""),
        (("diff", "01"), ["0123456789ab"], ""),
        (("run", "--pu"), ["--pull", "--publish", "--publish-all"], ""),
        (("run", "-e", "A=1", "--network", ""), ["bridge", "host", "none"], ""),
        (("run", "--network=n"), ["--network=none"], ""),
        (("run", "--env-file", ""), [], "file"),
        (("run", "--env-file=x"), [], "file"),
        (("run", "--rootfs", "/"), [], "directory"),
        (("run", "-v", "/"), [], "file"),
        (("run", "-i", "al"), ["alpine:3.20"], ""),
        (("run", "--", "al"), ["alpine:3.20"], ""),
        (("run", "alpine", "--"), [], "file"),
        (("run", "alpine", "cat", ""), [], "file"),
        (("container", "run", "t"), ["team/app:1"], ""),
        (("record", "-o", ""), [], "file"),
        (("record", "t"), ["team/app:1"], ""),
        (("explain", "run", "t"), ["team/app:1"], ""),
        (("explain", ""), [], "spec"),
        (("up", ""), [], "spec"),
        (("up", "a.yaml", ""), [], "spec"),
        (("up", "--result", ""), [], "file"),
        (("up", "--image", "t"), ["team/app:1"], ""),
        (("check", "--format", ""), ["text", "json", "github"], ""),
        (("test", "-k", ""), [], ""),
        (("test", "-x", ""), [], "spec"),
        (("test", "--shuffle", ""), [], "spec"),
        (("test", "--on-failure", ""), ["keep", "shell"], ""),
        (("test", "--report", "ju"), ["junit="], ""),
        (("test", "--report=ju",), ["--report=junit="], ""),
        (("test", "--report", "junit=r"), [], "file"),
        (("test", "--report=junit=r",), [], "file"),
        (("test", "--", "--"), [], "spec"),
        (("load", "-i", ""), [], "file"),
        (("completion", "z"), ["zsh"], ""),
        (("info", "--fo"), ["--format"], ""),
        (("nonesuch", ""), [], ""),
        (("ps", ""), [], ""),
        (("run", "--nonesuch=x"), [], ""),
    ],
)  # fmt: skip
def test_what_may_follow(line: tuple[str, ...], words: list[str], files: str) -> None:
    found = complete(line, _names)
    assert ([word for word, _ in found.words], found.files) == (words, files)


def test_every_command_and_every_option_is_offered() -> None:
    assert set(COMMANDS) <= set(_words(""))
    for page in all_pages().values():
        for each in (page, *page.subcommands):
            offered = _words(*each.name.split(), "-")
            for entry in each.options:
                assert set(entry.flags) & set(offered), (each.name, entry.flags)


def test_choices_of_the_table_are_offered() -> None:
    for field in (field for field in FIELDS if field.choices and field.flags):
        assert _words("run", field.flags[-1], "") == [choice for choice in field.choices if choice]
    offered = {word.removesuffix("=") for word in _words("test", "--report", "")}
    assert offered == set(FORMATS)


def test_the_kinds_are_of_metavars_that_exist() -> None:
    pages = [each for page in all_pages().values() for each in (page, *page.subcommands)]
    used = {entry.metavar for page in pages for entry in page.options}
    assert set(KINDS) <= used | {argument.metavar for page in pages for argument in page.arguments}


@pytest.mark.root
def test_names_come_from_the_store(alpine: Command, mydocker: Command) -> None:
    ask = ("completion", "--words", "--")
    assert alpine(*ask, "run", "al") == Result(b"alpine:latest\t\n", b"", 0)
    mydocker("volume", "create", "data", "more")
    assert mydocker(*ask, "volume", "rm", "d") == Result(b"data\t\n", b"", 0)
    mydocker("network", "create", "web")
    assert mydocker(*ask, "network", "rm", "") == Result(b"web\t\n", b"", 0)
    unreadable = mydocker(*ask, "run", "", env={"MYDOCKER_ROOT": "/proc/nonesuch"})
    assert unreadable == Result(b"", b"", 0)
    assert mydocker(*ask, "pul").stdout == b"pull\tPull images from their registries\n"


@pytest.fixture
def here(alpine: Command, tmp_path: pathlib.Path) -> Command:
    """A directory to complete in; `mydocker` in PATH."""
    for name in ("a.yaml", "a.txt", "two words.yaml", "sub/b.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    environment = {**alpine.environment, "PATH": f"{alpine.program.parent}:{alpine.environment['PATH']}"}
    return Command(pathlib.Path("/bin/sh"), environment, tmp_path)


BASH = r"""
source <(mydocker completion bash)
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
COMP_LINE=$1 COMP_POINT=${#1}
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }  # works inside a completion only
_mydocker
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("line", "words", "expected"),
    [
        ("mydocker pul", ["mydocker", "pul"], ["pull"]),
        ("mydocker run al", ["mydocker", "run", "al"], ["alpine:latest"]),
        ("mydocker run alpine:", ["mydocker", "run", "alpine", ":"], ["latest"]),
        ("mydocker run alpine:la", ["mydocker", "run", "alpine", ":", "la"], ["latest"]),
        ("mydocker run --pull=al", ["mydocker", "run", "--pull", "=", "al"], ["always"]),
        ("mydocker run  --pull al", ["mydocker", "run", "--pull", "al"], ["always"]),
        ("mydocker up ", ["mydocker", "up", ""], ["a.yaml", "sub", "two words.yaml"]),
        ("mydocker up sub/", ["mydocker", "up", "sub/"], ["sub/b.yaml"]),
        ("mydocker run --rootfs ", ["mydocker", "run", "--rootfs", ""], ["sub"]),
        ("mydocker run --env-file a", ["mydocker", "run", "--env-file", "a"], ["a.txt", "a.yaml"]),
        ("mydocker run --env-file=a", ["mydocker", "run", "--env-file", "=", "a"], ["a.txt", "a.yaml"]),
        ("mydocker test --report junit=a", ["mydocker", "test", "--report", "junit", "=", "a"], ["a.txt", "a.yaml"]),
        ("mydocker nonesuch ", ["mydocker", "nonesuch", ""], [""]),
    ],
)
def test_bash(here: Command, line: str, words: list[str], expected: list[str]) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line, *words],
        cwd=here.directory,
        env=dict(here.environment),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (sorted(done.stdout.splitlines()), done.stderr) == (expected, "")


def test_scripts_are_printed_and_shells_can_read_them(mydocker: Command) -> None:
    """zsh and fish where they are installed."""
    for shell, script in SCRIPTS.items():
        assert mydocker("completion", shell) == Result(script.encode(), b"", 0)
        program = shutil.which(shell)
        if program:
            subprocess.run([program, "-n"], input=script, text=True, check=True, timeout=240)
    assert mydocker("completion", "tcsh").code == 2
    assert mydocker("completion").code == 2


@pytest.mark.root
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mydocker pul", ["pull"]),
        ("mydocker run al", ["alpine:latest"]),
        ("mydocker run --pull=al", ["--pull=always"]),
        ("mydocker run --rootfs ", ["sub/"]),
        ("mydocker run --env-file=a", ["--env-file=a.txt", "--env-file=a.yaml"]),
        ("mydocker test --report junit=a", ["junit=a.txt", "junit=a.yaml"]),
    ],
)
def test_fish_where_it_is_installed(here: Command, line: str, expected: list[str]) -> None:
    if shutil.which("fish") is None:
        return
    script = "mydocker completion fish | source; complete --do-complete $argv[1]"
    words = ["fish", "--no-config", "-c", script, line]
    done = subprocess.run(
        words, cwd=here.directory, env=dict(here.environment), capture_output=True, text=True, timeout=60
    )
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == expected, done
