"""registries.conf: which tables match, what they rewrite, in which order the endpoints come."""

from __future__ import annotations

from pathlib import Path

import pytest

from mydocker.errors import ImageError
from mydocker.image import registriesconf
from mydocker.image.registriesconf import Endpoint
from mydocker.reference import Reference

DIGEST = "sha256:" + "a" * 64


def endpoints(conf: str, name: str, tmp_path: Path) -> list[str]:
    """The endpoints of image NAME under the file CONF, those that are insecure with a `!`."""
    path = tmp_path / "registries.conf"
    path.write_text(conf)
    environ = {"CONTAINERS_REGISTRIES_CONF": str(path)}
    found = registriesconf.endpoints(Reference.parse(name), environ=environ)
    return [f"{endpoint.host}/{endpoint.repository}{'!' * endpoint.insecure}" for endpoint in found]


@pytest.mark.parametrize(
    ("conf", "name", "expected"),
    [
        ("", "alpine", ["docker.io/library/alpine"]),
        ('[[registry]]\nlocation="other.io"\ninsecure=true', "alpine", ["docker.io/library/alpine"]),
        ('[[registry]]\nlocation="r.io"\ninsecure=true', "r.io/a/b:1", ["r.io/a/b!"]),
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
        ('[registries.insecure]\nregistries=["x.io"]', "version 1"),
        ("a=" + "[" * 200_000, "registries.conf: "),
    ],
    ids=lambda value: value[:60],
)
def test_errors_name_the_file_or_the_image(conf: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=reason):
        endpoints(conf, "r.io/a", tmp_path)


def test_the_users_file_comes_before_the_systems(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    path = tmp_path / "containers/registries.conf"
    path.write_text("")
    assert registriesconf.find({"XDG_CONFIG_HOME": str(tmp_path)}) == str(path)
    assert registriesconf.find({"XDG_CONFIG_HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": "/x"}) == "/x"


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read"):
        environ = {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "none")}
        registriesconf.endpoints(Reference.parse("a"), environ=environ)


def test_an_endpoint_is_secure_unless_said_otherwise() -> None:
    assert not Endpoint(host="r.io", repository="a").insecure
