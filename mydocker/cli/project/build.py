"""What is about building images in the commands on projects: the options of `up`, and `mydocker compose build`."""

from __future__ import annotations

import os

from mydocker.cli.commands.run import progress
from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.options import add_project, load_cases
from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch import open_store
from mydocker.services.project.plan import chosen, is_project, project_of
from mydocker.specs.load.build import joined
from mydocker.specs.load.profiles import select
from mydocker.specs.values import Scope, variable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.cli.project.options import LoadedCases
    from mydocker.specs.model.case import CaseSpec

POLICIES = ("missing", "always", "never", "build")


def add_build(parser: Parser) -> None:
    """The options of a command that starts containers whose images may have to be built."""
    parser.add_argument("--build", action="store_true", help="build images before containers start")
    parser.add_argument("--no-build", action="store_true", help="build no image, even if it is missing")
    parser.add_argument("--pull", choices=POLICIES, help="when to pull images, in place of what the files say")
    add_builder(parser)


def add_making(parser: Parser) -> None:
    """The options of a command that only builds."""
    parser.add_argument("--no-cache", action="store_true", help="use no layers of earlier builds")
    parser.add_argument("--pull", action="store_true", help="pull base images even if they are present")
    add_builder(parser)


def add_builder(parser: Parser) -> None:
    parser.add_argument(
        "--builder", default="", metavar="NAME", help="the program that builds images: buildah, podman or docker"
    )


def with_policy(cases: Sequence[CaseSpec], policy: str | None) -> tuple[CaseSpec, ...]:
    """CASES with the pull policy of a command line, if it has one. What is not built cannot have `build`."""
    if policy is None:
        return tuple(cases)
    return tuple(
        case.replace(container=case.container.replace(pull_policy=policy))
        if case.container.image and (case.build or policy != "build")
        else case
        for case in cases
    )


def with_images(options: argparse.Namespace, every: Sequence[CaseSpec], cases: Sequence[CaseSpec]) -> list[CaseSpec]:
    """CASES, with the images that are built in the store. EVERY: all cases of the files. With --dry-run, those whose
    image is still to be built are left out, and named."""
    if not any(case.build for case in cases):
        return [*cases]
    if options.build and options.no_build:
        raise UsageError("--build and --no-build exclude each other")
    from mydocker.services.project.images import ImageMaker, ImageOptions

    wanted = ImageOptions(
        always=options.build, never=options.no_build, builder=options.builder, offline=options.offline
    )
    maker = ImageMaker(every, wanted, store=open_store(os.environ), environ=os.environ, say=say, progress=progress())
    if not options.dry_run:
        return maker.with_images(cases)
    missing = [case for case in cases if maker.lacks(case)]
    for case in missing:
        assert case.build and case.container.image
        say(f"{case.name}: {case.container.image.familiar} would be built from {case.build.context}")
    return [case for case in cases if case not in missing]


def with_missing_images(
    cases: Sequence[CaseSpec], every: Sequence[CaseSpec], *, offline: bool = False, always: bool = False
) -> list[CaseSpec]:
    """CASES, with the images that are built in the store; ALWAYS: built anew. EVERY: all cases of the files."""
    if not any(case.build for case in cases):
        return [*cases]
    from mydocker.services.project.images import ImageMaker, ImageOptions

    wanted, store = ImageOptions(offline=offline, always=always), open_store(os.environ)
    return ImageMaker(every, wanted, store=store, environ=os.environ, say=say, progress=progress()).with_images(cases)


def build_services(argv: list[str]) -> int:
    """`mydocker compose build [SERVICE...]`: build the images of services; 0."""
    from mydocker.services.project.images import ImageMaker, ImageOptions

    options = parser().parse_args(argv)
    loaded = load_cases(options, options.services, defers=True)
    cases = [case for case in _chosen(options, loaded) if case.build]
    args = joined(options.build_arg, variable, Scope(directory="", environ=os.environ))
    wanted = ImageOptions(
        builder=options.builder, every_platform=True, no_cache=options.no_cache, pull=options.pull, args=args
    )
    show = _silent if options.quiet else say
    maker = ImageMaker(loaded.cases, wanted, store=open_store(os.environ), environ=os.environ, say=show)
    if not cases:
        say("no service has build")
    for case in cases:
        maker.build(case)
    return 0


def _silent(text: str) -> None:
    return None


def _chosen(options: argparse.Namespace, loaded: LoadedCases) -> list[CaseSpec]:
    if not is_project(loaded.cases):
        return select(loaded.cases, loaded.active)
    project = project_of(loaded.cases, active=loaded.active)
    return chosen(project, loaded.names, with_dependencies=options.with_dependencies)


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "compose build",
        summary="Build the images of the services of a Compose file",
        usage="[OPTIONS] [SERVICE...]",
        examples=(
            ("mydocker compose build", "build the images of all services that have build"),
            ("mydocker compose build --no-cache web", "build one without the cache"),
        ),
    )
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="a service; by default, all")
    add_project(parser)
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="value of an ARG, over those of the file"
    )
    parser.add_argument("--with-dependencies", action="store_true", help="build what the services depend on, too")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    add_making(parser)
    return parser
