"""Files of environment variables, in Docker's notation and in Compose's.

`--env-file` is read as `docker run` reads it: a line is NAME=VALUE and the value is everything after
the `=`. `env_file` in a spec, and `.env`, are read as Compose reads them: with quotes, escapes,
comments and variables (`dotenv.py`).
"""

from __future__ import annotations

from mydocker.errors import OutsideError, UsageError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIZE_LIMIT = 1 << 20  # bytes: an environment larger than this could not be passed to execve(2) anyway


def read_docker_file(
    path: str, *, environ: Mapping[str, str], bare: str | None = None, what: str = "env file"
) -> dict[str, str]:
    """`docker run --env-file`: NAME alone is BARE, or else copies from ENVIRON, or sets nothing. Raises UsageError,
    whose message calls the file WHAT."""
    values: dict[str, str] = {}
    for number, line in enumerate(read_text(path, what).split("\n"), start=1):
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        if not name:
            raise UsageError(f"{what} {path}:{number}: no variable name before '='")
        if " " in name or "\t" in name:
            raise UsageError(f"{what} {path}:{number}: variable {name!r} contains white space")
        if equals:
            values[name] = value
        elif bare is not None or name in environ:
            values[name] = environ[name] if bare is None else bare
    return values


def read_label_file(path: str) -> dict[str, str]:
    """`docker run --label-file`, in the same notation: NAME alone is a label without a value. Raises UsageError."""
    return read_docker_file(path, environ={}, bare="", what="label file")


def read_compose_file(
    path: str, *, lookup: Callable[[str], str | None], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Compose's `env_file` and `.env`, over the variables of files BEFORE it. LOOKUP returns the value of a variable
    that the file uses. Raises UsageError."""
    from mydocker.specs.environment.dotenv import parse_dotenv

    return parse_dotenv(read_text(path), origin=f"env file {path}", lookup=lookup, before=before)


def read_text(path: str, what: str = "env file") -> str:
    """Read a small UTF-8 file, WHAT, without its byte order mark. It may be a pipe: `--env-file <(...)`. Raises
    UsageError, OutsideError if it cannot be read at all."""
    try:
        with open(path, "rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise OutsideError(f"{what} {path!r}: {why_unreadable(error)}") from None
    if len(raw) > SIZE_LIMIT:
        raise UsageError(f"{what} {path!r} is larger than {SIZE_LIMIT} bytes")
    if b"\0" in raw:
        raise UsageError(f"{what} {path!r} holds a NUL character, which no variable can have")
    try:
        # a byte order mark before each of several files that were joined by `cat`
        return "\n".join(line.lstrip("\ufeff") for line in raw.decode().split("\n"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{what} {path}:{line}: not UTF-8") from None


def why_unreadable(error: OSError | ValueError) -> str:
    """The system's reason in lower case."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason[:1].lower() + reason[1:]
