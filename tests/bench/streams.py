"""How fast 1 GB goes through a container's standard output and input, next to `cat` between two pipes.

    sudo .venv/bin/python tests/bench/streams.py [-n RUNS] [--with-docker] [--alone] [--json]

Each row is one whole pipeline, start included; the contestants take turns. Ratios are of one session.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
import time

import figures
from figures import Figures
from peers import OURS, Contestant, contestants

SIZE = 1 << 30
PLAIN = "cat"
DOCKER = "docker run"
PRODUCE, CONSUME = f"dd if=/dev/zero bs=64k count={SIZE >> 16} 2> /dev/null", "cat > /dev/null"


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument("-n", type=figures.count, default=5, metavar="RUNS", help="runs of each (default: %(default)s)")
    options = figures.parsed(parser)
    with contestants(with_docker=options.with_docker, alone=options.alone) as (_, ready):
        pipelines: dict[str, tuple[str, Contestant | None]] = {}
        for name in (OURS, "podman run", DOCKER):
            if name in ready:
                words = ready[name].argv[:-1]  # without its `true`
                run = words.index("run")
                command = shlex.join([*words, "sh", "-c", PRODUCE])
                pipelines[f"stdout: {name}"] = (f"{command} | {CONSUME}", ready[name])
                command = shlex.join([*words[: run + 1], "-i", *words[run + 1 :], "sh", "-c", CONSUME])
                pipelines[f"stdin: {name}"] = (f"{PRODUCE} | {command}", ready[name])
        pipelines[f"stdout: {PLAIN}"] = (f"busybox {PRODUCE} | {CONSUME}", None)
        pipelines[f"stdin: {PLAIN}"] = (f"{PRODUCE} | busybox {CONSUME}", None)
        times: dict[str, list[float]] = {name: [] for name in pipelines}
        for _ in range(options.n):
            for name, (script, contestant) in pipelines.items():
                times[name].append(_seconds(script, contestant))
    found = Figures("streams", as_json=options.json)
    found.say(f"\n{'median of ' + str(options.n):28}{'s':>8}{'MB/s':>8}{'rate of cat':>13}")
    for name, each in sorted(times.items(), reverse=True):
        median = statistics.median(each)
        plain = statistics.median(times[f"{name.split(':')[0]}: {PLAIN}"])
        found.add(name, "MB/s", (SIZE / took / 1e6 for took in each))
        found.say(f"{name:28}{median:8.2f}{SIZE / median / 1e6:8.0f}{plain / median:13.2f}")
    found.finish()


def _seconds(script: str, contestant: Contestant | None) -> float:
    before = time.perf_counter()
    subprocess.run(["sh", "-c", script], env=contestant.env if contestant else None, check=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
