"""Mounts of a container's own, as root: tmpfs, overlay, read-only root, volumes; what is visible, kept and left
alone."""

from __future__ import annotations

import os
import pathlib
import stat
import time

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result
from lab.oci import DIR, CharDevice, Dir, Fifo, File, Hardlink, Link, layer
from lab.processes import within
from lab.registry import Registry

pytestmark = pytest.mark.root


def _sh(mydocker: Command, script: str, *options: str, name: str = "alpine") -> str:
    """The output of SCRIPT, which must succeed silently."""
    done = mydocker("run", *options, name, "sh", "-c", script)
    assert (done.stderr, done.code) == (b"", 0), done
    return done.stdout.decode()


def _refused(mydocker: Command, about: str, *words: str) -> None:
    done = mydocker("run", *words)
    assert (done.stdout, done.code) == (b"", 125), done
    assert about in done.stderr.decode() and b"Traceback" not in done.stderr


STATE = "grep ' /mnt ' /proc/mounts | cut -d' ' -f3,4; stat -c '%a %u:%g' /mnt; echo"


@pytest.mark.parametrize(
    ("options", "expected", "state"),
    [
        (("--tmpfs", "/mnt"), {"nosuid", "nodev", "noexec", "rw"}, "755 0:0"),  # as the image's own /mnt
        (("--tmpfs", "/mnt:exec,mode=1777"), {"nosuid", "nodev", "rw"}, "1777 0:0"),
        (("--tmpfs", "/mnt:suid,ro"), {"noexec", "nodev", "ro"}, "755 0:0"),
        (("--tmpfs", "/mnt:size=1m,uid=7,gid=8,nr_inodes=100"), {"size=1024k", "nr_inodes=100", "uid=7"}, "755 7:8"),
        (("--mount", "type=tmpfs,dst=/mnt,tmpfs-size=64k,tmpfs-mode=0700"), {"size=64k", "mode=700"}, "700 0:0"),
    ],
)
def test_tmpfs(alpine: Command, options: tuple[str, ...], expected: set[str], state: str) -> None:
    mount, found, *_ = _sh(alpine, STATE, *options).splitlines()
    fstype, words = mount.split()
    assert fstype == "tmpfs" and expected <= set(words.split(",")) and found == state
    assert ("noexec" in words) == ("exec" not in options[1].split(":")[-1].split(","))


def test_a_tmpfs_where_the_image_has_nothing(alpine: Command) -> None:
    assert _sh(alpine, "stat -c %a /new/place; echo x > /new/place/x", "--tmpfs", "/new/place") == "1777\n"


def test_a_tmpfs_ends_where_its_size_does(alpine: Command) -> None:
    done = alpine("run", "--tmpfs", "/mnt:size=64k", "alpine", "dd", "if=/dev/zero", "of=/mnt/x", "bs=1k", "count=65")
    assert b"No space left" in done.stderr and done.code == 1


def test_shm_size(alpine: Command) -> None:
    assert "size=1048576k" in _sh(alpine, "grep /dev/shm /proc/mounts", "--shm-size", "1g")


def test_a_read_only_root(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = """
    for x in / /etc /usr/bin /root /tmp /new; do touch $x/y 2>/dev/null && echo $x; done
    for x in /dev /dev/shm /run /mnt/v /mnt/t /srv; do touch $x/y || echo not $x; done; pwd"""
    options = ("--read-only", "-v", f"{tmp_path}:/mnt/v", "--tmpfs", "/mnt/t", "--tmpfs", "/run", "-v", "/srv")
    assert _sh(alpine, script, *options, "-w", "/work/here") == "/work/here\n"
    assert os.listdir(tmp_path) == ["y"]


def test_a_read_only_machine(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = """
    for x in / /etc /usr/bin /root /opt; do touch $x/mydocker-y 2>/dev/null && echo $x; done; touch /srv/y; ls /srv"""
    done = alpine("run", "--rootfs", "/", "--read-only", "-v", f"{tmp_path}:/srv", "sh", "-c", script)
    assert done == Result(b"y\n", b"", 0)


def test_what_the_image_declares_stays_writable(alpine: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    registry.push(
        image(layer({"data": Dir(mode=0o700, uid=7), "data/x": b"image"}), config={
            "config": {"Volumes": {"/data": {}, "/srv/": {}, "/given": {}}}}),
        "library/declares",
    )  # fmt: skip
    script = "stat -c '%a %u' /data; cat /data/x; echo y > /data/y; touch /srv/y; touch /given/y || echo ro; ls /given"
    done = alpine("run", "--read-only", "-v", f"{tmp_path}:/given:ro", "declares", "sh", "-c", script)
    assert done.stdout == b"700 7\nimagero\n" and b"Read-only" in done.stderr


def test_a_user_list_of_a_volume(alpine: Command, tmp_path: pathlib.Path) -> None:
    """It may be mounted over the image's: what the image's own may not be is a link to somewhere else."""
    (tmp_path / "passwd").write_text("somebody:x:1234:1234::/home:/bin/sh\n")
    options = ("-v", f"{tmp_path}/passwd:/etc/passwd:ro", "--tmpfs", "/home", "-u", "somebody")
    assert _sh(alpine, "id -u; echo $HOME", *options) == "1234\n/home\n"


def test_an_overlay_volume_leaves_the_host_alone(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "old").write_text("host")
    (tmp_path / "gone").write_text("host")
    tmp_path.chmod(0o751)
    script = "stat -c %a /mnt; rm /mnt/gone; echo -n new > /mnt/old; echo > /mnt/more; ls /mnt; cat /mnt/old"
    assert _sh(alpine, script, "-v", f"{tmp_path}:/mnt:O") == "751\nmore\nold\nnew"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old": "host", "gone": "host"}
    _refused(alpine, "old", "-v", f"{tmp_path}/old:/mnt:O", "alpine", "true")
    _refused(alpine, "nonesuch", "-v", f"{tmp_path}/nonesuch:/mnt:O", "alpine", "true")


def test_an_overlay_of_what_holds_the_store(alpine: Command) -> None:
    before = os.listdir(alpine.store)
    assert _sh(alpine, "echo x > /mnt/x; ls /mnt | grep -e x -e refs", "-v", f"{alpine.store}:/mnt:O") == "refs\nx\n"
    assert os.listdir(alpine.store) == before


def test_a_volume_without_a_name_masks_the_hosts_directory(
    alpine: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    """`-v $PWD:/app -v /app/node_modules`: what the image has there, not what the host has; and the host's stays."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "host").touch()
    registry.push(image(layer({"app": DIR, "app/modules": Dir(uid=5), "app/modules/image": b""})), "library/masked")
    script = "ls /app /app/modules; stat -c %u /app/modules; touch /app/modules/new"
    found = _sh(alpine, script, "-v", f"{tmp_path}:/app", "-v", "/app/modules", name="masked")
    assert found == "/app:\nmodules\n\n/app/modules:\nimage\n5\n"
    assert os.listdir(tmp_path / "modules") == ["host"]
    assert os.listdir(alpine.store / "containers") == []


FILES = {
    "srv/d": Dir(mode=0o2750, uid=5, gid=6, mtime=1_600_000_000),
    "srv/d/deep": Dir(mode=0o711),
    "srv/d/deep/file": File(b"text\n", mode=0o4755, uid=7, gid=8, mtime=1_500_000_000),
    "srv/d/deep/linked": Hardlink("srv/d/deep/file"),
    "srv/d/link": Link("/etc/passwd", uid=9),
    "srv/d/fifo": Fifo(mode=0o600, uid=4),
    "srv/d/disk": CharDevice(1, 5),
    "srv/d/capable": File(b"x", xattrs={"security.capability": b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}),
}


def test_a_named_volume_is_filled_once_and_kept(mydocker: Command, registry: Registry, store: pathlib.Path) -> None:
    registry.push(image(layer(FILES)), "library/filling")
    options, data = ("-v", "data:/srv/d"), store / "volumes" / "data" / "data"
    assert _sh(mydocker, "cat /srv/d/deep/file; echo mine > /srv/d/mine", *options, name="filling") == "text\n"
    assert _what_is_in(data) == {
        "": (0o42750, 5, 6),
        "deep": (0o40711, 0, 0),
        "deep/file": (0o104755, 7, 8),
        "deep/linked": (0o104755, 7, 8),
        "link": (0o120777, 9, 0),
        "fifo": (0o10600, 4, 0),
        "capable": (0o100644, 0, 0),
        "mine": (0o100644, 0, 6),
    }
    assert (data / "deep/file").samefile(data / "deep/linked") and os.readlink(data / "link") == "/etc/passwd"
    assert (data / "deep/file").stat().st_mtime == 1_500_000_000
    assert os.getxattr(data / "capable", "security.capability") == b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    assert _sh(mydocker, "rm -r /srv/d/deep; cat /srv/d/mine", *options, name="filling") == "mine\n"
    assert _sh(mydocker, "ls /srv/d; cat /srv/d/mine", *options, name="filling") == "capable\nfifo\nlink\nmine\nmine\n"
    assert sorted(os.listdir(store / "volumes" / "data")) == ["data", "lock"]


def _what_is_in(top: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in [top, *top.rglob("*")]:
        status = path.lstat()
        found[str(path.relative_to(top)).lstrip(".")] = (status.st_mode, status.st_uid, status.st_gid)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-v", "one:/etc/profile.d:nocopy"), ""),
        (("-v", "two:/etc"), "passwd\n"),
        (("-v", "three:/nowhere"), ""),
        (("--mount", "src=four,dst=/etc"), "passwd\n"),
        (("--mount", "src=five,dst=/etc,volume-nocopy"), ""),
        (("-v", "six:/usr/bin:ro"), "passwd\n"),
        (("-v", "seven:/etc:O"), "passwd\n"),
    ],
)
def test_what_fills_a_volume(alpine: Command, options: tuple[str, ...], expected: str) -> None:
    target = options[1].partition("/")[2].split(":")[0].split(",")[0]
    assert _sh(alpine, f"ls /{target} | grep -x passwd; true", *options) == expected


def test_a_volume_shows_what_is_below_a_path_in_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    _sh(alpine, "mkdir -p /v/a/b; echo x > /v/a/b/c; ln -s /etc /v/out; ln -s a /v/in", "-v", "parts:/v")
    for path in ("a/b", "in/b"):
        assert _sh(alpine, "ls /mnt", "--mount", f"src=parts,dst=/mnt,volume-subpath={path}") == "c\n"
    for path in ("out", "nonesuch", "a/b/c/d"):
        _refused(
            alpine,
            "/mnt",
            "--mount",
            f"src=parts,dst=/mnt,volume-subpath={path}",
            "alpine",
            "true",
        )


def test_an_empty_volume_that_is_in_use_is_filled_in_place(
    mydocker: Command, registry: Registry, store: pathlib.Path
) -> None:
    """The first container, which has nothing to put there, sees what the second brings."""
    script = "echo ready; while ! [ -e /nowhere/passwd ]; do sleep 0.05; done; ls /nowhere | grep passwd"
    first = mydocker.start("run", "-v", "shared:/nowhere", "alpine", "sh", "-c", script)
    assert first.stdout and first.stdout.readline() == b"ready\n"
    _sh(mydocker, "true", "-v", "shared:/etc")
    out, _ = first.communicate(timeout=120)
    assert (out, first.returncode) == (b"passwd\n", 0)


def test_an_interrupted_fill_is_completed_or_begun_again(mydocker: Command, store: pathlib.Path) -> None:
    """What a kill leaves behind: half a copy aside, or a whole one that has moved in halfway."""
    volume = store / "volumes" / "data"
    assert _sh(mydocker, "true", "-v", "data:/nowhere") == ""
    (volume / "filling").mkdir()
    (volume / "filling" / "half").touch()
    assert _sh(mydocker, "ls /etc | grep -e half -e passwd", "-v", "data:/etc") == "passwd\n"
    (volume / "filled").mkdir()
    (volume / "filled" / "rest").touch()
    assert _sh(mydocker, "ls /etc | grep -e rest -e passwd", "-v", "data:/etc") == "passwd\nrest\n"
    assert sorted(os.listdir(volume)) == ["data", "lock"]


def test_twenty_containers_fill_one_volume(mydocker: Command) -> None:
    assert _sh(mydocker, "true") == ""
    words = ("run", "-v", "data:/etc", "alpine", "sh", "-c", "ls /etc | wc -l")
    results = mydocker.at_once(*words, count=20)
    assert {done.code for done in results} == {0}, results
    assert len({done.stdout for done in results}) == 1, results


def test_containers_that_share_a_volume_make_their_mount_points_at_once(mydocker: Command) -> None:
    """One of them makes the file that another has just found missing."""
    assert _sh(mydocker, "true") == ""
    for name in ("one", "two", "three", "four"):
        results = mydocker.at_once("run", "--network", "none", "-v", f"{name}:/etc:nocopy", "alpine", "true", count=20)
        assert {done.code for done in results} == {0}, results


def test_modes_do_not_depend_on_the_caller(mydocker: Command, store: pathlib.Path) -> None:
    prefix = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    narrow = Command(mydocker.program, mydocker.environment, mydocker.directory, prefix, store)
    assert _sh(narrow, "stat -c %a /nowhere", "-v", "data:/nowhere") == "755\n"
    assert stat.S_IMODE((store / "volumes").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (("--device", "/dev/full:/dev/mine"), "stat -c '%F %t:%T' /dev/mine; head -c2 /dev/mine | wc -c", "1:7\n2\n"),
        (("--device", "/dev/zero:/deep/er/zero:rw"), "head -c3 /deep/er/zero | wc -c", "3\n"),
        (("--device", "/dev/zero:/dev/null"), "head -c3 /dev/null | wc -c", "3\n"),
        (("--tmpfs", "/srv", "--device", "/dev/full:/srv/d"), "head -c1 /srv/d | wc -c", "1\n"),
    ],
)
def test_a_device(alpine: Command, options: tuple[str, ...], script: str, expected: str) -> None:
    assert _sh(alpine, script, *options).endswith(expected)


def test_a_directory_of_devices(alpine: Command) -> None:
    assert "/dev/all/zero" in _sh(alpine, "ls -d /dev/all/*; head -c1 /dev/all/zero", "--device", "/dev:/dev/all")


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("--device", "/dev/nonesuch", "alpine", "true"), "device /dev/nonesuch does not exist"),
        (("--device", "/etc/passwd", "alpine", "true"), "/etc/passwd is not a device"),
        (("--device", "/dev/zero:/etc", "alpine", "true"), "/etc"),
        (("--namespaces", "pid", "--rootfs", "/", "--device", "/dev/zero", "true"), "a mount namespace"),
        (("--namespaces", "pid", "--rootfs", "/", "--read-only", "true"), "a mount namespace"),
        (("-v", "data:/proc/x", "alpine", "true"), "nothing can be mounted in /proc"),
        (("--tmpfs", "/proc", "alpine", "true"), "nothing can be mounted in /proc"),
        (("-v", "/data/../proc/sys", "alpine", "true"), "nothing can be mounted in /proc"),
        (("--tmpfs", "/etc/passwd", "alpine", "true"), "/etc/passwd"),
        (("-v", "data:/etc/passwd", "alpine", "true"), "/etc/passwd"),
        (("-v", "/etc/passwd", "alpine", "true"), "/etc/passwd"),
        (("--mount", "type=bind,src=/nonesuch,dst=/x", "alpine", "true"), "bind source /nonesuch does not exist"),
    ],
)
def test_refusals(alpine: Command, words: tuple[str, ...], about: str) -> None:
    _refused(alpine, about, *words)


@pytest.mark.parametrize("option", [("-v", "nodes:/v"), ("-v", "/v"), ("--tmpfs", "/v")])
def test_a_volume_opens_no_device_files(alpine: Command, option: tuple[str, str]) -> None:
    done = alpine("run", *option, "alpine", "sh", "-c", "rm -f /v/zero; mknod /v/zero c 1 5; head -c1 /v/zero")
    assert b"Permission denied" in done.stderr and done.code == 1


def test_submounts_come_along_or_not(alpine: Command) -> None:
    """The host's /dev has file systems below it; a bind shows them unless an option says not to."""
    below = "test -e /mnt/pts/ptmx && echo there || echo not"
    assert _sh(alpine, below, "--mount", "type=bind,src=/dev,dst=/mnt") == "there\n"
    assert _sh(alpine, below, "-v", "/dev:/mnt:private") == "there\n"
    assert _sh(alpine, below, "--mount", "type=bind,src=/dev,dst=/mnt,bind-recursive=disabled") == "not\n"
    assert "Read-only" in alpine("run", "-v", "/dev:/mnt:ro", "alpine", "touch", "/mnt/shm/x").stderr.decode()


def test_kills_while_a_volume_is_filled(mydocker: Command, registry: Registry, store: pathlib.Path) -> None:
    """kill -9 at fifteen moments of it: what the volume holds in the end is whole, and nothing is left next to it."""
    many = {f"srv/d/{number}": f"{number}\n".encode() for number in range(2000)}
    registry.push(image(layer({"srv/d": DIR, **many})), "library/many")
    _sh(mydocker, "true", name="many")
    volume, interrupted = store / "volumes" / "data", 0
    for step in range(15):
        run = mydocker.start("run", "-v", "data:/srv/d", "many", "true")
        while run.poll() is None and not (volume / "filling").exists():
            time.sleep(0.002)
        time.sleep(step * 0.01)
        run.kill()
        run.communicate()
        interrupted += (volume / "filling").exists() or (volume / "filled").exists()
        if step < 10:
            mydocker("volume", "rm", "data")
    assert _sh(mydocker, "cat /srv/d/* | sort -n | uniq | wc -l", "-v", "data:/srv/d", name="many") == "2000\n"
    assert sorted(os.listdir(volume)) == ["data", "lock"] and len(os.listdir(volume / "data")) == 2000
    assert interrupted, "no kill came while it was being filled"
    assert within(100, lambda: os.listdir(store / "containers") == [])


def test_volumes_of_a_spec_file(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "app.yaml").write_text("""\
image: alpine
read_only: true
command: [sh, -c, "touch /x 2>/dev/null || touch /share/x /data/x /run/x; cat /count >> /data/log; cat /data/log"]
volumes:
- ./share:/share:O
- {type: volume, source: data, target: /data}
- {type: bind, source: count, target: /count, read_only: true}
tmpfs: [/run]
""")
    (tmp_path / "count").write_text("1\n")
    for expected in (b"1\n", b"1\n1\n"):
        assert mydocker("up", str(tmp_path / "app.yaml")) == Result(expected, b"", 0)
    assert os.listdir(tmp_path / "share") == []


def test_rules_open_devices_of_a_directory_of_dev(alpine: Command) -> None:
    """By their numbers; others in there do not open, nor do they elsewhere."""
    directory = pathlib.Path(f"/dev/mydocker-test-{os.getpid()}")
    directory.mkdir()
    try:
        (directory / "below").mkdir()
        for name, minor in (("below/zero", 5), ("full", 7)):
            os.mknod(directory / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        script = "for each in below/zero full; do head -c 1 /d/$each > /dev/null 2>&1; echo $?; done"
        options = ("--network", "none", "-v", f"{directory}:/d")
        for rules, expected in (((), b"1 1"), (("c 1:5 rmw",), b"0 1"), (("a 9:* rw", "c *:7 rw"), b"1 0")):
            words = [word for rule in rules for word in ("--device-cgroup-rule", rule)]
            done = alpine("run", *options, *words, "alpine", "sh", "-c", script)
            assert done.stdout.split() == expected.split(), (rules, done)
    finally:
        for name in ("below/zero", "full"):
            (directory / name).unlink(missing_ok=True)
        (directory / "below").rmdir()
        directory.rmdir()
