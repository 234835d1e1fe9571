"""The options of `mydocker test --on`, and the words with which each part runs `mydocker test` elsewhere."""

from __future__ import annotations

from mydocker.cli.common.parser import number_up_to
from mydocker.errors import UsageError
from mydocker.image.lock_file import NAME
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mydocker.cli.common.parser import Parser
    from mydocker.services.case import Case

ENGINES = ("kubernetes", "slurm")
_MOST = 10_000  # parts
PASSED_ON = (  # with a value, or as they are
    "k", "tags", "profile", "frozen", "offline", "lock_file", "image", "jobs", "maxfail", "timeout", "shuffle",
    "publish", "on_failure",
)  # fmt: skip
# what is done here, or in another way: those that failed the last time are named one by one
KEPT_HERE = (
    "paths", "last_failed", "quiet", "list", "durations", "report", "on", "parts", "slurm", "dir", "dry_run",
    "runner_image", "runner_dir", "kubectl", "output",
)  # fmt: skip
_OF_KUBERNETES = {
    "runner_image": "--runner-image",
    "runner_dir": "--runner-dir",
    "kubectl": "--kubectl",
    "output": "-o",
}
REFUSED = {
    "shard": "the engine says which part is whose",
    "project": "the services of the project are on this machine alone",
}


def add_engines(parser: Parser) -> None:
    add = parser.add_argument
    add("--on", choices=ENGINES, help="run the parts of the batch there, and put their results together here")
    add("-n", "--parts", type=number_up_to(_MOST), metavar="N", help="with --on: the number of parts")
    add("--slurm", action="append", default=[], metavar="WORD", help="an option for sbatch; may be repeated")
    add(
        "--dir",
        metavar="DIR",
        help="with --on: for the files of the parts (default: a new one in the current directory)",
    )
    add("--dry-run", action="store_true", help="with --on: print what would be submitted")
    add("--runner-image", metavar="IMAGE", help="with --on kubernetes: the image that has mydocker, for the Jobs")
    add(
        "--runner-dir",
        metavar="DIR",
        help="with --on kubernetes: where that image has the files as they are in the current directory (default: they "
        "are sent)",
    )
    add("--kubectl", action="append", default=[], metavar="WORD", help="an option for kubectl; may be repeated")
    add("-o", dest="output", choices=("yaml",), help="with --on kubernetes: print the manifests, and run nothing")


def check_engine(options: argparse.Namespace) -> None:
    """Raise UsageError if OPTIONS do not go together with an engine, or without one."""
    if options.on is None:
        flags = {"parts": "-n", "slurm": "--slurm", "dir": "--dir", "dry_run": "--dry-run", **_OF_KUBERNETES}
        for name, flag in flags.items():
            if getattr(options, name):
                raise UsageError(f"{flag} is for --on {'|'.join(ENGINES)}")
        return
    if not options.parts:
        raise UsageError(f"--on {options.on}: expected -n N, the number of parts")
    for name, why in REFUSED.items():
        if getattr(options, name):
            raise UsageError(f"--{name} and --on {options.on} exclude each other: {why}")
    if options.on_failure == "shell":
        raise UsageError(f"--on-failure shell and --on {options.on} exclude each other: a shell needs a terminal")
    if "-" in options.paths:
        raise UsageError(f"--on {options.on}: the parts cannot read standard input", hint="write it to a file")
    if options.slurm and options.on != "slurm":
        raise UsageError("--slurm is for --on slurm")
    _check_kubernetes(options)


def _check_kubernetes(options: argparse.Namespace) -> None:
    if options.on != "kubernetes":
        for name, flag in _OF_KUBERNETES.items():
            if getattr(options, name):
                raise UsageError(f"{flag} is for --on kubernetes")
        return
    if not options.runner_image:
        hint = "the image of the repository's Dockerfile does, or any that has mydocker and sh"
        raise UsageError("--on kubernetes: expected --runner-image IMAGE", hint=hint)
    if options.runner_dir and not options.runner_dir.startswith("/"):
        raise UsageError(f"--runner-dir {options.runner_dir}: expected an absolute path in the image")
    if options.on_failure:
        raise UsageError("--on-failure and --on kubernetes exclude each other: what is kept would go with the pod")
    if options.offline:
        raise UsageError("--offline and --on kubernetes exclude each other: the store of a pod is empty")
    for path in (*options.paths, options.lock_file):
        if path.startswith("/"):
            hint = "other paths have another meaning in a pod"
            raise UsageError(f"--on kubernetes: {path}: expected a path relative to the current directory", hint=hint)


def passed_on(options: argparse.Namespace, cases: Sequence[Case]) -> list[str]:
    """The words after `mydocker test` with which a part, in the same directory, chooses from the same CASES and runs
    its own; without --shard and --report."""
    words = []
    for name in PASSED_ON:
        value = getattr(options, name)
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        if name == "lock_file" and value == NAME:
            continue
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:  # one that begins with a dash needs the equals sign
            words += [f"{flag}={each}" for each in (value if isinstance(value, list) else [value])]
    paths = [str(case.address) for case in cases] if options.last_failed else options.paths
    return [*words, "--", *paths]
