"""Creating a container that stays, and starting it."""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import ExitStack

from mydocker import paths
from mydocker.errors import (
    REPORT_LIMIT,
    CommandNotExecutableError,
    CommandNotFoundError,
    ErrorReport,
    HostError,
    ImageNotFoundError,
    LaunchError,
    NetworkError,
    StoreError,
    UsageError,
)
from mydocker.image.resolve import resolve
from mydocker.image.store import catalog
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Digest, Platform
from mydocker.runtime.launch import get_image, new_id
from mydocker.services.containers import Container, ContainerConfig, directory
from mydocker.services.containers.keeper import READY, fork_keeper
from mydocker.services.listing import stored
from mydocker.services.owned.owner import open_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mydocker.image.model import StoredImage
    from mydocker.image.model.progress import Step
    from mydocker.image.store import Store
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.parts import HostCommands

_LONGEST = 3600.0  # seconds that a start may take: `pre_start` may be long
_ERRORS = (
    LaunchError,
    CommandNotExecutableError,
    CommandNotFoundError,
    HostError,
    StoreError,
    UsageError,
    NetworkError,
)


def create(
    spec: ContainerSpec,
    *,
    store: Store,
    environ: Mapping[str, str],
    labels: Mapping[str, str] = {},
    auto_remove: bool = False,
    owner: str = "",
    stdin_once: bool = False,
    host_commands: HostCommands | None = None,
    bound_to: tuple[str, ...] = (),
    progress: Callable[[Step], None] | None = None,
) -> tuple[Container, StoredImage | None]:
    """Put a container for SPEC on disk, pulling its image if necessary. With an OWNER (services/owned/owner.py), it
    ends with that, and is removed then. Raises MydockerError: UsageError if its name is in use."""
    if spec.volumes_from:
        from mydocker.services.volumes_from import with_volumes

        spec = with_volumes(spec, store)
    if spec.name:
        directory.refuse_held(store, spec.name)  # before an image is pulled
    spec = _with_absolute_path(spec)
    image = get_image(spec, store=store, environ=environ, progress=progress)
    config = ContainerConfig(
        id=new_id(),
        name=spec.name or "",
        created=time.time(),
        spec=spec,
        image=_called(spec),
        image_digest=str(image.manifest) if image else "",
        command=_command(spec, image),
        labels={**(image.config.labels if image else {}), **spec.labels, **labels},
        ports=tuple(sorted({*spec.expose, *(image.config.exposed_ports if image else ())})),
        auto_remove=auto_remove,
        owner=owner,
        stdin_once=stdin_once and spec.stdin_open,
        host_commands=host_commands,
        bound_to=bound_to,
    )
    return directory.create(store, config), image


def _with_absolute_path(spec: ContainerSpec) -> ContainerSpec:
    """SPEC, whose image, if it is a file that is mounted, is found from every directory: a later start may be in
    another one."""
    location = spec.image.location if spec.image else None
    if not spec.image or not location or not location.is_file_system:
        return spec
    return spec.replace(image=spec.image.replace(location=location.replace(path=paths.absolute(location.path))))


def _called(spec: ContainerSpec) -> str:
    """Its image as its creator has written it, which is what Docker shows."""
    return (spec.image.written or spec.image.familiar) if spec.image else str(spec.rootfs)


def _command(spec: ContainerSpec, image: StoredImage | None) -> tuple[str, ...]:
    config = image.config if image else None
    entrypoint = spec.entrypoint if spec.entrypoint is not None else config.entrypoint if config else ()
    command = spec.command
    if command is None:
        command = config.cmd if config and spec.entrypoint is None else ()
    return (*entrypoint, *command)


def image_of(container: Container, *, store: Store, environ: Mapping[str, str]) -> StoredImage | None:
    """The image that the container was made of, whatever its name means by now. Raises ImageNotFoundError."""
    config, spec = container.config, container.config.spec
    if not spec.image:
        return None
    manifest = Digest.parse(config.image_digest)
    image = None if spec.image.is_file_system else catalog.of_manifest(store, spec.image, manifest)
    if image:
        return image
    pinned, platform = spec.image.replace(digest=manifest), spec.platform or Platform.host()
    try:
        return resolve(pinned, platform=platform, policy="missing", store=store, environ=environ)
    except ImageNotFoundError as error:
        raise ImageNotFoundError(f"the image of container {config.title} is gone: {error.message}") from None


class Begun:
    """A start that is under way: `wait` returns once it is over. It is to be called, once."""

    def __init__(self, reader: int = -1, pid: int = -1, connection: socket.socket | None = None) -> None:
        """READER and PID are those of `fork_keeper`; -1 if the container ran before."""
        self.reader, self.pid, self.connection = reader, pid, connection
        self.held = ExitStack()  # the right to change the container

    def wait(self) -> socket.socket | None:
        """Return once the command has been executed: the connection that gets all output, if one was asked for. Raises
        MydockerError: why it did not start."""
        with self.held:
            if self.reader < 0:
                return None
            try:
                _await_start(self.reader)
            except BaseException:
                if self.connection:
                    self.connection.close()
                raise
            finally:
                os.close(self.reader)
                os.waitpid(self.pid, 0)
            return self.connection


def begin(
    container: Container,
    *,
    store: Store,
    environ: Mapping[str, str],
    image: StoredImage | None = None,
    attach: bool = False,
    first: Callable[[], None] | None = None,
) -> Begun:
    """Begin to start CONTAINER, unless it runs; nobody else starts or removes it before `wait` of what this returns has
    ended. IMAGE is its image, if the caller has it. With ATTACH, a connection gets all its output from the beginning
    (control.py). FIRST is called when nobody else can change the container any more, such as to end it.

    The caller has one thread. Raises MydockerError: why it did not start, with the exit code of `run`.
    """
    with ExitStack() as changing:
        changing.enter_context(directory.changing(container.directory))
        if first:
            first()
        begun = _begin(container, store, environ, image, attach=attach)
        begun.held = changing.pop_all()
    return begun


def _begin(
    container: Container, store: Store, environ: Mapping[str, str], image: StoredImage | None, *, attach: bool
) -> Begun:
    if stored.has_keeper(container.directory):
        return Begun()
    container = directory.read(container.directory)  # it may have been renamed
    image = image or image_of(container, store=store, environ=environ)
    watched = open_owner(container.config.owner) if container.config.owner else -1
    ours = theirs = None
    if attach:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, pid = fork_keeper(store, container, image, environ=environ, attached=theirs, owner=watched)
    if watched >= 0:
        os.close(watched)
    if theirs:
        theirs.close()
    return Begun(reader, pid, ours)


def _await_start(reader: int) -> None:
    raw = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    until = time.monotonic() + _LONGEST
    while raw != READY:
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise LaunchError("the container has not started within an hour")
        more = os.read(reader, REPORT_LIMIT)
        if not more:
            break
        raw += more
    if raw == READY:
        return
    if not raw:
        raise HostError("the keeper of the container was killed before the container started")
    raise ErrorReport.decode(raw).as_error(*_ERRORS)
