"""Mounts in words: --mount, --tmpfs, sizes, and the long form of `volumes` in a file."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import SpecError, UsageError
from mydocker.specs.argv import parse_run
from mydocker.specs.load.load import load_files
from mydocker.specs.model import BindMount, ContainerSpec, Device, FilesystemMount, Mount, TmpfsMount, VolumeMount
from mydocker.specs.mounts.mount import parse_mount
from mydocker.specs.mounts.tmpfs import parse_tmpfs
from mydocker.specs.values import Scope
from mydocker.specs.values.device import parse_device

HERE = Scope(directory="/srv", environ={"HOME": "/home/me"})


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=bind,source=/a,target=/b", BindMount(source="/a", target="/b")),
        ("type=bind,src=.,dst=/b,readonly", BindMount(source="/srv", target="/b", read_only=True)),
        ("type=bind,src=/a,destination=/b,ro=true", BindMount(source="/a", target="/b", read_only=True)),
        ("type=bind,src=/a,dst=/b,readonly=0", BindMount(source="/a", target="/b")),
        ("TYPE=bind,SRC=/a,dst=/b,consistency=cached", BindMount(source="/a", target="/b")),
        ("type=bind,src=/a,dst=/b,bind-propagation=rslave", BindMount(source="/a", target="/b", propagation="rslave")),
        ("type=bind,src=/a,dst=/b,bind-nonrecursive", BindMount(source="/a", target="/b", recursive=False)),
        ("type=bind,src=/a,dst=/b,bind-recursive=disabled", BindMount(source="/a", target="/b", recursive=False)),
        ('type=bind,"src=/a,b",dst=/b', BindMount(source="/a,b", target="/b")),
        ("type=volume,src=data,dst=/b", VolumeMount(volume="data", target="/b")),
        ("src=data,dst=/b,volume-nocopy", VolumeMount(volume="data", target="/b", copy=False)),
        ("dst=/b", VolumeMount(target="/b")),
        ("src=data,dst=/b,volume-subpath=a/b/", VolumeMount(volume="data", target="/b", subpath="a/b")),
        ("src=data,dst=/b,volume-driver=local", VolumeMount(volume="data", target="/b")),
        ("type=tmpfs,dst=/b", TmpfsMount(target="/b")),
        (
            "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=0700,ro",
            TmpfsMount(target="/b", size=1 << 20, mode=0o700, read_only=True),
        ),
        (
            'src=v,dst=/b,volume-driver=local,volume-opt=type=none,volume-opt=device=/a,"volume-opt=o=bind,ro"',
            BindMount(source="/a", target="/b", read_only=True, recursive=False),
        ),
        (
            "dst=/b,ro,volume-opt=type=nfs,volume-opt=device=:/a,volume-opt=o=addr=10.0.0.1",
            FilesystemMount(target="/b", fstype="nfs", device=":/a", options=("addr=10.0.0.1",), read_only=True),
        ),
    ],
)
def test_mount(text: str, mount: Mount) -> None:
    assert parse_mount(text, HERE) == mount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "target is required"),
        ("type", "invalid field 'type'"),
        ("type=", "invalid field 'type='"),
        ("type=nfs,dst=/b", "'nfs': expected bind, volume, tmpfs"),
        ("type=bind,src=/a", "target is required"),
        ("type=bind,dst=/a", "source is required"),
        ("type=bind,src=/a,dst=b", "not an absolute path"),
        ("type=bind,src=/a,dst=/", "cannot be '/'"),
        ("type=bind,src=/a,dst=/b,colour=red", "unexpected key 'colour'"),
        ("type=bind,src=/a,dst=/b,readonly=no", "invalid value for readonly: no"),
        ("type=bind,src=/a,dst=/b,volume-nocopy", "cannot mix 'volume-\\*' options with mount type 'bind'"),
        ("type=tmpfs,dst=/b,bind-propagation=shared", "cannot mix 'bind-\\*'"),
        ("type=bind,src=/a,dst=/b,bind-propagation=loud", "'loud'"),
        ("type=bind,src=/a,dst=/b,bind-recursive=loud", "'loud'"),
        ("type=bind,src=/a,dst=/b,bind-recursive=readonly", "needs readonly"),
        ("type=tmpfs,src=/a,dst=/b", "has no source"),
        ("type=tmpfs,dst=/b,tmpfs-size=big", "size 'big'"),
        ("type=tmpfs,dst=/b,tmpfs-mode=999", "octal"),
        ("src=./data,dst=/b", "is no name of a volume"),
        ("src=data,dst=/b,volume-driver=nfs", "only 'local'"),
        ("src=data,dst=/b,volume-subpath=../x", "without '..'"),
        ("src=data,dst=/b,volume-subpath=/x", "a relative path"),
        ("dst=/b,volume-subpath=x", "for a named volume"),
        ("dst=/b,volume-opt=type", "expected volume-opt=KEY=VALUE"),
        ("dst=/b,volume-opt=size=1m", "'size' is not supported: expected type, o, device"),
        ("src=v,dst=/b,volume-subpath=x,volume-opt=type=tmpfs", "a volume without volume-opt"),
        ("type=bind,src=/a,dst=/b,volume-opt=type=tmpfs", "cannot mix 'volume-\\*' options"),
        ('"type=bind', "KEY=VALUE"),
        ("type=bind\n,dst=/b", "KEY=VALUE"),
    ],
)
def test_no_mount(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_mount(text, HERE)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/run", TmpfsMount(target="/run")),
        ("/run/", TmpfsMount(target="/run")),
        ("/run:rw,noexec,nosuid,nodev", TmpfsMount(target="/run")),
        ("/run:size=64m,mode=1777", TmpfsMount(target="/run", size=64 << 20, mode=0o1777)),
        ("/run:exec,suid,ro", TmpfsMount(target="/run", executable=True, setuid=True, read_only=True)),
        ("/run:noatime,sync", TmpfsMount(target="/run", access_times="noatime")),
        ("/run:noatime,strictatime,diratime", TmpfsMount(target="/run", access_times="strictatime")),
        ("/run:noatime,relatime", TmpfsMount(target="/run")),
        ("/run:uid=1000,gid=5,nr_inodes=10k", TmpfsMount(target="/run", uid=1000, gid=5, inodes=10240)),
    ],
)
def test_tmpfs(text: str, mount: TmpfsMount) -> None:
    assert parse_tmpfs(text, HERE) == mount


def test_a_share_of_the_memory() -> None:
    half, whole = parse_tmpfs("/x:size=50%", HERE).size, parse_tmpfs("/x:size=100%", HERE).size
    assert half and whole and abs(half * 2 - whole) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run", "not an absolute path"),
        ("/", "cannot be '/'"),
        ("/run:size=", "size ''"),
        ("/run:size=5x", "size '5x'"),
        ("/run:size=%", "percentage"),
        ("/run:mode=8", "octal"),
        ("/run:mode=17777", "octal"),
        ("/run:uid=-1", "expected a number"),
        ("/run:uid=4294967296", "expected a number"),
        ("/run:dev", "opens no device files"),
        ("/run:colour", "unknown tmpfs option 'colour'"),
        ("/run:", None),
    ],
)
def test_no_tmpfs(text: str, message: str | None) -> None:
    if message is None:
        assert parse_tmpfs(text, HERE) == TmpfsMount(target="/run")
        return
    with pytest.raises(UsageError, match=message):
        parse_tmpfs(text, HERE)


def _load(directory: pathlib.Path, text: str) -> ContainerSpec:
    (directory / "spec.yaml").write_text(f"image: a\n{text}")
    [spec] = load_files([str(directory / "spec.yaml")], environ={})
    return spec.container


def test_the_long_form(tmp_path: pathlib.Path) -> None:
    spec = _load(
        tmp_path,
        "volumes:\n"
        "- {type: bind, source: ., target: /a, bind: {recursive: disabled, selinux: z}}\n"
        "- {type: volume, source: data, target: /b, read_only: true, volume: {nocopy: true, subpath: x}}\n"
        "- {type: volume, target: /c}\n"
        "- {type: tmpfs, target: /d, tmpfs: {size: 1048576, mode: 0700}}\n"
        "- data:/e\n"
        "tmpfs: /f:size=1k\n",
    )
    assert spec.volumes == (
        BindMount(source=str(tmp_path), target="/a", recursive=False),
        VolumeMount(volume="data", target="/b", read_only=True, copy=False, subpath="x"),
        VolumeMount(target="/c"),
        TmpfsMount(target="/d", size=1 << 20, mode=0o700),
        VolumeMount(volume="data", target="/e"),
        TmpfsMount(target="/f", size=1024),
    )


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("volumes: [{target: /a}]", ["2:11: a volume needs type"]),
        ("volumes: [{type: bind, target: /b}]", ["2:11: a volume of type 'bind' needs source"]),
        ("volumes: [{type: npipe, target: /b}]",
         ["2:18: volume type 'npipe' is not supported: expected bind, volume, tmpfs"]),
        ("volumes: [{type: tmpfs, source: /a, target: /b}]", ["2:33: a volume of type 'tmpfs' has no source"]),
        ("volumes: [{type: tmpfs, target: b}]", ["2:33: volume target 'b' is not an absolute path"]),
        ("volumes: [{type: tmpfs, target: /b, bind: {}}]", ["2:43: 'bind' does not go with type 'tmpfs'"]),
        ("volumes: [{type: tmpfs, target: /b, tmpfs: {size: x, mod: 1}}]",
         ["2:51: size 'x': expected a number of bytes, or a size such as 64m or 1.5g",
          "2:54: unknown key 'mod'; did you mean 'mode'?"]),
        ("volumes: [{type: volume, source: a/x, target: /b}]",
         ["2:34: volume name 'a/x': expected letters, digits, _ . and -, a letter or digit first"
          " (write type: bind for a directory)"]),
        ("volumes: [{type: volume, source: /x, target: /b}]",
         ["2:34: '/x' is no name of a volume (write type: bind for a directory)"]),
        ("volumes: [{type: volume, target: /b, volume: {subpath: x}}]", ["2:56: a subpath is for a named volume"]),
        ("volumes: ['data:/b']\ntmpfs: /b", ["3:1: two volumes have the target '/b'"]),
        ("tmpfs: [/b, '/b:ro']", ["2:1: two volumes have the target '/b'"]),
        ("devices: /dev/a", ["2:10: expected a list of devices"]),
        ("devices: [{target: /a}]", ["2:11: a device needs source"]),
        ("devices: [{source: /a, permissions: r}]",
         ["2:11: device permissions 'r' cannot be enforced: the device's own mode decides"
          " (write rw, or leave it out)"]),
        ("tmpfs: {a: b}", ["2:8: expected text, not a mapping"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_mistakes(tmp_path: pathlib.Path, yaml: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, yaml)
    assert [line.removeprefix(f"{tmp_path}/spec.yaml:") for line in caught.value.problems] == expected


def test_the_flags_share_one_list() -> None:
    words = "--tmpfs /t -v data:/v --mount type=tmpfs,dst=/m --shm-size 1g --read-only alpine"
    spec = parse_run(words.split(), environ={}, cwd="/").spec
    assert {mount.target for mount in spec.volumes} == {"/t", "/v", "/m"}
    assert (spec.shm_size, spec.read_only) == (1 << 30, True)
    words = "-v /a:/x -v data:/y -v /a:/x --tmpfs /t --tmpfs /t alpine"
    same = parse_run(words.split(), environ={}, cwd="/").spec
    assert [mount.target for mount in same.volumes] == ["/x", "/y", "/t"]
    words = "--tmpfs /t:size=1m --tmpfs /u --tmpfs /t:size=2m alpine"
    last = parse_run(words.split(), environ={}, cwd="/").spec
    assert last.volumes == (TmpfsMount(target="/u"), TmpfsMount(target="/t", size=2 << 20))
    assert parse_run(["--shm-size=0", "alpine"], environ={}, cwd="/").spec.shm_size is None


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/fuse", Device(source="/dev/fuse", target="/dev/fuse")),
        ("/dev/a:/dev/b", Device(source="/dev/a", target="/dev/b")),
        ("/dev/a:/dev/b:rw", Device(source="/dev/a", target="/dev/b")),
        ("/dev/a:mrw", Device(source="/dev/a", target="/dev/a")),
        ("/dev/../dev/a:/x/../b:rwm", Device(source="/dev/a", target="/b")),
    ],
)
def test_device(text: str, device: Device) -> None:
    assert parse_device(text, HERE) == device


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not an absolute path"),
        ("fuse", "'fuse' is not an absolute path"),
        ("/dev/a:b", "permissions 'b'"),
        ("/dev/a:/b:rwx", "permissions 'rwx'"),
        ("/dev/a:/b:rr", "permissions 'rr'"),
        ("/dev/a:/b:r", "cannot be enforced"),
        ("/dev/a:m", "cannot be enforced"),
        ("/dev/a:/", "cannot be '/'"),
        ("/dev/a:b:rw", "'b' is not an absolute path"),
    ],
)
def test_no_device(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_device(text, HERE)


def test_devices_in_a_file(tmp_path: pathlib.Path) -> None:
    spec = _load(tmp_path, "devices: [/dev/a, {source: /dev/b, target: /dev/c, permissions: rw}, {source: /dev/d}]")
    assert [(device.source, device.target) for device in spec.devices] == [
        ("/dev/a", "/dev/a"),
        ("/dev/b", "/dev/c"),
        ("/dev/d", "/dev/d"),
    ]
