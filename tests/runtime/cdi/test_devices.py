"""Devices by CDI files: which are chosen, what a container gets by them, hooks, and files that cannot be used."""

from __future__ import annotations

import json
import os
import pathlib
import stat
from contextlib import suppress

import pytest
from lab.command import Command

from mydocker.errors import LaunchError
from mydocker.runtime.cdi import devices as cdi
from mydocker.runtime.cdi.hook import Hook
from mydocker.specs.model import BindMount, CdiDevice, ContainerSpec, Device
from mydocker.specs.model.parts import DeviceRequest

GPUS = "nvidia.com/gpu"


def _file(directory: pathlib.Path, name: str = "gpus.yaml", kind: str = GPUS, **more: object) -> None:
    devices = [
        {"name": each, "containerEdits": {"deviceNodes": [{"path": f"/dev/nvidia{each}", "hostPath": "/dev/zero"}]}}
        for each in ("0", "1")
    ]
    edits = {
        "env": ["FROM=cdi", "PATH=/x"],
        "mounts": [
            {"hostPath": "/etc/hostname", "containerPath": "/usr/lib/a.so", "options": ["ro", "bind"]},
            {"hostPath": "/etc/hosts", "containerPath": "/taken", "options": ["rbind"]},
        ],
        "additionalGids": [44],
        "hooks": [{"hookName": "createContainer", "path": "/bin/true", "args": ["true", "x"], "env": ["A=b"]}],
    }
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": kind, "devices": devices, "containerEdits": edits} | more)
    )


def _given(directory: pathlib.Path, *others: pathlib.Path, env: tuple[str, ...] = (), **spec: object) -> ContainerSpec:
    return cdi.with_devices(ContainerSpec(**spec), env, directories=[str(each) for each in (directory, *others)])[0]


def _nodes(spec: ContainerSpec) -> list[str]:
    return [each.target for each in spec.devices if isinstance(each, Device)]


@pytest.mark.parametrize(
    ("spec", "nodes"),
    [
        ({"gpus": (DeviceRequest(kind=GPUS, count=-1),)}, ["/dev/nvidia0", "/dev/nvidia1"]),
        ({"gpus": (DeviceRequest(kind=GPUS, count=1),)}, ["/dev/nvidia0"]),
        ({"gpus": (DeviceRequest(kind=GPUS, ids=("1",)),)}, ["/dev/nvidia1"]),
        ({"gpus": (DeviceRequest(kind="", ids=(f"{GPUS}=1",)),)}, ["/dev/nvidia1"]),
        ({"devices": (CdiDevice(name=f"{GPUS}=1"), Device(source="/dev/null", target="/n"))}, ["/n", "/dev/nvidia1"]),
        ({"runtime": "nvidia", "environment": {"NVIDIA_VISIBLE_DEVICES": "1,0"}}, ["/dev/nvidia1", "/dev/nvidia0"]),
        ({"runtime": "nvidia", "environment": {"NVIDIA_VISIBLE_DEVICES": "void"}}, []),
        ({"runtime": "nvidia"}, ["/dev/nvidia0", "/dev/nvidia1"]),  # by the image
    ],
)
def test_which_devices(spec: dict[str, object], nodes: list[str], tmp_path: pathlib.Path) -> None:
    _file(tmp_path / "cdi")
    assert _nodes(_given(tmp_path / "cdi", env=("NVIDIA_VISIBLE_DEVICES=all",), **spec)) == nodes


def test_what_they_bring(tmp_path: pathlib.Path) -> None:
    _file(tmp_path / "cdi")
    own = BindMount(source="/srv", target="/taken")
    spec, hooks = cdi.with_devices(
        ContainerSpec(gpus=(DeviceRequest(kind=GPUS, count=2),), environment={"PATH": "/y", "A": "b"}, volumes=(own,)),
        (),
        directories=[str(tmp_path / "cdi")],
    )
    assert spec.environment == {"PATH": "/x", "A": "b", "FROM": "cdi"} and spec.group_add == (44,)
    assert spec.volumes == (
        own,
        BindMount(source="/etc/hostname", target="/usr/lib/a.so", read_only=True, recursive=False),
    )
    assert hooks == (Hook(target="/", path="/bin/true", argv=("true", "x"), environment=("A=b",)),)
    assert (spec.gpus, spec.runtime) == ((), "")


def test_the_later_directory_overrides(tmp_path: pathlib.Path) -> None:
    _file(tmp_path / "etc")
    _file(tmp_path / "run", "other.json", containerEdits={"env": ["FROM=run"]})
    spec = _given(tmp_path / "etc", tmp_path / "run", devices=(CdiDevice(name=f"{GPUS}=0"),))
    assert spec.environment == {"FROM": "run"}


@pytest.mark.parametrize(
    ("device", "text", "why"),
    [
        (f"{GPUS}=7", None, f"no file of this host describes the device {GPUS}=7"),
        (f"{GPUS}=0", "{", "is no CDI file"),
        (f"{GPUS}=0", "[]", "is no CDI file"),
        (f"{GPUS}=0", "kind: x\ndevices: 5", "expected kind, and devices with names"),
        ("a.b/c=d", "kind: a.b/c\ndevices: [{name: d, containerEdits: {mounts: [{}]}}]", "is not understood"),
        ("a.b/c=d", "kind: a.b/c\ndevices: [{name: d, containerEdits: {hooks: [{hookName: poststop, path: /x}]}}]",
         "has a hook 'poststop', /x, which is not supported"),
        ("a.b/c=d", "kind: a.b/c\ndevices: [{name: d}]", "is in several files"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(device: str, text: str | None, why: str, tmp_path: pathlib.Path) -> None:
    _file(tmp_path / "cdi")
    if text is not None:
        (tmp_path / "cdi" / "z.yaml").write_text(text)
        if "several" in why:
            (tmp_path / "cdi" / "y.yaml").write_text(text)
    with pytest.raises(LaunchError) as caught:
        _given(tmp_path / "cdi", devices=(CdiDevice(name=device),))
    assert why in caught.value.message


def test_more_than_there_are_and_none(tmp_path: pathlib.Path) -> None:
    _file(tmp_path / "cdi")
    for request, why in (
        (DeviceRequest(kind=GPUS, count=3), "3 devices nvidia.com/gpu are more than the 2 of this host"),
        (DeviceRequest(kind="amd.com/gpu", count=-1), "no file of this host describes devices amd.com/gpu"),
    ):
        with pytest.raises(LaunchError, match=why):
            _given(tmp_path / "cdi", gpus=(request,))


def test_a_hook_reads_the_state_of_the_container(tmp_path: pathlib.Path) -> None:
    program, out = tmp_path / "hook", tmp_path / "out"
    program.write_text(f"#!/bin/sh\ncat > {out}\ncat $1/config.json 2>/dev/null\necho $V >> {out}; exit $CODE\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    root = os.open(tmp_path, os.O_PATH)
    try:
        Hook(target="/", path=str(program), argv=("hook",), environment=("V=7", "CODE=0", "PATH=/bin")).apply(root)
        state, variable = out.read_text().rsplit("}", 1)
        assert json.loads(state + "}")["status"] == "creating" and variable == "7\n"
        with pytest.raises(LaunchError, match="has failed with code 5"):
            Hook(target="/", path=str(program), argv=("hook",), environment=("CODE=5", "PATH=/bin")).apply(root)
        with pytest.raises(LaunchError, match="No such file"):
            Hook(target="/", path="/nonexistent", argv=("x",)).apply(root)
    finally:
        os.close(root)


@pytest.mark.root
def test_a_container_gets_them(alpine: Command) -> None:
    """By a file in the directory for those that come and go."""
    directory = pathlib.Path("/var/run/cdi")
    directory.mkdir(exist_ok=True)
    file = directory / f"mydocker-test-{os.getpid()}.json"
    kind = f"mydocker.test/kind{os.getpid()}"
    hook = {"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "exit $CODE"], "env": ["CODE=0"]}
    edits = {"deviceNodes": [{"path": "/dev/mine", "hostPath": "/dev/zero"}], "env": ["BY=cdi"], "hooks": [hook]}
    try:
        _write_at_once(file, {"kind": kind, "devices": [{"name": "a", "containerEdits": edits}]})
        done = alpine(
            "run", "--device", f"{kind}=a", "alpine", "sh", "-c", "head -c 2 /dev/mine | od -An -tx1; echo $BY"
        )
        assert (done.code, done.stdout.split()) == (0, [b"00", b"00", b"cdi"]), done
        hook["env"] = ["CODE=4"]
        _write_at_once(file, {"kind": kind, "devices": [{"name": "a", "containerEdits": edits}]})
        failed = alpine("run", "--device", f"{kind}=a", "alpine", "true")
        assert failed.code == 125 and b"the hook /bin/sh of a CDI file has failed with code 4" in failed.stderr
    finally:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # there are others in it
            directory.rmdir()


def _write_at_once(file: pathlib.Path, content: object) -> None:
    """As all containers of this machine read the directory, those of other tests, too."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.rename(file)
