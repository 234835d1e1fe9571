"""What a keeper is asked over its socket, a function each; the words are those of control.py."""

from __future__ import annotations

from mydocker.errors import LaunchError
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from mydocker.services.containers import ContainerConfig, ContainerState
    from mydocker.services.containers.connections import Connections

    class Keeper(Protocol):
        """What of a keeper the requests need."""

        state: ContainerState
        config: ContainerConfig
        connections: Connections

        def reply(self, number: int, **words: Any) -> None:
            """Answer the request that came over connection NUMBER."""

        def stop(self, number: int | None, grace: float | None, *, keep: bool) -> None:
            """End the container with signal NUMBER, and do not start it again; KEEP one that is to be removed."""

        def set_paused(self, paused: bool) -> None:
            """The container has been paused, or goes on."""

        def kill(self, number: int) -> None:
            """Send the container signal NUMBER."""


def answer(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    """Answer the request WORDS, which has come over connection NUMBER. Raises LaunchError if it is refused."""
    action = _ACTIONS.get(words["do"])
    if action is None:
        raise LaunchError(f"the keeper of the container does not know {words['do']!r}", hint="restart the container")
    action(keeper, number, words)


def _status(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    keeper.reply(number, **keeper.state.as_dict())


def _stop(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    """Answered at once, and at the end of the container."""
    grace, signal_number = words.get("timeout"), words.get("signal")
    seconds = float(grace) if grace is not None else None
    keeper.stop(_signal(signal_number) if signal_number else None, seconds, keep=bool(words.get("keep")))
    _wait(keeper, number, words)


def _wait(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    """Answered at once, and at the end of the container."""
    keeper.reply(number)
    keeper.connections.waiters.append(number)


def _kill(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    keeper.kill(_signal(words.get("signal", signal.SIGKILL)))
    keeper.reply(number)


def _signal(number: Any) -> int:
    """Raises ValueError if NUMBER is none of a signal."""
    if int(number) not in signal.valid_signals():
        raise ValueError(number)
    return int(number)


def _paused(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    """The container has been paused, or unpaused, by the sender."""
    keeper.set_paused(bool(words.get("paused")))
    keeper.reply(number)


def _events(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    keeper.reply(number)
    keeper.connections.followers.append(number)
    keeper.reply(number, **keeper.state.as_dict())


def _attach(keeper: Keeper, number: int, words: Mapping[str, Any]) -> None:
    tty = keeper.config.spec.tty
    keeper.reply(number, tty=tty, stdin=keeper.config.spec.stdin_open)
    keeper.connections.attach(number)


_ACTIONS: dict[str, Callable[[Keeper, int, Mapping[str, Any]], None]] = {
    "status": _status,
    "stop": _stop,
    "kill": _kill,
    "wait": _wait,
    "paused": _paused,
    "events": _events,
    "attach": _attach,
}
