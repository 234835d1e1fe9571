"""A worker: a separate process that runs a spec and reports what it found.

It is forked, so it has everything imported already, by a batch (pool.py) or for a service; run_one.py starts it anew.
It has a separate session, so that Ctrl-C reaches its parent alone, and it dies with that. What the container writes
goes into pipes; the finding comes as messages (messages.py).
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from functools import partial

import mydocker.runtime.command.outcome
import mydocker.runtime.command.supervise  # noqa: F401  # what `run` imports only after its clone, every worker would import
from mydocker import kernel
from mydocker.errors import MydockerError, refused_by_host
from mydocker.image.model.progress import WARNING
from mydocker.kernel.processes import fork_with_pipe
from mydocker.kernel.signals import signal
from mydocker.message import send
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.inspect.container_view import ContainerView, ViewReceiver
from mydocker.runtime.launch import get_image, host_of, open_store, plan_launch, run
from mydocker.runtime.network.default_mode import with_own_network
from mydocker.services.restarts import Restarts
from mydocker.services.workers.messages import (
    ContainerEnded,
    Failed,
    ImageMetadata,
    Inspected,
    Kept,
    Observed,
    Pulling,
    PullWarning,
    WatcherEnded,
    WatcherStarted,
)
from mydocker.services.workers.observe import inspect, needs_inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from mydocker.image.model import ImageConfig, StoredImage
    from mydocker.image.model.progress import Step
    from mydocker.image.store import Store
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.launch.cleanup_process import CleanupProcess
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.plan.host import Host
    from mydocker.services.health import Health
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.expect import Expect


KEEP_IT = b"k"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # fork(2), pipe(2)


class Role(Record):
    """What a container is to others: whether it runs for them (a `service`), and they wait for its `health`;
    whether to report what is pulled for it (`follow`), and to `publish` its ports on the host."""

    service: bool = False
    health: bool = False
    follow: bool = False
    publish: bool = True


ALONE = Role()


class Workplace:
    """What all cases of a worker share: its environment, its cleanup process if it has one for several, and what the
    first of them has found out."""

    def __init__(self, environ: Mapping[str, str], cleanup_process: CleanupProcess | None = None) -> None:
        self.environ, self.cleanup_process = environ, cleanup_process
        self._found: tuple[Store, Host] | None = None

    def look(self) -> tuple[Store, Host]:
        """The store, and this host. Raises StoreError, if need be each time."""
        if not self._found:
            store = open_store(self.environ)
            self._found = store, host_of(store)
        return self._found


class Worker(Record):
    """A worker that runs, and the descriptors on which it reports: its pidfd, and the read ends of three pipes.

    `stdout` and `stderr` are -1 where the container writes elsewhere. `decision` is where it learns whether to keep
    what its container wrote, or -1 if nothing is kept.
    """

    pid: int
    pidfd: int
    stdout: int
    stderr: int
    finding: int
    decision: int = -1


def start(spec: ContainerSpec, *, environ: Mapping[str, str], role: Role) -> Worker:
    """Start running SPEC, which writes to mydocker's stdout and stderr.

    The caller has one thread, and blocks the signals that are not meant for the worker.
    """
    parent = os.getpid()
    pid, finding = fork_with_pipe()
    if pid == 0:
        gc.freeze()  # what it shares with its parent is never garbage, and a collection would copy every page of it
        try:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        finally:
            work(spec, environ=environ, parent=parent, finding=finding, role=role)
    os.set_blocking(finding, False)
    return Worker(pid=pid, pidfd=os.pidfd_open(pid), stdout=-1, stderr=-1, finding=finding)


def work(spec: ContainerSpec, *, environ: Mapping[str, str], parent: int, finding: int, role: Role = ALONE) -> NoReturn:
    """Be the worker of SPEC, to its end: a child of process PARENT that reports on descriptor FINDING."""
    try:
        settle(parent)
        attempt(spec, Workplace(environ), finding=finding, role=role)
    finally:
        os._exit(0)


def settle(parent: int) -> None:
    """Be a separate process of mydocker: in a new session, gone with PARENT, with the signals that Python has."""
    kernel.die_with_parent(parent)
    os.setsid()
    sys.stdout = sys.stderr = None  # mydocker's own messages go through a separate pipe
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def attempt(
    spec: ContainerSpec,
    place: Workplace,
    *,
    expect: Expect | None = None,
    finding: int,
    role: Role = ALONE,
    decision: int = -1,
) -> None:
    """Run SPEC at PLACE, and report on descriptor FINDING what was found, whatever happens: also what EXPECT is about.

    Unless DECISION is -1, the outcome is reported while the container is still there, and DECISION says whether to
    keep what it wrote: by KEEP_IT, or by the end of the pipe.
    """
    try:
        send(finding, _Run(spec, expect, place, finding, role).to_its_end(decision))
    except MydockerError as error:
        send(finding, Failed.of(error).replace(exit_code=error.exit_code, shortage=is_shortage(error)))
    except KeyboardInterrupt:
        send(finding, _defect("interrupted"))
    except (OSError, MemoryError) as error:
        report_refusal(finding, error)
    except BaseException as error:  # a defect must not run on as a second batch
        send(finding, _defect(f"{type(error).__name__}: {error}"))


def _defect(message: str) -> Failed:
    """What is none of the errors that mydocker raises on purpose."""
    return Failed(kind="", hint="", message=message)


def report_refusal(finding: int, error: OSError | MemoryError) -> None:
    """Report on descriptor FINDING that the host has refused what a worker needs."""
    send(finding, Failed.of(refused_by_host(error)).replace(shortage=is_shortage(error)))


def is_shortage(error: BaseException) -> bool:
    """Whether the host had no process or descriptor left, of which there may be enough once others have ended. What a
    container's first process reports of its own start has only words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        if isinstance(cause, OSError) and cause.errno in SHORTAGES:
            return True
        cause = cause.__cause__ or cause.__context__
    return os.strerror(errno.EAGAIN) in str(error)


class _Run:
    """The runs of SPEC, of which there are several where others need it and it has a restart policy."""

    def __init__(self, spec: ContainerSpec, expect: Expect | None, place: Workplace, finding: int, role: Role) -> None:
        """What EXPECT is about is reported on descriptor FINDING."""
        self.spec, self.expect, self.environ = spec, expect, place.environ
        self.role, self.report = role, partial(send, finding)
        self.store, self.host = place.look()
        self.cleanup_process = place.cleanup_process
        self.image: StoredImage | None = None

    def to_its_end(self, decision: int) -> Outcome:
        """The outcome of the last run. What it wrote is kept as DECISION says, see `attempt`, if it is the only one."""
        plan = self._prepare()
        # from here on they are the watch's to take; none may interrupt the clearing away after it
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        if not (self.role.service and self.spec.restart):
            return self._once(plan, decision, self.cleanup_process)
        restarts, cleanup_process = Restarts(self.spec.restart), self.cleanup_process
        while True:
            outcome = self._once(plan, -1, cleanup_process)
            pause = None if outcome.stopped else restarts.pause(status=outcome.status, seconds=outcome.wall)
            if pause is None:
                return outcome
            # too short a run is not seen by its watcher; and the health is unknown until it is tested again
            self.report(Observed(facts={"began": True, "health": ""}))
            if signal.sigtimedwait(_ENDING, pause):
                return outcome.replace(stopped=True)
            plan, cleanup_process = self._plan(), None

    def _prepare(self) -> LaunchPlan:
        progress = _Pull(self.spec, self.report, follow=self.role.follow)
        self.image = get_image(self.spec, store=self.store, environ=self.environ, progress=progress)
        plan = self._plan()
        progress.end()
        if self.image and self.expect and self.expect.of("metadata"):
            self.report(ImageMetadata(metadata=_metadata(self.image.config)))
        return plan

    def _once(self, plan: LaunchPlan, decision: int, cleanup_process: CleanupProcess | None) -> Outcome:
        spec, expect = self.spec, self.expect
        needs_health = self.role.health or bool(expect and expect.of("health"))
        health = _health(spec, self.image) if needs_health else None
        watched = bool(self.role.service or spec.post_start or (expect and expect.within))
        ended = partial(self.report, ContainerEnded())
        if not (needs_inspection(expect) or watched or decision >= 0):
            return run(plan, cleanup_process=cleanup_process, ended=ended)

        def use(view: ContainerView) -> None:
            inspect(expect, view, lambda facts: self.report(Inspected(facts=facts)), expand=spec.expand)
            if decision >= 0:
                self._offer(view, decision)

        with ViewReceiver(use, prepare=_reserve if decision >= 0 else None) as view_receiver:
            if watched:
                from mydocker.services.workers.watcher import Watcher  # HTTP is slow to import

                watcher = Watcher(spec, self.report, expect=expect, health=health)
                view_receiver.set_watcher(plan, watcher.watch, dismissed=partial(self.report, WatcherEnded()))
                # whoever waits for its reports learns of its end
                self.report(WatcherStarted(pid=view_receiver.watcher))
            return run(plan, view_receiver=view_receiver, cleanup_process=cleanup_process, ended=ended)

    def _plan(self) -> LaunchPlan:
        """Its ports that are not published need a network of its own all the same: where this host gives none, one with
        lo alone, unless other containers are to reach it there by name."""
        spec, launched = self.spec, _launched(self.spec, self.role)
        make = partial(plan_launch, store=self.store, host=self.host, inspect_only=self.expect is not None)
        plan = make(launched, self.image)
        if self.role.publish or not plan.no_network or not spec.ports or spec.aliases:
            return plan
        return make(launched.replace(network_mode="none", namespaces=with_own_network(spec.namespaces)), self.image)

    def _offer(self, view: ContainerView, decision: int) -> None:
        """Report how it ended, and keep what it wrote in the store if the reply is KEEP_IT."""
        assert view.outcome is not None
        self.report(view.outcome)
        if os.read(decision, 1) != KEEP_IT:
            return
        from mydocker.runtime.inspect.kept_container import keep

        origin = str(self.spec.origin)
        try:
            name, lost = keep(view, root=self.store.root, title=self.spec.name or origin, origin=origin)
            self.report(Kept(name=name, lost=lost))
        except MydockerError as error:
            self.report(Kept(lost=error.message))
        except OSError as error:
            self.report(Kept(lost=refused_by_host(error).message))


def _launched(spec: ContainerSpec, role: Role) -> ContainerSpec:
    """SPEC as a worker runs it: there is no input in a batch, so a terminal is for the command to write on."""
    if not role.publish:
        spec = spec.replace(ports=(), publish_all=False)
    return spec.replace(stdin_open=spec.stdin_open and not spec.tty)


class _Pull:
    """Reports what a pull warns of; with `follow`, also that an image is being pulled, at the first step of the pull,
    and when it is there."""

    def __init__(self, spec: ContainerSpec, report: Callable[[Record], None], *, follow: bool) -> None:
        self.image = spec.image.familiar if spec.image else ""
        self.report, self.follow, self.reported = report, follow, False

    def __call__(self, step: Step) -> None:
        if step.kind == WARNING:
            self.report(PullWarning(text=step.text))
        elif self.follow and not self.reported:
            self.reported = True
            self.report(Pulling(image=self.image))

    def end(self) -> None:
        if self.reported:
            self.report(Pulling(image=""))


def _reserve(plan: LaunchPlan) -> None:
    """Occupy room for keeping what the container writes. Where there is none, it runs, and that is reported if it
    fails."""
    from mydocker.runtime.inspect.kept_container import reserve

    with suppress(OSError):
        reserve(plan)


def _metadata(config: ImageConfig) -> dict[str, Any]:
    """The configuration of the image, for expectations."""
    pairs = (entry.partition("=") for entry in config.env)
    return {
        "env": {name: value for name, separator, value in pairs if separator},
        "labels": dict(config.labels),
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.cmd),
        "exposed_ports": [port if "/" in port else f"{port}/tcp" for port in config.exposed_ports],
        "volumes": list(config.volumes),
        "user": config.user,
        "workdir": config.working_dir,
    }


def _health(spec: ContainerSpec, image: StoredImage | None) -> Health:
    from mydocker.services.health import Health, complete

    return Health(complete(spec.healthcheck, image.config.healthcheck if image else {}))
