"""User namespaces by the words of `podman run --userns` and `--uidmap`."""

from __future__ import annotations

import re

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.specs.values import Scope

_LIMIT = 2**32 - 2
_MAPPING = re.compile(r"[+ugUG]*@?[0-9]+:@?[0-9]+(:[0-9]+)?\Z")
MODES = {  # and the options of each
    "host": (),
    "keep-id": ("uid", "gid", "size"),
    "auto": ("uidmapping", "gidmapping", "size"),
    "nomap": (),
    "private": (),
}


def userns_mode(text: str, scope: Scope) -> str:
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
            id_mapping(value, scope)
        elif whole_number(value, _LIMIT) is None:
            raise UsageError(f"{word!r}: expected a number")
    return f"{mode}:{rest}" if rest else mode


def kept_ids(mode: str) -> tuple[int | None, int | None]:
    """The user and group that the caller is inside, of a `keep-id` mode; None: the caller's own number."""
    options = dict(word.split("=", 1) for word in mode.partition(":")[2].split(",") if word)
    return tuple(int(options[name]) if name in options else None for name in ("uid", "gid"))  # type: ignore[return-value]


def id_mapping(text: str, scope: Scope) -> str:
    """CONTAINER:HOST:COUNT, as it is."""
    if not _MAPPING.match(text):
        raise UsageError(f"id mapping {text!r}: expected CONTAINER:HOST:COUNT, such as 0:100000:65536")
    return text
