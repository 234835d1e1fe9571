"""Image configs: what real tools write is read, wrong types are named."""

from __future__ import annotations

import json

import pytest

from mydocker.errors import ImageError
from mydocker.image.model import ImageConfig
from mydocker.image.model.config import parse_config
from mydocker.reference import Digest, Platform

ROOTFS = {"type": "layers", "diff_ids": ["sha256:" + "1" * 64, "sha256:" + "2" * 64]}


def parse(**fields: object) -> ImageConfig:
    return parse_config(json.dumps({"os": "linux", "architecture": "amd64", "rootfs": ROOTFS, **fields}).encode())[0]


def test_everything_that_a_run_needs() -> None:
    config, diff_ids = parse_config(
        json.dumps(
            {
                "os": "linux",
                "architecture": "arm",
                "variant": "v7",
                "rootfs": ROOTFS,
                "history": [{"created_by": "x"}],
                "config": {
                    "Entrypoint": ["/init"],
                    "Cmd": ["-a", ""],
                    "Env": ["PATH=/bin", "NOEQUALS", "A=b=c"],
                    "User": "1000:0",
                    "WorkingDir": "/srv",
                    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
                    "Labels": {"k": "ü"},
                    "StopSignal": "SIGQUIT",
                },
            }
        ).encode()
    )
    assert config == ImageConfig(
        platform=Platform(os="linux", architecture="arm", variant="v7"),
        entrypoint=("/init",),
        cmd=("-a", ""),
        env=("PATH=/bin", "NOEQUALS", "A=b=c"),
        user="1000:0",
        working_dir="/srv",
        exposed_ports=("80/tcp", "53/udp"),
        labels={"k": "ü"},
        stop_signal="SIGQUIT",
    )
    assert diff_ids == (Digest(hex="1" * 64), Digest(hex="2" * 64))


@pytest.mark.parametrize("inner", [None, {}, {"Entrypoint": None, "Cmd": None, "Env": None, "Labels": None}])
def test_null_and_missing_are_empty(inner: object) -> None:
    assert parse(config=inner) == ImageConfig(platform=Platform(os="linux", architecture="amd64"))


def test_a_command_may_be_a_string() -> None:
    found = parse(config={"Entrypoint": "/bin/my program", "Cmd": "", "Env": None})
    assert (found.entrypoint, found.cmd) == (("/bin/my program",), ("",))


@pytest.mark.parametrize("rootfs", [{}, {"type": None}, {"type": ""}, {"type": "layers"}])
def test_a_rootfs_that_states_no_type_has_layers(rootfs: dict[str, object]) -> None:
    raw = json.dumps({"rootfs": {**rootfs, "diff_ids": [f"sha256:{'1' * 64}"]}}).encode()
    assert parse_config(raw)[1] == (Digest(hex="1" * 64),)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rootfs": {"type": "tree", "diff_ids": []}}, "rootfs is of type 'tree'"),
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:../x"]}}, "diff_ids: digest"),
        ({"rootfs": {"type": "layers", "diff_ids": "sha256:" + "1" * 64}}, "diff_ids: expected an array"),
        ({"os": 1}, "os: expected a string"),
        ({"config": []}, "config: expected an object"),
        ({"config": {"Cmd": {"sh": "-c"}}}, "Cmd: expected an array, not an object"),
        ({"config": {"Entrypoint": [["sh"]]}}, "Entrypoint: expected a string, not an array"),
        ({"config": {"Env": {"A": "b"}}}, "Env: expected an array"),
        ({"config": {"Env": ["A=\ud800"]}}, "Env: not Unicode"),
        ({"config": {"User": 0}}, "User: expected a string, not a number"),
        ({"config": {"Labels": {"a": 1}}}, "Labels: expected a string"),
        ({"config": {"ExposedPorts": ["80"]}}, "ExposedPorts: expected an object"),
    ],
)
def test_wrong_types(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ImageError, match=f"^image config: .*{reason}"):
        parse(**fields)
