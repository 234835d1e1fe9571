"""What --dry-run prints: a launch plan, a line for each thing that would be done."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan


def show(plan: LaunchPlan) -> None:
    """Print PLAN on stdout."""
    for name, value in plan.as_dict().items():
        if name == "operations":
            for operation in value:
                print(f"operation: {_words(operation)}")
        elif name == "capabilities":
            print(f"capabilities: {value:016x}")
        else:
            print(f"{name}: {_words(value)}")


def _words(value: object) -> str:
    if isinstance(value, Record):
        fields = [f"{name}={_words(field)}" for name, field in value.as_dict().items() if field not in (None, (), "")]
        return " ".join([type(value).__name__, *fields])
    return repr(value)
