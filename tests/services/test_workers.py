"""The workers of a batch: one runs many cases, and none of it shows."""

from __future__ import annotations

import os
import pathlib
import re
from dataclasses import replace

import pytest
from lab.command import Command
from lab.processes import sleeping, wait_for

pytestmark = pytest.mark.root

CASE = "{{name: {}, image: alpine, command: [sh, -c, '{}']{}}}"


def _write(directory: pathlib.Path, *cases: tuple[str, str, str]) -> None:
    (directory / "x.smoke.yaml").write_text("\n---\n".join(CASE.format(*case) for case in cases))


def test_two_workers_at_most_for_all_that_run_one_after_another(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Of each case there is the clone that becomes its command; the others are the spawner, the workers, of whom one
    clears away while the other begins, and their cleanup processes. In a network it takes nft(8) besides, once."""
    _write(tmp_path, *[(str(number), "true", ", network_mode: none") for number in range(5)])
    trace = tmp_path / "trace"
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o", str(trace)])
    done = watched("test", "-j", "1", "x.smoke.yaml", cwd=tmp_path)
    assert done.code == 0 and b"5 passed" in done.stdout
    assert len(re.findall(r"\b(?:clone3?|v?fork)\(", trace.read_text())) in (1 + 2 + 5, 1 + 4 + 5)


def test_a_worker_looks_once_at_what_is_the_same_for_all_of_its_cases(alpine: Command, tmp_path: pathlib.Path) -> None:
    """The filter in the store, what the host is, and modules, of which the spawner has imported all."""
    _write(tmp_path, *[(str(number), "true", ", network_mode: none, expect: {stdout: ''}") for number in range(5)])
    trace = tmp_path / "trace"
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", "trace=openat,clone", "-o", str(trace)])
    assert watched("test", "-j", "1", "x.smoke.yaml", cwd=tmp_path).code == 0
    lines = trace.read_text().splitlines()
    workers = {line.split()[0] for line in lines if "CLONE_NEWPID" in line}
    opened = [line for line in lines if re.match(r"\d+ +openat\(", line) and line.split()[0] in workers]
    assert len([line for line in opened if f'"{alpine.store}/refs/' in line]) == 5
    for once in (f'"{alpine.store}/seccomp/', '"/proc/self/ns/net"'):
        assert len([line for line in opened if once in line]) == len(workers)
    assert not [line for line in opened if re.search(r"\.(py|pyc|so)\b", line)]


def test_a_case_does_not_hear_of_those_before_it(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Neither their directories, nor their output, nor their descriptors, nor what they did with their umask."""
    look = "ls -l /proc/self/fd | wc -l; umask; pwd; ls /tmp; ulimit -n; echo /proc/[0-9]*"
    odd = ", working_dir: /srv, umask: 0077, ulimits: {nofile: 100}, tmpfs: [/tmp]"
    odd += ", expect: {exit_code: 7, files: [{path: /tmp/x}]}"
    _write(
        tmp_path,
        ("first", look, ""),
        ("odd", "touch /tmp/x; echo noise; (sleep 9; echo late) & exit 7", odd),
        ("second", look, ""),
    )
    done = alpine("test", "-j", "1", "--report", "json=-", "x.smoke.yaml", cwd=tmp_path)
    found = re.findall(r'"stdout": (".*?")', done.stdout.decode())
    assert done.code == 0, done
    assert len(found) == 3 and found[0] == found[2] and found[1] == '"noise\\n"'


def test_a_worker_that_is_killed_fails_its_case_only(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark = f"33{os.getpid()}"
    _write(tmp_path, ("before", "true", ""), ("killed", f"exec sleep {mark}", ""), ("after", "echo fine", ""))
    process = alpine.start("test", "-j", "1", "x.smoke.yaml", cwd=tmp_path)
    wait_for(lambda: bool(sleeping(mark)))
    [killed] = sleeping(mark)
    status = pathlib.Path(f"/proc/{killed}/status").read_text()
    [worker] = re.findall(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    os.kill(int(worker), 9)
    stdout, _ = process.communicate(timeout=240)
    verdicts = re.findall(rb"^(passed|FAILED|ERROR) +(\w+)", stdout, re.MULTILINE)
    assert verdicts == [(b"passed", b"before"), (b"ERROR", b"killed"), (b"passed", b"after")]
    assert b"worker was killed before it reported a result" in stdout
    assert process.returncode == 3
    wait_for(lambda: not sleeping(mark) and not os.listdir(alpine.store / "containers"))
