"""--dry-run: the plan as JSON with stable keys, and no secret in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

# what programs read, each with the type that it has
KEYS: dict[str, Any] = {
    "container_id": str, "image_digest": str, "run_dir": str, "namespaces": list, "id_map": type(None),
    "hostname": str, "domainname": type(None),
    "loopback": bool, "root": dict, "operations": list, "capabilities": list, "seccomp": dict,
    "no_new_privileges": bool, "exec_label": type(None), "user": dict, "environment": dict, "working_dir": str,
    "argv": list, "stdin_open": bool, "attach": list, "tty": bool, "timeout": float, "group_add": list, "umask": str,
    "ulimits": dict,
    "oom_score_adj": type(None), "init": bool, "stdin": dict, "extra_hosts": list, "pre_start": list, "dns": list,
    "dns_search": list, "dns_options": list, "stop_signal": int, "stop_grace_period": float, "cgroups": list,
    "volumes": list, "network": str, "network_reason": type(None), "networks": list, "ports": list,
}  # fmt: skip
FULL = """
name: first
image: alpine
command: [echo, "\\u65e5 \\e[31m ##[add-mask]x"]
stdin: very-secret-stdin
timeout: 3s
umask: 077
ulimits: {nofile: 5}
extra_hosts: {a: 1.2.3.4}
pre_start: [[true]]
devices: [/dev/null]
volumes: [/srv, {type: bind, source: /tmp, target: "/a b"}]
tmpfs: /t:size=1m,mode=1770
configs: [{target: /c, content: very-secret-config}]
secrets: [{source: token, environment: TOKEN}, {target: /s, file: ./secret}]
---
name: second
image: alpine
"""


def _documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents of TEXT, one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        document, end = decoder.raw_decode(text.strip())
        found.append(document)
        text = text.strip()[end:]
    return found


@pytest.fixture
def full(alpine: Command, tmp_path: Any) -> tuple[str, list[dict[str, Any]]]:
    (tmp_path / "x.yaml").write_text(FULL)
    (tmp_path / "secret").write_bytes(b"very-secret-file\xff")
    done = alpine("up", "--dry-run", "x.yaml", cwd=tmp_path, env={"TOKEN": "very-secret-token"})
    assert (done.stderr, done.code) == (b"", 0)
    return done.stdout.decode("ascii"), _documents(done.stdout.decode())


def test_a_document_for_each_container_with_keys_that_stay(full: tuple[str, list[dict[str, Any]]]) -> None:
    text, [first, second] = full
    assert {name: type(value) for name, value in first.items() if name in KEYS} == KEYS
    assert set(second) == set(first)
    assert (first["umask"], first["ulimits"]) == ("0077", {"nofile": {"soft": 5, "hard": 5}})
    assert first["extra_hosts"] == [{"name": "a", "address": "1.2.3.4"}]
    assert (first["pre_start"], first["timeout"]) == ([["true"]], 3)
    assert (second["user"], second["timeout"], second["stdin"]) == ({"user": 0, "group": None}, None, None)
    assert "CHOWN" in second["capabilities"] and second["seccomp"]["profile"] == "default"
    assert first["argv"] == ["echo", "\u65e5 \x1b[31m ##[add-mask]x"]
    assert "##" not in text


def test_each_step_has_its_kind_and_no_value_is_python_s(full: tuple[str, list[dict[str, Any]]]) -> None:
    text, [first, _] = full
    kinds = [step["kind"] for step in first["operations"]]
    assert {"bind", "filesystem", "device", "symlink", "mask", "read_only", "tmpfs", "file"} <= {*kinds}
    assert all(re.fullmatch("[a-z_]+", kind) for kind in kinds)
    assert first["root"]["kind"] == "layered_root"
    assert not re.search(r"\b(None|True|False)\b|[A-Z][a-z]+\(|b'", text)
    [tmp] = [step for step in first["operations"] if step["target"] == "/t"]
    assert (tmp["kind"], tmp["options"]["size"], tmp["options"]["mode"]) == ("tmpfs", "1048576", "1770")


def test_no_secret_is_printed(full: tuple[str, list[dict[str, Any]]]) -> None:
    text, [first, _] = full
    assert "very-secret" not in text
    files = {step["target"]: step["content"] for step in first["operations"] if step["kind"] == "file"}
    assert files == {"/c": {"bytes": 18}, "/run/secrets/token": {"bytes": 17}}
    assert first["stdin"] == {"bytes": 17}


@pytest.mark.parametrize("command", [["explain"], ["check"], ["up", "--result", "r.json"]])
def test_no_other_command_prints_one(alpine: Command, tmp_path: Any, command: list[str]) -> None:
    (tmp_path / "x.yaml").write_text("image: alpine\ncommand: 'true'\nsecrets: [{source: token, environment: TOKEN}]\n")
    done = alpine(*command, "x.yaml", cwd=tmp_path, env={"TOKEN": "very-secret"})
    result = (tmp_path / "r.json").read_bytes() if "--result" in command else b""
    assert done.code == 0 and b"very-secret" not in done.stdout + done.stderr + result


def test_networks_and_ports(alpine: Command) -> None:
    words = [
        "--network",
        "name=front,alias=web,ip=10.90.0.5",
        "--network",
        "back",
        "-p",
        "8080-8081:80",
        "-p",
        "[::1]::53/udp",
    ]
    [plan] = _documents(alpine("run", "--dry-run", "--name", "box", *words, "alpine", "true").stdout.decode())
    assert plan["network"] == "front,back"
    front, back = plan["networks"]
    assert front["aliases"] == ["web", "box", plan["container_id"][:12]] and front["ipv4_address"] == "10.90.0.5"
    assert (back["name"], back["ipv4_address"], back["mac_address"], back["definition"]) == ("back", None, None, None)
    assert plan["ports"] == [
        {"host_ip": None, "port": 8080, "last_port": 8081, "target": 80, "protocol": "tcp"},
        {"host_ip": "::1", "port": None, "last_port": None, "target": 53, "protocol": "udp"},
    ]
