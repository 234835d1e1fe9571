"""Each operation of a LaunchPlan as lines of shell: the table behind `mydocker explain --shell`.

The lines run as root in the mount namespace, before the root changes. `$root` is the new root, `$run` the directory of
the run; the functions that they call are in FUNCTIONS, of which a script gets those that it needs.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable

from mydocker import kernel
from mydocker.runtime.cdi.hook import Hook
from mydocker.runtime.join.shared_memory import SharedMemory
from mydocker.runtime.plan.devices import ChosenDevice, HostDevices, MatchingDevices
from mydocker.runtime.plan.machine_tree import EmptyPart
from mydocker.runtime.plan.operations import (
    Bind,
    CopyOnWrite,
    DeviceNode,
    Directory,
    Filesystem,
    HostProgram,
    Mask,
    MissingLink,
    Operation,
    ReadOnly,
    Symlink,
)
from mydocker.runtime.plan.sysctls import Parameter
from mydocker.runtime.plan.volume_mounts import INLINE_FILE, Fill, InlineFile, Keep, Seal, Tmpfs, VolumeBind
from mydocker.runtime.volume.filesystem import MountedFilesystem

FLAGS = {
    kernel.ATTR_RDONLY: "ro",
    kernel.ATTR_NOSUID: "nosuid",
    kernel.ATTR_NODEV: "nodev",
    kernel.ATTR_NOEXEC: "noexec",
    kernel.ATTR_NOATIME: "noatime",
    kernel.ATTR_STRICTATIME: "strictatime",
}

SECRETS = "/run/secrets/"
FUNCTIONS = {  # in order: each calls only those above it
    "at": """\
# set $t to the host's path of path $1 in the container; refuse a link that leads out of the image
at() {
    t=$(realpath -m -- "$root/$1"; echo .)  # $(...) drops line ends, which a name may end with
    t=${t%??}
    case $t/ in "$root"/*) ;; *) echo "$1: a link leads out of the image" >&2; exit 125 ;; esac
}""",
    "dir": """\
dir() { at "$1"; mkdir -p -- "$t"; }""",
    "file": """\
file() { at "$1"; dir_of_file=${t%/*}; mkdir -p -- "$dir_of_file"; [ -e "$t" ] || : > "$t"; }""",
    "restrict": """\
# add mount options $1 to those that the mount at $t and (with $2) those below it have
restrict() {
    top=$(findmnt -no ID -M "$t" | tail -n 1)  # the last is that on top of the others
    mounts=$(awk -v all="${2-}" -v top="$((top))" '  # proc(5), mountinfo: a name has its blanks as \\040
        { parent[$1] = $2; name[$1] = $5; options[$1] = $6; order[NR] = $1 }
        END { for (n = 1; n <= NR; n++) {
            id = order[n]
            while (all && id in parent && id != top && id != parent[id]) id = parent[id]
            if (id == top) { gsub(/\\\\/, "\\\\0", name[order[n]]); print options[order[n]], name[order[n]] }
        } }' /proc/self/mountinfo)
    printf '%s\\n' "$mounts" | while read -r has each; do
        each=$(printf %b. "$each")
        mount -o "remount,bind,$has,$1" "${each%.}"
    done
}""",
    "bind": """\
# mount $1 of the host at $2, with more mount options $3; $4: bind or rbind, $5: propagation
bind() {
    if [ -d "$1" ]; then dir "$2"; else file "$2"; fi
    mount "--${4:-bind}" -- "$1" "$t"
    mount "--make-${5:-private}" -- "$t"
    [ -z "$3" ] || restrict "$3" ${4:+recursive}
}""",
    "hide": """\
hide() {
    at "$1"
    if [ -d "$t" ]; then mount -t tmpfs -o size=0,ro,nosuid,nodev,noexec none "$t"
    elif [ -e "$t" ]; then mount --bind /dev/null "$t"; fi
}""",
    "lock": """\
lock() {
    at "$1"
    [ ! -e "$t" ] || { mount --rbind "$t" "$t"; restrict ro,nosuid,nodev,noexec recursive; }
}""",
    "device": """\
# device $1 of the host, which must be the one with numbers $2
device() {
    [ "$(stat -c %F:%t:%T -- "$1")" = "character special file:$2" ] || { echo "$1 is not $2" >&2; exit 125; }
    file "$1"; mount --bind "$1" "$t"
}""",
    "devices": """\
# device $1 of the host at $2; of a directory everything in it, but what the container has its own of
devices() {
    find "$1" \\( -type b -o -type c \\) ! -path '/dev/pts/*' ! -path /dev/ptmx ! -path /dev/console |
    while IFS= read -r each; do
        file "$2${each#"$1"}"
        if [ "$each" = "$1" ] || [ -f "$t" ]; then mount --bind "$each" "$t"; fi
    done
}""",
    "overlay": """\
# mount directory $1 at $2 copy-on-write; the writes go to $3, $4 are overlay's options, $5 is done where it refuses
overlay() {
    mkdir -p "$3/upper" "$3/work"
    chmod --reference="$1" "$3/upper"; chown --reference="$1" "$3/upper"
    dir "$2"
    (cd "$1"; mount -t overlay -o "nodev,lowerdir=.,upperdir=$3/upper,workdir=$3/work$4" overlay "$t") || eval "$5"
}""",
}


def functions_of(script: str) -> list[str]:
    """The functions that the lines of SCRIPT call, and those that these call, in order."""
    needed: list[str] = []
    for name, text in reversed(FUNCTIONS.items()):
        if re.search(rf"(?m)(^|[;|({{&]|then|do|else) *{name} ", "\n".join([script, *needed])):
            needed.insert(0, text)
    return needed


class Script:
    """The lines of the operations. `quote` makes a shell word of a path, in which RUN_DIR has become `$run`."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = run_dir
        self.lines: list[str] = []

    def quote(self, path: str) -> str:
        """PATH quoted for the shell."""
        if path != self.run_dir and not path.startswith(f"{self.run_dir}/"):
            return shlex.quote(path)
        rest = path[len(self.run_dir) :]
        return f'"$run"{shlex.quote(rest) if rest else ""}'

    def add(self, operation: Operation) -> None:
        """The lines of OPERATION, after a comment where another kind of operation begins."""
        for kind, form in _FORMS.items():
            if isinstance(operation, kind):
                self.lines += form(operation, self.quote)
                return
        raise NotImplementedError(type(operation).__name__)


Word = Callable[[str], str]


def options(attributes: int) -> str:
    """Mount flags as mount(8) names them."""
    return ",".join(name for flag, name in FLAGS.items() if attributes & flag)


def _filesystem(step: Filesystem, quote: Word) -> list[str]:
    named = [f"{name}={value}" if value is not None else name for name, value in step.options]
    flags = ",".join([*named, *filter(None, [options(step.attributes)])])
    option = f" -o {shlex.quote(flags)}" if flags else ""
    return [f'dir {quote(step.target)}; mount -t {step.fstype}{option} {step.source or "none"} "$t"']


def _bind(step: Bind, quote: Word, source: str = "") -> list[str]:
    words = ["bind", source or quote(step.source), quote(step.target), options(step.attributes) or "''"]
    letter = "r" if step.recursive else ""
    if step.recursive or step.propagation != "private":
        words += [f"{letter}bind", f"{letter}{step.propagation}"]
    return [" ".join(words)]


def _volume(step: VolumeBind, quote: Word) -> list[str]:
    if not step.subpath:
        return _bind(step, quote)
    path = quote(f"{step.source}/{step.subpath}")
    top = quote(step.source)
    return [f"case $(realpath -- {path}) in {top}/*) ;; *) exit 125 ;; esac", *_bind(step, quote, path)]


def _program(step: HostProgram, quote: Word) -> list[str]:
    line = f"bind {quote(step.target)} {quote(step.target)} ro,nodev"
    return [line] if step.replace_existing else [f'at {quote(step.target)}; [ -e "$t" ] || {line}']


def _copy_on_write(step: CopyOnWrite, quote: Word) -> list[str]:
    source, target, scratch = quote(step.source), quote(step.target), quote(step.scratch)
    lines = [f"mkdir {scratch}; mount -t tmpfs -o mode=755,nodev none {scratch}"] if step.in_memory else []
    instead = f"bind {source} {target} ro rbind rprivate" if step.or_read_only else "exit 125"
    return [*lines, f"overlay {source} {target} {scratch} {step.options or chr(39) * 2} {shlex.quote(instead)}"]


def _empty(step: EmptyPart, quote: Word) -> list[str]:
    """The upper directory of an overlay gets the mode and owner of the source."""
    below, scratch = quote(f"{step.scratch}/lower"), quote(step.scratch)
    copied = " ".join(f"{program} --reference={quote(step.source)} {below};" for program in ("chmod", "chown"))
    return [f"mkdir -p {below}; {copied} overlay {below} {quote(step.target)} {scratch} {step.options} 'exit 125'"]


def _symlink(step: Symlink, quote: Word) -> list[str]:
    parent, name = os.path.split(step.target)
    return [f'at {quote(parent)}; ln -s -- {quote(step.to)} "$t"/{quote(name)}']


def _missing_link(step: MissingLink, quote: Word) -> list[str]:
    name = quote(os.path.basename(step.target))
    there = f'[ -e "$t"/{name} ] || [ -L "$t"/{name} ]'
    return [f'dir {quote(os.path.dirname(step.target))}; {there} || ln -s -- {quote(step.to)} "$t"/{name}']


def _tmpfs(step: Tmpfs, quote: Word) -> list[str]:
    named = [f"{name}={value}" for name, value in step.options]
    if "mode" not in dict(step.options):
        named.append('mode=$(stat -c %a "$t")')
    flags = ",".join([*named, *filter(None, [options(step.attributes)])])
    return [f'dir {quote(step.target)}; mount -t tmpfs -o "{flags}" none "$t"']


def _keep(step: Keep, quote: Word) -> list[str]:
    return [f'dir {quote(step.target)}; mkdir {quote(step.place)}; mount --bind "$t" {quote(step.place)}']


def _fill(step: Fill, quote: Word) -> list[str]:
    volume = quote(f"{step.path}/data")
    return [f'at {quote(step.target)}; [ ! -d "$t" ] || [ -n "$(ls -A {volume})" ] || cp -a "$t"/. {volume}/']


def secret_name(step: InlineFile) -> str:
    """The shell variable for the content of a secret, which no script prints; "" for other files."""
    name = re.sub("[^A-Za-z0-9]", "_", step.target.removeprefix(SECRETS))
    return f"secret_{name}" if step.secret else ""


def _inline_file(step: InlineFile, quote: Word) -> list[str]:
    mount, path = quote(step.place), quote(f"{step.place}/file")
    name = secret_name(step)
    content = f'"${name}"' if name else shlex.quote(step.content)
    return [
        f"mkdir {mount}; mount -t tmpfs -o mode=755,nodev none {mount}; printf %s {content} > {path}",
        f"chown {step.uid}:{step.gid} {path}; chmod {step.mode:04o} {path}",
        f"bind {path} {quote(step.target)} {options(INLINE_FILE)}",
    ]


def _mounted(step: MountedFilesystem, quote: Word) -> list[str]:
    words = ",".join([*step.options, "nodev"])
    return [
        f"dir {quote(step.target)}; at {quote(step.target)}",
        f'mount -t {step.fstype} -o {quote(words)} {quote(step.device)} "$t"',
    ]


def _parameter(step: Parameter, quote: Word) -> list[str]:
    return [f'at {quote(step.target)}; printf %s {quote(step.value)} > "$t"']


_FORMS: dict[type[Operation], Callable[..., list[str]]] = {  # a subclass comes before its base class
    Filesystem: _filesystem,
    VolumeBind: _volume,
    Bind: _bind,
    HostProgram: _program,
    EmptyPart: _empty,
    CopyOnWrite: _copy_on_write,
    MissingLink: _missing_link,
    Symlink: _symlink,
    Mask: lambda step, quote: [f"hide {quote(step.target)}"],
    ReadOnly: lambda step, quote: [f"lock {quote(step.target)}"],
    DeviceNode: lambda step, quote: [f"device {quote(step.target)} {step.number[0]:x}:{step.number[1]:x}"],
    MatchingDevices: lambda step, quote: [f"# the devices of {step.source} that the rules are about are bound there"],
    HostDevices: lambda step, quote: [f"devices {quote(step.source)} {quote(step.target)}"],
    ChosenDevice: lambda step, quote: [f"devices {quote(step.source)} {quote(step.target)}"],
    Parameter: _parameter,
    InlineFile: _inline_file,
    Keep: _keep,
    Fill: _fill,
    Tmpfs: _tmpfs,
    Directory: lambda step, quote: [f"dir {quote(step.target)}"],
    Hook: lambda step, quote: [
        f"# {step.path} of a CDI file is executed here, with the container's state as its input"
    ],
    SharedMemory: lambda step, quote: [f"# {step.target} is that of the container at {step.run_dir}, by open_tree(2)"],
    MountedFilesystem: _mounted,
    Seal: lambda step, quote: [f"at {quote(step.target)}; restrict ro"],
}
