"""The name of the project that the containers of a file belong to, as Compose derives it ("Version and name")."""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.specs.values import Scope

VARIABLE = "COMPOSE_PROJECT_NAME"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def project_name(scope: Scope, name: str = "") -> str:
    """The variable, else NAME, which a file sets, else that of the directory, normalized."""
    base = os.path.basename(scope.directory).lower()
    normalized = "".join(letter for letter in base if letter in LETTERS).lstrip("_-") or "default"
    return scope.environ.get(VARIABLE) or name or normalized


def is_valid(name: str) -> bool:
    return bool(name) and name[0] not in "_-" and LETTERS.issuperset(name)
