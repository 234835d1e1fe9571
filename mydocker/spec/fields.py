"""The one table of fields: a row for each thing that a container can have.

From these rows alone come the parser of `mydocker run`, the keys of a spec file and `run --help`, so
no flag can exist without its key and no key without its flag. The order of the rows is the order of
precedence: where two rows fill one attribute, the later one wins. Two rows with one key are two notations of
it on the command line.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record
from mydocker.spec import words
from mydocker.spec.container import ContainerSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mydocker.spec.words import Place


class Field(Record):
    """One row. `name` is the attribute of ContainerSpec, `key` the word in YAML.

    Without flags it is an argument by place, or something that only a file can say.
    """

    name: str
    key: str
    flags: tuple[str, ...] = ()
    metavar: str = ""  # of the flag's value; empty for a switch
    shape: str = "text"  # what YAML may hold: text, boolean, words, list, pairs, or a shape of the key's own
    parse: Callable[[str, Place], Any]  # one word of the command line -> a value
    merge: str = "replace"  # a second value: replace, append (tuples) or update (mappings)
    group: str
    help: str

    @property
    def default(self) -> object:
        """What the container has when neither a flag nor a key says otherwise."""
        return getattr(ContainerSpec, self.name)

    @property
    def repeatable(self) -> bool:
        return self.merge != "replace"


class Switch(Record):
    """A flag of `run` that says nothing about the container, and so has no key."""

    flags: tuple[str, ...]
    metavar: str = ""  # of its value; empty: it is true or false
    help: str


FIELDS = (
    Field(
        name="name",
        key="name",
        flags=("--name",),
        metavar="NAME",
        shape="title",
        parse=words.name,
        group="what to run",
        help="Name of the container, for messages",
    ),
    Field(
        name="image",
        key="image",
        metavar="IMAGE",
        parse=words.image,
        group="what to run",
        help="Image, such as alpine:3.20 or ghcr.io/user/app, perhaps with @sha256:DIGEST",
    ),
    Field(
        name="rootfs",
        key="rootfs",
        flags=("--rootfs",),
        metavar="DIR",
        parse=words.path,
        group="what to run",
        help="Run on this directory, copy-on-write, in place of an image; / is this machine's own tree",
    ),
    Field(
        name="platform",
        key="platform",
        flags=("--platform",),
        metavar="OS/ARCH",
        parse=words.platform,
        group="what to run",
        help="Platform of a multi-platform image, such as linux/arm64",
    ),
    Field(
        name="pull_policy",
        key="pull_policy",
        flags=("--pull",),
        metavar="WHEN",
        parse=words.pull_policy,
        group="what to run",
        help="Pull the image: missing, always or never",
    ),
    Field(
        name="labels",
        key="labels",
        flags=("-l", "--label"),
        metavar="NAME=VALUE",
        shape="pairs",
        parse=words.label,
        merge="update",
        group="what to run",
        help="Label of the container",
    ),
    Field(
        name="entrypoint",
        key="entrypoint",
        flags=("--entrypoint",),
        metavar="PROGRAM",
        shape="words",
        parse=words.entrypoint,
        group="process",
        help="Run this program in place of the image's entrypoint and command; empty: none",
    ),
    Field(
        name="command",
        key="command",
        metavar="COMMAND",
        shape="words",
        parse=words.text,
        merge="append",
        group="process",
        help="Command, in place of the image's",
    ),
    Field(
        name="command",
        key="args",
        metavar="ARG",
        shape="words",
        parse=words.text,
        merge="append",
        group="process",
        help="Arguments; in a file that has args, command is the program",
    ),
    Field(
        name="environment",
        key="env_file",
        flags=("--env-file",),
        metavar="FILE",
        shape="env_files",
        parse=words.env_file,
        merge="update",
        group="process",
        help="Read environment variables from a file",
    ),
    Field(
        name="environment",
        key="environment",
        flags=("-e", "--env"),
        metavar="NAME[=VALUE]",
        shape="pairs",
        parse=words.variable,
        merge="update",
        group="process",
        help="Environment variable; NAME alone copies it from here",
    ),
    Field(
        name="user",
        key="user",
        flags=("-u", "--user"),
        metavar="USER[:GROUP]",
        parse=words.user,
        group="process",
        help="User and group, names or numbers of the image",
    ),
    Field(
        name="group_add",
        key="group_add",
        flags=("--group-add",),
        metavar="GROUP",
        shape="list",
        parse=words.group,
        merge="append",
        group="process",
        help="One more group of the command, a name or a number of the image",
    ),
    Field(
        name="umask",
        key="umask",
        flags=("--umask",),
        metavar="MASK",
        parse=words.umask,
        group="process",
        help="Permissions that new files lack, octal (default: 0022)",
    ),
    Field(
        name="working_dir",
        key="working_dir",
        flags=("-w", "--workdir"),
        metavar="DIR",
        parse=words.working_dir,
        group="process",
        help="Working directory in the container; made if missing",
    ),
    Field(
        name="timeout",
        key="timeout",
        flags=("--timeout",),
        metavar="DURATION",
        parse=words.timeout,
        group="process",
        help="Stop the container after this time, such as 90s or 1m30s; exit code 124",
    ),
    Field(
        name="stop_signal",
        key="stop_signal",
        flags=("--stop-signal",),
        metavar="SIGNAL",
        parse=words.stop_signal,
        group="process",
        help="Signal that asks the command to end (default: the image's, else TERM)",
    ),
    Field(
        name="stop_grace_period",
        key="stop_grace_period",
        flags=("--stop-timeout",),
        metavar="DURATION",
        parse=words.grace,
        group="process",
        help="Time from that signal to killing the container (default: 10s)",
    ),
    Field(
        name="tty",
        key="tty",
        flags=("-t", "--tty"),
        shape="boolean",
        parse=words.boolean,
        group="process",
        help="Give the command a terminal",
    ),
    Field(
        name="stdin_open",
        key="stdin_open",
        flags=("-i", "--interactive"),
        shape="boolean",
        parse=words.boolean,
        group="process",
        help="Pass standard input to the command",
    ),
    Field(
        name="stdin",
        key="stdin",
        flags=("--stdin",),
        metavar="TEXT",
        parse=words.text,
        group="process",
        help="Feed this text to the command's standard input",
    ),
    Field(
        name="init",
        key="init",
        flags=("--init",),
        shape="boolean",
        parse=words.boolean,
        group="process",
        help="Put a process before the command that passes signals on and collects orphans",
    ),
    Field(
        name="volumes",
        key="volumes",
        flags=("-v", "--volume"),
        metavar="[SRC:]DST[:OPTIONS]",
        shape="volumes",
        parse=words.volume,
        merge="append",
        group="files",
        help="Show SRC at DST: a path of the host, or the name of a volume; without SRC, a volume of the container's"
        " own; options ro, rw, O (writes do not reach the host), nocopy, rshared, rslave, rprivate",
    ),
    Field(
        name="volumes",
        key="volumes",
        flags=("--mount",),
        metavar="KEY=VALUE,...",
        shape="volumes",
        parse=words.mount,
        merge="append",
        group="files",
        help="The same in words: type=bind, volume or tmpfs; source, target, readonly, …",
    ),
    Field(
        name="volumes",
        key="tmpfs",
        flags=("--tmpfs",),
        metavar="DST[:OPTIONS]",
        shape="tmpfs",
        parse=words.tmpfs,
        merge="append",
        group="files",
        help="An empty file system in memory at DST; options size, mode, uid, gid, nr_inodes, exec, suid, ro",
    ),
    Field(
        name="read_only",
        key="read_only",
        flags=("--read-only",),
        shape="boolean",
        parse=words.boolean,
        group="files",
        help="Nothing can be written but what is mounted for it",
    ),
    Field(
        name="shm_size",
        key="shm_size",
        flags=("--shm-size",),
        metavar="SIZE",
        parse=words.shm_size,
        group="files",
        help="Size of /dev/shm, such as 1g; without it 64m",
    ),
    Field(
        name="devices",
        key="devices",
        flags=("--device",),
        metavar="SRC[:DST][:rwm]",
        shape="devices",
        parse=words.device,
        merge="append",
        group="files",
        help="A device of the host; in there, too, its mode says who may read and write it",
    ),
    Field(
        name="inject",
        key="inject",
        flags=("--inject",),
        metavar="PROGRAM",
        shape="list",
        parse=words.injected,
        merge="append",
        group="files",
        help="Place this program of the host, read-only, at the same path",
    ),
    Field(
        name="hostname",
        key="hostname",
        flags=("-h", "--hostname"),
        metavar="NAME",
        parse=words.hostname,
        group="isolation",
        help="Host name in the container",
    ),
    Field(
        name="namespaces",
        key="namespaces",
        flags=("--namespaces",),
        metavar="LIST",
        shape="namespaces",
        parse=words.namespaces,
        group="isolation",
        help="Exactly these namespaces are new: mount,pid,uts,ipc,net,cgroup; empty: a bare chroot",
    ),
    Field(
        name="userns_mode",
        key="userns_mode",
        flags=("--userns",),
        metavar="MODE",
        parse=words.userns_mode,
        group="isolation",
        help="User namespace: host, or keep-id (an ordinary user's own ids inside too)",
    ),
    Field(
        name="network_mode",
        key="network_mode",
        flags=("--network", "--net"),
        metavar="MODE",
        parse=words.network_mode,
        group="isolation",
        help="Network: host, or none (lo only)",
    ),
    Field(
        name="extra_hosts",
        key="extra_hosts",
        flags=("--add-host",),
        metavar="NAME:ADDRESS",
        shape="hosts",
        parse=words.extra_host,
        merge="append",
        group="isolation",
        help="Add a line to /etc/hosts",
    ),
    Field(
        name="dns",
        key="dns",
        flags=("--dns",),
        metavar="ADDRESS",
        shape="one_or_more",
        parse=words.address,
        merge="append",
        group="isolation",
        help="Ask this name server, in place of the host's",
    ),
    Field(
        name="namespaces",
        key="pid",
        flags=("--pid",),
        metavar="MODE",
        parse=words.shared_or_not,
        group="isolation",
        help="Processes to see: private, or host",
    ),
    Field(
        name="namespaces",
        key="ipc",
        flags=("--ipc",),
        metavar="MODE",
        parse=words.shared_or_not,
        group="isolation",
        help="Shared memory, semaphores and queues: private, or host",
    ),
    Field(
        name="namespaces",
        key="uts",
        flags=("--uts",),
        metavar="MODE",
        parse=words.shared_or_not,
        group="isolation",
        help="Host name: private, or host",
    ),
    Field(
        name="security_opt",
        key="security_opt",
        flags=("--security-opt",),
        metavar="NAME[=VALUE]",
        shape="list",
        parse=words.security_option,
        merge="append",
        group="isolation",
        help="seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined, apparmor=PROFILE, "
        "label=disable|PART:VALUE",
    ),
    Field(
        name="cap_add",
        key="cap_add",
        flags=("--cap-add",),
        metavar="CAPABILITY",
        shape="list",
        parse=words.capability,
        merge="append",
        group="isolation",
        help="Give one more capability, such as NET_ADMIN; ALL is all that you hold",
    ),
    Field(
        name="cap_drop",
        key="cap_drop",
        flags=("--cap-drop",),
        metavar="CAPABILITY",
        shape="list",
        parse=words.capability,
        merge="append",
        group="isolation",
        help="Take a capability away; ALL takes those not added",
    ),
    Field(
        name="privileged",
        key="privileged",
        flags=("--privileged",),
        shape="boolean",
        parse=words.boolean,
        group="isolation",
        help="Give all capabilities and devices that you have, and lift the walls of /proc and /sys",
    ),
    Field(
        name="sysctls",
        key="sysctls",
        flags=("--sysctl",),
        metavar="NAME=VALUE",
        shape="pairs",
        parse=words.sysctl,
        merge="update",
        group="isolation",
        help="Set a kernel parameter of the container's own: kernel.shm*, net.* and the like",
    ),
    Field(
        name="ulimits",
        key="ulimits",
        flags=("--ulimit",),
        metavar="NAME=SOFT[:HARD]",
        shape="ulimits",
        parse=words.ulimit,
        merge="update",
        group="limits",
        help="Limit of each process, such as nofile=1024:2048; -1 is none",
    ),
    Field(
        name="mem_limit",
        key="mem_limit",
        flags=("-m", "--memory"),
        metavar="SIZE",
        parse=words.memory,
        group="limits",
        help="Memory that the container may use, such as 64m or 1.5g",
    ),
    Field(
        name="memswap_limit",
        key="memswap_limit",
        flags=("--memory-swap",),
        metavar="SIZE",
        parse=words.swap,
        group="limits",
        help="Memory and swap together, -1 for no limit; twice the memory unless given",
    ),
    Field(
        name="cpus",
        key="cpus",
        flags=("--cpus",),
        metavar="NUMBER",
        parse=words.cpus,
        group="limits",
        help="Processors' worth of time, such as 0.5",
    ),
    Field(
        name="cpuset",
        key="cpuset",
        flags=("--cpuset-cpus",),
        metavar="LIST",
        parse=words.cpuset,
        group="limits",
        help="Processors to run on, such as 0-2,5",
    ),
    Field(
        name="pids_limit",
        key="pids_limit",
        flags=("--pids-limit",),
        metavar="NUMBER",
        parse=words.processes,
        group="limits",
        help="Processes and threads at once",
    ),
    Field(
        name="expect",
        key="expect",
        metavar="CHECKS",
        shape="expect",
        parse=words.text,
        group="verdict",
        help="What must be true of the container, for `mydocker test`",
    ),
    Field(
        name="tags",
        key="tags",
        metavar="TAG",
        shape="flow",
        parse=words.text,
        group="verdict",
        help="Words by which `mydocker test --tags` chooses",
    ),
    Field(
        name="skip",
        key="skip",
        metavar="REASON",
        shape="flow",
        parse=words.text,
        group="verdict",
        help="Why `mydocker test` does not run this one; true and false do as well",
    ),
    Field(
        name="retries",
        key="retries",
        metavar="NUMBER",
        shape="flow",
        parse=words.text,
        group="verdict",
        help="How often `mydocker test` tries again what did not pass",
    ),
    Field(
        name="matrix",
        key="matrix",
        metavar="VARIABLES",
        shape="flow",
        parse=words.text,
        merge="update",
        group="verdict",
        help="Variables with lists of values: a container for each combination of them",
    ),
)

DRY_RUN = Switch(flags=("--dry-run",), help="Print what would be done, and do nothing")
HELP = Switch(flags=("--help",), help="Print this text")
REMOVE = Switch(flags=("--rm",), help="Accepted for Docker's sake: a run leaves nothing behind")
RESULT = Switch(flags=("--result",), metavar="FILE", help="Write how it ended to FILE, as a line of JSON")
SWITCHES = (REMOVE, RESULT, DRY_RUN, HELP)
