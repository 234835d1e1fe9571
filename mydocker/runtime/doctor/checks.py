"""What this host can do for a container, determined by trying it, with the fallback in use and a hint."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mydocker import idmap, kernel
from mydocker.errors import HostError, MydockerError
from mydocker.image.store import Store, file_system
from mydocker.record import Record
from mydocker.reference import Platform
from mydocker.runtime.cgroup.cgroup import Cgroups
from mydocker.runtime.cgroup.controllers import demands
from mydocker.runtime.cgroup.hierarchy import choose
from mydocker.runtime.doctor import network, probes
from mydocker.runtime.doctor.binfmt import handled_machines
from mydocker.runtime.launch.run_directory import RunDirectory
from mydocker.runtime.network.trial import attempt
from mydocker.runtime.network.upkeep import emptied, strays
from mydocker.runtime.plan.host import Host, inspect_host, read_setting
from mydocker.runtime.plan.operations import COVERED
from mydocker.runtime.seccomp.compile import open_library
from mydocker.specs.model import ContainerSpec

OK, WEAKER, MISSING = "ok", "weaker", "missing"
OLDEST = (5, 12)  # mount_setattr(2)
IN_A_CONTAINER = (
    "inside another container, start that one with --cap-add SYS_ADMIN, and on a host with AppArmor "
    "--security-opt apparmor=unconfined"
)
_ACCOUNTS = ("/etc/subuid", "/etc/subgid")
MORE_IDS = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, with ids that no other user has"
SWITCHES = (  # of the kernel, that keep ordinary users from user namespaces: closed, open
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
)


class HostCheck(Record):
    """The result of checking one ability: `state` is ok, weaker (a fallback is used) or missing."""

    name: str
    state: str
    detail: str
    hint: str | None = None
    essential: bool = False  # without it no container runs


def examine(store: Store) -> tuple[HostCheck, ...]:
    """Try everything that a container may need, using a temporary run directory of STORE."""
    findings = [_kernel(), _privileges()]
    try:
        store.prepare_containers()
        findings.append(_store(store))
        host = inspect_host(ids=store.ids, file_system=store.state_file_system)
        with RunDirectory(f"{store.containers}/doctor-{os.getpid()}") as directory:
            findings += _steps(host, directory.path)
            findings += _limits(host, directory.path)
            findings += _network(host, store)
    except MydockerError as error:
        findings.append(HostCheck(name="store", state=MISSING, detail=error.message, hint=error.hint, essential=True))
    return (*findings, *_firewalls(store), _seccomp(), _strays(store), _platforms())


def can_run(findings: tuple[HostCheck, ...]) -> bool:
    """Whether nothing is missing that every container needs."""
    return not any(finding.essential and finding.state == MISSING for finding in findings)


def _kernel() -> HostCheck:
    release = os.uname().release
    numbers = tuple(int(number) for number in release.split("-")[0].split(".")[:2] if number.isdigit())
    state = OK if numbers >= OLDEST else MISSING
    return HostCheck(name="kernel", state=state, detail=f"Linux {release}; 5.12 or later is needed", essential=True)


def _store(store: Store) -> HostCheck:
    """Of which kind the file system of the store is, and what follows from that."""
    try:
        found = file_system.inspect(store.root)
    except OSError as error:
        return HostCheck(name="store", state=MISSING, detail=f"{store.root}: {error.strerror}", essential=True)
    kind = f"{store.root} is {'read-only, ' if found.is_read_only else ''}on {found.type}"
    if store.state == store.root:
        return HostCheck(name="store", state=OK, detail=f"{kind}; its containers are there as well")
    detail = f"{kind}; its containers are in {store.state}"
    if found.unseen:
        hint = "run 'mydocker prune' and 'fsck --repair' only while no other machine has containers of it"
        return HostCheck(
            name="store", state=WEAKER, detail=f"{detail}. Others do not see them: {found.unseen}", hint=hint
        )
    if found.is_upper:
        return HostCheck(name="store", state=OK, detail=detail)
    if store.ids and not store.ids.is_single and found.type.startswith("nfs"):
        hint = "set MYDOCKER_ROOT to a directory of a local disk"
        detail += ". Its server changes no owners for an ordinary user, so nothing can be pulled to it"
        return HostCheck(name="store", state=WEAKER, detail=detail, hint=hint)
    detail += ", and other machines see that their images are in use"
    return HostCheck(name="store", state=OK, detail=detail)


def _privileges() -> HostCheck:
    if os.geteuid() != 0:
        return HostCheck(name="privileges", state=OK, detail="an ordinary user; containers get a user namespace each")
    if kernel.get_capabilities() >> 21 & 1:  # CAP_SYS_ADMIN (capabilities(7))
        return HostCheck(name="privileges", state=OK, detail="root")
    return HostCheck(name="privileges", state=MISSING, detail="root without CAP_SYS_ADMIN", hint=IN_A_CONTAINER)


def _steps(host: Host, run_dir: str) -> Iterator[HostCheck]:
    os.makedirs(f"{run_dir}/lower/old/inside")
    if host.ids is not None:
        yield _user_namespace()
        yield _ids(host.ids)
    groups = host.ids is None or not host.ids.is_single
    why = attempt(lambda: probes.namespaces(groups=groups), ids=host.ids)
    hint = (_closed_to_users() if host.rootless else _closed_to_root()) if why else None
    detail = why or "mount, pid, uts, ipc, net, cgroup"
    yield HostCheck(name="namespaces", state=MISSING if why else OK, detail=detail, hint=hint, essential=True)
    why = attempt(probes.proc, ids=host.ids)
    hint = COVERED if why else None
    yield HostCheck(
        name="proc", state=MISSING if why else OK, detail=why or "a separate /proc", hint=hint, essential=True
    )
    yield _overlay(host, run_dir)
    if host.ids is None:
        yield _own_ids(run_dir)
    yield _pivot_root(host, run_dir)
    why = attempt(probes.loopback, ids=host.ids)
    detail = f"{why}; with --network none, lo stays down" if why else "lo is up with --network none"
    yield HostCheck(
        name="loopback", state=WEAKER if why else OK, detail=detail, hint="it takes CAP_NET_ADMIN" if why else None
    )
    yield _keyring(host)


def _user_namespace() -> HostCheck:
    ids = idmap.of_caller(ranges=False)
    why = attempt(lambda: None, ids=ids)
    detail = why or "an ordinary user may create them"
    hint = _closed_to_users() if why else None
    return HostCheck(name="user namespaces", state=MISSING if why else OK, detail=detail, hint=hint, essential=True)


def _closed_to_users() -> str:
    """The hint: which setting keeps an ordinary user from namespaces."""
    for switch, closed, opened in SWITCHES:
        if read_setting(f"/proc/sys/{switch.replace('.', '/')}") == closed:
            return f"sudo sysctl -w {switch}={opened}"
    return "run as root, or outside of the container that this is in"


def _closed_to_root() -> str:
    """Root of a user namespace has only the ids that were mapped when it was created (user_namespaces(7))."""
    if read_setting("/proc/self/uid_map").split() == ["0", "0", "4294967295"]:
        return IN_A_CONTAINER
    return "this is root of a user namespace that lacks ids: leave it, and run mydocker as the user itself"


def _ids(ids: idmap.IdMap) -> HostCheck:
    if not ids.is_single:
        why = attempt(lambda: None, ids=ids)
        count = sum(extent.count for extent in ids.users)
        detail = why or f"{count} users, from /etc/subuid and /etc/subgid"
        return HostCheck(name="ids", state=MISSING if why else OK, detail=detail, essential=True)
    user = os.geteuid()
    granted = [list(idmap.granted(path, user)) for path in _ACCOUNTS]
    detail, hint = "only root: /etc/subuid and /etc/subgid grant this user nothing", MORE_IDS
    if all(granted):
        detail, hint = "only root: newuidmap and newgidmap are missing or may not gain privileges", "install uidmap"
    return HostCheck(name="ids", state=WEAKER, detail=detail, hint=hint)


def _overlay(host: Host, run_dir: str) -> HostCheck:
    def step(in_memory: bool) -> str | None:
        return attempt(lambda: probes.overlay(run_dir, in_memory=in_memory, user_xattrs=host.rootless), ids=host.ids)

    if not host.store_on_overlay and not (why := step(False)):
        return HostCheck(name="overlay", state=OK, detail="each container has a writable layer", essential=True)
    if why := step(True):
        hint = "load the kernel module overlay; an ordinary user's store needs a file system that has user.* attributes"
        return HostCheck(name="overlay", state=MISSING, detail=why, hint=hint, essential=True)
    state, detail = WEAKER, "the store is on overlayfs itself: what containers write is kept in memory"
    if not host.store_on_overlay:
        state, detail = MISSING, "the store's file system cannot hold what containers write"
    hint = "set MYDOCKER_ROOT to another file system; in a container, a volume"
    return HostCheck(name="overlay", state=state, detail=detail, hint=hint, essential=True)


def _own_ids(run_dir: str) -> HostCheck:
    if why := attempt(lambda: probes.own_ids(run_dir), ids=None):
        hint = "the store must be on ext4, xfs, btrfs or tmpfs, and the kernel 5.19 or later"
        detail = f"{why}; containers share the host's"
        return HostCheck(name="own ids", state=WEAKER, detail=detail, hint=hint)
    granted = min(sum(count for _, count in idmap.granted_to(path, "containers")) for path in _ACCOUNTS)
    automatic = f"--userns auto has {granted}" if granted else "--userns auto takes ids of `containers` in /etc/subuid"
    return HostCheck(name="own ids", state=OK, detail=f"--uidmap gives them others; {automatic}")


def _pivot_root(host: Host, run_dir: str) -> HostCheck:
    why = attempt(lambda: probes.pivot_root(run_dir), ids=host.ids)
    if not why:
        return HostCheck(name="pivot_root", state=OK, detail="used")
    detail = f"{why}; the root is moved on top of the old one instead"
    return HostCheck(
        name="pivot_root", state=WEAKER, detail=detail, hint="a seccomp filter refuses it, or this is an initramfs"
    )


def _keyring(host: Host) -> HostCheck:
    why = attempt(kernel.join_session_keyring, ids=host.ids)
    if not why:
        return HostCheck(name="keyring", state=OK, detail="each container has its own")
    detail, hint = (
        f"{why}; containers share yours",
        "the system call filter of the container around this refuses keyctl",
    )
    return HostCheck(name="keyring", state=WEAKER, detail=detail, hint=hint)


def _limits(host: Host, run_dir: str) -> Iterator[HostCheck]:
    """Each limit, tried on a temporary cgroup."""
    processor = min(os.sched_getaffinity(0))
    specs = {
        "memory": ContainerSpec(mem_limit=64 << 20),
        "cpus": ContainerSpec(cpus=0.5),
        "cpuset": ContainerSpec(cpuset=(processor,)),
        "pids": ContainerSpec(pids_limit=100),
    }
    for name, spec in specs.items():
        try:
            planned = choose(demands(spec), name=f"mydocker-doctor-{os.getpid()}", rootless=host.rootless)
            with Cgroups(planned, run_dir=run_dir):
                detail = f"cgroup v{planned[0].version}"
            yield HostCheck(name=f"limit {name}", state=OK, detail=detail)
        except MydockerError as error:
            yield HostCheck(name=f"limit {name}", state=MISSING, detail=error.message, hint=error.hint)


def _seccomp() -> HostCheck:
    try:
        open_library()
    except HostError as error:
        return HostCheck(name="seccomp", state=MISSING, detail=error.message, hint=error.hint)
    return HostCheck(name="seccomp", state=OK, detail="libseccomp compiles the filters")


def _network(host: Host, store: Store) -> Iterator[HostCheck]:
    is_private, detail, hint = network.default_network(host)
    yield HostCheck(name="network", state=OK if is_private else WEAKER, detail=detail, hint=hint)
    if is_private and not host.rootless and (found := network.obstacle(store.networks)):
        yield HostCheck(name="forwarding", state=WEAKER, detail=found[0], hint=found[1])


def _firewalls(store: Store) -> Iterator[HostCheck]:
    """Those of networks in use, which are restored if they were emptied; nothing if none was."""
    try:
        restored = emptied.restore(store.networks)
    except MydockerError as error:
        yield HostCheck(name="firewall", state=WEAKER, detail=error.message, hint=error.hint)
        return
    if restored:
        detail = f"rules of networks in use were missing, and are in place again: {', '.join(restored)}"
        hint = "a restart of the host's firewall removes them: run 'mydocker doctor' after it"
        yield HostCheck(name="firewall", state=WEAKER, detail=detail, hint=hint)


def _strays(store: Store) -> HostCheck:
    try:
        found = strays.find(store.networks)
    except MydockerError as error:
        return HostCheck(name="strays", state=WEAKER, detail=error.message, hint=error.hint)
    if not found:
        return HostCheck(name="strays", state=OK, detail="nothing is left of networks that no container uses")
    unknown = [each.name for each in found if each.kind == "bridge" and not each.directory]
    hint = f"'ip link delete {unknown[0]}' removes a bridge of an unknown store" if unknown else "see 'mydocker prune'"
    detail = f"left of networks that no container uses: {', '.join(map(str, found))}"
    return HostCheck(name="strays", state=WEAKER, detail=detail, hint=hint)


def _platforms() -> HostCheck:
    """Whose programs a handler runs; the kernel finds it in the container only with flag F ("binfmt-misc.rst")."""
    handled = sorted(handled_machines())
    host = Platform.host().architecture
    if not handled:
        return HostCheck(name="platforms", state=OK, detail=f"{host}; for others, install qemu-user-static")
    lacking = ", ".join(name for name, fixed in handled if not fixed)
    detail = ", ".join([host, *(name for name, fixed in handled if fixed)])
    if not lacking:
        return HostCheck(name="platforms", state=OK, detail=detail)
    detail, hint = f"{detail}; not in containers: {lacking}", f"register the handler of {lacking} with flag F"
    return HostCheck(name="platforms", state=WEAKER, detail=detail, hint=hint)
