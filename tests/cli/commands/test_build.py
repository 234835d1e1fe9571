"""`mydocker build`: real builds by buildah and Podman, from the registry of the tests and from nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import tarfile
from collections.abc import Callable

import pytest
from lab.builder import BUILDERS, working_containers
from lab.command import Command, granted
from lab.processes import sleeping, wait_for

pytestmark = [pytest.mark.root, pytest.mark.skipif(not BUILDERS, reason="needs buildah")]

SCRATCH = "FROM scratch\nCOPY busybox /bin/sh\n"


@pytest.fixture
def context(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with busybox, for images that need no other."""
    path = tmp_path / "context"
    path.mkdir()
    shutil.copy("/bin/busybox", path)
    return path


def _write(context: pathlib.Path, text: str, name: str = "Dockerfile") -> str:
    (context / name).write_text(text)
    return str(context)


def _incoming(mydocker: Command) -> list[str]:
    return os.listdir(mydocker.store / "incoming")


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_image_is_built_and_is_there(builder: str, builds: Command, context: pathlib.Path) -> None:
    """With a base image of the registry by its short name, an argument, a label, and what OCI's format would lose."""
    path = _write(
        context,
        "FROM alpine AS first\nARG WORD=no\nRUN echo $WORD > /word\nHEALTHCHECK CMD true\n"
        "FROM first\nRUN echo second >> /word\nCMD cat /word\n",
    )
    options = ("--builder", builder, "--build-arg", "WORD", "--label", "a=b", "--iidfile", "id")
    done = builds("build", "-t", f"by-{builder}", *options, path, cwd=context, env={"WORD": "yes"})
    assert done.code == 0 and done.stdout == b"", done
    assert f"built by-{builder}:latest: sha256:".encode() in done.stderr
    assert builds("run", f"by-{builder}").stdout == b"yes\nsecond\n"
    [image] = json.loads(builds("inspect", f"by-{builder}").stdout)
    assert image["Id"] == (context / "id").read_text()
    assert image["Config"]["Labels"]["a"] == "b" and image["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]

    names = ("--target", "first", "-t", "first", "-t", "x/first:1")
    first = builds("build", "-q", *names, *options[:4], path, env={"WORD": "yes"})
    assert first.stderr == b"" and first.stdout.startswith(b"sha256:")
    assert builds("run", "x/first:1", "cat", "/word").stdout == b"yes\n"
    assert _incoming(builds) == []
    assert working_containers(builds.environment) == []


def test_what_has_not_changed_comes_from_the_cache(builds: Command, context: pathlib.Path) -> None:
    path = _write(context, f"{SCRATCH}RUN echo $RANDOM > /file\n")
    first = builds("build", "-q", path)
    again = builds("build", path)
    assert first.code == again.code == 0 and b"Using cache" in again.stderr
    assert first.stdout.strip() in again.stderr
    anew = builds("build", "--no-cache", path)
    assert anew.code == 0 and b"Using cache" not in anew.stderr
    assert first.stdout.strip() not in anew.stderr


@pytest.mark.parametrize("builder", BUILDERS)
def test_secrets_are_read_and_are_not_in_the_image(builder: str, builds: Command, context: pathlib.Path) -> None:
    mounts = " ".join(f"--mount=type=secret,id={name}" for name in "sv")
    path = _write(
        context, f"{SCRATCH}RUN {mounts} cp /run/secrets/s /s; cat /run/secrets/v >> /s\n".replace("cp", "cat <")
    )
    _write(context, "FROM alpine\nRUN " + mounts + " cat /run/secrets/s /run/secrets/v | md5sum > /sum\n")
    (context / "file").write_bytes(b"hidden")
    secrets = ("--secret", "id=s,src=file", "--secret", "id=v,env=VALUE")
    words = ("--builder", builder, "-t", "secret", *secrets, path)
    done = builds("build", *words, cwd=context, env={"VALUE": "word"})
    assert done.code == 0, done
    assert b"hidden" not in done.stderr and b"word" not in done.stderr
    left = builds("run", "secret", "sh", "-c", "cat /sum; ls /run/secrets").stdout
    assert left.decode() == f"{hashlib.md5(b'hiddenword').hexdigest()}  -\n"
    missing = builds("build", "--secret", "id=x,env=UNSET", path)
    assert missing.code == 2 and b"the variable UNSET is not set" in missing.stderr


def test_a_dockerfile_or_a_whole_context_comes_from_stdin(builds: Command, context: pathlib.Path) -> None:
    alone = builds("build", "-t", "alone", "-", input=b"FROM alpine\nRUN echo alone > /file\n")
    assert alone.code == 0, alone
    assert builds("run", "alone", "cat", "/file").stdout == b"alone\n"

    inline = builds("build", "-t", "with", "-f", "-", str(context), input=f"{SCRATCH}CMD echo with\n".encode())
    assert inline.code == 0 and builds("run", "with").stdout == b"with\n"

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add("/bin/busybox", "busybox")
        inner = tarfile.TarInfo("other")
        inner.size = len(text := f"{SCRATCH}CMD echo packed\n".encode())
        archive.addfile(inner, io.BytesIO(text))
    whole = builds("build", "-t", "packed", "-f", "other", "-", input=packed.getvalue())
    assert whole.code == 0, whole
    assert builds("run", "packed").stdout == b"packed\n"
    both = builds("build", "-f", "-", "-")
    assert both.code == 2 and b"can't use stdin for both" in both.stderr


def test_other_contexts_and_an_image_of_another_build(
    builds: Command, context: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "text").write_text("more\n")
    assert builds("build", "-q", "-t", "team/base", _write(context, SCRATCH)).code == 0
    path = _write(context, "FROM team/base\nCOPY --from=extra text /\nCMD read x < /text; echo $x\n", "Other")
    done = builds("build", "-t", "top", "-f", f"{path}/Other", "--build-context", "extra=more", path, cwd=tmp_path)
    assert done.code == 0, done
    assert builds("run", "top").stdout == b"more\n"


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_command_that_fails_is_shown_with_its_output(builder: str, builds: Command, context: pathlib.Path) -> None:
    path = _write(context, f"{SCRATCH}RUN echo why it failed; exit 7\n")
    for quiet in ((), ("-q",)):
        done = builds("build", "--builder", builder, "-t", "failing", *quiet, path)
        assert done.code == 1 and done.stdout == b""
        lines = done.stderr.decode().splitlines()
        assert "why it failed" in lines
        assert lines[-1].startswith(f"mydocker: building failing:latest: {builder} failed with exit code ")
        assert "exit 7" in lines[-1] and "exit status 7" in lines[-1]
    assert builds("run", "--pull", "never", "failing").code == 125
    assert _incoming(builds) == []
    assert working_containers(builds.environment) == []


def test_output_cannot_command_a_terminal(builds: Command, context: pathlib.Path) -> None:
    path = _write(context, f"{SCRATCH}RUN printf '\\033[2Jcleared\\n'; exit 1\n")
    done = builds("build", path)
    assert b"\x1b" not in done.stderr and b"\\x1b[2Jcleared" in done.stderr


def test_what_is_missing_is_named(builds: Command, context: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for words, code, expected in (
        (["none"], 2, f"the build context {tmp_path}/none does not exist"),
        (["context/busybox"], 2, f"the build context {context}/busybox is not a directory"),
        (["context"], 2, f"there is no Dockerfile in the build context {context}"),
        (["-f", "D", "context"], 2, f"there is no {tmp_path}/D in the build context {context}"),
        (["--builder", "kaniko", "context"], 2, "builder 'kaniko': expected buildah, podman, docker"),
        (["--push", "."], 2, "'mydocker push' does it"),
        (["--tag", "Bad", "."], 2, "a repository name is lower-case"),
    ):
        done = builds("build", *words, cwd=tmp_path)
        assert done.code == code and expected in done.stderr.decode(), done
    program = ("build", str(context))
    none = builds(*program, env={"PATH": str(tmp_path)})
    assert none.code == 125 and b"none of buildah, podman and docker buildx is installed" in none.stderr
    assert b"hint: install the package buildah" in none.stderr


class _Silence:
    """A server that takes requests and never answers."""

    def __enter__(self) -> _Silence:
        self.server = self.connection = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        return self

    def accept(self) -> None:
        self.connection, _ = self.server.accept()

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.connection.close()


@pytest.mark.parametrize(
    ("builder", "number", "instruction"),
    [
        *((builder, signal.SIGINT, "RUN sleep 76{}") for builder in BUILDERS),
        *((builder, signal.SIGINT, "ADD http://{} /file") for builder in BUILDERS),
        ("buildah", signal.SIGTERM, "RUN sleep 77{}"),
    ],
)
def test_an_interrupt_ends_the_builder(
    builder: str, number: int, instruction: str, builds: Command, context: pathlib.Path
) -> None:
    """And nothing of it is left, neither here nor in the builder's store."""
    with _Silence() as silence:
        instruction = instruction.format(silence.address if instruction.startswith("ADD") else os.getpid())
        path = _write(context, f"{SCRATCH}{instruction}\n")
        process = builds.start("build", "--builder", builder, path)
        assert process.stderr
        shown = b""
        while instruction.split()[0].encode() not in shown or b"3/3" not in shown:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        mark = instruction.split()[-1]
        if instruction.startswith("RUN"):
            wait_for(lambda: bool(sleeping(mark)))
        else:
            silence.accept()
        process.send_signal(number)
        _, rest = process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -number), rest
    wait_for(lambda: not sleeping(mark))
    assert _incoming(builds) == []
    wait_for(lambda: working_containers(builds.environment) == [])


def test_it_builds_in_a_container_too(builds: Command, context: pathlib.Path) -> None:
    """On an overlay, and without cgroups: with the driver vfs and the isolation chroot."""
    _write(context, f"{SCRATCH}RUN echo inner > /file\nCMD read x < /file; echo $x\n")
    script = (
        f"{builds.program} build -q --builder buildah -t inner /context && {builds.program} run --network none inner"
    )
    words = (
        "--privileged",
        "--rootfs",
        "/",
        "--network",
        "none",
        "-v",
        f"{context}:/context",
        "-e",
        "MYDOCKER_ROOT=/srv/x",
    )
    done = builds("run", *words, "sh", "-c", f"{script}; exit $?")
    assert done.code == 0 and done.stdout.splitlines()[-1] == b"inner", done


def test_an_ordinary_user_builds(
    second_user: Command, user: pwd.struct_passwd, user_directory: Callable[[], pathlib.Path]
) -> None:
    context = user_directory()
    shutil.copy("/bin/busybox", context)
    path = _write(context, f"{SCRATCH}RUN echo mine > /file\nCMD read x < /file; echo $x\n")
    with granted(user, 700000):
        done = second_user("build", "-q", "--builder", "buildah", "-t", "mine", path)
        assert done.code == 0 and done.stderr == b"", done
        assert second_user("run", "--network", "none", "mine").stdout == b"mine\n"
        assert _incoming(second_user) == []


def test_docker_builds_with_its_plugin_alone(builds: Command, context: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A stand-in for docker: what it is called with, and that its archive is loaded."""
    saved = tmp_path / "saved.tar"
    assert builds("save", "-o", str(saved), "--format", "docker-archive", "alpine").code == 0
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        'for word; do case $before in --iidfile) echo sha256:1234 > "$word";;\n'
        f'--output) cp {saved} "$word";; esac; before=$word; done\n'
    )
    program.chmod(0o755)
    path = _write(context, SCRATCH)
    done = builds("build", "--builder", "docker", "-t", "made", path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.code == 0, done
    version, build, save = (tmp_path / "calls").read_text().splitlines()[-3:]
    assert version == "buildx version"
    assert build.startswith("buildx build --load --progress plain --tag made:latest --iidfile ")
    assert build.endswith(f"-- {path}") and save.startswith("image save --output ") and save.endswith(" sha256:1234")
    assert builds("run", "made", "echo", "x").stdout == b"x\n"
