"""`mydocker doctor`: on this host, as an ordinary user, and where something has been taken away."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from lab.command import Command, granted
from lab.places import LAB

pytestmark = pytest.mark.root

NOPIVOT = LAB / "nopivot.py"
WITHOUT_SYS_ADMIN = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]


def _findings(doctor: Command, *, code: int = 0, **more: Any) -> dict[str, dict[str, Any]]:
    done = doctor("doctor", "--format", "json", **more)
    assert (done.stderr, done.code) == (b"", code), done
    report = json.loads(done.stdout)
    assert report["can_run"] == (code == 0)
    return {finding["name"]: finding for finding in report["findings"]}


def _states(findings: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [findings[name]["state"] for name in names]


STEPS = ("kernel", "namespaces", "proc", "overlay", "pivot_root", "loopback", "keyring")


def test_root(alpine: Command) -> None:
    findings = _findings(alpine)
    assert _states(findings, *STEPS, "own ids") == ["ok"] * (len(STEPS) + 1)
    assert "--userns auto" in findings["own ids"]["detail"]
    assert os.listdir(alpine.store / "containers") == []


def test_what_people_read(alpine: Command) -> None:
    done = alpine("doctor")
    assert (done.stderr, done.code) == (b"", 0)
    *lines, last = done.stdout.decode().splitlines()
    assert last == "containers can run here"
    assert {line.split()[0] for line in lines} <= {"ok", "weaker", "missing", "->"}


@pytest.mark.rootless
def test_an_ordinary_user(second_user: Command, user: pwd.struct_passwd) -> None:
    findings = _findings(second_user)
    assert _states(findings, *STEPS, "user namespaces") == ["ok"] * (len(STEPS) + 1)
    assert findings["ids"]["state"] == "weaker" and "--add-subuids" in findings["ids"]["hint"]
    with granted(user, 300_000):
        findings = _findings(second_user)
    assert findings["ids"]["state"] == "ok" and "65537 users" in findings["ids"]["detail"]
    with granted(user, 2**32 - 10, 10):  # which newuidmap refuses
        assert _findings(second_user, code=1)["ids"]["state"] == "missing"


@pytest.mark.rootless
def test_an_ordinary_user_without_the_device(second_user: Command) -> None:
    hide = '[ ! -d /dev/net ] || mount -t tmpfs -o mode=755 none /dev/net; exec "$@"'
    without = replace(second_user, prefix=["unshare", "--mount", "sh", "-c", hide, "sh", *second_user.prefix])
    found = _findings(without)["network"]
    assert (
        found["state"] == "weaker" and "/dev/net/tun" in found["detail"] and "chmod 666 /dev/net/tun" in found["hint"]
    )


def test_root_without_its_privileges(alpine: Command) -> None:
    limited = replace(alpine, prefix=WITHOUT_SYS_ADMIN)
    findings = _findings(limited, code=1)
    assert _states(findings, "privileges", "namespaces") == ["missing", "missing"]
    assert "--cap-add SYS_ADMIN" in findings["namespaces"]["hint"]
    run = limited("run", "alpine", "true")
    assert run.code == 125 and b"--cap-add SYS_ADMIN" in run.stderr


@pytest.mark.rootless
def test_root_of_somebody_s_user_namespace(second_user: Command) -> None:
    """It has one id, and mydocker does not make the best of that yet; but it says so."""
    inside = replace(second_user, prefix=[*second_user.prefix, "unshare", "--user", "--map-root-user"])
    finding = _findings(inside, code=1)["namespaces"]
    assert finding["state"] == "missing" and "as the user itself" in finding["hint"]
    run = inside("run", "--rootfs", "/", "true")
    assert run.code == 125 and b"Traceback" not in run.stderr


def _among(alpine: Command, script: str) -> Command:
    """mydocker where SCRIPT has changed the machine, in network and mount namespaces that end with it."""
    return replace(alpine, prefix=["unshare", "--net", "--mount", "sh", "-euc", script + '\nexec "$@"', "sh"])


def test_the_network_that_containers_get(alpine: Command) -> None:
    found = _findings(alpine)
    assert found["network"]["state"] == "ok" and "private network" in found["network"]["detail"]
    assert "forwarding" not in found or "legacy" in found["forwarding"]["detail"]
    assert not any("md-trial" in name for name in os.listdir("/sys/class/net"))


@pytest.mark.parametrize(
    ("prefix", "reason", "hint"),
    [
        (["setpriv", "--bounding-set", "-net_admin"], "CAP_NET_ADMIN is missing", "--cap-add NET_ADMIN"),
        (
            ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$(command -v nft)"; exec "$@"', "sh"],
            "nftables",
            "nft",
        ),
    ],
)
def test_why_they_get_the_hosts(alpine: Command, prefix: list[str], reason: str, hint: str) -> None:
    """The run does what doctor says, and its plan says the same."""
    limited = replace(alpine, prefix=prefix)
    found = _findings(limited)["network"]
    assert found["state"] == "weaker" and "host's network" in found["detail"] and reason in found["detail"]
    assert hint in found["hint"]
    own = os.readlink("/proc/self/ns/net").encode() + b"\n"
    assert limited("run", "alpine", "readlink", "/proc/self/ns/net").stdout == own
    plan = json.loads(limited("run", "--dry-run", "alpine", "true").stdout)
    assert plan["network"] == "host" and reason in plan["network_reason"]


def test_a_firewall_that_drops_what_is_forwarded(alpine: Command) -> None:
    """The lines that doctor prints let it pass."""
    dropped = _findings(_among(alpine, "iptables-legacy -P FORWARD DROP"))["forwarding"]
    assert dropped["state"] == "weaker" and dropped["hint"].count("iptables-legacy -I FORWARD") == 2
    lines = dropped["hint"].replace("sudo ", "")
    subprocess.run(["unshare", "--net", "sh", "-euc", lines], check=True, timeout=240)


def test_firewalld(alpine: Command) -> None:
    """Without its daemon here, only that it is queried, and what is made of its output."""
    program = """#!/bin/sh
[ "$*" = "--zone=trusted --list-sources" ] && echo 192.0.2.0/24 SOURCE"""
    script = (
        f"mount -t tmpfs none /usr/local/sbin; cd /usr/local/sbin; echo '{program}' > firewall-cmd; chmod 755 *; cd /"
    )
    found = _findings(_among(alpine, script.replace("SOURCE", "")))
    assert "--zone=trusted --add-source=10." in found["forwarding"]["hint"]
    source = found["forwarding"]["hint"].partition("--add-source=")[2].split()[0]
    assert "forwarding" not in _findings(_among(alpine, script.replace("SOURCE", source)))


def test_a_weaker_step_is_named_here_and_silent_on_a_run(alpine: Command) -> None:
    confined = replace(alpine, prefix=[os.path.realpath(sys.executable), "-I", "-c", NOPIVOT.read_text()])
    findings = _findings(confined)
    assert _states(findings, *STEPS) == ["weaker" if name in ("pivot_root", "keyring") else "ok" for name in STEPS]
    assert "moved" in findings["pivot_root"]["detail"] and "share" in findings["keyring"]["detail"]
    assert confined("run", "alpine", "true").stderr == b""


def test_a_store_that_cannot_be(alpine: Command) -> None:
    findings = _findings(alpine, code=1, env={"MYDOCKER_ROOT": "/proc/nonesuch"})
    assert findings["store"]["state"] == "missing"


def test_a_caller_that_ignores_its_children(alpine: Command) -> None:
    deaf = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    _findings(replace(alpine, prefix=[os.path.realpath(sys.executable), "-c", deaf]))


def test_a_wrong_command_line(alpine: Command) -> None:
    assert alpine("doctor", "who").code == 2
