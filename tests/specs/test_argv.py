"""The positional form, `run [OPTIONS] IMAGE [COMMAND [ARG...]]`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mydocker.errors import MydockerError, UsageError
from mydocker.reference import Platform, Reference
from mydocker.specs.argv import RunRequest, parse_run
from mydocker.specs.fields import FIELDS, SWITCHES
from mydocker.specs.model import NAMESPACES, BindMount, ContainerSpec, User
from mydocker.specs.model.parts import Healthcheck
from mydocker.specs.model.unsupported import UNSUPPORTED_FLAGS

ENVIRON = {"B": "from here", "HOME": "/home/me"}


def run(*argv: str, cwd: str = "/srv") -> RunRequest:
    return parse_run(list(argv), environ=ENVIRON, cwd=cwd)


def spec(line: str) -> ContainerSpec:
    return run(*line.split()).spec


def test_the_plainest_line() -> None:
    assert run("alpine") == RunRequest(
        spec=ContainerSpec(
            image=Reference.parse("docker.io/library/alpine:latest"),
            namespaces=("mount", "pid", "uts", "ipc", "cgroup"),
        )
    )


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("--name web alpine", "name", "web"),
        ("--platform linux/arm64 alpine", "platform", Platform(os="linux", architecture="arm64")),
        ("--pull=never alpine", "pull_policy", "never"),
        ("-l a=1 --label b alpine", "labels", {"a": "1", "b": ""}),
        ("alpine ls -l /", "command", ("ls", "-l", "/")),
        ("-e A=1 --env=B -e NOPE alpine", "environment", {"A": "1", "B": "from here", "NOPE": None}),
        ("-e A=1 -e A alpine", "environment", {"A": None}),
        ("-eC=x=y -e=D=2 alpine", "environment", {"C": "x=y", "D": "2"}),
        ("-e A=1 -e A=2 alpine", "environment", {"A": "2"}),
        ("-e -t alpine", "environment", {"-t": None}),
        ("-u 1000:app alpine", "user", User(user=1000, group="app")),
        ("-u= alpine", "user", None),
        ("-w /x alpine", "working_dir", "/x"),
        ("--workdir= alpine", "working_dir", None),
        ("-h web alpine", "hostname", "web"),
        ("-hweb alpine", "hostname", "web"),
        ("-v .:/x -v /a:/b alpine", "volumes",
         (BindMount(source="/srv", target="/x"), BindMount(source="/a", target="/b"))),
        ("--inject /bin/a --inject /bin/b alpine", "inject", ("/bin/a", "/bin/b")),
        ("--timeout 1m30s alpine", "timeout", 90.0),
        ("-m 64m alpine", "mem_limit", 64 << 20),
        ("--memory 0 alpine", "mem_limit", None),
        ("-m64m --memory-swap -1 alpine", "memswap_limit", -1),
        ("--memory-swap -1 alpine", "memswap_limit", -1),
        ("-m 64m --memory-swap 64m alpine", "memswap_limit", 64 << 20),
        ("--cpus .5 alpine", "cpus", 0.5),
        ("--cpuset-cpus 0-2,5,1 alpine", "cpuset", (0, 1, 2, 5)),
        ("--pids-limit 50 alpine", "pids_limit", 50),
        ("--pids-limit -1 alpine", "pids_limit", None),
        ("-it alpine", "tty", True),
        ("-it alpine", "stdin_open", True),
        ("-ite A=1 alpine", "environment", {"A": "1"}),
        ("-t --tty=false alpine", "tty", False),
        ("-t=0 alpine", "tty", False),
        ("--network none alpine", "namespaces", NAMESPACES),
        ("--net none alpine", "network_mode", "none"),
        ("--namespaces pid,mount alpine", "namespaces", ("mount", "pid")),
        ("--namespaces net alpine", "network_mode", "none"),
        ("--namespaces= alpine", "namespaces", ()),
        ("--rootfs / echo hi", "command", ("echo", "hi")),
        ("--rootfs sub/dir echo", "rootfs", "/srv/sub/dir"),
        ("--rootfs /", "image", None),
        ("--rm alpine --rm", "command", ("--rm",)),
        ("--rm=false alpine", "image", Reference.parse("alpine")),
        ("-- alpine ls", "command", ("ls",)),
        ("alpine -- ls", "command", ("--", "ls")),
        ("-it -- alpine -t", "command", ("-t",)),
        ("alpine --dry-run --help", "command", ("--dry-run", "--help")),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_values(line: str, field: str, value: object) -> None:
    assert getattr(spec(line), field) == value


@pytest.mark.parametrize(
    ("argv", "entrypoint", "command"),
    [
        (["alpine"], None, None),
        (["alpine", "ls"], None, ("ls",)),
        (["alpine", ""], None, ("",)),
        (["--entrypoint", "sh -c", "alpine"], ("sh -c",), ()),
        (["--entrypoint", "sh", "alpine", "-c", "ls"], ("sh",), ("-c", "ls")),
        (["--entrypoint", "", "alpine"], (), ()),
        (["--entrypoint=", "alpine", "ls"], (), ("ls",)),
    ],
)
def test_entrypoint_is_one_word_and_drops_the_command(
    argv: list[str], entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None
) -> None:
    result = run(*argv).spec
    assert (result.entrypoint, result.command) == (entrypoint, command)


def test_env_files_in_order_then_flags(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("A=1\nC=1\nD=1\n")
    (tmp_path / "two").write_text("C=2\nD=2\nB\n")
    result = run("-e", "D=3", "--env-file", "one", "--env-file", str(tmp_path / "two"), "alpine", cwd=str(tmp_path))
    assert result.spec.environment == {"A": "1", "C": "2", "D": "3", "B": "from here"}


@pytest.mark.parametrize("line", ["--dry-run alpine", "--dry-run=true --rm alpine", "--dry-run=0 --dry-run alpine"])
def test_dry_run(line: str) -> None:
    assert run(*line.split()).dry_run is True


@pytest.mark.parametrize("line", ["--help", "-it --help", "--timeout x --help", "--help alpine"])
def test_help_wins_over_what_is_missing(line: str) -> None:
    assert run(*line.split()).help is True


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-", "invalid image reference '-'"),
        ("Alpine", "lower-case"),
        ("alpine@sha256:x", "64 lower-case hexadecimal digits"),
        ("--entripoint x alpine", "unknown flag: --entripoint; did you mean '--entrypoint'?"),
        ("--zzzzzzz alpine", "unknown flag: --zzzzzzz"),
        ("-Z alpine", "unknown shorthand flag: 'Z' in -Z"),
        ("-iZ alpine", "unknown shorthand flag: 'Z' in -iZ"),
        ("---x alpine", "unknown flag: ---x"),
        ("--=x alpine", "unknown flag: --"),
        ("--env", "flag needs an argument: --env"),
        ("-e", "flag needs an argument: 'e' in -e"),
        ("-ite", "flag needs an argument: 'e' in -ite"),
        ("--publish=80/sctp alpine", "sctp ports are not supported yet"),
        ("--cpu-rt-period 300 alpine", "--cpu-rt-period is not supported yet"),
        ("--blkio-weight 5 alpine", "'5': expected a weight from 10 to 1000, or 0 for the kernel's"),
        ("--device-read-bps sda:5 alpine", "device 'sda' is not an absolute path"),
        ("--device-read-bps /dev/sda alpine", "'/dev/sda': expected DEVICE:RATE"),
        ("--gpus x alpine", "'x': expected all, or a number of devices"),
        ("--gpus driver=x alpine", "device driver 'x' is not supported: expected nvidia, amd or cdi"),
        ("--runtime kata alpine", "runtime 'kata' is not supported: expected runc or nvidia"),
        ("--volumes-from :ro alpine", "volumes from ':ro': expected CONTAINER, CONTAINER:ro or CONTAINER:rw"),
        ("--pid container: alpine", "'container:': expected container:NAME"),
        ("--device-cgroup-rule 'x 1:3 rw' alpine", "expected KIND MAJOR:MINOR PERMISSIONS, such as 'c 189:* rmw'"),
        ("--uts container:x alpine", "'container:x' is not supported"),
        (
            "-m 5m alpine",
            "invalid argument '5m' for -m, --memory: a memory limit of '5m' is too small: expected at least 6m",
        ),
        ("--memory-swap 64m alpine", "a limit on memory and swap needs a limit on memory too"),
        ("-m 64m --memory-swap 63m alpine", "memory and swap together must be at least as much as the memory"),
        ("--cpus 0.001 alpine", "expected at least 0.01"),
        ("--cpuset-cpus 3-1 alpine", "expected numbers of processors"),
        ("--pids-limit -2 alpine", "expected a number of processes"),
        ("--tty=maybe alpine", "invalid argument 'maybe' for -t, --tty: expected true or false"),
        ("--rm=maybe alpine", "invalid argument 'maybe' for --rm"),
        ("--dry-run=maybe alpine", "invalid argument 'maybe' for --dry-run"),
        ("-u :-1 alpine", "invalid argument ':-1' for -u, --user: group -1: a number is 0 to 2147483647"),
        ("-e =x alpine", "needs a name"),
        ("--env-file /nonexistent/x alpine", "no such file or directory"),
        ("--network none --network host alpine", "none cannot be combined with other networks"),
        ("--namespaces net --network host alpine", "contradicts network_mode 'host'"),
        ("--namespaces pid --network none alpine", "needs the net namespace"),
        ("--namespaces pid --hostname x alpine", "needs the uts namespace"),
        ("--rootfs / --platform linux/arm64 ls", "platform is for an image"),
        ("-v /a:/x -v /b:/x/ alpine", "two volumes have the target '/x'"),
        ("--no-healthcheck --health-cmd x alpine", "--no-healthcheck and --health-* exclude each other"),
        ("--health-interval x alpine", "invalid argument 'x' for --health-interval"),
        ("--health-interval=-1s alpine", "for --health-interval"),
        ("--health-retries many alpine", "expected a number of retries"),
    ],
)
def test_refusals(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(*line.split())
    assert message in caught.value.message
    assert caught.value.exit_code == 125


@pytest.mark.parametrize("line", ["", "--", "-it", "--name x"])
def test_without_an_image(line: str) -> None:
    with pytest.raises(UsageError, match="no image") as caught:
        run(*line.split())
    assert caught.value.exit_code == 125


FIXED = {  # flags of Docker's -> whether they are taken
    **dict.fromkeys(
        ("--isolation default", "--isolation=", "--volume-driver local", "--sig-proxy", "--sig-proxy=1"), True
    ),
    **dict.fromkeys(
        ("--disable-content-trust", "--disable-content-trust=false", "--detach-keys=", "--cgroup-parent="), True
    ),
    **dict.fromkeys(("--isolation hyperv", "--volume-driver nfs", "--sig-proxy=false", "--detach-keys ctrl-a"), False),
    **dict.fromkeys(("--cgroup-parent /x", "--cpuset-mems 0"), False),
}


@pytest.mark.parametrize("line", FIXED)
def test_a_flag_with_the_value_that_is_there_anyway(line: str) -> None:
    if FIXED[line]:
        assert run(*line.split(), "alpine", "x").spec == run("alpine", "x").spec
        return
    with pytest.raises(UsageError, match=f"{line.partition(' ')[0].partition('=')[0]} is not supported yet"):
        run(*line.split(), "alpine")


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("--health-cmd 'test -e /x' alpine", Healthcheck(test=("CMD-SHELL", "test -e /x"))),
        ("--health-cmd= alpine", Healthcheck()),
        ("--health-interval 2s --health-timeout=500ms alpine", Healthcheck(interval=2.0, timeout=0.5)),
        ("--health-retries 5 --health-retries 7 alpine", Healthcheck(retries=7)),
        (
            "--health-start-period 1m --health-start-interval 0 alpine",
            Healthcheck(start_period=60.0, start_interval=None),
        ),
        ("--no-healthcheck alpine", Healthcheck(test=("NONE",))),
        ("--no-healthcheck=false --health-cmd x alpine", Healthcheck(test=("CMD-SHELL", "x"))),
        ("alpine", None),
    ],
)
def test_a_healthcheck(line: str, check: Healthcheck | None) -> None:
    assert run(*shlex.split(line)).spec.healthcheck == check


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("--secret x alpine", "secrets"),
        ("--cpu-rt-runtime 2 alpine", "--help"),
    ],
)
def test_what_to_do_instead_of_a_flag_that_is_not_supported(line: str, instead: str) -> None:
    with pytest.raises(UsageError, match="is not supported yet") as caught:
        run(*line.split())
    assert instead in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-a x alpine", "invalid argument 'x' for -a, --attach: valid streams are stdin, stdout, stderr"),
        ("-a stdin alpine", "--attach stdin alone leaves a container in the background, which is not supported"),
        ("-t -a stderr alpine", "with --tty all output is stdout, which --attach leaves out"),
    ],
)
def test_streams_that_cannot_be_attached(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(*line.split())
    assert caught.value.message == message


@pytest.mark.parametrize("argv", [["alpine\0"], ["-e", "A=\0", "alpine"], ["alpine", "a\0b"]])
def test_nul_cannot_reach_a_program(argv: list[str]) -> None:
    with pytest.raises(UsageError, match="NUL"):
        run(*argv)


_FLAGS = st.sampled_from([flag for row in (*FIELDS, *SWITCHES) for flag in row.flags] + sorted(UNSUPPORTED_FLAGS))
_WORDS = "- -- = A=1 true 0 -1 :0 ~ ~x . / a:b:c é /dev/null:/x:ro 1h host none net,mount alpine"
_ODD = st.sampled_from([*_WORDS.split(), "", "\n", "\udcff", "9" * 500])
_WORD = st.one_of(
    _ODD,
    st.text(max_size=12),
    _FLAGS,
    st.builds("{}={}".format, _FLAGS, _ODD),
    st.builds("{}{}".format, _FLAGS, _ODD),
    st.builds("-{}".format, st.text(alphabet="itevuwlhdpZ=", max_size=5)),
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(argv=st.lists(_WORD, max_size=8), environ=st.dictionaries(st.sampled_from(["A", "HOME"]), _ODD))
def test_any_argument_list_is_a_request_or_our_error(argv: list[str], environ: dict[str, Any]) -> None:
    try:
        request = parse_run(argv, environ=environ, cwd="/srv")
    except MydockerError as error:
        assert error.message
    else:
        assert request.help or (request.spec.image is None) != (request.spec.rootfs is None)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.text(alphabet="aZ0/:@._-[]", max_size=40)))
def test_any_reference_is_an_image_or_our_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except MydockerError:
        return
    assert Reference.parse(str(reference)) == reference
