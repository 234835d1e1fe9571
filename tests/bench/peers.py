"""mydocker and the runtimes that are installed, each made ready to run the same image: what the benchmarks time."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from lab import busybox
from lab.command import Command, command
from lab.oci import Image
from lab.registry import serve

OURS = "mydocker run"


class Contestant:
    """A command line and the environment it runs in."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.argv, self.env = argv, env

    def seconds(self) -> float:
        """How long one run takes."""
        return self.measure()[0]

    def measure(self) -> tuple[float, float]:
        """Seconds that one run takes, and of the processor: its processes' that have ended with it, no daemon's."""
        before, used = time.perf_counter(), processor_time()
        subprocess.run(
            self.argv,
            env=self.env,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return time.perf_counter() - before, processor_time() - used


def processor_time() -> float:
    """Seconds, user's and system's, of our children that have ended, and of those that they have waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


@contextmanager
def contestants(*, with_docker: bool, alone: bool = False) -> Iterator[tuple[Command, dict[str, Contestant]]]:
    """mydocker with a store in which `alpine` is present; and by name each command line that runs `true` in it, of
    mydocker only if it is ALONE.

    Says on standard error what is left out, and why. SystemExit if mydocker cannot be run.
    """
    with ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = stack.enter_context(serve(directory))
        registry.push(busybox.alpine(docker=True), "library/alpine")
        mydocker = command(directory, registry=registry.address)
        ready: dict[str, Contestant] = {}
        prepared = _preparations(directory, stack, mydocker, registry.address, with_docker=with_docker)
        for name, prepare in itertools.islice(prepared, 1 if alone else None):
            try:
                ready[name] = prepare()
                ready[name].seconds()  # the first start fills caches, and shows whether it works at all
            except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
                ready.pop(name, None)
                reason = getattr(error, "stderr", None) or str(error).encode()
                text = f"without {name}: {reason.decode(errors='replace').strip().rpartition(chr(10))[2]}"
                if name == OURS:
                    raise SystemExit(text) from None
                print(text, file=sys.stderr)
        yield mydocker, ready


def _preparations(
    directory: pathlib.Path, stack: ExitStack, mydocker: Command, registry: str, *, with_docker: bool
) -> Iterator[tuple[str, Callable[[], Contestant]]]:
    """(name, function that readies it) of each contestant."""
    image = f"{registry}/library/alpine"
    yield OURS, lambda: _ours(mydocker)
    yield "runc run (a ready bundle)", lambda: _runc(directory / "bundle", busybox.alpine())
    yield "podman run", lambda: _podman(directory, image)
    if with_docker:
        docker = stack.enter_context(_dockerd(directory, mydocker))
        yield "docker run (default network)", lambda: _docker(docker)
        yield "docker run", lambda: _docker(docker, "--network", "none")
    else:
        print("without docker run: --with-docker starts a daemon for it", file=sys.stderr)


def _ours(mydocker: Command) -> Contestant:
    argv = mydocker.argv("run", "--network", "none", "alpine", "true")
    return Contestant(argv, dict(mydocker.environment))


def _runc(bundle: pathlib.Path, image: Image) -> Contestant:
    root = bundle / "rootfs"
    root.mkdir(parents=True)
    for data in image.layers:
        subprocess.run(["tar", "-xzpf", "-", "-C", root], input=data, check=True)
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    settings = json.loads((bundle / "config.json").read_text())
    settings["process"].update(terminal=False, args=["true"], rlimits=[])
    (bundle / "config.json").write_text(json.dumps(settings))
    return Contestant(["runc", "run", "--bundle", str(bundle), f"bench-{os.getpid()}"])


def _podman(directory: pathlib.Path, image: str) -> Contestant:
    limits = directory / "containers.conf"
    limits.write_text('[containers]\ndefault_ulimits = ["nofile=10000:10000", "nproc=1000:1000"]\n')
    env = {**os.environ, "CONTAINERS_CONF": str(limits)}
    podman = ["podman", "--root", str(directory / "podman"), "--runroot", str(directory / "podman-run")]
    if shutil.which("runc"):
        podman += ["--runtime", "runc"]
    subprocess.run([*podman, "pull", "-q", "--tls-verify=false", image], env=env, check=True, capture_output=True)
    return Contestant([*podman, "run", "--rm", "--network", "none", image, "true"], env)


def _docker(socket: str, *options: str) -> Contestant:
    return Contestant(["docker", "--host", socket, "run", "--rm", *options, "alpine", "true"])


@contextmanager
def _dockerd(directory: pathlib.Path, mydocker: Command) -> Iterator[str]:
    """A daemon of our own that has the image; where to reach it.

    In a network namespace, so that its bridge and its firewall rules are not the host's.
    """
    archive = directory / "alpine.tar"
    subprocess.run(mydocker.argv("save", "-o", str(archive), "alpine"), env=mydocker.environment, check=True)
    socket = f"unix://{directory}/docker.sock"
    places = ["--data-root", directory / "docker", "--exec-root", directory / "docker-run"]
    with (directory / "dockerd.log").open("wb") as log:
        argv = ["unshare", "--net", "dockerd", *places, "--pidfile", directory / "docker.pid", "--host", socket]
        daemon = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        for _ in range(100):
            if subprocess.run(["docker", "--host", socket, "version"], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)
        subprocess.run(["docker", "--host", socket, "load", "-q", "-i", archive], check=True, capture_output=True)
        yield socket
    finally:
        daemon.terminate()
        daemon.wait()
