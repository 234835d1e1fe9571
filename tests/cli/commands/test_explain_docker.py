"""Docker takes the lines that `mydocker explain` prints: its client parses them, its daemon makes the container."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from lab import dockerd
from lab.command import Command, command
from lab.places import ROOT

pytestmark = pytest.mark.root

EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".yaml", ".container"))
EXAMPLES.remove("build.yaml")  # Docker has not built its images
NEWER = [f"{verb} Docker {version} or later" for verb in ("take", "takes") for version in (25, 26, 28)]
REFUSALS = (b"unexpected key", b"invalid field key", b"cannot be connected to network endpoints")  # of older ones


@pytest.fixture(scope="module")
def docker() -> Iterator[dockerd.Docker]:
    """A daemon that has the images which the lines name."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="explain-", dir="/tmp"))
    try:
        with dockerd.daemon(directory) as running:
            tree = directory / "tree"
            (tree / "bin").mkdir(parents=True)
            shutil.copy("/bin/busybox", tree / "bin/sh")
            subprocess.run(["tar", "-C", tree, "-cf", directory / "image.tar", "."], check=True)
            images = ("alpine:latest", "rootfs:latest", "registry.invalid/nonesuch:1", "localhost/x-tar:1")
            for image in images:
                running.must("import", "--change", 'CMD ["sh"]', directory / "image.tar", image)
            yield running
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def here(tmp_path: pathlib.Path) -> Command:
    return command(tmp_path, forks=True)


def _blocks(text: str) -> list[list[str]]:
    """The words of each `docker run` line that a shell finds in TEXT, where every other line is a comment."""
    script = 'docker() { printf "%s\\0" "$@" END; }\n' + text
    done = subprocess.run(["sh", "-eu"], input=script.encode(), capture_output=True)
    assert (done.stderr, done.returncode) == (b"", 0), text
    lines, words = [], done.stdout.decode().split("\0")[:-1]
    while words:
        end = words.index("END")
        lines.append(words[:end])
        del words[: end + 1]
    return lines


def _must_take(docker: dockerd.Docker, printed: bytes) -> list[list[str]]:
    text = printed.decode()
    lines = _blocks(text)
    assert lines
    newer = any(note in text for note in NEWER)
    for line in lines:
        assert line[0] == "run"
        assert (line[1] == "--rm") != ("--restart" in line)  # of which Docker takes one
        done = docker("create", *line[2 if line[1] == "--rm" else 1 :])
        if newer:
            assert any(message in done.stderr for message in REFUSALS), (line, done)
            continue
        assert done.code == 0, (line, done)
        docker.must("rm", "--force", "--volumes", done.stdout.decode().strip())
    return lines


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_line_of_an_example(docker: dockerd.Docker, here: Command, example: str) -> None:
    done = here("explain", f"{ROOT}/examples/{example}")
    assert done.code == 0, done
    _must_take(docker, done.stdout)


@pytest.mark.parametrize(
    "words",
    [
        "--name x",
        "--name ok-name",
        "--dns 1.1.1.1 --add-host a:1.2.3.4 --add-host b:::1",
        "--sysctl kernel.shm_next_id=1 --sysctl kernel.msgmax=1 --sysctl fs.mqueue.msg_max=9",
        "--sysctl net.ipv4.ip_forward=1 --network none",
        "-p 8080:80 -p '[::1]:53:53/udp' -p 9000-9010:90 -p 127.0.0.1::70 -P --expose 5-6 --add-host h:host-gateway",
        "--network bridge --mac-address 02:42:ac:11:00:02 -p 80-81:80-81",
        "--network host -p 80:80",
        "--network one --ip 10.5.0.9 --network-alias a --network name=two,alias=b",
        "--network name=two,gw-priority=5",
        "-m 64m --memory-swap -1 --cpus 1.1234567 --cpuset-cpus 0 --pids-limit 5 --shm-size 1",
        "--ulimit nofile=5:-1 --ulimit rttime=5 --ulimit core=-1",
        "--tmpfs /a,b:ro,exec,suid,size=4096,nr_inodes=9,uid=5,gid=6,mode=1770",
        "-v /srv:/a:O -v cache:/b:O",
        "-v /srv:/a:ro,rslave -v cache:/b:nocopy -v /c",
        "--mount type=bind,source=/srv,target=/x:y",
        "--mount type=bind,source=/srv,target=/x,bind-recursive=disabled",
        "--mount type=volume,source=v9,target=/x,volume-subpath=a/b",
        "--stop-signal RTMIN+3 --stop-timeout 0",
        "--stop-signal 9 --init -it -w /srv -u 5:6 --group-add 7 --group-add wheel --umask 077",
        "--privileged --cap-add NET_ADMIN --device /dev/null:/dev/foo",
        "--cap-add ALL --cap-drop NET_RAW --read-only",
        "--security-opt apparmor=docker-default --security-opt label=type:container_t",
        "--security-opt seccomp=unconfined --security-opt no-new-privileges --security-opt systempaths=unconfined",
        "--pid host --ipc host --uts host --cgroupns host",
        "--namespaces mount,pid --inject /bin/true --expand --timeout 3s --pull never",
        "-e A=1 -e 'B=x\ny' -e 'C=# no comment' --label a=b --label c= -h box.example",
        "--entrypoint ''",
        "--entrypoint '/bin/a b'",
        "--rootfs / --userns host",
    ],
)
def test_what_a_command_line_can_say(docker: dockerd.Docker, here: Command, words: str) -> None:
    image = [] if "--rootfs" in words else ["alpine"]
    done = here("explain", "run", *shlex.split(words), *image, "sh", "-c", "# it's\n$HOME")
    assert done.code == 0, done
    [line] = _must_take(docker, done.stdout)
    assert line[-3:] == ["sh", "-c", "# it's\n$HOME"]


@pytest.mark.parametrize(
    ("document", "note"),
    [
        ("name: 'a b'\nimage: alpine", "name 'a b'"),
        ("name: \u65e5\u672c\nimage: alpine", "name"),
        ("image: alpine\nhealthcheck: {test: [CMD, a, 'b c'], interval: 1s, timeout: 1500ms, retries: 3}", ""),
        ("image: alpine\nhealthcheck: {test: exit 1, start_period: 1m30s}", ""),
        ("image: alpine\nhealthcheck: {test: exit 1, start_interval: 1s}", "healthcheck"),
        ("image: alpine\nhealthcheck: {disable: true}", ""),
        ("image: alpine\ncommand: []", "command []"),
        ('image: alpine\nconfigs: [{target: "/a\\nreboot", content: x}]', "/a\\nreboot"),
        ("image: alpine\nvolumes: [{type: tmpfs, target: '/a:b', tmpfs: {size: 1m, mode: '1770'}}]", ""),
        ("image: alpine\nvolumes: [{type: bind, source: /srv, target: '/a:b'}]", ""),
        ("image: alpine\nports: ['127.0.0.1:8080:80', '53:53/udp', '81']", ""),
        ("image: alpine\nvolumes: [{type: volume, target: '/a,b'}]", ""),
        ("image: oci-archive:x.tar:1", "image: skopeo copy"),
        ("rootfs: '/srv/a b'\ncommand: sh", "rootfs"),
        ("image: alpine\nrestart: on-failure:2\nprofiles: []\ntags: [a]\nretries: 1", "retries"),
        ("image: alpine\nrestart: unless-stopped", ""),
        ("image: alpine\nlogging: {driver: json-file, options: {max-size: 1m, max-file: 2}}", ""),
        ("image: alpine\nrestart: {condition: any, delay: 5s}", "restart: docker run has no delay"),
        ("image: alpine\nmatrix: {A: ['$$(x)', \"'\"]}\ncommand: [echo, '${A}']", "matrix"),
    ],
)  # fmt: skip
def test_what_a_file_can_say(docker: dockerd.Docker, here: Command, document: str, note: str) -> None:
    done = here("explain", "-", input=document.encode())
    assert done.code == 0, done
    _must_take(docker, done.stdout)
    notes = [line for line in done.stdout.decode().split("\n") if line.startswith(f"# {note}")]
    assert bool(notes) == bool(note) or note == "", done.stdout.decode()
