"""Patterns for paths in a container: `*` and `?` stay within a name, `**` crosses names, `[…]` is one of a set."""

from __future__ import annotations

import functools
import re


def matches_glob(path: str, glob: str) -> bool:
    """Whether PATH matches GLOB; `/tmp/**` matches /tmp itself and everything below it."""
    return _compiled(glob).fullmatch(path) is not None


@functools.cache
def _compiled(glob: str) -> re.Pattern[str]:
    pattern, rest = "", glob
    while rest:
        if rest == "/**":
            pattern, rest = pattern + "(?:/.*)?", ""
        elif rest.startswith("**/"):
            pattern, rest = pattern + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            pattern, rest = pattern + ".*", rest[2:]
        elif rest[0] == "*":
            pattern, rest = pattern + "[^/]*", rest[1:]
        elif rest[0] == "?":
            pattern, rest = pattern + "[^/]", rest[1:]
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            inside = rest[1:end].replace("\\", "\\\\").replace("[", "\\[")
            pattern, rest = pattern + "[" + ("^" + inside[1:] if inside[0] == "!" else inside) + "]", rest[end + 1 :]
        else:
            pattern, rest = pattern + re.escape(rest[0]), rest[1:]
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:  # such as the set [z-a]: then it is matched literally
        return re.compile(re.escape(glob), re.DOTALL)
