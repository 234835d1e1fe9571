"""`mydocker explain FILE...` and `mydocker explain run ...`: the equal `docker run` line of each container."""

from __future__ import annotations

import os

from mydocker.cli.parser import Parser
from mydocker.cli.run import working_directory
from mydocker.spec.argv import parse_run
from mydocker.spec.dockerline import docker_line
from mydocker.spec.load import load_files


def explain_command(argv: list[str]) -> int:
    """Print a line for each container that ARGV describes, and comments on what Docker cannot say; 0."""
    if argv[:1] == ["run"] and "--help" not in argv[1:2]:
        specs = [parse_run(argv[1:], environ=os.environ, cwd=working_directory()).spec]
    else:
        parser = Parser("explain", description="Print the equal `docker run` line of spec files, or of `run ...`.")
        parser.add_argument("files", nargs="+", metavar="FILE", help="a spec file; - is standard input; or: run ...")
        specs = load_files(parser.parse_args(argv).files, environ=os.environ)
    for spec in specs:
        line, notes = docker_line(spec)
        print(line)
        for note in notes:
            print(f"# {note}")
    return 0
