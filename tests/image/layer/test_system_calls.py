"""How many system calls a pull makes for a file, a directory and a link: counted, as a busy machine takes no more."""

from __future__ import annotations

import re
import subprocess
from collections import Counter

import pytest
from lab import oci
from lab.command import command
from lab.oci import Dir, Entries, File, Link, layer
from lab.registry import Registry

pytestmark = pytest.mark.root

COUNT = 40
CALL = re.compile(r"^\d+ +(\w+)\((.*)")
SAME = {"fstat": "newfstatat", "chown": "fchown", "lchown": "fchownat", "write": "writev", "mkdir": "mkdirat"}


@pytest.fixture(scope="module")
def calls(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """Of a pull, by name, and by name and the first letter of the file that they are about."""
    entries: Entries = {"d": Dir()}
    entries |= {f"d/f{number:03}.x": File(b"x" * number * 300) for number in range(1, COUNT + 1)}
    entries |= {f"d/i{number:03}.x": Link("f") for number in range(COUNT)}
    entries |= {"e": Dir()}
    entries |= {f"e/g{number:03}.x": File(b"x", uid=1000, mode=0o600) for number in range(COUNT)}
    entries |= {f"{'de'[number % 2]}/j{number:03}.x": b"" for number in range(COUNT)}
    entries |= {f"h{number:03}.x": Dir() for number in range(COUNT)}
    registry.push(oci.image([layer(entries)]), "calls/of-a-file")
    directory = tmp_path_factory.mktemp("calls")
    mydocker, trace = command(directory, registry=registry.address), directory / "trace"
    strace = ["strace", "-f", "-qq", "-y", "-e", "trace=all", "-o", str(trace)]
    argv = [*strace, *mydocker.argv("pull", "-q", "calls/of-a-file")]
    subprocess.run(argv, env=dict(mydocker.environment), check=True, stdout=subprocess.DEVNULL)
    found: Counter[str] = Counter()
    for line in trace.read_text().splitlines():
        call = CALL.match(line)
        about = re.findall(r"\b([a-z])\d{3}\.x", call.group(2)) if call else []
        if call:
            found[call.group(1)] += 1
        if call and about:
            found[f"{SAME.get(call.group(1), call.group(1))} {about[-1]}"] += 1
    return found


def of(calls: Counter[str], letter: str) -> dict[str, int]:
    return {name.split()[0]: count for name, count in calls.items() if name.endswith(f" {letter}")}


def test_a_file_takes_four(calls: Counter[str]) -> None:
    """And one more for the first of a directory, which shows whose the others are."""
    each = dict.fromkeys(("openat", "writev", "utimensat", "close"), COUNT)
    assert of(calls, "f") == {**each, "newfstatat": 1}
    assert of(calls, "g") == {**each, "newfstatat": 1, "fchown": COUNT}  # of another owner


def test_others_take_few(calls: Counter[str]) -> None:
    """Of directories the times come last, by their names."""
    each = dict.fromkeys(("mkdirat", "openat", "close", "utimensat"), COUNT)
    assert of(calls, "h") == {**each, "newfstatat": 2 * COUNT}
    assert of(calls, "i") == {"symlinkat": COUNT, "utimensat": COUNT}


def test_directories_in_turn_stay_open(calls: Counter[str]) -> None:
    assert of(calls, "j")["openat"] == COUNT
    assert calls["openat2"] < COUNT / 2
