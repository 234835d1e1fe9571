"""/dev/shm of another container, for one that shares its IPC namespace: POSIX shared memory is files there."""

from __future__ import annotations

from mydocker import kernel
from mydocker.kernel.enter import Inside
from mydocker.runtime.network.joined_container import open_namespace
from mydocker.runtime.plan.operations import HARDENED, Operation
from mydocker.runtime.volume.filesystem import PreparedTree


class SharedMemory(Operation):
    """The mount at the target in the container with `run_dir`, here too. Only who is among its mounts can copy one
    (open_tree(2)), so this process goes there for a moment."""

    run_dir: str

    @property
    def title(self) -> str:
        return "the shared memory of another container at"

    def ahead(self) -> Operation:
        with Inside("mnt", open_namespace(self.run_dir, "mnt")):
            tree = kernel.clone_tree(self.target)
        return PreparedTree(target=self.target, what=self.title, tree=tree, attributes=HARDENED, follow=False)
