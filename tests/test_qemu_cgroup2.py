"""What depends on the kernel and on cgroup v2, run under Debian's kernel in a virtual machine, as root is there."""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

import pytest
from lab.machine import run_there

pytestmark = [pytest.mark.root, pytest.mark.qemu]

WITHIN = 270  # seconds
FILES = ["test_guest_cgroup2.py", "test_runtime_limits.py"]


@pytest.mark.timeout(WITHIN + 30)
def test_under_another_kernel(capfd: pytest.CaptureFixture[str]) -> None:
    """$MYDOCKER_KERNEL is an unpacked package linux-image-…-cloud-amd64; .ci/run gets one."""
    kernel = pathlib.Path(os.environ["MYDOCKER_KERNEL"])
    here = pathlib.Path(__file__).parent
    options = "-q --color=no --tb=short -p no:cacheprovider --basetemp=/run/pytest -m 'not qemu'"
    files = " ".join(str(here / name) for name in FILES)
    command = f"cd {here.parent} && CI=true {sys.executable} -m pytest {options} {files}"
    with tempfile.TemporaryDirectory() as directory:
        session = run_there(command, kernel=kernel, directory=pathlib.Path(directory), seconds=WITHIN)
    with capfd.disabled():
        print("\n".join(["", *session.console.splitlines()[-3:]]))
    assert session.code == 0, session.console
    assert " passed" in session.console
