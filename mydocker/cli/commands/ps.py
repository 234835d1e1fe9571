"""`mydocker ps`: the containers that run, and those in the background that have ended."""

from __future__ import annotations

import json
import os
import re

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import STATUSES, Container, ContainerConfig, described, directory
from mydocker.services.containers.find import as_container, foreground

if TYPE_CHECKING:
    from typing import Any

HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}
_AGE = ("before", "since")
_FILTERS = ("ancestor", *_AGE, "exited", "health", "id", "label", "name", "network", "status", "volume")


def ps_command(argv: list[str]) -> int:
    """Print the containers, the newest first; 0."""
    options = parser().parse_args(argv)
    store = Store.open(os.environ)
    wanted = _filters(options.filter)
    everything = [*directory.listed(store), *map(as_container, foreground(store))]
    everything.sort(key=lambda container: container.config.created, reverse=True)
    if not options.all and options.last is None and not options.latest and "status" not in wanted:
        everything = [container for container in everything if container.is_alive]
    others = {key: [_named(everything, name) for name in wanted.pop(key, ())] for key in _AGE}
    found = [each for each in everything if _matches(each, wanted) and _is_in_time(each, **others)]
    if options.latest or (options.last is not None and options.last >= 0):
        found = found[: 1 if options.latest else options.last]
    _show(found, options.format, quiet=options.quiet, trunc=not options.no_trunc)
    return 0


def _show(found: list[Container], form: str, *, quiet: bool, trunc: bool) -> None:
    rows = [described.row(container, trunc=trunc) for container in found]
    if quiet:
        for row in rows:
            print(row["ID"])
    elif form == "json":  # an object on each line, as with Docker
        for row in rows:
            print(json.dumps(row))
    elif form == "table":
        show([*HEADINGS.values()], [[row[key] for key in HEADINGS] for row in rows])
    else:
        from mydocker.cli.output.go_template import render_all

        print(render_all(form, rows, headings=HEADINGS), end="")


def _filters(texts: list[str]) -> dict[str, list[str]]:
    """The values of each filter. Raises UsageError for one that there is not."""
    wanted: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in _FILTERS:
            raise UsageError(f"invalid filter {text!r}: expected {', '.join(f'{name}=VALUE' for name in _FILTERS)}")
        if key == "status" and value not in STATUSES:
            raise UsageError(f"invalid filter {text!r}: expected one of {', '.join(STATUSES)}")
        wanted.setdefault(key, []).append(value)
    return wanted


def _named(everything: list[Container], name: str) -> float:
    """When the container called NAME was created."""
    for container in everything:
        if name and (container.config.title == name.removeprefix("/") or container.config.id.startswith(name)):
            return container.config.created
    raise UsageError(f"no such container: {name}", hint="see 'mydocker ps -a'")


def _is_in_time(container: Container, *, before: list[float], since: list[float]) -> bool:
    created = container.config.created
    return all(created < each for each in before) and all(created > each for each in since)


def _matches(container: Container, wanted: dict[str, list[str]]) -> bool:
    """Whether CONTAINER has one of the values of each filter, and all of the labels."""
    return all(
        (all if key == "label" else any)(_has(container, key, value) for value in values)
        for key, values in wanted.items()
    )


def _has(container: Container, key: str, value: str) -> bool:
    config, state = container.config, container.state
    if key == "label":
        name, equals, text = value.partition("=")
        return name in config.labels and (not equals or config.labels[name] == text)
    facts: dict[str, Any] = {
        "id": config.id.startswith(value),
        "name": _names(value, config.title),
        "status": state.status == value,
        "health": (state.health or "none") == value,
        "exited": state.status == "exited" and str(state.exit_code) == value,
        "ancestor": _is_of(config, value),
        "volume": any(value in (getattr(each, "volume", ""), each.target) for each in config.spec.volumes),
        "network": value in described.addresses(container) or config.spec.network_mode == value,
    }
    return bool(facts[key])


def _names(pattern: str, title: str) -> bool:
    """Whether PATTERN, a regular expression as Docker has them, is found in a container's name."""
    try:
        return any(re.search(pattern, name) for name in (title, f"/{title}"))
    except re.error as error:
        raise UsageError(f"invalid filter 'name={pattern}': {error}") from None


def _is_of(config: ContainerConfig, image: str) -> bool:
    repository = re.sub(r"(@[^@]*|:[^:/@]*)$", "", config.image)
    digest = config.image_digest
    return image in (config.image, repository, digest) or bool(image and digest.partition(":")[2].startswith(image))


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "ps",
        text="Containers that another mydocker runs in the foreground are listed, too.",
        examples=(
            ("mydocker ps -a", "list those that have ended, too"),
            ("mydocker rm $(mydocker ps -aq --filter status=exited)", "remove all that have ended"),
            ("mydocker ps --format '{{.Names}}: {{.Status}}'", "print what a template says"),
        ),
    )
    parser.add_argument("-a", "--all", action="store_true", help="also those that have ended, or never started")
    parser.add_argument("-q", "--quiet", action="store_true", help="print IDs only")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], metavar="FILTER", help="such as status=exited (repeatable)"
    )
    parser.add_argument("-n", "--last", type=int, metavar="N", help="the last N that were created, in any state")
    parser.add_argument("-l", "--latest", action="store_true", help="the last one that was created, in any state")
    parser.add_argument("--no-trunc", action="store_true", help="do not shorten IDs and commands")
    parser.add_argument("--format", default="table", metavar="FORMAT", help="table, json, or a template of Go's")
    return parser
