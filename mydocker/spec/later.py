"""Names that mydocker knows and does not have yet, and the nearest known name to one that is unknown.

Only looked at when a word was not understood.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# what Compose has besides
_KEYS = """
    annotations attach blkio_config build cgroup_parent cpu_count cpu_percent cpu_period cpu_quota
    cpu_rt_period cpu_rt_runtime cpu_shares credential_spec develop device_cgroup_rules dns_opt dns_search
    domainname external_links gpus isolation links logging mac_address mem_reservation
    mem_swappiness models networks oom_kill_disable oom_score_adj post_start pre_stop provider runtime
    storage_opt use_api_socket volumes_from
"""

# the flags of `docker run` and `podman run` that have a meaning for a container of ours
_FLAGS = """
    -P -a -c -d -p -q --annotation --attach --blkio-weight --cgroup-parent
    --cidfile --cpu-period --cpu-quota --cpu-shares --cpuset-mems --detach
    --detach-keys --device-cgroup-rule --device-read-bps --device-read-iops --device-write-bps
    --device-write-iops --dns-option --dns-search --domainname --expose --gpus --health-cmd
    --health-interval --health-retries --health-start-period --health-timeout --ip --ip6 --isolation
    --kernel-memory --link --log-driver --log-opt --mac-address --memory-reservation
    --memory-swappiness --network-alias --no-healthcheck --oom-kill-disable --oom-score-adj
    --publish --publish-all --quiet --restart --runtime
    --sig-proxy --storage-opt
    --volume-driver --volumes-from
"""

LATER_KEYS = frozenset(_KEYS.split())
LATER_FLAGS = frozenset(_FLAGS.split())


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like WORD, or None if none is like it."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:64], list(known), n=1, cutoff=0.6)), None)
