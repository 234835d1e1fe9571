"""A virtual machine with Debian's kernel, in software: for what this machine's own kernel or its cgroups cannot show.

Its root is this machine's own tree, read-only over virtiofs, under a writable layer in memory: whatever is installed
here is there, and nothing that happens there stays. cgroup v2 is at /sys/fs/cgroup, `/run` is a tmpfs.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"  # Debian has it outside of PATH
MEMORY = "1536M"
MODULES = ("virtio_pci", "virtiofs", "overlay")
EMULATOR = ("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", MEMORY)
EMULATOR += ("-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory")
EMULATOR += ("-nodefaults", "-no-user-config", "-nographic", "-no-reboot")
# what the emulator has translated of a program serves the next process as well, as that has it at the same addresses;
# and an indirect call is no detour
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 norandmaps mitigations=off"
# There are two processors, and any process may use both: but none moves to the second one unless it asks for that one
# alone. Else those here and there would wake each other, which takes half of an emulator's time.
SECOND, BOTH = "isolcpus=1", "taskset -p 3 $$ > /dev/null"

FIRST = """\
#!/bin/busybox sh
b=/bin/busybox
set -e
for module in /modules/*; do $b insmod $module; done
$b mount -t virtiofs -o ro host /host
$b mount -t tmpfs memory /memory
$b mkdir /memory/upper /memory/work
$b cp /guest /bin/busybox /memory/upper/
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /new
exec $b switch_root /new /busybox sh /guest
"""
GUEST = """\
b=/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm /dev/mqueue
$b ln -s /proc/self/fd /dev/fd
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs -o mode=1777 shm /dev/shm
$b mount -t mqueue mqueue /dev/mqueue
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b mount -t tmpfs -o mode=1777 run /run
$b ip link set lo up
$b cp -a /etc /run/etc  # what others change there meanwhile would be stale here
$b mount -o bind /run/etc /etc
$b rm -f /etc/*.lock
$b mount -t tmpfs home /home
export HOME=/root TMPDIR=/run PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin EMULATED=1
{both}
cd {directory}
{command}
echo "guest: exit code $?"
$b poweroff -f
"""


@dataclass(frozen=True)
class Session:
    """What a machine said on its console, and how the command ended; None if it never did."""

    console: str
    code: int | None


def run_there(command: str, *, kernel: pathlib.Path, directory: pathlib.Path, seconds: float) -> Session:
    """Boot, run the shell's COMMAND in the current directory, and switch off.

    KERNEL is an unpacked linux-image package: boot/ and lib/. DIRECTORY is for sockets and files of the emulator.
    """
    [vmlinuz] = (kernel / "boot").glob("vmlinuz-*")
    guest = GUEST.format(directory=os.getcwd(), both=BOTH, command=command)
    initrd = make_initrd(directory, kernel, guest)
    with share(directory) as socket:
        done = subprocess.run(
            [
                *(*EMULATOR, "-smp", "2", "-serial", "stdio"),
                *("-kernel", str(vmlinuz), "-initrd", str(initrd), "-append", f"{KERNEL_OPTIONS} {SECOND}"),
                *("-chardev", f"socket,id=share,path={socket}", "-device", "vhost-user-fs-pci,chardev=share,tag=host"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    console = done.stdout.decode(errors="replace").replace("\r", "")
    ends = re.findall(r"^guest: exit code (\d+)$", console, re.MULTILINE)
    return Session(console=console, code=int(ends[-1]) if ends else None)


def make_initrd(
    directory: pathlib.Path,
    kernel: pathlib.Path,
    guest: str,
    *,
    first: str = FIRST,
    modules: Iterable[str] = MODULES,
) -> pathlib.Path:
    """An initramfs of busybox, the MODULES for reaching the root, and the two scripts."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing: apt-get install busybox-static"
    top = directory / "initrd.d"
    for name in ("bin", "dev", "modules", "host", "memory", "new"):
        (top / name).mkdir(parents=True)
    shutil.copy(busybox, top / "bin/busybox")
    for number, module in enumerate(_in_order(kernel, modules)):
        shutil.copy(module, top / f"modules/{number:02}-{module.name}")
    (top / "guest").write_text(guest)
    (top / "init").write_text(first)
    (top / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(top)) for path in sorted(top.rglob("*")))
    made = subprocess.run(
        [busybox, "cpio", "-o", "-H", "newc"], cwd=top, input=names.encode(), capture_output=True, check=True
    )
    archive = directory / "initrd"
    archive.write_bytes(made.stdout)
    return archive


def _in_order(kernel: pathlib.Path, names: Iterable[str]) -> list[pathlib.Path]:
    """The modules NAMES of KERNEL, each after those that it depends on, by what it says itself."""
    files = {path.stem: path for path in (kernel / "lib/modules").rglob("*.ko")}
    found: dict[pathlib.Path, None] = {}
    for name in names:
        said = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        assert said, name
        found |= dict.fromkeys(_in_order(kernel, filter(None, said[1].decode().split(","))))
        found[files[name]] = None
    return [*found]


@contextmanager
def share(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """The socket at which this machine's root is shared."""
    socket = directory / "share"
    options = ["-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always"]
    with (directory / "share.log").open("wb") as log:
        sharing = subprocess.Popen([VIRTIOFSD, f"--socket-path={socket}", *options], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 100
        while not socket.exists() and sharing.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert socket.exists(), (directory / "share.log").read_text()
        yield socket
    finally:
        sharing.kill()
        sharing.wait()
