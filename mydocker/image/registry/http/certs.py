"""certs.d: what authorities a registry's certificate may come from, besides the usual ones, and our own certificate.

containers-certs.d(5), and dockerd, "Verify repository client with certificates": in a directory named after the
registry (`name[:port]`), `*.crt` are authorities, `X.cert` and `X.key` a client's certificate and its key.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from mydocker import paths
from mydocker.errors import ImageError

_SYSTEM = ("/etc/containers/certs.d", "/etc/docker/certs.d")


def context(host: str, *, environ: Mapping[str, str], client: bool) -> ssl.SSLContext | None:
    """The rules for what HOST says; None if nobody has made any. With `client` we show a certificate to who wants one.

    ImageError if a file cannot be used."""
    directory = _directory(host, environ)
    if directory is None:
        return None
    made = ssl.create_default_context()
    name = ""
    try:
        for name in sorted(os.listdir(directory)):
            path = f"{directory}/{name}"
            stem, dot, kind = path.rpartition(".")
            if dot and kind == "crt":
                made.load_verify_locations(cafile=path)
            elif dot and kind == "cert" and client:
                made.load_cert_chain(path, f"{stem}.key")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot use {directory}/{name}: {reason}", hint="see containers-certs.d(5)") from None
    return made


def _directory(host: str, environ: Mapping[str, str]) -> str | None:
    """The first that there is; a user's own comes before the system's."""
    config = paths.xdg(environ, "XDG_CONFIG_HOME") or os.path.join(paths.home(environ), ".config")
    own = os.path.join(config, "containers/certs.d")
    return next((f"{place}/{host}" for place in (own, *_SYSTEM) if os.path.isdir(f"{place}/{host}")), None)
