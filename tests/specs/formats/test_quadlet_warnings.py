"""Settings of Quadlets that published files have, and that change nothing here: a warning names each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.model.case import CaseSpec


def _load(directory: Path, text: str) -> tuple[CaseSpec, list[str]]:
    path = directory / "web.container"
    path.write_text(text)
    warnings: list[str] = []
    (case,) = load_files([str(path)], environ={}, warn=warnings.append)
    return case, [line.removeprefix(f"warning: {path}:") for line in warnings]


@pytest.mark.parametrize(
    "network", ["pasta", "slirp4netns", "slirp4netns:port_handler=slirp4netns", "slirp4netns:mtu=1500,enable_ipv6=true"]
)
def test_the_network_of_an_ordinary_user(tmp_path: Path, network: str) -> None:
    case, warnings = _load(tmp_path, f"[Container]\nImage=a\nNetwork={network}\n")
    plain, _ = _load(tmp_path, "[Container]\nImage=a\n")
    assert (case.container.network_mode, case.container.networks) == (plain.container.network_mode, ())
    assert warnings == [f"3:9: Network={network} is the default network here"]


@pytest.mark.parametrize(
    "network", ["pasta:--map-gw", "slirp4netns:allow_host_loopback=true", "slirp4netns:cidr=10.9.0.0/24"]
)
def test_one_whose_options_mean_something_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(SpecError, match="is not supported"):
        _load(tmp_path, f"[Container]\nImage=a\nNetwork={network}\n")


@pytest.mark.parametrize("service", ["", "Restart=always\n", "Restart=no\n"])
def test_an_exit_status_that_decides_nothing(tmp_path: Path, service: str) -> None:
    text = f"[Container]\nImage=a\n[Service]\nSuccessExitStatus=0 143\n{service}"
    assert _load(tmp_path, text)[1] == ["4:1: SuccessExitStatus has no effect: exit code 0 alone is success"]


@pytest.mark.parametrize("service", ["Restart=on-failure\n", "Type=oneshot\n"])
def test_an_exit_status_that_decides_something_is_refused(tmp_path: Path, service: str) -> None:
    with pytest.raises(SpecError, match="SuccessExitStatus is not supported: exit code 0 is success"):
        _load(tmp_path, f"[Container]\nImage=a\n[Service]\nSuccessExitStatus=0 143\n{service}")
