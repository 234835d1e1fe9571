"""The shape of the project, kept by reading it: which room imports which, the doors, the sizes, the warm path."""

from __future__ import annotations

import ast
import functools
import gc
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from lab.command import Command
from lab.places import ROOT

import mydocker

PACKAGE = ROOT / "mydocker"
MODULES = sorted(PACKAGE.rglob("*.py"))

# what each room may import; rooms point down only, and image and specs do not know each other
BASE = {
    "",
    "bytecode",
    "errors",
    "idmap",
    "json_output",
    "kernel",
    "message",
    "nearest",
    "number",
    "paths",
    "programs",
    "record",
    "reference",
    "untrusted",
}
RUNTIME = BASE | {"image", "specs", "runtime"}
SERVICES = RUNTIME | {"verdict", "services"}
ARROWS = {
    "image": BASE | {"image"},
    "specs": BASE | {"specs"},
    "runtime": RUNTIME,
    "verdict": BASE | {"specs", "runtime", "verdict"},
    "services": SERVICES,
    "testing": SERVICES | {"testing"},
    "cli": SERVICES | {"testing", "cli"},
    "api": SERVICES | {"testing", "results", "api"},
    "results": BASE | {"runtime"},
    "pytest_plugin": SERVICES | {"testing", "api"},
    "__main__": {"bytecode", "cli"},
    "__init__": set(),
}
# what mydocker imports of itself to run an image that is present
WARM = """
mydocker mydocker.bytecode mydocker.cli mydocker.cli.commands mydocker.cli.commands.run mydocker.cli.common
mydocker.errors mydocker.image mydocker.image.model mydocker.image.model.config mydocker.image.model.json_input
mydocker.image.resolve mydocker.image.store mydocker.image.store.remove_tree mydocker.image.store_root mydocker.kernel
mydocker.kernel.beneath mydocker.kernel.clib mydocker.kernel.signals mydocker.record mydocker.reference
mydocker.runtime mydocker.runtime.command mydocker.runtime.command.executable mydocker.runtime.command.outcome
mydocker.runtime.command.privileges mydocker.runtime.command.supervise mydocker.runtime.command.users
mydocker.runtime.launch mydocker.runtime.launch.child mydocker.runtime.launch.cleanup_process
mydocker.runtime.launch.parent mydocker.runtime.launch.run_directory mydocker.runtime.plan mydocker.runtime.plan.host
mydocker.runtime.plan.operations mydocker.runtime.plan.root mydocker.runtime.plan.standard_mounts
mydocker.runtime.seccomp mydocker.runtime.streams mydocker.runtime.streams.relay mydocker.specs mydocker.specs.argv
mydocker.specs.assemble mydocker.specs.field_types mydocker.specs.fields mydocker.specs.flags mydocker.specs.model
mydocker.specs.values mydocker.specs.values.capability
"""

# and to run it in a network, whose bridge is there
WARM_NETWORK = """
mydocker.kernel.netlink mydocker.kernel.nftables mydocker.number mydocker.runtime.network
mydocker.runtime.network.addresses mydocker.runtime.network.bridge mydocker.runtime.network.connections
mydocker.runtime.network.firewall mydocker.runtime.network.leases mydocker.runtime.network.networks
mydocker.runtime.plan.networks mydocker.specs.model.parts
"""

# and to execute a command in a container that runs in the background
WARM_EXEC = """
mydocker mydocker.bytecode mydocker.cli mydocker.cli.commands mydocker.cli.commands.exec mydocker.errors
mydocker.image mydocker.image.store_root mydocker.kernel mydocker.kernel.beneath mydocker.kernel.clib
mydocker.kernel.enter mydocker.kernel.process_title mydocker.kernel.processes mydocker.kernel.signals mydocker.record
mydocker.runtime mydocker.runtime.command mydocker.runtime.command.executable mydocker.runtime.command.outcome
mydocker.runtime.command.privileges mydocker.runtime.command.supervise mydocker.runtime.command.users
mydocker.runtime.enter mydocker.runtime.enter.container mydocker.runtime.enter.entrant mydocker.runtime.enter.session
mydocker.runtime.enter.supervisor mydocker.runtime.streams mydocker.runtime.streams.relay mydocker.specs
mydocker.specs.flags
"""

# and to list containers
WARM_PS = """
mydocker mydocker.bytecode mydocker.cli mydocker.cli.commands mydocker.cli.commands.ps mydocker.cli.common
mydocker.cli.common.table mydocker.errors mydocker.image mydocker.image.store_root mydocker.kernel
mydocker.kernel.clib mydocker.kernel.signals mydocker.number mydocker.record mydocker.runtime
mydocker.runtime.inspect mydocker.runtime.inspect.running mydocker.services mydocker.services.containers
mydocker.services.listing mydocker.services.listing.rows mydocker.services.listing.stored mydocker.specs
mydocker.specs.as_json mydocker.specs.flags
"""

DOORS = ["_ctypes", "ctypes", "requests", "sh", "yaml"]
TOP_LEVEL = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "action.yml",  # GitHub looks for it here
    "docs",
    "examples",
    "mydocker",
    "pyproject.toml",
    "tests",
}

# what looks at digits itself: bytes, names, what is on the warm path or has a grammar of its own
OWN_NUMBERS = """
idmap.py image/registry/auth/token.py image/registry/client.py image/tar/header.py number.py reference.py
services/case.py specs/expect/matcher.py specs/load/flow.py specs/security/seccomp.py testing/batch/batch.py
verdict/gjson.py verdict/semver.py
"""

# what a warm start never imports; each of these costs a quarter of a millisecond or more, or brings in one that does
HEAVY = """
argparse asyncio base64 binascii configparser contextlib copy ctypes dataclasses datetime email enum fcntl fnmatch
functools glob hashlib http importlib.metadata importlib.resources inspect ipaddress isal json locale logging
multiprocessing pathlib pickle platform random re requests rich secrets selectors sh shlex shutil socket ssl string
struct subprocess tarfile tempfile textwrap threading tokenize tomllib traceback typing urllib urllib3 uuid weakref
yaml zlib
"""
IN_PROCESS = (
    "from mydocker.bytecode import find_directly; find_directly(); from mydocker.cli import main; sys.exit(main())"
)
REPORT = """
import sys
sys.path.append({place!r})
before = set(sys.modules)
try:
    {code}
finally:
    sys.stderr.write("\\n".join(set(sys.modules) - before))
"""


@functools.cache
def _text(file: pathlib.Path) -> str:
    return file.read_text()


def _parsed(file: pathlib.Path) -> ast.Module:
    """FILE's tree, of which nothing is kept: the collector would go through all of them time and again. Nothing of one
    is in a circle, so there is nothing to collect meanwhile either."""
    gc.disable()
    try:
        return ast.parse(_text(file))
    finally:
        gc.enable()


class _Facts(NamedTuple):
    """What the tests below look at in a module."""

    documented: bool
    imports: frozenset[str]  # absolute names, also inside functions and under TYPE_CHECKING
    functions: tuple[tuple[str, int, int], ...]  # (name, first line, number of lines)
    calls: tuple[tuple[str, int], ...]  # (what is called, by a name or an attribute; line)


@functools.cache
def _facts(module: pathlib.Path) -> _Facts:
    imports: set[str] = set()
    functions, calls = [], []
    tree = _parsed(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            imports |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef) and node.end_lineno:
            functions.append((node.name, node.lineno, node.end_lineno - node.lineno + 1))
        elif isinstance(node, ast.Call):
            calls.append((_dotted(node.func), node.lineno))
    return _Facts(bool(ast.get_docstring(tree)), frozenset(imports), tuple(functions), tuple(calls))


def _dotted(called: ast.expr) -> str:
    """`a.b.c` as it stands there; of what is called in another way, a part."""
    if isinstance(called, ast.Attribute):
        return f"{_dotted(called.value)}.{called.attr}"
    return called.id if isinstance(called, ast.Name) else ""


def _name(file: pathlib.Path) -> str:
    return str(file.relative_to(ROOT))


def _imports(module: pathlib.Path) -> frozenset[str]:
    return _facts(module).imports


def _room(name: str) -> str:
    """`runtime` of `mydocker.runtime.plan.Plan`; the empty string of `mydocker` itself and its version."""
    parts = name.split(".")[1:]
    return parts[0] if parts and parts[0] != "__version__" else ""


def test_imports_go_down_only() -> None:
    upward = {}
    for module in MODULES:
        inside = module.relative_to(PACKAGE).with_suffix("")
        allowed = ARROWS.get(inside.parts[0], BASE)
        rooms = {_room(name) for name in _imports(module) if name.split(".")[0] == "mydocker"}
        if inside.parts != ("__init__",):
            upward[_name(module)] = sorted(rooms - allowed)
    assert {name: rooms for name, rooms in upward.items() if rooms} == {}


# imports that close a circle, each with the reason why it may
CIRCLES = {
    ("mydocker", "mydocker.api"): "the door of the package loads the API when one of its names is asked for",
    ("mydocker", "mydocker.pytest_plugin"): "and makes fixtures of pytest with it",
    ("mydocker.runtime.launch.child", "mydocker.runtime.launch.clean_child"): (
        "the child executes an interpreter anew, in which the other goes on with the child's work"
    ),
    ("mydocker.runtime.cgroup.outer_memory", "mydocker.runtime.cgroup.cgroup"): (
        "kills by an outer limit are read as those by the container's own are"
    ),
}


def _graph() -> dict[str, set[str]]:
    """Which modules each module of mydocker imports: at its top, in functions, and for types alone."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
    }

    def module_of(name: str) -> str:
        return name if name in modules else name.rpartition(".")[0]

    return {
        name: ({module_of(each) for each in _imports(path)} & modules.keys()) - {name} for name, path in modules.items()
    }


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of some circle, in their order; none if there is none: what imports nothing that is left goes."""
    left = dict(graph)
    while gone := [name for name, imported in left.items() if not imported & left.keys()]:
        for name in gone:
            del left[name]
    path = [min(left)] if left else []
    while path and path[-1] not in path[:-1]:
        path.append(min(left[path[-1]] & left.keys()))
    return path[path.index(path[-1]) :] if path else []


def test_imports_go_in_no_circle() -> None:
    """Neither may one be hidden by an import in a function, or under TYPE_CHECKING."""
    graph = _graph()
    for name, imported in CIRCLES:
        assert imported in graph[name], f"{name} does not import {imported} any more: take it out of CIRCLES"
        graph[name].discard(imported)
    assert _circle(graph) == []
    for name, imported in CIRCLES:
        with_it = {**graph, name: graph[name] | {imported}}
        assert _circle(with_it), f"{name} may import {imported}, which closes no circle: take it out of CIRCLES"


def test_numbers_in_text_are_read_in_one_place() -> None:
    """What isdigit() and the like take goes beyond ASCII, so each use that is left has to check that itself. What the
    runtime reads of numbers is the kernel's."""
    uses = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if any(word in _text(module) for word in (".isdigit()", ".isdecimal()", ".isnumeric()"))
    }
    assert {name for name in uses if not name.startswith(("runtime/", "kernel/"))} <= {*OWN_NUMBERS.split()}


@pytest.mark.parametrize("library", DOORS)
def test_each_outside_thing_has_one_door(library: str) -> None:
    """One file, or the one package `kernel`."""
    doors = {
        module.parent if module.parent == PACKAGE / "kernel" else module
        for module in MODULES
        if any(name.split(".")[0] == library for name in _imports(module))
    }
    assert len(doors) <= 1, doors


def test_files_are_short_and_say_what_they_are() -> None:
    lines = {_name(module): len(_text(module).splitlines()) for module in MODULES}
    longest = {"mydocker/specs/fields.py": 1500}  # one table is one thing to read
    assert {name: count for name, count in lines.items() if count > longest.get(name, 500)} == {}
    assert [_name(module) for module in MODULES if not _facts(module).documented] == []


FOLDERS = sorted({path.parent for root in (PACKAGE, ROOT / "tests") for path in root.rglob("*.py")})
MANY = ("cli/commands", "lab")  # one file a command; one file a real part that tests run against


def test_folders_have_few_files() -> None:
    files = {folder: [path for path in folder.glob("*.py") if path.name != "__init__.py"] for folder in FOLDERS}
    assert [_name(folder) for folder in FOLDERS if len(files[folder]) > 15 and not str(folder).endswith(MANY)] == []


def test_modules_are_imported_by_name() -> None:
    """An import by a string is one that no reader and no test of arrows sees; here are those whose name is data."""
    data = {
        "__init__.py",  # what `import mydocker` offers, when it is first asked for
        "bytecode.py",  # every module of mydocker, as Python asks for it
        "cli/commands/__init__.py",  # a command, by the word on the command line
        "services/workers/interpreter.py",  # what a new interpreter is to do, by whoever starts it
    }
    found = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if re.search(r"__import__|import_module|importlib", module.read_text())
    }
    assert found == data


def test_functions_are_short() -> None:
    lines = {
        f"{_name(module)}:{first} {name}": count
        for module in MODULES
        for name, first, count in _facts(module).functions
    }
    assert {name: count for name, count in lines.items() if count > 40} == {}


def test_only_the_command_line_prints_and_exits() -> None:
    writes = {"print", "exit", "quit", "sys.exit", "sys.stdout.write", "sys.stderr.write"}
    found = {
        f"{_name(module)}:{line}"
        for module in MODULES
        if module.relative_to(PACKAGE).parts[0] not in ("cli", "__main__.py")
        for called, line in _facts(module).calls
        if called in writes
    }
    assert found == set()


# what a reader would not search for, and what there is to write instead
DIALECT = {
    r"looked at from outside|what is seen": "inspected from outside the container",
    r"nobody says": "unset, the default",
    r"walls": "isolation",
    r"has no equal": "is not supported",
    r"(?:it|what|not) is so": "it holds",
    r"of ours": "mydocker's",
    r"by hand|in the midst": "manually; inside",
    r"for \w+'s sake": "for compatibility",
    r"processors' worth": "number of CPUs",
    r"janitor|reaper|warden|crew": "cleanup process, init, outer init, worker pool",
    r"told|heard": "reported, received",
    r"beside": "alongside, next to",
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


TESTS = sorted((ROOT / "tests").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
TEXTS = [*MODULES, *(path for path in TESTS if path != pathlib.Path(__file__)), *EXAMPLES, *PAGES]


def test_words_are_plain() -> None:
    """In text, and in names as well: `_` separates words there. This file has the list."""
    found = []
    lower = {file: _text(file).lower().replace("_", " ") for file in TEXTS}
    for words, instead in DIALECT.items():
        rough = re.compile(words)  # without what takes long at each letter
        phrase = re.compile(rf"(?i)(?<![^\W_])(?:{words.replace(' ', '[ _]')})(?![^\W_])")
        found += [
            f"{_name(file)}:{number}: {line.strip()!r}: write {instead!r}"
            for file in TEXTS
            if rough.search(lower[file])
            for number, line in enumerate(_text(file).splitlines(), 1)
            if phrase.search(line)
        ]
    wrong = re.compile(r"(?:Error\(|refuse\().*[\"': ]want [a-z]")
    assert found == [] == [f"{_name(file)}: write 'expected'" for file in TEXTS if wrong.search(_text(file))]


CLOCKS = ("time.", "random.", "secrets.", "uuid.", "os.urandom", "datetime.", "stacks.samples")


def _is_fickle(name: str) -> bool:
    """Whether what is called by NAME is another one each time, or takes its time; a generator with a seed is not."""
    return (name.startswith(CLOCKS) and not name.startswith("random.Random")) or name.endswith(".example")


def _run_on_import(tree: ast.AST) -> list[str]:
    """The names of what is called when a file is imported: all but what functions have in them."""
    called = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            parts = getattr(node, "decorator_list", [])
            called += [name for part in parts for name in _run_on_import(ast.Expression(part))]
            continue
        if isinstance(node, ast.Call):
            called.append(ast.unparse(node.func))
        called += _run_on_import(node)
    return called


def test_nothing_is_random_or_timed_while_tests_are_collected() -> None:
    """A busy machine, and a run of some of the tests only, collect the same ones."""
    called = {_name(module): _run_on_import(_parsed(module)) for module in TESTS}
    fickle = {file: [name for name in names if _is_fickle(name)] for file, names in called.items()}
    assert {file: names for file, names in fickle.items() if names} == {}


def test_generated_examples_have_all_the_time_that_they_need() -> None:
    assert settings.default is not None and settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
    for module in TESTS:
        lists = re.findall(r"suppress_health_check=\[([^]]*)\]", module.read_text())
        assert all("too_slow" in text for text in lists if text), module


def test_the_top_level_holds_what_was_agreed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no repository, but an archive of it")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FEW = {"architecture.md": 60, "isolation.md": 5}  # what these pages name is their substance: at least so many paths
_PATH = re.compile(r"(?<![\w/.{-])(?:mydocker|tests|docs|examples)/[\w/.-]*[\w/]")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_paths_that_a_page_names_are_there(page: pathlib.Path) -> None:
    """Files and folders of the repository, in its text and its diagrams."""
    text = re.sub(r"^```(sh|yaml|console|python)$.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    named = {path for span in re.findall(r"`[^`\n]+`|^[^`\n]+$", text, re.MULTILINE) for path in _PATH.findall(span)}
    assert len(named) >= FEW.get(page.name, 0)
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_tests_that_a_page_names_are_there(page: pathlib.Path) -> None:
    for file, name in set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text())):
        defined = {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in defined, f"{file}::{name}"


def test_the_page_on_isolation_has_every_process_that_is_forked() -> None:
    """What forks in the room that enters containers is on the page, or has nothing to do with one."""
    forks = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if re.search(r"os\.fork\(\)|fork_with_pipe\(\)|kernel\.clone\(|posix_spawn\(", module.read_text())
    }
    in_containers = {
        "cdi/hook.py",
        "copy/session.py",
        "enter/entrant.py",
        "enter/session.py",
        "enter/supervisor.py",
        "inspect/container_view.py",
        "inspect/exec.py",
        "inspect/helper_process.py",  # requests by HTTP, and what oversees a command
        "inspect/running_container.py",
        "launch/init.py",
        "launch/parent.py",
        "launch/pre_start.py",
        "network/name_server/process.py",  # with --dns
        "network/rootless/inside.py",  # for a container that joins one, else in the holder's
    }
    elsewhere = {  # they stay in the host's namespaces, or in empty ones of their own
        "image_file/server.py",
        "launch/cleanup_process.py",
        "network/port_relay/process.py",
        "volume/idmapped.py",
        "network/rootless/attachment.py",
        "network/rootless/holder.py",
        "network/trial.py",
    }
    assert {name.removeprefix("runtime/") for name in forks if name.startswith("runtime/")} == in_containers | elsewhere


def test_ci_runs_the_test_command_of_the_readme() -> None:
    blocks = (ROOT / "README.md").read_text().split("```sh\n")[1:]
    [command] = [block.split("```")[0] for block in blocks if "pytest" in block.split("```")[0]]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_ci_looks_for_its_other_steps_where_they_are() -> None:
    """Collecting all tests for a few of them takes longer than some of these steps."""
    places = {"stacks": r"stacks/.*", "slurm": r"testing/engines/.*", "qemu": r".*/test_qemu_[^/]*\.py"}
    seen = set()
    for path in TESTS:
        name = str(path.relative_to(ROOT / "tests"))
        for marker in re.findall(r"^(?:pytestmark = |@).*mark\.(stacks|slurm|qemu)\b", path.read_text(), re.MULTILINE):
            assert re.fullmatch(places[marker], name), (name, marker)
            seen.add(marker)
    assert seen == places.keys()


def test_the_dockerfile_builds_the_plain_image_from_this_folder_alone() -> None:
    """The last stage is the default one; what it is built on fetches nothing but Python packages."""
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
    plain, tester, default = stages
    assert plain.startswith("python:3-slim AS plain\n") and "://" not in plain
    assert 'ENTRYPOINT ["mydocker"]' in plain
    assert plain.index("pip install") < plain.index("COPY mydocker"), "code before the dependencies spoils the cache"
    assert tester.startswith("plain AS tester\n") and "/usr/local/bin/docker-explorer" in tester
    assert default.strip() == "plain"


def test_the_dockerfile_copies_what_the_context_has() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = [line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    assert {name for names in copies for name in names} == set(allowed)


def _loaded(code: str, *arguments: str, env: Mapping[str, str] | None = None) -> set[str]:
    """The modules that CODE leaves in sys.modules, beyond those of the interpreter alone.

    Without `site` (-S) and without the current directory (-P): the path files of an editable install import
    much that would then go unnoticed.
    """
    place = str(pathlib.Path(mydocker.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-SP", "-c", REPORT.format(code=code, place=place), *arguments],
        capture_output=True,
        text=True,
        env=env,
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    return set(done.stderr.split())


# what a command imports only where it is asked for: services of a project, what runs one after the other, differences
# of texts, plans of others, sizes of images
NOT_NEEDED = {
    "test": """
ast difflib mydocker.runtime.inspect.running_plan mydocker.services.project.down mydocker.testing.cases.project typing
""",
    "up": """
ast difflib hashlib mydocker.image.tar mydocker.runtime.inspect.running_plan mydocker.services.sequence
mydocker.services.workers mydocker.verdict typing
""",
    "down": "ast hashlib mydocker.runtime.inspect.running_plan mydocker.services.project.hooks typing",
    **dict.fromkeys(("commit", "config", "fsck", "load"), "mydocker.image.registry.client requests"),
}
WORDS = {name: (name, "--help") for name in NOT_NEEDED} | {"test": ("test", "--list", ".")}
COLLECTED = """
from mydocker.cli import main
early = []
def note(phase, info):
    if not hasattr(sys.modules.get("mydocker.cli.testing.batch"), "run"):
        early.append(info)
gc.callbacks.append(note)
main()
print(len(early), gc.isenabled(), gc.get_freeze_count() > 1000)
"""
IMPORTED = """
before = set(sys.modules)
from mydocker.cli import main
try:
    main()
except SystemExit:  # after its help
    pass
print(*set(sys.modules) - before)
"""


@pytest.fixture
def printed(tmp_path: pathlib.Path) -> Callable[[str, str], list[str]]:
    """A function that has a command, with its WORDS, run by some code, and returns the words that this prints last."""
    (tmp_path / "a.smoke.yaml").write_text("image: alpine\nexpect: {stdout: x}\n")

    def run(code: str, command: str) -> list[str]:
        code = f"import gc, sys; sys.path.append({str(pathlib.Path(mydocker.__file__).parent.parent)!r})\n{code}"
        words = [sys.executable, "-P", "-c", code, *WORDS[command]]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout.splitlines()[-1].split()

    return run


@pytest.mark.parametrize("command", WORDS)
def test_a_command_imports_nothing_that_it_may_not_need(printed: Callable[[str, str], list[str]], command: str) -> None:
    loaded = printed(IMPORTED, command)
    assert f"mydocker.cli.commands.{command}" in loaded
    assert sorted({*loaded} & {*NOT_NEEDED[command].split()}) == []


def test_nothing_is_collected_while_a_command_is_imported(printed: Callable[[str, str], list[str]]) -> None:
    """And what has been imported is not looked at from then on."""
    assert printed(COLLECTED, "test") == ["0", "True", "True"]


def test_importing_the_package_imports_nothing_else() -> None:
    assert _loaded("import mydocker") == {"mydocker"}


@pytest.mark.root
def test_a_warm_start_imports_nothing_heavy(warm: set[str]) -> None:
    assert sorted(warm & set(HEAVY.split())) == []


@pytest.mark.root
def test_a_warm_start_imports_only_the_listed_modules(warm: set[str]) -> None:
    """A module more is a decision: it costs each start, so it is written down here."""
    assert sorted(name for name in warm if name.split(".")[0] == "mydocker") == WARM.split()


@pytest.mark.root
def test_a_start_in_a_network_imports_only_the_listed_modules(warm_network: set[str]) -> None:
    """Where another container is. What the child imports is not seen here."""
    assert sorted(warm_network & set(HEAVY.split())) == []
    listed = sorted([*WARM.split(), *WARM_NETWORK.split()])
    assert sorted(name for name in warm_network if name.split(".")[0] == "mydocker") == listed


@pytest.mark.root
def test_a_command_in_a_container_imports_nothing_heavy(warm_exec: set[str]) -> None:
    assert sorted(warm_exec & set(HEAVY.split())) == []


@pytest.mark.root
def test_a_command_in_a_container_imports_only_the_listed_modules(warm_exec: set[str]) -> None:
    """What the entrant uses in the container's root has been imported before, so it is among them, too."""
    assert sorted(name for name in warm_exec if name.split(".")[0] == "mydocker") == WARM_EXEC.split()


@pytest.mark.root
def test_a_list_of_containers_imports_nothing_heavy(warm_ps: set[str]) -> None:
    assert sorted(warm_ps & set(HEAVY.split())) == []


@pytest.mark.root
def test_a_list_of_containers_imports_only_the_listed_modules(warm_ps: set[str]) -> None:
    """None of those that say what a container is made of."""
    assert sorted(name for name in warm_ps if name.split(".")[0] == "mydocker") == WARM_PS.split()


@pytest.fixture
def warm_ps(background: Command) -> set[str]:
    """The modules that `ps` imports, where there are containers."""
    return _loaded(IN_PROCESS, "ps", "-q", "--filter", "id=none", env=background.environment)


@pytest.fixture
def warm_network(alpine: Command) -> Iterator[set[str]]:
    """The modules that a run in the default network imports, in which there is another container."""
    started = alpine("run", "-d", "--network", "bridge", "--name", "warm-network", "alpine", "sleep", "600")
    assert started.code == 0, started
    yield _loaded(IN_PROCESS, "run", "--network", "bridge", "alpine", "true", env=alpine.environment)
    alpine("rm", "-f", "warm-network")


@pytest.fixture
def warm_exec(background: Command) -> set[str]:
    """The modules that `exec` imports, of a container that runs in the background."""
    return _loaded(IN_PROCESS, "exec", "warm-exec", "true", env=background.environment)


@pytest.fixture
def background(alpine: Command) -> Iterator[Command]:
    """mydocker with a container `warm-exec` that runs in the background."""
    started = alpine("run", "-d", "--network", "none", "--name", "warm-exec", "alpine", "sleep", "600")
    assert started.code == 0, started
    yield alpine
    alpine("rm", "-f", "warm-exec")


@pytest.fixture
def warm(alpine: Command) -> set[str]:
    """The modules that a run of an image that is present imports."""
    return _loaded(IN_PROCESS, "run", "--network", "none", "alpine", "true", env=alpine.environment)
