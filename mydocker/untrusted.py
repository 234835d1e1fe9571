"""What images, containers and registries have written, in a form that mydocker can print and report.

One text has many readers. A terminal obeys control characters (`spelled`). The runner of a CI service obeys lines of a
job's output: `::command::` of GitHub, Gitea and Forgejo, `##[command]` of GitHub and Azure Pipelines, `##vso[` of Azure
Pipelines, `##teamcity[` of TeamCity; GitLab's sections take control characters. They are broken by errors.printable in
plain text, and in JSON and markup by an escape that the reader of the format undoes (json_text.dump, `markup`). A
browser and a Markdown reader obey markup (`html_text`, `markdown_text`).

Whole lines are treated, after they have been put together: what is harmless in parts can be a command as a whole.
"""

from __future__ import annotations

import json
import re

from mydocker.errors import inert, spelled

_LINE_COMMAND = re.compile(r"^([^\S\n]*):(?=:.*::)", re.MULTILINE)
_INLINE_COMMAND = re.compile(r"##(?=\w*\[)")
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # but those of surrogateescape
_UNPRINTED = re.compile(r"[^\n\x20-\x7e]")


def clean(text: str) -> str:
    """TEXT with what could not be decoded as U+FFFD; so are the halves of a pair that JSON can have alone."""
    return _HALVES.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def lines_spelled(text: str) -> str:
    """TEXT with control characters, and those that change the direction of writing, spelled out; its lines stay lines,
    and tabs stay tabs."""
    lines = clean(text).split("\n")
    return "\n".join("\t".join(spelled(part) for part in line.split("\t")) for line in lines)


def quoted(text: str) -> str:
    """TEXT as a string of JSON that is one of YAML as well: there an escape is a whole character, not half a pair."""
    shown = json.dumps(clean(text), ensure_ascii=False).replace("##", "\\u0023\\u0023")
    return _UNPRINTED.sub(lambda match: match[0] if match[0].isprintable() else _escape(match[0]), shown)


def _escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def markup(document: str) -> str:
    """A DOCUMENT of XML or HTML, complete: character references where a line would be a command."""
    return _INLINE_COMMAND.sub("&#35;#", _LINE_COMMAND.sub(r"\1&#58;", document))


def html_text(text: str) -> str:
    """TEXT for an element or an attribute of HTML; its lines stay lines."""
    from html import escape

    return escape(lines_spelled(text).replace("\t", "    "))


def markdown_text(text: str) -> str:
    """TEXT on one line of Markdown, as it is: what could be markup, a link or a mention is a character reference."""
    line = spelled(" ".join(clean(text).split()))
    return "".join(c if c.isalnum() or c in " ,-/" or ord(c) > 127 else f"&#{ord(c)};" for c in line)


def markdown_block(text: str, *, language: str = "") -> str:
    """TEXT as a code block of Markdown, in a fence that is longer than any in it. There are no escapes in there, so a
    command to a CI service's runner is broken visibly."""
    shown = "\n".join(inert(line) for line in lines_spelled(text).split("\n"))
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"
