"""Compose files as they are written: over each other and over what services extend, before anything is interpreted."""

from __future__ import annotations

import json
import re

from mydocker.errors import Problem, SpecError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.environment.interpolate import Variable, variables_in
from mydocker.specs.load.compose_bases import rooted, with_bases
from mydocker.specs.load.files import LoadedFiles
from mydocker.specs.model import STDIN
from mydocker.specs.nodes.node import AsWritten, Bare, Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import DOLLAR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.load.project_files import ProjectFiles
    from mydocker.specs.nodes.reader import Reader

_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)|true|false")  # what JSON has the same notation for
_OCTAL = re.compile(r"0o?[0-7]+")


class Written(Record):
    """A project: the top of its files, merged; `reader` has its variables, or keeps them, and its directory."""

    whole: Mapping
    reader: Reader

    def data(self, *, paths: bool) -> dict[str, Any]:
        """As plain data, with absolute PATHS in services. Raises SpecError."""
        problems: list[Problem] = []
        reader = self.reader.replace(problems=problems, file=None)
        whole = _with_paths(self.whole, reader) if paths else self.whole
        found = _data(whole, reader)
        if problems:
            raise SpecError(problems)
        assert isinstance(found, dict)
        return found

    def variables(self) -> dict[str, Variable]:
        """The variables that the files use, by their names; of one that is used several times, the first that has a
        default, or is needed."""
        found: dict[str, Variable] = {}
        for text in _texts(self.whole):
            for each in variables_in(text):
                if each.name not in found or not found[each.name].says_something:
                    found[each.name] = each
        return found


def written_project(project: ProjectFiles, *, keeps_variables: bool) -> Written:
    """The files of PROJECT, with their variables as they are if KEEPS_VARIABLES is set. Raises SpecError, UsageError
    for one that cannot be read."""
    loaded = LoadedFiles(project.paths, is_project=True, keeps_variables=keeps_variables)
    first, *over = ((path, STDIN if path == "-" else path) for path in project.paths)
    file = loaded.open(*first, environ=project.scope.environ, over=tuple(over), scope=project.scope)
    found = with_bases(file.whole, file, file.reader) if file.whole else None
    if problems := [*loaded.mistakes]:
        raise SpecError(problems)
    if found is None:
        raise SpecError(
            [Problem(origin=Node(line=1, column=1, file=file.shown).origin, message="there are no services")]
        )
    return Written(whole=found, reader=file.reader)


def _with_paths(whole: Mapping, reader: Reader) -> Mapping:
    services = whole.get("services")
    if not isinstance(services, Mapping):
        return whole
    entries = tuple(
        (key, rooted(node, reader) if isinstance(node, Mapping) else node) for key, node in services.entries
    )
    own = services.replace(entries=entries)
    return whole.replace(entries=tuple((key, own if key.text == "services" else node) for key, node in whole.entries))


def _data(node: Node, reader: Reader) -> Any:
    """NODE as plain data."""
    if isinstance(node, Mapping):
        return {key.text: _data(value, reader) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [_data(item, reader) for item in node.items]
    assert isinstance(node, Scalar)
    if node.is_null:
        return None
    if node.plain and _PLAIN.fullmatch(node.text):
        return json.loads(node.text)
    if node.plain and _OCTAL.fullmatch(node.text):
        return Bare(node.text)
    text = reader.text(node)
    return AsWritten(_plain(text)) if reader.keeps_variables else text


def _plain(text: str) -> str:
    return text.replace(DOLLAR, "$")


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, Mapping):
        for _, value in node.entries:
            yield from _texts(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _texts(item)
    elif isinstance(node, Scalar):
        yield _plain(node.text)
