"""`mydocker ps`: the containers that run, and those in the background that have ended."""

from __future__ import annotations

import os

from mydocker.cli.common.table import show
from mydocker.errors import UsageError
from mydocker.image.store_root import StoreRoot
from mydocker.record import TYPE_CHECKING
from mydocker.services.containers import STATUSES
from mydocker.services.listing import rows, stored
from mydocker.specs.flags import HELP, Flag, is_on, last, read, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from mydocker.cli.common.parser import Parser
    from mydocker.services.containers import Container, Listed, Summary
    from mydocker.specs.flags import Option

    Kind = TypeVar("Kind", bound=Listed)

ALL = Flag(flags=("-a", "--all"), help="also those that have ended, or never started")
QUIET = Flag(flags=("-q", "--quiet"), help="print IDs only")
FILTER = Flag(flags=("-f", "--filter"), metavar="FILTER", repeatable=True, help="such as status=exited (repeatable)")
LAST = Flag(flags=("-n", "--last"), metavar="N", help="the last N that were created, in any state")
LATEST = Flag(flags=("-l", "--latest"), help="the last one that was created, in any state")
NO_TRUNC = Flag(flags=("--no-trunc",), help="do not shorten IDs and commands")
FORMAT = Flag(flags=("--format",), metavar="FORMAT", help="table, json, or a template of Go's")
FLAGS = (ALL, QUIET, FILTER, LAST, LATEST, NO_TRUNC, FORMAT)
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
_OF_SPECS = {"network", "volume"}  # filters that take more than a list reads
_TABLE = "table"


def ps_command(argv: list[str]) -> int:
    """Print the containers, the newest first; 0."""
    options, words = read(argv, FLAGS, command="ps", instead={})
    if is_on(HELP, options):
        parser().parse_args(["--help", *words[:1]])
    if words:
        raise UsageError(f"unrecognized arguments: {' '.join(words)}", hint="see 'mydocker ps --help'")
    wanted = _filters(texts(FILTER, options))
    form, quiet, trunc = last(FORMAT, options), is_on(QUIET, options), not is_on(NO_TRUNC, options)
    if (quiet or form in (None, _TABLE)) and not _OF_SPECS & wanted.keys():
        names = ("ID",) if quiet else tuple(HEADINGS)
        _show([rows.brief(each, names, trunc=trunc) for each in _chosen(_listed(), options, wanted)], quiet=quiet)
    else:
        from mydocker.services.containers import described

        found = [described.row(each, trunc=trunc) for each in _chosen(_whole(), options, wanted)]
        _show(found, quiet=quiet) if quiet or form in (None, _TABLE) else _print(found, form or "")
    return 0


def _listed() -> list[Listed]:
    """What is read of all containers to list them."""
    store = StoreRoot.open(os.environ)
    there, left, dead = stored.scan(store, stored.summary)
    if left:
        from mydocker.image.store import Store
        from mydocker.services.containers import directory

        directory.remove_left(Store.open(os.environ), left)
    return [*there, *dead, *map(stored.as_listed, stored.foreground(store))]


def _whole() -> list[Container]:
    """All containers with all that they are made of."""
    from mydocker.image.store import Store
    from mydocker.services.containers import directory
    from mydocker.services.containers.find import as_container

    store = Store.open(os.environ)
    return [*directory.listed(store), *map(as_container, stored.foreground(store))]


def _chosen(everything: Sequence[Kind], options: list[Option], wanted: dict[str, list[str]]) -> list[Kind]:
    """Those that OPTIONS, and the filters WANTED, choose."""
    latest, most = is_on(LATEST, options), _number(last(LAST, options))
    found = sorted(everything, key=lambda container: container.config.created, reverse=True)
    if not is_on(ALL, options) and most is None and not latest and "status" not in wanted:
        found = [container for container in found if container.is_alive]
    others = {key: [_created(everything, name) for name in wanted.get(key, ())] for key in _AGE}
    facts = {key: values for key, values in wanted.items() if key not in _AGE}
    found = [each for each in found if _matches(each, facts) and _is_in_time(each, **others)]
    if latest or (most is not None and most >= 0):
        return found[: 1 if latest else most]
    return found


def _created(everything: Sequence[Listed], name: str) -> float:
    """When the container called NAME was created."""
    for container in everything:
        if name and (container.config.title == name.removeprefix("/") or container.config.id.startswith(name)):
            return container.config.created
    raise UsageError(f"no such container: {name}", hint="see 'mydocker ps -a'")


def _is_in_time(container: Listed, *, before: list[float], since: list[float]) -> bool:
    created = container.config.created
    return all(created < each for each in before) and all(created > each for each in since)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        hint = "see 'mydocker ps --help'"
        raise UsageError(f"invalid argument {text!r} for -n, --last: expected a number", hint=hint) from None


def _show(found: Sequence[dict[str, str]], *, quiet: bool) -> None:
    if quiet:
        for row in found:
            print(row["ID"])
    else:
        show([*HEADINGS.values()], [[row[key] for key in HEADINGS] for row in found])


def _print(found: Sequence[dict[str, str]], form: str) -> None:
    if form == "json":  # an object on each line, as with Docker
        import json

        for row in found:
            print(json.dumps(row))
    else:
        from mydocker.cli.output.go_template import render_all

        print(render_all(form, found, headings=HEADINGS), end="")


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


def _matches(container: Listed, wanted: dict[str, list[str]]) -> bool:
    """Whether CONTAINER has one of the values of each filter, and all of the labels."""
    return all(
        (all if key == "label" else any)(_has(container, key, value) for value in values)
        for key, values in wanted.items()
    )


def _has(container: Listed, key: str, value: str) -> bool:
    config, state = container.config, container.state
    if key == "label":
        name, equals, text = value.partition("=")
        return name in config.labels and (not equals or config.labels[name] == text)
    if key == "name":
        return _names(value, config.title)
    if key == "ancestor":
        return _is_of(config, value)
    if key in _OF_SPECS:
        return _has_of_spec(container, key, value)
    facts = {
        "id": config.id.startswith(value),
        "status": state.status == value,
        "health": (state.health or "none") == value,
        "exited": state.status == "exited" and str(state.exit_code) == value,
    }
    return facts[key]


def _has_of_spec(container: Listed, key: str, value: str) -> bool:
    from mydocker.services.containers import Container, described

    assert isinstance(container, Container)
    spec = container.config.spec
    if key == "volume":
        return any(value in (getattr(each, "volume", ""), each.target) for each in spec.volumes)
    return value in described.addresses(container) or spec.network_mode == value


def _names(pattern: str, title: str) -> bool:
    """Whether PATTERN, a regular expression as Docker has them, is found in a container's name."""
    import re

    try:
        return any(re.search(pattern, name) for name in (title, f"/{title}"))
    except re.error as error:
        raise UsageError(f"invalid filter 'name={pattern}': {error}") from None


def _is_of(config: Summary, image: str) -> bool:
    """Whether IMAGE, a name or an ID, is that of a container's image; without a tag, it is that of all its tags."""
    repository, tag = _split(config.image)
    digest = config.image_digest
    is_id = bool(image) and (image == digest or digest.partition(":")[2].startswith(image))
    return is_id or _split(image) in ((repository, ""), (repository, tag or ":latest"))


def _split(image: str) -> tuple[str, str]:
    """The short form of an image's name without what follows, and that: its tag, its digest, or nothing."""
    import re

    name = re.sub(r"(@[^@]*|:[^:/@]*)$", "", image)
    return name.removeprefix("docker.io/").removeprefix("library/"), image[len(name) :]


def parser() -> Parser:
    """What the command line may have, for its help."""
    from mydocker.cli.common.parser import Parser

    parser = Parser(
        "ps",
        text="Containers that another mydocker runs in the foreground are listed, too.",
        examples=(
            ("mydocker ps -a", "list those that have ended, too"),
            ("mydocker rm $(mydocker ps -aq --filter status=exited)", "remove all that have ended"),
            ("mydocker ps --format '{{.Names}}: {{.Status}}'", "print what a template says"),
        ),
    )
    parser.add_flags(FLAGS)
    return parser
