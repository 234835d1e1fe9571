"""Compose files over each other: what is merged, joined and replaced, and where each value comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_project
from mydocker.specs.load.project_files import ProjectFiles, ProjectOptions, find_project
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import Logging
from mydocker.specs.render.normal_form import normal_form


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def _write(**files: str) -> None:
    """Files by their names, in which `__` stands for a slash."""
    for name, text in files.items():
        path = Path(name.replace("__", "/")).with_suffix(".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _project(*paths: str, **environ: str) -> ProjectFiles:
    found = find_project(ProjectOptions(files=tuple(f"{path}.yaml" for path in paths)), environ)
    assert found
    return found


def _merged(base: str, over: str, **environ: str) -> list[CaseSpec]:
    _write(base=base, over=over)
    return load_project(_project("base", "over", **environ))


def _web(base: str, over: str, **environ: str) -> dict[str, Any]:
    """The service that two lists of keys make, in the normal form."""
    top = "\nnetworks: {a: , b: }\nvolumes: {d: , e: }\n"
    [case] = _merged(f"services: {{web: {{image: x, {base}}}}}{top}", f"services: {{web: {{{over}}}}}", **environ)
    return normal_form(case)


MERGED = [  # keys of a service, keys that lie over them, and what one of them is then
    ("init: true", "init: false", "init", None),
    ("command: [a, b]", "command: [c]", "command", ["c"]),
    ("entrypoint: a b", "entrypoint: [c]", "entrypoint", ["c"]),
    ("healthcheck: {test: [CMD, a, b], retries: 3}", "healthcheck: {test: [CMD, c]}", "healthcheck",
     {"test": ["CMD", "c"], "retries": 3}),
    ("environment: {A: 1, B: 2}", "environment: [B=3, C=4]", "environment", {"A": "1", "B": "3", "C": "4"}),
    ("environment: [A=1, B=2]", "environment: {B: $X}", "environment", {"A": "1", "B": "$5"}),
    ("environment: [A=$X]", "environment: [B=$$Y]", "environment", {"A": "$5", "B": "$Y"}),
    ("labels: [a=1]", "labels: {a: 2, b: 3}", "labels", {"a": "2", "b": "3"}),
    ("cap_add: [CHOWN]", "cap_add: [CHOWN, KILL]", "cap_add", ["CHOWN", "KILL"]),
    ("dns: 1.1.1.1", "dns: [2.2.2.2]", "dns", ["1.1.1.1", "2.2.2.2"]),
    ("extra_hosts: ['a:1.1.1.1']", "extra_hosts: {b: 2.2.2.2}", "extra_hosts", ["a=1.1.1.1", "b=2.2.2.2"]),
    ("ports: ['80:80', '81:81']", "ports: [{target: 80, published: 80}, '82:82']", "ports",
     [{"target": n, "published": n} for n in (80, 81, 82)]),
    ("volumes: ['d:/x', 'd:/y']", "volumes: ['e:/x:ro']", "volumes",
     [{"type": "volume", "source": "shop_e", "target": "/x", "read_only": True},
      {"type": "volume", "source": "shop_d", "target": "/y"}]),
    ("tmpfs: /t", "tmpfs: ['/t:size=1m']", "volumes",
     [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": str(1 << 20)}}]),
    ("ulimits: {nproc: 5, nofile: {soft: 1, hard: 2}}", "ulimits: {nofile: 9}", "ulimits",
     {"nproc": {"soft": 5, "hard": 5}, "nofile": {"soft": 9, "hard": 9}}),
    ("logging: {driver: local, options: {max-size: 1m}}", "logging: {options: {max-file: 2}}", "logging",
     {"driver": "local", "options": {"max-size": "1m", "max-file": "2"}}),
    ("logging: {driver: local, options: {max-size: 1m}}", "logging: {driver: json-file}", "logging",
     {"driver": "json-file"}),
    ("environment: {A: 1}", "environment: ", "environment", {"A": "1"}),
    ("environment: {A: 1}", "environment: !reset null", "environment", None),
    ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", "environment", {"B": "2"}),
    ("environment: {A: 1, B: 2}", "environment: !override {C: 3}", "environment", {"C": "3"}),
    ("ports: ['80:80']", "ports: !reset []", "ports", None),
    ("ports: ['80:80']", "ports: !override ['81:81']", "ports", [{"target": 81, "published": 81}]),
    ("environment: {A: 1, B: 2}", "environment: [A]", "environment", {"A": None, "B": "2"}),
    ("environment: [A=1]", "environment: {A: }", "environment", {"A": None}),
    ("labels: {a: 1}", "labels: [a]", "labels", {"a": ""}),
    ("extra_hosts: ['a:1.1.1.1']", "extra_hosts: ['a:1.1.1.1']", "extra_hosts", ["a=1.1.1.1"]),
    ("extra_hosts: ['a:1.1.1.1', b=2.2.2.2]", "extra_hosts: {a: !reset null, c: 3.3.3.3}", "extra_hosts",
     ["b=2.2.2.2", "c=3.3.3.3"]),
    ("gpus: all", "gpus: [{driver: amd, count: 1}]", "gpus", [{"driver": "amd", "count": 1, "capabilities": ["gpu"]}]),
    ("volumes: ['d:/x']", "volumes: [{type: volume, source: e, target: /x/}]", "volumes",
     [{"type": "volume", "source": "shop_e", "target": "/x"}]),
    ("devices: ['/dev/null:/dev/x']", "devices: ['/dev/zero:/dev/x']", "devices",
     [{"source": "/dev/zero", "target": "/dev/x"}]),
    ("ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits: {nofile: {soft: 2}}", "ulimits",
     {"nofile": {"soft": 2, "hard": 2}}),
    ("security_opt: [no-new-privileges]", "security_opt: [seccomp=unconfined]", "security_opt",
     ["seccomp=unconfined", "no-new-privileges"]),
    ("blkio_config: {weight: 10}", "blkio_config: {weight: 20}", "blkio_config", {"weight": 20}),
    ("post_start: [{command: a}]", "post_start: [{command: b}]", "post_start",
     [{"command": ["a"]}, {"command": ["b"]}]),
    ("restart: 'no', deploy: {restart_policy: {condition: on-failure}}", "deploy: {restart_policy: {max_attempts: 5}}",
     "restart", "on-failure:5"),
    ("logging: {driver: local, options: {max-size: 1m}}", "logging: {options: {max-size: !reset null}}", "logging",
     {"driver": "local"}),
    ("healthcheck: {test: a, interval: 9s}", "healthcheck: {interval: !reset null}", "healthcheck",
     {"test": ["CMD-SHELL", "a"]}),
    ("healthcheck: {test: a, interval: 9s}", "healthcheck: !override {test: b}", "healthcheck",
     {"test": ["CMD-SHELL", "b"]}),
    ("deploy: {resources: {limits: {memory: 64m, cpus: 1}}}", "deploy: {resources: {limits: {cpus: !reset null}}}",
     "cpus", None),
    ("networks: {a: , b: }", "networks: {a: !reset null}", "networks", {"shop_b": {"aliases": ["web"], "create": {}}}),
    ("sysctls: {net.ipv4.ip_forward: 1, net.core.somaxconn: 9}", "sysctls: {net.core.somaxconn: !reset null}",
     "sysctls", {"net.ipv4.ip_forward": "1"}),
    ("ulimits: {nproc: 5, nofile: 9}", "ulimits: {nofile: !reset null}", "ulimits", {"nproc": {"soft": 5, "hard": 5}}),
]  # fmt: skip


@pytest.mark.parametrize(("base", "over", "key", "expected"), MERGED)
def test_a_key_of_a_service(base: str, over: str, key: str, expected: object) -> None:
    assert _web(base, over, X="$5").get(key) == expected


@pytest.mark.parametrize("where", ["the same file", "another file", "the third file"])
@pytest.mark.parametrize(("base", "over", "key", "expected"), MERGED)
def test_extends_merges_by_the_same_rules(where: str, base: str, over: str, key: str, expected: object) -> None:
    top = "\nnetworks: {a: , b: }\nvolumes: {d: , e: }\n"
    service = f"base: {{image: x, {base}}}"
    if where == "the same file":
        _write(main=f"services: {{{service}, web: {{extends: base, {over}}}}}{top}")
    else:
        file = "sub/base.yaml" if where == "another file" else "sub/middle.yaml"
        _write(
            sub__base=f"services: {{{service}}}",
            sub__middle="services: {base: {extends: {file: base.yaml, service: base}}}",
            main=f"services: {{web: {{extends: {{file: {file}, service: base}}, {over}}}}}{top}",
        )
    assert _shown("main", X="$5")["web"].get(key) == expected


def test_relative_paths_of_a_base_count_from_its_file(here: Path) -> None:
    Path("sub").mkdir()
    Path("sub/vars").write_text("A=1\n")
    Path("sub/labels").write_text("l=1\n")
    base = (
        "build: {context: ., additional_contexts: {one: ./c, two: 'service:web'}}, image: x, label_file: labels, "
        "env_file: [vars, {path: gone, required: false}], "
        "volumes: ['$X/d:/d', {type: bind, source: e, target: /e}, 'nn:/n', /anon]"
    )
    _write(
        sub__base=f"services: {{base: {{{base}}}}}\nvolumes: {{nn: }}",
        main="services: {web: {extends: {file: sub/base.yaml, service: base}, volumes: ['./f:/f']}}",
    )
    web = _shown("main", X=".")["web"]
    assert (web["environment"], web["labels"]) == ({"A": "1"}, {"l": "1"})
    sources = [each.get("source") for each in web["volumes"]]
    assert sources == [f"{here}/sub/d", f"{here}/sub/e", "shop_nn", None, f"{here}/f"]
    assert web["build"]["context"] == f"{here}/sub"
    assert web["build"]["additional_contexts"] == {"one": f"{here}/sub/c", "two": "service:web"}


def test_a_mistake_in_a_base_is_reported_there() -> None:
    _write(
        sub__base="services:\n  base: {image: x,\n    cpus: lots, nope: 1}\n",
        main="services: {web: {extends: {file: sub/base.yaml, service: base}, tty: maybe}}\n",
    )
    with pytest.raises(SpecError) as caught:
        load_project(_project("main"))
    places = [each.partition(": ")[0] for each in caught.value.problems]
    assert places == ["main.yaml:1:70", "sub/base.yaml:3:11", "sub/base.yaml:3:17"]


def test_a_service_has_the_number_of_containers_of_its_base() -> None:
    _write(main="services: {base: {image: x, deploy: {replicas: 3}, attach: false}, web: {extends: base}}")
    services = [case.service for case in load_project(_project("main"))]
    assert [(each.replicas, each.attach) for each in services if each] == [(3, False), (3, False)]


_BASE = (
    "image: x, entrypoint: [e], command: [c], environment: {A: 1}, ports: ['80:80'], volumes: ['d:/d'], networks: [a], "
    "deploy: {resources: {limits: {memory: 64m}}}, depends_on: [db]"
)


@pytest.mark.parametrize(
    ("own", "over", "expected"),
    [
        ("tty: false", "", {"entrypoint": ["e"], "command": ["c"], "environment": {"A": "1"}, "mem_limit": "64m",
                            "depends_on": {"db": {"condition": "service_started"}}}),
        ("entrypoint: !reset null, environment: !override {B: 2}, deploy: !reset {}, depends_on: !reset []", "",
         {"entrypoint": None, "command": ["c"], "environment": {"B": "2"}, "mem_limit": None, "depends_on": None}),
        ("ports: !override ['81:81'], volumes: !reset []", "",
         {"ports": [{"target": 81, "published": 81}], "volumes": None}),
        ("networks: !override [b]", "", {"networks": {"shop_b": {"aliases": ["web"], "create": {}}}}),
        ("volumes: !reset [], environment: !override {B: 2}", "volumes: ['e:/e'], environment: {C: 3}",
         {"volumes": [{"type": "volume", "source": "shop_e", "target": "/e"}], "environment": {"B": "2", "C": "3"}}),
        ("tty: false", "volumes: !override ['e:/e'], environment: !reset null",
         {"volumes": [{"type": "volume", "source": "shop_e", "target": "/e"}], "environment": None}),
    ],
)  # fmt: skip
def test_a_tag_is_about_what_a_base_has_too(own: str, over: str, expected: dict[str, object]) -> None:
    top = "\nnetworks: {a: , b: }\nvolumes: {d: , e: }\n"
    base = f"services: {{base: {{{_BASE}}}, db: {{image: y}}, web: {{extends: base, {own}}}}}{top}"
    _write(base=base, over=f"services: {{web: {{{over}}}}}")
    found = _shown(*(("base", "over") if over else ("base",)))["web"]
    assert {key: found.get(key) for key in expected} == expected


def test_networks_and_dependencies_are_merged_by_name() -> None:
    found = _web("networks: [a]", "networks: {b: {aliases: [w]}}")["networks"]
    assert {name: sorted(each["aliases"]) for name, each in found.items()} == {
        "shop_a": ["web"],
        "shop_b": ["w", "web"],
    }
    services = "services: {web: {image: x, depends_on: [db]}, db: {image: x}, cache: {image: x}}"
    over = "services: {web: {depends_on: {cache: {condition: service_completed_successfully}}}}"
    web = _merged(services, over)[0]
    assert {each.name: each.condition for each in web.depends_on} == {
        "db": "service_started",
        "cache": "service_completed_successfully",
    }


def test_services_and_the_top_of_a_file_are_added() -> None:
    found = _merged(
        "name: a\nservices: {web: {image: x, volumes: ['d:/d']}}\nvolumes: {d: }",
        "name: b\nservices: {db: {image: y, logging: {driver: local}}, web: {deploy: {replicas: 2}}}\n"
        "volumes: {d: {name: own}}\n",
    )
    assert [(case.name, case.service and case.service.replicas) for case in found] == [("web", 2), ("db", 1)]
    assert {case.service.project for case in found if case.service} == {"b"}
    assert normal_form(found[0])["volumes"] == [{"type": "volume", "source": "own", "target": "/d"}]
    assert found[1].container.logging == Logging(driver="local")


def test_every_mistake_names_the_file_that_it_is_in() -> None:
    _write(
        base="services:\n  web: {image: x, cpus: many}\n  db: {image: y}\n",
        over="services:\n  web: {imag: x, ports: [x]}\n  db:\n    environment: text\n    depends_on: [gone]\n",
        sub__third="services:\n  web: {volumes: ['data:/x'], image: [a]}\n",
    )
    with pytest.raises(SpecError) as caught:
        load_project(_project("base", "over", "sub/third"))
    assert [line.partition(" (")[0] for line in caught.value.problems] == [
        "base.yaml:2:25: 'many': expected a number of processors, such as 0.5 or 2",
        "over.yaml:2:9: unknown key 'imag'; did you mean 'image'?",
        "over.yaml:2:26: 'x': expected a port, a number from 1 to 65535",
        "over.yaml:4:18: expected a mapping, or a list of NAME=VALUE",
        "sub/third.yaml:2:19: volume 'data' is not declared under volumes at the top of the file, or ./ before it for "
        "a directory",
        "sub/third.yaml:2:38: services.web.image is a list, and lies over text at base.yaml:2:16",
        "sub/third.yaml:2:38: expected text, not a list",
        "over.yaml:5:18: there is no container called 'gone'",
    ]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (("base", "gone"), "gone.yaml: cannot read it: no such file or directory"),
        (("gone", "base"), "cannot read it: no such file or directory"),
        (("base", "bad"), "bad.yaml:1:2: not YAML"),
        (("own", "own2"), "own.yaml:1:1: there are no services: only Compose files can lie over each other"),
    ],
)
def test_files_that_cannot_lie_over_each_other(files: tuple[str, ...], problem: str) -> None:
    _write(base="services: {web: {image: x}}", bad="[", own="image: x", own2="image: y")
    with pytest.raises(SpecError) as caught:
        load_project(_project(*files))
    assert problem in str(caught.value)


def test_tags_are_for_compose_files() -> None:
    _write(one="services: {web: {image: x, init: !reset true, environment: !override {A: 1}}}", own="image: !reset x")
    [case] = load_project(_project("one"))
    assert (case.container.init, case.container.environment) == (False, {"A": "1"})
    with pytest.raises(SpecError, match=r"own.yaml:1:8: tag '!reset' is for Compose files"):
        load_project(_project("own"))


def _bound(source: str) -> dict[str, object]:
    return {"type": "bind", "source": source, "target": "/d", "bind": {"create_host_path": True}}


def test_relative_paths_of_all_files_are_those_of_the_first(here: Path) -> None:
    _write(base="services: {web: {image: x}}", sub__over="services: {web: {volumes: ['./d:/d']}}")
    [case] = load_project(_project("base", "sub/over"))
    assert normal_form(case)["volumes"] == [_bound(f"{here}/d")]


def test_include_merges_the_paths_of_one_entry(here: Path) -> None:
    Path("vars").write_text("TAG=3\n")
    _write(
        main="include: [{path: [sub/a.yaml, sub/b.yaml], project_directory: other, env_file: vars}]\n"
        "services: {web: {image: x}}\n",
        sub__a="services: {db: {image: 'y:$TAG', volumes: ['./d:/d']}}",
        sub__b="services: {db: {init: true}}",
    )
    db, web = load_project(_project("main"))
    assert (db.name, web.name, db.container.init) == ("db", "web", True)
    assert normal_form(db)["image"].endswith("y:3")
    assert normal_form(db)["volumes"] == [_bound(f"{here}/other/d")]
    _write(sub__b="services: {db: {init: maybe}}")
    with pytest.raises(SpecError, match=r"^sub/b.yaml:1:23: expected true or false, not 'maybe'$"):
        load_project(_project("main"))


def test_documents_of_one_file_lie_over_each_other_too() -> None:
    _write(
        base="services: {web: {image: x, init: true}}\n---\nservices: {web: {environment: {A: 1}}, db: {image: y}}\n"
    )
    web, db = load_project(_project("base"))
    assert (web.container.init, web.container.environment, db.name) == (True, {"A": "1"}, "db")


def _shown(*paths: str, **environ: str) -> dict[str, dict[str, Any]]:
    return {case.name or "": normal_form(case) for case in load_project(_project(*paths, **environ))}


_NETWORK = {"aliases": ["web"], "create": {}}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main": "include: [a/inc.yaml]\nservices: {web: {image: x, networks: [n]}}",
          "a__inc": "services: {db: {image: y}}\nnetworks: {n: }"}, {"networks": {"shop_n": _NETWORK}}),
        ({"main": "include: [a/inc.yaml]\nservices: {web: {image: x, networks: [n]}}",
          "a__inc": "networks: {n: {internal: '${YES:-yes}'}}"},
         {"networks": {"shop_n": {"aliases": ["web"], "create": {"internal": True}}}}),
        ({"main": "include: [inc.yaml]\nservices: {db: {image: y}}\nnetworks: {n: }\nvolumes: {d: {name: own}}",
          "inc": "services: {web: {image: x, networks: [n], volumes: ['d:/d']}}"},
         {"networks": {"shop_n": _NETWORK}, "volumes": [{"type": "volume", "source": "own", "target": "/d"}]}),
        ({"main": "include: [inc.yaml]\nservices: {db: {image: y}}\nnetworks: {default: {name: own}}",
          "inc": "services: {web: {image: x}}"}, {"networks": {"own": _NETWORK}}),
        ({"main": "include: [inc.yaml]\nservices: {web: {image: x}}",
          "inc": "services: {db: {image: x}}\nnetworks: {default: {name: own}}"}, {"networks": {"own": _NETWORK}}),
        ({"main": "include: [one.yaml, two.yaml]", "one": "networks: {n: }",
          "two": "services: {web: {image: x, networks: [n]}}"}, {"networks": {"shop_n": _NETWORK}}),
        ({"main": "include: [inc.yaml]\nservices: {web: {image: x, secrets: [s], configs: [c]}}",
          "inc": "include: [b/deep.yaml]", "b__deep": "secrets: {s: {file: s}}\nconfigs: {c: {content: '$X$$'}}"},
         {"volumes": [{"type": "bind", "source": "HERE/b/s", "target": "/run/secrets/s", "read_only": True}],
          "configs": [{"content": "x$", "target": "/c"}]}),
        ({"main": "services: {web: {extends: {file: b/base.yaml, service: app}}}\nnetworks: {n: }\n"
                  "volumes: {d: {name: own}}",
          "b__base": "services: {app: {image: x, networks: [n], volumes: ['d:/d']}}\nvolumes: {d: {name: theirs}}"},
         {"networks": {"shop_n": _NETWORK}, "volumes": [{"type": "volume", "source": "own", "target": "/d"}]}),
    ],
)  # fmt: skip
def test_files_of_a_project_share_what_they_declare(
    files: dict[str, str], expected: dict[str, object], here: Path
) -> None:
    """Those that include each other; of a base in another file, only its own text counts."""
    _write(**files)
    found = json.loads(json.dumps(_shown("main", X="x")["web"]).replace(str(here), "HERE"))
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("main", "other", "problems"),
    [
        ("include: [other.yaml]\nservices: {web: {image: x, networks: [bck]}}", "networks: {back: }",
         ["main.yaml:2:39: network 'bck' is not declared under networks at the top of the file; did you mean 'back'?"]),
        ("include: [other.yaml]\nservices: {web: {image: x, networks: [n]}}", "networks: {n: {driver: x}}",
         ["other.yaml:1:24: network driver 'x' is not supported: expected bridge"]),
        ("services: {web: {extends: {file: other.yaml, service: a}}}",
         "services: {a: {image: x, volumes: ['data:/d']}}",
         ["other.yaml:1:36: volume 'data' is not declared under volumes at the top of the file, or ./ before it for a "
          "directory"]),
        ("include: [other.yaml]\nservices: {web: {image: x, links: [a, 'a:b', c]}}", "services: {a: {image: x}}",
         ["main.yaml:2:39: 'a' is of another file, and so cannot have the alias 'b'",
          "main.yaml:2:46: there is no service 'c'"]),
        ("networks: {n: }", "", ["main.yaml:1:1: there is no service in this file"]),
        ("include: [other.yaml]\nservices: {web: {image: x}}", "x-nothing: 1",
         ["other.yaml:1:1: no image: one of image and rootfs is needed"]),
    ],
)  # fmt: skip
def test_what_no_file_of_a_project_declares(main: str, other: str, problems: list[str]) -> None:
    _write(main=main, other=other)
    with pytest.raises(SpecError) as caught:
        load_project(_project("main"))
    assert [*caught.value.problems] == problems
