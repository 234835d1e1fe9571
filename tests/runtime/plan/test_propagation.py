"""Mounts that pass, or do not, between host and container: each test has a mount namespace of its own for a host."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

# what is mounted where: /host is shared, as systemd has it, but for the mount at /host/private
HOST = """
set -e
mount --make-rprivate /
mount -t tmpfs host "$0"; mount --make-shared "$0"
mkdir "$0/private" "$0/late" "$0/own"
mount -t tmpfs private "$0/private"; mount --make-private "$0/private"
"$@" &
for try in $(seq 10000); do ! [ -e "$0/ready" ] || break; sleep 0.02; done
mkdir "$0/late/host"; mount -t tmpfs late "$0/late/host"; touch "$0/go"
code=0; wait $! || code=$?
cut -d' ' -f5 /proc/self/mountinfo | grep "^$0/" | sed "s,^$0,host," | sort
exit $code
"""
INSIDE = """
mkdir -p /v/own/it && mount -t tmpfs it /v/own/it && touch /v/ready
while ! [ -e /v/go ]; do sleep 0.02; done
cut -d' ' -f5 /proc/self/mountinfo | grep ^/v/ | sort
"""


def _run(alpine: Command, top: pathlib.Path, *words: str, starts: bool = True) -> tuple[set[str], str]:
    """What is mounted below /v in the container and below the host's directory in the end; and the errors. One that
    never STARTS is not waited for."""
    host = HOST if starts else HOST.replace("seq 10000", "seq 1")
    script = replace(alpine, prefix=["unshare", "--mount", "sh", "-c", host, str(top)])
    done = script("run", "--privileged", *words)
    return set(done.stdout.decode().split()), done.stderr.decode()


ALWAYS = {"host/private", "host/late/host", "/v/private", "/v/own/it"}


@pytest.mark.parametrize(
    ("option", "more"),
    [
        ("", set()),
        ("rprivate", set()),
        ("rslave", {"/v/late/host"}),
        ("rshared", {"/v/late/host", "host/own/it"}),
        ("shared", {"/v/late/host", "host/own/it"}),
    ],
)
def test_what_passes(alpine: Command, tmp_path: pathlib.Path, option: str, more: set[str]) -> None:
    volume = f"{tmp_path}:/v:{option}".rstrip(":")
    assert _run(alpine, tmp_path, "-v", volume, "alpine", "sh", "-c", INSIDE) == (ALWAYS | more, "")


def test_the_long_form(alpine: Command, tmp_path: pathlib.Path) -> None:
    mount = f"type=bind,src={tmp_path},dst=/v,bind-propagation=rshared"
    found, errors = _run(alpine, tmp_path, "--mount", mount, "alpine", "sh", "-c", INSIDE)
    assert (found, errors) == (ALWAYS | {"/v/late/host", "host/own/it"}, "")


@pytest.mark.parametrize("option", ["rshared", "shared", "rslave", "slave"])
def test_a_private_source(alpine: Command, tmp_path: pathlib.Path, option: str) -> None:
    """Nothing would ever pass: Docker refuses it as well."""
    volume = f"{tmp_path}/private:/v:{option}"
    found, errors = _run(alpine, tmp_path, "-v", volume, "alpine", "true", starts=False)
    assert f"{tmp_path}/private" in errors and "is private" in errors and "mount --make-shared" in errors
    assert found == {"host/private", "host/late/host"}


def test_a_source_that_is_missing(alpine: Command) -> None:
    done = alpine("run", "-v", "/no/such/place:/v:rshared", "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125) and b"/no/such/place does not exist" in done.stderr
