"""`mydocker lock PATH...`: write down which images spec files mean now, for --frozen."""

from __future__ import annotations

import os

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common import say, warn
from mydocker.cli.common.parser import Parser
from mydocker.errors import MydockerError
from mydocker.image.lock_file import NAME, LockFile, needs_lock, read, text_of, write
from mydocker.image.open_source import open_source
from mydocker.image.platforms import digests_of
from mydocker.image.registry.short_names import resolved
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.load import load_files
from mydocker.testing.cases.collect import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.reference import Digest, Reference


def lock_command(argv: list[str]) -> int:
    """Write down the digests that the registries have for the images of the files that ARGV names; 0.

    With --check, write nothing; 1 if the lock file is out of date.
    """
    options = parser().parse_args(argv)
    references = sorted(_references(options.paths, options.image), key=str)
    if options.check:
        return _check(options.lock_file, references)
    lock = LockFile(images={str(reference): _digests(reference) for reference in references})
    if options.lock_file == "-":
        print(text_of(lock), end="")
        return 0
    write(options.lock_file, lock)
    print(f"{options.lock_file}: {len(references)} image{'s' * (len(references) != 1)}")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "lock",
        text="The file has a digest for each image and platform. run, up, test and pull take these with --frozen.",
        exits=(("0", "written, or up to date"), ("1", "--check: the file is out of date"), ("2", "wrong usage")),
        examples=(
            ("mydocker lock tests", "write mydocker.lock"),
            ("mydocker test --frozen tests", "test with these images"),
            ("mydocker lock --check tests", "check in CI that the file is up to date"),
        ),
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a spec file, or a folder with *.smoke.yaml files")
    parser.add_argument("--lock-file", metavar="FILE", default=NAME, help=f"the file, - for stdout (default: {NAME})")
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the lock file is out of date")
    return parser


def _references(paths: list[str], image: str | None) -> set[Reference]:
    specs = load_files(list(files_of(paths)), environ=os.environ, image=image, warn=say)
    images = [spec.container.image for spec in specs if not spec.build]
    named = {image for image in images if image and needs_lock(image)}
    return {resolved(reference, environ=os.environ) for reference in named}


def _digests(reference: Reference) -> dict[str, Digest]:
    with open_source(reference, environ=os.environ, warn=lambda words: warn(f"warning: {words}")) as source:
        return digests_of(reference, source)


def _check(path: str, references: list[Reference]) -> int:
    differences = list(_differences(read(path), references))
    for difference in differences:
        say(f"{path}: {difference}")
    return NEGATIVE if differences else 0


def _differences(lock: LockFile, references: list[Reference]) -> Iterator[str]:
    """A line for each image that the lock file lacks, or has and should not, or that means something else by now."""
    names = {str(reference) for reference in references}
    for name in sorted(lock.images.keys() - names):
        yield f"{name}: no file has it any more"
    for reference in references:
        locked = lock.images.get(str(reference))
        if locked is None:
            yield f"{reference}: is not in it"
            continue
        try:
            now = _digests(reference)
        except MydockerError as error:
            yield f"{reference}: {error.message}"
            continue
        if now != locked:
            changed = sorted(name for name in now.keys() | locked.keys() if now.get(name) != locked.get(name))
            yield f"{reference}: is another image by now, for {', '.join(changed)}"
