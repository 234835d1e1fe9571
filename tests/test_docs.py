"""The README and the pages of docs/: each block is run or checked, and the few that cannot be say why."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
import yaml
from lab import busybox
from lab.builder import BUILDERS, storage
from lab.command import NO_OTHER_PLUGINS, Command, command
from lab.markdown import Block, blocks, spans
from lab.oci import Program, layer
from lab.pages import LANGUAGES, PAGES, name_of, script_of, workflow_steps, write_files
from lab.places import ROOT
from lab.registry import Registry, serve

from mydocker.cli.common.docker_commands import GROUPS
from mydocker.cli.manual.catalogue import NAMES as COMMANDS
from mydocker.cli.manual.pages import all_pages
from mydocker.cli.manual.text import rendered
from mydocker.specs.formats.quadlet.container_file import CONTAINER
from mydocker.specs.formats.structure_test.keys import STRUCTURE_KEYS
from mydocker.specs.model.unsupported import COMPOSE_KEYS, UNSUPPORTED_FLAGS, UNSUPPORTED_KEYS

pytestmark = pytest.mark.root

BLOCKS = [block for page in PAGES for block in blocks(page)]

# blocks that are not run, by a part of their text, and why
LISTED = {
    ".venv/bin/pip install '.[test]'": "installs packages of the system; .ci/run does the same, as test_house.py holds",
    "docker build -t mydocker .": "takes a daemon and minutes; tests/test_nested.py does it",
    "# goss.yaml": "a file of goss's, for comparison",
    "[runners.docker]": "for GitLab's runner, which is not here; it is read as TOML",
    "pip install -e '.[test]'": "makes the environment that the tests run in",
    "tests/bench/": "measures for minutes",
    "--slurm=--time=30": "needs a cluster; tests/testing/engines has one",
    "--runner-image registry.example/mydocker:1 --report": "needs a cluster; tests/testing/engines plays one",
    "make unit": "runs the tests, this one among them; test_make.py looks at the Makefile",
    "tests/parity": "takes minutes with each of Docker and Podman; .ci/parity does it",
}
TEXT = "text"  # what is only to be read: diagrams
# flags of other programs
NOT_OURS = {"--upgrade-deps", "--lf", "--with-docker", "--vars"}
NOT_OURS |= {"--isolation", "--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops"}  # Docker's on Windows
NOT_OURS |= {"--context"}  # kubectl's
NOT_OURS |= {"--json", "--only"}  # those of tests/bench
MIGRATE = ROOT / "docs" / "migrate.md"
IMAGES = """
library/alpine:3.20 library/alpine:latest library/debian:latest library/python:3.12 library/nginx:1.27 team/app:2
team/app:latest library/postgres:17 library/app:dev library/app:latest
"""
PROGRAMS = {
    "bin/app": "#!/bin/sh\necho 1.2.3\n",
    "usr/local/bin/python": "#!/bin/sh\ncat\n",
    "sbin/apk": "#!/bin/sh\necho 3\n",
}
_STORE = """
mydocker pull -q alpine:3.20
for name in alpine team/app:2; do mydocker tag alpine:3.20 $name; done
"""
_NO_BUILDER = pytest.mark.skip(reason="needs buildah")
World = Callable[[pathlib.Path], Command]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For a page, a shell in a directory of its own: with the files that the page speaks of, their images in a
    registry of these tests alone, some of them pulled, and `mydocker` in PATH."""
    image = busybox.alpine(layer({name: Program(text.encode()) for name, text in PROGRAMS.items()}))
    made: dict[pathlib.Path, Command] = {}
    with serve(tmp_path_factory.mktemp("registry-of-pages")) as registry, storage() as builder_store:
        for name in IMAGES.split():
            repository, _, tag = name.partition(":")
            registry.push(image, repository, tag=tag)
        first = _shell(tmp_path_factory.mktemp("first"), registry, image.digest, builder_store)
        done = first("-euc", _STORE)
        assert done.code == 0, done

        def world(page: pathlib.Path) -> Command:
            if page not in made:
                made[page] = _shell(tmp_path_factory.mktemp(page.stem), registry, image.digest, builder_store)
                subprocess.run(["cp", "-a", first.store, made[page].store], check=True)
                _prepare(page, made[page])
            return made[page]

        yield world


def _shell(directory: pathlib.Path, registry: Registry, digest: str, builder_store: dict[str, str]) -> Command:
    ready = command(directory, registry=registry.address)
    environment = {
        **ready.environment,
        **builder_store,
        "PATH": f"{directory}/bin:{ready.program.parent}:{ready.environment['PATH']}",
        "TOKEN": "token",
        "API_TOKEN": "token",
        "DIGEST": digest,
        "REGISTRY": registry.address,
        "TMPDIR": str(directory),
        "USER": "me",
        "GITHUB_STEP_SUMMARY": f"{directory}/summary.md",
    }
    return Command(pathlib.Path("/bin/sh"), environment, directory, store=ready.store)


def _prepare(page: pathlib.Path, shell: Command) -> None:
    write_files(page, shell.directory, shell.environment)
    done = shell("-c", "mydocker lock tests")
    assert done.code == 0, done


def _reason(block: Block) -> str:
    return next((reason for part, reason in LISTED.items() if part in block.text), "")


def _of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and not _reason(block)]


def _each(language: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", [_param(block) for block in _of(language)])


def _param(block: Block) -> Any:
    """BLOCK as a parameter; those of the page on builds need a builder."""
    needs_builder = block.file.name == "build.md"
    return pytest.param(block, id=block.id, marks=[_NO_BUILDER] if needs_builder and not BUILDERS else [])


def test_each_block_is_run_checked_or_listed() -> None:
    """And nothing is listed that is not there."""
    known = (*LANGUAGES, TEXT)
    assert [block.id for block in BLOCKS if block.language not in known and not _reason(block)] == []
    assert [part for part in LISTED if not any(part in block.text for block in BLOCKS)] == []
    assert len(BLOCKS) > 70


@_each("sh")
def test_commands(worlds: World, block: Block) -> None:
    shell = worlds(block.file)
    done = shell("-euc", script_of(block.text, shell.environment), timeout=240)
    assert done.code == 0, done


@_each("console")
def test_sessions(worlds: World, block: Block) -> None:
    """What a command prints is what stands below it; `…` is anything, times differ, and so may the last line end."""
    shell = worlds(block.file)
    typed, printed = zip(*_session(block.text), strict=True)
    text = "".join(f"{each}\n__=$?; printf '\\001'; (exit $__)\n" for each in typed)
    done = shell("-uc", f"exec 2>&1\n{script_of(text, shell.environment)}", timeout=240)
    outputs = done.stdout.decode().split("\1")
    assert len(outputs) == len(typed) + 1, done
    for what, expected, output in zip(typed, printed, outputs, strict=False):
        assert _is_like(script_of(expected, shell.environment), output), (block.id, what, output)


def _session(text: str) -> list[tuple[str, str]]:
    """Each command of a session, from its `$ ` on, with what it prints; `> ` goes on with a command."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert parts[0] == "", "a session begins with a command"
    return [_command(part) for part in parts[1:]]


def _command(part: str) -> tuple[str, str]:
    lines = part.splitlines(keepends=True)
    further = [*itertools.takewhile(lambda line: line.startswith("> "), lines[1:])]
    typed = lines[0] + "".join(line.removeprefix("> ") for line in further)
    return typed.rstrip("\n"), "".join(lines[1 + len(further) :])


def _is_like(printed: str, text: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in printed.removesuffix("\n").split("…")) + "\n?"
    pattern = re.sub(r"\d+\\\.\d+\\ s\b", r"\\d+\\.\\d+ s", pattern)
    return re.fullmatch(pattern, text, re.DOTALL) is not None


@_each("yaml")
def test_yaml_files(worlds: World, block: Block) -> None:
    """A spec is checked, without a warning; a fragment is completed by an image. What a CI service runs is run."""
    shell = worlds(block.file)
    first = next(yaml.safe_load_all(block.text))
    if isinstance(first, dict) and (steps := workflow_steps(first)):
        for step in steps:
            done = shell("-euc", script_of(step, shell.environment), timeout=240)
            assert done.code == 0, done
        return
    complete = re.search(r"^(image|rootfs|extends|services|include|schemaVersion):", block.text, re.MULTILINE)
    name = f"checked-{pathlib.Path(name_of(block)).name}"
    (shell.directory / name).write_text(block.text if complete else f"image: alpine\n{block.text}")
    image = "--image alpine" if "schemaVersion:" in block.text else ""
    done = shell("-c", f"mydocker check {image} {name}")
    assert (done.stderr, done.code) == (b"", 0), done


@_each("ini")
def test_unit_files(worlds: World, block: Block) -> None:
    """A Quadlet file is checked in the directory of its page, where the units are that it names."""
    if not name_of(block).endswith(".container"):
        return
    done = worlds(block.file)("-c", f"mydocker check {name_of(block)}")
    assert (done.stderr, done.code) == (b"", 0), done


@_each("toml")
def test_registries_conf(worlds: World, block: Block, tmp_path: pathlib.Path) -> None:
    """What a page says of registries.conf leads to the registry that is there."""
    shell = worlds(block.file)
    place = tmp_path / "containers"
    place.mkdir()
    (place / "registries.conf").write_text(script_of(block.text, shell.environment))
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "MYDOCKER_ROOT": str(tmp_path / "store")}
    done = shell("-c", "mydocker pull alpine:3.20", env=environment)
    assert done.code == 0, done


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=lambda block: block.id)
def test_toml_is_read(block: Block) -> None:
    tomllib.loads(block.text)


@_each("json")
def test_json_is_read(block: Block) -> None:
    """A part of a file of settings: what is between its braces."""
    json.loads(f"{{{block.text}}}")


@_each("python")
def test_python(worlds: World, block: Block) -> None:
    shell = worlds(block.file)
    file = shell.directory / f"test_block_{block.line}.py"
    file.write_text(block.text)
    test = "def test_" in block.text
    options = ["-q", "-p", "no:cacheprovider", *NO_OTHER_PLUGINS, "--rootdir", str(shell.directory)]
    words = ["-m", "pytest", *options] if test else []
    done = subprocess.run(
        [sys.executable, *words, str(file)],
        cwd=shell.directory,
        env=dict(shell.environment),
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What `mydocker NAME --help all` prints, and the helps of what is below it, as cli/manual/test_help.py holds."""
    return {
        name: "\n".join([rendered(page, everything=True), *(rendered(each) for each in page.subcommands)])
        for name, page in all_pages().items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_exist(helps: dict[str, str], page: pathlib.Path) -> None:
    """`mydocker COMMAND --flags`: the command is one, and has these flags."""
    for span in spans(page):
        words = span.split()
        if words[0] != "mydocker" or len(words) < 2 or words[1].startswith("--"):
            continue
        if words[1] in GROUPS:
            words[1:3] = [GROUPS[words[1]][words[2]]]
        assert words[1] in COMMANDS or words[1] == "COMMAND", f"{page.name}: {span}"
        for word in itertools.takewhile(lambda word: word not in ("IMAGE", "alpine", "--"), words[2:]):
            if word.startswith("--"):
                assert _has(helps[words[1]], word), f"{page.name}: {span}"


def test_flags_in_the_text_exist(helps: dict[str, str]) -> None:
    flags = {word for page in PAGES for span in spans(page) if span.startswith("--") for word in span.split()[:1]}
    known = "\n".join(helps.values())
    assert {flag for flag in flags if flag != "---" and not _has(known, flag)} <= NOT_OURS | UNSUPPORTED_FLAGS
    assert not any(_has(helps["run"], flag) for flag in UNSUPPORTED_FLAGS if flag.startswith("--"))


def test_each_flag_of_docker_run_is_ours_or_on_the_page(helps: dict[str, str]) -> None:
    text = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"(?<!\S)--[a-z0-9-]+", text))
    assert len(flags) > 90
    assert {flag for flag in flags if not _has(helps["run"], flag)} <= set(spans(MIGRATE))


@pytest.mark.parametrize(
    "keys",
    [UNSUPPORTED_KEYS, COMPOSE_KEYS, CONTAINER, STRUCTURE_KEYS],
    ids=["Compose, not supported", "Compose", "Quadlet", "container-structure-test"],
)
def test_each_key_of_another_tool_is_on_the_page(keys: Collection[str]) -> None:
    named = {word for span in spans(MIGRATE) for word in re.findall(r"\w+", span)}
    assert set(keys) - named == set()


def _has(text: str, flag: str) -> bool:
    return flag.partition("=")[0] == "--help" or bool(re.search(rf"{flag.partition('=')[0]}(?![\w-])", text))


_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)")
_DEFINITION = re.compile(r"^\[[^\]]+\]: ([^#\s]*)(?:#([\w-]+))?$", re.MULTILINE)  # `[text][label]` leads to it
_FILES = "https://github.com/mydocker/mydocker/blob/main/"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    """Each link to a file of the repository, and to a heading of it."""
    text = page.read_text()
    for target, heading in (*_LINK.findall(text), *_DEFINITION.findall(text)):
        if "://" in target and not target.startswith(_FILES):
            continue
        path = (
            ROOT / target.removeprefix(_FILES)
            if "://" in target
            else (page.parent / target).resolve()
            if target
            else page
        )
        assert path.exists(), f"{page.name}: {target}"
        if heading:
            assert heading in _headings(path), f"{page.name}: {target}#{heading}"


def _headings(page: pathlib.Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short_and_leads_to_each_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(_DEFINITION.sub("", text).rstrip().splitlines()) < 200
    for page in PAGES:
        if page.parent == ROOT / "docs":
            assert f"docs/{page.name}" in text, page.name


def test_links_of_the_readme_work_on_a_package_index() -> None:
    """Which shows that page alone: no link counts from where it is, and none is without its target."""
    text = (ROOT / "README.md").read_text()
    assert [target for target, _ in _LINK.findall(text) if "://" not in target] == []
    defined = set(re.findall(r"^\[([^\]]+)\]: https://", text, re.MULTILINE))
    used = {
        label or name
        for name, label in re.findall(r"\[([^\[\]\n]+)\](?:\[([^\]\n]+)\])?(?![(:\w])", _without_code(text))
    }
    assert used == defined and len(used) > 10


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```sh\na\n```\n", [("sh", "a\n")]),
        ("~~~ yaml x\n```\n~~~\n", [("yaml", "```\n")]),
        ("````md\n```sh\na\n```\n````\n", [("md", "```sh\na\n```\n")]),
        ("1. x\n\n   ```sh\n   a\n     b\n   ```\n", [("sh", "a\n  b\n")]),
        ("```\n```\n```python\n\n```\n", [("", ""), ("python", "\n")]),
        ("a ```b``` c\n", []),
    ],
)
def test_blocks_are_found(tmp_path: pathlib.Path, text: str, expected: list[tuple[str, str]]) -> None:
    (tmp_path / "x.md").write_text(text)
    assert [(block.language, block.text) for block in blocks(tmp_path / "x.md")] == expected


@pytest.mark.parametrize("text", ["```sh\na\n", "a\n\n    mydocker run\n"])
def test_a_block_that_would_be_missed_is_an_error(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "x.md").write_text(text)
    with pytest.raises(AssertionError, match="closed|without a fence"):
        blocks(tmp_path / "x.md")


def test_sessions_are_compared() -> None:
    assert _session("$ echo a\na in … s\n$ true \\\n> b\n") == [("echo a", "a in … s\n"), ("true \\\nb", "")]
    assert _is_like("a in … s\n", "a in 0.3 s\n") and not _is_like("a in … s\n", "b in 0.3 s\n")
    assert _is_like("a 0.12 s\n", "a 3.00 s\n") and not _is_like("a 0.12 s\n", "a 0.12 m\n")


def test_steps_of_ci_services_are_found() -> None:
    github = {"jobs": {"a": {"steps": [{"uses": "x"}, {"run": "one"}]}}}
    gitlab = {"image": "x", "smoke": {"before_script": ["one"], "script": ["two"]}}
    assert (workflow_steps(github), workflow_steps(gitlab)) == (["one"], ["one\ntwo"])
    github = {"jobs": {"a": {"steps": [{"uses": "mydocker/mydocker@main", "with": {"args": "-x"}}]}}}
    gitlab = {"include": [], "smoke": {"extends": ".mydocker", "variables": {"MYDOCKER_ARGS": "-x"}}}
    assert workflow_steps(github) == workflow_steps(gitlab) == ["mydocker test -x tests"]
    hooks = {"repos": [{"repo": "x", "hooks": [{"id": "mydocker-check"}]}]}
    assert workflow_steps(hooks) == ["mydocker check tests"]
    with pytest.raises(AssertionError):
        workflow_steps({"jobs": {"a": {"steps": [{"uses": "mydocker/mydocker@main", "with": {"path": "x"}}]}}})
    assert workflow_steps({"image": "x", "command": "y"}) == []
