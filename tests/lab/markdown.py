"""What stands in a Markdown page to be run or copied: fenced blocks of code (CommonMark 0.31, 4.5) and code spans."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """`line` is that of its first fence, `language` the first word after it."""

    file: pathlib.Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.file.name}:{self.line}"


def blocks(file: pathlib.Path) -> list[Block]:
    """All of FILE. One that is not closed is an error, and so is code by indentation, which has no language."""
    return [part for part in _parts(file) if isinstance(part, Block)]


def spans(file: pathlib.Path) -> list[str]:
    """The code spans outside of blocks, each on one line."""
    prose = "\n".join(part for part in _parts(file) if isinstance(part, str))
    return [" ".join(found[2].split()) for found in _SPAN.finditer(prose)]


def _parts(file: pathlib.Path) -> Iterator[Block | str]:
    lines = iter(enumerate(file.read_text().split("\n"), start=1))
    before = ""
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened:
            yield _block(file, number, opened, lines)
        else:
            assert not (line.startswith(("    ", "\t")) and not before), f"{file}:{number}: code without a fence"
            yield line
        before = line.strip()


def _block(file: pathlib.Path, first: int, opened: re.Match[str], lines: Iterator[tuple[int, str]]) -> Block:
    indent, fence, info = opened.groups()
    body = []
    for _, line in lines:
        bare = line.strip()
        if bare and set(bare) == {fence[0]} and len(bare) >= len(fence):
            language = info.split()[0] if info.split() else ""
            return Block(file, first, language, "".join(f"{each}\n" for each in body))
        body.append(line.removeprefix(indent))
    raise AssertionError(f"{file}:{first}: the block is never closed")
