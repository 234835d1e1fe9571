"""What is left of a container that failed: `test --on-failure keep|shell`, `diff`, `prune`; and `test --shuffle`."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pathlib
import pty
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from lab import busybox
from lab.command import Command, Result, granted
from lab.oci import OPAQUE, WHITEOUT, Dir, Program, image, layer
from lab.processes import sleeping, wait_for
from lab.registry import Registry

from mydocker.message import send
from mydocker.runtime.command.outcome import Outcome
from mydocker.services.case import Case
from mydocker.services.workers.attempt import Attempt
from mydocker.services.workers.worker import Worker
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec

root = pytest.mark.root

SCRIPT = (
    "echo new > /etc/new; echo more >> /etc/passwd; rm /etc/group; rm -r /etc/profile.d; mkdir -p /opt/a/b; "
    "touch /opt/a/b/c; ln -s /etc/shadow /srv/link; mkfifo /srv/fifo; echo back > /etc/again; chmod 700 /home; "
    "touch /tmp/mount/x /var/o/old /var/o/new; exit 3"
)
SPEC = "name: it fails\nimage: {}\ncommand: [sh, -c, '" + SCRIPT + "']\nvolumes: ['.:/tmp/mount']\n"
CHANGES = """\
C /etc
A /etc/again
D /etc/group
A /etc/new
C /etc/passwd
D /etc/profile.d
C /home
C /opt
A /opt/a
A /opt/a/b
A /opt/a/b/c
C /srv
A /srv/fifo
A /srv/link
C /var
C /var/o
C /var/o/new
A /var/o/old
"""


def _failed(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    (directory / "x.smoke.yaml").write_text(text)
    (directory / "x.smoke.yaml").chmod(0o644)
    done = mydocker("test", "--on-failure", "keep", *options, str(directory / "x.smoke.yaml"), cwd=directory)
    assert b"not kept" not in done.stdout
    return done


def _ids(done: Result) -> list[str]:
    return re.findall(r"^    kept:     mydocker diff ([0-9a-f]{12})$", done.stdout.decode(), re.MULTILINE)


@pytest.fixture
def layered(mydocker: Command, registry: Registry) -> Command:
    """With an image `layered`: /etc/again was in one layer and is gone in the next, and all that was in /var/o."""
    layers = (
        layer({"etc/again": b"", "etc/profile.d/x": b"", "var/o/old": b""}),
        layer({"etc/again": WHITEOUT, "etc": Dir(), "var/o": OPAQUE, "var/o/new": b""}),
    )
    registry.push(busybox.alpine(*layers), "library/layered")
    return mydocker


@root
def test_what_a_failed_container_changed(layered: Command, tmp_path: pathlib.Path) -> None:
    """As `docker diff` says it: with the directories above, without what was mounted."""
    done = _failed(layered, tmp_path, SPEC.format("layered"))
    [found] = _ids(done)
    assert (done.code, os.listdir(layered.store / "containers")) == (1, [])
    assert layered("diff", found) == Result(CHANGES.encode(), b"", 0)
    assert layered("diff", found[:4]).stdout == CHANGES.encode()
    changes = json.loads(layered("diff", found, "--format", "json").stdout)
    assert [f"{change['kind']} {change['path']}\n" for change in changes] == CHANGES.splitlines(keepends=True)
    [listed] = json.loads(layered("diff", "--format", "json").stdout)
    assert (listed["id"], listed["title"], listed["changes"]) == (found, "it fails", len(changes))
    table = layered("diff").stdout.decode().splitlines()
    assert len(table) == 2 and table[1].startswith(f"{found}   it fails   ")


@root
@pytest.mark.parametrize("words", [("--rootfs", "/"), ("alpine",)])
def test_run_keeps_what_any_container_wrote(mydocker: Command, words: tuple[str, ...]) -> None:
    done = mydocker("run", "--keep", "--result", "out", *words, "sh", "-c", "echo said; touch /etc/new; exit 4")
    [found] = re.findall(r"^mydocker: kept: mydocker diff ([0-9a-f]{12})$", done.stderr.decode(), re.MULTILINE)
    assert (done.stdout, done.code) == (b"said\n", 4)
    assert json.loads((mydocker.directory / "out").read_text())["container_id"].startswith(found)
    assert mydocker("diff", found).stdout == b"C /etc\nA /etc/new\n"
    assert os.listdir(mydocker.store / "containers") == []


@root
def test_what_cannot_be_kept_is_said(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """A bare chroot writes into the directory itself."""
    done = mydocker("run", "--keep", "--namespaces", "", "--rootfs", "/", "touch", str(tmp_path / "ran"))
    assert not (tmp_path / "ran").exists()
    assert (done.stdout, done.code) == (b"", 125)
    assert done.stderr == b"mydocker: changes are known only where the root is copy-on-write\n"


@root
def test_what_is_being_kept_is_not_pruned(mydocker: Command) -> None:
    """Its directory is locked until it is complete; the other one is of a run that was killed."""
    for name in (".0123456789ab", ".0123456789cd"):
        (mydocker.store / "kept" / name).mkdir(parents=True)
    held = os.open(mydocker.store / "kept" / ".0123456789ab", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert mydocker("prune").code == 0
    os.close(held)
    assert os.listdir(mydocker.store / "kept") == [".0123456789ab"]


@root
def test_only_what_failed_is_kept_and_of_that_the_last_attempt(alpine: Command, tmp_path: pathlib.Path) -> None:
    case = "name: {}\nimage: alpine\ncommand: [sh, -c, 'echo $$$$-$$(date +%N) > /etc/x; {}']\n{}"
    texts = [
        case.format("fails", "exit 1", "retries: 2\n"),
        case.format("passes", "true", ""),
        case.format("is to fail", "exit 7", "expect: {exit_code: 7}\n"),
        "name: error\nimage: alpine\ncommand: [nonesuch]\n",
        case.format("at last", "echo x >> /srv/n; test $$(wc -l < /srv/n) = 2", "retries: 1\nvolumes: ['.:/srv']\n"),
    ]
    done = _failed(alpine, tmp_path, "---\n".join(texts), "-j", "3", "--report", "json=out.json")
    [kept] = _ids(done)
    cases = json.loads((tmp_path / "out.json").read_text())["cases"]
    assert [case["kept"] for case in cases] == [kept, None, None, None, None]
    assert [case["verdict"] for case in cases] == ["failed", "passed", "passed", "error", "passed"]
    assert kept in os.listdir(alpine.store / "kept")
    assert len(json.loads(alpine("diff", "--format", "json").stdout)) == len(os.listdir(alpine.store / "kept"))
    assert alpine("prune").code == 0


@root
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_judged_is_all_that_it_wrote(alpine: Command, tmp_path: pathlib.Path, stream: str) -> None:
    """More than a pipe holds, and all of it before the decision to keep."""
    script = "yes | head -c 3000000 >&" + ("1" if stream == "stdout" else "2")
    text = f"image: alpine\ncommand: [sh, -c, '{script}']\nexpect: {{{stream}: {{have-len: {{}}}}}}\n"
    assert _failed(alpine, tmp_path, text.replace("{}", "3000000")).code == 0
    assert len(_ids(_failed(alpine, tmp_path, text.replace("{}", "2999999")))) == 1
    alpine("prune")


def test_an_output_that_was_not_read_yet_is_judged() -> None:
    """A pipe may hold more than is read at once, and the news of the end may come first."""
    pipes = [os.pipe() for _ in range(4)]
    (stdout, out), (stderr, err), (finding, tell), (hearing, word) = pipes
    fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(out, b"x" * 300_000)
    send(tell, Outcome(exit_code=0))
    for reader in (stdout, stderr, finding):
        os.set_blocking(reader, False)
    worker = Worker(pid=0, pidfd=-1, stdout=stdout, stderr=stderr, finding=finding, decision=word)
    case = Case(number=0, spec=CaseSpec(container=ContainerSpec()), file="x", line=1)
    run = Attempt(case, worker, attempt=1)
    assert not run.awaits_decision
    run.receive(finding)
    assert run.awaits_decision and len(run.preview().stdout) == 300_000
    run.decide(keep=True)
    assert not run.awaits_decision and os.read(hearing, 2) == b"k"
    for descriptor in (stdout, out, stderr, err, finding, tell, hearing):
        os.close(descriptor)


@root
def test_prune_removes_what_is_kept(layered: Command, tmp_path: pathlib.Path) -> None:
    filling = SPEC.replace("exit 3", "yes | head -c 3000000 > /opt/big; exit 3")
    [kept] = _ids(_failed(layered, tmp_path, filling.format("layered")))
    (layered.store / "kept" / ".0123456789ab").mkdir()
    layered("run", "layered", "true")
    freed = re.compile(rf"^kept container {kept}: ([\d.]+ MB)\n(.*\n)*(would free|freed) \1", re.MULTILINE)
    assert freed.search(layered("prune", "--dry-run").stdout.decode())
    assert layered("diff", kept).code == 0
    assert freed.search(layered("prune").stdout.decode())
    assert os.listdir(layered.store / "kept") == []
    done = layered("diff", kept)
    assert (done.code, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"mydocker: no container '{kept}' is kept\n")
    assert layered("diff") == Result(b"ID        NAME      SPEC      KEPT      CHANGES\n", b"", 0)


@root
def test_prune_removes_a_tree_of_any_depth(mydocker: Command) -> None:
    place = mydocker.store / "kept" / "0123456789ab"
    subprocess.run(["mkdir", "-p", place / "0" / "/".join("d" * 1500)], check=True)  # pathlib is recursive
    assert b"kept container 0123456789ab: " in mydocker("prune", "--dry-run").stdout
    assert mydocker("prune").code == 0 and not place.exists()


@root
@pytest.mark.parametrize("about", ["", "{", "[]", '{"changes": 3}', None])
def test_what_is_kept_and_damaged_can_be_removed(mydocker: Command, about: str | None) -> None:
    place = mydocker.store / "kept" / "0123456789ab"
    place.mkdir(parents=True)
    if about is not None:
        (place / "about").write_text(about)
    done = mydocker("diff", "0123")
    assert done.code == 1 and b"'mydocker prune' removes it" in done.stderr and b"Traceback" not in done.stderr
    assert mydocker("prune").code == 0 and not place.exists()


@root
def test_the_machine_s_own_tree(mydocker: Command, tmp_path: pathlib.Path) -> None:
    script = r'touch "/etc/$$(printf "a\\033b")"; rm /etc/passwd; mkdir /top; exit 1'
    text = f"rootfs: /\ncommand: [sh, -c, '{script}']\n"
    [kept] = _ids(_failed(mydocker, tmp_path, text))
    assert mydocker("diff", kept).stdout == b"C /etc\nA /etc/a\\x1bb\nD /etc/passwd\nA /top\n"


@pytest.mark.rootless
@pytest.mark.parametrize("ranges", [False, True])
def test_an_ordinary_user_s_containers(second_user: Command, user: pwd.struct_passwd, ranges: bool) -> None:
    """With granted ids, files belong to others than the user, who can remove them nevertheless."""
    theirs = "chown daemon /srv/theirs; " if ranges else ""
    script = f"echo x > /etc/new; touch /srv/theirs; {theirs}rm /etc/group; exit 1"
    with granted(user, 600000) if ranges else nullcontext():
        _check_ordinary(second_user, f"image: alpine\ncommand: [sh, -c, '{script}']\n")


def _check_ordinary(mydocker: Command, spec: str) -> None:
    [kept] = _ids(_failed(mydocker, mydocker.directory, spec))
    assert mydocker("diff", kept).stdout == b"C /etc\nD /etc/group\nA /etc/new\nC /srv\nA /srv/theirs\n"
    assert mydocker("prune").code == 0
    assert os.listdir(mydocker.store / "kept") == []


@root
def test_interrupted_or_killed_nothing_is_kept(mydocker: Command, tmp_path: pathlib.Path) -> None:
    mark = f"36{os.getpid()}"
    (tmp_path / "x.smoke.yaml").write_text(f"image: alpine\ncommand: [sh, -c, 'touch /up; sleep {mark}']\n")
    mydocker("pull", "-q", "alpine")
    for number in (signal.SIGINT, signal.SIGKILL):
        process = mydocker.start("test", "--on-failure", "keep", "x.smoke.yaml", cwd=tmp_path)
        wait_for(lambda: bool(sleeping(mark)))
        process.send_signal(number)
        process.communicate(timeout=240)
        wait_for(lambda: not os.listdir(mydocker.store / "containers"))
        assert not (mydocker.store / "kept").exists()


class _Terminal:
    """The command on a terminal of its own, talked to as somebody would at the keys."""

    def __init__(self, mydocker: Command, *words: str, cwd: pathlib.Path) -> None:
        self.master, slave = pty.openpty()
        self.process = mydocker.start(*words, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen, self.decoder = "", codecs.getincrementaldecoder("utf-8")()

    def until(self, text: str) -> None:
        """Read until TEXT has been seen; what comes after it is for the next call."""
        while text not in self.seen:
            self.seen += self.decoder.decode(os.read(self.master, 4096))
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> tuple[str, int]:
        """The rest of what is shown, and the exit code."""
        for part in self._parts():
            self.seen += part
        os.close(self.master)
        return self.seen, self.process.wait(timeout=240)

    def _parts(self) -> Iterator[str]:
        try:
            while part := os.read(self.master, 4096):
                yield self.decoder.decode(part)
        except OSError:  # EIO: the other side is closed
            pass


@root
@pytest.mark.parametrize("tree", ["image: layered", "rootfs: /"])
def test_a_shell_where_it_failed(layered: Command, tmp_path: pathlib.Path, tree: str) -> None:
    """One after the other, whatever -j says; then the batch goes on, and nothing is left."""
    case = "name: {0}\n" + tree + "\ncommand: [sh, -c, 'echo {0} > /etc/which; rm /etc/group; exit 1']\n"
    case += "working_dir: /etc\nenvironment: {{A: b}}\ntimeout: 200s\nstdin: text\n"
    texts = [case.format("one"), "name: good\n" + tree + "\ncommand: ['true']\n", case.format("two")]
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(texts))
    terminal = _Terminal(layered, "test", "--on-failure", "shell", "-j", "3", "x.smoke.yaml", cwd=tmp_path)
    for name in ("one", "two"):
        terminal.until(f"FAILED  {name}")
        terminal.until(f"a shell in {name} as it was left")
        terminal.type("cat which; ls group; echo $A$PWD-$((40+2))\n")
        terminal.until(f"{name}\r\n")
        terminal.until("group")
        terminal.until("No such file")
        terminal.until("b/etc-42")
        terminal.type("exit 9\n")
    said, code = terminal.end()
    assert "1 passed, 2 failed" in said and code == 1
    assert os.listdir(layered.store / "kept") == os.listdir(layered.store / "containers") == []


@root
def test_a_tree_that_has_the_store_in_it_cannot_be_shown_again(mydocker: Command, tmp_path: pathlib.Path) -> None:
    volume = f"volumes: ['{mydocker.directory}:/mnt:O']\n"
    (tmp_path / "x.smoke.yaml").write_text(f"rootfs: /\n{volume}command: [sh, -c, 'touch /mnt/new; exit 1']\n")
    said, code = _Terminal(mydocker, "test", "--on-failure", "shell", "x.smoke.yaml", cwd=tmp_path).end()
    assert f"what it wrote below {mydocker.directory} cannot be shown again: the store lies there too" in said
    [kept] = os.listdir(mydocker.store / "kept")
    assert (mydocker("diff", kept).stdout.decode(), code) == ("C /mnt\nA /mnt/new\n", 1)


@root
def test_a_shell_where_it_failed_in_what_is_empty_inside(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """/run and /tmp, which hold the store here, are not the machine's."""
    text = "rootfs: /\ncommand: [sh, -c, 'echo 1 > /tmp/x; echo 2 > /run/y; exit 1']\n"
    (tmp_path / "x.smoke.yaml").write_text(text)
    terminal = _Terminal(mydocker, "test", "--on-failure", "shell", "x.smoke.yaml", cwd=tmp_path)
    terminal.until("as it was left")
    terminal.type("cat /tmp/x /run/y; echo $((40+2)); exit\n")
    terminal.until("1\r\n2\r\n42")
    assert terminal.end()[1] == 1


@root
def test_a_shell_that_the_image_lacks(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path, explorer: pathlib.Path
) -> None:
    registry.push(image([layer({"bin/x": Program(explorer.read_bytes())})], cmd=["/bin/x", "nonesuch"]), "library/bare")
    (tmp_path / "x.smoke.yaml").write_text("name: a\nimage: bare\nexpect: {exit_code: 77}\n")
    terminal = _Terminal(mydocker, "test", "--on-failure", "shell", "x.smoke.yaml", cwd=tmp_path)
    said, code = terminal.end()
    assert code == 1 and "/bin/sh" in said
    [kept] = os.listdir(mydocker.store / "kept")
    assert f"mydocker diff {kept} lists what it changed" in said


def test_a_shell_needs_somebody_to_type(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text("rootfs: /\ncommand: ['false']\n")
    done = mydocker("test", "--on-failure", "shell", "x.smoke.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 2)
    assert done.stderr.decode().startswith("mydocker: --on-failure shell needs a terminal\nhint: --on-failure keep")


@root
def test_shuffled_runs_are_reported_in_the_order_of_the_file(alpine: Command, tmp_path: pathlib.Path) -> None:
    case = "name: n{0}\nimage: alpine\ncommand: [sh, -c, 'echo {0} >> /srv/ran']\nvolumes: ['.:/srv']\n"
    (tmp_path / "x.smoke.yaml").write_text("---\n".join(case.format(number) for number in range(8)))

    def run(*options: str) -> tuple[str, str]:
        (tmp_path / "ran").write_text("")
        done = alpine("test", "-j", "1", *options, "x.smoke.yaml", cwd=tmp_path)
        assert done.code == 0
        assert re.findall(r"passed  n(\d)", done.stdout.decode()) == [*"01234567"]
        return (tmp_path / "ran").read_text().replace("\n", ""), done.stderr.decode()

    assert run() == ("01234567", "")
    first, said = run("--shuffle=1")
    assert (sorted(first), said) == ([*"01234567"], "mydocker: run in the order of --shuffle=1\n")
    assert first != "01234567" != run("--shuffle=2")[0] != first
    assert run("--shuffle=1")[0] == first
    order, said = run("--shuffle")
    [seed] = re.findall(r"--shuffle=(\d+)\n", said)
    assert run(f"--shuffle={seed}")[0] == order


@pytest.mark.parametrize("words", [("--shuffle=x",), ("--shuffle=-1",), ("--on-failure", "nothing")])
def test_words_that_mean_nothing(mydocker: Command, words: tuple[str, ...]) -> None:
    done = mydocker("test", *words, "x")
    assert done.code == 2 and b"Traceback" not in done.stderr
