"""How long a container takes from start to end, next to Python itself and the runtimes that are installed.

    sudo .venv/bin/python tests/bench/start.py [-n RUNS] [--with-docker] [--alone] [--json]

Each row is one whole process, output dropped, of an image that is present and of a command that does
nothing; processor time is that of the processes that have ended with it. The contestants take turns, so that a
busy moment of the machine hits all of them alike; medians and ratios are of one session and compare with no other.
"""

from __future__ import annotations

import pathlib
import shutil
import statistics
import sys
import tempfile

import figures
from figures import Figures
from peers import OURS, Contestant, contestants

FLOOR = "python -c pass"


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument(
        "-n", type=figures.count, default=40, metavar="RUNS", help="runs of each (default: %(default)s)"
    )
    options = figures.parsed(parser)
    found = Figures("start", as_json=options.json)
    peers = contestants(with_docker=options.with_docker, alone=options.alone)
    with peers as (_, ready), tempfile.TemporaryDirectory() as directory:
        ready = {FLOOR: Contestant([sys.executable, "-c", "pass"]), **ready}
        _report(_measure(ready, options.n), options.n, found)
        _count_calls(ready[OURS], pathlib.Path(directory, "calls"), found)
    found.finish()


def _measure(contestants: dict[str, Contestant], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each run, and of the processor."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, contestant in contestants.items():
            took, used = contestant.measure()
            times[name].append((took * 1000, used * 1000))
    return times


def _report(times: dict[str, list[tuple[float, float]]], runs: int, found: Figures) -> None:
    medians = {name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in times.items()}
    heading = f"\n{'median of ' + str(runs):32}{'ms':>8}{'processor':>11}{'over python':>13}{'times python':>14}"
    found.say(f"{heading}{'times mydocker':>16}")
    floor, ours = medians[FLOOR][0], medians[OURS][0]
    for name, (took, used) in medians.items():
        found.add(name, "ms", (each[0] for each in times[name]))
        found.add(f"{name}, processor", "ms", (each[1] for each in times[name]))
        row = f"{name:32}{took:8.1f}{used:11.1f}{took - floor:13.1f}{took / floor:14.2f}{took / ours:16.2f}"
        found.say(row)


def _count_calls(contestant: Contestant, summary: pathlib.Path, found: Figures) -> None:
    """Which system calls one run makes, all its processes together."""
    if not shutil.which("strace"):
        print("without system calls: strace is not installed", file=sys.stderr)
        return
    Contestant(["strace", "-f", "-c", "-S", "calls", "-o", str(summary), *contestant.argv], contestant.env).seconds()
    lines = summary.read_text().splitlines()
    found.add("system calls of one run", "calls", [figures.total_calls(lines)])
    found.say("\nsystem calls of one mydocker run", *lines[:22], lines[-1])


if __name__ == "__main__":
    main()
