"""Quadlets that run: pods, the commands of [Service], conditions, secrets of Podman, and units that others need."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.command import Command
from lab.processes import wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path


def write(directory: Path, **units: str) -> None:
    """NAME_KIND="…" is the unit NAME.KIND."""
    for name, text in units.items():
        stem, _, kind = name.rpartition("_")
        (directory / f"{stem}.{kind}").write_text(text)


def test_the_containers_of_a_pod_have_one_network(alpine: Command, here: Path) -> None:
    write(
        here,
        shop_pod="[Pod]\nPodName=shop\nNetwork=none\nHostName=pod-host\nShmSize=1m\n[Service]\nRestart=always\n",
        web_container="[Container]\nImage=alpine\nPod=shop.pod\n"
        "Exec=sh -c 'echo answered > /dev/shm/word; nc -l -p 80 < /dev/shm/word'\n",
        ask_container="[Container]\nImage=alpine\nPod=shop.pod\n"
        "Exec=sh -c 'until nc 127.0.0.1 80; do sleep 0.05; done; hostname; cat /dev/shm/word'\n",
        late_container="[Container]\nImage=alpine\nPod=shop.pod\nStartWithPod=no\nExec=echo never\n",
    )
    for file in ("shop.pod", "web.container"):  # each starts the pod, and that its containers
        done = alpine("up", file, cwd=here)
        assert sorted(done.stdout.splitlines()) == [b"ask  | answered", b"ask  | answered", b"ask  | pod-host"], done
        assert done.code == 0
        assert b"infra" not in done.stdout + done.stderr
    assert alpine("ps", "-aq").stdout == b""


def test_commands_of_the_host_go_with_a_start(alpine: Command, here: Path) -> None:
    write(
        here,
        job_container="[Container]\nImage=alpine\nExec=sh -c 'until [ -e /d/begun ]; do sleep 0.05; done; exit 3'\n"
        f"Volume={here}:/d\n[Service]\nEnvironment=WORD='a b'\nTimeoutStartSec=5w\nExecStartPre=-false\n"
        f'ExecStartPre=/bin/sh -c "echo pre ${{WORD}} $$WORD >> {here}/log"\n'
        f"ExecStartPost=touch {here}/begun\n"
        f'ExecStopPost=/bin/sh -c "echo after $$EXIT_STATUS >> {here}/log"\n',
    )
    done = alpine("up", "job.container", cwd=here)
    assert b"job exited with code 3" in done.stderr, done
    assert (here / "log").read_text() == "pre a b a b\nafter 3\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "ExecStartPre=/bin/sh -c 'echo sorry; exit 7'",
            b"ExecStartPre=/bin/sh -c echo sorry; exit 7: exit code 7: sorry",
        ),
        ("ExecStartPre=/nonexistent/x", b"ExecStartPre=/nonexistent/x: no such file or directory"),
        ("TimeoutStartSec=200ms\nExecStartPre=sleep 60", b"ExecStartPre=sleep 60: not finished after 0.2 s"),
    ],
)
def test_a_command_before_the_start_that_fails_keeps_the_container_from_it(
    alpine: Command, here: Path, line: str, message: bytes
) -> None:
    write(here, job_container=f"[Container]\nImage=alpine\nExec=echo never\n[Service]\n{line}\n")
    done = alpine("up", "job.container", cwd=here)
    assert done.code == 125 and message in done.stderr and done.stdout == b"", done


def test_conditions_skip_a_unit_and_asserts_fail(alpine: Command, here: Path) -> None:
    text = "[Container]\nImage=alpine\nExec=echo ran\n[Unit]\n"
    write(here, a_container=f"{text}ConditionPathExists=/nonexistent\n", b_container=f"{text}After=a.service\n")
    done = alpine("up", "a.container", "b.container", cwd=here)
    assert (done.stdout, done.code) == (b"b  | ran\n", 0), done
    assert b"a is skipped: ConditionPathExists=/nonexistent does not hold" in done.stderr
    write(here, a_container=f"{text}AssertPathExists=!/etc\n")
    done = alpine("up", "a.container", cwd=here)
    assert done.code == 125 and b"a cannot start: AssertPathExists=!/etc does not hold" in done.stderr


def test_what_a_unit_requires_is_started_with_it(alpine: Command, here: Path) -> None:
    write(
        here,
        first_container=f"[Container]\nImage=alpine\nVolume={here}:/d\nExec=touch /d/done\n[Service]\nType=oneshot\n",
        second_container="[Unit]\nRequires=first.service\nAfter=first.service\n[Container]\nImage=alpine\n"
        f"Volume={here}:/d\nExec=ls /d/done\n",
    )
    done = alpine("up", "second.container", cwd=here)
    assert (done.stdout, done.code) == (b"second  | /d/done\n", 0), done


def test_instances_of_a_template_are_containers_of_their_own(alpine: Command, here: Path) -> None:
    write(here, **{"x@_container": "[Container]\nImage=alpine\nExec=echo %p-%i $WORD\n"})
    (here / "x@two.container").symlink_to("x@.container")
    (here / "x@.container.d").mkdir()
    (here / "x@.container.d/10.conf").write_text("[Container]\nEnvironment=WORD=all\nExec=sh -c 'echo %i $$WORD'\n")
    (here / "x@two.container.d").mkdir()
    (here / "x@two.container.d/10.conf").write_text("[Container]\nEnvironment=WORD=own\nExec=sh -c 'echo %i $$WORD'\n")
    done = alpine("up", "--no-log-prefix", "x@one.container", "x@two.container", cwd=here)
    assert sorted(done.stdout.splitlines()) == [b"one all", b"two own"], done


def test_an_unhealthy_container_is_killed_and_restarted(alpine: Command, here: Path) -> None:
    write(
        here,
        sick_container=f"[Container]\nImage=alpine\nVolume={here}:/d\n"
        "Exec=sh -c 'echo run >> /d/log; touch /dev/shm/ran; exec sleep 1000'\n"
        "HealthCmd=until [ -e /dev/shm/ran ]; do sleep 0.05; done; false\n"
        "HealthInterval=200ms\nHealthRetries=1\nHealthStartPeriod=0s\nHealthOnFailure=kill\n"
        "[Service]\nRestart=always\nRestartSec=10ms\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n",
    )
    done = alpine("up", "sick.container", cwd=here)
    assert b"sick exited with code 137" in done.stderr, done
    assert (here / "log").read_text() == "run\nrun\n"


@pytest.mark.skipif(not shutil.which("podman"), reason="needs Podman")
def test_a_secret_of_podman_is_a_file_or_a_variable(alpine: Command, here: Path) -> None:
    """Podman itself makes it, in a store of its own."""
    with tempfile.TemporaryDirectory() as run:  # whose path must be short
        config = here / "storage.conf"
        config.write_text(f'[storage]\ndriver="vfs"\ngraphroot="{here}/storage"\nrunroot="{run}"\n')
        env = {"CONTAINERS_STORAGE_CONF": str(config)}
        made = subprocess.run(
            ["podman", "secret", "create", "word", "-"],
            input=b"open sesame",
            capture_output=True,
            check=False,
            env={**os.environ, **env},
        )
    assert made.returncode == 0, made.stderr
    write(
        here,
        job_container="[Container]\nImage=alpine\nSecret=word,uid=5,mode=0400\nSecret=word,type=env,target=WORD\n"
        "Exec=sh -c 'cat /run/secrets/word; stat -c \" %%u %%a\" /run/secrets/word; echo $$WORD'\n",
    )
    done = alpine("up", "--no-log-prefix", "job.container", cwd=here, env=env)
    assert done.stdout == b"open sesame 5 400\nopen sesame\n", done
    printed = alpine("config", "job.container", cwd=here, env=env)
    assert b"podman: word" in printed.stdout
    done = alpine("up", "job.container", cwd=here)
    assert done.code == 125 and b"job.container:3:8: there is no secret 'word'" in done.stderr


def test_a_pod_stays_in_the_background_with_its_containers(alpine: Command, here: Path) -> None:
    write(
        here,
        shop_pod="[Pod]\nPodName=shop\nNetwork=none\n",
        web_container="[Container]\nImage=alpine\nPod=shop.pod\nExec=sleep 1000\nStopSignal=KILL\n",
    )
    assert alpine("up", "-d", "web.container", cwd=here).code == 0
    listed = alpine("ps", "--format", "json").stdout
    assert {json.loads(line)["Names"] for line in listed.splitlines()} == {"shop-infra", "web"}, listed
    assert alpine("down", "-t", "1000", "-p", here.name.lower(), cwd=here).code == 0  # nobody waits for that long
    assert alpine("ps", "-aq").stdout == b""


def test_a_volume_with_mapped_owners(alpine: Command, here: Path) -> None:
    (here / "tree").mkdir()
    (here / "tree/file").touch()
    (here / "tree/other").touch()
    os.chown(here / "tree/file", 1000, 1001)
    write(
        here,
        job_container="[Container]\nImage=alpine\nVolume=./tree:/d:idmap=uids=0-7-1#1000-5-1;gids=0-7-1#1001-6-1\n"
        "Volume=own:/own:idmap=uids=0-7-1\nVolume=./tree:/plain:idmap\n"
        "Exec=sh -c 'stat -c \"%%u:%%g\" /d/file /d/other /own /plain/file; touch /d/new'\nUser=7:7\n",
    )
    done = alpine("up", "--no-log-prefix", "job.container", cwd=here)
    assert done.stdout == b"5:6\n7:7\n7:7\n1000:1001\n", done
    made = (here / "tree/new").stat()
    assert (made.st_uid, made.st_gid) == (0, 0)


def test_a_map_of_ids(alpine: Command, here: Path) -> None:
    maps = "UIDMap=0:700000:100\nUIDMap=100:710000:5\nGIDMap=0:800000:200\n"
    write(here, job_container=f"[Container]\nImage=alpine\nExec=cat /proc/self/uid_map /proc/self/gid_map\n{maps}")
    done = alpine("up", "--no-log-prefix", "job.container", cwd=here)
    assert done.stdout.split() == b"0 700000 100 100 710000 5 0 800000 200".split()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("UIDMap=5:100000:10", b"the map has no user id 0 of the container"),
        ("SubUIDMap=nonesuch", b"/etc/subuid has no ids for nonesuch"),
        ("Volume=/proc/self:/x:idmap=uids=0-1-1", b"/proc/self cannot be mounted with idmap: its file system has no"),
    ],
)
def test_what_cannot_be_mapped_is_an_error_at_the_start(alpine: Command, here: Path, line: str, message: bytes) -> None:
    write(here, job_container=f"[Container]\nImage=alpine\nExec=true\n{line}\n")
    assert alpine("check", "job.container", cwd=here).code == 0
    done = alpine("up", "job.container", cwd=here)
    assert done.code == 125 and message in done.stderr, done


def test_paths_are_masked_and_unmasked_one_by_one(alpine: Command, here: Path) -> None:
    write(
        here,
        job_container="[Container]\nImage=alpine\nMask=/etc/alpine-release:/home\nUnmask=/proc/sys:/proc/tim*\n"
        'Exec=sh -c \'wc -c < /etc/alpine-release; ls -a /home | wc -l; grep -c " /proc/sys " /proc/mounts; '
        'grep -c " /proc/bus " /proc/mounts\'\n',
    )
    done = alpine("up", "--no-log-prefix", "job.container", cwd=here)
    assert done.stdout.split() == [b"0", b"2", b"0", b"1"], done


def test_an_image_and_a_build_by_their_units(alpine: Command, here: Path) -> None:
    write(
        here,
        base_image="[Image]\nImage=alpine\nPolicy=never\n",
        made_build="[Build]\nImageTag=localhost/never-built:1\nSetWorkingDirectory=unit\n",
        a_container="[Container]\nImage=base.image\nExec=echo ran\n",
        b_container="[Container]\nImage=made.build\nExec=echo ran\n",
    )
    assert alpine("check", "a.container", "b.container", "made.build", "base.image", cwd=here).code == 0
    assert alpine("up", "a.container", cwd=here).stdout == b"a  | ran\n"
    done = alpine("up", "b.container", cwd=here)
    assert done.code == 125 and b"localhost/never-built:1" in done.stderr, done


def test_a_check_names_what_the_machine_lacks_and_a_run_refuses_it(alpine: Command, here: Path) -> None:
    write(
        here,
        job_container="[Unit]\nRequires=elsewhere.service data.mount\n[Container]\nImage=alpine\nExec=echo ${WORD}\n"
        f"EnvironmentFile={here}/own.env\nSecret=none\n[Service]\nEnvironmentFile={here}/no.env\n",
    )
    done = alpine("check", "job.container", cwd=here)
    assert done.code == 0
    assert [line.partition(" job.container:")[2] for line in done.stderr.decode().splitlines()] == [
        "2:10: Requires=elsewhere.service: there is no such Quadlet here, so it is not started",
        "2:10: Requires=data.mount: there is no such Quadlet here, so it is not started",
        "5:6: variable WORD is not set, so Exec is not checked",
        f"6:17: cannot read {here}/own.env: no such file or directory",
        "7:8: there is no secret 'none'",
        f"9:17: cannot read {here}/no.env: no such file or directory",
    ], done.stderr
    done = alpine("up", "job.container", cwd=here)
    assert done.code == 125 and b"no.env" in done.stderr and b"variable WORD is not set" in done.stderr
    (here / "own.env").write_text("A=1\n")
    (here / "no.env").write_text("# comment\nWORD='from the' \"file\" \nOTHER=x\n")
    write(here, job_container=(here / "job.container").read_text().replace("Secret=none\n", ""))
    assert alpine("up", "job.container", cwd=here).stdout == b"job  | from the file\n"


def test_a_pod_of_an_ordinary_user(second_user: Command, user_directory: Callable[[], Path]) -> None:
    here = user_directory()
    write(
        here,
        shop_pod="[Pod]\nPodName=shop\nNetwork=none\nHostName=pod-host\n",
        web_container="[Container]\nImage=alpine\nPod=shop.pod\nExec=sh -c 'echo answered | nc -l -p 80'\n",
        ask_container="[Container]\nImage=alpine\nPod=shop.pod\n"
        "Exec=sh -c 'until nc 127.0.0.1 80 2> /dev/null; do sleep 0.05; done; hostname'\n",
        own_container="[Container]\nImage=alpine\nUserNS=keep-id:uid=1234,gid=1235\nVolume=./tree:/d\n"
        "Exec=sh -c 'id -u; id -g; touch /d/made'\n",
    )
    (here / "tree").mkdir()
    owner = here.stat()
    os.chown(here / "tree", owner.st_uid, owner.st_gid)
    done = second_user("up", "shop.pod", cwd=here)
    assert sorted(done.stdout.splitlines()) == [b"ask  | answered", b"ask  | pod-host"], done
    done = second_user("up", "--no-log-prefix", "own.container", cwd=here)
    assert done.stdout == b"1234\n1235\n", done
    made = (here / "tree/made").stat()
    assert (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid)
    write(here, own_container="[Container]\nImage=alpine\nVolume=./tree:/d:idmap\nExec=true\n")
    done = second_user("up", "own.container", cwd=here)
    assert done.code == 125 and b"volume /d: idmap is for root" in done.stderr


def test_a_unit_ends_with_the_one_that_it_is_bound_to(alpine: Command, here: Path) -> None:
    write(
        here,
        first_container=f"[Container]\nImage=alpine\nVolume={here}:/d\n"
        "Exec=sh -c 'until [ -e /d/second ] && [ -e /d/third ]; do sleep 0.05; done; exit 5'\n",
        second_container=f"[Unit]\nBindsTo=first.container\n[Container]\nImage=alpine\nVolume={here}:/d\n"
        "Exec=sh -c 'touch /d/second; exec sleep 1000'\n",
        third_container=f"[Unit]\nRequires=first.container\n[Container]\nImage=alpine\nVolume={here}:/d\n"
        "Exec=sh -c 'touch /d/third; sleep 1; echo on'\n",
    )
    done = alpine("up", "second.container", "third.container", cwd=here)
    assert (done.stdout, done.code) == (b"third   | on\n", 0), done
    assert b"second exited with code 137" in done.stderr


_SLEEPS = "[Container]\nImage=alpine\nPodmanArgs=--init\nExec=sleep 1000\n"
BOUND = {
    "first_container": _SLEEPS,
    "second_container": f"[Unit]\nBindsTo=first.container\n{_SLEEPS}[Service]\nRestart=always\n",
    "third_container": f"[Unit]\nRequires=first.container\n{_SLEEPS}",
}


@pytest.fixture
def bound(alpine: Command, here: Path) -> Iterator[Command]:
    """Three units in the background, of which `second` is bound to `first`, and `third` is not."""
    write(here, **BOUND)
    files = [f"{name}.container" for name in ("first", "second", "third")]
    try:
        done = alpine("up", "-d", *files, cwd=here)
        assert (done.code, _running(alpine)) == (0, {"first", "second", "third"}), done
        yield alpine
    finally:
        alpine("rm", "-f", "first", "second", "third")


def _running(mydocker: Command) -> set[str]:
    return {*mydocker("ps", "--format", "{{.Names}}").stdout.decode().split()}


@pytest.mark.parametrize("words", ["stop -t 1", "kill", "rm -f"])
def test_in_the_background_too(bound: Command, words: str) -> None:
    assert bound(*words.split(), "first").code == 0
    wait_for(lambda: _running(bound) == {"third"})
    error = bound("inspect", "-f", "{{.State.Error}}", "second").stdout
    assert error == b"stopped, as first, which it is bound to, has ended\n"


def test_it_ends_though_the_keeper_of_the_other_is_killed(bound: Command) -> None:
    [found] = json.loads(bound("inspect", "first").stdout)
    state = json.loads((bound.store / "background" / found["Id"][:12] / "state").read_text())
    os.kill(state["keeper"], signal.SIGKILL)
    wait_for(lambda: _running(bound) == {"third"})


def test_one_that_is_bound_starts_again_with_the_other(bound: Command) -> None:
    """And not without it."""
    assert bound("stop", "-t", "1", "first").code == 0
    wait_for(lambda: _running(bound) == {"third"})
    assert bound("start", "second").code == 0
    wait_for(lambda: _running(bound) == {"third"})
    assert bound("start", "first", "second").code == 0
    time.sleep(0.5)
    assert _running(bound) == {"first", "second", "third"}
    assert bound("restart", "-t", "1", "second").code == 0
    assert bound("stop", "-t", "1", "first").code == 0
    wait_for(lambda: _running(bound) == {"third"})


def test_services_that_are_restarted_together(bound: Command, here: Path) -> None:
    files = [word for name in ("first", "second", "third") for word in ("-f", f"{name}.container")]
    assert bound("compose", *files, "restart", cwd=here).code == 0
    time.sleep(0.5)
    assert _running(bound) == {"first", "second", "third"}


def test_one_that_is_bound_is_made_anew_with_the_other(bound: Command, here: Path) -> None:
    """It is stopped with the one that was there, and so does not stay."""

    def identities() -> dict[str, str]:
        lines = bound("ps", "--format", "{{.Names}} {{.ID}}").stdout.decode().splitlines()
        return dict(line.split() for line in lines)

    before = identities()
    write(here, **{**BOUND, "first_container": f"{_SLEEPS}Environment=CHANGED=1\n"})
    assert bound("up", "-d", *(f"{name}.container" for name in before), cwd=here).code == 0
    time.sleep(0.5)
    after = identities()
    assert after.keys() == {"first", "second", "third"}
    assert {name for name in after if after[name] == before[name]} == {"third"}


@pytest.mark.parametrize("named", [("a", "b"), ("a",)], ids=["each is named", "one is needed by the other"])
def test_units_can_be_named_as_compose_files_are(alpine: Command, here: Path, named: tuple[str, ...]) -> None:
    sleeper = "[Container]\nImage=alpine\nNetwork=none\nRunInit=true\nExec=sleep 1000\n"
    write(here, a_container=f"[Unit]\nRequires=b.service\nAfter=b.service\n{sleeper}", b_container=sleeper)
    files = [word for name in named for word in ("-f", f"{name}.container")]
    assert alpine("up", "-d", *files, cwd=here).code == 0
    assert sorted(alpine("compose", *files, "ps", "--services", cwd=here).stdout.split()) == [b"a", b"b"]
    assert alpine("down", "-t", "0", *files, cwd=here).code == 0
    assert alpine("ps", "-aq").stdout == b""


@pytest.mark.parametrize("command", ["up -d", "down", "config", "ps"])
def test_a_unit_lies_over_no_compose_file(alpine: Command, here: Path, command: str) -> None:
    """Nor the other way round: one of them would be passed over without a word."""
    write(here, a_container="[Container]\nImage=alpine\n")
    (here / "compose.yaml").write_text("services: {x: {image: alpine}}\n")
    for files in (("a.container", "compose.yaml"), ("compose.yaml", "a.container")):
        words = ("compose", *(word for file in files for word in ("-f", file)), *command.split())
        done = alpine(*words, cwd=here)
        assert done.stdout == b"" and done.code in (2, 125), done
        assert b"a.container: a unit lies over no Compose file" in done.stderr
