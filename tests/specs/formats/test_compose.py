"""Compose files: what each service becomes, and that what is not supported is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.command import Command

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import refuse_absent, select, take_part
from mydocker.specs.model import BindMount, ContainerSpec, FilesystemMount, TmpfsMount, VolumeMount
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import Logging, NetworkAttachment, NetworkDefinition, Port, RestartPolicy, Service

DEFINED = NetworkDefinition()
DEFAULT = NetworkAttachment(name="myapp_default", aliases=("web",), definition=DEFINED)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "My.App"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def load(text: str, **environ: str) -> list[CaseSpec]:
    Path("compose.yaml").write_text(text)
    return load_files(["compose.yaml"], environ=environ)


def service(text: str, top: str = "", **environ: str) -> ContainerSpec:
    (spec,) = load(f"services:\n  web:\n    image: alpine\n    {text}\n{top}", **environ)
    return spec.container


def test_each_service_is_a_container() -> None:
    specs = load(
        "version: '3.8'\nname: shop\nx-common: &common {image: 'alpine:${TAG:-1}', init: true}\n"
        "services:\n"
        "  db: {<<: *common, container_name: shop-db, networks: [default]}\n"
        "  web:\n    <<: *common\n    environment: [A=1]\n    command: serve --name ${COMPOSE_PROJECT_NAME}\n"
        "    depends_on: {db: {condition: service_started}}\n    profiles: [all]\n    x-free: {}\n"
        "networks: {default: }\n",
        TAG="2",
    )
    assert [spec.name for spec in specs] == ["db", "web"]
    assert [str(spec.origin) for spec in specs] == ["compose.yaml:5", "compose.yaml:6"]
    assert all(str(spec.container.image).endswith("alpine:2") and spec.container.init for spec in specs)
    web = specs[1]
    assert (web.container.command, web.container.environment, web.profiles) == (
        ("serve", "--name", "shop"),
        {"A": "1"},
        ("all",),
    )
    assert [dependency.name for dependency in web.depends_on] == ["db"]
    assert dict(web.container.hosts) == dict.fromkeys(("db", "shop-db", "web"), "127.0.0.1")


def test_keys_of_the_table_are_keys_of_a_service() -> None:
    spec = service(
        "domainname: example.org\n    dns_search: a.example\n    dns_opt: [ndots:2, rotate]\n    oom_score_adj: '-5'"
    )
    assert (spec.domainname, spec.dns_search, spec.oom_score_adj) == ("example.org", ("a.example",), -5)
    assert spec.dns_opt == ("ndots:2", "rotate")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", [("web", "127.0.0.1")]),
        ("network_mode: host", []),
        ("network_mode: none", []),
        ("namespaces: {net: private}", []),
        ("namespaces: [mount, net]\n    container_name: c", []),
        ("namespaces: {pid: host}", [("web", "127.0.0.1")]),
        ("extends: {file: base.yaml, service: base}", []),
        ("extends: {file: base.yaml, service: base}\n    container_name: c", []),
        ("extra_hosts: ['a:1.2.3.4']", [("a", "1.2.3.4"), ("web", "127.0.0.1")]),
        ("extra_hosts: {a: 1.2.3.4}", [("a", "1.2.3.4"), ("web", "127.0.0.1")]),
        ("extra_hosts: {web: 1.2.3.4}", [("web", "1.2.3.4")]),
        ("extra_hosts: ['web=1.2.3.4']", [("web", "1.2.3.4")]),
        ("extra_hosts: ", [("web", "127.0.0.1")]),
    ],
)
def test_services_know_each_other_by_name(text: str, hosts: list[tuple[str, str]]) -> None:
    Path("base.yaml").write_text("services: {base: {image: a, network_mode: none}}")
    assert list(service(text).hosts) == hosts


@pytest.mark.parametrize(
    ("top", "entry", "volume"),
    [
        ("volumes: {data: }", "data:/x", VolumeMount(volume="myapp_data", target="/x")),
        ("volumes: {data: {}}", "data:/x:ro", VolumeMount(volume="myapp_data", target="/x", read_only=True)),
        ("volumes: {data: {driver: local}}\nname: p", "data:/x", VolumeMount(volume="p_data", target="/x")),
        ("volumes: {data: {name: '${N}'}}", "${V}:/x", VolumeMount(volume="mine", target="/x")),
        ("volumes: {data: {external: true}}", "data:/x", VolumeMount(volume="data", target="/x", external=True)),
        ("volumes: {data: {external: {name: mine}}}", "{type: volume, source: data, target: /x, volume: {subpath: y}}",
         VolumeMount(volume="mine", target="/x", subpath="y", external=True)),
        ("volumes: {data: {driver_opts: {type: nfs, device: ':/d', o: 'addr=a,ro'}}}", "data:/x:z",
         FilesystemMount(target="/x", read_only=True, fstype="nfs", device=":/d", options=("addr=a",))),
        ("volumes: {data: {driver_opts: {o: rbind, device: /d}}}", "data:/x:ro",
         BindMount(source="/d", target="/x", read_only=True)),
        ("volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=1m,noexec'}}}", "data:/x",
         TmpfsMount(target="/x", size=1 << 20, setuid=True)),
        ("volumes: {data: }", "{type: volume, source: data, target: /x, volume: {nocopy: true}}",
         VolumeMount(volume="myapp_data", target="/x", copy=False)),
        ("volumes: {data: }", "/x", VolumeMount(target="/x")),
        ("volumes: {data: }", "{type: volume, source: '${NONE-}', target: /x}", VolumeMount(target="/x")),
        ("", "{type: bind, source: ./data, target: /x}", BindMount(source="HERE/data", target="/x", create=True)),
        ("", "./data:/x:z", BindMount(source="HERE/data", target="/x", create=True)),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_volumes_are_those_of_the_project(here: Path, top: str, entry: str, volume: VolumeMount | BindMount) -> None:
    if isinstance(volume, BindMount):
        volume = volume.replace(source=volume.source.replace("HERE", str(here)))
    assert service(f"volumes:\n    - {entry}", top, N="mine", V="data").volumes == (volume,)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("networks: {default: {aliases: [db, data]}}", ["web", "db", "data"]),
        ("networks: {default: {aliases: ['${V}']}}\n    container_name: c", ["web", "c", "v"]),
        ("networks: {default: {aliases: [web, web]}}", ["web"]),
        ("networks: {default: {}}", ["web"]),
        ("networks: {default: {aliases: []}}", ["web"]),
        ("networks: {default: {aliases: }}", ["web"]),
        ("networks: [default]", ["web"]),
        ("container_name: c", ["web", "c"]),
    ],
)
def test_aliases_are_names_too(text: str, hosts: list[str]) -> None:
    assert service(text, V="v").hosts == tuple((name, "127.0.0.1") for name in hosts)


def test_names_are_known_in_all_files_of_a_project() -> None:
    """Those of a file that is included, and whatever is extended only for what it says."""
    Path("other.yaml").write_text("services: {db: {image: a, networks: {default: {aliases: [store]}}}}")
    specs = sorted(
        load(
            "include: [other.yaml]\nservices:\n  web: {extends: {file: other.yaml, service: db}}\n"
            "  a-cache: {image: a, extra_hosts: ['db:1.2.3.4']}\n"
        ),
        key=lambda spec: ("web", "a-cache", "db").index(spec.name or ""),
    )
    web, cache, db = (spec.container for spec in specs)
    assert {name for name, _ in web.hosts} == {name for name, _ in db.hosts} == {"web", "a-cache", "db", "store"}
    assert dict(cache.hosts)["db"] == "1.2.3.4"


def test_containers_of_our_own_form_may_have_aliases_too() -> None:
    specs = load("name: x\nimage: a\naliases: [one]\n---\nimage: a\naliases: [other]\n---\nimage: a\n")
    one, other, third = (spec.container for spec in specs)
    assert one.hosts == other.hosts == (("one", "127.0.0.1"), ("other", "127.0.0.1")) and third.hosts == ()


@pytest.mark.parametrize(
    ("key", "ours", "theirs", "differ"),
    [
        ("mem_limit", "64m", "64M", False),
        ("mem_limit", "65536k", "67108864", False),
        ("mem_limit", "128m", "64m", True),
        ("mem_limit", "0", "64m", True),
        ("cpus", "0.5", "'0.50'", False),
        ("cpus", "1", "1.5", True),
        ("pids_limit", "9", "'9'", False),
        ("pids_limit", "-1", "0", False),
        ("pids_limit", "9", "10", True),
    ],
)
def test_a_limit_that_stands_in_two_places_is_one_limit(key: str, ours: str, theirs: str, differ: bool) -> None:
    name = {"mem_limit": "memory", "cpus": "cpus", "pids_limit": "pids"}[key]
    for first, second in ((0, 1), (1, 0)):
        lines = [f"{key}: {ours}", f"deploy: {{resources: {{limits: {{{name}: {theirs}}}}}}}"]
        if not differ:
            service(f"{lines[first]}\n    {lines[second]}")
            continue
        with pytest.raises(SpecError) as caught:
            service(f"{lines[first]}\n    {lines[second]}")
        assert [line.partition(": ")[2] for line in caught.value.problems] == [
            f"{key} and deploy.resources.limits.{name} differ: set one of them, or both to one value"
        ]


def test_the_name_of_the_project_may_come_from_outside() -> None:
    spec = service("volumes: ['d:/x']", "volumes: {d: }\nname: inside", COMPOSE_PROJECT_NAME="outside")
    assert spec.volumes == (VolumeMount(volume="outside_d", target="/x"),)


def test_limits_may_stand_under_deploy() -> None:
    spec = service("deploy: {replicas: 1, resources: {limits: {cpus: '0.5', memory: 64M, pids: 9}}}")
    assert (spec.cpus, spec.mem_limit, spec.pids_limit) == (0.5, 64 << 20, 9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("scale: 2", {"replicas": 2}),
        ("deploy: {replicas: 0}", {"replicas": 0}),
        ("scale: 3\n    deploy: {replicas: 3, mode: replicated}", {"replicas": 3}),
        ("container_name: front", {"container_name": "front"}),
        ("attach: no", {"attach": False}),
    ],
)
def test_what_a_service_is_in_its_project(text: str, expected: dict[str, object]) -> None:
    (spec,) = load(f"name: shop\nservices:\n  web:\n    image: alpine\n    {text}\n")
    assert spec.service == Service(name="web", project="shop").replace(**expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("restart: always", RestartPolicy(name="always")),
        ("restart: always\n    deploy: {restart_policy: {condition: none}}", None),
        (
            "deploy: {restart_policy: {condition: on-failure, max_attempts: 3, delay: 5s}}",
            RestartPolicy(name="on-failure", attempts=3, delay=5.0),
        ),
    ],
)
def test_when_a_service_is_restarted(text: str, expected: RestartPolicy | None) -> None:
    assert service(text).restart == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{driver: local}", Logging(driver="local")),
        ("{options: {max-size: 10m, max-file: '3'}}", Logging(max_size=10 << 20, max_file=3)),
        ("{driver: json-file, options: {max-size: '-1', max-file: 2}}", Logging(max_file=2)),
        ("{driver: none, options: }", Logging(driver="none")),
    ],
)
def test_what_becomes_of_the_output(text: str, expected: Logging) -> None:
    assert service(f"logging: {text}").logging == expected


@pytest.mark.parametrize(
    "text", ["expose: [80]", "scale: 1", "attach: true", "networks: {default: }", "build: "]
)  # fmt: skip
def test_what_says_what_holds_anyway_is_accepted(text: str) -> None:
    spec = service(text)
    assert (spec.name, spec.network_mode, spec.ports) == ("web", "default", ())
    assert spec.networks == (DEFAULT,)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("[80, '443:443', '53:53/udp']",
         [Port(target=80), Port(target=443, published=443), Port(target=53, published=53, protocol="udp")]),
        ("['0.0.0.0:80:80', '[::]:81:81', '0::0:82:82']",
         [Port(target=80, published=80, host_ip="0.0.0.0"), Port(target=81, published=81, host_ip="::"),
          Port(target=82, published=82, host_ip="::")]),
        ("['8080:80', '9000-9010:90', '7000-7001:70-71']",
         [Port(target=80, published=8080), Port(target=90, published=9000, last_published=9010),
          Port(target=70, published=7000), Port(target=71, published=7001)]),
        ("[53/UDP, {target: 54, protocol: UDP}]", [Port(target=53, protocol="udp"), Port(target=54, protocol="udp")]),
        ("[{target: 80, published: 8080, host_ip: 127.0.0.1, mode: ingress, name: web, app_protocol: http}]",
         [Port(target=80, published=8080, host_ip="127.0.0.1")]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_ports_are_published(text: str, ports: list[Port]) -> None:
    spec = service(f"ports: {text}")
    assert (spec.network_mode, [*spec.ports]) == ("default", ports)


def test_exposed_ports_are_those_of_publish_all() -> None:
    assert service("expose: [80-81, '53/udp', 9/TCP]").expose == ("80/tcp", "81/tcp", "53/udp", "9/tcp")


@pytest.mark.parametrize(
    ("text", "top", "mode", "networks"),
    [
        ("tty: false", "", "default", [DEFAULT]),
        ("networks: ", "", "default", [DEFAULT]),
        ("networks: {default: {aliases: [db]}}", "", "default", [DEFAULT.replace(aliases=("web", "db"))]),
        ("container_name: c", "name: shop", "default", [DEFAULT.replace(name="shop_default", aliases=("web", "c"))]),
        ("tty: false", "networks: {default: {name: own, enable_ipv6: true}}", "default",
         [DEFAULT.replace(name="own", definition=DEFINED.replace(ipv6=True))]),
        ("tty: false", "networks: {default: {internal: true}}", "networks",
         [DEFAULT.replace(definition=DEFINED.replace(internal=True))]),
        ("tty: false", "networks: {default: {external: true, name: proxy}}", "networks",
         [DEFAULT.replace(name="proxy", definition=DEFINED.replace(external=True))]),
        ("networks: [front, '${V}']", "networks: {front: , back: {internal: yes}}", "networks",
         [DEFAULT.replace(name="myapp_front"),
          DEFAULT.replace(name="myapp_back", definition=DEFINED.replace(internal=True))]),
        ("networks: {front: {aliases: [a], ipv4_address: 10.5.0.9, ipv6_address: 'FD00::0:9',"
         " mac_address: 02-42-AC-11-00-02, interface_name: lan0, gw_priority: 2}, default: }", "networks: {front: {}}",
         "networks",
         [DEFAULT.replace(name="myapp_front", aliases=("a", "web"), address="10.5.0.9", address6="fd00::9",
                          mac="02:42:ac:11:00:02", interface="lan0", gateway_priority=2),
          DEFAULT]),
        ("networks: {front: {ipv4_address: '${NONE-}', ipv6_address: '', mac_address: '', interface_name: ''}}",
         "networks: {front: {}}", "networks", [DEFAULT.replace(name="myapp_front", aliases=("web",))]),
        ("networks: {front: , back: {priority: 5}}", "networks: {front: , back: }", "networks",
         [DEFAULT.replace(name="myapp_back", priority=5), DEFAULT.replace(name="myapp_front")]),
        ("networks: [proxy]", "networks: {proxy: {external: true}}", "networks",
         [DEFAULT.replace(name="proxy", definition=DEFINED.replace(external=True))]),
        ("networks: [proxy]", "networks: {proxy: {external: {name: traefik}}}", "networks",
         [DEFAULT.replace(name="traefik", definition=DEFINED.replace(external=True))]),
        ("networks: [lan]", "networks: {lan: {driver: bridge, attachable: true, labels: [a=1, b], driver_opts: {c: 2}, "
         "x-free: 1, ipam: {driver: default, config: [{subnet: 172.20.0.0/16, gateway: 172.20.0.1, "
         "ip_range: 172.20.5.0/24}, {subnet: 'fd00:0::/64'}]}}}", "networks",
         [DEFAULT.replace(name="myapp_lan", definition=NetworkDefinition(
             subnet="172.20.0.0/16", gateway="172.20.0.1", ip_range="172.20.5.0/24", subnet6="fd00::/64",
             labels={"a": "1", "b": ""}, options={"c": "2"}))]),
        ("networks: [h]", "networks: {h: {external: true, name: host}}", "host", []),
        ("network_mode: host", "networks: {default: {internal: true}}", "host", []),
        ("network_mode: bridge", "", "bridge", []),
        ("network_mode: default", "", "default", []),
        ("network_mode: container:db", "", "container:db", []),
        ("network_mode: proxy", "", "networks", [NetworkAttachment(name="proxy")]),
        ("mac_address: 02:42:ac:11:00:02", "", "bridge",
         [NetworkAttachment(name="bridge", aliases=("web",), mac="02:42:ac:11:00:02")]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_networks_of_a_service(text: str, top: str, mode: str, networks: list[NetworkAttachment]) -> None:
    spec = service(text, top, V="back")
    assert (spec.network_mode, [*spec.networks]) == (mode, networks)
    assert ("net" in spec.namespaces) == (mode in ("networks", "bridge"))


def test_a_service_in_the_network_of_another_one_starts_after_it() -> None:
    specs = load(
        "services:\n  web: {image: a, network_mode: 'service:db'}\n  db: {image: a}\n"
        "  job: {image: a, network_mode: 'service:db', depends_on: {db: {condition: service_healthy}}}\n"
    )
    assert [[(each.name, each.condition) for each in spec.depends_on] for spec in specs] == [
        [("db", "service_started")],
        [],
        [("db", "service_healthy")],
    ]
    assert (specs[0].container.network_mode, "net" in specs[0].container.namespaces) == ("service:db", False)


def test_networks_are_merged_by_their_names() -> None:
    spec, base, other = load(
        "services:\n  web: {extends: base, networks: {b: {aliases: [z]}}}\n"
        "  base: {image: a, networks: {a: {aliases: [x]}, b: {aliases: [y]}}}\n"
        "  host: {extends: base, network_mode: host}\nnetworks: {a: , b: }\n"
    )
    assert [(each.name, each.aliases) for each in spec.container.networks] == [
        ("myapp_a", ("x", "web")),
        ("myapp_b", ("y", "z", "web")),
    ]
    assert len(base.container.networks) == 2
    assert (other.container.network_mode, other.container.networks) == ("host", ())


def test_published_ports_are_discarded_on_the_network_of_the_host() -> None:
    """As with Docker; a warning names those that are not reached as the file says."""
    Path("compose.yaml").write_text(
        "services:\n  web: {image: a, network_mode: host, ports: ['80:80', '8080:81', '127.0.0.1:82:82', '90-95:92']}"
    )
    said: list[str] = []
    [spec] = load_files(["compose.yaml"], environ={}, warn=said.append)
    why = "the network is the host's"
    assert (spec.container.ports, said) == (
        (),
        [
            f"warning: compose.yaml:2:39: port {port} is not published as {other}: {why}"
            for port, other in ((81, "8080"), (82, "127.0.0.1"))
        ],
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("services:\n  web: {image: a, build: {secrets: [no]}}", ["2:37: 'no' is not declared under secrets at the "
                                                                  "top of the file"]),
        ("services:\n  web: {image: a, networks: [front]}",
         ["2:30: network 'front' is not declared under networks at the top of the file"]),
        ("services:\n  a: {image: a, container_name: x}\n  b: {image: a, container_name: x}\n"
         "  c: {image: a, container_name: }\n  d: {image: a, container_name: }\n  e: {image: a, container_name: d}\n"
         "  f: {image: a, container_name: 'x'}",
         ["3:33: container_name 'x' is also that of service 'a'",
          "7:33: container_name 'x' is also that of service 'a'"]),
        ("services:\n  a: {image: a, container_name: x, profiles: [p]}\n"
         "  b: {image: a, container_name: x, profiles: [q, p]}\n  c: {image: a, container_name: x, profiles: [r]}\n"
         "  d: {image: a, container_name: x, profiles: []}",
         ["3:33: container_name 'x' is also that of service 'a'",
          "5:33: container_name 'x' is also that of service 'a'"]),
        ("services:\n  web: {image: a, links: [db], volumes_from: [db]}",
         ["2:27: there is no service 'db'", "2:32: there is no container called 'db'"]),
        ("services:\n  web: {image: a, links: [bd, db:x, job:x, host:y, [z]]}\n  db: {image: a, links: x}\n"
         "  job: {image: a, external_links: [p_db_1:db]}\n  host: {image: a, network_mode: host}",
         ["2:27: there is no service 'bd'",
          "2:37: alias 'x' stands for 'db' in another link: use another name",
          "2:44: 'host' has a network_mode, and so cannot have the alias 'y'",
          "2:52: expected SERVICE or SERVICE:ALIAS, not a list", "3:25: expected a list",
          "4:36: the alias 'db' of another project's container is not supported: use its name, 'p_db_1'"]),
        ("services:\n  web: {image: a, scale: x, attach: maybe}",
         ["2:26: 'x': expected a number of containers, at most 1000", "2:37: expected true or false, not 'maybe'"]),
        ("services:\n  web: {image: a, scale: 2, deploy: {replicas: 3}}",
         ["2:26: scale and deploy.replicas differ: set one of them, or both to one number"]),
        ("services:\n  web: {image: a, scale: 2, container_name: one}",
         ["2:45: container_name is for one container, and there are 2"]),
        ("services:\n  web: {image: a, logging: {driver: syslog, options: {tag: x, max-file: 0}}}",
         ["2:37: log driver 'syslog' is not supported (use json-file, local or none)"]),
        ("services:\n  web: {image: a, logging: {driver: local, options: {max-file: 0}}}",
         ["2:64: max-file '0': expected a number from 1 to 10000"]),
        ("services:\n  web: {image: a, logging: {driver: none, options: {max-size: 1m}}}",
         ["2:19: the log driver none takes no options"]),
        ("services:\n  web: {image: a, deploy: {mode: global, restart_policy: {condition: often}}}",
         ["2:70: 'often': expected none, on-failure or any"]),
        ("services:\n  web: {image: a, ports: [null, '80:'], expose: [null]}",
         ["2:27: expected text, not null", "2:33: '': expected a port, a number from 1 to 65535",
          "2:50: expected text, not null"]),
        ("services:\n  web: {image: a, configs: [{source: c, x-c: 1, y-c: 2}]}\nconfigs: {c: {content: x, x-d: 1}}",
         ["2:49: unknown key 'y-c'"]),
        ("services:\n  web: {image: a, expose: '80'}", ["2:27: expected a list of ports"]),
        ("services:\n  web: {image: a, expose: [80-x]}", ["2:28: 'x': expected a port, a number from 1 to 65535"]),
        ("services:\n  web: {image: a, expose: [80/x]}", ["2:28: protocol 'x': expected tcp, udp"]),
        ("services:\n  web: {image: a, container_name: [x]}", ["2:35: expected text, not a list"]),
        ("services:\n  web: {image: a, networks: {default: {aliases: x, link_local_ips: [], alias: y}}}",
         ["2:49: expected a list of names", "2:52: link_local_ips is not supported yet",
          "2:72: unknown key 'alias'; did you mean 'aliases'?"]),
        ("services:\n  web: {image: a, networks: {front: {ipv4_address: x, mac_address: y, priority: z}}}\n"
         "networks: {frnt: , front: }",
         ["2:52: 'x' is not an IPv4 address",
          "2:68: 'y' is not a MAC address (expected six bytes, such as 02:42:ac:11:00:02)",
          "2:81: 'z': expected a number"]),
        ("services:\n  web: {image: a, networks: {fron: }}\n  db: {image: a, networks: front}\nnetworks: {front: }",
         ["2:30: network 'fron' is not declared under networks at the top of the file; did you mean 'front'?",
          "3:28: expected a list of networks, or a mapping of their names"]),
        ("services:\n  web: {image: a, networks: [front, front]}\nnetworks: {front: }",
         ["2:29: network 'myapp_front' is named twice"]),
        ("services:\n  web: {image: a, network_mode: 'service:'}\n  db: {image: a, network_mode: 'service:x'}",
         ["2:33: 'service:': expected service:NAME", "3:18: there is no container called 'x'"]),
        ("services:\n  web: {image: a, network_mode: 'container:x', ports: [80], hostname: h, dns: 1.1.1.1}",
         ["2:48: ports and network_mode 'container:x' exclude each other: the other container has the published ports",
          "2:61: hostname and network_mode 'container:x' exclude each other: the other container has the host name",
          "2:74: dns and network_mode 'container:x' exclude each other: the other container has the name servers"]),
        ("services:\n  web: {image: a, networks: {default: {aliases: ['a b']}}}", ["2:50: 'a b' is not a host name"]),
        ("services:\n  web: {image: a, networks: [default], network_mode: host}",
         ["2:29: networks and network_mode exclude each other"]),
        ("services:\n  web: {image: a, deploy: {repicas: 1, resources: {limit: {}}}}",
         ["2:28: unknown key 'repicas'; did you mean 'replicas'?",
          "2:52: unknown key 'limit'; did you mean 'limits'?"]),
        ("services:\n  web: {image: a, ports: ['x:80:80', '127.0.0.1:81:81', '0.0.0.0:82:83', '[::1]:84:84']}",
         ["2:27: 'x' is not an IP address"]),
        ("services:\n  web: {image: a, ports: [80/sctp, {target: 80, mode: x}]}",
         ["2:27: sctp ports are not supported yet (expected tcp or udp)", "2:55: mode 'x': expected host or ingress"]),
        ("services:\n  web: {image: a, imag: b, comand: x}",
         ["2:19: unknown key 'imag'; did you mean 'image'?", "2:28: unknown key 'comand'; did you mean 'command'?"]),
        ("services:\n  web: {image: a, cpu_rt_runtime: 5, runtime: kata, isolation: hyperv}",
         ["2:19: cpu_rt_runtime is not supported yet", "2:47: runtime 'kata' is not supported: expected runc or nvidia",
          "2:53: isolation is not supported yet"]),
        ("services:\n  web: {image: a, mem_reservation: 8m, deploy: {resources: {reservations: {memory: 9m}}}}",
         ["2:84: mem_reservation and deploy.resources.reservations.memory differ: set one of them, or both to one "
          "value"]),
        ("services:\n  web: {image: a, mem_limit: 8m, mem_reservation: 9m, cpus: 1, cpu_quota: 5000, cpu_shares: 1}",
         ["2:34: the reservation of memory is more than the limit on memory",
          "2:64: cpus and cpu_quota exclude each other: cpus sets both",
          "2:93: '1': expected a share of processor time from 2 to 262144, such as 1024"]),
        ("services:\n  web: {image: a, post_start: [x, {user: a, privileged: true, command: y}], pre_stop: x}",
         ["2:57: a hook gets no more rights than its container", "2:87: expected a list of commands"]),
        ("services:\n  web: {image: a, post_start: [{command: x, environment: {A=B: c}}]}",
         ["2:59: a name cannot have '=' in it: 'A=B'"]),
        ("services:\n  web: {image: a, gpus: [{driver: x}, {count: 1, device_ids: [a]}, {count: 0}]}",
         ["2:35: device driver 'x' is not supported: expected nvidia, amd or cdi",
          "2:47: count and device_ids exclude each other", "2:76: '0': expected all, or a number of devices"]),
        ("services:\n  web: {image: a, blkio_config: {weight: 5, device_read_bps: [{path: sda, rate: 1}, {path: /d}]}}",
         ["2:42: '5': expected a weight from 10 to 1000, or 0 for the kernel's",
          "2:81: device 'sda' is not an absolute path", "2:85: path and rate are needed"]),
        ("services:\n  web: {image: a, volumes: ['v:/v', 'w:/w', 'x:/x']}\n"
         "volumes: {v: {driver_opts: {type: nfs, o: soft}}, w: {driver_opts: {o: 'bind', device: w}}, "
         "x: {driver_opts: {size: 1, type: tmpfs}}}",
         ["3:28: driver_opts of type 'nfs' need a device",
          "3:68: device 'w' is not an absolute path (${PWD} is the current directory)",
          "3:110: driver_opts 'size' is not supported: expected type, o, device"]),
        ("services:\n  web: {image: a, volumes: ['data:/v']}\nvolumes: {data: {external: maybe}}",
         ["3:28: expected true or false, not 'maybe'"]),
        ("services:\n  web: {image: a, volumes: ['v:/v:U', 'w:/w:O']}\n"
         "volumes: {v: {external: true}, w: {driver_opts: {o: bind, device: /d}}}",
         ["2:29: volume 'v:/v:U': option 'U' is not supported",
          "2:39: option 'O' is not for 'w', which is external or has driver_opts"]),
        ("services:\n  web: {image: a, pid: 'service:', ipc: 'service:x'}",
         ["2:24: 'service:': expected service:NAME", "2:36: there is no container called 'x'"]),
        ("db: {image: a}\nweb: {build: .}",
         ["1:1: a file of Compose's first format: put its services below a key 'services', and volumes at the top"]),
        ("db: {image: a}\nweb: {extends: {file: b.yml, service: web}}",
         ["1:1: a file of Compose's first format: put its services below a key 'services', and volumes at the top"]),
        ("services:\n  web: {image: a, deploy: {resources: {limits: {cpu: 1}}}}",
         ["2:49: unknown key 'cpu'; did you mean 'cpus'?"]),
        ("services:\n  web: {image: a, volumes: ['dat:/x', {type: volume, source: no, target: /y}]}\nvolumes: {data: }",
         ["2:29: volume 'dat' is not declared under volumes at the top of the file; did you mean 'data'?",
          "2:62: volume 'no' is not declared under volumes at the top of the file, or type: bind for a directory"]),
        ("services:\n  web: {image: a, volumes: [{type: volume, source: ./x, target: /x}, {type: volume, source: ~/x, "
         "target: /y}, {type: volume, source: x!, target: /z}]}",
         ["2:52: './x' is no name of a volume (write type: bind for a directory)",
          "2:93: '~/x' is no name of a volume (write type: bind for a directory)",
          "2:134: volume 'x!' is not declared under volumes at the top of the file, or type: bind for a directory"]),
        ("services:\n  web: {image: a, volumes: [{type: volume, source: , target: /x}, 'q:/y', {type: volume, "
         "source: q, target: /z}]}\nvolumes: {q: {driver: nfs}}",
         ["2:51: expected text, not null", "3:23: volume driver 'nfs' is not supported: expected local"]),
        ("services: {web: {image: a}}\n"
         "networks: {a: {driver: overlay, intern: x}, b: {ipam: {driver: x, options: {}}}, c: 5}",
         ["2:24: network driver 'overlay' is not supported: expected bridge",
          "2:33: unknown key 'intern'; did you mean 'internal'?", "2:64: ipam driver 'x' is not supported",
          "2:76: options of ipam are not supported", "2:85: expected a mapping"]),
        ("services: {web: {image: a}}\nnetworks: {a: {ipam: {config: [{subnet: 10.0.0.1/24}, {gateway: 10.0.0.1}, {"
         "subnet: 10.1.0.0/24, gateway: 10.2.0.1}, {subnet: 10.3.0.0/24}, {subnet: 10.4.0.0/24, aux_addresses: {}}]}}}",
         ["2:32: '10.0.0.1/24' is not a subnet (it should be 10.0.0.0/24)",
          "2:55: a pool of addresses needs its subnet",
          "2:76: the gateway 10.2.0.1 is not in the subnet 10.1.0.0/24",
          "2:141: more than one subnet of a kind is not supported"]),
        ("services: {web: {image: a}}\nvolumes: {d: {driver: nfs, driver_opts: {}, drivr: x}, e: 5}",
         ["2:23: volume driver 'nfs' is not supported: expected local",
          "2:45: unknown key 'drivr'; did you mean 'driver'?", "2:59: expected a mapping"]),
        ("services: {web: {image: a, models: [m]}}\nmodels: {m: {model: ai/m}}\nincluded: x",
         ["1:28: models is not supported yet: run the model in a service of its own",
          "3:1: unknown key 'included'; did you mean 'include'?"]),
        ("services: {web: {image: a, ports: ['8080:80', '127.0.0.1:443:443', x]}}",
         ["1:68: 'x': expected a port, a number from 1 to 65535"]),
        ("services: {}", ["1:11: there is no service in this file"]),
        ("services: ", ["1:10: there is no service in this file"]),
        ("services: alpine", ["1:11: expected a mapping"]),
        ("services: [a]", ["1:11: expected a mapping"]),
        ("services: {web: alpine}", ["1:17: expected keys and values, such as 'image: alpine'"]),
        ("services: {a/b: {image: a}}", ["1:12: service 'a/b': expected letters, digits, _ . and -"]),
        ("services: {web: {tty: true}}", ["1:12: no image: one of image and rootfs is needed"]),
        ("services: {web: {image: a, extra_hosts: 5}}", ["1:41: expected a list"]),
        ("services: {web: {image: a}}\nname: My", ["2:7: project name 'My': expected small letters, digits, _ and -, "
                                                  "a letter or digit first"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_is_not_supported_is_reported_with_its_place(text: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load(text)
    assert [line.removeprefix("compose.yaml:") for line in caught.value.problems] == expected


@pytest.mark.root
def test_a_compose_file_runs(alpine: Command, here: Path) -> None:
    (here / "site.env").write_text('WHO="the env file"\n')
    Path("compose.yaml").write_text(
        "services:\n"
        "  second:\n    image: alpine\n    env_file: site.env\n"
        "    command: ['sh', '-c', 'echo $$WHO; cat /data/note; ping -c 1 -W 60 first > /dev/null; echo $$?']\n"
        "    volumes: ['notes:/data:ro']\n    depends_on: {first: {condition: service_healthy}}\n"
        "  first:\n    image: alpine\n    command: sh -c 'echo written > /data/note; sleep 1000'\n"
        "    volumes: ['notes:/data']\n    healthcheck: {test: test -s /data/note, interval: 0.1s, retries: 3000}\n"
        "    stop_signal: KILL\n"
        "volumes: {notes: }\n"
    )
    done = alpine("up", "--exit-code-from", "second", "compose.yaml", cwd=here)
    lines = (b"the env file", b"written", b"0")
    assert (done.stdout, done.code) == (b"".join(b"second-1  | " + line + b"\n" for line in lines), 0), done
    assert b"second-1 exited with code 0" in done.stderr
    assert b"docker run" in alpine("explain", "compose.yaml", cwd=here).stdout
    assert b"myapp_notes" in alpine("volume", "ls", cwd=here).stdout


def test_what_has_no_effect_is_named() -> None:
    Path("compose.yaml").write_text(
        "services:\n"
        "  a: {image: a, privileged: true, cap_drop: [ALL], ipc: host, shm_size: 1m, mem_swappiness: 5, develop: {},\n"
        "      annotations: {x: y}, cpu_count: 2, isolation: default, deploy: {mode: global, placement: {},\n"
        "      labels: {}, resources: {reservations: {cpus: 1}}}, logging: {options: {tag: x}},\n"
        "      external_links: [redis_1], volumes_from: [b]}\n"
        "  b: {image: b}\n"
        "networks: {n: {ipam: {config: [{subnet: 10.4.0.0/24, aux_addresses: {x: 10.4.0.5}}]}}}\n"
        "volumes: {v: {labels: {a: b}}}\n"
    )
    said: list[str] = []
    load_files(["compose.yaml"], environ={}, warn=said.append)
    assert [line.removeprefix("warning: compose.yaml:") for line in said] == [
        "2: volumes_from: 'b' has no volumes; those that its image may declare are not shared",
        "2:35: cap_drop has no effect: privileged grants every capability",
        "2:63: shm_size has no effect: /dev/shm is shared, as is the IPC namespace",
        "2:77: mem_swappiness has an effect with cgroup v1 only",
        "2:96: develop is for 'docker compose watch', and has no effect here",
        "3:7: annotations are for other runtimes, and have no effect here",
        "3:28: cpu_count is for Windows, and has no effect here",
        "3:77: deploy.mode global is for clusters, and has no effect here",
        "3:85: deploy.placement is for clusters, and has no effect here",
        "4:7: deploy.labels is for clusters, and has no effect here",
        "4:52: deploy.resources.reservations.cpus is for clusters, and has no effect here",
        "4:78: log option 'tag' has no effect here",
        "5:24: container 'redis_1' is known by this name if it is in one of the service's networks",
        "7:69: aux_addresses are not kept free: a container without an address of its own may get one",
        "8:23: labels of volumes are not kept",
    ]


@pytest.mark.parametrize(
    ("entry", "kept", "warnings"),
    [
        ("'data:/x:roz'", "'data:/x'", ["unknown option 'roz' has no effect: what it mounts is writable"]),
        ("'./d:/x:ro,Z,what'", "'./d:/x:ro'", ["unknown option 'what' has no effect"]),
        ("'data:/x:rshared,ro'", "'data:/x:ro'", ["option 'rshared' is for a path of the host, and has no effect"]),
        ("'./d:/x:nocopy'", "'./d:/x'", ["option 'nocopy' is for a volume with a name, and has no effect"]),
        ("'./d:/x:ro,rw'", "'./d:/x:rw'", []),
        ("'./d:/x:rw,ro,private,shared'", "'./d:/x:ro,shared'", []),
        ("'ext:/x:roz,ro'", "'ext:/x:ro'", ["unknown option 'roz' has no effect"]),
        ("{type: bind, source: ./d, target: /x, volume: {nocopy: true}}", "'./d:/x'",
         ["'volume' does not go with type 'bind', and has no effect"]),
        ("{type: volume, source: data, target: /x, bind: {propagation: shared}}", "'data:/x'",
         ["'bind' does not go with type 'volume', and has no effect"]),
    ],
)  # fmt: skip
def test_what_compose_passes_over_in_a_volume_is_a_warning(entry: str, kept: str, warnings: list[str]) -> None:
    said: list[str] = []
    found = []
    for text in (entry, kept):
        document = f"services:\n  web:\n    image: a\n    volumes:\n    - {text}\n"
        Path("compose.yaml").write_text(f"{document}volumes: {{data: , ext: {{external: true}}}}\n")
        found += load_files(["compose.yaml"], environ={}, warn=said.append)
    assert found[0].container == found[1].container
    assert [line.partition(": ")[2].partition(": ")[2] for line in said] == warnings


def test_services_of_different_profiles_may_have_one_name() -> None:
    """One is there in place of the other, as for Compose."""
    specs = load(
        "services:\n  cpu: {image: a, container_name: x, profiles: [cpu]}\n"
        "  gpu: {image: b, container_name: x, profiles: [gpu]}\n"
    )
    assert [spec.name for spec in select(specs, frozenset({"gpu"}))] == ["gpu"]
    for judge in (lambda: select(specs, frozenset({"*"})), lambda: refuse_absent(specs)):
        with pytest.raises(SpecError) as caught:
            judge()
        assert caught.value.problems == (
            "compose.yaml:3: container_name 'x' is also that of service 'cpu', whose profile is active too",
        )


@pytest.mark.parametrize(
    ("text", "value"), [("echo ^x$$ $(y) $5", "echo ^x$ $(y) $5"), ("a${V:-$(b) c$}", "a$(b) c$"), ("$V", "v")]
)
def test_a_dollar_that_begins_no_variable_is_one(text: str, value: str) -> None:
    document = f"services: {{web: {{image: a, command: [{json.dumps(text)}]}}}}"
    [spec] = load(document, V="v" if text == "$V" else "")
    assert spec.container.command == (value,)


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("container_name: '$V'", ""),
        ("logging: {driver: '$V'}", "logging: {}"),
        ("networks: []\n    network_mode: host", "network_mode: host"),
        ("networks: {}\n    network_mode: host", "network_mode: host"),
        ("networks:\n    network_mode: host", "network_mode: host"),
    ],
)
def test_what_is_empty_is_the_default(key: str, default: str) -> None:
    assert service(key, V="") == service(default)


def test_of_equal_entries_the_last_one_counts() -> None:
    spec = service(
        "volumes: ['./a:/x', './b:/x', 'v:/y', {type: volume, source: v, target: /y, read_only: true}]\n"
        "    tmpfs: [/t, '/t:size=1m']\n    ports: ['80:80', '80:80/tcp']\n    devices: ['/dev/a:/d', '/dev/b:/d']",
        "volumes: {v: }",
    )
    assert [(mount.target, mount.read_only) for mount in spec.volumes] == [("/x", False), ("/y", True), ("/t", False)]
    assert (len(spec.ports), [device.source for device in spec.devices]) == (1, ["/dev/b"])


def test_links_are_dependencies_and_names() -> None:
    web, db, job = load(
        "services:\n  web: {image: a, links: [db, 'db:store', 'job:work'], depends_on: {db: {condition: "
        "service_healthy}}}\n  db: {image: b}\n  job: {image: c, links: ['db:store']}\n"
    )
    assert [(each.name, each.condition) for each in web.depends_on] == [
        ("db", "service_healthy"),
        ("job", "service_started"),
    ]
    assert [each.name for each in job.depends_on] == ["db"]
    assert (db.container.aliases.own, job.container.aliases.own) == (("db", "store"), ("job", "work"))


def test_an_empty_profile_is_active_where_no_other_is() -> None:
    a, b, c = load("services:\n  a: {image: a, profiles: ['', x]}\n  b: {image: b, profiles: [x]}\n  c: {image: c}\n")
    assert [take_part(each, frozenset()) for each in (a, b, c)] == [True, False, True]
    assert [take_part(each, frozenset("x")) for each in (a, b, c)] == [True, True, True]
    assert [take_part(each, frozenset("y")) for each in (a, b, c)] == [False, False, True]


def test_a_project_name_that_is_none_says_where_it_comes_from() -> None:
    with pytest.raises(SpecError, match="project name 'My_P', which COMPOSE_PROJECT_NAME sets: expected small"):
        load("services: {web: {image: a}}", COMPOSE_PROJECT_NAME="My_P")
