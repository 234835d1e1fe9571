"""The objects of a batch, as the API of Kubernetes 1.30 and later has them: a ConfigMap with the spec files, a Secret
with the variables that these use, and a Job for each part. Pure data.

What a part needs to run containers inside its own (docs/ci.md, "Inside a container") is what Pod Security calls
privileged: the capability SYS_ADMIN, and no profile of AppArmor. Nothing else is asked for: the runtime's own filter of
system calls stays, nothing of the node is mounted, and there is no token of the cluster in the pod.
"""

from __future__ import annotations

import base64
import re

from mydocker.record import TYPE_CHECKING, Record
from mydocker.testing.engines.kubernetes.spec_files import PackedFile, PackedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Object = dict[str, Any]

CONTAINER = "runner"
PART = "mydocker-part"  # a label without a prefix is the user's own (Kubernetes, "Labels and Selectors")
DIRECTORY = "/specs"  # of the spec files in a part, unless they are in its image
STORE = "/var/lib/mydocker"
TERMINATION_LOG = "/dev/termination-log"  # the default of terminationMessagePath
NOT_AGAIN = (1, 2, 3, 5, 126, 127)  # exit codes after which another attempt would say the same
_TREE = "tree"  # the directory of the volume that is mounted: in a ConfigMap's first level, everything is a link
_NOT_IN_KEYS = re.compile(r"[^-._a-zA-Z0-9]")
_LONGEST = 200  # characters of a name in a key
_LASTING = 3600  # seconds that the Jobs stay there after their ends, should mydocker not delete them
# Both streams are one log, so stdout has the results alone; what is printed on stderr is, in the end, in the status of
# the pod. An emptyDir is open to all, and such a directory is no store.
_SCRIPT = f'exec 2>{TERMINATION_LOG}; chmod go-w {STORE} && exec "$@"'


class Layout(Record):
    """What is to run. `name` is unique, and begins the names of all objects; `commands` has that of each part, from the
    first. Without `files`, the image of the runner has them in `directory`. `deadline`: seconds for each part, from the
    moment at which its Job begins, whatever it waits for."""

    name: str
    image: str
    commands: tuple[tuple[str, ...], ...]
    deadline: int
    files: PackedFiles | None = None
    directory: str = DIRECTORY
    variables: Mapping[str, str] = {}

    def job(self, part: int) -> str:
        """The name of the Job of PART, from 1."""
        return f"{self.name}-{part}"


def instance(name: str) -> str:
    """What chooses all objects of the batch NAME, for kubectl."""
    return f"app.kubernetes.io/instance={name}"


def made(layout: Layout) -> tuple[str, ...]:
    """All objects, as `kubectl delete` names them; the Jobs come first."""
    of_jobs = tuple(f"job/{layout.job(part)}" for part in range(1, len(layout.commands) + 1))
    others = (("configmap", layout.files is not None), ("secret", bool(layout.variables)))
    return (*of_jobs, *(f"{kind}/{layout.name}" for kind, is_made in others if is_made))


def objects(layout: Layout) -> list[Object]:
    """All objects of LAYOUT: first what the Jobs need."""
    return [*inputs(layout), *jobs(layout)]


def inputs(layout: Layout, *, owners: Sequence[Object] = ()) -> list[Object]:
    """The ConfigMap and the Secret. They are deleted with the last of OWNERS, Jobs as the API has returned them."""
    metadata = _metadata(layout, layout.name)
    if owners:
        metadata["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", **{name: job["metadata"][name] for name in ("name", "uid")}}
            for job in owners
            if {"name", "uid"} <= job.get("metadata", {}).keys()
        ]
    found: list[Object] = []
    if layout.files is not None:
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True})
        for key, file in _keyed(layout.files):
            kind, value = _value(file.content)
            found[-1].setdefault(kind, {})[key] = value
    if layout.variables:
        data = {name: _encoded(value.encode(errors="surrogateescape")) for name, value in layout.variables.items()}
        kept = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "immutable": True}
        found.append({**kept, "data": data})
    return found


def jobs(layout: Layout) -> list[Object]:
    """The Job of each part."""
    return [_job(layout, number, command) for number, command in enumerate(layout.commands, start=1)]


def _job(layout: Layout, part: int, command: tuple[str, ...]) -> Object:
    metadata = _metadata(layout, layout.job(part), part=part)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 1,
            "activeDeadlineSeconds": layout.deadline,
            "ttlSecondsAfterFinished": _LASTING,
            "podFailurePolicy": {"rules": _rules()},
            "template": {"metadata": {"labels": metadata["labels"]}, "spec": _pod(layout, command)},
        },
    }


def _rules() -> list[Object]:
    """What a pod is made again for, the first rule that fits: it was evicted, preempted, or its node was drained, in
    whatever way mydocker ended then; but not if mydocker ended by itself: a case has failed."""
    disrupted = {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    codes = {"containerName": CONTAINER, "operator": "In", "values": [*NOT_AGAIN]}
    return [disrupted, {"action": "FailJob", "onExitCodes": codes}]


def _pod(layout: Layout, command: tuple[str, ...]) -> Object:
    volumes: list[Object] = [{"name": "store", "emptyDir": {}}]
    mounts: list[Object] = [{"name": "store", "mountPath": STORE}]
    directory = layout.directory
    if layout.files is not None:
        items = [{"key": key, "path": f"{_TREE}/{file.path}", "mode": file.mode} for key, file in _keyed(layout.files)]
        volumes.append({"name": "specs", "configMap": {"name": layout.name, "items": items}})
        mounts.append({"name": "specs", "mountPath": DIRECTORY, "subPath": _TREE, "readOnly": True})
        current = layout.files.directory
        directory = DIRECTORY if current == "." else f"{DIRECTORY}/{current}"
    container: Object = {
        "name": CONTAINER,
        "image": layout.image,
        "command": ["sh", "-c", _SCRIPT, "sh"],
        "args": [_literal(word) for word in command],
        "workingDir": directory,
        "securityContext": _security(),
        "volumeMounts": mounts,
    }
    if layout.variables:
        container["envFrom"] = [{"secretRef": {"name": layout.name}}]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [container],
        "volumes": volumes,
    }


def _security() -> Object:
    return {
        "runAsUser": 0,
        "runAsNonRoot": False,
        "capabilities": {"add": ["SYS_ADMIN"]},
        "appArmorProfile": {"type": "Unconfined"},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _literal(word: str) -> str:
    """WORD as it is: `$(NAME)` of a command is replaced by the kubelet, and `$$(NAME)` is the text `$(NAME)`."""
    return word.replace("$", "$$")


def _metadata(layout: Layout, name: str, *, part: int | None = None) -> Object:
    labels = {
        "app.kubernetes.io/name": "mydocker",
        "app.kubernetes.io/instance": layout.name,
        "app.kubernetes.io/component": "test",
        "app.kubernetes.io/managed-by": "mydocker",
    }
    return {"name": name, "labels": labels if part is None else {**labels, PART: str(part)}}


def _keyed(files: PackedFiles) -> list[tuple[str, PackedFile]]:
    """Each file with its key, which has no slash and few other characters (Kubernetes, "ConfigMap object")."""
    names = (_NOT_IN_KEYS.sub("_", file.path.rpartition("/")[2])[:_LONGEST] for file in files.files)
    return [(f"{number}-{name}", file) for number, (name, file) in enumerate(zip(names, files.files, strict=True), 1)]


def _value(content: bytes) -> tuple[str, str]:
    try:
        return "data", content.decode()
    except UnicodeDecodeError:
        return "binaryData", _encoded(content)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
