"""What is wrong with a Compose file: one message for one mistake, at its place, with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.command import Command

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_project
from mydocker.specs.load.project_files import ProjectOptions, find_project
from mydocker.specs.model.case import CaseSpec


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _load(text: str, *ignored: str) -> tuple[list[CaseSpec], list[str]]:
    """The services, and the warnings."""
    Path("compose.yaml").write_text(text)
    project = find_project(ProjectOptions(name="p", ignored=ignored), {})
    assert project
    warnings: list[str] = []
    return load_project(project, warn=warnings.append), warnings


ONE_MISTAKE = [  # keys of a service, and the only message
    ("volumes: ['<my>/x:/config']",
     "4:15: volume '<my>/x' is not declared under volumes at the top of the file, or ./ before it for a directory"),
    ("volumes: [{type: image, source: x, target: /x, image: {subpath: y}}]",
     "4:22: volume type 'image' is not supported: expected bind, volume, tmpfs"),
    ("logging: {driver: syslog, options: {syslog-address: x}}",
     "4:23: log driver 'syslog' is not supported (use json-file, local or none)"),
    ("net: host", "4:5: net is a key of an older format: write network_mode"),
    ("log_opt: {a: b}", "4:5: log_opt is a key of an older format: write logging, with options"),
    ("log_driver: none", "4:5: log_driver is a key of an older format: write logging, with driver"),
    ("dockerfile: x", "4:5: dockerfile is a key of an older format: write it below build"),
    ("volume_driver: local",
     "4:5: volume_driver is a key of an older format: declare the volume under volumes at the top of the file, with "
     "driver"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message"), ONE_MISTAKE)
def test_one_message_for_one_mistake(keys: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(f"services:\n  web:\n    image: x\n    {keys}\n")
    assert caught.value.problems == (f"compose.yaml:{message}",)


IGNORED = [  # what a file declares at its top, the key to ignore, and the warning
    ("networks: {n: {driver: macvlan, internal: true}}", "networks", "network driver 'macvlan' is not supported"),
    ("networks: {n: {ipam: {options: {a: b}}}}", "networks", "options of ipam are not supported"),
    ("volumes: {v: {driver: rexray, name: mine}}", "volumes", "volume driver 'rexray' is not supported"),
]


@pytest.mark.parametrize(("top", "key", "warning"), IGNORED)
def test_what_is_declared_at_the_top_can_be_ignored(top: str, key: str, warning: str) -> None:
    text = f"services: {{web: {{image: x, {key}: [{'n' if key == 'networks' else 'v:/v'}]}}}}\n{top}\n"
    with pytest.raises(SpecError, match=warning):
        _load(text)
    (case,), warnings = _load(text, key)
    assert any(f"ignored: {warning}" in line for line in warnings)
    assert case.container.networks if key == "networks" else case.container.volumes


def test_a_way_out_is_named(mydocker: Command, here: Path) -> None:
    (here / "compose.yaml").write_text("services: {web: {image: x, cpu_rt_runtime: 1}}\n")
    done = mydocker("check", "compose.yaml", cwd=here)
    assert b"\nhint: --ignore KEY" in done.stderr
    assert mydocker("check", "--ignore", "cpu_rt_runtime", "compose.yaml", cwd=here).code == 0
    (here / "compose.yaml").write_text("services: {web: {image: x, comand: x}}\n")
    assert b"hint" not in mydocker("check", "compose.yaml", cwd=here).stderr
