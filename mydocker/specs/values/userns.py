"""User namespaces by the words of `podman run --userns` and `--uidmap`."""

from __future__ import annotations

import re

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

_LIMIT = 2**32 - 2
_MAPPING = re.compile(r"[+ugUG]*@?[0-9]+:@?[0-9]+(:[0-9]+)?\Z")
MODES = {  # and the options of each
    "host": (),
    "keep-id": ("uid", "gid", "size"),
    "auto": ("uidmapping", "gidmapping", "size"),
    "nomap": (),
    "private": (),
}


def parse_mode(text: str) -> str:
    """MODE[:NAME=VALUE,…], in its canonical form."""
    mode, _, rest = (text or "host").partition(":")
    if mode not in MODES:
        raise UsageError(f"{mode!r}: expected {', '.join(MODES)}")
    for word in rest.split(",") if rest else ():
        name, _, value = word.partition("=")
        if name not in MODES[mode]:
            known = f"expected {', '.join(MODES[mode])}" if MODES[mode] else f"{mode} takes none"
            raise UsageError(f"option {name!r} of {mode}: {known}")
        if name.endswith("mapping"):
            parse_mapping(value)
        elif whole_number(value, _LIMIT) is None:
            raise UsageError(f"{word!r}: expected a number")
    return f"{mode}:{rest}" if rest else mode


def mode_options(mode: str) -> list[tuple[str, str]]:
    """The options of a mode of `parse_mode`, as (name, value)."""
    pairs = (word.partition("=") for word in mode.partition(":")[2].split(",") if word)
    return [(name, value) for name, _, value in pairs]


def kept_ids(mode: str) -> tuple[int | None, int | None]:
    """The user and group that the caller is inside, of a `keep-id` mode; None: the caller's own number."""
    options = dict(mode_options(mode))
    return tuple(int(options[name]) if name in options else None for name in ("uid", "gid"))  # type: ignore[return-value]


def parse_mapping(text: str) -> str:
    """CONTAINER:HOST:COUNT, as it is."""
    if not _MAPPING.match(text):
        raise UsageError(f"id mapping {text!r}: expected CONTAINER:HOST:COUNT, such as 0:100000:65536")
    return text


def parse_idmap(text: str) -> str:
    """`uids=A-B-N#…;gids=…` of an idmapped mount (podman-run(1), --volume), as it is; empty text is the map of the
    container. Raises UsageError."""
    if text:
        mount_mapping(text)
    return text


def mount_mapping(text: str) -> IdMap:
    """The map: N ids of the file system from A on appear as those from B on. The ids that are not named have none, and
    without `gids` these are those of `uids`."""
    from mydocker.idmap import Extent, IdMap

    found: dict[str, tuple[Extent, ...]] = {}
    for part in text.split(";"):
        name, _, ranges = part.partition("=")
        numbers = [word.split("-") for word in ranges.split("#")]
        if name not in ("uids", "gids") or name in found or not all(len(each) == 3 for each in numbers):
            raise UsageError(f"idmap {text!r}: expected uids=A-B-N;gids=A-B-N, such as uids=0-1000-1;gids=0-1000-1")
        if ranges.startswith("@"):
            raise UsageError(f"idmap {text!r}: '@' is not supported: write the numbers of the host")
        triples = [[whole_number(word, _LIMIT) for word in each] for each in numbers]
        if any(number is None for each in triples for number in each):
            raise UsageError(f"idmap {text!r}: expected numbers")
        found[name] = tuple(Extent(inside=a, outside=b, count=n) for a, b, n in triples)  # type: ignore[arg-type]
    users = found.get("uids") or found["gids"]
    return IdMap(users=users, groups=found.get("gids") or users)
