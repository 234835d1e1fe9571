"""The programs of the host that mydocker drives: found, named with their package when missing, and run.

The only file that imports `sh`, and only inside a function: importing it takes longer than a container. What a warm
start needs is spawned without it. Nothing here ever carries a container's own process.
"""

from __future__ import annotations

import errno
import os

from mydocker.errors import HostError, hint_for
from mydocker.number import is_whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN = 2000  # bytes of a program's complaint that an error repeats

_PACKAGES = {  # Debian's names; other distributions mostly agree
    "ip": "iproute2",
    "newgidmap": "uidmap",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "pasta": "passt",
    "slirp4netns": "slirp4netns",
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


def run_together(commands: list[tuple[str, ...]]) -> None:
    """Run COMMANDS side by side, to their ends and without `sh`: for what a start waits for. HostError if one fails."""
    running, complaints = [], []
    failure: HostError | None = None
    for command in commands:
        try:
            running.append((command[0], *_spawn(command)))
        except HostError as error:
            failure = error
            break
    for program, process, reader in running:
        with open(reader, "rb") as stderr:
            printed = stderr.read()
        _, status = os.waitpid(process, 0)
        if status:
            words = printable(printed[:_SHOWN]) or "it printed nothing"
            complaints.append(f"{program} failed with status {os.waitstatus_to_exitcode(status)}: {words}")
    if failure:
        raise failure
    if complaints:
        raise HostError("; ".join(complaints))


def _spawn(command: tuple[str, ...]) -> tuple[int, int]:
    """Start COMMAND: its process, and a descriptor to read what it complains about."""
    reader, writer = os.pipe()
    try:
        process = os.posix_spawn(
            find(command[0]),
            command,
            {"PATH": PATH, "LC_ALL": "C"},
            file_actions=[(os.POSIX_SPAWN_DUP2, writer, 2)],
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
