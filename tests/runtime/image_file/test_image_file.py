"""An image as a file: what is in it, what a container of it sees, and what is left of that."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from lab import trees
from lab.command import Command
from lab.machines import mounted
from lab.processes import within
from lab.trees import Tree

from mydocker import kernel
from mydocker.image.model.digest import digest_of

from .conftest import CAPABILITY, NAME, Person, save, without

pytestmark = [pytest.mark.root, pytest.mark.rootless]


@pytest.fixture(scope="module")
def dump(user_directory: Callable[[], pathlib.Path]) -> pathlib.Path:
    return trees.build(user_directory())


def _tree(mydocker: Command, dump: pathlib.Path, image: str) -> Tree:
    done = mydocker("run", "--network", "none", "-v", f"{dump}:/dump-tree:ro", image, "/dump-tree", "/t")
    assert (done.code, done.stderr) == (0, b""), done
    return trees.parse(done.stdout)


def _comparable(tree: Tree, *, of_user: bool) -> Tree:
    """Squashfs has no fractions of seconds, and holes where there were zeros. squashfuse before 0.2 lists the attribute
    security.capability as trusted.capability (its pull request 83)."""
    hidden = {"security.capability"} if of_user else set()
    return {
        path: replace(
            node,
            mtime=node.mtime.partition(".")[0],
            what=node.what.removesuffix("s"),
            xattrs={name: value for name, value in node.xattrs.items() if name not in hidden},
        )
        for path, node in tree.items()
    }


def test_the_tree_is_that_of_the_layers(person: Person, dump: pathlib.Path) -> None:
    of_user = bool(person.mydocker.prefix)
    expected = _comparable(_tree(person.mydocker, dump, NAME), of_user=of_user)
    found = _comparable(_tree(person.mydocker, dump, f"squashfs:{person.file}"), of_user=of_user)
    null = found.pop("null")
    assert expected.pop("null", null) == null  # no user can make one, so theirs has none
    assert found == expected
    assert found["hard"].same == {"hard", "other"} and (found["hard"].uid, found["secret"].gid) == (5, 34)
    assert "gone" not in found and "emptied/old" not in found and found["suid"].mode == 0o6755
    assert found["program"].xattrs["user.note"] == "00ff" and null.what == "1:3"
    assert of_user or found["program"].xattrs["security.capability"] == CAPABILITY.hex()


def test_an_erofs_is_the_same(root: Command, dump: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = save(root, tmp_path / "app.erofs", "erofs")
    found, expected = (_tree(root, dump, each) for each in (f"erofs:{file}", NAME))
    of_erofs = {path: replace(node, what=node.what.removesuffix("s")) for path, node in found.items()}
    assert of_erofs == {path: replace(node, what=node.what.removesuffix("s")) for path, node in expected.items()}


@pytest.mark.parametrize("kind", ["squashfs", "erofs"])
def test_the_same_image_gives_the_same_bytes(root: Command, tmp_path: pathlib.Path, kind: str) -> None:
    one, other = (save(root, tmp_path / name, kind).read_bytes() for name in ("one", "other"))
    assert one == other and one.count(b"carried:7") == 1


def test_a_user_s_file_is_root_s(ordinary: Command, root: Command, squashfs: pathlib.Path, dump: pathlib.Path) -> None:
    """Their layers have other owners on disk, and no devices, which no user can make."""
    directory = pathlib.Path(ordinary.directory)
    made = save(ordinary, directory / "made.sqfs", "squashfs")
    os.chown(made, 0, 0)  # so that the kernel mounts both
    found, expected = (_tree(root, dump, f"squashfs:{each}") for each in (made, squashfs))
    assert expected.pop("null").what == "1:3"
    assert found == expected
    assert [each.name for each in directory.glob("made*")] == ["made.sqfs"]


def test_the_config_is_the_image_s(person: Person) -> None:
    assert person.sh("echo $WHO") == "image\n"
    [stored] = json.loads(person.mydocker("inspect", NAME).stdout)
    [found] = json.loads(person.mydocker("inspect", f"squashfs:{person.file}").stdout)
    ours = {"Size", "LayerDirs", "Pulled", "RepoTags", "RepoDigests"}
    assert {key: found[key] for key in found.keys() - ours} == {key: stored[key] for key in stored.keys() - ours}
    assert found["RepoTags"] == [stored["RepoTags"][0]]


def test_what_runs_leaves_nothing(person: Person) -> None:
    assert person.sh("echo x > /t/again; cat /t/again /t/emptied/new") == "x\nnew"
    assert person.sh("cat /t/again") == "2"
    assert within(100, lambda: _is_unused(person))


def _is_unused(person: Person) -> bool:
    """Whether no loop device has the file, no program serves it, and there is no run directory."""
    return not _loops(person.file) and not _servers(person) and not os.listdir(person.mydocker.store / "containers")


def _loops(file: pathlib.Path) -> list[pathlib.Path]:
    found = []
    for each in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # the device has lost its file meanwhile
            if each.read_text().strip() == str(file):
                found.append(each)
    return found


def _servers(person: Person) -> list[int]:
    """The FUSE programs, which are an ordinary user's here: there may be others', of other tests."""
    user = str(person.mydocker.store.stat().st_uid)
    words = ["pgrep", "-U", user, "-f", "^[^ ]*squashfuse_ll -f /image"]
    listed = subprocess.run(words, capture_output=True, text=True).stdout
    return [int(each) for each in listed.split()] if person.mydocker.prefix else []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nor_does_what_is_killed(person: Person, number: int) -> None:
    script = "echo ready; exec sleep 1000"
    process = person.mydocker.start("run", "--network", "none", f"squashfs:{person.file}", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    assert _servers(person) if person.mydocker.prefix else _loops(person.file)
    process.send_signal(number)
    process.communicate()
    assert within(100, lambda: _is_unused(person))


def test_root_s_containers_share_one_mount(root: Command, squashfs: pathlib.Path) -> None:
    """What one has read is in memory for the other. Two names of one file are one file; a copy is another."""
    copy = shutil.copy(squashfs, root.directory / "copy.sqfs")
    started = [_waiting(root, file) for file in (squashfs, squashfs, pathlib.Path(copy))]
    try:
        assert (len(_loops(squashfs)), len(_loops(pathlib.Path(copy)))) == (1, 1)
    finally:
        outputs = [process.communicate(b"go on\n")[0] for process in started]
    assert outputs == [b"2"] * 3
    assert within(100, lambda: _is_unused(Person(root, squashfs)))


def _waiting(mydocker: Command, file: pathlib.Path) -> subprocess.Popen[bytes]:
    script = "echo ready; read x; cat /t/again"
    process = mydocker.start("run", "-i", "--network", "none", f"squashfs:{file}", "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return process


def test_a_file_that_is_replaced_stays_with_who_has_it(person: Person) -> None:
    file = person.mydocker.directory / "replaced.sqfs"
    shutil.copy(person.file, file)
    file.chmod(0o644)
    script = "read x; cat /t/emptied/new /etc/alpine-release"
    words = ["run", "-i", "--name", "old", "--network", "none", f"squashfs:{file}", "sh", "-c", f"echo; {script}"]
    process = person.mydocker.start(*words)
    try:
        assert process.stdout and process.stdout.readline() == b"\n"
        other = person.mydocker.directory / "other"
        other.write_bytes(b"no image")
        other.rename(file)
        assert person.mydocker("exec", "old", "cat", "/t/again").stdout == b"2"
        assert person.mydocker("top", "old").code == 0
        done = person.mydocker("diff", "old")
        assert done.code == 1 and b"was replaced meanwhile" in done.stderr, done
    finally:
        out, error = process.communicate(b"go on\n")
    assert (out, error, process.returncode) == (b"new3.20.3\n", b"", 0)
    assert person.mydocker("run", f"squashfs:{file}").code == 125
    file.unlink()


def test_what_changed_is_known(person: Person) -> None:
    script = "rm /t/hard; echo x >> /t/emptied/new; chown 7 /t/secret; : >> /t/again; mkdir /new"
    expected = ["A /new", "C /t", "C /t/emptied", "C /t/emptied/new", "D /t/hard", "C /t/secret"]
    done = person.mydocker("run", "--keep", "--network", "none", f"squashfs:{person.file}", "sh", "-c", script)
    kept = done.stderr.decode().split()[-1]
    assert person.mydocker("diff", kept).stdout.decode().splitlines() == expected, done


def test_in_the_background(person: Person) -> None:
    """It is found again from another directory; what it wrote is known while it runs, and after."""
    mydocker, directory = person.mydocker, person.file.parent
    script = "mkdir -p /new; echo $(cat /t/again) >> /t/emptied/new; exec sleep 1000"
    words = ["run", "-d", "--name", "bg", "--network", "none", f"squashfs:{person.file.name}", "sh", "-c", script]
    assert mydocker(*words, cwd=directory).code == 0
    expected = b"A /new\nC /t\nC /t/emptied\nC /t/emptied/new\n"
    try:
        assert within(100, lambda: mydocker("exec", "bg", "cat", "/t/emptied/new").stdout == b"new2\n")
        assert mydocker("diff", "bg").stdout == expected
        assert mydocker("commit", "bg", "x:1").code == 1
        assert mydocker("stop", "-t", "0", "bg").code == 0
        assert mydocker("diff", "bg").stdout == expected
        assert b"alpine-release" in mydocker("cp", "bg:/etc", "-").stdout
        assert mydocker("start", "bg", cwd="/").code == 0
        assert within(100, lambda: mydocker("exec", "bg", "cat", "/t/emptied/new").stdout == b"new2\n2\n")
    finally:
        mydocker("rm", "-f", "bg")
    assert within(100, lambda: _is_unused(person))


SPEC = """
name: {name}
image: {image}
command: [sh, -c, "cat /t/again; ls -ln /t/secret; rm /t/hard; echo x > /t/suid; exit 3"]
expect:
  exit_code: 3
  stdout: ["2", "33       34", {wrong}]
  files: [{{path: /t/secret, mode: "0600", owner: 33, group: 34}}, {{path: /t/gone, exists: false}}]
  changes: {{only: [/t/hard, /t/suid]}}
"""


def test_a_test_says_the_same_of_both(person: Person) -> None:
    reports = []
    for image in (NAME, f"squashfs:{person.file}"):
        cases = [SPEC.format(name=name, image=image, wrong=wrong) for name, wrong in (("a", "'!x'"), ("b", "absent"))]
        path = person.mydocker.directory / "both.smoke.yaml"
        path.write_text("---".join(cases))
        done = person.mydocker("test", "-j", "2", "--report", "json=-", str(path), timeout=120)
        assert done.code == 1, done
        reports.append([_timeless(case) for case in json.loads(done.stdout)["cases"]])
    assert reports[0] == reports[1] and [case["verdict"] for case in reports[0]] == ["passed", "failed"]
    assert within(100, lambda: _is_unused(person))


def _timeless(case: dict[str, object]) -> dict[str, object]:
    return {key: case[key] for key in ("name", "verdict", "reason", "failures", "stdout", "stderr")}


def _damaged(person: Person, at: int, size: int) -> pathlib.Path:
    """A copy with SIZE bytes of nonsense from AT on; behind the tree it is whole."""
    path = person.mydocker.directory / "damaged.sqfs"
    data = bytearray(person.file.read_bytes())
    data[at : at + size] = b"\xa5" * size
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("place", ["superblock", "tables"])
def test_a_damaged_file_is_an_error(person: Person, place: str) -> None:
    size = int.from_bytes(person.file.read_bytes()[40:48], "little")  # bytes_used of the superblock
    path = _damaged(person, 8, 88) if place == "superblock" else _damaged(person, size - 4000, 4000)
    done = person.mydocker("run", "--network", "none", f"squashfs:{path}", "true")
    assert (done.code, done.stdout, b"the file may be damaged" in done.stderr) == (125, b"", True), done
    assert b"Traceback" not in done.stderr and within(100, lambda: _is_unused(person))


def test_a_user_who_may_not_open_fuse_gets_an_error(
    ordinary: Command, squashfs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    os.mknod(tmp_path / "fuse", 0o020600, os.stat("/dev/fuse").st_rdev)
    with mounted(tmp_path / "fuse", "/dev/fuse"):
        done = ordinary("run", "--network", "none", f"squashfs:{squashfs}", "true")
    assert done.code == 125 and b"and /dev/fuse: Permission denied" in done.stderr, done
    assert b"chmod 666 /dev/fuse" in done.stderr


def test_without_fuse_a_user_gets_an_error(ordinary: Command, squashfs: pathlib.Path) -> None:
    done = without(ordinary, "fuse")("run", "--network", "none", f"squashfs:{squashfs}", "true")
    assert (done.code, b"and /dev/fuse: No such file" in done.stderr, b"--device /dev/fuse" in done.stderr) == (
        125,
        True,
        True,
    ), done


def test_without_its_program_a_user_gets_an_error(
    ordinary: Command, squashfs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "upper").mkdir()
    os.mknod(tmp_path / "upper" / "squashfuse_ll", stat.S_IFCHR, os.makedev(0, 0))  # a whiteout of overlayfs
    overlay = f"mount -t overlay -o lowerdir={tmp_path}/upper:/usr/bin none /usr/bin"
    script = f'{overlay} || exit 9; exec "$@"'
    lacking = replace(ordinary, prefix=["unshare", "--mount", "sh", "-c", script, "sh", *ordinary.prefix])
    done = lacking("run", f"squashfs:{squashfs}", "true")
    assert done.code == 125 and b"squashfuse_ll is not installed" in done.stderr, done


def test_without_loop_devices_root_takes_fuse(root: Command, squashfs: pathlib.Path) -> None:
    run = ("run", "--network", "none", f"squashfs:{squashfs}", "cat", "/t/secret")
    done = without(root, "loop-control")(*run)
    assert (done.code, done.stdout, done.stderr) == (0, b"s", b""), done
    done = without(root, "loop-control", "fuse")(*run)
    assert done.code == 125 and b"/dev/loop-control: No such file" in done.stderr and b"and /dev/fuse" in done.stderr


def _given(path: pathlib.Path, mode: int = 0o644) -> None:
    path.chmod(mode)
    os.chown(path, 65534, 65534)


OPEN_TO_OTHERS: dict[str, Callable[[pathlib.Path], None]] = {
    "another user's": _given,
    "another user's alone": lambda path: _given(path, 0o600),
    "of a group": lambda path: path.chmod(0o664),
    "of all": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("case", OPEN_TO_OTHERS)
def test_the_kernel_mounts_for_root_only_what_is_root_s(
    root: Command, squashfs: pathlib.Path, tmp_path: pathlib.Path, case: str
) -> None:
    path = pathlib.Path(shutil.copy(squashfs, tmp_path))
    OPEN_TO_OTHERS[case](path)
    process = _waiting(root, path)
    names = set()
    for each in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with suppress(OSError):  # it has just ended
            names.add(pathlib.Path(f"/proc/{each}/comm").read_text().strip())
    out, error = process.communicate(b"go on\n")
    assert (out, error, process.returncode) == (b"2", b"", 0)
    assert "squashfuse_ll" in names and not _loops(path)
    done = without(root, "fuse")("run", f"squashfs:{path}", "true")
    assert done.code == 125 and b"others than root may write to it, and /dev/fuse" in done.stderr, done


def test_whose_file_it_is_no_user_s_fuse_decides(root: Command, squashfs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With allow_other, root reads it, too; and it says that the file is root's."""
    (tmp_path / "tree").mkdir()
    shutil.copy(squashfs, tmp_path / "tree/app.sqfs")
    outer, place = tmp_path / "outer.sqfs", tmp_path / "place"
    subprocess.run(["mksquashfs", tmp_path / "tree", outer, "-all-root", "-quiet", "-no-progress"], check=True)
    place.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR)
    ids = [("user_id", "65534"), ("group_id", "65534")]
    options = [("fd", str(device)), ("rootmode", "40000"), *ids, ("allow_other", None)]
    tree = kernel.new_filesystem("fuse", options)
    server = subprocess.Popen(["squashfuse_ll", "-f", outer, f"/dev/fd/{device}"], pass_fds=[device])
    os.close(device)
    target = os.open(place, os.O_PATH)
    kernel.attach(tree, target)
    for descriptor in (tree, target):
        os.close(descriptor)
    try:
        assert (place / "app.sqfs").stat().st_uid == 0
        done = without(root, "fuse")("run", f"squashfs:{place}/app.sqfs", "true")
        assert done.code == 125 and b"that an ordinary user has mounted, and /dev/fuse" in done.stderr, done
    finally:
        subprocess.run(["umount", place], check=True)
        server.wait(100)


def test_what_the_kernel_cannot_decompress_is_for_fuse(root: Command, squashfs: pathlib.Path) -> None:
    data = bytearray(squashfs.read_bytes())
    data[20] = 2  # lzma, which no kernel supports (fs/squashfs/decompressor.c)
    path = root.directory / "lzma.sqfs"
    path.write_bytes(data)
    done = root("run", "--network", "none", f"squashfs:{path}", "true")
    assert done.code == 125 and b"the program that reads the image's file has failed" in done.stderr, done


def test_nothing_is_left_of_a_save_that_fails(root: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "full").mkdir()
    words = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=300k none {tmp_path}/full; "$@"; code=$?; ls {tmp_path}/full; exit $code',
        "sh",
    ]
    save_there = replace(root, prefix=words)
    done = save_there("save", "--format", "squashfs", "-o", f"{tmp_path}/full/app.sqfs", NAME)
    assert (done.code, done.stdout) == (125, b"") and b"mksquashfs failed" in done.stderr, done
    assert b"No space left on device" in done.stderr


def test_how_a_file_system_is_saved(root: Command, tmp_path: pathlib.Path) -> None:
    def refused(*words: str) -> bytes:
        done = root("save", "--format", "squashfs", *words, cwd=tmp_path)
        assert (done.code, done.stdout) == (2, b""), done
        return done.stderr

    os.mkfifo(tmp_path / "fifo")
    assert b"not written to standard output" in refused(NAME)
    assert b"not written to standard output" in refused("-o", "-", NAME)
    assert b"is not a regular file" in refused("-o", "fifo", NAME)
    existing = tmp_path / "there"
    existing.write_text("old")
    existing.chmod(0o640)
    save(root, existing, "squashfs")
    assert (existing.stat().st_mode & 0o777, existing.read_bytes()[:4]) == (0o640, b"hsqs")
    assert digest_of(existing.read_bytes()) and sorted(os.listdir(tmp_path)) == ["fifo", "there"]


def test_explained_as_a_script(root: Command, squashfs: pathlib.Path) -> None:
    words = ("run", "--network", "none", f"squashfs:{squashfs}", "cat", "/t/again")
    script = root("explain", "--shell", *words).stdout
    done = subprocess.run(["sh"], input=script, capture_output=True)
    assert (done.stdout, done.returncode) == (b"2", 0), done


TAKEN_ELSEWHERE = {
    "pull": (("pull", "squashfs:{}"), 2, b"is used where it is"),
    "push": (("push", "squashfs:{}", "--to", "localhost:1/x"), 125, b"no layers that could be copied"),
    "tag": (("tag", "squashfs:{}", "x"), 2, b"this is about the store"),
    "load": (("load", "-i", "{}"), 125, b"not an archive but a file system, squashfs"),
    "an archive": (("run", "oci-archive:{}", "true"), 125, b"mydocker run squashfs:FILE"),
    "another kind": (("run", "erofs:{}", "true"), 125, b"name it squashfs:FILE"),
    "another platform": (("run", "--platform", "linux/s390x", "squashfs:{}", "true"), 125, b"no image for platform"),
}


@pytest.mark.parametrize("case", TAKEN_ELSEWHERE)
def test_where_it_is_not_taken(root: Command, squashfs: pathlib.Path, case: str) -> None:
    words, code, message = TAKEN_ELSEWHERE[case]
    done = root(*(word.format(squashfs) for word in words))
    assert done.code == code and message in done.stderr and b"Traceback" not in done.stderr, done
