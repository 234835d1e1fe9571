"""HTTP connections that a hostile server cannot hold for ever.

requests bounds each silent wait for bytes, not their sum: one byte a second, or endless `100 Continue` answers, would
keep it waiting. Here the raw socket file under http.client counts: time spent waiting against bytes received.
Time that this side takes between reads costs nothing.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import Any

import urllib3.connection
import urllib3.connectionpool

from mydocker.record import Record

_HEADER_LIMIT = 1 << 20  # bytes; http.client bounds one header block but not how many of them


class Timeouts(Record):
    """How long to bear with a registry: seconds, bytes per second, attempts."""

    connect: float = 10.0
    silence: float = 30.0  # one wait without a byte
    grace: float = 30.0  # waiting in all, on top of what `rate` allows for the bytes that have come
    rate: int = 1024
    attempts: int = 5
    first_wait: float = 0.5  # between attempts; doubled each time
    longest_wait: float = 20.0  # also if Retry-After says more

    def waits(self) -> list[float]:
        """The seconds to wait after each attempt but the last."""
        return [min(self.first_wait * 2**attempt, self.longest_wait) for attempt in range(self.attempts - 1)]


class _Metered(io.RawIOBase):
    """The socket's file: raises TimeoutError once its waits add up to more than PATIENCE allows."""

    def __init__(self, raw: io.RawIOBase, timeouts: Timeouts) -> None:
        self._raw = raw
        self._timeouts = timeouts
        self._waited = 0.0
        self._received = 0
        self.in_headers = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        allowed = self._timeouts.grace + self._received / self._timeouts.rate
        if self._waited > allowed:
            raise TimeoutError("the server sends too slowly")
        if self.in_headers and self._received > _HEADER_LIMIT:
            raise TimeoutError("the server's headers do not end")
        started = time.monotonic()
        count: int | None = self._raw.readinto(buffer)
        if self._received:  # what comes before an answer is the server's work, and bounded by `silence`
            self._waited += time.monotonic() - started
        self._received += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _metered_response(timeouts: Timeouts) -> type[HTTPResponse]:
    class MeteredResponse(HTTPResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._meter = _Metered(self.fp.detach(), timeouts)
            self.fp = io.BufferedReader(self._meter)

        def begin(self) -> None:
            super().begin()
            self._meter.in_headers = False

    return MeteredResponse


def metered_pools(timeouts: Timeouts) -> dict[str, type[urllib3.connectionpool.HTTPConnectionPool]]:
    """Connection pools by scheme, for a urllib3 manager's `pool_classes_by_scheme`."""
    response = _metered_response(timeouts)

    class Plain(urllib3.connection.HTTPConnection):
        response_class = response

    class Secure(urllib3.connection.HTTPSConnection):
        response_class = response

    class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
