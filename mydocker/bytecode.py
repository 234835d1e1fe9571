"""Modules of mydocker from their compiled files, without the search that imports of all kinds need.

Python looks for a module in each folder of the path, under each suffix, and opens its file in layers: fifteen system
calls for each of the fifty modules of a warm start. Here it is four, since it is known what there can be: a file of
source, compiled to where Python puts that (PEP 3147), of the same time and size (PEP 552). For whatever is otherwise,
Python looks itself, and compiles it.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery has the same, and is a module more
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

_TIMED = MAGIC_NUMBER + bytes(4)  # the beginning of a compiled file that is checked by time and size
_HEADER = 16
_CHUNK = 65536
_32_BITS = 0xFFFFFFFF


def find_directly() -> None:
    """From now on, this process imports modules of mydocker in this way."""
    if not (sys.flags.optimize or sys.pycache_prefix or _Finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if not path or not name.startswith("mydocker."):
            return None
        folder, last = path[0], name.rpartition(".")[2]
        return _found(name, folder, last) or _found(name, f"{folder}/{last}", "__init__")


def _found(name: str, folder: str, file: str) -> ModuleSpec | None:
    """Module NAME, if it is FILE.py in FOLDER and compiled."""
    compiled = f"{folder}/__pycache__/{file}.{sys.implementation.cache_tag}.pyc"
    source = f"{folder}/{file}.py"
    try:
        descriptor = os.open(compiled, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(descriptor, _CHUNK)
            while len(data) % _CHUNK == 0 and (more := os.read(descriptor, _CHUNK)):
                data += more
        finally:
            os.close(descriptor)
        found = os.stat(source)
    except OSError:
        return None
    is_current = (
        data.startswith(_TIMED)
        and int.from_bytes(data[8:12], "little") == int(found.st_mtime) & _32_BITS
        and int.from_bytes(data[12:_HEADER], "little") == found.st_size & _32_BITS
    )
    if not is_current:
        return None
    is_package = file == "__init__"
    spec = ModuleSpec(name, _Loader(name, source, data), origin=source, is_package=is_package)
    if is_package:
        spec.submodule_search_locations = [folder]
    spec.cached = compiled
    spec.has_location = True
    return spec


class _Loader(SourceFileLoader):
    """That of Python, with the contents of the compiled file, DATA, for the first import."""

    def __init__(self, name: str, path: str, data: bytes) -> None:
        super().__init__(name, path)
        self.data = data

    def get_code(self, name: str) -> CodeType | None:
        data, self.data = self.data, b""
        if not data:
            return super().get_code(name)
        code: CodeType = marshal.loads(memoryview(data)[_HEADER:])
        return code
