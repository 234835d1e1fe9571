"""What is behind the file system of an image that is a file: written, read, refused where it is damaged or lies."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable

import pytest

from mydocker.errors import ImageError, ImageNotFoundError
from mydocker.image.files import file_system
from mydocker.image.files.file_system import MAGIC
from mydocker.image.model.digest import digest_of
from mydocker.image.store_root import checksum
from mydocker.reference import Location, Platform, Reference

CONFIG = b'{"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/x"]}, "rootfs": {"diff_ids": []}}'
MANIFEST = digest_of(b"manifest")
TREE = b"hsqs" + bytes(5000)  # as far as anybody here looks


def _write(path: pathlib.Path, config: bytes = CONFIG, tree: bytes = TREE) -> pathlib.Path:
    path.write_bytes(tree)
    descriptor = os.open(path, os.O_RDWR)
    file_system.append(descriptor, config=config, name="docker.io/library/app:1", manifest=MANIFEST)
    os.close(descriptor)
    return path


def _location(path: pathlib.Path, transport: str = "squashfs") -> Location:
    return Location(transport=transport, path=str(path))


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "app")
    found = file_system.read(_location(path))
    assert (found.config, found.name, found.manifest) == (CONFIG, "docker.io/library/app:1", MANIFEST)
    assert found.parsed.cmd == ("/x",) and found.file.path == str(path)
    assert path.read_bytes().startswith(TREE) and path.stat().st_size % file_system.BLOCK == 0
    assert (found.file.size, path.read_bytes()[found.file.size :][: len(CONFIG)]) == (8192, CONFIG)


def test_an_erofs_has_its_mark_elsewhere(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "app", tree=bytes(1024) + b"\xe2\xe1\xf5\xe0" + bytes(5000))
    assert file_system.read(_location(path, "erofs")).manifest == MANIFEST
    with pytest.raises(ImageError, match="an EROFS file system, and not a squashfs one"):
        file_system.read(_location(path))


def test_the_image_is_for_one_platform_and_has_one_digest(tmp_path: pathlib.Path) -> None:
    name = Reference.parse(f"squashfs:{_write(tmp_path / 'app')}")
    assert file_system.find(name, Platform.parse("amd64")).manifest == MANIFEST
    assert file_system.find(name.replace(digest=MANIFEST), Platform.parse("amd64")).lowerdirs == ()
    with pytest.raises(ImageNotFoundError, match="no image for platform linux/arm64"):
        file_system.find(name, Platform.parse("arm64"))
    with pytest.raises(ImageNotFoundError, match="another image by now"):
        file_system.find(name.replace(digest=digest_of(b"x")), Platform.parse("amd64"))


def _cut(path: pathlib.Path, size: int) -> None:
    os.truncate(path, size)


def _replace(path: pathlib.Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new))


def _lie(path: pathlib.Path, *sizes: int, config: bytes = b"", about: bytes = b"") -> None:
    """End PATH in SIZES, with a sum that is right."""
    lengths = b"".join(each.to_bytes(8, "little") for each in sizes).ljust(32, b"\0")
    path.write_bytes(path.read_bytes()[:-64] + MAGIC + lengths + checksum(lengths, config, about).encode())


def _with_config(config: bytes) -> Callable[[pathlib.Path], None]:
    return lambda path: _write(path, config) and None


def _put(kind: str) -> Callable[[pathlib.Path], None]:
    def put(path: pathlib.Path) -> None:
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "directory":
            path.mkdir()
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "loop":
            path.symlink_to(path)

    return put


DAMAGE: dict[str, tuple[Callable[[pathlib.Path], object], str]] = {
    "empty": (lambda path: _cut(path, 0), "not a squashfs file system"),
    "cut in the tree": (lambda path: _cut(path, 4097), "no image config at its end: .* or it is cut off"),
    "cut in the end": (lambda path: _cut(path, path.stat().st_size - 1), "no image config at its end"),
    "no image": (lambda path: path.write_bytes(TREE), "no image config at its end"),
    "another file": (lambda path: path.write_bytes(b"root:x:0:0" * 2000), "not a squashfs file system"),
    "a changed config": (lambda path: _replace(path, b'"/x"', b'"/y"'), "damaged: the image config is not what was"),
    "another name": (lambda path: _replace(path, b"app:1", b"app:2"), "damaged: the image config is not what was"),
    "a config beyond the end": (lambda path: _lie(path, 8192, 1 << 20, 9), "damaged: its sizes are impossible"),
    "a config of 2^63 bytes": (lambda path: _lie(path, 0, 1 << 63, 0), "damaged: its sizes are impossible"),
    "a tree of 2^64 bytes": (lambda path: _lie(path, (1 << 64) - 4096, 9, 9), "damaged: its sizes are impossible"),
    "a config of 5 MiB": (
        lambda path: _with_config(b'"%b"' % bytes(5 << 20))(path),
        "damaged: its sizes are impossible",
    ),
    "no config": (lambda path: _lie(path, 8192, 0, 0), "image config: not JSON"),
    "no JSON": (_with_config(b"{"), "image config: not JSON"),
    "deep JSON": (_with_config(b"[" * 200_000), "image config: not acceptable JSON: nested too deeply"),
    "a list": (_with_config(b"[]"), "image config: expected an object"),
    "a command that is none": (_with_config(b'{"config": {"Cmd": 1}}'), "image config: Cmd: expected an array"),
    "a FIFO": (_put("fifo"), "not a file"),
    "a directory": (_put("directory"), "not a file"),
    "a device": (_put("device"), "not a file"),
    "a link to itself": (_put("loop"), "Too many levels of symbolic links"),
    "nothing": (lambda path: path.unlink(), "does not exist"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, case: str) -> None:
    path = _write(tmp_path / "app")
    damage, message = DAMAGE[case]
    damage(path)
    with pytest.raises(ImageError, match=message) as raised:
        file_system.read(_location(path))
    assert str(path) in raised.value.message


def test_a_description_that_lies(tmp_path: pathlib.Path) -> None:
    """It is of our form, and of somebody else's hand."""
    path = tmp_path / "app"
    for about in (
        b"",
        b"[]",
        b'{"manifest": "sha256:../../x"}',
        b'{"manifest": 7}',
        json.dumps({"name": "x"}).encode(),
        json.dumps({"name": "x y\x1b[2J", "manifest": str(MANIFEST)}).encode(),
    ):
        path.write_bytes(TREE.ljust(8192, b"\0") + CONFIG + about + bytes(64))
        _lie(path, 8192, len(CONFIG), len(about), config=CONFIG, about=about)
        with pytest.raises(ImageError, match=f"{path}: "):
            file_system.read(_location(path))


def test_another_file_in_its_place_is_noticed(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "app")
    file = file_system.read(_location(path)).file
    os.close(file_system.open_unchanged(file))
    _write(tmp_path / "new").rename(path)
    with pytest.raises(ImageError, match="was replaced meanwhile"):
        file_system.open_unchanged(file)
