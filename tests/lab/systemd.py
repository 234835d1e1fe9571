"""A virtual machine with systemd as its first process, which can be started again: what it writes stays on a disk.

As in lab.machine its root is this machine's own tree, read-only, under a writable layer; `/etc` is a copy of this
machine's, without units. Only what is needed for a service starts, so that a boot in software takes seconds. The kernel
has no modules but those of the root. Commands are run by a service that reads them from the second serial line.
"""

from __future__ import annotations

import base64
import pathlib
import socket
import subprocess
import time
from contextlib import ExitStack

from lab.command import PATH
from lab.machine import EMULATOR, KERNEL_OPTIONS, MODULES, make_initrd, share

MORE_MODULES = ("virtio_blk", "bridge", "veth", "nft_chain_nat", "nft_ct", "nft_fib_inet", "nft_masq")
MORE_MODULES += ("nft_meta_bridge", "nft_nat", "nft_redir")  # for networks
STORE, DATA = "/srv/store", "/srv"
FIRST = """\
#!/bin/busybox sh
b=/bin/busybox
set -e
for module in /modules/*; do $b insmod $module; done
$b mount -t devtmpfs dev /dev
$b mount -t virtiofs -o ro host /host
$b mount -t ext4 /dev/vda /memory
if [ ! -e /memory/etc ]; then  # the first boot
    $b mkdir /memory/upper /memory/work /memory/srv
    $b cp -a /host/etc /memory/etc.new
    $b cp /bin/busybox /memory/upper/
    . /guest
    $b mv /memory/etc.new /memory/etc
fi
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /new
$b rm -f /new/.dockerenv /new/run/.containerenv  # systemd would do less in a container
$b mount -o bind /memory/etc /new/etc
$b mount -o bind /memory/srv /new/srv
$b mount -t tmpfs home /new/home
$b umount /dev
exec $b switch_root /new /lib/systemd/systemd
"""
# of what Debian's systemd starts, the journal alone; users' managers come without PAM and D-Bus
SETUP = """\
cd /memory/etc.new
$b rm -rf systemd *.lock fstab crypttab rc.local
$b mkdir -p systemd/system/multi-user.target.wants systemd/system-generators systemd/system/user@.service.d
for unit in /host/lib/systemd/system/sysinit.target.wants/* /host/lib/systemd/system/multi-user.target.wants/* \\
    /host/lib/systemd/system/sockets.target.wants/* /host/lib/systemd/system/timers.target.wants/*; do
    case $unit in */systemd-journald*) ;; *) $b ln -sf /dev/null systemd/system/${unit##*/};; esac
done
for unit in systemd-remount-fs systemd-udevd; do $b ln -sf /dev/null systemd/system/$unit.service; done
for generator in /host/lib/systemd/system-generators/*; do
    $b ln -s /dev/null systemd/system-generators/${generator##*/}
done
$b ln -s /lib/systemd/system/multi-user.target systemd/system/default.target
echo 0123456789abcdef0123456789abcdef > machine-id
$b cat > systemd/system/user@.service.d/plain.conf <<END
[Service]
PAMName=
Environment=XDG_RUNTIME_DIR=/run/user/%i
END
$b cat > systemd/system/user-runtime-dir@.service <<END
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c "mkdir -p /run/user/%i && chmod 700 /run/user/%i && chown %i:%i /run/user/%i"
END
$b cat > systemd/system/commands.service <<END
[Service]
ExecStart=/busybox sh /commands
KillMode=process
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
Environment=PATH=@PATH@ HOME=/root MYDOCKER_ROOT=@STORE@ LC_ALL=C.UTF-8
WorkingDirectory=/srv
END
$b ln -s ../commands.service systemd/system/multi-user.target.wants/
$b cat > /memory/upper/commands <<'END'
b=/busybox
$b stty raw -echo
echo hello
while read -r line; do
    echo "$line" | $b base64 -d > /run/command
    /bin/sh /run/command < /dev/null > /run/output 2>&1
    code=$?
    echo "$($b base64 -w 0 /run/output) $code"
done
END
cd /
"""


class SystemdMachine:
    """Context manager: a machine that has booted, and is switched off at the end."""

    def __init__(self, directory: pathlib.Path, kernel: pathlib.Path) -> None:
        """KERNEL is an unpacked linux-image package. DIRECTORY is for sockets, the disk and the console."""
        self.directory, self.kernel = directory, kernel
        self._ends = ExitStack()
        self.boot_seconds = 0.0

    def __enter__(self) -> SystemdMachine:
        disk = self.directory / "disk"
        with disk.open("wb") as file:
            file.truncate(1 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        setup = SETUP.replace("@PATH@", PATH).replace("@STORE@", STORE)
        self._initrd = make_initrd(self.directory, self.kernel, setup, first=FIRST, modules=(*MODULES, *MORE_MODULES))
        self._boot()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _boot(self) -> None:
        began = time.monotonic()
        [vmlinuz] = (self.kernel / "boot").glob("vmlinuz-*")
        sock = self.directory / "commands"
        sock.unlink(missing_ok=True)
        shared = self._ends.enter_context(share(self.directory))
        append = f"{KERNEL_OPTIONS} systemd.show_status=no"
        words = [
            *EMULATOR,
            *("-serial", f"file:{self.directory}/console", "-serial", f"unix:{sock},server=on,wait=off"),
            *("-kernel", str(vmlinuz), "-initrd", str(self._initrd), "-append", append),
            *("-chardev", f"socket,id=share,path={shared}", "-device", "vhost-user-fs-pci,chardev=share,tag=host"),
            *("-drive", f"file={self.directory}/disk,if=none,id=disk,format=raw,cache=unsafe"),
            *("-device", "virtio-blk-pci,drive=disk"),
        ]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        self._ends.callback(self._process.wait)
        self._ends.callback(self._process.kill)
        deadline = time.monotonic() + 100
        while not sock.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._connection = self._ends.enter_context(socket.socket(socket.AF_UNIX))
        self._connection.connect(str(sock))
        self._lines = self._connection.makefile("rb")
        assert self._answer(300) == "hello", self.console
        self.boot_seconds = time.monotonic() - began

    @property
    def console(self) -> str:
        return (self.directory / "console").read_text(errors="replace")

    def _answer(self, seconds: float) -> str:
        self._connection.settimeout(seconds)
        return self._lines.readline().decode().strip()

    def run(self, command: str, *, seconds: float = 240, code: int | None = 0) -> str:
        """What the shell's COMMAND prints there, which ends with CODE, if that is not None."""
        self._connection.sendall(base64.b64encode(command.encode()) + b"\n")
        words = self._answer(seconds).split(" ")
        output, status = base64.b64decode(words[0] if len(words) > 1 else "").decode(errors="replace"), int(words[-1])
        assert code is None or status == code, (command, status, output)
        return output

    def reboot(self) -> None:
        """As an administrator does it."""
        self._connection.sendall(base64.b64encode(b"systemctl reboot") + b"\n")
        self._process.wait(240)
        self._ends.close()
        self._boot()

    def cut_power(self) -> None:
        """What has been written to the disk is there, and nothing else."""
        self.run("sync")
        self._ends.close()
        self._boot()
