"""What may follow the words of an unfinished command line, from the descriptions of the commands."""

from __future__ import annotations

from mydocker.cli.common.command_names import meant
from mydocker.cli.common.docker_commands import GROUPS, RENAMED
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.page import Entry, Page
from mydocker.cli.manual.pages import page_of
from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Names = Callable[[str], Iterable[str]]

# what a value is, by its metavar; `spec` is a spec file, and the rest are names that a store has
KINDS = {
    "FILE": "file",
    "PATH": "spec",
    "DIR": "directory",
    "[SRC:]DST[:OPTIONS]": "file",
    "SRC[:DST][:rwm]": "file",
    "PROGRAM": "file",
    "IMAGE": "image",
    "VOLUME": "volume",
    "NETWORK": "network",
    "CONTAINER": "container",
}
FILES = ("file", "directory", "spec")
_POSITIONS = {
    ("up", "FILE"): "spec",
    ("config", "FILE"): "spec",
    ("explain", "FILE"): "spec",
    ("images", "NAME"): "image",
}
_FORMATS = ("junit", "tap", "json", "jsonl", "github", "markdown", "text", "html")


class Completion(Record):
    """`words` with their meanings; `files` is one of FILES if files may follow, too, or empty."""

    words: tuple[tuple[str, str], ...] = ()
    files: str = ""


def complete(words: Sequence[str], names: Names) -> Completion:
    """The completions of the last of WORDS, which may be empty; the words before it are complete. NAMES returns
    the names of a kind: images, volumes, networks, kept containers."""
    *before, current = words or [""]
    found = _candidates(before, current, names)
    return found.replace(words=tuple((word, text) for word, text in found.words if word.startswith(current)))


def _candidates(before: list[str], current: str, names: Names) -> Completion:
    if not before:
        return Completion(words=_first_words(current))
    if before[0] in GROUPS and len(before) == 1:
        return Completion(words=_in_group(before[0]))
    if before[0] == "help":
        return Completion(words=_first_words("")) if len(before) == 1 else Completion()
    if before[:2] == ["explain", "run"]:
        before = before[1:]
    try:
        name, *rest = meant(before)
        page = page_of(name)
    except (MydockerError, ImportError):
        return Completion()
    if page.subcommands:
        if not rest and not current.startswith("-"):
            return Completion(words=tuple((_last(each.name), _sentence(each)) for each in page.subcommands))
        if rest:
            chosen = [each for each in page.subcommands if each.name == f"{name} {rest[0]}"]
            if not chosen:
                return Completion()
            page, rest = chosen[0], rest[1:]
    return _of_page(page, rest, current, names)


def _first_words(current: str) -> tuple[tuple[str, str], ...]:
    words = [(row.name, row.summary) for row in COMMANDS.values()]
    words += [(name, "Docker's names for commands") for name in GROUPS]
    words += [(name, f"The same as {command}") for name, command in RENAMED.items()]
    words += [("help", "Show the help of a command")]
    flags = [("--help", "Show all commands"), ("--version", "Print the version")]
    return tuple(flags if current.startswith("-") else words)


def _in_group(group: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, COMMANDS[command].summary) for word, command in GROUPS[group].items())


def _of_page(page: Page, before: list[str], current: str, names: Names) -> Completion:
    options = {flag: entry for entry in page.options for flag in entry.flags}
    position, waiting, options_end = 0, None, False
    for word in before:
        if waiting:
            waiting = None
        elif word == "--" and not options_end:
            options_end = True
        elif word.startswith("-") and word != "-" and not options_end:
            entry = options.get(word)
            waiting = entry if entry and entry.metavar and not entry.metavar.startswith("[=") else None
        else:
            position += 1
            options_end = options_end or page.command_follows
    if waiting:
        return _of_value(waiting, "", current, names)
    if current.startswith("-") and not options_end:
        flag, equals, value = current.partition("=")
        if equals:
            return _of_value(options[flag], f"{flag}=", value, names) if flag in options else Completion()
        return Completion(words=tuple(_spelled(page.options)))
    return _of_position(page, position, names)


def _spelled(options: Iterable[Entry]) -> Iterable[tuple[str, str]]:
    """Each option by its long name, if it has one."""
    for entry in options:
        yield from ((flag, entry.help) for flag in entry.flags if flag.startswith("--") or len(entry.flags) == 1)


def _of_value(entry: Entry, before: str, value: str, names: Names) -> Completion:
    """The completions of VALUE, which comes after the text BEFORE in its word."""
    if entry.choices:
        return Completion(words=tuple((before + choice, "") for choice in entry.choices if choice))
    if entry.metavar == "FORMAT=FILE" and "=" in value:
        return Completion(files="file")
    if entry.metavar == "FORMAT=FILE":
        return Completion(words=tuple((f"{before}{format}=", "") for format in _FORMATS))
    return _of_kind(KINDS.get(entry.metavar, ""), before, names)


def _of_position(page: Page, position: int, names: Names) -> Completion:
    """A positional argument: the last one of a command may be repeated."""
    if page.command_follows and position:
        return Completion(files="file")
    if not page.arguments or (position >= len(page.arguments) and "..." not in page.arguments[-1].usage):
        return Completion()
    argument = page.arguments[min(position, len(page.arguments) - 1)]
    if argument.choices:
        return Completion(words=tuple((choice, "") for choice in argument.choices))
    kind = _POSITIONS.get((page.name, argument.metavar)) or KINDS.get(argument.metavar, "")
    return _of_kind(kind, "", names)


def _of_kind(kind: str, before: str, names: Names) -> Completion:
    if kind in FILES:
        return Completion(files=kind)
    return Completion(words=tuple((before + name, "") for name in names(kind)))


def _last(name: str) -> str:
    return name.rpartition(" ")[2]


def _sentence(page: Page) -> str:
    return page.text[0].removesuffix(".")
