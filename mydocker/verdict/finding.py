"""A Finding is the result of one run of a container; a Verdict judges it, with each Failure."""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.outcome import Outcome

if TYPE_CHECKING:
    from typing import Any

PASSED, FAILED, ERROR, SKIPPED = VERDICTS = ("passed", "failed", "error", "skipped")


class Finding(Record):
    """One run. Where the command never ran, `outcome` is None, and `problem`, `hint` and `exit_code` say why; `kind`
    is the name of the error in errors.py, if it was one.

    Outputs are text, undecodable bytes as surrogates; `facts` maps the subject of a check to the value that was found.
    """

    outcome: Outcome | None = None
    problem: str = ""
    hint: str = ""
    kind: str = ""
    exit_code: int = 125
    shortage: bool = False  # whether the host had no process or descriptor left for it
    stdout: str = ""
    stderr: str = ""
    cut: tuple[str, ...] = ()  # the outputs of which more came than is kept
    facts: dict[str, Any] = {}
    seconds: float = 0.0
    kept: str = ""  # the id under which what it wrote was kept, see runtime/inspect/kept_container.py
    not_kept: str = ""  # why it was not kept, though it should have been

    @property
    def complaint(self) -> str:
        """Why the command never ran, and what to do about it."""
        return f"{self.problem}; {self.hint}" if self.hint else self.problem


class Failure(Record):
    """An expectation that did not hold: `origin` is where it is written, `actual` the lines that decide, `difference`
    where a whole text differs from the expected one (text_diff.py)."""

    origin: Origin
    about: str
    expected: str
    actual: str
    difference: str = ""

    def texts(self) -> dict[str, str]:
        """The fields as texts, for reports that programs read; `place` is file:line:column."""
        return {"place": str(self.origin), **{name: getattr(self, name) for name in self.fields if name != "origin"}}

    @property
    def shown(self) -> str:
        """The expected and the actual value, on separate lines."""
        if self.difference:
            return f"- expected\n+ actual\n{self.difference}"
        return f"expected: {self.expected}\nactual:   {self.actual}"


class Verdict(Record):
    """`verdict` is one of VERDICTS. `reason` is why an error is not a better verdict."""

    verdict: str
    failures: tuple[Failure, ...] = ()
    reason: str = ""
