"""YAML as such: whatever a file holds, it ends in specs or in our own error, soon and with little memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydocker.errors import MydockerError, SpecError
from mydocker.spec.container import ContainerSpec
from mydocker.spec.document import ALIAS_LIMIT, parse_documents
from mydocker.spec.fields import FIELDS
from mydocker.spec.later import LATER_KEYS
from mydocker.spec.load import load_files


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(raw: bytes) -> list[ContainerSpec]:
    Path("spec.yaml").write_bytes(raw)
    return load_files(["spec.yaml"], environ={"V": "v", "HOME": "/home/me"})


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(text.encode())
    return caught.value.problems[0]


def test_aliases_cannot_multiply() -> None:
    """The billion laughs: shared nodes are shared, and there is a bound on their number."""
    bomb = "x-a0: &a0 {k: v}\n" + "".join(
        f"x-a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(10))}}}\n" for n in range(1, 30)
    )
    assert load(f"{bomb}image: alpine".encode())[0].image
    assert "want text, not a mapping" in problem(f"{bomb}image: alpine\nenvironment: *a29")
    many = ", ".join(["*a"] * (ALIAS_LIMIT + 1))
    assert f"more than {ALIAS_LIMIT} aliases" in problem(f"x-a: &a b\nimage: c\nx-b: [{many}]")


_WORDS = "alpine / . ~ 0 -1 :0 no 22:22 1m30s $V ${V:-x} ${ $ host none net bind .:/x a:b /a:/b:O A=1 =x"
_SCALAR = st.sampled_from(
    [*_WORDS.split(), "", "a 'b", "\n", "\x00", "\ud800", "é", "9" * 400, None, True, 1.5, 10**30]
)
_KEY = st.sampled_from(
    [field.key for field in FIELDS] + sorted(LATER_KEYS)[:5] + ["x-a", "<<", "services", "", "comand"]
)
_INNER = st.sampled_from(["type", "source", "target", "path", "required", "bind", "net", "A", "", "A=B", "<<"])
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_INNER, inner, max_size=3)),
    max_leaves=8,
)


def _load_or_refuse(raw: bytes) -> None:
    try:
        specs = load(raw)
    except MydockerError as error:
        assert error.message
        return
    for spec in specs:
        assert (spec.image is None) != (spec.rootfs is None)


@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(_KEY, _VALUE, max_size=5))
def test_any_document_is_a_spec_or_our_error(document: dict[str, Any]) -> None:
    _load_or_refuse(json.dumps({"image": "alpine", **document}).encode())


@settings(max_examples=300, deadline=None)
@given(
    raw=st.one_of(
        st.binary(max_size=40),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.text(alphabet="image: a\n-[]{}&*!|>'\"%@`#,?<\\xuU0 \t", max_size=60).map(str.encode),
    )
)
def test_any_bytes_are_a_spec_or_our_error(raw: bytes) -> None:
    _load_or_refuse(raw)
    documents, found = parse_documents(raw)
    assert all(problem.line > 0 and problem.column > 0 for problem in found)
    assert isinstance(documents, list)
