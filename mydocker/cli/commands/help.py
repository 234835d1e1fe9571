"""`mydocker help [COMMAND]` and `mydocker --help`: the overview, or the page of one command; with --man, the man
page."""

from __future__ import annotations

from mydocker.cli.common.command_names import FLAGS, meant
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.text import rendered, section

_HEAD = """\
Usage: mydocker COMMAND ...

Run containers from images and spec files, and test them, with no daemon."""
_HELP = (
    ("mydocker COMMAND --help", "the options of a command, and examples"),
    ("mydocker run --help all", "all options"),
    ("mydocker help --man", "the manual page: pipe it to 'man -l -'"),
    ("mydocker --version", "the version"),
)


def help_command(argv: list[str]) -> int:
    """Print the overview, or the page of the command that ARGV names; 0. Raises UsageError if there is none."""
    words = [] if argv and argv[0] in FLAGS else argv
    if words == ["--man"]:
        from mydocker.cli.manual.man import manual

        print(manual(), end="")
        return 0
    if not words:
        print(overview())
        return 0
    from mydocker.cli.manual.pages import page_of

    name, *rest = meant(words)
    if name in ("help", "version"):
        group = next(iter(rest), "")
        print(rendered(page_of(group)) if group else overview())
        return 0
    page = page_of(name)
    action = next((each for each in page.subcommands if rest and each.name == f"{name} {rest[0]}"), page)
    print(rendered(action, everything=rest[-1:] == ["all"]))
    return 0


def overview() -> str:
    """A line for each command."""
    groups = dict.fromkeys(row.group for row in COMMANDS.values())
    rows = {group: [(row.name, row.summary) for row in COMMANDS.values() if row.group == group] for group in groups}
    column = max(map(len, COMMANDS)) + 4
    parts = [section(group, entries, column=column) for group, entries in rows.items()]
    return "\n\n".join([_HEAD, *parts, section("help", _HELP)])
