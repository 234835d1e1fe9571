"""`mydocker schema`: what a spec file may hold, as JSON Schema for editors, or as a table to read."""

from __future__ import annotations

import json

from mydocker.cli.common.parser import Parser


def schema_command(argv: list[str]) -> int:
    """Print the schema; 0."""
    if parser().parse_args(argv).format == "markdown":
        from mydocker.specs.render.help_text import reference

        print(reference(), end="")
        return 0
    from mydocker.specs.render.json_schema import schema

    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "schema",
        text="Editors complete, explain and check spec files with it.",
        examples=(("mydocker schema > mydocker.schema.json", "write it for an editor"),),
    )
    parser.add_argument(
        "--format", choices=("json", "markdown"), default="json", help="markdown: the keys and flags as tables"
    )
    return parser
