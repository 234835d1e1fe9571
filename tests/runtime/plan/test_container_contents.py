"""What a container finds inside, where it runs as root, without root, or with a tree of the user's own. What Docker and
Podman have too is in tests/parity."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
from contextlib import nullcontext

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result, granted
from lab.oci import Dir, File, Link, layer
from lab.registry import Registry

root = pytest.mark.root
FIRST = 1 << 20  # ids that nobody has here


def sh(command: Command, script: str, *options: str, name: str = "alpine") -> str:
    done = command("run", *options, name, "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


IMAGES = {
    "found/closed": image(layer({".": Dir(mode=0o700)}), volumes=["/data/deep", "/data", "etc/x"]),
    "found/reset": image(entrypoint=[""], cmd=["echo", "cmd"]),
    "found/linked": image(layer({"etc/mtab": Link("/canary/mtab"), "canary": Dir()})),
    "found/etc": image(layer({"new": Dir(), "etc": Link("/new")})),
    "found/mtab": image(layer({"etc/mtab": File(b"own\n")})),
    "found/loop": image(layer({"l": Link("/m"), "m": Link("/l")})),
}
FOUND = {  # image, options -> script, what it prints
    "the root": ("found/closed", "", "stat -c '%a %u' /", "755 0\n"),
    "the root of a read-only one": ("found/closed", "--read-only", "stat -c '%a %u' /", "755 0\n"),
    "volumes": ("found/closed", "", "stat -c '%a %u' /data /data/deep /etc/x", "755 0\n" * 3),
    "volumes can be written": ("found/closed", "", "touch /data/x /data/deep/x && echo ok", "ok\n"),
    "volumes of a read-only root": ("found/closed", "--read-only", "touch /data/x /data/deep/x && echo ok", "ok\n"),
    "an entrypoint that is none": ("found/reset", "", "echo ok", "ok\n"),
    "mtab": ("alpine", "", "readlink /etc/mtab", "/proc/mounts\n"),
    "an mtab of the image": ("found/mtab", "", "cat /etc/mtab", "own\n"),
    "a link of the image": ("found/linked", "", "readlink /etc/mtab; ls /canary", "/canary/mtab\n"),
    "a link to etc": ("found/etc", "", "ls -A /new | grep -c mtab || true", "0\n"),
    "df": ("alpine", "", "df /dev/shm | tail -1 | cut -d' ' -f1", "shm\n"),
    "low ports": ("alpine", "--network none", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "0\n"),
    "low ports that are set": (
        "alpine",
        "--network none --sysctl net.ipv4.ip_unprivileged_port_start=9",
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
        "9\n",
    ),
    "HOME": ("alpine", "-e HOME=", "echo $HOME", "/root\n"),
    "an empty group": ("alpine", "-u 0:", "id -u; id -g", "0\n0\n"),
    "both empty": ("alpine", "-u :", "id -u; id -g", "0\n0\n"),
    "the null device": ("alpine", "-v /dev/null:/x/y", "echo x > /x/y; cat /x/y; echo ok", "ok\n"),
    "devices in a directory": ("alpine", "-v /dev:/d", "echo x > /d/null; head -c 3 /d/zero | wc -c", "3\n"),
    "devices of the whole machine": ("alpine", "-v /:/d", "echo x > /d/dev/null; echo ok", "ok\n"),
    "devices of the whole machine, privileged": (
        "alpine",
        "--privileged -v /:/d",
        "echo x > /d/dev/null; head -c 3 /d/dev/zero | wc -c",
        "3\n",
    ),
    "devices over those there are": (
        "alpine",
        "-v /dev:/dev",
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c",
        "3\n",
    ),
    "devices, privileged": (
        "alpine",
        "--privileged -v /dev:/dev",
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c",
        "3\n",
    ),
    "read-only files": (
        "alpine",
        "--read-only",
        "for x in hosts hostname resolv.conf; do (echo x >> /etc/$x) 2>/dev/null || echo $x; done",
        "hosts\nhostname\nresolv.conf\n",
    ),
    "the short id": ("alpine", "", "hostname | grep -cE '^[0-9a-f]{12}$'", "1\n"),
    "the host's name": ("alpine", "--network host", "hostname", f"{os.uname().nodename}\n"),
    "the host's name in hosts": ("alpine", "--network host", "grep -qw $(hostname) /etc/hosts && echo ok", "ok\n"),
    "another name": ("alpine", "--network host -h box", "hostname; grep -c box /etc/hosts", "box\n1\n"),
    "a long name": ("alpine", f"-h {'a' * 64}", "hostname", f"{'a' * 64}\n"),
}


@pytest.fixture(scope="module", autouse=True)
def _images(registry: Registry) -> None:
    for name, each in IMAGES.items():
        registry.push(each, name)


@root
@pytest.mark.parametrize("name", FOUND)
def test_found(alpine: Command, registry: Registry, name: str) -> None:
    used, options, script, expected = FOUND[name]
    assert sh(alpine, script, *options.split(), name=used) == expected


@pytest.mark.rootless
@pytest.mark.parametrize("has_ranges", [False, True])
def test_found_without_root(second_user: Command, user: pwd.struct_passwd, has_ranges: bool) -> None:
    if has_ranges and os.geteuid() != 0:
        return  # only root grants them
    with granted(user, FIRST) if has_ranges else nullcontext():
        found = {
            name: sh(second_user, script, *options.split(), name=used)
            for name, (used, options, script, _) in FOUND.items()
        }
    assert found == {name: expected for name, (_, _, _, expected) in FOUND.items()}


@pytest.mark.rootless
@root
def test_groups_without_root(second_user: Command, user: pwd.struct_passwd) -> None:
    with granted(user, FIRST):
        script = "grep ^Groups: /proc/self/status | cut -f2"
        for options, expected in {"-u mail": "12", "-u daemon": "2 1", "-u 42": "0", "-u mail:users": "100"}.items():
            assert sh(second_user, script, *options.split()).split() == sorted(expected.split()), options


@root
def test_a_tree_of_the_users_own_keeps_its_mode(alpine: Command, tmp_path: pathlib.Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copy(shutil.which("busybox") or "", tree / "busybox")
    tree.chmod(0o750)
    os.chown(tree, 7, 8)
    done = alpine("run", "--rootfs", str(tree), "/busybox", "stat", "-c", "%a %u:%g", "/")
    assert done == Result(b"750 7:8\n", b"", 0)
    assert sorted(path.name for path in tree.iterdir()) == ["busybox"]


@root
def test_nothing_is_put_into_a_volume_over_etc(alpine: Command, tmp_path: pathlib.Path) -> None:
    """The link to the mounts is the container's; a directory of the host gets only what is mounted on."""
    assert sh(alpine, "ls /etc/mtab 2>/dev/null || echo none", "-v", f"{tmp_path}:/etc") == "none\n"
    assert "mtab" not in os.listdir(tmp_path)


@root
def test_what_was_put_there_is_no_change(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(
        "image: found/closed\ncommand: touch /data/deep/x\nexpect: {changes: {only: [/data/deep/x]}}\n"
    )
    done = alpine("test", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0, done


@pytest.mark.rootless
@pytest.mark.parametrize("ranges", [False, True])
def test_keep_id_has_an_account(second_user: Command, user: pwd.struct_passwd, ranges: bool) -> None:
    if ranges and os.geteuid() != 0:
        return
    script = "whoami; id -un; id -gn; tail -n1 /etc/passwd; tail -n1 /etc/group; echo $HOME; grep -c . /etc/passwd"
    own = second_user.directory / "passwd"
    own.write_text("root:x:0:0::/:/bin/sh\n")
    with granted(user, FIRST) if ranges else nullcontext():
        shown = sh(second_user, script, "--userns", "keep-id").splitlines()
        again = sh(second_user, "grep -c : /etc/passwd", "--userns", "keep-id", "-v", f"{own}:/etc/passwd:ro")
        at_home = sh(second_user, "echo $HOME", "--userns", "keep-id", "-v", f"{second_user.directory}:{user.pw_dir}")
        read_only = sh(second_user, "whoami; echo $HOME", "--userns", "keep-id", "--read-only", "-w", "/srv")
    name, group = user.pw_name, user.pw_name
    numbers = f"{user.pw_uid}:{user.pw_gid}"
    assert shown[:3] == [name, name, group]
    assert shown[3:5] == [f"{name}:*:{numbers}:{user.pw_gecos}:/:/bin/sh", f"{group}:x:{user.pw_gid}:{name}"]
    assert shown[5:] == ["/", "7"]
    assert again == "1\n"
    assert at_home == f"{user.pw_dir}\n"
    assert read_only == f"{name}\n/srv\n"


KEPT = {
    "a number that the image has": b"mine:x:%d:5::/own:/bin/sh",
    "no end of line": b"root:x:0:0:root:/root:/bin/sh",
}


@root
@pytest.mark.rootless
@pytest.mark.parametrize("name", KEPT)
def test_keep_id_adds_what_is_missing(
    second_user: Command, registry: Registry, user: pwd.struct_passwd, name: str
) -> None:
    content = KEPT[name] % user.pw_uid if b"%d" in KEPT[name] else KEPT[name]
    registry.push(image(layer({"etc/passwd": content})), "found/accounts")
    shown = sh(
        second_user, "whoami; wc -l < /etc/passwd", "--userns", "keep-id", "--pull", "always", name="found/accounts"
    )
    assert shown == ("mine\n0\n" if b"mine" in content else f"{user.pw_name}\n2\n")


@root
@pytest.mark.rootless
@pytest.mark.parametrize("kind", ["a link", "none", "a fifo"])
def test_keep_id_leaves_odd_files_alone(
    second_user: Command, registry: Registry, canary: pathlib.Path, kind: str
) -> None:
    from lab.oci import WHITEOUT, Fifo

    entry = {"a link": Link(f"/../../..{canary}/file"), "none": WHITEOUT, "a fifo": Fifo()}[kind]
    registry.push(image(layer({"etc/passwd": entry})), "found/odd")
    done = second_user("run", "--userns", "keep-id", "--pull", "always", "found/odd", "ls", "/etc/passwd")
    assert done.code == (0 if kind == "a fifo" else 1) and done.stderr[:4] in (b"", b"ls: "), done


DIRECTORY = "in the container is a directory, and a file cannot be mounted there"
FILE = "in the container is a file, and a directory cannot be mounted there"
MISMATCHES = {
    "a file over a directory": (("-v", "/etc/passwd:/etc"), f"/etc {DIRECTORY}"),
    "a device over a directory": (("-v", "/dev/null:/etc"), f"/etc {DIRECTORY}"),
    "a chosen device over a directory": (("--device", "/dev/null:/etc"), f"/etc {DIRECTORY}"),
    "a tmpfs over a file": (("--tmpfs", "/etc/passwd"), f"/etc/passwd {FILE}"),
    "a directory over a file": (("-v", "/etc:/etc/passwd"), "/etc/passwd in the container is not a directory"),
    "a volume over a file": (("-v", "vol:/etc/passwd"), "/etc/passwd in the container is not a directory"),
    "copy-on-write over a file": (("-v", "/etc:/etc/passwd:O"), "/etc/passwd in the container is not a directory"),
    "below a file": (("-v", "/etc:/etc/passwd/x"), "/etc/passwd/x in the container is not a directory"),
    "over a loop": (("-v", "/etc:/l"), "/l in the container leads through too many symbolic links"),
    "below a loop": (("-v", "/etc:/l/x"), "/l/x in the container leads through too many symbolic links"),
    "below a read-only volume": (
        ("-v", "/srv:/x:ro", "-v", "/etc:/x/y"),
        "/x/y cannot be created in the container: Read",
    ),
    "a name that is too long": (("-v", f"/etc:/{'x' * 300}"), ": File name too long"),
    "no devices": (("--device", "/srv"), "there is no device in directory /srv"),
    "no device": (("--device", "/etc/passwd"), "/etc/passwd is not a device"),
    "a program over a directory": (("--inject", "/bin/sh", "-v", "/srv:/bin/sh"), "/bin/sh in the container is not a"),
}


@root
@pytest.mark.parametrize("name", MISMATCHES)
def test_a_mount_that_does_not_fit(alpine: Command, name: str) -> None:
    options, expected = MISMATCHES[name]
    done = alpine("run", *options, "found/loop", "true")
    assert (done.stdout, done.code) == (b"", 125) and expected.encode() in done.stderr, done
    assert b"move_mount" not in done.stderr and done.stderr.count(b"\n") <= 2


@root
def test_missing_parents_in_a_read_only_root_are_made(alpine: Command) -> None:
    assert sh(alpine, "ls /new/er/passwd", "--read-only", "-v", "/etc:/new/er") == "/new/er/passwd\n"
