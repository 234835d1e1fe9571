"""Containers on disk: what is read is what was written, by other versions of mydocker too."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from mydocker import errors
from mydocker.errors import StoreError, UsageError
from mydocker.image.store import Store
from mydocker.services.containers import Container, ContainerConfig, ContainerState, directory
from mydocker.services.containers.find import find
from mydocker.specs.argv import parse_run
from mydocker.specs.model import ContainerSpec

ID = "0123456789ab" + "c" * 52
OTHER = "fedcba987654" + "d" * 52


@pytest.fixture
def opened(tmp_path: pathlib.Path) -> Store:
    return Store.open({"MYDOCKER_ROOT": str(tmp_path / "store")})


def config(id_: str = ID, name: str = "web", **fields: object) -> ContainerConfig:
    return ContainerConfig(id=id_, name=name, created=1.5, spec=ContainerSpec(), image="alpine").replace(**fields)


def put(store: Store, **fields: object) -> Container:
    os.makedirs(store.root, exist_ok=True)
    return directory.create(store, config(**fields))  # type: ignore[arg-type]  # those of a config


COMMAND_LINE = """
    -d -i -t --name web -h host --domainname d -u 1:2 --group-add 3 -w /w -e A=b --env-file ENV -l a=b
    --entrypoint sh -v /tmp:/a:ro -v data:/b -v /c --tmpfs /d:size=1m --mount type=bind,src=/tmp,dst=/e
    -p 127.0.0.1:8080:80 -p 53/udp --expose 90 --network bridge --dns 1.1.1.1 --add-host a:1.2.3.4 --ip 10.88.0.9
    --restart on-failure:3 --stop-signal USR1 --stop-timeout 3 -m 64m --cpus 1.5 --pids-limit 9 --ulimit nofile=9:10
    --cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges --sysctl net.core.somaxconn=9
    --read-only --init --shm-size 1m --log-driver local --log-opt max-size=1m --device /dev/null
    alpine sh -c true
"""


def test_every_part_of_a_spec_comes_back(opened: Store, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ENV").write_text("X=y\n")
    argv = COMMAND_LINE.replace("ENV", str(tmp_path / "ENV")).split()
    spec = parse_run(argv, environ={}, cwd="/").spec
    container = put(opened, spec=spec, command=("a\udcff", "b\x1b"), labels={"k": "v"}, ports=("80/tcp",))
    assert directory.read(container.directory).config == container.config
    assert container.config.spec == spec and container.config.command == ("a\udcff", "b\x1b")


def kinds() -> list[type]:
    return [each for name, each in sorted(directory._known().items()) if each.__module__.startswith("mydocker.specs")]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_record_of_a_spec_has_a_form(kind: type) -> None:
    """With each of its fields set to something else than the default."""
    from mydocker.specs import as_json

    values: dict[str, object] = {}
    for name in kind.fields:  # type: ignore[attr-defined]  # a Record
        default = getattr(kind, name, None)
        values[name] = (
            not default
            if isinstance(default, bool)
            else default + 7
            if isinstance(default, (int, float))
            else ("a", ("b", 1))
            if isinstance(default, tuple)
            else {"k": ("v", None)}
            if isinstance(default, dict)
            else "text \udcff"
        )
    record = kind(**values)
    assert as_json.loads(as_json.dumps(record), kind, known=directory._known()) == record


STATE = ContainerState(
    status="exited", pid=3, keeper=4, started=1.25, finished=2.5, exit_code=137, oom_killed=True, error="é\n",
    restarts=2, stopped=True, health="unhealthy", failing=3, health_output="x", addresses={"a": "10.0.0.1"},
    ports=("80:80/tcp",), lost=5,
)  # fmt: skip


def test_a_state_comes_back_and_is_overwritten_in_place(opened: Store) -> None:
    container = put(opened)
    path = pathlib.Path(container.directory, "state")
    before = path.stat()
    longer = (STATE.replace(error="} " * 450, health_output="} " * count) for count in range(200, 450, 3))  # than most
    for state in (STATE, ContainerState(), STATE.replace(error="x" * 100), *longer):
        directory.write_state(container.directory, state)
        expected = state.replace(status=state.status)
        assert directory.read(container.directory).state == expected
        assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, directory.STATE_SIZE)


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\udcff", "\0", '"'])
def test_a_text_that_is_too_long_is_cut(opened: Store, letter: str) -> None:
    container = put(opened)
    many = tuple(f"127.0.0.1:{number}:{number}/tcp" for number in range(40000, 40300))
    state = STATE.replace(error=letter * 100_000, health_output=letter * 100_000, ports=many)
    directory.write_state(container.directory, state)
    found = directory.read(container.directory).state
    assert found.error and state.error.startswith(found.error) and found.ports == many
    assert (found.status, found.exit_code, found.health) == ("exited", 137, "unhealthy")
    assert os.path.getsize(f"{container.directory}/state") == directory.STATE_SIZE


def test_more_ports_than_fit_are_left_out(opened: Store) -> None:
    container = put(opened)
    many = tuple(f"127.0.0.1:{number}:{number}/tcp" for number in range(20000, 40000))
    directory.write_state(container.directory, STATE.replace(ports=many))
    assert directory.read(container.directory).state == STATE.replace(
        ports=(), addresses={}, error="", health_output=""
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", ContainerState()),
        ('{"status": "exited", "later": {"a": 1}}', ContainerState(status="exited")),
        ('{"status": "exited", "exit_code": "x", "ports": "y", "addresses": []}', ContainerState(status="exited")),
        (
            '{"status": "exited", "started": 3, "exit_code": 4.0}',
            ContainerState(status="exited", started=3.0, exit_code=4),
        ),
    ],
)
def test_the_state_of_another_version(opened: Store, written: str, expected: ContainerState) -> None:
    container = put(opened)
    pathlib.Path(container.directory, "state").write_text(written)
    assert directory.read(container.directory).state == expected


@pytest.mark.parametrize("status", ["running", "paused", "restarting"])
def test_one_that_seems_to_run_after_a_reboot_was_killed(opened: Store, status: str) -> None:
    container = put(opened)
    directory.write_state(container.directory, STATE.replace(status=status, exit_code=0, error=""))
    [found] = directory.listed(opened)
    assert (found.state.status, found.state.exit_code, found.state.pid, found.state.ports) == ("exited", 137, 0, ())
    lock = directory.lock_keeper(container.directory)
    assert lock is not None and directory.read(container.directory).state.status == status
    assert directory.lock_keeper(container.directory) is None
    os.close(lock)


def test_one_to_be_removed_is_removed_when_it_is_found_dead(opened: Store) -> None:
    container = put(opened, auto_remove=True)
    assert len(directory.listed(opened)) == 1  # it has not run yet
    directory.write_state(container.directory, STATE.replace(status="running"))
    with directory.changing(container.directory):  # somebody starts it again
        assert directory.listed(opened) == [] and os.path.exists(container.directory)
    assert directory.listed(opened) == [] and not os.path.exists(container.directory)


def test_what_killed_commands_have_left_behind_goes(opened: Store) -> None:
    put(opened)
    left = pathlib.Path(opened.background, f".{OTHER[:12]}")
    (left / "scratch").mkdir(parents=True)
    held = directory._lock_directory(str(left))
    put(opened, id_="1" * 64, name="one")
    assert left.exists() and held is not None
    os.close(held)
    put(opened, id_="2" * 64, name="two")
    assert not left.exists()


def test_a_name_means_one_container(opened: Store) -> None:
    first = put(opened)
    with pytest.raises(UsageError, match="the name 'web' is in use by container 0123456789ab"):
        put(opened, id_=OTHER)
    assert [each.config.id for each in directory.listed(opened)] == [ID]
    with pytest.raises(UsageError, match="in use"), directory.reserving(opened, "web", OTHER):
        raise AssertionError
    directory.remove(opened, first)
    with directory.reserving(opened, "web", OTHER):
        with pytest.raises(UsageError, match="in use by container fedcba987654"):
            put(opened)
        assert directory.holder_of(opened, "web") == OTHER
    assert directory.holder_of(opened, "web") == ""
    put(opened)


def test_references(opened: Store) -> None:
    put(opened)
    put(opened, id_=OTHER, name="0123")
    expected = {"web": ID, "/web": ID, ID: ID, ID[:12]: ID, "01234": ID, "0123": OTHER, "f": OTHER, OTHER[:40]: OTHER}
    assert {text: find(opened, text).config.id for text in expected} == expected  # type: ignore[union-attr]
    for text in ("we", "nothing", ID[:12] + "0", ID + "0"):
        with pytest.raises(errors.LaunchError, match="no such container"):
            find(opened, text)
    put(opened, id_="0123456789ff" + "0" * 52, name="third")
    with pytest.raises(UsageError, match="several containers"):
        find(opened, "012345")


def test_changing_what_is_gone(opened: Store) -> None:
    container = put(opened)
    directory.remove(opened, container)
    with pytest.raises(StoreError, match="has been removed"), directory.changing(container.directory):
        raise AssertionError
    directory.remove(opened, container)


def test_a_damaged_one_keeps_its_name(opened: Store) -> None:
    container = put(opened)
    pathlib.Path(container.directory, "config.json").write_text(json.dumps({"": "ContainerConfig", "later": 1}))
    [found] = directory.listed(opened)
    assert (found.state.status, found.config.name, found.is_alive) == ("dead", "web", False)
    assert directory.holder_of(opened, "web") == ID
    directory.remove(opened, found)
    assert directory.holder_of(opened, "web") == "" and not os.path.lexists(f"{opened.background}/names/web")


def test_names_of_killed_commands_go_with_the_next_one_that_is_taken(opened: Store) -> None:
    put(opened)
    names = pathlib.Path(opened.background, "names")
    (names / "gone").symlink_to(OTHER)
    (names / f".{OTHER[:12]}").touch()
    directory.take_name(opened, "new", ID)
    assert sorted(path.name for path in names.iterdir()) == [".lock", "new", "web"]
