"""mydocker(1): it is that of the commands, and roff takes it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from lab.places import ROOT

from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.man import manual
from mydocker.cli.manual.pages import all_pages
from mydocker.specs.fields import FIELDS

PAGE = ROOT / "docs" / "mydocker.1"
MACROS = {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".BR", ".I", ".br", ".nf", ".fi", ".RS", ".RE"}
ESCAPES = {"\\-", "\\e", "\\(ga", "\\(aq", "\\(ha", "\\(ti", "\\(dq", "\\&"}


def test_the_page_in_docs_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text() == manual()


def test_its_lines_are_text_or_macros_of_man() -> None:
    """man(7). A line of text begins with neither a dot nor an apostrophe."""
    for line in manual().splitlines():
        if line.startswith((".", "'")):
            assert line.split()[0] in MACROS, line
        assert line.isascii() and line.strip() and line == line.rstrip(), line
        assert set(re.findall(r"\\\(..|\\.", line)) <= ESCAPES, line
        if line.startswith((".SS", ".TH")):
            assert line.count('"') % 2 == 0
    text = manual()
    assert text.count(".nf\n") == text.count(".fi\n") and text.count(".RS") == text.count(".RE")
    for tagged in re.findall(r"^\.TP\n(.*)\n(.*)$", text, re.MULTILINE):
        assert tagged[0].startswith(".B ") and not tagged[1].startswith("."), tagged


def test_it_has_every_command_option_and_key() -> None:
    plain = manual().replace("\\-", "-")
    for name in COMMANDS:
        assert f'.SS "mydocker {name}' in plain
    for page in all_pages().values():
        for each in (page, *page.subcommands):
            for entry in each.options:
                assert all(flag in plain for flag in entry.flags)
    for field in FIELDS:
        assert f"\n.B {field.key}:\n" in plain


@pytest.mark.parametrize("width", [60, 80, 200])
def test_groff_takes_it_without_a_warning_where_it_is(width: int) -> None:
    program = shutil.which("groff")
    if program is None:  # the tests before this one look at each line
        return
    words = [program, "-ww", "-man", "-Tutf8", f"-rLL={width}n", str(PAGE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert (done.stderr, done.returncode) == ("", 0)
    shown = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)
    assert "--platform OS/ARCH" in shown and "mydocker run" in shown
