"""`mydocker lock`, and --frozen and --offline: the images are those of the lock file, or nobody asks for any."""

from __future__ import annotations

import json
import os
import pathlib
import stat
from dataclasses import replace

import pytest
from lab import busybox
from lab.command import Command, command
from lab.oci import Image, digest, index, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

SPEC = "image: {}\ncommand: [cat, /etc/which]\n"


OURS = busybox.ARCHITECTURE
OTHER = "amd64" if OURS == "arm64" else "arm64"


def _image(which: str, **settings: object) -> Image:
    return busybox.alpine(layer({"etc/which": which.encode()}), **settings)


@pytest.fixture
def moving(registry: Registry, tmp_path: pathlib.Path) -> str:
    """An image whose name means something else when a test pushes `new` to it."""
    name = f"library/{tmp_path.name.replace('_', '-').lower()}"
    registry.push(index([_image("old"), _image("other", architecture=OTHER)]), name)
    return name.removeprefix("library/")


def test_the_lock_file_holds_every_platform_in_a_stable_order(
    mydocker: Command, registry: Registry, moving: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "x.yaml").write_text(f"image: {moving}\n---\nrootfs: /\ncommand: ls\n---\nimage: alpine\n")
    (tmp_path / "y.yaml").write_text(f"image: alpine@sha256:{'0' * 64}\n---\nimage: alpine\nplatform: linux/arm64\n")
    done = mydocker("lock", "x.yaml", "y.yaml", cwd=tmp_path)
    assert (done.stdout, done.stderr, done.code) == (b"mydocker.lock: 2 images\n", b"", 0)
    text = (tmp_path / "mydocker.lock").read_text()
    locked = json.loads(text)
    name = f"docker.io/library/{moving}:latest"
    platforms = {f"linux/{OURS}": _image("old").digest, f"linux/{OTHER}": _image("other", architecture=OTHER).digest}
    assert locked["version"] == 1 and list(locked["images"]) == sorted(["docker.io/library/alpine:latest", name])
    assert locked["images"][name] == platforms
    assert list(locked["images"]["docker.io/library/alpine:latest"]) == [f"linux/{busybox.ARCHITECTURE}"]
    assert mydocker("lock", "--lock-file", "-", "y.yaml", "x.yaml", cwd=tmp_path).stdout.decode() == text
    assert registry.blob_fetches(digest(_image("old").layers[-1])) == 0


def test_a_device_for_a_lock_file_is_written_to_and_stays(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yaml").write_text("image: alpine\n")
    for name, minor in (("null", 3), ("full", 7)):
        os.mknod(tmp_path / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        (tmp_path / f"to-{name}").symlink_to(name)
    for name in ("null", "to-null"):
        assert mydocker("lock", "--lock-file", name, "x.yaml", cwd=tmp_path).code == 0
    for name in ("full", "to-full"):
        done = mydocker("lock", "--lock-file", name, "x.yaml", cwd=tmp_path)
        assert done.code == 2 and f"cannot write the lock file {name}: No space left".encode() in done.stderr, done
    assert (tmp_path / "null").is_char_device() and (tmp_path / "full").is_char_device()
    piped = mydocker("lock", "--lock-file", "/dev/stdout", "x.yaml", cwd=tmp_path)
    assert (
        piped.stdout == mydocker("lock", "--lock-file", "-", "x.yaml", cwd=tmp_path).stdout + b"/dev/stdout: 1 image\n"
    )


def test_frozen_runs_what_was_locked(
    mydocker: Command, registry: Registry, moving: str, tmp_path: pathlib.Path
) -> None:
    """Also when the name means another image by now, which every other run gets."""
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    assert mydocker("lock", "x.yaml", cwd=tmp_path).code == 0
    registry.push(_image("new"), f"library/{moving}")
    assert mydocker("up", "x.yaml", cwd=tmp_path).stdout == b"new"
    for words in (("up", "--frozen", "x.yaml"), ("run", "--frozen", moving, "cat", "/etc/which")):
        done = mydocker(*words, cwd=tmp_path)
        assert (done.stdout, done.code) == (b"old", 0), done
    (tmp_path / "x.smoke.yaml").write_text(SPEC.format(moving) + "expect: {stdout: old}\n")
    assert mydocker("test", "--frozen", "x.smoke.yaml", cwd=tmp_path).code == 0
    done = mydocker("test", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 1
    (tmp_path / "x.smoke.yaml").write_text(SPEC.format(moving) + "expect: {stdout: new}\n")
    done = mydocker("test", "--frozen", "--offline", "x.smoke.yaml", cwd=tmp_path)
    assert b"again:    mydocker test --frozen --offline x.smoke.yaml:1\n" in done.stdout


@pytest.mark.parametrize("order", [(OTHER, OURS), (OURS, OTHER), (OTHER, OTHER, OURS), (OTHER, OURS, OURS)])
def test_an_index_without_platforms_means_the_same_to_run_and_lock(
    mydocker: Command, registry: Registry, moving: str, tmp_path: pathlib.Path, order: tuple[str, ...]
) -> None:
    """What they are for is in their configs."""
    images = [_image(f"{number}", architecture=each) for number, each in enumerate(order)]
    listed = index(images)
    entries = [{**each, "platform": None} for each in json.loads(listed.manifest)["manifests"]]
    bare = replace(listed, manifest=json.dumps({**json.loads(listed.manifest), "manifests": entries}).encode())
    registry.push(bare, f"library/{moving}")
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    assert mydocker("lock", "x.yaml", cwd=tmp_path).code == 0
    first = str(order.index(OURS)).encode()
    assert mydocker("up", "x.yaml", cwd=tmp_path).stdout == first
    assert mydocker("up", "--frozen", "x.yaml", cwd=tmp_path).stdout == first
    gone = mydocker("pull", "--platform", "s390x", moving)
    assert gone.code == 1 and b"no image for platform linux/s390x" in gone.stderr


def test_check_tells_what_the_lock_file_lacks(
    mydocker: Command, registry: Registry, moving: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    mydocker("lock", "x.yaml", cwd=tmp_path)
    before = (tmp_path / "mydocker.lock").read_bytes()
    assert mydocker("lock", "--check", "x.yaml", cwd=tmp_path).code == 0
    registry.push(_image("new"), f"library/{moving}")
    (tmp_path / "y.yaml").write_text(SPEC.format("alpine"))
    done = mydocker("lock", "--check", "x.yaml", "y.yaml", cwd=tmp_path)
    assert done.code == 1
    assert done.stderr.decode().splitlines() == [
        "mydocker.lock: docker.io/library/alpine:latest: is not in it",
        f"mydocker.lock: docker.io/library/{moving}:latest: is another image by now, for linux/amd64, linux/arm64",
    ]
    done = mydocker("lock", "--check", "y.yaml", cwd=tmp_path)
    assert f"docker.io/library/{moving}:latest: no file has it any more".encode() in done.stderr
    assert (tmp_path / "mydocker.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("lock", "complaint"),
    [
        (None, "cannot read the lock file mydocker.lock: No such file or directory"),
        ("{", "mydocker.lock: lock file: "),
        ("[]", "mydocker.lock: lock file: expected an object, not an array"),
        ('{"version": 2}', "mydocker.lock: its version is not 1"),
        ('{"version": 1, "images": {"A": {}}}', "mydocker.lock: invalid image reference 'A'"),
        ('{"version": 1, "images": {"a": {"linux/amd64": "sha256:0"}}}', "mydocker.lock: digest 'sha256:0'"),
        ('{"version": 1, "images": {"a": {"../x": "sha256:0"}}}', "mydocker.lock: platform '../x'"),
        ('{"version": 1}', "x.yaml:1: image alpine:latest is not in the lock file"),
        ('{"version": 1, "images": {"alpine": {}}}', "x.yaml:1: image alpine:latest: the lock file has no image for"),
    ],
)
def test_frozen_without_an_entry_is_an_error(
    alpine: Command, tmp_path: pathlib.Path, lock: str | None, complaint: str
) -> None:
    (tmp_path / "x.yaml").write_text(SPEC.format("alpine"))
    if lock is not None:
        (tmp_path / "mydocker.lock").write_text(lock)
    for words, code in ((("up", "--frozen", "x.yaml"), 125), (("test", "--frozen", "x.yaml"), 2)):
        done = alpine(*words, cwd=tmp_path)
        assert (done.code, done.stdout) == (code, b"")
        assert complaint in done.stderr.decode() and "mydocker lock" in done.stderr.decode()
        assert b"Traceback" not in done.stderr


def test_all_images_that_are_not_locked_are_named_at_once(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yaml").write_text("image: alpine\n---\nimage: alpine:3\n---\nimage: oci:nowhere\n")
    (tmp_path / "l").write_text('{"version": 1}')
    done = alpine("up", "--frozen", "--lock-file", "l", "x.yaml", cwd=tmp_path)
    assert [line.split(": ")[0] for line in done.stderr.decode().splitlines()] == ["x.yaml:1", "x.yaml:3"]


def test_a_digest_that_is_gone_is_an_error(mydocker: Command, moving: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    mydocker("lock", "x.yaml", cwd=tmp_path)
    text = (tmp_path / "mydocker.lock").read_text()
    (tmp_path / "mydocker.lock").write_text(text.replace(_image("old").digest, f"sha256:{'1' * 64}"))
    done = mydocker("up", "--frozen", "x.yaml", cwd=tmp_path)
    assert done.code == 125 and b"1111" in done.stderr


def test_offline_asks_nobody(alpine: Command, registry: Registry, moving: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    (tmp_path / "fine.yaml").write_text("image: alpine\ncommand: [echo, fine]\n")
    before = registry.requests()
    assert alpine("up", "--offline", "fine.yaml", cwd=tmp_path).stdout == b"fine\n"
    assert alpine("run", "--offline", "alpine", "echo", "fine").stdout == b"fine\n"
    assert alpine("pull", "--offline", "alpine").code == 0
    for words, code in (
        (("up", "--offline", "x.yaml"), 125),
        (("run", "--offline", moving), 125),
        (("test", "--offline", "x.yaml"), 3),
        (("pull", "--offline", moving), 1),
        (("run", "--offline", "--pull", "always", "alpine"), 125),
    ):
        done = alpine(*words, cwd=tmp_path)
        assert done.code == code and b"offline" in done.stderr + done.stdout, done
    assert registry.requests() == before


def test_fetched_ahead_everything_runs_offline(registry: Registry, moving: str, tmp_path: pathlib.Path) -> None:
    """What CI does: pull what is locked, then run with no network at all."""
    (tmp_path / "x.yaml").write_text(SPEC.format(moving))
    ready = command(tmp_path / "a", registry=registry.address, forks=True)
    assert ready("lock", "x.yaml", cwd=tmp_path).code == 0
    assert ready("up", "--frozen", "--offline", "x.yaml", cwd=tmp_path).code == 125
    assert ready("pull", "-q", "--frozen", cwd=tmp_path).code == 0
    assert ready("up", "--frozen", "--offline", "x.yaml", cwd=tmp_path).stdout == b"old"
    assert ready("pull", cwd=tmp_path).code == 2
