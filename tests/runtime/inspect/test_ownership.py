"""Checks of ownership say the same whoever runs them: root, a user with ranges of ids, and a user with one id only."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import pwd
import tarfile
from contextlib import AbstractContextManager, nullcontext

import pytest
from lab import busybox, oci
from lab.command import Command, granted
from lab.oci import DIR, WHITEOUT, Dir, File, Hardlink, Link, layer
from lab.registry import Registry

pytestmark = [pytest.mark.root, pytest.mark.rootless]

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, linux/capability.h
LOWER = layer(
    [
        (".", Dir(mode=0o711, uid=12, gid=12)),
        ("data", Dir(uid=8, gid=12, mode=0o700)),
        ("data/kept", File(b"x", uid=8, gid=405, mode=0o4750)),
        ("data/hard", Hardlink("data/kept")),
        ("data/appended", File(b"x", uid=8, gid=12)),
        ("data/replaced", File(b"x", uid=8, gid=12)),
        ("data/by-layer", File(b"x", uid=8, gid=12)),
        ("data/gone", Dir(uid=8, gid=12)),
        ("data/gone/in", File(b"x", uid=8, gid=12)),
        ("link", Link("data/kept", uid=1)),
        ("vol", Dir(uid=8)),
        ("ping", File(b"x", mode=0o755, uid=0, gid=12, xattrs={"security.capability": CAPABILITY})),
    ]
)
UPPER = layer(
    [
        (".", Dir(mode=0o711, uid=12, gid=12)),
        ("data", Dir(uid=8, gid=12, mode=0o700)),
        ("data/by-layer", File(b"y", uid=2, gid=2)),
        ("data/gone", WHITEOUT),
        ("data/gone", DIR),
        ("implied/x", b""),
    ]
)
CHANGES = """
echo more >> /data/appended; rm /data/replaced; echo new > /data/replaced; echo new > /data/new; echo x > /vol/x
"""
# path, owner, group, mode
TRUTH = [
    ("/", "root", "root", "0755"),  # whatever a layer says
    ("/data", "mail", "mail", "0700"),
    ("/data/kept", "8", "guests", "4750"),
    ("/data/hard", "8", "405", "4750"),
    ("/link", "8", "405", "4750"),  # what it leads to
    ("/data/appended", "8", "12", "0644"),
    ("/data/replaced", "root", "root", "0644"),
    ("/data/new", "0", "0", "0644"),
    ("/data/by-layer", "2", "2", "0644"),
    ("/data/gone", "0", "0", "0755"),
    ("/implied", "0", "0", "0755"),
    ("/ping", "root", "mail", "0755"),
    ("/etc/shadow", "0", "42", "0640"),
    ("/etc/resolv.conf", "root", "root", "0644"),  # ours
    ("/vol/x", "root", "root", "0644"),
]


@pytest.fixture
def owned(registry: Registry) -> str:
    group = layer({"etc/group": busybox.GROUP + b"guests:x:405:\n"})
    registry.push(busybox.alpine(group, LOWER, UPPER), "test/owned")
    return "test/owned"


def _spec(directory: pathlib.Path, image: str, checks: list[tuple[str, str, str, str]], *, more: str = "") -> str:
    volume = directory / "volume"
    volume.mkdir(exist_ok=True)
    volume.chmod(0o777)
    keys = ("path", "owner", "group", "mode")
    files = json.dumps([dict(zip(keys, check, strict=True)) for check in checks])
    command = json.dumps(["sh", "-c", CHANGES + ("sleep 1000" if more else "")])
    text = f"image: {image}\nnetwork_mode: none\nvolumes: ['{volume}:/vol']\ncommand: {command}\n"
    (directory / "x.smoke.yaml").write_text(f"{text}expect:\n  files: {files}\n{more}")
    return str(directory / "x.smoke.yaml")


def _ids(user: pwd.struct_passwd, ranges: str) -> AbstractContextManager[None]:
    return granted(user, 300_000) if ranges == "ranges" else nullcontext()


@pytest.mark.parametrize(("who", "watched"), [("root", False), ("ranges", False), ("one id", False), ("one id", True)])
def test_owners_of_all_kinds(
    mydocker: Command, second_user: Command, user: pwd.struct_passwd, owned: str, who: str, watched: bool
) -> None:
    command = mydocker if who == "root" else second_user
    volume = second_user.directory / "volume"
    volume.mkdir()
    more = "  within: 200s\n" if watched else ""
    with _ids(user, who):
        done = command("test", _spec(second_user.directory, owned, TRUTH, more=more))
    assert done.code == 0, done.stdout.decode()


@pytest.mark.parametrize("who", ["ranges", "one id"])
def test_what_is_not_so_fails(second_user: Command, user: pwd.struct_passwd, owned: str, who: str) -> None:
    """Each check on its own, the other way round."""
    wrong = [(path, "77", "78", "0007") for path, *_ in TRUTH]
    with _ids(user, who):
        done = second_user("test", "--report", "json=-", _spec(second_user.directory, owned, wrong))
    assert done.code == 1
    said = done.stdout.decode()
    for path, *_ in TRUTH:
        assert all(f"{what} of {path}" in said for what in ("owner", "group", "mode")), path


def test_keep_id(second_user: Command, user: pwd.struct_passwd, owned: str) -> None:
    """What root of the image owns is the caller's; others stay who they are."""
    own = (str(user.pw_uid), str(user.pw_gid))
    checks = [("/data/kept", "8", "405", "4750"), ("/etc/hostname", *own, "0644"), ("/implied/x", *own, "0644")]
    spec = pathlib.Path(_spec(second_user.directory, owned, checks))
    spec.write_text(spec.read_text().replace("command:", "userns_mode: keep-id\ncommand:"))
    done = second_user("test", str(spec))
    assert done.code == 0, done.stdout.decode()


def test_a_save_has_what_the_disk_has_not(second_user: Command, registry: Registry) -> None:
    """Owners, modes, capabilities and device nodes of the archive, byte for byte: with one id, none is on disk so."""
    tar = layer(
        {"a": File(b"1", uid=5, mode=0o4755, xattrs={"security.capability": CAPABILITY}), "b": oci.CharDevice(1, 3)}
    )
    registry.push(oci.image([tar]), "test/exact")
    assert second_user("pull", "-q", "test/exact").code == 0
    saved = second_user("save", "test/exact").stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        inside = archive.extractfile(f"blobs/sha256/{hashlib.sha256(tar).hexdigest()}")
        assert inside and inside.read() == tar
    assert second_user("fsck").code == 0
