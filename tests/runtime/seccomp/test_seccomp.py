"""System call filters: what the default profile answers, what a file of one's own does, and the cache of programs."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping

import pytest
from lab import bpf
from lab.command import Command, Result

from mydocker.errors import LaunchError
from mydocker.kernel.libseccomp import Library
from mydocker.runtime import seccomp
from mydocker.runtime.seccomp.compile import compile_profile, open_library
from mydocker.runtime.seccomp.default_profile import default_profile, fingerprint
from mydocker.specs.security.seccomp import Rule, parse_profile
from mydocker.specs.values import capability

root = pytest.mark.root
MACHINE = os.uname().machine
EPERM, ENOSYS = bpf.errno(1), bpf.errno(38)
VALUES = (0, 1, 8, 37, 38, 39, 40, 41, 0x40000, 0x20008, 0xFFFFFFFF, 0x10000000 | 17, 0x7E020000)
ARCHITECTURES = (MACHINE, *default_profile().architectures[MACHINE])
OPERATORS: Mapping[str, Callable[[int, int, int], bool]] = {
    "SCMP_CMP_LT": lambda argument, value, _: argument < value,
    "SCMP_CMP_EQ": lambda argument, value, _: argument == value,
    "SCMP_CMP_GT": lambda argument, value, _: argument > value,
    "SCMP_CMP_MASKED_EQ": lambda argument, mask, value: argument & mask == value,
}


@pytest.fixture(scope="session")
def library() -> Library:
    return open_library()


def _expected(rules: list[Rule], arguments: tuple[int, ...]) -> int:
    """What the rules for one name say about a call."""
    for rule in rules:
        if all(OPERATORS[x.operator](arguments[x.index], x.value, x.value_two) for x in rule.comparisons):
            return bpf.ALLOW if rule.action == "SCMP_ACT_ALLOW" else bpf.errno(rule.errno)
    return EPERM


def _applies(rule: Rule, capabilities: int) -> bool:
    held = {*capability.names(capabilities)}
    go = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
    return (
        held.issuperset(rule.includes.capabilities)
        and held.isdisjoint(rule.excludes.capabilities)
        and (not rule.includes.machines or go in rule.includes.machines)
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("capabilities", [0, capability.DEFAULT, capability.EVERYTHING])
def test_every_number_is_answered_as_the_table_says(library: Library, architecture: str, capabilities: int) -> None:
    program = compile_profile(default_profile(), capabilities=capabilities, library=library)
    named: dict[int, list[Rule]] = {}
    for rule in default_profile().rules:
        for name in rule.names if _applies(rule, capabilities) else ():
            number = library.number(name, architecture=architecture)
            named.setdefault(-1 if number is None else number, []).append(rule)
    numbers = range(0x40000000 if architecture == "x32" else 0, max(named) + 100)
    if architecture in ("x86", "arm"):  # libseccomp does not tell the numbers of calls that socketcall(2) made too
        numbers = [number for number in numbers if number in named or number > max(named)]
    last = max(named)
    for number in numbers:
        beyond = ENOSYS if number > last else EPERM
        answers = bpf.answers(program, architecture=architecture, number=number, values=VALUES)
        for value, found in zip(VALUES, answers, strict=True):
            assert found == (_expected(named[number], (value, 0)) if number in named else beyond), (number, value)


def test_a_foreign_architecture_is_killed(library: Library) -> None:
    program = compile_profile(default_profile(), capabilities=capability.DEFAULT, library=library)
    foreign = "aarch64" if MACHINE == "x86_64" else "x86_64"
    assert bpf.answer(program, architecture=foreign, number=0) == bpf.KILL


def test_the_fingerprint_is_that_of_the_table() -> None:
    """Else a changed table would be answered with programs kept from before."""
    assert fingerprint() == seccomp.FINGERPRINT


@root
@pytest.mark.parametrize(
    ("call", "options", "answer"),
    [
        ("keyctl 0 -3 0", (), "Operation not permitted"),
        ("keyctl 0 -3 0", ("--security-opt", "seccomp=unconfined"), "ok"),
        ("add_key", (), "Operation not permitted"),
        ("userfaultfd", (), "Operation not permitted"),
        ("io_uring_setup 1", (), "Operation not permitted"),
        ("io_uring_setup 1", ("--security-opt", "seccomp=unconfined"), "Bad address"),
        ("bpf 999", (), "Operation not permitted"),
        ("perf_event_open", (), "Operation not permitted"),
        ("unshare 0x10000000", (), "Operation not permitted"),
        ("unshare 0x10000000", ("--security-opt", "seccomp=unconfined"), "ok"),
        ("unshare 0", ("--cap-add", "SYS_ADMIN"), "ok"),
        ("clone 0x10000011", (), "Operation not permitted"),
        ("clone 0x11", (), "ok"),
        ("clone3", (), "Function not implemented"),
        ("clone3", ("--cap-add", "SYS_ADMIN"), "Invalid argument"),
        ("clone3", ("--security-opt", "seccomp=unconfined"), "Invalid argument"),
        ("mount", (), "Operation not permitted"),
        ("mount", ("--cap-add", "SYS_ADMIN"), "Bad address"),
        ("setns -1", (), "Operation not permitted"),
        ("setns -1", ("--privileged",), "Bad file descriptor"),
        ("kcmp 1 1 0", (), "Operation not permitted"),
        ("kcmp 1 1 2", ("--cap-add", "SYS_PTRACE"), "ok"),
        ("ptrace", (), "ok"),  # PTRACE_TRACEME
        ("personality 0xffffffff", (), "ok"),
        ("personality 0x0008", (), "ok"),
        ("personality 0x40000", (), "Operation not permitted"),  # ADDR_NO_RANDOMIZE
        ("socket 40 1", (), "Operation not permitted"),  # AF_VSOCK
        ("socket 38 5", (), "Operation not permitted"),  # AF_ALG
        ("socket 1 1", (), "ok"),  # AF_UNIX
        ("socket 2 1", (), "ok"),  # AF_INET
        ("chroot", (), "Bad address"),
        ("chroot", ("--cap-drop", "SYS_CHROOT"), "Operation not permitted"),
        ("9999", (), "Function not implemented"),
        ("-1", (), "Function not implemented"),
    ],
)
def test_what_the_kernel_answers_inside(
    alpine: Command, ask: pathlib.Path, call: str, options: tuple[str, ...], answer: str
) -> None:
    done = alpine("run", "-v", f"{ask}:/ask:ro", *options, "alpine", "/ask", *call.split())
    assert done == Result(f"{answer}\n".encode(), b"", 0)


@root
@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ((), 2),
        (("-u", "nobody"), 2),
        (("--security-opt", "seccomp=builtin"), 2),
        (("--security-opt", "seccomp=unconfined"), 0),
        (("--security-opt", "seccomp:unconfined"), 0),
        (("-u", "nobody", "--security-opt", "seccomp=unconfined"), 0),
        (("--privileged",), 0),
        (("--security-opt", "no-new-privileges"), 2),
        (("-u", "nobody", "--security-opt", "no-new-privileges"), 2),
    ],
)
def test_the_mode(alpine: Command, options: tuple[str, ...], mode: int) -> None:
    done = alpine("run", *options, "alpine", "grep", "^Seccomp:", "/proc/self/status")
    assert done == Result(b"Seccomp:\t%d\n" % mode, b"", 0)


def test_an_ordinary_user_has_the_filter_too(second_user: Command) -> None:
    done = second_user("run", "alpine", "grep", "-E", "^(Seccomp|NoNewPrivs):", "/proc/self/status")
    assert done == Result(b"NoNewPrivs:\t0\nSeccomp:\t2\n", b"", 0)


@root
@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no-new-privileges", 1),
        ("no-new-privileges:true", 1),
        ("no-new-privileges=true", 1),
        ("no-new-privileges=false", 0),
        ("no-new-privileges:0", 0),
    ],
)
def test_no_new_privileges(alpine: Command, user: str, word: str, value: int) -> None:
    done = alpine("run", "-u", user, "--security-opt", word, "alpine", "grep", "NoNewPrivs", "/proc/self/status")
    assert done == Result(b"NoNewPrivs:\t%d\n" % value, b"", 0)


def _profile(directory: pathlib.Path, **members: object) -> str:
    path = directory / "profile.json"
    path.write_text(json.dumps(members))
    return f"seccomp={path}"


@root
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_a_profile_of_ones_own(alpine: Command, tmp_path: pathlib.Path, user: str) -> None:
    rule = {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    option = _profile(tmp_path, defaultAction="SCMP_ACT_ALLOW", syscalls=[rule])
    done = alpine("run", "-u", user, "--security-opt", option, "alpine", "mkdir", "/tmp/x")
    assert done == Result(b"", b"mkdir: can't create directory '/tmp/x': No space left on device\n", 1)


@root
def test_a_profile_that_kills(alpine: Command, tmp_path: pathlib.Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}
    option = _profile(tmp_path, defaultAction="SCMP_ACT_ALLOW", syscalls=[rule])
    assert alpine("run", "--security-opt", option, "alpine", "mkdir", "/tmp/x") == Result(b"", b"", 128 + 31)


@root
def test_a_privileged_container_has_the_profile_it_is_given(alpine: Command, tmp_path: pathlib.Path) -> None:
    option = _profile(
        tmp_path, defaultAction="SCMP_ACT_ALLOW", syscalls=[{"names": ["kcmp"], "action": "SCMP_ACT_LOG"}]
    )
    done = alpine("run", "--privileged", "--security-opt", option, "alpine", "grep", "^Seccomp:", "/proc/self/status")
    assert done == Result(b"Seccomp:\t2\n", b"", 0)


@pytest.mark.parametrize(
    ("rule", "capabilities", "arguments", "answer"),
    [
        ({"action": "SCMP_ACT_ALLOW"}, 0, (), bpf.ALLOW),
        ({"action": "SCMP_ACT_ERRNO"}, 0, (), EPERM),
        ({"action": "SCMP_ACT_ERRNO", "errnoRet": 5}, 0, (), bpf.errno(5)),
        ({"action": "SCMP_ACT_TRACE", "errnoRet": 7}, 0, (), 0x7FF00007),
        ({"action": "SCMP_ACT_LOG"}, 0, (), 0x7FFC0000),
        ({"action": "SCMP_ACT_TRAP"}, 0, (), 0x00030000),
        ({"action": "SCMP_ACT_KILL"}, 0, (), 0),
        ({"action": "SCMP_ACT_KILL_PROCESS"}, 0, (), 0x80000000),
        ({"includes": {"caps": ["CAP_SYSLOG"]}}, 0, (), bpf.errno(2)),
        ({"includes": {"caps": ["CAP_SYSLOG"]}}, capability.mask("SYSLOG"), (), bpf.ALLOW),
        ({"includes": {"caps": ["CAP_SYSLOG", "CAP_BPF"]}}, capability.mask("SYSLOG"), (), bpf.errno(2)),
        ({"excludes": {"caps": ["CAP_SYSLOG"]}}, capability.mask("SYSLOG"), (), bpf.errno(2)),
        ({"includes": {"caps": ["CAP_NO_SUCH"]}}, capability.EVERYTHING, (), bpf.errno(2)),
        ({"includes": {"minKernel": "4.8"}}, 0, (), bpf.ALLOW),
        ({"includes": {"minKernel": "999.0"}}, 0, (), bpf.errno(2)),
        ({"excludes": {"minKernel": "999.0"}}, 0, (), bpf.ALLOW),
        ({"excludes": {"minKernel": "4.8"}}, 0, (), bpf.errno(2)),
        ({"includes": {"arches": ["s390x"]}}, 0, (), bpf.errno(2)),
        ({"includes": {"arches": ["amd64", "arm64"]}}, 0, (), bpf.ALLOW),
        ({"excludes": {"arches": ["amd64", "arm64"]}}, 0, (), bpf.errno(2)),
        ({"args": [{"index": 1, "value": 7, "op": "SCMP_CMP_NE"}]}, 0, (0, 7), bpf.errno(2)),
        ({"args": [{"index": 1, "value": 7, "op": "SCMP_CMP_GE"}]}, 0, (0, 7), bpf.ALLOW),
        ({"args": [{"index": 1, "value": 7, "op": "SCMP_CMP_LE"}]}, 0, (0, 8), bpf.errno(2)),
        ({"args": [{"index": 0, "value": 6, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}, 0, (3,), bpf.ALLOW),
        ({"args": [{"index": 0, "value": 1 << 40, "op": "SCMP_CMP_LT"}]}, 0, (1 << 40,), bpf.errno(2)),
        (  # of two arguments both must hold
            {"args": [{"value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
            *(0, (1, 3), bpf.errno(2)),
        ),
        (  # of one argument either
            {"args": [{"value": 1, "op": "SCMP_CMP_EQ"}, {"value": 2, "op": "SCMP_CMP_EQ"}]},
            *(0, (2,), bpf.ALLOW),
        ),
    ],
)
def test_a_rule(
    library: Library, rule: dict[str, object], capabilities: int, arguments: tuple[int, ...], answer: int
) -> None:
    members = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 2,
        "syscalls": [
            {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", **rule},
            {"names": ["execve", "openat2"], "action": "SCMP_ACT_ALLOW"},  # newer: kcmp is not too new to be known
        ],
    }
    profile = parse_profile(json.dumps(members).encode(), "test")
    program = compile_profile(profile, capabilities=capabilities, library=library)
    number = library.number("kcmp")
    assert number
    assert bpf.answer(program, architecture=MACHINE, number=number, arguments=arguments) == answer


@pytest.mark.parametrize(
    ("members", "architecture", "answer"),
    [
        ({"architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_ARM"]}, ARCHITECTURES[1], bpf.ALLOW),
        ({"architectures": []}, ARCHITECTURES[1], bpf.KILL),
        (
            {"archMap": [{"architecture": f"SCMP_ARCH_{MACHINE.upper()}", "subArchitectures": ["SCMP_ARCH_X86"]}]},
            *("x86", bpf.ALLOW),
        ),
        ({"archMap": [{"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_X86"]}]}, "x86", bpf.KILL),
    ],
)
def test_architectures(library: Library, members: dict[str, object], architecture: str, answer: int) -> None:
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **members})
    program = compile_profile(parse_profile(text.encode(), "test"), capabilities=0, library=library)
    assert bpf.answer(program, architecture=architecture, number=1) == answer
    assert bpf.answer(program, architecture=MACHINE, number=1) == bpf.ALLOW


@root
@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: b"\n",
        lambda raw: b"\xff\xff" + raw,
        lambda raw: raw[:-8],
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: raw + bytes(8),
        lambda raw: raw.replace(b"libseccomp.so", b"libseccomp.xo", 1),
    ],
)
def test_a_damaged_program_is_compiled_anew(alpine: Command, damage: Callable[[bytes], bytes]) -> None:
    command = ("run", "alpine", "grep", "^Seccomp:", "/proc/self/status")
    assert alpine(*command).code == 0
    [kept] = (alpine.store / "seccomp").glob("*-a80425fb")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert alpine(*command) == Result(b"Seccomp:\t2\n", b"", 0)
    assert kept.read_bytes() == whole


@root
def test_a_program_of_another_libseccomp_is_compiled_anew(alpine: Command, library: Library) -> None:
    assert alpine("run", "alpine", "true").code == 0
    [kept] = (alpine.store / "seccomp").glob("*-a80425fb")
    whole = kept.read_bytes()
    size = str(os.stat(library.path).st_size).encode()
    assert size in whole.split(b"\n")[0]
    kept.write_bytes(whole.replace(size, b"1", 1))
    assert alpine("run", "alpine", "true").code == 0
    assert kept.read_bytes() == whole


@root
def test_without_libseccomp(mydocker: Command, library: Library) -> None:
    """On a machine whose libseccomp is an empty file."""
    hide = ["unshare", "-m", "sh", "-c", f'mount --bind /dev/null {library.path} && exec "$@"', "-"]
    bare = Command(mydocker.program, mydocker.environment, mydocker.directory, hide, mydocker.store)
    done = bare("run", "--rootfs", "/", "true")
    assert done.code == 125
    assert b"libseccomp.so.2 is missing" in done.stderr
    assert b"libseccomp2" in done.stderr
    assert b"--security-opt seccomp=unconfined" in done.stderr
    assert bare("run", "--security-opt", "seccomp=unconfined", "--rootfs", "/", "true") == Result(b"", b"", 0)
    assert os.listdir(mydocker.store / "containers") == []


@pytest.mark.parametrize("rules", [[], [{"names": ["read", "exec"], "action": "SCMP_ACT_ALLOW"}]])
def test_a_profile_under_which_nothing_can_start(library: Library, rules: list[object]) -> None:
    profile = parse_profile(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}).encode(), "test")
    with pytest.raises(LaunchError, match="seccomp profile test: it does not allow execve"):
        compile_profile(profile, capabilities=0, library=library)


@root
def test_a_profile_that_refuses_the_command(alpine: Command, tmp_path: pathlib.Path) -> None:
    rule = {"names": ["execve"], "action": "SCMP_ACT_ERRNO"}
    option = _profile(tmp_path, defaultAction="SCMP_ACT_ALLOW", syscalls=[rule])
    done = alpine("run", "--security-opt", option, "alpine", "true")
    assert done == Result(b"", b"mydocker: /bin/true: operation not permitted\n", 126)


@root
@pytest.mark.parametrize(("user", "held"), [("root", b"00000000a80425fb"), ("nobody", b"0000000000000000")])
def test_without_sys_admin_it_takes_no_new_privileges(alpine: Command, user: str, held: bytes) -> None:
    """As in a container without that capability, where a bare chroot is all that can be had."""
    drop = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]
    poor = Command(alpine.program, alpine.environment, alpine.directory, drop, alpine.store)
    bare = ("run", "-u", user, "--namespaces", "", "--rootfs", "/")
    done = poor(*bare, "grep", "-E", "^(CapPrm|NoNewPrivs|Seccomp):", "/proc/self/status")
    assert done == Result(b"CapPrm:\t%b\nNoNewPrivs:\t1\nSeccomp:\t2\n" % held, b"", 0)


@root
@pytest.mark.parametrize(("options", "masked"), [((), True), (("--security-opt", "systempaths=unconfined"), False)])
def test_system_paths(alpine: Command, options: tuple[str, ...], masked: bool) -> None:
    done = alpine("run", *options, "alpine", "cat", "/proc/self/mountinfo")
    targets = {line.split()[4] for line in done.stdout.decode().splitlines()}
    assert ("/proc/sys" in targets) == masked
    assert any(target.startswith(("/proc/", "/sys/firmware")) for target in targets) == masked


@root
@pytest.mark.parametrize("word", ["apparmor=no-such-profile", "label=type:no_such_t"])
def test_a_label_that_the_host_does_not_have(alpine: Command, word: str) -> None:
    done = alpine("run", "--security-opt", word, "alpine", "true")
    assert (done.stdout, done.code) == (b"", 125)
    assert b"not enabled on this host" in done.stderr or b"not loaded on this host" in done.stderr


@root
@pytest.mark.parametrize("word", ["apparmor=unconfined", "apparmor:unconfined", "label=disable", "label:disable"])
def test_no_label_is_had_everywhere(alpine: Command, word: str) -> None:
    assert alpine("run", "--security-opt", word, "alpine", "true") == Result(b"", b"", 0)
