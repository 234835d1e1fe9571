"""Containers that a Python program starts: what it sees of them, how it waits for them, and that they end with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import pytest
from lab.command import Command, python_of
from lab.processes import sleeping

import mydocker

pytestmark = pytest.mark.root

SERVER = "mkdir /srv/www; echo fine > /srv/www/index.html; echo serving; exec httpd -f -p 8080 -h /srv/www"
LONG = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"


def wait_until(condition: Callable[[], bool]) -> None:
    """Until CONDITION holds, for as long as a test may take."""
    while not condition():
        time.sleep(0.02)


def left(alpine: Command) -> list[str]:
    """The containers that are in the store."""
    path = alpine.store / "background"
    return [name for name in os.listdir(path) if name != "names" and not name.startswith(".")] if path.exists() else []


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=240) as response:
        text: str = response.read().decode()
        return text


def test_a_server_is_reached_and_goes_with_the_block(alpine: Command) -> None:
    with mydocker.start("alpine", "sh", "-c", SERVER, ports=[8080], environment={"A": "b"}) as web:
        assert_type(web, mydocker.Container)
        assert web.wait_for(port=8080, http=[8080, ":8080/index.html"], log="^serv", timeout=240) is web
        assert (web.status, web.exit_code, web.health) == ("running", None, "")
        assert re.fullmatch("[0-9a-f]{64}", web.id) and web.name == web.id[:12]
        assert repr(web) == f"<mydocker.Container {web.name} running>"
        host, port = web.endpoint(8080)
        assert (host, port) == ("127.0.0.1", web.port("8080/tcp"))
        assert fetch(f"http://{host}:{port}/") == "fine\n"
        assert fetch(f"http://{web.address}:8080/") == "fine\n"
        with pytest.raises(mydocker.LaunchError, match=f"port 9/udp of container {web.name} is not published"):
            web.port("9/udp")
        assert web.endpoint(9) == (web.address, 9)
    assert web.status == "removed" and web.id[:12] not in left(alpine)
    with pytest.raises(mydocker.LaunchError, match=f"container {web.name} has been removed"):
        web.logs()
    web.remove()


def test_a_server_of_the_distribution(tmp_path: pathlib.Path) -> None:
    """nginx as Debian has it, with this machine's files."""
    tmp_path.chmod(0o755)  # its workers are another user
    (tmp_path / "index.html").write_text("from nginx\n")
    settings = "events {} http { server { listen 8088; location / { root /www; } } }"
    (tmp_path / "nginx.conf").write_text(settings)
    with mydocker.start(
        None,
        "nginx",
        "-c",
        "/www/nginx.conf",
        "-g",
        "daemon off; error_log stderr notice;",
        rootfs="/",
        volumes=[f"{tmp_path}:/www:ro"],
        ports=[8088],
        healthcheck={"test": ["CMD", "test", "-e", "/run/nginx.pid"]},
    ) as nginx:
        nginx.wait_for(http=":8088/", health=True, log="start worker process")
        assert nginx.health == "healthy"
        assert fetch(f"http://127.0.0.1:{nginx.port(8088)}/") == "from nginx\n"


def test_an_exception_in_the_block_ends_the_container(alpine: Command) -> None:
    with pytest.raises(ZeroDivisionError), mydocker.start("alpine", "sh", "-c", LONG) as container:
        container.wait_for(log="up")
        assert 1 / 0
    assert container.status == "removed" and container.id[:12] not in left(alpine)


def test_names(alpine: Command) -> None:
    name = f"n{os.getpid()}"
    with mydocker.start("alpine", "sleep", "600", name=name) as container:
        assert container.name == name
        with pytest.raises(mydocker.UsageError, match=f"the name '{name}' is in use by container {container.id[:12]}"):
            mydocker.start("alpine", "true", name=name)
        assert alpine("stop", "-t", "0", name).code == 0
        assert (container.status, container.exit_code) == ("exited", 137)
    with mydocker.start("alpine", "true", name=name):
        pass


# (words, keys, what is raised, its message)
REFUSALS: list[tuple[tuple[Any, ...], dict[str, Any], type[mydocker.MydockerError], str]] = [
    (("alpine", "nonesuch"), {}, mydocker.CommandNotFoundError, "'nonesuch': executable file not found"),
    (("alpine", "/etc"), {}, mydocker.CommandNotExecutableError, "/etc"),
    (("nonesuch",), {"pull_policy": "never"}, mydocker.ImageNotFoundError, "image nonesuch:latest"),
    (("alpine",), {"stdin": "x"}, mydocker.UsageError, "stdin: "),
    (("alpine",), {"helthcheck": {}}, mydocker.UnknownArgumentError, "did you mean 'healthcheck'"),
    (("alpine",), {"depends_on": ["a"]}, mydocker.SpecError, "depends_on: is for files"),
    (("alpine",), {"healthcheck": {"tests": 1}}, mydocker.SpecError, "tests"),
    (("alpine",), {"restart": "often"}, mydocker.SpecError, "restart"),
    (("alpine",), {"detach": 1}, mydocker.ArgumentTypeError, "detach: expected True or False"),
]


@pytest.mark.parametrize(("words", "keys", "kind", "message"), REFUSALS)
def test_what_cannot_be_started_leaves_nothing(
    alpine: Command, words: tuple[Any, ...], keys: dict[str, Any], kind: type[mydocker.MydockerError], message: str
) -> None:
    before = left(alpine)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        mydocker.start(*words, **keys)
    assert type(caught.value) is kind
    assert left(alpine) == before


def test_commands_in_a_container() -> None:
    with mydocker.start("alpine", "sleep", "600", environment={"A": "1"}) as container:
        outcome = container.exec("sh", "-c", "cat; echo $A$B >&2; exit 3", input="some\n", environment={"B": "2"})
        assert_type(outcome, mydocker.Outcome)
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, "some\n", "12\n")
        assert container.exec(["id", "-u"], user=8).stdout == "8\n"
        assert container.exec("pwd", working_dir="/srv").stdout == "/srv\n"
        assert container.exec("cat").stdout == ""
        assert container.exec("printf", r"\377").stdout == "\udcff"
        large = container.exec("sh", "-c", "yes | head -c 3000000; yes n | head -c 3000000 >&2")
        assert (large.stdout, large.stderr) == ("y\n" * 1_500_000, "n\n" * 1_500_000)
        assert container.exec("wc", "-c", input=b"x" * 1_000_000).stdout == "1000000\n"
        late = container.exec("sleep", "600", timeout=0.2)
        assert late.timed_out and late.status == 124
        with pytest.raises(mydocker.ContainerError) as failed:
            container.exec("sh", "-c", "echo why >&2; exit 4", check=True)
        assert (failed.value.exit_code, failed.value.stderr) == (4, "why\n")
        with pytest.raises(mydocker.CommandNotFoundError):
            container.exec("nonesuch")
        with pytest.raises(mydocker.UsageError, match="no command"):
            container.exec()
        container.kill()
        wait_until(lambda: container.status == "exited")
        with pytest.raises(mydocker.LaunchError, match="is not running"):
            container.exec("true")


def test_files_go_in_and_out(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("there and back")
    with mydocker.start("alpine", "sleep", "600") as container:
        container.copy_in(tmp_path / "in", "/srv/file")
        container.copy_out("/srv/file", tmp_path / "out")
        with pytest.raises(mydocker.LaunchError, match="nonesuch"):
            container.copy_out("/nonesuch", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "there and back"


def test_logs() -> None:
    script = "echo a; echo b >&2; read x < /srv/go; printf c; exit 4"
    with mydocker.start("alpine", "sh", "-c", script, pre_start=[["mkfifo", "/srv/go"]]) as container:
        wait_until(lambda: container.logs(stream="stderr") == "b\n")  # two streams may be read in any order
        container.exec("sh", "-c", "echo > /srv/go")  # which ends with the container, or before
        assert [*container.follow(stream="stdout")] == ["a", "c"]
        assert sorted(container.logs().splitlines()) == ["a", "b", "c"]
        assert (container.logs(stream="stderr"), container.logs(stream="stdout", tail=1)) == ("b\n", "c\n")
        assert (container.logs(tail=1), container.logs(tail=0)) == ("c\n", "")
        outcome = container.wait(timeout=240)
        assert (outcome.exit_code, outcome.signal, outcome.stdout, outcome.stderr) == (4, None, "a\nc\n", "b\n")
        assert outcome.wall > 0 and outcome.max_rss > 0
        assert container.exit_code == 4
        with pytest.raises(mydocker.UsageError, match="expected 'stdout' or 'stderr'"):
            container.logs(stream="out")  # type: ignore[arg-type]  # it is none


def test_lines_are_followed_as_they_come() -> None:
    with mydocker.start(
        "alpine", "sh", "-c", "echo 1; read x < /srv/go; echo $x", pre_start=[["mkfifo", "/srv/go"]]
    ) as it:
        lines = it.follow()
        assert next(lines) == "1"
        it.exec("sh", "-c", "echo 2 > /srv/go")  # which ends with the container, or before
        assert [*lines] == ["2"]


def test_the_end() -> None:
    with mydocker.start("alpine", "sh", "-c", LONG, stop_grace_period="5m") as container:
        container.wait_for(log="up", timeout=240)
        with pytest.raises(mydocker.WaitError, match="has not ended after 0.1 s"):
            container.wait(timeout=0.1)
        container.stop()
        assert (container.wait().exit_code, container.logs()) == (5, "up\nbye\n")
        container.stop()
        container.restart()
        container.wait_for(log="^up", timeout=240)
        assert container.status == "running"
        container.kill()
        outcome = container.wait()
        assert (outcome.exit_code, outcome.signal, outcome.status) == (None, 9, 137)
        with pytest.raises(mydocker.LaunchError, match="is not running"):
            container.kill("HUP")


def test_a_wait_after_a_restart_is_for_what_is_new() -> None:
    """Each start writes its number, of which the second takes a while."""
    script = "n=$(cat /srv/n 2>/dev/null); echo x$n > /srv/n; sleep 0.${n:+3}; echo started $n; exec sleep 600"
    with mydocker.start("alpine", "sh", "-c", script) as container:
        container.wait_for(log="started")
        container.restart(timeout=0)
        container.wait_for(log="started", timeout=240)
        assert container.logs() == "started\nstarted x\n"


def test_conditions_come_true_in_their_order() -> None:
    script = "echo ready; sleep 0.3; echo ready; echo done >&2; sleep 600"
    with mydocker.start("alpine", "sh", "-c", script, healthcheck={"test": "true"}) as container:
        container.wait_for(log=["ready", re.compile("READY", re.IGNORECASE)], health=True, timeout=240)
        assert container.logs(stream="stdout") == "ready\nready\n"


LISTENS = "grep -q :1F90 /proc/net/tcp /proc/net/tcp6"  # at port 8080
# what there is before the time begins, by the script that brings it
BEFORE = {"echo one; sleep 600": {"log": "one"}, "mkdir /srv/w; exec httpd -f -p 8080 -h /srv/w": {"port": 8080}}

# (script, keys, conditions, parts of the message)
WAITS: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    (
        "echo one; sleep 600",
        {},
        {"port": [80, "53/udp"], "timeout": 0.3},
        ["is not ready after 0.3 s, waiting for port 80/tcp to listen; port 53/udp to listen", "of its log:\none"],
    ),
    ("sleep 600", {}, {"log": "x+", "timeout": "300ms"}, ["a line of its log that matches 'x+'\nits log is empty"]),
    ("echo broken; exit 7", {}, {"port": 80}, ["has ended (exit code 7), waiting for port 80", "log:\nbroken"]),
    ("echo x; exit 7", {}, {"log": "y"}, ["has ended (exit code 7), waiting for a line of its log", "log:\nx"]),
    ("kill -9 $$; sleep 600", {"init": True}, {"http": 80}, ["has ended (", "137", "waiting for a response of http"]),
    ("sleep 600", {}, {"http": ":81/x", "timeout": 0.3}, ["http://localhost:81/x (no response: Connection refused)"]),
    (
        "mkdir /srv/w; exec httpd -f -p 8080 -h /srv/w",
        {},
        {"port": 8080, "http": ":8080/none", "timeout": 1},
        ["after 1 s, waiting for a response of http://localhost:8080/none (status 404)"],
    ),
    (
        "mkdir /srv/w; exec httpd -f -p 127.0.0.1:8080 -h /srv/w",
        {},
        {"port": 8080, "timeout": 1},
        ["port 8080/tcp to listen (only at 127.0.0.1, which nothing outside the container reaches)"],
    ),
    (
        "sleep 600",
        {"healthcheck": {"test": "echo ill; exit 1", "interval": "100ms", "retries": 1}},
        {"health": True, "timeout": 60},
        ["is unhealthy\nits healthcheck: ", "ill"],
    ),
    (
        "sleep 600",
        {"healthcheck": {"test": "sleep 600", "timeout": "1h"}},
        {"health": True, "timeout": 0.3},
        ["is not ready after 0.3 s, waiting for its healthcheck to succeed"],
    ),
    (r"printf '\033[31m::error::x\n'; exit 1", {}, {"log": "y"}, [r"\x1b[31m"]),
]


@pytest.mark.parametrize(("script", "keys", "conditions", "parts"), WAITS)
def test_what_does_not_come_is_named(
    script: str, keys: dict[str, Any], conditions: dict[str, Any], parts: list[str]
) -> None:
    with mydocker.start("alpine", "sh", "-c", script, **keys) as container:
        if script in BEFORE:
            container.wait_for(**BEFORE[script], timeout=240)
        elif "httpd" in script:
            wait_until(lambda: container.exec("sh", "-c", LISTENS).exit_code == 0)
        with pytest.raises(mydocker.WaitError) as caught:
            container.wait_for(**conditions)
        text = str(caught.value)
        assert text.startswith(f"container {container.name} ")
        for part in parts:
            assert part in text, text
        assert "\x1b" not in text


# (conditions, message)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing to wait for"),
    ({"port": "x"}, "port 'x': expected a number"),
    ({"port": 0}, "port '0': expected a number"),
    ({"port": True}, "port: expected an int or a str, not bool"),
    ({"http": "localhost"}, "http 'localhost': expected a port"),
    ({"log": "("}, "log '(': "),
    ({"log": b"x"}, "log: expected a regular expression"),
    ({"health": 1}, "health: expected True or False"),
    ({"port": 1, "timeout": "soon"}, "duration 'soon'"),
    ({"health": True}, "has no healthcheck, nor has its image"),
]


def test_what_cannot_be_waited_for() -> None:
    with mydocker.start("alpine", "sleep", "600") as container:
        for conditions, message in WRONG:
            with pytest.raises(mydocker.UsageError, match=re.escape(message)):
                container.wait_for(**conditions)
    with (
        mydocker.start("alpine", "sleep", "600", logging={"driver": "none"}) as container,
        pytest.raises(mydocker.UsageError, match="its log driver is none"),
    ):
        container.wait_for(log="x")


def test_what_is_not_reachable_has_no_endpoint() -> None:
    with mydocker.start("alpine", "sleep", "600", network_mode="none") as container:
        assert container.address == ""
        with pytest.raises(mydocker.LaunchError, match=r"is not published\nstart it with ports=\[80\]"):
            container.endpoint(80)
    with mydocker.start("alpine", "sleep", "600", network_mode="host") as container:
        assert container.endpoint(80) == ("127.0.0.1", 80)


def test_many_threads_start_containers_at_once() -> None:
    """While another thread holds a lock that a fork of this process would inherit locked; and the thread that has
    started a container may end before it."""
    held, done = threading.Lock(), threading.Event()

    def hold() -> None:
        with held:
            done.wait()

    def one(number: int) -> mydocker.Container:
        return mydocker.start("alpine", "sh", "-c", f"echo {number}; sleep 600")

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            started = [*pool.map(one, range(3))]
        with contextlib.ExitStack() as stack:
            for number, container in enumerate(started):
                stack.enter_context(container).wait_for(log=f"^{number}$", timeout=240)
                assert container.exec("echo", str(number)).stdout == f"{number}\n"
    finally:
        done.set()
        holder.join()


def test_in_an_event_loop() -> None:
    async def use(number: int) -> str:
        with await asyncio.to_thread(mydocker.start, "alpine", "sh", "-c", f"echo {number}; sleep 600") as container:
            await asyncio.to_thread(container.wait_for, log=str(number))
            outcome = await asyncio.to_thread(container.exec, "echo", str(number))
            return outcome.stdout

    async def main() -> list[str]:
        return await asyncio.gather(use(1), use(2))

    assert asyncio.run(main()) == ["1\n", "2\n"]


PROGRAM = """
import sys, time, mydocker
script = "trap 'echo bye > /srv/end; exit' TERM; echo up; sleep {mark} & wait"
container = mydocker.start("alpine", "sh", "-c", script, stop_grace_period="5m", {keys}).wait_for(log="up", timeout=240)
print(container.id, flush=True)
{then}
"""


def _program(alpine: Command, mark: str, keys: str, then: str) -> tuple[subprocess.Popen[str], str]:
    code = PROGRAM.format(mark=mark, keys=keys, then=then)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, **alpine.environment}
    )
    assert process.stdout
    with process.stdout as lines:
        return process, lines.readline().strip()


@pytest.mark.parametrize(
    ("then", "number"),
    [
        ("time.sleep(600)", signal.SIGKILL),
        ("time.sleep(600)", signal.SIGTERM),
        ("", None),
        ("import os; os.abort()", None),
    ],
)
def test_a_container_ends_with_its_program(
    alpine: Command, tmp_path: pathlib.Path, then: str, number: signal.Signals | None
) -> None:
    """However that ends; and in an orderly way: it gets its stop signal, and named volumes have what it wrote then."""
    mark = f"6{os.getpid()}"
    process, container_id = _program(alpine, mark, f"volumes=['{tmp_path}:/srv']", then)
    if number:
        wait_until(lambda: bool(sleeping(mark)))
        process.send_signal(number)
    process.wait(timeout=240)
    wait_until(lambda: container_id[:12] not in left(alpine))
    assert (tmp_path / "end").read_text() == "bye\n"
    assert not sleeping(mark)


def test_children_of_the_program_do_not_keep_its_containers(alpine: Command) -> None:
    mark = f"7{os.getpid()}"
    then = "import os\nif os.fork() == 0: os.closerange(0, 3); time.sleep(600)\ntime.sleep(600)"
    process, container_id = _program(alpine, mark, "", then)
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: len(path.read_text().split()) == 1)
    [child] = map(int, path.read_text().split())
    process.kill()
    process.wait()
    try:
        wait_until(lambda: container_id[:12] not in left(alpine))
    finally:
        os.kill(child, signal.SIGKILL)


def test_what_a_killed_program_leaves_is_removed_later(alpine: Command) -> None:
    """A container that has ended before its program has no keeper any more: the next command removes it."""
    process, container_id = _program(alpine, "0", "", "time.sleep(600)")
    wait_until(lambda: b"exited" in alpine("ps", "-a", "--format", "{{.ID}} {{.State}}").stdout)
    assert container_id[:12] in alpine("ps", "-aq").stdout.decode()
    process.kill()
    process.wait()
    wait_until(lambda: container_id[:12] not in alpine("ps", "-aq").stdout.decode())  # its keeper may just be ending
    assert container_id[:12] not in left(alpine)


def test_a_detached_container_goes_on(alpine: Command) -> None:
    mark = f"8{os.getpid()}"
    process, container_id = _program(alpine, mark, "detach=True", "")
    assert process.wait(timeout=240) == 0
    assert container_id[:12] in alpine("ps", "-q").stdout.decode()
    assert alpine("rm", "-f", container_id).code == 0
    assert not sleeping(mark)


def test_an_interrupt_while_a_command_runs(alpine: Command) -> None:
    """KeyboardInterrupt ends the command, and the `with` the container."""
    mark = f"9{os.getpid()}"
    then = f"with container: container.exec('sleep', '{mark}1')"
    process, container_id = _program(alpine, mark, "", then)
    wait_until(lambda: bool(sleeping(f"{mark}1")))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=240) == -signal.SIGINT
    assert container_id[:12] not in left(alpine) and not sleeping(f"{mark}1")


def test_types(tmp_path: pathlib.Path) -> None:
    """As mypy --strict sees a program that uses this."""
    (tmp_path / "program.py").write_text(
        "import mydocker\n"
        "db = mydocker.fixture('a', scope='session', ports=[80], wait_for={'health': True, 'timeout': 3})\n"
        "def use() -> tuple[str, int]:\n"
        "    with mydocker.start('a', 'b', healthcheck={'test': 'true'}) as container:\n"
        "        container.wait_for(port=[80, '53/udp'], log='x').exec('true', check=True)\n"
        "        return container.endpoint(80)\n"
        "mydocker.start('a', pots=[])\n"
    )
    words = ["--strict", "--no-incremental", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, capture_output=True, text=True)
    assert re.findall(r"^program\.py:(\d+): error: (.*?)\s+\[", done.stdout, re.MULTILINE) == [
        ("7", 'Unexpected keyword argument "pots" for "start"; did you mean "ports"?')
    ], done.stdout


ORDINARY = """
import mydocker
server = "mkdir /srv/www; echo fine > /srv/www/index.html; exec httpd -f -p 8080 -h /srv/www"
with mydocker.start("alpine", "sh", "-c", server, network_mode="none", healthcheck={"test": "true"}) as web:
    web.wait_for(port=8080, http=8080, health=True)
    print(web.exec("wget", "-q", "-O", "-", "http://127.0.0.1:8080/").stdout, end="")
    print(web.exec("sh", "-c", "id -u; touch /srv/new", check=True).stdout, end="")
    web.copy_out("/srv/www/index.html", "out")
    try:
        web.endpoint(8080)
    except mydocker.LaunchError as error:
        print(error.hint)
    web.restart()
    print(web.exec("ls", "/srv").stdout.split(), open("out").read(), end="")
print(web.status)
"""


@pytest.mark.rootless
def test_an_ordinary_user(second_user: Command, user: pwd.struct_passwd) -> None:
    site = second_user.program.parent / "site"
    environment = {**second_user.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    python = python_of(user)
    if site.exists():
        environment["PYTHONPATH"] = str(site)
    else:
        python = sys.executable
    done = subprocess.run(
        [*second_user.prefix, python, "-c", ORDINARY],
        cwd=second_user.directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["fine", "0", "start it with ports=[8080]", "['new', 'www'] fine", "removed"]
    assert left(second_user) == []


def test_no_line_is_missed_or_repeated_where_following_begins() -> None:
    script = "echo 1; echo 2; read x < /srv/go; echo $x"
    with mydocker.start("alpine", "sh", "-c", script, pre_start=[["mkfifo", "/srv/go"]]) as container:
        container.wait_for(log="2")
        lines, none = container.follow(tail=1), container.follow(tail=0)
        assert next(lines) == "2"
        container.exec("sh", "-c", "echo 3 > /srv/go")
        assert [[*lines], container.logs(tail=2)] == [["3"], "2\n3\n"]
        assert [*none] == []  # it begins where it is first asked
