"""The networks of a LaunchPlan as lines of shell, for the script of `mydocker explain --shell`.

A plan names its networks, and what other containers have in them is not to be changed without the locks that mydocker
takes. So the script makes a bridge of its own for each, in a subnet that is free, and removes it at its end.
"""

from __future__ import annotations

import shlex

from mydocker.errors import LaunchError, NetworkError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import HOSTS, Network, Subnet
from mydocker.runtime.network.addresses import mac_of
from mydocker.runtime.network.bridge import up_and_down
from mydocker.runtime.network.firewall import ruleset
from mydocker.runtime.network.networks import load
from mydocker.runtime.network.resolvers import PUBLIC, UPSTREAM
from mydocker.runtime.network.subnets import parse_subnet
from mydocker.runtime.plan import LOCALHOST
from mydocker.specs.model import BRIDGE, HOST_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model.parts import NetworkAttachment, Port

TAKE_DOWN = "take_down"  # the function that removes what these lines have made
_TAKE_DOWN = """\
bridges=
take_down() {
    for bridge in $bridges; do
        ip link delete "$bridge" || :; ip link delete "v$bridge" || :
        for family in inet bridge; do nft delete table "$family" "mydocker-$bridge" || :; done
    done 2> /dev/null
    umount "$run/net" 2> /dev/null || :"""
_FREE_SUBNET = """\
# set $subnet to a network 10.N.0.0/24 that no route of this host overlaps, with addresses in it
n=200
free_subnet() {
    while [ -n "$(ip -4 route show root 10.$n.0.0/24; ip -4 route show match 10.$n.0.0/24 | grep -v ^default)" ]; do
        n=$((n + 1))
    done
    subnet=10.$n.0.0/24 gateway=10.$n.0.1 address=10.$n.0.2 mac=$(printf 02:42:0a:%02x:00:02 "$n")
}"""
_PUBLIC = "\\n".join(f"nameserver {server}" for server in PUBLIC)
RESOLVERS = f"""\
# the host's name servers that a container reaches: one on the host's loopback is replaced by those that it asks
resolvers() {{
    loopback='^[[:space:]]*nameserver[[:space:]]+(127[.]|::1$|0[.]0[.]0[.]0$|::$)'
    if [ -s {UPSTREAM} ] && grep -qsE "$loopback" /etc/resolv.conf
    then grep nameserver {UPSTREAM} || :; grep -v nameserver /etc/resolv.conf || :
    else cat /etc/resolv.conf 2> /dev/null || :; fi |
    awk '$1 == "nameserver" && $2 ~ /:|^127[.]|^0[.]0[.]0[.]0$/ {{ next }} {{ print }} $1 == "nameserver" {{ n++ }}
        END {{ if (!n) print "{_PUBLIC}" }}'
}}"""


def beyond(plan: LaunchPlan) -> Iterator[str]:
    """What no line does."""
    if plan.networks:
        names = " and ".join(each.name for each in plan.networks)
        yield f"other containers of network {names}: their addresses and names (the bridge here is the script's own)"
    if any(_has_ipv6(plan, each) for each in plan.networks):
        yield "addresses of IPv6"
    if plan.ports:
        yield "publishing ports at the host's IPv6 addresses, and keeping others from taking them"
    for port in plan.ports:
        if not port.published or port.last_published:
            yield f"publishing port {port.target} under a number that is free"


def take_down(plan: LaunchPlan) -> Iterator[str]:
    """The function TAKE_DOWN, defined before anything is made."""
    yield _TAKE_DOWN
    for family, chain in ruleset.dropping():
        listed = f"nft -a list chain {family} {chain.table} {chain.name}"
        rules = """awk -v name='"'"$bridge"'"' 'index($0, name) { print $NF }'"""
        yield f"    for bridge in $bridges; do for handle in $({listed} | {rules}); do"
        yield f'        nft delete rule {family} {chain.table} {chain.name} handle "$handle"'
        yield "    done; done"
    yield "}"


def lines(plan: LaunchPlan) -> Iterator[str]:
    """Make the bridges and a network namespace, `$run/net`, that is connected to them. `addresses` are those of the
    container, `host_gateway` is the host's in the first network."""
    yield "# Its networks, and a network namespace that is in them"
    yield _FREE_SUBNET
    yield 'export addresses= host_gateway=; : > "$run/net"; unshare --net="$run/net" true'
    yield "echo 1 > /proc/sys/net/ipv4/ip_forward"
    yield "exec 9< /proc/self/ns/net; flock 9  # as mydocker has it while it chooses a subnet"
    outward = [each for each in plan.networks if not _is_internal(plan, each)]
    default = max(outward, key=lambda each: each.gateway_priority, default=None)
    for index, attachment in enumerate(plan.networks):
        yield from _bridge(plan, attachment, index, internal=attachment not in outward)
        is_published = bool(plan.ports and not index)
        yield from _connect(attachment, index, is_default=attachment is default, is_published=is_published)
    yield "exec 9<&-"
    yield ""


def _bridge(plan: LaunchPlan, attachment: NetworkAttachment, index: int, *, internal: bool) -> Iterator[str]:
    network = Network(
        name=attachment.name,
        id="",
        interface="$bridge",
        subnet=Subnet(network="$subnet", gateway="$gateway"),
        internal=internal,
    )
    mtu = (known.mtu if (known := _on_disk(plan, attachment.name)) else None) or up_and_down.uplink_mtu()
    yield ""
    yield f"# Network {attachment.name}"
    yield f'bridge=mdsh$$-{index}; bridges="$bridges $bridge"'
    yield _addresses(plan, attachment)
    yield 'addresses="$addresses $address" host_gateway=${host_gateway:-$gateway}'
    yield f'mtu={mtu}; ip link add "$bridge" mtu "$mtu" type bridge'
    yield 'for each in forwarding route_localnet; do echo 1 > "/proc/sys/net/ipv4/conf/$bridge/$each"; done'
    yield "nft -f - <<RULES"
    yield "\n".join(line for line in ruleset.rules(network).splitlines() if line.strip())
    yield from ruleset.exceptions("$bridge")
    yield 'add element bridge mydocker-$bridge veths { "v$bridge" }'
    yield 'add element bridge mydocker-$bridge macs { "v$bridge" . $mac }'
    yield 'add element bridge mydocker-$bridge members { "v$bridge" . $mac . $address }'
    if not index:
        yield from filter(None, map(_published, plan.ports))
    yield "RULES"
    yield 'ip address add "$gateway/${subnet#*/}" broadcast + dev "$bridge"; ip link set "$bridge" addrgenmode none up'


def _addresses(plan: LaunchPlan, attachment: NetworkAttachment) -> str:
    """Assign `subnet`, `gateway`, `address` and `mac`."""
    mac = f"; mac={attachment.mac}" if attachment.mac else ""
    if not attachment.address:
        return f"free_subnet{mac}"
    subnet = _subnet(plan, attachment)
    mac = attachment.mac or mac_of(attachment.address)
    return f"subnet={subnet.network} gateway={subnet.gateway} address={attachment.address} mac={mac}"


def _subnet(plan: LaunchPlan, attachment: NetworkAttachment) -> Subnet:
    """The subnet in which a container has an address that is set."""
    definition = attachment.definition
    if definition and definition.subnet:
        return parse_subnet(definition.subnet, definition.gateway or None)
    network = _on_disk(plan, attachment.name)
    if network is None:
        raise LaunchError(f"address {attachment.address}: the subnet of network {attachment.name} is not known yet")
    return network.subnet


def _published(port: Port) -> str:
    """The element that forwards what comes to PORT; empty if mydocker would choose its number, or for IPv6."""
    if not port.published or port.last_published or ":" in port.host_ip:
        return ""
    everywhere = port.host_ip in ("", "0.0.0.0")
    table, host = ("ports", "") if everywhere else ("address_ports", f"{port.host_ip} . ")
    source = f"{host}{port.protocol} . {port.published}"
    return f"add element inet mydocker-$bridge {table} {{ {source} : $address . {port.target} }}"


def _connect(attachment: NetworkAttachment, index: int, *, is_default: bool, is_published: bool) -> Iterator[str]:
    name = attachment.interface or f"eth{index}"
    yield 'ip link add "v$bridge" mtu "$mtu" master "$bridge" type veth \\'
    yield f'    peer name {name} mtu "$mtu" address "$mac" netns "$run/net"'
    yield 'ip link set "v$bridge" addrgenmode none up'
    if is_published:  # it reaches its own ports at the host's address
        yield 'ip link set "v$bridge" type bridge_slave hairpin on'
    route = '; ip route add default via "$gateway"' if is_default else ""
    yield 'address=$address/${subnet#*/} gateway=$gateway nsenter --net="$run/net" sh -euc \''
    yield f'    ip address add "$address" broadcast + dev {name}; ip link set {name} addrgenmode none up{route}\''


def _is_internal(plan: LaunchPlan, attachment: NetworkAttachment) -> bool:
    network = _on_disk(plan, attachment.name)
    if network:
        return network.internal
    return bool(attachment.definition and attachment.definition.internal)


def _has_ipv6(plan: LaunchPlan, attachment: NetworkAttachment) -> bool:
    network, definition = _on_disk(plan, attachment.name), attachment.definition
    return bool(network.subnet6 if network else definition and (definition.ipv6 or definition.subnet6))


def _on_disk(plan: LaunchPlan, name: str) -> Network | None:
    """Network NAME, unless it is made when the first container needs it."""
    try:
        return load(plan.networks_dir, name)
    except NetworkError:
        return None


def enter(plan: LaunchPlan) -> list[str]:
    """The words that run a command in the network namespace of the container; none if it makes its own."""
    joined = {"net": plan.joined} if plan.joined else {}
    found = [
        f"--{kind}=/proc/$(readlink {shlex.quote(other)}/process)/ns/{kind}"
        for kind, other in (*joined.items(), *plan.joined_namespaces.items())
    ]
    found += ['--net="$run/net"'] if plan.networks else []
    return ["nsenter", *found] if found else []


def hosts(plan: LaunchPlan) -> Iterator[str]:
    """The container's /etc/hosts."""
    yield "{"
    yield f"    printf %s {shlex.quote(LOCALHOST)}"
    for name, address in plan.extra_hosts:
        written = '"$host_gateway"' if address == HOST_GATEWAY else shlex.quote(address)
        yield f"    printf '%s\\t%s\\n' {written} {shlex.quote(name)}"
    yield f"    for address in $addresses; do printf '%s\\t%s\\n' \"$address\" {shlex.quote(plan.host_names)}; done"
    if plan.has_names:
        yield "    ("
        yield "        set -- $addresses"
        for number, attachment in enumerate(plan.networks, 1):
            if attachment.name != BRIDGE and attachment.aliases:
                names = shlex.quote(" ".join(attachment.aliases))
                yield f"        printf '%s\\t%s\\n' \"${{{number}}}\" {names}"
        yield "    )"
    yield f'}} > "$run/{HOSTS}"'
