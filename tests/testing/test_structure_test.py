"""Files of container-structure-test run unchanged; each thing that they can say, both ways."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import pytest
from lab import busybox
from lab.command import Command, Result, command
from lab.oci import Entry, Link, image, layer
from lab.registry import Registry

from mydocker.errors import SpecError
from mydocker.specs.expect.go_regexp import python_pattern
from mydocker.specs.load.load import load_files

root = pytest.mark.root


def _test(mydocker: Command, directory: pathlib.Path, text: str, *options: str, image: str = "alpine") -> Result:
    (directory / "cst.yaml").write_text(f"schemaVersion: 2.0.0\n{text}")
    (directory / "run.env").write_text("A=b\nB=c\n")
    return mydocker("test", "--image", image, *options, "cst.yaml", cwd=directory, env={"CST_HERE": "c"})


COMMAND = "commandTests: [{{name: x, command: sh, args: [-c, '{}'], {}}}]"
FILE = "fileExistenceTests: [{{name: x, path: {}, {}}}]"
CONTENT = "fileContentTests: [{{name: x, path: /etc/passwd, {}}}]"
SETUP = (
    "commandTests: [{{name: x, setup: [[sh, -c, 'echo said; echo a > /tmp/a'], [cp, /tmp/a, /tmp/b]], teardown: [[x]], "
    "command: cat, args: [/tmp/{}], expectedOutput: ['^a\\n$'], excludedOutput: [said], excludedError: [said]}}]"
)
CASES = [
    (SETUP.format("b"), SETUP.format("c")),
    ("commandTests: [{name: x, command: echo, args: ['<$PATH>', '${PATH}', $X], expectedOutput: ['^</.*> /.* .X\\n']}]",
     "commandTests: [{name: x, command: echo, args: ['<$PATH>'], expectedOutput: [PATH]}]"),
    (COMMAND.format("echo $PATH", "envVars: [{key: PATH, value: '/t:$PATH'}], expectedOutput: ['^/t:/g:/.*bin']}]\n"
     "globalEnvVars: [{key: PATH, value: '/g:${PATH}:$NOPE'"),
     COMMAND.format("echo $PATH", "expectedOutput: ['^/t:/g:']}]\nglobalEnvVars: [{key: PATH, value: '/g:$PATH'")),
    (COMMAND.format("echo $A", "expectedOutput: ['^b\\n$']}]\ncontainerRunOptions: {envFile: run.env}\nx-a: [{"),
     COMMAND.format("echo $A", "expectedOutput: ['^b\\n$']")),
    (COMMAND.format("echo $A $B", "envVars: [{key: A, value: t}], expectedOutput: ['^t c\\n$']}]\n"
     "containerRunOptions: {envFile: run.env}\nx-a: [{"),
     COMMAND.format("echo $A $B", "expectedOutput: ['^t c']}]\ncontainerRunOptions: {envFile: run.env}\nx-a: [{")),
    (COMMAND.format("echo $CST_HERE", "expectedOutput: [^c]}]\ncontainerRunOptions: {envVars: [CST_HERE]}\nx-a: [{"),
     COMMAND.format("echo $CST_HERE", "expectedOutput: [^c]")),
    (COMMAND.format("tty", "expectedOutput: [/dev/pts]}]\ncontainerRunOptions: {allocateTty: true}\nx-a: [{"),
     COMMAND.format("tty", "exitCode: 0")),
    (COMMAND.format("grep CapEff /proc/self/status", "expectedOutput: ['a82425fb']}]\n"
     "containerRunOptions: {capabilities: [SYS_ADMIN]}\nx-a: [{"),
     COMMAND.format("grep CapEff /proc/self/status", "expectedOutput: [a82425fb]")),
    (COMMAND.format("mount -t tmpfs x /tmp", "exitCode: 0}]\n"
     "containerRunOptions: {privileged: true}\nx-a: [{"),
     COMMAND.format("mount -t tmpfs x /tmp", "exitCode: 0")),
    (COMMAND.format("cat /mnt/run.env", "expectedOutput: [A=b]}]\n"
     "containerRunOptions: {bindMounts: ['.:/mnt']}\nx-a: [{"),
     COMMAND.format("cat /mnt/run.env", "expectedOutput: [A=b]")),
    ("licenseTests: [{debian: false, files: [/etc/passwd, /etc/group]}]",
     "licenseTests: [{debian: false, files: [/run/none]}]"),
    (COMMAND.format("echo $HOME", "expectedOutput: ['^/root\\n$']"), COMMAND.format("echo", "expectedOutput: [root]")),
    (COMMAND.format("echo", "excludedOutput: [root]"), COMMAND.format("echo $HOME", "excludedOutput: ['r.ot\\n$']")),
    (COMMAND.format("echo abc 123", r"expectedOutput: ['[[:digit:]]+', '\Q 1\E.3\n\z', '\pL (?i)1']"),
     COMMAND.format("echo abc 123", "excludedOutput: ['[[:digit:]]+']")),
    (COMMAND.format("echo a >&2", "expectedError: [a]"), COMMAND.format("echo a", "expectedError: [a]")),
    (COMMAND.format("echo a", "excludedError: [a]"), COMMAND.format("echo a >&2", "excludedError: [a]")),
    (COMMAND.format("exit 2", "exitCode: 2"), COMMAND.format("exit 3", "exitCode: 2")),
    (COMMAND.format("echo $A", "expectedOutput: ['^b\\n$']}]\nglobalEnvVars: [{key: A, value: b"),
     COMMAND.format("echo $A", "expectedOutput: [b]")),
    (COMMAND.format("echo $A", "envVars: [{key: A, value: b}], expectedOutput: ['^b\\n$']"),
     COMMAND.format("echo $A", "expectedOutput: [b]")),
    (COMMAND.format("id -un", "expectedOutput: [nobody]}]\ncontainerRunOptions: {user: nobody}\nx-a: [{"),
     COMMAND.format("id -un", "expectedOutput: [nobody]")),
    (FILE.format("/etc/passwd", "shouldExist: true"), FILE.format("/etc/nonesuch", "shouldExist: true")),
    (FILE.format("/etc/nonesuch", "shouldExist: false"), FILE.format("/etc/passwd", "shouldExist: false")),
    (FILE.format("/etc/shadow", "permissions: -rw-r-----"), FILE.format("/etc/shadow", "permissions: -rw-r--r--")),
    (FILE.format("/tmp", "permissions: dtrwxrwxrwx"), FILE.format("/tmp", "permissions: drwxrwxrwx")),
    (FILE.format("/bin/sh", "permissions: Lrwxrwxrwx"), FILE.format("/bin/busybox", "permissions: Lrwxrwxrwx")),
    (FILE.format("/bin/busybox", "permissions: -rwxr-xr-x"), FILE.format("/bin/sh", "permissions: -rwxr-xr-x")),
    (FILE.format("/root", "permissions: drwx------"), FILE.format("/etc/shadow", "permissions: drw-r-----")),
    (FILE.format("/etc/shadow", "uid: 0, gid: 42"), FILE.format("/etc/shadow", "uid: 0, gid: 0")),
    (FILE.format("/bin/busybox", "isExecutableBy: other"), FILE.format("/root", "isExecutableBy: other")),
    (FILE.format("/root", "isExecutableBy: owner"), FILE.format("/etc/passwd", "isExecutableBy: any")),
    (CONTENT.format("expectedContents: ['^root:.*sh\\n']"), CONTENT.format("expectedContents: [^nobody]")),
    (CONTENT.format("excludedContents: [^nobody]"), CONTENT.format("excludedContents: ['(?m)^n.body']")),
    (CONTENT.format("expectedContents: ['(?m)^root:.*sh$']"), CONTENT.format("expectedContents: ['^root:.*sh$']")),
]  # fmt: skip  # pairs read best side by side


def _verdicts(mydocker: Command, directory: pathlib.Path, texts: Sequence[str], *, image: str) -> dict[str, Any]:
    """What became of each of TEXTS, files without their first line, in one batch: verdicts and failures by text."""
    (directory / "run.env").write_text("A=b\nB=c\n")
    names = {f"cst{number}.yaml": text for number, text in enumerate(texts)}
    for name, text in names.items():
        (directory / name).write_text(f"schemaVersion: {text}")
    words = ("test", "--image", image, "--report", "json=report.json", *names)
    done = mydocker(*words, cwd=directory, env={"CST_HERE": "c"})
    assert (done.stderr, done.code) == (b"", 1), done
    found: dict[str, Any] = {text: [] for text in texts}
    for case in json.loads((directory / "report.json").read_text())["cases"]:
        found[names[case["file"]]].append((case["verdict"], case["reason"], case["failures"]))
    return found


def _check_both(found: dict[str, Any], good: str, bad: str) -> None:
    """GOOD has passed, and BAD has failed, by what was expected and nothing else."""
    assert found[good] == [("passed", "", [])]
    [(verdict, reason, failures)] = found[bad]
    assert (verdict, reason) == ("failed", "") and failures, found[bad]


def _version_2(text: str) -> str:
    return "2.0.0\n" + re.sub(r"\nx-a: .*", "", text)


@pytest.fixture(scope="module")
def judged(alpine: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of CASES, in one batch."""
    texts = [*dict.fromkeys(_version_2(text) for pair in CASES for text in pair)]
    return _verdicts(alpine, tmp_path_factory.mktemp("both"), texts, image="alpine")


@root
@pytest.mark.parametrize(("good", "bad"), CASES)
def test_both_ways(judged: dict[str, Any], good: str, bad: str) -> None:
    _check_both(judged, _version_2(good), _version_2(bad))


@root
def test_what_one_file_expects_is_its_exit_code(alpine: Command, tmp_path: pathlib.Path) -> None:
    for text, code in zip(CASES[0], (0, 1), strict=True):
        done = _test(alpine, tmp_path, text)
        assert (done.stderr, done.code, b"FAILED  " in done.stdout) == (b"", code, code == 1), done


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
        ("licenseTests: [{debian: false, files: }]", "2:16", "there is nothing to check"),
        ("licenseTests: [{debian: true, files: /x}]", "2:38", "expected a list of files"),
        ("containerRunOptions: {users: x}", "2:23", "did you mean 'user'?"),
        ("metadataTest: {users: x, user: y}", "2:16", "did you mean 'user'?"),
        ("metadataTest: {envVars: [{key: A}]}", "2:26", "value is missing"),
        ("metadataTest: {}", "2:15", "expected a mapping with"),
        ("commandTests: [{name: x, command: y, setup: [z]}]", "2:46", "expected a command, a list of words"),
        ("commandTests: [{name: x, command: y, teardown: [[]]}]", "2:49", "expected a command, a list of words"),
        ("commandTests: [{name: x, command: y, setup: z}]", "2:45", "expected a list of commands"),
        ("commandTests: [{name: x}]", "2:16", "command is missing"),
        ("commandTests: [{name: x, command: y, args: z}]", "2:44", "expected a list of arguments"),
        ("containerRunOptions: x\ncommandTests: [{name: x, command: y}]", "2:22", "expected a mapping"),
        ("commandTests: [{name: x, command: y, expectedOutput: z}]", "2:54", "expected a list of regular expressions"),
        ("commandTests: [{name: x, command: y, expectedOutput: ['(']}]", "2:55", "a '(' without its ')'"),
        ("commandTests: [{name: x, command: y, excludedError: ['(?=z)']}]", "2:54", "Go has no such group"),
        ("metadataTest: {env: [{key: A, value: 'a**', isRegex: true}]}", "2:38", "nothing to repeat"),
        ("fileExistenceTests: [{name: x, path: /x, permissions: rw}]", "2:55", "expected permissions"),
        ("fileExistenceTests: [{name: x, path: /x, isExecutableBy: me}]", "2:58", "expected owner, group"),
        ("fileExistenceTests: [{name: x, path: /x, permissions: Lrwxr-xr-x}]", "2:55", "of a symlink are Lrwxrwxrwx"),
        ("fileExistenceTests: [x]", "2:22", "expected a mapping"),
    ],
)
def test_what_is_wrong_or_not_known_is_named(tmp_path: pathlib.Path, text: str, place: str, words: str) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text(f"schemaVersion: 2.0.0\n{text}\n")
    with pytest.raises(SpecError) as caught:
        load_files([str(path)], environ={}, image="alpine")
    assert caught.value.problems[0].startswith(f"{path}:{place}: ")
    assert words in caught.value.problems[0]


V1 = [
    ("commandTests: [{name: x, command: [echo, a b], expectedOutput: ['^a b\\n$']}]",
     "commandTests: [{name: x, command: [echo, a b], expectedOutput: ['^b']}]"),
    ("commandTests: [{name: x, command: ['true']}]", "commandTests: [{name: x, command: ['false']}]"),
    ("commandTests: [{name: x, command: [sh, -c, 'exit 3'], exitCode: 3}]",
     "commandTests: [{name: x, command: [sh, -c, 'exit 3']}]"),
    ("commandTests: [{name: x, setup: [[touch, /tmp/a]], teardown: [[x]], command: [ls, /tmp/a], envVars: "
     "[{key: A, value: b}], excludedError: [a], expectedError: [], excludedOutput: [b]}]",
     "commandTests: [{name: x, command: [ls, /tmp/a]}]"),
    ("commandTests: [{name: x, command: [sh, -c, 'echo $A'], expectedOutput: [^b]}]\n"
     "globalEnvVars: [{key: A, value: b}]",
     "commandTests: [{name: x, command: [sh, -c, 'echo $A'], expectedOutput: ['^b']}]"),
    ("fileExistenceTests: [{name: x, path: /etc/passwd, shouldExist: true, permissions: '-rw-r--r--'}]",
     "fileExistenceTests: [{name: x, path: /etc/passwd, shouldExist: false}]"),
    ("fileExistenceTests: [{name: x, path: /etc, isDirectory: true}]",
     "fileExistenceTests: [{name: x, path: /etc/passwd, isDirectory: true}]"),
    ("fileExistenceTests: [{name: x, path: /etc, isDirectory: false}]",
     "fileExistenceTests: [{name: x, path: /nonesuch, isDirectory: false}]"),
    ("fileContentTests: [{name: x, path: /etc/passwd, expectedContents: [root], excludedContents: [toor]}]",
     "fileContentTests: [{name: x, path: /etc/passwd, expectedContents: [toor]}]"),
    ("licenseTests: [{debian: false, files: [/etc/passwd]}]", "licenseTests: [{debian: false, files: [/nonesuch]}]"),
    ("metadataTest: {cmd: [/bin/sh]}", "metadataTest: {cmd: [x]}"),
]  # fmt: skip  # pairs read best side by side


@pytest.fixture(scope="module")
def judged_first(alpine: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of V1, in one batch."""
    texts = [f"'1.0.0'\n{text}\n" for pair in V1 for text in pair]
    return _verdicts(alpine, tmp_path_factory.mktemp("first"), texts, image="alpine")


@root
@pytest.mark.parametrize(("good", "bad"), V1)
def test_the_first_version_of_the_schema(judged_first: dict[str, Any], good: str, bad: str) -> None:
    _check_both(judged_first, f"'1.0.0'\n{good}\n", f"'1.0.0'\n{bad}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1.0.0\ncommandTests: [{name: x, command: echo}]", "2:35: expected a list of words, with schemaVersion 1.0.0"),
        ("1.0.0\ncommandTests: [{name: x, command: []}]", "2:35: expected a list of words, with schemaVersion 1.0.0"),
        ("1.0.0\ncommandTests: [{name: x, command: [a], args: [b]}]",
         "2:40: args are of schemaVersion 2.0.0: write all words into command"),
        ("1.0.0\ncommandTests: [{name: x, commnd: [a]}]", "2:26: unknown key 'commnd'; did you mean 'command'?"),
        ("2.0.0\ncommandTests: [{name: x, command: [a, b]}]", "2:35: expected text"),
        ("1.0\ncommandTests: [{name: x, command: [a]}]", "1:16: schemaVersion: expected 1.0.0 or 2.0.0"),
        ("3.0.0\ncommandTests: [{name: x, command: a}]", "1:16: schemaVersion: expected 1.0.0 or 2.0.0"),
    ],
)  # fmt: skip
def test_what_is_of_the_other_version_is_named(tmp_path: pathlib.Path, text: str, problem: str) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text(f"schemaVersion: {text}\n")
    with pytest.raises(SpecError) as caught:
        load_files([str(path)], environ={}, image="alpine")
    assert [line.removeprefix(f"{path}:") for line in caught.value.problems] == [problem]


def test_the_file_of_variables_is_in_the_working_directory(tmp_path: pathlib.Path) -> None:
    """As the original opens it, whatever directory the tests are in."""
    mydocker = command(tmp_path, forks=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "run.env").write_text("A=here\n")
    for options, found in (("envFile: run.env", b"A: here"), (f"envFile: {tmp_path}/run.env", b"A: here")):
        (tmp_path / "tests/cst.yaml").write_text(
            f"schemaVersion: 2.0.0\ncommandTests: [{{name: x, command: y}}]\ncontainerRunOptions: {{{options}}}\n"
        )
        done = mydocker("config", "--image", "a", "tests/cst.yaml", cwd=tmp_path)
        assert done.code == 0 and found in done.stdout, done
    (tmp_path / "run.env").rename(tmp_path / "tests/run.env")
    (tmp_path / "tests/cst.yaml").write_text(
        "schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y}]\ncontainerRunOptions: {envFile: run.env}\n"
    )
    done = mydocker("check", "--image", "a", "tests/cst.yaml", cwd=tmp_path)  # which judges the file alone
    assert done.code == 0 and f"warning: tests/cst.yaml:3:32: env file '{tmp_path}/run.env'".encode() in done.stderr, (
        done
    )
    done = mydocker("test", "--image", "a", "tests/cst.yaml", cwd=tmp_path)
    assert done.code == 2 and f"{tmp_path}/run.env".encode() in done.stderr, done


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fileExistenceTests: [{name: $HOME, path: etc/x}]", "$HOME /etc/x"),
        ("fileExistenceTests: [{name: 'costs $5 ${A:?b}', path: ./etc/x}]", "costs $5 ${A:?b} /etc/x"),
        ("fileExistenceTests: [{name: $$, path: /etc/x}]", "$$ /etc/x"),
        ("fileExistenceTests: [{name: a, path: $HOME/x}]", "a $HOME/x"),
        ("fileContentTests: [{name: $HOME, path: etc/x}]", "$HOME /etc/x"),
        ("licenseTests: [{debian: false, files: [etc/x]}]", "None /etc/x"),
        ("commandTests: [{name: '${HOME}', command: y}]", "${HOME}"),
    ],
)
def test_names_and_paths_are_those_of_the_original(tmp_path: pathlib.Path, text: str, found: str) -> None:
    """No variable of the caller's is in them, and a path counts from the root of the image."""
    path = tmp_path / "cst.yaml"
    path.write_text(f"schemaVersion: 2.0.0\n{text}\n")
    [spec] = load_files([str(path)], environ={"HOME": "/home/caller"}, image="alpine")
    assert spec.expect is not None
    paths = dict.fromkeys(check.about[1] for check in spec.expect.of("files"))
    assert " ".join([str(spec.name), *paths]) == found


@pytest.mark.parametrize("pattern", [r"\$HOME", r"[$]HOME", r"\$\{A", r"^a$", r"a$|b"])
def test_a_dollar_sign_of_a_pattern_is_no_variable(tmp_path: pathlib.Path, pattern: str) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text(f"schemaVersion: 2.0.0\ncommandTests: [{{name: x, command: y, expectedOutput: ['{pattern}']}}]\n")
    [spec] = load_files([str(path)], environ={"HOME": "/home/caller", "A": "v"}, image="alpine")
    assert spec.expect is not None
    [want] = [check.matcher.want for check in spec.expect.of("stdout")]
    assert want == python_pattern(pattern)


def test_it_needs_an_image(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cst.yaml"
    path.write_text("schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y}]\n")
    with pytest.raises(SpecError, match="--image IMAGE"):
        load_files([str(path)], environ={})


META = [
    ("envVars: [{key: A, value: b$c}]", "envVars: [{key: A, value: c}]"),
    ("envVars: [{key: A, value: '^b.c$', isRegex: true}]", "envVars: [{key: A, value: '^b.c$'}]"),
    ("env: [{key: A, value: b$c}], unboundEnv: [{key: B}]", "unboundEnv: [{key: A}]"),
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
    pairs = [(f"2.0.0\nmetadataTest: {{{good}}}", f"2.0.0\nmetadataTest: {{{bad}}}") for good, bad in META]
    found = _verdicts(mydocker, tmp_path, [text for pair in pairs for text in pair], image="described")
    for good, bad in pairs:
        _check_both(found, good, bad)


@root
def test_paths_have_the_variables_of_the_image(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    registry.push(busybox.alpine(env=["D=/etc", "FILE=/etc/passwd"]), "library/variables")
    for path in ("$D/passwd", "${D}/passwd", "$FILE", "$NOPE/etc/passwd"):
        done = _test(mydocker, tmp_path, FILE.format(f'"{path}"', "shouldExist: true"), image="variables")
        assert (done.stderr, done.code) == (b"", 0), (path, done)
    done = _test(mydocker, tmp_path, FILE.format("$D/none", "shouldExist: true"), image="variables")
    assert done.code == 1 and b"$D/none" in done.stdout


@root
def test_setup_that_fails_is_an_error(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Not of the test, and never passed over: the real tool goes on with what there is."""
    text = "commandTests: [{{name: x, setup: [{}], command: 'true'}}]"
    for setup, words in [
        ("[sh, -c, 'echo why >&2; exit 3']", b"pre_start: 'sh -c echo why >&2; exit 3' ended with exit code 3: why"),
        ("[sh, -c, 'kill -9 $$']", b"ended with signal 9"),
        ("[nonesuch]", b"pre_start: 'nonesuch': executable file not found"),
    ]:
        done = _test(alpine, tmp_path, text.format(setup))
        assert done.code == 3 and words in done.stdout, done


@root
def test_a_test_that_never_ends_can_be_ended(alpine: Command, tmp_path: pathlib.Path) -> None:
    """In its set-up, too. The real tool has no time limit."""
    text = "commandTests: [{name: x, setup: [[sleep, 100]], command: 'true'}]"
    done = _test(alpine, tmp_path, text, "--timeout", "500ms")
    assert done.code == 3 and b"the batch was over its 0.5 s" in done.stdout


@root
def test_what_setup_leaves_running_is_ended(alpine: Command, tmp_path: pathlib.Path) -> None:
    text = (
        "commandTests: [{name: x, setup: [[sh, -c, 'sleep 1000 &']], command: sh, "
        "args: [-c, 'pidof sleep || echo none'], expectedOutput: [none]}]"
    )
    done = _test(alpine, tmp_path, text)
    assert done.code == 0, done


@root
def test_folders_have_tests_of_both_kinds(alpine: Command, tmp_path: pathlib.Path) -> None:
    """What key is in a file decides, with an image for it; JSON will do, also with tabs."""
    inside = tmp_path / "sub"
    inside.mkdir()
    (inside / "a.yaml").write_text("# comment\nschemaVersion: '2.0.0'\ncommandTests: [{name: one, command: 'true'}]\n")
    (inside / "b.json").write_text(
        '{\n\t"schemaVersion": "2.0.0",\n\t"commandTests": [\n\t\t{"name": "two", "command": "echo", "args": ["a$b"],'
        '\n\t\t"expectedOutput": ["a.b"]}\n\t]\n}\n'
    )
    (inside / "manifest.json").write_text('{"schemaVersion": 2}\n')
    (inside / "c.smoke.yaml").write_text("name: three\nimage: alpine\ncommand: 'true'\n")
    done = alpine("test", "--image", "alpine", ".", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0), done
    assert [line.split()[1] for line in done.stdout.splitlines()[:3]] == [b"one", b"two", b"three"]
    done = alpine("test", ".", cwd=tmp_path)
    assert b"three" in done.stdout and b"1 passed" in done.stdout


@root
def test_licenses_of_debian_packages(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    doc = "usr/share/doc"
    good: dict[str, bytes | Entry] = {
        f"{doc}/a/copyright": b"GPL-2+",
        f"{doc}/libgnutls30/copyright": b"agpl",
        f"{doc}/b": Link("a"),
    }
    for name, more in (("good", {}), ("bad", {f"{doc}/c/copyright": b"x\nthe agpl\n"}), ("none", {f"{doc}/d/x": b""})):
        registry.push(busybox.alpine(layer({**good, **more})), f"library/{name}")
    text = "licenseTests:\n- debian: true\n  files:\n"
    assert _test(mydocker, tmp_path, text, image="good").code == 0
    done = _test(mydocker, tmp_path, text, image="bad")
    assert done.code == 1 and b"/usr/share/doc/c/copyright: AGPL or WTFPL" in done.stdout
    done = _test(mydocker, tmp_path, text, image="none")
    assert done.code == 1 and b"/usr/share/doc/d/copyright: missing" in done.stdout


def test_check_takes_an_image(tmp_path: pathlib.Path) -> None:
    mydocker = command(tmp_path, forks=True)
    (tmp_path / "a.yaml").write_text("schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y, args: , setup: }]\n")
    assert mydocker("check", "--image", "a", "a.yaml", cwd=tmp_path).code == 0
    assert b"--image IMAGE" in mydocker("check", "a.yaml", cwd=tmp_path).stderr
    (tmp_path / "a.yaml").write_text("schemaVersion: \ncommandTests: [{name: x, command: y}]\n")
    done = mydocker("check", "--image", "a", "a.yaml", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"a.yaml:1:1: schemaVersion: expected 1.0.0 or 2.0.0\n", 1)
