"""Credentials for a registry, from the files that `docker login` and `podman login` write (docker-login(1),
containers-auth.json(5)) and from the credential helpers that those name.

The first file that knows the registry counts: $REGISTRY_AUTH_FILE alone if it is set, else those of Podman, then
Docker's. Secrets appear in no message and in no repr.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Any

from mydocker import paths as start
from mydocker.errors import ImageError
from mydocker.image.model import json_input
from mydocker.image.registry.auth import credential_helper
from mydocker.record import Record
from mydocker.reference import DOCKER_HUB

# Docker Hub's entry has the address of its version 1 index for a name, whatever it is called elsewhere.
HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = (HUB_KEY, "index.docker.io", DOCKER_HUB, "registry-1.docker.io")
_VERSIONS = ("v1", "v2")  # of the registry's interface, which names of registries sometimes end with


class Credentials(Record):
    """A user name and a password, or an identity token (an OAuth 2 refresh token) instead of the password."""

    username: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


def find(
    host: str, *, environ: Mapping[str, str], repository: str = "", warn: Callable[[str], None] | None = None
) -> Credentials | None:
    """What the user has stored for the registry HOST (`name[:port]`, or docker.io), or for REPOSITORY in it alone.

    Most images can be had without: what is wrong with a file, or with a helper, is reported to WARN, and the next one
    is tried. Without WARN it is an ImageError.
    """
    for path in paths(environ):
        if found := _from_file(path, host, repository, environ, warn):
            return found
    return None


def paths(environ: Mapping[str, str]) -> list[str]:
    """The files that count, the first that knows a registry first; the last one is where a new login goes."""
    if named := environ.get("REGISTRY_AUTH_FILE"):
        return [named]
    config = start.xdg_or_home(environ, "XDG_CONFIG_HOME", ".config")
    places = [start.xdg(environ, "XDG_RUNTIME_DIR"), config]
    podman = [os.path.join(place, "containers/auth.json") for place in places if place]
    return [*podman, docker_config(environ)]


def docker_config(environ: Mapping[str, str]) -> str:
    """Where `docker login` keeps what it has to keep."""
    directory = environ.get("DOCKER_CONFIG") or os.path.join(start.home(environ), ".docker")
    return os.path.join(directory, "config.json")


def read(path: str) -> dict[str, Any]:
    """The JSON object in the file PATH; an empty one if there is no such file, or nothing in it."""
    try:
        with open(path, "rb") as file:
            raw = file.read(json_input.LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    return json_input.mapping(json_input.loads(raw, path), path) if raw.strip() else {}


def key_of(host: str) -> str:
    """How HOST is called in Docker's file, and by its helpers."""
    return HUB_KEY if host == DOCKER_HUB else host


def names(host: str, entries: dict[str, object]) -> list[str]:
    """The names that HOST has in ENTRIES, of which the first counts: exact ones, then any that mean the same, as old
    versions and people have written them."""
    exact = _HUB_NAMES if host == DOCKER_HUB else (host,)
    meant = [key for key in entries if _host_in(key) in exact and key not in exact]
    return [name for name in (*exact, *meant) if name in entries]


def _host_in(key: str) -> str:
    """The registry that KEY, the name of an entry, is for: all before the path of a URL, or before /v1/ and the like;
    empty if it is for some repositories alone."""
    _, is_url, rest = key.rpartition("://")
    host, _, path = rest.partition("/")
    return host.lower() if is_url or path.rstrip("/") in ("", *_VERSIONS) else ""


def helper_of(document: dict[str, Any], path: str, host: str) -> tuple[str, bool]:
    """The helper that DOCUMENT, from PATH, names for HOST, and whether for it alone; empty if there is none."""
    helpers = json_input.mapping(document.get("credHelpers"), f"{path}: credHelpers")
    for name in names(host, helpers):
        return json_input.string(helpers[name], f"{path}: credHelpers"), True
    return json_input.string(document.get("credsStore"), f"{path}: credsStore"), False


def _from_file(
    path: str, host: str, repository: str, environ: Mapping[str, str], warn: Callable[[str], None] | None
) -> Credentials | None:
    """What the file at PATH says of HOST: its helper comes first, whose failure leaves what is in the file itself."""
    document: dict[str, Any] = {}

    def from_helper() -> Credentials | None:
        document.update(read(path))
        return _from_helper(document, path, host, environ, must_exist=warn is not None)

    def from_entries() -> Credentials | None:
        return _from_entries(document, path, host, repository)

    for ask in (from_helper, from_entries):
        try:
            if found := ask():
                return found
        except ImageError as error:
            if warn is None:
                raise
            warn(error.message)
    return None


def _from_helper(
    document: dict[str, Any], path: str, host: str, environ: Mapping[str, str], *, must_exist: bool
) -> Credentials | None:
    helper, is_own = helper_of(document, path, host)
    found = helper and credential_helper.get(helper, key_of(host), environ=environ, must_exist=is_own or must_exist)
    if not found:
        return None
    username, secret = found
    if username == credential_helper.TOKEN:
        return Credentials(username="", password="", identity_token=secret)
    return Credentials(username=username, password=secret)


def _from_entries(document: dict[str, Any], path: str, host: str, repository: str) -> Credentials | None:
    entries = json_input.mapping(document.get("auths"), f"{path}: auths")
    for name in (*_namespaces(host, repository, entries), *names(host, entries)):
        if found := _decode(json_input.mapping(entries[name], f"{path}: {name}"), f"{path}: {name}"):
            return found
    return None


def _namespaces(host: str, repository: str, entries: dict[str, object]) -> list[str]:
    """The keys that are HOST/REPOSITORY or a path above it, the longest first (containers-auth.json(5))."""
    parts = repository.split("/") if repository else []
    keys = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return [name for key in keys for name in (key, f"{key}/") if name in entries]


def _unpacked(text: str) -> bytes:
    """What TEXT is in base64: in lines, as base64(1) writes it, without its padding, or in the alphabet for URLs (RFC
    4648 section 5). ValueError."""
    packed = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)


def _decode(entry: dict[str, object], what: str) -> Credentials | None:
    username = json_input.string(entry.get("username"), f"{what}: username")
    password = json_input.string(entry.get("password"), f"{what}: password")
    if packed := json_input.string(entry.get("auth"), f"{what}: auth"):
        try:
            text = _unpacked(packed).decode().rstrip("\0")
        except ValueError:
            raise ImageError(f"{what}: auth is not base64 of USER:PASSWORD", hint="log in again") from None
        username, _, password = text.partition(":")
    token = json_input.string(entry.get("identitytoken"), f"{what}: identitytoken")
    if not username and not token:
        return None  # an empty entry says that a helper has the secret
    return Credentials(username=username, password=password, identity_token=token)
