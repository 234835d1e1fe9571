"""JSON from strangers: what is accepted, and that everything else is an ImageError which names its origin."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.places import ROOT

from mydocker.errors import ImageError
from mydocker.image.model import json_input

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_reads_what_json_writes(value: object) -> None:
    assert json_input.loads(json.dumps(value).encode(), "x") == value


@given(st.binary())
def test_arbitrary_bytes_give_a_value_or_an_error(raw: bytes) -> None:
    try:
        json_input.loads(raw, "manifest")
    except ImageError as error:
        assert error.message.startswith("manifest: not JSON")


@pytest.mark.parametrize("raw", [b' {"a": 1}\r\n\t', b'{"a": 2, "a": 1}'])
def test_white_space_and_duplicate_keys(raw: bytes) -> None:
    assert json_input.loads(raw, "x") == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "missing or malformed"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"{} {}", "text after the end"),
        (b"{}\x00", "text after the end"),
        (b"\xef\xbb\xbf{}", "missing or malformed"),
        (b'"\xff"', "utf-8"),
        (b'"\x01"', "control character"),
        (b'{"a":', "missing or malformed|Expecting"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"1" * 5000, "digits"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_refusals(raw: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=f"^index: .*({reason})"):
        json_input.loads(raw, "index")


def test_more_than_there_may_be() -> None:
    test_refusals(b" " * (json_input.LIMIT + 1), "larger than 4 MiB")


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (json_input.mapping, [], "an object, not an array"),
        (json_input.array, {}, "an array, not an object"),
        (json_input.string, 1.5, "a string, not a number"),
        (json_input.string, "\ud800", "not Unicode text"),
        (json_input.natural, True, "an integer, not a boolean"),
        (json_input.natural, 1.0, "an integer, not a number"),
        (json_input.natural, None, "an integer, not null"),
        (json_input.natural, -1, "negative"),
        (json_input.natural, 1 << 63, "too large"),
    ],
)
def test_wrong_types_are_named(read, value: object, wanted: str) -> None:
    with pytest.raises(ImageError, match=f"^config: .*{wanted}"):
        read(value, "config")


def test_imports_neither_json_nor_re() -> None:
    code = """
import sys
from mydocker.image.model.json_input import loads
loads(b"{}", "x")
print({"json", "re"} & set(sys.modules))
"""
    shown = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout == "set()\n"
