"""Why a request to a registry failed, and what helps: one hint for each cause."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl

import urllib3

from mydocker.image.registry.hosts import without_credentials

# What OpenSSL reports, by version, of an answer that is not TLS: as a rule it is HTTP's "400 Bad Request".
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_NO_CLIENT = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")  # ends of an alert's name
_VERSIONS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST = (9,), (10,), (62, 63, 64)  # openssl-verification-options(1), X509_V_ERR_…

# The first that fits counts: RemoteDisconnected is a BadStatusLine, NameResolutionError once was a timeout.
_REASONS = (
    ((urllib3.exceptions.NameResolutionError, socket.gaierror), "its name does not resolve"),
    ((urllib3.exceptions.TimeoutError, TimeoutError), "timed out"),
    ((http.client.RemoteDisconnected,), "it hung up without an answer"),
    ((http.client.BadStatusLine,), "its answer is not HTTP"),
)
_NETWORK = "check the network of this machine; https_proxy names a proxy, if one is needed"


def cause_of(error: BaseException) -> BaseException:
    """What lies below the wrappers of requests and urllib3."""
    inner = getattr(error, "reason", None) or next((x for x in error.args if isinstance(x, BaseException)), None)
    return cause_of(inner) if isinstance(inner, BaseException) else error


def reason(error: BaseException) -> str:
    """Why a request failed, in a few lower-case words."""
    cause = _innermost(error)
    for kinds, words in _REASONS:
        if isinstance(cause, kinds):
            return words
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause)
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return "it does not speak TLS"
    if isinstance(cause, ssl.SSLEOFError):
        return "it ended the TLS connection"
    text = cause.strerror.lower() if isinstance(cause, OSError) and cause.strerror else str(cause)
    text = without_credentials(text)
    return ascii(text)[1:-1][:200] or type(cause).__name__


def hint(host: str, error: BaseException, *, is_registry: bool) -> str | None:
    """What helps against ERROR of a request to HOST, which IS_REGISTRY, or a server that it names."""
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate_hint(host, cause)
    if isinstance(cause, ssl.SSLError):
        why = _NO_CLIENT[0] if isinstance(cause, ssl.SSLEOFError) else cause.reason or ""
        return _tls_hint(host, why, is_registry=is_registry)
    if isinstance(cause, urllib3.exceptions.NameResolutionError | socket.gaierror):
        return f"check the spelling of {host}, and that this machine has a name server: /etc/resolv.conf"
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        return _NETWORK
    if isinstance(cause, ConnectionRefusedError):
        return f"no program listens at {host}: check the name and the port, and that the registry runs"
    if isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return _NETWORK
    return None


def _innermost(error: BaseException) -> BaseException:
    cause = cause_of(error)
    if isinstance(cause, urllib3.exceptions.NewConnectionError) and isinstance(cause.__cause__, OSError):
        return cause.__cause__
    return cause


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _EXPIRED:
        return "its certificate has expired"
    if error.verify_code in _NOT_YET_VALID:
        return "its certificate is not valid yet"
    if error.verify_code in _OTHER_HOST:
        return "its certificate is for another host"
    return f"its certificate is not trusted: {error.verify_message}"


def _certificate_hint(host: str, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _EXPIRED + _NOT_YET_VALID:
        return "check this machine's clock; if that is right, the registry needs a new certificate"
    if error.verify_code in _OTHER_HOST:
        return "use a name that the certificate is for, or have one issued for this name"
    return f"put its authority's certificate into /etc/containers/certs.d/{host}/ca.crt, or set REQUESTS_CA_BUNDLE"


def _tls_hint(host: str, why: str, *, is_registry: bool) -> str | None:
    if why in _NO_TLS and is_registry:
        return f'for a registry without TLS, write to registries.conf: [[registry]] location = "{host}" insecure = true'
    if why in _NO_TLS:
        return f"the registry names https://{host}, where no TLS is spoken"
    if why.endswith(_NO_CLIENT):
        return (
            f"if it demands a client's certificate, put client.cert and client.key into /etc/containers/certs.d/{host}"
        )
    if why.endswith(_VERSIONS):
        return "it offers no version of TLS that this machine's OpenSSL takes; openssl.cnf sets the lowest one"
    return None
