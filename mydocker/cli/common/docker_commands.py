"""Docker's commands that mydocker has under another name, and what to do in place of those that it lacks."""

from __future__ import annotations

RENAMED = {"info": "doctor", "ls": "ps", "list": "ps"}
_SAME = (
    "attach", "commit", "cp", "create", "diff", "exec", "export", "inspect", "kill", "logs", "pause",
    "port", "prune", "rename", "restart", "rm", "run", "start", "stats", "stop", "top", "unpause",
    "wait",
)  # fmt: skip
GROUPS = {  # `docker image ls` and the like: the command of mydocker that does it
    "image": {
        "build": "build",
        "history": "history",
        "inspect": "inspect",
        "load": "load",
        "ls": "images",
        "list": "images",
        "prune": "prune",
        "pull": "pull",
        "push": "push",
        "rm": "rmi",
        "remove": "rmi",
        "save": "save",
        "tag": "tag",
    },
    "container": {
        **{name: name for name in _SAME},
        "ls": "ps",
        "list": "ps",
        "ps": "ps",
        "remove": "rm",
    },
    **dict.fromkeys(("builder", "buildx"), {"build": "build"}),
    "system": {"df": "df", "info": "doctor", "prune": "prune"},
}

_COPY = "mount a directory to exchange files with a container, as in 'mydocker run -v \"$PWD/out:/out\" IMAGE ...'"
_BUILD = "'mydocker build' builds an image, and 'mydocker compose build' those of a Compose file"
_LIMITS = "set limits when the container starts, with the options --memory, --cpus and --pids-limit of 'mydocker run'"
_CLUSTER = "mydocker runs containers on this machine only: 'mydocker up' runs those of a spec file"
_NO_DAEMON = "there is no daemon to configure or to watch: 'mydocker doctor' shows what this host can do"
_POD = "'mydocker up' runs several containers that find each other by name, with depends_on in a spec file"
_INDEX = "'skopeo inspect --raw docker://IMAGE' shows the index of an image, 'mydocker lock' writes down its digests"

INSTEAD = {
    **dict.fromkeys(("mount", "unmount", "umount"), _COPY),
    "import": "'mydocker run --rootfs DIR COMMAND' runs a directory in place of an image",
    **dict.fromkeys(("bake", "farm"), _BUILD),
    "update": _LIMITS,
    "search": "search on the web page of the registry, such as https://hub.docker.com",
    **dict.fromkeys(("swarm", "node", "service", "stack"), _CLUSTER),
    **dict.fromkeys(("secret", "configs"), "set configs or secrets in a spec file"),
    **dict.fromkeys(("events", "context", "plugin", "machine"), _NO_DAEMON),
    **dict.fromkeys(("pod", "play", "kube", "generate"), _POD),
    **dict.fromkeys(("manifest", "trust"), _INDEX),
    "healthcheck": "set healthcheck in a spec file, and health: healthy in expect",
    **dict.fromkeys(("checkpoint", "restore"), "--keep keeps what a container writes, and 'mydocker diff' shows it"),
    **dict.fromkeys(("scout", "sbom"), "'mydocker save -o image.tar IMAGE' writes an archive, which other tools scan"),
    "unshare": "'mydocker run --rootfs / COMMAND' runs a command in namespaces on this machine's own files",
}
