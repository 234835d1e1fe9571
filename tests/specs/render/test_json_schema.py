"""The JSON Schema says of a document what the loader says, and docs/reference.md is that of the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from lab.command import command
from lab.documents import EVERYTHING
from lab.places import ROOT

from mydocker.errors import SpecError
from mydocker.specs.expect.keywords import ANSWER, CHANGES, EXEC, EXPECT, FILE, MATCHERS, METADATA, REQUEST
from mydocker.specs.fields import FIELDS
from mydocker.specs.load.load import load_files
from mydocker.specs.load.yaml_types import YAML_TYPES as READ_TYPES
from mydocker.specs.render.help_text import reference
from mydocker.specs.render.json_schema import YAML_TYPES, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.json").write_text('{"defaultAction":"SCMP_ACT_ALLOW"}')
    return tmp_path


def _messages(document: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def _loads(text: str) -> bool:
    Path("spec.yaml").write_text(text)
    try:
        image = "alpine" if "schemaVersion" in text else None
        load_files(["spec.yaml"], environ={"HOME": "/root", "V": "v"}, image=image)
    except SpecError:
        return False
    return True


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert YAML_TYPES.keys() | {"flow"} == READ_TYPES.keys()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: str(path.name))
def test_the_examples_are_valid(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        assert _messages(document) == []


GOOD = (
    *EVERYTHING,
    *(f"image: a\n{row.key}: ~" for row in FIELDS if row.key not in ("image", "rootfs")),
    "image: a\nx-mine: {a: [1]}\nx_: 5",
    "image: a\npull_policy: ${V:+always}",
    "image: a\ntty: ${V:+yes}",
    "image: a\nread_only: On",
    "image: a\nenv_file: [{path: x, required: false, format: raw}]",
    "image: a\ndevices: [{source: /dev/null, permissions: rw}]",
    "image: a\nnamespaces: [pid, net]",
    "image: a\nulimits: [nofile=5]",
    "image: a\nextra_hosts: {a: [1.2.3.4, '::1'], b: 1.2.3.4}",
    "rootfs: /\nexpect: {stdout: ''}",
    "image: ~\nrootfs: /",
    "image: a\nexpect: {within: 5s, files: [{path: /x, exists: 'no'}]}",
    "image: a\nexpect: {http: {'http://a/': {status: 200, allow-insecure: 'Yes'}}}",
    "services: {a: {image: b}}",
    "schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y}]",
)
BAD = (
    "imag: a",
    "name: x",
    "image: a\nrootfs: /",
    "- image: a",
    "alpine",
    "image: [a]",
    "image: a\ncomand: x",
    "image: a\ncommand: {a: b}",
    "image: a\ncommand: [a, ~]",
    "image: a\ntty: 5",
    "image: a\ntty: maybe",
    "image: a\ninit: [true]",
    "image: a\npull_policy: sometimes",
    "image: a\nnetworks: bridge",
    "image: a\nnetworks: {a: {alias: [x]}}",
    "image: a\nexpose: 80",
    "image: a\npid: container",
    "image: a\nenvironment: 5",
    "image: a\nenvironment: {A: [b]}",
    "image: a\nenv_file: {file: x}",
    "image: a\nvolumes: /a:/b",
    "image: a\nvolumes: [{source: /a, target: /b}]",
    "image: a\nvolumes: [{type: bind, source: /a, target: /b, bind: {mode: ro}}]",
    "image: a\nvolumes: [{type: nfs, target: /b}]",
    "image: a\ndevices: [{target: /dev/x}]",
    "image: a\nnamespaces: [network]",
    "image: a\nnamespaces: {net: none}",
    "image: a\nulimits: {nofiles: 5}",
    "image: a\nulimits: {nofile: {soft: 5}}",
    "image: a\ncap_add: NET_ADMIN",
    "image: a\nports: [{published: 5}]",
    "image: a\ndepends_on: {a: {condition: up}}",
    "image: a\ndepends_on: {a: {required: false}}",
    "image: a\nhealthcheck: {tests: x}",
    "image: a\nhealthcheck: [a]",
    "image: a\nprofiles: a",
    "image: a\nretries: 1000",
    "image: a\nmatrix: {A: b}",
    "image: a\nmatrix: {A: []}",
    "image: a\nmatrix: {}",
    "image: a\nexpect: {}",
    "image: a\nexpect: 5",
    "image: a\nexpect: {exitcode: 0}",
    "image: a\nexpect: {stdout: []}",
    "image: a\nexpect: {stdout: {equals: x}}",
    "image: a\nexpect: {stdout: {and: []}}",
    "image: a\nexpect: {stdout: {gjson: {}}}",
    "image: a\nexpect: {stdout: {gjson: {a: []}}}",
    "image: a\nexpect: {stdout: {gjson: {a: [{b: 1}]}}}",
    "image: a\nexpect: {exit_code: {have-len: 3}}",
    "image: a\nexpect: {timed_out: {lt: 3}}",
    "image: a\nexpect: {duration: 5s}",
    "image: a\nexpect: {max_memory: [64m]}",
    "image: a\nexpect: {duration: {equal: 5s}}",
    "image: a\nexpect: {files: {path: /x}}",
    "image: a\nexpect: {files: [{exists: true}]}",
    "image: a\nexpect: {files: [{path: /x, type: folder}]}",
    "image: a\nexpect: {files: [{path: /x, owners: root}]}",
    "image: a\nexpect: {changes: {include: []}}",
    "image: a\nexpect: {changes: {any: [/x]}}",
    "image: a\nexpect: {metadata: {port: [80]}}",
    "image: a\nexpect: {metadata: {volumes: []}}",
    "image: a\nexpect: {metadata: {entrypoint: sh}}",
    "image: a\nexpect: {ports: {'tcp:80': open}}",
    "image: a\nexpect: {process: {nginx: {run: true}}}",
    "image: a\nexpect: {http: {'http://a/': {}}}",
    "image: a\nexpect: {within: 5s}",
    "image: a\nexpect: {health: well}",
    "image: a\nexpect: {exec: []}",
    "image: a\nexpect: {exec: [{stdout: a}]}",
    "image: a\nexpect: {exec: [{command: a, status: 0}]}",
    "image: a\nexpect: {exec: [{command: []}]}",
    "image: a\nexpect: {exec: {command: a}}",
    "image: a\nexpect: {within: 5s, exit_code: 0}",
    "image: ~",
    "extends: ~",
    "image: ~\nrootfs: ~",
    "image: a\nexpect: {http: {'http://a/': {method: GET}}}",
    "image: a\nexpect: {http: {'http://a/': {status: 200, head: x}}}",
    "services: [a]",
)


@pytest.mark.parametrize("text", GOOD)
def test_what_the_loader_takes_is_valid(text: str, here: Path) -> None:
    (here / "x").write_text("")
    assert _loads(text)
    assert _messages(yaml.safe_load(text)) == []


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_valid_the_loader_refuses(text: str) -> None:
    assert not _loads(text)
    assert _messages(yaml.safe_load(text)) != []


@pytest.mark.parametrize("text", [text for text in EVERYTHING if "expect" in text])
def test_each_word_that_is_expected_is_explained_to_editors(text: str) -> None:
    """In the schema, a line of help stands where the word stands in a document."""
    expect = schema()["$defs"]["container"]["properties"]["expect"]["anyOf"][0]
    for word in yaml.safe_load(text)["expect"]:
        assert expect["properties"][word]["description"] == EXPECT[word].help


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.choices and field.yaml_type == "text"], ids=lambda field: field.key
)
def test_the_choices_of_a_row_are_those_of_its_parser(field: Any) -> None:
    for word in field.choices:
        more = "\nbuild: ." if word == "build" else ""  # the policy needs something to build
        assert _loads(f"image: a\n{field.key}: '{word}'{more}"), word
    assert not _loads(f"image: a\n{field.key}: nonesuch")


def test_the_command_prints_it(tmp_path: Path) -> None:
    mydocker = command(tmp_path)
    done = mydocker("schema")
    assert (json.loads(done.stdout), done.stderr, done.code) == (schema(), b"", 0)
    assert mydocker("schema", "--format", "markdown").stdout.decode() == reference()


def test_the_reference_is_that_of_the_table() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    assert text == reference(), "docs/reference.md is out of date: make docs"
    for field in FIELDS:
        assert f"| `{field.key}` |" in reference()
    for table in (EXPECT, EXEC, FILE, CHANGES, METADATA, ANSWER, REQUEST, MATCHERS):
        for word in table:
            assert f"| `{word}` |" in reference()


def test_the_schema_in_docs_is_up_to_date() -> None:
    """`make docs` writes it, and its own address leads there."""
    page = ROOT / "docs" / "mydocker.schema.json"
    assert json.loads(page.read_text()) == schema()
    assert schema()["$id"].endswith(f"/main/docs/{page.name}")


@pytest.mark.parametrize(
    ("document", "first"),
    [
        ({"imge": "alpine"}, "'imge' does not match"),
        ({"imge": "alpine", "command": "ls"}, "'imge' does not match"),
        ({"command": "ls"}, "'image' is a required property"),
        ({}, "'image' is a required property"),
        ({"image": None}, "None should not be valid"),
        ({"image": "a", "rootfs": "/"}, "'a' is not of type 'null'"),
    ],
)
def test_the_first_complaint_is_about_the_image_and_none_is_about_extends(document: Any, first: str) -> None:
    messages = _messages(document)
    assert first in messages[0]
    assert not any(key in message for message in messages for key in ("extends", "include", "rootfs"))
    best = jsonschema.exceptions.best_match(VALIDATOR.iter_errors(document))
    assert best is not None and "extends" not in best.message


@pytest.mark.parametrize(
    "document",
    [
        {"image": "a"},
        {"rootfs": "/"},
        {"rootfs": "/", "image": None},
        {"extends": "a"},
        {"include": "a.yaml"},
        {"extends": "a", "image": "b"},
        {"image": "a", "rootfs": None},
    ],
)
def test_where_an_image_comes_from(document: Any) -> None:
    assert _messages(document) == []
