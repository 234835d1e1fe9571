"""The tables of words that `expect` may hold: for each word what it takes, and a line of help.

From these rows come what the readers accept (expectation.py, metadata.py, running.py, matcher.py), the JSON Schema and
the reference in docs/reference.md, so that no word can exist that is not explained.
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
    ("exit_code", "exit", "The exit code of the command, 0 unless set; for signal n its name, or 128 + n"),
    ("timed_out", "boolean", "Whether its `timeout` ended it; false unless set"),
    ("oom_killed", "boolean", "Whether the kernel killed it because memory ran out"),
    ("duration", "duration", "How long it ran, such as `{lt: 5s}`"),
    (
        "max_memory",
        "size",
        "The most memory it used, such as `{lt: 64m}`: with `mem_limit` the whole container, page cache included; else "
        "its largest process",
    ),
    (
        "stdout",
        "text",
        'What it printed; a text is the whole output, except for a last line end, and `""` is no output',
    ),
    ("stderr", "text", "What it printed to standard error"),
    ("files", "files", "Which files exist, and what they are like, when it has ended"),
    ("changes", "mapping", "Which paths it added, changed or removed, except in volumes"),
    ("metadata", "mapping", "What the image's configuration says"),
    ("ports", "mapping", "On which ports it listens while it runs"),
    ("http", "mapping", "What it responds, by URL"),
    ("process", "mapping", "Which programs run in it"),
    ("health", "health", "`healthy` or `unhealthy`: the result of its healthcheck, or the image's"),
    (
        "exec",
        "commands",
        "Commands that are executed inside it while it runs, with its user and isolation, in this order",
    ),
    (
        "within",
        "time",
        "Watch it while it runs, until outputs, files, ports, responses, processes, health and commands are as "
        "expected, for at most this long; then stop it. 10s unless set, if more than outputs and files is "
        "expected, and in addition the `timeout` of a command that may take longer",
    ),
)
FILE: Table = _table(
    ("path", "word", "Absolute path; required. A symlink is followed, except for `type`"),
    ("exists", "switch", "Whether it exists; true unless set"),
    ("type", "type", f"One of {', '.join(FILE_TYPES)}"),
    ("mode", "mode", 'Permissions in octal, such as `"0644"`; or a matcher of these four digits'),
    ("owner", "word", "A name of the image, or a number"),
    ("group", "word", "A name of the image, or a number"),
    ("size", "number", "Size in bytes"),
    ("contents", "text", "The contents of the file"),
    ("sha256", "word", "SHA-256 of the contents, 64 hexadecimal digits"),
)
EXEC: Table = _table(
    ("command", "command", "The program and its arguments; required. A text is split as a shell would split it"),
    ("exit_code", "exit", "The exit code, 0 unless set"),
    ("stdout", "text", "What it prints"),
    ("stderr", "text", "What it prints to standard error"),
    ("duration", "duration", "How long it runs, such as `{lt: 1s}`"),
    ("timed_out", "boolean", "Whether its `timeout` ends it; false unless set"),
    ("timeout", "time", "Time after which it is killed; 10s unless set"),
)
HEALTH_STATES = ("healthy", "unhealthy")
CHANGES: Table = _table(
    ("only", "globs", "Nothing but these has changed"),
    ("include", "some-glob", "Each of these has changed"),
    ("exclude", "no-glob", "None of these has changed"),
)
METADATA: Table = _table(
    ("env", "named", "Environment variables; null: no variable has this name"),
    ("labels", "named", "Labels; null: no label has this name"),
    ("entrypoint", "words", "ENTRYPOINT"),
    ("cmd", "words", "CMD"),
    ("exposed_ports", "members", "Exposed ports, such as 80 or 53/udp; after a !, a port that is not exposed"),
    ("volumes", "members", "Declared volumes; after a !, a path that is no volume"),
    ("user", "text", "USER"),
    ("workdir", "text", "WORKDIR"),
)
ANSWER: Table = _table(
    ("status", "number", "Status code"),
    ("headers", "text", "The headers, each as a line `Name: value`"),
    ("body", "text", "The body"),
)
REQUEST: Table = _table(
    ("method", "word", "GET unless set"),
    ("request-headers", "headers", "Headers of the request"),
    ("request-body", "word", "Body of the request"),
    ("timeout", "time", "For the whole response; 5s unless set"),
    ("no-follow-redirects", "switch", "A redirect is the response, and not followed"),
    ("allow-insecure", "switch", "Accept any certificate"),
    ("username", "word", "For basic authentication"),
    ("password", "word", "For basic authentication"),
)

EVERYTHING, NUMBERS, TEXTS = "everything", "all but true and false", "texts, and JSON"  # what a matcher is for
MATCHERS: Table = _table(
    ("equal", EVERYTHING, "It is this value; a last line end of a text may be left out"),
    ("contain-substring", TEXTS, "The text contains this"),
    ("contain-element", TEXTS, "A line of the text, or an item of a JSON array, matches"),
    ("contain-elements", TEXTS, "Each of these has a line or item that matches, a different one each"),
    ("match-regexp", TEXTS, "The text contains a match of this regular expression"),
    ("have-len", TEXTS, "It has this number of characters, or items"),
    ("have-prefix", TEXTS, "The text begins with this"),
    ("have-suffix", TEXTS, "The text ends with this, except for a last line end"),
    ("semver-constraint", TEXTS, "The text is a version that `>=1.2 <2`, `~1.4` or `^3 || ^4` allows"),
    (
        "gjson",
        TEXTS,
        "The text is JSON, in which each of these paths, such as `items.0.name`, `items.#` (a "
        "length) or `items.#.name` (a list), leads to a value that matches. As in goss, `15` matches 15 and "
        '`"15"`, a text '
        "matches the number or boolean that is written like it, and a list what contains these elements; `equal` "
        "converts nothing",
    ),
    ("gt", NUMBERS, "It is a number greater than this"),
    ("ge", NUMBERS, "It is a number, and at least this"),
    ("lt", NUMBERS, "It is a number less than this"),
    ("le", NUMBERS, "It is a number, and at most this"),
    ("not", NUMBERS, "It does not match this"),
    ("and", NUMBERS, "It matches each of these, as with several matchers in one mapping"),
    ("or", NUMBERS, "It matches one of these"),
)


def of_kind(table: Table, *kinds: str) -> tuple[str, ...]:
    """The words of TABLE that take one of KINDS."""
    return tuple(word for word, row in table.items() if row.kind in kinds)
