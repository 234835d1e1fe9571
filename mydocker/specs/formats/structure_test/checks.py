"""The tests of container-structure-test that run no command, as expectations of a spec file: files and their contents,
licenses, and the image's configuration.
"""

from __future__ import annotations

import re

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.structure_test.nodes import items_of, matching, members_of, path_of, patterns_of, plain
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, list_at, mapping_at, text_at
from mydocker.specs.nodes.reader import switch

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader
    from mydocker.specs.values import Scope

    Entries = dict[str, Node]

_EXECUTABLE = {"owner": "^.[1357]", "group": "^..[1357]", "other": "^...[1357]", "any": "^.*[1357]"}
_EXISTENCE = ("name", "path", "shouldExist", "permissions", "uid", "gid", "isExecutableBy", "isDirectory")
_CONTENT = ("name", "path", "expectedContents", "excludedContents")
_MODE = re.compile(r"([-dLpSDcugt]*)((?:[r-][w-][x-]){3})")  # as Go's fs.FileMode prints it
_PAIRS = {"envVars": "env", "env": "env", "unboundEnvVars": "env", "unboundEnv": "env", "labels": "labels"}
_SETS = {"exposedPorts": ("exposed_ports", ""), "unexposedPorts": ("exposed_ports", "!")}
_SETS |= {"volumes": ("volumes", ""), "unmountedVolumes": ("volumes", "!")}
_WHOLE = ("entrypoint", "cmd", "workdir", "user")
_KINDS = {"d": "directory", "L": "symlink", "p": "fifo", "S": "socket"}
_KINDS |= {"c": "character-device", "D": "block-device"}  # a character device has both letters
_BITS = {"u": 0o4000, "g": 0o2000, "t": 0o1000}
_REFUSED = ("AGPL", "WTFPL")
# prints what is wrong with the packages' copyright files; this one package may have any license
DEBIAN_LICENSES = """
for folder in /usr/share/doc/*; do
    if [ ! -d "$folder" ] || [ -L "$folder" ] || [ "$folder" = /usr/share/doc/libgnutls30 ]; then continue; fi
    if [ ! -e "$folder/copyright" ]; then echo "$folder/copyright: missing"
    elif grep -qiE 'AGPL|WTFPL' "$folder/copyright"; then echo "$folder/copyright: AGPL or WTFPL"; fi
done
"""


def existence(test: Mapping, reader: Reader) -> list[Node]:
    members = members_of(test, _EXISTENCE, reader, needs=("name", "path"))
    path = {"path": path_of(members["path"], reader)} if "path" in members else {}
    file: Entries = dict(path)
    for original, key in (("shouldExist", "exists"), ("uid", "owner"), ("gid", "group")):
        if original in members:
            file[key] = members[original]
    if "permissions" in members:
        kind, mode = reader.value(members["permissions"], _permissions) or ("", "")
        file |= {"mode": text_at(members["permissions"], mode)} if mode else {}
        file |= {"type": text_at(members["permissions"], kind)} if kind else {}
    if "isDirectory" in members and reader.value(members["isDirectory"], switch):  # of early files of version 1
        file["type"] = text_at(members["isDirectory"], "directory")
    found: list[Node] = [mapping_at(test, file)]
    if "isExecutableBy" in members:
        pattern = reader.value(members["isExecutableBy"], _executable)
        node = members["isExecutableBy"]
        found.append(
            mapping_at(node, {**path, "mode": mapping_at(node, {"match-regexp": text_at(node, pattern or "")})})
        )
    return found


def contents(test: Mapping, reader: Reader) -> list[Node]:
    members = members_of(test, _CONTENT, reader, needs=("name", "path"))
    patterns = [
        pattern
        for name, expected in (("expectedContents", True), ("excludedContents", False))
        if name in members
        for pattern in patterns_of(members[name], reader, expected=expected)
    ]
    file = {"path": path_of(members["path"], reader)} if "path" in members else {}
    return [mapping_at(test, {**file, **({"contents": list_at(patterns[0], patterns)} if patterns else {})})]


def licenses(files: Node, reader: Reader) -> list[Node]:
    """Files that must not name some licenses, in upper or lower case."""
    if not isinstance(files, Sequence) or not files.items:
        reader.refuse(files, "expected a list of files")
        return []
    return [
        mapping_at(path, {"path": path, "contents": list_at(path, [_without(path, name) for name in _REFUSED])})
        for path in (path_of(item, reader) for item in files.items)
    ]


def _without(node: Node, license: str) -> Node:
    return mapping_at(node, {"not": mapping_at(node, {"match-regexp": text_at(node, f"(?i){license}")})})


def metadata(test: Mapping, common: Entries, reader: Reader) -> Mapping:
    members = members_of(test, (*_PAIRS, *_SETS, *_WHOLE), reader)
    found: Entries = {}
    for key in ("env", "labels"):
        pairs = {name: node for original in _PAIRS if _PAIRS[original] == key
                 for item in items_of(members.get(original), reader)
                 for name, node in _pair(item, reader, absent=original.startswith("unbound")).items()}  # fmt: skip
        found |= {key: mapping_at(test, pairs)} if pairs else {}
    for key in ("exposed_ports", "volumes"):
        marked = [text_at(item, mark + reader.text(item)) for original, (name, mark) in _SETS.items() if name == key
                  for item in _words(members.get(original))]  # fmt: skip
        found |= {key: list_at(marked[0], [*marked])} if marked else {}
    for name in _WHOLE:
        if isinstance(node := members.get(name), Sequence):
            found[name] = list_at(node, [plain(item, reader) for item in node.items])
        elif node is not None:
            found[name] = plain(node, reader)
    whole = {"name": text_at(test, "metadata"), "image": common["image"], "entrypoint": common["entrypoint"]}
    expect = mapping_at(test, {"metadata": mapping_at(test, found)})
    return mapping_at(test, {**whole, "command": list_at(test, []), "expect": expect})


def _words(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else () if node is None else (node,)


def _pair(item: Mapping, reader: Reader, *, absent: bool) -> Entries:
    """A name and its matcher; null if the name must be absent."""
    members = members_of(item, ("key", "value", "isRegex"), reader, needs=("key",) if absent else ("key", "value"))
    if "key" not in members:
        return {}
    key = members["key"]
    if absent or "value" not in members:
        return {reader.text(key): Scalar(line=key.line, column=key.column, text="", plain=True)}
    is_regex = "isRegex" in members and reader.text(members["isRegex"]) == "true"
    read = matching if is_regex else plain
    return {reader.text(key): read(members["value"], reader)}


def _permissions(text: str, scope: Scope) -> tuple[str, str]:
    """(type, mode) of `-rw-r--r--`. A symlink has only one mode (symlink(7)), and so none to compare."""
    match = _MODE.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r}: expected permissions such as -rw-r--r-- or drwxr-xr-x")
    bits = int("".join("0" if letter == "-" else "1" for letter in match[2]), 2)
    bits |= sum(_BITS.get(letter, 0) for letter in set(match[1]))
    kind = next((_KINDS[letter] for letter in _KINDS if letter in match[1]), "file")
    if kind != "symlink":
        return kind, f"{bits:04o}"
    if bits != 0o777:
        raise UsageError(f"{text!r}: the permissions of a symlink are Lrwxrwxrwx")
    return kind, ""


def _executable(text: str, scope: Scope) -> str:
    if text not in _EXECUTABLE:
        raise UsageError(f"{text!r}: expected owner, group, other or any")
    return _EXECUTABLE[text]
