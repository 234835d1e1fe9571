"""The manual page, mydocker(1), as roff with the macros of man(7): all commands, options and keys of spec files."""

from __future__ import annotations

from mydocker import __version__
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.pages import all_pages, key_groups
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mydocker.cli.manual.page import Group, Page

_DESCRIPTION = (
    "mydocker runs containers from images and from spec files, and tests them, with no daemon: a container is a child "
    "process of the command that runs it, and ends with it.",
    "Images are pulled from registries into a store, which belongs to the user who runs mydocker.",
)
_ENVIRONMENT = (
    (
        "MYDOCKER_ROOT",
        "The directory of the store, in place of /var/lib/mydocker for root and ~/.local/share/mydocker.",
    ),
    ("COMPOSE_PROFILES", "Profiles whose containers are included, as with --profile."),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "The proxy for registries, as Docker and Podman read it."),
    ("NO_COLOR, FORCE_COLOR, CLICOLOR", "Whether 'mydocker test' uses colors."),
)
_FILES = (
    ("mydocker.lock", "The digests of images, written by 'mydocker lock' and read with --frozen."),
    (".env", "Variables for the spec files of the same directory."),
    ("~/.docker/config.json, auth.json", "User names and passwords for registries, as Docker and Podman have them."),
    ("registries.conf", "Mirrors and insecure registries, see containers-registries.conf(5)."),
)
_SEE_ALSO = ("docker\\-run", "podman\\-run", "containers\\-registries.conf", "namespaces")
_SECTIONS = ("1", "1", "5", "7")


def manual() -> str:
    """The whole page."""
    lines = [f'.TH MYDOCKER 1 "" "mydocker {__version__}" "User Commands"', ".SH NAME"]
    lines += ["mydocker \\- run containers from images and spec files, and test them, with no daemon", ".SH SYNOPSIS"]
    for name in COMMANDS:
        lines += _synopsis(name)
    lines.append(".SH DESCRIPTION")
    lines += _paragraphs(_DESCRIPTION)
    lines.append(".SH COMMANDS")
    for page in all_pages().values():
        lines += _command(page)
    lines += [".SH SPEC FILES", "A spec file is YAML. These are its keys."]
    lines += _groups(key_groups())
    lines += [".SH ENVIRONMENT", *_listed(_ENVIRONMENT), ".SH FILES", *_listed(_FILES), ".SH SEE ALSO"]
    pairs = list(zip(_SEE_ALSO, _SECTIONS, strict=True))
    lines += [f".BR {name} ({number}){',' if (name, number) != pairs[-1] else ''}" for name, number in pairs]
    return "\n".join(lines) + "\n"


def _synopsis(name: str) -> Iterator[str]:
    for usage in COMMANDS[name].usage:
        yield f".B mydocker {_escaped(name)}"
        yield f"{_escaped(usage)}"
        yield ".br"


def _command(page: Page, *, level: str = ".SS") -> Iterator[str]:
    yield f"{level} {_quoted(f'mydocker {page.usage[0]}')}"
    yield from _paragraphs(page.text)
    yield from _listed((argument.usage, argument.help) for argument in page.arguments if argument.help)
    yield from _groups(page.groups, titles=len(page.groups) > 1)
    for each in page.subcommands:
        yield from _command(each)
    if page.exits:
        yield from (".PP", "Exit codes:", *_listed(page.exits))
    if page.examples:
        yield from (".PP", "Examples:")
    for example, meaning in page.examples:
        yield from (
            ".PP",
            f"{_escaped(meaning[:1].upper() + meaning[1:])}:",
            ".RS 4",
            ".nf",
            _line(example),
            ".fi",
            ".RE",
        )


def _groups(groups: Iterable[Group], *, titles: bool = True) -> Iterator[str]:
    for group in groups:
        if titles:
            yield from (".PP", f".I {_escaped(group.title[:1].upper() + group.title[1:])}")
        yield from _listed(
            (f"{', '.join(entry.flags)} {entry.metavar}".rstrip(), entry.help) for entry in group.entries
        )


def _listed(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in rows:
        yield ".TP"
        yield f".B {_escaped(term)}"
        yield _line(meaning)


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield ".PP"
        yield _line(text)


def _line(text: str) -> str:
    """TEXT as a line that is no request: those begin with a dot or an apostrophe."""
    shown = _escaped(text)
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown


def _quoted(text: str) -> str:
    """TEXT as one argument of a macro."""
    return '"' + _escaped(text).replace('"', "\\(dq") + '"'


_ESCAPES = {"\\": "\\e", "-": "\\-", "`": "\\(ga", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "…": "...", '"': "\\(dq"}


def _escaped(text: str) -> str:
    """TEXT with what roff would replace by typographic characters as it is to be typed."""
    return "".join(_ESCAPES.get(character, character) for character in text)
