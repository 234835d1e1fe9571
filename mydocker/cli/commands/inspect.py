"""`mydocker inspect NAME...`: containers and images, as JSON with the keys of `docker inspect`."""

from __future__ import annotations

import json
import os

from mydocker.cli.common import complain
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show_json
from mydocker.errors import ImageNotFoundError, LaunchError
from mydocker.image.files import file_system
from mydocker.image.model import ImageConfig
from mydocker.image.model.digest import digest_of
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.record import TYPE_CHECKING
from mydocker.reference import FILE_SYSTEMS, Digest, Location, Platform, Reference
from mydocker.services.containers import Container, described
from mydocker.services.containers.find import as_container, find
from mydocker.services.listing.stored import Foreground

if TYPE_CHECKING:
    from typing import Any

_PREFIXES = tuple(f"{each}:" for each in FILE_SYSTEMS)


def inspect_command(argv: list[str]) -> int:
    """Print an array with an object for each container or image that ARGV names; 0, or 1 if one is missing."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    found: list[dict[str, Any]] = []
    missing: list[ImageNotFoundError] = []
    for name in options.names:
        try:
            found += _documents(store, name, type=options.type, platform=platform, known=known)
        except ImageNotFoundError as error:
            missing.append(error)
    if options.format is None:
        for document in found:
            if "State" in document and document["State"]["Health"] is None:
                del document["State"]["Health"]  # which templates may ask for: it is a pointer in Go
        show_json(found)
    else:
        from mydocker.cli.output.go_template import render_all
        from mydocker.cli.output.go_types import typed

        print(render_all(options.format, [typed(document) for document in found]), end="")
    for each in missing:
        complain(each)
    return 1 if missing else 0


def _documents(
    store: Store, name: str, *, type: str | None, platform: Platform | None, known: catalog.Known
) -> list[dict[str, Any]]:
    """Those of what is called NAME. Raises ImageNotFoundError."""
    location = Reference.parse(name).location if name.startswith(_PREFIXES) else None
    if location and type != "container":
        return [_in_file(location)]
    container = _container(store, name) if type != "image" and not platform else None
    if container:
        return [described.document(container, _image(store, container), volumes=f"{store.root}/volumes")]
    if type == "container":
        raise ImageNotFoundError(f"no such container: {name}", hint="see 'mydocker ps -a'")
    try:
        images = catalog.find(store, name, environ=os.environ, platform=platform, known=known)
    except ImageNotFoundError:
        if type or platform:
            raise
        hint = "see 'mydocker ps -a' and 'mydocker images'"
        raise ImageNotFoundError(f"no such container or image: {name}", hint=hint) from None
    return [_described(store, image) for image in images]


def _container(store: Store, name: str) -> Container | None:
    try:
        container = find(store, name)
    except LaunchError:
        return None
    return as_container(container) if isinstance(container, Foreground) else container


def _image(store: Store, container: Container) -> ImageConfig | None:
    """What the image of CONTAINER says, if it is in the store."""
    config = container.config
    if not config.spec.image or not config.image_digest:
        return None
    image = catalog.of_manifest(store, config.spec.image, Digest.parse(config.image_digest))
    return image.config if image else None


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "inspect",
        text="The keys are those of 'docker inspect'.",
        exits=(("0", "printed"), ("1", "there is no such container or image")),
        examples=(
            ("mydocker inspect alpine | jq '.[].Config.Env'", "print the environment of an image"),
            ("mydocker inspect -f '{{.State.Status}}' web", "print the state of a container"),
        ),
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a name, the beginning of an ID, or squashfs:FILE")
    parser.add_argument("--type", choices=("container", "image"), help="only one of these")
    parser.add_argument("-f", "--format", metavar="FORMAT", help="a template of Go's, filled in for each")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    return parser


def _in_file(location: Location) -> dict[str, Any]:
    """The image in the file at LOCATION, a file system."""
    found = file_system.read(location)
    return {
        "Id": str(digest_of(found.config)),
        "Digest": str(found.manifest),
        "RepoTags": [Reference.parse(found.name).familiar] if found.name else [],
        "RepoDigests": [],
        **_of_config(json.loads(found.config), found.parsed.platform, found.diff_ids),
        "Size": found.file.size,
        "LayerDirs": [],
        "Pulled": "",
    }


def _of_config(config: dict[str, Any], platform: Platform, diff_ids: tuple[Digest, ...]) -> dict[str, Any]:
    return {
        "Created": config.get("created") or "",
        "Author": config.get("author") or "",
        "Os": platform.os,
        "Architecture": platform.architecture,
        "Variant": platform.variant,
        "Config": config.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(each) for each in diff_ids]},
        "History": config.get("history") or [],
    }


def _described(store: Store, image: NamedImage) -> dict[str, Any]:
    found = catalog.documents(store, image)
    return {
        "Id": str(image.ref.config),
        "Digest": str(image.ref.manifest),
        "RepoTags": [tag.familiar for tag in image.tags],
        "RepoDigests": [name.familiar for name in image.digests],
        **_of_config(json.loads(found.config), image.platform, found.diff_ids),
        "Size": sum(found.sizes),
        "LayerDirs": [store.layer_path(each) for each in found.diff_ids],
        "Pulled": image.ref.when,
    }
