"""`mydocker explain`: the equal `docker run` line."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.cli import main
from mydocker.spec import dockerline
from mydocker.spec.fields import FIELDS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("alpine", "docker run --rm --network host alpine"),
        ("--network none -it alpine sh -c x", "docker run --rm --network none --tty --interactive alpine sh -c x"),
        ("--entrypoint /bin/x alpine a", "docker run --rm --network host --entrypoint /bin/x alpine a"),
        ("--entrypoint= alpine a", "docker run --rm --network host --entrypoint '' alpine a"),
        ("-u 1:2 -w /srv -h box alpine",
         "docker run --rm --user 1:2 --workdir /srv --hostname box --network host alpine"),
        ("-e A=1 -e B=x alpine", "docker run --rm --env A=1 --env B=x --network host alpine"),
        ("--pid host --uts host alpine", "docker run --rm --network host --pid host --uts host alpine"),
        ("--cap-drop all --init alpine", "docker run --rm --init --network host --cap-drop ALL alpine"),
        ("--ulimit nofile=5 --stop-timeout 3 alpine",
         "docker run --rm --network host --ulimit nofile=5:5 --stop-timeout 3 alpine"),
        ("-v /srv:/x:ro --tmpfs /t alpine", "docker run --rm --network host --volume /srv:/x:ro --tmpfs /t alpine"),
        ("--privileged --dns 1.1.1.1 alpine", "docker run --rm --network host --dns 1.1.1.1 --privileged alpine"),
        ("--memory 64m --cpus 0.5 alpine", "docker run --rm --network host --memory 67108864 --cpus 0.5 alpine"),
        ("--security-opt seccomp=unconfined alpine",
         "docker run --rm --network host --security-opt seccomp=unconfined alpine"),
    ],
)  # fmt: skip
def test_the_line(capsys: pytest.CaptureFixture[str], words: str, expected: str) -> None:
    assert main(["explain", "run", *words.split()]) == 0
    assert capsys.readouterr().out == expected.replace(" alpine", " alpine:latest") + "\n"


def test_what_docker_lacks_is_said(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("image: alpine\ncommand: cat\nstdin: hello\ntimeout: 3s\nretries: 2\n")
    assert main(["explain", str(file)]) == 0
    line, *notes = capsys.readouterr().out.splitlines()
    assert line == "docker run --rm --network host alpine:latest cat"
    assert [note.split(":")[0] for note in notes] == ["# stdin", "# timeout", "# retries"]


def test_every_flag_of_the_table_is_dockers_or_told() -> None:
    """Nothing that a container has is dropped without a word."""
    told = {*dockerline._APART, *dockerline._NOT_DOCKERS, *dockerline._FLAGS}
    assert {row.name for row in FIELDS if row.flags} <= told
