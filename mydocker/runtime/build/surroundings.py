"""The environment in which a builder runs: that of the caller, with what makes it work where it would not.

A builder in a container, or on a host without an OCI runtime, needs other settings than its defaults; where the caller
has chosen one, that stays. Short names in a Dockerfile are Docker Hub's, as for Docker and for `mydocker run`.
"""

from __future__ import annotations

import os
import tomllib

from mydocker import programs
from mydocker.errors import HostError
from mydocker.image.registry import registries_conf
from mydocker.kernel import mountinfo
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.runtime.build.builders import Builder

_TUN = "/dev/net/tun"
_RUNTIMES = ("crun", "runc")
_SEARCH = "unqualified-search-registries"


def settled(environ: Mapping[str, str], builder: Builder, *, scratch: str) -> tuple[Builder, dict[str, str]]:
    """BUILDER as it works here, and its environment: its temporary files are below the directory SCRATCH, which stays
    for as long as it runs."""
    found = {"PATH": programs.PATH, **environ}
    os.makedirs(f"{scratch}/tmp", exist_ok=True)
    found["TMPDIR"] = f"{scratch}/tmp"
    if builder.is_buildkit:
        return builder, found
    found["CONTAINERS_REGISTRIES_CONF"] = _registries(environ, scratch)
    if "BUILDAH_ISOLATION" not in environ and _is_nested(found["PATH"]):
        found["BUILDAH_ISOLATION"] = "chroot"
    if os.geteuid() != 0 and not os.access(_TUN, os.R_OK | os.W_OK):  # slirp4netns and pasta need it
        builder = builder.replace(build=(*builder.build, "--network", "host"))
    if "STORAGE_DRIVER" not in environ and _overlay_fails(builder, found):
        return builder.replace(storage=("--storage-driver", "vfs")), found
    return builder, found


def _is_nested(path: str) -> bool:
    """Whether no OCI runtime can start a container here: there is none, or no cgroup can be made."""
    if os.geteuid() == 0 and not any(each.fstype in ("cgroup", "cgroup2") for each in mountinfo.mounts()):
        return True
    return not any(os.access(f"{directory}/{name}", os.X_OK) for directory in path.split(":") for name in _RUNTIMES)


def _overlay_fails(builder: Builder, environ: Mapping[str, str]) -> bool:
    """Whether the store of BUILDER cannot be opened with the driver overlay, such as on another overlay."""
    try:
        programs.run(builder.name, *builder.info, environment=environ, path=environ["PATH"])
    except HostError as error:
        return "overlay" in error.message
    return False


def _registries(environ: Mapping[str, str], scratch: str) -> str:
    """The path of a registries.conf(5) for the builder: the one in force, with a registry for short names if it has
    none."""
    first = next(iter(registries_conf.files(environ)), "")
    try:
        with open(first, "rb") as file:
            raw = file.read()
        parsed = tomllib.loads(raw.decode())
    except FileNotFoundError:
        raw, parsed = b"", {}
    except (OSError, ValueError):
        return first  # which the builder complains about
    if _SEARCH in parsed or "registries" in parsed:  # the latter: version 1, which has its own words
        return first
    path = f"{scratch}/registries.conf"
    with open(path, "wb") as file:
        file.write(f'{_SEARCH} = ["docker.io"]\n'.encode() + raw)
    return path
