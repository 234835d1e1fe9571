"""What the Python API returns, and the errors that hold it."""

from __future__ import annotations

from typing import Self

from mydocker.errors import MydockerError
from mydocker.record import Record
from mydocker.runtime.command import outcome as runtime

_LAST_LINES = 10  # of what a command that failed wrote to stderr, in its error


class Outcome(runtime.Outcome):
    """How a container ended, what it used, and what it wrote.

    `exit_code` or `signal` is how the command ended, `timed_out` and `oom_killed` why; `status` is the exit code that
    `mydocker run` would have had. `wall` and `cpu` are seconds, `max_rss` bytes. The outputs are UTF-8; bytes that are
    not come back with `.encode(errors="surrogateescape")`. They are empty if they were not captured.
    """

    stdout: str = ""
    stderr: str = ""

    def check(self) -> Self:
        """This outcome, or ContainerError if the command did not end with exit code 0."""
        if self.status:
            raise ContainerError(self)
        return self


class BytesOutcome(runtime.Outcome):
    """As `Outcome`, with the outputs as the bytes that they are."""

    stdout: bytes = b""
    stderr: bytes = b""

    def check(self) -> Self:
        """This outcome, or ContainerError if the command did not end with exit code 0."""
        if self.status:
            raise ContainerError(self)
        return self


class ContainerError(MydockerError):
    """A command that failed, of `run(…, check=True)`: its `outcome`, and of that `stdout`, `stderr` and `exit_code`,
    which is 128 + n for signal n and 124 for a time-out."""

    def __init__(self, outcome: Outcome | BytesOutcome) -> None:
        stderr = outcome.stderr if isinstance(outcome.stderr, str) else outcome.stderr.decode(errors="replace")
        last = "\n".join(stderr.rstrip().splitlines()[-_LAST_LINES:])
        super().__init__(_how(outcome), hint=last or None)
        self.outcome, self.stdout, self.stderr = outcome, outcome.stdout, outcome.stderr
        self.exit_code = outcome.status


def _how(outcome: runtime.Outcome) -> str:
    if outcome.timed_out:
        return "the container timed out"
    if outcome.oom_killed:
        return "the container ran out of memory"
    if outcome.signal:
        return f"the container's command was killed by signal {outcome.signal}"
    return f"the container's command ended with exit code {outcome.exit_code}"


class Image(Record):
    """An image of the store: its `name`, and the `digest` of its manifest."""

    name: str
    digest: str


class CaseFailure(Record):
    """An expectation that did not hold: `place` is file:line:column, `about` its subject, such as "stdout"."""

    place: str
    about: str
    expected: str
    actual: str


class CaseResult(Record):
    """One case of a batch. `verdict` is "passed", "failed", "error" or "skipped"; `reason` explains it, `failures` are
    the expectations that did not hold. `text` is what `mydocker test` prints about it, `seconds` what the last of
    `attempts` took."""

    name: str
    file: str
    line: int
    verdict: str
    reason: str
    failures: tuple[CaseFailure, ...]
    text: str
    seconds: float
    attempts: int
    stdout: str
    stderr: str


class BatchResult(Record):
    """The results of a batch, in the order of its cases, and `counts` of each verdict."""

    cases: tuple[CaseResult, ...]
    counts: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether there are cases, and none failed or could not be judged."""
        return bool(self.cases) and not (self.counts["failed"] or self.counts["error"])

    def check(self) -> Self:
        """This result, or BatchError if it has not passed."""
        if not self.passed:
            raise BatchError(self)
        return self


class BatchError(MydockerError):
    """A batch that has not passed: its `result`."""

    exit_code = 1

    def __init__(self, result: BatchResult) -> None:
        failed = [case for case in result.cases if case.verdict in ("failed", "error")]
        texts = "\n".join(case.text for case in failed)
        message = (
            f"{len(failed)} of {len(result.cases)} cases did not pass" if result.cases else "there is nothing to test"
        )
        super().__init__(message, hint=texts or None)
        self.result = result
