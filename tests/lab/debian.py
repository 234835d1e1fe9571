"""Images of servers as Debian has them, which behave as the images of the same names do that people use.

One file system has the packages of all; each image lies over it with its entrypoint and its settings. It is built by
mmdebstrap from Debian's archive, in one to two minutes, and is kept where $MYDOCKER_STACKS says.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import oci
from lab.busybox import ARCHITECTURE
from lab.oci import DIR, Entry, Link, Program
from lab.places import TESTS

PACKAGES = (
    "postgresql,nginx-light,redis-server,redis-tools,mariadb-server,mariadb-client,php-cli,php-fpm,php-mysql,opensmtpd,"
    "dovecot-imapd,dovecot-lmtpd,prometheus,prometheus-node-exporter,memcached,python3-minimal,python3-psycopg2,"
    "python3-redis,curl,ca-certificates"
)
# what no test needs, and is most of the size; and what packages make when they are configured: images make their own
_UNUSED = (
    "usr/share/doc usr/share/man usr/share/locale usr/share/javascript usr/share/i18n usr/share/perl"
    " usr/bin/promtool usr/bin/aria_* usr/bin/myisam*"
    " usr/lib/postgresql/*/lib/llvmjit* usr/lib/postgresql/*/lib/bitcode usr/lib/*/libLLVM* usr/lib/*/libz3*"
    " var/lib/mysql/* var/lib/postgresql/* etc/postgresql/* var/cache/* var/lib/dpkg/info"
)
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPTS = TESTS / "stacks" / "images"
_ENTRYPOINT = "usr/local/bin/docker-entrypoint.sh"


@dataclass(frozen=True)
class Server:
    """An image: `cmd`, and what `image` of lab.oci is called with; `script` is its entrypoint, `files` are others."""

    cmd: Sequence[str]
    script: str = ""
    files: Mapping[str, bytes | Entry] = field(default_factory=dict)
    env: Sequence[str] = ()
    volumes: Sequence[str] = ()
    exposed_ports: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    working_dir: str = ""
    stop_signal: str = ""
    user: str = ""


SERVERS = {
    "postgres:15": Server(
        ["postgres"],
        script="postgres.sh",
        env=["PGDATA=/var/lib/postgresql/data"],
        volumes=["/var/lib/postgresql/data"],
        exposed_ports=["5432/tcp"],
        stop_signal="SIGINT",
    ),
    "redis:7": Server(
        ["redis-server", "--protected-mode", "no"],
        script="redis.sh",
        files={"data": DIR},
        volumes=["/data"],
        working_dir="/data",
        exposed_ports=["6379/tcp"],
    ),
    "mariadb:10": Server(
        ["mariadbd"],
        script="mariadb.sh",
        files={"etc/mysql/mariadb.conf.d/99-all.cnf": b"[mysqld]\nbind-address = 0.0.0.0\nskip-name-resolve\n"},
        volumes=["/var/lib/mysql"],
        exposed_ports=["3306/tcp"],
    ),
    "memcached:1": Server(["memcached"], user="memcache", exposed_ports=["11211/tcp"]),
    "nginx:latest": Server(
        ["nginx", "-g", "daemon off;"],
        files={
            "etc/nginx/nginx.conf": b"user www-data;\nevents {}\nhttp {\n  access_log /var/log/nginx/access.log;\n"
            b"  include mime.types;\n  include conf.d/*.conf;\n}\n",
            "etc/nginx/conf.d/default.conf": b"server {\n  listen 80;\n  root /var/www/html;\n}\n",
            "var/log/nginx/access.log": Link("/dev/stdout"),
            "var/log/nginx/error.log": Link("/dev/stderr"),
        },
        exposed_ports=["80/tcp"],
        stop_signal="SIGQUIT",
    ),
    "php:8-fpm": Server(
        ["php-fpm8.2", "--nodaemonize"],
        files={
            "etc/php/8.2/fpm/pool.d/www.conf": b"[www]\nuser = www-data\ngroup = www-data\nlisten = 9000\n"
            b"clear_env = no\npm = static\npm.max_children = 2\naccess.log = /proc/self/fd/2\n",
            "etc/php/8.2/fpm/php-fpm.conf": b"[global]\nerror_log = /proc/self/fd/2\n"
            b"include = /etc/php/8.2/fpm/pool.d/*.conf\n",
            "var/www/uploads": Entry(type=b"5", mode=0o755, uid=33, gid=33),
        },
        working_dir="/var/www/html",
        stop_signal="SIGQUIT",
        exposed_ports=["9000/tcp"],
    ),
    "opensmtpd:latest": Server(
        ["smtpd", "-F"], files={"var/spool/smtpd": Entry(type=b"5", mode=0o711)}, exposed_ports=["25/tcp"]
    ),
    "dovecot:latest": Server(
        ["dovecot", "-F"], files={"srv/mail": Entry(type=b"5", mode=0o1777)}, exposed_ports=["143/tcp", "24/tcp"]
    ),
    "prom/prometheus:latest": Server(
        ["--config.file=/etc/prometheus/prometheus.yml"],
        entrypoint=["/usr/bin/prometheus"],
        files={"prometheus": Entry(type=b"5", mode=0o755, uid=65534, gid=65534)},
        volumes=["/prometheus"],
        working_dir="/prometheus",
        user="nobody",
        exposed_ports=["9090/tcp"],
    ),
    "prom/node-exporter:latest": Server(
        [], entrypoint=["/usr/bin/prometheus-node-exporter"], user="nobody", exposed_ports=["9100/tcp"]
    ),
    "shop-app:latest": Server(["python3"]),
    "worker:latest": Server(["python3"]),
}


def build_base(target: pathlib.Path) -> None:
    """Write the file system that has all packages, a tar, to TARGET."""
    options = ["--variant=minbase", f"--include={PACKAGES}", '--aptopt=APT::Install-Recommends "false"']
    options += [f'--customize-hook=cd "$1" && rm -rf {_UNUSED}', "--format=tar", "--quiet"]
    subprocess.run(["mmdebstrap", *options, _codename(), target], check=True, capture_output=True)


def write_layout(base: pathlib.Path, directory: pathlib.Path) -> None:
    """DIRECTORY as an OCI image layout with all of SERVERS over BASE, under their names."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    with base.open("rb") as file:
        lowest = hashlib.file_digest(file, "sha256").hexdigest()
    link(base, blobs / lowest)
    manifests = []
    for name, server in SERVERS.items():
        upper = oci.layer(_files(server))
        digests = [f"sha256:{lowest}", oci.digest(upper)]
        made = oci.image([upper], compression="none", architecture=ARCHITECTURE, **_settings(server, digests))
        manifest = json.loads(made.manifest)
        below = {"mediaType": oci.layer_media_type("none"), "digest": digests[0], "size": base.stat().st_size}
        made = made.with_manifest(layers=[below, *manifest["layers"]])
        for digest, data in {**made.blobs, made.digest: made.manifest}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        tag = {"org.opencontainers.image.ref.name": name}
        manifests.append(oci.descriptor(made.media_type, made.manifest, annotations=tag))
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def link(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give SOURCE one more name, or copy it where that is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _files(server: Server) -> dict[str, bytes | Entry]:
    script = {_ENTRYPOINT: Program((_SCRIPTS / server.script).read_bytes())} if server.script else {}
    return {"usr/local": DIR, **script, **server.files}


def _settings(server: Server, digests: Sequence[str]) -> dict[str, Any]:
    return {
        "cmd": server.cmd,
        "entrypoint": ["docker-entrypoint.sh"] if server.script else server.entrypoint or None,
        "env": [_PATH, *server.env],
        "volumes": server.volumes,
        "exposed_ports": server.exposed_ports,
        "working_dir": server.working_dir,
        "stop_signal": server.stop_signal,
        "user": server.user,
        "rootfs": {"type": "layers", "diff_ids": list(digests)},
    }


def _codename() -> str:
    """This machine's release, which its apt trusts."""
    name: str
    [name] = re.findall("^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    return name
