"""`mydocker explain [--shell] FILE...|run ...`: each container as the equal `docker run` line, or as a shell script."""

from __future__ import annotations

import os

from mydocker.cli.commands.run import progress, working_directory
from mydocker.cli.common.parser import Parser
from mydocker.cli.project.options import add_project, load_cases, refuse_no_container
from mydocker.errors import UsageError
from mydocker.specs.argv import parse_run
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.render.docker_run import docker_lines


def explain_command(argv: list[str]) -> int:
    """Print a line for each container that ARGV describes, and comments on what Docker has no option for; 0.

    With --shell, the script that does manually what mydocker would do; the image is pulled if it must be.
    """
    shell = argv[:1] == ["--shell"]
    words = argv[1:] if shell else argv
    by_line = words[:1] == ["run"] and "--help" not in words[1:2]
    if by_line:
        cases = [CaseSpec(container=parse_run(words[1:], environ=os.environ, cwd=working_directory()).spec)]
    else:
        options = parser().parse_args(argv)
        shell = options.shell
        loaded = load_cases(options, options.files)
        refuse_no_container(loaded)
        cases = [case for case in loaded.cases if not loaded.names or case.name in loaded.names]
    if shell:
        _print_script(cases, lend_program=by_line)
        return 0
    for line in docker_lines(cases):
        print(line)
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "explain",
        text="Comments name what Docker has no option for.",
        examples=(
            ("mydocker explain app.yaml", "print the docker run line of a spec"),
            ("mydocker explain --shell run alpine ls", "print a script of unshare, mount and the like"),
        ),
    )
    parser.add_argument("--shell", action="store_true", help="print a shell script that does what mydocker would do")
    parser.add_argument("files", nargs="*", metavar="FILE", help="a spec file, or - for standard input; or: run ...")
    add_project(parser)
    return parser


def _print_script(cases: list[CaseSpec], *, lend_program: bool) -> None:
    from mydocker.runtime.explain.script import shell_script
    from mydocker.runtime.launch import prepare

    if len(cases) != 1:
        raise UsageError(f"--shell explains one container, and these are {len(cases)}")
    [case] = cases
    plan = prepare(
        case.container,
        environ=os.environ,
        progress=progress(),
        lend_program=lend_program,
        inspect_only=case.expect is not None,
    )
    print(shell_script(plan), end="")
