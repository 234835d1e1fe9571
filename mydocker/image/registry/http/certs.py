"""certs.d: what authorities a registry's certificate may come from, besides the usual ones, and the client's
certificate.

containers-certs.d(5), and dockerd, "Verify repository client with certificates": in a directory named after the
registry (`name[:port]`), `*.crt` are authorities, `X.cert` and `X.key` a client's certificate and its key.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping

from mydocker import paths
from mydocker.errors import ImageError

_SYSTEM = ("/etc/containers/certs.d", "/etc/docker/certs.d")


def context(
    host: str, *, environ: Mapping[str, str], client: bool, warn: Callable[[str], None] | None = None
) -> ssl.SSLContext | None:
    """The rules for what HOST says; None if nobody has made any. With `client` we show a certificate to who wants one.

    ImageError if a file cannot be used. What the caller may not read, or a link to nowhere, is reported to WARN
    instead: most registries can be had without.
    """
    directory = _directory(host, environ)
    if directory is None:
        return None
    made = ssl.create_default_context()
    for path in _files(directory, warn):
        stem, _, kind = path.rpartition(".")
        try:
            if kind == "crt":
                made.load_verify_locations(cafile=path)
            elif client:
                made.load_cert_chain(path, f"{stem}.key")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            _report(path if kind == "crt" else f"{path} with {stem}.key", error, warn)
    return made


def _files(directory: str, warn: Callable[[str], None] | None) -> list[str]:
    """The certificates in DIRECTORY."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        _report(directory, error, warn)
        return []
    return [f"{directory}/{name}" for name in names if name.endswith((".crt", ".cert"))]


def _report(path: str, error: Exception, warn: Callable[[str], None] | None) -> None:
    words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    found = ImageError(f"cannot use {path}: {words}", hint="see containers-certs.d(5)")
    if warn is None or not isinstance(error, PermissionError | FileNotFoundError):
        raise found from None
    warn(found.message)


def _directory(host: str, environ: Mapping[str, str]) -> str | None:
    """The first that there is; a user's own comes before the system's."""
    config = paths.xdg_or_home(environ, "XDG_CONFIG_HOME", ".config")
    own = os.path.join(config, "containers/certs.d")
    return next((f"{place}/{host}" for place in (own, *_SYSTEM) if os.path.isdir(f"{place}/{host}")), None)
