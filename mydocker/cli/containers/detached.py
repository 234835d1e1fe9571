"""`mydocker run -d` and `mydocker create`: a container in the background from a command line."""

from __future__ import annotations

import os

from mydocker.cli.common import warnings_alone
from mydocker.errors import LaunchError, MydockerError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store
from mydocker.services.containers import directory, start
from mydocker.services.listing import stored
from mydocker.specs.argv import parse_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.image.model import StoredImage
    from mydocker.image.store import Store
    from mydocker.services.containers import Container
    from mydocker.specs.argv import RunRequest


def run_detached(request: RunRequest) -> int:
    """Start the container of REQUEST in the background, and print its ID once its command has been executed; 0."""
    store, container, image = _create(request)
    try:
        start.begin(container, store=store, environ=os.environ, image=image).wait()
    except MydockerError:
        if request.remove and not stored.has_keeper(container.directory) and os.path.exists(container.directory):
            directory.remove(store, container)
        raise
    print(container.config.id)
    return 0


def create_only(argv: list[str], *, cwd: str, warn: Callable[[str], None]) -> int:
    """Create the container that ARGV describes, as options of `run` in directory CWD, and print its ID; 0."""
    request = parse_run(argv, environ=os.environ, cwd=cwd)
    for doubt in request.doubts:
        warn(f"warning: {doubt}")
    _, container, _ = _create(request, stdin_once=True)
    print(container.config.id)
    return 0


def _create(request: RunRequest, *, stdin_once: bool = False) -> tuple[Store, Container, StoredImage | None]:
    if request.keep or request.result is not None:
        option = "--keep" if request.keep else "--result"
        raise UsageError(f"{option} is for a run in the foreground", hint="'mydocker inspect' has the result")
    if request.spec.stdin is not None:
        raise LaunchError("stdin is for a run in the foreground")
    if request.cidfile:
        from mydocker.cli.common.id_file import refuse_existing

        refuse_existing(request.cidfile)
    store = open_store(os.environ)
    container, image = start.create(
        request.spec,
        store=store,
        environ=os.environ,
        auto_remove=request.remove,
        stdin_once=stdin_once,
        progress=warnings_alone,
    )
    if request.cidfile:
        from mydocker.cli.common.id_file import write_id

        write_id(request.cidfile, container.config.id)
    return store, container, image
