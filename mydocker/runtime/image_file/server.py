"""The FUSE program that reads the file of an image: squashfuse_ll or erofsfuse.

It reads an untrusted file, so it is in namespaces of its own: its root is in memory, and has the host's programs and
libraries, read-only, and that file. It has no network, no capabilities and no keys, and gains none; there is no process
that it could send a signal to. No process of the container sees it. It gets /dev/fuse, opened and mounted by the
container's first process. It ends with mydocker, even after kill -9: what waits for a program that does not respond
could not be killed otherwise.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from contextlib import suppress

from mydocker import idmap, kernel, programs
from mydocker.errors import HostError, refused_namespaces
from mydocker.idmap import Extent, IdMap
from mydocker.image.files.file_system import open_unchanged
from mydocker.kernel import signals
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.image.model import ImageFile

PROGRAMS = {"squashfs": "squashfuse_ll", "erofs": "erofsfuse"}
_DEVICE = "/dev/fuse"
_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_SHOWN = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")  # what programs need of the host
_LINKER = ("ld.so.cache",)  # of /etc
_FILE = "image"  # where it sees the file


class Server:
    """The program for FILE. REASON: why the kernel does not mount it itself."""

    def __init__(self, file: ImageFile, *, reason: str) -> None:
        self.file, self.reason = file, reason
        self.pid = 0

    def start(self) -> int:
        """Start it: a socket, to which /dev/fuse is sent. HostError if this host lacks what it takes, ImageError if
        another file has taken the place of this one."""
        program = self._program()
        os.close(open_unchanged(self.file))  # what is wrong with it later, the program does not say
        ids = _own_id()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                self.pid, pidfd = kernel.clone(kernel.CLONE_NEWPID | (kernel.CLONE_NEWUSER if ids else 0))
            except OSError as error:
                refused = refused_namespaces(error, is_users=ids is not None)
                raise HostError(f"cannot mount {self.file.path}: {refused.message}", hint=refused.hint) from None
            if self.pid == 0:
                _serve(theirs.fileno(), self.file, program, ids)
            os.close(pidfd)
            return ours.detach()

    def end(self) -> None:
        """Kill it, unless that has been done; its mounts have gone, or are not needed any more."""
        if not self.pid:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # the caller ignores SIGCHLD, so the kernel has reaped it (wait(2))
            os.waitpid(self.pid, 0)
        self.pid = 0

    def _program(self) -> str:
        what = f"cannot mount {self.file.path}: {self.reason}"
        try:
            program = programs.find(PROGRAMS[self.file.kind])
        except HostError as error:
            raise HostError(f"{what}, and {error.message}", hint=error.hint) from None
        try:
            os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            hint = f"load the module fuse; in a container, start that with --device {_DEVICE}"
            if error.errno == errno.EACCES:
                hint = f"as root: chmod 666 {_DEVICE}, which is what udev makes of it"
            raise HostError(f"{what}, and {_DEVICE}: {error.strerror}", hint=hint) from None
        return program


def _own_id() -> IdMap | None:
    """What an ordinary user's program has for ids in its user namespace: the user's own. None for root."""
    if os.geteuid() == 0:
        return None
    users, groups = (Extent(inside=number, outside=number, count=1) for number in (os.geteuid(), os.getegid()))
    return IdMap(users=(users,), groups=(groups,))


def _serve(channel: int, file: ImageFile, program: str, ids: IdMap | None) -> NoReturn:
    """In the new process, PID 1 of its namespace: wait for /dev/fuse, and become PROGRAM."""
    try:
        if ids:
            idmap.assign_own(ids)
        os.setsid()  # Ctrl-C is for the container
        kernel.close_all_but((channel,))
        for _ in range(3):
            os.open("/dev/null", os.O_RDWR)
        if device := _received(channel):
            _confine(file)
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # only now: new credentials clear it
            signals.reset()
            os.dup2(device, 3)
            os.set_inheritable(3, True)  # dup2(2) does nothing if it is this one already
            kernel.close_all_but((0, 1, 2, 3))
            os.execve(program, [program, "-f", f"/{_FILE}", "/dev/fd/3"], {"PATH": programs.PATH})
    finally:
        os._exit(1)


def _received(channel: int) -> int:
    """The descriptor that comes through CHANNEL, not one of the standard ones; 0 if nobody is there to send one."""
    with socket.socket(fileno=channel) as incoming:
        _, descriptors, _, _ = socket.recv_fds(incoming, 1, 1)
    return descriptors[0] if descriptors else 0


def _confine(file: ImageFile) -> None:
    """Enter namespaces in which there are programs, libraries and FILE, and give up all privileges."""
    with suppress(OSError):  # a system call filter around this refuses it, as in a container
        kernel.join_session_keyring()
    kernel.unshare(_NAMESPACES)
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_PRIVATE)
    trees = {name: _tree(f"/{name}") for name in _SHOWN if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")}
    links = {name: os.readlink(f"/{name}") for name in _SHOWN if os.path.islink(f"/{name}")}
    files = {f"etc/{name}": _tree(f"/etc/{name}") for name in _LINKER if os.path.isfile(f"/etc/{name}")}
    descriptor = open_unchanged(file)
    files[_FILE] = _tree("", descriptor)
    place = os.open("/dev", os.O_PATH | os.O_DIRECTORY)
    memory = kernel.new_filesystem("tmpfs", [("mode", "755"), ("size", "1m")], attributes=kernel.ATTR_NODEV)
    kernel.attach(memory, place)
    os.chdir("/dev")
    os.mkdir("etc")
    for name, target in links.items():
        os.symlink(target, name)
    for name, tree in trees.items():
        os.mkdir(name)
        _put(tree, name, os.O_DIRECTORY)
    for name, tree in files.items():
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT))
        _put(tree, name, 0)
    os.chroot(".")
    os.chdir("/")
    _give_up(os.stat(f"/{_FILE}"))


def _tree(path: str, directory: int = -100) -> int:
    """A copy of the mount of PATH, or of the file open at DIRECTORY, that nothing can be changed through."""
    tree = kernel.clone_tree(path, directory=directory, recursive=True)
    attributes = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    kernel.set_attributes(tree, attributes, recursive=True)
    return tree


def _put(tree: int, name: str, flags: int) -> None:
    kernel.attach(tree, os.open(name, os.O_PATH | flags))


def _give_up(status: os.stat_result) -> None:
    """Become the owner of the file, whose STATUS this is, and of its group, without capabilities."""
    if os.geteuid() == 0:
        with suppress(OSError):  # where these ids are not mapped
            os.setgroups([])
            os.setresgid(*[status.st_gid] * 3)
            os.setresuid(*[status.st_uid] * 3)
    kernel.set_capabilities(0)
