"""Starting containers of a project: as many at a time as there are processors, and at least two, as a start waits."""

from __future__ import annotations

import os
from collections import deque
from contextlib import contextmanager, suppress

from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import directory, start
from mydocker.services.listing import stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mydocker.image.store import Store
    from mydocker.services.project import Instance
    from mydocker.services.project.running import RunningInstance, Show
    from mydocker.specs.model import ContainerSpec


class Starter:
    """Starts containers of STORE; with FOLLOWS, what they write comes here. SHOW gets the lines of their `post_start`
    commands."""

    def __init__(self, *, store: Store, environ: Mapping[str, str], follows: bool, show: Show) -> None:
        self.store, self.environ, self.follows, self.show = store, environ, follows, show

    def start(self, ready: Sequence[RunningInstance], *, interrupts: int) -> None:
        """Start READY, none of which needs another one, in their order; return once all their commands have been
        executed. INTERRUPTS becomes readable when a `post_start` command is to end.

        Raises MydockerError for the first that cannot start: those that were begun before have started then.
        """
        under_way: deque[_Starting] = deque()

        def finish(but: int = 0) -> None:
            while len(under_way) > but:
                self._finish(under_way.popleft(), interrupts)

        try:
            for each in ready:
                spec = each.container.config.spec
                finish(0 if _may_name_others(spec) else _AT_ONCE - 1)
                under_way.append(self._begin(each))
                if spec.post_start:  # these commands come before the next container
                    finish()
            finish()
        finally:
            for starting in under_way:  # one before has failed
                with suppress(MydockerError):
                    self._finish(starting, interrupts)

    def _begin(self, each: RunningInstance) -> _Starting:
        was_there = stored.has_keeper(each.container.directory)
        with named(each.instance):
            attach = self.follows and each.instance.attach
            begun = start.begin(each.container, store=self.store, environ=self.environ, attach=attach)
        return _Starting(each, begun, was_there=was_there)

    def _finish(self, starting: _Starting, interrupts: int) -> None:
        each = starting.instance
        with named(each.instance):
            connection = starting.begun.wait()
        each.was_running = starting.was_there
        each.follow(connection)
        if connection is None and self.follows and each.instance.attach and not each.ended:
            each.attach()
        if each.container.config.spec.post_start and not each.was_running:
            from mydocker.services.project.hooks import run_hooks

            run_hooks(
                directory.read(each.container.directory),
                "post_start",
                store=self.store,
                show=lambda line: self.show(each.instance, False, line),
                interrupts=interrupts,
            )


_AT_ONCE = max(2, len(os.sched_getaffinity(0)))


def _may_name_others(spec: ContainerSpec) -> bool:
    """Whether it has something of another container. That may be one that is about to start: files can name one without
    a dependency on its service."""
    return spec.network_mode.startswith("container:") or bool(spec.joined_namespaces or spec.volumes_from)


class _Starting:
    """The start of INSTANCE, which has BEGUN; WAS_THERE: it ran before."""

    def __init__(self, instance: RunningInstance, begun: start.Begun, *, was_there: bool) -> None:
        self.instance, self.begun, self.was_there = instance, begun, was_there


@contextmanager
def named(instance: Instance) -> Iterator[None]:
    """What is wrong within the `with` is about INSTANCE."""
    try:
        yield
    except MydockerError as error:
        error.message = f"{instance.title}: {error.message}"
        raise
