"""What the benchmarks of starts, batches, pulls, services and networks measure, and the ratios to lower, in one run.

    sudo .venv/bin/python tests/bench/all.py [--only NAME,NAME] [-n RUNS] [--with-docker] [--alone] [--json]

It takes some minutes. A ratio for which something is not installed is not given. All compares within this run only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import figures
from figures import BENCHMARKS, Failed, Figure

PYTHON, OURS, RUNC = "python -c pass", "mydocker run", "runc run (a ready bundle)"
BRIDGE, DOCKER_BRIDGE = "mydocker run, bridge", "docker run (default network)"
LISTED = 200  # containers

Results = Mapping[str, Mapping[str, Figure]]  # by benchmark and name


@dataclass(frozen=True)
class Goal:
    """`value` of the medians of one benchmark is to be at most, or at least, `limit`. KeyError if one is missing."""

    text: str
    benchmark: str
    value: Callable[[Mapping[str, float]], float]
    limit: float
    at_least: bool = False

    def is_met(self, found: float) -> bool:
        return found >= self.limit if self.at_least else found <= self.limit

    def found(self, results: Results) -> float | None:
        """None if it has not been measured."""
        medians = {name: each.median for name, each in results.get(self.benchmark, {}).items()}
        try:
            return self.value(medians)
        except KeyError:
            return None


def _ratio(one: str, other: str) -> Callable[[Mapping[str, float]], float]:
    return lambda medians: medians[one] / medians[other]


def _better(medians: Mapping[str, float]) -> float:
    """How many times as long the better of the others takes for a pull."""
    return min(medians["podman pull"], medians["docker pull"]) / medians["mydocker pull"]


_EXEC, _UP, _PS = "exec of true", "up of 10 services until healthy", f"ps of {LISTED} containers"
GOALS = (
    Goal("start / python -c pass", "start", _ratio(OURS, PYTHON), 1.8),
    Goal("start / runc, where Python starts in 10 ms", "start", _ratio(OURS, RUNC), 1.0),
    Goal("in a batch / runc", "batch", _ratio("mydocker test -j 1", RUNC), 0.4),
    Goal("in a batch, two at once / runc", "batch", _ratio("mydocker test -j 2", RUNC), 0.28),
    Goal("a bridge that is there, ms more", "network", lambda of: of[f"{BRIDGE}, in turn"] - of[OURS], 8),
    Goal("the first on a bridge, ms more", "network", lambda of: of[BRIDGE] - of[OURS], 8),
    Goal("the first on a bridge / docker run", "network", _ratio(BRIDGE, DOCKER_BRIDGE), 0.125),
    Goal("exec / python -c pass", "services", _ratio(f"{_EXEC}: mydocker", f"{_EXEC}: {PYTHON}"), 1.5),
    Goal("up of ten services / docker-compose", "services", _ratio(f"{_UP}: mydocker", f"{_UP}: docker"), 0.2),
    Goal(f"{_PS} / python -c pass", "services", _ratio(f"{_PS}: mydocker", f"{_PS}: {PYTHON}"), 1.5),
    Goal("better of podman and docker / pull", "pull", _better, 4.0, at_least=True),
)


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument("--only", type=figures.chosen, default=list(BENCHMARKS), metavar="NAME,NAME", help="of these")
    parser.add_argument("-n", type=figures.count, metavar="RUNS", help="of each (default: its own number)")
    options = figures.parsed(parser)
    results: dict[str, Mapping[str, Figure]] = {}
    for name in options.only:
        words = [*BENCHMARKS[name], *(["-n", str(options.n)] if options.n else [])]  # of two, the last counts
        words += ["--containers", str(LISTED)] if name == "services" else []
        words += ["--alone"] if options.alone else []
        words += ["--with-docker"] if options.with_docker and name != "pull" else []
        try:
            results[name] = figures.measured(sys.executable, name, *words)
        except Failed as problem:
            raise SystemExit(str(problem)) from None
        if not options.json:
            _print(name, results[name])
    goals = [(goal, goal.found(results)) for goal in GOALS if goal.benchmark in results]
    if options.json:
        print(json.dumps(_document(results, goals)))
        return
    print(f"\n{'ratio':48}{'found':>10}{'wanted':>12}")
    for goal, found in goals:
        verdict = "" if found is None or goal.is_met(found) else "   missed"
        wanted = f"{'>=' if goal.at_least else '<='} {goal.limit:g}"
        print(f"{goal.text:48}{'-' if found is None else f'{found:.2f}':>10}{wanted:>12}{verdict}")


def _print(benchmark: str, found: Mapping[str, Figure]) -> None:
    print(f"\n{benchmark:64}{'median':>10}{'least':>10}{'most':>10}")
    for name, each in found.items():
        print(f"{name:56}{each.unit:>8}{each.median:10.2f}{min(each.values):10.2f}{max(each.values):10.2f}", flush=True)


def _document(results: Results, goals: list[tuple[Goal, float | None]]) -> dict[str, object]:
    return {
        "benchmarks": [
            {"benchmark": name, "figures": [each.as_json() for each in found.values()]}
            for name, found in results.items()
        ],
        "ratios": [
            {
                "name": goal.text,
                "found": found,
                "at_least" if goal.at_least else "at_most": goal.limit,
                "met": None if found is None else goal.is_met(found),
            }
            for goal, found in goals
        ],
    }


if __name__ == "__main__":
    main()
