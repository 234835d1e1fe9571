"""Templates of `--format`, as Docker's commands take them: the part of Go's text/template that scripts use.

A template becomes a function of a value as JSON has it. Known are fields (`.A.B`), variables, pipelines, parentheses,
literals, `if`, `range`, `with`, `else`, `end`, comments, trim markers and the functions of _FUNCTIONS; anything else is
an error that names it. Nothing is ever executed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mydocker.cli.common.table import NARROWEST
from mydocker.cli.output.go_types import MAP, Nil, Typed
from mydocker.errors import UsageError, printable
from mydocker.json_output import dump
from mydocker.record import Record

Value = Callable[["_Scope"], Any]
Step = Callable[["_Scope", list[str]], None]

_STRING = r'"(?:\\.|[^"\\])*"|`[^`]*`'
_ACTION = re.compile(r"\{\{(-\s)?\s*(/\*.*?\*/|(?:" + _STRING + r"|(?!\}\}).)*?)\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    rf"\s*(?:(?P<string>{_STRING})|(?P<number>-?\d+)|(?P<field>(?:\.\w+)+|\.)|(?P<variable>\$\w*)"
    r"|(?P<word>\w+)|(?P<mark>:=|[()|,]))"
)
_ESCAPES = (("\\t", "\t"), ("\\n", "\n"))  # which Docker's commands replace in a format (cli, Format.templateFormat)
_MISSING = "<no value>"
_TABLE = "table "
_LABEL = ".Label"


class Template:
    """A template, ready to be filled in. Raises UsageError, with what is wrong or not supported."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: list[str] = []  # those that it names, in their order
        self._steps = _Parser(self).parse()

    def render(self, value: object) -> str:
        """The text for VALUE. UsageError where it has no such field, or where that is of another type."""
        written: list[str] = []
        scope = _Scope(dot=value, variables={"$": value})
        for step in self._steps:
            step(scope, written)
        return "".join(written)


def render_all(format: str, rows: Iterable[Mapping[str, Any]], *, headings: Mapping[str, str] | None = None) -> str:
    """ROWS as FORMAT says, a line each. With `table` before the template, in columns under HEADINGS by field, where a
    tab stands between columns, as Docker's commands print them."""
    for escape, character in _ESCAPES:
        format = format.replace(escape, character)
    is_table = format.startswith(_TABLE)
    template = Template(format.removeprefix(_TABLE) if is_table else format)
    lines = [template.render(row) for row in rows]
    if not is_table:
        return "".join(f"{line}\n" for line in lines)
    known = headings or {}
    names = {field: known.get(field, field.rpartition(".")[2].upper()) for field in template.fields}
    heading = "\t".join(" ".join(names[field] for field in Template(part).fields) for part in template.text.split("\t"))
    table = [line.split("\t") for line in (heading, *lines)]
    least = NARROWEST - 3
    widths = [max(least, *(len(row[at]) for row in table if at < len(row))) for at in range(max(map(len, table)))]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() + "\n" for row in table
    )


class _Scope(Record):
    """What a part of a template sees: `.`, and its variables."""

    dot: Any
    variables: dict[str, Any]

    def within(self, dot: object, **variables: object) -> _Scope:
        return _Scope(dot=dot, variables={**self.variables, **variables})


class _Parser:
    """Makes steps of a template's text."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.parts = _split(template.text)
        self.position = 0

    def parse(self) -> list[Step]:
        steps, ending = self._block()
        if ending:
            raise _wrong(f"{{{{{ending}}}}} without a beginning")
        return steps

    def _block(self) -> tuple[list[Step], str]:
        """The steps up to an `else` or `end`, and that action; empty at the end of the text."""
        steps: list[Step] = []
        while self.position < len(self.parts):
            is_action, text = self.parts[self.position]
            self.position += 1
            if not is_action:
                steps.append(_literal(text))
                continue
            word = text.split(maxsplit=1)[0] if text else ""
            if word in ("else", "end"):
                return steps, text
            if word in ("if", "with", "range"):
                steps.append(self._branch(word, text.removeprefix(word)))
            elif not text.startswith("/*"):
                steps.append(self._action(text))
        return steps, ""

    def _branch(self, word: str, condition: str) -> Step:
        names, value = self._condition(condition)
        steps, ending = self._block()
        otherwise: list[Step] = []
        if ending.startswith("else"):
            rest = ending.removeprefix("else").strip()
            if rest.startswith("if"):
                return _BRANCHES[word](names, value, steps, [self._branch("if", rest.removeprefix("if"))])
            if rest:
                raise _wrong(f"{{{{{ending}}}}} is not supported")
            otherwise, ending = self._block()
        if ending != "end":
            raise _wrong(f"{{{{{word}}}}} has no {{{{end}}}}")
        return _BRANCHES[word](names, value, steps, otherwise)

    def _condition(self, text: str) -> tuple[list[str], Value]:
        """The variables that the head of a block sets, and its value."""
        tokens = _Tokens(self, text)
        names: list[str] = []
        while ":=" in tokens.left and tokens.kind == "variable":
            names.append(tokens.take())
            if tokens.take() == ":=":
                break
        return names, tokens.pipeline()

    def _action(self, text: str) -> Step:
        tokens = _Tokens(self, text)
        if ":=" not in tokens.left:
            value = tokens.pipeline()
            return lambda scope, written: written.append(shown(value(scope)))
        name, _ = tokens.take(), tokens.take()
        assigned = tokens.pipeline()
        return lambda scope, written: scope.variables.update({name: assigned(scope)})


class _Tokens:
    """The words of one action, read from left to right."""

    def __init__(self, parser: _Parser, text: str) -> None:
        self.parser, self.text = parser, text
        self.pairs = [*_tokens(text)]

    @property
    def left(self) -> list[str]:
        return [token for _, token in self.pairs]

    @property
    def kind(self) -> str:
        return self.pairs[0][0] if self.pairs else ""

    def take(self) -> str:
        if not self.pairs:
            raise _wrong(f"{{{{{self.text}}}}} is not complete")
        return self.pairs.pop(0)[1]

    def pipeline(self, *, closed: bool = False) -> Value:
        """Commands with `|` between them, each of which gets the value of the one before as its last argument."""
        value = self._command(())
        while self.left[:1] == ["|"]:
            self.take()
            value = self._command((value,))
        if closed and self.left[:1] == [")"]:
            self.take()
        elif closed or self.pairs:
            raise _wrong(f"{{{{{self.text}}}}}: unexpected {self.left[0] if self.pairs else 'end'!r}")
        return value

    def _command(self, last: tuple[Value, ...]) -> Value:
        if self.kind == "word" and self.left[0] not in _CONSTANTS:
            name = self.take()
            if name not in _FUNCTIONS:
                known = ", ".join(sorted(_FUNCTIONS))
                raise _wrong(f"function {name!r} is not supported", hint=f"those that are: {known}")
            arguments = []
            while self.pairs and self.left[0] not in ("|", ")"):
                arguments.append(self._operand())
            return _call(name, (*arguments, *last))
        value = self._operand()
        if last or (self.pairs and self.left[0] not in ("|", ")")):
            raise _wrong(f"{{{{{self.text}}}}}: {self.left[0] if self.pairs else 'this'!r} follows no function")
        return value

    def _operand(self) -> Value:
        kind, token = self.kind, self.take()
        if token == _LABEL and self.kind == "string":
            self.parser.template.fields.append("Label")
            return _label(_text(self.take()))
        if kind == "field":
            if token != ".":
                self.parser.template.fields.append(token.removeprefix("."))
            return _field(lambda scope: scope.dot, token)
        if token == "(":
            value = self.pipeline(closed=True)
        elif kind == "variable":
            value = _variable(token)
        elif kind == "word" and token in _CONSTANTS:
            return _constant(_CONSTANTS[token])
        elif kind in ("string", "number"):
            return _constant(int(token) if kind == "number" else _text(token))
        else:
            raise _wrong(f"{{{{{self.text}}}}}: unexpected {token!r}")
        return _field(value, self.take()) if self.kind == "field" and self.left[0] != "." else value


def _split(text: str) -> list[tuple[bool, str]]:
    """TEXT in parts: whether it is an action, and what is in there. `{{-` and `-}}` take the blanks next to them."""
    parts: list[tuple[bool, str]] = []
    end, trims = 0, False
    for match in _ACTION.finditer(text):
        before = text[end : match.start()]
        before = before.lstrip() if trims else before
        parts += [(False, before.rstrip() if match[1] else before), (True, match[2])]
        end, trims = match.end(), bool(match[3])
    rest = text[end:]
    if "{{" in rest:
        raise _wrong(f"{rest[rest.index('{{') :]!r} has no end: }}}} is missing")
    return [*parts, (False, rest.lstrip() if trims else rest)]


def _tokens(text: str) -> Iterable[tuple[str, str]]:
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if not match:
            raise _wrong(f"{{{{{text}}}}}: {text[position:].strip()[:1]!r} is not supported")
        position = match.end()
        kind = str(match.lastgroup)
        yield kind, match[kind]


def _literal(text: str) -> Step:
    return lambda scope, written: written.append(text)


def _constant(value: object) -> Value:
    return lambda scope: value


def _text(literal: str) -> str:
    return literal[1:-1] if literal[0] == "`" else str(json.loads(literal))


def _label(name: str) -> Value:
    """The method of Docker's rows; one that there is not is empty."""

    def value(scope: _Scope) -> str:
        labels = getattr(scope.dot, "labels", None)
        if labels is None:
            raise _wrong(f"{_LABEL}: there is no field Label")
        return printable(labels.get(name, ""))

    return value


def _variable(name: str) -> Value:
    def value(scope: _Scope) -> Any:
        if name not in scope.variables:
            raise _wrong(f"variable {name} is not set")
        return scope.variables[name]

    return value


def _field(of: Value, path: str) -> Value:
    """The fields of PATH, such as .A.B, one after the other."""
    names = [name for name in path.split(".") if name]

    def value(scope: _Scope) -> Any:
        found = of(scope)
        for name in names:
            found = _member(found, name, path)
        return found

    return value


def _member(value: object, name: str, path: str) -> Any:
    """Field NAME of an object; an entry of a map that is not there is no error, as in Go. An object is what has names
    that begin with a capital letter alone, as what Docker prints."""
    if value is MAP:
        return None
    if not isinstance(value, Mapping):
        what = "nothing" if value is None else _type_of(value)
        raise _wrong(f"{path}: {name} is a field of {what}")
    if value.get(name) is None and isinstance(value, Typed) and name in value.unset:
        return value.unset[name]
    if name not in value and value and all(key[:1].isupper() for key in value):
        raise _wrong(f"{path}: there is no field {name}", hint=f"there are: {', '.join(value)}")
    return value.get(name)


def _type_of(value: object) -> str:
    return {str: "a text", bool: "a boolean", int: "a number", list: "a list"}.get(type(value), "a number")


def _call(name: str, arguments: Sequence[Value]) -> Value:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise _wrong(f"function {name} does not take {len(arguments)} arguments")

    def value(scope: _Scope) -> Any:
        values = [argument(scope) for argument in arguments]
        try:
            return function(*values)
        except (TypeError, ValueError, IndexError, AttributeError, KeyError):
            raise _wrong(f"function {name} does not take {', '.join(map(_type_of, values))}") from None

    return value


def _run(steps: Sequence[Step], scope: _Scope, written: list[str]) -> None:
    for step in steps:
        step(scope, written)


def _if(names: list[str], value: Value, steps: list[Step], otherwise: list[Step]) -> Step:
    def step(scope: _Scope, written: list[str]) -> None:
        found = value(scope)
        inner = scope.within(scope.dot, **dict.fromkeys(names, found))
        _run(steps if found else otherwise, inner, written)

    return step


def _with(names: list[str], value: Value, steps: list[Step], otherwise: list[Step]) -> Step:
    def step(scope: _Scope, written: list[str]) -> None:
        found = value(scope)
        inner = scope.within(found if found else scope.dot, **dict.fromkeys(names, found))
        _run(steps if found else otherwise, inner, written)

    return step


def _range(names: list[str], value: Value, steps: list[Step], otherwise: list[Step]) -> Step:
    """Over a list, or over a map in the order of its keys."""

    def step(scope: _Scope, written: list[str]) -> None:
        found = value(scope) or []
        if isinstance(found, (str, bool, int, float)):
            raise _wrong(f"range does not take {_type_of(found)}")
        pairs = sorted(found.items()) if isinstance(found, Mapping) else [*enumerate(found)]
        for key, each in pairs:
            _run(steps, scope.within(each, **dict(zip(names, (key, each)[-len(names) or 2 :], strict=False))), written)
        if not pairs:
            _run(otherwise, scope, written)

    return step


def shown(value: object) -> str:
    """VALUE as Go prints it (fmt, %v)."""
    if value is None:
        return _MISSING
    if isinstance(value, Nil):
        return value.text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_in_map(each)}' for key, each in sorted(value.items()))}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(shown, value))}]"
    return str(value)


def _in_map(value: object) -> str:
    """The values of Docker's sets, such as ExposedPorts, are structures without fields."""
    return "{}" if value == {} else shown(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is MAP:
            return ""
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return value


def _truncated(length: int, text: str) -> str:
    return text[:length]


def _padded(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _printed(format: str, *values: object) -> str:
    """Go's printf with %s, %v, %d and %q, which are all that is needed for text."""
    rest = [*values]

    def filled(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = rest.pop(0)
        return json.dumps(value) if match[0] == "%q" else shown(value)

    text = re.sub(r"%[%svdq]", filled, format)
    if rest or re.search(r"%[^%svdq]", re.sub("%%", "", format)):
        raise ValueError
    return text


_CONSTANTS = {"true": True, "false": False, "nil": None}
_MANY = 100
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {  # each with the least and the most of its arguments
    "json": (lambda value: dump(None if isinstance(value, Nil) else value, compact=True), 1, 1),
    "join": (lambda texts, separator: separator.join(map(shown, texts)), 2, 2),
    "split": (lambda text, separator: text.split(separator), 2, 2),
    "lower": (lambda text: text.lower(), 1, 1),
    "upper": (lambda text: text.upper(), 1, 1),
    "title": (lambda text: text[:1].upper() + text[1:], 1, 1),
    "pad": (_padded, 3, 3),
    "truncate": (lambda text, length: _truncated(length, text), 2, 2),
    "println": (lambda *values: " ".join(map(shown, values)) + "\n", 0, _MANY),
    "print": (lambda *values: "".join(map(shown, values)), 0, _MANY),
    "printf": (_printed, 1, _MANY),
    "index": (_index, 1, _MANY),
    "len": (len, 1, 1),
    "not": (lambda value: not value, 1, 1),
    "and": (lambda *values: next((each for each in values if not each), values[-1]), 1, _MANY),
    "or": (lambda *values: next((each for each in values if each), values[-1]), 1, _MANY),
    "eq": (lambda first, *others: any(first == each for each in others), 2, _MANY),
    "ne": (lambda one, other: one != other, 2, 2),
    "lt": (lambda one, other: one < other, 2, 2),
    "le": (lambda one, other: one <= other, 2, 2),
    "gt": (lambda one, other: one > other, 2, 2),
    "ge": (lambda one, other: one >= other, 2, 2),
}
_BRANCHES = {"if": _if, "with": _with, "range": _range}


def _wrong(message: str, *, hint: str | None = None) -> UsageError:
    return UsageError(f"--format: {message}", hint=hint)
