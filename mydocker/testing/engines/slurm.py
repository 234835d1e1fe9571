"""A batch as a job array of Slurm: a script, sbatch, and what squeue and scontrol say of its tasks.

Never asked: sacct, since accounting is often off. Never used: `sbatch --wait`, which takes ten seconds more, and
`--wrap`: there a shell would take SIGTERM in mydocker's place, so the last line of the script is `exec`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter

from mydocker import programs
from mydocker.errors import HostError, UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.testing.engines.engine import Presence
from mydocker.testing.parts.part import MOST_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mydocker.testing.engines.directory import Directory

_TIMEOUT = 20.0  # seconds for one of Slurm's programs; signals wait meanwhile
_SUBMIT_TIMEOUT = 120.0  # the same for sbatch, which may not be in vain
_PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol")
_SCRIPT = "job.sh"
# options of sbatch that decide where results are, or what a part is
_OWN = (
    *("--array", "-a", "--wrap", "--wait", "-W", "--output", "-o", "--error", "-e", "--open-mode", "--parsable"),
    *("--chdir", "-D"),
)
# variables that would change what sbatch does with the script, or that are about another job
_NOT_PASSED = ("SBATCH_WAIT", "SLURM_RESTART_COUNT")
_SUBMITTED = re.compile(r"[0-9]+(;\S+)?")  # sbatch(1), --parsable: the number, and the cluster if there are several
_UNKNOWN = "Invalid job id"  # what squeue says of a job that Slurm has forgotten (MinJobAge in slurm.conf(5))
_FIELD = re.compile(r"(?:^| )(\w+)=(\S*)")
# reasons for which a job waits until somebody does something (squeue(1), "JOB REASON CODES")
_STUCK = re.compile(
    r"(?i)held|launch.failed|never.?satisfied|bad.?constraints|partition.?(down|inactive|\w+limit)|invalid"
)
_CANNOT_WRITE = "0:53"  # the exit code and signal of a job whose output file cannot be opened
_ENDS = {  # squeue(1), "JOB STATE CODES"
    "BOOT_FAIL": "its node did not boot",
    "CANCELLED": "its job was cancelled",
    "COMPLETED": "its job ended without them",
    "DEADLINE": "its job was over its deadline",
    "NODE_FAIL": "its node was lost",
    "OUT_OF_MEMORY": "its job was over its memory limit",
    "PREEMPTED": "its job was preempted",
    "REVOKED": "its job was revoked",
}


class SlurmSubmission(Record):
    """A batch in `directory` of `count` tasks. Each runs `command`, with -j for the processors that it has got unless
    `has_jobs`, a report, and `words`, in the directory `cwd`. `options` are further options of sbatch."""

    directory: Directory
    count: int
    command: Sequence[str]
    words: Sequence[str]
    has_jobs: bool
    options: Sequence[str]
    cwd: str
    environ: Mapping[str, str]

    def check(self) -> None:
        """Raises UsageError for an option that cannot be one of sbatch, or that is mydocker's."""
        for word in self.options:
            if not word.startswith("-") or word in ("-", "--"):
                raise UsageError(f"--slurm={word}: expected an option of sbatch, as in --slurm=--time=10")
            if _is_own(word):
                raise UsageError(f"--slurm={word}: mydocker sets this option of sbatch itself")
        if "\\" in self.directory.path:  # then sbatch takes %a for a part of the name (sbatch(1), "filename pattern")
            raise UsageError(f"--dir {self.directory.path}: sbatch cannot write into a path with a backslash")

    def script(self) -> str:
        """What each task runs."""
        jobs = [] if self.has_jobs else ['-j "${SLURM_CPUS_ON_NODE:-1}"']
        part = f"{shlex.quote(self.directory.path)}/$SLURM_ARRAY_TASK_ID.${{SLURM_RESTART_COUNT:-0}}"
        words = [shlex.join(self.command), *jobs, '--report jsonl="$part.jsonl"', shlex.join(self.words)]
        lines = (
            "#!/bin/sh",
            f"# a part of {self.count}, by 'mydocker test --on slurm'",
            "set -eu",
            f"cd {shlex.quote(self.cwd)}",
            f"part={part}",
            'exec >"$part.log" 2>&1',
            f"exec {' '.join(words)}",
        )
        return "\n".join(lines) + "\n"

    def line(self) -> list[str]:
        """The command line that submits it. The path of the output is a pattern (sbatch(1), "filename pattern")."""
        directory = self.directory.path.replace("%", "%%")
        own = (f"--array=1-{self.count}", f"--output={directory}/%a.log", "--open-mode=append")
        named = ("--parsable", "--job-name=mydocker")
        return ["sbatch", *named, *self.options, *own, os.path.join(self.directory.path, _SCRIPT)]

    def dry_run(self) -> str:
        return f"{self.script()}\n{shlex.join(self.line())}"

    def require(self) -> None:
        for program in _PROGRAMS:
            programs.find(program, path=_path(self.environ))

    def start(self) -> SlurmJob:
        self.directory.write(_SCRIPT, self.script(), mode=0o700)
        environ = {name: value for name, value in self.environ.items() if name not in _NOT_PASSED}
        output = _run(*self.line(), environ=environ, timeout=_SUBMIT_TIMEOUT)
        return SlurmJob(output.strip().rpartition("\n")[2], self.directory, count=self.count, environ=self.environ)


class SlurmJob:
    """The job array ID, as sbatch --parsable prints it, whose tasks are the COUNT parts that write into DIRECTORY.
    Raises HostError if ID is no such thing."""

    interval = 5.0
    is_detached = True

    def __init__(self, id: str, directory: Directory, *, count: int, environ: Mapping[str, str]) -> None:
        if not _SUBMITTED.fullmatch(id):
            raise HostError(f"expected the number of a Slurm job, not {programs.printable(id.encode()) or 'nothing'}")
        self.id, self.directory, self.count = id, directory, count
        self.environ = {name: value for name, value in environ.items() if not name.startswith("SQUEUE_")}
        self.environ["SLURM_BITSTR_LEN"] = "0"  # or scontrol cuts off a long list of tasks (scontrol(1))
        self.number, _, cluster = id.partition(";")
        self.cluster = ("-M", cluster) if cluster else ()
        self.title = f"Slurm job {self.number}"

    def presence(self) -> Presence:
        """By squeue. A job that it does not know any more is not there."""
        try:
            output = self._run("squeue", "-h", "-r", "-j", self.number, "-o", "%K|%T|%r")
        except HostError as error:
            if _UNKNOWN not in error.message:
                raise
            output = ""
        tasks = [line.split("|", 2) for line in output.splitlines() if line.count("|") >= 2]
        parts = {part: (state, why) for word, state, why in tasks if (part := whole_number(word, MOST_PARTS))}
        states = Counter(state.lower() for state, _ in parts.values())
        stuck = {why for state, why in parts.values() if state == "PENDING" and _STUCK.search(why)}
        return Presence(
            parts=frozenset(parts),
            state=", ".join(f"{count} {state}" for state, count in sorted(states.items())),
            troubles=tuple(f"{self.title} waits: {why}; see 'scontrol show job {self.number}'" for why in stuck),
        )

    def stop(self) -> None:
        """By scancel."""
        self._run("scancel", self.number)

    def end(self) -> None:
        """Slurm forgets a job by itself."""

    def reasons(self) -> dict[int, str]:
        """By one call of scontrol, which has a line for each task that has begun, and one for all others."""
        found = {}
        for line in self._run("scontrol", "-o", "show", "job", self.number).splitlines():
            fields = dict(_FIELD.findall(line))
            if fields.get("ArrayJobId") == self.number:
                found.update({part: self._reason(part, fields) for part in _parts(fields.get("ArrayTaskId", ""))})
        return {part: reason for part, reason in found.items() if part <= self.count}

    def _reason(self, part: int, fields: Mapping[str, str]) -> str:
        node = fields.get("NodeList", "")
        where = f" on {node}" if node and not node.startswith("(") else ""
        again = f", requeued {fields['Restarts']} times" if fields.get("Restarts", "0") != "0" else ""
        return f"{self._end(part, fields)} (Slurm job {self.number}_{part}{where}{again})"

    def _end(self, part: int, fields: Mapping[str, str]) -> str:
        state, code = fields.get("JobState", ""), fields.get("ExitCode", "")
        if state == "TIMEOUT":
            return f"its job was over its time limit, {fields.get('TimeLimit')}"
        if state == "FAILED":
            return self._failure(part, code)
        if state == "PENDING":
            return f"its job waits: {fields.get('Reason')}"
        return _ENDS.get(state) or f"its job is {state.lower() or 'in no state'}"

    def _failure(self, part: int, code: str) -> str:
        """The end of a job with exit code and signal CODE."""
        status, _, number = code.partition(":")
        log, line = self.directory.last_line(part)
        see = f"; the end of {log}: {line}" if log else ""
        if code == _CANNOT_WRITE:
            return f"its node could not write to {self.directory.path}, which has to be on all nodes"
        if number not in ("", "0"):
            return f"its job was killed by signal {number}{see}"
        return f"its job ended with exit code {status}{see}"

    def _run(self, program: str, *words: str) -> str:
        return _run(program, *self.cluster, *words, environ=self.environ)


def _is_own(word: str) -> bool:
    """Whether WORD is an option that mydocker sets, also in short: getopt_long(3) takes the beginning of a name."""
    name = word.partition("=")[0]
    return any(each.startswith(name) for each in _OWN) if name.startswith("--") else name[:2] in _OWN


def _parts(word: str) -> Iterator[int]:
    """The tasks of `7`, or of `1,3-5%2` (sbatch(1), --array)."""
    for each in word.partition("%")[0].split(","):
        first, _, last = each.partition("-")
        begin, end = (whole_number(number, MOST_PARTS) for number in (first, last or first))
        if begin and end:
            yield from range(begin, end + 1)


def _run(program: str, *words: str, environ: Mapping[str, str], timeout: float = _TIMEOUT) -> str:
    """What PROGRAM prints. Raises HostError."""
    environment = {"LC_ALL": "", **environ}
    output = programs.run(program, *words, environment=environment, path=_path(environ), timeout=timeout)
    return output.decode(errors="replace")


def _path(environ: Mapping[str, str]) -> str:
    """Where Slurm's programs are: many sites have them in a directory that only the user's PATH has."""
    return environ.get("PATH") or programs.PATH
