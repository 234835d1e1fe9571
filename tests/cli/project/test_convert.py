"""`mydocker config --to FORM`, and what scripts ask `docker compose config` for."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from lab.command import Command, Result, command

FILE = """
name: shop
services:
  web: {image: "web:1", depends_on: [db], networks: [front, default], volumes: ["data:/d"]}
  db: {image: postgres, networks: [back], umask: "077"}
  tool: {build: ., profiles: [tools, debug], volumes: ["other:/o"]}
networks: {front: , back: , unused: }
volumes: {data: , other: }
"""


@pytest.fixture
def mydocker(tmp_path: Path) -> Command:
    (tmp_path / "compose.yaml").write_text(FILE)
    return command(tmp_path, forks=True)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("--services", ["web", "db"]),
        ("--services --profile tools", ["web", "db", "tool"]),
        ("--services web", ["web", "db"]),
        ("--services db", ["db"]),
        ("--images", ["web:1", "postgres:latest"]),
        ("--images --profile *", ["web:1", "postgres:latest", "shop-tool:latest"]),
        ("--volumes", ["data"]),
        ("--volumes --profile debug", ["data", "other"]),
        ("--networks", ["front", "default", "back"]),
        ("--profiles", ["debug", "tools"]),
        ("-q", []),
        ("--quiet --to compose", []),
    ],
)
def test_what_scripts_ask_for(mydocker: Command, tmp_path: Path, words: str, lines: list[str]) -> None:
    for before in (["config"], ["compose", "config"], ["compose", "-f", "compose.yaml", "config"]):
        done = mydocker(*before, *words.split(), cwd=tmp_path)
        assert (done.stdout.decode().splitlines(), done.stderr, done.code) == (lines, b"", 0), done


def test_files_of_other_forms_have_services_too(mydocker: Command, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: one two\nimage: a\nvolumes: [v9:/x]\n---\nimage: b\n")
    (tmp_path / "web.container").write_text("[Container]\nImage=c\n")
    for words, lines in (
        (("--services",), [b"one-two", b"a", b"web"]),
        (("--volumes",), [b"v9"]),
        (("--images",), [b"a:latest", b"b:latest", b"c:latest"]),
    ):
        assert mydocker("config", *words, "a.yaml", "web.container", cwd=tmp_path).stdout.splitlines() == lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--to quadlet --format json", b"--format json is not for --to quadlet: units are no JSON"),
        ("--services --images", b"--services and --images exclude each other"),
        ("--volumes --to compose", b"--volumes and --to exclude each other"),
        ("--directory .", b"--directory is for --to quadlet"),
        ("--to compose --directory .", b"--directory is for --to quadlet"),
        ("--to compose --force", b"--force is for --to quadlet"),
        ("--to quadlet --force", b"--force is for --directory"),
        ("--to quadlet --directory . -o x", b"--directory and --output exclude each other"),
        ("--to quadlet -o x", b"these are 6 units: a file is one"),
        ("--to quadlet --directory none", b"--directory 'none': expected a directory that exists"),
        ("--to quadlet --directory compose.yaml", b"--directory 'compose.yaml': expected a directory that exists"),
        ("--to kubernetes", b"argument --to: invalid choice: 'kubernetes' (choose from 'compose', 'quadlet')"),
        ("--to compose nonesuch", b"no such service: nonesuch"),
    ],
)
def test_wrong_usage(mydocker: Command, tmp_path: Path, words: str, message: bytes) -> None:
    before = sorted(os.listdir(tmp_path))
    done = mydocker("config", *words.split(), cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 2) and b"mydocker: " + message in done.stderr, done
    assert sorted(os.listdir(tmp_path)) == before


def test_a_compose_file_names_what_is_lost(mydocker: Command, tmp_path: Path) -> None:
    done = mydocker("config", "--to", "compose", "db", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0)
    assert done.stdout.decode() == (
        "# db: umask: Compose has no key for it: run the command by a shell that sets it\n"
        "name: shop\nservices:\n  db:\n    image: postgres:latest\n    networks:\n    - back\n"
        "networks:\n  back:\n    name: shop_back\n"
    )
    done = mydocker("config", "--to", "compose", "--format", "json", "db", cwd=tmp_path)
    assert json.loads(done.stdout)["services"] == {"db": {"image": "postgres:latest", "networks": ["back"]}}
    assert done.stderr.startswith(b"warning: db: umask: Compose has no key for it")


def test_what_was_selected_brings_what_it_needs(mydocker: Command, tmp_path: Path) -> None:
    done = mydocker("compose", "config", "--to", "compose", "web", cwd=tmp_path)
    (tmp_path / "web.yaml").write_bytes(done.stdout)
    assert mydocker("check", "web.yaml", cwd=tmp_path).code == 0
    assert mydocker("config", "--services", "-f", "web.yaml", cwd=tmp_path).stdout.split() == [b"web", b"db"]


def test_standard_input_and_a_structure_test_are_converted(mydocker: Command, tmp_path: Path) -> None:
    text = b"schemaVersion: 2.0.0\ncommandTests: [{name: x, command: sh, args: [-c, 'echo $A']}]\n"
    done = mydocker("config", "--to", "compose", "--image", "alpine", "-", input=text, cwd=tmp_path)
    assert b"image: alpine:latest\n" in done.stdout and b"- echo $$A\n" in done.stdout, done
    assert b"# x: expect: Compose has no key for it" in done.stdout


def test_units_are_printed_one_after_the_other(mydocker: Command, tmp_path: Path) -> None:
    done = mydocker("config", "--to", "quadlet", cwd=tmp_path)
    heads = [line for line in done.stdout.decode().splitlines() if line.startswith("# ")]
    assert heads == [
        *("# web.container", "# db.container", "# shop_data.volume", "# shop_front.network"),
        *("# shop_default.network", "# shop_back.network"),
    ]
    assert done.stderr == b"warning: tool is left out: it takes part with --profile tools or debug only\n"
    done = mydocker("config", "--to", "quadlet", "--profile", "tools", cwd=tmp_path)
    assert b"# tool.container\n" in done.stdout and b"# tool.build\n" in done.stdout and done.stderr == b""
    (tmp_path / "a.yaml").write_text("image: a\n")
    done = mydocker("config", "--to", "quadlet", "a.yaml", cwd=tmp_path)
    assert done.stdout == b"[Unit]\nDescription=Container a\n\n[Container]\nImage=docker.io/library/a:latest\n"
    assert mydocker("config", "--to", "quadlet", "-o", "x.container", "a.yaml", cwd=tmp_path).code == 0
    assert (tmp_path / "x.container").read_bytes() == done.stdout


def test_a_directory_gets_units_and_keeps_what_is_there(mydocker: Command, tmp_path: Path) -> None:
    folder = tmp_path / "systemd"
    folder.mkdir()
    (folder / "db.container").symlink_to("nowhere")
    done = mydocker("config", "--to", "quadlet", "--directory", "systemd", cwd=tmp_path)
    assert (done.code, done.stdout, os.listdir(folder)) == (125, b"", ["db.container"])
    assert b"mydocker: systemd/db.container is there already" in done.stderr
    (folder / "db.container").unlink()
    done = mydocker("config", "--to", "quadlet", "--directory", "systemd", cwd=tmp_path)
    assert done.code == 0 and sorted(done.stdout.decode().split()) == sorted(
        f"systemd/{name}" for name in os.listdir(folder)
    )
    (folder / "db.container").write_text("mine")
    assert mydocker("config", "--to", "quadlet", "--directory", "systemd", cwd=tmp_path).code == 125
    assert (folder / "db.container").read_text() == "mine"
    assert mydocker("config", "--to", "quadlet", "--directory", "systemd", "--force", cwd=tmp_path).code == 0
    assert (folder / "db.container").read_text().startswith("[Unit]")
    up = mydocker("check", "systemd/web.container", cwd=tmp_path)
    assert (up.stderr, up.code) == (b"", 0)


def test_an_output_file_is_replaced_as_a_whole(mydocker: Command, tmp_path: Path) -> None:
    file = tmp_path / "out.yaml"
    file.write_text("old")
    file.chmod(0o600)
    done = mydocker("compose", "config", "-o", "out.yaml", "--images", cwd=tmp_path)
    assert (done.stdout, done.code, file.read_text()) == (b"", 0, "web:1\npostgres:latest\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "bad.yaml").write_text("imag: a\n")
    assert mydocker("config", "--output", "out.yaml", "bad.yaml", cwd=tmp_path).code == 125
    assert file.read_text() == "web:1\npostgres:latest\n"
    (tmp_path / "link").symlink_to("out.yaml")
    assert mydocker("config", "-o", "link", "--profiles", cwd=tmp_path).code == 0
    assert (tmp_path / "link").is_symlink() and file.read_text() == "debug\ntools\n"
    done = mydocker("config", "-o", "none/x", cwd=tmp_path)
    assert (done.code, done.stderr) == (125, b"mydocker: cannot write none/x: no such file or directory\n")
    done = mydocker("config", "-o", ".", cwd=tmp_path)
    assert done.code == 125 and done.stderr.startswith(b"mydocker: cannot write .: ")
    assert mydocker("config", "-o", "/dev/stdout", "--profiles", cwd=tmp_path).stdout == b"debug\ntools\n"
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_an_output_that_is_a_pipe_is_written_to(mydocker: Command, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    assert mydocker("config", "-o", "pipe", "--profiles", cwd=tmp_path).code == 0
    reader.join()
    assert found == [b"debug\ntools\n"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_is_not_utf_8_is_an_error(mydocker: Command, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("image: alpine\nenvironment: [A]\n")
    for words in (["--to", "compose"], ["--to", "quadlet"], ["--to", "compose", "--format", "json"], []):
        done = mydocker("config", *words, "b.yaml", cwd=tmp_path, env={"A": "\udcff"})
        assert (done.stdout, done.code) == (b"", 2), done
        assert done.stderr.startswith(b"mydocker: a value is not UTF-8, so no file can hold it"), done


def test_a_shell_reads_the_lists(mydocker: Command, tmp_path: Path) -> None:
    """As in the scripts of those who come from Compose."""
    done = mydocker("compose", "config", "--services", cwd=tmp_path)
    script = "for each in $(cat); do printf '<%s>' \"$each\"; done"
    assert subprocess.run(["sh", "-c", script], input=done.stdout, capture_output=True).stdout == b"<web><db>"


@pytest.mark.root
def test_quadlets_that_were_converted_run(mydocker: Command, tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    (tmp_path / "talk.yaml").write_text(
        'name: first\nrootfs: /\ncommand: [sh, -c, \'echo "$$A" "$$0"\', \'b  c%\']\nenvironment: {A: "50% \'$$V"}\n'
        "---\nname: second\nrootfs: /\ncommand: [echo, done]\n"
        "depends_on: {first: {condition: service_completed_successfully}}\n"
    )
    done = mydocker("config", "--to", "quadlet", "--directory", "units", "talk.yaml", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0)
    done = mydocker("up", "--no-log-prefix", "units/second.container", cwd=tmp_path)
    # what two containers write is shown as it comes, not in their order
    assert (sorted(done.stdout.splitlines()), done.code) == ([b"50% '$V b  c%", b"done"], 0), done


def test_compose_config_prints_a_compose_file(mydocker: Command, tmp_path: Path) -> None:
    """As docker compose does; without `compose`, and for other questions, it is what `config` prints."""
    (tmp_path / "compose.yaml").write_text("name: p\nservices: {web: {image: alpine}}\n")
    expected = mydocker("config", "--to", "compose", cwd=tmp_path)
    assert expected.stdout.startswith(b"name: p\nservices:\n"), expected
    assert mydocker("compose", "config", cwd=tmp_path) == expected
    assert mydocker("compose", "config", "web", cwd=tmp_path) == expected
    assert mydocker("compose", "config", "--services", cwd=tmp_path) == Result(b"web\n", b"", 0)
    assert mydocker("compose", "config", "-q", cwd=tmp_path) == Result(b"", b"", 0)
