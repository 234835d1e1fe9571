"""An Expect as plain data: the value of `expect` in the normal form."""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.expect.expectation import OUTPUT, PLAIN
from mydocker.specs.expect.keywords import CHANGES, EXEC
from mydocker.specs.expect.matcher import ORDER
from mydocker.specs.expect.metadata import LISTS, MAPPINGS, SETS
from mydocker.specs.model.expect import Command, Request
from mydocker.specs.values.duration import format_duration

if TYPE_CHECKING:
    from typing import Any

    from mydocker.specs.model.expect import Check, Expect, Matcher

_SWITCHES = {"follow": "no-follow-redirects", "verify": "allow-insecure"}
_CHANGES = {row.kind: word for word, row in CHANGES.items()}


def expect_data(expect: Expect) -> dict[str, Any]:
    """The checks in their order, those of one subject together."""
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
        elif subject == "metadata":
            _add_metadata(found.setdefault(subject, {}), check)
        elif subject == "exec":
            commands = found.setdefault(subject, [_command(command) for command in expect.commands])
            _add_command_check(commands[int(check.about[1])], check)
        elif subject == "health":
            found[subject] = check.matcher.want
        elif subject == "http":
            _add_answer(found.setdefault(subject, {}), check)
        else:
            _add_state(found.setdefault(subject, {}), check)
    for request in expect.requests:
        found["http"][_key(request.url)] |= _request(request)
    return found | ({"within": format_duration(expect.within)} if expect.within else {})


def _add_file(files: list[Any], check: Check) -> None:
    """A file's first check is whether it exists."""
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


def _key(text: str) -> str:
    """Unlike other keys, those of live checks may have variables in them."""
    return text.replace("$", "$$")


def _add_state(states: dict[str, Any], check: Check) -> None:
    """Of a port or a program."""
    subject, name, word = check.about
    if word == "ip":
        states[_key(name)].setdefault(word, []).append(check.matcher.want.want)
    else:
        states[_key(name)] = {word: check.matcher.want}


def _add_answer(answers: dict[str, Any], check: Check) -> None:
    _, url, name = check.about
    answer = answers.setdefault(_key(url), {})
    if name == "status":
        answer[name] = matcher_data(check.matcher, "number")
    else:
        answer.setdefault(name, []).append(matcher_data(check.matcher, "text"))


def _command(command: Command) -> dict[str, Any]:
    timeout = {"timeout": format_duration(command.timeout)} if command.timeout != Command.timeout else {}
    return {"command": [*command.argv], **timeout}


def _add_command_check(command: dict[str, Any], check: Check) -> None:
    name = check.about[2]
    if EXEC[name].kind == "text":
        command.setdefault(name, []).append(matcher_data(check.matcher, "text"))
    elif not check.implied:
        command[name] = matcher_data(check.matcher, EXEC[name].kind)


def _request(request: Request) -> dict[str, Any]:
    """The options of a request that differ from the default."""
    options = {name: value for name, value in request.as_dict().items() if value != getattr(Request, name, None)}
    written: dict[str, Any] = {name: options[name] for name in ("method", "username", "password") if name in options}
    if "headers" in options:
        written["request-headers"] = [f"{name}: {value}" for name, value in request.headers]
    if "body" in options:
        written["request-body"] = request.body
    if "timeout" in options:
        written["timeout"] = format_duration(request.timeout)
    return written | {key: True for name, key in _SWITCHES.items() if name in options}


def matcher_data(matcher: Matcher, kind: str) -> Any:
    """A matcher of values of KIND as a mapping of goss's words; a plain value where that is equivalent."""
    op, want = matcher.op, matcher.want
    if op == "text":
        return {"equal": want}
    if op == "same":
        return want
    if op == "each":
        return [matcher_data(each, kind) for each in want]
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
    return format_duration(want) if kind == "duration" else want


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    return [_json(each) for each in value] if isinstance(value, tuple) else value
