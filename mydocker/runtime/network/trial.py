"""What a network is made of, tried in a process and a network namespace that end at once: whether the kernel has it."""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.errors import MydockerError
from mydocker.kernel import netlink
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, Network, Subnet

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.idmap import IdMap

NETWORK = Network(name=DEFAULT, id="", interface="md-trial", subnet=Subnet(network="10.88.0.0/16", gateway="10.88.0.1"))


def lacking(ids: IdMap | None) -> str:
    """Why the kernel can make no network for containers with IDS, as part of a sentence; empty if it can."""
    why = attempt(bring_up, ids=ids)
    return f"the kernel has no bridges, or no veth interfaces: {why}" if why else ""


def bring_up() -> Network:
    """A bridge, and an interface on it, in a new network namespace of this process. Raises OSError, MydockerError."""
    kernel.unshare(kernel.CLONE_NEWNET)
    with netlink.Channel() as channel:
        channel.send(netlink.add_bridge(NETWORK.interface, mac="02:42:0a:58:00:01"))
        link = netlink.get_link(channel, NETWORK.interface)
        if link is None:
            raise MydockerError("the bridge is gone")
        channel.send(
            netlink.add_veth(
                "md-trial0",
                master=link.index,
                mtu=link.mtu,
                peer="md-trial1",
                peer_mac="02:42:0a:58:00:02",
                pid=os.getpid(),
            )
        )
    return NETWORK


def attempt(step: Callable[[], object], *, ids: IdMap | None) -> str | None:
    """None if STEP works, for an ordinary user as root of a user namespace with IDS; else why it does not."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        why = "it was killed"
        try:
            if ids is not None:
                idmap.enter(ids)
            step()
            why = ""
        except MydockerError as error:
            why = error.message
        except OSError as error:
            why = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        except BaseException as error:  # a defect of mydocker must not return into the caller's copy of the program
            why = repr(error)
        finally:
            os.write(writer, why.encode(errors="replace"))
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as report:
        output = report.read()
    try:  # noqa: SIM105  # as everywhere in this room
        os.waitpid(pid, 0)
    except ChildProcessError:  # the caller of mydocker ignores SIGCHLD, so the kernel has reaped it (wait(2))
        pass
    return output or None
