"""Loaded files: the files that containers are read from, each parsed once, with the problems in it.

A file that is named on the command line may lead to others (`extends`, `include`); LoadedFiles holds them all.
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
from mydocker.specs.nodes.reader import OpenFile, Reader
from mydocker.specs.nodes.yaml import SIZE_LIMIT, parse_documents
from mydocker.specs.values import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Variables

    from mydocker.specs.model.parts import Dependency

CHAIN_LIMIT = 64  # containers that extend each other in turn, and files that include each other


class LoadedFile(OpenFile):
    """One file: its documents, each with its reader; `shown` is the file's name in messages."""

    def __init__(self, path: str, shown: str, loaded: LoadedFiles, environ: Variables[str, str]) -> None:
        """Raises UsageError if it cannot be read at all."""
        super().__init__(loaded.paths, loaded.cache)
        self.path, self.shown, self.loaded = path, shown, loaded
        self.problems: list[Problem] = []
        raw, self.scope = _read(path), scope_of(path, environ)
        reader = Reader(scope=self.scope, problems=self.problems, file=self)
        if path.endswith(".container"):
            self.documents = _unit(raw, path, reader)
        else:
            self.documents = _documents(raw, reader, loaded.image)
        if not self.documents and not self.problems:
            self.problems.append(problem_at(1, 1, "there is no container in this file"))

    def resolve(self, written: str) -> tuple[str, str]:
        """(path, name in messages) of a file that this one names."""
        directory = "" if self.path == "-" else os.path.dirname(self.path)
        return os.path.join(directory, written), os.path.normpath(os.path.join(os.path.dirname(self.shown), written))

    @functools.cached_property
    def names(self) -> dict[str, tuple[Node, Reader]]:
        """The documents by their names; of two with one name, the first."""
        found: dict[str, tuple[Node, Reader]] = {}
        for document, reader in self.documents:
            for key, node in document.entries if isinstance(document, Mapping) else ():
                if key.text == "name" and isinstance(node, Scalar):
                    found.setdefault(reader.replace(problems=[]).text(node), (document, reader))
        return found

    @functools.cached_property
    def taken(self) -> dict[str, str]:
        """The names of its containers, and of those that it has included so far, each with the file that has it."""
        return dict.fromkeys(self.names, self.shown)

    @property
    def mistakes(self) -> list[Problem]:
        """The problems, in the order of their lines. A mistake that an alias repeats counts once."""
        return self._in_order(self.problems)

    @property
    def doubts(self) -> list[Problem]:
        """The warnings, in the same order."""
        return self._in_order(self.warnings)

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        found = (problem.replace(origin=problem.origin.within(self.shown)) for problem in problems)
        return list(dict.fromkeys(sorted(found, key=lambda problem: (problem.origin.line, problem.origin.column))))


def file_of(reader: Reader) -> LoadedFile | None:
    """The file that READER reads; None for the values of a program."""
    file = reader.file
    assert file is None or isinstance(file, LoadedFile)
    return file


class LoadedFiles:
    """The files of one load: those at PATHS and those that these name.

    `image` is the default for files that name none.
    """

    def __init__(self, paths: Iterable[str] = (), *, image: str | None = None) -> None:
        self.image = image
        self.paths = [*paths]
        self.cache: dict[str, object] = {}
        self.files: dict[str, LoadedFile] = {}
        self.included: set[str] = set()  # files whose containers have been added
        self.dependencies: list[Dependency] = []  # of all containers, also those in which something else is wrong
        self.found: list[LoadedFile | Problem] = []  # in the order of opening; a problem: why one cannot be read

    def open(self, path: str, shown: str, *, environ: Variables[str, str]) -> LoadedFile:
        """The file at PATH. Raises UsageError if it cannot be read."""
        key = key_of(path)
        if key not in self.files:
            self.files[key] = LoadedFile(path, shown, self, environ)
            self.found.append(self.files[key])
        return self.files[key]

    def is_in(self, file: LoadedFile) -> bool:
        """Whether its containers have been added already; marks them as added."""
        before = len(self.included)
        self.included.add(key_of(file.path))
        return len(self.included) == before

    @property
    def mistakes(self) -> Iterator[Problem]:
        """Everything that is wrong in any file."""
        for found in self.found:
            yield from [found] if isinstance(found, Problem) else found.mistakes

    @property
    def doubts(self) -> Iterator[Problem]:
        for file in self.files.values():
            yield from file.doubts


def key_of(path: str) -> str:
    """The key that identifies a file."""
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


def scope_of(path: str, environ: Variables[str, str]) -> Scope:
    """The scope of a file: paths are relative to its directory, whose `.env` sets defaults for the environment, as in
    Compose."""
    directory = current_directory() if path == "-" else os.path.dirname(absolute(path))
    env_file = os.path.join(directory, ".env")
    if not directory or not os.path.isfile(env_file):
        return Scope(directory=directory, environ=environ)
    return Scope(directory=directory, environ={**read_compose_file(env_file, lookup=environ.get), **environ})


def _unit(raw: bytes, path: str, reader: Reader) -> list[tuple[Node, Reader]]:
    from mydocker.specs.formats.quadlet import container_file

    found = container_file.document(raw, absolute(path), reader)
    return [(found, reader)] if found else []


def _documents(raw: bytes, reader: Reader, image: str | None) -> list[tuple[Node, Reader]]:
    documents, problems = parse_documents(raw)
    reader.problems.extend(problems)
    return [each for document in documents for each in _translated(document, reader, image)]


def _translated(document: Node, reader: Reader, image: str | None) -> list[tuple[Node, Reader]]:
    """The documents that a document stands for, each with its reader: itself, but for files of other formats."""
    if not isinstance(document, Mapping):
        return [(document, reader)]
    marks = {key.text for key, _ in document.entries}
    if MARK in marks:
        from mydocker.specs.formats.structure_test import test_file

        return [(each, reader) for each in test_file.documents(document, reader, image=image)]
    if "services" in marks:
        from mydocker.specs.formats.compose import services

        return [*services.documents(document, reader)]
    return [(document, reader)]
