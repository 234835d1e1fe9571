"""An image made of another one and a layer over it, as a source to be pulled from: the layers below are in the store
already, and are listed as the image below lists them.

OCI image-spec config.md: what a commit adds is a diff ID and an entry of the history.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any, Self

from mydocker.errors import ImageError, UsageError
from mydocker.image.files.blobs import Blob
from mydocker.image.model import json_input
from mydocker.image.model.digest import digest_of
from mydocker.image.model.manifest import Descriptor, members
from mydocker.image.store import Store, read
from mydocker.record import Record
from mydocker.reference import Digest

_CHUNK = 1 << 20
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class Remarks(Record):
    """What the author of an image says of it. `changes` are functions that change the `config` of an image."""

    author: str = ""
    message: str = ""
    created_by: str = ""
    changes: tuple[Callable[[dict[str, Any]], None], ...] = ()


class Committed:
    """The image with manifest BASE in STORE, and over it the layer whose tar is in file LAYER, a descriptor."""

    def __init__(self, store: Store, base: Digest, layer: int, remarks: Remarks) -> None:
        below = _mapping(read(store.blob_path(base)), "manifest")
        self.layer, self.digest = layer, _digest(layer)
        config = _mapping(read(store.blob_path(Digest.parse(below["config"]["digest"]))), "image config")
        self.config = json.dumps(_config(config, self.digest, remarks)).encode()
        descriptor = Descriptor(media_type=_LAYER, digest=self.digest, size=os.fstat(layer).st_size)
        media = below["config"].get("mediaType") or _CONFIG
        described = Descriptor(media_type=media, digest=digest_of(self.config), size=len(self.config))
        layers = [*below["layers"], members(descriptor)]
        self.config_digest = described.digest
        self.raw = json.dumps({**below, "config": members(described), "layers": layers}).encode()

    def manifest(self, identifier: str) -> tuple[bytes, str | None]:
        return self.raw, None

    def open_blob(self, descriptor: Descriptor, *, offset: int = 0) -> Blob:
        if descriptor.digest == self.digest:
            return Blob(self.layer, start=0, size=descriptor.size, offset=offset)
        if descriptor.digest != digest_of(self.config):
            hint = "pull the image of the container again"
            raise ImageError(f"layer {descriptor.digest} of the container's image is no longer in the store", hint=hint)
        file = os.memfd_create("config", os.MFD_CLOEXEC)
        try:
            os.write(file, self.config)
            return Blob(file, start=0, size=len(self.config), offset=offset)
        finally:
            os.close(file)

    def close(self) -> None:
        """The layer stays its giver's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mapping(raw: bytes, what: str) -> dict[str, Any]:
    return dict(json_input.mapping(json_input.loads(raw, what), what))


def _digest(file: int) -> Digest:
    total, position = hashlib.sha256(), 0
    while data := os.pread(file, _CHUNK, position):
        total.update(data)
        position += len(data)
    return Digest(hex=total.hexdigest())


def _config(below: dict[str, Any], layer: Digest, remarks: Remarks) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    config = dict(below.get("config") or {})
    for change in remarks.changes:
        change(config)
    entry = {"created": now, "created_by": remarks.created_by, "author": remarks.author, "comment": remarks.message}
    return {
        **below,
        "created": now,
        **({"author": remarks.author} if remarks.author else {}),
        "config": config,
        "rootfs": {**below["rootfs"], "diff_ids": [*below["rootfs"]["diff_ids"], str(layer)]},
        "history": [*(below.get("history") or []), {key: value for key, value in entry.items() if value}],
    }


def parse_change(text: str) -> Callable[[dict[str, Any]], None]:
    """An instruction of a Dockerfile, as `docker commit --change` takes some. Raises UsageError."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if word.upper() not in _CHANGES or not rest:
        known = ", ".join(_CHANGES)
        raise UsageError(f"--change {text!r}: expected an instruction and its value", hint=f"those that are: {known}")
    return _CHANGES[word.upper()](rest)


def _command(key: str) -> Callable[[str], Callable[[dict[str, Any]], None]]:
    """The form with brackets, or a line for the shell."""

    def read_command(text: str) -> Callable[[dict[str, Any]], None]:
        argv = ["/bin/sh", "-c", text]
        if text.startswith("["):
            try:
                argv = json.loads(text)
            except ValueError:
                raise UsageError(f'--change {text!r}: expected a list such as ["sh", "-c"]') from None
            if not isinstance(argv, list) or not all(isinstance(each, str) for each in argv):
                raise UsageError(f"--change {text!r}: expected a list of texts")
        return lambda config: config.update({key: argv})

    return read_command


def _text(key: str) -> Callable[[str], Callable[[dict[str, Any]], None]]:
    return lambda text: lambda config: config.update({key: text})


def _env(text: str) -> Callable[[dict[str, Any]], None]:
    pairs = _pairs(text)

    def change(config: dict[str, Any]) -> None:
        kept = [each for each in config.get("Env") or [] if each.partition("=")[0] not in pairs]
        config["Env"] = [*kept, *(f"{name}={value}" for name, value in pairs.items())]

    return change


def _labels(text: str) -> Callable[[dict[str, Any]], None]:
    pairs = _pairs(text)
    return lambda config: config.update({"Labels": {**(config.get("Labels") or {}), **pairs}})


def _set(key: str) -> Callable[[str], Callable[[dict[str, Any]], None]]:
    """Words that are the keys of an object, as ExposedPorts and Volumes are."""

    def read_set(text: str) -> Callable[[dict[str, Any]], None]:
        words = [word if key != "ExposedPorts" or "/" in word else f"{word}/tcp" for word in text.split()]
        return lambda config: config.update({key: {**(config.get(key) or {}), **{word: {} for word in words}}})

    return read_set


def _pairs(text: str) -> dict[str, str]:
    """NAME=VALUE…, with the quotes of a shell, or NAME VALUE."""
    import shlex

    name, blank, value = text.partition(" ")
    if blank and "=" not in name:
        return {name: value.strip()}
    try:
        words = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise UsageError(f"--change {text!r}: {error}") from None
    if not all(name and equals for name, equals, _ in words):
        raise UsageError(f"--change {text!r}: expected NAME=VALUE")
    return {name: value for name, _, value in words}


_CHANGES: dict[str, Callable[[str], Callable[[dict[str, Any]], None]]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _set("ExposedPorts"),
    "LABEL": _labels,
    "STOPSIGNAL": _text("StopSignal"),
    "USER": _text("User"),
    "VOLUME": _set("Volumes"),
    "WORKDIR": _text("WorkingDir"),
}
