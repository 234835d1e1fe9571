"""Copies into and out of containers, as `docker cp` makes them."""

from __future__ import annotations

import io
import os
import pathlib
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab.command import Command, Result

root = pytest.mark.root
rootless = pytest.mark.rootless


@contextmanager
def running(mydocker: Command, name: str, *options: str, script: str = "true") -> Iterator[None]:
    words = ("run", "-i", "--name", name, *options, "alpine", "sh", "-c", f"{script}; echo up; read line")
    process = mydocker.start(*words)
    try:
        assert process.stdout and process.stdout.readline() == b"up\n", process.stderr and process.stderr.read()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=240)


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    return _tree(tmp_path)


def _tree(above: pathlib.Path) -> pathlib.Path:
    top = above / "tree"
    (top / "below").mkdir(parents=True)
    (top / "a").write_bytes(b"a" * 100_000)
    (top / "below" / "b").write_bytes(b"b")
    (top / "below" / "b").chmod(0o4751)
    (top / "link").symlink_to("a")
    (top / "hard").hardlink_to(top / "a")
    os.utime(top / "a", (10**9, 10**9))
    return top


def _names(top: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


ALL = ["a", "below", "below/b", "hard", "link"]


def _there_and_back(mydocker: Command, tree: pathlib.Path, out: pathlib.Path) -> None:
    with running(mydocker, "there"):
        assert mydocker("cp", str(tree), "there:/opt") == Result(b"", b"", 0)
        shown = mydocker("exec", "there", "sh", "-c", "cd /opt/tree; stat -c '%n %u:%g %a %h' a below/b; readlink link")
        assert shown.stdout == b"a 0:0 644 2\nbelow/b 0:0 4751 1\na\n", shown
        assert mydocker("cp", "there:/opt/tree", str(out)) == Result(b"", b"", 0)
    assert _names(out) == ALL
    assert (out / "a").read_bytes() == b"a" * 100_000 and (out / "a").stat().st_mtime == 10**9
    assert (out / "a").samefile(out / "hard") and (out / "link").readlink() == pathlib.Path("a")
    assert stat.S_IMODE((out / "below" / "b").stat().st_mode) == 0o751  # no setuid program of the caller's


@root
def test_there_and_back(alpine: Command, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    _there_and_back(alpine, tree, tmp_path / "out")


@rootless
def test_there_and_back_as_an_ordinary_user(second_user: Command) -> None:
    home = second_user.directory / "home"
    tree = _tree(home)
    for path in (tree, *tree.rglob("*")):
        os.chown(path, home.stat().st_uid, home.stat().st_gid, follow_symlinks=False)
    (tree / "below" / "b").chmod(0o4751)  # chown(2) has taken that away
    _there_and_back(second_user, tree, home / "out")


@root
def test_where_things_go(alpine: Command, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with running(alpine, "where", script="mkdir /dir /c; ln -s /dir /to-dir; echo old > /file; ln -s file /to-file"):
        table = [
            (f"{tree}/.", "where:/dir", 0, "/dir/a"),
            (f"{tree}", "where:/dir", 0, "/dir/tree/a"),
            (f"{tree}", "where:/new", 0, "/new/a"),
            (f"{tree}/.", "where:/new2", 0, "/new2/a"),
            (f"{tree}/", "where:/to-dir", 0, "/dir/tree/a"),
            (f"{tree}/a", "where:/dir", 0, "/dir/a"),
            (f"{tree}/a", "where:/dir/", 0, "/dir/a"),
            (f"{tree}/a", "where:c", 0, "/c/a"),
            (f"{tree}/a", "where:/c/other", 0, "/c/other"),
            (f"{tree}/a", "where:/to-file", 0, "/file"),
            (f"{tree}/a", "where:/none/", 1, ""),
            (f"{tree}/a", "where:/none/x", 1, ""),
            (f"{tree}", "where:/file", 1, ""),
            (f"{tree}/a", "where:/file/", 1, ""),
            (f"{tree}/none", "where:/dir", 1, ""),
            (f"{tree}/a/", "where:/dir", 1, ""),
            ("where:/none", f"{tmp_path}", 1, ""),
            ("where:/dir", f"{tree}/a", 1, ""),
            ("where:/file", f"{tmp_path}/none/", 1, ""),
            ("where:/file", "where:/other", 2, ""),
            ("none-such:/file", ".", 1, ""),
            ("file", "other", 2, ""),
        ]
        for source, target, code, made in table:
            done = alpine("cp", source, target)
            assert (done.code, done.stdout) == (code, b"") and bool(done.stderr) == bool(code), (source, target, done)
            assert b"Traceback" not in done.stderr and done.stderr.count(b"mydocker:") == bool(code), done
            if made:
                check = alpine("exec", "where", "sh", "-c", f"cmp {made} /dir/a && test ! -L {made}")
                assert check.code == 0, (source, target, check)
        assert alpine("exec", "where", "readlink", "/to-file").stdout == b"file\n"


@root
def test_archives_on_the_standard_streams(alpine: Command, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with running(alpine, "streams-cp"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.add(tree, "given")
        assert alpine("cp", "-", "streams-cp:/srv", input=archive.getvalue()) == Result(b"", b"", 0)
        done = alpine("cp", "streams-cp:/srv/given", "-")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as back:
            assert sorted(back.getnames()) == ["given", *(f"given/{name}" for name in ALL)]
        inside = alpine("cp", "streams-cp:/srv/given/.", "-")
        with tarfile.open(fileobj=io.BytesIO(inside.stdout)) as back:
            assert sorted(back.getnames()) == [".", *(f"./{name}" for name in ALL)]
        for bad in (b"no archive", archive.getvalue()[:100]):
            refused = alpine("cp", "-", "streams-cp:/srv", input=bad)
            assert refused.code == 1 and b"cannot read the archive" in refused.stderr, refused
        assert alpine("cp", "-", "streams-cp:/etc/passwd", input=b"").code == 1


@root
def test_owners_are_root_s_or_kept(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.chown(tmp_path / "file", 1234, 2345)
    with running(alpine, "owners", script="touch /own; chown 77:88 /own; chmod 4755 /own"):
        assert alpine("cp", f"{tmp_path}/file", "owners:/root-s").code == 0
        assert alpine("cp", "-a", f"{tmp_path}/file", "owners:/kept").code == 0
        shown = alpine("exec", "owners", "stat", "-c", "%u:%g", "/root-s", "/kept")
        assert shown.stdout == b"0:0\n1234:2345\n"
        assert alpine("cp", "owners:/own", f"{tmp_path}/plain").code == 0
        assert alpine("cp", "-a", "owners:/own", f"{tmp_path}/exact").code == 0
    plain, exact = (tmp_path / "plain").stat(), (tmp_path / "exact").stat()
    assert (plain.st_uid, plain.st_mode & 0o7777) == (0, 0o755)
    assert (exact.st_uid, exact.st_gid, exact.st_mode & 0o7777) == (77, 88, 0o4755)


@root
def test_links_lead_nowhere_but_inside(alpine: Command, canary: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """CVE-2018-15664, CVE-2019-14271: whatever the container puts in the way."""
    (tmp_path / "mine").write_bytes(b"mine")
    up = "../" * 20
    script = (
        f"ln -s {up}{canary}/file /to-file; ln -s {canary} /to-dir; mkdir /d; ln -s {canary} /d/sub; "
        "ln -s /proc/1/root /magic; ln -s /proc/self/fd/0 /fd; ln -s loop /loop"
    )
    source = tmp_path / "d"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_bytes(b"overwritten")
    with running(alpine, "hostile-cp", script=script):
        for words, code in (
            (("-L", "hostile-cp:/to-file", str(tmp_path / "x")), 1),
            (("hostile-cp:/to-dir/", str(tmp_path / "x")), 1),
            (("hostile-cp:/to-dir/file", str(tmp_path / "x")), 1),
            ((str(tmp_path / "mine"), "hostile-cp:/to-file"), 1),
            ((str(tmp_path / "mine"), "hostile-cp:/to-dir/file"), 1),
            ((f"{source}/.", "hostile-cp:/d"), 1),
            (("hostile-cp:/magic/", str(tmp_path / "x")), 1),
            (("-L", "hostile-cp:/fd", str(tmp_path / "x")), 1),
            (("-L", "hostile-cp:/loop", str(tmp_path / "x")), 1),
            (("hostile-cp:/proc/kmsg", str(tmp_path / "x")), 1),
            (("hostile-cp:/proc/1/mem", str(tmp_path / "x")), 1),
            (("hostile-cp:/dev/null", str(tmp_path / "x")), 1),
            (("hostile-cp:/to-file", str(tmp_path / "link")), 0),
        ):
            done = alpine("cp", *words)
            assert done.code == code and b"Traceback" not in done.stderr, (words, done)
    assert os.readlink(tmp_path / "link").endswith("/canary/file") and not (tmp_path / "x").exists()


@root
def test_a_tree_that_changes_all_the_time_is_never_left(
    alpine: Command, canary: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    script = (
        "mkdir /t /t/a /t/b; echo x > /t/a/file; (while :; do mv /t/a /t/c; "
        f"ln -s {canary} /t/a; rm /t/a; mv /t/c /t/a; done) 2>/dev/null & sleep 0.1"
    )
    source = tmp_path / "s"
    (source / "a").mkdir(parents=True)
    (source / "a" / "file").write_bytes(b"overwritten")
    with running(alpine, "racing", script=script):
        for number in range(15):
            assert alpine("cp", "racing:/t", str(tmp_path / f"{number}")).code in (0, 1)
            assert alpine("cp", f"{source}/.", "racing:/t").code in (0, 1)
    for number in range(15):
        file = tmp_path / f"{number}" / "a" / "file"
        assert not file.is_file() or file.is_symlink() or file.parent.is_symlink() or file.read_bytes() != b"canary"


@root
def test_a_read_only_root_and_a_volume(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    with running(alpine, "sealed-cp", "--read-only", "-v", f"{tmp_path}/v:/v"):
        refused = alpine("cp", f"{tmp_path}/file", "sealed-cp:/etc/x")
        assert refused.code == 1 and b"Read-only file system" in refused.stderr
        assert alpine("cp", f"{tmp_path}/file", "sealed-cp:/v/x").code == 0
    assert (tmp_path / "v" / "x").read_bytes() == b"x"
