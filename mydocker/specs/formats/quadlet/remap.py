"""`RemapUsers=` and its ids, the names that UserNS and UIDMap had in Podman 4."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.quadlet.context import Context, resolve
from mydocker.specs.formats.quadlet.unit_files import last
from mydocker.specs.nodes.node import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.formats.quadlet.unit_files import Settings
    from mydocker.specs.nodes.unit_file import Setting

REMAP = ("RemapUsers", "RemapUid", "RemapGid", "RemapUidSize")


def remap(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The old names of UserNS and UIDMap: RemapUsers is `manual`, `auto` or `keep-id`, and its ids have keys of their
    own."""
    key, others = settings[-1].key.text, context.settings
    if any(others.get(name) for name in ("UserNS", "UIDMap", "GIDMap", "SubUIDMap", "SubGIDMap")):
        context.reader.refuse(settings[-1].key, f"{key} is an old name: leave it out, next to UserNS and UIDMap")
    mode = last(others, "RemapUsers")
    if key != "RemapUsers":
        if mode == "manual" and key != "RemapUidSize":
            name = {"RemapUid": "uidmap", "RemapGid": "gidmap"}[key]
            yield from ((name, text_at(each.value, resolve(each, context))) for each in settings)
        return
    if mode == "no":
        return
    if mode not in ("manual", "auto", "keep-id"):
        context.reader.refuse(
            settings[-1].value, f"RemapUsers={mode} is not supported: expected auto, keep-id or manual"
        )
    elif mode != "manual":
        yield "userns_mode", text_at(settings[-1].value, _userns(mode, others))


def _userns(mode: str, others: Settings) -> str:
    names = {"RemapUid": "uidmapping", "RemapGid": "gidmapping", "RemapUidSize": "size"}
    if mode == "keep-id":
        names = {"RemapUid": "uid", "RemapGid": "gid"}
    options = [f"{name}={each.text}" for key, name in names.items() for each in others.get(key, ())]
    return ":".join(filter(None, (mode, ",".join(options))))
