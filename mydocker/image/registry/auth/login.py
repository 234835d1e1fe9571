"""Logging in to a registry and out again: the secret goes where it is looked for, once the registry took it.

That is the first file that knows the registry, or Docker's, see credentials.py. It keeps everything else that is in it,
and is replaced as a whole, closed to others.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mydocker.errors import ImageError, RegistryError, StoreError
from mydocker.image.model import json_input
from mydocker.image.registry import registries_conf
from mydocker.image.registry.auth import credential_helper, credentials
from mydocker.image.registry.auth.credentials import Credentials
from mydocker.image.registry.auth.token import Authorization, DeniedError
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.http.transport import Transport
from mydocker.image.registry.session import check_is_registry, server_of
from mydocker.reference import Reference

_LOOKED_AT = 512  # bytes of what /v2/ has


def verify(host: str, secret: Credentials, *, environ: Mapping[str, str]) -> None:
    """Ask the registry HOST whether it takes SECRET. ImageError if it refuses, RegistryError if it cannot be
    reached."""
    endpoint = registries_conf.endpoints(Reference(registry=host, repository="login", tag=None), environ=environ)[-1]
    transport = Transport(server_of(host), insecure=endpoint.insecure, environ=environ, timeouts=Timeouts())
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
        body = reply.read(_LOOKED_AT)
    if status == 401 and authorization.answer(challenge, refused=None, base=base):
        with transport.get(base, authorization=authorization.header) as reply:
            status, body = reply.status, reply.read(_LOOKED_AT)
    if status in (401, 403):
        raise ImageError(f"registry {host} refuses this user name or password")
    if status != 200:
        raise RegistryError(f"registry {host}: HTTP status {status}")
    check_is_registry(host, body)


def store(host: str, secret: Credentials, *, environ: Mapping[str, str]) -> str:
    """Keep SECRET for HOST; where, in words. ImageError, HostError, StoreError."""
    *earlier, last = credentials.paths(environ)
    path = next((path for path in earlier if _knows(path, host, environ)), last)
    document = credentials.read(path)
    helper, _ = credentials.helper_of(document, path, host)
    if helper:
        credential_helper.store(helper, credentials.key_of(host), secret.username, secret.password, environ=environ)
        return f"docker-credential-{helper}"
    auths = _auths(document, path)
    new = credentials.key_of(host) if path == credentials.docker_config(environ) else host
    key = next(iter(credentials.names(host, auths)), new)
    packed = base64.b64encode(f"{secret.username}:{secret.password}".encode()).decode()
    _replace(path, {**document, "auths": {**auths, key: {"auth": packed}}})
    return path


def _knows(path: str, host: str, environ: Mapping[str, str]) -> bool:
    """Whether what the file at PATH says of HOST would count before what later ones say."""
    document = credentials.read(path)
    _, has_helper = credentials.helper_of(document, path, host)
    return has_helper or bool(credentials.names(host, _auths(document, path))) or bool(_helping(path, host, environ))


def _helping(path: str, host: str, environ: Mapping[str, str]) -> str:
    """The helper that the file at PATH names, if it has a secret for HOST."""
    helper, _ = credentials.helper_of(credentials.read(path), path, host)
    found = helper and credential_helper.get(helper, credentials.key_of(host), environ=environ, must_exist=False)
    return helper if found else ""


def forget(host: str, *, environ: Mapping[str, str]) -> bool:
    """Forget about HOST in all files that count; whether there was anything to forget."""
    known = [_forget(path, host, environ) for path in credentials.paths(environ)]
    return any(known)


def _forget(path: str, host: str, environ: Mapping[str, str]) -> bool:
    helper = _helping(path, host, environ)
    if helper:
        credential_helper.erase(helper, credentials.key_of(host), environ=environ)
    document = credentials.read(path)
    auths = _auths(document, path)
    names = credentials.names(host, auths)
    if names:
        _replace(path, {**document, "auths": {name: entry for name, entry in auths.items() if name not in names}})
    return bool(helper or names)


def left(host: str, *, environ: Mapping[str, str]) -> list[str]:
    """What is still there after `forget`, in words: logins for some repositories of HOST alone."""
    found = [(path, name) for path in credentials.paths(environ) for name in _auths(credentials.read(path), path)]
    return [f"{name}, in {path}" for path, name in found if name.startswith(f"{host}/")]


def missing_helpers(host: str, *, environ: Mapping[str, str]) -> list[str]:
    """Helpers that may have a login for HOST, which `forget` could not ask, since their programs are not installed."""
    named = [credentials.helper_of(credentials.read(path), path, host)[0] for path in credentials.paths(environ)]
    return [f"docker-credential-{name}" for name in named if name and not credential_helper.is_installed(name, environ)]


def _auths(document: dict[str, Any], path: str) -> dict[str, Any]:
    return json_input.mapping(document.get("auths"), f"{path}: auths")


def _replace(path: str, document: dict[str, Any]) -> None:
    if os.path.exists(path) and not os.path.isfile(path):  # REGISTRY_AUTH_FILE=/dev/null is no place for a secret
        raise StoreError(f"cannot write {path}: it is not a regular file")
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
