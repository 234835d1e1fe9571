"""The syntax of unit files (systemd.syntax(7)): text becomes settings with their positions, and values become words.

This module does not know which settings exist, or what they mean.
"""

from __future__ import annotations

from mydocker.errors import Problem, UsageError
from mydocker.record import Record
from mydocker.specs.nodes.node import Scalar, problem_at

_ESCAPES = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", '"': '"', "'": "'", "s": " "},
}
_CODES = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}  # letter: how many digits of which base
_DIGITS = {8: frozenset("01234567"), 16: frozenset("0123456789abcdefABCDEF")}
_BLANKS = " \t\n\r"


class Setting(Record):
    """`KEY=VALUE` in a section. Continued lines are joined by a space, as systemd joins them. The head of a section is
    one without a key, so that a section may be empty."""

    section: str
    key: Scalar
    value: Scalar

    @property
    def text(self) -> str:
        """The value without the double quotes that may enclose it, as in Podman's Lookup
        (pkg/systemd/parser/unitfile.go). Quotes within a value belong to it, or to its words."""
        text = self.value.text
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def parse_unit(raw: bytes, file: str = "") -> tuple[list[Setting], list[Problem]]:
    """The settings in their order, and the problems of the lines. FILE: its name in messages, empty for the file that
    is being read."""
    settings, problems = _parse(raw, file)
    return settings, [each.replace(origin=each.origin.within(file)) if file else each for each in problems]


def _parse(raw: bytes, file: str) -> tuple[list[Setting], list[Problem]]:
    try:
        text = raw.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        begin = raw.count(b"\n", 0, error.start) + 1
        return [], [problem_at(begin, 1, f"not UTF-8: byte 0x{raw[error.start]:02x}")]
    settings: list[Setting] = []
    problems: list[Problem] = []
    section = ""
    for begin, line in _logical_lines(text):
        stripped = line.strip()
        column = len(line) - len(line.lstrip()) + 1
        if "\0" in line:
            problems.append(problem_at(begin, column, "a NUL character cannot be part of any value"))
        elif stripped.startswith("["):
            section = stripped[1:-1]
            if not stripped.endswith("]") or not section:
                problems.append(problem_at(begin, column, "expected a section, such as [Container]"))
            else:
                settings.append(_head(section, begin, column, file))
        elif "=" not in line or not line.partition("=")[0].strip():
            problems.append(problem_at(begin, column, "expected KEY=VALUE, a [SECTION] or a # comment"))
        elif not section:
            problems.append(problem_at(begin, column, "a setting before the first [SECTION]"))
        else:
            settings.append(_setting(section, begin, line, file))
    return settings, problems


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of the first line, text): comments and blank lines left out, lines that end with a backslash joined."""
    found: list[tuple[int, str]] = []
    open_line = False
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line.rstrip().endswith("\\"):  # Podman lets blanks follow the backslash
            line = line.rstrip()
        if line.lstrip().startswith(("#", ";")):  # also between continued lines
            continue
        body = f"{line[:-1]} " if line.endswith("\\") else line
        if open_line:
            first, before = found.pop()
            found.append((first, before + body.lstrip()))
        elif line.strip():
            found.append((number, body))
        open_line = line.endswith("\\")
    return found


def _head(section: str, number: int, column: int, file: str) -> Setting:
    node = Scalar(line=number, column=column, file=file, text="", plain=True)
    return Setting(section=section, key=node, value=node)


def _setting(section: str, number: int, line: str, file: str) -> Setting:
    before, _, after = line.partition("=")
    column = len(before) - len(before.lstrip()) + 1
    at = len(before) + 2 + len(after) - len(after.lstrip())
    return Setting(
        section=section,
        key=Scalar(line=number, column=column, file=file, text=before.strip(), plain=True),
        value=Scalar(line=number, column=at, file=file, text=after.strip(), plain=False),
    )


def split_words(text: str, *, relaxed: bool = False) -> list[str]:
    """Words with quotes and C escapes, as systemd.syntax(7), "Quoting", has them. Raises UsageError. RELAXED: a
    backslash that begins no escape is a character, as in the sections that Podman reads."""
    words: list[str] = []
    word, quote, at = None, "", 0
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            try:
                escaped, at = _unescape(text, at + 1)
            except UsageError:
                if not relaxed or at + 1 == len(text):
                    raise
                escaped, at = letter, at + 1
            word = (word or "") + escaped
            continue
        at += 1
        if quote:
            quote, word = ("", word) if letter == quote else (quote, (word or "") + letter)
        elif letter in "'\"":
            quote, word = letter, word or ""
        elif letter not in _BLANKS:
            word = (word or "") + letter
        elif word is not None:
            words.append(word)
            word = None
    if quote:
        raise UsageError(f"a quote without its end in {text!r}")
    return [*words, word] if word is not None else words


def _unescape(text: str, at: int) -> tuple[str, int]:
    """(what the escape after the backslash before AT stands for, where it ends)."""
    letter = text[at : at + 1]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], at + 1
    length, base = _CODES.get(letter, (3, 8))
    start = at + 1 if letter in _CODES else at
    digits = text[start : start + length]
    if len(digits) < length or not _DIGITS[base].issuperset(digits):
        raise UsageError(f"unknown escape '\\{letter}' in {text!r}", hint=r"write \\ for a backslash")
    code = int(digits, base)
    if not 0 < code < (0x100 if base == 8 else 0x110000) or 0xD800 <= code < 0xE000:
        raise UsageError(f"'\\{text[at : start + length]}' is no character")
    return chr(code), start + length
