"""YAML text becomes nodes, and plain data becomes YAML text. Only this file imports `yaml`; the reader uses only its
events.

YAML's own construction is not used: it would turn `no` into False and `22:22` into a number, lose the positions,
keep the last of duplicate keys, and expand aliases without limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import yaml

from mydocker.errors import Problem
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.nodes.node import AsWritten, Bare, Mapping, Node, Scalar, Sequence, problem_at

if TYPE_CHECKING:
    from typing import Any

SIZE_LIMIT = 1 << 20  # bytes
DEPTH_LIMIT = 64
COPY_LIMIT = 100_000  # nodes that the aliases of a file may stand for, nested ones included

_CORE = "tag:yaml.org,2002:"
_DOUBTFUL = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf")
_TAGS = frozenset((None, "!", *(_CORE + x for x in ("str", "int", "float", "bool", "null", "seq", "map"))))
_MERGE, _MERGE_TAG = "<<", f"{_CORE}merge"
MERGE_TAGS = ("!reset", "!override")  # of Compose files
_MARKS = re.compile("^\ufeff+", re.MULTILINE)
_BLANKS = " \t"
_ENDS = "\0\r\n\x85\u2028\u2029"  # what ends a line, for the scanner
# numbers of YAML 1.2 (section 10.3.2) that are text for YAML 1.1, whose rules the library writes by
_NUMBER = re.compile(r"0o[0-7]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BREAKS = frozenset("\r\x85\u2028\u2029")
_WIDTH = 110  # of a line of text that may be broken


def _is_merge(event: yaml.Event) -> bool:
    """Whether EVENT is the key `<<` with its tag, `!!merge <<`, as programs in Go write it."""
    return isinstance(event, yaml.ScalarEvent) and event.tag == _MERGE_TAG and event.value == _MERGE


class _Loader(yaml.SafeLoader):
    """A scanner that accepts tabs where YAML 1.2 has white space that does not indent (section 6.2), such as after
    `key:`.

    The rule is libyaml's (yaml_parser_scan_to_next_token): in flow context, and where no key can begin.
    """

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key or self._is_line_of_blanks()):
            while self.peek() in _BLANKS:
                self.forward()
            super().scan_to_next_token()

    def _is_line_of_blanks(self) -> bool:
        """Whether nothing but a comment follows on this line, in which nothing came before either."""
        length = self._blanks()
        return self.peek(length) in f"#{_ENDS}" and not self.buffer[self.pointer - self.column : self.pointer].strip()

    def _blanks(self) -> int:
        length = 0
        while self.peek(length) in _BLANKS:
            length += 1
        return length

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> Any:
        """Tabs within a plain scalar are part of it; at the end of its line they are not."""
        length = self._blanks()
        blanks = self.prefix(length)
        if "\t" not in blanks:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        return [blanks] if self.peek() not in _ENDS else super().scan_plain_spaces(indent, start_mark)

    def scan_block_scalar_ignored_line(self, start_mark: yaml.Mark) -> None:
        self.forward(self._blanks())
        super().scan_block_scalar_ignored_line(start_mark)


_LIBYAML: type[yaml.CSafeLoader] | None = getattr(yaml, "CSafeLoader", None)
# Where libyaml and the parser above differ, if only in the place of an empty value: tabs; line breaks of YAML 1.1;
# question marks, which may begin a key; `{key: }`; and an end without a line break.
_UNLIKE = re.compile("[?\t\x85\u2028\u2029]|:\\s+[\\]},]|[^\n]\\Z")


class _StopError(Exception):
    """A problem that makes the rest of the file unreadable."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse_documents(raw: bytes, *, file: str = "") -> tuple[list[Node], list[Problem]]:
    """The documents of a stream, without the empty ones, and the problems that they have as YAML. FILE is where their
    nodes are, if not in the file that is being read."""
    composer = _Composer(file)
    try:
        text = _decode(raw)
        if fast := _by_libyaml(text, file):
            composer = fast
        else:
            composer.compose(text, _Loader)
    except _StopError as stop:
        composer.problems.append(stop.problem)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        composer.problems.append(problem_at(line, column, f"not YAML: {_words(error)}"))
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # its scanner lets chr() and int() fail
        line, column = composer.position
        composer.problems.append(problem_at(line, column, f"not YAML after this: {error}"))
    return composer.found, [problem.replace(origin=problem.origin.within(file)) for problem in composer.problems]


def _by_libyaml(text: str, file: str) -> _Composer | None:
    """What libyaml finds in TEXT, ten times as fast. None where PyYAML is without it, where it might find something
    else, and where it, or the composer, finds an error: the messages are those of the parser in Python."""
    if _LIBYAML is None or _UNLIKE.search(text):
        return None
    composer = _Composer(file)
    try:
        composer.compose(text, _LIBYAML)
    except (_StopError, yaml.YAMLError, ValueError, OverflowError):
        return None
    return composer


def _words(error: yaml.MarkedYAMLError) -> str:
    """The parser's message; the one about a tab is replaced by a clearer one."""
    if "'\\t' that cannot start any token" in (error.problem or ""):
        return "a tab where only spaces may indent"
    return ", ".join(part for part in (error.context, error.problem) if part)


def _decode(raw: bytes) -> str:
    """UTF-8 and no control characters (YAML 1.2, section 5.1).

    A byte order mark may stand before each document of a stream (section 5.2), as where files were joined by `cat`; in
    a document none may stand, so one that begins a line begins a document, or does no harm.
    """
    if len(raw) > SIZE_LIMIT:
        raise _StopError(problem_at(1, 1, f"larger than {SIZE_LIMIT} bytes"))
    try:
        text = _MARKS.sub("", raw.decode())
    except UnicodeDecodeError as error:
        before = _MARKS.sub("", raw[: error.start].decode(errors="replace"))
        raise _StopError(_at_end_of(before, f"not UTF-8: byte 0x{raw[error.start]:02x}")) from None
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad:
        raise _StopError(_at_end_of(text[: bad.start()], f"control character U+{ord(bad[0]):04X}"))
    return text


def _at_end_of(text: str, message: str) -> Problem:
    return problem_at(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1, message)


class _Anchored(Record):
    """A node that has an anchor; it consists of `nodes` nodes, itself included, nested `levels` deep."""

    node: Node
    nodes: int
    levels: int


class _Composer:
    """The composer of one stream: its events, its anchors (of one document), its problems so far.

    A node that an alias stands for is shared. Each use is read again, so `_nodes` and `_deepest` count the document
    with all aliases replaced.
    """

    def __init__(self, file: str) -> None:
        self.found: list[Node] = []
        self.problems: list[Problem] = []
        self.place = {"file": file} if file else {}
        self.position = (1, 1)
        self._anchors: dict[str, _Anchored | None] = {}  # None: the node is not complete yet
        self._elsewhere: dict[str, int] = {}  # anchors of the documents before: the last one that has it, from 1
        self._documents = 0
        self._nodes = self._copied = self._deepest = 0
        self._events: Iterator[yaml.Event] = iter(())

    def compose(self, text: str, loader: type[_Loader] | type[yaml.CSafeLoader]) -> None:
        """Add the documents of TEXT to `found`, as LOADER sees them. Raises _StopError, and what that raises."""
        self._events = yaml.parse(text, Loader=loader)
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._elsewhere.update((name, self._documents) for name in self._anchors)
                self._documents += 1
                self._anchors = {}
                document = self._node(self._next(), depth=0)
                if not (isinstance(document, Scalar) and document.is_null):
                    self.found.append(document)

    def _next(self) -> yaml.Event:
        event = next(self._events)
        if event.start_mark:
            self.position = (event.start_mark.line + 1, event.start_mark.column + 1)
        return event

    def _node(self, event: yaml.Event, *, depth: int) -> Node:
        self._count(1, depth=depth)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", depth=depth)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # the only others that begin a node
        self._check_tag(event)
        if not event.anchor:
            return self._whole(event, depth=depth)
        self._anchors[event.anchor] = None
        before, outer, self._deepest = self._nodes, self._deepest, depth
        node = self._whole(event, depth=depth)
        levels = self._deepest - depth
        self._anchors[event.anchor] = _Anchored(node=node, nodes=self._nodes - before + 1, levels=levels)
        self._deepest = max(outer, self._deepest)
        return node

    def _whole(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, *, depth: int) -> Node:
        line, column = self.position
        place: dict[str, Any] = {"line": line, "column": column, **self.place}
        if event.tag in MERGE_TAGS:
            place["tag"] = event.tag
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] or ("tag" in place and not event.style) or _is_merge(event)
            return Scalar(**place, text=self._text(event), plain=plain)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(**place, items=tuple(self._items(depth=depth + 1)))
        return Mapping(**place, entries=self._entries(depth=depth + 1))

    def _count(self, nodes: int, *, depth: int) -> None:
        self._nodes += nodes
        self._deepest = max(self._deepest, depth)
        if depth > DEPTH_LIMIT:
            raise self._stop(f"nested more than {DEPTH_LIMIT} deep")

    def _alias(self, anchor: str, *, depth: int) -> Node:
        if anchor not in self._anchors and anchor in self._elsewhere:
            where = f"alias {anchor!r}: its anchor is in document {self._elsewhere[anchor]} of this file"
            raise self._stop(f"{where}, and documents share none: extends takes over the keys of another container")
        if anchor not in self._anchors:
            raise self._stop(f"alias {anchor!r} has no anchor before it")
        anchored = self._anchors[anchor]
        if anchored is None:
            raise self._stop(f"alias {anchor!r} stands within what it names")
        self._copied += anchored.nodes
        if self._copied > COPY_LIMIT:
            raise self._stop(f"the aliases up to here stand for more than {COPY_LIMIT} nodes")
        self._count(anchored.nodes - 1, depth=depth + anchored.levels)
        return anchored.node

    def _items(self, *, depth: int) -> Iterator[Node]:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._node(event, depth=depth)

    def _entries(self, *, depth: int) -> tuple[tuple[Scalar, Node], ...]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Node] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth=depth)
            value = self._node(self._next(), depth=depth)
            if not isinstance(key, Scalar):
                self.problems.append(key.problem("a key must be text"))
            elif key.plain and key.text == _MERGE:
                merged += value.items if isinstance(value, Sequence) else (value,)
            elif key.text in entries:
                first = entries[key.text][0]
                self.problems.append(key.problem(f"duplicate key {key.text!r}, first on line {first.line}"))
            else:
                entries[key.text] = (key, value)
        for mapping in merged:
            self._merge(mapping, entries)
        return tuple(entries.values())

    def _merge(self, mapping: Node, entries: dict[str, tuple[Scalar, Node]]) -> None:
        """The keys of MAPPING that the target does not have yet ("Merge Key Language-Independent Type for YAML")."""
        if not isinstance(mapping, Mapping):
            self.problems.append(mapping.problem("'<<' takes a mapping, or a list of them"))
            return
        for key, value in mapping.entries:
            entries.setdefault(key.text, (key, value))

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag not in _TAGS and event.tag not in MERGE_TAGS and not _is_merge(event):
            self.problems.append(problem_at(self.position[0], self.position[1], f"tag {event.tag!r} is not supported"))

    def _text(self, event: yaml.ScalarEvent) -> str:
        """The text of a scalar; JSON writes what lies beyond U+FFFF as an escaped surrogate pair."""
        text: str = event.value
        try:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._stop("an escape is half of a surrogate pair") from None
        if "\0" in text:
            raise self._stop("a NUL character cannot be part of any value")
        return text

    def _stop(self, message: str) -> _StopError:
        return _StopError(problem_at(self.position[0], self.position[1], message))


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block; a value that is used twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def _text(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else self._quotes(data)
        if not _BREAKS.isdisjoint(data):  # which are line breaks for the library, and would become others
            style = '"'
        return self.represent_scalar(f"{_CORE}str", data, style=style)

    def _quotes(self, data: str) -> str | None:
        """The quotation marks of text on one line that needs some although the library puts none."""
        return "'" if _NUMBER.fullmatch(data) else None

    def _bare(self, data: Bare) -> yaml.ScalarNode:
        return self.represent_scalar(f"{_CORE}int", str(data))


_Dumper.add_representer(str, _Dumper._text)
_Dumper.add_representer(Bare, _Dumper._bare)


class _PlainDumper(_Dumper):
    """For readers of other versions of YAML: what may be a number or a truth value to one of them is quoted."""

    def _quotes(self, data: str) -> str | None:
        is_doubtful = not data or data[0] in "0123456789.+-~=<" or data.lower() in _DOUBTFUL
        return '"' if is_doubtful else None


def write_plain(documents: Iterable[Any]) -> str:
    """Plain data as a stream of documents for other programs: every text as it is, on lines of any length."""
    text = yaml.dump_all(documents, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=math.inf)
    return str(text)


def write_documents(documents: Iterable[Any]) -> str:
    """Plain data as a stream of documents, with each dollar sign doubled, except in keys, which have no variables."""
    escaped = [escape(document) for document in documents]
    text = yaml.dump_all(escaped, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return str(text)


def escape(data: Any) -> Any:
    """DATA with the dollar signs of its values doubled: so that it has no variables when it is read again."""
    if isinstance(data, dict):
        return {key: escape(value) for key, value in data.items()}
    if isinstance(data, list):
        return [escape(item) for item in data]
    if isinstance(data, AsWritten):
        return str(data)
    if isinstance(data, Bare):
        return data
    return data.replace("$", "$$") if isinstance(data, str) else data
