"""Reading layers as their owner: an ordinary user's have files of ids that only root of a user namespace may read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from mydocker import idmap
from mydocker.errors import ImageError, MydockerError, StoreError
from mydocker.idmap import IdMap

_PIECE = 1 << 20


def stream(ids: IdMap | None, produce: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """The bytes of PRODUCE, called as root of IDS in a process of its own; called here if IDS is None.

    Raises what it raises, an OSError as StoreError. The caller has one thread only.
    """
    if ids is None:
        yield from produce()
        return
    reader, writer = os.pipe()
    complaints, complaining = os.pipe()
    pid = os.fork()
    if pid == 0:
        _produce(ids, produce, writer, complaining)
    os.close(writer)
    os.close(complaining)
    try:
        while piece := os.read(reader, _PIECE):
            yield piece
        with open(complaints, "rb", closefd=False) as report:
            said = report.read()
        if said:
            kind, text = said[:1], said[1:].decode(errors="replace")
            raise ImageError(text) if kind == b"I" else StoreError(text)
    finally:
        os.close(reader)
        os.close(complaints)
        os.waitpid(pid, 0)


def _produce(ids: IdMap, produce: Callable[[], Iterator[bytes]], writer: int, complaining: int) -> None:
    text = b""
    try:
        idmap.enter(ids)
        for piece in produce():
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(writer, rest) :]
    except BrokenPipeError:
        pass  # nobody wants the rest
    except MydockerError as error:
        text = b"I" + error.message.encode(errors="replace")
    except BaseException as error:  # nothing may return into the caller's copy of the program
        text = b"S" + repr(error).encode(errors="replace")
    finally:
        os.write(complaining, text[:4096])
        os._exit(0)
