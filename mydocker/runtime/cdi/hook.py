"""A hook of a CDI file, executed as OCI's `createContainer` hooks (runtime-spec, config.md, "POSIX-platform Hooks"):
among the container's mounts, before its root becomes the root. It reads the container's state from its stdin."""

from __future__ import annotations

import json
import os
import tempfile

from mydocker.errors import LaunchError, hint_for
from mydocker.runtime.plan.operations import Operation

_OCI = "1.0.2"


class Hook(Operation):
    """The program `path` of the host with `argv`. The target is the container's root."""

    path: str
    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()

    @property
    def of_network(self) -> bool:
        return True

    @property
    def title(self) -> str:
        return f"the hook {self.path} for"

    def apply(self, root: int) -> None:
        with tempfile.TemporaryDirectory(prefix="mydocker-hook-") as bundle:
            path = os.readlink(f"/proc/self/fd/{root}")
            with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
                json.dump({"ociVersion": _OCI, "root": {"path": path}, "process": {"cwd": "/"}}, file)
            state = {"ociVersion": _OCI, "id": "mydocker", "status": "creating", "pid": os.getpid(), "bundle": bundle}
            code = self._run(json.dumps(state).encode())
        if code:
            raise LaunchError(f"the hook {self.path} of a CDI file has failed with code {code}")

    def _run(self, state: bytes) -> int:
        """The exit code. Output goes nowhere: the container's streams are its own."""
        reader, writer = os.pipe()
        os.write(writer, state)  # less than a pipe takes
        os.close(writer)
        environment = dict(entry.partition("=")[::2] for entry in self.environment)
        null = os.open("/dev/null", os.O_WRONLY)
        actions = [(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        try:
            pid = os.posix_spawn(self.path, self.argv, environment, file_actions=actions, setsigmask=())
        except OSError as error:
            raise LaunchError(f"the hook {self.path} of a CDI file: {error.strerror}", hint=hint_for(error)) from None
        finally:
            os.close(reader)
            os.close(null)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
