"""What a layer says of lower ones, where the file system of the store does not show it. Not on the warm path.

An opaque directory has an extended attribute for overlayfs: trusted.overlay.opaque, or user.overlay.opaque in a user
namespace. NFS carries none of the former (RFC 8276 is about user.* alone), other network file systems none at all, and
then files that a layer hides would appear again.
"""

from __future__ import annotations

import errno
import os

from mydocker.errors import ImageError, StoreError
from mydocker.image.tar import tarsplit

_OPAQUE = b".wh..wh..opq"  # OCI image-spec layer.md, "Opaque Whiteout"


def check_marks(layer: str) -> None:
    """Raise StoreError if directory LAYER has opaque directories, and its file system does not tell which."""
    try:
        os.getxattr(layer, "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque")
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP and _has_opaque(layer):
            raise StoreError(
                f"{layer} hides directories of lower layers, which its file system cannot say to overlayfs",
                hint="keep the store on a local disk, and the image as a file for other machines: mydocker save",
            ) from None


def _has_opaque(layer: str) -> bool:
    """Whether LAYER has any, as its skeleton says."""
    directory, name = os.path.split(layer)
    try:
        records = tarsplit.records(f"{os.path.dirname(directory)}/skeletons/{name}")
        return any(kind in (tarsplit.HEADERS, tarsplit.BYTES) and _OPAQUE in body for kind, body in records)
    except (OSError, ImageError):  # fsck names what is damaged
        return False
