"""`mydocker schema`: what a spec file may hold, as JSON Schema for editors, or as a table to read."""

from __future__ import annotations

import json

from mydocker.cli.common.parser import Parser


def schema_command(argv: list[str]) -> int:
    """Print the schema; 0."""
    parser = Parser("schema", description="Print the JSON Schema of spec files, by which editors complete and check.")
    parser.add_argument(
        "--format", choices=("json", "markdown"), default="json", help="markdown: the keys and flags as tables"
    )
    if parser.parse_args(argv).format == "markdown":
        from mydocker.specs.render.help_text import reference

        print(reference(), end="")
        return 0
    from mydocker.specs.render.json_schema import schema

    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
