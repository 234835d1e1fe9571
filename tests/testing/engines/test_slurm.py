"""A batch on two nodes of a real Slurm is the batch that one machine runs; and what is wrong is said before."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
from lab.command import Command
from lab.slurm import Batch, Cluster, printed

pytestmark = [pytest.mark.root, pytest.mark.slurm]

QUICK = """
name: of a matrix
image: alpine
matrix: {V: [1, 2, 3, 4]}
command: [sh, -c, 'exit ${V}']
expect: {exit_code: {lt: 3}}
---
name: db
image: alpine
command: [sh, -c, 'touch /srv/ready; exec sleep 1000']
healthcheck: {test: test -e /srv/ready, interval: 100ms, retries: 3000}
---
name: needs it
image: alpine
command: "true"
depends_on: {db: {condition: service_healthy}}
"""


@pytest.fixture
def quick(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path) -> Batch:
    (tmp_path / "quick.smoke.yaml").write_text(QUICK)
    return Batch(alpine, slurm, tmp_path)


def test_the_parts_are_the_whole(quick: Batch) -> None:
    whole = quick.command("test", "--report", "junit=whole.xml", ".", cwd=quick.folder)
    done = quick("--report", "junit=all.xml", "--report", "jsonl=all.jsonl")
    assert done.code == whole.code == 1
    assert printed(done) == printed(whole) == printed(quick.report())
    assert printed(quick.command("report", "all.jsonl", cwd=quick.folder)) == printed(whole)
    names = [
        re.findall(r'testcase .*name="([^"]*)"', (quick.folder / each).read_text()) for each in ("whole.xml", "all.xml")
    ]
    assert names[0] == names[1] and len(names[0]) == 6
    assert quick.directory.stat().st_mode & 0o777 == 0o700
    assert {"job.sh", "1.0.jsonl", "2.0.jsonl", "1.0.log", "2.0.log"} <= {
        path.name for path in quick.directory.iterdir()
    }
    listed = quick.command("test", "--last-failed", "--list", ".", cwd=quick.folder)
    assert b"V=3" in listed.stdout and b"V=1" not in listed.stdout, listed
    again = quick("--last-failed", "--dir", "again")
    assert again.code == 1 and b"2 failed" in again.stdout and b"passed" not in again.stdout, again


def test_options_reach_the_parts(alpine: Command, slurm: Cluster, tmp_path: pathlib.Path) -> None:
    """Also where the path has what shells and Slurm treat in their own ways."""
    quick = Batch(alpine, slurm, tmp_path / "it's $PWD 100%j")
    quick.folder.mkdir()
    (quick.folder / "quick.smoke.yaml").write_text(QUICK)
    again = quick("-k", "not 4", "--tags", "!x", "-j", "3", "--shuffle=7")
    script = (quick.directory / "job.sh").read_text()
    assert "'-k=not 4' '--tags=!x' --jobs=3 --shuffle=7 --" in script, script
    assert "SLURM_CPUS_ON_NODE" not in script
    assert script.splitlines()[-1].startswith(f"exec {quick.command.program} test --shard auto")
    assert again.code == 1 and b"4 passed, 1 failed" in again.stdout, again


def test_dry_run(quick: Batch, tmp_path: pathlib.Path) -> None:
    """It needs no Slurm, and leaves nothing behind."""
    (quick.folder / "old.xml").write_text("old")
    words = ("--dry-run", "--slurm=--partition=short", "-k", "needs and it", "--report", "junit=old.xml")
    done = quick(*words, env={"PATH": "/nonexistent"})
    parts, program = quick.directory, quick.command.program
    command = f'exec {program} test --shard auto -j "${{SLURM_CPUS_ON_NODE:-1}}" --report jsonl="$part.jsonl"'
    sbatch = f"sbatch --parsable --job-name=mydocker --partition=short --array=1-2 --output={parts}/%a.log"
    expected = f"""\
#!/bin/sh
# a part of 2, by 'mydocker test --on slurm'
set -eu
cd {quick.folder}
part={parts}/$SLURM_ARRAY_TASK_ID.${{SLURM_RESTART_COUNT:-0}}
exec >"$part.log" 2>&1
{command} '-k=needs and it' -- .

{sbatch} --open-mode=append {parts}/job.sh
"""
    assert (done.code, done.stdout.decode(), done.stderr) == (0, expected, b"")
    assert not parts.exists() and (quick.folder / "old.xml").read_text() == "old"
    subprocess.run(["sh", "-n"], input=expected.encode(), check=True)


REFUSED = (
    (("--shard", "1/2"), "--shard"),
    (("--project", "x"), "--project"),
    (("--on-failure", "shell"), "--on-failure"),
    (("--slurm=short",), "expected an option of sbatch"),
    (("--slurm=-",), "expected an option of sbatch"),
    (("--slurm=--",), "expected an option of sbatch"),
    (("--slurm=--wai",), "mydocker sets this option"),
    (("--slurm=--open-mode=truncate",), "mydocker sets this option"),
    (("--dir", "x\\y"), "a path with a backslash"),
    (("--slurm=--array=1-9",), "mydocker sets this option"),
    (("--slurm=-o/tmp/x",), "mydocker sets this option"),
    (("-n", "0"), "invalid number"),
    (("-",), "standard input"),
    (("--dir", "/"), "/ is not empty"),
)


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_usage(quick: Batch, words: tuple[str, ...], message: str) -> None:
    done = quick(*words)
    assert done.code == 2 and message in done.stderr.decode(), done
    assert not quick.directory.exists()


def test_options_without_an_engine(quick: Batch) -> None:
    for words in (["-n", "2"], ["--dry-run"], ["--dir", "x"], ["--slurm=-x"]):
        done = quick.command("test", *words, ".", cwd=quick.folder)
        assert done.code == 2 and b"is for --on" in done.stderr, done
    done = quick.command("test", "--on", "slurm", ".", cwd=quick.folder)
    assert done.code == 2 and b"expected -n N" in done.stderr, done


def test_nothing_is_submitted_in_vain(quick: Batch) -> None:
    """A mistake in a file, an image that does not exist, programs that are missing: all are errors here."""
    before = quick.slurm("scontrol", "-o", "show", "job", check=False)
    missing = quick(env={"PATH": "/nonexistent"})
    assert missing.code == 3 and b"sbatch is not installed" in missing.stderr and b"slurm-client" in missing.stderr, (
        missing
    )
    (quick.folder / "quick.smoke.yaml").write_text("image: nosuch/image:1\n---\nimage: nosuch/other:1\n")
    done = quick()
    assert done.code == 3 and {b"nosuch/image", b"nosuch/other"} <= {*re.findall(rb"nosuch/\w+", done.stderr)}, done
    (quick.folder / "quick.smoke.yaml").write_text("image: alpine\nnosuch: key\n")
    assert quick().code == 2
    refused = Batch(quick.command, quick.slurm, quick.folder)
    (quick.folder / "quick.smoke.yaml").write_text("image: alpine\n")
    done = refused("--slurm=--partition=nosuch")
    assert done.code == 3 and b"invalid partition" in done.stderr, done
    assert not quick.directory.exists()
    assert quick.slurm("scontrol", "-o", "show", "job", check=False) == before
