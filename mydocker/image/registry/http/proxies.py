"""Which proxy a request goes through: the rules of Docker and Podman, which are Go's (golang.org/x/net/http/httpproxy).

HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the same in lower case; and ALL_PROXY, as for curl(1). A proxy's address may
have a password, so no error repeats it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from mydocker.errors import RegistryError
from mydocker.image.registry.hosts import is_loopback
from mydocker.number import is_whole_number

_PORTS = {"http": "80", "https": "443"}
_HINT = "a proxy is [http[s]://][USER:PASSWORD@]HOST[:PORT]; other characters in USER and PASSWORD are written as %XX"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def proxy_for(url: str, *, environ: Mapping[str, str]) -> str | None:
    """The address of the proxy for URL; None if it is reached directly, as loopback always is. RegistryError if what
    the environment says is no address of a proxy."""
    parts = urlsplit(url)
    name = next((name for name in _names(parts.scheme, environ) if environ.get(name)), None)
    if name is None or is_loopback(parts.netloc) or _is_excepted(parts, _first(environ, "NO_PROXY", "no_proxy")):
        return None
    return _checked(environ[name].strip(), name)


def _names(scheme: str, environ: Mapping[str, str]) -> list[str]:
    """The variables that count, the first one first. In a CGI program HTTP_PROXY is what its client sent as the header
    Proxy (https://httpoxy.org)."""
    upper = (f"{scheme.upper()}_PROXY", "ALL_PROXY")
    names = [name for each in upper for name in (each, each.lower())]
    return [name for name in names if name != "HTTP_PROXY" or not environ.get("REQUEST_METHOD")]


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _checked(text: str, name: str) -> str:
    """TEXT, the value of variable NAME, as a URL. RegistryError."""
    url = text if "://" in text else f"http://{text}"
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        shown = scheme if scheme.isalnum() and scheme.isascii() else "of another kind"
        raise RegistryError(f"{name}: a proxy of the kind {shown!r:.30} is not supported", hint=_HINT)
    if not _is_address(url):
        raise RegistryError(f"{name}: is not the address of a proxy", hint=_HINT)
    return url


def _is_address(url: str) -> bool:
    if any(letter.isspace() or letter == "\\" or not letter.isprintable() for letter in url):
        return False
    try:
        parts = urlsplit(url)
        rest = f"{parts.path}{parts.query}{parts.fragment}"  # what is in a password must not be taken for these
        return bool(parts.hostname) and parts.port != 0 and "@" not in rest
    except ValueError:  # of a port or an IPv6 address
        return False


def _is_excepted(target: SplitResult, rules: str) -> bool:
    """Whether NO_PROXY, which is RULES, says that TARGET is reached directly."""
    host, port = _ascii(target.hostname or ""), str(target.port or _PORTS.get(target.scheme, ""))
    address = _address(host)
    return any(_fits(rule.strip().lower(), host, port, address) for rule in rules.split(","))


def _fits(rule: str, host: str, port: str, address: _Address | None) -> bool:
    """Whether RULE is for HOST, which may be an ADDRESS: `*`, a network, an address, or a domain; the last two perhaps
    with a port. `example.com` is itself and all below it, `.example.com` and `*.example.com` are only what is below."""
    if rule == "*":
        return True
    network, slash, bits = rule.partition("/")
    if slash and is_whole_number(bits) and _address(network):
        return address is not None and _is_in(address, network, bits)
    name, only = _split(rule)
    if not name or (only and only != port):
        return False
    if known := _address(name):
        return known == address
    name = _ascii(name.removeprefix("*") if name.startswith("*.") else name)
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _ascii(name: str) -> str:
    """NAME as the DNS has it (RFC 5890, A-labels)."""
    dot = "." if name.startswith(".") else ""
    try:
        return name if name.isascii() else dot + name.removeprefix(".").encode("idna").decode()
    except UnicodeError:
        return name


def _split(rule: str) -> tuple[str, str]:
    """The host and the port of RULE, of which an IPv6 address may stand without brackets if it has no port."""
    if rule.startswith("[") and "]" in rule:
        name, _, rest = rule[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = rule.partition(":")
    return (name, port) if colon and ":" not in port else (rule, "")


def _is_in(address: _Address, network: str, bits: str) -> bool:
    try:
        return address in ipaddress.ip_network(f"{network}/{bits}", strict=False)
    except ValueError:  # more bits than it has
        return False


def _address(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
