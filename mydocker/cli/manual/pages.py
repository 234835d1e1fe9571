"""The description of each command: of `run` and `record` from the table of fields, of the others from their parsers."""

from __future__ import annotations

from mydocker.cli.commands import command_module
from mydocker.cli.common.docker_commands import GROUPS
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.page import Argument, Entry, Group, Page
from mydocker.record import TYPE_CHECKING
from mydocker.specs.fields import FIELDS, SWITCHES, Field, Switch
from mydocker.specs.render.help_text import flag_help

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mydocker.cli.common.parser import Parser

_IMAGE = Argument(metavar="IMAGE", usage="IMAGE", help="the image, such as alpine:3.20; options end here, or at --")
_COMMAND = Argument(metavar="COMMAND", usage="COMMAND [ARG...]", help="the command, in place of the image's")
_EXITS = (
    ("124", "the command was stopped because its --timeout was over"),
    ("125", "mydocker itself failed"),
    ("126", "the command cannot be executed"),
    ("127", "the command does not exist in the image"),
    ("128+N", "the command was ended by signal N"),
    ("other", "the exit code of the command"),
)
_RUN_EXAMPLES = (
    ("mydocker run alpine echo hello", "run a command in an image"),
    ('mydocker run -v "$PWD:/src" -w /src python:3.12 python build.py', "work on the files of this directory"),
    ("mydocker run -it debian bash", "open a shell"),
    ("mydocker run --network none --memory 256m --timeout 30s IMAGE", "isolate a command, and limit it"),
)
_RECORD_EXAMPLES = (
    ("mydocker record -o tool.smoke.yaml alpine apk --version", "write a test"),
    ("mydocker test tool.smoke.yaml", "run it later"),
)


def page_of(name: str) -> Page:
    """The page of a command, or of a group of Docker's such as `image`."""
    if name in GROUPS:
        return _group_page(name)
    if name in ("run", "record"):
        return run_page() if name == "run" else record_page()
    parser: Callable[[], Parser] = getattr(command_module(name), "parser")  # noqa: B009  # object has no such attribute
    return parser().page()


def all_pages() -> dict[str, Page]:
    """The pages of all commands, in the order of the overview."""
    return {name: page_of(name) for name in COMMANDS}


def run_page() -> Page:
    """From the table of fields."""
    text = "There is no daemon: the container ends with mydocker. Options end at IMAGE, or at --."
    return Page(
        name="run",
        usage=tuple(f"run {usage}" for usage in COMMANDS["run"].usage),
        text=(f"{COMMANDS['run'].summary}.", text),
        arguments=(_IMAGE.replace(help=""), _COMMAND.replace(help="")),
        groups=(*_field_groups(), Group(title="other", entries=tuple(_entry(row) for row in SWITCHES))),
        exits=_EXITS,
        examples=_RUN_EXAMPLES,
        command_follows=True,
    )


def record_page() -> Page:
    """The options of `run` that describe the container, and the file of the spec."""
    output = Entry(flags=("-o", "--output"), metavar="FILE", help="Write the spec to FILE, in place of standard output")
    text = (
        "The container runs three times. The spec expects what was the same each time, of exit code, output and the "
        "files that changed; a comment names what was not. 'mydocker test FILE' then says when it changes."
    )
    page = run_page()
    return page.replace(
        name="record",
        usage=tuple(f"record {usage}" for usage in COMMANDS["record"].usage),
        text=(f"{COMMANDS['record'].summary}.", text, "After -o, it takes the options of 'mydocker run'."),
        groups=(
            Group(title="options", entries=(output, Entry(flags=("--help",), help="Print this text"))),
            *(_rarely(group) for group in _field_groups()),
        ),
        exits=(),
        examples=_RECORD_EXAMPLES,
    )


def key_groups() -> tuple[Group, ...]:
    """The keys of a spec file, by their groups."""
    groups = []
    for title in dict.fromkeys(field.group for field in FIELDS):
        rows = {field.key: field for field in reversed(FIELDS) if field.group == title}  # of one key, the first
        entries = tuple(Entry(flags=(f"{key}:",), help=row.help) for key, row in reversed(rows.items()))
        groups.append(Group(title=f"keys, {title}", entries=entries))
    return tuple(groups)


def _field_groups() -> Iterable[Group]:
    flagged = [field for field in FIELDS if field.flags]
    for title in dict.fromkeys(field.group for field in flagged):
        yield Group(title=title, entries=tuple(_entry(row) for row in flagged if row.group == title))


def _entry(row: Field | Switch) -> Entry:
    choices = row.choices if isinstance(row, Field) else ()
    help = flag_help(row) if isinstance(row, Field) else row.help
    return Entry(flags=row.flags, metavar=row.metavar, help=help, choices=choices, common=row.common)


def _rarely(group: Group) -> Group:
    return group.replace(entries=tuple(entry.replace(common=False) for entry in group.entries))


def _group_page(name: str) -> Page:
    first = {command: word for word, command in reversed(GROUPS[name].items())}  # not the other names of a command
    rows = tuple(
        Page(name=f"{name} {word}", usage=(f"{name} {word}",), text=(f"The same as mydocker {command}",))
        for command, word in reversed(first.items())
    )
    text = "These are commands of mydocker under the names that Docker has for them."
    return Page(name=name, usage=(f"{name} COMMAND",), text=(text,), subcommands=rows)
