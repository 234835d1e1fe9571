"""The arguments that describe a container, of `run` and of `start`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from mydocker.api.arguments import command_of, of_type, values_of
from mydocker.errors import SpecError, UnknownArgumentError, UsageError
from mydocker.specs.load.load import load_values
from mydocker.specs.model import ContainerSpec

Path = str | os.PathLike[str]
Word = str | os.PathLike[str]
Input = str | bytes | bytearray | memoryview
Words = str | Sequence[str]  # a text is split as a shell would split it
Pairs = Mapping[str, Any] | Sequence[str]  # NAME to value, or NAME=VALUE
Size = str | int  # such as "64m", or bytes
Duration = str | float  # such as "1m30s", or seconds


class Keys(TypedDict, total=False):
    """The keys of a spec file, with the same meaning. None means that the key is not set; `$` is a plain letter."""

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
    volumes_from: Sequence[str] | None
    tmpfs: str | Sequence[str] | None
    configs: Sequence[Mapping[str, Any]] | None
    secrets: Sequence[Mapping[str, Any]] | None
    read_only: bool | None
    shm_size: Size | None
    devices: Sequence[str | Mapping[str, str]] | None
    device_cgroup_rules: Sequence[str] | None
    gpus: str | Sequence[Mapping[str, Any]] | None
    runtime: str | None
    inject: Sequence[Path] | None
    hostname: str | None
    domainname: str | None
    namespaces: Sequence[str] | Mapping[str, str] | None
    userns_mode: str | None
    uidmap: Sequence[str] | None
    gidmap: Sequence[str] | None
    subuidname: str | None
    subgidname: str | None
    network_mode: str | None
    networks: Sequence[str] | Mapping[str, Mapping[str, Any] | None] | None
    aliases: Sequence[str] | None
    ip: str | None
    ip6: str | None
    mac_address: str | None
    ports: Sequence[str | int | Mapping[str, Any]] | None
    publish_all: bool | None
    expose: Sequence[str | int] | None
    extra_hosts: Pairs | None
    dns: str | Sequence[str] | None
    dns_search: str | Sequence[str] | None
    dns_opt: str | Sequence[str] | None
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
    mem_reservation: Size | None
    mem_swappiness: int | None
    oom_kill_disable: bool | None
    cpus: str | float | None
    cpu_shares: int | None
    cpu_period: int | None
    cpu_quota: int | None
    cpuset: str | None
    pids_limit: int | None
    blkio_config: Mapping[str, Any] | None
    oom_score_adj: int | None


class LastingKeys(Keys, total=False):
    """Those of a container that goes on by itself, too."""

    healthcheck: Mapping[str, Any] | None
    pre_start: Sequence[Words] | None
    restart: str | None
    logging: Mapping[str, Any] | None


_LASTING = frozenset(LastingKeys.__annotations__.keys() - Keys.__annotations__.keys())


def spec_of(
    image: str | ContainerSpec | None, words: tuple[object, ...], keys: Mapping[str, object], *, lasting: bool = False
) -> ContainerSpec:
    """The container that the arguments IMAGE, WORDS and KEYS describe; with LASTING, the keys may be LastingKeys.
    Raises SpecError, UsageError."""
    command = command_of(words)
    if isinstance(image, ContainerSpec):
        if command or keys:
            raise UsageError("a loaded spec is complete: pass no command and no keys", hint="see spec.replace()")
        return image
    of_type("image", image, str, ContainerSpec, type(None))
    if command is not None and keys.get("command") is not None:
        raise UsageError("the command is set twice")
    try:
        return load_values(
            values_of({"image": image, "command": command, **keys}),
            environ=os.environ,
            lasting=_LASTING if lasting else (),
        )
    except SpecError as error:
        if any(f"{name}: unknown key '{name}'" in problem for name in keys for problem in error.problems):
            raise UnknownArgumentError(error.values) from None
        raise
