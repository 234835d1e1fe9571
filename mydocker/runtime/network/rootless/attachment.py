"""pasta or slirp4netns, which joins the holder's network namespace to the host's network, and what looks after it.

Neither lets anybody inside reach the host's loopback, and both pass on questions for names to the host's resolver. They
run in the holder's user namespace, in which they may enter its network namespace, and end with what looks after them,
which ends with the holder (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import errno
import os
import select
import time

from mydocker import kernel, programs
from mydocker.errors import ErrorReport, HostError, hint_for, hint_in
from mydocker.kernel.signals import reset
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.network.firewall.ruleset import ROOTLESS_UPLINK
from mydocker.runtime.network.rootless import RESOLVERS

if TYPE_CHECKING:
    from typing import NoReturn

PROGRAMS = ("pasta", "slirp4netns")  # in the order in which they are tried
INTERFACE = ROOTLESS_UPLINK
MTU = 65520  # the most that both support: there is no wire
_TUN = "/dev/net/tun"
_PAUSE = 1.0  # seconds before a program that has ended is started again
_SHOWN = 2000  # bytes of a program's complaint
_PATIENCE = 10.0  # seconds, until it is ready
_MISSING = "neither pasta nor slirp4netns is installed, which connect the networks of ordinary users"


class _Attached(Record):
    program: str
    process: int
    stderr: int


def be_attached(holder: int, *, go: int, report: int) -> NoReturn:
    """In a child of process HOLDER that stays in the host's network namespace: attach HOLDER's, once there is something
    to be read from GO, and attach it again if a program ends. REPORT gets the program's name, or an ErrorReport."""
    try:
        kernel.die_with_parent(holder)
        kernel.close_all_but((0, 1, 2, go, report))  # the holder's lock, above all
        try:
            attached = _attach_first(holder, go)
            os.write(report, attached.program.encode())
        except BaseException as error:
            os.write(report, ErrorReport.of(error, doing="attach the network").encode())
            raise
        os.close(report)
        network = os.open(f"/proc/{holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        while True:
            _wait(attached)
            time.sleep(_PAUSE)
            attached = _attached_again(attached, network)
    finally:
        os._exit(0)


def _attach_first(holder: int, go: int) -> _Attached:
    if not os.read(go, 1):
        raise HostError("the process that holds the network's namespaces has ended")
    os.close(go)
    network = os.open(f"/proc/{holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _check_device()
    failures: list[HostError] = []
    try:
        for program in PROGRAMS:
            try:
                path = programs.find(program)
            except HostError:
                continue
            try:
                return _start(program, path, network)
            except HostError as error:
                failures.append(error)
    finally:
        os.close(network)
    if not failures:
        raise HostError(_MISSING, hint="install the package passt or slirp4netns")
    hint = next((error.hint for error in failures if error.hint), None)
    raise HostError("; ".join(error.message for error in failures), hint=hint)


def _attached_again(before: _Attached, network: int) -> _Attached:
    """The same program, started again; where that fails, it is tried again later."""
    while True:
        try:
            return _start(before.program, programs.find(before.program), network)
        except (HostError, OSError):
            time.sleep(_PAUSE)


def _check_device() -> None:
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        hint = f"as root: chmod 666 {_TUN}, which is what udev makes of it"
        if error.errno != errno.EACCES:
            hint = hint_for(error) or "as root: modprobe tun"
        raise HostError(
            f"cannot open {_TUN}, which networks of ordinary users take: {error.strerror}", hint=hint
        ) from None


def _start(program: str, path: str, network: int) -> _Attached:
    """Start PROGRAM, found at PATH, for the namespace NETWORK, and wait until it is ready. HostError if it fails."""
    ready, ready_end = os.pipe()
    stderr, stderr_end = os.pipe()
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        try:
            kernel.die_with_parent(parent)
            os.dup2(stderr_end, 2)
            for descriptor in (network, ready_end):
                os.set_inheritable(descriptor, True)
            reset()
            os.execve(path, _words(program, network, ready_end), {"PATH": programs.PATH, "LC_ALL": "C"})
        except OSError as error:
            os.write(2, f"cannot run {path}: {error.strerror}".encode())
        finally:
            os._exit(1)
    os.close(ready_end)
    os.close(stderr_end)
    attached = _Attached(program=program, process=process, stderr=stderr)
    complaint = _complaint(ready, stderr)
    os.close(ready)
    if complaint is None:
        return attached
    os.kill(process, 9)
    _wait(attached)
    message = f"{program} failed: {programs.printable(complaint) or 'it printed nothing'}"
    raise HostError(message, hint=hint_in(complaint.decode(errors="replace")))


def _words(program: str, network: int, ready: int) -> list[str]:
    """The command line. The namespace is named by a descriptor: pasta gives up the privilege to open another process's.
    It writes its pid when all is set up."""
    namespace = f"/proc/self/fd/{network}"
    if program == "slirp4netns":
        options = ["--configure", f"--mtu={MTU}", "--disable-host-loopback", "--netns-type=path", f"--ready-fd={ready}"]
        return [program, *options, namespace, INTERFACE]
    closed = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    named = ["--netns-only", "--netns", namespace, "--ns-ifname", INTERFACE, "--pid", f"/proc/self/fd/{ready}"]
    resolver = ["--dns-forward", RESOLVERS[program]]
    return [program, "--foreground", "--quiet", "--config-net", "--no-map-gw", *closed, *resolver, *named]


def _complaint(ready: int, stderr: int) -> bytes | None:
    """None once there is something to be read from READY; else what was written to STDERR until that ended."""
    written = b""
    poll = select.poll()
    for descriptor in (ready, stderr):
        poll.register(descriptor, select.POLLIN)
    until = time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            content = os.read(descriptor, 4096)
            if descriptor == ready and content:
                return None
            if descriptor == stderr:
                written = (written + content)[:_SHOWN]
            if not content:
                poll.unregister(descriptor)
                if descriptor == stderr:
                    return written
    return written + b"; it was not ready in time"


def _wait(attached: _Attached) -> None:
    """Wait for the end of the program; what it writes is nobody's."""
    while os.read(attached.stderr, 4096):
        pass
    os.close(attached.stderr)
    os.waitpid(attached.process, 0)
