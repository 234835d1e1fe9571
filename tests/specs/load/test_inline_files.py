"""`configs` and `secrets`: what is read, of our files and of Compose's, and what a container sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab.command import Command

from mydocker.errors import SpecError
from mydocker.specs.load.load import load_files
from mydocker.specs.model import BindMount, FileMount, Mount

KEYS = "source, target, file, content, environment, podman, uid, gid, mode"
NONE = "2:11: expected one of file, content, environment, podman, which sets the content"
ENVIRON = {"TOKEN": "s3cret", "V": "v"}
VARIABLE = ("environment", "TOKEN")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.conf").write_bytes(b"listen 80\xff\n")
    return tmp_path


def _volumes(text: str) -> tuple[Mount, ...]:
    Path("a.yaml").write_text(text)
    (spec,) = load_files(["a.yaml"], environ=ENVIRON)
    return spec.container.volumes


def _file(target: str, content: str, **more: Any) -> FileMount:
    secret = target.startswith("/run/secrets") or target.endswith("key")
    return FileMount(target=target, read_only=True, content=content, secret=secret, **more)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("configs: [{source: a, content: 'x ${V} $$'}]", _file("/a", "x v $")),
        ("configs: [{source: a, target: etc/b, content: x}]", _file("/etc/b", "x")),
        ("configs: [{target: /etc/a, environment: TOKEN}]", _file("/etc/a", "s3cret", reference=VARIABLE)),
        ("secrets: [{source: a, environment: TOKEN}]", _file("/run/secrets/a", "s3cret", reference=VARIABLE)),
        ("secrets: [{source: a, target: b/c, content: ''}]", _file("/run/secrets/b/c", "")),
        ("secrets: [{source: a, target: /etc/key, content: x}]", _file("/etc/key", "x")),
        (
            "configs: [{source: a, content: x, uid: '5', gid: 6, mode: 0440}]",
            _file("/a", "x", uid=5, gid=6, mode=0o440),
        ),
        ("configs: [{source: a, file: ./app.conf}]", BindMount(source="HERE/app.conf", target="/a", read_only=True)),
        (
            "configs: [{source: a, file: app.conf, mode: '0400'}]",
            _file("/a", "listen 80\udcff\n", mode=0o400, reference=("file", "HERE/app.conf")),
        ),
    ],
)
def test_what_is_given(here: Path, text: str, volume: Mount) -> None:
    if isinstance(volume, BindMount):
        volume = volume.replace(source=volume.source.replace("HERE", str(here)))
    if isinstance(volume, FileMount) and volume.reference:
        volume = volume.replace(reference=(volume.reference[0], volume.reference[1].replace("HERE", str(here))))
    assert _volumes(f"image: a\n{text}") == (volume,)


def test_compose_defines_at_the_top_and_grants_to_services(here: Path) -> None:
    assert _volumes(
        "services:\n  web:\n    image: a\n    configs: [site, {source: site, target: /etc/x, mode: 0444}]\n"
        "    secrets: [{source: key, uid: '3'}, cert]\n"
        "configs: {site: {content: $V}}\nsecrets: {key: {environment: TOKEN}, cert: {file: ./app.conf, x-a: b}}\n"
    ) == (
        _file("/site", "v"),
        _file("/etc/x", "v"),
        _file("/run/secrets/key", "s3cret", uid=3, reference=VARIABLE),
        BindMount(source=str(here / "app.conf"), target="/run/secrets/cert", read_only=True),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: a\nconfigs: {a: b}", [f"2:10: expected a list of mappings with {KEYS}"]),
        ("image: a\nconfigs: [a]", [f"2:11: expected a mapping with {KEYS}"]),
        ("image: a\nconfigs: [{source: a}]", [NONE]),
        ("image: a\nconfigs: [{source: a, file: b, content: c}]",
         [NONE]),
        ("image: a\nsecrets: [{content: c}]", ["2:11: expected a target, or a source, which is its name"]),
        ("image: a\nconfigs: [{source: a, environment: NOPE}]", ["2:36: variable NOPE is needed and not set"]),
        ("image: a\nconfigs: [{source: a, contents: b}]",
         [NONE,
          "2:23: unknown key 'contents'; did you mean 'content'?"]),
        ("image: a\nconfigs: [{source: a, content: b, uid: root, mode: '9'}]",
         ["2:40: 'root': expected a number up to 2147483647",
          "2:52: mode '9': expected an octal number such as 1777 or 0755"]),
        ("image: a\nconfigs: [{source: a, content: b}]\ntmpfs: /a", ["2:1: two volumes have the target '/a'"]),
        ("services: {w: {image: a, configs: [b, {source: c, file: x}]}}\nconfigs: {bb: {content: x}}",
         ["1:36: 'b' is not declared under configs at the top of the file; did you mean 'bb'?",
          "1:48: 'c' is not declared under configs at the top of the file", "1:51: unknown key 'file'"]),
        ("services: {w: {image: a, secrets: [a]}}\nsecrets: {a: {external: true}}",
         ["1:36: 'a' has the key external, for files of a cluster, which is not supported: "
          "expected file, content, environment"]),
        ("services: {w: {image: a}}\nsecrets: {a: {external: true}, b: {filee: x}, c: }",
         ["2:36: unknown key 'filee'; did you mean 'file'?",
          "2:49: expected a mapping with one of file, content, environment"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_what_is_wrong_is_named_at_its_place(text: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        _volumes(text)
    assert [line.removeprefix("a.yaml:") for line in caught.value.problems] == expected


def test_a_file_that_is_too_large_or_missing(here: Path) -> None:
    (here / "large").write_bytes(b"x" * 600_000)
    for name, words in (("large", "is larger than 500 KiB"), ("gone", "no such file or directory")):
        with pytest.raises(SpecError, match=words):
            _volumes(f"image: a\nconfigs: [{{source: a, file: {name}, mode: '0400'}}]")


SEEN = """\
image: alpine
configs:
- {source: app, content: "one\\n"}
- {target: /bin/said, content: "#!/bin/sh\\necho run\\n", mode: "0555"}
- {source: conf, file: app.conf}
secrets: [{source: key, environment: TOKEN, mode: "0400", uid: 65534, gid: 65534}]
command: [sh, -c, "cat /app; said; cat /conf; stat -c '%a %u %g' /run/secrets/key; cat /run/secrets/key; echo;
  echo x > /app; echo x > /run/secrets/key; rm -f /app; cat /app"]
"""


@pytest.mark.root
@pytest.mark.parametrize("more", ["", "read_only: true"])
def test_a_container_sees_them_and_cannot_change_them(alpine: Command, here: Path, more: str) -> None:
    (here / "a.yaml").write_text(SEEN + more)
    done = alpine("up", "a.yaml", cwd=here, env={"TOKEN": "s3cret"})
    assert (done.stdout, done.code) == (b"one\nrun\nlisten 80\xff\n400 65534 65534\ns3cret\none\n", 0), done
    assert done.stderr.count(b"can't create") == 2 and b"can't remove '/app'" in done.stderr
    assert (here / "app.conf").read_bytes() == b"listen 80\xff\n"


@pytest.mark.root
def test_a_script_gives_the_same(alpine: Command, here: Path) -> None:
    (here / "a.yaml").write_text(SEEN)
    script = alpine("explain", "--shell", "a.yaml", cwd=here, env={"TOKEN": "s3cret"}).stdout.decode()
    secret = {"secret_key": "s3cret"}  # which the script does not hold
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=240, env={**os.environ, **secret})
    assert done.stdout == b"one\nrun\nlisten 80\xff\n400 65534 65534\ns3cret\none\n", done


@pytest.mark.rootless
def test_an_ordinary_user_has_them(second_user: Command) -> None:
    (second_user.directory / "a.yaml").write_text(
        "image: alpine\nconfigs: [{source: app, content: one, mode: '0440'}]\ncommand: [stat, -c, '%a %u %s', /app]\n"
    )
    done = second_user("up", "a.yaml")
    assert (done.stdout, done.stderr, done.code) == (b"440 0 3\n", b"", 0)


def test_who_extends_has_them_by_target() -> None:
    specs = Path("b.yaml")
    specs.write_text("name: base\nimage: a\nconfigs: [{source: a, content: one}, {source: b, content: two}]\n")
    found = _volumes("extends: {file: b.yaml}\nconfigs: [{target: /a, content: three}]")
    assert set(found) == {_file("/a", "three"), _file("/b", "two")}
