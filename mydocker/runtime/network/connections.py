"""A run in its networks: from before its container starts until it has ended.

What a run has in a network stands in its run directory before it exists anywhere else: so whoever removes the directory
of a run that was killed can remove the rest as well. It stands there in the targets of dangling links, which take no
room where a disk is full: `network0`, `network1` … for each network, and `port0` … for each port that is published in
the first one, with the fields of `network_line` and `_port_line`, parted by tabs.
"""

from __future__ import annotations

import os

from mydocker.errors import HostError, NetworkError, StoreError, hint_for
from mydocker.kernel import nftables
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, Lease, Network, PublishedPort, Subnet, bridge, firewall, leases
from mydocker.runtime.network.networks import HeldNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.kernel.netlink import Link
    from mydocker.runtime.network.bridge.up_and_down import PendingBridge
    from mydocker.runtime.network.name_server import NameServer
    from mydocker.runtime.network.port_relay import Reservation
    from mydocker.runtime.network.port_relay.process import PortRelay
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model.parts import NetworkAttachment

_ATTEMPTS = 10  # to hold a network that a file defines
_TARGET_LIMIT = 4095  # bytes of the target of a link, PATH_MAX - 1 (linux/limits.h)
SPARE = "/run/mydocker-networks"  # for the default network, where the store has no room for it

CLOSED = "closed"  # in place of the line of a network: the container joins no more


class Connections:
    """Context manager: the leases of a run, and what depends on them. The run directory is there, and locked.

    Those of an ordinary user are elsewhere, see rootless/connections.py.
    """

    resolver = ""  # the address of a name server for the container; empty: it has the host's

    def __init__(
        self,
        plan: LaunchPlan,
        *,
        take_down_later: Callable[[str, str], None],
        forget_later: Callable[[str], None],
    ) -> None:
        """TAKE_DOWN_LATER is called with the directory and the bridge of each network that is used, and FORGET_LATER
        with what the run directory has said of one that is left: the firewall may still have that."""
        self.plan, self.take_down_later, self.forget_later = plan, take_down_later, forget_later
        self.leases: tuple[Lease, ...] = ()
        self.bridges: list[Link] = []
        self.ports: tuple[PublishedPort, ...] = ()
        self._pending: tuple[PendingBridge, HeldNetwork] | None = None  # the last bridge, while nft loads its firewall
        self._relay: PortRelay | None = None
        self.name_server: NameServer | None = None  # if the networks have names

    def __enter__(self) -> Connections:
        reservation: Reservation | None = None
        try:
            reservation = self._reserve()
            for index in range(len(self.plan.networks)):
                self._await_bridge()  # who waits for the lock of a network has that of no other one
                self._join(index)
            if self.plan.has_names or reservation:
                self._await_bridge()
            if self.plan.has_names:
                self._introduce()
            if reservation:
                self._publish(reservation)
        except BaseException:
            if reservation:
                reservation.close()
            self.__exit__()
            raise
        return self

    def _introduce(self) -> None:
        """Let the container and others know each other's names."""
        from mydocker.runtime.network import name_server, names

        names.introduce(self.plan, self.leases, lambda run_dir: listed(run_dir)[0])
        allowed = any(not lease.network.internal for lease in self.leases)
        name_server.set_forwarding(self.plan.run_dir, allowed=allowed, new=True)
        self.name_server = name_server.NameServer(self.plan)

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
        self._relay = PortRelay(reservation, first.address, namespaces=self.namespaces)
        self._relay.__enter__()
        self.forward(first)

    @property
    def namespaces(self) -> tuple[int, ...]:
        """Descriptors of those from which the container is reached; none if that is the caller's network namespace."""
        return ()

    def forward(self, lease: Lease) -> None:
        """Let the kernel pass on what comes to the host's ports, as far as it can, to the container of LEASE."""
        try:
            _forward(lease, self.ports)
        except FileNotFoundError:
            _restore_firewall(lease)  # with these ports

    def bring_up(self, held: HeldNetwork) -> tuple[Link, Network, PendingBridge | None]:
        """The bridge of a network that is locked, and the network, which may have got another subnet by that; what is
        left to do until it is up."""
        if link := bridge.find_up(held.directory, held.network):
            return link, held.network, None
        from mydocker.runtime.network.bridge import up_and_down

        return up_and_down.begin_up(held.directory, held.network, lock=held.lock)

    def _await_bridge(self) -> None:
        """See that the last bridge is up: until then, nft works while the start of the container goes on."""
        if self._pending:
            (pending, held), self._pending = self._pending, None
            try:
                pending.finish()
            finally:
                held.__exit__()

    def _join(self, index: int) -> None:
        """Take a lease in the network with INDEX, and see that its bridge is up, or about to be."""
        attachment, plan = self.plan.networks[index], self.plan
        held = self._hold(attachment)
        try:
            self.take_down_later(held.directory, held.network.interface)
            link, network, pending = self.bring_up(held)
            if pending:
                self._pending = pending, held
            if network.interface != held.network.interface:
                self.take_down_later(held.directory, network.interface)
            self.bridges.append(link)
            lease = leases.take(
                held.directory,
                network,
                plan.run_dir,
                container_id=plan.container_id,
                index=index,
                address=attachment.address or None,
                address6=attachment.address6 or None,
                earlier=attachment.earlier,
                mac=attachment.mac or None,
                aliases=attachment.aliases,
            )
            if attachment.interface or attachment.gateway_priority:
                name, priority = attachment.interface or lease.interface, attachment.gateway_priority
                lease = lease.replace(interface=name, gateway_priority=priority)
            self.leases = (*self.leases, lease)
            os.symlink(network_line(lease), f"{plan.run_dir}/network{index}")
        finally:
            if not self._pending:
                held.__exit__()

    def _hold(self, attachment: NetworkAttachment) -> HeldNetwork:
        """The network of ATTACHMENT, locked: it is left by the caller. One that a file defines may go with its last
        container at any time before, and is made again then."""
        for _ in range(_ATTEMPTS if attachment.definition and not attachment.definition.external else 0):
            try:
                return HeldNetwork(self._made(attachment), attachment.name).__enter__()
            except NetworkError:
                pass
        return HeldNetwork(self._made(attachment), attachment.name).__enter__()

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
        elif os.path.isdir(f"{self.plan.store}/networks/{attachment.name}"):
            raise NetworkError(
                f"network {attachment.name} cannot be used, as the store is read-only",
                hint="set MYDOCKER_ROOT to a directory that can be written, or define the network in a file",
            )
        return networks

    def written_ports(self) -> tuple[str, ...]:
        """The published ports as text, for an outcome."""
        if not self.ports:
            return ()
        from mydocker.runtime.network.published_ports import written

        return tuple(map(written, self.ports))

    def clone(self, namespaces: int, child: Callable[[], object]) -> tuple[int, int] | None:
        """Clone a process that calls CHILD where its network has to be made: its pid and pidfd. None: anywhere."""
        return None

    def attach(self, pid: int) -> None:
        """Connect the network namespace of process PID, the container's first one, which waits for its interfaces."""
        self._await_bridge()
        try:
            for index, (lease, link) in enumerate(zip(self.leases, self.bridges, strict=True)):
                is_published = bool(self.ports) and index == 0
                try:
                    bridge.attach(lease, bridge=link, pid=pid, is_published=is_published)
                except FileNotFoundError:
                    _restore_firewall(lease)
                    bridge.attach(lease, bridge=link, pid=pid, is_published=is_published)
        except ProcessLookupError:  # it could not build its tree, and reports why
            pass
        except OSError as error:
            raise _refused(error) from None

    def __exit__(self, *_: object) -> None:
        """Give everything back. The interfaces go with the container's network namespace."""
        if self._pending:
            (pending, held), self._pending = self._pending, None
            pending.give_up()
            held.__exit__()
        if self._relay:
            self._relay.close()
        if self.name_server:
            self.name_server.close()
        for lease in (*self.leases, *self._joined_later()):
            self.give_back(lease)

    def give_back(self, lease: Lease) -> None:
        """Remove what the run has by LEASE; what the firewall has of it may wait, unless ports lead to its address."""
        give_back(lease, self.ports, self.plan.run_dir, forget=bool(self.ports))
        if not self.ports:
            self.forget_later(network_line(lease))

    def _joined_later(self) -> list[Lease]:
        """The leases in networks that the container has joined while it ran, see reconnect.py. It joins no more: the
        place of the next line is taken."""
        index = len(self.leases)
        while _exists(CLOSED, f"{self.plan.run_dir}/network{index}"):
            index += 1
        if index == len(self.leases):
            return []
        from mydocker.runtime.network import name_server

        name_server.end_noted(self.plan.run_dir)
        own = {lease.directory for lease in self.leases}
        found = [lease for lease in listed(self.plan.run_dir)[0] if lease.directory not in own]
        for lease in found:
            self.take_down_later(lease.directory, lease.network.interface)
        return found


def _exists(target: str, link: str) -> bool:
    """Whether there is a LINK already, which is made to TARGET otherwise."""
    try:
        os.symlink(target, link)
    except FileExistsError:
        return True
    return False


def _forward(lease: Lease, ports: tuple[PublishedPort, ...]) -> None:
    nftables.replace_elements(firewall.published(lease, ports))


def _restore_firewall(lease: Lease) -> None:
    networks, name = os.path.split(lease.directory)
    with HeldNetwork(networks, name, exclusive=True) as held:
        restore_firewall(held)


def restore_firewall(held: HeldNetwork) -> None:
    """Load the firewall of the network of HELD again, with all that its containers have there: somebody has emptied the
    host's, as it is done where nftables is restarted. The caller has the exclusive lock of the network."""
    from mydocker.runtime.network.firewall import ruleset

    ruleset.load(held.network, again=True)
    for owner in {owner for _, owner in leases.live(held.directory)}:
        found, ports = listed(owner)
        for index, each in enumerate(found):
            if each.network.interface == held.network.interface:
                nftables.add_elements(firewall.members(each))
                _forward(each, ports if index == 0 else ())


def give_back(lease: Lease, ports: tuple[PublishedPort, ...], run_dir: str, *, forget: bool = True) -> None:
    """Remove what the run with RUN_DIR has by LEASE; what somebody else has removed is passed over. Without `forget`,
    the firewall keeps the elements."""
    try:
        if forget:
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
    """What the run directory says of LEASE. NetworkError if it has more names than that has room for."""
    fields = (lease.directory, lease.network.interface, lease.address, lease.address6, lease.mac, lease.veth)
    line = "\t".join((*fields, " ".join(lease.aliases)))
    if len(os.fsencode(line)) > _TARGET_LIMIT:
        raise NetworkError(
            f"the container has too many names in network {lease.network.name}: {len(lease.aliases)}",
            hint=f"with spaces, they may have about {_TARGET_LIMIT - 200} bytes",
        )
    return line


def _port_line(port: PublishedPort) -> str:
    return f"{port.port}\t{port.protocol}\t{port.host_ip}\t{port.target}"


def listed(run_dir: str) -> tuple[tuple[Lease, ...], tuple[PublishedPort, ...]]:
    """What the run with RUN_DIR has in networks, as its links say; nothing if there are none."""
    ports = tuple(
        PublishedPort(port=int(port), protocol=protocol, host_ip=host_ip, target=int(target))
        for port, protocol, host_ip, target in _links(f"{run_dir}/port", fields=4)
    )
    return tuple(_lease(*fields) for fields in _links(f"{run_dir}/network", fields=7)), ports


def read_network_line(line: str) -> Lease:
    """The lease that `network_line` has written down, with as much of its network as it takes to give it back."""
    return _lease(*line.split("\t"))


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
