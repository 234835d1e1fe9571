"""Machines and containers, as far as networks go: network namespaces with links between them.

What is opened `inside` one stays there, so one thread can be the server in one and the client in another.
"""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from mydocker.kernel.enter import enter_namespace

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


class Machine:
    """Context manager: a network namespace, with its loopback up, that ends with the `with`."""

    def __init__(self, *unshare: str) -> None:
        """UNSHARE: more words for unshare(1), such as `--user`."""
        self._unshare = unshare

    def __enter__(self) -> Machine:
        words = ["unshare", "--net", *self._unshare, "sh", "-c", "ip link set lo up && echo && exec sleep infinity"]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout and self._process.stdout.read(1)
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, *words: str) -> str:
        """What WORDS, run on this machine, print."""
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net"]
        return subprocess.run([*enter, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is on that machine meanwhile."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        other = self.namespace("net")
        try:
            enter_namespace(other)
            try:
                yield
            finally:
                enter_namespace(own)
        finally:
            os.close(own)
            os.close(other)

    def namespace(self, kind: str) -> int:
        """A descriptor of its namespace of KIND, such as `user`."""
        return os.open(f"/proc/{self.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def link(one: Machine, other: Machine, name: str, *, ones: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Join ONE and OTHER by interfaces NAME and eth0; their addresses are written with their prefixes' lengths."""
    one.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(other.pid))
    for machine, interface, addresses in ((one, name, ones), (other, "eth0", others)):
        for address in addresses:
            immediately = ["nodad"] if ":" in address else []
            machine.run("ip", "address", "add", address, "dev", interface, *immediately)
        machine.run("ip", "link", "set", interface, "up")


@contextmanager
def mounted(source: str | os.PathLike[str], target: str) -> Iterator[None]:
    """SOURCE is seen at TARGET meanwhile, in the tests' own mount namespace."""
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


@contextmanager
def open_to_all(device: str, directory: pathlib.Path) -> Iterator[None]:
    """DEVICE, such as /dev/fuse, as udev makes it, for all users; a node in DIRECTORY is in its place meanwhile."""
    node = directory / os.path.basename(device)
    os.mknod(node, 0o020666, os.stat(device).st_rdev)
    node.chmod(0o666)
    with mounted(node, device):
        yield


def udp_server(place: Machine, *, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A socket on PLACE that gets what comes to any of its addresses, at a port that is free."""
    with place.inside():
        server = socket.socket(family, socket.SOCK_DGRAM)
    server.settimeout(100)
    server.bind(("", 0))
    return server


def send_datagram(place: Machine, address: str, port: int, data: bytes) -> str:
    """Send DATA from PLACE; why that is refused there, or nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with place.inside():
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client:
        try:
            client.sendto(data, (address, port))
        except OSError as error:
            return os.strerror(error.errno or 0)
    return ""


def listen(place: Machine, port: int, kind: socket.SocketKind = TCP) -> socket.socket:
    """A socket on PLACE that listens on PORT for IPv4."""
    with place.inside():
        server = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.settimeout(100)
    server.bind(("", port))
    if kind == TCP:
        server.listen(100)
    return server


def ask(place: Machine, address: str, port: int, server: socket.socket, *, patience: float = 100) -> str:
    """The peer whom SERVER, in a container, sees when PLACE asks ADDRESS, which gets its answer within PATIENCE
    seconds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server.settimeout(patience)
    with place.inside():
        client = socket.socket(family, server.type)
    client.settimeout(patience)
    with client:
        client.connect((address, port))
        client.send(b"question")
        if server.type == UDP:
            data, peer = server.recvfrom(100)
            server.sendto(b"answer", peer)
        else:
            connection, peer = server.accept()
            connection.settimeout(patience)
            with connection:
                data = connection.recv(100)
                connection.send(b"answer")
        assert (data, client.recv(100)) == (b"question", b"answer")
    return str(peer[0])


def refused(place: Machine, address: str, port: int) -> bool:
    """Whether nothing takes a connection of PLACE to ADDRESS."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with place.inside(), socket.socket(family, TCP) as client:
        client.settimeout(100)
        return client.connect_ex((address, port)) != 0
