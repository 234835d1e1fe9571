"""`mydocker unit`: the units that it prints and installs, and what `mydocker up` reports to systemd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from lab.command import Command
from lab.processes import within

from mydocker.specs.model.parts import RestartPolicy
from mydocker.specs.render.systemd_unit import HEAD, ServiceUnit, command_line, service_text

SHOP = """
name: shop
services:
  web:
    image: alpine
    command: sleep 100
    restart: on-failure:3
    depends_on: {db: {condition: service_healthy}, init: {condition: service_completed_successfully}}
  db: {image: alpine, command: sleep 1000, restart: always, stop_grace_period: 1m, pull_policy: never}
  init: {image: alpine, command: "true"}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path


def verify(paths: list[Path]) -> None:
    """systemd itself has nothing to say about the units at PATHS."""
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is needed: it is in Debian's package systemd")
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_project_becomes_a_target_and_a_service_each(mydocker: Command, here: Path) -> None:
    (here / "compose.yaml").write_text(SHOP)
    done = mydocker("unit", "--directory", "units", "compose.yaml", cwd=here)
    assert done.code == 0, done
    names = ["shop.target", "shop-db.service", "shop-init.service", "shop-web.service"]
    assert [Path(line).name for line in done.stdout.decode().splitlines()] == names
    assert b"now: systemctl daemon-reload && systemctl enable --now shop.target" in done.stderr
    verify([here / "units" / name for name in names])
    web = (here / "units/shop-web.service").read_text().splitlines()
    for line in (
        "Requires=shop-db.service shop-init.service",
        "After=network-online.target shop-db.service shop-init.service",
        "PartOf=shop.target",
        "StartLimitBurst=4",
        "Restart=on-failure",
        "Type=notify",
        "KillMode=mixed",
        "Delegate=yes",
    ):
        assert line in web
    [pull] = [line for line in web if line.startswith("ExecStartPre=")]
    assert pull.endswith("mydocker pull -q --policy missing alpine:latest")  # an alias may replace a short name
    [start] = [line for line in web if line.startswith("ExecStart=")]
    flags = f"up -p shop -f {here}/compose.yaml --no-deps --no-log-prefix --no-restart --exit-code-from web web"
    assert start.endswith(flags)
    db = (here / "units/shop-db.service").read_text()
    assert "TimeoutStopSec=70" in db and "Restart=always" in db and "ExecStartPre" not in db
    init = (here / "units/shop-init.service").read_text()
    assert "Type=oneshot\nRemainAfterExit=yes" in init and "WatchdogSec" not in init


def test_files_and_units_of_a_user(mydocker: Command, here: Path) -> None:
    (here / "my web.container").write_text("[Container]\nImage=alpine\n[Service]\nRestart=always\n")
    (here / "job.yaml").write_text("image: alpine\n")
    env = {"XDG_CONFIG_HOME": str(here / "config")}
    for file, name in (("my web.container", "my-web.service"), ("./job.yaml", "job.service")):
        done = mydocker("unit", "--user", "--install", file, cwd=here, env=env)
        path = here / "config/systemd/user" / name
        assert (done.stdout.decode(), done.code) == (f"{path}\n", 0), done
        assert f"systemctl --user enable --now {name}".encode() in done.stderr
        verify([path])
        assert "network-online" not in path.read_text() and "WantedBy=default.target" in path.read_text()
    text = (here / "config/systemd/user/my-web.service").read_text()
    assert f'--no-restart --exit-code-from "my web" "{here}/my web.container"' in text
    assert "StartLimitBurst=5" in text and "Type=notify" in text
    assert "Type=exec" in (here / "config/systemd/user/job.service").read_text()


def test_an_instance_of_a_template_has_a_unit_without_a_file_of_its_own(mydocker: Command, here: Path) -> None:
    (here / "web@.container").write_text("[Container]\nImage=alpine\n")
    done = mydocker("unit", "--directory", "units", "web@one.container", cwd=here)
    assert done.stdout.decode() == f"{here}/units/web@one.service\n", done
    verify([here / "units/web@one.service"])
    assert f" {here}/web@one.container\n" in (here / "units/web@one.service").read_text()


def test_the_keys_to_ignore_and_the_profiles_are_those_of_the_start_as_well(mydocker: Command, here: Path) -> None:
    service = "{image: alpine, cgroup_parent: x, profiles: [big]}"
    (here / "shop.yaml").write_text(f"services:\n  web: {service}\n")
    (here / "job.yaml").write_text("image: alpine\ncgroup_parent: x\n")
    for file in ("shop.yaml", "job.yaml"):
        done = mydocker("unit", "--ignore", "cgroup_parent", "--profile", "big", file, cwd=here)
        [start] = [line for line in done.stdout.decode().splitlines() if line.startswith("ExecStart=")]
        assert " --profile big --ignore cgroup_parent " in start


def test_a_unit_needs_a_file_that_stays(mydocker: Command, here: Path) -> None:
    for text in (b"image: alpine\n", SHOP.encode()):
        done = mydocker("unit", "-", cwd=here, input=text)
        assert done.code != 0 and b"a unit needs a file that stays" in done.stderr, done


def test_a_file_that_is_not_mydockers_stays(mydocker: Command, here: Path) -> None:
    (here / "compose.yaml").write_text(SHOP)
    (here / "units").mkdir()
    foreign = here / "units/shop-web.service"
    for make in (lambda: foreign.write_text("[Service]\n"), lambda: foreign.symlink_to("/etc/passwd"), foreign.mkdir):
        make()
        done = mydocker("unit", "--directory", "units", "compose.yaml", cwd=here)
        assert done.code == 125 and b"shop-web.service is there already, and not by 'mydocker unit'" in done.stderr
        assert os.listdir(here / "units") == ["shop-web.service"]
        foreign.rmdir() if foreign.is_dir() else foreign.unlink()
    foreign.write_text(f"{HEAD}\nold\n")
    assert mydocker("unit", "--directory", "units", "compose.yaml", cwd=here).code == 0
    assert "old" not in foreign.read_text()


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "name"),
    [(("--test", "t"), "mydocker-test-t.service"), (("web.container",), "web.service"), ((), "same.target")],
)
def test_a_unit_for_another_file_stays(mydocker: Command, here: Path, words: tuple[str, ...], name: str) -> None:
    for folder in ("one", "two"):
        (here / folder / "t").mkdir(parents=True)
        (here / folder / "t" / "a.smoke.yaml").write_text("image: alpine\n")
        (here / folder / "web.container").write_text("[Container]\nImage=docker.io/library/alpine\n")
        (here / folder / "compose.yaml").write_text("name: same\nservices: {web: {image: alpine}}\n")
    install = ("unit", "--directory", str(here / "units"), *words)
    for _ in range(2):  # the second writes the same anew
        assert mydocker(*install, cwd=here / "one").code == 0
    text = (here / "units" / name).read_text()
    assert f"\nSourcePath={here}/one/" in text
    refused = mydocker(*install, cwd=here / "two")
    assert refused.code == 125 and f"{name} is there already, for {here}/one/".encode() in refused.stderr
    assert (here / "units" / name).read_text() == text
    (here / "one").rename(here / "three")
    assert mydocker(*install, cwd=here / "two").code == 0
    assert f"\nSourcePath={here}/two/" in (here / "units" / name).read_text()


def test_a_container_in_the_background(alpine: Command, here: Path) -> None:
    created = alpine("create", "--name", "kept", "--restart", "always", "alpine", "sleep", "9")
    assert created.code == 0, created
    done = alpine("unit", "kept")
    text = done.stdout.decode()
    assert "mydocker start --attach kept\nExecStop=" in text and "Restart=on-abnormal" in text, done
    (here / "kept.service").write_text(text)
    verify([here / "kept.service"])
    assert alpine("unit", "nonesuch").code != 0
    assert alpine("rm", "kept").code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("a", "b c", ""), 'a "b c" ""'),
        (("50%", "$HOME", "${X}"), '"50%%" "$$HOME" "$${X}"'),
        (('say "hi"', "a\\b", "two\nlines", "it's"), '"say \\"hi\\"" "a\\\\b" "two\\nlines" "it\'s"'),
        (("'x", ";", "#"), '"\'x" ";" "#"'),
    ],
)
def test_words_are_those_that_systemd_reads(words: tuple[str, ...], line: str) -> None:
    from mydocker.specs.nodes.unit_file import split_words

    assert command_line(words) == line
    assert [word.replace("%%", "%").replace("$$", "$") for word in split_words(line)] == [*words]


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        (RestartPolicy(name="unless-stopped"), ["StartLimitIntervalSec=0", "Restart=always", "RestartSec=1"]),
        (RestartPolicy(name="on-failure", attempts=2, delay=0.5),
         ["StartLimitIntervalSec=infinity", "StartLimitBurst=3", "Restart=on-failure", "RestartSec=0.5s"]),
        (RestartPolicy(name="always", burst=3, interval=20.0, delay=5.0),
         ["StartLimitIntervalSec=20", "StartLimitBurst=3", "Restart=always", "RestartSec=5"]),
        (None, []),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_a_restart_policy_is_given_to_systemd(policy: RestartPolicy | None, lines: list[str]) -> None:
    unit = ServiceUnit(
        name="x.service", description="50%\nx", command=("/bin/true",), restart=policy, grace=3_000_000.25
    )
    text = service_text(unit, is_users=False).splitlines()
    assert [line for line in text if line.startswith(("StartLimit", "Restart"))] == lines
    assert "Description=50%% x" in text and "TimeoutStopSec=3000010.25s" in text


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, here: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has it, and its name in $NOTIFY_SOCKET."""
    name = str(here / "notify") if request.param == "path" else f"@mydocker-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0"))
        listener.settimeout(240)
        yield listener, name


@pytest.mark.root
def test_up_is_ready_when_its_services_are_healthy(
    alpine: Command, here: Path, manager: tuple[socket.socket, str]
) -> None:
    listener, name = manager
    (here / "compose.yaml").write_text(
        "services:\n  web: {image: alpine, command: sleep 1000, init: true, stop_signal: KILL,\n"
        f"    volumes: ['{here}:/d'], healthcheck: {{test: test -e /d/up, interval: 100ms, retries: 1000}}}}\n"
    )
    env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
    running = alpine.start("up", cwd=here, env=env)
    try:
        assert listener.recv(4096) == b"WATCHDOG=1"
        assert listener.recv(4096) == b"WATCHDOG=1"  # and it is not ready, because its container is not healthy yet
        (here / "up").touch()
        messages = [listener.recv(4096)]
        while not messages[-1].startswith(b"READY"):
            messages.append(listener.recv(4096))
        assert messages[-1] == b"READY=1\nSTATUS=1 running" and set(messages[:-1]) <= {b"WATCHDOG=1"}
        running.terminate()
        while (message := listener.recv(4096)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
    finally:
        running.terminate()
        running.communicate(timeout=240)
    assert within(200, lambda: alpine("ps", "-aq").stdout == b"")


@pytest.mark.root
def test_an_unhealthy_service_is_no_longer_alive_for_the_watchdog(alpine: Command, here: Path) -> None:
    (here / "compose.yaml").write_text(
        "services:\n  web: {image: alpine, command: sleep 1000, stop_signal: KILL,\n"
        "    healthcheck: {test: 'false', interval: 100ms, retries: 1, start_period: 0s}}\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(here / "notify"))
        listener.settimeout(240)
        env = {"NOTIFY_SOCKET": str(here / "notify"), "WATCHDOG_USEC": "200000"}
        running = alpine.start("up", cwd=here, env=env)
        messages = []
        try:
            messages.append(listener.recv(4096))
            health = ("inspect", "-f", "{{.State.Health.Status}}", f"{here.name.lower()}-web-1")
            assert within(200, lambda: alpine(*health).stdout == b"unhealthy\n"), alpine(*health)
            listener.settimeout(1.5)
            with suppress(TimeoutError):  # of those that were sent before there is an end
                for _ in range(2000):
                    messages.append(listener.recv(4096))
            assert running.poll() is None
        finally:
            running.terminate()
            running.communicate(timeout=240)
    assert set(messages) == {b"WATCHDOG=1"} and len(messages) < 2000, messages[:10]


@pytest.mark.root
def test_without_restarts_the_end_of_a_service_is_that_of_up(alpine: Command, here: Path) -> None:
    (here / "compose.yaml").write_text("services:\n  job: {image: alpine, command: 'false', restart: always}\n")
    done = alpine("up", "--no-restart", "--exit-code-from", "job", cwd=here)
    assert done.code == 1, done


@pytest.mark.root
def test_the_main_process_of_a_unit_leaves_no_bridge(alpine: Command, here: Path) -> None:
    """systemd would kill the process that takes it down a moment later."""
    (here / "compose.yaml").write_text("services:\n  job: {image: alpine, command: ip address}\n")
    main = replace(alpine, prefix=("sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$@"', "sh"), forks=False)
    done = main("up", "-p", "unit", cwd=here)
    assert done.code == 0 and b"eth0" in done.stdout, done
    links = subprocess.run(["ip", "link"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert f"{alpine.store}/networks/unit_default" not in links  # the name of the bridge's network


CASE = "image: alpine\nstop_grace_period: 20s\nexpect: {exit_code: 0}\n"


def test_tests_become_a_service_and_a_timer(mydocker: Command, here: Path) -> None:
    (here / "smoke").mkdir()
    (here / "smoke/a.smoke.yaml").write_text(CASE)
    (here / "smoke/b.smoke.yaml").write_text("image: busybox\nprofiles: [slow]\nexpect: {exit_code: 0}\n")
    words = ("unit", "--test", "--timer", "daily", "--timer", "Mon..Fri 03:00", "--directory", "units", "smoke")
    done = mydocker(*words, cwd=here)
    assert done.code == 0, done
    names = ["mydocker-test-smoke.timer", "mydocker-test-smoke.service"]
    assert [Path(line).name for line in done.stdout.decode().splitlines()] == names
    assert b"systemctl enable --now mydocker-test-smoke.timer" in done.stderr
    verify([here / "units" / name for name in names])
    timer = (here / "units" / names[0]).read_text()
    assert "OnCalendar=daily\nOnCalendar=Mon..Fri 03:00\n" in timer and "WantedBy=timers.target" in timer
    service = (here / "units" / names[1]).read_text()
    for line in (
        "Type=oneshot",
        f"Environment=MYDOCKER_ROOT={mydocker.store}",
        f"ExecStart={mydocker.program} test {here}/smoke",
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=25",
        "KillMode=mixed",
        "Delegate=yes",
    ):
        assert f"\n{line}\n" in service, line
    [pull] = [line for line in service.splitlines() if line.startswith("ExecStartPre=")]
    assert pull.endswith("mydocker pull -q --policy missing alpine:latest")  # an alias may replace a short name
    assert "RemainAfterExit" not in service and "[Install]" not in service and "143" not in service


def test_tests_without_a_timer_for_a_user_with_a_profile(mydocker: Command, here: Path) -> None:
    (here / "a b.smoke.yaml").write_text(CASE.replace("image", "profiles: [big]\nimage"))
    words = ("unit", "--test", "--user", "--install", "a b.smoke.yaml")
    env = {"XDG_CONFIG_HOME": str(here / "config"), "COMPOSE_PROFILES": "big"}
    done = mydocker(*words, cwd=here, env=env)
    path = here / "config/systemd/user/mydocker-test-a-b.service"
    assert (done.stdout.decode(), done.code) == (f"{path}\n", 0), done
    assert b"systemctl --user daemon-reload && systemctl --user start mydocker-test-a-b.service" in done.stderr
    verify([path])
    assert f'mydocker test --profile big "{here}/a b.smoke.yaml"\n' in path.read_text()
    assert "network-online" not in path.read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--timer", "daily", "job.yaml"), "--timer is for --test"),
        (("--test",), "expected the paths of tests"),
        (("--test", "nonesuch"), "nonesuch: no such file or folder"),
        (("--test", "-"), "a unit needs a file that stays"),
        (("--test", "empty"), "there is nothing to test in empty"),
        (("--test", "-p", "x", "job.yaml"), "--project-name is not for --test"),
        *((("--test", "--timer", each, "job.yaml"), "is no calendar expression")
          for each in ("", "tomorrow-ish", "25:00", "daily\nExecStart=/bin/sh")),
        (("--test", "--timer=--version", "job.yaml"), "is no calendar expression"),
        (("net.network",), "a .network file describes a network"),
        (("vol.volume",), "a .volume file describes a volume"),
        (("img.image",), "a .image file names an image to pull"),
        (("img.build",), "a .build file says how to build an image"),
        (("hidden.yaml",), "no container takes part without --profile: the profiles are big"),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_makes_no_unit(mydocker: Command, here: Path, words: tuple[str, ...], text: str) -> None:
    (here / "empty").mkdir()
    (here / "job.yaml").write_text(CASE)
    (here / "hidden.yaml").write_text(f"profiles: [big]\n{CASE}")
    (here / "net.network").write_text("[Network]\n")
    (here / "vol.volume").write_text("[Volume]\n")
    (here / "img.image").write_text("[Image]\nImage=alpine\n")
    (here / "img.build").write_text("[Build]\nImageTag=x\nSetWorkingDirectory=unit\n")
    done = mydocker("unit", *words, cwd=here)
    assert done.code == 2 and text.encode() in done.stderr and done.stdout == b"", done
    if words[0].startswith(("net", "vol", "img")):
        for command in (("up",), ("up", "--dry-run"), ("explain",)):
            done = mydocker(*command, *words, cwd=here)
            assert done.code in (2, 125) and text.encode() in done.stderr and done.stdout == b"", done
        assert mydocker("check", *words, cwd=here).code == 0


def test_variables_are_those_of_the_start_as_well(mydocker: Command, here: Path) -> None:
    """Each that mydocker or the loader of Compose files reads is a word of the command, or in the environment; but
    proxies, which may hold a password."""
    (here / "shop").mkdir()
    (here / "shop/a.yaml").write_text("services:\n  web: {image: 'alpine:${TAG}', profiles: [big]}\n")
    (here / "shop/b.yaml").write_text("services:\n  web: {command: 'true'}\n")
    (here / "tags").write_text("TAG=3\n")
    env = {
        "COMPOSE_FILE": "shop/a.yaml;shop/b.yaml",
        "COMPOSE_PATH_SEPARATOR": ";",
        "COMPOSE_PROJECT_NAME": "mine",
        "COMPOSE_PROFILES": "big,other",
        "COMPOSE_ENV_FILES": "tags",
        "MYDOCKER_ROOT": "st 100%/$x",
        "MYDOCKER_LAYER_GIB": "7",
        "REGISTRY_AUTH_FILE": "/etc/auth.json",
        "HTTPS_PROXY": "http://user:secret@proxy",
        "MYDOCKER_TOKEN": "secret",  # of a spec file's
        "XDG_CACHE_HOME": "/cache",
        "XDG_DATA_HOME": "relative, so ignored",
    }
    done = mydocker("unit", "--directory", "units", cwd=here, env=env)
    assert done.code == 0, done
    verify([here / "units/mine.target", here / "units/mine-web.service"])
    text = (here / "units/mine-web.service").read_text()
    profiles = "--profile big --profile other"
    files = f"-p mine -f {here}/shop/a.yaml -f {here}/shop/b.yaml --env-file {here}/tags {profiles}"
    assert f"mydocker up {files} --no-deps" in text and "alpine:3\n" in text
    assert f'\nEnvironment="MYDOCKER_ROOT={here}/st 100%%/$x"\n' in text
    assert "\nEnvironment=MYDOCKER_LAYER_GIB=7\n" in text
    assert "\nEnvironment=REGISTRY_AUTH_FILE=/etc/auth.json\n" in text
    assert "\nEnvironment=XDG_CACHE_HOME=/cache\n" in text
    assert "COMPOSE" not in text and "secret" not in text and "ignored" not in text
    (here / "web.container").write_text("[Container]\nImage=alpine\n")
    done = mydocker("unit", "web.container", cwd=here, env=env)
    assert f" -p mine {profiles} --no-restart " in done.stdout.decode(), done


@pytest.mark.root
def test_a_container_that_is_removed_at_its_end_gets_no_unit(alpine: Command) -> None:
    assert alpine("create", "--rm", "--name", "once", "alpine", "true").code == 0
    done = alpine("unit", "once")
    assert done.code == 2 and b"is removed when it ends (--rm)" in done.stderr and done.stdout == b"", done
    assert alpine("rm", "once").code == 0


def test_a_file_whose_name_is_no_text(mydocker: Command, here: Path) -> None:
    name = os.fsdecode(b"t\xff.smoke.yaml")
    (here / name).write_text(CASE)
    done = mydocker("unit", "--test", "--directory", "units", name, cwd=here)
    assert done.code == 0, done
    [path] = (here / "units").iterdir()
    verify([path])
    text = path.read_text()
    assert f'mydocker test "{here}/t\\xff.smoke.yaml"\n' in text and "Description=Tests of t?.smoke.yaml\n" in text


@pytest.mark.root
def test_nothing_is_left_of_a_unit_that_cannot_be_written(mydocker: Command, here: Path) -> None:
    (here / "job.yaml").write_text(CASE)
    (here / "full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", here / "full"], check=True)
    try:
        (here / "full/x").write_bytes(bytes(4096))
        done = mydocker("unit", "--directory", "full", "job.yaml", cwd=here)
        assert done.code == 125 and b"cannot write %b/full/job.service: no space" % os.fsencode(here) in done.stderr
        assert os.listdir(here / "full") == ["x"]
    finally:
        subprocess.run(["umount", here / "full"], check=True)


def test_a_directory_is_made_in_one_that_is_there(mydocker: Command, here: Path) -> None:
    (here / "job.yaml").write_text(CASE)
    done = mydocker("unit", "--directory", "mistyped/units", "job.yaml", cwd=here)
    assert done.code == 125 and f"no directory {here}/mistyped is there".encode() in done.stderr, done
    assert not (here / "mistyped").exists()
