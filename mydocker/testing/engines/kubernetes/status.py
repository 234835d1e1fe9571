"""What the cluster says about the Jobs and pods of a batch, as values. Pure; every text of it is made printable.

Fields and reasons: Kubernetes API, "JobStatus", "PodStatus", and "Pod Lifecycle".
"""

from __future__ import annotations

from mydocker.errors import printable
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.testing.engines.kubernetes.manifests import CONTAINER, PART
from mydocker.testing.parts.part import MOST_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Object = dict[str, Any]

HOPELESS = ("InvalidImageName", "ErrImageNeverPull")  # a container that waits for these never begins
STUCK = (  # for these it may begin yet, but hardly after some minutes
    "ImagePullBackOff", "ErrImagePull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed",
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
)  # fmt: skip
_SHOWN = 600  # characters of a message
_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")


class Job(Record):
    """The Job of `part`. `failure` is why it has failed, empty if it has not; `message` explains it."""

    part: int
    name: str
    is_complete: bool = False
    failure: str = ""
    message: str = ""
    is_suspended: bool = False

    @property
    def has_ended(self) -> bool:
        return self.is_complete or bool(self.failure)


class Pod(Record):
    """A pod of `part`, whose container `has_begun`, and `has_ended`, perhaps with `exit_code`. `reason` and `message`
    say what ended the container or the pod, `printed` is what mydocker had printed last. `waits` is what the container
    waits for, `unplaced` why no node takes the pod, `lost` whether its node does not answer."""

    part: int
    name: str
    uid: str
    node: str = ""
    phase: str = "Unknown"
    has_begun: bool = False
    has_ended: bool = False
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    printed: str = ""
    waits: str = ""
    waits_because: str = ""
    unplaced: str = ""
    lost: bool = False

    @property
    def end(self) -> str:
        """What is known of its end, in words; empty if that says nothing."""
        where = f"pod {self.name}" + (f" on {self.node}" if self.node else "")
        if self.reason == "OOMKilled":
            return f"{where} was out of memory (OOMKilled)"
        if self.lost:
            return f"the node of {where} does not answer"
        code = f"ended with exit code {self.exit_code}" if self.exit_code else ""
        named = self.reason if self.reason not in ("", "Error", "Completed") else ""
        known = ": ".join(filter(None, [code or (named and "failed"), named, self.message]))
        printed = f": {self.printed}" if self.printed and self.exit_code else ""
        return f"{where} {known}{printed}" if known else ""


class Snapshot(Record):
    """All that there is of a batch at one moment."""

    jobs: dict[int, Job]
    pods: tuple[Pod, ...] = ()


def read(objects: Iterable[Object]) -> Snapshot:
    """OBJECTS are what `kubectl get jobs,pods -o json` lists. What is malformed is left out."""
    jobs: dict[int, Job] = {}
    pods: list[Pod] = []
    for each in objects:
        part = whole_number(_text(each, "metadata", "labels", PART), MOST_PARTS)
        if not part:
            continue
        if each.get("kind") == "Job":
            jobs[part] = _job(part, each)
        elif each.get("kind") == "Pod":
            pods.append(_pod(part, each))
    return Snapshot(jobs=jobs, pods=tuple(pods))


def _job(part: int, data: Object) -> Job:
    job = Job(part=part, name=_text(data, "metadata", "name"))
    for condition in _list(data, "status", "conditions"):
        if condition.get("status") != "True":
            continue
        kind = condition.get("type")
        if kind == "Complete":
            job = job.replace(is_complete=True)
        elif kind == "Failed":
            job = job.replace(failure=_text(condition, "reason") or "Failed", message=_text(condition, "message"))
        elif kind == "Suspended":
            job = job.replace(is_suspended=True)
    return job


def _pod(part: int, data: Object) -> Pod:
    phase = _text(data, "status", "phase")
    pod = Pod(
        part=part,
        name=_text(data, "metadata", "name"),
        uid=_text(data, "metadata", "uid"),
        node=_text(data, "spec", "nodeName"),
        phase=phase if phase in _PHASES else "Unknown",
        has_ended=phase in ("Succeeded", "Failed"),
        reason=_text(data, "status", "reason"),
        message=_text(data, "status", "message"),
    )
    pod = _with_conditions(pod, _list(data, "status", "conditions"))
    for status in _list(data, "status", "containerStatuses"):
        if status.get("name") == CONTAINER:
            pod = _with_container(pod, status.get("state"))
    return pod


def _with_conditions(pod: Pod, conditions: list[Object]) -> Pod:
    for condition in conditions:
        kind, state, reason = (_text(condition, name) for name in ("type", "status", "reason"))
        message = _text(condition, "message")
        if kind == "PodScheduled" and state == "False":
            pod = pod.replace(unplaced=f"{reason}: {message}")
        elif kind == "DisruptionTarget" and state == "True":  # evicted, preempted, its node is gone
            pod = pod.replace(reason=pod.reason or reason, message=pod.message or message)
        elif kind == "Ready" and reason == "NodeStatusUnknown":
            pod = pod.replace(lost=True)
    return pod


def _with_container(pod: Pod, state: object) -> Pod:
    if not isinstance(state, dict):
        return pod
    if "running" in state:
        return pod.replace(has_begun=True)
    if isinstance(state.get("waiting"), dict):
        waits, because = (_text(state, "waiting", name) for name in ("reason", "message"))
        return pod.replace(waits=waits, waits_because=because)
    if not isinstance(state.get("terminated"), dict):
        return pod
    code, reason = state["terminated"].get("exitCode"), _text(state, "terminated", "reason")
    own = pod.reason  # of the pod, such as Evicted, which says more than that of its container
    return pod.replace(
        has_begun=True,
        has_ended=True,
        exit_code=code if isinstance(code, int) else None,
        reason=own or reason,
        printed=_last_words(state["terminated"].get("message")),
    )


def _last_words(text: object) -> str:
    """The last lines of what mydocker has printed."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return printable("; ".join(lines[-3:])[-_SHOWN:])


def _at(data: object, *path: str) -> object:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _text(data: object, *path: str) -> str:
    found = _at(data, *path)
    return printable(" ".join(found.split())[:_SHOWN]) if isinstance(found, str) else ""


def _list(data: object, *path: str) -> list[Object]:
    found = _at(data, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
