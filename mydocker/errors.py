"""What can go wrong, as values: every error that mydocker raises on purpose is one of these.

Raised in every room, printed only by `cli`. A message names what failed, on which object and why, in
lower case; a hint says what to do next; an exit code separates faults (125 is docker run's
"the engine itself failed").
"""

from __future__ import annotations

import errno
import os

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

USAGE_FAILURE = 125
REPORT_LIMIT = 4096  # bytes, PIPE_BUF: of one write(2) that no other write interrupts (pipe(7))


class MydockerError(Exception):
    """An error to be shown to the user as `mydocker: MESSAGE`, with HINT on the next line."""

    exit_code = USAGE_FAILURE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message, and the hint on a separate line: what a program shows that does not know of hints."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """For pickle and copy, which would pass the message alone."""
        return type(self)._restore, (self.__dict__.copy(),)

    @classmethod
    def _restore(cls, state: dict[str, object]) -> MydockerError:
        error = cls.__new__(cls)
        error.__dict__.update(state)
        return error


class UsageError(MydockerError):
    """A command line that cannot be understood."""


class OutsideError(UsageError):
    """What a spec takes from around it, and is not there: a variable that is not set, a file that cannot be read."""


class Origin(Record):
    """Where something is written: a file, or a text in place of one, such as `command line`; line and column from 1."""

    file: str = ""  # empty: the file that is being read
    line: int = 0  # 0: unknown
    column: int = 0

    def __str__(self) -> str:
        """`file:line:column`, as far as they are known."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])

    def within(self, file: str) -> Origin:
        """The same, in FILE if it is not known to be in another one."""
        return self if self.file else self.replace(file=file)


class Problem(Record):
    """Something wrong with a spec, and where; `hint` is what to do about it. `outside`: only because of what is around
    the file, such as variables that are not set."""

    message: str
    origin: Origin = Origin()
    hint: str | None = None
    outside: bool = False

    def __str__(self) -> str:
        """One line: `file:line:column: message (hint)`."""
        hint = f" ({self.hint})" if self.hint else ""
        return (f"{self.origin}: " if self.origin != Origin() else "") + self.message + hint


class SpecError(MydockerError):
    """All mistakes in spec files. `problems` has a line for each, `values` the parts of it."""

    def __init__(self, values: Iterable[Problem]) -> None:
        self.values = tuple(values)
        self.problems = tuple(str(problem) for problem in self.values)
        super().__init__("\n".join(self.problems))


class ArgumentTypeError(UsageError, TypeError):
    """An argument whose type the Python API does not take."""


class UnknownArgumentError(SpecError, TypeError):
    """A keyword of the Python API that is no key of a spec; `problems` has all mistakes."""


class ImageError(MydockerError):
    """An image that is not available, or that is not what it claims to be."""


class ImageNotFoundError(ImageError):
    """The registry, or the store with `--pull never`, has no such image or no such platform of it."""


class RegistryError(ImageError):
    """A registry that cannot be reached, refuses, or sends a malformed response."""


class StoreError(ImageError):
    """The store on disk cannot be read or written."""


class HostError(MydockerError):
    """The host cannot do what the container needs; the hint names what it lacks."""


class UnenforceableLimitError(HostError):
    """The host has no cgroup in which a limit of a container could be set."""


_LIMITS = {  # what helps where a limit of the host is reached, whatever was to be done
    errno.EAGAIN: "no more processes may be started: see ulimit -u, pids.max of the cgroup, and kernel.pid_max",
    errno.EMFILE: "too few files may be open at once: raise the limit, ulimit -n",
    errno.ENFILE: "too many files are open on this machine: raise the limit, sysctl fs.file-max",
    errno.ENOMEM: "memory is short: see free, ulimit -v, and memory.max of the cgroup",
    errno.ENOSPC: "the disk is full: see df and df -i; 'mydocker prune' frees what no image needs",
    errno.EDQUOT: "the user's disk quota is used up: see quota(1); 'mydocker prune' frees what no image needs",
}


def is_limit_of_host(error: OSError) -> bool:
    """Whether ERROR means that the host was short of something, and is not about the file that was inspected."""
    return error.errno in _LIMITS


def hint_for(error: OSError) -> str | None:
    """What helps against ERROR, where that is known from its number alone."""
    return _LIMITS.get(error.errno or 0)


def hint_in(text: str) -> str | None:
    """What helps against the limit of the host that TEXT, which another program has written in English, is about."""
    return next((hint for number, hint in _LIMITS.items() if os.strerror(number) in text), None)


def refused_by_host(error: OSError | MemoryError) -> HostError:
    """A system call that failed unexpectedly."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    file = f": {error.filename}" if error.filename else ""
    return HostError(f"the host refuses: {error.strerror or error}{file}", hint=hint_for(error))


def refused_namespaces(error: OSError, *, is_users: bool) -> HostError:
    """clone(2) or unshare(2) failed: which permission or limit is missing. IS_USERS: for an ordinary user, in a user
    namespace. There ENOSPC is no full disk (namespaces(7), "The /proc/sys/user directory")."""
    hint = hint_for(error)
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        hint = "raise the limits in /proc/sys/user/max_*_namespaces"
    elif not hint and is_users:
        hint = "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, or run as root"
    elif error.errno in (errno.EPERM, errno.EACCES):
        hint = "inside another container, start that one with --cap-add SYS_ADMIN"
    return HostError(f"this host refuses to create namespaces: {error.strerror}", hint=hint)


class BuildError(MydockerError):
    """An image whose build has failed; the builder's output has come before."""


class NetworkError(MydockerError):
    """A network that does not exist, is in use, or cannot give a container the address that it needs."""


class LaunchError(MydockerError):
    """A container that could not be set up."""


class NotInContainerError(LaunchError):
    """A user, a group or a working directory that the container does not have."""


class NoTerminalError(LaunchError):
    """A terminal was asked for, and the standard input is none."""


class WaitError(MydockerError):
    """What was waited for has not come about: in time, or because the container has ended. `log` is the end of what it
    had written by then."""

    def __init__(self, message: str, *, hint: str | None = None, log: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log = log


class CommandNotFoundError(LaunchError):
    """The container's command does not exist in its image."""

    exit_code = 127


class CommandNotExecutableError(LaunchError):
    """The container's command exists and cannot be executed."""

    exit_code = 126


class ErrorReport(Record):
    """An error on its way from one process to another, as text: the name of its class, its hint, and then its
    message, each on a line. No JSON: what starts a container does without that module.

    The receiver names the classes that it accepts: its sender may be a process that an image has taken over.
    """

    kind: str
    hint: str
    message: str

    @classmethod
    def of(cls, error: BaseException, *, doing: str = "start the container") -> Self:
        """Any error is reported, a defect too: its process must not go on. DOING is what that process was about."""
        if isinstance(error, (OSError, MemoryError)):
            error = refused_by_host(error)
        elif not isinstance(error, MydockerError):
            error = LaunchError(f"cannot {doing}: {type(error).__name__}: {error}")
        hint = (error.hint or "").replace("\n", " ")
        return cls(kind=type(error).__name__, hint=hint, message=error.message)

    @classmethod
    def decode(cls, text: bytes) -> ErrorReport:
        """The report in TEXT; what it lacks is empty."""
        kind, hint, message = [*text.decode(errors="surrogateescape").split("\n", 2), "", ""][:3]
        return cls(kind=kind, hint=hint, message=message)

    def encode(self) -> bytes:
        """At most REPORT_LIMIT bytes, which a pipe takes at once."""
        text = f"{self.kind}\n{self.hint}\n{self.message}"
        return text.encode(errors="surrogateescape")[:REPORT_LIMIT]

    def as_error(self, *kinds: type[MydockerError]) -> MydockerError:
        """The error, of that one of KINDS which it names, or else of the first."""
        kind = next((each for each in kinds if each.__name__ == self.kind), kinds[0])
        return kind(self.message, hint=self.hint or None)


def printable(text: str) -> str:
    """TEXT on one line, harmless to a terminal and in the log of a CI job: messages repeat the words of images,
    registries and containers. Bytes that are not UTF-8 are spelled out."""
    return inert(spelled(text))


def spelled(text: str) -> str:
    """TEXT with what is not printed, or changes the direction of writing, as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _spelled(c) for c in text)


def inert(line: str) -> str:
    """LINE with the beginning of a command to a CI service's runner spelled out, see untrusted.py.

    GitHub's, of the form `::name …::`, begin a line, blanks aside; `##[name]`, `##vso[name]` and `##teamcity[name]` are
    found anywhere in it.
    """
    bare = line.lstrip()
    if bare.startswith("::") and "::" in bare[2:]:
        line = line.replace(":", "\\x3a", 1)
    if "##" in line and "[" in line:
        import re  # not on the warm path

        line = re.sub(r"##(?=\w*\[)", r"\\x23#", line)
    return line


def readable(text: str) -> str:
    """TEXT with each byte that is not UTF-8, which Python has as a lone surrogate (PEP 383), spelled out as `\\xff`."""
    return "".join(_spelled(c) if "\ud800" <= c <= "\udfff" else c for c in text)


def _spelled(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()
