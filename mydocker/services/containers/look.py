"""Looking into a running container, whether a command runs it in the foreground or a keeper in the background."""

from __future__ import annotations

from contextlib import contextmanager, suppress

from mydocker.errors import LaunchError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup import freezer
from mydocker.runtime.enter.container import NotRunningError
from mydocker.runtime.inspect.processes import all_pids
from mydocker.services.containers import Container, find
from mydocker.services.listing.stored import Foreground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mydocker.image.store import Store
    from mydocker.runtime.inspect.container_view import ContainerView


def find_any(store: Store, text: str) -> Container | Foreground:
    """The container that TEXT means. NotRunningError if there is none, UsageError if there are several."""
    try:
        return find.find(store, text)
    except UsageError:
        raise
    except LaunchError as error:
        raise NotRunningError(error.message, hint=error.hint) from None


def run_directory(store: Store, found: Container | Foreground) -> str:
    """The run directory of FOUND while it runs; NotRunningError if it does not."""
    if isinstance(found, Foreground):
        return found.run_dir
    if not found.is_alive:
        raise NotRunningError(
            f"container {found.config.title} is not running", hint=f"'mydocker start {found.config.title}' starts it"
        )
    return f"{store.containers}/{found.config.short_id}"


def unpaused(store: Store, text: str) -> str:
    """The run directory of the container that TEXT means, which runs and is not paused. Raises NotRunningError."""
    found = find_any(store, text)
    run_dir = run_directory(store, found)
    if is_paused(store, found):
        raise NotRunningError(f"container {text} is paused", hint=f"'mydocker unpause {text}' lets it go on")
    return run_dir


@contextmanager
def running(store: Store, text: str, *, paused: bool = True) -> Iterator[ContainerView]:
    """A view of the running container that TEXT means, unless PAUSED is false and it is. Raises NotRunningError, and
    the errors of `open_running`."""
    run_dir = run_directory(store, find_any(store, text)) if paused else unpaused(store, text)
    with _opened(run_dir) as view:
        yield view


def _opened(run_dir: str) -> AbstractContextManager[ContainerView]:
    from mydocker.runtime.inspect.running_container import open_running  # it reads plans, all of whose classes it needs

    return open_running(run_dir)


def pause(store: Store, text: str) -> None:
    """Pause the running container that TEXT means. Raises NotRunningError, LaunchError if it is paused, HostError."""
    found = find_any(store, text)
    with _opened(run_directory(store, found)) as view:
        freezer.freeze(view.plan, lambda: all_pids(view.process, view.namespaces))
    _tell_paused(found, paused=True)


def unpause(store: Store, text: str) -> None:
    """Let the paused container that TEXT means go on. Raises NotRunningError, and LaunchError if it is not paused."""
    found = find_any(store, text)
    if not freezer.thaw(run_directory(store, found)):
        raise LaunchError(f"container {text} is not paused")
    _tell_paused(found, paused=False)


def is_paused(store: Store, found: Container | Foreground) -> bool:
    """Whether FOUND, which runs, is paused."""
    return freezer.is_frozen(run_directory(store, found))


def _tell_paused(found: Container | Foreground, *, paused: bool) -> None:
    """Let the keeper of FOUND, if it has one, know that it has been paused, or goes on."""
    if isinstance(found, Container):
        from mydocker.services.containers import control

        with suppress(LaunchError):  # it has ended
            control.ask(found.directory, "paused", paused=paused)
