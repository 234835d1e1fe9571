"""Images of Quadlet files: `Image=`, which may name a unit `NAME.image` or `NAME.build` in the same directory.

See podman-systemd.unit(5), "Image=", "Image units [Image]" and "Build units [Build]".
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet.context import (
    Context,
    boolean,
    described,
    refuse_keys,
    resolve,
    resolve_words,
)
from mydocker.specs.formats.quadlet.unit_files import BUILD, IMAGE, last
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.nodes.unit_file import Setting

_IDLE = ("Retry", "RetryDelay")
_IMAGE_READ = ("AllTags", "Arch", "Image", "ImageTag", "OS", "Policy", "TLSVerify", "Variant")
_IMAGE_REFUSED = ("AuthFile", "CertDir", "Creds", "DecryptionKey")
_BUILD_LISTS = {"BuildArg": "arguments", "Environment": "environment", "Label": "labels", "Annotation": "annotations"}
_BUILD_LISTS |= {"DNS": "dns", "DNSOption": "dns_options", "DNSSearch": "dns_search"}
_BUILD_PLAIN = {"AuthFile": "auth_file", "File": "file", "IgnoreFile": "ignore_file", "Target": "target"}
_BUILD_PLAIN |= {"Pull": "pull", "Network": "network"}
_BUILD_READ = (
    *(*_BUILD_LISTS, *_BUILD_PLAIN, "Arch", "GroupAdd", "ImageTag", "OS", "Secret", "SetWorkingDirectory"),
    *("Variant", "Volume"),
)
_BUILD_IDLE = (*_IDLE, "ForceRM", "TLSVerify")
# attributes of a BuildUnit that a Compose file has no word for
_NOT_OF_COMPOSE = (
    *("annotations", "auth_file", "dns", "dns_options", "dns_search", "environment", "groups", "ignore_file"),
    "volumes",
)
_POLICIES = ("always", "missing", "never", "newer", "ifnotpresent")


class ImageUnit(Record):
    """The image that a unit pulls: its name, its platform (`OS/ARCH[/VARIANT]`) and its policy, empty where unset."""

    name: str
    platform: str = ""
    policy: str = ""


class BuildUnit(Record):
    """What a unit builds. Paths are absolute, unless they are addresses; `tags` are the names of the image.

    Pairs are texts NAME=VALUE.
    """

    tags: tuple[str, ...]
    directory: str = ""  # the build context
    file: str = ""
    target: str = ""
    pull: str = ""
    network: str = ""
    platform: str = ""
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    auth_file: str = ""
    ignore_file: str = ""


def image(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The image of a container, and what its unit says about it."""
    setting = settings[-1]
    name = resolve(setting, context)
    if name.endswith(IMAGE):
        unit = described(setting, name, context, read_image) or ImageUnit(name="unknown")
        yield "image", text_at(setting.value, unit.name)
        if unit.platform and not context.settings.get("Platform"):
            yield "platform", text_at(setting.value, unit.platform)
        if unit.policy and not context.settings.get("Pull"):
            yield "pull_policy", text_at(setting.value, unit.policy)
    elif name.endswith(BUILD):
        yield from _built(setting, name, context)
    else:
        yield "image", text_at(setting.value, name)


def _built(setting: Setting, name: str, context: Context) -> Iterator[Entry]:
    """An image that a unit builds."""
    unit = described(setting, name, context, read_build) or BuildUnit(tags=("unknown",))
    yield "image", text_at(setting.value, unit.tags[0])
    for key in _NOT_OF_COMPOSE:
        if getattr(unit, key):
            context.lack(setting.value, f"{name}: {key.replace('_', ' ')} of a build: this is not supported")
    yield "build", data_at(setting.value, build_data(unit))


def build_data(unit: BuildUnit) -> dict[str, object]:
    """How UNIT is built, as the value of `build` in a Compose file (compose-spec, "Compose Build Specification")."""
    file = unit.file or next((each for each in _files_of(unit.directory) if os.path.exists(each)), "")
    secrets = [_secret_data(text, unit.directory) for text in unit.secrets]
    found: dict[str, object] = {
        "context": unit.directory,
        "dockerfile": file,
        "args": [*unit.arguments],
        "labels": [*unit.labels],
        "target": unit.target,
        "tags": [*unit.tags[1:]],
        "platforms": [unit.platform] if unit.platform else [],
        "network": unit.network,
        "secrets": secrets,
    }
    if unit.pull:
        found["pull"] = unit.pull in ("always", "newer", "true")
    return {key: value for key, value in found.items() if value not in ("", [])}


def _files_of(directory: str) -> list[str]:
    """What a builder of Podman's looks for, before it looks for a Dockerfile."""
    return [] if _is_address(directory) else [f"{directory}/Containerfile"]


def _secret_data(text: str, directory: str) -> dict[str, str]:
    """`id=ID,src=FILE` or `id=ID,env=NAME` (podman-build(1), --secret)."""
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    name = parts.get("id", text)
    if "env" in parts:
        return {"source": name, "environment": parts["env"]}
    return {"source": name, "file": _beneath(parts.get("src", name), directory)}


def read_image(context: Context) -> ImageUnit:
    """The image that the unit of CONTEXT pulls."""
    refuse_keys(context, accepted=(*_IMAGE_READ, *_IDLE), refused=_IMAGE_REFUSED)
    settings = context.settings
    if not last(settings, "Image"):
        context.reader.refuse(context.top, "no Image key specified in [Image]: expected Image=NAME")
        return ImageUnit(name="unknown")
    _refuse_untrusted(context)
    if settings.get("AllTags") and boolean(settings["AllTags"][-1], context):
        context.warn(settings["AllTags"][-1].key, "AllTags has no effect: a container has one image, which is pulled")
    policy = last(settings, "Policy")
    if policy and policy not in _POLICIES:
        context.reader.refuse(settings["Policy"][-1].value, f"{policy!r}: expected {', '.join(_POLICIES)}")
    policies = {"newer": "always", "ifnotpresent": "missing"}
    return ImageUnit(
        name=resolve(settings["Image"][-1], context),
        platform=_platform(context),
        policy=policies.get(policy, policy),
    )


def _refuse_untrusted(context: Context) -> None:
    tls = context.settings.get("TLSVerify")
    if tls and not boolean(tls[-1], context):
        why = "TLSVerify=false is not supported: set insecure for that registry in registries.conf"
        context.reader.refuse(tls[-1].key, why)


def _platform(context: Context) -> str:
    system, machine, variant = (last(context.settings, key) for key in ("OS", "Arch", "Variant"))
    if not machine:
        return ""
    return "/".join(filter(None, (system or "linux", machine, variant)))


def read_build(context: Context) -> BuildUnit:
    """What the unit of CONTEXT builds (podman-systemd.unit(5), "Build units [Build]")."""
    refuse_keys(context, accepted=(*_BUILD_READ, *_BUILD_IDLE))
    settings, refuse = context.settings, context.reader.refuse
    tags = tuple(resolve(each, context) for each in settings.get("ImageTag", ()))
    if not tags:
        refuse(context.top, "there is no ImageTag in [Build]: expected ImageTag=NAME")
    directory = _build_directory(context)
    if not last(settings, "File") and not directory:
        refuse(context.top, "neither SetWorkingDirectory nor File in [Build]: one of them is needed")
    lists: dict[str, Any] = {name: _words(key, context) for key, name in _BUILD_LISTS.items()}
    plain: dict[str, Any] = {
        name: resolve(settings[key][-1], context) for key, name in _BUILD_PLAIN.items() if settings.get(key)
    }
    file = plain.get("file", "")
    if file and not directory and not file.startswith("/") and not _is_address(file):
        refuse(settings["File"][-1].value, f"{file!r}: a relative path needs SetWorkingDirectory")
    if file and not _is_address(directory):
        plain["file"] = _beneath(file, directory or context.directory)
    if not directory and plain.get("file", "").startswith("/"):
        directory = os.path.dirname(plain["file"])
    if settings.get("TLSVerify"):
        boolean(settings["TLSVerify"][-1], context)
    return BuildUnit(
        **{**lists, **plain},
        tags=tags or ("unknown",),
        directory=directory,
        platform=_platform(context),
        secrets=tuple(resolve(each, context) for each in settings.get("Secret", ())),
        volumes=tuple(resolve(each, context) for each in settings.get("Volume", ())),
        groups=_words("GroupAdd", context),
    )


def _build_directory(context: Context) -> str:
    """The build context: `unit` is the directory of the unit, `file` that of the Containerfile, else a path or an
    address."""
    setting = context.settings.get("SetWorkingDirectory")
    text = resolve(setting[-1], context) if setting else ""
    if text.lower() == "unit":
        return context.directory
    if text.lower() == "file":
        file = last(context.settings, "File")
        if not file:
            context.reader.refuse(setting[-1].value if setting else context.top, "file: there is no File in [Build]")
        return os.path.dirname(_beneath(file, context.directory))
    return _beneath(text, context.directory) if text else ""


def _beneath(text: str, directory: str) -> str:
    """TEXT as an absolute path; an address stays one."""
    if _is_address(text):
        return text
    return os.path.normpath(os.path.join(directory, text))


def _is_address(text: str) -> bool:
    return "://" in text or text.startswith(("git@", "github.com/"))


def _words(key: str, context: Context) -> tuple[str, ...]:
    return tuple(word for each in context.settings.get(key, ()) for word in resolve_words(each, context))
