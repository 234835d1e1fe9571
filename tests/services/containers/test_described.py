"""A container as Docker's commands describe it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mydocker.errors import UsageError
from mydocker.image.model import ImageConfig
from mydocker.reference import Platform
from mydocker.services.containers import Container, ContainerConfig, ContainerState, described
from mydocker.services.containers.log_times import instant
from mydocker.services.listing import rows
from mydocker.specs.argv import parse_run
from mydocker.specs.model import ContainerSpec

MINUTE, HOUR, DAY = 60, 3600, 86400


def container(argv: str = "alpine", state: ContainerState | None = None, **fields: Any) -> Container:
    spec = parse_run(argv.split(), environ={}, cwd="/").spec
    config = ContainerConfig(id="a" * 64, name="web", created=time.time(), spec=spec, image="alpine")
    return Container(directory="/x", config=config.replace(**fields), state=state or ContainerState())


def _document(described_one: Container, image: ImageConfig | None = None) -> dict[str, Any]:
    return described.document(described_one, image, volumes="/store/volumes")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    """The cases of go-units; a clock that was set back is no error."""
    assert rows.ago(seconds) == text


NOW = 2e9


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (ContainerState(), "Created"),
        (ContainerState(status="dead"), "Dead"),
        (ContainerState(status="running", started=NOW - 3 * HOUR), "Up 3 hours"),
        (ContainerState(status="running", started=NOW - 3 * HOUR, health="healthy"), "Up 3 hours (healthy)"),
        (ContainerState(status="running", started=NOW - 3 * HOUR, health="unhealthy"), "Up 3 hours (unhealthy)"),
        (ContainerState(status="running", started=NOW - 3 * HOUR, health="starting"), "Up 3 hours (health: starting)"),
        (ContainerState(status="paused", started=NOW - 3 * HOUR), "Up 3 hours (Paused)"),
        (ContainerState(status="exited", exit_code=3, finished=NOW - 3 * HOUR), "Exited (3) 3 hours ago"),
        (ContainerState(status="exited", exit_code=137), "Exited (137)"),
        (ContainerState(status="restarting", exit_code=1, finished=NOW - 3 * HOUR), "Restarting (1) 3 hours ago"),
    ],
)
def test_states_in_words(state: ContainerState, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows.time, "time", lambda: NOW)
    assert rows.status(state) == text


@pytest.mark.parametrize(
    ("published", "exposed", "text"),
    [
        ((), (), ""),
        ((), ("80/tcp",), "80/tcp"),
        (("8080:80/tcp",), ("80/tcp",), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        (("127.0.0.1:8080:80/tcp",), (), "127.0.0.1:8080->80/tcp"),
        (("[::1]:53:53/udp",), ("80/tcp",), "[::1]:53->53/udp, 80/tcp"),
    ],
)
def test_ports(published: tuple[str, ...], exposed: tuple[str, ...], text: str) -> None:
    assert rows.ports(container(state=ContainerState(ports=published), ports=exposed)) == text


def test_what_a_container_is_called_does_nothing_to_a_terminal() -> None:
    evil = "\x1b[2J\x07\r\n\u202e"
    found = container(command=("echo", evil), image=evil, labels={evil: evil})
    for row in (described.row(found), described.row(found, trunc=False)):
        assert all(text.isprintable() for text in row.values()), row


def test_ports_that_are_published_on_several_addresses() -> None:
    state = ContainerState(ports=("127.0.0.1:8080:80/tcp", "[::1]:8081:80/tcp", "9000:90/udp"))
    published = _document(container(state=state, ports=("70/tcp",)))["NetworkSettings"]["Ports"]
    assert published == {
        "70/tcp": None,
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "8081"}],
        "90/udp": [{"HostIp": "0.0.0.0", "HostPort": "9000"}, {"HostIp": "::", "HostPort": "9000"}],
    }


# types of the keys as the Engine API has them (moby, api/swagger.yaml, ContainerInspectResponse); None: may be null
DOCKER: dict[str, Any] = {
    "Id": str, "Created": str, "Path": str, "Args": list, "Image": str, "LogPath": str, "Name": str,
    "RestartCount": int, "Platform": str, "Mounts": list,
    "State": {
        "Status": str, "Running": bool, "Paused": bool, "Restarting": bool, "OOMKilled": bool, "Dead": bool,
        "Pid": int, "ExitCode": int, "Error": str, "StartedAt": str, "FinishedAt": str,
        "Health": {"Status": str, "FailingStreak": int, "Log": list},
    },
    "Config": {
        "Hostname": str, "Domainname": str, "User": str, "Tty": bool, "OpenStdin": bool, "StdinOnce": bool, "Env": list,
        "Cmd": list, "Image": str, "WorkingDir": str, "Entrypoint": list, "Labels": dict, "ExposedPorts": dict,
        "Volumes": dict, "StopSignal": str, "StopTimeout": int, "Healthcheck": dict,
    },
    "HostConfig": {
        "Binds": list, "NetworkMode": str, "PortBindings": dict, "PublishAllPorts": bool, "AutoRemove": bool,
        "RestartPolicy": {"Name": str, "MaximumRetryCount": int}, "CapAdd": list, "CapDrop": list, "Dns": list,
        "DnsOptions": list, "DnsSearch": list, "ExtraHosts": list, "Init": bool, "Privileged": bool,
        "ReadonlyRootfs": bool, "Memory": int, "MemorySwap": int, "NanoCpus": int, "CpusetCpus": str, "PidsLimit": int,
        "OomScoreAdj": int, "ShmSize": int, "Sysctls": dict, "Ulimits": list, "MemoryReservation": int,
        "CpuShares": int, "CpuPeriod": int, "CpuQuota": int, "PidMode": str, "IpcMode": str, "UTSMode": str,
        "CgroupnsMode": str, "UsernsMode": str, "SecurityOpt": list, "GroupAdd": list, "Devices": list, "Tmpfs": dict,
        "VolumesFrom": list,
        "LogConfig": {"Type": str, "Config": dict},
    },
    "NetworkSettings": {
        "Ports": dict, "IPAddress": str, "IPPrefixLen": int, "Gateway": str, "GlobalIPv6Address": str,
        "MacAddress": str, "Networks": dict,
    },
}  # fmt: skip

FULL = """
    -d --name web -u 1:2 -w /w -e A=b --entrypoint /e -v /tmp:/a:ro -v data:/b --tmpfs /t -p 8080:80
    -p 127.0.0.1::53/udp
    --restart on-failure:3 --cap-add NET_ADMIN --cap-drop ALL --dns 1.1.1.1 --add-host a:1.2.3.4 --init --read-only
    -m 64m
    --cpus 1.5 --pids-limit 9 --shm-size 1m --log-opt max-size=1m --ulimit nofile=9:10 --sysctl net.core.somaxconn=9
    alpine cmd
"""


def _check(found: dict[str, Any], expected: dict[str, Any], *, place: str = "") -> None:
    assert found.keys() <= expected.keys(), place
    for key, value in found.items():
        if isinstance(expected[key], dict):
            _check(value, expected[key], place=f"{place}.{key}")
        else:
            assert value is None or type(value) is expected[key], f"{place}.{key}"


@pytest.mark.parametrize("argv", ["alpine", FULL])
def test_the_document_has_docker_s_keys_and_types(argv: str) -> None:
    state = ContainerState(
        status="running", health="unhealthy", failing=2, health_output="x", addresses={"a": "1.2.3.4"}
    )
    document = _document(container(argv, state, ports=("80/tcp",)))
    _check(document, DOCKER)
    assert document.keys() == DOCKER.keys() and document["HostConfig"].keys() == DOCKER["HostConfig"].keys()
    assert json.loads(json.dumps(document)) == document


def test_values_of_the_document() -> None:
    full = _document(container(FULL))
    assert [each["Source"] for each in full["Mounts"] if each["Type"] == "volume"] == ["/store/volumes/data/data"]
    host = full["HostConfig"]
    assert host["Binds"] == ["/tmp:/a:ro", "data:/b"]
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (host["NanoCpus"], host["Memory"], host["LogConfig"]["Type"]) == (1_500_000_000, 64 << 20, "json-file")


ISOLATION = """
    --pid host --uts host --ipc container:x --group-add 7 --device /dev/fuse --tmpfs /t:size=1m,exec --stop-timeout 3
    --security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt systempaths=unconfined
    -m 64m --memory-reservation 32m --cpu-shares 512 -v /anonymous --volumes-from y:ro alpine
"""


def test_values_of_its_isolation() -> None:
    document = _document(container(ISOLATION))
    host = document["HostConfig"]
    assert [host[f"{kind}Mode"] for kind in ("Pid", "UTS", "Ipc", "Cgroupns", "Userns")] == [
        *("host", "host", "container:x", "private", "")
    ]
    assert host["SecurityOpt"] == ["seccomp=unconfined", "no-new-privileges", "systempaths=unconfined"]
    assert (host["GroupAdd"], host["Tmpfs"]) == (["7"], {"/t": "exec,size=1048576"})
    fuse = {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}
    assert (host["Devices"], host["Binds"]) == ([fuse], None)
    assert (host["Memory"], host["MemorySwap"], host["MemoryReservation"]) == (64 << 20, 128 << 20, 32 << 20)
    assert (host["CpuShares"], host["VolumesFrom"]) == (512, ["container:y:ro"])
    assert document["Config"]["StopTimeout"] == 3
    plain = _document(container())["HostConfig"]
    assert (plain["PidMode"], plain["IpcMode"], plain["SecurityOpt"], plain["Tmpfs"]) == ("", "private", None, None)


def test_a_variable_that_is_unset_is_not_the_image_s() -> None:
    image = ImageConfig(platform=Platform.host(), env=("A=image", "B=image"))
    assert _document(container("-e A -e C alpine"), image)["Config"]["Env"] == ["B=image"]


def test_no_health_is_null() -> None:
    """So that a template may ask for it: `{{if .State.Health}}`."""
    assert _document(container())["State"]["Health"] is None


def test_what_the_image_says() -> None:
    image = ImageConfig(
        platform=Platform.host(),
        env=("A=image", "PATH=/bin"),
        cmd=("c",),
        entrypoint=("e",),
        user="7",
        working_dir="/d",
    )
    plain = _document(container(), image)["Config"]
    assert (plain["Env"], plain["Cmd"], plain["Entrypoint"]) == (["A=image", "PATH=/bin"], ["c"], ["e"])
    assert (plain["User"], plain["WorkingDir"]) == ("7", "/d")
    changed = _document(container(FULL), image)["Config"]
    assert (changed["Env"], changed["Cmd"], changed["Entrypoint"]) == (["A=b", "PATH=/bin"], ["cmd"], ["/e"])


def test_one_of_which_nothing_is_known() -> None:
    config = ContainerConfig(id="b" * 12, name="", created=0.0, spec=ContainerSpec(), image="")
    unknown = Container(directory="/x", config=config, state=ContainerState(status="dead", error="damaged"))
    assert described.row(unknown)["Names"] == "b" * 12
    assert _document(unknown)["State"]["Dead"] is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "1970-01-01T00:00:00.000000000Z"),
        ("1700000000", "2023-11-14T22:13:20.000000000Z"),
        ("1700000000.5", "2023-11-14T22:13:20.500000000Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000000Z"),
        ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00.123456789Z"),
        ("2024-02-29T12:00:00+02:00", "2024-02-29T10:00:00.000000000Z"),
        ("2024-02-29T12:30Z", "2024-02-29T12:30:00.000000000Z"),
        ("2024-02-29T12Z", "2024-02-29T12:00:00.000000000Z"),
        ("2024-02-29Z", "2024-02-29T00:00:00.000000000Z"),
        ("2024-02-29T12:00:00-0330", "2024-02-29T15:30:00.000000000Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "2024-13-01", "2024-02-30T00:00:00Z", "10", "1h30m", "-5m", "1e9", "9" * 30, "9" * 15 + "h"]
)
def test_times_that_are_none_and_durations(text: str) -> None:
    if text in ("10", "1h30m"):
        assert instant(text) < instant("0s")
        return
    with pytest.raises(UsageError):
        instant(text)
