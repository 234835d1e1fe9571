"""The program kubectl: what it is called with, and what it prints, as values.

Its own configuration says which cluster, which namespace and who asks. Whatever it prints comes from the cluster.
"""

from __future__ import annotations

import json
import shlex

from mydocker import programs
from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING
from mydocker.testing.engines.kubernetes.manifests import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Object = dict[str, Any]

_CHOOSING = ("--namespace", "-n", "--context", "--cluster", "--user")
_SECRETS = ("--token", "--password")
_REQUEST = "--request-timeout=30s"
_PATIENCE = 60.0  # seconds for a command, after which it is killed
_MAKING, _DELETING = 600.0, 120.0  # the same, for many objects
_DELETION = "--timeout=45s"  # as far as it waits


def _without_secrets(words: Iterable[str]) -> Iterator[str]:
    """WORDS, without the values of options that are secret, which are in the same word or in the next one."""
    is_secret = False
    for word in words:
        name, equals, _ = word.partition("=")
        yield "…" if is_secret else f"{name}=…" if equals and name in _SECRETS else word
        is_secret = not is_secret and not equals and name in _SECRETS


class Kubectl:
    """WORDS come before each command, such as `--namespace=ci`."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self.words, self.environ = tuple(words), {**environ}
        self.path = environ.get("PATH") or programs.PATH

    def shown(self, *words: str) -> str:
        """The command line of WORDS for people, who may publish it: without what proves who asks."""
        return shlex.join(["kubectl", *_without_secrets(self.words), *words])

    def only_chooses(self) -> bool:
        """Whether the words that come before each command only choose from the user's own configuration. A file of
        configuration may name programs, which kubectl executes (Kubernetes, "client-go credential plugins")."""
        left = [*self.words]
        while left:
            name, equals, _ = left.pop(0).partition("=")
            if name not in _CHOOSING or (not equals and (not left or left.pop(0).startswith("-"))):
                return False
        return True

    def require(self) -> None:
        """Raise HostError if there is no kubectl."""
        programs.find("kubectl", path=self.path)

    def create(self, objects: Sequence[Object]) -> list[Object]:
        """Make OBJECTS; as the cluster has them. Not `apply`, which writes each once more into an annotation, of
        256 KiB at most. Raises HostError, and some may have been made."""
        made = {"apiVersion": "v1", "kind": "List", "items": [*objects]}
        raw = self._run("create", "-f", "-", "-o", "json", _REQUEST, stdin=json.dumps(made).encode(), timeout=_MAKING)
        return [each for found in _values(raw, "create") for each in _items(found)]

    def get(self, selector: str) -> list[Object]:
        """The Jobs and pods that SELECTOR chooses. Raises HostError."""
        raw = self._run("get", "jobs,pods", "-l", selector, "-o", "json", _REQUEST)
        return [each for found in _values(raw, "get") for each in _items(found)]

    def refusals(self) -> dict[str, str]:
        """Why pods of Jobs, by the names of these, could not be made: only events say so. Raises HostError."""
        chosen = "--field-selector=involvedObject.kind=Job,reason=FailedCreate"
        found: dict[str, str] = {}
        for raw in _values(self._run("get", "events", chosen, "-o", "json", _REQUEST), "get events"):
            for event in _items(raw):
                involved = event.get("involvedObject")
                if isinstance(involved, dict):
                    found[str(involved.get("name"))] = str(event.get("message"))
        return found

    def delete(self, names: Sequence[str], *, wait: bool) -> None:
        """Delete the objects KIND/NAME, as far as they are there; a Job after its pods, which get SIGTERM. Raises
        HostError."""
        words = ("--ignore-not-found", "--cascade=foreground", f"--wait={'true' if wait else 'false'}", _DELETION)
        self._run("delete", *names, *words, timeout=_DELETING)

    def logs(self, pod: str, *, follow: bool, stdout: int, stderr: int) -> programs.Background:
        """Write the log of POD, from its beginning, to STDOUT; with FOLLOW until its container ends."""
        words = [*self.words, "logs", *(["-f"] if follow else []), "-c", CONTAINER, pod]
        streams = {"stdout": stdout, "stderr": stderr}
        return programs.start("kubectl", *words, environment=self.environ, path=self.path, **streams)

    def _run(self, *words: str, stdin: bytes = b"", timeout: float = _PATIENCE) -> bytes:
        return programs.run(
            "kubectl",
            *self.words,
            *words,
            stdin=stdin,
            environment=self.environ,
            path=self.path,
            timeout=timeout,
        )


def _values(raw: bytes, command: str) -> Iterator[Object]:
    """The objects of JSON in RAW, one after the other."""
    try:
        text, begin, decoder = raw.decode().strip(), 0, json.JSONDecoder()
        while begin < len(text):
            value, end = decoder.raw_decode(text, begin)
            if not isinstance(value, dict):
                raise ValueError
            yield value
            begin = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, RecursionError):
        shown = programs.printable(raw[:200]) or "nothing"
        raise HostError(f"kubectl {command} has printed what is no JSON: {shown}") from None


def _items(found: Object) -> list[Object]:
    """The objects of a list, or the one that FOUND is."""
    items = found.get("items", [found])
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
