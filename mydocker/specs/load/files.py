"""Loaded files: the files that containers are read from, each parsed once, with the problems in it.

A file that is named on the command line may lead to others (`extends`, `include`); LoadedFiles holds them all.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys

from mydocker.errors import OutsideError, Problem, UsageError
from mydocker.paths import absolute, current_directory, usable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.files import read_compose_file, why_unreadable
from mydocker.specs.formats.quadlet.unit_files import file_of_unit, kind_of, shown
from mydocker.specs.formats.structure_test.keys import MARK
from mydocker.specs.nodes.node import Mapping, Node, Scalar, problem_at
from mydocker.specs.nodes.reader import OpenFile, Reader
from mydocker.specs.nodes.yaml import MERGE_TAGS, SIZE_LIMIT, parse_documents
from mydocker.specs.values import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Mapping as Variables

    from mydocker.errors import Origin
    from mydocker.specs.model.parts import Dependency

    Paths = tuple[tuple[str, str], ...]  # a path, and its name in messages

_OF_COMPOSE = ("services", "include", "networks", "volumes", "configs", "secrets")  # each Compose file has one of them
CHAIN_LIMIT = 64  # containers that extend each other in turn, and files that include each other


class LoadedFile(OpenFile):
    """One file: its documents, each with its reader; `shown` is the file's name in messages.

    It may be several Compose files, one over the other: then `path` and `shown` are those of the first.
    """

    def __init__(self, path: str, shown: str, loaded: LoadedFiles, scope: Scope, over: Paths = ()) -> None:
        """OVER: the path and the name of each further file. Raises UsageError if one cannot be read at all."""
        super().__init__(loaded.paths, loaded.cache, loaded.ignored)
        self.path, self.shown, self.loaded, self.scope = path, shown, loaded, scope
        self.order = (shown, *(each for _, each in over))
        self.problems: list[Problem] = []
        reader = Reader(scope=self.scope, problems=self.problems, file=self, keeps_variables=loaded.keeps_variables)
        self.only_check, self.is_compose, self.absent = loaded.only_check, loaded.is_project, loaded.absent
        self.extended: dict[LoadedFile, None] = {}  # those that have a container that one of this file extends
        self._read: list[tuple[Node, Reader]] = []
        self.reader = reader
        self._texts: list[tuple[bytes, str]] = []
        if not self.is_unit:
            self._texts = [(_read(path), ""), *((_read_over(*each), each[1]) for each in over)]
        self._rest = iter(_unit(path, reader)) if self.is_unit else self._translate()

    def _translate(self) -> Iterator[tuple[Node, Reader]]:
        for document in self._as_written:
            yield from _translated(document, self.reader, self.loaded.image)

    @functools.cached_property
    def _as_written(self) -> Sequence[Node]:
        """The documents before they are translated; those of a Compose file are one."""
        return _merged(self._texts, self.reader) if len(self._texts) > 1 else _parsed(self._texts[0][0], self.reader)

    @property
    def whole(self) -> Mapping | None:
        """A Compose file as it was written; None for a file of another form."""
        documents = () if self.is_unit else self._as_written
        return next((each for each in documents if isinstance(each, Mapping) and each.get("services")), None)

    @property
    def in_turn(self) -> Iterator[tuple[Node, Reader]]:
        """The documents, each read when it is its turn: what a file includes is known before its services are read."""
        at = 0
        while True:
            if at == len(self._read):
                self._read += itertools.islice(self._rest, 1)
            if at == len(self._read):
                break
            yield self._read[at]
            at += 1
        says_something = self._read or self.problems or self.declared or self.is_unit  # which may be a network
        if not says_something:
            self.problems.append(problem_at(1, 1, "there is no container in this file"))

    def open_other(self, written: str) -> LoadedFile:
        """The file that this one names. Raises UsageError if it cannot be read."""
        return self.loaded.open(*self.resolve(written), environ=self.scope.environ)

    @functools.cached_property
    def documents(self) -> list[tuple[Node, Reader]]:
        """All of them."""
        return [*self.in_turn]

    @property
    def is_unit(self) -> bool:
        """Whether it is a Quadlet."""
        return bool(kind_of(self.path))

    def resolve(self, written: str) -> tuple[str, str]:
        """(path, name in messages) of a file that this one names."""
        directory, above = "" if self.path == "-" else os.path.dirname(self.path), os.path.dirname(self.shown)
        if absolute(directory) != self.scope.directory:
            directory = above = self.scope.directory
        return os.path.join(directory, written), os.path.normpath(os.path.join(above, written))

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
    def problem_count(self) -> int:
        """How many problems have been recorded so far, in this file and in those that its containers extend; one may
        count several times."""
        reached: dict[LoadedFile, None] = {self: None}
        waiting = [self]
        while waiting:
            new = [each for each in waiting.pop().extended if each not in reached]
            reached |= dict.fromkeys(new)
            waiting += new
        return sum(len(file.problems) for file in reached)

    @property
    def mistakes(self) -> list[Problem]:
        """The problems, in the order of their lines. A mistake that an alias repeats counts once. What is wrong with a
        text that a variable lacks is so because of what is around the file."""
        unset = self.unset
        return self._in_order([each.replace(outside=each.outside or each.origin in unset) for each in self.problems])

    @property
    def doubts(self) -> list[Problem]:
        """The warnings, in the same order."""
        return self._in_order(self.warnings)

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        found = (problem.replace(origin=problem.origin.within(self.shown)) for problem in problems)
        return list(dict.fromkeys(sorted(found, key=lambda problem: self._place(problem.origin))))

    def _place(self, origin: Origin) -> tuple[int, int, int]:
        file = self.order.index(origin.file) if origin.file in self.order else 0
        return file, origin.line, origin.column


def file_of(reader: Reader) -> LoadedFile | None:
    """The file that READER reads; None for the values of a program."""
    file = reader.file
    assert file is None or isinstance(file, LoadedFile)
    return file


class LoadedFiles:
    """The files of one load: those at PATHS and those that these name.

    `image` is the default for files that name none; `ignored` are keys that are passed over where they are refused.
    """

    def __init__(
        self,
        paths: Iterable[str] = (),
        *,
        image: str | None = None,
        ignored: Iterable[str] = (),
        only_check: bool = False,
        is_project: bool = False,
        defers: bool = False,
        keeps_variables: bool = False,
    ) -> None:
        """ONLY_CHECK: nothing is to run, so this machine may lack what the files need. IS_PROJECT: they are Compose
        files. DEFERS: what this machine lacks for a service of these is noted in its case. KEEPS_VARIABLES: see
        Reader."""
        self.is_project, self.keeps_variables = is_project, keeps_variables
        self.image, self.ignored, self.only_check = image, tuple(ignored), only_check
        self.paths = [*paths]
        self.cache: dict[str, object] = {}
        self.files: dict[str, LoadedFile] = {}
        self.included: set[str] = set()  # files whose containers have been added
        self.absent: list[Problem] | None = [] if defers else None
        self.lacks_files = False  # whether one that another includes cannot be read
        self.dependencies: list[Dependency] = []  # of all containers, also those in which something else is wrong
        self.found: list[LoadedFile | Problem] = []  # in the order of opening; a problem: why one cannot be read
        self._asked = 0  # how many files have been asked what they need

    def open(
        self, path: str, shown: str, *, environ: Variables[str, str], over: Paths = (), scope: Scope | None = None
    ) -> LoadedFile:
        """The file at PATH, under those of OVER. SCOPE is, by default, that of its directory with ENVIRON. Raises
        UsageError if it cannot be read."""
        key = "\0".join((key_of(path), *(key_of(each) for each, _ in over)))
        if key not in self.files:
            self.files[key] = LoadedFile(path, shown, self, scope or scope_of(path, environ), over)
            self.found.append(self.files[key])
        return self.files[key]

    def is_in(self, file: LoadedFile) -> bool:
        """Whether its containers have been added already; marks them as added."""
        before = len(self.included)
        self.included.add(key_of(file.path))
        return len(self.included) == before

    @property
    def mistakes(self) -> Iterator[Problem]:
        """Everything that is wrong in any file; what is wrong for two files counts once."""
        every = ([found] if isinstance(found, Problem) else found.mistakes for found in self.found)
        yield from dict.fromkeys(itertools.chain.from_iterable(every))

    def in_turn(self) -> Iterator[str]:
        """The paths, and then those of further files that the containers in them need; the caller opens each.

        A file that is named twice comes twice, one that another has included does not.
        """
        keys = {path: key_of(path) for path in self.paths}
        known, taken = {*keys.values()}, set[str]()
        for path in self.paths:
            key = keys[path]
            if key in taken or key not in self.included:
                yield path
            taken.add(key)
            for needed in self._newly_needed():
                keys[needed] = key_of(needed)
                if keys[needed] not in known:
                    known.add(keys[needed])
                    self.paths.append(needed)  # which this loop comes to

    def _newly_needed(self) -> list[str]:
        """The paths, as messages have them, of further files that containers need, of the files that have been opened
        since the last call."""
        opened = [*itertools.islice(self.files.values(), self._asked, None)]
        self._asked += len(opened)
        return [shown(path) for file in opened for path in file.needed]

    @property
    def doubts(self) -> Iterator[Problem]:
        yield from dict.fromkeys(itertools.chain.from_iterable(file.doubts for file in self.files.values()))


def key_of(path: str) -> str:
    """The key that identifies a file. Instances of a template are several, though they may be links to one."""
    if kind_of(path):
        return absolute(usable(path))
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
        raise OutsideError(f"cannot read it: {why_unreadable(error)}") from None


def _read_over(path: str, shown: str) -> bytes:
    try:
        return _read(path)
    except UsageError as error:
        raise type(error)(f"{shown}: {error.message}", hint=error.hint) from None


def scope_of(path: str, environ: Variables[str, str], *, directory: str = "", env_files: Iterable[str] = ()) -> Scope:
    """The scope of a file: paths are relative to DIRECTORY, by default its own. ENV_FILES, by default the `.env` of the
    directory, set defaults for the environment, as in Compose."""
    directory = directory or (current_directory() if path == "-" else os.path.dirname(absolute(path)))
    default = os.path.join(directory, ".env")
    files = [*env_files] or ([default] if directory and os.path.isfile(default) else [])
    found: dict[str, str] = {}
    for file in files:
        found = read_compose_file(file, lookup=environ.get, before=found)
    return Scope(directory=directory, environ={**found, **environ} if files else environ)


def _unit(path: str, reader: Reader) -> list[tuple[Node, Reader]]:
    from mydocker.specs.formats.quadlet import documents

    found = documents.document(_read(file_of_unit(path)), absolute(path), reader)
    return [(found, reader)] if found else []


def _parsed(raw: bytes, reader: Reader) -> Sequence[Node]:
    documents, problems = parse_documents(raw)
    reader.problems.extend(problems)
    if any(tag.encode() in raw for tag in MERGE_TAGS):
        documents = [_without_tags(document, reader) for document in documents]
    return _one_if_compose(documents, reader)


def _one_if_compose(documents: list[Node], reader: Reader) -> Sequence[Node]:
    """DOCUMENTS; those of a Compose file lie over each other, as several files do."""
    mappings = [each for each in documents if isinstance(each, Mapping)]
    keys = [{key.text for key, _ in each.entries} for each in mappings]
    if len(documents) == 1 or len(mappings) < len(documents) or not any("services" in each for each in keys):
        return documents
    if any(each & {"image", "rootfs"} for each in keys):
        return documents
    from mydocker.specs.formats.compose.merge import merge_files

    return [merge_files(mappings, reader)]


def _without_tags(document: Node, reader: Reader) -> Node:
    """DOCUMENT without what it resets, if it is of a Compose file: no other one may have these tags."""
    from mydocker.specs.formats.compose.merge import tagged, without_tags

    if isinstance(document, Mapping) and any(key.text == "services" for key, _ in document.entries):
        return without_tags(document)
    for node in tagged(document):
        reader.refuse(node, f"tag {node.tag!r} is for Compose files")
    return document


def _merged(files: list[tuple[bytes, str]], reader: Reader) -> Sequence[Node]:
    """Compose FILES, text and name of each, one over the other; nothing after a problem, which has been recorded."""
    from mydocker.specs.formats.compose.merge import merge_files

    documents: list[Mapping] = []
    for raw, name in files:
        found, problems = parse_documents(raw, file=name)
        reader.problems.extend(problems)
        for document in found:
            if isinstance(document, Mapping):
                documents.append(document)
            else:
                reader.refuse(document, "expected keys and values, such as 'services:'")
    if reader.problems or not documents:
        return ()
    whole = merge_files(documents, reader)
    if any(key.text in ("services", "include") for key, _ in whole.entries):
        return (whole,)
    reader.refuse(whole, "there are no services: only Compose files can lie over each other")
    return ()


def _translated(document: Node, reader: Reader, image: str | None) -> Iterator[tuple[Node, Reader]]:
    """The documents that a document stands for, each with its reader: itself, but for files of other formats."""
    if not isinstance(document, Mapping):
        yield document, reader
        return
    marks = {key.text for key, _ in document.entries}
    if MARK in marks:
        from mydocker.specs.formats.structure_test import test_file

        yield from ((each, reader) for each in test_file.documents(document, reader, image=image))
    elif marks.isdisjoint(_OF_COMPOSE):
        yield document, reader
    else:
        yield from _of_compose(document, reader)


def _of_compose(document: Mapping, reader: Reader) -> Iterator[tuple[Node, Reader]]:
    """The documents for one of a Compose file; itself, if it is of mydocker's own form after all."""
    from mydocker.specs.formats.compose import services

    file = reader.file
    if not services.is_compose(document, alone=file is not None and file.is_compose):
        yield document, reader
        return
    if isinstance(file, LoadedFile):
        from mydocker.specs.load.compose_bases import with_bases

        file.is_compose = True
        document = with_bases(document, file, reader)
    yield from services.documents(document, reader)
