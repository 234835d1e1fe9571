"""The first words of a command line: commands, Docker's names for them, near misses, and what there is instead."""

from __future__ import annotations

import pathlib
import re

import pytest
from lab.command import Command

from mydocker.cli import commands, main
from mydocker.cli.common.command_names import meant
from mydocker.cli.common.docker_commands import GROUPS, INSTEAD, RENAMED
from mydocker.cli.manual.catalogue import COMMANDS, NAMES, RUNNING
from mydocker.cli.manual.pages import all_pages
from mydocker.errors import UsageError


def test_each_command_of_the_catalogue_is_a_file() -> None:
    files = pathlib.Path(commands.__file__).parent.glob("*.py")
    assert sorted(NAMES) == sorted({path.stem for path in files} - {"__init__"})
    assert set(RUNNING) < set(COMMANDS)


def test_what_docker_has_leads_to_a_command_and_hides_none() -> None:
    for group in GROUPS.values():
        assert set(group.values()) <= set(COMMANDS)
    assert set(RENAMED.values()) <= set(COMMANDS)
    assert {*INSTEAD, *RENAMED}.isdisjoint(COMMANDS) and set(GROUPS).isdisjoint(COMMANDS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "help"),
        ("-h", "help"),
        ("--help", "help"),
        ("help run", "help run"),
        ("-v", "version"),
        ("--version", "version"),
        ("info --format json", "doctor --format json"),
        ("image ls -q", "images -q"),
        ("image build -t app .", "build -t app ."),
        ("buildx build .", "build ."),
        ("image list", "images"),
        ("image rm -f a b", "rmi -f a b"),
        ("container ls -a", "ps -a"),
        ("container rm -f x", "rm -f x"),
        ("ls", "ps"),
        ("image prune -f", "prune -f"),
        ("image inspect x", "inspect x"),
        ("container run -it alpine", "run -it alpine"),
        ("container diff x", "diff x"),
        ("container prune", "prune"),
        ("system df", "df"),
        ("system prune", "prune"),
        ("system info", "doctor"),
        ("image", "help image"),
        ("image --help", "help image"),
        ("container -h", "help container"),
        ("volume ls", "volume ls"),
        ("run ps", "run ps"),
    ],
)
def test_meant(line: str, expected: str) -> None:
    assert meant(line.split()) == expected.split()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tset", "'tset' is not a mydocker command; did you mean 'test'?"),
        ("pul alpine", "'pul' is not a mydocker command; did you mean 'pull'?"),
        ("imgaes", "'imgaes' is not a mydocker command; did you mean 'images'?"),
        ("imagse ls", "'imagse' is not a mydocker command; did you mean 'image'?"),
        ("systm df", "'systm' is not a mydocker command; did you mean 'system'?"),
        ("image pul", "'image pul' is not a mydocker command; did you mean 'image pull'?"),
        ("image zzzz", "'image zzzz' is not a mydocker command"),
        ("zzzz", "'zzzz' is not a mydocker command"),
        ("", "'' is not a mydocker command"),
        ("--versoin", "unknown option: --versoin; did you mean '--version'?"),
        ("-D run", "unknown option: -D"),
        ("a\nb", "'a\\nb' is not a mydocker command"),
    ],
)
def test_refusals(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        meant(line.split(" "))
    assert (caught.value.message, caught.value.exit_code) == (message, 125)
    assert caught.value.hint and caught.value.hint.startswith("see 'mydocker ")


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("bake", "mydocker compose build"),
        ("buildx bake", "mydocker compose build"),
        ("system events", "mydocker doctor"),
    ],
)
def test_what_docker_has_besides_gets_the_way_out(line: str, way_out: str) -> None:
    with pytest.raises(UsageError) as caught:
        meant(line.split())
    assert caught.value.message.endswith("' is not a mydocker command")
    assert way_out in (caught.value.hint or "")


@pytest.mark.parametrize("word", INSTEAD)
def test_the_commands_that_a_way_out_names_exist(word: str) -> None:
    """`mydocker COMMAND` and its options, in quotes."""
    pages = all_pages()
    for part in re.findall(r"'(mydocker [^']+)'", INSTEAD[word]):
        words = part.split()
        page = pages[words[1]]
        known = {flag for entry in page.options for flag in entry.flags}
        before_image = words[2 : words.index("IMAGE")] if "IMAGE" in words else words[2:]
        assert {each for each in before_image if each.startswith("-")} <= known, part


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"run", "create", "record", "explain"}))
def test_each_command_names_the_nearest_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it complains of anything else: a misspelt option, and none of the arguments that it needs."""
    words = (name, "ls") if name == "volume" else (name,)
    assert main([*words, "--hepl"]) in (2, 125)
    assert "unknown option: --hepl; did you mean '--help'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pull --platfrom x alpine", "did you mean '--platform'?"),
        ("test --last-faild tests", "did you mean '--last-failed'?"),
        ("test -Z tests", "unknown option: -Z"),
        ("rmi --forse", "did you mean '--force'?"),
        ("volume rm --forse x", "did you mean '--force'?"),
        ("volume list --quite", "did you mean '--quiet'?"),
        ("run --entripoint x alpine", "did you mean '--entrypoint'?"),
        ("record --entripoint x alpine", "did you mean '--entrypoint'?"),
        ("explain --shel x", "did you mean '--shell'?"),
        ("explain run --entripoint x", "did you mean '--entrypoint'?"),
        ("prune -a", "mydocker rmi IMAGE"),
        ("system prune --volumes", "mydocker volume prune"),
        ("login -p x", "--password-stdin"),
        ("login --password=x", "--password-stdin"),
    ],
)
def test_unknown_options(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) in (2, 125)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("save -o -- x", "expected one argument"), ("volume rm -- -x", "-x"), ("test -k -1 nonesuch", "no such file")],
)
def test_what_is_no_option_is_not_taken_for_one(line: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) != 0
    said = capsys.readouterr().err
    assert complaint in said and "unknown option" not in said


def test_they_are_the_same_as_a_user_types_them(mydocker: Command) -> None:
    for one, other in (("image ls", "images"), ("-v", "version"), ("-h", "help"), ("help run", "run --help")):
        first, second = mydocker(*one.split()), mydocker(*other.split())
        assert first == second and first.code == 0 and first.stdout, one
    done = mydocker("image", "inspect", "nonesuch")
    assert (done.code, done.stdout) == (1, b"[]\n") and done == mydocker("inspect", "nonesuch")
    done = mydocker("tset")
    assert (done.code, done.stdout) == (125, b"")
    assert (
        done.stderr
        == b"mydocker: 'tset' is not a mydocker command; did you mean 'test'?\nhint: see 'mydocker --help'\n"
    )
