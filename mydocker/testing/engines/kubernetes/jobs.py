"""A batch as Jobs of Kubernetes: made, watched, and taken away again.

Whether a case has passed is in the logs alone. What the cluster says of Jobs and pods is for people: why a part has not
reported all.
"""

from __future__ import annotations

import os
import shlex
import time
from collections import Counter
from contextlib import suppress

from mydocker.errors import HostError, printable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.nodes.yaml import write_plain
from mydocker.testing.engines.engine import Presence
from mydocker.testing.engines.kubernetes.kubectl import Kubectl
from mydocker.testing.engines.kubernetes.logs import PodLog
from mydocker.testing.engines.kubernetes.manifests import inputs, instance, jobs, made, objects
from mydocker.testing.engines.kubernetes.status import HOPELESS, STUCK, Job, Pod, Snapshot, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mydocker.testing.engines.directory import Directory
    from mydocker.testing.engines.kubernetes.manifests import Layout

_PATIENCE = 120.0  # seconds that a container may wait for what hardly comes, such as an image that cannot be pulled
_AT_FIRST, _LATER, _BEGINNING = 1.0, 3.0, 60.0  # seconds between two looks, in the first so many seconds and later
_NO_PODS = 3.0  # seconds after which a Job without pods is asked about
_LONG_WITHOUT = 60.0  # seconds after which it is said that there are no pods
_FORBIDDEN = "violates PodSecurity"  # Kubernetes, "Pod Security Admission"
_PRIVILEGED = "the namespace needs the label pod-security.kubernetes.io/enforce=privileged"


class KubernetesSubmission:
    """The objects of LAYOUT, to be made by KUBECTL; AWAITED: the numbers of the cases that each part is to report."""

    def __init__(
        self, layout: Layout, kubectl: Kubectl, directory: Directory, *, awaited: Mapping[int, Collection[int]]
    ) -> None:
        self.layout, self.kubectl, self.directory, self.awaited = layout, kubectl, directory, awaited

    def require(self) -> None:
        self.kubectl.require()

    def dry_run(self) -> str:
        """The objects as YAML, for `kubectl create -f -`."""
        return write_plain(objects(self.layout)).rstrip("\n")

    def start(self) -> KubernetesJobs:
        """The Jobs come first: they own the rest, which is deleted with them even if mydocker is killed."""
        try:
            owners = self.kubectl.create(jobs(self.layout))
            if others := inputs(self.layout, owners=owners):
                self.kubectl.create(others)
        except HostError as error:
            try:
                self.kubectl.delete(made(self.layout), wait=False)
            except HostError as other:
                left = _left(self.kubectl, made(self.layout), other)
                raise HostError(f"{error.message}; {left.message}", hint=left.hint) from None
            raise
        count = len(self.layout.commands)
        id = shlex.join([self.layout.name, *self.kubectl.words])
        return KubernetesJobs(
            id, self.directory, count=count, environ=self.kubectl.environ, layout=self.layout, awaited=self.awaited
        )


class KubernetesJobs:
    """The COUNT Jobs of a batch whose name, and the words for kubectl, ID has; their logs go into DIRECTORY.

    Without LAYOUT, they were made by another process, and may only be asked about, if ID only chooses where: else
    HostError. A container may wait for PATIENCE
    seconds for what hardly comes.
    """

    is_detached = False

    def __init__(
        self,
        id: str,
        directory: Directory,
        *,
        count: int,
        environ: Mapping[str, str],
        layout: Layout | None = None,
        awaited: Mapping[int, Collection[int]] | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self.id, self.directory, self.count, self.layout, self.patience = id, directory, count, layout, patience
        try:
            name, *words = shlex.split(id)
        except ValueError:
            raise HostError(f"expected the name of Jobs, not {printable(id)}") from None
        self.name, self.title = name, f"Kubernetes Jobs {name}"
        self.kubectl = Kubectl(words, environ)
        if layout is None and not self.kubectl.only_chooses():
            raise HostError(f"{printable(id)}: these words are for kubectl of the process that has made the Jobs")
        self.awaited = awaited or {}
        self.jobs: dict[int, Job] = {}  # as they were last seen, which is all that is left once they are deleted
        self.pods: dict[str, Pod] = {}  # by uid, likewise
        self.logs: dict[str, PodLog] = {}
        self.files = Counter[int]()
        self.stuck: dict[int, float] = {}  # since when a part waits for what hardly comes
        self.given_up: dict[int, str] = {}  # parts that were ended here, and why
        self.deleted: set[int] = set()  # parts whose Jobs somebody has deleted
        self.stopped = False
        self.troubles: dict[str, str] = {}
        self.began = time.monotonic()

    @property
    def interval(self) -> float:
        """Short at first, when a mistake shows itself."""
        return _AT_FIRST if time.monotonic() < self.began + _BEGINNING else _LATER

    def presence(self) -> Presence:
        """By one `kubectl get`; logs are followed from here on."""
        snapshot = self._look()
        self._follow(snapshot)
        self._give_up(snapshot)
        for part in range(1, self.count + 1):
            if part not in snapshot.jobs and not self.stopped and part not in self.given_up:
                self.deleted.add(part)
        parts = frozenset(part for part in range(1, self.count + 1) if self._is_there(part, snapshot))
        return Presence(parts=parts, state=_state(snapshot), troubles=tuple(self.troubles.values()))

    def stop(self) -> None:
        """Delete the Jobs, and their pods, which get SIGTERM; they are there until all of that has ended.

        The logs of pods that have begun since the last look are followed first: they go with the pods.
        """
        self.stopped = True
        with suppress(HostError):
            self._follow(self._look())
        self.kubectl.delete([name for name in self._made() if name.startswith("job/")], wait=False)

    def end(self) -> None:
        """Delete all that there is of the batch. Raises HostError."""
        for log in self.logs.values():
            log.end()
        try:
            self.kubectl.delete(self._made(), wait=True)
        except HostError as error:
            raise _left(self.kubectl, self._made(), error) from None

    def reasons(self) -> dict[int, str]:
        """By what was last seen of the Jobs and pods, and of the logs."""
        if not self.jobs:
            self._look()
        return {part: why for part in range(1, self.count + 1) if (why := self._reason(part))}

    def _look(self) -> Snapshot:
        snapshot = read(self.kubectl.get(instance(self.name)))
        self.jobs.update(snapshot.jobs)
        self.pods.update({pod.uid: pod for pod in snapshot.pods})
        return snapshot

    def _follow(self, snapshot: Snapshot) -> None:
        for uid, log in self.logs.items():
            log.step(next((pod for pod in snapshot.pods if pod.uid == uid), None))
        for pod in snapshot.pods:
            if (pod.has_begun or pod.has_ended) and pod.uid not in self.logs:
                self.logs[pod.uid] = self._log(pod)
                self.logs[pod.uid].step(pod)

    def _log(self, pod: Pod) -> PodLog:
        def name_file() -> str:
            attempt = self.files[pod.part]
            self.files[pod.part] += 1
            return os.path.join(self.directory.path, f"{pod.part}.{attempt}.jsonl")

        return PodLog(self.kubectl, pod, awaited=self.awaited.get(pod.part, ()), name_file=name_file)

    def _is_there(self, part: int, snapshot: Snapshot) -> bool:
        logs = any(log.pod.part == part and not log.is_done for log in self.logs.values())
        if part in self.given_up:
            return logs
        return logs or (part in snapshot.jobs and not snapshot.jobs[part].has_ended)

    def _give_up(self, snapshot: Snapshot) -> None:
        """End the parts that cannot begin, and note why."""
        refusals = self._refusals(snapshot)
        hopeless = {part: f"{why}; {_PRIVILEGED}" for part, why in refusals.items() if _FORBIDDEN in why}
        for part, why in refusals.items():
            self.troubles.setdefault("refused", f"part {part}: no pod could be made: {why}")
        if not snapshot.pods and not self.stopped and time.monotonic() > self.began + _LONG_WITHOUT:
            self.troubles.setdefault("none", "there is no pod yet; see 'kubectl describe job'")
        for pod in snapshot.pods:
            if pod.unplaced:
                self.troubles.setdefault("unplaced", f"part {pod.part} waits for a node: {pod.unplaced}")
            if pod.lost:
                self.troubles.setdefault(f"lost {pod.node}", f"part {pod.part}: {pod.end}")
            if pod.waits in STUCK or pod.waits in HOPELESS:
                why = f"pod {pod.name} waits: {pod.waits}: {pod.waits_because}"
                self.troubles.setdefault(pod.waits, f"part {pod.part}: {why}")
                since = self.stuck.setdefault(pod.part, time.monotonic())
                if pod.waits in HOPELESS or time.monotonic() > since + self.patience:
                    hopeless[pod.part] = why
            elif pod.has_begun:
                self.stuck.pop(pod.part, None)
        new = sorted(hopeless.keys() - self.given_up.keys())
        self.given_up |= {part: hopeless[part] for part in new}
        if new and self.layout:
            self.kubectl.delete([f"job/{self.layout.job(part)}" for part in new], wait=False)

    def _refusals(self, snapshot: Snapshot) -> dict[int, str]:
        """Why Jobs have no pods, by part."""
        having = {pod.part for pod in snapshot.pods}
        empty = {job.name: part for part, job in snapshot.jobs.items() if part not in having and not job.has_ended}
        if not empty or self.stopped or time.monotonic() < self.began + _NO_PODS:
            return {}
        try:
            found = self.kubectl.refusals()
        except HostError:  # not everybody may read events
            return {}
        return {part: printable(found[name]) for name, part in empty.items() if name in found}

    def _reason(self, part: int) -> str:
        if part in self.given_up:
            return self.given_up[part]
        pods = [pod for pod in self.pods.values() if pod.part == part]
        known = [*self._ends_of_job(part, pods)]
        for pod in pods:
            log = self.logs.get(pod.uid)
            # that nothing was to be had of a pod that was evicted is no news
            known += [pod.end, log.gap if log and (log.numbers or not pod.end) else ""]
        return "; ".join(filter(None, known))

    def _ends_of_job(self, part: int, pods: list[Pod]) -> Iterator[str]:
        job = self.jobs.get(part)
        if job is None:
            yield "its Job was deleted" if self.layout else f"there is no Job {self.name}-{part}"
        elif job.failure == "DeadlineExceeded":
            limit = f" of {self.layout.deadline} s" if self.layout else ""
            yield f"its Job was over its time limit{limit} (DeadlineExceeded)"
        elif job.failure == "BackoffLimitExceeded":
            yield "its Job has failed in each attempt (BackoffLimitExceeded)"
        elif job.failure and job.failure != "PodFailurePolicy":  # for which its pod says more
            yield f"its Job has failed ({job.failure}: {job.message})"
        elif job.is_complete:
            yield "its Job is complete"
        elif part in self.deleted:
            yield "its Job was deleted"
        elif self.stopped:
            yield "interrupted"
        elif job.is_suspended:
            yield "its Job is suspended"
        elif not any(pod.has_begun for pod in pods):
            waits = next((pod.unplaced or pod.waits for pod in pods if pod.unplaced or pod.waits), "")
            yield "its Job waits" + (f": {waits}" if waits else "")

    def _made(self) -> tuple[str, ...]:
        return made(self.layout) if self.layout else ()


def _left(kubectl: Kubectl, names: Sequence[str], error: HostError) -> HostError:
    """The error of a deletion of NAMES that has failed with ERROR."""
    hint = kubectl.shown("delete", *names)
    return HostError(f"what the batch has made may be left: {error.message}", hint=hint)


def _state(snapshot: Snapshot) -> str:
    """`2 pending, 1 running`, of pods that have not ended."""
    states = Counter(pod.phase.lower() for pod in snapshot.pods if not pod.has_ended)
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
