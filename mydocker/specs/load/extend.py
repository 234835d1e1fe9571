"""Containers that build on others: `extends` names another container, of this file or of another one; `include`
adds all containers of another file. The keys are Compose's ("Services top-level elements", extends; "Include").

The base is read where it stands: its paths count from its own file. Its values lie under those of the container that
extends it, by the merge rules of the table of fields and of Compose's "Merge".
"""

from __future__ import annotations

import os

from mydocker.errors import OutsideError, UsageError
from mydocker.nearest import did_you_mean
from mydocker.paths import absolute
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.fields import FIELDS
from mydocker.specs.load.files import CHAIN_LIMIT, file_of, scope_of
from mydocker.specs.nodes.node import Mapping, Node, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.load.files import LoadedFile
    from mydocker.specs.model.expect import Expect
    from mydocker.specs.nodes.reader import Reader

    Values = dict[str, Any]

KEYS = ("service", "file")
_RULES = {field.key: field.merge for field in reversed(FIELDS)}  # of rows with one key, the first
_OWN = ("name", "aliases", "matrix", "include")  # keys that are not inherited from a base
_REPLACED = ("command", "args", "entrypoint")  # tuples that are one thing
_BY = {  # what identifies an entry of a list
    **dict.fromkeys(("volumes", "tmpfs", "configs", "secrets"), "target"),
    "depends_on": "name",
}


class Extension(Record):
    """That the container called `name` is the base; ``: the only one of its file. `file` is as it was written."""

    name: str
    file: str | None
    node: Node


def read_extends(node: Node, reader: Reader) -> Extension | None:
    """The value of `extends`: a name, or {service, file}."""
    if not isinstance(node, Mapping):
        return Extension(
            name=reader.text(node, expected="a name, or a mapping with service and file"), file=None, node=node
        )
    members = reader.members(node, KEYS)
    if not members:
        reader.refuse(node, "expected a mapping with service and file")
        return None
    texts = {key: reader.text(value) for key, value in members.items()}
    return Extension(name=texts.get("service", ""), file=texts.get("file"), node=node)


class Include(Record):
    """An entry of `include`: paths with their nodes, `directory` and `env_files` as they were written."""

    paths: tuple[tuple[str, Node], ...]
    directory: str = ""
    env_files: tuple[str, ...] = ()


def read_include(node: Node, reader: Reader) -> tuple[Include, ...]:
    """The entries of `include`: paths, or mappings with one or more paths."""
    found = (_include(item, reader) for item in (node.items if isinstance(node, Sequence) else (node,)))
    return tuple(each for each in found if each)


def _include(item: Node, reader: Reader) -> Include | None:
    if not isinstance(item, Mapping):
        return Include(paths=((reader.text(item), item),))
    members = reader.members(item, ("path", "project_directory", "env_file"))
    if "path" not in members:
        reader.refuse(item, "expected a path")
        return None
    return Include(
        paths=tuple((reader.text(each), each) for each in _each(members["path"])),
        directory=reader.text(members["project_directory"]) if "project_directory" in members else "",
        env_files=tuple(reader.text(each) for each in _each(members["env_file"])) if "env_file" in members else (),
    )


def _each(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else (node,)


def open_included(include: Include, paths: tuple[tuple[str, Node], ...], reader: Reader) -> LoadedFile | None:
    """Open those PATHS of INCLUDE that lie over each other; None if that cannot be done, which has been recorded."""
    [(written, node), *others] = paths
    file = file_of(reader)
    if file is None or not (others or include.directory or include.env_files):
        return open_named(written, node, reader)
    (path, shown), *over = [file.resolve(text) for text, _ in paths]
    directory = absolute(file.resolve(include.directory)[0]) if include.directory else os.path.dirname(absolute(path))
    env_files = [file.resolve(each)[0] for each in include.env_files]
    try:
        scope = scope_of(path, reader.scope.environ, directory=directory, env_files=env_files)
        return file.loaded.open(path, shown, environ=reader.scope.environ, over=tuple(over), scope=scope)
    except UsageError as error:
        reader.refuse(
            node,
            error.message if error.message.startswith(("env file", *file_names(over))) else f"{shown}: {error.message}",
            outside=isinstance(error, OutsideError),
        )
        return None


def file_names(paths: list[tuple[str, str]]) -> tuple[str, ...]:
    """The names in messages of PATHS."""
    return tuple(shown for _, shown in paths)


def find_base(
    extension: Extension, reader: Reader, chain: tuple[Node, ...]
) -> tuple[Mapping, Reader, LoadedFile] | None:
    """The document that EXTENSION names, its reader and its file; None after a problem, which has been recorded.

    CHAIN holds the documents that led here, each of which extends the next.
    """
    file = file_of(reader)
    if file is None:
        reader.refuse(extension.node, "extends is for files")
        return None
    if len(chain) > CHAIN_LIMIT:
        reader.refuse(extension.node, f"a chain of more than {CHAIN_LIMIT} containers that extend each other")
        return None
    if extension.file is not None:
        opened = open_named(extension.file, extension.node, reader)
        if opened is None:
            return None
        if opened is not file:
            opened.extended_by = opened.extended_by or file
            file.extended[opened] = None
        file = opened
    if extension.name not in file.names and not (not extension.name and len(file.documents) == 1):
        several = "more than one container; name one" if file.documents else "no container"
        what = f"no container called {extension.name!r}" if extension.name else several
        reader.refuse(extension.node, f"{file.shown} has {what}" + did_you_mean(extension.name, file.names))
        return None
    document, inner = file.names[extension.name] if extension.name else file.documents[0]
    if any(document is each for each in chain):
        reader.refuse(extension.node, "a circle: this leads back to a container that extends it")
        return None
    if not isinstance(document, Mapping):
        reader.refuse(extension.node, f"{file.shown} has no container")
        return None
    return document, inner.replace(scope=inner.scope.replace(environ=reader.scope.environ)), file


def open_named(written: str, node: Node, reader: Reader) -> LoadedFile | None:
    """Open the file that NODE names; None if it cannot be read, which has been recorded."""
    file = file_of(reader)
    assert file is not None
    path, shown = file.resolve(written)
    try:
        return file.loaded.open(path, shown, environ=reader.scope.environ)
    except UsageError as error:
        reader.refuse(node, f"{shown}: {error.message}", outside=isinstance(error, OutsideError))
        return None


def merge(base: Values, own: Values) -> Values:
    """Merge OWN over BASE. A value that could not be read is None, and stays None."""
    under = {key: value for key, value in base.items() if key not in _OWN}
    if "image" in own or "rootfs" in own:
        for key in ("image", "rootfs", "platform"):
            under.pop(key, None)
    if "command" in own or "entrypoint" in own:
        under.pop("args", None)
    for key, other in (("network_mode", "networks"), ("networks", "network_mode")):
        if key in own:
            under.pop(other, None)
    found = {**under, **own}
    for key in under.keys() & own.keys():
        if under[key] is not None and own[key] is not None:
            found[key] = _merged(key, under[key], own[key])
    return found


def _merged(key: str, under: Any, over: Any) -> Any:
    if key in _SPECIAL:
        return _SPECIAL[key](under, over)
    rule = _RULES[key]
    if key in _REPLACED or rule == "replace":
        return over
    if rule == "update":
        return {**under, **over}
    same = _BY.get(key)
    if not same and not _are_hashable((*under, *over)):  # parts, each of which says something else
        return (*under, *over)
    replaced = {getattr(each, same) if same else each for each in over}
    return (*(each for each in under if (getattr(each, same) if same else each) not in replaced), *over)


def _are_hashable(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str | int | Record) for value in values)


def _expect(under: Expect, over: Expect) -> Expect:
    """An entry replaces the entry of the base that has the same identity."""
    replaced = {check.about for check in over.checks}
    urls = {request.url for request in over.requests}
    return over.replace(
        checks=(*(check for check in under.checks if check.about not in replaced), *over.checks),
        within=over.within or under.within,
        requests=(*(request for request in under.requests if request.url not in urls), *over.requests),
    )


def _networks(under: tuple[Any, ...], over: tuple[Any, ...]) -> tuple[Any, ...]:
    """Words and attachments; one replaces that of the base with the same name."""
    names = {each if isinstance(each, str) else each.name for each in over}
    return (*(each for each in under if (each if isinstance(each, str) else each.name) not in names), *over)


_SPECIAL: dict[str, Callable[[Any, Any], Any]] = {
    "networks": _networks,
    **dict.fromkeys(("build", "healthcheck"), lambda under, over: over.over(under)),
    "expect": _expect,
}


def placed(values: Values, file: str) -> Values:
    """VALUES that come from another FILE, with its name in their origins."""
    found = dict(values)
    if found.get("expect"):
        checks = tuple(check.replace(origin=check.origin.within(file)) for check in found["expect"].checks)
        found["expect"] = found["expect"].replace(checks=checks)
    if found.get("build"):
        found["build"] = found["build"].replace(origin=found["build"].origin.within(file))
    if found.get("depends_on"):
        found["depends_on"] = tuple(each.replace(origin=each.origin.within(file)) for each in found["depends_on"])
    return found
