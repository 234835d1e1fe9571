"""The Python API: what `import mydocker` offers, loaded when it is first asked for.

    import mydocker
    outcome = mydocker.run("alpine:3.20", "echo", "hello", timeout="10s")
    assert outcome.stdout == "hello\\n"

Safe in programs with threads and in event loops' executors: a container is started by a process of its own. What goes
wrong on our side is raised as a child of MydockerError, as errors.py lists them; what the command does is in Outcome.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from mydocker import errors
from mydocker.errors import HostError, MydockerError, UsageError
from mydocker.runtime import outcome as runtime
from mydocker.smoke.alone import run_alone
from mydocker.smoke.case import Finding
from mydocker.spec.container import ContainerSpec
from mydocker.spec.load import load_files, load_values

Path = str | os.PathLike[str]
Words = str | Sequence[str]  # a text is split as a shell would split it
Pairs = Mapping[str, Any] | Sequence[str]  # NAME to value, or NAME=VALUE
Size = str | int  # such as "64m", or bytes
Duration = str | float  # such as "1m30s", or seconds


class Keys(TypedDict, total=False):
    """The keys of a spec file, with the same meaning. None is as if the key were not given; `$` is a plain letter."""

    name: str | None
    rootfs: Path | None
    platform: str | None
    pull_policy: str | None
    label_file: str | Sequence[str] | None
    labels: Pairs | None
    entrypoint: Words | None
    command: Words | None
    args: Words | None
    env_file: Path | Sequence[Path] | None
    environment: Pairs | None
    expand: bool | None
    user: str | int | None
    group_add: Sequence[str | int] | None
    umask: str | None
    working_dir: str | None
    timeout: Duration | None
    stop_signal: str | int | None
    stop_grace_period: Duration | None
    tty: bool | None
    stdin_open: bool | None
    stdin: str | None
    init: bool | None
    volumes: Sequence[str | Mapping[str, Any]] | None
    tmpfs: str | Sequence[str] | None
    configs: Sequence[Mapping[str, Any]] | None
    secrets: Sequence[Mapping[str, Any]] | None
    read_only: bool | None
    shm_size: Size | None
    devices: Sequence[str | Mapping[str, str]] | None
    inject: Sequence[Path] | None
    hostname: str | None
    namespaces: Sequence[str] | Mapping[str, str] | None
    userns_mode: str | None
    network_mode: str | None
    extra_hosts: Pairs | None
    dns: str | Sequence[str] | None
    pid: str | None
    ipc: str | None
    cgroup: str | None
    uts: str | None
    security_opt: Sequence[str] | None
    cap_add: Sequence[str] | None
    cap_drop: Sequence[str] | None
    privileged: bool | None
    sysctls: Pairs | None
    ulimits: Mapping[str, Any] | Sequence[str] | None
    mem_limit: Size | None
    memswap_limit: Size | None
    cpus: str | float | None
    cpuset: str | None
    pids_limit: int | None


class Outcome(runtime.Outcome):
    """How a container ended, what it used, and what it wrote.

    `exit_code` or `signal` says how the command ended, `timed_out` and `oom_killed` why; `status` is the exit code that
    `mydocker run` would have had. `wall` and `cpu` are seconds, `max_rss` bytes. The outputs are UTF-8; bytes that are
    not come back with `.encode(errors="surrogateescape")`. They are empty if they were not captured.
    """

    stdout: str = ""
    stderr: str = ""


def run(image: str | ContainerSpec | None = None, *words: str, capture: bool = True, **keys: Unpack[Keys]) -> Outcome:
    """Run a container to its end.

    IMAGE is a name, as for `mydocker run`, or a spec that `load` gave, which says everything; None goes with `rootfs`.
    WORDS are the command, in place of the image's. KEYS are those of a spec file. With `capture`, what the container
    writes is in the outcome; without, it goes to this program's own stdout and stderr. The command's standard input is
    empty but with `stdin`, a text, or with `stdin_open`, which passes on this program's. What a loaded spec expects,
    and what it depends on, is not looked at.

    A missing image is pulled. Raises SpecError (with all mistakes in `problems`), ImageError or one of its children,
    HostError, LaunchError: CommandNotFoundError where there is no such command.
    """
    finding = run_alone(_spec(image, words, dict(keys)), environ=os.environ, capture=capture)
    if finding.outcome is None:
        raise _error(finding)
    return Outcome(**finding.outcome.as_dict(), stdout=finding.stdout, stderr=finding.stderr)


def load(*paths: Path) -> list[ContainerSpec]:
    """The containers that spec files describe, in order. Raises SpecError with all mistakes of all files, each as
    `file:line:column: message`, in `problems`."""
    return load_files([os.fspath(path) for path in paths], environ=os.environ)


def _spec(image: str | ContainerSpec | None, words: tuple[str, ...], keys: dict[str, object]) -> ContainerSpec:
    if isinstance(image, ContainerSpec):
        if words or keys:
            raise UsageError("a loaded spec says everything: give no command and no keys", hint="see spec.replace()")
        return image
    if words and keys.get("command") is not None:
        raise UsageError("the command is given twice")
    values = {"image": image, "command": list(words) or None, **keys}
    return load_values({key: value for key, value in values.items() if value is not None}, environ=os.environ)


def _error(finding: Finding) -> MydockerError:
    """What the worker raised, raised here."""
    kind = getattr(errors, finding.kind, HostError)
    if not issubclass(kind, MydockerError) or kind is errors.SpecError:
        kind = HostError
    error: MydockerError = kind(finding.problem, hint=finding.hint or None)
    return error
