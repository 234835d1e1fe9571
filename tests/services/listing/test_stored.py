"""Containers read to be listed: the same ones as those that are read whole, and as much of them."""

from __future__ import annotations

import os
import pathlib
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.counting import growth

from mydocker.image.store import Store
from mydocker.services.containers import (
    DEAD,
    EXITED,
    Container,
    ContainerConfig,
    ContainerState,
    Listed,
    Summary,
    described,
    directory,
)
from mydocker.services.listing import rows, stored
from mydocker.specs.model import ContainerSpec


@pytest.fixture
def opened(tmp_path: pathlib.Path) -> Store:
    (tmp_path / "store").mkdir(mode=0o700)
    return Store.open({"MYDOCKER_ROOT": str(tmp_path / "store")})


def put(store: Store, number: int, **fields: object) -> Container:
    id_ = f"{number:012x}" + "c" * 52
    config = ContainerConfig(
        id=id_,
        name=f"web{number}",
        created=float(number),
        spec=ContainerSpec(network_mode="none"),
        image="alpine",
        command=("sleep", "it's"),
        labels={"a": "b"},
    )
    return directory.create(store, config.replace(**fields))


def _brief(container: Listed) -> tuple[str, Summary, ContainerState]:
    config = Summary(**{name: getattr(container.config, name) for name in Summary.fields})
    return container.directory, config, container.state


def test_a_list_has_what_is_read_whole(opened: Store) -> None:
    for number in range(3):
        put(opened, number)
    directory.write_state(f"{opened.background}/{1:012x}", ContainerState(status=EXITED, exit_code=3, finished=2.0))
    directory.write_state(f"{opened.background}/{2:012x}", ContainerState(status="running", pid=1, boot="another"))
    there, left, dead = stored.scan(opened, stored.summary)
    assert sorted(map(_brief, there), key=lambda each: each[1].created) == [
        _brief(container) for container in directory.listed(opened)
    ]
    assert [each.state.status for each in sorted(there, key=lambda each: each.config.created)] == [
        "created",
        EXITED,
        EXITED,  # its keeper is gone
    ]
    assert (left, dead) == ([], [])


def test_what_is_left_or_damaged_is_set_apart(opened: Store) -> None:
    put(opened, 1, auto_remove=True)
    directory.write_state(f"{opened.background}/{1:012x}", ContainerState(status=EXITED))
    put(opened, 2, owner="0 1 " + str(os.stat("/proc/self/ns/pid").st_ino))
    damaged = put(opened, 3)
    pathlib.Path(damaged.directory, "config.json").write_text("{")
    torn = put(opened, 4)
    pathlib.Path(torn.directory, "state").write_text('{"status": ' + " " * 100)
    whole = put(opened, 5)
    there, left, dead = stored.scan(opened, stored.summary)
    assert [each.config.title for each in there] == [whole.config.title]
    assert sorted(each.config.title for each in left) == ["web1", "web2"]
    assert sorted(each.config.title for each in dead) == ["web3", "web4"]
    assert {each.state.status for each in dead} == {DEAD} and all(each.state.error for each in dead)
    assert sorted(each.config.title for each in directory.listed(opened)) == ["web3", "web4", "web5"]
    assert not os.path.exists(f"{opened.background}/{1:012x}") and not os.path.exists(f"{opened.background}/{2:012x}")


def test_a_row_begins_with_what_a_list_has(opened: Store) -> None:
    container = put(opened, 7)
    listed = stored.summary(container.directory)
    for trunc in (True, False):
        whole = described.row(container, trunc=trunc)
        assert [*rows.brief(listed, trunc=trunc).items()] == [*whole.items()][:10]
        assert rows.brief(listed, ("Names", "ID"), trunc=trunc) == {"Names": whole["Names"], "ID": whole["ID"]}


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5)))
def test_words_are_quoted_as_for_a_shell(words: list[str]) -> None:
    assert rows._joined(words) == shlex.join(words)


def test_a_list_grows_with_the_containers_and_no_faster(tmp_path: pathlib.Path) -> None:
    def listed(count: int) -> None:
        store = stores[count]
        [rows.brief(container) for container in stored.scan(store, stored.summary)[0]]

    stores = {}
    for count in (5, 40):
        (tmp_path / str(count)).mkdir(mode=0o700)
        stores[count] = Store.open({"MYDOCKER_ROOT": str(tmp_path / str(count))})
        for number in range(count):
            put(stores[count], number)
    assert growth(listed, 5, 8) < 8.5
