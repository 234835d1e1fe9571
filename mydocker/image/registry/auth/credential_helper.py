"""Credential helpers: programs that keep secrets elsewhere (docker/docker-credential-helpers, "Development").

`docker-credential-NAME get|store|erase`, found in the caller's PATH and run with the caller's environment, since they
talk to the caller's desktop or cloud.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mydocker import programs
from mydocker.errors import HostError, ImageError
from mydocker.image.model import json_input

TOKEN = "<token>"  # the user name that says that the secret is an identity token
_ABSENT = "credentials not found"  # what helpers say, on stdout, if they have nothing
TIMEOUT = 60.0  # seconds: it may ask its user for the password of a keyring, but perhaps nobody is there
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def get(name: str, key: str, *, environ: Mapping[str, str], must_exist: bool) -> tuple[str, str] | None:
    """The user name and the secret that helper NAME has for registry KEY; None if it has none.

    ImageError if it fails, and unless `must_exist` is false, if there is no such program.
    """
    try:
        raw = _run(name, "get", key.encode(), environ)
    except HostError as error:
        absent = "is not installed" in error.message and not must_exist
        if absent or _ABSENT in error.message:
            return None
        raise ImageError(f"no credentials for {key}: {error.message}", hint=error.hint) from None
    what = f"docker-credential-{name}"
    answer = json_input.mapping(json_input.loads(raw, what), what)
    username = json_input.string(answer.get("Username"), f"{what}: Username")
    secret = json_input.string(answer.get("Secret"), f"{what}: Secret")
    return (username, secret) if username and secret else None


def store(name: str, key: str, username: str, secret: str, *, environ: Mapping[str, str]) -> None:
    """Give the secret to helper NAME. HostError."""
    entry = {"ServerURL": key, "Username": username, "Secret": secret}
    _run(name, "store", json.dumps(entry).encode(), environ)


def erase(name: str, key: str, *, environ: Mapping[str, str]) -> None:
    """Let helper NAME forget about KEY. HostError."""
    _run(name, "erase", key.encode(), environ)


def is_installed(name: str, environ: Mapping[str, str]) -> bool:
    """Whether there is a program for helper NAME."""
    try:
        programs.find(_program(name), path=environ.get("PATH") or programs.PATH)
    except HostError:
        return False
    return True


def _program(name: str) -> str:
    """Raises ImageError if NAME could lead elsewhere."""
    if not name or not _LETTERS.issuperset(name):
        raise ImageError(f"{name!r} is not the name of a credential helper")
    return f"docker-credential-{name}"


def _run(name: str, action: str, stdin: bytes, environ: Mapping[str, str]) -> bytes:
    path = environ.get("PATH") or programs.PATH
    return programs.run(_program(name), action, stdin=stdin, environment=environ, path=path, timeout=TIMEOUT)
