"""buildah with a store of its own for tests, which uses the layers that are kept there."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

BUILDERS = [name for name in ("buildah", "podman") if shutil.which(name)]


@contextmanager
def storage() -> Iterator[dict[str, str]]:
    """The variables of the environment that name the store."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="builder-"))  # a short path: runc has sockets below it
    conf = directory / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/root"\nrunroot = "{directory}/run"\n')
    try:
        yield {"CONTAINERS_STORAGE_CONF": str(conf)}
    finally:
        subprocess.run(["umount", "--lazy", directory / "root" / "overlay"], stderr=subprocess.DEVNULL)
        shutil.rmtree(directory)


def working_containers(environment: Mapping[str, str]) -> list[str]:
    """The names of those that are there."""
    done = subprocess.run(
        ["buildah", "containers", "--all", "--json"], env=dict(environment), capture_output=True, check=True
    )
    return [each["containername"] for each in json.loads(done.stdout) or []]
