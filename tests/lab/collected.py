"""The tests' files, compiled before several workers import all of them at the same time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.places import TESTS

_PROCESSES = 2


def compile_tests() -> None:
    """Have pytest collect each file once, unless it has done that before: else every worker would compile every file,
    which takes three times as long as what else there is to collect."""
    compiled = f"test_house.{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc"
    if sys.dont_write_bytecode or (TESTS / "__pycache__" / compiled).exists() or not os.access(TESTS, os.W_OK):
        return
    files = sorted(str(path) for path in TESTS.rglob("test_*.py"))
    words = [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    started = [
        subprocess.Popen(
            [*words, *files[first::_PROCESSES]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for first in range(_PROCESSES)
    ]
    for each in started:
        each.wait()  # whatever is wrong, the workers will say so
