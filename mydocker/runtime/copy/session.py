"""Copying between the host and a container: one process reads and writes a stream of tar, the other the tree.

The container's side is a helper process, which is in the container's user namespace, and so has that one's ids, if it
has one; else it is root as mydocker is. It is in no other namespace of the container, and runs nothing of it: it holds
the container's root, and opens everything below that (CVE-2019-14271, CVE-2018-15664).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from mydocker import kernel
from mydocker.errors import REPORT_LIMIT, ErrorReport, HostError, LaunchError, MydockerError
from mydocker.kernel.enter import be_root, enter_namespace
from mydocker.record import Record
from mydocker.runtime.copy.pack import Packer
from mydocker.runtime.copy.places import Place, find_end, find_source
from mydocker.runtime.copy.unpack import Unpacker
from mydocker.runtime.inspect.container_view import ContainerView

_HARMLESS = 0o1777  # without setuid and setgid: what a container made does not become a privileged program of the host


class Tree(Record):
    """A container's tree: what its helper process calls first, which returns a descriptor of the root."""

    enter: Callable[[], int]


def tree_of(view: ContainerView) -> Tree:
    """That of a container that runs."""

    def enter() -> int:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if "user" in view.namespaces:
            enter_namespace(view.namespaces["user"])
        if view.plan.own_ids:
            be_root()
        return view.root

    return Tree(enter=enter)


def copy_out(tree: Tree, path: str, target: str, *, follow: bool, keep_owner: bool) -> None:
    """Copy PATH of the container to TARGET of the host. Raises LaunchError, HostError."""
    with _Helper(tree, lambda root, out: _pack(find_source(root, path, follow=follow), out, describe=True)) as helper:
        is_directory, contents_only, name = _described(helper)
        here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        end, last = find_end(here, _absolute(target), name=name, is_directory=is_directory, contents_only=contents_only)
        owner = None if keep_owner else (os.geteuid(), os.getegid())
        _unpack(end, last, helper.stream, owner=owner, rights=0o7777 if keep_owner else _HARMLESS)


def copy_in(tree: Tree, source: str, path: str, *, follow: bool, keep_owner: bool) -> None:
    """Copy SOURCE of the host to PATH of the container. Raises LaunchError, HostError."""
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    found = find_source(here, _absolute(source), follow=follow)
    with _Helper(tree, lambda root, into: _receive(root, path, into, keep_owner=keep_owner), writes=True) as helper:
        _pack(found, helper.stream, describe=True)


def stream_out(tree: Tree, path: str, out: BinaryIO, *, follow: bool) -> None:
    """Write PATH of the container to OUT as tar."""

    def pack(root: int, into: BinaryIO) -> None:
        place = find_source(root, path, follow=follow)
        _pack(place.replace(contents_only=False), into, name="." if place.contents_only else place.name)

    with _Helper(tree, pack) as helper:
        while data := helper.stream.read(1 << 16):
            out.write(data)


def stream_in(tree: Tree, source: BinaryIO, path: str, *, keep_owner: bool) -> None:
    """Unpack SOURCE, a tar, in directory PATH of the container."""

    def unpack(root: int, stream: BinaryIO) -> None:
        place = find_source(root, path, follow=True)
        if not place.is_directory:
            raise LaunchError(f"{path} in the container is not a directory")
        _unpack(place.descriptor, ".", stream, owner=None if keep_owner else (0, 0))

    with _Helper(tree, unpack, writes=True) as helper:
        while data := source.read(1 << 16):
            helper.stream.write(data)


def export(tree: Tree, out: BinaryIO) -> None:
    """Write all of the container's tree to OUT as tar, without what is mounted in there, as Docker has it."""

    def pack(root: int, into: BinaryIO) -> None:
        with Packer(into, whole=True) as packer:
            packer.add(root, "")

    with _Helper(tree, pack) as helper:
        while data := helper.stream.read(1 << 20):
            out.write(data)


def _absolute(path: str) -> str:
    """PATH of the host from its root, with the `/` or `/.` that it ends in."""
    return os.path.join(os.getcwd(), path) if not path.startswith("/") else path


def _pack(place: Place, out: BinaryIO, *, describe: bool = False, name: str = "item") -> None:
    if describe:
        out.write(f"{place.is_directory:d} {place.contents_only:d} {os.fsencode(place.name).hex()}\n".encode())
    with Packer(out) as packer:
        packer.add(place.descriptor, name)


def _described(helper: _Helper) -> tuple[bool, bool, str]:
    line = helper.stream.readline()
    if not line.endswith(b"\n"):
        helper.close()  # raises what went wrong
        raise HostError("a helper process of mydocker was killed before it reported a result")
    is_directory, contents_only, name = line.split()
    return is_directory == b"1", contents_only == b"1", os.fsdecode(bytes.fromhex(name.decode()))


def _receive(root: int, path: str, stream: BinaryIO, *, keep_owner: bool) -> None:
    """In the helper: what `_pack` writes goes to PATH."""
    is_directory, contents_only, name = stream.readline().split()
    end, last = find_end(
        root,
        path,
        name=os.fsdecode(bytes.fromhex(name.decode())),
        is_directory=is_directory == b"1",
        contents_only=contents_only == b"1",
    )
    _unpack(end, last, stream, owner=None if keep_owner else (0, 0))


def _unpack(end: int, name: str, stream: BinaryIO, *, owner: tuple[int, int] | None, rights: int = 0o7777) -> None:
    """Unpack STREAM in directory END; what is called `item` there gets NAME."""
    Unpacker(end, owner=owner, rights=rights, rename=("item", name)).read(stream)


class _Helper:
    """Context manager: the helper does ACTION with the root and one end of a pipe, `stream` is the other. What went
    wrong there is raised at the end."""

    def __init__(self, tree: Tree, action: Callable[[int, BinaryIO], None], *, writes: bool = False) -> None:
        reader, writer = os.pipe()
        self.report, report_end = os.pipe()
        own, other = (writer, reader) if writes else (reader, writer)
        parent = os.getpid()
        self.writes = writes
        self.pid = os.fork()
        if self.pid == 0:
            os.close(own)
            os.close(self.report)
            _help(tree, action, other, report_end, parent, reads=writes)
        os.close(other)
        os.close(report_end)
        self.stream: BinaryIO = open(own, "wb" if writes else "rb")  # noqa: SIM115

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, BrokenPipeError) or not self.writes:
            self.close()  # what went wrong at the beginning of the stream explains the rest
            return
        with suppress(MydockerError, BrokenPipeError):  # it follows from the first error
            self.close()

    def close(self) -> None:
        if not self.pid:
            return
        with suppress(BrokenPipeError):  # the helper has ended, and says why
            self.stream.close()
        pid, self.pid = self.pid, 0
        with open(self.report, "rb") as file:
            report = file.read(REPORT_LIMIT)
        _, status = os.waitpid(pid, 0)
        if report:
            raise ErrorReport.decode(report).as_error(LaunchError, HostError)
        if status:
            raise HostError("a helper process of mydocker was killed before it reported a result")


def _help(
    tree: Tree,
    action: Callable[[int, BinaryIO], None],
    end: int,
    report: int,
    parent: int,
    *,
    reads: bool,
) -> None:
    code = 1
    try:
        os.umask(0)
        root = tree.enter()
        kernel.die_with_parent(parent)
        with open(end, "rb" if reads else "wb") as stream:
            action(root, stream)
            if reads:  # what follows an archive, so that its writer need not fail
                while stream.read(1 << 16):
                    pass
        code = 0
    except BrokenPipeError:  # mydocker takes no more
        code = 0
    except OSError as error:
        file = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        os.write(report, ErrorReport.of(LaunchError(f"{file}{error.strerror}")).encode())
    except BaseException as error:
        os.write(report, ErrorReport.of(error, doing="copy").encode())
    finally:
        os._exit(code)
