"""Values of single fields become a complete ContainerSpec: the rules that concern more than one field.

The command line and spec files both end here. Values are keyed by YAML key. A key that is set
and could not be read is present as None, so that it is not reported missing as well.
"""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import JOINING_MODES, NAMESPACES, PRIVATE_MODES, ContainerSpec, Security

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from mydocker.specs.model.expect import Expect
    from mydocker.specs.model.parts import Aliases, BlockLimits, Healthcheck, Logging, NetworkAttachment


def assemble(values: Mapping[str, Any], *, origin: Origin) -> ContainerSpec:
    """The spec of values that have no contradictions."""
    own = {key: value for key, value in values.items() if key not in _COMBINED}
    entrypoint, command = _process(values)
    namespaces, network_mode, networks = _isolation(values)
    return ContainerSpec(
        **own,
        origin=origin,
        entrypoint=entrypoint,
        command=command,
        labels={**values.get("label_file", {}), **values.get("labels", {})},
        environment={**values.get("env_file", {}), **values.get("environment", {})},
        volumes=tuple(dict.fromkeys(mount for key in _MOUNTS for mount in values.get(key, ()))),
        namespaces=namespaces,
        joined_namespaces={key: values[key] for key in _SHARED if isinstance(values.get(key), str)},
        network_mode=network_mode,
        networks=networks,
        aliases=_shared_names(values.get("aliases"), network_mode),
        ports=values.get("ports", ()) if network_mode != "host" else (),  # see `doubts`
        security_opt=_security(values.get("security_opt")),
        logging=_logging(values.get("logging")),
        blkio_config=_block_limits(values.get("blkio_config")),
        healthcheck=_healthcheck(values.get("healthcheck")),
    )


_SHARED = ("pid", "ipc", "uts", "cgroup")  # keys that set whether one namespace is the container's own
_NETWORK = ("network_mode", "networks", "ip", "ip6", "mac_address", "aliases")
_OF_A_NETWORK = ("ports", "publish_all", "expose")
_MOUNTS = ("volumes", "tmpfs", "configs", "secrets")
_COMBINED = (
    *("entrypoint", "command", "args", "label_file", "labels", "env_file", "environment", *_MOUNTS),
    *("namespaces", *_NETWORK, *_SHARED, "ports", "security_opt", "logging", "blkio_config", "healthcheck"),
)


def contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Contradictions between values, as (key, message). The key is one that is present, or ""."""
    if "image" in values and "rootfs" in values:
        yield "rootfs", "image and rootfs exclude each other"
    if "image" not in values and "rootfs" not in values:
        yield "", "no image: one of image and rootfs is needed"
    if values.get("pull_policy") == "build" and "build" not in values:
        yield "pull_policy", "build is for a container of a file, with the key build"
    if "rootfs" in values and values.get("platform") is not None:
        yield "platform", "platform is for an image, and rootfs is none"
    yield from _process_contradictions(values)
    yield from _stdin_contradictions(values)
    yield from _isolation_contradictions(values)
    yield from _limit_contradictions(values)
    yield from _mount_contradictions(values)
    if values.get("logging"):
        from mydocker.specs.model.log_driver import contradiction

        if message := contradiction(values["logging"]):
            yield "logging", message
    health = values.get("healthcheck")
    if isinstance(health, dict) and health.get("disable") and len(health) > 1:
        yield "healthcheck", "--no-healthcheck and --health-* exclude each other"
    if values.get("expect") and not values.get("expand"):
        yield from _path_contradictions(values["expect"])


def _path_contradictions(expect: Expect) -> Iterator[tuple[str, str]]:
    for path in sorted({check.about[1] for check in expect.of("files")}):
        if path.startswith("$"):
            yield (
                "expect",
                f"{path!r}: expected an absolute path in the container, or expand: true for a variable of the image",
            )


def _mount_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same mount twice is none, as for Docker."""
    mounts = [(key, mount) for key in _MOUNTS for mount in values.get(key) or () if mount]
    last = {mount.target: key for key, mount in mounts}
    seen: set[str] = set()
    different = [mount.target for mount in dict.fromkeys(mount for _, mount in mounts)]
    twice = {target for target in different if target in seen or seen.add(target)}  # type: ignore[func-returns-value]
    for target in sorted(twice):
        yield last[target], f"two volumes have the target {target!r}"


def _process_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if {"entrypoint", "command", "args"} <= values.keys():
        yield "args", "entrypoint, command and args together: write entrypoint and args"
    elif "args" in values and values.get("command") == ():
        yield "command", "command is empty, and with args it is the program"


def _stdin_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("stdin_open", "tty"):
        if values.get("stdin") is not None and values.get(key):
            yield "stdin", f"stdin is a text, and {key} sets another standard input"


def _isolation_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _network_contradictions(values)
    namespaces = values.get("namespaces")
    for key in _SHARED:
        switch = None if values.get(key) is None else values[key] is True
        if namespaces is not None and switch is not None and _is_own(namespaces, key, default=switch) != switch:
            yield key, f"{key} contradicts namespaces"
    own, mode, _networks = _isolation(values)
    if "uts" not in own:  # sethostname(2) and setdomainname(2) would rename the machine
        names = {"hostname": "host name", "domainname": "domain name"}
        yield from ((key, f"a {names[key]} of its own needs the uts namespace") for key in names if values.get(key))
    if values.get("sysctls"):
        yield from _sysctl_contradictions(values["sysctls"], own, mode)


def _network_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if any(values.get(key) for key in _NETWORK) and not _is_plain(values):
        from mydocker.specs import network_mode

        yield from network_mode.contradictions(values)
    namespaces, mode = values.get("namespaces"), _network(values)[0]
    if namespaces is not None and (mode != "default" or values.get("network_mode")):
        usual = mode in PRIVATE_MODES
        private = _is_own(namespaces, "net", default=usual)
        if private and not usual:
            yield "namespaces", f"a net namespace of its own contradicts network_mode {mode!r}"
        if usual and not private:
            yield "namespaces", f"network_mode {mode!r} needs the net namespace"
    aliases = values.get("aliases")
    # each service of a Compose file has its own name there, whatever network it extends
    if aliases and values.get("name") not in aliases and _is_apart(_isolation(values)[1]):
        yield "aliases", "aliases need a network that containers share, such as bridge"


def _is_apart(mode: str) -> bool:
    """Whether a container has no names for others in the network of MODE."""
    return mode == "none" or mode.startswith(JOINING_MODES)


def doubts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is valid and probably a mistake, as (key, message). As with Docker, a privileged container has every
    capability, and cgroup v2 knows nothing of two settings of memory.

    Like Docker, the host's network discards published ports: there each port has its own number, on the addresses that
    its program chooses.
    """
    if values.get("privileged") and values.get("cap_drop"):
        yield "cap_drop", "cap_drop has no effect: privileged grants every capability"
    if values.get("shm_size") and "ipc" not in _isolation(values)[0]:
        yield "shm_size", "shm_size has no effect: /dev/shm is shared, as is the IPC namespace"
    if values.get("device_cgroup_rules"):
        yield "device_cgroup_rules", "device_cgroup_rules are about devices that are there when the container starts"
    for key in ("mem_swappiness", "oom_kill_disable"):
        if values.get(key):
            yield key, f"{key} has an effect with cgroup v1 only"
    if values.get("ports") and _isolation(values)[1] == "host":
        from mydocker.specs.values.port import elsewhere

        for port in values["ports"]:
            if other := elsewhere(port):
                yield "ports", f"port {port.target} is not published as {other}: the network is the host's"


def _sysctl_contradictions(sysctls: Mapping[str, str], own: tuple[str, ...], mode: str) -> Iterator[tuple[str, str]]:
    """Without a namespace of the container's own, setting one would set the machine's."""
    from mydocker.specs.values.sysctl import namespace_of

    for name in sysctls:
        namespace = namespace_of(name)
        if namespace == "net":
            if "net" in own or mode == "default":  # see runtime/network/default_mode.py
                continue
            yield "sysctls", f"{name} needs a network of the container's own, such as network_mode 'none'"
        elif namespace not in own:
            yield "sysctls", f"{name} needs the {namespace} namespace"


def _is_own(namespaces: Any, name: str, *, default: bool) -> bool:
    """Whether the key `namespaces` makes one the container's own."""
    return bool(namespaces.get(name, default) if isinstance(namespaces, dict) else name in namespaces)


def _limit_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Docker's rules: a limit on memory and swap together is a second number, next to the limit on memory."""
    memory, both = values.get("mem_limit"), values.get("memswap_limit")
    if (values.get("mem_reservation") or 0) > (memory or float("inf")):
        yield "mem_reservation", "the reservation of memory is more than the limit on memory"
    for key in ("cpu_quota", "cpu_period"):
        if values.get("cpus") and values.get(key):
            yield key, f"cpus and {key} exclude each other: cpus sets both"
    if both is None:
        return
    if "mem_limit" not in values and both > 0:
        yield "memswap_limit", "a limit on memory and swap needs a limit on memory too"
    elif memory is not None and 0 < both < memory:
        yield "memswap_limit", "memory and swap together must be at least as much as the memory"


def _process(values: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """(entrypoint, command), None for the image's.

    `args` make `command` the program. An entrypoint drops the image's CMD, in Docker as in Compose.
    """
    entrypoint, command, arguments = (values.get(key) for key in ("entrypoint", "command", "args"))
    if arguments is not None:
        entrypoint, command = (command if command is not None else entrypoint), arguments
    if entrypoint is not None and command is None:
        command = ()
    return entrypoint, command


def _security(options: Iterable[Mapping[str, Any]] | None) -> Security:
    if not options:
        return Security()
    from mydocker.specs.security.options import combine

    return combine(options)


def _block_limits(parts: Iterable[dict[str, Any]] | None) -> BlockLimits | None:
    if not parts:
        return None
    from mydocker.specs.devices.block_io import combine

    return combine(parts)


def _logging(parts: Iterable[dict[str, Any]] | None) -> Logging | None:
    if not parts:
        return None
    from mydocker.specs.model.log_driver import combine

    return combine(parts)


def _healthcheck(value: Any) -> Healthcheck | None:
    """VALUE as a file has it, or the members that flags set."""
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]  # it is read by its own reader
    from mydocker.specs.model.healthcheck import of_members

    return of_members(value)


def _isolation(values: Mapping[str, Any]) -> tuple[tuple[str, ...], str, tuple[NetworkAttachment, ...]]:
    """(namespaces, network_mode, networks). A list of namespaces is exact, a mapping (name -> new) changes the default.

    `namespaces` alone decides on the network too: a new one has nothing but lo in it, and that is the network `none`;
    without a new one, it is the host's.
    """
    namespaces, (mode, networks) = values.get("namespaces"), _network(values)
    if namespaces is None or isinstance(namespaces, dict):
        switches = {name: values[name] is True for name in _SHARED if values.get(name) is not None}
        choice = {name: name != "net" or mode in PRIVATE_MODES for name in NAMESPACES} | switches | (namespaces or {})
        chosen = tuple(name for name in NAMESPACES if choice[name])
    else:
        chosen = namespaces
    if namespaces is not None and mode == "default" and (not isinstance(namespaces, dict) or "net" in namespaces):
        return chosen, "none" if "net" in chosen else "host", ()
    return chosen, mode, networks


def _network(values: Mapping[str, Any]) -> tuple[str, tuple[NetworkAttachment, ...]]:
    """(network_mode, networks), without regard to `namespaces`."""
    if _is_plain(values):
        return values["networks"][0], ()
    if not any(values.get(key) for key in _NETWORK):
        return "default", ()
    from mydocker.specs.network_mode import attach

    return attach(values)


def _is_plain(values: Mapping[str, Any]) -> bool:
    """Whether all that is said about networks is `none`, `host` or `bridge`."""
    others = (key for key in (*_NETWORK, *_OF_A_NETWORK) if key != "networks" and values.get(key))
    return values.get("networks") in (("none",), ("host",), ("bridge",)) and next(others, None) is None


def _shared_names(names: tuple[str, ...] | None, mode: str) -> Aliases | None:
    """The names of a container where it shares the host's network."""
    if not names or mode not in ("default", "host"):
        return None
    from mydocker.specs.model.parts import Aliases

    return Aliases(own=tuple(dict.fromkeys(names)))
