"""config.json: whose entry is used for which registry, and that nothing secret shows."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mydocker.errors import ImageError
from mydocker.image.registry.auth import credential_helper, credentials
from mydocker.image.registry.auth.credentials import Credentials


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def find(host: str, config: object, tmp_path: Path) -> Credentials | None:
    text = config if isinstance(config, str) else json.dumps(config)
    (tmp_path / "config.json").write_text(text)
    return credentials.find(host, environ={"DOCKER_CONFIG": str(tmp_path)})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("localhost:5000", "localhost:5000"),
        ("r.example.com", "https://r.example.com/v1/"),
    ],
)
def test_the_entry_of_a_registry(host: str, name: str, tmp_path: Path) -> None:
    auths = {"other.io": entry("x", "y"), name: entry("me", "pass:word")}
    assert find(host, {"auths": auths}, tmp_path) == Credentials(username="me", password="pass:word")


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v2", "/v2/"])
@pytest.mark.parametrize("scheme", ["", "https://", "http://"])
@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("r.example.com", "r.example.com"),
        ("r.example.com", "R.Example.com"),
        ("r.example.com:5000", "r.example.com:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("docker.io", "docker.io"),
        ("docker.io", "index.docker.io"),
        ("docker.io", "registry-1.docker.io"),
    ],
)
def test_a_registry_by_any_of_its_names(host: str, server: str, scheme: str, path: str, tmp_path: Path) -> None:
    auths = {"other.io": entry("x", "y"), f"{scheme}{server}{path}": entry("me", "pw")}
    assert find(host, {"auths": auths}, tmp_path) == Credentials(username="me", password="pw")
    if not scheme:
        assert find(f"not-{host}", {"auths": auths}, tmp_path) is None


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (["https://r.io/", "r.io"], "r.io"),
        (["r.io/", "r.io/team/app/"], "r.io/team/app/"),
        (["r.io/team/", "r.io/team/app"], "r.io/team/app"),
        (["r.io/team", "r.io/"], "r.io/team"),
        (["https://r.io/some/path"], "https://r.io/some/path"),
        (["r.io/other/", "r.io/v2/"], "r.io/v2/"),
    ],
)
def test_the_closest_entry_counts(keys: list[str], chosen: str, tmp_path: Path) -> None:
    auths = {key: entry(key.replace(":", "%"), "pw") for key in keys}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    found = credentials.find("r.io", environ={"DOCKER_CONFIG": str(tmp_path)}, repository="team/app")
    assert found and found.username == chosen.replace(":", "%")


@pytest.mark.parametrize(
    "key", ["r.io/other/", "r.io/v3/", "x.io/r.io/", "https://x.io/r.io", "r.io:5000/", "://r.io.evil/"]
)
def test_an_entry_for_something_else(key: str, tmp_path: Path) -> None:
    assert find("r.io", {"auths": {key: entry("me", "pw")}}, tmp_path) is None


def test_an_empty_entry_does_not_hide_another(tmp_path: Path) -> None:
    auths = {"r.io": {}, "https://r.io/v2/": entry("me", "pw")}
    assert find("r.io", {"auths": auths}, tmp_path) == Credentials(username="me", password="pw")


PASSWORD = "p\u00fc~~>>??" * 9  # in base64 it has + and /, and takes more than a line


@pytest.mark.parametrize(
    "write",
    [
        lambda raw: base64.encodebytes(raw).decode(),
        lambda raw: base64.encodebytes(raw).decode().replace("\n", "\r\n"),
        lambda raw: f"  {base64.b64encode(raw).decode()}\t\n",
        lambda raw: base64.b64encode(raw).decode().rstrip("="),
        lambda raw: base64.urlsafe_b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ],
    ids=["lines", "lines of Windows", "spaces", "no padding", "for URLs", "for URLs without padding"],
)
@pytest.mark.parametrize("more", ["", "1", "12"])
def test_base64_as_others_write_it(write: Callable[[bytes], str], more: str, tmp_path: Path) -> None:
    raw = f"me:{PASSWORD}{more}".encode()
    assert {"+", "/"} <= set(base64.b64encode(raw).decode())
    found = find("r.io", {"auths": {"r.io": {"auth": write(raw)}}}, tmp_path)
    assert found == Credentials(username="me", password=PASSWORD + more)


@pytest.mark.parametrize("host", ["evil.io", "r.io:5000", "xr.io", "io"])
def test_no_other_registry_gets_them(host: str, tmp_path: Path) -> None:
    assert find(host, {"auths": {"r.io": entry("me", "secret")}}, tmp_path) is None


@pytest.mark.parametrize("config", [{}, {"auths": None}, {"auths": {"r.io": {}}, "credsStore": "pass"}])
def test_nothing_stored(config: object, tmp_path: Path) -> None:
    assert find("r.io", config, tmp_path) is None


def test_no_file(tmp_path: Path) -> None:
    assert credentials.find("r.io", environ={"HOME": str(tmp_path)}) is None


def test_identity_token(tmp_path: Path) -> None:
    found = find("r.io", {"auths": {"r.io": {**entry("me", ""), "identitytoken": "tok"}}}, tmp_path)
    assert found == Credentials(username="me", password="", identity_token="tok")


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        {"auths": []},
        {"auths": {"r.io": "c2VjcmV0"}},
        {"auths": {"r.io": {"auth": "c2VjcmV0!"}}},
        {"auths": {"r.io": {"auth": 5}}},
        {"auths": {"r.io": {"auth": "/////w=="}}},
    ],
)
def test_a_bad_file_is_named_without_its_secrets(config: object, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="config.json") as caught:
        find("r.io", config, tmp_path)
    assert "c2VjcmV0" not in str(caught.value)


def test_secrets_are_not_in_the_repr() -> None:
    assert repr(Credentials(username="me", password="hidden", identity_token="hidden")) == "Credentials(username='me')"


BROKEN_HELPERS = {
    "another machine's": (b"\x7fELF" + b"junk" * 20, 0o755, "exec format error"),
    "not executable": (b"#!/bin/sh\n", 0o644, "is not executable"),
    "no interpreter": (b"#!/nonesuch\n", 0o755, "does not exist"),
    "absent": (b"", 0, "is not installed"),
    "locked": (b"#!/bin/sh\necho locked keyring >&2; exit 1\n", 0o755, "locked keyring"),
    "says it on stdout": (b"#!/bin/sh\necho no D-Bus; exit 2\n", 0o755, "no D-Bus"),
    "killed": (b"#!/bin/sh\nkill -9 $$\n", 0o755, "status -9"),
    "garbage": (b"#!/bin/sh\necho hello\n", 0o755, "not JSON"),
    "no text": (b"#!/bin/sh\nprintf '\\377\\376'\n", 0o755, "not JSON"),
    "nothing": (b"#!/bin/sh\n", 0o755, "not JSON"),
    "a list": (b"#!/bin/sh\necho '[1]'\n", 0o755, "an object"),
    "a number": (b'#!/bin/sh\necho \'{"Username": 7, "Secret": "x"}\'\n', 0o755, "Username"),
}


def _written(path: Path, contents: bytes, mode: int) -> None:
    path.write_bytes(contents)
    path.chmod(mode)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wreck", BROKEN_HELPERS)
def test_a_broken_helper_is_reported_and_what_else_is_there_counts(wreck: str, own: bool, tmp_path: Path) -> None:
    contents, mode, said = BROKEN_HELPERS[wreck]
    if mode:
        _written(tmp_path / "docker-credential-lab", contents, mode)
    helper = {"credHelpers": {"r.io": "lab"}} if own else {"credsStore": "lab"}
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/bin"}
    for entries, known in ({}, None), ({"r.io": entry("me", "pw")}, Credentials(username="me", password="pw")):
        (tmp_path / "config.json").write_text(json.dumps({**helper, "auths": entries}))
        reported: list[str] = []
        assert credentials.find("r.io", environ=environ, warn=reported.append) == known
        [words] = reported
        assert said in words and "lab" in words
    if own or mode:  # a program for all registries that is not there was never an error
        with pytest.raises(ImageError) as caught:
            credentials.find("r.io", environ=environ)
        assert caught.value.message == words


BROKEN_FILES = {
    "half": (b'{"auths": {', "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "UTF-16": ("{}".encode("utf-16"), "not JSON"),
    "a list": (b"[]", "an object"),
    "auths is a list": (b'{"auths": []}', "an object"),
    "directory": (None, "Is a directory"),
}


@pytest.mark.parametrize("place", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("wreck", BROKEN_FILES)
def test_a_broken_file_is_reported_and_the_next_counts(wreck: str, place: str, tmp_path: Path) -> None:
    contents, said = BROKEN_FILES[wreck]
    name = {"DOCKER_CONFIG": "config.json", "REGISTRY_AUTH_FILE": "containers"}.get(place, "containers/auth.json")
    path = tmp_path / "first" / name
    path.parent.mkdir(parents=True)
    path.mkdir() if contents is None else path.write_bytes(contents)
    environ = {"HOME": str(tmp_path), place: str(path if place == "REGISTRY_AUTH_FILE" else tmp_path / "first")}
    last = tmp_path / ".docker" / "config.json"
    last.parent.mkdir()
    last.write_text(json.dumps({"auths": {"r.io": entry("me", "pw")}}))
    reported: list[str] = []
    found = credentials.find("r.io", environ=environ, warn=reported.append)
    [words] = reported
    assert said in words and str(path) in words and (found is not None) == place.startswith("XDG")
    with pytest.raises(ImageError) as caught:
        credentials.find("r.io", environ=environ)
    assert caught.value.message == words


@pytest.mark.parametrize("contents", ["", " \n", "null"])
def test_a_file_with_nothing_in_it_says_nothing(contents: str, tmp_path: Path) -> None:
    assert find("r.io", contents, tmp_path) is None


@pytest.mark.parametrize("auth", ["c2VjcmV0!", "/////w==", 5, ["c2VjcmV0"]])
def test_a_broken_entry_of_another_registry_is_nobody_s_business(auth: object, tmp_path: Path) -> None:
    entries = {"r.io": entry("me", "pw"), "x.io": {"auth": auth}}
    assert find("r.io", {"auths": entries}, tmp_path)
    reported: list[str] = []
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert credentials.find("x.io", environ=environ, warn=reported.append) is None
    assert len(reported) == 1 and "c2VjcmV0" not in reported[0]


def test_a_helper_that_does_not_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_helper, "TIMEOUT", 0.2)
    (tmp_path / "docker-credential-lab").write_text("#!/bin/sh\nexec sleep 100\n")
    (tmp_path / "docker-credential-lab").chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "lab"}')
    said: list[str] = []
    environ = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert credentials.find("r.io", environ=environ, warn=said.append) is None
    assert said == ["no credentials for r.io: docker-credential-lab did not end within 0.2 s, and was killed"]
