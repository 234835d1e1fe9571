"""An interpreter that has imported mydocker and forks for each command, so that only the first start costs imports.

The commands are the real ones, each in a process of its own with the streams, the environment and the directory that it
is to have. What is tested of a start itself (memory, system calls, signals, who its parent is) takes the installed one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import pwd
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

# commands whose processes are forks of a small one: they fork again, and a copy costs as much as there is to copy
OF_CONTAINERS = {
    "attach",
    "cp",
    "create",
    "diff",
    "exec",
    "export",
    "inspect",
    "kill",
    "logs",
    "pause",
    "port",
}
OF_CONTAINERS |= {"ps", "rename", "restart", "rm", "run", "start", "stop", "top", "unpause", "wait"}
LARGEST = 30_000  # characters of a request, of which JSON makes up to six: a datagram has its limit (unix(7))
_CHUNK = 1 << 16
_FOR_RUN = ("cli.commands.run", "image.store.catalog", "runtime.launch.parent", "runtime.cgroup.controllers")
_FOR_RUN += ("runtime.command.supervise", "runtime.network")
# ... and what these import only when they need it, which each of the forks would read anew
_FOR_CONTAINERS = _FOR_RUN + ("services.containers.keeper", "specs.security.seccomp", "image.store.elsewhere")
_FOR_CONTAINERS += ("runtime.plan.machine_tree", "runtime.network.default_mode", "runtime.network.connections")
_FOR_CONTAINERS += ("runtime.network.bridge.up_and_down", "runtime.network.lifecycle", "specs.render.run_options")
_FOR_CONTAINERS += ("runtime.inspect.changes", "runtime.inspect.kept_container", "runtime.network.upkeep.renamed")
_FOR_CONTAINERS += ("runtime.copy.session", "json_output")
_FOR_CONTAINERS += tuple(f"cli.commands.{name}" for name in sorted(OF_CONTAINERS))
_ENTERED = {"--net", "--mount", "--wd"}  # what nsenter(1) and setpriv(1) do of which a fork can do as much
_IDENTITY = {"--reuid", "--regid", "--init-groups", "--inh-caps"}
OURS = (sys.executable, "-P", __file__)
_servers: dict[tuple[tuple[str, ...], bool], Server] = {}


def server(start: Sequence[str] = OURS, *, command: str) -> Server:
    """The one of this process for COMMAND that START, words of a command line, has started; it ends with this
    process."""
    is_small = command in OF_CONTAINERS or "EMULATED" in os.environ
    key = (tuple(start), is_small)
    if key not in _servers:
        _servers[key] = Server(start, is_small=is_small)
        atexit.register(_servers[key].end)
    return _servers[key]


def end_servers_of_users() -> None:
    """End all but our own; the next `server` starts anew."""
    for key in [key for key in _servers if key[0] != OURS]:
        ended = _servers.pop(key)
        atexit.unregister(ended.end)
        ended.end()


def processes() -> set[int]:
    """The process ids of all servers."""
    return {each.process.pid for each in _servers.values()}


def entrance(prefix: Sequence[str]) -> dict[str, str] | None:
    """What PREFIX does before a command, as lab.networks.Host and lab.command.as_user write it: options of nsenter(1)
    and setpriv(1). None if there is more to it."""
    words, found = list(prefix), {}
    while words:
        if words[0] not in ("nsenter", "setpriv") or "--" not in words:
            return None
        end = words.index("--")
        found |= {name: value for name, _, value in (word.partition("=") for word in words[1:end])}
        words = words[end + 1 :]
        if words[:1] == ["env"]:
            del words[0]
    whole = found.keys() & _ENTERED in (set(), _ENTERED) and found.keys() & _IDENTITY in (set(), _IDENTITY)
    return found if whole and found.keys() <= _ENTERED | _IDENTITY else None


class Server:
    def __init__(self, start: Sequence[str], *, is_small: bool) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._network = _network()
        with theirs:
            words = [*start, str(theirs.fileno())]
            names = _FOR_CONTAINERS if is_small else ()
            if "EMULATED" in os.environ:  # to import all takes longer there than what the tests save
                names = _FOR_RUN
            words += [f"mydocker.{name}" for name in names]
            environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
            self.process = subprocess.Popen(
                words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment, cwd="/"
            )

    def end(self) -> None:
        self._requests.close()
        self.process.terminate()
        self.process.wait()

    def takes(self, argv: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a command is like a start here: not if an interpreter reads its environment in another way, nor where
        the test is in another network than before."""
        if self._network != _network():
            return False
        different = any(name.startswith(("PYTHON", "LD_")) for name in environment)
        usual = environment.get("LC_ALL") == "C.UTF-8"
        return usual and not different and sum(map(len, (*argv, *environment, *environment.values()))) < LARGEST

    def run(
        self,
        argv: Sequence[str],
        text: bytes,
        environment: Mapping[str, str],
        directory: str,
        *,
        entrance: Mapping[str, str],
        timeout: float,
    ) -> tuple[bytes, bytes, int]:
        """What a command that reads TEXT writes to stdout and stderr, and its exit code.

        It is killed after TIMEOUT seconds.
        """
        reply, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        (stdin, feed), (out, stdout), (error, stderr) = (os.pipe() for _ in range(3))
        given = [stdin, stdout, stderr, theirs.detach()]
        request = json.dumps([*argv, dict(entrance), directory, dict(environment)]).encode()
        with reply, open(feed, "wb", buffering=0) as feeding, open(out, "rb") as output, open(error, "rb") as errors:
            try:
                socket.send_fds(self._requests, [request], given)
            finally:
                for end in given:
                    os.close(end)
            reply.settimeout(timeout)
            try:
                written = _exchange(feeding, text, (output, errors), until=time.monotonic() + timeout)
                code = int(reply.recv(64))
            except TimeoutError:
                raise subprocess.TimeoutExpired(list(argv), timeout) from None
            return written[0], written[1], code


def _network() -> int:
    """The network namespace of this thread."""
    return os.stat("/proc/thread-self/ns/net").st_ino


def _exchange(feeding: IO[bytes], text: bytes, sources: Sequence[IO[bytes]], *, until: float) -> list[bytes]:
    """Write TEXT to FEEDING and close that; what comes out of SOURCES until both end. TimeoutError if they do not."""
    written: list[list[bytes]] = [[] for _ in sources]
    os.set_blocking(feeding.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(feeding, selectors.EVENT_WRITE)
        for source, pieces in zip(sources, written, strict=True):
            ready.register(source, selectors.EVENT_READ, pieces)
        while ready.get_map():
            if time.monotonic() > until:
                raise TimeoutError
            for key, _ in ready.select(timeout=1):
                if key.data is None:
                    text = _feed(feeding, text)
                    finished = not text
                else:
                    key.data.append(os.read(key.fd, _CHUNK))
                    finished = not key.data[-1]
                if finished:
                    ready.unregister(key.fileobj)
                    if key.data is None:
                        feeding.close()
    return [b"".join(pieces) for pieces in written]


def _feed(feeding: IO[bytes], text: bytes) -> bytes:
    """What of TEXT is to be written yet."""
    try:
        return text[os.write(feeding.fileno(), text[:_CHUNK]) :]
    except BrokenPipeError:  # it is not read
        return b""


def _serve(requests: socket.socket) -> tuple[list[str], list[int]]:
    """Fork for each request until they end. Returns in the child only: its words, its streams."""
    ready = selectors.DefaultSelector()
    ready.register(requests, selectors.EVENT_READ, None)
    while True:
        for key, _ in ready.select():
            if key.data is None:
                message, given, _, _ = socket.recv_fds(requests, 8 * LARGEST, 4)
                if not message:
                    os._exit(0)
                process = os.fork()
                if process == 0:  # no object may close a number later that is another file's then
                    ready.close()
                    requests.detach()
                    return json.loads(message), given
                watch = os.pidfd_open(process)
                for end in given[:3]:
                    os.close(end)
                ready.register(watch, selectors.EVENT_READ, (process, watch, given[3]))
                ready.register(given[3], selectors.EVENT_READ, (process, watch, given[3]))
            else:
                process, watch, reply = key.data
                if watch not in ready.get_map():
                    continue  # both at once, and it has been dealt with
                if key.fd == reply:  # nobody waits any more
                    os.kill(process, 9)
                ready.unregister(watch)
                ready.unregister(reply)
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                with contextlib.suppress(OSError):
                    os.write(reply, str(code).encode())
                os.close(watch)
                os.close(reply)


def _modules() -> Iterator[str]:
    import mydocker

    for found in pkgutil.walk_packages(mydocker.__path__, "mydocker."):
        if not found.name.endswith((".__main__", ".pytest_plugin")):
            yield found.name


def _become(words: list[str], streams: list[int]) -> None:
    """As execve(2) would leave it: three descriptors, the environment, the directory."""
    *argv, entrance, directory, environment = words
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    os.environ.clear()
    os.environ.update(environment)  # type: ignore[call-overload]
    os.chdir(directory)
    if entrance:
        _enter(entrance)  # type: ignore[arg-type]
    sys.argv = argv


def _enter(options: Mapping[str, str]) -> None:
    """Do what OPTIONS of nsenter(1) and setpriv(1) do."""
    from mydocker import kernel
    from mydocker.kernel.enter import enter_namespace

    if "--wd" in options:
        opened = [os.open(options[name], os.O_RDONLY) for name in ("--net", "--mount", "--wd")]
        for namespace in opened[:2]:
            enter_namespace(namespace)
        os.fchdir(opened[2])
        for each in opened:
            os.close(each)
    if "--reuid" in options:
        user, group = int(options["--reuid"]), int(options["--regid"])
        os.initgroups(pwd.getpwuid(user).pw_name, group)
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
        kernel.set_capabilities(0)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # as for a process that has executed its program as that user


def main() -> None:
    for name in sys.argv[2:] or _modules():
        importlib.import_module(name)
    _become(*_serve(socket.socket(fileno=int(sys.argv[1]))))
    from mydocker.cli import entry

    entry()


if __name__ == "__main__":
    main()
