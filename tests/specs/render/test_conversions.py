"""Any file as a Compose file and as Quadlets: read again it means the same, but for what is named as lost."""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab.conversions import WAYS, through_compose, through_quadlet
from lab.documents import EVERYTHING
from lab.places import EXAMPLES, ROOT

from mydocker.reference import Reference
from mydocker.specs.fields import FIELDS
from mydocker.specs.load.load import load_files
from mydocker.specs.model import (
    NAMESPACES,
    BindMount,
    ContainerSpec,
    FileMount,
    FilesystemMount,
    Mount,
    TmpfsMount,
    User,
    VolumeMount,
)
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.parts import Healthcheck, Port
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.compose.document import compose_file
from mydocker.specs.render.compose.service import APART
from mydocker.specs.render.quadlet.units import quadlet_units
from mydocker.specs.render.unit_syntax import command_line, whole, word

ENVIRON = {"HOME": "/home/me", "V": "v", "DB_ROOT_PASSWORD": "hush"}
PLAIN = ContainerSpec(
    image=Reference.parse("alpine"), namespaces=tuple(name for name in NAMESPACES if name != "net")
)  # as files have it
FILES = [
    *sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".yaml", ".container", ".pod")),
    *sorted((ROOT / "tests/stacks").glob("*/*compose.y*ml")),
]

COMPOSE = {
    "networks": """
name: shop
services:
  web:
    image: a
    container_name: shop-web
    networks: {front: {aliases: [www], ipv4_address: 10.9.0.5, priority: 5}, back: {gw_priority: 1}, there: }
    ports: ["8080:80", "127.0.0.1:53:53/udp", "9000-9002:90"]
  db: {image: b, networks: [back], scale: 2}
  sidecar: {image: c, network_mode: "service:web", pid: "service:web", ipc: "container:x", volumes_from: [web]}
  alone: {image: d, network_mode: none}
  bridge: {image: d, network_mode: bridge, mac_address: "02:42:ac:11:00:02"}
networks:
  front: {ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}, {subnet: "fd00::/64"}]}, labels: {a: "b c"}}
  back: {internal: true, enable_ipv6: true, driver_opts: {com.docker.network.driver.mtu: 1400}}
  there: {external: true, name: outside}
""",
    "the project's own network": """
name: shop
services: {web: {image: a, networks: {default: {aliases: [x]}}}, db: {image: a, networks: {default: , other: }}}
networks: {default: {name: own, labels: {a: b}}, other: }
""",
    "volumes": """
name: shop
services:
  web:
    image: a
    volumes:
    - data:/data
    - {type: volume, source: data, target: /sub, volume: {subpath: a/b}, read_only: true}
    - there:/there:nocopy
    - nfs:/nfs:ro
    - /anonymous
    - /srv/x.volume:/y
    tmpfs: /run:size=1m,mode=1770
    configs: [app, {source: app, target: /etc/other, mode: 0400, uid: "5"}, {source: env, target: /etc/env}]
    secrets: [key, {source: file, mode: 0440}, {source: file, target: plain}]
volumes:
  data:
  there: {external: true, name: outside}
  nfs: {driver_opts: {type: nfs, device: ":/export", o: "addr=10.0.0.1,soft"}}
configs: {app: {content: "port ${V} $$x\\n"}, env: {environment: HOME}}
secrets: {key: {environment: V}, file: {file: ./secret}}
""",
    "order": """
name: shop
services:
  web:
    image: a
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully, restart: true},
                 cache: {condition: service_started, required: false}}
    restart: unless-stopped
    profiles: [all]
    post_start: [{command: [a, b], user: root}]
  db: {image: b, healthcheck: {test: [CMD-SHELL, "test -e /x"], interval: 5s, start_interval: 1s}, restart: always}
  job: {image: c, restart: "on-failure:3", stop_grace_period: 5m}
  cache: {image: d, deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 2, window: 1m}},
          healthcheck: {disable: true}, attach: false}
  both: {image: d, depends_on: [db], pull_policy: daily}
""",
    "build": """
name: shop
services:
  web:
    build: {context: ., dockerfile: Dockerfile.web, args: {A: "x $$y"}, target: t, labels: {l: m}, tags: ["w:2"],
            pull: true, secrets: [s, {source: s, target: other}], platforms: [linux/arm64]}
  own: {image: "own:1", build: {context: "https://example.org/x.git", additional_contexts: {base: "service:web"}}}
secrets: {s: {file: ./secret}}
""",
}
QUADLETS = {
    "shop.pod": "[Pod]\nPublishPort=80:80\nHostName=shop\nNetwork=lan.network:ip=10.5.0.9\nLabel=a=b\n",
    "web.container": "[Unit]\nRequires=db.service\nAfter=db.service\nBindsTo=log.container\n"
    "ConditionPathExists=!/x%%y\nAssertUser=root\n"
    "[Container]\nImage=a\nPod=shop.pod\nVolume=data.volume:/d:O\nReadOnly=true\nSecret=key,target=/k,uid=5\n"
    "UserNS=keep-id:uid=5\nMask=/a:/b\nUnmask=/c\n"
    "[Service]\nRestart=always\nRestartSec=2min\nStartLimitBurst=9\nRuntimeMaxSec=90\nTimeoutStopSec=5min\n"
    "StopTimeout=1\nExecStartPre=-/bin/echo a%%b $$c 'd e'\nExecStopPost=/bin/true\nEnvironment='A=b $c'\n"
    "TimeoutStartSec=infinity\n",
    "db.container": "[Container]\nImage=b\nNotify=healthy\nHealthCmd=none of it\n"
    "PodmanArgs=--device-read-bps=/dev/a:5\n"
    "PodmanArgs=--device-read-bps=/dev/b:6 --blkio-weight=20 --volumes-from=x --umask=077\nNetwork=other:alias=d\n"
    "[Service]\nRestart=on-failure\nRestartSec=1\nStartLimitIntervalSec=infinity\nStartLimitBurst=4\n",
    "log.container": "[Container]\nImage=c\nContainerName=the-log\nNetwork=db.container\nTmpfs=/t:size=1m\n"
    "[Service]\nType=oneshot\nTimeoutStartSec=5\n",
    "lan.network": "[Network]\nSubnet=10.5.0.0/24\nInternal=true\nOptions=a=b\n",
    "data.volume": "[Volume]\nVolumeName=data\n",
}
# what may differ, for it has no place in the other form; that each is named, the tests assert
LOST = {
    "compose": """
        build command depends_on expand gidmap healthcheck image inject matrix namespaces network pre_start publish_all
        restart retries rootfs security_opt service skip stdin subgidname subuidname tags timeout uidmap umask
        userns_mode volumes expect
    """,
    "quadlet": """
        build command depends_on devices domainname expand expect gpus healthcheck inject logging matrix namespaces
        network post_start pre_start pre_stop profiles pull_policy restart retries runtime service skip
        stdin stop_grace_period tags volumes
    """,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what the files refer to."""
    folder = tmp_path / "app"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "profile.json").write_text('{"defaultAction":"SCMP_ACT_ALLOW"}')
    (folder / "secret").write_text("hush")
    secrets = tmp_path / "containers/storage/secrets"
    secrets.mkdir(parents=True)
    return folder


def _load(path: Path | str) -> list[CaseSpec]:
    return load_files([str(path)], environ=ENVIRON)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_mean_the_same_or_what_is_lost_is_named(here: Path, path: Path, way: str) -> None:
    found = WAYS[way](_load(path), here / "units" if way == "quadlet" else here, ENVIRON)
    assert found.unnamed == {}, found.texts


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_mean_the_same_or_what_is_lost_is_named(here: Path, name: str, way: str) -> None:
    (here / "compose.yaml").write_text(COMPOSE[name])
    found = WAYS[way](_load("compose.yaml"), here / "units" if way == "quadlet" else here, ENVIRON)
    assert found.unnamed == {}, found.texts


@pytest.mark.parametrize("way", WAYS)
def test_quadlets_mean_the_same_or_what_is_lost_is_named(here: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mydocker.specs.environment.podman_secrets.read_secret", lambda name, environ: "hush")
    for name, text in QUADLETS.items():
        (here / name).write_text(text)
    cases = load_files(["shop.pod", "web.container", "db.container", "log.container"], environ=ENVIRON)
    found = WAYS[way](cases, here / "units" if way == "quadlet" else here, ENVIRON)
    assert found.unnamed == {}, found.texts
    if way == "quadlet":  # where Quadlets came from, hardly anything is lost
        assert {key for keys in found.differences.values() for key in keys} <= {"network"}


@pytest.mark.parametrize("way", WAYS)
def test_all_that_can_be_said_means_the_same_or_is_named(here: Path, way: str) -> None:
    (here / "spec.yaml").write_text("---\n".join(EVERYTHING))
    found = WAYS[way](_load("spec.yaml"), here / "units" if way == "quadlet" else here, ENVIRON)
    assert found.unnamed == {}
    lost = {key for keys in found.differences.values() for key in keys}
    assert len(lost) > 15 and lost <= {*LOST[way].split()}, lost - {*LOST[way].split()}
    silent = found.replace(notes={})
    assert {key.partition(": ")[2] for key in silent.unnamed} == lost  # so what nobody names would be found


def test_every_field_is_a_key_of_compose_or_named() -> None:
    rows = {row.name for row in FIELDS if row.key == row.name}
    fields = {*ContainerSpec.fields, *CaseSpec.fields} - {"container", "service", "on_project", "absent"}
    assert {*APART, *rows} == fields
    assert all(row.not_compose.strip() == row.not_compose and row.not_podman != "-" for row in FIELDS)


MOUNTS = [
    BindMount(target="/x", source="/s"),
    VolumeMount(target="/x", volume="v9"),
    VolumeMount(target="/x"),
    TmpfsMount(target="/x"),
    FilesystemMount(target="/x", fstype="nfs", device=":/d", options=("a=b", "soft")),
    FileMount(target="/x", content="text\n", read_only=True),
    FileMount(target="/run/secrets/x", content="hush", read_only=True, secret=True, reference=("environment", "V")),
]
OTHERS = {
    **{"target": "/y:z", "read_only": True, "propagation": "rslave", "recursive": False, "copy_on_write": True},
    **{"idmap": "uids=0-1000-1;gids=0-1000-1", "copy": False, "subpath": "a", "external": True, "size": 4096},
    **{"inodes": 5, "mode": 0o700, "uid": 1, "gid": 2, "executable": True, "setuid": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: type(mount).__name__)
def test_no_member_of_a_mount_is_dropped(here: Path, mount: Mount, way: str) -> None:
    variants = [mount] + [mount.replace(**{key: value}) for key, value in OTHERS.items() if key in type(mount).fields]
    if not getattr(mount, "volume", "v"):  # which only a name can have
        variants = [
            each for each in variants if not (each.subpath or each.external or each.copy_on_write or each.idmap)
        ]
    cases = [
        CaseSpec(container=PLAIN.replace(name=f"n{number}", volumes=(each,)))
        for number, each in enumerate(variants)
        if not (isinstance(each, FileMount) and not each.read_only)
    ]
    found = WAYS[way](cases, here / "units" if way == "quadlet" else here, {**ENVIRON, "V": "hush"})
    assert found.unnamed == {}, found.texts


HOSTILE = st.one_of(
    st.sampled_from(
        [
            *(
                "$V",
                "${V}",
                "$$",
                "%",
                "%%h",
                "%i",
                "a\nb",
                "\n",
                " a ",
                '"',
                '"a"',
                'a"',
                "'",
                "\\",
                "a\\",
                "\\n",
                "-",
            ),
            *("--flag", "-x", "#", "a #b", ";", "[a]", "[", '["a"]', "none", "CMD x", "~", "null", "no", "1e3", "0o17"),
            *("22:22", "é\u2028\u00a0", "\u0085", "🐳", "\t", "\r\n", "\x7f", "a=b", "{}", "*", "&a", "!x", "|", ">"),
            *("%s", "`id`", "$(id)", "=", ",", ":", "x: y", "\ufeff", "\u200b"),
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.text(string.punctuation + " \n\t", max_size=8),
)
SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def _printable(text: str) -> bool:
    return text.isprintable() and bool(text.strip())


@SOME
@given(
    texts=st.lists(HOSTILE, min_size=1, max_size=4),
    name=st.sampled_from("ABC"),
    path=st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8),
)
def test_hostile_texts_stay_what_they_are(tmp_path: Path, texts: list[str], name: str, path: str) -> None:
    """In each place that takes any text: as words, as a whole value, in a list, in a mapping, in a script."""
    spec = PLAIN.replace(
        name="web",
        entrypoint=(texts[0] or "x", *texts[1:]),
        command=tuple(texts),
        environment={name: texts[0], "B": "".join(texts)},
        labels={"a": texts[-1]},
        user=User(user="u", group="g"),
        working_dir=f"/w{path.strip('.')}",
        healthcheck=Healthcheck(test=("CMD-SHELL", texts[0] or "x")),
        volumes=(FileMount(target="/f", content=texts[0], read_only=True),),
    )
    probe = spec.replace(healthcheck=Healthcheck(test=("CMD", *(text or "x" for text in texts))))
    cases = [CaseSpec(container=spec), CaseSpec(container=probe.replace(name="probe", entrypoint=(texts[0] or "x",)))]
    found = through_compose(cases, tmp_path, ENVIRON)
    assert found.differences == {}, found.texts
    shutil.rmtree(tmp_path / "units", ignore_errors=True)
    found = through_quadlet(cases, tmp_path / "units", ENVIRON)
    assert {key for keys in found.differences.values() for key in keys} <= {"volumes"}, found.texts
    assert found.unnamed == {}


@pytest.mark.parametrize(
    ("text", "as_word", "as_whole"),
    [
        ("plain", "plain", "plain"),
        ("", '""', None),
        ("a b", '"a b"', "a b"),
        (" a", '" a"', '" a"'),
        ("50%", '"50%%"', "50%%"),
        ("$V ${V}", '"$$V $${V}"', "$$V $${V}"),
        ('say "x"', '"say \\"x\\""', None),
        ('a "b" c', '"a \\"b\\" c"', 'a "b" c'),
        ("it's", '"it\'s"', "it's"),
        ("a\\", '"a\\\\"', '"a\\"'),
        ("a\nb\t\x01", '"a\\nb\\t\\x01"', None),
        ("-x", "-x", "-x"),
        ("é", '"é"', "é"),
    ],
)
def test_how_unit_files_have_a_text(text: str, as_word: str, as_whole: str | None) -> None:
    """systemd.syntax(7) and podman-systemd.unit(5)."""
    assert (word(text), whole(text)) == (as_word, as_whole)
    assert command_line([text, "x"]) == f"{as_word} x"


def test_names_of_services_are_valid_and_different(here: Path) -> None:
    (here / "spec.yaml").write_text(
        "name: 'say: hi!'\nimage: a\n---\nimage: b\n---\nimage: c\n---\nname: say hi\nimage: d\n---\n"
        "name: '!'\nimage: e\n---\nname: m\nmatrix: {A: ['1', b c]}\nimage: f\n---\n"
        "name: needs\nimage: g\ndepends_on: ['say: hi!']\n"
    )
    file = compose_file(_load("spec.yaml"))
    names = ["say-hi", "spec", "spec-2", "say-hi-2", "container", "m-1", "m-b-c", "needs"]
    assert [*file.services] == names
    assert file.services["needs"]["depends_on"] == {"say-hi": {"condition": "service_started"}}
    assert [*quadlet_units(_load("spec.yaml"))] == [f"{name}.container" for name in [*names]] + ["app_default.network"]
    assert "name: 'say: hi!' cannot be the name of a service" in [text for _, text in file.notes]
    assert file.notes[0][0] == "" and "one after the other" in file.notes[0][1]


def test_what_is_shared_is_defined_once(here: Path) -> None:
    (here / "compose.yaml").write_text(
        COMPOSE["volumes"].replace("web:", "x: {image: a, volumes: ['data:/d']}\n  web:")
    )
    file = compose_file(_load("compose.yaml"))
    assert file.top["volumes"]["data"] == {"name": "shop_data"}
    assert [*file.top["volumes"]] == ["data", "outside", "nfs"]
    assert [*quadlet_units(_load("compose.yaml"))] == [
        *("x.container", "web.container", "shop_data.volume", "shop_default.network", "nfs.volume")
    ]


def test_a_secret_of_podman_is_named_or_stays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mydocker.specs.environment.podman_secrets.read_secret", lambda name, environ: "hush-hush")
    (here / "web.container").write_text("[Container]\nImage=a\nSecret=key,target=/k,mode=0400,uid=5\n")
    (text,) = quadlet_units(_load("web.container")).values()
    assert "\nSecret=key,target=/k,mode=0400,uid=5\n" in text
    file = compose_file(_load("web.container"))
    assert any("Podman's secret key" in text for _, text in file.notes) and "hush" not in file.text()


@pytest.mark.parametrize("name", ["networks", "the project's own network", "order"])
def test_docker_compose_takes_the_file_as_it_takes_the_original(here: Path, name: str) -> None:
    """Version 1 as Debian has it, less the keys that only version 2 knows."""
    newer = (
        ", gw_priority: 1",
        ", attach: false",
        ", required: false",
        ", restart: true",
        ", start_interval: 1s",
        ", pull_policy: daily",
    )
    text = COMPOSE[name].replace("back: {gw_priority: 1}", "back: ").replace("mac_address", "mac_address")
    for words in newer:
        text = text.replace(words, "")
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("name:", "    post_start")))
    (here / "compose.yaml").write_text(text + "\n")
    converted = compose_file(_load("compose.yaml"))
    document = {key: value for key, value in converted.document.items() if key != "name"}
    (here / "again.yaml").write_text(write_documents([document]))
    for file in ("compose.yaml", "again.yaml"):
        done = subprocess.run(
            ["docker-compose", "-f", file, "config", "-q"],
            capture_output=True,
            text=True,
            env={**os.environ, **ENVIRON},
        )
        assert done.returncode == 0, (file, done.stderr, (here / file).read_text())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
@pytest.mark.parametrize("name", ["order", "networks"])
def test_systemd_takes_the_sections_that_are_for_it(here: Path, name: str) -> None:
    """What Quadlet makes of a unit has the sections as they are, and the container's as [X-Container]."""
    (here / "compose.yaml").write_text(COMPOSE[name])
    (here / "system").mkdir()
    services = []
    for file, text in quadlet_units(_load("compose.yaml")).items():
        stem, _, kind = file.partition(".")
        if kind == "container":
            service = text.replace("[Container]", "[X-Container]")
            head = "[Service]\nExecStart=/bin/true\n"
            service = service.replace("[Service]\n", head) if "[Service]" in service else f"{service}\n{head}"
            services.append(here / f"system/{stem}.service")
            services[-1].write_text(service)
    assert services
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{here}/system:"}
    done = subprocess.run(["systemd-analyze", "verify", *services], capture_output=True, text=True, env=environ)
    about = [line for line in done.stderr.splitlines() if str(here) in line]
    assert (about, done.returncode) == ([], 0), done.stderr


def test_ports_of_every_form_stay(here: Path) -> None:
    ports = (
        Port(target=80),
        Port(target=81, published=8081, host_ip="::1", protocol="udp"),
        Port(target=1, published=5, last_published=9),
    )
    cases = [CaseSpec(container=PLAIN.replace(name="web", ports=ports))]
    assert through_compose(cases, here, ENVIRON).differences == {}
    assert through_quadlet(cases, here / "units", ENVIRON).differences == {}


def test_the_page_has_each_key_that_another_form_lacks() -> None:
    page = (ROOT / "docs/migrate.md").read_text().partition("## To Compose and Quadlet")[2]
    lines = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line)]
    lacking = [row for row in FIELDS if row.not_compose or row.not_podman]
    hints = [(row.key, row.not_compose.replace("|", "\\|"), row.not_podman) for row in lacking]
    assert lines == [f"| `{key}` | {compose} | {quadlet} |" for key, compose, quadlet in hints]


def test_no_two_units_have_one_file(here: Path) -> None:
    for name in ("shop", "systemd-shop"):
        (here / name).mkdir()
        (here / f"{name}/{name}.pod").write_text(f"[Pod]\nPodName={name}\nNetwork=none\n")
    (here / "web.yaml").write_text("name: a\nimage: a\nvolumes: ['v.1:/x', 'v_1:/y']\n---\nname: a\nimage: b\n")
    files = ("shop/shop.pod", "systemd-shop/systemd-shop.pod", "web.yaml")
    units = quadlet_units(load_files([*files], environ={**ENVIRON, "COMPOSE_PROJECT_NAME": "p"}))
    assert [*units] == ["shop.pod", "shop-2.pod", "a.container", "a-2.container", "v.1.volume", "v_1.volume"]
    assert ["PodName=shop" in units["shop.pod"], "PodName=systemd-shop" in units["shop-2.pod"]] == [True, True]


@pytest.mark.parametrize("way", WAYS)
def test_names_that_no_container_may_have_elsewhere(here: Path, way: str) -> None:
    (here / "web@.container").write_text("[Container]\nImage=a\nExec=%i\nNetwork=lan\n")
    (here / "x.container").write_text("[Unit]\nAfter=web@one.service\n[Container]\nImage=a\nNetwork=lan:alias=y\n")
    cases = load_files(["web@one.container", "x.container"], environ=ENVIRON)
    found = WAYS[way](cases, here / "units" if way == "quadlet" else here, ENVIRON)
    assert found.unnamed == {} and [case.name for case in found.after] == ["web-one", "x"]
    assert {name for name, notes in found.notes.items() if any("name: " in note for note in notes)} == (
        {"web-one", "x"} if way == "compose" else {"web-one"}
    )
