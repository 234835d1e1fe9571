"""What is expected of a container, an Expect, as plain data: the value of `expect` in our normal form."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.spec.expectation import CHANGE_OPERATORS, OUTPUT, PLAIN
from mydocker.spec.matcher import ORDER
from mydocker.spec.metadata import LISTS, MAPPINGS, SETS

if TYPE_CHECKING:
    from typing import Any

    from mydocker.spec.expect import Check, Expect, Matcher

_CHANGES = {op: key for key, op in CHANGE_OPERATORS.items()}


def expect_data(expect: Expect) -> dict[str, Any]:
    """Its checks in their order, those of one subject together."""
    from mydocker.spec.normal import duration

    found: dict[str, Any] = {}
    for check in expect.checks:
        subject = check.about[0]
        if subject in PLAIN:
            found[subject] = matcher_data(check.matcher, PLAIN[subject])
        elif subject in OUTPUT:
            found.setdefault(subject, []).append(matcher_data(check.matcher, "text"))
        elif subject == "files":
            _add_file(found.setdefault(subject, []), check)
        elif subject == "changes":
            found.setdefault(subject, {})[_CHANGES[check.matcher.op]] = [*check.matcher.want]
        else:
            assert subject == "metadata", subject
            _add_metadata(found.setdefault(subject, {}), check)
    return found | ({"within": duration(expect.within)} if expect.within else {})


def _add_file(files: list[Any], check: Check) -> None:
    """A file's first check is whether it is there."""
    _, path, name = check.about
    matcher = check.matcher
    if name == "exists":
        files.append({"path": path} | ({} if matcher.want else {"exists": False}))
    elif name == "contents":
        files[-1].setdefault(name, []).append(matcher_data(matcher, "text"))
    elif name == "size":
        files[-1][name] = matcher_data(matcher, "number")
    elif matcher.op in ("equal", "called"):
        files[-1][name] = matcher.want
    else:
        files[-1][name] = matcher_data(matcher, "text")


def _add_metadata(metadata: dict[str, Any], check: Check) -> None:
    _, name, kind = check.about
    matcher = check.matcher
    if kind in MAPPINGS:
        metadata.setdefault(kind, {})[name] = None if matcher.want is None else matcher_data(matcher, "text")
    elif kind in SETS:
        inner = matcher.want if matcher.op == "not" else matcher
        metadata.setdefault(kind, []).append(f"{'!' if matcher.op == 'not' else ''}{inner.want.want}")
    else:
        metadata[kind] = [*matcher.want] if kind in LISTS else matcher_data(matcher, "text")


def matcher_data(matcher: Matcher, kind: str) -> Any:
    """A matcher of values of KIND as a mapping of goss's words; a plain value where that says the same."""
    op, want = matcher.op, matcher.want
    if op == "text":
        return {"equal": want}
    if op == "equal":
        return {"equal": _json(want)} if kind == "json" else _value(want, kind)
    if op in ORDER:
        return {op: _value(want, "number" if kind in ("text", "json", "exit") else kind)}
    inner = kind if op in ("not", "and", "or") or kind == "json" else "text"
    if op == "gjson":
        return {op: {path: matcher_data(each, "json") for path, each in want}}
    if op in ("and", "or", "contain-elements"):
        return {op: [matcher_data(each, inner) for each in want]}
    return {op: matcher_data(want, inner) if op in ("not", "contain-element") else want}


def _value(want: Any, kind: str) -> Any:
    from mydocker.spec.normal import duration

    return duration(want) if kind == "duration" else want


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    return [_json(each) for each in value] if isinstance(value, tuple) else value
