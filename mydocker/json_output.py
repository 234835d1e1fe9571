"""JSON that any reader takes: what is not UTF-8 in a name or an output is spelled out.

It is ASCII without DEL, and has two hashes as an escape: it commands neither a terminal nor the runner of a CI job, see
untrusted.py.
"""

from __future__ import annotations

import json

from mydocker.errors import readable


def dump(value: object, *, indent: int | None = None, compact: bool = False) -> str:
    """VALUE as JSON, on one line unless INDENT is set; COMPACT: without blanks, as Go writes it.

    Python has a byte that is not UTF-8 as a lone surrogate (PEP 383), which RFC 8259 calls unpredictable: here it is
    the text `\\xff`.
    """
    text = json.dumps(_readable(value), indent=indent, separators=(",", ":") if compact else None)
    return text.replace("##", "\\u0023\\u0023").replace("\x7f", "\\u007f")


def _readable(value: object) -> object:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable(key) if isinstance(key, str) else key: _readable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    return value
