"""The positional form: `mydocker run [OPTIONS] IMAGE [COMMAND [ARG...]]`, read as `docker run` reads it.

mydocker/specs/flags.py has the rules by which words become options; here is what they mean.
"""

from __future__ import annotations

from mydocker.errors import MydockerError, Origin, UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.assemble import assemble, contradictions, doubts
from mydocker.specs.fields import (
    ATTACH,
    CIDFILE,
    DETACH,
    DRY_RUN,
    FIELDS,
    FROZEN,
    HELP,
    KEEP,
    OFFLINE,
    QUIET,
    REMOVE,
    RESULT,
    SWITCHES,
    Field,
    Switch,
)
from mydocker.specs.flags import Option, Reader, boolean, is_on, last, texts
from mydocker.specs.model import ContainerSpec
from mydocker.specs.values import Scope, image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mydocker.specs.flags import Row

STREAMS = ("stdin", "stdout", "stderr")
_HINT = "see 'mydocker run --help'"
_ROWS: dict[str, Field | Switch] = {
    **{flag: row for row in FIELDS for flag in row.flags},
    **{flag: row for row in SWITCHES for flag in row.flags},
}


class RunRequest(Record):
    """A parsed `run` command line. With `help`, the spec is empty and nothing is run."""

    spec: ContainerSpec
    dry_run: bool = False
    detach: bool = False  # run in the background
    remove: bool = False  # then, remove the container when it has ended
    keep: bool = False
    frozen: bool = False
    offline: bool = False
    result: str | None = None  # the path of a file for the result, relative to the caller's directory
    cidfile: str | None = None  # the path of a file for the container's ID, in the same way; not empty
    attach: tuple[str, ...] = ()  # of STREAMS; (): all of them
    quiet: bool = False  # show nothing of a pull but warnings
    doubts: tuple[str, ...] = ()  # what is valid and probably a mistake
    help: bool = False


def parse_run(argv: list[str], *, environ: Mapping[str, str], cwd: str) -> RunRequest:
    """ARGV is what follows `run`. Env files are read, and no other files. Raises UsageError (exit code 125)."""
    if any("\0" in word for word in argv):
        raise UsageError("an argument holds a NUL character, which cannot be passed to a program")
    options: list[Option] = []
    rest = _split(argv, options)
    scope = Scope(directory=cwd, environ=environ)
    if is_on(HELP, options):
        return RunRequest(spec=ContainerSpec(), help=True)
    values = _values(options, scope)
    if "rootfs" not in values:
        if not rest:
            raise UsageError("no image: 'mydocker run' needs an IMAGE or --rootfs DIR", hint=_HINT)
        values["image"], rest = image(rest[0], scope), rest[1:]
    if rest:
        values["command"] = tuple(rest)
    for _key, message in contradictions(values):
        raise UsageError(message, hint=_HINT)
    _check_restart(values, options)
    attach = _attached(options)
    if attach and "stdout" not in attach and values.get("tty"):
        raise UsageError("with --tty all output is stdout, which --attach leaves out", hint=_HINT)
    return RunRequest(
        spec=assemble(values, origin=Origin(file="command line")),
        dry_run=is_on(DRY_RUN, options),
        detach=is_on(DETACH, options),
        remove=is_on(REMOVE, options),
        keep=is_on(KEEP, options),
        frozen=is_on(FROZEN, options),
        offline=is_on(OFFLINE, options),
        result=last(RESULT, options),
        cidfile=last(CIDFILE, options) or None,
        attach=attach,
        quiet=is_on(QUIET, options),
        doubts=tuple(message for _key, message in doubts(values)),
    )


def _check_restart(values: Mapping[str, Any], options: list[Option]) -> None:
    """Refuse what is about a single run, if there may be several. Docker refuses --rm."""
    for switch in (REMOVE, KEEP, CIDFILE) if values.get("restart") else ():
        if last(switch, options) not in (None, "") and (switch.metavar or is_on(switch, options)):
            raise UsageError(f"--restart and {switch.flags[0]} exclude each other", hint=_HINT)


def parse_flags(argv: list[str]) -> list[tuple[Field, str]]:
    """The rows and the values of a list of flags; the value of a switch is `true` or `false`. Raises UsageError."""
    options: list[Option] = []
    rest = _split(argv, options)
    if rest:
        raise UsageError(f"{rest[0]!r} is not a flag")
    for option in options:
        if isinstance(option.row, Switch) and option.row is not REMOVE:
            raise UsageError(f"{option.row.flags[0]} does not describe a container")
    return [(option.row, option.text) for option in options if isinstance(option.row, Field)]


def requested_result(argv: list[str]) -> str | None:
    """The file for the result of a command line that `parse_run` refuses; None if the mistake comes before it."""
    options: list[Option] = []
    try:  # noqa: SIM105  # contextlib is not on the warm path
        _split(argv, options)
    except UsageError:
        pass
    return last(RESULT, options)


def _split(argv: list[str], options: list[Option]) -> list[str]:
    """Append the options to OPTIONS; the words after them."""
    rest = Reader(_ROWS, hint=_HINT, other=_other).split(argv, options)
    for option in options:
        if not isinstance(option.row, (Field, Switch)):
            _refuse_change(option)
    return rest


def _attached(options: list[Option]) -> tuple[str, ...]:
    """The streams of `--attach`. Docker's standard input is attached by `-i`, whatever else is."""
    words = texts(ATTACH, options)
    streams = tuple(text.lower() for text in words)
    for text, stream in zip(words, streams, strict=True):
        if stream not in STREAMS:
            raise UsageError(f"invalid argument {text!r} for -a, --attach: valid streams are {', '.join(STREAMS)}")
    if streams and not {"stdout", "stderr"} & {*streams}:
        raise UsageError(
            "--attach stdin alone leaves a container in the background, which is not supported",
            hint="add --attach stdout, or leave it out",
        )
    return streams


def _values(options: list[Option], scope: Scope) -> dict[str, Any]:
    """The values of the fields on the command line, by key."""
    values: dict[str, Any] = {}
    for option in options:
        row = option.row
        if not isinstance(row, Field):
            continue
        value = _parse(row, row.parse, option.text, scope)
        if row.merge == "append":
            value = (*values.get(row.key, ()), value)
        elif row.merge == "targets":
            value = (*(each for each in values.get(row.key, ()) if each.target != value.target), value)
        elif row.merge == "extend":
            value = (*values.get(row.key, ()), *value)
        elif row.merge in ("update", "members"):
            value = {**values.get(row.key, {}), **value}
        values[row.key] = value
    return values


def _parse(row: Field | Switch, parse: Any, text: str, scope: Scope) -> Any:
    try:
        return parse(text, scope)
    except MydockerError as error:
        flags = ", ".join(row.flags)
        raise UsageError(f"invalid argument {text!r} for {flags}: {error.message}", hint=error.hint or _HINT) from None


def _other(flag: str, message: str) -> Row:
    """What there is of a flag that mydocker does not have: a row for one of Docker's that changes nothing with some
    values. Raises UsageError for one of Docker's, a misspelt one, and any other."""
    from mydocker.nearest import nearest, suggested
    from mydocker.specs.model.unsupported import UNCHANGING, UNSUPPORTED_FLAGS

    if flag in UNCHANGING:
        return UNCHANGING[flag]
    if flag in UNSUPPORTED_FLAGS:
        raise _unsupported(flag)
    near = nearest(flag, [known for known in _ROWS if known.startswith("--")]) if flag.startswith("--") else None
    raise UsageError(message + suggested(near), hint=_HINT)


def _refuse_change(option: Option) -> None:
    """Raise UsageError if OPTION, of a flag that mydocker does not have, would change something."""
    from mydocker.specs.model.unsupported import UNCHANGING

    row = UNCHANGING[option.row.flags[0]]
    if (option.text if row.metavar else str(boolean(option.text)).lower()) not in row.values:
        raise _unsupported(row.flags[0])


def _unsupported(flag: str) -> UsageError:
    from mydocker.specs.model.unsupported import INSTEAD

    return UsageError(f"{flag} is not supported yet", hint=INSTEAD.get(flag, _HINT))
