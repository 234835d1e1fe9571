"""How long a container takes from start to end, next to Python itself and the runtimes that are installed.

    sudo .venv/bin/python tests/bench/start.py [-n RUNS] [--with-docker]

Each row is one whole process, output dropped, of an image that is present and of a command that does
nothing. The contestants take turns, so that a busy moment of the machine hits all of them alike; medians
and ratios are of one session and compare with no other.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import statistics
import sys
import tempfile

from peers import OURS, Contestant, contestants

FLOOR = "python -c pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=40, metavar="RUNS", help="runs of each (default: %(default)s)")
    parser.add_argument("--with-docker", action="store_true", help="start a dockerd for the comparison")
    options = parser.parse_args()
    with contestants(with_docker=options.with_docker) as (_, ready), tempfile.TemporaryDirectory() as directory:
        ready = {FLOOR: Contestant([sys.executable, "-c", "pass"]), **ready}
        _report(_measure(ready, options.n), options.n)
        if OURS in ready:
            _count_calls(ready[OURS], pathlib.Path(directory, "calls"))


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


if __name__ == "__main__":
    main()
