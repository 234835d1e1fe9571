"""`mydocker config FILE...`: spec files of any form, in mydocker's normal form."""

from __future__ import annotations

import json

from mydocker.cli.common.parser import Parser
from mydocker.cli.project.options import add_project, load_cases
from mydocker.errors import UsageError
from mydocker.specs.nodes.yaml import escape, write_documents
from mydocker.specs.render.normal_form import normal_form


def config_command(argv: list[str]) -> int:
    """Print a document for each container that the files of ARGV describe; 0."""
    options = parser().parse_args(argv)
    loaded = load_cases(options, options.files, image=options.image)
    specs = [case for case in loaded.cases if not loaded.names or case.name in loaded.names]
    documents = [normal_form(spec) for spec in specs]
    as_json = json.dumps([escape(document) for document in documents], indent=2, ensure_ascii=False)
    try:
        as_json.encode()
    except UnicodeEncodeError:
        raise UsageError("a value is not UTF-8, so no file can hold it") from None
    print(as_json if options.format == "json" else write_documents(documents).removesuffix("\n"))
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "config",
        text="Variables are replaced, defaults left out, and short forms written in full. Compose files, Quadlet's "
        ".container files and those of container-structure-test become spec files.",
        examples=(
            ("mydocker config web.container > web.yaml", "convert a Quadlet file"),
            ("mydocker config --format json app.yaml", "read a spec in a script"),
        ),
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="a spec file; - is standard input")
    add_project(parser)
    parser.add_argument("--image", metavar="IMAGE", help="the image of containers whose files name none")
    parser.add_argument("--format", choices=("yaml", "json"), default="yaml", help="json: a list of the documents")
    return parser
