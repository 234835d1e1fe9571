"""The rules of a network's firewall, which nft loads and removes: the start of a container where others are has no need
of this file."""

from __future__ import annotations

from mydocker.kernel import nftables
from mydocker.programs import Running, printed_by
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.firewall import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.network import Network

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

_FAMILIES = {nftables.INET: "inet", nftables.IPV4: "ip", nftables.IPV6: "ip6"}
_OWN = {"inet": nftables.INET, "bridge": nftables.BRIDGE}  # the families of a network's tables


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
    tables = [line.split() for line in printed_by("nft", "list", "tables").decode(errors="replace").splitlines()]
    for family, rule in (("inet", f'oifname "{interface}" drop'), ("bridge", "iifname != @veths accept")):
        table = table_of(interface)
        if ["table", family, table] not in tables:
            return False
        if rule not in printed_by("nft", "list", "table", family, table).decode(errors="replace"):
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
    listed = printed_by("nft", "-a", "list", "chain", family, chain.table, chain.name).decode(errors="replace")
    handles = []
    for line in listed.splitlines():
        rule, _, handle = line.strip().partition(" # handle ")
        is_own = rule.startswith((f'iifname "{interface}" counter ', f'oifname "{interface}" counter '))
        if is_own and rule.endswith(" accept"):
            handles.append(handle)
    return [f"delete rule {family} {chain.table} {chain.name} handle {handle}" for handle in handles]
