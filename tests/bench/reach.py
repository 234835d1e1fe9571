"""What it costs to run a batch in parts: on two nodes of Slurm on this machine, next to one process.

    sudo .venv/bin/python tests/bench/reach.py [-n ROUNDS] [--cases N] [--results N] [--simulate]

Each case runs `true` in an image that is present, without a network: there is nothing but what mydocker and Slurm do
themselves. One process runs two at once, and so do two parts with one each, on the same processors. The last line is
how long `mydocker report` takes for results of many cases. Medians are of one session and compare with no other.

With --simulate nothing is run: it is computed how long 10,000 cases take in parts, of what was measured here.
"""

from __future__ import annotations

import argparse
import heapq
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from lab import busybox
from lab.command import Command, command
from lab.registry import serve
from lab.slurm import cluster

PARTS = 8  # whose results are put together
# seconds, as measured: the start of a part with its job, that of a container, and the merge of a result
PART, CONTAINER, MERGE = 1.0, 0.018, 0.0002
QUEUE = 0.1  # seconds in which the scheduler begins one task
SIMULATED, SHARED = 10_000, (1, 4, 16, 100)  # cases, and in how many parts
SPEC = "name: number {number}\nimage: alpine\ncommand: ['true']\nnetwork_mode: none\nexpect: {{stdout: ''}}\n---\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="ROUNDS", help="rounds (default: %(default)s)")
    parser.add_argument("--cases", type=int, default=200, metavar="N", help="of the batch (default: %(default)s)")
    parser.add_argument("--results", type=int, default=10_000, metavar="N", help="of the merge (default: %(default)s)")
    parser.add_argument("--simulate", action="store_true", help="compute what many nodes would take")
    options = parser.parse_args()
    if options.simulate:
        _simulate()
        return
    with tempfile.TemporaryDirectory() as name, cluster() as slurm:
        folder = pathlib.Path(name)
        with serve(_made(folder / "registry")) as registry:
            registry.push(busybox.alpine(), "library/alpine")
            mydocker = command(folder, registry=registry.address)
            _run(mydocker, {}, "pull", "-q", "alpine")
        (folder / "many.smoke.yaml").write_text("".join(SPEC.format(number=each) for each in range(options.cases)))
        (folder / "one.smoke.yaml").write_text(SPEC.format(number=0))
        print("seconds, median of", options.n)
        for file, count in (("one", 1), ("many", options.cases)):
            one = ("test", "-q", "-j", "2", f"{file}.smoke.yaml")
            _show(f"{count} cases, one process, -j 2", options.n, lambda one=one: _run(mydocker, {}, *one))
            two = ("test", "-q", "-j", "1", "--on", "slurm", "-n", "2", f"{file}.smoke.yaml")
            _show(f"{count} cases, two parts, -j 1", options.n, lambda two=two: _run(mydocker, slurm.environment, *two))
        parts = _many_results(mydocker, folder, options.results)
        size = sum(path.stat().st_size for path in parts.iterdir()) / 1e6
        text = f"report of {options.results} results in {PARTS} files, {size:.1f} MB"
        _show(text, options.n, lambda: _run(mydocker, {}, "report", "-q", "--report", "junit=all.xml", str(parts)))


def _simulate() -> None:
    """Cases whose commands take 2 s in the median, and one in fifty more than 16 s, on nodes with 4 processors each."""
    chance = random.Random(1)
    seconds = [CONTAINER + chance.lognormvariate(0.7, 1.0) for _ in range(SIMULATED)]
    print(f"{SIMULATED} cases of {sum(seconds) / SIMULATED:.1f} s in the mean, the longest {max(seconds):.0f} s; -j 4")
    for count in SHARED:
        parts = [QUEUE * (part + 1) + PART + _lasts(seconds[part::count], jobs=4) for part in range(count)]
        ideal = sum(seconds) / 4 / count
        whole = max(parts) + MERGE * SIMULATED
        print(f"{count:4} parts: {whole:8.1f} s, {whole / ideal:.2f} times what an even division would take")


def _lasts(seconds: list[float], *, jobs: int) -> float:
    """How long JOBS at once take for cases that take SECONDS, in their order."""
    free = [0.0] * jobs
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def _run(mydocker: Command, environment: Mapping[str, str], *words: str) -> float:
    began = time.monotonic()
    done = mydocker(*words, env=environment, timeout=600)
    assert done.code == 0, done
    return time.monotonic() - began


def _show(text: str, rounds: int, run: Callable[[], float]) -> None:
    print(f"{statistics.median(run() for _ in range(rounds)):8.2f}  {text}", flush=True)


def _made(directory: pathlib.Path) -> pathlib.Path:
    directory.mkdir()
    return directory


def _many_results(mydocker: Command, folder: pathlib.Path, count: int) -> pathlib.Path:
    """A directory with the results of COUNT cases, in the files of parts: those of one case, over and over again."""
    _run(mydocker, {}, "test", "--shard", "1/1", "--report", "jsonl=one.jsonl", "one.smoke.yaml")
    heading, line = map(json.loads, (folder / "one.jsonl").read_text().splitlines())
    cases = [{**heading["cases"][0], "name": f"number {number}"} for number in range(count)]
    for part in range(PARTS):
        common = {"of": count, "part": f"{part + 1}/{PARTS}"}
        rows = [{**heading, **common, "cases": cases}]
        rows += [
            {**line, **common, "number": number, "case": {**line["case"], "name": f"number {number}"}}
            for number in range(part, count, PARTS)
        ]
        (folder / "parts").mkdir(exist_ok=True)
        (folder / "parts" / f"{part + 1}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "parts"


if __name__ == "__main__":
    main()
