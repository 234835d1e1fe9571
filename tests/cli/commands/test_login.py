"""login and logout, credential helpers and Podman's files, against a real registry that wants a password."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import pty
import stat
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from lab import busybox, oci
from lab.command import Command, command
from lab.oci import layer
from lab.registry import Registry, serve

PASSWORD = b"s3cret"
HTPASSWD = "me:$2b$04$d6DXiTkU.ye9A.nk71qvxOnP7FclgoeB3Mf8DgGvM7hxU7SgUQYzK\n"  # of that password

HELPER = """#!/bin/sh
# keeps one secret in a file, as real helpers do in a keyring
kept={place}/kept
echo "$1" >> {place}/calls
case $1 in
  store) cat > "$kept" ;;
  get) read -r key; if grep -q "\\"$key\\"" "$kept" 2>/dev/null; then cat "$kept"; else
       echo "credentials not found in native keychain"; exit 1; fi ;;
  erase) rm "$kept" ;;
esac
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry in which nothing can be read without the password; it has `team/closed`."""
    directory = tmp_path_factory.mktemp("closed")
    built = oci.image([layer({"a": b"1"})])
    with serve(directory) as open_registry:
        open_registry.push(built, "team/closed")
    (directory / "htpasswd").write_text(HTPASSWD)
    with serve(directory, extra=f"auth: {{htpasswd: {{realm: here, path: {directory}/htpasswd}}}}") as running:
        yield running


@pytest.fixture
def here(tmp_path: pathlib.Path) -> Command:
    return command(tmp_path, forks=True)


def _config(here: Command) -> pathlib.Path:
    return pathlib.Path(here.environment["HOME"]) / ".docker" / "config.json"


def _auth() -> dict[str, str]:
    return {"auth": base64.b64encode(b"me:" + PASSWORD).decode()}


def test_login_pull_logout(here: Command, closed: Registry) -> None:
    image = f"{closed.address}/team/closed"
    refused = here("pull", "-q", image)
    assert refused.code == 1 and f"mydocker login {closed.address}".encode() in refused.stderr
    done = here("login", "-u", "me", "--password-stdin", closed.address, input=PASSWORD + b"\n")
    assert (done.stdout, done.code) == (b"", 0) and f"logged in to {closed.address}".encode() in done.stderr
    assert _config(here).stat().st_mode & 0o777 == 0o600
    assert json.loads(_config(here).read_text()) == {"auths": {closed.address: _auth()}}
    assert here("pull", "-q", image).code == 0
    assert here("push", "-q", image, "--to", f"{closed.address}/team/again").code == 0
    assert here("logout", closed.address).code == 0
    denied = here("push", "-q", image)
    assert denied.code == 125 and f"mydocker login {closed.address}".encode() in denied.stderr
    assert json.loads(_config(here).read_text()) == {"auths": {}}
    assert here("logout", closed.address).code == 1
    assert here("pull", "-q", image).code == 1


def test_all_else_in_the_file_stays(here: Command, closed: Registry) -> None:
    before: dict[str, Any] = {
        "auths": {"other.io": {"auth": "eDp5"}},
        "detachKeys": "ctrl-z",
        "HttpHeaders": {"a": "b"},
    }
    _config(here).parent.mkdir()
    _config(here).write_text(json.dumps(before))
    assert here("login", "-u", "me", "--password-stdin", f"http://{closed.address}/v2/", input=PASSWORD).code == 0
    after = json.loads(_config(here).read_text())
    assert after == {**before, "auths": {**before["auths"], closed.address: _auth()}}
    here("logout", closed.address)
    assert json.loads(_config(here).read_text()) == before


def test_a_wrong_password_is_not_kept(here: Command, closed: Registry) -> None:
    done = here("login", "-u", "me", "--password-stdin", closed.address, input=b"wrong-one")
    assert done.code == 125 and b"refuses this user name or password" in done.stderr and b"wrong-one" not in done.stderr
    assert not _config(here).exists()


def test_the_password_is_asked_for_without_an_echo(here: Command, closed: Registry) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        here.argv("login", closed.address),
        stdin=theirs,
        stderr=theirs,
        env=dict(here.environment),
        start_new_session=True,
    )
    os.close(theirs)
    seen = _until(ours, b"user name: ")
    os.write(ours, b"me\n")
    seen += _until(ours, b"password: ")
    os.write(ours, PASSWORD + b"\n")
    seen += _until(ours, b"kept in")
    assert process.wait(240) == 0 and PASSWORD not in seen
    os.close(ours)


def _until(terminal: int, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        seen += os.read(terminal, 1024)
    return seen


@pytest.fixture
def helped(here: Command, tmp_path: pathlib.Path) -> Command:
    """A command that finds the helper `lab` in its PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "docker-credential-lab"
    program.write_text(HELPER.format(place=tmp_path))
    program.chmod(0o755)
    environment = {**here.environment, "PATH": f"{programs}:{here.environment['PATH']}"}
    return Command(here.program, environment, here.directory, store=here.store)


@pytest.mark.parametrize("own", [False, True])
def test_a_helper_keeps_the_secret(helped: Command, closed: Registry, tmp_path: pathlib.Path, own: bool) -> None:
    config = {"credHelpers": {closed.address: "lab"}} if own else {"credsStore": "lab"}
    _config(helped).parent.mkdir()
    _config(helped).write_text(json.dumps(config))
    assert helped("login", "-u", "me", "--password-stdin", closed.address, input=PASSWORD).code == 0
    assert json.loads(_config(helped).read_text()) == config
    kept = json.loads((tmp_path / "kept").read_text())
    assert kept == {"ServerURL": closed.address, "Username": "me", "Secret": PASSWORD.decode()}
    assert helped("pull", "-q", f"{closed.address}/team/closed").code == 0
    assert helped("logout", closed.address).code == 0 and not (tmp_path / "kept").exists()
    assert (tmp_path / "calls").read_text().split() == ["store", "get", "get", "erase"]
    assert helped("pull", "-q", f"{closed.address}/team/closed").code == 1


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ({"credsStore": "absent"}, 1, "needs a login"),
        ({"credHelpers": {"REGISTRY": "absent"}}, 1, "docker-credential-absent is not installed"),
        ({"credHelpers": {"REGISTRY": "../../bin/sh"}}, 1, "not the name of a credential helper"),
        ({"credHelpers": ["x"]}, 1, "credHelpers"),
    ],
)
def test_helpers_that_are_not_there(here: Command, closed: Registry, config: object, code: int, said: str) -> None:
    _config(here).parent.mkdir()
    _config(here).write_text(json.dumps(config).replace("REGISTRY", closed.address))
    done = here("pull", "-q", f"{closed.address}/team/closed")
    assert done.code == code and said in done.stderr.decode() and b"Traceback" not in done.stderr


def _check_is_warned_of(
    here: Command, open_image: str, closed: Registry, said: str, *, env: dict[str, str | None] | None = None
) -> None:
    """A public image comes, with one line on stderr; where the registry wants a login, the same words are the hint; who
    pushes, logs in or logs out needs the file."""
    pulled = here("pull", "-q", open_image, open_image, env=env)
    [line] = pulled.stderr.decode().splitlines()
    assert pulled.code == 0 and line.startswith("warning: ") and said in line and pulled.stdout == b""
    words = line.removeprefix("warning: ").replace(open_image.partition("/")[0], closed.address)
    refused = here("pull", "-q", f"{closed.address}/team/closed", env=env)
    hint = refused.stderr.decode().splitlines()[-1]
    assert refused.code == 1 and hint.startswith(f"hint: {words}; ") and f"mydocker login {closed.address}" in hint


@pytest.mark.parametrize(
    ("contents", "own", "said"),
    [
        (b"\x7fELF" + b"junk" * 20, False, "exec format error"),
        (b"#!/bin/sh\necho locked >&2; exit 1\n", True, "locked"),
    ],
    ids=["another machine's", "locked"],
)
def test_a_broken_helper_is_warned_of(
    helped: Command, registry: Registry, closed: Registry, tmp_path: pathlib.Path, contents: bytes, own: bool, said: str
) -> None:
    (tmp_path / "programs" / "docker-credential-lab").write_bytes(contents)
    registry.push(oci.image([layer({"a": b"1"})]), "team/open")
    config = {"credHelpers": {closed.address: "lab", registry.address: "lab"}} if own else {"credsStore": "lab"}
    _config(helped).parent.mkdir()
    _config(helped).write_text(json.dumps(config))
    image = f"{registry.address}/team/open"
    _check_is_warned_of(helped, image, closed, said)
    _check_is_an_error(helped, image, closed, said)


def _check_is_an_error(
    here: Command, image: str, closed: Registry, said: str, env: dict[str, str | None] | None = None
) -> None:
    login = ("login", "-u", "me", "--password-stdin", closed.address)
    for words in (("push", "-q", image), login, ("logout", closed.address)):
        done = here(*words, env=env, input=PASSWORD)
        assert done.code == 125 and said in done.stderr.decode() and b"Traceback" not in done.stderr, words


def test_a_secret_in_the_file_counts_where_a_helper_fails(helped: Command, closed: Registry) -> None:
    _config(helped).parent.mkdir()
    _config(helped).write_text(json.dumps({"credsStore": "absent", "auths": {closed.address: _auth()}}))
    done = helped("pull", "-q", f"{closed.address}/team/closed")
    assert done.code == 0 and done.stderr.startswith(b"warning: ")


@pytest.mark.parametrize("place", ["docker", "REGISTRY_AUTH_FILE"])
def test_a_broken_file_is_warned_of(
    here: Command, registry: Registry, closed: Registry, tmp_path: pathlib.Path, place: str
) -> None:
    path = _config(here) if place == "docker" else tmp_path / "auth.json"
    env: dict[str, str | None] = {} if place == "docker" else {place: str(path)}
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    registry.push(oci.image([layer({"a": b"1"})]), "team/open")
    image = f"{registry.address}/team/open"
    _check_is_warned_of(here, image, closed, "not JSON", env=env)
    _check_is_an_error(here, image, closed, "not JSON", env=env)
    assert path.read_bytes() == b"{"


@pytest.mark.root
def test_a_device_is_no_place_for_a_login(here: Command, closed: Registry, tmp_path: pathlib.Path) -> None:
    """It stays what it is: root's REGISTRY_AUTH_FILE=/dev/null must not cost the machine /dev/null."""
    path = tmp_path / "null"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    link = tmp_path / "link"
    link.symlink_to("null")
    for place in (path, link):
        env = {"REGISTRY_AUTH_FILE": str(place)}
        done = here("login", "-u", "me", "--password-stdin", closed.address, input=PASSWORD, env=env)
        assert done.code == 125 and f"cannot write {place}: it is not a regular file" in done.stderr.decode(), done
        assert here("logout", closed.address, env=env).code == 1
        assert path.is_char_device() and link.is_symlink()


def test_login_fills_an_empty_file(here: Command, closed: Registry) -> None:
    _config(here).parent.mkdir()
    _config(here).touch()
    done = here("login", "-u", "me", "--password-stdin", closed.address, input=PASSWORD)
    assert done.code == 0 and json.loads(_config(here).read_text()) == {"auths": {closed.address: _auth()}}, done


@pytest.mark.root
def test_every_command_that_pulls_warns_once(here: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    _config(here).parent.mkdir()
    _config(here).write_text("[]")
    registry.push(busybox.alpine(), "team/open")
    image = f"{registry.address}/team/open"
    cases = "---\n".join(f"name: {name}\nimage: {image}\npull_policy: always\ncommand: 'true'\n" for name in "abc")
    (tmp_path / "x.smoke.yaml").write_text(cases)
    path = str(tmp_path / "x.smoke.yaml")
    warning = f"warning: {_config(here)}: expected an object, not an array"
    for words in (
        ("run", "--pull", "always", image, "true"),
        ("up", path),
        ("test", "-j2", path),
        ("lock", "--lock-file", "-", path),
        ("explain", "--shell", "run", "--pull", "always", image, "true"),
        ("record", "--pull", "always", image, "true"),
    ):
        done = here(*words)
        warnings = [line for line in done.stderr.decode().splitlines() if "warning" in line]
        assert (done.code, warnings) == (0, [warning]), (words, done)


def test_a_file_behind_a_broken_one_counts(here: Command, closed: Registry, tmp_path: pathlib.Path) -> None:
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "auth.json").write_text("{")
    _config(here).parent.mkdir()
    _config(here).write_text(json.dumps({"auths": {closed.address: _auth()}}))
    done = here("pull", "-q", f"{closed.address}/team/closed", env={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.code == 0 and done.stderr.startswith(b"warning: ")


@pytest.mark.rootless
def test_a_file_of_somebody_else_is_warned_of(second_user: Command, registry: Registry) -> None:
    """As `sudo docker login` leaves one behind."""
    registry.push(oci.image([layer({"a": b"1"})]), "team/open")
    path = _config(second_user)
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    path.chmod(0)
    done = second_user("pull", "-q", f"{registry.address}/team/open")
    assert done.code == 0 and f"warning: cannot read {path}: Permission denied".encode() in done.stderr
    path.unlink()


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ({"credsStore": "absent"}, 125, "docker-credential-absent may still have a login for REGISTRY"),
        ({"credHelpers": {"REGISTRY": "absent"}}, 125, "docker-credential-absent may still have a login for REGISTRY"),
        ({"credsStore": "absent", "auths": {"REGISTRY": {}}}, 125, "logged out of REGISTRY"),
        ({"credsStore": "absent", "auths": {"REGISTRY": {}}}, 125, "docker-credential-absent may still have a login"),
        ({"credHelpers": {"other.invalid": "absent"}}, 1, "not logged in to REGISTRY"),
        ({"credsStore": "absent", "credHelpers": {"REGISTRY": "lab"}}, 1, "not logged in to REGISTRY"),
        ({"credsStore": "../x"}, 125, "not the name of a credential helper"),
    ],
)
def test_logout_from_a_helper_that_is_not_installed(
    helped: Command, closed: Registry, config: dict[str, object], code: int, said: str
) -> None:
    """What it has is still there, so no message says that nobody was logged in."""
    _config(helped).parent.mkdir()
    _config(helped).write_text(json.dumps(config).replace("REGISTRY", closed.address))
    done = helped("logout", closed.address)
    assert done.code == code and said.replace("REGISTRY", closed.address).encode() in done.stderr, done
    assert (b"not logged in" in done.stderr) == ("not logged in" in said)


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("key", ["", "https://{}/v1/", "{}"])
def test_a_login_is_kept_where_it_is_looked_for_first(
    here: Command, closed: Registry, tmp_path: pathlib.Path, variable: str, key: str
) -> None:
    """In Podman's file if that knows the registry, or is the only one that counts; and logout forgets all of it."""
    path = tmp_path / "somewhere" / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    old = {key.format(closed.address): {"auth": "b2xkOm9sZA=="}} if key else {}
    path.write_text(json.dumps({"auths": {"other.io": {"auth": "eDp5"}, **old}}))
    env = {variable: str(path if variable == "REGISTRY_AUTH_FILE" else path.parent.parent)}
    done = here("login", "-u", "me", "--password-stdin", closed.address, input=PASSWORD, env=env)
    in_podman_s = bool(key) or variable == "REGISTRY_AUTH_FILE"
    assert done.code == 0 and f"kept in {path if in_podman_s else _config(here)}".encode() in done.stderr
    assert _config(here).exists() != in_podman_s
    assert here("pull", "-q", f"{closed.address}/team/closed", env=env).code == 0
    if in_podman_s:
        _config(here).parent.mkdir()
        _config(here).write_text(json.dumps({"auths": {closed.address: _auth()}}))
    assert here("logout", closed.address, env=env).code == 0
    assert json.loads(path.read_text()) == {"auths": {"other.io": {"auth": "eDp5"}}}
    assert here("pull", "-q", f"{closed.address}/team/closed", env=env).code == 1


def test_logout_says_what_is_left(here: Command, closed: Registry, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {f"{closed.address}/team": _auth(), closed.address: _auth()}}))
    done = here("logout", closed.address, env={"REGISTRY_AUTH_FILE": str(path)})
    assert done.code == 0 and f"still logged in to {closed.address}/team, in {path}".encode() in done.stderr
    assert list(json.loads(path.read_text())["auths"]) == [f"{closed.address}/team"]


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("key", ["", "/team", "/team/closed"])
def test_podman_s_files_are_read(
    here: Command, closed: Registry, tmp_path: pathlib.Path, variable: str, key: str
) -> None:
    directory = tmp_path / "somewhere"
    path = directory / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {f"{closed.address}{key}": _auth()}}))
    value = str(path if variable == "REGISTRY_AUTH_FILE" else directory)
    assert here("pull", "-q", f"{closed.address}/team/closed", env={variable: value}).code == 0


def test_a_key_of_another_repository_is_not_used(here: Command, closed: Registry, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {f"{closed.address}/tea": _auth(), f"{closed.address}/team/clos": _auth()}}))
    assert here("pull", "-q", f"{closed.address}/team/closed", env={"REGISTRY_AUTH_FILE": str(path)}).code == 1


@pytest.mark.parametrize(
    ("words", "input", "said"),
    [
        (("login", "-u", "me", "registry.example"), b"", "not a terminal"),
        (("login", "--password-stdin", "registry.example"), b"x", "user name"),
        (("login", "-u", "me", "--password-stdin", "registry.example"), b"\n", "empty"),
        (("login", "-u", "me", "--password-stdin", "registry.example"), b"\xff", "UTF-8"),
        (("login", "-u", "a:b", "--password-stdin", "registry.example"), b"x", "colon"),
        (("login", "-u", "me", "--password-stdin", "justaname"), b"x", "not a registry"),
        (("login", "-u", "me", "--password-stdin", "https://me:s3cret@r.invalid"), b"x", "no user name or password"),
        (("logout", "me:s3cret@r.invalid"), b"", "no user name or password"),
        (("login", "-u", "me", "-p", "x", "registry.example"), b"", "use --password-stdin"),
        (("login", "-u", "me", "--password=", "registry.example"), b"", "use --password-stdin"),
        (("logout", "a", "b"), b"", "b"),
    ],
)
def test_refusals(here: Command, words: tuple[str, ...], input: bytes, said: str) -> None:
    done = here(*words, input=input)
    assert (done.stdout, done.code) == (b"", 2) and said in done.stderr.decode() and b"Traceback" not in done.stderr
    assert b"s3cret" not in done.stderr
