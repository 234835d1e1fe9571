"""Spec files become CaseSpecs, or one SpecError with everything that is wrong in any of them."""

from __future__ import annotations

from functools import partial

from mydocker.errors import Origin, Problem, SpecError, UsageError
from mydocker.nearest import nearest
from mydocker.paths import current_directory
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Reference
from mydocker.specs import values as values_of
from mydocker.specs.assemble import assemble, contradictions, doubts
from mydocker.specs.expect.keywords import EXPECT
from mydocker.specs.fields import FIELDS
from mydocker.specs.formats.quadlet.unit_files import kind_of
from mydocker.specs.formats.structure_test.keys import STRUCTURE_KEYS
from mydocker.specs.load.extend import find_base, merge, open_included, placed, read_include
from mydocker.specs.load.files import CHAIN_LIMIT, LoadedFile, LoadedFiles, file_of
from mydocker.specs.load.flow import combinations
from mydocker.specs.load.network_aliases import share_network
from mydocker.specs.load.shared_volumes import SERVICE, nothing_to_share, share_volumes
from mydocker.specs.load.yaml_types import YAML_TYPES
from mydocker.specs.model import STDIN
from mydocker.specs.model.build import default_name
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.dependencies import links, unknown_names, with_project
from mydocker.specs.model.parts import Dependency, Service
from mydocker.specs.model.unsupported import COMPOSE_KEYS, IMAGE_MAKERS, INSTEAD_OF_KEYS, OLDER_KEYS, UNSUPPORTED_KEYS
from mydocker.specs.nodes.from_python import document_of
from mydocker.specs.nodes.node import Mapping, Node, Scalar, is_null
from mydocker.specs.nodes.reader import Reader, unknown_key
from mydocker.specs.values import Scope
from mydocker.specs.values.project import project_name

if TYPE_CHECKING:
    import collections.abc
    from typing import Any

    from mydocker.specs.load.project_files import ProjectFiles
    from mydocker.specs.model import ContainerSpec

_ROWS = {field.key: field for field in reversed(FIELDS)}  # of rows with one key, the first
_GOSS = frozenset(  # the resources of its files ("Goss test reference"), each a mapping, as none of our keys is
    ("addr", "command", "dns", "file", "gossfile", "group", "http", "interface", "kernel-param", "matching", "mount")
    + ("package", "port", "process", "service", "user")
)
_CASE_KEYS = [field.key for field in FIELDS if field.is_of_case]

# what people who know `docker run` or a Dockerfile write for a key: the long names of the flags, and a few more
_SYNONYMS = {
    **{flag[2:]: field.key for field in FIELDS for flag in field.flags if flag.startswith("--")},
    **dict.fromkeys(("cmd", "exec", "run", "script"), "command"),
    **dict.fromkeys(("container_name", "description", "title"), "name"),
    **dict.fromkeys(("after", "dependencies", "needs", "requires"), "depends_on"),
    **dict.fromkeys(("cwd", "dir", "directory"), "working_dir"),
    **dict.fromkeys(("envs", "variables", "vars"), "environment"),
    **dict.fromkeys(("binds", "mounts"), "volumes"),
}


def load_files(
    paths: list[str],
    *,
    environ: collections.abc.Mapping[str, str],
    image: str | None = None,
    services: collections.abc.Collection[str] = (),
    warn: collections.abc.Callable[[str], None] | None = None,
    ignored: collections.abc.Collection[str] = (),
    alone: bool = False,
    defers: bool = False,
) -> list[CaseSpec]:
    """The containers of PATHS, in order, and of the units that Quadlets among them need; `-` is standard input. Raises
    SpecError with the problems of all files.

    IMAGE is the default for containers that name none, such as those of container-structure-test. SERVICES are those of
    a project that is up, on which they may depend. WARN is called with a line for each value that is valid and probably
    a mistake. IGNORED: keys that are passed over, with a warning, where they would be refused. ALONE: the files alone
    are judged, and what is wrong with what is around them, such as variables, other files and what this machine
    lacks, is a warning; what is returned may be incomplete. DEFERS: a file that a service of a Compose file reads and
    that is missing is noted in its case, see `refuse_absent`.
    """
    loaded = LoadedFiles(paths, image=image, ignored=ignored, only_check=alone, defers=defers)
    specs = [spec for path in loaded.in_turn() for spec in _load(path, loaded, environ=environ)]
    return _checked(specs, loaded, warn, services=services, alone=alone)


def load_project(
    project: ProjectFiles,
    *,
    image: str | None = None,
    warn: collections.abc.Callable[[str], None] | None = None,
    alone: bool = False,
    starts_nothing: bool = False,
    defers: bool = False,
) -> list[CaseSpec]:
    """The containers of PROJECT, whose files lie over each other, or are units; otherwise as `load_files`.
    STARTS_NOTHING: files that these only read, such as env_file, may be missing."""
    loaded = LoadedFiles(
        project.paths,
        image=image,
        ignored=project.ignored,
        only_check=alone or starts_nothing,
        is_project=True,
        defers=defers,
    )
    scope = project.scope
    if kind_of(project.paths[0]):
        specs = [spec for path in loaded.in_turn() for spec in _load(path, loaded, environ=scope.environ, scope=scope)]
    else:
        first, *others = project.paths
        over = tuple((path, _shown(path)) for path in others)
        specs = _load(first, loaded, environ=scope.environ, scope=scope, over=over)
    return _checked(specs, loaded, warn, alone=alone)


def _checked(
    specs: list[CaseSpec],
    loaded: LoadedFiles,
    warn: collections.abc.Callable[[str], None] | None,
    *,
    services: collections.abc.Collection[str] = (),
    alone: bool,
) -> list[CaseSpec]:
    """SPECS of LOADED files. Raises SpecError with what is wrong in these, and with each other."""
    problems = [*loaded.mistakes]
    outside = [each for each in problems if each.outside and alone]
    if warn:
        for doubt in [*loaded.doubts, *outside]:
            warn(f"warning: {doubt}")
    if problems:
        unknown = _unknown_names(loaded, {problem.origin for problem in problems}, services)
        left = [each for each in problems if each not in outside] + ([] if loaded.lacks_files else unknown)
        if left:
            raise SpecError(left)
        return specs
    specs = with_project(specs, services)
    links(specs, others=services)  # raises for problems in dependencies
    return specs


def _unknown_names(
    loaded: LoadedFiles, faulty: set[Origin], services: collections.abc.Collection[str]
) -> list[Problem]:
    """A problem for each dependency on a name that no file has, and is none of SERVICES, except at FAULTY origins,
    which have another problem."""
    names = {name for file in loaded.files.values() for name in file.names}.union(services)
    unknown = dict.fromkeys(unknown_names(loaded.dependencies, names))
    return [problem for problem in unknown if problem.origin not in faulty]


def load_values(
    values: collections.abc.Mapping[str, object],
    *,
    environ: collections.abc.Mapping[str, str],
    lasting: collections.abc.Collection[str] = (),
) -> ContainerSpec:
    """The container that a Python program describes by keys of a spec file. Paths are relative to the current
    directory. LASTING: keys among those of files that make sense for one container as well.

    Raises SpecError with all problems, each at its key.
    """
    document = document_of(values)
    problems: list[Problem] = []
    reader = Reader(scope=Scope(directory=current_directory(), environ=environ), problems=problems)
    keys = {key.text: key for key, _ in document.entries}
    for name in keys:
        if name in _ROWS and _ROWS[name].group in ("flow", "verdict") and name not in lasting:
            reader.refuse(keys[name], "is for files, where several containers belong together")
    spec = _container(document, keys, reader, "a program")
    if spec is None or problems:
        raise SpecError(_by_key(problem, [*keys]) for problem in problems)
    return spec.container.replace(origin=Origin(file="a program"))


def _by_key(problem: Problem, keys: list[str]) -> Problem:
    """PROBLEM at the key whose number its line is, see nodes/from_python.py."""
    number = problem.origin.line
    return problem.replace(origin=Origin(file=keys[number - 1] if number else ""))


def _load(
    path: str,
    loaded: LoadedFiles,
    *,
    environ: collections.abc.Mapping[str, str],
    scope: Scope | None = None,
    over: tuple[tuple[str, str], ...] = (),
) -> list[CaseSpec]:
    """The specs of one file, under those of OVER; LOADED collects what is wrong with it. SCOPE: see
    `LoadedFiles.open`."""
    shown = _shown(path)
    try:
        file = loaded.open(path, shown, environ=environ, over=over, scope=scope)
    except UsageError as error:
        loaded.found.append(Problem(origin=Origin(file="" if over else shown), message=error.message))
        return []
    loaded.is_in(file)
    return _together(file)


def _shown(path: str) -> str:
    return STDIN if path == "-" else path


def _together(file: LoadedFile) -> list[CaseSpec]:
    """The containers of FILE, with what they have in common."""
    specs = share_network(_of_file(file), file, file.scope)
    file.warnings += nothing_to_share(specs)
    return share_volumes(specs, file.scope)


def _of_file(file: LoadedFile, *, depth: int = 0) -> list[CaseSpec]:
    """The containers of a file, and those of the files that it includes. DEPTH: the number of nested includes."""
    found: list[CaseSpec] = []
    for document, reader in file.in_turn:
        found += _containers(document, reader, file.shown, depth=depth)
    return found


def _containers(document: Node, reader: Reader, shown: str, *, depth: int) -> list[CaseSpec]:
    """The specs of one document: several if it has a matrix, none if it has a problem."""
    if not isinstance(document, Mapping):
        reader.refuse(document, "expected keys and values, such as 'image: alpine'")
        return []
    keys = {key.text: key for key, _ in document.entries}
    if _is_of_another_format(document, reader):
        return []
    specs: list[CaseSpec | None] = []
    if "include" in keys:
        specs += _included(document, reader, depth=depth)
        if all(key == "include" or key.startswith(("x-", "x_")) for key in keys):
            return [spec for spec in specs if spec]
    for variables in combinations(document, reader) if "matrix" in keys else [{}]:
        scope = reader.scope.replace(environ={**reader.scope.environ, **variables}) if variables else reader.scope
        specs.append(_container(document, keys, reader.replace(scope=scope), shown))
    return [spec for spec in specs if spec]


def _is_of_another_format(document: Mapping, reader: Reader) -> bool:
    """Whether DOCUMENT is of another format and misspells the key that marks it, or is of Compose's first format, which
    has none; records that as its only problem."""
    if document.entries and all(_is_service(node) and key.text not in _ROWS for key, node in document.entries):
        message = "a file of Compose's first format: put its services below a key 'services', and volumes at the top"
        reader.refuse(document.entries[0][0], message)
        return True
    if document.entries and all(key.text in _GOSS and _is_resource(node) for key, node in document.entries):
        reader.refuse(document.entries[0][0], "a file of goss, which is not read: docs/migrate.md has the same checks")
        return True
    for key, node in document.entries:
        if key.text in _ROWS or key.text.startswith(("x-", "x_")):
            continue
        if isinstance(node, Mapping) and nearest(key.text.lower(), ("services",)):
            reader.refuse(key, unknown_key(key.text, "services"))
            return True
        if nearest(key.text, ("schemaVersion",)):
            reader.refuse(key, unknown_key(key.text, "schemaVersion"))
            return True
        if key.text.endswith(("Tests", "Test")) and key.text in STRUCTURE_KEYS:
            reader.refuse(key, f"{key.text} is of container-structure-test, whose files begin with schemaVersion")
            return True
    return False


def _is_resource(node: Node) -> bool:
    """Whether NODE may stand below a key of a file of goss: a mapping, of no services of a misspelt `services`."""
    return isinstance(node, Mapping) and not any(_is_service(each) for _, each in node.entries)


def _is_service(node: Node) -> bool:
    return isinstance(node, Mapping) and any(key.text in ("image", "build", "extends") for key, _ in node.entries)


def _included(document: Mapping, reader: Reader, *, depth: int) -> list[CaseSpec]:
    """The containers of the files that DOCUMENT includes, except files that have been included already."""
    node = next(node for key, node in document.entries if key.text == "include")
    opened: list[tuple[Node, list[CaseSpec]]] = []
    here = file_of(reader)
    if here is None or is_null(node):
        return []
    if depth >= CHAIN_LIMIT:
        reader.refuse(node, f"a chain of more than {CHAIN_LIMIT} files that include each other")
        return []
    for include in read_include(node, reader):
        for paths in [include.paths] if here.is_compose else [(each,) for each in include.paths]:
            file = open_included(include, paths, reader) if paths else None
            here.loaded.lacks_files |= file is None
            if file and file is not here:
                here.included.append(file)
                file.included.append(here)
            if file and not file.loaded.is_in(file):
                opened.append((paths[0][1], _of_file(file, depth=depth + 1)))
    for node, specs in opened:
        _refuse_conflicts(specs, here.taken, node, reader)
    return [spec for _, specs in opened for spec in specs]


def _refuse_conflicts(specs: list[CaseSpec], taken: dict[str, str], node: Node, reader: Reader) -> None:
    """Refuse each of SPECS whose name is TAKEN (name -> file) by another file, as Compose does.

    Their names are taken from now on.
    """
    theirs = {spec.name: spec.origin.file for spec in specs if spec.name}
    for name, file in theirs.items():
        if taken.setdefault(name, file) != file:
            message = f"{file} has a container called {name!r}, and so has {taken[name]}"
            reader.refuse(node, f"{message}: expected different names, or extends for one that lies over the other")


def _container(document: Mapping, keys: dict[str, Scalar], reader: Reader, shown: str) -> CaseSpec | None:
    file = file_of(reader)
    before = file.problem_count if file else len(reader.problems)
    absent = file.absent if file and file.absent is not None else []
    absent_before = len(absent)
    values = _complete(document, reader)
    for key, name in _sharing(values):
        _depend_on_service(values, name, keys.get(key, document))
    if file is not None:
        file.loaded.dependencies += (
            each.replace(origin=each.origin.within(shown)) for each in values.get("depends_on") or ()
        )
        if file.loaded.image and not {"image", "rootfs"} & values.keys():
            values["image"] = reader.attempt(document, partial(Reference.parse, file.loaded.image))
    if "build" in values and "image" not in values:
        values["image"] = _image_of(values, file, keys.get("build", document), reader)
    for key, message in contradictions(values):
        reader.refuse(keys.get(key, document), message)
    if (file.problem_count if file else len(reader.problems)) > before:
        return None
    if file is not None:
        file.warnings += (keys.get(key, document).problem(message) for key, message in doubts(values))
    part = {key: values.pop(key) for key in _CASE_KEYS if key in values}
    if build := part.get("build"):
        place = build.context or values_of.path(".", reader.scope)  # by default, the file's own
        part["build"] = build.replace(origin=build.origin.within(shown), context=place)
    container = assemble(values, origin=Origin(file=document.origin.within(shown).file, line=document.line))
    part["absent"] = tuple(absent[absent_before:])
    return CaseSpec(container=container, service=_service(container.name or "", file), **part)


def _image_of(values: dict[str, Any], file: LoadedFile | None, node: Node, reader: Reader) -> Reference | None:
    """The name of an image that is built and has no `image`: PROJECT-SERVICE, as for Compose."""
    service = _service(values.get("name") or "", file)
    if service is None:
        reader.refuse(node, "build needs image, the name of the image that is built")
        return None
    found: Reference | None = reader.attempt(node, partial(default_name, service.project, service.name))
    return found


def _service(name: str, file: LoadedFile | None) -> Service | None:
    """What the container called NAME is in the project of its FILE; None if that is of mydocker's own form."""
    if file is None:
        return None
    if file.is_unit:
        return file.services[""].replace(name=name, project=project_name(file.scope), container_name=name)
    return file.services.get(name)


def _sharing(values: dict[str, Any]) -> collections.abc.Iterator[tuple[str, str]]:
    """The keys of VALUES by which a container shares something with a service, and the names of these."""
    modes = [(key, values.get(key)) for key in ("network_mode", "pid", "ipc")]
    modes += [("volumes_from", source.container) for source in values.get("volumes_from") or () if source]
    for key, mode in modes:
        if isinstance(mode, str) and mode.startswith(SERVICE):
            yield key, mode.removeprefix(SERVICE)


def _depend_on_service(values: dict[str, Any], name: str, node: Node) -> None:
    """A container that needs the one called NAME, such as its network, starts after it, as in Compose."""
    others = values.get("depends_on") or ()
    if name not in [each.name for each in others]:
        values["depends_on"] = (*others, Dependency(name=name, origin=node.origin))


def _complete(document: Mapping, reader: Reader, chain: tuple[Node, ...] = ()) -> dict[str, Any]:
    """The values of DOCUMENT merged over those of its base. CHAIN holds the documents that led here."""
    values = _values(document, reader)
    if "extends" not in values:
        return values
    extension = values.pop("extends")
    base = find_base(extension, reader, (*chain, document)) if extension else None
    if base is None:
        return values if "rootfs" in values else {"image": None, **values}  # so as not to be reported missing as well
    replaced = {key.text for key, _ in document.entries if key.tag}
    theirs = _complete(base[0], base[1], (*chain, document))
    theirs = {key: value for key, value in theirs.items() if key not in replaced}
    other = base[2]
    return merge(theirs if other is reader.file else placed(theirs, other.shown), values)


def _values(document: Mapping, reader: Reader) -> dict[str, Any]:
    """The values of the keys that are set and not null; None for one that could not be read."""
    values: dict[str, Any] = {}
    for key, node in document.entries:
        if key.text.startswith(("x-", "x_")) or key.text == "include":
            continue
        before = len(reader.problems)
        if key.text not in _ROWS:
            _refuse_key(key, reader, values)
            reader.passes_over(key.text, before)
        elif not (isinstance(node, Scalar) and node.is_null):
            field = _ROWS[key.text]
            value = YAML_TYPES[field.yaml_type](node, field, reader)
            if not reader.passes_over(key.text, before):
                values[key.text] = value if len(reader.problems) == before else None
    return values


def _refuse_key(key: Scalar, reader: Reader, values: dict[str, Any]) -> None:
    """Refuse an unknown key. The key that was probably meant counts as set, so as not to be reported missing as
    well."""
    if key.text in UNSUPPORTED_KEYS:
        if key.text in IMAGE_MAKERS:
            values.setdefault("image", None)
        instead = INSTEAD_OF_KEYS.get(key.text)
        reader.refuse(key, f"{key.text} is not supported yet" + (f": {instead}" if instead else ""))
        return
    if key.text in OLDER_KEYS and getattr(reader.file, "is_compose", False):
        reader.refuse(key, f"{key.text} is a key of an older format: {OLDER_KEYS[key.text]}")
        return
    if key.text in COMPOSE_KEYS:
        reader.refuse(key, f"{key.text} is a key of Compose files: there, a container is an entry of services")
        return
    if key.text in EXPECT:
        reader.refuse(key, f"{key.text} is a word of expect: write it below that key")
        return
    meant = _SYNONYMS.get(key.text) or nearest(key.text, _ROWS)
    if meant:
        values.setdefault(meant, None)
    reader.refuse(key, unknown_key(key.text, meant))
