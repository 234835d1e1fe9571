"""What it costs to run a batch in parts: on two nodes of Slurm on this machine, next to one process.

    sudo .venv/bin/python tests/bench/reach.py [-n ROUNDS] [--cases N] [--results N]

Each case runs `true` in an image that is present, without a network: there is nothing but what mydocker and Slurm do
themselves. One process runs two at once, and so do two parts with one each, on the same processors. The last line is
how long `mydocker report` takes for results of many cases. Medians are of one session and compare with no other.
"""

from __future__ import annotations

import argparse
import json
import pathlib
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
SPEC = "name: number {number}\nimage: alpine\ncommand: ['true']\nnetwork_mode: none\nexpect: {{stdout: ''}}\n---\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="ROUNDS", help="rounds (default: %(default)s)")
    parser.add_argument("--cases", type=int, default=200, metavar="N", help="of the batch (default: %(default)s)")
    parser.add_argument("--results", type=int, default=10_000, metavar="N", help="of the merge (default: %(default)s)")
    options = parser.parse_args()
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
