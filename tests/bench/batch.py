"""How long a hundred containers take, as a batch of mydocker, next to as many runs of the runtimes that are installed.

    sudo .venv/bin/python tests/bench/batch.py [-n ROUNDS] [--containers N] [--with-docker]

Each container runs `true` in an image that is present, without a network. mydocker has a spec file for each, and runs
all in one process, one after the other and two at once; of the others each run is a process. Medians and ratios
are of one session and compare with no other. The last line is about a thousand spec files, loaded and validated.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import tempfile

from peers import OURS, Contestant, contestants

LOADED = 1000
SPEC = "name: number {number}\nimage: alpine\ncommand: ['true']\nnetwork_mode: none\nexpect: {{stdout: ''}}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="ROUNDS", help="rounds (default: %(default)s)")
    parser.add_argument("--containers", type=int, default=100, metavar="N", help="of a round (default: %(default)s)")
    parser.add_argument("--with-docker", action="store_true", help="start a dockerd for the comparison")
    options = parser.parse_args()
    with contestants(with_docker=options.with_docker) as (mydocker, ready), tempfile.TemporaryDirectory() as directory:
        few, many = pathlib.Path(directory, "few"), pathlib.Path(directory, "many")
        environment = dict(mydocker.environment)
        batches = {
            f"mydocker test -j {jobs}": Contestant(mydocker.argv("test", "-j", jobs, str(few)), environment)
            for jobs in "12"
        }
        _write(few, options.containers)
        _write(many, LOADED)
        rounds: dict[str, list[float]] = {name: [] for name in (*batches, *ready)}
        for _ in range(options.n):
            for name, contestant in batches.items():
                rounds[name].append(contestant.seconds())
            for name, contestant in ready.items():
                rounds[name].append(sum(contestant.seconds() for _ in range(options.containers)))
        _report(rounds, options.containers)
        files = [str(path) for path in sorted(many.iterdir())]
        loading = Contestant(mydocker.argv("check", *files), environment)
        seconds = statistics.median(loading.seconds() for _ in range(options.n))
        print(f"\nmydocker check of {LOADED} files: {seconds:.2f} s")


def _write(directory: pathlib.Path, count: int) -> None:
    directory.mkdir()
    for number in range(count):
        (directory / f"{number:04}.smoke.yaml").write_text(SPEC.format(number=number))


def _report(rounds: dict[str, list[float]], count: int) -> None:
    """A line for each contestant: milliseconds for a container, its process's start included."""
    medians = {name: statistics.median(seconds) / count * 1000 for name, seconds in rounds.items()}
    first, *_ = medians.values()
    some = len(rounds[OURS])
    print(f"\n{f'median of {some} x {count} containers':36}{'ms for one':>12}{'times the batch':>18}")
    for name, median in medians.items():
        print(f"{name:36}{median:12.1f}{median / first:18.2f}")


if __name__ == "__main__":
    main()
