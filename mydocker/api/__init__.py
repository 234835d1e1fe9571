"""The Python API: what `import mydocker` offers, loaded when it is first used.

    import mydocker
    outcome = mydocker.run("alpine:3.20", "echo", "hello", timeout="10s")
    assert outcome.stdout == "hello\\n"
    mydocker.run("alpine:3.20", ["sh", "-c", "exit 3"], check=True)      # raises mydocker.ContainerError
    mydocker.test("smoke", check=True)
    with mydocker.start("nginx", ports=[80]) as web:                      # container.py
        web.wait_for(port=80)

Safe in programs with threads and in event loops' executors: a container is started by a separate process. What goes
wrong on mydocker's side is raised as a child of MydockerError, as errors.py lists them; what the command does is in
Outcome.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Literal, Unpack, overload

from mydocker import errors
from mydocker.api.arguments import check_encoding, decoded, input_of, of_type, path_of, paths_of
from mydocker.api.container import Container, start
from mydocker.api.keys import Duration, Input, Keys, Path, Word, spec_of
from mydocker.errors import HostError, MydockerError, UsageError
from mydocker.results import BatchResult, BytesOutcome, CaseFailure, CaseResult, Image, Outcome
from mydocker.services.case import JudgedCase
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import active_profiles
from mydocker.specs.model import ContainerSpec
from mydocker.specs.values.duration import parse_duration
from mydocker.testing.batch.run_one import run_one
from mydocker.verdict.finding import Finding

__all__ = ["Container", "Keys", "load", "pull", "run", "run_async", "start", "test"]


@overload
def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: Literal[True] = True,
    encoding: str | None = None,
    errors: str | None = None,
    **keys: Unpack[Keys],
) -> Outcome: ...


@overload
def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: Literal[False],
    **keys: Unpack[Keys],
) -> BytesOutcome: ...


@overload
def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: bool,
    **keys: Unpack[Keys],
) -> Outcome | BytesOutcome: ...


def run(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: bool = True,
    encoding: str | None = None,
    errors: str | None = None,
    **keys: Unpack[Keys],
) -> Outcome | BytesOutcome:
    """Run a container to its end.

    IMAGE is a name, as for `mydocker run`, or a spec that `load` returned, which is complete; None belongs to `rootfs`.
    WORDS are the command, in place of the image's: each an argument, or one list of all. KEYS are those of a spec file.
    With `capture`, what the container writes is in the outcome, as bytes unless `text`; without, it goes to this
    program's own stdout and stderr. The command's standard input is empty but with `input`, or with `stdin_open`, which
    passes on this program's. `encoding` and `errors` are of both, as subprocess has them; by default texts are UTF-8,
    and bytes that are not come as surrogates. What a spec file expects, and what it depends on, is not checked.

    A missing image is pulled. Raises SpecError (with all mistakes in `problems`), ImageError or one of its children,
    HostError, LaunchError: CommandNotFoundError where there is no such command; and with `check`, ContainerError if the
    command does not end with exit code 0. An argument of a wrong type is a TypeError, too.
    """
    return _Run(image, words, keys, input, capture, check, text, encoding, errors).outcome()


@overload
async def run_async(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: Literal[True] = True,
    encoding: str | None = None,
    errors: str | None = None,
    **keys: Unpack[Keys],
) -> Outcome: ...


@overload
async def run_async(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: Literal[False],
    **keys: Unpack[Keys],
) -> BytesOutcome: ...


@overload
async def run_async(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: bool,
    **keys: Unpack[Keys],
) -> Outcome | BytesOutcome: ...


async def run_async(
    image: str | ContainerSpec | None = None,
    *words: Word | Iterable[Word],
    capture: bool = True,
    check: bool = False,
    input: Input | None = None,
    text: bool = True,
    encoding: str | None = None,
    errors: str | None = None,
    **keys: Unpack[Keys],
) -> Outcome | BytesOutcome:
    """As `run`, for asyncio: other tasks go on meanwhile, and a task that is cancelled ends its container first."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    started = _Run(image, words, keys, input, capture, check, text, encoding, errors)
    cancelled, cancel = os.pipe()
    executor = ThreadPoolExecutor(1)  # each has a separate thread: the loop's are few, and all may be waiting
    job = asyncio.get_running_loop().run_in_executor(executor, lambda: started.outcome(cancel=cancelled))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        os.write(cancel, b"c")
        while not job.done():
            with contextlib.suppress(asyncio.CancelledError):  # once more: the container is ending
                await asyncio.wait([job])
        job.exception()  # it has been cancelled, or ended by itself in the same moment
        raise
    finally:
        executor.shutdown(wait=False)
        os.close(cancel)
        os.close(cancelled)


class _Run:
    """The arguments of `run`, checked."""

    def __init__(
        self,
        image: str | ContainerSpec | None,
        words: tuple[Word | Iterable[Word], ...],
        keys: Mapping[str, object],
        input: Input | None,
        capture: bool,
        check: bool,
        text: bool,
        encoding: str | None,
        errors: str | None,
    ) -> None:
        of_type("capture", capture, bool)
        of_type("check", check, bool)
        check_encoding(encoding, errors, text=text)
        self.spec = spec_of(image, words, keys)
        if input is not None:
            if self.spec.stdin is not None or self.spec.stdin_open:
                raise UsageError("input: the standard input is set twice", hint="leave out stdin and stdin_open")
            self.spec = self.spec.replace(stdin=input_of(input, encoding, errors))
        self.capture, self.check, self.text, self.encoding, self.errors = capture, check, text, encoding, errors

    def outcome(self, *, cancel: int = -1) -> Outcome | BytesOutcome:
        finding = run_one(self.spec, environ=os.environ, capture=self.capture, cancel=cancel)
        if finding.outcome is None:
            raise _error(finding)
        fields, texts = finding.outcome.as_dict(), (finding.stdout, finding.stderr)
        if self.text:
            stdout, stderr = (decoded(each, self.encoding, self.errors) for each in texts)
            outcome: Outcome | BytesOutcome = Outcome(**fields, stdout=stdout, stderr=stderr)
        else:
            raw_stdout, raw_stderr = (each.encode(errors="surrogateescape") for each in texts)
            outcome = BytesOutcome(**fields, stdout=raw_stdout, stderr=raw_stderr)
        return outcome.check() if self.check else outcome


def pull(name: str, *, platform: str | None = None) -> Image:
    """Fetch what NAME means now from its registry, and of that only what the store lacks. PLATFORM is as in
    "linux/arm64", by default this machine's. Raises UsageError or ImageError."""
    from mydocker.reference import Platform, Reference
    from mydocker.testing.batch.pull import pull_image

    of_type("name", name, str)
    of_type("platform", platform, str, type(None))
    chosen = Platform.parse(platform) if platform else Platform.host()
    image = pull_image(Reference.parse(name), chosen, environ=os.environ)
    return Image(name=image.reference.familiar, digest=str(image.manifest))


def test(
    paths: Path | Iterable[Path],
    *,
    image: str | None = None,
    jobs: int | None = None,
    keyword: str | None = None,
    tags: str | None = None,
    profiles: str | Iterable[str] = (),
    timeout: Duration | None = None,
    check: bool = False,
) -> BatchResult:
    """Run the cases of PATHS as `mydocker test` does: files, folders, patterns and FILE:LINE.

    KEYWORD is -k, the other options are those of the command line. Raises SpecError with all mistakes in the
    files, UsageError for a path that leads to nothing, and with `check` BatchError if not all pass.
    """
    from mydocker.testing.batch.batch import Limits
    from mydocker.testing.batch.run_batch import examine
    from mydocker.testing.cases.collect import collect
    from mydocker.testing.cases.select import by_name, by_tags
    from mydocker.testing.report.as_json import counts

    for name, value in {"image": image, "keyword": keyword, "tags": tags}.items():
        of_type(name, value, str, type(None))
    of_type("timeout", timeout, str, int, float, type(None))
    if (of_type("jobs", jobs, int, type(None)) or 1) < 1 or jobs == 0:
        raise UsageError(f"jobs: expected 1 or more, not {jobs}")
    active = active_profiles([profiles] if isinstance(profiles, str) else [*profiles], os.environ)
    cases = collect(paths_of(paths), environ=os.environ, image=image, profiles=active)
    cases = by_name(cases, keyword) if keyword is not None else cases
    cases = by_tags(cases, tags) if tags is not None else cases
    seconds = None if timeout is None else parse_duration(str(timeout))
    limits = Limits(jobs=jobs or len(os.sched_getaffinity(0)), timeout=seconds)
    results = [*examine(cases, environ=os.environ, limits=limits).values()]
    batch = BatchResult(cases=tuple(_case_result(result) for result in results), counts=counts(results))
    return batch.check() if check else batch


test.__test__ = False  # type: ignore[attr-defined]  # so that pytest does not take it for a test where it is imported


def load(*paths: Path) -> list[ContainerSpec]:
    """The containers that spec files describe, in order. Raises SpecError with all mistakes of all files, each as
    `file:line:column: message`, in `problems`."""
    return [case.container for case in load_files([path_of(path) for path in paths], environ=os.environ)]


def _case_result(result: JudgedCase) -> CaseResult:
    from mydocker.testing.report.text import lines_of
    from mydocker.untrusted import clean

    return CaseResult(
        name=result.case.title,
        file=result.case.file,
        line=result.case.line,
        verdict=result.verdict,
        reason=result.reason,
        failures=tuple(
            CaseFailure(place=str(each.origin), about=each.about, expected=each.expected, actual=each.actual)
            for each in result.failures
        ),
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
