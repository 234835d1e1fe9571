"""`mydocker explain --shell`: the script, run manually, makes the container that mydocker makes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import time
from subprocess import PIPE

import pytest
from lab import busybox
from lab.command import Command, Result
from lab.oci import WHITEOUT, Link, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

LOOK = """
id; hostname; env | sort; pwd; umask; cat /etc/hosts /etc/hostname /etc/resolv.conf; ls /dev; echo $$
grep -E '^(Cap|NoNewPrivs|Groups|SigIgn)' /proc/self/status; ulimit -n; cat /proc/net/dev | wc -l
cat /sys/fs/cgroup/*/memory.limit_in_bytes /sys/fs/cgroup/*/pids.max 2>/dev/null
ls -l /proc/self/fd | wc -l; cat /proc/sys/net/ipv4/ip_default_ttl; cut -d' ' -f5,6 /proc/self/mountinfo
sed 's/.* - //' /proc/self/mountinfo | cut -d' ' -f1; (echo x > /probe) 2>&1
stat -c "%A %u %g %n" . /srv /tmp; cat /proc/self/oom_score_adj /proc/sys/kernel/domainname; cat; exit 7
"""


ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")


def _left(pid: int) -> list[str]:
    """What the script that was process PID has left on the host: bridges, interfaces, tables."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in [*os.listdir("/sys/class/net"), *tables] if f"mdsh{pid}-" in name]


def from_script(alpine: Command, *words: str, input: bytes = b"") -> Result:
    """What `run WORDS` does, done by the script; nothing that it made is there in the end."""
    before = sorted(os.listdir(alpine.store))
    explained = alpine("explain", "--shell", "run", *words)
    assert (explained.code, explained.stderr) == (0, b"")
    script = explained.stdout.decode()
    environment = {"PATH": alpine.environment["PATH"], "FROM_HOST": "1"}
    deaf = ["sh", "-c", "trap '' INT; exec sh -c \"$1\"", "sh", script]  # as what a shell starts with & is
    with subprocess.Popen(deaf, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment) as running:
        stdout, stderr = running.communicate(input, timeout=240)
    assert (sorted(os.listdir(alpine.store)), _left(running.pid)) == (before, [])
    return Result(stdout, stderr, running.returncode)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-u nobody -w /srv/new/place",
        "-u 1234 -e A=it's -e B=$HOME",
        "-u daemon:mail --group-add wheel --group-add 77",
        "-u 405",
        "-v HERE:/a/b:ro -v HERE/file:/c",
        "--network none -h box",
        "--read-only --tmpfs /tmp --tmpfs /run:size=1m,noexec -w /made",
        "--cap-drop ALL --cap-add SYS_CHROOT --cap-add NET_ADMIN",
        "--privileged",
        "--security-opt no-new-privileges --umask 077",
        "--ulimit nofile=50:60 --sysctl net.ipv4.ip_default_ttl=50 --network none",
        "--pid host --ipc host --uts host",
        "--shm-size 1m -v HERE:/o:O -v /anonymous --device /dev/null:/dev/other",
        "-i --add-host a:1.2.3.4 --dns 9.9.9.9 -v named:/etc",
        "--domainname example.org --dns-search a.example --dns-option ndots:2 --oom-score-adj 7 --network none",
        "--dns-search . --dns 9.9.9.9",
        "--memory 64m --pids-limit 50 --cpus 0.5",
        "--network bridge --add-host me:host-gateway --add-host a:1.2.3.4 --domainname example.org",
    ],
)
def test_the_script_makes_the_same_container(alpine: Command, tmp_path: pathlib.Path, options: str) -> None:
    (tmp_path / "file").write_text("x")
    words = [*options.replace("HERE", str(tmp_path)).split(), "-h", "same"]
    words = words if "uts" not in options else words[:-2]
    ours = alpine("run", *words, "alpine", "sh", "-c", LOOK, input=b"fed\n")
    theirs = from_script(alpine, *words, "alpine", "sh", "-c", LOOK, input=b"fed\n")
    pid = b"--pid" in options.encode()
    assert _comparable(theirs, numbered=not pid) == _comparable(ours, numbered=not pid)
    assert ours.code == 7


def _comparable(result: Result, *, numbered: bool) -> tuple[list[str], bytes, int]:
    """But for the addresses: the script has a network of its own."""
    lines = ADDRESS.sub("ADDRESS", result.stdout.decode()).splitlines()
    return [line for line in lines if numbered or not line.isdigit()], result.stderr, result.code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["/nonesuch"], 127),
        (["/etc"], 126),
        (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137),
        (["sh", "-c", 'echo "it\'s"; exit 3'], 3),
    ],
)
def test_exit_codes(alpine: Command, command: list[str], code: int) -> None:
    assert from_script(alpine, "alpine", *command).code == code


def test_a_value_cannot_end_the_inner_script(alpine: Command) -> None:
    done = from_script(alpine, "-e", "A=1\nEND_OF_INNER_SCRIPT\necho escaped", "alpine", "sh", "-c", "echo ${#A}")
    assert done == Result(b"34\n", b"", 0)


def test_the_machines_own_tree(alpine: Command, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("rootfs: /\ncommand: [sh, -c, 'echo changed > /etc/by-hand; cat /etc/by-hand; id -u']\n")
    script = alpine("explain", "--shell", str(file)).stdout
    done = subprocess.run(["sh", "-c", script.decode()], capture_output=True, timeout=240)
    assert (done.stdout, done.stderr, done.returncode) == (b"changed\n0\n", b"", 0)
    assert not os.path.exists("/etc/by-hand")


def test_an_unknown_user(alpine: Command) -> None:
    done = from_script(alpine, "-u", "nonesuch", "alpine", "true")
    assert (done.code, done.stderr) == (125, b"unable to find user nonesuch in the image\n")


@pytest.mark.parametrize("number", ["4294967296", "-1", "", "root", "0x0"])
def test_an_id_out_of_range(mydocker: Command, registry: Registry, number: str) -> None:
    """CVE-2024-40635: never root by accident."""
    accounts = f"app:x:{number}:5::/:/bin/sh\n"
    registry.push(busybox.alpine(layer({"etc/passwd": accounts.encode()})), "from-script/ids")
    assert mydocker("run", "-u", "app", "from-script/ids", "id").code == 125
    done = from_script(mydocker, "-u", "app", "from-script/ids", "id")
    assert done == Result(b"", b"an id of the image is out of range\n", 125)


@pytest.mark.parametrize("name", ["etc", "proc", "dev"])
def test_a_link_out_of_the_image(mydocker: Command, registry: Registry, tmp_path: pathlib.Path, name: str) -> None:
    registry.push(busybox.alpine(layer({name: WHITEOUT}), layer({name: Link(str(tmp_path))})), f"from-script/{name}")
    assert mydocker("pull", f"from-script/{name}").code == 0
    before = sorted(os.listdir(tmp_path))
    done = from_script(mydocker, f"from-script/{name}", "true")
    assert done.code == 125 and b"a link leads out of the image" in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_one_container_only(alpine: Command, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("image: alpine\n---\nimage: alpine\n")
    done = alpine("explain", str(file), "--shell")
    assert done.code != 0 and b"--shell explains one container" in done.stderr


NAMES = ["a b", "tab\tx", "line\nend", "end\n", " blanks ", "back\\040slash", "%s%b", "q'\"q", "$(id)`id`", "a,b", "-o",
         "\xa0\u65e5"]  # fmt: skip


def _volumes_called(name: str, at: str, here: pathlib.Path) -> list[object]:
    """Volumes of each kind whose targets below AT, or whose source, are called NAME."""
    source = here / f"{name}!"
    source.mkdir()
    (source / "file").write_text("more")
    bind = {"type": "bind", "source": f"{here}/dir", "read_only": True}
    return [
        {**bind, "target": f"{at}/bind/{name}"},
        {**bind, "source": f"{here}/dir/file", "target": f"{at}/file/{name}"},
        {"type": "tmpfs", "target": f"{at}/tmpfs/{name}"},
        {"type": "volume", "source": "named", "target": f"{at}/volume/{name}", "read_only": True},
        f"{here}/dir:{at}/overlay/{name}:O",
        f"{source}:{at}/source:O",
    ]


@pytest.fixture(scope="module")
def called(alpine: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """For each of NAMES, what a container sees in which all of them are: of the script's, and of mydocker's."""
    here = tmp_path_factory.mktemp("called")
    (here / "dir").mkdir()
    (here / "dir" / "file").write_text("content")
    volumes = [each for n, name in enumerate(NAMES) for each in _volumes_called(name, f"/m/{n}", here)]
    look = f"for n in $(seq 0 {len(NAMES) - 1}); do ls -1R /m/$n; find /m/$n -type f -exec cat {{}} +; "
    look += "grep \" /m/$n/\" /proc/self/mountinfo | cut -d' ' -f5,6; printf '\\1'; done"
    spec = {"image": "alpine", "volumes": volumes, "command": ["sh", "-c", look.replace("$", "$$")]}
    (here / "spec.yaml").write_text(json.dumps(spec).replace("$(id)", "$$(id)"))
    explained = alpine("explain", "--shell", f"{here}/spec.yaml")
    assert (explained.code, explained.stderr) == (0, b"")
    done = subprocess.run(["sh", "-c", explained.stdout.decode()], capture_output=True, timeout=240)
    ours = alpine("up", f"{here}/spec.yaml")
    assert (done.stderr, done.returncode) == (ours.stderr, ours.code) == (b"", 0)
    theirs, own = (text.decode().split("\1")[:-1] for text in (done.stdout, ours.stdout))
    return {name: (theirs[n], own[n]) for n, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_special_letters(called: dict[str, tuple[str, str]], name: str) -> None:
    """As targets, and as a source; mountinfo(5) and findmnt(8) write some of them as escapes."""
    theirs, ours = called[name]
    assert theirs == ours and ours.count("content") == 3


def test_a_secret_is_not_in_the_script(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Whoever runs it says what it is."""
    spec = "image: alpine\ncommand: [cat, /c, /run/secrets/my-token]\nconfigs: [{target: /c, content: 'config,'}]\n"
    (tmp_path / "spec.yaml").write_text(
        spec + "secrets: [{source: my-token, environment: TOKEN}, {target: /s, content: $TOKEN}]\n"
    )
    explained = alpine("explain", "--shell", "spec.yaml", cwd=tmp_path, env={"TOKEN": "very-secret"})
    script = explained.stdout.decode()
    assert explained.code == 0 and "very-secret" not in script
    for environment, printed, code in (
        ({"secret_my_token": "it's", "secret__s": "s"}, b"config,it's", 0),
        ({}, b"", 2),
    ):
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, env={**alpine.environment, **environment}, timeout=60
        )
        assert (done.stdout, done.returncode) == (printed, code)
    assert b": set it to the content of /s" in done.stderr
    assert "secret_my_token?set it to the content of /run/secrets/my-token" in script


CONNECTED = """
ip route | grep -o 'default.*dev.*'
ip -o address | grep -v ' lo ' | sed 's/@[^:]*//'; ip route; cat /sys/class/net/eth*/mtu /etc/hosts; ping -c1 -W60 "$(
ip route | sed -n 's/.*via \\([^ ]*\\).*/\\1/p')" | grep -c ' 0% packet loss'
"""


def _without_numbers(result: Result) -> tuple[list[str], bytes, int]:
    text = re.sub(r"(?m)ADDRESS/\d+", "ADDRESS/N", ADDRESS.sub("ADDRESS", result.stdout.decode()))
    text = re.sub(r"(?m)^(ADDRESS\t.*)\b[0-9a-f]{12}$", r"\1ID", text)  # its own, which the script has chosen anew
    return sorted(text.splitlines()), result.stderr, result.code


@pytest.fixture(scope="module")
def connectable(alpine: Command) -> Command:
    for words in (["own"], ["--internal", "inside"], ["--subnet", "10.77.5.0/24", "fixed"]):
        assert alpine("network", "create", *words).code == 0
    return alpine


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--network own",
        "--network own --network inside",
        "--network inside",
        "--network own --network name=fixed,gw-priority=5",
    ],
)
def test_its_networks(connectable: Command, options: str) -> None:
    """Interfaces, routes and names; the gateway answers. A network that is internal has no way out."""
    words = [*options.split(), "-h", "same", "alpine", "sh", "-c", CONNECTED]
    ours, theirs = connectable("run", *words), from_script(connectable, *words)
    assert _without_numbers(theirs) == _without_numbers(ours)
    has_way_out = options != "--network inside"
    assert (b"default via" in ours.stdout, ours.code) == (has_way_out, 0 if has_way_out else 1)


def test_the_hosts_network(alpine: Command) -> None:
    own = os.readlink("/proc/self/ns/net").encode() + b"\n"
    assert from_script(alpine, "--network", "host", "alpine", "readlink", "/proc/self/ns/net") == Result(own, b"", 0)


def test_the_network_of_another_container(alpine: Command) -> None:
    settings = ("--name", "other", "-h", "box", "--dns", "10.1.2.3")
    other = alpine.start("run", *settings, "alpine", "sh", "-c", "echo up; exec sleep 60")
    with other:
        assert other.stdout and other.stdout.readline() == b"up\n"
        script = "hostname; ip -o address; cat /etc/hosts /etc/resolv.conf"
        words = ["--network", "container:other", "alpine", "sh", "-c", script]
        assert from_script(alpine, *words) == alpine("run", *words)
        other.terminate()


def test_an_address_that_is_set(connectable: Command) -> None:
    words = ["--network", "fixed", "--ip", "10.77.5.9", "--mac-address", "02:00:00:00:00:07", "alpine", "ip", "address"]
    done = from_script(connectable, *words)
    assert b"10.77.5.9/24" in done.stdout and b"02:00:00:00:00:07" in done.stdout and done.code == 0


def test_a_published_port(alpine: Command) -> None:
    """From the host's loopback, and from another of its addresses; nobody else gets an answer there afterwards."""
    port = 19876  # below those that the kernel gives to whoever asks for any: ip(7), ip_local_port_range
    script = alpine(
        *("explain", "--shell", "run", "-p", f"{port}:80", "alpine"),
        *("sh", "-c", "for n in 1 2; do echo greeting | nc -l -p 80; done"),
    ).stdout.decode()
    running = subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL)
    try:
        for address in ("127.0.0.1", _own_address()):
            assert _greeting(address, port) == b"greeting\n"
        assert running.wait(timeout=240) == 0
    finally:
        running.terminate()
        running.wait(timeout=240)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: the kernel chooses the address
        return str(probe.getsockname()[0])


def _greeting(address: str, port: int) -> bytes:
    end = time.monotonic() + 120
    while True:
        try:
            with socket.create_connection((address, port), timeout=240) as client, client.makefile("rb") as answer:
                return answer.read()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_what_it_lacks_is_named(alpine: Command) -> None:
    script = alpine("explain", "--shell", "run", "-p", "80", "alpine", "true").stdout.decode()
    assert "publishing port 80 under a number that is free" in script and "other containers of network bridge" in script
