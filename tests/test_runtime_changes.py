"""What a container changed, as `changes` judges it and `diff` lists it, on every kind of root and for every user."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from lab.command import Command, Result

root = pytest.mark.root

DEEP = "import os; os.chdir('{}')\nfor _ in range(60): os.mkdir('d' * 100); os.chdir('d' * 100)\nopen('x', 'w').close()"

# a script, and the paths that changed in it; the tree has /opt/tree/{a,b/c,b/d} and /srv/file
ONLY = {
    "nothing": ("true", ""),
    "opened and left alone": (": >> /srv/file", ""),
    "changed and changed back": ("chmod 600 /srv/file; chmod 644 /srv/file", ""),
    "renamed and renamed back": ("mv /srv/file /srv/x; mv /srv/x /srv/file", ""),
    "other content, the same size and time": ("echo abd > /srv/file; touch -d @1000000000 /srv/file", "/srv/file"),
    "the same content, another time": ("touch /srv/file", "/srv/file"),
    "the mode of a directory": ("chmod 777 /opt", "/opt"),
    "the owner of a directory": ("chown 3 /opt/tree", "/opt/tree"),
    "removed and made again": ("rm -r /opt/tree; mkdir /opt/tree", "/opt/tree/a /opt/tree/b"),
    "replaced by a copy": (
        "cp -a /opt/tree /tmp/c; rm -r /opt/tree; cp -a /tmp/c /opt/tree; rm -r /tmp/c /opt/tree/b/d",
        "/opt/tree/b/d",
    ),
    "another type": ("rm /srv/file; mkdir /srv/file", "/srv/file"),
    "a new directory": ("mkdir /srv/new", "/srv/new"),
    "a new directory with content": ("mkdir /srv/new; touch /srv/new/x", "/srv/new/x"),
    "below what is mounted": ("touch /mnt/x; mkdir /new; rmdir /new", ""),
    "beside what is mounted": ("touch /etc/other", "/etc/other"),
    "the mode of what mydocker also made": ("chmod 700 /etc", "/etc"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory for `rootfs`, which other users may read."""
    top = tmp_path_factory.mktemp("tree")
    for name in ("bin", "opt/tree/b", "srv", "tmp", "etc"):
        (top / name).mkdir(parents=True)
    for name in ("opt/tree/a", "opt/tree/b/c", "opt/tree/b/d", "srv/file"):
        (top / name).write_text("abc\n")
        os.utime(top / name, (1_000_000_000, 1_000_000_000))
    shutil.copy(shutil.which("busybox") or "", top / "bin")
    for name in ("sh", "chmod", "chown", "rm", "mkdir", "rmdir", "mv", "touch", "cp", "true"):
        (top / "bin" / name).symlink_to("busybox")
    return top


def _changed(mydocker: Command, tree: pathlib.Path, script: str, directory: pathlib.Path) -> str:
    """The paths that SCRIPT changes, as a case reports them that allows none."""
    case = {
        "rootfs": str(tree),
        "command": ["sh", "-c", script.replace("$", "$$")],
        "volumes": [f"{directory}:/mnt"],
        "expect": {"changes": {"only": []}},
    }
    (directory / "x.smoke.yaml").write_text(json.dumps(case))
    done = mydocker("test", "--report", "json=-", str(directory / "x.smoke.yaml"))
    [result] = json.loads(done.stdout)["cases"]
    assert done.code in (0, 1) and result["verdict"] in ("passed", "failed"), done
    return " ".join(re.findall(r"(/[\w/]+) +changed", json.dumps(result["failures"])))


@root
@pytest.mark.parametrize("name", ONLY)
def test_changes(mydocker: Command, tree: pathlib.Path, name: str, tmp_path: pathlib.Path) -> None:
    script, expected = ONLY[name]
    assert _changed(mydocker, tree, script, tmp_path) == expected


@pytest.mark.rootless
@pytest.mark.parametrize("name", ONLY)
def test_changes_for_an_ordinary_user(second_user: Command, tree: pathlib.Path, name: str) -> None:
    script, expected = ONLY[name]
    if "chown 3" in script:  # there is no such user in a container with one id
        script = script.replace("chown 3", "chmod 700")
    readable = second_user.directory / "tree"
    subprocess.run(["cp", "-a", str(tree), readable], check=True)
    subprocess.run(["chown", "-hR", "--reference", str(second_user.directory), readable], check=True)
    done = subprocess.run(["install", "-d", "-m", "777", second_user.directory / "here"], check=True)
    assert done.returncode == 0
    assert _changed(second_user, readable, script, second_user.directory / "here") == expected


@root
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("chmod 711 /opt", "C /opt\n"),
        ("touch /opt/x", "C /opt\nA /opt/x\n"),
        (": >> /etc/passwd; touch /etc", ""),
        ("mkdir /mydocker-new", "A /mydocker-new\n"),
    ],
)
def test_on_the_machine_s_own_tree(mydocker: Command, script: str, expected: str) -> None:
    assert _diff(mydocker, "--rootfs", "/", "sh", "-c", script) == expected.encode()


def _diff(mydocker: Command, *words: str) -> bytes:
    done = mydocker("run", "--keep", *words)
    [found] = re.findall(rb"^mydocker: kept: mydocker diff ([0-9a-f]{12})$", done.stderr, re.MULTILINE)
    return mydocker("diff", found.decode()).stdout


@root
def test_names_that_are_not_utf_8(alpine: Command) -> None:
    listed = _diff(alpine, "alpine", "sh", "-c", r"touch $(printf '/srv/a\377b') $(printf '/srv/\303\274')")
    assert listed.decode() == "C /srv\nA /srv/a\\xffb\nA /srv/ü\n"
    [kept] = [each["id"] for each in json.loads(alpine("diff", "--format", "json").stdout)][-1:]
    as_json = alpine("diff", kept, "--format", "json").stdout
    assert [each["path"] for each in json.loads(as_json)] == ["/srv", "/srv/a\\xffb", "/srv/ü"]
    assert b"\\ud" not in as_json


@root
@pytest.mark.parametrize("words", [("--rootfs", "/"), ("-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "alpine")])
def test_a_tree_deeper_than_a_path_is_long(mydocker: Command, words: tuple[str, ...]) -> None:
    """4,096 bytes at most (path_resolution(7)); in memory, where it is copied, and on disk, where it is moved."""
    python = os.path.realpath("/usr/bin/python3")
    bound = ("-v", "/lib64:/lib64:ro") if "alpine" in words else ()
    lines = _diff(mydocker, *bound, *words, python, "-c", DEEP.format("/opt")).splitlines()
    made = [line for line in lines if line.startswith(b"A /opt/d")]
    assert len(made) == 61 and made[-1].endswith(b"/x")
    assert mydocker("prune").code == 0
    assert os.listdir(mydocker.store / "kept") == []


@root
def test_what_is_kept_is_moved(alpine: Command) -> None:
    """On one file system no byte is copied: the file is the one that the container wrote."""
    script = "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; sync; stat -c %i /big"
    done = alpine("run", "--keep", "alpine", "sh", "-c", script)
    [found] = re.findall(r"diff ([0-9a-f]{12})", done.stderr.decode())
    kept = alpine.store / "kept" / found / "0" / "big"
    assert kept.stat().st_ino == int(done.stdout)


@root
def test_nothing_runs_that_could_not_be_kept(alpine: Command, tmp_path: pathlib.Path) -> None:
    shutil.rmtree(alpine.store / "kept", ignore_errors=True)
    (alpine.store / "kept").write_text("in the way")
    try:
        done = alpine("run", "--keep", "-v", f"{tmp_path}:/mnt", "alpine", "touch", "/mnt/ran")
    finally:
        (alpine.store / "kept").unlink()
    message = f"mydocker: nothing can be kept in {alpine.store}/kept: File exists\n"
    assert done == Result(b"", message.encode(), 125)
    assert not (tmp_path / "ran").exists()
