"""Pushing: what arrives in a registry is what was here, nothing is sent twice, and no secret goes astray."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lab import hub as lab
from lab import hubclient, oci
from lab.command import Command, Result, registries_conf
from lab.hub import Hub
from lab.hubclient import IMPATIENT, PATIENT, login
from lab.oci import DIR, File, layer
from lab.registry import Registry, serve

from mydocker.errors import ImageError, RegistryError, StoreError
from mydocker.image.model.manifest import Descriptor
from mydocker.image.registry.http.timeouts import Timeouts
from mydocker.image.registry.upload import UploadSession
from mydocker.reference import Digest, Reference

root = pytest.mark.root


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A second registry, which has nothing."""
    with serve(tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


@pytest.fixture
def both(mydocker: Command, registry: Registry, elsewhere: Registry) -> Command:
    """The command for both registries."""
    conf = registries_conf(registry.address) + f'[[registry]]\nlocation = "{elsewhere.address}"\ninsecure = true\n'
    (mydocker.directory / "config" / "containers" / "registries.conf").write_text(conf)
    return mydocker


def _pushed(done: Result) -> Any:
    assert done.code == 0, done
    return json.loads(done.stdout)[0]


def _skopeo(*words: str | os.PathLike[str]) -> bytes:
    done = subprocess.run(["skopeo", "--insecure-policy", *words], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _raw(registry: Registry, name: str) -> bytes:
    return _skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.address}/{name}")


def _uploads(registry: Registry) -> int:
    """How many blobs have been sent so far."""
    return sum(method == "PUT" and "/blobs/uploads/" in path for method, path, _ in registry.requests())


def _tars() -> list[bytes]:
    return [layer({"etc": DIR, "etc/a": File(os.urandom(70_000), uid=5)}), layer({"etc/b": os.urandom(200_000)})]


@root
@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_the_registry_has_is_not_sent_again(
    both: Command, registry: Registry, compression: str, docker: bool
) -> None:
    built = oci.image(_tars(), compression=compression, docker=docker)
    registry.push(built, "push/app")
    both("pull", "-q", "push/app")
    before = _uploads(registry)
    done = both("push", "push/app", "--format", "json")
    assert _pushed(done) == {"name": "docker.io/push/app:latest", "digest": built.digest, "exact": True, "sent": 0}
    assert done.stderr.count(b": there already\n") == 3
    moved = both("push", "push/app", "--to", "push/copy:2", "--format", "json")
    assert _pushed(moved) == {"name": "docker.io/push/copy:2", "digest": built.digest, "exact": True, "sent": 0}
    assert moved.stderr.count(b": taken from another repository\n") == 3
    assert _uploads(registry) == before and _raw(registry, "push/copy:2") == built.manifest


@root
def test_progress_as_json_has_every_step(both: Command, registry: Registry, elsewhere: Registry) -> None:
    """Each line is an object; what a blob has come to grows, and ends with all of it."""
    built = oci.image(_tars())
    registry.push(built, "push/steps")
    pulled = both("pull", "push/steps", "--progress", "json")
    pushed = both("push", "push/steps", "--to", f"{elsewhere.address}/far/steps", "--progress", "json")
    for done, name in ((pulled, "push/steps:latest"), (pushed, f"{elsewhere.address}/far/steps:latest")):
        assert done.code == 0
        steps = [json.loads(line) for line in done.stderr.splitlines()]
        assert steps[0]["kind"] == "started" and steps[0]["image"] == name
        assert steps[-1] == {
            "kind": "finished",
            "text": f"{name}: {built.digest}",
            "image": name,
            "digest": built.digest,
        }
        complete = {step["digest"]: step for step in steps if step["kind"] == "complete"}
        assert {oci.digest(blob) for blob in built.layers} <= complete.keys()
        for digest, step in complete.items():
            moving = [each["done"] for each in steps if each["kind"] == "moving" and each["digest"] == digest]
            assert moving == sorted(moving) and all(each <= step["size"] for each in moving)
            assert step["done"] == step["size"]
    assert both("pull", "push/steps", "--progress", "xml").code == 2


@root
def test_layers_that_are_nowhere_else_are_compressed_anew(
    both: Command, registry: Registry, elsewhere: Registry
) -> None:
    built = oci.image(_tars(), compression="zstd", cmd=["/x"], labels={"a": "b"})
    built = built.with_manifest(annotations={"org.example": "kept"})
    registry.push(built, "push/anew")
    both("pull", "-q", "push/anew")
    name = f"{elsewhere.address}/far/anew:1"
    done = both("push", "push/anew", "--to", name, "--format", "json")
    pushed = _pushed(done)
    assert not pushed["exact"] and pushed["sent"] > 270_000
    assert f"push/anew:latest: layers are compressed anew: it was {built.digest}".encode() in done.stderr
    raw = _raw(elsewhere, "far/anew:1")
    assert (oci.digest(raw), json.loads(raw)["annotations"]) == (pushed["digest"], {"org.example": "kept"})
    assert both("pull", "-q", name).code == 0
    [before] = json.loads(both("inspect", "push/anew").stdout)
    [after] = json.loads(both("inspect", name).stdout)
    assert (after["Id"], after["LayerDirs"]) == (before["Id"], before["LayerDirs"])
    again = _pushed(both("push", "push/anew", "--to", name, "--format", "json"))
    assert again == {**pushed, "sent": 0}


@root
def test_others_pull_and_unpack_what_was_pushed(
    both: Command, registry: Registry, elsewhere: Registry, tmp_path: pathlib.Path
) -> None:
    tars = _tars()
    registry.push(oci.image(tars, docker=True), "push/docker")
    both("pull", "-q", "push/docker")
    assert both("push", "-q", "push/docker", "--to", f"{elsewhere.address}/far/docker") == Result(b"", b"", 0)
    source = f"docker://{elsewhere.address}/far/docker"
    _skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/layout:it")
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/layout:it", tmp_path / "bundle"], check=True)
    unpacked = tmp_path / "bundle" / "rootfs" / "etc"
    assert (unpacked / "a").stat().st_uid == 5 and tars[1].count((unpacked / "b").read_bytes()) == 1


@root
def test_plain_layers_go_anywhere_and_keep_their_manifest(
    both: Command, registry: Registry, elsewhere: Registry
) -> None:
    built = oci.image(_tars(), compression="none")
    registry.push(built, "push/plain")
    both("pull", "-q", "push/plain")
    pushed = _pushed(both("push", "push/plain", "--to", f"{elsewhere.address}/far/plain", "--format", "json"))
    assert (pushed["digest"], pushed["exact"]) == (built.digest, True) and pushed["sent"] > sum(map(len, built.layers))
    assert _raw(elsewhere, "far/plain") == built.manifest


@root
def test_a_layer_with_two_entries_of_one_path_changes_the_id(
    both: Command, registry: Registry, elsewhere: Registry
) -> None:
    registry.push(oci.image([layer([("a", b"first"), ("b", b"1"), ("a", b"second")])]), "push/twice")
    both("pull", "-q", "push/twice")
    name = f"{elsewhere.address}/far/twice"
    assert not _pushed(both("push", "push/twice", "--to", name, "--format", "json"))["exact"]
    assert both("pull", "-q", name).code == 0
    [found] = json.loads(both("inspect", name).stdout)
    [top] = map(pathlib.Path, found["LayerDirs"])
    assert {path.name: path.read_bytes() for path in top.iterdir()} == {"a": b"second", "b": b"1"}


@root
def test_all_platforms_that_are_here_become_one_index(both: Command, registry: Registry, elsewhere: Registry) -> None:
    built = [oci.image([layer({"a": name.encode()})], architecture=name) for name in ("amd64", "arm64")]
    registry.push(oci.index(built), "push/both")
    both("pull", "-q", "push/both")
    both("pull", "-q", "--platform", "arm64", "push/both")
    both("push", "-q", "push/both", "--to", f"{elsewhere.address}/far/both")
    entries = json.loads(_raw(elsewhere, "far/both"))["manifests"]
    assert sorted(entry["platform"]["architecture"] for entry in entries) == ["amd64", "arm64"]
    one = both("push", "push/both", "--platform", "arm64", "--to", "push/arm", "--format", "json")
    assert _pushed(one)["digest"] == built[1].digest


# Archives


@root
@pytest.mark.parametrize("kind", ["oci:{}/layout:v1", "oci-archive:{}/x.tar:v1", "dir:{}/plain"])
def test_an_archive_goes_as_it_is_with_all_its_platforms(
    both: Command, registry: Registry, elsewhere: Registry, tmp_path: pathlib.Path, kind: str
) -> None:
    built = oci.index([oci.image(_tars(), architecture=name) for name in ("amd64", "arm64")])
    registry.push(built, "push/many")
    source = f"docker://{registry.address}/push/many"
    _skopeo("copy", "--all", "--src-tls-verify=false", source, kind.format(tmp_path))
    name = f"{elsewhere.address}/{kind.partition(':')[0]}/many"
    done = _pushed(both("push", kind.format(tmp_path), "--to", name, "--format", "json"))
    assert (done["digest"], done["exact"]) == (built.digest, True)
    for platform in ("amd64", "arm64"):
        assert both("pull", "-q", "--platform", platform, name).code == 0
    arm = both("push", kind.format(tmp_path), "--to", name, "--platform", "arm64", "--format", "json")
    assert (_pushed(arm)["digest"], _pushed(arm)["sent"]) == (built.images[1].digest, 0)
    assert not list(both.store.glob("incoming/*"))


@root
def test_what_save_has_written_goes_under_its_own_name(
    both: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    registry.push(oci.image(_tars()), "push/saved")
    both("pull", "-q", "push/saved", "alpine")
    both("save", "-o", str(tmp_path / "both.tar"), "push/saved", "alpine")
    both("tag", "push/saved", "push/renamed:5")
    both("save", "-o", str(tmp_path / "one.tar"), "push/renamed:5")
    archive = f"oci-archive:{tmp_path}/both.tar"
    ambiguous = both("push", archive)
    assert ambiguous.code == 2 and b"docker.io/push/saved:latest, docker.io/library/alpine" in ambiguous.stderr
    pushed = _pushed(both("push", f"{archive}:docker.io/push/saved:latest", "--format", "json"))
    assert pushed["name"] == "docker.io/push/saved:latest" and pushed["exact"]
    docker = both("push", f"docker-archive:{tmp_path}/both.tar:push/saved:latest", "--to", "push/third:1")
    assert docker.code == 0 and both("pull", "-q", "push/third:1").code == 0
    ids = [json.loads(both("inspect", name).stdout)[0]["Id"] for name in ("push/saved", "push/third:1")]
    assert ids[0] == ids[1]


def test_a_forged_blob_of_an_archive_is_not_pushed(both: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    registry.push(oci.image(_tars()), "push/forged")
    _skopeo("copy", "--src-tls-verify=false", f"docker://{registry.address}/push/forged", f"dir:{tmp_path}/plain")
    biggest = max((tmp_path / "plain").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(biggest.read_bytes())
    data[1000] ^= 1
    biggest.write_bytes(data)
    with serve(tmp_path) as empty:
        done = both("push", f"dir:{tmp_path}/plain", "--to", f"{empty.address}/x/y")
        assert done.code == 125 and b"expected sha256:" in done.stderr and b"Traceback" not in done.stderr
        assert not list(empty.storage.rglob("tags")) and not list(empty.storage.rglob(f"{biggest.name}*"))


# The store


@root
def test_a_damaged_layer_is_not_pushed(both: Command, registry: Registry, elsewhere: Registry) -> None:
    registry.push(oci.image([layer({"only": b"1" * 5000})]), "push/damaged")
    both("pull", "-q", "push/damaged")
    [path] = both.store.glob("layers/*/only")
    path.write_bytes(b"2" * 5000)
    done = both("push", "push/damaged", "--to", f"{elsewhere.address}/far/damaged")
    assert done.code == 125 and b"'only': its contents have changed" in done.stderr
    assert not list(elsewhere.storage.rglob("far/damaged/_manifests"))
    assert both("fsck").code == 1


def test_an_ordinary_user_pushes_what_belongs_to_others(
    second_user: Command, registry: Registry, elsewhere: Registry
) -> None:
    registry.push(oci.image([layer({"d": DIR, "d/secret": File(b"x" * 5000, mode=0, uid=33, gid=33)})]), "push/owned")
    assert second_user("pull", "-q", "push/owned").code == 0
    done = second_user("push", "push/owned", "--to", f"{elsewhere.address}/far/owned", "--format", "json")
    assert _pushed(done)["sent"] > 0
    assert second_user("pull", "-q", f"{elsewhere.address}/far/owned").code == 0
    assert second_user("fsck").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("push",), 2, "IMAGE"),
        (("push", "nonesuch"), 1, "not in the store"),
        (("push", "sha256:0123456789ab"), 1, "not in the store"),
        (("push", "alpine@sha256:" + "0" * 64), 1, "not in the store"),
        (("push", "a", "b", "--to", "c"), 2, "one by one"),
        (("push", "oci:/nonesuch"), 1, "No such file"),
        (("push", "docker-archive:/etc/passwd", "--to", "x"), 125, "not a tar archive"),
        (("push", "dir:/etc"), 2, "choose one with --to"),
        (("push", "dir:/etc", "--to", "x"), 125, "manifest.json is missing"),
        (("push", "x", "--platform", "a/b/c/d"), 2, "platform"),
    ],
)
def test_refusals(mydocker: Command, words: tuple[str, ...], code: int, said: str) -> None:
    done = mydocker(*words)
    assert (done.stdout, done.code) == (b"", code), done
    assert said in done.stderr.decode() and b"Traceback" not in done.stderr


@root
def test_what_has_no_name_needs_one(mydocker: Command) -> None:
    mydocker("pull", "-q", "alpine")
    [found] = json.loads(mydocker("inspect", "alpine").stdout)
    for text in (found["Id"], found["Id"][7:19], f"alpine@{found['Digest']}"):
        done = mydocker("push", text)
        assert done.code == 2 and b"set one with --to" in done.stderr
        assert mydocker("push", "-q", text, "--to", "push/by-id").code == 0


# The dialogue


DATA = bytes(range(256)) * 3000
BLOB = Descriptor(media_type=lab.LAYER, digest=Digest.parse(lab.digest_of(DATA)), size=len(DATA))

Open = Callable[..., UploadSession]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with lab.serve() as running:
        yield running


@pytest.fixture
def connect(hub: Hub, tmp_path: pathlib.Path) -> Iterator[Open]:
    opened: list[UploadSession] = []

    def connect(*, timeouts: Timeouts = PATIENT, **options: Any) -> UploadSession:
        environ = hubclient.environ_of(hub, tmp_path, **options)
        opened.append(UploadSession(Reference.parse("team/app"), environ=environ, timeouts=timeouts))
        return opened[-1]

    yield connect
    for target in opened:
        target.close()


def _send(target: UploadSession) -> list[int]:
    reported: list[int] = []
    target.send(BLOB, lambda: iter([DATA[:300_000], DATA[300_000:]]), reported.append)
    return reported


def test_one_token_is_asked_for_all_that_a_push_takes(hub: Hub, connect: Open) -> None:
    hub.users["me"] = "secret"
    target = connect(config=login(hub, "me", "secret"))
    assert not target.has(BLOB.digest)
    assert _send(target) == [300_000, len(DATA)]
    target.put_manifest(b'{"schemaVersion": 2}', lab.MANIFEST, "v1")
    assert hub.blobs[str(BLOB.digest)] == DATA and hub.manifests["v1"] == (lab.MANIFEST, b'{"schemaVersion": 2}')
    (asked,) = hub.seen("auth")
    assert asked.query["scope"] == ["repository:team/app:pull,push"]
    assert target.has(BLOB.digest)


def test_a_mount_asks_for_both_repositories(hub: Hub, connect: Open) -> None:
    hub.shared.add("team/base")
    scopes = "repository:team/base:pull repository:team/app:pull"
    hub.challenge = f'Bearer realm="{hub.url("auth")}/token",service="s",scope="{scopes}"'
    others = [Reference.parse(name) for name in ("team/app:1", "ghcr.io/team/base", "team/none", "team/base:2")]
    assert connect().mount(BLOB.digest, others)
    (asked,) = hub.seen("auth")
    assert asked.query["scope"] == ["repository:team/app:pull,push", "repository:team/base:pull"]
    mounts = [(seen.method, seen.query.get("from")) for seen in hub.seen("registry", "/uploads/")]
    assert mounts[1:] == [("POST", ["team/none"]), ("DELETE", None), ("POST", ["team/base"])]


MOUNTS = {
    **{
        str(status): lab.refusal(status, "DENIED", "no")
        for status in (400, 401, 403, 404, 405, 415, 429, 500, 501, 503)
    },
    "202 and nowhere": lab.reply(b"", status=202),
    "200": lab.reply(b"", status=200),
    "a web page": lab.reply(b"<html>", {"Content-Type": "text/html"}, status=418),
    "a redirect": lab.redirect("http://169.254.169.254/"),
    "nothing": lab.hang_up,
}


@pytest.mark.parametrize("fault", MOUNTS)
def test_a_mount_that_is_refused_is_an_upload(fault: str, hub: Hub, connect: Open) -> None:
    """A mount spares an upload, no more; and nobody waits until a registry likes to mount again."""
    hub.shared.add("team/base")
    hub.answer("registry", "mount=", MOUNTS[fault])
    target = connect()
    others = [Reference.parse("team/none"), Reference.parse("team/base")]
    assert not target.mount(BLOB.digest, others)
    assert len(hub.seen("registry", "mount=")) == len(others)
    _send(target)
    assert hub.blobs[str(BLOB.digest)] == DATA


@pytest.mark.parametrize("status", [403, 500, 400])
def test_a_mount_for_which_there_is_no_token_is_an_upload(status: int, hub: Hub, connect: Open) -> None:
    target = connect()
    _send(target)
    hub.blobs.clear()
    hub.answer("registry", "mount=", lab.refusal(401, "UNAUTHORIZED", challenge=_bearer(hub)), times=1)
    hub.answer("auth", "/token", lab.refusal(status, "DENIED"), times=PATIENT.attempts)
    assert not target.mount(BLOB.digest, [Reference.parse("team/base")])
    _send(target)
    assert hub.blobs[str(BLOB.digest)] == DATA


def _bearer(hub: Hub) -> str:
    return f'Bearer realm="{hub.url("auth")}/token",service="s",scope="repository:team/base:pull"'


@pytest.mark.parametrize("status", [400, 403, 404, 405, 429, 500, 501])
def test_a_registry_that_does_not_say_whether_it_has_a_blob_is_sent_it(status: int, hub: Hub, connect: Open) -> None:
    target = connect()
    hub.answer("registry", f"/blobs/{BLOB.digest}", lab.reply(b"", status=status))
    assert not target.has(BLOB.digest)
    _send(target)
    assert hub.blobs[str(BLOB.digest)] == DATA


def test_a_token_that_ends_during_a_push_is_renewed(hub: Hub, connect: Open) -> None:
    def expire(handler: lab.Handler) -> None:
        hub.expire()
        hub.usual(handler)

    target = connect()
    _send(target)
    hub.blobs.clear()
    hub.expire()
    hub.answer("registry", "/uploads/1234", expire, times=1)
    _send(target)
    assert hub.blobs[str(BLOB.digest)] == DATA and len(hub.seen("auth")) == 3


@pytest.mark.parametrize(
    "fault",
    [lab.hang_up, lab.refusal(503, "UNAVAILABLE"), lab.refusal(429, "TOOMANYREQUESTS")],
    ids=["lost", "503", "429"],
)
def test_an_upload_that_breaks_off_begins_again(fault: lab.Answer, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/uploads/1234", fault, times=2)
    _send(connect())
    assert hub.blobs[str(BLOB.digest)] == DATA


def test_an_upload_cut_in_the_middle_begins_again(hub: Hub, connect: Open) -> None:
    def cut(handler: lab.Handler) -> None:
        handler.rfile.read(100_000)
        handler.close_connection = True

    hub.cut += [cut, cut]
    _send(connect())
    assert hub.blobs[str(BLOB.digest)] == DATA
    assert len([seen for seen in hub.seen("registry", "/uploads/") if seen.method == "POST"]) == 4


@pytest.mark.parametrize("status", [400, 413, 503])
def test_what_is_refused_for_ever_is_an_error(status: int, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/uploads/1234", lab.refusal(status, "X", "no \x1b[2J room"))
    with pytest.raises(RegistryError, match=rf"HTTP status {status}: no \\x1b\[2J room"):
        _send(connect())
    assert len(hub.seen("registry", "/uploads/1234")) == (PATIENT.attempts if status == 503 else 1)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_push_hints_at_login(status: int, hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/uploads/", lab.refusal(status, "DENIED", "not yours"))
    with pytest.raises(RegistryError, match=f"team/app:latest: registry {hub.address} does not take it") as caught:
        _send(connect())
    assert "not yours" in (caught.value.hint or "")


@pytest.mark.parametrize("server", ["registry", "cdn"])
def test_an_upload_may_go_elsewhere_but_not_its_token(server: str, hub: Hub, connect: Open) -> None:
    """Absolute addresses are allowed (distribution-spec "Push"); only those of the registry see the authorization."""
    target = connect()
    target.has(BLOB.digest)
    hub.answer("registry", "/blobs/uploads/", lab.reply(b"", {"Location": f"{hub.url(server)}/there"}, status=202))
    hub.answer(server, "/there", lab.reply(b"", status=201))
    _send(target)
    (sent,) = hub.seen(server, "/there?digest=")
    assert sent.body == DATA and ("Authorization" in sent.headers) == (server == "registry")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/x", "link-local"),
        ("file:///etc/passwd", "no usable address"),
        ("http://[", "no usable address"),
        ("", "does not say where"),
    ],
)
def test_where_an_upload_does_not_go(location: str, reason: str, hub: Hub, connect: Open) -> None:
    headers = {"Location": location} if location else {}
    target = connect()
    target.has(BLOB.digest)
    hub.answer("registry", "/blobs/uploads/", lab.reply(b"", headers, status=202))
    with pytest.raises(RegistryError, match=reason):
        _send(target)


def test_contents_are_not_redirected(hub: Hub, connect: Open) -> None:
    hub.answer("registry", "/uploads/1234", lab.redirect(f"{hub.url('cdn')}/there"))
    with pytest.raises(RegistryError, match="redirects a request that carries"):
        _send(connect())
    assert not hub.seen("cdn")


def test_what_cannot_be_read_is_no_fault_of_the_registry(hub: Hub, connect: Open) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA[:70_000]
        raise OSError(5, "Input/output error")

    with pytest.raises(StoreError, match="Input/output error"):
        connect().send(BLOB, broken, lambda done: None)
    with pytest.raises(ImageError):
        connect(timeouts=IMPATIENT).send(BLOB, lambda: iter([DATA[:-1]]), lambda done: None)
    assert not hub.blobs
