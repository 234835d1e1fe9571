"""Names and addresses of servers: the questions about them that decide what may be sent where."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether `name[:port]` is this machine by its name alone; dockerd takes such registries as insecure."""
    name = name_of(host)
    try:
        address = ipaddress.ip_address(name)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return name == "localhost"


def name_of(host: str) -> str:
    """`name` of `name[:port]`, in lower case and without the brackets of an IPv6 address."""
    return urlsplit(f"//{host}").hostname or ""


def host_of(url: str) -> str:
    """`name[:port]` of URL, fit to be shown."""
    return ascii(urlsplit(url).netloc.rpartition("@")[2])[1:-1]


def without_credentials(text: str) -> str:
    """TEXT, with which an error may repeat a URL, without the user names and passwords of URLs."""
    return re.sub(r"(?<=//)[^/\s]*@", "", text)


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and `name[:port]`: what must be equal for an Authorization to be sent along."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def addresses_of(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What HOST resolves to; nothing if it cannot be resolved here, as behind a proxy."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]
