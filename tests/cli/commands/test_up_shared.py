"""What services of a Compose file share, and what is done around them: namespaces, volumes, links, hooks."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from lab.command import Command
from lab.processes import sleeping

pytestmark = pytest.mark.root

WAIT = 'trap "exit 0" TERM; while :; do sleep 0.1; done'


def _service(script: str, more: str = "") -> str:
    escaped = json.dumps(script).replace("$", "$$")
    return f"{{image: alpine, command: [sh, -euc, {escaped}]{more}}}"


@pytest.fixture
def shop(alpine: Command, tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def _write(shop: pathlib.Path, top: str = "", **services: str) -> None:
    lines = [f"  {service}: {text}\n" for service, text in services.items()]
    (shop / "compose.yaml").write_text(f"name: p\nservices:\n{''.join(lines)}{top}")


def test_namespaces_volumes_and_links(alpine: Command, shop: pathlib.Path) -> None:
    """`tool` sees the processes, the shared memory and the files of `db`, and knows it by its alias."""
    mark = f"77{os.getpid()}"
    look = (
        "cat /dev/shm/x; ps -o pid,args | grep -c '^ *1 .*[s]erves'; kill -0 1; "
        "cat /data/y; ! touch /data/z 2>/dev/null; "
        "touch /own/z; ls /bound; grep -wo 'store' /etc/hosts; cat /proc/self/oom_score_adj; (sleep MARK &)"
    ).replace("MARK", mark)
    own = ", pid: 'service:db', ipc: 'service:db', volumes_from: ['db:ro'], volumes: ['/own'], links: ['db:store']"
    own += ", depends_on: {db: {condition: service_healthy}}"
    _write(
        shop,
        tool=_service(look, f"{own}, oom_score_adj: 123}}".removesuffix("}")),
        db=_service(
            f"echo shared > /dev/shm/x; echo kept > /data/y; : serves; {WAIT}",
            ", ipc: shareable, volumes: ['/data', './files:/bound', 'named:/own'], "
            "healthcheck: {test: test -f /data/y, interval: 1s, retries: 600}",
        ),
        top="volumes: {named: }\n",
    )
    (shop / "files").mkdir()
    (shop / "files" / "f").touch()
    done = alpine("up", "--exit-code-from", "tool", "--abort-on-container-exit", cwd=shop)
    lines = [line.partition(b"| ")[2] for line in done.stdout.splitlines() if line.startswith(b"tool")]
    assert (done.code, lines) == (0, [b"shared", b"1", b"kept", b"f", b"store", b"123"]), done
    assert not sleeping(mark), "what it left in the other's pid namespace goes on"
    volumes = alpine("volume", "ls").stdout
    assert b"p_db_data" in volumes and b"p_named" in volumes
    assert alpine("down", "-v", cwd=shop).code == 0


def test_one_ends_with_the_container_whose_processes_it_shares(alpine: Command, shop: pathlib.Path) -> None:
    here = f", volumes: ['{shop}:/srv']"
    _write(
        shop,
        tool=_service(f"touch /srv/joined; {WAIT}", f", network_mode: none, pid: 'service:db'{here}"),
        db=_service("until [ -e /srv/joined ]; do sleep 0.05; done; exit 4", f", network_mode: none, init: true{here}"),
    )
    done = alpine("up", "--exit-code-from", "tool", cwd=shop)
    assert done.code == 137 and b"db-1 exited with code 4" in done.stderr, done


def test_what_runs_is_joined_by_name_and_what_does_not_is_named(alpine: Command) -> None:
    assert (
        alpine("run", "-d", "--name", "base", "--network", "none", "-v", "kept:/k", "alpine", "sleep", "1000").code == 0
    )
    script = "cat /proc/1/cmdline | tr '\\0' ' '; echo; : > /dev/shm/here; ls /k"
    options = ("--network", "none", "--pid", "container:base", "--ipc", "container:base", "--volumes-from", "base")
    done = alpine("run", *options, "alpine", "sh", "-c", script)
    assert (done.code, done.stdout) == (0, b"sleep 1000 \n"), done
    assert alpine("exec", "base", "ls", "/dev/shm").stdout == b"here\n"
    traced = ("-d", "--name", "traced", "--network", "none", "--cap-add", "SYS_PTRACE")
    assert alpine("run", *traced, "alpine", "sleep", "1000").code == 0
    for words, why in (
        (("--pid", "container:traced"), b"cannot be shared: that one has SYS_PTRACE"),
        (("--pid", "container:nobody"), b"no container nobody runs"),
        (("--volumes-from", "nobody"), b"no such container: nobody"),
    ):
        refused = alpine("run", *words, "alpine", "true")
        assert refused.code == 125 and why in refused.stderr, refused
    assert alpine("rm", "-f", "base", "traced").code == 0


def test_hooks(alpine: Command, shop: pathlib.Path) -> None:
    after = "{command: 'sh -c \"echo begun $$X; pwd; id -u\"', user: '7', working_dir: /tmp, environment: [X=5]}"
    before = '[sh, -c, "echo ends > /proc/1/fd/1"]'
    hooks = f", network_mode: none, post_start: [{after}], pre_stop: [{before}]"
    _write(shop, web=_service(WAIT, hooks), job=_service("echo job", ", network_mode: none, depends_on: [web]"))
    done = alpine("up", "--abort-on-container-exit", cwd=shop)
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(
        [b"web-1  | begun 5", b"web-1  | /tmp", b"web-1  | 7", b"job-1  | job", b"web-1  | ends"]
    )
    assert lines.index(b"web-1  | 7") < lines.index(b"job-1  | job") < lines.index(b"web-1  | ends")
    (shop / "out").mkdir()
    hooks = ", network_mode: none, volumes: ['./out:/out'], post_start: [[echo, up]]"
    hooks += ", pre_stop: [[touch, /out/stopped], [false]]"
    _write(shop, web=_service(WAIT, hooks))
    assert alpine("up", "-d", cwd=shop).code == 0
    assert alpine("compose", "stop", cwd=shop).code == 0 and (shop / "out" / "stopped").exists()
    (shop / "out" / "stopped").unlink()
    started = alpine("compose", "start", cwd=shop)
    assert started.code == 0 and started.stdout.endswith(b"up\n"), started
    down = alpine("down", cwd=shop)
    assert down.code == 0 and b"p-web-1: pre_stop: false: exited with code 1" in down.stderr, down
    assert (shop / "out" / "stopped").exists()


def test_a_hook_that_fails_stops_all(alpine: Command, shop: pathlib.Path) -> None:
    hooks = ", network_mode: none, post_start: [[sh, -c, 'echo no >&2; exit 3']]"
    _write(shop, web=_service(WAIT, hooks), job=_service("echo job", ", depends_on: [web], network_mode: none"))
    done = alpine("up", cwd=shop)
    assert done.code == 125 and b"post_start: sh -c 'echo no >&2; exit 3': exited with code 3" in done.stderr
    assert done.stdout == b"web-1  | no\n" and b"p-web-1" not in alpine("ps", "-a").stdout


def test_what_a_volume_mounts(alpine: Command, shop: pathlib.Path) -> None:
    (shop / "data").mkdir()
    (shop / "data" / "f").touch()
    long = "{type: volume, source: d, target: /dir}"
    show = "grep -E ' /(ram|mem|dir) ' /proc/mounts | cut -d' ' -f2,3; ls /dir; ! touch /ram/x 2>/dev/null"
    _write(
        shop,
        web=_service(show, f", network_mode: none, volumes: ['r:/ram:ro', 'm:/mem', {long}]"),
        top=(
            "volumes:\n  r: {driver_opts: {type: ramfs, o: 'mode=700,nosuid', device: none}}\n"
            "  m: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: 'size=1m,uid=7'}}\n"
            f"  d: {{driver_opts: {{type: none, o: bind, device: {shop}/data}}}}\n"
        ),
    )
    done = alpine("up", cwd=shop)
    assert done.code == 0, done
    lines = [line.partition(b"| ")[2] for line in done.stdout.splitlines()]
    assert [lines[0], lines[1], lines[3]] == [b"/ram ramfs", b"/mem tmpfs", b"f"] and lines[2].startswith(b"/dir ")
    _write(
        shop,
        web=_service("true", ", network_mode: none, volumes: ['n:/n']"),
        top="volumes: {n: {driver_opts: {type: nosuchfs, device: ':/x', o: 'addr=127.0.0.1'}}}\n",
    )
    refused = alpine("up", cwd=shop)
    assert refused.code == 125 and b"cannot mount :/x at /n: nosuchfs: unknown to this kernel" in refused.stderr


def test_an_external_volume_must_be_there(alpine: Command, shop: pathlib.Path) -> None:
    _write(
        shop,
        web=_service("echo hi > /v/x; cat /v/x", ", network_mode: none, volumes: ['v:/v:rw']"),
        top="volumes: {v: {external: true, name: outer}}\n",
    )
    refused = alpine("up", cwd=shop)
    assert refused.code == 125 and b"the external volume outer does not exist" in refused.stderr, refused
    assert alpine("volume", "create", "outer").code == 0
    assert alpine("up", cwd=shop).stdout == b"web-1  | hi\n"


def test_check_judges_the_file_alone_and_up_what_is_around_it(alpine: Command, shop: pathlib.Path) -> None:
    text = (
        "services:\n"
        "  a: {image: '${IMAGE:?set it}', env_file: .env.nobody, ports: ['${PORT}:80'], depends_on: [c]}\n"
        "  b: {extends: {file: other.yaml, service: x}, volumes: ['${DATA}:/d'], secrets: [s]}\n"
        "include: [more.yaml]\nsecrets: {s: {environment: NOBODY}}\n"
    )
    (shop / "compose.yaml").write_text(text)
    done = alpine("check", cwd=shop)
    lines = done.stderr.decode().splitlines()
    assert done.code == 0 and all(line.startswith("warning: compose.yaml:") for line in lines), done
    for about in (
        "IMAGE is needed",
        ".env.nobody",
        "other.yaml",
        "more.yaml",
        "source of a volume",
        "NOBODY is needed",
    ):
        assert any(about in line for line in lines), about
    refused = alpine("up", cwd=shop)
    assert refused.code == 125 and b"\ncompose.yaml:2:14: variable IMAGE is needed" in refused.stderr
    (shop / "compose.yaml").write_text(text.replace("depends_on: [c]", "imge: x"))
    assert alpine("check", cwd=shop).code == 1, "a mistake of the file itself stays one"


def test_keys_are_passed_over_by_name(alpine: Command, shop: pathlib.Path) -> None:
    text = (
        "services:\n"
        "  a: {image: alpine, command: echo hi, network_mode: none, storage_opt: {size: 1G}, "
        "logging: {driver: syslog}}\n"
    )
    (shop / "compose.yaml").write_text(text)
    assert alpine("check", cwd=shop).code == 1
    done = alpine("up", "--ignore", "storage_opt,logging", cwd=shop)
    assert (done.code, done.stdout) == (0, b"a-1  | hi\n"), done
    assert b"warning: compose.yaml:2:60: ignored: storage_opt is not supported yet" in done.stderr
    (shop / "compose.yaml").write_text(f"{text}x-mydocker: {{ignore: [storage_opt]}}\n")
    done = alpine("check", cwd=shop)
    assert alpine("down", cwd=shop).code == 125
    assert alpine("down", "--ignore", "logging", cwd=shop).code == 0
    assert done.code == 1 and b"ignored: storage_opt" in done.stderr and b"log driver 'syslog' is not" in done.stderr
    assert alpine("check", "--ignore", "logging", cwd=shop).code == 0
