"""What the listing commands print: a table for people, or JSON for programs."""

from __future__ import annotations

from mydocker.errors import inert, printable
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


NARROWEST = 10  # letters of a column of Docker's tables, with the three blanks after it (cli, formatter.Context)


def add_format(parser: argparse.ArgumentParser) -> None:
    """The option of every command that prints a table."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def add_template_format(parser: argparse.ArgumentParser) -> None:
    """The same of one whose rows templates may describe (go_template.py)."""
    parser.add_argument("--format", default="table", metavar="FORMAT", help="table, json, or a template of Go's")


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ROWS under HEADINGS, in columns. Whatever an image put into them stays on its line."""
    print("\n".join(columns([headings, *rows], least=NARROWEST)))


def columns(rows: Sequence[Sequence[str]], *, least: int = 0) -> list[str]:
    """ROWS as lines, in columns; each but the last has LEAST letters or more, with the blanks after it."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(least - 3, *(len(line[number]) for line in lines)) for number in range(len(lines[0]))]
    padded = ("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return [inert(line.rstrip()) for line in padded]


def show_json(value: object) -> None:
    """Print VALUE as JSON, in ASCII: it cannot command a terminal, nor the runner of a CI job."""
    from mydocker.json_output import dump

    print(dump(value, indent=2))
