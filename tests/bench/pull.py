"""How long a pull takes, next to Podman's and Docker's: a large image from a registry on this machine.

    sudo .venv/bin/python tests/bench/pull.py [-n RUNS] [--megabytes SIZE] [--files COUNT] [--alone] [--json]

Each pull gets an ext4 file system made anew in memory: on one where much has been deleted, ext4 is up to ten times
slower. Contestants take turns; medians and ratios are of one session and compare with no other. A daemon is started
before its time counts. Only mydocker's time includes that everything is on the disk: the others leave that to the
kernel; processor time is that of the processes that have ended with the command, no daemon's. The last lines say how
much memory mydocker and its children take together, count its system calls, and split its work into parts.
"""

from __future__ import annotations

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

import figures
from figures import Figures
from lab import dockerd
from lab.command import command
from lab.registry import serve
from large import Large, large
from peers import processor_time

# Given an empty file system and the registry's address: a pull, ready to start, for the length of a `with`.
Contestant = Callable[[pathlib.Path, str], AbstractContextManager[Callable[[], None]]]
Run = tuple[float, float]  # seconds, and of the processor

OURS = "mydocker pull"
NAME = "bench/large"


def main() -> None:
    parser = figures.parser(__doc__, docker=False)
    parser.add_argument(
        "-n", type=figures.count, default=3, metavar="RUNS", help="pulls of each (default: %(default)s)"
    )
    unpacked, files = "unpacked (default: %(default)s)", "in them (default: %(default)s)"
    parser.add_argument("--megabytes", type=figures.count, default=800, metavar="SIZE", help=unpacked)
    parser.add_argument("--files", type=figures.count, default=20_000, metavar="COUNT", help=files)
    options = figures.parsed(parser)
    found = Figures("pull", as_json=options.json)
    with ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        registry = stack.enter_context(serve(directory))
        image = large(size=options.megabytes * 1_000_000, files=options.files)
        registry.push(image.image, NAME)
        found.say(str(image))
        _report(_measure(directory, registry.address, options.n, _installed(alone=options.alone)), options.n, found)
        with _fresh(directory) as place:
            peak = _peak(place, registry.address) / (1 << 20)
            found.add("memory at its peak", "MB", [peak])
            found.say(f"\nmemory of mydocker and its children at their peak: {peak:.0f} MB")
        _count_calls(directory, registry.address, image, found)
        if not options.alone:
            _split(directory, registry.address, image, found)
    found.finish()


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


def _installed(*, alone: bool) -> list[str]:
    """The contestants whose programs are installed; mydocker only if it is ALONE."""
    names = []
    for name, (program, _) in CONTESTANTS.items():
        if alone and name != OURS:
            continue
        if shutil.which(program):
            names.append(name)
        else:
            print(f"without {name}: {program} is not installed", file=sys.stderr)
    return names


def _measure(directory: pathlib.Path, address: str, runs: int, names: list[str]) -> dict[str, list[Run]]:
    """The runs of each contestant of NAMES."""
    times: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(runs):
        for name, each in times.items():
            with _fresh(directory) as place, CONTESTANTS[name][1](place, address) as pull:
                before, used = time.perf_counter(), processor_time()
                pull()
                each.append((time.perf_counter() - before, processor_time() - used))
    return times


def _report(times: dict[str, list[Run]], runs: int, found: Figures) -> None:
    heading = f"\n{'median of ' + str(runs):32}{'s':>8}{'processor':>11}{'times mydocker':>16}{'all runs':>12}"
    found.say(heading)
    medians = {name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in times.items()}
    for name, (took, used) in medians.items():
        found.add(name, "s", (run[0] for run in times[name]))
        found.add(f"{name}, processor", "s", (run[1] for run in times[name]))
        each = "  ".join(f"{run[0]:.2f}" for run in times[name])
        found.say(f"{name:32}{took:8.2f}{used:11.2f}{took / medians[OURS][0]:16.2f}    {each}")


def _count_calls(directory: pathlib.Path, address: str, image: Large, found: Figures) -> None:
    """How many system calls one pull makes for each entry of the image, all its processes together."""
    if not shutil.which("strace"):
        print("without system calls: strace is not installed", file=sys.stderr)
        return
    log = directory / "calls"
    with _fresh(directory) as place:
        mydocker = command(place, registry=address)
        argv = ["strace", "-f", "-c", "-S", "calls", "-o", str(log), *mydocker.argv("pull", "-q", NAME)]
        _run(argv, dict(mydocker.environment))
    lines = log.read_text().splitlines()
    each = figures.total_calls(lines) / image.entries
    found.add("system calls for each entry", "calls", [each])
    found.say(f"\nsystem calls for each entry: {each:.2f}", *lines[:14])


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


def _split(directory: pathlib.Path, address: str, image: Large, found: Figures) -> None:
    import parts  # only here: of another version the steps may have other names

    with _fresh(directory) as place:
        seconds = parts.split(place, address, NAME, image.image.layers)
    found.say(f"\n{'the parts of one pull':32}{'s':>8}   (one after the other; all but the last in processor time)")
    for name, took in seconds.items():
        found.add(f"part: {name}", "s", [took])
        found.say(f"{name:32}{took:8.2f}")


if __name__ == "__main__":
    main()
