"""`mydocker config FILE...`: spec files of any form, in mydocker's normal form or another one."""

from __future__ import annotations

import os

from mydocker.cli.common.parser import Parser
from mydocker.cli.output.whole_file import write_output
from mydocker.cli.project import as_written, convert
from mydocker.cli.project.as_written import MODEL
from mydocker.cli.project.options import add_project, load_cases
from mydocker.errors import UsageError
from mydocker.paths import usable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.profiles import select
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.normal_form import normal_form

if TYPE_CHECKING:
    import argparse

    from mydocker.cli.project.options import LoadedCases

_OTHER_LISTS = ("hash", "variables", "environment")
_DIGESTS = ("resolve", "lock")
COMPOSE, QUADLET = FORMS = ("compose", "quadlet")


def config_command(argv: list[str]) -> int:
    """Print the containers that the files of ARGV describe, or what an option asks for; 0."""
    options = parser().parse_args(argv)
    _refuse(options)
    if text := _of_files_alone(options):
        _write(text, options)
        return 0
    is_list = any(getattr(options, kind) for kind in convert.LISTS)
    loaded = load_cases(options, options.files, image=options.image, defers=is_list)
    if options.quiet:
        return 0
    if options.directory is not None:
        units = convert.quadlet_units_of(convert.with_dependencies(loaded), loaded.active)
        convert.write_units(units, options.directory, force=options.force, written=print)
        return 0
    _write(_text(loaded, options), options)
    return 0


def _write(text: str, options: argparse.Namespace) -> None:
    if options.output:
        write_output(options.output, text)
    else:
        print(text, end="")


def _of_files_alone(options: argparse.Namespace) -> str:
    """What is printed of Compose files without what their services are; empty if something else is asked for."""
    if options.environment:
        return "".join(f"{line}\n" for line in as_written.environment_lines(options))
    if options.variables:
        return convert.variables_text(as_written.variable_rows(options), as_json=options.format == "json")
    return as_written.model_text(options) if as_written.wants_model(options) and not options.quiet else ""


def _refuse(options: argparse.Namespace) -> None:
    """Raise UsageError for options that exclude each other."""
    lists = [f"--{kind}" for kind in (*convert.LISTS, *_OTHER_LISTS) if getattr(options, kind)]
    is_json = options.format == "json"
    if len(lists) > 1:
        raise UsageError(f"{lists[0]} and {lists[1]} exclude each other")
    if lists and options.to:
        raise UsageError(f"{lists[0]} and --to exclude each other")
    _refuse_models(options, lists)
    if options.to == QUADLET and is_json:
        raise UsageError("--format json is not for --to quadlet: units are no JSON")
    for name, value in (("--directory", options.directory), ("--force", options.force or None)):
        if value is not None and options.to != QUADLET:
            raise UsageError(f"{name} is for --to quadlet")
    if options.directory is not None and options.output:
        raise UsageError("--directory and --output exclude each other")
    if options.directory is not None and not os.path.isdir(usable(options.directory)):
        raise UsageError(f"--directory {options.directory!r}: expected a directory that exists")
    if options.force and options.directory is None:
        raise UsageError("--force is for --directory")


def _refuse_models(options: argparse.Namespace, lists: list[str]) -> None:
    """The same for options that print files as they are written, and digests. LISTS: the options for lists."""
    models = [f"--{name.replace('_', '-')}" for name in MODEL if getattr(options, name)]
    digests = [f"--{name}-image-digests" for name in _DIGESTS if getattr(options, f"{name}_image_digests")]
    if options.no_consistency:
        raise UsageError("--no-consistency is not supported: files are always checked", hint="use --no-normalize")
    if models and (others := [*lists, *digests]):
        raise UsageError(f"{models[0]} and {others[0]} exclude each other")
    if models and options.to == QUADLET:
        raise UsageError(f"{models[0]} is for Compose files")
    if digests and lists:
        raise UsageError(f"{digests[0]} and {lists[0]} exclude each other")


def _text(loaded: LoadedCases, options: argparse.Namespace) -> str:
    """What is to be printed."""
    if kind := next((kind for kind in convert.LISTS if getattr(options, kind)), ""):
        return convert.checked(
            "".join(f"{line}\n" for line in convert.listed(kind, convert.with_dependencies(loaded), loaded.active))
        )
    if options.hash:
        return "".join(f"{line}\n" for line in as_written.hash_lines(loaded.cases, options.hash))
    if options.lock_image_digests:
        return as_written.digests_text(select(convert.with_dependencies(loaded), loaded.active))
    if options.resolve_image_digests:
        loaded = loaded.replace(cases=tuple(as_written.with_digests(loaded.cases)))
    if options.to == COMPOSE:
        return convert.compose_text(convert.with_dependencies(loaded), as_json=options.format == "json")
    if options.to == QUADLET:
        units = convert.quadlet_units_of(convert.with_dependencies(loaded), loaded.active)
        if options.output and len(units) > 1:
            raise UsageError(f"these are {len(units)} units: a file is one", hint="use --directory")
        return convert.units_text(units)
    specs = [case for case in loaded.cases if not loaded.names or case.name in loaded.names]
    documents = [normal_form(spec) for spec in specs]
    written = convert.json_text(documents)
    return written if options.format == "json" else write_documents(documents).removesuffix("\n") + "\n"


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "config",
        text="Variables are replaced, defaults left out, and short forms written in full. Compose files, Quadlet's "
        ".container files and those of container-structure-test become spec files, and with --to any of them a Compose "
        "file or Quadlets. What these cannot have is named in comments at their top.",
        examples=(
            ("mydocker config web.container > web.yaml", "convert a Quadlet file"),
            ("mydocker config --to compose web.container > compose.yaml", "make a Compose file of it"),
            ("mydocker config --to quadlet --directory ~/.config/containers/systemd", "make Quadlets of compose.yaml"),
            ("mydocker config --services", "print the names of the services of compose.yaml"),
            ("mydocker config --format json app.yaml", "read a spec in a script"),
        ),
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="a spec file; - is standard input")
    add_project(parser)
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    parser.add_argument("--to", choices=FORMS, help="the form to print: a Compose file, or Quadlet units")
    parser.add_argument("--format", choices=("yaml", "json"), default="yaml", help="json: a list of the documents")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write into FILE, whole or not at all")
    parser.add_argument("--directory", metavar="DIR", help="write Quadlets into DIR, over none that is there")
    parser.add_argument("--force", action="store_true", help="with --directory: over those that are there")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing: only check the files")
    for name, help in MODEL.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=help)
    parser.add_argument("--no-consistency", action="store_true", help="refused: files are always checked")
    parser.add_argument("--resolve-image-digests", action="store_true", help="name images by their digests")
    parser.add_argument(
        "--lock-image-digests", action="store_true", help="print a Compose file with digests, to lie over these"
    )
    parser.add_argument("--hash", default="", metavar="SERVICE,…", help="print a hash of each service, or of all: *")
    parser.add_argument("--variables", action="store_true", help="print the variables that Compose files use")
    parser.add_argument("--environment", action="store_true", help="print the variables that are there for them")
    for kind, help in convert.LISTS.items():
        parser.add_argument(f"--{kind}", action="store_true", help=help)
    return parser
