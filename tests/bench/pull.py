"""How long a pull takes, beside Podman's: a large image from a registry on this machine.

    sudo .venv/bin/python tests/bench/pull.py [-n RUNS] [--megabytes SIZE]

The image has seven layers, filled from this machine's own /usr; nothing is downloaded. Each pull gets an ext4 file
system made anew in memory: on one where much has been deleted, ext4 is up to ten times slower. Contestants take turns;
medians and ratios are of one session and compare with no other. The last lines split the work of one pull into parts.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from lab import oci
from lab.command import command
from lab.registry import Registry, serve

from mydocker.image.inflate import inflate

Contestant = Callable[[pathlib.Path], tuple[list[str], dict[str, str]]]

LAYERS = 7
OURS = "mydocker pull"
TREES = ("usr/bin", "usr/share", "usr/lib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="RUNS", help="pulls of each (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=800, metavar="SIZE", help="unpacked (default: %(default)s)")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        registry = stack.enter_context(serve(directory))
        blobs, files = _push(registry, options.megabytes << 20)
        size = sum(map(len, blobs))
        print(f"{LAYERS} layers, {files} files, {size / 1e6:.0f} MB compressed")
        contestants: dict[str, Contestant] = {OURS: lambda place: _ours(place, registry.address)}
        if shutil.which("podman"):
            contestants["podman pull"] = lambda place: _podman(place, registry.address)
        else:
            print("without podman: it is not installed")
        _report(_measure(contestants, directory, options.n), options.n)
        _split(blobs)


def _push(registry: Registry, size: int) -> tuple[list[bytes], int]:
    """Store the image; its compressed layers, and the number of its files."""
    groups = list(_groups(size))
    image = oci.image([_tar(group) for group in groups])
    registry.push(image, "bench/large")
    return list(image.layers), sum(map(len, groups))


def _groups(size: int) -> Iterator[list[str]]:
    """Names of files below /, in as many lists as there are layers, of SIZE bytes in all."""
    group: list[str] = []
    room = size // LAYERS
    count = 0
    for tree in TREES:
        for directory, _, names in os.walk(f"/{tree}"):
            for path in (f"{directory}/{name}" for name in names):
                found = os.lstat(path)
                if not stat.S_ISREG(found.st_mode) or found.st_size > size // LAYERS:
                    continue
                group.append(path[1:])
                room -= found.st_size
                if room < 0:
                    yield group
                    group, room, count = [], size // LAYERS, count + 1
                    if count == LAYERS:
                        return
    if group:
        yield group


def _tar(names: list[str]) -> bytes:
    argv = ["tar", "-C", "/", "--create", "--no-recursion", "--null", "--files-from=-"]
    return subprocess.run(argv, input=os.fsencode("\0".join(names)), stdout=subprocess.PIPE, check=True).stdout


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
        subprocess.run(["umount", place], check=True)
        place.rmdir()
        disk.unlink()


def _ours(place: pathlib.Path, address: str) -> tuple[list[str], dict[str, str]]:
    mydocker = command(place, registry=address)
    return mydocker.argv("pull", "-q", "bench/large"), dict(mydocker.environment)


def _podman(place: pathlib.Path, address: str) -> tuple[list[str], dict[str, str]]:
    podman = ["podman", "--root", str(place / "podman"), "--runroot", str(place / "run"), "--storage-driver", "overlay"]
    return [*podman, "pull", "-q", "--tls-verify=false", f"{address}/bench/large"], {**os.environ, "TMPDIR": str(place)}


def _measure(contestants: dict[str, Contestant], directory: pathlib.Path, runs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, prepare in contestants.items():
            with _fresh(directory) as place:
                argv, environment = prepare(place)
                before = time.perf_counter()
                subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)
                times[name].append(time.perf_counter() - before)
    return times


def _report(times: dict[str, list[float]], runs: int) -> None:
    print(f"\n{'median of ' + str(runs):32}{'s':>8}{'times mydocker':>16}")
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, median in medians.items():
        print(f"{name:32}{median:8.2f}{median / medians[OURS]:16.2f}")


def _split(blobs: list[bytes]) -> None:
    """What the parts of a pull cost by themselves, one after the other."""
    print("\nthe parts of one pull, on one processor")
    started = time.perf_counter()
    for blob in blobs:
        hashlib.sha256(blob)
    hashed = time.perf_counter()
    plain = [b"".join(inflate([blob], compression="gzip", what="layer")) for blob in blobs]
    inflated = time.perf_counter()
    for tar in plain:
        hashlib.sha256(tar)
    finished = time.perf_counter()
    for name, seconds in (
        ("hash what arrives", hashed - started),
        ("inflate", inflated - hashed),
        ("hash what comes out", finished - inflated),
    ):
        print(f"{name:32}{seconds:8.2f}")


if __name__ == "__main__":
    main()
