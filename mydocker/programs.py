"""The programs of the host that mydocker drives: found, named with their package when missing, and run.

The only file that imports `sh`, and only inside a function: importing it takes longer than a container. What a warm
start needs is spawned without it. Nothing here ever carries a container's own process.
"""

from __future__ import annotations

import errno
import os
import time

from mydocker import kernel
from mydocker.errors import HostError, hint_for
from mydocker.kernel.signals import reset, signal
from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, BinaryIO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN = 2000  # bytes of a program's complaint that an error repeats
_PATIENCE = 10.0  # seconds in which a program that is followed ends after SIGINT
_SETTLING = 0.2  # seconds for a child that only starts a container to be gone
_SHORT_PATIENCE = 2.0  # seconds for the reaction to the end of what it has started
_PAUSE = 0.01  # seconds between two looks at it
_EVERY_STATUS = tuple(range(-64, 256))
_LINE_LIMIT = 1 << 16  # bytes without an end of line that are passed on as one

_PACKAGES = {  # Debian's names; other distributions mostly agree
    "buildah": "buildah",
    "erofsfuse": "erofsfuse",
    "ip": "iproute2",
    "kubectl": "kubernetes-client",
    "mkfs.erofs": "erofs-utils",
    "mksquashfs": "squashfs-tools",
    "newgidmap": "uidmap",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "pasta": "passt",
    "sbatch": "slurm-client",
    "scancel": "slurm-client",
    "scontrol": "slurm-client",
    "slirp4netns": "slirp4netns",
    "squeue": "slurm-client",
    "squashfuse_ll": "squashfuse",
}


def find(program: str, *, path: str = PATH) -> str:
    """The absolute path of PROGRAM, looked up in the system's directories whatever the caller's PATH is.

    Raises HostError, naming the package that has it.
    """
    blocked = ""
    for directory in path.split(":"):
        candidate = f"{directory}/{program}"
        if os.path.isdir(candidate):
            continue
        if os.access(candidate, os.X_OK):
            return candidate
        blocked = blocked or (candidate if os.path.lexists(candidate) else "")
    if blocked:
        raise HostError(f"cannot run {program}: {blocked} is not executable")
    package = _PACKAGES.get(program)
    hint = f"install the package {package}" if package else f"install {program}; it is looked for in {path}"
    raise HostError(f"the program {program} is not installed", hint=hint)


def run(
    program: str,
    *arguments: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    path: str = PATH,
    timeout: float | None = None,
) -> bytes:
    """What PROGRAM of PATH, run to its end with exactly ENVIRONMENT, writes to stdout. HostError if it fails, or if it
    has not ended after TIMEOUT seconds: then it is killed."""
    import sh

    command = sh.Command(find(program, path=path)).bake(_tty_out=False, _return_cmd=True, _timeout=timeout)
    try:
        done = command(*arguments, _in=stdin, _env={"PATH": PATH, "LC_ALL": "C", **(environment or {})})
    except sh.ErrorReturnCode as error:  # a signal too: SignalException is one of these
        printed = printable((error.stderr.strip() or error.stdout)[:_SHOWN]) or "it printed nothing"
        raise HostError(f"{program} failed with status {error.exit_code}: {printed}") from error
    except sh.TimeoutException:
        raise HostError(f"{program} did not end within {timeout:g} s, and was killed") from None
    except sh.ForkException as error:  # the error of execve(2), as the text of a traceback
        raise _not_run(program, _error_in(str(error))) from None
    except OSError as error:
        raise _not_run(program, error) from error
    output: bytes = done.stdout
    return output


def follow(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    path: str,
    output: Callable[[bytes], None],
    stdin: int | None = None,
    directory: str | None = None,
) -> int:
    """Run PROGRAM of PATH to its end with exactly ENVIRONMENT, in DIRECTORY; its exit code, -N for signal N. OUTPUT
    gets each line of its stdout and stderr as it comes, without the end of the line. It reads the descriptor STDIN, by
    default nothing.

    Whatever is raised meanwhile, such as KeyboardInterrupt, ends PROGRAM and what it has started before it goes on:
    by SIGINT, and after ten seconds, or another interrupt, by SIGKILL. It gets SIGINT as well when this process ends.
    Raises HostError if it cannot be executed.
    """
    import threading

    threads = {*threading.enumerate()}
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with open(reader, "rb") as lines:
        with (
            open(writer, "wb") as end,
            open(os.devnull if stdin is None else stdin, "rb", closefd=stdin is None) as own,
        ):
            words = {"_in": own, "_out": end, "_err": end, "_env": {**environment}, "_cwd": directory}
            process = _started(find(program, path=path), arguments, words)
        try:
            for line in _lines_of(lines):
                output(line)
        except BaseException:
            _interrupt(process, lines)
            raise
    process.wait()
    for thread in {*threading.enumerate()} - threads:  # a timer of sh's, which has just been cancelled
        thread.join()
    status: int = process.exit_code
    return status


def _started(program: str, arguments: tuple[str, ...], words: dict[str, Any]) -> Any:
    """The process of PROGRAM, in a process group of its own, with the options WORDS of `sh`."""
    import sh

    command = sh.Command(program).bake(_tty_out=False, _return_cmd=True, _bg=True, _bg_exc=False, _new_group=True)
    try:
        return command(*arguments, **words, _ok_code=_EVERY_STATUS, _preexec_fn=_end_with_parent)
    except sh.ForkException as error:  # the error of execve(2), as the text of a traceback
        raise _not_run(program, _error_in(str(error))) from None


def _end_with_parent() -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGINT)


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_LINE_LIMIT):
        yield line.rstrip(b"\r\n")


def _interrupt(process: Any, output: BinaryIO) -> None:
    """End PROCESS and its group, whose OUTPUT is not needed any more.

    What it has started is interrupted first: a builder that sees its container end removes what belongs to it, and one
    that ends itself may leave the container running, as Podman does.
    """
    started = _descendants(process.pid)
    held = [os.pidfd_open(each) for each in started if os.path.exists(f"/proc/{each}")]
    try:
        time.sleep(_SETTLING)
        if leaves := _leaves(process.pgid):
            for each in leaves:
                _send(os.kill, each, signal.SIGINT)
            _await_end(process, output, _SHORT_PATIENCE)
        os.killpg(process.pgid, signal.SIGINT)
        _await_end(process, output, _PATIENCE)
    except (KeyboardInterrupt, ProcessLookupError):
        pass
    finally:
        _send(os.killpg, process.pgid, signal.SIGKILL)
        process.wait()
        for descriptor in held:
            _send(signal.pidfd_send_signal, descriptor, signal.SIGKILL)
            os.close(descriptor)


def _send(call: Callable[[int, int], None], receiver: int, number: int) -> None:
    """Have CALL send signal NUMBER to RECEIVER, which may have ended."""
    try:  # noqa: SIM105  # contextlib is not on the path of a start in a network
        call(receiver, number)
    except ProcessLookupError:
        pass


def _await_end(process: Any, output: BinaryIO, seconds: float) -> None:
    """Wait until the group of PROCESS has ended, at most so many SECONDS, and take its OUTPUT, so that it can go on."""
    import select  # a library of its own, which no start in a network needs before its container is at work

    deadline = time.monotonic() + seconds
    while _group_is_alive(process) and time.monotonic() < deadline:
        if not select.select([output], [], [], _PAUSE)[0] or not os.read(output.fileno(), _LINE_LIMIT):
            time.sleep(_PAUSE)


def _leaves(group: int) -> list[int]:
    """The processes of GROUP, other than its first, that have no children in it."""
    parents = {each: parent for each, (parent, its_group) in _processes().items() if its_group == group}
    return [each for each in parents if each != group and each not in parents.values()]


def _descendants(ancestor: int) -> list[int]:
    """The children of a process, and theirs: a container is in no group of its builder's."""
    processes = _processes()
    found = [ancestor]
    for each in found:
        found += [number for number, (parent, _) in processes.items() if parent == each]
    return found[1:]


def _processes() -> dict[int, tuple[int, int]]:
    """The parent and the group of each process (proc(5), stat)."""
    found = {}
    for name in filter(is_whole_number, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                _, parent, group, *_ = file.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        found[int(name)] = int(parent), int(group)
    return found


def _group_is_alive(process: Any) -> bool:
    process.is_alive()  # which takes the status of one that has ended
    try:
        os.killpg(process.pgid, 0)
    except ProcessLookupError:
        return False
    return True


class Background:
    """A program that runs alongside, and ends with this process: what it writes goes where its caller has said."""

    def __init__(self, process: int) -> None:
        self.process = process
        self._status: int | None = None

    def status(self) -> int | None:
        """Its exit code, -N for signal N; None as long as it runs."""
        if self._status is None:
            found, status = os.waitpid(self.process, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if found else None
        return self._status

    def end(self) -> None:
        """Kill it, unless it has ended."""
        if self.status() is None:
            os.kill(self.process, signal.SIGKILL)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def start(
    program: str, *arguments: str, environment: Mapping[str, str], path: str, stdout: int, stderr: int
) -> Background:
    """Start PROGRAM of PATH with exactly ENVIRONMENT, which writes to the descriptors STDOUT and STDERR and reads
    nothing. It is in a process group of its own, so Ctrl-C is not for it. Raises HostError; its exit code is 127 where
    it turns out that it cannot be executed."""
    found = find(program, path=path)
    null, parent = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), os.getpid()
    try:
        process = os.fork()
        if process == 0:
            _become(found, (program, *arguments), environment, streams=(null, stdout, stderr), parent=parent)
    except OSError as error:
        raise _not_run(program, error) from None
    finally:
        os.close(null)
    return Background(process)


def _become(
    program: str, words: tuple[str, ...], environment: Mapping[str, str], *, streams: tuple[int, ...], parent: int
) -> None:
    """The rest of a child of PARENT."""
    try:
        _end_with_parent()
        if os.getppid() != parent:  # which has ended before (prctl(2), PR_SET_PDEATHSIG)
            return
        os.setpgid(0, 0)
        reset()
        for number, descriptor in enumerate([os.dup(each) for each in streams]):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.execve(program, words, {**environment})
    finally:
        os._exit(127)


class Running:
    """Programs that run side by side, and without `sh`: those that a start waits for."""

    def __init__(self, commands: list[tuple[str, ...]], *, stdout: int | None = None) -> None:
        """Start COMMANDS, each in turn, which write to the descriptor STDOUT, by default this process's. HostError if
        one cannot be executed, once those before it have ended."""
        self._started: list[tuple[str, int, int]] = []
        try:
            for command in commands:
                self._started.append((command[0], *_spawn(command, stdout)))
        except HostError:
            self._complaints()
            raise

    def wait(self) -> None:
        """Wait until all have ended. HostError if one has failed; it says so once."""
        if complaints := self._complaints():
            raise HostError("; ".join(complaints))

    def _complaints(self) -> list[str]:
        """What those say that have failed, when all have ended."""
        complaints, started, self._started = [], self._started, []
        for program, process, reader in started:
            with open(reader, "rb") as stderr:
                printed = stderr.read()
            _, status = os.waitpid(process, 0)
            if status:
                words = printable(printed[:_SHOWN]) or "it printed nothing"
                complaints.append(f"{program} failed with status {os.waitstatus_to_exitcode(status)}: {words}")
        return complaints


def printed_by(program: str, *arguments: str) -> bytes:
    """What PROGRAM, run to its end without `sh`, writes to stdout, which is kept in memory. HostError if it fails."""
    with open(os.memfd_create(program), "rb") as file:
        Running([(program, *arguments)], stdout=file.fileno()).wait()
        file.seek(0)
        return file.read()


def _spawn(command: tuple[str, ...], stdout: int | None) -> tuple[int, int]:
    """Start COMMAND, with STDOUT as `Running` has it: its process, and a descriptor to read what it complains about."""
    reader, writer = os.pipe()
    streams = [] if stdout is None else [(os.POSIX_SPAWN_DUP2, stdout, 1)]
    try:
        process = os.posix_spawn(
            find(command[0]),
            command,
            {"PATH": PATH, "LC_ALL": "C"},
            file_actions=[*streams, (os.POSIX_SPAWN_DUP2, writer, 2)],
            setsigmask=[],
        )
    except OSError as error:
        os.close(reader)
        raise _not_run(command[0], error) from None
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return process, reader


def _not_run(program: str, error: OSError) -> HostError:
    """PROGRAM is there, and execve(2) has failed with ERROR."""
    words = {
        errno.ENOENT: "the interpreter that its first line names, or its loader, does not exist",
        errno.ENOEXEC: "exec format error: it is not a program for this machine",
    }.get(error.errno or 0, error.strerror)
    return HostError(f"cannot run {program}: {words}", hint=hint_for(error))


def _error_in(traceback: str) -> OSError:
    """The error at the end of TRACEBACK, the text that `sh` passes on from a child that could not execute."""
    last = traceback.strip().rpartition("\n")[2]
    number = last.partition("[Errno ")[2].partition("]")[0]
    if is_whole_number(number):
        return OSError(int(number), os.strerror(int(number)))
    return OSError(0, printable(last.encode())[:_SHOWN])


def printable(raw: bytes) -> str:
    """RAW, a program's words about untrusted names, as one line that cannot command a terminal."""
    text = "; ".join(line for line in raw.decode(errors="replace").splitlines() if line.strip())
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
