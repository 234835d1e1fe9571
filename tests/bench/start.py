"""How long a container takes from start to end, beside Python itself and the runtimes that are installed.

    sudo .venv/bin/python tests/bench/start.py [-n RUNS] [--with-docker]

Each row is one whole process, output dropped, of an image that is present and of a command that does
nothing. The contestants take turns, so that a busy moment of the machine hits all of them alike; medians
and ratios are of one session and compare with no other.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from lab import busybox
from lab.command import command
from lab.oci import Image
from lab.registry import serve

FLOOR = "python -c pass"
OURS = "mydocker run"


class Contestant:
    """A command line and the environment it runs in."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.argv, self.env = argv, env

    def seconds(self) -> float:
        before = time.perf_counter()
        subprocess.run(
            self.argv,
            env=self.env,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return time.perf_counter() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=40, metavar="RUNS", help="runs of each (default: %(default)s)")
    parser.add_argument("--with-docker", action="store_true", help="start a dockerd for the comparison")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contestants = {FLOOR: Contestant([sys.executable, "-c", "pass"])}
        for name, prepare in _preparations(directory, stack, with_docker=options.with_docker):
            try:
                contestants[name] = prepare()
                contestants[name].seconds()  # the first start fills caches, and shows whether it works at all
            except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
                contestants.pop(name, None)
                reason = getattr(error, "stderr", None) or str(error).encode()
                print(f"without {name}: {reason.decode(errors='replace').strip().splitlines()[-1:]}")
        _report(_measure(contestants, options.n), options.n)
        if OURS in contestants:
            _count_calls(contestants[OURS], directory / "calls")


def _measure(contestants: dict[str, Contestant], runs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, contestant in contestants.items():
            times[name].append(contestant.seconds())
    return times


def _report(times: dict[str, list[float]], runs: int) -> None:
    medians = {name: statistics.median(each) * 1000 for name, each in times.items()}
    print(f"\n{'median of ' + str(runs):32}{'ms':>8}{'over python':>13}{'times mydocker':>16}")
    for name, median in medians.items():
        ratio = f"{median / medians[OURS]:.2f}" if OURS in medians else "-"
        print(f"{name:32}{median:8.1f}{median - medians[FLOOR]:13.1f}{ratio:>16}")


def _count_calls(contestant: Contestant, summary: pathlib.Path) -> None:
    """Print which system calls one run makes, all its processes together."""
    if not shutil.which("strace"):
        print("\nwithout system calls: strace is not installed")
        return
    Contestant(["strace", "-f", "-c", "-S", "calls", "-o", str(summary), *contestant.argv], contestant.env).seconds()
    lines = summary.read_text().splitlines()
    print("\nsystem calls of one mydocker run", *lines[:22], lines[-1], sep="\n")


def _preparations(directory: pathlib.Path, stack: ExitStack, *, with_docker: bool) -> Iterator[tuple]:  # type: ignore[type-arg]
    """(name, function that readies it) of each contestant."""
    registry = stack.enter_context(serve(directory))
    image = f"{registry.address}/library/alpine"
    registry.push(busybox.alpine(docker=True), "library/alpine")
    yield OURS, lambda: _ours(directory, registry.address)
    yield "runc run (a ready bundle)", lambda: _runc(directory / "bundle", busybox.alpine())
    yield "podman run", lambda: _podman(directory, image)
    if with_docker:
        docker = stack.enter_context(_dockerd(directory, registry.address))
        yield "docker run (default network)", lambda: _docker(docker)
        yield "docker run", lambda: _docker(docker, "--network", "none")
    else:
        print("without docker run: --with-docker starts a daemon for it")


def _ours(directory: pathlib.Path, address: str) -> Contestant:
    mydocker = command(directory, registry=address)
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
def _dockerd(directory: pathlib.Path, address: str) -> Iterator[str]:
    """A daemon of our own that has the image; where to reach it.

    In a network namespace, so that its bridge and its firewall rules are not the host's.
    """
    mydocker = command(directory, registry=address)
    archive = directory / "alpine.tar"
    subprocess.run(mydocker.argv("save", "-o", archive, "alpine"), env=mydocker.environment, check=True)
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


if __name__ == "__main__":
    main()
