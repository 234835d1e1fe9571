"""The words of the command line that parts get."""

from __future__ import annotations

import pytest

from mydocker.cli.testing.batch import parser
from mydocker.cli.testing.options import KEPT_HERE, PASSED_ON, REFUSED, passed_on


def test_every_option_has_its_place() -> None:
    """An option that nobody thought of would be lost on its way to the parts."""
    options = {action.dest for action in parser().actions} - {"help"}
    options -= {action.dest for action in parser().actions if action.default == "==SUPPRESS=="}
    assert options == {*PASSED_ON, *KEPT_HERE, *REFUSED}
    assert not {*PASSED_ON} & {*KEPT_HERE} and not {*REFUSED} & {*PASSED_ON, *KEPT_HERE}


WORDS = (
    (["x"], ["--", "x"]),
    (["-k", "web and not slow", "x"], ["-k=web and not slow", "--", "x"]),
    (["-k-slow", "--tags=-a", "x"], ["-k=-slow", "--tags=-a", "--", "x"]),
    (["-k=a=b", "--shuffle=0", "x"], ["-k=a=b", "--shuffle=0", "--", "x"]),
    (["--tags", "!slow", "x", "y"], ["--tags=!slow", "--", "x", "y"]),
    (["--profile", "a", "--profile=*", "x"], ["--profile=a", "--profile=*", "--", "x"]),
    (["--frozen", "--offline", "--lock-file", "l", "x"], ["--frozen", "--offline", "--lock-file=l", "--", "x"]),
    (["-j", "3", "-x", "--timeout", "5m", "x"], ["--jobs=3", "--maxfail=1", "--timeout=5m", "--", "x"]),
    (
        ["--shuffle=7", "--publish", "--on-failure", "keep", "x"],
        ["--shuffle=7", "--publish", "--on-failure=keep", "--", "x"],
    ),
    (["--image", "i", "x"], ["--image=i", "--", "x"]),
    (["-q", "--durations", "3", "--report", "junit=f", "x"], ["--", "x"]),
    (["--", "-x.yaml"], ["--", "-x.yaml"]),
)


@pytest.mark.parametrize(("argv", "expected"), WORDS)
def test_words(argv: list[str], expected: list[str]) -> None:
    words = passed_on(parser().parse_args(argv), [])
    first, second = sorted(words[: words.index("--")]), sorted(expected[: expected.index("--")])
    assert first == second and words[words.index("--") :] == expected[expected.index("--") :]
    again = parser().parse_args(words)
    assert sorted(passed_on(again, [])) == sorted(words)
