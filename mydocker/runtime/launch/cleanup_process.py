"""The cleanup process: a process that outlives mydocker just long enough to clean up after its sudden death.

It stands by before there is anything to clean up, and receives the container's pid before that does anything: so it can
wait until mydocker is gone, kill -9 included, and then kill the container and remove its run directory and its cgroups.
A parent-death signal alone is not enough: the kernel clears it when a container's command changes its user (prctl(2),
PR_SET_PDEATHSIG).

A caller that runs one container after another has one cleanup process for all of them. Messages reach it through a
pipe, a line each: a run's directory (in hexadecimal, whatever is in its name) and, after a blank, the file of the store
whose lock it holds, if it holds one; the number of its first process; and nothing once the run is over. With a plus
sign it is the directory of a network that a run uses: a moment after the last run, its bridge is taken down, unless
another container uses it by then. With a minus sign and a blank it is what a run has had in a network, as its run
directory says it: the firewall forgets that, which nobody waits for.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_HAS_INIT = "w"
_NETWORK, _LEFT = "+", "- "
IDLE_TIME = 0.25  # seconds that the bridge of a network is kept after the last container, as another one often follows


class CleanupProcess:
    """Context manager: the cleanup process is there between enter and exit. The caller has one thread, as for
    fork(2)."""

    def __init__(self) -> None:
        self.networks: set[tuple[str, str]] = set()  # the directories of those that were used

    def __enter__(self) -> CleanupProcess:
        waiting, self.lifeline = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is for the cleanup process
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _stand_by(waiting)
        except OSError:
            os.close(self.lifeline)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(waiting)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.networks:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.lifeline)
        os.waitpid(self.pid, 0)

    def take_down_later(self, network: str, interface: str) -> None:
        """A run uses the network on disk in directory NETWORK: take bridge INTERFACE down a moment after the end."""
        if (network, interface) not in self.networks:
            self.networks.add((network, interface))
            self.send_line(f"{_NETWORK}{os.fsencode(network).hex()} {interface}")

    def forget_later(self, line: str) -> None:
        """A run has left a network, of which its directory said LINE. To wait for the kernel to forget elements of a
        firewall takes ten milliseconds (nf_tables_trans_destroy_flush_work)."""
        self.send_line(f"{_LEFT}{os.fsencode(line).hex()}")

    def send_line(self, line: str) -> None:
        """Send a message as the head of this file describes them."""
        try:  # noqa: SIM105  # contextlib is not on the warm path
            os.write(self.lifeline, f"{line}\n".encode())
        except BrokenPipeError:  # it was killed, which is no reason to end a container
            pass

    def watch(self, run_dir: str, *, has_init: bool, shared_blob: str = "") -> RunWatch:
        """Watch the run in RUN_DIR, between enter and exit of what this returns. SHARED_BLOB: see `RunDirectory`.

        `has_init`: an outer init ends the container when mydocker is gone, and must not be killed before it has
        (init.py).
        """
        paths = " ".join(os.fsencode(path).hex() for path in (run_dir, shared_blob) if path)
        return RunWatch(self, f"{_HAS_INIT if has_init else '-'}{paths}")


class RunWatch:
    """Context manager around all of a run, from before its directory is made until after that is removed."""

    def __init__(self, cleanup_process: CleanupProcess, run: str) -> None:
        self.cleanup_process, self.run = cleanup_process, run

    def __enter__(self) -> RunWatch:
        self.cleanup_process.send_line(self.run)
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup_process.send_line("")

    def watch_child(self, pid: int) -> None:
        """PID is the container's first process, a child of this process that has not been waited for."""
        self.cleanup_process.send_line(str(pid))


def _stand_by(waiting: int) -> NoReturn:
    """In the cleanup process."""
    try:
        os.setsid()
        kernel.close_all_but((waiting,))
        duty, networks, left = _Duty(""), list[tuple[str, str]](), list[str]()
        for line in open(waiting, encoding="utf-8"):  # noqa: SIM115  # until no one holds the other end
            message = line.rstrip()
            if message.isdigit():
                duty.take(int(message))
            elif message.startswith(_LEFT):
                left.append(os.fsdecode(bytes.fromhex(message[len(_LEFT) :])))
            elif message.startswith(_NETWORK):
                directory, interface = message[1:].split()
                networks.append((os.fsdecode(bytes.fromhex(directory)), interface))
            else:
                duty.let_go()
                duty = _Duty(message)
                if message:  # the next run begins, which takes longer
                    _forget(left)
        if duty.run_dir:  # mydocker was killed: its words in the list of processes are for a container that is no more
            from mydocker.kernel.process_title import retitle

            retitle("mydocker-cleanup")
        networks += duty.clean_up()
        if networks and not os.fork():  # nobody waits for that: mydocker may have ended
            _forget(left)
            _take_down(networks)
    finally:
        os._exit(0)


def _forget(left: list[str]) -> None:
    """Let the firewall forget what runs have had in networks, as their directories said it, and empty LEFT."""
    if not left:
        return
    from mydocker.runtime.network.upkeep.release import forget

    forget(left)
    left.clear()


def _take_down(networks: list[tuple[str, str]]) -> None:
    """Take down the bridges of NETWORKS that no container uses by then."""
    import time

    from mydocker.kernel.process_title import retitle
    from mydocker.runtime.network.upkeep.release import take_down_idle

    retitle("mydocker-network")  # it has nothing more to do with the run, and keeps no file system busy
    os.chdir("/")
    time.sleep(IDLE_TIME)
    for directory, interface in dict.fromkeys(networks):
        take_down_idle(directory, interface)


class _Duty:
    """What the cleanup process does for one RUN, which `CleanupProcess.watch` describes. While the container lives it
    shares the lock of the run's directory, so that no other run takes that for one left behind."""

    def __init__(self, run: str) -> None:
        self.has_init = run.startswith(_HAS_INIT)
        self.run_dir, _, self.shared_blob = (os.fsdecode(bytes.fromhex(each)) for each in run[1:].partition(" "))
        self.pidfd = self.lock = self.blob_lock = -1

    def take(self, pid: int) -> None:
        """PID is the first process."""
        self.pidfd = _opened(pid)
        try:
            self.lock = os.open(self.run_dir, os.O_RDONLY | os.O_DIRECTORY)
            kernel.lock(self.lock, shared=True)
            self._hold_blob()
        except OSError:  # it is gone: another process was faster
            pass

    def _hold_blob(self) -> None:
        if self.shared_blob:
            from contextlib import suppress

            from mydocker.errors import ImageNotFoundError
            from mydocker.runtime.launch.run_directory import hold

            with suppress(ImageNotFoundError):  # so the run will say
                self.blob_lock = hold(self.shared_blob) or -1

    def let_go(self) -> None:
        for descriptor in (self.pidfd, self.lock, self.blob_lock):
            if descriptor >= 0:
                os.close(descriptor)
        self.pidfd = self.lock = self.blob_lock = -1

    def clean_up(self) -> list[tuple[str, str]]:
        """The process that ran it is gone: kill the container, and remove what is left. The directory and the bridge of
        each network that it was in."""
        if not self.run_dir:
            return []
        import select

        from mydocker.runtime.launch.run_directory import reclaim

        if self.pidfd >= 0:
            if os.path.exists(f"{self.run_dir}/frozen"):
                from mydocker.runtime.cgroup.freezer import end

                end(self.run_dir)
            if not self.has_init:
                send(self.pidfd, signal.SIGKILL)
            ended = select.poll()
            ended.register(self.pidfd, select.POLLIN)  # readable once the process has ended (pidfd_open(2))
            ended.poll()
        self.let_go()
        return reclaim(self.run_dir)


def _opened(pid: int) -> int:
    """A pidfd of PID; -1 if it has ended, and has been waited for."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
