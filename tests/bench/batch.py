"""How long a hundred containers take, as a batch of mydocker, next to as many runs of the runtimes that are installed.

    sudo .venv/bin/python tests/bench/batch.py [-n ROUNDS] [--containers N] [--with-docker] [--alone] [--json]

Each container runs `true` in an image that is present, without a network. mydocker has a spec file for each, and runs
all in one process, one after the other and two at once; of the others each run is a process. Medians and ratios
are of one session and compare with no other. The last line is about a thousand spec files, loaded and validated.
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile

import figures
from figures import Figures
from peers import OURS, Contestant, contestants

LOADED = 1000
SPEC = "name: number {number}\nimage: alpine\ncommand: ['true']\nnetwork_mode: none\nexpect: {{stdout: ''}}\n"


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument("-n", type=figures.count, default=3, metavar="ROUNDS", help="rounds (default: %(default)s)")
    containers = "containers of a round (default: %(default)s)"
    parser.add_argument("--containers", type=figures.count, default=100, metavar="N", help=containers)
    options = figures.parsed(parser)
    found = Figures("batch", as_json=options.json)
    peers = contestants(with_docker=options.with_docker, alone=options.alone)
    with peers as (mydocker, ready), tempfile.TemporaryDirectory() as directory:
        few, many = pathlib.Path(directory, "few"), pathlib.Path(directory, "many")
        environment = dict(mydocker.environment)
        batches = {
            f"mydocker test -j {jobs}": Contestant(mydocker.argv("test", "-j", jobs, str(few)), environment)
            for jobs in "12"
        }
        _write(few, options.containers)
        _write(many, LOADED)
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in (*batches, *ready)}
        for _ in range(options.n):
            for name, contestant in batches.items():
                rounds[name].append(contestant.measure())
            for name, contestant in ready.items():
                runs = [contestant.measure() for _ in range(options.containers)]
                rounds[name].append((sum(took for took, _ in runs), sum(used for _, used in runs)))
        _report(rounds, options.containers, found)
        files = [str(path) for path in sorted(many.iterdir())]
        loading = Contestant(mydocker.argv("check", *files), environment)
        seconds = [loading.seconds() for _ in range(options.n)]
        found.add(f"mydocker check of {LOADED} files", "s", seconds)
        found.say(f"\nmydocker check of {LOADED} files: {statistics.median(seconds):.2f} s")
    found.finish()


def _write(directory: pathlib.Path, count: int) -> None:
    directory.mkdir()
    for number in range(count):
        (directory / f"{number:04}.smoke.yaml").write_text(SPEC.format(number=number))


def _report(rounds: dict[str, list[tuple[float, float]]], count: int, found: Figures) -> None:
    """A line for each contestant: milliseconds for a container, its process's start included."""
    of_one = {
        name: [(took / count * 1000, used / count * 1000) for took, used in each] for name, each in rounds.items()
    }
    medians = {name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in of_one.items()}
    (first, _), *_ = medians.values()
    title = f"median of {len(rounds[OURS])} x {count} containers"
    found.say(f"\n{title:36}{'ms for one':>12}{'processor':>11}{'times the batch':>18}")
    for name, (took, used) in medians.items():
        found.add(name, "ms", (each[0] for each in of_one[name]))
        found.add(f"{name}, processor", "ms", (each[1] for each in of_one[name]))
        found.say(f"{name:36}{took:12.1f}{used:11.1f}{took / first:18.2f}")


if __name__ == "__main__":
    main()
