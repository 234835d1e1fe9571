"""mydocker inside a container of Docker's, with --cap-add SYS_ADMIN and Docker's own seccomp filter.

The project's Dockerfile is built by a real daemon, and the tester's stages run in what comes out.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest
from lab.command import Result, registries_conf
from lab.dockerd import Docker, build, daemon
from lab.registry import Registry
from test_stages import EXPLORER, STAGES

from mydocker.testing.engines.kubernetes.manifests import Layout, objects
from mydocker.testing.engines.kubernetes.spec_files import PackedFiles

pytestmark = [pytest.mark.root, pytest.mark.nested, pytest.mark.timeout(600)]

Nested = Callable[..., Result]
IMAGE = "mydocker"
APPARMOR = pathlib.Path("/sys/module/apparmor/parameters/enabled")
UNCONFINED = ("--security-opt", "apparmor=unconfined") if APPARMOR.exists() and "Y" in APPARMOR.read_text() else ()
PART = ("test", "-j", "1", "--shard", "1/1", "--report", "jsonl=-", "--")
PART_SPECS = """
name: good
image: alpine
command: cat /x
volumes: [./x.smoke.yaml:/x]
expect: {stdout: [good]}
---
name: bad
image: alpine
command: "false"
"""
GRANTED = ("--cap-add", "SYS_ADMIN", *UNCONFINED)


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    """A daemon that has the image of this project."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="docker-"))
    try:
        with daemon(directory) as running:
            build(running, directory, IMAGE)
            yield running
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def nested(
    docker: Docker, registry: Registry, explorer: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Nested:
    """Runs mydocker in a container that has docker-explorer and /opt/some_dir; OPTIONS are those of `docker run`."""
    directory = tmp_path_factory.mktemp("nested")
    (directory / "registries.conf").write_text(registries_conf(registry.address))
    (directory / "some_dir").mkdir()
    shown = [f"{explorer}:{EXPLORER}:ro", f"{directory}/some_dir:/opt/some_dir"]
    shown.append(f"{directory}/registries.conf:/etc/containers/registries.conf:ro")
    volumes = [word for volume in shown for word in ("--volume", volume)]

    def run(*arguments: str, options: tuple[str, ...] = GRANTED) -> Result:
        return docker("run", "--rm", "--network", "host", *volumes, *options, IMAGE, *arguments)

    return run


@pytest.mark.parametrize("stage", STAGES)
def test_stage(nested: Nested, stage: str) -> None:
    arguments, expected = STAGES[stage]
    assert nested("run", *arguments) == expected


def test_with_a_store_on_a_volume(nested: Nested, tmp_path: pathlib.Path) -> None:
    """What the container writes then lies on disk; and the second run finds the image."""
    options = (*GRANTED, "--volume", f"{tmp_path}:/var/lib/mydocker")
    script = "touch /etc/x && grep -c ' / overlay ' /proc/mounts"
    for _ in range(2):
        assert nested("run", "alpine", "sh", "-c", script, options=options) == Result(b"1\n", b"", 0)
    findings = _doctor(nested, options)
    assert findings["overlay"]["state"] == "ok"


def test_what_a_container_finds(nested: Nested) -> None:
    script = "stat -c '%a %u' /; readlink /etc/mtab; df /dev/shm | tail -1 | cut -d' ' -f1; echo x > /null; cat /null"
    script += "; grep ^Groups: /proc/self/status | cut -f2; echo $HOME"
    options = ("-u", "mail:", "-e", "HOME=", "--name", "", "-v", "/dev/null:/null", "--network", "none")
    done = nested("run", *options, "alpine", "sh", "-c", script)
    assert done == Result(b"755 0\n/proc/mounts\nshm\n12 \n/var/mail\n", b"", 0)


def test_the_machines_tree_has_its_own_run_and_tmp(nested: Nested) -> None:
    script = "ls -A /run /tmp; touch /run/x /tmp/x /etc/x /usr/x && echo ok"
    done = nested("run", "--rootfs", "/", "sh", "-c", script)
    assert done == Result(b"/run:\n\n/tmp:\nok\n", b"", 0)


@pytest.mark.parametrize("option", [(), ("--network", "none"), ("--rootfs", "/")])
def test_isolation(nested: Nested, option: tuple[str, ...]) -> None:
    image = () if "--rootfs" in option else ("alpine",)
    script = "echo $$; ls /proc/1/fd; grep -c ' /proc proc ' /proc/mounts; echo x > /proc/sys/kernel/hostname"
    done = nested("run", *option, *image, "sh", "-c", script)
    assert done.stdout == b"1\n0\n1\n2\n1\n" and b"Read-only file system" in done.stderr, done


def test_the_streams_open_anew_for_any_user(nested: Nested) -> None:
    script = "echo one; echo two > /dev/stdout; echo three > /dev/stderr"
    assert nested("run", "-u", "1000", "alpine", "sh", "-c", script) == Result(b"one\ntwo\n", b"three\n", 0)


def test_a_limit_is_an_error_not_a_wish(nested: Nested) -> None:
    done = nested("run", "--memory", "64m", "alpine", "true")
    assert (done.code, done.stdout) == (125, b"") and b"Traceback" not in done.stderr, done


def test_a_part_on_kubernetes(nested: Nested, tmp_path: pathlib.Path) -> None:
    """What the container of a pod has, as far as Docker can give it the same: capabilities, filter, a store that is
    open to all, spec files that are read-only, and a file for the last words."""
    commands = (("mydocker", *PART, "."), ("mydocker", *PART, "nonesuch"))
    layout = Layout(name="x", image=IMAGE, deadline=60, commands=commands, files=PackedFiles(files=()))
    good, wrong = (job["spec"]["template"]["spec"]["containers"][0] for job in objects(layout)[1:])
    for name in ("specs", "store"):
        (tmp_path / name).mkdir()
    (tmp_path / "specs" / "x.smoke.yaml").write_text(PART_SPECS)
    (tmp_path / "store").chmod(0o777)
    (tmp_path / "last").touch()
    security = good["securityContext"]
    profiles = [security[name]["type"] for name in ("appArmorProfile", "seccompProfile")]
    assert profiles == ["Unconfined", "RuntimeDefault"]
    volumes = {"specs": "/specs:ro", "store": "/var/lib/mydocker", "last": "/dev/termination-log"}
    options = [*UNCONFINED, *(word for name in security["capabilities"]["add"] for word in ("--cap-add", name))]
    options += [word for name, target in volumes.items() for word in ("--volume", f"{tmp_path}/{name}:{target}")]
    shell, *words = good["command"]
    options += ["--workdir", good["workingDir"], "--entrypoint", shell]
    done = nested(*words, *good["args"], options=tuple(options))
    heading, *results = map(json.loads, done.stdout.splitlines())
    assert (done.code, done.stderr) == (1, b"") and heading["of"] == 2, done
    assert [(each["name"], each["verdict"]) for each in results] == [("good", "passed"), ("bad", "failed")]
    assert nested(*words, *wrong["args"], options=tuple(options)) == Result(b"", b"", 2)
    assert "nonesuch: no such file or folder" in (tmp_path / "last").read_text()


def test_doctor_names_the_weaker_steps(nested: Nested) -> None:
    findings = _doctor(nested, GRANTED)
    weaker = [name for name, finding in findings.items() if finding["state"] == "weaker"]
    weaker = [name for name in weaker if name != "strays"]  # those of the machine, whose network this is
    assert weaker == ["overlay", "own ids", "pivot_root", "loopback", "keyring", "network"]
    assert "--cap-add NET_ADMIN" in findings["network"]["hint"]


def test_without_the_capability_the_flag_is_named(nested: Nested) -> None:
    for arguments in (("run", "alpine", "true"), ("run", "--rootfs", "/", "true")):
        done = nested(*arguments, options=())
        assert (done.code, done.stdout) == (125, b"")
        assert b"--cap-add SYS_ADMIN" in done.stderr and b"Traceback" not in done.stderr
    assert nested("doctor", options=()).code == 1


def _doctor(nested: Nested, options: tuple[str, ...]) -> dict[str, dict[str, str]]:
    done = nested("doctor", "--format", "json", options=options)
    assert (done.stderr, done.code) == (b"", 0), done
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
