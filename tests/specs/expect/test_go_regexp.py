"""Patterns of Go, as Python's: what they find and do not find is what Go's package regexp says."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydocker.errors import UsageError
from mydocker.specs.expect.go_regexp import python_pattern

# (a pattern of Go's, texts in which it is found, texts in which it is not)
FOUND = [
    ("[[:digit:]]+", ["a1"], ["a", "d", "٣"]),
    ("[^[:^alpha:]-]", ["x"], ["1", "-"]),
    ("[[:word:].]", ["_", "."], ["-", "é"]),
    ("[]a]", ["]", "a"], ["b"]),
    ("[^]a-]", ["b"], ["]", "-", "a"]),
    ("[--.&&a||~~]", ["&", ".", "~"], ["c", "+"]),
    (r"[\d\-x]", ["-", "5"], ["d", "y"]),
    (r"[^\D]", ["5"], ["a", "٣"]),
    (r"^\w+$", ["a_1"], ["é", "a-b", "a\n"]),
    (r"\s", ["\f", " "], ["\v", "\u00a0"]),
    (r"é\b", [], ["é", "aé b"]),
    (r"^\B$", [""], ["a", "-"]),
    (r"a\B", ["ab"], ["a", "a-"]),
    ("^a(?i)+B$", ["aab", "aaB"], ["Aab"]),
    ("^b", ["b\na"], ["a\nb"]),
    ("a$", ["b\na"], ["a\n", "a\nb"]),
    ("(?m)^a$", ["b\na\n"], ["ba"]),
    (r"\Aa\z", ["a"], ["a\n"]),
    (r"a\nb\z", ["a\nb"], ["a\nb\n"]),
    ("a.b", ["axb"], ["a\nb"]),
    ("(?s)a.b", ["a\nb"], ["ab"]),
    ("a(?i)b|c", ["aB", "C"], ["AB", "b"]),
    ("(?:(?i)a)b", ["Ab"], ["aB"]),
    ("(?i:a)*bc", ["AaAbc"], ["aB"]),
    ("(?i)x(?-i)y", ["Xy"], ["xY"]),
    ("(?U)a+?b", ["aab"], ["b"]),
    (r"\Qa.b\E+$", ["a.bb"], ["axb", "a.b."]),
    (r"\Q[", ["["], ["Q"]),
    (r"\pL\p{Lu}\PN", ["éÀ-"], ["1Aa", "aaa", "aA1"]),
    (r"\p{^L}", ["1"], ["a"]),
    (r"\p{Any}", ["\n"], [""]),
    (r"\x41\x{1F600}\101\07", ["A\U0001f600A\a"], ["A"]),
    ("(?P<n>a)(?<m>b)", ["ab"], ["a"]),
    ("x{,3}", ["x{,3}"], ["xxx"]),
    ("^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]),
    ("^*a", ["ba"], ["b"]),
    (r"^(?s)+a\z{1}", ["a"], ["ba", "ab"]),
    ("(|a)+b{", ["ab{"], ["ab"]),
    (r"a\.\_\-\ ", ["a._- "], ["ab_- "]),
    ("", ["", "a"], []),
]


@pytest.mark.parametrize(("pattern", "found", "not_found"), FOUND)
def test_it_finds_what_go_finds(pattern: str, found: list[str], not_found: list[str]) -> None:
    ours = python_pattern(pattern)
    for flags in (re.NOFLAG, re.MULTILINE):
        assert [text for text in found + not_found if re.search(ours, text, flags)] == found, ours


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "Go has no such group"),
        ("(?<!a)b", "Go has no such group"),
        ("(?x)a b", "Go has no such group"),
        (r"(a)\1", "no escape of Go's"),
        (r"\Z", "no escape of Go's"),
        (r"\8", "no escape of Go's"),
        (r"[\b]", "no escape of Go's"),
        (r"\p{Greek}", "expected a category of Unicode"),
        ("[[:foo:]]", "there is no such class"),
        ("a**", "nothing to repeat"),
        ("a++", "nothing to repeat"),
        ("a{2}{3}", "nothing to repeat"),
        ("(*)", "nothing to repeat"),
        ("a|*", "nothing to repeat"),
        ("(?i)*", "nothing to repeat"),
        ("a{1001}", "at most 1000"),
        (f"a{{{'9' * 5000}}}", "at most 1000"),
        (f"a{{1,{'9' * 5000}}}", "at most 1000"),
        ("a{2,1}", "at most 1000"),
        ("a{3,2}", "the smaller number first"),
        ("[z-a]", "the smaller character first"),
        ("[a", "without its ']'"),
        ("[a-", "without its ']'"),
        ("(a", "without its ')'"),
        ("a)", "without its '('"),
        ("a\\", "a backslash at the end"),
        (r"\x{110000}", "is no character"),
    ],
)
def test_what_is_not_gos_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        python_pattern(pattern)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab\\()[]{}*+?|^$.-:,12QEpLdzxisUm<>P=!&é\n", max_size=20))
def test_anything_is_a_pattern_or_our_error(pattern: str) -> None:
    try:
        ours = python_pattern(pattern)
    except UsageError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.search(ours, "ab12")
