"""Registry against a fake Docker Hub: its dialogue, what is missing, what is not what it should be, mirrors."""

from __future__ import annotations

import hashlib
import json
import pathlib
import socket
import threading
from collections.abc import Iterator

import pytest
from lab import hub as lab
from lab import hubclient
from lab.hub import Hub
from lab.hubclient import DATA, DOCUMENT, Open, descriptor, fetch, login
from lab.registry import Registry as RealRegistry

from mydocker.errors import ImageError, ImageNotFoundError, RegistryError
from mydocker.image.model.manifest import Manifest, parse_manifest
from mydocker.image.registry.client import Registry
from mydocker.reference import Reference


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hubclient.serve() as running:
        yield running


@pytest.fixture
def connect(hub: Hub, tmp_path: pathlib.Path) -> Iterator[Open]:
    with hubclient.opener(hub, tmp_path) as opener:
        yield opener


# The dialogue


def test_an_anonymous_pull(hub: Hub, connect: Open) -> None:
    registry = connect()
    raw, content_type = registry.manifest("latest")
    assert (json.loads(raw), content_type) == (DOCUMENT, lab.MANIFEST)
    assert fetch(registry) == (0, DATA)
    (asked,) = hub.seen("auth")
    assert asked.query == {"service": [lab.SERVICE], "scope": ["repository:library/alpine:pull"]}
    assert "Authorization" not in asked.headers
    refused, answered, blob = hub.seen("registry", "/v2/library/alpine/")
    assert "Authorization" not in refused.headers
    assert answered.headers["Authorization"] == blob.headers["Authorization"] == "Bearer token-0"
    assert answered.headers["User-Agent"].startswith("mydocker/")
    assert answered.headers["Accept"].split(", ") == [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]


def test_the_blob_store_does_not_see_the_token(hub: Hub, connect: Open) -> None:
    fetch(connect())
    (seen,) = hub.seen("cdn")
    assert "Authorization" not in seen.headers
    assert seen.path.endswith("?signature=x%2Fy")


def test_a_token_that_has_expired_is_renewed(hub: Hub, connect: Open) -> None:
    registry = connect()
    registry.manifest("latest")
    hub.expire()
    assert fetch(registry) == (0, DATA)
    assert len(hub.seen("auth")) == 2


def test_a_users_token(hub: Hub, connect: Open) -> None:
    hub.users["me"] = "secret"
    connect(config=login(hub, "me", "secret")).manifest("latest")
    (asked,) = hub.seen("auth")
    assert asked.headers["Authorization"] == "Basic bWU6c2VjcmV0"
    assert asked.query["account"] == ["me"]


def test_a_wrong_password(hub: Hub, connect: Open) -> None:
    with pytest.raises(ImageNotFoundError) as caught:
        connect(config=login(hub, "me", "wrong")).manifest("latest")
    assert "log in again" in (caught.value.hint or "")
    assert "wrong" not in str(caught.value)


def test_an_identity_token_is_exchanged_in_the_body(hub: Hub, connect: Open) -> None:
    hub.answer("auth", "/token", lab.reply(b'{"access_token": "token-0"}'))
    config = {"auths": {hub.address: {"identitytoken": "refresh-me"}}}
    connect(config=config).manifest("latest")
    (asked,) = hub.seen("auth")
    assert asked.form["refresh_token"] == ["refresh-me"]
    assert asked.form["grant_type"] == ["refresh_token"]
    assert "refresh-me" not in asked.path


def test_basic_authorization(hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/v2/", lab.refusal(401, "UNAUTHORIZED", challenge='Basic realm="r"'), times=1)
    hub.answer("registry", "/v2/", lab.reply(b"{}"))
    assert connect(config=login(hub, "me", "secret")).manifest("latest")[0] == b"{}"
    assert hub.seen("registry")[-1].headers["Authorization"] == "Basic bWU6c2VjcmV0"


def test_several_threads_share_one_token(hub: Hub, connect: Open) -> None:
    registry, results = connect(), []
    threads = [threading.Thread(target=lambda: results.append(fetch(registry))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0, DATA)] * 6
    assert len(hub.seen("auth")) == 1


def test_a_real_registry(registry: RealRegistry) -> None:
    reference = Reference.parse(f"{registry.address}/library/alpine")
    with Registry(reference, environ={"HOME": "/nowhere"}) as opened:
        raw, content_type = opened.manifest("latest")
        manifest = parse_manifest(raw, content_type=content_type)
        assert isinstance(manifest, Manifest)
        _, config = fetch(opened, wanted=manifest.config)
        start, rest = fetch(opened, wanted=manifest.layers[0], offset=100)
        assert hashlib.sha256(config).hexdigest() == manifest.config.digest.hex
        assert (start, len(rest)) == (100, manifest.layers[0].size - 100)
        with pytest.raises(ImageNotFoundError, match="not found in registry 127"):
            opened.manifest("nope")


# What is missing or refused


def test_a_tag_that_does_not_exist(hub: Hub, connect: Open) -> None:
    with pytest.raises(ImageNotFoundError) as caught:
        connect("alpine:nope").manifest("nope")
    assert caught.value.message == f"image alpine:nope: not found in registry {hub.address}"
    assert caught.value.hint == "manifest_unknown"


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_denied_may_not_exist(status: int, hub: Hub, connect: Open) -> None:
    denied = lab.refusal(status, "DENIED", "requested \x1b[2J\x07 access")
    hub.answer("registry", "/manifests/", denied)
    with pytest.raises(ImageNotFoundError) as caught:
        connect().manifest("latest")
    assert f"does not exist, or needs a login: mydocker login {hub.address}" in (caught.value.hint or "")


def test_error_bodies_are_escaped_and_bounded(hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.refusal(400, "X", "\x1b[2J\r\x9b31m" + "é" * 10_000))
    with pytest.raises(RegistryError, match="HTTP status 400") as caught:
        connect().manifest("latest")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"errors": [7]}', b'{"errors": []}', b"[" * 50_000, b"\xff"])
def test_any_error_body_will_do(body: bytes, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.reply(body, status=418))
    with pytest.raises(RegistryError, match="HTTP status 418"):
        connect().manifest("latest")


# Content that is not what it should be


def test_a_manifest_is_held_against_its_digest(hub: Hub, connect: Open) -> None:
    digest = hub.tag(DOCUMENT)
    assert connect().manifest(digest)[0] == json.dumps(DOCUMENT).encode()
    lying = lab.reply(b'{"schemaVersion": 2}', {"Docker-Content-Digest": digest})
    hub.answer("registry", f"/manifests/{digest}", lying)
    other = lab.digest_of(b'{"schemaVersion": 2}')
    with pytest.raises(ImageError, match=f"{other}, not {digest}"):
        connect().manifest(digest)


def test_a_lying_digest_header_changes_nothing(hub: Hub, connect: Open) -> None:
    digest = hub.tag(DOCUMENT)
    raw = json.dumps(DOCUMENT).encode()
    hub.answer("registry", "/manifests/", lab.reply(raw, {"Docker-Content-Digest": "sha256:" + "0" * 64}))
    assert connect().manifest(digest)[0] == raw


@pytest.mark.parametrize("chunked", [False, True])
def test_a_manifest_of_200_megabytes(chunked: bool, hub: Hub, connect: Open) -> None:
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 209715200"
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n" if chunked else b" " * 65536
    hub.answer("registry", "/manifests/", lab.endless(piece, start=b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n"))
    with pytest.raises(RegistryError, match="manifest: .* sends more than 4194304 bytes"):
        connect().manifest("latest")


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 0])
def test_a_blob_of_another_size_is_not_read(size: int, connect: Open) -> None:
    with pytest.raises(ImageError, match=f"the registry sends {len(DATA)} bytes, its manifest says {size}"):
        connect().open_blob(descriptor(size=size))


def chunked(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(DATA + b"x", "longer than its manifest says"), (DATA[:-1], "ended 1 bytes early")],
    ids=["long", "short"],
)
def test_a_blob_of_unknown_length_is_measured(sent: bytes, reason: str, hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lambda handler: handler.wfile.write(chunked(sent)) and None)
    with pytest.raises(ImageError, match=reason):
        fetch(connect())


def test_a_content_encoding_is_not_undone(hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lab.reply(DATA, {"Content-Encoding": "gzip"}))
    assert fetch(connect()) == (0, DATA)
    assert hub.seen("cdn")[0].headers["Accept-Encoding"] == "identity"


# Resuming


def test_a_download_is_resumed_where_it_stopped(hub: Hub, connect: Open) -> None:
    assert fetch(connect(), offset=1000) == (1000, DATA[1000:])
    assert hub.seen("cdn")[0].headers["Range"] == f"bytes=1000-{len(DATA) - 1}"


def test_a_server_without_ranges_sends_all(hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lab.reply(DATA))
    assert fetch(connect(), offset=1000) == (0, DATA)


@pytest.mark.parametrize(
    "content_range",
    ["bytes 999-{end}/{size}", "bytes 1000-{end}/5", "bytes 1000-1001/{size}", "bytes */{size}", "", "x"],
)
def test_another_part_than_was_asked_for_is_not_used(content_range: str, hub: Hub, connect: Open) -> None:
    wrong = content_range.format(end=len(DATA) - 1, size=len(DATA))
    hub.answer("cdn", "/", lab.reply(DATA[999:], {"Content-Range": wrong}, status=206), times=1)
    assert fetch(connect(), offset=1000) == (0, DATA)
    assert "Range" not in hub.seen("cdn")[1].headers


def test_a_range_that_is_refused(hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lab.reply(b"", status=416), times=1)
    assert fetch(connect(), offset=1000) == (0, DATA)


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 5])
def test_nothing_left_to_resume_starts_anew(offset: int, connect: Open) -> None:
    assert fetch(connect(), offset=offset) == (0, DATA)


def test_a_connection_lost_at_half(hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lab.broken_off(DATA, after=len(DATA) // 2), times=1)
    registry, received = connect(), b""
    with registry.open_blob(descriptor()) as stream, pytest.raises(RegistryError, match="broke off|early"):
        while True:
            received += stream.read(1000)
    assert DATA.startswith(received) and len(received) > len(DATA) // 2 - 1000
    assert fetch(registry, offset=len(received)) == (len(received), DATA[len(received) :])


# Mirrors


def test_a_mirror_is_asked_first(hub: Hub, connect: Open) -> None:
    with lab.serve() as mirror:
        mirror.tag({**DOCUMENT, "mirrored": True})
        registry = connect(mirrors=(f"{mirror.address}/hub",))
        assert json.loads(registry.manifest("latest")[0])["mirrored"]
        assert mirror.seen("registry", "/v2/hub/library/alpine/manifests/latest")
    assert not hub.requests


def test_mirrors_that_fail_are_passed_over(hub: Hub, connect: Open) -> None:
    with lab.serve() as empty, lab.serve() as lying, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        digest = hub.tag(DOCUMENT)
        lying.answer("registry", "/manifests/", lab.reply(b"{}"))
        mirrors = (f"127.0.0.1:{closed.getsockname()[1]}", empty.address, lying.address)
        assert connect(mirrors=mirrors).manifest(digest)[0] == json.dumps(DOCUMENT).encode()


def test_credentials_are_for_one_server_each(hub: Hub, connect: Open) -> None:
    hub.users["me"] = "secret"
    with lab.serve() as mirror:
        connect(mirrors=(mirror.address,), config=login(hub, "me", "secret")).manifest("latest")
        assert all("Authorization" not in seen.headers for seen in mirror.seen("auth"))
    assert hub.seen("auth")[0].headers["Authorization"].startswith("Basic")
