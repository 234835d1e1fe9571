"""Keys and flags of a container's process: both doors give one value, and mistakes are reported with their place."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import SpecError
from mydocker.specs.argv import parse_run
from mydocker.specs.load.load import load_files
from mydocker.specs.model import ContainerSpec


def _flags(words: str) -> ContainerSpec:
    return parse_run([*words.split(), "alpine"], environ={}, cwd="/").spec


def _keys(directory: pathlib.Path, text: str) -> ContainerSpec:
    file = directory / "spec.yaml"
    file.write_text(f"image: alpine\n{text}\n")
    [spec] = load_files([str(file)], environ={})
    return spec.container


BOTH = [
    ("--cap-add cap_net_admin --cap-add ALL", "cap_add: [NET_ADMIN, all]", "cap_add", ("NET_ADMIN", "ALL")),
    ("--cap-drop=Chown", "cap_drop: [CAP_CHOWN]", "cap_drop", ("CHOWN",)),
    ("--privileged", "privileged: true", "privileged", True),
    ("--umask 0027", "umask: 0027", "umask", 0o027),
    ("--umask 7", 'umask: "7"', "umask", 7),
    ("--group-add mail --group-add 7", "group_add: [mail, 7]", "group_add", ("mail", 7)),
    ("--ulimit nofile=1:2", "ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits", {"nofile": (1, 2)}),
    ("--ulimit nofile=5", "ulimits: {nofile: 5}", "ulimits", {"nofile": (5, 5)}),
    ("--ulimit core=-1 --ulimit cpu=5:-1", "ulimits: [core=-1, 'cpu=5:-1']", "ulimits", None),
    (
        "--sysctl net.core.somaxconn=9 --net none",
        "sysctls: {net.core.somaxconn: 9}\nnetwork_mode: none",
        "sysctls",
        None,
    ),
    ("--sysctl kernel.sem=1", "sysctls: [kernel.sem=1]", "sysctls", {"kernel.sem": "1"}),
    ("--stop-signal SIGINT", "stop_signal: INT", "stop_signal", 2),
    ("--stop-signal rtmin+3", "stop_signal: SIGRTMIN+3", "stop_signal", 37),
    ("--stop-signal RTMAX-1", "stop_signal: '63'", "stop_signal", 63),
    ("--stop-timeout 90", "stop_grace_period: 1m30s", "stop_grace_period", 90.0),
    ("--pid host", "pid: host", "namespaces", ("mount", "uts", "ipc", "cgroup")),
    ("--uts=host --ipc=host", "uts: host\nipc: host", "namespaces", ("mount", "pid", "cgroup")),
    ("--uts= --ipc=private", "namespaces: {uts: private, ipc: private}", "namespaces", None),
]


@pytest.mark.parametrize(("flags", "keys", "name", "value"), BOTH)
def test_a_flag_and_its_key_mean_the_same(
    tmp_path: pathlib.Path, flags: str, keys: str, name: str, value: object
) -> None:
    by_flags, by_keys = _flags(flags), _keys(tmp_path, keys)
    assert getattr(by_flags, name) == getattr(by_keys, name)
    assert value is None or getattr(by_flags, name) == value
    assert by_flags.replace(origin=by_keys.origin) == by_keys


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cap_add: NET_ADMIN", "2:10: expected a list"),
        ("cap_add: [NET_ADMN]", "2:11: unknown capability 'NET_ADMN'; did you mean 'NET_ADMIN'?"),
        ("ulimits: {nofile: {soft: 1}}", "2:19: a ulimit needs soft and hard"),
        ("ulimits: {files: 1}", "2:11: unknown ulimit 'files'"),
        ("ulimits: {nofile: x}", "2:11: ulimit nofile: 'x' is not a number, nor -1 for no limit"),
        ("ulimits: {nofile: 99999999999999999999}", "2:11: ulimit nofile: '99999999999999999999' is not a number"),
        ("ulimits: [nofile]", "2:11: 'nofile': expected NAME=SOFT[:HARD]"),
        ("sysctls: {kernel.hostname: x}", "2:11: kernel.hostname belongs to the whole machine"),
        ("sysctls: {net.x: 1}\nnetwork_mode: host", "2:1: net.x needs a network of the container's own"),
        ("pid: service:web", "2:1: there is no container called 'web'"),
        ("pid: host\nnamespaces: [mount, pid]", "2:1: pid contradicts namespaces"),
        ("ipc: private\nnamespaces: {ipc: host}", "2:1: ipc contradicts namespaces"),
        ("uts: host\nhostname: box", "3:1: a host name of its own needs the uts namespace"),
        ("uts: host\ndomainname: example.org", "3:1: a domain name of its own needs the uts namespace"),
        ("domainname: a_b..c", "2:13: domain name 'a_b..c': expected letters, digits and -"),
        ("stop_signal: 65", "2:14: unknown signal '65'"),
        ("stop_signal: RTMIN+31", "2:14: unknown signal 'RTMIN+31'"),
        ("umask: '0o22'", "2:8: umask '0o22': expected an octal number"),
        ("umask: \u0660", "2:8: umask '\u0660': expected an octal number"),
        ("group_add: ['']", "2:13: the group is empty"),
    ],
)
def test_mistakes(tmp_path: pathlib.Path, text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        _keys(tmp_path, text)
    [found] = caught.value.problems
    assert found.removeprefix(f"{tmp_path}/spec.yaml:").startswith(problem)
