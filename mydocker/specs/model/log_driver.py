"""Log drivers: the values of `--log-driver` and `--log-opt`, and the key `logging`, as Compose has it.

A value is a part of a Logging, as a mapping of its fields; `combine` makes a Logging of all parts. The drivers and
their options are Docker's ("Configure logging drivers"); those that mydocker lacks are refused by name.
"""

from __future__ import annotations

from functools import partial

from mydocker.errors import UsageError
from mydocker.nearest import nearest, suggested
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model.parts import Logging
from mydocker.specs.nodes.node import Mapping, Node, is_null
from mydocker.specs.values.size import format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

    Part = dict[str, Any]

DRIVERS = ("json-file", "local", "none")
KEYS = ("driver", "options")
OPTIONS = {"max-size": "max_size", "max-file": "max_file"}
# of Docker's drivers json-file and local: they compress, or add to each line what only its API shows
NO_EFFECT = ("compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size")
FILES_LIMIT = 10_000
_OTHER_DRIVERS = (  # of Docker and Podman
    *("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog"),
    *("k8s-file", "passthrough", "passthrough-tty"),
)


def parse_driver(text: str, scope: Scope) -> Part:
    """The driver; empty text is the default, as for Docker."""
    if not text:
        return {}
    if text not in DRIVERS:
        near = nearest(text, (*DRIVERS, *_OTHER_DRIVERS))
        is_known = text in _OTHER_DRIVERS or near is None
        problem = "is not supported" if is_known else f"is unknown{suggested(near)}"
        raise UsageError(f"log driver {text!r} {problem}", hint=f"use {', '.join(DRIVERS[:-1])} or {DRIVERS[-1]}")
    return {"driver": text}


def parse_option(text: str, scope: Scope) -> Part:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if name in NO_EFFECT:
        return {}
    if name not in OPTIONS:
        raise UsageError(f"log option {name!r} is not supported", hint=f"use {' or '.join(OPTIONS)}")
    if not equals:
        raise UsageError(f"log option {name!r} has no value: expected {name}=VALUE")
    if name == "max-size":
        return {"max_size": _size(value)}
    count = whole_number(value, FILES_LIMIT)
    if not count:
        raise UsageError(f"max-file {value!r}: expected a number from 1 to {FILES_LIMIT}")
    return {"max_file": count}


def _size(text: str) -> int | None:
    """Bytes; -1 is no limit, as for Docker."""
    size = None if text == "-1" else parse_size(text)
    if size == 0:
        raise UsageError("max-size: expected more than 0 bytes")
    return size


def read_logging(node: Node, reader: Reader) -> tuple[Part, ...]:
    """The value of the key: {driver, options}."""
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {' and '.join(KEYS)}")
        return ()
    members = reader.members(node, KEYS)
    before = len(reader.problems)
    found: Part = dict(reader.value(members["driver"], parse_driver) or {}) if "driver" in members else {}
    if len(reader.problems) > before:  # the options are those of that driver
        return (found,)
    for key, options in node.entries:  # several where a Quadlet file has several settings
        if key.text == "options" and not is_null(options):
            found |= _options(options, reader)
    return (found,)


def _options(node: Node, reader: Reader) -> Part:
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {' and '.join(OPTIONS)}")
        return {}
    found: Part = {}
    for key, value in node.entries:
        if key.text in NO_EFFECT:
            reader.warn(key, f"log option {key.text!r} has no effect here")
        elif not is_null(value):
            text = f"{key.text}={reader.text(value) if key.text in OPTIONS else ''}"
            found |= (
                reader.attempt(value if key.text in OPTIONS else key, partial(parse_option, text, reader.scope)) or {}
            )
    return found


def combine(parts: Iterable[Part]) -> Logging:
    """The Logging of PARTS, of which a later one wins. The options belong to a driver: another driver drops them."""
    found: Part = {}
    for part in parts:
        if part.get("driver", found.get("driver")) != found.get("driver", part.get("driver")):
            found = {}
        found |= part
    return Logging(**found)


def contradiction(parts: Iterable[Part]) -> str:
    """Why PARTS cannot be together; empty if they can."""
    logging = combine(parts)
    has_options = logging.max_size is not None or logging.max_file is not None
    return "the log driver none takes no options" if logging.driver == "none" and has_options else ""


def format_logging(logging: Logging) -> dict[str, Any]:
    """The value for the key."""
    options = dict(option.partition("=")[::2] for option in format_options(logging))
    return {"driver": logging.driver} | ({"options": options} if options else {})


def format_options(logging: Logging) -> list[str]:
    """The values of `--log-opt`."""
    size = [] if logging.max_size is None else [f"max-size={format_size(logging.max_size)}"]
    return [*size, *([] if logging.max_file is None else [f"max-file={logging.max_file}"])]
