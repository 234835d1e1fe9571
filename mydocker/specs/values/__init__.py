"""Parsers: the text of a flag of `run`, or of a scalar of a spec file, becomes a value.

Each function takes the text and its Scope, and returns a complete value or raises UsageError with what was expected.
Only parsers that need no other module of values are here, for this module is on the warm path; the other types of the
table of fields are in field_types.py.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Platform, Reference
from mydocker.specs import flags
from mydocker.specs.model import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
HOST_NAME_LIMIT = 64  # the kernel's (uts_namespaces(7)), and Docker's; in a DNS name, a part has at most 63
TITLE_LIMIT = 255

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


class Scope(Record):
    """What text is parsed against: a directory for relative paths, variables for `-e NAME`."""

    directory: str  # absolute; empty if it no longer exists
    environ: Mapping[str, str]


def any_text(text: str, scope: Scope) -> str:
    return text


def boolean(text: str, scope: Scope) -> bool:
    return flags.boolean(text)


def image(text: str, scope: Scope) -> Reference:
    return Reference.parse(text)


def platform(text: str, scope: Scope) -> Platform | None:
    """Empty text is this machine's platform, as for Docker: `--platform "$UNSET"`. One of another system is an error
    once the container is to start."""
    return Platform.parse(text, of_any_system=True) if text else None


def name(text: str, scope: Scope) -> str | None:
    """A container's name as `docker run` takes it; empty text is none."""
    if not text:
        return None
    text = text.removeprefix("/") or text  # as `docker inspect` writes it
    if text[0] not in _ALNUM or not (_ALNUM | set("_.-")).issuperset(text) or len(text) > TITLE_LIMIT:
        raise UsageError(f"expected letters, digits, _ . and -, a letter or digit first, at most {TITLE_LIMIT}")
    return text


def title(text: str, scope: Scope) -> str:
    """The name of a spec in a file: one line of free text."""
    if not text.strip() or len(text) > TITLE_LIMIT or not text.isprintable():
        raise UsageError(f"name: expected one line of text, at most {TITLE_LIMIT} characters")
    return text


def path(text: str, scope: Scope) -> str:
    """A path of the host, made absolute; `~` and `~/x` are below the caller's home."""
    if text.startswith("~"):
        text = _below_home(text, scope)
    # realpath would follow links that may change before they are used, and normpath keeps a leading "//"
    return "/" + os.path.normpath(joined(text, scope)).lstrip("/")


def joined(text: str, scope: Scope) -> str:
    """The path TEXT, from the scope's directory if it is relative."""
    if not text:
        raise UsageError("the path is empty")
    if not text.startswith("/") and not scope.directory:
        from mydocker.paths import gone

        raise gone()
    return os.path.join(scope.directory, text)


def _below_home(text: str, scope: Scope) -> str:
    user, _, rest = text[1:].partition("/")
    home = scope.environ.get("HOME", "")
    if user or not home.startswith("/"):
        raise UsageError(f"cannot expand '~{user}' in {text!r}", hint="write the path in full")
    return os.path.join(home, rest.lstrip("/"))


def pull_policy(text: str, scope: Scope) -> str:
    text = "missing" if text == "if_not_present" else text  # Compose's other name for it
    if text == "newer":
        raise UsageError(f"pull policy {text!r} is not supported yet", hint="use missing, always or never")
    return _one_of(text or "missing", ("missing", "always", "never", "build"))


def runtime(text: str, scope: Scope) -> str:
    """The runtimes that change nothing but the devices."""
    if text not in ("", "runc", "io.containerd.runc.v2", "nvidia"):
        raise UsageError(f"runtime {text!r} is not supported: expected runc or nvidia")
    return "nvidia" if text == "nvidia" else ""


def network_word(text: str, scope: Scope) -> str:
    """A word of `--network`: bridge, none, host, default, the NAME of a network, or container:NAME. Empty text is
    unset, as for Docker."""
    kind, colon, other = text.partition(":")
    if kind == "container" and colon:
        if not other or not (_ALNUM | set("_.-")).issuperset(other):
            raise UsageError(f"{text!r}: expected container:NAME or container:ID")
        return text
    if kind in ("ns", "pasta", "slirp4netns", "private"):  # of Podman
        raise UsageError(f"network {text!r} is not supported", hint="use bridge, none, host or the name of a network")
    if text and (text[0] not in _ALNUM or not (_ALNUM | set("_.-")).issuperset(text) or len(text) > TITLE_LIMIT):
        raise UsageError(f"network {text!r}: expected letters, digits, _ . and -, a letter or digit first")
    return text or "default"


def network_mode(text: str, scope: Scope) -> str:
    """The same, or service:NAME, another container of the file."""
    kind, colon, other = text.partition(":")
    if kind == "service" and colon:
        if not other.strip() or not other.isprintable():
            raise UsageError(f"{text!r}: expected service:NAME")
        return text
    return network_word(text, scope)


def label(text: str, scope: Scope) -> dict[str, str]:
    key, _, value = text.partition("=")
    if not key:
        raise UsageError("a label needs a name: NAME=VALUE")
    return {key: value}


def entrypoint(text: str, scope: Scope) -> tuple[str, ...]:
    """One program, never split; empty text resets the image's entrypoint (docker run)."""
    return (text,) if text else ()


def variable(text: str, scope: Scope) -> dict[str, str]:
    """NAME=VALUE, or NAME, which copies the caller's value and sets nothing if there is none (docker run)."""
    key, equals, value = text.partition("=")
    if not key:
        raise UsageError("an environment variable needs a name: NAME=VALUE")
    if equals:
        return {key: value}
    return {key: scope.environ[key]} if key in scope.environ else {}


def own_variable(text: str, scope: Scope) -> dict[str, str | None]:
    """NAME=VALUE, or NAME, which copies the caller's value. If there is none, the container has none either, whatever
    the image says (docker run, Compose)."""
    key, equals, _ = text.partition("=")
    return {key: None} if key and not equals and key not in scope.environ else {**variable(text, scope)}


def working_dir(text: str, scope: Scope) -> str | None:
    """An absolute path in the container; empty text is the image's, as for Docker."""
    if text and not text.startswith("/"):
        raise UsageError(f"the working directory {text!r} is not an absolute path")
    return text or None


def hostname(text: str, scope: Scope) -> str | None:
    """RFC 1123 labels; `_` is accepted because Compose users use it in host names. Empty text is none."""
    return _labels(text, "host name")


def domainname(text: str, scope: Scope) -> str | None:
    """The same; Docker accepts any text, and truncates it at the kernel's limit."""
    return _labels(text, "domain name")


def _labels(text: str, kind: str) -> str | None:
    if not text:
        return None
    if len(text) > HOST_NAME_LIMIT:
        raise UsageError(f"{kind} {text!r} is longer than {HOST_NAME_LIMIT} characters")
    for part in text.split("."):
        if not part or part[0] == "-" or part[-1] == "-" or not (_ALNUM | {"-", "_"}).issuperset(part):
            raise UsageError(f"{kind} {text!r}: expected letters, digits and -, in parts joined by dots")
    return text


def injected(text: str, scope: Scope) -> str:
    if not text.startswith("/") or text != os.path.normpath(text) or text.startswith("//") or text == "/":
        raise UsageError(f"{text!r}: expected the absolute path of a program of this machine, without . or ..")
    return text


def namespace(text: str, scope: Scope) -> str:
    return _one_of(text, NAMESPACES)


def namespaces(text: str, scope: Scope) -> tuple[str, ...]:
    """Names joined by commas; empty text is none of them."""
    chosen = [namespace(part.strip(), scope) for part in text.split(",")] if text else []
    return tuple(x for x in NAMESPACES if x in chosen)


def userns_mode(text: str, scope: Scope) -> str:
    if text in ("", "host"):  # without an import on the way of every run
        return "host"
    from mydocker.specs.values.userns import parse_mode

    return parse_mode(text)


def id_mapping(text: str, scope: Scope) -> str:
    from mydocker.specs.values.userns import parse_mapping

    return parse_mapping(text)


def umask(text: str, scope: Scope) -> int:
    """An octal number, as the shell's umask prints it."""
    if not text or len(text) > 4 or not frozenset("01234567").issuperset(text) or int(text, 8) > 0o777:
        raise UsageError(f"umask {text!r}: expected an octal number up to 0777, such as 0022")
    return int(text, 8)


def shared_or_not(text: str, scope: Scope) -> bool:
    """Whether a namespace is the container's own: `private`, or empty text, rather than `host`."""
    if text.startswith(("container:", "service:", "ns:")):
        raise UsageError(f"{text!r} is not supported", hint="use host or private")
    return _one_of(text or "private", ("host", "private")) == "private"


def shared_with(text: str, scope: Scope) -> bool | str:
    """The same, or container:NAME or service:NAME, whose namespace it shares. `shareable` is private: every container
    lets others in."""
    kind, colon, other = text.partition(":")
    if colon and kind in ("container", "service"):
        if not other.strip() or not other.isprintable():
            raise UsageError(f"{text!r}: expected {kind}:NAME")
        return text
    return shared_or_not("private" if text == "shareable" else text, scope)


def _one_of(text: str, choices: Iterable[str]) -> str:
    if text not in choices:
        raise UsageError(f"{text!r}: expected {' or '.join(choices)}")
    return text
