"""`mydocker test --on kubernetes`, with a program kubectl that plays a cluster and runs the parts on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
from dataclasses import replace

import pytest
from lab import kubectl
from lab.command import PATH, SCRIPT, Command, Result
from lab.processes import sleeping, wait_for

pytestmark = pytest.mark.root

SPECS = """
image: alpine
command: [sh, -c, 'printf "\\303\\244\\377"; cat /c/f; echo $$V; exit 3']
environment: {V: "${GREETING}"}
volumes: ["./conf:/c"]
expect: {exit_code: 3, stdout: {contain-substring: "hi"}}
---
name: exits wrong
image: alpine
command: [sh, -c, 'echo one; exit 4']
expect: {exit_code: 3, stdout: "two\\n"}
---
name: never runs
image: alpine
command: nonesuch
---
name: put off
image: alpine
command: "true"
skip: later
---
name: of a matrix
image: alpine
matrix: {V: [1, 2, 3]}
command: [sh, -c, 'exit ${V}']
expect: {exit_code: {lt: 3}}
---
name: db
image: alpine
command: [sh, -c, 'touch /srv/ready; exec sleep 1000']
healthcheck: {test: test -e /srv/ready, interval: 100ms, start_period: 5m, start_interval: 100ms}
---
name: uses db
image: alpine
command: "true"
depends_on: {db: {condition: service_healthy}}
"""
TIMES = re.compile(r"  +\d+\.\d\d s| in \d+\.\d\d s$", re.MULTILINE)
RUN = ("test", "--on", "kubernetes", "--runner-image", "registry.example/mydocker:1")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    specs = tmp_path / "work" / "specs"
    (specs / "conf").mkdir(parents=True)
    (specs / "conf" / "f").write_text("hi\n")
    (specs / "a.smoke.yaml").write_text(SPECS)
    return tmp_path / "work"


def _cluster(alpine: Command, tmp_path: pathlib.Path, **scenarios: object) -> Command:
    programs = kubectl.install(tmp_path / "cluster", scenarios)
    changes = {"PATH": f"{programs}:{PATH}", "FAKE_MYDOCKER": str(SCRIPT), "GREETING": "1e5"}
    return replace(alpine, environment={**alpine.environment, **changes})


def _left(tmp_path: pathlib.Path) -> list[str]:
    return os.listdir(tmp_path / "cluster" / "objects")


def _verdicts(path: pathlib.Path) -> list[tuple[str, str, int]]:
    return [(case["name"], case["verdict"], case["line"]) for case in json.loads(path.read_text())["cases"]]


def test_the_whole_is_that_of_one_run(alpine: Command, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Though a connection breaks within a line, another ends early, a pod is evicted, and the server fails at times."""
    scenarios = {"1": "cut", "2": "ended early", "3": "evicted", "0": ["", "fails", "garbage", "fails"]}
    cluster = _cluster(alpine, tmp_path, **scenarios)
    one = cluster("test", "--report", "json=one.json", "specs", cwd=folder)
    words = ("-n", "4", "--kubectl=--namespace=ci", "--dir", "parts", "--report", "json=all.json", "specs")
    done = cluster(*RUN, *words, cwd=folder)
    assert done.code == one.code == 1, done
    assert _verdicts(folder / "all.json") == _verdicts(folder / "one.json")
    assert TIMES.sub("", done.stdout.decode()) == TIMES.sub("", one.stdout.decode())
    lines = done.stderr.decode().splitlines()
    assert "SYS_ADMIN" in lines[0] and "Pod Security" in lines[0]
    assert any("TLS handshake timeout" in line for line in lines) and any("no JSON: <html>" in line for line in lines)
    assert b"\x1b" not in done.stderr and not any(line.startswith("::") for line in lines) and "torn" not in str(lines)
    assert _left(tmp_path) == []
    for kind in ("configmap", "secret"):
        (made,) = (tmp_path / "cluster").glob(f"deleted-{kind}-*")
        assert len(json.loads(made.read_text())["metadata"]["ownerReferences"]) == 4  # what a killed mydocker leaves
    assert all(call[0] == "--namespace=ci" for call in kubectl.calls(tmp_path / "cluster"))
    again = cluster("report", "parts", "--report", "json=again.json", cwd=folder)
    assert again.code == 1 and _verdicts(folder / "again.json") == _verdicts(folder / "one.json")


ENDS = {
    "evicted twice": "Evicted: The node was low on resource: \\x1b[31mmemory.",
    "out of memory": "was out of memory (OOMKilled)",
    "over time": "its Job was over its time limit of 660 s (DeadlineExceeded)",
    "torn": "has 0 of 1 results, and ends within a line",
    "short": "its Job is complete; the log of pod mydocker-",
    "deleted": "its Job was deleted",
    "no image": "waits: InvalidImageName: cannot start: \\x1b[31mno such thing",
    "forbidden": 'violates PodSecurity "baseline:latest": non-default capabilities; the namespace needs the label',
    "no program": "ended with exit code 127: ",
    "lost": "the node of pod mydocker-",
}


def test_each_end_is_reported_with_its_reason(alpine: Command, tmp_path: pathlib.Path) -> None:
    """One part for each, of one case; the last part is well."""
    texts = [f"name: {name}\nimage: alpine\ncommand: 'true'\n" for name in (*ENDS, "well")]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(texts))
    scenarios = {str(part): name for part, name in enumerate(ENDS, start=1)}
    cluster = _cluster(alpine, tmp_path, **scenarios)
    words = ("-n", str(len(texts)), "--timeout", "60s", "--dir", "parts", "--report", "json=all.json", "x.smoke.yaml")
    done = cluster(*RUN, *words, cwd=tmp_path)
    assert done.code == 3, done
    cases = json.loads((tmp_path / "all.json").read_text())["cases"]
    assert [(case["name"], case["verdict"]) for case in cases[-1:]] == [("well", "passed")]
    for case in cases[:-1]:
        assert case["verdict"] == "error" and ENDS[case["name"]] in case["reason"], case
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"warning: part 7: " in done.stderr and b"InvalidImageName" in done.stderr
    assert _left(tmp_path) == []
    again = cluster("report", "parts", cwd=tmp_path)
    assert again.code == 3 and b"was out of memory (OOMKilled)" in again.stdout, again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])  # nothing is left of a log when its reader is gone
def test_an_interrupt_ends_the_parts(alpine: Command, tmp_path: pathlib.Path, number: int) -> None:
    mark = f"1000.{os.getpid()}"
    texts = [f"name: {n}\nimage: alpine\ncommand: sleep {mark}\n" for n in (1, 2)]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join([*texts, "name: short\nimage: alpine\ncommand: 'true'\n"]))
    cluster = _cluster(alpine, tmp_path)
    words = ("-n", "2", "-j", "2", "--dir", "parts", "--report", "json=all.json", "x.smoke.yaml")
    process = cluster.start(*RUN, *words, cwd=tmp_path)
    try:
        wait_for(lambda: len(sleeping(mark)) == 2)
        pods = tmp_path / "cluster" / "pods"
        wait_for(lambda: any('"passed"' in log.read_text() for log in pods.glob("*/whole")))
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130, (stdout, stderr)
    cases = json.loads((tmp_path / "all.json").read_text())["cases"]
    assert [case["verdict"] for case in cases] == ["error", "error", "passed"]
    assert all("interrupted" in case["reason"] for case in cases[:2]), cases
    assert _left(tmp_path) == []
    assert b"Traceback" not in stderr


def test_what_is_refused_leaves_nothing(alpine: Command, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cluster = _cluster(alpine, tmp_path, **{"0": ["no create"]})
    done = cluster(*RUN, "-n", "2", "specs", cwd=folder)
    assert done.code == 3 and b"jobs.batch is forbidden" in done.stderr and b"Traceback" not in done.stderr, done
    assert _left(tmp_path) == []
    assert kubectl.calls(tmp_path / "cluster")[-1][0] == "delete"


USAGE = [
    (("--on", "kubernetes", "-n", "2"), "expected --runner-image IMAGE"),
    (("--runner-image", "x"), "--runner-image is for --on"),
    (("--on", "slurm", "-n", "2", "-o", "yaml"), "-o is for --on kubernetes"),
    ((*RUN[1:], "-n", "2", "--offline"), "the store of a pod is empty"),
    ((*RUN[1:], "-n", "2", "--on-failure", "keep"), "would go with the pod"),
    ((*RUN[1:], "-n", "2", "--runner-dir", "x"), "expected an absolute path in the image"),
    ((*RUN[1:], "-n", "2", "/tmp"), "relative to the current directory"),
]


@pytest.mark.parametrize(("words", "message"), USAGE)
def test_usage(alpine: Command, folder: pathlib.Path, words: tuple[str, ...], message: str) -> None:
    done = alpine("test", *words, "specs", cwd=folder, env={"GREETING": "x"})
    assert done.code == 2 and message in done.stderr.decode(), done


def test_without_kubectl(alpine: Command, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    done = alpine(*RUN, "-n", "2", "specs", cwd=folder, env={"PATH": f"{tmp_path}/empty", "GREETING": "x"})
    assert done.code == 3 and b"the program kubectl is not installed" in done.stderr, done
    assert done.stdout == b"" and os.listdir(folder) == ["specs"]


def test_what_does_not_fit(alpine: Command, folder: pathlib.Path) -> None:
    (folder / "specs" / "conf" / "large").write_bytes(b"x" * (1 << 20))
    done = alpine(*RUN, "-n", "2", "-o", "yaml", "specs", cwd=folder, env={"GREETING": "x"})
    assert done.code == 2 and b"conf/large (1.0 MiB)" in done.stderr and b"--runner-dir" in done.stderr, done
    there = alpine(*RUN, "-n", "2", "-o", "yaml", "--runner-dir", "/src", "specs", cwd=folder, env={"GREETING": "x"})
    assert there.code == 0 and b"workingDir: /src" in there.stdout and b"ConfigMap" not in there.stdout, there


def test_what_is_built_is_refused(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {build: .}}\n")
    done: Result = alpine(*RUN, "-n", "1", "-o", "yaml", "compose.yaml", cwd=tmp_path)
    assert done.code == 2 and b"its image is built" in done.stderr, done
