"""Store: the images on this machine, found without network, parsing or hashing anything large.

    <root>/
      blobs/sha256/<hex>              manifests and configs
      layers/sha256-<hex>/            one unpacked layer each, named by diff ID, complete and durable if it exists
      layers/sha256-<hex>-<ids>/      the same, unpacked by an ordinary user: IdMap.key says whose ids its owners are
      skeletons/…                     for each of layers/ a file of that name: what must be in it, see tarsplit.py
      refs/<registry>/<repository>/:<tag>/<platform>
      refs/@sha256/<hex>/<platform>   which manifest a name, or the digest of an index or manifest, means (see `Ref`)
      incoming/                       what is being written, see staging.py
      kept/<id>/                      what a failed test has left, the runtime's
      seccomp/<key>                   compiled system call filters, the runtime's
      layers.lock                     locked by those who add to layers/, and by those who clear it, see flock.py
    <state>/                          <root>, or where containers cannot be there a local directory, see elsewhere.py
      containers/<id>/                one running container each, the runtime's
      background/<id>/                one container each that stays until it is removed, see services/containers
      networks/<name>/                a network, and who has addresses in it, the runtime's
      ids/                            which ranges of ids containers have that chose none, the runtime's

A component of a repository's name begins with neither `:` nor `@`, so no two names share a path. Everything is
published by rename(2) and never changed afterwards: readers take no lock. All of it is closed to others (mode 0700):
layers hold setuid programs of strangers.
"""

from __future__ import annotations

import os
import stat

from mydocker.errors import ImageError, StoreError, UsageError, hint_for
from mydocker.image.model import ImageConfig, StoredImage
from mydocker.image.model.config import parse_config
from mydocker.image.model.json_input import LIMIT
from mydocker.image.store_root import StoreRoot, check_private, checksum
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Digest, Platform, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.idmap import IdMap

_ENOTSUP = 95  # errno.h


class Ref(Record):
    """A file below refs/: `manifest DIGEST`, `config DIGEST`, `from ORIGIN`, `when TIME`, `sum HEX`, a line each.

    The digests had been verified when this was written. The sum, of all this and of the config, shows later damage.
    """

    manifest: Digest
    config: Digest
    origin: str
    when: str
    sum: str

    def is_whole(self, raw_config: bytes) -> bool:
        """Whether all is as it was written, RAW_CONFIG too."""
        return self.sum == checksum(_signed(self.manifest, self.config, self.origin, self.when).encode(), raw_config)


class Store(StoreRoot):
    """The store under ROOT, an absolute path; nothing is created before something is put there.

    `ids` is None for root, else what an ordinary user's layers are unpacked with. With other ids their owners would be
    others, so when a user's ranges change its layers are fetched again.
    """

    def __init__(self, root: str, environ: Mapping[str, str] = {}) -> None:
        """ENVIRON says where containers may be if they cannot be below ROOT."""
        super().__init__(root, environ)
        self.ids = _caller_ids()
        self._suffix = f"-{self.ids.key}" if self.ids else ""
        self.incoming = f"{root}/incoming"
        self.layers = f"{root}/layers"
        self.blobs = f"{root}/blobs/sha256"
        self.refs = f"{root}/refs"
        self.skeletons = f"{root}/skeletons"

    def layer_path(self, diff_id: Digest) -> str:
        """Where the layer is, or will be once it has been unpacked and verified."""
        return f"{self.layers}/sha256-{diff_id.hex}{self._suffix}"

    def skeleton_path(self, diff_id: Digest) -> str:
        """Where the layer's skeleton is, see tarsplit.py."""
        return f"{self.skeletons}/sha256-{diff_id.hex}{self._suffix}"

    def blob_path(self, digest: Digest) -> str:
        return f"{self.blobs}/{digest.hex}"

    def ref_path(self, reference: Reference, platform: Platform) -> str:
        """A digest says all: the same image under another name is the same image."""
        if reference.digest:
            name = f"@sha256/{reference.digest.hex}"
        else:
            name = f"{reference.registry}/{reference.repository}/:{reference.tag}"
        return f"{self.refs}/{name}/{str(platform).replace('/', '-')}"

    def find(self, reference: Reference, platform: Platform) -> StoredImage | None:
        """The image if it is here, whole. What is missing or damaged is None, to be fetched again.

        Raises StoreError if the store cannot be read.
        """
        try:
            ref = read_ref(self.ref_path(reference, platform))
            raw = read(self.blob_path(ref.config))
            if not ref.is_whole(raw):
                return None
            config, diff_ids = parse_config(raw)
            return self.image(reference, ref.manifest, config, diff_ids)
        except StoreError:  # what is here cannot be used, nor would it be better fetched again
            raise
        except (FileNotFoundError, ImageError, UsageError, ValueError):
            return None
        except OSError as error:
            raise StoreError(
                f"cannot read the store {self.root}: {error.strerror}: {error.filename}",
                hint="set MYDOCKER_ROOT to a directory of your own",
            ) from None

    def image(
        self, reference: Reference, manifest: Digest, config: ImageConfig, diff_ids: tuple[Digest, ...]
    ) -> StoredImage:
        """The image of these layers, all of which must be here: FileNotFoundError.

        Overlayfs does not look at the root of a layer for a sign that it hides those below, so here they are left out.
        Nor does it take a directory twice (ELOOP): of equal layers, such as empty ones, only the highest counts, since
        all that the lower ones have is in that one again.
        """
        lowerdirs: dict[str, None] = {}
        for diff_id in diff_ids:
            path = self.layer_path(diff_id)
            if self._is_opaque(path):
                lowerdirs.clear()
            lowerdirs.pop(path, None)
            lowerdirs[path] = None
        return StoredImage(reference=reference, manifest=manifest, config=config, lowerdirs=tuple(lowerdirs))

    def _is_opaque(self, path: str) -> bool:
        """Whether the layer at PATH says that it hides those below; one system call that also tells whether it is
        there. Raises StoreError if it has opaque directories, and the file system does not show which: only one that
        holds no containers may have got such a layer from another machine."""
        for name in ("trusted.overlay.opaque", "user.overlay.opaque"):
            try:
                return os.getxattr(path, name) == b"y"
            except FileNotFoundError:
                raise
            except OSError as error:
                if error.errno == _ENOTSUP and self.state != self.root:
                    from mydocker.image.store.marks import check_marks

                    check_marks(path)
        return False

    def is_there(self) -> bool:
        """Whether anything was ever put here. StoreError if that cannot be seen: it is somebody else's."""
        try:
            os.stat(self.layers)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(
                f"cannot read the store {self.root}: {error.strerror}",
                hint="set MYDOCKER_ROOT to a directory of your own",
            ) from None
        return True

    def prepare(self) -> None:
        """Create the directories that are missing, for their owner alone."""
        try:
            if not os.path.isdir(self.root):
                os.makedirs(self.root, mode=0o700, exist_ok=True)
                if os.access(parent := os.path.dirname(self.root), os.R_OK):
                    sync_directory(parent)
            _make_private(self.root, "blobs/sha256", "layers", "skeletons", "refs", "incoming", "containers")
        except OSError as error:
            raise StoreError(
                f"cannot create the store {self.root}: {error.strerror}",
                hint=hint_for(error) or "MYDOCKER_ROOT names a directory to use instead",
            ) from None

    def prepare_containers(self) -> None:
        """Create the directories that running containers need, if they are missing. Raises StoreError."""
        if os.path.isdir(self.containers):
            return
        if self.state == self.root:
            return self.prepare()
        try:
            for path in (os.path.dirname(self.state), self.state, self.containers):
                os.makedirs(path, mode=0o700, exist_ok=True)
                check_private(path)
        except OSError as error:
            raise StoreError(f"cannot create {self.state}: {error.strerror}", hint=hint_for(error)) from None

    def put_blob(self, digest: Digest, data: bytes) -> None:
        """Keep DATA, whose digest has been verified. A file that has it already stays: containers may hold its lock
        (use_lock.py), and the lock of a file in its place would be another one."""
        try:
            if read(self.blob_path(digest)) == data:
                return
        except (OSError, ValueError):  # it is not there, or damaged
            pass
        self._publish(self.blob_path(digest), data)

    def record_ref(
        self, reference: Reference, platform: Platform, *, manifest: Digest, config: Digest, origin: Reference
    ) -> None:
        """Make the image of MANIFEST and CONFIG, whose blobs and layers are here, what REFERENCE means on PLATFORM.

        ORIGIN is the requested name.
        """
        import time

        signed = _signed(manifest, config, str(origin), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        text = f"{signed}sum {checksum(signed.encode(), read(self.blob_path(config)))}\n"
        path = self.ref_path(reference, platform)
        while True:
            try:
                _make_private(self.root, os.path.relpath(os.path.dirname(path), self.root))
                return self._publish(path, text.encode())
            except FileNotFoundError:  # a concurrent `rmi` has removed the directory, empty as it still was
                if not os.path.isdir(self.incoming):
                    raise

    def keep(self, name: str, data: bytes) -> None:
        """Put DATA at NAME, a path below the root, for another room. Raises OSError."""
        _make_private(self.root, os.path.dirname(name))
        self._publish(f"{self.root}/{name}", data)

    def _publish(self, path: str, data: bytes) -> None:
        """Write, fsync, rename, fsync: after a crash PATH has its old contents or all of DATA."""
        from mydocker.image.store import flock, remove_tree

        temporary = f"{self.incoming}/{os.path.basename(path)[:64]}-{os.getpid()}.lock"  # a stale one goes as a lock
        descriptor = flock.acquire(temporary)
        assert descriptor is not None
        try:
            os.ftruncate(descriptor, 0)  # one of a killed process with the same number may have been longer
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fsync(descriptor)
            try:
                os.rename(temporary, path)
            except IsADirectoryError:  # damage: nothing here is a directory
                remove_tree.remove(path)
                os.rename(temporary, path)
            sync_directory(os.path.dirname(path))
        finally:
            flock.release(descriptor, temporary)


def sync_directory(path: str) -> None:
    """Make the names in directory PATH durable (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _caller_ids() -> IdMap | None:
    if os.geteuid() == 0:
        return None
    from mydocker import idmap

    return idmap.of_caller()


def _make_private(root: str, *names: str) -> None:
    """Make the directories NAMES below ROOT, and those above them, durable: what is published there is to stay."""
    parents: dict[str, None] = {}
    for name in names:
        path = root
        for part in name.split("/"):
            parent, path = path, f"{path}/{part}"
            try:
                os.mkdir(path, 0o700)
                parents[parent] = None
            except FileExistsError:
                pass
    for parent in parents:
        sync_directory(parent)


def read(path: str) -> bytes:
    """A blob, or a ref; ValueError if it is no file, or larger than those can be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO has no writer to wait for
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a file")
        if found.st_size > LIMIT:
            raise ValueError("too large")
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def _signed(manifest: Digest, config: Digest, origin: str, when: str) -> str:
    return f"manifest {manifest}\nconfig {config}\nfrom {origin}\nwhen {when}\n"


def read_ref(path: str) -> Ref:
    """ValueError or UsageError if it is not what `record_ref` writes."""
    lines = dict(line.split(" ", 1) for line in read(path).decode("ascii").splitlines())
    return Ref(
        manifest=Digest.parse(lines.get("manifest", "")),
        config=Digest.parse(lines.get("config", "")),
        origin=lines.get("from", ""),
        when=lines.get("when", ""),
        sum=lines.get("sum", ""),
    )
