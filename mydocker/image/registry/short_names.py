"""Short-name aliases: containers-registries.conf(5), "Short-Name Aliasing".

A name without a registry goes in, and the full name comes out that an `[aliases]` table has for it. A name without an
alias is Docker Hub's, as it is to `docker run`: `short-name-mode` and `unqualified-search-registries` are not read.
Reading these files costs more than a start of a container, so the store is searched first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mydocker import paths
from mydocker.errors import UsageError
from mydocker.image.registry import registries_conf
from mydocker.record import Record
from mydocker.reference import Reference

_RECORDED = "containers/short-name-aliases.conf"  # where Podman writes what its user chose; it has precedence
_CACHE_OF_ROOT = "/var/cache"


class Alias(Record):
    """The short name `name` stands for `reference`, says the file `path`."""

    name: str
    reference: Reference
    path: str

    def __str__(self) -> str:
        return f"{self.name}: an alias of {self.reference.familiar} in {self.path}"


def resolved(reference: Reference, *, environ: Mapping[str, str]) -> Reference:
    """The name that REFERENCE is an alias of, or itself. ImageError for a file that is wrong."""
    alias = find(reference, environ=environ)
    return alias.reference if alias else reference


def find(reference: Reference, *, environ: Mapping[str, str]) -> Alias | None:
    """What REFERENCE is an alias of, with its tag and digest: None if that is Docker Hub's image of this name, or
    there is no alias. ImageError for a file that is wrong."""
    name = reference.short_name
    full, origin = None, ""
    for path in _files(environ) if name else ():
        with registries_conf.explained(path):
            aliases = _aliases(registries_conf.read(path))
        if name in aliases:
            full, origin = aliases[name], path
    found = full.replace(tag=reference.tag, digest=reference.digest) if full else reference
    return None if found == reference else Alias(name=name, reference=found, path=origin)


def _files(environ: Mapping[str, str]) -> list[str]:
    cache = paths.xdg(environ, "XDG_CACHE_HOME") or os.path.join(paths.home(environ), ".cache")
    recorded = os.path.join(cache if os.geteuid() else _CACHE_OF_ROOT, _RECORDED)
    return [*registries_conf.files(environ), *([recorded] if os.path.exists(recorded) else [])]


def _aliases(document: Mapping[str, object]) -> dict[str, Reference | None]:
    """The table of aliases in DOCUMENT; an empty name in it cancels an alias of an earlier file."""
    table = document.get("aliases", {})
    if not isinstance(table, dict):
        raise ValueError("aliases must be a table: [aliases]")
    return {name: _value(name, value) for name, value in table.items()}


def _value(name: str, value: object) -> Reference | None:
    if _repository(name).short_name != name:
        raise ValueError(f"alias {name!r}: expected a short name, without registry, tag and digest")
    if value == "":
        return None
    full = _repository(value) if isinstance(value, str) else None
    if full is None or full.short_name or full.location:
        raise ValueError(f"alias {name!r}: expected a name with its registry, without tag and digest, not {value!r}")
    return full


def _repository(text: str) -> Reference:
    """TEXT, which has neither a tag nor a digest. ValueError if it is no such name."""
    try:
        found = Reference.parse(text)
    except UsageError as error:
        raise ValueError(f"alias {text!r}: {error.message}") from None
    if found.digest or ":" in text.rpartition("/")[2] or text.startswith("docker://"):
        raise ValueError(f"alias {text!r}: a name in [aliases] has no tag, digest or scheme")
    return found
