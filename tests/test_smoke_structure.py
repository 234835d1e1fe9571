"""Files of container-structure-test run unchanged; each thing that they can say, both ways."""

from __future__ import annotations

import pathlib
import re

import pytest
from lab import busybox
from lab.command import Command, Result
from lab.oci import image, layer
from lab.registry import Registry

from mydocker.errors import SpecError
from mydocker.spec.load import load_files

root = pytest.mark.root


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str, image: str = "alpine") -> Result:
    (directory / "cst.yaml").write_text(f"schemaVersion: 2.0.0\n{text}")
    return mydocker("test", "--image", image, *options, "cst.yaml", cwd=directory)


COMMAND = "commandTests: [{{name: x, command: sh, args: [-c, '{}'], {}}}]"
FILE = "fileExistenceTests: [{{name: x, path: {}, {}}}]"
CONTENT = "fileContentTests: [{{name: x, path: /etc/passwd, {}}}]"
CASES = [
    (COMMAND.format("echo $HOME", "expectedOutput: [^/root$]"), COMMAND.format("echo", "expectedOutput: [root]")),
    (COMMAND.format("echo", "excludedOutput: [root]"), COMMAND.format("echo $HOME", "excludedOutput: [r.ot$]")),
    (COMMAND.format("echo a >&2", "expectedError: [a]"), COMMAND.format("echo a", "expectedError: [a]")),
    (COMMAND.format("echo a", "excludedError: [a]"), COMMAND.format("echo a >&2", "excludedError: [a]")),
    (COMMAND.format("exit 2", "exitCode: 2"), COMMAND.format("exit 3", "exitCode: 2")),
    (COMMAND.format("echo $A", "expectedOutput: [^b$]}]\nglobalEnvVars: [{key: A, value: b"),
     COMMAND.format("echo $A", "expectedOutput: [b]")),
    (COMMAND.format("echo $A", "envVars: [{key: A, value: b}], expectedOutput: [^b$]"),
     COMMAND.format("echo $A", "expectedOutput: [b]")),
    (COMMAND.format("id -un", "expectedOutput: [nobody]}]\ncontainerRunOptions: {user: nobody}\nx-a: [{"),
     COMMAND.format("id -un", "expectedOutput: [nobody]")),
    (FILE.format("/etc/passwd", "shouldExist: true"), FILE.format("/etc/nonesuch", "shouldExist: true")),
    (FILE.format("/etc/nonesuch", "shouldExist: false"), FILE.format("/etc/passwd", "shouldExist: false")),
    (FILE.format("/etc/shadow", "permissions: -rw-r-----"), FILE.format("/etc/shadow", "permissions: -rw-r--r--")),
    (FILE.format("/tmp", "permissions: dtrwxrwxrwx"), FILE.format("/tmp", "permissions: drwxrwxrwx")),
    (FILE.format("/root", "permissions: drwx------"), FILE.format("/etc/shadow", "permissions: drw-r-----")),
    (FILE.format("/etc/shadow", "uid: 0, gid: 42"), FILE.format("/etc/shadow", "uid: 0, gid: 0")),
    (FILE.format("/bin/busybox", "isExecutableBy: other"), FILE.format("/root", "isExecutableBy: other")),
    (FILE.format("/root", "isExecutableBy: owner"), FILE.format("/etc/passwd", "isExecutableBy: any")),
    (CONTENT.format("expectedContents: ['^root:.*sh$']"), CONTENT.format("expectedContents: [^toor]")),
    (CONTENT.format("excludedContents: [^toor]"), CONTENT.format("excludedContents: ['^n.body']")),
]  # fmt: skip  # pairs read best side by side


@root
@pytest.mark.parametrize(("good", "bad"), CASES)
def test_both_ways(alpine: Command, tmp_path: pathlib.Path, good: str, bad: str) -> None:
    done = _test(alpine, tmp_path, re.sub(r"\nx-a: .*", "", good))
    assert (done.stderr, done.code) == (b"", 0), done
    done = _test(alpine, tmp_path, bad)
    assert (done.stderr, done.code) == (b"", 1), done
    assert b"FAILED  x" in done.stdout


@root
def test_files_of_an_image_in_which_nothing_can_run(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    registry.push(image([layer({"app.conf": b"listen 80\n"})]), "library/scratch")
    text = "fileContentTests: [{name: x, path: /app.conf, expectedContents: ['listen 80']}]"
    assert _test(mydocker, tmp_path, text, image="scratch").code == 0
    done = _test(mydocker, tmp_path, text.replace("80", "81"), image="scratch")
    assert done.code == 1
    assert b"again:    mydocker test --image scratch cst.yaml:2\n" in done.stdout


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "there is no test in this file"),
        ("commandTest: []", "2:1", "did you mean 'commandTests'?"),
        ("licenseTests: [{debian: true}]", "2:1", "licenseTests is not supported yet"),
        ("metadataTest: {users: x, user: y}", "2:16", "did you mean 'user'?"),
        ("metadataTest: {envVars: [{key: A}]}", "2:26", "value is missing"),
        ("metadataTest: {}", "2:15", "want a mapping with"),
        ("commandTests: [{name: x, command: y, setup: [[z]]}]", "2:38", "setup is not supported yet"),
        ("commandTests: [{name: x}]", "2:16", "command is missing"),
        ("commandTests: [{name: x, command: y, args: z}]", "2:44", "want a list of arguments"),
        ("containerRunOptions: x\ncommandTests: [{name: x, command: y}]", "2:22", "want a mapping"),
        ("commandTests: [{name: x, command: y, expectedOutput: z}]", "2:54", "want a list of regular expressions"),
        ("commandTests: [{name: x, command: y, expectedOutput: ['(']}]", "2:55", "not a regular expression"),
        (
            "globalEnvVars: [{key: PATH, value: '/x:$PATH'}]\ncommandTests: [{name: x, command: y}]",
            "2:36",
            "not supported",
        ),
        ("fileExistenceTests: [{name: x, path: /x, permissions: rw}]", "2:55", "want permissions"),
        ("fileExistenceTests: [{name: x, path: /x, isExecutableBy: me}]", "2:58", "want owner, group"),
        ("fileExistenceTests: [x]", "2:22", "want a mapping"),
    ],
)
def test_what_is_wrong_or_not_known_is_named(tmp_path: pathlib.Path, text: str, place: str, words: str) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text(f"schemaVersion: 2.0.0\n{text}\n")
    with pytest.raises(SpecError) as caught:
        load_files([str(path)], environ={}, image="alpine")
    assert caught.value.problems[0].startswith(f"{path}:{place}: ")
    assert words in caught.value.problems[0]


def test_it_needs_an_image(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text("schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y}]\n")
    with pytest.raises(SpecError, match="--image IMAGE"):
        load_files([str(path)], environ={})


META = [
    ("envVars: [{key: A, value: b$c}]", "envVars: [{key: A, value: c}]"),
    ("envVars: [{key: A, value: '^b.c$', isRegex: true}]", "envVars: [{key: A, value: '^b.c$'}]"),
    ("unboundEnvVars: [{key: B}]", "unboundEnvVars: [{key: A}]"),
    ("labels: [{key: v, value: '^1', isRegex: true}]", "labels: [{key: w, value: '^1', isRegex: true}]"),
    ("entrypoint: []", "entrypoint: [sh]"),
    ("cmd: [/bin/sh]", "cmd: []"),
    ("unexposedPorts: ['80'], unmountedVolumes: [/data]", "exposedPorts: [80]"),
    ("workdir: /srv, user: nobody", "volumes: [/data]"),
    ("user: nobody", "user: root"),
]


@root
def test_metadata_both_ways(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    settings = {"env": ["A=b$c"], "labels": {"v": "1.2"}, "user": "nobody", "working_dir": "/srv"}
    registry.push(busybox.alpine(**settings), "library/described")
    for good, bad in META:
        done = _test(mydocker, tmp_path, f"metadataTest: {{{good}}}", image="described")
        assert (done.stderr, done.code) == (b"", 0), (good, done)
        done = _test(mydocker, tmp_path, f"metadataTest: {{{bad}}}", image="described")
        assert (done.stderr, done.code) == (b"", 1), (bad, done)
