"""The pytest plugin: `*.smoke.yaml` files are collected as tests, and tests get the fixtures `container` and
`mydocker_start`; `fixture` makes others.

pytest loads this in every project of an environment that has mydocker, so it imports nothing of mydocker before it is
needed. `-p no:mydocker` turns it off.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import textwrap
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import pytest

import mydocker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from mydocker.api.container import Awaited
    from mydocker.api.keys import LastingKeys
    from mydocker.services.case import Case, JudgedCase

SUFFIXES = (".smoke.yaml", ".smoke.yml")  # those of testing/cases/collect.py, which other projects need not import
Scope = Literal["session", "package", "module", "class", "function"]
_SHOWN = 100  # last lines of a container's log in the report of a test that failed
_OWN_MARKS = frozenset(("filterwarnings", "parametrize", "skip", "skipif", "usefixtures", "xfail"))


def pytest_collect_file(file_path: pathlib.Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A spec file is collected where a test file would be."""
    if file_path.name.endswith(SUFFIXES):
        return SmokeFile.from_parent(parent, path=file_path)
    return None


class SmokeFile(pytest.File):
    """A spec file; all its mistakes are one error of collection."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # what pytest passes to every file
        self.results: dict[tuple[str, str], JudgedCase] = {}

    def collect(self) -> Iterable[pytest.Item]:
        from mydocker.errors import printable
        from mydocker.specs.load.profiles import active_profiles
        from mydocker.testing.cases.collect import collect

        shown = os.path.relpath(self.path, self.config.invocation_params.dir)
        try:
            file = shown if os.path.exists(shown) else str(self.path)
            cases = collect([file], environ=os.environ, profiles=active_profiles([], os.environ))
        except mydocker.MydockerError as error:
            raise self.CollectError(_harmless(str(error))) from None
        for case in cases:
            named = case.spec.name or case.spec.matrix
            name = printable(case.title) if named else f"line {case.line}"
            yield SmokeItem.from_parent(self, name=name.replace("::", ":"), case=case)

    def result_of(self, case: Case) -> JudgedCase:
        """The verdict on CASE: of a separate batch, or, if cases need each other, of one with all that are chosen."""
        from mydocker.testing.batch.run_batch import examine

        if case.key not in self.results:
            chosen = [item.case for item in self.session.items if isinstance(item, SmokeItem) and item.parent is self]
            together = any(each.needs for each in chosen)
            self.results.update(examine(chosen if together else [case], environ=os.environ))
        return self.results.pop(case.key)


class SmokeItem(pytest.Item):
    """One case of a spec file; its tags are its markers, but for the words that mean something to pytest."""

    def __init__(self, *, case: Case, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # what pytest passes to every item
        self.case = case
        for tag in case.spec.tags:
            self.extra_keyword_matches.add(tag)
            if not tag.startswith("_") and tag not in _OWN_MARKS:
                self.config.addinivalue_line("markers", f"{tag}: a tag of smoke tests")
                self.add_marker(tag)

    def runtest(self) -> None:
        from mydocker.verdict.finding import PASSED, SKIPPED

        if self.case.spec.skip:
            pytest.skip(self.case.spec.skip)
        assert isinstance(self.parent, SmokeFile)
        result = self.parent.result_of(self.case)
        if result.verdict == SKIPPED:
            pytest.skip(result.reason)
        if result.verdict != PASSED:
            raise NotPassed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: object) -> str:
        """What `mydocker test` would print below the name; a traceback only for a defect of mydocker."""
        from mydocker.testing.report.text import lines_of

        error = excinfo.value
        if isinstance(error, NotPassed):
            lines = [*lines_of(error.result)][1:]
            return textwrap.dedent("\n".join(lines))
        if isinstance(error, mydocker.MydockerError):
            return _harmless(str(error))
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[pathlib.Path, int, str]:
        return self.path, self.case.line - 1, self.name


class NotPassed(Exception):
    """A case that failed, or that could not be judged."""

    def __init__(self, result: JudgedCase) -> None:
        super().__init__(result.verdict)
        self.result = result


def _harmless(text: str) -> str:
    """TEXT of a container for the report: the runner of a CI job reads it, too."""
    from mydocker.errors import inert
    from mydocker.untrusted import lines_spelled

    return "\n".join(inert(line) for line in lines_spelled(text.replace("\r\n", "\n")).split("\n"))


def _called(image: str | None, words: tuple[Any, ...], keys: dict[str, Any]) -> str:
    """What a container was made of, as a command line."""
    origin = image or keys.get("image") or keys.get("rootfs") or ""
    command = words[0] if len(words) == 1 else words or keys.get("command", ())
    listed = command if isinstance(command, list | tuple) else (command,)
    return shlex.join(map(str, (origin, *listed)))


@pytest.fixture
def container(request: pytest.FixtureRequest) -> Iterator[Callable[..., mydocker.Outcome]]:
    """`container(image, *command, **keys)` runs a container to its end, as `mydocker.run` does.

    If the test fails, the report shows what its containers have written.
    """

    def run(image: str | mydocker.ContainerSpec | None = None, *words: Any, **keys: Any) -> mydocker.Outcome:
        outcome: mydocker.Outcome = mydocker.run(image, *words, **keys)
        name = str(image.origin) if isinstance(image, mydocker.ContainerSpec) else _called(image, words, keys)
        for stream in ("stdout", "stderr"):
            if text := getattr(outcome, stream):
                request.node.add_report_section("call", f"{stream} of {name}", _harmless(text))
        return outcome

    yield run


class _Running:
    """A container that runs for the fixture called NAME."""

    def __init__(self, name: str, title: str, container: mydocker.Container) -> None:
        self.name, self.title, self.container = name, title, container

    def log(self) -> str:
        try:
            return _harmless(self.container.logs(tail=_SHOWN))
        except mydocker.MydockerError as error:  # the test has removed it
            return _harmless(str(error))


_RUNNING = pytest.StashKey[list[_Running]]()  # of this session, in the order of their starts


@contextmanager
def _started(
    request: pytest.FixtureRequest, image: str | mydocker.ContainerSpec | None, words: tuple[Any, ...], keys: Any
) -> Iterator[mydocker.Container]:
    """A container for the fixture that REQUEST is for; its log is in the report of each test that uses it and fails."""
    title = str(image.origin) if isinstance(image, mydocker.ContainerSpec) else _called(image, words, keys)
    with mydocker.start(image, *words, **keys) as container:
        running = _Running(request.fixturename or "", title, container)
        everything = request.config.stash.setdefault(_RUNNING, [])
        everything.append(running)
        try:
            yield container
        finally:
            everything.remove(running)


@pytest.fixture
def mydocker_start(request: pytest.FixtureRequest) -> Iterator[Callable[..., mydocker.Container]]:
    """`mydocker_start(image, *command, **keys)` starts a container as `mydocker.start` does; it ends with the test.

    If the test fails, the report shows the end of its log.
    """
    with ExitStack() as stack:

        def start(
            image: str | mydocker.ContainerSpec | None = None, *words: Any, **keys: Unpack[LastingKeys]
        ) -> mydocker.Container:
            return stack.enter_context(_started(request, image, words, keys))

        yield start


def fixture(
    image: str | mydocker.ContainerSpec | None = None,
    *words: Any,
    scope: Scope = "function",
    autouse: bool = False,
    wait_for: Awaited | None = None,
    **keys: Unpack[LastingKeys],
) -> object:
    """A pytest fixture: a container that lives as long as SCOPE says, as `mydocker.Container`.

        database = mydocker.fixture("postgres:17", scope="session", ports=[5432], wait_for={"port": 5432})

    The fixture has the name that it is assigned to, in a test module or conftest.py. IMAGE, WORDS and KEYS are those of
    `mydocker.start`, WAIT_FOR are the arguments of `Container.wait_for`. With pytest-xdist each worker has a container
    of its own, so `name` is best left out. If a test that uses it fails, the report shows the end of its log.
    """

    @pytest.fixture(scope=scope, autouse=autouse)
    def started(request: pytest.FixtureRequest) -> Iterator[mydocker.Container]:
        with _started(request, image, words, keys) as container:
            if wait_for:
                container.wait_for(**wait_for)
            yield container

    return started


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """What the containers of a test that failed have written is part of its report."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.failed or report.when == "teardown":
        return
    for running in item.config.stash.get(_RUNNING, []):
        if running.name in getattr(item, "fixturenames", ()) and (text := running.log()):
            report.sections.append((f"Captured log of {running.title} {report.when}", text))
