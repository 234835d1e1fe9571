"""Names that mydocker knows and does not support yet, and the nearest known name to one that is unknown.

Used only for a name that is not in the table of fields: a name here that the table supports by now does no harm.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# other keys of Compose
_KEYS = """
    annotations cgroup_parent cpu_count cpu_percent cpu_rt_period cpu_rt_runtime credential_spec develop
    external_links isolation links models provider pull_refresh_after storage_opt use_api_socket
"""
_OF_COMPOSE = "attach deploy scale version"  # what makes sense in a Compose file alone

# flags of `docker run` and `podman run` that would have a meaning here
_FLAGS = """
    -q --annotation --cgroup-parent --cpuset-mems --detach-keys --isolation --kernel-memory --link
    --quiet --sig-proxy --storage-opt --volume-driver
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

_MANY = 100  # names, with each of which a word can still be compared
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_STEM = 3  # letters that a prefix of a name needs to count as that name
_ALIKE = 0.7  # difflib's ratio for a few typing mistakes; words that only share letters have less


def nearest(text: str, known: Collection[str]) -> str | None:
    """The known name most like TEXT, or None if none is like it.

    Of many names, such as the services of a large file, only one that is a single typing mistake away is found. If
    KNOWN is a set or a mapping, the time for that does not depend on its size.
    """
    dashes = text[: len(text) - len(text.lstrip("-"))]  # which make all flags alike
    bare = text[:64].removeprefix(dashes)
    names = known if isinstance(known, set | frozenset | dict) else set(known)
    slip = next((dashes + each for each in _slips(bare) if dashes + each in names), None)
    if slip or len(known) > _MANY:
        return slip
    from difflib import get_close_matches

    own = [name.removeprefix(dashes) for name in known if name.startswith(dashes)]
    # `network` for net, `env` for environment
    stems = sorted((name for name in own if _is_stem(name, bare)), key=len)
    found = get_close_matches(bare, own, n=1, cutoff=_ALIKE) or stems
    return dashes + found[0] if found else None


def _is_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _STEM and long.startswith(short)


def _slips(text: str) -> Iterator[str]:
    """The words that TEXT is one letter away from: one too many, two in the wrong order, another one, one too few.

    A short word with another letter is another word.
    """
    halves = [(text[:at], text[at:]) for at in range(len(text) + 1)]
    if len(text) >= _STEM:
        yield from (before + after[1:] for before, after in halves if after)
        yield from (before + after[1] + after[0] + after[2:] for before, after in halves if len(after) > 1)
        yield from (before + letter + after[1:] for before, after in halves if after for letter in _LETTERS)
    yield from (before + letter + after for before, after in halves for letter in _LETTERS)
