"""YAML as such: whatever a file holds, it ends in specs or in our own error, soon and with little memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydocker.errors import MydockerError, SpecError
from mydocker.specs.fields import FIELDS
from mydocker.specs.load.load import load_files
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.unsupported import UNSUPPORTED_KEYS
from mydocker.specs.nodes import yaml
from mydocker.specs.nodes.yaml import COPY_LIMIT, DEPTH_LIMIT, parse_documents


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(raw: bytes) -> list[CaseSpec]:
    Path("spec.yaml").write_bytes(raw)
    return load_files(["spec.yaml"], environ={"V": "v", "HOME": "/home/me"})


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(text.encode())
    return caught.value.problems[0]


def _bomb(entry: str, times: int, levels: int) -> str:
    """Anchors a0, a1, …: each holds the one before it TIMES over, in an ENTRY of a list or a mapping."""
    lines = ["x-a0: &a0 {have-prefix: k}"]
    for level in range(1, levels):
        inner = ", ".join(entry.format(number=number, alias=f"*a{level - 1}") for number in range(times))
        lines.append(f"x-a{level}: &a{level} " + (f"[{inner}]" if ":" not in entry else f"{{{inner}}}"))
    return "\n".join([*lines, "image: alpine\n"])


@pytest.mark.parametrize(
    "where",
    [
        "environment: *a",
        "x-here: *a",
        "expect: {stdout: {and: *a}}",
        "expect: {stdout: {gjson: {a: {equal: *a}}}}",
        "expect: {files: *a}",
        "matrix: *a",
    ],
)
@pytest.mark.parametrize("entry", ["{alias}", "k{number}: {alias}"])
def test_aliases_cannot_multiply(where: str, entry: str) -> None:
    """The billion laughs, wherever it is put: what aliases stand for is counted, and has a bound."""
    began = time.process_time()
    assert f"stand for more than {COPY_LIMIT} nodes" in problem(f"{_bomb(entry, 10, 9)}{where}8\n")
    assert time.process_time() - began < 10


def test_aliases_cannot_nest_without_end() -> None:
    """One in each, and so few in all: their depth is that of the document with all of them replaced."""
    bomb = _bomb("not: {alias}", 1, 400)
    assert f"nested more than {DEPTH_LIMIT} deep" in problem(f"{bomb}expect: {{stdout: *a399}}\n")
    some = _bomb("not: {alias}", 1, 50)
    assert load(f"{some}expect: {{stdout: *a49}}\n".encode())[0].expect


def test_many_aliases_of_little_are_honest() -> None:
    text = f"x-a: &a {{A: b, C: d}}\nimage: a\nx-b: [{', '.join(['*a'] * 5000)}]\nenvironment: {{<<: *a, E: f}}\n"
    assert load(text.encode())[0].container.environment == {"E": "f", "A": "b", "C": "d"}


_WORDS = "alpine / . ~ 0 -1 :0 no 22:22 1m30s $V ${V:-x} ${ $ host none net bind .:/x a:b /a:/b:O A=1 =x"
_SCALAR = st.sampled_from(
    [*_WORDS.split(), "", "a 'b", "\n", "\x00", "\ud800", "é", "9" * 400, None, True, 1.5, 10**30]
)
_KEY = st.sampled_from(
    [field.key for field in FIELDS] + sorted(UNSUPPORTED_KEYS)[:5] + ["x-a", "<<", "services", "", "comand"]
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
        assert (spec.container.image is None) != (spec.container.rootfs is None)


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
    assert all(problem.origin.line > 0 and problem.origin.column > 0 for problem in found)
    assert isinstance(documents, list)


@pytest.mark.parametrize(
    "text",
    [
        "image:\talpine\n",
        "image: \talpine\t\n",
        "image\t:\talpine\t# a comment\n",
        "image:\t'alpine'\t\n",
        "image:\t&i alpine\n",
        "image: >-\n  alpine\n",
        "image:\t>-\n  alpine\n",
        "\t\nimage: alpine\n \t\n\t# a comment\n",
        '{\n\t"image":\t"alpine"\t\n}\n',
        "---\t\nimage: alpine\n",
    ],
)
def test_tabs_are_white_space_where_nothing_is_indented(text: str) -> None:
    [spec] = load(f"{text}".encode())
    assert str(spec.container.image) == "docker.io/library/alpine:latest"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\tb", "a\tb"),
        ("a \t b\t", "a \t b"),
        ("'a\tb'", "a\tb"),
        ("|-\n    a\tb\n", "a\tb"),
        ("a\t#b", "a"),
        ("a#\tb", "a#\tb"),
    ],
)
def test_tabs_within_a_value_are_part_of_it(text: str, value: str) -> None:
    [spec] = load(f"image: alpine\nlabels:\n  k:\t{text}\n".encode())
    assert spec.container.labels == {"k": value}


@pytest.mark.parametrize("text", ["\timage: a\n", "labels:\n\ta: b\n", "labels:\n  a: b\n\tc: d\n", "dns:\n- \ta: b\n"])
def test_tabs_do_not_indent(text: str) -> None:
    assert "a tab where only spaces may indent" in problem(text)


_MARK = "\ufeff"


@pytest.mark.parametrize(
    "text",
    [
        f"{_MARK}image: a\n---\n{_MARK}image: b\n",
        f"{_MARK}image: a\n{_MARK}---\nimage: b\n",
        f"{_MARK}{_MARK}image: a\n---\n{_MARK}{_MARK}# comment\nimage: b\n",
        f"{_MARK}---\nimage: a\n...\n{_MARK}---\nimage: b\n",
    ],
)
def test_each_document_of_a_stream_may_begin_with_a_mark(text: str) -> None:
    assert [str(spec.container.image) for spec in load(text.encode())] == [
        f"docker.io/library/{name}:latest" for name in "ab"
    ]


def test_a_mark_within_a_text_is_a_letter_of_it() -> None:
    [spec] = load(f"image: a\nlabels: {{k: 'a{_MARK}b'}}\n".encode())
    assert spec.container.labels == {"k": f"a{_MARK}b"}


def test_an_anchor_of_another_document_is_named_as_such() -> None:
    words = problem("x-a: &base {image: a}\nimage: a\n---\nimage: b\n---\n<<: *base\n")
    assert words == (
        "spec.yaml:6:5: alias 'base': its anchor is in document 1 of this file, and documents share none: "
        "extends takes over the keys of another container"
    )
    assert problem("a: *nope\n---\nb: &nope c\n").endswith("alias 'nope' has no anchor before it")


_PIECES = (
    *("a", "b: ", "- ", "\n", "  ", "    ", ":", " ", "{", "}", "[", "]", ",", "?", "? ", "'", '"', "#", " #", "&x "),
    *("*x", "!t ", "!!str ", "|\n", ">\n", "|-\n", ">+2\n", "---\n", "...\n", "%YAML 1.1\n", "\\n", "\\x41", "é", "😀"),
    *("-", "1", "~", "null", "<<: ", "key: ", "http://x", "@", "`", "%", "=", "$", "\\", "\r\n", "''", '""', "- - "),
    *("\t", "\u2028", "\x85", "a: b\n", "  c: d\n", "- e\n", "f: [g, 'h']\n"),
)


@settings(max_examples=1500, deadline=None)
@given(pieces=st.lists(st.sampled_from(_PIECES), max_size=12), end=st.sampled_from(["\n", "\n", ""]))
def test_libyaml_finds_what_the_parser_in_python_finds(pieces: list[str], end: str) -> None:
    """Nodes, their places, and problems. What libyaml refuses, or may see in another way, is not its own to read."""
    text = "".join((*pieces, end))
    fast = yaml._by_libyaml(text, "")
    if fast:
        slow = yaml._Composer("")
        slow.compose(text, yaml._Loader)
        assert (fast.found, fast.problems) == (slow.found, slow.problems)


@pytest.mark.parametrize("text", ["a: b\n", "- {a: [b, 'c']}\n", "a: |\n  x: y\n&b c: *b\n", "---\n{}\n---\na: 1\n"])
def test_usual_files_are_read_by_libyaml(text: str) -> None:
    assert yaml._by_libyaml(text, "") is not None


@pytest.mark.parametrize(
    "text", ["a:\tb\n", "? a\n: b\n", "[a?b]\n", "{a: }\n", "a: b", "a: 'b\n", "a: *b\n", "a: b\u2028"]
)
def test_what_it_reads_in_another_way_is_not_its(text: str) -> None:
    assert yaml._by_libyaml(text, "") is None
