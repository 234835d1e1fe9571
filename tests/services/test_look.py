"""Looking into containers in the background: while they run, while they are paused, and when they have stopped."""

from __future__ import annotations

import io
import json
import pathlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command
from lab.processes import within

root = pytest.mark.root
rootless = pytest.mark.rootless

SCRIPT = "rm -r /etc/profile.d; chmod 600 /etc/group; mkdir -p /a/b; echo new > /new; exec sleep 3600"
CHANGES = ["A /a", "A /a/b", "C /etc", "C /etc/group", "D /etc/profile.d", "A /new"]


@contextmanager
def background(mydocker: Command, name: str, *options: str, script: str = SCRIPT) -> Iterator[None]:
    started = mydocker("run", "-d", "--name", name, *options, "alpine", "sh", "-c", script)
    assert started.code == 0, started
    try:
        assert within(200, lambda: mydocker("exec", name, "test", "-s", "/new").code == 0)
        yield
    finally:
        mydocker("rm", "-f", name)


def _diff(mydocker: Command, name: str) -> list[str]:
    done = mydocker("diff", name)
    assert done.code == 0, done
    return done.stdout.decode().splitlines()


def _exported(mydocker: Command, name: str) -> dict[str, tarfile.TarInfo]:
    done = mydocker("export", name)
    assert done.code == 0, done
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        return {info.name: info for info in tar}


def _all_of_it(mydocker: Command, directory: pathlib.Path, name: str) -> None:
    with background(mydocker, name):
        for state in ("running", "stopped"):
            if state == "stopped":
                assert mydocker("stop", "-t", "0", name).code == 0
                refused = mydocker("exec", name, "true")
                assert refused.code == 1 and b"is not running" in refused.stderr
            assert sorted(_diff(mydocker, name)) == sorted(CHANGES)
            members = _exported(mydocker, name)
            assert members["new"].size == 4 and members["etc/group"].mode == 0o600
            assert not {".", "./new", "etc/profile.d", "proc/1", "dev/null"} & members.keys()
            image = f"team/{name}:{state}"
            made = mydocker("commit", "-m", "words", "-c", 'CMD ["cat", "/new"]', "-c", "ENV X=1 Y='a b'", name, image)
            assert made.code == 0 and made.stdout.startswith(b"sha256:"), made
            assert mydocker("run", image).stdout == b"new\n"
            shown = mydocker("run", image, "sh", "-c", "echo $X $Y; stat -c %a /etc/group; ls -d /etc/profile.d /a/b")
            assert shown.stdout == b"1 a b\n600\n/a/b\n", shown
            described = json.loads(mydocker("inspect", image).stdout)[0]
            assert described["History"][-1]["comment"] == "words" and len(described["RootFS"]["Layers"]) == 2
        (directory / "given").write_text("given")
        assert mydocker("cp", str(directory / "given"), f"{name}:/a/b").code == 0
        assert "A /a/b/given" in _diff(mydocker, name)
        assert mydocker("start", name).code == 0
        assert mydocker("exec", name, "cat", "/a/b/given").stdout == b"given"
        assert mydocker("cp", f"{name}:/a/b/given", str(directory / "back")).code == 0
    assert (directory / "back").read_text() == "given"
    assert mydocker("rmi", f"team/{name}:running", f"team/{name}:stopped").code == 0
    assert mydocker("fsck").code == 0


@root
def test_an_image_made_of_a_container_runs_as_it_does(mydocker: Command) -> None:
    options = (
        *("-e", "A=1", "-u", "3:4", "-w", "/srv", "--label", "x=y", "--stop-signal", "INT", "--expose", "80"),
        *("-v", "/data", "--health-cmd", "test -e /new", "--health-interval", "2s", "--network", "none"),
    )
    started = mydocker("run", "-d", "--name", "set", *options, "--entrypoint", "/bin/sh", "alpine", "-c", "sleep 3600")
    assert started.code == 0, started
    assert mydocker("commit", "-c", "LABEL z=1", "set", "team/set").code == 0
    assert mydocker("rm", "-f", "set").code == 0
    config = json.loads(mydocker("inspect", "team/set").stdout)[0]["Config"]
    assert config["Env"][0] == "A=1" and config["Env"][-1].startswith("PATH=")
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("3:4", "/srv", "SIGINT")
    assert config["Labels"] == {"x": "y", "z": "1"}
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh"], ["-c", "sleep 3600"])
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "test -e /new"], "Interval": 2_000_000_000}
    done = mydocker("run", "team/set", "-c", "echo $A; pwd; id -u; id -g")
    assert done.stdout == b"1\n/srv\n3\n4\n", done


@root
def test_of_root_s(alpine: Command, tmp_path: pathlib.Path) -> None:
    _all_of_it(alpine, tmp_path, "looked-into")


@rootless
def test_of_an_ordinary_user_s(second_user: Command) -> None:
    _all_of_it(second_user, second_user.directory / "home", "looked-into")


@root
def test_a_paused_one(alpine: Command) -> None:
    with background(alpine, "paused-kept"):
        assert alpine("pause", "paused-kept").code == 0
        assert b'"Status": "paused"' in alpine("inspect", "paused-kept").stdout
        refused = alpine("exec", "paused-kept", "true")
        assert refused.code == 1 and b"is paused" in refused.stderr
        assert alpine("unpause", "paused-kept").code == 0
        assert alpine("exec", "paused-kept", "true").code == 0
        assert alpine("pause", "paused-kept").code == 0
        assert alpine("stop", "-t", "1", "paused-kept").code == 0
        assert b'"Status": "exited"' in alpine("inspect", "paused-kept").stdout


@root
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("commit", "settings", "x"), 1, "no such container"),
        (("commit", "-c", "RUN x", "looked-at", "x"), 2, "expected an instruction"),
        (("commit", "-c", "CMD [1]", "looked-at", "x"), 2, "expected a list"),
        (("commit", "-c", "ENV x", "looked-at", "x"), 2, "expected NAME=VALUE"),
        (("commit", "looked-at", "x@sha256:" + "0" * 64), 2, "not a digest"),
        (("export", "none-such"), 1, "no such container"),
        (("diff", "none-such"), 1, "none-such"),
        (("cp", "none-such:/x", "."), 1, "no such container"),
    ],
)
def test_what_is_wrong(alpine: Command, words: tuple[str, ...], code: int, message: str) -> None:
    name = f"looked-at-{abs(hash(words))}"
    with background(alpine, name, script="echo > /new; sleep 3600"):
        done = alpine(*(name if word == "looked-at" else word for word in words))
    assert done.code == code and message in done.stderr.decode() and b"Traceback" not in done.stderr, done


@root
def test_an_archive_is_whole_or_not_there(mydocker: Command, tmp_path: pathlib.Path) -> None:
    started = mydocker("run", "-d", "--name", "tree", "--network", "none", "--rootfs", "/", "sleep", "3600")
    assert started.code == 0, started
    assert mydocker("stop", "-t", "0", "tree").code == 0
    (tmp_path / "old.tar").write_text("old")
    for name in ("new.tar", "old.tar"):
        done = mydocker("export", "-o", str(tmp_path / name), "tree")
        assert done.code == 1 and b"was in memory" in done.stderr, done
    mydocker("rm", "tree")
    assert (tmp_path / "old.tar").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("new") or path.name.endswith(".part")]
    with background(mydocker, "tree", "--network", "none"):
        assert mydocker("export", "-o", str(tmp_path / "old.tar"), "tree").code == 0
    with tarfile.open(tmp_path / "old.tar") as tar:
        assert "new" in tar.getnames()
    assert mydocker("export", "-o", str(tmp_path / "gone/x.tar"), "tree").code != 0
