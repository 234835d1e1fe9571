"""Security options and seccomp profiles as words: what is understood, and what is wrong with the rest."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.command import Command

from mydocker.errors import UsageError
from mydocker.specs.argv import parse_run
from mydocker.specs.load.load import load_files
from mydocker.specs.model import Security, SelinuxLabel
from mydocker.specs.security.seccomp import Comparison, Conditions, Profile, Rule, parse_profile

MINIMAL = {"defaultAction": "SCMP_ACT_ALLOW"}


def _security(*words: str, cwd: str = "/") -> Security:
    options = [part for word in words for part in ("--security-opt", word)]
    return parse_run([*options, "alpine"], environ={}, cwd=cwd).spec.security_opt


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Security()),
        (("seccomp=unconfined",), Security(seccomp=None)),
        (("seccomp:unconfined",), Security(seccomp=None)),
        (("seccomp=unconfined", "seccomp=builtin"), Security()),
        (("no-new-privileges",), Security(no_new_privileges=True)),
        (("no-new-privileges:true",), Security(no_new_privileges=True)),
        (("no-new-privileges=1", "no-new-privileges=false"), Security()),
        (("apparmor=unconfined",), Security()),
        (("apparmor=docker-default",), Security(apparmor="docker-default")),
        (("apparmor:a//b", "apparmor=unconfined"), Security()),
        (("label=disable",), Security()),
        (("label:disable",), Security()),
        (("label=type:spc_t",), Security(label=SelinuxLabel(type="spc_t"))),
        (("label=level:s0:c1,c2", "label=user:u"), Security(label=SelinuxLabel(level="s0:c1,c2", user="u"))),
        (("label=role:r", "label=disable"), Security()),
        (("label=disable", "label=role:r"), Security(label=SelinuxLabel(role="r"))),
        (("systempaths=unconfined",), Security(masked_paths=False)),
        (("seccomp=unconfined", "no-new-privileges"), Security(seccomp=None, no_new_privileges=True)),
    ],
)
def test_options(words: tuple[str, ...], expected: Security) -> None:
    assert _security(*words) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "unknown security option ''"),
        ("secomp=unconfined", "unknown security option 'secomp'"),
        ("unconfined", "unknown security option 'unconfined'"),
        ("seccomp", "needs a value"),
        ("seccomp=", "needs a value"),
        ("seccomp=missing.json", "cannot read seccomp profile /nowhere/missing.json: No such file"),
        ("seccomp=/", "cannot read seccomp profile /: Is a directory"),
        ("no-new-privileges=maybe", "expected true or false"),
        ("apparmor=", "needs a value"),
        ("apparmor=a b", "not the name of an AppArmor profile"),
        ("apparmor=a\nexec b", "not the name of an AppArmor profile"),
        ("label=enable", "expected disable, or one of user, role, type and level"),
        ("label=type:", "is not an SELinux type"),
        ("label=type:a:b", "is not an SELinux type"),
        ("label=fields:a", "expected disable, or one of"),
        ("systempaths=all", "the only one is unconfined"),
    ],
)
def test_wrong_options(word: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _security(word, cwd="/nowhere")
    assert message in caught.value.message


def test_in_a_file(tmp_path: pathlib.Path) -> None:
    """A profile's path is relative to the file."""
    (tmp_path / "profile.json").write_text(json.dumps(MINIMAL))
    spec = tmp_path / "spec.yaml"
    spec.write_text("image: a\nsecurity_opt:\n- seccomp:profile.json\n- no-new-privileges:true\n- label=role:r\n")
    [found] = load_files([str(spec)], environ={})
    profile = Profile(origin=str(tmp_path / "profile.json"), default_action="SCMP_ACT_ALLOW")
    label = SelinuxLabel(role="r")
    assert found.container.security_opt == Security(seccomp=profile, no_new_privileges=True, label=label)


def test_wrong_in_a_file(mydocker: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.yaml").write_text("image: a\nsecurity_opt:\n- seccomp=none.json\n- secomp=x\n")
    done = mydocker("check", "spec.yaml", cwd=tmp_path)
    assert done.code == 1
    [first, second] = (done.stdout + done.stderr).decode().splitlines()[:2]
    assert "spec.yaml:3:3: cannot read seccomp profile" in first
    assert "spec.yaml:4:3: unknown security option 'secomp'" in second


def _parse(members: object) -> Profile:
    return parse_profile(json.dumps(members).encode(), "here")


def test_a_whole_profile() -> None:
    members = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
        "syscalls": [
            {
                "names": ["read", "write"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 5,
                "args": [{"index": 2, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}],
                "comment": "why",
                "includes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["amd64"], "minKernel": "4.8"},
                "excludes": {},
            },
            {"name": "close", "action": "SCMP_ACT_ALLOW", "args": None, "errnoRet": None},
        ],
    }
    comparison = Comparison(index=2, operator="SCMP_CMP_MASKED_EQ", value=1, value_two=2)
    includes = Conditions(capabilities=("SYS_ADMIN",), machines=("amd64",), kernel=(4, 8))
    first = Rule(
        names=("read", "write"), action="SCMP_ACT_ERRNO", errno=5, comparisons=(comparison,), includes=includes
    )
    assert _parse(members) == Profile(
        origin="here",
        default_action="SCMP_ACT_ERRNO",
        default_errno=38,
        architectures={"x86_64": ("x86",)},
        rules=(first, Rule(names=("close",))),
        flags=2,
    )


def _with_rule(**changes: Any) -> dict[str, Any]:
    return {**MINIMAL, "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", **changes}]}


WRONG = [
    ([], "the profile: expected an object"),
    ({}, "defaultAction: None is not one of"),
    ({"defaultAction": "ALLOW"}, "defaultAction: 'ALLOW' is not one of SCMP_ACT_KILL,"),
    ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY needs an agent"),
    ({**MINIMAL, "defaultErrnoRet": -1}, "defaultErrnoRet: expected a number from 0 to 65535"),
    ({**MINIMAL, "syscals": []}, "unknown member 'syscals'"),
    ({**MINIMAL, "syscalls": {}}, "syscalls: expected an array"),
    ({**MINIMAL, "syscalls": [1]}, "syscalls[0]: expected an object"),
    ({**MINIMAL, "flags": ["X"]}, "a flag: 'X' is not one of"),
    ({**MINIMAL, "architectures": ["X86"]}, "architecture 'X86': expected a name such as"),
    ({**MINIMAL, "architectures": ["SCMP_ARCH_X86"], "archMap": [{}]}, "exclude each other"),
    ({**MINIMAL, "archMap": [{"architecture": None}]}, "architecture None"),
    (_with_rule(names=[]), "syscalls[0]: names is missing"),
    (_with_rule(names=[1]), "syscalls[0].names: expected names"),
    (_with_rule(names=["re\0ad"]), "syscalls[0].names: expected names"),
    (_with_rule(name="write"), "name and names exclude each other"),
    (_with_rule(action=None), "syscalls[0].action: None is not one of"),
    (_with_rule(action=[]), "syscalls[0].action: [] is not one of"),
    (_with_rule(errnoRet=True), "syscalls[0].errnoRet: expected a number"),
    (_with_rule(args=[{"index": 6, "op": "SCMP_CMP_EQ"}]), "syscalls[0].args.index: expected a number from 0 to 5"),
    (_with_rule(args=[{"op": "=="}]), "syscalls[0].args.op: '==' is not one of"),
    (_with_rule(args=[{"op": "SCMP_CMP_EQ", "value": 1 << 64}]), "syscalls[0].args.value: expected a number"),
    (_with_rule(include={}), "unknown member 'include'"),
    (_with_rule(includes={"cap": []}), "syscalls[0].includes: unknown member 'cap'"),
    (_with_rule(excludes={"minKernel": "5"}), "syscalls[0].excludes.minKernel: expected a kernel version"),
    (_with_rule(excludes={"minKernel": 5.4}), "syscalls[0].excludes.minKernel: expected a kernel version"),
]


@pytest.mark.parametrize(("members", "message"), WRONG)
def test_a_wrong_profile(members: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _parse(members)
    assert caught.value.message.startswith("seccomp profile here: ")
    assert message in caught.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b'{"comment": NaN}'])
def test_no_json(raw: bytes) -> None:
    with pytest.raises(UsageError, match="seccomp profile here: "):
        parse_profile(raw, "here")


def test_more_than_a_profile_may_have() -> None:
    test_no_json(b" " * (5 << 20))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ARCH_X86"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["defaultAction", "syscalls", "names", "action", "args", "includes", "caps", "archMap", "op"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(_VALUES)
def test_any_json_is_a_profile_or_our_error(value: object) -> None:
    try:
        _parse(value)
    except UsageError as error:
        assert error.message.startswith("seccomp profile here: ")
