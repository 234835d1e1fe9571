"""The builders of a host: which there are, what each is called with, and how it hands out an image.

Their order is that of preference: buildah and Podman need no daemon, Docker is asked last.
"""

from __future__ import annotations

from mydocker import programs
from mydocker.errors import HostError, UsageError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = ("buildah", "podman", "docker")


class Builder(Record):
    """The program `name`: `build` are the words that come before the options of a build, `save` those that write the
    image ID to a path, `remove` those that remove a working container of a build that was interrupted."""

    name: str
    build: tuple[str, ...]
    save: Callable[[str, str], tuple[str, ...]]
    info: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()  # options of the program itself, which come before these words
    layered: tuple[str, ...] = ()  # the option to keep the layers of each instruction, where that is not the default

    @property
    def is_buildkit(self) -> bool:
        """Whether it takes the options of `docker buildx build`, and not those of buildah."""
        return self.name == "docker"


# `--format docker`: images of the OCI format have no healthcheck, no ONBUILD and no SHELL (buildah-build(1))
_BUILDERS = {
    "buildah": Builder(
        name="buildah",
        build=("build", "--force-rm", "--format", "docker"),
        layered=("--layers",),
        save=lambda image, path: ("push", "--quiet", "--disable-compression", image, f"dir:{path}"),
        info=("info",),
        remove=("rm",),
    ),
    "podman": Builder(
        name="podman",
        build=("build", "--force-rm", "--format", "docker"),
        save=lambda image, path: ("save", "--quiet", "--format", "docker-dir", "--output", path, image),
        info=("info", "--format", "json"),
        remove=("rm", "--force"),
    ),
    "docker": Builder(
        name="docker",
        build=("buildx", "build", "--load", "--progress", "plain"),
        save=lambda image, path: ("image", "save", "--output", path, image),
    ),
}


def find(environ: Mapping[str, str], *, name: str = "") -> Builder:
    """The builder called NAME, or the first that is in the caller's PATH. Raises HostError if there is none, naming
    the package, and UsageError if no builder has that name."""
    if name and name not in NAMES:
        raise UsageError(f"builder {name!r}: expected {', '.join(NAMES)}")
    path = environ.get("PATH") or programs.PATH
    failures = []
    for each in (name,) if name else NAMES:
        try:
            programs.find(each, path=path)
            if each == "docker":
                programs.run(each, "buildx", "version", environment=environ, path=path)
        except HostError as error:
            failures.append(error.message)
            continue
        return _BUILDERS[each]
    if name:
        raise HostError(f"cannot build an image: {failures[0]}", hint=_hint(name))
    raise HostError("cannot build an image: none of buildah, podman and docker buildx is installed", hint=_hint())


def _hint(name: str = "buildah") -> str:
    return f"install the package {'docker-buildx' if name == 'docker' else name}"
