"""/etc/resolv.conf of a container with a network of its own.

In a network with names it leads to the container's own name server (name_server/). In the default network it has the
servers of the host, as far as a container reaches them, by IPv4. One on the host's loopback it does not reach, so that
is replaced by those that it asks itself, where systemd-resolved says them; what is left without one takes public
servers, as Docker does (docs.docker.com, "DNS services").
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import NAME_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable

UPSTREAM = "/run/systemd/resolve/resolv.conf"
PUBLIC = ("8.8.8.8", "8.8.4.4")


def reachable(text: str, *, resolver: str = "") -> str:
    """TEXT, the host's resolv.conf, with servers that a container can reach.

    RESOLVER replaces them all: pasta answers for the host's resolver under one address, and passes on what comes from
    there as if it came from that (pasta(1), --dns-forward).
    """
    lines = [f"{line}\n" for line in text.splitlines()]  # the last one may have no end
    if resolver:
        return "".join([*(line for line in lines if not _server(line)), *_lines((resolver,))])
    if any(_is_local(line) for line in lines):
        lines = [*_upstream(), *(line for line in lines if not _server(line))] if _upstream() else lines
    lines = [line for line in lines if not _is_local(line) and ":" not in _server(line)]
    if any(_server(line) for line in lines):
        return "".join(lines)
    return "".join([*lines, *_lines(PUBLIC)])


def served(text: str) -> str:
    """TEXT, a resolv.conf, for a container that has a name server of its own (name_server/). A name without a dot is
    asked for as it is first, `ndots:0`, as with Docker, unless TEXT sets that."""
    lines = [f"{line}\n" for line in text.splitlines()]
    options = [word for line in lines if _keyword(line) == "options" for word in line.split()[1:]]
    if not any(word.startswith("ndots:") for word in options):
        options.append("ndots:0")
    kept = [line for line in lines if _keyword(line) not in ("nameserver", "options")]
    return "".join([*_lines((NAME_SERVER,)), *kept, f"options {' '.join(options)}\n"])


def _keyword(line: str) -> str:
    return (line.split() or [""])[0]


def _lines(servers: Iterable[str]) -> list[str]:
    return [f"nameserver {server}\n" for server in servers]


def _upstream() -> list[str]:
    try:
        with open(UPSTREAM, encoding="utf-8", errors="surrogateescape") as file:
            return _lines(server for line in file if (server := _server(line)))
    except OSError:
        return []


def _server(line: str) -> str:
    """The name server of LINE; empty if it is another line (resolv.conf(5))."""
    words = line.split()
    return words[1] if len(words) > 1 and words[0] == "nameserver" else ""


def _is_local(line: str) -> bool:
    server = _server(line)
    return server.startswith("127.") or server in ("::1", "0.0.0.0", "::")
