"""What containers in the background cost, next to Docker with docker-compose and Podman with podman-compose.

    sudo .venv/bin/python tests/bench/services.py [-n RUNS] [--containers COUNT] [--with-docker] [--alone] [--json]

`up` of ten services until all are healthy, and `down`; `exec` of a command that does nothing; the memory that each idle
container takes besides its own processes; and the list of many containers. The contestants take turns; ratios are of
one session.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import figures
from figures import Figures
from peers import OURS, Contestant, contestants

SERVICES = 10
IDLE = ("sleep", "100000")
NAMES = {OURS: "mydocker", "podman run": "podman", "docker run": "docker"}
COMPOSE = {"podman": "podman-compose", "docker": "docker-compose"}
FLOOR = "python -c pass"


class Engine:
    """A program that runs containers in the background: how it is called, and by what name it knows the image."""

    def __init__(self, name: str, contestant: Contestant) -> None:
        self.name, self.image = name, contestant.argv[-2]
        self.prefix = contestant.argv[: contestant.argv.index("run")]
        self.env = contestant.env or dict(os.environ)

    def __call__(self, *words: str) -> str:
        return _run([*self.prefix, *words], self.env)

    def contestant(self, *words: str) -> Contestant:
        return Contestant([*self.prefix, *words], self.env)

    def begin(self, count: int) -> list[str]:
        """The names of COUNT idle containers that run from now on."""
        names = [f"idle{number}" for number in range(count)]
        for name in names:
            self("run", "-d", "--network", "none", "--name", name, self.image, *IDLE)
        return names

    def remove(self, names: list[str]) -> None:
        self("rm", "-f", *names)


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument(
        "-n", type=figures.count, default=10, metavar="RUNS", help="runs of each (default: %(default)s)"
    )
    listed = "in the list (default: %(default)s)"
    parser.add_argument("--containers", type=figures.count, default=200, metavar="COUNT", help=listed)
    options = figures.parsed(parser)
    found = Figures("services", as_json=options.json)
    peers = contestants(with_docker=options.with_docker, alone=options.alone)
    with peers as (_, ready), tempfile.TemporaryDirectory() as directory:
        engines = [Engine(NAMES[name], contestant) for name, contestant in ready.items() if name in NAMES]
        _projects(engines, pathlib.Path(directory), min(options.n, max(3, options.n // 3)), found)
        _executions(engines, options.n, found)
        for engine in engines:
            _memory(engine, found)
        _lists(engines, options.containers, options.n, found)
    found.finish()


def _projects(engines: list[Engine], directory: pathlib.Path, runs: int, found: Figures) -> None:
    """Time `up` until all services are healthy, and `down`."""
    ups: dict[str, list[float]] = {}
    downs: dict[str, list[float]] = {}
    for _ in range(runs):
        for engine in engines:
            with suppress(FileNotFoundError):
                up, down = _compose(engine, directory)
                ups.setdefault(engine.name, []).append(_seconds(up))
                downs.setdefault(engine.name, []).append(_seconds(down))
    _report(f"up of {SERVICES} services until healthy", ups, found)
    _report("down", downs, found)


def _compose(engine: Engine, directory: pathlib.Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """What brings the project up, and down. Raises FileNotFoundError if the program for it is not installed."""
    project = directory / engine.name
    project.mkdir(exist_ok=True)
    service = {
        "image": engine.image,
        "command": list(IDLE),
        "init": True,
        "stop_grace_period": "1s",
        "healthcheck": {"test": ["CMD", "true"], "interval": "200ms", "timeout": "5s", "retries": 10},
    }
    services = {f"service{number}": service for number in range(SERVICES)}
    file = project / "docker-compose.yml"
    file.write_text(json.dumps({"version": "2.4", "services": services}))
    if engine.name == "mydocker":
        files = ("-f", str(file))
        return lambda: engine("up", *files, "-d", "--wait"), lambda: engine("down", *files)
    argv, env = _compose_argv(engine, project)
    argv += ["-f", str(file)]

    def up() -> None:
        _run([*argv, "up", "-d"], env)
        while engine("ps", "-q", "--filter", "health=healthy").count("\n") < SERVICES:
            if engine.name == "podman":  # without systemd, nobody runs its health checks
                for each in engine("ps", "-q").split():
                    engine("healthcheck", "run", each)
            time.sleep(0.05)

    return up, lambda: _run([*argv, "down", "-t", "1"], env)


def _compose_argv(engine: Engine, project: pathlib.Path) -> tuple[list[str], Mapping[str, str]]:
    program = shutil.which(COMPOSE[engine.name])
    if not program:
        raise FileNotFoundError(COMPOSE[engine.name])
    if engine.name == "docker":
        return [program], {**engine.env, "DOCKER_HOST": engine.prefix[engine.prefix.index("--host") + 1]}
    wrapper = project / "podman"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(engine.prefix)} "$@"\n')
    wrapper.chmod(0o755)
    return [program, "--podman-path", str(wrapper)], engine.env


def _executions(engines: list[Engine], runs: int, found: Figures) -> None:
    """Time `exec` of `true`, next to Python's own start."""
    times: dict[str, list[float]] = {FLOOR: []}
    floor = Contestant([sys.executable, "-c", "pass"])
    for engine in engines:
        engine.begin(1)
    for _ in range(runs):
        times[FLOOR].append(floor.seconds())
        for engine in engines:
            times.setdefault(engine.name, []).append(engine.contestant("exec", "idle0", "true").seconds())
    for engine in engines:
        engine.remove(["idle0"])
    _report("exec of true", times, found)


def _memory(engine: Engine, found: Figures, count: int = 10) -> None:
    """What each of COUNT idle containers takes, without its own processes."""
    before = _processes()
    names = engine.begin(count)
    time.sleep(2)
    new = [pid for pid in _processes() - before if _command_line(pid) != IDLE]
    megabytes = sum(map(_pss, new)) / count / 1024
    found.add(f"memory of an idle container: {engine.name}", "MB", [megabytes])
    found.say(f"\nmemory of an idle container, {engine.name}: {megabytes:.1f} MB (Pss)", end="")
    found.say(f" in {len(new) / count:.1f} processes")
    engine.remove(names)


def _lists(engines: list[Engine], count: int, runs: int, found: Figures) -> None:
    """Time the list of COUNT containers."""
    times: dict[str, list[float]] = {FLOOR: []}
    started: dict[str, list[str]] = {}
    for engine in engines:
        before = time.perf_counter()
        started[engine.name] = engine.begin(count)
        took = time.perf_counter() - before
        found.add(f"{count} containers started: {engine.name}", "s", [took])
        found.say(f"\n{count} containers started by {engine.name}: {took:.1f} s", end="")
    floor = Contestant([sys.executable, "-c", "pass"])
    for _ in range(runs):
        times[FLOOR].append(floor.seconds())
        for engine in engines:
            times.setdefault(engine.name, []).append(engine.contestant("ps").seconds())
    for engine in engines:
        engine.remove(started[engine.name])
    found.say("")
    _report(f"ps of {count} containers", times, found)


def _run(argv: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(argv)}: {done.returncode}\n{done.stderr}")
    return done.stdout


def _seconds(action: Callable[[], object]) -> float:
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def _report(title: str, times: Mapping[str, list[float]], found: Figures) -> None:
    medians = {name: statistics.median(each) * 1000 for name, each in times.items()}
    runs = len(times["mydocker"])
    found.say(f"\n{title + ', median of ' + str(runs):48}{'ms':>8}{'times mydocker':>16}")
    for name, median in medians.items():
        found.add(f"{title}: {name}", "ms", (each * 1000 for each in times[name]))
        found.say(f"{name:48}{median:8.1f}{median / medians['mydocker']:16.2f}")


def _processes() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}


def _command_line(pid: int) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1])
    return ()


def _pss(pid: int) -> int:
    """The memory of process PID in KiB, its part of what it shares (proc(5), smaps_rollup); 0 if it has ended."""
    with suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
