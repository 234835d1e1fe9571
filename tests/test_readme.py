"""The README and the pages of docs/: each block is run or checked, and the few that cannot be say why."""

from __future__ import annotations

import itertools
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from lab import busybox
from lab.command import Command, command
from lab.markdown import Block, blocks, spans
from lab.oci import Program, layer
from lab.places import ROOT
from lab.registry import Registry

from mydocker.cli import OTHERS, RUNNING

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("readme")]  # one world

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = (*RUNNING, *OTHERS)
LANGUAGES = ("sh", "yaml", "python", "console")

# blocks that are not run, by a part of their text, and why
LISTED = {
    ".venv/bin/pip install '.[test]'": "installs packages of the system; .ci/run does the same, as test_house.py holds",
    "docker build -t mydocker .": "takes a daemon and minutes; tests/test_nested.py does it",
}
# parts of blocks that only readers can fill in, or that change the machine, and what stands there for the test
REPLACED = (
    (r"app@sha256:…", "app@{digest} echo"),
    (r"^\$\(command -v sudo\) apt-get .*&&$", "true &&"),
    (r"^python3 -m venv .*&&$", "true &&"),
    (r"^\$\(command -v sudo\) \.venv/bin/mydocker", "mydocker"),
    (r"ghcr\.io$", "{registry}"),
    (r"ghcr\.io ", "{registry} "),
    (r" …", " alpine true"),
)
PRINTED = {  # by a block's part, what its output has
    "mydocker up app.yaml": "hello from box\n",
    "up examples/hello.yaml": "hello from a container\n",
    "mydocker test answers.smoke.yaml": "1 passed",
    "mydocker push team/app:2": "ID=alpine",
}
# flags of other programs, and those that the page says are not there
NOT_OURS = {"--upgrade-deps", "--lf", "--with-docker"}
NOT_THERE = {"--detach", "--cpu-shares", "--cpu-quota", "--memory-reservation", "--blkio-weight", "--domainname"}
NOT_THERE |= {"--dns-search", "--gpus"}

JQ = """#!{python}
import json, sys
assert sys.argv[1:] == [".[].Config.Env"]
print([each["Config"]["Env"] for each in json.load(sys.stdin)])
"""
FILES = {
    "script.py": "print('from a file')\n",
    "src/todo": "write tests\n",
    "first.yaml": "image: alpine\ncommand: [echo, first]\n",
    "second.yaml": "image: alpine\ncommand: [echo, second]\n",
    "compose.yaml": "services: {a: {image: alpine, depends_on: [b]}, b: {image: alpine, command: sleep 9}}\n",
    "web.container": "[Container]\nImage=docker.io/library/alpine\nExec=echo web\n",
    "tests/first.smoke.yaml": "image: alpine\ncommand: echo a\nexpect: {stdout: a}\n",
    "cst.yaml": "schemaVersion: 2.0.0\nfileExistenceTests: [{name: a, path: /etc/passwd, shouldExist: true}]\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Command]:
    """A directory with the files that the pages speak of, their images in a registry, and `mydocker` in PATH."""
    directory = tmp_path_factory.mktemp("world")
    programs = {
        "bin/app": "#!/bin/sh\necho 1.2.3\n",
        "usr/local/bin/python": "#!/bin/sh\ncat\n",
        "sbin/apk": "#!/bin/sh\necho 3\n",
    }
    image = busybox.alpine(layer({name: Program(text.encode()) for name, text in programs.items()}))
    names = ["library/alpine:3.20", "library/debian:latest", "library/python:3.12", "library/nginx:1.27", "team/app:2"]
    for name in [*names, "library/postgres:17", "library/app:dev", "library/app:latest", "team/app:latest"]:
        repository, _, tag = name.partition(":")
        registry.push(image, repository, tag=tag)
    ready = command(directory, registry=registry.address)
    hosts = f'[[registry]]\nprefix = "registry.example.com"\nlocation = "{registry.address}"\ninsecure = true\n'
    with (directory / "config/containers/registries.conf").open("a") as file:
        file.write(hosts)
    named = {_name(block): block.text for block in BLOCKS if block.language == "yaml"}
    for name, text in {**FILES, **named, "bin/jq": JQ.format(python=sys.executable)}.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    (directory / "bin/jq").chmod(0o755)
    (directory / "examples").symlink_to(ROOT / "examples")
    environment = {
        **ready.environment,
        "PATH": f"{directory}/bin:{ready.program.parent}:{ready.environment['PATH']}",
        "TOKEN": "token",
        "API_TOKEN": "token",
        "DIGEST": image.digest,
        "REGISTRY": registry.address,
        "TMPDIR": str(directory),
    }
    made = Command(pathlib.Path("/bin/sh"), environment, directory, store=ready.store)
    assert (
        made(
            "-c", "mydocker pull alpine:3.20 && mydocker tag alpine:3.20 team/app:2 && mydocker tag alpine:3.20 alpine"
        ).code
        == 0
    )
    yield made


def _name(block: Block) -> str:
    """The file that a block of YAML is, which its first line names."""
    first = re.match(r"# (\S+\.ya?ml)\n", block.text)
    return first[1] if first else f"block-{block.file.stem}-{block.line}.yaml"


def _of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and not _reason(block)]


def _reason(block: Block) -> str:
    return next((reason for part, reason in LISTED.items() if part in block.text), "")


def _script(text: str, environment: Mapping[str, str]) -> str:
    for pattern, instead in REPLACED:
        filled = instead.format(digest=environment["DIGEST"], registry=environment["REGISTRY"])
        text = re.sub(pattern, filled, text, flags=re.MULTILINE)
    return text


def test_each_block_is_run_checked_or_listed() -> None:
    """And nothing is listed that is not there."""
    assert [block.id for block in BLOCKS if block.language not in LANGUAGES and not _reason(block)] == []
    for part in [*LISTED, *PRINTED]:
        assert len([block for block in BLOCKS if part in block.text]) == 1, part
    assert len(BLOCKS) > 20


@pytest.mark.parametrize("block", _of("sh"), ids=lambda block: block.id)
def test_commands(world: Command, block: Block) -> None:
    done = world("-euc", _script(block.text, world.environment), timeout=100)
    assert done.code == 0, done
    for part, printed in PRINTED.items():
        if part in block.text:
            assert printed.encode() in done.stdout, done


@pytest.mark.parametrize("block", _of("yaml"), ids=lambda block: block.id)
def test_spec_files(world: Command, block: Block) -> None:
    """Without a warning; a fragment is completed by an image."""
    complete = re.search(r"^(image|rootfs|extends|services|include):", block.text, re.MULTILINE)
    text = block.text if complete else f"image: alpine\n{block.text}"
    name = f"checked-{_name(block)}"
    (world.directory / name).write_text(text)
    done = world("-c", f"mydocker check {name}")
    assert (done.stderr, done.code) == (b"", 0), done


@pytest.mark.parametrize("block", _of("python"), ids=lambda block: block.id)
def test_python(world: Command, block: Block) -> None:
    file = world.directory / f"test_block_{block.line}.py"
    file.write_text(block.text)
    test = "def test_" in block.text
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(world.directory)] if test else []
    done = subprocess.run(
        [sys.executable, *words, str(file)],
        cwd=world.directory,
        env=dict(world.environment),
        capture_output=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_sessions(world: Command) -> None:
    """What a command prints is what stands below it; `…` is anything."""
    for block in _of("console"):
        for typed, printed in _sessions(block.text):
            done = world("-euc", f"exec 2>&1; {_script(typed, world.environment)}")
            assert _is_like(printed, done.stdout.decode()), (block.id, typed, done)


def _sessions(text: str) -> list[tuple[str, str]]:
    """Each command of a session, from its `$ ` on, with what it prints."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert parts[0] == "", "a session begins with a command"
    return [(typed, printed) for typed, _, printed in (part.partition("\n") for part in parts[1:])]


def _is_like(printed: str, text: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in printed.split("…"))
    return re.fullmatch(pattern, text, re.DOTALL) is not None


@pytest.fixture(scope="module")
def helps(world: Command) -> dict[str, str]:
    return {name: world("-c", f"mydocker {name} --help").stdout.decode() for name in COMMANDS}


def test_commands_in_the_text_exist(helps: dict[str, str]) -> None:
    """`mydocker COMMAND --flags`: the command is one, and has these flags."""
    for page in PAGES:
        for span in spans(page):
            words = span.split()
            if words[0] != "mydocker" or len(words) < 2:
                continue
            assert words[1] in COMMANDS, f"{page.name}: {span}"
            for word in itertools.takewhile(lambda word: word not in ("IMAGE", "alpine"), words[2:]):
                if word.startswith("--"):
                    assert _has(helps[words[1]], word), f"{page.name}: {span}"


def test_flags_in_the_text_exist(helps: dict[str, str]) -> None:
    flags = {word for page in PAGES for span in spans(page) if span.startswith("--") for word in span.split()[:1]}
    known = "\n".join(helps.values())
    assert {flag for flag in flags if flag != "---" and not _has(known, flag)} <= NOT_OURS | NOT_THERE
    assert not any(_has(known, flag) for flag in NOT_THERE)


def _has(text: str, flag: str) -> bool:
    return flag.partition("=")[0] == "--help" or bool(re.search(rf"{flag.partition('=')[0]}(?![\w-])", text))


@pytest.mark.parametrize(
    "span",
    [
        "mydocker lock --check app.yaml tests",
        "mydocker record -o tool.smoke.yaml alpine apk --version",
        "mydocker test --image alpine cst.yaml",
        "mydocker doctor || :",
        "mydocker volume ls",
        "python examples/from_python.py",
    ],
)
def test_commands_of_the_text_run(world: Command, span: str) -> None:
    """Those that are whole, but for what only readers can fill in."""
    text = " ".join(itertools.chain.from_iterable(spans(page) for page in PAGES))
    assert span.removesuffix(" || :").replace("--image alpine", "--image IMAGE") in text
    world("-c", "mydocker lock app.yaml tests")
    done = world("-euc", span.replace("python ", f"{sys.executable} "), timeout=100)
    assert done.code == 0, done


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
    [(typed, printed), *_] = _sessions("$ echo a\na in … s\n$ true\n")
    assert (typed, printed) == ("echo a", "a in … s\n")
    assert _is_like(printed, "a in 0.3 s\n") and not _is_like(printed, "b in 0.3 s\n")
