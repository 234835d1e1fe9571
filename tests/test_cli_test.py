"""`mydocker test`: real containers, from spec files to verdicts, reports and exit codes."""

from __future__ import annotations

import pathlib
import re

import pytest
from lab.command import Command, Result

root = pytest.mark.root


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str) -> Result:
    (directory / "x.smoke.yaml").write_text(text)
    return mydocker("test", *options, "x.smoke.yaml", cwd=directory)


def _marks(done: Result) -> list[str]:
    """`passed one`, … of each case, without the seconds."""
    found = re.findall(r"^(passed|FAILED|ERROR|skipped) +(.*?)(?:  +[\d.]+ s.*)?$", done.stdout.decode(), re.MULTILINE)
    return [" ".join(pair) for pair in found]


SCRIPT = (
    "umask 022; echo hi > /tmp/f; chmod 640 /tmp/f; chown daemon:mail /tmp/f; mkfifo /srv/p; ln -s /tmp/f /srv/l; "
    "mkdir /opt/empty /opt/full; touch /opt/full/x; rm /etc/alpine-release; echo /etc/passwd > /etc/new"
)

# (what holds, what does not, about what the report complains)
CHECKS = [
    ("files: [{path: /tmp/f}]", "files: [{path: /tmp/g}]", "/tmp/g"),
    ("files: [{path: /etc/alpine-release, exists: false}]", "files: [{path: /tmp/f, exists: false}]", "/tmp/f"),
    ("files: [{path: /tmp/f, type: file}]", "files: [{path: /srv/l, type: file}]", "type of /srv/l"),
    ("files: [{path: /srv/l, type: symlink, mode: '0640'}]", "files: [{path: /srv/l, mode: 777}]", "mode of /srv/l"),
    ("files: [{path: /srv/p, type: fifo}]", "files: [{path: /srv/p, contents: [x]}]", "contents of /srv/p"),
    ("files: [{path: /tmp/f, owner: daemon, group: 12}]", "files: [{path: /tmp/f, owner: root}]", "owner of /tmp/f"),
    ("files: [{path: /tmp/f, contents: hi}]", "files: [{path: /tmp/f, contents: ['/^i/']}]", "contents of /tmp/f"),
    ("files: [{path: /tmp/f, size: 3}]", "files: [{path: /tmp/f, size: 4}]", "size of /tmp/f"),
    ("files: [{path: /dev/null, type: character-device}]", "files: [{path: /dev/nil}]", "/dev/nil"),
    ("files: [{path: /srv/v/in, contents: from the host}]", "files: [{path: /srv/v/out}]", "/srv/v/out"),
    ("changes: {only: [/tmp/f, /srv/p, /srv/l, /etc/new, /etc/alpine-release, /opt/**]}",
     "changes: {only: [/tmp/**, /srv/**, /etc/**, /opt/empty]}", "changes"),
    ("changes: {include: [/opt/empty, /opt/full/x, /etc/alpine*]}", "changes: {include: [/opt/full]}", "changes"),
    ("changes: {exclude: [/usr/**, /etc/hosts, /proc/**]}", "changes: {exclude: [/etc/new]}", "changes"),
]  # fmt: skip  # a table reads best with a case on a line


@root
def test_checks_from_outside_both_ways(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "in").write_text("from the host\n")
    case = "name: {}\nimage: alpine\ncommand: [sh, -c, '" + SCRIPT + "']\nvolumes: ['./v:/srv/v']\nexpect: {{{}}}\n"
    texts = [case.format(f"{number}", check) for number, pair in enumerate(CHECKS) for check in pair[:2]]
    done = _test(alpine, tmp_path, "---\n".join(texts))
    assert (done.stderr, done.code) == (b"", 1)
    assert _marks(done) == [f"{mark} {number}" for number in range(len(CHECKS)) for mark in ("passed", "FAILED")]
    about = re.findall(r"^    x\.smoke\.yaml:\d+:\d+: (.*)$", done.stdout.decode(), re.MULTILINE)
    assert about == [check[2] for check in CHECKS]
