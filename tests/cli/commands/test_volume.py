"""`mydocker volume`: what it lists and removes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import pytest
from lab.command import Command, Result

pytestmark = pytest.mark.root


@pytest.fixture
def box(mydocker: Command) -> Command:
    """The command with two volumes, one of which has something in it."""
    assert mydocker("volume", "create", "one", "two") == Result(b"one\ntwo\n", b"", 0)
    assert mydocker("run", "-v", "two:/data", "alpine", "touch", "/data/x").code == 0
    return mydocker


def test_there_are_none(mydocker: Command) -> None:
    assert mydocker("volume", "ls") == Result(b"DRIVER    VOLUME NAME   CREATED   IN USE\n", b"", 0)
    assert mydocker("volume", "ls", "-q") == Result(b"", b"", 0)
    assert json.loads(mydocker("volume", "ls", "--format", "json").stdout) == []
    assert mydocker("volume", "prune") == Result(b"", b"", 0)
    assert mydocker("volume", "rm", "data").code == mydocker("volume", "inspect", "data").code == 1
    assert not mydocker.store.joinpath("volumes").exists()


def test_ls(box: Command) -> None:
    lines = box("volume", "ls").stdout.decode().splitlines()
    assert [line.split()[:2] for line in lines] == [["DRIVER", "VOLUME"], ["local", "one"], ["local", "two"]]
    assert [re.split("  +", line)[3] for line in lines] == ["IN USE", "no", "no"]
    assert box("volume", "ls", "--quiet") == Result(b"one\ntwo\n", b"", 0)
    [one, two] = json.loads(box("volume", "ls", "--format", "json").stdout)
    assert (one["name"], two["name"], two["in_use"]) == ("one", "two", False)
    assert two["path"] == str(box.store / "volumes/two/data") and os.listdir(two["path"]) == ["x"]


def test_inspect_has_the_keys_of_docker(box: Command) -> None:
    done = box("volume", "inspect", "two", "three", "one")
    found = json.loads(done.stdout)
    assert [volume["Name"] for volume in found] == ["two", "one"]
    assert list(found[0]) == ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found[0]["CreatedAt"])
    assert done.code == 1 and b"there is no volume three" in done.stderr


IN_TEMPLATES = {  # words after `volume` -> what they print
    "ls --format {{.Name}},{{.Driver}},{{.Scope}}": "one,local,local\ntwo,local,local\n",
    "ls --format {{.Name}} -f name=wo": "two\n",
    "ls -q -f name=one -f name=two": "one\ntwo\n",
    "ls -q -f dangling=true": "one\ntwo\n",
    "ls -q --filter dangling=false": "",
    "ls -q -f driver=local -f name=one": "one\n",
    "ls -q -f label=a": "",
    "ls -q -f label!=a -f name=one": "one\n",
    "inspect -f {{.Name}},{{.Driver}},{{.Labels}},{{.Options}} two": "two,local,map[],map[]\n",
}


def test_templates_and_filters(box: Command) -> None:
    found = {words: box("volume", *words.split()).stdout.decode() for words in IN_TEMPLATES}
    assert found == IN_TEMPLATES
    assert box("volume", "inspect", "-f", "{{json .Labels}}", "two").stdout == b"null\n"


@pytest.mark.parametrize("word", ["nonesuch=1", "name", "dangling=x"])
def test_a_filter_that_is_none(mydocker: Command, word: str) -> None:
    done = mydocker("volume", "ls", "-f", word)
    assert (done.stdout, done.code) == (b"", 2) and b"--filter" in done.stderr


def test_create_chooses_a_name(mydocker: Command) -> None:
    name = mydocker("volume", "create").stdout.decode()
    assert re.fullmatch("[0-9a-f]{64}\n", name) and mydocker("volume", "ls", "-q").stdout.decode() == name


def test_create_leaves_what_is_there(box: Command) -> None:
    assert box("volume", "create", "two") == Result(b"two\n", b"", 0)
    assert box("run", "-v", "two:/data", "alpine", "ls", "/data") == Result(b"x\n", b"", 0)


def test_rm(box: Command) -> None:
    done = box("volume", "rm", "one", "three", "two")
    assert (done.stdout, done.code) == (b"one\ntwo\n", 1) and b"there is no volume three" in done.stderr
    assert os.listdir(box.store / "volumes") == []


def test_one_in_use_stays(box: Command) -> None:
    with _using(box, "two:/data"):
        assert b"yes" in box("volume", "ls").stdout.splitlines()[2]
        done = box("volume", "rm", "two", "one")
        assert (done.stdout, done.stderr) == (b"one\n", b"mydocker: volume two is in use by a container\n")
        assert done.code == 1
        assert box("volume", "prune", "--force") == Result(b"", b"", 0)
        with _using(box, "two:/other:ro"):
            pass
        assert box("volume", "rm", "two").code == 1, "one of two has ended"
    assert box("volume", "rm", "two") == Result(b"two\n", b"", 0)


class _using:
    """A container that lives as long as the `with`."""

    def __init__(self, mydocker: Command, volume: str) -> None:
        self.run = mydocker.start("run", "-i", "-v", volume, "alpine", "sh", "-c", "echo ready; cat")

    def __enter__(self) -> None:
        assert self.run.stdout and self.run.stdout.readline() == b"ready\n"

    def __exit__(self, *_: object) -> None:
        assert self.run.communicate(timeout=240) == (b"", b"") and self.run.returncode == 0


def test_rm_and_prune_take_dockers_options(box: Command) -> None:
    assert box("volume", "rm", "--force", "three", "one") == Result(b"one\n", b"", 0)
    assert box("volume", "rm", "-f", "one") == Result(b"", b"", 0)
    assert box("volume", "prune", "-a", "-f") == Result(b"two\n", b"", 0)


def test_prune_asks(box: Command) -> None:
    done = box("volume", "prune")
    assert (done.stdout, done.code) == (b"", 2) and b"--force" in done.stderr
    assert _on_a_terminal(box, "n") == 1 and len(os.listdir(box.store / "volumes")) == 2
    assert _on_a_terminal(box, "y") == 0 and os.listdir(box.store / "volumes") == []


def _on_a_terminal(mydocker: Command, answer: str) -> int:
    master, slave = os.openpty()
    with os.fdopen(master, "wb", buffering=0) as ours:
        run = mydocker.start("volume", "prune", stdin=slave, stdout=subprocess.DEVNULL)
        os.close(slave)
        ours.write(f"{answer}\n".encode())
        run.communicate(timeout=240)
    return run.returncode


def test_an_interrupted_removal_is_completed(box: Command) -> None:
    (box.store / "volumes" / "one").rename(box.store / "volumes" / ".removed-0")
    assert box("volume", "ls", "-q").stdout == b"two\n"
    assert box("volume", "rm", "two").code == 0
    assert os.listdir(box.store / "volumes") == []


WRONG = ["", "nonesuch", "rm", "rm ../../x", "rm -rf", "create a", "create a/b", "ls x"]


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_line(mydocker: Command, words: str) -> None:
    done = mydocker("volume", *words.split())
    assert (done.stdout, done.code) == (b"", 2) and b"Traceback" not in done.stderr


@pytest.mark.parametrize("part", ["", "/data", "/lock"])
def test_a_volume_replaced_by_a_link(box: Command, tmp_path: pathlib.Path, part: str) -> None:
    """Whoever can do that owns the store; still, nothing outside is shown or written."""
    outside = tmp_path / "outside"
    (outside / "data").mkdir(parents=True)
    (outside / "lock").touch()
    victim = pathlib.Path(f"{box.store}/volumes/two{part}")
    victim.rename(tmp_path / "moved")
    victim.symlink_to(outside / part.lstrip("/"))
    done = box("run", "-v", "two:/data", "alpine", "touch", "/data/y")
    assert (done.stdout, done.code) == (b"", 125) and b"volume two" in done.stderr
    assert b"Traceback" not in box("volume", "ls").stderr + box("volume", "rm", "two").stderr
    assert sorted(str(path.relative_to(outside)) for path in outside.rglob("*")) == ["data", "lock"]
