"""The options that a builder gets for a Build: those of `buildah build` and `podman build`, or of `docker buildx`.

What changes the image and cannot be handed on is an error; a cache or an attestation that cannot is a warning: the
image is the same without it (compose-spec, "cache_from": "Unsupported caches must be ignored").
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.build import SERVICE, is_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.reference import Platform
    from mydocker.runtime.build.builders import Builder
    from mydocker.specs.model.build import Build, BuildSecret

_ISOLATIONS = ("oci", "rootless", "chroot")  # of buildah
_NETWORKS = ("host", "none", "private")
_OFF = ("", "false")


def options(build: Build, builder: Builder, *, platform: Platform | None, warn: Callable[[str], None]) -> list[str]:
    """The options for BUILD, but for its Dockerfile, its names and its context. WARN is called with what is left out.

    Raises UsageError for what BUILDER has no option for and the image depends on.
    """
    words = [*_common(build, builder)]
    if platform:
        words += ["--platform", str(platform)]
    words += _buildkit(build) if builder.is_buildkit else _buildah(build, builder, warn)
    return words


def variables(build: Build) -> dict[str, str]:
    """The variables of the environment from which the builder reads secrets."""
    return {_variable(number): each.value for number, each in enumerate(build.secrets) if each.variable}


def _variable(number: int) -> str:
    return f"MYDOCKER_SECRET_{number}"


def _common(build: Build, builder: Builder) -> Iterator[str]:
    yield from _each("--build-arg", (f"{name}={value}" for name, value in build.args.items()))
    yield from _each("--label", (f"{name}={value}" for name, value in build.labels.items()))
    yield from ("--target", build.target) if build.target else ()
    yield from ("--no-cache",) if build.no_cache else builder.layered
    yield from _each("--secret", (_secret(number, each) for number, each in enumerate(build.secrets)))
    yield from _each("--ssh", (f"{name}={path}" if path else name for name, path in build.ssh.items()))
    yield from _each("--add-host", (f"{name}:{address}" for name, address in build.extra_hosts))
    yield from ("--shm-size", f"{build.shm_size}b") if build.shm_size else ()
    limits = (f"{name}={soft}:{hard}" for name, (soft, hard) in build.ulimits.items())
    yield from _each("--ulimit", limits)
    for name, place in build.additional_contexts.items():
        if place.startswith(SERVICE):
            raise UsageError(f"additional context {name}: {place}: there is no such service in this file")
        yield from ("--build-context", f"{name}={place}")


def _secret(number: int, secret: BuildSecret) -> str:
    place = f"env={_variable(number)}" if secret.variable else f"src={secret.file}"
    return f"id={secret.id},{place}"


def _each(flag: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (flag, value)


def _buildkit(build: Build) -> Iterator[str]:
    yield from ("--pull",) if build.pull else ()
    yield from ("--network", build.network) if build.network else ()
    yield from _each("--cache-from", build.cache_from)
    yield from _each("--cache-to", build.cache_to)
    granted = [*build.entitlements, *(["security.insecure"] if build.privileged else [])]
    yield from _each("--allow", dict.fromkeys(granted))
    yield from ("--provenance", build.provenance) if build.provenance else ()
    yield from ("--sbom", build.sbom) if build.sbom else ()
    if build.isolation not in ("", "default"):
        raise UsageError(f"isolation {build.isolation!r} cannot be handed on to docker buildx")


def _buildah(build: Build, builder: Builder, warn: Callable[[str], None]) -> Iterator[str]:
    _refuse_others(build, builder)
    yield from ("--pull-always",) if build.pull else ()
    yield from _one_of("--network", "network", build.network, _NETWORKS, builder)
    yield from _one_of("--isolation", "isolation", build.isolation, _ISOLATIONS, builder)
    yield from _caches("--cache-from", "cache_from", build.cache_from, builder, warn)
    yield from _caches("--cache-to", "cache_to", build.cache_to, builder, warn)
    for key, value in (("provenance", build.provenance), ("sbom", build.sbom)):
        if value not in _OFF:
            warn(f"{key}: {builder.name} writes none")


def _one_of(flag: str, key: str, value: str, known: Iterable[str], builder: Builder) -> Iterator[str]:
    if value in ("", "default"):
        return
    if value not in known:
        raise _not_for(builder, f"{key} {value!r}", f"expected {', '.join(known)}")
    yield from (flag, value)


def _refuse_others(build: Build, builder: Builder) -> None:
    """Raise UsageError for what only BuildKit has."""
    if build.privileged:
        raise _not_for(builder, "privileged")
    if build.entitlements:
        raise _not_for(builder, "entitlements")
    for name, address in build.extra_hosts:
        if address == "host-gateway":
            raise _not_for(builder, f"extra_hosts {name}: host-gateway", "write the address of the host")
    for name, place in build.additional_contexts.items():
        if not is_path(place) and place.startswith("oci-layout:"):
            raise _not_for(builder, f"additional context {name}: {place}")


def _caches(flag: str, key: str, caches: Iterable[str], builder: Builder, warn: Callable[[str], None]) -> Iterator[str]:
    """Each cache in a repository of its own, which is what buildah has; a cache within an image is BuildKit's."""
    for cache in caches:
        members = dict(part.partition("=")[::2] for part in cache.split(",")) if "=" in cache else {"ref": cache}
        place = members.get("ref", "")
        if members.get("type", "registry") == "registry" and place and ":" not in place.rpartition("/")[2]:
            yield from (flag, place)
        else:
            warn(f"{key} {cache}: {builder.name} has caches in repositories alone, without a tag")


def _not_for(builder: Builder, what: str, hint: str | None = None) -> UsageError:
    return UsageError(f"{what} cannot be handed on to {builder.name}", hint=hint or "--builder docker has it")
