"""A Case is one spec of a batch, with those that it needs; a JudgedCase is its result."""

from __future__ import annotations

import shlex

from mydocker.errors import Origin
from mydocker.paths import absolute
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.address import Address
from mydocker.specs.model import STDIN
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.dependencies import links, origin_of
from mydocker.specs.model.parts import COMPLETED, HEALTHY, Healthcheck
from mydocker.verdict.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mydocker.specs.model.dependencies import Link
    from mydocker.verdict.finding import Failure

_SHORT = 200  # characters of what was expected, in a summary of one line


class Need(Record):
    """That `case` must be in the state that `condition` names (specs/model/dependencies.py), or, unless it is
    `required`, never reach it any more."""

    case: Case
    condition: str
    required: bool = True


class Place(Record):
    """Where a case is in a batch that several machines may share: `number`, from 0, `of` so many, in the batch with the
    digest `batch`; `part`, K/N, is who runs it. Once it has been reported: by which `node`, and the `time` at which its
    last attempt began, in seconds since 1970."""

    number: int
    of: int
    batch: str
    part: str
    node: str = ""
    time: float = 0.0


class Case(Record):
    """`number` is its index in the batch, from 0; `file` and `line` are where its spec begins."""

    number: int
    spec: CaseSpec
    file: str
    line: int
    options: tuple[str, ...] = ()  # with which it was chosen
    needs: tuple[Need, ...] = ()
    partner: Case | None = None  # the first that needs this one while it runs
    variables: tuple[str, ...] = ()  # names of those of the environment that its spec uses
    ordinal: int = 0  # which it is of those in its file that have its name, or have none
    place: Place | None = None

    @property
    def path(self) -> str:
        """Its file, as a command line names it."""
        return path_of(self.file)

    @property
    def address(self) -> Address:
        """Its address, for a command line."""
        return Address(file=self.path, line=self.line, variables=tuple(self.spec.matrix.items()))

    @property
    def key(self) -> tuple[str, str]:
        """Its address, and its name, to look it up by: several may be on one line."""
        return f"{self.file}:{self.line}", f"{self.address.brackets} {self.spec.name or ''}"

    @property
    def lasting_key(self) -> tuple[str, str, str, str]:
        """What distinguishes it from others, wherever it is run from, and when other lines of its file have changed,
        too."""
        file = self.path if self.path == "-" else absolute(self.file)
        return file, self.spec.name or "", str(self.ordinal), self.address.brackets

    @property
    def title(self) -> str:
        name = self.spec.name or f"{self.file}:{self.line}"
        variables = ", ".join(f"{name}={value}" for name, value in self.spec.matrix.items())
        return f"{name} ({variables})" if variables else name

    @property
    def again(self) -> str:
        """The command that runs this case alone."""
        address = str(self.address)
        words = [*self.options, *(["--"] if address.startswith("-") else []), address]
        return shlex.join(["mydocker", "test", *words])


class Span(Record):
    """When an attempt at a case ran: in which slot of the batch, from 0; in seconds since the batch began."""

    slot: int
    began: float
    seconds: float


class JudgedCase(Record):
    """The verdict. `reason` explains it: of an error, of a skipped case.

    `unbegun`: the batch ended before its turn; `cut_short`: while it ran. `earlier`: the results of the attempts before
    the last.
    """

    case: Case
    verdict: str
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    finding: Finding = Finding()
    attempts: int = 1
    spans: tuple[Span, ...] = ()  # of all attempts
    earlier: tuple[JudgedCase, ...] = ()
    unbegun: bool = False
    cut_short: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether there is a verdict on the case itself, and not only on the batch."""
        return not (self.unbegun or self.cut_short)

    @property
    def began(self) -> float:
        """When the last attempt did, in seconds since the batch began."""
        return self.spans[-1].began if self.spans else 0.0

    @property
    def in_short(self) -> str:
        """Why it did not pass, in one line."""
        if self.failures:
            first = self.failures[0]
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            came = "see the difference" if first.difference else f"found {first.actual.partition(chr(10))[0]}"
            expected = first.expected if len(first.expected) <= _SHORT else f"{first.expected[:_SHORT]}…"
            return f"{first.about}: expected {expected}, {came}{more}"
        return self.reason.partition("\n")[0] or self.verdict


def path_of(shown: str) -> str:
    """The file that is SHOWN to people, as a command line names it."""
    return "-" if shown == STDIN else shown


def cases_of(specs: Sequence[CaseSpec], *, options: tuple[str, ...] = (), ordinals: Sequence[int] = ()) -> list[Case]:
    """A case for each of SPECS, with the cases that it needs in it. Raises SpecError if one is not among them."""
    linked = links(specs)
    specs = _with_those_that_wait(specs, linked)
    made: dict[int, Case] = {}

    def make(number: int) -> Case:
        if number not in made:
            needs = tuple(
                Need(case=make(link.on), condition=link.dependency.condition, required=link.dependency.required)
                for link in linked[number]
            )
            origin = specs[number].origin
            case = Case(
                number=number, spec=specs[number], file=origin.file, line=origin.line, options=options, needs=needs
            )
            made[number] = case.replace(ordinal=ordinals[number]) if ordinals else case
        return made[number]

    cases = [make(number) for number in range(len(specs))]
    users: dict[tuple[str, str], Case] = {}
    for case in cases:
        for need in case.needs:
            if need.condition != COMPLETED:
                users.setdefault(need.case.key, case)
    return [_with_partner(case, users) for case in cases]


def _with_those_that_wait(specs: Sequence[CaseSpec], linked: Sequence[tuple[Link, ...]]) -> Sequence[CaseSpec]:
    """SPECS, each of which whose health another one waits for with the position of the dependency."""
    awaited: dict[int, Origin] = {}
    for spec, spec_links in zip(specs, linked, strict=True):
        for link in spec_links:
            if link.dependency.condition == HEALTHY:
                awaited.setdefault(link.on, origin_of(spec, link.dependency))
    found = [*specs]
    for number, where in awaited.items():
        container = found[number].container
        check = (container.healthcheck or Healthcheck()).replace(awaited=where)
        found[number] = found[number].replace(container=container.replace(healthcheck=check))
    return found


def _with_partner(case: Case, users: Mapping[tuple[str, str], Case]) -> Case:
    """CASE with the first of its USERS, which has its own."""
    user = users.get(case.key)
    return case.replace(partner=_with_partner(user, users)) if user else case
