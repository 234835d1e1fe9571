"""Compose files: each entry of a top-level `services` becomes a document of a spec file.

A service has the keys of a spec file, so most of it stays as it is. This module translates the rest: names of volumes,
which Compose prefixes with the project's; `deploy`, which may set limits; and the names of other services, which each
container knows. An unknown key stays in the document, and the loader refuses it by name. The rules are those of
the Compose specification (compose-spec, "Services", "Volumes", "Version and name").
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs import values
from mydocker.specs.formats.compose.build import built, is_for_another_system
from mydocker.specs.formats.compose.declared import KINDS, Declared, services_of, visible
from mydocker.specs.formats.compose.deploy import KEYS, deployed, replicas_of
from mydocker.specs.formats.compose.inline_files import definitions, granted
from mydocker.specs.formats.compose.links import aliases_of, links_of, needing, read_external_links, refuse_nameless
from mydocker.specs.formats.compose.merge import without_repeats
from mydocker.specs.formats.compose.networks import (
    DeclaredNetwork,
    declared_networks,
    network_entries,
    with_default,
)
from mydocker.specs.formats.compose.nodes import entries_of, key_at, members_of
from mydocker.specs.formats.compose.passed_over import is_passed_over
from mydocker.specs.formats.compose.volumes import DeclaredVolume, declared_volume, mounts
from mydocker.specs.model.parts import Service
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, null_at, text_at
from mydocker.specs.nodes.reader import switch
from mydocker.specs.values.project import LETTERS, VARIABLE, is_valid, project_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.formats.compose.inline_files import Definitions
    from mydocker.specs.formats.compose.links import Link
    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

_FILES = ("configs", "secrets")
_TOP = ("name", "version", "include", "services", "volumes", "networks", "configs", "secrets", "models")
REPLICAS_LIMIT = 1000
_SERVICE_LETTERS = LETTERS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ.")
_OF_SERVICE = ("attach", "container_name", "scale")  # keys that are about the service in its project
_UNIQUE = ("volumes", "tmpfs", "configs", "secrets", "ports", "devices")  # whose entries have an identity
_HERE = ("deploy", "links", "external_links")  # keys that become others
_IGNORE = "x-mydocker"


class _Project(Record):
    """What a service may refer to: volumes, configs and secrets, by their names at the top of the file."""

    name: str
    volumes: dict[str, DeclaredVolume | None]  # by their names in the file; None: it could not be read
    files: dict[str, Definitions]  # of configs, of secrets
    networks: dict[str, DeclaredNetwork]
    links: dict[str, tuple[Link, ...]] = {}  # of each service
    aliases: dict[str, list[Node]] = {}  # of each service, that links of others give it


def documents(whole: Mapping, reader: Reader) -> Iterator[tuple[Mapping, Reader]]:
    """A document for each service of WHOLE, with its reader, in which the project's name is a variable."""
    _ignore_keys(whole, reader)
    top = members_of(whole, _TOP, reader)
    name = _project_name(top.get("name"), reader)
    inner = _with_project(name, reader)
    services = entries_of(top.get("services"), inner)
    _refuse_no_service(whole, services, inner)
    own = _declared(top, services, name, inner)
    if "include" in top:
        key = key_at(top["include"], "include")
        yield Mapping(**key.position, entries=((key, top["include"]),)), inner  # these files are read before the rest
    project = _Project(
        name=name,
        volumes=visible("volumes", own),
        files={kind: visible(kind, own) for kind in _FILES},
        networks=with_default(visible("networks", own), name, inner),
        **_links(services, own),
    )
    _refuse_same_names(services, inner)
    for key, service in services:
        if not _SERVICE_LETTERS.issuperset(key.text):
            inner.refuse(key, f"service {key.text!r}: expected letters, digits, _ . and -")
        elif isinstance(service, Mapping):
            yield _document(key, service, project, inner), inner
        else:
            inner.refuse(service, "expected keys and values, such as 'image: alpine'")


def declare(whole: Mapping, reader: Reader) -> None:
    """Read what WHOLE declares at its top, for services of other files that extend those of WHOLE, in the project of
    the first of these."""
    first = reader.file
    while first is not None and first.extended_by is not None:
        first = first.extended_by
    top = members_of(whole, _TOP, reader)
    project = first.whole.get("name") if first is not None and first.whole else None
    name = _project_name(project, (first.reader if first else reader).replace(problems=[]))
    inner = _with_project(name, reader)
    _declared(top, entries_of(top.get("services"), inner), name, inner)


def _with_project(name: str, reader: Reader) -> Reader:
    return reader.replace(scope=reader.scope.replace(environ={VARIABLE: name, **reader.scope.environ}))


def is_compose(document: Mapping, *, alone: bool) -> bool:
    """Whether DOCUMENT is of a Compose file: it has services, or no more than what those of other files may name.
    ALONE: one that does no more than include others is, too."""
    keys = {key.text for key, _ in document.entries if not key.text.startswith("x-")}
    if "services" in keys:
        return True
    return keys.issubset(_TOP) and not keys.isdisjoint((*KINDS, "include") if alone else KINDS)


def _refuse_no_service(whole: Mapping, services: tuple[tuple[Scalar, Node], ...], reader: Reader) -> None:
    """Refuse a file that starts nothing, unless it includes others or is included."""
    node = whole.get("services")
    if services or whole.get("include") or (reader.file is not None and reader.file.included):
        return
    if node is None or is_null(node) or isinstance(node, Mapping):
        reader.refuse(node or whole, "there is no service in this file")


def _declared(top: Entries, services: tuple[tuple[Scalar, Node], ...], name: str, reader: Reader) -> Declared:
    """What the file declares at its TOP for the project NAME, so that other files of it may name that, too."""
    volumes = entries_of(top.get("volumes"), reader)
    parts: dict[str, dict[str, Any]] = {
        "networks": declared_networks(top.get("networks"), name, reader),
        "volumes": {key.text: declared_volume(key, node, name, reader) for key, node in volumes},
        **{kind: definitions(entries_of(top.get(kind), reader), reader) for kind in _FILES},
    }
    names = tuple(key.text for key, _ in services)
    found = Declared(reader=reader, parts=parts, services=names, shown=getattr(reader.file, "shown", ""))
    if reader.file is not None:
        reader.file.declared = found
    return found


def _ignore_keys(whole: Mapping, reader: Reader) -> None:
    """Have the keys passed over that `x-mydocker: {ignore: […]}` lists."""
    node = whole.get(_IGNORE)
    if not isinstance(node, Mapping) or reader.file is None:
        return
    members = reader.members(node, ("ignore",))
    listed = members.get("ignore")
    items = listed.items if isinstance(listed, Sequence) else filter(None, (listed,))
    reader.file.ignored |= {reader.text(item, expected="the name of a key") for item in items}


def _links(services: tuple[tuple[Scalar, Node], ...], own: Declared) -> dict[str, Any]:
    """The fields of a project about its links. OWN: what the file declares."""
    reader = own.reader
    named = {key.text: service for key, service in services if isinstance(service, Mapping)}
    before = len(reader.problems)
    every_name = services_of(own)
    links = {name: links_of(service, every_name, reader) for name, service in named.items()}
    every = [link for each in links.values() for link in each]
    refuse_nameless(every, named, reader)
    aliases = aliases_of(every, reader)
    return {} if reader.passes_over("links", before) else {"links": links, "aliases": aliases}


def _refuse_same_names(services: tuple[tuple[Scalar, Node], ...], reader: Reader) -> None:
    """Refuse a container_name that two services have, as Compose does; services that no profile has in common may be
    there in place of each other, which `select` judges."""
    taken: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for key, service in services:
        if not isinstance(service, Mapping):
            continue
        node, own = service.get("container_name"), _written_profiles(service)
        if isinstance(node, Scalar) and not is_null(node):
            others = taken.setdefault(node.text, [])
            rivals = [name for name, profiles in others if not own or not profiles or own & profiles]
            if rivals:
                reader.refuse(node, f"container_name {node.text!r} is also that of service {rivals[0]!r}")
            others.append((key.text, own))


def _written_profiles(service: Mapping) -> frozenset[str]:
    node = service.get("profiles")
    items = node.items if isinstance(node, Sequence) else ()
    return frozenset(item.text for item in items if isinstance(item, Scalar))


def _document(name: Scalar, service: Mapping, project: _Project, reader: Reader) -> Mapping:
    """The document of the service NAME. What the loader is to refuse keeps its key, and so its position."""
    service = needing(service, project.links.get(name.text, ()))
    before = len(reader.problems)
    read_external_links(service, reader)
    reader.passes_over("external_links", before)
    entries: list[tuple[Scalar, Node]] = [(key_at(name, "name"), text_at(name, name.text))]
    members = {key.text: node for key, node in service.entries if not is_null(node)}
    deploy = deployed(members["deploy"], members, reader) if "deploy" in members else {}
    entries += [(key_at(value, own_key), value) for own_key, value in deploy.items()]
    entries += _replaced(service)
    for key, node in service.entries:
        if is_null(node) or key.text in deploy or key.text in _HERE:
            continue
        before = len(reader.problems)
        if is_passed_over(key, node, reader) or (key.text == "runtime" and is_for_another_system(service)):
            continue
        if key.text == "build":
            node = built(node, project.files["secrets"], reader)
        if key.text in _UNIQUE:
            node = without_repeats(node, key.text, reader)
        if key.text == "volumes":
            entries.append((key, mounts(node, project.volumes, reader)))
        elif key.text in project.files:
            entries.append((key, granted(key.text, node, project.files[key.text], reader)))
        elif key.text not in ("networks", *_OF_SERVICE):
            entries.append((key, node))
        if reader.passes_over(key.text, before):
            entries.pop()
    if reader.file is not None:
        reader.file.services[name.text] = _service(name, members, project.name, reader)
    aliases = project.aliases.get(name.text, ())
    entries += network_entries(name, members, project.networks, reader, aliases=aliases)
    return Mapping(**name.position, entries=tuple(entries))


def _replaced(service: Mapping) -> Iterator[tuple[Scalar, Node]]:
    """The keys of which SERVICE takes nothing from the one that it extends, as `!reset` and `!override` say, without a
    value."""
    for key, node in service.entries:
        if key.tag and key.text not in (*_HERE, *_OF_SERVICE):
            yield key, null_at(node)
        if key.tag and key.text == "deploy":
            yield from ((key.replace(text=name), null_at(node)) for name in KEYS)


def _service(name: Scalar, members: Entries, project: str, reader: Reader) -> Service:
    """What the service NAME is in its project, by its own keys and those of `deploy`."""
    counts = {}
    if "scale" in members:
        counts["scale"] = reader.value(members["scale"], _count)
    if (replicas := replicas_of(members.get("deploy"))) is not None:
        counts["deploy.replicas"] = reader.value(replicas, _count)
    if len(set(counts.values())) > 1:
        reader.refuse(members["scale"], "scale and deploy.replicas differ: set one of them, or both to one number")
    replicas_number = next(iter(counts.values()), 1)
    container_name = reader.value(members["container_name"], values.name) if "container_name" in members else None
    if container_name and replicas_number is not None and replicas_number > 1:
        reader.refuse(
            members["container_name"], f"container_name is for one container, and there are {replicas_number}"
        )
    return Service(
        name=name.text,
        project=project,
        container_name=container_name,
        replicas=1 if replicas_number is None else replicas_number,
        attach="attach" not in members or bool(reader.value(members["attach"], switch)),
    )


def _count(text: str, scope: values.Scope) -> int:
    count = whole_number(text, REPLICAS_LIMIT)
    if count is None:
        raise UsageError(f"{text!r}: expected a number of containers, at most {REPLICAS_LIMIT}")
    return count


def _project_name(node: Node | None, reader: Reader) -> str:
    name = project_name(reader.scope, reader.text(node) if node else "")
    if not is_valid(name):
        source = f", which {VARIABLE} sets" if reader.scope.environ.get(VARIABLE) else ""
        message = f"project name {name!r}{source}: expected small letters, digits, _ and -, a letter or digit first"
        reader.problems.append((node or key_at(Node(line=1, column=1), "")).problem(message))
    return name
