"""Files of container-structure-test (schemaVersion 1.0.0 and 2.0.0), as spec files: each test is a document.

New nodes keep the positions of the nodes that they are made from, so that errors and failures name the lines of
the original file. Unsupported tests are refused by name, never left out.
"""

from __future__ import annotations

import os
import re

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.structure_test.checks import DEBIAN_LICENSES, contents, existence, licenses, metadata
from mydocker.specs.formats.structure_test.keys import MARK, STRUCTURE_KEYS
from mydocker.specs.formats.structure_test.nodes import items_of, members_of, name_of, patterns_of, plain
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, list_at, mapping_at, text_at
from mydocker.specs.nodes.reader import switch

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

    Entries = dict[str, Node]

VERSIONS = ("1.0.0", "2.0.0")  # in the first, a command is a list of words (pkg/types/v1/command.go)
_OPTIONS = {"user": "user", "privileged": "privileged", "allocateTty": "tty", "capabilities": "cap_add"}
_OPTIONS |= {"bindMounts": "volumes", "envVars": "environment"}
_COMMAND = ("name", "setup", "teardown", "command", "args", "envVars", "exitCode")
_OUTPUT = {"expectedOutput": ("stdout", True), "excludedOutput": ("stdout", False)}
_OUTPUT |= {"expectedError": ("stderr", True), "excludedError": ("stderr", False)}
_VARIABLE = re.compile(r"\$\$(?:(\w+)|\{(\w+)\})", re.ASCII)  # as it is written once dollar signs are doubled


def documents(whole: Mapping, reader: Reader, *, image: str | None) -> list[Mapping]:
    """A document for each test of WHOLE, to be run on IMAGE."""
    top = members_of(whole, STRUCTURE_KEYS, reader)
    version = top.get(MARK)
    read = _command_of_version_1 if version is not None and reader.text(version) == VERSIONS[0] else _command
    if version is None or reader.text(version) not in VERSIONS:
        reader.refuse(version or whole, f"{MARK}: expected {' or '.join(VERSIONS)}")
        return []
    if image is None:
        reader.refuse(whole, "a container-structure-test file is for an image: mydocker test --image IMAGE")
        return []
    common = {"image": text_at(whole, image), "entrypoint": list_at(whole, []), **_options(top, reader)}
    variables = _variables(top.get("globalEnvVars"), reader)
    tests = []
    for item in items_of(top.get("commandTests"), reader):
        tests.append(read(item, common, variables, reader))
    for item in items_of(top.get("fileExistenceTests"), reader):
        tests.append(_with_checks(item, common, existence(item, reader), reader))
    for item in items_of(top.get("fileContentTests"), reader):
        tests.append(_with_checks(item, common, contents(item, reader), reader))
    for item in items_of(top.get("licenseTests"), reader):
        tests += _licenses(item, common, reader)
    if isinstance(test := top.get("metadataTest"), Mapping):
        tests.append(metadata(test, common, reader))
    elif test is not None:
        reader.refuse(test, "expected a mapping")
    if not tests and not reader.problems:
        reader.refuse(whole, "there is no test in this file")
    return tests


def _command_of_version_1(test: Mapping, common: Entries, variables: Entries, reader: Reader) -> Mapping:
    """A test whose command is a list of words, as a test of version 2, which separates command and args."""
    entries: list[tuple[Scalar, Node]] = []
    for key, node in test.entries:
        if key.text == "args":
            reader.refuse(key, "args are of schemaVersion 2.0.0: write all words into command")
        elif key.text != "command":
            entries.append((key, node))
        elif isinstance(node, Sequence) and node.items:
            words = list_at(node, node.items[1:])
            entries += [(key, node.items[0]), (key.replace(text="args"), words)]
        else:
            reader.refuse(node, "expected a list of words, with schemaVersion 1.0.0")
            entries.append((key, text_at(node, "unknown")))
    return _command(test.replace(entries=tuple(entries)), common, variables, reader)


def _command(test: Mapping, common: Entries, variables: Entries, reader: Reader) -> Mapping:
    members = members_of(test, (*_COMMAND, *_OUTPUT), reader, needs=("name", "command"))
    words = [members[name] for name in ("command",) if name in members]
    if isinstance(arguments := members.get("args"), Sequence):
        words += arguments.items
    elif arguments is not None:
        reader.refuse(arguments, "expected a list of arguments")
    expect: Entries = {"exit_code": members.get("exitCode", text_at(test, "0"))}
    for stream in ("stdout", "stderr"):
        patterns = [
            pattern
            for name, (where, expected) in _OUTPUT.items()
            if where == stream and name in members
            for pattern in patterns_of(members[name], reader, expected=expected)
        ]
        if patterns:
            expect[stream] = list_at(patterns[0], patterns)
    own = _over(variables, _variables(members.get("envVars"), reader))
    more: Entries = {"environment": _joined(test, common.get("environment"), own)} if own else {}
    if setup := _commands(members.get("setup"), reader):
        more["pre_start"] = list_at(setup[0], setup)
    _commands(members.get("teardown"), reader)  # no container is left in which it could run
    more["expand"] = text_at(test, "true")
    command = list_at(test, [plain(word, reader) for word in words])
    return mapping_at(
        test, {**name_of(members, reader), **common, **more, "command": command, "expect": mapping_at(test, expect)}
    )


def _licenses(test: Mapping, common: Entries, reader: Reader) -> list[Mapping]:
    """Up to two documents: one that checks the files named, one that runs a script in the image, which must be
    Debian's."""
    members = members_of(test, ("debian", "files"), reader)
    tests = []
    if "debian" in members and reader.value(members["debian"], switch):
        node = members["debian"]
        script = list_at(node, [text_at(node, word) for word in ("sh", "-c", DEBIAN_LICENSES)])
        expect = mapping_at(node, {"stdout": text_at(node, "")})
        tests.append(
            mapping_at(test, {**common, "name": text_at(node, "licenses"), "command": script, "expect": expect})
        )
    files = licenses(members["files"], reader) if "files" in members else []
    tests += [_with_checks(test, common, files, reader)] if files else []
    if not tests and "files" not in members:
        reader.refuse(test, "there is nothing to check: expected debian: true, or files")
    return tests


def _with_checks(test: Mapping, common: Entries, files: list[Node], reader: Reader) -> Mapping:
    """A container that runs nothing: its files are inspected from outside the container."""
    members = {key.text: value for key, value in test.entries}
    whole = {
        **name_of(members, reader),
        "image": common["image"],
        "entrypoint": common["entrypoint"],
        "command": list_at(test, []),
    }
    path = members.get("path")
    if isinstance(path, Scalar) and path.text.startswith("$"):
        whole["expand"] = text_at(path, "true")
    return mapping_at(test, {**whole, "expect": mapping_at(test, {"files": list_at(test, files)})})


def _options(top: Entries, reader: Reader) -> Entries:
    options = top.get("containerRunOptions")
    if not isinstance(options, Mapping):
        if options is not None:
            reader.refuse(options, "expected a mapping")
        return {}
    members = members_of(options, (*_OPTIONS, "envFile"), reader)
    found = {_OPTIONS[name]: node for name, node in members.items() if name in _OPTIONS}
    if "envFile" in members:
        # in the working directory, unlike all other paths in files: the original opens it as it is written
        path = text_at(members["envFile"], os.path.abspath(reader.text(members["envFile"], expected="a path")))
        found["env_file"] = mapping_at(path, {"path": path, "format": text_at(path, "raw")})
    return found


def _variables(node: Node | None, reader: Reader) -> Entries:
    """Of `[{key, value}, …]`. Variables in a value are the image's, see `expand`."""
    found: Entries = {}
    for item in items_of(node, reader):
        members = members_of(item, ("key", "value"), reader, needs=("key", "value"))
        if {"key", "value"} <= members.keys():
            found[reader.text(members["key"])] = plain(members["value"], reader)
    return found


def _over(variables: Entries, own: Entries) -> Entries:
    """All variables. In OWN, those of a test, the global ones are known; so `$PATH` may be expanded from the image
    twice."""
    known = {name: node.text for name, node in variables.items() if isinstance(node, Scalar)}

    def replaced(node: Node) -> Node:
        if not isinstance(node, Scalar):
            return node
        text = _VARIABLE.sub(lambda found: known.get(found[1] or found[2], found[0]), node.text)
        return node.replace(text=text)

    return {**variables, **{name: replaced(node) for name, node in own.items()}}


def _commands(node: Node | None, reader: Reader) -> list[Node]:
    """A list of commands, each a list of words."""
    if node is not None and not isinstance(node, Sequence):
        reader.refuse(node, "expected a list of commands")
    found: list[Node] = []
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Sequence) and item.items:
            found.append(list_at(item, [plain(word, reader) for word in item.items]))
        else:
            reader.refuse(item, "expected a command, a list of words")
    return found


def _joined(test: Node, copied: Node | None, own: Entries) -> Node:
    """`environment` as a mapping: names of the run options, copied from here, and what the test sets."""
    names = copied.items if isinstance(copied, Sequence) else ()
    null: Entries = {name.text: Scalar(line=name.line, column=name.column, text="", plain=True) for name in names
                     if isinstance(name, Scalar)}  # fmt: skip
    return mapping_at(test, {**null, **own})
