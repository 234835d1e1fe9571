"""Through a proxy: what it gets to see, and what it must not."""

from __future__ import annotations

import base64
import pathlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from lab import hub as lab
from lab import hubclient
from lab.hub import Hub
from lab.hubclient import DATA, DOCUMENT, Open, fetch

from mydocker.errors import RegistryError
from mydocker.image.registry.http.proxies import proxy_for

HOST = socket.gethostname()  # loopback's own names go to no proxy


class Proxy(ThreadingHTTPServer):
    """`seen` has the method, the target and the headers of each request; it wants PASSWORD if there is one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, password: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.password = password
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def handle_error(self, *_: object) -> None:
        pass  # tunnels end as they end


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _let_in(self) -> bool:
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        wanted = f"Basic {base64.b64encode(self.server.password.encode()).decode()}"
        if self.server.password and self.headers.get("Proxy-Authorization") != wanted:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False
        return True

    def do_CONNECT(self) -> None:
        if not self._let_in():
            return
        host, _, port = self.path.rpartition(":")
        self.close_connection = True
        with socket.create_connection((host, int(port)), timeout=100) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(there, self.connection), daemon=True)
            back.start()
            _copy(self.connection, there)
            back.join(100)

    def do_GET(self) -> None:
        if not self._let_in():
            return
        url = urlsplit(self.path)
        onward = HTTPConnection(url.netloc, timeout=100)
        headers = {name: text for name, text in self.headers.items() if not name.startswith("Proxy-")}
        onward.request("GET", f"{url.path}?{url.query}" if url.query else url.path, headers=headers)
        answer = onward.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name not in ("Date", "Server"):
                self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)
        onward.close()

    def log_message(self, *_: object) -> None:
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def _proxy(password: str = "") -> Iterator[Proxy]:
    with Proxy(password) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def plain() -> Iterator[Hub]:
    """A hub without TLS, under this machine's own name."""
    with lab.serve(host=HOST) as running:
        running.tag(DOCUMENT)
        running.add(DATA)
        running.users["me"] = "secret"
        running.addresses["cdn"] = running.addresses["cdn"].replace("localhost", HOST)
        yield running


@pytest.fixture
def secure(tmp_path: pathlib.Path) -> Iterator[tuple[Hub, pathlib.Path]]:
    certificate = lab.make_certificate(tmp_path, HOST)
    with lab.serve(host=HOST, certificate=certificate) as running:
        running.tag(DOCUMENT)
        running.add(DATA)
        running.users["me"] = "secret"
        yield running, certificate


@pytest.fixture
def connect(tmp_path: pathlib.Path) -> Iterator[Open]:
    with hubclient.opener(Hub(), tmp_path) as opener:
        yield opener


def _insecure(hub: Hub) -> str:
    return f'{hub.address}"\ninsecure=true\n#'


def _address(proxy: Proxy, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{proxy.server_port}"


def _requests(hub: Hub) -> list[dict[str, str]]:
    return [seen.headers for seen in hub.requests]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_http_goes_through_the_proxy(plain: Hub, connect: Open, variable: str) -> None:
    """Without TLS a proxy sees all; still, what is for the proxy goes no further, and nothing goes around it."""
    with _proxy("us:er") as proxy:
        environ = {variable: _address(proxy, "us:er@"), "https_proxy": _address(proxy, "us:er@")}
        registry = connect(location=_insecure(plain), config=hubclient.login(plain, "me", "secret"), **environ)
        registry.manifest("latest")
        assert fetch(registry) == (0, DATA)
        forwarded = [path for method, path, _ in proxy.seen if method == "GET"]
        assert len(forwarded) == len(plain.requests) and {urlsplit(path).netloc for path in forwarded} == {
            plain.addresses[role] for role in ("registry", "auth", "cdn")
        }
    assert not [headers for headers in _requests(plain) if "Proxy-Authorization" in headers]


def test_https_shows_a_proxy_no_more_than_the_host(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path
) -> None:
    hub, certificate = secure
    with _proxy("us:er") as proxy:
        environ = {"https_proxy": _address(proxy, "us:er@"), "SSL_CERT_FILE": str(certificate)}
        registry = connect(location=hub.address, config=hubclient.login(hub, "me", "secret"), **environ)
        registry.manifest("latest")
        assert fetch(registry) == (0, DATA)
        assert {(method, path) for method, path, _ in proxy.seen} == {
            ("CONNECT", hub.addresses[role]) for role in ("registry", "auth", "cdn")
        }
        assert not [headers for _, _, headers in proxy.seen if "Authorization" in headers or "Cookie" in headers]
    assert hub.seen("auth")[0].headers["Authorization"].startswith("Basic ")
    assert not [headers for headers in _requests(hub) if "Proxy-Authorization" in headers]


def test_a_proxy_cannot_stand_in_for_the_registry(
    secure: tuple[Hub, pathlib.Path], connect: Open, tmp_path: pathlib.Path
) -> None:
    """Certificates are checked through the tunnel as well."""
    hub, _ = secure
    with _proxy() as proxy:
        with pytest.raises(RegistryError, match="its certificate is not trusted"):
            connect(location=hub.address, https_proxy=_address(proxy)).manifest("latest")
        assert [method for method, _, _ in proxy.seen] == ["CONNECT"]
    assert not hub.requests


@pytest.mark.parametrize("names", [HOST, f"x.example,{HOST}", "*"])
def test_no_proxy_for_the_hosts_that_are_named(secure: tuple[Hub, pathlib.Path], connect: Open, names: str) -> None:
    hub, certificate = secure
    with _proxy() as proxy:
        environ = {"https_proxy": _address(proxy), "NO_PROXY": names, "SSL_CERT_FILE": str(certificate)}
        registry = connect(location=hub.address, **environ)
        registry.manifest("latest")
        assert fetch(registry) == (0, DATA) and proxy.seen == []


@pytest.mark.parametrize("user", ["", "us:wrong-password@"])
def test_a_proxy_that_refuses_is_named_and_no_password_is(
    secure: tuple[Hub, pathlib.Path], connect: Open, user: str
) -> None:
    hub, certificate = secure
    with _proxy("us:er") as proxy, pytest.raises(RegistryError, match="407") as caught:
        environ = {"https_proxy": _address(proxy, user), "SSL_CERT_FILE": str(certificate)}
        connect(location=hub.address, **environ).manifest("latest")
    assert "HTTPS_PROXY" in (caught.value.hint or "") and "wrong-password" not in f"{caught.value}{caught.value.hint}"
    assert not hub.requests


def test_a_registry_on_loopback_needs_no_proxy(connect: Open) -> None:
    with _proxy() as proxy, lab.serve() as near:
        near.tag(DOCUMENT)
        addresses = {"http_proxy": _address(proxy), "https_proxy": _address(proxy)}
        connect(location=near.address, **addresses).manifest("latest")
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("rules", "excepted", "others"),
    [
        ("10.0.0.0/8", ["10.1.2.3", "10.1.2.3:5000", "[::ffff:10.1.2.3]"], ["11.0.0.1", "10.example.com", "[fd00::1]"]),
        ("10.1.2.3/8", ["10.255.0.1"], ["11.0.0.1"]),
        ("0.0.0.0/0", ["8.8.8.8"], ["r.io", "[2001:db8::1]"]),
        ("fd00::/8", ["[fd00::1]", "[fdff::1]:5000"], ["[fe80::1]", "10.0.0.1"]),
        ("10.0.0.0/33,10.0.0.0/x,10.0.0.0/255.0.0.0", [], ["10.0.0.1"]),
        ("*", ["r.io", "10.0.0.1", "[fd00::1]:5000"], []),
        (" x.org , * ", ["r.io"], []),
        ("*.example.com", ["r.example.com", "a.b.example.com:5000"], ["example.com", "badexample.com"]),
        (".example.com", ["r.example.com"], ["example.com", "badexample.com"]),
        ("example.com", ["example.com", "r.example.com", "EXAMPLE.com:5000"], ["badexample.com", "example.com.org"]),
        ("Example.COM", ["r.example.com"], []),
        ("example.com:5000", ["example.com:5000", "r.example.com:5000"], ["example.com", "example.com:5001"]),
        ("example.com:443", ["example.com", "example.com:443"], ["example.com:444"]),
        ("*.example.com:443", ["r.example.com"], ["r.example.com:5000"]),
        ("fd00::1", ["[fd00::1]", "[fd00::1]:5000", "[fd00:0:0::1]"], ["[fd00::2]"]),
        ("[fd00::1]", ["[fd00::1]", "[fd00::1]:5000"], ["[fd00::2]"]),
        ("[fd00::1]:5000", ["[fd00::1]:5000"], ["[fd00::1]", "[fd00::1]:5001"]),
        ("10.0.0.1", ["10.0.0.1", "10.0.0.1:5000", "[::ffff:10.0.0.1]"], ["10.0.0.2", "10.0.0.10"]),
        ("10.0.0.1:5000", ["10.0.0.1:5000"], ["10.0.0.1"]),
        ("::ffff:10.0.0.1", ["10.0.0.1"], []),
        ("a.org,,b.org, c.org", ["a.org", "b.org", "c.org"], ["d.org"]),
        ("a.org b.org", [], ["a.org", "b.org"]),
        (":5000,.,*.,/,:,[,]", [], ["r.io:5000", "r.io"]),
        ("", [], ["r.io"]),
        ("bücher.example", ["xn--bcher-kva.example", "r.xn--bcher-kva.example", "BÜCHER.example"], ["bucher.example"]),
        ("*.xn--bcher-kva.example", ["r.bücher.example"], ["bücher.example"]),
        ("a..bücher", [], ["r.io"]),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_which_hosts_need_no_proxy(rules: str, excepted: list[str], others: list[str], variable: str) -> None:
    """The rules of golang.org/x/net/http/httpproxy; brackets without a port are taken as well."""
    environ = {"HTTPS_PROXY": "http://p:3128", variable: rules}
    assert [proxy_for(f"https://{host}/v2/", environ=environ) for host in excepted] == [None] * len(excepted)
    assert [proxy_for(f"https://{host}/v2/", environ=environ) for host in others] == ["http://p:3128"] * len(others)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000", "[::ffff:127.0.0.1]"]
)
def test_loopback_is_never_asked_through_a_proxy(host: str) -> None:
    assert proxy_for(f"https://{host}/v2/", environ={"HTTPS_PROXY": "http://p:3128", "ALL_PROXY": "p"}) is None


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        ({"https_proxy": "p"}, "http://p"),
        ({"HTTPS_PROXY": "me:pw@p:3128"}, "http://me:pw@p:3128"),
        ({"HTTPS_PROXY": " http://p:3128/ "}, "http://p:3128/"),
        ({"HTTPS_PROXY": "HTTPS://p:3128"}, "HTTPS://p:3128"),
        ({"HTTPS_PROXY": "[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ({"HTTPS_PROXY": "http://a%40b:p%2Fw@p:3128"}, "http://a%40b:p%2Fw@p:3128"),
        ({"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, "http://upper"),
        ({"HTTPS_PROXY": "", "https_proxy": "http://lower"}, "http://lower"),
        ({"ALL_PROXY": "http://all", "https_proxy": "http://lower"}, "http://lower"),
        ({"HTTP_PROXY": "http://p"}, None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "", "no_proxy": "r.io"}, None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "x.io", "no_proxy": "r.io"}, "http://p"),
        ({"HTTPS_PROXY": "http://p:99999", "NO_PROXY": "r.io"}, None),
    ],
)
def test_which_proxy_the_environment_names(environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for("https://r.io/v2/", environ=environ) == proxy


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}, None),
        ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET", "http_proxy": "http://p"}, "http://p"),
        ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET", "ALL_PROXY": "http://all"}, "http://all"),
        ({"HTTP_PROXY": "http://p", "REQUEST_METHOD": ""}, "http://p"),
    ],
)
def test_what_a_client_of_a_cgi_program_sends_is_no_proxy(environ: dict[str, str], proxy: str | None) -> None:
    """Its header `Proxy` is HTTP_PROXY there, and no header can be HTTPS_PROXY or http_proxy."""
    assert proxy_for("http://r.io/v2/", environ=environ) == proxy
    environ = {**environ, "HTTPS_PROXY": "http://s"}
    assert proxy_for("https://r.io/v2/", environ=environ) == "http://s"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://us:s3cret@p:99999", "not the address of a proxy"),
        ("http://us:s3cret@p:x", "not the address of a proxy"),
        ("http://us:s3cret@p:0", "not the address of a proxy"),
        ("http://us:s3cret@", "not the address of a proxy"),
        ("http://us:s3cret@[fd00::1", "not the address of a proxy"),
        ("http://us:s3cret/x@p:3128", "not the address of a proxy"),
        ("http://us:s3cret#x@p:3128", "not the address of a proxy"),
        ("http://us:s3cret?x@p:3128", "not the address of a proxy"),
        ("http://us:1/s3cret@p:3128", "not the address of a proxy"),
        ("http://us:1?s3cret@p:3128", "not the address of a proxy"),
        ("http://us:s3cret x@p:3128", "not the address of a proxy"),
        ("us:s3cret@p:99999", "not the address of a proxy"),
        ("socks5://us:s3cret@p:1080", "'socks5' is not supported"),
        ("SOCKS5H://us:s3cret@p:1080", "'socks5h' is not supported"),
        ("socks4://us:s3cret@p:1080", "'socks4' is not supported"),
        ("ftp://us:s3cret@p", "'ftp' is not supported"),
        ("us:s3cret@x://p", "is not supported"),
        ("http://us:s3cret@p.invalid:3128", "r.example.com: "),
        ("http://us:s3cret@p\\q:3128", "not the address of a proxy"),
        ("http://us:s3%zzcret@p.invalid:3128", "r.example.com: "),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_error_has_the_password_of_a_proxy(address: str, said: str, variable: str, connect: Open) -> None:
    with pytest.raises(RegistryError, match=said) as caught:
        connect(location="r.example.com", **{variable: address}).manifest("latest")
    words = f"{caught.value} {caught.value.hint}"
    assert "s3" not in words and "cret" not in words
    if "r.example.com" not in said:
        assert variable in words and "http[s]://" in words
