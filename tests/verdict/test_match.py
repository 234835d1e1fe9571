"""Each matcher with each kind of value: what holds, what does not, and where a matcher cannot be applied at all, which
is a failure of its own wherever it stands. goss's matchers are the model."""

from __future__ import annotations

import json
import pathlib

import pytest

from mydocker.errors import Origin
from mydocker.runtime.command.outcome import Outcome
from mydocker.specs.load.load import load_files
from mydocker.verdict.finding import Finding, Verdict
from mydocker.verdict.judge import judge


def _judge(tmp_path: pathlib.Path, expect: str, stdout: str, **facts: object) -> Verdict:
    (tmp_path / "x.yaml").write_text(f"image: x\nexpect: {expect}\n", encoding="utf-8")
    (spec,) = load_files([str(tmp_path / "x.yaml")], environ={})
    finding = Finding(outcome=Outcome(exit_code=0), stdout=stdout, facts=facts)
    return judge(spec.replace(container=spec.container.replace(origin=Origin(file="x.yaml", line=1))), finding)


def _matches(tmp_path: pathlib.Path, matcher: str, stdout: str) -> bool:
    return _judge(tmp_path, f"{{stdout: {matcher}}}", stdout).verdict == "passed"


VALUES = {  # of JSON
    "word": '"abc"',
    "numeral": '"15"',
    "version": '"1.2.3"',
    "lines": r'"abc\n15"',
    "number": "15",
    "float": "1.5",
    "true": "true",
    "null": "null",
    "list": '["abc", 15]',
    "words": '["abc", "abd"]',
    "versions": '["1.2.3", "1.3.0"]',
    "mixed": '["abc", null]',
    "empty": "[]",
    "object": '{"a": "abc"}',
}
UNLISTED = "number float true null"
SCALARS = f"word numeral version lines {UNLISTED}"
# matcher -> (the values that it matches, those to which it cannot be applied); all others it does not match
APPLIED = {
    "abc": ("word", "mixed"),
    "'15'": ("numeral number", "mixed"),
    "'true'": ("true", "mixed"),
    "'1.5'": ("float", "mixed"),
    "15": ("numeral number", "word version lines true null list words versions mixed empty object"),
    "1.5": ("float", "word version lines true null list words versions mixed empty object"),
    "true": ("true", ""),
    "null": ("null", ""),
    "[abc]": ("list words mixed object", SCALARS),
    "[abc, abc]": ("", SCALARS),
    "{equal: abc}": ("word", ""),
    "{equal: 15}": ("number", ""),
    "{equal: [abc, 15]}": ("list", ""),
    "{equal: []}": ("empty", ""),
    "{equal: {a: abc}}": ("object", ""),
    "{gt: 10}": ("numeral number", "word version lines true null list words versions mixed empty object"),
    "{ge: 15}": ("numeral number", "word version lines true null list words versions mixed empty object"),
    "{lt: 10}": ("float", "word version lines true null list words versions mixed empty object"),
    "{le: 15}": ("numeral number float", "word version lines true null list words versions mixed empty object"),
    "{have-len: 2}": ("numeral list words versions mixed", UNLISTED),
    "{have-len: 1}": ("object", UNLISTED),
    "{contain-element: abc}": ("word lines list words mixed object", UNLISTED),
    "{contain-element: {gt: 10}}": ("numeral lines list", f"word version {UNLISTED} words versions mixed object"),
    "{contain-elements: [abc, 15]}": ("lines list", f"word version {UNLISTED} words versions mixed object"),
    "{contain-elements: [abc, abc]}": ("", UNLISTED),
    "{match-regexp: ^15$$}": ("numeral lines number list", "null mixed object"),
    "{contain-substring: bc}": ("word lines list words", "null mixed object"),
    "{have-prefix: ab}": ("word lines list words", "null mixed object"),
    "{have-suffix: '5'}": ("numeral lines number float list", "null mixed object"),
    "{have-prefix: tr}": ("true", "null mixed object"),
    "{semver-constraint: ^1}": ("version versions", f"word lines {UNLISTED} list words mixed empty object"),
    "{gjson: {a: abc}}": ("object", " ".join(name for name in VALUES if name != "object")),
}  # fmt: skip  # a table reads best with a case on a line


@pytest.mark.parametrize("matcher", APPLIED)
def test_every_matcher_with_every_value(tmp_path: pathlib.Path, matcher: str) -> None:
    """By itself, and negated: what cannot be applied fails both ways."""
    matched, inapplicable = (set(words.split()) for words in APPLIED[matcher])
    for name, value in VALUES.items():
        document = f'{{"v": {value}}}\n'
        plain = _matches(tmp_path, f"{{gjson: {{v: {matcher}}}}}", document)
        negated = _matches(tmp_path, f"{{gjson: {{v: {{not: {matcher}}}}}}}", document)
        outer = _matches(tmp_path, f"{{not: {{gjson: {{v: {matcher}}}}}}}", document)
        assert (name, plain) == (name, name in matched)
        assert (name, negated, outer) == (name, *(not plain and name not in inapplicable,) * 2)


TEXTS = [  # what cannot be applied to a text
    ("{gjson: {a: 1}}", "it works\n", "no JSON, Expecting value: line 1 column 1 (char 0):\nit works"),
    ("{gjson: {a: 1}}", "", "no JSON, Expecting value: line 1 column 1 (char 0):\nnothing"),
    ("{gjson: {a: 1}}", '{"b": 1}', "a: nothing is there"),
    ("{gjson: {a.b: {gt: 1}}}", '{"a": {"b": "x"}}', "a.b: not a number"),
    ("{gjson: {a: {have-len: 1}}}", '{"a": 1}', "a: 1 has no length"),
    ("{gjson: {a: {contain-element: 1}}}", '{"a": true}', "a: true has no elements"),
    ("{gjson: {a: {have-prefix: x}}}", '{"a": null}', "a: null is not text"),
    ("{gjson: {a: {gjson: {b: 1}}}}", '{"a": 1}', "a: 1 has no members"),
    ("{gjson: {a: 1}}", '{"a": NaN}', "no JSON, NaN is not JSON"),
    ("{gjson: {a: 1}}", '{"a": -Infinity}', "no JSON, -Infinity is not JSON"),
    ("{gt: 1}", "many\n", "not a number:\nmany"),
    ("{ge: 1}", "1_0\n", "not a number:\n1_0"),
    ("{lt: 1}", "٣", "not a number:\n٣"),
    ("{le: 1}", "nan", "not a number:\nnan"),
    ("{gt: 1}", "inf", "not a number:\ninf"),
    ("{gt: 1}", "0x10", "not a number:\n0x10"),
    ("{lt: 1}", "", "not a number:\nnothing"),
    ("{semver-constraint: '>1'}", "latest\n", "not a version:\nlatest"),
    ("{semver-constraint: '>1'}", "1.٣.0", "not a version:\n1.٣.0"),
    ("{contain-element: {gt: 9}}", "5\nx\n", "not a number:\n1: 5\n2: x"),
    ("{contain-elements: [{semver-constraint: ^3}]}", "1.0.0\nx\n", "not a version:\n1: 1.0.0\n2: x"),
]  # fmt: skip  # a table reads best with a case on a line
WRAPPED = (
    "{}",
    "{{not: {}}}",
    "{{and: [[i], {}]}}",
    "{{or: [{}, {{have-len: 9}}]}}",
    "{{not: {{and: [{}, nope]}}}}",
    "{{not: {{and: [nope, {}]}}}}",
    "{{not: {{or: [nope, {}]}}}}",
    "{{not: {{not: {}}}}}",
)


@pytest.mark.parametrize(("matcher", "text", "actual"), TEXTS)
def test_what_cannot_be_applied_to_a_text_is_a_failure_of_its_own(
    tmp_path: pathlib.Path, matcher: str, text: str, actual: str
) -> None:
    """It is said why, and it is a failure in whatever it stands."""
    for wrapped in WRAPPED:
        result = _judge(tmp_path, f"{{stdout: {wrapped.format(matcher)}}}", text)
        assert (wrapped, result.verdict) == (wrapped, "failed")
        assert any(failure.actual.startswith(actual) for failure in result.failures), result.failures


def test_the_first_of_several_that_holds_is_enough(tmp_path: pathlib.Path) -> None:
    """As in goss: those after it are not tried."""
    assert _matches(tmp_path, "{or: [{equal: ok}, {gjson: {status: ok}}]}", "ok\n")
    assert not _matches(tmp_path, "{or: [{gjson: {status: ok}}, {equal: ok}]}", "ok\n")


@pytest.mark.parametrize(
    ("value", "matches", "does_not"),
    [
        ("15", ["15", "'15'", "15.0", "{gt: 14.5}"], ["'15.0'", "16", "'016'"]),
        ("15.0", ["15", "'15'", "15.0"], ["'15.0'"]),
        ('"15"', ["15", "'15'", "15.0", "{le: 15}"], ["16", "{equal: 15}"]),
        ('" 15 "', ["15", "' 15 '"], ["'15'"]),
        ("0.1", ["0.1", "'0.1'", "1e-1"], ["0.2"]),
        ("-3", ["-3", "'-3'", "{lt: 0}"], ["3"]),
        ("1e3", ["1000", "'1000'"], ["'1e3'"]),
        ("12345678901", ["12345678901", "'12345678901'", "'1.2345678901e+10'"], ["12345678902"]),
        ("9007199254740993", ["9007199254740993", "'9007199254740993'"], ["9007199254740992"]),
        ("1e+30", ["1e30", "'1e+30'", "{gt: 1e29}"], ["1e29"]),
        ("9" * 5000, ["{gt: 1e300}", "{match-regexp: .}"], ["1", "'1'"]),
        ("9" * 400, ["{gt: 1e300}", f"'{'9' * 400}'", "{have-prefix: '99'}"], ["1", "'1'", "'inf'"]),
        ("-1" + "0" * 400, ["{lt: -1e300}", "{have-prefix: '-10'}", "{not: x}"], ["'-1e+400'"]),
        ("true", ["true", "'true'"], ["false", "'false'", "{equal: 'true'}", "'True'"]),
        ("false", ["false", "'false'"], ["true", "'0'"]),
        ('"true"', ["'true'", "{equal: 'true'}"], ["true"]),
        ("null", ["null", "{equal: null}", "{not: x}", "{not: true}"], ["x", "'null'", "false"]),
        ('["a", "b", "c"]', ["[a, b]", "[{have-prefix: b}]", "{not: [d]}"], ["[a, d]", "[a, a]", "{equal: [a]}"]),
        ('["a", "a"]', ["[a, a]", "{contain-elements: [a, a]}"], ["[a, a, a]"]),
        ("[1, 2]", ["['1', 2]", "[{gt: 1}, 1]", "[{gt: 0}, {gt: 1}]"], ["[{gt: 1}, {gt: 1}]", "[3]"]),
        ('[["a", "b"], ["c"]]', ["[[a]]", "[[c], [b]]", "[{have-len: 2}]"], ["[[a, c]]"]),
        ('{"x": 1, "y": "z"}', ["[1, z]", "{contain-element: z}", "{gjson: {x: '1', y: z}}"], ["[x]"]),
        ('["a b"]', ["a b", "{have-len: 1}"], ["a"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_values_of_json_compare_as_goss_converts_them(
    tmp_path: pathlib.Path, value: str, matches: list[str], does_not: list[str]
) -> None:
    document = f'{{"v": {value}}}'
    for matcher in matches:
        assert (matcher, _matches(tmp_path, f"{{gjson: {{v: {matcher}}}}}", document)) == (matcher, True)
    for matcher in does_not:
        assert (matcher, _matches(tmp_path, f"{{gjson: {{v: {matcher}}}}}", document)) == (matcher, False)


@pytest.mark.parametrize(
    ("text", "wanted", "good"),
    [
        ("a\nb\n", "[a, b]", True),
        ("a\nb\n", "[a, b, b]", False),
        ("b\na\nb\n", "[a, b, b]", True),
        ("a\nab\n", "[{have-prefix: a}, a]", True),
        ("a\nb\n", "[{have-prefix: a}, a]", False),
        ("ab\na\nabc\n", "[{have-prefix: a}, {have-prefix: ab}, {have-prefix: abc}]", True),
        ("ab\na\nac\n", "[{have-prefix: a}, {have-prefix: ab}, {have-len: 2}]", True),
        ("ab\na\na\n", "[{have-prefix: ab}, {have-len: 2}, a]", False),
    ],
)
def test_each_element_counts_once(tmp_path: pathlib.Path, text: str, wanted: str, good: bool) -> None:
    assert _matches(tmp_path, f"{{contain-elements: {wanted}}}", text) is good


def test_many_elements_are_assigned_in_time(tmp_path: pathlib.Path) -> None:
    """Those that are in the way of the last ones move on, however many."""
    pairs = "".join(f"a{number}\nb{number}\n" for number in range(300))
    chain = [f"{{match-regexp: '^(b{number}|a{number + 1})$$'}}" for number in range(299)]
    lines, alike = "a\n" * 1050 + "ab\n", ["{have-prefix: a}"] * 1050
    assert _matches(tmp_path, f"{{contain-elements: [{', '.join(chain)}, a1, a0]}}", pairs)
    assert not _matches(tmp_path, f"{{contain-elements: [{', '.join(chain)}, a1, a1]}}", pairs)
    assert _matches(tmp_path, f"{{contain-elements: [{', '.join(alike)}, ab]}}", lines)
    assert not _matches(tmp_path, f"{{contain-elements: [{', '.join(alike)}, ab, ab]}}", lines)


SEPARATORS = ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r")


@pytest.mark.parametrize("separator", SEPARATORS)
def test_lines_end_at_line_ends_only(tmp_path: pathlib.Path, separator: str) -> None:
    text = f"a{separator}b\r\nc\n"
    assert not _matches(tmp_path, "{contain-element: a}", text)
    assert not _matches(tmp_path, "{contain-elements: [b]}", text)
    assert _matches(tmp_path, "{contain-elements: [c, " + json.dumps(f"a{separator}b") + "]}", text)
    [failure] = _judge(tmp_path, "{stdout: [nope]}", text).failures
    assert failure.actual.count("\n") == 1, "two lines are shown"
    [failure] = _judge(tmp_path, "{stdout: ['!/b/']}", text).failures
    assert failure.actual.startswith("1: ")


def test_a_list_that_is_empty_is_compared_as_a_whole(tmp_path: pathlib.Path) -> None:
    assert _matches(tmp_path, "{gjson: {v: {equal: []}}}", '{"v": []}')
    assert not _matches(tmp_path, "{gjson: {v: {equal: []}}}", '{"v": [1]}')
