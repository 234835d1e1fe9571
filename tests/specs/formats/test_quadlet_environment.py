"""Files of EnvironmentFile= in [Service], in the form of systemd.exec(5)."""

from __future__ import annotations

import pytest

from mydocker.errors import UsageError
from mydocker.specs.formats.quadlet.service_environment import parse_environment


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("# A=1\n; B=2\n\n  C=3\n", {"C": "3"}),
        ("A =  x y \t\nB=", {"A": "x y", "B": ""}),
        ("A='x y 'z \nB=\" q \"", {"A": "x y z", "B": " q "}),
        ('A=\'it\\s\'\nB="a\\"b\\n"\nC=a\\ b\\\n c', {"A": "it\\s", "B": 'a"b\\n', "C": "a b c"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ("A=$B #c", {"A": "$B #c"}),
        ("no line\n1A=x\nA-B=x\nexport C=x\nD=x", {"D": "x"}),
    ],
)
def test_lines_are_variables(text: str, values: dict[str, str]) -> None:
    assert parse_environment(text) == values


@pytest.mark.parametrize("text", ["A='x", 'A="x\nB=y'])
def test_a_quote_without_its_end_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a quote without its end"):
        parse_environment(text)
