"""Flags of commands that are read without argparse: the rules of pflag, and one table for them and for their help."""

from __future__ import annotations

import pytest

from mydocker import kernel
from mydocker.cli.commands import exec as exec_
from mydocker.cli.commands import ps
from mydocker.errors import UsageError
from mydocker.reference import Platform
from mydocker.specs import flags
from mydocker.specs.flags import Flag, read
from mydocker.specs.values import capability

ON = Flag(flags=("-o", "--on"), help="a switch")
TWO = Flag(flags=("-t", "--two"), help="another one")
NAME = Flag(flags=("-n", "--name"), metavar="NAME", repeatable=True, help="a value")
TABLE = (ON, TWO, NAME)


def _read(line: str) -> tuple[bool, bool, list[str], list[str]]:
    options, words = read(line.split(), TABLE, command="exec", instead={"--keys": "press it"})
    return flags.is_on(ON, options), flags.is_on(TWO, options), flags.texts(NAME, options), words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", (False, False, [], [])),
        ("x -o", (False, False, [], ["x", "-o"])),
        ("-ot x y", (True, True, [], ["x", "y"])),
        ("-o -- -t", (True, False, [], ["-t"])),
        ("- -o", (False, False, [], ["-", "-o"])),
        ("-ona -n b --name=c --name d -n=e x", (True, False, ["a", "b", "c", "d", "e"], ["x"])),
        ("-n -o x", (False, False, ["-o"], ["x"])),
        ("-n -- x", (False, False, ["--"], ["x"])),
        ("--name= x", (False, False, [""], ["x"])),
        ("--on=false -t=1 x", (False, True, [], ["x"])),
        ("-o --on=F x", (False, False, [], ["x"])),
    ],
)
def test_what_is_read(line: str, expected: tuple[bool, bool, list[str], list[str]]) -> None:
    assert _read(line) == expected


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("--nam x", "unknown option: --nam; did you mean '--name'?", "see 'mydocker exec --help'"),
        ("-x", "unknown option: -x", "see 'mydocker exec --help'"),
        ("-ox", "unknown option: -x", "see 'mydocker exec --help'"),
        ("--keys=a", "--keys is not supported", "press it"),
        ("-n", "flag needs an argument: 'n' in -n", "see 'mydocker exec --help'"),
        ("--on --name", "flag needs an argument: --name", "see 'mydocker exec --help'"),
        ("--on=maybe", "invalid argument 'maybe' for -o, --on: expected true or false", "see 'mydocker exec --help'"),
    ],
)
def test_what_is_refused(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        _read(line)
    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize(("command", "hidden"), [(exec_, 0), (ps, 0)], ids=["exec", "ps"])
def test_the_help_has_what_is_read(command: object, hidden: int) -> None:
    page = command.parser().page()  # type: ignore[attr-defined]  # each command has one
    shown = {entry.flags for group in page.groups for entry in group.entries}
    assert shown == {row.flags for row in (*command.FLAGS, flags.HELP)}  # type: ignore[attr-defined]  # so they have


def test_what_the_kernel_s_names_stand_for() -> None:
    """Facts that a start without the modules which have them all takes from elsewhere."""
    assert Platform.host().architecture == kernel.ARCHITECTURE
    assert capability.mask("SYS_PTRACE") == kernel.CAP_SYS_PTRACE
    assert capability.mask("SYS_ADMIN") == kernel.CAP_SYS_ADMIN
