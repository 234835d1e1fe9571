"""Records as JSON: what is read without the module `json` is what that reads."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mydocker.services.containers import ContainerConfig, Summary
from mydocker.specs import as_json
from mydocker.specs.model import ContainerSpec

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_json_is_read_as_python_reads_it(value: object) -> None:
    text = json.dumps(value)
    assert as_json.parse(text) == json.loads(text) == value
    assert as_json.parse(f"{text} \n\t") == value


def test_what_is_beyond_the_grammar() -> None:
    assert math.isnan(as_json.parse("NaN")) and as_json.parse("[Infinity, -Infinity]") == [math.inf, -math.inf]
    assert as_json.parse('"\\udcff"') == "\udcff"


@pytest.mark.parametrize("text", ["", " ", "{", "[1,", '{"a"}', "nul", "1 2", "{} x", '"a', '{"a": 1', "\x00", "'a'"])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError):
        as_json.parse(text)


def test_what_is_too_deep() -> None:
    with pytest.raises((ValueError, RecursionError)):
        as_json.parse("[" * 200_000)
    with pytest.raises(ValueError, match="not a Summary"):
        as_json.some_of(
            '{"": "ContainerConfig", "labels": ' + '{"": "()", "items": [' * 900 + "]}" * 900 + "}", Summary
        )


def test_some_of_the_fields_of_a_record() -> None:
    config = ContainerConfig(
        id="a" * 64,
        name="web",
        created=1.5,
        spec=ContainerSpec(name="web"),
        image="alpine",
        command=("sh", "-c", "a\udcff"),
        labels={"k": "v"},
        ports=("80/tcp",),
        owner="1 2 3",
    )
    summary = as_json.some_of(as_json.dumps(config), Summary)
    assert summary == Summary(**{name: getattr(config, name) for name in Summary.fields})
    assert (summary.short_id, summary.title) == ("a" * 12, "web")


@pytest.mark.parametrize("text", ["[]", "1", "{}", '{"id": {"": "Reference"}}', '{"id": {}}', "null"])
def test_another_value_is_no_record(text: str) -> None:
    with pytest.raises(ValueError, match="not a Summary"):
        as_json.some_of(text, Summary)
