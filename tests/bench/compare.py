"""Two commits in one run: what the benchmarks measure of mydocker in each, and the ratio.

    sudo tests/bench/compare OLD NEW [--only NAME,NAME] [--rounds N] [--json]

OLD and NEW are commits, each installed in a new environment of its own; or the path of an interpreter, to measure the
mydocker that it has, such as this clone's: `sudo tests/bench/compare main .venv/bin/python`. The benchmarks are those
of this clone, and what mydocker depends on is of the environment that this runs in, so that nothing else differs. In
each round one comes after the other, and the next round begins with the other one. All is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict

import figures
from figures import BENCHMARKS, HERE, Failed

ROOT = HERE.parent.parent
SHORT = {  # of a round
    "start": ("-n", "5"),
    "batch": ("-n", "1"),
    "pull": ("-n", "1"),
    "services": ("-n", "2", "--containers", "20"),
    "network": ("-n", "3", "--starts"),
}

Values = defaultdict[tuple[str, str, str], tuple[list[float], list[float]]]  # by benchmark, name, unit: old, new


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="OLD", type=_side, help="a commit, or an interpreter's path")
    parser.add_argument("new", metavar="NEW", type=_side)
    parser.add_argument("--only", type=figures.chosen, default=list(BENCHMARKS), metavar="NAME,NAME", help="of these")
    parser.add_argument("--rounds", type=figures.count, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument("-n", type=figures.count, metavar="RUNS", help="of each in a round (default: its own number)")
    parser.add_argument("--json", action="store_true", help="print one JSON document in place of a table")
    options = figures.parsed(parser)
    try:
        with tempfile.TemporaryDirectory() as directory:
            sides = [_interpreter(side, pathlib.Path(directory, name)) for name, side in _named(options)]
            found = _measured(sides, options.only, options.rounds, options.n)
    except Failed as problem:
        raise SystemExit(str(problem)) from None
    _report(found, [str(side) for _, side in _named(options)], as_json=options.json)


class Side:
    """One of the two, as it was named: `python` is the path of an interpreter, or None if it is a `commit`."""

    def __init__(self, text: str, *, python: str | None, commit: str) -> None:
        self._text, self.python, self.commit = text, python, commit

    def __str__(self) -> str:
        return self._text if self.python else f"{self._text} ({self.commit[:12]})"


def _named(options: argparse.Namespace) -> tuple[tuple[str, Side], tuple[str, Side]]:
    return ("old", options.old), ("new", options.new)


def _side(text: str) -> Side:
    """What TEXT means. ArgumentTypeError."""
    if os.path.isfile(text):
        if not os.access(text, os.X_OK):
            raise argparse.ArgumentTypeError(f"{text} is a file, and no interpreter")
        return Side(text, python=os.path.abspath(text), commit="")
    argv = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}"]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise argparse.ArgumentTypeError(done.stderr.strip() or f"{text!r} is no commit of {ROOT}, and no interpreter")
    return Side(text, python=None, commit=done.stdout.strip())


def _interpreter(side: Side, place: pathlib.Path) -> str:
    """The interpreter of SIDE; for a commit, of an environment that is made in PLACE. Failed."""
    if side.python:
        return side.python
    source, python = place / "source", str(place / "environment/bin/python")
    source.mkdir(parents=True)
    _output("git", "-C", str(ROOT), "archive", "--output", str(place / "source.tar"), side.commit)
    _output("tar", "-xf", str(place / "source.tar"), "-C", str(source))
    _output(sys.executable, "-m", "venv", "--without-pip", str(place / "environment"))
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    library = pathlib.Path(os.fsdecode(_output(python, "-c", ask)).strip())
    (library / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-build-isolation"]
    _output(*pip, str(source))
    return python


def _output(*argv: str) -> bytes:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _measured(sides: list[str], names: list[str], rounds: int, runs: int | None) -> Values:
    values: Values = defaultdict(lambda: ([], []))
    for number in range(rounds):
        for name in names:
            words = [*SHORT[name], *(["-n", str(runs)] if runs else []), "--alone"]  # of two, the last counts
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                for each in figures.measured(sides[which], name, *words).values():
                    values[name, each.name, each.unit][which].extend(each.values)
    return values


def _report(found: Values, sides: list[str], *, as_json: bool) -> None:
    rows = []
    for (benchmark, name, unit), (old, new) in found.items():
        if old and new:  # both have it
            before, after = statistics.median(old), statistics.median(new)
            ratio = after / before if before else None
            rows.append((benchmark, name, unit, before, after, ratio, old, new))
    if as_json:
        keys = ("benchmark", "name", "unit", "old", "new", "ratio", "old_values", "new_values")
        text = {"old": sides[0], "new": sides[1], "figures": [dict(zip(keys, row, strict=True)) for row in rows]}
        print(json.dumps(text))
        return
    print(f"old: {sides[0]}\nnew: {sides[1]}\n\n{'medians':72}{'old':>10}{'new':>10}{'ratio':>8}")
    for benchmark, name, unit, before, after, ratio, *_ in rows:
        print(
            f"{benchmark:10}{name:54}{unit:>8}{before:10.2f}{after:10.2f}{'-' if ratio is None else f'{ratio:.2f}':>8}"
        )


if __name__ == "__main__":
    main()
