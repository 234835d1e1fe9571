"""Help: one style for all commands."""

from __future__ import annotations

import re
import shlex

import pytest

from mydocker.cli import main
from mydocker.cli.common.docker_commands import GROUPS
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.manual.page import Page
from mydocker.cli.manual.pages import all_pages, page_of
from mydocker.cli.manual.text import WIDTH, has_more, rendered

ALL = all_pages()
PAGES = [each for page in ALL.values() for each in (page, *page.subcommands)]
HEADINGS = ["Commands", "Arguments", "Options", "Exit codes", "Examples"]


def _headings(text: str) -> list[str]:
    return re.findall(r"^(\S.*):$", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_has_usage_a_sentence_headings_in_order_and_examples_at_the_end(page: Page) -> None:
    text = rendered(page)
    assert text.startswith(f"Usage: mydocker {page.name}")
    assert max(map(len, text.splitlines())) <= WIDTH
    sentence = page.text[0]
    assert sentence.endswith(".") and sentence[0].isupper() and sentence in text.replace("\n", " ")
    headings = [heading.replace("Common options", "Options") for heading in _headings(text)]
    assert headings == [heading for heading in HEADINGS if heading in headings]
    assert not re.search(r":\n\n", text), "a heading with nothing below it"
    assert page.examples or " " in page.name, "no examples"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_usage_is_what_the_parser_takes(page: Page) -> None:
    if page.name in (
        "run",
        "create",
        "record",
        "explain",
        "load",
        "network",
        "volume",
        "up",
        "exec",
    ):  # usage says more than their arguments
        return
    arguments = " ".join(argument.usage for argument in page.arguments)
    rest = page.usage[0].removeprefix(page.name).strip()
    has_options = len(page.options) > 1  # there is always --help
    assert rest == f"{'[OPTIONS] ' if has_options else ''}{arguments}".strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_option_and_argument_is_explained(page: Page) -> None:
    for entry in page.options:
        assert entry.help and not entry.help.endswith("."), entry.flags
    if page.name not in ("run", "record"):
        assert all(argument.help for argument in page.arguments)
        assert page.options[-1].flags == ("-h", "--help")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_of_this_command_and_have_known_options(page: Page) -> None:
    for line, meaning in page.examples:
        assert meaning and not meaning.endswith(".")
        for part in re.split(r"[|<>()$]+", line):
            words = shlex.split(part) if part.count("'") % 2 == part.count('"') % 2 == 0 else part.split()
            if words[:1] != ["mydocker"]:
                continue
            flags = {word.partition("=")[0] for word in words[2:] if re.fullmatch(r"--?[a-z-]+(=.*)?", word)}
            named = {"system": "df"}.get(words[1], words[1])
            group = ALL[named]
            known = {flag for each in (group, *group.subcommands) for entry in each.options for flag in entry.flags}
            joined = {f"-{letter}" for flag in flags if not flag.startswith("--") for letter in flag[1:]}
            long = {flag for flag in flags if flag.startswith("--")}
            if words[1] not in ("run", "create", "record", "compose", "top"):  # a container's command has its own
                assert long | joined <= known, line


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_help_comes_by_every_way(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = rendered(page_of(name)) + "\n"
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == expected
    for flag in ("--help", *(() if name in ("run", "record") else ("-h",))):
        try:
            assert main([name, flag]) == 0
        except SystemExit as ended:
            assert not ended.code
        assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize("page", [page for page in ALL.values() if has_more(page)], ids=lambda page: page.name)
def test_all_of_it_comes_on_request(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context():
        try:
            main([page.name, "--help", "all"])
        except SystemExit as ended:
            assert not ended.code
    shown = capsys.readouterr().out
    assert shown == rendered(page, everything=True) + "\n"
    for entry in (*page.options, *(each for group in page.more for each in group.entries)):
        assert entry.flags[-1] in shown
    assert len(shown) > len(rendered(page)) and f"mydocker {page.name} --help all" in rendered(page)


def test_only_these_have_more_to_say() -> None:
    assert [page.name for page in PAGES if has_more(page)] == ["run", "up", "record"]


def test_a_command_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "volume", "rm"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: mydocker volume rm [OPTIONS] VOLUME...\n") and "--force" in shown


def test_the_overview_names_each_command_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for row in COMMANDS.values():
        assert re.search(rf"^  {row.name} +{re.escape(row.summary)}$", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_help_of_what_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "tset"]) == 2
    assert "did you mean 'test'?" in capsys.readouterr().err
