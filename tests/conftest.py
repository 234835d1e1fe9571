"""What the tests share: a registry, stores, the installed command, a second user. See tests/lab."""

from __future__ import annotations

import gc
import os
import pathlib
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from lab import busybox
from lab.collected import compile_tests
from lab.command import Command, as_user, command, ordinary_user, python_of, readable_copy
from lab.places import ROOT
from lab.registry import Registry, serve
from lab.same_copy import complaint
from lab.sharing import enter_mount_namespace, workers


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Unless options say otherwise, workers share the tests. Each file is run by one worker, in its order: what the
    tests of a file share is made once. The order of the files is that of `pytest_collection_modifyitems`."""
    option = config.option
    if _is_worker(config) or not config.pluginmanager.hasplugin("xdist") or option.dist != "no":
        return
    few = option.keyword or option.usepdb or option.collectonly or getattr(option, "lf", False)
    if option.numprocesses is None and not few:
        option.numprocesses = workers(config.args)
    if option.numprocesses:
        option.dist, option.loadscopereorder = "loadfile", False
        compile_tests()


def pytest_configure(config: pytest.Config) -> None:
    """The tests judge the copy of mydocker that is in this repository. And whoever starts them in the background has
    them, and all that they start, ignore these signals."""
    if problem := complaint(ROOT / "mydocker"):
        raise pytest.UsageError(problem)
    if os.geteuid() == 0 and (_is_worker(config) or not getattr(config.option, "numprocesses", None)):
        enter_mount_namespace()
    if config.pluginmanager.hasplugin("hypothesispytest"):  # its import takes long where the processor is emulated
        _have_hypothesis_take_its_time()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _have_hypothesis_take_its_time() -> None:
    """No test fails because the machine is busy."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


_NOT_UNIT = {"root", "qemu", "guest", "rootless", "nested"}  # markers
_MACHINE = {"registry", "closed", "user", "hub"}  # fixtures that start a server, or make a user of the machine
# parts of paths: what takes another runtime, measures work, collects all, or builds packages
_LONG = ("parity", "growth", "test_make", "test_packaging")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """An ordinary user cannot run the tests marked `root`; they are skipped, which CI does not allow. `unit` is what
    needs nothing of the machine."""
    is_long = {
        path: any(word in str(path.relative_to(ROOT)) for word in _LONG) for path in {item.path for item in items}
    }
    for item in items:
        markers = {marker.name for marker in item.iter_markers()}
        if os.geteuid() != 0 and "root" in markers:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if not is_long[item.path] and not markers & _NOT_UNIT and not _MACHINE & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.unit)
    if _is_worker(config):
        _put_long_files_first(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has been collected stays: to look at all of it for garbage again and again takes a seventh of the time."""
    gc.collect()
    gc.freeze()


def _put_long_files_first(items: list[pytest.Item]) -> None:
    """So that no worker begins with a long file when the others have nothing left to do: files whose tests may take
    longest, then those with most tests that use the machine."""
    limits: dict[pathlib.Path, float] = {}
    heavy: dict[pathlib.Path, int] = {}
    for item in items:
        usual = float(item.config.getini("timeout"))
        limit = max((marker.args[0] for marker in item.iter_markers("timeout")), default=usual)
        limits[item.path] = max(limits.get(item.path, 0), limit)
        heavy[item.path] = heavy.get(item.path, 0) + (item.get_closest_marker("unit") is None)
    items.sort(key=lambda item: (-limits[item.path], -heavy[item.path]))  # it keeps the order within a file


def _is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another (pytest-xdist)."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CI set, a test that skips has failed: nothing may go unnoticed there."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # pytest sends the report
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where pictures lie that tests have taken, for people to look at."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, path in report.user_properties:
            if name == "screenshot":
                terminalreporter.write_line(f"screenshot: {path}")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A real registry that has `library/alpine:latest`; what a test pushes there is seen by the next one."""
    with serve(tmp_path_factory.mktemp("registry")) as running:
        running.push(busybox.alpine(), "library/alpine")
        yield running


@pytest.fixture(scope="session")
def directory_numbers() -> Counter[str]:
    """How many directories there are for tests of a name."""
    return Counter()


@pytest.fixture
def tmp_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, directory_numbers: Counter[str]
) -> pathlib.Path:
    """As pytest's own, which looks at the directories of all earlier tests each time: there are thousands."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    path = tmp_path_factory.getbasetemp() / f"{name}{directory_numbers[name]}"
    path.mkdir(mode=0o700)
    directory_numbers[name] += 1
    return path


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    """An empty directory for $MYDOCKER_ROOT."""
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def canary(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory that nobody may touch, nor may anybody leave a mount."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "file").write_bytes(b"canary")
    (place / "file").chmod(0o640)
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    yield place
    assert [path.name for path in place.iterdir()] == ["file"]
    state = (place / "file").stat()
    assert ((place / "file").read_bytes(), stat.S_IMODE(state.st_mode), state.st_nlink) == (b"canary", 0o640, 1)
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts


@pytest.fixture
def mydocker(tmp_path: pathlib.Path, registry: Registry) -> Command:
    """The installed command with an empty store; `run alpine` pulls from the registry."""
    return command(tmp_path, registry=registry.address)


@pytest.fixture(scope="session")
def alpine(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Command:
    """The installed command with a store, shared by tests, in which alpine is present."""
    ready = command(tmp_path_factory.mktemp("alpine"), registry=registry.address)
    pulled = ready("run", "alpine", "true")
    assert pulled.code == 0, pulled
    return ready


@pytest.fixture(scope="session")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """docker-explorer, a static program of the host; it lies in a directory of root's."""
    source = pathlib.Path(__file__).parent / "lab" / "docker-explorer.c"
    program = tmp_path_factory.mktemp("explorer") / "docker-explorer"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A static program that makes the system call that its arguments name."""
    source = pathlib.Path(__file__).parent / "lab" / "ask-kernel.c"
    directory = tmp_path_factory.mktemp("ask")
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", directory / "ask", source], check=True)
    return directory / "ask"


@pytest.fixture(scope="session")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user: a new one for root, else oneself."""
    if os.geteuid() != 0:
        yield pwd.getpwuid(os.geteuid())
        return
    with ordinary_user() as made:
        yield made


@pytest.fixture(scope="session")
def user_directory(user: pwd.struct_passwd) -> Iterator[Callable[[], pathlib.Path]]:
    """Makes directories that belong to `user`, outside pytest's own, which are closed to others."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="mydocker-"))
    top.chmod(0o755)

    def make() -> pathlib.Path:
        path = pathlib.Path(tempfile.mkdtemp(dir=top))
        path.chmod(0o755)
        os.chown(path, user.pw_uid, user.pw_gid)
        return path

    yield make
    shutil.rmtree(top)


@pytest.fixture(scope="session")
def user_program(user_directory: Callable[[], pathlib.Path], user: pwd.struct_passwd) -> pathlib.Path:
    """The installed command if `user` may run it, else a copy. In a virtual machine, the one that is given: it takes
    the emulator long to make a copy."""
    if given := os.environ.get("USER_PROGRAM"):
        return pathlib.Path(given)
    plain = command(user_directory())
    if as_user(plain, user, program=plain.program)("--version").code == 0 or os.geteuid() != 0:
        return plain.program
    return readable_copy(user_directory(), python=python_of(user))


@pytest.fixture(scope="session")
def make_second_user(
    user: pwd.struct_passwd,
    user_directory: Callable[[], pathlib.Path],
    user_program: pathlib.Path,
    registry: Registry,
) -> Callable[[], Command]:
    """Makes commands as an ordinary user runs them, each with an empty store of their own."""

    def make() -> Command:
        directory = user_directory()
        ready = command(directory, registry=registry.address)
        if os.geteuid() != 0:
            return ready
        for path in directory.rglob("*"):
            os.chown(path, user.pw_uid, user.pw_gid)
        return as_user(ready, user, program=user_program)

    return make


@pytest.fixture
def second_user(make_second_user: Callable[[], Command]) -> Command:
    """The command as an ordinary user runs it, with an empty store of their own."""
    return make_second_user()


@pytest.fixture(scope="session")
def taker(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A static program that tries to get at what other processes hold: tests/lab/take-over.c."""
    source = pathlib.Path(__file__).parent / "lab" / "take-over.c"
    program = tmp_path_factory.mktemp("taker") / "take-over"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return program
