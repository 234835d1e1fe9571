"""The commands about images, from the command line to the store: pull, images, inspect, history, tag, rmi."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest
from lab import hub as lab
from lab import oci
from lab.command import Command, Result
from lab.oci import layer
from lab.registry import Registry

from mydocker.image.model.times import shown_time


@pytest.fixture
def app(registry: Registry) -> str:
    """An image of two layers and three steps; its name in the registry."""
    history = [
        {"created": "2024-01-01T00:00:00Z", "created_by": "COPY base /", "comment": "first"},
        {"created": "2024-01-02T00:00:00Z", "created_by": "ENV \x1b[31mA=1", "empty_layer": True},
        {"created": "2024-01-03T00:00:00Z", "created_by": "COPY top /"},
    ]
    layers = [layer({"base": os.urandom(1000)}), layer({"top": os.urandom(1000)})]
    registry.push(oci.image(layers, env=["A=1"], config={"history": history}), "team/app")
    return "team/app"


def _json(done: Result) -> Any:
    assert (done.stderr, done.code) == (b"", 0)
    return json.loads(done.stdout)


def _names(mydocker: Command) -> list[str]:
    return [f"{row['repository']}:{row['tag']}" for row in _json(mydocker("images", "--format", "json"))]


def test_pull_says_a_line_for_each_layer_and_no_more(mydocker: Command, app: str) -> None:
    done = mydocker("pull", app)
    lines = done.stderr.decode().splitlines()
    assert (done.stdout, done.code) == (b"", 0)
    assert lines[0] == "pulling team/app:latest" and lines[-1].startswith("team/app:latest: sha256:")
    assert [line.split()[0] for line in lines[1:-1]] == ["layer", "layer"]
    again = mydocker("pull", app).stderr.decode().splitlines()
    assert again == [lines[0], lines[-1]]
    assert mydocker("pull", "-q", app, "alpine") == Result(b"", b"", 0)
    assert _names(mydocker) == ["alpine:latest", "team/app:latest"]


def test_pull_on_a_terminal_shows_bars_and_leaves_lines(mydocker: Command, app: str) -> None:
    shown = _on_a_terminal(mydocker.argv("pull", app), mydocker)
    assert b"\x1b[" in shown and b"pulling team/app:latest" in shown and b"team/app:latest: sha256:" in shown


@pytest.mark.root
@pytest.mark.parametrize(
    ("quiet", "shown"), [((), True), (("-q",), False), (("--quiet",), False), (("-q=false",), True)]
)
def test_a_run_on_a_terminal_shows_its_pull_unless_it_is_quiet(
    mydocker: Command, quiet: tuple[str, ...], shown: bool
) -> None:
    printed = _on_a_terminal(mydocker.argv("run", *quiet, "alpine", "true"), mydocker)
    assert printed.startswith(b"pulling alpine:latest") if shown else printed == b""


FORKS = """
import os, sys, threading
fork = os.fork
def watched():
    assert threading.active_count() == 1, threading.enumerate()
    return fork()
os.fork = watched
from mydocker.cli import main
sys.exit(main())
"""


@pytest.mark.root
def test_bars_are_no_thread_where_there_is_a_fork(mydocker: Command, app: str) -> None:
    """fork(2): of several threads the child has one, and locks that the others hold for ever."""
    ours = [sys.executable, "-Pc", FORKS]
    assert b"team/app:latest: sha256:" in _on_a_terminal([*ours, "pull", app], mydocker)
    assert b"mine/app:1: sha256:" in _on_a_terminal([*ours, "push", app, "--to", "mine/app:1"], mydocker)


def _on_a_terminal(argv: list[str], mydocker: Command) -> bytes:
    """What the command ARGV, which succeeds, shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**mydocker.environment, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while len(piece := _read(ours)):
        shown += piece
    os.close(ours)
    assert (done.stdout, done.returncode) == (b"", 0), shown
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: nobody has the other end any more
        return b""


def test_images_as_a_table(mydocker: Command, app: str) -> None:
    assert mydocker("images") == Result(b"REPOSITORY   TAG       IMAGE ID   PLATFORM   CREATED   SIZE\n", b"", 0)
    mydocker("pull", app)
    [row] = _json(mydocker("images", "--format", "json"))
    cells = mydocker("images").stdout.decode().splitlines()[1].split()
    assert cells[:5] == ["team/app", "latest", row["id"][7:19], "linux/amd64", "2024-01-01T00:00:00"]
    assert row["size"] == 2000 < row["download"]


IN_TEMPLATES = {  # the words of `images` or `history` -> what they print of image ID, whose layer has 2,000 bytes
    "images --format {{.Repository}}:{{.Tag}}": "team/app:latest",
    "images --format {{.Tag}} -q": "ID12",
    "images --no-trunc -q": "sha256:ID",
    "images --format {{.ID}}": "ID12",
    "images --no-trunc --format {{.ID}}": "sha256:ID",
    "images --format {{.Size}},{{.VirtualSize}},{{.CreatedAt}}": "2kB,2kB,2024-01-01 00:00:00 +0000 UTC",
    r"images --format table\x20{{.Repository}}\t{{.Tag}}": "REPOSITORY   TAG\nteam/app     latest",
    "images --format {{.Tag}} -f dangling=false": "latest",
    "images --format {{.Tag}} -f dangling=true": "",
    "images --format {{.Tag}} --filter reference=team/*": "latest",
    "images --format {{.Tag}} -f reference=other": "",
    "images --format {{.Tag}} -f reference=other -f reference=team/app:latest": "latest",
    "images --format {{.Tag}} -f label=a": "latest",
    "images --format {{.Tag}} -f label=a=1 -f label=b": "latest",
    "images --format {{.Tag}} -f label=a=2": "",
    "images --format {{.Tag}} -f label=a -f label=c": "",
    "images --format {{.Tag}} -f label!=c -f dangling=F": "latest",
    "images --format {{.Tag}} -f label!=a": "",
    "images --format {{.Repository}} -f before=team/app": "team/old",
    "images --format {{.Repository}} -f since=team/old:latest": "team/app",
    "history --format {{.CreatedBy}} team/app": "COPY top /",
    "history --format {{.Size}},{{.CreatedAt}} team/app": "2kB,2024-01-03T00:00:00Z",
    "history -q team/app": "ID12",
    "history -q --no-trunc team/app": "sha256:ID",
}


def test_templates_and_filters(mydocker: Command, registry: Registry) -> None:
    history = [{"created": "2024-01-03T00:00:00Z", "created_by": "COPY top /"}]
    layers = [layer({"top": bytes(2000)})]
    registry.push(oci.image(layers, labels={"a": "1", "b": ""}, config={"history": history}), "team/app")
    registry.push(oci.image(layers, config={"created": "2023-01-01T00:00:00Z"}), "team/old")
    mydocker("pull", "-q", "team/app")
    whole = _json(mydocker("images", "--format", "json"))[0]["id"].removeprefix("sha256:")
    found, expected = {}, {}
    for words, text in IN_TEMPLATES.items():
        if "before=" in words:
            mydocker("pull", "-q", "team/old")
        found[words] = _printed(mydocker, words)
        expected[words] = text.replace("ID12", whole[:12]).replace("ID", whole) if "REPOSITORY" not in text else text
        if "since=" in words:
            mydocker("rmi", "team/old")
    assert found == expected


def _printed(mydocker: Command, words: str) -> str:
    done = mydocker(*(word.replace(r"\x20", " ") for word in words.split()))
    assert (done.stderr, done.code) == (b"", 0), words
    return done.stdout.decode().removesuffix("\n")


def test_images_with_digests(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app)
    [row] = _json(mydocker("images", "--format", "json"))
    heading, line = mydocker("images", "--digests").stdout.decode().splitlines()
    assert heading.split()[:3] == ["REPOSITORY", "TAG", "DIGEST"] and line.split()[2] == row["digest"]


def test_images_by_name_and_their_ids_alone(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app, "alpine")
    mydocker("tag", app, "team/other:1")

    def listed(*words: str) -> list[str]:
        return sorted(line.split()[0] for line in mydocker("images", *words).stdout.decode().splitlines()[1:])

    assert listed() == listed("-a") == ["alpine", "team/app", "team/other"]
    assert listed("alpine") == listed("docker.io/library/alpine") == listed("alpine:latest") == ["alpine"]
    assert listed("team/*") == ["team/app", "team/other"] and listed("*:1") == ["team/other"]
    assert listed("alp") == listed("alpine:1") == []
    ids = mydocker("images", "-q", "team/*").stdout.decode().split()
    assert len(ids) == 1 and len(ids[0]) == 12, "two names of one image"
    assert [row["tag"] for row in _json(mydocker("images", "--format", "json", "team/other"))] == ["1"]
    assert mydocker("rmi", *ids).code == 0 and listed() == ["alpine"]


def test_inspect_has_the_keys_of_docker(mydocker: Command, app: str) -> None:
    mydocker("pull", app)
    [found] = _json(mydocker("inspect", app))
    assert found["RepoTags"] == ["team/app:latest"] and found["RepoDigests"] == [f"team/app@{found['Digest']}"]
    assert (found["Os"], found["Architecture"], found["Config"]["Env"]) == ("linux", "amd64", ["A=1"])
    assert len(found["RootFS"]["Layers"]) == 2 and all(pathlib.Path(path).is_dir() for path in found["LayerDirs"])
    for name in (found["Id"], found["Id"][7:19], f"team/app@{found['Digest']}", "docker.io/team/app:latest"):
        assert _json(mydocker("inspect", name)) == [found]


def test_history_is_the_last_step_first_and_harmless(mydocker: Command, app: str) -> None:
    mydocker("pull", app)
    steps = _json(mydocker("history", app, "--format", "json"))
    assert [step["created_by"] for step in steps] == ["COPY top /", "ENV \x1b[31mA=1", "COPY base /"]
    assert [step["size"] > 0 for step in steps] == [True, False, True]
    table = mydocker("history", app).stdout
    assert b"\x1b" not in table and b"\\x1b[31mA=1" in table and table.count(b"\n") == 4


def test_tag_and_rmi(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app)
    assert mydocker("tag", app, "mine:1") == Result(b"", b"", 0)
    assert _names(mydocker) == ["mine:1", "team/app:latest"]
    assert mydocker("rmi", app) == Result(b"Untagged: team/app:latest\n", b"", 0)
    [left] = _json(mydocker("inspect", "mine:1"))
    removed = mydocker("rmi", left["Id"][7:20]).stdout.decode().splitlines()
    names = ["Untagged: mine:1", f"Untagged: team/app@{left['Digest']}"]
    assert removed == [*names, f"Deleted: {left['Id']}"]
    assert _names(mydocker) == [] and list((mydocker.store / "refs").iterdir()) == []


@pytest.mark.parametrize("name", ["sha256:abc", f"sha256:{'0' * 64}", "sha256"])
def test_a_new_name_must_not_look_like_an_id(mydocker: Command, app: str, name: str) -> None:
    assert mydocker("pull", "-q", app).code == 0
    done = mydocker("tag", app, name)
    assert done.code == 2 and b"must not look like an image's ID" in done.stderr
    assert _names(mydocker) == ["team/app:latest"]


def test_a_digest_means_the_same_to_every_command(mydocker: Command, registry: Registry, app: str) -> None:
    """Whichever repository it was pulled from, and with any other tag."""
    assert mydocker("pull", "-q", app).code == 0
    digest = _json(mydocker("inspect", app))[0]["Digest"]
    for name in (f"{app}@{digest}", f"{app}:other@{digest}", f"{registry.address}/mirror@{digest}"):
        assert mydocker("pull", "-q", "--offline", name).code == 0
        assert _json(mydocker("inspect", name))[0]["Digest"] == digest
        assert mydocker("history", name).code == mydocker("tag", name, "again").code == 0
    assert mydocker("rmi", "again", app).code == 0
    assert mydocker("rmi", f"{registry.address}/mirror@{digest}").code == 1


def test_rmi_of_several_removes_all_or_none(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app, "alpine")
    assert mydocker("rmi", app, "nonesuch").code == 1
    assert _names(mydocker) == ["alpine:latest", "team/app:latest"]
    assert mydocker("rmi", app, "alpine", app).code == 0
    assert _names(mydocker) == []


@pytest.mark.root
def test_rmi_with_force_does_not_mind_what_is_missing(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app)
    assert mydocker("rmi", "nonesuch", app).code == 1 and _names(mydocker)
    assert mydocker("rmi", "-f", "nonesuch", app).code == 0 and not _names(mydocker)
    assert mydocker("rmi", "-f", "nonesuch") == Result(b"", b"", 0)
    assert mydocker("prune", "-f").code == 0


def test_an_archive_has_the_names_that_were_given(mydocker: Command, app: str, tmp_path: pathlib.Path) -> None:
    """And not others of the same image."""
    mydocker("pull", "-q", app)
    mydocker("tag", app, "mine:1")
    mydocker("tag", app, "mine:2")
    identity = _json(mydocker("inspect", app))[0]["Id"]
    everything = ["mine:1", "mine:2", "team/app:latest"]
    for names, expected in (
        (["mine:2"], ["mine:2"]),
        (["mine:1", app], ["mine:1", "team/app:latest"]),
        ([identity], everything),
    ):
        assert mydocker("save", "-o", str(tmp_path / "x.tar"), *names).code == 0
        mydocker("rmi", identity)
        lines = mydocker("load", "-q", "-i", str(tmp_path / "x.tar")).stdout.decode().splitlines()
        assert sorted(lines) == [f"Loaded image: {name}" for name in expected]
        for name in everything:
            mydocker("tag", identity, name)


def test_an_id_is_a_name_of_what_to_run(mydocker: Command) -> None:
    mydocker("pull", "-q", "alpine")
    [row] = _json(mydocker("images", "--format", "json"))
    for name in (row["id"], row["id"][:19], row["id"][7:19], row["id"][7:]):
        done = mydocker("run", "--network", "none", "--pull", "never", name, "echo", "hey")
        assert done == Result(b"hey\n", b"", 0), name


def test_a_name_that_is_there_is_not_taken_for_an_id(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app, "alpine")
    ids = {row["repository"]: row["id"] for row in _json(mydocker("images", "--format", "json"))}
    mydocker("tag", app, ids["alpine"][7:15])
    assert _json(mydocker("inspect", ids["alpine"][7:15]))[0]["Id"] == ids["team/app"]
    assert mydocker("run", "--dry-run", "--pull", "never", ids["alpine"][7:14], "x").code == 0


def test_what_is_in_files_is_no_name_in_the_store(mydocker: Command, tmp_path: pathlib.Path) -> None:
    """Though the store has an image of the same short name."""
    layout = oci.write_layout(tmp_path / "busy", oci.image([layer({"a": b"1"})]), tag="1")
    assert mydocker("pull", "-q", f"oci:{layout}:1").code == 0
    for words in (("save", "-o", "x"), ("rmi",), ("inspect",), ("history",), ("tag", "localhost/busy:1"), ("tag",)):
        after = ("y:1",) if words == ("tag",) else ()
        done = mydocker(*words, "oci:/nonexistent/busy:1", *after, cwd=tmp_path)
        assert (done.stdout, done.code) == (b"", 2), words
        assert b"in files" in done.stderr and b"localhost/busy:1" in done.stderr
    assert _names(mydocker) == ["localhost/busy:1"] and not (tmp_path / "x").exists()


def test_tag_and_history_know_platforms(mydocker: Command, registry: Registry) -> None:
    history = {name: {"history": [{"created_by": f"for {name}"}]} for name in ("amd64", "arm64")}
    built = [oci.image([layer({"a": b"1"})], architecture=name, config=config) for name, config in history.items()]
    registry.push(oci.index(built), "team/steps")
    for name in ("amd64", "arm64"):
        mydocker("pull", "-q", "--platform", name, "team/steps")
        [step] = _json(mydocker("history", "--platform", f"linux/{name}", "--format", "json", "team/steps"))
        assert step["created_by"] == f"for {name}"
    mydocker("tag", "team/steps", "both:1")
    mydocker("tag", "--platform", "AArch64", "team/steps", "one:1")
    rows = [(row["repository"], row["platform"]) for row in _json(mydocker("images", "--format", "json"))]
    assert rows == [
        ("both", "linux/amd64"),
        ("team/steps", "linux/amd64"),
        ("both", "linux/arm64"),
        ("one", "linux/arm64"),
        ("team/steps", "linux/arm64"),
    ]


@pytest.mark.parametrize("command", ["pull", "lock", "run"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "not a container image"),
        ({"schemaVersion": 3}, "manifest: its schemaVersion is not 2"),
        ({"layers": [{}]}, "manifest: layer 1: digest"),
    ],
)
def test_what_is_wrong_with_an_image_names_it(
    mydocker: Command, tmp_path: pathlib.Path, command: str, changes: dict[str, Any], said: str
) -> None:
    """Of several, who would know which."""
    good = oci.image([layer({"a": b"1"})])
    manifest = json.loads(good.manifest)
    config = {**manifest["config"], **changes.get("config", {})}
    bad = good.with_manifest(**{**changes, "config": config})
    with lab.serve() as hub:
        for image, tag in ((good, "good"), (bad, "bad")):
            hub.blobs.update(image.blobs)
            hub.tag(image.manifest, tag, media_type=image.media_type)
        names = [f"{hub.address}/a:{tag}" for tag in ("good", "bad")]
        (tmp_path / "x.yaml").write_text("---\n".join(f"image: {name}\ncommand: ls\n" for name in names))
        words = {"pull": names, "lock": ["--lock-file", "-", "x.yaml"], "run": [names[1], "ls"]}[command]
        done = mydocker(command, *words, cwd=tmp_path)
    assert done.code == 125 and f"mydocker: image {names[1]}: {said}" in done.stderr.decode(), done


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docker-daemon:alpine:3", "'docker save NAME | mydocker load'"),
        ("containers-storage:alpine", "'podman save NAME | mydocker load'"),
        ("https://r.io/a", "leave out 'https://'"),
        ("http://r.io/a", "leave out 'http://'"),
        ("./a.tar", "docker-archive:FILE"),
    ],
)
def test_what_people_take_for_a_name(mydocker: Command, name: str, said: str) -> None:
    for words in (["pull", name], ["run", name, "true"], ["inspect", name]):
        done = mydocker(*words)
        assert done.code in (2, 125) and b"invalid image reference" in done.stderr and said in done.stderr.decode()


def test_images_for_another_platform(mydocker: Command, registry: Registry) -> None:
    built = [oci.image([layer({"a": name.encode()})], architecture=name) for name in ("amd64", "arm64")]
    registry.push(oci.index(built), "team/both")
    assert mydocker("pull", "-q", "--platform", "linux/arm64", "team/both").code == 0
    assert [each["Architecture"] for each in _json(mydocker("inspect", "team/both"))] == ["arm64"]
    mydocker("pull", "-q", "--platform", "amd64", "team/both")
    assert [each["Architecture"] for each in _json(mydocker("inspect", "team/both"))] == ["amd64"]
    assert [row["platform"] for row in _json(mydocker("images", "--format", "json"))] == ["linux/amd64", "linux/arm64"]
    assert mydocker("rmi", "--platform", "linux/arm64", "team/both").code == 0
    assert [row["platform"] for row in _json(mydocker("images", "--format", "json"))] == ["linux/amd64"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("pull",), 2, "IMAGE"),
        (("pull", "Nonsense"), 2, "lower-case"),
        (("pull", "--platform", "x/y/z/w", "alpine"), 2, "platform"),
        (("pull", "nonesuch/at-all"), 1, "not found"),
        (("inspect", "nonesuch", "-f", "{{.Id}}"), 1, "no such container or image: nonesuch"),
        (("inspect", "nonesuch", "-f", "{{.Id}}", "--platform", "linux/arm64"), 1, "linux/arm64"),
        (("inspect", "nonesuch", "-f", "{{.Id}}", "--type", "image"), 1, "not in the store"),
        (("history", "nonesuch"), 1, "not in the store"),
        (("history",), 2, "IMAGE"),
        (("tag", "nonesuch", "x"), 1, "not in the store"),
        (("tag", "x"), 2, "NAME"),
        (("tag", "x", "Y"), 2, "lower-case"),
        (("rmi", "sha256:0123456789ab"), 1, "not in the store"),
        (("images", "--format", "{{.ID"), 2, "has no end"),
        (("images", "-f", "nonesuch=1"), 2, "unknown key 'nonesuch'"),
        (("images", "-f", "dangling=x"), 2, "dangling=true or dangling=false"),
        (("images", "-f", "before=nonesuch"), 1, "image nonesuch is not in the store"),
        (("images", "one", "two"), 2, "two"),
    ],
)
def test_refusals(mydocker: Command, words: tuple[str, ...], code: int, said: str) -> None:
    done = mydocker(*words)
    assert (done.stdout, done.code) == (b"", code) and said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_damaged_name_is_not_listed_and_does_not_hide_the_others(mydocker: Command, app: str) -> None:
    mydocker("pull", "-q", app, "alpine")
    for path in (mydocker.store / "refs" / "docker.io" / "team").rglob("linux-*"):
        path.write_bytes(b"\xff" + path.read_bytes())
    rows = [row["repository"] for row in _json(mydocker("images", "--format", "json"))]
    assert rows == ["alpine", "team/app"]  # the second one by its digest only
    assert mydocker("inspect", app).code == 1
    assert mydocker("pull", "-q", app).code == 0 == mydocker("inspect", app).code


def test_every_command_explains_itself(mydocker: Command) -> None:
    overview = mydocker("--help").stdout.decode()
    for command in ("pull", "images", "inspect", "history", "tag", "rmi"):
        done = mydocker(command, "--help")
        assert done.code == 0 and f"Usage: mydocker {command}" in done.stdout.decode()
        assert f"\n  {command} " in overview


def test_a_reader_that_leaves_ends_a_command(mydocker: Command, registry: Registry) -> None:
    """`mydocker inspect IMAGE | head -1` has what it wanted, however much there is."""
    for number, labels in enumerate(({}, {f"k{n}": "v" * 100 for n in range(5000)})):
        registry.push(oci.image([layer({"a": b"1"})], labels=labels), f"cli/labels{number}")
        assert mydocker("pull", "-q", f"cli/labels{number}").code == 0
        with mydocker.start("inspect", f"cli/labels{number}") as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            assert process.wait(timeout=240) == 128 + signal.SIGPIPE and process.stderr.read() == b""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00"),
        ("2024-05-01T23:30:00.123456789-05:30", "2024-05-02T05:00:00"),
        ("2024-05-01T10:00:00.1Z", "2024-05-01T10:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_time_is_shown_in_utc(text: str, shown: str) -> None:
    assert shown_time(text) == shown


def test_inspect_shows_what_there_is(mydocker: Command, app: str) -> None:
    """An array in any case, as programs read it."""
    assert mydocker("pull", "-q", app).code == 0
    done = mydocker("inspect", "nonesuch", app, "neither")
    assert done.code == 1
    assert [app in tag for each in json.loads(done.stdout) for tag in each["RepoTags"]] == [True]
    assert [name in done.stderr.decode() for name in ("nonesuch", "neither")] == [True, True]
    assert mydocker("inspect", "nonesuch").stdout == b"[]\n"
