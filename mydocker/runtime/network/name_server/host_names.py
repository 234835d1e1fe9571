"""The names of a container's /etc/hosts: what its name server knows."""

from __future__ import annotations

import _socket as socket
import os
from collections.abc import Iterator
from time import time_ns

from mydocker.runtime.network.name_server import message
from mydocker.runtime.network.name_server.message import Question

_LIMIT = 1 << 20  # bytes that are read; beyond that, mydocker does not change the file either (names.py)
_SETTLED = 100_000_000  # nanoseconds: within a tick of the kernel's clock, another change could have the same time
_FAMILIES = {message.A: 4, message.AAAA: 16}  # bytes of an address


class HostNames:
    """The names in an open FILE, which others write to in place: read again when it has changed."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._state: tuple[int, ...] = ()
        self._addresses: dict[bytes, list[bytes]] = {}
        self._names: dict[bytes, bytes] = {}
        self._turn = 0

    def find(self, question: Question) -> list[bytes] | None:
        """The data of the records that answer QUESTION; None if it is about no name that is here."""
        if question.class_ != message.INTERNET:
            return None
        self._refresh()
        if question.kind == message.PTR:
            name = self._names.get(message.address_of(question.name), b"")
            return [encoded] if (encoded := message.encoded(name)) else None
        addresses = self._addresses.get(question.name)
        if addresses is None:
            return None
        length = _FAMILIES.get(question.kind)
        return self._in_turn([each for each in addresses if question.kind == message.ANY or len(each) == length])

    def _in_turn(self, addresses: list[bytes]) -> list[bytes]:
        """Several containers with one alias share what comes, as another one is the first each time."""
        self._turn += 1
        first = self._turn % len(addresses) if addresses else 0
        return addresses[first:] + addresses[:first]

    def _refresh(self) -> None:
        status = os.fstat(self._file)
        state = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if state == self._state:
            return
        self._addresses, self._names = {}, {}
        for address, name in _lines(os.pread(self._file, _LIMIT, 0)):
            known = self._addresses.setdefault(name, [])
            if address not in known:
                known.append(address)
            self._names.setdefault(address, name)
        self._state = state if time_ns() - max(state[:2]) > _SETTLED else ()


def _lines(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each address with each of its names (hosts(5))."""
    for line in content.split(b"\n"):
        words = line.partition(b"#")[0].split()
        if len(words) > 1 and (address := _packed(words[0])):
            for name in words[1:]:
                yield address, name.lower().rstrip(b".")


def _packed(text: bytes) -> bytes:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text.decode("ascii"))
        except (OSError, ValueError):
            pass
    return b""
