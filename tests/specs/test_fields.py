"""The table: every row reaches the command line, the spec file and the help."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

import mydocker
from mydocker.api import Keys
from mydocker.cli.manual.pages import key_groups, run_page
from mydocker.cli.manual.text import rendered
from mydocker.specs.fields import FIELDS, SWITCHES, Field
from mydocker.specs.load.yaml_types import YAML_TYPES
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.case import CaseSpec

BY_PLACE = {"image", "command", "args"}
IN_FILES = {"expect", "tags", "skip", "retries", "matrix"}  # what only a file can say
IN_FILES |= {"extends", "include", "depends_on", "healthcheck", "profiles", "pre_start", "network_mode"}
IN_FILES |= {"post_start", "pre_stop"}
IN_FILES |= {"build", "configs", "secrets"}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_a_row_has_a_key_and_a_way_to_say_it(field: Field) -> None:
    assert field.key
    assert bool(field.flags) != (field.key in BY_PLACE | IN_FILES) or field.key == "healthcheck"
    assert (field.name in ContainerSpec.fields) != (field.name in CaseSpec.fields)
    assert field.is_of_case == (field.name in CaseSpec.fields)
    assert field.yaml_type in YAML_TYPES
    assert field.merge in ("replace", "append", "extend", "targets", "update", "members")
    assert bool(field.metavar) != (field.yaml_type == "boolean" or field.flags == ("--no-healthcheck",))
    assert field.help and not field.help.endswith(".")


def test_names_are_given_once() -> None:
    """But for notations and members: rows of one key stand together, fill one attribute and come from one word in
    YAML."""
    keys = [field.key for field in FIELDS]
    for one, next_one in zip(FIELDS, FIELDS[1:], strict=False):
        if one.key == next_one.key:
            assert (one.name, one.yaml_type) == (next_one.name, next_one.yaml_type)
            assert next_one.merge in ("append", "members") and one.merge in (next_one.merge, "replace")
            keys.remove(one.key)
    flags = [flag for row in (*FIELDS, *SWITCHES) for flag in row.flags]
    assert len(set(keys)) == len(keys)
    assert len(set(flags)) == len(flags)


def test_every_attribute_of_a_container_and_of_its_case_has_its_row() -> None:
    """But for `service`, which comes from the format of its file, `on_project`, which is a part of `depends_on`, and
    what the rows of `namespaces` fill as well."""
    fields = {*ContainerSpec.fields, *CaseSpec.fields}
    others = {"container", "service", "on_project", "joined_namespaces", "absent"}
    assert fields == {*others, *(field.name for field in FIELDS)}


def test_what_a_flag_sets_is_of_the_container() -> None:
    """`run` has no case, nor has the Python API."""
    assert not [field.key for field in FIELDS if field.is_of_case and (field.flags or field.key in BY_PLACE)]
    assert not [field.key for field in FIELDS if field.is_of_case and field.key in Keys.__annotations__]


def test_every_key_has_its_type_in_the_python_api() -> None:
    """But for those of several containers; and the image has its own place."""
    without = {"image", *(field.key for field in FIELDS if field.group in ("verdict", "flow"))}
    assert set(Keys.__annotations__) == {field.key for field in FIELDS} - without


def test_rows_after_one_another_where_they_fill_one_attribute() -> None:
    """Precedence is the order of the rows: env files lie under environment."""
    keys = [field.key for field in FIELDS]
    assert keys.index("env_file") < keys.index("environment")


def test_help_lists_every_flag_and_every_key() -> None:
    shown = rendered(run_page(), everything=True)
    keys = rendered(run_page().replace(groups=key_groups()))
    for row in (*FIELDS, *SWITCHES):
        for flag in row.flags:
            assert re.search(rf"^ +(\S+, )*{flag}\b", shown, re.MULTILINE), flag
    for field in FIELDS:
        assert re.search(rf"^  {field.key}: ", keys, re.MULTILINE), field.key
    assert max(map(len, shown.splitlines())) <= 100


def test_help_tells_defaults_and_what_may_be_repeated() -> None:
    shown = rendered(run_page(), everything=True)
    assert "(default: missing)" in shown
    assert not re.search(r":\n\n", shown.split("\n\n", 1)[1])  # a heading with nothing below it
    assert re.search(r"NAME alone copies the caller's \(repeatable\)", shown)


def test_the_short_help_fits_a_screen_and_leads_to_the_rest() -> None:
    page = run_page()
    shown = rendered(page)
    common = {flag for entry in page.options for flag in entry.flags if entry.common}
    assert (
        {"-e", "-v", "-i", "--network", "--help"} <= common < {flag for entry in page.options for flag in entry.flags}
    )
    assert all(
        bool(re.search(rf"^ +(\S+, )*{entry.flags[-1]}\b", shown, re.MULTILINE)) == entry.common
        for entry in page.options
    )
    assert len(shown.splitlines()) <= 50 and "mydocker run --help all" in shown


def test_the_positional_form_imports_nothing_heavy() -> None:
    """Warm start: a plain run must not pay for YAML, patterns or near misses."""
    place = pathlib.Path(mydocker.__file__).parent.parent
    code = (
        f"import os, sys; sys.path.append({str(place)!r}); before = set(sys.modules)\n"
        "from mydocker.specs.argv import parse_run\n"
        "parse_run(['-e', 'A=1', '--network', 'none', 'alpine', 'true'], environ={}, cwd='/')\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    others = [name for name in done.stdout.split() if not name.startswith("mydocker")]
    assert others == ["__future__", "errno"]  # which is built in
    rooms = ("environment", "expect", "formats", "load", "mounts", "nodes", "render", "security")
    ours = [name.removeprefix("mydocker.specs.") for name in done.stdout.split() if name.startswith("mydocker.specs.")]
    assert [name for name in ours if name.startswith((*rooms, "model.unsupported"))] == []
    assert {name for name in ours if name.startswith("values.")} == set()
