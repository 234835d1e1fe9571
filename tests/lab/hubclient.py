"""How the tests reach a fake Docker Hub: a Registry whose files lead `docker.io` to it."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from lab import hub as lab
from lab.hub import Hub
from mydocker.image.model.manifest import Descriptor
from mydocker.image.registry.client import Registry
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.reference import Digest, Reference

DATA = bytes(range(256)) * 4000
DOCUMENT = {"schemaVersion": 2, "mediaType": lab.MANIFEST, "config": {}, "layers": []}
PATIENT = Timeouts(connect=60, silence=60, grace=60, rate=1, attempts=3, first_wait=0.01, longest_wait=0.02)
IMPATIENT = PATIENT.replace(connect=2, silence=1, grace=0.4, rate=1 << 30)  # with servers that hold us

Open = Callable[..., Registry]


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub that has DOCUMENT as `latest` and DATA as a blob."""
    with lab.serve() as running:
        running.tag(DOCUMENT)
        running.add(DATA)
        yield running


@contextmanager
def opener(hub: Hub, directory: pathlib.Path, *, timeouts: Timeouts = PATIENT) -> Iterator[Open]:
    """Opens an image of docker.io with a registries.conf in DIRECTORY that has MIRRORS, and the hub for LOCATION."""
    with ExitStack() as stack:

        def open_registry(
            name: str = "alpine",
            *,
            mirrors: tuple[str, ...] = (),
            location: str | None = None,
            config: object = None,
            warn: Callable[[str], None] = lambda words: None,
            **environ: str,
        ) -> Registry:
            found = environ_of(hub, directory, mirrors=mirrors, location=location, config=config)
            opened = Registry(Reference.parse(name), environ={**found, **environ}, timeouts=timeouts, warn=warn)
            return stack.enter_context(opened)

        yield open_registry


def environ_of(
    hub: Hub,
    directory: pathlib.Path,
    *,
    mirrors: tuple[str, ...] = (),
    location: str | None = None,
    config: object = None,
) -> dict[str, str]:
    """What leads `docker.io` to MIRRORS and then to the hub, or to LOCATION; its files lie in DIRECTORY."""
    tables = "".join(f'[[registry.mirror]]\nlocation="{mirror}"\n' for mirror in mirrors)
    conf = f'[[registry]]\nprefix="docker.io"\nlocation="{location or hub.address}"\n{tables}'
    (directory / "registries.conf").write_text(conf)
    (directory / "config.json").write_text(json.dumps(config or {}))
    return {"CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"), "DOCKER_CONFIG": str(directory)}


def descriptor(data: bytes = DATA, *, size: int | None = None) -> Descriptor:
    digest = Digest(hex=hashlib.sha256(data).hexdigest())
    return Descriptor(media_type=lab.LAYER, digest=digest, size=len(data) if size is None else size)


def fetch(registry: Registry, *, offset: int = 0, wanted: Descriptor | None = None) -> tuple[int, bytes]:
    """Where the stream of the blob began, and its bytes."""
    with registry.open_blob(wanted or descriptor(), offset=offset) as stream:
        return stream.offset, b"".join(iter(lambda: stream.read(100_000), b""))


def login(hub: Hub, user: str, password: str) -> dict[str, object]:
    """A config.json with USER's password for the hub."""
    return {"auths": {hub.address: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}
