"""Credentials for a registry from the file that `docker login` writes, `config.json` (docker-login(1)).

Read only, and only the entry of the registry that is asked. Secrets appear in no message and in no repr. Credential
helpers are not consulted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from mydocker.errors import ImageError
from mydocker.image import jsontext
from mydocker.record import Record
from mydocker.reference import DOCKER_HUB

# Docker Hub's entry has the address of its version 1 index for a name, whatever it is called elsewhere.
_HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB, "registry-1.docker.io")


class Credentials(Record):
    """A user name and a password, or an identity token (an OAuth 2 refresh token) instead of the password."""

    username: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


def find(host: str, *, environ: Mapping[str, str]) -> Credentials | None:
    """What the user has stored for the registry HOST (`name[:port]`, or docker.io). ImageError if that is malformed."""
    path = _path(environ)
    try:
        with open(path, "rb") as file:
            raw = file.read(jsontext.LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    document = jsontext.mapping(jsontext.loads(raw, path), path)
    entries = jsontext.mapping(document.get("auths"), f"{path}: auths")
    name = _entry(host, entries)
    return None if name is None else _decode(jsontext.mapping(entries[name], f"{path}: {name}"), f"{path}: {name}")


def _path(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")


def _entry(host: str, entries: dict[str, object]) -> str | None:
    """The name of HOST's entry: exact names first, then those which are URLs of it, as old versions wrote them."""
    names = _HUB_NAMES if host == DOCKER_HUB else (host,)
    urls = [key for key in entries if key.partition("://")[2].partition("/")[0] in names]
    return next((name for name in [*names, *urls] if name in entries), None)


def _decode(entry: dict[str, object], what: str) -> Credentials | None:
    username = jsontext.string(entry.get("username"), f"{what}: username")
    password = jsontext.string(entry.get("password"), f"{what}: password")
    if packed := jsontext.string(entry.get("auth"), f"{what}: auth"):
        try:
            text = base64.b64decode(packed, validate=True).decode().rstrip("\0")
        except ValueError:
            raise ImageError(f"{what}: auth is not base64 of USER:PASSWORD", hint="log in again") from None
        username, _, password = text.partition(":")
    token = jsontext.string(entry.get("identitytoken"), f"{what}: identitytoken")
    if not username and not token:
        return None  # an empty entry says that a helper has the secret
    return Credentials(username=username, password=password, identity_token=token)
