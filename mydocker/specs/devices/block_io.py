"""Limits on reading and writing of disks: Docker's `--blkio-weight`, `--device-read-bps` and the like, and Compose's
`blkio_config`. Each notation gives a part, a mapping of some fields; `combine` makes the BlockLimits of all parts."""

from __future__ import annotations

from functools import partial

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import BlockLimits
from mydocker.specs.nodes.node import Mapping, Node, Sequence, is_null
from mydocker.specs.values.quantity import number_between
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

    Part = dict[str, Any]

RATES = {  # key of Compose -> field
    "device_read_bps": "read_bps",
    "device_write_bps": "write_bps",
    "device_read_iops": "read_iops",
    "device_write_iops": "write_iops",
}
KEYS = ("weight", "weight_device", *RATES)
WEIGHTS = (10, 1000)
_RATE_LIMIT = 2**63 - 1


def parse_weight(text: str) -> Part:
    """From 10 to 1000; 0 is the kernel's default."""
    weight = _weight(text)
    return {"weight": weight} if weight else {}


def parse_of_device(key: str, text: str) -> Part:
    """DEVICE:NUMBER, of the KEY that Compose has for it."""
    path, colon, value = text.rpartition(":")
    if not colon:
        raise UsageError(f"{text!r}: expected DEVICE:{'WEIGHT' if key == 'weight_device' else 'RATE'}")
    return _of_device(key, path, value)


def read_block_limits(node: Node, reader: Reader) -> tuple[Part, ...]:
    """The value of the key `blkio_config`."""
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {', '.join(KEYS)}")
        return ()
    found = []
    known = reader.members(node, KEYS)
    for key, value in node.entries:  # several of one key where a Quadlet file has several flags
        if key.text not in known or is_null(value):
            continue
        if key.text == "weight":
            found.append(reader.value(value, lambda text, scope: parse_weight(text)))
            continue
        for item in value.items if isinstance(value, Sequence) else (value,):
            found.append(_entry(key.text, item, reader))
    return tuple(part or {} for part in found)


def _entry(key: str, node: Node, reader: Reader) -> Part | None:
    number = "weight" if key == "weight_device" else "rate"
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with path and {number}")
        return None
    members = reader.members(node, ("path", number))
    if len(members) < 2:
        reader.refuse(node, f"path and {number} are needed")
        return None
    path, text = reader.text(members["path"]), reader.text(members[number])
    found: Part | None = reader.attempt(members[number], partial(_of_device, key, path, text))
    return found


def _of_device(key: str, path: str, text: str) -> Part:
    if not path.startswith("/"):
        raise UsageError(f"device {path!r} is not an absolute path")
    if key == "weight_device":
        return {key: ((path, _weight(text)),)}
    number = parse_size(text) if key.endswith("_bps") else whole_number(text, _RATE_LIMIT)
    if not number:
        unit = "bytes" if key.endswith("_bps") else "times"
        raise UsageError(f"{text!r}: expected a rate of more than 0 {unit} a second")
    return {RATES[key]: ((path, number),)}


def _weight(text: str) -> int:
    return number_between(text, WEIGHTS, "a weight from {} to {}, or 0 for the kernel's")


def combine(parts: Iterable[Part]) -> BlockLimits | None:
    """The limits of PARTS; of two for one device, the later one holds."""
    found: Part = {}
    for part in parts:
        for name, value in part.items():
            over = isinstance(value, tuple) and found.get(name)
            found[name] = tuple({**dict(over), **dict(value)}.items()) if over else value
    return BlockLimits(**found) if found else None


def format_block_limits(limits: BlockLimits) -> dict[str, Any]:
    """The value for the key."""
    found: dict[str, Any] = {"weight": limits.weight} if limits.weight else {}
    if limits.weight_device:
        found["weight_device"] = [{"path": path, "weight": weight} for path, weight in limits.weight_device]
    for key, name in RATES.items():
        if pairs := getattr(limits, name):
            found[key] = [{"path": path, "rate": rate} for path, rate in pairs]
    return found


def format_flags(limits: BlockLimits) -> Iterator[tuple[str, str]]:
    """The options for `docker run`, (flag, value) each."""
    if limits.weight:
        yield "--blkio-weight", str(limits.weight)
    for path, weight in limits.weight_device:
        yield "--blkio-weight-device", f"{path}:{weight}"
    for key, name in RATES.items():
        for path, rate in getattr(limits, name):
            yield f"--{key.replace('_', '-')}", f"{path}:{rate}"
