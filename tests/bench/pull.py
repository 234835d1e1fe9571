"""How long a pull takes, next to Podman's and Docker's: a large image from a registry on this machine.

    sudo .venv/bin/python tests/bench/pull.py [-n RUNS] [--megabytes SIZE] [--files COUNT]

Each pull gets an ext4 file system made anew in memory: on one where much has been deleted, ext4 is up to ten times
slower. Contestants take turns; medians and ratios are of one session and compare with no other. A daemon is started
before its time counts. Only mydocker's time includes that everything is on the disk: the others leave that to the
kernel. The last lines say how much memory mydocker and its children take together, and split its work into parts.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import parts
from lab import dockerd
from lab.command import command
from lab.registry import serve
from large import Large, large

# Given an empty file system and the registry's address: a pull, ready to start, for the length of a `with`.
Contestant = Callable[[pathlib.Path, str], AbstractContextManager[Callable[[], None]]]

OURS = "mydocker pull"
NAME = "bench/large"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="RUNS", help="pulls of each (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=800, metavar="SIZE", help="unpacked (default: %(default)s)")
    parser.add_argument("--files", type=int, default=20_000, metavar="COUNT", help="in them (default: %(default)s)")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        registry = stack.enter_context(serve(directory))
        image = large(size=options.megabytes * 1_000_000, files=options.files)
        registry.push(image.image, NAME)
        print(image)
        _report(_measure(directory, registry.address, options.n), options.n)
        with _fresh(directory) as place:
            print(f"\nmemory of mydocker and its children at their peak: {_peak(place, registry.address) >> 20} MB")
        _split(directory, registry.address, image)


@contextmanager
def _fresh(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty ext4, in memory."""
    disk, place = directory / "disk", directory / "place"
    with disk.open("wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--recursive", place], check=True)  # Podman may leave a mount
        place.rmdir()
        disk.unlink()


@contextmanager
def _ours(place: pathlib.Path, address: str) -> Iterator[Callable[[], None]]:
    mydocker = command(place, registry=address)
    yield lambda: _run(mydocker.argv("pull", "-q", NAME), dict(mydocker.environment))


@contextmanager
def _podman(place: pathlib.Path, address: str) -> Iterator[Callable[[], None]]:
    podman = ["podman", "--root", str(place / "podman"), "--runroot", str(place / "run"), "--storage-driver", "overlay"]
    pull = [*podman, "pull", "-q", "--tls-verify=false", f"{address}/{NAME}"]
    yield lambda: _run(pull, {**os.environ, "TMPDIR": str(place)})


@contextmanager
def _docker(place: pathlib.Path, address: str) -> Iterator[Callable[[], None]]:
    with dockerd.daemon(place) as docker:
        yield lambda: _discard(docker.must("pull", "-q", f"{address}/{NAME}"))


def _discard(_: bytes) -> None:
    pass


def _run(argv: list[str], environment: dict[str, str]) -> None:
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)


CONTESTANTS: dict[str, tuple[str, Contestant]] = {  # with the program that each takes
    OURS: ("tar", _ours),
    "podman pull": ("podman", _podman),
    "docker pull": ("dockerd", _docker),
}


def _measure(directory: pathlib.Path, address: str, runs: int) -> dict[str, list[float]]:
    """Seconds of each run of each contestant that is installed."""
    times: dict[str, list[float]] = {}
    for name, (program, _) in CONTESTANTS.items():
        if shutil.which(program):
            times[name] = []
        else:
            print(f"without {name}: {program} is not installed")
    for _ in range(runs):
        for name, seconds in times.items():
            with _fresh(directory) as place, CONTESTANTS[name][1](place, address) as pull:
                before = time.perf_counter()
                pull()
                seconds.append(time.perf_counter() - before)
    return times


def _report(times: dict[str, list[float]], runs: int) -> None:
    print(f"\n{'median of ' + str(runs):32}{'s':>8}{'times mydocker':>16}{'all runs':>12}")
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, median in medians.items():
        each = "  ".join(f"{seconds:.2f}" for seconds in times[name])
        print(f"{name:32}{median:8.2f}{median / medians[OURS]:16.2f}    {each}")


def _peak(place: pathlib.Path, address: str) -> int:
    """Bytes that a pull and its children have in memory at most, those that they share counted once."""
    mydocker = command(place, registry=address)
    peak = 0
    with subprocess.Popen(
        mydocker.argv("pull", "-q", NAME), env=dict(mydocker.environment), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional, _family(process.pid))))
            time.sleep(0.01)
    assert process.returncode == 0
    return peak


def _family(pid: int) -> Iterator[int]:
    """PID and all its descendants."""
    yield pid
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:  # it has ended
            continue
        for child in found:
            yield from _family(int(child))


def _proportional(pid: int) -> int:
    """Bytes of a process, each page divided by how many processes have it (proc(5), "Pss"); 0 if it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def _split(directory: pathlib.Path, address: str, image: Large) -> None:
    with _fresh(directory) as place:
        seconds = parts.split(place, address, NAME, image.image.layers)
    print(f"\n{'the parts of one pull':32}{'s':>8}   (one after the other; all but the last in processor time)")
    for name, took in seconds.items():
        print(f"{name:32}{took:8.2f}")


if __name__ == "__main__":
    main()
