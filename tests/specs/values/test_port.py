"""The key `ports`: Compose's notations, and what they are good for here."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.model.parts import Port
from mydocker.specs.render.docker_run import docker_line


def _load(directory: pathlib.Path, text: str) -> tuple[Port, ...]:
    (directory / "x.yaml").write_text(text)
    [spec] = load_files([str(directory / "x.yaml")], environ={})
    assert spec.container.network_mode == "none"
    return spec.container.ports


@pytest.mark.parametrize(
    ("yaml", "ports", "line"),
    [
        ("[80]", [Port(target=80)], "--publish 80"),
        ("['8080:80']", [Port(target=80, published=8080)], "--publish 8080:80"),
        ("[22:22]", [Port(target=22, published=22)], "--publish 22:22"),
        ("['127.0.0.1:8080:80/udp']", [Port(target=80, published=8080, host_ip="127.0.0.1", protocol="udp")],
         "--publish 127.0.0.1:8080:80/udp"),
        ("['[::1]:8080:80']", [Port(target=80, published=8080, host_ip="::1")], "--publish '[::1]:8080:80'"),
        ("['127.0.0.1::80']", [Port(target=80, host_ip="127.0.0.1")], "--publish 127.0.0.1::80"),
        ("['8000-8001:80-81']", [Port(target=80, published=8000), Port(target=81, published=8001)],
         "--publish 8000:80 --publish 8001:81"),
        ("[{target: 80, published: '8080', protocol: tcp, mode: host, name: web}]", [Port(target=80, published=8080)],
         "--publish 8080:80"),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_notations(tmp_path: pathlib.Path, yaml: str, ports: list[Port], line: str) -> None:
    assert [*_load(tmp_path, f"image: x\nports: {yaml}\n")] == ports
    [spec] = load_files([str(tmp_path / "x.yaml")], environ={})
    assert docker_line(spec.container) == (f"docker run --rm {line} x:latest", [])


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("80", "2:8: expected a list of ports"),
        ("[http]", "2:9: 'http': expected a port, a number from 1 to 65535"),
        ("[70000]", "2:9: '70000': expected a port"),
        ("['80:']", "2:9: '': expected a port"),
        ("[80/icmp]", "2:9: protocol 'icmp': expected tcp, udp, sctp"),
        ("['8000-8002:80-81']", "2:9: ports 8000-8002 and 80-81 are not as many"),
        ("['81-80']", "2:9: ports 81-80: the first is above the last"),
        ("[{published: 80}]", "2:9: a port needs its target"),
        ("[{target: 80, publish: 80}]", "2:22: unknown key 'publish'; did you mean 'published'?"),
        ("['8080:80']\nnetwork_mode: host", "2:1: port 80 as 8080: the network is the host's"),
        ("['127.0.0.1:80:80']\nnetwork_mode: host", "2:1: port 80 as 127.0.0.1: the network is the host's"),
        ("['::1:80:80']\nnamespaces: [mount]", "2:1: port 80 as ::1: the network is the host's"),
        ("['x:80:80']", "2:9: 'x' is not an IP address"),
        ("['1_0:80']", "2:9: '1_0': expected a port"),
        ("['٨٠:80']", "2:9: '٨٠': expected a port"),
        ("['²:80']", "2:9: '²': expected a port"),
        ("[' 80']", "2:9: ' 80': expected a port"),
    ],
)
def test_mistakes(tmp_path: pathlib.Path, yaml: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, f"image: x\nports: {yaml}\n")
    [found] = caught.value.problems
    assert found.removeprefix(f"{tmp_path}/x.yaml:").startswith(problem)


@pytest.mark.parametrize(
    "port", ["8080", "8080:8080", "0.0.0.0:8080:8080", "[::]:8080:8080", "8080-8081:8080-8081/udp"]
)
@pytest.mark.parametrize("network", ["network_mode: host", "namespaces: [mount, pid]"])
def test_what_the_network_of_the_host_gives_anyway(tmp_path: pathlib.Path, port: str, network: str) -> None:
    """A port under its own number on all addresses."""
    (tmp_path / "x.yaml").write_text(f"image: x\nports: ['{port}']\n{network}\n")
    [spec] = load_files([str(tmp_path / "x.yaml")], environ={})
    assert (spec.container.ports, "net" in spec.container.namespaces) == ((), False)
