"""registries.conf: which tables match, what they rewrite, in which order the endpoints come."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.errors import ImageError
from mydocker.image.registry import registries_conf
from mydocker.image.registry.registries_conf import Endpoint
from mydocker.reference import Reference

DIGEST = "sha256:" + "a" * 64


def endpoints(conf: str, name: str, tmp_path: Path) -> list[str]:
    """The endpoints of image NAME under the file CONF, those that are insecure with a `!`."""
    path = tmp_path / "registries.conf"
    path.write_text(conf)
    environ = {"CONTAINERS_REGISTRIES_CONF": str(path)}
    found = registries_conf.endpoints(Reference.parse(name), environ=environ)
    return [f"{endpoint.host}/{endpoint.repository}{'!' * endpoint.insecure}" for endpoint in found]


@pytest.mark.parametrize(
    ("conf", "name", "expected"),
    [
        ("", "alpine", ["docker.io/library/alpine"]),
        ('[[registry]]\nlocation="other.io"\ninsecure=true', "alpine", ["docker.io/library/alpine"]),
        ('[[registry]]\nlocation="r.io"\ninsecure=true', "r.io/a/b:1", ["r.io/a/b!"]),
        ('\ufeff[[registry]]\r\nlocation="r.io"\r\ninsecure=true', "r.io/a/b:1", ["r.io/a/b!"]),
        ('[[registry]]\nlocation="r.io:5000"\ninsecure=true', "r.io/a", ["r.io/a"]),
        ('[[registry]]\nprefix="r.io/a"\nlocation="s.io:5/x/y"', "r.io/a/b", ["s.io:5/x/y/b"]),
        ('[[registry]]\nprefix="r.io/a"\nlocation="s.io/x"', "r.io/ab", ["r.io/ab"]),
        ('[[registry]]\nprefix="r.io/a/b:1"\nlocation="s.io/x"', "r.io/a/b:1", ["s.io/x"]),
        ('[[registry]]\nprefix="r.io/a/b:1"\nlocation="s.io/x"', "r.io/a/b:10", ["r.io/a/b"]),
        ('[[registry]]\nprefix="*.r.io"\ninsecure=true', "a.b.r.io/x", ["a.b.r.io/x!"]),
        ('[[registry]]\nprefix="*.r.io"\nlocation="m.net/r"', "a.r.io/x/y", ["m.net/r/x/y"]),
        ('[[registry]]\nprefix="*.r.io"\ninsecure=true', "r.io/x", ["r.io/x"]),
        (
            '[[registry]]\nlocation="docker.io"\n[[registry.mirror]]\nlocation="m1:5000"\ninsecure=true\n'
            '[[registry.mirror]]\nlocation="m2.io/hub"',
            "alpine",
            ["m1:5000/library/alpine!", "m2.io/hub/library/alpine", "docker.io/library/alpine"],
        ),
        (
            '[[registry]]\nprefix="r.io"\nblocked=true\n[[registry]]\nprefix="r.io/ok"\nlocation="r.io/ok"',
            "r.io/ok/a",
            ["r.io/ok/a"],
        ),
    ],
)
def test_rewriting(conf: str, name: str, expected: list[str], tmp_path: Path) -> None:
    assert endpoints(conf, name, tmp_path) == expected


@pytest.mark.parametrize(
    ("which", "name", "used"),
    [
        ("all", "r.io/a:1", True),
        ("digest-only", "r.io/a:1", False),
        ("digest-only", f"r.io/a@{DIGEST}", True),
        ("tag-only", "r.io/a:1", True),
        ("tag-only", f"r.io/a:1@{DIGEST}", False),
    ],
)
def test_mirrors_for_tags_or_digests(which: str, name: str, used: bool, tmp_path: Path) -> None:
    conf = f'[[registry]]\nlocation="r.io"\n[[registry.mirror]]\nlocation="m.io"\npull-from-mirror="{which}"'
    assert endpoints(conf, name, tmp_path) == (["m.io/a", "r.io/a"] if used else ["r.io/a"])


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ("[[registry", "registries.conf: "),
        ('[[registry]]\nlocation="r.io"\nblocked=true', "blocked by .*registries.conf"),
        ("[[registry]]\ninsecure=true", "neither prefix nor location"),
        ('registry="r.io"', "array of tables"),
        ('[[registry]]\nlocation="x.io"\ninsecure="yes"', "insecure must be true or false"),
        ('[[registry]]\nlocation=["x.io"]', "location must be a string"),
        ('[[registry]]\nlocation="x.io"\n[[registry.mirror]]\ninsecure=true', "no location"),
        ('[[registry]]\nlocation="x.io"\n[[registry.mirror]]\nlocation="m"\npull-from-mirror="no"', "is one of all"),
        ('[[registry]]\nlocation="me:s3cret@x.io"', "no user name or password"),
        ('[[registry]]\nprefix="x.io"\nlocation="https://me:s3cret@x.io/y"', "no user name or password"),
        ('[[registry]]\nlocation="x.io"\n[[registry.mirror]]\nlocation="me:s3cret@m"', "no user name or password"),
        ('[registries.insecure]\nregistries=["x.io"]', "version 1"),
        ("a=" + "[" * 200_000, "registries.conf: "),
    ],
    ids=lambda value: value[:60],
)
def test_errors_name_the_file_or_the_image(conf: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        endpoints(conf, "r.io/a", tmp_path)
    assert "s3cret" not in str(caught.value)


def _table(prefix: str, location: str) -> str:
    return f'[[registry]]\nprefix="{prefix}"\nlocation="{location}"\n'


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The file of the system and that of the user, neither of which is there; their directories are."""
    system, user = tmp_path / "etc" / "registries.conf", tmp_path / "config" / "containers" / "registries.conf"
    for path in (system, user):
        path.with_name("registries.conf.d").mkdir(parents=True)
    monkeypatch.setattr(registries_conf, "_SYSTEM", str(system))
    return system, user


def _moved(user: Path, name: str, **environ: str) -> str:
    """The host that image NAME comes from."""
    environ = {"XDG_CONFIG_HOME": str(user.parent.parent), **environ}
    return registries_conf.endpoints(Reference.parse(name), environ=environ)[-1].host


@pytest.mark.parametrize("key", ["location", "prefix"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("http://r.io", "leave out 'http://' and set insecure = true"),
        ("https://r.io/x", "leave out 'https://'"),
        ("docker://r.io", "leave out 'docker://'"),
        ("r.io two", "'r.io two' is no name of a registry"),
        ("r.io\\u0007", "is no name of a registry"),
    ],
)
def test_what_is_no_location(key: str, value: str, words: str, tmp_path: Path) -> None:
    other = 'location = "r.io"\n' if key == "prefix" else ""
    (tmp_path / "r.conf").write_text(f'[[registry]]\n{other}{key} = "{value}"\n')
    with pytest.raises(ImageError) as caught:
        registries_conf.endpoints(
            Reference.parse("a"), environ={"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "r.conf")}
        )
    assert words in caught.value.message and "r.conf: " in caught.value.message


def test_later_files_replace_what_earlier_ones_say_of_a_prefix(places: tuple[Path, Path]) -> None:
    system, user = places
    files = [
        system,
        *(place.with_name("registries.conf.d") / name for place in places for name in ("a.conf", "b.conf")),
    ]
    for number, path in enumerate(files, 1):
        path.write_text(_table("r.io", f"host{number}") + _table(f"only{number}.io", f"own{number}"))
        assert _moved(user, "r.io/x") == f"host{number}"
    assert [_moved(user, f"only{n}.io/x") for n in (1, 2, 3, 4, 5)] == ["own1", "own2", "own3", "own4", "own5"]


def test_the_users_file_is_in_place_of_all_that_the_system_has(places: tuple[Path, Path]) -> None:
    system, user = places
    for path in (system, system.with_name("registries.conf.d") / "a.conf"):
        path.write_text(_table("r.io", "system"))
    assert _moved(user, "r.io/x") == "system"
    user.write_text("")
    assert _moved(user, "r.io/x") == "r.io"
    (user.with_name("registries.conf.d") / "a.conf").write_text(_table("r.io", "user"))
    assert _moved(user, "r.io/x") == "user"


def test_a_file_that_was_named_is_the_first_of_them(places: tuple[Path, Path], tmp_path: Path) -> None:
    system, user = places
    for path in places:
        path.write_text(_table("r.io", "unread"))
    named = tmp_path / "named"
    named.write_text(_table("r.io", "named") + _table("s.io", "named"))
    (system.with_name("registries.conf.d") / "a.conf").write_text(_table("s.io", "dropped"))
    found = [_moved(user, f"{host}/x", CONTAINERS_REGISTRIES_CONF=str(named)) for host in ("r.io", "s.io")]
    assert found == ["named", "dropped"]


def test_only_files_of_that_suffix_are_read(places: tuple[Path, Path]) -> None:
    directory = places[1].with_name("registries.conf.d")
    (directory / "a.conf.bak").write_text("[[registry")
    (directory / "d.conf").mkdir()
    (directory / "z.conf").write_text("[aliases]\nx = 'r.io/x'\n")
    assert _moved(places[1], "r.io/x") == "r.io"
    (directory / "wrong.conf").write_text("[[registry")
    with pytest.raises(ImageError, match="wrong.conf: "):
        _moved(places[1], "r.io/x")


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read"):
        environ = {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "none")}
        registries_conf.endpoints(Reference.parse("a"), environ=environ)


def test_an_endpoint_is_secure_unless_said_otherwise() -> None:
    assert not Endpoint(host="r.io", repository="a").insecure
