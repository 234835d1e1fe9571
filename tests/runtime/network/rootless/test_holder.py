"""The holder of an ordinary user's networks: there is one, it lives as long as it is used, and reaches the outside."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from lab.machines import Machine, mounted
from lab.processes import wait_for, within

from mydocker import idmap
from mydocker.errors import HostError
from mydocker.runtime.network.port_relay import process as port_relay_process  # noqa: F401  # the user may not read it
from mydocker.runtime.network.rootless import ALIVE, attachment, find
from mydocker.runtime.network.rootless.holder import enter_or_start
from mydocker.runtime.network.rootless.inside import run_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mydocker.runtime.network.rootless import Holder

    AsUser = Callable[[Callable[[], None]], None]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
imported = (attachment, "".encode("idna"))  # while this process may read them


def _start(directory: str) -> Holder:
    return enter_or_start(directory, idmap.of_caller())


def _is_gone(directory: str) -> bool:
    found = find(directory)
    if found:
        found.close()
    return found is None


def _ended(process: int) -> Callable[[], bool]:
    pidfd = os.pidfd_open(process)
    return lambda: bool(select.select([pidfd], [], [], 0)[0])


def _attachments(process: int) -> list[int]:
    """What looks after pasta, and pasta; whoever is there if it is not these two within 100 s."""
    found: list[int] = []

    def are_two() -> bool:
        found[:] = [process]
        for each in found:
            with suppress(OSError):  # it has just ended
                found.extend(map(int, pathlib.Path(f"/proc/{each}/task/{each}/children").read_text().split()))
        return len(found) == 3

    within(100, are_two)
    return found[1:]


def test_there_is_one_for_all_who_come(as_user: AsUser, directory: str, other: Machine, ids: None) -> None:
    def start_twice() -> None:
        with _start(directory) as first, _start(directory) as second:
            assert first.process == second.process
            assert first.ids == idmap.of_caller()
            found = find(directory)
            assert found and found.process == first.process
            found.close()
            inside = run_inside(first, lambda: os.readlink("/proc/self/ns/net").encode())
            assert inside == run_inside(second, lambda: os.readlink("/proc/self/ns/net").encode())
            assert inside.decode() != os.readlink("/proc/self/ns/net")

    as_user(start_twice)


def test_of_many_at_once_one_starts_it(as_user: AsUser, directory: str, other: Machine, ranges: None) -> None:
    def start_many() -> None:
        reader, writer = os.pipe()
        for _ in range(20):
            if os.fork() == 0:
                os.write(writer, f"{_start(directory).process}\n".encode())
                signal.pause()
        numbers = b""
        while numbers.count(b"\n") < 20:
            numbers += os.read(reader, 4096)
        assert len({*numbers.split()}) == 1
        os.killpg(0, signal.SIGKILL)

    with pytest.raises(HostError, match="killed before it reported"):
        as_user(lambda: (os.setpgid(0, 0), start_many())[1])


def test_it_ends_a_moment_after_the_last_one_has_left(as_user: AsUser, directory: str, other: Machine) -> None:
    def start_and_leave() -> None:
        first = _start(directory)
        ended, attached = _ended(first.process), [_ended(each) for each in _attachments(first.process)]
        assert len(attached) == 2
        second = _start(directory)
        first.close()
        assert not within(2.5, ended)
        second.close()
        assert within(100, ended) and all(within(100, each) for each in attached)
        assert _is_gone(directory)

    as_user(start_and_leave)


@pytest.mark.parametrize("victim", ["user", "holder", "attachment", "program"])
def test_a_sudden_death_leaves_nothing(as_user: AsUser, directory: str, other: Machine, victim: str) -> None:
    """Whoever comes next finds a network that works."""

    def start_and_die() -> None:
        reader, writer = os.pipe()
        owner = os.fork()
        if owner == 0:
            os.write(writer, str(_start(directory).process).encode())
            signal.pause()
        process = int(os.read(reader, 100))
        supervisor, program = _attachments(process)
        everything = [_ended(each) for each in (process, supervisor, program)]
        killed = {"user": owner, "holder": process, "attachment": supervisor, "program": program}[victim]
        gone = _ended(killed)
        os.kill(killed, signal.SIGKILL)
        assert within(100, gone)
        if victim == "program":
            assert len(_attachments(process)) == 2
        if victim != "user":
            os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        assert all(within(100, each) for each in everything)
        with _start(directory) as again:
            assert again.process != process
            _connect(again, 9)

    with _listening(other, 9):
        as_user(start_and_die)


def test_another_process_with_its_number_is_not_taken_for_it(as_user: AsUser, directory: str, other: Machine) -> None:
    def write_wrong_number() -> None:
        pathlib.Path(f"{directory}/{ALIVE}").write_text(f"{os.getpid()} pasta\n")
        assert _is_gone(directory)
        with _start(directory) as started:
            assert started.process != os.getpid()

    as_user(write_wrong_number)


@contextmanager
def _listening(machine: Machine, port: int, address: str = "0.0.0.0") -> Iterator[socket.socket]:
    with machine.inside():
        server = socket.create_server((address, port))
    with server:
        yield server


def _connect(using: Holder, port: int, address: str = "192.168.77.2", *, seconds: float = 100) -> None:
    """Connect from inside within SECONDS; OSError as HostError."""
    run_inside(using, lambda: socket.create_connection((address, port), timeout=seconds).close())


@pytest.fixture(params=attachment.PROGRAMS)
def program(request: pytest.FixtureRequest) -> Iterator[str]:
    """Only one of them can be run."""
    with ExitStack() as stack:
        for name in attachment.PROGRAMS:
            if name != request.param:
                stack.enter_context(mounted("/dev/null", f"/usr/bin/{name}"))
        yield request.param


def test_the_outside_is_reached(as_user: AsUser, directory: str, other: Machine, program: str, ids: None) -> None:
    def reach() -> None:
        with _start(directory) as started:
            assert started.attachment == program
            _connect(started, 9)

    with _listening(other, 9):
        as_user(reach)


@pytest.mark.parametrize("address", ["127.0.0.1", "gateway", "resolver"])
def test_the_loopback_of_the_host_is_not_reached(
    as_user: AsUser, directory: str, other: Machine, program: str, address: str
) -> None:
    def attempt() -> None:
        with _start(directory) as started:
            gateway = {"pasta": "192.168.77.2", "slirp4netns": "10.0.2.2"}[program]
            where = {"gateway": gateway, "resolver": started.resolver}.get(address, address)
            with pytest.raises(HostError):
                _connect(started, 7777, where, seconds=2)

    with socket.create_server(("127.0.0.1", 7777)) as server:
        as_user(attempt)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("resolver", ["127.0.0.53", "192.168.77.2"])
def test_questions_for_names_reach_the_host_s_resolver(
    as_user: AsUser, directory: str, other: Machine, program: str, resolver: str, tmp_path: pathlib.Path
) -> None:
    """Also one that listens on the host's loopback, as systemd-resolved does."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {resolver}\n")
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"

    def ask(started: Holder) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((started.resolver, 53))
            for _ in range(20):
                sock.send(question)
                try:
                    return sock.recv(512)
                except TimeoutError:
                    continue
        return b""

    def ask_inside() -> None:
        with _start(directory) as started:
            assert run_inside(started, lambda: ask(started)) == question + b"reply"

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if resolver == "192.168.77.2":
        with other.inside():
            server.close()
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((resolver, 53))
    thread = threading.Thread(target=_answer, args=(server,))
    thread.start()
    try:
        with mounted(tmp_path / "resolv.conf", os.path.realpath("/etc/resolv.conf")):
            as_user(ask_inside)
    finally:
        server.sendto(b"stop", server.getsockname())
        thread.join()
        server.close()


def _answer(server: socket.socket) -> None:
    while True:
        question, client = server.recvfrom(512)
        if question == b"stop":
            return
        server.sendto(question + b"reply", client)


def test_without_a_program_the_packages_are_named(as_user: AsUser, directory: str, other: Machine) -> None:
    with ExitStack() as stack:
        for name in attachment.PROGRAMS:
            stack.enter_context(mounted("/dev/null", f"/usr/bin/{name}"))
        raised = stack.enter_context(pytest.raises(HostError, match="neither pasta nor slirp4netns is installed"))
        as_user(lambda: _start(directory).close())
    assert raised.value.hint == "install the package passt or slirp4netns"


def test_without_its_device_that_is_named(
    as_user: AsUser, directory: str, other: Machine, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "tun").chmod(0o600)
    with pytest.raises(HostError, match="cannot open /dev/net/tun, .*: Permission denied") as raised:
        as_user(lambda: _start(directory).close())
    assert raised.value.hint == "as root: chmod 666 /dev/net/tun, which is what udev makes of it"


def test_where_pasta_fails_slirp4netns_takes_its_place(as_user: AsUser, directory: str) -> None:
    """pasta takes its addresses from the default route, which this host lacks."""

    def start() -> None:
        with _start(directory) as started:
            assert started.attachment == "slirp4netns"

    with Machine() as offline, offline.inside():
        as_user(start)
        with mounted("/dev/null", "/usr/bin/slirp4netns"), pytest.raises(HostError, match="pasta failed: "):
            wait_for(lambda: _is_gone(directory))
            as_user(lambda: _start(directory).close())


def test_errors_inside_are_those_that_were_raised(as_user: AsUser, directory: str, other: Machine) -> None:
    def refuse() -> None:
        raise HostError("no", hint="none")

    def fail() -> None:
        with _start(directory) as started:
            with pytest.raises(HostError, match="the host refuses: Permission denied|No such file"):
                run_inside(started, lambda: os.close(os.open("/nonexistent", os.O_RDONLY)))
            run_inside(started, refuse)

    with pytest.raises(HostError) as raised:
        as_user(fail)
    assert (raised.value.message, raised.value.hint) == ("no", "none")
