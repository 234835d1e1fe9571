"""Build: how the image of a container is built, as the key `build` of a Compose file says; the work is a builder's.

Where a value comes from is settled: paths are absolute, variables replaced, arguments without a value looked up.
"""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.reference import Platform

STDIN = "-"  # a context that the builder reads from standard input: an archive, or a Dockerfile alone
SERVICE = "service:"  # before the name of a service whose image is an additional context
_REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")
_SCHEME = "://"


class BuildSecret(Record):
    """A file that instructions of the build may read under the name `id`: `file`, an absolute path, or the value of a
    variable, which is not shown."""

    id: str
    file: str = ""
    variable: str = ""
    value: str = ""


class Build(Record):
    """What to build: a Dockerfile in a context, with what belongs to it. Empty values, and None, are unset.

    `context` is an absolute directory, an address (`is_remote`), or STDIN. `dockerfile` is relative to the context
    unless it is absolute. `origin` is where `build` is written, for messages.
    """

    context: str
    dockerfile: str = ""
    dockerfile_inline: str = ""
    args: Mapping[str, str] = {}
    target: str = ""
    labels: Mapping[str, str] = {}
    tags: tuple[Reference, ...] = ()  # names of the image besides the container's `image`
    platforms: tuple[Platform, ...] = ()
    no_cache: bool | None = None
    pull: bool | None = None  # whether base images are pulled although they are there
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    additional_contexts: Mapping[str, str] = {}  # name -> absolute directory, address, or service:NAME
    secrets: tuple[BuildSecret, ...] = ()
    ssh: Mapping[str, str] = {}  # ID -> path of a key or a socket; empty: that of the agent
    network: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    shm_size: int | None = None  # bytes
    ulimits: Mapping[str, tuple[int, int]] = {}
    privileged: bool | None = None
    entitlements: tuple[str, ...] = ()
    isolation: str = ""
    provenance: str = ""
    sbom: str = ""
    origin: Origin = Origin()

    def over(self, other: Build) -> Build:
        """This one, over OTHER, which it extends: mappings and lists are joined, other values replaced."""
        found: dict[str, Any] = {}
        for name, own in self.as_dict().items():
            under = getattr(other, name)
            if isinstance(own, dict):
                found[name] = {**under, **own}
            elif isinstance(own, tuple):
                found[name] = (*(each for each in under if each not in own), *own)
            else:
                found[name] = under if own in ("", None) else own
        if self.dockerfile or self.dockerfile_inline:
            found |= {"dockerfile": self.dockerfile, "dockerfile_inline": self.dockerfile_inline}
        return Build(**found)


def is_remote(context: str) -> bool:
    """Whether a builder gets CONTEXT from elsewhere: a repository or an archive."""
    return context.startswith(_REMOTE) or context.endswith(".git")


def default_name(project: str, service: str) -> Reference:
    """The name of the image of a service that sets none: PROJECT-SERVICE, as for Compose. Raises UsageError."""
    return Reference.parse(f"{project}-{service}".lower())


def name_in_builder(image: Reference) -> str:
    """IMAGE by the name that its builder has it under, so that other Dockerfiles find it by the name in the file."""
    return f"{image.short_name}:{image.tag}" if image.short_name and image.tag else str(image)


def is_path(context: str) -> bool:
    """Whether an additional context is a directory of this machine."""
    return _SCHEME not in context and not context.startswith(SERVICE) and not is_remote(context)


def written(build: Build) -> dict[str, Any]:
    """BUILD as the mapping that a spec file has."""
    own = {name: value for name, value in build.as_dict().items() if value not in ("", None, (), {})}
    own.pop("origin", None)
    for name, write in _WRITERS.items():
        if name in own:
            own[name] = write(own[name])
    return {name: [*value] if isinstance(value, tuple) else value for name, value in own.items()}


def _written_secret(secret: BuildSecret) -> dict[str, str]:
    own = {"file": secret.file} if secret.file else {"environment": secret.variable}
    return {"source": secret.id, **own}


_WRITERS: dict[str, Any] = {
    "tags": lambda tags: [tag.familiar for tag in tags],
    "platforms": lambda platforms: [str(each) for each in platforms],
    "secrets": lambda secrets: [_written_secret(each) for each in secrets],
    "extra_hosts": lambda hosts: [f"{name}={address}" for name, address in hosts],
    "ulimits": lambda limits: {name: {"soft": soft, "hard": hard} for name, (soft, hard) in limits.items()},
    "args": dict,
    "labels": dict,
}
