"""A LaunchPlan as a POSIX shell script of util-linux lines, to be read, and run by root, without mydocker.

Two scripts in one: the outer one makes the run's directory and the namespaces, the inner one, a here-document, builds
the tree, gives up privileges and becomes the command. Comments list what no shell can do.
"""

from __future__ import annotations

import os
import shlex

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.explain import networks
from mydocker.runtime.explain.steps import Script, functions_of, secret_name
from mydocker.runtime.launch.child import NETWORK_SETTINGS
from mydocker.runtime.plan import LOCALHOST
from mydocker.runtime.plan.operations import IMAGE, LINKS, OPTIONS_LIMIT
from mydocker.runtime.plan.propagation import Propagating
from mydocker.runtime.plan.root import BareRoot, LayeredRoot, overlay_options
from mydocker.runtime.plan.volume_mounts import InlineFile
from mydocker.specs.values.capability import mask, names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.image.model import ImageFile
    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.plan import LaunchPlan

END = "END_OF_INNER_SCRIPT"
INNER_USER = """\
# The user, from the image's own accounts: the fields of its line in /etc/passwd
account() {
    at "$1"
    [ ! -f "$t" ] || awk -F: -v want="$2" '$1 "" == want "" || $3 "" == want "" { print; exit }' "$t"
}
line=$(account /etc/passwd "$user")
IFS=: read -r name _ uid gid _ home _ <<LINE
$line
LINE
if [ -z "$line" ]; then
    case $user in *[!0-9]*) echo "unable to find user $user in the image" >&2; exit 125 ;; esac
    uid=$user gid=0
fi
number() { # of group $1
    found=$(account /etc/group "$1" | cut -d: -f3)
    case $found$1 in *[!0-9]*) [ -n "$found" ] || { echo "unable to find group $1 in the image" >&2; exit 125; } ;; esac
    echo "${found:-$1}"
}"""
UNIQUE = "groups=$(echo \"$gid,$groups\" | tr , '\\n' | awk 'NF && !seen[$0]++' | paste -sd,)"
IN_RANGE = """\
for id in "$uid" "$gid" $(echo "$groups" | tr , ' '); do
    case $id in
    '' | *[!0-9]* | ???????????*) id=-1 ;;
    esac
    [ "$id" -ge 0 ] && [ "$id" -le 2147483647 ] || { echo "an id of the image is out of range" >&2; exit 125; }
done"""
MEMBERSHIPS = """\
at /etc/group
[ -z "$line" ] || [ ! -f "$t" ] || groups=$(awk -F: -v name="$name" '
    index("," $4 ",", "," name ",") { print $3 }' "$t" | paste -sd,)"""


def shell_script(plan: LaunchPlan) -> str:
    """The script of PLAN. Raises LaunchError for what is not expressible: maps of ids."""
    if plan.rootless:
        raise LaunchError("only what root would run can be shown as a shell script", hint="try it as root")
    if plan.own_ids:
        raise LaunchError(
            "a user namespace of its own cannot be shown as a shell script: idmapped mounts take a program",
            hint="leave userns_mode, uidmap and gidmap out",
        )
    if not plan.argv:
        raise LaunchError("there is no command, so there is nothing for a shell script to run")
    if plan.pre_start:
        raise LaunchError("the commands of pre_start cannot be shown in a shell script yet", hint="leave them out")
    inner = list(_inner(plan))
    end = END
    while any(end in line.split("\n") for line in inner):
        end += "_"
    connected = networks.lines(plan) if plan.networks else ()
    lines = [
        *_head(plan),
        *_limits(plan),
        *connected,
        f"cat > \"$run/inner\" <<'{end}'",
        *inner,
        end,
        "",
        *_unshare(plan),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: LaunchPlan) -> Iterator[str]:
    yield "#!/bin/sh"
    needs = "util-linux and iproute2" if plan.loopback else "util-linux"
    needs = "util-linux, iproute2 and nftables" if plan.networks else needs
    yield f"# Runs one container without mydocker, as root. Needs {needs}."
    yield from (f"# Not done here, as no shell can: {step}." for step in _beyond(plan))
    yield "set -eu"
    yield "umask 0022"
    yield ""
    yield "# The directory of this run, removed at the end"
    parent = plan.store if plan.containers.startswith(f"{plan.store}/") else "/run"  # if they cannot be in the store
    yield f'run=$(realpath "$(mktemp -d -p {shlex.quote(parent)} by-hand.XXXXXX)")'
    if plan.networks:
        yield from networks.take_down(plan)
    yield f"trap {shlex.quote(_clean_up(plan))} EXIT"
    yield "trap 'exit 130' INT; trap 'exit 143' TERM"
    yield 'mkdir -m 755 "$run/memory" "$run/scratch"'
    yield "export run"
    for step in plan.operations:
        if isinstance(step, InlineFile) and (name := secret_name(step)):
            yield f": ${{{name}?set it to the content of {shlex.quote(step.target)}}}; export {name}"
    for volume in plan.volumes:
        yield f"mkdir -p {shlex.quote(volume)}/data; : >> {shlex.quote(volume)}/lock"
    yield ""


def _clean_up(plan: LaunchPlan) -> str:
    """What is done at the end, besides removing cgroups."""
    return "; ".join([*([networks.TAKE_DOWN] if plan.networks else []), 'rm -rf "$run"'])


def _beyond(plan: LaunchPlan) -> Iterator[str]:
    if plan.seccomp:
        yield "the system call filter (seccomp)"
    yield "a separate session keyring"
    yield "the process that cleans up after kill -9, and the forwarding of signals"
    if plan.exec_label:
        yield "the AppArmor profile or the SELinux label"
    if plan.tty:
        yield "a separate terminal for the container (it has yours)"
    if plan.init:
        yield "the small init before the command (--init)"
    if any(isinstance(step, Propagating) and step.propagation == "shared" for step in plan.operations):
        yield "mounts in a shared volume that reach the host (they do not)"
    if plan.timeout is not None:
        yield f"the end after {plan.timeout:g} seconds (--timeout)"
    yield from networks.beyond(plan)
    if missing := _outlasting(plan):
        yield f"dropping {', '.join(missing)}, which entering the new root needs after setpriv"


def _outlasting(plan: LaunchPlan) -> list[str]:
    """The capabilities that are not granted, but needed between setpriv and the command."""
    needed = mask("SYS_CHROOT") | (mask("SETUID") if plan.user.user not in (0, "root") else 0)
    return names(needed & ~plan.capabilities)


def _etc(plan: LaunchPlan) -> Iterator[str]:
    if plan.networks:
        yield networks.RESOLVERS
    yield from networks.hosts(plan) if plan.networks else _hosts(plan)
    if plan.joined:
        yield "# A link would lead to the host's"
        yield f"etc=/proc/$(readlink {shlex.quote(plan.joined)}/process)/root/etc"
        yield 'joined() { [ ! -L "$etc" ] && [ ! -L "$etc/$1" ] && [ -f "$etc/$1" ] && cat "$etc/$1"; }'
        yield '! joined hosts > "$run/memory/other" || cat "$run/memory/other" > "$run/memory/hosts"'
    yield f'echo {shlex.quote(plan.hostname)} > "$run/memory/hostname"'
    source = "cat /etc/resolv.conf 2>/dev/null"
    if plan.joined:
        source = f"{{ joined resolv.conf || {source}; }}"
    elif plan.networks:
        source = "resolvers"
    if lines := plan.resolver_lines:
        kept = f"{source} | grep -vE '^[[:space:]]*({'|'.join(lines)})([[:space:]]|$)' || :"
        search, more = shlex.quote(lines.pop("search", "")), shlex.quote("".join(lines.values()))
        source = f"{{ printf %s {search}; {kept}; printf %s {more}; }}"
    yield f'{source} > "$run/{"" if plan.networks else "memory/"}resolv.conf" || :'


def _hosts(plan: LaunchPlan) -> Iterator[str]:
    names = "".join(f"{address}\t{name}\n" for name, address in plan.extra_hosts)
    localhost = f"printf %s {shlex.quote(LOCALHOST)}"
    first = localhost if plan.loopback else f"cat /etc/hosts 2>/dev/null || {localhost}"
    more, host_line = shlex.quote(names), shlex.quote(f"127.0.1.1\t{plan.host_names}\n")
    known = "" if plan.loopback else f"grep -qsw -- {shlex.quote(plan.hostname)} /etc/hosts || "
    yield f'{{ {first}; printf %s {more}; {known}printf %s {host_line}; }} > "$run/memory/hosts"'


def _limits(plan: LaunchPlan) -> Iterator[str]:
    """Its cgroups; a subshell joins them, so that they are empty, and can be removed, when it has ended."""
    for cgroup in _limiting(plan):
        path, parent = shlex.quote(cgroup.path), shlex.quote(os.path.dirname(cgroup.path))
        if cgroup.leave:
            leave = shlex.quote(cgroup.leave)
            yield f"mkdir -p {leave}"
            yield f'for pid in $(cat {parent}/cgroup.procs); do echo "$pid" > {leave}/cgroup.procs; done'
        for controller in cgroup.enable:
            yield f"echo +{controller} > {parent}/cgroup.subtree_control"
        yield f"mkdir {path}"
        for setting in cgroup.settings:
            there = f"[ ! -e {path}/{setting.file} ] || " if setting.optional else ""
            yield f"{there}echo {shlex.quote(setting.value)} > {path}/{setting.file}"
    if _limiting(plan):
        paths = " ".join(shlex.quote(cgroup.path) for cgroup in _limiting(plan))
        yield f"trap {shlex.quote(f'{_clean_up(plan)}; rmdir {paths}')} EXIT"
        yield ""


def _limiting(plan: LaunchPlan) -> tuple[Cgroup, ...]:
    """Without the one that only groups processes to be killed together, which the script never does."""
    return tuple(cgroup for cgroup in plan.cgroups if not cgroup.optional)


def _unshare(plan: LaunchPlan) -> Iterator[str]:
    yield "# New namespaces" + ("; --fork makes the inner script process 1" if "pid" in plan.namespaces else "")
    own = [name for name in plan.namespaces if name != "net" or not plan.networks]
    words = [*networks.enter(plan), "unshare", *(f"--{name}" for name in own)]
    if "mount" in plan.namespaces:
        words.append("--propagation=slave")
    words += ["--fork", "--kill-child"] if "pid" in plan.namespaces else []
    line = " ".join([*words, "sh", '"$run/inner"'])
    if _limiting(plan):
        join = "; ".join(f"echo 0 > {shlex.quote(cgroup.path)}/cgroup.procs" for cgroup in _limiting(plan))
        line = f"( {join}; exec {line} )"
    if plan.stdin is not None:
        line = f"printf %s {shlex.quote(plan.stdin)} | {line}"
    elif not plan.stdin_open:
        line += " < /dev/null"
    yield "code=0"
    yield f"{line} || code=$?"
    yield 'exit "$code"'


def _inner(plan: LaunchPlan) -> Iterator[str]:
    script = Script(plan.run_dir)
    for operation in plan.operations:
        script.add(operation)
    steps = [*_root(plan), "", "# What is mounted in it, in this order", *script.lines]
    yield "set -eu"
    if "uts" in plan.namespaces:
        yield f"hostname {shlex.quote(plan.hostname)}"
        if plan.domainname:
            yield f"echo {shlex.quote(plan.domainname)} > /proc/sys/kernel/domainname"
    if plan.oom_score_adj is not None:
        yield f"echo {plan.oom_score_adj} > /proc/self/oom_score_adj"
    if plan.loopback:
        yield "ip link set lo up"
        for name, value in NETWORK_SETTINGS:
            yield f"echo {shlex.quote(value.decode())} > /proc/sys/net/ipv4/{name} || :"
    yield ""
    rest = [*steps, "", *_user(plan), "", *_command(plan)]
    yield from functions_of("\n".join(rest))
    yield ""
    yield from rest


def _root(plan: LaunchPlan) -> Iterator[str]:
    root = plan.root
    if isinstance(root, BareRoot):
        yield f"root={shlex.quote(os.path.realpath(root.path))}"
        return
    yield "# The new root, and files for its /etc"
    yield 'mount -t tmpfs -o mode=755,nodev none "$run/memory"'
    yield from _etc(plan)
    yield 'root=$run/memory/root; mkdir "$root"'
    if not isinstance(root, LayeredRoot):
        yield 'mount -t tmpfs -o mode=755,nodev none "$run/scratch"'
        yield 'mount -t tmpfs -o mode=755,nodev none "$root"'
        return
    if root.in_memory:
        yield 'mount -t tmpfs -o mode=755,nodev none "$run/scratch"'
    yield 'mkdir "$run/scratch/upper" "$run/scratch/work"'
    if root.file:
        yield from _image_file(root.file)
    top = shlex.quote(root.lowerdirs[-1])
    if root.keep_mode:
        yield f'chmod --reference={top} "$run/scratch/upper"; chown --reference={top} "$run/scratch/upper"'
    yield from _overlay(root)


def _image_file(file: ImageFile) -> Iterator[str]:
    """The image, for the overlay below."""
    yield f'mkdir "$run/scratch/{IMAGE}"'
    yield f'mount -t {file.kind} -o loop,ro,nodev {shlex.quote(file.path)} "$run/scratch/{IMAGE}"'


def _overlay(root: LayeredRoot) -> Iterator[str]:
    """The layers by name, topmost first, since mount(2) takes a page of options."""
    common = os.path.dirname(os.path.commonpath([f"{path}/." for path in root.lowerdirs]).rstrip("/") + "/.")
    if len(root.lowerdirs) == 1:
        common = os.path.dirname(common)
    layers = [os.path.relpath(path, common) for path in reversed(root.lowerdirs)]
    stack = ":".join(layer.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for layer in layers)
    yield 'cd "$run/scratch"' if root.file else f"cd {shlex.quote(common)}"
    if len(os.fsencode(stack)) > OPTIONS_LIMIT - 300:
        yield f'mkdir "$run/scratch/{LINKS}"; n=0'
        yield f"for layer in {' '.join(shlex.quote(layer) for layer in layers)}; do"
        yield f'    ln -s "$PWD/$layer" "$run/scratch/{LINKS}/$n"; n=$((n + 1))'
        yield "done"
        yield f'cd "$run/scratch/{LINKS}"'
        stack = ":".join(str(number) for number in range(len(layers)))
    extra = overlay_options(user_xattrs=root.user_xattrs)
    options = f'nodev,lowerdir={shlex.quote(stack)},upperdir="$run"/scratch/upper,workdir="$run"/scratch/work{extra}'
    yield f'LIBMOUNT_FORCE_MOUNT2=always mount -t overlay -o {options} overlay "$root"'


def _user(plan: LaunchPlan) -> Iterator[str]:
    yield f"set -f; user={shlex.quote(str(plan.user.user))} groups="
    yield INNER_USER
    if plan.user.group is not None:
        yield f"gid=$(number {shlex.quote(str(plan.user.group))})"
    else:
        yield MEMBERSHIPS
    for group in plan.groups:
        yield f'groups="${{groups:+$groups,}}$(number {shlex.quote(str(group))})"'
    yield UNIQUE
    yield IN_RANGE


def _command(plan: LaunchPlan) -> Iterator[str]:
    """setpriv gives up what it can while the host's programs are in sight; then unshare does the rest."""
    yield "# Into the new root, with the capabilities that are granted, as the user, to the command"
    yield f"dir {shlex.quote(plan.working_dir)}"
    yield "setsid=$(command -v setsid) setpriv=$(command -v setpriv) unshare=$(command -v unshare)"
    yield 'cd "$root"'
    if "mount" in plan.namespaces:
        yield "mount --move . /"
    for name, (soft, hard) in plan.ulimits.items():
        limits = ":".join("unlimited" if x < 0 else str(x) for x in (soft, hard))
        yield f"prlimit --pid $$ --{name}={limits}"
    if plan.umask != 0o022:
        yield f"umask {plan.umask:04o}"
    environment = {name: value for name, value in plan.environment.items() if name != "HOME" or value}
    assigned = [shlex.quote(f"{name}={value}") for name, value in environment.items()]
    home = [] if "HOME" in environment else ['"HOME=${home:-/}"']
    yield "exec env -i --default-signal -- " + " ".join([*home, *assigned]) + " \\"
    if "pid" in plan.namespaces:
        yield '    "$setsid" \\'
    granted = [*names(plan.capabilities), *_outlasting(plan)]
    bounding = ",".join(["-all", *(f"+{name.lower()}" for name in granted)])
    nnp = " --no-new-privs" if plan.no_new_privileges else ""
    yield f'    "$setpriv" --bounding-set={bounding} \\'
    yield f"    --inh-caps=-all --ambient-caps=-all{nnp} \\"
    yield '    --regid="$gid" $([ -n "$groups" ] && echo "--groups=$groups" || echo --clear-groups) \\'
    words = " ".join(shlex.quote(word) for word in plan.argv)
    yield f'    "$unshare" --root=. --wd={shlex.quote(plan.working_dir)} --setuid="$uid" -- {words}'
