"""Owners of containers, and whether they have ended."""

from __future__ import annotations

import os
import subprocess

import pytest

from mydocker.errors import LaunchError
from mydocker.kernel.processes import has_ended
from mydocker.services.owned.owner import is_gone, name_process, open_owner


def test_this_process_lives() -> None:
    text = name_process(os.getpid())
    assert not is_gone(text)
    pidfd = open_owner(text)
    assert not has_ended(pidfd)
    os.close(pidfd)


def test_a_process_that_has_ended() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        text = name_process(process.pid)
        pidfd = open_owner(text)
        assert not is_gone(text)
    assert has_ended(pidfd) and is_gone(text)
    os.close(pidfd)
    with pytest.raises(LaunchError, match="has ended"):
        open_owner(text)


def test_another_process_with_its_number() -> None:
    pid, began, namespace = name_process(os.getpid()).split()
    text = f"{pid} {int(began) - 1} {namespace}"
    assert is_gone(text)
    with pytest.raises(LaunchError, match="has ended"):
        open_owner(text)


def test_a_process_of_another_namespace() -> None:
    """Its number means nothing here: it does not count as ended."""
    pid, began, namespace = name_process(os.getpid()).split()
    text = f"{pid} {began} {int(namespace) + 1}"
    assert not is_gone(text)
    with pytest.raises(LaunchError, match="another PID namespace"):
        open_owner(text)
