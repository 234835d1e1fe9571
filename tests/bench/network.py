"""What a private network and a published port cost, next to Docker and Podman with their default networks.

    sudo .venv/bin/python tests/bench/network.py [-n RUNS] [--with-docker] [--alone] [--starts] [--json]

First the start of a container that does nothing, with a network and without; mydocker's row `in turn` has another
container in the network meanwhile, so that its bridge is there. Then a server in a container, by the host's loopback
and by its other address: 1 GB and its checksum, connections in turn, and 1,000 of them at once. The contestants take
turns; ratios are of one session.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import http.client
import os
import pathlib
import selectors
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

import figures
from figures import Figures
from peers import OURS, Contestant, contestants

SIZE = 1 << 30
IN_TURN, AT_ONCE = 10_000, 1_000
PORT = 18080
ZEROS = hashlib.sha256(bytes(SIZE)).hexdigest()
BRIDGE, IN_A_ROW = f"{OURS}, bridge", f"{OURS}, bridge, in turn"
DOCKER = "docker run (default network)"


def main() -> None:
    parser = figures.parser(__doc__)
    parser.add_argument(
        "-n", type=figures.count, default=20, metavar="RUNS", help="runs of each (default: %(default)s)"
    )
    parser.add_argument("--starts", action="store_true", help="no traffic")
    options = figures.parsed(parser)
    found = Figures("network", as_json=options.json)
    peers = contestants(with_docker=options.with_docker, alone=options.alone)
    with peers as (_, ready), tempfile.TemporaryDirectory() as directory:
        networked = {BRIDGE: _instead(ready[OURS], "bridge"), IN_A_ROW: _instead(ready[OURS], "bridge")}
        if "podman run" in ready:
            networked["podman run (default network)"] = _instead(ready["podman run"], None)
        if DOCKER in ready:
            networked[DOCKER] = ready[DOCKER]
        _starts({OURS: ready[OURS], **networked}, options.n, found)
        networked.pop(IN_A_ROW)
        server = f"{directory}/server"
        if not options.starts:
            source = pathlib.Path(__file__).with_name("server.c")
            subprocess.run(["gcc", "-O2", "-static", "-o", server, source], check=True)
        for name, contestant in {} if options.starts else networked.items():
            for address in ("127.0.0.1", _other_address()):
                if name == DOCKER and address != "127.0.0.1":
                    continue  # its daemon has a network namespace with no other address
                _traffic(name, contestant, address, server=server, found=found)
    found.finish()


def _instead(contestant: Contestant, network: str | None) -> Contestant:
    """CONTESTANT with another network than `none`; None: its default."""
    argv = [*contestant.argv]
    at = argv.index("--network")
    argv[at : at + 2] = ["--network", network] if network else []
    return Contestant(argv, contestant.env)


def _starts(contestants: dict[str, Contestant], runs: int, found: Figures) -> None:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, contestant in contestants.items():
            if name == IN_A_ROW:
                contestant.seconds()  # its bridge stays a moment
            else:
                time.sleep(0.6)
            times[name].append(contestant.seconds())
    medians = {name: statistics.median(each) * 1000 for name, each in times.items()}
    found.say(f"\n{'start, median of ' + str(runs):36}{'ms':>8}{'over no network':>17}{'times mydocker':>16}")
    for name, median in medians.items():
        found.add(name, "ms", (each * 1000 for each in times[name]))
        found.say(f"{name:36}{median:8.1f}{median - medians[OURS]:17.1f}{median / medians[BRIDGE]:16.2f}")


@contextlib.contextmanager
def _running(contestant: Contestant, server: str) -> Iterator[None]:
    argv = contestant.argv[:-1]
    run = argv.index("run")
    argv = [*argv[: run + 1], "-p", f"{PORT}:80", "-v", f"{server}:/server:ro", *argv[run + 1 :], "/server"]
    with subprocess.Popen(argv, env=contestant.env, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def _traffic(name: str, contestant: Contestant, address: str, *, server: str, found: Figures) -> None:
    with _running(contestant, server), _inside_of_docker(name, contestant):
        _wait(address)
        gigabyte = _seconds(lambda: _fetch_all(address))
        in_turn = _seconds(lambda: [_fetch(address, "/small") for _ in range(IN_TURN)])
        at_once = _seconds(lambda: _at_once(address))
    subject = f"{name}, {address}"
    found.add(f"{subject}, 1 GB", "MB/s", [SIZE / gigabyte / 1e6])
    found.add(f"{subject}, a connection", "ms", [in_turn / IN_TURN * 1000])
    found.add(f"{subject}, {AT_ONCE} at once", "s", [at_once])
    found.say(f"{subject:52}1 GB {SIZE / gigabyte / 1e6:6.0f} MB/s", end="")
    found.say(f"{in_turn / IN_TURN * 1000:8.2f} ms a connection{at_once:8.2f} s for {AT_ONCE} at once")


@contextlib.contextmanager
def _inside_of_docker(name: str, contestant: Contestant) -> Iterator[None]:
    """In the network namespace of Docker's daemon, where the ports of its containers are."""
    if name != DOCKER:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    place = contestant.argv[contestant.argv.index("--host") + 1]
    [daemon] = [each for each in pathlib.Path("/proc").glob("[0-9]*") if _is_daemon(each, place)]
    other = os.open(daemon / "ns/net", os.O_RDONLY)
    libc.setns(other, 0)
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(own, 0)


def _is_daemon(process: pathlib.Path, place: str) -> bool:
    """Whether PROCESS is the Docker daemon that is reached at PLACE; others may have theirs."""
    try:
        return (process / "comm").read_text() == "dockerd\n" and place in (process / "cmdline").read_text().split("\0")
    except OSError:
        return False


def _other_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])


def _seconds(action: Callable[[], object]) -> float:
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def _wait(address: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return _fetch(address, "/small")
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")


def _fetch(address: str, path: str) -> None:
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    connection.request("GET", path)
    assert connection.getresponse().read() == b"hello\n"
    connection.close()


def _fetch_all(address: str) -> None:
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    connection.request("GET", "/big")
    response, checksum, buffer = connection.getresponse(), hashlib.sha256(), bytearray(1 << 20)
    while count := response.readinto(buffer):
        checksum.update(memoryview(buffer)[:count])
    assert checksum.hexdigest() == ZEROS
    connection.close()


def _at_once(address: str) -> None:
    """All connections are open before the first of them asks."""
    waiting = [socket.create_connection((address, PORT), timeout=60) for _ in range(AT_ONCE)]
    with selectors.DefaultSelector() as selector:
        for each in waiting:
            each.sendall(b"GET /small HTTP/1.0\r\n\r\n")
            selector.register(each, selectors.EVENT_READ)
        left = dict.fromkeys(waiting, b"")
        while left:
            for key, _ in selector.select():
                each = key.fileobj
                assert isinstance(each, socket.socket)
                data = each.recv(1 << 16)
                left[each] += data
                if not data:
                    assert left.pop(each).endswith(b"hello\n")
                    selector.unregister(each)
                    each.close()


if __name__ == "__main__":
    main()
