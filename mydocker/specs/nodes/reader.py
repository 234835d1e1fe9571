"""Reader: reads the nodes of one file, and records what is wrong with them.

Every problem is recorded with its position, so that all of them can be shown at once. A function that could not read
its node has recorded a problem, and its return value is not used.
"""

from __future__ import annotations

import shlex

from mydocker.errors import MydockerError, Origin, OutsideError, Problem, UsageError
from mydocker.nearest import nearest, suggested
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.environment.interpolate import interpolate
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from mydocker.specs.model.parts import NetworkAttachment, Service
    from mydocker.specs.values import Scope

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

DOLLAR = "\ue000"  # of private use: no file has it by chance


class OpenFile:
    """The file that is read, as far as readers need it: they append to its `warnings`; `paths` are all files that are
    loaded together, and formats keep their own data about these in `cache`. LoadedFile in load/files.py adds the
    rest.

    `unset` has where a variable is used that is not set; `ignored` are the keys that are passed over where they would
    be refused."""

    path = shown = ""  # the second is its name in messages
    scope: Scope
    reader: Reader

    def __init__(self, paths: list[str], cache: dict[str, object], ignored: Iterable[str] = ()) -> None:
        self.warnings: list[Problem] = []
        self.unset: set[Origin] = set()
        self.ignored = {*ignored}
        self.paths, self.cache = paths, cache
        self.is_compose = self.only_check = False  # only_check: nothing is to run, so this machine may lack something
        self.absent: list[Problem] | None = None  # what it lacks for a service, if not all of them are to start
        self.needed: list[str] = []  # paths of further files that its containers need
        self.services: dict[str, Service] = {}  # by the names of its containers, if they are services of a project
        self.default_network: NetworkAttachment | None = None  # of containers that name none, if the file declares it
        self.declared: object = None  # what a Compose file declares at its top
        self.included: list[OpenFile] = []  # files that this one includes, and that include it
        self.extended_by: OpenFile | None = None  # a file whose container extends one of this file
        self.bases: list[OpenFile] = []  # files whose services are extended by those of this one

    @property
    def whole(self) -> Mapping | None:
        """A Compose file as it was written; None for a file of another form."""
        raise NotImplementedError

    def open_other(self, written: str) -> OpenFile:
        """The file that this one names. Raises UsageError if it cannot be read."""
        raise NotImplementedError


class Reader(Record):
    """`scope` has the file's directory and its variables; `problems` grows. `file` is None for the values of a program.

    `bare_dollar`: where regular expressions are written, a `$` that begins no variable is a dollar sign; in Compose
    files it is one everywhere, as for Compose.
    """

    scope: Scope
    problems: list[Problem]
    file: OpenFile | None = None
    bare_dollar: bool = False
    keeps_variables: bool = False  # text has DOLLAR for each dollar sign, and its variables as they are

    @property
    def is_compose(self) -> bool:
        """Whether what it reads is in a Compose file: some mistakes are warnings there, and the sources of mounts are
        created where they are missing."""
        return self.file is not None and self.file.is_compose

    def refuse(self, node: Node, message: str, *, outside: bool = False) -> None:
        self.problems.append(node.problem(message, outside=outside))

    def warn(self, node: Node, message: str) -> None:
        """Record that MESSAGE is valid, and probably not what was meant."""
        if self.file is not None:
            self.file.warnings.append(node.problem(message))

    def passes_over(self, name: str, before: int) -> bool:
        """Whether the key NAME was refused, and is to be ignored: then the problems since BEFORE, their number before
        it was read, become warnings."""
        if self.file is None or name not in self.file.ignored or len(self.problems) == before:
            return False
        refused, self.problems[before:] = self.problems[before:], []
        self.file.warnings += (each.replace(message=f"ignored: {each.message}") for each in refused)
        return True

    def forgives(self, before: int) -> bool:
        """Whether what was refused since BEFORE, the number of problems then, is so only because of what is around the
        file, and that may be all right: if nothing is to run, it becomes warnings; in a Compose file, it is noted as
        `absent`, and matters where the service starts."""
        new = self.problems[before:]
        if not new or self.file is None or not all(each.outside for each in new):
            return False
        if self.file.only_check:
            self.file.warnings += new
        elif self.file.is_compose and self.file.absent is not None:
            self.file.absent += (each.replace(origin=each.origin.within(self.file.shown)) for each in new)
        else:
            return False
        self.problems[before:] = []
        return True

    def attempt(self, node: Node, action: Callable[[], Any]) -> Any:
        """The result of ACTION; its error is recorded at NODE."""
        try:
            return action()
        except MydockerError as error:
            self.problems.append(node.problem(error.message, error.hint, outside=isinstance(error, OutsideError)))

    def text(self, node: Node, *, expected: str = "text") -> str:
        """The text of a scalar, its variables replaced."""
        if not isinstance(node, Scalar) or node.is_null:
            self.refuse(node, f"expected {expected}, not {_kind(node)}")
            return ""
        if self.keeps_variables:
            return node.text.replace("$", DOLLAR)
        written = node.text  # the lambda below must not see a wider type

        def unset(name: str) -> None:
            if self.file is not None:
                self.file.unset.add(node.origin)
            self.warn(node, f"variable {name} is not set, and so empty")

        lookup = self.scope.environ.get
        bare = self.bare_dollar or self.is_compose
        found: str | None = self.attempt(node, lambda: interpolate(written, lookup, unset=unset, bare_dollar=bare))
        return found or ""

    def value(self, node: Node, parse: Callable[[str, Scope], Any]) -> Any:
        """The value that PARSE makes of a scalar's text."""
        before = len(self.problems)
        text = self.text(node)
        return self.attempt(node, lambda: parse(text, self.scope)) if len(self.problems) == before else None

    def members(
        self,
        node: Mapping,
        known: Iterable[str],
        *,
        unsupported: Iterable[str] = (),
        unknown: Callable[[str, tuple[str, ...]], str] | None = None,
    ) -> dict[str, Node]:
        """The entries of a small mapping with fixed keys, except those that are null, and extensions (`x-…`).

        Unknown keys are refused, with the message that UNKNOWN makes of the key and the known ones, and so are the
        format's keys that are UNSUPPORTED.
        """
        names, others, found = tuple(known), tuple(unsupported), {}
        for key, value in node.entries:
            if key.text.startswith("x-"):
                continue
            if key.text in others:
                self.refuse(key, f"{key.text} is not supported yet")
            elif key.text not in names:
                message = unknown(key.text, names) if unknown else unknown_key(key.text, nearest(key.text, names))
                self.refuse(key, message)
            elif not (isinstance(value, Scalar) and value.is_null):
                found[key.text] = value
        return found


def switch(text: str, scope: Scope) -> bool:
    """The booleans of YAML 1.1, which Compose files use, quoted or not."""
    if text.lower() not in _BOOLEANS:
        raise UsageError(f"expected true or false, not {text!r}")
    return _BOOLEANS[text.lower()]


def unknown_key(key: str, meant: str | None) -> str:
    return f"unknown key {key!r}" + suggested(meant)


def _kind(node: Node) -> str:
    return {Sequence: "a list", Mapping: "a mapping"}.get(type(node), "null")


def arguments_of(node: Node, reader: Reader) -> tuple[str, ...]:
    """Arguments: a list, or a string that is split as a shell would split it."""
    if isinstance(node, Sequence):
        return tuple(reader.text(item) for item in node.items)
    text = reader.text(node, expected="a list of words, or a string")
    return tuple(reader.attempt(node, lambda: _shell_split(text)) or ())


def _shell_split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{str(error).lower()} in {text!r}") from None
