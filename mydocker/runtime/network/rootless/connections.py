"""A run of an ordinary user in its networks: what root does in the host's network namespace is done in the holder's."""

from __future__ import annotations

import os

from mydocker import idmap
from mydocker.errors import MydockerError
from mydocker.kernel.netlink import Link
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import leases, lifecycle, networks
from mydocker.runtime.network.bridge import up_and_down
from mydocker.runtime.network.connections import Connections, give_back
from mydocker.runtime.network.rootless import find
from mydocker.runtime.network.rootless.holder import enter_or_start
from mydocker.runtime.network.rootless.inside import clone_inside, run_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mydocker.runtime.network import Lease, Network, PublishedPort
    from mydocker.runtime.network.networks import HeldNetwork
    from mydocker.runtime.plan import LaunchPlan


class RootlessConnections(Connections):
    """Context manager: as Connections. The bridges go with the holder, a moment after the last container; those that a
    file defines go at once, as the next network may have the same subnet."""

    def __init__(self, plan: LaunchPlan) -> None:
        self.used: dict[str, None] = {}  # the directories of networks
        super().__init__(
            plan,
            take_down_later=lambda directory, interface: self.used.update({directory: None}),
            forget_later=lambda line: None,
        )
        os.makedirs(plan.networks_dir, mode=0o700, exist_ok=True)
        self.holder = enter_or_start(plan.networks_dir, idmap.of_caller())
        self.resolver = self.holder.resolver

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
            for directory in self.used:
                lifecycle.remove_transient(directory, down=self.take_down)
        finally:
            self.holder.close()

    @property
    def namespaces(self) -> tuple[int, ...]:
        return (self.holder.user, self.holder.network)

    def forward(self, lease: Lease) -> None:
        """Nothing: what comes to the host's ports is in another network namespace, and all of it takes the relay."""

    def bring_up(self, held: HeldNetwork) -> tuple[Link, Network, None]:
        def act() -> bytes:
            link, _ = up_and_down.ensure_up(held.directory, held.network, lock=held.lock)
            return f"{link.index} {link.mtu}".encode()

        index, mtu = map(int, run_inside(self.holder, act).split())
        network = networks.load(os.path.dirname(held.directory), held.network.name)
        return Link(index=index, mtu=mtu, is_up=True, name=network.interface), network, None

    def clone(self, namespaces: int, child: Callable[[], object]) -> tuple[int, int]:
        """The child's user namespace is inside the holder's; it has its ids and its interfaces when this returns."""
        assert self.plan.rootless is not None
        return clone_inside(self.holder, namespaces, child, ids=self.plan.rootless, then=super().attach)

    def attach(self, pid: int) -> None:
        """Nothing is left to do: see `clone`."""

    def take_down(self, directory: str, network: Network) -> None:
        """Take down the bridge of NETWORK, on disk in DIRECTORY, if there is one. Raises HostError."""
        run_inside(self.holder, lambda: up_and_down.take_down_if_up(directory, network))

    def give_back(self, lease: Lease) -> None:
        run_inside(self.holder, lambda: give_back(lease, self.ports, self.plan.run_dir))


def take_down_if_up(directory: str, network: Network) -> None:
    """Take down the bridge of NETWORK, on disk in DIRECTORY, on this host or among the user's own networks, if there is
    one. Raises HostError."""
    holder = find(os.path.dirname(directory))
    if holder is None:
        up_and_down.take_down_if_up(directory, network)
        return
    with holder:
        run_inside(holder, lambda: up_and_down.take_down_if_up(directory, network))


def release(found: Sequence[Lease], ports: tuple[PublishedPort, ...], run_dir: str) -> None:
    """Remove what a run that was killed, with RUN_DIR, has left by the leases FOUND."""
    for lease in found:
        try:
            holder = find(os.path.dirname(lease.directory))
            if holder is None:  # the bridges have gone with it
                leases.release(lease, run_dir)
                continue
            with holder:
                run_inside(holder, lambda lease=lease: give_back(lease, ports, run_dir))  # type: ignore[misc]
        except (MydockerError, OSError):  # it is stale, and the next container takes its address
            pass
