"""A blob's bytes as they arrive, resumed where they broke off."""

from __future__ import annotations

from collections.abc import Iterator

from mydocker.errors import RegistryError
from mydocker.image.manifest import Descriptor
from mydocker.image.registry import Registry

CHUNK = 256 << 10
RESTARTS = 5  # for one blob; each failure to open it has been retried already, see transport.py


def chunks(registry: Registry, descriptor: Descriptor) -> Iterator[bytes]:
    """The bytes of DESCRIPTOR, unverified. Raises RegistryError when it keeps breaking off."""
    done = restarts = 0
    while True:
        try:
            with registry.open_blob(descriptor, offset=done) as stream:
                skip = done - stream.offset  # the server may not do ranges: what we have is read again and dropped
                while data := stream.read(CHUNK):
                    fresh = data[skip:]
                    skip = max(0, skip - len(data))
                    if fresh:
                        done += len(fresh)
                        yield fresh
            return
        except RegistryError:
            restarts += 1
            if not 0 < done < descriptor.size or restarts > RESTARTS:
                raise
