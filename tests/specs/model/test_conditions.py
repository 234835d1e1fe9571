"""Conditions: what holds on this machine, and which one keeps a service from starting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mydocker.specs.model.conditions import KINDS, Condition, unmet

ENVIRON = {"MODE": "fast"}
HOLD = {
    "PathExists": ("HERE/full", "HERE/none"),
    "PathExistsGlob": ("HERE/f*", "HERE/x*"),
    "PathIsDirectory": ("HERE", "HERE/full"),
    "PathIsSymbolicLink": ("HERE/link", "HERE/full"),
    "PathIsMountPoint": ("/proc", "HERE"),
    "PathIsReadWrite": ("HERE", "HERE/none"),
    "DirectoryNotEmpty": ("HERE", "HERE/empty"),
    "FileNotEmpty": ("HERE/full", "HERE/blank"),
    "FileIsExecutable": ("/bin/sh", "HERE/full"),
    "User": (str(os.geteuid()), "4294967000"),
    "Group": (str(os.getegid()), "nosuchgroup"),
    "Environment": ("MODE=fast", "MODE=slow"),
    "Architecture": ("native", "vax"),
    "Host": (f"{os.uname().nodename[:1].upper()}*", "no-such-host"),
    "KernelCommandLine": (Path("/proc/cmdline").read_text().split()[0].partition("=")[0], "no.such.parameter"),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "full").write_text("x")
    (tmp_path / "blank").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("none")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_condition_holds_or_does_not(kind: str, here: Path) -> None:
    so, not_so = (Condition(kind=kind, value=text.replace("HERE", str(here))) for text in HOLD[kind])
    assert unmet([so, not_so.replace(is_negated=True)], ENVIRON) is None
    assert unmet([so, not_so], ENVIRON) == not_so
    assert unmet([so.replace(is_negated=True)], ENVIRON) == so.replace(is_negated=True)


def test_one_of_the_triggers_must_hold_and_asserts_come_first() -> None:
    yes, no = Condition(kind="Environment", value="MODE"), Condition(kind="Environment", value="NONE")
    one, other = yes.replace(is_trigger=True), no.replace(is_trigger=True)
    assert unmet([other, one], ENVIRON) is None
    assert unmet([other, yes], ENVIRON) == other
    assert unmet([one, no], ENVIRON) == no
    assert unmet([no, no.replace(is_assert=True)], ENVIRON) == no.replace(is_assert=True)
    assert str(no.replace(is_assert=True, is_trigger=True, is_negated=True)) == "AssertEnvironment=|!NONE"
