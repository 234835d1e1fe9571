"""Secrets of Quadlet files: `Secret=` names one that `podman secret create` has made (podman-run(1), --secret)."""

from __future__ import annotations

from functools import partial

from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING
from mydocker.specs.environment.podman_secrets import read_secret
from mydocker.specs.formats.quadlet.context import Context, resolve
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.nodes.unit_file import Setting

_OPTIONS = ("type", "target", "uid", "gid", "mode")


def secrets(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """A file below /run/secrets for each setting, or with type=env a variable."""
    for each in settings:
        name, options = _parts(each, resolve(each, context), context)
        if not name:
            continue
        kind = options.pop("type", "mount")
        if kind not in ("mount", "env"):
            context.reader.refuse(each.value, f"type={kind}: expected mount or env")
        elif context.only_check:
            yield from _checked(each, name, context)
        elif kind == "mount":
            yield "secrets", data_at(each.value, {"source": name, "podman": name, **options})
        elif {*options} - {"target"}:
            context.reader.refuse(each.value, f"{next(key for key in options if key != 'target')} is for type=mount")
        else:
            value = context.reader.attempt(each.value, partial(read_secret, name, context.reader.scope.environ))
            yield "environment", text_at(each.value, f"{options.get('target', name)}={value or ''}")


def _checked(setting: Setting, name: str, context: Context) -> Iterator[Entry]:
    """Warn of a secret that this machine lacks."""
    from mydocker.errors import UsageError

    try:
        read_secret(name, context.reader.scope.environ)
    except UsageError as error:
        context.warn(setting.value, error.message)
    yield from ()


def _parts(setting: Setting, text: str, context: Context) -> tuple[str, dict[str, str]]:
    """`[source=]NAME[,OPTION=VALUE…]`: the name, and the options."""
    name, *words = text.split(",")
    options = {key: value for key, _, value in (word.partition("=") for word in words)}
    if name.partition("=")[0] in (*_OPTIONS, "source"):
        options |= {name.partition("=")[0]: name.partition("=")[2]}
        name = options.pop("source", "")
    for key in options:
        if key not in _OPTIONS:
            hint = did_you_mean(key, _OPTIONS)
            context.reader.refuse(setting.value, f"option {key!r} of a secret is not supported{hint}")
            return "", {}
    if not name:
        context.reader.refuse(setting.value, f"{text!r}: expected the name of a secret")
    return name, options
