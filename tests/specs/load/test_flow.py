"""What a spec says about when it runs, among others: dependencies, health, profiles, restarts."""

from __future__ import annotations

import pathlib

import pytest

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.load.profiles import active_profiles, select
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.dependencies import links
from mydocker.specs.model.parts import Healthcheck, RestartPolicy


def _load(directory: pathlib.Path, *texts: str) -> list[CaseSpec]:
    """The specs of files 1.yaml, 2.yaml, …"""
    for number, text in enumerate(texts, start=1):
        (directory / f"{number}.yaml").write_text(text)
    return load_files([str(directory / f"{number}.yaml") for number in range(1, len(texts) + 1)], environ={})


def _problems(directory: pathlib.Path, *texts: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        _load(directory, *texts)
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("{test: 'curl -f x || exit 1'}", Healthcheck(test=("CMD-SHELL", "curl -f x || exit 1"))),
        ("{test: [CMD, curl, -f, x]}", Healthcheck(test=("CMD", "curl", "-f", "x"))),
        ("{test: [CMD-SHELL, 'a b']}", Healthcheck(test=("CMD-SHELL", "a b"))),
        ("{test: [NONE]}", Healthcheck(test=("NONE",))),
        ("{disable: true}", Healthcheck(test=("NONE",))),
        ("{test: [CMD, a], disable: true}", Healthcheck(test=("NONE",))),
        ("{test: [CMD-SHELL, a, b]}", Healthcheck(test=("CMD-SHELL", "a", "b"))),
        ("{disable: false}", Healthcheck()),
        ("{test: []}", Healthcheck()),
        ("{interval: 1m30s, timeout: 2, start_period: 500ms, start_interval: 1s, retries: 4}",
         Healthcheck(interval=90.0, timeout=2.0, start_period=0.5, start_interval=1.0, retries=4)),
        ("{interval: 0, retries: 0}", Healthcheck()),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_health(tmp_path: pathlib.Path, yaml: str, expected: Healthcheck) -> None:
    [spec] = _load(tmp_path, f"image: x\nhealthcheck: {yaml}\n")
    assert spec.container.healthcheck == expected


def test_what_a_healthcheck_does_not_say_is_the_others() -> None:
    image = Healthcheck(test=("CMD", "a"), interval=5.0, retries=2)
    assert Healthcheck(interval=9.0).over(image) == Healthcheck(test=("CMD", "a"), interval=9.0, retries=2)
    assert Healthcheck(test=("NONE",)).over(image).test == ("NONE",)


def test_an_unknown_name_is_reported_with_other_mistakes(tmp_path: pathlib.Path) -> None:
    """Whether they are in the same container or in another; what cannot be read has its name all the same."""
    web, db = _spec("web", "depends_on: [db, dc], comand: x"), _spec("db", "imag: y")
    found = _problems(tmp_path, "---\n".join([web, db, _spec("app", "depends_on: [webb, db]")]))
    assert found[2:] == [
        "1.yaml:1:40: there is no container called 'dc'",
        "1.yaml:5:36: there is no container called 'webb'; did you mean 'web'?",
    ]
    assert ["unknown key" in line for line in found] == [True, True, False, False]


def test_how_long_is_waited_unless_said(tmp_path: pathlib.Path) -> None:
    """For what is there only while the container runs; outputs and files are else looked at when it has ended."""
    for expect, within in [
        ("{ports: {80: listening}}", 10.0),
        ("{process: {x: absent}}", 10.0),
        ("{http: {'http://a/': {status: 200}}}", 10.0),
        ("{ports: {80: closed}, within: 2s}", 2.0),
        ("{stdout: [a], files: [{path: /x}]}", None),
    ]:
        [spec] = _load(tmp_path, f"image: x\nexpect: {expect}\n")
        assert spec.expect and spec.expect.within == within


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        *((text, None) for text in ("no", "'no'", "false", "''", "null", "{condition: none}")),
        *((text, RestartPolicy(name=text)) for text in ("always", "unless-stopped", "on-failure")),
        ("on-failure:3", RestartPolicy(name="on-failure", attempts=3)),
        ("on-failure:0", RestartPolicy(name="on-failure")),
        ("{condition: any}", RestartPolicy(name="always")),
        ("{max_attempts: 2}", RestartPolicy(name="always", attempts=2)),
        (
            "{condition: on-failure, max_attempts: 3, delay: 5s, window: 1m}",
            RestartPolicy(name="on-failure", attempts=3, delay=5.0, window=60.0),
        ),
    ],
)
def test_restart(tmp_path: pathlib.Path, policy: str, expected: RestartPolicy | None) -> None:
    assert _load(tmp_path, f"image: x\nrestart: {policy}\n")[0].container.restart == expected


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("healthcheck: curl", "1.yaml:2:14: expected a mapping with test, interval"),
        ("healthcheck: {test: ['']}", "1.yaml:2:21: expected a list that begins with NONE or CMD or CMD-SHELL"),
        ("healthcheck: {test: [curl, x]}", "1.yaml:2:21: expected a list that begins with"),
        ("healthcheck: {test: [CMD]}", "1.yaml:2:21: CMD needs a command"),
        ("healthcheck: {test: [CMD-SHELL]}", "1.yaml:2:21: CMD-SHELL needs a command"),
        ("healthcheck: {test: [NONE, a]}", "1.yaml:2:21: NONE takes nothing"),
        ("healthcheck: {interval: soon}", "1.yaml:2:25: duration 'soon'"),
        ("healthcheck: {retries: many}", "1.yaml:2:24: 'many': expected a number of retries"),
        ("healthcheck: {intervall: 1s}", "1.yaml:2:15: unknown key 'intervall'; did you mean 'interval'?"),
        ("restart: always:3", "1.yaml:2:10: restart 'always:3': only on-failure takes a number of attempts"),
        ("restart: {condition: sometimes}", "1.yaml:2:22: 'sometimes': expected none, on-failure or any"),
        ("restart: {condition: any, max_attempts: x}", "1.yaml:2:41: 'x': expected a number of attempts"),
        ("restart: {condition: any, delay: soon}", "1.yaml:2:34: duration 'soon'"),
        ("restart: {attempts: 1}", "1.yaml:2:11: unknown key 'attempts'; did you mean 'max_attempts'?"),
        ("restart: on-failure:x", "1.yaml:2:10: restart 'on-failure:x': expected no, always, unless-stopped or on-"),
        ("restart: on-fail", "1.yaml:2:10: restart 'on-fail': expected no"),
        ("profiles: debug", "1.yaml:2:11: expected a list of profiles"),
        ("profiles: ['a b']", "1.yaml:2:12: profile 'a b'"),
        ("depends_on: db", "1.yaml:2:13: expected a list of names"),
        ("depends_on: [db]", "1.yaml:2:14: there is no container called 'db'"),
        ("depends_on: {db: service_started}", "1.yaml:2:18: expected a mapping with a condition"),
        (
            "depends_on: {db: {condition: healthy}}",
            "1.yaml:2:30: 'healthy': expected service_started, service_healthy, ",
        ),
        ("depends_on: {db: {condition: service_started, restart: x}}", "1.yaml:2:56: expected true or false, not 'x'"),
        ("name: a\ndepends_on: [a]", "1.yaml:3:14: a circle: a -> a"),
    ],
)
def test_a_mistake_has_its_place(tmp_path: pathlib.Path, yaml: str, problem: str) -> None:
    [found] = _problems(tmp_path, f"image: x\n{yaml}\n")
    assert found.startswith(problem)


def _spec(name: str, more: str = "") -> str:
    return f"{{name: {name}, image: x{more and ', '}{more}}}\n"


def _of(directory: pathlib.Path, *texts: str) -> list[tuple[int, ...]]:
    return [tuple(link.on for link in own) for own in links(_load(directory, *texts))]


def test_names_are_found_in_the_same_file_and_then_in_the_others(tmp_path: pathlib.Path) -> None:
    one = "---\n".join([_spec("web", "depends_on: [db, cache]"), _spec("db")])
    two = "---\n".join([_spec("db"), _spec("cache"), _spec("x", "depends_on: {db: {condition: service_healthy}}")])
    assert _of(tmp_path, one, two) == [(1, 3), (), (), (), (2,)]


def test_a_dependency_that_is_not_required_may_be_missing(tmp_path: pathlib.Path) -> None:
    assert _of(tmp_path, _spec("a", "depends_on: {b: {condition: service_started, required: false}}")) == [()]


def test_a_matrix_has_a_limit(tmp_path: pathlib.Path) -> None:
    ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
    assert len(_load(tmp_path, f"image: x\nmatrix: {{A: {ten}, B: {ten}, C: {ten}}}\n")) == 1000
    more = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]"  # 7 * 11 * 13 is 1001
    text = f"image: x\nmatrix: {{A: {more}, B: [0, 1, 2, 3, 4, 5, 6], C: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}}\n"
    assert _problems(tmp_path, text) == ["1.yaml:2:9: more than 1000 combinations"]


def test_a_matrix_depends_on_its_own_variant(tmp_path: pathlib.Path) -> None:
    variants = "matrix: {V: [1, 2]}"
    both = "---\n".join([_spec("db", variants), _spec("web", f"{variants}, depends_on: [db]")])
    assert _of(tmp_path, both) == [(), (), (0,), (1,)]
    [problem] = _problems(tmp_path, "---\n".join([_spec("db", variants), _spec("web", "depends_on: [db]")]))
    assert problem == "1.yaml:3:36: there are 2 containers called 'db'"


def test_all_unknown_names_come_at_once_and_a_circle_names_its_way(tmp_path: pathlib.Path) -> None:
    text = "---\n".join([_spec("web", "depends_on: [dbb, cache]"), _spec("db", "depends_on: [nonesuch]")])
    assert _problems(tmp_path, text) == [
        "1.yaml:1:36: there is no container called 'dbb'; did you mean 'db'?",
        "1.yaml:1:41: there is no container called 'cache'",
        "1.yaml:3:35: there is no container called 'nonesuch'",
    ]
    circle = [
        _spec("z"),
        _spec("a", "depends_on: [z, b]"),
        _spec("b", "depends_on: [c]"),
        _spec("c", "depends_on: [a]"),
    ]
    assert _problems(tmp_path, "---\n".join(circle)) == ["1.yaml:7:34: a circle: a -> b -> c -> a"]


def test_a_diamond_is_no_circle(tmp_path: pathlib.Path) -> None:
    specs = [_spec("a", "depends_on: [b, c]"), _spec("b", "depends_on: [d]"), _spec("c", "depends_on: [d]"), _spec("d")]
    assert _of(tmp_path, "---\n".join(specs)) == [(1, 2), (3,), (3,), ()]


PROFILED = "---\n".join([_spec("a"), _spec("b", "profiles: [debug, x]"), _spec("c", "profiles: [slow]")])


@pytest.mark.parametrize(
    ("given", "variable", "names"),
    [
        ([], "", ["a"]),
        (["debug"], "", ["a", "b"]),
        (["x,slow"], "", ["a", "b", "c"]),
        (["x"], " slow, ", ["a", "b", "c"]),
        (["nonesuch"], "", ["a"]),
        (["*"], "", ["a", "b", "c"]),
    ],
)
def test_profiles(tmp_path: pathlib.Path, given: list[str], variable: str, names: list[str]) -> None:
    active = active_profiles(given, {"COMPOSE_PROFILES": variable})
    assert [spec.name for spec in select(_load(tmp_path, PROFILED), active)] == names


def test_what_depends_on_an_absent_profile(tmp_path: pathlib.Path) -> None:
    needed, loose = "depends_on: [b]", "depends_on: {b: {condition: service_started, required: false}}"
    specs = _load(tmp_path, "---\n".join([_spec("a", needed), _spec("b", "profiles: [debug]")]))
    with pytest.raises(SpecError) as caught:
        select(specs, frozenset())
    assert caught.value.problems == (f"{tmp_path}/1.yaml:1:34: 'b' takes part only with --profile debug",)
    assert len(select(specs, frozenset({"debug"}))) == 2
    [left] = select(_load(tmp_path, "---\n".join([_spec("a", loose), _spec("b", "profiles: [debug]")])), frozenset())
    assert left.depends_on == ()
