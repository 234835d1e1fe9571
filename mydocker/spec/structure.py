"""Files of container-structure-test (schemaVersion 2.0.0), as specs of ours: each of their tests is a document.

The nodes that are made keep the places of those that they are made of, so that mistakes and failures name the lines of
the file as it was written. What is not known yet is refused by its name, never left out.
"""

from __future__ import annotations

import re

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.spec.later import nearest
from mydocker.spec.node import Mapping, Node, Scalar, Sequence, list_at, mapping_at, text_at
from mydocker.spec.reading import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.spec.reading import Reading
    from mydocker.spec.words import Place

    Entries = dict[str, Node]

MARK = "schemaVersion"
VERSION = "2.0.0"
_LATER = ("licenseTests", "setup", "teardown", "envFile")
_TOP = (
    MARK,
    "globalEnvVars",
    "commandTests",
    "fileExistenceTests",
    "fileContentTests",
    "metadataTest",
    "containerRunOptions",
)
_OPTIONS = {"user": "user", "privileged": "privileged", "allocateTty": "tty", "capabilities": "cap_add"}
_OPTIONS |= {"bindMounts": "volumes", "envVars": "environment"}
_COMMAND = ("name", "command", "args", "envVars", "exitCode")
_OUTPUT = {"expectedOutput": ("stdout", True), "excludedOutput": ("stdout", False)}
_OUTPUT |= {"expectedError": ("stderr", True), "excludedError": ("stderr", False)}
_EXECUTABLE = {"owner": "^.[1357]", "group": "^..[1357]", "other": "^...[1357]", "any": "^.*[1357]"}
_EXISTENCE = ("name", "path", "shouldExist", "permissions", "uid", "gid", "isExecutableBy")
_CONTENT = ("name", "path", "expectedContents", "excludedContents")
_MODE = re.compile(r"([-dLpSDcugt]*)((?:[r-][w-][x-]){3})")  # as Go's fs.FileMode prints it
_PAIRS = {"envVars": "env", "unboundEnvVars": "env", "labels": "labels"}
_SETS = {"exposedPorts": ("exposed_ports", ""), "unexposedPorts": ("exposed_ports", "!")}
_SETS |= {"volumes": ("volumes", ""), "unmountedVolumes": ("volumes", "!")}
_WHOLE = ("entrypoint", "cmd", "workdir", "user")
_KINDS = {"d": "directory", "L": "symlink", "p": "fifo", "S": "socket"}
_BITS = {"u": 0o4000, "g": 0o2000, "t": 0o1000}


def documents(whole: Mapping, reading: Reading, *, image: str | None) -> list[Mapping]:
    """A document for each test of WHOLE, to be run on IMAGE."""
    top = _members(whole, _TOP, reading)
    version = top[MARK]
    if reading.text(version) != VERSION:
        reading.refuse(version, f"{MARK}: want {VERSION}")
    if image is None:
        reading.refuse(whole, "a container-structure-test file is for an image: mydocker test --image IMAGE")
        return []
    common = {"image": text_at(whole, image), "entrypoint": list_at(whole, []), **_options(top, reading)}
    variables = _variables(top.get("globalEnvVars"), reading)
    tests = []
    for item in _items(top.get("commandTests"), reading):
        tests.append(_command(item, common, variables, reading))
    for item in _items(top.get("fileExistenceTests"), reading):
        tests.append(_looked_at(item, common, _existence(item, reading), reading))
    for item in _items(top.get("fileContentTests"), reading):
        tests.append(_looked_at(item, common, _contents(item, reading), reading))
    if isinstance(test := top.get("metadataTest"), Mapping):
        tests.append(_metadata(test, common, reading))
    elif test is not None:
        reading.refuse(test, "want a mapping")
    if not tests and not reading.problems:
        reading.refuse(whole, "there is no test in this file")
    return tests


def _command(test: Mapping, common: Entries, variables: Entries, reading: Reading) -> Mapping:
    members = _members(test, (*_COMMAND, *_OUTPUT), reading, needs=("name", "command"))
    words = [members[name] for name in ("command",) if name in members]
    if isinstance(arguments := members.get("args"), Sequence):
        words += arguments.items
    elif arguments is not None:
        reading.refuse(arguments, "want a list of arguments")
    expect: Entries = {"exit_code": members.get("exitCode", text_at(test, "0"))}
    for stream in ("stdout", "stderr"):
        patterns = [
            pattern
            for name, (where, wanted) in _OUTPUT.items()
            if where == stream and name in members
            for pattern in _patterns(members[name], reading, wanted=wanted)
        ]
        if patterns:
            expect[stream] = list_at(patterns[0], patterns)
    own = {**variables, **_variables(members.get("envVars"), reading)}
    environment = {"environment": _joined(test, common.get("environment"), own)} if own else {}
    command = list_at(test, [_plain(word, reading) for word in words])
    return mapping_at(
        test, {**_name(members), **common, **environment, "command": command, "expect": mapping_at(test, expect)}
    )


def _looked_at(test: Mapping, common: Entries, files: list[Node], reading: Reading) -> Mapping:
    """A container that runs nothing: its files are looked at from outside."""
    members = {key.text: value for key, value in test.entries}
    whole = {
        **_name(members),
        "image": common["image"],
        "entrypoint": common["entrypoint"],
        "command": list_at(test, []),
    }
    return mapping_at(test, {**whole, "expect": mapping_at(test, {"files": list_at(test, files)})})


def _existence(test: Mapping, reading: Reading) -> list[Node]:
    members = _members(test, _EXISTENCE, reading, needs=("name", "path"))
    path = {"path": _plain(members["path"], reading)} if "path" in members else {}
    file: Entries = dict(path)
    for theirs, ours in (("shouldExist", "exists"), ("uid", "owner"), ("gid", "group")):
        if theirs in members:
            file[ours] = members[theirs]
    if "permissions" in members:
        kind, mode = reading.word(members["permissions"], _permissions) or ("", "")
        file["mode"] = text_at(members["permissions"], mode)
        file |= {"type": text_at(members["permissions"], kind)} if kind else {}
    found: list[Node] = [mapping_at(test, file)]
    if "isExecutableBy" in members:
        pattern = reading.word(members["isExecutableBy"], _executable)
        node = members["isExecutableBy"]
        found.append(
            mapping_at(node, {**path, "mode": mapping_at(node, {"match-regexp": text_at(node, pattern or "")})})
        )
    return found


def _contents(test: Mapping, reading: Reading) -> list[Node]:
    members = _members(test, _CONTENT, reading, needs=("name", "path"))
    patterns = [
        pattern
        for name, wanted in (("expectedContents", True), ("excludedContents", False))
        if name in members
        for pattern in _patterns(members[name], reading, wanted=wanted)
    ]
    file = {"path": _plain(members["path"], reading)} if "path" in members else {}
    return [mapping_at(test, {**file, **({"contents": list_at(patterns[0], patterns)} if patterns else {})})]


def _metadata(test: Mapping, common: Entries, reading: Reading) -> Mapping:
    members = _members(test, (*_PAIRS, *_SETS, *_WHOLE), reading)
    found: Entries = {}
    for ours in ("env", "labels"):
        pairs = {name: node for theirs in _PAIRS if _PAIRS[theirs] == ours
                 for item in _items(members.get(theirs), reading)
                 for name, node in _pair(item, reading, absent=theirs.startswith("unbound")).items()}  # fmt: skip
        found |= {ours: mapping_at(test, pairs)} if pairs else {}
    for ours in ("exposed_ports", "volumes"):
        marked = [text_at(item, mark + reading.text(item)) for theirs, (name, mark) in _SETS.items() if name == ours
                  for item in _words(members.get(theirs))]  # fmt: skip
        found |= {ours: list_at(marked[0], [*marked])} if marked else {}
    for name in _WHOLE:
        if isinstance(node := members.get(name), Sequence):
            found[name] = list_at(node, [_plain(item, reading) for item in node.items])
        elif node is not None:
            found[name] = _plain(node, reading)
    whole = {"name": text_at(test, "metadata"), "image": common["image"], "entrypoint": common["entrypoint"]}
    expect = mapping_at(test, {"metadata": mapping_at(test, found)})
    return mapping_at(test, {**whole, "command": list_at(test, []), "expect": expect})


def _words(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else () if node is None else (node,)


def _pair(item: Mapping, reading: Reading, *, absent: bool) -> Entries:
    """A name and its matcher; of one that is to be absent, null."""
    members = _members(item, ("key", "value", "isRegex"), reading, needs=("key",) if absent else ("key", "value"))
    if "key" not in members:
        return {}
    key = members["key"]
    if absent or "value" not in members:
        return {reading.text(key): Scalar(line=key.line, column=key.column, text="", plain=True)}
    value = _plain(members["value"], reading)
    is_regex = "isRegex" in members and reading.text(members["isRegex"]) == "true"
    return {reading.text(key): mapping_at(value, {"match-regexp": value}) if is_regex else value}


def _options(top: Entries, reading: Reading) -> Entries:
    given = top.get("containerRunOptions")
    if not isinstance(given, Mapping):
        if given is not None:
            reading.refuse(given, "want a mapping")
        return {}
    return {_OPTIONS[name]: node for name, node in _members(given, tuple(_OPTIONS), reading).items()}


def _variables(node: Node | None, reading: Reading) -> Entries:
    """Of `[{key, value}, …]`. A value with a variable of the image in it cannot be said yet."""
    found: Entries = {}
    for item in _items(node, reading):
        members = _members(item, ("key", "value"), reading, needs=("key", "value"))
        if {"key", "value"} <= members.keys():
            value = members["value"]
            if isinstance(value, Scalar) and "$" in value.text:
                reading.refuse(value, "variables of the image in a value are not supported yet")
            found[reading.text(members["key"])] = _plain(value, reading)
    return found


def _joined(test: Node, copied: Node | None, own: Entries) -> Node:
    """`environment` as a mapping: names of the run options, copied from here, and what the test sets."""
    names = copied.items if isinstance(copied, Sequence) else ()
    null: Entries = {name.text: Scalar(line=name.line, column=name.column, text="", plain=True) for name in names
                     if isinstance(name, Scalar)}  # fmt: skip
    return mapping_at(test, {**null, **own})


def _patterns(node: Node, reading: Reading, *, wanted: bool) -> Iterator[Node]:
    """Matchers for the regular expressions of a list."""
    if not isinstance(node, Sequence):
        reading.refuse(node, "want a list of regular expressions")
        return
    for item in node.items:
        matcher = mapping_at(item, {"match-regexp": _plain(item, reading)})
        yield matcher if wanted else mapping_at(item, {"not": matcher})


def _items(node: Node | None, reading: Reading) -> Iterator[Mapping]:
    if node is not None and not isinstance(node, Sequence):
        reading.refuse(node, "want a list")
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Mapping):
            yield item
        else:
            reading.refuse(item, "want a mapping")


def _members(node: Mapping, known: tuple[str, ...], reading: Reading, needs: tuple[str, ...] = ()) -> Entries:
    """The entries of NODE that are known; the others are refused, and so is the lack of what it needs."""
    found: Entries = {}
    for key, value in node.entries:
        if key.text in known:
            found[key.text] = value
        elif key.text in _LATER:
            reading.refuse(key, f"{key.text} is not supported yet")
        else:
            reading.refuse(key, unknown_key(key.text, nearest(key.text, known)))
    for name in needs:
        if name not in found:
            reading.refuse(node, f"{name} is missing")
    return found


def _name(members: Entries) -> Entries:
    return {"name": members["name"]} if "name" in members else {}


def _permissions(word: str, place: Place) -> tuple[str, str]:
    """(type, mode) of `-rw-r--r--`."""
    match = _MODE.fullmatch(word)
    if not match:
        raise UsageError(f"{word!r}: want permissions such as -rw-r--r-- or drwxr-xr-x")
    bits = int("".join("0" if letter == "-" else "1" for letter in match[2]), 2)
    bits |= sum(_BITS.get(letter, 0) for letter in set(match[1]))
    kind = next((_KINDS[letter] for letter in match[1] if letter in _KINDS), "")
    return kind, f"{bits:04o}"


def _executable(word: str, place: Place) -> str:
    if word not in _EXECUTABLE:
        raise UsageError(f"{word!r}: want owner, group, other or any")
    return _EXECUTABLE[word]


def _plain(node: Node, reading: Reading) -> Node:
    """NODE, a text in which a dollar sign is no variable of Compose's."""
    if isinstance(node, Scalar):
        return node.replace(text=node.text.replace("$", "$$"))
    reading.refuse(node, "want text")
    return node
