"""What is made on Kubernetes, and what is made of what a cluster says: data, without a cluster."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml
from lab.command import Command
from lab.kubectl import install

from mydocker.errors import HostError, UsageError
from mydocker.testing.engines.directory import Directory
from mydocker.testing.engines.kubernetes.jobs import KubernetesJobs, KubernetesSubmission
from mydocker.testing.engines.kubernetes.kubectl import Kubectl
from mydocker.testing.engines.kubernetes.manifests import NOT_AGAIN, Layout, inputs, jobs, made, objects
from mydocker.testing.engines.kubernetes.spec_files import PackedFile, PackedFiles, pack
from mydocker.testing.engines.kubernetes.status import read

VERSIONS = ("1.30", "1.33", kubernetes_validate.latest_version())
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, "label"
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
FILES = (
    PackedFile(path="specs/a b$.smoke.yaml", content=b"image: 1e5\nstdout: ${V} \n"),
    PackedFile(path="specs/" + "ä" * 120, content=b"no end of line"),
    PackedFile(path="bin/tool", content=b"\x7fELF\xff", mode=0o755),
    PackedFile(path="empty", content=b""),
    PackedFile(path="odd", content="\x85\u2028\ttab\r\n\U0001f600 #\n---\n".encode()),
)
LAYOUT = Layout(
    name="mydocker-0e512345",
    image="registry.example:5000/mydocker@sha256:" + "0" * 64,
    commands=tuple(
        ("mydocker", "test", "--shard", f"{part}/12", "-k", "on", "$(HOME)", "1e3") for part in range(1, 13)
    ),
    deadline=660,
    files=PackedFiles(files=FILES, directory="specs"),
    variables={"NUMBER": "1e5", "TRUTH": "yes", "BYTES": "\udcff"},
)


def _printed(layout: Layout = LAYOUT) -> str:
    directory = Directory("/nonexistent")
    return KubernetesSubmission(layout, Kubectl((), {}), directory, awaited={}).dry_run()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("layout", [LAYOUT, LAYOUT.replace(files=None, directory="/src", variables={})])
def test_each_version_takes_what_is_printed(version: str, layout: Layout) -> None:
    found = list(yaml.safe_load_all(_printed(layout)))
    assert found == objects(layout)
    for each in found[:3]:
        kubernetes_validate.validate(each, version, strict=True)
    owned = inputs(LAYOUT, owners=[{**job, "metadata": {**job["metadata"], "uid": "1-2"}} for job in jobs(LAYOUT)])
    for each in owned:
        kubernetes_validate.validate(each, version, strict=True)
        assert len(each["metadata"]["ownerReferences"]) == 12
    broken = {**found[-1], "spec": {**found[-1]["spec"], "backofLimit": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_what_no_schema_says() -> None:
    found = objects(LAYOUT)
    names = [each["metadata"]["name"] for each in found]
    assert all(NAME.fullmatch(name) for name in names)
    listed = [f"{each['kind'].lower()}/{each['metadata']['name']}" for each in found]
    assert (*listed[2:], *listed[:2]) == made(LAYOUT) and len({*listed}) == 14
    config, secret, job = found[:3]
    keys = [*config["data"], *config["binaryData"]]
    items = job["spec"]["template"]["spec"]["volumes"][1]["configMap"]["items"]
    assert all(KEY.fullmatch(key) for key in keys) and {item["key"] for item in items} == {*keys}
    assert base64.b64decode(secret["data"]["BYTES"]) == b"\xff"
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Count", "FailJob"]
    policy = rules[1]["onExitCodes"]["values"]
    assert policy == sorted({*policy}) == [*NOT_AGAIN] and 0 not in policy
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-2:] == ["$$(HOME)", "1e3"] and container["workingDir"] == "/specs/specs"
    labels = {value for each in found for value in each["metadata"]["labels"].values()}
    assert all(re.fullmatch(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", value) for value in labels)


@pytest.mark.parametrize("text", ["1e3", "0o17", "y", "No", "1_000", ".5", "~", "", "12345e67", "1:20", "-1", "0x1"])
def test_no_version_of_yaml_takes_a_text_for_something_else(text: str) -> None:
    """YAML 1.1 and 1.2, and what kubectl reads, differ in which plain words are numbers and truth values."""
    printed = _printed(LAYOUT.replace(image=text or "x", commands=((text,),)))
    assert f'- "{text}"' in printed


# files of a project, those that are needed, from which directory; the paths in the ConfigMap, or an error
TREES: list[tuple[dict[str, str], list[str], str, object]] = [
    ({"a/x": ""}, ["a/x"], ".", (["a/x"], ".")),
    ({"a/x": "", "s/b/y": "", "s/c": ""}, ["a/x", "s"], "a", (["a/x", "s/b/y", "s/c"], "a")),
    ({"a/x": "", "b/c/y": ""}, ["a/x"], "b/c", (["a/x", "b/c/.mydocker"], "b/c")),
    ({"a/x": "", "a/.local/secret": ""}, ["a/x", "a/.local/secret"], "a", (["x"], ".")),
    ({".ci/x": "", ".ci/.env": ""}, [".ci/x", ".ci/.env"], ".", ([".ci/.env", ".ci/x"], ".")),
    ({"a/x": ""}, ["a/x", "/etc/hosts", "/usr/bin/env", "gone"], ".", (["a/x"], ".")),
    ({"a/x": "", "d/e/": ""}, ["a/x", "d"], ".", "empty directory"),
    ({"a/x": "", "d/l -> ../a": ""}, ["a/x", "d"], ".", "link to a directory"),
    ({"a/x": "", "d/l -> ../a/x": ""}, ["a/x", "d"], ".", (["a/x", "d/l"], ".")),
    ({"a/x": "", "d/l -> gone": ""}, ["a/x", "d"], ".", "cannot read"),
    ({"a/x": "", "d/p|": ""}, ["a/x", "d"], ".", "no regular file"),
    ({"a/x": "", "d/\udcff": ""}, ["a/x", "d"], ".", "not UTF-8"),
]


@pytest.mark.parametrize(("tree", "needed", "current", "expected"), TREES)
def test_files_lie_to_each_other_as_they_do_here(
    tmp_path: pathlib.Path, tree: Mapping[str, str], needed: list[str], current: str, expected: object
) -> None:
    for name, text in tree.items():
        path, _, target = name.partition(" -> ")
        os.makedirs(tmp_path / os.path.dirname(path), exist_ok=True)
        if target:
            os.symlink(target, tmp_path / path)
        elif path.endswith("|"):
            os.mkfifo(tmp_path / path)
        elif not path.endswith("/"):
            (tmp_path / path).write_text(text)
    directory = os.path.normpath(tmp_path / current)
    paths = [os.path.join(tmp_path, path) for path in needed]
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=expected):
            pack(paths, directory=directory, named=paths[:1])
        return
    packed = pack(paths, directory=directory, named=paths[:1])
    assert ([file.path for file in packed.files], packed.directory) == expected


PROJECT = {
    "base.yaml": "name: base\nimage: alpine\nenvironment: {A: '${IN_BASE} ${PYTHON_VERSION} ${PYTHONPATH}'}\n",
    "specs/x.smoke.yaml": """
name: x
extends: {file: ../base.yaml, service: base}
env_file: vars.env
environment: [COPIED, HOME, "B=${IN_ENV_FILE}"]
secrets: [{environment: IN_SECRET, target: /s}, {file: ./password, target: /p, mode: "0400"}]
security_opt: [seccomp=profile.json]
volumes: [./script:/script]
""",
    "specs/vars.env": "C=${IN_VARS}\n",
    "specs/.env": "IN_ENV_FILE=1\n",
    "specs/password": "secret\n",
    "specs/profile.json": '{"defaultAction": "SCMP_ACT_ALLOW"}',
    "specs/script": "#!/bin/sh\n",
    "specs/unrelated": "",
}


def test_what_the_specs_lead_to_goes_along(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "specs").mkdir()
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "specs" / "script").chmod(0o755)
    environment = {name: f"value of {name}" for name in ("IN_BASE", "COPIED", "IN_SECRET", "IN_VARS", "OTHER")}
    environment |= {"PYTHON_VERSION": "3.13", "PYTHONPATH": "/nowhere", "COMPOSE_PROFILES": "a,b"}
    words = ("--on", "kubernetes", "-n", "3", "--runner-image", "i", "-o", "yaml")
    done = mydocker("test", *words, "specs", cwd=tmp_path, env=environment)
    assert done.code == 0, done
    found = list(yaml.safe_load_all(done.stdout))
    assert [each["kind"] for each in found] == ["ConfigMap", "Secret", "Job"]  # no more parts than cases
    items = found[2]["spec"]["template"]["spec"]["volumes"][1]["configMap"]["items"]
    assert {item["path"] for item in items} == {f"tree/{name}" for name in PROJECT if name != "specs/unrelated"}
    assert [item["mode"] for item in items if item["path"].endswith("script")] == [0o755]
    sent = {name: base64.b64decode(value).decode() for name, value in found[1]["data"].items()}
    assert sent == {name: value for name, value in environment.items() if name not in ("OTHER", "PYTHONPATH")}
    assert b"PYTHONPATH, the Jobs have the values of the runner" in done.stderr


def _pod(**status: object) -> dict[str, Any]:
    metadata = {"name": "p", "uid": "u", "labels": {"mydocker-part": "1"}}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n"}, "status": status}


def _ended(**state: object) -> dict[str, Any]:
    return _pod(phase="Failed", containerStatuses=[{"name": "runner", "state": {"terminated": state}}])


ENDS = [
    (_ended(exitCode=137, reason="OOMKilled"), "pod p on n was out of memory (OOMKilled)"),
    (_ended(exitCode=1, reason="Error"), "pod p on n ended with exit code 1"),
    (_ended(exitCode=128, reason="StartError", message="a\n\nno sh\n"), "exit code 128: StartError: a; no sh"),
    (
        _pod(phase="Failed", reason="Evicted", message="low\n\x1bon memory"),
        "pod p on n failed: Evicted: low \\x1bon memory",
    ),
    (_pod(phase="Failed", reason="NodeShutdown"), "pod p on n failed: NodeShutdown"),
    (
        _pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]),
        "pod p on n failed: PreemptionByScheduler",
    ),
    (_pod(conditions=[{"type": "Ready", "status": "False", "reason": "NodeStatusUnknown"}]), "node of pod p on n does"),
    (_ended(exitCode=0, reason="Completed"), ""),
]


@pytest.mark.parametrize(("data", "words"), ENDS)
def test_the_end_of_a_pod(data: dict[str, Any], words: str) -> None:
    end = read([data]).pods[0].end
    assert words in end and bool(words) == bool(end)


@pytest.mark.parametrize(
    "junk", [None, 1, "x", [], {}, [None], [1, []], {"a": None}, {"terminated": 1}, [{"state": 1}]]
)
def test_what_is_malformed_is_left_out(junk: object) -> None:
    for path in ("metadata", "spec", "status"):
        read([{**_pod(), path: junk}, {**_pod(), "kind": "Job", path: junk}])
    for name in ("phase", "conditions", "containerStatuses", "reason"):
        read([_pod(**{name: junk})])
    read([_pod(containerStatuses=[{"name": "runner", "state": junk}]), {"kind": junk}])


@pytest.mark.parametrize(
    ("printed", "count"),
    [
        ("", 0),
        ("{}", 1),
        ('{"items": []}', 0),
        ('{"items": 7}', 0),
        ("{}\n{}", 2),
        ("[]", None),
        ("{", None),
        ("x", None),
    ],
)
def test_what_kubectl_prints(tmp_path: pathlib.Path, printed: str, count: int | None) -> None:
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\nprintf '%s' '{printed}'\n")
    (tmp_path / "kubectl").chmod(0o755)
    kubectl = Kubectl((), {"PATH": f"{tmp_path}:/bin"})
    if count is None:
        with pytest.raises(HostError, match="printed what is no JSON"):
            kubectl.get("a=b")
    else:
        assert len(kubectl.get("a=b")) == count


def test_what_may_be_published_has_no_token() -> None:
    kubectl = Kubectl(("--token=abc\ndef", "--namespace=a b"), {})
    assert kubectl.shown("delete", "job/x") == "kubectl '--token=…' '--namespace=a b' delete job/x"
    kubectl = Kubectl(("--password", "abc", "--namespace", "a", "--token", "--token=x"), {})
    assert kubectl.shown("delete", "job/x") == "kubectl --password '…' --namespace a --token '…' delete job/x"


def test_a_container_that_waits_is_given_up_in_the_end(tmp_path: pathlib.Path) -> None:
    programs = install(tmp_path / "cluster", {"1": "no secret", "2": "no node"})
    kubectl = Kubectl((), {"PATH": f"{programs}:/usr/bin:/bin"})
    layout = LAYOUT.replace(commands=LAYOUT.commands[:2], files=None, variables={})
    (tmp_path / "parts").mkdir()
    directory = Directory(str(tmp_path / "parts"))
    begun = KubernetesSubmission(layout, kubectl, directory, awaited={1: {0}, 2: {1}}).start()
    assert begun.presence().parts == {1, 2}
    patient = KubernetesJobs(
        begun.id, directory, count=2, environ=kubectl.environ, layout=layout, awaited=begun.awaited, patience=0.0
    )
    patient.presence()
    found = patient.presence()
    assert found.parts == {2} and patient.given_up.keys() == {1}
    assert any("Unschedulable: 0/3 nodes" in each for each in found.troubles)
    reasons = patient.reasons()
    assert "CreateContainerConfigError: cannot start: \\x1b[31mno such thing" in reasons[1]
    assert reasons[2] == "its Job waits: Unschedulable: 0/3 nodes"
    patient.end()
    assert os.listdir(tmp_path / "cluster" / "objects") == []
    assert json.loads((tmp_path / "cluster" / "calls").read_text().splitlines()[-1])[0] == "delete"
