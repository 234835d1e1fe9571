"""Short-name aliases: which names have one, which files say so, and what the commands make of them."""

from __future__ import annotations

import json
import pathlib
import tarfile

import pytest
from lab import busybox
from lab.command import Command
from lab.oci import layer
from lab.registry import Registry

from mydocker.errors import ImageError
from mydocker.image.registry import registries_conf, short_names
from mydocker.reference import Platform, Reference

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def system(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The machine's files, and none of them is there yet: its registries.conf, registries.conf.d, and root's cache."""
    (tmp_path / "etc" / "registries.conf.d").mkdir(parents=True)
    (tmp_path / "cache" / "containers").mkdir(parents=True)
    monkeypatch.setattr(registries_conf, "_SYSTEM", str(tmp_path / "etc" / "registries.conf"))
    monkeypatch.setattr(short_names, "_CACHE_OF_ROOT", str(tmp_path / "cache"))
    return tmp_path


def _meaning(name: str, system: pathlib.Path) -> str:
    environ = {"XDG_CONFIG_HOME": str(system / "config"), "XDG_CACHE_HOME": str(system / "cache")}
    return str(short_names.resolved(Reference.parse(name), environ=environ))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fedora", "r.io/x/fedora:latest"),
        ("fedora:39", "r.io/x/fedora:39"),
        (f"fedora@{DIGEST}", f"r.io/x/fedora@{DIGEST}"),
        (f"fedora:39@{DIGEST}", f"r.io/x/fedora:39@{DIGEST}"),
        ("opensuse/leap:15", "s.io:5000/leap:15"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("library/fedora", "docker.io/library/fedora:latest"),
        ("docker.io/fedora", "docker.io/library/fedora:latest"),
        ("index.docker.io/fedora", "docker.io/library/fedora:latest"),
        ("docker://fedora", "docker.io/library/fedora:latest"),
        ("localhost/fedora", "localhost/fedora:latest"),
        ("r.io/fedora", "r.io/fedora:latest"),
        ("leap", "docker.io/library/leap:latest"),
        ("busybox", "docker.io/library/busybox:latest"),
        ("gone", "docker.io/library/gone:latest"),
    ],
)
def test_what_a_name_means(name: str, expected: str, system: pathlib.Path) -> None:
    (system / "etc" / "registries.conf").write_text(
        'unqualified-search-registries = ["search.io"]\nshort-name-mode = "enforcing"\n[aliases]\n'
        'fedora = "r.io/x/fedora"\n"opensuse/leap" = "s.io:5000/leap"\nalpine = "docker.io/library/alpine"\n'
        'debian = "docker.io/debian"\ngone = ""\n'
    )
    assert _meaning(name, system) == expected


def test_later_files_replace_an_alias_or_cancel_it(system: pathlib.Path) -> None:
    files = ["etc/registries.conf", "etc/registries.conf.d/a.conf", "etc/registries.conf.d/b.conf"]
    for number, path in enumerate([*files, "cache/containers/short-name-aliases.conf"], 1):
        (system / path).write_text(f'[aliases]\nx = "r.io/x{number}"\nonly{number} = "r.io/only"\n')
        assert _meaning("x", system) == f"r.io/x{number}:latest"
    assert [_meaning(f"only{n}", system) for n in (1, 2, 3, 4)] == ["r.io/only:latest"] * 4
    (system / path).write_text('[aliases]\nx = ""\n')
    assert _meaning("x", system) == "docker.io/library/x:latest"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('aliases = "x"', "aliases must be a table"),
        ('[aliases]\nx = "y"', "alias 'x': expected a name with its registry"),
        ('[aliases]\nx = "library/y"', "alias 'x': expected a name with its registry"),
        ('[aliases]\nx = "r.io/y:1"', "alias 'r.io/y:1': a name in [aliases] has no tag"),
        (f'[aliases]\nx = "r.io/y@{DIGEST}"', "a name in [aliases] has no tag"),
        ('[aliases]\nx = "docker://r.io/y"', "a name in [aliases] has no tag, digest or scheme"),
        ('[aliases]\nx = "oci:/y"', "alias 'x': expected a name with its registry"),
        ('[aliases]\nx = "r.io/Y"', "alias 'r.io/Y': "),
        ("[aliases]\nx = 3", "alias 'x': expected a name with its registry, without tag and digest, not 3"),
        ('[aliases]\nx = ["r.io/y"]', "alias 'x': expected a name with its registry"),
        ('[aliases]\n"y:1" = "r.io/y"', "alias 'y:1': a name in [aliases] has no tag"),
        ('[aliases]\n"r.io/y" = "r.io/z"', "alias 'r.io/y': expected a short name"),
        ('[aliases]\n"localhost/y" = "r.io/z"', "alias 'localhost/y': expected a short name"),
        ('[aliases]\n"" = "r.io/z"', "alias ''"),
        ('[aliases]\nx = "r.io/a"\nx = "r.io/b"', "overwrite"),
        ("[aliases", "a.conf: "),
    ],
)
@pytest.mark.parametrize("path", ["etc/registries.conf.d/a.conf", "cache/containers/short-name-aliases.conf"])
def test_errors_name_the_file_and_the_entry(path: str, entry: str, words: str, system: pathlib.Path) -> None:
    (system / path).write_text(entry)
    with pytest.raises(ImageError) as caught:
        _meaning("x", system)
    assert words.replace("a.conf", pathlib.Path(path).name) in caught.value.message
    assert caught.value.message.startswith(f"{system / path}: ")
    assert _meaning("r.io/x", system) == "r.io/x:latest"


def test_names_that_mean_the_same_are_equal_however_they_were_written() -> None:
    short, full = Reference.parse("alpine:3"), Reference.parse("docker.io/library/alpine:3")
    assert (short.short_name, full.short_name) == ("alpine", "")
    assert short == full and hash(short) == hash(full) and short != full.replace(tag="4")


@pytest.fixture
def fedora(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> str:
    """An image of the registry that has the alias `fedora`; what Docker Hub has of that name is another one."""
    for repository, which in (("x/fedora", b"alias"), ("library/fedora", b"hub")):
        registry.push(busybox.alpine(layer({"etc/which": which})), repository)
    directory = tmp_path / "config" / "containers" / "registries.conf.d"
    directory.mkdir()
    (directory / "000-shortnames.conf").write_text(
        f'[aliases]\nfedora = "{registry.address}/x/fedora"\nalpine = "docker.io/library/alpine"\n'
    )
    return f"{registry.address}/x/fedora:latest"


def _which(mydocker: Command, *words: str) -> bytes:
    done = mydocker("run", *words, "cat", "/etc/which")
    assert done.code == 0, done
    return done.stdout


@pytest.mark.root
def test_run_and_pull_use_the_alias_and_say_so(mydocker: Command, fedora: str, tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "config/containers/registries.conf.d/000-shortnames.conf"
    lines = mydocker("pull", "fedora").stderr.decode().splitlines()
    assert lines[:2] == [f"fedora: an alias of {fedora} in {conf}", f"pulling {fedora}"]
    assert b"alias of" not in mydocker("pull", "alpine").stderr
    for words in (["fedora"], ["--offline", "fedora"], ["--pull", "always", "fedora"]):
        assert _which(mydocker, *words) == b"alias"
    assert mydocker("run", "fedora", "true").stderr == b""
    (tmp_path / "x.smoke.yaml").write_text("image: fedora\ncommand: cat /etc/which\nexpect: {stdout: alias}\n")
    assert mydocker("test", "x.smoke.yaml", cwd=tmp_path).code == 0
    missing = mydocker("run", "--offline", "fedora:39", "true")
    assert (
        f"image {fedora.removesuffix('latest')}39 for {Platform.host()} is not in the store".encode() in missing.stderr
    )
    assert b"x/fedora:39: not found in registry" in mydocker("pull", "fedora:39").stderr


@pytest.mark.root
def test_what_the_store_has_under_the_full_name_comes_first(mydocker: Command, fedora: str) -> None:
    assert _which(mydocker, "docker://fedora") == b"hub"
    assert _which(mydocker, "fedora") == b"hub"
    assert _which(mydocker, "--pull", "always", "fedora") == b"hub"
    assert mydocker("rmi", "docker.io/fedora").stdout.startswith(b"Untagged: fedora:latest\n")
    assert _which(mydocker, "fedora") == b"alias"


@pytest.mark.root
def test_the_other_commands_find_the_image(mydocker: Command, fedora: str, tmp_path: pathlib.Path) -> None:
    assert mydocker("pull", "-q", "fedora").code == 0
    described = json.loads(mydocker("inspect", "fedora").stdout)
    assert [image["RepoTags"] for image in described] == [[fedora]]
    assert mydocker("history", "fedora").code == 0
    assert mydocker("save", "-o", "a.tar", "fedora", cwd=tmp_path).code == 0
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert fedora.encode() in archive.extractfile("manifest.json").read()  # type: ignore[union-attr]
    assert mydocker("tag", "fedora", "team/other").code == 0
    pushed = mydocker("push", "--format", "json", "fedora")
    assert json.loads(pushed.stdout)[0]["name"] == fedora
    assert mydocker("rmi", "fedora").stdout == f"Untagged: {fedora}\n".encode()
    assert b"image fedora is not in the store" in mydocker("rmi", "fedora").stderr
    assert _which(mydocker, "--offline", "team/other") == b"alias"


@pytest.mark.root
def test_lock_files_have_the_full_name(mydocker: Command, fedora: str, tmp_path: pathlib.Path) -> None:
    """And mean the same to somebody without the alias, or whose alias is another one."""
    (tmp_path / "x.yaml").write_text("image: fedora\ncommand: cat /etc/which\n")
    assert mydocker("lock", "x.yaml", cwd=tmp_path).code == 0
    lock = tmp_path / "mydocker.lock"
    assert list(json.loads(lock.read_text())["images"]) == [fedora]
    assert mydocker("lock", "--check", "x.yaml", cwd=tmp_path).code == 0
    assert mydocker("up", "--frozen", "x.yaml", cwd=tmp_path).stdout == b"alias"
    assert mydocker("pull", "--frozen", "fedora", cwd=tmp_path).code == 0
    conf = tmp_path / "config/containers/registries.conf.d/000-shortnames.conf"
    entry = conf.read_text()
    conf.unlink()
    done = mydocker("up", "--frozen", "x.yaml", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 125) and b"image fedora:latest is not in the lock file" in done.stderr
    assert mydocker("lock", "x.yaml", cwd=tmp_path).code == 0
    conf.write_text(entry)
    assert list(json.loads(lock.read_text())["images"]) == ["docker.io/library/fedora:latest"]
    assert mydocker("up", "--frozen", "x.yaml", cwd=tmp_path).stdout == b"hub"


@pytest.mark.root
def test_what_podman_recorded_for_a_user(second_user: Command) -> None:
    cache = pathlib.Path(second_user.environment["HOME"]) / ".cache" / "containers"
    cache.mkdir(parents=True, exist_ok=True)  # the user is that of other tests too
    recorded = cache / "short-name-aliases.conf"
    recorded.write_text('[aliases]\n"team/app" = "r.io/team/app"\n')
    try:
        assert b"image r.io/team/app:latest for " in second_user("run", "--offline", "team/app").stderr
    finally:
        recorded.unlink()
