"""Quadlet's `.container` files (podman-systemd.unit(5), "Container units [Container]"), as a document of a spec file,
to run without systemd and Podman.

Every setting has an equivalent key, or has no effect here, or is refused where it is written. The tables list which;
values.py translates those that are more than a plain word.
"""

from __future__ import annotations

from mydocker.nearest import nearest
from mydocker.record import TYPE_CHECKING
from mydocker.specs.fields import FIELDS, Field
from mydocker.specs.formats.quadlet.context import Context, boolean, resolve, resolve_words, unless_ignored
from mydocker.specs.formats.quadlet.entries import joined
from mydocker.specs.formats.quadlet.service import restarts, time_limit
from mydocker.specs.formats.quadlet.systemd import dependencies
from mydocker.specs.formats.quadlet.values import SPECIAL
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import Mapping, text_at
from mydocker.specs.nodes.reader import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entries, Entry
    from mydocker.specs.nodes.unit_file import Setting

_ROWS = {row.quadlet: row for row in FIELDS if row.quadlet}
SPLIT = ("AddCapability", "DropCapability", "Environment", "Label", "Sysctl")  # several in one setting
# for other programs than the container's: systemd's start-up messages and reloading, Podman's logs, pulls and hooks
_IDLE_WORDS = """
    Annotation HealthLogDestination HealthMaxLogCount HealthMaxLogSize Notify ReloadCmd ReloadSignal Retry
    RetryDelay SecurityLabelFileType ServiceName StartWithPod
"""
_IDLE = frozenset(_IDLE_WORDS.split())
_OFF = ("SecurityLabelNested",)  # accepted when they are switched off
_NO_EQUAL_WORDS = """
    ContainersConfModule GlobalArgs HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout
"""
_NO_EQUAL = frozenset(_NO_EQUAL_WORDS.split())
CONTAINER = frozenset((*_ROWS, *_IDLE, *_OFF, *SPECIAL, *_NO_EQUAL))


def document(context: Context, entries: Entries) -> Mapping:
    """The document of the container of CONTEXT; ENTRIES are those of the sections for systemd."""
    top = context.top
    found: Entries = [(None, ("name", text_at(top, context.unit.name)))]
    found += dependencies(context)
    found += entries
    if context.settings.get("ReloadCmd") and context.settings.get("ReloadSignal"):
        context.reader.refuse(context.settings["ReloadSignal"][-1].key, "ReloadCmd and ReloadSignal exclude each other")
    for key in sorted(
        context.settings, key=lambda key: key == "PodmanArgs"
    ):  # Podman puts these flags after all others
        settings = context.settings[key]
        if settings and not key.startswith("X-"):
            entries_of_key = unless_ignored(key, _container(key, settings, context), context)
            found += [(settings[-1], entry) for entry in entries_of_key]
    found += time_limit(context)
    found += restarts(context)
    return joined(found, top)


def _container(key: str, settings: list[Setting], context: Context) -> Iterator[Entry]:
    last = settings[-1]
    if key in SPECIAL:
        yield from SPECIAL[key](settings, context)
    elif key in _ROWS:
        yield from _of_row(_ROWS[key], settings, context)
    elif key not in _IDLE and not (key in _OFF and not boolean(last, context)):
        yield from _refuse(key, last, context)


def _of_row(row: Field, settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The entries of a field whose value is one word: all settings, or the last one if it can be set only once."""
    for each in settings if row.repeatable else settings[-1:]:
        if not row.metavar:
            yield row.key, data_at(each.value, boolean(each, context))
            continue
        words = resolve_words(each, context) if row.quadlet in SPLIT else [resolve(each, context)]
        yield from ((row.key, text_at(each.value, word)) for word in words if not _says_nothing(row, word, context))


def _says_nothing(row: Field, word: str, context: Context) -> bool:
    """Whether WORD is the name of a variable that the caller has not: the image's stays then (podman-run(1), --env)."""
    return row.key == "environment" and "=" not in word and word not in context.reader.scope.environ


def _refuse(key: str, setting: Setting, context: Context) -> Iterator[Entry]:
    """Refuse a KEY of [Container]; an image that was probably meant counts as set, so as not to be reported missing as
    well."""
    meant = None if key in CONTAINER else nearest(key, CONTAINER)
    context.reader.refuse(setting.key, f"{key} is not supported" if key in CONTAINER else unknown_key(key, meant))
    if meant in ("Image", "Rootfs") and not context.settings.get(meant):
        yield "image", text_at(setting.value, "unknown")
