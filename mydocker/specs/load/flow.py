"""The keys that say when and how often a container runs among others: `depends_on`, `profiles`, `restart`, `tags`, …

The variables of a `matrix` make several specs of one document.
"""

from __future__ import annotations

import itertools

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.load.extend import read_extends, read_include
from mydocker.specs.load.pairs import read_pairs
from mydocker.specs.model import Hook
from mydocker.specs.model.dependencies import read_depends_on
from mydocker.specs.model.healthcheck import read_healthcheck
from mydocker.specs.model.restart import read_restart
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence
from mydocker.specs.nodes.reader import arguments_of, switch
from mydocker.specs.values.user import parse_user

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

RETRIES_LIMIT = 100
_OF_HOOKS = ("user", "privileged", "working_dir", "environment", "per_replica")  # other keys of Compose's hooks
COMBINATIONS_LIMIT = 1000
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def read_flow(node: Node, field: Field, reader: Reader) -> Any:
    """The value of the key that FIELD describes."""
    return _READERS[field.key](node, reader)


def _tags(node: Node, reader: Reader) -> tuple[str, ...]:
    items = node.items if isinstance(node, Sequence) else (node,)
    return tuple(reader.value(item, _tag) for item in items)


def _tag(text: str, scope: Scope) -> str:
    if not text or not _NAME.union("-.").issuperset(text):
        raise UsageError(f"tag {text!r}: expected letters, digits, _ . and -")
    return text


def _skip(node: Node, reader: Reader) -> str | None:
    """Why this container is skipped; `false` if it runs."""
    word = reader.text(node, expected="a reason, or true or false")
    return None if word.lower() in ("false", "no", "") else "it says so" if word.lower() in ("true", "yes") else word


def _retries(node: Node, reader: Reader) -> int:
    count: int = reader.value(node, _count)
    return count


def _count(text: str, scope: Scope) -> int:
    count = whole_number(text, RETRIES_LIMIT)
    if count is None:
        raise UsageError(f"{text!r}: expected a number of retries, at most {RETRIES_LIMIT}")
    return count


def _pre_start(node: Node, reader: Reader) -> tuple[tuple[str, ...], ...]:
    """Commands: each a list of words, a string that is split as a shell would, or as Compose has it {command}."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of commands")
        return ()
    return tuple(_before(item, reader) for item in node.items)


def _hooks(node: Node, reader: Reader) -> tuple[Hook, ...]:
    """Commands as in `pre_start`, or mappings of a command, a user, a directory and variables."""
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of commands")
        return ()
    return tuple(_hook(item, reader) for item in node.items)


def _hook(node: Node, reader: Reader) -> Hook:
    if not isinstance(node, Mapping):
        return Hook(command=_before(node, reader))
    members = reader.members(node, ("command", "user", "privileged", "working_dir", "environment"))
    if "privileged" in members and reader.value(members["privileged"], switch):
        reader.refuse(members["privileged"], "a hook gets no more rights than its container")
    if "command" not in members:
        reader.refuse(node, "command is missing")
        return Hook(command=())
    found: dict[str, Any] = {}
    if "user" in members:
        found["user"] = reader.value(members["user"], lambda text, scope: parse_user(text) if text else None)
    if "working_dir" in members:
        found["working_dir"] = reader.value(members["working_dir"], values.working_dir)
    if "environment" in members:
        found["environment"] = read_pairs(members["environment"], values.variable, reader)
    return Hook(command=_before(members["command"], reader), **found)


def _before(node: Node, reader: Reader) -> tuple[str, ...]:
    if isinstance(node, Mapping):
        members = reader.members(node, ("command",), unsupported=_OF_HOOKS)
        if "command" not in members:
            reader.refuse(node, "command is missing")
            return ()
        node = members["command"]
    found = arguments_of(node, reader)
    if not found:
        reader.refuse(node, "the command is empty")
    return found


def _profiles(node: Node, reader: Reader) -> tuple[str, ...]:
    if not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of profiles")
        return ()
    return tuple(reader.value(item, _profile) for item in node.items)


def _profile(text: str, scope: Scope) -> str:
    """A name, as Compose's schema defines it; an empty one is that of no profile."""
    if not text:
        return ""
    if text[0] not in _NAME or not _NAME.union("-.").issuperset(text):
        raise UsageError(f"profile {text!r}: expected letters, digits, _ . and -")
    return text


def _matrix(node: Node, reader: Reader) -> dict[str, str]:
    """`combinations` has reported any problem with it, and each spec has its own variables."""
    return {name: value for name, value in reader.scope.environ.items() if name in _names(node)}


def _names(node: Node) -> set[str]:
    return {key.text for key, _ in node.entries} if isinstance(node, Mapping) else set()


def combinations(document: Mapping, reader: Reader) -> list[dict[str, str]]:
    """The variables of each spec that the `matrix` of DOCUMENT makes of it; without one, a single spec with none."""
    node = document.get("matrix")
    if node is None or (isinstance(node, Scalar) and node.is_null):
        return [{}]
    if not isinstance(node, Mapping) or not node.entries:
        reader.refuse(node, "expected a mapping of variables to lists of values")
        return [{}]
    axes = [[(key.text, value) for value in _values(key, values, reader)] for key, values in node.entries]
    found = [dict(choice) for choice in itertools.islice(itertools.product(*axes), COMBINATIONS_LIMIT + 1)]
    if len(found) > COMBINATIONS_LIMIT:
        reader.refuse(node, f"more than {COMBINATIONS_LIMIT} combinations")
    return found[:COMBINATIONS_LIMIT] or [{}]


def _values(key: Scalar, node: Node, reader: Reader) -> list[str]:
    if not key.text or not _NAME.issuperset(key.text) or key.text[0].isdigit():
        reader.refuse(key, f"{key.text!r}: expected the name of a variable")
    if not isinstance(node, Sequence) or not node.items:
        reader.refuse(node, "expected a list of values")
        return []
    return [reader.text(item) for item in node.items]


_READERS: dict[str, Callable[[Node, Reader], Any]] = {
    "tags": _tags,
    "skip": _skip,
    "retries": _retries,
    "matrix": _matrix,
    "depends_on": read_depends_on,
    "healthcheck": read_healthcheck,
    "pre_start": _pre_start,
    "post_start": _hooks,
    "pre_stop": _hooks,
    "profiles": _profiles,
    "restart": read_restart,
    "extends": read_extends,
    "include": read_include,
}
