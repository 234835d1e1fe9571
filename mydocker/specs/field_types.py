"""Types of fields: how text of the command line becomes a value, and how the value is written again.

A function that reads takes the text and its Scope, and returns a complete value or raises UsageError. A function that
writes takes a value, and returns plain data for the normal form of a spec, or arguments for `docker run`. Modules that
a plain run does not need are imported late, for these functions are on the warm path and few of them run. Functions
that import nothing late are in values/__init__.py.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs import values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mydocker.reference import Reference
    from mydocker.specs.model import Security, User
    from mydocker.specs.model.parts import Dependency, Healthcheck, Logging, NetworkAttachment, Port, RestartPolicy
    from mydocker.specs.values import Scope


def timeout(text: str, scope: Scope) -> float:
    from mydocker.specs.values.duration import parse_timeout

    return parse_timeout(text, scope)


def grace(text: str, scope: Scope) -> float:
    """Seconds; may be 0."""
    from mydocker.specs.values.duration import parse_duration

    return parse_duration(text)


def quantity(kind: str) -> Callable[[str, Scope], Any]:
    """The parser of KIND in values/quantity.py."""

    def parse(text: str, scope: Scope) -> Any:
        from mydocker.specs.values import quantity

        return quantity.PARSERS[kind](text)

    return parse


def block_limit(key: str) -> Callable[[str, Scope], dict[str, Any]]:
    """The parser of a number, or of DEVICE:NUMBER, for the KEY of `blkio_config`."""

    def parse(text: str, scope: Scope) -> dict[str, Any]:
        from mydocker.specs.devices.block_io import parse_of_device, parse_weight

        return parse_weight(text) if key == "weight" else parse_of_device(key, text)

    return parse


def user(text: str, scope: Scope) -> User | None:
    """Empty text is the image's user, as for Docker."""
    from mydocker.specs.values.user import parse_user

    return parse_user(text) if text else None


def volume(text: str, scope: Scope) -> Any:
    from mydocker.specs.mounts.volume import parse_volume

    return parse_volume(text, scope)


def mount(text: str, scope: Scope) -> Any:
    from mydocker.specs.mounts.mount import parse_mount

    return parse_mount(text, scope)


def volumes_from(text: str, scope: Scope) -> Any:
    from mydocker.specs.mounts.volume import parse_volumes_from

    return parse_volumes_from(text)


def written_volumes_from(sources: tuple[Any, ...]) -> list[str]:
    return [f"{each.container}{':ro' if each.read_only else ''}" for each in sources]


def docker_volumes_from(sources: tuple[Any, ...]) -> list[str]:
    return [word.removeprefix("container:") for word in written_volumes_from(sources)]


def tmpfs(text: str, scope: Scope) -> Any:
    from mydocker.specs.mounts.tmpfs import parse_tmpfs

    return parse_tmpfs(text, scope)


def device(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.device import parse_device

    return parse_device(text, scope)


def shm_size(text: str, scope: Scope) -> int | None:
    """Bytes; 0 is the default, as for Docker."""
    from mydocker.specs.values.size import parse_size

    return parse_size(text) or None


def security_option(text: str, scope: Scope) -> dict[str, Any]:
    from mydocker.specs.security.options import parse_option

    return parse_option(text, scope)


def label_file(text: str, scope: Scope) -> dict[str, str]:
    from mydocker.specs.environment.files import read_label_file

    return read_label_file(values.joined(text, scope))


def env_file(text: str, scope: Scope) -> dict[str, str]:
    from mydocker.specs.environment.files import read_docker_file

    return read_docker_file(values.joined(text, scope), environ=scope.environ)


def stop_signal(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.signal import parse_signal_or_none

    return parse_signal_or_none(text)


def capability(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.capability import parse_capability

    return parse_capability(text)


def sysctl(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.sysctl import parse_sysctl

    return parse_sysctl(text)


def ulimit(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.ulimit import parse_ulimit

    return parse_ulimit(text)


def group(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.user import parse_group

    return parse_group(text)


def network(text: str, scope: Scope) -> Any:
    """Its name or another word, or an attachment if TEXT is of the long form."""
    if "=" not in text:
        return values.network_word(text, scope)
    from mydocker.specs.values.network import parse_network

    return parse_network(text, scope)


def alias(text: str, scope: Scope) -> str:
    from mydocker.specs.values.network import alias as parse_alias

    return parse_alias(text, scope)


def ipv4(text: str, scope: Scope) -> str:
    from mydocker.specs.values.network import address as parse_ipv4

    return parse_ipv4(text, scope)


def ipv6(text: str, scope: Scope) -> str:
    from mydocker.specs.values.network import address6 as parse_ipv6

    return parse_ipv6(text, scope)


def mac_address(text: str, scope: Scope) -> str:
    from mydocker.specs.values.network import mac_address as parse_mac

    return parse_mac(text, scope)


def ports(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.port import parse_port

    return parse_port(text)


def exposed(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.port import parse_exposed

    return parse_exposed(text)


def extra_host(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.hosts import parse_host

    return parse_host(text)


def address(text: str, scope: Scope) -> Any:
    from mydocker.specs.values.hosts import parse_address

    return parse_address(text)


def search_domain(text: str, scope: Scope) -> str:
    from mydocker.specs.values.hosts import parse_search_domain

    return parse_search_domain(text)


def resolver_option(text: str, scope: Scope) -> str:
    from mydocker.specs.values.hosts import parse_resolver_option

    return parse_resolver_option(text)


def plain(value: Any) -> Any:
    """Text, numbers, true and false as they are, a tuple as a list of texts, a mapping as a copy."""
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return value if isinstance(value, str | int | float) else dict(value)


def written_image(image: Reference) -> str:
    if image.location is None:
        return image.familiar
    where = image.location
    return f"{where.transport}:{where.path}" + (f":{where.selector}" if where.selector else "")


def pull_policy(text: str, scope: Scope) -> str:
    """Those of `values.pull_policy`, and those by age."""
    if text in ("daily", "weekly") or text.startswith("every_"):
        from mydocker.specs.values.duration import pull_interval

        pull_interval(text)
        return text
    return values.pull_policy(text, scope)


def docker_pull(policy: str) -> list[str]:
    """Docker's client has no policy by age, and builds nothing."""
    return [] if policy == "build" else [policy if policy in ("missing", "always", "never") else "always"]


def written_user(user: User) -> str:
    return str(user.user) if user.group is None else f"{user.user}:{user.group}"


def written_umask(mask: int) -> str:
    return f"{mask:04o}"


def written_duration(seconds: float) -> str:
    from mydocker.specs.values.duration import format_duration

    return format_duration(seconds)


def whole_seconds(seconds: float) -> list[str]:
    import math

    return [str(math.ceil(seconds))]


def written_size(count: int) -> str | int:
    from mydocker.specs.values.size import format_size

    return format_size(count)


def number(value: int) -> list[str]:
    return [str(value)]


def written_signal(number: int) -> str:
    from mydocker.specs.values.signal import name_of

    return name_of(number)


def written_cpus(cpus: float) -> str:
    """Docker counts in thousand-millionths."""
    return f"{cpus:.9f}".rstrip("0").rstrip(".")


def written_cpuset(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def assignments(pairs: Mapping[str, str | None]) -> list[str]:
    return [name if value is None else f"{name}={value}" for name, value in pairs.items()]


def written_hosts(hosts: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{name}={address}" for name, address in hosts]


def docker_hosts(hosts: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{name}:{address}" for name, address in hosts]


def written_records(records: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The members of each that are not the default."""
    return [
        {name: value for name, value in each.as_dict().items() if value != getattr(type(each), name, None)}
        for each in records
    ]


def written_devices(devices: tuple[Any, ...]) -> list[Any]:
    """A mapping for a device of the host, and the name of one that CDI describes."""
    return [getattr(device, "name", "") or written_records((device,))[0] for device in devices]


def docker_devices(devices: tuple[Any, ...]) -> list[str]:
    return [getattr(device, "name", "") or f"{device.source}:{device.target}" for device in devices]


def compose_devices(devices: tuple[Any, ...]) -> list[Any]:
    """The short form, where no path has a colon."""
    both = zip(docker_devices(devices), written_devices(devices), strict=True)
    return [long if short.count(":") > 1 else short for short, long in both]


def device_rule(text: str, scope: Scope) -> Any:
    from mydocker.specs.devices.rules import parse_rule

    return parse_rule(text)


def gpus(text: str, scope: Scope) -> Any:
    from mydocker.specs.devices.gpus import parse_gpus

    return parse_gpus(text, scope)


def written_gpus(requests: tuple[Any, ...]) -> list[Any]:
    from mydocker.specs.devices.gpus import format_gpus

    return format_gpus(requests)


def docker_gpus(requests: tuple[Any, ...]) -> list[str]:
    from mydocker.specs.devices.gpus import docker_words

    return docker_words(requests)


def written_ports(ports: tuple[Port, ...]) -> list[dict[str, Any]]:
    """Compose's long form, in which a range is one value."""
    found = []
    for port in ports:
        [entry] = written_records((port,))
        if last := entry.pop("last_published", None):
            entry["published"] = f"{port.published}-{last}"
        found.append(entry)
    return found


def docker_ports(ports: tuple[Port, ...]) -> list[str]:
    from mydocker.specs.values.port import format_port

    return [format_port(port) for port in ports]


def docker_network(mode: str) -> list[str]:
    return [] if mode == "default" else [mode]  # Docker has the same default


def written_networks(networks: tuple[NetworkAttachment, ...]) -> dict[str, Any]:
    from mydocker.specs.values.network import format_attachment

    return {each.name: format_attachment(each) for each in networks}


def docker_networks(networks: tuple[NetworkAttachment, ...]) -> list[str]:
    from mydocker.specs.values.network import format_flag

    return [format_flag(each) for each in networks]


def written_ulimits(limits: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {name: {"soft": soft, "hard": hard} for name, (soft, hard) in limits.items()}


def docker_ulimits(limits: Mapping[str, tuple[int, int]]) -> list[str]:
    return [f"{name}={soft}:{hard}" for name, (soft, hard) in limits.items()]


def written_security(security: Security) -> list[str]:
    from mydocker.specs.security.options import format_options

    return format_options(security)


def written_dependencies(dependencies: tuple[Dependency, ...]) -> dict[str, Any]:
    return {
        each.name: {"condition": each.condition}
        | ({} if each.required else {"required": False})
        | ({"restart": True} if each.restart else {})
        | ({"bound": True} if each.bound else {})
        for each in dependencies
    }


def written_build(build: Any) -> dict[str, Any]:
    from mydocker.specs.model.build import written

    return written(build)


def written_aliases(aliases: Any) -> list[str]:
    return [*aliases.own]


def written_commands(commands: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    return [[*words] for words in commands]


def written_hooks(hooks: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [
        {"command": [*hook.command], **({"user": written_user(hook.user)} if hook.user else {})}
        | {key: value for key in ("working_dir", "environment") if (value := getattr(hook, key))}
        for hook in hooks
    ]


def health_member(name: str) -> Callable[[str, Scope], dict[str, Any]]:
    """What reads the value of a flag for one member of a healthcheck."""

    def parse(text: str, scope: Scope) -> dict[str, Any]:
        from mydocker.specs.model.healthcheck import parse_member

        return parse_member(name, text, scope)

    return parse


def written_healthcheck(check: Healthcheck) -> dict[str, Any]:
    from mydocker.specs.model.healthcheck import format_healthcheck

    return format_healthcheck(check)


def written_block_limits(limits: Any) -> dict[str, Any]:
    from mydocker.specs.devices.block_io import format_block_limits

    return format_block_limits(limits)


def log_driver(text: str, scope: Scope) -> dict[str, Any]:
    from mydocker.specs.model.log_driver import parse_driver

    return parse_driver(text, scope)


def log_option(text: str, scope: Scope) -> dict[str, Any]:
    from mydocker.specs.model.log_driver import parse_option

    return parse_option(text, scope)


def written_logging(logging: Logging) -> dict[str, Any]:
    from mydocker.specs.model.log_driver import format_logging

    return format_logging(logging)


def restart(text: str, scope: Scope) -> RestartPolicy | None:
    from mydocker.specs.model.restart import parse_restart

    return parse_restart(text)


def written_restart(policy: RestartPolicy) -> Any:
    from mydocker.specs.model.restart import format_restart

    return format_restart(policy)


def docker_restart(policy: RestartPolicy) -> list[str]:
    from mydocker.specs.model.restart import docker_word

    return [docker_word(policy) or policy.name]


def written_matrix(variables: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in variables.items()}
