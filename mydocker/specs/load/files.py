"""Sources: the files that containers are read from, each parsed once, with what was wrong in it.

A file that is named on the command line may lead to others (`extends`, `include`); the library knows them all.
"""

from __future__ import annotations

import functools
import os
import sys

from mydocker.errors import Problem, UsageError
from mydocker.paths import absolute, current_directory, usable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.files import read_compose_file, why_unreadable
from mydocker.specs.formats.structure_test.keys import MARK
from mydocker.specs.nodes.node import Mapping, Node, Scalar, problem_at
from mydocker.specs.nodes.reader import OpenFile, Reading
from mydocker.specs.nodes.yaml import SIZE_LIMIT, parse_documents
from mydocker.specs.values.parsers import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Variables

    from mydocker.specs.model.parts import Dependency

CHAIN_LIMIT = 64  # containers that extend each other in turn, and files that include each other


class Source(OpenFile):
    """One file: its documents, each with what it is to be read with; `shown` is its name in messages."""

    def __init__(self, path: str, shown: str, library: Library, environ: Variables[str, str]) -> None:
        """Raises UsageError if it cannot be read at all."""
        super().__init__(library.paths, library.cache)
        self.path, self.shown, self.library = path, shown, library
        self.problems: list[Problem] = []
        raw, place = _read(path), place_of(path, environ)
        reading = Reading(place=place, problems=self.problems, source=self)
        if path.endswith(".container"):
            self.documents = _unit(raw, path, reading)
        else:
            self.documents = _documents(raw, reading, library.image)
        if not self.documents and not self.problems:
            self.problems.append(problem_at(1, 1, "there is no container in this file"))

    def beside(self, written: str) -> tuple[str, str]:
        """(path, name in messages) of a file that this one names."""
        directory = "" if self.path == "-" else os.path.dirname(self.path)
        return os.path.join(directory, written), os.path.normpath(os.path.join(os.path.dirname(self.shown), written))

    @functools.cached_property
    def names(self) -> dict[str, tuple[Node, Reading]]:
        """The documents by their names; of two with one name, the first."""
        found: dict[str, tuple[Node, Reading]] = {}
        for document, reading in self.documents:
            for key, node in document.entries if isinstance(document, Mapping) else ():
                if key.text == "name" and isinstance(node, Scalar):
                    found.setdefault(reading.replace(problems=[]).text(node), (document, reading))
        return found

    @functools.cached_property
    def taken(self) -> dict[str, str]:
        """The names of its containers, and of those that it has included so far, each with the file that has it."""
        return dict.fromkeys(self.names, self.shown)

    @property
    def mistakes(self) -> list[Problem]:
        """What is wrong, in the order of its lines. An alias shows one mistake in several places; it is one mistake."""
        return self._in_order(self.problems)

    @property
    def doubts(self) -> list[Problem]:
        """What is probably not meant, in the same way."""
        return self._in_order(self.warnings)

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        found = (problem.replace(origin=problem.origin.within(self.shown)) for problem in problems)
        return list(dict.fromkeys(sorted(found, key=lambda problem: (problem.origin.line, problem.origin.column))))


def source_of(reading: Reading) -> Source | None:
    """The file that READING is of; None for the values of a program."""
    source = reading.source
    assert source is None or isinstance(source, Source)
    return source


class Library:
    """The sources of one loading, of the files at PATHS and those that these name.

    `image` is for files that name none.
    """

    def __init__(self, paths: Iterable[str] = (), *, image: str | None = None) -> None:
        self.image = image
        self.paths = [*paths]
        self.cache: dict[str, object] = {}
        self.sources: dict[str, Source] = {}
        self.included: set[str] = set()  # files whose containers are in
        self.dependencies: list[Dependency] = []  # of all containers, also those in which something else is wrong
        self.found: list[Source | Problem] = []  # in the order of their finding; a problem: why one cannot be read

    def open(self, path: str, shown: str, *, environ: Variables[str, str]) -> Source:
        """The source at PATH. Raises UsageError if it cannot be read."""
        key = key_of(path)
        if key not in self.sources:
            self.sources[key] = Source(path, shown, self, environ)
            self.found.append(self.sources[key])
        return self.sources[key]

    def is_in(self, source: Source) -> bool:
        """Whether its containers are in already; from now on they are."""
        before = len(self.included)
        self.included.add(key_of(source.path))
        return len(self.included) == before

    @property
    def mistakes(self) -> Iterator[Problem]:
        """Everything that is wrong in any file."""
        for found in self.found:
            yield from [found] if isinstance(found, Problem) else found.mistakes

    @property
    def doubts(self) -> Iterator[Problem]:
        for source in self.sources.values():
            yield from source.doubts


def key_of(path: str) -> str:
    """What tells a file from all others."""
    return path if path == "-" else os.path.realpath(usable(path))


def _read(path: str) -> bytes:
    """The bytes of a file, at most one more than are allowed."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(SIZE_LIMIT + 1)
        with open(path, "rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
            # no tab of JSON stands in a text, and YAML has none between words
            return raw.replace(b"\t", b" ") if path.endswith(".json") else raw
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"cannot read it: {why_unreadable(error)}") from None


def place_of(path: str, environ: Variables[str, str]) -> Place:
    """Paths count from the file's directory, and `.env` beside it lies under the environment, as in Compose."""
    directory = current_directory() if path == "-" else os.path.dirname(absolute(path))
    beside = os.path.join(directory, ".env")
    if not directory or not os.path.isfile(beside):
        return Place(directory=directory, environ=environ)
    return Place(directory=directory, environ={**read_compose_file(beside, lookup=environ.get), **environ})


def _unit(raw: bytes, path: str, reading: Reading) -> list[tuple[Node, Reading]]:
    from mydocker.specs.formats.quadlet import container_file

    found = container_file.document(raw, absolute(path), reading)
    return [(found, reading)] if found else []


def _documents(raw: bytes, reading: Reading, image: str | None) -> list[tuple[Node, Reading]]:
    documents, problems = parse_documents(raw)
    reading.problems.extend(problems)
    return [each for document in documents for each in _translated(document, reading, image)]


def _translated(document: Node, reading: Reading, image: str | None) -> list[tuple[Node, Reading]]:
    """The documents that a document stands for, and what each is read with: itself, but for other people's files."""
    if not isinstance(document, Mapping):
        return [(document, reading)]
    marks = {key.text for key, _ in document.entries}
    if MARK in marks:
        from mydocker.specs.formats.structure_test import test_file

        return [(each, reading) for each in test_file.documents(document, reading, image=image)]
    if "services" in marks:
        from mydocker.specs.formats.compose import services

        return [*services.documents(document, reading)]
    return [(document, reading)]
