"""Spec files become ContainerSpecs, or one SpecError with everything that is wrong in any of them."""

from __future__ import annotations

import os
import sys

from mydocker.errors import SpecError, UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.spec.assemble import assemble, contradictions
from mydocker.spec.dependencies import links
from mydocker.spec.document import SIZE_LIMIT, parse_documents
from mydocker.spec.envfile import read_compose_file, why_unreadable
from mydocker.spec.fields import FIELDS
from mydocker.spec.flow import combinations
from mydocker.spec.later import LATER_KEYS, nearest
from mydocker.spec.node import Mapping, Node, Problem, Scalar
from mydocker.spec.reading import Reading, unknown_key
from mydocker.spec.shape import SHAPES
from mydocker.spec.values import document_of
from mydocker.spec.words import Place

if TYPE_CHECKING:
    import collections.abc
    from typing import Any

    from mydocker.spec.container import ContainerSpec

UNIT_SUFFIX = ".container"  # of Quadlet's files
_ROWS = {field.key: field for field in reversed(FIELDS)}  # of rows with one key, the first

# what people who know `docker run` or a Dockerfile write for a key: the long names of the flags, and a few more
_SYNONYMS = {
    **{flag[2:]: field.key for field in FIELDS for flag in field.flags if flag.startswith("--")},
    "cmd": "command",
    "container_name": "name",
}


def load_files(
    paths: list[str], *, environ: collections.abc.Mapping[str, str], image: str | None = None
) -> list[ContainerSpec]:
    """The containers of PATHS, in order; `-` is standard input. Raises SpecError with the problems of all files.

    IMAGE is for the files of container-structure-test, which name none.
    """
    specs: list[ContainerSpec] = []
    problems: list[str] = []
    for path in paths:
        found, wrong = _load(path, environ, image)
        specs += found
        problems += wrong
    if problems:
        raise SpecError(problems)
    links(specs)  # for the sake of what may be wrong with them
    return specs


def load_values(
    values: collections.abc.Mapping[str, object], *, environ: collections.abc.Mapping[str, str]
) -> ContainerSpec:
    """The container that a program describes by keys of a spec file. Paths count from the current directory.

    Raises SpecError with all that is wrong, each by its key.
    """
    document = document_of(values)
    problems: list[Problem] = []
    reading = Reading(place=Place(directory=os.getcwd(), environ=environ), problems=problems)
    keys = {key.text: key for key, _ in document.entries}
    for name in keys:
        if name in _ROWS and _ROWS[name].group in ("flow", "verdict"):
            reading.refuse(keys[name], "is for files, where several containers belong together")
    spec = _container(document, keys, reading, "a program")
    if spec is None or problems:
        names = ["", *(f"{key}: " for key in keys)]
        raise SpecError([names[problem.line] + problem.message for problem in problems])
    return spec.replace(origin="a program")


def _load(
    path: str, environ: collections.abc.Mapping[str, str], image: str | None
) -> tuple[list[ContainerSpec], list[str]]:
    """The specs of one file, and what is wrong with it, in the order of its lines."""
    shown = "<stdin>" if path == "-" else path
    try:
        raw, place = _read(path), _place(path, environ)
        if path.endswith(".json"):
            raw = raw.replace(b"\t", b" ")  # no tab of JSON stands in a text, and YAML has none between words
    except UsageError as error:
        return [], [f"{shown}: {error.message}"]
    problems: list[Problem] = []
    reading = Reading(place=place, problems=problems)
    documents = _unit(raw, path, reading) if path.endswith(UNIT_SUFFIX) else _documents(raw, reading, image)
    specs = [spec for document, inner in documents for spec in _containers(document, inner, shown)]
    if not documents and not problems:
        problems.append(Problem(line=1, column=1, message="there is no container in this file"))
    ordered = sorted(problems, key=lambda x: (x.line, x.column))
    # an alias shows one mistake in several places; it is one mistake
    lines = list(dict.fromkeys(f"{shown}:{x.line}:{x.column}: {x.message}" for x in ordered))
    return specs, lines


def _read(path: str) -> bytes:
    """The bytes of a file, at most one more than are allowed."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(SIZE_LIMIT + 1)
        with open(path, "rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"cannot read it: {why_unreadable(error)}") from None


def _place(path: str, environ: collections.abc.Mapping[str, str]) -> Place:
    """Paths count from the file's directory, and `.env` beside it lies under the environment, as in Compose."""
    directory = os.getcwd() if path == "-" else os.path.dirname(os.path.abspath(path))
    beside = os.path.join(directory, ".env")
    if not os.path.isfile(beside):
        return Place(directory=directory, environ=environ)
    return Place(directory=directory, environ={**read_compose_file(beside, lookup=environ.get), **environ})


def _unit(raw: bytes, path: str, reading: Reading) -> list[tuple[Node, Reading]]:
    from mydocker.spec import quadlet

    found = quadlet.document(raw, os.path.abspath(path), reading)
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
    if "schemaVersion" in marks:
        from mydocker.spec import structure

        return [(each, reading) for each in structure.documents(document, reading, image=image)]
    if "services" in marks:
        from mydocker.spec import compose

        return [*compose.documents(document, reading)]
    return [(document, reading)]


def _containers(document: Node, reading: Reading, shown: str) -> list[ContainerSpec]:
    """The specs of one document, more than one if it has a matrix; none if anything is wrong with it."""
    if not isinstance(document, Mapping):
        reading.refuse(document, "want keys and values, such as 'image: alpine'")
        return []
    keys = {key.text: key for key, _ in document.entries}
    specs = []
    for variables in combinations(document, reading) if "matrix" in keys else [{}]:
        place = reading.place.replace(environ={**reading.place.environ, **variables}) if variables else reading.place
        specs.append(_container(document, keys, reading.replace(place=place), shown))
    return [spec for spec in specs if spec]


def _container(document: Mapping, keys: dict[str, Scalar], reading: Reading, shown: str) -> ContainerSpec | None:
    before = len(reading.problems)
    values = _values(document, reading)
    for key, message in contradictions(values):
        reading.refuse(keys.get(key, document), message)
    if len(reading.problems) > before:
        return None
    return assemble(values, origin=f"{shown}:{document.line}")


def _values(document: Mapping, reading: Reading) -> dict[str, Any]:
    """The values of the keys that are given and not null; None for one that could not be read."""
    values: dict[str, Any] = {}
    for key, node in document.entries:
        if key.text.startswith(("x-", "x_")):
            continue
        if key.text not in _ROWS:
            _refuse_key(key, reading, values)
        elif not (isinstance(node, Scalar) and node.is_null):
            before, field = len(reading.problems), _ROWS[key.text]
            value = SHAPES[field.shape](node, field, reading)
            values[key.text] = value if len(reading.problems) == before else None
    return values


def _refuse_key(key: Scalar, reading: Reading, values: dict[str, Any]) -> None:
    """Write down an unknown key; the key that was probably meant counts as given, so as not to be missed as well."""
    if key.text in LATER_KEYS:
        reading.refuse(key, f"{key.text} is not supported yet")
        return
    meant = _SYNONYMS.get(key.text) or nearest(key.text, _ROWS)
    if meant:
        values.setdefault(meant, None)
    reading.refuse(key, unknown_key(key.text, meant))
