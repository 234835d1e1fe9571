"""Paths become cases: files as they are named, and in folders every `*.smoke.yaml`, in the order of their names."""

from __future__ import annotations

import glob
import os
import re

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.smoke.case import Case, cases_of
from mydocker.spec.document import SIZE_LIMIT
from mydocker.spec.load import load_files
from mydocker.spec.profiles import profiles_beside, reduce, take_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SUFFIXES = (".smoke.yaml", ".smoke.yml")
STRUCTURE_SUFFIXES = (".yaml", ".yml", ".json")  # of container-structure-test, if this is in them
_STRUCTURE = re.compile(rb"""^[{,\s]*["']?schemaVersion["']?[ \t]*:[ \t]*["']?2\.0\.0""", re.MULTILINE)


class _Wanted(Record):
    """A file, and of its specs only those that begin on one of `lines`, unless there are none."""

    file: str
    lines: tuple[int, ...] = ()


def collect(
    paths: Iterable[str],
    *,
    environ: Mapping[str, str],
    image: str | None = None,
    profiles: frozenset[str] = frozenset(),
    warn: Callable[[str], None] | None = None,
) -> list[Case]:
    """The cases of PATHS: files, FILE:LINE (the spec that holds this line), folders, patterns.

    Specs with a profile take part if it is one of PROFILES or of the `.env` beside it, or if their line is named.
    WARN: see `load_files`. Raises SpecError with all that is wrong in any file, UsageError for a path that leads to
    nothing.
    """
    wanted: dict[str, _Wanted] = {}
    for item in (found for path in paths for found in _files(path, structure=image is not None)):
        before = wanted.get(item.file)
        if before is None:
            wanted[item.file] = item
        else:
            both = (*before.lines, *item.lines) if before.lines and item.lines else ()
            wanted[item.file] = item.replace(lines=both)
    specs = load_files(list(wanted), environ=environ, image=image, warn=warn)
    begins = [(spec, *spec.origin.rpartition(":")[::2]) for spec in specs]
    named = []
    for _, file, line in begins:
        starts = [int(start) for _, other, start in begins if other == file]
        asked = wanted[file].lines if file in wanted else ()
        named.append(int(line) in {_start_of(each, starts) for each in asked})
    active = profiles | profiles_beside(wanted, environ)
    taking = [take_part(spec, active) or name for spec, name in zip(specs, named, strict=True)]
    kept = reduce(specs, taking)
    chosen = [name for name, takes in zip(named, taking, strict=True) if takes]
    cases = cases_of(kept, options=("--image", image) if image else ())
    some = _Wanted(file="", lines=tuple(line for item in wanted.values() for line in item.lines))  # for files included
    return [case for case, name in zip(cases, chosen, strict=True) if name or not wanted.get(case.file, some).lines]


def _start_of(line: int, starts: list[int]) -> int:
    """Where the spec begins that holds LINE."""
    return max((start for start in starts if start <= line), default=starts[0])


def files_of(paths: Iterable[str]) -> Iterator[str]:
    """The files that PATHS lead to, each once. Raises UsageError for a path that leads to nothing."""
    yield from dict.fromkeys(found.file for path in paths for found in _files(path))


def _files(path: str, *, structure: bool = False) -> Iterator[_Wanted]:
    if os.path.isdir(path):
        yield from (_Wanted(file=found) for found in _below(path, structure=structure))
        return
    file, _, line = path.rpartition(":")
    if path == "-" or os.path.lexists(path):
        yield _Wanted(file=path)
    elif line.isascii() and line.isdigit() and os.path.lexists(file):
        yield _Wanted(file=file, lines=(int(line),))
    else:
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise UsageError(f"{path}: no such file or folder")
        yield from (item for name in found for item in _files(name, structure=structure))


def _below(folder: str, *, structure: bool) -> Iterator[str]:
    """The tests in FOLDER; with STRUCTURE, there is an image for files of container-structure-test, too."""
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(directory, name) for name in sorted(files)):
            if path.endswith(SUFFIXES) or (structure and _is_structure(path)):
                yield path


def _is_structure(path: str) -> bool:
    if not path.endswith(STRUCTURE_SUFFIXES):
        return False
    try:
        with open(path, "rb") as file:
            return bool(_STRUCTURE.search(file.read(SIZE_LIMIT)))
    except OSError:
        return False
