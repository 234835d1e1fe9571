"""The lock of an image, held by containers, and taken by who removes it."""

from __future__ import annotations

import errno
import os
import pathlib
import threading

import pytest

from mydocker.errors import ImageNotFoundError
from mydocker.image.model.digest import digest_of
from mydocker.image.store import Store, flock, use_lock


@pytest.fixture
def blob(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "blob"
    path.write_bytes(b"{}")
    return path


def test_what_is_held_stays(blob: pathlib.Path) -> None:
    assert not use_lock.is_held(str(blob))
    holders = [use_lock.hold(str(blob)) for _ in range(2)]
    for holder in holders:
        assert holder is not None and use_lock.is_held(str(blob))
        assert not use_lock.remove_unless_held(str(blob)) and blob.exists()
        os.close(holder)
    assert not use_lock.is_held(str(blob))
    assert use_lock.remove_unless_held(str(blob)) and not blob.exists()
    with pytest.raises(ImageNotFoundError):
        use_lock.hold(str(blob))


def test_a_blob_that_is_pulled_again_stays_held(tmp_path: pathlib.Path) -> None:
    store, data = Store(str(tmp_path / "store")), b"{}"
    digest = digest_of(data)
    store.prepare()
    store.put_blob(digest, data)
    path = store.blob_path(digest)
    held = use_lock.hold(path)
    assert held is not None
    store.put_blob(digest, data)
    assert use_lock.is_held(path) and not use_lock.remove_unless_held(path)
    os.close(held)
    pathlib.Path(path).write_bytes(b"[]")  # damage
    store.put_blob(digest, data)
    assert pathlib.Path(path).read_bytes() == data


def test_who_comes_while_it_is_removed_finds_that_it_is_gone(blob: pathlib.Path) -> None:
    """It has the file open, and gets the lock when there is no file of that name any more."""
    removing = os.open(blob, os.O_RDWR)
    use_lock.lock_everywhere(removing)
    errors: list[BaseException] = []

    def hold() -> None:
        try:
            use_lock.hold(str(blob))
        except ImageNotFoundError as error:
            errors.append(error)

    waiting = threading.Thread(target=hold)
    waiting.start()
    while not _is_waiting(blob):
        pass
    blob.unlink()
    os.close(removing)
    waiting.join()
    assert len(errors) == 1


def _is_waiting(blob: pathlib.Path) -> bool:
    """Whether somebody waits for a lock of BLOB (proc_locks(5): such lines have an arrow)."""
    lines = pathlib.Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{blob.stat().st_ino} " in line for line in lines)


def test_what_is_no_file_is_not_held(tmp_path: pathlib.Path) -> None:
    (tmp_path / "directory").mkdir()
    assert not use_lock.is_held(str(tmp_path / "nonesuch"))
    assert use_lock.remove_unless_held(str(tmp_path / "directory"))  # damage
    assert use_lock.remove_unless_held(str(tmp_path / "nonesuch"))


def test_what_cannot_be_opened_may_be_held(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For lack of descriptors, or as a server refuses it."""
    blob = tmp_path / "blob"
    blob.touch()

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert not use_lock.remove_unless_held(str(blob))
    assert blob.exists()


def test_a_directory_and_its_file_are_locked_together(tmp_path: pathlib.Path) -> None:
    """On a server, only the file's lock is seen by others: it alone keeps them out."""
    (tmp_path / "layers").mkdir()
    path = str(tmp_path / "layers")
    with flock.shared(path):
        pass
    other = os.open(f"{path}.lock", os.O_RDWR)
    use_lock.lock_everywhere(other, shared=True)
    with flock.shared(path), flock.exclusive(path) as free:
        assert not free
    with flock.exclusive(path) as free:
        assert not free
    os.close(other)
    with flock.exclusive(path) as free:
        assert free
