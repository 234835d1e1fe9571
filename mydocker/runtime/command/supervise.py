"""Supervising a running container: its end, mydocker's signals, its time, its terminal; one loop, no threads."""

from __future__ import annotations

import os
import select
import stat
import time

from mydocker import kernel
from mydocker.errors import (
    REPORT_LIMIT,
    CommandNotExecutableError,
    CommandNotFoundError,
    ErrorReport,
    LaunchError,
    NotInContainerError,
)
from mydocker.kernel.signals import STOPPING, Signals, is_heeded, send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.outcome import Outcome
from mydocker.runtime.streams import StreamPipes
from mydocker.runtime.streams.relay import Relay, Streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.command import Started, Watched
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.streams.terminal import Terminal


DRAIN_TIME = 1.0  # seconds in which the caller takes the rest of what a container wrote that had to be killed
_LONGEST_POLL = 86400.0  # seconds: poll(2) takes milliseconds as an int
INIT_END = 2.0  # seconds in which an outer init kills everything, and ends
_RESPONSE_TIME = 3.0  # seconds in which a container that is killed ends, unless what its root is read through hangs


class Companion:
    """Who keeps a container in the background takes part in the loop that watches it: what is asked of it, in this
    order. None of it may wait."""

    def streams(self, plan: LaunchPlan) -> StreamPipes | Terminal:
        """The container's standard streams, before it is cloned."""
        raise NotImplementedError

    def relay(self, streams: StreamPipes | Terminal) -> Relay:
        """What carries what goes through them."""
        raise NotImplementedError

    def join(self, watched: Watch) -> None:
        """The loop of WATCHED is about to begin; it calls what is registered there with `on`."""
        raise NotImplementedError

    def begun(self) -> None:
        """The command has been executed."""
        raise NotImplementedError

    def due(self) -> float | None:
        """When `mind_the_time` is to be called at the latest, by time.monotonic(); it may be called earlier."""
        raise NotImplementedError

    def mind_the_time(self) -> None:
        """Do what is due."""
        raise NotImplementedError


def watch(
    plan: Watched,
    started: Started,
    *,
    signals: Signals,
    streams: StreamPipes | Terminal,
    companion: Companion | None = None,
    begun: Callable[[], None] | None = None,
) -> Outcome:
    """Wait for the end of the container that has been STARTED by PLAN, and for everything that it wrote to be passed
    on, to COMPANION if there is one. BEGUN is called when its command has been executed, and has not ended since; None:
    what is watched is another command in that container.

    Raises what went wrong if its command never started, and HostError if the caller's stdout or stderr did not take all
    of it. In each case the container has ended.
    """
    relay = companion.relay(streams) if companion else _relay(streams)
    terminal = None if isinstance(streams, StreamPipes) else streams
    watched = Watch(plan, started, signals=signals, relay=relay, terminal=terminal, companion=companion, begun=begun)
    try:
        if companion:
            companion.join(watched)
        outcome = watched.until_end()
    finally:
        watched.kill()  # nothing to kill, unless an error in mydocker ends the watch
        relay.hang_up()
        relay.close()
    relay.check()
    return outcome


def _relay(streams: StreamPipes | Terminal) -> Relay:
    return Streams(streams) if isinstance(streams, StreamPipes) else streams


class Watch:
    """One container from its clone to its end."""

    def __init__(
        self,
        plan: Watched,
        started: Started,
        *,
        signals: Signals,
        relay: Relay,
        terminal: Terminal | None,
        companion: Companion | None = None,
        begun: Callable[[], None] | None = None,
    ) -> None:
        self.pid, self.pidfd = started.pid, started.pidfd
        self.report, self.lifeline, self.image = started.report, started.lifeline, started.image
        self.signals, self.relay, self.companion = signals, relay, companion
        self.terminal = terminal
        self.on_begun, self.run_dir = begun, plan.run_dir
        self.stop_signal, self.grace = plan.stop_signal, plan.grace
        self.left_in = started.left_in
        self.began = time.monotonic()
        self.deadline = self.began + plan.timeout if plan.timeout is not None else None
        self.kill_at: float | None = None
        self.leave_at: float | None = None
        self.abandon_at: float | None = None
        self.timed_out = False
        self.interrupted = False
        self.stopped = False
        self.failure = b""
        self.outcome: Outcome | None = None
        self.poll = select.poll()
        self.actions: dict[int, Callable[[], None]] = {}
        self.carrying: dict[int, int] = {}  # what is polled for the streams: descriptors and their events

    def until_end(self) -> Outcome:
        """Wait for the container's end, and until everything that it wrote on a terminal has been shown.

        Raises what went wrong if its command never started.
        """
        self.on(self.pidfd, self._end)
        self.on(self.report, self._read_report)
        self.on(self.signals.descriptor, self._pass_on)
        if self.terminal:
            self.on(self.terminal.parent_end.fileno(), self._join_terminal)
        self._mind_the_streams()
        while self.outcome is None or self.carrying:
            for descriptor, events in self.poll.poll(self._poll_timeout()):
                if descriptor in self.actions:  # an earlier action of this round may have forgotten it
                    self.actions[descriptor]()
                elif descriptor in self.carrying:
                    self.relay.carry(descriptor, events)
            self._mind_the_time()
            self._mind_the_streams()
        if self.failure:
            # untrusted where `pre_start` runs: its commands may trace the child, which reports, with SYS_PTRACE
            raise ErrorReport.decode(self.failure).as_error(
                LaunchError, NotInContainerError, CommandNotExecutableError, CommandNotFoundError
            )
        return self.outcome

    def kill(self) -> None:
        """End the container at once: PID 1's death kills its whole pid namespace (pid_namespaces(7)).

        Without a pid namespace, the outer init kills everything when the lifeline closes. If that has been stopped, by
        a process of the container's, it is killed the next time: then what it watched is killed as orphans
        (orphans.py).
        """
        self._thaw()
        if self.lifeline and not self.lifeline.closed:
            self.lifeline.close()
            self.kill_at = time.monotonic() + INIT_END
        else:
            send(self.pidfd, signal.SIGKILL)
        self.leave_at = self.leave_at or time.monotonic() + DRAIN_TIME
        if self.image and self.abandon_at is None:
            self.abandon_at = time.monotonic() + _RESPONSE_TIME

    def on(self, descriptor: int, action: Callable[[], None]) -> None:
        """Call ACTION whenever DESCRIPTOR is readable."""
        self.actions[descriptor] = action
        self.poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        """The opposite of `on`, before DESCRIPTOR is closed."""
        self.poll.unregister(descriptor)
        del self.actions[descriptor]

    def _poll_timeout(self) -> float | None:
        """Milliseconds until something is due."""
        asked = self.companion.due() if self.companion else None
        due = [at for at in (self.deadline, self.kill_at, self.leave_at, self.abandon_at, asked) if at is not None]
        return min(max(0.0, min(due) - time.monotonic()), _LONGEST_POLL) * 1000 + 1 if due else None

    def _mind_the_time(self) -> None:
        now = time.monotonic()
        if self.companion:
            self.companion.mind_the_time()
        if self.deadline is not None and now >= self.deadline:
            self.deadline, self.timed_out = None, True
            self.stop()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            self.kill()
        if self.leave_at is not None and now >= self.leave_at:
            self.leave_at = None
            self.relay.hang_up()
        if self.abandon_at is not None and now >= self.abandon_at:
            self.abandon_at = None
            if self.image and not self.outcome:
                self.image.abandon()

    def _mind_the_streams(self) -> None:
        """Poll for what they wait for now. A container whose terminal's other end is gone cannot be reached any
        more."""
        if self.relay.lost:
            self.stopped = True
            self._expect_end()
            self.relay.hang_up()
        if self.terminal and not self.outcome and self.terminal.is_interrupted_in_vain(self.pid):
            self._end_if_unheeded()
        waits = self.relay.waits()
        for descriptor in self.carrying.keys() - waits.keys():
            self.poll.unregister(descriptor)
        for descriptor, events in waits.items():
            self.poll.register(descriptor, events)
        self.carrying = waits

    def stop(self, number: int | None = None, grace: float | None = None) -> None:
        """Send the stop signal, or signal NUMBER, and kill the container after GRACE seconds, by default those of the
        plan; wait for that time only if the command has begun and handles the signal, or if it is without end."""
        self._thaw()
        number = number or self.stop_signal
        # before it is sent: while the command wakes up, its masks say nothing
        handled = grace == float("inf") or (self.report not in self.actions and self._heeds(number))
        send(self.pidfd, number)
        self._expect_end((self.grace if grace is None else grace) if handled else 0.0)

    def _thaw(self) -> None:
        """Let a paused container go on: it could neither be stopped nor killed."""
        if self.on_begun and not self.outcome and os.path.exists(f"{self.run_dir}/frozen"):
            from mydocker.runtime.cgroup.freezer import end

            end(self.run_dir)

    def _end_if_unheeded(self) -> None:
        """The user types Ctrl-C again and again: where the command ignores that, it ends the container."""
        if not self._heeds(signal.SIGINT):
            self.kill()

    def _expect_end(self, grace: float | None = None) -> None:
        """Give it GRACE seconds to end by itself; None: as the plan says."""
        if self.lifeline and self.lifeline.closed:  # the outer init is ending everything
            return
        kill_at = time.monotonic() + (self.grace if grace is None else grace)
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)

    def _heeds(self, number: int) -> bool:
        """Whether the command can be sent signal NUMBER: without a separate pid namespace, any process can."""
        return self.lifeline is not None or is_heeded(self.pid, number)

    def _read_report(self) -> None:
        """Read why the child failed; the pipe closes without a report when its command is executed."""
        text = os.read(self.report, REPORT_LIMIT)
        self.failure = (self.failure + text)[:REPORT_LIMIT]
        if not text:
            self.forget(self.report)
            if self.on_begun and not self.failure and self.pidfd in self.actions:
                self.on_begun()
            if self.companion and not self.failure:
                self.companion.begun()

    def _pass_on(self) -> None:
        number = self.signals.take()
        if self.outcome and number in STOPPING:  # the caller takes what the container wrote too slowly
            self.outcome = self.outcome.replace(stopped=True)  # its restart policy is not to start it again
            self.relay.hang_up()
        elif number == signal.SIGWINCH and self.terminal:
            self.terminal.resize()
        elif number == signal.SIGINT and self.interrupted:
            self.kill()
        else:
            self.interrupted = self.interrupted or number == signal.SIGINT
            self.stopped = self.stopped or number in STOPPING
            if number == signal.SIGTERM:  # stopping mydocker stops the container
                self.stop()
                return
            if number == signal.SIGHUP and _is_cut_off():
                self._expect_end()
            elif number == signal.SIGCONT and self.terminal:
                self.terminal.resume()
            send(self.pidfd, number)

    def _join_terminal(self) -> None:
        assert self.terminal is not None
        self.forget(self.terminal.parent_end.fileno())
        self.terminal.receive()

    def _end(self) -> None:
        status, cpu, max_rss = kernel.wait(self.pid)
        self.forget(self.pidfd)
        if self.report in self.actions:
            self._read_report()
        # it may have come in the same round as the end
        if self.terminal and self.terminal.parent_end.fileno() in self.actions:
            self._join_terminal()
        self.relay.end_input()
        if self.left_in is not None:
            self._end_what_is_left(self.left_in)
        code = os.waitstatus_to_exitcode(status)
        self.outcome = Outcome(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=self.timed_out,
            stopped=self.stopped,
            wall=time.monotonic() - self.began,
            cpu=cpu,
            max_rss=max_rss,
        )

    def _end_what_is_left(self, cgroups: tuple[str, ...]) -> None:
        """Kill what the command has left behind in the pid namespace of another container, which does not end now. What
        no cgroup holds together is not waited for."""
        from mydocker.runtime.cgroup.cgroup import kill

        for path in cgroups:
            kill(path)
        self.leave_at = self.leave_at or time.monotonic() + DRAIN_TIME


def _is_cut_off() -> bool:
    """Whether a terminal among the standard streams has been closed, and the caller does not ignore that (nohup(1))."""
    streams = select.poll()
    for descriptor in (0, 1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            streams.register(descriptor, 0)
    closed = any(events & select.POLLHUP for _, events in streams.poll(0))
    return closed and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
