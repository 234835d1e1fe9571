"""A real registry: Debian's docker-registry on a loopback port, its storage in a directory of the test's."""

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
_LISTEN, _CLOSE_WAIT = "0A", "08"  # states of sockets (include/net/tcp_states.h)
_REQUEST = re.compile(r'"(GET|HEAD|POST|PUT) (/v2/\S*) HTTP/[\d.]+" (\d{3})')


class Registry:
    """`address` is host:port; `storage` the directory it keeps everything in."""

    def __init__(self, process: int, port: int, storage: pathlib.Path, log: pathlib.Path) -> None:
        self.address, self.storage, self._log = f"127.0.0.1:{port}", storage, log
        self._process, self._port = process, port
        self._seen: list[tuple[str, str, int]] = []
        self._read = 0  # bytes of the log that they are from

    def push(self, image: Image | Index, name: str, *, tag: str = "latest") -> str:
        """Store IMAGE as repository NAME (`library/alpine`) under TAG, and return its digest."""
        with closing(http.client.HTTPConnection(self.address, timeout=30)) as connection:
            for each in image.images if isinstance(image, Index) else (image,):
                for digest, data in each.blobs.items():
                    _push_blob(connection, name, digest, data)
                if each is not image:
                    _push_manifest(connection, name, each.digest, each)
            _push_manifest(connection, name, tag, image)
        return image.digest

    def requests(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of all that has been asked so far, once the log has been quiet for 50 ms, and the
        registry has done with all connections that its clients have closed: what it writes to the log comes before."""
        size = -1
        while size != (size := self._log.stat().st_size) or self._is_behind():
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
        return any(port == self._port and state == _CLOSE_WAIT for port, state, _ in _sockets(self._process))

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
        yield Registry(process.pid, _port(process, log), storage, log)
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: pathlib.Path) -> int:
    """The port that the kernel has chosen for PROCESS, once it listens: nobody else can have taken it meanwhile."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        files = pathlib.Path(f"/proc/{process.pid}/fd")
        with suppress(OSError):  # it has just closed one
            own = {os.readlink(each) for each in files.iterdir()}
            for port, state, inode in _sockets(process.pid):
                if state == _LISTEN and f"socket:[{inode}]" in own:
                    return port
        time.sleep(0.02)
    raise RuntimeError(f"docker-registry does not listen: {log.read_text(errors='replace')}")


def _sockets(process: int) -> Iterator[tuple[int, str, str]]:
    """The local port, the state and the inode of each TCP socket of the network of PROCESS (proc(5))."""
    for line in pathlib.Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        yield int(fields[1].rpartition(":")[2], 16), fields[3], fields[9]
