"""A command that is like docker's, and what all tests of this suite do with it."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.command import Command, Result


@dataclass(frozen=True)
class Peer:
    """`peer.run("-e", "A=1", image="library/alpine", argv=["env"])` waits for a Result.

    Containers have no network: only so all commands agree on what is to be seen. An image is pulled before its first
    container, so that nothing is said about that.
    """

    name: str
    command: Command
    registry: str
    to_pull: set[str] = field(default_factory=set)  # images that the registry has, and the command has not

    def run(
        self,
        *options: str,
        argv: tuple[str, ...] = (),
        image: str = "library/alpine",
        input: bytes = b"",
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
    ) -> Result:
        return self.command(*self._words(options, image, argv), input=input, env=env, cwd=cwd)

    @contextmanager
    def start(
        self, *options: str, argv: tuple[str, ...], image: str = "library/alpine", **streams: object
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process that is killed, should it still be there at the end of the `with`."""
        with self.command.start(*self._words(options, image, argv), **streams) as process:
            try:
                yield process
            finally:
                process.kill()

    def sh(self, script: str, *options: str) -> str:
        """The output of SCRIPT, which must succeed silently."""
        done = self.run(*options, argv=("sh", "-c", script))
        assert (done.stderr, done.code) == (b"", 0), done
        return done.stdout.decode()

    def changes(self, script: str, *options: str, image: str) -> list[str]:
        """What SCRIPT, which must succeed, changed, sorted by path, as `diff` prints it."""
        words = self._words(options, image, ("sh", "-c", script))
        words.remove("--rm")
        if self.name == "mydocker":
            words.insert(1, "--keep")
            done = self.command(*words)
            name = "".join(re.findall("mydocker diff ([0-9a-f]+)", done.stderr.decode()))
        else:
            name = f"changes-{uuid.uuid4().hex}"
            words[1:1] = ["--name", name]
            done = self.command(*words)
        assert done.code == 0, done
        listed = self.command("diff", name)
        assert listed.code == 0, listed
        if self.name != "mydocker":
            self.command("rm", name)
        lines = listed.stdout.decode(errors="backslashreplace").splitlines()
        if self.name == "podman":  # makes files for its mounts in there
            lines = [line for line in lines if line != "C /etc"]
        return sorted(lines, key=lambda line: line[2:].encode())

    def stop(self, process: subprocess.Popen[bytes], container: str) -> None:
        """Ask CONTAINER, which PROCESS runs, to end. There is no daemon to ask where PROCESS is all there is."""
        if self.name == "mydocker":
            process.terminate()
        else:
            assert self.command("stop", "-t", "20", container).code == 0

    def pull(self, image: str) -> None:
        if image in self.to_pull:
            done = self.command("pull", f"{self.registry}/{image}")
            assert done.code == 0, done
            self.to_pull.remove(image)

    def _words(self, options: tuple[str, ...], image: str, argv: tuple[str, ...]) -> list[str]:
        self.pull(image)
        return ["run", "--rm", "--network", "none", *options, f"{self.registry}/{image}", *argv]
