"""A program called kubectl that plays a cluster: it runs the command of each pod on this machine, and says of Jobs and
pods what a real one says in a scenario.

`install` puts it into a directory. What happens to part K is in the file `scenarios.json` there, by K: see `SCENARIOS`.
`0` there is what happens to the program itself: the commands `get` that fail, in the order of their calls. All calls
are in `calls`, one as a JSON list on each line; what was made is in `objects`.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

COMPLETE, AGAIN, FAILED = "Complete", "BackoffLimitExceeded", "Failed"
# the name of a scenario: what its pods do, one after the other: `whole`, or the number of lines of their logs; the end
# of the Job; the status of each pod in the end
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: \x1b[31mmemory."}
LOST = {"phase": "Failed", "conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}
KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
SCENARIOS = {
    "complete": (["whole"], None, []),
    "cut": (["whole"], None, []),  # the first connection ends within a line, and fails
    "ended early": (["whole"], None, []),  # the first connection ends after one line, without an error
    "evicted": ([1, "whole"], None, [EVICTED]),
    "evicted twice": ([1, 1], AGAIN, [EVICTED, EVICTED]),
    "out of memory": ([1, 1], AGAIN, [KILLED, KILLED]),
    "over time": ([1], "DeadlineExceeded", []),
    "torn": (["torn"], None, []),
    "short": ([1], COMPLETE, []),
    "deleted": ([1], "deleted", []),
    "no image": ([], "InvalidImageName", []),
    "no secret": ([], "CreateContainerConfigError", []),
    "forbidden": ([], "forbidden", []),
    "no node": ([], "unschedulable", []),
    "no program": (["no program"], None, []),
    "lost": ([1], AGAIN, [LOST]),
}


def install(directory: pathlib.Path, scenarios: dict[str, object]) -> pathlib.Path:
    """The directory to have in PATH; its parent has the files that are named above."""
    programs = directory / "bin"
    programs.mkdir(parents=True)
    program = programs / "kubectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {directory} "$@"\n')
    program.chmod(0o755)
    (directory / "scenarios.json").write_text(json.dumps(scenarios))
    (directory / "objects").mkdir()
    (directory / "pods").mkdir()
    return programs


def calls(directory: pathlib.Path) -> list[list[str]]:
    return [json.loads(line) for line in (directory / "calls").read_text().splitlines()]


class Cluster:
    def __init__(self, directory: str) -> None:
        self.directory = pathlib.Path(directory)
        self.scenarios = json.loads((self.directory / "scenarios.json").read_text())

    @contextmanager
    def counted(self, name: str):
        """How often NAME was counted before."""
        with open(self.directory / f"count-{name}", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            number = len(file.read())
            file.write("x")
        yield number

    def objects(self, kind: str) -> list[dict]:
        paths = sorted((self.directory / "objects").glob(f"{kind}-*"))
        return [json.loads(path.read_text()) for path in paths]

    # commands

    def create(self, words: list[str]) -> int:
        assert words[:4] == ["-f", "-", "-o", "json"], words
        made = json.load(sys.stdin)
        if "no create" in self.scenarios.get("0", ()):
            print('Error from server (Forbidden): jobs.batch is forbidden: User "me" cannot create', file=sys.stderr)
            return 1
        for item in made["items"]:
            kind, name = item["kind"].lower(), item["metadata"]["name"]
            item["metadata"]["uid"] = f"uid-{name}"
            path = self.directory / "objects" / f"{kind}-{name}"
            assert not path.exists(), name
            path.write_text(json.dumps(item))
            print(json.dumps(item, indent=4))
        if made["items"][0]["kind"] != "Job":
            for job in self.objects("job"):
                start(self, job)
        return 0

    def get(self, words: list[str]) -> int:
        if words[0] == "events":
            return self.events()
        with self.counted("get") as number:
            failures = self.scenarios.get("0", [])
        trouble = failures[number] if number < len(failures) else ""
        if trouble == "fails":
            print("Unable to connect to the server: \x1b[1mnet/http: TLS handshake timeout", file=sys.stderr)
            return 1
        if trouble == "garbage":
            print("<html>502 ::error::Bad Gateway</html>")
            return 0
        selector = words[words.index("-l") + 1]
        items = []
        for job in self.objects("job"):
            name, _, value = selector.partition("=")
            assert job["metadata"]["labels"][name] == value
            items += self.seen(job)
        print(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
        return 0

    def events(self) -> int:
        found = [
            {
                "involvedObject": {"kind": "Job", "name": job["metadata"]["name"]},
                "reason": "FailedCreate",
                "message": 'Error creating: pods "x" is forbidden: violates PodSecurity "baseline:latest": '
                "non-default capabilities",
            }
            for job in self.objects("job")
            if self.scenario(job) == "forbidden"
        ]
        print(json.dumps({"kind": "List", "items": found}))
        return 0

    def logs(self, words: list[str]) -> int:
        follows = "-f" in words
        assert words[-3:-1] == ["-c", "runner"], words
        name = words[-1]
        directory = self.directory / "pods" / name
        scenario = (directory / "scenario").read_text()
        with self.counted(f"logs-{name}") as number:
            pass
        while follows and not (directory / "code").exists():
            time.sleep(0.05)
        raw = (directory / "log").read_bytes()
        lines = raw.splitlines(keepends=True)
        if number == 0 and scenario == "cut":
            os.write(1, raw[:-20])
            print("error: unexpected EOF", file=sys.stderr)
            return 1
        if number == 0 and scenario == "ended early":
            raw = lines[0]
        while raw:
            raw = raw[os.write(1, raw) :]
        return 0

    def delete(self, words: list[str]) -> int:
        names = [word for word in words if not word.startswith("-")]
        for name in names:
            kind, _, name = name.partition("/")
            path = self.directory / "objects" / f"{kind}-{name}"
            if not path.exists():
                assert "--ignore-not-found" in words
                continue
            if kind == "job":
                end(self, name)
            path.rename(self.directory / f"deleted-{kind}-{name}")
        return 0

    # what there is

    def scenario(self, job: dict) -> str:
        return str(self.scenarios.get(job["metadata"]["labels"]["mydocker-part"], "complete"))

    def seen(self, job: dict) -> list[dict]:
        """The Job and its pods."""
        scenario = self.scenario(job)
        wants, end, states = SCENARIOS[scenario]
        pods = [self.pod(job, number, states) for number in range(len(wants))]
        pods = [pod for pod in pods if pod]
        if scenario in ("no image", "no secret"):
            waiting = {"reason": end, "message": "cannot start: \x1b[31mno\nsuch thing"}
            pods = [self._pod(job, 0, {"phase": "Pending", "containerStatuses": [_status({"waiting": waiting})]})]
        if scenario == "no node":
            why = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
            pods = [self._pod(job, 0, {"phase": "Pending", "conditions": [why]})]
        codes = [(self.directory / "pods" / pod["metadata"]["name"] / "code") for pod in pods]
        job = json.loads(json.dumps(job))
        if len(pods) == len(wants) and wants and all(path.exists() for path in codes):
            code = int(codes[-1].read_text())
            kind = ("Complete", "") if code == 0 else ("Failed", "PodFailurePolicy")
            if end == "deleted":
                return []
            if end == COMPLETE:
                kind = ("Complete", "")
            elif end:
                kind = ("Failed", end)
            condition = {"type": kind[0], "status": "True", "reason": kind[1], "message": "as the API has it"}
            job["status"] = {"conditions": [condition]}
            if end == "DeadlineExceeded":
                pods = []
        return [job, *pods]

    def pod(self, job: dict, number: int, states: list[dict]) -> dict | None:
        directory = self.directory / "pods" / f"{job['metadata']['name']}-{number}"
        if not directory.exists():
            return None
        code = directory / "code"
        if not code.exists():
            return self._pod(job, number, {"phase": "Running", "containerStatuses": [_status({"running": {}})]})
        words = (directory / "termination-log").read_text(errors="replace")[-4096:]
        own = states[number] if number < len(states) else {}
        terminated = {
            "exitCode": int(code.read_text()),
            "reason": "Error",
            "message": words,
            **own.get("terminated", {}),
        }
        phase = "Succeeded" if terminated["exitCode"] == 0 else "Failed"
        status = {"phase": phase, **{name: value for name, value in own.items() if name != "terminated"}}
        if "reason" not in own:
            status["containerStatuses"] = [_status({"terminated": terminated})]
        return self._pod(job, number, status)

    def _pod(self, job: dict, number: int, status: dict) -> dict:
        name = f"{job['metadata']['name']}-{number}"
        metadata = {"name": name, "uid": f"uid-{name}", "labels": job["spec"]["template"]["metadata"]["labels"]}
        return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node-7"}, "status": status}


def _status(state: dict) -> dict:
    return {"name": "runner", "state": state}


def start(cluster: Cluster, job: dict) -> None:
    """Run the pods of JOB, one after the other, in a process that outlives this one."""
    wants = SCENARIOS[cluster.scenario(job)][0]
    if not wants or os.fork():
        return
    os.setsid()
    (cluster.directory / "pods" / f"{job['metadata']['name']}.pid").write_text(str(os.getpid()))
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    try:
        for number, want in enumerate(wants):
            run(cluster, job, number, want)
    finally:
        os._exit(0)


def run(cluster: Cluster, job: dict, number: int, want: object) -> None:
    directory = cluster.directory / "pods" / f"{job['metadata']['name']}-{number}"
    directory.mkdir()
    (directory / "scenario").write_text(cluster.scenario(job) if number == 0 else "complete")
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    mounts = {"/specs": str(directory / "specs")}
    unpack(cluster, pod, directory)
    log = directory / "termination-log"
    words = [word.replace("$$", "$") for word in container["args"]]
    script = (
        container["command"][2].replace("/dev/termination-log", str(log)).replace("chmod go-w /var/lib/mydocker", ":")
    )
    words[0] = os.environ["FAKE_MYDOCKER"] if want != "no program" else "nonesuch"
    environment = {**os.environ, **secrets_of(cluster, container)}
    where = container["workingDir"].replace("/specs", mounts["/specs"], 1)
    with open(directory / "whole", "wb") as out:
        with locked(cluster, job["metadata"]["name"]) as ended:
            if ended.read():
                (directory / "log").touch()
                (directory / "code").write_text("143")
                return
            done = subprocess.Popen(["sh", "-c", script, "sh", *words], stdout=out, cwd=where, env=environment)
            (directory / "pid").write_text(str(done.pid))
        code = done.wait()
    raw = (directory / "whole").read_bytes()
    lines = raw.splitlines(keepends=True)
    if isinstance(want, int):
        raw = b"".join(lines[:want])
        code = 0 if SCENARIOS[cluster.scenario(job)][1] == COMPLETE else 137
    if want == "torn":
        raw, code = raw[:-20], 0
    (directory / "log").write_bytes(raw)
    (directory / "code.new").write_text(str(code))
    (directory / "code.new").rename(directory / "code")


def unpack(cluster: Cluster, pod: dict, directory: pathlib.Path) -> None:
    """The volume of the ConfigMap."""
    for volume in pod["volumes"]:
        if "configMap" in volume:
            found = json.loads((cluster.directory / "objects" / f"configmap-{volume['configMap']['name']}").read_text())
            texts = {key: text.encode() for key, text in found.get("data", {}).items()}
            texts |= {key: base64.b64decode(text) for key, text in found.get("binaryData", {}).items()}
            for item in volume["configMap"]["items"]:
                path = directory / item["path"].replace("tree", "specs", 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(texts[item["key"]])
                path.chmod(item["mode"])


def secrets_of(cluster: Cluster, container: dict) -> dict[str, str]:
    found = {}
    for source in container.get("envFrom", ()):
        kept = json.loads((cluster.directory / "objects" / f"secret-{source['secretRef']['name']}").read_text())
        found |= {name: base64.b64decode(value).decode() for name, value in kept["data"].items()}
    return found


@contextmanager
def locked(cluster: Cluster, job: str):
    """A file that says whether JOB has been ended, for one process at a time."""
    with open(cluster.directory / "pods" / f"{job}.ended", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def end(cluster: Cluster, job: str) -> None:
    """Send SIGTERM to what runs, and wait for it; nothing more begins."""
    with locked(cluster, job) as ended:
        ended.write("ended")
    for path in (cluster.directory / "pods").glob(f"{job}-*/pid"):
        if not (path.parent / "code").exists():
            os.kill(int(path.read_text()), signal.SIGTERM)
            while not (path.parent / "code").exists():
                time.sleep(0.02)


def main(directory: str, *words: str) -> int:
    cluster = Cluster(directory)
    with open(cluster.directory / "calls", "a") as file:
        file.write(json.dumps(words) + "\n")
    command, *rest = [word for word in words if not word.startswith(("--namespace", "--context"))]
    return int(getattr(cluster, command)(rest))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
