"""Several specs, run one after the other."""

from __future__ import annotations

from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mydocker.spec.container import ContainerSpec


class Result(Record):
    """How one spec of a sequence ended: `outcome`, or the `error` for which its command never ran."""

    spec: ContainerSpec
    outcome: Outcome | None = None
    error: MydockerError | None = None

    @property
    def status(self) -> int:
        """The exit code this spec alone would have given."""
        if self.outcome:
            return self.outcome.status
        return self.error.exit_code if self.error else 0


def run_in_order(
    specs: Iterable[ContainerSpec], *, run: Callable[[ContainerSpec], Outcome], keep_going: bool
) -> Iterator[Result]:
    """RUN each of SPECS and yield its result at once; the first that fails is the last, unless `keep_going`."""
    for spec in specs:
        try:
            result = Result(spec=spec, outcome=run(spec))
        except MydockerError as error:
            result = Result(spec=spec, error=error)
        yield result
        if result.status and not keep_going:
            return
