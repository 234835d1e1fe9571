"""The command however it was installed and is called, and what its start leaves as it was.

pip writes the first line of the command: the interpreter that it installed for. A script of sh in front of it, which
could start Python without `site`, would fail the second half of these tests: docs/architecture.md has the reasons.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import replace

import pytest
from lab import packages
from lab.command import Command, Result
from lab.places import ROOT

VERSION = "0.0.0+installed"  # of no other copy that an interpreter might find
INSTALLED = Result(f"mydocker {VERSION}\n".encode(), b"", 0)
PYTHON = os.path.realpath(sys.executable)  # no environment's
PACKAGES = "lib/python{}.{}/site-packages".format(*sys.version_info)

Built = Callable[[str], pathlib.Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds `wheel` or `editable` of a copy that tells itself from the one that runs these tests."""
    source = tmp_path_factory.mktemp("source")
    packages.copy((name for name in packages.tracked() if not name.startswith("tests/")), source)
    (package := source / "mydocker" / "__init__.py").write_text(
        (ROOT / "mydocker" / "__init__.py").read_text().replace('__version__ = "', f'__version__ = "{VERSION}"  # "')
    )
    assert VERSION in package.read_text()
    wheels = {kind: packages.build(kind, source, tmp_path_factory.mktemp(kind)) for kind in ("wheel", "editable")}
    return wheels.__getitem__


def _pip_install(wheel: pathlib.Path, *options: str, python: str, env: dict[str, str] | None = None) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--no-index"]
    words = [*pip, "--no-deps", "--no-warn-script-location", *options, str(wheel)]
    done = subprocess.run(words, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(place: pathlib.Path, wheel: pathlib.Path, *options: str) -> pathlib.Path:
    """The command in a new environment in PLACE, which has what mydocker needs by a path file."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", place], check=True, timeout=240)
    (place / PACKAGES / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _pip_install(wheel, *options, python=str(place / "bin" / "python"))
    return place / "bin" / "mydocker"


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The command in an environment, by `pip install`."""
    return _environment(tmp_path_factory.mktemp("environment"), built("wheel"))


@pytest.fixture
def ready(alpine: Command, installed: pathlib.Path) -> Command:
    """That command, with a store in which alpine is present."""
    return replace(alpine, program=installed)


def test_in_an_environment(ready: Command, tmp_path: pathlib.Path) -> None:
    assert ready("version") == INSTALLED
    (tmp_path / "x.yaml").write_text("image: alpine\n")
    assert ready("check", "x.yaml", cwd=tmp_path) == Result(b"", b"", 0), "it has its dependencies"


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_in_an_environment_whose_path_has_a_blank(
    alpine: Command, built: Built, tmp_path: pathlib.Path, kind: str
) -> None:
    program = _environment(tmp_path / "two words", built(kind), "--no-compile")
    assert replace(alpine, program=program)("version") == INSTALLED


def test_for_one_user(alpine: Command, built: Built, tmp_path: pathlib.Path) -> None:
    variables = {"HOME": str(tmp_path), "PYTHONUSERBASE": str(tmp_path / ".local")}
    _pip_install(built("wheel"), "--user", "--break-system-packages", "--no-compile", python=PYTHON, env=variables)
    command = replace(alpine, program=tmp_path / ".local" / "bin" / "mydocker")
    assert command("version", env={"HOME": str(tmp_path)}) == INSTALLED


@pytest.mark.parametrize(("option", "found"), [("--prefix", PACKAGES), ("--target", "")])
def test_in_a_folder_that_PYTHONPATH_names(
    alpine: Command, built: Built, tmp_path: pathlib.Path, option: str, found: str
) -> None:
    _pip_install(built("wheel"), option, str(tmp_path), "--no-compile", python=PYTHON)
    command = replace(alpine, program=tmp_path / "bin" / "mydocker")
    assert command("version", env={"PYTHONPATH": str(tmp_path / found)}) == INSTALLED


def _by_links(program: pathlib.Path, folder: pathlib.Path) -> list[str]:
    """As pipx and uv put commands into PATH, and a link to that."""
    (folder / "bin").mkdir()
    (folder / "bin" / "mydocker").symlink_to(program)
    (folder / "docker").symlink_to("bin/mydocker")
    return [str(folder / "docker")]


def _by_name(program: pathlib.Path, folder: pathlib.Path) -> list[str]:
    return ["env", f"PATH={folder}:{program.parent}:/usr/bin:/bin", "mydocker"]


def _by_relative_path(program: pathlib.Path, folder: pathlib.Path) -> list[str]:
    return ["env", "-C", str(program.parent), "./mydocker"]


def _as_a_module(program: pathlib.Path, folder: pathlib.Path) -> list[str]:
    return [str(program.with_name("python")), "-m", "mydocker"]


def _by_an_interpreter(program: pathlib.Path, folder: pathlib.Path) -> list[str]:
    return [str(program.with_name("python")), "-I", str(program)]


@pytest.mark.parametrize("way", [_by_links, _by_name, _by_relative_path, _as_a_module, _by_an_interpreter])
def test_it_is_called_in_each_way(
    installed: pathlib.Path, tmp_path: pathlib.Path, way: Callable[[pathlib.Path, pathlib.Path], list[str]]
) -> None:
    argv = [*way(installed, tmp_path), "version"]
    done = subprocess.run(argv, env={"LC_ALL": "C.UTF-8"}, capture_output=True, cwd="/", timeout=240)
    assert Result(done.stdout, done.stderr, done.returncode) == INSTALLED


@pytest.mark.root
def test_words_arrive_byte_for_byte(ready: Command) -> None:
    words = ["", "a b", "$x", "*", "\udcff\udc80", "ä", "-", "'", '"', "\\n", "a\nb"]
    done = ready("run", "--network", "none", "alpine", "sh", "-c", r'printf "%s\1" "$@"', "sh", *words)
    assert done == Result(b"".join(os.fsencode(word) + b"\1" for word in words), b"", 0)


@pytest.mark.root
def test_variables_of_any_name_arrive(ready: Command) -> None:
    """As the runner of GitHub's actions names inputs. dash drops those that it could not assign itself."""
    names = ["INPUT_MY-NAME", "a.b", "PWD", "1", "_", "A"]
    variables = {name: f"value of {name}" for name in names}
    words = [word for name in [*names, "SHLVL", "OLDPWD"] for word in ("-e", name)]
    done = ready("run", "--network", "none", *words, "alpine", "env", env=variables)
    lines = set(done.stdout.decode().splitlines())
    assert {f"{name}={text}" for name, text in variables.items()} <= lines, done
    assert not any(line.startswith(("SHLVL=", "OLDPWD=")) for line in lines), done


@pytest.mark.root
def test_nothing_is_printed_where_the_current_directory_was_removed(ready: Command, tmp_path: pathlib.Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    words = ready.argv("run", "--network", "none", "alpine", "echo", "x")
    entered = replace(ready, program=pathlib.Path("/bin/sh"))
    assert entered("-c", script, "sh", *words, cwd=tmp_path) == Result(b"x\n", b"", 0)


@pytest.mark.root
@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-", ">&-", "2>&-"])
def test_closed_descriptors_stay_closed(ready: Command, closed: str) -> None:
    words = ready.argv("run", "--network", "none", "alpine", "sh", "-c", "ls /proc/self/fd; exit 5")
    entered = replace(ready, program=pathlib.Path("/bin/sh"))
    assert entered("-c", f'exec "$@" {closed}', "sh", *words).code == 5


@pytest.mark.root
def test_an_empty_environment(ready: Command) -> None:
    store = f"MYDOCKER_ROOT={ready.store}"
    done = replace(ready, program=pathlib.Path("/usr/bin/env"))(
        "-i", store, *ready.argv("run", "--network", "none", "alpine", "echo", "x")
    )
    assert done == Result(b"x\n", b"", 0)


@pytest.mark.root
def test_its_name_among_processes_and_a_signal(ready: Command) -> None:
    """pgrep(1), killall(1) and ps(1) show `mydocker`; what is sent to the process that was started arrives."""
    with ready.start(
        "run", "--network", "none", "alpine", "sh", "-c", "trap 'exit 7' TERM; echo; sleep 60 & wait"
    ) as it:
        assert it.stdout and it.stdout.readline() == b"\n"
        assert pathlib.Path(f"/proc/{it.pid}/comm").read_text() == "mydocker\n"
        it.send_signal(signal.SIGTERM)
        assert it.wait(timeout=240) == 7


def test_without_dev(ready: Command, tmp_path: pathlib.Path) -> None:
    """Nothing of the start opens a device."""
    shutil.copy(ROOT / "LICENSE", tmp_path)  # a folder of one's own, to be mounted there
    script = 'mount --bind -o ro "$0" /dev && exec "$@"'
    unshare = replace(ready, program=pathlib.Path("/usr/bin/unshare"))
    words = ["-rm", "/bin/sh", "-c", script, str(tmp_path), *ready.argv("version")]
    assert unshare(*words) == INSTALLED
