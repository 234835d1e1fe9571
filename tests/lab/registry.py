"""A real registry: Debian's docker-registry on a free loopback port, its storage in a directory of the test's."""

from __future__ import annotations

import http.client
import os
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlencode, urlsplit

from lab.oci import Image, Index

_CONFIGURATION = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
{extra}
"""
_REQUEST = re.compile(r'"(GET|HEAD|POST|PUT) (/v2/\S*) HTTP/[\d.]+" (\d{3})')


class Registry:
    """`address` is host:port; `storage` the directory it keeps everything in."""

    def __init__(self, address: str, storage: pathlib.Path, log: pathlib.Path) -> None:
        self.address, self.storage, self._log = address, storage, log
        self._seen: list[tuple[str, str, int]] = []
        self._read = 0  # bytes of the log that they are from

    def push(self, image: Image | Index, name: str, *, tag: str = "latest") -> str:
        """Store IMAGE as repository NAME (`library/alpine`) under TAG, and return its digest."""
        with closing(http.client.HTTPConnection(self.address, timeout=100)) as connection:
            for each in image.images if isinstance(image, Index) else (image,):
                for digest, data in each.blobs.items():
                    _push_blob(connection, name, digest, data)
                if each is not image:
                    _push_manifest(connection, name, each.digest, each)
            _push_manifest(connection, name, tag, image)
        return image.digest

    def requests(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of all that has been asked so far by who has hung up, and that was answered: a request
        is in the log before the registry closes its connection."""
        while self._is_behind():
            time.sleep(0.02)
        size = -1
        while size != (size := self._log.stat().st_size):  # what is asked by connections that go on
            time.sleep(0.05)
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        self._read += len(lines)
        found = _REQUEST.findall(lines.decode(errors="replace"))
        self._seen += [(method, path, int(status)) for method, path, status in found]
        return [*self._seen]

    def _is_behind(self) -> bool:
        """Whether there is a connection here that the client has closed, and the registry not yet."""
        own = int(self.address.rpartition(":")[2])
        return any(port == own and state == "08" for port, state, _ in _sockets("self"))  # CLOSE_WAIT

    def blob_fetches(self, digest: str) -> int:
        """How often the blob has been sent, in whole or in part."""
        return sum(
            method == "GET" and path.endswith(f"/blobs/{digest}") and status in (200, 206)
            for method, path, status in self.requests()
        )


def _push_blob(connection: http.client.HTTPConnection, name: str, digest: str, data: bytes) -> None:
    if _send(connection, "HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
        return
    status, headers = _send(connection, "POST", f"/v2/{name}/blobs/uploads/")
    assert status == 202, (status, headers)
    where = urlsplit(headers["Location"])
    query = f"{where.query}&" if where.query else ""
    status, headers = _send(
        connection,
        "PUT",
        f"{where.path}?{query}{urlencode({'digest': digest})}",
        data,
        {"Content-Type": "application/octet-stream"},
    )
    assert status == 201, (status, headers)


def _push_manifest(connection: http.client.HTTPConnection, name: str, reference: str, what: Image | Index) -> None:
    headers = {"Content-Type": what.media_type}
    status, answer = _send(connection, "PUT", f"/v2/{name}/manifests/{reference}", what.manifest, headers)
    assert status == 201, (status, answer)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str]]:
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    return answer.status, {**dict(answer.getheaders()), "body": text}


@contextmanager
def serve(directory: pathlib.Path, *, extra: str = "") -> Iterator[Registry]:
    """A registry that runs for the length of the `with`; EXTRA is YAML added to its configuration (auth, …)."""
    storage, log, configuration = directory / "storage", directory / "log", directory / "config.yml"
    configuration.write_text(_CONFIGURATION.format(storage=storage, extra=extra))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
    try:
        yield Registry(_address(process, log), storage, log)
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: pathlib.Path) -> str:
    """Where PROCESS listens, once it does: at a port that the kernel has chosen, so that it is nobody else's."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):  # it has ended, or closes a file just now
            place = f"/proc/{process.pid}/fd"
            links = {os.readlink(f"{place}/{each}") for each in os.listdir(place)}
            for port, state, inode in _sockets(str(process.pid)):
                if state == "0A" and f"socket:[{inode}]" in links:  # TCP_LISTEN
                    return f"127.0.0.1:{port}"
        time.sleep(0.02)
    raise RuntimeError(f"docker-registry does not listen: {log.read_text(errors='replace')}")


def _sockets(process: str) -> Iterator[tuple[int, str, str]]:
    """(local port, state, inode) of what PROCESS sees of TCP over IPv4 (proc(5); linux/tcp_states.h)."""
    for line in pathlib.Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        yield int(words[1].rpartition(":")[2], 16), words[3], words[9]
