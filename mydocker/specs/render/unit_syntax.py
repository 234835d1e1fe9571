"""Values of unit files, written so that systemd and Podman read the same text again (systemd.syntax(7), "Quoting";
systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers").

The percent sign of a specifier and the dollar sign of a variable are doubled, for what is written is never one.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:@,^~")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def doubled(text: str) -> str:
    """TEXT without specifiers and variables."""
    return text.replace("%", "%%").replace("$", "$$")


def word(text: str) -> str:
    """TEXT as one word of a setting that is split into words, such as a command line. Any text is possible."""
    return _quoted(doubled(text), is_plain=bool(text) and _PLAIN.issuperset(text))


def assignment(name: str, value: str) -> str:
    """NAME=VALUE as one word of `Environment=` in [Service], where a dollar sign means nothing (systemd.exec(5))."""
    text = f"{name}={value}"
    return _quoted(text.replace("%", "%%"), is_plain=_PLAIN.issuperset(text))


def _quoted(text: str, *, is_plain: bool) -> str:
    return text if is_plain else '"' + "".join(_escaped(letter) for letter in text) + '"'


def command_line(texts: Iterable[str]) -> str:
    """TEXTS as the words of one setting."""
    return " ".join(word(text) for text in texts)


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return f"\\x{ord(letter):02x}" if _is_control(letter) else letter


def _is_control(letter: str) -> bool:
    return ord(letter) < 0x20 or letter == "\x7f"


def whole(text: str) -> str | None:
    """TEXT as the value of a setting that is taken as it is; None if no such value can be that.

    Podman takes away white space and double quotes at both ends (Lookup in pkg/systemd/parser/unitfile.go), and a
    backslash at the end continues the line, so that what has them there is put into quotes.
    """
    if not text or any(_is_control(letter) for letter in text) or '"' in (text[0], text[-1]):
        return None
    needs_quotes = text.strip() != text or text.endswith("\\")
    return f'"{doubled(text)}"' if needs_quotes else doubled(text)


def plain(text: str) -> str:
    """TEXT as a description: white space is one space, bytes that are not UTF-8 are question marks, and no backslash at
    the end continues the line."""
    return " ".join(text.encode(errors="replace").decode().replace("%", "%%").split()).rstrip("\\ ")


def sections(parts: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The text of (section, lines); one without lines is left out."""
    found = [[f"[{name}]", *lines] for name, lines in parts]
    return "\n\n".join("\n".join(lines) for lines in found if len(lines) > 1) + "\n"
