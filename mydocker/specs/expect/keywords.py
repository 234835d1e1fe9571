"""The tables of words that `expect` may hold: for each word what it takes, and a line of help.

From these rows come what the readers accept (expectation.py, metadata.py, running.py, matcher.py), the JSON Schema and
the reference in README.md, so that no word can exist that is not explained.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    Table = dict[str, "Word"]


class Word(Record):
    """`kind` is what it takes, or of a matcher, what it is for: see expect_reference.py."""

    kind: str
    help: str


def _table(*rows: tuple[str, str, str]) -> Table:
    return {word: Word(kind=kind, help=text) for word, kind, text in rows}


FILE_TYPES = ("file", "directory", "symlink", "fifo", "socket", "character-device", "block-device")
STATES = {  # of what there is while a container runs; the first word is also goss's key for it
    "ports": {"listening": True, "closed": False},
    "process": {"running": True, "absent": False},
}

EXPECT: Table = _table(
    ("exit_code", "exit", "What the command ends with, 0 unless said; of signal n its name, or 128 + n"),
    ("timed_out", "boolean", "Whether its `timeout` ended it; false unless said"),
    ("oom_killed", "boolean", "Whether the kernel killed it for its memory"),
    ("duration", "duration", "How long it ran, such as `{lt: 5s}`"),
    (
        "max_memory",
        "size",
        "The most memory it used, such as `{lt: 64m}`: with `mem_limit` the whole container, page cache included; else "
        "its largest process",
    ),
    ("stdout", "text", 'What it wrote; a text is all of it, a last line end aside, and `""` nothing'),
    ("stderr", "text", "The same of standard error"),
    ("files", "files", "What files there are, in the container as it was at its end"),
    ("changes", "mapping", "Which paths it added, changed or removed, volumes aside"),
    ("metadata", "mapping", "What the image's configuration says"),
    ("ports", "mapping", "Which ports it listens to while it runs"),
    ("http", "mapping", "What it answers, by URL"),
    ("process", "mapping", "Which programs run in it"),
    ("health", "health", "`healthy` or `unhealthy`: what its healthcheck, or the image's, says"),
    (
        "exec",
        "commands",
        "Commands that are executed inside it while it runs, with its user and isolation, in their order",
    ),
    (
        "within",
        "time",
        "Look while it runs, until outputs, files, ports, answers, processes, health and commands are as "
        "expected, for at most this long; then stop it. 10s if more than outputs and files is expected, "
        "and in addition the `timeout` of a command that may take longer",
    ),
)
FILE: Table = _table(
    ("path", "word", "Where, absolute; needed. A symlink is followed, but for `type`"),
    ("exists", "switch", "Whether it is there; true unless said"),
    ("type", "type", f"One of {', '.join(FILE_TYPES)}"),
    ("mode", "mode", 'Permissions in octal, such as `"0644"`; or a matcher of these four digits'),
    ("owner", "word", "A name of the image, or a number"),
    ("group", "word", "A name of the image, or a number"),
    ("size", "number", "In bytes"),
    ("contents", "text", "What is in it"),
    ("sha256", "word", "The SHA-256 of what is in it, 64 hexadecimal digits"),
)
EXEC: Table = _table(
    ("command", "command", "The program and its arguments; needed. A text is split as a shell would split it"),
    ("exit_code", "exit", "What it ends with, 0 unless said"),
    ("stdout", "text", "What it writes"),
    ("stderr", "text", "The same of standard error"),
    ("duration", "duration", "How long it runs, such as `{lt: 1s}`"),
    ("timed_out", "boolean", "Whether its `timeout` ends it; false unless said"),
    ("timeout", "time", "When it is killed; 10s unless said"),
)
HEALTH_STATES = ("healthy", "unhealthy")
CHANGES: Table = _table(
    ("only", "globs", "Nothing has changed but these"),
    ("include", "some-glob", "Each of these has changed"),
    ("exclude", "no-glob", "None of these has changed"),
)
METADATA: Table = _table(
    ("env", "named", "Variables; null: there is none of that name"),
    ("labels", "named", "Labels; null: there is none of that name"),
    ("entrypoint", "words", "ENTRYPOINT"),
    ("cmd", "words", "CMD"),
    ("exposed_ports", "members", "Ports that are there, such as 80 or 53/udp; with ! before it, that are not"),
    ("volumes", "members", "Volumes that are there; with ! before it, that are not"),
    ("user", "text", "USER"),
    ("workdir", "text", "WORKDIR"),
)
ANSWER: Table = _table(
    ("status", "number", "Its status"),
    ("headers", "text", "Its headers, a line `Name: value` each"),
    ("body", "text", "Its body"),
)
REQUEST: Table = _table(
    ("method", "word", "GET unless said"),
    ("request-headers", "headers", "Headers of the request"),
    ("request-body", "word", "Body of the request"),
    ("timeout", "time", "For the whole answer; 5s unless said"),
    ("no-follow-redirects", "switch", "Take a redirect for the answer"),
    ("allow-insecure", "switch", "Take any certificate"),
    ("username", "word", "For basic authentication"),
    ("password", "word", "For basic authentication"),
)

EVERYTHING, NUMBERS, TEXTS = "everything", "all but true and false", "texts, and JSON"  # what a matcher is for
MATCHERS: Table = _table(
    ("equal", EVERYTHING, "It is this value; of a text, a last line end may be left out"),
    ("contain-substring", TEXTS, "This is in the text"),
    ("contain-element", TEXTS, "A line of the text, or an item of a JSON array, matches"),
    ("contain-elements", TEXTS, "For each of these, there is one that matches, and that none of the others takes"),
    ("match-regexp", TEXTS, "This regular expression is found in the text"),
    ("have-len", TEXTS, "So many characters, or items"),
    ("have-prefix", TEXTS, "The text begins with this"),
    ("have-suffix", TEXTS, "The text ends with this, a last line end aside"),
    ("semver-constraint", TEXTS, "The text is a version that `>=1.2 <2`, `~1.4` or `^3 || ^4` allows"),
    (
        "gjson",
        TEXTS,
        "The text is JSON, in which each of these paths, such as `items.0.name`, `items.#` (a "
        'length) or `items.#.name` (a list), leads to what matches. As in goss, `15` matches 15 and `"15"`, a text '
        "matches the number or boolean that is written like it, and a list what contains these elements; `equal` "
        "converts nothing",
    ),
    ("gt", NUMBERS, "It is a number, and more than this"),
    ("ge", NUMBERS, "At least this"),
    ("lt", NUMBERS, "Less than this"),
    ("le", NUMBERS, "At most this"),
    ("not", NUMBERS, "It does not match this"),
    ("and", NUMBERS, "It matches each of these; so do several matchers in one mapping"),
    ("or", NUMBERS, "It matches one of these"),
)


def of_kind(table: Table, *kinds: str) -> tuple[str, ...]:
    """The words of TABLE that take one of KINDS."""
    return tuple(word for word, row in table.items() if row.kind in kinds)
