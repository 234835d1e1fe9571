"""A Docker daemon of the tests' own, and this project's Dockerfile built with it from Debian packages alone.

The daemon lives in a mount namespace and in directories of its own. It has no bridge and changes no firewall rule,
unless it is on a host of its own, see lab.networks.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.command import PATH, Result

ROOT = pathlib.Path(__file__).parents[2]
BASE = "python:3-slim"  # what the Dockerfile is built on
# their files alone: what configures them takes most of the time, and nothing here needs it but the list of users
PACKAGES = "base-files,base-passwd,dash,coreutils,findutils,grep,sed,gzip,tar,libc-bin,libseccomp2,python3,python3-pip"
FINISH = (
    "cp usr/share/base-passwd/passwd.master etc/passwd && cp usr/share/base-passwd/group.master etc/group"
    " && rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info usr/share/perl5 var/cache/apt"
)
PIP_CONF = "[global]\nno-index = true\nfind-links = /opt/wheels\nbreak-system-packages = true\n"
_PATIENCE = 200  # seconds for the daemon to come, and to go


@dataclass(frozen=True)
class Docker:
    """`docker("run", "--rm", "IMAGE")` waits for a Result."""

    socket: pathlib.Path

    def __call__(self, *arguments: str | os.PathLike[str], buildkit: bool = True, timeout: float = 300) -> Result:
        program = shutil.which("docker", path=f"/usr/bin:{PATH}")
        assert program, "the docker command is missing: apt-get install docker.io"
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": PATH, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": str(int(buildkit))},
            timeout=timeout,
        )
        return Result(done.stdout, done.stderr, done.returncode)

    def must(self, *arguments: str | os.PathLike[str]) -> bytes:
        done = self(*arguments)
        assert done.code == 0, done
        return done.stdout


@contextmanager
def daemon(directory: pathlib.Path, *, enter: Sequence[str] = ()) -> Iterator[Docker]:
    """A running daemon. The path of DIRECTORY is short: a socket's has at most 107 bytes (unix(7)).

    ENTER: words before the program by which it enters a host with a network and mounts of its own; there it has a
    bridge.
    """
    docker = Docker(directory / "socket")
    place = enter or ("unshare", "--mount", "--propagation", "private")
    argv = ["setpriv", "--pdeathsig", "TERM", *place, "dockerd"]
    argv += ["--data-root", directory / "data", "--exec-root", directory / "exec", "--pidfile", directory / "pid"]
    argv += ["--host", f"unix://{docker.socket}"]
    argv += [] if enter else ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            until = time.monotonic() + _PATIENCE
            while docker("version").code != 0:
                text = (directory / "log").read_text(errors="replace")
                assert process.poll() is None and time.monotonic() < until, text[-2000:]
                time.sleep(0.1)
            yield docker
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def build(docker: Docker, directory: pathlib.Path, tag: str) -> None:
    """Build the Dockerfile as it is, as TAG. Where there is no BuildKit, the older builder has to stop early."""
    _make_base(docker, directory)
    arguments = ("build", "--quiet", "--network", "host", "--tag", tag)
    done = docker(*arguments, ROOT)
    if done.code and b"buildx" in done.stderr:
        done = docker(*arguments, "--target", "plain", ROOT, buildkit=False)
    assert done.code == 0, done


def _make_base(docker: Docker, directory: pathlib.Path) -> None:
    """An image with Python and pip, in which pip finds all that the project needs, and nothing else."""
    system = directory / "system.tar"
    options = [f"--include={PACKAGES}", f'--customize-hook=cd "$1" && {FINISH}', "--format=tar"]
    _run(["mmdebstrap", "--variant=extract", *options, _codename(), system])
    context = directory / "base"
    for name in ("etc", "usr/bin", "opt/wheels"):
        (context / name).mkdir(parents=True)
    (context / "etc/pip.conf").write_text(PIP_CONF)
    (context / "usr/bin/python").symlink_to("python3")
    _fetch_wheels(context / "opt/wheels", python=_python_of(system))
    docker.must("import", system, "debian-python")
    (context / "Dockerfile").write_text("FROM debian-python\nCOPY . /\n")
    docker.must("build", "--quiet", "--tag", BASE, context)


def _fetch_wheels(into: pathlib.Path, *, python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    options = ["--quiet", "--only-binary=:all:", f"--python-version={python}", "--dest", into]
    _run([sys.executable, "-m", "pip", "download", *options, *needed])


def _python_of(system: pathlib.Path) -> str:
    with tarfile.open(system) as tar:
        found = [re.fullmatch(r"(?:\./)?usr/bin/python(3\.\d+)", name) for name in tar.getnames()]
    [version] = [match.group(1) for match in found if match]
    return version


def _codename() -> str:
    """This machine's release, which its apt trusts."""
    [name] = re.findall("^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    return name


def _run(argv: Sequence[str | os.PathLike[str]]) -> None:
    done = subprocess.run(argv, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
