"""config.json: whose entry is used for which registry, and that nothing secret shows."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from mydocker.errors import ImageError
from mydocker.image import credentials
from mydocker.image.credentials import Credentials


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
