"""Images for other processors: carried like any other, and run where the host has a handler for their programs."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import busybox, oci
from lab.command import Command, Result
from lab.oci import DIR, Program, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

OWN = busybox.ARCHITECTURE
OTHER, NUMBER = {"amd64": ("arm64", 183), "arm64": ("amd64", 62)}[OWN]  # elf.h, EM_…
S390 = 22
RELEASE = tuple(int(word) for word in os.uname().release.split(".")[:2])
NEEDS_HANDLERS = pytest.mark.skipif(RELEASE < (6, 7), reason="binfmt_misc in user namespaces came with Linux 6.7")
HANDLER = r"""
#include <stdio.h>
int main(int count, char **words) {
    for (int i = 1; i < count; i++)
        printf("%s ", words[i]);
    printf("by the handler\n");
    return 7;
}
"""


def _program(machine: int, *, order: str = "<") -> bytes:
    """The smallest ELF file (elf(5)) that a kernel for MACHINE would execute."""
    begin = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    header = struct.pack(f"{order}HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return begin + header + struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 4096)


@pytest.fixture
def foreign(registry: Registry) -> str:
    tar = layer(
        {
            "bin": DIR,
            "bin/prog": Program(_program(NUMBER)),
            "bin/big": Program(_program(S390, order=">")),
            "bin/odd": Program(_program(4711)),
            "script": Program(b"#!/bin/prog -x\n"),
            "no-script": Program(b"echo\n"),
            "cut": Program(b"\x7fELF"),
        }
    )
    registry.push(oci.image([tar], architecture=OTHER, cmd=["/bin/prog"]), "platforms/other")
    return "platforms/other"


@pytest.mark.parametrize(
    ("command", "user", "said"),
    [
        ((), "0", f"/bin/prog: exec format error: it is for {OTHER}, and this machine is {OWN}"),
        (("prog",), "5", f"/bin/prog: exec format error: it is for {OTHER}, and this machine is {OWN}"),
        (("/script",), "0", f"/script: exec format error: it is for {OTHER}, and this machine is {OWN}"),
        (("big",), "0", f"/bin/big: exec format error: it is for s390x, and this machine is {OWN}"),
        (("odd",), "0", f"/bin/odd: exec format error: it is for machine 4711, and this machine is {OWN}"),
        (("/no-script",), "0", "/no-script: exec format error"),
        (("/cut",), "0", "/cut: exec format error"),
    ],
)
def test_without_a_handler(mydocker: Command, foreign: str, command: tuple[str, ...], user: str, said: str) -> None:
    done = mydocker("run", "-u", user, "--platform", f"linux/{OTHER}", foreign, *command)
    first, *more = done.stderr.decode().splitlines()
    assert (first, done.stdout, done.code) == (f"mydocker: {said}", b"", 126)
    assert [("qemu-user-static" in line) for line in more] == ([True] if "it is for" in said else [])


def test_it_is_carried_as_it_is(mydocker: Command, foreign: str, tmp_path: pathlib.Path) -> None:
    other = ("--platform", f"linux/{OTHER}")
    assert mydocker("pull", "-q", *other, foreign).code == 0
    [before] = json.loads(mydocker("inspect", *other, foreign).stdout)
    assert before["Architecture"] == OTHER
    saved = tmp_path / "saved"
    assert mydocker("save", *other, "-o", str(saved), foreign) == Result(b"", b"", 0)
    for kind in ("oci-archive", "docker-archive"):
        words = ["skopeo", "inspect", "--config", f"{kind}:{saved}:docker.io/{foreign}:latest"]
        read = subprocess.run(words, capture_output=True, check=True)
        assert json.loads(read.stdout)["architecture"] == OTHER
    assert mydocker("rmi", *other, foreign).code == 0
    assert mydocker("load", "-q", *other, "-i", str(saved)).code == 0
    [after] = json.loads(mydocker("inspect", *other, foreign).stdout)
    assert (after["Id"], after["RootFS"]) == (before["Id"], before["RootFS"])
    plain = mydocker("run", foreign)
    assert plain.code == 125 and f"no image for platform linux/{OWN}" in plain.stderr.decode()


Handled = Callable[[str], Command]


@pytest.fixture
def handled(second_user: Command, user: pwd.struct_passwd, user_directory: Callable[[], pathlib.Path]) -> Handled:
    """The command in a user namespace that has a handler of its own, registered with the given flags (Linux 6.7)."""
    place = user_directory()
    (place / "handler.c").write_text(HANDLER)
    subprocess.run(["gcc", "-static", "-O1", "-o", place / "handler", place / "handler.c"], check=True)
    magic = _program(NUMBER)[:20]

    def make(flags: str) -> Command:
        words = [place / "handler", "".join(f"\\x{byte:02x}" for byte in magic)]
        line = ":other:M:0:{1}::{0}:".format(*words) + flags
        handlers = "/proc/sys/fs/binfmt_misc"
        script = f'mount -t binfmt_misc none {handlers}; printf %s "$0" > {handlers}/register'
        script += f'; exec unshare --user --map-user={user.pw_uid} --map-group={user.pw_gid} -- env "$@"'
        inner = ["unshare", "--user", "--map-root-user", "--mount"]
        return replace(second_user, prefix=[*second_user.prefix, *inner, "sh", "-ec", script, line])

    return make


@NEEDS_HANDLERS
@pytest.mark.rootless
def test_with_a_handler(handled: Handled, foreign: str) -> None:
    command = handled("F")
    done = command("run", "--platform", f"linux/{OTHER}", foreign)
    assert done == Result(b"/bin/prog by the handler\n", b"", 7)
    done = command("run", "--platform", f"linux/{OTHER}", foreign, "/script", "a")
    assert done == Result(b"/bin/prog -x /script a by the handler\n", b"", 7)
    assert f"{OWN}, {OTHER}" in command("doctor").stdout.decode()


@NEEDS_HANDLERS
@pytest.mark.rootless
def test_a_handler_that_the_kernel_looks_for_in_the_container(handled: Handled, foreign: str) -> None:
    command = handled("")
    done = command("run", "--platform", f"linux/{OTHER}", foreign)
    assert (done.code, done.stdout) == (126, b"")
    assert f"it is for {OTHER}" in done.stderr.decode() and "with flag F" in done.stderr.decode()
    finding = {each["name"]: each for each in json.loads(command("doctor", "--format", "json").stdout)["findings"]}
    assert finding["platforms"]["state"] == "weaker" and f"not in containers: {OTHER}" in finding["platforms"]["detail"]
