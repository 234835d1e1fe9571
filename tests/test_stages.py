"""The tester's six stages, byte for byte: pulled from a real registry, then with the image present.

docker-explorer is a program of the host, at /usr/local/bin, which the image lacks. Here it lies there
in a private mount namespace only, so the machine is left as it was.
"""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest
from lab.busybox import TOP, alpine
from lab.command import Command, Result
from lab.oci import digest
from lab.registry import Registry

pytestmark = pytest.mark.root

EXPLORER = "/usr/local/bin/docker-explorer"

# a private view of the machine: the program in place, and a directory of the host that no image has
AS_THE_TESTER = """\
set -e
mount -t tmpfs tmpfs /usr/local/bin
cp "$1" /usr/local/bin/docker-explorer
mount -t tmpfs tmpfs /opt
mkdir /opt/some_dir
shift
exec "$@"
"""

STAGES = {
    "stdout": (("alpine:latest", EXPLORER, "echo", "hey"), Result(b"hey\n", b"", 0)),
    "stderr": (("alpine:latest", EXPLORER, "echo_stderr", "x"), Result(b"", b"x\n", 0)),
    "exit code": (("alpine:latest", EXPLORER, "exit", "27"), Result(b"", b"", 27)),
    "files": (("alpine:latest", EXPLORER, "ls", "/opt/some_dir"), Result(b"", b"No such file or directory\n", 2)),
    "pid": (("alpine:latest", EXPLORER, "mypid"), Result(b"1\n", b"", 0)),
    "image": (
        ("alpine", "/bin/sh", "-c", "/bin/ls /"),
        Result("".join(f"{name}\n" for name in TOP).encode(), b"", 0),
    ),
}


@pytest.fixture
def tester(mydocker: Command, explorer: pathlib.Path) -> Command:
    """The command on a machine that has docker-explorer and /opt/some_dir, with an empty store."""
    inside = ["unshare", "-m", "--propagation=private", "sh", "-c", AS_THE_TESTER, "sh", str(explorer)]
    return replace(mydocker, prefix=inside)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_with_a_pull_and_without(tester: Command, stage: str) -> None:
    arguments, expected = STAGES[stage]
    assert tester("run", *arguments) == expected
    assert tester("run", *arguments) == expected


def test_the_directory_exists_on_the_host(tester: Command) -> None:
    """Else the `files` stage would pass without any isolation."""
    here = replace(tester, program=pathlib.Path(EXPLORER))
    assert here("ls", "/opt") == Result(b"some_dir\n", b"", 0)


def test_the_program_leaves_no_trace_in_the_image(tester: Command) -> None:
    before = tester("run", "alpine", "/bin/ls", "/usr/local/bin")
    assert before.code == 0 and b"docker-explorer" not in before.stdout
    tester("run", "alpine", EXPLORER, "echo", "hey")
    assert tester("run", "alpine", "/bin/ls", "/usr/local/bin") == before


def test_files_written_are_gone_in_the_next_run(tester: Command) -> None:
    assert tester("run", "alpine", EXPLORER, "touch", "/etc/written").code == 0
    assert tester("run", "alpine", EXPLORER, "touch", "/opt/written").code == 0
    assert tester("run", "alpine", "/bin/ls", "/opt") == Result(b"", b"", 0)
    assert b"written" not in tester("run", "alpine", "/bin/ls", "/etc").stdout


def test_the_image_is_fetched_once(tester: Command, registry: Registry) -> None:
    layer = digest(alpine().layers[0])
    before = registry.blob_fetches(layer)
    for _ in range(2):
        assert tester("run", "alpine:latest", "true").code == 0
    assert registry.blob_fetches(layer) == before + 1
