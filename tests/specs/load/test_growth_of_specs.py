"""What large files cost: ten times as much for ten times the size, and names that all know are kept once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from lab.counting import growth

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import select
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.docker_run import MOST_NAMES, docker_lines
from mydocker.specs.render.normal_form import normal_form

SMALL = 30
TEN_TIMES = 15.0  # in calls: what is linear has less, what is quadratic a hundred


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _services(text: Callable[[int], str], top: Callable[[int], str] = lambda number: "") -> Callable[[int], str]:
    """A Compose file of a size: a service with TEXT for each number, and after them a line of TOP for each."""

    def written(size: int) -> str:
        services = [f"  s{number}: {{image: a, {text(number)}}}\n" for number in range(size)]
        return "".join(["services:\n", *services, *(top(number) for number in range(size))])

    return written


def _volumes(size: int) -> str:
    return "".join(f"  v{number}: {{}}\n" for number in range(size))


def _matrix(size: int) -> str:
    return f"matrix: {{V: [{', '.join(map(str, range(size)))}]}}\n"


FILES: dict[str, Callable[[int], str]] = {
    "services": _services(lambda number: "tty: false"),
    "services that say hosts": _services(lambda number: "extra_hosts: ['a:1.2.3.4']"),
    "services with aliases": _services(lambda number: f"networks: {{default: {{aliases: [a{number}]}}}}"),
    "services that need one": _services(lambda number: "depends_on: [s0]" if number else "tty: false"),
    "services that need many": _services(lambda number: f"depends_on: [s{number // 2}]" if number else "tty: false"),
    "services that extend one": _services(lambda number: "extends: s0" if number else "tty: false"),
    "names that are not declared": lambda size: (
        _services(lambda number: f"volumes: ['v{number}x:/x']")(size) + "volumes:\n" + _volumes(size)
    ),
    "names that nothing has": _services(lambda number: f"depends_on: [s{number}x]"),
    "bases that are not there": _services(lambda number: f"extends: s{number}x"),
    "needs that need not be": lambda size: "---\n".join(
        ["name: d\nimage: a\ndepends_on: {x: {condition: service_started, required: false}}\n"] * size
    ),
    "a matrix that needs another": lambda size: (
        f"name: x\nimage: a\n{_matrix(size)}---\nname: y\nimage: a\ndepends_on: [x]\n{_matrix(size)}"
    ),
    "volumes of one container": lambda size: (
        "image: a\nvolumes:\n" + "".join(f"- /v{number}:/x{number // 2}\n" for number in range(size))
    ),
    "unknown keys": lambda size: "image: a\n" + "".join(f"key{number}: x\n" for number in range(size)),
}


def _load_and_print(text: str) -> None:
    Path("many.yaml").write_text(text)
    with contextlib.suppress(SpecError):
        specs = select(load_files(["many.yaml"], environ={}), frozenset())
        write_documents([normal_form(spec) for spec in specs])
        "\n".join(docker_lines(specs))


@pytest.mark.parametrize("name", FILES)
def test_ten_times_the_size_is_ten_times_the_work(name: str) -> None:
    assert growth(lambda size: _load_and_print(FILES[name](size)), SMALL, 10) < TEN_TIMES


MANY = {  # what each of many files says
    "alone": "image: a\n",
    "extended": "extends: base.yaml\ncommand: x\n",
    "wrong": "image: a\nnonesuch: 1\n",
    "units": "[Unit]\nRequires=unit{next}.service\n[Container]\nImage=a\n",
}


def _load_many(text: str, size: int) -> None:
    suffix = "container" if text.startswith("[") else "yaml"
    names = [f"unit{number}.{suffix}" for number in range(size)]
    for number, name in enumerate(names):
        Path(name).write_text(text.replace("{next}", str((number + 1) % size)))
    with contextlib.suppress(SpecError):
        load_files(names, environ={})


@pytest.mark.parametrize("kind", MANY)
def test_ten_times_as_many_files_are_ten_times_the_work(kind: str) -> None:
    """Nearly to the call: of what is done for each file, what is quadratic would be a small part as yet."""
    Path("base.yaml").write_text("image: a\n")
    assert growth(lambda size: _load_many(MANY[kind], size), SMALL, 10) < 10.3


def test_a_long_chain_is_refused_in_time_that_grows_with_it() -> None:
    chain = _services(lambda number: f"depends_on: [s{number - 1}]" if number else "tty: false")
    assert growth(lambda size: _load_and_print(chain(size)), 150, 10) < TEN_TIMES


def test_the_names_of_all_services_are_kept_once() -> None:
    Path("many.yaml").write_text(FILES["services"](SMALL))
    specs = load_files(["many.yaml"], environ={})
    assert len({id(spec.container.aliases and spec.container.aliases.known) for spec in specs}) == 1
    assert all(dict(spec.container.hosts) == {f"s{number}": "127.0.0.1" for number in range(SMALL)} for spec in specs)


def test_what_is_printed_of_a_service_does_not_name_all_others() -> None:
    Path("many.yaml").write_text(FILES["services"](SMALL))
    [first, *_] = load_files(["many.yaml"], environ={})
    assert normal_form(first)["aliases"] == ["s0"]


@pytest.mark.parametrize(("size", "written"), [(2, 4), (MOST_NAMES, MOST_NAMES**2), (MOST_NAMES + 1, MOST_NAMES + 1)])
def test_many_names_are_explained_once(size: int, written: int) -> None:
    """Where they share the host's network, and so Docker has no names for them."""
    Path("many.yaml").write_text(_on_host(size, lambda number: "extra_hosts: ['s0:1.2.3.4']" if number else ""))
    lines = "\n".join(docker_lines(load_files(["many.yaml"], environ={})))
    own = size - 1
    assert lines.count(":127.0.0.1") + own * (size <= MOST_NAMES) == written
    assert lines.count("--add-host s0:1.2.3.4") == own
    assert lines.count("set -- --add-host s0:127.0.0.1 --add-host s1:127.0.0.1 ") == (size > MOST_NAMES)
    assert lines.count('--network host --add-host s0:1.2.3.4 "$@" a:latest') == own * (size > MOST_NAMES)


def _on_host(size: int, text: Callable[[int], str]) -> str:
    documents = (
        f"name: s{number}\nimage: a\nnetwork_mode: host\naliases: [s{number}]\n{text(number)}\n"
        for number in range(size)
    )
    return "---\n".join(documents)


def test_each_file_has_names_of_its_own() -> None:
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(_on_host(MOST_NAMES + 1, lambda number: "").replace("[s", f"[{name}"))
    lines = list(docker_lines(load_files(["one.yaml", "two.yaml"], environ={})))
    [one, two] = [line for line in lines if line.startswith("set --")]
    assert "two0:" in two and "two0:" not in one and "one0:" not in two
    assert lines.index(two) == 2 + MOST_NAMES + 1 + 1
