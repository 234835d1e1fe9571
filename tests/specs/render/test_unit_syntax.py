"""Values of unit files that would mean something else if they were written as they are."""

from __future__ import annotations

import pytest

from mydocker.specs.render.unit_syntax import assignment, plain, whole, word


@pytest.mark.parametrize("text", ["a\\", "a \\ ", "\\"])
def test_a_description_does_not_take_the_next_line(text: str) -> None:
    """A backslash at the end of a line continues it (systemd.syntax(7))."""
    assert not plain(text).endswith("\\")


def test_dollar_and_percent_signs() -> None:
    """In Environment= of [Service] a dollar sign means nothing (systemd.exec(5))."""
    assert (word("$a%b"), whole("$a%b"), plain("$a%b")) == ('"$$a%%b"', "$$a%%b", "$a%%b")
    assert assignment("A", "$a%b") == '"A=$a%%b"'
