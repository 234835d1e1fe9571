"""`pre_start`: commands in the container before its own; and `expand`: the image's variables."""

from __future__ import annotations

import pathlib

import pytest
from lab import busybox
from lab.command import Command
from lab.registry import Registry

from mydocker.runtime.plan.expand_variables import expanded
from mydocker.specs.model import ContainerSpec

root = pytest.mark.root


def _spec(directory: pathlib.Path, text: str) -> None:
    (directory / "a.yaml").write_text(f"image: alpine\n{text}\n")


@root
def test_they_run_first_in_order_and_as_the_command_would(alpine: Command, tmp_path: pathlib.Path) -> None:
    _spec(
        tmp_path,
        "user: nobody\nenvironment: {A: b}\nworking_dir: /tmp\nstdin_open: true\n"
        "pre_start: [[sh, -c, 'echo said; id -un > who; echo $$A $$PWD >> who; cat >> who'], 'cp who /tmp/again']\n"
        "command: sh -c 'cat again; cat'",
    )
    done = alpine("up", "a.yaml", cwd=tmp_path, input=b"typed\n")
    assert (done.stdout, done.stderr, done.code) == (b"nobody\nb /tmp\ntyped\n", b"", 0)


@root
def test_they_may_make_the_command(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = "pre_start: [[sh, -c, 'printf \"#!/bin/sh\\necho made\\n\" > /bin/new; chmod +x /bin/new']]\ncommand: [new]"
    _spec(tmp_path, text)
    assert alpine("up", "a.yaml", cwd=tmp_path).stdout == b"made\n"
    _spec(tmp_path, text.replace("/bin/new;", "/bin/other;").replace("chmod +x /bin/new", "true"))
    assert alpine("up", "a.yaml", cwd=tmp_path).code == 127


@root
@pytest.mark.parametrize("more", ["", "init: true", "namespaces: {pid: host}", "tty: true"])
def test_a_failure_is_ours_and_says_why(alpine: Command, tmp_path: pathlib.Path, more: str) -> None:
    _spec(tmp_path, f"pre_start: [[sh, -c, 'echo the reason; exit 4']]\ncommand: echo never\n{more}")
    done = alpine("up", "a.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 125)
    assert b"pre_start: 'sh -c echo the reason; exit 4' ended with exit code 4: the reason" in done.stderr
    _spec(tmp_path, f"pre_start: [['true']]\ncommand: echo then\n{more}")
    assert alpine("up", "a.yaml", cwd=tmp_path).stdout.strip() == b"then"


@root
def test_a_time_limit_holds_for_them_too(alpine: Command, tmp_path: pathlib.Path) -> None:
    _spec(tmp_path, "pre_start: [[sleep, '100']]\ncommand: echo never\ntimeout: 300ms\nstop_grace_period: 100ms")
    done = alpine("up", "a.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 124)


@root
def test_they_cannot_look_into_us_who_wait(alpine: Command, tmp_path: pathlib.Path) -> None:
    """CVE-2019-5736: process 1 is our interpreter meanwhile."""
    _spec(
        tmp_path,
        "pre_start: [[sh, -c, 'for x in /proc/1/exe /proc/1/root /proc/1/fd/*; do ! readlink $$x || exit 1; done; "
        "! cat /proc/1/environ && ! cat /proc/1/mem && ! ls /proc/1/root/']]\ncommand: 'true'",
    )
    done = alpine("up", "a.yaml", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0)


@root
def test_those_who_may_look_find_no_word_of_the_hosts(alpine: Command, tmp_path: pathlib.Path) -> None:
    look = "strings /proc/1/environ /proc/1/cmdline > /shown"
    _spec(tmp_path, f'cap_add: [SYS_PTRACE]\npre_start: [[sh, -c, "{look}"]]\ncommand: cat /shown')
    done = alpine("up", "a.yaml", cwd=tmp_path, env={"SECRET": "of the host"})
    assert (done.stdout, done.stderr, done.code) == (b"mydocker-init\n", b"", 0)


@root
def test_much_output_does_not_block_them(alpine: Command, tmp_path: pathlib.Path) -> None:
    _spec(tmp_path, "pre_start: [[sh, -c, 'yes | head -c 3000000; echo; echo last; exit 1']]\ncommand: 'true'")
    done = alpine("up", "a.yaml", cwd=tmp_path)
    assert done.stderr.rstrip().endswith(b"ended with exit code 1: last") and len(done.stderr) < 300


@pytest.mark.rootless
def test_an_ordinary_user_has_them(second_user: Command) -> None:
    (second_user.directory / "a.yaml").write_text(
        "image: alpine\npre_start: [touch /made]\ncommand: ls /made\n", encoding="utf-8"
    )
    done = second_user("up", "a.yaml")
    assert (done.stdout, done.stderr, done.code) == (b"/made\n", b"", 0)


@root
def test_variables_of_the_image(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    registry.push(busybox.alpine(env=["PATH=/bin", "GREETING=hello"]), "library/greets")
    done = mydocker("run", "--expand", "-e", "PATH=/x:$PATH", "greets", "/bin/echo", "$PATH", "${GREETING}", "$NOPE")
    assert (done.stdout, done.code) == (b"/x:/bin hello $NOPE\n", 0)
    done = mydocker("run", "-e", "A=$GREETING", "greets", "/bin/sh", "-c", "echo $A")
    assert done.stdout == b"$GREETING\n"


def test_only_what_is_known_is_replaced_in_the_command() -> None:
    spec = ContainerSpec(environment={"A": "$P:${Q}$R$", "B": "$A"}, command=("$A", "$? $1 ${B} $NO $$P", "${P}x"))
    found = expanded(spec, ["P=1", "Q=2=3", "odd"], path="/bin")
    assert found.environment == {"A": "1:2=3$", "B": ""}
    assert found.command == ("1:2=3$", "$? $1  $NO $1", "1x")
