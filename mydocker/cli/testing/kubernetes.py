"""What `mydocker test --on kubernetes` makes of its command line: which files, variables and commands the Jobs have."""

from __future__ import annotations

import os
import secrets

from mydocker.cli.common import say
from mydocker.cli.testing.options import passed_on
from mydocker.paths import absolute, current_directory
from mydocker.record import TYPE_CHECKING
from mydocker.specs.load.profiles import VARIABLE as PROFILES
from mydocker.specs.load.profiles import active_profiles
from mydocker.specs.model import FileMount
from mydocker.specs.values.duration import parse_duration
from mydocker.specs.values.project import VARIABLE as PROJECT_NAME
from mydocker.testing.cases.collect import collect, used_variables
from mydocker.testing.engines.follow import numbers_of_parts
from mydocker.testing.engines.kubernetes.jobs import KubernetesSubmission
from mydocker.testing.engines.kubernetes.kubectl import Kubectl
from mydocker.testing.engines.kubernetes.manifests import DIRECTORY, Layout
from mydocker.testing.engines.kubernetes.spec_files import belonging, mounted_paths, pack, recorded_reads

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from mydocker.services.case import Case
    from mydocker.testing.engines.directory import Directory

_LONGEST = 6 * 3600  # seconds that a part may take, unless --timeout says less or more
_MARGIN = 600  # seconds that a part may take longer than its batch: to get a node, and the image of the runner
_OF_THE_RUNNER = ("HOME", "HOSTNAME", "PATH", "PWD", "TMPDIR")  # variables that keep the values that they have there
_PREFIXES = ("KUBERNETES_", "LD_", "MYDOCKER_", "PYTHON")
_OTHERS = "PYTHON_"  # such as PYTHON_VERSION


def submission_of(
    cases: Sequence[Case], options: argparse.Namespace, *, count: int, directory: Directory
) -> KubernetesSubmission:
    """COUNT Jobs that run CASES as OPTIONS say; what they may do is said first. Raises UsageError."""
    current = current_directory()
    with recorded_reads() as read:
        profiles = active_profiles(options.profile, os.environ)
        collect(options.paths, environ=os.environ, image=options.image, profiles=profiles)
    named = [absolute(case.file) for case in cases]
    loaded = belonging(read, current, named)
    needed = [*loaded, *named, *mounted_paths(cases)]
    lock_file = [absolute(options.lock_file)] if options.frozen else []
    packed = None if options.runner_dir else pack([*needed, *lock_file], directory=current, named=named)
    words = passed_on(options, cases)
    layout = Layout(
        name=f"mydocker-{secrets.token_hex(4)}",
        image=options.runner_image,
        commands=tuple(
            ("mydocker", "test", "--shard", f"{part}/{count}", "--report", "jsonl=-", *words)
            for part in range(1, count + 1)
        ),
        deadline=int(parse_duration(options.timeout)) + _MARGIN if options.timeout else _LONGEST,
        files=packed,
        directory=options.runner_dir or DIRECTORY,
        variables=_variables(cases, loaded, os.environ),
    )
    say(
        "mydocker: the Jobs run containers inside their own: they ask for SYS_ADMIN and no profile of AppArmor, which "
        "Pod Security allows only in a namespace with the level privileged"
    )
    kubectl = Kubectl(options.kubectl, os.environ)
    return KubernetesSubmission(layout, kubectl, directory, awaited=numbers_of_parts(cases, count))


def _variables(cases: Sequence[Case], loaded: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Those of ENVIRON that the specs use: in the files LOADED, or as they are in a container; and what Compose has
    there for all files. A warning names those that have the runner's values."""
    found = {PROFILES, PROJECT_NAME, *used_variables(loaded, environ)}
    found |= {name for case in cases for name in case.variables}
    for case in cases:
        container = case.spec.container
        found |= {name for name, value in container.environment.items() if environ.get(name) == value}
        for mount in container.volumes:
            if isinstance(mount, FileMount) and mount.reference and mount.reference[0] == "environment":
                found.add(mount.reference[1])
    if others := ", ".join(sorted(filter(_is_of_the_runner, found))):
        say(f"warning: where the specs use {others}, the Jobs have the values of the runner")
    return {name: environ[name] for name in sorted(found) if name in environ and not _is_of_the_runner(name)}


def _is_of_the_runner(name: str) -> bool:
    return name in _OF_THE_RUNNER or (name.startswith(_PREFIXES) and not name.startswith(_OTHERS))
