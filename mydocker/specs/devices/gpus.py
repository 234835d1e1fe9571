"""Devices that CDI files of the host describe: `--gpus`, and in files `gpus`, `deploy.resources.reservations.devices`,
and names such as vendor.com/class=name among `devices`.

The words are those of Docker's client (opts/gpus.go) and of the Container Device Interface specification.
"""

from __future__ import annotations

import csv

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import DeviceRequest
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

KEYS = ("driver", "count", "device_ids", "capabilities", "options")
ALL = -1
_DRIVERS = {"": "nvidia.com/gpu", "nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "cdi": ""}
_COUNT_LIMIT = 4096
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:")


def parse_gpus(text: str, scope: Scope) -> tuple[DeviceRequest, ...]:
    """`all`, a number, or words such as device=0,2 and driver=nvidia, joined by commas; empty text is none."""
    if not text:
        return ()
    try:
        [words] = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise UsageError(f"gpus {text!r}: expected all, a number, or device=ID") from None
    found: dict[str, Any] = {}
    driver = ""
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "count", word
        if key == "device":
            found["ids"] = tuple(filter(None, value.split(",")))
        elif key == "count":
            found["count"] = _count(value)
        elif key == "driver":
            driver = value
        elif key not in ("capabilities", "options"):
            raise UsageError(f"gpus: unexpected key {key!r} in {word!r}")
    return (_request(driver, **found),)


def is_qualified(text: str) -> bool:
    """Whether TEXT is the name of a CDI device: vendor/class=name."""
    kind, equals, name = text.partition("=")
    vendor, slash, family = kind.partition("/")
    return bool(equals and slash and vendor and family and name) and all(
        _NAME.issuperset(part) for part in (vendor, family, name)
    )


def read_gpus(node: Node, reader: Reader) -> tuple[DeviceRequest | None, ...]:
    """The value of the key: `all`, or a list of requests."""
    if isinstance(node, Scalar):
        found: tuple[DeviceRequest, ...] | None = reader.value(node, parse_gpus)
        return found or ()
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected all, or a list of mappings such as {driver: nvidia, count: 1}")
        return ()
    return tuple(_entry(item, reader) for item in node.items)


def _entry(node: Node, reader: Reader) -> DeviceRequest | None:
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {', '.join(KEYS)}")
        return None
    members = reader.members(node, KEYS)
    if {"count", "device_ids"} <= members.keys():
        reader.refuse(members["count"], "count and device_ids exclude each other")
        return None
    driver = reader.text(members["driver"]) if "driver" in members else ""
    before = len(reader.problems)
    found: dict[str, Any] = {}
    if "count" in members:
        found["count"] = reader.value(members["count"], lambda text, scope: _count(text))
    if "device_ids" in members:
        ids = members["device_ids"]
        found["ids"] = tuple(reader.text(item) for item in (ids.items if isinstance(ids, Sequence) else (ids,)))
    if len(reader.problems) > before:
        return None
    request: DeviceRequest | None = reader.attempt(members.get("driver", node), lambda: _request(driver, **found))
    return request


def _request(driver: str, *, count: int = 0, ids: tuple[str, ...] = ()) -> DeviceRequest:
    if driver not in _DRIVERS:
        raise UsageError(f"device driver {driver!r} is not supported: expected nvidia, amd or cdi")
    if driver == "cdi" and not all(is_qualified(each) for each in ids or ("",)):
        raise UsageError("driver cdi: expected device_ids such as vendor.com/class=name")
    if count and ids:
        raise UsageError("a count and IDs of devices exclude each other")
    return DeviceRequest(kind=_DRIVERS[driver], count=0 if ids else (count or ALL), ids=ids)


def _count(text: str) -> int:
    if text in ("all", "-1"):
        return ALL
    count = whole_number(text, _COUNT_LIMIT)
    if not count:
        raise UsageError(f"{text!r}: expected all, or a number of devices")
    return count


def format_gpus(requests: tuple[DeviceRequest, ...]) -> list[dict[str, Any]]:
    """The value for the key."""
    return [_words(request) for request in requests]


def _words(request: DeviceRequest) -> dict[str, Any]:
    driver = next(name for name, kind in _DRIVERS.items() if kind == request.kind and name)
    which: dict[str, Any] = {"device_ids": [*request.ids]} if request.ids else {"count": request.count}
    if request.count == ALL:
        which = {"count": "all"}
    return {"driver": driver, **which, "capabilities": ["gpu"]}


def docker_words(requests: tuple[DeviceRequest, ...]) -> list[str]:
    """The values of `--gpus`."""
    found = []
    for request in requests:
        words = _words(request)
        parts = [f"driver={words['driver']}"]
        parts += [f'"device={",".join(request.ids)}"'] if request.ids else [f"count={words['count']}"]
        found.append(",".join(parts))
    return found
