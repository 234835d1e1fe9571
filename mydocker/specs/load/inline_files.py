"""`configs` and `secrets`: files that are mounted read-only into a container, over what its image has there.

Each comes from a file, from text in the spec, or from a variable of the caller. The keys are Compose's ("Configs",
"Secrets" and "Services"), but a file's definition and its use by a container are one entry here.
"""

from __future__ import annotations

import os

from mydocker.errors import OutsideError, UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.environment.files import why_unreadable
from mydocker.specs.model import BindMount, FileMount, Mount
from mydocker.specs.mounts.tmpfs import parse_mode
from mydocker.specs.mounts.volume import clean_target
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

SECRETS = "/run/secrets"
SOURCES = ("file", "content", "environment", "podman")
KEYS = ("source", "target", *SOURCES, "uid", "gid", "mode")
SIZE_LIMIT = 500 << 10  # bytes of content that is not mounted from the host; Docker's limit of a secret
_ID_LIMIT = 2**31 - 1


def read_inline_files(node: Node, reader: Reader, *, secret: bool) -> tuple[Mount | None, ...]:
    """The value of either key."""
    if not isinstance(node, Sequence):
        reader.refuse(node, f"expected a list of mappings with {', '.join(KEYS)}")
        return ()
    return tuple(_given(item, reader, secret=secret) for item in node.items)


def _given(node: Node, reader: Reader, *, secret: bool) -> Mount | None:
    """A file of the host is mounted from there if nothing about it changes; otherwise a copy is written."""
    if not isinstance(node, Mapping):
        reader.refuse(node, f"expected a mapping with {', '.join(KEYS)}")
        return None
    before = len(reader.problems)
    members = reader.members(node, KEYS)
    target = _target(node, members, reader, secret=secret)
    ids = {key: reader.value(members[key], _id) for key in ("uid", "gid") if key in members}
    mode = {"mode": reader.value(members["mode"], _mode)} if "mode" in members else {}
    sources = [key for key in SOURCES if key in members]
    if len(sources) != 1:
        reader.refuse(node, f"expected one of {', '.join(SOURCES)}, which sets the content")
    if len(reader.problems) > before or target is None:
        return None
    source = members[sources[0]]
    if sources == ["file"] and not ids and not mode:
        path = reader.value(source, values.path)
        return BindMount(target=target, read_only=True, source=path) if path else None
    before = len(reader.problems)
    content = reader.value(source, _READERS[sources[0]])
    if content is None:
        if not reader.forgives(before):
            return None
        content = ""
    reference = _reference(sources[0], source, content, reader, secret=secret)
    return FileMount(target=target, read_only=True, content=content, reference=reference, secret=secret, **ids, **mode)


def _reference(kind: str, node: Node, content: str, reader: Reader, *, secret: bool) -> tuple[str, str] | None:
    """Where CONTENT comes from. The text of a config may be printed with its variables replaced, that of a secret may
    not."""
    if kind == "content":
        written = node.text if secret and isinstance(node, Scalar) else ""
        return (kind, written) if written.replace("$$", "$") not in ("", content) else None
    text = reader.text(node)
    return kind, values.path(text, reader.scope) if kind == "file" else text


def _target(node: Node, members: dict[str, Node], reader: Reader, *, secret: bool) -> str | None:
    """The path in the container; one that is not absolute, such as the name of the source, begins in / or in the
    directory of secrets."""
    target = members.get("target", members.get("source"))
    if target is None:
        reader.refuse(node, "expected a target, or a source, which is its name")
        return None
    path: str = reader.text(target)
    if not path.startswith("/"):
        path = f"{SECRETS if secret else ''}/{path}"
    found: str | None = reader.attempt(target, lambda: clean_target(path))
    return found


def _id(text: str, scope: values.Scope) -> int:
    number = whole_number(text, _ID_LIMIT)
    if number is None:
        raise UsageError(f"{text!r}: expected a number up to {_ID_LIMIT}")
    return number


def _mode(text: str, scope: values.Scope) -> int:
    return parse_mode(text)


def _file(text: str, scope: values.Scope) -> str:
    path = values.path(text, scope)
    try:
        with open(path, "rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise OutsideError(f"{path}: {why_unreadable(error)}") from None
    if len(raw) > SIZE_LIMIT:
        raise UsageError(f"{path} is larger than {SIZE_LIMIT >> 10} KiB")
    return os.fsdecode(raw)


def _variable(text: str, scope: values.Scope) -> str:
    if text not in scope.environ:
        raise OutsideError(f"variable {text} is needed and not set")
    return scope.environ[text]


def _podman_secret(text: str, scope: values.Scope) -> str:
    from mydocker.specs.environment.podman_secrets import read_secret

    return read_secret(text, scope.environ)


_READERS = {"file": _file, "content": values.any_text, "environment": _variable, "podman": _podman_secret}
