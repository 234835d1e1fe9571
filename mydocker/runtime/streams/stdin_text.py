"""A text as the standard input of the command."""

from __future__ import annotations

import os


def be_standard_input(text: str) -> None:
    """Make TEXT descriptor 0: a file in memory, as a pipe holds 64 KiB and then waits for a reader."""
    source = os.memfd_create("stdin")
    rest = memoryview(text.encode(errors="surrogateescape"))
    while rest:
        rest = rest[os.write(source, rest) :]
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
