"""`mydocker run` as a script uses it: messages, lent programs, layers. See tests/parity for what docker run does."""

from __future__ import annotations

import os
import pathlib
import signal

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result
from lab.oci import DIR, OPAQUE, WHITEOUT, layer
from lab.processes import wait_for
from lab.registry import Registry

pytestmark = pytest.mark.root


def _run(mydocker: Command, *words: str) -> Result:
    return mydocker("run", *words)


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


def test_upper_layers_hide_lower_ones(mydocker: Command, registry: Registry) -> None:
    first = layer({"data": DIR, "data/gone": b"1", "data/kept": b"1", "full": DIR, "full/old": b"1"})
    second = layer([("data/gone", WHITEOUT), ("data/new", b"2"), ("full", DIR), ("full", OPAQUE), ("full/new", b"2")])
    registry.push(image(first, second), "lab/layers")
    expected = Result(b"/data:\nkept\nnew\n\n/full:\nnew\n", b"", 0)
    assert _run(mydocker, "lab/layers", "ls", "/data", "/full") == expected


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


@pytest.mark.root
@pytest.mark.parametrize(
    ("policy", "runs", "code"), [("no", 1, 1), ("on-failure:1", 2, 1), ("on-failure", 3, 0), ("always", 4, 7)]
)
def test_a_run_is_restarted_by_its_policy(
    alpine: Command, tmp_path: pathlib.Path, policy: str, runs: int, code: int
) -> None:
    """The third run succeeds; the fourth one waits for its end."""
    script = (
        "trap 'exit 7' TERM; echo x | tee -a /srv/count; n=$(wc -l < /srv/count); "
        "test $n -lt 4 || while :; do sleep 0.05; done; test $n = 3"
    )
    process = alpine.start("run", "--restart", policy, "-v", f"{tmp_path}:/srv", "alpine", "sh", "-c", script)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(runs)] == [b"x\n"] * runs
    if policy == "always":
        process.terminate()
    process.communicate(timeout=240)
    assert process.returncode == code
    assert (tmp_path / "count").read_text() == "x\n" * runs


@pytest.mark.root
def test_a_run_that_is_stopped_after_its_end_is_not_started_again(alpine: Command, tmp_path: pathlib.Path) -> None:
    """What it wrote is still taken then."""
    script = "echo >> /srv/starts; head -c 100000 /dev/zero; touch /srv/over"
    process = alpine.start("run", "--restart", "always", "-v", f"{tmp_path}:/srv", "alpine", "sh", "-c", script)
    try:
        wait_for((tmp_path / "over").exists)
        process.send_signal(signal.SIGTERM)
        process.wait(100)
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "starts").read_text() == "\n"


@pytest.mark.parametrize("option", ["--rm", "--rm=true", "--keep", "--cidfile=id"])
def test_what_is_about_one_run_excludes_restarts(mydocker: Command, option: str) -> None:
    done = mydocker("run", "--restart", "always", option, "alpine")
    assert (done.code, option.partition("=")[0] in done.stderr.decode()) == (125, True)
    assert "exclude each other" in done.stderr.decode()
