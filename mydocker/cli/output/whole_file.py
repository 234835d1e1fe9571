"""The file of an option `--output`."""

from __future__ import annotations

import os

from mydocker.errors import HostError
from mydocker.kernel.disk import replace_file
from mydocker.paths import stream, usable


def write_output(path: str, text: str) -> None:
    """Put TEXT into the file of an option `--output`; what is no regular file, such as a pipe, is written to. Raises
    HostError."""
    try:
        descriptor = stream(usable(path))
        if descriptor is not None or (os.path.exists(path) and not os.path.isfile(path)):
            with open(path if descriptor is None else descriptor, "w", closefd=descriptor is None) as file:
                file.write(text)
        else:
            replace_file(os.path.realpath(path), text)
    except OSError as error:
        raise HostError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
