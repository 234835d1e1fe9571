"""The command line of `docker run`: exit codes, what is run, with which environment, as whom, where, with what."""

from __future__ import annotations

import os
import pathlib
import pty
import re
import signal

import pytest
from lab.command import Result
from peer import Peer

pytestmark = pytest.mark.root

EXIT_CODES = {
    "true": ((), ("true",), 0),
    "false": ((), ("false",), 1),
    "255": ((), ("sh", "-c", "exit 255"), 255),
    "27": ((), ("/bin/busybox", "ash", "-c", "exit 27"), 27),
    "killed": ((), ("sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137),
    "pid 1 is safe from its own signals": ((), ("sh", "-c", "kill -9 $$; exit 3"), 3),
    "no such command": ((), ("nonesuch",), 127),
    "no such path": ((), ("/bin/nonesuch",), 127),
    "a directory": ((), ("/etc",), 126),
    "not executable": ((), ("/etc/passwd",), 126),
    "no such option": (("--nonesuch",), ("true",), 125),
    "no such user": (("-u", "nonesuch"), ("true",), 125),
    "no such group": (("-u", "root:nonesuch"), ("true",), 125),
    "no such env file": (("--env-file", "/nonesuch"), ("true",), 125),
    "a relative workdir": (("-w", "relative"), ("true",), 125),
    "an empty name of a variable": (("-e", "=x"), ("true",), 125),
    "unknown capability": (("--cap-add", "NONESUCH"), ("true",), 125),
    "unknown ulimit": (("--ulimit", "nonesuch=1"), ("true",), 125),
    "a network parameter without a network": (("--sysctl", "kernel.panic=1"), ("true",), 125),
    "a user number too large": (("-u", "4294967296"), ("true",), 125),
    "an OOM score too high": (("--oom-score-adj", "1001"), ("true",), 125),
    "an OOM score too low": (("--oom-score-adj", "-1001"), ("true",), 125),
    "an OOM score in words": (("--oom-score-adj", "x"), ("true",), 125),
    "a stream of another name": (("-a", "nonesuch"), ("true",), 125),
    "a search domain with a blank": (("--dns-search", "a b"), ("true",), 125),
    "a search domain of digits": (("--dns-search", "1.2"), ("true",), 125),
    "a negative user number": (("-u", "-1"), ("true",), 125),
}


@pytest.mark.parametrize("name", EXIT_CODES)
def test_exit_code(peer: Peer, name: str) -> None:
    options, argv, code = EXIT_CODES[name]
    done = peer.run(*options, argv=argv)
    assert (done.stdout, done.code) == (b"", code), done
    assert b"Traceback" not in done.stderr


EMPTY = {  # a flag whose value is an unset variable -> whether it is as if the flag were not there
    **dict.fromkeys(("--name", "--hostname", "--workdir", "--user", "--entrypoint", "--platform", "--pull"), True),
    **dict.fromkeys(("--stop-signal", "--cpuset-cpus", "--userns", "--pid", "--ipc", "--uts", "--cgroupns"), True),
    **dict.fromkeys(("--domainname", "--dns-option", "--cidfile"), True),
    **dict.fromkeys(("--network", "--memory", "--memory-swap", "--cpus", "--pids-limit", "--stop-timeout"), False),
    **dict.fromkeys(("--env", "--env-file", "--label", "--label-file", "--volume", "--mount", "--tmpfs"), False),
    **dict.fromkeys(("--shm-size", "--device", "--security-opt", "--cap-add", "--cap-drop", "--sysctl"), False),
    **dict.fromkeys(
        ("--ulimit", "--group-add", "--add-host", "--dns", "--dns-search", "--oom-score-adj", "--attach"), False
    ),
}


@pytest.mark.parametrize("flag", EMPTY)
def test_an_empty_value(peer: Peer, flag: str) -> None:
    done = peer.run(flag, "", argv=("echo", "ok"))
    expected = (b"ok\n", 0) if EMPTY[flag] else (b"", 125)
    assert (done.stdout, done.code) == expected, done
    if EMPTY[flag]:
        assert peer.run(flag, "", argv=("sh", "-c", "exit 3")) == Result(b"", b"", 3)


NAMES = {"64 letters": ("a" * 64, 0), "65 letters": ("a" * 65, 125), "parts": ("a" * 31 + "." + "b" * 32, 0)}


@pytest.mark.parametrize("name", NAMES)
def test_a_long_host_name(peer: Peer, name: str) -> None:
    text, code = NAMES[name]
    done = peer.run("-h", text, argv=("hostname",))
    assert (done.stdout, done.code) == ((f"{text}\n".encode(), 0) if code == 0 else (b"", code)), done


MISMATCHES = {
    "a file over a directory": ("/etc/passwd:/etc",),
    "a directory over a file": ("/etc:/etc/passwd",),
    "below a file": ("/etc:/etc/passwd/x",),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_volume_that_does_not_fit(peer: Peer, name: str) -> None:
    done = peer.run("-v", *MISMATCHES[name], argv=("true",))
    assert (done.stdout, done.code) == (b"", 125) and b"irectory" in done.stderr, done


def test_a_directory_without_devices_is_an_error(peer: Peer, tmp_path: pathlib.Path) -> None:
    done = peer.run("--device", str(tmp_path), argv=("true",))
    assert (done.stdout, done.code) == (b"", 125) and b"device" in done.stderr, done


OTHER_IMAGES = {
    "no such image": ((), "lab/nonesuch", (), 125),
    "never pulled": (("--pull", "never"), "lab/nonesuch", (), 125),
    "nothing to run": ((), "lab/nothing", (), 125),
    "text is not executable": ((), "lab/text", ("/bin/text",), 126),
    "a link to nowhere": ((), "lab/text", ("/bin/lost",), 127),
    "not executable in PATH": ((), "lab/text", ("plain",), 127),
    "a directory in PATH": ((), "lab/text", ("folder",), 127),
    "a link to itself in PATH": ((), "lab/text", ("loop",), 127),
    "an empty command": ((), "lab/blank", (), 127),
}


@pytest.mark.parametrize("name", OTHER_IMAGES)
def test_exit_code_of_other_images(peer: Peer, name: str) -> None:
    options, image, argv, code = OTHER_IMAGES[name]
    done = peer.run(*options, argv=argv, image=image)
    assert (done.stdout, done.code) == (b"", code), done


RELATIVE = {  # the options, and the command; the interpreter of the script is found from the working directory, too
    "the image's": ((), (), "./run cmd"),
    "from the working directory": ((), ("./run", "x"), "./run x"),
    "below it": (("-w", "/srv"), ("app/bin/busybox", "echo", "x"), "x"),
    "above it": (("-w", "/srv/app/bin"), ("../../app/bin/busybox", "echo", "x"), "x"),
    "an entrypoint": (("--entrypoint", "./run"), ("x",), "./run x"),
    "with an init": (("--init",), ("./run", "x"), "./run x"),
    "as a user": (("-u", "4242"), ("./run", "x"), "./run x"),
}


@pytest.mark.parametrize("name", RELATIVE)
def test_a_relative_path_of_the_command(peer: Peer, name: str) -> None:
    options, argv, expected = RELATIVE[name]
    assert peer.run(*options, argv=argv, image="lab/script") == Result(f"{expected}\n".encode(), b"", 0)


def test_a_relative_path_of_exec(peer: Peer) -> None:
    with peer.start(
        "--name", "parity-relative", argv=("sh", "-c", "echo ready; exec sleep 1000"), image="lab/script"
    ) as run:
        assert run.stdout and run.stdout.readline() == b"ready\n"
        assert peer.command("exec", "parity-relative", "./run", "x") == Result(b"./run x\n", b"", 0)
        assert peer.command("exec", "-w", "/srv", "parity-relative", "app/bin/busybox", "echo", "x").stdout == b"x\n"
        assert peer.command("exec", "-w", "/", "parity-relative", "./run").code in (126, 127)
        run.kill()
        peer.command("rm", "-f", "parity-relative")


NUMBERED = {"7": "7 70 /eight", "50": "50 60 /seven", "9": "9 0 /"}


@pytest.mark.parametrize("user", NUMBERED)
def test_a_number_is_no_name(peer: Peer, user: str) -> None:
    """Though an account is called so."""
    done = peer.run("-u", user, argv=("sh", "-c", "echo $(id -u) $(id -g) $HOME"), image="lab/numbered")
    assert done == Result(f"{NUMBERED[user]}\n".encode(), b"", 0)


ENTRYPOINTS = {
    "the image's": ((), (), "entry one two"),
    "arguments": ((), ("three",), "entry three"),
    "another drops cmd": (("--entrypoint", "/bin/echo"), (), ""),
    "another with arguments": (("--entrypoint", "/bin/echo"), ("three",), "three"),
    "empty resets": (("--entrypoint", ""), ("echo", "four"), "four"),
    "searched in PATH": (("--entrypoint", "echo"), ("a b", "c"), "a b c"),
    "options end at the image": ((), ("-e", "--help", "--"), "entry -e --help --"),
}


@pytest.mark.parametrize("name", ENTRYPOINTS)
def test_entrypoint(peer: Peer, name: str) -> None:
    options, argv, expected = ENTRYPOINTS[name]
    assert peer.run(*options, argv=argv, image="lab/entry") == Result(f"{expected}\n".encode(), b"", 0)


@pytest.mark.parametrize(("argv", "expected"), [((), b"cmd\n"), (("echo", "x"), b"x\n")], ids=["cmd", "arguments"])
def test_an_empty_entrypoint_of_the_image_is_none(peer: Peer, argv: tuple[str, ...], expected: bytes) -> None:
    assert peer.run(argv=argv, image="lab/reset") == Result(expected, b"", 0)


def test_an_entrypoint_is_one_word(peer: Peer) -> None:
    assert peer.run("--entrypoint", "echo x", image="lab/entry").code == 127


SEARCH = "grep -v '^#' /etc/resolv.conf | head -1"
SEEN = {
    "the last -e": (("-e", "A=1", "-e", "A=2"), "echo $A", "2"),
    "a value of several words": (("-e", "A=a b=c"), "echo $A", "a b=c"),
    "an empty value": (("-e", "A="), "echo ${A-unset}", ""),
    "the host's value": (("-e", "FROM_HOST"), "echo $FROM_HOST", "yes"),
    "not on the host": (("-e", "NOT_ON_HOST"), "echo ${NOT_ON_HOST-unset}", "unset"),
    "nothing else of the host": ((), "echo ${FROM_HOST-unset}", "unset"),
    "-e HOME": (("-e", "HOME=/h"), "echo $HOME", "/h"),
    "-e PATH": (("-e", "PATH=/bin"), "echo $PATH", "/bin"),
    "-e HOSTNAME": (("-e", "HOSTNAME=x", "-h", "box"), "echo $HOSTNAME", "x"),
    "no TERM": ((), "echo ${TERM-unset}", "unset"),
    "HOSTNAME": (("-h", "box"), "echo $HOSTNAME; hostname; cat /etc/hostname", "box\nbox\nbox"),
    "a name": (("-u", "mail"), "id -u; id -g; id -G; echo $HOME", "8\n12\n12\n/var/mail"),
    "a name without a home": (("-u", "nobody"), "id -un; id -gn; echo $HOME", "nobody\nnobody\n/"),
    "supplementary groups": (("-u", "daemon"), "id -G", "2 1"),
    "root's groups": ((), "id -G", "0 1 2 6 10"),
    "a number of the image": (("-u", "2"), "id -G; echo $HOME", "2 1\n/sbin"),
    "user and group number": (("-u", "8:0"), "id -u; id -g; id -G", "8\n0\n0"),
    "user and group name": (("-u", "mail:users"), "id -u; id -g; id -G", "8\n100\n100"),
    "number and group name": (("-u", "4242:users"), "id -u; id -g", "4242\n100"),
    "name and group number": (("-u", "mail:4243"), "id -u; id -g", "8\n4243"),
    "an empty group": (("-u", "mail:"), "id -u; id -g; id -G", "8\n12\n12"),
    "an empty group of a number": (("-u", "2:"), "id -u; id -G", "2\n2 1"),
    "an empty user": (("-u", ":1000"), "id -u; id -g; id -G; echo $HOME", "0\n1000\n1000\n/root"),
    "an empty user and a name": (("-u", ":users"), "id -u; id -g", "0\n100"),
    "both empty": (("-u", ":"), "id -u; id -g", "0\n0"),
    "an unknown number": (("-u", "4242"), "id -u; id -g; echo $HOME", "4242\n0\n/"),
    "unknown numbers": (("-u", "4242:4243"), "id -u; id -g; id -G", "4242\n4243\n4243"),
    "--group-add": (("--group-add", "mail", "--group-add", "4711"), "id -G", "0 1 2 6 10 12 4711"),
    "--group-add and a user": (("--group-add", "wheel", "-u", "nobody"), "id -G", "65534 10"),
    "a new workdir": (("-w", "/new/dir"), "pwd; stat -c '%a %u' /new/dir", "/new/dir\n755 0"),
    "an existing workdir": (("-w", "/etc"), "pwd", "/etc"),
    "a workdir with dots": (("-w", "/etc/../tmp/."), "pwd", "/tmp"),
    "no workdir": ((), "pwd", "/"),
    "a name with a slash": (("--name", "/parity-slash"), "echo ok", "ok"),
    "--log-opt without effect": (("--log-opt", "tag=x", "--log-opt", "mode=non-blocking"), "echo ok", "ok"),
    "--isolation default": (("--isolation", "default"), "echo ok", "ok"),
    "--volume-driver local": (("--volume-driver", "local"), "echo ok", "ok"),
    "--disable-content-trust": (("--disable-content-trust",), "echo ok", "ok"),
    "--sig-proxy": (("--sig-proxy",), "echo ok", "ok"),
    "empty values": (("--detach-keys", "", "--cgroup-parent", "", "--cpuset-mems", ""), "echo ok", "ok"),
    "a label and a name": (("--name", "parity-x", "-l", "a=b"), "echo ok", "ok"),
    "two dashes": (("--",), "echo ok", "ok"),
    "a platform without a processor": (("--platform", "linux"), "echo ok", "ok"),
    "a long option with =": (("--env=A=1", "--workdir=/tmp"), "echo $A; pwd", "1\n/tmp"),
    "short options together": (("-it", "--tty=false"), "echo ok", "ok"),
    "a flag with a value": (("--read-only=false",), "touch /x; echo ok", "ok"),
    "--read-only": (
        ("--read-only",),
        "touch /x 2>&1; touch /dev/shm/x; echo $?",
        "touch: /x: Read-only file system\n0",
    ),
    "--tmpfs": (
        ("--tmpfs", "/t"),
        "grep ' /t ' /proc/mounts | grep -c nosuid,nodev,noexec; stat -c %a /t",
        "1\n1777",
    ),
    "--tmpfs with options": (
        ("--tmpfs", "/t:size=1m,mode=700,exec"),
        "grep ' /t ' /proc/mounts | grep -c noexec; stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'",
        "0\n700\n1024",
    ),
    "--tmpfs and access times": (
        ("--tmpfs", "/t:strictatime,size=1m", "--tmpfs", "/u:noatime,async", "--tmpfs", "/v:relatime"),
        "grep -E ' /[tuv] ' /proc/mounts | sort | grep -o -E '^tmpfs /.|noatime|relatime' | xargs",
        "tmpfs /t tmpfs /u noatime tmpfs /v relatime",
    ),
    "--read-only --tmpfs": (("--read-only", "--tmpfs", "/t"), "touch /t/x; ls /t", "x"),
    "--shm-size": (("--shm-size", "1m"), "df -k /dev/shm | tail -1 | awk '{print $2}'", "1024"),
    "no --shm-size": ((), "df -k /dev/shm | tail -1 | awk '{print $2}'", "65536"),
    "--ulimit": (("--ulimit", "nofile=100:200"), "ulimit -Sn; ulimit -Hn", "100\n200"),
    "--ulimit once": (
        ("--ulimit", "nofile=100", "--ulimit", "core=0"),
        "ulimit -n; ulimit -Hn; ulimit -c",
        "100\n100\n0",
    ),
    "--oom-score-adj": (("--oom-score-adj", "500"), "cat /proc/self/oom_score_adj /proc/1/oom_score_adj", "500\n500"),
    "--oom-score-adj with a sign": (("--oom-score-adj", "+5"), "cat /proc/self/oom_score_adj", "5"),
    "--oom-score-adj and --init": (
        ("--init", "--oom-score-adj", "7"),
        "cat /proc/self/oom_score_adj /proc/1/oom_score_adj",
        "7\n7",
    ),
    "--sysctl": (("--sysctl", "kernel.msgmax=4000"), "cat /proc/sys/kernel/msgmax", "4000"),
    "--sysctl of the network": (("--sysctl", "net.ipv4.ip_forward=1"), "cat /proc/sys/net/ipv4/ip_forward", "1"),
    "--init": (("--init",), "cat /proc/1/comm | grep -c '^sh$'; echo $(($$ > 1))", "0\n1"),
    "--init and orphans": (
        ("--init",),
        "sh -c 'true & exec sleep 0.1' & wait; i=0; "
        "while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null && [ $((i += 1)) -lt 200 ]; do sleep 0.3; done; "
        "[ $i -lt 200 ] && echo 0",
        "0",
    ),
    "--domainname": (("--domainname", "example.org"), "cat /proc/sys/kernel/domainname", "example.org"),
    "--domainname, empty": (("--domainname", ""), "cat /proc/sys/kernel/domainname", "(none)"),
    "--domainname and --hostname": (
        ("--domainname", "example.org", "-h", "web"),
        "cat /proc/sys/kernel/domainname /etc/hostname; hostname",
        "example.org\nweb\nweb",
    ),
    "--add-host": (("--add-host", "there:10.1.2.3"), "grep -w there /etc/hosts | tr '\t' ' '", "10.1.2.3 there"),
    "--dns": (("--dns", "10.1.2.3"), "grep ^nameserver /etc/resolv.conf", "nameserver 10.1.2.3"),
    "--dns-search": (("--dns-search", "a.example", "--dns-search", "b.example"), SEARCH, "search a.example b.example"),
    "--dns-search, none": (("--dns", "10.1.2.3", "--dns-search", "."), SEARCH, "nameserver 10.1.2.3"),
    "--dns-search, none and one": (("--dns-search", ".", "--dns-search", "a.example"), SEARCH, "search . a.example"),
    "--dns-option": (
        ("--dns-option", "ndots:2", "--dns-opt", "use-vc"),
        "tail -1 /etc/resolv.conf",
        "options ndots:2 use-vc",
    ),
    "--dns and --dns-search": (
        ("--dns", "10.1.2.3", "--dns-search", "a.example", "--dns-option", "rotate"),
        "grep -v '^#' /etc/resolv.conf",
        "search a.example\nnameserver 10.1.2.3\noptions rotate",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(peer: Peer, name: str) -> None:
    options, script, expected = SEEN[name]
    done = peer.run(*options, argv=("sh", "-c", script), env={"FROM_HOST": "yes"})
    assert done == Result(f"{expected}\n".encode(), b"", 0)


def test_init_passes_on_the_exit_code(peer: Peer) -> None:
    assert peer.run("--init", argv=("sh", "-c", "exit 33")).code == 33
    assert peer.run("--init", argv=("sh", "-c", "kill -9 $$")).code == 137
    assert peer.run("--init", argv=("nonesuch",)).code == 127


def test_environment_is_clean(peer: Peer) -> None:
    done = peer.run("-h", "box", argv=("env",), env={"PYTHONPATH": "/nowhere", "SECRET": "1"})
    expected = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "HOSTNAME=box"}
    assert set(done.stdout.decode().split()) == expected


ENV_FILES = {
    "in order": (b"A=1\nA=2\n", "2,unset,unset"),
    "comments and blanks": (b"# A=1\n\n  \nB=1\n", "unset,1,unset"),
    "quotes are literal": (b"A=\"x\"\nB='y'\n", "\"x\",'y',unset"),
    "a name alone": (b"FROM_HOST\nA=1\n", "1,unset,yes"),
    "a name alone that the host lacks": (b"A\n", "unset,unset,unset"),
    "a mark of byte order": (b"\xef\xbb\xbfA=1\n", "1,unset,unset"),
    "white space before": (b"  A=1\n", "1,unset,unset"),
    "white space in a value": (b"A= x # y \n", " x # y ,unset,unset"),
    "no end of line": (b"A=1\nB=2", "1,2,unset"),
    "carriage returns": (b"A=1\r\nB=2\r\n", "1,2,unset"),
}


@pytest.mark.parametrize("name", ENV_FILES)
def test_env_file(peer: Peer, name: str, tmp_path: pathlib.Path) -> None:
    content, expected = ENV_FILES[name]
    (tmp_path / "env").write_bytes(content)
    script = 'echo "${A-unset},${B-unset},${FROM_HOST-unset}"'
    done = peer.run("--env-file", f"{tmp_path}/env", argv=("sh", "-c", script), env={"FROM_HOST": "yes"})
    assert done == Result(f"{expected}\n".encode(), b"", 0)


@pytest.mark.parametrize("content", [b"A B=1\n", b"=1\n", b"A=\xff\n"], ids=["white space", "no name", "not UTF-8"])
def test_env_file_refused(peer: Peer, content: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "env").write_bytes(content)
    assert peer.run("--env-file", f"{tmp_path}/env", argv=("true",)).code == 125


def test_env_files_give_way_to_options(peer: Peer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "one").write_text("A=one\nB=one\nC=one\n")
    (tmp_path / "two").write_text("B=two\nC=two\n")
    files = ("-e", "C=flag", "--env-file", f"{tmp_path}/one", "--env-file", f"{tmp_path}/two")
    assert peer.sh("echo $A $B $C", *files) == "one two flag\n"


def test_what_the_image_says(peer: Peer) -> None:
    done = peer.run("-e", "B=flag", argv=("sh", "-c", "echo $A $B; id -un; id -gn; pwd"), image="lab/settings")
    assert done == Result(b"image flag\nmail\nusers\n/srv/app\n", b"", 0)


def test_a_name_alone_unsets_what_the_image_sets(peer: Peer) -> None:
    script = 'echo "${A-unset} ${B-unset}"'
    done = peer.run("-e", "A", "-e", "B", argv=("sh", "-c", script), image="lab/settings", env={"B": "host"})
    assert done == Result(b"unset host\n", b"", 0)
    assert peer.sh('echo "${A-unset}"', "-e", "A=1", "-e", "A") == "unset\n"


def test_a_directory_as_volume(peer: Peer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    share = f"{tmp_path}:/mnt/deep/er"
    assert peer.sh("cat /mnt/deep/er/in; echo out > /mnt/deep/er/out", "-v", share) == "hello\n"
    assert (tmp_path / "out").read_text() == "out\n"
    refused = peer.run("-v", f"{share}:ro", argv=("touch", "/mnt/deep/er/no"))
    assert refused == Result(b"", b"touch: /mnt/deep/er/no: Read-only file system\n", 1)


def test_a_file_as_volume(peer: Peer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conf").write_text("x\n")
    assert peer.sh("cat /etc/new/conf", "-v", f"{tmp_path}/conf:/etc/new/conf:ro") == "x\n"


def test_a_relative_volume(peer: Peer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    done = peer.run("-v", ".:/mnt", argv=("cat", "/mnt/in"), cwd=str(tmp_path))
    assert done == Result(b"hello\n", b"", 0)


def test_a_missing_volume_source_is_an_error(peer: Peer, tmp_path: pathlib.Path) -> None:
    assert peer.run("-v", f"{tmp_path}/nonesuch:/x", argv=("true",)).code == 125
    assert list(tmp_path.iterdir()) == []


def test_a_named_volume_is_filled_and_kept(peer: Peer) -> None:
    assert peer.sh("cat /etc/alpine-release; echo kept > /etc/mark", "-v", "parity-volume:/etc") == "3.20.3\n"
    assert peer.sh("cat /mnt/mark /mnt/alpine-release", "-v", "parity-volume:/mnt") == "kept\n3.20.3\n"


def test_mount_in_words(peer: Peer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    bind = f"type=bind,source={tmp_path},target=/mnt,readonly"
    assert peer.sh("cat /mnt/in; touch /mnt/x 2>&1 | grep -c Read-only", "--mount", bind) == "hello\n1\n"


def test_standard_input(peer: Peer) -> None:
    assert peer.run(argv=("cat",), input=b"x" * 100) == Result(b"", b"", 0)
    assert peer.run("-i", argv=("wc", "-c"), input=b"x" * 1_000_000) == Result(b"1000000\n", b"", 0)


def test_streams_are_apart(peer: Peer) -> None:
    done = peer.run(argv=("sh", "-c", "echo out; echo error >&2; exit 3"))
    assert done == Result(b"out\n", b"error\n", 3)


TRAPS = "".join(f"trap 'echo got {name}; exit {code}' {name};" for name, code in [("TERM", 7), ("HUP", 8), ("INT", 9)])
TRAPS += "trap 'echo got QUIT; exit 10' QUIT; trap 'echo got USR1; exit 11' USR1;"
LOOP = f"{TRAPS} echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGTERM, "TERM", 7),
        (signal.SIGHUP, "HUP", 8),
        (signal.SIGINT, "INT", 9),
        (signal.SIGUSR1, "USR1", 11),
    ],
    ids=["TERM", "HUP", "INT", "USR1"],
)
def test_signals_are_forwarded(peer: Peer, number: int, name: str, code: int) -> None:
    with peer.start(argv=("sh", "-c", LOOP)) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        out, error = process.communicate(timeout=120)
    assert (out.decode(), process.returncode, error) == (f"got {name}\n", code, b"")


STOPS = {
    "TERM unless said": ((), "library/alpine", b"got TERM\n"),
    "a name": (("--stop-signal", "SIGINT"), "library/alpine", b"got INT\n"),
    "a short name": (("--stop-signal", "USR1"), "library/alpine", b"got USR1\n"),
    "a number": (("--stop-signal", "1"), "library/alpine", b"got HUP\n"),
    "the image's": ((), "lab/settings", b"got QUIT\n"),
}


@pytest.mark.parametrize("name", STOPS)
def test_stopping(peer: Peer, name: str) -> None:
    options, image, expected = STOPS[name]
    container = "parity-stopping"
    with peer.start(*options, "--name", container, argv=("sh", "-c", LOOP), image=image) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        peer.stop(process, container)
        out, _ = process.communicate(timeout=120)
    assert out == expected


ATTACHED = {  # options -> stdout, stderr
    "-a stdout": (b"out\n", b""),
    "-a STDERR": (b"", b"err\n"),
    "-a stdout -a stderr": (b"out\n", b"err\n"),
    "-i -a stdout": (b"out\nin\n", b""),
    "-i -a stderr": (b"", b"err\n"),
    "-a stdin -a stdout": (b"out\n", b""),
    "-i --attach stdin --attach=stdout --attach stderr": (b"out\nin\n", b"err\n"),
}


@pytest.mark.parametrize("options", ATTACHED)
def test_attached_streams(peer: Peer, options: str) -> None:
    done = peer.run(*options.split(), argv=("sh", "-c", "echo out; echo err >&2; cat; exit 3"), input=b"in\n")
    assert done == Result(*ATTACHED[options], 3)


def test_the_file_for_the_id(peer: Peer, tmp_path: pathlib.Path) -> None:
    """It is there before the command, has the whole ID without a line end, and stays."""
    file = tmp_path / "id"
    done = peer.run("--cidfile", str(file), argv=("hostname",))
    text = file.read_text()
    assert re.fullmatch("[0-9a-f]{64}", text)
    assert done == Result(f"{text[:12]}\n".encode(), b"", 0)
    again = peer.run("--cidfile", str(file), argv=("hostname",))
    assert (again.stdout, again.code) == (b"", 125)
    assert b"container ID file found, make sure the other container isn't running or delete " in again.stderr
    assert file.read_text() == text


def test_the_file_for_the_id_is_there_for_a_command_that_is_not(peer: Peer, tmp_path: pathlib.Path) -> None:
    assert peer.run("--cidfile", str(tmp_path / "id"), argv=("/nonesuch",)).code == 127
    assert len((tmp_path / "id").read_text()) == 64


def test_no_image_no_file_for_the_id(peer: Peer, tmp_path: pathlib.Path) -> None:
    assert peer.run("--cidfile", str(tmp_path / "id"), "--pull", "never", image="lab/nonesuch").code == 125
    assert not (tmp_path / "id").exists()


def test_a_terminal(peer: Peer) -> None:
    master, slave = pty.openpty()
    script = "tty; echo $TERM; echo error >&2; test -t 0 && test -t 1 && test -t 2 && ls /dev/console"
    streams = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
    with peer.start("-it", argv=("sh", "-c", script), **streams) as process:
        os.close(slave)
        seen = _drain(master)
        code = process.wait(timeout=100)
    assert (code, seen) == (0, b"/dev/pts/0\r\nxterm\r\nerror\r\n/dev/console\r\n")


def test_a_terminal_without_input(peer: Peer) -> None:
    done = peer.run("-t", argv=("sh", "-c", "echo $TERM; tty; echo error >&2"))
    assert done == Result(b"xterm\r\n/dev/pts/0\r\nerror\r\n", b"", 0)


def test_a_terminal_needs_one_for_input(peer: Peer) -> None:
    done = peer.run("-it", argv=("true",))
    assert done.code != 0 and re.search(b"not a (TTY|terminal)", done.stderr), done


TOO_FEW = ("exec", "exec nonesuch", "exec -it nonesuch")


@pytest.mark.parametrize("words", TOO_FEW)
def test_too_few_arguments(peer: Peer, words: str) -> None:
    done = peer.command(*words.split())
    assert (done.stdout, done.code) == (b"", 1), done


ABOUT_NONE = (
    "logs",
    "logs -f",
    "port",
    "attach",
    "diff",
    "top",
    "start",
    "stop",
    "kill",
    "rm",
    "wait",
    "restart",
    "pause",
)


@pytest.mark.parametrize(
    "words", [*ABOUT_NONE, "rename {} x", "cp {}:/x .", "exec {} true", "commit {} x", "export {} -o x"]
)
def test_a_container_that_is_not_there(peer: Peer, words: str, tmp_path: pathlib.Path) -> None:
    argv = words.split() if "{}" in words else [*words.split(), "{}"]
    done = peer.command(*(word.format("nonesuch") for word in argv), cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 1), done


IN_EXEC = {  # options, command -> exit code
    "no such user": (("-u", "nonesuch"), ("true",), 126),
    "no such group": (("-u", "root:nonesuch"), ("true",), 126),
    "no such working directory": (("-w", "/nonesuch"), ("true",), 126),
    "a relative working directory": (("-w", "tmp"), ("true",), 126),
    "no terminal": (("-it",), ("true",), 1),
    "not privileged": (("--privileged=false",), ("sh", "-c", "exit 3"), 3),
}


@pytest.mark.parametrize("name", IN_EXEC)
def test_exit_code_of_exec(peer: Peer, name: str) -> None:
    options, argv, code = IN_EXEC[name]
    with peer.start("--name", "parity-exec", argv=("sh", "-c", "echo ready; exec sleep 60")) as run:
        assert run.stdout and run.stdout.readline() == b"ready\n"
        done = peer.command("exec", *options, "parity-exec", *argv)
        run.kill()
        peer.command("rm", "-f", "parity-exec")
    assert done.code == code, done


TEMPLATES = {  # of `inspect`, about an image that says little -> what is printed
    "{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.OnBuild}}": "[/bin/sh] [] []",
    "{{.Config.ExposedPorts}} {{.Config.Volumes}} {{.Config.Labels}}": "map[] map[] map[]",
    "{{.Config.User}}|{{.Config.WorkingDir}}|{{.Config.StopSignal}}|{{.Comment}}": "|||",
    "{{json .Config.Entrypoint}} {{json .Config.Labels}}": "null null",
    '{{index .Config.Labels "x"}}|{{len .Config.Volumes}}': "|0",
    "{{if .Config.Healthcheck}}yes{{else}}no{{end}}": "no",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_of_what_an_image_lacks(peer: Peer, template: str) -> None:
    done = peer.command("inspect", "--format", template, f"{peer.registry}/library/alpine")
    assert done == Result(f"{TEMPLATES[template]}\n".encode(), b"", 0)


IN_CONTAINERS = {
    "{{.Config.Entrypoint}} {{.Config.Volumes}} {{.HostConfig.Binds}} {{.HostConfig.CapAdd}}": "[] map[] [] []",
    "{{.Config.Healthcheck}} {{.State.Health}} {{.HostConfig.PidsLimit}}": "<nil> <nil> <nil>",
    "{{.Config.AttachStdin}} {{.HostConfig.Tmpfs}} {{.HostConfig.Links}} {{.ExecIDs}}": "false map[] [] []",
    "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}": "none",
}


def test_templates_of_what_a_container_lacks(peer: Peer) -> None:
    words = ["create", "--name", "parity-lacks", "--network", "none", f"{peer.registry}/library/alpine", "true"]
    assert peer.command(*words).code == 0
    try:
        found = {each: peer.command("inspect", "-f", each, "parity-lacks").stdout.decode() for each in IN_CONTAINERS}
    finally:
        peer.command("rm", "parity-lacks")
    assert found == {each: f"{text}\n" for each, text in IN_CONTAINERS.items()}


@pytest.mark.parametrize("tag", ["", ":latest"], ids=["no tag", "a tag"])
def test_an_image_is_shown_as_it_was_written(peer: Peer, tag: str) -> None:
    image = f"{peer.registry}/library/alpine{tag}"
    assert peer.command("create", "--name", "parity-written", "--network", "none", image, "true").code == 0
    try:
        named = peer.command("inspect", "-f", "{{.Config.Image}}", "parity-written").stdout
        listed = peer.command("ps", "-a", "--filter", "name=parity-written", "--format", "{{.Image}}").stdout
        found = [
            peer.command("ps", "-aq", "--filter", "name=parity-written", "--filter", f"ancestor={each}").stdout.count(
                b"\n"
            )
            for each in (image, f"{peer.registry}/library/alpine:latest", "nonesuch")
        ]
    finally:
        peer.command("rm", "parity-written")
    assert (named, listed, found) == (f"{image}\n".encode(), f"{image}\n".encode(), [1, 1, 0])


def test_the_order_of_variables(peer: Peer) -> None:
    """Those of the command line come before those that only the image has."""
    words = ("-h", "box", "-u", "root", "-e", "NEW=1", "-e", "B=flag")
    done = peer.run(*words, argv=("busybox", "env"), image="lab/settings")
    expected = ["PATH=/bin", "HOSTNAME=box", "NEW=1", "B=flag", "A=image", "HOME=/root"]
    assert done.stdout.decode().splitlines() == expected


def _drain(master: int) -> bytes:
    text = b""
    try:
        while part := os.read(master, 4096):
            text += part
    except OSError:  # EIO: the other side is closed
        pass
    os.close(master)
    return text
