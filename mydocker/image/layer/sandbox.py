"""A process that unpacks a stranger's archive can write one directory, whatever the archive makes it do.

Every mount it sees is made read-only but that directory, which is mounted on itself; it has no network. The kernel
keeps to that whatever names, links and bugs there are (CVE-2019-14271, CVE-2024-24579 and their kin are bugs of
unpackers that were trusted instead). A hard link to a file outside is EXDEV: it would cross mounts (link(2)).
"""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS

# capabilities(7), by number: what restoring owners, modes, device nodes and file capabilities takes
_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _MKNOD, _SETFCAP = 0, 1, 3, 4, 27, 31
_KEPT = sum(1 << number for number in (_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _MKNOD, _SETFCAP))


def confine(directory: str, *, ids: IdMap | None) -> None:
    """For the rest of this process's life only what is below DIRECTORY, now its working directory, can be written.

    Takes root's CAP_SYS_ADMIN, or as an ordinary user IDS, those of a user namespace in which root is that user.
    OSError, HostError.
    """
    if ids is not None:
        idmap.enter(ids)
    idmap.unshare(_NAMESPACES)
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_PRIVATE)
    layer = kernel.clone_tree(directory)
    kernel.set_attributes(layer, kernel.ATTR_NOSUID | kernel.ATTR_NODEV)
    everything = os.open("/", os.O_PATH)
    kernel.set_attributes(everything, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV, recursive=True)
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    kernel.attach(layer, place)
    os.chdir(directory)  # by name: what is mounted there, not what is below
    for descriptor in (layer, everything, place):
        os.close(descriptor)


def drop_capabilities() -> None:
    """Leave to this process only what unpacking takes: no `trusted.*` attribute, no mount."""
    kernel.set_capabilities(kernel.get_capabilities() & _KEPT)
