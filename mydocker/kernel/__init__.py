"""Linux system calls that Python's `os` lacks, made through the C library.

Each function is one system call, takes and returns plain values, and raises OSError with the call's
name and target. No policy is decided here. Minimum kernel 5.12 (mount_setattr(2)). Calls without a wrapper in every
C library go by number; those added since Linux 5.1 have one number on all architectures.
"""

from __future__ import annotations

import gc
import os

from mydocker.kernel.clib import Int, Long, UnsignedInt, UnsignedLong, addressof, byref, function, get_errno, sizeof
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000

MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

ATTR_RDONLY = 0x01
ATTR_NOSUID = 0x02
ATTR_NODEV = 0x04
ATTR_NOEXEC = 0x08
_ATTR_IDMAP = 0x00100000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

CAP_SYS_PTRACE = 1 << 19  # bits of a mask; specs/values/capability.py has the names of all
CAP_SYS_ADMIN = 1 << 21

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_FSOPEN_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_FSMOUNT_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_CLOSE_RANGE_CLOEXEC = 4
_SIGCHLD = 17
_SIGKILL = 9
_AF_INET = 2
_SOCK_DGRAM = 2
_MSG_DONTWAIT = 0x40
_MSG_NOSIGNAL = 0x4000
_SIOCSIFFLAGS = 0x8914
_FIONREAD = 0x541B
_NS_GET_USERNS = 0xB701  # linux/nsfs.h
_F_SETPIPE_SZ, _F_GETPIPE_SZ = 1031, 1032
_IFF_UP = 1
_LOCK_SH, _LOCK_EX, _LOCK_NB = 1, 2, 4
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_SET_MODE_FILTER = 1

# linux/magic.h and the like: overlayfs can write there, and no other machine does (ext4, xfs, btrfs, tmpfs, f2fs, zfs,
# bcachefs); over an overlay, it writes to memory
LOCAL_FILE_SYSTEMS = frozenset((0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0x2FC12FC1, 0xCA451A4E))
LOCAL_FILE_SYSTEMS |= {0x794C7630}
FUSE = 0x65735546  # also virtiofs

_NUMBERS = {  # name: (x86-64, arm64); asm/unistd_64.h and asm-generic/unistd.h
    "clone": (56, 220),
    "pivot_root": (155, 41),
    "keyctl": (250, 219),
    "renameat2": (316, 276),
    "seccomp": (317, 277),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "mount_setattr": (442, 442),
}
_COLUMN = 1 if os.uname().machine == "aarch64" else 0
ARCHITECTURE = ("amd64", "arm64")[_COLUMN]  # of this machine, as an OCI platform names it

_system_call = function("syscall")
_system_call.restype = Long


def _fail(call: str, target: str) -> OSError:
    number = get_errno()
    return OSError(number, f"{os.strerror(number)} ({call})", target or None)


def _call(name: str, *arguments: object, target: str = "") -> int:
    """Call the C library's function NAME."""
    result: int = function(name)(*arguments)
    if result == -1:
        raise _fail(name, target)
    return result


def _syscall(name: str, *arguments: object, target: str = "") -> int:
    """Make the system call NAME by its number; integers are passed as longs, as the kernel takes them."""
    longs = [Long(x) if isinstance(x, int) else x for x in arguments]
    result: int = _system_call(Long(_NUMBERS[name][_COLUMN]), *longs)
    if result == -1:
        raise _fail(name, target)
    return result


def clone(namespaces: int) -> tuple[int, int]:
    """fork(2) into new namespaces: (pid, pidfd) in the parent, (0, -1) in the child.

    clone(2) rather than unshare(2) and fork: the child is PID 1 at once, its user namespace owns the
    others, and the caller stays where it is. The caller must have one thread only, as for fork.
    """
    pidfd = Int(-1)
    function("PyOS_BeforeFork")()
    pid: int = _system_call(
        Long(_NUMBERS["clone"][_COLUMN]),
        UnsignedLong(namespaces | CLONE_PIDFD | _SIGCHLD),
        None,
        byref(pidfd),
        None,
        None,
    )
    if pid == 0:
        function("PyOS_AfterFork_Child")()
        return 0, -1
    error = _fail("clone", "") if pid == -1 else None
    function("PyOS_AfterFork_Parent")()
    if error:
        raise error
    return pid, pidfd.value


def wait(pid: int) -> tuple[int, float, int]:
    """Wait for the end of child PID: its wait status, CPU seconds and largest resident size in bytes (wait4(2)).
    os.wait4 would import a module for its result."""
    status = Int()
    usage = (Long * 18)()  # struct rusage: user, system (seconds, microseconds), maxrss in KiB
    _call("wait4", pid, byref(status), 0, usage, target=str(pid))
    user, user_part, system, system_part, largest = usage[:5]
    return status.value, user + system + (user_part + system_part) / 1e6, largest * 1024


def unshare(namespaces: int) -> None:
    _call("unshare", namespaces)


def sethostname(name: str) -> None:
    raw = os.fsencode(name)
    _call("sethostname", raw, UnsignedLong(len(raw)), target=name)


def setdomainname(name: str) -> None:
    raw = os.fsencode(name)
    _call("setdomainname", raw, UnsignedLong(len(raw)), target=name)


def set_propagation(target: str, flags: int) -> None:
    """Change the mount propagation of TARGET, for instance MS_REC | MS_SLAVE (mount(2))."""
    _call("mount", None, os.fsencode(target), None, UnsignedLong(flags), None, target=target)


def mount(source: str, target: str, fstype: str, flags: int, options: str) -> None:
    """The classic mount(2); OPTIONS are limited to a page and split at commas."""
    words = [os.fsencode(x) for x in (source, target, fstype)]
    _call("mount", *words, UnsignedLong(flags), os.fsencode(options), target=target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _call("umount2", os.fsencode(target), flags, target=target)


def pivot_root(new_root: str, put_old: str) -> None:
    _syscall("pivot_root", os.fsencode(new_root), os.fsencode(put_old))


def new_filesystem(fstype: str, options: list[tuple[str, str | None]], *, attributes: int = 0, source: str = "") -> int:
    """A new file system, mounted nowhere yet: a descriptor for `attach`. An option with None is a flag.

    fsopen(2), fsconfig(2), fsmount(2); a value is at most 255 bytes. An error carries the kernel's own message if any.
    """
    context = _syscall("fsopen", os.fsencode(fstype), _FSOPEN_CLOEXEC, target=fstype)
    try:
        for key, value in [("source", source or fstype), *options]:
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            raw = None if value is None else os.fsencode(value)
            _syscall("fsconfig", context, command, os.fsencode(key), raw, 0, target=f"{fstype} {key}={value or ''}")
        _syscall("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0, target=fstype)
        return _syscall("fsmount", context, _FSMOUNT_CLOEXEC, attributes, target=fstype)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{_kernel_log(context)}", error.filename) from None
    finally:
        os.close(context)


def _kernel_log(context: int) -> str:
    """What the kernel wrote about a failure into the file system context (fsopen(2), "Message retrieval")."""
    lines = []
    try:
        while line := os.read(context, 4096):
            lines.append(line.decode(errors="replace").strip()[2:])
    except OSError:  # ENODATA: no more messages
        pass
    return f": {'; '.join(lines)}" if lines else ""


def clone_tree(path: str, *, directory: int = _AT_FDCWD, recursive: bool = False) -> int:
    """A copy of the mount at PATH (what a bind mount shows), attached nowhere: a descriptor for `attach`."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    return _syscall("open_tree", directory, os.fsencode(path), flags, target=path)


def set_attributes(tree: int, attributes: int, *, recursive: bool = False, propagation: int = 0) -> None:
    """Add ATTR_… flags to the mount of descriptor TREE, and to those below (mount_setattr(2))."""
    request = (UnsignedLong * 4)(attributes, 0, propagation, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _syscall("mount_setattr", tree, b"", flags, request, sizeof(request))


def map_ids(tree: int, users: int, *, recursive: bool = False) -> None:
    """Map the owners of what is in the detached mount TREE by the user namespace of descriptor USERS."""
    request = (UnsignedLong * 4)(_ATTR_IDMAP, 0, 0, users)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _syscall("mount_setattr", tree, b"", flags, request, sizeof(request))


def attach(tree: int, target: int) -> None:
    """Mount a detached TREE on the file or directory open at descriptor TARGET; no path, so no symlink."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _syscall("move_mount", tree, b"", target, b"", flags)


def open_inside(root: int, path: str, flags: int, *, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Open PATH as a process chrooted to directory ROOT would: openat2(2), by default RESOLVE_IN_ROOT. Magic links
    (/proc/self/fd/N, /proc/self/exe) are never followed."""
    how = (UnsignedLong * 3)(flags | os.O_CLOEXEC, mode, resolve | RESOLVE_NO_MAGICLINKS)
    while True:
        try:
            return _syscall("openat2", root, os.fsencode(path) or b".", how, sizeof(how), target=path)
        except BlockingIOError:  # EAGAIN: `..` during a rename somewhere; try again
            pass


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor that is not KEPT (close_range(2)), whatever the limit for new ones is.

    Files and sockets of the process that has forked this one are never collected as garbage from here on: that would
    close their numbers, which may belong to something else by then.
    """
    gc.freeze()
    first = 0
    for descriptor in (*sorted(set(kept)), 0x7FFFFFFF):
        if descriptor > first:
            _syscall("close_range", first, descriptor - 1, 0)
        first = descriptor + 1


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from FIRST up close-on-exec (close_range(2))."""
    _syscall("close_range", first, 0x7FFFFFFF, _CLOSE_RANGE_CLOEXEC)


def limit_bounding_set(mask: int) -> None:
    """Drop every capability that is not in MASK from the bounding set, as far as this process may (prctl(2))."""
    call, zero = function("prctl"), UnsignedLong(0)
    for number in range(64):
        dropped = call(PR_CAPBSET_DROP, UnsignedLong(number), zero, zero, zero) if not mask >> number & 1 else 0
        if dropped == -1:  # EINVAL: past the last that this kernel knows
            return


def prctl(option: int, *values: int) -> int:
    longs = [UnsignedLong(x) for x in (*values, 0, 0, 0, 0)[:4]]
    return _call("prctl", option, *longs, target=str(option))


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when PARENT ends, which forked it and is in the same pid namespace.

    Where that has ended already, the signal would never come (prctl(2), PR_SET_PDEATHSIG): then this process ends at
    once. New credentials clear it, a user namespace's too.
    """
    prctl(PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def start_time(pid: int) -> int:
    """When PID began, in ticks since the boot: with its number, what distinguishes it from every other process
    (proc_pid_stat(5), the 20th field after the name, which may hold anything). OSError if there is none."""
    file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(file, 4096).rpartition(b")")[2].split()[19])
    finally:
        os.close(file)


def get_capabilities() -> int:
    """The permitted set of this process, as a bit mask (capget(2))."""
    header = (UnsignedInt * 2)(_CAPABILITY_VERSION_3, 0)
    data = (UnsignedInt * 6)()
    _call("capget", header, data)
    return int(data[1]) | int(data[4]) << 32


def set_capabilities(mask: int) -> None:
    """Make MASK the permitted and effective set, and empty the inheritable one (capset(2))."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (UnsignedInt * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", header, (UnsignedInt * 6)(low, low, 0, high, high, 0))


def join_session_keyring() -> None:
    """Leave the caller's session keyring for a new, anonymous one (keyctl(2))."""
    _syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0)


def load_filter(program: bytes, *, flags: int) -> None:
    """Let PROGRAM, struct sock_filter one after another, filter each system call from now on (seccomp(2))."""
    instructions = (UnsignedLong * (len(program) // 8)).from_buffer_copy(program)
    request = (UnsignedLong * 2)(len(program) // 8, addressof(instructions))  # struct sock_fprog
    _syscall("seccomp", _SECCOMP_SET_MODE_FILTER, flags, request)


def signal_descriptor(signals: list[int]) -> int:
    """A descriptor from which the blocked SIGNALS are read, 128 bytes each, the number first (signalfd(2))."""
    mask = (UnsignedLong * 16)(sum(1 << (number - 1) for number in signals))
    return _call("signalfd", -1, mask, os.O_CLOEXEC)


def file_system(where: str | int) -> tuple[int, bool]:
    """The magic number of the file system of a path or descriptor, and whether it is read-only there (statfs(2))."""
    buffer = (Long * 32)()  # f_type is first, f_flags the eleventh
    name, argument = ("fstatfs", where) if isinstance(where, int) else ("statfs", os.fsencode(where))
    _call(name, argument, buffer, target=str(where))
    return int(buffer[0]), bool(buffer[10] & os.ST_RDONLY)


def has_power_over(namespace: str) -> bool:
    """Whether capabilities count in NAMESPACE, such as `/proc/self/ns/net`: it is owned by the caller's user namespace,
    or by one below that (ioctl_ns(2), NS_GET_USERNS). True where the kernel does not say."""
    try:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        os.close(_call("ioctl", descriptor, UnsignedLong(_NS_GET_USERNS)))
    except PermissionError:
        return False
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return True


def bytes_waiting(pipe: int) -> int:
    """How many bytes could be read from PIPE at once (pipe(7), FIONREAD)."""
    count = Int()
    _call("ioctl", pipe, UnsignedLong(_FIONREAD), byref(count))
    return int(count.value)


def send(socket: int, content: bytes) -> int:
    """Send as much of CONTENT as SOCKET has room for; how many bytes (send(2)). BlockingIOError if that is none."""
    return _call("send", socket, content, UnsignedLong(len(content)), _MSG_DONTWAIT | _MSG_NOSIGNAL)


def enlarge_pipe(pipe: int, size: int) -> None:
    """Let PIPE hold at least SIZE bytes (fcntl(2), F_GETPIPE_SZ and F_SETPIPE_SZ)."""
    if _call("fcntl", pipe, _F_GETPIPE_SZ) < size:
        _call("fcntl", pipe, _F_SETPIPE_SZ, size)


def open_socket(family: int, kind: int, protocol: int) -> int:
    """A new socket (socket(2)), which execve(2) closes; without the module `socket`, which takes a millisecond."""
    return _call("socket", family, kind | os.O_CLOEXEC, protocol)


def set_interface_up(name: str) -> None:
    """Bring network interface NAME up in this network namespace (netdevice(7), SIOCSIFFLAGS)."""
    channel = open_socket(_AF_INET, _SOCK_DGRAM, 0)
    try:
        request = (name.encode().ljust(16, b"\0") + _IFF_UP.to_bytes(2, "little")).ljust(40, b"\0")  # struct ifreq
        _call("ioctl", channel, UnsignedLong(_SIOCSIFFLAGS), request, target=name)
    finally:
        os.close(channel)


def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock the file open at DESCRIPTOR (flock(2)), without fcntl's import; BlockingIOError if another process holds it
    and WAIT is false."""
    _call("flock", descriptor, (_LOCK_SH if shared else _LOCK_EX) | (0 if wait else _LOCK_NB))
