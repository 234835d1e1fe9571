"""The keeper: the process that a container in the background has for itself. It starts the container as `mydocker run`
does, writes down what becomes of it, relays its output, runs its healthcheck and starts it again.

mydocker ── fork ──> (ends) ── fork ──> the keeper ── clone ──> the container

It sleeps while nothing happens. What it is asked over its socket (control.py) it does in the loop that watches the
container.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from contextlib import suppress

from mydocker import kernel
from mydocker.errors import ErrorReport, HostError, LaunchError, MydockerError, StoreError
from mydocker.image.store import remove_tree
from mydocker.kernel.process_title import retitle
from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.supervise import Companion
from mydocker.runtime.launch import plan_launch, run
from mydocker.runtime.launch.cleanup_process import CleanupProcess
from mydocker.runtime.plan.networks import with_earlier_addresses
from mydocker.services.containers import CREATED, EXITED, PAUSED, RESTARTING, RUNNING, directory
from mydocker.services.containers.connections import Connections, Waiting
from mydocker.services.containers.log_files import LogFiles
from mydocker.services.containers.output import KeptPipes, KeptTerminal, Output
from mydocker.services.containers.requests import answer
from mydocker.services.health import UNHEALTHY
from mydocker.services.kept_view import KeptView
from mydocker.services.restarts import Restarts
from mydocker.specs.model.parts import Logging

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from mydocker.image.model import StoredImage
    from mydocker.image.store import Store
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.command.supervise import Watch
    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.streams import StreamPipes
    from mydocker.runtime.streams.relay import Relay
    from mydocker.runtime.streams.terminal import Terminal
    from mydocker.services.containers import Container
    from mydocker.services.containers.health_monitor import HealthMonitor

READY = b"ready"
_KEYS = {"before": "ExecStartPre", "begun": "ExecStartPost", "after": "ExecStopPost"}
_KEPT = ("upper", "work")  # of the scratch directory, from start to start


def fork_keeper(
    store: Store,
    container: Container,
    image: StoredImage | None,
    *,
    environ: Mapping[str, str],
    attached: socket.socket | None = None,
    owner: int = -1,
) -> tuple[int, int]:
    """Fork the keeper of CONTAINER, which starts it on IMAGE. The read end of a pipe: READY comes once the command has
    been executed, an ErrorReport if it will not be, and nothing if the keeper was killed; and a child of the caller's
    that is to be waited for, which has nothing to do but to end. ATTACHED is the keeper's end of a connection that is
    attached from the beginning. OWNER is a pidfd: the container ends, and is removed, when that process has ended.

    The caller has one thread.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _keep(store, container, image, environ=environ, writer=writer, attached=attached, owner=owner)
        finally:
            os._exit(0)
    os.close(writer)
    return reader, pid


def _keep(
    store: Store,
    container: Container,
    image: StoredImage | None,
    *,
    environ: Mapping[str, str],
    writer: int,
    attached: socket.socket | None,
    owner: int,
) -> NoReturn:
    gc.freeze()  # what it shares with its parent is never garbage, and a collection would copy every page of it
    sys.stdout = sys.stderr = None
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    others = (owner, attached.fileno() if attached else -1)
    kernel.close_all_but((0, 1, 2, writer, *(each for each in others if each >= 0)))
    os.chdir("/")
    os.umask(0o022)
    retitle(f"mydocker-keeper {container.config.title}")
    try:
        keeper = Keeper(store, container, image, environ=environ, ready=writer)
        keeper.keep(attached, owner)
    except BaseException as error:
        with suppress(OSError):
            os.write(writer, ErrorReport.of(error, doing="keep the container").encode())
    os._exit(0)


class Keeper(Companion):
    """Keeps one container, from its start until it is not started again."""

    def __init__(
        self,
        store: Store,
        container: Container,
        image: StoredImage | None,
        *,
        environ: Mapping[str, str],
        ready: int = -1,
    ) -> None:
        """READY is the pipe of whoever waits for the start."""
        self.store, self.directory, self.config, self.image = store, container.directory, container.config, image
        self.environ, self.ready = environ, ready
        self.state = container.state.replace(keeper=os.getpid(), stopped=False, restarts=0, error="")
        self.log = LogFiles(f"{self.directory}/logs", self.config.spec.logging or Logging())
        self.connections = Connections(
            lambda number, words: answer(self, number, words), stdin_once=self.config.stdin_once
        )
        self.loop: Watch | Waiting | None = None
        self.is_kept = False  # though it is to be removed at its end
        self.report = b""  # why it did not start
        self.views: KeptView | None = None
        self.plan: LaunchPlan | None = None
        self.monitor: HealthMonitor | None = None
        self.restarts = Restarts(self.config.spec.restart)
        self.is_unhealthy = False  # and so its end has been ordered, by its healthcheck's on_failure
        self.bonds: list[socket.socket] | None = None  # to the keepers of those that it is bound to

    def keep(self, attached: socket.socket | None = None, owner: int = -1) -> None:
        """Start it, and again, until it has ended for good."""
        lock = directory.lock_keeper(self.directory)
        if lock is None:
            raise LaunchError(f"container {self.config.title} is running already")
        try:
            self.connections.listen(self.directory)
            if attached:
                self.connections.attach(self.connections.admit(attached))
            if owner >= 0:
                self.connections.on(owner, lambda: self._lose(owner))  # readable at its end
            with CleanupProcess() as cleanup_process:
                while self._run(cleanup_process):
                    pass
        except Exception as error:
            self._failed(error)
        self._end(lock, remove=self.config.auto_remove or (owner >= 0 and has_ended(owner)))

    def _run(self, cleanup_process: CleanupProcess) -> bool:
        """One start, to its end; whether there is to be another one."""
        try:
            self._execute("before")
            outcome = self._start(cleanup_process)
        except (MydockerError, OSError) as error:
            self._failed(error)
            return False
        facts = {name: getattr(outcome, name) for name in ("timed_out", "oom_killed", "cpu", "max_rss")}
        facts |= {"exit_code": outcome.status, "signal": outcome.signal or 0}
        why = outcome.killed_by or self.state.error
        self.state = self.state.replace(finished=time.time(), pid=0, addresses={}, ports=(), error=why, **facts)
        self._execute("after")
        if self.state.stopped or (outcome.stopped and not self.is_unhealthy):
            return False
        pause = self.restarts.pause(status=outcome.status, seconds=outcome.wall)
        if self.is_unhealthy and self.monitor_action == "restart":
            pause = 0.0
        self.is_unhealthy = False
        if pause is None:
            return False
        self._tell(status=RESTARTING, health="")
        return self._wait(pause)

    def _execute(self, kind: str) -> None:
        """Execute the commands of the host of one KIND; after the end, one that fails changes nothing. Raises
        LaunchError."""
        hooks = self.config.host_commands
        commands = getattr(hooks, kind) if hooks else ()
        if not hooks or not commands:
            return
        from mydocker.services.host_commands import run_commands

        environ = {**self.environ, **hooks.environment}
        if kind == "after":
            environ |= {
                "EXIT_STATUS": str(self.state.exit_code),
                "EXIT_CODE": "killed" if self.state.signal else "exited",
            }
        try:
            run_commands(commands, key=_KEYS[kind], environ=environ, timeout=hooks.timeout)
        except LaunchError as error:
            if kind == "before":
                raise
            self.state = self.state.replace(error=error.message)

    def _start(self, cleanup_process: CleanupProcess) -> Outcome:
        scratch = f"{self.directory}/scratch"
        for name in os.listdir(scratch):
            if name not in _KEPT:
                remove_tree.remove(f"{scratch}/{name}")
        with suppress(StoreError):  # it may have been renamed or connected to networks since the last start
            self.config = directory.read(self.directory).config
        plan = plan_launch(
            self.config.current_spec,
            self.image,
            store=self.store,
            container_id=self.config.id,
            scratch=scratch,
        )
        networks = with_earlier_addresses(plan.networks, self.state.last_addresses)
        self.plan = plan.replace(networks=networks)
        self.views = KeptView(self.plan)
        with self.views:
            try:
                return run(self.plan, view_receiver=self.views, cleanup_process=cleanup_process, companion=self)
            finally:
                self._stop_watching()

    def _stop_watching(self) -> None:
        """The start is over: what belongs to it goes."""
        if self.monitor:
            self.monitor.close()
            self.monitor = None
        if self.views:
            self.views.close_view()
        self.loop = None
        self.connections.part()
        self.log.end()

    def _failed(self, error: Exception) -> None:
        """The container could not be started."""
        report = ErrorReport.of(error, doing="keep the container")
        shown = error if isinstance(error, MydockerError) else report.as_error(HostError)
        status = CREATED if not self.state.started else EXITED
        self.state = self.state.replace(
            exit_code=shown.exit_code, error=shown.message, finished=time.time(), pid=0, status=status
        )
        self.report = report.encode()

    def _lose(self, owner: int) -> None:
        self.connections.forget(owner)
        self.stop(None, None, keep=False)

    def _lose_other(self, name: str) -> None:
        """Another container has ended that this one is bound to."""
        if not self.state.stopped:
            self._tell(error=f"stopped, as {name}, which it is bound to, has ended")
            self.stop(None, None, keep=False)

    def _end(self, lock: int, *, remove: bool) -> None:
        """It has ended for good: first that is on disk, and the keeper's place free; then everybody hears of it. With
        REMOVE, nothing of it stays."""
        if self.state.status != CREATED:
            self.state = self.state.replace(status=EXITED)
        self.state = self.state.replace(keeper=0, lost=self.log.lost)
        self._write_state()
        if remove and not self.is_kept:
            with suppress(MydockerError):
                directory.remove(self.store, directory.read(self.directory))
        self.connections.close_listener()
        os.close(lock)
        self._close_ready(self.report)
        self.connections.finish(json.dumps(self._described()).encode())

    def _wait(self, seconds: float) -> bool:
        """Wait for the next start; False if it is not wanted any more."""
        self.loop = Waiting(until=time.monotonic() + seconds)
        self.connections.join(self.loop)
        goes_on = self.loop.wait()
        self.loop = None
        self.connections.part()
        if goes_on:
            self.state = self.state.replace(restarts=self.state.restarts + 1)
        return goes_on

    # the companion of a start

    def streams(self, plan: LaunchPlan) -> StreamPipes | Terminal:
        self.plan = plan  # with what it has got only now
        return KeptTerminal(forward_input=False) if plan.tty else KeptPipes(plan)

    def relay(self, streams: StreamPipes | Terminal) -> Relay:
        output = self.connections.output = Output(streams, self.log, self.connections.attached)
        output.on_room = self.connections.resume
        return output

    def join(self, watched: Watch) -> None:
        self.loop = watched
        self.connections.join(watched)
        assert self.views
        watched.on(self.views.receiver.fileno(), self._take_view)

    def _take_view(self) -> None:
        assert self.views and self.plan and self.loop
        self.loop.forget(self.views.receiver.fileno())
        self.views.take(self.plan)

    def begun(self) -> None:
        assert self.plan and self.loop and not isinstance(self.loop, Waiting)
        addresses, ports = _connections(self.plan)
        self._begin_healthchecks()
        self._tell(
            status=RUNNING,
            **directory.identity(self.loop.pid, by_init=self.loop.lifeline is not None),
            exit_code=0,
            oom_killed=False,
            started=time.time(),
            addresses=addresses,
            last_addresses=addresses,
            ports=ports,
            error="",
            health=self.monitor.health if self.monitor else "",
            failing=0,
        )
        self._close_ready(READY)
        self._execute_begun()
        if self.config.bound_to and self.bonds is None:
            from mydocker.services.bound import bind

            self.bonds = bind(self.config, self.connections, store=self.store, ended=self._lose_other)

    def _execute_begun(self) -> None:
        """Start the commands of the host for a container that runs; if one fails, it is stopped."""
        hooks = self.config.host_commands
        if not hooks or not hooks.begun or not self.loop:
            return
        from mydocker.services.host_commands import start_commands

        environ = {**self.environ, **hooks.environment, "MAINPID": str(self.state.pid)}
        reader = start_commands(hooks.begun, key=_KEYS["begun"], environ=environ, timeout=hooks.timeout)
        self.loop.on(reader, lambda: self._take_begun(reader))

    def _take_begun(self, reader: int) -> None:
        message = os.read(reader, 1 << 16).decode("utf-8", "replace")
        if self.loop:
            self.loop.forget(reader)
        os.close(reader)
        if message:
            self._tell(error=message)
            self.stop(None, None, keep=True)

    def _close_ready(self, message: bytes) -> None:
        if self.ready >= 0:
            with suppress(OSError):  # whoever waited has gone
                os.write(self.ready, message)
            os.close(self.ready)
            self.ready = -1

    def _begin_healthchecks(self) -> None:
        from mydocker.services.health import complete

        try:
            check = complete(self.config.spec.healthcheck, self.image.config.healthcheck if self.image else {})
        except LaunchError:  # it has none
            return
        from mydocker.services.containers.health_monitor import HealthMonitor

        self.monitor = HealthMonitor(check)

    def due(self) -> float | None:
        if not self.monitor or not self.view or self.state.status == PAUSED or self.monitor.due == float("inf"):
            return None
        return self.monitor.due

    def mind_the_time(self) -> None:
        monitor, view = self.monitor, self.view
        if not monitor or not view or not self.loop or time.monotonic() < monitor.due or self.state.status == PAUSED:
            return
        before = monitor.health
        test = monitor.run_test(view)
        if test:
            self.loop.on(test.descriptor, self._take_test)
        elif before != monitor.health:
            self._tell_health()

    def _take_test(self) -> None:
        assert self.monitor and self.monitor.test and self.loop
        test, descriptor = self.monitor.test, self.monitor.test.descriptor
        self.loop.forget(descriptor)
        facts = test.take()
        if facts is None:
            self.loop.on(descriptor, self._take_test)
            return
        self.monitor.take(facts)
        self._tell_health()
        self._act_on_health()

    @property
    def monitor_action(self) -> str:
        """What is to become of the container when it is unhealthy."""
        check = self.config.spec.healthcheck
        return check.on_failure if check else ""

    def _act_on_health(self) -> None:
        """End an unhealthy container, as its healthcheck's `on_failure` says; its restart policy decides on the rest,
        as systemd does when Podman has ended one (podman-run(1), --health-on-failure)."""
        assert self.monitor
        loop = self.loop
        if self.monitor.health != UNHEALTHY or not self.monitor_action or not loop or isinstance(loop, Waiting):
            return
        self.is_unhealthy = True
        if self.monitor_action == "kill":
            loop.kill()
        else:
            loop.stop()

    def _tell_health(self) -> None:
        assert self.monitor
        monitor = self.monitor
        found = {
            "health": monitor.health,
            "failing": monitor.failing,
            "health_output": monitor.output,
            "health_code": monitor.exit_code,
        }
        if any(getattr(self.state, name) != value for name, value in found.items()):
            self._tell(**found)

    # what it is asked

    @property
    def view(self) -> ContainerView | None:
        """Of the container, while it runs."""
        return self.views.view if self.views else None

    def reply(self, number: int, **words: Any) -> None:
        """Answer the request that came over connection NUMBER."""
        self.connections.send(number, json.dumps({"ok": True, **words}).encode())

    def _tell(self, **changes: Any) -> None:
        """The state has changed: on disk, and for those who follow."""
        self.state = self.state.replace(lost=self.log.lost, **changes)
        self._write_state()
        message = json.dumps(self._described()).encode()
        for number in self.connections.followers:
            self.connections.send(number, message)

    def _described(self) -> dict[str, Any]:
        return {"ok": True, **self.state.as_dict()}

    def _write_state(self) -> None:
        with suppress(OSError):
            directory.write_state(self.directory, self.state)

    def stop(self, number: int | None, grace: float | None, *, keep: bool) -> None:
        """End the container with signal NUMBER, and do not start it again; KEEP one that is to be removed."""
        self.is_kept = self.is_kept or keep
        self._tell(stopped=True)
        if isinstance(self.loop, Waiting):
            self.loop.cancel()
        elif self.loop:
            self.loop.stop(number, grace)

    def set_paused(self, paused: bool) -> None:
        """The container has been paused, or goes on."""
        if self.loop and not isinstance(self.loop, Waiting):
            self._tell(status=PAUSED if paused else RUNNING)

    def kill(self, number: int) -> None:
        """Send the container signal NUMBER."""
        if isinstance(self.loop, Waiting):
            raise LaunchError(f"container {self.config.title} is not running")
        if number in (signal.SIGKILL, self.plan.stop_signal if self.plan else signal.SIGTERM):
            self._tell(stopped=True)
        if self.loop and number == signal.SIGKILL:
            self.loop.kill()
        elif self.loop:
            send(self.loop.pidfd, number)


def _connections(plan: LaunchPlan) -> tuple[dict[str, str], tuple[str, ...]]:
    """The addresses that the container of PLAN has by network, and its published ports as text."""
    if not plan.networks:
        return {}, ()
    from mydocker.runtime.network.connections import listed
    from mydocker.runtime.network.published_ports import written

    leases, ports = listed(plan.run_dir)
    return {lease.network.name: lease.address for lease in leases}, tuple(map(written, ports))
