"""Compose files: what each service becomes, and that what is not supported is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.command import Command

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.model import BindMount, ContainerSpec, VolumeMount
from mydocker.specs.model.case import CaseSpec

BUILD = "build the image first, for example with docker build or buildah, and set image to its name"
NETWORKS = "services share the host's network and know each other by name; leave it out"


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
        ("volumes: {data: {external: true}}", "data:/x", VolumeMount(volume="data", target="/x")),
        ("volumes: {data: }", "{type: volume, source: data, target: /x, volume: {nocopy: true}}",
         VolumeMount(volume="myapp_data", target="/x", copy=False)),
        ("volumes: {data: }", "/x", VolumeMount(target="/x")),
        ("", "{type: bind, source: ./data, target: /x}", BindMount(source="HERE/data", target="/x")),
        ("", "./data:/x:z", BindMount(source="HERE/data", target="/x")),
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
    "text", ["container_name: a", "expose: [80]", "scale: 1", "attach: true", "networks: {default: }", "build: ",
             "ports: [80, '443:443', '53:53/udp', '0.0.0.0:80:80', '[::]:81:81', '0::0:82:82']",
             "ports: [{target: 80, published: 80, host_ip: 0.0.0.0}]", "expose: [80-90, '53/udp']", "expose: [80]"]
)  # fmt: skip
def test_what_says_what_holds_anyway_is_accepted(text: str) -> None:
    spec = service(text)
    assert (spec.name, spec.network_mode, spec.ports) == ("web", "default", ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("services:\n  web: {image: a, build: .}", [f"2:19: build is not supported yet: {BUILD}"]),
        ("services:\n  web: {image: a, networks: [front]}", [f"2:19: networks is not supported yet: {NETWORKS}"]),
        ("services:\n  a: {image: a, container_name: x}\n  b: {image: a, container_name: x}\n"
         "  c: {image: a, container_name: }\n  d: {image: a, container_name: }\n  e: {image: a, container_name: d}\n"
         "  f: {image: a, container_name: 'x'}",
         ["3:33: container_name 'x' is also that of service 'a'",
          "7:33: container_name 'x' is also that of service 'a'"]),
        ("services:\n  web: {image: a, links: [db], volumes_from: [db]}",
         ["2:19: links is not supported yet: leave it out; services know each other by name, and depends_on says "
          "which starts first",
          "2:32: volumes_from is not supported yet: list the volumes again, or share them with extends or a YAML "
          "anchor"]),
        ("services:\n  web: {image: a, scale: 2, attach: false}",
         ["2:19: scale: only 1 is supported", "2:29: attach: only true is supported"]),
        ("services:\n  web: {image: a, expose: '80'}", ["2:27: expose: expected a list of ports"]),
        ("services:\n  web: {image: a, expose: [80-x]}", ["2:28: 'x': expected a port, a number from 1 to 65535"]),
        ("services:\n  web: {image: a, expose: [80/x]}", ["2:28: protocol 'x': expected tcp, udp, sctp"]),
        ("services:\n  web: {image: a, container_name: [x]}", ["2:35: expected text, not a list"]),
        ("services:\n  web: {image: a, networks: {default: {aliases: x, ipv4_address: 1.2.3.4, alias: y}}}",
         ["2:49: expected a list of names", "2:52: ipv4_address is not supported yet",
          "2:75: unknown key 'alias'; did you mean 'aliases'?"]),
        ("services:\n  web: {image: a, networks: {default: {aliases: ['a b']}}}", ["2:50: 'a b' is not a host name"]),
        ("services:\n  web: {image: a, networks: [default], network_mode: host}",
         ["2:19: networks and network_mode exclude each other"]),
        ("services:\n  web: {image: a, deploy: {repicas: 1, resources: {limit: {}}}}",
         ["2:28: unknown key 'repicas'; did you mean 'replicas'?",
          "2:52: unknown key 'limit'; did you mean 'limits'?"]),
        ("services:\n  web: {image: a, ports: ['x:80:80', '127.0.0.1:81:81', '0.0.0.0:82:83', '[::1]:84:84']}",
         ["2:27: 'x' is not an IP address",
          "2:38: port 81 as 127.0.0.1 is not supported yet: services share the host's network",
          "2:57: port 83 as 82 is not supported yet: services share the host's network",
          "2:74: port 84 as ::1 is not supported yet: services share the host's network"]),
        ("services:\n  web: {image: a, imag: b, comand: x}",
         ["2:19: unknown key 'imag'; did you mean 'image'?", "2:28: unknown key 'comand'; did you mean 'command'?"]),
        ("services:\n  web: {image: a, cpu_shares: 5, logging: {driver: none}}",
         ["2:19: cpu_shares is not supported yet", "2:34: logging is not supported yet: "
          "leave it out; a container's output is that of mydocker, which can be redirected"]),
        ("services:\n  web: {image: a, deploy: {replicas: 2, placement: {}, resources: {reservations: {}}}}",
         ["2:28: deploy.replicas is not supported", "2:41: deploy.placement is not supported",
          "2:68: deploy.resources.reservations is not supported"]),
        ("services:\n  web: {image: a, deploy: {resources: {limits: {cpu: 1}}}}",
         ["2:49: unknown key 'cpu'; did you mean 'cpus'?"]),
        ("services:\n  web: {image: a, volumes: ['dat:/x', {type: volume, source: no, target: /y}]}\nvolumes: {data: }",
         ["2:29: volume 'dat' is not declared under volumes at the top of the file; did you mean 'data'?",
          "2:62: volume 'no' is not declared under volumes at the top of the file, or ./ before it for a directory"]),
        ("services: {web: {image: a}}\nnetworks: {front: {driver: bridge}, default: {name: x}}",
         ["2:12: network 'front' is not supported yet: services share the host's network",
          "2:37: network 'default' is not supported yet: services share the host's network"]),
        ("services: {web: {image: a}}\nvolumes: {d: {driver: nfs, driver_opts: {}, drivr: x}, e: 5}",
         ["2:23: volume driver 'nfs' is not supported: expected local", "2:28: driver_opts is not supported yet",
          "2:45: unknown key 'drivr'; did you mean 'driver'?", "2:59: expected a mapping"]),
        ("services: {web: {image: a}}\nmodels: {}\nincluded: x",
         ["2:1: models is not supported yet", "3:1: unknown key 'included'; did you mean 'include'?"]),
        ("services: {web: {image: a, ports: ['8080:80', '127.0.0.1:443:443', x]}}",
         ["1:36: port 80 as 8080 is not supported yet: services share the host's network",
          "1:47: port 443 as 127.0.0.1 is not supported yet: services share the host's network",
          "1:68: 'x': expected a port, a number from 1 to 65535"]),
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
def test_what_has_no_equal_is_named_at_its_place(text: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load(text)
    assert [line.removeprefix("compose.yaml:") for line in caught.value.problems] == expected


@pytest.mark.root
def test_a_compose_file_runs(alpine: Command, here: Path) -> None:
    (here / "site.env").write_text('WHO="the env file"\n')
    Path("compose.yaml").write_text(
        "services:\n"
        "  second:\n    image: alpine\n    env_file: site.env\n"
        "    command: ['sh', '-c', 'echo $$WHO; cat /data/note; grep -c first /etc/hosts']\n"
        "    volumes: ['notes:/data:ro']\n    depends_on: {first: {condition: service_completed_successfully}}\n"
        "  first:\n    image: alpine\n    command: sh -c 'echo written > /data/note'\n    volumes: ['notes:/data']\n"
        "volumes: {notes: }\n"
    )
    done = alpine("up", "compose.yaml", cwd=here)
    assert (done.stdout, done.code) == (b"the env file\nwritten\n1\n", 0), done
    assert b"second: exit code 0" in done.stderr
    assert b"docker run" in alpine("explain", "compose.yaml", cwd=here).stdout
    assert b"myapp_notes" in alpine("volume", "ls", cwd=here).stdout
