"""`--user` and USER: `user[:group]`, each a name or a number, become a User.

This module resolves no names: they are the image's, and are resolved in its files at launch.
"""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.specs.model import User

ID_LIMIT = 2**31 - 1  # what runc and Docker accept; above it, ids wrap round to others (CVE-2024-40635)

_DIGITS = frozenset("0123456789")


def parse_user(text: str) -> User:
    """`app`, `1000`, `app:staff`, `1000:1000` and mixed. Raises UsageError.

    As for Docker, an empty group is as none (`1000:`, from `$UID:$GID` with one unset), and an empty user before a
    colon is root.
    """
    name, colon, group = text.partition(":")
    user = 0 if colon and not name else _identity(name, "user")
    return User(user=user, group=_identity(group, "group") if group else None)


def parse_group(text: str) -> str | int:
    """A group alone, as --group-add takes it."""
    if text == "keep-groups":  # Podman's word for the caller's own, whatever they are
        raise UsageError("keep-groups is not supported", hint="name the groups")
    return _identity(text, "group")


def _identity(text: str, what: str) -> str | int:
    """Only ASCII digits make a number: not `1_0`, `٠` or `0x0`, which int() or isdigit() would accept."""
    if not text:
        raise UsageError(f"the {what} is empty", hint="write USER, USER:GROUP or numbers")
    if _DIGITS.issuperset(text):
        if len(text.lstrip("0")) > 10 or int(text) > ID_LIMIT:
            raise UsageError(f"{what} {text}: a number is at most {ID_LIMIT}")
        return int(text)
    if _DIGITS.issuperset(text[1:]) and text[0] == "-":
        raise UsageError(f"{what} {text}: a number is 0 to {ID_LIMIT}")
    if ":" in text or not text.isprintable() or " " in text:
        raise UsageError(f"{what} {text!r} is not a name", hint="write USER, USER:GROUP or numbers")
    return text
