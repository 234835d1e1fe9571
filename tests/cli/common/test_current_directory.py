"""What relative paths and `~` start from: a current directory that is gone or closed to us, a home that none names."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess

import pytest
from lab.command import Command, Result

root = pytest.mark.root
GONE = "mydocker: {}the current directory no longer exists"


def in_gone_directory(command: Command, *arguments: str, input: bytes = b"", **env: str | None) -> Result:
    """The command in a directory that is removed before it starts."""
    place = command.directory / "gone"
    script = f"mkdir {place} && cd {place} && rmdir {place} && exec {shlex.join(command.argv(*arguments))}"
    environment = {name: value for name, value in {**command.environment, **env}.items() if value is not None}
    done = subprocess.run(["sh", "-c", script], input=input, capture_output=True, env=environment, timeout=240)
    return Result(done.stdout, done.stderr, done.returncode)


RELATIVE = {
    "-v": ("run", "-v", ".:/x", "alpine", "ls", "/x"),
    "-v below": ("run", "-v", "./etc:/x", "alpine", "ls", "/x"),
    "-v above": ("run", "-v", "../etc:/x", "alpine", "ls", "/x"),
    "-v copy-on-write": ("run", "-v", ".:/x:O", "alpine", "ls", "/x"),
    "--mount": ("run", "--mount", "type=bind,src=.,dst=/x", "alpine", "ls", "/x"),
    "--mount without a dot": ("run", "--mount", "type=bind,src=etc,dst=/x", "alpine", "ls", "/x"),
    "--env-file": ("run", "--env-file", "etc/environment", "alpine", "env"),
    "--label-file": ("run", "--label-file", "etc/environment", "alpine", "true"),
    "--rootfs": ("run", "--rootfs", ".", "true"),
    "a profile": ("run", "--security-opt", "seccomp=profile.json", "alpine", "true"),
    "--result": ("run", "--result", "result", "alpine", "true"),
    "--frozen": ("run", "--frozen", "alpine", "true"),
    "a layout": ("run", "oci:images", "true"),
    "an archive": ("run", "docker-archive:image.tar", "true"),
    "up": ("up", "spec.yaml"),
    "up below": ("up", "etc/spec.yaml"),
    "up --result": ("up", "--result", "r", "/dev/null"),
    "test a file": ("test", "spec.yaml"),
    "test a folder": ("test", "."),
    "test a pattern": ("test", "*.yaml"),
    "check": ("check", "spec.yaml"),
    "config": ("config", "spec.yaml"),
    "explain a file": ("explain", "spec.yaml"),
    "lock": ("lock", "spec.yaml"),
    "load": ("load", "-i", "image.tar"),
    "save": ("save", "-o", "image.tar", "alpine"),
    "record": ("record", "-o", "spec.yaml", "alpine", "true"),
    "pull": ("pull", "oci:images"),
    "push": ("push", "oci:images", "example.com/x"),
}


@root
@pytest.mark.parametrize("name", RELATIVE)
def test_a_relative_path_needs_the_current_directory(alpine: Command, name: str) -> None:
    done = in_gone_directory(alpine, *RELATIVE[name])
    assert b"the current directory no longer exists" in done.stderr and b"Traceback" not in done.stderr, done
    assert (done.stdout, done.code) == (b"", 125)


@root
def test_a_store_of_a_relative_path_needs_it_too(alpine: Command) -> None:
    done = in_gone_directory(alpine, "images", MYDOCKER_ROOT="store")
    assert (done.stdout, done.code) == (b"", 125) and b"no longer exists" in done.stderr


SPEC = "image: alpine\ncommand: ls /x\nvolumes: [{source}:/x]\n"
IN_A_FILE = {
    "a volume": "volumes: ['.:/x']",
    "a long volume": "volumes: [{type: bind, source: ., target: /x}]",
    "an env file": "env_file: x",
    "a label file": "label_file: x",
    "a config": "configs: [{source: x, target: /x, file: x}]",
}


@root
@pytest.mark.parametrize("name", IN_A_FILE)
def test_a_file_on_standard_input_counts_from_there(alpine: Command, name: str) -> None:
    text = f"image: alpine\ncommand: 'true'\n{IN_A_FILE[name]}\n"
    done = in_gone_directory(alpine, "up", "-", input=text.encode())
    assert (done.stdout, done.code) == (b"", 125) and b"no longer exists" in done.stderr, done


@root
def test_what_needs_no_directory_goes_on(alpine: Command, tmp_path: pathlib.Path) -> None:
    spec = tmp_path / "spec.smoke.yaml"
    (tmp_path / "in").write_text("here\n")
    spec.write_text("image: alpine\ncommand: cat /x/in\nvolumes: ['.:/x']\nexpect: {stdout: here}\n")
    assert in_gone_directory(alpine, "run", "alpine", "pwd") == Result(b"/\n", b"", 0)
    assert in_gone_directory(alpine, "run", "-v", f"{tmp_path}:/x", "alpine", "cat", "/x/in").stdout == b"here\n"
    assert in_gone_directory(alpine, "run", "-v", "~:/x", "alpine", "ls", "/x").code == 0
    assert in_gone_directory(alpine, "up", str(spec)) == Result(b"here\n", b"", 0)
    assert in_gone_directory(alpine, "up", "-", input=b"image: alpine\ncommand: echo x\n") == Result(b"x\n", b"", 0)
    assert in_gone_directory(alpine, "test", str(spec)).code == 0
    assert in_gone_directory(alpine, "test", "-", input=b"image: alpine\ncommand: 'true'\n").code == 0
    assert in_gone_directory(alpine, "record", "alpine", "true").code == 0
    assert in_gone_directory(alpine, "images").code == 0


@root
def test_a_program_learns_it_too(alpine: Command, tmp_path: pathlib.Path) -> None:
    script = "import mydocker\nprint(mydocker.run('alpine', 'pwd').stdout, end='')\n"
    script += "try: mydocker.run('alpine', 'true', volumes=['.:/x'])\nexcept mydocker.SpecError as e: print(e)\n"
    python = alpine.program.with_name("python")
    ready = Command(python, alpine.environment, tmp_path)
    done = in_gone_directory(ready, "-c", script)
    assert done.stdout.startswith(b"/\nvolumes: the current directory no longer exists"), done


EMPTY = {
    "-v": ("run", "-v", ":/x", "alpine", "true"),
    "--mount": ("run", "--mount", "type=bind,src=,dst=/x", "alpine", "true"),
    "--env-file": ("run", "--env-file", "", "alpine", "true"),
    "--label-file": ("run", "--label-file", "", "alpine", "true"),
    "--rootfs": ("run", "--rootfs", "", "true"),
    "--result": ("run", "--result", "", "alpine", "true"),
    "a layout": ("run", "oci:", "true"),
    "up": ("up", ""),
    "test": ("test", ""),
    "check": ("check", ""),
    "config": ("config", ""),
    "lock": ("lock", ""),
    "--lock-file": ("up", "--frozen", "--lock-file", "", "/dev/null"),
    "load": ("load", "-i", ""),
    "save": ("save", "-o", "", "alpine"),
    "record": ("record", "-o", "", "alpine", "true"),
}


@root
@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_path_is_no_path(alpine: Command, tmp_path: pathlib.Path, name: str) -> None:
    """`-v "$UNSET:/x"` must not become some other directory."""
    (tmp_path / "x.smoke.yaml").write_text("image: alpine\ncommand: 'true'\n")
    done = alpine(*EMPTY[name], cwd=tmp_path)
    assert done.code in (1, 2, 125) and done.stderr and b"Traceback" not in done.stderr, done
    assert [path.name for path in tmp_path.iterdir()] == ["x.smoke.yaml"]


@root
@pytest.mark.parametrize("home", [None, "", "relative", "."])
def test_a_tilde_without_a_home_is_an_error(alpine: Command, home: str | None) -> None:
    done = alpine("run", "-v", "~:/x", "alpine", "true", env={"HOME": home})
    assert done.code == 125 and b"cannot expand '~'" in done.stderr


@pytest.mark.rootless
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_the_store_of_a_user_without_home(second_user: Command, user: os.PathLike[str], home: str | None) -> None:
    """The one of the passwd entry: never the machine's top, nor wherever the command was started."""
    env = {"HOME": home, "MYDOCKER_ROOT": None, "XDG_DATA_HOME": "relative"}
    done = second_user("volume", "create", "box", env=env)
    assert done.code == 0, done
    shown = second_user("volume", "inspect", "box", env=env)
    [volume] = json.loads(shown.stdout)
    assert volume["Mountpoint"].startswith(f"{user.pw_dir}/.local/share/mydocker/")  # type: ignore[attr-defined]
    assert second_user("volume", "rm", "box", env=env).code == 0


@root
@pytest.mark.rootless
def test_a_directory_that_is_closed_to_us(second_user: Command) -> None:
    """Running goes on; what is in there cannot be used, and the error says which path."""
    closed = second_user.directory / "closed"
    closed.mkdir(mode=0o700)
    (closed / "below").mkdir()

    def run(*words: str) -> Result:
        script = f"cd {closed} && exec {shlex.join(second_user.argv('run', *words))}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, env={**second_user.environment}, timeout=240)
        return Result(done.stdout, done.stderr, done.returncode)

    assert run("alpine", "pwd") == Result(b"/\n", b"", 0)
    assert run("-v", ".:/x", "alpine", "ls", "/x") == Result(b"", b"ls: can't open '/x': Permission denied\n", 1)
    done = run("-v", "./below:/x", "alpine", "true")
    assert done.code == 125 and f"bind source {closed}/below: Permission denied".encode() in done.stderr, done


@root
@pytest.mark.parametrize("link", ["to nothing", "to a file", "a loop", "to nothing, from afar"])
def test_a_result_goes_where_a_link_leads(alpine: Command, tmp_path: pathlib.Path, link: str) -> None:
    (tmp_path / "below").mkdir()
    name = tmp_path / "link"
    target = {"a loop": "link", "to nothing, from afar": "below/target"}.get(link, "target")
    name.symlink_to(target)
    if link == "to a file":
        (tmp_path / "target").write_text("before\n")
    done = alpine("run", "--result", "link", "alpine", "true", cwd=tmp_path)
    assert name.is_symlink() and os.readlink(name) == target
    assert done.code == (125 if link == "a loop" else 0), done
    if done.code == 0:
        assert json.loads((tmp_path / target).read_text())["status"] == 0


@root
def test_a_lock_file_goes_where_a_link_leads(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.yaml").write_text("image: alpine\ncommand: 'true'\n")
    (tmp_path / "mydocker.lock").symlink_to("target")
    assert alpine("lock", "spec.yaml", cwd=tmp_path).code == 0
    assert os.readlink(tmp_path / "mydocker.lock") == "target" and b"alpine" in (tmp_path / "target").read_bytes()
