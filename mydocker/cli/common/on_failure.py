"""--on-failure: what remains of a container after it failed: what it wrote, or a shell inside it."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common import complain, say
from mydocker.errors import MydockerError, UsageError
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.services.case import JudgedCase
    from mydocker.specs.model import ContainerSpec

KEEP, SHELL = CHOICES = ("keep", "shell")
PROGRAM = "/bin/sh"


def check(choice: str | None) -> None:
    """Raise UsageError if CHOICE is a shell and there is no terminal, and StoreError if nothing could be kept."""
    if choice == SHELL and not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise UsageError(
            "--on-failure shell needs a terminal", hint="--on-failure keep needs none, and see mydocker diff"
        )
    if choice is not None:
        from mydocker.runtime.inspect.kept_container import check_room

        check_room(Store.open(os.environ).root)


def open_shell(result: JudgedCase) -> None:
    """If RESULT has left something, run a shell there, as the same user with the same isolation, and then remove it.

    Where there is no shell, as in an image without one, what was left stays.
    """
    if not result.finding.kept:
        return
    from mydocker.runtime.inspect import kept_container
    from mydocker.runtime.launch import prepare, run

    root = Store.open(os.environ).root
    try:
        left = kept_container.find(root, result.finding.kept)
        say(f"mydocker: a shell in {result.case.title} as it was left; exit continues the batch")
        run(kept_container.on_top(prepare(_shell(result.case.spec.container), environ=os.environ), left))
    except MydockerError as error:
        complain(error)
        say(f"hint: mydocker diff {result.finding.kept} lists what it changed")
        return
    kept_container.remove(left.path)


def _shell(spec: ContainerSpec) -> ContainerSpec:
    """SPEC, with an interactive shell as its command, and without a time limit."""
    shell = spec.replace(entrypoint=(), command=(PROGRAM,), stdin=None, tty=True, stdin_open=True)
    return shell.replace(timeout=None, pull_policy="missing")
