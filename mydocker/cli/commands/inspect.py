"""`mydocker inspect IMAGE...`: images, as JSON with the keys of `docker image inspect`."""

from __future__ import annotations

import json
import os
from typing import Any

from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import show_json
from mydocker.image.store import Store, catalog
from mydocker.image.store.catalog import NamedImage
from mydocker.reference import Platform


def inspect_command(argv: list[str]) -> int:
    """Print an array with an object for each image that ARGV names; 0."""
    options = parser().parse_args(argv)
    platform = Platform.parse(options.platform) if options.platform else None
    store = Store.open(os.environ)
    known = catalog.Known(store)
    found = [
        image
        for name in options.images
        for image in catalog.find(store, name, environ=os.environ, platform=platform, known=known)
    ]
    show_json([_described(store, image) for image in found])
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "inspect",
        text="The keys are those of 'docker image inspect'.",
        exits=(("0", "printed"), ("1", "an image does not exist")),
        examples=(("mydocker inspect alpine | jq '.[].Config.Env'", "print the environment of an image"),),
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name, or the beginning of an ID")
    parser.add_argument("--platform", metavar="OS/ARCH", help="such as linux/arm64 (default: this machine's)")
    return parser


def _described(store: Store, image: NamedImage) -> dict[str, Any]:
    found = catalog.documents(store, image)
    config = json.loads(found.config)
    return {
        "Id": str(image.ref.config),
        "Digest": str(image.ref.manifest),
        "RepoTags": [tag.familiar for tag in image.tags],
        "RepoDigests": [name.familiar for name in image.digests],
        "Created": config.get("created") or "",
        "Author": config.get("author") or "",
        "Os": image.platform.os,
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Size": sum(found.sizes),
        "Config": config.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(each) for each in found.diff_ids]},
        "LayerDirs": [store.layer_path(each) for each in found.diff_ids],
        "History": config.get("history") or [],
        "Pulled": image.ref.when,
    }
