"""A Build becomes an image in the store: a builder of the host makes it and writes it out, and it is loaded.

The builder keeps its own layers, so that its cache works; everything else that is written on the way is removed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from mydocker import programs
from mydocker.errors import BuildError, Problem, SpecError, UsageError, printable
from mydocker.image.model.digest import digest_of
from mydocker.image.model.manifest import Manifest, parse_manifest
from mydocker.image.model.progress import silence
from mydocker.image.open_source import guess
from mydocker.image.platforms import own_platform
from mydocker.image.pull import pull
from mydocker.image.store import read
from mydocker.image.store.scratch import scratch
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.reference import LOCAL, Digest, Platform, Reference
from mydocker.runtime.build import builders, surroundings, words
from mydocker.runtime.build.leftovers import remove_working_containers
from mydocker.specs.model.build import STDIN, is_remote, name_in_builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mydocker.image.files.layouts import Layout
    from mydocker.image.model import StoredImage
    from mydocker.image.store import Store
    from mydocker.runtime.build.builders import Builder
    from mydocker.specs.model.build import Build

_LAST = 12  # lines of a builder's output that an error has room for
_DOCKERFILES = ("Dockerfile", "dockerfile", "Containerfile")
_TELLTALES = ("rror: ", "ERROR")  # how the line of a builder begins, or goes on, that says what has failed


def build_image(
    build: Build,
    name: Reference | None,
    *,
    store: Store,
    environ: Mapping[str, str],
    platform: Platform | None = None,
    builder: str = "",
    output: Callable[[str], None],
    offline: bool = False,
) -> StoredImage:
    """Build BUILD for PLATFORM, by default the builder's own, and load the image into STORE under NAME and the tags of
    BUILD; without any of these, under its digest.

    BUILDER is `buildah`, `podman` or `docker`; by default the first that the host has. OUTPUT gets each line that it
    writes, and warnings. OFFLINE: base images are not pulled. With the context `-`, the builder reads the caller's
    standard input.

    The paths of BUILD are absolute (specs/model/build.py), and its `origin` is the place that errors name.

    Raises HostError if there is no builder, SpecError or UsageError for what BUILD has wrong, BuildError if the build
    fails, and ImageError if its image cannot be loaded.
    """
    chosen = builders.find(environ, name=builder)
    _check(build)
    with _described(build):
        given = words.options(build, chosen, platform=platform, warn=lambda text: output(f"warning: {text}"))
    if offline:
        if chosen.is_buildkit:
            raise UsageError("--offline: docker buildx pulls base images that it lacks", hint="--builder buildah")
        given += ["--pull-never"]
    with _ended_in_order(), scratch(store) as place:
        chosen, environment = surroundings.settled(environ, chosen, scratch=place)
        environment |= words.variables(build)
        names = [*([name] if name else []), *(tag for tag in build.tags if tag != name)]
        image = _built(build, chosen, [*given, *_names(names)], place, environment, output, name)
        saving = (*chosen.storage, *chosen.save(image, f"{place}/image"))
        programs.run(chosen.name, *saving, environment=environment, path=environment["PATH"])
        return _loaded(f"{place}/image", names, platform, store=store, environ=environ)


def _names(names: list[Reference]) -> Iterator[str]:
    """The builder's own names are those of the image, so that other Dockerfiles can build on it."""
    for each in names:
        yield from ("--tag", name_in_builder(each))


def _check(build: Build) -> None:
    """Raise SpecError, or UsageError for a command line, if the context or its Dockerfile is not there."""
    if build.context == STDIN or is_remote(build.context):
        return
    problem = ""
    if not os.path.isdir(build.context):
        problem = (
            f"the build context {build.context} is not a directory"
            if os.path.lexists(build.context)
            else f"the build context {build.context} does not exist"
        )
    elif not build.dockerfile_inline:
        tried = (build.dockerfile,) if build.dockerfile else _DOCKERFILES
        if not any(os.path.isfile(os.path.join(build.context, each)) for each in tried):
            problem = f"there is no {tried[0]} in the build context {build.context}"
    if problem:
        raise _wrong(build, problem)


@contextmanager
def _described(build: Build) -> Iterator[None]:
    """Let an error in the values of BUILD have its place."""
    try:
        yield
    except UsageError as error:
        raise _wrong(build, error.message, error.hint) from None


def _wrong(build: Build, message: str, hint: str | None = None) -> SpecError | UsageError:
    if build.origin.line:
        return SpecError([Problem(origin=build.origin, message=message, hint=hint)])
    return UsageError(message, hint=hint)


def _built(
    build: Build,
    builder: Builder,
    given: list[str],
    place: str,
    environment: Mapping[str, str],
    output: Callable[[str], None],
    name: Reference | None,
) -> str:
    """The ID of the image that BUILDER has made. Raises BuildError."""
    last: list[str] = []

    def show(line: bytes) -> None:
        text = line.decode(errors="replace")
        last[:] = [*last[1 - _LAST :], text]
        output(text)

    mark = os.path.basename(place)
    marked = () if builder.is_buildkit else ("--secret", f"id={mark},src=/dev/null")
    files = ("--iidfile", f"{place}/id", *_dockerfile(build, place))
    elsewhere = is_remote(build.context) or build.context == STDIN
    try:
        status = programs.follow(
            builder.name,
            *(*builder.storage, *builder.build, *given, *files, *marked, "--", build.context),
            environment=environment,
            path=environment["PATH"],
            output=show,
            stdin=0 if build.context == STDIN else None,
            directory=place if elsewhere else build.context,
        )
    except BaseException:
        remove_working_containers(builder, mark, environment)
        raise
    if status:
        raise BuildError(_failure(build, builder, name, status, last))
    with open(f"{place}/id") as file:
        return file.read().strip()


def _failure(build: Build, builder: Builder, name: Reference | None, status: int, last: list[str]) -> str:
    """What an error says: the place in the file, how the builder has ended, and the line that says why."""
    where = f"{build.origin}: " if build.origin.line else ""
    what = f"building {name.familiar}" if name else "the build"
    how = f"signal {-status}" if status < 0 else f"exit code {status}"
    telling = [line for line in last if line.strip() and any(word in line for word in _TELLTALES)] or last[-1:]
    why = printable(telling[-1].strip()) if telling else "it printed nothing"
    return f"{where}{what}: {builder.name} failed with {how}: {why}"


def _dockerfile(build: Build, place: str) -> list[str]:
    path = build.dockerfile
    if build.dockerfile_inline:
        path = f"{place}/Dockerfile"
        with open(path, "w") as file:
            file.write(build.dockerfile_inline)
    elif path and not is_remote(build.context) and build.context != STDIN:
        path = os.path.join(build.context, path)
    return ["--file", path] if path else []


def _loaded(
    path: str, names: list[Reference], platform: Platform | None, *, store: Store, environ: Mapping[str, str]
) -> StoredImage:
    """The image that is at PATH, in STORE under NAMES."""
    with guess(path) as layout:
        source: Layout = layout.select(layout.names()[0])
        if not names:
            names = [Reference(registry=LOCAL, repository="build", tag=None, digest=digest_of(source.manifest("")[0]))]
        meant = platform or own_platform(source, names[0])
        for each in reversed(names):
            image = pull(each, platform=meant, store=store, environ=environ, progress=silence, source=source)
        return image


def id_of(image: StoredImage, store: Store) -> Digest:
    """The ID of IMAGE, which is in STORE: the digest of its config."""
    manifest = parse_manifest(read(store.blob_path(image.manifest)))
    assert isinstance(manifest, Manifest)
    return manifest.config.digest


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the builder and remove what it has written, as Ctrl-C does; then they end this
    process."""
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            os.kill(os.getpid(), received[0])
