"""Files of variables: Docker's and Compose's, and the variables in text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydocker.errors import MydockerError, UsageError
from mydocker.specs.environment.dotenv import parse_dotenv
from mydocker.specs.environment.files import SIZE_LIMIT, read_docker_file
from mydocker.specs.environment.interpolate import interpolate

ENVIRON = {"HOST": "here", "EMPTY": ""}


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"A=1\nB=2\n", {"A": "1", "B": "2"}),
        (b"\xef\xbb\xbfA=1", {"A": "1"}),
        (b"\xef\xbb\xbfA=1\n\xef\xbb\xbfB=2\n", {"A": "1", "B": "2"}),
        (b"# no\n\n   \n  # no\n  A=1", {"A": "1"}),
        (b"A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        (b"A='x' \nB=\"y\" # z", {"A": "'x' ", "B": '"y" # z'}),
        (b"A=\nB==\nC=a=b", {"A": "", "B": "=", "C": "a=b"}),
        (b"HOST\nNOPE\nEMPTY", {"HOST": "here", "EMPTY": ""}),
        (b"A=$HOST", {"A": "$HOST"}),
        (b"A=1\nA=2", {"A": "2"}),
        ("A=é\u2028b".encode(), {"A": "é\u2028b"}),
        (b"A=a\x0bb\x0cc", {"A": "a\x0bb\x0cc"}),
    ],
)
def test_docker_file(tmp_path: Path, raw: bytes, values: dict[str, str]) -> None:
    (tmp_path / "env").write_bytes(raw)
    assert read_docker_file(str(tmp_path / "env"), environ=ENVIRON) == values


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"A=1\nB C=1", ":2: variable 'B C' contains white space"),
        (b"export A=1", ":1: variable 'export A' contains white space"),
        (b"=x", ":1: no variable name"),
        (b"A=1\nB=\xff", ":2: not UTF-8"),
        (b"A=\0", "NUL"),
        (b"A" * (SIZE_LIMIT + 1), "larger than"),
    ],
)
def test_docker_file_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "env").write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        read_docker_file(str(tmp_path / "env"), environ=ENVIRON)
    assert message in caught.value.message


def test_docker_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        read_docker_file(str(tmp_path), environ={})
    with pytest.raises(UsageError, match="larger than"):
        read_docker_file("/dev/urandom", environ={})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1", {"A": "1"}),
        ("export A=1\nexport\tB=2", {"A": "1", "B": "2"}),
        ("A: 1\nB:2", {"A": "1", "B": "2"}),
        ("A = 1 ", {"A": "1"}),
        ("A=http://x", {"A": "http://x"}),
        ("# no\n\nA=1 # comment\nB=1#2\nC=# comment", {"A": "1", "B": "1#2", "C": ""}),
        ("A='$HOST \\n # x' # y", {"A": "$HOST \\n # x"}),
        ("A='Let\\'s go!'", {"A": "Let's go!"}),
        ('A="$HOST # x" # y', {"A": "here # x"}),
        ('A="a\\nb\\tc\\\\d\\"e\\q"', {"A": 'a\nb\tc\\d"e\\q'}),
        ('A="\\$HOST $$HOST"', {"A": "$HOST $HOST"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A=1\nB=${A}2\nHOST=x\nC=$HOST", {"A": "1", "B": "12", "HOST": "x", "C": "here"}),
        ("A=${NOPE:-d e}", {"A": "d e"}),
        ("HOST\nNOPE\nEMPTY # x", {"HOST": "here", "EMPTY": ""}),
        ("A=\r\nB=1\r\n", {"A": "", "B": "1"}),
        ("exported=1", {"exported": "1"}),
        ('HASH=$2y$10$.x\nB=a$\nC="^$5 $(x) $"', {"HASH": "$2y$10$.x", "B": "a$", "C": "^$5 $(x) $"}),
    ],
)
def test_compose_file(text: str, values: dict[str, str]) -> None:
    assert parse_dotenv(text, origin="x", lookup=ENVIRON.get) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB='x", "x:2: a quote without its end"),
        ("A='x' y", "x:1: 'y' follows the closing quote"),
        ("A B=1", "x:1: 'A B' is not the name"),
        ("=1", "x:1: '' is not the name"),
        ("'A'=1", "is not the name"),
        ("\nA=${B", "x:2: a '${' without its '}'"),
        ("A=${B:?give it}", "x:1: variable B is needed and not set: give it"),
    ],
)
def test_compose_file_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_dotenv(text, origin="x", lookup=ENVIRON.get)
    assert message in caught.value.message


VARIABLES = {"V": "v", "E": "", "W_1": "w", "D": "$V"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("plain {} }", "plain {} }"),
        ("$V", "v"),
        ("a${V}b$V.c$W_1", "avbv.cw"),
        ("$$V $${V} $$$V", "$V ${V} $v"),
        ("$U${U}", ""),
        ("$D", "$V"),
        ("${V:-d}${E:-d}${U:-d}", "vdd"),
        ("${V-d}${E-d}${U-d}", "vd"),
        ("${V:+x}${E:+x}${U:+x}", "x"),
        ("${V+x}${E+x}${U+x}", "xx"),
        ("${V:?m}${V?m}${E?m}", "vv"),
        ("${U:-${V}}${U:-${X:-$V$$}}", "vv$"),
        ('${U:-{"a": {}}}', '{"a": {}}'),
        ("${U:-}${U-}", ""),
        ("${U:--}${U-:}", "-:"),
        ("${V:-${U:?never asked}}", "v"),
    ],
)
def test_interpolation(text: str, value: str) -> None:
    assert interpolate(text, VARIABLES.get) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$", "$"),
        ("/^v[0-9]+$/", "/^v[0-9]+$/"),
        ("^(a$|b$)$", "^(a$|b$)$"),
        ("^$V$", "^v$"),
        ("${V}$", "v$"),
        ("a$$/", "a$/"),
        ("$$$", "$$"),
        ("$$V$", "$V$"),
        (r"$\n", r"$\n"),
        ("$5 $[a] $é", "$5 $[a] $é"),
        ("${U:-^a$}$", "^a$$"),
        ("${U:-^$V$}", "^v$"),
    ],
)
def test_a_dollar_that_begins_no_variable(text: str, value: str) -> None:
    assert interpolate(text, VARIABLES.get, bare_dollar=True) == value


def test_unset_variables_are_reported_to_the_caller() -> None:
    unset: list[str] = []
    interpolate("$V ${E} ${U:-d} ${U-} ${V:-$N} ${U+x} $$W", VARIABLES.get, unset=unset.append)
    assert unset == []
    interpolate("$U ${W} ${E:-$X}", VARIABLES.get, unset=unset.append)
    assert unset == ["U", "W", "X"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$", "a '$' without a variable"),
        ("a$ b", "a '$' without a variable"),
        ("$1", "a '$' without a variable"),
        ("^x$", "a '$' without a variable"),
        ("${", "without its '}'"),
        ("${V", "without its '}'"),
        ("${}", "is not a variable"),
        ("${1}", "is not a variable"),
        ("${V!}", "is not a variable"),
        ("${V:}", "is not a variable"),
        ("${V:x}", "is not a variable"),
        ("${é}", "is not a variable"),
        ("${U:?}", "variable U is needed and not set"),
        ("${U?say $V}", "variable U is needed and not set: say v"),
        ("${E:?m}", "variable E is needed and not set: m"),
        ("${U:-" * 100 + "}" * 100, "nested more than"),
        ("${U:-" * 5000 + "}" * 5000, "nested more than"),
    ],
)
def test_interpolation_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        interpolate(text, VARIABLES.get)
    assert message in caught.value.message


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(st.text(max_size=30), st.text(alphabet="${}VU:-?+'\"\\ #=\nexport", max_size=40)))
def test_any_text_of_variables_is_a_value_or_our_error(text: str) -> None:
    for read in (
        lambda: interpolate(text, VARIABLES.get),
        lambda: interpolate(text, VARIABLES.get, bare_dollar=True),
        lambda: parse_dotenv(text, origin="x", lookup=VARIABLES.get),
    ):
        try:
            read()
        except MydockerError as error:
            assert error.message
