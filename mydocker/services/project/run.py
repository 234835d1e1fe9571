"""`mydocker up` of a project: its containers are created, started in their order as soon as what they depend on is
there, followed, and stopped in the opposite order.

Each is a container with a keeper (services/containers), so it goes on where `up` does not wait for it. Nothing here
prints: lines and news go to the caller.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from mydocker.errors import LaunchError, UsageError
from mydocker.kernel.processes import LONGEST_WAIT
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Platform
from mydocker.services.containers import NUMBER, PROJECT, SERVICE, directory, start, stop
from mydocker.services.notify import ServiceManager
from mydocker.services.owned.owner import name_process
from mydocker.services.project.running import RunningInstance
from mydocker.services.project.starter import Starter, named
from mydocker.services.project.turn import Turn
from mydocker.specs.model.parts import COMPLETED, STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mydocker.image.model.progress import Step
    from mydocker.image.store import Store
    from mydocker.services.containers import Container
    from mydocker.services.project import Instance
    from mydocker.services.project.running import Show
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.parts import Dependency

FAILED = 1


class UpOptions(Record):
    """How `up` goes on: `detach` leaves the containers running; `wait` until they are healthy, too, for at most
    `wait_timeout` seconds, if that is set. In the foreground, the end of one ends all with `abort_on_exit`, or if it
    has failed, with `abort_on_failure`; the exit code is that of the service `exit_code_from`. With `detach`, what
    `needed_by` depends on is there as it needs it.

    `named` are the services that the caller has named, if not all: others are there for them alone, and end with them.
    `stop_timeout`: seconds until one is killed, in place of its own time."""

    detach: bool = False
    wait: bool = False
    wait_timeout: float | None = None
    abort_on_exit: bool = False
    abort_on_failure: bool = False
    exit_code_from: str = ""
    named: frozenset[str] = frozenset()
    stop_timeout: float | None = None
    force_recreate: bool = False  # those that are named
    recreate_dependencies: bool = False  # the others
    no_recreate: bool = False
    no_start: bool = False
    remove_orphans: bool = False
    needed_by: Instance | None = None


class ProjectRun:
    """The run of INSTANCES of the project NAME, in their order. SHOW gets the lines that they write, SAY news."""

    def __init__(
        self,
        name: str,
        instances: Sequence[Instance],
        *,
        store: Store,
        environ: Mapping[str, str],
        options: UpOptions,
        show: Show,
        say: Callable[[str], None],
        progress: Callable[[Step], None] | None = None,
    ) -> None:
        self.name, self.instances, self.options = name, instances, options
        self.store, self.environ, self.progress = store, environ, progress
        self.show, self.say = show, say
        self.running: list[RunningInstance] = []
        self.stopping = False
        self.first: RunningInstance | None = None  # whose end ended all
        self.interrupts = 0
        self.manager = ServiceManager({} if options.detach else environ)
        self.interrupted = -1  # readable after Ctrl-C
        self.turn = Turn(store, name)
        self.starter = Starter(store=store, environ=environ, follows=not options.detach, show=show)

    def up(self, services: Iterable[str]) -> int:
        """Start all, and with `detach` return then; else follow them to their end. SERVICES: the names of all services
        of the project, others are left over from before. The exit code; raises MydockerError for what cannot start."""
        self.turn.take(self.say)  # before signals are caught, which are to end the wait
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.interrupted = reader
        before = {number: signal.signal(number, lambda *_: self._interrupt(writer)) for number in _SIGNALS}
        try:
            self._create({*services})
            if self.options.no_start:
                return 0
            self._loop(reader)
            return self._status()
        except BaseException:
            if not self.options.detach:
                self._stop_all(reader)
            raise
        finally:
            self.turn.end()
            if not self.options.detach:
                self._remove()
            for each in self.running:
                each.close()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _interrupt(self, writer: int) -> None:
        self.interrupts += 1
        with suppress(OSError):
            os.write(writer, b"!")

    # creating

    def _create(self, services: set[str]) -> None:
        there = {each.config.name: each for each in self._of_project()}
        wanted = {instance.name for instance in self.instances}
        scaled = {instance.service for instance in self.instances}
        for container in there.values():
            service = container.config.labels.get(SERVICE, "")
            if container.config.name not in wanted and service in scaled:
                self._take_away(container)
            elif service not in services:
                self._orphan(container)
        recreated: set[str] = set()
        for instance in self.instances:
            old = there.get(instance.name)
            follows = any((each.restart or each.bound) and each.name in recreated for each in instance.depends_on)
            if old and self._stays(old, instance, follows=follows):
                self.running.append(RunningInstance(instance, old, is_new=False))
                continue
            if old:
                recreated.add(instance.service)
                self._take_away(old)
            self.running.append(RunningInstance(instance, self._created(instance, old), is_new=True))

    def _stays(self, old: Container, instance: Instance, *, follows: bool) -> bool:
        """Whether the container OLD is the one of INSTANCE; not if that FOLLOWS one that has been made anew."""
        options = self.options
        if options.no_recreate:
            return True
        forced = options.force_recreate if self._is_named(instance) else options.recreate_dependencies
        return not follows and not forced and _is_same(old, instance) and not self._has_new_image(old)

    def _is_named(self, instance: Instance) -> bool:
        return not self.options.named or instance.service in self.options.named

    def _has_new_image(self, container: Container) -> bool:
        """Whether the name of its image means another one by now, such as one that has been built anew."""
        spec = container.config.spec
        image = self.store.find(spec.image, spec.platform or Platform.host()) if spec.image else None
        return image is not None and str(image.manifest) != container.config.image_digest

    def _created(self, instance: Instance, old: Container | None) -> Container:
        """A new container of INSTANCE, which gets the addresses of the OLD one that it replaces, if they are free."""
        with named(instance):
            container, _ = start.create(
                instance.spec,
                store=self.store,
                environ=self.environ,
                labels=instance.labels,
                host_commands=instance.host_commands,
                bound_to=instance.bound_to,
                owner="" if self.options.detach else name_process(os.getpid()),  # killed, it can remove nothing itself
                progress=self.progress,
            )
        if old and old.state.last_addresses:
            state = container.state.replace(last_addresses=old.state.last_addresses)
            directory.write_state(container.directory, state)
        return container

    def _of_project(self) -> list[Container]:
        return [each for each in directory.listed(self.store) if each.config.labels.get(PROJECT) == self.name]

    def _orphan(self, container: Container) -> None:
        if self.options.remove_orphans:
            self._take_away(container)
        else:
            hint = "--remove-orphans removes it"
            self.say(f"warning: container {container.config.name} is of no service of project {self.name}: {hint}")

    def _take_away(self, container: Container) -> None:
        """Stop and remove one that was there."""
        if container.is_alive:
            self._before_stop(container)
            stop.stop(container, timeout=self.options.stop_timeout)
        directory.remove(self.store, directory.read(container.directory))

    # following

    def _loop(self, interrupts: int) -> None:
        limit = self.options.wait_timeout
        until = None if limit is None else time.monotonic() + limit
        while True:
            self._start_ready()
            if not self._waiting():
                self.turn.end()
            self._stop_pods()
            if self.options.detach and self._is_there() and self._is_still_there(interrupts):
                return
            if all(each.is_over or not each.begun for each in self.running) and not self._waiting():
                return
            if self._is_done():
                self._end_others()
                continue
            if until is not None and time.monotonic() >= until:
                raise LaunchError(f"not all services are there within {limit:g} s: {'; '.join(self._missing())}")
            self._tell_manager()
            self._take_news(interrupts, min(filter(None, (until, self._settled_at())), default=None))

    def _settled_at(self) -> float | None:
        """When the next one will have run for long enough, if somebody waits for that."""
        young = [each for each in self.running if each.is_well and not each.is_settled]
        return min((each.settled_at for each in young), default=None) if self.options.wait else None

    def _is_done(self) -> bool:
        """Whether the services have ended that are named, if some are, and what they have needed is still there."""
        named = [each for each in self.running if self._is_named(each.instance)]
        return not (self.stopping or self.options.detach) and all(each.is_over for each in named)

    def _end_others(self) -> None:
        """Stop what only the services that are named have needed, and let go of what was running before."""
        self.stopping = True
        for each in [each for each in self.running if each.was_running and not each.is_over]:
            each.close()
            self.running.remove(each)
        self._stop_some()

    def _missing(self) -> Iterator[str]:
        """What those that are not there yet wait for."""
        for each in self.running:
            if each.ended or each.is_settled:
                continue
            why = "has not started"
            if each.is_well:
                why = "has just started"
            elif each.begun and each.is_up:
                why = f"is {each.state.health} ({each.state.health_output or 'no output'})"
            elif each.begun:
                why = f"is {each.state.status} (exit code {each.state.exit_code})"
            yield f"{each.instance.title} {why}"

    def _take_news(self, interrupts: int, until: float | None = None) -> bool:
        """Wait for news, no longer than UNTIL by time.monotonic(), and take them, one of each container; whether there
        were any."""
        poll = select.poll()
        poll.register(interrupts, select.POLLIN)
        actions: dict[int, Callable[[], None]] = {}
        for each in self.running:
            if each.output:
                actions[each.output.fileno()] = lambda each=each: each.take_output(self.show)  # type: ignore[misc]
            if each.states:
                actions[each.states.fileno()] = each.take_state
        for descriptor in actions:
            poll.register(descriptor, select.POLLIN)
        limits = [each for each in (remaining(until), self.manager.milliseconds) if each is not None]
        ready = {descriptor for descriptor, _ in poll.poll(min((*limits, LONGEST_WAIT)) if limits else None)}
        ended = [each for each in self.running if each.is_over]
        for descriptor in ready & actions.keys():
            actions[descriptor]()
        if interrupts in ready:
            os.read(interrupts, 64)
            self._interrupted()
        for each in self.running:
            if each.is_over and each not in ended:
                self._has_ended(each)
        if self.stopping:
            self.manager.stopping()
            self._stop_some()
        return bool(ready)

    def _stop_pods(self) -> None:
        """A pod ends with the last container in it, where somebody waits for all to end."""
        for pod in self.running if not self.options.detach else ():
            if not pod.instance.is_pod or not pod.begun or pod.ended or pod.stopping:
                continue
            name = pod.instance.service
            members = [each for each in self.running if name in {on.name for on in each.instance.depends_on}]
            if members and all(each.is_over for each in members):
                pod.stop()

    def _tell_manager(self) -> None:
        """It is ready when all have started, and those with a healthcheck are healthy. One that is unhealthy does not
        count as alive: its watchdog is to restart it."""
        if not self._waiting() and all(each.ended or each.is_well for each in self.running):
            self.manager.ready(f"{len(self.running)} running")
        self.manager.live(is_well=all(each.state.health != "unhealthy" or each.ended for each in self.running))

    def _has_ended(self, each: RunningInstance) -> None:
        if each.instance.is_pod:
            return
        if not self.options.detach:
            self.say(f"{each.instance.title} exited with code {each.state.exit_code}")
        options = self.options
        aborts = options.abort_on_exit or (options.abort_on_failure and each.failed)
        if aborts and not self.stopping:
            self.first = each
            self.stopping = True

    def _interrupted(self) -> None:
        if self.options.detach:
            raise KeyboardInterrupt
        if self.interrupts > 1:
            self._kill_all()
        elif not self.stopping:
            self.say("stopping; press Ctrl-C again to kill" if os.isatty(2) else "stopping")
        self.stopping = True

    def _kill_all(self) -> None:
        for each in self.running:
            if each.begun and not each.ended:
                each.kill()

    def _waiting(self) -> list[RunningInstance]:
        """Those that are still to start."""
        return [] if self.stopping else [each for each in self.running if not each.begun]

    def _start_ready(self) -> None:
        while not self.stopping:
            ready = [each for each in self._waiting() if self._may_start(each.instance)]
            if not ready:
                return
            self.starter.start(ready, interrupts=self.interrupted)

    def _before_stop(self, container: Container) -> None:
        if container.config.spec.pre_stop:
            from mydocker.services.project.hooks import before_stop

            container = directory.read(container.directory)
            before_stop(container, store=self.store, say=self.say, interrupts=self.interrupted)

    def _may_start(self, instance: Instance) -> bool:
        """Raises LaunchError if it can never start."""
        return all(self._is_met(instance, dependency) for dependency in instance.depends_on)

    def _is_met(self, instance: Instance, dependency: Dependency) -> bool:
        others = [each for each in self.running if each.instance.service == dependency.name]
        for each in others:
            if why := _hopeless(each, dependency.condition):
                if not dependency.required:
                    continue
                raise LaunchError(f"{instance.service} cannot start: {each.instance.title}, which it needs, {why}")
            if not _reached(each, dependency.condition):
                return False
        return True

    def _is_there(self) -> bool:
        """Whether all have started, and with `wait` are healthy or have ended well. Raises LaunchError if one fails."""
        if self._waiting() or (self.options.needed_by and not self._may_start(self.options.needed_by)):
            return False
        if not self.options.wait:
            return True
        for each in self.running:
            if each.failed:
                raise LaunchError(f"{each.instance.title} exited with code {each.state.exit_code}")
            if each.state.health == "unhealthy":
                raise LaunchError(f"{each.instance.title} is unhealthy: {each.state.health_output or 'no output'}")
        return all(each.ended or each.is_settled for each in self.running)

    def _is_still_there(self, interrupts: int) -> bool:
        """The same with the news that have come meanwhile, of which nothing is known if the start of another one took
        its time."""
        while self._take_news(interrupts, time.monotonic()):
            pass
        return self._is_there()

    # ending

    def _stop_some(self) -> None:
        """Stop those that no other container needs that still runs."""
        alive = [each for each in self.running if each.begun and not each.ended]
        needed = {dependency.name for each in alive for dependency in each.instance.depends_on}
        for each in alive:
            if not each.stopping and each.instance.service not in needed:
                self._before_stop(each.container)
                each.stop(self.options.stop_timeout)

    def _stop_all(self, interrupts: int) -> None:
        self.stopping = True
        self._stop_some()
        while any(each.begun and not each.is_over for each in self.running):
            self._take_news(interrupts)

    def _remove(self) -> None:
        """Nothing is left of what this run has created."""
        for each in reversed(self.running):
            if each.is_new:
                with suppress(LaunchError):
                    directory.remove(self.store, directory.read(each.container.directory))

    def _status(self) -> int:
        if self.options.exit_code_from:
            service = self.options.exit_code_from
            own = [each for each in self.running if each.instance.service == service and each.begun]
            return own[0].state.exit_code if own else FAILED
        return self.first.state.exit_code if self.first else 0


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check_exit_code_from(options: UpOptions, instances: Sequence[Instance]) -> None:
    """Raise UsageError if the exit code is to be that of a service that does not run."""
    if options.exit_code_from and options.exit_code_from not in {each.service for each in instances}:
        raise UsageError(f"--exit-code-from: no such service: {options.exit_code_from}")


def remaining(until: float | None) -> float | None:
    """Milliseconds until that, by time.monotonic(), as poll(2) takes them."""
    return None if until is None else max(0.0, until - time.monotonic()) * 1000


def _reached(each: RunningInstance, condition: str) -> bool:
    if condition == COMPLETED:
        return each.ended and not each.failed
    if condition == STARTED:
        return each.begun
    return each.is_up and each.state.health == "healthy"


def _hopeless(each: RunningInstance, condition: str) -> str:
    """Why CONDITION can never be met any more, as the end of a sentence; empty if it can."""
    code = each.state.exit_code
    if condition == COMPLETED:
        return f"exited with code {code}" if each.failed else ""
    if condition == STARTED:
        return ""
    if each.ended:
        return f"exited with code {code} before it was healthy"
    if each.state.health == "unhealthy":
        return f"is unhealthy ({each.state.health_output or 'no output'})"
    return "has no healthcheck" if each.is_up and not each.state.health else ""


def _is_same(container: Container, instance: Instance) -> bool:
    """Whether CONTAINER is what INSTANCE says, and so need not be made anew."""
    config = container.config
    own = {name: config.labels.get(name) for name in (PROJECT, SERVICE, NUMBER)}
    if (config.host_commands, config.bound_to) != (instance.host_commands, instance.bound_to):
        return False
    return own == dict(instance.labels) and described(config.spec) == described(instance.spec)


def described(spec: ContainerSpec) -> str:
    """What SPEC is, as text, wherever it was written."""
    from mydocker.errors import Origin
    from mydocker.specs import as_json

    return as_json.dumps(spec.replace(origin=Origin()))
