"""Logging in to a registry and out again: the secret goes where `docker login` would put it, once the registry took it.

~/.docker/config.json keeps everything else that is in it; it is replaced as a whole, closed to others.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mydocker.errors import ImageError, RegistryError, StoreError
from mydocker.image import credentials, credhelper, jsontext, registriesconf
from mydocker.image.auth import Authorization, DeniedError
from mydocker.image.connection import Patience
from mydocker.image.credentials import Credentials
from mydocker.image.dialogue import server_of
from mydocker.image.transport import Transport
from mydocker.reference import Reference


def verify(host: str, secret: Credentials, *, environ: Mapping[str, str]) -> None:
    """Ask the registry HOST whether it takes SECRET. ImageError if it refuses, RegistryError if it cannot be asked."""
    endpoint = registriesconf.endpoints(Reference(registry=host, repository="login", tag=None), environ=environ)[-1]
    transport = Transport(server_of(host), insecure=endpoint.insecure, environ=environ, patience=Patience())
    try:
        _verify(transport, host, secret)
    except DeniedError:
        raise ImageError(f"registry {host} refuses this user name or password") from None
    finally:
        transport.close()


def _verify(transport: Transport, host: str, secret: Credentials) -> None:
    base = f"{transport.scheme()}://{transport.home}/v2/"
    authorization = Authorization(transport, repository="", credentials=secret)
    with transport.get(base) as reply:
        status, challenge = reply.status, reply.headers.get("WWW-Authenticate", "")
    if status == 401 and authorization.answer(challenge, refused=None, base=base):
        with transport.get(base, authorization=authorization.header) as reply:
            status = reply.status
    if status in (401, 403):
        raise ImageError(f"registry {host} refuses this user name or password")
    if status != 200:
        raise RegistryError(f"registry {host}: HTTP status {status}")


def store(host: str, secret: Credentials, *, environ: Mapping[str, str]) -> str:
    """Keep SECRET for HOST; where, in words. ImageError, HostError, StoreError."""
    path = credentials.docker_config(environ)
    document = credentials.read(path)
    key = credentials.key_of(host)
    helper, _ = credentials.helper_of(document, path, host)
    if helper:
        credhelper.store(helper, key, secret.username, secret.password, environ=environ)
        return f"docker-credential-{helper}"
    packed = base64.b64encode(f"{secret.username}:{secret.password}".encode()).decode()
    auths = jsontext.mapping(document.get("auths"), f"{path}: auths")
    _replace(path, {**document, "auths": {**auths, key: {"auth": packed}}})
    return path


def forget(host: str, *, environ: Mapping[str, str]) -> bool:
    """Forget about HOST; whether there was anything to forget."""
    path = credentials.docker_config(environ)
    document = credentials.read(path)
    key = credentials.key_of(host)
    helper, _ = credentials.helper_of(document, path, host)
    had = bool(helper and credhelper.get(helper, key, environ=environ, must_exist=False))
    if had:
        credhelper.erase(helper, key, environ=environ)
    auths = jsontext.mapping(document.get("auths"), f"{path}: auths")
    if key in auths:
        _replace(path, {**document, "auths": {name: entry for name, entry in auths.items() if name != key}})
    return had or key in auths


def _replace(path: str, document: dict[str, Any]) -> None:
    real = os.path.realpath(path)  # a link into a folder of such files stays one
    temporary = f"{real}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(real), mode=0o700, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w") as file:
            json.dump(document, file, indent="\t")
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, real)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise StoreError(f"cannot write {path}: {error.strerror}") from None
