"""containers-registries.conf(5), version 2, and containers-registries.conf.d(5): where an image is really to be
requested for, in which order.

A reference in, endpoints out: the mirrors of the table with the longest matching prefix, then its location. Without a
file, or a matching table, the reference's own registry. Short names: see short_names.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mydocker import paths
from mydocker.errors import ImageError
from mydocker.record import Record
from mydocker.reference import Reference

_SYSTEM = "/etc/containers/registries.conf"


class Endpoint(Record):
    """A repository on a server: `host` is `name[:port]`; `insecure` allows http and certificates of nobody."""

    host: str
    repository: str
    insecure: bool = False


class _Found(Record):
    """A [[registry]] table, the prefix of names that it is for, and the file that has it."""

    prefix: str
    path: str
    table: dict[str, Any]


def endpoints(reference: Reference, *, environ: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Where to look for REFERENCE, the first to be tried first. ImageError if the file is wrong or blocks the image."""
    found = _matching(_in_force(environ), str(reference))
    if found is None:
        return (Endpoint(host=reference.registry, repository=reference.repository),)
    prefix, table = found.prefix, found.table
    if _flag(table, "blocked"):
        raise ImageError(
            f"image {reference.familiar}: blocked by {found.path}", hint=f"its table is that of {prefix!r}"
        )
    sources = [mirror for mirror in _tables(table, "mirror") if _serves(mirror, table, reference)]
    return tuple(_endpoint(source, prefix, reference) for source in [*sources, table])


def files(environ: Mapping[str, str]) -> list[str]:
    """The files in force: $CONTAINERS_REGISTRIES_CONF, or the user's, or the system's; then those in the system's
    directory, unless the user's file was the first, and in the user's. What one says of a prefix replaces what an
    earlier one said."""
    config = paths.xdg_or_home(environ, "XDG_CONFIG_HOME", ".config")
    place = os.path.join(config, "containers/registries.conf")
    named = environ.get("CONTAINERS_REGISTRIES_CONF")
    if not named and os.path.exists(place):
        return [place, *_dropped(place)]
    first = [named] if named else [path for path in (_SYSTEM,) if os.path.exists(path)]
    return [*first, *_dropped(_SYSTEM), *_dropped(place)]


def _dropped(path: str) -> list[str]:
    directory = f"{path}.d"
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ImageError(f"cannot read {directory}: {error.strerror}") from None
    found = [os.path.join(directory, name) for name in names if name.endswith(".conf")]
    return [path for path in found if os.path.isfile(path)]


def _in_force(environ: Mapping[str, str]) -> dict[str, _Found]:
    """The tables by prefix. Of several in one file, the first counts."""
    found: dict[str, _Found] = {}
    for path in files(environ):
        for table in reversed(_read(path)):
            prefix = _text(table, "prefix") or _text(table, "location")
            found[prefix] = _Found(prefix=prefix, path=path, table=table)
    return found


def _read(path: str) -> list[dict[str, Any]]:
    with explained(path):
        document = read(path)
        if "registries" in document:
            raise ValueError("version 1 of the format is not supported; write [[registry]] tables")
        tables = _tables(document, "registry")
        for table in tables:
            _check(table)
    return tables


def read(path: str) -> dict[str, Any]:
    """What the file PATH says. OSError, ValueError or RecursionError if it cannot be read."""
    with open(path, "rb") as file:
        return tomllib.loads(file.read().decode("utf-8-sig"))  # Go's reader passes over a byte order mark, too


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of reading the file PATH, and of what it says, become ImageErrors that name it."""
    try:
        yield
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ImageError(f"{path}: {error}", hint="see containers-registries.conf(5)") from None


def _check(table: dict[str, Any]) -> None:
    """Raise ValueError for a table that cannot be used, also if this image does not need it."""
    if not (_text(table, "prefix") or _text(table, "location")):
        raise ValueError("a [[registry]] table has neither prefix nor location")
    _check_location(table, "prefix")
    _check_location(table)
    for flag in ("blocked", "insecure", "mirror-by-digest-only"):
        _flag(table, flag)
    for mirror in _tables(table, "mirror"):
        _check_location(mirror)
        _flag(mirror, "insecure")
        if not _text(mirror, "location"):
            raise ValueError("a [[registry.mirror]] table has no location")
        if _text(mirror, "pull-from-mirror") not in ("", "all", "digest-only", "tag-only"):
            raise ValueError("pull-from-mirror is one of all, digest-only, tag-only")


def _check_location(table: dict[str, Any], key: str = "location") -> None:
    text = _text(table, key)
    if "@" in text and key == "location":  # which is not repeated: every error of the registry would show a password
        raise ValueError("a location has no user name or password; 'mydocker login' keeps them")
    scheme, separator, _ = text.partition("://")
    if separator:
        insecure = " and set insecure = true" if scheme == "http" else ""
        raise ValueError(f"a {key} has no scheme: leave out '{scheme}://'{insecure}")
    if not text.isprintable() or " " in text:
        raise ValueError(f"{key} {text!r} is no name of a registry")


def _matching(tables: Mapping[str, _Found], name: str) -> _Found | None:
    """That of the longest prefix of NAME."""
    fitting = [prefix for prefix in tables if _matched(prefix, name)]
    return tables[max(fitting, key=len)] if fitting else None


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
