"""`mydocker explain`: the equal `docker run` line."""

from __future__ import annotations

import pathlib
import shlex

import pytest

from mydocker.cli import main
from mydocker.specs.model import BindMount, ContainerSpec, Mount, TmpfsMount, VolumeMount
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.render import docker_run, run_options


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("alpine", "docker run --rm alpine"),
        ("--network host alpine", "docker run --rm --network host alpine"),
        ("--network bridge -p 8080:80 alpine", "docker run --rm --network bridge --publish 8080:80 alpine"),
        ("--network none -it alpine sh -c x", "docker run --rm --network none --tty --interactive alpine sh -c x"),
        ("--entrypoint /bin/x alpine a", "docker run --rm --entrypoint /bin/x alpine a"),
        ("--entrypoint= alpine a", "docker run --rm --entrypoint '' alpine a"),
        ("-u 1:2 -w /srv -h box alpine",
         "docker run --rm --user 1:2 --workdir /srv --hostname box alpine"),
        ("-e A=1 -e B=x alpine", "docker run --rm --env A=1 --env B=x alpine"),
        ("--pid host --uts host alpine", "docker run --rm --pid host --uts host alpine"),
        ("--cap-drop all --init alpine", "docker run --rm --init --cap-drop ALL alpine"),
        ("--ulimit nofile=5 --stop-timeout 3 alpine",
         "docker run --rm --ulimit nofile=5:5 --stop-timeout 3 alpine"),
        ("-v /srv:/x:ro --tmpfs /t alpine", "docker run --rm --volume /srv:/x:ro --tmpfs /t alpine"),
        ("--privileged --dns 1.1.1.1 alpine", "docker run --rm --dns 1.1.1.1 --privileged alpine"),
        ("--memory 64m --cpus 0.5 alpine", "docker run --rm --memory 67108864 --cpus 0.5 alpine"),
        ("--security-opt seccomp=unconfined alpine",
         "docker run --rm --security-opt seccomp=unconfined alpine"),
    ],
)  # fmt: skip
def test_the_line(capsys: pytest.CaptureFixture[str], words: str, expected: str) -> None:
    assert main(["explain", "run", *words.split()]) == 0
    assert capsys.readouterr().out == expected.replace(" alpine", " alpine:latest") + "\n"


@pytest.mark.parametrize(
    "option",
    [
        "--volume /srv:/x",
        "--volume /srv:/x:ro",
        "--volume /srv:/x:rslave",
        "--volume /srv:/x:ro,rshared",
        "--volume v9:/x",
        "--volume v9:/x:ro,nocopy",
        "--volume /x",
        "--mount type=volume,target=/x,readonly",
        "--mount type=volume,target=/x,volume-nocopy",
        "--mount type=volume,source=v9,target=/x,readonly,volume-subpath=a/b,volume-nocopy",
        "--mount type=bind,source=/srv,target=/x,bind-recursive=disabled",
        "--mount type=bind,source=/srv,target=/x,readonly,bind-recursive=disabled,bind-propagation=rslave",
        "--mount type=bind,source=/a:b,target=/x",
        '--mount type=bind,"source=/a:b,""c""",target=/x',
        "--tmpfs /x",
        "--tmpfs /x:ro,exec,suid,size=4096,nr_inodes=9,uid=5,gid=6,mode=1770",
    ],
)
def test_a_mount_is_said_as_it_was_given(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Each of these is the one notation for what it says, and Docker's own."""
    assert main(["explain", "run", *option.split(), "alpine"]) == 0
    line, *notes = capsys.readouterr().out.splitlines()
    assert shlex.split(line)[3:-1] == option.split()
    assert [note for note in notes if " or later" not in note] == []


def _variants(kind: type[Mount], given: dict[str, object]) -> list[Mount]:
    """A mount of KIND as it is by default, then one for each other member, which alone is another."""
    plain = kind(target="/x", **given)
    changed = {name: value for name, value in OTHERS.items() if name in kind.fields and name not in given}
    return [plain, *(plain.replace(**{name: value}) for name, value in changed.items())]


OTHERS = {
    "target": "/y",
    "read_only": True,
    "propagation": "rslave",
    "recursive": False,
    "copy_on_write": True,
    "idmap": "uids=0-1000-1",
    "copy": False,
    "subpath": "a",
    "external": True,
    "size": 1,
    "inodes": 1,
    "mode": 0o700,
    "uid": 1,
    "gid": 1,
    "executable": True,
    "setuid": True,
    "access_times": "noatime",
}


@pytest.mark.parametrize(
    ("kind", "given"),
    [(BindMount, {"source": "/s"}), (VolumeMount, {"volume": "v9"}), (VolumeMount, {"volume": None}), (TmpfsMount, {})],
)
def test_no_member_of_a_mount_is_dropped(kind: type[Mount], given: dict[str, object]) -> None:
    """Each changes the line, or adds a note; but --volume creates a directory in any case."""
    assert set(kind.fields) <= {*OTHERS, *given, "create"}
    variants = _variants(kind, given)
    lines = [docker_run.docker_line(ContainerSpec(rootfs="/r", volumes=(mount,))) for mount in variants]
    assert len({(line, *notes) for line, notes in lines}) == len(variants)


@pytest.mark.parametrize(("source", "expected"), [("/s", []), ("/a:b", ["volume /x: --mount does not create /a:b"])])
def test_a_directory_that_docker_does_not_create_is_said(source: str, expected: list[str]) -> None:
    mount = BindMount(source=source, target="/x", create=True)
    _, notes = docker_run.docker_line(ContainerSpec(rootfs="/r", volumes=(mount,)))
    assert [note for note in notes if note.startswith("volume")] == expected


def test_what_docker_lacks_is_said(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("image: alpine\ncommand: cat\nstdin: hello\ntimeout: 3s\nretries: 2\n")
    assert main(["explain", str(file)]) == 0
    line, *notes = capsys.readouterr().out.splitlines()
    assert line == "docker run --rm alpine:latest cat"
    assert [note.split(":")[0] for note in notes] == ["# stdin", "# timeout", "# retries"]


def test_everything_of_a_container_is_an_option_of_docker_or_a_note() -> None:
    """Nothing that a container has is dropped without a word, nor what its case has."""
    fields = {*ContainerSpec.fields, *CaseSpec.fields} - {"container", "service", "on_project", "absent"}
    assert {*run_options.APART, *run_options.ROWS} == fields


def test_what_a_service_is_in_its_project(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: a, scale: 2, network_mode: none}, db: {image: b, container_name: store}}")
    assert main(["explain", "-f", str(file)]) == 0
    web, note, db, *_ = capsys.readouterr().out.splitlines()
    assert note == "# scale: 2 containers, each by a line with another --name"
    assert ("--name web" in web, "--name store" in db) == (True, True)
