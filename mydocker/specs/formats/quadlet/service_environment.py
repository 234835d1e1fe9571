"""The variables that [Service] sets for the command lines of a unit: `Environment=` and the files of
`EnvironmentFile=`, in the form of systemd.exec(5)."""

from __future__ import annotations

import os
import re
from functools import partial

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.files import why_unreadable
from mydocker.specs.formats.quadlet.specifiers import expand
from mydocker.specs.nodes.unit_file import split_words

if TYPE_CHECKING:
    from mydocker.specs.formats.quadlet.context import Context
    from mydocker.specs.nodes.unit_file import Setting

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LIMIT = 1 << 20
_ESCAPED = '"\\`$\n'  # what a backslash protects between double quotes


def service_variables(context: Context) -> dict[str, str]:
    """The variables, those of files over the others."""
    found: dict[str, str] = {}
    service = context.sections.get("Service", {})
    for setting in service.get("Environment", ()):
        for word in context.reader.attempt(setting.value, partial(split_words, setting.value.text)) or []:
            name, _, value = _expanded(setting, word, context).partition("=")
            found[name] = value
    for setting in service.get("EnvironmentFile", ()):
        found |= _of_files(setting, context)
    return found


def _expanded(setting: Setting, text: str, context: Context) -> str:
    return context.reader.attempt(setting.value, lambda: expand(text, context.unit)) or ""


def _of_files(setting: Setting, context: Context) -> dict[str, str]:
    """The variables of the files that SETTING means, which may be a pattern; none if it needs one that is not here.
    With `-` before it, a file may be missing."""
    import glob

    text = _expanded(setting, setting.text, context)
    pattern = text.removeprefix("-")
    if not pattern.startswith("/"):
        context.reader.refuse(setting.value, f"{pattern!r}: expected an absolute path")
        return {}
    found: dict[str, str] = {}
    paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    try:
        for path in paths:
            with open(path, encoding="utf-8") as file:
                found |= parse_environment(file.read(_LIMIT))
        if not paths:
            raise FileNotFoundError(2, os.strerror(2))
    except (OSError, UnicodeDecodeError) as error:
        if text.startswith("-") and isinstance(error, FileNotFoundError):
            return found
        why = why_unreadable(error) if isinstance(error, OSError) else "it is not UTF-8"
        context.lack(setting.value, f"cannot read {pattern}: {why}")
        return {}
    except UsageError as error:
        context.reader.refuse(setting.value, f"{pattern}: {error.message}")
    return found


def parse_environment(text: str) -> dict[str, str]:
    """NAME=VALUE in each line: comments begin with # or ;, quotes join what belongs together, a backslash protects a
    character or the end of a line. Raises UsageError for a quote without its end; other lines are passed over."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].lstrip()
        name, equals, _ = line.partition("=")
        if line[:1] in ("#", ";") or not equals or not _NAME.match(name.strip()):
            at = end + 1
            continue
        value, at = _value(text, text.index("=", at) + 1)
        found[name.strip()] = value
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """(the value that begins AT, where the next line begins)."""
    found, quote, bare = "", "", 0  # bare: how much of it ends with a character that was quoted
    while at < len(text) and (quote or text[at] != "\n"):
        letter = text[at]
        following = text[at + 1 : at + 2]
        at += 1
        if letter == "\\" and quote != "'" and (not quote or following in _ESCAPED):
            found += "" if following == "\n" else following
            at, bare = at + 1, len(found)
        elif letter == quote:
            quote, bare = "", len(found)
        elif not quote and letter in "\"'":
            quote = letter
        elif found or quote or letter not in " \t":
            found += letter
            bare = len(found) if quote else bare
    if quote:
        raise UsageError("a quote without its end")
    return found[:bare] + found[bare:].rstrip(), at + 1
