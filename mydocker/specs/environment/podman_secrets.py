"""Secrets that `podman secret create` has made, by the driver `file`: Podman's own store of them, read without Podman.

`secrets.json` maps names to numbers, `secretsdata.json` of the driver has the contents, in Base64.
"""

from __future__ import annotations

import base64
import json
import os

from mydocker import paths
from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SYSTEM = "/var/lib/containers/storage"
_LIMIT = 64 << 20
_HINT = "podman secret create NAME FILE makes one"


def read_secret(name: str, environ: Mapping[str, str]) -> str:
    """The content of the secret NAME; bytes that are no UTF-8 as surrogates. Raises UsageError if there is none."""
    directory = f"{_storage(environ)}/secrets"
    index = _read(f"{directory}/secrets.json", name)
    number = index.get("nameToID", {}).get(name)
    if number is None:
        raise UsageError(f"there is no secret {name!r}", hint=_HINT)
    secret = index.get("secrets", {}).get(number, {})
    if secret.get("driver", "file") != "file":
        raise UsageError(f"secret {name!r}: driver {secret['driver']!r} is not supported: expected file")
    folder = (secret.get("driverOptions") or {}).get("path") or f"{directory}/filedriver"
    data = _read(f"{folder}/secretsdata.json", name).get(number)
    try:
        return os.fsdecode(base64.b64decode(str(data), validate=True))
    except (TypeError, ValueError):
        raise UsageError(f"secret {name!r} is damaged in {folder}/secretsdata.json") from None


def _storage(environ: Mapping[str, str]) -> str:
    """Where Podman stores what it has: as storage.conf says (containers-storage.conf(5)), else the default."""
    for path in _configs(environ):
        if root := _graph_root(path):
            return root
    if os.geteuid() == 0:
        return _SYSTEM
    return f"{paths.xdg_or_home(environ, 'XDG_DATA_HOME', '.local/share')}/containers/storage"


def _configs(environ: Mapping[str, str]) -> list[str]:
    if own := environ.get("CONTAINERS_STORAGE_CONF"):
        return [own]
    if os.geteuid() == 0:
        return ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"]
    config = paths.xdg_or_home(environ, "XDG_CONFIG_HOME", ".config")
    return [f"{config}/containers/storage.conf"]


def _graph_root(path: str) -> str:
    import tomllib

    try:
        with open(path, "rb") as file:
            storage = tomllib.load(file).get("storage")
    except (OSError, ValueError):  # which Podman reports
        return ""
    root = storage.get("graphroot") if isinstance(storage, dict) else None
    return root if isinstance(root, str) else ""


def _read(path: str, name: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(_LIMIT))
    except FileNotFoundError:
        raise UsageError(f"there is no secret {name!r}", hint=_HINT) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"secret {name!r}: cannot read {path}: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"secret {name!r}: {path} is damaged")
    return found
