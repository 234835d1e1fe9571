"""The networks on disk, found by name or ID, read and locked: the part that each start of a container needs.

    <networks>/                flock: exclusive for those who create, remove or sweep
      <name>/                  flock: shared while a container joins, exclusive to bring up or take down, to remove
        network.json           what the network is; replaced as a whole (rename(2))
        leases/                flock: exclusive to remove leases; see leases.py
          10.89.0.2            a link whose target is the run directory of the container that has the address
        last                   the address that was given out last
      .new-…, .removed-…       worthless without the lock above: what a killed process has left

Locks are taken in this order, the outer one first.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import ImageError, NetworkError, StoreError, UsageError, hint_for
from mydocker.image.model import json_input
from mydocker.image.store import read
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import DEFAULT, Network, Subnet
from mydocker.runtime.network.addresses import ipv4_range, parse_ipv4, parse_ipv6

if TYPE_CHECKING:
    from typing import Any

NAME_LIMIT = 255  # bytes of a directory's name
INTERFACE_LIMIT = 15  # bytes, IFNAMSIZ - 1 (linux/if.h)
_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME = _ALNUM | frozenset("_.-")
_HEX = frozenset("0123456789abcdef")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def load(networks: str, name: str) -> Network:
    """The network of directory NETWORKS that has NAME, or the only one whose ID begins with it. NetworkError if there
    is none, StoreError if its file is damaged."""
    return _load(networks, resolve_name(networks, name))


def _load(networks: str, name: str) -> Network:
    path = f"{networks}/{name}/network.json"
    try:
        return _parse(read(path), name)
    except FileNotFoundError:
        if not os.path.lexists(f"{networks}/{name}"):
            raise not_found(name) from None
        raise _damaged(name, f"{path} is missing") from None
    except (ImageError, ValueError) as error:
        raise _damaged(name, f"{path}: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot read network {name}: {error.strerror}: {path}", hint=hint_for(error)) from None


def _damaged(name: str, reason: str) -> StoreError:
    return StoreError(f"network {name} is damaged: {reason}", hint=f"remove it: mydocker network rm {name}")


def resolve_name(networks: str, text: str) -> str:
    """The name of the network that TEXT means, by its name or by the beginning of its ID. NetworkError if there is
    none, UsageError if several IDs begin with TEXT."""
    if is_name(text) and os.path.lexists(f"{networks}/{text}"):
        return text
    if not text or not _HEX.issuperset(text):
        raise not_found(text)
    found = [network.name for network in intact(networks) if network.id.startswith(text)]
    if len(found) > 1:
        raise UsageError(f"several networks have an ID that begins with {text}: {', '.join(found)}")
    if not found:
        raise not_found(text)
    return found[0]


def not_found(name: str) -> NetworkError:
    hint = "it is made when a container starts in it" if name == DEFAULT else "see 'mydocker network ls'"
    return NetworkError(f"there is no network {name}", hint=hint)


def is_name(text: str) -> bool:
    """Whether Docker accepts TEXT as the name of a network, and a file system as that of a directory."""
    return 0 < len(text) <= NAME_LIMIT and text[0] in _ALNUM and _NAME.issuperset(text)


def names(networks: str) -> list[str]:
    """The names in directory NETWORKS, sorted; also those of damaged networks."""
    try:
        return sorted(filter(is_name, os.listdir(networks)))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read the networks: {error.strerror}: {networks}", hint=hint_for(error)) from None


def intact(networks: str) -> list[Network]:
    """The networks of directory NETWORKS, by name, without those that are damaged or just being removed."""
    found = []
    for name in names(networks):
        try:  # noqa: SIM105  # contextlib is not on the warm path
            found.append(_load(networks, name))
        except (StoreError, NetworkError):
            pass
    return found


class HeldNetwork:
    """Context manager: `network` of directory NETWORKS, with a lock on it between enter and exit: nobody removes it
    meanwhile. `directory` is the network's own, and `lock` is open there."""

    network: Network

    def __init__(self, networks: str, name: str, *, exclusive: bool = False) -> None:
        """NAME as in `load`. With `exclusive`, nobody else holds it."""
        self.networks, self.name, self.exclusive = networks, name, exclusive
        self.directory, self.lock = "", -1

    def __enter__(self) -> HeldNetwork:
        name = resolve_name(self.networks, self.name)
        self.directory = f"{self.networks}/{name}"
        self.lock = lock_directory(self.directory, exclusive=self.exclusive)
        try:
            self.network = _load(self.networks, name)
        except BaseException:
            os.close(self.lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)


def lock_directory(path: str, *, exclusive: bool) -> int:
    """A descriptor with a lock on directory PATH, that of a network, which has not been removed meanwhile. Raises
    NetworkError, StoreError."""
    name = os.path.basename(path)
    while True:
        try:
            lock = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            raise not_found(name) from None
        except OSError as error:
            raise StoreError(f"cannot use network {name}: {error.strerror}: {path}", hint=hint_for(error)) from None
        try:
            kernel.lock(lock, shared=not exclusive)
            if os.path.samestat(os.fstat(lock), os.stat(path, follow_symlinks=False)):
                return lock
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # removed, and perhaps made again


def _parse(raw: bytes, name: str) -> Network:
    """The network that RAW describes; ImageError, ValueError if it is none of NAME."""
    values = json_input.mapping(json_input.loads(raw, "network"), "network")
    network = Network(
        name=_text(values, "name"),
        id=_text(values, "id"),
        interface=_text(values, "interface"),
        subnet=_subnet(values.get("subnet"), "subnet"),
        subnet6=_subnet(values["subnet6"], "subnet6") if values.get("subnet6") else None,
        internal=values.get("internal") is True,
        mtu=json_input.natural(values["mtu"], "mtu") if values.get("mtu") else None,
        labels=_texts(values, "labels"),
        options=_texts(values, "options"),
        created=_text(values, "created"),
        transient=values.get("transient") is True,
        automatic=values.get("automatic") is True,
    )
    if network.name != name:
        raise ValueError(f"it describes {network.name!r}")
    if len(network.id) != 64 or not _HEX.issuperset(network.id):
        raise ValueError("its id is not of 64 hexadecimal digits")
    if not is_name(network.interface) or len(network.interface) > INTERFACE_LIMIT:
        raise ValueError("its interface has no valid name")
    _check_addresses(network)
    return network


def _check_addresses(network: Network) -> None:
    first, last = ipv4_range(network.subnet.network)
    if not first < parse_ipv4(network.subnet.gateway) < last:
        raise ValueError("its gateway is outside of its subnet")
    if network.subnet.ip_range:
        low, high = ipv4_range(network.subnet.ip_range)
        if not first <= low <= high <= last:
            raise ValueError("its ip_range is outside of its subnet")
    if network.subnet6:
        parse_ipv6(network.subnet6.network.partition("/")[0])
        parse_ipv6(network.subnet6.gateway)


def _text(values: dict[str, Any], key: str) -> str:
    return json_input.string(values.get(key), key)


def _texts(values: dict[str, Any], key: str) -> dict[str, str]:
    found = json_input.mapping(values.get(key), key)
    return {json_input.string(name, key): json_input.string(text, key) for name, text in found.items()}


def _subnet(value: object, key: str) -> Subnet:
    values = json_input.mapping(value, key)
    return Subnet(
        network=_text(values, "network"), gateway=_text(values, "gateway"), ip_range=_text(values, "ip_range")
    )
