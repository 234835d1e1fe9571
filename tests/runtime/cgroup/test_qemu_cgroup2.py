"""What depends on the kernel and on cgroup v2, run under Debian's kernel in a virtual machine, as root is there."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import pytest
from lab.machine import run_there
from lab.places import ROOT
from lab.places import TESTS as TESTS_FOLDER

import mydocker as package

pytestmark = [pytest.mark.root, pytest.mark.qemu]

WITHIN = 900  # seconds: the processor is emulated, and the rest of the tests may run at the same time
TESTS = ["runtime/cgroup/test_guest_cgroup2.py", "runtime/cgroup/test_limits.py"]
TESTS += ["runtime/network/test_guest_modules.py", "image/store/test_guest_nfs.py"]
TESTS += [  # one for each thing that a container is made of and a kernel may do in its own way
    "runtime/launch/test_namespaces.py::test_namespaces[options1-shared1]",
    "runtime/launch/test_namespaces.py::test_namespaces[options3-shared3]",
    "runtime/launch/test_namespaces.py::test_a_device_node_of_its_own_opens_nothing[rights0]",
    "runtime/launch/test_rights.py::test_privileged_masks_no_paths",
    "runtime/seccomp/test_seccomp.py::test_the_mode",
    "runtime/seccomp/test_seccomp.py::test_without_sys_admin_it_takes_no_new_privileges[root-00000000a80425fb]",
    "runtime/plan/test_volumes.py::test_a_read_only_root",
    "runtime/plan/test_volumes.py::test_an_overlay_volume_leaves_the_host_alone",
    "runtime/plan/test_propagation.py::test_what_passes[rshared-more3]",
    "runtime/streams/test_terminal.py::test_the_size_is_there_from_the_start",
    "cli/common/test_process.py::test_kill_leaves_nothing_within_a_second",
]


@pytest.mark.timeout(WITHIN + 30)
def test_under_another_kernel(user_program: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    """$MYDOCKER_KERNEL is an unpacked package linux-image-…-cloud-amd64; .ci/run gets one."""
    kernel = pathlib.Path(os.environ["MYDOCKER_KERNEL"])
    subprocess.run([sys.executable, "-m", "compileall", "-q", pathlib.Path(package.__file__).parent], check=True)
    plugins = " ".join(f"-p no:{name}" for name in ("cacheprovider", "hypothesispytest", "mydocker", "xdist"))
    options = f"-q --color=no --tb=short {plugins} --basetemp=/run/pytest -m 'not qemu'"
    tests = " ".join(shlex.quote(str(TESTS_FOLDER / name)) for name in TESTS)
    environment = f"CI=true MYDOCKER_KERNEL={kernel} USER_PROGRAM={user_program}"
    command = f"cd {ROOT} && {environment} {sys.executable} -P -m pytest {options} {tests}"
    with tempfile.TemporaryDirectory() as directory:
        session = run_there(command, kernel=kernel, directory=pathlib.Path(directory), seconds=WITHIN)
    with capfd.disabled():
        print("\n".join(["", *session.console.splitlines()[-3:]]))
    assert session.code == 0, session.console
    assert " passed" in session.console
