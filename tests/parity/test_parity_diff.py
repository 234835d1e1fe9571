"""What a container changed, as `docker diff` lists it."""

from __future__ import annotations

import re
import uuid

import pytest
from peer import Peer

pytestmark = pytest.mark.root

# the base has /etc/{passwd,group,profile.d/x,link}, /opt/tree/{a,b/c,b/d}, /srv
CASES = {
    "nothing": ("true", []),
    "a new file": ("echo x > /srv/new", ["C /srv", "A /srv/new"]),
    "a new tree": ("mkdir -p /srv/n/m; touch /srv/n/m/f", ["C /srv", "A /srv/n", "A /srv/n/m", "A /srv/n/m/f"]),
    "a changed file": ("echo x >> /etc/passwd", ["C /etc", "C /etc/passwd"]),
    "opened for writing and left alone": (": >> /etc/passwd", []),
    "locked": ("flock /etc/passwd true; exec 9<>/etc/group", []),
    "the mode changed and changed back": ("chmod 600 /etc/passwd; chmod 644 /etc/passwd", []),
    "the same content at another time": ("touch -d 2001-01-01 /etc/passwd", ["C /etc", "C /etc/passwd"]),
    "the mode of a file": ("chmod 600 /etc/passwd", ["C /etc", "C /etc/passwd"]),
    "the owner of a file": ("chown 1 /etc/passwd", ["C /etc", "C /etc/passwd"]),
    "the group of a file": ("chgrp 1 /etc/passwd", ["C /etc", "C /etc/passwd"]),
    "the mode of a directory": ("chmod 777 /etc", ["C /etc"]),
    "the owner of a directory": ("chown 1 /opt/tree", ["C /opt", "C /opt/tree"]),
    "the time of a directory": ("touch /opt/tree", []),
    "a file removed": ("rm /etc/group", ["C /etc", "D /etc/group"]),
    "a tree removed": ("rm -r /opt/tree", ["C /opt", "D /opt/tree"]),
    "a new file removed again": ("touch /srv/new; rm /srv/new", []),
    "a tree removed and made again, empty": (
        "rm -r /opt/tree; mkdir /opt/tree",
        ["C /opt", "C /opt/tree", "D /opt/tree/a", "D /opt/tree/b"],
    ),
    "a tree removed and made again, in part": (
        "cp -a /opt/tree /srv/copy; rm -r /opt/tree; cp -a /srv/copy /opt/tree; rm -r /srv/copy /opt/tree/b/c",
        ["C /opt", "C /opt/tree", "C /opt/tree/b", "D /opt/tree/b/c"],
    ),
    "a file became a directory": (
        "rm /etc/group; mkdir /etc/group; touch /etc/group/x",
        ["C /etc", "C /etc/group", "A /etc/group/x"],
    ),
    "a directory became a file": ("rm -r /opt/tree; echo x > /opt/tree", ["C /opt", "C /opt/tree"]),
    "a file became a link": ("ln -sf passwd /etc/group", ["C /etc", "C /etc/group"]),
    "a link leads elsewhere": ("ln -sfn group /etc/link", ["C /etc", "C /etc/link"]),
    "a fifo and a link": ("mkfifo /srv/p; ln -s x /srv/l", ["C /srv", "A /srv/l", "A /srv/p"]),
    "renamed": ("mv /etc/group /etc/groups", ["C /etc", "D /etc/group", "A /etc/groups"]),
    "a renamed tree": (
        "mv /opt/tree /opt/moved",
        [
            "C /opt",
            "A /opt/moved",
            "A /opt/moved/a",
            "A /opt/moved/b",
            "A /opt/moved/b/c",
            "A /opt/moved/b/d",
            "D /opt/tree",
        ],
    ),
    "a hard link": ("ln /etc/passwd /etc/again", ["C /etc", "A /etc/again"]),
    "a name with a blank": ("touch '/srv/a b'", ["C /srv", "A /srv/a b"]),
}


@pytest.mark.parametrize("name", CASES)
def test_diff(peer: Peer, name: str) -> None:
    script, expected = CASES[name]
    container = f"diff-{uuid.uuid4().hex[:8]}"
    keep = ("--keep",) if peer.name == "mydocker" else ("--name", container)
    words = ["run", *keep, "--network", "none", f"{peer.registry}/lab/tree", "sh", "-c", script]
    done = peer.command(*words)
    assert done.code == 0, done
    if peer.name == "mydocker":
        [container] = re.findall(rb"mydocker diff ([0-9a-f]+)", done.stderr)
        container = container.decode()
    listed = peer.command("diff", container).stdout.decode().splitlines()
    if peer.name != "mydocker":
        peer.command("rm", container)
    if peer.name == "podman":  # makes files for its mounts in there
        listed, expected = [[line for line in lines if line != "C /etc"] for lines in (listed, expected)]
    assert sorted(listed, key=lambda line: line[2:]) == sorted(expected, key=lambda line: line[2:])
