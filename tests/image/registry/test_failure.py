"""Why a registry cannot be reached: for each cause its own words, and its own hint."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Iterator

import pytest
from lab import hub as lab
from lab import hubclient
from lab.hubclient import PATIENT, Open

from mydocker.errors import RegistryError
from mydocker.image.registry.auth.credentials import Credentials
from mydocker.image.registry.auth.login import verify
from mydocker.image.registry.upload import UploadSession
from mydocker.reference import Reference

NAME = socket.gethostname()


@pytest.fixture
def connect(tmp_path: pathlib.Path) -> Iterator[Open]:
    with hubclient.serve() as hub, hubclient.opener(hub, tmp_path) as opener:
        yield opener


def _refusal(connect: Open, host: str, **environ: str) -> tuple[str, str]:
    with pytest.raises(RegistryError) as caught:
        connect(location=host, **environ).manifest("latest")
    assert caught.value.message.startswith(f"registry {host}: ")
    return caught.value.message.removeprefix(f"registry {host}: "), caught.value.hint or ""


PAGES = [b"<!DOCTYPE html><title>Log in</title>", b"\n <html>", b"<?xml version='1.0'?><Error/>"]


@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_is_no_registry(page: bytes, connect: Open, tmp_path: pathlib.Path) -> None:
    """A network with a login page answers everything so, with 200."""
    with lab.serve() as hub:
        hub.answer("registry", "/", lab.reply(page, {"Content-Type": "text/html"}))
        words, hint = _refusal(connect, hub.address)
        assert words == "answered with a web page, so it is no registry" and "login page" in hint
        with pytest.raises(RegistryError, match="web page"):
            verify(hub.address, Credentials(username="me", password="pw"), environ={"HOME": str(tmp_path)})
        target = UploadSession(Reference.parse(f"{hub.address}/a"), environ={"HOME": str(tmp_path)}, timeouts=PATIENT)
        with target, pytest.raises(RegistryError, match="web page"):
            target.put_manifest(b"{}", lab.MANIFEST, "v1")


def test_a_mirror_that_is_a_web_page_is_passed_over(connect: Open) -> None:
    with lab.serve() as mirror:
        mirror.answer("registry", "/", lab.reply(PAGES[0]))
        assert b"schemaVersion" in connect(mirrors=(mirror.address,)).manifest("latest")[0]
        assert mirror.requests


def test_a_registry_without_tls(connect: Open) -> None:
    with lab.serve(host=NAME) as plain:
        words, hint = _refusal(connect, plain.address)
    assert words == "it does not speak TLS"
    assert "registries.conf" in hint and f'location = "{plain.address}" insecure = true' in hint
    assert "certificate" not in hint


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("20200101000000Z", "20210101000000Z", "its certificate has expired"),
        ("20900101000000Z", "20910101000000Z", "its certificate is not valid yet"),
    ],
)
def test_a_certificate_out_of_date(connect: Open, tmp_path: pathlib.Path, start: str, end: str, words: str) -> None:
    certificate = lab.make_dated_certificate(tmp_path, NAME, start, end)
    with lab.serve(host=NAME, certificate=certificate) as hub:
        found, hint = _refusal(connect, hub.address, SSL_CERT_FILE=str(certificate))
    assert found == words
    assert "clock" in hint and "certs.d" not in hint


def test_a_certificate_for_another_host(connect: Open, tmp_path: pathlib.Path) -> None:
    certificate = lab.make_certificate(tmp_path, "other.example")
    with lab.serve(host=NAME, certificate=certificate) as hub:
        found, hint = _refusal(connect, hub.address, SSL_CERT_FILE=str(certificate))
    assert found == "its certificate is for another host"
    assert "name that the certificate is for" in hint


def test_a_certificate_of_an_unknown_authority(connect: Open, tmp_path: pathlib.Path) -> None:
    certificate = lab.make_certificate(tmp_path, NAME)
    with lab.serve(host=NAME, certificate=certificate) as hub:
        found, hint = _refusal(connect, hub.address)
    assert found.startswith("its certificate is not trusted: self-signed")
    assert f"certs.d/{hub.address}/ca.crt" in hint and "REQUESTS_CA_BUNDLE" in hint


def test_a_registry_that_demands_a_certificate(connect: Open, tmp_path: pathlib.Path) -> None:
    certificate = lab.make_certificate(tmp_path, NAME)
    with lab.serve(host=NAME, certificate=certificate, client=certificate) as hub:
        _, hint = _refusal(connect, hub.address, SSL_CERT_FILE=str(certificate))
    assert f"certs.d/{hub.address}" in hint and "client.cert" in hint


def test_no_program_listens(connect: Open) -> None:
    with socket.socket() as closed:  # it has the port, and does not listen
        closed.bind((socket.gethostbyname(NAME), 0))
        host = f"{NAME}:{closed.getsockname()[1]}"
        words, hint = _refusal(connect, host)
    assert words == "connection refused"
    assert f"no program listens at {host}" in hint


def test_a_name_that_does_not_resolve(connect: Open) -> None:
    words, hint = _refusal(connect, "registry.invalid")
    assert words == "its name does not resolve"
    assert "check the spelling of registry.invalid" in hint
