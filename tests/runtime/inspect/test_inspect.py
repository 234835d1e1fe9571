"""What reads an image's files from outside: no link of the image leads it to the kernel's files, or to the host's.

The table of links is tried with everything that reads: the contents and digests of files, while the container runs and
after, the lists of users and groups, the command and its interpreter, changes, and what fills a volume.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import time

import pytest
from lab.busybox import alpine as image
from lab.command import Command, Result, command
from lab.oci import DIR, CharDevice, Entry, Fifo, Link, Program, layer
from lab.registry import Registry

from mydocker import idmap
from mydocker.errors import HostError

# what none may read: by a link of the image, over several, through a linked directory, in a volume
LINKS: dict[str, Entry] = {
    "kmsg": Link("/proc/kmsg"),
    "kallsyms": Link("/proc/kallsyms"),
    "relative": Link("../../../../proc/kallsyms"),
    "chain": Link("chain2"),
    "chain2": Link("/kernel/kallsyms"),
    "environ": Link("/proc/1/environ"),
    "uuid": Link("/proc/sys/kernel/random/uuid"),
    "mounts": Link("/proc/mounts"),
    "trigger": Link("/proc/sysrq-trigger"),
    "notes": Link("/sys/kernel/notes"),
    "cgroup": Link("/sys/fs/cgroup/cgroup.procs"),
    "volume": Link("/hostproc/kallsyms"),
    "debug": Link("/hostsys/kernel/debug/sleep_time"),
    "trace": Link("/hostsys/kernel/tracing/trace_pipe"),
    "root": Link("/proc/1/root/etc/shadow"),
    "descriptor": Link("/proc/self/fd/0"),
    "executable": Link("/proc/1/exe"),
    "zero": Link("/dev/zero"),
    "tty": Link("/dev/tty"),
    "ptmx": Link("/dev/ptmx"),
    "random": Link("/dev/random"),
    "stdout": Link("/dev/stdout"),
    "fifo": Fifo(),
    "device": CharDevice(1, 5),
    "directory": DIR,
    "loop": Link("loop"),
    "outside": Link("../../../../CANARY/secret"),
}
READ = re.compile(r"^      actual:   (.*)$", re.MULTILINE)
REFUSALS = ("it is not a regular file", "cannot follow it: ", "the file does not exist", "there is none")


@pytest.fixture
def hostile(mydocker: Command, registry: Registry) -> Command:
    _push(registry)
    return mydocker


def _push(registry: Registry) -> None:
    links = {f"l/{name}": entry for name, entry in LINKS.items()}
    registry.push(image(layer({"l": DIR, "kernel": Link("/proc"), **links})), "hostile/links")


def _spec(more: str, expectations: str, fields: str = "") -> str:
    checks = "".join(f"    - {{path: /l/{name}, {fields}}}\n" for name in LINKS)
    return f"image: hostile/links\n{more}expect:\n{expectations}  files:\n{checks}"


def _test(mydocker: Command, text: str) -> Result:
    (mydocker.directory / "x.smoke.yaml").write_text(text)
    return mydocker("test", "x.smoke.yaml", timeout=200)


@pytest.mark.root
@pytest.mark.parametrize("when", ["while it runs", "after its end"])
@pytest.mark.parametrize("fields", ["contents: [a]", f"sha256: {'0' * 64}"])
def test_no_inspector_reads_through_an_image_s_links(hostile: Command, when: str, fields: str) -> None:
    volumes = "volumes: ['/proc:/hostproc:ro', '/sys:/hostsys:ro']\n"
    command = "command: sleep 60\n" if when == "while it runs" else "command: 'true'\n"
    within = "  within: 2s\n" if when == "while it runs" else ""
    done = _test(hostile, _spec(volumes + command, within, fields))
    _all_refused(done)


def _all_refused(done: Result) -> None:
    """Each link has its refusal, and nothing that was read is shown."""
    assert done.code == 1, done
    shown = READ.findall(done.stdout.decode())
    assert len(shown) >= len(LINKS) - 1, done.stdout.decode()  # of what hangs in the air, that it is not there
    assert [line for line in shown if not line.startswith(REFUSALS)] == []
    assert b" T " not in done.stdout and b"ffffffff" not in done.stdout and b"Linux version" not in done.stdout


@pytest.mark.rootless
def test_nor_those_of_an_ordinary_user(second_user: Command, registry: Registry) -> None:
    _push(registry)
    _all_refused(_test(second_user, _spec("command: 'true'\n", "", "contents: [a]")))


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Command:
    """With a store for all images, so that the layer that they stand on is unpacked once."""
    return command(tmp_path_factory.mktemp("reading"), registry=registry.address, forks=True)


@pytest.mark.root
@pytest.mark.parametrize("name", [name for name in LINKS if name != "directory"])
def test_neither_accounts_nor_commands_are_read_there(reading: Command, registry: Registry, name: str) -> None:
    """/etc/passwd and /etc/group, a command, one found on PATH, and the interpreter of a script."""
    script = Program(f"#!/l/{name}\n".encode())
    files = {
        "etc/passwd": Link(f"/l/{name}"),
        "etc/group": Link(f"/l/{name}"),
        "script": script,
        "bin/found": Link(f"/l/{name}"),
    }
    links = {f"l/{each}": entry for each, entry in LINKS.items()}
    registry.push(image(layer({"l": DIR, "kernel": Link("/proc"), **links, **files})), f"hostile/reads-{name}")
    for words in (("-u", "nobody", "IMAGE", "true"), ("IMAGE", f"/l/{name}"), ("IMAGE", "found"), ("IMAGE", "/script")):
        done = reading("run", *(f"hostile/reads-{name}" if word == "IMAGE" else word for word in words), timeout=200)
        assert (done.stdout, done.code in (125, 126, 127)) == (b"", True), (words, done)
        assert b"Traceback" not in done.stderr and b"cannot start" not in done.stderr


@pytest.mark.root
@pytest.mark.parametrize("to", ["/proc", "/sys/kernel", "CANARY", "../../../..", "/proc/1/root"])
def test_a_volume_takes_nothing_through_a_link(
    mydocker: Command, registry: Registry, canary: pathlib.Path, to: str
) -> None:
    registry.push(image(layer({"data": Link(to.replace("CANARY", str(canary)))})), "hostile/filled")
    done = mydocker("run", "-v", "named:/data/volume", "hostile/filled", "true")
    assert done.code in (0, 125), done
    done = mydocker("run", "-v", "other:/data", "alpine", "ls", "-A", "/data")
    assert (done.stdout, done.code) == (b"", 0)
    for name in ("named", "other"):
        data = mydocker.store / "volumes" / name / "data"
        assert not data.exists() or os.listdir(data) == []


@pytest.mark.root
def test_changes_are_resolved_in_the_image(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    """A link of the image to a directory that the host happens to have: the container makes a directory of it."""
    there = tmp_path / "there"
    (there / "below").mkdir(parents=True)
    links = {"probe": Link(str(there)), "up": Link("../../../.."), "system": Link("/usr")}
    registry.push(image(layer(links)), "hostile/probe")
    script = "rm /probe /up /system; mkdir /probe /up /system; mkdir /probe/below /up/tmp /system/bin"
    (mydocker.directory / "x.smoke.yaml").write_text(
        f"image: hostile/probe\ncommand: [sh, -c, '{script}']\nexpect: {{changes: {{only: [/none]}}}}\n"
    )
    done = mydocker("test", "x.smoke.yaml")
    changed = re.findall(rb"(/\S+) changed", done.stdout)
    assert {b"/probe/below", b"/up/tmp", b"/system/bin"} <= {*changed}, done


def test_an_inspection_ends_in_its_time() -> None:
    """Whatever keeps it, also what only SIGKILL ends."""

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(1000)

    with pytest.raises(TimeoutError):
        idmap.perform(None, block, limit=0.2)
    idmap.perform(None, lambda: None, limit=60)


def test_what_went_wrong_in_an_inspection_is_known() -> None:
    def refuse() -> None:
        raise HostError("it cannot be", hint="so do that")

    with pytest.raises(HostError, match="it cannot be") as raised:
        idmap.perform(None, refuse)
    assert raised.value.hint == "so do that"
    with pytest.raises(FileNotFoundError):
        idmap.perform(None, lambda: os.unlink("/nonexistent/file"))
    with pytest.raises(HostError, match="was killed"):
        idmap.perform(None, lambda: os.kill(os.getpid(), signal.SIGKILL))
