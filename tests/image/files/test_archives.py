"""Images in files: what skopeo and umoci write we read, and what we write they read."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from lab import busybox, oci
from lab.command import Command, Result
from lab.oci import DIR, Entries, File, Hardlink, Link, layer
from lab.registry import Registry

root = pytest.mark.root


def _run(*arguments: str | os.PathLike[str]) -> bytes:
    done = subprocess.run(arguments, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _skopeo(source: str, target: str) -> None:
    _run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target)


@pytest.fixture
def remote(registry: Registry) -> str:
    """alpine in the registry, as skopeo names it."""
    registry.push(busybox.alpine(), "library/alpine")
    return f"docker://{registry.address}/library/alpine:latest"


def _image(mydocker: Command, name: str) -> Any:
    done = mydocker("inspect", name)
    assert done.code == 0, done
    [found] = json.loads(done.stdout)
    return found


@root
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("oci:{}/layout:v1", "oci:{}/layout:v1"),
        ("oci:{}/layout:v1", "oci:{}/layout"),
        ("oci-archive:{}/x.tar:v1", "oci-archive:{}/x.tar"),
        ("docker-archive:{}/y.tar:alpine:v1", "docker-archive:{}/y.tar"),
        ("docker-archive:{}/y.tar:alpine:v1", "docker-archive:{}/y.tar:docker.io/library/alpine:v1"),
        ("dir:{}/plain", "dir:{}/plain"),
    ],
)
def test_what_skopeo_writes_runs(
    mydocker: Command, remote: str, tmp_path: pathlib.Path, target: str, name: str
) -> None:
    _skopeo(remote, target.format(tmp_path))
    done = mydocker("run", "--network", "none", name.format(tmp_path), "echo", "hey")
    assert done == Result(b"hey\n", b"", 0)
    assert mydocker("run", "--network", "none", "docker://alpine", "true").code == 0
    listed = mydocker("images").stdout.decode()
    assert "localhost/" in listed and mydocker("fsck").code == 0


@root
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_load_takes_what_save_of_others_has_written(
    mydocker: Command, remote: str, tmp_path: pathlib.Path, kind: str, compress: bool
) -> None:
    archive = tmp_path / "saved"
    _skopeo(remote, f"{kind}:{archive}:docker.io/library/mine:7")
    if compress:
        archive.write_bytes(gzip.compress(archive.read_bytes(), 1))
    assert mydocker("load", "-q", "-i", str(archive)) == Result(b"Loaded image: mine:7\n", b"", 0)
    assert mydocker("run", "--network", "none", "--pull", "never", "mine:7", "echo", "hey").stdout == b"hey\n"
    assert mydocker("load", "-q", input=archive.read_bytes()) == Result(b"Loaded image: mine:7\n", b"", 0)
    said = mydocker("load", "-i", str(archive)).stderr.decode().splitlines()
    assert said[0] == "loading mine:7" and said[-1].startswith("mine:7: sha256:")


@root
def test_a_layout_of_umoci_is_read(mydocker: Command, tmp_path: pathlib.Path) -> None:
    source, layout = tmp_path / "source", tmp_path / "made"
    (source / "etc").mkdir(parents=True)
    (source / "etc" / "motd").write_bytes(b"hello\n")
    _run("umoci", "init", "--layout", layout)
    _run("umoci", "new", "--image", f"{layout}:first")
    _run("umoci", "insert", "--image", f"{layout}:first", source / "etc", "/etc")
    assert mydocker("load", "-q", "-i", str(layout)) == Result(b"Loaded image: localhost/made:first\n", b"", 0)
    [top] = _image(mydocker, "localhost/made:first")["LayerDirs"]
    assert (pathlib.Path(top) / "etc" / "motd").read_bytes() == b"hello\n"


@root
def test_what_we_save_others_read(mydocker: Command, registry: Registry, tmp_path: pathlib.Path) -> None:
    tars = [layer({"etc": DIR, "etc/a": File(os.urandom(700), uid=5)}), layer({"etc/b": b"2" * 100_000})]
    registry.push(oci.image(tars, cmd=["/x"], labels={"a": "b"}), "team/app")
    mydocker("pull", "-q", "team/app", "alpine")
    saved = tmp_path / "saved.tar"
    assert mydocker("save", "-o", str(saved), "team/app", "alpine") == Result(b"", b"", 0)
    before = _image(mydocker, "team/app")
    for number, source in enumerate(
        (f"oci-archive:{saved}:docker.io/team/app:latest", f"docker-archive:{saved}:docker.io/team/app:latest")
    ):
        copy = tmp_path / f"copy{number}"
        _skopeo(source, f"oci:{copy}:it")
        config = json.loads(_run("skopeo", "inspect", "--config", f"oci:{copy}:it"))
        assert config["rootfs"]["diff_ids"] == before["RootFS"]["Layers"] and config["config"] == before["Config"]
        _run("umoci", "unpack", "--image", f"{copy}:it", tmp_path / f"bundle{number}")
        assert (tmp_path / f"bundle{number}" / "rootfs" / "etc" / "a").stat().st_uid == 5


@root
def test_saved_and_loaded_an_image_is_the_same(mydocker: Command, tmp_path: pathlib.Path) -> None:
    mydocker("pull", "-q", "alpine")
    before = _image(mydocker, "alpine")
    piped = mydocker("save", "alpine").stdout
    assert mydocker("save", "--format", "docker-archive", before["Id"]).stdout == piped
    mydocker("rmi", "alpine")
    mydocker("prune")
    assert mydocker("load", "-q", input=piped) == Result(b"Loaded image: alpine:latest\n", b"", 0)
    after = _image(mydocker, "alpine")
    assert (after["Id"], after["RootFS"]) == (before["Id"], before["RootFS"])
    assert mydocker("fsck").code == 0


@root
def test_a_layout_directory_is_written_whole_or_not_at_all(mydocker: Command, tmp_path: pathlib.Path) -> None:
    mydocker("pull", "-q", "alpine")
    before = _image(mydocker, "alpine")
    save = ("save", "--format", "oci-dir", "alpine", "-o")
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        assert mydocker(*save, name) == Result(b"", b"", 0)
        _skopeo(f"oci:{tmp_path}/{name}:docker.io/library/alpine:latest", f"oci:{tmp_path}/copy-of-{name}:it")
    mydocker("rmi", "alpine")
    assert mydocker("load", "-q", "-i", str(tmp_path / "new")) == Result(b"Loaded image: alpine:latest\n", b"", 0)
    assert _image(mydocker, "alpine")["Id"] == before["Id"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for name, why in (("full", "Directory not empty"), ("full/mine", "Not a directory"), ("no/such", "No such file")):
        done = mydocker(*save, name)
        assert done.code == 125 and f"cannot write {name}: {why}" in done.stderr.decode()
    assert mydocker("save", "--format", "oci-dir", "alpine").code == 2
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"] and not list(tmp_path.glob("*.part"))


@root
def test_images_without_a_name_are_saved_and_loaded(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    for name in "pq":
        digest = registry.push(oci.image([layer({name: b"1"})]), f"nameless/{name}")
        mydocker("pull", "-q", f"nameless/{name}@{digest}")
    ids = [row["id"] for row in json.loads(mydocker("images", "--format", "json").stdout)]
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    assert mydocker("save", "-o", str(two), *ids).code == mydocker("save", "-o", str(one), ids[0]).code == 0
    shutil.rmtree(mydocker.store)
    assert mydocker("load", "-q", "-i", str(one)) == Result(b"Loaded image: localhost/one-tar:latest\n", b"", 0)
    loaded = mydocker("load", "-q", "-i", str(two)).stdout.decode().splitlines()
    assert [line.partition("@sha256:")[0] for line in loaded] == ["Loaded image: localhost/two-tar"] * 2
    assert {row["id"] for row in json.loads(mydocker("images", "--format", "json").stdout)} == set(ids)
    for number, found in enumerate(ids):
        for kind in ("oci-archive", "docker-archive"):
            assert mydocker("pull", "-q", f"{kind}:{two}:@{number}").code == 0
            assert _image(mydocker, "localhost/two-tar")["Id"] == found
    done = mydocker("pull", f"docker-archive:{two}:@2")
    assert done.code == 1 and b"it has @0, @1" in done.stderr


@root
def test_load_takes_what_is_for_another_machine_alone(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """And of an index with several, without a word, what is for this one."""
    built = oci.image([layer({"a": b"1"})], architecture="arm64")
    layout = oci.write_layout(tmp_path / "arm", built, tag="1")
    assert mydocker("load", "-q", "-i", str(layout)).code == 0
    saved = mydocker("save", "localhost/arm:1").stdout
    mydocker("rmi", "localhost/arm:1")
    assert mydocker("load", "-q", input=saved).code == 0
    assert _image(mydocker, "localhost/arm:1")["Architecture"] == "arm64"
    assert mydocker("load", "-q", "--platform", "linux/amd64", input=saved).code == 1


@root
def test_an_image_that_has_the_kernel_s_name_for_its_processor_runs(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """umoci and images made by scripts write what uname(1) prints, into the config alone or into the index as well."""
    built = oci.image([busybox.base_layer()], architecture=os.uname().machine, cmd=["true"])
    layout = oci.write_layout(tmp_path / "kernels", built, tag="1")
    assert mydocker("run", f"oci:{layout}:1").code == 0
    assert mydocker("load", "-q", "-i", str(layout)).code == 0
    assert mydocker("run", "localhost/kernels:1").code == 0
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["platform"] = dict(built.platform)
    (layout / "index.json").write_text(json.dumps(index))
    assert mydocker("load", "-q", "-i", str(layout)).code == 0


@root
def test_a_layer_that_cannot_be_rebuilt_is_rewritten_and_said_to_be(mydocker: Command, registry: Registry) -> None:
    twice = layer([("a", b"first"), ("b", b"other"), ("a", b"second, longer")])
    registry.push(oci.image([twice]), "team/twice")
    mydocker("pull", "-q", "team/twice")
    before = _image(mydocker, "team/twice")
    done = mydocker("save", "team/twice")
    assert done.code == 0 and b"rewritten" in done.stderr
    mydocker("rmi", "team/twice")
    assert mydocker("load", "-q", input=done.stdout).code == 0
    after = _image(mydocker, "team/twice")
    assert after["Id"] != before["Id"] and after["Config"] == before["Config"]
    [top] = map(pathlib.Path, after["LayerDirs"])
    assert {path.name: path.read_bytes() for path in top.iterdir()} == {"a": b"second, longer", "b": b"other"}
    assert mydocker("fsck") == Result(b"", b"", 0)


REPLACED: dict[str, tuple[bool, Entries]] = {
    "a link keeps what a later file replaced": (True, [("a", b"v1"), ("b", Hardlink("a")), ("a", b"v2")]),
    "a link to a link does": (
        True,
        [("a", b"v1"), ("b", Hardlink("a")), ("c", Hardlink("b")), ("b", b"v2"), ("a", Link("c"))],
    ),
    "nothing keeps it": (False, [("a", b"v1"), ("b", Hardlink("a")), ("b", b"v2"), ("a", b"v3")]),
    "a file in a linked directory": (False, [("a", DIR), ("a/x", b"old"), ("b", Link("a")), ("b/x", b"new")]),
    "the same, with a parent left out": (False, [("a/x", b"old"), ("b", Link("a")), ("b/x", b"new")]),
    "another one in a linked directory": (True, [("a/x", b"old"), ("b", Link("a")), ("b/y", b"new")]),
    "a file for a link": (True, [("a", b"v1"), ("b", Link("a")), ("b", b"v2")]),
}


@root
@pytest.mark.parametrize("case", REPLACED)
def test_files_that_later_ones_replaced_leave_the_store_in_a_layer_that_others_read(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path, case: str
) -> None:
    exact, entries = REPLACED[case]
    source = oci.write_layout(tmp_path / "source", oci.image([layer(entries)]), tag="1")
    pulled = mydocker("pull", "-q", f"oci:{source}:1")
    before = _image(mydocker, "localhost/source:1")
    assert pulled.code == 0 == mydocker("fsck").code
    assert mydocker("save", "-o", "saved.tar", "localhost/source:1").code == 0
    assert mydocker("push", "-q", "localhost/source:1", "--to", "replaced/image:1").code == 0
    wanted = _tree(before)
    shutil.rmtree(mydocker.store)
    for words in (("load", "-q", "-i", "saved.tar"), ("pull", "-q", "replaced/image:1")):
        assert mydocker(*words).code == 0 == mydocker("fsck").code
        after = _image(mydocker, "localhost/source:1" if words[0] == "load" else "replaced/image:1")
        assert _tree(after) == wanted and (after["Id"] == before["Id"]) == exact
        assert mydocker("save", after["Id"]).stderr == b""  # a second time, nothing has to be changed
    _skopeo("oci-archive:" + str(mydocker.directory / "saved.tar"), f"oci:{tmp_path}/copy:it")
    _run("umoci", "unpack", "--image", f"{tmp_path}/copy:it", tmp_path / "bundle")
    assert _contents(tmp_path / "bundle" / "rootfs") == wanted


def _tree(image: Any) -> dict[str, bytes | str]:
    [top] = image["LayerDirs"]
    return _contents(pathlib.Path(top))


def _contents(top: pathlib.Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(top)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in top.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@root
def test_what_an_archive_is_written_to_stays_what_it_is(mydocker: Command, tmp_path: pathlib.Path) -> None:
    mydocker("pull", "-q", "alpine")
    wanted = mydocker("save", "alpine").stdout
    assert mydocker("save", "-o", "-", "alpine", cwd=tmp_path) == Result(wanted, b"", 0)
    null, fifo, link, dead = (tmp_path / name for name in ("null", "fifo", "link", "dead"))
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mkfifo(fifo)
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "target").chmod(0o600)
    link.symlink_to("target")
    dead.symlink_to("new")
    with mydocker.start("save", "-o", str(fifo), "alpine") as saving:
        assert fifo.read_bytes() == wanted and saving.wait(timeout=100) == 0
    for path in (null, link, dead):
        assert mydocker("save", "-o", str(path), "alpine") == Result(b"", b"", 0)
    assert null.is_char_device() and fifo.is_fifo() and link.is_symlink() and dead.is_symlink()
    assert link.read_bytes() == dead.read_bytes() == wanted and stat.S_IMODE(link.stat().st_mode) == 0o600
    for path, why in ((tmp_path, b"Is a directory"), (pathlib.Path("/dev/full"), b"No space left on device")):
        done = mydocker("save", "-o", str(path), "alpine")
        assert done.code == 125 and why in done.stderr, done
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "-").exists()


def test_an_archive_is_not_for_a_terminal(mydocker: Command) -> None:
    mydocker("pull", "-q", "alpine")
    ours, theirs = os.openpty()
    for output in ("-", os.ttyname(theirs)):
        with mydocker.start("save", "-o", output, "alpine", stdout=theirs) as saving:
            _, said = saving.communicate(timeout=120)
        assert saving.returncode == 2 and b"an archive is nothing for a terminal" in said
    os.close(ours)
    os.close(theirs)


@functools.cache
def _large() -> oci.Image:
    return oci.image([layer({"big": bytes(100_000_000)})])


@root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_save_that_is_ended_leaves_nothing(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    registry.push(_large(), "team/big")
    mydocker("pull", "-q", "team/big")
    code = 0
    while code == 0:  # again if the signal came too late
        (tmp_path / "x.tar").unlink(missing_ok=True)
        with mydocker.start("save", "-o", str(tmp_path / "x.tar"), "team/big") as saving:
            while not list(tmp_path.glob("x.tar.*.part")) and saving.poll() is None:
                time.sleep(0.01)
            saving.send_signal(number)
            assert saving.communicate(timeout=240) == (b"", b"")
        code = saving.returncode
    assert code == 128 + number
    assert not list(tmp_path.glob("x.tar*"))


@root
def test_a_damaged_layer_is_not_saved(mydocker: Command, tmp_path: pathlib.Path) -> None:
    mydocker("pull", "-q", "alpine")
    [path] = mydocker.store.glob("layers/*/etc/alpine-release")
    assert not path.is_symlink()  # or this would write to a file of the machine
    path.write_bytes(path.read_bytes() + b"\0")
    done = mydocker("save", "-o", str(tmp_path / "x.tar"), "alpine")
    assert (done.stdout, done.code) == (b"", 125) and path.name.encode() in done.stderr
    assert not list(tmp_path.glob("x.tar*"))


def test_an_ordinary_user_saves_what_belongs_to_others(second_user: Command, registry: Registry) -> None:
    registry.push(oci.image([layer({"d": DIR, "d/secret": File(b"x" * 5000, mode=0, uid=33, gid=33)})]), "team/owned")
    assert second_user("pull", "-q", "team/owned").code == 0
    saved = second_user("save", "team/owned")
    assert (saved.stderr, saved.code) == (b"", 0)
    assert second_user("load", "-q", input=saved.stdout) == Result(b"Loaded image: team/owned:latest\n", b"", 0)


HOSTILE: dict[str, Callable[[pathlib.Path, pathlib.Path], object]] = {
    "a blob is a link out of it": lambda blob, canary: (blob.unlink(), blob.symlink_to(canary)),
    "a blob is a FIFO": lambda blob, canary: (blob.unlink(), os.mkfifo(blob)),
    "a blob is a directory": lambda blob, canary: (blob.unlink(), blob.mkdir()),
    "a blob is gone": lambda blob, canary: blob.unlink(),
    "a blob has another byte": lambda blob, canary: blob.write_bytes(b"X" + blob.read_bytes()[1:]),
    "a blob is longer": lambda blob, canary: blob.write_bytes(blob.read_bytes() + b"X"),
}


@root
@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_layout_is_refused(mydocker: Command, tmp_path: pathlib.Path, attack: str, what: str) -> None:
    image = oci.image([layer({"a": os.urandom(5000)})])
    layout = oci.write_layout(tmp_path / "layout", image)
    canary = tmp_path / "canary"
    digest = {"manifest": image.digest, "config": oci.digest(image.config), "layer": oci.digest(image.layers[0])}[what]
    blob = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    canary.write_bytes(blob.read_bytes())
    HOSTILE[attack](blob, canary)
    done = mydocker("load", "-q", "-i", str(layout), timeout=200)
    assert (done.stdout, done.code) == (b"", 125) and b"Traceback" not in done.stderr
    assert mydocker("images", "--format", "json").stdout.strip() == b"[]"


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("[", "not JSON"),
        ("{}", "no images"),
        ('{"manifests": null}', "no images"),
        ('{"manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}', "64 lower-case hexadecimal digits"),
        ('{"manifests": [{"digest": "sha256:../../index.json", "size": 1}]}', "64 lower-case hexadecimal digits"),
        ('{"manifests": [{"digest": 7, "size": 1}]}', "string"),
        ('{"manifests": "x"}', "array"),
        ('{"manifests": [{"digest": "md5:x", "size": 1}]}', "only sha256"),
        ('{"manifests": [{"size": 1}]}', "only sha256"),
    ],
)
def test_a_malformed_index(mydocker: Command, tmp_path: pathlib.Path, index: str, said: str) -> None:
    (tmp_path / "index.json").write_text(index)
    done = mydocker("pull", f"oci:{tmp_path}")
    assert done.code in (1, 125) and said in done.stderr.decode() and b"Traceback" not in done.stderr


def test_the_size_of_a_manifest_is_checked(mydocker: Command, tmp_path: pathlib.Path) -> None:
    layout = oci.write_layout(tmp_path / "layout", oci.image([layer({"a": b"1"})]))
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["size"] += 1
    (layout / "index.json").write_text(json.dumps(index))
    done = mydocker("pull", f"oci:{layout}")
    assert done.code == 125 and f"bytes instead of {index['manifests'][0]['size']}".encode() in done.stderr


def test_what_lies_in_a_dir_under_another_digest_is_not_pushed(
    mydocker: Command, registry: Registry, tmp_path: pathlib.Path
) -> None:
    image = oci.image([layer({"a": b"1"})])
    index = oci.index([image])
    (tmp_path / "manifest.json").write_bytes(index.manifest)
    for digest, data in image.blobs.items():
        (tmp_path / digest.removeprefix("sha256:")).write_bytes(data)
    inner = tmp_path / f"{image.digest.removeprefix('sha256:')}.manifest.json"
    to = ("--to", f"{registry.address}/push/dir:1")
    for platform in ((), ("--platform", "linux/amd64")):
        inner.write_bytes(image.manifest + b" ")
        done = mydocker("push", f"dir:{tmp_path}", *to, *platform)
        assert done.code == 125 and f"manifest {image.digest}: has another digest".encode() in done.stderr
        inner.write_bytes(image.manifest)
        assert mydocker("push", f"dir:{tmp_path}", *to, *platform).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("load", "-i", "/nonesuch"), 1, "No such file"),
        (("load", "-i", "/etc/passwd"), 125, "not a tar archive"),
        (("load", "-i", "/dev/null"), 125, ""),
        (("pull", "oci:"), 2, "PATH"),
        (("pull", "oci:/nonesuch"), 1, "No such file"),
        (("pull", "docker-archive:/etc/passwd"), 125, "not a tar archive"),
        (("pull", "dir:/etc"), 125, "manifest.json is missing"),
        (("save", "nonesuch"), 1, "not in the store"),
        (("save", "-o", "/nonesuch/x"), 2, "IMAGE"),
    ],
)
def test_refusals(mydocker: Command, words: tuple[str, ...], code: int, said: str) -> None:
    done = mydocker(*words)
    assert (done.stdout, done.code) == (b"", code), done
    assert said in done.stderr.decode() and b"Traceback" not in done.stderr


@root
def test_a_docker_archive_may_link_to_layers_and_not_out(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """As old versions of `docker save` do; and a link in an archive is one to a member, never to a file of the host."""
    tar = layer({"a": b"1"})
    config = oci.image([tar, tar], architecture="amd64").config
    for target, code in (("../one/layer.tar", 0), ("../../../../etc/passwd", 125), ("../two/layer.tar", 125)):
        stream = io.BytesIO()
        listing = [{"Config": "c.json", "RepoTags": ["linked:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, data in (
                ("one/layer.tar", tar),
                ("c.json", config),
                ("manifest.json", json.dumps(listing).encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo("two/layer.tar")
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        (tmp_path / "x.tar").write_bytes(stream.getvalue())
        done = mydocker("load", "-q", "-i", str(tmp_path / "x.tar"))
        assert done.code == code and b"Traceback" not in done.stderr, done


@pytest.mark.root
def test_an_archive_without_an_image_is_recognized(mydocker: Command, tmp_path: pathlib.Path) -> None:
    tree = tmp_path / "tree"
    for name in ("bin/sh", "etc/passwd", "text"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("text\n")
    for words in (
        ("-C", tree, "-cf", tmp_path / "export.tar", "."),
        ("-C", tree, "-cf", tmp_path / "plain.tar", "text"),
    ):
        subprocess.run(["tar", *words], check=True)
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"text\n"))
    (tmp_path / "empty").touch()
    (tmp_path / "nothing").mkdir()
    root = "a root file system, as 'docker export' writes, and no image"
    neither = "no image archive or layout: it has neither index.json nor manifest.json"
    for name, message in {
        "export.tar": root,
        "tree": root,
        "plain.tar": neither,
        "nothing": neither,
        "text.gz": "not a tar archive, or a damaged one: it is shorter than a header",
        "empty": "not a tar archive, or a damaged one: it is empty",
    }.items():
        done = mydocker("load", "-i", name, cwd=tmp_path)
        assert (done.stdout, done.code) == (b"", 125)
        assert done.stderr.decode().splitlines()[0] == f"mydocker: {name}: {message}"
