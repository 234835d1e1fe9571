"""The Python API: what `import mydocker` offers, loaded when it is first asked for.

    import mydocker
    outcome = mydocker.run("alpine:3.20", "echo", "hello", timeout="10s")
    assert outcome.stdout == "hello\\n"
    mydocker.run("alpine:3.20", ["sh", "-c", "exit 3"], check=True)      # raises mydocker.ContainerError
    mydocker.test("smoke", check=True)

Safe in programs with threads and in event loops' executors: a container is started by a process of its own. What goes
wrong on our side is raised as a child of MydockerError, as errors.py lists them; what the command does is in Outcome.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Self, TypedDict, Unpack, overload

from mydocker import errors
from mydocker.errors import HostError, MydockerError, UsageError
from mydocker.record import Record
from mydocker.runtime import outcome as runtime
from mydocker.smoke.alone import run_alone
from mydocker.smoke.case import Finding, Result
from mydocker.spec.container import ContainerSpec
from mydocker.spec.duration import parse_duration
from mydocker.spec.load import load_files, load_values
from mydocker.spec.profiles import active_profiles

_LAST_LINES = 10  # of what a command that failed wrote to stderr, in its error

Path = str | os.PathLike[str]
Word = str | os.PathLike[str]
Words = str | Sequence[str]  # a text is split as a shell would split it
Pairs = Mapping[str, Any] | Sequence[str]  # NAME to value, or NAME=VALUE
Size = str | int  # such as "64m", or bytes
Duration = str | float  # such as "1m30s", or seconds


class Keys(TypedDict, total=False):
    """The keys of a spec file, with the same meaning. None is as if the key were not given; `$` is a plain letter."""

    name: str | None
    rootfs: Path | None
    platform: str | None
    pull_policy: str | None
    label_file: str | Sequence[str] | None
    labels: Pairs | None
    entrypoint: Words | None
    command: Words | None
    args: Words | None
    env_file: Path | Sequence[Path] | None
    environment: Pairs | None
    expand: bool | None
    user: str | int | None
    group_add: Sequence[str | int] | None
    umask: str | None
    working_dir: str | None
    timeout: Duration | None
    stop_signal: str | int | None
    stop_grace_period: Duration | None
    tty: bool | None
    stdin_open: bool | None
    stdin: str | None
    init: bool | None
    volumes: Sequence[str | Mapping[str, Any]] | None
    tmpfs: str | Sequence[str] | None
    configs: Sequence[Mapping[str, Any]] | None
    secrets: Sequence[Mapping[str, Any]] | None
    read_only: bool | None
    shm_size: Size | None
    devices: Sequence[str | Mapping[str, str]] | None
    inject: Sequence[Path] | None
    hostname: str | None
    namespaces: Sequence[str] | Mapping[str, str] | None
    userns_mode: str | None
    network_mode: str | None
    extra_hosts: Pairs | None
    dns: str | Sequence[str] | None
    pid: str | None
    ipc: str | None
    cgroup: str | None
    uts: str | None
    security_opt: Sequence[str] | None
    cap_add: Sequence[str] | None
    cap_drop: Sequence[str] | None
    privileged: bool | None
    sysctls: Pairs | None
    ulimits: Mapping[str, Any] | Sequence[str] | None
    mem_limit: Size | None
    memswap_limit: Size | None
    cpus: str | float | None
    cpuset: str | None
    pids_limit: int | None


class Outcome(runtime.Outcome):
    """How a container ended, what it used, and what it wrote.

    `exit_code` or `signal` says how the command ended, `timed_out` and `oom_killed` why; `status` is the exit code that
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


class CaseResult(Record):
    """One case of a batch. `verdict` is "passed", "failed", "error" or "skipped"; `reason` says why there is none
    better. `text` is what `mydocker test` prints about it, `seconds` what the last of `attempts` took."""

    name: str
    file: str
    line: int
    verdict: str
    reason: str
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
        """Whether no case failed or could not be judged."""
        return not (self.counts["failed"] or self.counts["error"])

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
        super().__init__(f"{len(failed)} of {len(result.cases)} cases did not pass", hint=texts)
        self.result = result


@overload
def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Sequence[Word],
    capture: bool = True,
    check: bool = False,
    input: str | bytes | None = None,
    text: Literal[True] = True,
    **keys: Unpack[Keys],
) -> Outcome: ...


@overload
def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Sequence[Word],
    capture: bool = True,
    check: bool = False,
    input: str | bytes | None = None,
    text: Literal[False],
    **keys: Unpack[Keys],
) -> BytesOutcome: ...


def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Sequence[Word],
    capture: bool = True,
    check: bool = False,
    input: str | bytes | None = None,
    text: bool = True,
    **keys: Unpack[Keys],
) -> Outcome | BytesOutcome:
    """Run a container to its end.

    IMAGE is a name, as for `mydocker run`, or a spec that `load` gave, which says everything; None goes with `rootfs`.
    WORDS are the command, in place of the image's: each an argument, or one list of all. KEYS are those of a spec file.
    With `capture`, what the container writes is in the outcome, as bytes unless `text`; without, it goes to this
    program's own stdout and stderr. The command's standard input is empty but with `input`, or with `stdin_open`, which
    passes on this program's. What a loaded spec expects, and what it depends on, is not looked at.

    A missing image is pulled. Raises SpecError (with all mistakes in `problems`), ImageError or one of its children,
    HostError, LaunchError: CommandNotFoundError where there is no such command; and with `check`, ContainerError if the
    command does not end with exit code 0.
    """
    return _run(_spec(image, words, dict(keys), input), capture=capture, check=check, text=text)


async def run_async(
    image: str | ContainerSpec | None = None,
    *words: Word | Sequence[Word],
    capture: bool = True,
    check: bool = False,
    input: str | bytes | None = None,
    **keys: Unpack[Keys],
) -> Outcome:
    """As `run`, for asyncio: other tasks go on meanwhile, and a task that is cancelled ends its container first."""
    spec = _spec(image, words, dict(keys), input)

    def begin(cancel: int) -> Outcome:
        outcome = _run(spec, capture=capture, check=check, text=True, cancel=cancel)
        assert isinstance(outcome, Outcome)
        return outcome

    return await _in_thread(begin)


async def _in_thread(run: Callable[[int], Outcome]) -> Outcome:
    """What RUN returns in a thread; it gets a descriptor that is readable once it has to end.

    A task that is cancelled, however often, waits for that end, but not for a run that is still queued for a thread.
    """
    import asyncio
    import threading

    cancelled, cancel = os.pipe()
    turn = threading.Lock()  # taken by the run that begins, or by the cancelled task, and then it never does

    def begin() -> Outcome | None:
        return run(cancelled) if turn.acquire(blocking=False) else None

    def close(job: asyncio.Future[Outcome | None]) -> None:
        """Now, as the run no longer polls for it; and nobody may be left who takes the exception."""
        os.close(cancel)
        os.close(cancelled)
        if not job.cancelled():
            job.exception()

    job = asyncio.get_running_loop().run_in_executor(None, begin)
    job.add_done_callback(close)
    try:
        outcome = await asyncio.shield(job)
        assert outcome is not None
        return outcome
    except asyncio.CancelledError:
        if not job.done() and not turn.acquire(blocking=False):
            os.write(cancel, b"c")
            while not job.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([job])
        raise


def _run(spec: ContainerSpec, *, capture: bool, check: bool, text: bool, cancel: int = -1) -> Outcome | BytesOutcome:
    finding = run_alone(spec, environ=os.environ, capture=capture, cancel=cancel)
    if finding.outcome is None:
        raise _error(finding)
    fields = finding.outcome.as_dict()
    if text:
        outcome: Outcome | BytesOutcome = Outcome(**fields, stdout=finding.stdout, stderr=finding.stderr)
    else:
        stdout, stderr = (each.encode(errors="surrogateescape") for each in (finding.stdout, finding.stderr))
        outcome = BytesOutcome(**fields, stdout=stdout, stderr=stderr)
    return outcome.check() if check else outcome


def pull(name: str, *, platform: str | None = None) -> Image:
    """Fetch what NAME means now from its registry, and of that only what the store lacks. PLATFORM is as in
    "linux/arm64", by default this machine's. Raises UsageError or ImageError."""
    from mydocker.reference import Platform, Reference
    from mydocker.smoke.pulling import pull_image

    chosen = Platform.parse(platform) if platform else Platform.host()
    image = pull_image(Reference.parse(name), chosen, environ=os.environ)
    return Image(name=image.reference.familiar, digest=str(image.manifest))


def test(
    paths: Path | Sequence[Path],
    *,
    image: str | None = None,
    jobs: int | None = None,
    keyword: str | None = None,
    tags: str | None = None,
    profiles: Sequence[str] = (),
    timeout: Duration | None = None,
    check: bool = False,
) -> BatchResult:
    """Run the cases of PATHS as `mydocker test` does: files, folders, patterns and FILE:LINE.

    KEYWORD is -k, the other options are those of the command line. Raises SpecError with all that is wrong in the
    files, UsageError for a path that leads to nothing, and with `check` BatchError if not all pass.
    """
    from mydocker.smoke.batch import Limits
    from mydocker.smoke.collect import collect
    from mydocker.smoke.data import counts
    from mydocker.smoke.select import by_name, by_tags
    from mydocker.smoke.together import examine

    named = [os.fspath(paths)] if isinstance(paths, str | os.PathLike) else [os.fspath(path) for path in paths]
    cases = collect(named, environ=os.environ, image=image, profiles=active_profiles([*profiles], os.environ))
    cases = by_name(cases, keyword) if keyword is not None else cases
    cases = by_tags(cases, tags) if tags is not None else cases
    seconds = parse_duration(str(timeout)) if isinstance(timeout, str) else timeout
    limits = Limits(jobs=jobs or len(os.sched_getaffinity(0)), timeout=seconds)
    results = [*examine(cases, environ=os.environ, limits=limits).values()]
    batch = BatchResult(cases=tuple(_case_result(result) for result in results), counts=counts(results))
    return batch.check() if check else batch


test.__test__ = False  # type: ignore[attr-defined]  # so that pytest does not take it for a test where it is imported


def load(*paths: Path) -> list[ContainerSpec]:
    """The containers that spec files describe, in order. Raises SpecError with all mistakes of all files, each as
    `file:line:column: message`, in `problems`."""
    return load_files([os.fspath(path) for path in paths], environ=os.environ)


def _spec(
    image: str | ContainerSpec | None,
    words: tuple[Word | Sequence[Word], ...],
    keys: dict[str, object],
    input: str | bytes | None,
) -> ContainerSpec:
    command = _command(words)
    if isinstance(image, ContainerSpec):
        if command or keys:
            raise UsageError("a loaded spec says everything: give no command and no keys", hint="see spec.replace()")
        spec = image
    else:
        if command and keys.get("command") is not None:
            raise UsageError("the command is given twice")
        values = {"image": image, "command": command or None, **keys}
        spec = load_values({key: value for key, value in values.items() if value is not None}, environ=os.environ)
    if input is None:
        return spec
    if spec.stdin is not None or spec.stdin_open:
        raise UsageError("input: the standard input is set twice", hint="leave out stdin and stdin_open")
    return spec.replace(stdin=input if isinstance(input, str) else input.decode(errors="surrogateescape"))


def _command(words: tuple[Word | Sequence[Word], ...]) -> list[str]:
    """WORDS, or the one list of them. Raises TypeError for what is neither."""
    listed: Iterable[object] = words
    if len(words) == 1 and isinstance(words[0], Iterable) and not isinstance(words[0], str | bytes):
        listed = words[0]
    command = []
    for word in listed:
        if not isinstance(word, str | os.PathLike):
            raise TypeError(f"a word of the command is expected to be a str or a path, not {type(word).__name__}")
        command.append(os.fspath(word))
    return command


def _case_result(result: Result) -> CaseResult:
    from mydocker.smoke.textreport import lines_of
    from mydocker.untrusted import clean

    return CaseResult(
        name=result.case.title,
        file=result.case.file,
        line=result.case.line,
        verdict=result.verdict,
        reason=result.reason,
        text="\n".join(lines_of(result)),
        seconds=result.finding.seconds,
        attempts=result.attempts,
        stdout=clean(result.finding.stdout),
        stderr=clean(result.finding.stderr),
    )


def _error(finding: Finding) -> MydockerError:
    """What the worker raised, raised here."""
    kind = getattr(errors, finding.kind, HostError)
    if not issubclass(kind, MydockerError) or kind is errors.SpecError:
        kind = HostError
    error: MydockerError = kind(finding.problem, hint=finding.hint or None)
    return error
