"""`mydocker config`: our normal form of any file, which read again means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.command import Command, command

from mydocker.record import Record
from mydocker.spec.container import ContainerSpec
from mydocker.spec.document import write_documents
from mydocker.spec.expectation import KEYS as EXPECT_KEYS
from mydocker.spec.fields import FIELDS
from mydocker.spec.load import load_files
from mydocker.spec.normal import normal_form

ROOT = Path(__file__).parent.parent
ENVIRON = {"HOME": "/home/me", "V": "v"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _without_places(value: object) -> object:
    """VALUE with nothing in it of where it was written."""
    if isinstance(value, Record):
        kept = {name: getattr(value, name) for name in value.fields if name not in ("origin", "line", "column")}
        return type(value).__name__, {name: _without_places(each) for name, each in kept.items()}
    if isinstance(value, tuple):
        return [_without_places(each) for each in value]
    return value


def _again(specs: list[ContainerSpec]) -> list[ContainerSpec]:
    Path("again.yaml").write_text(write_documents([normal_form(spec) for spec in specs]))
    return load_files(["again.yaml"], environ={"V": "other", "D": "other"})


TABLE = """\
name: "no: $V"
labels: {a: 'no', b: '', c: "x\\ny\\n", d: ~}
environment: {A: 22:22, B: "0644", C: $$D, E: '${V}', F: "trailing \\nlines"}
entrypoint: a b
command: [c, "d $$E", '']
---
command: []
---
entrypoint: []
---
command: [a]
args: [b]
platform: linux/arm64
pull_policy: never
user: 0:staff
group_add: [audio, 5]
umask: "027"
working_dir: /srv
timeout: 1h1m1.5s
stop_signal: RTMIN+3
stop_grace_period: 250ms
stdin: "text $$"
init: true
hostname: h
---
tty: true
stdin_open: true
privileged: true
stop_signal: INT
userns_mode: keep-id
stop_grace_period: 0
---
volumes:
- /a:/b:ro,rslave
- ./x y:/c:O
- data:/d:ro,nocopy
- cache:/e:O,nocopy
- /f
- {type: bind, source: "/g:h", target: "/h:i", bind: {recursive: disabled}}
- {type: volume, source: data, target: /j, volume: {subpath: k}}
- {type: tmpfs, target: /l, tmpfs: {size: 1m, mode: "1755"}}
tmpfs: [/m, "/n:size=1m,mode=700,uid=1,gid=2,nr_inodes=5,exec,suid,ro", "/o:exec"]
shm_size: 2g
read_only: true
devices: ["/dev/null:/dev/nix"]
inject: [/bin/sh]
---
network_mode: none
extra_hosts: ["a:1.2.3.4", "a:::1", "b=1.2.3.4"]
dns: [1.1.1.1]
sysctls: {net.core.somaxconn: 5}
cap_add: [NET_ADMIN]
cap_drop: [ALL]
ulimits: {nofile: {soft: 5, hard: -1}, nproc: 7}
mem_limit: 64m
memswap_limit: -1
cpus: 0.25
cpuset: 0-2,5
pids_limit: 9
---
ports: [80, "8080-8081:80-81/udp", "127.0.0.1:5:6", "[::1]::7", {target: 9, published: 10}]
---
ports: [80]
namespaces: {pid: host}
---
namespaces: []
---
namespaces: {net: private, pid: host}
---
pid: host
ipc: host
---
security_opt: ["seccomp=profile.json", no-new-privileges, "apparmor=x", "label=level:s0:c1", systempaths=unconfined]
---
security_opt: [seccomp=unconfined]
---
name: other
depends_on: {"no: v": {condition: service_healthy, required: false}}
healthcheck: {test: [CMD, a, $$b], interval: 1m, timeout: 1.5s, start_period: 5s, retries: 3}
profiles: [p]
restart: on-failure:3
tags: [t]
skip: yes
retries: 2
---
restart: on-failure
healthcheck: {disable: true}
matrix: {A: [1, no], B: ["x$V"]}
environment: {A: $A, B: $B}
---
expect:
  exit_code: [0, 3, TERM]
  stdout: "exact $$text"
  stderr: [part, "!absent", "/^re$$/", "!/x/", {have-len: 3}, {not: {or: [{have-prefix: a}, {have-suffix: b}]}}]
  files:
  - {path: /a, type: file, mode: "644", owner: root, group: 5, contents: [a, "!b"], size: {gt: 3, lt: 9}}
  - {path: /a, exists: false}
  - {path: /b, mode: {match-regexp: ^0}, contents: "", size: 5, sha256: SHA256}
  metadata:
    env: {A: b, C: ~, D: {match-regexp: x}}
    labels: {l: [a, "!b"]}
    entrypoint: []
    cmd: [a, $$b]
    exposed_ports: [80, "!53/udp"]
    volumes: ["!/x"]
    user: u
    workdir: {have-prefix: /}
  changes: {only: [], include: [/a/**], exclude: [/b]}
  duration: {lt: 1m30s, ge: 10ms}
  max_memory: {lt: 64m}
  timed_out: false
  oom_killed: false
  ports: {"tcp:80": listening, 81/udp: closed, tcp6:82: {listening: true, ip: ["::", "::1"]}}
  process: {nginx: running, sh: {running: false}}
  http:
    http://localhost/$$: {status: 200, headers: ["a: b", "!c"], body: {have-len: 3}}
    http://localhost/b:
      {status: {lt: 500}, method: post, request-headers: ["A: b$$"], request-body: "x\ny", timeout: 3s,
       no-follow-redirects: true, allow-insecure: true, username: u, password: $$p}
  within: 20s
---
expect: {process: {a: running}}
---
expect:
  exit_code: {not: {ge: 3}}
  max_memory: 5
  stdout:
    gjson: {a: "1", b: 1, c: 1.50, d: true, e: ~, f: [1, x], g: {equal: {h: [~, "true"]}}}
    not: {gjson: {i: {contain-element: {gt: 2}}, j: {contain-elements: [1, {have-len: 2}]}}}
    semver-constraint: ">=1.2 <2"
    contain-element: {match-regexp: a}
    contain-elements: [a, b]
"""


def test_read_again_it_means_the_same(here: Path) -> None:
    (here / "profile.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    table = TABLE.replace("SHA256", "a1" * 32)
    Path("spec.yaml").write_text("---\n".join(f"image: alpine\n{text}" for text in table.split("---\n")))
    specs = load_files(["spec.yaml"], environ=ENVIRON)
    again = _again(specs)
    assert len(again) == len(specs) > 15
    for one, other in zip(specs, again, strict=True):
        assert _without_places(one) == _without_places(other)
    assert [normal_form(spec) for spec in again] == [normal_form(spec) for spec in specs]


def test_the_table_has_every_key() -> None:
    """So a new key, or a new kind of expectation, cannot be forgotten here."""
    for row in FIELDS:
        assert f"\n{row.key}:" in f"\n{TABLE}" or row.key in ("image", "rootfs", "env_file", "expect", "uts"), row.key
    for key in EXPECT_KEYS:
        assert f"\n  {key}:" in TABLE, key


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: str(path.name))
def test_the_examples_mean_the_same(path: Path) -> None:
    specs = load_files([str(path)], environ=ENVIRON)
    assert [_without_places(spec) for spec in specs] == [_without_places(spec) for spec in _again(specs)]


@pytest.mark.parametrize("image", ["alpine", "a/b:1", "h:5000/x@sha256:" + "a" * 64, "oci:/srv/d:tag", "dir:/srv/d"])
def test_images_mean_the_same(image: str) -> None:
    Path("spec.yaml").write_text(f"image: {image}\n")
    specs = load_files(["spec.yaml"], environ={})
    assert _again(specs)[0].image == specs[0].image


def test_files_of_other_people_mean_the_same(here: Path) -> None:
    (here / "compose.yaml").write_text(
        "services:\n  db: {image: a, volumes: ['d:/x']}\n  web: {image: b, depends_on: [db]}\nvolumes: {d: }\n"
    )
    (here / "cst.yaml").write_text(
        "schemaVersion: 2.0.0\n"
        "commandTests: [{name: x, command: sh, args: [-c, 'echo $A'], expectedOutput: ['^b$'], excludedError: [e]}]\n"
        "fileExistenceTests: [{name: y, path: /x, permissions: drwxr-xr-x, isExecutableBy: any, uid: 0}]\n"
        "metadataTest: {envVars: [{key: A, value: ^b, isRegex: true}], unexposedPorts: [80], entrypoint: []}\n"
    )
    (here / "web.container").write_text("[Container]\nImage=a\nExec=echo 100%%\nReadOnly=true\n")
    specs = load_files(["compose.yaml", "cst.yaml", "web.container"], environ=ENVIRON, image="alpine")
    assert len(specs) == 6
    assert [_without_places(spec) for spec in specs] == [_without_places(spec) for spec in _again(specs)]


def test_it_prints_yaml_or_json(tmp_path: Path) -> None:
    mydocker: Command = command(tmp_path)
    (tmp_path / "a.yaml").write_text("image: alpine\nenvironment: {A: no, B: $$x}\ntty: false\nmem_limit: 65536k\n")
    done = mydocker("config", "a.yaml", cwd=tmp_path)
    expected = b"image: alpine:latest\nenvironment:\n  A: 'no'\n  B: $$x\nmem_limit: 64m\n"
    assert (done.stdout, done.stderr, done.code) == (expected, b"", 0)
    done = mydocker("config", "--format", "json", "a.yaml", cwd=tmp_path)
    assert json.loads(done.stdout) == [
        {"image": "alpine:latest", "environment": {"A": "no", "B": "$$x"}, "mem_limit": "64m"}
    ]
    (tmp_path / "b.yaml").write_text("image: alpine\nenvironment: [A]\n")
    done = mydocker("config", "b.yaml", cwd=tmp_path, env={"A": "\udcff"})
    assert (done.stdout, done.stderr.split(b"\n")[0], done.code) == (
        b"",
        b"mydocker: a value is not UTF-8, so no file can hold it",
        2,
    )
    (tmp_path / "c.yaml").write_text("imag: alpine\n")
    done = mydocker("config", "c.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 125) and done.stderr.startswith(b"c.yaml:1:1: ")
