"""containers-registries.conf(5), version 2: where an image is really to be asked for, in which order.

A reference in, endpoints out: the mirrors of the table with the longest matching prefix, then its location. Without a
file, or a matching table, the reference's own registry. Short names and their search lists are not read: `alpine`
is Docker Hub's here, as it is to `docker run`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Any

from mydocker.errors import ImageError
from mydocker.record import Record
from mydocker.reference import Reference

_SYSTEM = "/etc/containers/registries.conf"


class Endpoint(Record):
    """A repository on a server: `host` is `name[:port]`; `insecure` allows http and certificates of nobody."""

    host: str
    repository: str
    insecure: bool = False


def endpoints(reference: Reference, *, environ: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Where to look for REFERENCE, the first to be tried first. ImageError if the file is wrong or blocks the image."""
    path = find(environ)
    table = _matching(_read(path), str(reference)) if path else None
    if table is None:
        return (Endpoint(host=reference.registry, repository=reference.repository),)
    prefix = _text(table, "prefix") or _text(table, "location")
    if _flag(table, "blocked"):
        raise ImageError(f"image {reference.familiar}: blocked by {path}", hint=f"its table is that of {prefix!r}")
    sources = [mirror for mirror in _tables(table, "mirror") if _serves(mirror, table, reference)]
    return tuple(_endpoint(source, prefix, reference) for source in [*sources, table])


def find(environ: Mapping[str, str]) -> str | None:
    """The file in force: $CONTAINERS_REGISTRIES_CONF, else the user's, else the system's; None without any."""
    if named := environ.get("CONTAINERS_REGISTRIES_CONF"):
        return named
    home = environ.get("HOME") or os.path.expanduser("~")
    user = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "containers/registries.conf")
    return next((path for path in (user, _SYSTEM) if os.path.exists(path)), None)


def _read(path: str) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
        if "registries" in document:
            raise ValueError("version 1 of the format is not supported; write [[registry]] tables")
        tables = _tables(document, "registry")
        for table in tables:
            _check(table)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ImageError(f"{path}: {error}", hint="see containers-registries.conf(5)") from None
    return tables


def _check(table: dict[str, Any]) -> None:
    """Raise ValueError for a table that cannot be used, also if this image does not need it."""
    if not (_text(table, "prefix") or _text(table, "location")):
        raise ValueError("a [[registry]] table has neither prefix nor location")
    for flag in ("blocked", "insecure", "mirror-by-digest-only"):
        _flag(table, flag)
    for mirror in _tables(table, "mirror"):
        _flag(mirror, "insecure")
        if not _text(mirror, "location"):
            raise ValueError("a [[registry.mirror]] table has no location")
        if _text(mirror, "pull-from-mirror") not in ("", "all", "digest-only", "tag-only"):
            raise ValueError("pull-from-mirror is one of all, digest-only, tag-only")


def _matching(tables: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    prefixed = [(_text(table, "prefix") or _text(table, "location"), table) for table in tables]
    fitting = [(len(prefix), table) for prefix, table in prefixed if _matched(prefix, name)]
    return max(fitting, key=lambda item: item[0], default=(0, None))[1]


def _matched(prefix: str, name: str) -> int:
    """How many characters of NAME the PREFIX covers, 0 if none; `*.example.com` covers a whole host."""
    if prefix.startswith("*."):
        host = name.partition("/")[0]
        return len(host) if host.endswith(prefix[1:]) else 0
    return len(prefix) if name.startswith(prefix) and name[len(prefix) :][:1] in ("", "/", ":", "@") else 0


def _serves(mirror: dict[str, Any], table: dict[str, Any], reference: Reference) -> bool:
    wanted = _text(mirror, "pull-from-mirror") or "all"
    if _flag(table, "mirror-by-digest-only"):
        wanted = "digest-only"
    return wanted == "all" or (wanted == "digest-only") == (reference.digest is not None)


def _endpoint(source: dict[str, Any], prefix: str, reference: Reference) -> Endpoint:
    name = f"{reference.registry}/{reference.repository}"
    location = _text(source, "location")
    moved = location + name[_matched(prefix, str(reference)) :] if location else name
    host, _, repository = moved.partition("/")
    return Endpoint(host=host, repository=repository, insecure=_flag(source, "insecure"))


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a string")
    return value.rstrip("/")


def _flag(table: dict[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false")
    return value


def _tables(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{key} must be an array of tables: [[{key}]]")
    return value
