"""Containers that run alongside a Python program.

    with mydocker.start("postgres:17", environment={"POSTGRES_PASSWORD": "x"}, ports=[5432]) as db:
        db.wait_for(port=5432)
        db.exec("createdb", "-U", "postgres", "shop", check=True)
        connect("127.0.0.1", db.port(5432))

Nothing here forks: what needs that is done by separate processes, so a program may have threads and event loops. The
rest is what the container's keeper answers, and what is on disk.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack

from mydocker.api.arguments import command_of, input_of, of_type, path_of
from mydocker.api.keys import Duration, Input, LastingKeys, Path, Word, spec_of
from mydocker.errors import ArgumentTypeError, LaunchError, StoreError, UsageError, WaitError
from mydocker.number import is_whole_number
from mydocker.results import Outcome
from mydocker.runtime.network.published_ports import read
from mydocker.services import containers
from mydocker.services.containers import ContainerState, control, directory
from mydocker.services.containers import stop as stopping
from mydocker.services.containers.log_files import read_log, timestamp
from mydocker.services.listing import stored
from mydocker.services.owned import access, lifecycle
from mydocker.services.owned.owner import name_process
from mydocker.services.owned.readiness import Conditions, joined, wait_for
from mydocker.services.workers.call import call, call_captured
from mydocker.specs.model import ContainerSpec
from mydocker.specs.values.duration import parse_duration
from mydocker.specs.values.signal import parse_signal
from mydocker.specs.values.user import parse_user

Port = int | str  # such as 80, or "53/udp"
Stream = Literal["stdout", "stderr"]
Pattern = str | re.Pattern[str]
_ANYWHERE = ("", "0.0.0.0", "::")  # what a port is published on that is reached by every address of this machine


class Awaited(TypedDict, total=False):
    """The arguments of `Container.wait_for`."""

    port: Port | Sequence[Port] | None
    http: int | str | Sequence[int | str] | None
    log: Pattern | Sequence[Pattern] | None
    health: bool
    timeout: Duration


def start(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    detach: bool = False,
    **keys: Unpack[LastingKeys],
) -> Container:
    """Start a container, and return it once its command has been executed.

    IMAGE, WORDS and KEYS are those of `run`; KEYS can also be `healthcheck`, `pre_start`, `restart` and `logging`, as
    in a spec file. At the end of a `with` the container is stopped and removed; without one, `remove` does that. At the
    latest it ends with this program, also if that is killed: it gets its stop signal, and is removed. Not so with
    `detach`, as `mydocker run -d` has it: then it goes on until it is removed.

    A missing image is pulled. Raises what `run` raises; UsageError if another container has its `name`.
    """
    of_type("detach", detach, bool)
    spec = spec_of(image, words, keys, lasting=True)
    if spec.stdin is not None:
        raise UsageError("stdin: there is none for a container that goes on by itself", hint="see Container.exec")
    return Container(call(lifecycle.begin, spec, owner="" if detach else name_process(os.getpid())))


class Container:
    """A container that `start` has started. Its methods may be called from any thread."""

    def __init__(self, placed: lifecycle.Placed) -> None:
        """PLACED is where it is; programs call `start`."""
        self._placed = placed
        self._since = ""  # when it was started again by `restart`, as its log has times

    def __repr__(self) -> str:
        return f"<mydocker.Container {self.name} {self.status}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def id(self) -> str:
        """Its ID, of 64 digits."""
        return self._placed.id

    @property
    def name(self) -> str:
        """Its name; without one, the first twelve digits of its ID."""
        return self._placed.title

    @property
    def status(self) -> str:
        """ "created", "running", "paused", "restarting" or "exited"; "removed" if it is gone."""
        try:
            return self._state().status
        except LaunchError:
            return "removed"

    @property
    def health(self) -> str:
        """ "starting", "healthy" or "unhealthy"; empty without a healthcheck."""
        return self._state().health

    @property
    def exit_code(self) -> int | None:
        """Its exit code, 128 + n for signal n; None before it has ended."""
        state = self._state()
        return state.exit_code if state.status == "exited" else None

    @property
    def address(self) -> str:
        """Its IP address in the first of its networks; empty if it has none of its own, or does not run."""
        return next(iter(self._state().addresses.values()), "")

    def port(self, port: Port) -> int:
        """The port of this machine under which PORT, such as 80 or "53/udp", is published. Raises LaunchError if it is
        not."""
        return self._published(port)[1]

    def endpoint(self, port: Port) -> tuple[str, int]:
        """The host and port under which this program reaches PORT: published, at the container's own address, or, where
        it shares this machine's network, at that. Raises LaunchError if there is no way."""
        try:
            return self._published(port)
        except LaunchError as error:
            spec = directory.read(self._placed.directory).config.spec
            address = self.address
            if spec.network_mode == "none" or (address and os.geteuid() != 0):
                raise LaunchError(error.message, hint=f"start it with ports=[{port!r}]") from None
            return address or "127.0.0.1", _port(port)[0]

    def _published(self, port: Port) -> tuple[str, int]:
        number, protocol = _port(port)
        for each in map(read, self._state().ports):
            if (each.target, each.protocol) == (number, protocol):
                return "127.0.0.1" if each.host_ip in _ANYWHERE else each.host_ip, each.port
        raise LaunchError(f"port {number}/{protocol} of container {self.name} is not published")

    def wait_for(
        self,
        *,
        port: Port | Sequence[Port] | None = None,
        http: int | str | Sequence[int | str] | None = None,
        log: Pattern | Sequence[Pattern] | None = None,
        health: bool = False,
        timeout: Duration = 60.0,
    ) -> Self:
        """Return the container once all of this holds; what has held once counts.

        `port`: the container listens there. `http`: a port, a path such as "/health" or ":8080/health", or a URL, as
        seen inside the container; it answers with a status below 400. `log`: a line of its log matches this regular
        expression (re.search); several match one after the other, in their order. `health`: its healthcheck succeeds.
        `timeout`: seconds, or text such as "1m30s".

        Raises WaitError if that does not come about in time, if the container ends or is unhealthy: with what was
        waited for, and the end of its log. Raises UsageError if there is nothing to wait for.
        """
        of_type("health", health, bool)
        conditions = Conditions(
            ports=tuple(_port(each) for each in _several(port)),
            urls=tuple(_url(each) for each in _several(http)),
            log=tuple(_pattern(each) for each in _several(log)),
            health=health,
        )
        if conditions == Conditions():
            raise UsageError("nothing to wait for", hint="set port, http, log or health")
        self._state()
        call(wait_for, self._placed, conditions, timeout=_seconds("timeout", timeout), since=self._since)
        return self

    def exec(
        self,
        *words: Word | Iterable[Word],
        user: str | int | None = None,
        environment: Mapping[str, str] | None = None,
        working_dir: str | None = None,
        input: Input | None = None,
        timeout: Duration | None = None,
        check: bool = False,
    ) -> Outcome:
        """Execute a command in the container, with its isolation, and wait for its end.

        USER and WORKING_DIR are by default the container's; ENVIRONMENT is set in addition to its own. The command
        reads INPUT. After TIMEOUT it is stopped, and the outcome has `timed_out`. Raises LaunchError if the container
        does not run, CommandNotFoundError; with `check`, ContainerError if the command does not end with exit code 0.
        """
        argv = command_of(words)
        if not argv:
            raise UsageError("no command to execute")
        of_type("user", user, str, int, type(None))
        self._state()
        outcome, stdout, stderr = call_captured(
            access.execute,
            self.id,
            tuple(argv),
            environment=_texts(environment or {}),
            user=None if user is None else parse_user(str(user)),
            working_dir=of_type("working_dir", working_dir, str, type(None)),
            timeout=None if timeout is None else _seconds("timeout", timeout),
            input=None if input is None else input_of(input, None, None).encode(errors="surrogateescape"),
        )
        result = Outcome(**outcome.as_dict() | {"stdout": _decoded(stdout), "stderr": _decoded(stderr)})
        return result.check() if check else result

    def logs(self, *, stream: Stream | None = None, tail: int | None = None) -> str:
        """What it has written so far, to both streams, or to STREAM; the last TAIL lines of that."""
        _check_stream(stream)
        of_type("tail", tail, int, type(None))
        self._state()
        lines = [*joined(read_log(self._logs, tail=None if stream else tail), stream=stream or "")]
        return "".join(f"{line}\n" for line in (lines if tail is None else lines[max(0, len(lines) - tail) :]))

    def follow(self, *, stream: Stream | None = None, tail: int | None = None) -> Iterator[str]:
        """Each line of its log without its end, also those that are still to come, until it has ended. With TAIL, only
        so many of those that are there."""
        _check_stream(stream)
        of_type("tail", tail, int, type(None))
        self._state()
        entries = read_log(self._logs, tail=tail, follow=lambda: stored.has_keeper(self._placed.directory))
        return joined(entries, stream=stream or "")

    def stop(self, *, signal: str | int | None = None, timeout: Duration | None = None) -> None:
        """Send it SIGNAL, by default its stop signal, and kill it after TIMEOUT, by default its `stop_grace_period`.
        Returns at its end; it is not started again by a restart policy. Nothing happens to one that has ended."""
        number = None if signal is None else parse_signal(str(of_type("signal", signal, str, int)))
        seconds = None if timeout is None else _seconds("timeout", timeout)
        stopping.stop(self._read(), number=number, timeout=seconds)

    def kill(self, signal: str | int = "KILL") -> None:
        """Send it SIGNAL. Raises LaunchError if it does not run."""
        stopping.kill(self._read(), parse_signal(str(of_type("signal", signal, str, int))))

    def restart(self, *, timeout: Duration | None = None) -> None:
        """Stop it, and start it again with what it has written; after that, `wait_for` looks at what is new in its log.
        A port whose number was chosen has another one then."""
        self.stop(timeout=timeout)
        since = timestamp(time.time_ns())
        call(lifecycle.begin_again, self._placed)
        self._since = since

    def wait(self, *, timeout: Duration | None = None) -> Outcome:
        """Wait until it has ended, and is not started again: how it ended, and what it wrote. Raises WaitError after
        TIMEOUT."""
        seconds = None if timeout is None else _seconds("timeout", timeout)
        try:
            control.ask_for_end(self._read().directory, "wait", within=seconds)
        except TimeoutError:
            raise WaitError(f"container {self.name} has not ended after {seconds:g} s") from None
        except LaunchError:  # it has ended
            pass
        return self._outcome(self._state())

    def remove(self, *, timeout: Duration | None = None) -> None:
        """Stop it as `stop` does, and remove it with what it has written; named volumes stay. Nothing happens if it is
        gone."""
        try:
            self.stop(timeout=timeout)
        except LaunchError:
            if self.status != "removed":
                raise
        call(lifecycle.remove, self._placed)

    def copy_in(self, source: Path, path: str) -> None:
        """Copy the file or directory SOURCE to PATH in the container, as `mydocker cp` does."""
        self._state()
        call(access.copy_in, self.id, path_of(source), path)

    def copy_out(self, path: str, target: Path) -> None:
        """Copy PATH of the container to TARGET, as `mydocker cp` does."""
        self._state()
        call(access.copy_out, self.id, path, path_of(target))

    @property
    def _logs(self) -> str:
        return f"{self._placed.directory}/logs"

    def _read(self) -> containers.Container:
        try:
            return directory.read(self._placed.directory)
        except StoreError:
            if os.path.exists(self._placed.directory):
                raise
            raise LaunchError(f"container {self.name} has been removed") from None

    def _state(self) -> ContainerState:
        return self._read().state

    def _outcome(self, state: ContainerState) -> Outcome:
        stdout, stderr = (self.logs(stream=each) for each in ("stdout", "stderr"))
        return Outcome(
            exit_code=None if state.signal else state.exit_code,
            signal=state.signal or None,
            timed_out=state.timed_out,
            oom_killed=state.oom_killed,
            killed_by=state.error,
            stopped=state.stopped,
            wall=max(0.0, state.finished - state.started),
            cpu=state.cpu,
            max_rss=state.max_rss,
            stdout=stdout,
            stderr=stderr,
        )


def _several(value: object) -> list[object]:
    """None, one, or a list of them."""
    if value is None:
        return []
    return [value] if isinstance(value, str | int | re.Pattern) or not isinstance(value, Iterable) else [*value]


def _port(port: object) -> tuple[int, str]:
    text = str(port) if isinstance(port, int) and not isinstance(port, bool) else port
    if not isinstance(text, str):
        raise ArgumentTypeError(f"port: expected an int or a str, not {type(port).__name__}")
    number, _, protocol = text.partition("/")
    if not is_whole_number(number) or not 0 < int(number) < 1 << 16 or protocol not in ("", "tcp", "udp"):
        raise UsageError(f"port {text!r}: expected a number from 1 to 65535, or one such as 53/udp")
    return int(number), protocol or "tcp"


def _url(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"http://localhost:{_port(value)[0]}/"
    if not isinstance(value, str):
        raise ArgumentTypeError(f"http: expected an int or a str, not {type(value).__name__}")
    if value.startswith(("/", ":")):
        return f"http://localhost{value}"
    if not value.startswith(("http://", "https://")):
        raise UsageError(f"http {value!r}: expected a port, a path such as :8080/health, or a URL")
    return value


def _pattern(value: object) -> re.Pattern[str]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return value
    if not isinstance(value, str):
        raise ArgumentTypeError(f"log: expected a regular expression for text, not {type(value).__name__}")
    try:
        return re.compile(value)
    except re.error as error:
        raise UsageError(f"log {value!r}: {error}") from None


def _seconds(name: str, value: Duration) -> float:
    return parse_duration(str(of_type(name, value, str, int, float)))


def _texts(pairs: Mapping[str, str]) -> dict[str, str]:
    return {of_type("environment", name, str): str(value) for name, value in pairs.items()}


def _check_stream(stream: object) -> None:
    if stream not in (None, "stdout", "stderr"):
        raise UsageError(f"stream {stream!r}: expected 'stdout' or 'stderr'")


def _decoded(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
