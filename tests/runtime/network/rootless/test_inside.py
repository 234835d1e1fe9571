"""Containers of an ordinary user begin in a user namespace inside the holder's, as if it were the host's."""

from __future__ import annotations

import errno
import os
import pathlib
import pwd
import select
import signal
from collections.abc import Callable

import pytest
from lab.machines import Machine
from lab.processes import within

from mydocker import idmap, kernel
from mydocker.errors import HostError
from mydocker.idmap import Extent, IdMap
from mydocker.kernel import netlink
from mydocker.runtime.network.rootless import Holder, attachment
from mydocker.runtime.network.rootless.holder import enter_or_start
from mydocker.runtime.network.rootless.inside import clone_inside, run_inside

AsUser = Callable[[Callable[[], None]], None]

imported = (attachment,)  # while this process may read them
NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC


def _one(*numbers: tuple[int, int, int]) -> tuple[Extent, ...]:
    return tuple(Extent(inside=inside, outside=outside, count=count) for inside, outside, count in numbers)


OUTER = _one((0, 1000, 1), (1, 300_000, 100), (101, 500_000, 100))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (OUTER, _one((0, 0, 1), (1, 1, 100), (101, 101, 100))),
        (_one((0, 1000, 1)), _one((0, 0, 1))),
        (_one((1000, 1000, 1)), _one((1000, 0, 1))),
        (_one((0, 300_000, 1), (1, 1000, 1), (2, 300_001, 99)), _one((0, 1, 1), (1, 0, 1), (2, 2, 99))),
        (_one((0, 500_050, 10)), _one((0, 151, 10))),
        (_one((7, 300_090, 10), (17, 500_000, 5)), _one((7, 91, 10), (17, 101, 5))),
    ],
)
def test_ids_of_the_host_are_those_of_the_outer_namespace(
    ids: tuple[Extent, ...], expected: tuple[Extent, ...]
) -> None:
    outer = IdMap(users=OUTER, groups=OUTER)
    assert idmap.inside(outer, IdMap(users=ids, groups=ids)) == IdMap(users=expected, groups=expected)


@pytest.mark.parametrize("ids", [_one((0, 1001, 1)), _one((0, 300_099, 2)), _one((0, 499_999, 1))])
def test_ids_that_the_outer_namespace_lacks_are_refused(ids: tuple[Extent, ...]) -> None:
    with pytest.raises(HostError, match="does not exist where the networks of this user are"):
        idmap.inside(IdMap(users=OUTER, groups=OUTER), IdMap(users=ids, groups=OUTER))


def _start(directory: str) -> Holder:
    return enter_or_start(directory, idmap.of_caller())


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Child:
    """Calls ACTION in a child inside HOLDER, once this process lets it; what that writes is `output`."""

    def __init__(self, using: Holder, action: Callable[[], str], ids: IdMap, **options: Callable[[int], None]) -> None:
        self._reader, writer = os.pipe()
        waiting, self._start = os.pipe()

        def act() -> None:
            os.close(self._start)
            os.read(waiting, 1)
            try:
                os.write(writer, action().encode())
            except BaseException as error:
                os.write(writer, f"{type(error).__name__}: {error}".encode())

        self.pid, self.pidfd = clone_inside(using, NAMESPACES, act, ids=ids, **options)
        os.close(writer)
        os.close(waiting)

    def output(self) -> str:
        os.write(self._start, b"1")
        with open(self._reader) as file:
            written = file.read()
        assert _wait(self.pid) == 0
        return written


def _maps() -> str:
    return pathlib.Path("/proc/self/uid_map").read_text() + pathlib.Path("/proc/self/gid_map").read_text()


rootless = [pytest.mark.root, pytest.mark.rootless]


class TestOfAnOrdinaryUser:
    pytestmark = rootless

    @pytest.mark.parametrize("keep", [False, True])
    def test_it_has_the_ids_that_it_has_elsewhere(
        self, as_user: AsUser, directory: str, other: Machine, ids: None, user: pwd.struct_passwd, keep: bool
    ) -> None:
        """As the host sees them, which is all that matters for files; and it is a child of its caller's."""

        def compare() -> None:
            expected = idmap.of_caller()
            if keep:
                expected = idmap.keep_id(expected, user=user.pw_uid, group=user.pw_gid)
            with _start(directory) as using:
                child = _Child(using, lambda: f"{os.getpid()} {os.getuid()}", expected)
                assert idmap.inside(idmap.of_caller(), idmap.of_process(child.pid)) == idmap.inside(
                    idmap.of_caller(), expected
                )
                assert child.output() == f"1 {user.pw_uid if keep else 0}"

        as_user(compare)

    def test_it_may_be_any_of_its_users(self, as_user: AsUser, directory: str, other: Machine, ranges: None) -> None:
        def change() -> str:
            os.setgroups([7])
            os.setresgid(65536, 65536, 65536)
            os.setresuid(65536, 65536, 65536)
            return f"{os.getuid()} {os.getgid()} {os.getgroups()}"

        def become() -> None:
            with _start(directory) as using:
                assert _Child(using, change, idmap.of_caller()).output() == "65536 65536 [7]"

        as_user(become)

    def test_its_caller_may_kill_it(self, as_user: AsUser, directory: str, other: Machine, ranges: None) -> None:
        """Also once it is another user."""

        def kill() -> None:
            with _start(directory) as using:
                reader, writer = os.pipe()
                waiting, start = os.pipe()

                def change() -> None:
                    os.read(waiting, 1)
                    os.setresuid(8, 8, 8)
                    os.write(writer, b"x")
                    signal.pause()

                pid, pidfd = clone_inside(using, NAMESPACES, change, ids=idmap.of_caller())
                os.write(start, b"1")
                assert os.read(reader, 1) == b"x"
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                assert _wait(pid) == -signal.SIGKILL

        as_user(kill)

    def test_file_systems_are_mounted_as_elsewhere(
        self, as_user: AsUser, directory: str, other: Machine, ids: bool
    ) -> None:
        has_ranges = ids
        groups = ("0", "5")  # of the terminals; with one id there is no group tty

        def mount() -> str:
            kernel.set_propagation("/", kernel.MS_REC | kernel.MS_SLAVE)
            for fstype, options in (
                ("proc", []),
                ("sysfs", []),
                ("mqueue", []),
                ("tmpfs", [("mode", "755")]),
                ("devpts", [("newinstance", None), ("gid", groups[has_ranges]), ("ptmxmode", "0666")]),
            ):
                tree = kernel.new_filesystem(fstype, options)  # type: ignore[arg-type]
                place = os.open("/tmp", os.O_PATH)
                kernel.attach(tree, place)
                os.close(place)
                os.close(tree)
                if fstype == "proc":
                    assert os.readlink("/tmp/self") == "1"
                    pathlib.Path("/tmp/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
                    pathlib.Path("/tmp/sys/net/ipv4/ping_group_range").write_text("0 0")
                if fstype == "sysfs":
                    assert sorted(os.listdir("/tmp/class/net")) == ["lo"]
            return groups[has_ranges]

        def mount_all() -> None:
            with _start(directory) as using:
                assert _Child(using, mount, idmap.of_caller()).output() == groups[has_ranges]

        as_user(mount_all)

    def test_the_holder_connects_it(self, as_user: AsUser, directory: str, other: Machine, ids: None) -> None:
        """What is called then is in the holder's namespaces, and may give the child an interface."""

        def connect(pid: int) -> None:
            with netlink.Channel() as channel:
                channel.send(netlink.add_bridge("bridge0", mac="02:42:0a:58:00:01"))
                bridge = netlink.get_link(channel, "bridge0")
                assert bridge
                channel.send(
                    netlink.add_veth(
                        "veth0",
                        master=bridge.index,
                        mtu=1500,
                        peer="eth0",
                        peer_mac="02:42:0a:58:00:02",
                        pid=pid,
                    )
                )

        def look() -> str:
            with netlink.Channel() as channel:
                link = netlink.get_link(channel, "eth0")
            return link.mac if link else ""

        def start() -> None:
            with _start(directory) as using:
                child = _Child(using, look, idmap.of_caller(), then=connect)
                assert child.output() == "02:42:0a:58:00:02"
                run_inside(using, lambda: None)

        as_user(start)

    def test_it_does_not_keep_the_holder(self, as_user: AsUser, directory: str, other: Machine) -> None:
        """A process of the container that is still there when its caller has ended."""

        def start() -> None:
            using = _start(directory)
            waiting, go_on = os.pipe()
            pid, _ = clone_inside(using, NAMESPACES, lambda: os.read(waiting, 1), ids=idmap.of_caller())
            ended = os.pidfd_open(using.process)
            using.close()
            assert within(100, lambda: bool(select.select([ended], [], [], 0)[0]))
            os.write(go_on, b"1")
            assert _wait(pid) == 0

        as_user(start)

    def test_an_error_leaves_no_child(self, as_user: AsUser, directory: str, other: Machine) -> None:
        def refuse(pid: int) -> None:
            raise HostError(f"not for {pid}")

        def start() -> None:
            with _start(directory) as using:
                with pytest.raises(HostError, match="not for [0-9]+"):
                    clone_inside(using, NAMESPACES, signal.pause, ids=idmap.of_caller(), then=refuse)
                with pytest.raises(ChildProcessError):
                    os.waitpid(-1, 0)
                with pytest.raises(OSError) as raised:
                    clone_inside(using, kernel.CLONE_PIDFD | 0x00000800, signal.pause, ids=idmap.of_caller())
                assert raised.value.errno == errno.EINVAL  # CLONE_SIGHAND without CLONE_VM (clone(2))

        as_user(start)
