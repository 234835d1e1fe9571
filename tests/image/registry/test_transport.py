"""Transport, through Registry: servers that fail, crawl, mislead or want what is not theirs."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import socket
import tempfile
import time
from collections.abc import Iterator

import pytest
from lab import hub as lab
from lab import hubclient
from lab.hub import Hub
from lab.hubclient import DATA, DOCUMENT, IMPATIENT, PATIENT, Open, descriptor, fetch, login

from mydocker.errors import ImageError, ImageNotFoundError, RegistryError
from mydocker.image.registry.http import certs


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hubclient.serve() as running:
        yield running


@pytest.fixture
def connect(hub: Hub, tmp_path: pathlib.Path) -> Iterator[Open]:
    with hubclient.opener(hub, tmp_path) as opener:
        yield opener


@pytest.fixture
def impatient(hub: Hub, tmp_path: pathlib.Path) -> Iterator[Open]:
    """Soon weary of a server that sends nothing, or little."""
    with hubclient.opener(hub, tmp_path, timeouts=IMPATIENT) as opener:
        yield opener


@pytest.fixture
def secure(tmp_path: pathlib.Path) -> Iterator[tuple[Hub, pathlib.Path]]:
    """A hub with TLS under this machine's own name, and the certificate that it has signed itself."""
    name = socket.gethostname()
    certificate = lab.make_certificate(tmp_path, name)
    with lab.serve(host=name, certificate=certificate) as running:
        running.tag(DOCUMENT)
        running.add(DATA)
        yield running, certificate


# Servers that fail for a while, or for ever


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failure_that_passes(status: int, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.reply(b"", {"Retry-After": "0"}, status=status), times=2)
    assert json.loads(connect().manifest("latest")[0]) == DOCUMENT


@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_for_ever(status: int, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.reply(b"", {"Retry-After": "86400"}, status=status))
    with pytest.raises(RegistryError, match=f"HTTP status {status}"):
        connect().manifest("latest")
    assert len(hub.seen("registry", "/manifests/")) == PATIENT.attempts


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "soon", "-1", "9" * 5000, "1e9", "\xb2"])
def test_no_retry_after_keeps_us_waiting(date: str, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.reply(b"", {"Retry-After": date}, status=429), times=1)
    started = time.monotonic()
    connect().manifest("latest")
    assert time.monotonic() - started < 100  # a day, or more, is what it asks for


def test_a_connection_that_is_hung_up_is_made_again(hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/manifests/", lab.hang_up, times=2)
    assert json.loads(connect().manifest("latest")[0]) == DOCUMENT


def test_a_registry_that_is_not_there(connect: Open) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RegistryError, match=f"(?m)^registry {address}: connection refused$"):
            connect(location=address).manifest("latest")


def test_a_name_that_does_not_resolve(connect: Open) -> None:
    with pytest.raises(RegistryError, match="(?m)^registry r.invalid: its name does not resolve$"):
        connect(location="r.invalid").manifest("latest")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lab.hang_up, "it hung up without an answer"),
        (lab.reply(b"", status=500), "HTTP status 500"),
        (lab.endless(b"\x1b[2J\r\n"), "its answer is not HTTP"),
        (lab.dripping(b"HTTP/1.1 "), "timed out"),
    ],
    ids=["hang up", "status", "noise", "slow"],
)
def test_failures_in_plain_words(answer: lab.Answer, reason: str, hub: Hub, connect: Open, impatient: Open) -> None:
    hub.answer("registry", "/manifests/", answer)
    with pytest.raises(RegistryError, match=f"(?m)^registry {hub.address}: {reason}$"):
        (impatient if reason == "timed out" else connect)().manifest("latest")


def test_a_proxy_that_is_not_there(secure: tuple[Hub, pathlib.Path], connect: Open) -> None:
    with pytest.raises(RegistryError, match=": the proxy failed: connection refused\n") as caught:
        connect(location=secure[0].address, https_proxy="http://127.0.0.1:1").manifest("latest")
    assert "HTTPS_PROXY" in (caught.value.hint or "")
    assert not secure[0].requests


@pytest.mark.parametrize(
    "answer",
    [
        lab.dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        lab.dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"),
        lab.dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        lab.dripping(b""),
        lab.endless(b"X-A: b\r\n", start=b"HTTP/1.1 200 OK\r\n"),
        lab.endless(b"x" * 1000, start=b"HTTP/1.1 200 OK\r\nX-Long: "),
        lab.endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda handler: time.sleep(3),
    ],
    ids=["slow body", "slow chunk", "slow header", "slow status", "headers", "long header", "continue", "silence"],
)
@pytest.mark.parametrize("server", ["registry", "auth", "cdn"])
def test_a_server_that_holds_us(server: str, answer: lab.Answer, hub: Hub, impatient: Open) -> None:
    """All but the last one would for ever."""
    hub.answer(server, {"registry": "/blobs/", "auth": "/token", "cdn": "/"}[server], answer)
    with pytest.raises(ImageError):
        fetch(impatient())


def test_a_slow_reader_is_not_a_slow_server(hub: Hub, tmp_path: pathlib.Path) -> None:
    timeouts = PATIENT.replace(grace=3, rate=1 << 30)
    with hubclient.opener(hub, tmp_path, timeouts=timeouts) as connect, connect().open_blob(descriptor()) as stream:
        received = stream.read(1000)
        time.sleep(timeouts.grace + 0.5)
        while piece := stream.read(100_000):
            received += piece
    assert received == DATA


# Redirects and realms


def test_redirects_end(hub: Hub, connect: Open) -> None:
    hub.answer("cdn", "/", lab.redirect("/again"))
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        fetch(connect())
    assert len(hub.seen("cdn")) == 5


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("file:///etc/passwd", "no usable address"),
        ("http://user:pass@127.0.0.1/", "no usable address"),
        ("http://[", "no usable address"),
        ("http://" + "a" * 70 + "/", "registry a"),
        ("http://..%00/", "registry ..%00"),
        ("http://127.0.0.1:1/\x7f \xff", "connection refused"),
    ],
)
def test_redirects_that_are_not_followed(target: str, reason: str, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/blobs/", lab.redirect(target))
    with pytest.raises(RegistryError, match=reason):
        fetch(connect())


def test_the_blob_store_cannot_ask_for_credentials(hub: Hub, connect: Open) -> None:
    hub.users["me"] = "secret"
    registry = connect(config=login(hub, "me", "secret"))
    registry.manifest("latest")
    hub.answer("cdn", "/", lab.refusal(401, "X", challenge=f'Bearer realm="{hub.url("cdn")}/token"'))
    with pytest.raises(RegistryError):
        fetch(registry)
    assert [seen.path for seen in hub.seen("cdn", "/token")] == []
    assert len(hub.seen("auth")) == 1


def test_a_foreign_realm_gets_no_credentials(hub: Hub, connect: Open) -> None:
    elsewhere = hub.url("cdn")  # localhost is another name than 127.0.0.1
    hub.challenge = f'Bearer realm="{elsewhere}/token",service="s"'
    hub.answer("cdn", "/token", lab.refusal(401, "UNAUTHORIZED"))
    with pytest.raises(ImageNotFoundError) as caught:
        connect(config=login(hub, "me", "secret")).manifest("latest")
    assert "not its own site: no credentials were sent" in (caught.value.hint or "")
    (asked,) = hub.seen("cdn", "/token")
    assert "Authorization" not in asked.headers and "account" not in asked.query


@pytest.mark.parametrize("realm", ["http://169.254.169.254/token", "/token", "gopher://x/", "http://[::1", ""])
def test_realms_that_are_no_token_servers(realm: str, hub: Hub, connect: Open) -> None:
    hub.challenge = f'Bearer realm="{realm}"'
    with pytest.raises(ImageError):
        connect().manifest("latest")


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\r\\nX-Evil: 1"}', b'{"token": "\\u00e9"}', b"[" * 200_000],
)
def test_tokens_that_are_none(answer: bytes, hub: Hub, connect: Open) -> None:
    hub.answer("auth", "/token", lab.reply(answer))
    with pytest.raises(ImageError, match=f"token of {hub.addresses['auth']}"):
        connect().manifest("latest")


def test_netrc_and_cookies_are_not_used(hub: Hub, connect: Open, tmp_path: pathlib.Path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    hub.answer("registry", "/manifests/", lab.refusal(401, "X", challenge='Basic realm="r"'), times=1)
    with pytest.raises(ImageNotFoundError):
        connect().manifest("latest")
    hub.answer("cdn", "/", lab.reply(DATA, {"Set-Cookie": "id=1"}), times=1)
    registry = connect()
    assert fetch(registry) == fetch(registry)
    assert not [seen for seen in hub.requests if "Cookie" in seen.headers]
    assert not [seen for seen in hub.requests if seen.headers.get("Authorization", "").startswith("Basic")]


# TLS


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_https_with_an_authority_of_the_users(variable: str, secure: tuple[Hub, pathlib.Path], connect: Open) -> None:
    hub, certificate = secure
    registry = connect(location=hub.address, **{variable: str(certificate)})
    registry.manifest("latest")
    assert fetch(registry) == (0, DATA)


def _certs(directory: pathlib.Path, hub: Hub, certificate: pathlib.Path, *names: str) -> dict[str, str]:
    """An environment with a certs.d for the hub, in which CERTIFICATE has NAMES."""
    place = directory / "user" / "containers" / "certs.d" / hub.address
    place.mkdir(parents=True)
    for name in names:
        (place / name).write_bytes(certificate.read_bytes())
    return {"XDG_CONFIG_HOME": str(directory / "user")}


def test_https_with_the_authority_of_certs_d(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path
) -> None:
    hub, certificate = secure
    registry = connect(location=hub.address, **_certs(tmp_path, hub, certificate, "ca.crt"))
    registry.manifest("latest")


def test_the_authority_of_one_registry_is_nobody_else_s(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path
) -> None:
    hub, certificate = secure
    environ = _certs(tmp_path, hub, certificate, "ca.crt")
    place = tmp_path / "user" / "containers" / "certs.d"
    (place / hub.address).rename(place / "other.example:443")
    with pytest.raises(RegistryError, match="not trusted"):
        connect(location=hub.address, **environ).manifest("latest")


@pytest.mark.parametrize(("names", "works"), [(("ca.crt",), False), (("ca.crt", "me.cert", "me.key"), True)])
def test_a_client_s_certificate(connect: Open, tmp_path: pathlib.Path, names: tuple[str, ...], works: bool) -> None:
    name = socket.gethostname()
    certificate = lab.make_certificate(tmp_path, name)
    with lab.serve(host=name, certificate=certificate, client=certificate) as hub:
        hub.tag(DOCUMENT)
        registry = connect(location=hub.address, **_certs(tmp_path, hub, certificate, *names))
        if works:
            registry.manifest("latest")
        else:
            with pytest.raises(RegistryError):
                registry.manifest("latest")
            assert not hub.requests


@pytest.mark.parametrize(("name", "words"), [("bad.crt", "bad.crt"), ("me.cert", "me.cert")])
def test_a_file_of_certs_d_that_cannot_be_used(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path, name: str, words: str
) -> None:
    hub, _ = secure
    (tmp_path / "junk").write_bytes(b"junk")
    environ = _certs(tmp_path, hub, tmp_path / "junk", name, "me.key")
    with pytest.raises(ImageError, match=words):
        connect(location=hub.address, warn=print, **environ).manifest("latest")


def test_a_link_of_certs_d_to_nowhere_is_reported(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path
) -> None:
    hub, certificate = secure
    environ = _certs(tmp_path, hub, certificate, "ca.crt", "me.cert")
    place = tmp_path / "user" / "containers" / "certs.d" / hub.address
    (place / "gone.crt").symlink_to("/nonexistent")
    reported: list[str] = []
    connect(location=hub.address, warn=reported.append, **environ).manifest("latest")
    assert reported == [
        f"cannot use {place}/{name}: No such file or directory" for name in ("gone.crt", f"me.cert with {place}/me.key")
    ]


@pytest.mark.root
@pytest.mark.parametrize("name", [".", "ca.crt", "me.cert", "me.key"])
def test_certificates_that_are_not_the_users_to_read(name: str, user: pwd.struct_passwd) -> None:
    """Only root may have a client's key, while others pull what everybody may."""
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory) / "containers" / "certs.d" / "r.io"
        place.mkdir(parents=True)
        pathlib.Path(directory).chmod(0o755)
        pem = lab.make_certificate(place, "r.io")
        for each in ("ca.crt", "me.cert", "me.key"):
            (place / each).write_bytes(pem.read_bytes())
            (place / each).chmod(0o644)
        (place / name).chmod(0o600)
        reported: list[str] = []
        os.seteuid(user.pw_uid)
        try:
            assert certs.context("r.io", environ={"XDG_CONFIG_HOME": directory}, client=True, warn=reported.append)
            with pytest.raises(ImageError) as caught:
                certs.context("r.io", environ={"XDG_CONFIG_HOME": directory}, client=True)
        finally:
            os.seteuid(0)
        assert reported == [caught.value.message] and reported[0].endswith(": Permission denied")


def test_https_with_an_unknown_authority(secure: tuple[Hub, pathlib.Path], connect: Open) -> None:
    hub, _ = secure
    with pytest.raises(RegistryError, match="its certificate is not trusted: self-signed") as caught:
        connect(location=hub.address).manifest("latest")
    assert "REQUESTS_CA_BUNDLE" in (caught.value.hint or "")
    assert not hub.requests


def test_a_file_of_authorities_that_is_missing(secure: tuple[Hub, pathlib.Path], connect: Open) -> None:
    with pytest.raises(RegistryError, match="/nowhere.pem"):
        connect(location=secure[0].address, SSL_CERT_FILE="/nowhere.pem").manifest("latest")


def test_https_never_steps_down(secure: tuple[Hub, pathlib.Path], hub: Hub, connect: Open) -> None:
    encrypted, certificate = secure
    encrypted.answer("registry", "/blobs/", lab.redirect(f"{hub.url('cdn')}/x"))
    with pytest.raises(RegistryError, match="redirects from https to 'http'"):
        registry = connect(location=encrypted.address, SSL_CERT_FILE=str(certificate))
        registry.manifest("latest")
        fetch(registry)
    assert not hub.requests


def test_a_registry_without_tls_is_not_asked_unless_insecure(hub: Hub, connect: Open) -> None:
    with lab.serve(host=socket.gethostname()) as plain:
        plain.tag(DOCUMENT)
        with pytest.raises(RegistryError):
            connect(location=plain.address).manifest("latest")
        assert not plain.requests
        assert connect(location=f'{plain.address}"\ninsecure=true\n#"').manifest("latest")[1] == lab.MANIFEST


def test_a_loopback_registry_may_sign_itself(tmp_path: pathlib.Path, connect: Open) -> None:
    certificate = lab.make_certificate(tmp_path, "other.example")
    with lab.serve(certificate=certificate) as running:
        running.answer("registry", "/manifests/", lab.reply(b"{}"))
        assert connect(location=running.address).manifest("latest")[0] == b"{}"
