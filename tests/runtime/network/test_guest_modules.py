"""A kernel that lacks what networks are made of: the virtual machine of test_qemu_cgroup2.py loads no such modules."""

from __future__ import annotations

import pytest
from lab.command import Command

pytestmark = [pytest.mark.root, pytest.mark.guest]


def test_a_network_that_is_asked_for_names_what_is_missing(alpine: Command) -> None:
    done = alpine("run", "--network", "bridge", "alpine", "true")
    assert done.code == 125 and b"Traceback" not in done.stderr, done
    assert b"modprobe bridge veth" in done.stderr, done


def test_without_being_asked_for_it_is_the_host_s(alpine: Command) -> None:
    done = alpine("run", "alpine", "sh", "-c", "ls /sys/class/net")
    assert (done.stdout, done.code) == (b"lo\n", 0), done
