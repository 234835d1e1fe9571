"""Images and volumes that attack through mounts: what is mounted, and what fills a volume, stays inside."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result, command
from lab.oci import DIR, CharDevice, Entry, Fifo, File, Hardlink, Image, Link, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

REFUSED = (0, 1, 125, 126, 127)


@pytest.fixture
def canary(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory of the host that nothing may touch, nor anything be mounted."""
    path = tmp_path / "canary"
    path.mkdir()
    (path / "file").write_text("alive\n")
    before = path.stat()
    yield path
    assert os.listdir(path) == ["file"] and (path / "file").read_text() == "alive\n"
    assert (path.stat().st_mode, path.stat().st_ino) == (before.st_mode, before.st_ino)
    assert str(tmp_path) not in pathlib.Path("/proc/self/mountinfo").read_text()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Command:
    """With a store for all tests, so that what their images have in common is unpacked once."""
    return command(tmp_path_factory.mktemp("attacks"), registry=registry.address, forks=True)


@pytest.fixture
def mydocker(stored: Command) -> Iterator[Command]:
    """With no volumes, and no mounts in the end."""
    yield stored
    shutil.rmtree(stored.store / "volumes", ignore_errors=True)
    assert str(stored.store) not in pathlib.Path("/proc/self/mountinfo").read_text()


def _push(registry: Registry, hostile: Image) -> str:
    """The name of HOSTILE, which is that of its content: what there is under it already is the same."""
    name = f"hostile/{hostile.digest.removeprefix('sha256:')[:12]}"
    registry.push(hostile, name)
    return name


WAYS_OUT = ["../../..", "/proc/1/root", "/proc/self/fd", "../../../CANARY", "/dev/fd"]


@pytest.mark.parametrize("to", WAYS_OUT)
@pytest.mark.parametrize(
    "options",
    [
        ("-v", "/a/b"),
        ("-v", "vol:/a/b"),
        ("-v", "vol:/a"),
        ("-v", "SOURCE:/a/b:O"),
        ("--tmpfs", "/a/b"),
        ("--device", "/dev/zero:/a/b"),
        ("--read-only", "-v", "/a/b", "-w", "/a/c"),
    ],
    ids=" ".join,
)
def test_a_mount_through_a_link(
    mydocker: Command, registry: Registry, canary: pathlib.Path, options: tuple[str, ...], to: str
) -> None:
    """CVE-2021-30465 for every kind of mount: a target is found inside or refused, and so is what fills a volume."""
    source = canary.parent / "source"
    source.mkdir()
    name = _push(registry, image(layer({"a": Link(to.replace("CANARY", str(canary).lstrip("/")))})))
    words = tuple(word.replace("SOURCE", str(source)) for word in options)
    done = mydocker("run", *words, name, "sh", "-c", "echo x > /a/b/x; echo x > /a/x; true")
    assert done.code in REFUSED and b"Traceback" not in done.stderr
    assert not any(pathlib.Path(f"/{name}").exists() for name in "bcx")
    assert list(source.iterdir()) == []
    assert "alive" not in [path.read_text() for path in (mydocker.store / "volumes").rglob("*/file")]


def test_what_a_hostile_image_puts_into_a_volume(mydocker: Command, registry: Registry, canary: pathlib.Path) -> None:
    """Links stay links, device nodes stay away, and depth and names are no obstacle."""
    steps = ["v", *["d" * 19] * 195]  # with the path of the store, more than a path may have
    entries: dict[str, Entry | bytes] = {
        **{"/".join(steps[:n]): DIR for n in range(1, len(steps) + 1)},
        "/".join([*steps, "bottom"]): b"x",
        "v/out": Link(str(canary)),
        "v/out2": Link("../../../../../../../../.." + str(canary)),
        "v/disk": CharDevice(8, 0),
        "v/fifo": Fifo(),
        "v/-rf": b"",
        "v/a\nb\x1b[31m": b"",
        "v/suid": File(b"", mode=0o6755),
        "v/linked": Hardlink("v/suid"),
        "v/marked": File(b"", xattrs={"user.overlay.opaque": b"y", "user.mine": b"1"}),
    }
    name = _push(registry, image(layer(entries)))
    done = mydocker("run", "-v", "vol:/v", name, "sh", "-c", "ls /v | wc -l; echo x > /v/out/y")
    assert done.code == 1 and b"Traceback" not in done.stderr, done
    data = mydocker.store / "volumes/vol/data"
    names = {"-rf", "a\nb\x1b[31m", "d" * 19, "fifo", "linked", "marked", "out", "out2", "suid"}
    assert set(os.listdir(data)) == names
    assert os.readlink(data / "out") == str(canary)
    assert (data / "suid").samefile(data / "linked") and (data / "suid").stat().st_mode == 0o106755
    assert os.listxattr(data / "marked") == ["user.mine"]
    found = mydocker("run", "-v", "vol:/v", "alpine", "find", "/v", "-name", "bottom")
    assert found.stdout.endswith(b"d/bottom\n") and len(found.stdout) > 3900
    assert mydocker("volume", "rm", "vol") == Result(b"vol\n", b"", 0)
    assert os.listdir(mydocker.store / "volumes") == []


def test_a_hole_larger_than_any_disk_here(mydocker: Command, tmp_path: pathlib.Path) -> None:
    tree = tmp_path / "tree"
    (tree / "v").mkdir(parents=True)
    with open(tree / "v" / "sparse", "wb") as file:
        file.write(b"begin")
        file.truncate(1 << 42)
    shutil.copy(shutil.which("busybox") or "", tree / "busybox")
    done = mydocker("run", "-v", "vol:/v", "--rootfs", str(tree), "/busybox", "stat", "-c", "%s", "/v/sparse")
    assert done == Result(f"{1 << 42}\n".encode(), b"", 0)
    copied = mydocker.store / "volumes/vol/data/sparse"
    with copied.open("rb") as file:
        assert copied.stat().st_blocks < 100 and file.read(8) == b"begin\0\0\0"


@pytest.mark.parametrize("declared", ["/", "", "relative", "/proc", "../../etc", "/a\nb", "x" * 5000, "/a/b"])
def test_odd_declared_volumes(mydocker: Command, registry: Registry, canary: pathlib.Path, declared: str) -> None:
    """Each is made if it can be; with a read-only root, where it must be writable, what cannot be is refused."""
    config = {"Volumes": {declared: {}}, "Env": ["PATH=/bin"]}
    name = _push(registry, image(layer({"a": Link(f"../../..{canary}")}), config={"config": config}))
    assert mydocker("run", name, "echo", "fine") == Result(b"fine\n", b"", 0)
    done = mydocker("run", "--read-only", name, "echo", "fine")
    assert (done.stdout, done.code) in ((b"fine\n", 0), (b"", 125)) and b"Traceback" not in done.stderr


def test_a_volume_that_another_container_made_a_trap(mydocker: Command, canary: pathlib.Path) -> None:
    """A link in one volume, where another one is to be mounted, or that is asked for as a part of it."""
    script = f"ln -s {canary} /v/a; ln -s ../../../../..{canary} /v/b; ln -s /proc/self/root{canary} /v/c"
    assert mydocker("run", "-v", "trap:/v", "alpine", "sh", "-c", script).code == 0
    for link in "abc":
        done = mydocker("run", "-v", "trap:/v", "--tmpfs", f"/v/{link}/d", "-v", f"x{link}:/v/{link}", "alpine", "true")
        assert done.code in REFUSED and b"Traceback" not in done.stderr
        part = mydocker("run", "--mount", f"src=trap,dst=/mnt,volume-subpath={link}", "alpine", "ls", "/mnt")
        assert (part.stdout, part.code) == (b"", 125) and b"Traceback" not in part.stderr
