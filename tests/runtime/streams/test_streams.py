"""A container's standard streams: pipes of its own, which its user can open, carried to the byte and in order."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Callable

import pytest
from lab.command import Command, Result
from lab.overtime import over_time
from lab.processes import within
from lab.terminal import Screen, screen, start_at

from mydocker.runtime.streams.relay import Flow

pytestmark = pytest.mark.root

OPTIONS = {
    "": (),
    "a user": ("-u", "1000"),
    "a user with a group": ("-u", "nobody:nobody"),
    "no capabilities": ("--cap-drop", "ALL"),
    "no capabilities, a user": ("--cap-drop", "ALL", "-u", "1000"),
    "init": ("--init", "-u", "1000"),
    "read-only": ("--read-only", "-u", "1000"),
    "no pid namespace": ("--pid", "host", "-u", "1000"),
    "the host's tree": ("--rootfs", "/", "-u", "1000"),
}
ANEW = "echo one; echo two > /dev/stdout; echo three >&2; echo four > /dev/stderr; cat /dev/stdin; echo five"
SEPARATE = Result(b"one\ntwo\nin\nfive\n", b"three\nfour\n", 0)


def _words(options: tuple[str, ...]) -> tuple[str, ...]:
    image = () if "--rootfs" in options else ("alpine",)
    return ("run", "-i", *options, *image, "sh", "-c", ANEW)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_streams_open_anew(alpine: Command, name: str) -> None:
    """Images whose logs are links to /dev/stdout have users that are not root."""
    assert alpine(*_words(OPTIONS[name]), input=b"in\n") == SEPARATE


@pytest.mark.rootless
@pytest.mark.parametrize("options", [(), ("--pid", "host"), ("--init",), ("--cap-drop", "ALL")])
def test_the_streams_open_anew_for_an_ordinary_user(second_user: Command, options: tuple[str, ...]) -> None:
    """The caller's pipes belong to root here, who made them."""
    assert second_user(*_words(options), input=b"in\n") == SEPARATE


@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("options", [(), ("-u", "1000")])
def test_a_file_keeps_what_it_has_and_gets_all_lines_in_order(
    alpine: Command, tmp_path: pathlib.Path, mode: str, options: tuple[str, ...]
) -> None:
    """Nobody inside can open it anew, and so truncate it."""
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    script = "for i in 1 2 3; do echo out $i; echo again $i > /dev/stdout; echo err $i >&2; done"
    words = alpine.argv("run", *options, "alpine", "sh", "-c", script)
    with log.open(mode) as file:
        file.write(b"first\n")
        file.flush()
        subprocess.run(
            words, env=dict(alpine.environment), stdout=file, stderr=subprocess.STDOUT, check=True, timeout=240
        )
        file.write(b"last\n")
    lines = [f"{what} {i}" for i in (1, 2, 3) for what in ("out", "again", "err")]
    expected = ["before"] * (mode == "ab") + ["first", *lines, "last"]
    assert log.read_text().splitlines() == expected


def test_nothing_of_the_caller_is_open_inside(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Each descriptor leads to a pipe or to the container's own /dev/null."""
    script = "for n in 0 1 2; do readlink /proc/self/fd/$n; done > /seen; cat /seen; ls /proc/1/fd; true"
    with (tmp_path / "out").open("w+b") as out, (tmp_path / "in").open("w+b") as given:
        words = alpine.argv("run", "-i", "alpine", "sh", "-c", script)
        subprocess.run(words, env=dict(alpine.environment), stdin=given, stdout=out, stderr=out, check=True)
    kinds = re.sub(r":\[\d+\]", "", (tmp_path / "out").read_text()).split()
    assert kinds == ["pipe", "/seen", "pipe", "0", "1", "2"]  # the loop's stdout is the file


@pytest.mark.parametrize("options", [("-i",), ()])
@pytest.mark.parametrize(
    "test", ["test -t 0", "test -t 1", "test -t 2", "stty -echo <&1", "stty -echo <&2", ": > /dev/tty"]
)
def test_no_terminal_is_inside_without_t(alpine: Command, options: tuple[str, ...], test: str) -> None:
    with screen() as at:
        before = at.modes()
        process = start_at(at, alpine, "run", *options, "alpine", "sh", "-c", f"{test} 2>/dev/null && echo opened")
        assert process.wait(timeout=100) == 1
        assert at.modes() == before


def test_what_is_typed_is_not_read_without_i(alpine: Command) -> None:
    with screen() as at:
        process = start_at(at, alpine, "run", "alpine", "sh", "-c", "x=$(cat <&1)$(cat <&2)$(cat); echo got:$x")
        at.type(b"typed\n")
        at.until(b"got:\r\n")
        assert process.wait(timeout=100) == 0


LINES = "while read x; do echo got:$x; done; echo end"


def test_what_is_typed_with_i_is_read_by_lines(alpine: Command) -> None:
    with screen() as at:
        process = start_at(
            at, alpine, "run", "-i", "alpine", "sh", "-c", "while read x; do echo got:$x; done; echo end"
        )
        for line in (b"one", b"two"):
            at.type(line + b"\n")
            at.until(b"got:" + line + b"\r\n")
        at.type(b"\x04")  # the end of input, as a terminal has it
        at.until(b"end\r\n")
        assert process.wait(timeout=100) == 0


INPUTS: dict[str, Callable[[pathlib.Path], int]] = {
    "an empty file": lambda path: os.open(_file(path, b""), os.O_RDONLY),
    "a file": lambda path: os.open(_file(path, b"x" * 300_000), os.O_RDONLY),
    "a file from its middle": lambda path: _sought(os.open(_file(path, b"x" * 300_000), os.O_RDONLY), 7),
    "a file of the kernel": lambda path: os.open("/proc/version", os.O_RDONLY),
    "/dev/null": lambda path: os.open("/dev/null", os.O_RDONLY),
    "a socket": lambda path: _socket(b"x" * 100_000),
    "a file that cannot be read": lambda path: os.open(_file(path, b"x"), os.O_WRONLY),
}


def _file(path: pathlib.Path, content: bytes) -> pathlib.Path:
    (path / "input").write_bytes(content)
    return path / "input"


def _sought(descriptor: int, offset: int) -> int:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return descriptor


def _socket(content: bytes) -> int:
    ours, theirs = socket.socketpair()
    ours.sendall(content)
    ours.close()
    return theirs.detach()


@pytest.mark.parametrize("name", INPUTS)
def test_input_to_its_end(alpine: Command, tmp_path: pathlib.Path, name: str) -> None:
    with open(INPUTS[name](tmp_path), "rb") as source:
        process = alpine.start("run", "-i", "alpine", "cat", stdin=source)
        out, error = process.communicate(timeout=120)
    with open(INPUTS[name](tmp_path), "rb") as again:
        expected = b"" if "cannot" in name else again.read()
    assert out == expected
    assert process.returncode == (125 if "cannot" in name else 0)
    assert error == (b"mydocker: cannot read the container's input: Bad file descriptor\n" if "cannot" in name else b"")


def test_a_closed_stdin_is_the_end_of_input(alpine: Command) -> None:
    words = alpine.argv("run", "-i", "alpine", "cat")
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *words], env=dict(alpine.environment), capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


MUCH = 1 << 27  # thirty times what more may be kept


def test_much_input_is_not_kept(alpine: Command) -> None:
    """From a pipe, as from somewhere else in a pipeline; the memory of a run that reads nothing is the measure."""
    _, usual = alpine.measured("run", "alpine", "true")
    script = f'head -c {MUCH} /dev/zero | "$@"'
    words = alpine.argv("run", "-i", "alpine", "md5sum")
    shell = Command(pathlib.Path("/bin/sh"), alpine.environment, alpine.directory)
    done, most = shell.measured("-c", script, "sh", *words)
    digest = hashlib.md5(bytes(MUCH))
    assert done == Result(f"{digest.hexdigest()}  -\n".encode(), b"", 0)
    assert most < usual + (4 << 20)


@pytest.mark.parametrize("options", [(), ("--init",)])
def test_a_reader_that_leaves_ends_the_writer(alpine: Command, options: tuple[str, ...]) -> None:
    """`mydocker run alpine yes | head -1`."""
    with alpine.start("run", *options, "alpine", "yes", stdin=subprocess.DEVNULL) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(timeout=100) in (1, 128 + signal.SIGPIPE)  # the kernel sends PID 1 no SIGPIPE


STRAY = "trap 'echo trapped >&2' PIPE; "
UNREAD = {  # how a pipe of mydocker's loses its reader
    "an output that nobody reads": STRAY + "yes & wait; sleep 0.2; echo end >&2",
    "an input that nobody reads": STRAY + "echo; exec <&-; sleep 0.2; echo end >&2",
}


@pytest.mark.parametrize("options", [(), ("--init",), ("--pid", "host")])
@pytest.mark.parametrize("name", UNREAD)
def test_a_pipe_that_breaks_is_no_signal_for_the_container(
    alpine: Command, name: str, options: tuple[str, ...]
) -> None:
    """Only a process that writes to a pipe gets SIGPIPE, not the first one of its container."""
    with alpine.start("run", "-i", *options, "alpine", "sh", "-c", UNREAD[name]) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(bytes(1 << 20))
            process.stdin.flush()
        assert (process.stderr.read().replace(b"yes: Broken pipe\n", b""), process.wait(timeout=100)) == (b"end\n", 0)


@pytest.mark.parametrize(
    ("content", "room", "next_one"), [(0, True, "source"), (9, False, "sink"), (0, False, "source")]
)
def test_a_pipe_that_another_process_has_read_first_is_waited_for(content: int, room: bool, next_one: str) -> None:
    """Several may read one pipe; whoever comes too late must not ask again and again."""
    source, sink = os.pipe(), os.pipe()
    for descriptor in (*source, *sink):
        os.set_blocking(descriptor, False)
    os.write(source[1], bytes(content))
    if not room:
        os.write(sink[1], bytes(1 << 20))
    flow = Flow(source[0], sink[1], spliced=True, as_job=False)
    flow.step()
    assert flow.next == {"source": source[0], "sink": sink[1]}[next_one]
    for descriptor in (*source, *sink):
        os.close(descriptor)


def _connection() -> tuple[socket.socket, socket.socket]:
    """A TCP connection with so little room that poll(2) may announce less than a chunk of it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 6000)
    return ours, theirs


@pytest.mark.parametrize("options", [(), ("-t",)])
@pytest.mark.parametrize("open_socket", [_connection, socket.socketpair])
def test_a_socket_that_nobody_reads_does_not_hold_up_the_time_out(
    alpine: Command, open_socket: Callable[[], tuple[socket.socket, socket.socket]], options: tuple[str, ...]
) -> None:
    ours, theirs = open_socket()
    with ours, theirs:
        words = ("run", *options, "--timeout", "500ms", "--stop-timeout", "0", "alpine", "yes")
        with alpine.start(*words, stdout=ours) as process:
            try:
                assert process.wait(timeout=100) == 124
            finally:
                process.kill()


def test_a_connection_that_is_reset_is_a_reader_that_leaves(alpine: Command) -> None:
    ours, theirs = _connection()
    with ours, alpine.start("run", "alpine", "yes", stdout=ours) as process:
        theirs.recv(1)
        theirs.close()  # with what has not been read, which resets it (RFC 2525, 2.17)
        assert process.wait(timeout=100) in (1, 128 + signal.SIGPIPE)
        assert process.stderr and b"cannot write" not in process.stderr.read()


def test_a_writer_learns_at_its_first_word_that_nobody_reads(alpine: Command) -> None:
    script = "echo ready; read x; echo lost || exit 7"
    with alpine.start("run", "-i", "alpine", "sh", "-c", script) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"ready\n"
        pipe = os.readlink(f"/proc/{_first_process(process.pid)}/fd/1")
        process.stdout.close()
        assert within(100, lambda: not _has_open(process.pid, pipe))  # as soon as mydocker knows it
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(timeout=100) == 7


def test_a_command_that_reads_nothing_does_not_wait_for_its_input(alpine: Command) -> None:
    with alpine.start("run", "-i", "alpine", "echo", "done") as process:
        assert process.stdout
        assert process.stdout.read() == b"done\n"
        assert process.wait(timeout=100) == 0  # though stdin is still open


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_slow_reader_gets_all(alpine: Command, stream: str) -> None:
    """The exit waits for what was written."""
    redirect = " >&2" * (stream == "stderr")
    with alpine.start("run", "alpine", "sh", "-c", f"seq 60000{redirect}") as process:
        time.sleep(1)
        source = getattr(process, stream)
        assert source.read() == b"".join(b"%d\n" % number for number in range(1, 60_001))
        assert process.wait(timeout=100) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_nobody_takes_does_not_outlast_a_signal(alpine: Command, number: int) -> None:
    """The command has ended, and a part of what it wrote waits for a reader that does not come."""
    words = ("run", "--network", "none", "--stop-timeout", "3600", "alpine", "sh", "-c", "seq 20000; exit 3")
    with alpine.start(*words) as process:
        assert process.stdout
        stdout = process.stdout.fileno()
        assert within(100, lambda: _waiting(stdout) >= 65536 and _containers(process.pid) == [])
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=100) == 3


def _waiting(pipe: int) -> int:
    """How many bytes are in PIPE."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")


def _containers(pid: int) -> list[str]:
    """The children of PID but for one, which cleans up."""
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[1:] or []
    except OSError:
        return []


def test_a_stream_that_somebody_else_holds_does_not_keep_mydocker(alpine: Command, tmp_path: pathlib.Path) -> None:
    """A descriptor of it can be sent out of the container (unix(7), SCM_RIGHTS)."""
    send = (
        "import array, socket; s = socket.socket(socket.AF_UNIX); s.connect('/mnt/s');"
        "s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))]); print('sent')"
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        python = os.path.realpath("/usr/bin/python3")
        words = ("run", "--rootfs", "/", "-v", f"{tmp_path}:/mnt", python, "-c", send)
        with alpine.start(*words) as process:
            peer, _ = listener.accept()
            _, held, _, _ = socket.recv_fds(peer, 1, 1)
            assert process.stdout and process.stdout.read() == b"sent\n"
            assert process.wait(timeout=100) == 0
            for descriptor in held:
                os.close(descriptor)
            peer.close()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_cannot_be_written_is_an_error(alpine: Command, stream: str) -> None:
    with open("/dev/full", "wb") as full:
        redirect = " >&2" * (stream == "stderr")
        words = ("run", "alpine", "sh", "-c", f"echo x{redirect}; true")
        process = alpine.start(*words, **{stream: full})
        out, error = process.communicate(timeout=120)
    assert process.returncode == 125
    if stream == "stdout":
        assert (out, error) == (None, b"mydocker: cannot write the container's output: No space left on device\n")


def test_the_caller_s_streams_stay_as_they_are(alpine: Command) -> None:
    """Neither blocking nor of another owner afterwards."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = os.fstat(writer), fcntl.fcntl(writer, fcntl.F_GETFL)
    words = ("run", "-u", "1000", "alpine", "seq", "30000")
    with alpine.start(*words, stdout=writer) as process:
        received = b""
        while len(received) < 168_894:  # a pipe that is full takes nothing, and says so
            received += os.read(reader, 4096)
        assert process.wait(timeout=100) == 0
    assert received.endswith(b"\n30000\n")
    after = os.fstat(writer), fcntl.fcntl(writer, fcntl.F_GETFL)
    assert (after[0].st_uid, after[0].st_mode, *after[1:]) == (before[0].st_uid, before[0].st_mode, *before[1:])
    os.close(reader)
    os.close(writer)


def test_in_a_batch_and_in_its_healthchecks(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.smoke.yaml").write_text(
        "image: alpine\nuser: '1000'\npre_start: [[sh, -c, 'echo x > /dev/stdout; echo x > /dev/stderr']]\n"
        "command: [sh, -c, 'cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr']\nstdin: 'in '\n"
        'expect: {stdout: "in out\\n", stderr: "err\\n"}\n'
    )
    done = alpine("test", str(tmp_path / "a.smoke.yaml"))
    assert done.code == 0, done
    (tmp_path / "b.yaml").write_text(
        "services:\n  a:\n    image: alpine\n    user: '900'\n    command: [sleep, '1000']\n    stop_grace_period: 0s\n"
        "    healthcheck: {test: 'echo x > /dev/stdout && echo x > /dev/stderr', interval: 100ms, retries: 1}\n"
        "  b:\n    image: alpine\n    command: [echo, healthy]\n"
        "    depends_on: {a: {condition: service_healthy}}\n"
    )
    done = alpine("up", "--exit-code-from", "b", str(tmp_path / "b.yaml"))
    assert b"b-1  | healthy" in done.stdout


def _first_process(mydocker: int) -> int:
    """That of the container that MYDOCKER runs."""
    children = map(int, pathlib.Path(f"/proc/{mydocker}/task/{mydocker}/children").read_text().split())
    return next(pid for pid in children if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"))


def _has_open(process: int, name: str) -> bool:
    """Whether PROCESS has a descriptor of what proc(5) shows as NAME."""
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return any(os.readlink(f"/proc/{process}/fd/{each}") == name for each in os.listdir(f"/proc/{process}/fd"))
    return True


NGINX = """\
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr info;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
    server { listen unix:/conf/socket; location / { return 200 "served\\n"; } }
}
"""


@pytest.mark.skipif(not pathlib.Path("/usr/sbin/nginx").exists(), reason="Debian's nginx is not installed")
def test_nginx_as_its_own_user_logs_to_the_streams(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX)
    tmp_path.chmod(0o777)
    serve = ("/usr/sbin/nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;")
    mounts = ("--tmpfs", "/tmp", "-v", f"{tmp_path}:/conf")
    with alpine.start("run", "--rootfs", "/", "-u", "www-data", *mounts, "--network", "host", *serve) as process:
        try:
            assert process.stdout and process.stderr
            assert within(100, lambda: _served(tmp_path / "socket").endswith(b"\r\n\r\nserved\n"))
            assert b'"GET / HTTP/1.1" 200' in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(timeout=100) == 0
        assert b"Permission denied" not in process.stderr.read()


def _served(path: pathlib.Path) -> bytes:
    """What a web server at the socket PATH answers; nothing if there is none."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(100)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: client.recv(4096), b""))
    return b""


UNHEARD = {"no handler": "exec sleep 1000", "ignored": "trap '' TERM; sleep 60"}


@pytest.mark.parametrize("name", UNHEARD)
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_a_command_that_cannot_take_the_signal_is_not_waited_for(alpine: Command, name: str, user: str) -> None:
    """Its time is one second, and the grace, of an hour here, is for those that do something in it."""
    times = ("--stop-timeout", "3600", "--timeout", "1s")
    words = ("run", "-u", user, *times, "alpine", "sh", "-c", UNHEARD[name])
    assert alpine(*words) == Result(b"", b"", 124)


@pytest.mark.parametrize("options", [(), ("--init",), ("--pid", "host")])
def test_a_command_that_takes_the_signal_has_its_grace(alpine: Command, options: tuple[str, ...]) -> None:
    script = "trap 'sleep 1; echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    done = over_time(alpine, "--stop-timeout", "240", *options, "alpine", "sh", "-c", script)
    assert done == Result(b"ready\ncleaned\n", b"", 124)


def test_a_command_that_waits_for_the_signal_has_its_grace(alpine: Command) -> None:
    """It has no handler, and takes what it blocks (sigwait(3))."""
    script = (
        "import signal; s = [signal.SIGTERM]; signal.pthread_sigmask(signal.SIG_BLOCK, s); print('ready', flush=True);"
        "signal.sigwait(s); print('took it')"
    )
    words = ("run", "--stop-timeout", "240", "--rootfs", "/", os.path.realpath("/usr/bin/python3"), "-c", script)
    with alpine.start(*words) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stdout.read() == b"took it\n"
        assert process.wait(timeout=100) == 0


def test_stopping_what_cannot_take_the_signal(alpine: Command) -> None:
    with alpine.start("run", "--stop-timeout", "3600", "alpine", "sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        time.sleep(0.2)
        process.terminate()
        assert process.wait(timeout=100) == 128 + signal.SIGKILL


@pytest.fixture
def at() -> object:
    with screen() as opened:
        yield opened


def test_the_third_ctrl_c_ends_what_ignores_it(alpine: Command, at: Screen) -> None:
    process = start_at(at, alpine, "run", "-it", "alpine", "sh", "-c", "trap '' INT; echo ready; exec sleep 1000")
    at.until(b"ready\r\n")
    time.sleep(0.2)
    for _ in range(3):
        at.type(b"\x03")
        at.until(rb"\^C")
    assert process.wait(timeout=100) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    "script",
    [
        "trap 'echo got' INT; echo ready; while :; do read x && exit 4; done",
        "stty -isig; echo ready; read x && exit 4",
    ],
)
def test_ctrl_c_is_for_what_takes_it(alpine: Command, at: Screen, script: str) -> None:
    """As a signal, or as a letter."""
    process = start_at(at, alpine, "run", "-it", "alpine", "sh", "-c", script)
    at.until(b"ready\r\n")
    for _ in range(5):
        at.type(b"\x03")
        time.sleep(0.1)
    assert process.poll() is None
    at.type(b"end\n")
    assert process.wait(timeout=100) == 4
