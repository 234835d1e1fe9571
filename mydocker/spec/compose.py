"""Compose files: each entry of a top-level `services` becomes a document of ours.

The words of a service are our own, so most of a service stays as it is. What is different is here: names of volumes,
which Compose begins with the project's; `deploy`, where limits may stand; and the other services, which have names in
the container. A key that is not known stays in the document, where it is refused by its name. The rules are those of
the Compose specification (compose-spec, "Services", "Volumes", "Version and name").
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING, Record
from mydocker.spec.composegiven import definitions, granted
from mydocker.spec.later import LATER_KEYS, nearest
from mydocker.spec.node import Mapping, Node, Scalar, Sequence, is_null, list_at, text_at
from mydocker.spec.port import elsewhere, read_ports
from mydocker.spec.reading import unknown_key
from mydocker.spec.volume import is_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mydocker.spec.composegiven import Definitions
    from mydocker.spec.reading import Reading

    Entries = dict[str, Node]

_TOP = ("name", "version", "include", "services", "volumes", "networks", "configs", "secrets")
_PROJECT = "COMPOSE_PROJECT_NAME"
_PROJECT_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_SERVICE_LETTERS = _PROJECT_LETTERS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ.")
_LIMITS = {"cpus": "cpus", "memory": "mem_limit", "pids": "pids_limit"}  # of deploy.resources.limits
_LOOPBACK = "127.0.0.1"


class _Project(Record):
    """What a service may speak of: the names of volumes, and the host names of all services."""

    volumes: dict[str, str | None]  # as declared -> as kept; None: it could not be read
    given: dict[str, Definitions]  # of configs, of secrets
    hosts: tuple[str, ...]


def documents(whole: Mapping, reading: Reading) -> Iterator[tuple[Mapping, Reading]]:
    """A document for each service of WHOLE, and what it is to be read with: there, the project's name is a variable."""
    top = _members(whole, _TOP, reading)
    name = _project_name(top.get("name"), reading)
    environ = {_PROJECT: name, **reading.place.environ}
    inner = reading.replace(place=reading.place.replace(environ=environ))
    services = [*_entries(top["services"], inner)]
    if not services and (isinstance(top["services"], Mapping) or is_null(top["services"])):
        reading.refuse(top["services"], "there is no service in this file")
    _refuse_networks(top.get("networks"), inner)
    volumes = dict(_volume(key, node, name, inner) for key, node in _entries(top.get("volumes"), inner))
    hosts = tuple(host for key, service in services for host in _hosts_of(key, service, inner))
    given = {kind: definitions(_entries(top.get(kind), inner), inner) for kind in ("configs", "secrets")}
    project = _Project(volumes=volumes, given=given, hosts=tuple(dict.fromkeys(hosts)))
    if "include" in top:
        key = _key(top["include"], "include")
        yield Mapping(line=key.line, column=key.column, entries=((key, top["include"]),)), inner
    for key, service in services:
        if not _SERVICE_LETTERS.issuperset(key.text):
            inner.refuse(key, f"service {key.text!r}: want letters, digits, _ . and -")
        elif isinstance(service, Mapping):
            yield _document(key, service, project, inner), inner
        else:
            inner.refuse(service, "want keys and values, such as 'image: alpine'")


def _document(name: Scalar, service: Mapping, project: _Project, reading: Reading) -> Mapping:
    """The service NAME. What the loader is to refuse keeps its key, and so its place."""
    entries: list[tuple[Scalar, Node]] = [(_key(name, "name"), text_at(name, name.text))]
    for key, node in service.entries:
        if is_null(node):
            continue
        if key.text == "deploy":
            entries += [(_key(value, ours), value) for ours, value in _deployed(node, reading).items()]
        elif key.text == "volumes":
            entries.append((key, _mounts(node, project, reading)))
        elif key.text in project.given:
            entries.append((key, granted(key.text, node, project.given[key.text], reading)))
        elif key.text not in _WITHOUT_EFFECT or not _WITHOUT_EFFECT[key.text](node, reading):
            entries.append((key, node))
    given = {key.text: node for key, node in service.entries if not is_null(node)}
    if "network_mode" not in given:
        entries = [entry for entry in entries if entry[0].text != "extra_hosts"]
        entries.append((_key(name, "extra_hosts"), _with_hosts(name, given.get("extra_hosts"), project.hosts)))
    return Mapping(line=name.line, column=name.column, entries=tuple(entries))


def _key(node: Node, text: str) -> Scalar:
    return Scalar(line=node.line, column=node.column, text=text, plain=True)


def _project_name(node: Node | None, reading: Reading) -> str:
    """The variable COMPOSE_PROJECT_NAME, else the key `name`, else that of the directory, as Compose cleans it."""
    given = reading.place.environ.get(_PROJECT) or (reading.text(node) if node else "")
    if given and (given[0] in "_-" or not _PROJECT_LETTERS.issuperset(given)):
        message = f"project name {given!r}: want small letters, digits, _ and -, a letter or digit first"
        reading.problems.append((node or _key(Node(line=1, column=1), "")).problem(message))
    base = os.path.basename(reading.place.directory).lower()
    return given or "".join(letter for letter in base if letter in _PROJECT_LETTERS).lstrip("_-") or "default"


def _refuse_networks(node: Node | None, reading: Reading) -> None:
    """There is one network, the host's; the one that Compose makes by default, as it makes it, stands for it."""
    for key, network in _entries(node, reading):
        if key.text != "default" or not is_null(network):
            reading.refuse(key, f"network {key.text!r} is not supported yet: services share the host's network")


def _volume(key: Scalar, node: Node, project: str, reading: Reading) -> tuple[str, str | None]:
    """A volume's name in this file, and the name that it is kept under."""
    if is_null(node):
        return key.text, f"{project}_{key.text}"
    if not isinstance(node, Mapping):
        reading.refuse(node, "want a mapping")
        return key.text, None
    before = len(reading.problems)
    members = _members(node, ("name", "external", "driver"), reading, later=("driver_opts", "labels"))
    texts = {name: reading.text(value) for name, value in members.items()}
    if texts.get("driver", "local") != "local":
        reading.refuse(members["driver"], f"volume driver {texts['driver']!r} is not supported: want local")
    external = texts.get("external", "false") == "true"
    name = texts.get("name") or (key.text if external else f"{project}_{key.text}")
    return key.text, name if len(reading.problems) == before else None


def _mounts(node: Node, project: _Project, reading: Reading) -> Node:
    if not isinstance(node, Sequence):
        return node
    return list_at(node, [_mount(item, project, reading) for item in node.items])


def _mount(item: Node, project: _Project, reading: Reading) -> Node:
    """An entry of a service's `volumes`, the volume that it names by the name that it is kept under."""
    if isinstance(item, Mapping):
        members = {key.text: value for key, value in item.entries}
        kind, source = members.get("type"), members.get("source")
        if not isinstance(kind, Scalar) or kind.text != "volume" or not isinstance(source, Scalar):
            return item
        kept = text_at(source, _kept(source, reading.text(source), project, reading))
        entries = tuple((key, kept if value is source else value) for key, value in item.entries)
        return item.replace(entries=entries)
    if not isinstance(item, Scalar) or item.is_null:
        return item
    before = len(reading.problems)
    text = reading.text(item)
    name, colon, rest = text.partition(":")
    if len(reading.problems) > before:
        return text_at(item, "/unknown")  # one mistake is enough
    return text_at(item, f"{_kept(item, name, project, reading)}:{rest}" if colon and not is_path(name) else text)


def _kept(node: Node, name: str, project: _Project, reading: Reading) -> str:
    if name and name not in project.volumes:
        near = nearest(name, project.volumes)
        more = f"; did you mean {near!r}?" if near else ", or ./ before it for a directory"
        reading.refuse(node, f"volume {name!r} is not declared under volumes at the top of the file{more}")
    return project.volumes.get(name) or name


def _deployed(node: Node, reading: Reading) -> Entries:
    """The limits of `deploy`. The rest of it is for clusters."""
    found: Entries = {}
    for key, value in _entries(node, reading):
        if key.text == "resources":
            for inner, limits in _entries(value, reading):
                if inner.text == "limits":
                    found |= {_LIMITS[name]: each for name, each in _members(limits, _LIMITS, reading).items()}
                else:
                    reading.refuse(inner, f"deploy.resources.{inner.text} is not supported")
        elif key.text not in ("replicas", "mode") or not _is_said(value, ("1", "replicated"), reading):
            reading.refuse(key, f"deploy.{key.text} is not supported")
    return found


def _is_said(node: Node, words: tuple[str, ...], reading: Reading) -> bool:
    return isinstance(node, Scalar) and reading.text(node) in words


def _exposes_nothing(node: Node, reading: Reading) -> bool:
    """`expose` tells people what a service listens to; on a shared network nothing depends on it."""
    return isinstance(node, Sequence)


def _is_default_network(node: Node, reading: Reading) -> bool:
    names = [key for key, _ in node.entries] if isinstance(node, Mapping) else getattr(node, "items", ())
    return all(isinstance(name, Scalar) and name.text == "default" for name in names) and not isinstance(node, Scalar)


def _is_published_anyway(node: Node, reading: Reading) -> bool:
    """On the host's network a port of a service is the host's, under its own number and on the addresses it chooses."""
    for port in read_ports(node, reading):
        if other := elsewhere(port):
            message = f"port {port.target} as {other} is not supported yet: services share the host's network"
            reading.refuse(node, message)
    return True


def _is_word(node: Node, reading: Reading) -> bool:
    return isinstance(node, Scalar)


def _is_one(node: Node, reading: Reading) -> bool:
    return _is_said(node, ("1",), reading)


def _is_true(node: Node, reading: Reading) -> bool:
    return _is_said(node, ("true",), reading)


_WITHOUT_EFFECT: dict[str, Callable[[Node, Reading], bool]] = {  # whether each of these says what holds anyway
    "container_name": _is_word,
    "expose": _exposes_nothing,
    "ports": _is_published_anyway,
    "networks": _is_default_network,
    "scale": _is_one,
    "attach": _is_true,
}


def _hosts_of(key: Scalar, service: Node, reading: Reading) -> Iterator[str]:
    """The names by which other services know one."""
    yield key.text
    for word, node in service.entries if isinstance(service, Mapping) else ():
        if word.text == "container_name" and isinstance(node, Scalar) and not node.is_null:
            yield reading.text(node)


def _with_hosts(name: Scalar, given: Node | None, hosts: tuple[str, ...]) -> Node:
    """`extra_hosts` with the names of the services. They share the host's network, so each is at this address."""
    if isinstance(given, Mapping):
        said = {key.text for key, _ in given.entries}
        more = tuple((_key(name, host), text_at(name, _LOOPBACK)) for host in hosts if host not in said)
        return given.replace(entries=(*given.entries, *more))
    if given is not None and not isinstance(given, Sequence):
        return given
    items = given.items if given else ()
    said = {item.text.replace("=", ":").partition(":")[0] for item in items if isinstance(item, Scalar)}
    more_items = (text_at(name, f"{host}={_LOOPBACK}") for host in hosts if host not in said)
    return list_at(given or name, (*items, *more_items))


def _entries(node: Node | None, reading: Reading) -> tuple[tuple[Scalar, Node], ...]:
    """The entries of a mapping, but for those that are free (`x-…`)."""
    if isinstance(node, Mapping):
        return tuple(entry for entry in node.entries if not entry[0].text.startswith("x-"))
    if node is not None and not is_null(node):
        reading.refuse(node, "want a mapping")
    return ()


def _members(
    node: Node, known: tuple[str, ...] | dict[str, str], reading: Reading, later: tuple[str, ...] = ()
) -> Entries:
    """The entries of NODE that are known and not null; the others are refused by their names."""
    found: Entries = {}
    for key, value in _entries(node, reading):
        if key.text in known:
            if not is_null(value) or key.text == "services":
                found[key.text] = value
        elif key.text in later or key.text in LATER_KEYS:
            reading.refuse(key, f"{key.text} is not supported yet")
        else:
            reading.refuse(key, unknown_key(key.text, nearest(key.text, known)))
    return found
