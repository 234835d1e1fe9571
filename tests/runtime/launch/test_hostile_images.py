"""Images that attack the launch: each finds its way barred, and a canary of the host stays as it was."""

from __future__ import annotations

import hashlib
import os
import pathlib
import pwd
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result, command
from lab.oci import DIR, CharDevice, Entry, Fifo, File, Image, Link, Program, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

REFUSED = (0, 1, 125, 126, 127)


class Attack:
    """Runs an image that has been pushed for it, next to a canary directory that nothing may touch. Tests of the same
    image have it under the same name, so that it is pulled once."""

    def __init__(self, mydocker: Command, registry: Registry, canary: pathlib.Path) -> None:
        self.mydocker, self.registry, self.canary = replace(mydocker, forks=True), registry, canary
        self.name = ""

    def push(self, hostile: Image) -> None:
        self.name = f"hostile/{hostile.digest.removeprefix('sha256:')[:12]}"
        self.registry.push(hostile, self.name)

    def run(self, *command: str, options: tuple[str, ...] = ()) -> Result:
        done = self.mydocker("run", *options, self.name, *command, timeout=200)
        assert b"Traceback" not in done.stderr
        return done


def _state(top: pathlib.Path) -> list[tuple[str, int, int, bytes]]:
    found = []
    for path in sorted([top, *top.rglob("*")]):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_mode, status.st_nlink, data))
    return found


@pytest.fixture(scope="module")
def commands(
    registry: Registry, tmp_path_factory: pytest.TempPathFactory, make_second_user: Callable[[], Command]
) -> dict[str, Command]:
    """Each with a store for all attacks, so that only the first one unpacks the layer that their images stand on."""
    of_root = command(tmp_path_factory.mktemp("hostile"), registry=registry.address)
    return {"root": of_root, "ordinary user": make_second_user()}


@pytest.fixture(params=["root", "ordinary user"])
def attack(
    commands: dict[str, Command],
    registry: Registry,
    tmp_path: pathlib.Path,
    user: pwd.struct_passwd,
    request: pytest.FixtureRequest,
) -> Iterator[Attack]:
    """By root, and by another user, whose store and whose canary are their own."""
    mydocker = commands[request.param]
    ordinary = request.param == "ordinary user"
    top = request.getfixturevalue("user_directory")() if ordinary else tmp_path
    canary = top / "canary"
    canary.mkdir()
    (canary / "file").write_text("alive\n")
    for path in (canary, canary / "file") if ordinary else ():
        os.chown(path, user.pw_uid, user.pw_gid)
    before = _state(canary)
    yield Attack(mydocker, registry, canary)
    assert _state(canary) == before
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    assert [line for line in mounts if str(top) in line or str(mydocker.store) in line] == []
    assert os.listdir(mydocker.store / "containers") == []


@pytest.mark.parametrize("victim", ["proc", "sys", "dev"])
@pytest.mark.parametrize("to", ["/", "..", "../../../..", "CANARY", "../CANARY", "/tmp", "/proc/1/root"])
def test_a_mount_point_that_is_a_link(attack: Attack, victim: str, to: str) -> None:
    """CVE-2023-27561, CVE-2019-19921: a file system is never mounted through the image's symlink."""
    to = to.replace("CANARY", str(attack.canary).lstrip("/") if to.startswith("..") else str(attack.canary))
    attack.push(image_without(victim, {victim: Link(to)}))
    done = attack.run("echo", "started")
    assert (done.stdout, done.code) in ((b"", 125), (b"started\n", 0))


def image_without(name: str, entries: dict[str, Entry]) -> Image:
    """The image with what stands at NAME replaced by ENTRIES (a whiteout and then the entries, in two layers)."""
    from lab.oci import WHITEOUT

    return image(layer({name: WHITEOUT}), layer(entries))


@pytest.mark.parametrize("name", ["etc/resolv.conf", "etc/hosts", "etc/hostname"])
@pytest.mark.parametrize(
    "to", ["CANARY/file", "../../../../CANARY/file", "CANARY/new", "/nowhere/at/all", "/proc/1/fd/1"]
)
def test_a_file_of_etc_that_is_a_link(attack: Attack, name: str, to: str) -> None:
    """The link ends in the container or nowhere; the host's file is neither written nor covered."""
    attack.push(image_without(name, {name: Link(to.replace("CANARY", str(attack.canary)))}))
    done = attack.run("sh", "-c", f"echo owned > /{name}; echo started")
    assert done.code in (0, 125)


@pytest.mark.parametrize("name", ["dev/null", "dev/shm", "dev/pts", "dev/console", "dev/ptmx"])
@pytest.mark.parametrize("to", ["/proc/sys/kernel/core_pattern", "CANARY"])
def test_a_device_that_is_a_link(attack: Attack, name: str, to: str) -> None:
    """CVE-2025-31133, CVE-2025-52565: /dev is a file system of mydocker's, whatever the image has there."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes()
    attack.push(image(layer({name: Link(to.replace("CANARY", str(attack.canary)))})))
    done = attack.run("sh", "-c", "echo owned > /dev/null; cat /proc/keys; stat -c %F /dev/null")
    assert done == Result(b"character special file\n", b"", 0)
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes() == pattern


@pytest.mark.parametrize("to", ["../../..", "/", "/proc/1/root", "../../../CANARY"])
def test_a_volume_through_a_link(attack: Attack, tmp_path: pathlib.Path, to: str) -> None:
    """CVE-2021-30465: a volume's target is found inside the container."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "mark").write_text("volume\n")
    attack.push(image(layer({"a": Link(to.replace("CANARY", str(attack.canary).lstrip("/")))})))
    done = attack.run("cat", "/a/b/mark", options=("-v", f"{source}:/a/b"))
    assert done.code in REFUSED
    assert not pathlib.Path("/b").exists()


@pytest.mark.parametrize("way", ["/proc/self/fd/9", "/proc/1/fd/9", "/proc/thread-self/fd/9", "/link"])
@pytest.mark.parametrize("source", ["option", "image"])
def test_a_working_directory_outside(attack: Attack, way: str, source: str) -> None:
    """CVE-2024-21626: a descriptor of mydocker's, or of its caller, never becomes the working directory."""
    working_dir = way if source == "image" else ""
    attack.push(image(layer({"link": Link("/proc/self/fd/9")}), working_dir=working_dir))
    options = () if source == "image" else ("-w", way)
    words = attack.mydocker.argv("run", *options, attack.name, "ls", "../../../../..")
    leaky = Command(
        pathlib.Path("/bin/sh"), attack.mydocker.environment, attack.mydocker.directory, (), attack.mydocker.store
    )
    done = leaky("-c", f"exec 9<{attack.canary}; exec {' '.join(words)}")
    assert b"canary" not in done.stdout and b"Traceback" not in done.stderr
    assert done.code in REFUSED


@pytest.mark.parametrize("name", ["../../x", "a\nb", "-rf", "x" * 200, "a/../../b", "x" * 300, "x" * 5000])
def test_an_odd_working_directory(attack: Attack, name: str) -> None:
    attack.push(image(working_dir=f"/{name}"))
    done = attack.run("sh", "-c", "echo started")
    assert (done.stdout, done.code) in ((b"started\n", 0), (b"", 125))


USER_LISTS: dict[str, Callable[[], Entry]] = {
    "fifo": Fifo,
    "zero": lambda: Link("/dev/zero"),
    "kmsg": lambda: Link("/proc/kmsg"),
    "memory": lambda: Link("/proc/self/mem"),
    "sysfs": lambda: Link("/sys/kernel/notes"),
    "shadow": lambda: Link("../../../../etc/shadow"),
    "device": lambda: CharDevice(1, 5),
    "directory": lambda: DIR,
    "huge": lambda: File(b"x" * 20_000_000),
    "garbage": lambda: File(b"\xff\xfe:::\n:\n:::::::::::\nroot:x:99999999999999999999:0::/:/bin/sh\n"),
    "loop": lambda: Link("passwd"),
}


@pytest.mark.parametrize("passwd", USER_LISTS)
@pytest.mark.parametrize("wanted", ["", "nobody", "1000"])
def test_a_user_list_that_never_ends(attack: Attack, passwd: str, wanted: str) -> None:
    """CVE-2024-9676: no hang, no user of the host's, and nothing that only our rights would let the image read."""
    attack.push(image_without("etc/passwd", {"etc/passwd": USER_LISTS[passwd]()}))
    done = attack.run("stat", "-Lc", "%u", "/proc/self", options=("-u", wanted) if wanted else ())
    expected = {"": b"0\n", "1000": b"1000\n", "nobody": None}[wanted]
    assert (done.stdout, done.code) in ((b"", 125), (expected, 0)), done
    assert b"cannot start" not in done.stderr  # nothing that we have not thought of


@pytest.mark.parametrize(
    "wanted", ["4294967296", "-1", "1_0", "\u0660", "0x0", ":-1", "-1:", "18446744073709551616", " 0", "+0", "0 "]
)
def test_never_root_by_accident(attack: Attack, wanted: str) -> None:
    """CVE-2024-40635: a USER that is no number of a user is refused, not wrapped around."""
    attack.push(image(user=wanted))
    done = attack.run("id", "-u")
    assert (done.stdout, done.code) == (b"", 125), done


def test_an_image_cannot_lend_us_its_modules(attack: Attack) -> None:
    """CVE-2019-14271: nothing of the image runs as us, though it shadows all that Python or the host would load."""
    evil = Program(f"#!/bin/sh\necho owned > {attack.canary}/file\necho owned >&2\n".encode())
    names = {
        f"{os.path.dirname(os.__file__)}/{name}.py".lstrip("/") for name in ("warnings", "os", "codecs", "encodings")
    }
    tools = {f"{place}/{name}" for place in ("bin", "usr/bin", "sbin") for name in ("newuidmap", "ip", "gzip", "tar")}
    shadows: dict[str, Entry | bytes] = dict.fromkeys(names, b"raise SystemExit('owned')\n")
    shadows |= dict.fromkeys(("encodings.py", "errno.py", "linecache.py"), b"raise SystemExit('owned')\n")
    shadows |= dict.fromkeys(tools, evil) | {
        "lib/libnss_files.so.2": b"\x7fELF",
        "etc/nsswitch.conf": b"passwd: evil\n",
    }
    attack.push(image(layer(shadows)))
    assert attack.run("echo", "fine") == Result(b"fine\n", b"", 0)
    refused = attack.run("nonesuch", options=("-u", "nobody"))
    assert refused.code == 127 and b"owned" not in refused.stderr


def test_our_interpreter_cannot_be_rewritten(attack: Attack) -> None:
    """CVE-2019-5736: an image whose command is /proc/self/exe finds itself there, not us."""
    interpreter = pathlib.Path(os.path.realpath(sys.executable))
    before = hashlib.sha256(interpreter.read_bytes()).digest()
    attack.push(image(layer({"self": Link("/proc/self/exe")})))
    for words in (["/proc/self/exe"], ["/self"], ["sh", "-c", "for x in /proc/[0-9]*/exe; do echo x > $x; done"]):
        assert attack.run(*words).code in REFUSED
    assert hashlib.sha256(interpreter.read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("interpreter", "more"),
    [("/proc/self/exe", {}), ("/link", {"link": Link("/proc/self/exe")})],
    ids=["itself", "through a link"],
)
def test_a_script_that_is_run_by_proc_self_exe(attack: Attack, interpreter: str, more: dict[str, Entry]) -> None:
    """CVE-2019-5736, the published way in: execve(2) of such a script makes an interpreter of whoever calls it."""
    ours = pathlib.Path(os.path.realpath(sys.executable))
    before = hashlib.sha256(ours.read_bytes()).digest()
    attack.push(image(layer({"script": Program(f"#!{interpreter}\n".encode()), **more})))
    done = attack.run("/script")
    assert (done.stdout, done.code) == (b"", 126)
    assert hashlib.sha256(ours.read_bytes()).digest() == before


@pytest.mark.parametrize("entry", ["NOVALUE", "*", "=x", "PATH", "SECRET", "A\nB=1", "X=" + "x" * 100_000])
def test_odd_environment_entries(attack: Attack, entry: str) -> None:
    """Nothing of the host's environment comes in through the image's."""
    attack.push(image(env=[entry, "GOOD=1", "PATH=/bin"]))
    done = attack.mydocker("run", attack.name, "sh", "-c", "echo $GOOD $SECRET", env={"SECRET": "host"})
    assert done == Result(b"1\n", b"", 0)


@pytest.mark.parametrize("name", ["bin/sh\u001b[31m", "nonesuch\u001b]0;owned\u0007"])
def test_escape_sequences_are_not_passed_on(attack: Attack, name: str) -> None:
    attack.push(image(cmd=[name]))
    done = attack.run()
    assert done.code == 127
    assert b"\x1b" not in done.stderr and b"\x07" not in done.stderr
