"""Networks of a container: the words of `--network`, what is for one network, and what excludes each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mydocker.errors import SpecError, UsageError
from mydocker.specs.argv import parse_run
from mydocker.specs.load.load import load_files
from mydocker.specs.model import NAMESPACES, ContainerSpec
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import NetworkAttachment, NetworkDefinition
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.docker_run import docker_line
from mydocker.specs.render.normal_form import normal_form
from mydocker.specs.values import Scope
from mydocker.specs.values.network import format_flag, mac_address, parse_network

SCOPE = Scope(directory="/", environ={})
MAC = "02:42:ac:11:00:02"
A, BRIDGE = NetworkAttachment(name="a"), NetworkAttachment(name="bridge")


def _run(text: str) -> ContainerSpec:
    return parse_run([*text.split(), "x"], environ={}, cwd="/").spec


def _load(directory: Path, text: str) -> ContainerSpec:
    (directory / "x.yaml").write_text(text)
    [spec] = load_files([str(directory / "x.yaml")], environ={"COMPOSE_PROJECT_NAME": "p"})
    return spec.container


MODES: list[tuple[str, str, list[NetworkAttachment]]] = [
    ("", "default", []),
    ("--network default", "default", []),
    ("--network=", "default", []),
    ("--net bridge", "bridge", []),
    ("--network none", "none", []),
    ("--network host", "host", []),
    ("--network container:web-1", "container:web-1", []),
    ("--network name=host", "host", []),
    ("--network a", "networks", [A]),
    ("--network a --network b", "networks", [A, NetworkAttachment(name="b")]),
    ("--network name=a", "networks", [A]),
    (f"--network name=a,alias=x,alias=y,ip=10.5.0.9,ip6=FD00::0:9,mac-address={MAC},gw-priority=-1", "networks",
     [A.replace(aliases=("x", "y"), address="10.5.0.9", address6="fd00::9", mac=MAC, gateway_priority=-1)]),
    ("--network NAME=a,driver-opt=com.docker.network.endpoint.ifname=lan0", "networks", [A.replace(interface="lan0")]),
    (f"--network a --network b --ip 10.5.0.9 --ip6 fd00::9 --mac-address {MAC}", "networks",
     [A.replace(address="10.5.0.9", address6="fd00::9", mac=MAC), NetworkAttachment(name="b")]),
    ("--network a --network-alias x --net-alias y", "networks", [A.replace(aliases=("x", "y"))]),
    ("--network name=a,alias=x --network-alias y", "networks", [A.replace(aliases=("x", "y"))]),
    ("--network-alias x", "default", [BRIDGE.replace(aliases=("x",))]),
    ("--ip 10.88.0.9", "bridge", [BRIDGE.replace(address="10.88.0.9")]),
    (f"--mac-address {MAC}", "bridge", [BRIDGE.replace(mac=MAC)]),
    ("--network bridge --ip 10.88.0.9", "bridge", [BRIDGE.replace(address="10.88.0.9")]),
    ("--network name=bridge,alias=x", "bridge", [BRIDGE.replace(aliases=("x",))]),
]  # fmt: skip  # a table reads best with a case on a line


@pytest.mark.parametrize(("text", "mode", "networks"), MODES)
def test_words_of_the_command_line(tmp_path: Path, text: str, mode: str, networks: list[NetworkAttachment]) -> None:
    """And the normal form says the same; in a file, containers with aliases share a network of their own."""
    spec = _run(text)
    assert (spec.network_mode, [*spec.networks]) == (mode, networks)
    assert ("net" in spec.namespaces) == (mode in ("bridge", "networks", "none"))
    again = _load(tmp_path, write_documents([normal_form(CaseSpec(container=spec))]))
    if mode == "default" and networks:
        networks = [networks[0].replace(name="p_default", definition=NetworkDefinition())]
    assert (again.network_mode, [*again.networks], again.namespaces) == (mode, networks, spec.namespaces)
    third = _load(tmp_path, write_documents([normal_form(CaseSpec(container=again))]))
    assert third.replace(origin=again.origin) == again


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--network a --network a", "network 'a' is named twice"),
        ("--network a --network host", "host cannot be combined with other networks"),
        ("--network a --network bridge", "bridge cannot be combined with other networks"),
        ("--network container:", "expected container:NAME or container:ID"),
        ("--network service:x", "expected letters, digits, _ . and -, a letter or digit first"),
        ("--network -x", "expected letters, digits"),
        ("--network alias=x", "a network needs its name: name=NAME"),
        ("--network name=a,x", "'x': expected KEY=VALUE"),
        ("--network name=a,alis=x", "unknown key 'alis'; did you mean 'alias'?"),
        ("--network name=a,link-local-ip=169.254.1.1", "link-local-ip is not supported yet"),
        ("--network name=a,driver-opt=x=y", "driver-opt x is not supported"),
        ("--network name=a,ip=x", "'x' is not an IPv4 address"),
        ("--network name=host,alias=x", "host takes no options"),
        ("--ip ::1", "'::1' is not an IPv4 address"),
        ("--ip6 10.0.0.1", "'10.0.0.1' is not an IPv6 address"),
        ("--mac-address x", "'x' is not a MAC address"),
        ("--mac-address 03:42:ac:11:00:02", "is a multicast address"),
        ("--network-alias a/b#", "is not a host name"),
        ("--network none --ip 10.0.0.1", "ip needs a network such as bridge, and network_mode is 'none'"),
        ("--network host --ip6 fd00::1", "ip6 needs a network such as bridge, and network_mode is 'host'"),
        (f"--network host --mac-address {MAC}", "mac_address needs a network such as bridge"),
        (f"--network container:x --mac-address {MAC}", "mac_address needs a network such as bridge"),
        ("--network none --network-alias x", "aliases need a network that containers share, such as bridge"),
        ("--network name=a,ip=10.5.0.9 --ip 10.5.0.8", "ip and the same option of network a exclude each other"),
        ("--network container:x --hostname h", "the other container has the host name"),
        ("--network container:x --dns 1.1.1.1", "the other container has the name servers"),
        ("--network container:x --add-host a:1.1.1.1", "the other container has /etc/hosts"),
        ("--network container:x -p 80", "the other container has the published ports"),
        ("--network container:x -P", "the other container has the published ports"),
        ("--network container:x --expose 80", "the other container has the ports"),
        ("--network container:x --sysctl net.core.somaxconn=9", "needs a network of the container's own"),
        ("--network bridge --namespaces mount,pid", "network_mode 'bridge' needs the net namespace"),
        ("--network a --namespaces mount,pid", "network_mode 'networks' needs the net namespace"),
        ("--network container:x --namespaces net", "contradicts network_mode 'container:x'"),
    ],
)
def test_what_excludes_each_other(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        _run(text)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("text", "mode", "namespaces"),
    [
        ("namespaces: [mount, pid, net]", "none", ("mount", "pid", "net")),
        ("namespaces: [mount, pid]", "host", ("mount", "pid")),
        ("namespaces: {net: private}", "none", NAMESPACES),
        ("namespaces: {net: host}", "host", tuple(each for each in NAMESPACES if each != "net")),
        ("namespaces: {pid: host}", "default", ("mount", "uts", "ipc", "cgroup")),
        ("pid: host\nnetwork_mode: bridge", "bridge", ("mount", "uts", "ipc", "net", "cgroup")),
        ("namespaces: [mount, net]\nnetwork_mode: bridge", "bridge", ("mount", "net")),
        ("namespaces: {ipc: host}\nnetworks: [a]", "networks", ("mount", "pid", "uts", "net", "cgroup")),
        ("namespaces: [mount, pid]\nnetwork_mode: container:x", "container:x", ("mount", "pid")),
    ],
)
def test_namespaces_and_networks(tmp_path: Path, text: str, mode: str, namespaces: tuple[str, ...]) -> None:
    """A list is exact: without `net` the network is the host's. Reading the normal form again gives the same."""
    spec = _load(tmp_path, f"image: a\n{text}\n")
    assert (spec.network_mode, spec.namespaces) == (mode, namespaces)
    again = _load(tmp_path, write_documents([normal_form(CaseSpec(container=spec))]))
    assert (again.network_mode, again.namespaces, again.networks) == (mode, namespaces, spec.networks)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", [("h", "host-gateway"), ("a", "1.2.3.4")]),
        ("network_mode: bridge", [("h", "host-gateway"), ("a", "1.2.3.4")]),
        ("network_mode: host", [("h", "127.0.0.1"), ("a", "1.2.3.4")]),
        ("network_mode: none", [("a", "1.2.3.4")]),
    ],
)
def test_the_address_of_the_host(tmp_path: Path, text: str, hosts: list[tuple[str, str]]) -> None:
    """A container's network decides on it; where that is the host's, it is the host itself."""
    spec = _load(tmp_path, f"image: a\nextra_hosts: ['h:host-gateway', 'a:1.2.3.4']\n{text}\n")
    assert spec.extra_hosts == (("h", "host-gateway"), ("a", "1.2.3.4"))
    if spec.network_mode != "default":  # which is settled when it starts
        assert [*spec.hosts] == hosts
    assert "--add-host h:host-gateway" in docker_line(spec.replace(network_mode="bridge"))[0]


@pytest.mark.parametrize(
    ("text", "line", "notes"),
    [
        ("network_mode: bridge", "--network bridge", []),
        ("networks: [a, b]", "--network a --network b", ["networks: several take Docker 25 or later"]),
        ("networks: {a: {ipv4_address: 10.5.0.9}}\naliases: [x]", "--network name=a,alias=x,ip=10.5.0.9", []),
        ("networks: {a: {create: {internal: true, enable_ipv6: true, labels: [l=1], driver_opts: {o: 2}, ipam: {config:"
         " [{subnet: 10.5.0.0/24, gateway: 10.5.0.1}]}}}}", "--network a",
         ["network a: docker network create --internal --ipv6 --subnet 10.5.0.0/24 --gateway 10.5.0.1 --label l=1"
          " --opt o=2 a"]),
        ("networks: {a: {create: {external: true}}}", "--network a", []),
        (f"mac_address: {MAC}\nip: 10.88.0.9", f"--network bridge --mac-address {MAC}",
         ["ip: docker run takes it only in a network that was created"]),
        ("network_mode: container:x", "--network container:x", []),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_the_line_for_docker(tmp_path: Path, text: str, line: str, notes: list[str]) -> None:
    assert docker_line(_load(tmp_path, f"image: a\n{text}\n")) == (f"docker run --rm {line} a:latest", notes)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("networks: 5", "2:11: expected a list of networks, or a mapping of their names"),
        ("networks: {a: 5}", "2:15: expected a mapping, such as aliases: [NAME]"),
        ("networks: {a: {create: 5}}", "2:24: expected a mapping, such as internal: true"),
        ("networks: {a: {aliases: x}}", "2:25: expected a list of names"),
        ("networks: {'-a': }", "2:12: network '-a': expected letters, digits, _ . and -, a letter or digit first"),
        ("networks: {a: {interface_name: sixteen-bytes-xx}}",
         "2:32: 'sixteen-bytes-xx' is not the name of an interface"),
        ("network_mode: default\nnamespaces: [net]",
         "3:1: a net namespace of its own contradicts network_mode 'default'"),
        ("networks: {a: {create: {enable_ipv4: no}}}", "2:38: a network without IPv4 is not supported"),
        ("networks: [a]\nnetwork_mode: host", "2:1: networks and network_mode exclude each other"),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_mistakes_in_files(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, f"image: a\n{text}\n")
    assert [found.removeprefix(f"{tmp_path}/x.yaml:") for found in caught.value.problems] == [problem]


@pytest.mark.parametrize("text", ["02:42:AC:11:00:02", "02-42-ac-11-00-02", "0242.ac11.0002"])
def test_notations_of_mac_addresses(text: str) -> None:
    assert mac_address(text, SCOPE) == MAC


@pytest.mark.parametrize(
    "text", ["", "02:42:ac:11:00", f"{MAC}:00", "0242ac110002", "02:42-ac:11:00:02", "0:242:ac:11:00:02"]
)
def test_no_mac_addresses(text: str) -> None:
    with pytest.raises(UsageError):
        mac_address(text, SCOPE)


NAMES = some.from_regex(r"[a-z0-9][a-z0-9_.-]{0,9}", fullmatch=True)


@given(
    name=NAMES,
    aliases=some.lists(NAMES, max_size=3, unique=True),
    address=some.sampled_from(["", "10.5.0.9"]),
    address6=some.sampled_from(["", "fd00::9"]),
    mac=some.sampled_from(["", MAC]),
    priority=some.integers(-5, 5),
    interface=some.sampled_from(["", "lan0"]),
)
def test_the_long_form_is_read_as_it_is_written(
    name: str, aliases: list[str], address: str, address6: str, mac: str, priority: int, interface: str
) -> None:
    attachment = NetworkAttachment(
        name=name,
        aliases=tuple(aliases),
        address=address,
        address6=address6,
        mac=mac,
        gateway_priority=priority,
        interface=interface,
    )
    text = format_flag(attachment)
    assert (parse_network(text, SCOPE) if "=" in text else NetworkAttachment(name=text)) == attachment


@given(some.text(alphabet="name=alisp6mc-dr,:.x0", max_size=30))
def test_any_word_is_read_or_refused(text: str) -> None:
    try:
        found = parse_run(["--network", text, "x"], environ={}, cwd="/")
    except UsageError as error:
        assert "invalid argument" in error.message or "exclude" in error.message or "takes no options" in error.message
    else:
        assert all(each.name for each in found.spec.networks)
