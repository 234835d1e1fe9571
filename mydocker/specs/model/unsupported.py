"""Names that mydocker knows and does not support yet.

Used only for a name that is not in the table of fields: a name here that the table supports by now does no harm.
"""

from __future__ import annotations

from mydocker.record import Record

# other keys of Compose
_KEYS = """
    annotations cgroup_parent cpu_count cpu_percent cpu_rt_period cpu_rt_runtime credential_spec develop
    external_links isolation links models provider pull_refresh_after storage_opt use_api_socket
"""
OLDER_KEYS = {  # of older formats of Compose, and what has taken their place
    "dockerfile": "write it below build",
    "log_driver": "write logging, with driver",
    "log_opt": "write logging, with options",
    "net": "write network_mode",
    "volume_driver": "declare the volume under volumes at the top of the file, with driver",
}
_OF_COMPOSE = "attach deploy scale version"  # what makes sense in a Compose file alone

# flags of `docker run` and `podman run` that would have a meaning here
_FLAGS = """
    --annotation --cgroup-parent --cpuset-mems --detach-keys --isolation --kernel-memory --link
    --sig-proxy --storage-opt --volume-driver
    --cpu-rt-period --cpu-rt-runtime --disable-content-trust --link-local-ip --use-api-socket
    --arch --authfile --cert-dir --cgroup-conf --cgroups --chrootdirs --conmon-pidfile --creds
    --decryption-key --env-host --env-merge --group-entry --health-log-destination --health-max-log-count
    --health-max-log-size --health-on-failure --health-startup-cmd --health-startup-interval --health-startup-retries
    --health-startup-success --health-startup-timeout --hooks-dir --hostuser --http-proxy --image-volume --init-ctr
    --init-path --no-hostname --no-hosts --os --passwd --passwd-entry --personality --pidfile --pod --pod-id-file
    --preserve-fd --preserve-fds --rdt-class --read-only-tmpfs --replace --requires --retry --retry-delay --rmi
    --sdnotify --seccomp-policy --secret --shm-size-systemd --systemd
    --tls-verify --tz --unsetenv --unsetenv-all --variant
"""

UNSUPPORTED_KEYS = frozenset(_KEYS.split())
COMPOSE_KEYS = frozenset(_OF_COMPOSE.split())
IMAGE_MAKERS = ("provider",)  # in place of an image
UNSUPPORTED_FLAGS = frozenset(_FLAGS.split())


class UnchangingFlag(Record):
    """A flag of `docker run` that is taken with the values with which it changes nothing; without METAVAR, a switch."""

    flags: tuple[str, ...]
    metavar: str = ""
    values: tuple[str, ...]


UNCHANGING = {
    flag: UnchangingFlag(flags=(flag,), metavar=metavar, values=values)
    for flag, metavar, values in (
        ("--cgroup-parent", "TEXT", ("",)),
        ("--cpuset-mems", "TEXT", ("",)),
        ("--detach-keys", "TEXT", ("",)),
        ("--disable-content-trust", "", ("true", "false")),  # which no Docker verifies any more
        ("--isolation", "TEXT", ("", "default")),
        ("--sig-proxy", "", ("true",)),
        ("--volume-driver", "TEXT", ("", "local")),
    )
}

INSTEAD = {  # of flags that are not supported: what to do instead
    "--secret": "a spec file has secrets",
}

INSTEAD_OF_KEYS = {  # of keys that are not supported: what to do instead
    "cgroup_parent": "start mydocker in that cgroup, such as by systemd-run --slice",
    "credential_spec": "leave it out; it is for Windows",
    "develop": "leave it out; only 'docker compose watch' uses it",
    "external_links": "leave it out; containers of one network know each other by name",
    "links": "leave it out; services know each other by name, and depends_on says which starts first",
    "models": "run the model in a service of its own",
    "provider": "start what it provides by other means, and leave the service out",
    "storage_opt": "a tmpfs with a size limits what is written to a directory",
    "use_api_socket": "leave it out; there is no daemon",
}
