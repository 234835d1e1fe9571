"""What a benchmark has measured: tables as it goes, or with --json one document at the end.

    {"benchmark": "start", "figures": [{"name": "mydocker run", "unit": "ms", "median": 21.3, "values": [...]}, ...]}

`values` are in the order in which they were measured. What is written besides goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

HERE = pathlib.Path(__file__).parent
# those that are measured together, and how much of each
BENCHMARKS = {
    "start": ("-n", "30"),
    "batch": ("-n", "3"),
    "pull": ("-n", "3"),
    "services": ("-n", "6"),
    "network": ("-n", "20", "--starts"),
}


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str  # ms, s, MB, MB/s, calls
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "median": self.median}


class Figures:
    """Those of one BENCHMARK; AS_JSON says that only the document is printed."""

    def __init__(self, benchmark: str, *, as_json: bool) -> None:
        self._benchmark, self._as_json = benchmark, as_json
        self._all: list[Figure] = []

    def add(self, name: str, unit: str, values: Iterable[float]) -> None:
        self._all.append(Figure(name, unit, tuple(values)))

    def say(self, *lines: str, end: str = "\n") -> None:
        """Print LINES of a table, unless a document is wanted."""
        if not self._as_json:
            print(*lines, sep="\n", end=end, flush=True)

    def finish(self) -> None:
        """Print the document, if it is wanted."""
        if self._as_json:
            print(json.dumps({"benchmark": self._benchmark, "figures": [each.as_json() for each in self._all]}))


def parser(text: str | None, *, docker: bool = True) -> argparse.ArgumentParser:
    """The options that benchmarks have in common; DOCKER says whether a daemon can be started for it."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print one JSON document in place of tables")
    made.add_argument("--alone", action="store_true", help="mydocker alone, without other runtimes")
    if docker:
        made.add_argument("--with-docker", action="store_true", help="start a dockerd for the comparison")
    return made


def count(text: str) -> int:
    """A number of runs, of rounds: 1 or more. ArgumentTypeError, ValueError."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of this process, which from now on leaves nothing behind when SIGINT or SIGTERM ends it: at the first
    one it unwinds, and further ones do not disturb that."""

    def end(number: int, _: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    options = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    return options


def total_calls(summary: Sequence[str]) -> int:
    """How many system calls the lines of strace(1)'s SUMMARY count, but for those by which threads wait for each other:
    there are more or fewer of these each time."""
    heading = next(line for line in summary if line.startswith("% time"))  # messages may precede it
    end = heading.index("calls") + len("calls")  # columns are as wide as their headings, and some fields are empty
    counts = {line.split()[-1]: int(line[:end].split()[-1]) for line in summary if line.endswith((" total", " futex"))}
    return counts["total"] - counts.get("futex", 0)


class Failed(Exception):
    """A benchmark has failed, and has said why on standard error."""


def measured(python: str, benchmark: str, *options: str) -> dict[str, Figure]:
    """The figures of BENCHMARK, a script of this directory, by name: run by the interpreter PYTHON with OPTIONS.
    Failed."""
    argv = [python, str(HERE / f"{benchmark}.py"), *options, "--json"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()  # and wait, at the end of the `with`, while it clears up
            raise
    if process.returncode:
        raise Failed(f"{benchmark} has failed: exit code {process.returncode}")
    document = json.loads(output)
    return {each["name"]: Figure(each["name"], each["unit"], tuple(each["values"])) for each in document["figures"]}


def chosen(text: str) -> list[str]:
    """The benchmarks of a list with commas. ArgumentTypeError."""
    names = text.split(",")
    for name in names:
        if name not in BENCHMARKS:
            raise argparse.ArgumentTypeError(f"unknown benchmark {name!r}: there are {', '.join(BENCHMARKS)}")
    return names
