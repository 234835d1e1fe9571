"""The keys `ports` and `expose`: Docker's and Compose's notations, and what they mean."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mydocker.errors import SpecError, UsageError
from mydocker.specs.argv import parse_run
from mydocker.specs.load.load import load_files
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import Port
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.docker_run import docker_line
from mydocker.specs.render.normal_form import normal_form
from mydocker.specs.values.port import format_port, parse_exposed, parse_port

NOTATIONS = [
    ("80", "80", [Port(target=80)]),
    ("8080:80", "8080:80", [Port(target=80, published=8080)]),
    ("0:80", "80", [Port(target=80)]),
    (":80", "80", [Port(target=80)]),
    ("22:22", "22:22", [Port(target=22, published=22)]),
    ("127.0.0.1:8080:80/udp", "127.0.0.1:8080:80/udp",
     [Port(target=80, published=8080, host_ip="127.0.0.1", protocol="udp")]),
    ("53:53/UDP", "53:53/udp", [Port(target=53, published=53, protocol="udp")]),
    ("80/tcp", "80", [Port(target=80)]),
    ("[::1]:8080:80", "[::1]:8080:80", [Port(target=80, published=8080, host_ip="::1")]),
    ("::1:8080:80", "[::1]:8080:80", [Port(target=80, published=8080, host_ip="::1")]),
    ("[0:0::1]:8080:80", "[::1]:8080:80", [Port(target=80, published=8080, host_ip="::1")]),
    ("127.0.0.1::80", "127.0.0.1::80", [Port(target=80, host_ip="127.0.0.1")]),
    ("127.0.0.1:0:80", "127.0.0.1::80", [Port(target=80, host_ip="127.0.0.1")]),
    ("8000-8001:80-81", "8000:80 8001:81", [Port(target=80, published=8000), Port(target=81, published=8001)]),
    ("80-81", "80 81", [Port(target=80), Port(target=81)]),
    ("8000-8010:80", "8000-8010:80", [Port(target=80, published=8000, last_published=8010)]),
    ("127.0.0.1:8000-8010:80/udp", "127.0.0.1:8000-8010:80/udp",
     [Port(target=80, published=8000, last_published=8010, host_ip="127.0.0.1", protocol="udp")]),
]  # fmt: skip  # a table reads best with a case on a line
MISTAKES = [
    ("http", "'http': expected a port, a number from 1 to 65535"),
    ("70000", "'70000': expected a port"),
    ("80:", "'': expected a port"),
    ("80:0", "'0': expected a port"),
    ("80/icmp", "protocol 'icmp': expected tcp, udp"),
    ("80/sctp", "sctp ports are not supported yet"),
    ("8000-8002:80-81", "ports 8000-8002 and 80-81 are not as many"),
    ("8000:80-81", "ports 8000 and 80-81 are not as many"),
    ("81-80", "ports 81-80: the first is above the last"),
    ("x:80:80", "'x' is not an IP address"),
    ("[127.0.0.1]x:80:80", "'[127.0.0.1]x' is not an IP address"),
    ("127.1:80:80", "'127.1' is not an IP address"),
    ("::g:80:80", "'::g' is not an IPv6 address"),
    ("1_0:80", "'1_0': expected a port"),
    ("٨٠:80", "'٨٠': expected a port"),
    ("²:80", "'²': expected a port"),
    (" 80", "' 80': expected a port"),
]


def _run(*argv: str) -> ContainerSpec:
    return parse_run([*argv, "x"], environ={}, cwd="/").spec


def _load(directory: pathlib.Path, text: str) -> ContainerSpec:
    (directory / "x.yaml").write_text(text)
    [spec] = load_files([str(directory / "x.yaml")], environ={})
    return spec.container


@pytest.mark.parametrize(("text", "published", "ports"), NOTATIONS)
def test_notations(tmp_path: pathlib.Path, text: str, published: str, ports: list[Port]) -> None:
    """On the command line as in a file; the network stays the default one."""
    for spec in (_run("-p", text), _run(f"--publish={text}"), _load(tmp_path, f"image: x\nports: ['{text}']\n")):
        assert ([*spec.ports], spec.network_mode, "net" in spec.namespaces) == (ports, "default", False)
        line, notes = docker_line(spec)
        options = " ".join(f"--publish {each}" for each in published.split())
        assert (line.replace("'", ""), notes) == (f"docker run --rm {options} x:latest", [])


@pytest.mark.parametrize(("text", "published", "ports"), NOTATIONS)
def test_the_normal_form_says_the_same(tmp_path: pathlib.Path, text: str, published: str, ports: list[Port]) -> None:
    spec = CaseSpec(container=_run("-p", text))
    assert [*_load(tmp_path, write_documents([normal_form(spec)])).ports] == ports


def test_flags_are_repeated() -> None:
    spec = _run("-p", "80:80", "-p8000-8001:81-82", "--expose", "5-6/udp", "--expose=7", "-P")
    assert [format_port(port) for port in spec.ports] == ["80:80", "8000:81", "8001:82"]
    assert (spec.expose, spec.publish_all) == (("5/udp", "6/udp", "7/tcp"), True)


def test_the_long_form(tmp_path: pathlib.Path) -> None:
    entry = "{target: 80-81, published: '8080-8081', protocol: udp, mode: host, name: web, host_ip: '::1'}"
    ports = [Port(target=target, published=8000 + target, host_ip="::1", protocol="udp") for target in (80, 81)]
    assert [*_load(tmp_path, f"image: x\nports: [{entry}]").ports] == ports


@pytest.mark.parametrize(("text", "problem"), MISTAKES)
def test_mistakes(tmp_path: pathlib.Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        _run("-p", text)
    assert refused.value.message.startswith(f"invalid argument {text!r} for -p, --publish: {problem}")
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, f"image: x\nports: ['{text}']\n")
    [found] = caught.value.problems
    assert found.removeprefix(f"{tmp_path}/x.yaml:2:9: ").startswith(problem)


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("80", "2:8: expected a list of ports"),
        ("[{published: 80}]", "2:9: a port needs its target"),
        ("[{target: 80, publish: 80}]", "2:22: unknown key 'publish'; did you mean 'published'?"),
        ("[{target: 80, mode: none}]", "2:28: mode 'none': expected host or ingress"),
    ],
)
def test_mistakes_in_files(tmp_path: pathlib.Path, yaml: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, f"image: x\nports: {yaml}\n")
    assert [found.removeprefix(f"{tmp_path}/x.yaml:") for found in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    ("port", "other"),
    [
        ("8080", ""),
        ("8080:8080", ""),
        ("0.0.0.0:8080:8080", ""),
        ("[::]:8080:8080", ""),
        ("8080-8081:8080-8081/udp", ""),
        ("8080-8090:8085", ""),
        ("8080:80", "8080"),
        ("127.0.0.1:80:80", "127.0.0.1"),
        ("8080-8090:80", "8080"),
    ],
)
@pytest.mark.parametrize("network", ["network_mode: host", "namespaces: [mount, pid]"])
def test_the_network_of_the_host_discards_ports(tmp_path: pathlib.Path, port: str, other: str, network: str) -> None:
    """As with Docker; a warning names those that are not reached in that way, under their own number."""
    (tmp_path / "x.yaml").write_text(f"image: x\nports: ['{port}']\n{network}\n")
    said: list[str] = []
    [spec] = load_files([str(tmp_path / "x.yaml")], environ={}, warn=said.append)
    assert (spec.container.ports, "net" in spec.container.namespaces) == ((), False)
    request = parse_run(["--network", "host", "-p", port, "x"], environ={}, cwd="/")
    assert request.spec.ports == ()
    assert len(said) == len(request.doubts) == bool(other)
    assert all(f"is not published as {other}: the network is the host's" in each for each in (*said, *request.doubts))


NUMBERS = some.integers(min_value=1, max_value=65535)
ADDRESSES = some.sampled_from(["", "127.0.0.1", "0.0.0.0", "::", "::1", "fd00::5"])
PROTOCOLS = some.sampled_from(["tcp", "udp"])


@given(
    target=NUMBERS, published=some.none() | NUMBERS, count=some.integers(0, 9), host_ip=ADDRESSES, protocol=PROTOCOLS
)
def test_what_is_written_is_read(target: int, published: int | None, count: int, host_ip: str, protocol: str) -> None:
    last = min(published + count, 65535) if published else None
    port = Port(
        target=target,
        published=published,
        last_published=None if last == published else last,
        host_ip=host_ip,
        protocol=protocol,
    )
    assert parse_port(format_port(port)) == (port,)


@given(first=NUMBERS, count=some.integers(0, 50), protocol=PROTOCOLS)
def test_exposed_ranges(first: int, count: int, protocol: str) -> None:
    last = min(first + count, 65535)
    found = parse_exposed(f"{first}-{last}/{protocol}")
    assert found == tuple(f"{number}/{protocol}" for number in range(first, last + 1))
