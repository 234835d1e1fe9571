"""An image laid out as Alpine is, made of the host's static busybox: a stand-in for `alpine:latest`."""

from __future__ import annotations

import functools
import pathlib
import platform
import shutil
import subprocess

from lab.oci import DIR, Dir, File, Image, Link, Program, image, layer

TOP = ["bin", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run"]
TOP += ["sbin", "srv", "sys", "tmp", "usr", "var"]  # what `ls /` prints
BELOW = ["usr/bin", "usr/sbin", "usr/lib", "usr/local", "usr/local/bin", "usr/share", "var/tmp", "var/log"]

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
mail:x:8:12:mail:/var/mail:/sbin/nologin
guest:x:405:100:guest:/dev/null:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
"""
GROUP = b"""\
root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
tty:x:5:
disk:x:6:root
mail:x:12:mail
wheel:x:10:root
users:x:100:games
nobody:x:65534:
"""
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


@functools.cache
def base_layer() -> bytes:
    """The tar of the whole tree."""
    busybox = _busybox()
    names = subprocess.run([busybox, "--list-full"], check=True, capture_output=True, text=True).stdout.split()
    applets = {name: Link("/bin/busybox") for name in names if name.startswith(("bin/", "sbin/", "usr/"))}
    modes = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
    return layer(
        {
            **{name: Dir(mode=modes.get(name, 0o755)) for name in [*TOP, *BELOW]},
            "etc/alpine-release": b"3.20.3\n",
            "etc/os-release": b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\n',
            "etc/passwd": PASSWD,
            "etc/group": GROUP,
            "etc/shadow": File(b"root:*::0:::::\n", mode=0o640, gid=42),
            "etc/hostname": b"localhost\n",
            "etc/hosts": b"127.0.0.1\tlocalhost\n",
            "etc/profile.d": DIR,
            "var/run": Link("/run"),
            **applets,
            "bin/busybox": Program(pathlib.Path(busybox).read_bytes()),
        }
    )


def alpine(*more: bytes, **settings: object) -> Image:
    """The image, with MORE layers on top and SETTINGS for `image`, as `cmd=["ls"]`."""
    wanted = {"cmd": ["/bin/sh"], "architecture": ARCHITECTURE, **settings}
    return image([base_layer(), *more], **wanted)  # type: ignore[arg-type]  # passed through as they are


def _busybox() -> str:
    path = shutil.which("busybox")
    assert path, "busybox is missing: apt-get install busybox-static"
    return path
