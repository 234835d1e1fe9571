"""The C library, through the core of ctypes: functions by name, and the few C types that system calls take.

`import ctypes` costs a start a millisecond more: it is a module of Python around `_ctypes`, which declares every type
that C has. A function takes integers (as C int), bytes, None (NULL) and values of the types below, returns a C int, and
keeps `errno` for `get_errno`.
"""

from __future__ import annotations

from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_USE_ERRNO,
    CFuncPtr,
    _SimpleCData,
    addressof,
    byref,
    dlopen,
    get_errno,
    sizeof,
)

__all__ = ["Int", "Long", "UnsignedInt", "UnsignedLong", "addressof", "byref", "function", "get_errno", "sizeof"]


class Int(_SimpleCData):  # type: ignore[type-arg]  # it takes no parameter when run; so below
    _type_ = "i"


class UnsignedInt(_SimpleCData):  # type: ignore[type-arg]
    """32 bits on every supported architecture."""

    _type_ = "I"


class Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class UnsignedLong(_SimpleCData):  # type: ignore[type-arg]
    """64 bits on every supported architecture, as is size_t."""

    _type_ = "L"


class _Function(CFuncPtr):
    """Keeps the interpreter's lock during the call, as ctypes.PyDLL does: nothing here waits, and clone must not lose
    it."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = Int


class _Program:
    """What this process has loaded: the C library, and the interpreter's own functions."""

    _handle = dlopen(None, 0)  # type: ignore[arg-type]  # NULL is the program itself (dlopen(3))


_FUNCTIONS: dict[str, _Function] = {}  # those that have been looked up


def function(name: str) -> _Function:
    """The C function NAME. AttributeError if there is none."""
    loaded = _FUNCTIONS.get(name)
    if loaded is None:
        loaded = _FUNCTIONS[name] = _Function((name, _Program))  # type: ignore[arg-type]  # it takes any object with _handle
    return loaded
