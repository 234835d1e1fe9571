"""RedirectPolicy: where a registry may send us, by a redirect, a token realm or an upload's address.

Knows no requests. https unless the registry is insecure, no step down from https to http, nothing link-local, and from
a public registry nothing in a private network.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from mydocker.errors import RegistryError
from mydocker.image.registry.hosts import addresses_of, host_of, name_of, without_credentials


class RedirectPolicy:
    """The rules for the registry HOME (`name[:port]`), for use from several threads."""

    def __init__(self, home: str, *, insecure: bool) -> None:
        self._home, self._insecure = home, insecure
        self._home_is_private: bool | None = None

    def target(self, url: str, location: str) -> str:
        """The address that URL's answer calls LOCATION, which may be relative. RegistryError if it is none."""
        try:
            target = urljoin(url, location)
            scheme = urlsplit(target).scheme
        except ValueError:
            raise RegistryError(
                f"{self._home}: points to {without_credentials(location)!r:.100}, which is no usable address"
            ) from None
        if urlsplit(url).scheme == "https" and scheme != "https":
            raise RegistryError(f"{host_of(url)}: redirects from https to {scheme!r:.20}")
        return target

    def check(self, url: str) -> None:
        """RegistryError if a registry HOME has no business to send us to URL."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("https", "http") or "@" in parts.netloc:
            raise RegistryError(
                f"{self._home}: points to {without_credentials(url)!r:.100}, which is no usable address"
            )
        if parts.scheme == "http" and not self._insecure:
            raise RegistryError(
                f"{self._home}: points to {host_of(url)} without encryption",
                hint="a registry without https must be marked insecure in containers-registries.conf(5)",
            )
        if name_of(parts.netloc) == name_of(self._home):
            return
        if any(address.is_link_local for address in addresses_of(host)):
            raise RegistryError(f"{self._home}: points to the link-local address of {host_of(url)}")
        if self._is_public() and any(not address.is_global for address in addresses_of(host)):
            raise RegistryError(f"{self._home}: a public registry, points to {host_of(url)} in a private network")

    def _unusable(self, address: str) -> RegistryError:
        shown = without_credentials(address)
        return RegistryError(f"{self._home}: points to {shown!r:.100}, which is no usable address")

    def _is_public(self) -> bool:
        if self._home_is_private is None:
            found = addresses_of(name_of(self._home))
            self._home_is_private = bool(found) and not all(address.is_global for address in found)
        return not self._home_is_private
