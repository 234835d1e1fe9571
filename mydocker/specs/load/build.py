"""The key `build` of a spec file becomes a Build (compose-spec, "Compose Build Specification")."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.reference import Platform
from mydocker.specs import field_types, values
from mydocker.specs.model.build import STDIN, Build, BuildSecret, is_path, is_remote
from mydocker.specs.nodes.node import Mapping, Node, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from mydocker.specs.nodes.reader import Reader

    Parse = Callable[[str, values.Scope], Any]
    Read = Callable[[str, Node, Parse], Any]  # the name of a YAML type, a node, and the parser of its words

SECRET_KEYS = ("source", "target", "file", "environment", "uid", "gid", "mode")
_IGNORED = ("uid", "gid", "mode")  # of a secret: no builder sets them


def read_build(node: Node, reader: Reader, read: Read) -> Build | None:
    """The value of `build`: a context, or a mapping. READ reads the parts that other keys have, too; None after a
    problem, which has been recorded."""
    if not isinstance(node, Mapping):
        text = reader.value(node, context)
        return Build(context=text, origin=node.origin) if text else None
    members = reader.members(node, KEYS)
    before = len(reader.problems)
    found: dict[str, Any] = {}
    for key, part in members.items():
        if key == "secrets":
            found[key] = read_secrets(part, reader)
        elif key == "ssh" and not isinstance(part, (Mapping, Sequence)):
            found[key] = reader.value(part, ssh)
        else:
            kind, parse = KEYS[key]
            found[key] = read(kind, part, parse)
    if "dockerfile" in members and "dockerfile_inline" in members:
        reader.refuse(members["dockerfile_inline"], "dockerfile and dockerfile_inline exclude each other")
    found.setdefault("context", "")  # that of a base, or else the file's own directory
    return Build(**found, origin=node.origin) if len(reader.problems) == before else None


def read_secrets(node: Node, reader: Reader) -> tuple[BuildSecret, ...]:
    """Entries of {source, target, file or environment}: `target`, or else `source`, is the secret's name in the
    build."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of secrets")
        return ()
    return tuple(each for each in (_secret(item, reader) for item in node.items) if each)


def _secret(node: Node, reader: Reader) -> BuildSecret | None:
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping with source, and file or environment")
        return None
    members = reader.members(node, SECRET_KEYS)
    if file := reader.file:
        file.warnings += (
            members[key].problem(f"{key} of a secret of a build has no effect") for key in _IGNORED if key in members
        )
    name = reader.text(members.get("target") or members.get("source") or node)
    if "file" in members:
        return BuildSecret(id=name, file=reader.value(members["file"], values.path) or "")
    if "environment" in members:
        variable = reader.text(members["environment"])
        return BuildSecret(id=name, variable=variable, value=reader.scope.environ.get(variable, ""))
    reader.refuse(node, "a secret of a build needs file or environment")
    return None


def context(text: str, scope: values.Scope) -> str:
    """An absolute directory, or an address as it is."""
    return text if text == STDIN or is_remote(text) else values.path(text, scope)


def named_context(text: str, scope: values.Scope) -> dict[str, str]:
    """NAME=CONTEXT."""
    name, equals, place = text.partition("=")
    if not name or not equals or not place:
        raise UsageError(f"additional context {text!r}: expected NAME=CONTEXT")
    return {name: values.path(place, scope) if is_path(place) else place}


def ssh(text: str, scope: values.Scope) -> dict[str, str]:
    """`default`, or ID=PATH of a key or an agent's socket."""
    name, _, path = text.partition("=")
    if not name:
        raise UsageError(f"ssh {text!r}: expected default, or ID=PATH")
    return {name: values.path(path, scope) if path else ""}


def parse_secret(text: str, scope: values.Scope) -> BuildSecret:
    """`id=ID[,src=FILE]` or `id=ID,env=NAME`, as `docker build --secret` has it; by default, the variable called ID
    if it is set, else the file of that name."""
    members: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = {"source": "src", "target": "id"}.get(key, key)
        if not equals or key not in ("id", "src", "env", "type") or not value:
            raise UsageError(f"secret {text!r}: expected id=ID,src=FILE or id=ID,env=NAME")
        members[key] = value
    name = members.get("id") or members.get("src", "").rpartition("/")[2]
    if not name:
        raise UsageError(f"secret {text!r}: expected an id")
    variable = members.get("env") or (name if "src" not in members and name in scope.environ else "")
    if members.get("type") == "env" and "env" not in members:
        variable = members.get("src", name)
    if variable:
        if variable not in scope.environ:
            raise UsageError(f"secret {text!r}: the variable {variable} is not set")
        return BuildSecret(id=name, variable=variable, value=scope.environ[variable])
    return BuildSecret(id=name, file=values.path(members.get("src", name), scope))


def platform(text: str, scope: values.Scope) -> Platform:
    return Platform.parse(text, of_any_system=True)


def joined(words: Iterable[str], parse: Parse, scope: values.Scope) -> dict[str, Any]:
    """What PARSE makes of each of WORDS, in one mapping; a later one wins."""
    found: dict[str, Any] = {}
    for word in words:
        found.update(parse(word, scope))
    return found


KEYS: dict[str, tuple[str, Parse]] = {  # the YAML type of each, and the parser of its words
    "context": ("text", context),
    "dockerfile": ("text", values.any_text),
    "dockerfile_inline": ("text", values.any_text),
    "args": ("pairs", values.variable),
    "target": ("text", values.any_text),
    "labels": ("pairs", values.label),
    "tags": ("list", values.image),
    "platforms": ("list", platform),
    "no_cache": ("boolean", values.any_text),
    "pull": ("boolean", values.any_text),
    "cache_from": ("list", values.any_text),
    "cache_to": ("list", values.any_text),
    "additional_contexts": ("pairs", named_context),
    "secrets": ("list", values.any_text),
    "ssh": ("pairs", ssh),
    "network": ("text", values.any_text),
    "extra_hosts": ("hosts", field_types.extra_host),
    "shm_size": ("text", field_types.shm_size),
    "ulimits": ("ulimits", field_types.ulimit),
    "privileged": ("boolean", values.any_text),
    "entitlements": ("list", values.any_text),
    "isolation": ("text", values.any_text),
    "provenance": ("text", values.any_text),
    "sbom": ("text", values.any_text),
}
