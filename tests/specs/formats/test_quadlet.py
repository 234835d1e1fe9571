"""Quadlet's .container files: what each setting becomes, the syntax of unit files, and what is refused at its place."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path

import pytest
from lab.command import Command
from lab.places import ROOT

from mydocker.errors import SpecError, UsageError
from mydocker.specs.formats.quadlet.context import Context, neighbour_of
from mydocker.specs.formats.quadlet.resources.images import build_data, read_build
from mydocker.specs.formats.quadlet.specifiers import Unit, expand, replace_variables
from mydocker.specs.formats.quadlet.units import Units, unit_of
from mydocker.specs.load.load import load_files
from mydocker.specs.model import (
    BindMount,
    ContainerSpec,
    FilesystemMount,
    SelinuxLabel,
    TmpfsMount,
    User,
    VolumeMount,
    VolumesFrom,
)
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.dependencies import links
from mydocker.specs.model.parts import (
    BlockLimits,
    Healthcheck,
    Logging,
    NetworkAttachment,
    NetworkDefinition,
    Port,
    RestartPolicy,
)
from mydocker.specs.nodes.reader import Reader
from mydocker.specs.nodes.unit_file import parse_unit, split_words
from mydocker.specs.values import Scope

ENVIRON = {"HOME": "/home/me", "V": "v w"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory; not every machine has time zones."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zones/Our").mkdir(parents=True)
    (tmp_path / "zones/Our/Zone").write_text("TZif")
    monkeypatch.setattr("mydocker.specs.formats.quadlet.values._ZONES", f"{tmp_path}/zones")
    return tmp_path


def load_case(text: str, name: str = "web.container") -> CaseSpec:
    Path(name).write_text(text)
    (spec,) = load_files([name], environ=ENVIRON)
    return spec


def load(text: str, name: str = "web.container") -> ContainerSpec:
    return load_case(text, name).container


def field_of(case: CaseSpec, field: str) -> object:
    return getattr(case if field in CaseSpec.fields else case.container, field)


def container(text: str, more: str = "", name: str = "web.container") -> ContainerSpec:
    return load(f"[Container]\nImage=alpine\n{text}\n{more}", name)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("", "name", "web"),
        ("ContainerName=other", "name", "other"),
        ("Exec=sh -c 'echo  $A' \"a b\" c\\x20d", "command", ("sh", "-c", "echo  $A", "a b", "c d")),
        ("Exec=$V ${V} $$V a$V", "command", ("v", "w", "v w", "$V", "a$V")),
        ("Exec=%N %n %p %% %h", "command", ("web", "web.service", "web", "%", "/home/me")),
        ("Exec=a \\\n  b \\\n# comment\n; another\n  c", "command", ("a", "b", "c")),
        ("Exec=a\nExec=\nExec=b", "command", ("b",)),
        ("Exec=a\nExec=", "command", None),
        ("Exec=${LEVEL}", "command", ("3",)),
        ("Entrypoint=/bin/a b", "entrypoint", ("/bin/a b",)),
        ('Entrypoint=["a", "b c"]', "entrypoint", ("a", "b c")),
        ("Environment=A=1 'B=x y' \"C=$D\"\nEnvironment=E='q r'", "environment",
         {"A": "1", "B": "x y", "C": "$D", "E": "q r"}),
        ("Environment=A=1\nEnvironment=\nEnvironment=B=2", "environment", {"B": "2"}),
        ("Environment=NONESUCH A=1", "environment", {"A": "1"}),
        ("Label=a=1 b=2\nAutoUpdate=registry", "labels", {"a": "1", "b": "2", "io.containers.autoupdate": "registry"}),
        ("AddCapability=CAP_NET_ADMIN sys_ptrace\nAddCapability=SYSLOG", "cap_add",
         ("NET_ADMIN", "SYS_PTRACE", "SYSLOG")),
        ("DropCapability=all", "cap_drop", ("ALL",)),
        ("Sysctl=net.core.somaxconn=9 kernel.shm_rmid_forced=1\nNetwork=none", "sysctls",
         {"net.core.somaxconn": "9", "kernel.shm_rmid_forced": "1"}),
        ("Ulimit=nofile=5:6\nUlimit=nproc=7", "ulimits", {"nofile": (5, 6), "nproc": (7, 7)}),
        ("AddHost=a:1.2.3.4\nAddHost=b:::1", "extra_hosts", (("a", "1.2.3.4"), ("b", "::1"))),
        ("DNS=1.1.1.1", "dns", ("1.1.1.1",)),
        ("DNSSearch=a.example\nDNSSearch=b.example", "dns_search", ("a.example", "b.example")),
        ("DNSSearch=.", "dns_search", (".",)),
        ("DNSOption=ndots:2", "dns_opt", ("ndots:2",)),
        ("PodmanArgs=--dns-search a.example --dns-opt rotate", "dns_search", ("a.example",)),
        ("GroupAdd=audio", "group_add", ("audio",)),
        ("User=1000\nGroup=staff", "user", User(user=1000, group="staff")),
        ("User=app", "user", User(user="app")),
        ("HostName=h", "hostname", "h"),
        ("WorkingDir=%h", "working_dir", "/home/me"),
        ("Memory=20m", "mem_limit", 20 << 20),
        ("PidsLimit=9", "pids_limit", 9),
        ("ShmSize=1m", "shm_size", 1 << 20),
        ("StopSignal=SIGINT", "stop_signal", 2),
        ("StopTimeout=20", "stop_grace_period", 20.0),
        ("Pull=never", "pull_policy", "never"),
        ("RunInit=yes", "init", True),
        ("UserNS=keep-id", "userns_mode", "keep-id"),
        ("Network=host", "network_mode", "host"),
        ("Volume=/a:/b:ro,z", "volumes", (BindMount(source="/a", target="/b", read_only=True),)),
        ("Volume=./a:/b", "volumes", (BindMount(source="HERE/a", target="/b"),)),
        ("Volume=data:/b", "volumes", (VolumeMount(volume="data", target="/b"),)),
        ("Volume=plain.volume:/b", "volumes", (VolumeMount(volume="systemd-plain", target="/b"),)),
        ("Volume=named.volume:/b", "volumes", (VolumeMount(volume="own", target="/b"),)),
        ("Mount=type=tmpfs,target=/t,tmpfs-size=1m", "volumes", (TmpfsMount(target="/t", size=1 << 20),)),
        ("Mount=type=bind,source=/a,target=/b,ro", "volumes", (BindMount(source="/a", target="/b", read_only=True),)),
        ("Tmpfs=/t:size=5,uid=3", "volumes", (TmpfsMount(target="/t", size=5, uid=3),)),
        ("ReadOnly=true", "volumes", tuple(TmpfsMount(target=x) for x in ("/run", "/tmp", "/var/tmp"))),
        ("ReadOnly=true\nReadOnlyTmpfs=false", "volumes", ()),
        ("ReadOnly=true\nTmpfs=/run\nVolume=/a:/tmp:ro", "volumes",
         (BindMount(source="/a", target="/tmp", read_only=True), TmpfsMount(target="/var/tmp"),
          TmpfsMount(target="/run"))),
        ("ReadOnly=true\nReadOnlyTmpfs=0", "read_only", True),
        ("LogDriver=json-file\nLogOpt=max-size=1m\nLogOpt=max-file=2", "logging",
         Logging(max_size=1 << 20, max_file=2)),
        ("PodmanArgs=--log-driver none", "logging", Logging(driver="none")),
        ("AddDevice=-/dev/nonesuch", "devices", ()),
        ("HealthCmd=curl -f x\nHealthInterval=2m\nHealthRetries=5\nHealthStartPeriod=1m\nHealthTimeout=20s",
         "healthcheck",
         Healthcheck(test=("CMD-SHELL", "curl -f x"), interval=120.0, retries=5, start_period=60.0, timeout=20.0)),
        ('HealthCmd=["a", "b"]', "healthcheck", Healthcheck(test=("CMD", "a", "b"))),
        ("HealthCmd=none", "healthcheck", Healthcheck(test=("NONE",))),
        ("PodmanArgs=--cpus=0.5 -m 64m --privileged --rm", "cpus", 0.5),
        ("PodmanArgs=--cpus=0.5 -m 64m --privileged", "privileged", True),
        ("PodmanArgs=-e 'A=b c' --mount type=tmpfs,target=/t", "environment", {"A": "b c"}),
        ("PodmanArgs=--add-host a:1.2.3.4\nAddHost=b:1.2.3.4", "extra_hosts", (("b", "1.2.3.4"), ("a", "1.2.3.4"))),
        ("PodmanArgs=-m 64m --name last\nMemory=32m\nContainerName=first", "mem_limit", 64 << 20),
        ("PodmanArgs=--name last\nContainerName=first", "name", "last"),
        ("Timezone=Our/Zone\nLogDriver=passthrough", "volumes",
         (BindMount(source="HERE/zones/Our/Zone", target="/etc/localtime", read_only=True),)),
        ("PublishPort=80\nPublishPort=81:82/udp", "ports",
         (Port(target=80), Port(target=82, published=81, protocol="udp"))),
        ("PublishPort=127.0.0.1::80\nPodmanArgs=-p 8-9:8-9", "ports",
         (Port(target=80, host_ip="127.0.0.1"), Port(target=8, published=8), Port(target=9, published=9))),
        ("ExposeHostPort=50-51", "expose", ("50/tcp", "51/tcp")),
        ("Network=none", "network_mode", "none"),
        ("Network=bridge", "network_mode", "bridge"),
        ("Network=container:db", "network_mode", "container:db"),
        ("Network=db.container", "network_mode", "container:store"),
        ("Network=lan", "networks", (NetworkAttachment(name="lan"),)),
        ("Network=lan:ip=10.5.0.9,alias=a", "networks",
         (NetworkAttachment(name="lan", address="10.5.0.9", aliases=("a",)),)),
        ("PodmanArgs=--volumes-from=x --volumes-from y:ro", "volumes_from",
         (VolumesFrom(container="container:x"), VolumesFrom(container="container:y", read_only=True))),
        ("PodmanArgs=--device-read-bps=/dev/a:1m --blkio-weight 20\nPodmanArgs=--device-read-bps /dev/b:5",
         "blkio_config", BlockLimits(weight=20, read_bps=(("/dev/a", 1 << 20), ("/dev/b", 5)))),
        ("Volume=/srv/x.volume:/y", "volumes", (BindMount(source="/srv/x.volume", target="/y"),)),
        ("Network=lan\nIP=10.5.0.9\nIP6=fd00::9\nNetworkAlias=a\nNetworkAlias=b", "networks",
         (NetworkAttachment(name="lan", address="10.5.0.9", address6="fd00::9", aliases=("a", "b")),)),
        ("Network=bridge:ip=10.88.0.9,mac=02:42:ac:11:00:02,alias=a,alias=b", "networks",
         (NetworkAttachment(name="bridge", address="10.88.0.9", mac="02:42:ac:11:00:02", aliases=("a", "b")),)),
        ("Network=x.network:interface_name=lan0\nNetwork=y.network", "networks",
         (NetworkAttachment(name="systemd-x", interface="lan0", definition=NetworkDefinition(
             internal=True, ipv6=True, subnet="10.5.0.0/24", gateway="10.5.0.1", subnet6="fd00::/64",
             labels={"a": "1", "b": "2"}, options={"mtu": "1400"})),
          NetworkAttachment(name="mine", definition=NetworkDefinition()))),
        ("PodmanArgs=--network name=lan,alias=a --net other", "networks",
         (NetworkAttachment(name="lan", aliases=("a",)), NetworkAttachment(name="other"))),
        ("Notify=true\nReloadSignal=HUP\nEnvironmentHost=false\nX-Mine=1", "name", "web"),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_each_setting_has_its_equal(here: Path, text: str, field: str, value: object) -> None:
    Path("plain.volume").write_text("[Volume]\n")
    Path("named.volume").write_text("[Volume]\nVolumeName=own\n")
    Path("db.container").write_text("[Container]\nImage=a\nContainerName=store\n")
    Path("y.network").write_text("[Unit]\nDescription=x\n[Network]\nNetworkName=mine\n")
    Path("x.network").write_text(
        "[Network]\nInternal=true\nIPv6=yes\nSubnet=10.5.0.0/24\nGateway=10.5.0.1\nSubnet=fd00::/64\n"
        "Label=a=1\nLabel=b=2\nOptions=mtu=1400\nDriver=bridge\n"
    )
    if field == "volumes":
        value = tuple(
            each.replace(source=each.source.replace("HERE", str(here))) if isinstance(each, BindMount) else each
            for each in value  # type: ignore[attr-defined]  # a tuple
        )
    assert getattr(container(text, "[Service]\nEnvironment=LEVEL=3"), field) == value


def test_single_settings_change_the_isolation(here: Path) -> None:
    (here / "s.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    security = container(
        f"NoNewPrivileges=true\nSeccompProfile={here}/s.json\nSecurityLabelType=spc_t\nSecurityLabelLevel=s0:c1\nUnmask=ALL"
    ).security_opt
    assert security.no_new_privileges and not security.masked_paths
    assert security.label == SelinuxLabel(type="spc_t", level="s0:c1")
    assert getattr(security.seccomp, "origin", "") == f"{here}/s.json"
    assert container("SecurityLabelDisable=true\nSeccompProfile=unconfined").security_opt.seccomp is None


def test_a_root_directory_and_environment_files(here: Path) -> None:
    (here / "env").write_text("A='q'\n")
    spec = load("[Container]\nRootfs=/srv:O\nEnvironmentFile=env\nEnvironment=B=1\n")
    assert (spec.rootfs, spec.environment) == ("/srv", {"A": "'q'", "B": "1"})


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("Restart=no", "restart", None),
        ("Restart=on-failure", "restart", RestartPolicy(name="on-failure", delay=0.1, burst=5, interval=10.0)),
        ("Restart=always", "restart", RestartPolicy(name="always", delay=0.1, burst=5, interval=10.0)),
        ("Restart=always\nRestartSec=1min 5s", "restart",
         RestartPolicy(name="always", delay=65.0, burst=5, interval=10.0)),
        ("Restart=always\nStartLimitIntervalSec=0", "restart", RestartPolicy(name="always", delay=0.1)),
        ("Restart=always\nStartLimitInterval=1min\nStartLimitBurst=2", "restart",
         RestartPolicy(name="always", delay=0.1, burst=2, interval=60.0)),
        ("Restart=always\nStartLimitInterval=infinity\nStartLimitBurst=4\nRestartSec=1", "restart",
         RestartPolicy(name="always", attempts=3, delay=1.0)),
        ("Restart=always\nStartLimitInterval=infinity\nStartLimitBurst=1\nRestartSec=1", "restart",
         RestartPolicy(name="always", delay=1.0, burst=1, interval=876000 * 3600.0)),
        ("Restart=on-abnormal", "restart", None),
        ("Restart=unless-stopped", "restart", None),
        ("RestartSec=5", "restart", None),
        ("RuntimeMaxSec=5min 20s", "timeout", 320.0),
        ("RuntimeMaxSec=1.5", "timeout", 1.5),
        ("RuntimeMaxSec=infinity", "timeout", None),
        ("MemoryMax=1G", "mem_limit", 1 << 30),
        ("MemoryMax=infinity", "mem_limit", None),
        ("TasksMax=7", "pids_limit", 7),
        ("OOMScoreAdjust=-7", "oom_score_adj", -7),
        ("CPUQuota=50%", "cpus", 0.5),
        ("Type=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=900", "timeout", 900.0),
        ("Type=oneshot\nTimeoutStartSec=infinity", "timeout", None),
        ("TimeoutStartSec=900", "timeout", None),
        ("User=5\nUser=", "user", None),
        ("PrivateTmp=yes\nNoSuchKey=5", "timeout", None),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_systemd_would_do_is_done_where_it_can(text: str, field: str, value: object) -> None:
    unit = "[Unit]\nDescription=x\nAfter=a.service\nWants=b.target\n[Install]\nWantedBy=c\n"
    case = load_case(f"[Container]\nImage=alpine\n{unit}[Service]\n{text}")
    assert field_of(case, field) == value


def test_templates_have_instances(here: Path) -> None:
    text = "Exec=%p %i %I %j %J"
    assert container(text, name="a-b@x-y.container").command == ("a-b", "x-y", "x/y", "b", "b")
    assert container(text, "[Install]\nDefaultInstance=9", name="a@.container").command == ("a", "9", "9", "a", "a")


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('ContainerName="q"', "name", "q"),
        ('HostName="h"', "hostname", "h"),
        ('WorkingDir="/a b"', "working_dir", "/a b"),
        ('WorkingDir="%h/x"', "working_dir", "/home/me/x"),
        ('Memory="20m"', "mem_limit", 20 << 20),
        ('PidsLimit="9"', "pids_limit", 9),
        ('ShmSize="1m"', "shm_size", 1 << 20),
        ('StopSignal="INT"', "stop_signal", 2),
        ('StopTimeout="20"', "stop_grace_period", 20.0),
        ('Pull="never"', "pull_policy", "never"),
        ('UserNS="keep-id"', "userns_mode", "keep-id"),
        ('Network="none"', "network_mode", "none"),
        ('User="5"\nGroup="6"', "user", User(user=5, group=6)),
        ('RunInit="true"', "init", True),
        ('AddHost="a:1.2.3.4"', "extra_hosts", (("a", "1.2.3.4"),)),
        ('DNS="1.1.1.1"', "dns", ("1.1.1.1",)),
        ('GroupAdd="audio"', "group_add", ("audio",)),
        ('Ulimit="nofile=5:6"', "ulimits", {"nofile": (5, 6)}),
        ('Tmpfs="/t:size=5"', "volumes", (TmpfsMount(target="/t", size=5),)),
        ('Volume="/a b:/c:ro"', "volumes", (BindMount(source="/a b", target="/c", read_only=True),)),
        ('Volume="named.volume:/b"', "volumes", (VolumeMount(volume="own", target="/b"),)),
        ('Mount="type=tmpfs,target=/t"', "volumes", (TmpfsMount(target="/t"),)),
        ('Mount=type=tmpfs,target=/t "type=tmpfs,target=/u v"', "volumes",
         (TmpfsMount(target="/t"), TmpfsMount(target="/u v"))),
        ('Entrypoint="/bin/a b"', "entrypoint", ("/bin/a b",)),
        ('Exec="a b" c', "command", ("a b", "c")),
        ('HealthCmd="curl -f http://x"', "healthcheck", Healthcheck(test=("CMD-SHELL", "curl -f http://x"))),
        ('HealthCmd="none"', "healthcheck", Healthcheck(test=("NONE",))),
        ("HealthCmd='curl' -f \"http://x\"", "healthcheck",
         Healthcheck(test=("CMD-SHELL", "'curl' -f \"http://x\""))),
        ("HealthCmd='curl -f x'", "healthcheck", Healthcheck(test=("CMD-SHELL", "'curl -f x'"))),
        ('HealthCmd=x "', "healthcheck", Healthcheck(test=("CMD-SHELL", 'x "'))),
        ('HealthCmd=x\nHealthInterval="2m"\nHealthRetries="5"', "healthcheck",
         Healthcheck(test=("CMD-SHELL", "x"), interval=120.0, retries=5)),
        ('AutoUpdate="registry"', "labels", {"io.containers.autoupdate": "registry"}),
        ('ReadOnly="true"\nReadOnlyTmpfs="no"', "volumes", ()),
        ('Image="other"', "image", "docker.io/library/other:latest"),
        ('Timezone="Our/Zone"', "volumes",
         (BindMount(source="HERE/zones/Our/Zone", target="/etc/localtime", read_only=True),)),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_quotes_around_a_whole_value_are_no_part_of_it(here: Path, text: str, field: str, value: object) -> None:
    """Double quotes, as for Podman; where a value is a list of words, each may have its own, of either kind."""
    Path("named.volume").write_text('[Volume]\nVolumeName="own"\n')
    if isinstance(value, tuple):
        value = tuple(
            each.replace(source=each.source.replace("HERE", str(here))) if isinstance(each, BindMount) else each
            for each in value
        )
    found = getattr(container(text), field)
    assert (str(found) if field == "image" else found) == value


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("Exec=a \\ \t\n  b \\\t\n c", "command", ("a", "b", "c")),
        ("Environment=A=1 \\  \nB=2", "environment", {"A": "1", "B": "2"}),
        ("Mount=type=volume,source=named.volume,target=/b", "volumes", (VolumeMount(volume="own", target="/b"),)),
        ("Mount=type=volume,src=plain.volume,dst=/b,ro", "volumes",
         (VolumeMount(volume="systemd-plain", target="/b", read_only=True),)),
        ("Mount=source=named.volume,target=/b", "volumes", (VolumeMount(volume="own", target="/b"),)),
        ("Mount='type=bind,\"source=/a,b\",target=/b'", "volumes", (BindMount(source="/a,b", target="/b"),)),
        ("Mount=type=bind,source=/a,target=/b,relabel=shared", "volumes", (BindMount(source="/a", target="/b"),)),
        ("Mount=type=bind,source=/a,target=/b,relabel=private", "volumes", (BindMount(source="/a", target="/b"),)),
        ("Mount=type=bind,source=/a,target=/b,rw=true", "volumes", (BindMount(source="/a", target="/b"),)),
        ("Mount=type=bind,source=/a,target=/b,rw", "volumes", (BindMount(source="/a", target="/b"),)),
        ("Mount=type=bind,source=/a,target=/b,rw=false", "volumes",
         (BindMount(source="/a", target="/b", read_only=True),)),
        ("Mount=type=bind,source=/a,target=/b,ro=false,rw=true,U=false", "volumes",
         (BindMount(source="/a", target="/b"),)),
        ("Mount=type=tmpfs,target=/t,size=1m,mode=700", "volumes",
         (TmpfsMount(target="/t", size=1 << 20, mode=0o700),)),
        ("VolatileTmp=true", "volumes", (TmpfsMount(target="/tmp", size=512 << 20, mode=0o1777),)),
        ("VolatileTmp=false", "volumes", ()),
        ("VolatileTmp=true\nReadOnly=true\nReadOnlyTmpfs=false", "volumes", ()),
        ("HttpProxy=false", "environment", {}),
        ("AppArmor=unconfined", "name", "web"),
        ("ServiceName=shop\nExec=%N %n %p", "command", ("shop", "shop.service", "shop")),
        ("ServiceName=shop", "name", "shop"),
        ("ServiceName=shop@9\nExec=%N %i", "command", ("shop@9", "9")),
        ("AddDevice=-/dev/nonesuch -/dev/nothing", "devices", ()),
        ('Unmask="ALL"', "name", "web"),
        ("Exec=a\\q", "command", ("a\\q",)),
        ("EnvironmentHost=true\nEnvironment=V=own", "environment", {"HOME": "/home/me", "V": "own"}),
        ("Mount=type=bind,source=/a,target=/b,idmap", "volumes", (BindMount(source="/a", target="/b", idmap=""),)),
        ("Volume=/a:/b:ro,idmap=uids=0-5-1", "volumes",
         (BindMount(source="/a", target="/b", read_only=True, idmap="uids=0-5-1"),)),
        ("Volume=bound.volume:/b:ro", "volumes", (BindMount(source="/srv", target="/b", read_only=True),)),
        ("Volume=memory.volume:/b", "volumes", (TmpfsMount(target="/b", size=5, uid=3),)),
        ("Volume=disk.volume:/b:ro", "volumes",
         (FilesystemMount(target="/b", read_only=True, fstype="ext4", device="/dev/vdz", options=("uid=0", "gid=5")),)),
        ("Volume=uncopied.volume:/b", "volumes", (VolumeMount(volume="systemd-uncopied", target="/b", copy=False),)),
        ("UserNS=keep-id:uid=5,gid=6", "userns_mode", "keep-id:uid=5,gid=6"),
        ("RemapUsers=keep-id\nRemapUid=5", "userns_mode", "keep-id:uid=5"),
        ("UIDMap=0:10:1\nUIDMap=+1:20:1", "uidmap", ("0:10:1", "+1:20:1")),
        ("HealthCmd=CMD-SHELL a || b\nHealthOnFailure=kill", "healthcheck",
         Healthcheck(test=("CMD-SHELL", "a || b"), on_failure="kill")),
        ("Network=db.container", "network_mode", "container:db"),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_the_corners_of_the_manual(text: str, field: str, value: object) -> None:
    Path("plain.volume").write_text("[Volume]\n")
    Path("named.volume").write_text("[Volume]\nVolumeName=own\n")
    Path("bound.volume").write_text("[Volume]\nDevice=/srv\nType=none\nOptions=bind,rw\n")
    Path("memory.volume").write_text("[Volume]\nDevice=tmpfs\nType=tmpfs\nOptions=size=5\nUser=3\n")
    Path("disk.volume").write_text("[Volume]\nDevice=/dev/vdz\nType=ext4\nOptions=rw\nUser=root\nGroup=5\n")
    Path("uncopied.volume").write_text("[Volume]\nCopy=no\nLabel=a=b\n")
    Path("db.container").write_text("[Container]\nImage=a\n")
    assert getattr(container(text), field) == value


def test_an_apparmor_profile_is_one_of_security_opt() -> None:
    assert container("AppArmor=mine").security_opt.apparmor == "mine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Container]\nImage=a\nSecurityLabelNested=true\nVolatileTmp=perhaps",
         ["3:1: SecurityLabelNested is not supported", "4:13: expected true or false, not 'perhaps'"]),
        ("[Container]\nImage=a\nGroupAdd=keep-groups",
         ["3:10: keep-groups is not supported (name the groups)"]),
        ("[Container]\nImage=a\nPodmanArgs=--group-add keep-groups",
         ["3:12: keep-groups is not supported (name the groups)"]),
        ("[Container]\nImage=a\nVolume=/a:/b:U\nVolume=/c:/d:idmap=x",
         ["3:8: volume '/a:/b:U': option 'U' is not supported",
          "4:8: idmap 'x': expected uids=A-B-N;gids=A-B-N, such as uids=0-1000-1;gids=0-1000-1"]),
        ("[Container]\nImage=a\nNetwork=pasta:-t,80",
         ["3:9: network 'pasta:-t,80' is not supported (use bridge, none, host or the name of a network)"]),
        ("[Container]\nImage=a\nNetwork=host:alias=x",
         ["3:9: network 'host:alias=x': expected letters, digits, _ . and -, a letter or digit first"]),
        ("[Container]\nImage=a\nNetwork=bridge:alis=x,foo", [
            "3:9: option 'alis=x' of a network is not supported; did you mean 'alias'?",
            "3:9: option 'foo' of a network is not supported"]),
        ("[Container]\nImage=a\nNetwork=none\nNetworkAlias=x",
         ["4:1: aliases need a network that containers share, such as bridge"]),
        ("[Container]\nImage=a\nNetwork=bad.network", [
            "bad.network:2:1: DisableDNS is not supported", "bad.network:3:1: unknown key 'Subnt'; did you mean "
            "'Subnet'?", "3:9: network driver 'macvlan' is not supported: expected bridge"]),
        ("[Container]\nImage=a\nRemapUsers=auto\nUIDMap=0:1:2",
         ["3:1: RemapUsers is an old name: leave it out, next to UserNS and UIDMap"]),
        ("[Container]\nImage=a\nUserNS=kep-id\nUIDMap=0:x:1\nHealthOnFailure=stp",
         ["3:8: 'kep-id': expected host, keep-id, auto, nomap, private",
          "4:8: id mapping '0:x:1': expected CONTAINER:HOST:COUNT, such as 0:100000:65536",
          "5:17: 'stp': expected none, kill, stop, restart"]),
        ("[Container]\nImage=a\nSecret=a,typ=env\nSecret=a,type=x",
         ["3:8: option 'typ' of a secret is not supported; did you mean 'type'?",
          "4:8: type=x: expected mount or env"]),
        ("[Container]\nImage=a\nReloadCmd=x\nReloadSignal=HUP", ["4:1: ReloadCmd and ReloadSignal exclude each other"]),
        ("[Container]\nImage=a\nPod=web", ["3:5: pod web is not a Quadlet: expected NAME.pod"]),
        ("[Container]\nImage=a\nPod=no.pod", ["3:5: cannot read no.pod: no such file or directory"]),
        ("[Container]\nImage=a\nPod=shop.pod\nPublishPort=80",
         ["4:1: ports and network_mode 'service:systemd-shop-infra' exclude each other: the other container has the "
          "published ports"]),
        ("[Container]\nImage=a\nMask=etc\nCgroupsMode=disabled",
         ["3:6: 'etc': expected an absolute path without '..'", "4:13: CgroupsMode=disabled is not supported"]),
        ("[Container]\nImage=bad.image\nVolume=bad.volume:/x",
         ["bad.image:1:1: no Image key specified in [Image]: expected Image=NAME",
          "bad.volume:2:1: Type=nfs needs a Device"]),
        ("[Container]\nImage=bad.build",
         ["bad.build:1:1: there is no ImageTag in [Build]: expected ImageTag=NAME",
          "bad.build:1:1: neither SetWorkingDirectory nor File in [Build]: one of them is needed",
          "bad.build:2:1: unknown key 'ImagTag'; did you mean 'ImageTag'?"]),
        ("[Container]\nImage=a\nMount=type=bind,source=/a,target=/b,U=true",
         ["3:7: chown is not supported: it would change the owners of the host's files"]),
        ("[Container]\nImage=a\nMount=type=bind,source=/a,target=/b,idmap=uids=1-2",
         ["3:7: idmap 'uids=1-2': expected uids=A-B-N;gids=A-B-N, such as uids=0-1000-1;gids=0-1000-1"]),
        ("[Container]\nImage=a\nMount=type=bind,source=/a,target=/b,relabel=x",
         ["3:7: relabel 'x': expected shared or private"]),
        ("[Container]\nImage=a\nMount=type=bind,source=/a,target=/b,ro,rw",
         ["3:7: rw and readonly contradict each other"]),
        ("[Container]\nImage=a\nMount=type=volume,source=no.volume,target=/b",
         ["3:7: cannot read no.volume: no such file or directory"]),
        ("[Container]\nImag=a", ["2:1: unknown key 'Imag'; did you mean 'Image'?"]),
        ("[Container]\nImage=a\nPodmanArgs=--replace",
         ["3:12: --replace is not supported yet (see 'mydocker run --help')"]),
        ("[Container]\nImage=a\nPodmanArgs=--sdnotify=conmon",
         ["3:12: --sdnotify is not supported yet (see 'mydocker run --help')"]),
        ("[Container]\nImage=a\nPodmanArgs=--replac", ["3:12: unknown flag: --replac (see 'mydocker run --help')"]),
        ("[Container]\nImage=a\nMemory=1_0m",
         ["3:8: size '1_0m': expected a number of bytes, or a size such as 64m or 1.5g"]),
        ("[Container]\nImage=a\nHealthCmd=x\nHealthInterval=٥",
         ["4:16: duration '٥': expected a number of seconds, or a duration such as 90s, 1m30s or 1.5h"]),
        ("[Container]\nImage=a\n[Unit]\nStartLimitBurst=x\nStartLimitIntervalSec=y\n[Service]\nRestart=on-failure",
         ["4:17: 'x': expected a number of starts", "5:23: 'y': expected a time such as 90 or 5min 20s"]),
        ("[Container]\nImage=a\n[Unit]\nConditionPathExists=x\nConditionSecurity=x\nConflicts=named.container",
         ["4:21: 'x': expected an absolute path",
          "5:1: ConditionSecurity is not supported: expected one of PathExists, PathExistsGlob, PathIsDirectory, "
          "PathIsSymbolicLink, PathIsMountPoint, PathIsReadWrite, DirectoryNotEmpty, FileNotEmpty, FileIsExecutable, "
          "User, Group, Environment, Architecture, Host, KernelCommandLine",
          "6:1: Conflicts of named.container is not supported: there is no systemd to see to it"]),
        ("[Container]\nImage=a\n[Service]\nExecStart=x\nUser=x\nExecStartPre=@x y\nExecStartPre=./x\nDynamicUser=yes",
         ["4:1: ExecStart is not supported: there is no systemd to execute it",
          "5:1: User is not supported: run mydocker as that user, or set User in [Container]",
          "6:14: '@' before a command is not supported",
          "7:14: './x': expected an absolute path, or the name of a program",
          "8:1: DynamicUser is not supported: run mydocker as that user, or set User in [Container]"]),
        ("[Container]\nImage=a\n[Service]\nCPUQuota=50\nRuntimeMaxSec=٥\nTimeoutStopSec=x",
         ["4:10: '50': expected a percentage, such as 50%", "5:15: '٥': expected a time such as 90 or 5min 20s",
          "6:16: 'x': expected a time such as 90 or 5min 20s"]),
        ("[Container]\nImage=a\n[Service]\nCPUQuota=5_0%", ["4:10: '5_0%': expected a percentage, such as 50%"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_is_not_supported_is_known_by_its_name(text: str, expected: list[str]) -> None:
    Path("bad.network").write_text("[Network]\nDisableDNS=true\nSubnt=x\nDriver=macvlan\n")
    Path("bad.image").write_text("[Image]\n")
    Path("bad.volume").write_text("[Volume]\nType=nfs\n")
    Path("bad.build").write_text("[Build]\nImagTag=x\n")
    Path("shop.pod").write_text("[Pod]\n")
    Path("named.container").write_text("[Container]\nImage=a\n")
    with pytest.raises(SpecError) as caught:
        load(text)
    assert [line.removeprefix("web.container:") for line in caught.value.problems] == expected


@pytest.mark.parametrize(
    ("inside", "service", "field", "value"),
    [
        ("", "RestartSec=5\nStartLimitBurst=3", "restart", None),
        ("", "RestartSec=5\nRestart=no", "restart", None),
        ("", "TimeoutStopSec=5", "stop_grace_period", 5.0),
        ("", "TimeoutStopSec=90", "stop_grace_period", 10.0),
        ("StopTimeout=30", "TimeoutStopSec=20", "stop_grace_period", 20.0),
        ("StopTimeout=30", "TimeoutStopSec=40", "stop_grace_period", 30.0),
        ("StopTimeout=30", "TimeoutStopSec=infinity", "stop_grace_period", 30.0),
        ("", "TimeoutStopSec=0", "stop_grace_period", 10.0),
        ("", "TimeoutSec=1min", "stop_grace_period", 10.0),
        ("Memory=64m", "MemoryMax=32M", "mem_limit", 32 << 20),
        ("Memory=32m", "MemoryMax=64M", "mem_limit", 32 << 20),
        ("Memory=32m", "MemoryMax=infinity", "mem_limit", 32 << 20),
        ("PodmanArgs=-m 32m", "MemoryMax=64M", "mem_limit", 32 << 20),
        ("PidsLimit=5", "TasksMax=7", "pids_limit", 5),
        ("PidsLimit=0", "TasksMax=7", "pids_limit", 7),
        ("PodmanArgs=--cpus 2", "CPUQuota=50%", "cpus", 0.5),
        ("", "CPUQuota=5%", "cpus", 0.05),
    ],
)
@pytest.mark.parametrize("service_first", [False, True])
def test_of_two_limits_the_smaller_one_holds(
    inside: str, service: str, field: str, value: object, service_first: bool
) -> None:
    parts = [f"[Container]\nImage=a\n{inside}\n", f"[Service]\n{service}\n"]
    assert field_of(load_case("".join(parts[::-1] if service_first else parts)), field) == value


@pytest.mark.parametrize(
    ("web", "db", "order"),
    [
        ("After=db.service", "", ["db", "web"]),
        ('After="db.service"', "", ["db", "web"]),
        ("After=db.container", "", ["db", "web"]),
        ("Requires=db.service", "", ["db", "web"]),
        ("Wants=db.service\nAfter=x.service db.service", "", ["db", "web"]),
        ("BindsTo=db.service", "", ["db", "web"]),
        ("Requisite=db.service", "", ["db", "web"]),
        ("", "[Unit]\nBefore=web.service", ["db", "web"]),
        ("", "[Unit]\nBefore=web.container\n", ["db", "web"]),
        ("", "[Install]\nRequiredBy=web.service", ["db", "web"]),
        ("", "[Install]\nWantedBy=web.service default.target", ["db", "web"]),
        ("Before=db.service", "", ["web", "db"]),
        ("Requires=db.service\nBefore=db.service", "", ["web", "db"]),
        ("After=shop.service", "[Container]\nServiceName=shop", ["db", "web"]),
        ("Requires=shop.service", "[Container]\nServiceName=shop\nContainerName=base", ["db", "web"]),
        ("", "", ["web", "db"]),
    ],
)
@pytest.mark.parametrize("directory", [".", "other"])
def test_units_that_are_to_run_keep_their_order(
    here: Path, web: str, db: str, order: list[str], directory: str
) -> None:
    """Whichever of the two says it, and in whatever directory the other one is."""
    (here / "other").mkdir()
    Path("web.container").write_text(f"[Unit]\n{web}\n[Container]\nImage=a\n")
    Path(directory, "db.container").write_text(f"[Container]\nImage=a\n{db}\n")
    specs = load_files(["web.container", f"{directory}/db.container"], environ=ENVIRON)
    needed = [[str(specs[link.on].origin) for link in own] for own in links(specs)]
    expected = {"web": [[f"{Path(directory, 'db.container')}:1"], []], "db": [[], ["web.container:1"]]}
    assert [[Path(origin).name for origin in own] for own in needed] == [
        [Path(origin).name for origin in own] for own in (expected[order[1]] if web or db else [[], []])
    ]
    if web.startswith(("After=db.service", "Before")):
        load_files(["web.container"], environ=ENVIRON)  # what is not there has no order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Container]\nImage=a\nPublishPort=8080:80:90", ["3:13: '8080' is not an IP address"]),
        ("[Container]\nImage=a\n  Imag = b", ["3:3: unknown key 'Imag'; did you mean 'Image'?"]),
        ("[Container]\nImage=a\nNetwork=x.network", ["3:9: cannot read x.network: no such file or directory"]),
        ("[Container]\nImage=a\nNetwork=host\nNetwork=none", ["4:1: host cannot be combined with other networks",
                                                                  "4:1: none cannot be combined with other networks"]),
        ("[Container]\nImage=a\nTimezone=Nowhere/At\nLogDriver=k8s-file",
         ["3:10: this machine has no time zone 'Nowhere/At'",
          "4:11: log driver 'k8s-file' is not supported (use json-file, local or none)"]),
        ("[Container]\nImage=a\nLogOpt=tga=x", ["3:8: log option 'tga' is not supported (use max-size or max-file)"]),
        ("[Container]\nImage=a\nTimezone=../../../etc/shadow",
         ["3:10: this machine has no time zone '../../../etc/shadow'"]),
        ("[Container]\nImage=x.image", ["2:7: cannot read x.image: no such file or directory"]),
        ("[Container]\nRootfs=/srv", ["2:8: the container would write to /srv itself: expected /srv:O"]),
        ("[Container]\nTmpfs=/x", ["1:1: no image: one of image and rootfs is needed"]),
        ("[Container]\nImage=a\nRootfs=/:O", ["3:1: image and rootfs exclude each other"]),
        ("[Container]\nImage=a\nGroup=5", ["3:1: Group needs User"]),
        ("[Container]\nImage=a\nExec=$NOPE", ["3:6: variable NOPE is not set (write $$ for a dollar sign)"]),
        ("[Container]\nImage=a\nExec='x", ["3:6: a quote without its end in \"'x\""]),
        ("[Container]\nImage=a\n[Service]\nExecStartPre=a\\q",
         ["4:14: unknown escape '\\q' in 'a\\\\q' (write \\\\ for a backslash)"]),
        ("[Container]\nImage=a\nWorkingDir=%c",
         ["3:12: specifier '%c' is not supported (write %% for a percent sign)"]),
        ("[Container]\nImage=a\nExec=50%", ["3:6: a '%' without its letter in '50%' (write %% for a percent sign)"]),
        ("[Container]\nImage=a\nRunInit=maybe", ["3:9: expected true or false, not 'maybe'"]),
        ("[Container]\nImage=a\nMemory=x",
         ["3:8: size 'x': expected a number of bytes, or a size such as 64m or 1.5g"]),
        ("[Container]\nImage=a\nUnmask=proc", ["3:8: 'proc': expected an absolute path without '..'"]),
        ("[Container]\nImage=a\nVolume=no.volume:/x", ["3:8: cannot read no.volume: no such file or directory"]),
        ("[Container]\nImage=a\nVolume=odd.volume:/x",
         ["odd.volume:2:8: volume driver 'x' is not supported: expected local"]),
        ("[Container]\nImage=a\nMount=type=glob", ["3:7: mount type 'glob': expected bind, volume, tmpfs"]),
        ("[Container]\nImage=a\nPodmanArgs=--nonesuch",
         ["3:12: unknown flag: --nonesuch (see 'mydocker run --help')"]),
        ("[Container]\nImage=a\nPodmanArgs=x", ["3:12: 'x' is not a flag"]),
        ("[Container]\nImage=a\nPodmanArgs=--dry-run", ["3:12: --dry-run does not describe a container"]),
        ("[Container]\nImage=a\n[Service]\nRestart=on-success\nRuntimeMaxSec=5 x\nCPUQuota=x",
         ["4:9: Restart=on-success is not supported: expected no, on-failure, always",
          "5:15: '5 x': 'x' is no unit of time", "6:10: 'x': expected a percentage, such as 50%"]),
        ("[Container]\nImage=a\n[Unit]\nPartOf=db.container\nRequires=no.container\nWants=x.service",
         ["4:8: cannot read db.container: no such file or directory",
          "5:10: cannot read no.container: no such file or directory"]),
        ("[Container]\nImage=a\n[Pod]\nPodName=", ["3:1: section [Pod] does not belong into this kind of unit"]),
        ("[Service]\nType=x", ["1:1: there is no [Container] section"]),
        ("", ["1:1: there is no [Container] section"]),
        ("Image=a\n[Container]\nImage=b\nnonsense\n[x", ["1:1: a setting before the first [SECTION]",
         "4:1: expected KEY=VALUE, a [SECTION] or a # comment", "5:1: expected a section, such as [Container]"]),
        ("[Container]\nImage=a\nExec=a\0", ["3:1: a NUL character cannot be part of any value"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_is_not_supported_is_reported_with_its_place(text: str, expected: list[str]) -> None:
    Path("odd.volume").write_text("[Volume]\nDriver=x\n")
    with pytest.raises(SpecError) as caught:
        load(text)
    assert [line.removeprefix("web.container:") for line in caught.value.problems] == expected


MANUAL = """
    AddCapability AddDevice AddHost Annotation AppArmor AutoUpdate CgroupsMode ContainerName ContainersConfModule DNS
    DNSOption DNSSearch DropCapability Entrypoint Environment EnvironmentFile EnvironmentHost Exec ExposeHostPort GIDMap
    GlobalArgs Group GroupAdd HealthCmd HealthInterval HealthLogDestination HealthMaxLogCount HealthMaxLogSize
    HealthOnFailure HealthRetries HealthStartPeriod HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout HealthTimeout HostName HttpProxy Image IP IP6 Label LogDriver LogOpt Mask
    Memory Mount Network NetworkAlias NoNewPrivileges Notify PidsLimit Pod PodmanArgs PublishPort Pull ReadOnly
    ReadOnlyTmpfs ReloadCmd ReloadSignal RemapGid RemapUid RemapUidSize RemapUsers Retry RetryDelay Rootfs RunInit
    SeccompProfile Secret SecurityLabelDisable SecurityLabelFileType SecurityLabelLevel SecurityLabelNested
    SecurityLabelType ServiceName ShmSize StartWithPod StopSignal StopTimeout SubGIDMap SubUIDMap Sysctl Timezone Tmpfs
    UIDMap Ulimit Unmask User UserNS VolatileTmp Volume WorkingDir
"""


def test_every_setting_of_the_manual_is_known() -> None:
    """None is taken for a slip: each is read, says nothing, or is refused by its name."""
    with pytest.raises(SpecError) as caught:
        container("\n".join(f"{key}=x" for key in (*MANUAL.split(), "NoneOfThese")))
    unknown = [problem for problem in caught.value.problems if "unknown key" in problem]
    assert len(unknown) == 1 and "'NoneOfThese'" in unknown[0]


@pytest.mark.parametrize(
    ("name", "directory", "applies"),
    [
        ("web.container", "web.container.d", True),
        ("web.container", "container.d", True),
        ("web.container", "web-.container.d", False),
        ("web.container", "other.container.d", False),
        ("web.container", "d.volume.d", True),
        ("web.container", "volume.d", True),
        ("web-a-b.container", "web-.container.d", True),
        ("web-a-b.container", "web-a-.container.d", True),
        ("web-a-b.container", "web-a.container.d", False),
        ("web@x-y.container", "web@.container.d", True),
        ("web@x-y.container", "web@x-y.container.d", True),
        ("web@x-y.container", "web@x-.container.d", False),
    ],
)
def test_drop_ins_change_the_units_they_are_for(here: Path, name: str, directory: str, applies: bool) -> None:
    (here / "d.volume").write_text("[Volume]\n")
    (here / directory).mkdir()
    (here / directory / "10-user.txt").write_text("[Container]\nUser=5\n[Volume]\nVolumeName=other\n")
    plain = container("Volume=d.volume:/x", name=name)
    (here / directory / "10-user.conf").write_text("[Container]\nUser=5\n")
    if "volume" in directory:
        (here / directory / "10-user.conf").write_text("[Volume]\nVolumeName=other\n")
    assert (container("Volume=d.volume:/x", name=name) != plain) == applies


def test_of_drop_ins_with_one_name_that_for_fewer_units_counts(here: Path) -> None:
    for directory, text in (
        ("container.d/20.conf", "Environment=A=kind B=kind"),
        ("a-.container.d/20.conf", "Environment=A=prefix"),
        ("a-b.container.d/10.conf", "Exec=first\nEnvironment=C=1"),
        ("a-b.container.d/30.conf", "Environment=\nEnvironment=D=2"),
        ("a-.container.d/40.conf", "Imag=x"),
    ):
        (here / directory).parent.mkdir(exist_ok=True)
        (here / directory).write_text(f"[Container]\n{text}\n")
    with pytest.raises(SpecError) as caught:
        container("Environment=M=0", name="a-b.container")
    assert [*caught.value.problems] == ["a-.container.d/40.conf:2:1: unknown key 'Imag'; did you mean 'Image'?"]
    (here / "a-.container.d/40.conf").unlink()
    (here / "a-b.container.d/30.conf").unlink()
    found = container("Environment=M=0", name="a-b.container")
    assert (found.environment, found.command) == ({"M": "0", "C": "1", "A": "prefix"}, ("first",))


def test_templates_alone_are_refused() -> None:
    with pytest.raises(SpecError, match=r"a@.container is a template"):
        container("", name="a@.container")


def test_bytes_that_are_no_text() -> None:
    settings, problems = parse_unit(b"[A]\nB=\xff\n")
    assert (settings, problems[0].origin.line, problems[0].message) == ([], 2, "not UTF-8: byte 0xff")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  a\tb ", ["a", "b"]),
        ("'' \"\"", ["", ""]),
        ("a'b c'd", ["ab cd"]),
        (r"\x41\101\u00e9\t\s\\", ["AAé\t \\"]),
        (r"'it\'s'", ["it's"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize("text", ["\\", "a\\", "\\x4", "\\x00", "\\400", "\\ud800", "\\U00110000", '"', "\\8"])
def test_no_words(text: str) -> None:
    with pytest.raises(UsageError):
        split_words(text)


@pytest.mark.parametrize("letter", "nNpPiIjJyYhtSCLEuUGsHlvbTV")
def test_specifiers_say_something_without_systemd(letter: str) -> None:
    unit = Unit(path="/x/a@b.container", prefix="a", instance="b", variables={"HOME": "/root"})
    found = expand(f"<%{letter}>", unit)
    assert found.startswith("<") and len(found) > 2 and "%" not in found
    assert expand("%u", unit) == pwd.getpwuid(os.geteuid()).pw_name
    assert expand("%%h%%", unit) == "%h%"


def test_variables_are_words_or_parts_of_one() -> None:
    assert replace_variables("a${V}b", {"V": "1 2"}) == ["a1 2b"]
    assert replace_variables("$V", {"V": "1 2"}) == ["1", "2"]
    assert replace_variables("$V.x ${ $", {"V": "1"}) == ["$V.x ${ $"]


@pytest.mark.root
def test_a_unit_runs_is_tested_explained_and_printed(alpine: Command, here: Path) -> None:
    Path("hello.container").write_text(
        "[Unit]\nDescription=x\n[Container]\nImage=alpine\nExec=sh -c 'echo $WHO from %N'\nEnvironment=WHO=hello\n"
        "[Install]\nWantedBy=default.target\n"
    )
    done = alpine("up", "hello.container", cwd=here)
    expected = (b"hello  | hello from hello\n", b"hello exited with code 0\n", 0)
    assert (done.stdout, done.stderr, done.code) == expected
    assert alpine("test", "hello.container", cwd=here).code == 0
    assert alpine("check", "hello.container", cwd=here).code == 0
    assert b"'echo $WHO from hello'" in alpine("explain", "hello.container", cwd=here).stdout
    printed = alpine("config", "hello.container", cwd=here)
    assert b"echo $$WHO from hello" in printed.stdout
    Path("hello.yaml").write_bytes(printed.stdout)
    assert alpine("up", "hello.yaml", cwd=here).stdout == b"hello from hello\n"


@pytest.mark.root
def test_units_that_need_each_other(alpine: Command, here: Path) -> None:
    Path("db.container").write_text(
        "[Container]\nImage=alpine\nContainerName=base\nExec=sh -c 'touch /data/up; exec sleep 1000'\n"
        f"Volume={here}:/data\nStopSignal=KILL\n"
    )
    Path("web.container").write_text(
        "[Unit]\nRequires=db.container x.target\nAfter=db.container x.service\nWants=log.container\n[Container]\n"
        f"Image=alpine\nVolume={here}:/data\nExec=sh -c 'until [ -e /data/up ]; do sleep 0.05; done; echo answers'\n"
    )
    Path("log.container").write_text("[Container]\nImage=alpine\nExec=sleep 1000\nStopSignal=KILL\n")
    done = alpine("up", "--abort-on-container-exit", "web.container", "db.container", cwd=here)
    assert (done.stdout, done.code) == (b"web   | answers\n", 0), done
    done = alpine("up", "--abort-on-container-exit", "web.container", cwd=here)  # which takes the others with it
    assert (b"web   | answers\n" in done.stdout, done.code) == (True, 0), done


@pytest.mark.root
def test_the_example_runs(mydocker: Command) -> None:
    done = mydocker("up", "--no-log-prefix", "examples/hello.container", cwd=ROOT)
    assert (done.stdout, done.stderr, done.code) == (b"hello from hello\n", b"hello exited with code 0\n", 0)


@pytest.mark.root
def test_the_example_of_a_pod_runs(mydocker: Command) -> None:
    done = mydocker("up", "--no-log-prefix", "examples/shop.pod", cwd=ROOT)
    assert (done.stdout, done.code) == (b"open at nine\n", 0), done


def test_units_that_start_each_other_have_no_order_but_that_of_after() -> None:
    Path("b.container").write_text("[Unit]\nRequires=c.service b.service\n[Container]\nImage=a\n")
    Path("c.container").write_text("[Unit]\nRequires=b.container\n[Container]\nImage=a\n")
    assert [case.depends_on for case in load_files(["b.container"], environ=ENVIRON)] == [(), ()]
    Path("c.container").write_text("[Unit]\nRequires=b.container\nAfter=b.container\n[Container]\nImage=a\n")
    assert [len(case.depends_on) for case in load_files(["b.container"], environ=ENVIRON)] == [0, 1]


def test_a_unit_with_many_words_is_read_in_a_moment() -> None:
    words = " ".join(f"u{number}.service" for number in range(20_000))
    began = time.process_time()
    assert container("", f"[Unit]\nAfter={words}")
    assert time.process_time() - began < 5


def test_a_build_is_read_to_the_end(here: Path) -> None:
    (here / "Containerfile").touch()
    (here / "app.build").write_text(
        "[Build]\nImageTag=localhost/app:1\nImageTag=localhost/app:latest\nSetWorkingDirectory=unit\nTarget=final\n"
        'BuildArg=A=1 "B=2 3"\nLabel=a=b\nArch=arm64\nVariant=v8\nPull=newer\nNetwork=none\n'
        "Secret=id=key,src=key.txt\nSecret=id=word,env=WORD\n"
    )
    units = Units([])
    context = Context(unit=unit_of(f"{here}/web.container", "web"), reader=reader(), settings={}, sections={})
    assert units.find("app.build", str(here))
    [setting] = [each for each in parse_unit(b"[Container]\nImage=app.build\n")[0] if each.key.text]
    other = neighbour_of(setting, "app.build", context)
    assert other is not None
    assert build_data(read_build(other)) == {
        "context": str(here),
        "dockerfile": f"{here}/Containerfile",
        "args": ["A=1", "B=2 3"],
        "labels": ["a=b"],
        "target": "final",
        "tags": ["localhost/app:latest"],
        "platforms": ["linux/arm64/v8"],
        "network": "none",
        "pull": True,
        "secrets": [{"source": "key", "file": f"{here}/key.txt"}, {"source": "word", "environment": "WORD"}],
    }
    assert context.reader.problems == []


def reader() -> Reader:
    return Reader(scope=Scope(directory=os.getcwd(), environ=ENVIRON), problems=[])


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("Notify=healthy\nHealthCmd=x", "service_healthy"),
        ("Notify=healthy", "service_healthy"),  # by the healthcheck of the image
        ("Notify=healthy\nHealthCmd=none", "service_started"),
        ("HealthCmd=x", "service_started"),
    ],
)
def test_what_depends_on_a_unit_that_notifies(here: Path, text: str, condition: str) -> None:
    (here / "db.container").write_text(f"[Container]\nImage=a\n{text}\n")
    (here / "web.container").write_text("[Unit]\nAfter=db.service\n[Container]\nImage=a\n")
    specs = load_files(["web.container", "db.container"], environ=ENVIRON)
    assert [each.condition for each in specs[0].depends_on] == [condition]
