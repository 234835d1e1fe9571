"""Spec files: what each key becomes, and every mistake at its place."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from lab.places import EXAMPLES

from mydocker.errors import SpecError
from mydocker.reference import Platform, Reference
from mydocker.specs.load.load import load_files
from mydocker.specs.model import NAMESPACES, BindMount, ContainerSpec, User
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.nodes.yaml import SIZE_LIMIT

ENVIRON = {"V": "v", "HOME": "/home/me", "TAG": "3.20"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | bytes) -> list[CaseSpec]:
    Path("spec.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load_files(["spec.yaml"], environ=ENVIRON)


def one(text: str) -> ContainerSpec:
    (spec,) = load(text)
    return spec.container


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text)
    assert caught.value.exit_code == 125
    return [line.removeprefix("spec.yaml:") for line in caught.value.problems]


@pytest.mark.parametrize(
    ("yaml", "field", "value"),
    [
        ("name: web answers", "name", "web answers"),
        ("platform: linux/arm64", "platform", Platform(os="linux", architecture="arm64")),
        ("pull_policy: if_not_present", "pull_policy", "missing"),
        ("labels: {a: 1, b: }", "labels", {"a": "1", "b": ""}),
        ("labels: [a=1, b]", "labels", {"a": "1", "b": ""}),
        ("environment: {A: no, B: 22:22, C: 1.10, D: 0x1F, E: '', V: , NOPE: ~}", "environment",
         {"A": "no", "B": "22:22", "C": "1.10", "D": "0x1F", "E": "", "V": "v", "NOPE": None}),
        ("environment: [A=1, V, NOPE, 'B=a b=c']", "environment", {"A": "1", "V": "v", "NOPE": None, "B": "a b=c"}),
        ("environment: {A: $V, B: '${NOPE:-d}', C: $$V}", "environment", {"A": "v", "B": "d", "C": "$V"}),
        ("cgroup: host", "namespaces", ("mount", "pid", "uts", "ipc")),
        ("user: 1000:1000", "user", User(user=1000, group=1000)),
        ("user: ''", "user", None),
        ("working_dir: /srv", "working_dir", "/srv"),
        ("hostname: web", "hostname", "web"),
        ("inject: [/bin/sh]", "inject", ("/bin/sh",)),
        ("timeout: 1m30s", "timeout", 90.0),
        ("timeout: 90", "timeout", 90.0),
        ("timeout: null", "timeout", None),
        ("mem_limit: 1.5g", "mem_limit", 3 << 29),
        ("mem_limit: 10000000\nmemswap_limit: -1", "memswap_limit", -1),
        ("cpus: 0.5", "cpus", 0.5),
        ("cpus: 1", "cpus", 1.0),
        ("cpuset: 0,1", "cpuset", (0, 1)),
        ("cpuset: 1", "cpuset", (1,)),
        ("pids_limit: 20", "pids_limit", 20),
        ("tty: yes", "tty", True),
        ("tty: 'false'", "tty", False),
        ("stdin_open: true", "stdin_open", True),
        ("network_mode: none", "namespaces", NAMESPACES),
        ("namespaces: [pid, mount]", "namespaces", ("mount", "pid")),
        ("namespaces: []", "namespaces", ()),
        ("namespaces: [net]", "network_mode", "none"),
        ("namespaces: {net: private}", "network_mode", "none"),
        ("namespaces: {net: private, pid: host}", "namespaces", ("mount", "uts", "ipc", "net", "cgroup")),
        ("namespaces: {net: host}", "network_mode", "host"),
        ("x-mine: {a: [$]}\nx_: ${", "name", None),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_keys(yaml: str, field: str, value: object) -> None:
    assert getattr(one(f"image: alpine\n{yaml}"), field) == value


@pytest.mark.parametrize(
    ("yaml", "entrypoint", "command"),
    [
        ("", None, None),
        ("command: null", None, None),
        ("command: []", None, ()),
        ("command: ''", None, ()),
        ("command: sh -c 'a  b' \"c d\"", None, ("sh", "-c", "a  b", "c d")),
        ("command: [a b, 1, no]", None, ("a b", "1", "no")),
        ("args: [x]", None, ("x",)),
        ("args: x y", None, ("x", "y")),
        ("command: [a, b]\nargs: [c]", ("a", "b"), ("c",)),
        ("command: a\nargs: []", ("a",), ()),
        ("entrypoint: a b", ("a", "b"), ()),
        ("entrypoint: []", (), ()),
        ("entrypoint: a\ncommand: b c", ("a",), ("b", "c")),
        ("entrypoint: a\nargs: b c", ("a",), ("b", "c")),
    ],
)
def test_what_is_run(yaml: str, entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None) -> None:
    spec = one(f"image: alpine\n{yaml}")
    assert (spec.entrypoint, spec.command) == (entrypoint, command)


def test_paths_count_from_the_file(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "env").write_text("A='1'\n")
    (here / "sub" / "c.yaml").write_text("rootfs: tree\nenv_file: env\nvolumes: ['.:/x', '~/d:/y:ro']\n")
    spec = load_files(["sub/c.yaml"], environ=ENVIRON)[0].container
    assert spec.rootfs == str(here / "sub/tree")
    assert spec.environment == {"A": "1"}
    assert spec.volumes == (
        BindMount(source=str(here / "sub"), target="/x"),
        BindMount(source="/home/me/d", target="/y", read_only=True),
    )
    assert str(spec.origin) == "sub/c.yaml:1"


def test_long_volumes() -> None:
    spec = one(
        "image: a\nvolumes:\n- {type: bind, source: /a, target: /b, read_only: true}\n"
        "- type: bind\n  source: ./a:b\n  target: /c\n"
        "  bind: {propagation: rslave, create_host_path: false}\n"
    )
    assert spec.volumes == (
        BindMount(source="/a", target="/b", read_only=True),
        BindMount(source=os.path.abspath("a:b"), target="/c", propagation="rslave"),
    )


def test_env_files_lie_under_the_environment(here: Path) -> None:
    (here / "one").write_text("A=1\nB=1\nC=1\nD=$V\n")
    (here / "two").write_text("B='2'\nC=2\n")
    (here / "raw").write_text("Q='$V'\n")
    spec = one(
        "image: a\nenvironment: {C: 3}\nenv_file: [one, {path: two}, {path: gone, required: false}, "
        "{path: raw, format: raw}]\n"
    )
    assert spec.environment == {"A": "1", "B": "2", "C": "3", "D": "v", "Q": "'$V'"}


def test_dot_env_lies_under_the_environment(here: Path) -> None:
    (here / ".env").write_text("TAG=1\nNAME=${TAG}-x\n")
    spec = one("image: alpine:$TAG\nname: $NAME\nenvironment: [NAME]\n")
    assert (spec.image, spec.name) == (Reference.parse("alpine:3.20"), "3.20-x")
    assert spec.environment == {"NAME": "3.20-x"}


def test_several_documents_files_and_stdin(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "a").write_text("#!/usr/bin/env -S mydocker up\nimage: a\n---\n---\nimage: b\n---\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"image: c\nrootfs: \n")))
    specs = [spec.container for spec in load_files(["a", "-"], environ={})]
    assert [spec.image and spec.image.familiar for spec in specs] == ["a:latest", "b:latest", "c:latest"]
    assert [str(spec.origin) for spec in specs] == ["a:2", "a:5", "<stdin>:1"]


@pytest.mark.parametrize("merge", ["<<", "!!merge <<", "!<tag:yaml.org,2002:merge> <<"])  # as programs in Go write it
def test_anchors_and_merges(merge: str) -> None:
    spec = one(
        "x-env: &env {A: 1, B: 1}\nx-more: &more {B: 2, C: 2}\nx-base: &base {image: alpine, tty: true}\n"
        f"{merge}: *base\ntty: false\nenvironment:\n  {merge}: [*env, *more]\n  C: 3\n"
    )
    assert spec.image and not spec.tty
    assert spec.environment == {"A": "1", "B": "1", "C": "3"}


def test_json_is_yaml() -> None:
    assert one(json.dumps({"image": "a", "name": "x😀", "tty": True, "command": ["é\t"]})).name == "x😀"


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("comand: x\nimage: a", ["1:1: unknown key 'comand'; did you mean 'command'?"]),
        ("port: {'tcp:80': {listening: true}}\nservice: {sshd: {running: true}}\n",
         ["1:1: a file of goss, which is not read: docs/migrate.md has the same checks"]),
        ("service: {web: {image: a}}", ["1:1: unknown key 'service'; did you mean 'services'?"]),
        ("image: a\n!!merge labels: {a: b}", ["2:1: tag 'tag:yaml.org,2002:merge' is not supported"]),
        ("imag: a", ["1:1: unknown key 'imag'; did you mean 'image'?"]),
        ("image: a\nenv: {}", ["2:1: unknown key 'env'; did you mean 'environment'?"]),
        ("image: a\nqqqqq: 1", ["2:1: unknown key 'qqqqq'"]),
        ("image: a\npost_start: x", ["2:13: expected a list of commands"]),
        ("image: a\ndevice_cgroup_rules: [c 1:3 r, 'c 1:y rw', a 1 rw]",
         ["2:23: device rule 'c 1:3 r': permissions 'r' cannot be enforced: the device's own mode decides (write rw or "
          "rwm)", "2:32: device rule 'c 1:y rw': 'y' is neither a number nor *",
          "2:44: device rule 'a 1 rw': expected KIND MAJOR:MINOR PERMISSIONS, such as 'c 189:* rmw'"]),
        ("image: a\nimage: b", ["2:1: duplicate key 'image', first on line 1"]),
        ("name: x", ["1:1: no image: one of image and rootfs is needed"]),
        ("image: a\nrootfs: /", ["2:1: image and rootfs exclude each other"]),
        ("image: A", ["1:8: invalid image reference 'A': 'A': a repository name is lower-case"]),
        ("image: [a]", ["1:8: expected text, not a list"]),
        ("- image: a", ["1:1: expected keys and values, such as 'image: alpine'"]),
        ("alpine", ["1:1: expected keys and values, such as 'image: alpine'"]),
        ("", ["1:1: there is no container in this file"]),
        ("# nothing\n---\n", ["1:1: there is no container in this file"]),
        ("image: a\ncommand: [a, null, {}]", ["2:14: expected text, not null", "2:20: expected text, not a mapping"]),
        ("image: a\ncommand: a 'b", ["2:10: no closing quotation in \"a 'b\""]),
        ("image: a\nentrypoint: a\ncommand: b\nargs: c",
         ["4:1: entrypoint, command and args together: write entrypoint and args"]),
        ("image: a\nargs: [x]\ncommand: []", ["3:1: command is empty, and with args it is the program"]),
        ("image: a\ntty: 5", ["2:6: expected true or false, not '5'"]),
        ("image: a\nenvironment: {'A=B': c, '': d, e: [f]}",
         ["2:15: a name cannot have '=' in it: 'A=B'", "2:25: an environment variable needs a name: NAME=VALUE",
          "2:35: expected text, not a list"]),
        ("image: a\nnamespaces: [net]\nnetwork_mode: host",
         ["2:1: a net namespace of its own contradicts network_mode 'host'"]),
        ("image: a\nnamespaces: {net: host}\nnetwork_mode: none",
         ["2:1: network_mode 'none' needs the net namespace"]),
        ("image: a\nnamespaces: {uts: host}\nhostname: x", ["3:1: a host name of its own needs the uts namespace"]),
        ("image: a\nnamespaces: {network: host}", ["2:14: unknown key 'network'; did you mean 'net'?"]),
        ("image: a\nvolumes: /a:/b", ["2:10: expected a list of volumes"]),
        ("image: a\nenv_file: gone", None),
        ("image: a\nname: ${", ["2:7: a '${' without its '}' (write $$ for a dollar sign)"]),
        ("image: ${IMG:?say which}", ["1:8: variable IMG is needed and not set: say which"]),
        ("image: !reset a", ["1:8: tag '!reset' is for Compose files"]),
        ("image: a\nx-a: &a [*a]", ["2:10: alias 'a' stands within what it names"]),
        ("image: *nope", ["1:8: alias 'nope' has no anchor before it"]),
        ("image: a\n<<: 5", ["2:5: '<<' takes a mapping, or a list of them"]),
        ("image: a\n? [b]\n: c", ["2:3: a key must be text"]),
        ("image: a\n\ttty: true", ["2:1: not YAML: a tab where only spaces may indent"]),
        ("image: a\nname: b\x07", ["2:8: control character U+0007"]),
        ('image: a\nname: "\\0"', ["2:7: a NUL character cannot be part of any value"]),
        ('image: a\nname: "\\ud800"', ["2:7: an escape is half of a surrogate pair"]),
        (b"image: a\nname: \xe9", ["2:7: not UTF-8: byte 0xe9"]),
        (b"\xff\xfei\0m\0", ["1:1: not UTF-8: byte 0xff"]),
        (b"#" * (SIZE_LIMIT + 1), [f"1:1: larger than {SIZE_LIMIT} bytes"]),
        ("[" * 100_000, ["1:66: nested more than 64 deep"]),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_every_mistake_has_its_place(yaml: str | bytes, expected: list[str] | None) -> None:
    found = problems(yaml)
    if expected is None:
        assert found == [f"2:11: env file {os.path.abspath('gone')!r}: no such file or directory"]
    else:
        assert found == expected


def test_all_mistakes_of_all_files_at_once(here: Path) -> None:
    (here / "a").write_text("comand: x\nimage: A\n---\nimage: a\ntimeout: x\n")
    (here / "b").write_text("image: [\n")
    with pytest.raises(SpecError) as caught:
        load_files(["a", "gone", "b"], environ={})
    assert [line.split(": ")[0] for line in caught.value.problems] == ["a:1:1", "a:2:8", "a:5:10", "gone", "b:2:1"]
    assert caught.value.problems[3] == "gone: cannot read it: no such file or directory"


@pytest.mark.parametrize("name", ["hello", "args-and-env", "sequence", "volumes"])
def test_examples_are_right(name: str) -> None:
    assert load_files([str(EXAMPLES / f"{name}.yaml")], environ={})


def test_hello_says_what_the_readme_says() -> None:
    spec = load_files([str(EXAMPLES / "hello.yaml")], environ={})[0].container
    assert (spec.name, spec.rootfs) == ("hello", "/")
    assert (spec.entrypoint, spec.command) == (("echo",), ("hello", "from", "a", "container"))


def test_label_files_lie_under_the_labels(here: Path) -> None:
    (here / "one").write_text("# comment\na=1\nb=1\nalone\n")
    (here / "two").write_text("b=2\nc='2'\n")
    spec = one("image: a\nlabel_file: [one, two]\nlabels: {c: 3}\n")
    assert spec.labels == {"a": "1", "b": "2", "alone": "", "c": "3"}
    assert one("image: a\nlabel_file: two").labels == {"b": "2", "c": "'2'"}
    assert problems("image: a\nlabel_file: gone") == [
        f"2:13: label file {os.path.abspath('gone')!r}: no such file or directory"
    ]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("command: x\n", ["given"]),
        ("name: a\n---\nimage: own\n---\nname: b\n", ["given", "own", "given"]),
        ("name: a\nrootfs: /\n", [""]),
        ("name: a\nimage: own\n---\nextends: a\n", ["own", "own"]),
        ("name: a\n---\nextends: a\ntty: true\n", ["given", "given"]),
        ("services: {a: {command: x}, b: {image: own}}", ["given", "own"]),
        ("name: a\nmatrix: {V: [1, 2]}\n", ["given", "given"]),
    ],
)
def test_an_image_for_containers_that_name_none(text: str, images: list[str]) -> None:
    Path("spec.yaml").write_text(text)
    specs = [spec.container for spec in load_files(["spec.yaml"], environ={}, image="given")]
    assert [spec.image.familiar.removesuffix(":latest") if spec.image else "" for spec in specs] == images


def test_an_image_that_is_none_is_named_once() -> None:
    Path("spec.yaml").write_text("command: x\n")
    with pytest.raises(SpecError) as caught:
        load_files(["spec.yaml"], environ={}, image="A B")
    assert len(caught.value.problems) == 1 and caught.value.problems[0].startswith("spec.yaml:1:1: ")


@pytest.mark.parametrize(
    "without",
    [
        "rootfs: /\n",
        "image: a\nhealthcheck: {disable: true}\n",
        "image: a\nhealthcheck: {test: [NONE]}\n",
        "rootfs: /\nhealthcheck: {retries: 3}\n",
    ],
)
def test_waiting_for_what_has_no_healthcheck_is_a_mistake_at_its_place(without: str) -> None:
    Path("spec.yaml").write_text(
        f"name: db\n{without}---\nimage: a\ndepends_on:\n  db: {{condition: service_healthy}}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_files(["spec.yaml"], environ={})
    line = 5 + without.count("\n")
    assert [*caught.value.problems] == [f"spec.yaml:{line}:3: 'db' has no healthcheck, and so is never healthy"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("build: .\n", ["1:1: build needs image, the name of the image that is built"]),
        ("services:\n  web: {build: {contxt: .}}\n", ["2:17: unknown key 'contxt'; did you mean 'context'?"]),
        ("services:\n  web: {build: {context: .}, comand: x}\n",
         ["2:30: unknown key 'comand'; did you mean 'command'?"]),
        ("services:\n  web: {provider: {type: x}}\n",
         ["2:9: provider is not supported yet: start what it provides by other means, and leave the service out"]),
        ("services:\n  web: {imag: a}\n", ["2:9: unknown key 'imag'; did you mean 'image'?"]),
        ("servces: {web: {image: a}}\n", ["1:1: unknown key 'servces'; did you mean 'services'?"]),
        ("service: {web: {image: a}}\n", ["1:1: unknown key 'service'; did you mean 'services'?"]),
        ("version: '3'\nServices: {web: {image: a}}\n", ["2:1: unknown key 'Services'; did you mean 'services'?"]),
        ("shemaVersion: 2.0.0\ncommandTests: []\n",
         ["1:1: unknown key 'shemaVersion'; did you mean 'schemaVersion'?"]),
        ("fileContentTests: []\n",
         ["1:1: fileContentTests is of container-structure-test, whose files begin with schemaVersion"]),
        ("image: a\nscale: 2\nversion: '3'\ndeploy: {}\n",
         [f"{line}:1: {key} is a key of Compose files: there, a container is an entry of services"
          for line, key in ((2, "scale"), (3, "version"), (4, "deploy"))]),
        ("image: a\ninclude: [{path: base.yaml, pth: z}]\n", ["2:29: unknown key 'pth'; did you mean 'path'?"]),
        ("image: a\ninclude: [{path: base.yaml, env_file: x}]\n", ["2:18: env file 'x': no such file or directory"]),
        ("image: a\nvolumes: [{type: image, source: b, target: /x}]\n",
         ["2:18: volume type 'image' is not supported: expected bind, volume, tmpfs"]),
        ("image: a\nvolumes: [{type: volume, source: ab, target: /x, volume: {labels: {a: b}}}]\n",
         ["2:59: labels is not supported yet"]),
        ("image: a\npre_start: [{command: x, user: y}]\n", ["2:26: user is not supported yet"]),
        ("image: a\nenv_file: [{path: nope, requird: false}]\n",
         ["2:25: unknown key 'requird'; did you mean 'required'?"]),
        ("image: a\nstdout: x\nexit_code: 1\n",
         ["2:1: stdout is a word of expect: write it below that key",
          "3:1: exit_code is a word of expect: write it below that key"]),
        ("image: a\naliases: [b]\nnetwork_mode: none\n",
         ["2:1: aliases need a network that containers share, such as bridge"]),
        ("image: a\naliases: b\n", ["2:10: expected a list"]),
        ("image: a\naliases: ['a b']\n", ["2:11: 'a b' is not a host name"]),
        ("image: a\nneeds: [x]\n", ["2:1: unknown key 'needs'; did you mean 'depends_on'?"]),
        ("image: a\nmounts: [x]\n", ["2:1: unknown key 'mounts'; did you mean 'volumes'?"]),
        ("image: a\nscrpt: x\n", ["2:1: unknown key 'scrpt'"]),
        ("image: a\npull_refresh_after: 1d\n", ["2:1: pull_refresh_after is not supported yet"]),
        ("image: a\npull_policy: build\n", ["2:1: build is for a container of a file, with the key build"]),
        *((f"image: a\npull_policy: {word}\n",
           [f"2:14: pull policy '{word}' is not supported yet (use missing, always or never)"])
          for word in ("newer",)),
        *((f"image: a\npull_policy: every_{word}\n",
           [f"2:14: pull policy 'every_{word}': expected every_ and a duration, such as every_12h or every_2d"])
          for word in ("", "x", "-1h", "2x", "1dx", "1.5d")),
    ],
)  # fmt: skip  # a table reads best with a case on a line
def test_a_mistake_is_one_error_in_the_right_words(text: str, expected: list[str]) -> None:
    Path("base.yaml").write_text("name: base\nimage: a\n")
    Path("spec.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        load_files(["spec.yaml"], environ={})
    assert [line.removeprefix("spec.yaml:") for line in caught.value.problems] == expected


NO_NUMBERS = ("1_0", "10_", "١٠", "１０", "²", "0x10", "+10")


@pytest.mark.parametrize("word", NO_NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        "mem_limit: W", "memswap_limit: W\nmem_limit: 64m", "shm_size: W", "cpuset: W", "pids_limit: W", "cpus: W",
        "timeout: W", "stop_grace_period: W", "umask: W", "stop_signal: W", "retries: W", "restart: on-failure:W",
        "ports: [W]", "ports: ['80:W']", "ports: [{target: W}]", "ports: [{target: 80, published: W}]",
        "ulimits: {nofile: W}", "ulimits: {nofile: {soft: 1, hard: W}}", "ulimits: ['nofile=1:W']",
        "tmpfs: ['/x:size=W']", "tmpfs: ['/x:mode=W']", "tmpfs: ['/x:uid=W']", "tmpfs: ['/x:nr_inodes=W']",
        "volumes: [{type: tmpfs, target: /x, tmpfs: {size: W}}]",
        "volumes: [{type: tmpfs, target: /x, tmpfs: {mode: W}}]",
        "configs: [{source: a, content: b, uid: W}]", "configs: [{source: a, content: b, mode: W}]",
        "healthcheck: {test: x, interval: W}", "healthcheck: {test: x, retries: W}",
        "expect: {exit_code: W}", "expect: {exit_code: [W]}", "expect: {exit_code: {lt: W}}",
        "expect: {duration: {lt: W}}", "expect: {max_memory: {lt: W}}", "expect: {within: W}",
        "expect: {stdout: {have-len: W}}", "expect: {stdout: {gt: W}}", "expect: {files: [{path: /x, size: W}]}",
        "expect: {files: [{path: /x, mode: W}]}", "expect: {metadata: {exposed_ports: [W]}}",
        "expect: {ports: {'tcp:W': listening}}", "expect: {http: {'http://x': {status: W}}}",
    ],
)  # fmt: skip
def test_only_ascii_digits_are_numbers(text: str, word: str) -> None:
    """Not what int(), float() and isdigit() take besides: other scripts' digits, underscores, signs, spaces."""
    spelt = text.replace("W", word if "W'" in text else f'"{word}"')
    Path("spec.yaml").write_text(f"image: a\n{spelt}\n")
    with pytest.raises(SpecError):
        load_files(["spec.yaml"], environ={})
