"""JSON text from a registry or from the store: untrusted bytes in, plain values of known types out.

Decodes with the scanner of the C accelerator alone: the `json` package also imports `re`, which costs a third of a
warm start. Strict as RFC 8259 is: no NaN, no trailing text, UTF-8 only. Of a key given twice the last counts, as in Go.
"""

from __future__ import annotations

from mydocker.errors import ImageError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIMIT = 4 << 20  # distribution-spec "Pulling manifests": registries should accept manifests of at least 4 MiB
_SPACE = " \t\n\r"  # RFC 8259 section 2; str.strip() alone takes more


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class _Rules:
    """What the C scanner asks of a `json.JSONDecoder`; `array_hook` since Python 3.15."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)


def _scanner() -> Callable[[str, int], tuple[object, int]]:
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter without the accelerator
        import json

        return json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
    scanner: Callable[[str, int], tuple[object, int]] = make_scanner(_Rules)  # type: ignore[arg-type]  # typeshed wants the class itself
    return scanner


def loads(raw: bytes, what: str) -> object:
    """The value that RAW, at most 4 MiB of JSON, holds. Raises ImageError, naming WHAT, for anything else."""
    if len(raw) > LIMIT:
        raise ImageError(f"{what}: larger than {LIMIT >> 20} MiB")
    try:
        text = raw.decode("utf-8").strip(_SPACE)
        value, end = _scanner()(text, 0)
    except StopIteration:
        raise ImageError(f"{what}: not JSON: a value is missing or malformed") from None
    except RecursionError:
        raise ImageError(f"{what}: not acceptable JSON: nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError too
        raise ImageError(f"{what}: not JSON: {error}") from None
    if end != len(text):
        raise ImageError(f"{what}: not JSON: text after the end of the value")
    return value


def mapping(value: object, what: str) -> dict[str, Any]:
    """VALUE as a JSON object; null is an empty one, as it is to Go's decoder."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(value, what, "an object")
    return value


def array(value: object, what: str) -> list[Any]:
    """VALUE as a JSON array; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(value, what, "an array")
    return value


def string(value: object, what: str) -> str:
    """VALUE as a string; null is the empty one. A lone surrogate (`\\ud800`) is no text and cannot be printed."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(value, what, "a string")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ImageError(f"{what}: not Unicode text")
    return value


def natural(value: object, what: str) -> int:
    """VALUE as an integer from 0 to 2^63-1, the range of the specification's sizes (int64)."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(value, what, "an integer")
    if not 0 <= value < 1 << 63:
        raise ImageError(f"{what}: {'negative' if value < 0 else 'too large'}")
    return value


def _wrong(value: object, what: str, wanted: str) -> ImageError:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return ImageError(f"{what}: expected {wanted}, not {names.get(type(value), 'a number')}")
