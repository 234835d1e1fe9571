"""A server of NFS 4 on this machine, and mounts of what it shares: in the virtual machine of lab.machine, whose kernel
has it as modules."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

MODULES = ("net/sunrpc/sunrpc", "net/sunrpc/auth_gss/auth_rpcgss", "fs/nfs_common/grace", "fs/nfs_common/nfs_acl")
MODULES += ("fs/lockd/lockd", "fs/netfs/netfs", "fs/fscache/fscache", "net/dns_resolver/dns_resolver")
MODULES += ("fs/nfsd/nfsd", "fs/nfs/nfs", "fs/nfs/nfsv4")  # each after those that it needs
OPTIONS = "rw,no_root_squash,fsid=0,insecure,no_subtree_check,async"


@contextmanager
def exported(directory: pathlib.Path) -> Iterator[None]:
    """For the length of the `with`, DIRECTORY is what `mounted` mounts. $MYDOCKER_KERNEL is the unpacked kernel."""
    [kernel] = pathlib.Path(os.environ["MYDOCKER_KERNEL"], "lib/modules").glob("*/kernel")
    for name in MODULES:
        _do("/busybox", "insmod", f"{kernel}/{name}.ko")
    pathlib.Path("/var/lib/nfs/rpc_pipefs").mkdir(parents=True, exist_ok=True)
    _do("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    _do("rpc.mountd", "-N", "2", "-N", "3")  # version 4 alone needs no rpcbind
    _do("exportfs", "-o", OPTIONS, f"127.0.0.1:{directory}")
    _do("rpc.nfsd", "-N", "3", "--no-udp", "2")
    pathlib.Path("/proc/fs/nfsd/v4_end_grace").write_text("Y")  # else nobody gets a lock for 90 s
    try:
        yield
    finally:
        _do("rpc.nfsd", "0")


@contextmanager
def mounted(*, version: str, options: str = "rw") -> Iterator[pathlib.Path]:
    """A mount by a client that shares nothing with one of another VERSION: to the server, that is another machine
    (RFC 8881, 2.4: Linux has the version in its name)."""
    path = pathlib.Path(f"/run/nfs-{version}-{options}")
    path.mkdir()
    with ExitStack() as stack:
        _do("mount", "-t", "nfs4", "-o", f"nosharecache,vers={version},{options}", "127.0.0.1:/", str(path))
        stack.callback(_do, "umount", "-l", str(path))
        yield path


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
