"""What a container changed: `docker diff`, `podman diff`, and `mydocker diff` of what `run --keep` kept."""

from __future__ import annotations

import pathlib

import pytest
from lab import trees
from peer import Peer

PROGRAM = ("C /bin", "A /bin/change-file")  # which is mounted where a command of its own is needed
A_TIME = "2020-01-01 00:00:00"

pytestmark = pytest.mark.root

# what the container does -> what has changed then; the image's tree is in conftest.py
CASES: dict[str, tuple[str, list[str]]] = {
    "nothing": ("true", []),
    "a new file": ("echo x > /srv/new", ["C /srv", "A /srv/new"]),
    "a new tree": ("mkdir -p /srv/a/b; touch /srv/a/b/c", ["C /srv", "A /srv/a", "A /srv/a/b", "A /srv/a/b/c"]),
    "a new file at the top": ("touch /new", ["A /new"]),
    "a new name of a file": ("ln /opt/d/f /srv/f", ["C /srv", "A /srv/f"]),
    "two names of a new file": ("echo > /srv/a; ln /srv/a /srv/b", ["C /srv", "A /srv/a", "A /srv/b"]),
    "new nodes": (
        "mkfifo /srv/fifo; mknod /srv/null c 1 3; ln -s nowhere /srv/link",
        ["C /srv", "A /srv/fifo", "A /srv/link", "A /srv/null"],
    ),
    "contents": ("echo more >> /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "one name of two": ("echo more >> /opt/d/g", ["C /opt", "C /opt/d", "C /opt/d/g"]),
    "a mode": ("chmod 700 /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "a setuid bit": ("chmod u+s /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "an owner": ("chown bin /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "a group": ("chgrp bin /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "a time": (f"touch -d '{A_TIME}' /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "an attribute": ("change-file attribute /opt/d/f user.x y", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "contents of the same size and time": (
        "touch -r /opt/d/f /tmp/t; printf ABC > /opt/d/f; touch -r /tmp/t /opt/d/f; rm /tmp/t",
        ["C /opt", "C /opt/d", "C /opt/d/f"],
    ),
    "the mode of a directory": ("chmod 777 /opt/d", ["C /opt", "C /opt/d"]),
    "the mode of a directory at the top": ("chmod 777 /etc", ["C /etc"]),
    "the owner of a directory": ("chown bin:bin /opt/d", ["C /opt", "C /opt/d"]),
    "the time of a directory": (f"touch -d '{A_TIME}' /opt/d", []),
    "an attribute of a directory": ("change-file attribute /opt/d user.x y", ["C /opt", "C /opt/d"]),
    "the mode of the root": ("chmod 700 /", ["C /"]),
    "the target of a link": ("ln -sfn other /opt/d/l", ["C /opt", "C /opt/d", "C /opt/d/l"]),
    "the owner of a link": ("chown -h bin /opt/d/l", ["C /opt", "C /opt/d", "C /opt/d/l"]),
    "opened for writing": (": >> /opt/d/f; exec 9<>/opt/d/g", []),
    "locked": ("change-file lock /opt/d/f", []),
    "linked and unlinked": ("ln /opt/d/f /opt/d/x; rm /opt/d/x", []),
    "renamed and back": ("mv /opt/d/f /opt/d/x; mv /opt/d/x /opt/d/f", []),
    "another mode and back": ("chmod 700 /opt/d/f; chmod 644 /opt/d/f", []),
    "another owner and back": ("chown bin /opt/d/f; chown root /opt/d/f", []),
    "a directory of another mode and back": ("chmod 777 /opt/d; chmod 755 /opt/d", []),
    "made and removed": ("touch /opt/d/x; rm /opt/d/x; mkdir /opt/m; rmdir /opt/m", []),
    "a copy in its place": ("cp -p /opt/d/f /opt/d/x; mv /opt/d/x /opt/d/f", []),
    "removed": ("rm /opt/d/f", ["C /opt", "C /opt/d", "D /opt/d/f"]),
    "a directory removed": ("rm -r /opt/man", ["C /opt", "D /opt/man"]),
    "a directory removed and made": (
        "rm -r /opt/man; mkdir /opt/man",
        ["C /opt", "C /opt/man", "D /opt/man/README", "D /opt/man/man1", "D /opt/man/man5"],
    ),
    "a directory removed and made as another": (
        "rm -r /opt/man; mkdir -m 700 /opt/man",
        ["C /opt", "C /opt/man", "D /opt/man/README", "D /opt/man/man1", "D /opt/man/man5"],
    ),
    "a directory removed and some of it made": (
        "cp -a /opt/man /tmp/m; rm -r /opt/man; mkdir /opt/man; mv /tmp/m/README /opt/man; mkdir /opt/man/man1;"
        "touch /opt/man/new; rm -r /tmp/m",
        [
            "C /opt",
            "C /opt/man",
            "C /opt/man/man1",
            "D /opt/man/man1/a",
            "D /opt/man/man1/b",
            "D /opt/man/man5",
            "A /opt/man/new",
        ],
    ),
    "removed in a directory that was made again": (
        "rm -r /opt/man; mkdir /opt/man; touch /opt/man/README /opt/man/new; rm /opt/man/README /opt/man/new",
        ["C /opt", "C /opt/man", "D /opt/man/README", "D /opt/man/man1", "D /opt/man/man5"],
    ),
    "an empty directory removed and made": ("rmdir /opt/empty; mkdir /opt/empty", []),
    "a directory renamed": (
        "mv /opt/man /opt/neu",
        [
            "C /opt",
            "D /opt/man",
            "A /opt/neu",
            "A /opt/neu/README",
            "A /opt/neu/man1",
            "A /opt/neu/man1/a",
            "A /opt/neu/man1/b",
            "A /opt/neu/man5",
            "A /opt/neu/man5/c",
        ],
    ),
    "a directory renamed and back": ("mv /opt/man /opt/neu; mv /opt/neu /opt/man", []),
    "a file renamed": ("mv /opt/d/f /opt/f", ["C /opt", "C /opt/d", "D /opt/d/f", "A /opt/f"]),
    "a directory in the place of a file": (
        "rm /opt/d/f; mkdir /opt/d/f; touch /opt/d/f/x",
        ["C /opt", "C /opt/d", "C /opt/d/f", "A /opt/d/f/x"],
    ),
    "a file in the place of a directory": ("rm -r /opt/man; touch /opt/man", ["C /opt", "C /opt/man"]),
    "a link in the place of a directory": ("rm -r /opt/man; ln -s d /opt/man", ["C /opt", "C /opt/man"]),
    "a directory in the place of a link": (
        "rm /opt/d/l; mkdir /opt/d/l; touch /opt/d/l/f",
        ["C /opt", "C /opt/d", "C /opt/d/l", "A /opt/d/l/f"],
    ),
    "a link in the place of a file": ("ln -sf g /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "a fifo in the place of a file": ("rm /opt/d/f; mkfifo /opt/d/f", ["C /opt", "C /opt/d", "C /opt/d/f"]),
    "another device": (
        "rm /opt/d/null; mknod -m 644 /opt/d/null c 1 5; touch -d @1700000000 /opt/d/null",
        ["C /opt", "C /opt/d", "C /opt/d/null"],
    ),
    "the same device": ("rm /opt/d/null; mknod -m 644 /opt/d/null c 1 3; touch -d @1700000000 /opt/d/null", []),
    "what a higher layer had": (
        "rm /opt/l/over; echo more >> /opt/l/both",
        ["C /opt", "C /opt/l", "C /opt/l/both", "D /opt/l/over"],
    ),
    "what a higher layer had hidden": (
        "touch /opt/l/gone; mkdir /opt/l/tree",
        ["C /opt", "C /opt/l", "A /opt/l/gone", "A /opt/l/tree"],
    ),
    "what an opaque layer had hidden": (
        "touch /opt/op/old; rm /opt/op/new",
        ["C /opt", "C /opt/op", "D /opt/op/new", "A /opt/op/old"],
    ),
    "directories of several layers removed and made": (
        "rm -r /opt/l /opt/op; mkdir /opt/l /opt/op",
        ["C /opt", "C /opt/l", "D /opt/l/both", "D /opt/l/over", "D /opt/l/under", "C /opt/op", "D /opt/op/new"],
    ),
    "names that are not UTF-8": ("touch $(printf '/srv/\\377')", ["C /srv", r"A /srv/\xff"]),
    "a name on two lines": ("touch \"$(printf '/srv/a\\nb')\"", ["C /srv", r"A /srv/a\nb"]),
    "names with blanks and backslashes": (r"touch '/srv/a b' '/srv/a\x62'", ["C /srv", "A /srv/a b", r"A /srv/a\x62"]),
    "what is mounted": ("echo 1.2.3.4 x >> /etc/hosts; touch /etc/resolv.conf; echo x > /dev/shm/x", []),
}


@pytest.fixture(scope="module")
def change_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return trees.build(tmp_path_factory.mktemp("change-file"), "change-file")


@pytest.mark.parametrize("name", CASES)
def test_diff(peer: Peer, change_file: pathlib.Path, name: str) -> None:
    script, changes = CASES[name]
    options = ("-v", f"{change_file}:/bin/change-file:ro") if "change-file" in script else ()
    listed = peer.changes(script, *options, image="lab/changes")
    assert [line for line in listed if line not in PROGRAM] == changes


# options, that make mount points, and what the container does -> what has changed then
MOUNTED: dict[str, tuple[tuple[str, ...], str, list[str]]] = {
    "a volume": (("-v", "/usr:/new/mount:ro"), "true", []),
    "a volume next to a new file": (("-v", "/usr:/new/mount:ro"), "touch /new/x", ["A /new", "A /new/x"]),
    "a file": (("-v", "/etc/passwd:/new/file:ro"), "true", []),
    "a volume below a link": (("-v", "/usr:/var/run/x/y:ro"), "true", []),
    "a tmpfs": (("--tmpfs", "/opt/t/u"), "touch /opt/t/u/x", []),
    "a working directory": (("-w", "/w/x"), "touch y", ["A /w", "A /w/x", "A /w/x/y"]),
    "an unused working directory": (("-w", "/w/x"), "true", []),
}


@pytest.mark.parametrize("name", MOUNTED)
def test_diff_of_mount_points(peer: Peer, name: str) -> None:
    options, script, changes = MOUNTED[name]
    assert peer.changes(script, *options, image="lab/changes") == changes
