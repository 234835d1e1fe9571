"""The file that a command names: found on the PATH of the container, and checked before it is executed.

Runs inside the new root. The kernel resolves `#!` interpreters and ELF loaders itself, following
/proc/self/exe to the one program of the host that is still reachable, mydocker's interpreter: a script
`#!/proc/self/exe` would run it, and could then rewrite it (CVE-2019-5736). So each file on the way is
first opened with magic links refused, while mydocker may still read what the command's user may not.
"""

from __future__ import annotations

import errno
import os
import stat

from mydocker import kernel
from mydocker.errors import (
    CommandNotExecutableError,
    CommandNotFoundError,
    LaunchError,
    hint_for,
    is_limit_of_host,
)
from mydocker.kernel.beneath import UnreadableFileError, open_regular

INTERPRETER_DEPTH = 5  # the kernel's own limit (execve(2), ELOOP)
_ELFCLASS64 = 2
_ELFDATA2MSB = 2
_PT_INTERP = 3
_MACHINES = {3: "386", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loong64"}
_PROGRAM_HEADERS = 128
_PATH_MAX = 4096
_FAR = 2**62  # beyond any file, within what pread(2) takes


def find_command(root: int, name: str, path: str) -> str:
    """The path of command NAME, checked. Raises with exit code 127 or 126.

    A name with a slash is a path, from the current directory if it is relative. Else the first executable on PATH is
    taken, and an empty entry of PATH is not the current directory (as in Go's exec.LookPath). If PATH has only files
    that cannot be executed, none is found (127); the message says why it is not the first one.
    """
    if "/" in name:
        _check_interpreter(root, name, _read_interpreter(root, name))
        return name
    refused: LaunchError | None = None
    for directory in path.split(":") if name else ():
        candidate = f"{directory}/{name}"
        if not directory.startswith("/"):
            continue
        try:
            interpreter = _read_interpreter(root, candidate)
        except CommandNotFoundError:
            continue
        except CommandNotExecutableError as error:
            refused = refused or CommandNotFoundError(error.message, hint=error.hint)
            continue
        try:
            _check_interpreter(root, candidate, interpreter)
        except (CommandNotFoundError, CommandNotExecutableError) as error:
            refused = refused or error
            continue
        return candidate
    raise refused or CommandNotFoundError(f"{name!r}: executable file not found in the container's $PATH")


def _from_here(path: str) -> str:
    return path if path.startswith("/") else f"{os.getcwd()}/{path}"


def _read_interpreter(root: int, path: str) -> str | None:
    """What the kernel opens besides the file at PATH, which execve(2) would not refuse for itself."""
    try:
        descriptor = open_regular(root, _from_here(path))
    except OSError as error:
        raise refuse(path, error) from None
    except UnreadableFileError as error:
        raise CommandNotExecutableError(error.message) from None
    try:
        if not os.fstat(descriptor).st_mode & 0o111:
            raise CommandNotExecutableError(f"{path}: permission denied")
        return _interpreter(descriptor)
    finally:
        os.close(descriptor)


def _check_interpreter(root: int, path: str, interpreter: str | None) -> None:
    """Refuse what execve(2) would refuse of the INTERPRETER of PATH, and of that one's, and magic links.

    Where one is missing, the kernel says it of PATH (execve(2), ENOENT).
    """
    of, depth = path, 0
    while interpreter:
        depth += 1
        if depth > INTERPRETER_DEPTH:
            raise CommandNotExecutableError(f"{path}: too many interpreters")
        try:
            following = _read_interpreter(root, interpreter)
        except CommandNotFoundError:
            hint = "its lines end in \\r\\n, as on Windows" if interpreter.endswith("\r") else None
            raise CommandNotFoundError(f"{of}: there is no {interpreter!r}, which runs it", hint=hint) from None
        of, interpreter = interpreter, following


def refuse(path: str, error: OSError) -> LaunchError:
    """What an error of open(2) or execve(2) means for the exit code: 127 not found, 126 not executable."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFoundError(f"{path}: no such file or directory")
    if is_limit_of_host(error):  # EAGAIN: too many processes of the user that it has become (execve(2))
        return LaunchError(f"cannot execute {path}: {error.strerror}", hint=hint_for(error))
    if error.errno == errno.ENOEXEC:
        return CommandNotExecutableError(f"{path}: exec format error")
    return CommandNotExecutableError(f"{path}: {os.strerror(error.errno or 0).lower()}")


def refuse_to_execute(path: str, error: OSError) -> LaunchError:
    """What an ERROR of execve(2) means for PATH, which is there: perhaps it is a program for other processors.

    Their programs need a handler of the host's (kernel documentation "binfmt-misc.rst"); without its flag F, the kernel
    looks for that in the container.
    """
    machine = _foreign_machine(path) if error.errno in (errno.ENOEXEC, errno.ENOENT) else ""
    if not machine:
        return refuse(path, error)
    message = f"{path}: exec format error: it is for {machine}, and this machine is {kernel.ARCHITECTURE}"
    if error.errno == errno.ENOENT:
        hint = "the handler in /proc/sys/fs/binfmt_misc is not in the container: it must be registered with flag F"
    else:
        hint = "a handler in /proc/sys/fs/binfmt_misc runs such programs: the package qemu-user-static has one"
    return CommandNotExecutableError(message, hint=hint)


def _foreign_machine(path: str) -> str:
    """The architecture that the program at PATH, or a script's interpreter, is for; empty if it is this machine's."""
    for _ in range(INTERPRETER_DEPTH):
        try:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY)
            descriptor = open_regular(root, _from_here(path))
            os.close(root)
        except (OSError, UnreadableFileError):
            return ""
        try:
            header = _read(descriptor, 0, 64)
            script = None if header.startswith(b"\x7fELF") else _interpreter(descriptor)
        finally:
            os.close(descriptor)
        if not script:
            return machine_name(header)
        path = script
    return ""


def machine_name(header: bytes) -> str:
    """The architecture in the HEADER of an ELF file (elf(5), e_machine), as an OCI platform names it; empty if it is
    that of this machine, or no ELF file at all."""
    if not header.startswith(b"\x7fELF"):
        return ""
    number = int.from_bytes(header[18:20], "big" if header[5] == _ELFDATA2MSB else "little")
    name = _MACHINES.get(number, f"machine {number}" if number else "")
    return name if name != kernel.ARCHITECTURE else ""


def execute(command: str, argv: tuple[str, ...], environment: dict[str, str]) -> None:
    """execve(2), which returns only with an error: LaunchError."""
    try:
        os.execve(command, argv, environment)
    except OSError as error:
        raise refuse_to_execute(command, error) from None
    except ValueError as error:  # a NUL in an argument or a variable
        raise LaunchError(f"cannot execute {command!r}: {error}") from None


def is_static_program(path: str) -> bool:
    """Whether PATH of the host is an executable ELF file that needs no loader, and so runs in any root."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            executable = stat.S_ISREG(mode) and mode & 0o111
            return bool(executable) and file.read(4) == b"\x7fELF" and _elf_interpreter(file.fileno()) is None
    except OSError:
        return False


def _interpreter(descriptor: int) -> str | None:
    """What the kernel opens besides the file itself: its `#!` line's program, or its ELF loader."""
    start = os.pread(descriptor, 256, 0)  # BINPRM_BUF_SIZE: the kernel looks no further
    if start.startswith(b"#!"):
        words = start[2:].split(b"\n")[0].strip(b" \t").replace(b"\t", b" ").split(b" ")
        return os.fsdecode(words[0]) or None
    return _elf_interpreter(descriptor) if start.startswith(b"\x7fELF") else None


def _elf_interpreter(descriptor: int) -> str | None:
    """The PT_INTERP of a little-endian ELF file, 32 or 64 bit (elf(5)); None if it has none.

    The kernel runs no file whose program headers have another size than its own.
    """
    header = _read(descriptor, 0, 64)
    wide = header[4] == _ELFCLASS64
    table = _number(header, 32, 8) if wide else _number(header, 28, 4)
    size, count = (_number(header, at, 2) for at in ((54, 56) if wide else (42, 44)))
    if size != (56 if wide else 32):
        return None
    headers = _read(descriptor, table, min(count, _PROGRAM_HEADERS) * size)
    for start in range(0, len(headers), size):
        if _number(headers, start, 4) == _PT_INTERP:
            offset = _number(headers, start + 8, 8) if wide else _number(headers, start + 4, 4)
            length = _number(headers, start + 32, 8) if wide else _number(headers, start + 16, 4)
            return os.fsdecode(_read(descriptor, offset, min(length, _PATH_MAX)).split(b"\0")[0])
    return None


def _number(raw: bytes, start: int, size: int) -> int:
    return int.from_bytes(raw[start : start + size], "little")  # without the module struct: a third of a millisecond


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """LENGTH bytes at OFFSET, zeros beyond the end of the file."""
    return os.pread(descriptor, length, min(offset, _FAR)).ljust(length, b"\0")
