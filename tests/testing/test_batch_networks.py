"""Networks of a batch: each group of cases that need each other has its own."""

from __future__ import annotations

import pathlib

import pytest
from lab.command import Command

pytestmark = pytest.mark.root

PAIR = """
name: db
rootfs: /
command: [sh, -c, 'cd $$(mktemp -d); echo {word} > index.html; exec python3 -m http.server 80']
healthcheck:
  test: [CMD, python3, -c, 'import socket; socket.create_connection(("localhost", 80))']
  interval: 100ms
  retries: 3000
---
name: the one that asks
rootfs: /
command: [python3, -c, 'import urllib.request as u; print(u.urlopen("http://db").read().decode(), end="")']
depends_on: {{db: {{condition: service_healthy}}}}
aliases: [asks]
expect: {{stdout: "{word}\\n"}}
"""


def test_one_name_is_another_container_in_each_file(mydocker: Command, tmp_path: pathlib.Path) -> None:
    words = ("one", "two", "three", "four")
    for word in words:
        (tmp_path / f"{word}.smoke.yaml").write_text(PAIR.format(word=word))
    done = mydocker("test", "-j", "4", ".", cwd=tmp_path)
    assert done.code == 0, done
    assert b"8 passed" in done.stdout


def test_two_batches_of_one_folder_at_once(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(PAIR.format(word="here"))
    with mydocker.start("test", "x.smoke.yaml", cwd=tmp_path) as one:
        two = mydocker("test", "x.smoke.yaml", cwd=tmp_path)
        out, _ = one.communicate(timeout=240)
    assert (one.returncode, two.code) == (0, 0), (out, two)
