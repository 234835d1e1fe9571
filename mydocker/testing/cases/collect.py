"""Paths become cases: files as they are named, and in folders every `*.smoke.yaml`, in the order of their names."""

from __future__ import annotations

import glob
import os
import re
from itertools import pairwise

from mydocker.errors import UsageError
from mydocker.paths import usable
from mydocker.record import TYPE_CHECKING
from mydocker.services.address import Address, parse_address
from mydocker.services.case import Case, cases_of, path_of
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import profiles_of_env_files, reduce, take_part, why_none
from mydocker.specs.nodes.yaml import SIZE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from mydocker.specs.model.case import CaseSpec

SUFFIXES = (".smoke.yaml", ".smoke.yml")
STRUCTURE_SUFFIXES = (".yaml", ".yml", ".json")  # of container-structure-test, if this is in them
_STRUCTURE = re.compile(rb"""^[{, \t\r]*["']?schemaVersion["']?[ \t]*:[ \t]*["']?[12]\.0\.0""", re.MULTILINE)

_VARIABLE = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)")  # as interpolate.py finds them, $$ being none


def collect(
    paths: Iterable[str],
    *,
    environ: Mapping[str, str],
    image: str | None = None,
    profiles: frozenset[str] = frozenset(),
    services: Collection[str] = (),
    warn: Callable[[str], None] | None = None,
) -> list[Case]:
    """The cases of PATHS: files, addresses (services/address.py), folders, patterns.

    Specs with a profile take part if it is one of PROFILES or of the `.env` in its directory, or if their line is
    named. SERVICES and WARN: see `load_files`. Raises SpecError with all mistakes in any file, UsageError for a path
    that leads to nothing.
    """
    by_file: dict[str, list[Address]] = {}
    for address in (found for path in paths for found in _files(path, structure=image is not None)):
        by_file.setdefault(address.file, []).append(address)
    specs = load_files(list(by_file), environ=environ, image=image, services=services, warn=warn)
    named = _named(specs, by_file)
    active = profiles | profiles_of_env_files(by_file, environ)
    taking = [take_part(spec, active) or name for spec, name in zip(specs, named, strict=True)]
    kept = reduce(specs, taking)
    if warn and specs and not kept:
        warn(f"{', '.join(by_file)}: {why_none(specs, active)}")
    chosen = [name for name, takes in zip(named, taking, strict=True) if takes]
    ordinals = [number for number, takes in zip(_ordinals(specs), taking, strict=True) if takes]
    cases = cases_of(kept, options=("--image", image) if image else (), ordinals=ordinals)
    whole = {file for file, addresses in by_file.items() if any(address.line is None for address in addresses)}
    all_whole = len(whole) == len(by_file)  # so are those that they include
    return [
        case
        for case, name in zip(cases, chosen, strict=True)
        if name or (case.path in whole if case.path in by_file else all_whole)
    ]


def with_variables(cases: Sequence[Case], environ: Mapping[str, str]) -> list[Case]:
    """CASES with the names of the variables of ENVIRON that their specs use: they are needed to run one again."""
    starts: dict[str, set[int]] = {}
    for case in cases:
        starts.setdefault(case.file, set()).add(case.line)
    ends = {file: dict(pairwise(sorted(begins))) for file, begins in starts.items()}
    lines = {file: _lines_of(file) for file in starts}
    found = []
    for case in cases:
        end = ends[case.file].get(case.line)
        text = "\n".join(lines[case.file][max(0, case.line - 1) : end and end - 1])
        names = dict.fromkeys(
            name for name in _VARIABLE.findall(text) if name in environ and name not in case.spec.matrix
        )
        found.append(case.replace(variables=tuple(names)))
    return found


def used_variables(files: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """The names of the variables of ENVIRON that FILES use anywhere."""
    texts = ("\n".join(_lines_of(file)) for file in files)
    return [*dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text) if name in environ)]


def _lines_of(file: str) -> list[str]:
    """The lines of FILE; none, where it cannot be read twice."""
    try:
        if _is_special(file):
            return []
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            return opened.read(SIZE_LIMIT).split("\n")
    except OSError:
        return []


def _named(specs: Sequence[CaseSpec], addresses: Mapping[str, Sequence[Address]]) -> list[bool]:
    """Which of SPECS an address means by its line. Raises UsageError for variables that none has there."""
    begins = [(path_of(spec.origin.file), spec.origin.line) for spec in specs]
    named = [False] * len(specs)
    for address in (address for addresses in addresses.values() for address in addresses if address.line is not None):
        starts = [line for file, line in begins if file == address.file]
        meant = (address.file, _start_of(address.line or 0, starts))
        found = [here == meant and address.has(spec.matrix) for here, spec in zip(begins, specs, strict=True)]
        if starts and not any(found):
            raise UsageError(f"{address}: no spec there has these variables")
        named = [old or new for old, new in zip(named, found, strict=True)]
    return named


def _start_of(line: int, starts: Sequence[int]) -> int:
    """Where the spec begins that holds LINE."""
    return max((start for start in starts if start <= line), default=min(starts, default=0))


def _ordinals(specs: Sequence[CaseSpec]) -> list[int]:
    """Of each spec, which it is of those in its file that have its name, or have none; all of one matrix are one."""
    seen: dict[tuple[str, str | None], list[int]] = {}
    found = []
    for spec in specs:
        lines = seen.setdefault((spec.origin.file, spec.name), [])
        lines += [spec.origin.line] if spec.origin.line not in lines else []
        found.append(lines.index(spec.origin.line))
    return found


def files_of(paths: Iterable[str]) -> Iterator[str]:
    """The files that PATHS lead to, each once. Raises UsageError for a path that leads to nothing."""
    yield from dict.fromkeys(found.file for path in paths for found in _files(path))


def _files(path: str, *, structure: bool = False) -> Iterator[Address]:
    if os.path.isdir(usable(path)):
        yield from (Address(file=found) for found in _below(path, structure=structure))
        return
    address = parse_address(path)
    if _is_file(path):
        yield Address(file=path)
    elif address and _is_file(address.file):
        yield address
    else:
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise UsageError(f"{path}: no such file or folder")
        yield from (item for name in found for item in _files(name, structure=structure))


def _is_file(path: str) -> bool:
    return path == "-" or os.path.lexists(path)


def _below(folder: str, *, structure: bool) -> Iterator[str]:
    """The tests in FOLDER; with STRUCTURE, there is an image for files of container-structure-test, too."""
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(directory, name) for name in sorted(files)):
            # a FIFO would be waited for
            if (path.endswith(SUFFIXES) and not _is_special(path)) or (structure and _is_structure(path)):
                yield path


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)


def _is_structure(path: str) -> bool:
    if not path.endswith(STRUCTURE_SUFFIXES) or _is_special(path):
        return False
    try:
        with open(path, "rb") as file:
            return bool(_STRUCTURE.search(file.read(SIZE_LIMIT)))
    except OSError:
        return False
