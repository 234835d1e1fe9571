"""One request and its answer, from servers that do not mean well."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lab.overtime import enough
from lab.places import LAB

from mydocker.runtime.inspect.http import BODY_LIMIT, PendingRequest
from mydocker.specs.model.expect import Request


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with _server() as number:
        yield number


@contextmanager
def _server(*certificate: str) -> Iterator[int]:
    """The port of tests/lab/rawserver.py."""
    script = LAB / "rawserver.py"
    with subprocess.Popen([sys.executable, script, *certificate], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def _ask(url: str, ports: dict[int, int] | None = None, **options: Any) -> dict[str, Any]:
    asking = PendingRequest(Request(url=url, **{"timeout": 60.0, **options}), network=None, ports=ports or {})
    facts = None
    while facts is None:
        facts = asking.take()
    return facts


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/silent", "no response within 1 s"),
        ("/slow", "no response within 1 s"),
        ("/headers", "no response: got more than 100 headers"),
        ("/line", "no response: got more than 65536 bytes when reading status line"),
        ("/junk", "no response: \x00"),
        ("/broken", "no response: it broke off after 4 bytes of its body"),
        ("/to/file:///etc/passwd", "a redirect to 'file:///etc/passwd'"),
        ("/to//to//to//to//to//to//to//to//to//to//to//to//to/x", "more than 10 redirects"),
        ("/to/http://127.0.0.1:1/", "no response: Connection refused"),
        ("/to/http://[::1", "no response: "),
    ],
)
def test_no_answer(port: int, path: str, problem: str) -> None:
    limit = 1.0 if path in ("/silent", "/slow") else 60.0  # the others answer, at once unless the machine is busy
    facts = _ask(f"http://127.0.0.1:{port}{path}", timeout=limit)
    assert list(facts) == ["problem"] and facts["problem"].startswith(problem), facts


def test_a_body_is_read_up_to_a_limit(port: int) -> None:
    facts = _ask(f"http://127.0.0.1:{port}/endless", timeout=100.0)
    assert (facts["status"], facts["cut"], facts["body"]) == (200, True, "y" * BODY_LIMIT)


def test_an_answer_may_be_read_late(port: int) -> None:
    """By a watcher that was busy: what came in time is whole. One whose process was killed in the middle is none."""
    whole = enough(lambda seconds: _read_late(port, seconds, 0), lambda facts: "body" in facts)
    assert len(whole["body"]) == 300_000
    for number in (signal.SIGALRM, signal.SIGKILL):
        assert _read_late(port, 1, number) == {"problem": "no response within 1 s"}


def _read_late(port: int, seconds: int, number: int) -> dict[str, Any]:
    """The answer with a limit of SECONDS, that is read after these: until then, as much as a pipe holds is there. Its
    process gets signal NUMBER."""
    asking = PendingRequest(
        Request(url=f"http://127.0.0.1:{port}/large", timeout=float(seconds)), network=None, ports={}
    )
    poll = select.poll()
    poll.register(asking.descriptor, select.POLLIN)
    assert poll.poll(200_000)
    facts = asking.take()
    if facts is None:
        time.sleep(seconds + 0.1)
        os.kill(asking.pid, number)
    while facts is None:
        facts = asking.take()
    return facts


def test_bytes_and_names_of_headers(port: int) -> None:
    facts = _ask(f"http://localhost:8080{'/bytes'}", ports={8080: port})
    assert facts["headers"].splitlines() == ["Content-Type: a/b", "Server: \xff", "Content-Length: 3"]
    assert (facts["body"], facts["cut"]) == ("\udcff\n.", False)


def test_what_is_sent(port: int) -> None:
    """Byte by byte; and to another place only what is no secret."""
    options = {"method": "POST", "headers": (("X-Key", "k"),), "body": "a=b", "username": "me", "password": "pw"}
    sent = _ask(f"http://127.0.0.1:{port}/echo?x=%20y", **options)["body"].replace("\r", "").splitlines()
    assert sent[0] == "POST /echo?x=%20y HTTP/1.1"
    assert {f"Host: 127.0.0.1:{port}", "X-Key: k", "Authorization: Basic bWU6cHc=", "Content-Length: 3"} <= {*sent}
    assert sent[-1] == "a=b"
    away = _ask(f"http://127.0.0.1:{port}/to/http://localhost:PORT/echo", **options)["body"].replace("\r", "")
    assert away.startswith("GET /echo HTTP/1.1\n") and "X-Key" not in away and "Authorization" not in away
    near = _ask(f"http://127.0.0.1:{port}/to/http://127.0.0.1:PORT/echo", **options)["body"]
    assert near.startswith("GET /echo HTTP/1.1") and "X-Key: k" in near and "Authorization" in near
    kept = _ask(f"http://127.0.0.1:{port}/keep/echo", **options)["body"]
    assert kept.startswith("POST /echo HTTP/1.1") and kept.endswith("a=b")


def test_certificates(tmp_path: pathlib.Path) -> None:
    """One that nobody has signed is refused, unless it is allowed."""
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    files = {"-out": str(tmp_path / "cert.pem"), "-keyout": str(tmp_path / "key.pem")}
    subprocess.run(["openssl", *words, *(word for pair in files.items() for word in pair)], check=True, stderr=-3)
    with _server(files["-out"], files["-keyout"]) as port:
        assert "CERTIFICATE_VERIFY_FAILED" in _ask(f"https://localhost:{port}/echo")["problem"]
        assert _ask(f"https://localhost:{port}/echo", verify=False)["status"] == 200


def test_redirects_need_not_be_followed(port: int) -> None:
    assert _ask(f"http://127.0.0.1:{port}/to/http://127.0.0.1:PORT/echo", follow=False)["status"] == 302


def test_a_request_that_is_let_go_leaves_no_process(port: int) -> None:
    asking = PendingRequest(Request(url=f"http://127.0.0.1:{port}/silent"), network=None, ports={})
    pid = asking.pid
    asking.close()
    assert not pathlib.Path(f"/proc/{pid}").exists()
