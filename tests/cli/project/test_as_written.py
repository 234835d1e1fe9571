"""`mydocker config` of Compose files as they are written, of their variables, and of their images."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from lab import oci
from lab.command import Command
from lab.registry import Registry

COMPOSE = """
name: shop
services:
  web:
    extends: {file: sub/base.yaml, service: base}
    image: ${IMAGE:-alpine}:3
    environment: [A=$A, "B=${B:?say it}", C=$$x]
    ports: [8080:80, 443]
    env_file: [site.env]
    init: true
    volumes: [./data:/data, "${DIR-.}/x:/x"]
  db: {image: alpine, depends_on: [web]}
x-any: {deep: "${D:+set}"}
"""
OVER = "services: {web: {environment: {A: '2'}, ports: !override ['81:81']}}\n"
BASE = "services: {base: {volumes: ['./own:/own'], labels: {z: '${A}'}}}\n"


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "compose.override.yaml").write_text(OVER)
    (folder / "sub/base.yaml").write_text(BASE)
    (folder / ".env").write_text("A=of a file\n")
    return folder


def _model(mydocker: Command, shop: pathlib.Path, *words: str) -> dict[str, dict[str, dict[str, object]]]:
    done = mydocker("config", *words, cwd=shop, env={"B": "b$b"})
    assert done.code == 0, done.stderr
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(done.stdout)
    return found


def test_variables_and_paths_stay(mydocker: Command, shop: pathlib.Path) -> None:
    web = _model(mydocker, shop, "--no-interpolate")["services"]["web"]
    assert web == {
        "image": "${IMAGE:-alpine}:3",
        "environment": {"A": "2", "B": "${B:?say it}", "C": "$$x"},
        "ports": ["81:81"],
        "env_file": ["site.env"],
        "init": True,
        "labels": {"z": "${A}"},
        "volumes": [f"{shop}/sub/own:/own", "./data:/data", "${DIR-.}/x:/x"],
    }


def test_variables_are_replaced(mydocker: Command, shop: pathlib.Path) -> None:
    web = _model(mydocker, shop, "--no-normalize")["services"]["web"]
    assert web["image"] == "alpine:3" and web["env_file"] == [f"{shop}/site.env"]
    assert web["environment"] == {"A": "2", "B": "b$$b", "C": "$$x"}
    assert web["volumes"] == [f"{shop}/sub/own:/own", f"{shop}/data:/data", f"{shop}/x:/x"]
    assert _model(mydocker, shop, "--no-env-resolution")["services"]["web"] == web
    flat = _model(mydocker, shop, "--no-path-resolution")["services"]["web"]
    assert flat["volumes"] == [f"{shop}/sub/own:/own", "./data:/data", "./x:/x"]
    assert [*_model(mydocker, shop, "--no-normalize", "db")["services"]] == ["db"]


def test_json_has_numbers_and_switches(mydocker: Command, shop: pathlib.Path) -> None:
    (shop / "compose.override.yaml").unlink()
    done = mydocker("compose", "config", "--no-interpolate", "--format", "json", cwd=shop)
    web = json.loads(done.stdout)["services"]["web"]
    assert (web["ports"], web["init"], web["environment"][2]) == (["8080:80", 443], True, "C=$$x")


def test_what_is_read_again_is_the_same(mydocker: Command, shop: pathlib.Path) -> None:
    (shop / "site.env").write_text("SITE=1\n")
    environ = {"B": "b"}
    before = mydocker("config", cwd=shop, env=environ).stdout
    for words in (("--no-interpolate",), ("--no-normalize",), ("--no-path-resolution",)):
        (shop / "again.yaml").write_bytes(mydocker("config", *words, cwd=shop, env=environ).stdout)
        assert mydocker("config", "-f", "again.yaml", cwd=shop, env=environ).stdout == before, words


def test_the_variables(mydocker: Command, shop: pathlib.Path) -> None:
    rows = [line.split() for line in mydocker("config", "--variables", cwd=shop).stdout.decode().splitlines()[1:]]
    assert sorted(rows) == [
        ["A", "false"],
        ["B", "true"],
        ["D", "false", "set"],
        ["DIR", "false", "."],
        ["IMAGE", "false", "alpine"],
    ]
    found = json.loads(mydocker("compose", "config", "--variables", "--format", "json", cwd=shop).stdout)
    assert {"Name": "D", "Required": False, "DefaultValue": "", "PresenceValue": "set"} in found
    lines = mydocker("config", "--environment", cwd=shop, env={"B": "b"}).stdout.decode().splitlines()
    assert {"A=of a file", "B=b"} <= {*lines}


def test_hashes_follow_what_services_are(mydocker: Command, shop: pathlib.Path) -> None:
    (shop / "site.env").write_text("")

    def hashes(*words: str) -> dict[str, str]:
        done = mydocker("config", *words, cwd=shop, env={"B": "b"})
        assert done.code == 0, done.stderr
        return dict(line.split() for line in done.stdout.decode().splitlines())

    before = hashes("--hash", "*")
    assert sorted(before) == ["db", "web"] and all(len(each) == 64 for each in before.values())
    assert hashes("--hash=web") == {"web": before["web"]}
    (shop / "compose.override.yaml").write_text(OVER.replace("A: '2'", "A: '3'"))
    after = hashes("--hash", "*")
    assert after["db"] == before["db"] and after["web"] != before["web"]


def test_images_by_their_digests(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    image = oci.image([])
    registry.push(oci.index([image]), "team/pinned", tag="1")
    name = f"{registry.address}/team/pinned"
    digest = oci.index([image]).digest
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  web: {{image: '{name}:1'}}\n  fixed: {{image: '{name}:1@{digest}'}}\n"
        "  own: {image: own, build: .}\n"
    )
    done = mydocker("config", "--to", "compose", "--resolve-image-digests", cwd=tmp_path)
    services = yaml.safe_load(done.stdout)["services"]
    assert services["web"]["image"] == services["fixed"]["image"] == f"{name}:1@{digest}"
    assert services["own"]["image"] == "own:latest"
    locked = yaml.safe_load(mydocker("config", "--lock-image-digests", cwd=tmp_path).stdout)
    assert locked == {"services": {each: {"image": f"{name}:1@{digest}"} for each in ("web", "fixed")}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--hash we", "no such service: we; did you mean 'web'?"),
        ("--no-normalize we", "no such service: we; did you mean 'web'?"),
        ("--no-normalize --services", "--no-normalize and --services exclude each other"),
        ("--no-normalize --to quadlet", "--no-normalize is for Compose files"),
        ("--variables --environment", "--variables and --environment exclude each other"),
        ("--resolve-image-digests --hash web", "--resolve-image-digests and --hash exclude each other"),
        ("--no-consistency", "--no-consistency is not supported: files are always checked"),
        ("--no-normalize --env-file gone", "env file 'gone': no such file or directory"),
    ],
)
def test_refusals(mydocker: Command, shop: pathlib.Path, words: str, message: str) -> None:
    (shop / "site.env").write_text("")
    done = mydocker("config", *words.split(), cwd=shop, env={"B": "b"})
    assert done.code == 2 and message in done.stderr.decode(), done


def test_a_variable_that_is_needed(mydocker: Command, shop: pathlib.Path) -> None:
    done = mydocker("config", "--no-normalize", cwd=shop)
    assert done.stderr == b"compose.yaml:7:25: variable B is needed and not set: say it\n"
