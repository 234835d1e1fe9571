"""`--filter KEY=VALUE` of the commands about networks, as Docker has it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mydocker.errors import UsageError
from mydocker.nearest import did_you_mean
from mydocker.runtime.network import DEFAULT, Network

_TYPES = {"custom": False, "builtin": True}


def add_filter(parser: argparse.ArgumentParser, keys: Sequence[str], *flags: str) -> None:
    """The option, for KEYS of label, name, id, driver and type; FLAGS are other spellings."""
    parser.set_defaults(filter_keys=keys)
    text = f"only those that match: {', '.join(keys)}; may be repeated"
    parser.add_argument(*flags, "--filter", action="append", default=[], metavar="KEY=VALUE", help=text)


def matching(networks: Sequence[Network], options: argparse.Namespace) -> list[Network]:
    """Those of NETWORKS that each key of the filters lets pass. Of several values of one key one suffices; labels are
    all needed."""
    filters = [_parsed(word, options.filter_keys) for word in options.filter]
    wanted: dict[str, list[str]] = {}
    for key, value in filters:
        wanted.setdefault(key if "label" not in key else f"{key} {value}", []).append(value)
    return [
        network
        for network in networks
        if all(any(_matches(network, key.split()[0], value) for value in values) for key, values in wanted.items())
    ]


def _parsed(word: str, keys: Sequence[str]) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if key == "label!" and "label" in keys:
        return key, value
    if not equals or key not in keys:
        raise UsageError(
            f"--filter {word!r}: unknown key {key!r}" + did_you_mean(key, keys),
            hint=f"expected KEY=VALUE, with one of the keys {', '.join(keys)}",
        )
    if key == "type" and value not in _TYPES:
        raise UsageError(f"--filter {word!r}: expected type=custom or type=builtin")
    return key, value


def _matches(network: Network, key: str, value: str) -> bool:
    if key in ("label", "label!"):
        name, equals, text = value.partition("=")
        has = name in network.labels and (not equals or network.labels[name] == text)
        return has if key == "label" else not has
    if key == "type":
        return _TYPES[value] is (network.name == DEFAULT)
    if key == "driver":
        return value == "bridge"
    return value in network.name if key == "name" else network.id.startswith(value)
