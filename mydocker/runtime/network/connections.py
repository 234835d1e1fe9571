"""A run in its networks: from before its container starts until it has ended.

What a run has in a network stands in its run directory before it exists anywhere else: so whoever removes the directory
of a run that was killed can remove the rest as well. It stands there in the targets of dangling links, which take no
room where a disk is full: `network0`, `network1` … for each network, and `port0` … for each port that is published in
the first one, with the fields of `network_line` and `_port_line`, parted by tabs.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError, MydockerError, NetworkError, StoreError, hint_for
from mydocker.kernel import netlink, nftables
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, Lease, Network, PublishedPort, Subnet, bridge, firewall, leases
from mydocker.runtime.network.networks import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.kernel.netlink import Link
    from mydocker.runtime.network.port_relay import Reservation
    from mydocker.runtime.network.port_relay.process import PortRelay
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model.parts import NetworkAttachment

SPARE = "/run/mydocker-networks"  # for the default network, where the store has no room for it


class Connections:
    """Context manager: the leases of a run, and what depends on them. The run directory is there, and locked."""

    def __init__(self, plan: LaunchPlan, *, take_down_later: Callable[[str, str], None]) -> None:
        """TAKE_DOWN_LATER is called with the directory and the bridge of each network that is used."""
        self.plan, self.take_down_later = plan, take_down_later
        self.leases: tuple[Lease, ...] = ()
        self.bridges: list[Link] = []
        self.ports: tuple[PublishedPort, ...] = ()
        self._relay: PortRelay | None = None

    def __enter__(self) -> Connections:
        try:
            reservation = self._reserve()
            for index in range(len(self.plan.networks)):
                self._join(index)
            if self.plan.has_names:
                from mydocker.runtime.network import names

                names.introduce(self.plan, self.leases, lambda run_dir: listed(run_dir)[0])
            if reservation:
                self._publish(reservation)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _reserve(self) -> Reservation | None:
        """Bind the host's ports before anything else: one that is in use is an error before the container starts."""
        if not self.plan.ports:
            return None
        from mydocker.runtime.network import published_ports

        return published_ports.reserve(self.plan.ports)

    def _publish(self, reservation: Reservation) -> None:
        """Pass on what comes to the host's ports: by the kernel where it can, else by a process."""
        from mydocker.runtime.network.port_relay.process import PortRelay

        first, self.ports = self.leases[0], reservation.ports
        for index, port in enumerate(self.ports):
            os.symlink(_port_line(port), f"{self.plan.run_dir}/port{index}")
        self._relay = PortRelay(reservation, first.address)
        self._relay.__enter__()
        try:
            _forward(first, self.ports)
        except FileNotFoundError:
            _restore_firewall(first)  # with these ports

    def _join(self, index: int) -> None:
        """Take a lease in the network with INDEX, and see that its bridge is up."""
        attachment, plan = self.plan.networks[index], self.plan
        with Held(self._made(attachment), attachment.name) as held:
            self.take_down_later(held.directory, held.network.interface)
            link, network = bridge.ensure_up(held.directory, held.network, lock=held.lock)
            self.bridges.append(link)
            lease = leases.take(
                held.directory,
                network,
                plan.run_dir,
                container_id=plan.container_id,
                index=index,
                address=attachment.address or None,
                address6=attachment.address6 or None,
                mac=attachment.mac or None,
                aliases=attachment.aliases,
            )
            self.leases = (*self.leases, lease)
            os.symlink(network_line(lease), f"{plan.run_dir}/network{index}")

    def _made(self, attachment: NetworkAttachment) -> str:
        """Make the network of ATTACHMENT, if it is one that is made when it is needed, and is not there; where networks
        are on disk among which it is."""
        networks = self.plan.networks_dir
        if os.path.isdir(f"{networks}/{attachment.name}"):
            return networks
        if attachment.name == DEFAULT:
            from mydocker.runtime.network.lifecycle import load_or_make_default

            try:
                load_or_make_default(networks)
            except StoreError:
                if os.geteuid() != 0:
                    raise
                networks = SPARE
                load_or_make_default(networks)
        elif attachment.definition and not attachment.definition.external:
            from mydocker.runtime.network.definitions import make

            make(networks, attachment.name, attachment.definition)
        return networks

    def written_ports(self) -> tuple[str, ...]:
        """The published ports as text, for an outcome."""
        if not self.ports:
            return ()
        from mydocker.runtime.network.published_ports import written

        return tuple(map(written, self.ports))

    def attach(self, pid: int) -> None:
        """Connect the network namespace of process PID, the container's first one, which still waits to begin."""
        try:
            for index, (lease, link) in enumerate(zip(self.leases, self.bridges, strict=True)):
                is_published = bool(self.ports) and index == 0
                try:
                    bridge.attach(lease, bridge=link, pid=pid, index=index, is_published=is_published)
                except FileNotFoundError:
                    _restore_firewall(lease)
                    bridge.attach(lease, bridge=link, pid=pid, index=index, is_published=is_published)
        except OSError as error:
            raise _refused(error) from None

    def __exit__(self, *_: object) -> None:
        """Give everything back. The interfaces go with the container's network namespace."""
        if self._relay:
            self._relay.close()
        for lease in (*self.leases, *self._joined_later()):
            give_back(lease, self.ports, self.plan.run_dir)

    def _joined_later(self) -> list[Lease]:
        """The leases in networks that the container has joined while it ran, see reconnect.py."""
        if not os.path.lexists(f"{self.plan.run_dir}/network{len(self.leases)}"):
            return []
        own = {lease.directory for lease in self.leases}
        found = [lease for lease in listed(self.plan.run_dir)[0] if lease.directory not in own]
        for lease in found:
            self.take_down_later(lease.directory, lease.network.interface)
        return found


def _forward(lease: Lease, ports: tuple[PublishedPort, ...]) -> None:
    for element in firewall.published(lease, ports):
        nftables.replace_element(element)


def _restore_firewall(lease: Lease) -> None:
    """Load the firewall of LEASE's network again, with all that its containers have there: somebody has emptied the
    host's, as it is done where nftables is restarted."""
    networks, name = os.path.split(lease.directory)
    with Held(networks, name, exclusive=True) as held:
        firewall.load(held.network, directory=held.directory)
        for owner in {owner for _, owner in leases.live(held.directory)}:
            found, ports = listed(owner)
            for index, each in enumerate(found):
                if each.network.interface == held.network.interface:
                    nftables.add_elements(firewall.members(each))
                    _forward(each, ports if index == 0 else ())


def give_back(lease: Lease, ports: tuple[PublishedPort, ...], run_dir: str) -> None:
    """Remove what the run with RUN_DIR has by LEASE; what somebody else has removed is passed over."""
    try:
        nftables.delete_elements([*firewall.members(lease), *firewall.published(lease, ports)])
        if ports:
            _forget_flows(lease.address)
        if lease.network.name != DEFAULT:
            from mydocker.runtime.network import names

            names.withdraw(lease, run_dir)
        leases.release(lease, run_dir)
    except OSError as error:
        raise _refused(error) from None


def _forget_flows(address: str) -> None:
    """Let those who go on sending to a published port reach whoever has it next, instead of ADDRESS."""
    from mydocker.kernel import conntrack

    try:  # noqa: SIM105  # contextlib is not on the warm path
        conntrack.forget(address)
    except OSError:  # the kernel cannot list them: they end by themselves, a while after the last datagram
        pass


def _refused(error: OSError) -> HostError:
    about = f" ({error.filename})" if error.filename else ""
    return HostError(f"cannot connect the container to its network{about}: {error.strerror}", hint=hint_for(error))


def network_line(lease: Lease) -> str:
    """What the run directory says of LEASE."""
    fields = (lease.directory, lease.network.interface, lease.address, lease.address6, lease.mac, lease.veth)
    return "\t".join((*fields, " ".join(lease.aliases)))


def _port_line(port: PublishedPort) -> str:
    return f"{port.port}\t{port.protocol}\t{port.host_ip}\t{port.target}"


def listed(run_dir: str) -> tuple[tuple[Lease, ...], tuple[PublishedPort, ...]]:
    """What the run with RUN_DIR has in networks, as its links say; nothing if there are none."""
    ports = tuple(
        PublishedPort(port=int(port), protocol=protocol, host_ip=host_ip, target=int(target))
        for port, protocol, host_ip, target in _links(f"{run_dir}/port", fields=4)
    )
    return tuple(_lease(*fields) for fields in _links(f"{run_dir}/network", fields=7)), ports


def _links(path: str, *, fields: int) -> Iterator[list[str]]:
    """The targets of the links PATH0, PATH1 …, as far as there are any, in FIELDS each."""
    index = 0
    while True:
        try:
            target = os.readlink(f"{path}{index}").split("\t")
        except OSError:
            return
        if len(target) == fields:
            yield target
        index += 1


def _lease(directory: str, interface: str, address: str, address6: str, mac: str, veth: str, aliases: str) -> Lease:
    """A lease with as much of its network as it takes to give it back."""
    name = os.path.basename(directory)
    network = Network(name=name, id="", interface=interface, subnet=Subnet(network="", gateway=""))
    return Lease(
        directory=directory,
        network=network,
        address=address,
        address6=address6,
        mac=mac,
        veth=veth,
        aliases=tuple(aliases.split()),
    )


def release_listed(run_dir: str) -> list[tuple[str, str]]:
    """Remove what a run that was killed has left in networks: the directory and the bridge of each. The caller has the
    exclusive lock of RUN_DIR."""
    found, ports = listed(run_dir)
    for lease in found:
        with netlink.Channel() as channel:
            try:  # noqa: SIM105  # contextlib is not on the warm path
                channel.send(netlink.delete_link(lease.veth))
            except OSError:  # it went with the container's network namespace
                pass
        try:  # noqa: SIM105
            give_back(lease, ports, run_dir)
        except MydockerError:  # the network has been removed, or may not be changed from here
            pass
    return [(lease.directory, lease.network.interface) for lease in found]


def take_down_idle(directory: str, interface: str) -> None:
    """Take down the bridge INTERFACE of the network on disk in DIRECTORY, unless a container uses it. What cannot be
    removed is a stray that `doctor` lists."""
    try:
        if _is_ownerless(directory, interface):
            bridge.take_down(interface)
    except (MydockerError, OSError):
        pass


def _is_ownerless(directory: str, interface: str) -> bool:
    """Whether the network has been removed, perhaps with its store, or made again with another bridge. Else its bridge
    is taken down unless it is used, while nobody can join."""
    try:
        with Held(os.path.dirname(directory), os.path.basename(directory), exclusive=True) as held:
            if held.network.interface != interface:
                return True
            leases.remove_stale(directory)
            if not leases.live(directory):
                bridge.take_down(interface)
            return False
    except NetworkError:
        return True
    except StoreError:  # damaged
        return not leases.live(directory)
