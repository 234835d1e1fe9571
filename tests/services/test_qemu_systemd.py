"""What `mydocker unit` prints, run by a real systemd in a virtual machine; and what a reboot and a jump of the clock do
to containers. The tests share one machine, and the services that the first one starts there."""

from __future__ import annotations

import os
import pathlib
import pwd
import subprocess
from collections.abc import Iterator

import pytest
from lab import busybox, oci
from lab.command import SCRIPT, python_of
from lab.systemd import STORE, SystemdMachine

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.timeout(900)]

# a server that takes its time to end
SERVER = 'trap "echo asked > /srv/end; sleep 1; echo ended >> /srv/end; exit 0" USR1; sleep 1000 & wait'
SHOP = f"""
name: shop
services:
  db:
    image: localhost/layout:alpine
    command: [sh, -c, '{SERVER}']
    stop_signal: USR1
    stop_grace_period: 20s
    restart: always
    volumes: ['/srv:/srv']
    healthcheck: {{test: echo >> /srv/tests && test -e /srv/healthy, interval: 1s, retries: 10000}}
  web:
    image: localhost/layout:alpine
    command: sleep 1000
    init: true
    mem_limit: 64m
    restart: on-failure
    depends_on: {{db: {{condition: service_healthy}}}}
"""
SICK = f"""
services:
  server:
    image: oci:/srv/layout:alpine
    command: [sh, -c, '{SERVER}']
    stop_signal: USR1
    stop_grace_period: 20s
    volumes: ['/srv:/srv']
    healthcheck: {{test: test -e /srv/well, interval: 500ms, retries: 1}}
"""
BATCH = """
image: localhost/layout:alpine
network_mode: none
volumes: ['/srv:/srv']
command: sh -c 'echo run >> /srv/batch'
expect: {exit_code: 0}
"""
USERS = """
services:
  web:
    image: oci:/srv/layout:alpine
    command: sleep 1000
    init: true
    network_mode: host
    mem_limit: 32m
    healthcheck: {test: 'true', interval: 500ms}
"""
MEMORY = "cat /sys/fs/cgroup{}/memory.max"


class Host:
    """The machine, with what the tests ask it."""

    def __init__(self, machine: SystemdMachine) -> None:
        self.machine, self.run = machine, machine.run

    def mydocker(self, words: str) -> str:
        return self.run(f"{SCRIPT} {words}").strip()

    def show(self, unit: str, *names: str, manager: str = "systemctl") -> list[str]:
        """The properties NAMES of UNIT."""
        shown = self.run(f"{manager} show {unit} {' '.join(f'-p {name}' for name in names)}")
        found = dict(line.split("=", 1) for line in shown.splitlines())
        return [found[name] for name in names]

    def wait(self, condition: str, *, seconds: int = 300) -> None:
        """Until the shell's CONDITION holds."""
        now = "$(cut -d . -f 1 /proc/uptime)"  # the clock may jump
        late = f"[ {now} -lt $end ] || exit 1; sleep 1"  # each look costs what is waited for its time
        try:
            self.run(f"end=$(({now} + {seconds})); until {condition}; do {late}; done", seconds=2 * seconds)
        except AssertionError:
            logs = self.run("systemctl list-jobs; journalctl -b --no-pager -o short-monotonic | tail -n 50", code=None)
            raise AssertionError(f"{condition}\n{logs}") from None

    def stop(self, target: str, *services: str) -> None:
        """Stop TARGET, and SERVICES with it; systemctl does not wait for these."""
        self.run(f"systemctl stop {target}")
        self.wait(f"! systemctl show -P ActiveState {' '.join(services)} | grep -v inactive | grep -q .")

    def containers(self) -> dict[str, str]:
        """State by name."""
        lines = self.mydocker("ps -a --format '{{.Names}} {{.State}}'").splitlines()
        return dict(line.split() for line in lines)  # type: ignore[misc]  # two words each

    def pid_of(self, words: str, unit: str) -> str:
        """The process of UNIT whose command line is WORDS."""
        pids = f"$(find /sys/fs/cgroup/system.slice/{unit} -name cgroup.procs | xargs cat)"
        is_it = f"[ \"$( (tr '\\0' ' ' < /proc/$pid/cmdline) 2> /dev/null)\" = '{words} ' ]"
        return self.run(f"for pid in {pids}; do if {is_it}; then echo $pid; fi; done").strip()

    def left(self) -> str:
        """What there is of containers: their processes, cgroups and networks."""
        look = (
            "/busybox ps -o args | grep '^mydocker-'; find /sys/fs/cgroup -name 'mydocker*'; ip -o link | grep ' md-'; "
        )
        return self.run(f"{look} nft list tables; ls {STORE}/containers; true").strip()


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory, user: pwd.struct_passwd, user_program: pathlib.Path
) -> Iterator[Host]:
    """A machine with the user of that name, and alpine in the store."""
    if user_program != SCRIPT:  # a copy without what has been compiled
        python = python_of(user)
        subprocess.run([python, "-m", "compileall", "-q", user_program.parent / "site"], env={}, capture_output=True)
    layout = tmp_path_factory.mktemp("layout")
    oci.write_layout(layout, busybox.alpine(), tag="alpine")
    kernel = pathlib.Path(os.environ["MYDOCKER_KERNEL"])
    with SystemdMachine(tmp_path_factory.mktemp("machine"), kernel) as machine:
        host = Host(machine)
        host.run(f"cp -r {layout} /srv/layout && chmod -R a+rX /srv/layout && chmod 755 /srv")
        host.mydocker("pull -q oci:/srv/layout:alpine")
        yield host


def _write(host: Host, path: str, text: str) -> None:
    host.run(f"mkdir -p {os.path.dirname(path)} && cat > {path} <<'END'\n{text}\nEND")


def test_a_service_is_ready_once_it_is_healthy(host: Host) -> None:
    _write(host, "/srv/shop/compose.yaml", SHOP)
    host.run(f"cd shop && {SCRIPT} unit --install && systemctl daemon-reload")
    host.run("systemctl --no-block enable --now shop.target")
    host.wait("[ $(cat tests 2> /dev/null | wc -l) -ge 3 ]")
    assert host.show("shop-db", "ActiveState", "SubState") == ["activating", "start"]
    assert host.show("shop-web", "ActiveState") == ["inactive"]  # for what it requires is not ready
    host.run("touch healthy")
    host.wait("systemctl -q is-active shop.target")
    [ready, status] = host.show("shop-db", "ActiveEnterTimestampMonotonic", "StatusText")
    [began, state] = host.show("shop-web", "InactiveExitTimestampMonotonic", "ActiveState")
    assert (status, state, int(ready) <= int(began)) == ("1 running", "active", True)


def test_a_container_is_within_its_unit(host: Host) -> None:
    web = host.pid_of("sleep 1000", "shop-web.service")
    cgroup = host.run(f"cat /proc/{web}/cgroup").strip().removeprefix("0::")
    assert cgroup.startswith("/system.slice/shop-web.service/mydocker-"), cgroup
    assert host.run(MEMORY.format(cgroup)) == f"{64 << 20}\n"
    assert f"─{web} sleep 1000" in host.run("systemctl status shop-web --no-pager")


def test_so_is_one_that_was_paused(host: Host) -> None:
    db = host.pid_of("sleep 1000", "shop-db.service")
    host.mydocker("pause shop-db-1")
    assert host.pid_of("sleep 1000", "shop-db.service/mydocker-*-pause") == db
    host.mydocker("unpause shop-db-1")
    assert host.run(f"cat /proc/{db}/cgroup") == "0::/system.slice/shop-db.service\n"


def test_a_command_that_is_killed_is_started_again(host: Host) -> None:
    [web, db] = [host.show(f"shop-{name}", "MainPID", "NRestarts")[0] for name in ("web", "db")]
    host.run(f"kill -9 {host.pid_of('sleep 1000', 'shop-web.service')}")
    host.wait("[ $(systemctl show -P NRestarts shop-web) = 1 ] && systemctl -q is-active shop-web")
    assert host.show("shop-web", "MainPID") != [web]
    assert host.show("shop-db", "MainPID", "NRestarts") == [db, "0"]
    assert host.containers() == {"shop-db-1": "running", "shop-web-1": "running"}


def test_so_is_mydocker_with_what_requires_it(host: Host) -> None:
    [db] = host.show("shop-db", "MainPID")
    [web] = host.show("shop-web", "MainPID")
    old = host.pid_of("sleep 1000", "shop-db.service")
    host.run(f"kill -9 {db}")
    host.wait(f"[ $(systemctl show -P MainPID shop-web) != {web} ] && systemctl -q is-active shop-web")
    [again, restarts] = host.show("shop-db", "MainPID", "NRestarts")
    assert again not in (db, "0") and restarts == "1"
    host.run(f"[ ! -e /proc/{old} ]")
    assert host.containers() == {"shop-db-1": "running", "shop-web-1": "running"}


def test_a_jump_of_the_clock_by_a_day_starts_a_timer_alone(host: Host) -> None:
    """Nothing that runs is restarted, and what is due by then runs once."""
    _write(host, "/srv/smoke/a.smoke.yaml", BATCH)
    host.mydocker("unit --test --timer daily --install /srv/smoke")
    host.run("systemctl daemon-reload && systemctl enable --now mydocker-test-smoke.timer")
    names = ("MainPID", "NRestarts", "ActiveState")
    before = [host.show(unit, *names) for unit in ("shop-db", "shop-web")]
    host.run("[ ! -e batch ] && date -s @$(($(date +%s) + 86400)) && : > tests")
    host.wait('[ -n "$(systemctl show -P ExecMainExitTimestamp mydocker-test-smoke.service)" ]')
    names_of_batch = ("Result", "ExecMainStatus", "ActiveState")
    assert host.show("mydocker-test-smoke.service", *names_of_batch) == ["success", "0", "inactive"]
    assert host.run("cat batch") == "run\n"
    assert "1 passed" in host.run("journalctl -u mydocker-test-smoke --no-pager -o cat")
    host.wait("[ $(cat tests | wc -l) -ge 3 ]")  # the healthcheck goes on
    assert [host.show(unit, *names) for unit in ("shop-db", "shop-web")] == before
    assert "Up 24 hours (healthy)" in host.mydocker("ps --filter name=shop-db")


def test_a_stop_is_the_container_s_own_and_leaves_nothing(host: Host) -> None:
    host.stop("shop.target", "shop-web", "shop-db")
    assert host.run("cat end") == "asked\nended\n"
    names = ("ActiveState", "Result", "NRestarts")
    assert host.show("shop-db", *names) == ["inactive", "success", "1"]
    assert host.show("shop-web", *names[:2]) == ["inactive", "success"]
    assert host.containers() == {}
    assert host.left() == ""


def test_an_unhealthy_container_ends_in_order_and_the_unit_has_failed(host: Host) -> None:
    _write(host, "/srv/sick/compose.yaml", SICK)
    host.run(f"cd sick && {SCRIPT} unit --install && rm ../end; touch ../well")
    _write(host, "/run/systemd/system/sick-server.service.d/short.conf", "[Service]\nWatchdogSec=4")
    host.run("systemctl daemon-reload && systemctl start sick.target", seconds=300)
    assert host.show("sick-server", "ActiveState") == ["active"]
    host.run("rm well")
    host.wait("systemctl -q is-failed sick-server")
    assert host.show("sick-server", "Result") == ["watchdog"]
    assert host.run("cat end") == "asked\nended\n"
    assert host.containers() == {}
    assert host.left() == ""


def test_a_unit_of_an_ordinary_user(host: Host, user: pwd.struct_passwd, user_program: pathlib.Path) -> None:
    name, number, home, program = user.pw_name, user.pw_uid, f"/srv/{user.pw_name}", user_program
    host.run(f"install -d -o {name} -g {name} {user.pw_dir} {home} && systemctl start user@{number}")
    _write(host, f"{home}/compose.yaml", f"name: own\n{USERS}")
    enter = f"setpriv --reuid={number} --regid={user.pw_gid} --init-groups --inh-caps=-all -- env HOME={user.pw_dir}"
    enter += f" USER={name} XDG_RUNTIME_DIR=/run/user/{number} MYDOCKER_ROOT={home}/store"
    as_user = f"cd {home} && {enter} sh -ec '{{}}'"
    host.run(as_user.format(f"{program} unit --user --install && systemctl --user daemon-reload"))
    host.run(as_user.format("systemctl --user start own.target"), seconds=300)
    manager = f"{enter} systemctl --user"
    assert host.show("own-web", "ActiveState", "StatusText", manager=manager) == ["active", "1 running"]
    [cgroup] = host.show("own-web", "ControlGroup", manager=manager)
    assert cgroup.startswith(f"/user.slice/user-{number}.slice/user@{number}.service/"), cgroup
    # the systemd of a user does not mark what it delegates (252): the limits are those of a cgroup alongside
    assert host.run(MEMORY.format(f"{os.path.dirname(cgroup)}/mydocker-*")) == f"{32 << 20}\n"
    host.run(as_user.format("systemctl --user stop own-web.service"))
    assert host.show("own-web", "ActiveState", "Result", manager=manager) == ["inactive", "success"]
    assert host.run(as_user.format(f"{program} ps -aq")) == ""
    assert host.left() == ""


def test_after_a_reboot_units_are_back_and_the_rest_has_ended(host: Host) -> None:
    host.mydocker("create --init --restart always --name kept localhost/layout:alpine sleep 1000")
    host.mydocker("unit --install kept")
    host.run("systemctl daemon-reload && systemctl enable --now kept")
    is_there = f'[ "$({SCRIPT} ps -q --filter name=kept)" ]'
    host.wait(is_there)
    host.run(f"kill -9 {host.show('kept', 'MainPID')[0]}")
    host.wait("[ $(systemctl show -P NRestarts kept) = 1 ] && systemctl -q is-active kept")
    host.wait(is_there)
    for words in ("--name once", "--name always --restart always", "--name gone --rm"):
        host.mydocker(f"run -d --init {words} localhost/layout:alpine sleep 1000")
    host.run("systemctl start shop.target", seconds=300)
    started = ("shop-db-1", "shop-web-1", "kept", "once", "always", "gone")
    assert host.containers() == dict.fromkeys(started, "running")
    host.machine.reboot()
    host.wait(f"systemctl -q is-active shop-web && {is_there}")
    states = {"shop-db-1": "running", "shop-web-1": "running", "kept": "running", "once": "exited", "always": "exited"}
    assert host.containers() == states
    assert host.run("cat end") == "asked\nended\n"
    assert host.mydocker("inspect once --format '{{.State.ExitCode}} {{.State.Error}}'") == "143"


def test_so_after_a_power_failure(host: Host) -> None:
    host.mydocker("start once")
    host.machine.cut_power()
    assert host.containers()["once"] == "exited"
    code, _, error = host.mydocker("inspect once --format '{{.State.ExitCode}} {{.State.Error}}'").partition(" ")
    assert (code, error) == ("137", "its keeper was killed")
    host.wait(f'systemctl -q is-active shop-web && [ "$({SCRIPT} ps -q --filter name=kept)" ]')
    states = {"shop-db-1": "running", "shop-web-1": "running", "kept": "running", "once": "exited", "always": "exited"}
    assert host.containers() == states
    host.run("systemctl stop kept", seconds=120)
    host.stop("shop.target", "shop-web", "shop-db")
    assert host.left() == ""
