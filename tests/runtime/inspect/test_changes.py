"""What a container changed, as `changes` judges it and `diff` lists it, on every kind of root and for every user."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace

import pytest
from lab.command import Command, Result, granted
from lab.overtime import enough
from lab.processes import within

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
    "next to what is mounted": ("touch /etc/other", "/etc/other"),
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
    for name in ("sh", "chmod", "chown", "rm", "mkdir", "rmdir", "mv", "touch", "cp", "true", "dd", "printf"):
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
        ("mkdir -p /top/a/b; touch /top/a/c", "A /top\nA /top/a\nA /top/a/b\nA /top/a/c\n"),
        ("rm /sbin; ln -s elsewhere /sbin; ln -s elsewhere /lib64.new; rm /bin", "D /bin\nA /lib64.new\nC /sbin\n"),
        ("touch /tmp/x /run/y", "C /run\nA /run/y\nC /tmp\nA /tmp/x\n"),
        ("chmod 700 /", "C /\n"),
    ],
)
def test_on_the_machine_s_own_tree(mydocker: Command, script: str, expected: str) -> None:
    assert _diff(mydocker, "--rootfs", "/", "sh", "-c", script) == expected.encode()


def _diff(mydocker: Command, *words: str) -> bytes:
    done = mydocker("run", "--keep", *words)
    assert b"kept: " in done.stderr, done
    [found] = re.findall(rb"^mydocker: kept: mydocker diff ([0-9a-f]{12})$", done.stderr, re.MULTILINE)
    listed = mydocker("diff", found.decode())
    assert (listed.stderr, listed.code) == (b"", 0)
    return listed.stdout


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
    (tmp_path / "x.smoke.yaml").write_text("image: alpine\ncommand: [touch, /mnt/ran]\nvolumes: ['.:/mnt']\n")
    try:
        done = alpine("run", "--keep", "-v", f"{tmp_path}:/mnt", "alpine", "touch", "/mnt/ran")
        batch = alpine("test", "--on-failure", "keep", str(tmp_path))
    finally:
        (alpine.store / "kept").unlink()
    message = f"mydocker: nothing can be kept in {alpine.store}/kept: {alpine.store}/kept is not a directory\n".encode()
    assert done == Result(b"", message, 125)
    assert (batch.stdout, batch.stderr, batch.code) == (b"", message, 125)
    assert not (tmp_path / "ran").exists()


# options, and what the container does to what mydocker has created -> what changed
PREPARED: list[tuple[tuple[str, ...], str, str]] = [
    (("-v", "/usr:/new/mount:ro"), "true", ""),
    (("-v", "/usr:/new/mount:ro"), "chmod 700 /new", "A /new\n"),
    (("-v", "/usr:/new/mount:ro"), "chown 1 /new", "A /new\n"),
    (("-v", "/usr:/var/run/x/y:ro"), "true", ""),
    (("-v", "/usr:/var/run/x/y:ro"), "touch /run/x/z", "C /run\nA /run/x\nA /run/x/z\n"),
    (("-w", "/w/x"), "true", ""),
    (("-w", "/w/x"), "rmdir /w/x; mkdir -m 700 /w/x", "A /w\nA /w/x\n"),
    (("-w", "/var/run/w"), "true", ""),
    ((), "ln -sf /elsewhere /etc/mtab", "C /etc\nA /etc/mtab\n"),
    ((), "rm /etc/mtab; touch /etc/mtab; chmod 600 /etc/mtab", "C /etc\nA /etc/mtab\n"),
    ((), "rm /etc/mtab", ""),
    ((), "chmod 711 /", "C /\n"),
    ((), "chown 1 /", "C /\n"),
    ((), "chmod 711 /; chmod 755 /", ""),
    (("--read-only", "-w", "/w", "--tmpfs", "/t"), "touch /t/x", ""),
]


@root
@pytest.mark.parametrize(("options", "script", "listed"), PREPARED)
def test_what_mydocker_creates_is_no_change_until_it_is_changed(
    alpine: Command, options: tuple[str, ...], script: str, listed: str
) -> None:
    assert _diff(alpine, *options, "alpine", "sh", "-c", script).decode() == listed


@pytest.mark.rootless
def test_what_mydocker_creates_for_an_ordinary_user(second_user: Command, user: pwd.struct_passwd) -> None:
    """With the user's line in /etc/passwd, which is mydocker's, and the user's own, which is not."""
    created = ("--userns", "keep-id", "-u", "0", "-v", "/usr:/var/run/x/y:ro", "-w", "/w")
    with granted(user, 600000):
        assert _diff(second_user, *created, "alpine", "true") == b""
        changed = _diff(second_user, *created, "alpine", "sh", "-c", "echo x >> /etc/passwd; chmod 600 /etc/group")
    assert changed == b"C /etc\nC /etc/group\nC /etc/passwd\n"


@root
def test_a_sparse_file_is_compared_by_its_data(mydocker: Command, tree: pathlib.Path) -> None:
    """16 TiB of holes would take hours to read."""
    sparse = tree / "srv" / "sparse"
    with sparse.open("wb") as file:
        file.write(b"x")
        file.truncate(15 << 40)
    os.utime(sparse, (10**9, 10**9))
    try:
        assert _diff(mydocker, "--rootfs", str(tree), "sh", "-c", ": >> /srv/sparse") == b""
        script = "printf y > /srv/y; dd if=/srv/y of=/srv/sparse bs=1 count=1 conv=notrunc 2>/dev/null; rm /srv/y; "
        changed = _diff(
            mydocker, "--rootfs", str(tree), "/bin/busybox", "sh", "-c", script + "touch -d @1000000000 /srv/sparse"
        )
        assert changed == b"C /srv\nC /srv/sparse\n"
    finally:
        sparse.unlink()


@root
def test_a_store_that_passes_on_its_group_changes_nothing(alpine: Command) -> None:
    containers = alpine.store / "containers"
    containers.mkdir(exist_ok=True)
    before = containers.stat()
    os.chown(containers, 0, 12)
    os.chmod(containers, 0o2755)
    try:
        assert _diff(alpine, "-w", "/w", "alpine", "touch", "/srv/x") == b"C /srv\nA /srv/x\n"
        assert alpine("run", "alpine", "stat", "-c", "%a %g", "/").stdout == b"755 0\n"
    finally:
        os.chown(containers, before.st_uid, before.st_gid)
        os.chmod(containers, before.st_mode & 0o7777)


@contextmanager
def _small_store(directory: pathlib.Path, megabytes: int) -> Iterator[pathlib.Path]:
    """A store on a file system of its own."""
    disk, place = directory / "disk", directory / "small"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place / "store"
    finally:
        assert within(100, lambda: subprocess.run(["umount", place]).returncode == 0)  # who has just ended may be in it


@root
@pytest.mark.parametrize("end", ["", "; i=0; while echo $i > /srv/$i; do i=$((i+1)); done 2>/dev/null; true"])
def test_a_container_that_filled_the_disk_is_kept(
    mydocker: Command, tree: pathlib.Path, tmp_path: pathlib.Path, end: str
) -> None:
    """There is not a block left for what is written about it, but for those of overlayfs's own directories."""
    script = f"dd if=/dev/zero of=/srv/full bs=64k 2>/dev/null{end}; exit 0"
    with _small_store(tmp_path, 24) as store:
        small = Command(mydocker.program, {**mydocker.environment, "MYDOCKER_ROOT": str(store)}, tmp_path, store=store)
        assert _diff(small, "--rootfs", str(tree), "sh", "-c", script).startswith((b"C /srv\n", b""))
        [kept] = os.listdir(store / "kept")
        assert (store / "kept" / kept / "0" / "srv" / "full").stat().st_size > 10 << 20
        assert os.listdir(store / "containers") == []


@contextmanager
def _memory_store(directory: pathlib.Path, owner: int) -> Iterator[pathlib.Path]:
    """A store in memory, where directories and links take no room, so that removing them makes none."""
    place = directory / "memory"
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=8m,mode=755,uid={owner}", "tmpfs", place], check=True)
    try:
        yield place / "store"
    finally:
        assert within(100, lambda: subprocess.run(["umount", place]).returncode == 0)  # who has just ended may be in it


FILL = "dd if=/dev/zero of=/srv/full bs=4k 2>/dev/null; echo x > /srv/more 2>/dev/null; exit 3"


@root
@pytest.mark.parametrize("way", ["run", "test"])
@pytest.mark.parametrize("who", ["root", "user"])
def test_there_is_room_for_what_is_written_about_it(
    alpine: Command, second_user: Command, user: pwd.struct_passwd, who: str, way: str
) -> None:
    asking, owner = (alpine, 0) if who == "root" else (second_user, user.pw_uid)
    spec = f"name: filler\nimage: alpine\nnetwork_mode: none\ncommand: [sh, -c, '{FILL}']\n"
    keep = ("--keep", "--network", "none", "alpine", "sh", "-c", FILL)
    words = {"run": ("run", *keep), "test": ("test", "--on-failure", "keep", "-")}
    with _memory_store(asking.directory, owner) as store:
        small = replace(asking, environment={**asking.environment, "MYDOCKER_ROOT": str(store)}, store=store)
        assert small("pull", "alpine").code == 0
        done = small(*words[way], input=spec.encode())
        [kept] = re.findall(r"mydocker diff ([0-9a-f]{12})\n", (done.stdout + done.stderr).decode())
        assert done.code == {"run": 3, "test": 1}[way]
        assert b"A /srv/full\n" in small("diff", kept).stdout
        assert os.listdir(store / "containers") == []


@root
def test_without_room_for_that_nothing_runs(alpine: Command, tmp_path: pathlib.Path) -> None:
    with _memory_store(tmp_path, 0) as store:
        full = replace(alpine, environment={**alpine.environment, "MYDOCKER_ROOT": str(store)}, store=store)
        assert full("pull", "alpine").code == 0
        with suppress(OSError), (store / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        done = full("run", "--keep", "alpine", "echo", "ran")
        assert done.stdout == b""
        assert done.stderr.startswith(b"mydocker: nothing can be kept: No space left on device\nhint: the disk is full")
        assert full("run", "alpine", "echo", "ran").stdout == b"ran\n"
        assert os.listdir(store / "containers") == []


@root
def test_what_there_is_no_room_for_is_said(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """What was in memory has to be copied: as much as there is room for is kept, and it is no success."""
    with _small_store(tmp_path, 24) as store:
        small = Command(mydocker.program, {**mydocker.environment, "MYDOCKER_ROOT": str(store)}, tmp_path, store=store)
        alone = ("--network", "none")
        script = "echo x > /opt/x; dd if=/dev/zero of=/usr/full bs=1M count=40 2>/dev/null; exit 4"
        done = small("run", "--result", str(tmp_path / "out"), "--keep", *alone, "--rootfs", "/", "sh", "-c", script)
        assert done.code == 125
        lost = "not all is kept: what it wrote to /usr: No space left on device (the container itself ended with 4)"
        assert f"mydocker: {lost}\n".encode() in done.stderr
        result = json.loads((tmp_path / "out").read_text())
        assert (result["phase"], result["status"], result["exit_code"], result["error"]) == ("run", 125, 4, lost)
        [kept] = re.findall(rb"kept: mydocker diff ([0-9a-f]{12})\n", done.stderr)
        assert small("diff", kept.decode()).stdout == b"C /opt\nA /opt/x\nC /usr\nA /usr/full\n"


@root
@pytest.mark.parametrize(("end", "status"), [("exit 5", 5), ("kill -9 $$", 137), ("sleep 1000", 124)])
def test_what_cannot_be_kept_at_all_does_not_hide_how_the_container_ended(
    mydocker: Command, tree: pathlib.Path, tmp_path: pathlib.Path, end: str, status: int
) -> None:
    """Something takes the directory away while the container runs."""
    store = tmp_path / "store"
    script = f"rm -rf /st/kept; echo x > /st/kept; {end}"
    options = ("--keep", "--init", "--result", str(tmp_path / "out"), "-v", f"{store}:/st")
    store.mkdir()
    small = Command(mydocker.program, {**mydocker.environment, "MYDOCKER_ROOT": str(store)}, tmp_path, store=store)

    def attempt(seconds: int) -> Result:
        limit = f"{seconds if status == 124 else 1000}s"
        return small("run", *options, "--timeout", limit, "--rootfs", str(tree), "sh", "-c", script)

    done = enough(attempt, lambda _: (store / "kept").is_file())
    assert done.code == 125
    assert f"(the container itself ended with {status})\n".encode() in done.stderr
    result = json.loads((tmp_path / "out").read_text())
    assert (result["phase"], result["status"], result["timed_out"]) == ("run", 125, status == 124)


@root
def test_changes_that_are_too_many_to_list_are_kept(alpine: Command, tmp_path: pathlib.Path) -> None:
    """In memory, where it costs least to make so many files."""
    script = "mkdir /srv/d; cd /srv/d; seq 100001 | xargs touch"
    with _memory_store(tmp_path, 0) as store:
        many = replace(alpine, environment={**alpine.environment, "MYDOCKER_ROOT": str(store)}, store=store)
        done = many("run", "--keep", "alpine", "sh", "-c", script)
        [kept] = re.findall(r"kept: mydocker diff ([0-9a-f]{12})\n", done.stderr.decode())
        shown = many("diff", kept)
        message = "mydocker: its changes are not known: the container changed more than 100000 files\n"
        assert (done.code, shown.code, shown.stdout) == (0, 1, b"")
        assert shown.stderr.decode() == f"{message}hint: what it wrote is in {store}/kept/{kept}\n"
        assert len(os.listdir(store / "kept" / kept / "0" / "srv" / "d")) == 100_001
        assert [each["changes"] for each in json.loads(many("diff", "--format", "json").stdout)] == [None]
        assert many("prune").code == 0
        assert os.listdir(store / "kept") == []


@root
def test_what_is_new_at_the_top_of_the_machine_s_tree_is_kept(mydocker: Command) -> None:
    done = mydocker("run", "--keep", "--rootfs", "/", "sh", "-c", "mkdir -p /top/a; echo x > /top/a/b")
    [kept] = re.findall(r"kept: mydocker diff ([0-9a-f]{12})\n", done.stderr.decode())
    assert (mydocker.store / "kept" / kept / "root" / "top" / "a" / "b").read_text() == "x\n"


@root
def test_a_damaged_one_does_not_hide_the_others(alpine: Command) -> None:
    done = alpine("run", "--keep", "alpine", "touch", "/srv/x")
    [kept] = re.findall(r"kept: mydocker diff ([0-9a-f]{12})\n", done.stderr.decode())
    damaged = alpine.store / "kept" / ("1" * 12 if kept[0] != "1" else "2" * 12)
    damaged.mkdir()
    assert alpine("diff", kept).stdout == b"C /srv\nA /srv/x\n"
    damaged.rmdir()


@root
def test_odd_names_in_every_report(mydocker: Command, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Spelled as they are printed elsewhere, each on its line."""
    script = "touch $$(printf '/srv/a\\377b') '/srv/c\nd'"
    case = {"rootfs": str(tree), "command": ["sh", "-c", script], "expect": {"changes": {"only": []}}}
    (tmp_path / "x.smoke.yaml").write_text(json.dumps(case))
    formats = ["text", "json", "jsonl", "junit", "html", "tap"]
    words = [word for each in formats for word in ("--report", f"{each}={tmp_path}/{each}")]
    assert mydocker("test", *words, str(tmp_path / "x.smoke.yaml")).code == 1
    for each in formats:
        text = (tmp_path / each).read_text().replace("\\\\", "\\")
        assert r"/srv/a\xffb changed" in text and r"/srv/c\nd changed" in text, each
        assert "\ufffd" not in text and "\\ud" not in text, each


@root
@pytest.mark.parametrize("where", ["rootfs", "machine"])
def test_a_deep_tree_is_judged(mydocker: Command, tmp_path: pathlib.Path, where: str) -> None:
    """What the layers have is as deep as what is changed in it: each is compared at its depth."""
    (tmp_path / "tree" / "opt").mkdir(parents=True)
    python = os.path.realpath("/usr/bin/python3")
    subprocess.run([python, "-c", DEEP.format(tmp_path / "tree" / "opt")], check=True)
    change = "import os; os.chdir('/opt')\nfor _ in range(60): os.chdir('d' * 100)\nfor name in 'xy': open(name, 'a')"
    volumes = [f"{name}:{name}:ro" for name in ("/usr", "/lib", "/lib64", "/bin")]
    case = {
        "rootfs": {"rootfs": str(tmp_path / "tree"), "machine": "/"}[where],
        "volumes": {"rootfs": volumes, "machine": [f"{tmp_path}/tree/opt:/opt:O"]}[where],
        "command": [python, "-c", change],
        "expect": {"changes": {"only": []}},
    }
    (tmp_path / "x.smoke.yaml").write_text(json.dumps(case))
    done = mydocker("test", "--on-failure", "keep", "--report", "json=-", str(tmp_path / "x.smoke.yaml"))
    [result] = json.loads(done.stdout)["cases"]
    [failure] = result["failures"]
    assert re.fullmatch(r"/opt/(d{100}/){60}y changed", failure["actual"])
    assert mydocker("diff", result["kept"]).stdout.splitlines()[-1].endswith(b"/y")
    assert mydocker("prune").code == 0


@pytest.mark.rootless
@pytest.mark.parametrize("ranges", [False, True])
def test_a_deep_tree_of_an_ordinary_user(second_user: Command, user: pwd.struct_passwd, ranges: bool) -> None:
    python = os.path.realpath("/usr/bin/python3")
    with granted(user, 600000) if ranges else nullcontext():
        lines = _diff(second_user, "--rootfs", "/", python, "-c", DEEP.format("/tmp")).splitlines()
        assert len(lines) == 62 and lines[-1].endswith(b"/x")
        assert second_user("prune").code == 0


@root
def test_what_is_mounted_in_the_machine_s_tree_is_not_below(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """Overlayfs shows the directory that something in memory is mounted on, and so what is new there is new."""
    place = pathlib.Path(f"/opt/mydocker-{os.getpid()}")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        (place / "x").write_text("")
        assert _diff(mydocker, "--rootfs", "/", "touch", f"{place}/x") == f"C /opt\nC {place}\nA {place}/x\n".encode()
    finally:
        assert within(100, lambda: subprocess.run(["umount", place]).returncode == 0)  # who has just ended may be in it
        place.rmdir()


@pytest.mark.rootless
@pytest.mark.parametrize("ranges", [False, True])
def test_a_directory_that_is_built_again(second_user: Command, user: pwd.struct_passwd, ranges: bool) -> None:
    """As one with a mount below it is for an ordinary user: what mydocker has copied there is no change."""
    place = pathlib.Path(f"/opt/mydocker-{os.getpid()}")
    for name in ("mounted", "other", "closed"):
        (place / name).mkdir(parents=True)
    (place / "file").write_text("abc\n")
    os.chmod(place, 0o2775)
    os.chmod(place / "other", 0o777)
    os.chmod(place / "closed", 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "none", place / "mounted"], check=True)
    again = f"chmod 600 {place}/file; chmod 644 {place}/file; : >> {place}/file; touch {place}/x; rm {place}/x"
    try:
        with granted(user, 600000) if ranges else nullcontext():
            assert _diff(second_user, "--rootfs", "/", "sh", "-c", again) == b""
            script = f"echo >> {place}/file; touch {place}/new {place}/other/new; chmod 711 {place}"
            changed = _diff(second_user, "--rootfs", "/", "sh", "-c", script).decode()
            assert second_user("prune").code == 0
    finally:
        subprocess.run(["umount", place / "mounted"], check=True)
        shutil.rmtree(place)
    top = f"C /opt\nC {place}\nC {place}/file\nA {place}/new\n"
    assert changed == f"{top}C {place}/other\nA {place}/other/new\n"
