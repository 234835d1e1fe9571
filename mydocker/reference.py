"""The names of images: Reference, Digest and Platform, strings that become types at the door.

Grammar: distribution/reference (the grammar `docker pull` accepts), OCI image-spec "Digests" and
"Image Index", OCI distribution-spec "Pulling manifests". No regular expressions: `re` costs more
start-up time than parsing without it.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import Record

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
LOCAL = "localhost"  # where the names of images from files are; never a registry
FILE_SYSTEMS = ("squashfs", "erofs")  # transports of images that are run where they are, and never unpacked
TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir", *FILE_SYSTEMS)
_DIRECTORIES = ("oci", "dir")
NAME_LIMIT = 255
TAG_LIMIT = 128

_STORES = {"docker-daemon": "docker", "containers-storage": "podman"}  # of others (containers-transports(5))
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset("0123456789abcdef")


class Digest(Record):
    """A sha256 digest of a blob as stored. `str(digest)` is `sha256:<hex>`; `hex` is safe in a path."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Accepts `sha256:` and 64 lower-case hex digits, nothing else: a digest becomes a path and a URL."""
        algorithm, _, value = text.partition(":")
        if algorithm != "sha256":
            raise UsageError(f"digest {text!r}: only sha256 is supported")
        if len(value) != 64 or not _HEX.issuperset(value):
            raise UsageError(f"digest {text!r}: expected 64 lower-case hexadecimal digits after sha256:")
        return cls(hex=value)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


class Platform(Record):
    """An OCI platform. `os` and `architecture` are Go's names (linux, amd64, arm64); variant e.g. `v7`, or empty."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str, *, of_any_system: bool = False) -> Platform:
        """`linux/arm64`, `linux/arm/v7`, or an architecture alone, under its Go or its kernel name, in any case.
        `linux` alone is this machine's. What means the same is the same afterwards (containerd/platforms, Normalize).
        Another system than Linux is refused, unless OF_ANY_SYSTEM: no container can be started for it."""
        parts = text.lower().replace("x86-64", "x86_64").split("/")
        if not all(part.strip("._") and _ALNUM.issuperset(part.replace("_", "").replace(".", "")) for part in parts):
            raise UsageError(f"platform {text!r}: expected OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64")
        if parts == ["linux"]:
            return cls.host()
        if len(parts) == 1:
            parts.insert(0, "linux")
        if len(parts) > 3 or (parts[0] != "linux" and not of_any_system):
            raise UsageError(f"platform {text!r}: expected linux/ARCH or linux/ARCH/VARIANT")
        return cls.normal(parts[0], parts[1], "".join(parts[2:]))

    @classmethod
    def normal(cls, system: str, architecture: str, variant: str) -> Platform:
        """The platform that an image, or a user, calls so: images have kernels' names and others, too."""
        name, _, implied = _ARCHITECTURES.get(architecture.lower(), architecture.lower()).partition("/")
        variant = implied or variant.lower() or _IMPLIED.get(name, "")
        variant = f"v{variant}" if variant[:1].isdecimal() else variant
        if name == "arm64":
            variant = variant.removesuffix(".0")
        unsaid = name == "386" or variant == _USUAL.get(name)
        return cls(os=system.lower(), architecture=name, variant="" if unsaid else variant)

    @classmethod
    def host(cls) -> Platform:
        """The platform of this machine."""
        return cls.normal("linux", os.uname().machine, "")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
}
_IMPLIED = {"arm": "v7"}
_USUAL = {"amd64": "v1", "arm64": "v8"}  # variants that are not written out


class Location(Record):
    """Files that have an image (containers-transports(5)): `transport`, `path`, and which image of several."""

    transport: str
    path: str
    selector: str = ""

    @property
    def is_file_system(self) -> bool:
        """Whether the image is run where it is: nothing of it goes into the store."""
        return self.transport in FILE_SYSTEMS


class Reference(Record):
    """An image's name, complete: registry `host[:port]`, repository, and a tag, a digest, or both.

    `digest` decides when present. With a `location` the image is there, in no registry. `str(reference)` is the full
    form; `familiar` is as Docker prints it. `short_name` is what was written without a registry, less tag and digest:
    an alias may replace it. `written` is all of it, if it was. Names that mean the same are equal, however they were
    written.
    """

    registry: str
    repository: str
    tag: str | None
    digest: Digest | None = None
    location: Location | None = None
    short_name: str = ""
    written: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._meaning == other._meaning

    def __hash__(self) -> int:
        return hash(self._meaning)

    @property
    def _meaning(self) -> tuple[object, ...]:
        return self.registry, self.repository, self.tag, self.digest, self.location

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Accepts what `docker run` accepts: `alpine`, `alpine:3.20`, `user/app`, `host:5000/app@sha256:…`; and
        containers-transports(5): `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
        `docker-archive:FILE[:NAME]`, `dir:DIR`; `@N` in place of TAG or NAME is image number N. And what `mydocker
        save` writes: `squashfs:FILE`, `erofs:FILE`.
        """
        transport, colon, rest = text.partition(":")
        if colon and transport in TRANSPORTS:
            return cls._located(transport, rest)
        if colon and transport in _STORES:
            hint = f"'{_STORES[transport]} save NAME | mydocker load' brings its images here"
            raise UsageError(f"invalid image reference {text!r}: {transport}: is not supported", hint=hint)
        has_scheme = text.startswith("docker://")
        text = text.removeprefix("docker://")
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        head, slash, tail = name.rpartition("/")
        last, colon, tag = tail.partition(":")
        if colon and not is_tag(tag):
            raise _bad(text, f"{tag!r} is not a tag (letters, digits, _ . -, at most {TAG_LIMIT})")
        written = head + slash + last
        registry, repository = _split_registry(written)
        if len(name) > NAME_LIMIT + TAG_LIMIT or len(repository) > NAME_LIMIT:
            raise _bad(text, f"a repository name has at most {NAME_LIMIT} characters")
        if not _is_host(registry):
            raise _bad(text, f"{registry!r} is not a registry's host")
        for part in repository.split("/"):
            if not _is_component(part):
                raise _bad(text, _component_fault(part))
        return cls(
            registry=registry,
            repository=repository,
            tag=tag if colon else None if digest else DEFAULT_TAG,
            digest=digest,
            short_name="" if has_scheme or _has_registry(written) else written,
            written=text,
        )

    @classmethod
    def _located(cls, transport: str, rest: str) -> Reference:
        """Its name in the store is `localhost/` and that of the file, as for Podman, which never is a registry's."""
        has_one_image = transport == "dir" or transport in FILE_SYSTEMS
        path, _, selector = (rest, "", "") if has_one_image else rest.partition(":")
        if not path or "\0" in path:
            raise UsageError(f"invalid image reference {transport + ':' + rest!r}: expected {transport}:PATH")
        letters = [letter if letter in _LOWER else "-" for letter in os.path.basename(path.rstrip("/")).lower()]
        repository = "".join(letters).strip("-")[:NAME_LIMIT].strip("-") or "image"
        location = Location(transport=transport, path=path, selector=selector)
        tag = selector if is_tag(selector) else DEFAULT_TAG
        return cls(registry=LOCAL, repository=repository, tag=tag, location=location)

    @property
    def is_file_system(self) -> bool:
        """Whether the image is a file that is mounted."""
        return self.location is not None and self.location.is_file_system

    @property
    def familiar(self) -> str:
        """The short form: `alpine:latest` for `docker.io/library/alpine:latest`."""
        name = f"{self.registry}/{self.repository}"
        if self.registry == DOCKER_HUB:
            name = self.repository.removeprefix("library/")
        return name + self._suffix

    @property
    def short(self) -> str:
        """The full form, but a short name stays one, for another process of mydocker: an alias may replace it there."""
        return f"{self.short_name}{self._suffix}" if self.short_name else str(self)

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._suffix}"


def _split_registry(name: str) -> tuple[str, str]:
    """The first component is a registry if it has a dot, a colon or an upper-case letter, or is `localhost`."""
    first, _, rest = name.partition("/")
    if not _has_registry(name):
        first, rest = DOCKER_HUB, name
    if first in ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"):
        first = DOCKER_HUB
    if first == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def _has_registry(name: str) -> bool:
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == LOCAL or first != first.lower())


def is_tag(text: str) -> bool:
    """Whether a name may have TEXT for a tag."""
    return 0 < len(text) <= TAG_LIMIT and text[0] not in ".-" and (_ALNUM | set("_.-")).issuperset(text)


def looks_like_id(name: Reference) -> bool:
    """Whether NAME, as it is shown, would be taken for the ID of an image."""
    return name.registry == DOCKER_HUB and name.repository == "library/sha256"


def _is_host(text: str) -> bool:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    host = host if colon else text
    if colon and not (port.isascii() and port.isdigit() and int(port[:6]) < 65536):
        return False
    if host.startswith("["):
        return host.endswith("]") and len(host) > 2 and (_HEX | set("ABCDEF:")).issuperset(host[1:-1])
    labels = host.split(".")
    return all(x and x[0] != "-" and x[-1] != "-" and (_ALNUM | {"-"}).issuperset(x) for x in labels)


def _is_component(part: str) -> bool:
    """[a-z0-9]+ joined by one `.`, one or two `_`, or any number of `-`."""
    if not part or part[0] not in _LOWER or part[-1] not in _LOWER:
        return False
    separator = ""
    for letter in part:
        if letter in _LOWER:
            if separator and separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
        elif letter in "._-":
            separator += letter
        else:
            return False
    return True


def _component_fault(part: str) -> str:
    if not part:
        return "a part of the name is empty"
    if part != part.lower():
        return f"{part!r}: a repository name is lower-case"
    return f"{part!r} is not part of a repository name (a-z, 0-9, and . _ - between them)"


def _bad(text: str, why: str) -> UsageError:
    hint = None
    if text.startswith(("/", "./", "../", "~")):
        names = [f"{each}:{'DIR' if each in _DIRECTORIES else 'FILE'}" for each in TRANSPORTS]
        hint = f"an image in files is {', '.join(names[:-1])} or {names[-1]}"
    elif text.startswith(("http://", "https://")):
        hint = "leave out '" + text[: text.index("//") + 2] + "': a name begins with the registry's host"
    return UsageError(f"invalid image reference {text!r}: {why}", hint=hint)
