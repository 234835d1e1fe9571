"""The positional form: `mydocker run [OPTIONS] IMAGE [COMMAND [ARG...]]`, read as `docker run` reads it.

The rules are those of pflag, Docker's flag library: options end at the first word that is none, or at
`--`; one-letter flags join (`-it`), and take their value joined, after `=`, or as the next word
whatever it looks like; switches take a value only after `=`.
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
    REMOVE,
    RESULT,
    SWITCHES,
    Field,
    Switch,
)
from mydocker.specs.model import ContainerSpec
from mydocker.specs.values import Scope, boolean, image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

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
    doubts: tuple[str, ...] = ()  # what is valid and probably a mistake
    help: bool = False


class _Option(Record):
    """A flag of the command line, and its value as text."""

    row: Field | Switch
    text: str


def parse_run(argv: list[str], *, environ: Mapping[str, str], cwd: str) -> RunRequest:
    """ARGV is what follows `run`. Env files are read, and no other files. Raises UsageError (exit code 125)."""
    if any("\0" in word for word in argv):
        raise UsageError("an argument holds a NUL character, which cannot be passed to a program")
    options: list[_Option] = []
    rest = _split(argv, options)
    scope = Scope(directory=cwd, environ=environ)
    if _is_on(HELP, options):
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
        dry_run=_is_on(DRY_RUN, options),
        detach=_is_on(DETACH, options),
        remove=_is_on(REMOVE, options),
        keep=_is_on(KEEP, options),
        frozen=_is_on(FROZEN, options),
        offline=_is_on(OFFLINE, options),
        result=_last(RESULT, options),
        cidfile=_last(CIDFILE, options) or None,
        attach=attach,
        doubts=tuple(message for _key, message in doubts(values)),
    )


def _check_restart(values: Mapping[str, Any], options: list[_Option]) -> None:
    """Refuse what is about a single run, if there may be several. Docker refuses --rm."""
    for switch in (REMOVE, KEEP, CIDFILE) if values.get("restart") else ():
        if _last(switch, options) not in (None, "") and (switch.metavar or _is_on(switch, options)):
            raise UsageError(f"--restart and {switch.flags[0]} exclude each other", hint=_HINT)


def parse_flags(argv: list[str]) -> list[tuple[Field, str]]:
    """The rows and the values of a list of flags; the value of a switch is `true` or `false`. Raises UsageError."""
    options: list[_Option] = []
    rest = _split(argv, options)
    if rest:
        raise UsageError(f"{rest[0]!r} is not a flag")
    for option in options:
        if isinstance(option.row, Switch) and option.row is not REMOVE:
            raise UsageError(f"{option.row.flags[0]} does not describe a container")
    return [(option.row, option.text) for option in options if isinstance(option.row, Field)]


def requested_result(argv: list[str]) -> str | None:
    """The file for the result of a command line that `parse_run` refuses; None if the mistake comes before it."""
    options: list[_Option] = []
    try:  # noqa: SIM105  # contextlib is not on the warm path
        _split(argv, options)
    except UsageError:
        pass
    return _last(RESULT, options)


def _split(argv: list[str], options: list[_Option]) -> list[str]:
    """Append the options to OPTIONS; the words after them."""
    words = list(reversed(argv))  # in reverse order, as popping the last item is cheap
    while words and words[-1].startswith("-") and words[-1] != "-":
        word = words.pop()
        if word == "--":
            break
        options += _long(word, words) if word.startswith("--") else _short(word, words)
    return words[::-1]


def _long(text: str, words: list[str]) -> list[_Option]:
    flag, equals, value = text.partition("=")
    if flag not in _ROWS:
        _refuse(flag, f"unknown flag: {flag}")
    row = _ROWS[flag]
    if not equals:
        value = "true" if _is_switch(row) else _next(words, f"flag needs an argument: {flag}")
    return [_checked(row, value)]


def _short(text: str, words: list[str]) -> list[_Option]:
    """One-letter flags: any number of switches, then at most one that takes a value."""
    options: list[_Option] = []
    letters = text[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if f"-{letter}" not in _ROWS:
            _refuse(f"-{letter}", f"unknown shorthand flag: {letter!r} in {text}")
        row = _ROWS[f"-{letter}"]
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif _is_switch(row):
            value = "true"
        elif letters:
            value, letters = letters, ""
        else:
            value = _next(words, f"flag needs an argument: {letter!r} in {text}")
        options.append(_checked(row, value))
    return options


def _next(words: list[str], missing: str) -> str:
    if not words:
        raise UsageError(missing, hint=_HINT)
    return words.pop()


def _checked(row: Field | Switch, text: str) -> _Option:
    """An option whose value, if it is a switch, is known to be true or false."""
    if _is_switch(row) and isinstance(row, Switch):
        _parse(row, boolean, text, Scope(directory="/", environ={}))
    return _Option(row=row, text=text)


def _is_switch(row: Field | Switch) -> bool:
    return not row.metavar


def _is_on(switch: Switch, options: list[_Option]) -> bool:
    value = _last(switch, options)
    return value is not None and boolean(value, Scope(directory="/", environ={}))


def _last(switch: Switch, options: list[_Option]) -> str | None:
    """The last value of a repeated flag."""
    return next((option.text for option in reversed(options) if option.row is switch), None)


def _attached(options: list[_Option]) -> tuple[str, ...]:
    """The streams of `--attach`. Docker's standard input is attached by `-i`, whatever else is."""
    texts = [option.text for option in options if option.row is ATTACH]
    streams = tuple(text.lower() for text in texts)
    for text, stream in zip(texts, streams, strict=True):
        if stream not in STREAMS:
            raise UsageError(f"invalid argument {text!r} for -a, --attach: valid streams are {', '.join(STREAMS)}")
    if streams and not {"stdout", "stderr"} & {*streams}:
        raise UsageError(
            "--attach stdin alone leaves a container in the background, which is not supported",
            hint="add --attach stdout, or leave it out",
        )
    return streams


def _values(options: list[_Option], scope: Scope) -> dict[str, Any]:
    """The values of the fields on the command line, by key."""
    values: dict[str, Any] = {}
    for option in options:
        row = option.row
        if isinstance(row, Switch):
            continue
        value = _parse(row, row.parse, option.text, scope)
        if row.merge == "append":
            value = (*values.get(row.key, ()), value)
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


def _refuse(flag: str, message: str) -> NoReturn:
    """Raise for a flag that mydocker does not have: one of Docker's, a misspelt one, or neither."""
    from mydocker.nearest import nearest, suggested
    from mydocker.specs.model.unsupported import INSTEAD, UNSUPPORTED_FLAGS

    if flag in UNSUPPORTED_FLAGS:
        raise UsageError(f"{flag} is not supported yet", hint=INSTEAD.get(flag, _HINT))
    near = nearest(flag, [known for known in _ROWS if known.startswith("--")]) if flag.startswith("--") else None
    raise UsageError(message + suggested(near), hint=_HINT)
