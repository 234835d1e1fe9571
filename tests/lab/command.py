"""The installed `mydocker` command, run as a user runs it: Result in bytes, an environment of its own."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pwd
import select
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import mydocker as package
from lab import forking

SCRIPT = pathlib.Path(sys.executable).with_name("mydocker")
_FORKING = "forking"  # next to a copy of the program: what forks for its user
# options of a pytest that needs no other plugin than mydocker's: to import these takes half as long as to import pytest
NO_OTHER_PLUGINS = [word for name in ("xdist", "xdist.looponfail", "hypothesispytest") for word in ("-p", f"no:{name}")]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# a process of its own, and a small one: what it executes begins with its size (getrusage(2), RUSAGE_CHILDREN)
_MEASURE = """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Result:
    stdout: bytes
    stderr: bytes
    code: int


@dataclass(frozen=True)
class Command:
    """`command("run", "alpine", "true")` waits for a Result; `command.start(…)` gives a Popen with pipes.

    `prefix` goes before the program (setpriv, unshare). `environment` is all that the command gets, plus
    what a call adds with `env`; a value None removes one. With `forks`, a call takes an interpreter that has imported
    mydocker already (see lab.forking), unless there is a prefix that it does not know.
    """

    program: pathlib.Path
    environment: Mapping[str, str]
    directory: pathlib.Path
    prefix: Sequence[str] = ()
    store: pathlib.Path = field(default=pathlib.Path("/nonexistent"))
    forks: bool = False
    user: pwd.struct_passwd | None = None

    def __call__(
        self,
        *arguments: str,
        input: bytes = b"",
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        timeout: float = 240,
    ) -> Result:
        argv, environment, directory = self.argv(*arguments), self._environment(env), str(cwd or self.directory)
        server = self._server(arguments[0] if arguments else "") if self.forks else None
        if server and (not self.user or cwd is None) and server.takes(argv, environment):
            words = argv[len(self.prefix) :]
            done = server.run(words, input, environment, directory, entrance=self._entrance(), timeout=timeout)
            return Result(*done)
        ran = subprocess.run(
            argv,
            input=input,
            capture_output=True,
            env=environment,
            cwd=directory,
            timeout=timeout,
        )
        return Result(ran.stdout, ran.stderr, ran.returncode)

    def _server(self, command: str) -> forking.Server | None:
        """What forks for this COMMAND, if it can do what the words before it do, or has been started after them."""
        own = self.program.with_name(_FORKING)
        if self._is_user_s and own.exists():
            return forking.server([*self.prefix, str(own)], command=command)
        if forking.entrance(self.prefix) is None:
            return None
        if self.program == SCRIPT:
            return forking.server(command=command)
        return forking.server([str(own)], command=command) if own.exists() else None

    def _entrance(self) -> dict[str, str]:
        """What the server does before the command."""
        return {} if self._is_user_s and self.program != SCRIPT else forking.entrance(self.prefix) or {}

    @property
    def _is_user_s(self) -> bool:
        return self.user is not None and [*self.prefix] == entered_as(self.user)

    def at_once(self, *arguments: str, count: int) -> list[Result]:
        """COUNT calls that all run at the same time."""
        with ThreadPoolExecutor(count) as threads:
            return [*threads.map(lambda _: self(*arguments), range(count))]

    def measured(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> tuple[Result, int]:
        """As a call, and the bytes of memory that it, or the largest of its children, has had at once."""
        with tempfile.TemporaryFile() as report:
            argv = [sys.executable, "-IS", "-c", _MEASURE, str(report.fileno()), *self.argv(*arguments)]
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=self._environment(env),
                cwd=self.directory,
                pass_fds=[report.fileno()],
                timeout=240,
            )
            report.seek(0)
            return Result(done.stdout, done.stderr, done.returncode), int(report.read()) << 10

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        **options: object,
    ) -> subprocess.Popen[bytes]:
        """Without OPTIONS, all three streams are pipes; the caller ends the process."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(  # type: ignore[no-any-return, call-overload]  # options as Popen has them
            self.argv(*arguments), env=self._environment(env), cwd=cwd or self.directory, **{**pipes, **options}
        )

    def argv(self, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.program), *arguments]

    def _environment(self, changes: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**self.environment, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}


def command(
    directory: pathlib.Path, *, registry: str = "", store: pathlib.Path | None = None, forks: bool = False
) -> Command:
    """A command whose home, configuration and store lie in DIRECTORY; docker.io is the registry at REGISTRY."""
    configuration, home = directory / "config", directory / "home"
    (configuration / "containers").mkdir(parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    if registry:
        (configuration / "containers" / "registries.conf").write_text(registries_conf(registry))
    store = store or directory / "store"
    environment = {
        "PATH": PATH,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(configuration),
        "MYDOCKER_ROOT": str(store),
        "LC_ALL": "C.UTF-8",
    }
    return Command(SCRIPT, environment, directory, store=store, forks=forks)


def registries_conf(address: str) -> str:
    """containers-registries.conf(5): docker.io is answered by ADDRESS, without TLS, and so is ADDRESS itself."""
    return f"""\
[[registry]]
prefix = "docker.io"
location = "{address}"
insecure = true

[[registry]]
location = "{address}"
insecure = true
"""


@contextmanager
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    """A user made for the length of the `with`, with a home and no subordinate ids; see `granted`."""
    name = f"mydocker-{os.getpid()}"
    no_ids = ["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"]
    _change_users("useradd", "--create-home", "--shell", "/bin/sh", *no_ids, name)
    try:
        yield pwd.getpwnam(name)
        await_end_of_processes(pwd.getpwnam(name))
    finally:
        forking.end_servers_of_users()
        _change_users("userdel", "--remove", name)


@contextmanager
def granted(user: pwd.struct_passwd, first: int, count: int = 65536) -> Iterator[None]:
    """For the length of the `with`, USER has COUNT subordinate ids of users, and of groups, from FIRST on."""
    await_end_of_processes(user)
    line = f"{user.pw_name}:{first}:{count}\n"
    _write_ranges(lambda lines: [*lines, line])
    try:
        yield
    finally:
        await_end_of_processes(user)
        _write_ranges(lambda lines: [each for each in lines if each != line])


def _write_ranges(change: Callable[[list[str]], list[str]]) -> None:
    """Replace subuid(5) and subgid(5) by what CHANGE makes of their lines."""
    with _users_to_ourselves():
        for path in (pathlib.Path("/etc/subuid"), pathlib.Path("/etc/subgid")):
            path.touch()
            new = path.with_name(f"{path.name}.mydocker")
            new.write_text("".join(change(path.read_text().splitlines(keepends=True))))
            new.chmod(0o644)
            new.replace(path)


def _change_users(*words: str) -> None:
    """Call a program of shadow-utils."""
    with _users_to_ourselves():
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)


@contextmanager
def _users_to_ourselves() -> Iterator[None]:
    """One at a time: shadow-utils do not wait for another one's lock."""
    with pathlib.Path(tempfile.gettempdir(), "mydocker-tests.users").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def await_end_of_processes(user: pwd.struct_passwd) -> bool:
    """Whether USER has processes still after 100 s, but for those that wait for commands (lab.forking): userdel(8)
    removes no user who has. Their networks last a moment longer than their containers."""
    until = time.monotonic() + 100
    while process := _process_of(user.pw_uid):
        with suppress(ProcessLookupError):
            watch = os.pidfd_open(process)
            select.select([watch], [], [], max(0, until - time.monotonic()))
            os.close(watch)
        if time.monotonic() >= until:
            return True
        time.sleep(0.02)  # nobody may have waited for it yet
    return False


def _process_of(user: int) -> int:
    """One of USER's, or 0. As usermod(8) finds them: also those that are not dumpable, whose directories in /proc are
    root's (proc(5))."""
    waiting = {str(process) for process in forking.processes()}
    for name in {*os.listdir("/proc")} - waiting:
        with suppress(OSError):  # it has just ended
            if name.isdecimal() and f"\nUid:\t{user}\t" in pathlib.Path(f"/proc/{name}/status").read_text():
                return int(name)
    return 0


def entered_as(user: pwd.struct_passwd) -> list[str]:
    """Words before a command that run it as USER. Through env(1): what setpriv executes itself still has, for the
    length of that call, root's way into closed directories."""
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--inh-caps=-all"]
    return ["setpriv", *ids, "--", "env"]


def python_of(user: pwd.struct_passwd) -> str:
    """An interpreter of our version that USER may run: ours, or the system's."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [os.path.realpath(sys.executable), f"/usr/bin/python{version}"]
    as_them = entered_as(user) if os.geteuid() == 0 else []
    for python in candidates:
        done = subprocess.run(
            [*as_them, python, "-I", "-c", "import sys; print(sys.prefix)"], capture_output=True, cwd="/"
        )
        if done.returncode == 0:
            return python
    raise FileNotFoundError(f"none of {candidates} can be run by user {user.pw_name}")


def as_user(command: Command, user: pwd.struct_passwd, *, program: pathlib.Path) -> Command:
    """COMMAND with PROGRAM, entered as a login of USER would be: no groups, no capabilities."""
    prefix = entered_as(user)
    environment = {**command.environment, "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return Command(program, environment, command.directory, prefix, command.store, command.forks, user)


def readable_copy(directory: pathlib.Path, *, python: str) -> pathlib.Path:
    """mydocker and what it needs, copied into DIRECTORY for users who may not enter this environment; the program."""
    site = directory / "site"
    # with what has been compiled, which users could not keep; without what is large and for the tests alone: the file
    # system of a virtual machine is slow
    tools = ("mypy", "*mypyc*", "ast_serialize", "pip", "setuptools", "kubernetes_validate*", "jsonschema*")
    unused = shutil.ignore_patterns(*tools, "*hypothesis*")
    shutil.copytree(sysconfig.get_path("purelib"), site, ignore=unused)
    shutil.copytree(pathlib.Path(package.__file__).parent, site / "mydocker", dirs_exist_ok=True)
    shutil.copy(forking.__file__, site / "forking.py")
    for name, call in {"mydocker": "from mydocker.cli import main", _FORKING: "from forking import main"}.items():
        program = directory / name
        program.write_text(f"#!{python} -I\nimport sys\nsys.path.insert(0, {str(site)!r})\n{call}\nsys.exit(main())\n")
        program.chmod(0o755)
    return directory / "mydocker"
