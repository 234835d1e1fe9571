"""A project that is up while a batch runs: its cases are in the networks of its services, and may depend on them."""

from __future__ import annotations

import time

from mydocker.errors import StoreError, UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.containers import CREATED, EXITED, RUNNING, SERVICE, directory
from mydocker.services.health import HEALTHY, UNHEALTHY
from mydocker.services.project.down import containers_of
from mydocker.specs.model import DEFAULT_MODE
from mydocker.specs.model.parts import COMPLETED, STARTED, NetworkAttachment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mydocker.image.store import Store
    from mydocker.services.case import Case
    from mydocker.services.containers import Container, ContainerState
    from mydocker.specs.model.parts import Dependency

_PATIENCE = 300.0  # seconds until a service is there that is on its way, unless the batch has less
_PAUSE = 0.1


class RunningProject(Record):
    """The project called `name`: `containers` by service, and the `networks` that they are in."""

    name: str
    containers: Mapping[str, tuple[Container, ...]]
    networks: tuple[str, ...]

    def join(self, case: Case) -> Case:
        """CASE in the networks of the project, unless it has a network of its own; `again` has the project, too."""
        case = case.replace(options=(*case.options, "--project", self.name))
        container = case.spec.container
        if container.network_mode != DEFAULT_MODE or container.networks or not self.networks:
            return case
        attached = tuple(NetworkAttachment(name=name) for name in self.networks)
        return case.replace(spec=case.spec.replace(container=container.replace(networks=attached)))

    def wait_for(self, cases: Sequence[Case], limit: float | None) -> dict[int, str]:
        """Wait until the services are there that CASES depend on, for LIMIT seconds, or five minutes. Why a case cannot
        run, by its number."""
        until = time.monotonic() + (_PATIENCE if limit is None else limit)
        found: dict[int, str] = {}
        for case in cases:
            for dependency in case.spec.on_project if not case.spec.skip else ():
                why = self._missing(dependency, until)
                if why and dependency.required:
                    found.setdefault(case.number, f"not run: it needs {dependency.name} of project {self.name}, {why}")
        return found

    def _missing(self, dependency: Dependency, until: float) -> str:
        """Why the service of DEPENDENCY is not there; empty if it is."""
        while True:
            states = [_state_of(each) for each in self.containers[dependency.name]]
            missing = [(each, why) for each in states if (why := _why_not(each, dependency.condition))]
            if not missing:
                return ""
            if time.monotonic() >= until or any(_is_hopeless(each, dependency.condition) for each, _ in missing):
                return missing[0][1]
            time.sleep(_PAUSE)


def find_running(store: Store, name: str) -> RunningProject:
    """The project NAME of STORE. Raises UsageError if nothing of it runs."""
    containers = containers_of(store, name)
    running = [each for each in containers if each.is_alive]
    if not running:
        raise UsageError(f"project {name!r} is not up", hint="start it with 'mydocker up -d', and see 'mydocker ps'")
    networks = {network: None for each in running for network in each.state.addresses}
    services = dict.fromkeys(each.config.labels.get(SERVICE, "") for each in containers)
    default = f"{name}_default"
    return RunningProject(
        name=name,
        containers={
            service: tuple(each for each in containers if each.config.labels.get(SERVICE) == service)
            for service in services
        },
        networks=tuple(sorted(networks, key=lambda each: (each != default, each))),
    )


def _state_of(container: Container) -> ContainerState | None:
    """Its state now; None if it has been removed."""
    try:
        return directory.read(container.directory).state
    except StoreError:
        return None


def _is_hopeless(state: ContainerState | None, condition: str) -> bool:
    """Whether CONDITION, which a container does not meet, will not come by itself."""
    if state is None or state.status in (CREATED, EXITED):
        return True
    if condition == COMPLETED:
        return False
    return state.health == UNHEALTHY or (state.status == RUNNING and not state.health)  # it has no healthcheck


def _why_not(state: ContainerState | None, condition: str) -> str:
    """Why CONDITION is not met, as the end of a sentence; empty if it is."""
    if state is None:
        return "which is gone"
    if state.status == CREATED:
        return "which has not started"
    if condition == COMPLETED:
        ended = state.status == EXITED
        if ended and state.exit_code == 0:
            return ""
        return f"which ended with exit code {state.exit_code}" if ended else "which has not ended"
    if state.status == EXITED:
        return f"which ended with exit code {state.exit_code}"
    if condition == STARTED or state.health == HEALTHY:
        return ""
    if state.status == RUNNING and not state.health:
        return "which has no healthcheck"
    return f"which is {state.health or state.status} ({state.health_output or 'no output'})"
