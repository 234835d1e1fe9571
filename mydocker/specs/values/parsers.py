"""One word becomes a value: what a flag of `run` is given, or a scalar of a spec file.

Each function takes the word and the Place it stands in, and gives a complete value or raises
UsageError saying what was wanted. Only what needs no other module of values is here, for it is on the warm path; the
other types of the table of fields are in table/types.py.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Platform, Reference
from mydocker.specs.model.container import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
HOST_NAME_LIMIT = 64  # the kernel's (uts_namespaces(7)), and Docker's; in a DNS name, a part has at most 63
TITLE_LIMIT = 255

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_BOOLEANS = {  # Go's strconv.ParseBool, which Docker's flags go through
    **dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("0", "f", "F", "false", "False", "FALSE"), False),
}


class Place(Record):
    """What a word is read against: a directory for relative paths, variables for `-e NAME`."""

    directory: str  # absolute; empty if it no longer exists
    environ: Mapping[str, str]


def text(word: str, place: Place) -> str:
    return word


def boolean(word: str, place: Place) -> bool:
    if word not in _BOOLEANS:
        raise UsageError("expected true or false")
    return _BOOLEANS[word]


def image(word: str, place: Place) -> Reference:
    return Reference.parse(word)


def platform(word: str, place: Place) -> Platform | None:
    """An empty word is this machine's, as for Docker: `--platform "$UNSET"`."""
    return Platform.parse(word) if word else None


def name(word: str, place: Place) -> str | None:
    """A container's name as `docker run` takes it; an empty word is none."""
    if not word:
        return None
    if word[0] not in _ALNUM or not (_ALNUM | set("_.-")).issuperset(word) or len(word) > TITLE_LIMIT:
        raise UsageError(f"expected letters, digits, _ . and -, a letter or digit first, at most {TITLE_LIMIT}")
    return word


def title(word: str, place: Place) -> str:
    """The name of a spec in a file: one line for people."""
    if not word.strip() or len(word) > TITLE_LIMIT or not word.isprintable():
        raise UsageError(f"name: expected one line of text, at most {TITLE_LIMIT} characters")
    return word


def path(word: str, place: Place) -> str:
    """A path of the host, made absolute; `~` and `~/x` are below the caller's home."""
    if word.startswith("~"):
        word = _below_home(word, place)
    # realpath would follow links that may change before they are used, and normpath keeps a leading "//"
    return "/" + os.path.normpath(joined(word, place)).lstrip("/")


def joined(word: str, place: Place) -> str:
    """The path WORD, from the place's directory if it is relative."""
    if not word:
        raise UsageError("the path is empty")
    if not word.startswith("/") and not place.directory:
        from mydocker.paths import gone

        raise gone()
    return os.path.join(place.directory, word)


def _below_home(word: str, place: Place) -> str:
    user, _, rest = word[1:].partition("/")
    home = place.environ.get("HOME", "")
    if user or not home.startswith("/"):
        raise UsageError(f"cannot expand '~{user}' in {word!r}", hint="write the path in full")
    return os.path.join(home, rest.lstrip("/"))


def pull_policy(word: str, place: Place) -> str:
    word = "missing" if word == "if_not_present" else word  # Compose's other name for it
    if word in ("build", "daily", "weekly", "newer") or word.startswith("every_"):
        raise UsageError(f"pull policy {word!r} is not supported yet", hint="use missing, always or never")
    return _one_of(word or "missing", ("missing", "always", "never"))


def network_mode(word: str, place: Place) -> str:
    if word in ("bridge", "default") or word.startswith(("container:", "service:", "ns:")):
        raise UsageError(f"network {word!r} is not supported yet", hint="use host or none")
    return _one_of(word, ("host", "none"))


def label(word: str, place: Place) -> dict[str, str]:
    key, _, value = word.partition("=")
    if not key:
        raise UsageError("a label needs a name: NAME=VALUE")
    return {key: value}


def entrypoint(word: str, place: Place) -> tuple[str, ...]:
    """One program, never split; an empty word resets the image's entrypoint (docker run)."""
    return (word,) if word else ()


def variable(word: str, place: Place) -> dict[str, str]:
    """NAME=VALUE, or NAME, which copies the caller's value and sets nothing if there is none (docker run)."""
    key, equals, value = word.partition("=")
    if not key:
        raise UsageError("an environment variable needs a name: NAME=VALUE")
    if equals:
        return {key: value}
    return {key: place.environ[key]} if key in place.environ else {}


def working_dir(word: str, place: Place) -> str | None:
    """An absolute path in the container; an empty word is the image's, as for Docker."""
    if word and not word.startswith("/"):
        raise UsageError(f"the working directory {word!r} is not an absolute path")
    return word or None


def hostname(word: str, place: Place) -> str | None:
    """RFC 1123 labels; `_` is let through because Compose users name their hosts so. An empty word is none."""
    return _labels(word, "host name")


def domainname(word: str, place: Place) -> str | None:
    """The same; Docker lets any text through, and cuts it off at the kernel's limit."""
    return _labels(word, "domain name")


def _labels(word: str, kind: str) -> str | None:
    if not word:
        return None
    if len(word) > HOST_NAME_LIMIT:
        raise UsageError(f"{kind} {word!r} is longer than {HOST_NAME_LIMIT} characters")
    for part in word.split("."):
        if not part or part[0] == "-" or part[-1] == "-" or not (_ALNUM | {"-", "_"}).issuperset(part):
            raise UsageError(f"{kind} {word!r}: expected letters, digits and -, in parts joined by dots")
    return word


def injected(word: str, place: Place) -> str:
    if not word.startswith("/") or word != os.path.normpath(word) or word.startswith("//") or word == "/":
        raise UsageError(f"{word!r}: expected the absolute path of a program of this machine, without . or ..")
    return word


def namespace(word: str, place: Place) -> str:
    return _one_of(word, NAMESPACES)


def namespaces(word: str, place: Place) -> tuple[str, ...]:
    """Names joined by commas; an empty word is none of them."""
    chosen = [namespace(part.strip(), place) for part in word.split(",")] if word else []
    return tuple(x for x in NAMESPACES if x in chosen)


def userns_mode(word: str, place: Place) -> str:
    return _one_of(word or "host", ("host", "keep-id"))


def umask(word: str, place: Place) -> int:
    """An octal number, as the shell's umask prints it."""
    if not word or len(word) > 4 or not frozenset("01234567").issuperset(word) or int(word, 8) > 0o777:
        raise UsageError(f"umask {word!r}: expected an octal number up to 0777, such as 0022")
    return int(word, 8)


def shared_or_not(word: str, place: Place) -> bool:
    """Whether a namespace is the container's own: `private`, or an empty word, rather than `host`."""
    if word.startswith(("container:", "service:", "ns:")):
        raise UsageError(f"{word!r} is not supported yet", hint="use host or private")
    return _one_of(word or "private", ("host", "private")) == "private"


def _one_of(word: str, choices: Iterable[str]) -> str:
    if word not in choices:
        raise UsageError(f"{word!r}: expected {' or '.join(choices)}")
    return word
