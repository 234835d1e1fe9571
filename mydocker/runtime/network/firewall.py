"""The firewall of a network: a table of nftables with the name of its bridge, loaded once while the network is used.

    inet mydocker-<bridge>     addresses are translated on the way out (masquerade) and on the way in (published ports);
                               what comes from other networks passes only to published ports, and nothing from the
                               bridge reaches 127.0.0.0/8 of the host
    bridge mydocker-<bridge>   a container sends from its own addresses only, claims no others towards its neighbours,
                               and is no router (CVE-2020-13401)

What comes and goes with a container are elements of the sets in them. Whoever restarts the host's nftables empties all
of it: who adds an element next notices that, and loads it again. The set `complete` is there for those who add elements
to the other table alone.
"""

from __future__ import annotations

from mydocker.kernel import nftables
from mydocker.kernel.nftables import Element, key
from mydocker.programs import Running
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.network import Lease, Network, PublishedPort

# How pasta's or slirp4netns's interface is called. pasta sends segments without a flag (seen with 2023_03_09), which
# connection tracking does not assign to a container: answered here with a reset, they would end its connections.
ROOTLESS_UPLINK = "mydocker-out"

_INET = """
table inet {table} {{
    set complete {{ type inet_proto; elements = {{ tcp }} }}
    map ports {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map address_ports {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
    chain translate {{
        meta nfproto ipv4 fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @address_ports
        meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @ports
    }}
    chain guard {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{bridge}" ip daddr 127.0.0.0/8 drop
    }}
    chain strict {{
        type filter hook prerouting priority mangle; policy accept;
        iifname "{rootless}" ct state invalid drop
    }}
    chain prerouting {{ type nat hook prerouting priority dstnat; policy accept; jump translate; }}
    chain output {{ type nat hook output priority -100; policy accept; jump translate; }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname "{bridge}" ct status dnat masquerade
        ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade
        {outgoing}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" oifname "{bridge}" accept
        oifname "{bridge}" ct state established,related accept
        {incoming}
        oifname "{bridge}" drop
        {internal}
    }}
}}
"""
_BRIDGE = """
table bridge {table} {{
    set veths {{ type ifname; }}
    set macs {{ type ifname . ether_addr; }}
    set members {{ type ifname . ether_addr . ipv4_addr; }}
    set members6 {{ type ifname . ether_addr . ipv6_addr; }}
    {targets6}
    chain prerouting {{
        type filter hook prerouting priority dstnat; policy accept;
        iifname != @veths accept
        iifname . ether saddr != @macs drop
        ether type arp iifname . arp saddr ether . arp saddr ip @members accept
        ether type ip iifname . ether saddr . ip saddr @members accept
        {ipv6}
        drop
    }}
}}
"""
# What a container says about an address (RFC 4861 section 4.4) must be about its own; older versions of nft know the
# place of that address in the message by its bits only.
_TARGETS6 = "set targets6 { typeof iifname . @th,64,128; }"
_LOCAL_REQUESTS = "nd-neighbor-solicit, nd-router-solicit, mld2-listener-report"
_IPV6 = f"""icmpv6 type {{ nd-router-advert, nd-redirect }} drop
        icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets6 drop
        ether type ip6 iifname . ether saddr . ip6 saddr @members6 accept
        ether type ip6 ip6 saddr {{ ::, fe80::/10 }} icmpv6 type {{ {_LOCAL_REQUESTS} }} accept"""


PREFIX = "mydocker-"  # of the names of tables; the name of the bridge follows


_FAMILIES = {nftables.INET: "inet", nftables.IPV4: "ip", nftables.IPV6: "ip6"}
_OWN = {"inet": nftables.INET, "bridge": nftables.BRIDGE}  # the families of a network's tables


def table_of(interface: str) -> str:
    """The name of both tables of the network whose bridge is INTERFACE."""
    return f"{PREFIX}{interface}"


def rules(network: Network, *, replaced: Iterable[str] = tuple(_OWN)) -> str:
    """What nft loads for NETWORK, in one transaction; it replaces the tables of the families REPLACED, if they are
    there."""
    bridge, subnet = network.interface, network.subnet.network
    outgoing = [f'ip saddr {subnet} oifname != "{bridge}" masquerade']
    if network.subnet6:
        outgoing.append(f'ip6 saddr {network.subnet6.network} oifname != "{bridge}" masquerade')
    words = {
        "table": table_of(network.interface),
        "bridge": bridge,
        "rootless": ROOTLESS_UPLINK,
        "subnet": subnet,
        "outgoing": "" if network.internal else "\n        ".join(outgoing),
        "incoming": "" if network.internal else f'oifname "{bridge}" ct status dnat accept',
        "internal": f'iifname "{bridge}" drop' if network.internal else "",
        "targets6": _TARGETS6 if network.subnet6 else "",
        "ipv6": _IPV6 if network.subnet6 else "",
    }
    return "\n".join(_removal(network.interface, replaced)) + _INET.format(**words) + _BRIDGE.format(**words)


def _removal(interface: str, families: Iterable[str]) -> list[str]:
    """The commands that delete the tables of FAMILIES, whether they are there or not."""
    tables = [f"table {family} {table_of(interface)}" for family in families]
    return [f"{table}\ndelete {table}" for table in tables]


def load(network: Network, *, again: bool = False) -> None:
    """Load the rules of NETWORK. With `again`, some may be there. HostError if nft fails."""
    begin_to_load(network, again=again).wait()


def begin_to_load(network: Network, *, again: bool = False) -> Running:
    """The same, but that nft goes on meanwhile: it takes as long as a fourth of the start of a container.

    What is not there is not deleted: the kernel lets nft end only when it has forgotten what nft has deleted, which
    takes ten milliseconds.
    """
    removed = _foreign_rules(network.interface) if again else []
    present = [family for family, number in _OWN.items() if nftables.has_table(number, table_of(network.interface))]
    text = rules(network, replaced=present)
    return Running([("nft", "\n".join([*removed, text, *exceptions(network.interface)]))])


def is_complete(interface: str) -> bool:
    """Whether all rules of the network whose bridge is INTERFACE are there, also those in chains of others. Raises
    HostError."""
    from mydocker.programs import run

    tables = [line.split() for line in run("nft", "list", "tables").decode(errors="replace").splitlines()]
    for family, rule in (("inet", f'oifname "{interface}" drop'), ("bridge", "iifname != @veths accept")):
        table = table_of(interface)
        if ["table", family, table] not in tables:
            return False
        if rule not in run("nft", "list", "table", family, table).decode(errors="replace"):
            return False
    return all(len(_own_rules(family, chain, interface)) > 1 for family, chain in dropping())


def exceptions(bridge: str) -> list[str]:
    """Rules that let packets from and to BRIDGE pass where somebody else's firewall drops what is forwarded."""
    rules = [f'{direction} "{bridge}" counter accept' for direction in ("iifname", "oifname")]
    return [f"insert rule {family} {chain.table} {chain.name} {rule}" for family, chain in dropping() for rule in rules]


def dropping() -> list[tuple[str, nftables.Chain]]:
    """The chains of others that drop what is forwarded, each with its family: by their policy, as those of Docker and
    ufw, or by a rule, as that of firewalld."""
    return [each for each in _of_others() if each[1].drops or each[1].table == "firewalld"]


def _of_others() -> list[tuple[str, nftables.Chain]]:
    chains = nftables.forwarding_chains()
    return [(_FAMILIES[chain.family], chain) for chain in chains if not chain.table.startswith(table_of(""))]


def remove(interface: str) -> None:
    """Remove the rules of the network whose bridge is INTERFACE, also those in tables of others."""
    tables = _removal(interface, _OWN)
    Running([("nft", "\n".join(lines)) for lines in (tables, _foreign_rules(interface)) if lines]).wait()


def _foreign_rules(interface: str) -> list[str]:
    """The commands that delete what `exceptions` has inserted into chains of others."""
    return [line for family, chain in _of_others() for line in _own_rules(family, chain, interface)]


def _own_rules(family: str, chain: nftables.Chain, interface: str) -> list[str]:
    """The commands that delete what `exceptions` has inserted into CHAIN, whatever its policy is by now."""
    from mydocker.programs import run

    listed = run("nft", "-a", "list", "chain", family, chain.table, chain.name).decode(errors="replace")
    handles = []
    for line in listed.splitlines():
        rule, _, handle = line.strip().partition(" # handle ")
        is_own = rule.startswith((f'iifname "{interface}" counter ', f'oifname "{interface}" counter '))
        if is_own and rule.endswith(" accept"):
            handles.append(handle)
    return [f"delete rule {family} {chain.table} {chain.name} handle {handle}" for handle in handles]


def members(lease: Lease) -> list[Element]:
    """The elements that let the container of LEASE send from its own addresses, and nothing else."""
    veth, mac = nftables.interface(lease.veth), nftables.mac(lease.mac)
    keys = {"veths": veth, "macs": key(veth, mac), "members": key(veth, mac, nftables.address(lease.address))}
    if lease.address6:
        address6 = nftables.address(lease.address6)
        keys |= {"members6": key(veth, mac, address6), "targets6": key(veth, address6)}
    table = table_of(lease.network.interface)
    return [Element(table=table, family=nftables.BRIDGE, set=name, key=each) for name, each in keys.items()]


def mark(interface: str) -> Element:
    """An element that the table of the network whose bridge is INTERFACE has from the beginning."""
    return Element(table=table_of(interface), family=nftables.INET, set="complete", key=nftables.protocol("tcp"))


def published(lease: Lease, ports: tuple[PublishedPort, ...]) -> list[Element]:
    """The elements that forward PORTS of the host's IPv4 addresses to the container of LEASE."""
    elements = []
    for port in ports:
        if ":" in port.host_ip:
            continue  # the relay takes what comes by IPv6
        source = key(nftables.protocol(port.protocol), nftables.port(port.port))
        everywhere = port.host_ip in ("", "0.0.0.0")
        elements.append(
            Element(
                table=table_of(lease.network.interface),
                family=nftables.INET,
                set="ports" if everywhere else "address_ports",
                key=source if everywhere else key(nftables.address(port.host_ip)) + source,
                value=key(nftables.address(lease.address), nftables.port(port.target)),
            )
        )
    return elements
