"""The child as a new program: an interpreter whose memory holds the plan of its own container, and nothing else.

A fork has all the memory of its parent: the caller's environment, the other specs of a batch, credentials. Where it
stays among processes of the image that may trace it, as init or while `pre_start` runs, they read that memory, though
the process is not dumpable. So it is executed anew before the root changes, with an empty environment; the plan reaches
it as a pickle in a file in memory.

Its program, which they can open as /proc/1/exe, is mounted read-only: none of them can ever write to the interpreter
of the host (CVE-2019-5736).
"""

from __future__ import annotations

import os
import pickle
import sys

from mydocker import kernel
from mydocker.errors import HostError
from mydocker.paths import interpreter_words
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import child

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.plan import LaunchPlan


def execute_anew(plan: LaunchPlan, fds: child.ChildFds) -> NoReturn:
    """Continue with PLAN in a new program. Called with the host's root, in the mount namespace of the container."""
    if not sys.executable:
        raise HostError("cannot start an init process: Python does not know its own program (sys.executable)")
    letter = os.memfd_create("plan", 0)
    with open(letter, "wb", closefd=False) as file:
        pickle.dump((plan, fds), file)
    os.lseek(letter, 0, os.SEEK_SET)
    for descriptor in fds.after_start:
        os.set_inheritable(descriptor, True)
    if "mount" in plan.namespaces:
        _protect(os.path.realpath(sys.executable))
    os.execve(sys.executable, interpreter_words(__name__, str(letter)), {})


def _protect(program: str) -> None:
    """In this mount namespace, show PROGRAM through a read-only mount of it alone."""
    child.leave_propagation()
    tree = kernel.clone_tree(program)
    kernel.set_attributes(tree, kernel.ATTR_RDONLY | kernel.ATTR_NODEV)
    target = os.open(program, os.O_PATH | os.O_CLOEXEC)
    kernel.attach(tree, target)
    os.close(tree)
    os.close(target)


def main(letter: str) -> NoReturn:
    """The beginning of the new program."""
    with open(int(letter), "rb") as file:
        plan, fds = pickle.load(file)
    for descriptor in fds.after_start:
        os.set_inheritable(descriptor, False)
    child.child_main(plan, fds, is_clean=True)
